// SPDX-License-Identifier: GPL-2.0
/*
 * Which pages a heap hands out, and what it says about them. On the regions of
 * rmem_heap_test.dts, and on regions of the tests' own.
 */

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <kunit/static_stub.h>

#include "rmem_heap_test.h"

#define RMEM_TEST_HEAP	"plain@16000000"

/* Makes a pool of the region, and waits until what was in the region before is cleared */
static void rmem_test_private_init(struct kunit *test, struct rmem_test_made *p)
{
	KUNIT_ASSERT_EQ(test, p->heap.ops->init(&p->heap), 0);
	p->heap.ops->start(&p->heap);
	flush_work(&p->heap.carveout->scrub);
}

static void rmem_test_private_exit(struct rmem_test_made *p)
{
	p->heap.ops->stop(&p->heap);
	p->heap.ops->exit(&p->heap);
}

/* Bytes from the start of the region to the buffer */
static size_t rmem_test_offset(const struct rmem_test_made *p, const struct rmem_buffer *buf)
{
	return buf->extents[0].paddr - p->rmem.base;
}

/*
 * A buffer of a carveout is aligned by its physical address: the region may start anywhere.
 * Nobody touches device-only memory, so that these regions need not exist.
 */
static void rmem_test_odd_bases(struct kunit *test)
{
	static const u32 odd[] = {
		0, SZ_4K, SZ_64K, 3 * SZ_64K, 5 * SZ_64K, SZ_512K, SZ_1M, SZ_1M + SZ_512K,
		SZ_2M - SZ_64K,
	};
	struct rmem_heap *model = rmem_test_heap(test, "device-only@17000000");
	struct rmem_test_made made;
	struct rmem_heap *heap = &made.heap;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		size_t len;

		rmem_test_make(&made, model->region, model->ops, SZ_1G + ALIGN(odd[i], PAGE_SIZE),
			       SZ_8M);
		KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
		for (len = PAGE_SIZE; len <= SZ_2M; len *= 2) {
			struct rmem_buffer *buf = rmem_test_pool_alloc(test, heap, len);

			KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED(buf->extents[0].paddr, len),
					      "%zu bytes at %pa of a region at %pa", len,
					      &buf->extents[0].paddr, &made.rmem.base);
			rmem_heap_buffer_free(buf);
		}
		heap->ops->exit(heap);
	}
}

/* The largest free block is the largest one, whether it is the first, the last or neither */
static void rmem_test_largest_free(struct kunit *test)
{
	/* Which eighths of the region are freed, and the longest row of them */
	static const struct {
		u8 freed;
		u8 row;
	} cases[] = {
		{ 0b00000000, 0 }, { 0b10010011, 2 }, { 0b11001001, 2 }, { 0b01011101, 3 },
		{ 0b00000001, 1 }, { 0b10000000, 1 }, { 0b11111111, 8 },
	};
	struct rmem_test_made *p = rmem_test_private(test, 0);
	struct rmem_buffer *bufs[8];
	struct rmem_stats stats;
	unsigned int c, i;

	rmem_test_private_init(test, p);
	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		for (i = 0; i < ARRAY_SIZE(bufs); i++)
			bufs[i] = rmem_test_pool_alloc(test, &p->heap, SZ_512K);
		for (i = 0; i < ARRAY_SIZE(bufs); i++) {
			if (!(cases[c].freed & BIT(rmem_test_offset(p, bufs[i]) / SZ_512K)))
				continue;
			rmem_heap_buffer_free(bufs[i]);
			bufs[i] = NULL;
		}
		flush_work(&p->heap.carveout->scrub);
		rmem_heap_stats(&p->heap, &stats);
		KUNIT_EXPECT_EQ_MSG(test, stats.largest_free, (u64)cases[c].row * SZ_512K,
				    "with %x free", cases[c].freed);
		KUNIT_EXPECT_EQ(test, stats.dirty, 0);
		KUNIT_EXPECT_EQ(test, stats.lost, 0);
		for (i = 0; i < ARRAY_SIZE(bufs); i++)
			if (bufs[i])
				rmem_heap_buffer_free(bufs[i]);
		flush_work(&p->heap.carveout->scrub);
	}
	rmem_test_private_exit(p);
}

#define RMEM_TEST_SHOWN	1024

/* The lines of a heap in debugfs "map" */
static void rmem_test_show(const struct rmem_heap *heap, char *text)
{
	struct seq_file m = { .buf = text, .size = RMEM_TEST_SHOWN };

	memset(text, 0, RMEM_TEST_SHOWN);
	rmem_heap_carveout_show(heap, &m);
}

static char rmem_test_shown[RMEM_TEST_SHOWN];

#define rmem_expect_shown(test, off, len, what)						\
do {											\
	char line[80];									\
											\
	snprintf(line, sizeof(line), "made\t%zu\t%zu\t%s\n", (size_t)(off),		\
		 (size_t)(len), what);							\
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(rmem_test_shown, line), "%s is not in\n%s", \
				  line, rmem_test_shown);				\
} while (0)

static int rmem_test_clear_and_show(struct rmem_heap *heap, const struct phys_vec *piece,
				    bool killable)
{
	/* The first piece is clear by now, and the worker clears the second. */
	if (piece->paddr == heap->region->rmem->base + SZ_256K)
		rmem_test_show(heap, rmem_test_shown);
	memset(rmem_test_mem(piece->paddr), 0, piece->len);
	return 0;
}

/* The debugfs file "map" has the offset and the length of what is used and of what is dirty */
static void rmem_test_shown_map(struct kunit *test)
{
	struct rmem_test_made *p = rmem_test_private(test, 0);
	struct rmem_buffer *low, *mid, *gap, *high;
	struct rmem_stats stats;

	rmem_test_private_init(test, p);
	rmem_test_show(&p->heap, rmem_test_shown);
	KUNIT_EXPECT_STREQ(test, rmem_test_shown, "");

	low = rmem_test_pool_alloc(test, &p->heap, SZ_2M);
	mid = rmem_test_pool_alloc(test, &p->heap, SZ_1M);
	gap = rmem_test_pool_alloc(test, &p->heap, SZ_64K);
	high = rmem_test_pool_alloc(test, &p->heap, SZ_64K);
	rmem_heap_buffer_free(gap);
	flush_work(&p->heap.carveout->scrub);
	KUNIT_ASSERT_EQ(test, rmem_test_offset(p, low), 0);
	KUNIT_ASSERT_EQ(test, rmem_test_offset(p, mid), SZ_2M);
	KUNIT_ASSERT_EQ(test, rmem_test_offset(p, high), SZ_2M + SZ_1M + SZ_64K);
	rmem_test_show(&p->heap, rmem_test_shown);
	rmem_expect_shown(test, 0, SZ_2M + SZ_1M, "used");
	rmem_expect_shown(test, SZ_2M + SZ_1M + SZ_64K, SZ_64K, "used");
	KUNIT_EXPECT_NULL(test, strstr(rmem_test_shown, "dirty"));

	rmem_test_scrub_stop(test, &p->heap);
	rmem_heap_buffer_free(mid);
	rmem_test_show(&p->heap, rmem_test_shown);
	rmem_expect_shown(test, SZ_2M, SZ_1M, "dirty");
	rmem_heap_stats(&p->heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.dirty, SZ_1M);
	KUNIT_EXPECT_EQ(test, stats.lost, 0);
	kunit_release_action(test, rmem_test_scrub_resume, &p->heap);

	/* A buffer that has been cleared in part: stubs work in this task, the worker here. */
	rmem_test_scrub_stop(test, &p->heap);
	rmem_heap_buffer_free(low);
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_and_show);
	p->heap.carveout->scrub.func(&p->heap.carveout->scrub);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);
	kunit_release_action(test, rmem_test_scrub_resume, &p->heap);
	rmem_expect_shown(test, SZ_256K, SZ_2M - SZ_256K, "dirty");

	rmem_heap_buffer_free(high);
	rmem_test_private_exit(p);
}

/* What was freed is cleared within a second, even if it is one page and nobody allocates */
static void rmem_test_soon_clear(struct kunit *test)
{
	static const size_t lens[] = { PAGE_SIZE, SZ_64K, SZ_4M };
	struct rmem_heap *heap = rmem_test_heap(test, RMEM_TEST_HEAP);
	unsigned long end;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct rmem_buffer *buf = rmem_test_pool_alloc(test, heap, lens[i]);
		void *mem = rmem_test_mem(buf->extents[0].paddr);

		memset(mem, 0xa5, lens[i]);
		rmem_heap_buffer_free(buf);
		for (end = jiffies + HZ; time_before(jiffies, end); ) {
			schedule_timeout_uninterruptible(HZ / 20);
			if (!memchr_inv(mem, 0, lens[i]))
				break;
		}
		KUNIT_EXPECT_NULL(test, memchr_inv(mem, 0, lens[i]));
	}
}

/* Memory that the kernel has mapped as cached cannot be had write-combined */
static void rmem_test_no_wc(struct kunit *test)
{
	struct rmem_test_made *p = rmem_test_private(test, 0);

	p->heap.flags = RMEM_HEAP_WC;
	KUNIT_EXPECT_EQ(test, p->heap.ops->init(&p->heap), -EINVAL);
	KUNIT_EXPECT_NULL(test, p->heap.carveout);
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(p->rmem.base), 0, SZ_4M));
}

#ifdef CONFIG_UML
/* A region that cannot be mapped has no pool: UML maps nothing beyond its memory */
static void rmem_test_no_mapping(struct kunit *test)
{
	struct rmem_test_made *p = rmem_test_private(test, 0);
	int ret = 0;

	p->rmem.base = SZ_1T;
	p->region.linear = false;
	/* ioremap() says so, too. */
	kunit_warning_suppress(test)
		ret = p->heap.ops->init(&p->heap);
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_NULL(test, p->heap.carveout);
	KUNIT_EXPECT_STREQ(test, p->region.reason, "cannot map 4096 KiB into vmalloc space");
}
#endif

/*
 * A CMA area gives all that lies behind an odd place: large buffers are aligned to
 * CONFIG_CMA_ALIGNMENT at most, as those of devices are.
 */
static void rmem_test_cma_alignment(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "cma@10000000");
	size_t align = PAGE_SIZE << CONFIG_CMA_ALIGNMENT;
	struct dma_buf *first, *rest;

	if (align >= heap->region->rmem->size)
		kunit_skip(test, "the region has two alignments with pages of 4 KiB");
	first = rmem_test_alloc(test, heap, align);
	rest = rmem_test_try_alloc(test, heap, heap->region->rmem->size - align);
	KUNIT_EXPECT_EQ(test, rmem_test_buf(first)->extents[0].paddr, heap->region->rmem->base);
	KUNIT_EXPECT_FALSE(test, IS_ERR(rest));
}

static int rmem_test_asked;

static int rmem_test_count_alloc(struct rmem_heap *heap, struct rmem_buffer *buf)
{
	rmem_test_asked++;
	return -ENOMEM;
}

/* A buffer larger than the region is refused before the allocator is asked for any of it */
static void rmem_test_too_large(struct kunit *test)
{
	struct rmem_test_made *p = rmem_test_private(test, 0);
	const struct rmem_pool_ops ops = { .alloc = rmem_test_count_alloc };

	p->heap.ops = &ops;
	p->heap.active = 1;
	rmem_test_asked = 0;
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(&p->heap, SZ_4M + 1, O_RDWR)), -ENOMEM);
	KUNIT_EXPECT_EQ(test, rmem_test_asked, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(&p->heap, SZ_4M, O_RDWR)), -ENOMEM);
	KUNIT_EXPECT_EQ(test, rmem_test_asked, 1);
}

#define RMEM_TEST_COUNTED	100000

/**
 * struct rmem_test_racer - one of two tasks that count buffers of a heap at the same time
 * @heap: the heap
 * @wrong: how often the peak was less than the task had seen it before
 * @runs: the task has been started
 */
struct rmem_test_racer {
	struct rmem_heap *heap;
	unsigned int wrong;
	struct completion runs;
};

static int rmem_test_race_thread(void *data)
{
	struct rmem_test_racer *racer = data;
	const struct rmem_buffer buf = { .heap = racer->heap, .len = PAGE_SIZE };
	struct rmem_stats stats;
	unsigned int i, look;
	u64 peak = 0;

	complete(&racer->runs);
	for (i = 0; i < RMEM_TEST_COUNTED; i++) {
		rmem_heap_account(&buf);
		/* The other task may be late with a peak that is less by now. */
		for (look = 0; look < 8; look++) {
			rmem_heap_stats(racer->heap, &stats);
			racer->wrong += stats.peak < peak;
			peak = max(peak, stats.peak);
		}
	}
	return 0;
}

/*
 * The peak never becomes less, whichever task allocates. It takes two processors to see a
 * peak that is lost.
 */
static void rmem_test_peak(struct kunit *test)
{
	const struct rmem_pool_ops ops = { };
	struct rmem_heap heap = { .ops = &ops };
	struct rmem_test_racer racers[2] = { };
	struct task_struct *threads[2];
	struct rmem_stats stats;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		racers[i].heap = &heap;
		init_completion(&racers[i].runs);
		threads[i] = kthread_create(rmem_test_race_thread, &racers[i], "rmem_test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
		get_task_struct(threads[i]);
		kthread_bind(threads[i], i ? cpumask_last(cpu_online_mask) :
					     cpumask_first(cpu_online_mask));
	}
	for (i = 0; i < 2; i++)
		wake_up_process(threads[i]);
	for (i = 0; i < 2; i++) {
		/* kthread_stop() before it ran would keep it from running. */
		wait_for_completion(&racers[i].runs);
		KUNIT_EXPECT_EQ(test, kthread_stop_put(threads[i]), 0);
		KUNIT_EXPECT_EQ(test, racers[i].wrong, 0);
	}
	rmem_heap_stats(&heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, 2UL * RMEM_TEST_COUNTED * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, stats.peak, stats.used);
}

static struct kunit_case rmem_heap_pages_cases[] = {
	KUNIT_CASE(rmem_test_odd_bases),
	KUNIT_CASE(rmem_test_largest_free),
	KUNIT_CASE(rmem_test_shown_map),
	KUNIT_CASE(rmem_test_soon_clear),
	KUNIT_CASE(rmem_test_no_wc),
#ifdef CONFIG_UML
	KUNIT_CASE(rmem_test_no_mapping),
#endif
	KUNIT_CASE(rmem_test_cma_alignment),
	KUNIT_CASE(rmem_test_too_large),
	KUNIT_CASE(rmem_test_peak),
	{ }
};

static struct kunit_suite rmem_heap_pages_suite = {
	.name = "rmem_heap_pages",
	.test_cases = rmem_heap_pages_cases,
};

kunit_test_suite(rmem_heap_pages_suite);

#ifdef CONFIG_FAULT_INJECTION
/* Whichever allocation of a carveout's pool fails: there is no pool, and nothing is lost */
static void rmem_test_failing_pool(struct kunit *test)
{
	struct rmem_heap *idle = rmem_test_heap(test, "device-only@17000000");
	unsigned int i, round, nth, failed = 0;
	bool injected;
	int ret = 0;

	for (i = 0; i < 2; i++) {
		struct rmem_test_made *p = rmem_test_private(test, 0);

		p->region.linear = !i;
		/* Memory that the kernel has not mapped */
		if (i)
			p->rmem = *idle->region->rmem;
		for (round = 0; round < 5; round++) {
			for (nth = 1, injected = true; injected && nth < 100; nth++) {
				current->fail_nth = nth;
				ret = p->heap.ops->init(&p->heap);
				injected = !current->fail_nth;
				current->fail_nth = 0;

				failed += !!ret;
				if (ret) {
					KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
					KUNIT_EXPECT_NULL(test, p->heap.carveout);
				} else {
					rmem_test_private_exit(p);
				}
			}
			KUNIT_EXPECT_EQ(test, ret, 0);
		}
	}
	KUNIT_EXPECT_GE(test, failed, 10);
}

static struct kunit_case rmem_failing_pages_cases[] = {
	KUNIT_CASE(rmem_test_failing_pool),
	{ }
};

static struct kunit_suite rmem_failing_pages_suite = {
	.name = "rmem_failing_pages",
	.init = rmem_test_needs_injection,
	.test_cases = rmem_failing_pages_cases,
};

kunit_test_suite(rmem_failing_pages_suite);
#endif
