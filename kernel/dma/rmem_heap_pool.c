// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the pools that devices allocate from, too.
 *
 * A device of a coherent or restricted pool allocates from the pool and from nowhere else:
 * dma_alloc_coherent() returns what the coherent pool returned, and dma_alloc_pages() returns
 * NULL when swiotlb has no slots. The heap makes the same calls for the device of the region.
 * A device of a CMA area gets pages of the buddy allocator when the area is full, so the heap
 * calls cma_alloc() itself. dma_alloc_pages() for a device of a coherent pool ignores the
 * pool: never call it for one.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <kunit/static_stub.h>
#include <linux/cma.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/of_reserved_mem.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

#include "rmem.h"

/*
 * Bytes that are cleared between two looks at pending signals. clear_pages() is faster for
 * many pages than for one.
 */
#define POOL_CLEAR_BATCH \
	clamp_t(size_t, PROCESS_PAGES_NON_PREEMPT_BATCH << PAGE_SHIFT, SZ_64K, SZ_1M)

/*
 * Clears memory, through its write-combined mapping @vaddr or, if that is NULL, through its
 * struct pages. Returns -EINTR if @killable and the task was killed before the end.
 */
int rmem_heap_clear(const struct phys_vec *extent, void *vaddr, bool killable)
{
	bool high = !vaddr && rmem_extent_is_high(extent);
	size_t done, n;

	for (done = 0; done < extent->len; done += n) {
		phys_addr_t paddr = extent->paddr + done;

		if (killable && fatal_signal_pending(current))
			return -EINTR;
		n = min_t(size_t, extent->len - done, high ? PAGE_SIZE : POOL_CLEAR_BATCH);
		if (vaddr)
			memset(vaddr + done, 0, n);
		else if (high)
			clear_highpage(phys_to_page(paddr));
		else
			clear_pages(phys_to_virt(paddr), n >> PAGE_SHIFT);
		cond_resched();
	}
	if (vaddr)
		wmb();	/* Another CPU may start the device: empty the write-combining buffers. */
	return 0;
}

/* Whether the memory of a heap is shared with the host of a guest whose memory is encrypted */
bool rmem_heap_is_decrypted(const struct rmem_heap *heap)
{
#ifdef CONFIG_DMA_RESTRICTED_POOL
	const struct io_tlb_mem *mem = heap->region->rmem->priv;

	return heap->ops == &rmem_heap_restricted_ops && mem->cc_shared;
#else
	return false;
#endif
}

#ifdef CONFIG_DMA_CMA
static void *cma_assigned(struct device *dev)
{
	return dev->cma_area;
}

static int cma_heap_init(struct rmem_heap *heap)
{
	struct rmem_region *region = heap->region;
	const struct cma *cma = region->rmem->priv;

	/* cma_activate_area() gives the pages of an area away when it fails. */
	if (cma_get_size(cma) != region->rmem->size ||
	    cma_get_base(cma) != region->rmem->base) {
		rmem_set_reason(region, "its CMA area could not be activated");
		return -ENXIO;
	}

	heap->memory = RMEM_LINEAR;
	return 0;
}

static int cma_heap_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	unsigned int align = min_t(unsigned int, get_order(buf->len), CONFIG_CMA_ALIGNMENT);
	struct cma *cma = heap->region->rmem->priv;
	struct page *page;
	int ret;

	page = cma_alloc(cma, buf->len >> PAGE_SHIFT, align, true);
	if (!page)
		return -ENOMEM;

	rmem_set_extent(buf, page_to_phys(page));
	ret = rmem_heap_clear(&buf->extent, NULL, true);
	if (ret)
		cma_release(cma, page, buf->len >> PAGE_SHIFT);
	return ret;
}

static void cma_heap_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	cma_release(heap->region->rmem->priv, phys_to_page(buf->extent.paddr),
		    buf->len >> PAGE_SHIFT);
}

static u64 cma_heap_available(const struct rmem_heap *heap)
{
	return (u64)cma_get_available(heap->region->rmem->priv) << PAGE_SHIFT;
}

const struct rmem_pool_ops rmem_heap_cma_ops = {
	.name = "cma_alloc",
	.assigned = cma_assigned,
	.init = cma_heap_init,
	.alloc = cma_heap_alloc,
	.free = cma_heap_free,
	.available = cma_heap_available,
};
#endif /* CONFIG_DMA_CMA */

#ifdef CONFIG_DMA_DECLARE_COHERENT
static void *coherent_assigned(struct device *dev)
{
	return dev->dma_mem;
}

static int coherent_init(struct rmem_heap *heap)
{
	/* dma_init_coherent_memory() maps the pool so. */
	heap->memory = RMEM_WC;
	return 0;
}

/* The pool clears the bytes that are asked for, and takes a power of two of pages. */
static int coherent_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct device *dev = heap->region->dev;
	dma_addr_t addr;

	buf->vaddr = dma_alloc_coherent(dev, buf->len, &addr, GFP_KERNEL);
	if (!buf->vaddr)
		return -ENOMEM;

	rmem_set_extent(buf, dma_to_phys(dev, addr));
	return 0;
}

static void coherent_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct device *dev = heap->region->dev;

	dma_free_coherent(dev, buf->len, buf->vaddr, phys_to_dma(dev, buf->extent.paddr));
}

static u64 coherent_available(const struct rmem_heap *heap)
{
	return dma_coherent_available(heap->region->dev);
}

const struct rmem_pool_ops rmem_heap_coherent_ops = {
	.name = "dma_alloc_coherent",
	.rounds = true,
	.assigned = coherent_assigned,
	.init = coherent_init,
	.alloc = coherent_alloc,
	.free = coherent_free,
	.available = coherent_available,
};
#endif /* CONFIG_DMA_DECLARE_COHERENT */

#ifdef CONFIG_DMA_RESTRICTED_POOL
static void *restricted_assigned(struct device *dev)
{
	return dev->dma_io_tlb_mem;
}

static int restricted_init(struct rmem_heap *heap)
{
	heap->memory = RMEM_LINEAR;
	return 0;
}

static void restricted_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct device *dev = heap->region->dev;
	const struct phys_vec *chunk = buf->extents;
	unsigned int i;

	for (i = 0; i < buf->nr; i++, chunk++)
		dma_free_pages(dev, chunk->len, phys_to_page(chunk->paddr),
			       rmem_heap_is_decrypted(heap) ?
			       phys_to_dma_unencrypted(dev, chunk->paddr) :
			       phys_to_dma_encrypted(dev, chunk->paddr), DMA_BIDIRECTIONAL);
	kvfree(buf->extents);
}

/* Makes room for one more chunk, by doubling the array when it is full */
int rmem_heap_restricted_grow(struct rmem_buffer *buf)
{
	struct phys_vec *extents;

	KUNIT_STATIC_STUB_REDIRECT(rmem_heap_restricted_grow, buf);

	if (buf->nr && !is_power_of_2(buf->nr))
		return 0;

	extents = kvrealloc(buf->extents,
			    array_size(max(2 * buf->nr, 1), sizeof(*extents)), GFP_KERNEL);
	if (!extents)
		return -ENOMEM;

	buf->extents = extents;
	return 0;
}

/*
 * swiotlb allocates at most IO_TLB_SEGSIZE slots at a time, aligned by physical address, so
 * a buffer is a chain of chunks. dma_alloc_pages() clears each of them. An allocation of
 * several that cannot succeed must not take slots: mappings of devices would fail meanwhile.
 */
static int restricted_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	unsigned int order = min(get_order(buf->len),
				 get_order(IO_TLB_SEGSIZE << IO_TLB_SHIFT));
	struct device *dev = heap->region->dev;
	size_t left = buf->len;
	int ret = -ENOMEM;

	if (left > PAGE_SIZE << order && !swiotlb_has_available(dev, left))
		return ret;
	while (left) {
		size_t len = min_t(size_t, left, PAGE_SIZE << order);
		struct page *page;
		dma_addr_t addr;

		cond_resched();
		if (fatal_signal_pending(current))
			ret = -EINTR;
		if (ret == -EINTR || rmem_heap_restricted_grow(buf))
			goto err_free;

		page = dma_alloc_pages(dev, len, &addr, DMA_BIDIRECTIONAL,
				       GFP_KERNEL | __GFP_NOWARN);
		if (!page) {
			/*
			 * No free chunk of this order: the pool is fragmented, or its base
			 * is not aligned to the order, so that no chunk ever is.
			 */
			if (!order || !swiotlb_has_available(dev, left))
				goto err_free;
			order--;
			continue;
		}

		buf->extents[buf->nr].paddr = page_to_phys(page);
		buf->extents[buf->nr].len = len;
		buf->nr++;
		left -= len;
		order = min_t(unsigned int, order, get_order(left));
	}
	return 0;

err_free:
	restricted_free(heap, buf);
	return ret;
}

static u64 restricted_available(const struct rmem_heap *heap)
{
	return swiotlb_available(heap->region->dev);
}

const struct rmem_pool_ops rmem_heap_restricted_ops = {
	.name = "dma_alloc_pages",
	.assigned = restricted_assigned,
	.init = restricted_init,
	.alloc = restricted_alloc,
	.free = restricted_free,
	.available = restricted_available,
};
#endif /* CONFIG_DMA_RESTRICTED_POOL */

/**
 * rmem_heap_get_info() - the properties that buffers of a heap have
 * @heap: the heap
 * @info: filled in
 *
 * For drivers that need contiguous memory, or memory that the CPU can map.
 *
 * Context: any.
 */
void rmem_heap_get_info(const struct rmem_heap *heap, struct rmem_heap_info *info)
{
	static const enum rmem_heap_cpu cpu[] = {
		[RMEM_LINEAR] = RMEM_HEAP_CPU_CACHED,
		[RMEM_WC] = RMEM_HEAP_CPU_WC,
		[RMEM_DEVICE_ONLY] = RMEM_HEAP_CPU_NONE,
	};
	const struct reserved_mem *rmem = heap->region->rmem;

	*info = (struct rmem_heap_info) {
		.mode = heap->region->mode,
		.cpu = cpu[heap->memory],
		.contiguous = heap->region->mode != RMEM_HEAP_RESTRICTED,
		.max_buffer = rmem->size,
	};
	switch (info->mode) {
	case RMEM_HEAP_CMA:
#ifdef CONFIG_CMA_ALIGNMENT
		info->alignment = PAGE_SIZE << CONFIG_CMA_ALIGNMENT;
#endif
		break;
	case RMEM_HEAP_COHERENT:
		/* The pool aligns buffers to their size, counted from the base of the region. */
		info->max_buffer = rounddown_pow_of_two(rmem->size);
		info->alignment = info->max_buffer;
		if (rmem->base)
			info->alignment = min_t(u64, info->alignment,
						1ULL << __ffs64(rmem->base));
		break;
	case RMEM_HEAP_RESTRICTED:
		info->alignment = PAGE_SIZE;
		break;
	case RMEM_HEAP_CARVEOUT:
		info->alignment = RMEM_ALIGN_MAX;
		break;
	}
}
EXPORT_SYMBOL_GPL(rmem_heap_get_info);
