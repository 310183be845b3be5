// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: importers and CPU access.
 *
 * Locking: the dma-buf core calls map and unmap with dmabuf->resv held and changes the list
 * of attachments with it held; the two functions for CPU access take it. An attachment is
 * mapped while its direction is not DMA_NONE.
 */

#include <linux/cc_platform.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iommu-dma.h>
#include <linux/of_reserved_mem.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>

#include "rmem.h"

/**
 * struct import_attachment - private data of an attachment
 * @sgt: the buffer in segments that the importer can take
 * @orig_nents: number of entries that @sgt was allocated with
 * @attrs: attributes that the buffer is mapped with, and must be unmapped with
 * @mmio: with DMA_ATTR_MMIO: DMA address of the buffer while it is mapped
 * @dir: direction that the importer maps the buffer in; DMA_NONE while it is not mapped
 * @needs_sync: the buffer is mapped, and CPU accesses have to be synced with the device
 */
struct import_attachment {
	struct sg_table sgt;
	unsigned int orig_nents;
	unsigned long attrs;
	dma_addr_t mmio;
	enum dma_data_direction dir;
	bool needs_sync;
};

/**
 * struct seg_iter - walks a buffer in the segments that an importer can take
 * @buf: the buffer
 * @max: longest segment in bytes, whole pages
 * @boundary: mask of the addresses that a segment must not cross
 * @i: current extent
 * @done: bytes of the current extent that the walk has passed
 *
 * Extents that touch become one segment. They are not merged in the buffer, since the
 * allocator has to get back each extent that it gave.
 */
struct seg_iter {
	const struct rmem_buffer *buf;
	size_t max;
	unsigned long boundary;
	unsigned int i;
	size_t done;
};

static struct seg_iter import_segments(const struct rmem_buffer *buf, struct device *dev)
{
	size_t max = min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev));

	return (struct seg_iter) {
		.buf = buf,
		.max = ALIGN_DOWN(max, PAGE_SIZE),
		.boundary = dma_get_seg_boundary(dev) | ~PAGE_MASK,
	};
}

static bool import_next_segment(struct seg_iter *iter, struct phys_vec *seg)
{
	const struct phys_vec *extent = iter->buf->extents + iter->i;
	size_t limit;

	if (iter->i == iter->buf->nr)
		return false;

	seg->paddr = extent->paddr + iter->done;
	seg->len = 0;
	/* Add 1 last: the distance to a boundary of ULONG_MAX plus 1 may be 0. */
	limit = min_t(u64, iter->max - 1, iter->boundary - (seg->paddr & iter->boundary)) + 1;

	do {
		size_t len = min(limit - seg->len, extent->len - iter->done);

		seg->len += len;
		iter->done += len;
		if (iter->done < extent->len)
			break;

		iter->done = 0;
		iter->i++;
		extent++;
	} while (seg->len < limit && iter->i < iter->buf->nr &&
		 extent->paddr == seg->paddr + seg->len);

	return true;
}

static dma_addr_t import_dma_addr(struct device *dev, phys_addr_t paddr, unsigned long attrs)
{
	return attrs & DMA_ATTR_CC_SHARED ? phys_to_dma_unencrypted(dev, paddr) :
					    phys_to_dma_encrypted(dev, paddr);
}

/* Whether the DMA API would give a device the address of the segment itself */
static bool import_directly_mappable(struct device *dev, const struct phys_vec *seg,
				     bool is_ram, unsigned long attrs)
{
	return dma_capable(dev, import_dma_addr(dev, seg->paddr, attrs), seg->len, is_ram, attrs);
}

/* Whether a segment lies in one of the dma-ranges of a bus: its address is right to the end. */
static bool import_in_one_range(struct device *dev, const struct phys_vec *seg,
				unsigned long attrs)
{
	return import_dma_addr(dev, seg->paddr + seg->len - 1, attrs) ==
	       import_dma_addr(dev, seg->paddr, attrs) + seg->len - 1;
}

/* Whether the DMA API can bounce for a device, to slots that the device reaches */
static bool import_bounce_reachable(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	const struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	struct phys_vec slots;
	unsigned long attrs;

	if (!is_swiotlb_active(dev))
		return false;
#ifdef CONFIG_SWIOTLB_DYNAMIC
	/* swiotlb allocates a pool within the mask of the device on demand. */
	if (mem->can_grow)
		return true;
#endif
	slots.paddr = mem->defpool.start;
	slots.len = mem->defpool.end - mem->defpool.start;
	attrs = mem->cc_shared ? DMA_ATTR_CC_SHARED : 0;
	return import_directly_mappable(dev, &slots, true, attrs) &&
	       import_in_one_range(dev, &slots, attrs);
#else
	return false;
#endif
}

/* Whether an IOMMU, or other dma_ops, choose the addresses of a device */
static bool import_translated(struct device *dev)
{
	return get_dma_ops(dev) || use_dma_iommu(dev);
}

/* Attributes to map the memory of a heap with */
static unsigned long import_attrs(const struct rmem_heap *heap)
{
	if (heap->memory != RMEM_LINEAR)
		return DMA_ATTR_MMIO;
	/* Importers of a dma-buf share its cache lines: DMA debugging is not to report it. */
	return DMA_ATTR_DEBUGGING_IGNORE_CACHELINES |
	       (rmem_heap_is_decrypted(heap) ? DMA_ATTR_CC_SHARED : 0);
}

/*
 * Whether the DMA API can map a segment for a device. It would WARN otherwise, or, where the
 * segment crosses from one of the dma-ranges of the bus into another, give the first address
 * of a range that does not go on. dma_direct_map_phys() treats MMIO memory as shared when the
 * host encrypts memory.
 */
static bool import_mappable(const struct rmem_heap *heap, struct device *dev,
			    const struct phys_vec *seg, unsigned long attrs)
{
	bool is_ram = heap->memory == RMEM_LINEAR;

	if (!is_ram && cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		attrs |= DMA_ATTR_CC_SHARED;
	if ((!is_swiotlb_force_bounce(dev) ||
	     (is_ram && swiotlb_in_own_pool(dev, seg->paddr, seg->len, attrs))) &&
	    import_directly_mappable(dev, seg, is_ram, attrs))
		return import_in_one_range(dev, seg, attrs);
	return is_ram && import_bounce_reachable(dev);
}

/* Says why a device cannot import memory of a heap: EBUSY alone does not tell. */
static int import_refuse(const struct rmem_heap *heap, struct device *dev,
			 const struct phys_vec *seg)
{
	u64 limit = min_not_zero(*dev->dma_mask, dev->bus_dma_limit);
	char why[64];

	if (is_swiotlb_force_bounce(dev) && heap->memory == RMEM_LINEAR)
		strscpy(why, "and the device does not reach its restricted pool");
	else if (is_swiotlb_force_bounce(dev))
		strscpy(why, "and the CPU cannot copy it to the device's restricted pool");
	else if (import_directly_mappable(dev, seg, heap->memory == RMEM_LINEAR, 0))
		strscpy(why, "in more than one of the dma-ranges of the device's bus");
	else
		snprintf(why, sizeof(why), "the device reaches DMA addresses up to 0x%llx", limit);
	dev_notice_ratelimited(dev, "cannot import a buffer of %s: it is at 0x%llx to 0x%llx, %s\n",
			       heap->region->name, (u64)seg->paddr,
			       (u64)seg->paddr + seg->len - 1, why);
	return -EBUSY;
}

/*
 * What makes every mapping of a buffer impossible, whatever its segments are. Memory outside the
 * linear map is mapped as a whole.
 */
static int import_check(const struct seg_iter *iter, struct device *dev)
{
	struct rmem_heap *heap = iter->buf->heap;

	if (!dev->dma_mask || !*dev->dma_mask || !iter->max)
		return -EINVAL;
	if (heap->memory != RMEM_LINEAR && !import_translated(dev) &&
	    !import_mappable(heap, dev, &iter->buf->extent, import_attrs(heap)))
		return import_refuse(heap, dev, &iter->buf->extent);
	return 0;
}

/**
 * rmem_heap_check_device() - whether a device can import the buffers of a heap
 * @heap: the heap
 * @dev: the device, with its DMA mask set
 *
 * A driver can refuse in its probe function what attaching a buffer may refuse later.
 *
 * Context: any.
 * Return: 0; -EBUSY if the device reaches neither all of the region nor memory to bounce it
 * through, or if the region lies in more than one of the dma-ranges of its bus; -EINVAL if it
 * has no DMA mask, or a maximum segment size below a page.
 */
int rmem_heap_check_device(struct rmem_heap *heap, struct device *dev)
{
	struct rmem_buffer all = { .heap = heap, .len = heap->region->rmem->size };
	struct seg_iter iter;
	int ret;

	rmem_set_extent(&all, heap->region->rmem->base);
	iter = import_segments(&all, dev);
	ret = import_check(&iter, dev);
	if (ret || import_translated(dev) ||
	    import_mappable(heap, dev, &all.extent, import_attrs(heap)))
		return ret;
	return import_refuse(heap, dev, &all.extent);
}
EXPORT_SYMBOL_GPL(rmem_heap_check_device);

/* At least as many as the segments of the buffer: as if no extents touched */
static unsigned int import_count_segments(const struct seg_iter *iter)
{
	unsigned int shift = fls_long(iter->boundary), n = 0, i;

	for (i = 0; i < iter->buf->nr; i++) {
		const struct phys_vec *extent = &iter->buf->extents[i];
		u64 last = extent->paddr + (extent->len - 1);

		/* DIV_ROUND_UP() would wrap around on 32 bits: @max may be UINT_MAX. */
		n += (extent->len - 1) / iter->max + 1;
		if (shift < 64)
			n += (last >> shift) - ((u64)extent->paddr >> shift);
	}
	return n;
}

/*
 * One walk of the buffer fills and checks the table. -EBUSY is dma_buf_dynamic_attach()'s
 * errno for memory that the device does not reach.
 */
int rmem_heap_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	const struct rmem_buffer *buf = dmabuf->priv;
	struct seg_iter iter = import_segments(buf, attach->dev);
	bool translated = import_translated(attach->dev);
	struct import_attachment *a;
	struct scatterlist *sg, *last = NULL;
	unsigned int n = 0;
	struct phys_vec seg;
	int ret = import_check(&iter, attach->dev);

	if (ret)
		return ret;
	a = kzalloc_obj(*a);
	if (!a)
		return -ENOMEM;

	a->attrs = import_attrs(buf->heap);
	a->orig_nents = import_count_segments(&iter);
	ret = sg_alloc_table(&a->sgt, a->orig_nents, GFP_KERNEL);
	if (ret)
		goto err_free;

	for (sg = a->sgt.sgl; import_next_segment(&iter, &seg); sg = sg_next(sg)) {
		if (!translated && !import_mappable(buf->heap, attach->dev, &seg, a->attrs)) {
			ret = import_refuse(buf->heap, attach->dev, &seg);
			goto err_free_table;
		}
		/* Memory without struct pages has DMA addresses only. */
		if (a->attrs & DMA_ATTR_MMIO)
			sg_dma_len(sg) = seg.len;
		else
			sg_set_page(sg, phys_to_page(seg.paddr), seg.len, 0);
		last = sg;
		n++;
	}
	sg_mark_end(last);
	a->sgt.nents = n;
	a->sgt.orig_nents = a->attrs & DMA_ATTR_MMIO ? 0 : n;

	a->dir = DMA_NONE;
	attach->priv = a;
	return 0;

err_free_table:
	sg_free_table(&a->sgt);
err_free:
	kfree(a);
	return ret;
}

void rmem_heap_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct import_attachment *a = attach->priv;

	a->sgt.orig_nents = a->orig_nents;
	sg_free_table(&a->sgt);
	kfree(a);
}

/*
 * Memory outside the linear map is one extent. It is mapped as a whole, so that an IOMMU gives
 * it one range of addresses, which the table has in the segments that the importer takes.
 */
static int import_map_mmio(const struct rmem_buffer *buf, struct device *dev,
			   struct import_attachment *a, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	dma_addr_t addr;
	int i, ret;

	a->mmio = dma_map_phys(dev, buf->extent.paddr, buf->len, dir, a->attrs);
	ret = dma_mapping_error(dev, a->mmio);
	if (ret)
		return ret;

	addr = a->mmio;
	for_each_sgtable_dma_sg(&a->sgt, sg, i) {
		sg_dma_address(sg) = addr;
		addr += sg_dma_len(sg);
	}
	return 0;
}

/* Whether the device is not coherent, or some of the buffer is bounced */
static bool import_needs_sync(struct device *dev, struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i)
		if (dma_need_sync(dev, sg_dma_address(sg)))
			return true;
	return false;
}

/*
 * The direction that the DMA API maps cached memory in. Some architectures drop the cache lines
 * of memory that is mapped for a device that only writes: the zeros that the buffer was cleared
 * with would be lost, and the importer would get data of earlier buffers.
 */
static enum dma_data_direction import_map_dir(enum dma_data_direction dir)
{
	return dir == DMA_FROM_DEVICE ? DMA_BIDIRECTIONAL : dir;
}

struct sg_table *rmem_heap_map_dma(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	struct import_attachment *a = attach->priv;
	int ret;

	/* The attachment has one table, the only place that has the bounced addresses. */
	if (a->dir != DMA_NONE)
		return ERR_PTR(-EBUSY);

	if (a->attrs & DMA_ATTR_MMIO)
		ret = import_map_mmio(attach->dmabuf->priv, attach->dev, a, dir);
	else
		ret = dma_map_sgtable(attach->dev, &a->sgt, import_map_dir(dir), a->attrs);
	if (ret)
		return ERR_PTR(ret);

	a->needs_sync = import_needs_sync(attach->dev, &a->sgt);
	a->dir = dir;
	return &a->sgt;
}

void rmem_heap_unmap_dma(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	struct import_attachment *a = attach->priv;

	if (a->attrs & DMA_ATTR_MMIO)
		dma_unmap_phys(attach->dev, a->mmio, attach->dmabuf->size, dir, a->attrs);
	else
		dma_unmap_sgtable(attach->dev, sgt, import_map_dir(dir), a->attrs);
	a->dir = DMA_NONE;
	a->needs_sync = false;
}

/*
 * Gives the CPU what devices have written through the mappings of one direction. Returns whether
 * there are others, by devices that only write.
 */
static bool import_sync_for_cpu(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct dma_buf_attachment *attach;
	bool others = false;

	list_for_each_entry(attach, &dmabuf->attachments, node) {
		struct import_attachment *a = attach->priv;

		if (a->needs_sync && a->dir == dir)
			dma_sync_sgtable_for_cpu(attach->dev, &a->sgt, DMA_FROM_DEVICE);
		else
			others |= a->needs_sync && a->dir == DMA_FROM_DEVICE;
	}
	return others;
}

/*
 * What a device has written comes to the CPU for every access: a program that writes a part of
 * the buffer must not give the device old data in the rest. What a device that only writes has
 * bounced comes last, so that it is not overwritten by the copy of a device that only reads,
 * although its driver maps the buffer for both directions.
 */
int rmem_heap_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct rmem_buffer *buf = dmabuf->priv;

	if (buf->heap->memory == RMEM_WC)
		return 0;

	dma_resv_lock(dmabuf->resv, NULL);
	if (buf->vaddr && is_vmalloc_addr(buf->vaddr))
		invalidate_kernel_vmap_range(buf->vaddr, buf->len);
	if (import_sync_for_cpu(dmabuf, DMA_BIDIRECTIONAL))
		import_sync_for_cpu(dmabuf, DMA_FROM_DEVICE);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

/*
 * The direction to give a mapping back to its device in; DMA_NONE if there is nothing to do. Where
 * memory that devices write is invalidated for the device, and not for the CPU, the lines that the
 * CPU has read are dropped here. Written lines are cleaned, for a device that only writes, too:
 * they must not be written back over its data later.
 */
static enum dma_data_direction import_end_dir(const struct import_attachment *a,
					      enum dma_data_direction accessed)
{
	if (!a->needs_sync || (a->dir == DMA_TO_DEVICE && accessed == DMA_FROM_DEVICE))
		return DMA_NONE;
	if (a->dir == DMA_TO_DEVICE)
		return DMA_TO_DEVICE;
	return accessed == DMA_FROM_DEVICE ? DMA_FROM_DEVICE : DMA_BIDIRECTIONAL;
}

int rmem_heap_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct rmem_buffer *buf = dmabuf->priv;
	struct dma_buf_attachment *attach;

	if (buf->heap->memory == RMEM_WC) {
		/* Writes may still be in the write-combining buffers of the CPU. */
		wmb();
		return 0;
	}

	dma_resv_lock(dmabuf->resv, NULL);
	if (buf->vaddr && is_vmalloc_addr(buf->vaddr))
		flush_kernel_vmap_range(buf->vaddr, buf->len);
	list_for_each_entry(attach, &dmabuf->attachments, node) {
		struct import_attachment *a = attach->priv;
		enum dma_data_direction sync = import_end_dir(a, dir);

		if (sync != DMA_NONE)
			dma_sync_sgtable_for_device(attach->dev, &a->sgt, sync);
	}
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

int rmem_heap_refuse_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return -EOPNOTSUPP;
}
