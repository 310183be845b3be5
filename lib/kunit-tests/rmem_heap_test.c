// SPDX-License-Identifier: GPL-2.0
/* What the KUnit suites of RMEM_HEAP share. */

#include <linux/dma-map-ops.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/kernfs.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/xarray.h>

#include "rmem_heap_test.h"

MODULE_IMPORT_NS("DMA_BUF");

static DEFINE_MUTEX(rmem_test_windows_lock);
static DEFINE_XARRAY(rmem_test_windows);

/* What the tests see of a region, mapped when it is first needed, and for good */
static void *rmem_test_window(const struct reserved_mem *rmem)
{
	/* The kernel maps RAM cached; other memory has no cached mapping. */
	unsigned long how = page_is_ram(PHYS_PFN(rmem->base)) ? MEMREMAP_WB : MEMREMAP_WC;
	void *window;

	guard(mutex)(&rmem_test_windows_lock);
	window = xa_load(&rmem_test_windows, PHYS_PFN(rmem->base));
	if (!window) {
		window = memremap(rmem->base, rmem->size, how);
		if (WARN_ON(!window ||
			    xa_err(xa_store(&rmem_test_windows, PHYS_PFN(rmem->base), window,
					    GFP_KERNEL))))
			return NULL;
	}
	return window;
}

/* Memory of a region as the CPU sees it, whatever its kind is and wherever it lies */
void *rmem_test_mem(phys_addr_t paddr)
{
	struct rmem_region *region;
	void *window;

	list_for_each_entry(region, &rmem_regions, list) {
		const struct reserved_mem *rmem = region->rmem;

		if (!rmem || paddr < rmem->base || paddr - rmem->base >= rmem->size)
			continue;
		window = rmem_test_window(rmem);
		return window ? window + (paddr - rmem->base) : NULL;
	}
	return phys_to_virt(paddr);
}

/* 32-bit ARM, say, has no swiotlb without large addresses. */
void rmem_test_needs_pool(struct kunit *test, const struct device_node *np)
{
	if (!IS_ENABLED(CONFIG_DMA_RESTRICTED_POOL) &&
	    of_device_is_compatible(np, "restricted-dma-pool"))
		kunit_skip(test, "no restricted pools without swiotlb");
}

/* A region of the device tree by its node's name; the test fails without it */
struct rmem_region *rmem_test_region(struct kunit *test, const char *name)
{
	struct rmem_region *region, *found = NULL;

	list_for_each_entry(region, &rmem_regions, list)
		if (!strcmp(region->name, name))
			found = region;

	KUNIT_ASSERT_NOT_NULL_MSG(test, found, "no region %s: boot with rmem_heap_test.dts",
				  name);
	rmem_test_needs_pool(test, found->of_node);
	return found;
}

/* The heap of a region; the test fails without it */
struct rmem_heap *rmem_test_heap(struct kunit *test, const char *name)
{
	struct rmem_region *region = rmem_test_region(test, name);

	KUNIT_ASSERT_NOT_NULL_MSG(test, region->heap,
				  "%s: boot with the right rmem_heap.export=: %s", name,
				  region->reason);
	return region->heap;
}

/* A heap without a device node, on memory that belongs to the test or that is never accessed */
void rmem_test_make(struct rmem_test_made *made, const struct rmem_region *model,
		    const struct rmem_pool_ops *ops, phys_addr_t base, phys_addr_t size)
{
	*made = (struct rmem_test_made) {
		.rmem = { .base = base, .size = size },
		.region = {
			.name = "made", .of_node = model->of_node, .mode = model->mode,
			.linear = model->linear, .rmem = &made->rmem,
		},
		.heap = { .region = &made->region, .ops = ops },
	};
}

/* The regions of the tree that was booted with */
const void *rmem_test_regions_gen_params(struct kunit *test, const void *prev, char *desc)
{
	const struct rmem_region *region = prev;

	region = region ? list_next_entry(region, list) :
			  list_first_entry(&rmem_regions, struct rmem_region, list);
	if (list_entry_is_head(region, &rmem_regions, list))
		return NULL;

	strscpy(desc, region->name, KUNIT_PARAM_DESC_SIZE);
	return region;
}

static void rmem_test_put_device(void *dev)
{
	put_device(dev);
}

/* A platform device of the device tree; the test fails without it */
struct device *rmem_test_device(struct kunit *test, const char *path)
{
	struct device_node *np = of_find_node_by_path(path);
	struct platform_device *pdev = np ? of_find_device_by_node(np) : NULL;
	struct device_node *region = np ? of_parse_phandle(np, "memory-region", 0) : NULL;

	of_node_put(np);
	/* The tree keeps them. */
	of_node_put(region);
	if (region)
		rmem_test_needs_pool(test, region);
	KUNIT_ASSERT_NOT_NULL_MSG(test, pdev, "no device %s: boot with rmem_heap_test.dts",
				  path);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_put_device,
							   &pdev->dev));
	KUNIT_ASSERT_NOT_NULL_MSG(test, pdev->dev.driver, "%s has no driver", path);
	return &pdev->dev;
}

static void rmem_test_put_action(void *dmabuf)
{
	dma_buf_put(dmabuf);
	/* The last reference of a kernel thread is dropped by a work item. */
	flush_delayed_fput();
}

/* Allocates, and frees when the test ends at the latest */
struct dma_buf *rmem_test_try_alloc(struct kunit *test, struct rmem_heap *heap, size_t len)
{
	struct dma_buf *dmabuf;

	dmabuf = rmem_heap_alloc(heap, len, O_RDWR);
	if (!IS_ERR(dmabuf))
		KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, rmem_test_put_action,
								   dmabuf));
	return dmabuf;
}

struct dma_buf *rmem_test_alloc(struct kunit *test, struct rmem_heap *heap, size_t len)
{
	struct dma_buf *dmabuf = rmem_test_try_alloc(test, heap, len);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(dmabuf), "%zu bytes of %s: %pe", len,
			       heap->region->name, dmabuf);
	return dmabuf;
}

void rmem_test_put(struct kunit *test, struct dma_buf *dmabuf)
{
	kunit_release_action(test, rmem_test_put_action, dmabuf);
}

/* Takes all that a heap has, largest blocks first */
struct rmem_test_held *rmem_test_fill(struct kunit *test, struct rmem_heap *heap)
{
	size_t len = rounddown_pow_of_two(heap->region->rmem->size);
	struct rmem_test_held *held;

	held = kunit_kzalloc(test, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);

	while (len >= PAGE_SIZE) {
		struct dma_buf *dmabuf = rmem_test_try_alloc(test, heap, len);

		if (IS_ERR(dmabuf)) {
			KUNIT_ASSERT_EQ(test, PTR_ERR(dmabuf), -ENOMEM);
			len /= 2;
			continue;
		}
		KUNIT_ASSERT_LT(test, held->n, ARRAY_SIZE(held->bufs));
		held->bufs[held->n++] = dmabuf;
		held->bytes += len;
	}
	return held;
}

void rmem_test_drain(struct kunit *test, struct rmem_test_held *held)
{
	while (held->n)
		rmem_test_put(test, held->bufs[--held->n]);
	held->bytes = 0;
}

/* How much a heap has at the moment */
size_t rmem_test_capacity(struct kunit *test, struct rmem_heap *heap)
{
	struct rmem_test_held *held = rmem_test_fill(test, heap);
	size_t bytes = held->bytes;

	rmem_test_drain(test, held);
	return bytes;
}

/* Memory of an allocator, without a dma-buf around it; NULL if there is none */
struct rmem_buffer *rmem_test_pool_try(struct rmem_heap *heap, size_t len)
{
	struct rmem_buffer *buf = rmem_heap_buffer_alloc(heap, len);

	return IS_ERR(buf) ? NULL : buf;
}

struct rmem_buffer *rmem_test_pool_alloc(struct kunit *test, struct rmem_heap *heap,
					 size_t len)
{
	struct rmem_buffer *buf = rmem_test_pool_try(heap, len);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return buf;
}

/* Makes the test a task that is being killed, or one that is not */
void rmem_test_set_killed(bool killed)
{
	unsigned long flags;

	if (!lock_task_sighand(current, &flags))
		return;
	if (killed)
		sigaddset(&current->pending.signal, SIGKILL);
	else
		sigdelset(&current->pending.signal, SIGKILL);
	recalc_sigpending();
	unlock_task_sighand(current, &flags);
}

/*
 * Reads a file in sysfs, below the folder of an object; sets its mode. Return: bytes, -ENOENT
 * without such a file, or what reading gave
 */
ssize_t rmem_test_read(struct kobject *kobj, const char *path, char *buf, umode_t *mode)
{
	struct kernfs_node *kn = kernfs_walk_and_get(kobj->sd, path), *folder;
	ssize_t ret;

	if (!kn)
		return -ENOENT;
	folder = kernfs_get_parent(kn);
	kobj = folder->priv;
	*mode = kn->mode & 0777;
	ret = kobj->ktype->sysfs_ops->show(kobj, kn->priv, buf);
	kernfs_put(folder);
	kernfs_put(kn);
	return ret;
}

#ifdef CONFIG_FAULT_INJECTION
/* Failures of a task's own can be had, but by default not where it may wait for memory */
int rmem_test_needs_injection(struct kunit *test)
{
	void *mem;

	current->fail_nth = 1;
	mem = kmalloc(64, GFP_KERNEL);
	current->fail_nth = 0;
	if (mem)
		kunit_skip(test, "first write N to debugfs failslab/ignore-gfp-wait");
	return 0;
}
#endif
