// SPDX-License-Identifier: GPL-2.0
/*
 * The exporter: importers of every kind, CPU access, kernel and user mappings, the life
 * of a buffer. On the regions and devices of rmem_heap_test.dts.
 *
 * A device's DMA is done by the CPU at the physical address behind its DMA address.
 */

#include <linux/anon_inodes.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include "rmem_heap_test.h"

static void rmem_test_unmap_action(void *data)
{
	struct rmem_test_import *import = data;

	dma_buf_unmap_attachment_unlocked(import->attach, import->sgt, import->dir);
}

static void rmem_test_detach_action(void *data)
{
	struct rmem_test_import *import = data;

	dma_buf_detach(import->dmabuf, import->attach);
}

struct rmem_test_import *rmem_test_attach(struct kunit *test, struct dma_buf *dmabuf,
					  struct device *dev)
{
	struct rmem_test_import *import = kunit_kzalloc(test, sizeof(*import), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, import);
	import->dmabuf = dmabuf;
	import->attach = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(import->attach), "%s: %pe", dev_name(dev),
			       import->attach);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_detach_action,
							   import));
	return import;
}

struct rmem_test_import *rmem_test_map(struct kunit *test, struct dma_buf *dmabuf,
				       struct device *dev, enum dma_data_direction dir)
{
	struct rmem_test_import *import = rmem_test_attach(test, dmabuf, dev);

	import->dir = dir;
	import->sgt = dma_buf_map_attachment_unlocked(import->attach, dir);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(import->sgt), "%s: %pe", dev_name(dev),
			       import->sgt);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_unmap_action,
							   import));
	return import;
}

void rmem_test_unmap(struct kunit *test, struct rmem_test_import *import)
{
	kunit_release_action(test, rmem_test_unmap_action, import);
	kunit_release_action(test, rmem_test_detach_action, import);
}

/* Attaching must fail; a success is undone */
int rmem_test_attach_error(struct dma_buf *dmabuf, struct device *dev)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);

	if (IS_ERR(attach))
		return PTR_ERR(attach);
	dma_buf_detach(dmabuf, attach);
	return 0;
}

static u8 rmem_test_pattern(u32 seed, size_t pos)
{
	return seed + 7 * pos + (pos >> 12);
}

/* The device writes a pattern, or counts what differs from it */
static size_t rmem_test_dma(struct rmem_test_import *import, u32 seed, bool write)
{
	struct scatterlist *sg;
	size_t pos = 0, bad = 0, j;
	int i;

	for_each_sgtable_dma_sg(import->sgt, sg, i) {
		u8 *mem = rmem_test_mem(dma_to_phys(import->attach->dev, sg_dma_address(sg)));

		for (j = 0; j < sg_dma_len(sg); j++, pos++) {
			if (write)
				mem[j] = rmem_test_pattern(seed, pos);
			else
				bad += mem[j] != rmem_test_pattern(seed, pos);
		}
	}
	return bad;
}

/* The same for the CPU, in a kernel mapping and between the calls for CPU access */
static size_t rmem_test_cpu(struct kunit *test, struct dma_buf *dmabuf, u32 seed, bool write)
{
	enum dma_data_direction dir = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	struct iosys_map map;
	size_t pos, bad = 0;
	u8 *mem;

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, dir), 0);
	mem = map.vaddr;
	for (pos = 0; pos < dmabuf->size; pos++) {
		if (write)
			mem[pos] = rmem_test_pattern(seed, pos);
		else
			bad += mem[pos] != rmem_test_pattern(seed, pos);
	}
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, dir), 0);
	dma_buf_vunmap_unlocked(dmabuf, &map);
	return bad;
}

/* Data is right in both directions, during the mapping and after it */
void rmem_test_data(struct kunit *test, struct rmem_test_import *import)
{
	struct dma_buf *dmabuf = import->dmabuf;

	rmem_test_cpu(test, dmabuf, 3, true);
	KUNIT_EXPECT_EQ(test, rmem_test_dma(import, 3, false), 0);
	rmem_test_dma(import, 5, true);
	KUNIT_EXPECT_EQ(test, rmem_test_cpu(test, dmabuf, 5, false), 0);
	rmem_test_dma(import, 11, true);
	rmem_test_unmap(test, import);
	KUNIT_EXPECT_EQ(test, rmem_test_cpu(test, dmabuf, 11, false), 0);
}

/* The mapping is the memory itself, all of it and in order */
void rmem_test_is_direct(struct kunit *test, struct rmem_test_import *import)
{
	const struct rmem_buffer *buf = rmem_test_buf(import->dmabuf);
	struct scatterlist *sg;
	size_t done = 0, total = 0;
	unsigned int e = 0;
	int i;

	for_each_sgtable_dma_sg(import->sgt, sg, i) {
		phys_addr_t paddr = dma_to_phys(import->attach->dev, sg_dma_address(sg));
		size_t off = 0;

		while (off < sg_dma_len(sg)) {
			KUNIT_ASSERT_LT(test, e, buf->nr);
			KUNIT_ASSERT_EQ(test, paddr + off, buf->extents[e].paddr + done);
			done += PAGE_SIZE;
			off += PAGE_SIZE;
			if (done == buf->extents[e].len) {
				done = 0;
				e++;
			}
		}
		total += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(test, total, import->dmabuf->size);
}

/**
 * struct rmem_test_case - an importer of a buffer of a region
 * @heap: name of the region
 * @dev: path of the importer
 */
struct rmem_test_case {
	const char *heap;
	const char *dev;
};

static void rmem_test_case_desc(const struct rmem_test_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s by %s", c->heap, c->dev + 1);
}

/* Importers that reach the memory: of the same region, or of none */
static const struct rmem_test_case rmem_test_direct_cases[] = {
	{ "cma@10000000", "/cma-coherent" },
	{ "cma@10000000", "/cma-noncoherent" },
	{ "cma@10000000", "/free" },
	{ "cma@10000000", "/coherent-pool" },
	{ "coherent@11000000", "/coherent-pool" },
	{ "coherent@11000000", "/free" },
	{ "coherent@11000000", "/free-noncoherent" },
	{ "restricted@12000000", "/restricted-coherent" },
	{ "restricted@12000000", "/restricted-noncoherent" },
	{ "restricted@12000000", "/free" },
	{ "restricted-odd@13010000", "/odd-coherent" },
	{ "restricted-odd@13010000", "/free-noncoherent" },
	{ "carveout@15000000", "/carveout-user" },
	{ "carveout@15000000", "/free-noncoherent" },
	{ "plain@16000000", "/free" },
	{ "dynamic-carveout", "/free" },
};

KUNIT_ARRAY_PARAM(rmem_test_direct_cases, rmem_test_direct_cases, rmem_test_case_desc);

static void rmem_test_direct(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, c->heap), SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);
	struct rmem_test_import *import;

	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	rmem_test_is_direct(test, import);
	rmem_test_data(test, import);
}

/* Device-only memory reaches devices, and nothing else */
static void rmem_test_device_only(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "device-only@17000000");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct rmem_test_import *import;
	struct iosys_map map;

	KUNIT_EXPECT_EQ(test, heap->memory, RMEM_DEVICE_ONLY);
	import = rmem_test_map(test, dmabuf, rmem_test_device(test, "/free"),
			       DMA_BIDIRECTIONAL);
	rmem_test_is_direct(test, import);
	if (!IS_ENABLED(CONFIG_DMABUF_DEBUG)) {
		KUNIT_EXPECT_EQ(test, import->sgt->orig_nents, 0);
		KUNIT_EXPECT_NULL(test, sg_page(import->sgt->sgl));
	}
	rmem_test_unmap(test, import);

	KUNIT_EXPECT_LT(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE), -EOPNOTSUPP);
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(vm_mmap(dmabuf->file, 0, SZ_1M, PROT_READ,
						     MAP_SHARED, 0)));
}

/* Importers that cannot have the memory in any way are refused before the core WARNs */
static const struct rmem_test_case rmem_test_refused_cases[] = {
	{ "cma@10000000", "/narrow" },
	{ "coherent@11000000", "/narrow" },
	{ "restricted@12000000", "/narrow" },
	{ "carveout@15000000", "/narrow" },
	{ "device-only@17000000", "/narrow" },
	{ "cma@10000000", "/narrow-bouncing" },
	{ "restricted@12000000", "/narrow-bouncing" },
	{ "carveout@15000000", "/narrow-bouncing" },
	{ "coherent@11000000", "/bouncing" },
	{ "device-only@17000000", "/bouncing" },
	{ "coherent@11000000", "/restricted-coherent" },
};

KUNIT_ARRAY_PARAM(rmem_test_refused_cases, rmem_test_refused_cases, rmem_test_case_desc);

static void rmem_test_refused(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, c->heap), SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);

	KUNIT_EXPECT_EQ(test, rmem_test_attach_error(dmabuf, dev), -EBUSY);
}

/*
 * A device must reach the last byte of a buffer, and of the region that it is asked about. Linear
 * memory above 4 GiB can be bounced if the machine has a default pool, which lies below.
 */
static void rmem_test_reach_in_part(struct kunit *test)
{
	static const char * const heaps[] = {
		"cma@10000000", "coherent@11000000", "restricted@12000000",
		"carveout@15000000", "device-only@17000000",
	};
	struct device *dev = rmem_test_device(test, "/free");
	u64 limit = dev->bus_dma_limit;
	unsigned int h, i;

	for (h = 0; h < ARRAY_SIZE(heaps); h++) {
		struct rmem_heap *heap = rmem_test_heap(test, heaps[h]);
		struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
		const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
		u64 end = 0, last = heap->region->rmem->base + heap->region->rmem->size - 1;
		bool bounced = heap->memory == RMEM_LINEAR && last > U32_MAX &&
			       is_swiotlb_active(dev);
		int part[2], all[2];

		for (i = 0; i < buf->nr; i++)
			end = max_t(u64, end, buf->extents[i].paddr + buf->extents[i].len);
		dev->bus_dma_limit = end - PAGE_SIZE - 1;
		part[0] = rmem_test_attach_error(dmabuf, dev);
		dev->bus_dma_limit = end - 1;
		all[0] = rmem_test_attach_error(dmabuf, dev);
		dev->bus_dma_limit = last - PAGE_SIZE;
		part[1] = rmem_heap_check_device(heap, dev);
		dev->bus_dma_limit = last;
		all[1] = rmem_heap_check_device(heap, dev);
		dev->bus_dma_limit = limit;

		for (i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ_MSG(test, part[i], bounced ? 0 : -EBUSY, "%s", heaps[h]);
			KUNIT_EXPECT_EQ_MSG(test, all[i], 0, "%s", heaps[h]);
		}
	}
}

/* A device without a DMA mask cannot import, nor one that takes no page at a time */
static void rmem_test_no_mask(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "cma@10000000");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_64K);
	struct device *dev = rmem_test_device(test, "/free");
	u64 *mask = dev->dma_mask, none = 0;
	int ret, check;

	dev->dma_mask = NULL;
	ret = rmem_test_attach_error(dmabuf, dev);
	check = rmem_heap_check_device(heap, dev);
	dev->dma_mask = &none;
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	KUNIT_EXPECT_EQ(test, check, -EINVAL);
	ret = rmem_test_attach_error(dmabuf, dev);
	check = rmem_heap_check_device(heap, dev);
	dev->dma_mask = mask;
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	KUNIT_EXPECT_EQ(test, check, -EINVAL);

	dma_set_max_seg_size(dev, PAGE_SIZE / 2);
	ret = rmem_test_attach_error(dmabuf, dev);
	check = rmem_heap_check_device(heap, dev);
	dma_set_max_seg_size(dev, 0);
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	KUNIT_EXPECT_EQ(test, check, -EINVAL);
}

#ifdef CONFIG_DMA_RESTRICTED_POOL
/* Importers on a pool of their own: swiotlb copies, in pieces that it can */
static const struct rmem_test_case rmem_test_bounced_cases[] = {
	{ "cma@10000000", "/bouncing" },
	{ "restricted@12000000", "/bouncing" },
	{ "restricted@12000000", "/odd-coherent" },
	{ "carveout@15000000", "/bouncing" },
	{ "carveout@15000000", "/restricted-coherent" },
};

KUNIT_ARRAY_PARAM(rmem_test_bounced_cases, rmem_test_bounced_cases, rmem_test_case_desc);

static void rmem_test_bounced(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, c->heap);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);
	struct io_tlb_pool *pool = &dev->dma_io_tlb_mem->defpool;
	struct rmem_test_import *import;
	struct scatterlist *sg;
	size_t total = 0;
	int i;

	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	for_each_sgtable_dma_sg(import->sgt, sg, i) {
		phys_addr_t paddr = dma_to_phys(dev, sg_dma_address(sg));

		KUNIT_EXPECT_GE(test, paddr, pool->start);
		KUNIT_EXPECT_LE(test, paddr + sg_dma_len(sg), pool->end);
		KUNIT_EXPECT_LE(test, sg_dma_len(sg), SZ_256K);
		total += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(test, total, SZ_1M);
	rmem_test_data(test, import);
}
#endif

/* No segment is longer than the importer takes */
static void rmem_test_small_segments(struct kunit *test)
{
	static const char * const heaps[] = {
		"cma@10000000", "coherent@11000000", "restricted@12000000",
		"device-only@17000000",
	};
	struct device *dev = rmem_test_device(test, "/small-segments");
	unsigned int h, size = dma_get_max_seg_size(dev);

	KUNIT_ASSERT_EQ(test, size, 0x3000);
	/* The same number of pages, where they are larger */
	dma_set_max_seg_size(dev, 3 * PAGE_SIZE);
	for (h = 0; h < ARRAY_SIZE(heaps); h++) {
		struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, heaps[h]),
							 SZ_1M + PAGE_SIZE);
		struct rmem_test_import *import;
		struct scatterlist *sg;
		int i;

		import = rmem_test_map(test, dmabuf, dev, DMA_TO_DEVICE);
		for_each_sgtable_dma_sg(import->sgt, sg, i)
			KUNIT_EXPECT_LE(test, sg_dma_len(sg), 3 * PAGE_SIZE);
		rmem_test_is_direct(test, import);
		rmem_test_unmap(test, import);
		rmem_test_put(test, dmabuf);
	}
	dma_set_max_seg_size(dev, size);
}

/* No segment crosses an address that the importer cannot count past, wherever it begins */
static void rmem_test_boundary(struct kunit *test)
{
	static const struct {
		const char *heap;
		unsigned int max;
	} cases[] = {
		{ "plain@16000000", UINT_MAX },
		{ "plain@16000000", 3 * PAGE_SIZE },
		{ "coherent@11000000", 3 * PAGE_SIZE },
	};
	struct device *dev = rmem_test_device(test, "/free");
	struct rmem_test_import *import;
	struct scatterlist *sg;
	struct dma_buf *dmabuf;
	unsigned int c;
	int i;

	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		dmabuf = rmem_test_alloc(test, rmem_test_heap(test, cases[c].heap), SZ_1M);
		dma_set_max_seg_size(dev, cases[c].max);
		dma_set_seg_boundary(dev, SZ_64K - 1);
		import = rmem_test_map(test, dmabuf, dev, DMA_TO_DEVICE);
		for_each_sgtable_dma_sg(import->sgt, sg, i) {
			u64 first = sg_dma_address(sg), last = first + sg_dma_len(sg) - 1;

			KUNIT_EXPECT_GT(test, sg_dma_len(sg), 0);
			KUNIT_EXPECT_EQ(test, first / SZ_64K, last / SZ_64K);
		}
		rmem_test_is_direct(test, import);
		rmem_test_unmap(test, import);
		dma_set_seg_boundary(dev, 0);
		dma_set_max_seg_size(dev, 0);
		rmem_test_put(test, dmabuf);
	}
}

/* Chunks that touch are one segment for an importer that takes it */
static void rmem_test_merged(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/free");
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "restricted@12000000"),
						 SZ_1M);
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	struct rmem_test_import *import;
	unsigned int i, pieces = 1, marked = 0;
	struct scatterlist *sg;

	for (i = 1; i < buf->nr; i++)
		pieces += buf->extents[i].paddr !=
			  buf->extents[i - 1].paddr + buf->extents[i - 1].len;
	KUNIT_EXPECT_GT(test, buf->nr, pieces);

	dma_set_max_seg_size(dev, UINT_MAX);
	import = rmem_test_map(test, dmabuf, dev, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, import->sgt->nents, pieces);
	/* The end mark is behind the last segment, not behind the entries that are left. */
	for (sg = import->sgt->sgl; sg; sg = sg_next(sg))
		marked++;
	KUNIT_EXPECT_EQ(test, marked, pieces);
	rmem_test_is_direct(test, import);
	rmem_test_unmap(test, import);
	dma_set_max_seg_size(dev, 0);
}

/*
 * An importer on the buffer's own pool takes no slot of it, and releases none: what is
 * left of the pool stays the same through all of it.
 */
static void rmem_test_same_pool(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "restricted@12000000");
	struct device *dev = rmem_test_device(test, "/restricted-coherent");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	size_t left = heap->region->rmem->size - SZ_1M;
	struct rmem_test_import *import;

	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), left);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), left);
	rmem_test_unmap(test, import);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), left);
	rmem_test_put(test, dmabuf);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size);
}

/* How much of a buffer's own memory holds a pattern, without asking for CPU access */
static size_t rmem_test_own_bytes(struct dma_buf *dmabuf, u32 seed)
{
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	size_t pos = 0, same = 0, j;
	unsigned int i;

	for (i = 0; i < buf->nr; i++) {
		const u8 *mem = rmem_test_mem(buf->extents[i].paddr);

		for (j = 0; j < buf->extents[i].len; j++, pos++)
			same += mem[j] == rmem_test_pattern(seed, pos);
	}
	return same;
}

/**
 * struct rmem_test_copied - bytes that were copied
 * @map: into where the device reads
 * @sync: out of where it wrote, for an access by the CPU
 * @unmap: the same at the end
 */
struct rmem_test_copied {
	size_t map;
	size_t sync;
	size_t unmap;
};

/*
 * Seen from outside: a step has copied what is, after it, at a place that had something
 * else before it, and that nobody else has written to.
 */
static struct rmem_test_copied rmem_test_count_copied(struct kunit *test,
						      struct dma_buf *dmabuf,
						      struct device *dev)
{
	struct rmem_test_copied copied;
	struct rmem_test_import *import;
	bool bounced;
	size_t own;

	rmem_test_cpu(test, dmabuf, 1, true);
	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	/* Does the device write to the buffer, or to a copy of it? */
	copied.map = dmabuf->size - rmem_test_dma(import, 1, false);
	rmem_test_dma(import, 2, true);
	own = rmem_test_own_bytes(dmabuf, 2);
	bounced = own != dmabuf->size;
	if (!bounced)
		copied.map = 0;

	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	copied.sync = rmem_test_own_bytes(dmabuf, 2) - own;

	rmem_test_dma(import, 4, true);
	own = rmem_test_own_bytes(dmabuf, 4);
	rmem_test_unmap(test, import);
	copied.unmap = rmem_test_own_bytes(dmabuf, 4) - own;
	KUNIT_EXPECT_EQ(test, rmem_test_own_bytes(dmabuf, 4), dmabuf->size);
	return copied;
}

/* Nothing is copied for an importer of the pool; the generic path copies every time */
static void rmem_test_copied_bytes(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "restricted@12000000");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	static const char * const devs[] = {
		"/restricted-coherent", "/restricted-noncoherent", "/bouncing",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		size_t all = i == 2 ? SZ_1M : 0;
		struct rmem_test_copied copied;

		copied = rmem_test_count_copied(test, dmabuf, rmem_test_device(test, devs[i]));
		kunit_info(test, "copied,%s,%zu,%zu,%zu\n", devs[i] + 1, copied.map,
			   copied.sync, copied.unmap);
		KUNIT_EXPECT_EQ(test, copied.map, all);
		KUNIT_EXPECT_EQ(test, copied.sync, all);
		KUNIT_EXPECT_EQ(test, copied.unmap, all);
	}
}

#ifdef CONFIG_ARCH_HAS_DMA_OPS
static int rmem_test_ops_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
				enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		sg->dma_address = sg_phys(sg) + SZ_1G;
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

static void rmem_test_ops_unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
				   enum dma_data_direction dir, unsigned long attrs)
{
}

/* dma_ops choose the addresses of all memory, that of the device's own pool as well */
static void rmem_test_same_pool_ops(struct kunit *test)
{
	static const struct dma_map_ops ops = {
		.map_sg = rmem_test_ops_map_sg,
		.unmap_sg = rmem_test_ops_unmap_sg,
	};
	struct rmem_heap *heap = rmem_test_heap(test, "restricted@12000000");
	struct device *dev = rmem_test_device(test, "/restricted-coherent");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_64K);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	dma_addr_t addr = 0;

	set_dma_ops(dev, &ops);
	attach = dma_buf_attach(dmabuf, dev);
	if (!IS_ERR(attach)) {
		sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
		if (!IS_ERR(sgt)) {
			addr = sg_dma_address(sgt->sgl);
			dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
		}
		dma_buf_detach(dmabuf, attach);
	}
	set_dma_ops(dev, NULL);
	KUNIT_EXPECT_EQ(test, addr, rmem_test_buf(dmabuf)->extents[0].paddr + SZ_1G);
}
#endif

/* Cache maintenance: only UML's is made to be counted. */
#ifdef CONFIG_UML
static void rmem_test_expect_syncs(struct kunit *test, size_t device_bytes, size_t cpu_bytes)
{
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.device_bytes, device_bytes);
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.cpu_bytes, cpu_bytes);
}

static const struct rmem_test_case rmem_test_sync_cases[] = {
	{ "restricted@12000000", "/restricted-noncoherent" },
	{ "cma@10000000", "/cma-noncoherent" },
	{ "carveout@15000000", "/free-noncoherent" },
};

KUNIT_ARRAY_PARAM(rmem_test_sync_cases, rmem_test_sync_cases, rmem_test_case_desc);

/* Every step of a mapping by a device that is not coherent covers the whole buffer once */
static void rmem_test_sync(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, c->heap);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);
	struct rmem_test_import *import;

	rmem_test_syncs_watch(heap);
	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	rmem_test_expect_syncs(test, SZ_1M, 0);

	rmem_test_syncs_watch(heap);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	rmem_test_expect_syncs(test, 0, SZ_1M);
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.last_dir, DMA_FROM_DEVICE);

	rmem_test_syncs_watch(heap);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
	rmem_test_expect_syncs(test, SZ_1M, 0);
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.last_dir, DMA_BIDIRECTIONAL);

	rmem_test_syncs_watch(heap);
	rmem_test_unmap(test, import);
	rmem_test_expect_syncs(test, 0, SZ_1M);
	rmem_test_syncs_watch(NULL);
}

/* Only what is mapped, and only for a device that has something to give or to get */
static void rmem_test_sync_exact(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, c->heap);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_256K);
	struct device *dev = rmem_test_device(test, c->dev);
	struct rmem_test_import *in, *out;

	/* Attached is not mapped. */
	rmem_test_attach(test, dmabuf, dev);
	rmem_test_syncs_watch(heap);
	dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	rmem_test_expect_syncs(test, 0, 0);

	/* The device only reads: nothing of its making is to be read by the CPU. */
	out = rmem_test_map(test, dmabuf, dev, DMA_TO_DEVICE);
	rmem_test_syncs_watch(heap);
	dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE);
	dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE);
	rmem_test_expect_syncs(test, 0, 0);
	dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	rmem_test_expect_syncs(test, SZ_256K, 0);
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.last_dir, DMA_TO_DEVICE);

	/* A second mapping, by a device that writes: only this has data for the CPU. */
	in = rmem_test_map(test, dmabuf, dev, DMA_FROM_DEVICE);
	rmem_test_syncs_watch(heap);
	dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE);
	rmem_test_expect_syncs(test, 0, SZ_256K);

	/* What the CPU wrote must not come out over what the device writes. */
	rmem_test_syncs_watch(heap);
	dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE);
	rmem_test_expect_syncs(test, 2 * SZ_256K, 0);

	/* Unmapped is not mapped any more. */
	kunit_release_action(test, rmem_test_unmap_action, in);
	rmem_test_syncs_watch(heap);
	dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	rmem_test_expect_syncs(test, 0, 0);
	dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	rmem_test_expect_syncs(test, SZ_256K, 0);
	rmem_test_unmap(test, out);
	rmem_test_syncs_watch(NULL);
}

/* Each of the devices that write is synced */
static void rmem_test_sync_writers(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "cma@10000000");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_64K);
	struct device *dev = rmem_test_device(test, "/free-noncoherent");
	unsigned int i;

	for (i = 0; i < 3; i++)
		rmem_test_map(test, dmabuf, dev, i == 1 ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
	rmem_test_syncs_watch(heap);
	dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE);
	rmem_test_expect_syncs(test, 0, 2 * SZ_64K);
	rmem_test_syncs_watch(NULL);
}

/* Memory outside the linear map, and coherent devices, see no cache maintenance at all */
static const struct rmem_test_case rmem_test_no_sync_cases[] = {
	{ "coherent@11000000", "/free-noncoherent" },
	{ "coherent@11000000", "/coherent-pool" },
	{ "device-only@17000000", "/free-noncoherent" },
	{ "restricted@12000000", "/restricted-coherent" },
	{ "carveout@15000000", "/free" },
};

KUNIT_ARRAY_PARAM(rmem_test_no_sync_cases, rmem_test_no_sync_cases, rmem_test_case_desc);

static void rmem_test_no_sync(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, c->heap);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);
	struct rmem_test_import *import;

	rmem_test_syncs_watch(heap);
	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	rmem_test_unmap(test, import);
	rmem_test_expect_syncs(test, 0, 0);
	rmem_test_syncs_watch(NULL);
}

#endif /* CONFIG_UML */

/* What is wrong with a mapping reaches the importer as it is, and costs nothing */
static void rmem_test_map_error(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "cma@10000000");
	struct device *dev = rmem_test_device(test, "/bouncing");
	struct dma_buf *big = rmem_test_alloc(test, heap, SZ_8M);
	struct dma_buf *fits = rmem_test_alloc(test, heap, SZ_2M);
	struct rmem_test_import *import = rmem_test_attach(test, big, dev);

	/* 8 MiB do not fit into the 4 MiB that the device bounces through. */
	import->sgt = dma_buf_map_attachment_unlocked(import->attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(import->sgt), -EIO);
	dma_buf_begin_cpu_access(big, DMA_BIDIRECTIONAL);
	dma_buf_end_cpu_access(big, DMA_BIDIRECTIONAL);

	rmem_test_data(test, rmem_test_map(test, fits, dev, DMA_BIDIRECTIONAL));
}

/* Two importers of one buffer at once are no reason for DMA debugging to speak up */
static void rmem_test_shared(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 SZ_256K);
	struct rmem_test_import *first, *second;

	first = rmem_test_map(test, dmabuf, rmem_test_device(test, "/cma-noncoherent"),
			      DMA_BIDIRECTIONAL);
	second = rmem_test_map(test, dmabuf, rmem_test_device(test, "/free-noncoherent"),
			       DMA_BIDIRECTIONAL);
	rmem_test_dma(first, 9, true);
	KUNIT_EXPECT_EQ(test, rmem_test_dma(second, 9, false), 0);
	rmem_test_unmap(test, first);
	rmem_test_data(test, second);
}

/*
 * A carveout that is not RAM to the kernel: write-combined, with a mapping of its own. This
 * takes one that lies idle.
 */
static void rmem_test_wc_init(struct kunit *test, struct rmem_test_made *made)
{
	const struct reserved_mem *rmem = rmem_test_region(test, "device-only@17000000")->rmem;
	struct rmem_heap *model = rmem_test_heap(test, "plain@16000000");

	rmem_test_make(made, model->region, model->ops, rmem->base, rmem->size);
	made->region.linear = false;
	made->heap.active = 1;
	memset(rmem_test_mem(rmem->base), 0xa5, rmem->size);
	KUNIT_ASSERT_EQ(test, made->heap.ops->init(&made->heap), 0);
	KUNIT_EXPECT_EQ(test, made->heap.memory, RMEM_WC);
}

static void rmem_test_wc_carveout(struct kunit *test)
{
	struct rmem_test_import *import;
	struct rmem_test_made made;
	struct rmem_heap *heap = &made.heap;
	struct dma_buf *dmabuf;

	rmem_test_wc_init(test, &made);
	dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
	KUNIT_EXPECT_NULL(test, memchr_inv(rmem_test_mem(rmem_test_buf(dmabuf)->extent.paddr), 0,
					   SZ_1M));
	import = rmem_test_map(test, dmabuf, rmem_test_device(test, "/free-noncoherent"),
			       DMA_BIDIRECTIONAL);
	rmem_test_is_direct(test, import);
	rmem_test_data(test, import);
	rmem_test_put(test, dmabuf);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), made.rmem.size);
	heap->ops->exit(heap);
}

/* An attachment has one table: a second mapping of it would lose the first */
static void rmem_test_map_twice(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 SZ_64K);
	struct device *dev = rmem_test_device(test, "/bouncing");
	struct rmem_test_import *import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(import->attach, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(sgt), -EBUSY);

	/* After the end of the first there may be another. */
	dma_buf_unmap_attachment_unlocked(import->attach, import->sgt, DMA_BIDIRECTIONAL);
	import->sgt = dma_buf_map_attachment_unlocked(import->attach, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(import->sgt));
	rmem_test_data(test, import);
}

/* The memory stays until the last user is gone, whoever that is */
static void rmem_test_life(struct kunit *test)
{
	static const struct rmem_test_case cases[] = {
		{ "cma@10000000", "/cma-coherent" },
		{ "coherent@11000000", "/coherent-pool" },
		{ "restricted@12000000", "/restricted-coherent" },
		{ "carveout@15000000", "/carveout-user" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rmem_heap *heap = rmem_test_heap(test, cases[i].heap);
		struct device *dev = rmem_test_device(test, cases[i].dev);
		struct dma_buf *dmabuf = rmem_heap_alloc(heap, SZ_1M, O_RDWR);
		struct rmem_test_import *import;

		KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf));
		import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
		/* The importer's own reference; the exporter's user drops his. */
		get_dma_buf(dmabuf);
		dma_buf_put(dmabuf);
		flush_delayed_fput();
		KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap),
				heap->region->rmem->size - SZ_1M);
		rmem_test_data(test, import);
		dma_buf_put(dmabuf);
		flush_delayed_fput();
		KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size);
	}
}

static struct kunit_case rmem_heap_import_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_direct, rmem_test_direct_cases_gen_params),
	KUNIT_CASE(rmem_test_device_only),
	KUNIT_CASE_PARAM(rmem_test_refused, rmem_test_refused_cases_gen_params),
	KUNIT_CASE(rmem_test_reach_in_part),
	KUNIT_CASE(rmem_test_no_mask),
#ifdef CONFIG_DMA_RESTRICTED_POOL
	KUNIT_CASE_PARAM(rmem_test_bounced, rmem_test_bounced_cases_gen_params),
#endif
	KUNIT_CASE(rmem_test_small_segments),
	KUNIT_CASE(rmem_test_boundary),
	KUNIT_CASE(rmem_test_merged),
	KUNIT_CASE(rmem_test_same_pool),
	KUNIT_CASE(rmem_test_copied_bytes),
#ifdef CONFIG_ARCH_HAS_DMA_OPS
	KUNIT_CASE(rmem_test_same_pool_ops),
#endif
#ifdef CONFIG_UML
	KUNIT_CASE_PARAM(rmem_test_sync, rmem_test_sync_cases_gen_params),
	KUNIT_CASE_PARAM(rmem_test_sync_exact, rmem_test_sync_cases_gen_params),
	KUNIT_CASE(rmem_test_sync_writers),
	KUNIT_CASE_PARAM(rmem_test_no_sync, rmem_test_no_sync_cases_gen_params),
#endif
	KUNIT_CASE(rmem_test_map_error),
	KUNIT_CASE(rmem_test_map_twice),
	KUNIT_CASE(rmem_test_shared),
	KUNIT_CASE(rmem_test_wc_carveout),
	KUNIT_CASE(rmem_test_life),
	{ }
};

static struct kunit_suite rmem_heap_import_suite = {
	.name = "rmem_heap_import",
	.test_cases = rmem_heap_import_cases,
};

/*
 * CPU mappings
 */

static const char * const rmem_test_cpu_heaps[] = {
	"cma@10000000", "coherent@11000000", "restricted@12000000", "restricted-odd@13010000",
	"carveout@15000000", "plain@16000000",
};

static void rmem_test_name_desc(const char * const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_cpu_heaps, rmem_test_cpu_heaps, rmem_test_name_desc);

static struct rmem_heap *rmem_test_cpu_heap(struct kunit *test)
{
	return rmem_test_heap(test, *(const char * const *)test->param_value);
}

/* The physical address of a byte of a buffer */
static phys_addr_t rmem_test_paddr(const struct rmem_buffer *buf, size_t pos)
{
	unsigned int i;

	for (i = 0; i < buf->nr && pos >= buf->extents[i].len; i++)
		pos -= buf->extents[i].len;
	return buf->extents[i].paddr + pos;
}

/* The kernel sees the buffer's own memory, in order, and both mappings are one */
static void rmem_test_vmap(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M + PAGE_SIZE);
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	struct iosys_map map, again;
	size_t pos;

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &again), 0);
	KUNIT_EXPECT_PTR_EQ(test, map.vaddr, again.vaddr);

	for (pos = 0; pos < dmabuf->size; pos += PAGE_SIZE) {
		u32 *mem = map.vaddr + pos;

		*mem = pos + 1;
		KUNIT_ASSERT_EQ(test, *(u32 *)rmem_test_mem(rmem_test_paddr(buf, pos)), pos + 1);
	}
	dma_buf_vunmap_unlocked(dmabuf, &again);

	/* Pools outside the linear map have one mapping, of their own type. */
	if (heap->memory == RMEM_WC)
		KUNIT_EXPECT_PTR_EQ(test, map.vaddr, buf->vaddr);
	dma_buf_vunmap_unlocked(dmabuf, &map);
	if (heap->memory == RMEM_WC)
		KUNIT_EXPECT_NOT_NULL(test, buf->vaddr);
	else
		KUNIT_EXPECT_NULL(test, buf->vaddr);
}

static unsigned long rmem_test_mmap(struct dma_buf *dmabuf, size_t len, unsigned long flags,
				    size_t off)
{
	return vm_mmap(dmabuf->file, 0, len, PROT_READ | PROT_WRITE, flags, off);
}

/* A mapping shows the part of the buffer that its offset and size say */
static void rmem_test_mmap_offset(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	static const struct {
		size_t off;
		size_t len;
	} maps[] = {
		{ 0, SZ_1M },
		{ PAGE_SIZE, SZ_1M - PAGE_SIZE },
		{ SZ_256K - PAGE_SIZE, 2 * PAGE_SIZE },
		{ SZ_512K, SZ_256K },
		{ SZ_1M - PAGE_SIZE, PAGE_SIZE },
	};
	unsigned int i;
	size_t pos;
	u32 val;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	for (pos = 0; pos < SZ_1M; pos += PAGE_SIZE)
		*(u32 *)rmem_test_mem(rmem_test_paddr(buf, pos)) = pos + 1;

	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		unsigned long addr = rmem_test_mmap(dmabuf, maps[i].len, MAP_SHARED,
						    maps[i].off);

		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%zx+%zx: %ld", maps[i].off,
				       maps[i].len, (long)addr);
		for (pos = 0; pos < maps[i].len; pos += PAGE_SIZE) {
			u32 __user *mem = (u32 __user *)(addr + pos);
			size_t at = maps[i].off + pos;

			KUNIT_ASSERT_EQ(test, get_user(val, mem), 0);
			KUNIT_ASSERT_EQ(test, val, at + 1);
			KUNIT_ASSERT_EQ(test, put_user(at + 2, mem), 0);
			KUNIT_ASSERT_EQ(test, *(u32 *)rmem_test_mem(rmem_test_paddr(buf, at)),
					at + 2);
			KUNIT_ASSERT_EQ(test, put_user(at + 1, mem), 0);
		}
		KUNIT_EXPECT_EQ(test, vm_munmap(addr, maps[i].len), 0);
	}
}

/* Mappings that would show more than the buffer, or copies of it, are refused */
static void rmem_test_mmap_refused(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_mmap(dmabuf, SZ_1M + PAGE_SIZE, MAP_SHARED, 0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, rmem_test_mmap(dmabuf, SZ_1M, MAP_SHARED, PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, rmem_test_mmap(dmabuf, PAGE_SIZE, MAP_SHARED, SZ_1M), -EINVAL);
	KUNIT_EXPECT_EQ(test, rmem_test_mmap(dmabuf, PAGE_SIZE, MAP_SHARED, SZ_1G), -EINVAL);
	KUNIT_EXPECT_EQ(test, rmem_test_mmap(dmabuf, PAGE_SIZE, MAP_PRIVATE, 0), -EINVAL);
}

/**
 * struct rmem_test_ptes - entries of a mapping
 * @present: how many there are
 * @young: how many an access leaves as they are
 * @dirty: how many a write leaves as they are
 */
struct rmem_test_ptes {
	unsigned int present;
	unsigned int young;
	unsigned int dirty;
};

static int rmem_test_count_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct rmem_test_ptes *ptes = data;
	pte_t pte = ptep_get(ptep);

	ptes->present += pte_present(pte);
	ptes->young += pte_present(pte) && pte_young(pte);
	ptes->dirty += pte_present(pte) && pte_young(pte) && pte_dirty(pte) && pte_write(pte);
	return 0;
}

static struct rmem_test_ptes rmem_test_count_ptes(unsigned long addr, size_t len)
{
	struct rmem_test_ptes ptes = { };

	mmap_write_lock(current->mm);
	apply_to_existing_page_range(current->mm, addr, len, rmem_test_count_pte, &ptes);
	mmap_write_unlock(current->mm);
	return ptes;
}

/* The first access of a page takes no fault, and neither does the first write */
static void rmem_test_mmap_populated(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct rmem_test_ptes ptes;
	unsigned long addr;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	addr = rmem_test_mmap(dmabuf, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	ptes = rmem_test_count_ptes(addr, SZ_1M);
	KUNIT_EXPECT_EQ(test, ptes.dirty, SZ_1M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);

	addr = vm_mmap(dmabuf->file, 0, SZ_1M, PROT_READ, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	ptes = rmem_test_count_ptes(addr, SZ_1M);
	KUNIT_EXPECT_EQ(test, ptes.young, SZ_1M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, ptes.dirty, 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);
}

/* Where large entries are not larger than the alignment of buffers */
#if defined(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && PMD_SHIFT <= 21
#define RMEM_TEST_LARGE
#endif

#ifdef RMEM_TEST_LARGE
/* That is true of large entries, too: a mapping of their size is one, and it is young */
static void rmem_test_mmap_large(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "plain@16000000"),
						 PMD_SIZE);
	static const unsigned long prots[] = { PROT_READ, PROT_READ | PROT_WRITE };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		unsigned long addr = vm_mmap(dmabuf->file, 0, PMD_SIZE, prots[i], MAP_SHARED, 0);
		pmd_t pmd;

		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
		mmap_read_lock(current->mm);
		pmd = pmdp_get(pmd_off(current->mm, addr));
		mmap_read_unlock(current->mm);
		KUNIT_EXPECT_TRUE(test, pmd_leaf(pmd));
		KUNIT_EXPECT_TRUE(test, pmd_young(pmd));
		KUNIT_EXPECT_EQ(test, !!pmd_write(pmd), i);
		KUNIT_EXPECT_EQ(test, vm_munmap(addr, PMD_SIZE), 0);
	}
}
#endif

/* Drops the entries of a mapping, as the core may do at any time */
static void rmem_test_zap(struct kunit *test, unsigned long addr, size_t len)
{
	mmap_read_lock(current->mm);
	zap_special_vma_range(vma_lookup(current->mm, addr), addr, len);
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(test, rmem_test_count_ptes(addr, len).present, 0);
}

/* What a mapping shows from @off on after its entries were dropped, which takes faults */
static void rmem_test_expect_faulted(struct kunit *test, struct dma_buf *dmabuf,
				     unsigned long addr, size_t len, size_t off)
{
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);
	size_t pos;
	u32 val;

	for (pos = 0; pos < len; pos += PAGE_SIZE)
		*(u32 *)rmem_test_mem(rmem_test_paddr(buf, off + pos)) = off + pos + 1;
	rmem_test_zap(test, addr, len);
	for (pos = 0; pos < len; pos += PAGE_SIZE) {
		KUNIT_ASSERT_EQ(test, get_user(val, (u32 __user *)(addr + pos)), 0);
		KUNIT_ASSERT_EQ(test, val, off + pos + 1);
	}

	rmem_test_zap(test, addr, len);
	for (pos = 0; pos < len; pos += PAGE_SIZE) {
		KUNIT_ASSERT_EQ(test, put_user(pos + 2, (u32 __user *)(addr + pos)), 0);
		KUNIT_ASSERT_EQ(test, *(u32 *)rmem_test_mem(rmem_test_paddr(buf, off + pos)),
				pos + 2);
	}
}

/* Faults put back what is missing of a mapping: of one chunk, of a chain, at an offset */
static void rmem_test_mmap_faults(struct kunit *test)
{
	const size_t lens[] = { 4 * PAGE_SIZE, SZ_1M };
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	unsigned int i;
	size_t off;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct dma_buf *dmabuf = rmem_test_alloc(test, heap, lens[i]);

		for (off = 0; off <= PAGE_SIZE; off += PAGE_SIZE) {
			unsigned long addr = rmem_test_mmap(dmabuf, lens[i] - off, MAP_SHARED,
							    off);

			KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
			rmem_test_expect_faulted(test, dmabuf, addr, lens[i] - off, off);
			KUNIT_EXPECT_EQ(test, vm_munmap(addr, lens[i] - off), 0);
		}
	}
}

static unsigned int rmem_test_closed;

static void rmem_test_vm_close(struct vm_area_struct *vma)
{
	rmem_test_closed++;
}

static const struct vm_operations_struct rmem_test_importer_vm_ops = {
	.close = rmem_test_vm_close,
};

/*
 * As drm_gem_mmap() does for an object of etnaviv that is imported. The close callback of such an
 * importer drops a reference, which the importer has dropped after dma_buf_mmap().
 */
static int rmem_test_importer_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file;
	vma->vm_ops = &rmem_test_importer_vm_ops;
	return dma_buf_mmap(file->private_data, vma, 0);
}

static const struct file_operations rmem_test_importer_fops = {
	.mmap = rmem_test_importer_mmap,
};

/* A mapping that an importer passes on is the exporter's: it has no callbacks of the importer */
static void rmem_test_mmap_importer(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	struct file *file = anon_inode_getfile("rmem_test", &rmem_test_importer_fops, dmabuf,
					       O_RDWR);
	unsigned long addr, again;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	/* The offset says which object, and not where in the buffer. */
	addr = vm_mmap(file, 0, SZ_1M, PROT_READ | PROT_WRITE, MAP_SHARED, SZ_1G);
	again = vm_mmap(file, 0, SZ_1M, PROT_READ | PROT_WRITE, MAP_SHARED, SZ_1G);
	fput(file);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr) || IS_ERR_VALUE(again));

	rmem_test_closed = 0;
	KUNIT_EXPECT_EQ(test, vm_munmap(again, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_closed, 0);
	rmem_test_expect_faulted(test, dmabuf, addr, SZ_1M, 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);
}

/* A debugger's access to the memory of this task; returns how many bytes it has reached */
static int rmem_test_debug(unsigned long addr, void *data, int len, bool write)
{
	return access_remote_vm(current->mm, addr, data, len,
				FOLL_FORCE | (write ? FOLL_WRITE : 0));
}

/* A debugger reads and writes from @pos of a buffer on, in a mapping that begins at a page */
static void rmem_test_debug_at(struct kunit *test, struct dma_buf *dmabuf, size_t pos)
{
	size_t len = 2 * PAGE_SIZE + 300, i, bad = 0;
	u8 *data = kunit_kmalloc(test, len, GFP_KERNEL);
	unsigned long addr = rmem_test_mmap(dmabuf, dmabuf->size - PAGE_SIZE, MAP_SHARED,
					    PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	rmem_test_cpu(test, dmabuf, 3, true);
	KUNIT_EXPECT_EQ(test, rmem_test_debug(addr + pos - PAGE_SIZE, data, len, false), len);
	for (i = 0; i < len; i++) {
		bad += data[i] != rmem_test_pattern(3, pos + i);
		data[i] = rmem_test_pattern(5, pos + i);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);

	KUNIT_EXPECT_EQ(test, rmem_test_debug(addr + pos - PAGE_SIZE, data, len, true), len);
	KUNIT_EXPECT_EQ(test, rmem_test_own_bytes(dmabuf, 5), len);
	KUNIT_EXPECT_EQ(test, rmem_test_own_bytes(dmabuf, 3), dmabuf->size - len);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, dmabuf->size - PAGE_SIZE), 0);
}

/* Debuggers read and write what is mapped, also across chunks, but not what is read-only */
static void rmem_test_mmap_debugger(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	unsigned long addr;
	u32 val = 0;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	rmem_test_debug_at(test, dmabuf, PAGE_SIZE);
	rmem_test_debug_at(test, dmabuf, SZ_256K - PAGE_SIZE - 100);
	rmem_test_debug_at(test, dmabuf, SZ_1M - 2 * PAGE_SIZE - 300);

	addr = vm_mmap(dmabuf->file, 0, SZ_1M, PROT_READ, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	*(u32 *)rmem_test_mem(rmem_test_paddr(rmem_test_buf(dmabuf), 0)) = 42;
	KUNIT_EXPECT_EQ(test, rmem_test_debug(addr, &val, sizeof(val), false), sizeof(val));
	KUNIT_EXPECT_EQ(test, val, 42);
	val = 43;
	KUNIT_EXPECT_LE(test, rmem_test_debug(addr, &val, sizeof(val), true), 0);
	KUNIT_EXPECT_EQ(test, *(u32 *)rmem_test_mem(rmem_test_paddr(rmem_test_buf(dmabuf), 0)),
			42);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);
}

/* Write-combined memory is accessed in the mapping of its pool, which has the right type */
static void rmem_test_mmap_debugger_wc(struct kunit *test)
{
	u8 *other = kunit_kmalloc(test, SZ_1M, GFP_KERNEL), val = 0;
	struct rmem_test_made made;
	struct rmem_buffer *buf;
	struct dma_buf *dmabuf;
	unsigned long addr;
	void *vaddr;

	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	rmem_test_wc_init(test, &made);
	dmabuf = rmem_test_alloc(test, &made.heap, SZ_1M);
	rmem_test_debug_at(test, dmabuf, PAGE_SIZE + 100);

	addr = rmem_test_mmap(dmabuf, PAGE_SIZE, MAP_SHARED, SZ_512K);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(addr));
	buf = rmem_test_buf(dmabuf);
	vaddr = buf->vaddr;
	buf->vaddr = other;
	other[SZ_512K] = 42;
	KUNIT_EXPECT_EQ(test, rmem_test_debug(addr, &val, 1, false), 1);
	KUNIT_EXPECT_EQ(test, val, 42);
	val = 43;
	KUNIT_EXPECT_EQ(test, rmem_test_debug(addr, &val, 1, true), 1);
	KUNIT_EXPECT_EQ(test, other[SZ_512K], 43);
	buf->vaddr = vaddr;
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, PAGE_SIZE), 0);

	rmem_test_put(test, dmabuf);
	made.heap.ops->exit(&made.heap);
}

/*
 * Nobody pins the pages of a mapping, makes it larger, or finds it in a core dump; and nothing is
 * behind its end
 */
static void rmem_test_mmap_flags(struct kunit *test)
{
	const unsigned long want = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_cpu_heap(test), SZ_1M);
	unsigned int behind = 0;
	unsigned long addr;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	/* An address with room for all of the buffer */
	addr = rmem_test_mmap(dmabuf, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);
	KUNIT_ASSERT_EQ(test, addr, vm_mmap(dmabuf->file, addr, SZ_256K, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_FIXED, 0));
	mmap_write_lock(current->mm);
	KUNIT_EXPECT_EQ(test, find_vma(current->mm, addr)->vm_flags & want, want);
	apply_to_existing_page_range(current->mm, addr + SZ_256K, SZ_1M - SZ_256K,
				     rmem_test_count_pte, &behind);
	mmap_write_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, behind, 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_256K), 0);
}

/* A mapping keeps the buffer alive after its last reference by name is gone */
static void rmem_test_mmap_life(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_cpu_heap(test);
	struct dma_buf *dmabuf = rmem_heap_alloc(heap, SZ_1M, O_RDWR);
	unsigned long addr;
	u32 val = 0;

	KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf));
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	addr = rmem_test_mmap(dmabuf, SZ_1M, MAP_SHARED, 0);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	KUNIT_EXPECT_EQ(test, put_user(42, (u32 __user *)addr), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size - SZ_1M);
	KUNIT_EXPECT_EQ(test, get_user(val, (u32 __user *)addr), 0);
	KUNIT_EXPECT_EQ(test, val, 42);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_1M), 0);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size);
}

static struct kunit_case rmem_heap_cpu_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_vmap, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_offset, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_refused, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_populated, rmem_test_cpu_heaps_gen_params),
#ifdef RMEM_TEST_LARGE
	KUNIT_CASE(rmem_test_mmap_large),
#endif
	KUNIT_CASE_PARAM(rmem_test_mmap_faults, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_importer, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_debugger, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE(rmem_test_mmap_debugger_wc),
	KUNIT_CASE_PARAM(rmem_test_mmap_flags, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_mmap_life, rmem_test_cpu_heaps_gen_params),
	{ }
};

static struct kunit_suite rmem_heap_cpu_suite = {
	.name = "rmem_heap_cpu",
	.test_cases = rmem_heap_cpu_cases,
};

kunit_test_suites(&rmem_heap_import_suite, &rmem_heap_cpu_suite);

#ifdef CONFIG_FAULT_INJECTION
/* Attaches and maps with a failure on the way; returns what came of it */
static int rmem_test_failing_import(struct dma_buf *dmabuf, struct device *dev,
				    unsigned int nth, bool *injected)
{
	struct dma_buf_attachment *attach;
	struct sg_table *sgt = NULL;

	current->fail_nth = nth;
	attach = dma_buf_attach(dmabuf, dev);
	if (!IS_ERR(attach))
		sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	*injected = !current->fail_nth;
	current->fail_nth = 0;

	if (IS_ERR(attach))
		return PTR_ERR(attach);
	if (!IS_ERR(sgt))
		dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attach);
	return PTR_ERR_OR_ZERO(sgt);
}

/* Whichever allocation of attach and map fails: an error, and nothing is lost */
static void rmem_test_failing_map(struct kunit *test)
{
	const struct rmem_test_case *c = test->param_value;
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, c->heap), SZ_1M);
	struct device *dev = rmem_test_device(test, c->dev);
	unsigned int round, nth, failed = 0;
	bool injected;
	int ret;

	for (round = 0; round < 5; round++) {
		for (nth = 1, injected = true; injected && nth < 100; nth++) {
			ret = rmem_test_failing_import(dmabuf, dev, nth, &injected);
			failed += !!ret;
			if (ret)
				KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
	}
	KUNIT_EXPECT_GE(test, failed, 5);
	rmem_test_data(test, rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL));
}

/* The core WARNs when .vmap fails, so that this calls it itself */
static void rmem_test_failing_vmap(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "restricted@12000000"),
						 SZ_1M);
	unsigned int round, nth, failed = 0;
	struct iosys_map map;
	bool injected;
	int ret;

	dma_resv_lock(dmabuf->resv, NULL);
	for (round = 0; round < 5; round++) {
		for (nth = 1, injected = true; injected && nth < 100; nth++) {
			current->fail_nth = nth;
			ret = dmabuf->ops->vmap(dmabuf, &map);
			injected = !current->fail_nth;
			current->fail_nth = 0;

			failed += !!ret;
			if (ret)
				KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
			else
				dmabuf->ops->vunmap(dmabuf, &map);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
	}
	dma_resv_unlock(dmabuf->resv);
	KUNIT_EXPECT_GE(test, failed, 5);
}

static struct kunit_case rmem_failing_map_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_failing_map, rmem_test_direct_cases_gen_params),
	KUNIT_CASE(rmem_test_failing_vmap),
	{ }
};

static struct kunit_suite rmem_failing_map_suite = {
	.name = "rmem_failing_map",
	.init = rmem_test_needs_injection,
	.test_cases = rmem_failing_map_cases,
};

kunit_test_suite(rmem_failing_map_suite);
#endif
