// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: mappings for programs and for the kernel.
 */

#include <linux/dma-buf.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "rmem.h"

/**
 * struct mmap_run - contiguous pages that are being mapped
 * @vma: the mapping
 * @prot: protection of the mapping, with the memory type
 * @pfn: the next page to map
 */
struct mmap_run {
	struct vm_area_struct *vma;
	pgprot_t prot;
	unsigned long pfn;
};

static int map_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct mmap_run *run = data;
	pte_t pte = pte_mkyoung(pte_mkspecial(pfn_pte(run->pfn, run->prot)));

	/* The first write to a clean entry would fault. */
	if (run->vma->vm_flags & VM_WRITE)
		pte = maybe_mkwrite(pte_mkdirty(pte), run->vma);

	set_pte_at(run->vma->vm_mm, addr, ptep, pte);
	run->pfn++;
	return 0;
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
/*
 * Some processors of the architecture may lack large entries. Where a large entry needs a page
 * table in reserve, fork() does not give the child one.
 */
static bool map_pmd_possible(void)
{
	return !thp_disabled_by_hw() && !arch_needs_pgtable_deposit();
}

/*
 * mmap() installs large entries as it does small ones. When a part of a large entry is unmapped,
 * moved or protected, the core drops the whole entry, and faults map the rest again.
 */
static bool map_pmd_fits(const struct vm_area_struct *vma, unsigned long addr,
			 unsigned long pfn)
{
	return IS_ALIGNED(addr, PMD_SIZE) && IS_ALIGNED(pfn, PTRS_PER_PTE) &&
	       addr >= vma->vm_start && vma->vm_end - addr >= PMD_SIZE;
}

static unsigned long map_vma_pfn(const struct vm_area_struct *vma, unsigned long addr)
{
	const struct rmem_buffer *buf = vma->vm_private_data;

	return PHYS_PFN(buf->extent.paddr) + linear_page_index(vma, addr);
}

static vm_fault_t map_fault(struct vm_fault *vmf)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, map_vma_pfn(vmf->vma, vmf->address));
}

static vm_fault_t map_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	unsigned long addr = vmf->address & PMD_MASK;
	unsigned long pfn;

	if (order != PMD_ORDER || addr < vmf->vma->vm_start || !map_pmd_possible())
		return VM_FAULT_FALLBACK;
	pfn = map_vma_pfn(vmf->vma, addr);
	if (!map_pmd_fits(vmf->vma, addr, pfn))
		return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
}

static const struct vm_operations_struct map_vm_ops = {
	.fault = map_fault,
	.huge_fault = map_huge_fault,
};

/* Installs a large entry at an address; false if none fits there */
static bool map_pmd(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	struct vm_fault vmf = { .vma = vma, .address = addr };
	struct mm_struct *mm = vma->vm_mm;
	p4d_t *p4d;
	pud_t *pud;

	if (!map_pmd_possible() || !map_pmd_fits(vma, addr, pfn))
		return false;

	p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;
	vmf.pmd = pud ? pmd_alloc(mm, pud, addr) : NULL;
	return vmf.pmd && pmd_none(pmdp_get(vmf.pmd)) &&
	       vmf_insert_pfn_pmd(&vmf, pfn, vma->vm_flags & VM_WRITE) == VM_FAULT_NOPAGE;
}

static void map_set_vm_ops(struct vm_area_struct *vma, struct rmem_buffer *buf)
{
	/* The chunks of a chain are too small for large entries. */
	if (buf->nr != 1)
		return;
	vma->vm_private_data = buf;
	vma->vm_ops = &map_vm_ops;
}
#else
static bool map_pmd(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	return false;
}

static void map_set_vm_ops(struct vm_area_struct *vma, struct rmem_buffer *buf)
{
}
#endif

static int map_extent(struct mmap_run *run, unsigned long addr, size_t len)
{
	unsigned long end = addr + len, next;
	int ret;

	if (pfnmap_setup_cachemode(run->pfn, len, &run->prot))
		return -EINVAL;

	for (; addr < end; addr = next) {
		next = pmd_addr_end(addr, end);
		if (next - addr == PMD_SIZE && map_pmd(run->vma, addr, run->pfn)) {
			run->pfn += PHYS_PFN(next - addr);
			continue;
		}
		ret = apply_to_page_range(run->vma->vm_mm, addr, next - addr, map_pte, run);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Fills the whole mapping. The core has checked that it does not go beyond the buffer, and
 * unmaps what is there if this fails half-way.
 */
int rmem_heap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct rmem_buffer *buf = dmabuf->priv;
	u64 skip = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long addr = vma->vm_start;
	struct mmap_run run = { .vma = vma };
	pgprot_t prot = vma->vm_page_prot;
	unsigned int i;
	int ret;

	if (!(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;

	/* The mapping has the type of the pool's own: memremap(MEMREMAP_WC) decrypts, too. */
	if (buf->heap->memory == RMEM_WC)
		prot = pgprot_decrypted(pgprot_writecombine(prot));
	else if (rmem_heap_is_decrypted(buf->heap))
		prot = pgprot_decrypted(prot);

	/* mprotect() computes the new protection from this one, so it has the type, too. */
	vma->vm_page_prot = prot;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	map_set_vm_ops(vma, buf);

	for (i = 0; i < buf->nr && addr < vma->vm_end; i++) {
		const struct phys_vec *extent = &buf->extents[i];
		size_t len;

		if (skip >= extent->len) {
			skip -= extent->len;
			continue;
		}

		len = min_t(size_t, extent->len - skip, vma->vm_end - addr);
		run.pfn = PHYS_PFN(extent->paddr + skip);
		run.prot = prot;
		ret = map_extent(&run, addr, len);
		if (ret)
			return ret;

		addr += len;
		skip = 0;
	}
	return 0;
}

/* Maps a buffer with struct pages into vmalloc space, with its memory type */
static void *map_kernel(const struct rmem_buffer *buf)
{
	pgprot_t prot = rmem_heap_is_decrypted(buf->heap) ? pgprot_decrypted(PAGE_KERNEL) :
							    PAGE_KERNEL;
	size_t n = buf->len >> PAGE_SHIFT, pg = 0, off;
	struct page **pages;
	unsigned int i;
	void *vaddr;

	pages = kvmalloc_objs(*pages, n);
	if (!pages)
		return NULL;

	for (i = 0; i < buf->nr; i++)
		for (off = 0; off < buf->extents[i].len; off += PAGE_SIZE)
			pages[pg++] = phys_to_page(buf->extents[i].paddr + off);

	vaddr = vmap(pages, n, VM_MAP, prot);
	kvfree(pages);
	return vaddr;
}

int rmem_heap_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory == RMEM_LINEAR) {
		if (buf->nr == 1 && !rmem_extent_is_high(&buf->extents[0]))
			buf->vaddr = phys_to_virt(buf->extents[0].paddr);
		else
			buf->vaddr = map_kernel(buf);
		if (!buf->vaddr)
			return -ENOMEM;
	}

	iosys_map_set_vaddr(map, buf->vaddr);
	return 0;
}

void rmem_heap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory != RMEM_LINEAR)
		return;

	if (is_vmalloc_addr(buf->vaddr))
		vunmap(buf->vaddr);
	buf->vaddr = NULL;
}
