// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: mode, status and backing of a region.
 *
 * Decided by what the kernel did with the node at early boot and by what the memory map has
 * there, not by what the node asks for. Nothing here has a side effect.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/cma.h>
#include <linux/ctype.h>
#include <linux/initrd.h>
#include <linux/ioport.h>
#include <linux/libfdt.h>
#include <linux/limits.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_fdt.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include <asm/sections.h>

#include "rmem.h"

/* The mode of a region, or the status that leaves it without a heap, as text */
const char *rmem_heap_kind(const struct rmem_region *region)
{
	static const char * const modes[] = {
		[RMEM_HEAP_CMA] = "cma",
		[RMEM_HEAP_COHERENT] = "coherent",
		[RMEM_HEAP_RESTRICTED] = "restricted",
		[RMEM_HEAP_CARVEOUT] = "carveout",
	};
	static const char * const statuses[] = {
		[RMEM_OWNED] = "owned",
		[RMEM_DISABLED] = "disabled",
		[RMEM_INVALID] = "refused",
	};

	if (region->status == RMEM_AVAILABLE || rmem_region_heap(region))
		return modes[region->mode];
	return statuses[region->status];
}

/* Sets the status of a region and its cause, which completes "not exported: " */
void rmem_heap_set_status(struct rmem_region *region, enum rmem_status status,
			  const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(region->reason, sizeof(region->reason), fmt, args);
	va_end(args);
	region->status = status;
}

/*
 * Why the name of a node cannot be the name of a heap, or NULL. dma-heap creates a device of
 * that name, and dumps a stack if the name is in use.
 */
const char *rmem_heap_name_problem(const char *name)
{
	static const char * const taken[] = { "system", "reserved", "default_cma_region" };
	const char *c;

	if (!*name || *name == '@')
		return "the node has no name";
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return "the name is that of a folder";
	if (strlen(name) > NAME_MAX)
		return "the name is too long for a device node";
	for (c = name; *c; c++)
		if (*c == '%' || *c == ':' || *c == '/' || *c == '!' || !isascii(*c) ||
		    !isgraph(*c))
			return "the name has blanks, '%', '!', ':' or '/'";
	if (match_string(taken, ARRAY_SIZE(taken), name) >= 0 ||
	    str_has_prefix(name, "system_") || str_has_prefix(name, "protected,"))
		return "the name belongs to another heap";
	return NULL;
}

/*
 * Number of cells in the addresses and sizes of regions. They must be those of the root:
 * the core takes no region otherwise.
 */
static bool region_count_cells(const struct device_node *np, u32 *na, u32 *ns)
{
	const struct device_node *parent = np->parent, *root = parent->parent;
	u32 root_na, root_ns;

	return !of_property_read_u32(parent, "#address-cells", na) &&
	       !of_property_read_u32(parent, "#size-cells", ns) &&
	       root && !of_property_read_u32(root, "#address-cells", &root_na) &&
	       !of_property_read_u32(root, "#size-cells", &root_ns) &&
	       *na == root_na && *ns == root_ns && *na <= 2 && *ns <= 2 &&
	       of_property_present(parent, "ranges");
}

/* Reads n cells of a property, from number @cell on; 0 if the property is too short */
static u64 region_read_cells(const struct device_node *np, const char *name, int cell, int n)
{
	const __be32 *cells;
	int len;

	cells = of_get_property(np, name, &len);
	if (!cells || len < (cell + n) * (int)sizeof(*cells))
		return 0;
	return of_read_number(cells + cell, n);
}

/* The core has no entry for a node, and its message does not always name node and cause. */
static void region_explain_no_entry(struct rmem_region *region)
{
	struct device_node *np = region->of_node;
	const char *why = "the kernel refused the node, see \"Reserved memory\" above";
	u32 na, ns;
	u64 size;

	if (!region_count_cells(np, &na, &ns)) {
		rmem_heap_set_status(region, RMEM_INVALID,
				     "%pOF needs ranges, and the #address-cells and #size-cells of the root",
				     np->parent);
		return;
	}

	size = region_read_cells(np, "reg", na, ns);
	if (!of_property_present(np, "reg"))
		why = of_property_present(np, "size") ?
			"there was no memory for it at boot, or its alignment is bad" :
			"it has neither reg nor size";
	else if (!size)
		why = "its size is 0, or its reg is cut short";
	else if (region->mode == RMEM_HEAP_RESTRICTED &&
		 (of_property_present(np, "no-map") || of_property_present(np, "reusable")))
		why = "a restricted pool can be neither no-map nor reusable";
#ifdef CONFIG_CMA
	else if (region->mode == RMEM_HEAP_CMA &&
		 !IS_ALIGNED(region_read_cells(np, "reg", 0, na) | size,
			     CMA_MIN_ALIGNMENT_BYTES)) {
		rmem_heap_set_status(region, RMEM_INVALID,
				     "base and size of a CMA area must be multiples of %lu KiB",
				     CMA_MIN_ALIGNMENT_BYTES / SZ_1K);
		return;
	}
#endif
	rmem_heap_set_status(region, RMEM_INVALID, "%s", why);
}

/* Sets the status of a region that the node itself, or its entry, makes unusable */
static bool region_is_unusable(struct rmem_region *region, bool pool, bool both, bool reusable)
{
	const struct device_node *np = region->of_node;
	const struct reserved_mem *rmem = region->rmem;

	if (!of_device_is_available(np)) {
		rmem_heap_set_status(region, RMEM_DISABLED, "its status is not \"okay\"");
	} else if (of_property_count_strings(np, "compatible") == -EILSEQ) {
		/* The node may name an owner that cannot be read. */
		rmem_heap_set_status(region, RMEM_INVALID,
				     "its compatible is not a list of strings");
	} else if (!rmem) {
		region_explain_no_entry(region);
	} else if (both) {
		/* The order in which the allocators are linked decides which one took it. */
		rmem_heap_set_status(region, RMEM_INVALID, "it says to be two kinds of pool");
	} else if ((pool || reusable) && !rmem->ops) {
		rmem_heap_set_status(region, RMEM_INVALID, "no allocator took the node: %s",
				     !pool ? "reusable memory must be a shared-dma-pool" :
				     reusable && of_property_read_bool(np, "no-map") ?
				     "it cannot be both reusable and no-map" :
				     "is the one for it configured into the kernel?");
	} else if (!IS_ALIGNED(rmem->base | rmem->size, PAGE_SIZE)) {
		rmem_heap_set_status(region, RMEM_INVALID,
				     "its base and size must be multiples of the page size, %lu",
				     PAGE_SIZE);
	} else if (rmem->size > ULONG_MAX - PAGE_SIZE || rmem->base + rmem->size <= rmem->base) {
		/* Lengths of buffers are size_t. */
		rmem_heap_set_status(region, RMEM_INVALID, "its size is not usable");
	} else if (IS_ENABLED(CONFIG_DMA_GLOBAL_POOL) && region->mode == RMEM_HEAP_COHERENT &&
		   of_property_read_bool(np, "linux,dma-default")) {
		/* The global pool has a bitmap of its own over the same memory. */
		rmem_heap_set_status(region, RMEM_INVALID,
				     "it is the global pool (linux,dma-default)");
	} else {
		return false;
	}
	return true;
}

/*
 * Sets mode and status of a region whose name, of_node and rmem are set, by what the core did
 * with the node: the memory of a node that was refused has gone back to the system.
 * rmem_heap_find_referrers() and rmem_heap_validate() may change the status.
 */
void rmem_heap_classify(struct rmem_region *region)
{
	const struct device_node *np = region->of_node;
	bool shared = of_device_is_compatible(np, "shared-dma-pool");
	bool restricted = of_device_is_compatible(np, "restricted-dma-pool");
	bool reusable = of_property_read_bool(np, "reusable");
	bool pool = shared || restricted;
	const char *compatible;
	struct property *prop;

	region->status = RMEM_AVAILABLE;
	region->reason[0] = '\0';

	if (!pool)
		region->mode = RMEM_HEAP_CARVEOUT;
	else if (restricted && !(shared && reusable))
		region->mode = RMEM_HEAP_RESTRICTED;
	else
		region->mode = reusable ? RMEM_HEAP_CMA : RMEM_HEAP_COHERENT;

	if (region_is_unusable(region, pool, shared && restricted, reusable))
		return;

	of_property_for_each_string(np, "compatible", prop, compatible) {
		if (strcmp(compatible, "shared-dma-pool") &&
		    strcmp(compatible, "restricted-dma-pool")) {
			rmem_heap_set_status(region, RMEM_OWNED,
					     "it belongs to the driver of %s", compatible);
			return;
		}
	}
	if (!pool && region->rmem->ops)
		rmem_heap_set_status(region, RMEM_OWNED, "it belongs to another driver");
	else if (of_property_present(np, "iommu-addresses"))
		rmem_heap_set_status(region, RMEM_OWNED, "it has iommu-addresses");
}

/*
 * Makes carveouts owned that a device refers to. Walks the tree of the classified regions once,
 * from its root on; it need not be the live tree.
 */
void rmem_heap_find_referrers(const struct list_head *regions, struct device_node *root)
{
	struct rmem_region *region;
	struct xarray by_phandle;
	struct device_node *np;
	int i, len, ret;

	xa_init(&by_phandle);
	list_for_each_entry(region, regions, list) {
		if (region->status != RMEM_AVAILABLE || region->mode != RMEM_HEAP_CARVEOUT ||
		    !region->of_node->phandle)
			continue;
		ret = xa_insert(&by_phandle, region->of_node->phandle, region, GFP_KERNEL);
		if (ret)
			rmem_heap_set_status(region, RMEM_INVALID,
					     "the devices that refer to it are not known (error %d)",
					     ret);
	}

	for (np = of_node_get(root); np && !xa_empty(&by_phandle); np = of_find_all_nodes(np)) {
		const __be32 *cells = of_get_property(np, "memory-region", &len);

		for (i = 0; cells && i < len / (int)sizeof(*cells); i++) {
			/* The first referrer is the one that is named. */
			region = xa_erase(&by_phandle, be32_to_cpu(cells[i]));
			if (region)
				rmem_heap_set_status(region, RMEM_OWNED, "%pOF refers to it",
						     np);
		}
	}
	of_node_put(np);
	xa_destroy(&by_phandle);
}

static phys_addr_t __init region_common_size(const struct reserved_mem *rmem,
					     const struct memblock_region *mem)
{
	phys_addr_t start = max(rmem->base, mem->base);
	phys_addr_t end = min(rmem->base + rmem->size, mem->base + mem->size);

	return start < end ? end - start : 0;
}

static bool __init region_overlaps(const struct reserved_mem *rmem, phys_addr_t base,
				   phys_addr_t size)
{
	struct resource a = DEFINE_RES_MEM(rmem->base, rmem->size);
	struct resource b = DEFINE_RES_MEM(base, size);

	return rmem->size && size && resource_overlaps(&a, &b);
}

/*
 * Looks a region up in the memory map of the boot, before memblock is discarded. The core has
 * entries for memory that it could not reserve, and reserves without complaint memory that the
 * kernel, its early allocations, the initrd or the device tree lie in.
 */
enum rmem_backing __init rmem_heap_find_backing(const struct rmem_region *region)
{
	/* Memory that memblock found for a dynamic region is an early allocation, too. */
	bool fixed = of_property_present(region->of_node, "reg");
	const struct reserved_mem *rmem = region->rmem;
	phys_addr_t mapped = 0, reserved = 0;
	struct memblock_region *mem;

	for_each_mem_region(mem)
		if (!memblock_is_nomap(mem))
			mapped += region_common_size(rmem, mem);
	for_each_reserved_mem_region(mem) {
		phys_addr_t common = region_common_size(rmem, mem);

		if (fixed && common && (mem->flags & MEMBLOCK_RSRV_KERN))
			return RMEM_BACKING_BAD;
		reserved += common;
	}

	if (region_overlaps(rmem, __pa_symbol(_text), _end - _text) ||
	    region_overlaps(rmem, initial_boot_params_pa, fdt_totalsize(initial_boot_params)))
		return RMEM_BACKING_BAD;
#ifdef CONFIG_BLK_DEV_INITRD
	if (initrd_start &&
	    region_overlaps(rmem, __pa(initrd_start), initrd_end - initrd_start))
		return RMEM_BACKING_BAD;
#endif
	if (!mapped)
		return RMEM_BACKING_UNMAPPED;
	return mapped == rmem->size && reserved == rmem->size ? RMEM_BACKING_LINEAR :
								RMEM_BACKING_BAD;
}

/* The addresses and the name of a region, to be sorted */
struct region_range {
	struct resource res;
	struct rmem_region *region;
};

static int __init region_cmp_names(const void *a, const void *b)
{
	return strcmp(((const struct region_range *)a)->res.name,
		      ((const struct region_range *)b)->res.name);
}

static int __init region_cmp_starts(const void *a, const void *b)
{
	return cmp_int(((const struct region_range *)a)->res.start,
		       ((const struct region_range *)b)->res.start);
}

/* Makes a region invalid, unless its status says already why it can have no heap */
#define region_invalidate(_region, ...) do {						\
	struct rmem_region *__region = (_region);					\
											\
	if (__region->status == RMEM_AVAILABLE || __region->status == RMEM_OWNED)	\
		rmem_heap_set_status(__region, RMEM_INVALID, __VA_ARGS__);		\
} while (0)

/*
 * The core finds entries by name, so which of two nodes of one name has the entry is unknown: the
 * addresses of both are those of their nodes.
 */
static void __init region_check_namesakes(struct region_range *ranges, size_t n)
{
	u64 base, size;
	size_t i;

	sort(ranges, n, sizeof(*ranges), region_cmp_names, NULL);
	for (i = 0; i < n; i++) {
		struct region_range *range = &ranges[i];

		if ((!i || region_cmp_names(range - 1, range)) &&
		    (i + 1 == n || region_cmp_names(range, range + 1)))
			continue;
		region_invalidate(range->region, "two nodes have this name");
		if (range->region->rmem &&
		    !of_property_read_reg(range->region->of_node, 0, &base, &size))
			resource_set_range(&range->res, base, size);
	}
}

static void __init region_check_overlaps(struct region_range *ranges, size_t n)
{
	/* The range that reaches furthest of those that start below the current one */
	const struct region_range *furthest = NULL;
	size_t i;

	sort(ranges, n, sizeof(*ranges), region_cmp_starts, NULL);
	for (i = 0; i < n; i++) {
		const struct region_range *range = &ranges[i];

		/* A region without an entry has no memory. */
		if (!resource_size(&range->res))
			continue;
		if (furthest && resource_overlaps(&furthest->res, &range->res)) {
			region_invalidate(range->region, "it overlaps %s", furthest->res.name);
			region_invalidate(furthest->region, "it overlaps %s", range->res.name);
		}
		if (!furthest || range->res.end > furthest->res.end)
			furthest = range;
	}
}

/* Checks that the memory is reserved, and memory that the allocator can use */
static void __init region_check_memory(struct rmem_region *region)
{
	const struct reserved_mem *rmem = region->rmem;

	if (region->backing == RMEM_BACKING_BAD ||
	    (region->backing == RMEM_BACKING_LINEAR &&
	     of_property_read_bool(region->of_node, "no-map")))
		region_invalidate(region,
				  "its memory is not reserved, or the kernel, initrd or device tree lie in it");
	/* memremap(MEMREMAP_WC) of System RAM returns NULL with a WARN. */
	else if (region->mode == RMEM_HEAP_COHERENT &&
		 region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				   IORES_DESC_NONE) != REGION_DISJOINT)
		region_invalidate(region, "a coherent pool in RAM needs no-map here");
	/* swiotlb reaches the memory of a pool through the linear map. */
	else if (region->mode == RMEM_HEAP_RESTRICTED &&
		 (region->backing != RMEM_BACKING_LINEAR ||
		  PageHighMem(phys_to_page(rmem->base + rmem->size - 1))))
		region_invalidate(region, "a restricted pool must be in the linear map");
}

/*
 * Makes those of the classified regions invalid whose name cannot be the name of a heap, or
 * whose memory is not reserved for them alone.
 */
void __init rmem_heap_validate(const struct list_head *regions)
{
	size_t i = 0, n = list_count_nodes((struct list_head *)regions);
	struct region_range *ranges = kcalloc(n, sizeof(*ranges), GFP_KERNEL);
	struct rmem_region *region;

	list_for_each_entry(region, regions, list) {
		const char *problem = rmem_heap_name_problem(region->name);
		const struct reserved_mem *rmem = region->rmem;

		if (problem)
			region_invalidate(region, "%s", problem);
		if (!ranges) {
			region_invalidate(region, "there was no memory to check the regions");
			continue;
		}
		ranges[i].region = region;
		ranges[i++].res = DEFINE_RES_MEM_NAMED(rmem ? rmem->base : 0,
						       rmem ? rmem->size : 0, region->name);
	}
	if (!ranges)
		return;

	region_check_namesakes(ranges, n);
	region_check_overlaps(ranges, n);
	kfree(ranges);
	list_for_each_entry(region, regions, list)
		if (region->rmem)
			region_check_memory(region);
}
