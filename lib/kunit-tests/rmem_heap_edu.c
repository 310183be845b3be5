// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for QEMU's "edu" PCI device, as an importer for tests of reserved-memory heaps:
 * it does DMA at the addresses that a dma-buf's mapping gave it. See rmem_heap_edu.h.
 */

#include <linux/cleanup.h>
#include <linux/compat.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/miscdevice.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of_reserved_mem.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "rmem_heap_edu.h"

#define EDU_ID			0x00
#define EDU_ID_MASK		0xffff
#define EDU_ID_VALUE		0x00ed
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DEST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		BIT(0)
#define EDU_DMA_TO_RAM		BIT(1)

/*
 * The device's own address of its memory. There are 4 KiB, but a transfer that ends with
 * the last of them ends some versions of QEMU: hence RMEM_EDU_MEMORY.
 */
#define EDU_MEMORY		0x40000

/* What QEMU has to be told: -device edu,dma_mask=0xffffffffff */
#define EDU_DMA_BITS		40

/*
 * of_dma_configure() assigns no restricted pool to a device behind an IOMMU, a driver may. Of the
 * tables that are mapped there only those of untrusted devices are unmapped through swiotlb.
 */
static bool rmem_edu_assign;
module_param_named(assign, rmem_edu_assign, bool, 0444);
MODULE_PARM_DESC(assign, "an untrusted device, assigned to the host bridge's memory-region");

/**
 * struct rmem_edu - the device
 * @ref: one of the device, one of each open file
 * @pdev: the device
 * @lock: one transfer at a time
 * @regs: its registers, NULL when it is gone
 * @stuck: a transfer did not end: it may still do
 * @misc: its device node
 */
struct rmem_edu {
	struct kref ref;
	struct pci_dev *pdev;
	struct mutex lock;	/* held while the device is busy; protects regs, stuck */
	void __iomem *regs;
	bool stuck;
	struct miscdevice misc;
};

/**
 * struct rmem_edu_file - an open file
 * @edu: the device
 * @lock: protects what follows
 * @dmabuf: the imported buffer, NULL if there is none
 * @attach: its attachment
 * @sgt: its mapping
 */
struct rmem_edu_file {
	struct rmem_edu *edu;
	struct mutex lock;	/* orders the ioctls */
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

static void rmem_edu_unmap(struct rmem_edu_file *file)
{
	if (!file->dmabuf)
		return;

	/* A device that may still write to a buffer keeps the buffer for good. */
	if (READ_ONCE(file->edu->stuck)) {
		file->dmabuf = NULL;
		return;
	}

	dma_buf_unmap_attachment_unlocked(file->attach, file->sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(file->dmabuf, file->attach);
	dma_buf_put(file->dmabuf);
	file->dmabuf = NULL;
}

static int rmem_edu_map(struct rmem_edu_file *file, struct rmem_edu_map *map)
{
	struct dma_buf_attachment *attach;
	struct scatterlist *sg;
	struct dma_buf *dmabuf;
	struct sg_table *sgt;
	int i, ret;

	if (file->dmabuf)
		return -EBUSY;

	dmabuf = dma_buf_get(map->fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	attach = dma_buf_attach(dmabuf, &file->edu->pdev->dev);
	if (IS_ERR(attach)) {
		ret = PTR_ERR(attach);
		goto err_put;
	}

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		goto err_detach;
	}

	map->nents = sgt->nents;
	map->len = 0;
	map->lowest = U64_MAX;
	map->highest = 0;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		map->len += sg_dma_len(sg);
		map->lowest = min_t(u64, map->lowest, sg_dma_address(sg));
		map->highest = max_t(u64, map->highest,
				     sg_dma_address(sg) + sg_dma_len(sg) - 1);
	}

	file->dmabuf = dmabuf;
	file->attach = attach;
	file->sgt = sgt;
	return 0;

err_detach:
	dma_buf_detach(dmabuf, attach);
err_put:
	dma_buf_put(dmabuf);
	return ret;
}

static int rmem_edu_transfer(struct rmem_edu *edu, u64 from, u64 to, u32 len, u32 command)
{
	u64 busy;
	int ret;

	if (!edu->regs)
		return -ENODEV;
	if (edu->stuck)
		return -EIO;

	writeq(from, edu->regs + EDU_DMA_SOURCE);
	writeq(to, edu->regs + EDU_DMA_DEST);
	writeq(len, edu->regs + EDU_DMA_COUNT);
	writeq(EDU_DMA_START | command, edu->regs + EDU_DMA_COMMAND);

	ret = readq_poll_timeout(edu->regs + EDU_DMA_COMMAND, busy,
				 !(busy & EDU_DMA_START), 1000, 10 * USEC_PER_SEC);
	if (ret)
		WRITE_ONCE(edu->stuck, true);
	return ret;
}

static int rmem_edu_copy(struct rmem_edu_file *file, const struct rmem_edu_copy *copy)
{
	struct rmem_edu *edu = file->edu;
	u64 skip = copy->offset;
	struct scatterlist *sg;
	u32 done = 0, n;
	dma_addr_t addr;
	int i, ret;

	if (!file->dmabuf)
		return -ENXIO;
	if (!copy->len || copy->len > RMEM_EDU_MEMORY || copy->to_buffer > 1)
		return -EINVAL;

	guard(mutex)(&edu->lock);
	for_each_sgtable_dma_sg(file->sgt, sg, i) {
		if (skip >= sg_dma_len(sg)) {
			skip -= sg_dma_len(sg);
			continue;
		}

		addr = sg_dma_address(sg) + skip;
		n = min_t(u64, sg_dma_len(sg) - skip, copy->len - done);
		if (copy->to_buffer)
			ret = rmem_edu_transfer(edu, EDU_MEMORY + done, addr, n,
						EDU_DMA_TO_RAM);
		else
			ret = rmem_edu_transfer(edu, addr, EDU_MEMORY + done, n, 0);
		if (ret)
			return ret;

		skip = 0;
		done += n;
		if (done == copy->len)
			return 0;
	}
	return -EINVAL;
}

static void rmem_edu_free(struct kref *ref)
{
	struct rmem_edu *edu = container_of(ref, struct rmem_edu, ref);

	pci_dev_put(edu->pdev);
	mutex_destroy(&edu->lock);
	kfree(edu);
}

static int rmem_edu_open(struct inode *inode, struct file *filp)
{
	struct rmem_edu_file *file = kzalloc_obj(*file);

	if (!file)
		return -ENOMEM;

	file->edu = container_of(filp->private_data, struct rmem_edu, misc);
	kref_get(&file->edu->ref);
	mutex_init(&file->lock);
	filp->private_data = file;
	return 0;
}

static int rmem_edu_release(struct inode *inode, struct file *filp)
{
	struct rmem_edu_file *file = filp->private_data;

	rmem_edu_unmap(file);
	kref_put(&file->edu->ref, rmem_edu_free);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static long rmem_edu_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct rmem_edu_file *file = filp->private_data;
	void __user *argp = (void __user *)arg;
	struct rmem_edu_copy copy;
	struct rmem_edu_map map;
	int ret;

	guard(mutex)(&file->lock);
	switch (cmd) {
	case RMEM_EDU_MAP:
		if (copy_from_user(&map, argp, sizeof(map)))
			return -EFAULT;
		ret = rmem_edu_map(file, &map);
		if (!ret && copy_to_user(argp, &map, sizeof(map)))
			return -EFAULT;
		return ret;
	case RMEM_EDU_UNMAP:
		rmem_edu_unmap(file);
		return 0;
	case RMEM_EDU_COPY:
		if (copy_from_user(&copy, argp, sizeof(copy)))
			return -EFAULT;
		return rmem_edu_copy(file, &copy);
	}
	return -ENOTTY;
}

static const struct file_operations rmem_edu_fops = {
	.owner = THIS_MODULE,
	.open = rmem_edu_open,
	.release = rmem_edu_release,
	.unlocked_ioctl = rmem_edu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static void rmem_edu_unassign(void *dev)
{
	of_reserved_mem_device_release(dev);
}

static int rmem_edu_start(struct rmem_edu *edu)
{
	struct pci_dev *pdev = edu->pdev;
	struct device *bridge = pci_find_host_bridge(pdev->bus)->dev.parent;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;

	edu->regs = pcim_iomap_region(pdev, 0, "rmem-edu");
	if (IS_ERR(edu->regs))
		return PTR_ERR(edu->regs);
	/* Others use the same numbers. */
	if ((readl(edu->regs + EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return -ENODEV;

	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (ret)
		return ret;
	if (rmem_edu_assign) {
		ret = of_reserved_mem_device_init_by_idx(&pdev->dev, bridge->of_node, 0);
		ret = ret ?: devm_add_action_or_reset(&pdev->dev, rmem_edu_unassign, &pdev->dev);
		if (ret)
			return ret;
		pdev->untrusted = true;
	}
	pci_set_master(pdev);

	edu->misc.minor = MISC_DYNAMIC_MINOR;
	edu->misc.name = "rmem-edu";
	edu->misc.fops = &rmem_edu_fops;
	edu->misc.parent = &pdev->dev;
	return misc_register(&edu->misc);
}

/* There is one name, so one device. */
static atomic_t rmem_edu_taken = ATOMIC_INIT(0);

static int rmem_edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct rmem_edu *edu;
	int ret;

	if (atomic_cmpxchg(&rmem_edu_taken, 0, 1))
		return -EBUSY;

	edu = kzalloc_obj(*edu);
	if (!edu) {
		ret = -ENOMEM;
		goto err_taken;
	}
	kref_init(&edu->ref);
	mutex_init(&edu->lock);
	edu->pdev = pci_dev_get(pdev);

	ret = rmem_edu_start(edu);
	if (ret)
		goto err_put;
	pci_set_drvdata(pdev, edu);
	return 0;

err_put:
	kref_put(&edu->ref, rmem_edu_free);
err_taken:
	atomic_set(&rmem_edu_taken, 0);
	return ret;
}

/* Files may outlive the device, and its registers do not. */
static void rmem_edu_remove(struct pci_dev *pdev)
{
	struct rmem_edu *edu = pci_get_drvdata(pdev);

	misc_deregister(&edu->misc);
	scoped_guard(mutex, &edu->lock)
		edu->regs = NULL;
	kref_put(&edu->ref, rmem_edu_free);
	atomic_set(&rmem_edu_taken, 0);
}

static const struct pci_device_id rmem_edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};

static struct pci_driver rmem_edu_driver = {
	.name = "rmem-edu",
	.id_table = rmem_edu_ids,
	.probe = rmem_edu_probe,
	.remove = rmem_edu_remove,
};
builtin_pci_driver(rmem_edu_driver);
