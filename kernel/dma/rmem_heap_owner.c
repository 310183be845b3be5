// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: who uses the memory of a region.
 *
 * The device tree tells it by compatibles, by references to the region, and by devices whose reg
 * lies in it. Nothing here has a side effect.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/ctype.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "rmem.h"

/* The virtual machine that Linux is to Qualcomm's hypervisor, in qcom,vmids */
#define OWNER_VMID_HLOS		3

/* Sets what the device tree tells of the owner of a region */
#define owner_set(_region, ...) \
	snprintf((_region)->owner, sizeof((_region)->owner), __VA_ARGS__)

/* Finds the owner that the node of a classified region tells itself */
void rmem_heap_find_owner(struct rmem_region *region)
{
	const struct device_node *np = region->of_node;
	const char *compatible;
	struct property *prop;

	region->owned = true;
	of_property_for_each_string(np, "compatible", prop, compatible) {
		if (strcmp(compatible, "shared-dma-pool") &&
		    strcmp(compatible, "restricted-dma-pool")) {
			owner_set(region, "it belongs to the driver of %s", compatible);
			return;
		}
	}
	if (of_property_present(np, "iommu-addresses"))
		owner_set(region, "it has iommu-addresses");
	else if (region->mode == RMEM_HEAP_CARVEOUT && region->rmem && region->rmem->ops)
		owner_set(region, "it belongs to another driver");
	else
		region->owned = false;
}

/* Is a word of a name in a list? Words end at "-", "," or "_"; digits at their end do not count. */
static bool owner_has_word(const char *name, const char * const *list, size_t n)
{
	size_t i, len;

	for (; *name; name += len + !!name[len]) {
		size_t letters = len = strcspn(name, "-,_");

		while (letters && isdigit(name[letters - 1]))
			letters--;
		for (i = 0; i < n; i++)
			if (strlen(list[i]) == letters && !memcmp(name, list[i], letters))
				return true;
	}
	return false;
}

/*
 * Whether a property may refer to a region: a phandle is a number like others, so only the words
 * of the name tell. Boards use memory-region, and few others.
 */
static bool owner_may_refer(const char *name)
{
	static const char * const words[] = {
		"region", "regions", "memory", "mem", "shmem", "shm", "ram", "sram", "vram",
		"carveout", "buffer", "buffers", "buf", "heap", "area", "firmware", "fw",
	};
	static const char * const numbers[] = {
		"num", "size", "sizes", "count", "width", "names", "cells", "offset", "offsets",
		"len", "length", "max", "min", "type",
	};

	return owner_has_word(name, words, ARRAY_SIZE(words)) &&
	       !owner_has_word(name, numbers, ARRAY_SIZE(numbers));
}

static bool owner_is_disabled(const struct device_node *np)
{
	for (; np; np = np->parent)
		if (!of_device_is_available(np))
			return true;
	return false;
}

/* Whether the device of a node gives its region to other virtual machines, as fastrpc does */
static bool owner_gives_away(const struct device_node *np)
{
	bool others = false;
	u32 vmid;

	of_property_for_each_u32(np, "qcom,vmids", vmid) {
		if (vmid == OWNER_VMID_HLOS)
			return false;
		others = true;
	}
	return others;
}

/* What the walk of the tree has found of a region */
struct owner_entry {
	struct rmem_region *region;
	bool referred;	/* a node refers to it */
	bool enabled;	/* the owner is an enabled node */
};

/* A device that is enabled is a better owner than one that is not; else the first one counts. */
static bool owner_is_better(struct owner_entry *entry, bool disabled)
{
	if (entry->region->owner[0] && (entry->enabled || disabled))
		return false;
	entry->enabled = !disabled;
	return true;
}

/* A node refers to a region, by cell @index of a property. */
static void owner_add_referrer(struct owner_entry *entry, const struct device_node *np,
			       const char *property, int index)
{
	struct rmem_region *region = entry->region;
	bool disabled = owner_is_disabled(np);
	const char *state = disabled ? " (disabled)" : "";
	bool assigned, carveout = region->mode == RMEM_HEAP_CARVEOUT;

	entry->referred = true;
	if (region->mode == RMEM_HEAP_CMA) {
		if (!disabled && !index && owner_gives_away(np))
			owner_set(region,
				  "%pOF gives its memory to other virtual machines (qcom,vmids)",
				  np);
		return;
	}
	/* A device gets its first memory-region assigned; drivers use other regions by address. */
	assigned = !carveout && !index && !strcmp(property, "memory-region");
	if ((assigned && of_property_present(np, "compatible")) ||
	    !owner_is_better(entry, disabled))
		return;
	region->owned = carveout;
	if (!carveout && index)
		owner_set(region, "%pOF%s refers to it at index %d of %s", np, state, index,
			  property);
	else if (!assigned)
		owner_set(region, "%pOF%s refers to it by %s", np, state, property);
	else
		owner_set(region, "%pOF%s, which has no compatible, refers to it", np, state);
}

/* of_bus_n_addr_cells() WARNs about nodes without these. */
static bool owner_has_cells(const struct device_node *np)
{
	while ((np = np->parent))
		if (!of_property_present(np, "#address-cells") ||
		    !of_property_present(np, "#size-cells"))
			return false;
	return true;
}

/* Looks for the regions that the reg of a device begins or ends in. */
static void owner_check_reg(struct owner_entry *entries, size_t n, struct device_node *np)
{
	struct resource res;
	size_t i;
	int reg;

	if (!of_property_present(np, "reg") || !of_property_present(np, "compatible") ||
	    of_node_is_type(np, "memory") || !owner_has_cells(np))
		return;
	for (reg = 0; of_get_address(np, reg, NULL, NULL); reg++) {
		if (of_address_to_resource(np, reg, &res) || resource_type(&res) != IORESOURCE_MEM)
			continue;
		for (i = 0; i < n; i++) {
			struct rmem_region *region = entries[i].region;
			struct resource mem = DEFINE_RES_MEM(region->rmem->base,
							     region->rmem->size);
			bool disabled;

			if (region->mode == RMEM_HEAP_CMA || !resource_size(&res) ||
			    !resource_overlaps(&mem, &res) ||
			    (res.start < mem.start && res.end > mem.end))
				continue;
			disabled = owner_is_disabled(np);
			if (!owner_is_better(&entries[i], disabled))
				continue;
			region->owned = region->mode == RMEM_HEAP_CARVEOUT;
			owner_set(region, "the reg of %pOF%s lies in it", np,
				  disabled ? " (disabled)" : "");
		}
	}
}

static void owner_check_references(struct xarray *by_phandle, const struct device_node *np)
{
	struct property *prop;
	int i;

	for_each_property_of_node(np, prop) {
		const __be32 *cells = prop->value;

		if (!owner_may_refer(prop->name))
			continue;
		for (i = 0; i < prop->length / (int)sizeof(*cells); i++) {
			struct owner_entry *entry = xa_load(by_phandle, be32_to_cpu(cells[i]));

			if (entry)
				owner_add_referrer(entry, np, prop->name, i);
		}
	}
}

static void owner_walk(struct owner_entry *entries, size_t n, struct xarray *by_phandle,
		       struct device_node *root)
{
	struct device_node *np, *top = NULL;

	for (np = of_node_get(root); np; np = of_find_all_nodes(np)) {
		if (np->parent == root)
			top = np;
		/* __symbols__, __fixups__ and __local_fixups__ of dtc are no devices. */
		if (top && str_has_prefix(top->full_name, "__"))
			continue;
		owner_check_references(by_phandle, np);
		if (!top || !of_node_name_eq(top, "reserved-memory"))
			owner_check_reg(entries, n, np);
	}
}

/*
 * Finds the owners that other nodes tell, of the classified regions that have memory. Walks the
 * tree once, from its root on; it need not be the live tree.
 */
void rmem_heap_find_users(const struct list_head *regions, struct device_node *root)
{
	size_t i, n = 0, nr_regions = list_count_nodes((struct list_head *)regions);
	struct owner_entry *entries = kcalloc(nr_regions, sizeof(*entries), GFP_KERNEL);
	struct rmem_region *region;
	struct xarray by_phandle;

	xa_init(&by_phandle);
	list_for_each_entry(region, regions, list) {
		int ret = entries ? 0 : -ENOMEM;

		if (!region->rmem || region->owned)
			continue;
		if (!ret && region->of_node->phandle)
			ret = xa_insert(&by_phandle, region->of_node->phandle, &entries[n],
					GFP_KERNEL);
		if (!ret)
			entries[n++].region = region;
		else
			rmem_invalidate(region, "%s", ret == -EBUSY ?
					"another region has its phandle" :
					"there was no memory to find its owner");
	}
	if (n)
		owner_walk(entries, n, &by_phandle, root);

	for (i = 0; i < n; i++) {
		region = entries[i].region;
		if (!entries[i].referred && !region->owner[0] &&
		    (region->mode == RMEM_HEAP_COHERENT || region->mode == RMEM_HEAP_RESTRICTED))
			owner_set(region, "no node refers to it");
	}
	xa_destroy(&by_phandle);
	kfree(entries);
}
