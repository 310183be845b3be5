/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reserved memory as dma-buf heaps: the structures that the files share.
 *
 * rmem_heap.c           order of the boot, exports, the interface for drivers
 * rmem_heap_policy.c    rmem_heap.export=, who requests a heap, and why a region has none
 * rmem_heap_sysfs.c     the regions in sysfs
 * rmem_heap_owner.c     who uses the memory of a region
 * rmem_heap_memory.c    whether a region is memory, and nobody else's
 * rmem_heap_region.c    mode and status of a region
 * rmem_heap_buf.c       the life of a buffer
 * rmem_heap_import.c    importers: attach, map, CPU access
 * rmem_heap_map.c       mappings for programs and for the kernel
 * rmem_heap_carveout.c  the allocator of carveouts
 * rmem_heap_pool.c      CMA, coherent and restricted pools; clearing
 *
 * A file calls only files below it in this list.
 */
#ifndef _KERNEL_DMA_RMEM_H
#define _KERNEL_DMA_RMEM_H

#include <linux/atomic.h>
#include <linux/dma-direction.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rmem_heap.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct device_node;
struct dma_buf_attachment;
struct dma_heap;
struct dmem_cgroup_pool_state;
struct dmem_cgroup_region;
struct iosys_map;
struct notifier_block;
struct reserved_mem;
struct rmem_carveout;
struct seq_file;
struct sg_table;

/* Buffers of carveouts are aligned up to the size of large entries in page tables. */
#define RMEM_ALIGN_MAX	SZ_2M

/**
 * enum rmem_memory - how the memory of a heap may be accessed
 * @RMEM_LINEAR: RAM with struct pages, in the linear map or in high memory; cached
 * @RMEM_WC: mapped write-combined, outside the linear map; no cache maintenance
 * @RMEM_DEVICE_ONLY: never mapped by the CPU
 */
enum rmem_memory {
	RMEM_LINEAR,
	RMEM_WC,
	RMEM_DEVICE_ONLY,
};

/**
 * enum rmem_status - whether an allocator can manage a region; who owns it is another question
 * @RMEM_AVAILABLE: an allocator can manage the memory
 * @RMEM_DISABLED: the status of the node is not "okay"
 * @RMEM_INVALID: the kernel refused the node, or the memory is not reserved for it
 */
enum rmem_status {
	RMEM_AVAILABLE,
	RMEM_DISABLED,
	RMEM_INVALID,
};

/**
 * struct rmem_region - a child of /reserved-memory; made at boot, never removed
 * @list: entry in the list of all regions: CMA areas first, then in the order of the tree
 * @name: name of the node, with its unit address
 * @of_node: the node
 * @rmem: the kernel's entry for the node; NULL if the kernel refused the node
 * @mode: allocator that the node asks for
 * @status: whether the region can have a heap
 * @reason: the cause of @status, or why there is no heap
 * @owned: a driver, a device or firmware uses the memory by its address; a heap needs the exact
 *	name in rmem_heap.export=, or that driver
 * @owner: what tells so in the device tree. Of a pool that is not @owned: why "*" leaves it out;
 *	of a CMA area: who else gets the memory. Empty if nothing tells
 * @linear: the memory is reserved RAM that the kernel maps
 * @blocked: rmem_heap.export=!name forbids a heap
 * @dev: device of the region in sysfs, which gets the region assigned for the heap; NULL if
 *	sysfs cannot show the region
 * @heap: the heap, set once, when all its fields are set; NULL if the region has none
 */
struct rmem_region {
	struct list_head list;
	const char *name;
	struct device_node *of_node;
	struct reserved_mem *rmem;
	enum rmem_heap_mode mode;
	enum rmem_status status;
	char reason[512];
	bool owned;
	char owner[256];
	bool linear;
	bool blocked;
	struct device *dev;
	struct rmem_heap *heap;
};

/**
 * struct rmem_heap - the heap of a region; made by an export, never removed
 * @region: the region
 * @ops: the allocator
 * @dma_heap: the heap's entry in dma-heap
 * @carveout: state of the carveout allocator; NULL for pools
 * @memory: how the memory may be accessed
 * @flags: RMEM_HEAP_KEEP and RMEM_HEAP_WC, as the driver that made the heap has set them
 * @requested_by: the first that requested the heap, as text for people
 * @active: number of exports in force; buffers are allocated only while there is one
 * @allocating: number of allocations in flight: the last export ends when they have ended
 * @cgroup: region of the dmem controller that buffers are charged to; NULL if none is
 * @used: bytes in buffers, with the rounding of the allocator
 * @peak: largest value that @used has had
 * @buffers: number of buffers
 */
struct rmem_heap {
	struct rmem_region *region;
	const struct rmem_pool_ops *ops;
	struct dma_heap *dma_heap;
	struct rmem_carveout *carveout;
	enum rmem_memory memory;
	unsigned int flags;
	const char *requested_by;
	unsigned int active;
	atomic_t allocating;
	struct dmem_cgroup_region *cgroup;

	atomic_long_t used;
	atomic_long_t peak;
	atomic_long_t buffers;
};

/**
 * struct rmem_buffer - one allocation, the private data of a dma-buf
 * @heap: the heap
 * @len: bytes, whole pages
 * @nr: number of extents
 * @extent: the memory of a buffer that is one extent
 * @extents: the memory, as the allocator gave it; each extent is freed by itself
 * @vaddr: RMEM_WC: address in the mapping of the pool; RMEM_LINEAR: kernel mapping while a
 *	.vmap is in force
 * @charge: state of the control group that the buffer is charged to; NULL if none is
 *
 * 64 bytes on 64-bit machines: one object of the slab allocator, one cache line.
 */
struct rmem_buffer {
	struct rmem_heap *heap;
	size_t len;
	unsigned int nr;
	struct phys_vec extent;
	struct phys_vec *extents;
	void *vaddr;
	struct dmem_cgroup_pool_state *charge;
};

/**
 * struct rmem_stats - how much of a heap is in use
 * @used: bytes in buffers, with the rounding of the allocator
 * @peak: largest value that @used has had
 * @buffers: number of buffers
 * @largest_free: bytes of the largest free block; carveouts
 * @dirty: bytes that are free and not cleared yet; carveouts
 * @lost: bytes that could not be cleared and are never used again; carveouts
 */
struct rmem_stats {
	u64 used;
	u64 peak;
	u64 buffers;
	u64 largest_free;
	u64 dirty;
	u64 lost;
};

/**
 * struct rmem_pool_ops - an allocator
 * @name: the function that memory comes from, as text for people
 * @rounds: the allocator takes a power of two of pages for any size
 * @assigned: the pool that the core has put into a device; NULL if devices have none
 * @init: set the memory type of a heap and make what the allocator needs; may sleep. Writes
 *	the reason of the region and returns an errno on failure
 * @exit: undo @init
 * @start: the first export is complete, or the first one after none: free memory may be
 *	cleared. NULL if it never is. May be called again before @stop
 * @stop: the last export has ended: access no free memory until the next @start; may sleep
 * @alloc: set the extents, and @vaddr if RMEM_WC, of a buffer of @len bytes, all cleared
 *	unless RMEM_DEVICE_ONLY; may sleep. -ENOMEM if the region has no room, -EINTR if the
 *	task was killed
 * @free: give the extents back
 * @stats: set the fields that only the allocator knows; NULL if it knows none
 * @available: bytes that the region has left, for the heap and for devices
 */
struct rmem_pool_ops {
	const char *name;
	bool rounds;
	void *(*assigned)(struct device *dev);
	int (*init)(struct rmem_heap *heap);
	void (*exit)(struct rmem_heap *heap);
	void (*start)(struct rmem_heap *heap);
	void (*stop)(struct rmem_heap *heap);
	int (*alloc)(struct rmem_heap *heap, struct rmem_buffer *buf);
	void (*free)(struct rmem_heap *heap, struct rmem_buffer *buf);
	void (*stats)(const struct rmem_heap *heap, struct rmem_stats *stats);
	u64 (*available)(const struct rmem_heap *heap);
};

/**
 * enum rmem_match - what a list of region names says about one region
 * @RMEM_MATCH_NONE: nothing
 * @RMEM_MATCH_ALL: "*", all pools
 * @RMEM_MATCH_NAME: the name of the region
 * @RMEM_MATCH_BLOCK: "!" and the name of the region
 */
enum rmem_match {
	RMEM_MATCH_NONE,
	RMEM_MATCH_ALL,
	RMEM_MATCH_NAME,
	RMEM_MATCH_BLOCK,
};

/* The heap of a region, NULL if there is none */
static inline struct rmem_heap *rmem_region_heap(const struct rmem_region *region)
{
	/* Pairs with heap_publish(): a reader of the pointer sees all fields. */
	return smp_load_acquire(&region->heap);
}

/* Sets why a region has no heap. */
#define rmem_set_reason(_region, ...) \
	snprintf((_region)->reason, sizeof((_region)->reason), __VA_ARGS__)

static inline void rmem_set_extent(struct rmem_buffer *buf, phys_addr_t paddr)
{
	buf->extent.paddr = paddr;
	buf->extent.len = buf->len;
	buf->extents = &buf->extent;
	buf->nr = 1;
}

/* Is an extent, or its end, high memory, which has no permanent mapping? */
static inline bool rmem_extent_is_high(const struct phys_vec *extent)
{
	return PageHighMem(phys_to_page(extent->paddr + extent->len - 1));
}

/* Makes a region invalid, unless its status says already why it can have no heap */
#define rmem_invalidate(_region, ...) do {					\
	struct rmem_region *__region = (_region);				\
										\
	if (__region->status == RMEM_AVAILABLE)					\
		rmem_heap_set_status(__region, RMEM_INVALID, __VA_ARGS__);	\
} while (0)

/* rmem_heap.c */
extern struct list_head rmem_regions;
const struct rmem_pool_ops *rmem_heap_pool_ops(enum rmem_heap_mode mode);

/* rmem_heap_policy.c */
bool rmem_heap_policy_next(const char **list, const char **word, size_t *len);
enum rmem_match rmem_heap_policy_match(const char *list, const char *name);
const char *rmem_heap_policy_request(struct rmem_region *region);
bool rmem_heap_policy_explain(struct rmem_region *region);
void rmem_heap_policy_check_names(const struct list_head *regions);

/* rmem_heap_sysfs.c */
int rmem_heap_add_class(void);
int rmem_heap_add_device(struct rmem_region *region);
void rmem_heap_update_device(struct rmem_region *region);
void rmem_heap_link_device(struct rmem_region *region, struct device *dev);
void rmem_heap_unlink_device(struct rmem_region *region, struct device *dev);

/* rmem_heap_region.c */
const char *rmem_heap_name_problem(const char *name);
const char *rmem_heap_kind(const struct rmem_region *region);
__printf(3, 4)
void rmem_heap_set_status(struct rmem_region *region, enum rmem_status status,
			  const char *fmt, ...);
void rmem_heap_print_place(const struct rmem_region *region, char *buf, size_t len);
void rmem_heap_classify(struct rmem_region *region);
int rmem_heap_count_entries(const struct device_node *np, const char *name, u32 na, u32 ns);
u64 rmem_heap_read_cells(const struct device_node *np, const char *name, int cell, int n);
bool rmem_heap_has_reg(const struct device_node *np);

/* rmem_heap_memory.c */
void rmem_heap_validate(const struct list_head *regions);

/* rmem_heap_owner.c */
void rmem_heap_find_owner(struct rmem_region *region);
void rmem_heap_find_users(const struct list_head *regions, struct device_node *root);

/* rmem_heap_buf.c */
struct rmem_buffer *rmem_heap_buffer_alloc(struct rmem_heap *heap, size_t len);
void rmem_heap_buffer_free(struct rmem_buffer *buf);
struct dma_buf *rmem_heap_buffer_export(struct rmem_heap *heap, size_t len, u32 fd_flags);
void rmem_heap_account(const struct rmem_buffer *buf);
void rmem_heap_stats(const struct rmem_heap *heap, struct rmem_stats *stats);

/* rmem_heap_import.c */
int rmem_heap_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
void rmem_heap_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
struct sg_table *rmem_heap_map_dma(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir);
void rmem_heap_unmap_dma(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir);
int rmem_heap_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir);
int rmem_heap_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir);
int rmem_heap_refuse_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir);

/* rmem_heap_map.c */
int rmem_heap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);
int rmem_heap_vmap(struct dma_buf *dmabuf, struct iosys_map *map);
void rmem_heap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map);

/* rmem_heap_carveout.c */
extern const struct rmem_pool_ops rmem_heap_carveout_ops;
int rmem_heap_carveout_clear(struct rmem_heap *heap, const struct phys_vec *piece,
			     bool killable);
unsigned long rmem_heap_carveout_bad_page(const struct rmem_heap *heap, unsigned long at,
					  unsigned long end);
int rmem_heap_carveout_pm(struct notifier_block *nb, unsigned long action, void *data);
void rmem_heap_carveout_show(const struct rmem_heap *heap, struct seq_file *m);

/* rmem_heap_pool.c */
extern const struct rmem_pool_ops rmem_heap_cma_ops;
extern const struct rmem_pool_ops rmem_heap_coherent_ops;
extern const struct rmem_pool_ops rmem_heap_restricted_ops;
int rmem_heap_restricted_grow(struct rmem_buffer *buf);
bool rmem_heap_is_decrypted(const struct rmem_heap *heap);
int rmem_heap_clear(const struct phys_vec *extent, void *vaddr, bool killable);

/**
 * struct rmem_carveout - the pages of a carveout; page numbers count from the region's base
 * @heap: the heap
 * @list: entry in the list of all carveouts
 * @nr_pages: number of pages
 * @vaddr: RMEM_WC: the mapping of the region
 * @search: held by the one task that looks for a place; taken before @lock
 * @lock: protects all fields below but @scrubbing and @scrub. It is held to test, set or clear
 *	the bits of one extent, never to search for one or to clear memory
 * @used: pages that belong to a buffer, and lost pages
 * @dirty: pages that must be cleared before another buffer may have them. A page of a buffer
 *	is dirty from the time the buffer is handed out
 * @nr_used: number of bits set in @used
 * @nr_lost: number of pages that could not be cleared
 * @freed: memory has been freed since the worker last began: it is in the caches
 * @started: @scrub is enabled; changed by exports only, one at a time
 * @scrubbing: held by the worker while it clears a piece
 * @scrub: the worker: clears free pages that are dirty. Disabled while there is no export
 */
struct rmem_carveout {
	struct rmem_heap *heap;
	struct list_head list;
	unsigned long nr_pages;
	void *vaddr;

	struct mutex search;	/* outside @lock */
	spinlock_t lock;	/* inside @search and @scrubbing */
	unsigned long *used;
	unsigned long *dirty;
	unsigned long nr_used;
	unsigned long nr_lost;
	bool freed;
	bool started;

	struct mutex scrubbing;	/* outside @lock */
	struct work_struct scrub;
};

#endif /* _KERNEL_DMA_RMEM_H */
