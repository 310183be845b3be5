/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reserved memory as dma-buf heaps: what the three parts share.
 *
 * rmem_heap.c       knows the regions: what each one is, who may have it, its heap
 * rmem_heap_pool.c  the allocators behind the regions, one struct rmem_pool each
 * rmem_heap_buf.c   the dma-buf exporter, the same for all of them
 */
#ifndef _KERNEL_DMA_RMEM_HEAP_H
#define _KERNEL_DMA_RMEM_HEAP_H

#include <linux/list.h>
#include <linux/rmem_heap.h>
#include <linux/types.h>

struct device_node;
struct dma_heap;
struct gen_pool;
struct reserved_mem;
struct rmem_heap;

/**
 * enum rmem_memory - how the memory of a heap may be touched
 * @RMEM_LINEAR: cached and in the linear map (or highmem): it has struct pages
 * @RMEM_WC: mapped write-combined, outside the linear map: no cache maintenance
 * @RMEM_DEVICE_ONLY: never mapped by the CPU
 */
enum rmem_memory {
	RMEM_LINEAR,
	RMEM_WC,
	RMEM_DEVICE_ONLY,
};

/**
 * struct rmem_buffer - one allocation, the private data of a dma-buf
 * @heap: the heap it came from
 * @len: bytes, whole pages
 * @nr: number of extents
 * @extents: the memory, as the allocator gave it: each one is freed by itself
 * @extent: the array, when there is just one
 * @vaddr: RMEM_WC: the address in the mapping that the pool has; RMEM_LINEAR: the
 *	vmap, while there is one
 */
struct rmem_buffer {
	struct rmem_heap *heap;
	size_t len;
	unsigned int nr;
	struct phys_vec *extents;
	struct phys_vec extent;
	void *vaddr;
};

/**
 * struct rmem_pool - an allocator
 * @name: the function that memory comes from, for people
 * @clears: true if @alloc gives cleared memory
 * @assigned: the pointer that the core put into the device it assigned the region to;
 *	NULL for allocators that devices do not have
 * @init: make the pool of a heap, set its memory type; may sleep. 0 or an errno
 * @exit: undo @init
 * @alloc: set extents (and vaddr if RMEM_WC) of a buffer of buf->len bytes; may sleep.
 *	0, or -ENOMEM when the region does not have it
 * @free: give the extents back
 */
struct rmem_pool {
	const char *name;
	bool clears;
	void *(*assigned)(struct device *dev);
	int (*init)(struct rmem_heap *heap);
	void (*exit)(struct rmem_heap *heap);
	int (*alloc)(struct rmem_heap *heap, struct rmem_buffer *buf);
	void (*free)(struct rmem_heap *heap, struct rmem_buffer *buf);
};

/**
 * enum rmem_verdict - what a region is to us
 * @RMEM_FREE: for anybody whom its mode serves
 * @RMEM_OWNED: somebody else manages it
 * @RMEM_DISABLED: its node is disabled
 * @RMEM_REFUSED: it is not usable: the kernel refused it, or it is not what it says
 */
enum rmem_verdict {
	RMEM_FREE,
	RMEM_OWNED,
	RMEM_DISABLED,
	RMEM_REFUSED,
};

/**
 * enum rmem_place - where the memory of a region was found at boot
 * @RMEM_PLACE_BAD: not all of it is ours: never reserved, or part of something else
 * @RMEM_PLACE_MAPPED: reserved RAM, mapped by the kernel
 * @RMEM_PLACE_UNMAPPED: outside the kernel's memory map
 */
enum rmem_place {
	RMEM_PLACE_BAD,
	RMEM_PLACE_MAPPED,
	RMEM_PLACE_UNMAPPED,
};

/**
 * struct rmem_heap - a reserved-memory region, and its heap if it is exported
 *
 * Made during boot and never removed: nothing here changes after the heaps are
 * registered, so that readers need no lock.
 *
 * @list: in the list of all regions
 * @name: of the node, with its unit address
 * @of_node: the node
 * @rmem: what the core made of it; NULL if nothing
 * @verdict: may it be used
 * @reason: why not, or whose it is
 * @mode: valid unless disabled or refused
 * @place: where the memory is
 * @held_back: the administrator does not want a heap
 * @exported_by: who asked for the heap; NULL if there is none
 * @memory: how the memory may be touched; exported regions
 * @pool: the allocator; exported regions
 * @dev: the device that the region is assigned to on behalf of the heap
 * @heap: the heap
 * @gen_pool: carveout: the pool
 * @vaddr: carveout that is RMEM_WC: its mapping
 */
struct rmem_heap {
	struct list_head list;
	const char *name;
	struct device_node *of_node;
	struct reserved_mem *rmem;
	enum rmem_verdict verdict;
	char reason[128];
	enum rmem_heap_mode mode;
	enum rmem_place place;
	bool held_back;
	const char *exported_by;

	enum rmem_memory memory;
	const struct rmem_pool *pool;
	struct device *dev;
	struct dma_heap *heap;
	struct gen_pool *gen_pool;
	void *vaddr;
};

/* What a list of region names says about one of them, see rmem_policy_match() */
enum rmem_match {
	RMEM_MATCH_NONE,
	RMEM_MATCH_ALL,
	RMEM_MATCH_NAME,
	RMEM_MATCH_HOLD,
};

/* rmem_heap.c */
extern struct list_head rmem_heaps;
void rmem_heap_judge(struct rmem_heap *heap, struct device_node *root);
const char *rmem_heap_name_problem(const char *name);
enum rmem_match rmem_policy_match(const char *list, const char *name);
bool rmem_policy_next(const char **list, const char **word, size_t *len);

/* rmem_heap_pool.c */
const struct rmem_pool *rmem_pool_for(enum rmem_heap_mode mode);
bool rmem_pool_shared(const struct rmem_heap *heap, struct device *dev);
bool rmem_pool_decrypted(const struct rmem_heap *heap);

/* rmem_heap_buf.c */
struct dma_buf *rmem_buffer_create(struct rmem_heap *heap, size_t len, u32 fd_flags);

#endif /* _KERNEL_DMA_RMEM_HEAP_H */
