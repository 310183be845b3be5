// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: mode and status of a region.
 *
 * Decided by what the kernel did with the node at early boot, not only by what the node asks
 * for. Nothing here has a side effect.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/cma.h>
#include <linux/ctype.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>
#include <linux/string.h>

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
	/* An owned region is not called refused, whatever an allocator needs. */
	if (region->owned && region->rmem && region->status != RMEM_DISABLED)
		return "owned";
	return region->status == RMEM_AVAILABLE ? modes[region->mode] : statuses[region->status];
}

/* The base and the size of a region, as a part of a boot message */
void __init rmem_heap_print_place(const struct rmem_region *region, char *buf, size_t len)
{
	const char *unit = strchr(region->name, '@');
	u64 base = region->rmem->base, size = region->rmem->size, address = base;
	bool kib = IS_ALIGNED(size, SZ_1K);

	if (unit && kstrtoull(unit + 1, 16, &address))
		address = base;
	snprintf(buf, len, " base 0x%llx%s, %llu %s,", base,
		 address == base ? "" : " (not its unit address)", kib ? size / SZ_1K : size,
		 kib ? "KiB" : "bytes");
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
		return "no file can have this name";
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
u64 rmem_heap_read_cells(const struct device_node *np, const char *name, int cell, int n)
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

/* Number of entries of a property, each an address and a size; -1 if the core does not read it */
int rmem_heap_count_entries(const struct device_node *np, const char *name, u32 na, u32 ns)
{
	u32 entry = (na + ns) * sizeof(__be32);
	int len;

	if (!of_get_property(np, name, &len) || !entry || (u32)len % entry)
		return -1;
	return (u32)len / entry;
}

/* Has a node a reg that the core reads? */
bool rmem_heap_has_reg(const struct device_node *np)
{
	u32 na, ns;

	return !of_property_read_u32(np->parent, "#address-cells", &na) &&
	       !of_property_read_u32(np->parent, "#size-cells", &ns) &&
	       rmem_heap_count_entries(np, "reg", na, ns) > 0;
}

/* The core takes no region if it cannot read the cells of all. */
static void region_explain_parent(struct rmem_region *region, u32 *na, u32 *ns)
{
	struct device_node *parent = region->of_node->parent, *root = parent->parent;
	u32 root_na = 1, root_ns = 1;

	*na = *ns = 0;
	if (of_property_read_u32(parent, "#address-cells", na) ||
	    of_property_read_u32(parent, "#size-cells", ns))
		rmem_invalidate(region,
				"%pOF must have the #address-cells and #size-cells of the root",
				parent);
	of_property_read_u32(root, "#address-cells", &root_na);
	of_property_read_u32(root, "#size-cells", &root_ns);
	if (*na != root_na || *ns != root_ns || *na > 4 || *ns > 4)
		rmem_invalidate(region,
				"#address-cells and #size-cells of %pOF are %u and %u, those of the root %u and %u",
				parent, *na, *ns, root_na, root_ns);
	if (!of_property_present(parent, "ranges"))
		rmem_invalidate(region, "%pOF must have ranges", parent);
}

/* Why cma= takes the place of the area with linux,cma-default; NULL without cma= */
static const char *region_cma_on_cmdline;

static int __init region_note_cma(char *arg)
{
	if (!arg)
		return -EINVAL;
	region_cma_on_cmdline = memparse(arg, NULL) ?
		"cma= on the command line replaces it; the heap is default_cma_region" :
		"cma=0 on the command line replaces it: there is no default area";
	return 0;
}
early_param("cma", region_note_cma);

static void region_explain_default(struct rmem_region *region)
{
	const struct device_node *np = region->of_node;

	if (IS_ENABLED(CONFIG_DMA_CMA) && region->mode == RMEM_HEAP_CMA && region_cma_on_cmdline &&
	    !of_property_present(np, "no-map") && of_property_present(np, "linux,cma-default"))
		rmem_invalidate(region, "%s", region_cma_on_cmdline);
}

#ifdef CONFIG_CMA
static int region_count_area(struct cma *cma, void *count)
{
	++*(int *)count;
	return 0;
}

static int region_count_areas(void)
{
	int areas = 0;

	cma_for_each_area(region_count_area, &areas);
	return areas;
}

static void region_explain_area(struct rmem_region *region, u64 base, u64 size, int areas)
{
	if (!IS_ALIGNED(base | size, CMA_MIN_ALIGNMENT_BYTES))
		rmem_invalidate(region,
				"base and size of a CMA area must be multiples of %lu KiB",
				CMA_MIN_ALIGNMENT_BYTES / SZ_1K);
	if (areas >= MAX_CMA_AREAS)
		rmem_invalidate(region,
				"the kernel has room for %d CMA areas (CONFIG_CMA_AREAS)",
				MAX_CMA_AREAS);
}
#else
static int region_count_areas(void) { return 0; }
static void region_explain_area(struct rmem_region *region, u64 base, u64 size, int areas) { }
#endif

/* What an allocator takes no node for; @areas: number of CMA areas when the core came to it */
static void region_explain_pool(struct rmem_region *region, u64 base, u64 size, int areas)
{
	static const char * const unrestricted[] = {
		"reusable", "linux,cma-default", "linux,dma-default", "no-map",
	};
	struct device_node *np = region->of_node;
	unsigned int i;

	if (region->mode == RMEM_HEAP_RESTRICTED)
		for (i = 0; i < ARRAY_SIZE(unrestricted); i++)
			if (of_property_present(np, unrestricted[i]))
				rmem_invalidate(region, "a restricted pool cannot be %s",
						unrestricted[i]);
	if (IS_ENABLED(CONFIG_ARM) && region->mode == RMEM_HEAP_COHERENT &&
	    !of_property_present(np, "no-map"))
		rmem_invalidate(region, "a coherent pool must be no-map on this architecture");
	if (region->mode == RMEM_HEAP_CMA)
		region_explain_area(region, base, size, areas);
}

/* The core has found no memory for a region without reg. */
static void region_explain_dynamic(struct rmem_region *region, u32 na, u32 ns)
{
	struct device_node *np = region->of_node, *other;
	int ranges = rmem_heap_count_entries(np, "alloc-ranges", na, ns), before = 0, areas = 0;
	int align = region_count_cells(np, "alignment");
	int size = region_count_cells(np, "size");
	u64 from = rmem_heap_read_cells(np, "alloc-ranges", 0, na);
	u64 len = rmem_heap_read_cells(np, "size", 0, ns);

	for_each_child_of_node(np->parent, other) {
		if (other == np)
			break;
		if (!of_device_is_available(other) || !of_property_present(other, "size") ||
		    rmem_heap_has_reg(other))
			continue;
		before++;
		areas += of_device_is_compatible(other, "shared-dma-pool") &&
			 of_property_present(other, "reusable") && of_reserved_mem_lookup(other);
	}
	of_node_put(other);

	if (before >= REGION_MAX_DYNAMIC)
		rmem_invalidate(region,
				"the kernel takes %d regions without reg, and there are %d before it",
				REGION_MAX_DYNAMIC, before);
	if (size != ns)
		rmem_invalidate(region, "its size must be %u cells, it has %d", ns, size);
	if (align >= 0 && align != na)
		rmem_invalidate(region, "its alignment must be %u cells, it has %d", na, align);
	region_explain_default(region);
	if (!len)
		rmem_invalidate(region, "its size is 0");
	region_explain_pool(region, 0, len, areas);
	if (!ranges)
		rmem_invalidate(region, "its alloc-ranges is empty");
	if (ranges > 0)
		rmem_invalidate(region,
				"no %llu KiB of RAM were free in its alloc-ranges, %s0x%llx to 0x%llx",
				len / SZ_1K, ranges > 1 ? "the first is " : "", from,
				from + rmem_heap_read_cells(np, "alloc-ranges", na, ns) - 1);
	rmem_invalidate(region, "no %llu KiB of RAM were free in one piece, alignment 0x%llx",
			len / SZ_1K, rmem_heap_read_cells(np, "alignment", 0, na));
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
	if (rmem_heap_has_reg(np)) {
		base = rmem_heap_read_cells(np, "reg", 0, na);
		size = rmem_heap_read_cells(np, "reg", na, ns);
		region_explain_default(region);
		if (!size)
			rmem_invalidate(region, "the size in its reg is 0");
		region_explain_pool(region, base, size, region_count_areas());
		rmem_invalidate(region, "the kernel could not reserve 0x%llx, %llu KiB", base,
				size / SZ_1K);
	} else if (of_property_present(np, "size")) {
		region_explain_dynamic(region, na, ns);
	} else if (reg >= 0) {
		rmem_invalidate(region, "its reg must be %u cells, it has %d", na + ns, reg);
	} else {
		rmem_invalidate(region, "it has neither reg nor size");
	}
}

/* Sets the status of a region that the node itself, or its entry, makes unusable */
static void region_check_node(struct rmem_region *region, bool pool, bool both, bool reusable)
{
	const struct reserved_mem *rmem = region->rmem;
	struct device_node *np = region->of_node;
	u64 base, size;

	if (!of_device_is_available(np))
		rmem_heap_set_status(region, RMEM_DISABLED, "its status is not \"okay\"");
	/* The node may name an owner that cannot be read. */
	if (of_property_count_strings(np, "compatible") == -EILSEQ)
		rmem_invalidate(region, "its compatible is not a list of strings");
	/* The order in which the allocators are linked decides which one took it. */
	if (both)
		rmem_invalidate(region, "its compatible names two kinds of pool");
	if (rmem_heap_has_reg(np) && !of_property_read_reg(np, 0, &base, &size) &&
	    (base != (phys_addr_t)base || size != (phys_addr_t)size))
		rmem_invalidate(region, "this kernel cannot address 0x%llx, %llu KiB", base,
				size / SZ_1K);
	if (!rmem) {
		if (region->status == RMEM_AVAILABLE)
			region_explain_no_entry(region);
		return;
	}
	if (!rmem->size)
		rmem_invalidate(region, "its size is 0");
	if ((pool || reusable) && !rmem->ops)
		rmem_invalidate(region, "no allocator took the node: %s",
				!pool ? "reusable memory must be a shared-dma-pool" :
				reusable && of_property_read_bool(np, "no-map") ?
				"it cannot be both reusable and no-map" :
				"is the one for it configured into the kernel?");
	if (IS_ALIGNED(rmem->size, PAGE_SIZE) && !IS_ALIGNED(rmem->base, PAGE_SIZE) &&
	    !rmem_heap_has_reg(np))
		rmem_invalidate(region,
				"the kernel has put it at 0x%llx: give it an alignment of %lu or more",
				(u64)rmem->base, PAGE_SIZE);
	if (!IS_ALIGNED(rmem->base | rmem->size, PAGE_SIZE))
		rmem_invalidate(region,
				"its base and size must be multiples of the page size, %lu",
				PAGE_SIZE);
	/* Lengths of buffers are size_t. */
	if (rmem->size > ULONG_MAX - PAGE_SIZE || rmem->base + rmem->size <= rmem->base)
		rmem_invalidate(region, "its size is not usable");
	/* The global pool has a bitmap of its own over the same memory. */
	if (IS_ENABLED(CONFIG_DMA_GLOBAL_POOL) && region->mode == RMEM_HEAP_COHERENT &&
	    of_property_read_bool(np, "linux,dma-default"))
		rmem_invalidate(region, "it is the global pool (linux,dma-default)");
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
