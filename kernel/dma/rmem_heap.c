// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the dispatcher, in the order of the boot. The reasons are in
 * Documentation/driver-api/rmem-heap.rst.
 *
 * early_initcall  classify every region, find its owner and look it up in the memory map:
 *		   memblock is discarded right after
 * core_initcall   add the regions to sysfs; no device has been assigned to a region yet
 * fs_initcall	   export the regions for which a heap is requested: dma-heap itself is a
 *		   subsys_initcall, and no other heap exists yet
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/cgroup_dmem.h>
#include <linux/cma.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rmem.h"

/* All regions; complete after early_initcall */
LIST_HEAD(rmem_regions);
static bool heaps_registered __ro_after_init;

/* dma-heap has minors for 128 heaps: 16 are left for the heaps of mainline, which come later */
#define HEAP_MAX	(128 - 16)

/* Protects the exports of all regions: which region has a heap, how many, and @active of them */
static DEFINE_MUTEX(export_mutex);
static unsigned int nr_heaps;

/* The allocator of a mode, NULL if the kernel is built without it */
const struct rmem_pool_ops *rmem_heap_pool_ops(enum rmem_heap_mode mode)
{
	static const struct rmem_pool_ops * const ops[] = {
#ifdef CONFIG_DMA_CMA
		[RMEM_HEAP_CMA] = &rmem_heap_cma_ops,
#endif
#ifdef CONFIG_DMA_DECLARE_COHERENT
		[RMEM_HEAP_COHERENT] = &rmem_heap_coherent_ops,
#endif
#ifdef CONFIG_DMA_RESTRICTED_POOL
		[RMEM_HEAP_RESTRICTED] = &rmem_heap_restricted_ops,
#endif
		[RMEM_HEAP_CARVEOUT] = &rmem_heap_carveout_ops,
	};

	return ops[mode];
}

static int __init heap_scan_regions(void)
{
	/* As the core, with or without a unit address */
	struct device_node *parent = of_get_child_by_name(of_root, "reserved-memory"), *np;
	struct rmem_region *region;
	LIST_HEAD(others);

	if (!parent)
		return 0;

	for_each_child_of_node(parent, np) {
		region = kzalloc_obj(*region);
		if (region)
			region->name = kstrdup(kbasename(np->full_name), GFP_KERNEL);
		if (!region || !region->name) {
			kfree(region);
			pr_err("%pOF: no memory to keep track of it\n", np);
			continue;
		}

		region->of_node = of_node_get(np);
		region->rmem = of_reserved_mem_lookup(np);
		rmem_heap_classify(region);
		rmem_heap_find_owner(region);
		list_add_tail(&region->list,
			      region->mode == RMEM_HEAP_CMA ? &rmem_regions : &others);
	}
	of_node_put(parent);
	/* The heaps of CMA areas are ABI: there is a place for each. */
	list_splice_tail(&others, &rmem_regions);

	rmem_heap_find_users(&rmem_regions, of_root);
	rmem_heap_validate(&rmem_regions);
	return 0;
}
early_initcall(heap_scan_regions);

static int __init heap_add_devices(void)
{
	struct rmem_region *region;
	int ret = rmem_heap_add_class();

	if (ret)
		return ret;
	list_for_each_entry(region, &rmem_regions, list) {
		ret = rmem_heap_add_device(region);
		if (ret)
			pr_err("%s: not in sysfs (error %d)\n", region->name, ret);
	}
	return 0;
}
core_initcall(heap_add_devices);

/*
 * Assigns the region to its own device, as the core does for the devices that refer to the
 * region. The pool that the device gets is the pool that the heap allocates from.
 */
static int heap_assign(struct rmem_heap *heap)
{
	struct rmem_region *region = heap->region;
	int ret;

	if (!heap->ops->assigned)
		return 0;

	ret = of_reserved_mem_device_init_with_mem(region->dev, region->rmem);
	if (ret) {
		rmem_set_reason(region, "the kernel could not set up a pool of %llu KiB (error %d)",
				(u64)region->rmem->size / SZ_1K, ret);
		return ret;
	}
	if (!region->rmem->priv || heap->ops->assigned(region->dev) != region->rmem->priv) {
		of_reserved_mem_device_release(region->dev);
		rmem_set_reason(region, "devices get another pool than the node says");
		return -EXDEV;
	}
	return 0;
}

/* CMA is not charged, as mainline's heap does not charge it either. */
static int heap_register_cgroup(struct rmem_heap *heap)
{
	struct dmem_cgroup_init init = { .size = heap->region->rmem->size };
	struct dmem_cgroup_region *cgroup;

	if (!mem_accounting || heap->region->mode == RMEM_HEAP_CMA)
		return 0;

	cgroup = dmem_cgroup_register_region(&init, "rmem/%s", heap->region->name);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	heap->cgroup = cgroup;
	return 0;
}

static struct dma_buf *heap_allocate(struct dma_heap *heap, unsigned long len, u32 fd_flags,
				     u64 heap_flags)
{
	return rmem_heap_alloc(dma_heap_get_drvdata(heap), len, fd_flags);
}

static const struct dma_heap_ops heap_ops = {
	.allocate = heap_allocate,
};

/* Makes a heap, complete before its device node appears. On failure the region has a reason. */
static struct rmem_heap *heap_create(struct rmem_region *region, const char *requested_by,
				     unsigned int flags)
{
	struct dma_heap_export_info exp_info = { .name = region->name, .ops = &heap_ops };
	struct rmem_heap *heap;
	int ret;

	region->reason[0] = '\0';
	heap = kzalloc_obj(*heap);
	if (!heap) {
		ret = -ENOMEM;
		goto err;
	}
	heap->region = region;
	heap->ops = rmem_heap_pool_ops(region->mode);
	heap->requested_by = requested_by;
	heap->flags = flags;
	heap->active = 1;

	if (!heap->ops) {
		ret = -EOPNOTSUPP;
		rmem_set_reason(region, "the kernel is built without its allocator");
		goto err_free;
	}
	if (nr_heaps >= HEAP_MAX) {
		ret = -EBUSY;
		rmem_set_reason(region, "there are %u heaps of regions, and can be no more",
				HEAP_MAX);
		goto err_free;
	}
	/* A device shows which pool the users of the region get. */
	if (!region->dev)
		rmem_set_reason(region, "it has no device in sysfs, see the boot messages");
	ret = region->dev ? heap_assign(heap) : -ENXIO;
	if (ret)
		goto err_free;

	ret = heap->ops->init(heap);
	if (ret)
		goto err_unassign;

	ret = heap_register_cgroup(heap);
	if (ret)
		goto err_exit;

	exp_info.priv = heap;
	heap->dma_heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap->dma_heap)) {
		ret = PTR_ERR(heap->dma_heap);
		goto err_unregister;
	}
	nr_heaps++;
	/* An export that fails must not have changed the memory. */
	if (heap->ops->start)
		heap->ops->start(heap);
	return heap;

err_unregister:
	dmem_cgroup_unregister_region(heap->cgroup);
err_exit:
	if (heap->ops->exit)
		heap->ops->exit(heap);
err_unassign:
	if (heap->ops->assigned)
		of_reserved_mem_device_release(region->dev);
err_free:
	kfree(heap);
err:
	if (!region->reason[0])
		rmem_set_reason(region, "its heap failed (error %d)", ret);
	return ERR_PTR(ret);
}

static void heap_publish(struct rmem_heap *heap)
{
	/* Pairs with rmem_region_heap(): a reader of the pointer sees all fields. */
	smp_store_release(&heap->region->heap, heap);
	rmem_heap_update_device(heap->region);
}

/*
 * Makes the heap of a region if one is requested, and prints what the region is, unless it is a
 * carve-out that is only counted: returns true then.
 */
static bool __init heap_register_region(struct rmem_region *region)
{
	const char *requested_by = rmem_heap_policy_request(region);
	bool counted = !requested_by && rmem_heap_policy_explain(region);
	char place[80] = "";

	if (requested_by) {
		struct rmem_heap *heap = heap_create(region, requested_by, 0);

		if (IS_ERR(heap)) {
			region->status = RMEM_INVALID;
			pr_warn("%s: cannot export it: %s\n", region->name, region->reason);
		} else {
			heap_publish(heap);
			kobject_uevent(&region->dev->kobj, KOBJ_CHANGE);
		}
	}
	if (region->rmem)
		rmem_heap_print_place(region, place, sizeof(place));
	if (region->heap)
		pr_info("%s: %s,%s exported (%s)\n", region->name, rmem_heap_kind(region), place,
			requested_by);
	else if (counted)
		pr_debug("%s: carveout,%s not exported: %s\n", region->name, place, region->reason);
	else
		pr_info("%s: %s,%s not exported: %s\n", region->name, rmem_heap_kind(region),
			place, region->reason);
	if (region->heap && region->mode == RMEM_HEAP_CMA && region->owner[0] && !region->owned)
		pr_warn("%s: %s: the kernel may fault when a program uses the heap; rmem_heap.export=!%s holds it back\n",
			region->name, region->owner, region->name);
	return counted;
}

/* The core takes the children of one node only, so "export" has no effect elsewhere. */
static void __init heap_warn_elsewhere(void)
{
	struct device_node *np, *parent = of_get_child_by_name(of_root, "reserved-memory"), *child;
	struct rmem_region *region;

	list_for_each_entry(region, &rmem_regions, list)
		for_each_child_of_node(region->of_node, child)
			if (of_property_read_bool(child, "export"))
				pr_warn("%pOF: cannot export it: only the children of %pOF are regions\n",
					child, parent);
	for_each_node_by_name(np, "reserved-memory")
		if (np != parent && np->parent && !str_has_prefix(np->parent->full_name, "__"))
			pr_warn("%pOF: the kernel does not look for regions here, but in /reserved-memory\n",
				np);
	of_node_put(parent);
}

static int __init heap_register_all(void)
{
	unsigned int counted = 0;
	struct rmem_region *region;

	list_for_each_entry(region, &rmem_regions, list)
		counted += heap_register_region(region);
	if (counted)
		pr_info("%u carve-outs have no owner in the device tree; firmware may own them\n",
			counted);

	heap_warn_elsewhere();
	rmem_heap_policy_check_names(&rmem_regions);
	/* Pairs with heap_find_region(): a driver may probe at the same time. */
	smp_store_release(&heaps_registered, true);
	return 0;
}
fs_initcall(heap_register_all);

/* The region that a device refers to; by node, since several nodes may have one name */
static struct rmem_region *heap_find_region(struct device *dev, unsigned int index)
{
	struct device_node *np __free(device_node) =
		of_parse_phandle(dev->of_node, "memory-region", index);
	struct rmem_region *region;

	if (!np)
		return ERR_PTR(-ENODEV);
	/* Pairs with heap_register_all(). */
	if (!smp_load_acquire(&heaps_registered))
		return ERR_PTR(-EPROBE_DEFER);

	list_for_each_entry(region, &rmem_regions, list)
		if (region->of_node == np)
			return region;
	if (of_node_check_flag(np, OF_DYNAMIC))
		dev_warn(dev, "%pOF came too late: the kernel takes regions at boot, not from overlays\n",
			 np);
	return ERR_PTR(-ENODEV);
}

/* Whether a driver may export a region that has no heap yet */
static bool heap_is_possible(const struct rmem_region *region)
{
	return region->dev && rmem_heap_pool_ops(region->mode) && !region->blocked &&
	       region->status == RMEM_AVAILABLE;
}

/* Counts one more export of a region, and makes the heap for the first one */
static int heap_activate(struct rmem_region *region, struct device *dev, unsigned int flags)
{
	struct rmem_heap *heap = region->heap;
	char reason[sizeof(region->reason)];
	const char *by;

	if (flags & ~(RMEM_HEAP_KEEP | RMEM_HEAP_WC) ||
	    (flags && region->mode != RMEM_HEAP_CARVEOUT))
		return dev_err_probe(dev, -EINVAL, "%s: flags 0x%x: not for this region\n",
				     region->name, flags);
	if (region->blocked)
		return dev_err_probe(dev, -EPERM, "%s: blocked by rmem_heap.export=!%s\n",
				     region->name, region->name);
	if (heap && flags != heap->flags)
		return dev_err_probe(dev, -EBUSY, "%s: flags 0x%x: its heap has 0x%x\n",
				     region->name, flags, heap->flags);
	if (heap) {
		if (!heap->active && heap->ops->start)
			heap->ops->start(heap);
		WRITE_ONCE(heap->active, heap->active + 1);
		return 0;
	}
	if (region->status != RMEM_AVAILABLE)
		return dev_err_probe(dev, -ENXIO, "%s: cannot export it: %s\n", region->name,
				     region->reason);

	by = kasprintf(GFP_KERNEL, "driver of %s", dev_name(dev));
	if (!by)
		return -ENOMEM;
	strscpy(reason, region->reason);
	heap = heap_create(region, by, flags);
	if (IS_ERR(heap)) {
		dev_err_probe(dev, PTR_ERR(heap), "%s: cannot export it: %s\n", region->name,
			      region->reason);
		/* The next driver may succeed: the reason from the boot stays true. */
		strscpy(region->reason, reason);
		kfree(by);
		return PTR_ERR(heap);
	}
	heap_publish(heap);
	return 0;
}

/* Ends an export: after the last one nothing here accesses free memory of the region. */
static void heap_deactivate(struct device *dev, void *res)
{
	struct rmem_heap *heap = *(struct rmem_heap **)res;

	scoped_guard(mutex, &export_mutex)
		WRITE_ONCE(heap->active, heap->active - 1);
	smp_mb();	/* Pairs with rmem_heap_alloc(). */
	wait_var_event(&heap->allocating,
		       READ_ONCE(heap->active) || !atomic_read(&heap->allocating));
	scoped_guard(mutex, &export_mutex)
		if (!heap->active && heap->ops->stop)
			heap->ops->stop(heap);
	kobject_uevent(&heap->region->dev->kobj, KOBJ_CHANGE);
}

/**
 * devm_rmem_heap_export() - export a region that a driver owns as a heap
 * @dev: the driver's device, with a memory-region property
 * @index: index of the region in memory-region
 * @flags: for carveouts, else 0. RMEM_HEAP_KEEP: the region is not cleared, and the first
 *	buffers have what the boot has left in it; write-combined memory keeps this until
 *	the machine tries to hibernate. RMEM_HEAP_WC: the CPU may map the region
 *	though its node is no-map, write-combined
 *
 * By exporting, the driver promises that nothing uses the region except through this heap: not
 * the driver itself by address, and no firmware. When the driver is unbound, the heap, its
 * buffers and their mappings stay; until a driver exports the region again, allocations fail
 * with -ENODEV, and the heap does not access memory that is free. The export ends after the
 * remove function of the driver.
 *
 * Context: may sleep. Call it in the probe function: the export ends when the driver is
 * unbound.
 * Return: the heap, or an ERR_PTR: -EPROBE_DEFER before fs_initcall, -ENODEV if memory-region
 * has no such entry, -EPERM if rmem_heap.export=!name blocks the region, -ENXIO if the kernel
 * refused the region or sysfs does not show it, -EINVAL for flags that the region cannot have,
 * -EBUSY if the heap exists with other flags or if there is no minor left for it, -EXDEV if
 * devices get another pool than the node says, -EOPNOTSUPP if the kernel is built without the
 * allocator, -ENOMEM.
 */
struct rmem_heap *devm_rmem_heap_export(struct device *dev, unsigned int index,
					unsigned int flags)
{
	struct rmem_region *region = heap_find_region(dev, index);
	struct rmem_heap **res;
	int ret;

	if (IS_ERR(region))
		return ERR_CAST(region);
	res = devres_alloc(heap_deactivate, sizeof(*res), GFP_KERNEL);
	if (!res)
		return ERR_PTR(-ENOMEM);

	scoped_guard(mutex, &export_mutex)
		ret = heap_activate(region, dev, flags);
	if (ret) {
		devres_free(res);
		return ERR_PTR(ret);
	}
	*res = region->heap;
	devres_add(dev, res);

	rmem_heap_link_device(region, dev);
	kobject_uevent(&region->dev->kobj, KOBJ_CHANGE);
	return region->heap;
}
EXPORT_SYMBOL_GPL(devm_rmem_heap_export);

/**
 * rmem_heap_find() - find the heap of a region that a device refers to
 * @dev: the device, with a memory-region property
 * @index: index of the region in memory-region
 *
 * Heaps are never removed, so the pointer needs no release.
 *
 * Context: may sleep. Call it in the probe function: the driver core warns when it is called
 * after the time for deferred probes, for a region whose driver has not come.
 * Return: the heap, or an ERR_PTR: -EPROBE_DEFER before fs_initcall, and while the driver that
 * exports the region may still come, see driver_deferred_probe_check_state(); -ENODEV if
 * memory-region has no such entry; -EACCES if the region has no heap: the boot messages say why.
 */
struct rmem_heap *rmem_heap_find(struct device *dev, unsigned int index)
{
	struct rmem_region *region = heap_find_region(dev, index);
	struct rmem_heap *heap;

	if (IS_ERR(region))
		return ERR_CAST(region);
	heap = rmem_region_heap(region);
	if (!heap)
		return ERR_PTR(heap_is_possible(region) &&
			       driver_deferred_probe_check_state(dev) == -EPROBE_DEFER ?
			       -EPROBE_DEFER : -EACCES);
	rmem_heap_link_device(region, dev);
	return heap;
}
EXPORT_SYMBOL_GPL(rmem_heap_find);

/**
 * rmem_heap_alloc() - allocate a dma-buf from a heap
 * @heap: the heap
 * @len: bytes, rounded up to whole pages
 * @fd_flags: O_RDONLY to O_RDWR and O_CLOEXEC, for the file descriptor that it may get
 *
 * Allocates what DMA_HEAP_IOCTL_ALLOC on the heap's device node does. The memory is cleared,
 * unless the CPU never maps it. Free the buffer with dma_buf_put().
 *
 * Context: may sleep, for long if the allocator has to migrate pages.
 * Return: the dma-buf, or an ERR_PTR: -EINVAL if @len is 0 or wraps around, -ENOMEM if the
 * region has no free block of that size (restricted: not as much free memory) or the limit of
 * the control group is reached, -ENODEV if no driver exports the heap any more, -EINTR if the
 * task was killed.
 */
struct dma_buf *rmem_heap_alloc(struct rmem_heap *heap, size_t len, u32 fd_flags)
{
	struct dma_buf *dmabuf = ERR_PTR(-ENODEV);

	/* Who tries again and again must not keep the last export from its end. */
	if (!READ_ONCE(heap->active))
		return dmabuf;
	atomic_inc(&heap->allocating);
	smp_mb__after_atomic();	/* Pairs with heap_deactivate(). */
	if (READ_ONCE(heap->active))
		dmabuf = rmem_heap_buffer_export(heap, len, fd_flags);
	if (atomic_dec_and_test(&heap->allocating))
		wake_up_var(&heap->allocating);
	return dmabuf;
}
EXPORT_SYMBOL_GPL(rmem_heap_alloc);

static struct rmem_region *heap_region_of(const struct reserved_mem *rmem)
{
	struct rmem_region *region;

	list_for_each_entry(region, &rmem_regions, list)
		if (rmem && region->rmem == rmem)
			return region;
	return NULL;
}

/* For of_reserved_mem: a device has been assigned to a region. */
void rmem_heap_link(struct reserved_mem *rmem, struct device *dev)
{
	struct rmem_region *region = heap_region_of(rmem);

	if (region)
		rmem_heap_link_device(region, dev);
}

/* For of_reserved_mem: a device has been released from a region. */
void rmem_heap_unlink(struct reserved_mem *rmem, struct device *dev)
{
	struct rmem_region *region = heap_region_of(rmem);

	if (region)
		rmem_heap_unlink_device(region, dev);
}

/**
 * rmem_heap_owns_cma_area() - whether cma_heap must not register a CMA area
 * @cma: the area
 * @alias: true for the name default_cma_region, false for the name of the area
 *
 * Context: any, from fs_initcall on.
 * Return: true for the name of the area if the region has a heap here or an owner, or its name
 * cannot be the name of a heap; true for both names if the region is disabled, refused or blocked.
 */
bool rmem_heap_owns_cma_area(const struct cma *cma, bool alias)
{
	const struct rmem_region *region;

	list_for_each_entry(region, &rmem_regions, list) {
		if (region->mode != RMEM_HEAP_CMA || !region->rmem || region->rmem->priv != cma)
			continue;
		/* The memory may not be reserved, or the name may belong to another heap. */
		if (region->status == RMEM_INVALID || region->status == RMEM_DISABLED)
			return !alias || !rmem_heap_name_problem(region->name);
		return region->blocked ||
		       ((region->owned || rmem_region_heap(region)) && !alias);
	}
	/*
	 * Two nodes of one name are both refused, and the area belongs to either. A node with
	 * the name of another heap does not hide that heap.
	 */
	if (cma && !alias)
		list_for_each_entry(region, &rmem_regions, list)
			if (region->status == RMEM_INVALID && region->mode == RMEM_HEAP_CMA &&
			    !rmem_heap_name_problem(region->name) &&
			    !strncmp(region->name, cma_get_name(cma), CMA_MAX_NAME - 1))
				return true;
	return false;
}
EXPORT_SYMBOL_GPL(rmem_heap_owns_cma_area);
