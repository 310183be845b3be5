// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of RMEM_HEAP: what sysfs and control groups show of the regions. Runs on any
 * device tree whose regions all have test,expect: see rmem_heap_test_regions.c.
 */

#include <linux/cgroup.h>
#include <linux/delay.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/iosys-map.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "rmem_heap_test.h"

/* The text of a file without its newline; "" and a failure if it cannot be read */
static const char *sysfs_text(struct kunit *test, const char *file)
{
	const struct rmem_region *region = test->param_value;
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_EXPECT_GT_MSG(test, rmem_test_read(&region->dev->kobj, file, buf, &mode), 0, "%s",
			    file);
	return strim(buf);
}

static u64 sysfs_number(struct kunit *test, const char *file)
{
	u64 number = 0;

	KUNIT_EXPECT_EQ_MSG(test, kstrtou64(sysfs_text(test, file), 0, &number), 0, "%s", file);
	return number;
}

static bool sysfs_has_file(struct kunit *test, const char *file)
{
	const struct rmem_region *region = test->param_value;
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return rmem_test_read(&region->dev->kobj, file, buf, &mode) != -ENOENT;
}

/* Regions of one name have one folder, and it is the first one's. */
static bool sysfs_has_no_folder(const struct rmem_region *region)
{
	return !region->dev;
}

/* Only root reads the physical address of a region, and nobody writes to any file of it. */
static void sysfs_rights(struct kunit *test)
{
	static const char * const files[] = {
		"base", "mode", "size", "exported_by", "reason", "allocator", "used", "peak",
		"buffers", "available", "alignment", "max_buffer", "cpu_access",
		"largest_free", "dirty", "lost",
	};
	const struct rmem_region *region = test->param_value;
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	unsigned int i;
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	if (sysfs_has_no_folder(region))
		return;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (rmem_test_read(&region->dev->kobj, files[i], buf, &mode) != -ENOENT)
			KUNIT_EXPECT_EQ_MSG(test, mode, i ? 0444 : 0400, "%s", files[i]);
}

/* The files of every region say what test,expect says. */
static void sysfs_region(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	const char *kind = "", *exported_by = "", *reason = "-";
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	rmem_test_needs_pool(test, region->of_node);
	if (sysfs_has_no_folder(region))
		return;

	of_property_read_string_index(region->of_node, "test,expect", 0, &kind);
	of_property_read_string_index(region->of_node, "test,expect", 1, &exported_by);
	of_property_read_string_index(region->of_node, "test,expect", 2, &reason);
	KUNIT_EXPECT_STREQ(test, sysfs_text(test, "mode"), kind);
	KUNIT_EXPECT_STREQ(test, sysfs_text(test, "exported_by"), exported_by);
	if (!strcmp(reason, "-"))
		KUNIT_EXPECT_STREQ(test, sysfs_text(test, "reason"), "-");
	else
		KUNIT_EXPECT_NOT_NULL(test, strstr(sysfs_text(test, "reason"), reason));

	KUNIT_EXPECT_TRUE(test, rmem_test_has_link(region->dev, "of_node"));
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "size"), region->rmem ? region->rmem->size : 0);
	if (region->rmem)
		KUNIT_EXPECT_EQ(test, sysfs_number(test, "base"), region->rmem->base);
	else
		KUNIT_EXPECT_EQ(test, rmem_test_read(&region->dev->kobj, "base", buf, &mode),
				-ENODATA);
}

/* A region without a heap has no files about a heap; three files are for carveouts only. */
static void sysfs_files_of_heap(struct kunit *test)
{
	static const char * const files[] = {
		"largest_free", "dirty", "lost", "allocator", "used", "peak", "buffers",
		"available", "alignment", "max_buffer", "cpu_access",
	};
	const struct rmem_region *region = test->param_value;
	unsigned int i;

	if (sysfs_has_no_folder(region))
		return;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		bool has = region->heap && (i > 2 || region->mode == RMEM_HEAP_CARVEOUT);

		KUNIT_EXPECT_EQ_MSG(test, sysfs_has_file(test, files[i]), has, "%s", files[i]);
	}
}

/* The files of a heap count what its buffers take and give back. */
static void sysfs_usage(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	struct rmem_heap *heap = region->heap;
	u64 used, buffers, available;
	struct dma_buf *first, *second;

	if (!heap)
		return;

	used = sysfs_number(test, "used");
	buffers = sysfs_number(test, "buffers");
	available = sysfs_number(test, "available");

	first = rmem_test_alloc(test, heap, PAGE_SIZE);
	second = rmem_test_alloc(test, heap, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "used"), used + 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "buffers"), buffers + 2);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "available"), available - 3 * PAGE_SIZE);
	KUNIT_EXPECT_GE(test, sysfs_number(test, "peak"), used + 3 * PAGE_SIZE);

	rmem_test_put(test, second);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "used"), used + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "buffers"), buffers + 1);
	KUNIT_EXPECT_GE(test, sysfs_number(test, "peak"), used + 3 * PAGE_SIZE);

	rmem_test_put(test, first);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "used"), used);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "buffers"), buffers);
}

/* Memory that a carveout has freed is dirty and not lost, and all of it is one free block. */
static void sysfs_carveout(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	struct rmem_heap *heap = region->heap;
	u64 size, dirty = 0;
	unsigned int tries;

	if (!heap || region->mode != RMEM_HEAP_CARVEOUT || sysfs_number(test, "used"))
		return;

	size = region->rmem->size;
	/* The worker may have cleared all of a small region before the file is read. */
	for (tries = 0; tries < 50 && !dirty; tries++) {
		rmem_test_put(test, rmem_test_alloc(test, heap, size));
		dirty = sysfs_number(test, "dirty");
	}
	KUNIT_EXPECT_LE(test, dirty, size);
	if (heap->memory != RMEM_DEVICE_ONLY)
		KUNIT_EXPECT_GT(test, dirty, 0);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "lost"), 0);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "largest_free"), size);
	for (tries = 0; tries < 500 && sysfs_number(test, "dirty"); tries++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "dirty"), 0);
	rmem_test_alloc(test, heap, size - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sysfs_number(test, "largest_free"), PAGE_SIZE);
}

/*
 * An empty region gives a buffer of the size in max_buffer and none that is larger, at a
 * multiple of what alignment promises.
 */
static void sysfs_limits(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	struct rmem_heap *heap = region->heap;
	struct dma_buf *dmabuf;
	u64 max, alignment;

	if (!heap || sysfs_number(test, "used"))
		return;

	max = sysfs_number(test, "max_buffer");
	alignment = sysfs_number(test, "alignment");
	KUNIT_EXPECT_GE(test, alignment, PAGE_SIZE);
	dmabuf = rmem_test_alloc(test, heap, max);
	/* A carveout goes without where the alignment would cost the buffer its place. */
	if (region->mode != RMEM_HEAP_CARVEOUT)
		KUNIT_EXPECT_EQ(test, rmem_test_buf(dmabuf)->extents[0].paddr &
				      (min(max, alignment) - 1), 0);
	rmem_test_put(test, dmabuf);
	KUNIT_EXPECT_EQ(test, PTR_ERR(rmem_test_try_alloc(test, heap, max + PAGE_SIZE)), -ENOMEM);
}

/* The kernel maps the buffers of a heap as cpu_access says. */
static void sysfs_cpu_access(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	struct rmem_heap *heap = region->heap;
	bool no_map = of_property_read_bool(region->of_node, "no-map");
	const char *want = "cached";
	struct dma_buf *dmabuf;
	struct iosys_map map;
	int ret;

	if (!heap)
		return;

	dmabuf = rmem_test_alloc(test, heap, PAGE_SIZE);
	ret = dma_buf_vmap_unlocked(dmabuf, &map);
	if (ret)
		want = "none";
	else if (region->mode == RMEM_HEAP_COHERENT || no_map)
		want = "write-combined";
	KUNIT_EXPECT_STREQ(test, sysfs_text(test, "cpu_access"), want);
	if (!ret)
		dma_buf_vunmap_unlocked(dmabuf, &map);
}

/* The device that a region is assigned to reaches every address. */
static void sysfs_mask(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;

	if (sysfs_has_no_folder(region))
		return;
	KUNIT_EXPECT_EQ(test, dma_get_mask(region->dev), DMA_BIT_MASK(64));
	KUNIT_EXPECT_EQ(test, region->dev->coherent_dma_mask, DMA_BIT_MASK(64));
}

/* The parameter shows all lists of names, joined by ':'. */
static void sysfs_parameter(struct kunit *test)
{
	struct kobject *module = kset_find_obj(module_kset, "rmem_heap");
	char *want = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	const char *at = saved_command_line;
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, module);
	KUNIT_ASSERT_NOT_NULL(test, want);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	while ((at = strstr(at, "rmem_heap.export="))) {
		at += strlen("rmem_heap.export=");
		if (*want)
			strlcat(want, ":", PAGE_SIZE);
		strlcat(want, at, min_t(size_t, PAGE_SIZE, strlen(want) + strcspn(at, " ") + 1));
	}

	KUNIT_EXPECT_GT(test, rmem_test_read(module, "parameters/export", buf, &mode), 0);
	KUNIT_EXPECT_STREQ(test, strim(buf), want);
	kobject_put(module);
}

#ifdef CONFIG_CGROUP_DMEM
/* Control groups limit every heap but those of CMA areas, if memory is to be accounted. */
static void sysfs_control_groups(struct kunit *test)
{
	const struct rmem_region *region = test->param_value;
	bool want = mem_accounting && region->heap && region->mode != RMEM_HEAP_CMA;
	const struct cftype *file = dmem_cgrp_subsys.dfl_cftypes;
	char line[sizeof("rmem/ ") + NAME_MAX + 20];
	struct seq_file seq = { .size = SZ_16K };

	while (strcmp(file->name, "capacity"))
		file++;
	seq.buf = kunit_kzalloc(test, seq.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seq.buf);
	KUNIT_ASSERT_EQ(test, file->seq_show(&seq, NULL), 0);
	KUNIT_ASSERT_FALSE(test, seq_has_overflowed(&seq));

	snprintf(line, sizeof(line), "rmem/%s ", region->name);
	KUNIT_EXPECT_EQ(test, !!strstr(seq.buf, line), want);
	snprintf(line, sizeof(line), "rmem/%s %llu\n", region->name,
		 region->rmem ? (u64)region->rmem->size : 0);
	KUNIT_EXPECT_EQ(test, !!strstr(seq.buf, line), want);
}
#endif

static struct kunit_case rmem_heap_regions_sysfs_cases[] = {
	KUNIT_CASE_PARAM(sysfs_rights, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_region, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_files_of_heap, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_usage, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_carveout, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_limits, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_cpu_access, rmem_test_regions_gen_params),
	KUNIT_CASE_PARAM(sysfs_mask, rmem_test_regions_gen_params),
#ifdef CONFIG_CGROUP_DMEM
	KUNIT_CASE_PARAM(sysfs_control_groups, rmem_test_regions_gen_params),
#endif
	KUNIT_CASE(sysfs_parameter),
	{}
};

static struct kunit_suite rmem_heap_regions_sysfs_suite = {
	.name = "rmem_heap_regions_sysfs",
	.test_cases = rmem_heap_regions_sysfs_cases,
};

kunit_test_suite(rmem_heap_regions_sysfs_suite);
