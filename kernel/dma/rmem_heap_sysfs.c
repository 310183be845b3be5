// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the regions in sysfs.
 *
 * Documentation/ABI/testing/sysfs-class-rmem-heap says what is in each file.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/limits.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "rmem_heap.h"

static struct rmem_heap *rmem_heap_from(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rmem_heap_kind(rmem_heap_from(dev)));
}
static DEVICE_ATTR_RO(mode);

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct reserved_mem *rmem = rmem_heap_from(dev)->rmem;

	return sysfs_emit(buf, "%llu\n", rmem ? (u64)rmem->size : 0);
}
static DEVICE_ATTR_RO(size);

/* Physical addresses help attackers: root only. */
static ssize_t base_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct reserved_mem *rmem = rmem_heap_from(dev)->rmem;

	return rmem ? sysfs_emit(buf, "0x%llx\n", (u64)rmem->base) : -ENODATA;
}
static DEVICE_ATTR_ADMIN_RO(base);

static ssize_t exported_by_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_heap *heap = rmem_heap_from(dev);

	return sysfs_emit(buf, "%s\n", rmem_heap_exported(heap) ? heap->exported_by : "-");
}
static DEVICE_ATTR_RO(exported_by);

static ssize_t reason_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_heap *heap = rmem_heap_from(dev);

	if (!rmem_heap_exported(heap))
		return sysfs_emit(buf, "%s\n", heap->reason);
	return sysfs_emit(buf, "%s\n", READ_ONCE(heap->active) ? "-" : "its driver is gone");
}
static DEVICE_ATTR_RO(reason);

static struct attribute *rmem_region_attrs[] = {
	&dev_attr_mode.attr,
	&dev_attr_size.attr,
	&dev_attr_base.attr,
	&dev_attr_exported_by.attr,
	&dev_attr_reason.attr,
	NULL
};

static const struct attribute_group rmem_region_group = {
	.attrs = rmem_region_attrs,
};

/* What only a heap has */

static struct rmem_stats rmem_heap_get_stats(struct device *dev)
{
	struct rmem_stats stats;

	rmem_heap_stats(rmem_heap_from(dev), &stats);
	return stats;
}

static ssize_t used_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", rmem_heap_get_stats(dev).used);
}
static DEVICE_ATTR_RO(used);

static ssize_t peak_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", rmem_heap_get_stats(dev).peak);
}
static DEVICE_ATTR_RO(peak);

static ssize_t buffers_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", rmem_heap_get_stats(dev).buffers);
}
static DEVICE_ATTR_RO(buffers);

static ssize_t largest_free_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", rmem_heap_get_stats(dev).largest_free);
}
static DEVICE_ATTR_RO(largest_free);

static ssize_t available_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_heap *heap = rmem_heap_from(dev);

	return sysfs_emit(buf, "%llu\n", heap->pool->free_bytes(heap));
}
static DEVICE_ATTR_RO(available);

static ssize_t alignment_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct rmem_heap_info info;

	rmem_heap_get_info(rmem_heap_from(dev), &info);
	return sysfs_emit(buf, "%zu\n", info.alignment);
}
static DEVICE_ATTR_RO(alignment);

static ssize_t max_buffer_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct rmem_heap_info info;

	rmem_heap_get_info(rmem_heap_from(dev), &info);
	return sysfs_emit(buf, "%zu\n", info.max_buffer);
}
static DEVICE_ATTR_RO(max_buffer);

static ssize_t cpu_access_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[RMEM_HEAP_CPU_CACHED] = "cached",
		[RMEM_HEAP_CPU_WC] = "write-combined",
		[RMEM_HEAP_CPU_NONE] = "none",
	};
	struct rmem_heap_info info;

	rmem_heap_get_info(rmem_heap_from(dev), &info);
	return sysfs_emit(buf, "%s\n", names[info.cpu]);
}
static DEVICE_ATTR_RO(cpu_access);

static struct attribute *rmem_heap_attrs[] = {
	&dev_attr_used.attr,
	&dev_attr_peak.attr,
	&dev_attr_buffers.attr,
	&dev_attr_largest_free.attr,
	&dev_attr_available.attr,
	&dev_attr_alignment.attr,
	&dev_attr_max_buffer.attr,
	&dev_attr_cpu_access.attr,
	NULL
};

static umode_t rmem_heap_attr_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	const struct rmem_heap *heap = rmem_heap_from(kobj_to_dev(kobj));

	if (!rmem_heap_exported(heap))
		return 0;
	if (attr == &dev_attr_largest_free.attr && !heap->pool->stats)
		return 0;
	return attr->mode;
}

static const struct attribute_group rmem_heap_group = {
	.attrs = rmem_heap_attrs,
	.is_visible = rmem_heap_attr_visible,
};

static const struct attribute_group *rmem_heap_groups[] = {
	&rmem_region_group,
	&rmem_heap_group,
	NULL
};

static const struct class rmem_heap_class = {
	.name = "rmem_heap",
	.dev_groups = rmem_heap_groups,
};

static void rmem_heap_release(struct device *dev)
{
	kfree(dev);
}

static bool rmem_heap_is_second(const struct rmem_heap *heap)
{
	const struct rmem_heap *other;

	list_for_each_entry(other, &rmem_heaps, list) {
		if (other == heap)
			return false;
		if (!strcmp(other->name, heap->name))
			return true;
	}
	return false;
}

/**
 * rmem_heap_add_device() - show a region in sysfs
 * @heap: the region; sets its device
 *
 * The device is also the one that the region is assigned to when it is exported.
 *
 * Context: may sleep.
 * Return: 0, also for names that sysfs cannot show (twins, and too long ones); or an errno.
 */
int rmem_heap_add_device(struct rmem_heap *heap)
{
	static bool registered;
	struct device *dev;
	int ret;

	if (!registered) {
		ret = class_register(&rmem_heap_class);
		if (ret)
			return ret;
		registered = true;
	}
	if (!*heap->name || strlen(heap->name) > NAME_MAX || rmem_heap_is_second(heap))
		return 0;

	dev = kzalloc_obj(*dev);
	if (!dev)
		return -ENOMEM;

	device_initialize(dev);
	dev->class = &rmem_heap_class;
	dev->release = rmem_heap_release;
	dev->dma_mask = &dev->coherent_dma_mask;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev_set_drvdata(dev, heap);
	ret = dev_set_name(dev, "%s", heap->name);
	if (!ret)
		ret = device_add(dev);
	if (ret) {
		put_device(dev);
		return ret;
	}

	/*
	 * Just the link: as the device's own node its strings would go into each uevent,
	 * which WARNs if there are too many.
	 */
	if (sysfs_create_link_nowarn(&dev->kobj, of_node_kobj(heap->of_node), "of_node"))
		pr_warn("%s: no link to its node\n", heap->name);
	heap->dev = dev;
	return 0;
}

/**
 * rmem_heap_show_heap() - show what a region has once it is a heap
 * @heap: the region, exported now
 *
 * Context: may sleep. Once for each region.
 */
void rmem_heap_show_heap(struct rmem_heap *heap)
{
	if (sysfs_update_group(&heap->dev->kobj, &rmem_heap_group))
		pr_warn("%s: sysfs does not show all of it\n", heap->name);
}

/* Links between regions and the devices that use them: there as long as they do */

/**
 * struct rmem_link - device-managed: the links between a device and a region
 * @heap: the region
 * @name: what the device is called in the region's folder
 */
struct rmem_link {
	struct rmem_heap *heap;
	char *name;
};

static void rmem_link_release(struct device *dev, void *res)
{
	struct rmem_link *link = res;
	char name[sizeof("rmem_heap:") + NAME_MAX];

	snprintf(name, sizeof(name), "rmem_heap:%s", link->heap->name);
	sysfs_remove_link(&dev->kobj, name);
	sysfs_remove_link(&link->heap->dev->kobj, link->name);
	kfree(link->name);
}

static int rmem_link_match(struct device *dev, void *res, void *heap)
{
	return ((struct rmem_link *)res)->heap == heap;
}

/**
 * rmem_heap_link_device() - link a device to its region in sysfs, and back
 * @heap: the region
 * @dev: the device
 *
 * Until rmem_heap_unlink(), or until its driver is unbound. A link that cannot be made is
 * left out.
 *
 * Context: may sleep.
 */
void rmem_heap_link_device(struct rmem_heap *heap, struct device *dev)
{
	char name[sizeof("rmem_heap:") + NAME_MAX];
	struct rmem_link *link;

	/* Resources of a device without a driver would keep it from getting one. */
	if (!heap->dev || !dev->driver || !dev->kobj.sd ||
	    devres_find(dev, rmem_link_release, rmem_link_match, heap))
		return;

	link = devres_alloc(rmem_link_release, sizeof(*link), GFP_KERNEL);
	if (!link)
		return;
	link->heap = heap;
	link->name = kasprintf(GFP_KERNEL, "consumer:%s:%s",
			       dev->bus ? dev->bus->name : "none", dev_name(dev));
	snprintf(name, sizeof(name), "rmem_heap:%s", heap->name);
	if (!link->name ||
	    sysfs_create_link_nowarn(&heap->dev->kobj, &dev->kobj, link->name)) {
		kfree(link->name);
		devres_free(link);
		return;
	}
	/* Without this one the other is still of use. */
	if (sysfs_create_link_nowarn(&dev->kobj, &heap->dev->kobj, name))
		pr_debug("%s: no link from %s\n", heap->name, dev_name(dev));
	devres_add(dev, link);
}

static struct rmem_heap *rmem_heap_with(const struct reserved_mem *rmem)
{
	struct rmem_heap *heap;

	list_for_each_entry(heap, &rmem_heaps, list)
		if (rmem && heap->rmem == rmem)
			return heap;
	return NULL;
}

/**
 * rmem_heap_link() - a device has been assigned to a region
 * @rmem: the region
 * @dev: the device
 *
 * Called by of_reserved_mem.
 *
 * Context: may sleep.
 */
void rmem_heap_link(struct reserved_mem *rmem, struct device *dev)
{
	struct rmem_heap *heap = rmem_heap_with(rmem);

	if (heap)
		rmem_heap_link_device(heap, dev);
}

/**
 * rmem_heap_unlink() - a device has been released from a region
 * @rmem: the region
 * @dev: the device
 *
 * Called by of_reserved_mem.
 *
 * Context: may sleep.
 */
void rmem_heap_unlink(struct reserved_mem *rmem, struct device *dev)
{
	struct rmem_heap *heap = rmem_heap_with(rmem);

	if (heap)
		devres_release(dev, rmem_link_release, rmem_link_match, heap);
}
