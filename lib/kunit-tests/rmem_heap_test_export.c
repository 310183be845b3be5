// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers that export their regions: the driver in samples/rmem-heap, bound and unbound
 * again. On the regions and devices of rmem_heap_test.dts.
 */

#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/kernfs.h>
#include <linux/kthread.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rmem_heap_test.h"

/**
 * struct rmem_test_sample - a device of the sample driver, and its region
 * @dev: path of the device
 * @heap: name of the region
 * @cpu: what the CPU can do with its buffers
 * @contiguous: they are one piece
 */
struct rmem_test_sample {
	const char *dev;
	const char *heap;
	enum rmem_heap_cpu cpu;
	bool contiguous;
};

static const struct rmem_test_sample rmem_test_samples[] = {
	{ "/sample-carveout", "delegated@1c000000", RMEM_HEAP_CPU_CACHED, true },
	{ "/sample-kept", "kept@1c400000", RMEM_HEAP_CPU_CACHED, true },
	{ "/sample-combined", "combined@1c800000", RMEM_HEAP_CPU_WC, true },
	{ "/sample-coherent", "pool@1cc00000", RMEM_HEAP_CPU_WC, true },
	{ "/sample-restricted", "chained@1d000000", RMEM_HEAP_CPU_CACHED, false },
};

static void rmem_test_sample_desc(const struct rmem_test_sample *s, char *desc)
{
	strscpy(desc, s->heap, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(rmem_test_samples, rmem_test_samples, rmem_test_sample_desc);

/* A device whether it has a driver or not */
struct device *rmem_test_any_device(struct kunit *test, const char *path)
{
	struct device_node *np = of_find_node_by_path(path);
	struct platform_device *pdev = np ? of_find_device_by_node(np) : NULL;

	of_node_put(np);
	KUNIT_ASSERT_NOT_NULL_MSG(test, pdev, "no device %s", path);
	/* The tree keeps it. */
	put_device(&pdev->dev);
	return &pdev->dev;
}

void rmem_test_bind(void *dev)
{
	if (device_attach(dev) < 0)
		dev_err(dev, "not bound again\n");
}

void rmem_test_unbind(struct kunit *test, struct device *dev)
{
	device_release_driver(dev);
	/* Its own frame, whose last reference a kernel thread has dropped */
	flush_delayed_fput();
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_bind, dev));
}

bool rmem_test_has_link(struct device *dev, const char *name)
{
	struct kernfs_node *kn = kernfs_find_and_get(dev->kobj.sd, name);

	kernfs_put(kn);
	return kn;
}

/* The heap of an unbound driver stays while a buffer exists, and allocates again after a rebind */
static void rmem_test_export_life(struct kunit *test)
{
	const struct rmem_test_sample *s = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, s->heap);
	struct device *dev = rmem_test_any_device(test, s->dev);
	struct dma_buf *dmabuf;
	struct rmem_stats stats;
	struct iosys_map map;

	KUNIT_ASSERT_NOT_NULL(test, dev->driver);
	KUNIT_ASSERT_NOT_NULL(test, heap->requested_by);
	/* Its own frame is from there, too. */
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.buffers, 1);
	KUNIT_EXPECT_EQ(test, stats.used, SZ_64K);

	dmabuf = rmem_test_alloc(test, heap, SZ_256K);
	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	memset(map.vaddr, 0x5a, dmabuf->size);

	rmem_test_unbind(test, dev);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_64K, O_RDWR)), -ENODEV);
	KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0x5a, SZ_256K));
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.buffers, 1);

	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_ASSERT_NOT_NULL(test, dev->driver);
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
	KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0x5a, SZ_256K));
	dma_buf_vunmap_unlocked(dmabuf, &map);

	/* Freed while there is no driver, it is there for the next one. */
	rmem_test_unbind(test, dev);
	rmem_test_put(test, dmabuf);
	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heap), heap->region->rmem->size - SZ_64K);
}

/* A driver is told what it gets */
static void rmem_test_export_info(struct kunit *test)
{
	const struct rmem_test_sample *s = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, s->heap);
	struct device *dev = rmem_test_any_device(test, s->dev);
	struct rmem_heap_info info;
	u64 limit = dev->bus_dma_limit;

	rmem_heap_get_info(heap, &info);
	KUNIT_EXPECT_EQ(test, info.mode, heap->region->mode);
	KUNIT_EXPECT_EQ(test, info.cpu, s->cpu);
	KUNIT_EXPECT_EQ(test, info.contiguous, s->contiguous);
	KUNIT_EXPECT_EQ(test, info.max_buffer, heap->region->rmem->size);
	KUNIT_EXPECT_GE(test, info.alignment, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_power_of_2(info.alignment));

	KUNIT_EXPECT_EQ(test, rmem_heap_check_device(heap, dev), 0);
	dev->bus_dma_limit = DMA_BIT_MASK(26);
	KUNIT_EXPECT_EQ(test, rmem_heap_check_device(heap, dev), -EBUSY);
	dev->bus_dma_limit = limit;
}

/* The links between a region and its device come and go with the driver */
static void rmem_test_export_links(struct kunit *test)
{
	const struct rmem_test_sample *s = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, s->heap);
	struct device *dev = rmem_test_any_device(test, s->dev);
	char to[128], from[128];
	unsigned int i;

	snprintf(to, sizeof(to), "consumer:platform:%s", dev_name(dev));
	snprintf(from, sizeof(from), "rmem_heap:%s", heap->region->name);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev, to));
		KUNIT_EXPECT_TRUE(test, rmem_test_has_link(dev, from));
		rmem_test_unbind(test, dev);
		KUNIT_EXPECT_FALSE(test, rmem_test_has_link(heap->region->dev, to));
		KUNIT_EXPECT_FALSE(test, rmem_test_has_link(dev, from));
		kunit_release_action(test, rmem_test_bind, dev);
	}
}

/* So do those of devices that the core assigns */
static void rmem_test_core_links(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "coherent@11000000");
	struct device *dev = rmem_test_device(test, "/coherent-pool");
	const char *to = "consumer:platform:coherent-pool";

	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev, to));
	of_reserved_mem_device_release(dev);
	KUNIT_EXPECT_FALSE(test, rmem_test_has_link(heap->region->dev, to));
	KUNIT_EXPECT_EQ(test, of_reserved_mem_device_init(dev), 0);
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(heap->region->dev, to));
}

/* A device that uses two regions is linked to both, and a link goes with its own region */
static void rmem_test_two_links(struct kunit *test)
{
	struct rmem_region *first = rmem_test_region(test, "carveout@15000000");
	struct rmem_region *second = rmem_test_region(test, "plain@16000000");
	struct device *dev = rmem_test_device(test, "/carveout-user");
	const char *to = "consumer:platform:carveout-user";

	rmem_heap_link_device(first, dev);
	rmem_heap_link_device(second, dev);
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(first->dev, to));
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(second->dev, to));
	rmem_heap_unlink_device(second, dev);
	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(first->dev, to));
	KUNIT_EXPECT_FALSE(test, rmem_test_has_link(second->dev, to));
}

/* A device that cannot use the region does not get it, and the next one does */
static void rmem_test_export_narrow(struct kunit *test)
{
	const struct rmem_test_sample *s = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, s->heap);
	struct device *dev = rmem_test_any_device(test, s->dev);
	u64 limit = dev->bus_dma_limit;

	rmem_test_unbind(test, dev);
	dev->bus_dma_limit = DMA_BIT_MASK(26);
	rmem_test_bind(dev);
	KUNIT_EXPECT_NULL(test, dev->driver);
	KUNIT_EXPECT_EQ(test, heap->active, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_64K, O_RDWR)), -ENODEV);
	dev->bus_dma_limit = limit;
	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_EXPECT_NOT_NULL(test, dev->driver);
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
}

/* Which exports are refused, and with which errno */
static void rmem_test_export_refused(struct kunit *test)
{
	struct device *dev;

	/* By the driver itself: it wants contiguous memory, the administrator says no */
	KUNIT_EXPECT_NULL(test, rmem_test_any_device(test, "/sample-contiguous")->driver);
	KUNIT_EXPECT_NULL(test, rmem_test_any_device(test, "/sample-held")->driver);
	KUNIT_EXPECT_EQ(test, rmem_test_heap(test, "chained@1d000000")->active, 1);
	KUNIT_EXPECT_NULL(test, rmem_test_region(test, "own@1e400000")->heap);

	dev = rmem_test_device(test, "/sample-carveout");
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 1, 0)), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export_by_name(dev, "pool", 0)), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, BIT(7))), -EINVAL);
	/* Its heap is made already, and cleared. */
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, RMEM_HEAP_KEEP)), -EBUSY);
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, RMEM_HEAP_WC)), -EBUSY);

	/* One that is told it is clear must not get what the boot has left. */
	dev = rmem_test_device(test, "/sample-kept");
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, 0)), -EBUSY);

	dev = rmem_test_device(test, "/coherent-pool");
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, RMEM_HEAP_KEEP)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export_by_name(dev, "pool",
								    RMEM_HEAP_WC)), -EINVAL);
	dev = rmem_test_device(test, "/free");
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 0, 0)), -ENODEV);
}

/* A region that is disabled or refused cannot be exported */
static void rmem_test_export_unusable(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "rmem-heap-test");
	struct device_node *np = of_find_node_by_path("/unusable-user");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL_MSG(test, np, "boot with rmem_heap_test.dts");
	device_set_node(dev, of_fwnode_handle(np));
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 1, 0)), -ENXIO);
	KUNIT_EXPECT_EQ(test, PTR_ERR(devm_rmem_heap_export(dev, 2, 0)), -ENXIO);
	device_set_node(dev, NULL);
	of_node_put(np);
}

/* A heap that was also requested at boot outlives its driver */
static void rmem_test_export_shared(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "shared@1e000000");
	struct device *dev = rmem_test_device(test, "/sample-cma");

	KUNIT_EXPECT_STREQ(test, heap->requested_by, "default");
	KUNIT_EXPECT_EQ(test, heap->active, 2);
	rmem_test_unbind(test, dev);
	KUNIT_EXPECT_EQ(test, heap->active, 1);
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_64K));
	kunit_release_action(test, rmem_test_bind, dev);
	KUNIT_EXPECT_EQ(test, heap->active, 2);
}

/* When one of two exports of a carveout ends, allocations go on, and so does the worker */
static void rmem_test_export_twice(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");
	void *group = devres_open_group(dev, NULL, GFP_KERNEL);
	struct rmem_stats stats;

	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_PTR_EQ(test, devm_rmem_heap_export(dev, 0, 0), heap);
	KUNIT_EXPECT_EQ(test, heap->active, 2);
	/* As if an allocation were in flight: it is not waited for. */
	atomic_inc(&heap->allocating);
	devres_release_group(dev, group);
	atomic_dec(&heap->allocating);
	KUNIT_EXPECT_EQ(test, heap->active, 1);

	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_1M));
	flush_work(&heap->carveout->scrub);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.dirty, 0);
}

/* An owner may keep what the boot has left in a carveout */
static void rmem_test_export_keep(struct kunit *test)
{
	struct rmem_heap *model = rmem_test_heap(test, "plain@16000000");
	struct dma_buf *dmabuf = rmem_test_alloc(test, model, SZ_1M);
	struct rmem_test_made made;
	struct rmem_heap *heap = &made.heap;
	struct rmem_buffer *buf;
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	memset(map.vaddr, 0x77, dmabuf->size);
	rmem_test_make(&made, model->region, model->ops, rmem_test_buf(dmabuf)->extent.paddr,
		       SZ_1M);
	heap->flags = RMEM_HEAP_KEEP;
	KUNIT_ASSERT_EQ(test, heap->ops->init(heap), 0);
	buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0x77, SZ_1M));

	/* The second buffer must not show the data of the first. */
	rmem_heap_buffer_free(buf);
	buf = rmem_test_pool_alloc(test, heap, SZ_1M);
	KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0, SZ_1M));
	rmem_heap_buffer_free(buf);
	heap->ops->exit(heap);
	dma_buf_vunmap_unlocked(dmabuf, &map);
}

/* Free bytes of the pool, with buffers of the heap and of devices */
static void rmem_test_available(struct kunit *test)
{
	const struct rmem_test_sample *s = test->param_value;
	struct rmem_heap *heap = rmem_test_heap(test, s->heap);
	struct dma_buf *dmabuf;

	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), heap->region->rmem->size - SZ_64K);
	dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap),
			heap->region->rmem->size - SZ_64K - SZ_1M);
	rmem_test_put(test, dmabuf);
	KUNIT_EXPECT_EQ(test, heap->ops->available(heap), heap->region->rmem->size - SZ_64K);
}

/* Memory that buffers give back while no driver exports the region stays as it is */
static void rmem_test_unbound_freed(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);
	void *vaddr = rmem_test_mem(rmem_test_buf(dmabuf)->extent.paddr);
	struct work_struct *scrub = &heap->carveout->scrub;
	struct rmem_stats stats;

	/* What other cases have freed is not to be counted here. */
	flush_work(scrub);
	memset(vaddr, 0xa5, dmabuf->size);
	rmem_test_unbind(test, dev);
	rmem_test_put(test, dmabuf);
	flush_work(scrub);
	rmem_heap_stats(heap, &stats);
	/* The driver's own 64 KiB may have been cleared before the export ended. */
	KUNIT_EXPECT_TRUE(test, stats.dirty == SZ_1M || stats.dirty == SZ_1M + SZ_64K);
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0xa5, SZ_1M));

	kunit_release_action(test, rmem_test_bind, dev);
	flush_work(scrub);
	rmem_heap_stats(heap, &stats);
	KUNIT_EXPECT_EQ(test, stats.dirty, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr + SZ_64K, 0, SZ_1M - SZ_64K));
}

/**
 * struct rmem_test_flight - an allocation in flight while a driver is unbound
 * @test: the test
 * @heap: the heap
 * @dev: device of the driver
 * @result: what the allocation has returned
 * @clears: the allocation clears memory
 * @go: it may go on
 * @allocated: it has ended
 * @unbound: the driver has been unbound
 */
struct rmem_test_flight {
	struct kunit *test;
	struct rmem_heap *heap;
	struct device *dev;
	struct dma_buf *result;
	struct completion clears;
	struct completion go;
	struct completion allocated;
	struct completion unbound;
};

static struct rmem_test_flight *rmem_test_flight;

static int rmem_test_clear_waits(struct rmem_heap *heap, const struct phys_vec *piece,
				 bool killable)
{
	complete(&rmem_test_flight->clears);
	wait_for_completion(&rmem_test_flight->go);
	return rmem_heap_clear(piece, NULL, killable);
}

static int rmem_test_flight_alloc(void *data)
{
	struct rmem_test_flight *flight = data;

	/* Stubs are for tasks of the test. */
	current->kunit_test = flight->test;
	flight->result = rmem_heap_alloc(flight->heap, SZ_64K, O_RDWR);
	current->kunit_test = NULL;
	complete(&flight->allocated);
	return 0;
}

static int rmem_test_flight_unbind(void *data)
{
	struct rmem_test_flight *flight = data;

	device_release_driver(flight->dev);
	complete_all(&flight->unbound);
	return 0;
}

/* The driver is not unbound while the worker clears memory */
static void rmem_test_unbind_stops(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");
	struct rmem_test_flight flight = { .dev = dev };
	struct work_struct *scrub = &heap->carveout->scrub;
	struct rmem_stats before, after;
	struct task_struct *unbinds;

	init_completion(&flight.unbound);
	flush_work(scrub);
	mutex_lock(&heap->carveout->scrubbing);
	rmem_test_put(test, rmem_test_alloc(test, heap, SZ_1M));
	while (!(work_busy(scrub) & WORK_BUSY_RUNNING))
		schedule_timeout_uninterruptible(1);
	unbinds = kthread_run(rmem_test_flight_unbind, &flight, "rmem");
	if (!IS_ERR(unbinds))
		KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&flight.unbound, HZ / 5), 0);
	mutex_unlock(&heap->carveout->scrubbing);
	KUNIT_ASSERT_FALSE(test, IS_ERR(unbinds));
	wait_for_completion(&flight.unbound);

	/* The driver's own frame */
	flush_delayed_fput();
	rmem_heap_stats(heap, &before);
	flush_work(scrub);
	rmem_heap_stats(heap, &after);
	KUNIT_EXPECT_EQ(test, after.dirty, before.dirty);
	rmem_test_bind(dev);
	KUNIT_EXPECT_NOT_NULL(test, dev->driver);
}

/* The driver is not unbound before an allocation in flight has ended */
static void rmem_test_unbind_waits(struct kunit *test)
{
	struct rmem_heap *heap = rmem_test_heap(test, "delegated@1c000000");
	struct device *dev = rmem_test_any_device(test, "/sample-carveout");
	struct rmem_test_flight flight = { .test = test, .heap = heap, .dev = dev };
	struct dma_buf *dmabuf = rmem_test_alloc(test, heap, SZ_1M);

	rmem_test_scrub_stop(test, heap);
	rmem_test_put(test, dmabuf);
	init_completion(&flight.clears);
	init_completion(&flight.go);
	init_completion(&flight.allocated);
	init_completion(&flight.unbound);
	rmem_test_flight = &flight;
	/* As if it had been freed long ago: but no memory is clear. */
	bitmap_fill(heap->carveout->dirty, heap->carveout->nr_pages);
	kunit_activate_static_stub(test, rmem_heap_carveout_clear, rmem_test_clear_waits);

	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(rmem_test_flight_alloc, &flight, "rmem")));
	wait_for_completion(&flight.clears);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(rmem_test_flight_unbind, &flight, "rmem")));
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&flight.unbound, HZ / 5), 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&flight.allocated));
	while (READ_ONCE(heap->active))
		schedule_timeout_uninterruptible(1);
	/* Others do not begin, and do not wait. */
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_heap_alloc(heap, SZ_64K, O_RDWR)), -ENODEV);
	complete_all(&flight.go);
	wait_for_completion(&flight.unbound);
	KUNIT_EXPECT_EQ(test, atomic_read(&heap->allocating), 0);
	wait_for_completion(&flight.allocated);
	kunit_deactivate_static_stub(test, rmem_heap_carveout_clear);

	KUNIT_EXPECT_FALSE(test, IS_ERR(flight.result));
	if (!IS_ERR(flight.result))
		dma_buf_put(flight.result);
	flush_delayed_fput();
	kunit_release_action(test, rmem_test_scrub_resume, heap);
	rmem_test_bind(dev);
	KUNIT_EXPECT_NOT_NULL(test, dev->driver);
}

/* Many steps of a fixed seed: bind, unbind, allocate, free, in any order */
static void rmem_test_export_rounds(struct kunit *test)
{
	struct device *devs[ARRAY_SIZE(rmem_test_samples)];
	struct rmem_heap *heaps[ARRAY_SIZE(rmem_test_samples)];
	struct dma_buf *bufs[16] = { };
	struct rnd_state rnd;
	unsigned int step, i, s;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		devs[i] = rmem_test_any_device(test, rmem_test_samples[i].dev);
		heaps[i] = rmem_test_heap(test, rmem_test_samples[i].heap);
	}

	prandom_seed_state(&rnd, 20260101);
	for (step = 0; step < 1000; step++) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(bufs);
		s = prandom_u32_state(&rnd) % ARRAY_SIZE(devs);
		switch (prandom_u32_state(&rnd) % 4) {
		case 0:
			if (devs[s]->driver)
				device_release_driver(devs[s]);
			break;
		case 1:
			if (!devs[s]->driver)
				rmem_test_bind(devs[s]);
			break;
		default:
			if (bufs[i]) {
				rmem_test_put(test, bufs[i]);
				bufs[i] = NULL;
				break;
			}
			bufs[i] = rmem_test_try_alloc(test, heaps[s], SZ_64K);
			if (IS_ERR(bufs[i])) {
				KUNIT_ASSERT_EQ(test, PTR_ERR(bufs[i]), -ENODEV);
				KUNIT_ASSERT_NULL(test, devs[s]->driver);
				bufs[i] = NULL;
			} else {
				KUNIT_ASSERT_NOT_NULL(test, devs[s]->driver);
			}
		}
	}

	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		if (bufs[i])
			rmem_test_put(test, bufs[i]);
	flush_delayed_fput();
	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		if (!devs[i]->driver)
			rmem_test_bind(devs[i]);
		KUNIT_EXPECT_EQ(test, heaps[i]->active, 1);
		KUNIT_EXPECT_EQ(test, rmem_test_capacity(test, heaps[i]),
				heaps[i]->region->rmem->size - SZ_64K);
	}
}

static struct kunit_case rmem_heap_export_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_export_life, rmem_test_samples_gen_params),
	KUNIT_CASE_PARAM(rmem_test_export_info, rmem_test_samples_gen_params),
	KUNIT_CASE_PARAM(rmem_test_export_links, rmem_test_samples_gen_params),
	KUNIT_CASE(rmem_test_core_links),
	KUNIT_CASE(rmem_test_two_links),
	KUNIT_CASE_PARAM(rmem_test_export_narrow, rmem_test_samples_gen_params),
	KUNIT_CASE(rmem_test_export_refused),
	KUNIT_CASE(rmem_test_export_unusable),
	KUNIT_CASE(rmem_test_export_shared),
	KUNIT_CASE(rmem_test_export_twice),
	KUNIT_CASE(rmem_test_export_keep),
	KUNIT_CASE_PARAM(rmem_test_available, rmem_test_samples_gen_params),
	KUNIT_CASE(rmem_test_unbound_freed),
	KUNIT_CASE(rmem_test_unbind_stops),
	KUNIT_CASE(rmem_test_unbind_waits),
	KUNIT_CASE(rmem_test_export_rounds),
	{ }
};

static struct kunit_suite rmem_heap_export_suite = {
	.name = "rmem_heap_export",
	.test_cases = rmem_heap_export_cases,
};

kunit_test_suite(rmem_heap_export_suite);
