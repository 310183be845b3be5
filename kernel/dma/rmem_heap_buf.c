// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: the life of a buffer.
 */

#include <linux/cgroup_dmem.h>
#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>

#include "rmem.h"

/* Bytes that a buffer takes from its region */
static size_t buf_charged_size(const struct rmem_buffer *buf)
{
	return buf->heap->ops->rounds ? PAGE_SIZE << get_order(buf->len) : buf->len;
}

/* dmem returns -EAGAIN at a limit, and programs would retry at once. */
static int buf_charge(struct rmem_buffer *buf)
{
	return buf->heap->cgroup &&
	       dmem_cgroup_try_charge(buf->heap->cgroup, buf_charged_size(buf), &buf->charge,
				      NULL) ? -ENOMEM : 0;
}

static void buf_uncharge(struct rmem_buffer *buf)
{
	if (buf->charge)
		dmem_cgroup_uncharge(buf->charge, buf_charged_size(buf));
}

/* Counts a buffer in the statistics of its heap. */
void rmem_heap_account(const struct rmem_buffer *buf)
{
	struct rmem_heap *heap = buf->heap;
	unsigned long used = atomic_long_add_return(buf_charged_size(buf), &heap->used);
	long peak = atomic_long_read(&heap->peak);

	while (used > (unsigned long)peak &&
	       !atomic_long_try_cmpxchg_relaxed(&heap->peak, &peak, used))
		;
	atomic_long_inc(&heap->buffers);
}

/* Tells how much of a heap is in use; the values may be of slightly different times. */
void rmem_heap_stats(const struct rmem_heap *heap, struct rmem_stats *stats)
{
	*stats = (struct rmem_stats) {
		.used = (unsigned long)atomic_long_read(&heap->used),
		.peak = (unsigned long)atomic_long_read(&heap->peak),
		.buffers = atomic_long_read(&heap->buffers),
	};
	if (heap->ops->stats)
		heap->ops->stats(heap, stats);
}

/*
 * Allocates a buffer of @len bytes, which are whole pages, without a dma-buf. Returns an ERR_PTR
 * on failure: -ENOMEM if the region or the control group has no room, -EINTR if the task was
 * killed.
 */
struct rmem_buffer *rmem_heap_buffer_alloc(struct rmem_heap *heap, size_t len)
{
	struct rmem_buffer *buf;
	int ret;

	buf = kmalloc_obj(*buf);
	if (!buf)
		return ERR_PTR(-ENOMEM);

	*buf = (struct rmem_buffer) { .heap = heap, .len = len };
	ret = buf_charge(buf);
	if (ret)
		goto err_free;
	ret = heap->ops->alloc(heap, buf);
	if (ret)
		goto err_uncharge;
	rmem_heap_account(buf);
	return buf;

err_uncharge:
	buf_uncharge(buf);
err_free:
	kfree(buf);
	return ERR_PTR(ret);
}

void rmem_heap_buffer_free(struct rmem_buffer *buf)
{
	atomic_long_sub(buf_charged_size(buf), &buf->heap->used);
	atomic_long_dec(&buf->heap->buffers);
	buf->heap->ops->free(buf->heap, buf);
	buf_uncharge(buf);
	kfree(buf);
}

static void buf_release(struct dma_buf *dmabuf)
{
	rmem_heap_buffer_free(dmabuf->priv);
}

static const struct dma_buf_ops buf_ops = {
	.attach = rmem_heap_attach,
	.detach = rmem_heap_detach,
	.map_dma_buf = rmem_heap_map_dma,
	.unmap_dma_buf = rmem_heap_unmap_dma,
	.begin_cpu_access = rmem_heap_begin_cpu_access,
	.end_cpu_access = rmem_heap_end_cpu_access,
	.mmap = rmem_heap_mmap,
	.vmap = rmem_heap_vmap,
	.vunmap = rmem_heap_vunmap,
	.release = buf_release,
};

/* The dma-buf core refuses mmap and vmap, as there are no callbacks for them. */
static const struct dma_buf_ops buf_device_only_ops = {
	.attach = rmem_heap_attach,
	.detach = rmem_heap_detach,
	.map_dma_buf = rmem_heap_map_dma,
	.unmap_dma_buf = rmem_heap_unmap_dma,
	.begin_cpu_access = rmem_heap_refuse_cpu_access,
	.end_cpu_access = rmem_heap_refuse_cpu_access,
	.release = buf_release,
};

/* What rmem_heap_alloc() does for a heap that is active */
struct dma_buf *rmem_heap_buffer_export(struct rmem_heap *heap, size_t len, u32 fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct rmem_buffer *buf;
	struct dma_buf *dmabuf;

	len = PAGE_ALIGN(len);
	if (!len)
		return ERR_PTR(-EINVAL);
	if (len > heap->region->rmem->size)
		return ERR_PTR(-ENOMEM);

	buf = rmem_heap_buffer_alloc(heap, len);
	if (IS_ERR(buf))
		return ERR_CAST(buf);

	exp_info.exp_name = heap->region->name;
	exp_info.ops = heap->memory == RMEM_DEVICE_ONLY ? &buf_device_only_ops : &buf_ops;
	exp_info.size = buf->len;
	exp_info.flags = fd_flags;
	exp_info.priv = buf;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf))
		rmem_heap_buffer_free(buf);
	return dmabuf;
}
