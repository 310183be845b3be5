// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the allocator of carveouts, a pool that is always clear.
 *
 * What is free has been cleared, so that an allocation takes as long for a large buffer as
 * for a small one. What is freed goes to a worker, one for each region, which clears it and
 * only then gives it back to the pool. An allocation that finds too little joins the worker,
 * until all that was freed before it is clear; at the end with nobody else allowed to take
 * any. So it fails only for want of memory, and does not go on for ever.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "rmem_heap.h"

/*
 * The pool speaks unsigned long and takes 0 for failure, while a region may lie at 0 or
 * above 4 GiB: its addresses are offsets into the region plus a page.
 */
#define RMEM_CARVEOUT_BASE	PAGE_SIZE

/* What is cleared and given back at a time */
#define RMEM_SCRUB_PIECE	SZ_256K

static unsigned long rmem_carveout_offset(const struct rmem_carveout *c, phys_addr_t paddr)
{
	return paddr - c->heap->rmem->base;
}

/* Pages of the bitmap that are looked at together, from above */
#define RMEM_FIT_WINDOW		4096UL

/* The last place for nr pages in a part of the bitmap, aligned; or ULONG_MAX */
static unsigned long rmem_last_fit(unsigned long *map, unsigned long from, unsigned long end,
				   unsigned long nr, unsigned long align, unsigned long off,
				   unsigned long *any)
{
	unsigned long to, at, best = ULONG_MAX;

	for (from = find_next_zero_bit(map, end, from); from < end;
	     from = find_next_zero_bit(map, end, to)) {
		to = find_next_bit(map, end, from);
		if (to - from < nr)
			continue;
		*any = to - nr;
		at = ALIGN_DOWN(*any + off, align) - off;
		/* Below the start of the region it wraps. */
		if (at >= from && at <= *any)
			best = at;
	}
	return best;
}

/**
 * rmem_carveout_fit() - where a buffer goes, as a genpool_algo_t
 * @map: pages in use
 * @size: pages of the region
 * @start: unused: what is free below it may have come back, see gen_pool_alloc()
 * @nr: pages wanted
 * @data: the region
 * @pool: unused
 * @start_addr: unused
 *
 * Large buffers go to the first place from below that is aligned so that it can be mapped
 * with large entries, and small ones to the last place from above, so that they do not
 * get in the way. Where no place is aligned, any will do.
 *
 * Return: the first page, @size or more if there is no place.
 */
unsigned long rmem_carveout_fit(unsigned long *map, unsigned long size,
				unsigned long start, unsigned int nr, void *data,
				struct gen_pool *pool, unsigned long start_addr)
{
	const struct rmem_heap *heap = data;
	unsigned long align = min(roundup_pow_of_two(nr), RMEM_ALIGN_MAX >> PAGE_SHIFT);
	unsigned long off = PHYS_PFN(heap->rmem->base) & (align - 1);
	unsigned long window = max(RMEM_FIT_WINDOW, 2UL * nr);
	unsigned long end, from, at, here, any = size;

	if (align == RMEM_ALIGN_MAX >> PAGE_SHIFT) {
		at = bitmap_find_next_zero_area_off(map, size, 0, nr, align - 1, off);
		return at < size ? at : bitmap_find_next_zero_area(map, size, 0, nr, 0);
	}

	/* Windows overlap, for what lies across their border. */
	for (end = size; end >= nr; end = from + nr - 1) {
		from = end > window ? end - window : 0;
		here = size;
		at = rmem_last_fit(map, from, end, nr, align, off, &here);
		if (at < size)
			return at;
		if (any == size)
			any = here;
		if (!from)
			break;
	}
	return any;
}

/* Clears a piece of a freed buffer. What is known to be bad must not even be touched. */
int rmem_carveout_clear(struct rmem_heap *heap, const struct phys_vec *piece)
{
	struct rmem_carveout *c = heap->carveout;

	KUNIT_STATIC_STUB_REDIRECT(rmem_carveout_clear, heap, piece);

#ifdef CONFIG_MEMORY_FAILURE
	if (heap->memory == RMEM_LINEAR) {
		unsigned long pfn = PHYS_PFN(piece->paddr);
		unsigned long end = pfn + PHYS_PFN(piece->len);

		for (; pfn < end; pfn++)
			if (PageHWPoison(pfn_to_page(pfn)))
				return -EHWPOISON;
	}
#endif
	return rmem_clear(heap, piece, c->vaddr + rmem_carveout_offset(c, piece->paddr),
			  false);
}

/* Takes a piece out of what is dirty, of the oldest; false if there is none */
static bool rmem_carveout_next_piece(struct rmem_carveout *c, struct phys_vec *piece)
{
	struct rmem_buffer *buf;

	scoped_guard(spinlock, &c->lock) {
		buf = list_first_entry_or_null(&c->dirty, struct rmem_buffer, dirty);
		if (!buf)
			return false;
		piece->paddr = buf->extent.paddr;
		piece->len = min_t(size_t, buf->extent.len, RMEM_SCRUB_PIECE);
		buf->extent.paddr += piece->len;
		buf->extent.len -= piece->len;
		if (buf->extent.len)
			return true;
		list_del(&buf->dirty);
	}
	kfree(buf);
	return true;
}

static void rmem_carveout_scrub_piece(struct rmem_carveout *c, const struct phys_vec *piece)
{
	unsigned long off = rmem_carveout_offset(c, piece->paddr);
	int ret = rmem_carveout_clear(c->heap, piece);

	if (ret)
		pr_err("%s: cannot clear %zu KiB at offset 0x%lx (error %d): not used any more\n",
		       c->heap->name, (size_t)piece->len / SZ_1K, off, ret);

	/* In one step: what is clear is dirty no more. */
	scoped_guard(spinlock, &c->lock) {
		if (ret)
			c->lost_bytes += piece->len;
		else
			gen_pool_free(c->pool, off + RMEM_CARVEOUT_BASE, piece->len);
		c->dirty_bytes -= piece->len;
		WRITE_ONCE(c->cleared, c->cleared + piece->len);
	}
	if (wq_has_sleeper(&c->wait))
		wake_up_all(&c->wait);
}

void rmem_carveout_scrub(struct work_struct *work)
{
	struct rmem_carveout *c = container_of(to_delayed_work(work), struct rmem_carveout,
					       scrub);
	struct phys_vec piece;

	while (rmem_carveout_next_piece(c, &piece))
		rmem_carveout_scrub_piece(c, &piece);
}

static void rmem_carveout_free(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct rmem_carveout *c = heap->carveout;
	size_t much_dirty = heap->rmem->size / 4;
	bool much;

	/* Whoever uses this memory knows that it is not cleared. */
	if (heap->memory == RMEM_DEVICE_ONLY) {
		gen_pool_free(c->pool, rmem_carveout_offset(c, buf->extent.paddr) +
			      RMEM_CARVEOUT_BASE, buf->len);
		kfree(buf);
		return;
	}

	scoped_guard(spinlock, &c->lock) {
		size_t before = c->dirty_bytes;

		list_add_tail(&buf->dirty, &c->dirty);
		c->dirty_bytes += buf->len;
		much = before < much_dirty && c->dirty_bytes >= much_dirty;
	}
	/* Waking the worker for every buffer costs more than clearing a small one. */
	if (much)
		mod_delayed_work(system_dfl_long_wq, &c->scrub, 0);
	else
		queue_delayed_work(system_dfl_long_wq, &c->scrub, 1);
}

/*
 * Takes clear memory, if need be after clearing what has been freed already. -EAGAIN if all
 * of that is clear and it is still not enough, but others may have taken it; or if it is
 * the turn of another.
 */
static int rmem_carveout_take(struct rmem_carveout *c, size_t len, bool urgent,
			      unsigned long *addr)
{
	unsigned long start, cleared;
	struct phys_vec piece;
	bool alone = true;
	size_t dirty;
	int ret = 0;

	spin_lock(&c->lock);
	start = c->cleared;
	dirty = c->dirty_bytes;
	for (;;) {
		bool turn = urgent || !c->urgent;

		if (turn)
			*addr = gen_pool_alloc(c->pool, len);
		if (*addr)
			break;

		if (len > gen_pool_avail(c->pool) + c->dirty_bytes) {
			ret = -ENOMEM;
			break;
		}
		if (!turn) {
			ret = -EAGAIN;
			break;
		}
		/* Who is alone only sees memory come back, and that ends. */
		if (urgent ? !c->dirty_bytes : c->cleared - start >= dirty) {
			ret = alone ? -ENOMEM : -EAGAIN;
			break;
		}

		cleared = c->cleared;
		spin_unlock(&c->lock);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (rmem_carveout_next_piece(c, &piece))
			rmem_carveout_scrub_piece(c, &piece);
		else if (wait_event_killable(c->wait, READ_ONCE(c->cleared) != cleared))
			return -EINTR;
		alone = urgent;
		spin_lock(&c->lock);
	}
	spin_unlock(&c->lock);
	return ret;
}

/* The same while nobody else may take any. One is in this at a time. */
static int rmem_carveout_take_urgently(struct rmem_carveout *c, size_t len,
				       unsigned long *addr)
{
	int ret;

	scoped_guard(spinlock, &c->lock)
		c->urgent++;

	ret = mutex_lock_killable(&c->turn);
	if (!ret) {
		ret = rmem_carveout_take(c, len, true, addr);
		mutex_unlock(&c->turn);
	}

	scoped_guard(spinlock, &c->lock)
		c->urgent--;
	return ret;
}

static int rmem_carveout_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	struct rmem_carveout *c = heap->carveout;
	unsigned long addr = 0;
	int ret;

	ret = rmem_carveout_take(c, buf->len, false, &addr);
	if (ret == -EAGAIN)
		ret = rmem_carveout_take_urgently(c, buf->len, &addr);
	if (ret)
		return ret;

	rmem_set_extent(buf, gen_pool_virt_to_phys(c->pool, addr));
	if (heap->memory == RMEM_WC)
		buf->vaddr = c->vaddr + (addr - RMEM_CARVEOUT_BASE);
	return 0;
}

static void rmem_largest_free(struct gen_pool *pool, struct gen_pool_chunk *chunk, void *data)
{
	unsigned long size = (chunk->end_addr - chunk->start_addr + 1) >> PAGE_SHIFT;
	unsigned long from, to, *largest = data;

	for (from = find_first_zero_bit(chunk->bits, size); from < size;
	     from = find_next_zero_bit(chunk->bits, size, to)) {
		to = find_next_bit(chunk->bits, size, from);
		*largest = max(*largest, to - from);
	}
}

static void rmem_carveout_stats(struct rmem_heap *heap, struct rmem_stats *stats)
{
	struct rmem_carveout *c = heap->carveout;
	unsigned long largest = 0;

	/* The map may change meanwhile: a number for people. */
	gen_pool_for_each_chunk(c->pool, rmem_largest_free, &largest);
	stats->largest_free = (u64)largest << PAGE_SHIFT;

	guard(spinlock)(&c->lock);
	stats->dirty = c->dirty_bytes;
	stats->lost = c->lost_bytes;
}

static void rmem_show_used(struct gen_pool *pool, struct gen_pool_chunk *chunk, void *data)
{
	unsigned long size = (chunk->end_addr - chunk->start_addr + 1) >> PAGE_SHIFT;
	const struct rmem_heap *heap = pool->data;
	unsigned long from, to;

	for (from = find_first_bit(chunk->bits, size); from < size;
	     from = find_next_bit(chunk->bits, size, to)) {
		to = find_next_zero_bit(chunk->bits, size, from);
		seq_printf(data, "%s\t%llu\t%llu\tused\n", heap->name,
			   (u64)from << PAGE_SHIFT, (u64)(to - from) << PAGE_SHIFT);
	}
}

/**
 * rmem_carveout_show() - who has what of a carveout, for people
 * @heap: the region, exported
 * @m: gets lines with the name, offset, length, and "used" or "dirty"; what is used includes
 *	what is dirty
 *
 * Context: a task's. Takes the lock of the region.
 */
void rmem_carveout_show(const struct rmem_heap *heap, struct seq_file *m)
{
	struct rmem_carveout *c = heap->carveout;
	const struct rmem_buffer *buf;

	gen_pool_for_each_chunk(c->pool, rmem_show_used, m);
	guard(spinlock)(&c->lock);
	list_for_each_entry(buf, &c->dirty, dirty)
		seq_printf(m, "%s\t%lu\t%llu\tdirty\n", heap->name,
			   rmem_carveout_offset(c, buf->extent.paddr), (u64)buf->extent.len);
}

/* What is dirty counts: it can be had, if not at once. */
static u64 rmem_carveout_free_bytes(const struct rmem_heap *heap)
{
	struct rmem_carveout *c = heap->carveout;

	guard(spinlock)(&c->lock);
	return gen_pool_avail(c->pool) + c->dirty_bytes;
}

static void rmem_forget_lost(struct gen_pool *pool, struct gen_pool_chunk *chunk, void *data)
{
	bitmap_zero(chunk->bits, (chunk->end_addr - chunk->start_addr + 1) >> PAGE_SHIFT);
}

static void rmem_carveout_exit(struct rmem_heap *heap)
{
	struct rmem_carveout *c = heap->carveout;

	flush_delayed_work(&c->scrub);
	heap->carveout = NULL;
	if (c->vaddr)
		memunmap(c->vaddr);
	/* gen_pool_destroy() takes it for a bug that somebody has memory yet. */
	if (c->lost_bytes)
		gen_pool_for_each_chunk(c->pool, rmem_forget_lost, NULL);
	gen_pool_destroy(c->pool);
	kfree(c);
}

/* Makes a pool of the region; what the boot has left in it is dirty, unless it is to be kept */
static int rmem_carveout_init(struct rmem_heap *heap)
{
	const struct reserved_mem *rmem = heap->rmem;
	struct rmem_carveout *c;
	struct rmem_buffer *all;
	int ret = -ENOMEM;

	if (of_property_read_bool(heap->of_node, "no-map") && !(heap->flags & RMEM_HEAP_WC))
		heap->memory = RMEM_DEVICE_ONLY;
	else if (heap->place == RMEM_PLACE_MAPPED)
		heap->memory = RMEM_LINEAR;
	else
		heap->memory = RMEM_WC;

	if (heap->memory == RMEM_LINEAR && (heap->flags & RMEM_HEAP_WC))
		return -EINVAL;

	c = kzalloc_obj(*c);
	all = kzalloc_obj(*all);
	if (!c || !all)
		goto err_free;

	c->heap = heap;
	spin_lock_init(&c->lock);
	INIT_LIST_HEAD(&c->dirty);
	mutex_init(&c->turn);
	init_waitqueue_head(&c->wait);
	INIT_DELAYED_WORK(&c->scrub, rmem_carveout_scrub);

	c->pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!c->pool)
		goto err_free;

	ret = gen_pool_add_virt(c->pool, RMEM_CARVEOUT_BASE, rmem->base, rmem->size,
				NUMA_NO_NODE);
	if (ret)
		goto err_destroy;
	gen_pool_set_algo(c->pool, rmem_carveout_fit, heap);

	if (heap->memory == RMEM_WC) {
		/* It would WARN. */
		if (region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				      IORES_DESC_NONE) != REGION_DISJOINT) {
			ret = -EINVAL;
			goto err_destroy;
		}
		c->vaddr = memremap(rmem->base, rmem->size, MEMREMAP_WC);
		if (!c->vaddr) {
			ret = -ENOMEM;
			goto err_destroy;
		}
	}

	heap->carveout = c;
	if (heap->flags & RMEM_HEAP_KEEP) {
		kfree(all);
		return 0;
	}
	all->heap = heap;
	all->len = rmem->size;
	gen_pool_alloc(c->pool, all->len);
	rmem_set_extent(all, rmem->base);
	rmem_carveout_free(heap, all);
	return 0;

err_destroy:
	gen_pool_destroy(c->pool);
err_free:
	kfree(all);
	kfree(c);
	return ret;
}

const struct rmem_pool rmem_pool_carveout = {
	.name = "gen_pool_alloc",
	.clears = true,
	.init = rmem_carveout_init,
	.exit = rmem_carveout_exit,
	.alloc = rmem_carveout_alloc,
	.free = rmem_carveout_free,
	.stats = rmem_carveout_stats,
	.free_bytes = rmem_carveout_free_bytes,
};
