// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap-check - test every reserved memory region through its dma-heap
 *
 * usage: rmem-heap-check [-v] [-r NAME] [-h]
 *
 *   -v       print each check, and leave the kernel's notices on the console
 *   -r NAME  test only the region of that name
 *   -h       help
 *
 * Reads the list of regions from sysfs (/sys/class/rmem_heap), tests every exported region through
 * /dev/dma_heap/<name>, and verifies that regions which are not exported have no heap. The test
 * consumers, /dev/rmem-consumer-<node>, play the devices; without them only the checks that need a
 * device are left out. While it runs, regions are filled to the last page: not for machines whose
 * devices are in use.
 *
 * Exit status: 0 all checks passed, 1 a check failed, 2 wrong usage, 4 nothing could be tested. The
 * last line of every run is "rmem-heap-check: N passed, N failed".
 *
 * On a machine of its own (OWN_MACHINE in the environment) it also tries the tool and mainline's
 * heaps.
 *
 * Every check runs in a process of its own: descriptors and mappings that a failed check leaves
 * behind go with it, and a crash or a hang is that check's failure, not the end of the run.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rmem-heap.h"
#include "rmem_heap_consumer.h"

#define CONSUMER	"rmem-consumer-"

#define CHECK_SECONDS	120	/* one check, also on emulated machines */
#define AT_ONCE_MS	1000	/* a refusal that needs no search */
#define CMA_TRIES	3	/* pages of a CMA area can be busy for a moment */
#define TABLE_WIDTH	120

enum memory { MEM_NONE, MEM_LINEAR, MEM_WC, MEM_DEVICE_ONLY };

struct region {
	char *name;
	char *mode;
	char *allocator;
	__u64 size;
	enum memory memory;
	char *exported_by;
	char *reason;
	bool exported;
	char heap[PATH_MAX];
	unsigned int nr_passed;
	unsigned int nr_failed;
	unsigned int first_failure;
};

struct consumer {
	char path[PATH_MAX];
	const char *node;
	char region[256];
	bool assigned;
};

/* What a check's process tells its parent; only the first failure is kept. */
struct outcome {
	int claimed;
	int err;
	char expected[200];
	char got[200];
};

struct failure {
	const struct region *region;
	char check[300];
	struct outcome out;
};

static struct region *regions;
static unsigned int nr_regions;
static struct consumer *consumers;
static unsigned int nr_consumers;
static struct failure *failures;
static unsigned int nr_failures;
static unsigned int nr_passed;

static struct outcome *outcome;	/* shared with the checks' processes */
static int heap_fd = -1;
static size_t page;
static bool verbose;

static const char * const mainline_heaps[] = { "system", "default_cma_region", "reserved" };

static bool claim_failure(int err, const char *expected)
{
	if (!__sync_bool_compare_and_swap(&outcome->claimed, 0, 1))
		return false;
	outcome->err = err;
	snprintf(outcome->expected, sizeof(outcome->expected), "%s", expected);
	return true;
}

/* failed(err, expected, format...) records a failure; -1, so that a check can return it. */
#define failed(err, expected, ...)						\
({										\
	if (claim_failure(err, expected))					\
		snprintf(outcome->got, sizeof(outcome->got), __VA_ARGS__);	\
	-1;									\
})

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "rmem-heap-check: out of memory\n");
		abort();
	}
	return p;
}

static __u64 min_u64(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static size_t page_align(size_t len)
{
	return (len + page - 1) & ~(page - 1);
}

/* The largest power of two in @size, at most @limit (a power of two): coherent pools round up. */
static size_t block_size(__u64 size, size_t limit)
{
	size_t block = limit;

	while (block > page && block > size)
		block /= 2;
	return block;
}

/* Whole pages, at most @limit and at most one of @parts parts of the region. */
static size_t part_of(const struct region *r, unsigned int parts, __u64 limit)
{
	__u64 len = min_u64(r->size / parts, limit) & ~(__u64)(page - 1);

	return len ? len : page;
}

static bool mode_is(const struct region *r, const char *mode)
{
	return !strcmp(r->mode, mode);
}

static bool is_pool(const struct region *r)
{
	return mode_is(r, "cma") || mode_is(r, "coherent") || mode_is(r, "restricted");
}

static bool cpu_visible(const struct region *r)
{
	return r->memory != MEM_DEVICE_ONLY;
}

static const struct region *find_region(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_regions; i++)
		if (!strcmp(regions[i].name, name))
			return &regions[i];
	return NULL;
}

static bool same_region(const struct region *r, const struct consumer *c)
{
	return !strcmp(r->name, c->region);
}

/* All DMA of such a consumer is bounced through its pool. */
static bool is_restricted(const struct consumer *c)
{
	const struct region *r = find_region(c->region);

	return r && c->assigned && mode_is(r, "restricted");
}

/* --- buffers ---------------------------------------------------------------------------------- */

struct buf {
	int fd;
	size_t len;		/* of the buffer: whole pages */
	unsigned char *map;
};

static int buf_alloc(struct buf *b, size_t len)
{
	b->map = NULL;
	b->len = page_align(len);
	b->fd = heap_alloc_from(heap_fd, len);
	if (b->fd < 0)
		return failed(errno, "a buffer from the heap", "no buffer of %zu bytes", len);
	return 0;
}

static void buf_unmap(struct buf *b)
{
	if (b->map)
		munmap(b->map, b->len);
	b->map = NULL;
}

static void buf_free(struct buf *b)
{
	buf_unmap(b);
	close(b->fd);
	b->fd = -1;
}

static int buf_map(struct buf *b)
{
	void *p = mmap(NULL, b->len, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);

	if (p == MAP_FAILED)
		return failed(errno, "mmap of the buffer", "no mapping of %zu bytes", b->len);
	b->map = p;
	return 0;
}

static int sync_buf(const struct buf *b, __u64 flags)
{
	int ret = sync_cpu(b->fd, flags);

	if (ret)
		return failed(-ret, "DMA_BUF_IOCTL_SYNC to succeed", "an error for flags 0x%x",
			      (unsigned int)flags);
	return 0;
}

/* The pattern of RMEM_CONSUMER_DMA. */
static unsigned char pattern(unsigned int seed, size_t i)
{
	return (seed + 7 * i + (i >> 12)) & 0xff;
}

static int cpu_write(struct buf *b, unsigned int seed)
{
	size_t i;

	if (sync_buf(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return -1;
	for (i = 0; i < b->len; i++)
		b->map[i] = pattern(seed, i);
	return sync_buf(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

static int bytes_are(const unsigned char *map, size_t len, unsigned int seed, const char *what)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (map[i] != pattern(seed, i))
			return failed(0, what, "0x%02x instead of 0x%02x at offset 0x%zx of 0x%zx",
				      map[i], pattern(seed, i), i, len);
	return 0;
}

/* Writes a few bytes only, with what the pattern of @seed has there. */
static int cpu_rewrites(struct buf *b, unsigned int seed)
{
	size_t i;

	if (sync_buf(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return -1;
	for (i = 0; i < 4; i++)
		b->map[i] = pattern(seed, i);
	return sync_buf(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

static int cpu_reads(struct buf *b, unsigned int seed, const char *what)
{
	if (sync_buf(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) ||
	    bytes_are(b->map, b->len, seed, what))
		return -1;
	return sync_buf(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

static int is_zero(const struct buf *b)
{
	const unsigned long *w = (const unsigned long *)b->map;
	size_t i;

	for (i = 0; i < b->len / sizeof(*w); i++)
		if (w[i])
			return failed(0, "only zeros in a new buffer",
				      "0x%lx at offset 0x%zx of 0x%zx", w[i], i * sizeof(*w),
				      b->len);
	return 0;
}

/* Word patterns tell owners apart, also where buffers overlap with a shift. */
static __u32 tag_word(__u32 tag, size_t i)
{
	return (__u32)i * 0x9e3779b1u ^ tag * 0x85ebca6bu;
}

static void tag_fill(struct buf *b, __u32 tag)
{
	__u32 *w = (__u32 *)b->map;
	size_t i;

	for (i = 0; i < b->len / sizeof(*w); i++)
		w[i] = tag_word(tag, i);
}

static int tag_check(const struct buf *b, __u32 tag, const char *what)
{
	const __u32 *w = (const __u32 *)b->map;
	size_t i;

	for (i = 0; i < b->len / sizeof(*w); i++)
		if (w[i] != tag_word(tag, i))
			return failed(0, what, "0x%08x instead of 0x%08x at offset 0x%zx of 0x%zx",
				      w[i], tag_word(tag, i), i * sizeof(*w), b->len);
	return 0;
}

/* --- filling a region ------------------------------------------------------------------------- */

struct hold {
	struct buf *bufs;
	unsigned int nr;
	unsigned int room;
	__u64 total;
};

static void hold_add(struct hold *h, int fd, size_t len)
{
	if (h->nr == h->room) {
		h->room = h->room ? 2 * h->room : 64;
		h->bufs = must(realloc(h->bufs, h->room * sizeof(*h->bufs)));
	}
	h->bufs[h->nr++] = (struct buf){ .fd = fd, .len = len };
	h->total += len;
}

static void hold_free(struct hold *h)
{
	while (h->nr)
		buf_free(&h->bufs[--h->nr]);
	free(h->bufs);
	memset(h, 0, sizeof(*h));
}

static void short_pause(void)
{
	usleep(20000);
}

/* Takes all that the heap has, from blocks of @block down to single pages. */
static int fill_heap(const struct region *r, struct hold *h, size_t block)
{
	unsigned int tries = mode_is(r, "cma") ? CMA_TRIES : 1;
	__u64 before;
	size_t len;
	int fd;

	do {
		before = h->total;
		for (len = block; len >= page; len /= 2) {
			while (h->total <= r->size && (fd = heap_alloc_from(heap_fd, len)) >= 0)
				hold_add(h, fd, len);
			/* Memory from elsewhere would go on until there is none. */
			if (h->total > r->size)
				return failed(0, "no more memory than the region has",
					      "%llu of %llu bytes", (unsigned long long)h->total,
					      (unsigned long long)r->size);
			if (errno != ENOMEM)
				return failed(errno, "ENOMEM once the region is full",
					      "another error for %zu bytes, %llu allocated", len,
					      (unsigned long long)h->total);
		}
		if (h->total == before)
			tries--;
		if (tries && mode_is(r, "cma"))
			short_pause();
		else
			break;
	} while (tries);

	if (!h->total)
		return failed(ENOMEM, "a heap with memory", "not even one page");
	return 0;
}

/* How much the heap gives in all, when nobody else holds anything. */
static int heap_level(const struct region *r, __u64 *level)
{
	struct hold h = { 0 };
	int ret = fill_heap(r, &h, block_size(r->size, 1024 * MIB));

	*level = h.total;
	hold_free(&h);
	return ret;
}

static int same_level(const struct region *r, __u64 before)
{
	unsigned int tries = mode_is(r, "cma") ? CMA_TRIES : 1;
	__u64 level;

	do {
		if (heap_level(r, &level))
			return -1;
		if (level >= before)
			return 0;
		short_pause();
	} while (--tries);

	return failed(0, "the region can be filled as before", "%llu bytes instead of %llu",
		      (unsigned long long)level, (unsigned long long)before);
}

static int hold_write(struct hold *h, __u32 tag)
{
	unsigned int i;

	for (i = 0; i < h->nr; i++) {
		if (buf_map(&h->bufs[i]))
			return -1;
		tag_fill(&h->bufs[i], tag + i);
		buf_unmap(&h->bufs[i]);
	}
	return 0;
}

static int hold_check(struct hold *h, __u32 tag, const char *what)
{
	unsigned int i;

	for (i = 0; i < h->nr; i++) {
		if (buf_map(&h->bufs[i]) || tag_check(&h->bufs[i], tag + i, what))
			return -1;
		buf_unmap(&h->bufs[i]);
	}
	return 0;
}

/* --- consumers -------------------------------------------------------------------------------- */

static int consumer_open(const struct consumer *c)
{
	int fd = open(c->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return failed(errno, "to open the consumer", "an error");
	return fd;
}

static int consumer_unmap(int cfd)
{
	if (ioctl(cfd, RMEM_CONSUMER_UNMAP))
		return failed(errno, "RMEM_CONSUMER_UNMAP to succeed", "an error");
	return 0;
}

static int device_writes(int cfd, unsigned int seed)
{
	struct rmem_consumer_dma dma = { .seed = seed, .write = 1 };

	if (ioctl(cfd, RMEM_CONSUMER_DMA, &dma))
		return failed(errno, "the device writes the buffer", "an error");
	return 0;
}

static int device_reads(int cfd, unsigned int seed, const char *what)
{
	struct rmem_consumer_dma dma = { .seed = seed };

	if (ioctl(cfd, RMEM_CONSUMER_DMA, &dma))
		return failed(errno, "the device reads the buffer", "an error");
	if (dma.bad)
		return failed(0, what, "%llu bytes that differ", (unsigned long long)dma.bad);
	return 0;
}

/* Allocates as the device's driver would. Returns an open file that holds the memory. */
static int device_alloc(const struct consumer *c, size_t len, __u64 *inside)
{
	struct rmem_consumer_alloc alloc = { .len = len };
	int cfd, err;

	cfd = consumer_open(c);
	if (cfd < 0)
		return -1;
	if (ioctl(cfd, RMEM_CONSUMER_ALLOC, &alloc)) {
		err = errno;
		close(cfd);
		errno = err;
		return -1;
	}
	*inside = alloc.inside;
	return cfd;
}

/*
 * A large block that a driver can have here. A restricted pool has 256 KiB at most, and only
 * if its base is a multiple of that; 128 KiB it always has. Page allocator warnings start
 * above 1 MiB.
 */
static size_t device_block(const struct region *r)
{
	return block_size(r->size / 4, mode_is(r, "restricted") ? 128 * KIB : MIB);
}

/* Takes up to @limit bytes of the region the way the device's driver would. */
static int fill_device(const struct region *r, const struct consumer *c, struct hold *h,
		       __u64 limit)
{
	unsigned int tries = mode_is(r, "cma") ? CMA_TRIES : 1;
	__u64 before, inside;
	size_t len;
	int cfd;

	do {
		before = h->total;
		for (len = device_block(r); len >= page; len /= 2) {
			while (h->total + len <= limit) {
				cfd = device_alloc(c, len, &inside);
				if (cfd < 0 && errno != ENOMEM)
					return failed(errno, "ENOMEM once the region is full",
						      "another error for the device's %zu bytes",
						      len);
				if (cfd < 0)
					break;
				if (inside != len) {
					close(cfd);
					if (mode_is(r, "cma") && !inside)
						break;
					return failed(0, "device memory from the region",
						      "%llu of %zu bytes in it",
						      (unsigned long long)inside, len);
				}
				hold_add(h, cfd, len);
			}
		}
		if (h->total == before)
			tries--;
		if (tries && mode_is(r, "cma") && h->total < limit)
			short_pause();
		else
			break;
	} while (tries);

	if (!h->total)
		return failed(0, "memory for the device from an empty region", "none");
	return 0;
}

/* With the region full the device gets nothing, or, from a CMA area, something from elsewhere. */
static int device_gets_nothing(const struct region *r, const struct consumer *c, size_t len)
{
	__u64 inside;
	int cfd = device_alloc(c, len, &inside);

	if (cfd < 0) {
		if (errno == ENOMEM)
			return 0;
		return failed(errno, "ENOMEM for the device, the region being full",
			      "another error for %zu bytes", len);
	}
	close(cfd);
	if (mode_is(r, "cma") && !inside)
		return 0;
	return failed(0, "no memory of the full region for the device",
		      "%zu bytes, %llu of them in the region", len, (unsigned long long)inside);
}

static int heap_gets_nothing(size_t len)
{
	int fd = heap_alloc_from(heap_fd, len);

	if (fd >= 0) {
		close(fd);
		return failed(0, "ENOMEM for the heap, the region being full",
			      "a buffer of %zu bytes", len);
	}
	if (errno != ENOMEM)
		return failed(errno, "ENOMEM for the heap, the region being full",
			      "another error for %zu bytes", len);
	return 0;
}

/* --- the checks ------------------------------------------------------------------------------- */

static int check_alloc(const struct region *r, const struct consumer *c)
{
	const size_t sizes[] = { page, 64 * KIB, MIB, 12345, 5 * page + 1, 1 };
	struct buf b;
	unsigned int i;
	off_t end;

	(void)c;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (page_align(sizes[i]) > r->size)
			continue;
		if (buf_alloc(&b, sizes[i]))
			return -1;
		end = lseek(b.fd, 0, SEEK_END);
		buf_free(&b);
		if (end < 0 || (size_t)end != b.len)
			return failed(end < 0 ? errno : 0, "a buffer of whole pages",
				      "size %lld for %zu bytes", (long long)end, sizes[i]);
	}
	return 0;
}

static int check_limits(const struct region *r, const struct consumer *c)
{
	const __u64 sizes[] = {
		0,
		r->size + page,
		2 * r->size,
		r->size + 1024 * MIB,
		SIZE_MAX / 2,
		SIZE_MAX - 2 * page,
		SIZE_MAX - page + 1,
		SIZE_MAX,
		UINT64_MAX - page + 1,
		UINT64_MAX,
	};
	__u64 start, took;
	unsigned int i;
	struct buf b;
	int fd, err;

	(void)c;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* The core cuts lengths to size_t. */
		if ((size_t)sizes[i] && (size_t)sizes[i] <= r->size)
			continue;
		start = now_ms();
		fd = heap_alloc_from(heap_fd, sizes[i]);
		err = errno;
		took = now_ms() - start;
		if (fd >= 0) {
			close(fd);
			return failed(0, "no buffer of a wrong length", "a buffer of %llu bytes",
				      (unsigned long long)sizes[i]);
		}
		if (!sizes[i] ? err != EINVAL : err != EINVAL && err != ENOMEM)
			return failed(err, sizes[i] ? "EINVAL or ENOMEM" : "EINVAL",
				      "another error for %llu bytes", (unsigned long long)sizes[i]);
		if (took > AT_ONCE_MS)
			return failed(err, "a refusal at once", "%llu ms for %llu bytes",
				      (unsigned long long)took, (unsigned long long)sizes[i]);
	}

	/* Nothing of all that may have cost memory. */
	if (r->size >= 2 * page) {
		if (buf_alloc(&b, part_of(r, 2, UINT64_MAX)))
			return -1;
		buf_free(&b);
	}
	return 0;
}

static int check_clear(const struct region *r, const struct consumer *c)
{
	size_t quarter = block_size(r->size / 4, 1024 * MIB);
	struct hold h = { 0 };
	unsigned int i, round;
	struct buf b;

	(void)c;
	for (round = 0; round < 3; round++) {
		if (fill_heap(r, &h, quarter))
			return -1;
		for (i = 0; i < h.nr; i++) {
			if (buf_map(&h.bufs[i]) || is_zero(&h.bufs[i]))
				return -1;
			memset(h.bufs[i].map, 0xa5 + round, h.bufs[i].len);
			buf_unmap(&h.bufs[i]);
		}
		hold_free(&h);
	}

	/* The rest of the last page is mapped too. */
	if (r->size < 3 * page)
		return 0;
	if (buf_alloc(&b, 2 * page + 1) || buf_map(&b) || is_zero(&b))
		return -1;
	memset(b.map, 0x5a, b.len);
	buf_free(&b);
	if (buf_alloc(&b, 2 * page + 1) || buf_map(&b) || is_zero(&b))
		return -1;
	buf_free(&b);
	return 0;
}

static int no_mapping(const struct buf *b, size_t len, int prot, int flags, off_t offset,
		      const char *what)
{
	void *p = mmap(NULL, len, prot, flags, b->fd, offset);

	if (p == MAP_FAILED)
		return 0;
	munmap(p, len);
	return failed(0, what, "a mapping of 0x%zx bytes at 0x%llx of 0x%zx", len,
		      (unsigned long long)offset, b->len);
}

static int check_sync_modes(const struct buf *b)
{
	const __u64 modes[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (sync_buf(b, DMA_BUF_SYNC_START | modes[i]) ||
		    sync_buf(b, DMA_BUF_SYNC_END | modes[i]))
			return -1;
	return 0;
}

/* There is no fault handler to fall back on, so a child must inherit the entries. */
static int check_fork(const struct buf *b, unsigned int seed)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return failed(errno, "fork with a mapping", "an error");
	if (!pid)
		_exit(bytes_are(b->map, b->len, seed, "the mapping's data in a forked child") != 0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return failed(0, "the mapping's data in a forked child", "wait status 0x%x",
			      status);
	return 0;
}

static int check_mmap(const struct region *r, const struct consumer *c)
{
	struct buf b, second;
	unsigned char *p;
	size_t i, n;
	void *grown;

	(void)c;
	n = part_of(r, 2, 640 * KIB + page) / page;
	if (buf_alloc(&b, n * page) || buf_map(&b))
		return -1;
	if (cpu_write(&b, 1) || check_sync_modes(&b))
		return -1;

	second = b;
	if (buf_map(&second) || cpu_reads(&second, 1, "the data of the first mapping") ||
	    cpu_write(&second, 2) || cpu_reads(&b, 2, "the data of the second mapping") ||
	    check_fork(&b, 2))
		return -1;
	buf_unmap(&second);

	p = mmap(NULL, b.len, PROT_READ, MAP_SHARED, b.fd, 0);
	if (p == MAP_FAILED)
		return failed(errno, "a read-only mapping", "none");
	if (bytes_are(p, b.len, 2, "the data in a read-only mapping"))
		return -1;
	if (mprotect(p, b.len, PROT_READ | PROT_WRITE))
		return failed(errno, "a read-only mapping made writable", "an error");
	p[0] ^= 0xff;
	if (p[0] != b.map[0])
		return failed(0, "writes to a mapping made writable", "none");
	p[0] ^= 0xff;
	munmap(p, b.len);

	for (i = 0; i < n; i++) {
		p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, i * page);
		if (p == MAP_FAILED)
			return failed(errno, "a mapping of each page", "none of page %zu", i);
		if (memcmp(p, b.map + i * page, page))
			return failed(0, "the page at the offset", "another for page %zu", i);
		p[i % page] ^= 0xff;
		if (p[i % page] != b.map[i * page + i % page])
			return failed(0, "writes to one page in all mappings", "not in page %zu",
				      i);
		p[i % page] ^= 0xff;
		munmap(p, page);
	}

	if (no_mapping(&b, b.len + page, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
		       "no mapping longer than the buffer") ||
	    no_mapping(&b, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, page,
		       "no mapping across the end") ||
	    no_mapping(&b, page, PROT_READ | PROT_WRITE, MAP_SHARED, b.len,
		       "no mapping behind the end") ||
	    no_mapping(&b, b.len, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0,
		       "no private mapping") ||
	    no_mapping(&b, b.len, PROT_READ, MAP_PRIVATE, 0, "no private read-only mapping"))
		return -1;

	grown = mremap(b.map, b.len, b.len + page, MREMAP_MAYMOVE);
	if (grown != MAP_FAILED)
		return failed(0, "mremap beyond the end to fail", "a longer mapping");

	if (n >= 3) {
		if (buf_map(&second))
			return -1;
		munmap(second.map + page, page);
		if (bytes_are(second.map, page, 2, "the page before the unmapped one") ||
		    memcmp(second.map + 2 * page, b.map + 2 * page, b.len - 2 * page))
			return failed(0, "the pages around the unmapped one", "other data");
		second.map[2 * page] ^= 0xff;
		if (second.map[2 * page] != b.map[2 * page])
			return failed(0, "writes behind the unmapped page", "none");
		second.map[2 * page] ^= 0xff;
		munmap(second.map, page);
		munmap(second.map + 2 * page, b.len - 2 * page);
	}

	/* The mapping holds the buffer, not the descriptor. */
	close(b.fd);
	b.fd = -1;
	if (bytes_are(b.map, b.len, 2, "the data after the descriptor was closed"))
		return -1;
	buf_unmap(&b);
	return 0;
}

static void touch(unsigned char *map, size_t len)
{
	memset(map, 0x5a, len);
}

static int check_faults(const struct region *r, const struct consumer *c)
{
	static unsigned char own[64 * 1024];
	struct rusage before, after;
	struct buf b;

	(void)c;
	if (buf_alloc(&b, part_of(r, 2, MIB)) || buf_map(&b))
		return -1;

	/* Our own first accesses to stack, data and code would be counted too. */
	touch(own, sizeof(own));
	getrusage(RUSAGE_SELF, &before);
	getrusage(RUSAGE_SELF, &after);

	getrusage(RUSAGE_SELF, &before);
	touch(b.map, b.len);
	getrusage(RUSAGE_SELF, &after);
	if (after.ru_minflt != before.ru_minflt)
		return failed(0, "no page fault in a first write pass", "%ld faults for %zu pages",
			      after.ru_minflt - before.ru_minflt, b.len / page);
	buf_free(&b);
	return 0;
}

static int check_device_only(const struct region *r, const struct consumer *c)
{
	const __u64 modes[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	struct dma_buf_sync sync;
	unsigned int i;
	struct buf b;

	(void)c;
	if (buf_alloc(&b, part_of(r, 2, 64 * KIB)))
		return -1;
	if (no_mapping(&b, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, 0, "no mapping") ||
	    no_mapping(&b, page, PROT_READ, MAP_SHARED, 0, "no read-only mapping") ||
	    no_mapping(&b, page, PROT_READ, MAP_PRIVATE, 0, "no private mapping"))
		return -1;
	for (i = 0; i < 2 * ARRAY_SIZE(modes); i++) {
		sync.flags = modes[i / 2] | (i % 2 ? DMA_BUF_SYNC_END : DMA_BUF_SYNC_START);
		if (!ioctl(b.fd, DMA_BUF_IOCTL_SYNC, &sync))
			return failed(0, "DMA_BUF_IOCTL_SYNC to fail", "success for flags 0x%x",
				      (unsigned int)sync.flags);
	}
	buf_free(&b);
	return 0;
}

/* Data in both directions, seed 1 being in the buffer when it was mapped. */
static int cpu_and_device(struct buf *b, int cfd)
{
	if (device_reads(cfd, 1, "what the CPU wrote before the map, at the device") ||
	    cpu_write(b, 2) ||
	    device_reads(cfd, 2, "what the CPU wrote while mapped, at the device") ||
	    device_writes(cfd, 3) ||
	    cpu_reads(b, 3, "what the device wrote, at the CPU after the sync") ||
	    check_sync_modes(b) ||
	    device_reads(cfd, 3, "the same data at the device after all sync modes") ||
	    device_writes(cfd, 5) || cpu_rewrites(b, 5) ||
	    device_reads(cfd, 5, "what the device wrote, after the CPU wrote four bytes of it") ||
	    device_writes(cfd, 4) || consumer_unmap(cfd) ||
	    cpu_reads(b, 4, "what the device wrote, at the CPU after the unmap"))
		return -1;
	return 0;
}

/* Seed 4 is in the buffer when this returns, as above. */
static int device_alone(int cfd)
{
	if (device_writes(cfd, 3) || device_reads(cfd, 3, "what the device wrote") ||
	    device_writes(cfd, 4) || consumer_unmap(cfd))
		return -1;
	return 0;
}

static int import(const struct region *r, const struct consumer *c, struct buf *b,
		  __u64 want_inside)
{
	struct rmem_consumer_map map = { .fd = b->fd };
	struct rmem_consumer_map again = { .fd = b->fd };
	int cfd = consumer_open(c);
	int err;

	if (cfd < 0)
		return -1;
	if (ioctl(cfd, RMEM_CONSUMER_MAP, &map)) {
		err = errno;
		close(cfd);
		/* Such memory cannot be bounced; EBUSY is what dma_buf_attach() documents. */
		if (r->memory != MEM_LINEAR && is_restricted(c)) {
			if (err == EBUSY || err == EOPNOTSUPP || err == EINVAL || err == EIO)
				return 0;
			return failed(err, "EBUSY, EOPNOTSUPP, EINVAL or EIO", "another error");
		}
		return failed(err, "the buffer mapped for the device", "an error");
	}
	if (map.len != b->len)
		return failed(0, "the whole buffer mapped", "%llu of %zu bytes",
			      (unsigned long long)map.len, b->len);
	if (map.inside != want_inside)
		return failed(0, want_inside ? "all addresses in the device's region" :
			      "no address in the device's region", "%llu of %zu bytes in it",
			      (unsigned long long)map.inside, b->len);

	if (cpu_visible(r) ? cpu_and_device(b, cfd) : device_alone(cfd))
		return -1;
	if (ioctl(cfd, RMEM_CONSUMER_MAP, &again))
		return failed(errno, "the buffer mapped again", "an error");
	if (again.len != map.len || again.inside != map.inside)
		return failed(0, "the same mapping again", "%llu bytes, %llu inside",
			      (unsigned long long)again.len, (unsigned long long)again.inside);
	if (device_reads(cfd, 4, "the data of the first mapping in the second"))
		return -1;

	/* The device's mapping holds the buffer, not the descriptor. */
	buf_free(b);
	if (device_reads(cfd, 4, "the data after the descriptor was closed") ||
	    consumer_unmap(cfd))
		return -1;
	close(cfd);
	return 0;
}

static int check_import(const struct region *r, const struct consumer *c)
{
	struct buf b;

	if (is_pool(r) && !c->assigned)
		return failed(0, "the region assigned to the device", "a device without it");
	if (buf_alloc(&b, part_of(r, 4, MIB)))
		return -1;
	if (cpu_visible(r) && (buf_map(&b) || cpu_write(&b, 1)))
		return -1;
	return import(r, c, &b, b.len);
}

static int check_foreign(const struct region *r, const struct consumer *c)
{
	size_t len = part_of(r, 4, MIB);
	struct buf b;

	/* Bouncing needs room in the device's pool. */
	if (is_restricted(c))
		len = part_of(find_region(c->region), 4, len);
	if (buf_alloc(&b, len))
		return -1;
	if (cpu_visible(r) && (buf_map(&b) || cpu_write(&b, 1)))
		return -1;
	return import(r, c, &b, is_restricted(c) ? b.len : 0);
}

/* Device memory is zeroed by the DMA API: an overlap shows in the heap's buffers. */
static int side_by_side(const struct region *r, const struct consumer *c)
{
	unsigned int tries = mode_is(r, "cma") ? CMA_TRIES : 1;
	size_t len = device_block(r);
	struct hold h = { 0 };
	__u64 inside;
	int cfd, fd;

	fd = heap_alloc_from(heap_fd, len);
	if (fd < 0)
		return failed(errno, "a buffer beside the device's memory", "none");
	hold_add(&h, fd, len);
	if (cpu_visible(r) && hold_write(&h, 0x10000000))
		return -1;

	for (;;) {
		cfd = device_alloc(c, len, &inside);
		if (cfd < 0)
			return failed(errno, "memory for the device", "none of %zu bytes", len);
		if (inside == len)
			break;
		close(cfd);
		if (inside || !--tries)
			return failed(0, "device memory from the region", "%llu of %zu bytes in it",
				      (unsigned long long)inside, len);
		short_pause();
	}

	fd = heap_alloc_from(heap_fd, len);
	if (fd < 0)
		return failed(errno, "a buffer beside the device's memory", "none");
	if (cpu_visible(r) && hold_check(&h, 0x10000000, "a buffer the device does not touch"))
		return -1;
	hold_add(&h, fd, len);
	if (cpu_visible(r) && hold_write(&h, 0x20000000))
		return -1;
	if (ioctl(cfd, RMEM_CONSUMER_FREE))
		return failed(errno, "RMEM_CONSUMER_FREE to succeed", "an error");
	if (cpu_visible(r) && hold_check(&h, 0x20000000, "buffers after the device freed its own"))
		return -1;
	close(cfd);
	hold_free(&h);
	return 0;
}

static int check_one_allocator(const struct region *r, const struct consumer *c)
{
	struct hold heap = { 0 }, device = { 0 };
	size_t block = block_size(r->size, 1024 * MIB);
	__u64 level;

	if (side_by_side(r, c))
		return -1;

	/* The heap holds everything. */
	if (fill_heap(r, &heap, block))
		return -1;
	level = heap.total;
	if (cpu_visible(r) && hold_write(&heap, 0x30000000))
		return -1;
	if (device_gets_nothing(r, c, page) || device_gets_nothing(r, c, device_block(r)))
		return -1;
	if (cpu_visible(r) && hold_check(&heap, 0x30000000, "buffers the device does not touch"))
		return -1;
	hold_free(&heap);

	/* The device holds everything. */
	if (fill_device(r, c, &device, UINT64_MAX) || heap_gets_nothing(page) ||
	    heap_gets_nothing(device_block(r)))
		return -1;
	hold_free(&device);

	/* The device holds a half, the heap the rest. */
	if (fill_device(r, c, &device, r->size / 2) || fill_heap(r, &heap, block))
		return -1;
	if (device.total + heap.total > r->size)
		return failed(0, "no more memory than the region has", "%llu + %llu of %llu bytes",
			      (unsigned long long)device.total, (unsigned long long)heap.total,
			      (unsigned long long)r->size);
	if (device_gets_nothing(r, c, page) || heap_gets_nothing(page))
		return -1;
	hold_free(&device);
	hold_free(&heap);

	return same_level(r, level);
}

/* --- several processes at once ---------------------------------------------------------------- */

#define CHILDREN	4
#define ROUNDS		100
#define SLOTS		3

static __u32 next_random(__u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static int stress_device(const struct consumer *c, int fd, unsigned int seed, bool write)
{
	struct rmem_consumer_map map = { .fd = fd };
	int cfd, ret;

	cfd = consumer_open(c);
	if (cfd < 0)
		return -1;
	if (ioctl(cfd, RMEM_CONSUMER_MAP, &map))
		ret = failed(errno, "the buffer mapped for the device", "an error");
	else if (write)
		ret = device_writes(cfd, seed);
	else
		ret = device_reads(cfd, seed, "this process's own data");
	close(cfd);
	return ret;
}

static int stress_write(const struct region *r, const struct consumer *c, struct buf *b,
			__u32 tag)
{
	if (!cpu_visible(r))
		return c ? stress_device(c, b->fd, tag >> 24, true) : 0;
	if (buf_map(b) || is_zero(b))
		return -1;
	tag_fill(b, tag);
	return 0;
}

static int stress_verify(const struct region *r, const struct consumer *c, struct buf *b,
			 __u32 tag)
{
	if (!cpu_visible(r))
		return c ? stress_device(c, b->fd, tag >> 24, false) : 0;
	return tag_check(b, tag, "this process's own data");
}

static int stress_child(const struct region *r, const struct consumer *c, unsigned int child)
{
	__u32 state = 0x9e3779b9u * (child + 1);
	size_t most = part_of(r, 16, cpu_visible(r) ? MIB : 64 * KIB);
	struct buf slots[SLOTS] = { 0 };
	unsigned int round, slot, done = 0;
	int cfd = -1;
	__u64 inside;
	__u32 tag;

	for (round = 0; round < ROUNDS + SLOTS; round++) {
		slot = round < ROUNDS ? next_random(&state) % SLOTS : round - ROUNDS;
		tag = (child * SLOTS + slot + 1) << 24;
		if (slots[slot].len) {
			if (stress_verify(r, c, &slots[slot], tag))
				return -1;
			buf_free(&slots[slot]);
			slots[slot].len = 0;
		} else if (round < ROUNDS) {
			slots[slot].len = page_align(1 + next_random(&state) % most);
			slots[slot].fd = heap_alloc_from(heap_fd, slots[slot].len);
			if (slots[slot].fd >= 0) {
				done++;
				if (stress_write(r, c, &slots[slot], tag))
					return -1;
			} else if (errno == ENOMEM) {
				slots[slot].len = 0;
			} else {
				return failed(errno, "a buffer or ENOMEM", "another error");
			}
		}

		/* The device joins in; what it gets is zeroed. */
		if (!c || next_random(&state) % 4)
			continue;
		if (cfd >= 0) {
			close(cfd);
			cfd = -1;
			continue;
		}
		cfd = device_alloc(c, min_u64(most, device_block(r)), &inside);
		if (cfd < 0 && errno != ENOMEM)
			return failed(errno, "memory for the device or ENOMEM", "another error");
	}
	if (cfd >= 0)
		close(cfd);
	if (!done)
		return failed(ENOMEM, "at least one buffer", "none in %u rounds", ROUNDS);
	return 0;
}

static int check_stress(const struct region *r, const struct consumer *c)
{
	unsigned int i;
	__u64 level;
	int status, ret = 0;
	pid_t pid;

	for (i = 0; i < nr_consumers && !c; i++)
		if (same_region(r, &consumers[i]))
			c = &consumers[i];

	if (heap_level(r, &level))
		return -1;
	for (i = 0; i < CHILDREN; i++) {
		pid = fork();
		if (!pid)
			_exit(stress_child(r, c, i) ? 1 : 0);
		if (pid < 0)
			ret = failed(errno, "a process", "none");
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			ret = failed(0, "all processes end well", "wait status 0x%x", status);
	return ret ? ret : same_level(r, level);
}

/* --- running them ----------------------------------------------------------------------------- */

enum applies { TO_ALL, TO_CPU_VISIBLE, TO_DEVICE_ONLY, TO_OWN_CONSUMERS, TO_OTHER_CONSUMERS };

static const struct check {
	const char *name;
	enum applies applies;
	int (*run)(const struct region *r, const struct consumer *c);
} checks[] = {
	{ "alloc", TO_ALL, check_alloc },
	{ "limits", TO_ALL, check_limits },
	{ "clear", TO_CPU_VISIBLE, check_clear },
	{ "mmap", TO_CPU_VISIBLE, check_mmap },
	{ "faults", TO_CPU_VISIBLE, check_faults },
	{ "device-only", TO_DEVICE_ONLY, check_device_only },
	{ "import", TO_OWN_CONSUMERS, check_import },
	{ "foreign", TO_OTHER_CONSUMERS, check_foreign },
	{ "one-allocator", TO_OWN_CONSUMERS, check_one_allocator },
	{ "stress", TO_ALL, check_stress },
};

static bool check_applies(const struct check *k, const struct region *r)
{
	if (k->applies == TO_CPU_VISIBLE)
		return cpu_visible(r);
	if (k->applies == TO_DEVICE_ONLY)
		return !cpu_visible(r);
	return true;
}

/* Books the outcome of one check. */
static bool book(struct region *r, const char *check, __u64 ms)
{
	struct failure *f;

	if (verbose)
		printf("  %s: %s: %s (%llu ms)\n", r->name, check,
		       outcome->claimed ? "FAIL" : "ok", (unsigned long long)ms);
	if (!outcome->claimed) {
		r->nr_passed++;
		nr_passed++;
		return true;
	}
	if (!r->nr_failed++)
		r->first_failure = nr_failures;
	failures = must(realloc(failures, (nr_failures + 1) * sizeof(*failures)));
	f = &failures[nr_failures++];
	f->region = r;
	snprintf(f->check, sizeof(f->check), "%s", check);
	f->out = *outcome;
	return false;
}

static bool run_check(struct region *r, const struct check *k, const struct consumer *c)
{
	struct pollfd ended;
	int pipe_fds[2], status = 0;
	__u64 start = now_ms(), give_up;
	bool late = false;
	char label[300];
	pid_t pid;

	snprintf(label, sizeof(label), c ? "%s %s" : "%s", k->name, c ? c->node : "");
	memset(outcome, 0, sizeof(*outcome));
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		failed(errno, "a pipe", "none");
		return book(r, label, 0);
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		failed(errno, "a process", "none");
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		return book(r, label, 0);
	}
	if (!pid) {
		setpgid(0, 0);
		signal(SIGALRM, SIG_DFL);
		alarm(CHECK_SECONDS);
		heap_fd = open(r->heap, O_RDWR | O_CLOEXEC);
		if (heap_fd < 0)
			failed(errno, "to open the heap", "an error");
		else if (k->run(r, c))
			failed(0, "the check to pass", "an unexplained failure");
		_exit(0);
	}
	setpgid(pid, pid);

	/* The pipe ends with the last process of the check. */
	close(pipe_fds[1]);
	ended.fd = pipe_fds[0];
	ended.events = POLLIN;
	if (poll(&ended, 1, (CHECK_SECONDS + 5) * 1000) == 0)
		late = true;
	close(pipe_fds[0]);

	/* Wait until all of them are gone, and what they held with them. */
	if (late)
		kill(-pid, SIGKILL);
	give_up = now_ms() + 10000;
	for (;;) {
		int st;
		pid_t gone = waitpid(-pid, &st, WNOHANG);

		if (gone == pid)
			status = st;
		if (gone > 0)
			continue;
		if (gone < 0 && errno == ECHILD)
			break;
		if (now_ms() > give_up) {
			late = true;
			break;
		}
		usleep(500);
	}

	if (late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
		failed(0, "the check to end", "still running after %u s", CHECK_SECONDS);
	else if (WIFSIGNALED(status))
		failed(0, "the check to end", "signal %d (%s)", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	return book(r, label, now_ms() - start);
}

/* The heap's node is there exactly if the region is exported. */
static bool check_node(struct region *r)
{
	struct stat st;
	bool there = !stat(r->heap, &st);
	unsigned int i;

	memset(outcome, 0, sizeof(*outcome));
	if (r->exported && !there)
		failed(errno, "a heap for an exported region", "no %s", r->heap);
	else if (r->exported && !S_ISCHR(st.st_mode))
		failed(0, "a heap for an exported region", "%s is no character device", r->heap);
	else if (r->exported && r->memory == MEM_NONE)
		failed(0, "a memory type for an exported region", "none in " CLASS);
	for (i = 0; i < ARRAY_SIZE(mainline_heaps); i++)
		if (!strcmp(r->name, mainline_heaps[i]))
			there = false;
	if (!r->exported && there)
		failed(0, "no heap for a region that is not exported", "%s", r->heap);
	return book(r, "node", 0);
}

static void run_region(struct region *r)
{
	unsigned int i, j;
	bool own;

	if (!check_node(r) || !r->exported)
		return;
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		if (!check_applies(&checks[i], r))
			continue;
		if (checks[i].applies != TO_OWN_CONSUMERS &&
		    checks[i].applies != TO_OTHER_CONSUMERS) {
			run_check(r, &checks[i], NULL);
			continue;
		}
		own = checks[i].applies == TO_OWN_CONSUMERS;
		for (j = 0; j < nr_consumers; j++)
			if (same_region(r, &consumers[j]) == own)
				run_check(r, &checks[i], &consumers[j]);
	}
}

/* --- what there is ---------------------------------------------------------------------------- */

/* The text of a file of a region in sysfs; "-" if there is none */
static char *text_of(const struct region *r, const char *file)
{
	return must(strdup(attribute_text(r->name, file) ?: "-"));
}

static int read_regions(void)
{
	struct dirent **entry;
	int i, n = scandir(CLASS, &entry, NULL, alphasort);
	struct region *r;
	char *cpu;

	if (n < 0) {
		fprintf(stderr, "rmem-heap-check: %s: %s\n"
			"  this kernel has no reserved memory heaps, or the device tree no regions\n",
			CLASS, strerror(errno));
		return -1;
	}
	regions = must(calloc(n, sizeof(*regions)));
	for (i = 0; i < n; i++) {
		if (entry[i]->d_type != DT_LNK)
			continue;
		r = &regions[nr_regions++];
		r->name = entry[i]->d_name;
		r->mode = text_of(r, "mode");
		r->allocator = text_of(r, "allocator");
		r->size = attribute(r->name, "size");
		r->exported_by = text_of(r, "exported_by");
		r->reason = text_of(r, "reason");
		r->exported = strcmp(r->exported_by, "-");
		snprintf(r->heap, sizeof(r->heap), "%s/%s", HEAPS, r->name);
		cpu = text_of(r, "cpu_access");
		if (!strcmp(cpu, "cached"))
			r->memory = MEM_LINEAR;
		else if (!strcmp(cpu, "write-combined"))
			r->memory = MEM_WC;
		else if (!strcmp(cpu, "none"))
			r->memory = MEM_DEVICE_ONLY;
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct consumer *)a)->path, ((const struct consumer *)b)->path);
}

static int read_consumers(void)
{
	struct rmem_consumer_info info;
	struct consumer *c;
	DIR *dir = NULL;
	const char *name;
	int fd;
	unsigned int i;

	while ((name = next_name(&dir, "/dev", CONSUMER))) {
		consumers = must(realloc(consumers, (nr_consumers + 1) * sizeof(*consumers)));
		c = &consumers[nr_consumers++];
		memset(c, 0, sizeof(*c));
		snprintf(c->path, sizeof(c->path), "/dev/%s", name);
		fd = open(c->path, O_RDWR | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, RMEM_CONSUMER_INFO, &info)) {
			fprintf(stderr, "rmem-heap-check: %s: %s\n", c->path, strerror(errno));
			if (fd >= 0)
				close(fd);
			return -1;
		}
		close(fd);
		info.region[sizeof(info.region) - 1] = '\0';
		memcpy(c->region, info.region, sizeof(c->region));
		c->assigned = info.assigned;
	}
	if (nr_consumers)
		qsort(consumers, nr_consumers, sizeof(*consumers), by_path);
	for (i = 0; i < nr_consumers; i++)
		consumers[i].node = consumers[i].path + strlen("/dev/" CONSUMER);
	return 0;
}

/* --- output ----------------------------------------------------------------------------------- */

#define COLUMNS	6

static int width[COLUMNS - 1];

static const char *human(__u64 size, char *s, size_t room)
{
	static const char * const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned int u = 0;

	while (u + 1 < ARRAY_SIZE(unit) && size >= 1024 && !(size % 1024)) {
		size /= 1024;
		u++;
	}
	snprintf(s, room, "%llu %s", (unsigned long long)size, unit[u]);
	return s;
}

static void fit(int column, const char *s)
{
	int len = strlen(s);

	if (len > width[column])
		width[column] = len;
}

/* The last column takes what is left of the line; long text goes on below, further left. */
static void print_row(const char * const *cell)
{
	int i, indent = 0, room, len, cut;
	const char *s = cell[COLUMNS - 1];
	const char *colon = strstr(s, ": ");

	for (i = 0; i < COLUMNS - 1; i++) {
		printf(i == 3 ? "%*s  " : "%-*s  ", width[i], cell[i]);
		indent += width[i] + 2;
	}
	room = TABLE_WIDTH - indent;
	while (*s) {
		len = strlen(s);
		cut = len;
		if (len > room) {
			cut = room > 0 ? room : 0;
			while (cut > 0 && s[cut] != ' ')
				cut--;
			if (s == cell[COLUMNS - 1] && colon)
				cut = colon + 1 - s;
			else if (!cut)
				cut = strcspn(s, " ");
		}
		printf("%.*s\n", cut, s);
		s += cut;
		s += strspn(s, " ");
		if (indent > TABLE_WIDTH / 2)
			indent = TABLE_WIDTH / 2;
		room = TABLE_WIDTH - indent;
		if (*s)
			printf("%*s", indent, "");
	}
	fflush(stdout);
}

static void print_header(const char *only)
{
	static const char * const title[COLUMNS] = {
		"REGION", "MODE", "ALLOCATOR", "SIZE", "HEAP", "RESULT"
	};
	const struct region *r;
	char size[32];
	int i;

	for (i = 0; i < COLUMNS - 1; i++)
		fit(i, title[i]);
	for (r = regions; r < regions + nr_regions; r++) {
		if (only && strcmp(only, r->name))
			continue;
		fit(0, r->name);
		fit(1, r->mode);
		fit(2, r->allocator);
		fit(3, human(r->size, size, sizeof(size)));
		fit(4, r->exported ? r->heap : "-");
	}
	print_row(title);
}

static void print_region(const struct region *r)
{
	const char *cell[COLUMNS] = { r->name, r->mode, r->allocator };
	const char *first = r->nr_failed ? failures[r->first_failure].check : "";
	char size[32], result[600];

	cell[3] = human(r->size, size, sizeof(size));
	cell[4] = r->exported ? r->heap : "-";
	cell[5] = result;
	/* Which consumer it was is told below the table. */
	if (r->nr_failed > 1)
		snprintf(result, sizeof(result), "FAIL %.*s +%u", (int)strcspn(first, " "), first,
			 r->nr_failed - 1);
	else if (r->nr_failed)
		snprintf(result, sizeof(result), "FAIL %.*s", (int)strcspn(first, " "), first);
	else if (r->exported)
		snprintf(result, sizeof(result), "ok (%u checks)", r->nr_passed);
	else
		snprintf(result, sizeof(result), "not exported: %s", r->reason);
	print_row(cell);
}

static void print_failures(void)
{
	const struct failure *f;

	for (f = failures; f < failures + nr_failures; f++) {
		printf("\nregion %s, check %s\n  expected: %s\n  got:      %s\n", f->region->name,
		       f->check, f->out.expected, f->out.got);
		if (f->out.err)
			printf("  errno:    %d (%s)\n", f->out.err, strerror(f->out.err));
	}
}

/* --- main ------------------------------------------------------------------------------------- */

/* The heaps of the kernel beside ours, with devices that bounce; patches to them are among ours. */
static void run_mainline(void)
{
	static const struct check foreign = { "import", TO_ALL, check_foreign };
	static struct region heaps[ARRAY_SIZE(mainline_heaps)];
	struct region *r = heaps;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(mainline_heaps); i++, r++) {
		r->name = (char *)mainline_heaps[i];
		r->size = 256 * KIB;
		r->memory = MEM_LINEAR;
		snprintf(r->heap, sizeof(r->heap), HEAPS "/%s", r->name);
		for (j = 0; j < nr_consumers && !access(r->heap, F_OK); j++)
			if (is_restricted(&consumers[j]))
				run_check(r, &foreign, &consumers[j]);
		if (r->nr_passed || r->nr_failed)
			printf("%s: mainline's heap passed %u of %u checks\n", r->name,
			       r->nr_passed, r->nr_passed + r->nr_failed);
	}
}

static int run(const char *only, bool mainline)
{
	struct rlimit files;
	struct region *r;

	if (read_regions() || read_consumers())
		return KSFT_SKIP;
	if (only && !find_region(only)) {
		fprintf(stderr, "rmem-heap-check: no region \"%s\" in %s\n", only, CLASS);
		return 2;
	}

	/* A region can be full of single pages. */
	files.rlim_cur = 65536;
	files.rlim_max = 65536;
	if (setrlimit(RLIMIT_NOFILE, &files) && !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}

	page = sysconf(_SC_PAGESIZE);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (outcome == MAP_FAILED) {
		fprintf(stderr, "rmem-heap-check: mmap: %s\n", strerror(errno));
		return 2;
	}

	/* Rows appear as regions are done; with -v other lines would come between. */
	if (!verbose)
		print_header(only);
	for (r = regions; r < regions + nr_regions; r++) {
		if (only && strcmp(only, r->name))
			continue;
		run_region(r);
		if (!verbose)
			print_region(r);
	}
	if (mainline)
		run_mainline();
	if (verbose) {
		printf("\n");
		print_header(only);
		for (r = regions; r < regions + nr_regions; r++)
			if (!only || !strcmp(only, r->name))
				print_region(r);
	}
	if (!nr_regions)
		printf("there are no reserved memory regions\n");
	print_failures();
	printf("\n");
	return nr_failures ? 1 : 0;
}

static void print_usage(FILE *f)
{
	fprintf(f,
		"usage: rmem-heap-check [-v] [-r NAME] [-h]\n"
		"Tests every reserved memory region through its dma-heap; needs root.\n"
		"  -v       print each check\n"
		"  -r NAME  test only the region of that name\n"
		"  -h       this help\n"
		"Exit status: 0 all checks passed, 1 a check failed, 2 nothing could be tested.\n");
}

/* The tool, if it is in the same file system: what there is, before it is used */
static void run_tool(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/rmem-heap", "rmem-heap", "--color=never", "ls", NULL);
		_exit(errno == ENOENT ? 0 : 1);
	}
	waitpid(pid, NULL, 0);
	printf("\n");
}

int main(int argc, char **argv)
{
	bool own = own_machine();
	const char *only = NULL;
	int opt, ret = 0;

	while ((opt = getopt(argc, argv, "vr:h")) != -1) {
		if (opt == 'v') {
			verbose = true;
		} else if (opt == 'r') {
			only = optarg;
		} else {
			print_usage(opt == 'h' ? stdout : stderr);
			ret = opt == 'h' ? -1 : 2;
			break;
		}
	}
	/* On a machine of its own these are parameters that the kernel does not know. */
	if (!ret && optind < argc && !own) {
		print_usage(stderr);
		ret = 2;
	}

	/* The kernel's notices about devices that cannot import are not for the table. */
	if (own && !verbose)
		klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 5);

	if (!ret) {
		if (own)
			run_tool();
		ret = run(only, own && !only);
		printf("rmem-heap-check: %u passed, %u failed\n", nr_passed,
		       nr_failures + (ret > 1));
	}
	return ret < 0 ? 0 : ret;
}
