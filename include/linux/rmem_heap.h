/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reserved memory as dma-buf heaps: the interface for drivers and for cma_heap.
 */
#ifndef _LINUX_RMEM_HEAP_H
#define _LINUX_RMEM_HEAP_H

#include <linux/bits.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/of.h>
#include <linux/types.h>

struct cma;
struct dma_buf;
struct reserved_mem;
struct rmem_heap;

/**
 * enum rmem_heap_mode - the allocator behind a reserved-memory region
 * @RMEM_HEAP_CMA: "shared-dma-pool" with "reusable": the region's CMA area.
 *	Contiguous buffers, cached.
 * @RMEM_HEAP_COHERENT: "shared-dma-pool": the region's coherent pool.
 *	Contiguous buffers, write-combined, rounded to a power of two.
 * @RMEM_HEAP_RESTRICTED: "restricted-dma-pool": the region's swiotlb pool.
 *	Buffers are chains of chunks of at most 256 KiB, cached.
 * @RMEM_HEAP_CARVEOUT: any other region: an allocator of the heap's own.
 *	Contiguous buffers, cached, or write-combined if the kernel does not map the
 *	region; never mapped by the CPU if the node is no-map.
 */
enum rmem_heap_mode {
	RMEM_HEAP_CMA,
	RMEM_HEAP_COHERENT,
	RMEM_HEAP_RESTRICTED,
	RMEM_HEAP_CARVEOUT,
};

/**
 * enum rmem_heap_cpu - how the CPU can access the buffers of a heap
 * @RMEM_HEAP_CPU_CACHED: through cached mappings
 * @RMEM_HEAP_CPU_WC: through write-combined mappings
 * @RMEM_HEAP_CPU_NONE: not at all: buffers have no mmap and no vmap, and are not cleared
 */
enum rmem_heap_cpu {
	RMEM_HEAP_CPU_CACHED,
	RMEM_HEAP_CPU_WC,
	RMEM_HEAP_CPU_NONE,
};

/**
 * struct rmem_heap_info - properties that the buffers of a heap have
 * @mode: the allocator
 * @cpu: how the CPU can access the buffers
 * @contiguous: every buffer is one block of memory
 * @alignment: bytes; buffers start at multiples of their size, up to this. In a carveout if
 *	such a block is free, and for sizes that are a power of two
 * @max_buffer: bytes; size of the largest buffer that an empty region has room for
 */
struct rmem_heap_info {
	enum rmem_heap_mode mode;
	enum rmem_heap_cpu cpu;
	bool contiguous;
	size_t alignment;
	size_t max_buffer;
};

/* Flags of devm_rmem_heap_export(), for carveouts */
#define RMEM_HEAP_KEEP	BIT(0)
#define RMEM_HEAP_WC	BIT(1)

#ifdef CONFIG_RMEM_HEAP

struct rmem_heap *devm_rmem_heap_export(struct device *dev, unsigned int index,
					unsigned int flags);
void rmem_heap_get_info(const struct rmem_heap *heap, struct rmem_heap_info *info);
int rmem_heap_check_device(struct rmem_heap *heap, struct device *dev);
struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index);
struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len, u32 fd_flags);

/* For of_reserved_mem and cma_heap */
void rmem_heap_link(struct reserved_mem *rmem, struct device *dev);
void rmem_heap_unlink(struct reserved_mem *rmem, struct device *dev);
bool rmem_heap_owns_cma_area(const struct cma *cma, bool alias);

#else

static inline struct rmem_heap *devm_rmem_heap_export(struct device *dev,
						      unsigned int index,
						      unsigned int flags)
{
	return ERR_PTR(-ENODEV);
}

static inline void rmem_heap_get_info(const struct rmem_heap *heap,
				      struct rmem_heap_info *info)
{
}

static inline int rmem_heap_check_device(struct rmem_heap *heap, struct device *dev)
{
	return -ENODEV;
}

static inline struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index)
{
	return ERR_PTR(-ENODEV);
}

static inline struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len,
					      u32 fd_flags)
{
	return ERR_PTR(-ENODEV);
}

static inline void rmem_heap_link(struct reserved_mem *rmem, struct device *dev)
{
}

static inline void rmem_heap_unlink(struct reserved_mem *rmem, struct device *dev)
{
}

static inline bool rmem_heap_owns_cma_area(const struct cma *cma, bool alias)
{
	return false;
}

#endif /* CONFIG_RMEM_HEAP */

/**
 * devm_rmem_heap_export_by_name() - export a region that a driver owns as a heap, by name
 * @dev: the driver's device, with memory-region and memory-region-names properties
 * @name: name of the region in memory-region-names
 * @flags: see devm_rmem_heap_export()
 *
 * Context: may sleep. Call it in the probe function.
 * Return: as devm_rmem_heap_export(), with -ENODEV if memory-region-names has no such name.
 */
static inline struct rmem_heap *devm_rmem_heap_export_by_name(struct device *dev,
							      const char *name,
							      unsigned int flags)
{
	int index = of_property_match_string(dev->of_node, "memory-region-names", name);

	return index < 0 ? ERR_PTR(-ENODEV) : devm_rmem_heap_export(dev, index, flags);
}

/**
 * rmem_heap_find_by_name() - find the heap of a region that a device refers to, by name
 * @dev: the device, with memory-region and memory-region-names properties
 * @name: name of the region in memory-region-names
 *
 * Context: may sleep.
 * Return: as rmem_heap_find(), with -ENODEV if memory-region-names has no such name.
 */
static inline struct rmem_heap *rmem_heap_find_by_name(struct device *dev, const char *name)
{
	int index = of_property_match_string(dev->of_node, "memory-region-names", name);

	return index < 0 ? ERR_PTR(-ENODEV) : rmem_heap_find(dev, index);
}

#endif /* _LINUX_RMEM_HEAP_H */
