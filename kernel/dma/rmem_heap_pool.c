// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the allocators that devices have, too.
 *
 * CMA, coherent and restricted memory comes from the functions that the DMA API itself
 * ends in for a device of the region. Never from dma_alloc_*(): it goes on to the page
 * allocator when the region is full.
 */

#include <linux/cma.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/of_reserved_mem.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

#include "rmem_heap.h"

/*
 * CMA: what dma_alloc_contiguous() calls for a device of the region, without its way out
 * to other areas and to the page allocator.
 */
#ifdef CONFIG_DMA_CMA
static void *rmem_cma_assigned(struct device *dev)
{
	return dev->cma_area;
}

static int rmem_cma_init(struct rmem_heap *heap)
{
	const struct cma *cma = heap->rmem->priv;

	/* An area that could not be activated has given its pages away. */
	if (cma_get_size(cma) != heap->rmem->size ||
	    cma_get_base(cma) != heap->rmem->base)
		return -ENXIO;

	heap->memory = RMEM_LINEAR;
	return 0;
}

static int rmem_cma_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	unsigned int align = min_t(unsigned int, get_order(buf->len),
				   CONFIG_CMA_ALIGNMENT);
	struct page *page;

	page = cma_alloc(heap->rmem->priv, buf->len >> PAGE_SHIFT, align, true);
	if (!page)
		return -ENOMEM;

	rmem_set_extent(buf, page_to_phys(page));
	return 0;
}

static void rmem_cma_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	cma_release(heap->rmem->priv, phys_to_page(buf->extent.paddr),
		    buf->len >> PAGE_SHIFT);
	kfree(buf);
}

static u64 rmem_cma_free_bytes(const struct rmem_heap *heap)
{
	return (u64)cma_get_available(heap->rmem->priv) << PAGE_SHIFT;
}

static const struct rmem_pool rmem_pool_cma = {
	.name = "cma_alloc",
	.assigned = rmem_cma_assigned,
	.init = rmem_cma_init,
	.alloc = rmem_cma_alloc,
	.free = rmem_cma_free,
	.free_bytes = rmem_cma_free_bytes,
};
#endif /* CONFIG_DMA_CMA */

/*
 * Coherent: the pool maps its memory write-combined, clears what it hands out and rounds
 * to a power of two pages; the order on free must be the one of the allocation.
 */
#ifdef CONFIG_DMA_DECLARE_COHERENT
static void *rmem_coherent_assigned(struct device *dev)
{
	return dev->dma_mem;
}

static int rmem_coherent_init(struct rmem_heap *heap)
{
	heap->memory = RMEM_WC;
	return 0;
}

static int rmem_coherent_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	dma_addr_t addr;

	if (!dma_alloc_from_dev_coherent(heap->dev, buf->len, &addr, &buf->vaddr) ||
	    !buf->vaddr)
		return -ENOMEM;

	rmem_set_extent(buf, dma_to_phys(heap->dev, addr));
	return 0;
}

static void rmem_coherent_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	dma_release_from_dev_coherent(heap->dev, get_order(buf->len), buf->vaddr);
	kfree(buf);
}

static u64 rmem_coherent_free_bytes(const struct rmem_heap *heap)
{
	return dma_coherent_available(heap->dev);
}

static const struct rmem_pool rmem_pool_coherent = {
	.name = "dma_alloc_from_dev_coherent",
	.clears = true,
	.rounds = true,
	.assigned = rmem_coherent_assigned,
	.init = rmem_coherent_init,
	.alloc = rmem_coherent_alloc,
	.free = rmem_coherent_free,
	.free_bytes = rmem_coherent_free_bytes,
};
#endif /* CONFIG_DMA_DECLARE_COHERENT */

/*
 * Restricted: swiotlb hands out at most IO_TLB_SEGSIZE slots at a time, aligned by
 * physical address, so a buffer is a chain. Free wants the start of each chunk back.
 */
#ifdef CONFIG_DMA_RESTRICTED_POOL
static void *rmem_restricted_assigned(struct device *dev)
{
	return dev->dma_io_tlb_mem;
}

static int rmem_restricted_init(struct rmem_heap *heap)
{
	heap->memory = RMEM_LINEAR;
	return 0;
}

static void rmem_restricted_release(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	const struct phys_vec *chunk = buf->extents;
	unsigned int i;

	for (i = 0; i < buf->nr; i++, chunk++)
		swiotlb_free(heap->dev, phys_to_page(chunk->paddr), chunk->len);
	kvfree(buf->extents);
}

static void rmem_restricted_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	rmem_restricted_release(heap, buf);
	kfree(buf);
}

/* Room for one more chunk, doubling */
static int rmem_restricted_grow(struct rmem_buffer *buf)
{
	struct phys_vec *extents;

	if (buf->nr && !is_power_of_2(buf->nr))
		return 0;

	extents = kvrealloc(buf->extents,
			    array_size(max(2 * buf->nr, 1), sizeof(*extents)), GFP_KERNEL);
	if (!extents)
		return -ENOMEM;

	buf->extents = extents;
	return 0;
}

static int rmem_restricted_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	unsigned long attrs = rmem_pool_decrypted(heap) ? __DMA_ATTR_ALLOC_CC_SHARED : 0;
	unsigned int order = min(get_order(buf->len),
				 get_order(IO_TLB_SEGSIZE << IO_TLB_SHIFT));
	size_t left = buf->len;

	while (left) {
		size_t len = min_t(size_t, left, PAGE_SIZE << order);
		struct page *page;

		if (rmem_restricted_grow(buf))
			goto err_release;

		page = swiotlb_alloc(heap->dev, len, attrs);
		if (!page) {
			/*
			 * No free chunk of this order: fragmented, or the pool's base is
			 * not aligned to it, so that there is none at all.
			 */
			if (!order)
				goto err_release;
			order--;
			continue;
		}

		buf->extents[buf->nr].paddr = page_to_phys(page);
		buf->extents[buf->nr].len = len;
		buf->nr++;
		left -= len;
	}

	return 0;

err_release:
	rmem_restricted_release(heap, buf);
	return -ENOMEM;
}

static u64 rmem_restricted_free_bytes(const struct rmem_heap *heap)
{
	return swiotlb_available(heap->dev);
}

static const struct rmem_pool rmem_pool_restricted = {
	.name = "swiotlb_alloc",
	.assigned = rmem_restricted_assigned,
	.init = rmem_restricted_init,
	.alloc = rmem_restricted_alloc,
	.free = rmem_restricted_free,
	.free_bytes = rmem_restricted_free_bytes,
};

static bool rmem_is_restricted(const struct rmem_heap *heap)
{
	return heap->pool == &rmem_pool_restricted;
}
#else
static bool rmem_is_restricted(const struct rmem_heap *heap)
{
	return false;
}
#endif /* CONFIG_DMA_RESTRICTED_POOL */

/**
 * rmem_pool_shared() - does a device bounce through the pool of a restricted heap
 * @heap: the heap
 * @dev: an importer
 *
 * Return: true if the DMA API would take its slots for @dev from where the buffers of
 * @heap come from.
 */
bool rmem_pool_shared(const struct rmem_heap *heap, struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	return rmem_is_restricted(heap) && dev->dma_io_tlb_mem == heap->rmem->priv;
#else
	return false;
#endif
}

/**
 * rmem_pool_decrypted() - is the memory of a heap shared with the host
 * @heap: the heap
 *
 * Return: true for restricted pools of guests with encrypted memory.
 */
bool rmem_pool_decrypted(const struct rmem_heap *heap)
{
#ifdef CONFIG_SWIOTLB
	const struct io_tlb_mem *mem = heap->rmem->priv;

	return rmem_is_restricted(heap) && mem->cc_shared;
#else
	return false;
#endif
}

/**
 * rmem_pool_for() - the allocator of a mode
 * @mode: the mode
 *
 * Return: the allocator, NULL if it is not configured.
 */
const struct rmem_pool *rmem_pool_for(enum rmem_heap_mode mode)
{
	switch (mode) {
#ifdef CONFIG_DMA_CMA
	case RMEM_HEAP_CMA:
		return &rmem_pool_cma;
#endif
#ifdef CONFIG_DMA_DECLARE_COHERENT
	case RMEM_HEAP_COHERENT:
		return &rmem_pool_coherent;
#endif
#ifdef CONFIG_DMA_RESTRICTED_POOL
	case RMEM_HEAP_RESTRICTED:
		return &rmem_pool_restricted;
#endif
	case RMEM_HEAP_CARVEOUT:
		return &rmem_pool_carveout;
	default:
		return NULL;
	}
}
