// SPDX-License-Identifier: GPL-2.0
/*
 * What buffers cost, heap by heap: allocating and freeing, mapping and touching, many
 * threads, memory of the kernel's own. Heaps take turns within each round, so that whatever
 * else a machine does hits all of them.
 *
 * From the environment:
 *
 *	heaps=LABEL:NAME,...	the heaps, as they are called in the output
 *	runs=NAME,...		what to measure, see runs[] at the end
 *	rounds=N		how often
 *
 * Each line of the result is
 *	bench,RUN,LABEL,BYTES,THREADS,MEDIAN,P10,P90,UNIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "rmem-heap.h"

#define MAX_HEAPS	10
#define MAX_ROUNDS	1000
#define MAX_THREADS	8
#define LARGE_ENTRY	(2 * MIB)

/* A heap of the comparison */
struct heap {
	const char *label;
	const char *name;
	int fd;
};

static struct heap heaps[MAX_HEAPS];
static unsigned int nr_heaps;
static unsigned int rounds = 100;
static unsigned long page_size;
static int failed;

/*
 * Time, read without a system call. Where QEMU counts instructions a nanosecond is one of
 * them.
 */
static double ns_per_tick;

static uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t val;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (val) : : "memory");
	return val;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
#endif
}

static void calibrate(void)
{
#if defined(__x86_64__)
	struct timespec a, b;
	uint64_t from, to;

	clock_gettime(CLOCK_MONOTONIC, &a);
	from = ticks();
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
		to = ticks();
	} while ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec) < 50e6);
	ns_per_tick = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / (to - from);
#elif defined(__aarch64__)
	uint64_t hz;

	asm volatile("mrs %0, cntfrq_el0" : "=r" (hz));
	ns_per_tick = 1e9 / hz;
#else
	ns_per_tick = 1;
#endif
}

static void fail(const struct heap *heap, const char *what)
{
	printf("bench: %s: %s: %s\n", heap->name, what, strerror(errno));
	failed = 1;
}

/* A series of measurements, one for each round */
struct series {
	unsigned int n;
	double val[MAX_ROUNDS];
};

static void add(struct series *s, double val)
{
	if (s->n < MAX_ROUNDS)
		s->val[s->n++] = val;
}

static int cmp_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(const char *run, const struct heap *heap, unsigned long bytes,
		   unsigned int threads, struct series *s, const char *unit)
{
	if (!s->n)
		return;
	qsort(s->val, s->n, sizeof(*s->val), cmp_double);
	printf("bench,%s,%s,%lu,%u,%.0f,%.0f,%.0f,%s\n", run, heap->label, bytes, threads,
	       s->val[s->n / 2], s->val[s->n / 10], s->val[s->n * 9 / 10], unit);
}

/*
 * The heaps in another order each round: none shall always find the cache as one and the
 * same other heap left it.
 */
static const unsigned int *shuffled(void)
{
	static unsigned int order[MAX_HEAPS], seed = 20260101;
	unsigned int i, k, t;

	for (i = 0; i < nr_heaps; i++)
		order[i] = i;
	for (i = nr_heaps - 1; i > 0; i--) {
		seed = seed * 1664525 + 1013904223;
		k = (seed >> 16) % (i + 1);
		t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
	return order;
}

/* Bytes of all carveouts that wait to be cleared */
static uint64_t dirty_bytes(void)
{
	uint64_t bytes, sum = 0;
	bool known = false;
	DIR *dir = NULL;
	const char *name;

	while ((name = next_name(&dir, CLASS, ""))) {
		bytes = attribute(name, "dirty");
		if (bytes == ~0ULL)
			continue;
		sum += bytes;
		known = true;
	}
	if (!known && !failed)
		printf("bench: no carveout in " CLASS "\n");
	failed |= !known;
	return sum;
}

/* Waits until nothing is left to be cleared in the background, as it would disturb others */
static void settle(void)
{
	unsigned int tries;

	for (tries = 0; dirty_bytes(); tries++) {
		if (tries == 1000) {
			printf("bench: still something to clear\n");
			failed = 1;
			return;
		}
		usleep(200);
	}
}

static const unsigned long sizes[] = {
	4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB,
};

static bool alloc_once(struct heap *heap, unsigned long len, struct series *alloc,
		       struct series *release)
{
	uint64_t t0, t1, t2;
	int fd;

	settle();
	t0 = ticks();
	fd = heap_alloc_from(heap->fd, len);
	t1 = ticks();
	if (fd < 0) {
		fail(heap, "allocating");
		return false;
	}
	close(fd);
	t2 = ticks();
	if (alloc) {
		add(alloc, (t1 - t0) * ns_per_tick);
		add(release, (t2 - t1) * ns_per_tick);
	}
	return true;
}

/* One buffer, allocated and freed; memory that was freed before has been cleared */
static void run_alloc(void)
{
	static struct series alloc[MAX_HEAPS][ARRAY_SIZE(sizes)];
	static struct series release[MAX_HEAPS][ARRAY_SIZE(sizes)];
	const unsigned int *order;
	unsigned int i, k, r, h;

	memset(alloc, 0, sizeof(alloc));
	memset(release, 0, sizeof(release));
	/* Sizes are compared, too, so they are within the round. The first one warms up. */
	for (r = 0; r <= rounds; r++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			order = shuffled();
			for (k = 0; k < nr_heaps; k++) {
				h = order[k];
				if (!alloc_once(&heaps[h], sizes[i], r ? &alloc[h][i] : NULL,
						&release[h][i]))
					return;
			}
		}
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (h = 0; h < nr_heaps; h++) {
			report("alloc", &heaps[h], sizes[i], 1, &alloc[h][i], "ns");
			report("free", &heaps[h], sizes[i], 1, &release[h][i], "ns");
		}
	}
}

/* The same without a pause: what is freed has to be cleared before it can be had again */
static void run_sustained(void)
{
	static struct series loop[MAX_HEAPS];
	const unsigned int batch = 32;
	const unsigned long len = 8 * MIB;
	const unsigned int *order;
	unsigned int h, r, i, k;
	uint64_t t0;
	int fd;

	memset(loop, 0, sizeof(loop));
	for (r = 0; r <= rounds / 10 + 1; r++) {
		order = shuffled();
		for (k = 0; k < nr_heaps; k++) {
			h = order[k];
			settle();
			t0 = ticks();
			for (i = 0; i < batch; i++) {
				fd = heap_alloc_from(heaps[h].fd, len);
				if (fd < 0) {
					fail(&heaps[h], "allocating");
					return;
				}
				close(fd);
			}
			if (r)
				add(&loop[h], (ticks() - t0) * ns_per_tick / batch);
		}
	}
	for (h = 0; h < nr_heaps; h++)
		report("sustained", &heaps[h], len, 1, &loop[h], "ns");
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Maps a buffer where the kernel wants to, or where no large entry can be used */
static uint8_t *map(int fd, unsigned long len, bool small)
{
	static uint8_t *area;

	if (!small)
		return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (!area) {
		area = mmap(NULL, 16 * MIB, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (area == MAP_FAILED)
			return area;
		area = (void *)(((uintptr_t)area + LARGE_ENTRY - 1) & ~(LARGE_ENTRY - 1));
		area += page_size;
	}
	return mmap(area, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

/* A fresh mapping, and a write to every page of it */
static void run_map(const char *run, bool small)
{
	static struct series touch[MAX_HEAPS], unmap[MAX_HEAPS], fault[MAX_HEAPS];
	const unsigned int *order;
	unsigned int i, r, k, h;
	int fds[MAX_HEAPS];
	uint64_t t0, t1, t2;
	char name[32];
	uint8_t *mem;
	size_t pos;
	long before;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(touch, 0, sizeof(touch));
		memset(unmap, 0, sizeof(unmap));
		memset(fault, 0, sizeof(fault));
		for (h = 0; h < nr_heaps; h++) {
			fds[h] = heap_alloc_from(heaps[h].fd, sizes[i]);
			if (fds[h] < 0) {
				fail(&heaps[h], "allocating");
				return;
			}
		}
		settle();
		for (r = 0; r <= rounds / 4 + 1; r++) {
			order = shuffled();
			for (k = 0; k < nr_heaps; k++) {
				h = order[k];
				before = faults();
				t0 = ticks();
				mem = map(fds[h], sizes[i], small);
				if (mem == MAP_FAILED) {
					fail(&heaps[h], "mapping");
					return;
				}
				for (pos = 0; pos < sizes[i]; pos += page_size)
					__atomic_store_n(mem + pos, r, __ATOMIC_RELAXED);
				t1 = ticks();
				if (r)
					add(&fault[h], faults() - before);
				t2 = ticks();
				munmap(mem, sizes[i]);
				if (r) {
					add(&touch[h], (t1 - t0) * ns_per_tick);
					add(&unmap[h], (ticks() - t2) * ns_per_tick);
				}
				/* Nobody else may move in there. */
				if (small)
					mmap(mem, sizes[i], PROT_NONE, MAP_PRIVATE | MAP_FIXED |
					     MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			}
		}
		for (h = 0; h < nr_heaps; h++) {
			report(run, &heaps[h], sizes[i], 1, &touch[h], "ns");
			snprintf(name, sizeof(name), "un%s", run);
			report(name, &heaps[h], sizes[i], 1, &unmap[h], "ns");
			snprintf(name, sizeof(name), "%s-faults", run);
			report(name, &heaps[h], sizes[i], 1, &fault[h], "faults");
			close(fds[h]);
		}
	}
}

static void run_map_any(void)
{
	run_map("map", false);
}

static void run_map_small(void)
{
	run_map("map-small", true);
}

/* Threads that allocate and free 64 KiB each, as fast as they can */
static bool stop;
static pthread_barrier_t barrier;

struct worker {
	pthread_t thread;
	const struct heap *heap;
	unsigned long done;
};

static void *work(void *data)
{
	struct worker *w = data;
	int fd;

	w->done = 0;
	pthread_barrier_wait(&barrier);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		fd = heap_alloc_from(w->heap->fd, 64 * KIB);
		if (fd < 0) {
			fail(w->heap, "allocating");
			break;
		}
		close(fd);
		w->done++;
	}
	return NULL;
}

/* Buffers a second that n threads get, from the first of nr heaps or from all in turn */
static double threads_once(const struct heap *first, unsigned int nr, unsigned int n)
{
	struct worker workers[MAX_THREADS];
	struct timespec slice = { .tv_nsec = 200000000 };
	unsigned long done = 0;
	unsigned int i;
	uint64_t t0;
	double ns;

	settle();
	stop = false;
	pthread_barrier_init(&barrier, NULL, n + 1);
	for (i = 0; i < n; i++) {
		workers[i].heap = first + i % nr;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			fail(first, "starting a thread");
			exit(1);
		}
	}
	pthread_barrier_wait(&barrier);
	t0 = ticks();
	nanosleep(&slice, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ns = (ticks() - t0) * ns_per_tick;
	for (i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	pthread_barrier_destroy(&barrier);
	return done / ns * 1e9;
}

static void run_threads(void)
{
	static const unsigned int counts[] = { 1, 2, 4, 8 };
	static struct series one[MAX_HEAPS][ARRAY_SIZE(counts)], all[ARRAY_SIZE(counts)];
	static const struct heap several = { .label = "several" };
	unsigned int r, h, c, i;

	memset(one, 0, sizeof(one));
	memset(all, 0, sizeof(all));
	for (r = 0; r < 15; r++) {
		for (h = 0; h < nr_heaps; h++)
			for (i = 0; i < ARRAY_SIZE(counts); i++) {
				c = (i + r) % ARRAY_SIZE(counts);
				add(&one[h][c], threads_once(&heaps[h], 1, counts[c]));
			}
		for (c = 0; c < ARRAY_SIZE(counts); c++)
			add(&all[c], threads_once(heaps, nr_heaps, counts[c]));
	}
	for (c = 0; c < ARRAY_SIZE(counts); c++) {
		for (h = 0; h < nr_heaps; h++)
			report("threads", &heaps[h], 64 * KIB, counts[c], &one[h][c], "1/s");
		report("threads", &several, 64 * KIB, counts[c], &all[c], "1/s");
	}
}

/*
 * What the kernel has allocated for the exporters: by the files that did, for which
 * CONFIG_MEM_ALLOC_PROFILING and sysctl.vm.mem_profiling=1 are needed
 */
static double exporter_bytes(void)
{
	unsigned long long bytes;
	double sum = 0;
	char line[512];
	FILE *f;

	f = fopen("/proc/allocinfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if ((strstr(line, "dma-buf/heaps/") || strstr(line, "dma/rmem_heap")) &&
		    sscanf(line, "%llu", &bytes) == 1)
			sum += bytes;
	if (f)
		fclose(f);
	return sum;
}

static void run_metadata(void)
{
	static const unsigned long lens[] = { 256 * KIB, MIB, 8 * MIB };
	static struct series bytes[MAX_HEAPS];
	unsigned int i, r, h, n, k;
	int fds[256];
	double before;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(bytes, 0, sizeof(bytes));
		n = 48 * MIB / lens[i];
		for (r = 0; r < 3; r++) {
			for (h = 0; h < nr_heaps; h++) {
				settle();
				before = exporter_bytes();
				for (k = 0; k < n; k++) {
					fds[k] = heap_alloc_from(heaps[h].fd, lens[i]);
					if (fds[k] < 0) {
						fail(&heaps[h], "allocating");
						return;
					}
				}
				add(&bytes[h], (exporter_bytes() - before) / n);
				for (k = 0; k < n; k++)
					close(fds[k]);
			}
		}
		for (h = 0; h < nr_heaps; h++)
			report("metadata", &heaps[h], lens[i], 1, &bytes[h], "bytes");
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} runs[] = {
	{ "alloc", run_alloc },
	{ "sustained", run_sustained },
	{ "map", run_map_any },
	{ "map-small", run_map_small },
	{ "threads", run_threads },
	{ "metadata", run_metadata },
};

static void open_heaps(char *list)
{
	char *word, *colon;
	struct heap *heap;

	for (word = strtok(list, ","); word && nr_heaps < MAX_HEAPS; word = strtok(NULL, ",")) {
		heap = &heaps[nr_heaps];
		colon = strchr(word, ':');
		if (!colon) {
			printf("bench: heaps=%s: it must be LABEL:NAME\n", word);
			failed = 1;
			continue;
		}
		*colon = '\0';
		heap->label = word;
		heap->name = colon + 1;
		heap->fd = heap_open(heap->name);
		if (heap->fd < 0) {
			printf("bench: " HEAPS "/%s: %s\n", heap->name, strerror(errno));
			failed = 1;
			continue;
		}
		nr_heaps++;
	}
}

int main(void)
{
	const char *env;
	char *which, *word, *rest;
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);

	page_size = sysconf(_SC_PAGESIZE);
	calibrate();
	env = getenv("rounds");
	if (env && atoi(env) > 0 && atoi(env) < MAX_ROUNDS)
		rounds = atoi(env);
	env = getenv("heaps");
	open_heaps(strdup(env ? env : "system:system"));

	env = getenv("runs");
	which = strdup(env ? env : "alloc,map");
	for (word = strtok_r(which, ",", &rest); word && nr_heaps;
	     word = strtok_r(NULL, ",", &rest)) {
		for (i = 0; i < ARRAY_SIZE(runs); i++)
			if (!strcmp(word, runs[i].name))
				break;
		if (i == ARRAY_SIZE(runs)) {
			printf("bench: runs=%s: there is no such run\n", word);
			failed = 1;
			continue;
		}
		printf("bench: %s\n", word);
		runs[i].run();
	}

	printf("bench: %s\n", failed ? "failed" : "done");
	return failed;
}
