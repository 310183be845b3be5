// SPDX-License-Identifier: GPL-2.0
/*
 * Measurements of RMEM_HEAP that have to be made in the kernel. They judge nothing: a suite
 * of its own, to be run by name on whatever regions there are. Each line of the result is
 *	bench,RUN,LABEL,BYTES,THREADS,MEDIAN,P10,P90,UNIT
 * as it is from tools/testing/selftests/rmem-heap/rmem-heap-bench.c.
 */

#include <kunit/test.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/of_reserved_mem.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "rmem_heap_bench.h"

MODULE_IMPORT_NS("DMA_BUF");

static int rmem_bench_cmp(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Prints the median of a series, and what a tenth of the values is below and above. */
void rmem_bench_result(const char *run, const char *label, size_t len,
		       struct rmem_series *s, const char *unit)
{
	sort(s->val, s->n, sizeof(*s->val), rmem_bench_cmp, NULL);
	pr_info("bench,%s,%s,%zu,1,%llu,%llu,%llu,%s\n", run, label, len, s->val[s->n / 2],
		s->val[s->n / 10], s->val[s->n * 9 / 10], unit);
}

struct rmem_series *rmem_bench_series(struct kunit *test, unsigned int n)
{
	struct rmem_series *s = kunit_kcalloc(test, n, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	return s;
}

/* The first heap of a mode; of a size, unless the size is 0 */
struct rmem_heap *rmem_bench_heap(struct kunit *test, enum rmem_heap_mode mode, u64 size)
{
	struct rmem_region *region;

	list_for_each_entry(region, &rmem_regions, list)
		if (region->heap && region->mode == mode && (!size || region->rmem->size == size))
			return region->heap;
	kunit_skip(test, "the device tree has no such region");
}

/* A device of the pool, without us */
static bool rmem_bench_bare(struct rmem_heap *heap, size_t len)
{
	dma_addr_t addr;
	void *vaddr = dma_alloc_coherent(heap->region->dev, len, &addr, GFP_KERNEL);

	if (vaddr)
		dma_free_coherent(heap->region->dev, len, vaddr, addr);
	return vaddr;
}

/* What a heap adds to the allocator */
static bool rmem_bench_memory(struct rmem_heap *heap, size_t len)
{
	struct rmem_buffer *buf = rmem_heap_buffer_alloc(heap, len);

	if (IS_ERR(buf))
		return false;
	rmem_heap_buffer_free(buf);
	return true;
}

/* All of it, with the dma-buf: an inode and a file */
static bool rmem_bench_buffer(struct rmem_heap *heap, size_t len)
{
	struct dma_buf *dmabuf = rmem_heap_alloc(heap, len, O_RDWR);

	if (IS_ERR(dmabuf))
		return false;
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	return true;
}

static void rmem_bench_coherent(struct kunit *test)
{
	static const size_t lens[] = { SZ_4K, SZ_64K, SZ_1M, SZ_4M };
	static const struct {
		const char *label;
		bool (*fn)(struct rmem_heap *heap, size_t len);
	} ways[] = {
		{ "bare", rmem_bench_bare },
		{ "memory", rmem_bench_memory },
		{ "buffer", rmem_bench_buffer },
	};
	struct rmem_heap *heap = rmem_bench_heap(test, RMEM_HEAP_COHERENT, 0);
	struct rmem_series *series = kunit_kzalloc(test, sizeof(*series) * ARRAY_SIZE(ways),
						   GFP_KERNEL);
	unsigned int i, r, w, k, batch;
	bool ok = true;

	KUNIT_ASSERT_NOT_NULL(test, series);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		/* Clocks may be coarse. */
		batch = lens[i] < SZ_1M ? 16 : 1;
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			series[w].n = 0;
		for (r = 0; r < RMEM_BENCH_ROUNDS; r++) {
			/* Each is as often the first as the others. */
			for (w = r; w < r + ARRAY_SIZE(ways); w++) {
				struct rmem_series *s = &series[w % ARRAY_SIZE(ways)];
				u64 t0 = ktime_get_ns();

				for (k = 0; k < batch; k++)
					ok &= ways[w % ARRAY_SIZE(ways)].fn(heap, lens[i]);
				s->val[s->n++] = div_u64(ktime_get_ns() - t0, batch);
			}
			cond_resched();
		}
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			rmem_bench_result("coherent", ways[w].label, lens[i], &series[w], "ns");
	}
	KUNIT_EXPECT_TRUE_MSG(test, ok, "failures are measured, too");
}

static struct kunit_case rmem_bench_cases[] = {
	KUNIT_CASE_SLOW(rmem_bench_coherent),
	{ }
};

static struct kunit_suite rmem_bench_suite = {
	.name = "rmem_bench",
	.test_cases = rmem_bench_cases,
};

kunit_test_suite(rmem_bench_suite);
