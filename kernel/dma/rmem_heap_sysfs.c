// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the regions in sysfs.
 *
 * Documentation/ABI/testing/sysfs-class-rmem-heap describes the files.
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

#include "rmem.h"

static struct rmem_region *sysfs_region(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rmem_heap_kind(sysfs_region(dev)));
}
static DEVICE_ATTR_RO(mode);

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct reserved_mem *rmem = sysfs_region(dev)->rmem;

	return sysfs_emit(buf, "%llu\n", rmem ? (u64)rmem->size : 0);
}
static DEVICE_ATTR_RO(size);

/* Physical addresses help attackers, so only root can read the file. */
static ssize_t base_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct reserved_mem *rmem = sysfs_region(dev)->rmem;

	return rmem ? sysfs_emit(buf, "0x%llx\n", (u64)rmem->base) : -ENODATA;
}
static DEVICE_ATTR_ADMIN_RO(base);

static ssize_t exported_by_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_heap *heap = rmem_region_heap(sysfs_region(dev));

	return sysfs_emit(buf, "%s\n", heap ? heap->requested_by : "-");
}
static DEVICE_ATTR_RO(exported_by);

static ssize_t reason_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_region *region = sysfs_region(dev);
	const struct rmem_heap *heap = rmem_region_heap(region);

	if (!heap)
		return sysfs_emit(buf, "%s\n", region->reason);
	return sysfs_emit(buf, "%s\n", READ_ONCE(heap->active) ? "-" : "its driver is gone");
}
static DEVICE_ATTR_RO(reason);

static struct attribute *sysfs_region_attrs[] = {
	&dev_attr_mode.attr,
	&dev_attr_size.attr,
	&dev_attr_base.attr,
	&dev_attr_exported_by.attr,
	&dev_attr_reason.attr,
	NULL
};

static const struct attribute_group sysfs_region_group = {
	.attrs = sysfs_region_attrs,
};

/* Files of heaps: they are visible once the region has a heap. */

#define SYSFS_STAT(_name)								\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,		\
			    char *buf)							\
{											\
	struct rmem_stats stats;							\
											\
	rmem_heap_stats(rmem_region_heap(sysfs_region(dev)), &stats);			\
	return sysfs_emit(buf, "%llu\n", stats._name);					\
}

SYSFS_STAT(used)
static DEVICE_ATTR_RO(used);
SYSFS_STAT(peak)
static DEVICE_ATTR_RO(peak);
SYSFS_STAT(buffers)
static DEVICE_ATTR_RO(buffers);
SYSFS_STAT(largest_free)
static DEVICE_ATTR_RO(largest_free);
SYSFS_STAT(dirty)
static DEVICE_ATTR_RO(dirty);
SYSFS_STAT(lost)
static DEVICE_ATTR_RO(lost);

#define SYSFS_INFO(_name)								\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,		\
			    char *buf)							\
{											\
	struct rmem_heap_info info;							\
											\
	rmem_heap_get_info(rmem_region_heap(sysfs_region(dev)), &info);			\
	return sysfs_emit(buf, "%zu\n", info._name);					\
}

SYSFS_INFO(alignment)
static DEVICE_ATTR_RO(alignment);
SYSFS_INFO(max_buffer)
static DEVICE_ATTR_RO(max_buffer);

static ssize_t allocator_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rmem_region_heap(sysfs_region(dev))->ops->name);
}
static DEVICE_ATTR_RO(allocator);

static ssize_t available_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct rmem_heap *heap = rmem_region_heap(sysfs_region(dev));

	return sysfs_emit(buf, "%llu\n", heap->ops->available(heap));
}
static DEVICE_ATTR_RO(available);

static ssize_t cpu_access_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[RMEM_HEAP_CPU_CACHED] = "cached",
		[RMEM_HEAP_CPU_WC] = "write-combined",
		[RMEM_HEAP_CPU_NONE] = "none",
	};
	struct rmem_heap_info info;

	rmem_heap_get_info(rmem_region_heap(sysfs_region(dev)), &info);
	return sysfs_emit(buf, "%s\n", names[info.cpu]);
}
static DEVICE_ATTR_RO(cpu_access);

/* The first three are figures that only the allocator of carveouts tells. */
#define SYSFS_CARVEOUT_ATTRS	3

static struct attribute *sysfs_heap_attrs[] = {
	&dev_attr_largest_free.attr,
	&dev_attr_dirty.attr,
	&dev_attr_lost.attr,
	&dev_attr_allocator.attr,
	&dev_attr_used.attr,
	&dev_attr_peak.attr,
	&dev_attr_buffers.attr,
	&dev_attr_available.attr,
	&dev_attr_alignment.attr,
	&dev_attr_max_buffer.attr,
	&dev_attr_cpu_access.attr,
	NULL
};

static umode_t sysfs_heap_attr_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	const struct rmem_heap *heap = rmem_region_heap(sysfs_region(kobj_to_dev(kobj)));

	return heap && (n >= SYSFS_CARVEOUT_ATTRS || heap->ops->stats) ? attr->mode : 0;
}

static const struct attribute_group sysfs_heap_group = {
	.attrs = sysfs_heap_attrs,
	.is_visible = sysfs_heap_attr_visible,
};

static const struct attribute_group *sysfs_groups[] = {
	&sysfs_region_group,
	&sysfs_heap_group,
	NULL
};

static const struct class sysfs_class = {
	.name = "rmem_heap",
	.dev_groups = sysfs_groups,
};

static void sysfs_release(struct device *dev)
{
	kfree(dev);
}

/* The class is there on a machine without regions, too. */
int rmem_heap_add_class(void)
{
	return class_register(&sysfs_class);
}

/*
 * Shows a region in sysfs, by a device that also gets the region assigned when the region is
 * exported. Returns 0 also if the name is too long for sysfs or an earlier region has it: the
 * region has no device then.
 */
int rmem_heap_add_device(struct rmem_region *region)
{
	static struct kobject *folder;
	struct kernfs_node *kn;
	struct device *dev;
	int ret;

	if (!*region->name || strlen(region->name) > NAME_MAX)
		return 0;
	/* The driver core would dump a stack, and class_find_device_by_name() takes long. */
	kn = folder ? kernfs_find_and_get(folder->sd, region->name) : NULL;
	kernfs_put(kn);
	if (kn)
		return 0;

	dev = kzalloc_obj(*dev);
	if (!dev)
		return -ENOMEM;

	device_initialize(dev);
	dev->class = &sysfs_class;
	dev->release = sysfs_release;
	dev->dma_mask = &dev->coherent_dma_mask;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev_set_drvdata(dev, region);
	/* No program runs yet that could receive an event for the new device. */
	dev_set_uevent_suppress(dev, true);
	ret = dev_set_name(dev, "%s", region->name);
	if (!ret)
		ret = device_add(dev);
	dev_set_uevent_suppress(dev, false);
	if (ret) {
		put_device(dev);
		return ret;
	}

	/*
	 * The node is a link only: were it the device's own node, each uevent would contain
	 * its strings, and add_uevent_var() WARNs if there are too many.
	 */
	if (sysfs_create_link_nowarn(&dev->kobj, of_node_kobj(region->of_node), "of_node"))
		pr_warn("%s: no link to its node\n", region->name);
	folder = dev->kobj.parent;
	region->dev = dev;
	return 0;
}

/* Shows the files of a heap that has just been published. */
void rmem_heap_update_device(struct rmem_region *region)
{
	if (sysfs_update_group(&region->dev->kobj, &sysfs_heap_group))
		pr_warn("%s: sysfs does not show all of it\n", region->name);
}

/* The links between a device and a region, managed by the device */
struct sysfs_link {
	struct rmem_region *region;
	char *name;	/* of the link to the device in the folder of the region */
};

static void sysfs_link_release(struct device *dev, void *res)
{
	struct sysfs_link *link = res;
	char name[sizeof("rmem_heap:") + NAME_MAX];

	snprintf(name, sizeof(name), "rmem_heap:%s", link->region->name);
	sysfs_remove_link(&dev->kobj, name);
	sysfs_remove_link(&link->region->dev->kobj, link->name);
	kfree(link->name);
}

static int sysfs_link_match(struct device *dev, void *res, void *region)
{
	return ((struct sysfs_link *)res)->region == region;
}

/*
 * Links a device and its region in sysfs, until rmem_heap_unlink_device() or until the driver of
 * the device is unbound. A link that cannot be made is left out.
 */
void rmem_heap_link_device(struct rmem_region *region, struct device *dev)
{
	char name[sizeof("rmem_heap:") + NAME_MAX];
	struct sysfs_link *link;

	/* really_probe() refuses a device that already has devres entries. */
	if (!region->dev || !dev->driver || !dev->kobj.sd ||
	    devres_find(dev, sysfs_link_release, sysfs_link_match, region))
		return;

	link = devres_alloc(sysfs_link_release, sizeof(*link), GFP_KERNEL);
	if (!link)
		return;
	link->region = region;
	link->name = kasprintf(GFP_KERNEL, "consumer:%s:%s",
			       dev->bus ? dev->bus->name : "none", dev_name(dev));
	snprintf(name, sizeof(name), "rmem_heap:%s", region->name);
	if (!link->name ||
	    sysfs_create_link_nowarn(&region->dev->kobj, &dev->kobj, link->name)) {
		kfree(link->name);
		devres_free(link);
		return;
	}
	/* The link from the region to the device is of use by itself. */
	if (sysfs_create_link_nowarn(&dev->kobj, &region->dev->kobj, name))
		pr_debug("%s: no link from %s\n", region->name, dev_name(dev));
	devres_add(dev, link);
}

void rmem_heap_unlink_device(struct rmem_region *region, struct device *dev)
{
	devres_release(dev, sysfs_link_release, sysfs_link_match, region);
}
