// SPDX-License-Identifier: GPL-2.0
/*
 * Measurements of the allocator of carveouts, beside gen_pool and a plain first fit. The
 * suite judges nothing. The device tree has the carveouts, which
 * differ in size, and one over addresses where there is no memory.
 * The suite wants one processor, so that the time until the worker is idle is the time that
 * allocations, frees and all clearing have cost.
 */

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <trace/events/preemptirq.h>
#include <trace/events/sched.h>

#include "rmem_heap_bench.h"

/* Waits until the worker has cleared what it has to. */
void rmem_bench_settle(struct rmem_heap *heap)
{
	while (flush_work(&heap->carveout->scrub))
		;
}

static struct rmem_buffer *rmem_bench_get(struct rmem_heap *heap, size_t len)
{
	struct rmem_buffer *buf = rmem_heap_buffer_alloc(heap, len);

	return IS_ERR(buf) ? NULL : buf;
}

static unsigned long rmem_bench_page(struct rmem_buffer *buf)
{
	return PHYS_PFN(buf->extents[0].paddr - buf->heap->region->rmem->base);
}

static void rmem_bench_bufs_free(void *data)
{
	kvfree(data);
}

/* Room for the buffers of a heap, even if all of them have one page */
struct rmem_buffer **rmem_bench_bufs(struct kunit *test, struct rmem_heap *heap)
{
	struct rmem_buffer **bufs = kvcalloc(heap->region->rmem->size >> PAGE_SHIFT, sizeof(*bufs),
					     GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bufs);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_bench_bufs_free, bufs));
	rmem_bench_settle(heap);
	return bufs;
}

/* Fills the heap with buffers of a size; returns their number. */
unsigned int rmem_bench_fill(struct rmem_heap *heap, struct rmem_buffer **bufs, size_t len)
{
	unsigned int n = 0;

	while (n < heap->region->rmem->size >> PAGE_SHIFT && (bufs[n] = rmem_bench_get(heap, len)))
		if (++n % 1024 == 0)
			cond_resched();
	return n;
}

/* Leaves every second page in use, and the others free; returns the number of pages. */
unsigned int rmem_bench_perforate(struct rmem_heap *heap, struct rmem_buffer **bufs)
{
	unsigned int i, n = rmem_bench_fill(heap, bufs, PAGE_SIZE);

	for (i = 0; i < n; i++) {
		if (i % 1024 == 0)
			cond_resched();
		if (rmem_bench_page(bufs[i]) % 2)
			continue;
		rmem_heap_buffer_free(bufs[i]);
		bufs[i] = NULL;
	}
	return n;
}

void rmem_bench_drain(struct rmem_heap *heap, struct rmem_buffer **bufs, unsigned int n)
{
	while (n--) {
		if (bufs[n])
			rmem_heap_buffer_free(bufs[n]);
		bufs[n] = NULL;
		if (n % 1024 == 0)
			cond_resched();
	}
	rmem_bench_settle(heap);
}

/* The number of buffers that an empty carveout of 44 MiB holds: frames of 1080p, 20 KiB */
static void rmem_bench_holds(struct kunit *test)
{
	struct rmem_heap *heap = rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, 44 * SZ_1M);
	static const size_t lens[] = { 3133440, 20 * SZ_1K };
	struct rmem_buffer **bufs = rmem_bench_bufs(test, heap);
	struct rmem_series *s = rmem_bench_series(test, ARRAY_SIZE(lens));
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		n = rmem_bench_fill(heap, bufs, PAGE_ALIGN(lens[i]));
		rmem_bench_drain(heap, bufs, n);
		rmem_bench_add(&s[i], n);
		rmem_bench_result("holds", "carveout", lens[i], &s[i], "buffers");
	}
}

/* Tasks that allocate, hold and free; together they never want more than there is. */
struct rmem_bench_task {
	struct rmem_heap *heap;
	struct completion done;
	size_t len;
	unsigned int seed;
	unsigned int loops;
	unsigned int failed;
};

static int rmem_bench_task(void *data)
{
	struct rmem_bench_task *t = data;
	struct rnd_state rnd;
	unsigned int i, us;

	prandom_seed_state(&rnd, t->seed);
	for (i = 0; i < t->loops; i++) {
		struct rmem_buffer *buf = rmem_bench_get(t->heap, t->len);

		us = prandom_u32_state(&rnd) % 5000;
		usleep_range(us, us + 50);
		if (buf)
			rmem_heap_buffer_free(buf);
		else
			t->failed++;
	}
	complete(&t->done);
	return 0;
}

static void rmem_bench_tasks(struct kunit *test)
{
	static const struct {
		unsigned int nr;
		size_t len;
		unsigned int loops;
	} kinds[] = { { 5, SZ_8M, 1000 / 5 }, { 2, SZ_16M, 600 / 2 } };
	struct rmem_heap *heap = rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, 44 * SZ_1M);
	struct rmem_series *s = rmem_bench_series(test, ARRAY_SIZE(kinds));
	struct rmem_bench_task tasks[5];
	struct task_struct *thread;
	unsigned int i, k, r, failed;

	for (r = 0; r < 3; r++) {
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			rmem_bench_settle(heap);
			for (i = 0; i < kinds[k].nr; i++) {
				tasks[i] = (struct rmem_bench_task) {
					.heap = heap,
					.len = kinds[k].len,
					.loops = kinds[k].loops,
					.seed = 100 * r + i + 1,
				};
				init_completion(&tasks[i].done);
				thread = kthread_run(rmem_bench_task, &tasks[i], "rmem_bench");
				KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
			}
			for (failed = 0, i = 0; i < kinds[k].nr; i++) {
				wait_for_completion(&tasks[i].done);
				failed += tasks[i].failed;
			}
			rmem_bench_add(&s[k], failed);
		}
	}
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		rmem_bench_result("tasks-failed", "carveout", kinds[k].len, &s[k], "failures");
}

/*
 * Random allocations and frees in 512 MiB. The same steps are taken by the carveout and by a
 * first fit that does not align: once without a pause, so that freed pages wait for the
 * worker, and once with all of them clear before the next step. Which pages are free is noted
 * outside of the allocators.
 */
#define RMEM_RANDOM_SIZE	SZ_512M
#define RMEM_RANDOM_PAGES	(RMEM_RANDOM_SIZE >> PAGE_SHIFT)
#define RMEM_RANDOM_STEPS	20000
#define RMEM_RANDOM_MAX		(SZ_4M >> PAGE_SHIFT)

enum rmem_random_kind {
	RMEM_RANDOM_LOG,
	RMEM_RANDOM_UNIFORM,
	RMEM_RANDOM_POWERS,
};

static const char * const rmem_random_names[] = { "log-uniform", "uniform", "powers" };

/**
 * struct rmem_random - an allocator in the course of the steps
 * @map: pages in use
 * @at: the first page of each buffer; RMEM_RANDOM_PAGES if its allocation failed
 * @failed: allocations that failed
 * @sum: sum of the largest free blocks in pages
 */
struct rmem_random {
	DECLARE_BITMAP(map, RMEM_RANDOM_PAGES);
	unsigned long at[RMEM_RANDOM_PAGES];
	unsigned int failed;
	u64 sum;
};

static void rmem_random_reset(struct rmem_random *a)
{
	bitmap_zero(a->map, RMEM_RANDOM_PAGES);
	a->failed = 0;
	a->sum = 0;
}

static unsigned int rmem_random_pages(struct rnd_state *rnd, enum rmem_random_kind kind)
{
	unsigned int order, r = prandom_u32_state(rnd);

	switch (kind) {
	case RMEM_RANDOM_UNIFORM:
		return 1 + r % RMEM_RANDOM_MAX;
	case RMEM_RANDOM_POWERS:
		return 1 << r % (ilog2(RMEM_RANDOM_MAX) + 1);
	case RMEM_RANDOM_LOG:
	default:
		/* Between two powers of two the distribution is uniform. */
		order = r % ilog2(RMEM_RANDOM_MAX);
		return (1 << order) + prandom_u32_state(rnd) % (1 << order);
	}
}

static unsigned long rmem_random_largest(const unsigned long *map)
{
	unsigned long from, to, largest = 0;

	for_each_clear_bitrange(from, to, map, RMEM_RANDOM_PAGES)
		largest = max(largest, to - from);
	return largest;
}

static void rmem_random_took(struct rmem_random *a, unsigned int slot, unsigned long at,
			     unsigned int pages)
{
	a->at[slot] = at;
	if (at < RMEM_RANDOM_PAGES)
		bitmap_set(a->map, at, pages);
	else
		a->failed++;
}

static void rmem_random_gave(struct rmem_random *a, unsigned int slot, unsigned int to,
			     unsigned int pages)
{
	if (a->at[slot] < RMEM_RANDOM_PAGES)
		bitmap_clear(a->map, a->at[slot], pages);
	a->at[slot] = a->at[to];
}

static void rmem_random_play(struct rmem_heap *heap, struct rmem_buffer **bufs,
			     struct rmem_random *ours, struct rmem_random *plain, u16 *pages,
			     enum rmem_random_kind kind, unsigned int fill, bool settle)
{
	unsigned long most = RMEM_RANDOM_PAGES / 100 * fill, used = 0, at;
	unsigned int step, n = 0, slot, samples = 0;
	struct rnd_state rnd;

	rmem_random_reset(ours);
	rmem_random_reset(plain);
	prandom_seed_state(&rnd, 20260101 + kind);
	for (step = 0; step < RMEM_RANDOM_STEPS; step++) {
		unsigned int want = rmem_random_pages(&rnd, kind);

		if (used + want <= most) {
			bufs[n] = rmem_bench_get(heap, (size_t)want << PAGE_SHIFT);
			at = bufs[n] ? rmem_bench_page(bufs[n]) : RMEM_RANDOM_PAGES;
			rmem_random_took(ours, n, at, want);
			at = bitmap_find_next_zero_area(plain->map, RMEM_RANDOM_PAGES, 0, want, 0);
			rmem_random_took(plain, n, at, want);
			pages[n++] = want;
			used += want;
		} else {
			slot = prandom_u32_state(&rnd) % n--;
			if (bufs[slot])
				rmem_heap_buffer_free(bufs[slot]);
			bufs[slot] = bufs[n];
			rmem_random_gave(ours, slot, n, pages[slot]);
			rmem_random_gave(plain, slot, n, pages[slot]);
			used -= pages[slot];
			pages[slot] = pages[n];
		}
		/* By then the carveout has been filled. */
		if (step >= RMEM_RANDOM_STEPS / 4 && step % 16 == 0) {
			ours->sum += rmem_random_largest(ours->map);
			plain->sum += rmem_random_largest(plain->map);
			samples++;
		}
		if (settle)
			rmem_bench_settle(heap);
		else
			cond_resched();
	}
	ours->sum = div_u64(ours->sum, samples);
	plain->sum = div_u64(plain->sum, samples);
	rmem_bench_drain(heap, bufs, n);
}

static void rmem_bench_random(struct kunit *test)
{
	struct rmem_heap *heap = rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, RMEM_RANDOM_SIZE);
	struct rmem_buffer **bufs = rmem_bench_bufs(test, heap);
	static const char * const labels[] = { "carveout", "first-fit" };
	struct {
		struct rmem_random of[2];
		u16 pages[RMEM_RANDOM_PAGES];
	} *state = kvzalloc(sizeof(*state), GFP_KERNEL);
	struct rmem_series *s = rmem_bench_series(test, 1);
	unsigned int k, i;
	char run[64];

	KUNIT_ASSERT_NOT_NULL(test, state);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_bench_bufs_free, state));
	for (k = 0; k < 3 * 2 * 2; k++) {
		unsigned int kind = k / 4, fill = k & 2 ? 80 : 50;
		bool settle = k & 1;

		rmem_random_play(heap, bufs, &state->of[0], &state->of[1], state->pages, kind,
				 fill, settle);
		for (i = 0; i < ARRAY_SIZE(labels); i++) {
			snprintf(run, sizeof(run), "random-%s-%u-%s", settle ? "settled" : "busy",
				 fill, rmem_random_names[kind]);
			s->n = 0;
			rmem_bench_add(s, state->of[i].sum << (PAGE_SHIFT - 10));
			rmem_bench_result(run, labels[i], RMEM_RANDOM_SIZE, s, "KiB");
			strcat(run, "-failed");
			s->n = 0;
			rmem_bench_add(s, state->of[i].failed);
			rmem_bench_result(run, labels[i], RMEM_RANDOM_SIZE, s, "failures");
		}
	}
}

/* The longest time that a task kept preemption off, on kernels that trace that */
#if defined(CONFIG_TRACE_PREEMPT_TOGGLE) && defined(CONFIG_PREEMPTIRQ_TRACEPOINTS)
static struct {
	struct task_struct *task;
	u64 since;
	u64 longest;
} rmem_preempt;

static void rmem_preempt_disabled(void *data, unsigned long ip, unsigned long parent)
{
	rmem_preempt.task = current;
	rmem_preempt.since = rmem_bench_ns();
}

static void rmem_preempt_enabled(void *data, unsigned long ip, unsigned long parent)
{
	if (rmem_preempt.task == current)
		rmem_preempt.longest = max(rmem_preempt.longest,
					   rmem_bench_ns() - rmem_preempt.since);
	rmem_preempt.task = NULL;
}

/* A task that is switched off has preemption disabled until it runs again. */
static void rmem_preempt_switched(void *data, bool preempt, struct task_struct *prev,
				  struct task_struct *next, unsigned int state)
{
	rmem_preempt.task = NULL;
}

static void rmem_preempt_trace(void)
{
	memset(&rmem_preempt, 0, sizeof(rmem_preempt));
	register_trace_sched_switch(rmem_preempt_switched, NULL);
	register_trace_preempt_enable(rmem_preempt_enabled, NULL);
	register_trace_preempt_disable(rmem_preempt_disabled, NULL);
}

static u64 rmem_preempt_longest(void)
{
	unregister_trace_preempt_disable(rmem_preempt_disabled, NULL);
	unregister_trace_preempt_enable(rmem_preempt_enabled, NULL);
	unregister_trace_sched_switch(rmem_preempt_switched, NULL);
	tracepoint_synchronize_unregister();
	return rmem_preempt.longest;
}

#define rmem_preempt_traced	true
#else
static inline void rmem_preempt_trace(void) { }
static inline u64 rmem_preempt_longest(void) { return 0; }
#define rmem_preempt_traced	false
#endif

/* An allocation of two pages at the moment when half of 65,536 pages were freed, at random */
static void rmem_bench_half_freed(struct kunit *test)
{
	struct rmem_heap *heap = rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, SZ_256M);
	struct rmem_buffer **bufs = rmem_bench_bufs(test, heap);
	struct rmem_series *s = rmem_bench_series(test, 1);
	unsigned int i, k, r, n;
	struct rnd_state rnd;
	u64 t;

	prandom_seed_state(&rnd, 20260101);
	for (r = 0; r < 9; r++) {
		n = rmem_bench_fill(heap, bufs, PAGE_SIZE);
		for (i = n - 1; i > 0; i--) {
			k = prandom_u32_state(&rnd) % (i + 1);
			swap(bufs[i], bufs[k]);
		}
		for (i = 0; i < n / 2; i++) {
			rmem_heap_buffer_free(bufs[i]);
			bufs[i] = NULL;
		}
		t = rmem_bench_ns();
		bufs[0] = rmem_bench_get(heap, 2 * PAGE_SIZE);
		rmem_bench_add(s, rmem_bench_ns() - t);
		KUNIT_EXPECT_NOT_NULL(test, bufs[0]);
		rmem_bench_drain(heap, bufs, n);
	}
	rmem_bench_result("half-freed", "carveout", 2 * PAGE_SIZE, s, "ns");
}

/* A carveout of 4 GiB without memory: no-map regions are never touched by the CPU. */
struct rmem_bench_void {
	struct reserved_mem rmem;
	struct rmem_region region;
	struct rmem_heap heap;
};

static void rmem_bench_void_remove(void *data)
{
	struct rmem_bench_void *v = data;

	v->heap.ops->exit(&v->heap);
	of_node_put(v->region.of_node);
	kfree(v);
}

static struct rmem_heap *rmem_bench_void(struct kunit *test, u64 size)
{
	struct rmem_bench_void *v = kzalloc_obj(*v);

	KUNIT_ASSERT_NOT_NULL(test, v);
	v->rmem.base = SZ_1T;
	v->rmem.size = size;
	v->region.name = "bench";
	v->region.rmem = &v->rmem;
	v->region.mode = RMEM_HEAP_CARVEOUT;
	v->heap.region = &v->region;
	v->heap.ops = &rmem_heap_carveout_ops;
	v->region.of_node = of_find_node_with_property(NULL, "no-map");
	KUNIT_ASSERT_EQ(test, v->heap.ops->init(&v->heap), 0);
	KUNIT_ASSERT_EQ(test, v->heap.memory, RMEM_DEVICE_ONLY);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_bench_void_remove, v));
	return &v->heap;
}

/*
 * The longest of several calls with every second page in use, and the longest time without
 * preemption, which only a kernel that traces preemption can tell
 */
static void rmem_bench_preemption(struct kunit *test)
{
	static const size_t lens[] = { 2 * PAGE_SIZE, SZ_1M, SZ_4M, PAGE_SIZE };
	struct rmem_heap *heaps[] = {
		rmem_bench_void(test, SZ_4G),
		rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, SZ_256M),
	};
	struct rmem_series *call, *off;
	struct rmem_buffer **bufs, *buf;
	unsigned int h, i, r, n;
	u64 longest, t;
	size_t len;

	for (h = 0; h < ARRAY_SIZE(heaps); h++) {
		call = rmem_bench_series(test, 1);
		off = rmem_bench_series(test, 1);
		bufs = rmem_bench_bufs(test, heaps[h]);
		n = rmem_bench_perforate(heaps[h], bufs);
		for (r = 0; r < 9; r++) {
			longest = 0;
			rmem_preempt_trace();
			for (i = 0; i < ARRAY_SIZE(lens); i++) {
				t = rmem_bench_ns();
				buf = rmem_bench_get(heaps[h], lens[i]);
				longest = max(longest, rmem_bench_ns() - t);
				if (buf)
					rmem_heap_buffer_free(buf);
			}
			rmem_bench_add(off, rmem_preempt_longest());
			rmem_bench_add(call, longest);
		}
		rmem_bench_drain(heaps[h], bufs, n);
		len = heaps[h]->region->rmem->size;
		rmem_bench_result("longest-call", "carveout", len, call, "ns");
		if (rmem_preempt_traced)
			rmem_bench_result("preempt-off", "carveout", len, off, "ns");
	}
}

static struct kunit_case rmem_bench_carveout_cases[] = {
	KUNIT_CASE_SLOW(rmem_bench_holds),
	KUNIT_CASE_SLOW(rmem_bench_tasks),
	KUNIT_CASE_SLOW(rmem_bench_random),
	KUNIT_CASE_SLOW(rmem_bench_half_freed),
	KUNIT_CASE_SLOW(rmem_bench_preemption),
	{ }
};

static struct kunit_suite rmem_bench_carveout_suite = {
	.name = "rmem_bench_carveout",
	.test_cases = rmem_bench_carveout_cases,
};

kunit_test_suite(rmem_bench_carveout_suite);
