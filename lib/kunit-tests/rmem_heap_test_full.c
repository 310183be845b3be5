// SPDX-License-Identifier: GPL-2.0
/*
 * dma_alloc_coherent() and dma_alloc_pages() for a device of a coherent or restricted pool give
 * memory of the region or none, however full the pool is. On the regions of rmem_heap_test.dts.
 */

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/sizes.h>

#include "rmem_heap_test.h"

/**
 * struct rmem_test_call - an allocating call of the DMA API
 * @name: its name
 * @alloc: the call
 * @free: its opposite
 */
struct rmem_test_call {
	const char *name;
	void *(*alloc)(struct device *dev, size_t len, dma_addr_t *addr, gfp_t gfp);
	void (*free)(struct device *dev, size_t len, void *mem, dma_addr_t addr);
};

static void *rmem_test_alloc_coherent(struct device *dev, size_t len, dma_addr_t *addr, gfp_t gfp)
{
	return dma_alloc_coherent(dev, len, addr, gfp);
}

static void rmem_test_free_coherent(struct device *dev, size_t len, void *mem, dma_addr_t addr)
{
	dma_free_coherent(dev, len, mem, addr);
}

static void *rmem_test_alloc_pages(struct device *dev, size_t len, dma_addr_t *addr, gfp_t gfp)
{
	return dma_alloc_pages(dev, len, addr, DMA_BIDIRECTIONAL, gfp);
}

static void rmem_test_free_pages(struct device *dev, size_t len, void *mem, dma_addr_t addr)
{
	dma_free_pages(dev, len, mem, addr, DMA_BIDIRECTIONAL);
}

static const struct rmem_test_call rmem_test_coherent = {
	"dma_alloc_coherent", rmem_test_alloc_coherent, rmem_test_free_coherent,
};

static const struct rmem_test_call rmem_test_pages = {
	"dma_alloc_pages", rmem_test_alloc_pages, rmem_test_free_pages,
};

/**
 * struct rmem_test_full_case - a device that allocates from a pool
 * @region: name of the region
 * @dev: path of the device; NULL for the one that the heap allocates for
 * @call: what it allocates with
 */
struct rmem_test_full_case {
	const char *region;
	const char *dev;
	const struct rmem_test_call *call;
};

static const struct rmem_test_full_case rmem_test_full_cases[] = {
	{ "coherent@11000000", "/coherent-pool", &rmem_test_coherent },
	{ "coherent@11000000", NULL, &rmem_test_coherent },
	{ "uneven@1f010000", NULL, &rmem_test_coherent },
	{ "restricted@12000000", "/restricted-coherent", &rmem_test_coherent },
	{ "restricted@12000000", "/restricted-coherent", &rmem_test_pages },
	{ "restricted@12000000", "/restricted-noncoherent", &rmem_test_pages },
	{ "restricted@12000000", NULL, &rmem_test_pages },
	{ "restricted-odd@13010000", NULL, &rmem_test_pages },
};

static void rmem_test_full_desc(const struct rmem_test_full_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s for %s of %s", c->call->name,
		 c->dev ? c->dev + 1 : "the heap", c->region);
}

KUNIT_ARRAY_PARAM(rmem_test_full_cases, rmem_test_full_cases, rmem_test_full_desc);

static void rmem_test_set_coherent(struct device *dev, bool coherent)
{
#ifdef CONFIG_UML
	dev_assign_dma_coherent(dev, coherent);
#endif
}

static bool rmem_test_inside_region(const struct reserved_mem *rmem, struct device *dev,
				    dma_addr_t addr, size_t len)
{
	phys_addr_t off = dma_to_phys(dev, addr) - rmem->base;

	return off < rmem->size && len <= rmem->size - off;
}

/* A full pool gives NULL for every size, never memory from elsewhere */
static void rmem_test_full(struct kunit *test)
{
	static const gfp_t gfps[] = { GFP_KERNEL | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOWARN };
	const struct rmem_test_full_case *c = test->param_value;
	const struct rmem_region *region = rmem_test_region(test, c->region);
	const struct reserved_mem *rmem = region->rmem;
	struct device *dev = c->dev ? rmem_test_device(test, c->dev) : region->dev;
	struct device *without = rmem_test_device(test, "/free");
	bool coherent = dev_is_dma_coherent(dev);
	struct {
		void *mem;
		dma_addr_t addr;
		size_t len;
	} held[64];
	size_t len = SZ_16M, total = 0;
	unsigned int n = 0, i;
	dma_addr_t addr;
	void *mem;

	/* User-Mode Linux has no other memory for dma_alloc_coherent() of other devices. */
	rmem_test_set_coherent(dev, true);
	while (len >= PAGE_SIZE && n < ARRAY_SIZE(held)) {
		held[n].mem = c->call->alloc(dev, len, &held[n].addr, gfps[0]);
		if (!held[n].mem) {
			len /= 2;
			continue;
		}
		KUNIT_EXPECT_TRUE_MSG(test, rmem_test_inside_region(rmem, dev, held[n].addr, len),
				      "%zu bytes at %pad", len, &held[n].addr);
		held[n++].len = len;
		total += len;
	}
	KUNIT_EXPECT_EQ(test, total, rmem->size);

	for (len = PAGE_SIZE; len <= SZ_16M; len += PAGE_ALIGN(len / 4)) {
		for (i = 0; i < ARRAY_SIZE(gfps); i++) {
			mem = c->call->alloc(dev, len, &addr, gfps[i]);
			KUNIT_EXPECT_NULL_MSG(test, mem, "%zu bytes at %pad", len, &addr);
			if (mem)
				c->call->free(dev, len, mem, addr);
		}
	}

	/* There is memory elsewhere: a device without a region gets some. */
	mem = c->call->alloc(without, SZ_64K, &addr, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, mem);
	if (mem)
		c->call->free(without, SZ_64K, mem, addr);

	while (n--)
		c->call->free(dev, held[n].len, held[n].mem, held[n].addr);

	mem = c->call->alloc(dev, SZ_64K, &addr, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, mem && rmem_test_inside_region(rmem, dev, addr, SZ_64K));
	if (mem)
		c->call->free(dev, SZ_64K, mem, addr);
	rmem_test_set_coherent(dev, coherent);
}

static struct kunit_case rmem_heap_full_cases[] = {
	KUNIT_CASE_PARAM(rmem_test_full, rmem_test_full_cases_gen_params),
	{ }
};

static struct kunit_suite rmem_heap_full_suite = {
	.name = "rmem_heap_full",
	.test_cases = rmem_heap_full_cases,
};

kunit_test_suite(rmem_heap_full_suite);
