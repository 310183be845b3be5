// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: mappings for programs and for the kernel.
 */

#include <linux/cacheflush.h>
#include <linux/dma-buf.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
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

	/* As in remap_pfn_range(): a processor with L1TF must not see some entries. */
	if (!pfn_modify_allowed(run->pfn, run->prot))
		return -EACCES;

	/* The first write to a clean entry would fault. */
	if (run->vma->vm_flags & VM_WRITE)
		pte = maybe_mkwrite(pte_mkdirty(pte), run->vma);

	set_pte_at(run->vma->vm_mm, addr, ptep, pte);
	run->pfn++;
	return 0;
}

/* The extent that a mapping shows at an address; @off is set to the place in the extent */
static const struct phys_vec *map_find(const struct vm_area_struct *vma, unsigned long addr,
				       size_t *off)
{
	const struct rmem_buffer *buf = vma->vm_private_data;
	const struct phys_vec *extent = buf->extents;

	*off = ((size_t)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	for (; *off >= extent->len; extent++)
		*off -= extent->len;
	return extent;
}

/*
 * The protection of a mapping has the memory type of the pool's own mapping: memremap(MEMREMAP_WC)
 * decrypts, too. The core may drop this from vm_page_prot when it computes that again.
 */
static pgprot_t map_prot(const struct vm_area_struct *vma)
{
	const struct rmem_buffer *buf = vma->vm_private_data;

	if (buf->heap->memory == RMEM_WC)
		return pgprot_decrypted(pgprot_writecombine(vma->vm_page_prot));
	return rmem_heap_is_decrypted(buf->heap) ? pgprot_decrypted(vma->vm_page_prot) :
						   vma->vm_page_prot;
}

static vm_fault_t map_fault(struct vm_fault *vmf)
{
	size_t off;
	const struct phys_vec *extent = map_find(vmf->vma, vmf->address, &off);

	return vmf_insert_pfn_prot(vmf->vma, vmf->address, PHYS_PFN(extent->paddr + off),
				   map_prot(vmf->vma));
}

/* For debuggers, up to the end of a page. The core has not asked if the mapping is writable. */
static int map_access(struct vm_area_struct *vma, unsigned long addr, void *data, int len,
		      int write)
{
	const struct rmem_buffer *buf = vma->vm_private_data;
	size_t off, in_page = offset_in_page(addr);
	const struct phys_vec *extent = map_find(vma, addr, &off);
	struct page *page;
	void *mem;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;

	len = min_t(size_t, len, PAGE_SIZE - in_page);
	if (buf->heap->memory == RMEM_WC) {
		memcpy(write ? buf->vaddr + off : data, write ? data : buf->vaddr + off, len);
		return len;
	}
	page = phys_to_page(extent->paddr + off);
	mem = kmap_local_page(page) + in_page;
	if (write)
		copy_to_user_page(vma, page, addr, mem, data, len);
	else
		copy_from_user_page(vma, page, addr, data, mem, len);
	kunmap_local(mem);
	return len;
}

/*
 * mmap() installs large entries as it does small ones. When a part of a large entry is unmapped,
 * moved or protected, the core drops the whole entry, and faults map the rest again.
 *
 * Some processors of the architecture may lack large entries. Where a large entry needs a page
 * table in reserve, fork() does not give the child one.
 */
static bool map_pmd_fits(const struct vm_area_struct *vma, unsigned long pfn)
{
	return IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && has_transparent_hugepage() &&
	       !arch_needs_pgtable_deposit() && IS_ALIGNED(pfn, PTRS_PER_PTE) &&
	       pfn_modify_allowed(pfn + PTRS_PER_PTE - 1, vma->vm_page_prot);
}

static vm_fault_t map_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	unsigned long addr = vmf->address & PMD_MASK, pfn;
	const struct phys_vec *extent;
	size_t off;

	if (order != PMD_ORDER || !range_in_vma(vmf->vma, addr, addr + PMD_SIZE) ||
	    pgprot_val(map_prot(vmf->vma)) != pgprot_val(vmf->vma->vm_page_prot))
		return VM_FAULT_FALLBACK;
	extent = map_find(vmf->vma, addr, &off);
	pfn = PHYS_PFN(extent->paddr + off);
	if (extent->len - off < PMD_SIZE || !map_pmd_fits(vmf->vma, pfn))
		return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
}

/* Installs a large entry at an address; false if none fits there */
static bool map_pmd(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	struct vm_fault vmf = { .vma = vma, .address = addr };
	struct mm_struct *mm = vma->vm_mm;
	p4d_t *p4d;
	pud_t *pud;

	if (!map_pmd_fits(vma, pfn))
		return false;

	p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;
	vmf.pmd = pud ? pmd_alloc(mm, pud, addr) : NULL;
	return vmf.pmd && pmd_none(pmdp_get(vmf.pmd)) &&
	       vmf_insert_pfn_pmd(&vmf, pfn, vma->vm_flags & VM_WRITE) == VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct map_vm_ops = {
	.fault = map_fault,
	.huge_fault = map_huge_fault,
	.access = map_access,
};

static int map_extent(struct vm_area_struct *vma, unsigned long addr, size_t len, phys_addr_t paddr)
{
	struct mmap_run run = { .vma = vma, .prot = vma->vm_page_prot, .pfn = PHYS_PFN(paddr) };
	unsigned long end = addr + len, next;
	int ret;

	if (pfnmap_setup_cachemode(run.pfn, len, &run.prot))
		return -EINVAL;

	for (; addr < end; addr = next) {
		next = pmd_addr_end(addr, end);
		if (next - addr == PMD_SIZE && map_pmd(vma, addr, run.pfn)) {
			run.pfn += PHYS_PFN(next - addr);
			continue;
		}
		ret = apply_to_page_range(vma->vm_mm, addr, next - addr, map_pte, &run);
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
	unsigned long addr = vma->vm_start;
	const struct phys_vec *extent;
	size_t off, len;
	int ret;

	if (!(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;

	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	/* An importer that passes mmap() on has set its own. */
	vma->vm_private_data = buf;
	vma->vm_ops = &map_vm_ops;
	vma->vm_page_prot = map_prot(vma);

	for (extent = map_find(vma, addr, &off); addr < vma->vm_end; addr += len, extent++) {
		len = min(extent->len - off, vma->vm_end - addr);
		ret = map_extent(vma, addr, len, extent->paddr + off);
		if (ret)
			return ret;
		off = 0;
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
