// SPDX-License-Identifier: GPL-2.0
/*
 * Measurements of the buffers of a carveout, as dma-bufs, beside those of mainline's cma_heap
 * and of a heap over gen_pool that does not clear. The suite judges nothing. It wants one
 * processor, so that the time until the worker is idle has all clearing in it.
 */

#include <kunit/device.h>
#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/genalloc.h>
#include <linux/kallsyms.h>
#include <linux/math64.h>
#include <linux/of_reserved_mem.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "rmem_heap_bench.h"

MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");

/* The carveout that is compared has this size, and so has the gen_pool. */
#define RMEM_PEER_SIZE	SZ_256M

/* The peers, and the carveout as the first of them */
enum rmem_peer {
	RMEM_PEER_OURS,
	RMEM_PEER_CMA_HEAP,
	RMEM_PEER_GEN_POOL,
	RMEM_PEERS,
};

static const char * const rmem_peer_names[RMEM_PEERS] = { "carveout", "cma_heap", "gen_pool" };

static struct rmem_heap *rmem_peer_carveout;

/*
 * cma_heap's own function is called with a heap of the suite on the default area, of which
 * cma_heap reads no more than what is given here.
 */
static struct {
	struct dma_heap *heap;
	struct cma *cma;
} rmem_peer_cma;

static struct dma_buf *(*rmem_peer_cma_allocate)(struct dma_heap *heap, unsigned long len,
						 u32 fd_flags, u64 heap_flags);

static struct dma_buf *rmem_peer_refuse(struct dma_heap *heap, unsigned long len, u32 fd_flags,
					u64 heap_flags)
{
	return ERR_PTR(-ENODEV);
}

static const struct dma_heap_ops rmem_peer_heap_ops = {
	.allocate = rmem_peer_refuse,
};

/* A heap over gen_pool: first fit, and nothing is cleared. */
static struct gen_pool *rmem_peer_pool;

struct rmem_peer_buffer {
	unsigned long addr;
	size_t len;
};

static struct sg_table *rmem_peer_map(struct dma_buf_attachment *attach,
				      enum dma_data_direction dir)
{
	return ERR_PTR(-ENODEV);
}

static void rmem_peer_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			    enum dma_data_direction dir)
{
}

static void rmem_peer_release(struct dma_buf *dmabuf)
{
	struct rmem_peer_buffer *buf = dmabuf->priv;

	gen_pool_free(rmem_peer_pool, buf->addr, buf->len);
	kfree(buf);
}

static const struct dma_buf_ops rmem_peer_ops = {
	.map_dma_buf = rmem_peer_map,
	.unmap_dma_buf = rmem_peer_unmap,
	.release = rmem_peer_release,
};

static struct dma_buf *rmem_peer_pool_alloc(size_t len)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct rmem_peer_buffer *buf = kzalloc_obj(*buf);

	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->len = len;
	buf->addr = gen_pool_alloc(rmem_peer_pool, len);
	if (!buf->addr) {
		kfree(buf);
		return ERR_PTR(-ENOMEM);
	}
	info.ops = &rmem_peer_ops;
	info.size = len;
	info.flags = O_RDWR;
	info.priv = buf;
	return dma_buf_export(&info);
}

static struct dma_buf *rmem_peer_alloc(enum rmem_peer peer, size_t len)
{
	switch (peer) {
	case RMEM_PEER_OURS:
		return rmem_heap_alloc(rmem_peer_carveout, len, O_RDWR);
	case RMEM_PEER_CMA_HEAP:
		return rmem_peer_cma_allocate(rmem_peer_cma.heap, len, O_RDWR, 0);
	default:
		return rmem_peer_pool_alloc(len);
	}
}

/* Frees the buffer before it returns, unlike dma_buf_put() in a kernel thread. */
static void rmem_peer_put(struct dma_buf *dmabuf)
{
	__fput_sync(dmabuf->file);
}

static void rmem_peer_settle(void)
{
	rmem_bench_settle(rmem_peer_carveout);
}

static int rmem_peers_init(struct kunit_suite *suite)
{
	const struct dma_heap_export_info info = {
		.name = "bench",
		.ops = &rmem_peer_heap_ops,
		.priv = &rmem_peer_cma,
	};

	rmem_peer_pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!rmem_peer_pool || gen_pool_add(rmem_peer_pool, SZ_1G, RMEM_PEER_SIZE, NUMA_NO_NODE))
		return -ENOMEM;
	rmem_peer_cma_allocate = (void *)kallsyms_lookup_name("cma_heap_allocate");
	rmem_peer_cma.cma = dev_get_cma_area(NULL);
	rmem_peer_cma.heap = dma_heap_add(&info);
	return PTR_ERR_OR_ZERO(rmem_peer_cma.heap);
}

static void rmem_peers_exit(struct kunit_suite *suite)
{
	gen_pool_destroy(rmem_peer_pool);
}

static int rmem_peers_test_init(struct kunit *test)
{
	rmem_peer_carveout = rmem_bench_heap(test, RMEM_HEAP_CARVEOUT, RMEM_PEER_SIZE);
	if (!rmem_peer_cma_allocate || !rmem_peer_cma.cma)
		kunit_skip(test, "no cma_heap or no default area");
	return 0;
}

static void rmem_peers_result(const char *run, size_t len, struct rmem_series *s)
{
	unsigned int peer;

	for (peer = 0; peer < RMEM_PEERS; peer++)
		if (s[peer].n)
			rmem_bench_result(run, rmem_peer_names[peer], len, &s[peer], "ns");
}

/* A task that allocates and frees without a pause, with the clearing that it leaves */
static void rmem_peers_sustained(struct kunit *test)
{
	static const size_t lens[] = { SZ_4K, SZ_64K, SZ_1M, SZ_8M, SZ_32M };
	unsigned int i, k, r, b, peer, batch;
	struct rmem_series *s;
	bool ok = true;

	for (k = 0; k < ARRAY_SIZE(lens); k++) {
		s = rmem_bench_series(test, RMEM_PEERS);
		batch = clamp(SZ_256M / lens[k], 8UL, 512UL);
		for (r = 0; r < 20; r++) {
			/* Each peer is as often the first as the others. */
			for (i = r; i < r + RMEM_PEER_GEN_POOL; i++) {
				peer = i % RMEM_PEER_GEN_POOL;
				u64 t = rmem_bench_ns();

				for (b = 0; b < batch; b++) {
					struct dma_buf *dmabuf = rmem_peer_alloc(peer, lens[k]);

					ok &= !IS_ERR(dmabuf);
					if (!IS_ERR(dmabuf))
						rmem_peer_put(dmabuf);
					cond_resched();
				}
				rmem_peer_settle();
				rmem_bench_add(&s[peer], div_u64(rmem_bench_ns() - t, batch));
			}
		}
		rmem_peers_result("no-pause", lens[k], s);
	}
	KUNIT_EXPECT_TRUE_MSG(test, ok, "failures are measured, too");
}

/* An allocation after a pause, in which the worker had the time to clear */
static void rmem_peers_pause(struct kunit *test)
{
	static const size_t lens[] = { SZ_4K, SZ_8M };
	struct rmem_series *s = rmem_bench_series(test, ARRAY_SIZE(lens));
	unsigned int k, r;

	for (r = 0; r < 50; r++) {
		for (k = 0; k < ARRAY_SIZE(lens); k++) {
			struct dma_buf *dmabuf;
			u64 t;

			msleep(20);
			t = rmem_bench_ns();
			dmabuf = rmem_peer_alloc(RMEM_PEER_OURS, lens[k]);
			rmem_bench_add(&s[k], rmem_bench_ns() - t);
			KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf));
			rmem_peer_put(dmabuf);
		}
	}
	for (k = 0; k < ARRAY_SIZE(lens); k++)
		rmem_bench_result("pause", "carveout", lens[k], &s[k], "ns");
}

/* The end of buffers of a page: with and without what it costs to clear them later */
static void rmem_peers_free(struct kunit *test)
{
	struct rmem_series *all = rmem_bench_series(test, RMEM_PEERS);
	struct rmem_series *s = rmem_bench_series(test, RMEM_PEERS);
	struct dma_buf *bufs[128];
	unsigned int i, r, b, peer;
	u64 t;

	for (r = 0; r < RMEM_BENCH_ROUNDS; r++) {
		/* Each peer is as often the first as the others. */
		for (i = r; i < r + RMEM_PEERS; i++) {
			peer = i % RMEM_PEERS;
			for (b = 0; b < ARRAY_SIZE(bufs); b++) {
				bufs[b] = rmem_peer_alloc(peer, SZ_4K);
				KUNIT_ASSERT_FALSE(test, IS_ERR(bufs[b]));
			}
			t = rmem_bench_ns();
			for (b = 0; b < ARRAY_SIZE(bufs); b++)
				rmem_peer_put(bufs[b]);
			rmem_bench_add(&s[peer], div_u64(rmem_bench_ns() - t, ARRAY_SIZE(bufs)));
			rmem_peer_settle();
			rmem_bench_add(&all[peer], div_u64(rmem_bench_ns() - t, ARRAY_SIZE(bufs)));
			cond_resched();
		}
	}
	rmem_peers_result("free-call", SZ_4K, s);
	rmem_peers_result("free-all", SZ_4K, all);
}

/* CPU access to a buffer that some devices have mapped */
static void rmem_peers_sync(struct kunit *test)
{
	static const size_t lens[] = { SZ_4K, SZ_1M };
	static const unsigned int counts[] = { 1, 4 };
	struct dma_buf_attachment *attach[RMEM_PEER_GEN_POOL][4];
	struct sg_table *sgt[RMEM_PEER_GEN_POOL][4];
	struct dma_buf *dmabuf[RMEM_PEER_GEN_POOL];
	unsigned int i, k, r, b, d, n, peer;
	struct device *dev[4];
	struct rmem_series *s;
	char name[32];

	for (d = 0; d < ARRAY_SIZE(dev); d++) {
		snprintf(name, sizeof(name), "importer%u", d);
		dev[d] = kunit_device_register(test, name);
		KUNIT_ASSERT_FALSE(test, IS_ERR(dev[d]));
	}
	for (k = 0; k < ARRAY_SIZE(lens) * ARRAY_SIZE(counts); k++) {
		size_t len = lens[k / ARRAY_SIZE(counts)];

		n = counts[k % ARRAY_SIZE(counts)];
		s = rmem_bench_series(test, RMEM_PEERS);
		for (peer = 0; peer < RMEM_PEER_GEN_POOL; peer++) {
			dmabuf[peer] = rmem_peer_alloc(peer, len);
			KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf[peer]));
			for (d = 0; d < n; d++) {
				attach[peer][d] = dma_buf_attach(dmabuf[peer], dev[d]);
				KUNIT_ASSERT_FALSE(test, IS_ERR(attach[peer][d]));
				sgt[peer][d] = dma_buf_map_attachment_unlocked(attach[peer][d],
									       DMA_BIDIRECTIONAL);
				KUNIT_ASSERT_FALSE(test, IS_ERR(sgt[peer][d]));
			}
		}
		for (r = 0; r < RMEM_BENCH_ROUNDS; r++) {
			/* Each peer is as often the first as the others. */
			for (i = r; i < r + RMEM_PEER_GEN_POOL; i++) {
				peer = i % RMEM_PEER_GEN_POOL;
				u64 t = rmem_bench_ns();

				for (b = 0; b < 1000; b++) {
					dma_buf_begin_cpu_access(dmabuf[peer], DMA_BIDIRECTIONAL);
					dma_buf_end_cpu_access(dmabuf[peer], DMA_BIDIRECTIONAL);
				}
				rmem_bench_add(&s[peer], div_u64(rmem_bench_ns() - t, 1000));
			}
			cond_resched();
		}
		snprintf(name, sizeof(name), "sync-%u", n);
		rmem_peers_result(name, len, s);
		for (peer = 0; peer < RMEM_PEER_GEN_POOL; peer++) {
			for (d = 0; d < n; d++) {
				dma_buf_unmap_attachment_unlocked(attach[peer][d], sgt[peer][d],
								  DMA_BIDIRECTIONAL);
				dma_buf_detach(dmabuf[peer], attach[peer][d]);
			}
			rmem_peer_put(dmabuf[peer]);
		}
	}
}

/*
 * Allocations where every second page is in use: of a page, and of 1 MiB, for which there is
 * no place
 */
static void rmem_peers_holes(struct kunit *test)
{
	static const enum rmem_peer peers[] = { RMEM_PEER_OURS, RMEM_PEER_GEN_POOL };
	struct rmem_buffer **bufs = rmem_bench_bufs(test, rmem_peer_carveout);
	struct rmem_series *s = rmem_bench_series(test, RMEM_PEERS);
	struct rmem_series *fails = rmem_bench_series(test, RMEM_PEERS);
	unsigned int i, r, peer, n, pages = RMEM_PEER_SIZE >> PAGE_SHIFT;
	struct dma_buf *dmabuf[64];
	bool ok = true;
	u64 t;

	n = rmem_bench_perforate(rmem_peer_carveout, bufs);
	for (i = 0; i < pages; i++)
		gen_pool_alloc(rmem_peer_pool, PAGE_SIZE);
	for (i = 0; i < pages; i += 2)
		gen_pool_free(rmem_peer_pool, SZ_1G + i * PAGE_SIZE, PAGE_SIZE);

	for (r = 0; r < 50; r++) {
		/* Each peer is as often the first as the others. */
		for (i = r; i < r + ARRAY_SIZE(peers); i++) {
			unsigned int b;

			peer = peers[i % ARRAY_SIZE(peers)];
			rmem_peer_settle();
			t = rmem_bench_ns();
			for (b = 0; b < ARRAY_SIZE(dmabuf); b++)
				dmabuf[b] = rmem_peer_alloc(peer, PAGE_SIZE);
			t = rmem_bench_ns() - t;
			rmem_bench_add(&s[peer], div_u64(t, ARRAY_SIZE(dmabuf)));
			while (b--) {
				ok &= !IS_ERR(dmabuf[b]);
				if (!IS_ERR(dmabuf[b]))
					rmem_peer_put(dmabuf[b]);
			}
			rmem_peer_settle();
			t = rmem_bench_ns();
			for (b = 0; b < 16; b++)
				ok &= IS_ERR(rmem_peer_alloc(peer, SZ_1M));
			rmem_bench_add(&fails[peer], div_u64(rmem_bench_ns() - t, 16));
		}
		cond_resched();
	}
	KUNIT_EXPECT_TRUE(test, ok);
	rmem_peers_result("holes", PAGE_SIZE, s);
	rmem_peers_result("holes", SZ_1M, fails);

	rmem_bench_drain(rmem_peer_carveout, bufs, n);
	for (i = 1; i < pages; i += 2)
		gen_pool_free(rmem_peer_pool, SZ_1G + i * PAGE_SIZE, PAGE_SIZE);
}

static struct kunit_case rmem_bench_peers_cases[] = {
	KUNIT_CASE_SLOW(rmem_peers_sustained),
	KUNIT_CASE_SLOW(rmem_peers_pause),
	KUNIT_CASE_SLOW(rmem_peers_free),
	KUNIT_CASE_SLOW(rmem_peers_sync),
	KUNIT_CASE_SLOW(rmem_peers_holes),
	{ }
};

static struct kunit_suite rmem_bench_peers_suite = {
	.name = "rmem_bench_peers",
	.suite_init = rmem_peers_init,
	.suite_exit = rmem_peers_exit,
	.init = rmem_peers_test_init,
	.test_cases = rmem_bench_peers_cases,
};

kunit_test_suite(rmem_bench_peers_suite);
