// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the dispatcher.
 *
 * Finds out what the kernel made of each node below /reserved-memory, decides who gets a
 * heap, and registers it. Documentation/driver-api/rmem-heap.rst has the reasons.
 *
 * In the order of the boot:
 *
 * early_initcall  judge every region by what the core did with it, and look where its
 *		   memory lies: memblock is discarded right after
 * core_initcall   show the regions in sysfs (and CMA areas are activated)
 * fs_initcall	   decide, assign and register: dma-heap itself is a subsys_initcall. No
 *		   other heap exists yet.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/cgroup_dmem.h>
#include <linux/cma.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/initrd.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/libfdt.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_fdt.h>
#include <linux/of_reserved_mem.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/sections.h>

#include "rmem_heap.h"

LIST_HEAD(rmem_heaps);
static bool rmem_heaps_ready __ro_after_init;

/* Orders drivers that export regions */
static DEFINE_MUTEX(rmem_export_mutex);

static const char * const rmem_mode_names[] = {
	[RMEM_HEAP_CMA] = "cma",
	[RMEM_HEAP_COHERENT] = "coherent",
	[RMEM_HEAP_RESTRICTED] = "restricted",
	[RMEM_HEAP_CARVEOUT] = "carveout",
};

static const char * const rmem_verdict_names[] = {
	[RMEM_OWNED] = "owned",
	[RMEM_DISABLED] = "disabled",
	[RMEM_REFUSED] = "refused",
};

static const char * const rmem_memory_names[] = {
	[RMEM_LINEAR] = "linear",
	[RMEM_WC] = "wc",
	[RMEM_DEVICE_ONLY] = "device-only",
};

/**
 * rmem_heap_kind() - what to call a region
 * @heap: the region
 *
 * Return: its mode, or why it has none that counts.
 */
const char *rmem_heap_kind(const struct rmem_heap *heap)
{
	if (heap->verdict == RMEM_FREE || rmem_heap_exported(heap))
		return rmem_mode_names[heap->mode];
	return rmem_verdict_names[heap->verdict];
}

/* The administrator's word: rmem_heap.export=name[:name...], as often as it takes */

static const char *rmem_export_lists[16];

/*
 * Runs before there is a slab allocator. The command line that val points into is kept,
 * as it is for charp parameters.
 */
static int rmem_export_set(const char *val, const struct kernel_param *kp)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rmem_export_lists); i++) {
		if (!rmem_export_lists[i]) {
			rmem_export_lists[i] = val;
			return 0;
		}
	}

	pr_err("export=%s: more than %zu times export=; join names with ':'\n", val,
	       ARRAY_SIZE(rmem_export_lists));
	return -ENOSPC;
}

static int rmem_export_get(char *buffer, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < ARRAY_SIZE(rmem_export_lists) && rmem_export_lists[i]; i++)
		len += scnprintf(buffer + len, PAGE_SIZE - len, "%s%s", i ? ":" : "",
				 rmem_export_lists[i]);
	return len + scnprintf(buffer + len, PAGE_SIZE - len, "\n");
}

static const struct kernel_param_ops rmem_export_ops = {
	.set = rmem_export_set,
	.get = rmem_export_get,
};
module_param_cb(export, &rmem_export_ops, NULL, 0444);
MODULE_PARM_DESC(export, "reserved-memory regions to offer as heaps: names joined by ':', '*' for all pools, !name for none");

/**
 * rmem_policy_next() - the next word of a list of names
 * @list: where to go on, advanced past the word
 * @word: set to the word, which is not terminated
 * @len: set to its length
 *
 * Words are joined by ':': node names have commas, and boot loaders take ';'.
 *
 * Return: false at the end of the list.
 */
bool rmem_policy_next(const char **list, const char **word, size_t *len)
{
	*word = *list + strspn(*list, ":");
	*len = strcspn(*word, ":");
	*list = *word + *len;
	return *len;
}

static bool rmem_word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

/**
 * rmem_policy_match() - what a list of names says about a region
 * @list: the list
 * @name: name of the region
 *
 * Return: the strongest of what the words say: "!name" holds it back, its name asks for
 * it, "*" asks for every pool.
 */
enum rmem_match rmem_policy_match(const char *list, const char *name)
{
	enum rmem_match match = RMEM_MATCH_NONE;
	const char *word;
	size_t len;

	while (rmem_policy_next(&list, &word, &len)) {
		if (*word == '!' && rmem_word_is(word + 1, len - 1, name))
			match = max(match, RMEM_MATCH_HOLD);
		else if (rmem_word_is(word, len, name))
			match = max(match, RMEM_MATCH_NAME);
		else if (rmem_word_is(word, len, "*"))
			match = max(match, RMEM_MATCH_ALL);
	}
	return match;
}

static enum rmem_match __init rmem_admin_match(const char *name)
{
	enum rmem_match match = RMEM_MATCH_NONE;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rmem_export_lists) && rmem_export_lists[i]; i++)
		match = max(match, rmem_policy_match(rmem_export_lists[i], name));
	return match;
}

static void __init rmem_admin_check_names(void)
{
	struct rmem_heap *heap;
	const char *list, *word;
	bool all_known = true;
	unsigned int i;
	size_t len;

	for (i = 0; i < ARRAY_SIZE(rmem_export_lists) && rmem_export_lists[i]; i++) {
		for (list = rmem_export_lists[i]; rmem_policy_next(&list, &word, &len);) {
			bool known = rmem_word_is(word, len, "*");
			size_t bang = *word == '!';

			list_for_each_entry(heap, &rmem_heaps, list)
				known |= rmem_word_is(word + bang, len - bang, heap->name);
			if (!known)
				pr_warn("export=%.*s: there is no such reserved-memory region\n",
					(int)len, word);
			all_known &= known;
		}
	}
	if (all_known)
		return;

	if (list_empty(&rmem_heaps))
		pr_warn("export=: the device tree has no region\n");
	list_for_each_entry(heap, &rmem_heaps, list)
		pr_warn("export=: known is %s\n", heap->name);
}

/* Judging a region */

static __printf(3, 4) void rmem_heap_verdict(struct rmem_heap *heap,
					     enum rmem_verdict verdict,
					     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(heap->reason, sizeof(heap->reason), fmt, args);
	va_end(args);
	heap->verdict = verdict;
}

/**
 * rmem_heap_name_problem() - can a node's name be the name of a heap
 * @name: the name
 *
 * dma-heap makes a device of that name, and warns with a stack dump if there is one.
 *
 * Return: what is wrong with it, NULL if nothing.
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
 * How many cells the addresses and sizes of regions have: those of the root, or the core
 * takes no region at all.
 */
static bool rmem_count_cells(const struct device_node *np, u32 *na, u32 *ns)
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

/* Reads cell number cell, of n, from a property with addresses and sizes */
static u64 rmem_read_cells(const struct device_node *np, const char *name, int cell, int n)
{
	const __be32 *cells;
	int len;

	cells = of_get_property(np, name, &len);
	if (!cells || len < (cell + n) * (int)sizeof(*cells))
		return 0;
	return of_read_number(cells + cell, n);
}

/* The core has no entry for a node, and does not always say of which node and why */
static void rmem_heap_refuse_no_entry(struct rmem_heap *heap)
{
	struct device_node *np = heap->of_node;
	const char *why = "the kernel refused the node, see \"Reserved memory\" above";
	u32 na, ns;
	u64 size;

	if (!rmem_count_cells(np, &na, &ns)) {
		rmem_heap_verdict(heap, RMEM_REFUSED,
				  "%pOF needs ranges, and the #address-cells and #size-cells of the root",
				  np->parent);
		return;
	}

	size = rmem_read_cells(np, "reg", na, ns);
	if (!of_property_present(np, "reg"))
		why = of_property_present(np, "size") ?
			"there was no memory for it at boot, or its alignment is bad" :
			"it has neither reg nor size";
	else if (!size)
		why = "its size is 0, or its reg is cut short";
	else if (heap->mode == RMEM_HEAP_RESTRICTED &&
		 (of_property_present(np, "no-map") || of_property_present(np, "reusable")))
		why = "a restricted pool can be neither no-map nor reusable";
#ifdef CONFIG_CMA
	else if (heap->mode == RMEM_HEAP_CMA &&
		 !IS_ALIGNED(rmem_read_cells(np, "reg", 0, na) | size,
			     CMA_MIN_ALIGNMENT_BYTES)) {
		rmem_heap_verdict(heap, RMEM_REFUSED,
				  "base and size of a CMA area must be multiples of %lu KiB",
				  CMA_MIN_ALIGNMENT_BYTES / SZ_1K);
		return;
	}
#endif
	rmem_heap_verdict(heap, RMEM_REFUSED, "%s", why);
}

/* Does a device refer to the region? By phandle value: the tree may not be the live one. */
static struct device_node *rmem_find_referrer(const struct device_node *target,
					      struct device_node *root)
{
	struct device_node *np;
	int i, len;

	if (!target->phandle)
		return NULL;

	for (np = of_node_get(root); np; np = of_find_all_nodes(np)) {
		const __be32 *cells = of_get_property(np, "memory-region", &len);

		for (i = 0; cells && i < len / (int)sizeof(*cells); i++)
			if (be32_to_cpu(cells[i]) == target->phandle)
				return np;
	}
	return NULL;
}

static bool rmem_is_pool_compatible(const char *compatible)
{
	return !strcmp(compatible, "shared-dma-pool") ||
	       !strcmp(compatible, "restricted-dma-pool");
}

/**
 * rmem_heap_judge() - what a region is
 * @heap: the region: name, of_node and rmem are set; sets mode, verdict and reason
 * @root: root of the tree that the node is in
 *
 * By what the core did with the node at early boot, not by what the node asks for: the
 * memory of a node that was refused has gone back to the system. Has no side effect.
 *
 * Context: may sleep.
 */
void rmem_heap_judge(struct rmem_heap *heap, struct device_node *root)
{
	const struct device_node *np = heap->of_node;
	const struct reserved_mem *rmem = heap->rmem;
	bool pool = of_device_is_compatible(np, "shared-dma-pool") ||
		    of_device_is_compatible(np, "restricted-dma-pool");
	bool both = of_device_is_compatible(np, "shared-dma-pool") &&
		    of_device_is_compatible(np, "restricted-dma-pool");
	bool reusable = of_property_read_bool(np, "reusable");
	struct device_node *referrer;
	const char *compatible;
	struct property *prop;

	heap->verdict = RMEM_FREE;
	heap->reason[0] = '\0';

	if (!pool)
		heap->mode = RMEM_HEAP_CARVEOUT;
	else if (of_device_is_compatible(np, "restricted-dma-pool") && !(both && reusable))
		heap->mode = RMEM_HEAP_RESTRICTED;
	else
		heap->mode = reusable ? RMEM_HEAP_CMA : RMEM_HEAP_COHERENT;

	if (!of_device_is_available(np)) {
		rmem_heap_verdict(heap, RMEM_DISABLED, "its status is not \"okay\"");
		return;
	}
	/* Somebody's, and there is no telling whose */
	if (of_property_count_strings(np, "compatible") == -EILSEQ) {
		rmem_heap_verdict(heap, RMEM_REFUSED, "its compatible is not a list of strings");
		return;
	}
	if (!rmem) {
		rmem_heap_refuse_no_entry(heap);
		return;
	}
	/* Which one the core made depends on the order it was linked in. */
	if (both) {
		rmem_heap_verdict(heap, RMEM_REFUSED, "it says to be two kinds of pool");
		return;
	}
	if ((pool || reusable) && !rmem->ops) {
		rmem_heap_verdict(heap, RMEM_REFUSED, "no allocator took the node: %s",
				  !pool ? "reusable memory must be a shared-dma-pool" :
				  reusable && of_property_read_bool(np, "no-map") ?
				  "it cannot be both reusable and no-map" :
				  "is the one for it configured into the kernel?");
		return;
	}
	if (!IS_ALIGNED(rmem->base | rmem->size, PAGE_SIZE)) {
		rmem_heap_verdict(heap, RMEM_REFUSED,
				  "its base and size must be multiples of the page size, %lu",
				  PAGE_SIZE);
		return;
	}
	/* Sizes are size_t and gen_pool addresses unsigned long, with a page below. */
	if (rmem->size > ULONG_MAX - 2 * PAGE_SIZE || rmem->base + rmem->size <= rmem->base) {
		rmem_heap_verdict(heap, RMEM_REFUSED, "its size is not usable");
		return;
	}
	/* The global pool has a bitmap of its own over the same memory. */
	if (IS_ENABLED(CONFIG_DMA_GLOBAL_POOL) && heap->mode == RMEM_HEAP_COHERENT &&
	    of_property_read_bool(np, "linux,dma-default")) {
		rmem_heap_verdict(heap, RMEM_REFUSED,
				  "it is the global pool (linux,dma-default)");
		return;
	}

	of_property_for_each_string(np, "compatible", prop, compatible) {
		if (!rmem_is_pool_compatible(compatible)) {
			rmem_heap_verdict(heap, RMEM_OWNED, "it belongs to the driver of %s",
					  compatible);
			return;
		}
	}
	if (!pool && rmem->ops) {
		rmem_heap_verdict(heap, RMEM_OWNED, "it belongs to another driver");
		return;
	}
	if (of_property_present(np, "iommu-addresses")) {
		rmem_heap_verdict(heap, RMEM_OWNED, "it has iommu-addresses");
		return;
	}
	if (pool)
		return;

	referrer = rmem_find_referrer(np, root);
	if (referrer) {
		rmem_heap_verdict(heap, RMEM_OWNED, "%pOF refers to it", referrer);
		of_node_put(referrer);
	}
}

static bool rmem_overlap(phys_addr_t a, phys_addr_t a_size, phys_addr_t b, phys_addr_t b_size)
{
	/* Last bytes: memory may go up to the end of the address space. */
	return a_size && b_size && a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

static phys_addr_t __init rmem_common(const struct reserved_mem *rmem,
				      const struct memblock_region *mem)
{
	phys_addr_t start = max(rmem->base, mem->base);
	phys_addr_t end = min(rmem->base + rmem->size, mem->base + mem->size);

	return start < end ? end - start : 0;
}

/*
 * The core has an entry even for memory that it could not reserve, and reserves what the
 * kernel, what it allocated earlier, the initrd or the device tree lie in without complaint.
 */
static enum rmem_place __init rmem_find_place(const struct rmem_heap *heap)
{
	/* What memblock found for a dynamic region is the kernel's to memblock, too. */
	bool fixed = of_property_present(heap->of_node, "reg");
	const struct reserved_mem *rmem = heap->rmem;
	phys_addr_t mapped = 0, reserved = 0;
	struct memblock_region *mem;

	for_each_mem_region(mem)
		if (!memblock_is_nomap(mem))
			mapped += rmem_common(rmem, mem);
	for_each_reserved_mem_region(mem) {
		if (fixed && (mem->flags & MEMBLOCK_RSRV_KERN) && rmem_common(rmem, mem))
			return RMEM_PLACE_BAD;
		reserved += rmem_common(rmem, mem);
	}

	if (rmem_overlap(rmem->base, rmem->size, __pa_symbol(_text), _end - _text) ||
	    rmem_overlap(rmem->base, rmem->size, initial_boot_params_pa,
			 fdt_totalsize(initial_boot_params)))
		return RMEM_PLACE_BAD;
#ifdef CONFIG_BLK_DEV_INITRD
	if (initrd_start && rmem_overlap(rmem->base, rmem->size, __pa(initrd_start),
					 initrd_end - initrd_start))
		return RMEM_PLACE_BAD;
#endif
	if (!mapped)
		return RMEM_PLACE_UNMAPPED;
	return mapped == rmem->size && reserved == rmem->size ? RMEM_PLACE_MAPPED :
								RMEM_PLACE_BAD;
}

static int __init rmem_heap_scan(void)
{
	struct device_node *parent, *np;
	struct rmem_heap *heap;

	parent = of_find_node_by_path("/reserved-memory");
	if (!parent)
		return 0;

	for_each_child_of_node(parent, np) {
		heap = kzalloc_obj(*heap);
		if (heap)
			heap->name = kstrdup(kbasename(np->full_name), GFP_KERNEL);
		if (!heap || !heap->name) {
			kfree(heap);
			pr_err("%pOF: no memory to keep track of it\n", np);
			continue;
		}

		heap->of_node = of_node_get(np);
		heap->rmem = of_reserved_mem_lookup(np);
		rmem_heap_judge(heap, of_root);
		if (heap->rmem)
			heap->place = rmem_find_place(heap);
		list_add_tail(&heap->list, &rmem_heaps);
	}
	of_node_put(parent);

	return 0;
}
early_initcall(rmem_heap_scan);

/* The driver core is there by now, and no device has been assigned to a region yet. */
static int __init rmem_heap_show(void)
{
	struct rmem_heap *heap;
	int ret;

	list_for_each_entry(heap, &rmem_heaps, list) {
		ret = rmem_heap_add_device(heap);
		if (ret)
			pr_err("%s: not in sysfs (error %d)\n", heap->name, ret);
	}
	return 0;
}
core_initcall(rmem_heap_show);

/* Deciding */

/* Nothing that is not ours may be handed out, whatever else is right about a region. */
static void __init rmem_heap_verify(struct rmem_heap *heap)
{
	const struct reserved_mem *rmem = heap->rmem;
	bool no_map = of_property_read_bool(heap->of_node, "no-map");
	const char *problem = rmem_heap_name_problem(heap->name);
	struct rmem_heap *other;
	u64 base, size;

	if (problem) {
		rmem_heap_verdict(heap, RMEM_REFUSED, "%s", problem);
		return;
	}

	list_for_each_entry(other, &rmem_heaps, list) {
		if (other == heap)
			continue;
		/* The core finds entries by name, so which one is whose is unknown. */
		if (!strcmp(other->name, heap->name)) {
			rmem_heap_verdict(heap, RMEM_REFUSED, "two nodes have this name");
			return;
		}
		if (!other->rmem)
			continue;
		/* Not by the entry, which is its namesake's if it has one. */
		if (of_property_read_reg(other->of_node, 0, &base, &size)) {
			base = other->rmem->base;
			size = other->rmem->size;
		}
		if (rmem_overlap(rmem->base, rmem->size, base, size)) {
			rmem_heap_verdict(heap, RMEM_REFUSED, "it overlaps %s", other->name);
			return;
		}
	}

	if (heap->place == RMEM_PLACE_BAD ||
	    (no_map && heap->place == RMEM_PLACE_MAPPED)) {
		rmem_heap_verdict(heap, RMEM_REFUSED,
				  "its memory is not reserved, or the kernel, initrd or device tree lie in it");
		return;
	}

	switch (heap->mode) {
	case RMEM_HEAP_COHERENT:
		/* memremap() takes no RAM that the kernel maps otherwise, and WARNs. */
		if (region_intersects(rmem->base, rmem->size, IORESOURCE_SYSTEM_RAM,
				      IORES_DESC_NONE) != REGION_DISJOINT)
			rmem_heap_verdict(heap, RMEM_REFUSED,
					  "a coherent pool in RAM needs no-map here");
		break;
	case RMEM_HEAP_RESTRICTED:
		if (heap->place != RMEM_PLACE_MAPPED ||
		    PageHighMem(phys_to_page(rmem->base + rmem->size - 1)))
			rmem_heap_verdict(heap, RMEM_REFUSED,
					  "a restricted pool must be in the linear map");
		break;
	default:
		break;
	}
}

/*
 * Assigns the region to its own device, as the core does for its users, and looks at what
 * that gave: the pool that the device would allocate from is the one we use.
 */
static int rmem_heap_assign(struct rmem_heap *heap)
{
	int ret;

	if (!heap->pool->assigned)
		return 0;

	ret = of_reserved_mem_device_init_with_mem(heap->dev, heap->rmem);
	if (ret)
		return ret;

	if (!heap->rmem->priv || heap->pool->assigned(heap->dev) != heap->rmem->priv) {
		of_reserved_mem_device_release(heap->dev);
		return -EXDEV;
	}
	return 0;
}

static void rmem_heap_unassign(struct rmem_heap *heap)
{
	if (heap->pool->assigned)
		of_reserved_mem_device_release(heap->dev);
}

/* CMA follows mainline, which does not charge it yet. */
static int rmem_heap_limit(struct rmem_heap *heap)
{
	struct dmem_cgroup_init init = { .size = heap->rmem->size };
	struct dmem_cgroup_region *cgroup;

	if (!mem_accounting || heap->mode == RMEM_HEAP_CMA)
		return 0;

	cgroup = dmem_cgroup_register_region(&init, "rmem/%s", heap->name);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	heap->cgroup = cgroup;
	return 0;
}

/**
 * rmem_heap_is_active() - does anybody ask for the heap at the moment
 * @heap: the heap
 *
 * The device node is there a moment before its export is done: then this waits for it.
 *
 * Context: may sleep.
 * Return: false if the driver that exported it is gone.
 */
bool rmem_heap_is_active(struct rmem_heap *heap)
{
	if (READ_ONCE(heap->active))
		return true;

	guard(mutex)(&rmem_export_mutex);
	return heap->active;
}

static struct dma_buf *rmem_heap_allocate(struct dma_heap *heap, unsigned long len,
					  u32 fd_flags, u64 heap_flags)
{
	return rmem_buffer_create(dma_heap_get_drvdata(heap), len, fd_flags);
}

static const struct dma_heap_ops rmem_heap_ops = {
	.allocate = rmem_heap_allocate,
};

static int rmem_heap_export(struct rmem_heap *heap)
{
	struct dma_heap_export_info exp_info = {
		.name = heap->name,
		.ops = &rmem_heap_ops,
		.priv = heap,
	};
	struct dma_heap *dma_heap;
	int ret;

	heap->pool = rmem_pool_for(heap->mode);
	if (!heap->pool)
		return -EOPNOTSUPP;
	/* Without a device there is no telling what its users get. */
	ret = heap->dev ? rmem_heap_assign(heap) : -ENOMEM;
	if (ret)
		goto err_clear;

	ret = heap->pool->init(heap);
	if (ret)
		goto err_unassign;

	ret = rmem_heap_limit(heap);
	if (ret)
		goto err_exit;

	dma_heap = dma_heap_add(&exp_info);
	if (IS_ERR(dma_heap)) {
		ret = PTR_ERR(dma_heap);
		goto err_unlimit;
	}

	heap->heap = dma_heap;
	return 0;

err_unlimit:
	dmem_cgroup_unregister_region(heap->cgroup);
	heap->cgroup = NULL;
err_exit:
	if (heap->pool->exit)
		heap->pool->exit(heap);
err_unassign:
	rmem_heap_unassign(heap);
err_clear:
	heap->pool = NULL;
	return ret;
}

static const char * __init rmem_export_problem(int err)
{
	switch (err) {
	case -EXDEV:
		return "devices get another pool than the node says";
	case -ENXIO:
		return "its CMA area could not be activated";
	case -EOPNOTSUPP:
		return "the kernel is built without its allocator";
	default:
		return "its heap failed";
	}
}

/* Who asks for a heap, NULL if nobody does; says so where asking is not enough */
static const char * __init rmem_heap_wanted_by(struct rmem_heap *heap)
{
	enum rmem_match admin = rmem_admin_match(heap->name);
	bool node = of_property_read_bool(heap->of_node, "export");

	if (admin == RMEM_MATCH_HOLD) {
		heap->held_back = true;
		return NULL;
	}

	switch (heap->verdict) {
	case RMEM_FREE:
		break;
	case RMEM_OWNED:
		/* Who names it exactly is taken at their word. */
		if (admin == RMEM_MATCH_NAME) {
			pr_warn("%s: exporting it although %s: its memory is cleared, and two users of it are yours to rule out\n",
				heap->name, heap->reason);
			return "rmem_heap.export";
		}
		fallthrough;
	default:
		if (node || admin == RMEM_MATCH_NAME)
			pr_warn("%s: cannot export it: %s\n", heap->name, heap->reason);
		return NULL;
	}

	if (admin == RMEM_MATCH_NAME)
		return "rmem_heap.export";
	if (node)
		return "its node";
	if (admin == RMEM_MATCH_ALL && heap->mode != RMEM_HEAP_CARVEOUT)
		return "rmem_heap.export";
	if (heap->mode == RMEM_HEAP_CMA)
		return "default";
	return NULL;
}

/* Nodes that the core does not look at, so that nothing would come of the property */
static void __init rmem_warn_nested(void)
{
	struct device_node *parent, *np, *nested;

	parent = of_find_node_by_path("/reserved-memory");
	for_each_child_of_node(parent, np)
		for_each_child_of_node(np, nested)
			if (of_property_read_bool(nested, "export"))
				pr_warn("%pOF: cannot export it: only the children of /reserved-memory are regions\n",
					nested);
	of_node_put(parent);
}

static int __init rmem_heap_register(void)
{
	struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list) {
		const char *wanted_by;
		u64 kib = heap->rmem ? heap->rmem->size / SZ_1K : 0;
		int ret;

		if (heap->verdict == RMEM_FREE || heap->verdict == RMEM_OWNED)
			rmem_heap_verify(heap);

		wanted_by = rmem_heap_wanted_by(heap);
		if (wanted_by) {
			ret = rmem_heap_export(heap);
			if (!ret) {
				heap->active = 1;
				heap->exported_by = wanted_by;
				rmem_heap_show_heap(heap);
				kobject_uevent(&heap->dev->kobj, KOBJ_CHANGE);
			} else {
				rmem_heap_verdict(heap, RMEM_REFUSED, "%s (error %d)",
						  rmem_export_problem(ret), ret);
				pr_warn("%s: cannot export it: %s\n", heap->name, heap->reason);
			}
		} else if (heap->held_back && heap->verdict == RMEM_FREE) {
			snprintf(heap->reason, sizeof(heap->reason), "rmem_heap.export=!%s",
				 heap->name);
		} else if (heap->verdict == RMEM_FREE) {
			snprintf(heap->reason, sizeof(heap->reason),
				 "nobody asked, see rmem_heap.export=");
		}

		if (heap->exported_by)
			pr_info("%s: %s, %llu KiB, exported (%s)\n", heap->name,
				rmem_heap_kind(heap), kib, heap->exported_by);
		else if (heap->rmem)
			pr_info("%s: %s, %llu KiB, not exported: %s\n", heap->name,
				rmem_heap_kind(heap), kib, heap->reason);
		else
			pr_info("%s: %s, not exported: %s\n", heap->name,
				rmem_heap_kind(heap), heap->reason);
	}

	rmem_warn_nested();
	rmem_admin_check_names();
	/* Drivers may probe beside us already: rmem_heap_of() */
	smp_store_release(&rmem_heaps_ready, true);
	return 0;
}
fs_initcall(rmem_heap_register);

/* What was decided, for people and scripts */
static int regions_show(struct seq_file *m, void *unused)
{
	const struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list) {
		bool exported = rmem_heap_exported(heap);

		seq_escape(m, heap->name, "\t\n");
		seq_printf(m, "\t%s\t%s\t%llu\t%s\t%s\t%s\n", rmem_heap_kind(heap),
			   exported ? heap->pool->name : "-",
			   (u64)(heap->rmem ? heap->rmem->size : 0),
			   exported ? rmem_memory_names[heap->memory] : "-",
			   exported ? heap->exported_by : "-",
			   exported ? "-" : heap->reason);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(regions);

/* What the heaps have handed out: name, used, peak, buffers, largest free, dirty, lost */
static int usage_show(struct seq_file *m, void *unused)
{
	struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list) {
		struct rmem_stats stats;

		if (!rmem_heap_exported(heap))
			continue;
		rmem_heap_stats(heap, &stats);
		seq_printf(m, "%s\t%llu\t%llu\t%lu", heap->name, stats.used, stats.peak,
			   stats.buffers);
		if (heap->pool->stats)
			seq_printf(m, "\t%llu\t%llu\t%llu\n", stats.largest_free,
				   stats.dirty, stats.lost);
		else
			seq_puts(m, "\t-\t-\t-\n");
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(usage);

static int map_show(struct seq_file *m, void *unused)
{
	const struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list)
		if (rmem_heap_exported(heap) && heap->carveout)
			rmem_carveout_show(heap, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(map);

static int __init rmem_heap_debugfs(void)
{
	struct dentry *dir = debugfs_create_dir("rmem_heap", NULL);

	debugfs_create_file("regions", 0400, dir, NULL, &regions_fops);
	debugfs_create_file("usage", 0400, dir, NULL, &usage_fops);
	debugfs_create_file("map", 0400, dir, NULL, &map_fops);
	return 0;
}
late_initcall(rmem_heap_debugfs);

/* For drivers */

static struct rmem_heap *rmem_heap_of(struct device *dev, unsigned int index)
{
	struct device_node *np __free(device_node) =
		of_parse_phandle(dev->of_node, "memory-region", index);
	struct rmem_heap *heap;

	if (!np)
		return ERR_PTR(-ENODEV);
	/* Pairs with rmem_heap_register() */
	if (!smp_load_acquire(&rmem_heaps_ready))
		return ERR_PTR(-EPROBE_DEFER);

	/* By node: of_reserved_mem_lookup() takes any node of the same name. */
	list_for_each_entry(heap, &rmem_heaps, list)
		if (heap->of_node == np)
			return heap;
	return ERR_PTR(-ENODEV);
}

/* Once for each driver that asks; the first makes the heap */
static int rmem_heap_activate(struct rmem_heap *heap, struct device *dev,
			      unsigned int flags)
{
	const char *by;
	int ret;

	if (flags & ~(RMEM_HEAP_KEEP | RMEM_HEAP_WC) ||
	    (flags && heap->mode != RMEM_HEAP_CARVEOUT))
		return dev_err_probe(dev, -EINVAL, "%s: flags 0x%x: not for this region\n",
				     heap->name, flags);
	if (heap->held_back)
		return dev_err_probe(dev, -EPERM, "%s: held back by rmem_heap.export=!%s\n",
				     heap->name, heap->name);
	if (heap->verdict != RMEM_FREE && heap->verdict != RMEM_OWNED && !heap->heap)
		return dev_err_probe(dev, -ENXIO, "%s: cannot export it: %s\n", heap->name,
				     heap->reason);

	if (heap->heap) {
		if (flags != heap->flags)
			return dev_err_probe(dev, -EBUSY, "%s: flags 0x%x: its heap has 0x%x\n",
					     heap->name, flags, heap->flags);
		WRITE_ONCE(heap->active, heap->active + 1);
		return 0;
	}
	/* cma_heap has registered it under the same name. */
	if (heap->mode == RMEM_HEAP_CMA && IS_ENABLED(CONFIG_DMABUF_HEAPS_CMA))
		return dev_err_probe(dev, -EBUSY, "%s: it is cma_heap's\n", heap->name);

	by = kasprintf(GFP_KERNEL, "driver of %s", dev_name(dev));
	if (!by)
		return -ENOMEM;
	heap->flags = flags;
	ret = rmem_heap_export(heap);
	if (ret) {
		heap->flags = 0;
		kfree(by);
		return dev_err_probe(dev, ret, "%s: its heap failed\n", heap->name);
	}
	heap->active = 1;
	/* Whoever sees this sees what was set before it: rmem_heap_exported() */
	smp_store_release(&heap->exported_by, by);
	rmem_heap_show_heap(heap);
	return 0;
}

static void rmem_heap_deactivate(void *data)
{
	struct rmem_heap *heap = data;

	scoped_guard(mutex, &rmem_export_mutex)
		WRITE_ONCE(heap->active, heap->active - 1);
	kobject_uevent(&heap->dev->kobj, KOBJ_CHANGE);
}

/**
 * devm_rmem_heap_export() - offer a region that a driver owns as a heap
 * @dev: the driver's device, with a memory-region property
 * @index: which of its entries
 * @flags: RMEM_HEAP_KEEP for what the boot has left in a carveout, which is cleared
 *	otherwise: the first buffers have it. RMEM_HEAP_WC for a no-map carveout that the
 *	CPU may map, write-combined. 0 in all other modes
 *
 * It is the driver's word that nobody else uses the memory, the driver itself included, but
 * for what comes from the heap. When the driver goes, the heap stays, with its buffers and
 * their mappings; but it allocates nothing (-ENODEV) until a driver asks for it again.
 *
 * Context: may sleep. In probe: what it does is undone when the driver is unbound.
 * Return: the heap, or an ERR_PTR: -EPROBE_DEFER before fs_initcall, -ENODEV if there is no
 * such entry, -EPERM if the administrator holds the region back, -ENXIO if the kernel
 * refused it, -EINVAL for flags that are not for this region, -EBUSY if the heap exists
 * with other flags or is cma_heap's, -ENOMEM.
 */
struct rmem_heap *devm_rmem_heap_export(struct device *dev, unsigned int index,
					unsigned int flags)
{
	struct rmem_heap *heap = rmem_heap_of(dev, index);
	int ret;

	if (IS_ERR(heap))
		return heap;

	scoped_guard(mutex, &rmem_export_mutex)
		ret = rmem_heap_activate(heap, dev, flags);
	if (ret)
		return ERR_PTR(ret);

	ret = devm_add_action_or_reset(dev, rmem_heap_deactivate, heap);
	if (ret)
		return ERR_PTR(ret);

	rmem_heap_link_device(heap, dev);
	kobject_uevent(&heap->dev->kobj, KOBJ_CHANGE);
	return heap;
}
EXPORT_SYMBOL_GPL(devm_rmem_heap_export);

/**
 * devm_rmem_heap_export_by_name() - offer a region that a driver owns as a heap, by name
 * @dev: the driver's device, with memory-region and memory-region-names properties
 * @name: the name of the entry
 * @flags: see devm_rmem_heap_export()
 *
 * Context: may sleep, in probe.
 * Return: as devm_rmem_heap_export(), with -ENODEV if there is no entry of that name.
 */
struct rmem_heap *devm_rmem_heap_export_by_name(struct device *dev, const char *name,
						unsigned int flags)
{
	int index = of_property_match_string(dev->of_node, "memory-region-names", name);

	return index < 0 ? ERR_PTR(-ENODEV) : devm_rmem_heap_export(dev, index, flags);
}
EXPORT_SYMBOL_GPL(devm_rmem_heap_export_by_name);

/**
 * rmem_heap_find() - the heap of a device's reserved-memory region
 * @dev: a device with a memory-region property
 * @index: which of its entries
 *
 * Heaps are never removed, so that the pointer needs no release. If another driver is to
 * export the region, it has to be bound before.
 *
 * Context: may sleep.
 * Return: the heap, or an ERR_PTR: -EPROBE_DEFER before the heaps are registered, -ENODEV
 * if the device has no such entry, -EACCES if the region has no heap: see the boot
 * messages for who has to ask for it.
 */
struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index)
{
	struct rmem_heap *heap = rmem_heap_of(dev, index);

	if (IS_ERR(heap))
		return heap;
	if (!rmem_heap_exported(heap))
		return ERR_PTR(-EACCES);
	rmem_heap_link_device(heap, dev);
	return heap;
}
EXPORT_SYMBOL_GPL(rmem_heap_find);

/**
 * rmem_heap_find_by_name() - the heap of a device's reserved-memory region, by name
 * @dev: a device with memory-region and memory-region-names properties
 * @name: the name of the entry
 *
 * Context: may sleep.
 * Return: as rmem_heap_find(), with -ENODEV if there is no entry of that name.
 */
struct rmem_heap *rmem_heap_find_by_name(struct device *dev, const char *name)
{
	int index = of_property_match_string(dev->of_node, "memory-region-names", name);

	return index < 0 ? ERR_PTR(-ENODEV) : rmem_heap_find(dev, index);
}
EXPORT_SYMBOL_GPL(rmem_heap_find_by_name);

/**
 * rmem_heap_get_mode() - the allocator behind a heap
 * @heap: the heap
 *
 * Context: any.
 * Return: the mode, which tells what buffers are like.
 */
enum rmem_heap_mode rmem_heap_get_mode(const struct rmem_heap *heap)
{
	return heap->mode;
}
EXPORT_SYMBOL_GPL(rmem_heap_get_mode);

/**
 * rmem_heap_get_info() - what a driver can count on
 * @heap: the heap
 * @info: filled in
 *
 * For drivers that need contiguous memory, or memory that the CPU can map.
 *
 * Context: any.
 */
void rmem_heap_get_info(const struct rmem_heap *heap, struct rmem_heap_info *info)
{
	static const enum rmem_heap_cpu cpu[] = {
		[RMEM_LINEAR] = RMEM_HEAP_CPU_CACHED,
		[RMEM_WC] = RMEM_HEAP_CPU_WC,
		[RMEM_DEVICE_ONLY] = RMEM_HEAP_CPU_NONE,
	};
	size_t size = heap->rmem->size;

	*info = (struct rmem_heap_info) {
		.mode = heap->mode,
		.cpu = cpu[heap->memory],
		.contiguous = heap->mode != RMEM_HEAP_RESTRICTED,
		.max_buffer = size,
	};
	switch (heap->mode) {
	case RMEM_HEAP_CMA:
#ifdef CONFIG_CMA_ALIGNMENT
		info->alignment = PAGE_SIZE << CONFIG_CMA_ALIGNMENT;
#endif
		break;
	case RMEM_HEAP_COHERENT:
		/* Counted from the base of the region, which has an alignment of its own. */
		info->max_buffer = rounddown_pow_of_two(size);
		info->alignment = min_t(u64, info->max_buffer,
					heap->rmem->base ? 1ULL << __ffs64(heap->rmem->base) :
							   info->max_buffer);
		break;
	case RMEM_HEAP_RESTRICTED:
		info->alignment = PAGE_SIZE;
		break;
	case RMEM_HEAP_CARVEOUT:
		info->alignment = RMEM_ALIGN_MAX;
		break;
	}
}
EXPORT_SYMBOL_GPL(rmem_heap_get_info);

/**
 * rmem_heap_alloc() - allocate a dma-buf from a heap
 * @heap: the heap
 * @len: bytes, rounded up to whole pages
 * @fd_flags: O_RDONLY to O_RDWR and O_CLOEXEC, for the file descriptor that it may get
 *
 * What a user of the heap's device node gets, from the same memory. Cleared, unless it is
 * memory that the CPU never maps. Give it back with dma_buf_put().
 *
 * Context: may sleep, in allocators that migrate pages for long.
 * Return: the dma-buf, or an ERR_PTR: -EINVAL if @len is 0 or wraps, -ENOMEM if the region
 * does not have that much in one piece (restricted: at all) or the control group may not
 * have it, -ENODEV if the driver that exported the heap is gone, -EINTR if the task was
 * killed while it waited for memory to be cleared.
 */
struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len, u32 fd_flags)
{
	return rmem_buffer_create(heap, len, fd_flags);
}
EXPORT_SYMBOL_GPL(rmem_heap_alloc);

/**
 * rmem_heap_hides_cma() - is the heap of a CMA area not cma_heap's to register
 * @cma: the area
 * @alias: asked about default_cma_region, not about the area's own name
 *
 * Context: any, once the heaps are registered (fs_initcall).
 * Return: true if the area has a heap here or its name cannot be one, under its own name;
 * or if the region is disabled or refused, or the administrator holds it back, under any name.
 */
bool rmem_heap_hides_cma(const struct cma *cma, bool alias)
{
	const struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list) {
		if (heap->mode != RMEM_HEAP_CMA || !heap->rmem || heap->rmem->priv != cma)
			continue;
		/* Its memory may not be what it seems, or the name is somebody else's. */
		if (heap->verdict == RMEM_REFUSED || heap->verdict == RMEM_DISABLED)
			return !alias || !rmem_heap_name_problem(heap->name);
		return heap->held_back || (rmem_heap_exported(heap) && !alias);
	}
	/* An area whose node has a namesake is found under neither: both are refused. */
	if (cma && !alias)
		list_for_each_entry(heap, &rmem_heaps, list)
			if (heap->verdict == RMEM_REFUSED &&
			    !strncmp(heap->name, cma_get_name(cma), CMA_MAX_NAME - 1))
				return true;
	return false;
}
EXPORT_SYMBOL_GPL(rmem_heap_hides_cma);
