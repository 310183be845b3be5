// SPDX-License-Identifier: GPL-2.0
/*
 * The program of make demo-restricted, on a machine with a disk, /dev/vda, whose DMA goes through a
 * restricted pool that is a heap as well. Does I/O with heap buffers beside it and with the pool
 * exhausted by them, and compares every byte with /data, which came with the kernel and not from
 * the disk. Prints a line "ok - name" or "not ok - name (why)" for each case.
 *
 * From the environment: heap=NAME; look=1 only reads the file and prints what was seen.
 */
#define _GNU_SOURCE
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rmem-heap.h"

#define CHUNK		(256 << 10)
#define MAX_BUFFERS	4096
#define FILES		7
#define STEP		12345	/* so that no file has another's data at any place */

static const char *heap_name;
static char disk_dev[256];	/* the device that does the DMA */
static const char *data;	/* file i on the disk holds this from i * STEP on, */
static size_t data_len;		/* this many bytes of it */
static int heap_fd;

static void report(bool ok, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("%sok - %s (", ok ? "" : "not ", name);
	vprintf(fmt, args);
	printf(")\n");
	va_end(args);
	fflush(stdout);
}

static void quit(const char *why)
{
	if (why)
		printf("not ok - %s (the end: %s)\n", why, strerror(errno));
	else
		printf("demo: done\n");
	exit(!!why);
}

/* A number that sysfs has of the heap */
static unsigned long long heap_attr(const char *file)
{
	uint64_t value = attribute(heap_name, file);

	if (value == ~0ULL)
		quit(file);
	return value;
}

/* What the kernel's checker has about the disk */
struct check {
	unsigned long long start, end, mappings, bytes, allocs, failed, unmaps, frees, outside;
};

static struct check look(void)
{
	char *text = read_text("/sys/kernel/debug/rmem_heap_dma_check");
	struct check c = {};
	char *line, name[256];

	if (!text)
		quit("no checker in the kernel");
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		struct check d;

		if (sscanf(line,
			   "%255s pool=%lli-%lli mappings=%llu bytes=%llu allocs=%llu failed=%llu unmaps=%llu frees=%llu outside=%llu",
			   name, &d.start, &d.end, &d.mappings, &d.bytes, &d.allocs, &d.failed,
			   &d.unmaps, &d.frees, &d.outside) != 10)
			quit("the checker has lost devices");
		if (!strcmp(name, disk_dev))
			c = d;
	}
	return c;
}

/* Heap buffers, each with a pattern of its own in it */

static struct buf {
	int fd;
	size_t len;
	uint64_t *p;
} bufs[MAX_BUFFERS];
static unsigned int buf_count;

static void buf_sync(struct buf *b, uint64_t flags)
{
	if (sync_cpu(b->fd, flags))
		quit("DMA_BUF_IOCTL_SYNC");
}

static uint64_t pattern(const struct buf *b, size_t i)
{
	return ((b - bufs + 1) * 0x100000000ULL + i) * 0x9e3779b97f4a7c15ULL;
}

/* Allocates and fills a buffer; false if the pool has none of this length */
static bool buf_new(size_t len)
{
	struct buf *b = bufs + buf_count;
	size_t i;

	if (buf_count == MAX_BUFFERS)
		quit("too many buffers");
	b->fd = heap_alloc_from(heap_fd, len);
	if (b->fd == -ENOMEM)
		return false;
	if (b->fd < 0)
		quit("DMA_HEAP_IOCTL_ALLOC");
	b->len = len;
	b->p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (b->p == MAP_FAILED)
		quit("mmap of a buffer");
	buf_count++;
	buf_sync(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < len / 8; i++)
		b->p[i] = pattern(b, i);
	buf_sync(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	return true;
}

/* The number of buffers that no longer hold what was written */
static unsigned int bufs_wrong(void)
{
	unsigned int wrong = 0;
	struct buf *b;
	size_t i;

	for (b = bufs; b < bufs + buf_count; b++) {
		buf_sync(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		for (i = 0; i < b->len / 8 && b->p[i] == pattern(b, i); i++)
			;
		wrong += i < b->len / 8;
		buf_sync(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	return wrong;
}

static void bufs_free(unsigned int keep)
{
	while (buf_count > keep) {
		struct buf *b = bufs + --buf_count;

		munmap(b->p, b->len);
		close(b->fd);
	}
}

/* All that the pool has, in pieces as large as it has them */
static void hoard(void)
{
	size_t len;

	for (len = 4 << 20; len >= 4096; len /= 2)
		while (buf_new(len))
			;
}

/* Files */

enum { RIGHT, WRONG, FAILED };

static void empty_caches(void)
{
	sync();
	if (!write_text("/proc/sys/vm/drop_caches", "3"))
		quit("drop_caches");
}

static void *io_buffer(void)
{
	void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		quit("mmap");
	return p;
}

/* Reads a file and compares it with the data from skip on; flags: O_DIRECT or none */
static int get(const char *path, size_t skip, int flags)
{
	char *buf = io_buffer();
	size_t at = 0;
	ssize_t n = 0;
	int fd, ret = RIGHT;

	fd = open(path, O_RDONLY | flags);
	while (fd >= 0 && (n = read(fd, buf, CHUNK)) > 0) {
		if (at + n > data_len || memcmp(buf, data + skip + at, n)) {
			ret = WRONG;
			break;
		}
		at += n;
	}
	if (fd < 0 || n < 0) {
		printf("demo: %s: %s\n", path, strerror(errno));
		ret = FAILED;
	} else if (ret == RIGHT && at != data_len) {
		ret = WRONG;
	}
	if (ret == WRONG)
		printf("demo: %s: wrong data in the piece at %zu\n", path, at);
	if (fd >= 0)
		close(fd);
	munmap(buf, CHUNK);
	return ret;
}

/* Writes a file, and waits until it is on the disk */
static int put(const char *path, size_t skip, int flags)
{
	char *buf = io_buffer();
	size_t at = 0;
	ssize_t n = 0;
	int fd, ret = RIGHT;

	fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	for (; fd >= 0 && at < data_len; at += n) {
		n = data_len - at < CHUNK ? data_len - at : CHUNK;
		memcpy(buf, data + skip + at, n);
		n = write(fd, buf, n);
		if (n <= 0)
			break;
	}
	if (fd < 0 || n <= 0 || fsync(fd)) {
		printf("demo: %s: %s\n", path, strerror(errno));
		ret = FAILED;
	}
	if (fd >= 0)
		close(fd);
	munmap(buf, CHUNK);
	return ret;
}

/* Makes a file as long as it will be, with nothing of the data in it. */
static void prepare(const char *path)
{
	char *buf = io_buffer();
	size_t at;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	memset(buf, 0xee, CHUNK);
	for (at = 0; at < data_len; at += CHUNK)
		if (write(fd, buf, CHUNK) != CHUNK)
			quit(path);
	if (fsync(fd))
		quit(path);
	close(fd);
	munmap(buf, CHUNK);
}

/* Several at a time */

struct job {
	const char *name, *path;
	size_t skip;
	int (*fn)(const char *path, size_t skip, int flags);
	int flags;
};

static struct shared {
	atomic_int result[8];		/* of each job; -1: not done */
	atomic_bool stop;
	atomic_uint rounds, wrong, failed;
} *shared;

static int job_run(const struct job *job)
{
	return job->fn(job->path, job->skip, job->flags);
}

static void jobs_start(const struct job *jobs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		shared->result[i] = -1;
		if (!fork()) {
			bufs_free(0);
			shared->result[i] = job_run(jobs + i);
			_exit(0);
		}
	}
}

static unsigned int jobs_done(unsigned int n, int what)
{
	unsigned int i, done = 0;

	for (i = 0; i < n; i++)
		done += what < 0 ? shared->result[i] >= 0 : shared->result[i] == what;
	return done;
}

/* I/O without an end, on a file of its own that holds something else each time */
static void churn(unsigned int id, const char *path, size_t skip)
{
	unsigned int round;

	for (round = id; !shared->stop; round++) {
		size_t now_skip = skip + round % 5 * 4096;
		int ret = put(path, now_skip, round & 1 ? O_DIRECT : 0);

		if (ret == RIGHT) {
			empty_caches();
			ret = get(path, now_skip, round & 2 ? O_DIRECT : 0);
		}
		shared->rounds++;
		if (ret == WRONG)
			shared->wrong++;
		if (ret == FAILED)
			shared->failed++;
	}
	put(path, skip, 0);
	_exit(0);
}

static void cases(void)
{
	enum { DATA, DATA2, BESIDE, DIRECT, SYNCED, CHURN0, CHURN1 };
	static const char * const files[FILES] = {
		"/mnt/data", "/mnt/data2", "/mnt/beside", "/mnt/direct", "/mnt/synced",
		"/mnt/churn0", "/mnt/churn1",
	};
	const struct job jobs[] = {
		{ "read", files[DATA], DATA * STEP, get, 0 },
		{ "direct read", files[DATA2], DATA2 * STEP, get, O_DIRECT },
		{ "direct write", files[DIRECT], DIRECT * STEP, put, O_DIRECT },
		{ "write and fsync", files[SYNCED], SYNCED * STEP, put, 0 },
	};
	const unsigned int n = ARRAY_SIZE(jobs);
	unsigned long long size = heap_attr("size"), base = heap_attr("base");
	unsigned long long available = heap_attr("available"), used, left;
	unsigned int i, wrong, held, waited, times = 0, bad = 0;
	struct check before, c;
	bool ok, direct;
	size_t len;
	uint64_t t;

	c = look();
	report(c.start == base && c.end == base + size && c.allocs,
	       "the disk's pool is the region of the heap",
	       "%s has %#llx-%#llx, the heap %#llx-%#llx", disk_dev, c.start, c.end, base,
	       base + size);

	if (mount("/dev/vda", "/mnt", "ext4", 0, NULL))
		quit("mount");
	before = look();
	empty_caches();
	ok = get(files[DATA], 0, 0) == RIGHT;
	empty_caches();
	direct = get(files[DATA2], STEP, O_DIRECT) == RIGHT;
	c = look();
	report(ok && direct && c.bytes - before.bytes >= 2 * data_len,
	       "reads are right and go through the pool", "%zu bytes in the files, %llu mapped",
	       2 * data_len, c.bytes - before.bytes);

	/* Every size, about half of the pool */
	for (i = 0; i < 4; i++)
		for (len = 1 << 20; len >= 4096; len /= 4)
			if (!buf_new(len))
				quit("allocation");
	used = heap_attr("used");
	left = heap_attr("available");
	held = buf_count;
	empty_caches();
	ok = get(files[DATA], 0, 0) == RIGHT;
	direct = get(files[DATA2], STEP, O_DIRECT) == RIGHT;
	wrong = bufs_wrong();
	report(ok && direct && !wrong && used && used + left <= available,
	       "reads are right beside heap buffers",
	       "%u buffers of %llu KiB, pool has %llu KiB left, %u buffers changed", held,
	       used >> 10, left >> 10, wrong);

	ok = put(files[BESIDE], BESIDE * STEP, 0) == RIGHT;
	empty_caches();
	ok = ok && get(files[BESIDE], BESIDE * STEP, O_DIRECT) == RIGHT;
	wrong = bufs_wrong();
	report(ok && !wrong, "writes are right beside heap buffers", "%u buffers changed", wrong);
	bufs_free(0);

	before = look();
	for (i = CHURN0; i <= CHURN1; i++)
		if (!fork())
			churn(i, files[i], i * STEP);
	for (t = now_ms(); now_ms() < t + 10000 || (shared->rounds < 4 && now_ms() < t + 60000); ) {
		hoard();
		times++;
		usleep(20000);
		bad += bufs_wrong();
		bufs_free(buf_count / 2);
		usleep(20000);
		bad += bufs_wrong();
		bufs_free(0);
		usleep(50000);
	}
	shared->stop = true;
	while (wait(NULL) > 0)
		;
	c = look();
	report(shared->rounds >= 4 && !shared->wrong && times >= 3 && !bad &&
	       c.failed > before.failed,
	       "I/O is right while the pool is exhausted and freed, over and over",
	       "%u times, %u files written and read, %u wrong, %u failed, %u buffers changed, %llu mappings failed",
	       times, shared->rounds, shared->wrong, shared->failed, bad,
	       c.failed - before.failed);

	prepare(files[DIRECT]);
	prepare(files[SYNCED]);
	empty_caches();
	hoard();
	held = buf_count;
	used = heap_attr("used");
	left = heap_attr("available");
	before = look();
	jobs_start(jobs, n);
	for (t = now_ms(); now_ms() < t + 3000; )
		usleep(50000);
	c = look();
	for (i = 0; i < n; i++)
		printf("demo: exhausted: %s: %s\n", jobs[i].name,
		       shared->result[i] < 0 ? "waits" : shared->result[i] == RIGHT ? "done" :
		       shared->result[i] == WRONG ? "wrong" : "error");
	waited = n - jobs_done(n, -1);
	report(!jobs_done(n, RIGHT) && !jobs_done(n, WRONG) && c.failed > before.failed,
	       "exhausted: I/O waits or fails",
	       "%u buffers of %llu KiB, pool has %llu KiB left; of %u, %u wait, %u failed; "
	       "%llu mappings failed", held, used >> 10, left >> 10, n, waited,
	       jobs_done(n, FAILED), c.failed - before.failed);
	wrong = bufs_wrong();
	report(!wrong && buf_count, "exhausted: heap buffers keep what is in them",
	       "%u of %u changed", wrong, held);

	bufs_free(0);
	t = now_ms();
	while (jobs_done(n, -1) < n && now_ms() < t + 60000)
		usleep(10000);
	report(jobs_done(n, RIGHT) + jobs_done(n, FAILED) == n && jobs_done(n, RIGHT) >= waited,
	       "freed: what waited completes and is right",
	       "%u of %u right, %u wrong, %u failed, in %.2f s", jobs_done(n, RIGHT), n,
	       jobs_done(n, WRONG), jobs_done(n, FAILED), (now_ms() - t) / 1000.0);
	if (jobs_done(n, -1) < n)
		quit("I/O still waits");
	while (wait(NULL) > 0)
		;

	/* What failed is tried again: the disk must have recovered. */
	ok = true;
	for (i = 0; i < n; i++)
		if (shared->result[i] == FAILED)
			ok = job_run(jobs + i) == RIGHT && ok;
	empty_caches();
	for (i = 0; i < FILES; i++)
		ok = get(files[i], i * STEP, 0) == RIGHT && ok;
	empty_caches();
	for (i = 0; i < FILES; i++)
		ok = get(files[i], i * STEP, O_DIRECT) == RIGHT && ok;
	report(ok, "freed: the disk works and every file is right", "%u files read twice", i);

	if (umount("/mnt"))
		quit("umount");
	sync();
	usleep(200000);
	c = look();
	left = heap_attr("available");
	report(c.mappings == c.unmaps && left == available && !heap_attr("used") &&
	       !heap_attr("buffers"), "nothing of the pool is lost",
	       "%llu KiB free before, %llu after; %llu mappings, %llu undone", available >> 10,
	       left >> 10, c.mappings, c.unmaps);
	report(c.mappings && c.allocs && !c.outside, "every DMA address is in the pool",
	       "%llu mappings, %llu allocations, %llu bytes, %llu outside", c.mappings, c.allocs,
	       c.bytes, c.outside);
}

int main(void)
{
	struct rlimit limit = { MAX_BUFFERS + 64, MAX_BUFFERS + 64 };
	char path[PATH_MAX];
	struct stat st;
	struct check c;
	int fd, ret;

	need("/dev/vda");
	need("/data");
	mkdir("/mnt", 0755);
	setrlimit(RLIMIT_NOFILE, &limit);
	setvbuf(stdout, NULL, _IOLBF, 0);

	fd = open("/data", O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		quit("/data");
	data_len = (st.st_size - FILES * STEP - 5 * 4096) & -4096;
	data = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		quit("/data");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		quit("mmap");

	/* .../DEVICE/virtio0 */
	if (!realpath("/sys/block/vda/device", path))
		quit("there is no disk");
	snprintf(disk_dev, sizeof(disk_dev), "%s", basename(dirname(path)));

	if (getenv("look")) {
		if (mount("/dev/vda", "/mnt", "ext4", MS_RDONLY, NULL))
			quit("mount");
		ret = get("/mnt/data", 0, 0);
		c = look();
		printf("look: data=%s mappings=%llu outside=%llu\n",
		       ret == RIGHT ? "right" : ret == WRONG ? "wrong" : "error", c.mappings,
		       c.outside);
		umount("/mnt");
		/* QEMU is asked as well, from time to time. */
		sleep(1);
		quit(NULL);
	}

	heap_name = getenv("heap");
	if (!heap_name)
		quit("heap= is not set");
	heap_fd = heap_open(heap_name);
	if (heap_fd < 0)
		quit(heap_name);
	cases();
	quit(NULL);
}
