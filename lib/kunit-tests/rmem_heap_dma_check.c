// SPDX-License-Identifier: GPL-2.0
/*
 * Looks at every address that the DMA API gives to a driver, through the API's own
 * tracepoints, and counts those outside the restricted pool of the device; a device without
 * such a pool has them all outside. With rmem_heap_dma_check.on only: tracing costs.
 *
 * debugfs has a line for each device in rmem_heap_dma_check:
 *	DEVICE pool=START-END mappings=N bytes=N allocs=N failed=N unmaps=N frees=N outside=N
 *
 * failed are those of dma_map_phys(), dma_alloc_attrs() and dma_alloc_pages().
 */

#define pr_fmt(fmt) "rmem_heap_dma_check: " fmt

#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include <trace/events/dma.h>

static bool on;
module_param(on, bool, 0444);
MODULE_PARM_DESC(on, "watch all devices, from the first on");

static long shift;
module_param(shift, long, 0444);
MODULE_PARM_DESC(shift, "compare with pools moved by so many bytes, to see the check fail");

#define DMA_CHECK_DEVICES	64

struct dma_check {
	char name[64];
	phys_addr_t start, end;		/* both 0: no restricted pool */
	u64 mappings, bytes, allocs, failed, unmaps, frees, outside;
};

/* Probes are called in any context. */
static DEFINE_RAW_SPINLOCK(dma_check_lock);
static struct dma_check dma_checks[DMA_CHECK_DEVICES];
static unsigned int dma_check_count;
static u64 dma_check_lost;

/* The record of a device and its pool; NULL if there are too many. */
static struct dma_check *dma_check_find(struct device *dev)
{
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	phys_addr_t start = 0, end = 0;
	struct dma_check *check;

	if (mem && mem->for_alloc) {
		start = mem->defpool.start;
		end = mem->defpool.end;
	}
	for (check = dma_checks; check < dma_checks + dma_check_count; check++)
		if (check->start == start && check->end == end &&
		    !strncmp(check->name, dev_name(dev), sizeof(check->name) - 1))
			return check;
	if (dma_check_count == DMA_CHECK_DEVICES) {
		dma_check_lost++;
		return NULL;
	}
	dma_check_count++;
	strscpy(check->name, dev_name(dev));
	check->start = start;
	check->end = end;
	return check;
}

static void dma_check_addr(struct dma_check *check, struct device *dev, dma_addr_t addr,
			   size_t size)
{
	phys_addr_t phys = dma_to_phys(dev, addr);

	check->bytes += size;
	if (check->end && phys >= check->start + shift && size <= check->end - check->start &&
	    phys - check->start - shift <= check->end - check->start - size)
		return;
	if (!check->outside++)
		pr_info("%s: %zu bytes at %pad, which is outside %pa-%pa\n", check->name,
			size, &addr, &check->start, &check->end);
}

static void dma_check_map(void *data, struct device *dev, phys_addr_t phys, dma_addr_t addr,
			  size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_check *check;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (!check)
		return;
	if (addr == DMA_MAPPING_ERROR) {
		check->failed++;
		return;
	}
	check->mappings++;
	dma_check_addr(check, dev, addr, size);
}

static void dma_check_unmap(void *data, struct device *dev, dma_addr_t addr, size_t size,
			    enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_check *check;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (check)
		check->unmaps++;
}

static void dma_check_map_sg(void *data, struct device *dev, struct scatterlist *sgl,
			     int nents, int ents, enum dma_data_direction dir,
			     unsigned long attrs)
{
	struct dma_check *check;
	struct scatterlist *sg;
	int i;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (!check)
		return;
	check->mappings++;
	for_each_sg(sgl, sg, ents, i)
		dma_check_addr(check, dev, sg_dma_address(sg), sg_dma_len(sg));
}

static void dma_check_unmap_sg(void *data, struct device *dev, struct scatterlist *sgl,
			       int nents, enum dma_data_direction dir, unsigned long attrs)
{
	dma_check_unmap(data, dev, 0, 0, dir, attrs);
}

static void dma_check_alloc(void *data, struct device *dev, void *vaddr, dma_addr_t addr,
			    size_t size, enum dma_data_direction dir, gfp_t gfp,
			    unsigned long attrs)
{
	struct dma_check *check;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (!check)
		return;
	if (!vaddr) {
		check->failed++;
		return;
	}
	check->allocs++;
	dma_check_addr(check, dev, addr, size);
}

static void dma_check_free(void *data, struct device *dev, void *vaddr, dma_addr_t addr,
			   size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_check *check;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (check)
		check->frees++;
}

static void dma_check_alloc_sgt(void *data, struct device *dev, struct sg_table *sgt,
				size_t size, enum dma_data_direction dir, gfp_t gfp,
				unsigned long attrs)
{
	struct dma_check *check;
	struct scatterlist *sg;
	int i;

	guard(raw_spinlock_irqsave)(&dma_check_lock);
	check = dma_check_find(dev);
	if (!check)
		return;
	check->allocs++;
	for_each_sgtable_dma_sg(sgt, sg, i)
		dma_check_addr(check, dev, sg_dma_address(sg), sg_dma_len(sg));
}

static void dma_check_free_sgt(void *data, struct device *dev, struct sg_table *sgt,
			       size_t size, enum dma_data_direction dir)
{
	dma_check_free(data, dev, NULL, 0, size, dir, 0);
}

/* A copy, since the counters of one device belong together; false behind the last device. */
static bool dma_check_get(unsigned int i, struct dma_check *check, u64 *lost)
{
	guard(raw_spinlock_irqsave)(&dma_check_lock);
	*lost = dma_check_lost;
	if (i >= dma_check_count)
		return false;
	*check = dma_checks[i];
	return true;
}

static int dma_check_show(struct seq_file *s, void *unused)
{
	struct dma_check check;
	unsigned int i;
	u64 lost;

	for (i = 0; dma_check_get(i, &check, &lost); i++) {
		seq_printf(s, "%s pool=%#llx-%#llx mappings=%llu bytes=%llu allocs=%llu ",
			   check.name, (u64)check.start, (u64)check.end, check.mappings,
			   check.bytes, check.allocs);
		seq_printf(s, "failed=%llu unmaps=%llu frees=%llu outside=%llu\n",
			   check.failed, check.unmaps, check.frees, check.outside);
	}
	if (lost)
		seq_printf(s, "lost=%llu\n", lost);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(dma_check);

/* Before any device is probed */
static int __init dma_check_init(void)
{
	int ret;

	if (!on)
		return 0;

	ret = register_trace_dma_map_phys(dma_check_map, NULL);
	ret = ret ?: register_trace_dma_unmap_phys(dma_check_unmap, NULL);
	ret = ret ?: register_trace_dma_map_sg(dma_check_map_sg, NULL);
	ret = ret ?: register_trace_dma_unmap_sg(dma_check_unmap_sg, NULL);
	ret = ret ?: register_trace_dma_alloc(dma_check_alloc, NULL);
	ret = ret ?: register_trace_dma_free(dma_check_free, NULL);
	ret = ret ?: register_trace_dma_alloc_pages(dma_check_alloc, NULL);
	ret = ret ?: register_trace_dma_free_pages(dma_check_free, NULL);
	ret = ret ?: register_trace_dma_alloc_sgt(dma_check_alloc_sgt, NULL);
	ret = ret ?: register_trace_dma_free_sgt(dma_check_free_sgt, NULL);
	if (ret) {
		/* Without the file nobody takes silence for success. */
		pr_err("cannot watch: %d\n", ret);
		return ret;
	}
	debugfs_create_file("rmem_heap_dma_check", 0400, NULL, NULL, &dma_check_fops);
	return 0;
}
postcore_initcall(dma_check_init);
