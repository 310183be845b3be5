/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reserved memory as dma-buf heaps: the interface for drivers and for cma_heap.
 */
#ifndef _LINUX_RMEM_HEAP_H
#define _LINUX_RMEM_HEAP_H

#include <linux/err.h>
#include <linux/types.h>

struct cma;
struct device;
struct dma_buf;
struct rmem_heap;

/**
 * enum rmem_heap_mode - the allocator behind a reserved-memory region
 * @RMEM_HEAP_CMA: "shared-dma-pool" with "reusable": the region's CMA area.
 *	Contiguous buffers, cached.
 * @RMEM_HEAP_COHERENT: "shared-dma-pool": the region's coherent pool.
 *	Contiguous buffers, write-combined, rounded to a power of two.
 * @RMEM_HEAP_RESTRICTED: "restricted-dma-pool": the region's swiotlb pool.
 *	Buffers are chains of chunks of at most 256 KiB, cached.
 * @RMEM_HEAP_CARVEOUT: any other region: a pool of the heap's own.
 *	Contiguous buffers, cached, or write-combined if the region is not RAM to the
 *	kernel; never mapped by the CPU if the node is no-map.
 */
enum rmem_heap_mode {
	RMEM_HEAP_CMA,
	RMEM_HEAP_COHERENT,
	RMEM_HEAP_RESTRICTED,
	RMEM_HEAP_CARVEOUT,
};

#ifdef CONFIG_RMEM_HEAP

struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index);
struct rmem_heap *rmem_heap_find_by_name(struct device *dev, const char *name);
enum rmem_heap_mode rmem_heap_get_mode(const struct rmem_heap *heap);
struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len, u32 fd_flags);
bool rmem_heap_hides_cma(const struct cma *cma, bool alias);

#else

static inline struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index)
{
	return ERR_PTR(-ENODEV);
}

static inline struct rmem_heap *rmem_heap_find_by_name(struct device *dev,
						       const char *name)
{
	return ERR_PTR(-ENODEV);
}

static inline enum rmem_heap_mode rmem_heap_get_mode(const struct rmem_heap *heap)
{
	return RMEM_HEAP_CARVEOUT;
}

static inline struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len,
					      u32 fd_flags)
{
	return ERR_PTR(-ENODEV);
}

static inline bool rmem_heap_hides_cma(const struct cma *cma, bool alias)
{
	return false;
}

#endif /* CONFIG_RMEM_HEAP */

#endif /* _LINUX_RMEM_HEAP_H */
