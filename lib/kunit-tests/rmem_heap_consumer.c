// SPDX-License-Identifier: GPL-2.0
/*
 * Test consumer for reserved-memory heaps: a device that is not there, see
 * rmem_heap_consumer.h for what it does and
 * Documentation/devicetree/bindings/reserved-memory/linux,rmem-heap-consumer.yaml for
 * its node.
 */

#include <linux/compat.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/rmem_heap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "rmem_heap_consumer.h"

/**
 * struct rmem_consumer - the device
 * @dev: the device
 * @rmem: its region, NULL without one
 * @assigned: true if the core assigned the region to it
 * @misc: its device node
 * @name: name of that
 */
struct rmem_consumer {
	struct device *dev;
	struct reserved_mem *rmem;
	bool assigned;
	struct miscdevice misc;
	char name[sizeof("rmem-consumer-") + NAME_MAX];
};

/* Something the device allocated: memory of the DMA API, or a buffer of a carveout */
struct rmem_consumer_block {
	struct list_head list;
	struct dma_buf *dmabuf;
	void *vaddr;
	dma_addr_t addr;
	size_t len;
};

/**
 * struct rmem_consumer_file - an open file
 * @consumer: the device
 * @lock: protects what follows
 * @dmabuf: the imported buffer, NULL if there is none
 * @attach: its attachment
 * @sgt: its mapping
 * @blocks: what was allocated
 */
struct rmem_consumer_file {
	struct rmem_consumer *consumer;
	struct mutex lock;	/* orders the ioctls */
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct list_head blocks;
};

static u64 rmem_consumer_inside(struct rmem_consumer *consumer, dma_addr_t addr, u64 len)
{
	const struct reserved_mem *rmem = consumer->rmem;
	phys_addr_t paddr = dma_to_phys(consumer->dev, addr);

	if (!rmem || paddr < rmem->base || paddr + len > rmem->base + rmem->size)
		return 0;
	return len;
}

static void rmem_consumer_unmap(struct rmem_consumer_file *file)
{
	if (!file->dmabuf)
		return;

	dma_buf_unmap_attachment_unlocked(file->attach, file->sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(file->dmabuf, file->attach);
	dma_buf_put(file->dmabuf);
	file->dmabuf = NULL;
}

static int rmem_consumer_map(struct rmem_consumer_file *file, struct rmem_consumer_map *map)
{
	struct rmem_consumer *consumer = file->consumer;
	struct scatterlist *sg;
	int i, ret;

	if (file->dmabuf)
		return -EBUSY;

	file->dmabuf = dma_buf_get(map->fd);
	if (IS_ERR(file->dmabuf)) {
		ret = PTR_ERR(file->dmabuf);
		goto err_clear;
	}

	file->attach = dma_buf_attach(file->dmabuf, consumer->dev);
	if (IS_ERR(file->attach)) {
		ret = PTR_ERR(file->attach);
		goto err_put;
	}

	file->sgt = dma_buf_map_attachment_unlocked(file->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(file->sgt)) {
		ret = PTR_ERR(file->sgt);
		goto err_detach;
	}

	map->nents = file->sgt->nents;
	map->len = 0;
	map->inside = 0;
	for_each_sgtable_dma_sg(file->sgt, sg, i) {
		map->len += sg_dma_len(sg);
		map->inside += rmem_consumer_inside(consumer, sg_dma_address(sg),
						    sg_dma_len(sg));
	}
	return 0;

err_detach:
	dma_buf_detach(file->dmabuf, file->attach);
err_put:
	dma_buf_put(file->dmabuf);
err_clear:
	file->dmabuf = NULL;
	return ret;
}

static int rmem_consumer_dma(struct rmem_consumer_file *file, struct rmem_consumer_dma *dma)
{
	struct scatterlist *sg;
	size_t pos = 0, j;
	int i;

	if (!file->dmabuf)
		return -ENXIO;

	dma->bad = 0;
	for_each_sgtable_dma_sg(file->sgt, sg, i) {
		phys_addr_t paddr = dma_to_phys(file->consumer->dev, sg_dma_address(sg));
		/* RAM is cached, and all else is not. */
		u8 *mem = memremap(paddr, sg_dma_len(sg), page_is_ram(PHYS_PFN(paddr)) ?
				   MEMREMAP_WB : MEMREMAP_WC);

		if (!mem)
			return -ENOMEM;
		for (j = 0; j < sg_dma_len(sg); j++, pos++) {
			u8 want = dma->seed + 7 * pos + (pos >> 12);

			if (dma->write)
				mem[j] = want;
			else if (mem[j] != want)
				dma->bad++;
		}
		memunmap(mem);
	}
	return 0;
}

static int rmem_consumer_alloc(struct rmem_consumer_file *file,
			       struct rmem_consumer_alloc *alloc)
{
	struct rmem_consumer *consumer = file->consumer;
	struct rmem_consumer_block *block;
	struct rmem_heap *heap;
	int ret;

	if (!alloc->len || alloc->len > SZ_1G)
		return -EINVAL;

	block = kzalloc_obj(*block);
	if (!block)
		return -ENOMEM;

	block->len = alloc->len;
	if (consumer->assigned) {
		block->vaddr = dma_alloc_coherent(consumer->dev, block->len, &block->addr,
						  GFP_KERNEL | __GFP_NOWARN);
		if (!block->vaddr) {
			ret = -ENOMEM;
			goto err_free;
		}
		alloc->inside = rmem_consumer_inside(consumer, block->addr, block->len);
	} else {
		heap = rmem_heap_find(consumer->dev, 0);
		if (IS_ERR(heap)) {
			ret = PTR_ERR(heap);
			goto err_free;
		}
		block->dmabuf = rmem_heap_alloc(heap, block->len, O_RDWR);
		if (IS_ERR(block->dmabuf)) {
			ret = PTR_ERR(block->dmabuf);
			goto err_free;
		}
		/* Where a heap's buffer lies is for RMEM_CONSUMER_MAP to tell. */
		alloc->inside = block->len;
	}

	list_add(&block->list, &file->blocks);
	return 0;

err_free:
	kfree(block);
	return ret;
}

static void rmem_consumer_free(struct rmem_consumer_file *file)
{
	struct rmem_consumer_block *block, *next;

	list_for_each_entry_safe(block, next, &file->blocks, list) {
		if (block->dmabuf)
			dma_buf_put(block->dmabuf);
		else
			dma_free_coherent(file->consumer->dev, block->len, block->vaddr,
					  block->addr);
		kfree(block);
	}
	INIT_LIST_HEAD(&file->blocks);
}

static int rmem_consumer_vmap(const struct rmem_consumer_vmap *vmap)
{
	struct dma_buf *dmabuf = dma_buf_get(vmap->fd);
	struct iosys_map map;
	int ret;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	ret = dma_buf_vmap_unlocked(dmabuf, &map);
	if (!ret)
		dma_buf_vunmap_unlocked(dmabuf, &map);
	dma_buf_put(dmabuf);
	return ret;
}

static int rmem_consumer_open(struct inode *inode, struct file *filp)
{
	struct rmem_consumer_file *file = kzalloc_obj(*file);

	if (!file)
		return -ENOMEM;

	file->consumer = container_of(filp->private_data, struct rmem_consumer, misc);
	mutex_init(&file->lock);
	INIT_LIST_HEAD(&file->blocks);
	filp->private_data = file;
	return 0;
}

static int rmem_consumer_release(struct inode *inode, struct file *filp)
{
	struct rmem_consumer_file *file = filp->private_data;

	rmem_consumer_unmap(file);
	rmem_consumer_free(file);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static long rmem_consumer_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct rmem_consumer_file *file = filp->private_data;
	struct rmem_consumer *consumer = file->consumer;
	union {
		struct rmem_consumer_info info;
		struct rmem_consumer_map map;
		struct rmem_consumer_dma dma;
		struct rmem_consumer_alloc alloc;
		struct rmem_consumer_vmap vmap;
	} u = { };
	int ret = 0;

	if (_IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    copy_from_user(&u, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;

	mutex_lock(&file->lock);
	switch (cmd) {
	case RMEM_CONSUMER_INFO:
		strscpy(u.info.region, consumer->rmem ? consumer->rmem->name : "");
		u.info.assigned = consumer->assigned;
		break;
	case RMEM_CONSUMER_MAP:
		ret = rmem_consumer_map(file, &u.map);
		break;
	case RMEM_CONSUMER_UNMAP:
		rmem_consumer_unmap(file);
		break;
	case RMEM_CONSUMER_DMA:
		ret = rmem_consumer_dma(file, &u.dma);
		break;
	case RMEM_CONSUMER_ALLOC:
		ret = rmem_consumer_alloc(file, &u.alloc);
		break;
	case RMEM_CONSUMER_FREE:
		rmem_consumer_free(file);
		break;
	case RMEM_CONSUMER_VMAP:
		ret = rmem_consumer_vmap(&u.vmap);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&file->lock);

	if (!ret && (_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user((void __user *)arg, &u, _IOC_SIZE(cmd)))
		return -EFAULT;
	return ret;
}

static const struct file_operations rmem_consumer_fops = {
	.owner = THIS_MODULE,
	.open = rmem_consumer_open,
	.release = rmem_consumer_release,
	.unlocked_ioctl = rmem_consumer_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int rmem_consumer_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct rmem_consumer *consumer;
	struct device_node *np;
	u32 val;
	int ret;

	consumer = devm_kzalloc(dev, sizeof(*consumer), GFP_KERNEL);
	if (!consumer)
		return -ENOMEM;
	consumer->dev = dev;

	/* UML has no arch_setup_dma_ops(), which does this elsewhere. */
	dev_assign_dma_coherent(dev, of_dma_is_coherent(dev->of_node));
	dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	/* What a bus with few address lines does: masks too narrow for RAM are refused. */
	if (!of_property_read_u32(dev->of_node, "linux,dma-bits", &val))
		dev->bus_dma_limit = DMA_BIT_MASK(val);
	if (!of_property_read_u32(dev->of_node, "linux,max-segment-size", &val))
		dma_set_max_seg_size(dev, val);

	np = of_parse_phandle(dev->of_node, "memory-region", 0);
	if (np) {
		consumer->rmem = of_reserved_mem_lookup(np);
		of_node_put(np);
		/* -EINVAL: a carveout, or a region that the kernel refused */
		ret = of_reserved_mem_device_init(dev);
		if (ret && ret != -EINVAL)
			return ret;
		consumer->assigned = !ret && consumer->rmem;
	}

	snprintf(consumer->name, sizeof(consumer->name), "rmem-consumer-%s",
		 kbasename(dev->of_node->full_name));
	consumer->misc.minor = MISC_DYNAMIC_MINOR;
	consumer->misc.name = consumer->name;
	consumer->misc.fops = &rmem_consumer_fops;
	consumer->misc.parent = dev;
	ret = misc_register(&consumer->misc);
	if (ret)
		of_reserved_mem_device_release(dev);
	return ret;
}

static const struct of_device_id rmem_consumer_of_match[] = {
	{ .compatible = "linux,rmem-heap-consumer" },
	{ }
};

static struct platform_driver rmem_consumer_driver = {
	.probe = rmem_consumer_probe,
	.driver = {
		.name = "rmem-heap-consumer",
		.of_match_table = rmem_consumer_of_match,
		/* Open files would outlive it, and no test needs that. */
		.suppress_bind_attrs = true,
	},
};
builtin_platform_driver(rmem_consumer_driver);
