// SPDX-License-Identifier: GPL-2.0
/*
 * How the exporter cuts a buffer into segments for an importer, and who may write to a
 * buffer. On the regions and devices of rmem_heap_test.dts.
 */

#include <drm/drm_prime.h>
#include <linux/completion.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>

#include "rmem_heap_test.h"

/* Gives the bus of a device two dma-ranges, of which one ends at an address */
static void rmem_test_set_ranges(struct device *dev, u64 end)
{
	static struct bus_dma_region ranges[3];

	ranges[0] = (struct bus_dma_region) { .dma_start = SZ_1G, .size = end };
	ranges[1] = (struct bus_dma_region) {
		.cpu_start = end, .dma_start = SZ_1G + SZ_16M + end, .size = SZ_2G,
	};
	dev->dma_range_map = ranges;
}

#ifdef CONFIG_DMA_RESTRICTED_POOL
/* The extents of a buffer, and the pages of other buffers between them */
#define RMEM_TEST_APART	16

static const char * const rmem_test_apart_devs[] = {
	"/free", "/free-noncoherent", "/odd-coherent", "/bouncing",
};

static void rmem_test_dev_desc(const char * const *dev, char *desc)
{
	strscpy(desc, *dev + 1, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_apart_devs, rmem_test_apart_devs, rmem_test_dev_desc);

/*
 * Extents that do not touch stay segments of their own, even for an importer that takes
 * segments of any length: the pages between the extents belong to other buffers.
 */
static void rmem_test_apart(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, *(const char * const *)test->param_value);
	struct rmem_heap *heap = rmem_test_heap(test, "restricted-odd@13010000");
	unsigned int i, n = heap->region->rmem->size >> PAGE_SHIFT;
	size_t max = dma_get_max_seg_size(dev);
	struct rmem_test_import *import;
	struct dma_buf **bufs, *dmabuf;
	const struct rmem_buffer *buf;

	bufs = kunit_kcalloc(test, n, sizeof(*bufs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bufs);
	for (i = 0; i < n; i++) {
		bufs[i] = rmem_test_alloc(test, heap, PAGE_SIZE);
		memset(rmem_test_mem(rmem_test_buf(bufs[i])->extents[0].paddr), 0xa5, PAGE_SIZE);
	}
	for (i = 0; i < n; i++) {
		if (rmem_test_buf(bufs[i])->extents[0].paddr & PAGE_SIZE) {
			rmem_test_put(test, bufs[i]);
			bufs[i] = NULL;
		}
	}
	dmabuf = rmem_test_alloc(test, heap, RMEM_TEST_APART * PAGE_SIZE);
	buf = rmem_test_buf(dmabuf);
	KUNIT_ASSERT_EQ(test, buf->nr, RMEM_TEST_APART);

	dma_set_max_seg_size(dev, UINT_MAX);
	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, import->sgt->nents, RMEM_TEST_APART);
	if (!is_swiotlb_force_bounce(dev) || dev->dma_io_tlb_mem == heap->region->rmem->priv)
		rmem_test_is_direct(test, import);
	rmem_test_data(test, import);
	dma_set_max_seg_size(dev, max);

	for (i = 0; i < n; i++)
		if (bufs[i])
			KUNIT_ASSERT_NULL(test, memchr_inv(rmem_test_mem(rmem_test_buf(bufs[i])
					  ->extents[0].paddr), 0xa5, PAGE_SIZE));
}

/*
 * A segment is never longer than swiotlb bounces in one piece, even for an importer that
 * takes longer ones: otherwise the mapping fails.
 */
static void rmem_test_longest_bounced(struct kunit *test)
{
	static const char * const heaps[] = {
		"cma@10000000", "carveout@15000000", "restricted@12000000",
	};
	struct device *dev = rmem_test_device(test, "/bouncing");
	size_t max = dma_get_max_seg_size(dev);
	struct rmem_test_import *import;
	struct dma_buf *dmabuf;
	unsigned int i;

	dma_set_max_seg_size(dev, UINT_MAX);
	KUNIT_ASSERT_LT(test, dma_max_mapping_size(dev), SZ_1M);
	for (i = 0; i < ARRAY_SIZE(heaps); i++) {
		dmabuf = rmem_test_alloc(test, rmem_test_heap(test, heaps[i]), SZ_1M);
		import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
		rmem_test_data(test, import);
		rmem_test_put(test, dmabuf);
	}
	dma_set_max_seg_size(dev, max);
}

/* What the device writes to the last page is seen by an access of the CPU */
static void rmem_test_bounced_data(struct kunit *test, struct rmem_test_import *import)
{
	struct rmem_buffer *buf = rmem_test_buf(import->dmabuf);
	struct scatterlist *last = sg_last(import->sgt->sgl, import->sgt->nents);
	u8 *device = rmem_test_mem(dma_to_phys(import->attach->dev, sg_dma_address(last)));
	u8 *memory = rmem_test_mem(buf->extent.paddr + buf->len - sg_dma_len(last));

	KUNIT_EXPECT_PTR_NE(test, device, memory);
	*device = 0x5a;
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(import->dmabuf, DMA_FROM_DEVICE), 0);
	KUNIT_EXPECT_EQ(test, *memory, 0x5a);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(import->dmabuf, DMA_FROM_DEVICE), 0);
}

/* The end of a buffer that bounces is synced, though its start does not bounce */
static void rmem_test_bounced_in_part(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "carveout@15000000"),
						 SZ_1M);
	phys_addr_t base = rmem_test_buf(dmabuf)->extent.paddr;
	struct device *dev = rmem_test_device(test, "/bouncing");
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	u64 limit = dev->bus_dma_limit;
	struct rmem_test_import *import;

	KUNIT_ASSERT_LT(test, mem->defpool.end, base);
	import = rmem_test_attach(test, dmabuf, dev);
	import->dir = DMA_BIDIRECTIONAL;
	mem->force_bounce = false;
	dev->bus_dma_limit = base + SZ_512K - 1;
	import->sgt = dma_buf_map_attachment_unlocked(import->attach, import->dir);
	dev->bus_dma_limit = limit;
	mem->force_bounce = true;
	KUNIT_ASSERT_FALSE(test, IS_ERR(import->sgt));

	KUNIT_EXPECT_EQ(test, dma_to_phys(dev, sg_dma_address(import->sgt->sgl)), base);
	rmem_test_bounced_data(test, import);
	dma_buf_unmap_attachment_unlocked(import->attach, import->sgt, import->dir);
}

/* A device that reaches only a part of its bounce pool is refused: its slots may lie beyond */
static void rmem_test_pool_in_part(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 SZ_64K);
	struct device *dev = rmem_test_device(test, "/bouncing");
	const struct io_tlb_pool *pool = &dev->dma_io_tlb_mem->defpool;
	u64 limit = dev->bus_dma_limit;
	int all, part, page, none;

	dev->bus_dma_limit = pool->end - 1;
	all = rmem_test_attach_error(dmabuf, dev);
	dev->bus_dma_limit = pool->end - PAGE_SIZE - 1;
	page = rmem_test_attach_error(dmabuf, dev);
	dev->bus_dma_limit = pool->start + SZ_1M - 1;
	part = rmem_test_attach_error(dmabuf, dev);
	dev->bus_dma_limit = pool->start - 1;
	none = rmem_test_attach_error(dmabuf, dev);
	dev->bus_dma_limit = limit;

	KUNIT_EXPECT_EQ(test, all, 0);
	KUNIT_EXPECT_EQ(test, page, -EBUSY);
	KUNIT_EXPECT_EQ(test, part, -EBUSY);
	KUNIT_EXPECT_EQ(test, none, -EBUSY);
}

/* A device whose bounce pool lies in two of the dma-ranges of its bus is refused */
static void rmem_test_pool_in_two_ranges(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 SZ_64K);
	struct device *dev = rmem_test_device(test, "/bouncing");
	const struct io_tlb_pool *pool = &dev->dma_io_tlb_mem->defpool;
	int before, behind, inside;

	rmem_test_set_ranges(dev, pool->start);
	before = rmem_test_attach_error(dmabuf, dev);
	rmem_test_set_ranges(dev, pool->end);
	behind = rmem_test_attach_error(dmabuf, dev);
	rmem_test_set_ranges(dev, pool->start + SZ_1M);
	inside = rmem_test_attach_error(dmabuf, dev);
	dev->dma_range_map = NULL;

	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, behind, 0);
	KUNIT_EXPECT_EQ(test, inside, -EBUSY);
}

/*
 * Memory that lies in two dma-ranges is refused for a device that can bounce, too: the DMA API
 * does not bounce what the device reaches.
 */
static void rmem_test_reached_is_not_bounced(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 SZ_64K);
	struct io_tlb_mem mem = *rmem_test_device(test, "/bouncing")->dma_io_tlb_mem;
	struct device *dev = rmem_test_device(test, "/free");
	struct io_tlb_mem *own = dev->dma_io_tlb_mem;
	int ret;

	mem.force_bounce = false;
	dev->dma_io_tlb_mem = &mem;
	rmem_test_set_ranges(dev, rmem_test_buf(dmabuf)->extents[0].paddr + SZ_4K);
	ret = rmem_test_attach_error(dmabuf, dev);
	dev->dma_range_map = NULL;
	dev->dma_io_tlb_mem = own;
	KUNIT_EXPECT_EQ(test, ret, -EBUSY);
}
#endif

/*
 * DMA debugging counts seven mappings of a cache line and warns about the next one, unless
 * the exporter says that importers share cache lines on purpose.
 */
static void rmem_test_many_importers(struct kunit *test)
{
	struct dma_buf *dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"),
						 PAGE_SIZE);
	struct device *dev = rmem_test_device(test, "/free-noncoherent");
	struct rmem_test_import *import = NULL;
	unsigned int i;

	for (i = 0; i < 12; i++)
		import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	rmem_test_data(test, import);
}

/**
 * struct rmem_test_access - a CPU access by another task
 * @dmabuf: the buffer
 * @begin: the access begins, else it ends
 * @runs: the task has been started
 * @done: the call has returned
 */
struct rmem_test_access {
	struct dma_buf *dmabuf;
	bool begin;
	struct completion runs;
	struct completion done;
};

static int rmem_test_access_thread(void *data)
{
	struct rmem_test_access *a = data;
	int ret;

	complete(&a->runs);
	ret = a->begin ? dma_buf_begin_cpu_access(a->dmabuf, DMA_BIDIRECTIONAL) :
			 dma_buf_end_cpu_access(a->dmabuf, DMA_BIDIRECTIONAL);
	complete(&a->done);
	return ret;
}

/* A CPU access waits for the lock of the buffer: an importer may be attaching just now */
static void rmem_test_access_waits(struct kunit *test)
{
	struct rmem_test_access a = {
		.dmabuf = rmem_test_alloc(test, rmem_test_heap(test, "cma@10000000"), SZ_64K),
	};
	struct task_struct *thread;
	unsigned int i;
	bool early;

	for (i = 0; i < 2; i++) {
		a.begin = !i;
		init_completion(&a.runs);
		init_completion(&a.done);
		thread = kthread_create(rmem_test_access_thread, &a, "rmem_test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
		get_task_struct(thread);

		dma_resv_lock(a.dmabuf->resv, NULL);
		wake_up_process(thread);
		wait_for_completion(&a.runs);
		early = wait_for_completion_timeout(&a.done, HZ / 10);
		dma_resv_unlock(a.dmabuf->resv);

		KUNIT_EXPECT_FALSE(test, early);
		KUNIT_EXPECT_EQ(test, kthread_stop_put(thread), 0);
	}
}

static const char * const rmem_test_cpu_heaps[] = {
	"cma@10000000", "coherent@11000000", "restricted@12000000", "carveout@15000000",
};

static void rmem_test_heap_desc(const char * const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_cpu_heaps, rmem_test_cpu_heaps, rmem_test_heap_desc);

static int rmem_test_count_writable(pte_t *ptep, unsigned long addr, void *data)
{
	*(unsigned int *)data += pte_write(ptep_get(ptep));
	return 0;
}

/* A buffer that was allocated O_RDONLY can be mapped for reading, and never for writing */
static void rmem_test_read_only(struct kunit *test)
{
	const char *name = *(const char * const *)test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, name);
	unsigned int writable = 0;
	struct vm_area_struct *vma;
	struct dma_buf *dmabuf;
	unsigned long addr;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	dmabuf = rmem_heap_alloc(heap, SZ_64K, O_RDONLY);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf));
	KUNIT_EXPECT_EQ(test, vm_mmap(dmabuf->file, 0, SZ_64K, PROT_READ | PROT_WRITE,
				      MAP_SHARED, 0), -EACCES);
	addr = vm_mmap(dmabuf->file, 0, SZ_64K, PROT_READ, MAP_SHARED, 0);
	/* The mapping has the buffer from here on. */
	dma_buf_put(dmabuf);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	/* This is what mprotect() looks at. */
	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, addr);
	KUNIT_EXPECT_FALSE(test, vma->vm_flags & (VM_WRITE | VM_MAYWRITE));
	apply_to_existing_page_range(current->mm, addr, SZ_64K, rmem_test_count_writable,
				     &writable);
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, writable, 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, SZ_64K), 0);
}

/* The kernel's mapping of a buffer is gone from its page tables after the last vunmap */
static void rmem_test_vmap_undone(struct kunit *test)
{
	const char *name = *(const char * const *)test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, name);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M + PAGE_SIZE);
	struct iosys_map map;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
		dma_buf_vunmap_unlocked(dmabuf, &map);
		/* A pool outside the linear map keeps the mapping that it was made with. */
		if (heap->memory == RMEM_LINEAR && is_vmalloc_addr(map.vaddr))
			KUNIT_EXPECT_NULL(test, find_vm_area(map.vaddr));
	}
}

static const char * const rmem_test_range_heaps[] = {
	"cma@10000000", "coherent@11000000", "restricted@12000000", "carveout@15000000",
	"device-only@17000000",
};

static void rmem_test_range_heap_desc(const char * const *heap, char *desc)
{
	strscpy(desc, *heap, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_range_heaps, rmem_test_range_heaps, rmem_test_range_heap_desc);

/* Attaches a buffer to a device whose bus has one of two dma-ranges end at an address */
static int rmem_test_attach_ranges(struct kunit *test, struct dma_buf *dmabuf,
				   struct device *dev, u64 end)
{
	struct rmem_test_import *import;
	struct scatterlist *sg;
	int i, ret;

	rmem_test_set_ranges(dev, end);
	ret = rmem_test_attach_error(dmabuf, dev);
	if (!ret) {
		phys_addr_t paddr = rmem_test_buf(dmabuf)->extents[0].paddr;

		import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
		for_each_sgtable_dma_sg(import->sgt, sg, i) {
			u64 offset = paddr < end ? SZ_1G : SZ_1G + SZ_16M;

			KUNIT_EXPECT_EQ(test, sg_dma_address(sg), paddr + offset);
			KUNIT_EXPECT_TRUE(test, paddr >= end || paddr + sg_dma_len(sg) <= end);
			paddr += sg_dma_len(sg);
		}
		rmem_test_unmap(test, import);
	}
	dev->dma_range_map = NULL;
	return ret;
}

/* A device never gets an address that is wrong beyond the end of one of its bus's dma-ranges */
static void rmem_test_two_ranges(struct kunit *test)
{
	const char * const *name = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, *name);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_128K);
	struct device *dev = rmem_test_device(test, "/free");
	u64 paddr = rmem_test_buf(dmabuf)->extents[0].paddr;

	KUNIT_EXPECT_EQ(test, rmem_test_attach_ranges(test, dmabuf, dev, paddr), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_attach_ranges(test, dmabuf, dev, paddr + SZ_128K), 0);
	KUNIT_EXPECT_EQ(test, rmem_test_attach_ranges(test, dmabuf, dev, paddr + SZ_4K),
			-EBUSY);
	/* Where a segment ends: only memory that is mapped as a whole crosses the ranges. */
	KUNIT_EXPECT_EQ(test, rmem_test_attach_ranges(test, dmabuf, dev, paddr + SZ_64K),
			heap->memory == RMEM_LINEAR ? 0 : -EBUSY);
}

/*
 * Importers that need addresses get all of the buffer from every heap, also where they ask for one
 * block; importers that need pages get all pages or none.
 */
static void rmem_test_pages_or_none(struct kunit *test)
{
	const char * const *name = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, *name);
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_128K);
	struct device *dev = rmem_test_device(test, "/free");
	bool pages = heap->memory == RMEM_LINEAR;
	struct rmem_test_import *import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	dma_addr_t next = sg_dma_address(import->sgt->sgl);
	struct sg_page_iter iter;
	struct scatterlist *sg;
	size_t n = 0;
	int i;

	for_each_sgtable_dma_sg(import->sgt, sg, i)
		if (sg_dma_address(sg) == next)
			next += sg_dma_len(sg);
	KUNIT_EXPECT_EQ(test, next - sg_dma_address(import->sgt->sgl), SZ_128K);

	/* The core hides the pages of every buffer. */
	if (IS_ENABLED(CONFIG_DMABUF_DEBUG))
		return;
	for_each_sgtable_page(import->sgt, &iter, 0)
		n++;
	KUNIT_EXPECT_EQ(test, n, pages ? SZ_128K / PAGE_SIZE : 0);

#ifdef CONFIG_DRM
	struct page **array = kunit_kcalloc(test, SZ_128K / PAGE_SIZE, sizeof(*array), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, array);
	KUNIT_EXPECT_EQ(test, pages ? 0 : -EINVAL,
			drm_prime_sg_to_page_array(import->sgt, array, SZ_128K / PAGE_SIZE));
#endif
}

static struct kunit_case rmem_heap_segments_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_pages_or_none, rmem_test_range_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_two_ranges, rmem_test_range_heaps_gen_params),
#ifdef CONFIG_DMA_RESTRICTED_POOL
	KUNIT_CASE_PARAM(rmem_test_apart, rmem_test_apart_devs_gen_params),
	KUNIT_CASE(rmem_test_longest_bounced),
	KUNIT_CASE(rmem_test_bounced_in_part),
	KUNIT_CASE(rmem_test_pool_in_part),
	KUNIT_CASE(rmem_test_pool_in_two_ranges),
	KUNIT_CASE(rmem_test_reached_is_not_bounced),
#endif
	KUNIT_CASE(rmem_test_many_importers),
	KUNIT_CASE(rmem_test_access_waits),
	KUNIT_CASE_PARAM(rmem_test_read_only, rmem_test_cpu_heaps_gen_params),
	KUNIT_CASE_PARAM(rmem_test_vmap_undone, rmem_test_cpu_heaps_gen_params),
	{ }
};

static struct kunit_suite rmem_heap_segments_suite = {
	.name = "rmem_heap_segments",
	.test_cases = rmem_heap_segments_cases,
};

kunit_test_suite(rmem_heap_segments_suite);
