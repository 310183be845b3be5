// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the exporter.
 *
 * Written once over extents and a memory type; it does not know the allocators.
 *
 * Locking: the dma-buf core calls map, unmap, vmap and vunmap under dmabuf->resv and
 * keeps the list of attachments under it, so that taking it in the two CPU access calls
 * is all it needs here. An attachment is mapped while its direction is not DMA_NONE.
 */

#include <linux/cc_platform.h>
#include <linux/cgroup_dmem.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iommu-dma.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/of_reserved_mem.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>

#include "rmem_heap.h"

/**
 * enum rmem_route - how an importer gets its DMA addresses
 * @RMEM_ROUTE_API: dma_map_sgtable(), for memory with struct pages
 * @RMEM_ROUTE_MMIO: dma_map_phys(DMA_ATTR_MMIO), for memory outside the linear map
 * @RMEM_ROUTE_POOL: the addresses of the memory itself. The importer bounces through the
 *	pool that the buffer lies in, so there is nothing to bounce; and nothing may reach
 *	swiotlb's unmap, which finds slots by address and would release the buffer's.
 */
enum rmem_route {
	RMEM_ROUTE_API,
	RMEM_ROUTE_MMIO,
	RMEM_ROUTE_POOL,
};

/**
 * struct rmem_attachment - an importer
 * @sgt: its view of the buffer
 * @orig_nents: entries that @sgt was allocated with
 * @route: how it is mapped
 * @attrs: attributes for map and unmap, which must agree
 * @mmio: RMEM_ROUTE_MMIO: DMA address of the buffer while it is mapped
 * @dir: direction it is mapped in, DMA_NONE while it is not
 */
struct rmem_attachment {
	struct sg_table sgt;
	unsigned int orig_nents;
	enum rmem_route route;
	unsigned long attrs;
	dma_addr_t mmio;
	enum dma_data_direction dir;
};

/**
 * struct rmem_cut - walks a buffer in the segments that an importer can take
 * @buf: the buffer
 * @max: longest segment in bytes, whole pages
 * @boundary: mask of the addresses that a segment must not cross
 * @i: current extent
 * @done: bytes of the current extent that are behind us
 *
 * Extents that touch become one segment here, and only here: the allocator wants each of
 * its own back.
 */
struct rmem_cut {
	const struct rmem_buffer *buf;
	size_t max;
	unsigned long boundary;
	unsigned int i;
	size_t done;
};

static struct rmem_cut rmem_cut_for(const struct rmem_buffer *buf, struct device *dev)
{
	size_t max = min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev));

	return (struct rmem_cut) {
		.buf = buf,
		.max = ALIGN_DOWN(max, PAGE_SIZE),
		.boundary = dma_get_seg_boundary(dev) | ~PAGE_MASK,
	};
}

static bool rmem_cut_next(struct rmem_cut *cut, struct phys_vec *seg)
{
	const struct phys_vec *extent = cut->buf->extents + cut->i;
	size_t limit;

	if (cut->i == cut->buf->nr)
		return false;

	seg->paddr = extent->paddr + cut->done;
	seg->len = 0;
	/* Bytes up to the boundary, less one: there may be no boundary at all. */
	limit = min_t(u64, cut->max - 1, cut->boundary - (seg->paddr & cut->boundary)) + 1;

	do {
		size_t len = min(limit - seg->len, extent->len - cut->done);

		seg->len += len;
		cut->done += len;
		if (cut->done < extent->len)
			break;

		cut->done = 0;
		cut->i++;
		extent++;
	} while (seg->len < limit && cut->i < cut->buf->nr &&
		 extent->paddr == seg->paddr + seg->len);

	return true;
}

/* Would the DMA API hand the memory to the device as it is? Segment by segment, as it asks */
static bool rmem_capable(struct rmem_cut cut, struct device *dev, bool is_ram,
			 unsigned long attrs)
{
	struct phys_vec seg;

	while (rmem_cut_next(&cut, &seg)) {
		dma_addr_t addr = attrs & DMA_ATTR_CC_SHARED ?
			phys_to_dma_unencrypted(dev, seg.paddr) :
			phys_to_dma_encrypted(dev, seg.paddr);

		if (!dma_capable(dev, addr, seg.len, is_ram, attrs))
			return false;
	}
	return true;
}

/* Can it bounce for the device, to slots that the device does reach? */
static bool rmem_can_bounce(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	const struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	unsigned long attrs;
	dma_addr_t addr;

	if (!is_swiotlb_active(dev))
		return false;
#ifdef CONFIG_SWIOTLB_DYNAMIC
	/* There will be a pool that it reaches. */
	if (mem->can_grow)
		return true;
#endif

	attrs = mem->cc_shared ? DMA_ATTR_CC_SHARED : 0;
	addr = mem->cc_shared ? phys_to_dma_unencrypted(dev, mem->defpool.start) :
				phys_to_dma_encrypted(dev, mem->defpool.start);
	return dma_capable(dev, addr, mem->defpool.end - mem->defpool.start, true, attrs);
#else
	return false;
#endif
}

/*
 * Chooses the route and refuses who cannot take any: the core would WARN at map time. Its
 * errno for memory "in a place not accessible" is -EBUSY, see dma_buf_dynamic_attach().
 */
static int rmem_choose_route(const struct rmem_buffer *buf, struct device *dev,
			     struct rmem_attachment *a)
{
	bool direct = !get_dma_ops(dev) && !use_dma_iommu(dev);
	struct rmem_cut cut;

	if (!dev->dma_mask || !*dev->dma_mask)
		return -EINVAL;

	cut = rmem_cut_for(buf, dev);
	if (!cut.max)
		return -EINVAL;

	if (buf->heap->memory != RMEM_LINEAR) {
		unsigned long shared = cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT) ?
			DMA_ATTR_CC_SHARED : 0;

		a->route = RMEM_ROUTE_MMIO;
		a->attrs = DMA_ATTR_MMIO;
		if (direct && (is_swiotlb_force_bounce(dev) ||
			       !rmem_capable(cut, dev, false, a->attrs | shared)))
			return -EBUSY;
		return 0;
	}

	a->attrs = rmem_pool_decrypted(buf->heap) ? DMA_ATTR_CC_SHARED : 0;

	if (rmem_pool_shared(buf->heap, dev)) {
		/*
		 * Behind an IOMMU or other dma_ops the address is theirs to choose, but
		 * their unmap asks swiotlb about the memory, too.
		 */
		a->route = RMEM_ROUTE_POOL;
		if (!direct || !rmem_capable(cut, dev, true, a->attrs))
			return -EBUSY;
		return 0;
	}

	a->route = RMEM_ROUTE_API;
	/* That importers share cache lines of a buffer is what dma-bufs are for. */
	a->attrs |= DMA_ATTR_DEBUGGING_IGNORE_CACHELINES;
	if (direct && (is_swiotlb_force_bounce(dev) ||
		       !rmem_capable(cut, dev, true, a->attrs)) && !rmem_can_bounce(dev))
		return -EBUSY;
	return 0;
}

/**
 * rmem_heap_check_device() - can a device have what a heap allocates
 * @heap: the heap
 * @dev: the device, with its DMA mask set
 *
 * So that a driver can refuse at probe what attaching a buffer would refuse later.
 *
 * Context: any.
 * Return: 0, -EBUSY if it reaches neither all of the region nor anything to bounce it
 * through, -EINVAL if it has no DMA mask.
 */
int rmem_heap_check_device(struct rmem_heap *heap, struct device *dev)
{
	struct rmem_buffer all = { .heap = heap, .len = heap->rmem->size };
	struct rmem_attachment a = { };

	rmem_set_extent(&all, heap->rmem->base);
	return rmem_choose_route(&all, dev, &a);
}
EXPORT_SYMBOL_GPL(rmem_heap_check_device);

static int rmem_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	const struct rmem_buffer *buf = dmabuf->priv;
	struct rmem_cut cut, fill;
	struct rmem_attachment *a;
	struct scatterlist *sg;
	struct phys_vec seg;
	int ret;

	a = kzalloc_obj(*a);
	if (!a)
		return -ENOMEM;

	ret = rmem_choose_route(buf, attach->dev, a);
	if (ret)
		goto err_free;

	cut = rmem_cut_for(buf, attach->dev);
	for (fill = cut; rmem_cut_next(&fill, &seg); )
		a->orig_nents++;

	ret = sg_alloc_table(&a->sgt, a->orig_nents, GFP_KERNEL);
	if (ret)
		goto err_free;

	/* Without struct pages the table has no CPU side, just DMA addresses. */
	for (sg = a->sgt.sgl; rmem_cut_next(&cut, &seg); sg = sg_next(sg)) {
		if (a->route == RMEM_ROUTE_MMIO)
			sg_dma_len(sg) = seg.len;
		else
			sg_set_page(sg, phys_to_page(seg.paddr), seg.len, 0);
	}
	if (a->route == RMEM_ROUTE_MMIO)
		a->sgt.orig_nents = 0;

	a->dir = DMA_NONE;
	attach->priv = a;
	return 0;

err_free:
	kfree(a);
	return ret;
}

static void rmem_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct rmem_attachment *a = attach->priv;

	a->sgt.orig_nents = a->orig_nents;
	sg_free_table(&a->sgt);
	kfree(a);
}

/* What dma_direct_sync_sg_for_device() does, less the bouncing */
static void rmem_pool_sync_for_device(struct device *dev, struct sg_table *sgt,
				      enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	if (dev_is_dma_coherent(dev))
		return;

	for_each_sgtable_sg(sgt, sg, i)
		arch_sync_dma_for_device(sg_phys(sg), sg->length, dir);
	arch_sync_dma_flush();
}

/* What dma_direct_sync_sg_for_cpu() does, less the bouncing */
static void rmem_pool_sync_for_cpu(struct device *dev, struct sg_table *sgt,
				   enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	if (dev_is_dma_coherent(dev))
		return;

	for_each_sgtable_sg(sgt, sg, i)
		arch_sync_dma_for_cpu(sg_phys(sg), sg->length, dir);
	arch_sync_dma_flush();
	arch_sync_dma_for_cpu_all();
}

static void rmem_pool_map(struct device *dev, struct rmem_attachment *a,
			  enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&a->sgt, sg, i) {
		sg_dma_address(sg) = a->attrs & DMA_ATTR_CC_SHARED ?
			phys_to_dma_unencrypted(dev, sg_phys(sg)) :
			phys_to_dma_encrypted(dev, sg_phys(sg));
		sg_dma_len(sg) = sg->length;
	}
	rmem_pool_sync_for_device(dev, &a->sgt, dir);
}

/*
 * Memory outside the linear map is one extent, mapped in one go: an IOMMU gives it one
 * range of addresses then. The table has it in the segments that the importer takes.
 */
static int rmem_mmio_map(const struct rmem_buffer *buf, struct device *dev,
			 struct rmem_attachment *a, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	dma_addr_t addr;
	int i, ret;

	a->mmio = dma_map_phys(dev, buf->extent.paddr, buf->len, dir, a->attrs);
	ret = dma_mapping_error(dev, a->mmio);
	if (ret)
		return ret;

	addr = a->mmio;
	for_each_sgtable_dma_sg(&a->sgt, sg, i) {
		sg_dma_address(sg) = addr;
		addr += sg_dma_len(sg);
	}
	return 0;
}

static struct sg_table *rmem_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct rmem_attachment *a = attach->priv;
	int ret = 0;

	/* There is one table, and bounced addresses in it are found nowhere else. */
	if (a->dir != DMA_NONE)
		return ERR_PTR(-EBUSY);

	switch (a->route) {
	case RMEM_ROUTE_API:
		ret = dma_map_sgtable(attach->dev, &a->sgt, dir, a->attrs);
		break;
	case RMEM_ROUTE_MMIO:
		ret = rmem_mmio_map(attach->dmabuf->priv, attach->dev, a, dir);
		break;
	case RMEM_ROUTE_POOL:
		rmem_pool_map(attach->dev, a, dir);
		break;
	}
	if (ret)
		return ERR_PTR(ret);

	a->dir = dir;
	return &a->sgt;
}

static void rmem_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	struct rmem_attachment *a = attach->priv;

	switch (a->route) {
	case RMEM_ROUTE_API:
		dma_unmap_sgtable(attach->dev, sgt, dir, a->attrs);
		break;
	case RMEM_ROUTE_MMIO:
		dma_unmap_phys(attach->dev, a->mmio, attach->dmabuf->size, dir, a->attrs);
		break;
	case RMEM_ROUTE_POOL:
		rmem_pool_sync_for_cpu(attach->dev, sgt, dir);
		break;
	}
	a->dir = DMA_NONE;
}

/*
 * The direction to sync a mapping in for a CPU access, DMA_NONE for nothing to do. The DMA
 * API takes no other than the mapping's own. A device that writes is synced for any access:
 * lines that the CPU wrote to must not come out over its data later, nor have old data
 * around what was written. One that only reads makes nothing for the CPU to see.
 */
static enum dma_data_direction rmem_sync_dir(enum dma_data_direction mapped,
					     enum dma_data_direction wanted)
{
	if (mapped == DMA_BIDIRECTIONAL)
		return wanted;
	if (mapped == DMA_TO_DEVICE && wanted == DMA_FROM_DEVICE)
		return DMA_NONE;
	return mapped;
}

typedef void (*rmem_sync_fn)(struct device *dev, struct sg_table *sgt,
			     enum dma_data_direction dir);

/* The attachments that are mapped, if that means to invalidate or if it does not */
static void rmem_sync_attachments(struct dma_buf *dmabuf, enum dma_data_direction wanted,
				  bool invalidate, rmem_sync_fn api_sync,
				  rmem_sync_fn pool_sync)
{
	struct dma_buf_attachment *attach;

	list_for_each_entry(attach, &dmabuf->attachments, node) {
		struct rmem_attachment *a = attach->priv;
		enum dma_data_direction dir = rmem_sync_dir(a->dir, wanted);
		bool invalidates = dir == DMA_FROM_DEVICE;

		if (dir == DMA_NONE || invalidates != invalidate)
			continue;
		if (a->route == RMEM_ROUTE_POOL)
			pool_sync(attach->dev, &a->sgt, dir);
		else
			api_sync(attach->dev, &a->sgt, dir);
	}
}

/*
 * Every attachment. What the CPU wrote is cleaned for those that read it before it is
 * invalidated for others, which on some architectures throws it away.
 */
static void rmem_sync_all(struct dma_buf *dmabuf, enum dma_data_direction wanted,
			  rmem_sync_fn api_sync, rmem_sync_fn pool_sync)
{
	rmem_sync_attachments(dmabuf, wanted, false, api_sync, pool_sync);
	rmem_sync_attachments(dmabuf, wanted, true, api_sync, pool_sync);
}

static int rmem_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory == RMEM_WC)
		return 0;

	dma_resv_lock(dmabuf->resv, NULL);
	if (buf->vaddr && is_vmalloc_addr(buf->vaddr))
		invalidate_kernel_vmap_range(buf->vaddr, buf->len);
	rmem_sync_all(dmabuf, dir, dma_sync_sgtable_for_cpu, rmem_pool_sync_for_cpu);
	dma_resv_unlock(dmabuf->resv);

	return 0;
}

static int rmem_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory == RMEM_WC) {
		/* Writes may still sit in the CPU's combining buffers. */
		wmb();
		return 0;
	}

	dma_resv_lock(dmabuf->resv, NULL);
	if (buf->vaddr && is_vmalloc_addr(buf->vaddr))
		flush_kernel_vmap_range(buf->vaddr, buf->len);
	rmem_sync_all(dmabuf, dir, dma_sync_sgtable_for_device, rmem_pool_sync_for_device);
	dma_resv_unlock(dmabuf->resv);

	return 0;
}

static int rmem_refuse_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return -EOPNOTSUPP;
}

/**
 * struct rmem_mmap_run - pages that follow one another, on their way into page tables
 * @vma: the mapping
 * @prot: its protection, with the memory's own type
 * @pfn: the next page
 */
struct rmem_mmap_run {
	struct vm_area_struct *vma;
	pgprot_t prot;
	unsigned long pfn;
};

static int rmem_mmap_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct rmem_mmap_run *run = data;
	pte_t pte = pte_mkyoung(pte_mkspecial(pfn_pte(run->pfn, run->prot)));

	/* A clean entry faults once more on the first write. */
	if (run->vma->vm_flags & VM_WRITE)
		pte = maybe_mkwrite(pte_mkdirty(pte), run->vma);

	set_pte_at(run->vma->vm_mm, addr, ptep, pte);
	run->pfn++;
	return 0;
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
/*
 * Not every processor of an architecture has large entries; and where they need a page
 * table in reserve, fork() does not give the child one.
 */
static bool rmem_pmd_possible(void)
{
	return !thp_disabled_by_hw() && !arch_needs_pgtable_deposit();
}

/*
 * Large entries are put in at mmap(), as small ones are. When a part of one is unmapped,
 * moved or protected, the core drops all of it, and the rest comes back here.
 */
static bool rmem_pmd_fits(const struct vm_area_struct *vma, unsigned long addr,
			  unsigned long pfn)
{
	return IS_ALIGNED(addr, PMD_SIZE) && IS_ALIGNED(pfn, PTRS_PER_PTE) &&
	       addr >= vma->vm_start && vma->vm_end - addr >= PMD_SIZE;
}

static unsigned long rmem_vma_pfn(const struct vm_area_struct *vma, unsigned long addr)
{
	const struct rmem_buffer *buf = vma->vm_private_data;

	return PHYS_PFN(buf->extent.paddr) + linear_page_index(vma, addr);
}

static vm_fault_t rmem_vm_fault(struct vm_fault *vmf)
{
	return vmf_insert_pfn(vmf->vma, vmf->address,
			      rmem_vma_pfn(vmf->vma, vmf->address));
}

static vm_fault_t rmem_vm_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	unsigned long addr = vmf->address & PMD_MASK;
	unsigned long pfn;

	if (order != PMD_ORDER || addr < vmf->vma->vm_start || !rmem_pmd_possible())
		return VM_FAULT_FALLBACK;
	pfn = rmem_vma_pfn(vmf->vma, addr);
	if (!rmem_pmd_fits(vmf->vma, addr, pfn))
		return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
}

static const struct vm_operations_struct rmem_vm_ops = {
	.fault = rmem_vm_fault,
	.huge_fault = rmem_vm_huge_fault,
};

/* Maps what a large entry can map at this address: true if it has */
static bool rmem_mmap_pmd(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	struct vm_fault vmf = { .vma = vma, .address = addr };
	struct mm_struct *mm = vma->vm_mm;
	p4d_t *p4d;
	pud_t *pud;

	if (!rmem_pmd_possible() || !rmem_pmd_fits(vma, addr, pfn))
		return false;

	p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;
	vmf.pmd = pud ? pmd_alloc(mm, pud, addr) : NULL;
	return vmf.pmd && pmd_none(pmdp_get(vmf.pmd)) &&
	       vmf_insert_pfn_pmd(&vmf, pfn, vma->vm_flags & VM_WRITE) == VM_FAULT_NOPAGE;
}

static void rmem_mmap_init(struct vm_area_struct *vma, struct rmem_buffer *buf)
{
	/* Chunks of chains are too small for them. */
	if (buf->nr != 1)
		return;
	vma->vm_private_data = buf;
	vma->vm_ops = &rmem_vm_ops;
}
#else
static bool rmem_mmap_pmd(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	return false;
}

static void rmem_mmap_init(struct vm_area_struct *vma, struct rmem_buffer *buf)
{
}
#endif

static int rmem_mmap_extent(struct rmem_mmap_run *run, unsigned long addr, size_t len)
{
	unsigned long end = addr + len, next;
	int ret;

	if (pfnmap_setup_cachemode(run->pfn, len, &run->prot))
		return -EINVAL;

	for (; addr < end; addr = next) {
		next = pmd_addr_end(addr, end);
		/* The extent may end before the entry would. */
		if (next - addr == PMD_SIZE && rmem_mmap_pmd(run->vma, addr, run->pfn)) {
			run->pfn += PHYS_PFN(next - addr);
			continue;
		}
		ret = apply_to_page_range(run->vma->vm_mm, addr, next - addr,
					  rmem_mmap_pte, run);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Fills the whole mapping at once; the core undoes it if this fails half-way. It has also
 * seen that the mapping does not go beyond the buffer.
 */
static int rmem_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct rmem_buffer *buf = dmabuf->priv;
	u64 skip = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long addr = vma->vm_start;
	struct rmem_mmap_run run = { .vma = vma };
	pgprot_t prot = vma->vm_page_prot;
	unsigned int i;
	int ret;

	if (!(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;

	/* As the pool's own mapping is: memremap(MEMREMAP_WC) decrypts, too. */
	if (buf->heap->memory == RMEM_WC)
		prot = pgprot_decrypted(pgprot_writecombine(prot));
	else if (rmem_pool_decrypted(buf->heap))
		prot = pgprot_decrypted(prot);

	/* What the core computes the final protection from must carry the type, too. */
	vma->vm_page_prot = prot;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	rmem_mmap_init(vma, buf);

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
		ret = rmem_mmap_extent(&run, addr, len);
		if (ret)
			return ret;

		addr += len;
		skip = 0;
	}
	return 0;
}

/* Is some of an extent not in the linear map? High memory is at the end. */
static bool rmem_extent_high(const struct phys_vec *extent)
{
	return PageHighMem(phys_to_page(extent->paddr + extent->len - 1));
}

/* The kernel's mapping of a buffer with struct pages, its memory type kept */
static void *rmem_vmap_pages(const struct rmem_buffer *buf)
{
	pgprot_t prot = rmem_pool_decrypted(buf->heap) ? pgprot_decrypted(PAGE_KERNEL) :
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

static int rmem_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory == RMEM_LINEAR) {
		if (buf->nr == 1 && !rmem_extent_high(&buf->extents[0]))
			buf->vaddr = phys_to_virt(buf->extents[0].paddr);
		else
			buf->vaddr = rmem_vmap_pages(buf);
		if (!buf->vaddr)
			return -ENOMEM;
	}

	iosys_map_set_vaddr(map, buf->vaddr);
	return 0;
}

static void rmem_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory != RMEM_LINEAR)
		return;

	if (is_vmalloc_addr(buf->vaddr))
		vunmap(buf->vaddr);
	buf->vaddr = NULL;
}

static void rmem_release(struct dma_buf *dmabuf)
{
	rmem_buffer_free(dmabuf->priv);
}

static const struct dma_buf_ops rmem_buf_ops = {
	.attach = rmem_attach,
	.detach = rmem_detach,
	.map_dma_buf = rmem_map,
	.unmap_dma_buf = rmem_unmap,
	.begin_cpu_access = rmem_begin_cpu_access,
	.end_cpu_access = rmem_end_cpu_access,
	.mmap = rmem_mmap,
	.vmap = rmem_vmap,
	.vunmap = rmem_vunmap,
	.release = rmem_release,
};

/* The core refuses mmap and vmap where there is none. */
static const struct dma_buf_ops rmem_device_only_buf_ops = {
	.attach = rmem_attach,
	.detach = rmem_detach,
	.map_dma_buf = rmem_map,
	.unmap_dma_buf = rmem_unmap,
	.begin_cpu_access = rmem_refuse_cpu_access,
	.end_cpu_access = rmem_refuse_cpu_access,
	.release = rmem_release,
};

/*
 * Bytes to clear in one go, between looks at whether somebody waits or has been killed. A
 * page at a time, which is what slow architectures ask for, costs more than it helps.
 */
#define RMEM_CLEAR_BATCH \
	clamp_t(size_t, PROCESS_PAGES_NON_PREEMPT_BATCH << PAGE_SHIFT, SZ_64K, SZ_1M)

/* Memory that the buffer has elsewhere in the kernel's address space already */
static int rmem_clear_vaddr(void *vaddr, size_t len, bool killable)
{
	while (len) {
		size_t n = min(len, RMEM_CLEAR_BATCH);

		if (killable && fatal_signal_pending(current))
			return -EINTR;
		memset(vaddr, 0, n);
		cond_resched();
		vaddr += n;
		len -= n;
	}
	return 0;
}

/* By address, not by page: struct pages need not follow one another as their pages do. */
static int rmem_clear_extent(const struct phys_vec *extent, bool killable)
{
	phys_addr_t paddr = extent->paddr, end = extent->paddr + extent->len;
	bool high = rmem_extent_high(extent);

	while (paddr < end) {
		size_t n = high ? PAGE_SIZE : min_t(size_t, end - paddr, RMEM_CLEAR_BATCH);

		if (killable && fatal_signal_pending(current))
			return -EINTR;
		if (high)
			clear_highpage(phys_to_page(paddr));
		else
			clear_pages(phys_to_virt(paddr), n >> PAGE_SHIFT);
		cond_resched();
		paddr += n;
	}
	return 0;
}

/**
 * rmem_clear() - clear memory of a heap
 * @heap: the heap
 * @extent: the memory
 * @vaddr: RMEM_WC: where the pool has it mapped
 * @killable: stop half-way if the task is killed
 *
 * Context: may sleep.
 * Return: 0; -EINTR if the task was killed meanwhile.
 */
int rmem_clear(const struct rmem_heap *heap, const struct phys_vec *extent, void *vaddr,
	       bool killable)
{
	int ret = 0;

	switch (heap->memory) {
	case RMEM_LINEAR:
		return rmem_clear_extent(extent, killable);
	case RMEM_WC:
		ret = rmem_clear_vaddr(vaddr, extent->len, killable);
		/* Out of the combining buffers, for devices that are started elsewhere */
		wmb();
		break;
	case RMEM_DEVICE_ONLY:
		break;
	}
	return ret;
}

/* Nobody may see what the last user left. */
static int rmem_buffer_clear(const struct rmem_buffer *buf)
{
	unsigned int i;
	int ret;

	for (i = 0; i < buf->nr; i++) {
		ret = rmem_clear(buf->heap, &buf->extents[i], buf->vaddr, true);
		if (ret)
			return ret;
	}
	return 0;
}

static size_t rmem_buffer_taken(const struct rmem_buffer *buf)
{
	return buf->heap->pool->rounds ? PAGE_SIZE << get_order(buf->len) : buf->len;
}

/**
 * rmem_account() - count a buffer in
 * @buf: a buffer that has its memory
 *
 * Counters and no more: all else is put together when somebody asks.
 */
void rmem_account(const struct rmem_buffer *buf)
{
	struct rmem_heap *heap = buf->heap;
	unsigned long used = atomic_long_add_return(rmem_buffer_taken(buf), &heap->used);
	long peak = atomic_long_read(&heap->peak);

	while (used > (unsigned long)peak &&
	       !atomic_long_try_cmpxchg_relaxed(&heap->peak, &peak, used))
		;
	atomic_long_inc(&heap->buffers);
}

/**
 * rmem_unaccount() - count a buffer out
 * @buf: a buffer that is about to give its memory back
 */
void rmem_unaccount(const struct rmem_buffer *buf)
{
	atomic_long_sub(rmem_buffer_taken(buf), &buf->heap->used);
	atomic_long_dec(&buf->heap->buffers);
}

/**
 * rmem_heap_stats() - how much of a heap is in use
 * @heap: an exported heap
 * @stats: filled in. The numbers are not of one instant
 *
 * Context: a task's; takes a lock of the allocator for a moment.
 */
void rmem_heap_stats(struct rmem_heap *heap, struct rmem_stats *stats)
{
	*stats = (struct rmem_stats) {
		.used = (unsigned long)atomic_long_read(&heap->used),
		.peak = (unsigned long)atomic_long_read(&heap->peak),
		.buffers = atomic_long_read(&heap->buffers),
	};
	if (heap->pool->stats)
		heap->pool->stats(heap, stats);
}

/* dmem says -EAGAIN at a limit, which programs take for "at once again". */
static int rmem_charge(struct rmem_buffer *buf)
{
	if (!buf->heap->cgroup)
		return 0;
	return dmem_cgroup_try_charge(buf->heap->cgroup, rmem_buffer_taken(buf),
				      &buf->charge, NULL) ? -ENOMEM : 0;
}

static void rmem_uncharge(struct rmem_buffer *buf)
{
	if (buf->charge)
		dmem_cgroup_uncharge(buf->charge, rmem_buffer_taken(buf));
}

/**
 * rmem_buffer_alloc() - memory of a heap, without a dma-buf around it
 * @heap: an exported heap
 * @len: bytes, whole pages
 *
 * Context: may sleep.
 * Return: the buffer, or an ERR_PTR as from rmem_buffer_create().
 */
struct rmem_buffer *rmem_buffer_alloc(struct rmem_heap *heap, size_t len)
{
	struct rmem_buffer *buf;
	int ret;

	buf = kmalloc_obj(*buf);
	if (!buf)
		return ERR_PTR(-ENOMEM);

	*buf = (struct rmem_buffer) { .heap = heap, .len = len };
	ret = rmem_charge(buf);
	if (ret)
		goto err_free;
	ret = heap->pool->alloc(heap, buf);
	if (ret)
		goto err_uncharge;
	rmem_account(buf);

	if (!heap->pool->clears) {
		ret = rmem_buffer_clear(buf);
		if (ret) {
			rmem_buffer_free(buf);
			return ERR_PTR(ret);
		}
	}
	return buf;

err_uncharge:
	rmem_uncharge(buf);
err_free:
	kfree(buf);
	return ERR_PTR(ret);
}

/**
 * rmem_buffer_free() - give the memory of a buffer back
 * @buf: from rmem_buffer_alloc()
 *
 * Context: may sleep.
 */
void rmem_buffer_free(struct rmem_buffer *buf)
{
	struct rmem_heap *heap = buf->heap;

	rmem_uncharge(buf);
	rmem_unaccount(buf);
	heap->pool->free(heap, buf);
}

/**
 * rmem_buffer_create() - allocate a buffer and export it
 * @heap: an exported heap
 * @len: bytes, rounded up to whole pages
 * @fd_flags: access mode of the file, O_RDONLY to O_RDWR
 *
 * Context: may sleep.
 * Return: a dma-buf, or an ERR_PTR: -EINVAL if @len is 0 or wraps, -ENOMEM if the region
 * does not have it (there is no other memory to fall back to) or the control group may not
 * have it, -ENODEV if nobody asks for the heap any more, -EINTR if the caller was
 * killed while it waited for memory to be cleared.
 */
struct dma_buf *rmem_buffer_create(struct rmem_heap *heap, size_t len, u32 fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct rmem_buffer *buf;
	struct dma_buf *dmabuf;

	len = PAGE_ALIGN(len);
	if (!len)
		return ERR_PTR(-EINVAL);
	if (len > heap->rmem->size)
		return ERR_PTR(-ENOMEM);
	if (!rmem_heap_is_active(heap))
		return ERR_PTR(-ENODEV);

	buf = rmem_buffer_alloc(heap, len);
	if (IS_ERR(buf))
		return ERR_CAST(buf);

	exp_info.exp_name = heap->name;
	exp_info.ops = heap->memory == RMEM_DEVICE_ONLY ? &rmem_device_only_buf_ops :
							  &rmem_buf_ops;
	exp_info.size = buf->len;
	exp_info.flags = fd_flags;
	exp_info.priv = buf;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf))
		rmem_buffer_free(buf);
	return dmabuf;
}
