// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suites of RMEM_HEAP: what drivers get before there are heaps and while the first
 * export goes on, what a failed export leaves behind, and which uevents programs get. On
 * rmem_heap_test.dts.
 */

#include <kunit/device.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/kernfs.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/of.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/swiotlb.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "rmem_heap_test.h"

static int driver_early_find;
static int driver_early_export;

/* Asks as a driver would that probes before the heaps are registered */
static int __init driver_probe_early(void)
{
	struct device *dev = kzalloc_obj(*dev);

	if (!dev)
		return -ENOMEM;
	dev->of_node = of_find_node_by_path("/late-user");
	driver_early_find = PTR_ERR_OR_ZERO(rmem_heap_find(dev, 0));
	driver_early_export = PTR_ERR_OR_ZERO(devm_rmem_heap_export(dev, 0, BIT(7)));
	of_node_put(dev->of_node);
	kfree(dev);
	return 0;
}
subsys_initcall(driver_probe_early);

static const struct {
	const char *device;
	unsigned int index;
} driver_boot_lookups[] = {
	{ "/late-user" }, { "/bouncing" },
	{ "/sample-held" }, { "/held-user" },
	{ "/unusable-user", 0 }, { "/unusable-user", 1 }, { "/unusable-user", 2 },
};

static int driver_boot_find[ARRAY_SIZE(driver_boot_lookups)];

/* Asks as a driver would that probes while other drivers have yet to come */
static int __init driver_probe_at_boot(void)
{
	struct device *dev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(driver_boot_lookups); i++) {
		dev = kzalloc_obj(*dev);
		if (!dev)
			return -ENOMEM;
		dev->of_node = of_find_node_by_path(driver_boot_lookups[i].device);
		driver_boot_find[i] =
			PTR_ERR_OR_ZERO(rmem_heap_find(dev, driver_boot_lookups[i].index));
		of_node_put(dev->of_node);
		kfree(dev);
	}
	return 0;
}
device_initcall(driver_probe_at_boot);

/* A driver that probes before the heaps are registered is told to come again. */
static void driver_too_early(struct kunit *test)
{
	struct device_node *np = of_find_node_by_path("/late-user");

	of_node_put(np);
	KUNIT_ASSERT_NOT_NULL_MSG(test, np, "boot with rmem_heap_test.dts");
	KUNIT_EXPECT_EQ(test, driver_early_find, -EPROBE_DEFER);
	KUNIT_EXPECT_EQ(test, driver_early_export, -EPROBE_DEFER);
}

/* A driver waits for the driver that may export the region, but not for ever or in vain. */
static void driver_finds_later(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/bouncing");
	int ret = PTR_ERR_OR_ZERO(rmem_heap_find(dev, 0));

	/* An owned region, a pool, and an owned CMA area: a driver may export them */
	KUNIT_EXPECT_EQ(test, driver_boot_find[0], -EPROBE_DEFER);
	KUNIT_EXPECT_EQ(test, driver_boot_find[1], -EPROBE_DEFER);
	KUNIT_EXPECT_EQ(test, driver_boot_find[4], -EPROBE_DEFER);
	/* The administrator has blocked it; and a CMA area, which no driver can export */
	KUNIT_EXPECT_EQ(test, driver_boot_find[2], -EACCES);
	KUNIT_EXPECT_EQ(test, driver_boot_find[3], -EACCES);
	/* A disabled region, and one that is refused */
	KUNIT_EXPECT_EQ(test, driver_boot_find[5], -EACCES);
	KUNIT_EXPECT_EQ(test, driver_boot_find[6], -EACCES);
	/* Drivers in modules may come for some time after the boot. */
	if (!IS_ENABLED(CONFIG_MODULES))
		KUNIT_EXPECT_EQ(test, ret, -EACCES);
}

/* cma_heap has no heap of an area that has an owner, and the owner can export it. */
static void driver_owned_area(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "rmem-heap-test");
	struct device_node *np = of_find_node_by_path("/unusable-user");
	struct rmem_heap *heap;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL_MSG(test, np, "boot with rmem_heap_test.dts");
	device_set_node(dev, of_fwnode_handle(np));
	heap = devm_rmem_heap_export(dev, 0, 0);
	device_set_node(dev, NULL);
	of_node_put(np);
	KUNIT_ASSERT_PTR_EQ(test, heap, rmem_test_heap(test, "camera@1e800000"));
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
}

/* The kernel log says why a region cannot be exported that sysfs does not show. */
static void driver_says_no_folder(struct kunit *test)
{
	struct rmem_region *region = rmem_test_region(test, "failing@1f500000");
	struct device *dev = rmem_test_device(test, "/failing-user"), *folder = region->dev;
	char *line = kunit_kzalloc(test, 1024, GFP_KERNEL);
	struct kmsg_dump_iter iter;
	bool said = false;
	size_t len;

	KUNIT_ASSERT_NOT_NULL(test, line);
	if (region->heap)
		kunit_skip(test, "the region has a heap");
	region->dev = NULL;
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, 0)), -ENXIO);
	region->dev = folder;
	KUNIT_EXPECT_NULL(test, region->heap);

	kmsg_dump_rewind(&iter);
	while (kmsg_dump_get_line(&iter, false, line, 1023, &len)) {
		line[len] = '\0';
		said |= !!strstr(line, "failing@1f500000: cannot export it: it has no device");
	}
	KUNIT_EXPECT_TRUE(test, said);
}

#ifdef CONFIG_NET
static struct socket *driver_events;

/* Listens as udev does, from before the first heap on; the queue is longer than udev's. */
static int __init driver_listen(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int ret;

	ret = sock_create_kern(&init_net, AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT,
			       &driver_events);
	if (ret)
		return ret;
	driver_events->sk->sk_rcvbuf = SZ_4M;
	ret = kernel_bind(driver_events, (struct sockaddr_unsized *)&addr, sizeof(addr));
	if (ret) {
		sock_release(driver_events);
		driver_events = NULL;
	}
	return ret;
}
subsys_initcall(driver_listen);

/* The region that the next "change" in the queue is about; NULL if there is none left */
static const struct rmem_region *driver_next_change(struct kunit *test, char *buf)
{
	static const char change[] = "change@/devices/virtual/rmem_heap/";
	const struct rmem_region *region;
	int len;

	KUNIT_ASSERT_NOT_NULL(test, driver_events);
	for (;;) {
		struct kvec vec = { .iov_base = buf, .iov_len = PAGE_SIZE - 1 };
		struct msghdr msg = { };

		len = kernel_recvmsg(driver_events, &msg, &vec, 1, vec.iov_len, MSG_DONTWAIT);
		if (len == -ENOBUFS)
			continue;
		if (len < 0)
			return NULL;
		buf[len] = '\0';
		if (strncmp(buf, change, strlen(change)))
			continue;
		list_for_each_entry(region, &rmem_regions, list)
			if (!strcmp(buf + strlen(change), region->name))
				return region;
	}
}

/* How often a region has changed since the last call */
static unsigned int driver_changes(struct kunit *test, const struct rmem_region *region)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	const struct rmem_region *changed;
	unsigned int n = 0;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	while ((changed = driver_next_change(test, buf)))
		n += changed == region;
	return n;
}

/* The region of every heap that the boot made has changed, and no region without one. */
static void driver_boot_events(struct kunit *test)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	const struct rmem_region *region;
	DECLARE_BITMAP(seen, 64) = { };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	while ((region = driver_next_change(test, buf))) {
		const struct rmem_region *other;

		i = 0;
		list_for_each_entry(other, &rmem_regions, list) {
			if (other == region)
				__set_bit(i, seen);
			i++;
		}
	}

	i = 0;
	list_for_each_entry(region, &rmem_regions, list) {
		KUNIT_ASSERT_LT(test, i, 64);
		KUNIT_EXPECT_EQ_MSG(test, test_bit(i, seen), !!region->heap, "%s",
				    region->name);
		i++;
	}
}
#else
static unsigned int driver_changes(struct kunit *test, const struct rmem_region *region)
{
	return 1;
}
#endif

static const char *driver_text(struct kunit *test, const struct rmem_region *region,
			       const char *file)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return rmem_test_read(&region->dev->kobj, file, buf, &mode) < 0 ? NULL : strim(buf);
}

/* The first export of a region by a driver: programs are told of it, and sysfs shows the heap. */
static void driver_first_export(struct kunit *test)
{
	struct rmem_region *region = rmem_test_region(test, "late@1f400000");
	struct device *dev = rmem_test_device(test, "/late-user");
	void *group = devres_open_group(dev, NULL, GFP_KERNEL);
	struct dma_buf *dmabuf;
	struct rmem_heap *heap;

	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_ASSERT_NULL_MSG(test, driver_text(test, region, "used"), "only once in a boot");
	driver_changes(test, region);

	heap = devm_rmem_heap_export(dev, 0, 0);
	devres_close_group(dev, group);
	KUNIT_ASSERT_FALSE(test, IS_ERR(heap));
	KUNIT_EXPECT_PTR_EQ(test, heap, region->heap);
	dmabuf = rmem_test_alloc(test, heap, SZ_64K);

	KUNIT_EXPECT_GE(test, driver_changes(test, region), 1);
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "exported_by"), "driver of late-user");
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "reason"), "-");
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "mode"), "carveout");
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "used"), "65536");
	rmem_test_put(test, dmabuf);

	/* When the driver goes, programs are told, too. */
	devres_release_group(dev, group);
	KUNIT_EXPECT_EQ(test, driver_changes(test, region), 1);
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "exported_by"), "driver of late-user");
	KUNIT_EXPECT_STREQ(test, driver_text(test, region, "reason"), "its driver is gone");
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_64K, O_RDWR)), -ENODEV);
}

/**
 * struct driver_guest - a driver that comes and goes
 * @dev: its device
 * @failed: how many exports failed
 * @done: it is gone for good
 */
struct driver_guest {
	struct device *dev;
	unsigned int failed;
	struct completion done;
};

static int driver_come_and_go(void *data)
{
	struct driver_guest *guest = data;
	void *group;
	int i;

	for (i = 0; i < 20000; i++) {
		group = devres_open_group(guest->dev, NULL, GFP_KERNEL);
		if (!group || IS_ERR(devm_rmem_heap_export(guest->dev, 0, 0)))
			guest->failed++;
		devres_close_group(guest->dev, group);
		devres_release_group(guest->dev, group);
	}
	complete(&guest->done);
	return 0;
}

/* Two drivers come and go at the same time: when both are gone, the heap gives nothing. */
static void driver_two_exporters(struct kunit *test)
{
	static struct driver_guest guests[2];
	struct rmem_heap *heap = rmem_test_heap(test, "late@1f400000");
	struct task_struct *task;
	unsigned int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "two drivers need two processors");
	guests[0].dev = rmem_test_device(test, "/late-user");
	guests[1].dev = rmem_test_device(test, "/second-late-user");
	for (i = 0; i < ARRAY_SIZE(guests); i++) {
		init_completion(&guests[i].done);
		task = kthread_run(driver_come_and_go, &guests[i], "rmem-heap-test");
		KUNIT_EXPECT_FALSE(test, IS_ERR(task));
		if (IS_ERR(task))
			complete(&guests[i].done);
	}
	for (i = 0; i < ARRAY_SIZE(guests); i++) {
		wait_for_completion(&guests[i].done);
		KUNIT_EXPECT_EQ(test, guests[i].failed, 0);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_64K, O_RDWR)), -ENODEV);
}

/* A device that finds a heap before it has a driver can still get one. */
static void driver_without_driver(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");

	rmem_test_unbind(test, dev);
	KUNIT_EXPECT_PTR_EQ(test, rmem_heap_find(dev, 0), heap);
	KUNIT_EXPECT_FALSE(test, rmem_test_has_link(heap->region->dev,
						    "consumer:platform:sample-carveout"));
	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_EXPECT_NOT_NULL(test, dev->driver);
}

/* A device whose link cannot be made works without, and leaves alone what is in the way. */
static void driver_without_link(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");
	const char *link = "consumer:platform:sample-carveout";
	unsigned int i;

	rmem_test_unbind(test, dev);
	KUNIT_ASSERT_EQ(test, sysfs_create_link(&heap->region->dev->kobj,
						&heap->region->dev->kobj, link), 0);
	/* Often: kmemleak takes an old pointer on some stack for a reference. */
	for (i = 0; i < 10; i++) {
		rmem_test_bind(dev);
		KUNIT_EXPECT_NOT_NULL(test, dev->driver);
		rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
		device_release_driver(dev);
		flush_delayed_fput();
		KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev, link));
	}
	sysfs_remove_link(&heap->region->dev->kobj, link);
	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev, link));
}

/* Neither finding a heap nor being refused one keeps a reference to a node. */
static void driver_node_references(struct kunit *test)
{
	struct device *dev = rmem_test_device(test, "/coherent-pool");
	struct kref *device = &dev->of_node->kobj.kref;
	struct kref *region = &rmem_test_region(test, "coherent@11000000")->of_node->kobj.kref;
	unsigned int device_refs = kref_read(device), region_refs = kref_read(region);

	rmem_heap_find(dev, 0);
	rmem_heap_find(dev, 1);
	rmem_heap_find_by_name(dev, "pool");
	devm_rmem_heap_export(dev, 0, BIT(7));
	devm_rmem_heap_export_by_name(dev, "pool", BIT(7));
	KUNIT_EXPECT_EQ(test, kref_read(device), device_refs);
	KUNIT_EXPECT_EQ(test, kref_read(region), region_refs);
}

/* A region whose name sysfs cannot have, or has already, is left out: that is no error. */
static void driver_no_folder(struct kunit *test)
{
	char *name = kunit_kzalloc(test, NAME_MAX + 2, GFP_KERNEL);
	const char * const names[] = { name, "", "late@1f400000" };
	struct rmem_region region = {
		.of_node = rmem_test_region(test, "late@1f400000")->of_node,
	};
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, name);
	memset(name, 'x', NAME_MAX + 1);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		region.name = names[i];
		KUNIT_EXPECT_EQ(test, rmem_heap_add_device(&region), 0);
		KUNIT_EXPECT_NULL(test, region.dev);
	}
}

static struct kunit_case rmem_heap_driver_cases[] = {
	KUNIT_CASE(driver_too_early),
	KUNIT_CASE(driver_finds_later),
	KUNIT_CASE(driver_owned_area),
	KUNIT_CASE(driver_says_no_folder),
#ifdef CONFIG_NET
	KUNIT_CASE(driver_boot_events),
#endif
	KUNIT_CASE(driver_first_export),
	KUNIT_CASE_SLOW(driver_two_exporters),
	KUNIT_CASE(driver_without_driver),
	KUNIT_CASE(driver_without_link),
	KUNIT_CASE(driver_node_references),
	KUNIT_CASE(driver_no_folder),
	{}
};

static struct kunit_suite rmem_heap_driver_suite = {
	.name = "rmem_heap_driver",
	.test_cases = rmem_heap_driver_cases,
};

kunit_test_suite(rmem_heap_driver_suite);

#ifdef CONFIG_FAULT_INJECTION
/**
 * struct driver_failing - a region that nobody has exported, and its device
 * @dev: path of the device
 * @heap: name of the region
 * @flags: what the driver asks for
 */
struct driver_failing {
	const char *dev;
	const char *heap;
	unsigned int flags;
};

static const struct driver_failing driver_failing[] = {
	{ "/failing-user", "failing@1f500000", 0 },
	{ "/failing-combined-user", "failing-combined@1f600000", RMEM_HEAP_WC },
	{ "/failing-coherent-user", "failing-coherent@1f700000", 0 },
	{ "/failing-restricted-user", "failing-restricted@1f800000", 0 },
};

KUNIT_ARRAY_PARAM_DESC(driver_failing, driver_failing, heap);

/*
 * Whichever allocation of an export fails, the first time and when the heap exists: the heap
 * gives nothing, and the region is assigned to no device unless it has a heap. What leaks is
 * found by kmemleak.
 */
static void driver_failing_export(struct kunit *test)
{
	const struct driver_failing *f = test->param_value;
	struct rmem_region *region = rmem_test_region(test, f->heap);
	struct rmem_heap *ret;
	struct device *dev = rmem_test_device(test, f->dev);
	unsigned int nth, times, failed = 0;
	struct dma_buf *dmabuf;
	bool injected;
	void *group;

	for (times = 0; times < 3; times++) {
		for (nth = 1, injected = true; injected && nth < 500; nth++) {
			group = devres_open_group(dev, NULL, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, group);
			current->fail_nth = nth;
			ret = devm_rmem_heap_export(dev, 0, f->flags);
			injected = !current->fail_nth;
			current->fail_nth = 0;
			devres_close_group(dev, group);

			dmabuf = ERR_PTR(-ENODEV);
			if (region->heap)
				dmabuf = rmem_heap_alloc(region->heap, PAGE_SIZE, O_RDWR);
			if (IS_ERR(ret)) {
				failed++;
				KUNIT_EXPECT_TRUE(test, injected);
				KUNIT_EXPECT_EQ(test, PTR_ERR(dmabuf), -ENODEV);
				if (!region->heap) {
					KUNIT_EXPECT_NULL(test, region->dev->dma_mem);
					KUNIT_EXPECT_FALSE(test, is_swiotlb_for_alloc(region->dev));
				}
			} else {
				KUNIT_EXPECT_PTR_EQ(test, ret, region->heap);
				KUNIT_EXPECT_FALSE(test, IS_ERR(dmabuf));
			}
			if (!IS_ERR(dmabuf))
				dma_buf_put(dmabuf);
			flush_delayed_fput();
			devres_release_group(dev, group);
		}
		KUNIT_EXPECT_LT(test, nth, 500);
	}
	KUNIT_ASSERT_NOT_NULL(test, region->heap);
	/* Once at least each time: the name of who exports, and the end of the export */
	KUNIT_EXPECT_GE(test, failed, 3);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(region->heap, PAGE_SIZE, O_RDWR)), -ENODEV);
}

/* Whichever allocation fails while sysfs gets the folder of a region: nothing is lost. */
static void driver_failing_folder(struct kunit *test)
{
	struct rmem_region region = {
		.name = "failing-folder",
		.of_node = rmem_test_region(test, "late@1f400000")->of_node,
	};
	unsigned int nth, failed = 0;
	bool injected = true;
	int ret;

	for (nth = 1; injected && nth < 500; nth++) {
		current->fail_nth = nth;
		ret = rmem_heap_add_device(&region);
		injected = !current->fail_nth;
		current->fail_nth = 0;
		if (ret) {
			failed++;
			continue;
		}
		sysfs_remove_link(&region.dev->kobj, "of_node");
		device_unregister(region.dev);
	}
	KUNIT_EXPECT_LT(test, nth, 500);
	KUNIT_EXPECT_GT(test, failed, 3);
}

static struct kunit_case rmem_failing_export_cases[] = {
	KUNIT_CASE(driver_failing_folder),
	KUNIT_CASE_PARAM(driver_failing_export, driver_failing_gen_params),
	{}
};

static struct kunit_suite rmem_failing_export_suite = {
	.name = "rmem_failing_export",
	.init = rmem_test_needs_injection,
	.test_cases = rmem_failing_export_cases,
};

kunit_test_suite(rmem_failing_export_suite);
#endif
