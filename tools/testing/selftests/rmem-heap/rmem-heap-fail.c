// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap-fail - every allocation of every path fails, one after the other. Prints TAP.
 *
 * For a machine of its own, OWN_MACHINE. What a program can do with heaps, with buffers, with
 * devices that import them and with drivers that export regions is done again and again, while the
 * kernel makes its first, second, third, ... allocation fail (/proc/thread-self/fail-nth),
 * until it runs through. Each time it must fail with ENOMEM or not at all, what the region
 * has must be as before, and after that it must work.
 *
 * From the environment:
 *
 *	only=TEXT	just the paths with this in their names
 *	break=WHAT	to see that the checks can fail: `leak` keeps buffers, `errno` expects
 *			another one, `off` injects nothing
 *	first=N		just drivers that make the heap of their region: with the first one
 *			allocation number N + 1 fails, with the next one the next, ...
 *	functions=1	by fail_function instead: functions that heaps call fail, one after the
 *			other, in all of the paths
 *	boot=1		say which heaps there are and whether they work, no more; for boots
 *			in which an allocation failed
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rmem-heap-debug.h"
#include "rmem_heap_consumer.h"

#define BUS		"/sys/bus/platform"
#define DRIVER		BUS "/drivers/rmem-heap-sample"
#define FAIL_FUNCTION	DEBUGFS "/fail_function"
#define GROUPS		"/sys/fs/cgroup"

#define PAGE		4096UL
#define MAP_LEN		(8 * PAGE)
#define MOST		2000	/* more allocations than any path has */

struct heap {
	char name[256];
	uint64_t size;
	bool visible, chains;
};

/* What a heap's folder in sysfs says, and what is in it */
struct state {
	uint64_t used, buffers, available, files;
};

static struct heap heaps[64];
static unsigned int nr_heaps;
static char consumers[32][280];
static unsigned int nr_consumers;
static char drivers[32][64];
static unsigned int nr_drivers;

/* What a path works on */
struct work {
	const struct heap *heap;
	const char *consumer;
	const char *driver;
	char file[700];
	uint64_t len;
	int heap_fd, fd, fence, consumer_fd;
	char *mem, *place;
};

/*
 * A path. @run is what the failures are injected into, it returns 0 or a negative errno;
 * @prepare and @undo are not. @also: an errno that it may fail with besides ENOMEM.
 */
struct path {
	int (*prepare)(struct work *w);
	int (*run)(struct work *w);
	void (*undo)(struct work *w);
	int also;
	const char *no_points;	/* why it allocates nothing */
};

struct sum {
	unsigned int points, failed, done;
	bool ok;
	int refused;
};

/*
 * What fail_function makes fail: what it returns instead, and what a program gets then. Odd
 * errnos are those that have to arrive as they are. @times: from then on, how often; who
 * fails once may be asked again, for less. @must: a heap cannot do without it.
 */
static const struct function {
	const char *name;
	long retval;
	int err;
	unsigned int times;
	bool must;
} functions[] = {
	{ "should_fail_alloc_page", 1, ENOMEM, 1, false },
	{ "cma_alloc", 0, ENOMEM, 1, true },
	{ "swiotlb_alloc", 0, ENOMEM, 1, false },
	{ "swiotlb_alloc", 0, ENOMEM, MOST, true },
	{ "dma_alloc_attrs", 0, ENOMEM, 1, true },
	/* A limit is what it means, and no reason to try again. */
	{ "dmem_cgroup_try_charge", -EAGAIN, ENOMEM, 1, true },
	{ "dma_buf_export", -ENFILE, ENFILE, 1, true },
	{ "sg_alloc_table", -ENOMEM, ENOMEM, 1, true },
	{ "dma_map_sgtable", -EREMOTEIO, EREMOTEIO, 1, true },
	/* DMA_MAPPING_ERROR, which has no reason */
	{ "dma_map_phys", -1, ENOMEM, 1, true },
	{ "apply_to_page_range", -EBUSY, EBUSY, 1, true },
	{ "vmap", 0, ENOMEM, 1, true },
};

static const struct function *function;	/* NULL: allocations, by fail-nth */
static unsigned int function_paths;	/* in which it has failed */
static int probability_fd, times_fd, space_fd;

static int nth_fd;
static unsigned long all_points, all_failed;
static const char *broken = "", *only = "";

static unsigned int entries(const char *path)
{
	unsigned int n = 0;
	DIR *dir = NULL;

	while (next_name(&dir, path, ""))
		n++;
	return n;
}

static struct state state_of(const struct heap *heap)
{
	struct state state = { 0 };
	char path[400];

	if (!heap)
		return state;
	state.used = attribute(heap->name, "used");
	state.buffers = attribute(heap->name, "buffers");
	state.available = attribute(heap->name, "available");
	snprintf(path, sizeof(path), CLASS "/%s", heap->name);
	state.files = entries(path);
	return state;
}

/* What is freed with the last reference may be so a moment later. */
static bool same_state(const struct heap *heap, const struct state *before)
{
	unsigned int tries = 100;
	struct state now;

	do {
		now = state_of(heap);
		if (!memcmp(&now, before, sizeof(now)))
			return true;
		usleep(10000);
	} while (--tries);
	printf("# %s: used %lld, buffers %lld, available %lld, files %d more than before\n",
	       heap->name, (long long)(now.used - before->used),
	       (long long)(now.buffers - before->buffers),
	       (long long)(now.available - before->available),
	       (int)(now.files - before->files));
	return false;
}

/* --- injecting -------------------------------------------------------------------------------- */

static void put_number(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (write(fd, text, len) != len)
		printf("# injecting: %s\n", strerror(errno));
}

/* What is left of the failures. Files of fail_function cannot seek. */
static unsigned int get_left(void)
{
	int fd = function ? open(FAIL_FUNCTION "/times", O_RDONLY | O_CLOEXEC) : nth_fd;
	char text[16] = "";

	if ((function ? read(fd, text, sizeof(text) - 1) :
			pread(fd, text, sizeof(text) - 1, 0)) <= 0)
		printf("# injecting: %s\n", strerror(errno));
	if (function)
		close(fd);
	return strtoul(text, NULL, 10);
}

/* The last of these writes is what turns it on, and the first of disarm() off. */
static void arm(unsigned int n)
{
	if (!strcmp(broken, "off"))
		return;
	if (!function) {
		put_number(nth_fd, n);
		return;
	}
	/* It lets pass while there is more than one. */
	put_number(space_fd, n);
	put_number(times_fd, function->times);
	put_number(probability_fd, n ? 100 : 0);
}

/* Has it been injected? */
static bool disarm(unsigned int n)
{
	unsigned int left;

	if (function)
		put_number(probability_fd, 0);
	left = get_left();
	if (!function)
		put_number(nth_fd, 0);
	return n && strcmp(broken, "off") && left < (function ? function->times : 1);
}

static bool allowed(const struct path *path, int ret, int refused)
{
	if (!strcmp(broken, "errno"))
		return ret == -ENOTTY;
	return ret == (function ? -function->err : -ENOMEM) || (path->also && ret == -path->also) ||
	       (refused && ret == refused);
}

/* Once, with the nth allocation failing; true if there was one */
static bool once(const struct path *path, struct work *w, unsigned int n, struct sum *sum)
{
	struct state before = state_of(w->heap);
	bool hit;
	int ret = path->prepare ? path->prepare(w) : 0;

	if (ret) {
		printf("# before %u: %s\n", n, strerror(-ret));
		sum->ok = false;
		return false;
	}
	arm(n);
	ret = path->run(w);
	hit = disarm(n);
	if (strcmp(broken, "leak"))
		path->undo(w);

	sum->points += hit;
	if (hit && ret < 0)
		sum->failed++;
	if (hit && !ret)
		sum->done++;
	if (hit ? ret && !allowed(path, ret, sum->refused) : ret != sum->refused) {
		printf("# %u, %s: %s\n", n, hit ? "failing" : "not failing",
		       ret ? strerror(-ret) : "works");
		sum->ok = false;
	}
	if (hit && !ret && w->heap && function && function->must) {
		printf("# %u: works without\n", n);
		sum->ok = false;
	}
	if (w->heap && !same_state(w->heap, &before)) {
		printf("# after %u (%s)\n", n, ret ? strerror(-ret) : "works");
		sum->ok = false;
	}
	return hit;
}

/* What is refused whatever fails, such as an import that does not reach: sum.refused */
static struct sum try_all(const struct path *path, struct work *w, bool may_be_refused)
{
	struct sum sum = { .ok = true };
	unsigned int n;

	if (may_be_refused) {
		if (!path->prepare || !path->prepare(w))
			sum.refused = path->run(w);
		path->undo(w);
	}
	for (n = 1; n < MOST && once(path, w, n, &sum) && sum.ok; n++)
		;
	if (n == MOST)
		sum.ok = false;
	once(path, w, 0, &sum);
	return sum;
}

static void add(struct sum *to, struct sum more)
{
	to->points += more.points;
	to->failed += more.failed;
	to->done += more.done;
	to->ok &= more.ok;
	to->refused = more.refused;
}

static void report(const struct path *path, const struct sum *sum, const char *name)
{
	bool ok = sum->ok && (path->no_points ? !sum->points : sum->points);

	all_points += sum->points;
	all_failed += sum->failed;
	if (function) {
		/* Not every path calls it. */
		function_paths += !!sum->points;
		if (sum->points || !sum->ok)
			result(sum->ok, "%s%s: %s: %u points, %u failed, %u went on without",
			       function->name, function->times > 1 ? " from then on" : "",
			       name, sum->points, sum->failed, sum->done);
		return;
	}
	if (path->no_points)
		result(ok, "%s: %u points: %s", name, sum->points, path->no_points);
	else if (sum->refused)
		result(ok, "%s: %u points, refused (%s)", name, sum->points,
		       strerror(-sum->refused));
	else
		result(ok, "%s: %u points, %u failed, %u went on without", name, sum->points,
		       sum->failed, sum->done);
}

static bool wanted(const char *name)
{
	return strstr(name, only);
}

static void test(const struct path *path, struct work *w, const char *fmt, const char *a,
		 const char *b, bool may_be_refused)
{
	char name[700];
	struct sum sum;

	snprintf(name, sizeof(name), fmt, a, b);
	if (!wanted(name))
		return;
	sum = try_all(path, w, may_be_refused);
	report(path, &sum, name);
}

/* --- heaps and buffers ------------------------------------------------------------------------ */

static int open_heap(struct work *w)
{
	w->heap_fd = heap_open(w->heap->name);
	return w->heap_fd < 0 ? w->heap_fd : 0;
}

static void close_heap(struct work *w)
{
	if (w->heap_fd >= 0)
		close(w->heap_fd);
	w->heap_fd = -1;
}

static int alloc(struct work *w)
{
	w->fd = heap_alloc_from(w->heap_fd, w->len);
	return w->fd < 0 ? w->fd : 0;
}

static void put(struct work *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	close_heap(w);
}

static int get(struct work *w)
{
	int ret = open_heap(w);

	return ret ? ret : alloc(w);
}

/* A place whose page tables are not there yet */
static char *new_place(void)
{
	char *mem = mmap(NULL, 1024 * MIB, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	munmap(mem, 1024 * MIB);
	return (char *)(((uintptr_t)mem + 512 * MIB) & ~(16 * MIB - 1));
}

/* The smallest heap has 64 KiB. */
static int get_small(struct work *w)
{
	w->len = MAP_LEN;
	w->mem = MAP_FAILED;
	w->place = new_place();
	return w->place ? get(w) : -errno;
}

static int map(struct work *w)
{
	w->mem = mmap(w->place, MAP_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      w->fd, 0);
	return w->mem == MAP_FAILED ? -errno : 0;
}

static int get_mapped(struct work *w)
{
	int ret = get_small(w);

	return ret ? ret : map(w);
}

static void unmap(struct work *w)
{
	if (w->mem != MAP_FAILED)
		munmap(w->mem, MAP_LEN);
	w->mem = MAP_FAILED;
	put(w);
}

static int get_torn(struct work *w)
{
	int ret = get_mapped(w);

	return ret ? ret : munmap(w->mem + PAGE, PAGE) ? -errno : 0;
}

static int touch(struct work *w)
{
	unsigned long at;

	for (at = 0; at < MAP_LEN; at += PAGE)
		if (at != PAGE)
			__atomic_fetch_add((int *)(w->mem + at), 1, __ATOMIC_RELAXED);
	return 0;
}

static int tear(struct work *w)
{
	return munmap(w->mem + PAGE, PAGE) ? -errno : 0;
}

static int protect(struct work *w)
{
	return mprotect(w->mem + PAGE, PAGE, PROT_READ) ? -errno : 0;
}

static int move(struct work *w)
{
	void *mem = mremap(w->mem, MAP_LEN, MAP_LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   w->place + 8 * MIB);

	if (mem == MAP_FAILED)
		return -errno;
	w->mem = mem;
	return 0;
}

static int share(struct work *w)
{
	pid_t pid = fork();
	int status;

	(void)w;
	if (pid < 0)
		return -errno;
	/* The child may get the failure of fail_function, and be gone. */
	if (!pid)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || status)
		return -ECHILD;
	return 0;
}

static int sync_both(struct work *w)
{
	int ret = sync_cpu(w->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);

	return ret ?: sync_cpu(w->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static int set_name(struct work *w)
{
	return ioctl(w->fd, DMA_BUF_SET_NAME_B, "frame") ? -errno : 0;
}

static int export_fence(struct work *w)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW };

	w->fence = -1;
	if (ioctl(w->fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out))
		return -errno;
	w->fence = out.fd;
	return 0;
}

static void put_fence(struct work *w)
{
	if (w->fence >= 0)
		close(w->fence);
	put(w);
}

static int get_fence(struct work *w)
{
	int ret = get_small(w);

	return ret ? ret : export_fence(w);
}

static int import_fence(struct work *w)
{
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_RW, .fd = w->fence };

	return ioctl(w->fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in) ? -errno : 0;
}

static int read_it(struct work *w)
{
	char text[8192];
	int fd = open(w->file, O_RDONLY | O_CLOEXEC), err;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text, sizeof(text));
		err = errno;
	} while (n > 0);
	close(fd);
	return n < 0 ? -err : 0;
}

static int get_info(struct work *w)
{
	int ret = get_small(w);

	snprintf(w->file, sizeof(w->file), "/proc/self/fdinfo/%d", w->fd);
	return ret;
}

static void nothing(struct work *w)
{
	(void)w;
}

static int get_ready(struct work *w)
{
	w->fd = -1;
	return open_heap(w);
}

/* A control group that has never had anything of the region */
static int get_group(struct work *w)
{
	if (mkdir(GROUPS "/new", 0755) || !write_text(GROUPS "/new/cgroup.procs", "0"))
		return -errno;
	w->len = PAGE;
	return get_ready(w);
}

static void put_group(struct work *w)
{
	put(w);
	write_text(GROUPS "/cgroup.procs", "0");
	rmdir(GROUPS "/new");
}

static const struct path paths_all[] = {
	{ NULL, open_heap, close_heap, 0, NULL },
	{ get_ready, alloc, put, 0, NULL },
	{ get_small, set_name, put, 0, NULL },
	{ get_small, export_fence, put_fence, 0, NULL },
	{ get_fence, import_fence, put_fence, 0, NULL },
	/* What proc says when it has no inode for the file */
	{ get_info, read_it, put, ENOENT, NULL },
};

static const char * const names_all[] = {
	"open", "allocate", "set a name", "export a sync file", "import a sync file",
	"read fdinfo",
};

static const struct path paths_visible[] = {
	{ get_small, map, unmap, 0, NULL },
	{ get_mapped, tear, unmap, 0, NULL },
	{ get_torn, touch, unmap, 0, "a mapping is filled when it is made" },
	{ get_mapped, protect, unmap, 0, NULL },
	{ get_mapped, move, unmap, 0, NULL },
	{ get_mapped, share, unmap, EAGAIN, NULL },
	{ get_small, sync_both, put, 0, "nothing is allocated for a sync" },
};

static const char * const names_visible[] = {
	"mmap", "unmap a part", "use what is left of it", "mprotect a part", "mremap", "fork",
	"sync",
};

static void test_heap(const struct heap *heap)
{
	struct work w = { .heap = heap, .fd = -1, .heap_fd = -1, .fence = -1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(paths_all); i++) {
		w.len = PAGE;
		test(&paths_all[i], &w, "%s: %s", heap->name, names_all[i], false);
		if (paths_all[i].run != alloc || heap->size < 2 * MIB)
			continue;
		/* In the modes that make chains, a long one */
		w.len = MIB + 3 * PAGE;
		test(&paths_all[i], &w, "%s: %s 1 MiB", heap->name, names_all[i], false);
	}
	for (i = 0; heap->visible && i < ARRAY_SIZE(paths_visible); i++)
		test(&paths_visible[i], &w, "%s: %s", heap->name, names_visible[i], false);
}

/* --- devices ---------------------------------------------------------------------------------- */

static int open_consumer(struct work *w)
{
	w->consumer_fd = open(w->consumer, O_RDWR | O_CLOEXEC);
	return w->consumer_fd < 0 ? -errno : 0;
}

static void close_consumer(struct work *w)
{
	if (w->consumer_fd >= 0)
		close(w->consumer_fd);
	w->consumer_fd = -1;
}

static int get_for_import(struct work *w)
{
	int ret;

	w->len = w->heap->size < 2 * MIB ? w->heap->size : 2 * MIB;
	ret = get(w);
	if (!ret)
		ret = open_consumer(w);
	return ret;
}

static int import(struct work *w)
{
	struct rmem_consumer_map map = { .fd = w->fd };

	return ioctl(w->consumer_fd, RMEM_CONSUMER_MAP, &map) ? -errno : 0;
}

static void put_import(struct work *w)
{
	close_consumer(w);
	put(w);
}

static int get_imported(struct work *w)
{
	int ret = get_for_import(w);

	return ret ? ret : import(w);
}

static int let_go(struct work *w)
{
	return ioctl(w->consumer_fd, RMEM_CONSUMER_UNMAP) ? -errno : 0;
}

static int get_for_vmap(struct work *w)
{
	int ret;

	/* In the mode that makes chains, one of two */
	w->len = w->heap->chains ? 256 * 1024 + MAP_LEN : MAP_LEN;
	ret = get(w);
	return ret ? ret : open_consumer(w);
}

static int driver_vmap(struct work *w)
{
	struct rmem_consumer_vmap map = { .fd = w->fd };

	return ioctl(w->consumer_fd, RMEM_CONSUMER_VMAP, &map) ? -errno : 0;
}

static int device_alloc(struct work *w)
{
	struct rmem_consumer_alloc alloc = { .len = w->len };

	return ioctl(w->consumer_fd, RMEM_CONSUMER_ALLOC, &alloc) ? -errno : 0;
}

static void test_imports(const struct heap *heap)
{
	static const struct path importing = { get_for_import, import, put_import, 0, NULL };
	static const struct path syncing = {
		get_imported, sync_both, put_import, 0, "nothing is allocated for a sync",
	};
	static const struct path giving_back = {
		get_imported, let_go, put_import, 0, "nothing is allocated to give up",
	};
	static const struct path vmapping = { get_for_vmap, driver_vmap, put_import, 0, NULL };
	static const struct path vmapping_one = {
		get_for_vmap, driver_vmap, put_import, 0, "what is in one piece is mapped already",
	};
	struct work w = { .heap = heap, .fd = -1, .heap_fd = -1, .consumer_fd = -1 };
	unsigned int i;
	int ret;

	w.consumer = consumers[0];
	if (heap->visible && nr_consumers)
		test(heap->chains ? &vmapping : &vmapping_one, &w, "%s: vmap by a driver%s",
		     heap->name, "", false);
	for (i = 0; i < nr_consumers; i++) {
		w.consumer = consumers[i];
		test(&importing, &w, "%s: import by %s", heap->name, consumers[i] + 19, true);
		/* The rest only where that works */
		ret = get_imported(&w);
		put_import(&w);
		if (ret)
			continue;
		if (heap->visible)
			test(&syncing, &w, "%s: sync with %s", heap->name, consumers[i] + 19,
			     false);
		test(&giving_back, &w, "%s: given back by %s", heap->name, consumers[i] + 19,
		     false);
	}
}

static void test_devices(void)
{
	static const struct path opening = { NULL, open_consumer, close_consumer, 0, NULL };
	static const struct path allocating = {
		open_consumer, device_alloc, close_consumer, 0, NULL,
	};
	struct work w = { .consumer_fd = -1, .len = 64 * 1024 };
	unsigned int i;

	for (i = 0; i < nr_consumers; i++) {
		w.consumer = consumers[i];
		test(&opening, &w, "%s: open%s", consumers[i] + 5, "", false);
		test(&allocating, &w, "%s: allocate%s", consumers[i] + 5, "", true);
	}
}

/* --- drivers ---------------------------------------------------------------------------------- */

static bool is_bound(const char *driver)
{
	char link[200];

	snprintf(link, sizeof(link), DRIVER "/%s", driver);
	return !access(link, F_OK);
}

static int bind_driver(struct work *w)
{
	return write_text(DRIVER "/bind", w->driver) ? 0 : -errno;
}

static int unbind_driver(struct work *w)
{
	return write_text(DRIVER "/unbind", w->driver) ? 0 : -errno;
}

static void make_unbound(struct work *w)
{
	if (is_bound(w->driver))
		unbind_driver(w);
}

static int prepare_bound(struct work *w)
{
	return is_bound(w->driver) ? 0 : bind_driver(w);
}

/* The heap of a driver's region, from the link that the driver's device has */
static const struct heap *heap_of(const char *driver)
{
	const struct heap *heap = NULL;
	DIR *dir = NULL;
	const char *name;
	char path[300];
	unsigned int i;

	snprintf(path, sizeof(path), BUS "/devices/%s", driver);
	while ((name = next_name(&dir, path, "rmem_heap:")))
		for (i = 0; i < nr_heaps; i++)
			if (!strcmp(name + 10, heaps[i].name))
				heap = &heaps[i];
	return heap;
}

static void test_driver(const char *driver)
{
	static const struct path binding = { NULL, bind_driver, make_unbound, 0, NULL };
	static const struct path unbinding = {
		prepare_bound, unbind_driver, make_unbound, 0, NULL,
	};
	struct work w = { .driver = driver, .heap = heap_of(driver) };

	if (!w.heap) {
		result(false, "%s: bound, with a link to its heap", driver);
		return;
	}
	make_unbound(&w);
	test(&binding, &w, "%s: bind%s", driver, "", false);
	test(&unbinding, &w, "%s: unbind%s", driver, "", false);
	result(!bind_driver(&w), "%s: bound again", driver);
}

/* --- files ------------------------------------------------------------------------------------ */

static void test_files(void)
{
	static const char * const attributes[] = {
		"mode", "size", "base", "exported_by", "reason", "allocator", "used", "peak",
		"buffers", "largest_free", "dirty", "lost", "available", "alignment",
		"max_buffer", "cpu_access", "uevent",
	};
	static const char * const files[] = {
		DEBUGFS "/rmem_heap/map", DEBUGFS "/dma_buf/bufinfo",
		"/sys/module/rmem_heap/parameters/export",
	};
	static const struct path reading = { NULL, read_it, nothing, 0, NULL };
	struct work w = { 0 };
	unsigned int i, h;

	for (i = 0; i < ARRAY_SIZE(attributes); i++) {
		struct sum sum = { .ok = true };
		char name[100];

		snprintf(name, sizeof(name), "sysfs: read %s of all heaps", attributes[i]);
		if (!wanted(name))
			continue;
		for (h = 0; h < nr_heaps; h++) {
			snprintf(w.file, sizeof(w.file), CLASS "/%s/%s", heaps[h].name,
				 attributes[i]);
			if (!access(w.file, F_OK))
				add(&sum, try_all(&reading, &w, false));
		}
		report(&reading, &sum, name);
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(w.file, sizeof(w.file), "%s", files[i]);
		test(&reading, &w, "read %s%s", files[i], "", false);
	}
}

/* --- setting up ------------------------------------------------------------------------------- */

/* The heaps, and those that have come since */
static void find_heaps(void)
{
	struct heap *heap;
	DIR *dir = NULL;
	const char *name;
	unsigned int i;

	while ((name = next_name(&dir, CLASS, "")) && nr_heaps < ARRAY_SIZE(heaps)) {
		heap = &heaps[nr_heaps];
		if (!attribute_text(name, "cpu_access"))
			continue;
		snprintf(heap->name, sizeof(heap->name), "%.255s", name);
		heap->visible = !attribute_is(name, "cpu_access", "none");
		heap->chains = attribute_is(name, "mode", "restricted");
		heap->size = attribute(name, "size");
		for (i = 0; i < nr_heaps && strcmp(heaps[i].name, heap->name); i++)
			;
		if (i == nr_heaps)
			nr_heaps++;
	}
}

static void find_devices(void)
{
	DIR *dir = NULL, *bound = NULL;
	const char *name;

	while ((name = next_name(&dir, "/dev", "rmem-consumer-")) &&
	       nr_consumers < ARRAY_SIZE(consumers))
		snprintf(consumers[nr_consumers++], sizeof(*consumers), "/dev/%.255s", name);
	while ((name = next_name(&bound, DRIVER, "sample-")) && nr_drivers < ARRAY_SIZE(drivers))
		snprintf(drivers[nr_drivers++], sizeof(*drivers), "%.60s", name);
	printf("# %u heaps, %u consumers, %u drivers\n", nr_heaps, nr_consumers, nr_drivers);
}

static void set_up_injection(void)
{
	bool ok = allow_failures();

	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	result(ok && nth_fd >= 0, "failures can be injected");
	if (getenv("functions")) {
		ok = write_text(FAIL_FUNCTION "/verbose", "0") &&
		     write_text(FAIL_FUNCTION "/task-filter", "Y") &&
		     write_text("/proc/self/make-it-fail", "1");
		probability_fd = open(FAIL_FUNCTION "/probability", O_RDWR | O_CLOEXEC);
		times_fd = open(FAIL_FUNCTION "/times", O_RDWR | O_CLOEXEC);
		space_fd = open(FAIL_FUNCTION "/space", O_RDWR | O_CLOEXEC);
		result(ok && probability_fd >= 0 && times_fd >= 0 && space_fd >= 0,
		       "functions can be made to fail");
	}

	if (!write_text(GROUPS "/cgroup.subtree_control", "+dmem"))
		result(false, "there are control groups");
}

/* One buffer of each heap, for boots that went wrong somewhere */
static void show_boot(void)
{
	struct work w = { .len = PAGE, .fd = -1, .heap_fd = -1 };
	unsigned int i;
	int ret;

	for (i = 0; i < nr_heaps; i++) {
		w.heap = &heaps[i];
		ret = get(&w);
		put(&w);
		printf("heap: %s %s\n", heaps[i].name, ret ? strerror(-ret) : "works");
	}
	printf("heaps: done\n");
}

static void test_all(void)
{
	static const struct path in_group = { get_group, alloc, put_group, 0, NULL };
	struct work w = { .fd = -1, .heap_fd = -1 };
	unsigned int i;

	for (i = 0; i < nr_drivers; i++)
		test_driver(drivers[i]);
	for (i = 0; i < nr_heaps; i++) {
		test_heap(&heaps[i]);
		w.heap = &heaps[i];
		test(&in_group, &w, "%s: allocate in a new control group%s", heaps[i].name, "",
		     false);
		test_imports(&heaps[i]);
	}
	test_devices();
	test_files();
	printf("# %lu points, %lu of them failures\n", all_points, all_failed);
}

static bool choose(const struct function *f)
{
	char path[128], value[32];

	snprintf(path, sizeof(path), FAIL_FUNCTION "/%s/retval", f->name);
	snprintf(value, sizeof(value), "%#lx", f->retval);
	return write_text(FAIL_FUNCTION "/inject", f->name) && write_text(path, value);
}

static void test_functions(void)
{
	unsigned long points;
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		function = &functions[i];
		if (!choose(function)) {
			result(false, "%s can be made to fail: %s", function->name,
			       strerror(errno));
			continue;
		}
		function_paths = 0;
		points = all_points;
		test_all();
		snprintf(name, sizeof(name), "!%s", function->name);
		/* Some of the paths may not call it at all. */
		result(write_text(FAIL_FUNCTION "/inject", name) && (function_paths || *only),
		       "%s: fails in %u paths, %lu points", function->name, function_paths,
		       all_points - points);
	}
	function = NULL;
}

/*
 * The heap that a driver made, or made the second time: it works, and just the driver's
 * frame is taken. The kernel says so where it could not show the statistics. It ignores it
 * if there is no device node, see device_add().
 */
static bool check_first(unsigned int nr, unsigned int *hidden, unsigned int *no_node)
{
	struct heap heap = { .size = 0 };
	struct work w = { .heap = &heap, .len = PAGE, .fd = -1, .heap_fd = -1 };
	const char *name, *exported_by;
	DIR *dir = NULL;
	char late[32];
	bool ok = true;
	int ret;

	snprintf(late, sizeof(late), "late-%u@", nr);
	while ((name = next_name(&dir, CLASS, late)))
		snprintf(heap.name, sizeof(heap.name), "%.255s", name);
	exported_by = attribute_text(heap.name, "exported_by");
	if (!exported_by || *exported_by == '-') {
		printf("# %s is no heap\n", heap.name);
		ok = false;
	}
	if (attribute(heap.name, "used") == ~0ULL) {
		(*hidden)++;
	} else if (attribute(heap.name, "used") != 65536 || attribute(heap.name, "buffers") != 1 ||
		   attribute(heap.name, "available") != attribute(heap.name, "size") - 65536) {
		printf("# %s: used %llu, %llu buffers, available %llu\n", heap.name,
		       (unsigned long long)attribute(heap.name, "used"),
		       (unsigned long long)attribute(heap.name, "buffers"),
		       (unsigned long long)attribute(heap.name, "available"));
		ok = false;
	}
	ret = get(&w);
	put(&w);
	if (ret == -ENOENT) {
		(*no_node)++;
	} else if (ret) {
		printf("# %s: %s\n", heap.name, strerror(-ret));
		ok = false;
	}
	return ok;
}

/*
 * A driver that makes the heap of its region, which it can only once. So there are many of
 * them, on a region each, and in each one another allocation fails.
 *
 * They wait for a supplier whose own probe failed at boot, for want of memory in its region.
 * Now there is some; and they must not be probed behind our back when it is bound.
 */
static void test_first_exports(unsigned int from)
{
	static const struct path binding = { NULL, bind_driver, make_unbound, 0, NULL };
	struct work holder = { .driver = "holder" }, gate = { .driver = "gate" };
	struct sum sum = { .ok = true };
	char name[64];
	struct work w = { .driver = name };
	unsigned int i, drivers = 0, hidden = 0, no_node = 0;

	result(write_text(BUS "/drivers_autoprobe", "0") && !unbind_driver(&holder) &&
	       !bind_driver(&gate),
	       "first export: what the drivers wait for is there");
	for (i = 1; ; i++) {
		snprintf(name, sizeof(name), BUS "/devices/first-%u", i);
		if (access(name, F_OK))
			break;
		snprintf(name, sizeof(name), "first-%u", i);
		if (is_bound(name)) {
			printf("# %s is bound already\n", name);
			sum.ok = false;
		}
		drivers++;
		once(&binding, &w, from + i, &sum);
		if (bind_driver(&w)) {
			printf("# %s after %u: %s\n", name, from + i, strerror(errno));
			sum.ok = false;
		}
	}
	for (i = 1; i <= drivers; i++)
		sum.ok &= check_first(i, &hidden, &no_node);
	printf("# %u of %u without statistics in sysfs, %u without a device node\n", hidden,
	       drivers, no_node);
	result(sum.ok && drivers,
	       "first export: number %u on: %u points, %u failed, %u went on without",
	       from + 1, sum.points, sum.failed, sum.done);
}

int main(void)
{
	int ret = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	need_own_machine();
	if (getenv("break"))
		broken = getenv("break");
	if (getenv("only"))
		only = getenv("only");
	/* No page of ours is to come in the middle. */
	mlockall(MCL_CURRENT);

	find_heaps();
	if (getenv("boot")) {
		show_boot();
	} else {
		set_up_injection();
		if (getenv("first")) {
			test_first_exports(strtoul(getenv("first"), NULL, 0));
		} else {
			find_devices();
			if (getenv("functions"))
				test_functions();
			else
				test_all();
		}
		check_leaks();
		ret = finish();
		printf("rmem-heap-fail: %s\n", ret ? "failed" : "done");
	}
	return ret;
}
