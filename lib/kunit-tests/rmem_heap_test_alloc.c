// SPDX-License-Identifier: GPL-2.0
/*
 * The allocators behind reserved-memory heaps, and that a heap and the devices of its
 * region share one of them. On the regions of rmem_heap_test.dts.
 */

#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include "rmem_heap_test.h"

#define RMEM_TEST_CHUNK_MAX	SZ_256K

static const char * const rmem_test_heaps[] = {
	"cma@10000000", "coherent@11000000", "restricted@12000000", "restricted-odd@13010000",
	"carveout@15000000", "plain@16000000", "device-only@17000000", "dynamic",
	"dynamic-carveout", "linux,bank@1a000000",
};

static void rmem_test_heap_desc(const char * const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_heaps, rmem_test_heaps, rmem_test_heap_desc);

static struct rmem_heap *rmem_test_param_heap(struct kunit *test)
{
	struct rmem_heap *heap;

	heap = rmem_test_heap(test, *(const char * const *)test->param_value);
	return heap;
}

/* A map of a region: which buffer has each page */
static unsigned long *rmem_test_pages(struct kunit *test, struct rmem_heap *heap)
{
	size_t longs = BITS_TO_LONGS(heap->region->rmem->size >> PAGE_SHIFT);
	unsigned long *pages = kunit_kcalloc(test, longs, sizeof(long), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	return pages;
}

/* Enters an extent: it lies in the region, and nobody has any of it */
static void rmem_test_claim(struct kunit *test, struct rmem_heap *heap,
			    unsigned long *pages, phys_addr_t paddr, size_t len)
{
	phys_addr_t off = paddr - heap->region->rmem->base;
	unsigned int first = off >> PAGE_SHIFT, n = PAGE_ALIGN(len) >> PAGE_SHIFT;

	KUNIT_ASSERT_GE(test, paddr, heap->region->rmem->base);
	KUNIT_ASSERT_LE(test, off + len, heap->region->rmem->size);
	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(paddr));
	KUNIT_ASSERT_GE_MSG(test, find_next_bit(pages, first + n, first), first + n,
			    "memory handed out twice");
	bitmap_set(pages, first, n);
}

static void rmem_test_claim_buf(struct kunit *test, struct rmem_heap *heap,
				unsigned long *pages, struct dma_buf *dmabuf)
{
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	size_t total = 0;
	unsigned int i;

	for (i = 0; i < buf->nr; i++) {
		rmem_test_claim(test, heap, pages, buf->extents[i].paddr,
				buf->extents[i].len);
		total += buf->extents[i].len;
	}
	KUNIT_EXPECT_EQ(test, total, dmabuf->size);
}

static void rmem_test_unclaim_buf(struct rmem_heap *heap, unsigned long *pages,
				  struct dma_buf *dmabuf)
{
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	unsigned int i;

	for (i = 0; i < buf->nr; i++)
		bitmap_clear(pages, PHYS_PFN(buf->extents[i].paddr - heap->region->rmem->base),
			     PHYS_PFN(buf->extents[i].len));
}

/* Buffers have the size asked for, in whole pages, inside the region */
static void rmem_test_sizes(struct kunit *test)
{
	static const size_t sizes[] = {
		1, PAGE_SIZE, PAGE_SIZE + 1, SZ_64K - 1, SZ_64K, SZ_256K - 1, SZ_256K,
		SZ_256K + 1, SZ_1M, SZ_1M + 3 * PAGE_SIZE, SZ_2M,
	};
	struct rmem_heap *heap = rmem_test_param_heap(test);
	unsigned long *pages = rmem_test_pages(test, heap);
	struct dma_buf *dmabuf;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dmabuf = rmem_test_alloc(test, heap, sizes[i]);
		KUNIT_EXPECT_EQ(test, dmabuf->size, PAGE_ALIGN(sizes[i]));
		KUNIT_EXPECT_STREQ(test, dmabuf->exp_name, heap->region->name);
		rmem_test_claim_buf(test, heap, pages, dmabuf);
		rmem_test_unclaim_buf(heap, pages, dmabuf);
		rmem_test_put(test, dmabuf);
	}
}

/* One extent; restricted: chunks of at most 256 KiB, from any base */
static void rmem_test_extents(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	unsigned int i;

	if (heap->region->mode != RMEM_HEAP_RESTRICTED) {
		KUNIT_EXPECT_EQ(test, buf->nr, 1);
		return;
	}

	KUNIT_EXPECT_GE(test, buf->nr, SZ_1M / RMEM_TEST_CHUNK_MAX);
	for (i = 0; i < buf->nr; i++)
		KUNIT_EXPECT_LE(test, buf->extents[i].len, RMEM_TEST_CHUNK_MAX);
}

/* Buffers start at a multiple of their size, up to the allocator's cap; not so in chains */
static void rmem_test_alignment(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	size_t len;

	for (len = PAGE_SIZE; len <= SZ_1M; len *= 2) {
		struct dma_buf *page, *dmabuf;
		phys_addr_t start;

		/* A carveout takes an odd place rather than clear a better one first. */
		if (heap->carveout)
			flush_work(&heap->carveout->scrub);
		page = rmem_test_alloc(test, heap, PAGE_SIZE);
		dmabuf = rmem_test_alloc(test, heap, len);
		start = rmem_test_buf(dmabuf)->extents[0].paddr;

		/* A coherent pool counts from its base. */
		if (heap->region->mode == RMEM_HEAP_COHERENT)
			start -= heap->region->rmem->base;
		if (heap->region->mode != RMEM_HEAP_RESTRICTED)
			KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED(start, len),
					      "%zu bytes at %pa", len, &start);
		rmem_test_put(test, page);
		rmem_test_put(test, dmabuf);
	}
}

/* Nonsense and too much fail at once, and cost nothing */
static void rmem_test_bad_lengths(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	size_t before = rmem_test_capacity(test, heap);
	static const struct {
		size_t len;
		int err;
	} bad[] = {
		{ 0, -EINVAL },
		{ SIZE_MAX, -EINVAL },
		{ SIZE_MAX - PAGE_SIZE + 2, -EINVAL },
		{ SIZE_MAX - 2 * PAGE_SIZE, -ENOMEM },
		{ SIZE_MAX / 2 + 1, -ENOMEM },
		{ SZ_1G, -ENOMEM },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(rmem_test_try_alloc(test, heap, bad[i].len)),
				    bad[i].err, "%zx bytes", bad[i].len);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(rmem_test_try_alloc(test, heap, heap->region->rmem->size + 1)),
			-ENOMEM);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), before);
}

/* All of the region can be had, nothing else, and it comes back */
static void rmem_test_exhaustion(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	unsigned long *pages = rmem_test_pages(test, heap);
	struct rmem_test_held *held;
	unsigned int round, i;

	for (round = 0; round < 3; round++) {
		held = rmem_test_fill(test, heap);
		KUNIT_EXPECT_EQ(test, held->bytes, heap->region->rmem->size);

		bitmap_zero(pages, heap->region->rmem->size >> PAGE_SHIFT);
		for (i = 0; i < held->n; i++)
			rmem_test_claim_buf(test, heap, pages, held->bufs[i]);

		KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, 1)), -ENOMEM);
		KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, SZ_1M)),
				-ENOMEM);
		rmem_test_drain(test, held);
	}
}

/* Nobody sees what the last user left */
static void rmem_test_cleared(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	unsigned int round, i;

	/* Who could see it? rmem_test_device_only() knows. */
	if (heap->memory == RMEM_DEVICE_ONLY) {
		KUNIT_EXPECT_NULL(test, rmem_test_buf(rmem_test_alloc(test, heap, SZ_1M))->vaddr);
		return;
	}

	for (round = 0; round < 2; round++) {
		struct rmem_test_held *held = rmem_test_fill(test, heap);

		for (i = 0; i < held->n; i++) {
			struct iosys_map map;

			KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(held->bufs[i], &map), 0);
			KUNIT_EXPECT_NULL_MSG(test,
					      memchr_inv(map.vaddr, 0, held->bufs[i]->size),
					      "buffer %u of round %u", i, round);
			memset(map.vaddr, 0xa5, held->bufs[i]->size);
			dma_buf_vunmap_unlocked(held->bufs[i], &map);
		}
		rmem_test_drain(test, held);
	}
}

/*
 * A caller that is killed gets nothing, least of all memory that is not clear. What is
 * clear already there is no reason to withhold.
 */
static void rmem_test_killed(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	size_t before = rmem_test_capacity(test, heap);
	bool clears = heap->region->mode == RMEM_HEAP_CMA ||
		      heap->region->mode == RMEM_HEAP_RESTRICTED;
	struct dma_buf *dmabuf;

	if (heap->carveout)
		flush_work(&heap->carveout->scrub);
	rmem_test_set_killed(true);
	KUNIT_EXPECT_TRUE(test, fatal_signal_pending(current));

	dmabuf = rmem_heap_alloc(heap, SZ_1M, O_RDWR);

	rmem_test_set_killed(false);

	KUNIT_EXPECT_EQ(test, IS_ERR(dmabuf), clears);
	/* CMA itself gives up when its caller is killed. */
	if (clears && heap->region->mode != RMEM_HEAP_CMA)
		KUNIT_EXPECT_EQ(test, PTR_ERR(dmabuf), -EINTR);
	if (!IS_ERR(dmabuf)) {
		dma_buf_put(dmabuf);
		flush_delayed_fput();
	}
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), before);
}

/* What is in use is counted as the region sees it: as large as the allocator makes it */
static void rmem_test_stats(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	size_t third = heap->region->mode == RMEM_HEAP_COHERENT ? 4 * PAGE_SIZE : 3 * PAGE_SIZE;
	struct rmem_stats before, stats;
	struct rmem_test_held *held;
	struct dma_buf *one, *two;

	rmem_heap_stats(heap, &before);
	KUNIT_EXPECT_EQ(test, before.used, 0);
	KUNIT_EXPECT_EQ(test, before.buffers, 0);

	one = rmem_test_alloc(test, heap, SZ_1M);
	two = rmem_test_alloc(test, heap, 3 * PAGE_SIZE);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, SZ_1M + third);
	KUNIT_EXPECT_EQ(test, stats.buffers, 2);
	KUNIT_EXPECT_GE(test, stats.peak, stats.used);
	rmem_test_put(test, one);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, third);
	KUNIT_EXPECT_EQ(test, stats.buffers, 1);
	rmem_test_put(test, two);

	/* What fails is not counted. */
	held = rmem_test_fill(test, heap);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, SZ_1M)), -ENOMEM);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, heap->region->rmem->size);
	KUNIT_EXPECT_EQ(test, stats.buffers, held->n);
	if (heap->ops->stats)
		KUNIT_EXPECT_EQ(test, stats.largest_free, 0);
	rmem_test_drain(test, held);

	if (heap->carveout)
		flush_work(&heap->carveout->scrub);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.used, 0);
	KUNIT_EXPECT_EQ(test, stats.buffers, 0);
	KUNIT_EXPECT_EQ(test, stats.peak, heap->region->rmem->size);
	KUNIT_EXPECT_EQ(test, stats.dirty, 0);
	if (heap->ops->stats)
		KUNIT_EXPECT_EQ(test, stats.largest_free, heap->region->rmem->size);

	/* Less use does not lower the peak. */
	rmem_test_put(test, rmem_test_alloc(test, heap, PAGE_SIZE));
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.peak, heap->region->rmem->size);
}

/* Many steps of a fixed seed, the map of who has what checked after each */
static void rmem_test_churn(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	unsigned long *pages = rmem_test_pages(test, heap);
	struct dma_buf *bufs[32] = { };
	struct rnd_state rnd;
	unsigned int step, i;

	prandom_seed_state(&rnd, 20260101);
	for (step = 0; step < 600; step++) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(bufs);
		if (bufs[i]) {
			rmem_test_unclaim_buf(heap, pages, bufs[i]);
			rmem_test_put(test, bufs[i]);
			bufs[i] = NULL;
		} else {
			size_t len = PAGE_SIZE << (prandom_u32_state(&rnd) % 8);

			len += PAGE_SIZE * (prandom_u32_state(&rnd) % 4);
			bufs[i] = rmem_test_try_alloc(test, heap, len);
			if (IS_ERR(bufs[i])) {
				KUNIT_ASSERT_EQ(test, PTR_ERR(bufs[i]), -ENOMEM);
				bufs[i] = NULL;
				continue;
			}
			rmem_test_claim_buf(test, heap, pages, bufs[i]);
		}
	}

	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (bufs[i])
			rmem_test_put(test, bufs[i]);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size);
}

/* With every second page taken, restricted pools still give chains; then -ENOMEM */
static void rmem_test_fragmented(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "restricted-odd@13010000");
	unsigned int i, n = heap->region->rmem->size >> PAGE_SHIFT;
	struct dma_buf **bufs, *dmabuf;

	bufs = kunit_kcalloc(test, n, sizeof(*bufs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bufs);
	for (i = 0; i < n; i++)
		bufs[i] = rmem_test_alloc(test, heap, PAGE_SIZE);
	for (i = 0; i < n; i++)
		if (rmem_test_buf(bufs[i])->extents[0].paddr & PAGE_SIZE)
			rmem_test_put(test, bufs[i]);

	dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	KUNIT_EXPECT_EQ(test, rmem_test_buf(dmabuf)->nr, SZ_1M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, SZ_2M)), -ENOMEM);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap),
			heap->region->rmem->size / 2 - SZ_1M);
}

#ifdef CONFIG_DMA_RESTRICTED_POOL
/* Takes one slot of every second page of some memory, the first or the last one of the page */
static void rmem_test_take_slots(struct kunit *test, struct device *dev, dma_addr_t *addrs,
				 unsigned int n)
{
	const unsigned int page = PAGE_SIZE / IO_TLB_SIZE;
	void *mem = kunit_kzalloc(test, IO_TLB_SIZE, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	for (i = 0; i < n; i++) {
		addrs[i] = dma_map_single(dev, mem, IO_TLB_SIZE, DMA_TO_DEVICE);
		KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, addrs[i]));
	}
	for (i = 0; i < n; i++)
		if (i % (4 * page) && i % (4 * page) != 3 * page - 1) {
			dma_unmap_single(dev, addrs[i], IO_TLB_SIZE, DMA_TO_DEVICE);
			addrs[i] = DMA_MAPPING_ERROR;
		}
}

static void rmem_test_give_slots(struct device *dev, const dma_addr_t *addrs, unsigned int n)
{
	while (n--)
		if (addrs[n] != DMA_MAPPING_ERROR)
			dma_unmap_single(dev, addrs[n], IO_TLB_SIZE, DMA_TO_DEVICE);
}

/**
 * struct rmem_test_chunks - how an allocation of chunks goes
 * @test: the test
 * @dev: a device that takes the rest of the pool after the first chunk; NULL if none does
 * @calls: how often a chunk was asked for
 * @n: how often the device has allocated
 * @pages: what the device got
 * @addrs: its DMA addresses
 */
struct rmem_test_chunks {
	struct kunit *test;
	struct device *dev;
	unsigned int calls;
	unsigned int n;
	struct page *pages[64];
	dma_addr_t addrs[64];
};

static struct rmem_test_chunks rmem_test_chunks;

/* Called before each chunk */
static int rmem_test_chunk(struct rmem_buffer *buf)
{
	struct rmem_test_chunks *c = &rmem_test_chunks;
	int ret;

	if (++c->calls == 2 && c->dev) {
		do {
			c->pages[c->n] = dma_alloc_pages(c->dev, SZ_256K, &c->addrs[c->n],
							 DMA_BIDIRECTIONAL,
							 GFP_KERNEL | __GFP_NOWARN);
		} while (c->pages[c->n] && ++c->n < ARRAY_SIZE(c->pages));
	}
	kunit_deactivate_static_stub(c->test, rmem_heap_restricted_grow);
	ret = rmem_heap_restricted_grow(buf);
	kunit_activate_static_stub(c->test, rmem_heap_restricted_grow, rmem_test_chunk);
	return ret;
}

static void rmem_test_watch_chunks(struct kunit *test, struct device *dev)
{
	rmem_test_chunks = (struct rmem_test_chunks) { .test = test, .dev = dev };
	kunit_activate_static_stub(test, rmem_heap_restricted_grow, rmem_test_chunk);
}

/*
 * A restricted pool knows how much it has left, and an allocation of more takes none of it: the
 * mappings of devices do not fail because of it.
 */
static void rmem_test_too_large(struct kunit *test)
{
	static dma_addr_t addrs[512];
	struct rmem_heap *heap = rmem_test_heap(test, "restricted@12000000");
	struct device *dev = rmem_test_device(test, "/restricted-coherent");
	size_t available, size = heap->region->rmem->size;

	rmem_test_take_slots(test, dev, addrs, ARRAY_SIZE(addrs));
	available = heap->ops->available(heap);
	KUNIT_EXPECT_EQ(test, available, size - ARRAY_SIZE(addrs) * IO_TLB_SIZE / 2);
	KUNIT_EXPECT_EQ(test, available, rmem_test_capacity(test, heap));

	rmem_test_watch_chunks(test, NULL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, available + PAGE_SIZE, O_RDWR)),
			-ENOMEM);
	KUNIT_EXPECT_EQ(test, rmem_test_chunks.calls, 0);
	rmem_test_put(test, rmem_test_alloc(test, heap, available));
	KUNIT_EXPECT_GE(test, rmem_test_chunks.calls, available / SZ_256K);
	kunit_deactivate_static_stub(test, rmem_heap_restricted_grow);

	rmem_test_give_slots(dev, addrs, ARRAY_SIZE(addrs));
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), size);
}

/* An allocation gives up at the first chunk that devices have taken, if they took too much */
static void rmem_test_overtaken(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "restricted@12000000");
	size_t size = heap->region->rmem->size;

	rmem_test_watch_chunks(test, rmem_test_device(test, "/restricted-coherent"));
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, size, O_RDWR)), -ENOMEM);
	kunit_deactivate_static_stub(test, rmem_heap_restricted_grow);
	/* The first chunk, and one that is not there: no smaller ones are tried. */
	KUNIT_EXPECT_EQ(test, rmem_test_chunks.calls, 2);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), SZ_256K);

	while (rmem_test_chunks.n--)
		dma_free_pages(rmem_test_chunks.dev, SZ_256K,
			       rmem_test_chunks.pages[rmem_test_chunks.n],
			       rmem_test_chunks.addrs[rmem_test_chunks.n], DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), size);
}

#endif /* CONFIG_DMA_RESTRICTED_POOL */

/* An area that could not be activated has given its memory back */
static void rmem_test_dead_area(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "cma@10000000");
	const struct reserved_mem *rmem = heap->region->rmem;
	struct rmem_test_made dead;

	rmem_test_make(&dead, heap->region, heap->ops, rmem->base, 2 * rmem->size);
	dead.rmem.priv = rmem->priv;
	KUNIT_EXPECT_EQ(test, heap->ops->init(&dead.heap), -ENXIO);
	rmem_test_make(&dead, heap->region, heap->ops, rmem->base + SZ_4M, rmem->size);
	dead.rmem.priv = rmem->priv;
	KUNIT_EXPECT_EQ(test, heap->ops->init(&dead.heap), -ENXIO);
}

/* A carveout may lie at 0 and above 4 GiB, where 32-bit addresses end */
static void rmem_test_any_base(struct kunit *test)
{
	static const u64 bases[] = { 0, PAGE_SIZE, 0xfff00000ULL, SZ_4G, 0xffff00000000ULL };
	struct rmem_heap *model = rmem_test_heap(test, "device-only@17000000");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		struct rmem_buffer *one, *all;
		struct rmem_test_made made;
		struct rmem_heap *heap = &made.heap;

		/* Not beyond this machine's addresses */
		if ((phys_addr_t)bases[i] != bases[i] || bases[i] > PHYS_ADDR_MAX - (SZ_2M - 1))
			continue;
		/* The CPU does not access memory of this node's kind. */
		rmem_test_make(&made, model->region, model->ops, bases[i], SZ_2M);
		KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
		KUNIT_EXPECT_EQ(test, heap->memory, RMEM_DEVICE_ONLY);
		one = rmem_test_pool_alloc(test, heap, PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, one->extents[0].paddr, bases[i]);
		rmem_heap_buffer_free(one);
		all = rmem_test_pool_alloc(test, heap, SZ_2M);
		KUNIT_EXPECT_EQ(test, all->extents[0].paddr, bases[i]);
		KUNIT_EXPECT_NULL(test, rmem_test_pool_try(heap, PAGE_SIZE));
		rmem_heap_buffer_free(all);
		heap->ops->exit(heap);
		KUNIT_EXPECT_NULL(test, heap->carveout);
	}
}

static struct kunit_case rmem_heap_alloc_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_sizes, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_extents, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_alignment, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_bad_lengths, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_exhaustion, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_cleared, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_killed, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_stats, rmem_test_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_churn, rmem_test_heaps_gen_params),
	KUNIT_CASE(rmem_test_fragmented),
#ifdef CONFIG_DMA_RESTRICTED_POOL
	KUNIT_CASE(rmem_test_too_large),
	KUNIT_CASE(rmem_test_overtaken),
#endif
	KUNIT_CASE(rmem_test_dead_area),
	KUNIT_CASE(rmem_test_any_base),
	{ }
};

static struct kunit_suite rmem_heap_alloc_suite = {
	.name = "rmem_heap_alloc",
	.test_cases = rmem_heap_alloc_cases,
};

/*
 * One allocator for the heap and for a device of the region
 */

/**
 * struct rmem_test_pair - a region and a device that the core assigned it to
 * @heap: name of the region
 * @dev: path of the device
 */
struct rmem_test_pair {
	const char *heap;
	const char *dev;
};

static const struct rmem_test_pair rmem_test_pairs[] = {
	{ "cma@10000000", "/cma-coherent" },
	{ "coherent@11000000", "/coherent-pool" },
	{ "restricted@12000000", "/restricted-coherent" },
	{ "restricted-odd@13010000", "/odd-coherent" },
};

static void rmem_test_pair_desc(const struct rmem_test_pair *pair, char *desc)
{
	strscpy(desc, pair->heap, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_pairs, rmem_test_pairs, rmem_test_pair_desc);

/**
 * struct rmem_test_dma - memory that a device allocated
 * @dev: the device
 * @vaddr: its address
 * @addr: its DMA address
 * @len: bytes
 */
struct rmem_test_dma {
	struct device *dev;
	void *vaddr;
	dma_addr_t addr;
	size_t len;
};

static void rmem_test_dma_free(void *data)
{
	struct rmem_test_dma *dma = data;

	dma_free_coherent(dma->dev, dma->len, dma->vaddr, dma->addr);
}

/* dma_alloc_coherent(), freed when the test ends at the latest; NULL if it fails */
static struct rmem_test_dma *rmem_test_dma_alloc(struct kunit *test, struct device *dev,
						 size_t len)
{
	struct rmem_test_dma *dma = kunit_kzalloc(test, sizeof(*dma), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dma);
	dma->dev = dev;
	dma->len = len;
	dma->vaddr = dma_alloc_coherent(dev, len, &dma->addr, GFP_KERNEL | __GFP_NOWARN);
	if (!dma->vaddr)
		return NULL;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_dma_free, dma));
	return dma;
}

static bool rmem_test_dma_inside(const struct rmem_heap *heap, const struct rmem_test_dma *dma)
{
	phys_addr_t off = dma_to_phys(dma->dev, dma->addr) - heap->region->rmem->base;

	return off < heap->region->rmem->size;
}

/* What the heap holds the device cannot have, and gets again afterwards */
static void rmem_test_heap_first(struct kunit *test)
{
	const struct rmem_test_pair *pair = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, pair->heap);
	struct device *dev = rmem_test_device(test, pair->dev);
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	struct rmem_test_dma *dma;

	KUNIT_EXPECT_EQ(test, held->bytes, heap->region->rmem->size);

	dma = rmem_test_dma_alloc(test, dev, SZ_64K);
	if (heap->region->mode == RMEM_HEAP_CMA)
		/* A device falls back to the page allocator, outside the region. */
		KUNIT_EXPECT_TRUE(test, dma && !rmem_test_dma_inside(heap, dma));
	else
		KUNIT_EXPECT_NULL(test, dma);

	rmem_test_drain(test, held);
	dma = rmem_test_dma_alloc(test, dev, SZ_64K);
	KUNIT_EXPECT_TRUE(test, dma && rmem_test_dma_inside(heap, dma));
}

/* What the device holds the heap cannot have */
static void rmem_test_device_first(struct kunit *test)
{
	const struct rmem_test_pair *pair = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, pair->heap);
	struct device *dev = rmem_test_device(test, pair->dev);
	struct rmem_test_dma *dma, *last = NULL;
	size_t len = SZ_64K, total = 0;

	while (len >= PAGE_SIZE) {
		dma = rmem_test_dma_alloc(test, dev, len);
		if (dma && rmem_test_dma_inside(heap, dma)) {
			total += len;
			last = dma;
			continue;
		}
		if (dma)
			kunit_release_action(test, rmem_test_dma_free, dma);
		len /= 2;
	}
	KUNIT_ASSERT_EQ(test, total, heap->region->rmem->size);

	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, 1)), -ENOMEM);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, SZ_1M)), -ENOMEM);

	len = last->len;
	kunit_release_action(test, rmem_test_dma_free, last);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), len);
}

/* Taking turns until neither gets any more, no page goes to both */
static void rmem_test_interleaved(struct kunit *test)
{
	const struct rmem_test_pair *pair = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, pair->heap);
	struct device *dev = rmem_test_device(test, pair->dev);
	unsigned long *pages = rmem_test_pages(test, heap);
	bool heap_done = false, dev_done = false;
	struct rmem_test_dma *dma;
	struct dma_buf *dmabuf;

	while (!heap_done || !dev_done) {
		dmabuf = rmem_test_try_alloc(test, heap, 3 * PAGE_SIZE);
		heap_done = IS_ERR(dmabuf);
		if (!heap_done)
			rmem_test_claim_buf(test, heap, pages, dmabuf);

		dma = rmem_test_dma_alloc(test, dev, SZ_64K);
		dev_done = !dma || !rmem_test_dma_inside(heap, dma);
		if (!dev_done)
			rmem_test_claim(test, heap, pages, dma_to_phys(dev, dma->addr),
					dma->len);
		else if (dma)
			kunit_release_action(test, rmem_test_dma_free, dma);
	}
	/* More than half: turns were 12 and 64 KiB, and orders round up. */
	KUNIT_EXPECT_GT(test, bitmap_weight(pages, heap->region->rmem->size >> PAGE_SHIFT),
			heap->region->rmem->size >> (PAGE_SHIFT + 1));
}

/* A carveout has no device allocator: a driver with its phandle gets the heap's own */
static void rmem_test_carveout(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "carveout@15000000");
	struct device *dev = rmem_test_device(test, "/carveout-user");
	struct rmem_heap *found = rmem_heap_find(dev, 0);
	struct rmem_test_held *held;

	KUNIT_ASSERT_PTR_EQ(test, found, heap);
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev,
						   "consumer:platform:carveout-user"));
	held = rmem_test_fill(test, heap);
	KUNIT_EXPECT_EQ(test, held->bytes, heap->region->rmem->size);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(found, 1, O_RDWR)), -ENOMEM);
}

/*
 * ->device_init() makes a pool on first use: no two may be in it at once
 */
static atomic_t rmem_test_inside, rmem_test_most;

static int rmem_test_slow_init(struct reserved_mem *rmem, struct device *dev)
{
	int now = atomic_inc_return(&rmem_test_inside);

	if (now > atomic_read(&rmem_test_most))
		atomic_set(&rmem_test_most, now);
	schedule_timeout_uninterruptible(HZ / 20 + 1);
	atomic_dec(&rmem_test_inside);
	return -ENODEV;
}

static const struct reserved_mem_ops rmem_test_slow_ops = {
	.device_init = rmem_test_slow_init,
};

static int rmem_test_assign_thread(void *data)
{
	struct reserved_mem rmem = { .name = "slow", .ops = &rmem_test_slow_ops };

	return of_reserved_mem_device_init_with_mem(data, &rmem);
}

static void rmem_test_serialised(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/free");
	struct task_struct *threads[3];
	unsigned int i;

	atomic_set(&rmem_test_most, 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i] = kthread_create(rmem_test_assign_thread, dev, "rmem_test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
		get_task_struct(threads[i]);
		wake_up_process(threads[i]);
	}
	/* kthread_stop() before it ran would keep it from running. */
	schedule_timeout_uninterruptible(HZ / 10);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		KUNIT_EXPECT_EQ(test, kthread_stop_put(threads[i]), -ENODEV);
	KUNIT_EXPECT_EQ(test, atomic_read(&rmem_test_most), 1);
}

/* Only a region that an allocator took can be assigned, and only to a device */
static void rmem_test_assign_nothing(struct kunit *test)
{
	static const struct reserved_mem_ops no_init = { };
	struct device *dev = rmem_test_device(test, "/free");
	struct reserved_mem rmem = { .name = "none" };

	KUNIT_EXPECT_EQ(test, of_reserved_mem_device_init_with_mem(dev, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, of_reserved_mem_device_init_with_mem(dev, &rmem), -EINVAL);
	rmem.ops = &no_init;
	KUNIT_EXPECT_EQ(test, of_reserved_mem_device_init_with_mem(dev, &rmem), -EINVAL);
	rmem.ops = &rmem_test_slow_ops;
	KUNIT_EXPECT_EQ(test, of_reserved_mem_device_init_with_mem(NULL, &rmem), -EINVAL);
}

static struct kunit_case rmem_heap_consistency_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_heap_first, rmem_test_pairs_gen_params),
	KUNIT_CASE_PARAM(rmem_test_device_first, rmem_test_pairs_gen_params),
	KUNIT_CASE_PARAM(rmem_test_interleaved, rmem_test_pairs_gen_params),
	KUNIT_CASE(rmem_test_carveout),
	KUNIT_CASE(rmem_test_serialised),
	KUNIT_CASE(rmem_test_assign_nothing),
	{ }
};

static struct kunit_suite rmem_heap_consistency_suite = {
	.name = "rmem_heap_consistency",
	.test_cases = rmem_heap_consistency_cases,
};

kunit_test_suites(&rmem_heap_alloc_suite, &rmem_heap_consistency_suite);

#ifdef CONFIG_FAULT_INJECTION
/*
 * Whichever allocation on the way fails: an error, and nothing is lost. Some failures hit
 * what the slab allocator and kmemleak do for themselves, and are survived; which ones is
 * another matter each time, hence the rounds.
 */
static void rmem_test_failing_alloc(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_param_heap(test);
	size_t before = rmem_test_capacity(test, heap);
	unsigned int round, nth, failed = 0;
	struct dma_buf *dmabuf;
	bool injected;

	for (round = 0; round < 5; round++) {
		for (nth = 1, injected = true; injected && nth < 100; nth++) {
			current->fail_nth = nth;
			dmabuf = rmem_heap_alloc(heap, SZ_1M, O_RDWR);
			injected = !current->fail_nth;
			current->fail_nth = 0;

			if (IS_ERR(dmabuf)) {
				failed++;
				KUNIT_EXPECT_TRUE(test, injected);
				KUNIT_EXPECT_EQ(test, PTR_ERR(dmabuf), -ENOMEM);
			} else {
				dma_buf_put(dmabuf);
				flush_delayed_fput();
			}
			KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), before);
		}
		KUNIT_EXPECT_LT(test, nth, 100);
	}
	KUNIT_EXPECT_GE(test, failed, 5);
}

static struct kunit_case rmem_failing_alloc_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_failing_alloc, rmem_test_heaps_gen_params),
	{ }
};

static struct kunit_suite rmem_failing_alloc_suite = {
	.name = "rmem_failing_alloc",
	.init = rmem_test_needs_injection,
	.test_cases = rmem_failing_alloc_cases,
};

kunit_test_suite(rmem_failing_alloc_suite);
#endif
