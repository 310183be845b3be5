// SPDX-License-Identifier: GPL-2.0
/*
 * Carveouts: memory is clear when a buffer gets it, and where buffers lie. On the regions of
 * rmem_heap_test.dts.
 */

#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>

#include "rmem_heap_test.h"

#define RMEM_TEST_HEAP	"plain@16000000"

/* Keeps the worker of a region from clearing anything, until the test ends at the latest */
void rmem_test_scrub_resume(void *data)
{
	struct rmem_heap *heap = data;

	heap->ops->start(heap);
	flush_work(&heap->carveout->scrub);
}

void rmem_test_scrub_stop(struct kunit *test, struct rmem_heap *heap)
{
	flush_work(&heap->carveout->scrub);
	heap->ops->stop(heap);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, rmem_test_scrub_resume, heap));
}

static struct rmem_stats rmem_test_stats(const struct rmem_heap *heap)
{
	struct rmem_stats stats;

	rmem_heap_stats(heap, &stats);
	return stats;
}

static void rmem_test_fill_with(struct kunit *test, struct dma_buf *dmabuf, u8 value)
{
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	memset(map.vaddr, value, dmabuf->size);
	dma_buf_vunmap_unlocked(dmabuf, &map);
}

/* The worker clears memory that was freed, before an allocation needs it */
static void rmem_test_free_is_cleared(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	const struct reserved_mem *rmem = heap->region->rmem;
	unsigned int i;

	for (i = 0; i < held->n; i++)
		rmem_test_fill_with(test, held->bufs[i], 0xa5);
	rmem_test_drain(test, held);
	flush_work(&heap->carveout->scrub);

	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(rmem->base), 0, rmem->size));
}

/* Dirty memory is free, but an allocation does not get it if the task is killed */
static void rmem_test_dirty_is_free(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	size_t size = heap->region->rmem->size;

	rmem_test_scrub_stop(test, heap);
	rmem_test_drain(test, held);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).used, 0);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, size);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).largest_free, size);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), size);

	rmem_test_set_killed(true);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_1M, O_RDWR)), -EINTR);
	rmem_test_set_killed(false);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), size);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, 2 * size, O_RDWR)), -ENOMEM);

	kunit_release_action(test, rmem_test_scrub_resume, heap);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
}

/* Memory that is being cleared is counted once; only two processors can show a mistake */
static void rmem_test_adds_up(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	u64 size = heap->region->rmem->size, least = size;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		rmem_heap_buffer_free(rmem_test_pool_alloc(test, heap, SZ_1M));
		do {
			least = min(least, heap->ops->available(heap));
			cond_resched();
		} while (rmem_test_stats(heap).dirty);
	}
	KUNIT_EXPECT_EQ(test, least, size);
}

/* An allocation clears dirty memory itself if the worker has not done it */
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
	rmem_heap_buffer_free(buf);
	buf = rmem_test_pool_alloc(test, heap, heap->region->rmem->size);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(buf->extent.paddr), 0, buf->len));
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, PAGE_SIZE));
	rmem_heap_buffer_free(buf);
}

/* A carveout of 4 MiB inside a buffer of another carveout; its allocator is not made yet */
struct rmem_test_made *rmem_test_private(struct kunit *test, u8 value)
{
	struct rmem_heap *model = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_test_made *made = kunit_kzalloc(test, sizeof(*made), GFP_KERNEL);
	struct dma_buf *dmabuf = rmem_test_alloc(test, model, SZ_4M);

	KUNIT_ASSERT_NOT_NULL(test, made);
	rmem_test_fill_with(test, dmabuf, value);
	rmem_test_make(made, model->region, model->ops, rmem_test_buf(dmabuf)->extent.paddr,
		       SZ_4M);
	return made;
}

static struct rmem_heap *rmem_test_private_heap(struct kunit *test, u8 value)
{
	struct rmem_heap *heap = &rmem_test_private(test, value)->heap;

	KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
	heap->ops->start(heap);
	return heap;
}

static void rmem_test_private_end(struct rmem_heap *heap)
{
	heap->ops->stop(heap);
	heap->ops->exit(heap);
}

/* A carveout of any size at any address, whose memory is never accessed */
static struct rmem_heap *rmem_test_unreal(struct kunit *test, u64 base, u64 size)
{
	struct rmem_heap *model = rmem_test_heap(test, "device-only@17000000");
	struct rmem_test_made *made = kunit_kzalloc(test, sizeof(*made), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, made);
	rmem_test_make(made, model->region, model->ops, base, size);
	KUNIT_ASSERT_EQ(test, made->heap.ops->init(&made->heap), 0);
	KUNIT_ASSERT_EQ(test, made->heap.memory, RMEM_DEVICE_ONLY);
	return &made->heap;
}

/* The first buffer of a region does not show what the boot has left there */
static void rmem_test_boot_contents(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	struct rmem_buffer *buf;

	KUNIT_EXPECT_EQ(test, heap->memory, RMEM_LINEAR);
	buf = rmem_test_pool_alloc(test, heap, SZ_4M);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(buf->extent.paddr), 0, SZ_4M));
	rmem_heap_buffer_free(buf);
	rmem_test_private_end(heap);
}

static phys_addr_t rmem_test_bad_piece;

static int rmem_test_clear_fails(struct rmem_heap *heap, const struct phys_vec *piece,
				 bool killable)
{
	if (piece->paddr == rmem_test_bad_piece)
		return -EHWPOISON;
	memset(rmem_test_mem(piece->paddr), 0, piece->len);
	return 0;
}

/* How many pages were cleared, or only said to be */
static unsigned int rmem_test_cleared;

static int rmem_test_clear_nothing(struct rmem_heap *heap, const struct phys_vec *piece,
				   bool killable)
{
	rmem_test_cleared += PHYS_PFN(piece->len);
	return 0;
}

/* Memory that cannot be cleared is lost, and not accessed; the memory beside it is used */
static void rmem_test_scrub_fails(struct kunit *test)
{
	const bool *by_worker = test->param_value;
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	phys_addr_t base = heap->region->rmem->base;
	const size_t piece = SZ_256K;
	struct rmem_buffer *buf;

	buf = rmem_test_pool_alloc(test, heap, SZ_4M);
	memset(rmem_test_mem(base), 0xa5, buf->len);
	rmem_test_scrub_stop(test, heap);
	rmem_heap_buffer_free(buf);

	/* Stubs work in the test's own task: it plays the worker. */
	rmem_test_bad_piece = base;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_fails);
	if (*by_worker)
		heap->carveout->scrub.func(&heap->carveout->scrub);
	else
		KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, SZ_4M));
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	kunit_release_action(test, rmem_test_scrub_resume, heap);

	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).lost, piece);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).largest_free, SZ_4M - piece);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M - piece);
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, SZ_4M));
	buf = rmem_test_pool_alloc(test, heap, SZ_4M - piece);
	KUNIT_EXPECT_EQ(test, buf->extent.paddr, base + piece);
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(base), 0xa5, piece));

	rmem_heap_buffer_free(buf);
	rmem_test_private_end(heap);
}

static const bool rmem_test_by_worker[] = { true, false };

static void rmem_test_by_worker_desc(const bool *by_worker, char *desc)
{
	strscpy(desc, *by_worker ? "by the worker" : "by an allocation", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_by_worker, rmem_test_by_worker, rmem_test_by_worker_desc);

/**
 * struct rmem_test_waiter - a task that allocates while the worker clears a piece
 * @heap: the heap
 * @len: bytes that the task asks for
 * @first: what the task frees before, or NULL
 * @thread: the task
 * @runs: completed when the task runs
 * @started: the task has been started
 * @done: the allocation has ended
 * @done_early: the allocation has ended before the piece was cleared
 * @paddr: address of the buffer, 0 if there was none
 */
struct rmem_test_waiter {
	struct rmem_heap *heap;
	size_t len;
	struct rmem_buffer *first;
	struct task_struct *thread;
	struct completion runs;
	bool started;
	bool done;
	bool done_early;
	phys_addr_t paddr;
};

static struct rmem_test_waiter *rmem_test_waiter;

static int rmem_test_wait_thread(void *data)
{
	struct rmem_test_waiter *w = data;
	struct rmem_buffer *buf;

	complete(&w->runs);
	if (w->first)
		rmem_heap_buffer_free(w->first);
	buf = rmem_test_pool_try(w->heap, w->len);
	w->paddr = buf ? buf->extent.paddr : 0;
	WRITE_ONCE(w->done, true);
	if (buf)
		rmem_heap_buffer_free(buf);
	return 0;
}

/* While it clears the last piece, it lets the other task allocate */
static int rmem_test_clear_slowly(struct rmem_heap *heap, const struct phys_vec *piece,
				  bool killable)
{
	const struct reserved_mem *rmem = heap->region->rmem;
	struct rmem_test_waiter *w = rmem_test_waiter;

	if (w->started || piece->paddr + piece->len != rmem->base + rmem->size)
		return rmem_heap_clear(piece, NULL, killable);

	w->started = true;
	init_completion(&w->runs);
	w->thread = kthread_create(rmem_test_wait_thread, w, "rmem_test");
	if (IS_ERR(w->thread))
		return 0;
	get_task_struct(w->thread);
	wake_up_process(w->thread);
	wait_for_completion(&w->runs);
	schedule_timeout_uninterruptible(HZ / 10);
	w->done_early = READ_ONCE(w->done);
	return rmem_heap_clear(piece, NULL, killable);
}

/**
 * struct rmem_test_wait - an allocation while the worker clears the last piece of a region
 * @name: description
 * @len: bytes asked for
 * @waits: the allocation has to wait for the piece
 * @dirty: the first half of the region is freed just before, and dirty
 */
struct rmem_test_wait {
	const char *name;
	size_t len;
	bool waits;
	bool dirty;
};

static const struct rmem_test_wait rmem_test_waits[] = {
	{ "all of the region has the piece in it", SZ_4M, true },
	{ "memory that is clear is not waited for", SZ_2M, false },
	{ "memory that is dirty waits for any piece", SZ_2M, true, true },
};

KUNIT_ARRAY_PARAM_DESC(rmem_test_waits, rmem_test_waits, name);

/* Memory that the worker clears is free: an allocation gets it, as soon as it is cleared */
static void rmem_test_wait(struct kunit *test)
{
	const struct rmem_test_wait *wait = test->param_value;
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	struct rmem_test_waiter w = { .heap = heap, .len = wait->len };
	struct rmem_buffer *buf;

	if (wait->dirty)
		w.first = rmem_test_pool_alloc(test, heap, SZ_2M);
	buf = rmem_test_pool_alloc(test, heap, wait->dirty ? SZ_2M : SZ_4M);
	rmem_test_scrub_stop(test, heap);
	rmem_heap_buffer_free(buf);

	rmem_test_waiter = &w;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_slowly);
	heap->carveout->scrub.func(&heap->carveout->scrub);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);

	KUNIT_ASSERT_TRUE(test, w.started);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w.thread));
	KUNIT_EXPECT_EQ(test, kthread_stop_put(w.thread), 0);
	KUNIT_EXPECT_EQ(test, w.done_early, !wait->waits);
	KUNIT_EXPECT_EQ(test, w.paddr, heap->region->rmem->base);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	rmem_test_private_end(heap);
}

/* Tasks that together ask for no more than the region has get it, each time, and clear */
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
		rmem_heap_buffer_free(buf);
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
		users[i].pages = (heap->region->rmem->size >> PAGE_SHIFT) / 16;
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
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size);
}

/**
 * struct rmem_test_count - buffers of one size that fit into an empty region
 * @base: base of the region
 * @size: size of the region
 * @len: size of the buffers
 * @n: how many fit
 */
struct rmem_test_count {
	u64 base;
	u64 size;
	size_t len;
	unsigned int n;
};

static const struct rmem_test_count rmem_test_counts[] = {
	/* 1080p NV12 frames waste 12 KiB each for an alignment of 1 MiB. */
	{ SZ_1G, 44 * SZ_1M, 1920 * 1088 * 3 / 2, 14 },
	{ SZ_1G, 44 * SZ_1M, SZ_16K + SZ_4K, 44 * SZ_1M / (SZ_16K + SZ_4K) },
	/* Half of an alignment is lost at each end of the region. */
	{ SZ_1G + SZ_1M, 44 * SZ_1M, SZ_2M, 21 },
	/* An eighth is wasted: 1,152 KiB each. */
	{ SZ_1G, 44 * SZ_1M, SZ_1M + SZ_4K, 39 },
	{ SZ_1G, SZ_1M, SZ_4K, 256 },
	{ SZ_1G, SZ_2M, SZ_2M + SZ_4K, 0 },
};

static void rmem_test_count_desc(const struct rmem_test_count *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u times %zu KiB in %llu MiB", c->n,
		 c->len / SZ_1K, c->size / SZ_1M);
}

KUNIT_ARRAY_PARAM(rmem_test_counts, rmem_test_counts, rmem_test_count_desc);

/* A region holds as many buffers as arithmetic says: alignment wastes little */
static void rmem_test_count(struct kunit *test)
{
	const struct rmem_test_count *c = test->param_value;
	struct rmem_heap *heap = rmem_test_unreal(test, c->base, c->size);
	struct rmem_buffer **bufs;
	unsigned int n = 0;

	if (!PAGE_ALIGNED(c->len)) {
		rmem_test_private_end(heap);
		kunit_skip(test, "the size is of whole pages of 4 KiB");
	}
	bufs = kunit_kcalloc(test, c->n + 1, sizeof(*bufs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bufs);
	while (n <= c->n && (bufs[n] = rmem_test_pool_try(heap, c->len)))
		n++;
	KUNIT_EXPECT_EQ(test, n, c->n);
	while (n)
		rmem_heap_buffer_free(bufs[--n]);
	rmem_test_private_end(heap);
}

/**
 * struct rmem_test_place - where the first buffer of a size lies
 * @base: base of the region, 8 MiB
 * @len: size of the buffer
 * @align: bytes that the address must be a multiple of
 * @offset: expected offset from the base
 */
struct rmem_test_place {
	u64 base;
	size_t len;
	size_t align;
	size_t offset;
};

/* Bases that are 1 MiB and 512 KiB behind, and 64 KiB before, a multiple of 2 MiB */
static const struct rmem_test_place rmem_test_places[] = {
	{ SZ_1G, SZ_64K, SZ_64K, 0 },
	{ SZ_1G + SZ_1M, SZ_2M, SZ_2M, SZ_1M },
	{ SZ_1G + SZ_1M, SZ_1M, SZ_1M, 0 },
	{ SZ_1G + SZ_512K, SZ_2M, SZ_2M, SZ_1M + SZ_512K },
	{ SZ_1G + SZ_512K, SZ_1M, SZ_1M, SZ_512K },
	{ SZ_1G - SZ_64K, SZ_2M, SZ_2M, SZ_64K },
	{ SZ_1G - SZ_64K, SZ_4M, SZ_2M, SZ_64K },
	{ SZ_1G - SZ_64K, SZ_128K, SZ_128K, SZ_64K },
	/* An eighth is wasted, and more than an eighth would be */
	{ SZ_1G - SZ_64K, SZ_1M + 3 * SZ_256K + SZ_64K, SZ_2M, SZ_64K },
	{ SZ_1G - SZ_64K, SZ_1M + 2 * SZ_256K, SZ_512K, SZ_64K },
	{ SZ_1G - SZ_64K, SZ_64K + SZ_64K + SZ_64K, SZ_64K, 0 },
	/* There is one place only, and it is not aligned. */
	{ SZ_1G - SZ_64K, SZ_8M, SZ_64K, 0 },
};

static void rmem_test_place_desc(const struct rmem_test_place *p, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu KiB in a region at 0x%llx", p->len / SZ_1K,
		 p->base);
}

KUNIT_ARRAY_PARAM(rmem_test_places, rmem_test_places, rmem_test_place_desc);

/* A buffer is aligned by physical address, as far as that wastes an eighth of its size */
static void rmem_test_place(struct kunit *test)
{
	const struct rmem_test_place *p = test->param_value;
	struct rmem_heap *heap = rmem_test_unreal(test, p->base, SZ_8M);
	struct rmem_buffer *buf = rmem_test_pool_alloc(test, heap, p->len);

	KUNIT_EXPECT_EQ(test, buf->extent.paddr - p->base, p->offset);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buf->extent.paddr, p->align));
	rmem_heap_buffer_free(buf);
	rmem_test_private_end(heap);
}

/* First fit from below, for small and large buffers alike; the neighbours are not touched */
static void rmem_test_first_fit(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_unreal(test, SZ_1G, SZ_8M);
	struct rmem_buffer *bufs[8], *buf;
	static const struct {
		size_t len;
		unsigned int slot;
	} want[] = { { SZ_64K, 1 }, { SZ_1M, 1 }, { SZ_2M, 5 }, { SZ_512K, 1 } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = rmem_test_pool_alloc(test, heap, SZ_1M);
	rmem_heap_buffer_free(bufs[6]);
	rmem_heap_buffer_free(bufs[5]);
	rmem_heap_buffer_free(bufs[3]);
	rmem_heap_buffer_free(bufs[1]);

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		buf = rmem_test_pool_alloc(test, heap, want[i].len);
		KUNIT_EXPECT_EQ(test, buf->extent.paddr, SZ_1G + want[i].slot * SZ_1M);
		rmem_heap_buffer_free(buf);
	}
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, SZ_2M + SZ_64K));
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (i != 1 && i != 3 && i != 5 && i != 6)
			rmem_heap_buffer_free(bufs[i]);
	rmem_test_private_end(heap);
}

/**
 * struct rmem_test_choice - which of several free places a buffer gets
 * @name: description
 * @dirty: for each 256 KiB of the region: 'u' used, 'd' free and dirty, '.' free and clear
 * @len: size of the buffer
 * @slot: expected place, in steps of 64 KiB
 * @warm: dirty memory was freed a moment ago
 */
struct rmem_test_choice {
	const char *name;
	char dirty[17];
	size_t len;
	unsigned int slot;
	bool warm;
};

static const struct rmem_test_choice rmem_test_choices[] = {
	{ "clear before dirty", "duuuu.uuuuuuuuuu", SZ_256K, 20 },
	{ "the first that is clear", "du.uu.uuuuuuuuuu", SZ_256K, 8 },
	{ "aligned and dirty before clear and not aligned", "u..uddu.uuuuuuuu", SZ_512K, 16 },
	{ "clear before dirty if none is aligned", "udduu..uuuuuuuuu", SZ_512K, 20 },
	{ "dirty and not aligned before none", "udduuuuuuuuuuuuu", SZ_512K, 4 },
	{ "the first of two that are dirty and not aligned", "udduudduuuuuuuuu", SZ_512K, 4 },
	{ "clear and dirty in one place", "u.dud.uu.uuuuuuu", SZ_512K, 16 },
	{ "an aligned place inside a free block", "u...dd.uuuuuuuuu", SZ_512K, 8 },
	{ "dirty and warm as well as clear", "duuuu.uuuuuuuuuu", SZ_256K, 0, true },
	{ "aligned before warm", "uddu..uuuuuuuuuu", SZ_512K, 16, true },
};

KUNIT_ARRAY_PARAM_DESC(rmem_test_choices, rmem_test_choices, name);

/*
 * Alignment comes first, then memory that is clear or warm, then the lowest address. The region is
 * 4 MiB, aligned to 2 MiB. Whatever the place was, the buffer is clear.
 */
static void rmem_test_choice(struct kunit *test)
{
	const struct rmem_test_choice *c = test->param_value;
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	phys_addr_t base = heap->region->rmem->base;
	struct rmem_buffer *bufs[16], *buf;
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(base, SZ_2M));
	flush_work(&heap->carveout->scrub);
	for (i = 0; i < ARRAY_SIZE(bufs); i++) {
		bufs[i] = rmem_test_pool_alloc(test, heap, SZ_256K);
		KUNIT_ASSERT_EQ(test, bufs[i]->extent.paddr, base + i * SZ_256K);
		memset(rmem_test_mem(bufs[i]->extent.paddr), 0xa5, bufs[i]->len);
	}
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (c->dirty[i] == '.')
			rmem_heap_buffer_free(bufs[i]);
	rmem_test_scrub_stop(test, heap);
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (c->dirty[i] == 'd')
			rmem_heap_buffer_free(bufs[i]);
	/* As if they had been freed long ago */
	heap->carveout->freed = c->warm;

	buf = rmem_test_pool_alloc(test, heap, c->len);
	KUNIT_EXPECT_EQ(test, (buf->extent.paddr - base) / SZ_64K, c->slot);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(buf->extent.paddr), 0, c->len));
	rmem_heap_buffer_free(buf);
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (c->dirty[i] == 'u')
			rmem_heap_buffer_free(bufs[i]);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	rmem_test_private_end(heap);
}

static int rmem_test_clear_counted(struct rmem_heap *heap, const struct phys_vec *piece,
				   bool killable)
{
	rmem_test_cleared += PHYS_PFN(piece->len);
	return rmem_heap_clear(piece, NULL, killable);
}

/* A task that allocates and frees without a pause gets the same memory again, cleared */
static void rmem_test_back_to_back(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_buffer *buf;
	phys_addr_t first;
	unsigned int i;

	flush_work(&heap->carveout->scrub);
	rmem_test_scrub_stop(test, heap);
	buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	first = buf->extent.paddr;
	for (i = 0; i < 4; i++) {
		memset(rmem_test_mem(first), 0xa5, buf->len);
		rmem_heap_buffer_free(buf);
		buf = rmem_test_pool_alloc(test, heap, SZ_1M);
		KUNIT_EXPECT_EQ(test, buf->extent.paddr, first);
		KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(first), 0, SZ_1M));
	}
	rmem_heap_buffer_free(buf);
}

/* After a pause of 10 ms an allocation clears nothing, whatever its size */
static void rmem_test_after_pause(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_buffer *buf = rmem_test_pool_alloc(test, heap, SZ_1M);

	rmem_heap_buffer_free(buf);
	/* The clock of a busy host may run ahead of its processors. */
	fsleep(10 * USEC_PER_MSEC);
	flush_work(&heap->carveout->scrub);

	rmem_test_cleared = 0;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_counted);
	buf = rmem_test_pool_alloc(test, heap, heap->region->rmem->size);
	KUNIT_EXPECT_EQ(test, rmem_test_cleared, 0);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	rmem_heap_buffer_free(buf);
}

/* An allocation clears the dirty pages of its place, and no others */
static void rmem_test_clears_dirty_only(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	struct rmem_buffer *buf;

	flush_work(&heap->carveout->scrub);
	rmem_test_scrub_stop(test, heap);
	buf = rmem_test_pool_alloc(test, heap, SZ_64K);
	rmem_heap_buffer_free(buf);

	rmem_test_cleared = 0;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_counted);
	buf = rmem_test_pool_alloc(test, heap, SZ_4M);
	KUNIT_EXPECT_EQ(test, rmem_test_cleared, SZ_64K >> PAGE_SHIFT);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	rmem_heap_buffer_free(buf);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	rmem_test_private_end(heap);
}

/* A heap whose export is not complete has not changed the memory, and neither has its end */
static void rmem_test_not_started(struct kunit *test)
{
	struct rmem_heap *heap = &rmem_test_private(test, 0xa5)->heap;
	const struct reserved_mem *rmem = heap->region->rmem;

	KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, SZ_4M);
	queue_work(system_dfl_long_wq, &heap->carveout->scrub);
	flush_work(&heap->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, SZ_4M);
	heap->ops->exit(heap);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(rmem->base), 0xa5, SZ_4M));
}

/* The worker ends after 16 MiB, and goes on later: its end is waited for where it is stopped */
static void rmem_test_batch(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_unreal(test, SZ_1G, 44 * SZ_1M);
	unsigned int i;

	bitmap_fill(heap->carveout->dirty, heap->carveout->nr_pages);
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_nothing);
	for (i = 0; i < 3; i++) {
		rmem_test_cleared = 0;
		heap->carveout->scrub.func(&heap->carveout->scrub);
		KUNIT_EXPECT_EQ(test, rmem_test_cleared,
				(i < 2 ? SZ_16M : 12 * SZ_1M) >> PAGE_SHIFT);
	}
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	rmem_test_private_end(heap);
}

#ifdef CONFIG_FREEZER
/* The worker queues itself as long as there is more to clear */
static void rmem_test_next_batch(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_unreal(test, SZ_1G, 20 * SZ_1M);
	struct work_struct *scrub = &heap->carveout->scrub;
	unsigned int i;

	/* What is queued does not run: the memory is not there. */
	freeze_workqueues_begin();
	enable_work(scrub);
	bitmap_fill(heap->carveout->dirty, heap->carveout->nr_pages);
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_nothing);
	for (i = 0; i < 2; i++) {
		scrub->func(scrub);
		KUNIT_EXPECT_EQ(test, cancel_work_sync(scrub), !i);
	}
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	thaw_workqueues();
	rmem_test_private_end(heap);
}

/* The worker of a frozen system clears nothing, and goes on when the system is back */
static void rmem_test_frozen(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_buffer *buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	void *vaddr = rmem_test_mem(buf->extent.paddr);

	flush_work(&heap->carveout->scrub);
	memset(vaddr, 0xa5, buf->len);
	freeze_workqueues_begin();
	rmem_heap_buffer_free(buf);
	fsleep(50 * USEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, SZ_1M);
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0xa5, SZ_1M));
	thaw_workqueues();
	flush_work(&heap->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
}
#endif

static void rmem_test_end_hibernation(void *unused)
{
	rmem_heap_carveout_pm(NULL, PM_POST_HIBERNATION, NULL);
}

/* After a hibernation no buffer has what is in memory that the image does not contain */
static void rmem_test_hibernation(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "combined@1c800000");
	struct rmem_heap *linear = rmem_test_heap(test, RMEM_TEST_HEAP);
	struct rmem_heap *device_only = rmem_test_heap(test, "device-only@17000000");
	u64 available = heap->ops->available(heap);
	struct rmem_buffer *buf;
	size_t len;
	void *vaddr;

	KUNIT_ASSERT_EQ(test, heap->memory, RMEM_WC);
	buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	len = buf->len;
	vaddr = rmem_test_mem(buf->extent.paddr);
	rmem_heap_buffer_free(buf);
	flush_work(&heap->carveout->scrub);
	flush_work(&linear->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);

	/* Memory keeps what it has while the machine sleeps. */
	KUNIT_EXPECT_EQ(test, rmem_heap_carveout_pm(NULL, PM_SUSPEND_PREPARE, NULL), NOTIFY_DONE);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);

	rmem_heap_carveout_pm(NULL, PM_HIBERNATION_PREPARE, NULL);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, rmem_test_end_hibernation, NULL), 0);
	flush_work(&heap->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, available);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(device_only).dirty, 0);
	/* The image contains the linear map, but for high memory. */
	if (!IS_ENABLED(CONFIG_HIGHMEM))
		KUNIT_EXPECT_EQ(test, rmem_test_stats(linear).dirty, 0);

	/* The machine has been off. Tasks run before workers do. */
	memset(vaddr, 0xa5, len);
	buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	KUNIT_EXPECT_PTR_EQ(test, rmem_test_mem(buf->extent.paddr), vaddr);
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0, SZ_1M));
	memset(vaddr, 0xa5, buf->len);
	rmem_heap_buffer_free(buf);
	flush_work(&heap->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, available);

	kunit_release_action(test, rmem_test_end_hibernation, NULL);
	flush_work(&heap->carveout->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0, SZ_1M));

	/* What has been cleared since stays clear. */
	rmem_test_scrub_stop(test, heap);
	rmem_heap_carveout_pm(NULL, PM_POST_HIBERNATION, NULL);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
}

/* Pages of a buffer that is cleared in one piece, whatever their size; one of them is bad */
#define RMEM_TEST_BAD_PAGES	(16 * PAGE_SIZE < SZ_256K ? 16 : SZ_256K / PAGE_SIZE)

static const size_t rmem_test_bad_len = RMEM_TEST_BAD_PAGES * PAGE_SIZE;
static const unsigned long rmem_test_bad_page = RMEM_TEST_BAD_PAGES / 3;

static unsigned long rmem_test_find_bad_page(const struct rmem_heap *heap, unsigned long at,
					     unsigned long end)
{
	return at <= rmem_test_bad_page && rmem_test_bad_page < end ? rmem_test_bad_page : end;
}

/* A page that the hardware reports while it is free and clear is lost, and not handed out */
static void rmem_test_bad_while_free(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	phys_addr_t base = heap->region->rmem->base;
	struct rmem_buffer *buf;

	flush_work(&heap->carveout->scrub);
	KUNIT_ASSERT_EQ(test, rmem_test_stats(heap).dirty, 0);
	memset(rmem_test_mem(base + PFN_PHYS(rmem_test_bad_page)), 0xa5, PAGE_SIZE);
	kunit_activate_static_stub(test, rmem_heap_carveout_bad_page, rmem_test_find_bad_page);
	buf = rmem_test_pool_alloc(test, heap, rmem_test_bad_len);
	KUNIT_EXPECT_GT(test, buf->extent.paddr, base + PFN_PHYS(rmem_test_bad_page));
	rmem_heap_buffer_free(buf);
	KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, SZ_4M));
	kunit_deactivate_static_stub(test, rmem_heap_carveout_bad_page);
	flush_work(&heap->carveout->scrub);

	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).lost, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M - PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(base + PFN_PHYS(rmem_test_bad_page)), 0xa5,
					   PAGE_SIZE));
	rmem_test_private_end(heap);
}

/* Dirty memory is not accessed when the hardware has reported a page in the middle of it */
static void rmem_test_bad_while_dirty(struct kunit *test)
{
	struct rmem_heap *heap = &rmem_test_private(test, 0xa5)->heap;
	phys_addr_t base = heap->region->rmem->base;
	struct rmem_buffer *buf;

	KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
	kunit_activate_static_stub(test, rmem_heap_carveout_bad_page, rmem_test_find_bad_page);
	buf = rmem_test_pool_alloc(test, heap, rmem_test_bad_len);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_bad_page);
	KUNIT_EXPECT_EQ(test, buf->extent.paddr, base + rmem_test_bad_len);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).lost, rmem_test_bad_len);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(base), 0xa5, rmem_test_bad_len));
	rmem_heap_buffer_free(buf);
	heap->ops->exit(heap);
}

/* A page that cannot be cleared does not fail an allocation for which there is another place */
static void rmem_test_bad_avoided(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	phys_addr_t base = heap->region->rmem->base;
	struct rmem_buffer *buf;

	/* The worker has cleared nothing yet: all of the region is dirty. */
	rmem_test_scrub_stop(test, heap);
	bitmap_fill(heap->carveout->dirty, heap->carveout->nr_pages);
	/* In the middle: what is before it and behind it is given back. */
	rmem_test_bad_piece = base + SZ_256K;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_fails);
	buf = rmem_test_pool_try(heap, SZ_1M);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	KUNIT_EXPECT_NOT_NULL(test, buf);
	if (buf) {
		KUNIT_EXPECT_GE(test, buf->extent.paddr, base + SZ_512K);
		rmem_heap_buffer_free(buf);
	}
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).lost, SZ_256K);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M - SZ_256K);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	heap->ops->exit(heap);
}

/* Another task takes a page of the piece while the worker finds that it cannot be cleared. */
static int rmem_test_clear_taken(struct rmem_heap *heap, const struct phys_vec *piece,
				 bool killable)
{
	if (piece->paddr != rmem_test_bad_piece)
		return rmem_heap_clear(piece, NULL, killable);
	bitmap_set(heap->carveout->used, 0, 1);
	heap->carveout->nr_used++;
	return -EHWPOISON;
}

/* Of a piece that the worker cannot clear, what an allocation has taken is not lost */
static void rmem_test_taken_is_not_lost(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	struct rmem_carveout *c = heap->carveout;

	rmem_test_scrub_stop(test, heap);
	bitmap_fill(c->dirty, c->nr_pages);
	rmem_test_bad_piece = heap->region->rmem->base;
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_taken);
	c->scrub.func(&c->scrub);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).lost, SZ_256K - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M - SZ_256K);
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	heap->ops->exit(heap);
}

/* Dirty memory that a killed task gave back is cleared by the worker, though nothing is freed */
static void rmem_test_killed_is_cleared(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_private_heap(test, 0xa5);
	struct rmem_carveout *c = heap->carveout;

	flush_work(&c->scrub);
	bitmap_fill(c->dirty, c->nr_pages);
	rmem_test_set_killed(true);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_buffer_alloc(heap, SZ_1M)), -EINTR);
	rmem_test_set_killed(false);
	flush_work(&c->scrub);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).dirty, 0);
	KUNIT_EXPECT_EQ(test, rmem_test_stats(heap).used, 0);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M);
	heap->ops->exit(heap);
}

/**
 * struct rmem_test_turn - a task that looks for a place, or clears a piece
 * @lock: what it holds meanwhile
 * @held: it has its turn
 * @done: its turn may end
 */
struct rmem_test_turn {
	struct mutex *lock;	/* of a carveout */
	struct completion held;
	struct completion done;
};

static int rmem_test_turn_thread(void *data)
{
	struct rmem_test_turn *t = data;

	mutex_lock(t->lock);
	complete(&t->held);
	wait_for_completion(&t->done);
	mutex_unlock(t->lock);
	return 0;
}

/* A task that is killed while it waits for another, or for the worker, gets nothing */
static void rmem_test_killed_in_turn(struct kunit *test)
{
	struct rmem_heap *heap = &rmem_test_private(test, 0xa5)->heap;
	struct task_struct *thread;
	struct rmem_test_turn t;
	struct rmem_buffer *buf;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
	for (i = 0; i < 2; i++) {
		t.lock = i ? &heap->carveout->search : &heap->carveout->scrubbing;
		/* All is dirty, then clear: who clears nothing must notice, too. */
		if (i)
			bitmap_zero(heap->carveout->dirty, heap->carveout->nr_pages);
		init_completion(&t.held);
		init_completion(&t.done);
		thread = kthread_create(rmem_test_turn_thread, &t, "rmem_test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
		get_task_struct(thread);
		wake_up_process(thread);
		wait_for_completion(&t.held);
		rmem_test_set_killed(true);
		buf = rmem_heap_buffer_alloc(heap, SZ_64K);
		rmem_test_set_killed(false);
		complete(&t.done);
		KUNIT_EXPECT_EQ(test, kthread_stop_put(thread), 0);
		KUNIT_EXPECT_EQ(test, PTR_ERR(buf), -EINTR);
		KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_4M);
		if (!IS_ERR(buf))
			rmem_heap_buffer_free(buf);
	}
	heap->ops->exit(heap);
}

/* Up to 16 MiB, memory that was freed a moment ago is as good as memory that is clear */
static void rmem_test_warm_limit(struct kunit *test)
{
	static const struct {
		size_t len;
		size_t offset;
	} want[] = { { SZ_16M, 0 }, { SZ_16M + PAGE_SIZE, SZ_32M } };
	struct rmem_heap *heap = rmem_test_unreal(test, SZ_1G, SZ_64M);
	struct rmem_carveout *c = heap->carveout;
	struct rmem_buffer *buf;
	unsigned int i;

	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_nothing);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		bitmap_set(c->dirty, 0, SZ_32M >> PAGE_SHIFT);
		bitmap_clear(c->dirty, SZ_32M >> PAGE_SHIFT, SZ_32M >> PAGE_SHIFT);
		c->freed = true;
		buf = rmem_test_pool_alloc(test, heap, want[i].len);
		KUNIT_EXPECT_EQ(test, buf->extent.paddr - SZ_1G, want[i].offset);
		rmem_heap_buffer_free(buf);
	}
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	heap->ops->exit(heap);
}

static struct kunit_case rmem_heap_carveout_cases[] = {
	KUNIT_CASE(rmem_test_free_is_cleared),
	KUNIT_CASE(rmem_test_dirty_is_free),
	KUNIT_CASE(rmem_test_adds_up),
	KUNIT_CASE(rmem_test_helps),
	KUNIT_CASE_PARAM(rmem_test_wait, rmem_test_waits_gen_params),
	KUNIT_CASE(rmem_test_boot_contents),
	KUNIT_CASE_PARAM(rmem_test_scrub_fails, rmem_test_by_worker_gen_params),
	KUNIT_CASE(rmem_test_users),
	KUNIT_CASE_PARAM(rmem_test_count, rmem_test_counts_gen_params),
	KUNIT_CASE_PARAM(rmem_test_place, rmem_test_places_gen_params),
	KUNIT_CASE(rmem_test_first_fit),
	KUNIT_CASE_PARAM(rmem_test_choice, rmem_test_choices_gen_params),
	KUNIT_CASE(rmem_test_back_to_back),
	KUNIT_CASE(rmem_test_after_pause),
	KUNIT_CASE(rmem_test_clears_dirty_only),
	KUNIT_CASE(rmem_test_bad_avoided),
	KUNIT_CASE(rmem_test_taken_is_not_lost),
	KUNIT_CASE(rmem_test_killed_is_cleared),
	KUNIT_CASE(rmem_test_killed_in_turn),
	KUNIT_CASE(rmem_test_warm_limit),
	KUNIT_CASE(rmem_test_not_started),
	KUNIT_CASE(rmem_test_batch),
#ifdef CONFIG_FREEZER
	KUNIT_CASE(rmem_test_next_batch),
	KUNIT_CASE(rmem_test_frozen),
#endif
	KUNIT_CASE(rmem_test_hibernation),
	KUNIT_CASE(rmem_test_bad_while_free),
	KUNIT_CASE(rmem_test_bad_while_dirty),
	{ }
};

static struct kunit_suite rmem_heap_carveout_suite = {
	.name = "rmem_heap_carveout",
	.test_cases = rmem_heap_carveout_cases,
};

kunit_test_suite(rmem_heap_carveout_suite);
