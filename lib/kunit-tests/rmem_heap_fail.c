// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that reserved-memory heaps call and that may be made to fail, see
 * Documentation/fault-injection/fault-injection.rst: each fails as it would by itself, before
 * it has done anything.
 */

#include <linux/cgroup_dmem.h>
#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/error-injection.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>

/*
 * The allocators. dma_alloc_pages() of a restricted pool fails when swiotlb_alloc() does;
 * carveouts call no function that fails.
 */
ALLOW_ERROR_INJECTION(cma_alloc, NULL);
ALLOW_ERROR_INJECTION(dma_alloc_attrs, NULL);
ALLOW_ERROR_INJECTION(swiotlb_alloc, NULL);
ALLOW_ERROR_INJECTION(dmem_cgroup_try_charge, ERRNO);

/* The exporter */
ALLOW_ERROR_INJECTION(dma_buf_export, ERRNO);
ALLOW_ERROR_INJECTION(sg_alloc_table, ERRNO);
ALLOW_ERROR_INJECTION(dma_map_sgtable, ERRNO);
/* DMA_MAPPING_ERROR looks like -1, which has to be set: the default, -EINVAL, is an address. */
ALLOW_ERROR_INJECTION(dma_map_phys, ERRNO);
ALLOW_ERROR_INJECTION(apply_to_page_range, ERRNO);
ALLOW_ERROR_INJECTION(vmap, NULL);
