/* SPDX-License-Identifier: GPL-2.0 */
/* What the KUnit suites of RMEM_HEAP share. Heaps cannot be removed: they share them, too. */
#ifndef _RMEM_HEAP_TEST_H
#define _RMEM_HEAP_TEST_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/dma-buf.h>
#include <linux/of_reserved_mem.h>
#include <linux/rmem_heap.h>

#include "../../kernel/dma/rmem.h"

/**
 * struct rmem_test_syncs - cache maintenance that UML was asked for
 * @for_device: calls before a device's access
 * @for_cpu: calls after it
 * @device_bytes: what @for_device covered
 * @cpu_bytes: what @for_cpu covered
 * @last_dir: direction of the last call
 */
struct rmem_test_syncs {
	unsigned int for_device;
	unsigned int for_cpu;
	size_t device_bytes;
	size_t cpu_bytes;
	enum dma_data_direction last_dir;
};

/**
 * struct rmem_test_held - buffers that a test holds
 * @bytes: their size
 * @n: how many
 * @bufs: the buffers
 */
struct rmem_test_held {
	size_t bytes;
	unsigned int n;
	struct dma_buf *bufs[256];
};

/**
 * struct rmem_test_import - a buffer that a device has mapped
 * @dmabuf: the buffer
 * @attach: the attachment
 * @sgt: the mapping
 * @dir: its direction
 */
struct rmem_test_import {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	enum dma_data_direction dir;
};

/**
 * struct rmem_test_made - a heap that a test makes, over memory that the test names
 * @rmem: its memory
 * @region: its region
 * @heap: the heap
 */
struct rmem_test_made {
	struct reserved_mem rmem;
	struct rmem_region region;
	struct rmem_heap heap;
};

extern struct rmem_test_syncs rmem_test_syncs;
void rmem_test_syncs_watch(const struct rmem_heap *heap);

void *rmem_test_mem(phys_addr_t paddr);
void rmem_test_needs_pool(struct kunit *test, const struct device_node *np);
struct rmem_region *rmem_test_region(struct kunit *test, const char *name);
struct rmem_heap *rmem_test_heap(struct kunit *test, const char *name);
void rmem_test_make(struct rmem_test_made *made, const struct rmem_region *model,
		    const struct rmem_pool_ops *ops, phys_addr_t base, phys_addr_t size);
const void *rmem_test_regions_gen_params(struct kunit *test, const void *prev, char *desc);
struct device *rmem_test_device(struct kunit *test, const char *path);
struct device *rmem_test_any_device(struct kunit *test, const char *path);
void rmem_test_bind(void *dev);
void rmem_test_unbind(struct kunit *test, struct device *dev);
bool rmem_test_has_link(struct device *dev, const char *name);
ssize_t rmem_test_read(struct kobject *kobj, const char *path, char *buf, umode_t *mode);
struct dma_buf *rmem_test_try_alloc(struct kunit *test, struct rmem_heap *heap, size_t len);
struct dma_buf *rmem_test_alloc(struct kunit *test, struct rmem_heap *heap, size_t len);
void rmem_test_put(struct kunit *test, struct dma_buf *dmabuf);
struct rmem_test_held *rmem_test_fill(struct kunit *test, struct rmem_heap *heap);
void rmem_test_drain(struct kunit *test, struct rmem_test_held *held);
size_t rmem_test_capacity(struct kunit *test, struct rmem_heap *heap);
int rmem_test_needs_injection(struct kunit *test);
void rmem_test_set_killed(bool killed);
struct rmem_buffer *rmem_test_pool_try(struct rmem_heap *heap, size_t len);
struct rmem_buffer *rmem_test_pool_alloc(struct kunit *test, struct rmem_heap *heap,
					 size_t len);

struct rmem_test_import *rmem_test_attach(struct kunit *test, struct dma_buf *dmabuf,
					  struct device *dev);
struct rmem_test_import *rmem_test_map(struct kunit *test, struct dma_buf *dmabuf,
				       struct device *dev, enum dma_data_direction dir);
void rmem_test_unmap(struct kunit *test, struct rmem_test_import *import);
int rmem_test_attach_error(struct dma_buf *dmabuf, struct device *dev);
void rmem_test_data(struct kunit *test, struct rmem_test_import *import);
void rmem_test_is_direct(struct kunit *test, struct rmem_test_import *import);

void rmem_test_scrub_stop(struct kunit *test, struct rmem_heap *heap);
void rmem_test_scrub_resume(void *heap);
struct rmem_test_made *rmem_test_private(struct kunit *test, u8 value);

#define rmem_test_buf(dmabuf) ((struct rmem_buffer *)(dmabuf)->priv)

#endif /* _RMEM_HEAP_TEST_H */
