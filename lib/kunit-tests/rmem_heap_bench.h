/* SPDX-License-Identifier: GPL-2.0 */
/* What the suites that measure RMEM_HEAP share */
#ifndef _RMEM_HEAP_BENCH_H
#define _RMEM_HEAP_BENCH_H

#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/types.h>

#include "../../kernel/dma/rmem.h"

#define RMEM_BENCH_ROUNDS	200

/**
 * struct rmem_series - the values of one measurement
 * @n: number of values
 * @val: the values, one for each round
 */
struct rmem_series {
	unsigned int n;
	u64 val[RMEM_BENCH_ROUNDS];
};

#ifdef CONFIG_UML
int clock_gettime(int clock, struct timespec64 *ts);

/* The time that the host gave to this processor: other programs of the host do not count. */
static inline u64 rmem_bench_ns(void)
{
	struct timespec64 ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return timespec64_to_ns(&ts);
}
#else
#define rmem_bench_ns	ktime_get_ns
#endif

static inline void rmem_bench_add(struct rmem_series *s, u64 val)
{
	s->val[s->n++] = val;
}

struct rmem_series *rmem_bench_series(struct kunit *test, unsigned int n);
void rmem_bench_result(const char *run, const char *label, size_t len,
		       struct rmem_series *s, const char *unit);
struct rmem_heap *rmem_bench_heap(struct kunit *test, enum rmem_heap_mode mode, u64 size);
void rmem_bench_settle(struct rmem_heap *heap);
unsigned int rmem_bench_fill(struct rmem_heap *heap, struct rmem_buffer **bufs, size_t len);
unsigned int rmem_bench_perforate(struct rmem_heap *heap, struct rmem_buffer **bufs);
void rmem_bench_drain(struct rmem_heap *heap, struct rmem_buffer **bufs, unsigned int n);
struct rmem_buffer **rmem_bench_bufs(struct kunit *test, struct rmem_heap *heap);

#endif /* _RMEM_HEAP_BENCH_H */
