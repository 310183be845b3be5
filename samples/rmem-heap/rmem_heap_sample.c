// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that offers its reserved memory as a dma-buf heap.
 *
 *	reserved-memory {
 *		frames: frames@40000000 { reg = <0x40000000 0x4000000>; };
 *	};
 *	scaler { compatible = "linux,rmem-heap-sample"; memory-region = <&frames>; };
 *
 * Programs then allocate frames from /dev/dma_heap/frames@40000000, and the driver allocates
 * its own frame from the same memory.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/rmem_heap.h>
#include <linux/sizes.h>

/**
 * struct sample - the device
 * @heap: the heap of the region
 * @frame: a buffer for the driver itself
 * @attach: attachment of the device to @frame
 * @sgt: DMA addresses of @frame
 */
struct sample {
	struct rmem_heap *heap;
	struct dma_buf *frame;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

static int sample_get_frame(struct device *dev, struct sample *sample)
{
	int ret;

	sample->frame = rmem_heap_alloc(sample->heap, SZ_64K, O_RDWR);
	if (IS_ERR(sample->frame))
		return PTR_ERR(sample->frame);

	sample->attach = dma_buf_attach(sample->frame, dev);
	if (IS_ERR(sample->attach)) {
		ret = PTR_ERR(sample->attach);
		goto err_put;
	}

	sample->sgt = dma_buf_map_attachment_unlocked(sample->attach, DMA_FROM_DEVICE);
	if (IS_ERR(sample->sgt)) {
		ret = PTR_ERR(sample->sgt);
		goto err_detach;
	}
	return 0;

err_detach:
	dma_buf_detach(sample->frame, sample->attach);
err_put:
	dma_buf_put(sample->frame);
	return ret;
}

static void sample_put_frame(struct sample *sample)
{
	dma_buf_unmap_attachment_unlocked(sample->attach, sample->sgt, DMA_FROM_DEVICE);
	dma_buf_detach(sample->frame, sample->attach);
	dma_buf_put(sample->frame);
}

static int sample_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct rmem_heap_info info;
	struct sample *sample;
	unsigned int flags = 0;
	u32 bits = 32;
	int ret;

	sample = devm_kzalloc(dev, sizeof(*sample), GFP_KERNEL);
	if (!sample)
		return -ENOMEM;

	/* A driver of real hardware knows which addresses the device reaches. */
	device_property_read_u32(dev, "linux,dma-bits", &bits);
	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(bits));
	if (ret)
		return ret;
	/* A contiguous buffer is one segment for the device, instead of one for every 64 KiB. */
	dma_set_max_seg_size(dev, UINT_MAX);

	/* Only the driver that owns a region can set these flags. */
	if (device_property_read_bool(dev, "linux,keep-contents"))
		flags |= RMEM_HEAP_KEEP;
	if (device_property_read_bool(dev, "linux,write-combined"))
		flags |= RMEM_HEAP_WC;

	sample->heap = devm_rmem_heap_export(dev, 0, flags);
	if (IS_ERR(sample->heap))
		return dev_err_probe(dev, PTR_ERR(sample->heap), "no heap\n");

	/* Fail in probe, instead of with the first buffer. */
	ret = rmem_heap_check_device(sample->heap, dev);
	if (ret)
		return dev_err_probe(dev, ret, "the device does not reach the region\n");
	rmem_heap_get_info(sample->heap, &info);
	if (!info.contiguous && device_property_read_bool(dev, "linux,contiguous"))
		return dev_err_probe(dev, -EINVAL, "buffers of the region are not contiguous\n");

	ret = sample_get_frame(dev, sample);
	if (ret)
		return dev_err_probe(dev, ret, "no frame\n");

	platform_set_drvdata(pdev, sample);
	return 0;
}

static void sample_remove(struct platform_device *pdev)
{
	sample_put_frame(platform_get_drvdata(pdev));
}

static const struct of_device_id sample_of_match[] = {
	{ .compatible = "linux,rmem-heap-sample" },
	{ }
};
MODULE_DEVICE_TABLE(of, sample_of_match);

static struct platform_driver sample_driver = {
	.probe = sample_probe,
	.remove = sample_remove,
	.driver = {
		.name = "rmem-heap-sample",
		.of_match_table = sample_of_match,
	},
};
module_platform_driver(sample_driver);

MODULE_DESCRIPTION("Driver that offers its reserved memory as a heap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
