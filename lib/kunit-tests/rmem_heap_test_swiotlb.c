// SPDX-License-Identifier: GPL-2.0
/*
 * What the DMA API does with memory of a restricted pool that is mapped for a device of the
 * same pool. No heap takes part: dma_alloc_pages() gives the memory. On the devices of
 * rmem_heap_test.dts; the CPU plays the device, at the physical address behind the DMA address.
 */

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include "rmem_heap_test.h"

#define OWNER	"/restricted-coherent"

/**
 * struct rmem_test_slots - memory that a device allocated from its pool
 * @dev: the device
 * @page: first page of the memory
 * @addr: its DMA address
 * @len: bytes
 */
struct rmem_test_slots {
	struct device *dev;
	struct page *page;
	dma_addr_t addr;
	size_t len;
};

static void rmem_test_slots_free(void *data)
{
	struct rmem_test_slots *mem = data;

	dma_free_pages(mem->dev, mem->len, mem->page, mem->addr, DMA_BIDIRECTIONAL);
}

/* dma_alloc_pages(), freed when the test ends at the latest; NULL if the pool is full */
static struct rmem_test_slots *rmem_test_slots_try(struct kunit *test, struct device *dev,
						   size_t len)
{
	struct rmem_test_slots *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	mem->dev = dev;
	mem->len = len;
	mem->page = dma_alloc_pages(dev, len, &mem->addr, DMA_BIDIRECTIONAL,
				    GFP_KERNEL | __GFP_NOWARN);
	if (!mem->page)
		return NULL;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_slots_free, mem));
	return mem;
}

static struct rmem_test_slots *rmem_test_slots_alloc(struct kunit *test, struct device *dev,
						     size_t len)
{
	struct rmem_test_slots *mem = rmem_test_slots_try(test, dev, len);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	return mem;
}

static u8 *rmem_test_behind(struct device *dev, dma_addr_t addr)
{
	return phys_to_virt(dma_to_phys(dev, addr));
}

/* Devices that are not coherent get cache maintenance, which only UML's counts. */
static void rmem_test_maintained(struct kunit *test, struct device *dev, size_t for_device,
				 size_t for_cpu)
{
	if (!IS_ENABLED(CONFIG_UML))
		return;
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.device_bytes,
			dev_is_dma_coherent(dev) ? 0 : for_device);
	KUNIT_EXPECT_EQ(test, rmem_test_syncs.cpu_bytes, dev_is_dma_coherent(dev) ? 0 : for_cpu);
	rmem_test_syncs.device_bytes = 0;
	rmem_test_syncs.cpu_bytes = 0;
}

/**
 * struct rmem_test_part - a part of an allocation of 64 KiB
 * @offset: where the part starts
 * @len: bytes
 * @desc: name of the part
 */
struct rmem_test_part {
	size_t offset;
	size_t len;
	const char *desc;
};

static const struct rmem_test_part rmem_test_parts[] = {
	{ 0, SZ_64K, "all" },
	{ IO_TLB_SIZE, IO_TLB_SIZE, "the second slot" },
	{ SZ_4K + 100, SZ_16K + 7, "some bytes in the middle" },
	{ SZ_64K - PAGE_SIZE, PAGE_SIZE, "the last page" },
};

KUNIT_ARRAY_PARAM_DESC(rmem_test_parts, rmem_test_parts, desc);

static void rmem_test_own_pool_dir(struct kunit *test, struct device *dev,
				   enum dma_data_direction dir)
{
	const struct rmem_test_part *part = test->param_value;
	/* DMA debugging finds no mapping of memory that the device itself has allocated. */
	struct device *owner = rmem_test_region(test, "restricted@12000000")->dev;
	struct rmem_test_slots *mem = rmem_test_slots_alloc(test, owner, SZ_64K);
	size_t before = swiotlb_available(dev), half = part->len / 2;
	u8 *cpu = page_address(mem->page), *device;
	dma_addr_t addr;

	memset(cpu, 1, SZ_64K);
	rmem_test_syncs_watch(rmem_test_heap(test, "restricted@12000000"));
	addr = dma_map_page(dev, mem->page, part->offset, part->len, dir);
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(dev, addr));
	rmem_test_maintained(test, dev, part->len, 0);
	KUNIT_EXPECT_EQ(test, dma_to_phys(dev, addr), page_to_phys(mem->page) + part->offset);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);

	device = rmem_test_behind(dev, addr);
	memset(device, 2, part->len);
	dma_sync_single_for_cpu(dev, addr + half, part->len - half, dir);
	rmem_test_maintained(test, dev, 0, part->len - half);
	KUNIT_EXPECT_NULL(test, memchr_inv(cpu + part->offset, 2, part->len));

	memset(cpu + part->offset, 3, part->len);
	dma_sync_single_for_device(dev, addr + half, part->len - half, dir);
	rmem_test_maintained(test, dev, part->len - half, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(device, 3, part->len));

	dma_unmap_page(dev, addr, part->len, dir);
	rmem_test_maintained(test, dev, 0, part->len);
	rmem_test_syncs_watch(NULL);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);
	KUNIT_EXPECT_NULL(test, memchr_inv(cpu, 1, part->offset));
	KUNIT_EXPECT_NULL(test, memchr_inv(cpu + part->offset, 3, part->len));
	KUNIT_EXPECT_NULL(test, memchr_inv(cpu + part->offset + part->len, 1,
					   SZ_64K - part->offset - part->len));
}

/* Memory of the pool is mapped as it is for a device of the pool, and takes no more slots */
static void rmem_test_own_pool(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		rmem_test_own_pool_dir(test, rmem_test_device(test, OWNER), dirs[i]);
		rmem_test_own_pool_dir(test, rmem_test_device(test, "/restricted-noncoherent"),
				       dirs[i]);
	}
}

/* The same for a table of two allocations */
static void rmem_test_own_pool_table(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/restricted-noncoherent");
	struct rmem_test_slots *mem[2];
	struct scatterlist sgl[2];
	struct sg_table sgt = { .sgl = sgl, .nents = 2, .orig_nents = 2 };
	size_t before;
	int i;

	sg_init_table(sgl, 2);
	for (i = 0; i < 2; i++) {
		mem[i] = rmem_test_slots_alloc(test, rmem_test_device(test, OWNER), SZ_64K);
		sg_set_page(&sgl[i], mem[i]->page, SZ_64K, 0);
	}
	before = swiotlb_available(dev);
	rmem_test_syncs_watch(rmem_test_heap(test, "restricted@12000000"));

	KUNIT_ASSERT_EQ(test, 0, dma_map_sgtable(dev, &sgt, DMA_BIDIRECTIONAL, 0));
	rmem_test_maintained(test, dev, SZ_128K, 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, dma_to_phys(dev, sg_dma_address(&sgl[i])),
				page_to_phys(mem[i]->page));
	dma_sync_sgtable_for_cpu(dev, &sgt, DMA_BIDIRECTIONAL);
	rmem_test_maintained(test, dev, 0, SZ_128K);
	dma_sync_sgtable_for_device(dev, &sgt, DMA_BIDIRECTIONAL);
	rmem_test_maintained(test, dev, SZ_128K, 0);
	dma_unmap_sgtable(dev, &sgt, DMA_BIDIRECTIONAL, 0);
	rmem_test_maintained(test, dev, 0, SZ_128K);

	rmem_test_syncs_watch(NULL);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);
}

/*
 * Unmapping memory that was mapped as it is leaves the allocation alone, and the pool does not
 * hand the memory out again. dma-iommu, which User-Mode Linux has not, maps memory of a pool so
 * and unmaps it by this call.
 */
static void rmem_test_unmap_keeps(struct kunit *test)
{
	const struct rmem_test_part *part = test->param_value;
	struct device *dev = rmem_test_device(test, OWNER);
	struct rmem_test_slots *mem = rmem_test_slots_alloc(test, dev, SZ_64K), *other;
	size_t before = swiotlb_available(dev);
	unsigned int shared = 0;

	swiotlb_tbl_unmap_single(dev, page_to_phys(mem->page) + part->offset, part->len,
				 DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);

	while (swiotlb_available(dev) && (other = rmem_test_slots_try(test, dev, PAGE_SIZE)))
		shared += other->page >= mem->page &&
			  other->page < mem->page + (SZ_64K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ_MSG(test, shared, 0, "pages that were allocated twice");
}

static void rmem_test_expect_bounced(struct kunit *test, struct device *dev, struct page *page,
				     size_t len, unsigned long attrs)
{
	size_t before = swiotlb_available(dev);
	dma_addr_t addr;

	addr = dma_map_page_attrs(dev, page, 0, len, DMA_TO_DEVICE, attrs);
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(dev, addr));
	KUNIT_EXPECT_NE(test, dma_to_phys(dev, addr), page_to_phys(page));
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before - len);
	KUNIT_EXPECT_MEMEQ(test, rmem_test_behind(dev, addr), page_address(page), len);
	dma_unmap_page_attrs(dev, addr, len, DMA_TO_DEVICE, attrs);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);
}

/* Memory is bounced that lies in another pool, ends outside the pool, or is mapped as shared */
static void rmem_test_not_own(struct kunit *test)
{
	const struct reserved_mem *rmem = rmem_test_region(test, "restricted@12000000")->rmem;
	struct page *last = pfn_to_page(PHYS_PFN(rmem->base + rmem->size - PAGE_SIZE));
	struct device *owner = rmem_test_device(test, OWNER);
	struct rmem_test_slots *mem = rmem_test_slots_alloc(test, owner, SZ_64K);

	memset(page_address(mem->page), 0x5a, SZ_64K);
	rmem_test_expect_bounced(test, rmem_test_device(test, "/bouncing"), mem->page, SZ_64K, 0);
	/* swiotlb reads memory behind the region, which may be free: KASAN would report it. */
	if (!IS_ENABLED(CONFIG_KASAN))
		rmem_test_expect_bounced(test, owner, last, 2 * PAGE_SIZE, 0);
	/* An encrypted guest has different addresses for shared memory. */
	rmem_test_expect_bounced(test, owner, mem->page, SZ_64K, DMA_ATTR_CC_SHARED);
}

/* Memory of the pool that a device does not reach is bounced inside the pool */
static void rmem_test_own_pool_beyond(struct kunit *test)
{
	struct device *owner = rmem_test_device(test, OWNER);
	struct device *dev = rmem_test_device(test, "/restricted-noncoherent");
	struct rmem_test_slots *mem, *low = NULL, *high = NULL;
	u64 limit = dev->bus_dma_limit;
	size_t before;
	dma_addr_t addr;

	while (swiotlb_available(owner) && (mem = rmem_test_slots_try(test, owner, SZ_256K))) {
		if (!low || mem->addr < low->addr)
			low = mem;
		if (!high || mem->addr > high->addr)
			high = mem;
	}
	KUNIT_ASSERT_PTR_NE(test, low, high);
	kunit_release_action(test, rmem_test_slots_free, low);
	before = swiotlb_available(dev);

	dev->bus_dma_limit = page_to_phys(high->page);
	addr = dma_map_page(dev, high->page, 0, SZ_64K, DMA_FROM_DEVICE);
	dev->bus_dma_limit = limit;
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(dev, addr));
	KUNIT_EXPECT_LT(test, dma_to_phys(dev, addr), page_to_phys(low->page) + low->len);
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before - SZ_64K);
	memset(rmem_test_behind(dev, addr), 4, SZ_64K);
	dma_unmap_page(dev, addr, SZ_64K, DMA_FROM_DEVICE);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(high->page), 4, SZ_64K));
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);
}

/* DMA_ATTR_REQUIRE_COHERENT forbids bouncing and cache maintenance, not memory of the pool */
static void rmem_test_require_coherent(struct kunit *test)
{
	const unsigned long attrs = DMA_ATTR_REQUIRE_COHERENT;
	struct device *dev = rmem_test_device(test, OWNER);
	struct device *other = rmem_test_device(test, "/restricted-noncoherent");
	struct rmem_test_slots *mem = rmem_test_slots_alloc(test, dev, SZ_64K);
	struct rmem_test_slots *foreign =
		rmem_test_slots_alloc(test, rmem_test_device(test, "/bouncing"), SZ_64K);
	size_t before = swiotlb_available(dev);
	dma_addr_t addr;

	addr = dma_map_page_attrs(dev, mem->page, 0, SZ_64K, DMA_BIDIRECTIONAL, attrs);
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(dev, addr));
	KUNIT_EXPECT_EQ(test, dma_to_phys(dev, addr), page_to_phys(mem->page));
	dma_unmap_page_attrs(dev, addr, SZ_64K, DMA_BIDIRECTIONAL, attrs);

	addr = dma_map_page_attrs(other, mem->page, 0, SZ_64K, DMA_BIDIRECTIONAL, attrs);
	KUNIT_EXPECT_NE(test, 0, dma_mapping_error(other, addr));
	addr = dma_map_page_attrs(dev, foreign->page, 0, SZ_64K, DMA_BIDIRECTIONAL, attrs);
	KUNIT_EXPECT_NE(test, 0, dma_mapping_error(dev, addr));
	KUNIT_EXPECT_EQ(test, swiotlb_available(dev), before);
}

static struct kunit_case rmem_heap_swiotlb_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_own_pool, rmem_test_parts_gen_params),
	KUNIT_CASE(rmem_test_own_pool_table),
	KUNIT_CASE_PARAM(rmem_test_unmap_keeps, rmem_test_parts_gen_params),
	KUNIT_CASE(rmem_test_not_own),
	KUNIT_CASE(rmem_test_own_pool_beyond),
	KUNIT_CASE(rmem_test_require_coherent),
	{ }
};

static struct kunit_suite rmem_heap_swiotlb_suite = {
	.name = "rmem_heap_swiotlb",
	.test_cases = rmem_heap_swiotlb_cases,
};

kunit_test_suite(rmem_heap_swiotlb_suite);
