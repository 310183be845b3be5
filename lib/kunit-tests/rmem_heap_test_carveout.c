// SPDX-License-Identifier: GPL-2.0
/*
 * Carveouts: free memory is clear, and where buffers go. On the regions of
 * rmem_heap_test.dts.
 */

#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/genalloc.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rmem_heap_test.h"

#define RMEM_TEST_HEAP	"plain@16000000"

/* Keeps the worker of a region from clearing anything, until the test ends at the latest */
void rmem_test_scrub_resume(void *data)
{
	struct rmem_heap *heap = data;

	enable_delayed_work(&heap->carveout->scrub);
	queue_delayed_work(system_dfl_long_wq, &heap->carveout->scrub, 0);
	flush_delayed_work(&heap->carveout->scrub);
}

void rmem_test_scrub_stop(struct kunit *test, struct rmem_heap *heap)
{
	flush_delayed_work(&heap->carveout->scrub);
	disable_delayed_work_sync(&heap->carveout->scrub);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, rmem_test_scrub_resume, heap));
}

static void rmem_test_fill_with(struct kunit *test, struct dma_buf *dmabuf, u8 value)
{
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	memset(map.vaddr, value, dmabuf->size);
	dma_buf_vunmap_unlocked(dmabuf, &map);
}

/* What is free has been cleared: before anybody asks for it */
static void rmem_test_free_is_clear(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	unsigned int i;

	for (i = 0; i < held->n; i++)
		rmem_test_fill_with(test, held->bufs[i], 0xa5);
	rmem_test_drain(test, held);
	flush_delayed_work(&heap->carveout->scrub);

	KUNIT_EXPECT_EQ(test, gen_pool_avail(heap->carveout->pool), heap->rmem->size);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(heap->rmem->base), 0,
					   heap->rmem->size));
}

/* What was freed cannot be had before it is clear */
static void rmem_test_dirty_is_not_free(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	struct rmem_carveout *c = heap->carveout;
	struct rmem_stats stats;

	rmem_test_scrub_stop(test, heap);
	rmem_test_drain(test, held);
	KUNIT_EXPECT_EQ(test, gen_pool_avail(c->pool), 0);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, 0);
	KUNIT_EXPECT_EQ(test, stats.dirty, heap->rmem->size);
	KUNIT_EXPECT_EQ(test, stats.largest_free, 0);

	/* It is worth clearing, but not for one who is killed. */
	rmem_test_set_killed(true);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_1M, O_RDWR)), -EINTR);
	rmem_test_set_killed(false);
	/* Never for more than there is. */
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, 2 * heap->rmem->size, O_RDWR)),
			-ENOMEM);

	kunit_release_action(test, rmem_test_scrub_resume, heap);
	KUNIT_EXPECT_EQ(test, gen_pool_avail(c->pool), heap->rmem->size);
}

/* What is free does not look like more while it is being cleared; takes two processors to see */
static void rmem_test_adds_up(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_carveout *c = heap->carveout;
	u64 most = 0;
	unsigned int i;

	for (i = 0; i < 500; i++) {
		rmem_buffer_free(rmem_test_pool_alloc(test, heap, SZ_1M));
		mod_delayed_work(system_dfl_long_wq, &c->scrub, 0);
		do {
			most = max(most, heap->pool->free_bytes(heap));
			cond_resched();
		} while (READ_ONCE(c->dirty_bytes));
	}
	KUNIT_EXPECT_EQ(test, most, (u64)heap->rmem->size);
}

/* An allocation does not depend on the worker: it clears what it needs */
static void rmem_test_helps(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	struct rmem_buffer *buf;

	rmem_test_fill_with(test, held->bufs[0], 0xa5);
	rmem_test_scrub_stop(test, heap);
	rmem_test_drain(test, held);
	buf = rmem_test_pool_alloc(test, heap, SZ_64K);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(buf->extent.paddr), 0, SZ_64K));
	rmem_buffer_free(buf);
	buf = rmem_test_pool_alloc(test, heap, heap->rmem->size);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(buf->extent.paddr), 0, buf->len));
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, PAGE_SIZE));
	rmem_buffer_free(buf);
}

/* Makes a region of 4 MiB over memory that a buffer holds: the heap of it has no pool yet */
struct rmem_test_private *rmem_test_private(struct kunit *test, u8 value)
{
	struct rmem_heap *model = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_private *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->dmabuf = rmem_test_alloc(test, model, SZ_4M);
	rmem_test_fill_with(test, p->dmabuf, value);
	p->rmem.base = rmem_test_buf(p->dmabuf)->extents[0].paddr;
	p->rmem.size = SZ_4M;
	p->heap.name = "private";
	p->heap.of_node = model->of_node;
	p->heap.place = model->place;
	p->heap.rmem = &p->rmem;
	p->heap.pool = &rmem_pool_carveout;
	return p;
}

/* What the boot has left in a region is nobody's to see, either */
static void rmem_test_boot_contents(struct kunit *test)
{
	struct rmem_test_private *p = rmem_test_private(test, 0xa5);
	struct rmem_buffer *buf;

	KUNIT_ASSERT_EQ(test, p->heap.pool->init(&p->heap), 0);
	KUNIT_EXPECT_EQ(test, p->heap.memory, RMEM_LINEAR);
	buf = rmem_test_pool_alloc(test, &p->heap, SZ_4M);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(p->rmem.base), 0, SZ_4M));
	rmem_buffer_free(buf);
	p->heap.pool->exit(&p->heap);
}

static phys_addr_t rmem_test_bad_piece;

static int rmem_test_clear_fails(struct rmem_heap *heap, const struct phys_vec *piece)
{
	if (piece->paddr == rmem_test_bad_piece)
		return -EHWPOISON;
	memset(rmem_test_mem(piece->paddr), 0, piece->len);
	return 0;
}

/* What cannot be cleared is not given back; the rest of the buffer is */
static void rmem_test_scrub_fails(struct kunit *test)
{
	struct rmem_test_private *p = rmem_test_private(test, 0xa5);
	struct rmem_heap *heap = &p->heap;
	const size_t piece = SZ_256K;
	struct rmem_stats stats = { };
	struct rmem_buffer *buf;

	KUNIT_ASSERT_EQ(test, heap->pool->init(heap), 0);
	buf = rmem_test_pool_alloc(test, heap, SZ_4M);
	memset(rmem_test_mem(p->rmem.base), 0xa5, p->rmem.size);
	rmem_test_scrub_stop(test, heap);
	rmem_buffer_free(buf);

	/* Stubs work in the test's own task: it plays the worker. */
	rmem_test_bad_piece = p->rmem.base;
	kunit_activate_static_stub(test, rmem_carveout_clear, rmem_test_clear_fails);
	rmem_carveout_scrub(&heap->carveout->scrub.work);
	kunit_deactivate_static_stub(test, rmem_carveout_clear);
	kunit_release_action(test, rmem_test_scrub_resume, heap);

	heap->pool->stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.lost, piece);
	KUNIT_EXPECT_EQ(test, stats.dirty, 0);
	KUNIT_EXPECT_EQ(test, stats.largest_free, SZ_4M - piece);
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, SZ_4M));
	buf = rmem_test_pool_alloc(test, heap, SZ_4M - piece);
	KUNIT_EXPECT_EQ(test, buf->extent.paddr, p->rmem.base + piece);
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, PAGE_SIZE));
	/* Not even touched */
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(p->rmem.base), 0xa5, piece));

	rmem_buffer_free(buf);
	heap->pool->exit(heap);
}

/* What somebody else is clearing is waited for */
struct rmem_test_waiter {
	struct rmem_heap *heap;
	size_t len;
	struct task_struct *thread;
	struct completion runs;
	bool started;
	bool done;
	bool done_early;
	bool got_it;
};

static struct rmem_test_waiter *rmem_test_waiter;

static int rmem_test_wait_thread(void *data)
{
	struct rmem_test_waiter *w = data;
	struct rmem_buffer *buf;

	complete(&w->runs);
	buf = rmem_test_pool_try(w->heap, w->len);
	w->got_it = buf;
	WRITE_ONCE(w->done, true);
	if (buf)
		rmem_buffer_free(buf);
	return 0;
}

/* Lets somebody allocate beside us, and sees whether that ends */
static void rmem_test_waiter_start(struct rmem_test_waiter *w)
{
	w->started = true;
	init_completion(&w->runs);
	w->thread = kthread_create(rmem_test_wait_thread, w, "rmem_test");
	if (IS_ERR(w->thread))
		return;
	get_task_struct(w->thread);
	wake_up_process(w->thread);
	wait_for_completion(&w->runs);
	schedule_timeout_uninterruptible(HZ / 10);
	w->done_early = READ_ONCE(w->done);
}

/* With the last piece in its hands it lets somebody ask for all of the region */
static int rmem_test_clear_slowly(struct rmem_heap *heap, const struct phys_vec *piece)
{
	struct rmem_test_waiter *w = rmem_test_waiter;

	memset(rmem_test_mem(piece->paddr), 0, piece->len);
	if (!w->started && piece->paddr + piece->len == heap->rmem->base + heap->rmem->size)
		rmem_test_waiter_start(w);
	return 0;
}

static void rmem_test_waits(struct kunit *test)
{
	struct rmem_test_private *p = rmem_test_private(test, 0xa5);
	struct rmem_test_waiter w = { .heap = &p->heap, .len = SZ_4M };
	struct rmem_buffer *buf;

	KUNIT_ASSERT_EQ(test, p->heap.pool->init(&p->heap), 0);
	buf = rmem_test_pool_alloc(test, &p->heap, SZ_4M);
	rmem_test_scrub_stop(test, &p->heap);
	rmem_buffer_free(buf);

	rmem_test_waiter = &w;
	kunit_activate_static_stub(test, rmem_carveout_clear, rmem_test_clear_slowly);
	rmem_carveout_scrub(&p->heap.carveout->scrub.work);
	kunit_deactivate_static_stub(test, rmem_carveout_clear);

	KUNIT_ASSERT_TRUE(test, w.started);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w.thread));
	KUNIT_EXPECT_EQ(test, kthread_stop_put(w.thread), 0);
	KUNIT_EXPECT_FALSE(test, w.done_early);
	KUNIT_EXPECT_TRUE(test, w.got_it);
	kunit_release_action(test, rmem_test_scrub_resume, &p->heap);
	p->heap.pool->exit(&p->heap);
}

/*
 * Takes a page of what has been cleared for somebody else, and frees it again. When that one
 * has become urgent, nobody gets a page any more.
 */
static struct rmem_buffer *rmem_test_overtaker;
static unsigned int rmem_test_pieces;

static int rmem_test_clear_overtaken(struct rmem_heap *heap, const struct phys_vec *piece)
{
	memset(rmem_test_mem(piece->paddr), 0, piece->len);
	if (++rmem_test_pieces == 2) {
		rmem_test_overtaker = rmem_test_pool_try(heap, PAGE_SIZE);
		if (rmem_test_overtaker)
			rmem_buffer_free(rmem_test_overtaker);
	}
	if (heap->carveout->urgent && !rmem_test_waiter->started)
		rmem_test_waiter_start(rmem_test_waiter);
	return 0;
}

/* Who wants no more than is free gets it, even if others take some of it in between */
static void rmem_test_overtaken(struct kunit *test)
{
	struct rmem_test_private *p = rmem_test_private(test, 0xa5);
	struct rmem_test_waiter w = { .heap = &p->heap, .len = PAGE_SIZE };
	struct rmem_heap *heap = &p->heap;
	struct rmem_buffer *buf;

	KUNIT_ASSERT_EQ(test, heap->pool->init(heap), 0);
	buf = rmem_test_pool_alloc(test, heap, SZ_4M);
	rmem_test_scrub_stop(test, heap);
	rmem_buffer_free(buf);

	rmem_test_pieces = 0;
	rmem_test_overtaker = NULL;
	rmem_test_waiter = &w;
	kunit_activate_static_stub(test, rmem_carveout_clear, rmem_test_clear_overtaken);
	buf = rmem_test_pool_try(heap, SZ_4M);
	kunit_deactivate_static_stub(test, rmem_carveout_clear);

	KUNIT_EXPECT_NOT_NULL(test, rmem_test_overtaker);
	KUNIT_EXPECT_NOT_NULL(test, buf);
	KUNIT_ASSERT_TRUE(test, w.started);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w.thread));
	KUNIT_EXPECT_EQ(test, kthread_stop_put(w.thread), 0);
	KUNIT_EXPECT_FALSE(test, w.done_early);
	KUNIT_EXPECT_EQ(test, heap->carveout->urgent, 0);
	if (buf)
		rmem_buffer_free(buf);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	heap->pool->exit(heap);
}

/* Tasks that together want no more than there is get it, each time, and clear */
struct rmem_test_user {
	struct rmem_heap *heap;
	struct completion runs;
	unsigned int seed;
	unsigned int pages;
	unsigned int failed;
	unsigned int dirty;
};

static int rmem_test_user_thread(void *data)
{
	struct rmem_test_user *user = data;
	struct rnd_state rnd;
	unsigned int i;

	complete(&user->runs);
	prandom_seed_state(&rnd, user->seed);
	for (i = 0; i < 300; i++) {
		size_t len = PAGE_SIZE * (1 + prandom_u32_state(&rnd) % user->pages);
		struct rmem_buffer *buf = rmem_test_pool_try(user->heap, len);
		void *vaddr;

		if (!buf) {
			user->failed++;
			continue;
		}
		vaddr = rmem_test_mem(buf->extent.paddr);
		if (memchr_inv(vaddr, 0, len))
			user->dirty++;
		memset(vaddr, user->seed, len);
		cond_resched();
		if (memchr_inv(vaddr, user->seed, len))
			user->dirty++;
		rmem_buffer_free(buf);
	}
	return 0;
}

static void rmem_test_users(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_user users[4] = { };
	struct task_struct *threads[ARRAY_SIZE(users)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(users); i++) {
		users[i].heap = heap;
		users[i].seed = i + 1;
		users[i].pages = (heap->rmem->size >> PAGE_SHIFT) / 16;
		init_completion(&users[i].runs);
		threads[i] = kthread_create(rmem_test_user_thread, &users[i], "rmem_test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
		get_task_struct(threads[i]);
		wake_up_process(threads[i]);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		/* kthread_stop() before it ran would keep it from running. */
		wait_for_completion(&users[i].runs);
		KUNIT_EXPECT_EQ(test, kthread_stop_put(threads[i]), 0);
		KUNIT_EXPECT_EQ(test, users[i].failed, 0);
		KUNIT_EXPECT_EQ(test, users[i].dirty, 0);
	}
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->rmem->size);
}

/* Large buffers from below and aligned, small ones from above; unaligned if need be */
static void rmem_test_fit(struct kunit *test)
{
	struct reserved_mem rmem = { .base = SZ_1G + SZ_1M };
	struct rmem_heap heap = { .rmem = &rmem };
	const unsigned int nr = SZ_8M >> PAGE_SHIFT, mib = SZ_1M >> PAGE_SHIFT;
	unsigned long *map = kunit_kzalloc(test, BITS_TO_LONGS(nr) * sizeof(long), GFP_KERNEL);

#define fit(n) rmem_carveout_fit(map, nr, 0, n, &heap, NULL, 0)
	KUNIT_ASSERT_NOT_NULL(test, map);
	/* Its base is 1 MiB behind a multiple of 2 MiB. */
	KUNIT_EXPECT_EQ(test, fit(2 * mib), mib);
	KUNIT_EXPECT_EQ(test, fit(7 * mib), mib);
	KUNIT_EXPECT_EQ(test, fit(8 * mib), 0);
	KUNIT_EXPECT_EQ(test, fit(8 * mib + 1), nr);
	KUNIT_EXPECT_EQ(test, fit(1), nr - 1);
	KUNIT_EXPECT_EQ(test, fit(3), nr - 4);
	KUNIT_EXPECT_EQ(test, fit(mib), nr - mib);
	/* From 1 MiB and a page up to 2 MiB count as large. */
	KUNIT_EXPECT_EQ(test, fit(mib + 1), mib);

	/* Two holes: 1.5 MiB that is not aligned, and a page. */
	bitmap_fill(map, nr);
	bitmap_clear(map, 3 * mib + mib / 4, mib + mib / 2);
	bitmap_clear(map, nr - 1, 1);
	KUNIT_EXPECT_EQ(test, fit(1), nr - 1);
	KUNIT_EXPECT_EQ(test, fit(2), 4 * mib + 3 * mib / 4 - 2);
	KUNIT_EXPECT_EQ(test, fit(mib + mib / 2), 3 * mib + mib / 4);
	KUNIT_EXPECT_EQ(test, fit(mib), 3 * mib + 3 * mib / 4);
	KUNIT_EXPECT_EQ(test, fit(2 * mib), nr);
	bitmap_fill(map, nr);
	KUNIT_EXPECT_EQ(test, fit(1), nr);
#undef fit
}

/* The same in regions that are searched a part at a time, wherever the place is */
static void rmem_test_fit_window(struct kunit *test)
{
	struct reserved_mem rmem = { .base = SZ_1G };
	struct rmem_heap heap = { .rmem = &rmem };
	const unsigned int nr = 3 * 4096 + 100, want = 16;
	unsigned long *map = kunit_kzalloc(test, BITS_TO_LONGS(nr) * sizeof(long), GFP_KERNEL);
	unsigned int at;

	KUNIT_ASSERT_NOT_NULL(test, map);
	for (at = 0; at + want <= nr; at += 7) {
		bitmap_fill(map, nr);
		bitmap_clear(map, at, want);
		KUNIT_ASSERT_EQ(test, rmem_carveout_fit(map, nr, 0, want, &heap, NULL, 0), at);
		KUNIT_ASSERT_EQ(test, rmem_carveout_fit(map, nr, 0, want + 1, &heap, NULL, 0),
				nr);
	}
	/* An aligned place further down is better than one that is not. */
	bitmap_fill(map, nr);
	bitmap_clear(map, 64, want);
	bitmap_clear(map, nr - 90, want);
	KUNIT_EXPECT_EQ(test, rmem_carveout_fit(map, nr, 0, want, &heap, NULL, 0), 64);
}

/*
 * A synthetic record of what players, cameras and compositors allocate and free, played
 * back to allocators that place differently. Sessions come and go: 1080p and 2160p NV12
 * frames, audio rings, control blocks of a few pages between them.
 */
#define RMEM_TRACE_STEPS	10000
#define RMEM_TRACE_REGION	SZ_256M
#define RMEM_TRACE_BUFFERS	20

/**
 * struct rmem_trace_step - one step of the record
 * @slot: which buffer
 * @pages: its size, 0 if it is freed
 */
struct rmem_trace_step {
	u16 slot;
	u16 pages;
};

/**
 * struct rmem_trace_session - a player, say
 * @n: buffers, 0 while there is none
 * @pages: their sizes
 */
struct rmem_trace_session {
	unsigned int n;
	u16 pages[RMEM_TRACE_BUFFERS];
};

struct rmem_trace {
	struct rnd_state rnd;
	unsigned int n;
	unsigned int used;
	struct rmem_trace_session sessions[12];
	struct rmem_trace_step steps[RMEM_TRACE_STEPS];
};

static unsigned int rmem_trace_rnd(struct rmem_trace *trace, unsigned int below)
{
	return prandom_u32_state(&trace->rnd) % below;
}

static void rmem_trace_add(struct rmem_trace *trace, unsigned int session,
			   unsigned int buffer, unsigned int pages)
{
	if (trace->n == RMEM_TRACE_STEPS)
		return;
	trace->steps[trace->n].slot = session * RMEM_TRACE_BUFFERS + buffer;
	trace->steps[trace->n++].pages = pages;
}

static void rmem_trace_open(struct rmem_trace *trace, unsigned int i)
{
	struct rmem_trace_session *s = &trace->sessions[i];
	const unsigned int nv12_1080 = PFN_UP(1920 * 1088 * 3 / 2);
	const unsigned int nv12_2160 = PFN_UP(3840 * 2160 * 3 / 2);
	unsigned int kind = rmem_trace_rnd(trace, 10), pages, n;

	if (kind < 2) {
		pages = nv12_1080;
		n = 4 + rmem_trace_rnd(trace, 5);
	} else if (kind < 3) {
		pages = nv12_2160;
		n = 3 + rmem_trace_rnd(trace, 4);
	} else if (kind < 6) {
		pages = (SZ_64K >> PAGE_SHIFT) * (1 + rmem_trace_rnd(trace, 4));
		n = 2 + rmem_trace_rnd(trace, 3);
	} else {
		pages = 1 + rmem_trace_rnd(trace, 4);
		n = 1 + rmem_trace_rnd(trace, 8);
	}

	/* 85 percent of the region at most, with a control block after every other buffer */
	while (n-- && trace->used + pages <= (RMEM_TRACE_REGION >> PAGE_SHIFT) * 85 / 100) {
		s->pages[s->n] = pages;
		rmem_trace_add(trace, i, s->n++, pages);
		trace->used += pages;
		if (rmem_trace_rnd(trace, 2) == 0)
			continue;
		s->pages[s->n] = 1 + rmem_trace_rnd(trace, 4);
		trace->used += s->pages[s->n];
		rmem_trace_add(trace, i, s->n, s->pages[s->n]);
		s->n++;
	}
}

static void rmem_trace_record(struct rmem_trace *trace)
{
	unsigned int i, k;

	prandom_seed_state(&trace->rnd, 20260101);
	while (trace->n < RMEM_TRACE_STEPS) {
		struct rmem_trace_session *s;

		i = rmem_trace_rnd(trace, ARRAY_SIZE(trace->sessions));
		s = &trace->sessions[i];
		if (!s->n) {
			rmem_trace_open(trace, i);
		} else if (rmem_trace_rnd(trace, 3) == 0) {
			/* A buffer is replaced by another. */
			k = rmem_trace_rnd(trace, s->n);
			rmem_trace_add(trace, i, k, 0);
			rmem_trace_add(trace, i, k, s->pages[k]);
		} else {
			for (k = 0; k < s->n; k++) {
				rmem_trace_add(trace, i, k, 0);
				trace->used -= s->pages[k];
			}
			s->n = 0;
		}
	}
}

/**
 * struct rmem_policy - where buffers go
 * @name: for people
 * @algo: the function
 */
struct rmem_policy {
	const char *name;
	genpool_algo_t algo;
};

static unsigned long rmem_first_fit_capped(unsigned long *map, unsigned long size,
					   unsigned long start, unsigned int nr, void *data,
					   struct gen_pool *pool, unsigned long start_addr)
{
	unsigned long align = min(roundup_pow_of_two(nr), RMEM_ALIGN_MAX >> PAGE_SHIFT);

	return bitmap_find_next_zero_area(map, size, start, nr, align - 1);
}

static unsigned long rmem_best_fit_capped(unsigned long *map, unsigned long size,
					  unsigned long start, unsigned int nr, void *data,
					  struct gen_pool *pool, unsigned long start_addr)
{
	unsigned long align = min(roundup_pow_of_two(nr), RMEM_ALIGN_MAX >> PAGE_SHIFT);
	unsigned long from, to, at, best = size, best_len = ULONG_MAX;

	for (from = find_first_zero_bit(map, size); from < size;
	     from = find_next_zero_bit(map, size, to)) {
		to = find_next_bit(map, size, from);
		at = ALIGN(from, align);
		if (at + nr <= to && to - from < best_len) {
			best = at;
			best_len = to - from;
		}
	}
	return best;
}

static const struct rmem_policy rmem_policies[] = {
	{ "ours", rmem_carveout_fit },
	{ "first fit, aligned", rmem_first_fit_capped },
	{ "best fit, aligned", rmem_best_fit_capped },
	{ "first fit, no alignment", gen_pool_first_fit },
	{ "best fit, no alignment", gen_pool_best_fit },
};

static void rmem_trace_largest(struct gen_pool *pool, struct gen_pool_chunk *chunk,
			       void *data)
{
	unsigned long size = RMEM_TRACE_REGION >> PAGE_SHIFT, from, to = 0, *largest = data;

	while ((from = find_next_zero_bit(chunk->bits, size, to)) < size) {
		to = find_next_bit(chunk->bits, size, from);
		*largest = max(*largest, to - from);
	}
}

/**
 * struct rmem_trace_result - how a policy did
 * @end: largest free block after the last step, KiB
 * @least: the smallest that it has ever been, KiB
 * @mean: its mean, KiB
 * @failed: allocations that found no place
 */
struct rmem_trace_result {
	unsigned long end;
	unsigned long least;
	unsigned long mean;
	unsigned int failed;
};

static struct rmem_trace_result rmem_trace_play(struct kunit *test,
						const struct rmem_trace *trace,
						genpool_algo_t algo)
{
	const unsigned int slots = ARRAY_SIZE(trace->sessions) * RMEM_TRACE_BUFFERS;
	struct rmem_trace_result result = { .least = ULONG_MAX };
	struct reserved_mem rmem = { .base = SZ_1G };
	struct rmem_heap heap = { .rmem = &rmem };
	unsigned long *addrs, sum = 0, largest, i;
	size_t *lens;
	struct gen_pool *pool;

	addrs = kunit_kcalloc(test, slots, sizeof(*addrs), GFP_KERNEL);
	lens = kunit_kcalloc(test, slots, sizeof(*lens), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, addrs && lens);
	pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	KUNIT_ASSERT_EQ(test, 0, gen_pool_add_virt(pool, SZ_1G, SZ_1G, RMEM_TRACE_REGION,
						   NUMA_NO_NODE));
	gen_pool_set_algo(pool, algo, &heap);

	for (i = 0; i < trace->n; i++) {
		unsigned int slot = trace->steps[i].slot;

		if (trace->steps[i].pages) {
			lens[slot] = (size_t)trace->steps[i].pages << PAGE_SHIFT;
			addrs[slot] = gen_pool_alloc(pool, lens[slot]);
			result.failed += !addrs[slot];
		} else if (addrs[slot]) {
			gen_pool_free(pool, addrs[slot], lens[slot]);
			addrs[slot] = 0;
		}
		largest = 0;
		gen_pool_for_each_chunk(pool, rmem_trace_largest, &largest);
		result.end = largest << (PAGE_SHIFT - 10);
		result.least = min(result.least, result.end);
		sum += result.end;
	}
	result.mean = sum / trace->n;

	for (i = 0; i < slots; i++)
		if (addrs[i])
			gen_pool_free(pool, addrs[i], lens[i]);
	gen_pool_destroy(pool);
	return result;
}

/* Of those that align, none keeps larger blocks free than ours; nothing fails in it */
static void rmem_test_placement(struct kunit *test)
{
	struct rmem_trace_result results[ARRAY_SIZE(rmem_policies)];
	struct rmem_trace *trace = kunit_kzalloc(test, sizeof(*trace), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, trace);
	rmem_trace_record(trace);
	for (i = 0; i < ARRAY_SIZE(rmem_policies); i++) {
		results[i] = rmem_trace_play(test, trace, rmem_policies[i].algo);
		kunit_info(test, "placement,%s,%lu,%lu,%lu,%u\n", rmem_policies[i].name,
			   results[i].end, results[i].least, results[i].mean,
			   results[i].failed);
	}
	KUNIT_EXPECT_EQ(test, results[0].failed, 0);
	KUNIT_EXPECT_GE(test, results[0].mean, results[1].mean);
	KUNIT_EXPECT_GE(test, results[0].mean, results[2].mean);
}

static struct kunit_case rmem_heap_carveout_cases[] = {
	KUNIT_CASE(rmem_test_free_is_clear),
	KUNIT_CASE(rmem_test_dirty_is_not_free),
	KUNIT_CASE(rmem_test_adds_up),
	KUNIT_CASE(rmem_test_helps),
	KUNIT_CASE(rmem_test_waits),
	KUNIT_CASE(rmem_test_boot_contents),
	KUNIT_CASE(rmem_test_scrub_fails),
	KUNIT_CASE(rmem_test_overtaken),
	KUNIT_CASE(rmem_test_users),
	KUNIT_CASE(rmem_test_fit),
	KUNIT_CASE(rmem_test_fit_window),
	KUNIT_CASE(rmem_test_placement),
	{ }
};

static struct kunit_suite rmem_heap_carveout_suite = {
	.name = "rmem_heap_carveout",
	.test_cases = rmem_heap_carveout_cases,
};

kunit_test_suite(rmem_heap_carveout_suite);
