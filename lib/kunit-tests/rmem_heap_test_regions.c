// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suites of RMEM_HEAP: which regions there are, what they are taken for, who gets a
 * heap, and who finds it.
 *
 * rmem_heap_regions runs on any device tree whose regions all have test,expect: their
 * kind, who exported them ("-" for nobody), and a part of the reason for the kind or for
 * having no heap. rmem_heap_lookup needs rmem_heap_test.dts, the others no device tree.
 */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/cma.h>
#include <linux/dma-heap.h>
#include <linux/libfdt.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_fdt.h>
#include <linux/of_platform.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include <asm/sections.h>

#include "rmem_heap_test.h"

MODULE_IMPORT_NS("DMA_BUF_HEAP");

/* The regions of the tree that was booted with */

static const char *regions_kind(const struct rmem_region *region)
{
	static const char * const modes[] = {
		[RMEM_HEAP_CMA] = "cma",
		[RMEM_HEAP_COHERENT] = "coherent",
		[RMEM_HEAP_RESTRICTED] = "restricted",
		[RMEM_HEAP_CARVEOUT] = "carveout",
	};
	static const char * const statuses[] = {
		[RMEM_DISABLED] = "disabled",
		[RMEM_INVALID] = "refused",
	};

	if (region->heap)
		return modes[region->mode];
	if (region->owned && region->rmem && region->status != RMEM_DISABLED)
		return "owned";
	return region->status == RMEM_AVAILABLE ? modes[region->mode] : statuses[region->status];
}

/* A list that lost a node would pass all the other tests. */
static void regions_complete(struct kunit *test)
{
	struct device_node *parent = of_get_child_by_name(of_root, "reserved-memory");
	const struct rmem_region *region;
	int left = of_get_child_count(parent);

	of_node_put(parent);
	KUNIT_EXPECT_GT_MSG(test, left, 0, "boot with a device tree that has regions");

	list_for_each_entry(region, &rmem_regions, list) {
		KUNIT_EXPECT_STREQ(test, region->name, kbasename(region->of_node->full_name));
		left--;
	}
	KUNIT_EXPECT_EQ(test, left, 0);
}

static void regions_expected(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	const char *kind, *exported_by, *reason;

	rmem_test_needs_pool(test, region->of_node);
	KUNIT_ASSERT_EQ_MSG(test, 0, of_property_read_string_index(region->of_node, "test,expect",
								   0, &kind),
			    "%s: say in test,expect what must become of it", region->name);
	KUNIT_ASSERT_EQ(test, 0, of_property_read_string_index(region->of_node, "test,expect", 1,
							       &exported_by));
	KUNIT_EXPECT_STREQ(test, kind, regions_kind(region));
	KUNIT_EXPECT_STREQ(test, exported_by, region->heap ? region->heap->requested_by : "-");

	if (of_property_read_string_index(region->of_node, "test,expect", 2, &reason))
		return;
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(region->reason, reason), "reason is: %s",
				  region->reason);
}

static bool regions_in_fdt(const void *ptr)
{
	return ptr >= initial_boot_params &&
	       ptr < initial_boot_params + fdt_totalsize(initial_boot_params);
}

/* The name is the node's, at an address that is nobody else's. */
static void regions_name(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	const char *node_name = kbasename(region->of_node->full_name);
	const char *name;

	if (!region->heap)
		return;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region->heap->dma_heap);
	name = dma_heap_get_name(region->heap->dma_heap);
	KUNIT_EXPECT_STREQ(test, name, node_name);
	KUNIT_EXPECT_PTR_NE(test, name, node_name);
	KUNIT_EXPECT_FALSE(test, regions_in_fdt(name));
	if (region->mode == RMEM_HEAP_CMA)
		KUNIT_EXPECT_PTR_NE(test, name, cma_get_name(region->rmem->priv));
}

/* The entry is the one of this node, and nobody else has any of its memory. */
static void regions_memory(struct kunit *test)
{
	const struct rmem_region *region = test->param_value, *other;
	const struct reserved_mem *rmem = region->rmem;
	struct resource res;
	bool in_kernel;
	u64 base, size;

	if (!region->heap)
		return;

	KUNIT_ASSERT_NOT_NULL(test, rmem);
	KUNIT_EXPECT_GT(test, rmem->size, 0);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(rmem->base | rmem->size));
	if (!of_property_read_reg(region->of_node, 0, &base, &size)) {
		KUNIT_EXPECT_EQ(test, rmem->base, base);
		KUNIT_EXPECT_EQ(test, rmem->size, size);
	} else if (!of_property_read_u64(region->of_node, "size", &size)) {
		KUNIT_EXPECT_EQ(test, rmem->size, size);
	}

	in_kernel = rmem->base < __pa(_end) && __pa(_stext) < rmem->base + rmem->size;
	KUNIT_EXPECT_FALSE(test, in_kernel);

	resource_set_range(&res, rmem->base, rmem->size);
	list_for_each_entry(other, &rmem_regions, list) {
		struct resource other_res;

		if (other == region || !other->rmem || !other->rmem->size)
			continue;
		resource_set_range(&other_res, other->rmem->base, other->rmem->size);
		KUNIT_EXPECT_FALSE_MSG(test, resource_overlaps(&res, &other_res),
				       "it overlaps %s", other->name);
	}

	if (region->heap->memory == RMEM_LINEAR && region->mode != RMEM_HEAP_CMA) {
		phys_addr_t pos, free = 0;

		for (pos = rmem->base; pos < rmem->base + rmem->size; pos += PAGE_SIZE)
			if (!PageReserved(phys_to_page(pos)))
				free += PAGE_SIZE;
		KUNIT_EXPECT_EQ_MSG(test, free, 0, "the page allocator has some of it");
	}
}

/* The pool behind the heap is the one that a device of the region gets. */
static void regions_pool(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;

	if (!region->heap)
		return;

	KUNIT_ASSERT_PTR_EQ(test, region->heap->ops, rmem_heap_pool_ops(region->mode));
	if (region->mode == RMEM_HEAP_CARVEOUT) {
		KUNIT_EXPECT_NULL(test, region->rmem->priv);
		return;
	}

	KUNIT_ASSERT_NOT_NULL(test, region->dev);
	KUNIT_EXPECT_NOT_NULL(test, region->rmem->priv);
	KUNIT_EXPECT_PTR_EQ(test, region->heap->ops->assigned(region->dev), region->rmem->priv);
}

/* Is there a device that the core may have assigned the region to? */
static bool regions_has_device(const struct rmem_region *region)
{
	struct platform_device *pdev;
	struct device_node *np, *target;
	bool bound = false;
	int i;

	for_each_node_with_property(np, "memory-region") {
		for (i = 0; (target = of_parse_phandle(np, "memory-region", i)); i++) {
			of_node_put(target);
			if (target != region->of_node)
				continue;
			pdev = of_find_device_by_node(np);
			if (pdev)
				bound |= !!pdev->dev.driver;
			platform_device_put(pdev);
		}
	}
	return bound;
}

/* Looking at a region that nobody exports, or failing to export it, leaves no trace. */
static void regions_untouched(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;

	if (region->heap)
		return;

	if (region->dev) {
		KUNIT_EXPECT_NULL(test, region->dev->cma_area);
		KUNIT_EXPECT_NULL(test, region->dev->dma_mem);
		if (region->mode == RMEM_HEAP_RESTRICTED)
			KUNIT_EXPECT_FALSE(test, is_swiotlb_for_alloc(region->dev));
	}
	/* cma_heap would make a heap of it all the same. */
	if (region->mode == RMEM_HEAP_CMA && region->status == RMEM_INVALID && region->rmem &&
	    region->rmem->priv)
		KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(region->rmem->priv, false));
	KUNIT_EXPECT_NE_MSG(test, region->reason[0], '\0', "nobody is told why");

	/*
	 * The core makes CMA areas at boot, the other pools for their first device. That may
	 * have been ours, to see which pool it gets, or for an export that failed later.
	 */
	if (region->rmem && region->mode != RMEM_HEAP_CMA && !regions_has_device(region) &&
	    !strstr(region->reason, "devices get another pool") &&
	    !strstr(region->reason, "could not set up a pool") &&
	    !strstr(region->reason, "its heap failed"))
		KUNIT_EXPECT_NULL(test, region->rmem->priv);
}

static struct kunit_case rmem_heap_regions_cases[] = {
	KUNIT_CASE(regions_complete),
	KUNIT_CASE_PARAM(regions_expected, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(regions_name, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(regions_memory, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(regions_pool, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(regions_untouched, rmem_test_regions_gen_params),
	{}
};

static struct kunit_suite rmem_heap_regions_suite = {
	.name = "rmem_heap_regions",
	.test_cases = rmem_heap_regions_cases,
};

/* rmem_heap_classify(), on trees that the core never saw */

#define CLASS_BASE	0x10000000ULL
#define CLASS_SIZE	0x400000ULL
#define CLASS_PHANDLE	0x22
#define CLASS_OTHER	0x33

enum class_reg {
	CLASS_REG,
	CLASS_REG_NONE,
	CLASS_REG_SHORT,
	CLASS_DYNAMIC,
};

enum class_entry {
	CLASS_NO_ENTRY,
	CLASS_ENTRY_WITHOUT_OPS,
	CLASS_ENTRY,
};

/**
 * struct class_case - a region, and what it must be taken for
 * @name: what is special about it
 * @compatible: of its node
 * @flags: boolean properties of its node
 * @status: of its node, NULL for none
 * @iommu_addresses: has them
 * @no_phandle: has none
 * @cut: the compatible is without its last byte
 * @cells: #address-cells of the parent, if not those of the root; -1 for none
 * @no_ranges: nor has the parent ranges
 * @reg: where its memory is said to be
 * @base: physical address; CLASS_BASE if 0
 * @size: CLASS_SIZE if 0
 * @zero_size: is its size 0
 * @entry: what the core made of it
 * @n_refs: how many entries the memory-region of the device in the tree has
 * @refs: these entries
 * @property: with which the device refers, memory-region if NULL
 * @device: words about the device: "disabled", or its bus is "off"; "nameless": without
 *	compatible; "memory": by its device_type
 * @vmids: qcom,vmids of the device
 * @device_reg: address of the 128 KiB in the reg of the device, 0 for none
 * @want: expected status
 * @mode: expected, unless disabled or refused
 * @reason: expected part of the reason, NULL for no reason at all
 * @owned: expected
 * @owner: expected part of the text about the owner, NULL for no owner at all
 */
struct class_case {
	const char *name;
	const char *compatible[3];
	const char *flags[3];
	const char *status;
	bool iommu_addresses;
	bool no_phandle;
	bool cut;
	int cells;
	bool no_ranges;
	enum class_reg reg;
	u64 base;
	u64 size;
	bool zero_size;
	enum class_entry entry;
	unsigned int n_refs;
	u32 refs[3];
	const char *property;
	const char *device;
	u32 vmids[2];
	u64 device_reg;
	enum rmem_status want;
	enum rmem_heap_mode mode;
	const char *reason;
	bool owned;
	const char *owner;
};

#define CLASS_SHARED		.compatible = { "shared-dma-pool" }
#define CLASS_RESTRICTED	.compatible = { "restricted-dma-pool" }
#define CLASS_CMA		CLASS_SHARED, .flags = { "reusable" }
#define CLASS_COHERENT		CLASS_SHARED, .flags = { "no-map" }
#define CLASS_REFERRED		.n_refs = 1, .refs = { CLASS_PHANDLE }

#define CLASS_FREE(_mode)	.want = RMEM_AVAILABLE, .mode = RMEM_HEAP_##_mode
#define CLASS_OWNED(_mode, _reason)					\
	.want = RMEM_AVAILABLE, .mode = RMEM_HEAP_##_mode, .owned = true, .owner = _reason
#define CLASS_UNUSED(_mode)	CLASS_SIGN(_mode, "no node refers to it")
#define CLASS_SIGN(_mode, _reason)					\
	.want = RMEM_AVAILABLE, .mode = RMEM_HEAP_##_mode, .owner = _reason
#define CLASS_REFUSED(_reason)	.want = RMEM_INVALID, .reason = _reason
#define CLASS_DISABLED		.want = RMEM_DISABLED, .reason = "status"

static const struct class_case class_cases[] = {
	/* The four modes */
	{ "cma", CLASS_CMA, .entry = CLASS_ENTRY, CLASS_FREE(CMA) },
	{ "coherent", CLASS_COHERENT, .entry = CLASS_ENTRY, CLASS_UNUSED(COHERENT) },
	{ "coherent without no-map", CLASS_SHARED, .entry = CLASS_ENTRY, CLASS_UNUSED(COHERENT) },
	{ "restricted", CLASS_RESTRICTED, .entry = CLASS_ENTRY, CLASS_UNUSED(RESTRICTED) },
	{ "carveout", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout with no-map", .flags = { "no-map" }, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "dynamic cma", CLASS_CMA, .reg = CLASS_DYNAMIC, .entry = CLASS_ENTRY,
	  CLASS_FREE(CMA) },
	{ "dynamic carveout", .reg = CLASS_DYNAMIC, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "one page", .size = PAGE_SIZE, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "export is not for the judge", .flags = { "export" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },

	/* Pools that the core did not make never become carveouts. */
	{ "cma without entry", CLASS_CMA, CLASS_REFUSED("could not reserve 0x10000000, 4096 KiB") },
	{ "coherent without entry", CLASS_COHERENT,
	  CLASS_REFUSED("could not reserve 0x10000000, 4096 KiB") },
	{ "restricted without entry", CLASS_RESTRICTED,
	  CLASS_REFUSED("could not reserve 0x10000000, 4096 KiB") },
	{ "carveout without entry", CLASS_REFUSED("could not reserve 0x10000000, 4096 KiB") },
	{ "another driver's without entry", .compatible = { "vendor,secure" },
	  CLASS_REFUSED("could not reserve 0x10000000, 4096 KiB"), .owned = true,
	  .owner = "the driver of vendor,secure" },
	{ "cma without ops", CLASS_CMA, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("no allocator took the node") },
	{ "coherent without ops", CLASS_COHERENT, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("no allocator took the node") },
	{ "restricted without ops", CLASS_RESTRICTED, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("no allocator took the node") },
	{ "reusable without compatible", .flags = { "reusable" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("no allocator took the node") },
	{ "reusable with another compatible", .compatible = { "vendor,secure" },
	  .flags = { "reusable" }, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("no allocator took the node"), .owned = true,
	  .owner = "the driver of vendor,secure" },
	{ "reusable pool with no-map", CLASS_SHARED, .flags = { "reusable", "no-map" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("no allocator took the node") },
	{ "pool that also is another's, without ops",
	  .compatible = { "vendor,secure", "shared-dma-pool" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("no allocator took the node"),
	  .owned = true, .owner = "the driver of vendor,secure" },

	/* Why there is no entry */
	{ "restricted with no-map", CLASS_RESTRICTED, .flags = { "no-map" },
	  CLASS_REFUSED("cannot be no-map") },
	{ "restricted with reusable", CLASS_RESTRICTED, .flags = { "reusable" },
	  CLASS_REFUSED("cannot be reusable") },
	{ "cma with an odd base", CLASS_CMA, .base = CLASS_BASE + SZ_64K,
	  CLASS_REFUSED("of a CMA area must be multiples of") },
	{ "cma with an odd size", CLASS_CMA, .size = CLASS_SIZE + SZ_64K,
	  CLASS_REFUSED("of a CMA area must be multiples of") },
	{ "neither reg nor size", .reg = CLASS_REG_NONE, CLASS_REFUSED("neither reg nor size") },
	{ "reg cut short", .reg = CLASS_REG_SHORT,
	  CLASS_REFUSED("its reg must be 4 cells, it has 2") },
	{ "reg with size 0", .zero_size = true, CLASS_REFUSED("the size in its reg is 0") },
	{ "no memory for a dynamic region", .reg = CLASS_DYNAMIC,
	  CLASS_REFUSED("no 4096 KiB of RAM were free in one piece") },
	{ "dynamic region with an empty alloc-ranges", .reg = CLASS_DYNAMIC,
	  .flags = { "alloc-ranges" }, CLASS_REFUSED("its alloc-ranges is empty") },
	{ "dynamic region of size 0", .reg = CLASS_DYNAMIC, .zero_size = true,
	  CLASS_REFUSED("its size is 0") },
	{ "dynamic restricted pool with no-map", CLASS_RESTRICTED, .reg = CLASS_DYNAMIC,
	  .flags = { "no-map" }, CLASS_REFUSED("cannot be no-map") },
	{ "dynamic restricted pool with no-map of size 0", CLASS_RESTRICTED,
	  .reg = CLASS_DYNAMIC, .flags = { "no-map" }, .zero_size = true,
	  CLASS_REFUSED("its size is 0") },
	{ "restricted pool with linux,cma-default", CLASS_RESTRICTED,
	  .flags = { "linux,cma-default" }, CLASS_REFUSED("cannot be linux,cma-default") },
	{ "restricted pool with linux,dma-default", CLASS_RESTRICTED,
	  .flags = { "linux,dma-default" }, CLASS_REFUSED("cannot be linux,dma-default") },
	{ "dynamic cma with an odd size", CLASS_CMA, .reg = CLASS_DYNAMIC,
	  .size = CLASS_SIZE + SZ_64K, CLASS_REFUSED("of a CMA area must be multiples of") },
	{ "dynamic region at an odd base", .reg = CLASS_DYNAMIC, .base = CLASS_BASE + SZ_2K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("give it an alignment of") },

	{ "dynamic region of an odd size at an odd base", .reg = CLASS_DYNAMIC,
	  .base = CLASS_BASE + SZ_2K, .size = SZ_2K, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("multiples of the page size") },

	{ "no #address-cells", .cells = -1, CLASS_REFUSED("must have the #address-cells") },
	{ "other #address-cells", .cells = 1,
	  CLASS_REFUSED("are 1 and 2, those of the root 2 and 2") },
	{ "countless #address-cells", .cells = 0x6a008002,
	  CLASS_REFUSED("those of the root 2 and 2") },
	{ "no ranges", .no_ranges = true, CLASS_REFUSED("/reserved-memory must have ranges") },

	/* Entries that are of no use */
	{ "base is not a page's", .base = CLASS_BASE + SZ_2K, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("multiples of the page size") },
	{ "size is not whole pages", .size = CLASS_SIZE + SZ_2K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("multiples of the page size") },
	{ "restricted with an odd base", CLASS_RESTRICTED, .base = CLASS_BASE + SZ_2K,
	  .entry = CLASS_ENTRY, CLASS_REFUSED("multiples of the page size") },
	{ "coherent with an odd size", CLASS_COHERENT, .size = CLASS_SIZE + SZ_2K,
	  .entry = CLASS_ENTRY, CLASS_REFUSED("multiples of the page size") },
	{ "entry of size 0", .zero_size = true, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("its size is 0") },
	{ "end beyond the last address", .base = -(phys_addr_t)SZ_1M, .size = SZ_2M,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("size is not usable") },
	{ "size too large", .size = ULONG_MAX & PAGE_MASK, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("size is not usable") },

	/* Nobody knows what it is */
	{ "pool without an end", CLASS_SHARED, .cut = true, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_REFUSED("not a list of strings") },
	{ "compatible without an end", .compatible = { "vendor,secure" }, .cut = true,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("not a list of strings") },
	{ "second compatible without an end", .compatible = { "shared-dma-pool", "vendor,x" },
	  .cut = true, .flags = { "no-map" }, .entry = CLASS_ENTRY,
	  CLASS_REFUSED("not a list of strings") },
	{ "two pools", .compatible = { "shared-dma-pool", "restricted-dma-pool" },
	  .entry = CLASS_ENTRY, CLASS_REFUSED("two kinds of pool") },
	{ "two pools without entry", .compatible = { "restricted-dma-pool", "shared-dma-pool" },
	  .flags = { "reusable", "no-map" }, CLASS_REFUSED("two kinds of pool") },
	{ "two pools, without ops", .compatible = { "shared-dma-pool", "restricted-dma-pool" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("two kinds of pool") },
	{ "two pools, reusable", .compatible = { "restricted-dma-pool", "shared-dma-pool" },
	  .flags = { "reusable" }, .entry = CLASS_ENTRY, CLASS_REFUSED("two kinds of pool") },

	/* Owners */
	{ "compatible of another driver", .compatible = { "vendor,secure" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the driver of vendor,secure") },
	{ "compatible and ops of another driver", .compatible = { "vendor,secure" },
	  .entry = CLASS_ENTRY, CLASS_OWNED(CARVEOUT, "the driver of vendor,secure") },
	{ "ops of another driver", .entry = CLASS_ENTRY,
	  CLASS_OWNED(CARVEOUT, "another driver") },
	{ "pool with a second compatible", .flags = { "reusable" },
	  .compatible = { "shared-dma-pool", "vendor,secure" }, .entry = CLASS_ENTRY,
	  CLASS_OWNED(CMA, "the driver of vendor,secure") },
	{ "pool as the second compatible", .flags = { "no-map" },
	  .compatible = { "vendor,secure", "shared-dma-pool" }, .entry = CLASS_ENTRY,
	  CLASS_OWNED(COHERENT, "the driver of vendor,secure") },
	{ "restricted with a second compatible",
	  .compatible = { "restricted-dma-pool", "vendor,secure" }, .entry = CLASS_ENTRY,
	  CLASS_OWNED(RESTRICTED, "the driver of vendor,secure") },
	{ "name of a pool with more to it", .compatible = { "shared-dma-pool-2" },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_OWNED(CARVEOUT, "shared-dma-pool-2") },
	{ "iommu-addresses of a carveout", .iommu_addresses = true,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_OWNED(CARVEOUT, "iommu-addresses") },
	{ "iommu-addresses of a pool", CLASS_CMA, .iommu_addresses = true,
	  .entry = CLASS_ENTRY, CLASS_OWNED(CMA, "iommu-addresses") },
	{ "carveout of a device", CLASS_REFERRED, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it") },
	{ "carveout as second region of a device", .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_PHANDLE }, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it") },
	{ "carveout as last region of a device", .n_refs = 3,
	  .refs = { CLASS_OTHER, CLASS_OTHER, CLASS_PHANDLE },
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it") },
	/* The property after memory-region has the phandle as its value. */
	{ "carveout with a device of two other regions", .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_OTHER }, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "carveout with a device of another region", .n_refs = 1, .refs = { CLASS_OTHER },
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout that cannot be referred to", .no_phandle = true, .n_refs = 1,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "cma of a device", CLASS_CMA, CLASS_REFERRED, .entry = CLASS_ENTRY, CLASS_FREE(CMA) },
	{ "coherent of a device", CLASS_COHERENT, CLASS_REFERRED, .entry = CLASS_ENTRY,
	  CLASS_FREE(COHERENT) },
	{ "restricted of a device", CLASS_RESTRICTED, CLASS_REFERRED, .entry = CLASS_ENTRY,
	  CLASS_FREE(RESTRICTED) },

	/* The owner of a region does not depend on what an allocator could do with it. */
	{ "unusable and another's", .compatible = { "vendor,secure" }, .size = SZ_2K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("multiples of the page size"),
	  .owned = true, .owner = "the driver of vendor,secure" },
	{ "unusable and a device's", CLASS_REFERRED, .size = SZ_2K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_REFUSED("multiples of the page size"),
	  .owned = true, .owner = "/soc/device refers to it by memory-region" },

	/* Other properties than memory-region, and a device that is disabled */
	{ "carveout by a list of regions", .n_refs = 2, .refs = { CLASS_OTHER, CLASS_PHANDLE },
	  .property = "memory-regions", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it by memory-regions") },
	{ "carveout by a property of one word", CLASS_REFERRED, .property = "shmem",
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it by shmem") },
	{ "carveout and a number in a property of a longer word", CLASS_REFERRED,
	  .property = "vendor,smem", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout and a number in a property that begins like a word", CLASS_REFERRED,
	  .property = "ramp-delay", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout by a property with a word in the middle", CLASS_REFERRED,
	  .property = "vendor,fw2-handle", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it by vendor,fw2-handle") },
	{ "carveout by a property with a number at its end", CLASS_REFERRED,
	  .property = "memory-region-12", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device refers to it by memory-region-12") },
	{ "carveout and a number in a property about memory", CLASS_REFERRED,
	  .property = "ram-width", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout and a number of buffers", CLASS_REFERRED,
	  .property = "num-buffers", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout and a number in a property of numbers", CLASS_REFERRED,
	  .property = "12", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "coherent by another property than memory-region", CLASS_COHERENT, CLASS_REFERRED,
	  .property = "boot-memory", .entry = CLASS_ENTRY,
	  CLASS_SIGN(COHERENT, "/soc/device refers to it by boot-memory") },
	{ "coherent by a list of regions", CLASS_COHERENT, CLASS_REFERRED,
	  .property = "memory-regions", .entry = CLASS_ENTRY,
	  CLASS_SIGN(COHERENT, "/soc/device refers to it by memory-regions") },
	{ "carveout and a number in another property", CLASS_REFERRED, .property = "bus-width",
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout of a device on a disabled bus", CLASS_REFERRED, .device = "off",
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device (disabled) refers to it by memory-region") },
	{ "carveout of a disabled device", CLASS_REFERRED, .device = "disabled",
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "/soc/device (disabled) refers to it by memory-region") },

	/* Addresses of a device */
	{ "carveout that a device's reg begins in", .device_reg = CLASS_BASE + CLASS_SIZE - SZ_64K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the reg of /soc/device lies in it") },
	{ "carveout that a device's reg ends in", .device_reg = CLASS_BASE - SZ_64K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the reg of /soc/device lies in it") },
	{ "carveout that a device's reg covers", .size = SZ_64K,
	  .device_reg = CLASS_BASE - SZ_32K, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "carveout that a device's reg begins with", .size = SZ_64K, .device_reg = CLASS_BASE,
	  .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the reg of /soc/device lies in it") },
	{ "carveout that a device's reg ends with", .size = SZ_64K,
	  .device_reg = CLASS_BASE - SZ_64K, .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the reg of /soc/device lies in it") },
	{ "carveout and the reg of a node without compatible", .device_reg = CLASS_BASE,
	  .device = "nameless", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout and the reg of a memory node", .device_reg = CLASS_BASE,
	  .device = "memory", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout in front of a device's reg", .device_reg = CLASS_BASE + CLASS_SIZE,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout behind a device's reg", .device_reg = CLASS_BASE - SZ_128K,
	  .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },
	{ "carveout and the reg of a disabled device", .device_reg = CLASS_BASE,
	  .device = "disabled", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_OWNED(CARVEOUT, "the reg of /soc/device (disabled) lies in it") },
	{ "coherent that a device's reg lies in", CLASS_COHERENT, CLASS_REFERRED,
	  .device_reg = CLASS_BASE, .entry = CLASS_ENTRY,
	  CLASS_SIGN(COHERENT, "the reg of /soc/device lies in it") },
	{ "cma that a device's reg lies in", CLASS_CMA, .device_reg = CLASS_BASE,
	  .entry = CLASS_ENTRY, CLASS_FREE(CMA) },

	/* Why "*" leaves a pool out */
	{ "coherent as second region of a device", CLASS_COHERENT, .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_PHANDLE }, .entry = CLASS_ENTRY,
	  CLASS_SIGN(COHERENT, "/soc/device refers to it at index 1 of memory-region") },
	{ "restricted as second region of a device", CLASS_RESTRICTED, .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_PHANDLE }, .entry = CLASS_ENTRY,
	  CLASS_SIGN(RESTRICTED, "/soc/device refers to it at index 1 of memory-region") },
	{ "coherent of a node without compatible", CLASS_COHERENT, CLASS_REFERRED,
	  .device = "nameless", .entry = CLASS_ENTRY,
	  CLASS_SIGN(COHERENT, "/soc/device, which has no compatible, refers to it") },
	{ "cma as second region of a device", CLASS_CMA, .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_PHANDLE }, .entry = CLASS_ENTRY, CLASS_FREE(CMA) },

	/* Areas that a device gives to other virtual machines */
	{ "cma of a device with vmids", CLASS_CMA, CLASS_REFERRED, .vmids = { 22, 37 },
	  .entry = CLASS_ENTRY, CLASS_SIGN(CMA, "/soc/device gives its memory to other") },
	{ "cma of a device with HLOS among its vmids", CLASS_CMA, CLASS_REFERRED,
	  .vmids = { 22, 3 }, .entry = CLASS_ENTRY, CLASS_FREE(CMA) },
	{ "cma as second region of a device with vmids", CLASS_CMA, .n_refs = 2,
	  .refs = { CLASS_OTHER, CLASS_PHANDLE }, .vmids = { 22 }, .entry = CLASS_ENTRY,
	  CLASS_FREE(CMA) },
	{ "cma of a disabled device with vmids", CLASS_CMA, CLASS_REFERRED,
	  .vmids = { 22 }, .device = "disabled", .entry = CLASS_ENTRY, CLASS_FREE(CMA) },

	/* Status */
	{ "status disabled", .status = "disabled", CLASS_DISABLED },
	{ "status disabled, but with an entry", CLASS_CMA, .status = "disabled",
	  .entry = CLASS_ENTRY, CLASS_DISABLED },
	{ "status disabled, of another driver", .compatible = { "vendor,secure" },
	  .status = "disabled", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_DISABLED,
	  .owned = true, .owner = "the driver of vendor,secure" },
	{ "status reserved", .status = "reserved", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_DISABLED },
	{ "status okay", .status = "okay", .entry = CLASS_ENTRY_WITHOUT_OPS,
	  CLASS_FREE(CARVEOUT) },
	{ "status ok", .status = "ok", .entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT) },

	/* Defaults */
	{ "default area", CLASS_SHARED, .flags = { "reusable", "linux,cma-default" },
	  .entry = CLASS_ENTRY, CLASS_FREE(CMA) },
#ifdef CONFIG_DMA_GLOBAL_POOL
	{ "global pool", CLASS_SHARED, .flags = { "no-map", "linux,dma-default" },
	  .entry = CLASS_ENTRY, CLASS_REFUSED("global pool") },
#else
	{ "no global pool", CLASS_SHARED, .flags = { "no-map", "linux,dma-default" },
	  .entry = CLASS_ENTRY, CLASS_UNUSED(COHERENT) },
#endif
};

KUNIT_ARRAY_PARAM_DESC(class, class_cases, name);

#define CLASS_FDT_SIZE	SZ_4K

static int class_add_node(struct kunit *test, void *fdt, int parent, const char *name)
{
	int node = fdt_add_subnode(fdt, parent, name);

	KUNIT_ASSERT_GE(test, node, 0);
	return node;
}

static void class_add_cells(struct kunit *test, void *fdt, int node)
{
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "#address-cells", 2));
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "#size-cells", 2));
}

static void class_add_reg(struct kunit *test, void *fdt, int node, const struct class_case *c,
			  const struct reserved_mem *rmem)
{
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u64(fdt, node, "reg", rmem->base));
	if (c->reg != CLASS_REG_SHORT)
		KUNIT_ASSERT_EQ(test, 0, fdt_appendprop_u64(fdt, node, "reg", rmem->size));
}

static void class_add_region(struct kunit *test, void *fdt, int node, const struct class_case *c,
			     const struct reserved_mem *rmem)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(c->compatible) && c->compatible[i]; i++)
		KUNIT_ASSERT_EQ(test, 0, fdt_appendprop_string(fdt, node, "compatible",
							       c->compatible[i]));
	if (c->cut) {
		int len;
		char *val = fdt_getprop_w(fdt, node, "compatible", &len);

		KUNIT_ASSERT_NOT_NULL(test, val);
		val[len - 1] = 'x';
	}
	for (i = 0; i < ARRAY_SIZE(c->flags) && c->flags[i]; i++)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_empty(fdt, node, c->flags[i]));
	if (c->status)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_string(fdt, node, "status", c->status));
	if (!c->no_phandle)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "phandle", CLASS_PHANDLE));
	if (c->iommu_addresses)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "iommu-addresses",
							 CLASS_OTHER));

	if (c->reg == CLASS_DYNAMIC)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u64(fdt, node, "size", rmem->size));
	else if (c->reg != CLASS_REG_NONE)
		class_add_reg(test, fdt, node, c, rmem);
}

KUNIT_DEFINE_ACTION_WRAPPER(class_kfree, kfree, const void *);

static bool class_device_is(const struct class_case *c, const char *word)
{
	return c->device && !strcmp(c->device, word);
}

static struct device_node *class_unflatten(struct kunit *test, const struct class_case *c,
					   const struct reserved_mem *rmem)
{
	struct device_node *root;
	unsigned int i;
	void *fdt, *mem;
	int node;

	/* Properties stay where they are in it. */
	fdt = kunit_kzalloc(test, CLASS_FDT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fdt);
	KUNIT_ASSERT_EQ(test, 0, fdt_create_empty_tree(fdt, CLASS_FDT_SIZE));
	class_add_cells(test, fdt, 0);

	node = class_add_node(test, fdt, 0, "reserved-memory");
	class_add_cells(test, fdt, node);
	if (c->cells > 0)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "#address-cells", c->cells));
	else if (c->cells)
		KUNIT_ASSERT_EQ(test, 0, fdt_delprop(fdt, node, "#address-cells"));
	if (!c->no_ranges)
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_empty(fdt, node, "ranges"));
	node = class_add_node(test, fdt, node, "region");
	class_add_region(test, fdt, node, c, rmem);

	node = class_add_node(test, fdt, 0, "soc");
	class_add_cells(test, fdt, node);
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_empty(fdt, node, "ranges"));
	if (class_device_is(c, "off"))
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_string(fdt, node, "status", "disabled"));
	node = class_add_node(test, fdt, node, "device");
	/* libfdt puts a new property before those that there are. */
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "after", CLASS_PHANDLE));
	for (i = 0; i < c->n_refs; i++)
		KUNIT_ASSERT_EQ(test, 0, fdt_appendprop_u32(fdt, node,
							    c->property ?: "memory-region",
							    c->refs[i]));
	if (!class_device_is(c, "nameless"))
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_string(fdt, node, "compatible", "vendor,x"));
	if (class_device_is(c, "disabled"))
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_string(fdt, node, "status", "disabled"));
	if (class_device_is(c, "memory"))
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_string(fdt, node, "device_type", "memory"));
	for (i = 0; i < ARRAY_SIZE(c->vmids) && c->vmids[i]; i++)
		KUNIT_ASSERT_EQ(test, 0, fdt_appendprop_u32(fdt, node, "qcom,vmids",
							    c->vmids[i]));
	if (c->device_reg) {
		KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u64(fdt, node, "reg", c->device_reg));
		KUNIT_ASSERT_EQ(test, 0, fdt_appendprop_u64(fdt, node, "reg", SZ_128K));
	}
	/* Properties of these nodes hold offsets, not phandles. */
	node = class_add_node(test, fdt, 0, "__local_fixups__");
	node = class_add_node(test, fdt, node, "soc");
	KUNIT_ASSERT_EQ(test, 0, fdt_setprop_u32(fdt, node, "memory-region", CLASS_PHANDLE));

	mem = of_fdt_unflatten_tree(fdt, NULL, &root);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, class_kfree, mem));
	return root;
}

static struct device_node *class_child(struct kunit *test, struct device_node *parent,
				       const char *name)
{
	struct device_node *np = of_get_child_by_name(parent, name);

	KUNIT_ASSERT_NOT_NULL(test, np);
	/* They live as long as the tree. */
	of_node_put(np);
	return np;
}

static int class_device_init_calls;

static int class_device_init(struct reserved_mem *rmem, struct device *dev)
{
	class_device_init_calls++;
	return -EINVAL;
}

static void class_device_release(struct reserved_mem *rmem, struct device *dev)
{
}

static const struct reserved_mem_ops class_ops = {
	.device_init = class_device_init,
	.device_release = class_device_release,
};

static void class_check(struct kunit *test, const struct class_case *c)
{
	struct reserved_mem rmem = {
		.name = "region",
		.ops = c->entry == CLASS_ENTRY ? &class_ops : NULL,
		.base = c->base ?: CLASS_BASE,
		.size = c->zero_size ? 0 : c->size ?: CLASS_SIZE,
	};
	const struct reserved_mem before = rmem;
	struct rmem_region region = {
		.name = "region",
		.rmem = c->entry == CLASS_NO_ENTRY ? NULL : &rmem,
		/* It must set them. */
		.status = RMEM_INVALID,
		.reason = "stale",
	};
	struct device_node *root = class_unflatten(test, c, &rmem);
	struct device_node *device = class_child(test, class_child(test, root, "soc"), "device");
	unsigned int refs = kref_read(&root->kobj.kref);
	unsigned int device_refs = kref_read(&device->kobj.kref), region_refs;
	LIST_HEAD(regions);

	region.of_node = class_child(test, class_child(test, root, "reserved-memory"), "region");
	region_refs = kref_read(&region.of_node->kobj.kref);
	class_device_init_calls = 0;
	rmem_heap_classify(&region);
	rmem_heap_find_owner(&region);
	list_add(&region.list, &regions);
	rmem_heap_find_users(&regions, root);

	KUNIT_EXPECT_EQ_MSG(test, region.status, c->want, "reason is: %s", region.reason);
	if (c->want == RMEM_AVAILABLE)
		KUNIT_EXPECT_EQ(test, region.mode, c->mode);
	KUNIT_EXPECT_STREQ(test, rmem_heap_kind(&region), regions_kind(&region));
	KUNIT_EXPECT_EQ_MSG(test, region.owned, c->owned, "owner is: %s", region.owner);
	if (c->owner)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(region.owner, c->owner), "owner is: %s",
					  region.owner);
	else if (c->want == RMEM_AVAILABLE)
		KUNIT_EXPECT_STREQ(test, region.owner, "");
	if (c->reason)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(region.reason, c->reason),
					  "reason is: %s", region.reason);
	else
		KUNIT_EXPECT_STREQ(test, region.reason, "");

	/* Judging has no side effect. */
	KUNIT_EXPECT_MEMEQ(test, &rmem, &before, sizeof(rmem));
	KUNIT_EXPECT_EQ(test, class_device_init_calls, 0);
	KUNIT_EXPECT_NULL(test, region.heap);
	KUNIT_EXPECT_NULL(test, region.dev);
	KUNIT_EXPECT_EQ(test, kref_read(&root->kobj.kref), refs);
	KUNIT_EXPECT_EQ(test, kref_read(&device->kobj.kref), device_refs);
	KUNIT_EXPECT_EQ(test, kref_read(&region.of_node->kobj.kref), region_refs);
}

static void class_region(struct kunit *test)
{
	class_check(test, test->param_value);
}

/* Properties that refer to regions, one for each last word */
static void class_words(struct kunit *test)
{
	static const char * const names[] = {
		"boot-region", "ipc-regions", "vendor,memory", "vendor,boot_mem",
		"vendor,scp-shmem", "mailbox-shm", "vendor,msg-ram", "sram", "vendor,vram",
		"vendor,video-carveout", "etr-buffer", "vendor,buffers", "vendor,log-buf",
		"secure-heap", "log,area", "vendor,firmware", "fw",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const struct class_case c = {
			CLASS_REFERRED, .property = names[i],
			.entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_OWNED(CARVEOUT, names[i]),
		};

		class_check(test, &c);
	}
}

/* Properties about memory that are numbers, one for each word */
static void class_numbers(struct kunit *test)
{
	static const char * const names[] = {
		"num-buffers", "memory-size", "mem_sizes", "buffer-count", "ram-width",
		"memory-region-names", "fw,cells", "shmem-offset", "buf-offsets", "fw-len",
		"heap-length", "max-buffers", "min-buffers", "ram-type",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const struct class_case c = {
			CLASS_REFERRED, .property = names[i],
			.entry = CLASS_ENTRY_WITHOUT_OPS, CLASS_FREE(CARVEOUT),
		};

		class_check(test, &c);
	}
}

/* A phandle that two nodes have tells nothing of the second one. */
static void class_same_phandle(struct kunit *test)
{
	static const struct class_case c = { .reg = CLASS_REG };
	struct reserved_mem rmem = { .base = CLASS_BASE, .size = CLASS_SIZE };
	struct device_node *root = class_unflatten(test, &c, &rmem), *np;
	struct rmem_region *regions = kunit_kcalloc(test, 2, sizeof(*regions), GFP_KERNEL);
	LIST_HEAD(list);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, regions);
	np = class_child(test, class_child(test, root, "reserved-memory"), "region");
	for (i = 0; i < 2; i++) {
		regions[i].of_node = np;
		regions[i].rmem = &rmem;
		rmem_heap_classify(&regions[i]);
		list_add_tail(&regions[i].list, &list);
	}
	rmem_heap_find_users(&list, root);
	KUNIT_EXPECT_EQ(test, regions[0].status, RMEM_AVAILABLE);
	KUNIT_EXPECT_EQ(test, regions[1].status, RMEM_INVALID);
	KUNIT_EXPECT_NOT_NULL(test, strstr(regions[1].reason, "another region has its phandle"));
}

static struct kunit_case rmem_heap_classify_cases[] = {
	KUNIT_CASE_PARAM(class_region, class_gen_params),
	KUNIT_CASE(class_words),
	KUNIT_CASE(class_numbers),
	KUNIT_CASE(class_same_phandle),
	{}
};

static struct kunit_suite rmem_heap_classify_suite = {
	.name = "rmem_heap_classify",
	.test_cases = rmem_heap_classify_cases,
};

/* What lists of names say, and which names there can be */

struct match_case {
	const char *list;
	const char *name;
	enum rmem_match match;
};

static const struct match_case match_cases[] = {
	{ "", "bank@1000", RMEM_MATCH_NONE },
	{ ":", "bank@1000", RMEM_MATCH_NONE },
	{ "bank@1000", "bank@1000", RMEM_MATCH_NAME },
	{ "bank", "bank", RMEM_MATCH_NAME },
	{ "a:bank@1000:b", "bank@1000", RMEM_MATCH_NAME },
	{ "a:b:bank@1000", "bank@1000", RMEM_MATCH_NAME },
	{ "::a::bank@1000::", "bank@1000", RMEM_MATCH_NAME },

	/* Names are whole, with their unit address. */
	{ "bank", "bank@1000", RMEM_MATCH_NONE },
	{ "bank@", "bank@1000", RMEM_MATCH_NONE },
	{ "bank@1000", "bank", RMEM_MATCH_NONE },
	{ "bank@1000", "bank@10000", RMEM_MATCH_NONE },
	{ "bank@10000", "bank@1000", RMEM_MATCH_NONE },
	{ "ank@1000", "bank@1000", RMEM_MATCH_NONE },
	{ "BANK@1000", "bank@1000", RMEM_MATCH_NONE },
	{ "!bank", "bank@1000", RMEM_MATCH_NONE },
	{ "!bank@10000", "bank@1000", RMEM_MATCH_NONE },

	/* Commas are part of names, ';' and blanks do not join. */
	{ "linux,bank@1000", "linux,bank@1000", RMEM_MATCH_NAME },
	{ "linux,bank@1000", "bank@1000", RMEM_MATCH_NONE },
	{ "linux,bank@1000", "linux", RMEM_MATCH_NONE },
	{ "a,bank@1000", "bank@1000", RMEM_MATCH_NONE },
	{ "a:linux,bank@1000:b", "linux,bank@1000", RMEM_MATCH_NAME },
	{ "!linux,bank@1000", "linux,bank@1000", RMEM_MATCH_BLOCK },
	{ "a;bank@1000", "bank@1000", RMEM_MATCH_NONE },
	{ "a bank@1000", "bank@1000", RMEM_MATCH_NONE },

	{ "*", "bank@1000", RMEM_MATCH_ALL },
	{ "a:*", "bank@1000", RMEM_MATCH_ALL },
	{ ":*:", "bank@1000", RMEM_MATCH_ALL },
	{ "b*", "bank@1000", RMEM_MATCH_NONE },
	{ "**", "bank@1000", RMEM_MATCH_NONE },
	{ "*@1000", "bank@1000", RMEM_MATCH_NONE },

	{ "!bank@1000", "bank@1000", RMEM_MATCH_BLOCK },
	{ "!a", "bank@1000", RMEM_MATCH_NONE },
	{ "!", "bank@1000", RMEM_MATCH_NONE },
	{ "!:bank@1000", "bank@1000", RMEM_MATCH_NAME },
	{ "!*", "bank@1000", RMEM_MATCH_NONE },
	{ "!!bank@1000", "bank@1000", RMEM_MATCH_NONE },

	/* The strongest word counts, wherever it stands. */
	{ "*:bank@1000", "bank@1000", RMEM_MATCH_NAME },
	{ "bank@1000:*", "bank@1000", RMEM_MATCH_NAME },
	{ "*:!bank@1000", "bank@1000", RMEM_MATCH_BLOCK },
	{ "!bank@1000:*", "bank@1000", RMEM_MATCH_BLOCK },
	{ "bank@1000:!bank@1000", "bank@1000", RMEM_MATCH_BLOCK },
	{ "!bank@1000:bank@1000", "bank@1000", RMEM_MATCH_BLOCK },
	{ "*:!a", "bank@1000", RMEM_MATCH_ALL },
};

static void match_desc(const struct match_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s in \"%s\"", c->name, c->list);
}

KUNIT_ARRAY_PARAM(match, match_cases, match_desc);

static void policy_match(struct kunit *test)
{
	const struct match_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rmem_heap_policy_match(c->list, c->name), c->match);
}

struct words_case {
	const char *list;
	const char *words[4];
};

static const struct words_case words_cases[] = {
	{ "" },
	{ ":" },
	{ ":::" },
	{ "a", { "a" } },
	{ "a:", { "a" } },
	{ ":a", { "a" } },
	{ "a:b", { "a", "b" } },
	{ "::a::!b@1:::*::", { "a", "!b@1", "*" } },
	{ "linux,a@1:b c:d;e", { "linux,a@1", "b c", "d;e" } },
};

KUNIT_ARRAY_PARAM_DESC(words, words_cases, list);

static void policy_next(struct kunit *test)
{
	const struct words_case *c = test->param_value;
	const char *list = c->list, *word;
	size_t len;
	int i;

	for (i = 0; i < ARRAY_SIZE(c->words) && c->words[i]; i++) {
		KUNIT_ASSERT_TRUE(test, rmem_heap_policy_next(&list, &word, &len));
		KUNIT_ASSERT_EQ(test, len, strlen(c->words[i]));
		KUNIT_EXPECT_MEMEQ(test, word, c->words[i], len);
	}

	/* The end stays the end. */
	KUNIT_EXPECT_FALSE(test, rmem_heap_policy_next(&list, &word, &len));
	KUNIT_EXPECT_FALSE(test, rmem_heap_policy_next(&list, &word, &len));
	KUNIT_EXPECT_PTR_EQ(test, list, c->list + strlen(c->list));
}

struct name_case {
	const char *name;
	const char *problem;
};

#define NAME_OF_64	"sixty-four-letters-of-a-name-that-goes-on-for-rather-too-long-so-"
#define NAME_OF_240	"forty-eight-letters-of-a-name-that-has-no-end-inforty-eight-letters-of-a-name-that-has-no-end-inforty-eight-letters-of-a-name-that-has-no-end-inforty-eight-letters-of-a-name-that-has-no-end-inforty-eight-letters-of-a-name-that-has-no-end-in"

static const struct name_case name_cases[] = {
	{ "bank" },
	{ "bank@1000" },
	{ "linux,bank@1000" },
	{ "a.b+c_d-e,f@1,2" },
	{ "b" },
	{ NAME_OF_64 "@1000" },
	{ NAME_OF_240 "@23456789abcdef" },

	{ "", "no name" },
	{ "@1000", "no name" },
	{ "@", "no name" },
	{ NAME_OF_240 "@23456789abcdef0", "too long" },

	{ ".", "no file" },
	{ "..", "no file" },
	{ "...", },

	{ "bank%s@1000", "the name has" },
	{ "%n", "the name has" },
	{ "ba nk", "the name has" },
	{ " bank", "the name has" },
	{ "bank ", "the name has" },
	{ "ba\tnk", "the name has" },
	{ "bank\n", "the name has" },
	{ "ba:nk", "the name has" },
	{ "ba/nk", "the name has" },
	{ "!bank", "the name has" },
	{ "ba!nk", "the name has" },
	{ "b\xc3\xa4nk", "the name has" },
	{ "bank\x7f", "the name has" },
	{ "ba\x01nk", "the name has" },

	{ "system", "another heap" },
	{ "system_cc_shared", "another heap" },
	{ "system_x", "another heap" },
	{ "reserved", "another heap" },
	{ "default_cma_region", "another heap" },
	{ "protected,secure-video", "another heap" },

	/* No heap has these names. */
	{ "systems" },
	{ "system@1000" },
	{ "my-system" },
	{ "reserved@1000" },
	{ "reserved_2" },
	{ "protected@1000" },
	{ "default_cma_region2" },
};

static void name_desc(const struct name_case *c, char *desc)
{
	/* KTAP is for people: nothing that their terminals take for a command */
	if (strlen(c->name) < KUNIT_PARAM_DESC_SIZE / 4)
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "\"%*pE\"", (int)strlen(c->name), c->name);
	else
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu letters", strlen(c->name));
}

KUNIT_ARRAY_PARAM(name, name_cases, name_desc);

static void policy_name(struct kunit *test)
{
	const struct name_case *c = test->param_value;
	const char *problem = rmem_heap_name_problem(c->name);

	if (!c->problem)
		KUNIT_EXPECT_NULL_MSG(test, problem, "problem is: %s", problem);
	else
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(problem ?: "", c->problem),
					  "problem is: %s", problem ?: "none");
}

static struct kunit_case rmem_heap_policy_cases[] = {
	KUNIT_CASE_PARAM(policy_match, match_gen_params),
	KUNIT_CASE_PARAM(policy_next, words_gen_params),
	KUNIT_CASE_PARAM(policy_name, name_gen_params),
	{}
};

static struct kunit_suite rmem_heap_policy_suite = {
	.name = "rmem_heap_policy",
	.test_cases = rmem_heap_policy_cases,
};

/* Who finds which heap; on rmem_heap_test.dts */

struct lookup_case {
	const char *device;
	const char *region;
	enum rmem_heap_mode mode;
};

static const struct lookup_case lookup_cases[] = {
	{ "/cma-noncoherent", "cma@10000000", RMEM_HEAP_CMA },
	{ "/cma-coherent", "cma@10000000", RMEM_HEAP_CMA },
	{ "/coherent-pool", "coherent@11000000", RMEM_HEAP_COHERENT },
	{ "/restricted-noncoherent", "restricted@12000000", RMEM_HEAP_RESTRICTED },
	{ "/odd-coherent", "restricted-odd@13010000", RMEM_HEAP_RESTRICTED },
	{ "/carveout-user", "carveout@15000000", RMEM_HEAP_CARVEOUT },
};

KUNIT_ARRAY_PARAM_DESC(lookup, lookup_cases, device);

static void lookup_found(struct kunit *test)
{
	const struct lookup_case *c = test->param_value;
	struct device *dev = rmem_test_device(test, c->device);
	struct rmem_heap *heap = rmem_heap_find(dev, 0);
	struct rmem_heap_info info;

	KUNIT_ASSERT_PTR_EQ(test, heap, rmem_test_heap(test, c->region));
	rmem_heap_get_info(heap, &info);
	KUNIT_EXPECT_EQ(test, info.mode, c->mode);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 1)), -ENODEV);
}

static void lookup_not_found(struct kunit *test)
{
	struct device *dev;

	/* Its region has no heap, see rmem_heap_driver. */
	dev = rmem_test_device(test, "/bouncing");
	KUNIT_EXPECT_TRUE(test, IS_ERR(rmem_heap_find(dev, 0)));
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 1)), -ENODEV);

	/* It has no region. */
	dev = rmem_test_device(test, "/free");
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 0)), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find_by_name(dev, "pool")), -ENODEV);

	/* It has no node. */
	dev = kunit_device_register(test, "rmem-heap-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 0)), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find_by_name(dev, "pool")), -ENODEV);
}

static void lookup_by_name(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/coherent-pool");

	KUNIT_EXPECT_PTR_EQ(test, rmem_heap_find_by_name(dev, "pool"),
			    rmem_test_heap(test, "coherent@11000000"));
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find_by_name(dev, "poo")), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find_by_name(dev, "coherent@11000000")),
			-ENODEV);

	/* No names at all */
	dev = rmem_test_device(test, "/cma-coherent");
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find_by_name(dev, "pool")), -ENODEV);
}

/* A node elsewhere that is called like a region is not that region. */
static void lookup_namesake(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "rmem-heap-test");
	struct device_node *user = of_find_node_by_path("/shadow-user");
	struct device_node *np = of_parse_phandle(user, "memory-region", 0);
	struct rmem_region *region = rmem_test_region(test, "cma@10000000");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL_MSG(test, np, "boot with rmem_heap_test.dts");
	KUNIT_ASSERT_STREQ(test, kbasename(np->full_name), region->name);
	KUNIT_ASSERT_PTR_NE(test, np, region->of_node);
	/* By name, it is taken for the region; else this would test nothing. */
	KUNIT_ASSERT_PTR_EQ(test, of_reserved_mem_lookup(np), region->rmem);

	device_set_node(dev, of_fwnode_handle(user));
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 0)), -ENODEV);
	/* As if an overlay had added it. Who runs the tests looks for the message in the log. */
	of_node_set_flag(np, OF_DYNAMIC);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_find(dev, 0)), -ENODEV);
	of_node_clear_flag(np, OF_DYNAMIC);
	device_set_node(dev, NULL);

	of_node_put(np);
	of_node_put(user);
}

static void lookup_owns_cma_area(struct kunit *test)
{
	const struct cma *cma = rmem_test_region(test, "cma@10000000")->rmem->priv;
	const struct cma *dynamic = rmem_test_region(test, "dynamic")->rmem->priv;
	const struct cma *held = rmem_test_region(test, "held@1b000000")->rmem->priv;
	/* Its name is "": what an area is made of is mm's to know. */
	const void *other = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, other);

	/* Under its own name it is ours, under the other cma_heap's. */
	KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(cma, false));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(cma, true));
	KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(dynamic, false));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(dynamic, true));

	KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(held, false));
	KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(held, true));

	/* None of our areas */
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(other, false));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(other, true));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(NULL, false));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(NULL, true));
}

/**
 * struct lookup_refused - a region that is refused, and an area that no region has
 * @name: name of both
 * @mode: mode of the region
 * @owned: the area is kept from cma_heap
 */
struct lookup_refused {
	const char *name;
	enum rmem_heap_mode mode;
	bool owned;
};

static const struct lookup_refused lookup_refused_cases[] = {
	/* One of two nodes of one name: the area is the other's */
	{ "twin@1000", RMEM_HEAP_CMA, true },
	{ "twin@1000", RMEM_HEAP_CARVEOUT, false },
	/* The area of cma= has this name */
	{ "reserved", RMEM_HEAP_CARVEOUT, false },
	{ "reserved", RMEM_HEAP_COHERENT, false },
	{ "reserved", RMEM_HEAP_CMA, false },
};

/* A node with the name of another heap is refused, and does not hide that heap */
static void lookup_hides_nothing(struct kunit *test)
{
	const struct cma *cma = rmem_test_region(test, "cma@10000000")->rmem->priv;
	void *area = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	for (i = 0; i < ARRAY_SIZE(lookup_refused_cases); i++) {
		const struct lookup_refused *c = &lookup_refused_cases[i];
		struct rmem_region region = {
			.name = c->name, .mode = c->mode, .status = RMEM_INVALID,
		};

		/* What an area is made of is mm's to know, but not where its name is. */
		strscpy(area + (cma_get_name(cma) - (const char *)cma), c->name, 64);
		KUNIT_ASSERT_STREQ(test, cma_get_name(area), c->name);
		list_add_tail(&region.list, &rmem_regions);
		KUNIT_EXPECT_EQ_MSG(test, rmem_heap_owns_cma_area(area, false), c->owned,
				    "%s, mode %d", c->name, c->mode);
		KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(area, true));
		list_del(&region.list);
	}
}

/* The area of a refused region is no heap, but a name that no heap can have hides no other name */
static void lookup_refused_area(struct kunit *test)
{
	static const char * const names[] = { "refused@1000", "reserved" };
	void *area = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct reserved_mem rmem = { .priv = area };
		struct rmem_region region = {
			.name = names[i], .mode = RMEM_HEAP_CMA, .status = RMEM_INVALID,
			.rmem = &rmem,
		};

		list_add_tail(&region.list, &rmem_regions);
		KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(area, false));
		KUNIT_EXPECT_EQ(test, rmem_heap_owns_cma_area(area, true), !i);
		list_del(&region.list);
	}
}

/* The area of a region that has an owner is no heap; default_cma_region may be one */
static void lookup_owned_area(struct kunit *test)
{
	struct reserved_mem rmem = { .priv = kunit_kzalloc(test, SZ_4K, GFP_KERNEL) };
	struct rmem_region region = {
		.name = "owned@1000", .mode = RMEM_HEAP_CMA, .owned = true, .rmem = &rmem,
	};

	KUNIT_ASSERT_NOT_NULL(test, rmem.priv);
	list_add_tail(&region.list, &rmem_regions);
	KUNIT_EXPECT_TRUE(test, rmem_heap_owns_cma_area(rmem.priv, false));
	KUNIT_EXPECT_FALSE(test, rmem_heap_owns_cma_area(rmem.priv, true));
	list_del(&region.list);
}

static struct kunit_case rmem_heap_lookup_cases[] = {
	KUNIT_CASE_PARAM(lookup_found, lookup_gen_params),
	KUNIT_CASE(lookup_not_found),
	KUNIT_CASE(lookup_by_name),
	KUNIT_CASE(lookup_namesake),
	KUNIT_CASE(lookup_owns_cma_area),
	KUNIT_CASE(lookup_hides_nothing),
	KUNIT_CASE(lookup_refused_area),
	KUNIT_CASE(lookup_owned_area),
	{}
};

static struct kunit_suite rmem_heap_lookup_suite = {
	.name = "rmem_heap_lookup",
	.test_cases = rmem_heap_lookup_cases,
};

kunit_test_suites(&rmem_heap_regions_suite, &rmem_heap_classify_suite, &rmem_heap_policy_suite,
		  &rmem_heap_lookup_suite);
