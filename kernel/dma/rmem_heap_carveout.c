// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the allocator of carveouts.
 *
 * The DMA API has no allocator for a plain region, so here is one: a bitmap of the pages that
 * are used, as coherent.c and cma.c have it, and a bitmap of the pages that are dirty, which
 * must be cleared before another buffer may have them. A worker clears free pages in the
 * background. An allocation prefers clear pages: then its time does not depend on the size of
 * the buffer. If no place is clear, the allocation takes a dirty place and clears it itself.
 *
 * A page that the worker clears stays free, and an allocation that gets dirty memory waits for
 * the worker to finish its piece. So a search sees all free pages, and fails only if no place was
 * large enough when it began.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/find.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>

#include "rmem.h"

/* Pages that are cleared at a time: a page that cannot be cleared makes as many unusable. */
#define CARVEOUT_PIECE		(SZ_256K >> PAGE_SHIFT)

/*
 * Pages of the largest buffer for which clearing memory that is in the caches costs less than
 * fetching clear memory into the caches: the documentation has the measurement.
 */
#define CARVEOUT_WARM		(SZ_16M >> PAGE_SHIFT)

/* Pages that the worker clears in one run: who stops or freezes it waits for no more. */
#define CARVEOUT_BATCH		(SZ_16M >> PAGE_SHIFT)

/* Microseconds that freed memory is left for the next allocation before the worker clears it */
#define CARVEOUT_SCRUB_DELAY	1000

static LIST_HEAD(carveouts);
static DEFINE_MUTEX(carveouts_mutex);

static struct workqueue_struct *carveout_wq __ro_after_init;
/* The workers clear nothing: a hibernation is being prepared. */
static bool carveouts_hibernate;

/* The first page from @at on that the hardware has reported as bad, @end if there is none */
unsigned long rmem_heap_carveout_bad_page(const struct rmem_heap *heap, unsigned long at,
					  unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(rmem_heap_carveout_bad_page, heap, at, end);

#ifdef CONFIG_MEMORY_FAILURE
	if (heap->memory == RMEM_LINEAR && atomic_long_read(&num_poisoned_pages))
		for (; at < end; at++)
			if (PageHWPoison(phys_to_page(heap->region->rmem->base + PFN_PHYS(at))))
				return at;
#endif
	return end;
}

/* Clears memory of a carveout. Returns -EINTR if @killable and the task was killed. */
int rmem_heap_carveout_clear(struct rmem_heap *heap, const struct phys_vec *piece,
			     bool killable)
{
	struct rmem_carveout *c = heap->carveout;

	KUNIT_STATIC_STUB_REDIRECT(rmem_heap_carveout_clear, heap, piece, killable);

	return rmem_heap_clear(piece, c->vaddr ?
			       c->vaddr + (piece->paddr - heap->region->rmem->base) : NULL,
			       killable);
}

/* Clears pages. -EHWPOISON if the hardware has reported one as bad: it must not be accessed. */
static int carveout_clear(struct rmem_carveout *c, unsigned long at, unsigned long end,
			  bool killable)
{
	struct phys_vec piece = {
		.paddr = c->heap->region->rmem->base + PFN_PHYS(at),
		.len = PFN_PHYS(end - at),
	};
	int ret = -EHWPOISON;

	if (rmem_heap_carveout_bad_page(c->heap, at, end) == end)
		ret = rmem_heap_carveout_clear(c->heap, &piece, killable);
	if (ret && ret != -EINTR)
		pr_err("%s: cannot clear %zu KiB at offset 0x%llx (error %d): not used any more\n",
		       c->heap->region->name, (size_t)piece.len / SZ_1K, (u64)PFN_PHYS(at),
		       ret);
	return ret;
}

/*
 * Alignment in pages: the largest that wastes no more than an eighth of the buffer, or a
 * sixty-fourth when less than a quarter of the region is free: alignment costs too much then
 */
static unsigned long carveout_alignment(const struct rmem_carveout *c, unsigned long nr)
{
	bool scarce = c->nr_pages - READ_ONCE(c->nr_used) < c->nr_pages / 4;
	unsigned long align = RMEM_ALIGN_MAX >> PAGE_SHIFT;

	while (round_up(nr, align) - nr > nr / (scarce ? 64 : 8))
		align /= 2;
	return align;
}

/* Marks pages as used or not. Called with @lock held. */
static void carveout_set_used(struct rmem_carveout *c, unsigned long at, unsigned long nr)
{
	bitmap_set(c->used, at, nr);
	WRITE_ONCE(c->nr_used, c->nr_used + nr);
}

static void carveout_clear_used(struct rmem_carveout *c, unsigned long at, unsigned long nr)
{
	bitmap_clear(c->used, at, nr);
	WRITE_ONCE(c->nr_used, c->nr_used - nr);
}

/* The first page from @at on that is aligned by physical address */
static unsigned long carveout_align(const struct rmem_carveout *c, unsigned long at,
				    unsigned long align)
{
	unsigned long base = PHYS_PFN(c->heap->region->rmem->base);

	return round_up(base + at, align) - base;
}

/* The next block of at least @nr zero bits from @from on, up to @end; false if there is none */
static bool carveout_next_block(unsigned long *map, unsigned long *from, unsigned long *to,
				unsigned long end, unsigned long nr)
{
	*from = bitmap_find_next_zero_area(map, end, *to, nr, 0);
	if (*from >= end)
		return false;
	*to = find_next_bit(map, end, *from + nr);
	return true;
}

/*
 * Looks for a place for a buffer in one pass over the bitmaps, from below. An aligned place comes
 * first, then a clear one. While memory is warm that was freed a moment ago, dirty places count
 * as clear: a task that allocates and frees without a pause gets its own memory again, instead
 * of memory from all over the region. Called with @search held and @lock not: what changes
 * meanwhile only adds to the free pages. Pages may become dirty; carveout_take() looks again.
 */
static unsigned long carveout_find(const struct rmem_carveout *c, unsigned long nr)
{
	unsigned long align = carveout_alignment(c, nr), none = c->nr_pages;
	unsigned long aligned = none, clear = none, any = none;
	unsigned long from, to = 0, clear_from, clear_to, at;
	bool warm = nr <= CARVEOUT_WARM && READ_ONCE(c->freed);

	while (carveout_next_block(c->used, &from, &to, none, nr)) {
		any = min(any, from);
		at = carveout_align(c, from, align);
		if (at + nr <= to) {
			if (warm)
				return at;
			aligned = min(aligned, at);
		}

		clear_to = from;
		while (carveout_next_block(c->dirty, &clear_from, &clear_to, to, nr)) {
			clear = min(clear, clear_from);
			at = carveout_align(c, clear_from, align);
			if (at + nr <= clear_to)
				return at;
		}
	}
	if (aligned < none)
		return aligned;
	return clear < none ? clear : any;
}

/* Takes a place for a buffer. @dirty: some of it has to be cleared by carveout_prepare() */
static int carveout_take(struct rmem_carveout *c, unsigned long nr, unsigned long *at,
			 bool *dirty)
{
	ACQUIRE(mutex_kill, search)(&c->search);
	int ret = ACQUIRE_ERR(mutex_kill, &search);
	unsigned long bad;

	if (ret)
		return ret;
	*at = carveout_find(c, nr);
	if (*at >= c->nr_pages)
		return -ENOMEM;
	bad = rmem_heap_carveout_bad_page(c->heap, *at, *at + nr);

	guard(spinlock)(&c->lock);
	/* The page was reported after it was cleared: carveout_prepare() is to lose it. */
	if (bad < *at + nr)
		__set_bit(bad, c->dirty);
	carveout_set_used(c, *at, nr);
	*dirty = find_next_bit(c->dirty, *at + nr, *at) < *at + nr;
	if (!*dirty && c->heap->memory != RMEM_DEVICE_ONLY)
		bitmap_set(c->dirty, *at, nr);
	return 0;
}

/*
 * Clears the dirty pages of a place that carveout_take() took. On failure the place is given
 * back, but for the pages of a piece that cannot be cleared: these stay used for good.
 */
static int carveout_prepare(struct rmem_carveout *c, unsigned long at, unsigned long nr)
{
	unsigned long end = at + nr, from = at, to = at;
	int ret = mutex_lock_killable(&c->scrubbing);

	/* The worker has finished the piece that it may have begun before the place was taken. */
	if (!ret)
		mutex_unlock(&c->scrubbing);
	while (!ret) {
		from = find_next_bit(c->dirty, end, to);
		if (from >= end)
			break;
		to = find_next_zero_bit(c->dirty, min(end, from + CARVEOUT_PIECE), from);
		ret = carveout_clear(c, from, to, true);
	}

	guard(spinlock)(&c->lock);
	if (!ret) {
		bitmap_set(c->dirty, at, nr);
	} else if (ret == -EINTR) {
		carveout_clear_used(c, at, nr);
	} else {
		carveout_clear_used(c, at, from - at);
		carveout_clear_used(c, to, end - to);
		c->nr_lost += to - from;
	}
	return ret;
}

static int carveout_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct rmem_carveout *c = heap->carveout;
	unsigned long nr = PHYS_PFN(buf->len), at;
	bool dirty;
	int ret;

	do {
		ret = carveout_take(c, nr, &at, &dirty);
		if (ret)
			return ret;
		if (dirty) {
			ret = carveout_prepare(c, at, nr);
			/* The worker has to look at the pages that were given back. */
			if (ret)
				queue_work(carveout_wq, &c->scrub);
		}
	} while (ret == -EHWPOISON);
	if (ret)
		return ret;

	rmem_set_extent(buf, heap->region->rmem->base + PFN_PHYS(at));
	if (heap->memory == RMEM_WC)
		buf->vaddr = c->vaddr + PFN_PHYS(at);
	return 0;
}

static void carveout_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct rmem_carveout *c = heap->carveout;
	unsigned long at = PHYS_PFN(buf->extent.paddr - heap->region->rmem->base);
	unsigned long nr = PHYS_PFN(buf->len);
	bool clears = heap->memory != RMEM_DEVICE_ONLY, idle;

	scoped_guard(spinlock, &c->lock) {
		carveout_clear_used(c, at, nr);
		idle = !c->freed;
		WRITE_ONCE(c->freed, clears);
	}
	/* If memory was freed before, the worker is queued, or carveout_start() queues it. */
	if (clears && idle)
		queue_work(carveout_wq, &c->scrub);
}

/* The next free and dirty pages from @at on; false at the end. Called with @scrubbing held. */
static bool carveout_next_piece(struct rmem_carveout *c, unsigned long *at, unsigned long *end)
{
	for (;;) {
		*at = find_next_andnot_bit(c->dirty, c->used, c->nr_pages, *at);
		if (*at >= c->nr_pages)
			return false;

		guard(spinlock)(&c->lock);
		*end = find_next_bit(c->used, min(c->nr_pages, *at + CARVEOUT_PIECE), *at);
		*end = find_next_zero_bit(c->dirty, *end, *at);
		/* An allocation may have taken the page since the search. */
		if (*end > *at)
			return true;
	}
}

/*
 * The piece cannot be cleared: its free pages are lost. Pages that an allocation has taken
 * meanwhile are left for the allocation to find. @search keeps a search from choosing a place
 * that is not free any more.
 */
static void carveout_lose_piece(struct rmem_carveout *c, unsigned long from, unsigned long end)
{
	unsigned long to;

	guard(mutex)(&c->search);
	guard(spinlock)(&c->lock);
	for_each_clear_bitrange_from(from, to, c->used, end) {
		carveout_set_used(c, from, to - from);
		c->nr_lost += to - from;
	}
}

static void carveout_scrub(struct work_struct *work)
{
	struct rmem_carveout *c = container_of(work, struct rmem_carveout, scrub);
	unsigned long at = 0, end, n;

	/*
	 * A task that allocates and frees without a pause gets its own memory back, which is
	 * in the caches, if the worker does not come between. A delayed work would wait for
	 * whole jiffies, and an allocation after a pause would find dirty memory.
	 */
	if (READ_ONCE(c->freed)) {
		usleep_range(CARVEOUT_SCRUB_DELAY, 2 * CARVEOUT_SCRUB_DELAY);
		scoped_guard(spinlock, &c->lock)
			WRITE_ONCE(c->freed, false);
	}

	for (n = 0; n < CARVEOUT_BATCH; n += end - at, at = end) {
		guard(mutex)(&c->scrubbing);
		if (READ_ONCE(carveouts_hibernate) || !carveout_next_piece(c, &at, &end))
			return;
		if (carveout_clear(c, at, end, false)) {
			carveout_lose_piece(c, at, end);
			continue;
		}
		/* Also pages that an allocation has taken meanwhile: it waits for @scrubbing. */
		guard(spinlock)(&c->lock);
		bitmap_clear(c->dirty, at, end - at);
	}
	queue_work(carveout_wq, work);
}

/*
 * The image of a hibernation contains no reserved memory outside the linear map: its free pages
 * are not clear any more when the image runs, so the image has to say that they are dirty.
 * PM_POST_HIBERNATION would be too late for that, since tasks run before it.
 */
int rmem_heap_carveout_pm(struct notifier_block *nb, unsigned long action, void *data)
{
	struct rmem_carveout *c;

	if (action != PM_HIBERNATION_PREPARE && action != PM_POST_HIBERNATION)
		return NOTIFY_DONE;

	guard(mutex)(&carveouts_mutex);
	WRITE_ONCE(carveouts_hibernate, action == PM_HIBERNATION_PREPARE);
	list_for_each_entry(c, &carveouts, list) {
		const struct reserved_mem *rmem = c->heap->region->rmem;

		if (action == PM_POST_HIBERNATION) {
			queue_work(carveout_wq, &c->scrub);
			continue;
		}
		if (c->heap->memory == RMEM_DEVICE_ONLY ||
		    (c->heap->memory == RMEM_LINEAR &&
		     !PageHighMem(phys_to_page(rmem->base + rmem->size - 1))))
			continue;
		guard(mutex)(&c->scrubbing);
		guard(spinlock)(&c->lock);
		bitmap_fill(c->dirty, c->nr_pages);
	}
	return NOTIFY_OK;
}

/* The work is disabled while there is no export: nothing can queue it then. */
static void carveout_start(struct rmem_heap *heap)
{
	struct rmem_carveout *c = heap->carveout;

	if (!c->started)
		enable_work(&c->scrub);
	c->started = true;
	queue_work(carveout_wq, &c->scrub);
}

static void carveout_stop(struct rmem_heap *heap)
{
	struct rmem_carveout *c = heap->carveout;

	if (c->started)
		disable_work_sync(&c->scrub);
	c->started = false;
}

/* Reads the bitmaps without a lock: the figures are for people. */
static void carveout_stats(const struct rmem_heap *heap, struct rmem_stats *stats)
{
	const struct rmem_carveout *c = heap->carveout;
	unsigned long from, to;

	for_each_clear_bitrange(from, to, c->used, c->nr_pages)
		stats->largest_free = max_t(u64, stats->largest_free, PFN_PHYS(to - from));
	stats->dirty = (u64)PFN_PHYS(bitmap_weight_andnot(c->dirty, c->used, c->nr_pages));
	stats->lost = (u64)PFN_PHYS(c->nr_lost);
}

static u64 carveout_available(const struct rmem_heap *heap)
{
	const struct rmem_carveout *c = heap->carveout;

	return (u64)PFN_PHYS(c->nr_pages - READ_ONCE(c->nr_used));
}

/*
 * Prints lines with name, offset, length, and "used" or "dirty"; pages without a line are free
 * and clear. Reads the bitmaps without a lock.
 */
void rmem_heap_carveout_show(const struct rmem_heap *heap, struct seq_file *m)
{
	static const char format[] = "%s\t%llu\t%llu\t%s\n";
	const struct rmem_carveout *c = heap->carveout;
	const char *name = heap->region->name;
	unsigned long from, to, end;

	for (from = 0; from < c->nr_pages; from = to) {
		end = find_next_bit(c->used, c->nr_pages, from);
		for_each_set_bitrange_from(from, to, c->dirty, end)
			seq_printf(m, format, name, (u64)PFN_PHYS(from),
				   (u64)PFN_PHYS(to - from), "dirty");
		to = find_next_zero_bit(c->used, c->nr_pages, end);
		if (end < to)
			seq_printf(m, format, name, (u64)PFN_PHYS(end), (u64)PFN_PHYS(to - end),
				   "used");
	}
}

static int map_show(struct seq_file *m, void *unused)
{
	const struct rmem_carveout *c;

	guard(mutex)(&carveouts_mutex);
	list_for_each_entry(c, &carveouts, list)
		rmem_heap_carveout_show(c->heap, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(map);

static int __init carveout_setup(void)
{
	/* Drivers may turn memory off when they suspend: the worker is frozen by then. */
	carveout_wq = alloc_workqueue("rmem_heap", WQ_UNBOUND | WQ_FREEZABLE, 0);
	pm_notifier(rmem_heap_carveout_pm, 0);
	debugfs_create_file("map", 0400, debugfs_create_dir("rmem_heap", NULL), NULL, &map_fops);
	return 0;
}
subsys_initcall(carveout_setup);

static void carveout_destroy(struct rmem_carveout *c)
{
	if (c->vaddr)
		memunmap(c->vaddr);
	kvfree(c->dirty);
	kvfree(c->used);
	kfree(c);
}

static void carveout_exit(struct rmem_heap *heap)
{
	struct rmem_carveout *c = heap->carveout;

	scoped_guard(mutex, &carveouts_mutex)
		list_del(&c->list);
	heap->carveout = NULL;
	carveout_destroy(c);
}

/* Sets the memory type of a heap; false, with a reason, if the region has no memory of it */
static bool carveout_set_memory(struct rmem_heap *heap)
{
	struct rmem_region *region = heap->region;
	const struct reserved_mem *rmem = region->rmem;
	const char *why = NULL;

	if (of_property_read_bool(region->of_node, "no-map") && !(heap->flags & RMEM_HEAP_WC))
		heap->memory = RMEM_DEVICE_ONLY;
	else if (region->linear)
		heap->memory = RMEM_LINEAR;
	else
		heap->memory = RMEM_WC;

	if (heap->memory == RMEM_LINEAR && (heap->flags & RMEM_HEAP_WC))
		why = "the kernel maps its memory cached";
	/* memremap(MEMREMAP_WC) of System RAM returns NULL with a WARN. */
	else if (heap->memory == RMEM_WC &&
		 region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				   IORES_DESC_NONE) != REGION_DISJOINT)
		why = "a part of its memory is RAM of the system";
	if (why)
		rmem_set_reason(region, "%s", why);
	return !why;
}

static int carveout_init(struct rmem_heap *heap)
{
	const struct reserved_mem *rmem = heap->region->rmem;
	struct rmem_carveout *c;

	if (!carveout_set_memory(heap))
		return -EINVAL;

	c = carveout_wq ? kzalloc_obj(*c) : NULL;
	if (!c)
		return -ENOMEM;

	c->heap = heap;
	c->nr_pages = PHYS_PFN(rmem->size);
	mutex_init(&c->search);
	spin_lock_init(&c->lock);
	mutex_init(&c->scrubbing);
	INIT_WORK(&c->scrub, carveout_scrub);
	disable_work(&c->scrub);

	c->used = kvcalloc(BITS_TO_LONGS(c->nr_pages), sizeof(long), GFP_KERNEL);
	c->dirty = kvcalloc(BITS_TO_LONGS(c->nr_pages), sizeof(long), GFP_KERNEL);
	if (heap->memory == RMEM_WC) {
		c->vaddr = memremap(rmem->base, rmem->size, MEMREMAP_WC);
		if (!c->vaddr)
			rmem_set_reason(heap->region, "cannot map %llu KiB into vmalloc space",
					(u64)rmem->size / SZ_1K);
	}
	if (!c->used || !c->dirty || (heap->memory == RMEM_WC && !c->vaddr)) {
		carveout_destroy(c);
		return -ENOMEM;
	}

	heap->carveout = c;
	scoped_guard(mutex, &carveouts_mutex)
		list_add_tail(&c->list, &carveouts);
	/* A driver may want to keep the contents that the boot has left in the region. */
	if (heap->memory != RMEM_DEVICE_ONLY && !(heap->flags & RMEM_HEAP_KEEP))
		bitmap_fill(c->dirty, c->nr_pages);
	return 0;
}

const struct rmem_pool_ops rmem_heap_carveout_ops = {
	.name = "rmem_heap_carveout",
	.init = carveout_init,
	.exit = carveout_exit,
	.start = carveout_start,
	.stop = carveout_stop,
	.alloc = carveout_alloc,
	.free = carveout_free,
	.stats = carveout_stats,
	.available = carveout_available,
};
