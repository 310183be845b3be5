// SPDX-License-Identifier: GPL-2.0
/*
 * CPU access to buffers that devices have mapped: caches, bouncing, fences.
 *
 * User-Mode Linux has no caches to maintain. This models the cache lines of one buffer, by the
 * rules of three architectures, for a device that is not coherent.
 */

#include <linux/bitmap.h>
#include <linux/dma-direct.h>
#include <linux/dma-fence.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-resv.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "rmem_heap_test.h"

/* The number of bytes that are not a value */
static __maybe_unused size_t bytes_not(const u8 *mem, size_t len, u8 value)
{
	size_t n = 0, i;

	for (i = 0; i < len; i++)
		n += mem[i] != value;
	return n;
}

#ifdef CONFIG_UML
#define CACHE_LINE	64
#define CACHE_LEN	SZ_64K
#define CACHE_LINES	(CACHE_LEN / CACHE_LINE)

/**
 * enum cache_op - what happens to the cache lines of memory
 * @CACHE_KEEP: nothing
 * @CACHE_CLEAN: lines that the CPU wrote to are written back
 * @CACHE_DROP: all lines are dropped, whatever is in them
 * @CACHE_FLUSH: both
 */
enum cache_op {
	CACHE_KEEP,
	CACHE_CLEAN,
	CACHE_DROP,
	CACHE_FLUSH,
};

/**
 * struct cache_rules - what an architecture does, by the direction of a mapping
 * @name: the architecture
 * @for_device: before the device accesses the memory
 * @for_cpu: before the CPU accesses the memory
 * @speculates: lines that were dropped may be fetched at any time, so they are at once
 */
struct cache_rules {
	const char *name;
	enum cache_op for_device[DMA_NONE];
	enum cache_op for_cpu[DMA_NONE];
	bool speculates;
};

static const struct cache_rules arm64_rules = {
	.name = "arm64",
	.for_device = { CACHE_CLEAN, CACHE_CLEAN, CACHE_CLEAN },
	.for_cpu = { CACHE_DROP, CACHE_KEEP, CACHE_DROP },
	.speculates = true,
};

static const struct cache_rules arm_rules = {
	.name = "arm",
	.for_device = { CACHE_CLEAN, CACHE_CLEAN, CACHE_DROP },
	.for_cpu = { CACHE_DROP, CACHE_KEEP, CACHE_DROP },
	.speculates = true,
};

static const struct cache_rules mips_rules = {
	.name = "mips",
	.for_device = { CACHE_FLUSH, CACHE_CLEAN, CACHE_DROP },
	.for_cpu = { CACHE_KEEP, CACHE_KEEP, CACHE_KEEP },
};

/**
 * struct cache - the lines of a buffer that is one extent
 * @rules: the architecture's
 * @base: physical address of the buffer
 * @cpu: what the CPU sees: the buffer itself
 * @memory: what the device sees
 * @loaded: what a line had in it when it was fetched or cleaned last
 * @valid: lines that are in the cache
 */
struct cache {
	const struct cache_rules *rules;
	phys_addr_t base;
	u8 *cpu;
	u8 memory[CACHE_LEN];
	u8 loaded[CACHE_LEN];
	DECLARE_BITMAP(valid, CACHE_LINES);
};

static struct cache *the_cache;

static void cache_fetch(struct cache *c, size_t line)
{
	if (__test_and_set_bit(line, c->valid))
		return;
	memcpy(c->cpu + line * CACHE_LINE, c->memory + line * CACHE_LINE, CACHE_LINE);
	memcpy(c->loaded + line * CACHE_LINE, c->memory + line * CACHE_LINE, CACHE_LINE);
}

/* The CPU is about to access the buffer. */
static void cache_fetch_all(struct cache *c)
{
	size_t line;

	for (line = 0; line < CACHE_LINES; line++)
		cache_fetch(c, line);
}

static void cache_line_op(struct cache *c, size_t line, enum cache_op op)
{
	size_t at = line * CACHE_LINE;

	if ((op == CACHE_CLEAN || op == CACHE_FLUSH) && test_bit(line, c->valid) &&
	    memcmp(c->cpu + at, c->loaded + at, CACHE_LINE)) {
		memcpy(c->memory + at, c->cpu + at, CACHE_LINE);
		memcpy(c->loaded + at, c->cpu + at, CACHE_LINE);
	}
	if (op == CACHE_DROP || op == CACHE_FLUSH) {
		__clear_bit(line, c->valid);
		if (c->rules->speculates)
			cache_fetch(c, line);
	}
}

static void cache_sync(phys_addr_t paddr, size_t size, const enum cache_op *ops,
		       enum dma_data_direction dir)
{
	struct cache *c = the_cache;
	phys_addr_t end = paddr + size;

	for (; c && paddr < end; paddr += CACHE_LINE)
		if (paddr >= c->base && paddr - c->base < CACHE_LEN)
			cache_line_op(c, (paddr - c->base) / CACHE_LINE, ops[dir]);
}

/* Counts what concerns the region that a test watches, and maintains the lines of the model. */
struct rmem_test_syncs rmem_test_syncs;
static phys_addr_t rmem_test_watch_base;
static phys_addr_t rmem_test_watch_size;

void arch_sync_dma_for_device(phys_addr_t paddr, size_t size, enum dma_data_direction dir)
{
	if (the_cache)
		cache_sync(paddr, size, the_cache->rules->for_device, dir);
	if (paddr - rmem_test_watch_base >= rmem_test_watch_size)
		return;
	rmem_test_syncs.for_device++;
	rmem_test_syncs.device_bytes += size;
	rmem_test_syncs.last_dir = dir;
}

void arch_sync_dma_for_cpu(phys_addr_t paddr, size_t size, enum dma_data_direction dir)
{
	if (the_cache)
		cache_sync(paddr, size, the_cache->rules->for_cpu, dir);
	if (paddr - rmem_test_watch_base >= rmem_test_watch_size)
		return;
	rmem_test_syncs.for_cpu++;
	rmem_test_syncs.cpu_bytes += size;
	rmem_test_syncs.last_dir = dir;
}

/* Starts counting from zero for the memory of a heap, NULL stops */
void rmem_test_syncs_watch(const struct rmem_heap *heap)
{
	rmem_test_syncs = (struct rmem_test_syncs) { .last_dir = DMA_NONE };
	rmem_test_watch_base = heap ? heap->region->rmem->base : 0;
	rmem_test_watch_size = heap ? heap->region->rmem->size : 0;
}

static void cache_stop(void *unused)
{
	the_cache = NULL;
}

/* Models the lines of a new buffer, which has old data in memory and its zeros in the cache. */
static struct cache *cache_start(struct kunit *test, const struct cache_rules *rules,
				 struct dma_buf *dmabuf)
{
	struct cache *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	const struct rmem_buffer *buf = rmem_test_buf(dmabuf);

	KUNIT_ASSERT_NOT_NULL(test, c);
	KUNIT_ASSERT_EQ(test, buf->nr, 1);
	c->rules = rules;
	c->base = buf->extents[0].paddr;
	c->cpu = rmem_test_mem(c->base);
	memset(c->memory, 0xa5, CACHE_LEN);
	memset(c->loaded, 0xa5, CACHE_LEN);
	bitmap_fill(c->valid, CACHE_LINES);
	the_cache = c;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, cache_stop, NULL), 0);
	return c;
}

/**
 * struct cache_case - an architecture and a heap
 * @rules: the architecture
 * @heap: the heap
 * @dev: a device that is not coherent
 */
static const struct cache_case {
	const struct cache_rules *rules;
	const char *heap;
	const char *dev;
} cache_cases[] = {
	{ &arm64_rules, "cma@10000000", "/cma-noncoherent" },
	{ &arm64_rules, "restricted@12000000", "/restricted-noncoherent" },
	{ &arm64_rules, "carveout@15000000", "/free-noncoherent" },
	{ &arm_rules, "cma@10000000", "/cma-noncoherent" },
	{ &arm_rules, "restricted@12000000", "/restricted-noncoherent" },
	{ &arm_rules, "carveout@15000000", "/free-noncoherent" },
	{ &mips_rules, "cma@10000000", "/cma-noncoherent" },
	{ &mips_rules, "restricted@12000000", "/restricted-noncoherent" },
	{ &mips_rules, "carveout@15000000", "/free-noncoherent" },
};

static void cache_case_desc(const struct cache_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, %s", c->rules->name, c->heap);
}

KUNIT_ARRAY_PARAM(cache_cases, cache_cases, cache_case_desc);

static struct cache *cache_init(struct kunit *test, struct dma_buf **dmabuf, struct device **dev)
{
	const struct cache_case *c = test->param_value;

	*dmabuf = rmem_test_alloc(test, rmem_test_heap(test, c->heap), CACHE_LEN);
	*dev = rmem_test_device(test, c->dev);
	return cache_start(test, c->rules, *dmabuf);
}

/* A buffer stays clear where a device that only writes has not written */
static void cache_cleared(struct kunit *test)
{
	struct rmem_test_import *import;
	struct dma_buf *dmabuf;
	struct device *dev;
	struct cache *c = cache_init(test, &dmabuf, &dev);

	import = rmem_test_map(test, dmabuf, dev, DMA_FROM_DEVICE);
	memset(c->memory, 1, 128);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	cache_fetch_all(c);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu, 128, 1), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu + 128, CACHE_LEN - 128, 0), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	rmem_test_unmap(test, import);
	cache_fetch_all(c);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu, 128, 1), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu + 128, CACHE_LEN - 128, 0), 0);
}

/* A CPU access that writes a few bytes leaves all others as the device has written them */
static void cache_partial_write(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE };
	struct rmem_test_import *import;
	struct dma_buf *dmabuf;
	struct device *dev;
	struct cache *c = cache_init(test, &dmabuf, &dev);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		import = rmem_test_map(test, dmabuf, dev, dirs[i]);
		memset(c->memory, 2, CACHE_LEN);
		KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
		cache_fetch_all(c);
		memset(c->cpu + 128, 3, 4);
		KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(c->memory + 128, 4, 3), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(c->memory, CACHE_LEN, 2), 4);
		rmem_test_unmap(test, import);
		cache_fetch_all(c);
		KUNIT_EXPECT_EQ(test, bytes_not(c->cpu, CACHE_LEN, 2), 4);
	}
}

/* The CPU reads what the device has written, again and again, also after it has written itself */
static void cache_turns(struct kunit *test)
{
	struct rmem_test_import *import;
	struct dma_buf *dmabuf;
	struct device *dev;
	struct cache *c = cache_init(test, &dmabuf, &dev);
	unsigned int i;

	import = rmem_test_map(test, dmabuf, dev, DMA_BIDIRECTIONAL);
	for (i = 1; i < 7; i++) {
		enum dma_data_direction dir = i & 1 ? DMA_FROM_DEVICE : DMA_BIDIRECTIONAL;

		memset(c->memory, i, CACHE_LEN);
		KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, dir), 0);
		cache_fetch_all(c);
		KUNIT_EXPECT_EQ(test, bytes_not(c->cpu, CACHE_LEN, i), 0);
		if (dir == DMA_BIDIRECTIONAL)
			memset(c->cpu, 0x80 + i, CACHE_LEN);
		KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, dir), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(c->memory, CACHE_LEN,
						dir == DMA_BIDIRECTIONAL ? 0x80 + i : i), 0);
	}
	rmem_test_unmap(test, import);
}

/* What the CPU wrote is in memory for a device that only writes, beside one that only reads */
static void cache_written(struct kunit *test)
{
	struct rmem_test_import *in, *out;
	struct dma_buf *dmabuf;
	struct device *dev;
	struct cache *c = cache_init(test, &dmabuf, &dev);

	in = rmem_test_map(test, dmabuf, dev, DMA_FROM_DEVICE);
	out = rmem_test_map(test, dmabuf, dev, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
	cache_fetch_all(c);
	memset(c->cpu, 4, CACHE_LEN);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(c->memory, CACHE_LEN, 4), 0);
	memset(c->memory, 5, CACHE_LEN / 2);
	rmem_test_unmap(test, out);
	rmem_test_unmap(test, in);
	cache_fetch_all(c);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu, CACHE_LEN / 2, 5), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(c->cpu + CACHE_LEN / 2, CACHE_LEN / 2, 4), 0);
}
#else
void rmem_test_syncs_watch(const struct rmem_heap *heap)
{
}
#endif /* CONFIG_UML */

#ifdef CONFIG_DMA_RESTRICTED_POOL
static const char * const bounce_heaps[] = {
	"cma@10000000", "restricted@12000000", "carveout@15000000",
};

static void bounce_heap_desc(const char * const *heap, char *desc)
{
	strscpy(desc, *heap, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bounce_heaps, bounce_heaps, bounce_heap_desc);

/* The slots of a device that bounces, and the buffer */
struct bounce {
	struct rmem_test_import *import;
	u8 *slots;
	u8 *mem;
};

static struct bounce bounce_map(struct kunit *test, struct dma_buf *dmabuf,
				enum dma_data_direction dir)
{
	struct device *dev = rmem_test_device(test, "/bouncing");
	struct bounce b = { .import = rmem_test_map(test, dmabuf, dev, dir) };

	KUNIT_ASSERT_EQ(test, b.import->sgt->nents, 1);
	b.slots = rmem_test_mem(dma_to_phys(dev, sg_dma_address(b.import->sgt->sgl)));
	b.mem = rmem_test_mem(rmem_test_buf(dmabuf)->extents[0].paddr);
	KUNIT_ASSERT_PTR_NE(test, b.slots, b.mem);
	return b;
}

static struct dma_buf *bounce_alloc(struct kunit *test)
{
	const char * const *heap = test->param_value;

	return rmem_test_alloc(test, rmem_test_heap(test, *heap), SZ_64K);
}

/* A CPU access that writes a few bytes leaves all others as a device that bounces wrote them */
static void bounce_partial_write(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE };
	struct dma_buf *dmabuf = bounce_alloc(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct bounce b = bounce_map(test, dmabuf, dirs[i]);

		memset(b.slots, 6 + i, SZ_64K);
		KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
		memset(b.mem + 8, 1, 4);
		KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(b.slots + 8, 4, 1), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(b.slots, SZ_64K, 6 + i), 4);
		rmem_test_unmap(test, b.import);
		KUNIT_EXPECT_EQ(test, bytes_not(b.mem, SZ_64K, 6 + i), 4);
	}
}

/* The end of a CPU access that only reads leaves what the device has written since */
static void bounce_read(struct kunit *test)
{
	struct dma_buf *dmabuf = bounce_alloc(test);
	struct bounce b = bounce_map(test, dmabuf, DMA_BIDIRECTIONAL);

	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	memset(b.slots, 7, SZ_64K);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(b.slots, SZ_64K, 7), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	KUNIT_EXPECT_EQ(test, bytes_not(b.mem, SZ_64K, 7), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
}

/* The slots of a device that only reads never get into the buffer */
static void bounce_reader(struct kunit *test)
{
	struct dma_buf *dmabuf = bounce_alloc(test);
	struct bounce b = bounce_map(test, dmabuf, DMA_TO_DEVICE);

	memset(b.mem, 11, SZ_64K);
	rmem_test_unmap(test, b.import);
	KUNIT_EXPECT_EQ(test, bytes_not(b.mem, SZ_64K, 11), 0);
}

/* The data of a device that only writes wins over the slots of one that may do both */
static void bounce_writer_wins(struct kunit *test)
{
	struct dma_buf *dmabuf = bounce_alloc(test);
	/* The core puts the newest attachment first. */
	struct bounce both = bounce_map(test, dmabuf, DMA_BIDIRECTIONAL);
	struct bounce writer = bounce_map(test, dmabuf, DMA_FROM_DEVICE);
	enum dma_data_direction dir;

	for (dir = DMA_BIDIRECTIONAL; dir <= DMA_FROM_DEVICE; dir++) {
		memset(writer.slots, 8 + dir, SZ_64K);
		KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, dir), 0);
		KUNIT_EXPECT_EQ(test, bytes_not(writer.mem, SZ_64K, 8 + dir), 0);
		KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, dir), 0);
		/* After a CPU access that wrote, the other device has the data, too. */
		if (dir != DMA_FROM_DEVICE)
			KUNIT_EXPECT_EQ(test, bytes_not(both.slots, SZ_64K, 8 + dir), 0);
	}
}

/**
 * struct bounce_fence - a device that writes, and then signals its fence, once it is waited for
 * @fence: the fence
 * @lock: the fence's
 * @work: writes, then signals the fence; NULL function for a device that hangs
 * @slots: where the device writes
 */
struct bounce_fence {
	struct dma_fence fence;
	spinlock_t lock;	/* given to the fence */
	struct work_struct work;
	u8 *slots;
};

static const char *bounce_fence_name(struct dma_fence *fence)
{
	return "rmem-heap-test";
}

static bool bounce_fence_waited_for(struct dma_fence *fence)
{
	struct bounce_fence *f = container_of(fence, struct bounce_fence, fence);

	if (f->work.func)
		schedule_work(&f->work);
	return true;
}

static const struct dma_fence_ops bounce_fence_ops = {
	.get_driver_name = bounce_fence_name,
	.get_timeline_name = bounce_fence_name,
	.enable_signaling = bounce_fence_waited_for,
};

static void bounce_fence_work(struct work_struct *work)
{
	struct bounce_fence *f = container_of(work, struct bounce_fence, work);

	memset(f->slots, 9, SZ_64K);
	dma_fence_signal(&f->fence);
}

static struct bounce_fence *bounce_fence_add(struct kunit *test, struct dma_buf *dmabuf,
					     u8 *slots)
{
	/* The fence frees itself by kfree_rcu(). */
	struct bounce_fence *f = kzalloc_obj(*f);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, f);
	spin_lock_init(&f->lock);
	dma_fence_init(&f->fence, &bounce_fence_ops, &f->lock, dma_fence_context_alloc(1), 1);
	f->slots = slots;
	dma_resv_lock(dmabuf->resv, NULL);
	ret = dma_resv_reserve_fences(dmabuf->resv, 1);
	if (!ret)
		dma_resv_add_fence(dmabuf->resv, &f->fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(dmabuf->resv);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return f;
}

/* A CPU access sees what the device has written until its fence signaled */
static void bounce_fence(struct kunit *test)
{
	struct dma_buf *dmabuf = bounce_alloc(test);
	struct bounce b = bounce_map(test, dmabuf, DMA_BIDIRECTIONAL);
	struct bounce_fence *f = bounce_fence_add(test, dmabuf, b.slots);

	INIT_WORK(&f->work, bounce_fence_work);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&f->fence));
	KUNIT_EXPECT_EQ(test, bytes_not(b.mem, SZ_64K, 9), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE), 0);
	flush_work(&f->work);
	dma_fence_put(&f->fence);
}

/* A task that waits for a fence can be killed, and nothing has been synced then */
static void bounce_fence_killed(struct kunit *test)
{
	struct dma_buf *dmabuf = bounce_alloc(test);
	struct bounce b = bounce_map(test, dmabuf, DMA_BIDIRECTIONAL);
	struct bounce_fence *f = bounce_fence_add(test, dmabuf, b.slots);

	memset(b.slots, 10, SZ_64K);
	rmem_test_set_killed(true);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE), -ERESTARTSYS);
	rmem_test_set_killed(false);
	KUNIT_EXPECT_EQ(test, bytes_not(b.mem, SZ_64K, 0), 0);
	dma_fence_signal(&f->fence);
	dma_fence_put(&f->fence);
}

#endif /* CONFIG_DMA_RESTRICTED_POOL */

static struct kunit_case rmem_test_cache_cases[] = {
#ifdef CONFIG_UML
	KUNIT_CASE_PARAM(cache_cleared, cache_cases_gen_params),
	KUNIT_CASE_PARAM(cache_partial_write, cache_cases_gen_params),
	KUNIT_CASE_PARAM(cache_turns, cache_cases_gen_params),
	KUNIT_CASE_PARAM(cache_written, cache_cases_gen_params),
#endif
#ifdef CONFIG_DMA_RESTRICTED_POOL
	KUNIT_CASE_PARAM(bounce_partial_write, bounce_heaps_gen_params),
	KUNIT_CASE_PARAM(bounce_read, bounce_heaps_gen_params),
	KUNIT_CASE_PARAM(bounce_reader, bounce_heaps_gen_params),
	KUNIT_CASE_PARAM(bounce_writer_wins, bounce_heaps_gen_params),
	KUNIT_CASE_PARAM(bounce_fence, bounce_heaps_gen_params),
	KUNIT_CASE_PARAM(bounce_fence_killed, bounce_heaps_gen_params),
#endif
	{ }
};

static struct kunit_suite rmem_test_cache_suite = {
	.name = "rmem_heap_cache",
	.test_cases = rmem_test_cache_cases,
};

kunit_test_suite(rmem_test_cache_suite);
