/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reserved memory as dma-buf heaps: what the parts share.
 *
 * rmem_heap.c           knows the regions: what each is, who may have it, its heap
 * rmem_heap_pool.c      the allocators behind the regions, one struct rmem_pool each
 * rmem_heap_carveout.c  the one that is ours: a pool that is always clear
 * rmem_heap_buf.c       the dma-buf exporter, the same for all of them
 * rmem_heap_sysfs.c     the regions in sysfs
 */
#ifndef _KERNEL_DMA_RMEM_HEAP_H
#define _KERNEL_DMA_RMEM_HEAP_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rmem_heap.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct device_node;
struct dma_heap;
struct dmem_cgroup_pool_state;
struct dmem_cgroup_region;
struct gen_pool;
struct reserved_mem;
struct rmem_carveout;
struct rmem_heap;
struct seq_file;

/*
 * Carveout buffers start at a multiple of their size, up to this: from there on it is
 * large entries of CPU and IOMMU page tables that they gain.
 */
#define RMEM_ALIGN_MAX	SZ_2M

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
 * @extent: the memory, when it is just one extent
 * @extents: the memory, as the allocator gave it: each one is freed by itself
 * @vaddr: RMEM_WC: the address in the mapping that the pool has; RMEM_LINEAR: the
 *	vmap, while there is one
 * @charge: the control group that pays for it; NULL if none does
 * @dirty: after its life, while its memory waits to be cleared: see rmem_heap_carveout.c
 *
 * No more than 64 bytes on 64-bit machines, which is why @dirty has no place of its own.
 */
struct rmem_buffer {
	struct rmem_heap *heap;
	size_t len;
	unsigned int nr;
	struct phys_vec extent;
	struct dmem_cgroup_pool_state *charge;
	union {
		struct {
			struct phys_vec *extents;
			void *vaddr;
		};
		struct list_head dirty;
	};
};

static inline void rmem_set_extent(struct rmem_buffer *buf, phys_addr_t paddr)
{
	buf->extent.paddr = paddr;
	buf->extent.len = buf->len;
	buf->extents = &buf->extent;
	buf->nr = 1;
}

/**
 * struct rmem_stats - how much of a region is in use
 * @used: bytes in the heap's buffers, rounding of the allocator included
 * @peak: the most that has been in use at a time
 * @buffers: how many there are
 * @largest_free: bytes of the largest block that is free and clear; carveouts
 * @dirty: bytes that were freed and are not cleared yet; carveouts
 * @lost: bytes that could not be cleared; carveouts
 */
struct rmem_stats {
	u64 used;
	u64 peak;
	unsigned long buffers;
	u64 largest_free;
	u64 dirty;
	u64 lost;
};

/**
 * struct rmem_pool - an allocator
 * @name: the function that memory comes from, for people
 * @clears: true if @alloc gives cleared memory
 * @rounds: true if it takes a power of two pages for any size
 * @assigned: the pointer that the core put into the device it assigned the region to;
 *	NULL for allocators that devices do not have
 * @init: make the pool of a heap, set its memory type; may sleep. 0 or an errno
 * @exit: undo @init
 * @alloc: set extents (and vaddr if RMEM_WC) of a buffer of buf->len bytes; may sleep.
 *	0, or -ENOMEM when the region does not have it
 * @free: give the extents back, now or later, and free the buffer
 * @stats: fill in what only the allocator knows; NULL if it tells nothing
 * @free_bytes: what the whole pool has left, for devices and the heap
 */
struct rmem_pool {
	const char *name;
	bool clears;
	bool rounds;
	void *(*assigned)(struct device *dev);
	int (*init)(struct rmem_heap *heap);
	void (*exit)(struct rmem_heap *heap);
	int (*alloc)(struct rmem_heap *heap, struct rmem_buffer *buf);
	void (*free)(struct rmem_heap *heap, struct rmem_buffer *buf);
	void (*stats)(struct rmem_heap *heap, struct rmem_stats *stats);
	u64 (*free_bytes)(const struct rmem_heap *heap);
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
 * Made during boot and never removed. A driver that owns a region may export it later: then
 * what describes the heap is set, once and for all, before @exported_by is. So readers need
 * no lock.
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
 * @exported_by: who asked for the heap first; NULL if there is none
 * @active: how many ask for it now; without any, nothing is allocated
 * @flags: what its owner asked for, RMEM_HEAP_KEEP and RMEM_HEAP_WC
 * @memory: how the memory may be touched; exported regions
 * @pool: the allocator; exported regions
 * @dev: the region in sysfs, to which it is assigned on behalf of the heap
 * @heap: the heap
 * @carveout: carveout: the pool
 * @cgroup: what control groups limit; NULL if they do not
 * @used: bytes in buffers
 * @peak: the most that @used has been
 * @buffers: how many buffers there are
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
	unsigned int active;
	unsigned int flags;

	enum rmem_memory memory;
	const struct rmem_pool *pool;
	struct device *dev;
	struct dma_heap *heap;
	struct rmem_carveout *carveout;
	struct dmem_cgroup_region *cgroup;

	atomic_long_t used;
	atomic_long_t peak;
	atomic_long_t buffers;
};

static inline bool rmem_heap_exported(const struct rmem_heap *heap)
{
	/* Pairs with rmem_heap_activate(): what describes the heap was set before. */
	return smp_load_acquire(&heap->exported_by);
}

/* What a list of region names says about one of them, see rmem_policy_match() */
enum rmem_match {
	RMEM_MATCH_NONE,
	RMEM_MATCH_ALL,
	RMEM_MATCH_NAME,
	RMEM_MATCH_HOLD,
};

const char *rmem_heap_kind(const struct rmem_heap *heap);

/* rmem_heap_sysfs.c */
int rmem_heap_add_device(struct rmem_heap *heap);
void rmem_heap_show_heap(struct rmem_heap *heap);
void rmem_heap_link_device(struct rmem_heap *heap, struct device *dev);

/* rmem_heap.c */
extern struct list_head rmem_heaps;
bool rmem_heap_is_active(struct rmem_heap *heap);
void rmem_heap_judge(struct rmem_heap *heap, struct device_node *root);
const char *rmem_heap_name_problem(const char *name);
enum rmem_match rmem_policy_match(const char *list, const char *name);
bool rmem_policy_next(const char **list, const char **word, size_t *len);

/* rmem_heap_pool.c */
const struct rmem_pool *rmem_pool_for(enum rmem_heap_mode mode);
bool rmem_pool_shared(const struct rmem_heap *heap, struct device *dev);
bool rmem_pool_decrypted(const struct rmem_heap *heap);

/**
 * struct rmem_carveout - the pool of a carveout
 * @heap: the region
 * @pool: what may be handed out, all of it clear
 * @vaddr: RMEM_WC: the mapping
 * @lock: protects what follows, and keeps @pool in step with it: searches see each other
 *	whole, and what comes back is dirty no more
 * @dirty: buffers that were freed and not cleared yet, the oldest first
 * @dirty_bytes: how much that is, with what is being cleared
 * @lost_bytes: what could not be cleared, and is never given back
 * @cleared: bytes that have been cleared or lost; wraps
 * @urgent: allocations that nobody may overtake any more
 * @turn: held by the urgent one whose turn it is
 * @wait: where allocations wait for what others are clearing
 * @scrub: clears @dirty
 */
struct rmem_carveout {
	struct rmem_heap *heap;
	struct gen_pool *pool;
	void *vaddr;

	spinlock_t lock;	/* never held while memory is cleared */
	struct list_head dirty;
	size_t dirty_bytes;
	size_t lost_bytes;
	unsigned long cleared;
	unsigned int urgent;

	struct mutex turn;	/* taken before @lock */
	wait_queue_head_t wait;
	struct delayed_work scrub;
};

/* rmem_heap_carveout.c */
extern const struct rmem_pool rmem_pool_carveout;
unsigned long rmem_carveout_fit(unsigned long *map, unsigned long size,
				unsigned long start, unsigned int nr, void *data,
				struct gen_pool *pool, unsigned long start_addr);
void rmem_carveout_show(const struct rmem_heap *heap, struct seq_file *m);
int rmem_carveout_clear(struct rmem_heap *heap, const struct phys_vec *piece);
void rmem_carveout_scrub(struct work_struct *work);

/* rmem_heap_buf.c */
int rmem_clear(const struct rmem_heap *heap, const struct phys_vec *extent, void *vaddr,
	       bool killable);
void rmem_heap_stats(struct rmem_heap *heap, struct rmem_stats *stats);
void rmem_account(const struct rmem_buffer *buf);
void rmem_unaccount(const struct rmem_buffer *buf);
struct rmem_buffer *rmem_buffer_alloc(struct rmem_heap *heap, size_t len);
void rmem_buffer_free(struct rmem_buffer *buf);
struct dma_buf *rmem_buffer_create(struct rmem_heap *heap, size_t len, u32 fd_flags);

#endif /* _KERNEL_DMA_RMEM_HEAP_H */
