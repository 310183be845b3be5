// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: whether a region is memory, and nobody else's.
 *
 * The memory map of the boot tells it, so this runs before memblock is discarded. Nothing here
 * has a side effect.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/crash_dump.h>
#include <linux/initrd.h>
#include <linux/ioport.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_fdt.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include <asm/sections.h>

#include "rmem.h"

static u64 __init memory_common_size(const struct reserved_mem *rmem,
				     const struct memblock_region *mem)
{
	u64 start = max(rmem->base, mem->base);
	u64 end = min((u64)rmem->base + rmem->size, (u64)mem->base + mem->size);

	return start < end ? end - start : 0;
}

static bool __init memory_overlaps(const struct reserved_mem *rmem, phys_addr_t base,
				   phys_addr_t size)
{
	struct resource a = DEFINE_RES_MEM(rmem->base, rmem->size);
	struct resource b = DEFINE_RES_MEM(base, size);

	return rmem->size && size && resource_overlaps(&a, &b);
}

static u64 __init memory_count_ram(const struct reserved_mem *rmem)
{
	struct memblock_region *mem;
	u64 ram = 0;

	for_each_mem_region(mem)
		ram += memory_common_size(rmem, mem);
	return ram;
}

/* The core has no entry for a CMA area that is not all RAM: mm/cma.c would free what is no RAM. */
static void __init memory_explain_area(struct rmem_region *region)
{
	struct reserved_mem mem = { };
	u64 base, size, ram;

	/* Other causes come first. */
	if (!str_has_prefix(region->reason, "the kernel could not reserve") ||
	    !rmem_heap_has_reg(region->of_node) ||
	    of_property_read_reg(region->of_node, 0, &base, &size))
		return;
	mem.base = base;
	mem.size = size;
	ram = memory_count_ram(&mem);
	if (ram != size)
		rmem_heap_set_status(region, RMEM_INVALID, "only %llu of %llu KiB are RAM",
				     ram / SZ_1K, size / SZ_1K);
}

/* The addresses and the name of a region, to be sorted */
struct memory_range {
	struct resource res;
	struct rmem_region *region;
};

static int __init memory_cmp_names(const void *a, const void *b)
{
	return strcmp(((const struct memory_range *)a)->res.name,
		      ((const struct memory_range *)b)->res.name);
}

static int __init memory_cmp_starts(const void *a, const void *b)
{
	return cmp_int(((const struct memory_range *)a)->res.start,
		       ((const struct memory_range *)b)->res.start);
}

/*
 * The core finds entries by name, so which of two nodes of one name has the entry is unknown: the
 * addresses of both are those of their nodes.
 */
static void __init memory_check_namesakes(struct memory_range *ranges, size_t n)
{
	u64 base, size;
	size_t i;

	sort(ranges, n, sizeof(*ranges), memory_cmp_names, NULL);
	for (i = 0; i < n; i++) {
		struct memory_range *range = &ranges[i];

		if ((!i || memory_cmp_names(range - 1, range)) &&
		    (i + 1 == n || memory_cmp_names(range, range + 1)))
			continue;
		/* Nor is it known whose operations the entry has. */
		range->region->owned = false;
		rmem_invalidate(range->region, "two nodes have this name");
		if (range->region->rmem &&
		    !of_property_read_reg(range->region->of_node, 0, &base, &size))
			resource_set_range(&range->res, base, size);
	}
}

static void __init memory_check_overlaps(struct memory_range *ranges, size_t n)
{
	/* The range that reaches furthest of those that start below the current one */
	const struct memory_range *furthest = NULL;
	size_t i;

	sort(ranges, n, sizeof(*ranges), memory_cmp_starts, NULL);
	for (i = 0; i < n; i++) {
		const struct memory_range *range = &ranges[i];

		/* A region without an entry has no memory. */
		if (!resource_size(&range->res))
			continue;
		if (furthest && resource_overlaps(&furthest->res, &range->res)) {
			rmem_invalidate(range->region, "it overlaps %s", furthest->res.name);
			rmem_invalidate(furthest->region, "it overlaps %s", range->res.name);
		}
		if (!furthest || range->res.end > furthest->res.end)
			furthest = range;
	}
}

/*
 * A capture kernel has the device tree of the kernel that crashed, whose data the regions hold.
 * Only linux,usable-memory-range is its own memory.
 */
static void __init memory_check_usable(struct rmem_region *region)
{
	const struct reserved_mem *rmem = region->rmem;
	const char *usable = "linux,usable-memory-range";
	u64 common = 0, given = 0;
	u32 na = 1, ns = 1;
	int i, n;

	if (is_kdump_kernel()) {
		rmem_invalidate(region,
				"this is a capture kernel, and the memory may be the crashed kernel's");
		return;
	}
	of_property_read_u32(of_root, "#address-cells", &na);
	of_property_read_u32(of_root, "#size-cells", &ns);
	n = of_chosen ? rmem_heap_count_entries(of_chosen, usable, na, ns) : -1;
	for (i = 0; i < n; i++) {
		int cell = i * (na + ns);
		struct memblock_region range = {
			.base = rmem_heap_read_cells(of_chosen, usable, cell, na),
			.size = rmem_heap_read_cells(of_chosen, usable, cell + na, ns),
		};

		given += range.size;
		common += memory_common_size(rmem, &range);
	}
	/* Without a size the core ignores the property. */
	if (given && !common)
		rmem_invalidate(region, "it lies outside of %s: its memory is another kernel's",
				usable);
}

/* Memory that the kernel itself, its boot or the reservation block of the tree use */
static void __init memory_check_conflicts(struct rmem_region *region)
{
	/* Memory that memblock found for a dynamic region is an early allocation, too. */
	bool fixed = rmem_heap_has_reg(region->of_node);
	const struct reserved_mem *rmem = region->rmem;
	struct memblock_region *mem;
	u64 base, size;
	int n;

	if (memory_overlaps(rmem, __pa_symbol(_text), _end - _text))
		rmem_invalidate(region, "the kernel lies in it");
	if (memory_overlaps(rmem, initial_boot_params_pa, fdt_totalsize(initial_boot_params)))
		rmem_invalidate(region, "the device tree lies in it");
#ifdef CONFIG_BLK_DEV_INITRD
	if (initrd_start &&
	    memory_overlaps(rmem, __pa(initrd_start), initrd_end - initrd_start))
		rmem_invalidate(region, "the initrd lies in it");
#endif
	for_each_reserved_mem_region(mem)
		if (fixed && mem->flags & MEMBLOCK_RSRV_KERN && memory_common_size(rmem, mem))
			rmem_invalidate(region, "the kernel has allocated memory in it at boot");

	for (n = 0; !fdt_get_mem_rsv(initial_boot_params, n, &base, &size) && size; n++) {
		struct memblock_region rsv = { .base = base, .size = size };
		u64 common = memory_common_size(rmem, &rsv);

		/* A boot loader that lists a region in full has read the same nodes. */
		if (common && !(fixed && common == rmem->size))
			rmem_invalidate(region,
					"the reservation block of the tree has 0x%llx, %llu KiB",
					base, size / SZ_1K);
	}
}

/*
 * Looks a region up in the memory map of the boot, before memblock is discarded. The core has
 * entries for memory that it could not reserve, and reserves without complaint memory that is
 * in use, or no RAM. no-map memory that is RAM stays in memblock.memory.
 */
static void __init memory_check_map(struct rmem_region *region)
{
	bool no_map = of_property_read_bool(region->of_node, "no-map");
	const struct reserved_mem *rmem = region->rmem;
	u64 mapped = 0, ram = memory_count_ram(rmem), reserved = 0;
	struct memblock_region *mem;

	for_each_mem_region(mem)
		if (!memblock_is_nomap(mem))
			mapped += memory_common_size(rmem, mem);
	for_each_reserved_mem_region(mem)
		reserved += memory_common_size(rmem, mem);
	region->linear = mapped == rmem->size && reserved == rmem->size;

	if (ram && ram != rmem->size)
		rmem_invalidate(region, "only %llu of %llu KiB are RAM", ram / SZ_1K,
				(u64)rmem->size / SZ_1K);
	else if (mapped && no_map)
		rmem_invalidate(region,
				"it is no-map, but the kernel maps %llu of %llu KiB: they were reserved before",
				mapped / SZ_1K, (u64)rmem->size / SZ_1K);
	else if (mapped && mapped != rmem->size)
		rmem_invalidate(region, "the kernel maps only %llu of %llu KiB, the rest is no-map",
				mapped / SZ_1K, (u64)rmem->size / SZ_1K);
	else if (mapped && !region->linear)
		rmem_invalidate(region,
				"only %llu of %llu KiB are reserved, the kernel uses the rest",
				reserved / SZ_1K, (u64)rmem->size / SZ_1K);
	/* memremap(MEMREMAP_WC) of System RAM returns NULL with a WARN. */
	else if (region->mode == RMEM_HEAP_COHERENT &&
		 region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				   IORES_DESC_NONE) != REGION_DISJOINT)
		rmem_invalidate(region, "a coherent pool in RAM needs no-map on this architecture");
	else if (region->mode == RMEM_HEAP_CMA && !ram)
		rmem_invalidate(region, "a CMA area must be RAM");
	/* swiotlb reaches the memory of a pool through the linear map. */
	else if (region->mode == RMEM_HEAP_RESTRICTED &&
		 (!region->linear ||
		  PageHighMem(phys_to_page(rmem->base + rmem->size - 1))))
		rmem_invalidate(region, "a restricted pool must be in the linear map");
}

/*
 * Makes those of the classified regions invalid whose name cannot be the name of a heap, or
 * whose memory is not reserved for them alone.
 */
void __init rmem_heap_validate(const struct list_head *regions)
{
	size_t i = 0, n = list_count_nodes((struct list_head *)regions);
	struct memory_range *ranges = kcalloc(n, sizeof(*ranges), GFP_KERNEL);
	struct rmem_region *region;

	list_for_each_entry(region, regions, list) {
		const char *problem = rmem_heap_name_problem(region->name);
		const struct reserved_mem *rmem = region->rmem;

		if (problem)
			rmem_invalidate(region, "%s", problem);
		if (!ranges) {
			rmem_invalidate(region, "there was no memory to check the regions");
			continue;
		}
		ranges[i].region = region;
		ranges[i++].res = DEFINE_RES_MEM_NAMED(rmem ? rmem->base : 0,
						       rmem ? rmem->size : 0, region->name);
	}
	if (!ranges)
		return;

	memory_check_namesakes(ranges, n);
	memory_check_overlaps(ranges, n);
	kfree(ranges);
	list_for_each_entry(region, regions, list) {
		if (region->rmem) {
			memory_check_usable(region);
			memory_check_conflicts(region);
			memory_check_map(region);
		} else if (region->mode == RMEM_HEAP_CMA) {
			memory_explain_area(region);
		}
	}
}
