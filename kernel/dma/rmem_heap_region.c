// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: mode and status of a region.
 *
 * Decided by what the kernel did with the node at early boot and by what the memory map has
 * there, not by what the node asks for. Nothing here has a side effect.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/cma.h>
#include <linux/crash_dump.h>
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
		[RMEM_DISABLED] = "disabled",
		[RMEM_INVALID] = "refused",
	};

	if (rmem_region_heap(region))
		return modes[region->mode];
	/* What an allocator could do with the memory of others is not their fault. */
	if (region->owned && region->rmem && region->status != RMEM_DISABLED)
		return "owned";
	return region->status == RMEM_AVAILABLE ? modes[region->mode] : statuses[region->status];
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

/* Makes a region invalid, unless its status says already why it can have no heap */
#define region_invalidate(_region, ...) do {					\
	struct rmem_region *__region = (_region);				\
										\
	if (__region->status == RMEM_AVAILABLE)					\
		rmem_heap_set_status(__region, RMEM_INVALID, __VA_ARGS__);	\
} while (0)

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

/* MAX_RESERVED_REGIONS of drivers/of, the core's limit for regions without reg */
#define REGION_MAX_DYNAMIC	64

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

/* Number of cells of a property, -1 if there is no such property */
static int region_count_cells(const struct device_node *np, const char *name)
{
	int len;

	return of_get_property(np, name, &len) ? len / (int)sizeof(__be32) : -1;
}

/* The core takes no region if it cannot read the cells of all. */
static void region_explain_parent(struct rmem_region *region, u32 *na, u32 *ns)
{
	struct device_node *parent = region->of_node->parent, *root = parent->parent;
	u32 root_na = 1, root_ns = 1;

	if (of_property_read_u32(parent, "#address-cells", na) ||
	    of_property_read_u32(parent, "#size-cells", ns))
		region_invalidate(region,
				  "%pOF must have the #address-cells and #size-cells of the root",
				  parent);
	of_property_read_u32(root, "#address-cells", &root_na);
	of_property_read_u32(root, "#size-cells", &root_ns);
	if (*na != root_na || *ns != root_ns || *na > 2 || *ns > 2)
		region_invalidate(region,
				  "#address-cells and #size-cells of %pOF are %u and %u, those of the root %u and %u",
				  parent, *na, *ns, root_na, root_ns);
	if (!of_property_present(parent, "ranges"))
		region_invalidate(region, "%pOF must have ranges", parent);
}

/* Why cma= takes the place of the area with linux,cma-default; NULL without cma= */
static const char *region_cma_on_cmdline;

static int __init region_note_cma(char *arg)
{
	region_cma_on_cmdline = arg && memparse(arg, NULL) ?
		"cma= on the command line replaces it; the heap is default_cma_region" :
		"cma=0 on the command line replaces it: there is no default area";
	return 0;
}
early_param("cma", region_note_cma);

static void region_explain_default(struct rmem_region *region)
{
	const struct device_node *np = region->of_node;

	if (region->mode == RMEM_HEAP_CMA && region_cma_on_cmdline &&
	    !of_property_present(np, "no-map") && of_property_present(np, "linux,cma-default"))
		region_invalidate(region, "%s", region_cma_on_cmdline);
}

#ifdef CONFIG_CMA
static int region_count_area(struct cma *cma, void *count)
{
	++*(int *)count;
	return 0;
}

static void region_explain_area(struct rmem_region *region, u64 base, u64 size)
{
	int areas = 0;

	cma_for_each_area(region_count_area, &areas);
	if (!IS_ALIGNED(base | size, CMA_MIN_ALIGNMENT_BYTES))
		region_invalidate(region,
				  "base and size of a CMA area must be multiples of %lu KiB",
				  CMA_MIN_ALIGNMENT_BYTES / SZ_1K);
	if (areas >= MAX_CMA_AREAS)
		region_invalidate(region,
				  "the kernel has room for %d CMA areas (CONFIG_CMA_AREAS)",
				  MAX_CMA_AREAS);
}
#else
static void region_explain_area(struct rmem_region *region, u64 base, u64 size) { }
#endif

/* What an allocator takes no node for */
static void region_explain_pool(struct rmem_region *region, u64 base, u64 size)
{
	static const char * const unrestricted[] = {
		"reusable", "linux,cma-default", "linux,dma-default", "no-map",
	};
	struct device_node *np = region->of_node;
	unsigned int i;

	if (region->mode == RMEM_HEAP_RESTRICTED)
		for (i = 0; i < ARRAY_SIZE(unrestricted); i++)
			if (of_property_present(np, unrestricted[i]))
				region_invalidate(region, "a restricted pool cannot be %s",
						  unrestricted[i]);
	if (IS_ENABLED(CONFIG_ARM) && region->mode == RMEM_HEAP_COHERENT &&
	    !of_property_present(np, "no-map"))
		region_invalidate(region, "a coherent pool must be no-map here");
	if (region->mode == RMEM_HEAP_CMA)
		region_explain_area(region, base, size);
}

/* The core has found no memory for a region without reg. */
static void region_explain_dynamic(struct rmem_region *region, u32 na, u32 ns)
{
	struct device_node *np = region->of_node, *other;
	int size = region_count_cells(np, "size"), align = region_count_cells(np, "alignment");
	int ranges = region_count_cells(np, "alloc-ranges"), before = 0;
	u64 from = region_read_cells(np, "alloc-ranges", 0, na);
	u64 len = region_read_cells(np, "size", 0, ns);

	for_each_child_of_node(np->parent, other) {
		if (other == np)
			break;
		before += of_device_is_available(other) && of_property_present(other, "size") &&
			  !of_property_present(other, "reg");
	}
	of_node_put(other);

	if (before >= REGION_MAX_DYNAMIC)
		region_invalidate(region,
				  "the kernel takes %d regions without reg, and there are %d before it",
				  REGION_MAX_DYNAMIC, before);
	if (size != ns)
		region_invalidate(region, "its size must be %u cells, it has %d", ns, size);
	if (align >= 0 && align != na)
		region_invalidate(region, "its alignment must be %u cells, it has %d", na, align);
	region_explain_default(region);
	if (!len)
		region_invalidate(region, "its size is 0");
	region_explain_pool(region, 0, len);
	if (ranges > 0 && !(ranges % (na + ns)))
		region_invalidate(region,
				  "no %llu KiB of RAM were free in its alloc-ranges, %s0x%llx to 0x%llx",
				  len / SZ_1K, ranges > na + ns ? "the first is " : "", from,
				  from + region_read_cells(np, "alloc-ranges", na, ns) - 1);
	region_invalidate(region, "no %llu KiB of RAM were free in one piece, alignment 0x%llx",
			  len / SZ_1K, region_read_cells(np, "alignment", 0, na));
}

/* The core has no entry for a node: the causes in the order in which it checks */
static void region_explain_no_entry(struct rmem_region *region)
{
	struct device_node *np = region->of_node;
	int reg = region_count_cells(np, "reg");
	u64 base, size;
	u32 na, ns;

	region_explain_parent(region, &na, &ns);
	if (region->status == RMEM_INVALID)
		return;
	if (reg > 0 && !(reg % (na + ns))) {
		base = region_read_cells(np, "reg", 0, na);
		size = region_read_cells(np, "reg", na, ns);
		region_explain_default(region);
		if (!size)
			region_invalidate(region, "the size in its reg is 0");
		region_explain_pool(region, base, size);
		region_invalidate(region, "the kernel could not reserve 0x%llx, %llu KiB", base,
				  size / SZ_1K);
	} else if (of_property_present(np, "size")) {
		region_explain_dynamic(region, na, ns);
	} else if (reg >= 0) {
		region_invalidate(region, "its reg must be %u cells, it has %d", na + ns, reg);
	} else {
		region_invalidate(region, "it has neither reg nor size");
	}
}

/* Sets the status of a region that the node itself, or its entry, makes unusable */
static void region_check_node(struct rmem_region *region, bool pool, bool both, bool reusable)
{
	const struct device_node *np = region->of_node;
	const struct reserved_mem *rmem = region->rmem;

	if (!of_device_is_available(np))
		rmem_heap_set_status(region, RMEM_DISABLED, "its status is not \"okay\"");
	/* The node may name an owner that cannot be read. */
	if (of_property_count_strings(np, "compatible") == -EILSEQ)
		region_invalidate(region, "its compatible is not a list of strings");
	if (!rmem) {
		if (region->status == RMEM_AVAILABLE)
			region_explain_no_entry(region);
		return;
	}
	/* The order in which the allocators are linked decides which one took it. */
	if (both)
		region_invalidate(region, "it says to be two kinds of pool");
	if ((pool || reusable) && !rmem->ops)
		region_invalidate(region, "no allocator took the node: %s",
				  !pool ? "reusable memory must be a shared-dma-pool" :
				  reusable && of_property_read_bool(np, "no-map") ?
				  "it cannot be both reusable and no-map" :
				  "is the one for it configured into the kernel?");
	if (IS_ALIGNED(rmem->size, PAGE_SIZE) && !IS_ALIGNED(rmem->base, PAGE_SIZE) &&
	    !of_property_present(np, "reg"))
		region_invalidate(region,
				  "the kernel has put it at 0x%llx: give it an alignment of %lu or more",
				  (u64)rmem->base, PAGE_SIZE);
	if (!IS_ALIGNED(rmem->base | rmem->size, PAGE_SIZE))
		region_invalidate(region,
				  "its base and size must be multiples of the page size, %lu",
				  PAGE_SIZE);
	/* Lengths of buffers are size_t. */
	if (rmem->size > ULONG_MAX - PAGE_SIZE || rmem->base + rmem->size <= rmem->base)
		region_invalidate(region, "its size is not usable");
	/* The global pool has a bitmap of its own over the same memory. */
	if (IS_ENABLED(CONFIG_DMA_GLOBAL_POOL) && region->mode == RMEM_HEAP_COHERENT &&
	    of_property_read_bool(np, "linux,dma-default"))
		region_invalidate(region, "it is the global pool (linux,dma-default)");
}

/*
 * Sets mode and status of a region whose name, of_node and rmem are set, by what the core did
 * with the node: the memory of a node that was refused has gone back to the system.
 * rmem_heap_validate() may change the status.
 */
void rmem_heap_classify(struct rmem_region *region)
{
	const struct device_node *np = region->of_node;
	bool shared = of_device_is_compatible(np, "shared-dma-pool");
	bool restricted = of_device_is_compatible(np, "restricted-dma-pool");
	bool reusable = of_property_read_bool(np, "reusable");
	bool pool = shared || restricted;

	region->status = RMEM_AVAILABLE;
	region->reason[0] = '\0';

	if (!pool)
		region->mode = RMEM_HEAP_CARVEOUT;
	else if (restricted && !(shared && reusable))
		region->mode = RMEM_HEAP_RESTRICTED;
	else
		region->mode = reusable ? RMEM_HEAP_CMA : RMEM_HEAP_COHERENT;

	region_check_node(region, pool, shared && restricted, reusable);
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

/*
 * A capture kernel has the device tree of the kernel that crashed, whose data the regions hold.
 * Only linux,usable-memory-range is its own memory.
 */
static void __init region_check_usable(struct rmem_region *region)
{
	const struct reserved_mem *rmem = region->rmem;
	struct device_node *root = region->of_node->parent->parent;
	const char *usable = "linux,usable-memory-range";
	int cell, n = of_chosen ? region_count_cells(of_chosen, usable) : -1;
	phys_addr_t common = 0;
	u32 na, ns;

	if (is_kdump_kernel()) {
		region_invalidate(region,
				  "this is a capture kernel, and the memory may be the crashed kernel's");
		return;
	}
	if (n < 0 || of_property_read_u32(root, "#address-cells", &na) ||
	    of_property_read_u32(root, "#size-cells", &ns))
		return;
	for (cell = 0; cell + (int)(na + ns) <= n; cell += na + ns) {
		struct memblock_region range = {
			.base = region_read_cells(of_chosen, usable, cell, na),
			.size = region_read_cells(of_chosen, usable, cell + na, ns),
		};

		common += region_common_size(rmem, &range);
	}
	if (!common)
		region_invalidate(region, "it lies outside of %s: its memory is another kernel's",
				  usable);
}

/* Memory that the kernel itself, its boot or the reservation block of the tree use */
static void __init region_check_conflicts(struct rmem_region *region)
{
	/* Memory that memblock found for a dynamic region is an early allocation, too. */
	bool fixed = of_property_present(region->of_node, "reg");
	const struct reserved_mem *rmem = region->rmem;
	struct memblock_region *mem;
	u64 base, size;
	int n;

	if (region_overlaps(rmem, __pa_symbol(_text), _end - _text))
		region_invalidate(region, "the kernel lies in it");
	if (region_overlaps(rmem, initial_boot_params_pa, fdt_totalsize(initial_boot_params)))
		region_invalidate(region, "the device tree lies in it");
#ifdef CONFIG_BLK_DEV_INITRD
	if (initrd_start &&
	    region_overlaps(rmem, __pa(initrd_start), initrd_end - initrd_start))
		region_invalidate(region, "the initrd lies in it");
#endif
	for_each_reserved_mem_region(mem)
		if (fixed && mem->flags & MEMBLOCK_RSRV_KERN && region_common_size(rmem, mem))
			region_invalidate(region, "the kernel has allocated memory in it at boot");

	for (n = 0; !fdt_get_mem_rsv(initial_boot_params, n, &base, &size) && size; n++) {
		struct memblock_region rsv = { .base = base, .size = size };
		phys_addr_t common = region_common_size(rmem, &rsv);

		/* A boot loader that lists a region in full has read the same nodes. */
		if (common && !(fixed && common == rmem->size))
			region_invalidate(region,
					  "the reservation block of the tree has 0x%llx, %llu KiB",
					  base, size / SZ_1K);
	}
}

/*
 * Looks a region up in the memory map of the boot, before memblock is discarded. The core has
 * entries for memory that it could not reserve, and reserves without complaint memory that is
 * in use, or no RAM. no-map memory that is RAM stays in memblock.memory.
 */
static void __init region_check_memory(struct rmem_region *region)
{
	bool no_map = of_property_read_bool(region->of_node, "no-map");
	phys_addr_t mapped = 0, ram = 0, reserved = 0;
	const struct reserved_mem *rmem = region->rmem;
	struct memblock_region *mem;

	for_each_mem_region(mem) {
		ram += region_common_size(rmem, mem);
		if (!memblock_is_nomap(mem))
			mapped += region_common_size(rmem, mem);
	}
	for_each_reserved_mem_region(mem)
		reserved += region_common_size(rmem, mem);
	region->linear = mapped == rmem->size && reserved == rmem->size;

	if (ram && ram != rmem->size)
		region_invalidate(region, "only %llu of %llu KiB are RAM", (u64)ram / SZ_1K,
				  (u64)rmem->size / SZ_1K);
	else if (mapped && no_map)
		region_invalidate(region,
				  "it is no-map, but the kernel maps %llu of %llu KiB: others had reserved them",
				  (u64)mapped / SZ_1K, (u64)rmem->size / SZ_1K);
	else if (mapped && !region->linear)
		region_invalidate(region,
				  "only %llu of %llu KiB are reserved, the kernel uses the rest",
				  (u64)min(mapped, reserved) / SZ_1K, (u64)rmem->size / SZ_1K);
	/* memremap(MEMREMAP_WC) of System RAM returns NULL with a WARN. */
	else if (region->mode == RMEM_HEAP_COHERENT &&
		 region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				   IORES_DESC_NONE) != REGION_DISJOINT)
		region_invalidate(region, "a coherent pool in RAM needs no-map here");
	else if (region->mode == RMEM_HEAP_CMA && !ram)
		region_invalidate(region, "a CMA area must be RAM");
	/* swiotlb reaches the memory of a pool through the linear map. */
	else if (region->mode == RMEM_HEAP_RESTRICTED &&
		 (!region->linear ||
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
	list_for_each_entry(region, regions, list) {
		if (region->rmem) {
			region_check_usable(region);
			region_check_conflicts(region);
			region_check_memory(region);
		}
	}
}
