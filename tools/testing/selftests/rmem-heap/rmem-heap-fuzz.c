// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap-fuzz - hostile users of all heaps at once. Prints TAP.
 *
 * For a machine of its own, OWN_MACHINE. From the environment:
 *
 *	seed=N		what the random numbers start from; it is printed
 *	seconds=N	how long to go on, in rounds of half a minute
 *	round=N		seconds in a round
 *	break=WHAT	to see that the checks can fail: `leak` keeps a buffer, `word` writes
 *			what no user of a buffer would, `lost` forgets that a mapping is gone,
 *			`old` takes a used buffer for a new one, `idle` leaves imports out
 *
 * A round: several processes with two threads each do random things to the heaps, to their
 * buffers and to their mappings, pass them on, fork, and are killed in the middle of it; one
 * eats memory, one unbinds and binds drivers, one reads all there is to read. Then all are
 * killed, and the heaps must be as they were.
 *
 * What a thread has mapped where is kept in a model of its part of the address space, page
 * by page; so what an access must do is known, whatever was mapped, moved or protected over
 * what. Each word of a buffer is 0 or a value made of the buffer's number and the word's
 * place: users need not agree on anything, and still nothing foreign can go unseen.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "rmem-heap-debug.h"
#include "rmem_heap_consumer.h"

#define DRIVER		"/sys/bus/platform/drivers/rmem-heap-sample"
#define GROUP		"/sys/fs/cgroup/limited"

#define PAGE		4096UL
#define WORDS		(PAGE / 8)

#define WORKERS		4
#define THREADS		2
#define SLOTS		24	/* buffers of a thread */
#define IMPORTS		4	/* consumers of a thread */
#define SOCKETS		6
#define RECENT		32
#define ARENA_PAGES	8192UL
#define ARENA		(ARENA_PAGES * PAGE)

struct heap {
	char name[256];
	uint64_t size;
	bool visible;		/* to the CPU */
	bool cma;
	uint64_t available;	/* while nobody has anything */
	uint64_t largest;	/* one buffer, while only the drivers have something */
};

struct consumer {
	char path[300];
};

static struct heap heaps[32];
static unsigned int nr_heaps;
static struct consumer consumers[32];
static unsigned int nr_consumers;
static char drivers[16][64];
static unsigned int nr_drivers;

struct slot {
	int fd;			/* -1: free */
	uint32_t id;
	uint32_t pages;
	uint16_t heap;
	uint16_t mode;		/* O_RDONLY, O_WRONLY, O_RDWR */
};

/* What a page of the arena shows; id 0: nothing */
struct place {
	uint32_t id;
	uint32_t page;		/* of the buffer */
	uint8_t prot;
	uint8_t mode;
	bool nofork;
};

struct import {
	int fd;
	bool mapped;
};

struct thread {
	uint64_t random;
	struct slot slots[SLOTS];
	struct import imports[IMPORTS];
	int pipe[2];
	char *arena;
	struct place *model;
	unsigned long recent[RECENT];	/* where something was mapped */
};

enum { WORKED, REFUSED, NOTHING };

struct count {
	unsigned long worked, refused;
};

static struct shared {
	uint32_t next_id;
	unsigned int violations;
	unsigned int forks;
	struct count counts[64];
} *shared;

static __thread struct thread *me;
static __thread sigjmp_buf back;
static __thread bool guarded;	/* a fault goes back to try_words() */
static int sockets[SOCKETS][2];
static const char *broken = "";
static uint64_t round_end;

/*
 * Where something was unmapped, another thread's mmap(NULL) must not come in before the
 * place is reserved again.
 */
static pthread_mutex_t hole = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t ready;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static uint64_t any(void)
{
	me->random += 0x9e3779b97f4a7c15ULL;
	return mix(me->random);
}

/* 0 to n - 1 */
static uint64_t below(uint64_t n)
{
	return any() % n;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

static void say_violation(const char *text)
{
	if (__atomic_fetch_add(&shared->violations, 1, __ATOMIC_RELAXED) < 20)
		printf("# violation: %s (process %d)\n", text, (int)syscall(SYS_gettid));
}

/* violation(format, ...): what must never be was seen. In one piece on the console */
#define violation(...)							\
do {									\
	char text[300];							\
									\
	snprintf(text, sizeof(text), __VA_ARGS__);			\
	say_violation(text);						\
} while (0)

/* --- what is in buffers ----------------------------------------------------------------------- */

static uint64_t word_for(uint32_t id, uint64_t index)
{
	return (uint64_t)id << 32 | (mix(index ^ (uint64_t)id << 32) & 0xffffff) << 8;
}

/*
 * 0, or a value for that place with any last byte; while somebody copies the page, also
 * a mixture of the two.
 */
static bool word_fits(uint64_t word, uint32_t id, uint64_t index)
{
	uint64_t want = word_for(id, index);
	unsigned int i;

	if (!word || (word & ~0xffULL) == want)
		return true;
	for (i = 8; i < 64; i += 8)
		if ((word >> i & 0xff) && (word >> i & 0xff) != (want >> i & 0xff))
			return false;
	return true;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (__atomic_load_n(&guarded, __ATOMIC_RELAXED))
		siglongjmp(back, sig);
	violation("signal %d where none can be, address %p", sig, info->si_addr);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_alarm(int sig)
{
	(void)sig;
}

enum access { LOAD, STORE, TOUCH };

static void access_words(enum access access, uint64_t *to, const uint64_t *from,
			 unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (access == TOUCH)
			__atomic_fetch_or(to + i, 0, __ATOMIC_RELAXED);
		else
			__atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED),
					 __ATOMIC_RELAXED);
	}
}

/* Copies, or writes what is there; false if that ends in a fault */
static bool try_words(enum access access, void *to, const void *from, unsigned int n)
{
	if (sigsetjmp(back, 1)) {
		__atomic_store_n(&guarded, false, __ATOMIC_SEQ_CST);
		return false;
	}
	__atomic_store_n(&guarded, true, __ATOMIC_SEQ_CST);
	access_words(access, to, from, n);
	__atomic_store_n(&guarded, false, __ATOMIC_SEQ_CST);
	return true;
}

static bool check_page(const char *addr, const struct place *place)
{
	uint64_t at = (uint64_t)place->page * WORDS;
	uint64_t words[WORDS];
	unsigned int i;

	/*
	 * fork() gives the child old entries. On User-Mode Linux a read of an old entry is a
	 * fault, which the kernel refuses if the mapping is only writable: write first.
	 */
	if (place->prot == PROT_WRITE)
		try_words(TOUCH, (char *)addr, NULL, 1);
	if (!try_words(LOAD, words, addr, WORDS)) {
		violation("a mapping of buffer %u page %u is not there (%s the second time)",
			  place->id, place->page,
			  try_words(LOAD, words, addr, WORDS) ? "but it is" : "nor");
		return false;
	}
	for (i = 0; i < WORDS && word_fits(words[i], place->id, at + i); i++)
		;
	if (i < WORDS)
		violation("0x%llx in buffer %u page %u at word %u",
			  (unsigned long long)words[i], place->id, place->page, i);
	return i == WORDS;
}

static void write_page(char *addr, const struct place *place)
{
	unsigned int from = chance(50) ? 0 : below(WORDS), n = chance(50) ? WORDS - from : 1, i;
	uint64_t at = (uint64_t)place->page * WORDS + from;
	uint64_t words[WORDS];
	uint8_t last = any();

	for (i = 0; i < n; i++)
		words[i] = word_for(place->id, at + i) | last;
	if (!try_words(STORE, addr + from * 8, words, n))
		violation("a mapping of buffer %u page %u cannot be written to", place->id,
			  place->page);
}

/* --- the arena -------------------------------------------------------------------------------- */

static char *addr_of(unsigned long page)
{
	return me->arena + page * PAGE;
}

/* Nothing is there any more, and nobody else gets there */
static void reserve(unsigned long page, unsigned long n, int more_flags)
{
	if (mmap(addr_of(page), n * PAGE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED | more_flags, -1, 0) ==
	    MAP_FAILED && errno != ENOMEM)
		violation("a place cannot be reserved: %s", strerror(errno));
	memset(me->model + page, 0, n * sizeof(*me->model));
}

/* The pages from one on that show a buffer's pages in order */
static unsigned long run_length(unsigned long page, unsigned long most)
{
	const struct place *first = me->model + page;
	unsigned long n = 0;

	while (page + n < ARENA_PAGES && n < most && first[n].id == first->id &&
	       first[n].page == first->page + n && first[n].mode == first->mode)
		n++;
	return n;
}

/* A random part of what is mapped: its length, 0 if there is nothing */
static unsigned long find_run(unsigned long *page, unsigned long most)
{
	unsigned int tries = 40;
	unsigned long at;

	while (tries--) {
		at = (me->recent[below(RECENT)] + below(chance(50) ? 1 : 64)) % ARENA_PAGES;
		if (!me->model[at].id)
			continue;
		*page = at;
		return run_length(at, 1 + below(most));
	}
	return 0;
}

static struct slot *find_slot(bool used)
{
	unsigned int i, from = below(SLOTS);

	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = &me->slots[(from + i) % SLOTS];
		bool taken = slot->fd >= 0;

		if (taken == used)
			return slot;
	}
	return NULL;
}

static void drop(struct slot *slot)
{
	close(slot->fd);
	slot->fd = -1;
}

static struct slot *free_slot(void)
{
	struct slot *slot = find_slot(false);

	if (!slot) {
		slot = find_slot(true);
		drop(slot);
	}
	return slot;
}

static void *map_anywhere(size_t len, int prot, int flags, int fd, off_t off)
{
	void *mem;

	pthread_mutex_lock(&hole);
	mem = mmap(NULL, len, prot, flags, fd, off);
	pthread_mutex_unlock(&hole);
	return mem;
}

/* --- allocating ------------------------------------------------------------------------------- */

static int open_heap(const struct heap *heap, int flags)
{
	char path[400];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap->name);
	return open(path, flags | O_CLOEXEC);
}

static int alloc_from(const struct heap *heap, uint64_t len, int fd_flags)
{
	struct dma_heap_allocation_data data = { .len = len, .fd_flags = fd_flags };
	int fd = open_heap(heap, O_RDONLY), ret, err;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data);
	err = errno;
	close(fd);
	errno = err;
	return ret ? -1 : (int)data.fd;
}

static uint64_t any_size(const struct heap *heap)
{
	unsigned int kind = below(100);

	if (kind < 60)
		return 1 + below(16 * PAGE);
	if (kind < 80)
		return 1 + below(256 * KIB);
	if (kind < 93)
		return 1 + below(2 * MIB);
	if (kind < 97)
		return 1 + below(heap->size);
	return heap->size;
}

/* Nobody has written to it yet. */
static void check_new(const struct slot *slot)
{
	unsigned long page, step = slot->pages > 128 ? 1 + slot->pages / 64 : 1;
	uint64_t *mem;
	unsigned int i;

	mem = map_anywhere(slot->pages * PAGE, PROT_READ, MAP_SHARED, slot->fd, 0);
	if (mem == MAP_FAILED)
		return;
	for (page = 0; page < slot->pages; page += step) {
		for (i = 0; i < WORDS && !mem[page * WORDS + i]; i++)
			;
		if (i < WORDS) {
			violation("a new buffer of %s has 0x%llx in page %lu of %u",
				  heaps[slot->heap].name,
				  (unsigned long long)mem[page * WORDS + i], page, slot->pages);
			break;
		}
	}
	munmap(mem, slot->pages * PAGE);
}

static int op_alloc(void)
{
	static const int modes[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	unsigned int h = below(nr_heaps);
	int mode = modes[below(ARRAY_SIZE(modes))];
	uint64_t len = any_size(&heaps[h]);
	struct slot slot = {
		.id = __atomic_fetch_add(&shared->next_id, 1, __ATOMIC_RELAXED),
		.pages = (len + PAGE - 1) / PAGE,
		.heap = h,
		.mode = mode,
	};

	slot.fd = alloc_from(&heaps[h], len, mode | (chance(50) ? O_CLOEXEC : 0));
	if (slot.fd < 0) {
		if (errno != ENOMEM && errno != ENODEV && errno != EMFILE && errno != EINTR)
			violation("%s: allocating %llu bytes: %s", heaps[h].name,
				  (unsigned long long)len, strerror(errno));
		return REFUSED;
	}
	if (heaps[h].visible && mode != O_WRONLY)
		check_new(&slot);
	if (!strcmp(broken, "old") && chance(1) && find_slot(true))
		check_new(find_slot(true));
	*free_slot() = slot;
	return WORKED;
}

static int op_alloc_wrong(void)
{
	static const uint64_t sizes[] = { 0, 1ULL << 63, ~0ULL, ~0ULL - 4094, (1ULL << 63) + 4097,
					  1ULL << 40, INT64_MAX };
	struct dma_heap_allocation_data data = { .len = PAGE, .fd_flags = O_RDWR };
	const struct heap *heap = &heaps[below(nr_heaps)];
	unsigned long cmd = DMA_HEAP_IOCTL_ALLOC;
	char *edge = addr_of(below(ARENA_PAGES));
	void *arg = &data;
	int fd, ret;

	switch (below(8)) {
	case 0:
		data.len = sizes[below(ARRAY_SIZE(sizes))];
		break;
	case 1:
		data.len = heap->size + 1 + below(MIB);
		break;
	case 2:
		data.fd_flags = any() | O_APPEND;
		break;
	case 3:
		data.heap_flags = any() | 1;
		break;
	case 4:
		data.fd = any() | 1;
		break;
	case 5:
		arg = chance(50) ? NULL : (void *)(uintptr_t)any();
		break;
	case 6:
		/* One that begins where there is nothing, or ends there */
		arg = edge - below(2) * 8;
		break;
	case 7:
		/* Not the command, or one of another size: 0 bytes at most */
		cmd = chance(50) ? any() : _IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC,
						0, 8 * below(4)) & ~IOC_IN;
		break;
	}
	fd = open_heap(heap, chance(50) ? O_RDONLY : O_RDWR);
	if (fd < 0)
		return NOTHING;
	ret = ioctl(fd, cmd, arg);
	close(fd);
	/* What is left of a command that was changed may still be one. */
	if (!ret && arg == &data && cmd == DMA_HEAP_IOCTL_ALLOC)
		violation("%s: an allocation of %llu bytes, fd_flags 0x%x, heap_flags 0x%llx",
			  heap->name, (unsigned long long)data.len, data.fd_flags,
			  (unsigned long long)data.heap_flags);
	if (!ret && arg == &data && (int)data.fd > 2)
		close(data.fd);
	return REFUSED;
}

static int op_heap_file(void)
{
	const struct heap *heap = &heaps[below(nr_heaps)];
	char path[64], byte;
	int fd = open_heap(heap, O_PATH), again;
	void *mem;

	if (fd < 0)
		return REFUSED;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	close(fd);
	if (again < 0)
		return REFUSED;
	mem = map_anywhere(PAGE, PROT_READ, MAP_SHARED, again, 0);
	if (mem != MAP_FAILED || read(again, &byte, 1) >= 0 || write(again, "", 1) >= 0)
		violation("%s: its device can be mapped, read or written", heap->name);
	close(again);
	return WORKED;
}

/* --- mapping ---------------------------------------------------------------------------------- */

static int any_prot(void)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE, PROT_READ, PROT_WRITE, PROT_NONE };

	return prots[below(ARRAY_SIZE(prots))];
}

static void note_map(unsigned long page, unsigned long n, struct place place)
{
	unsigned long i;

	me->recent[below(RECENT)] = page;
	for (i = 0; i < n; i++, place.page++)
		me->model[page + i] = place;
}

static int op_map(void)
{
	static const int flags[] = { 0, 0, 0, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE,
				     MAP_POPULATE | MAP_NONBLOCK };
	const struct slot *slot = find_slot(true);
	unsigned long off, n, page;
	int prot = any_prot(), err;
	struct place place;
	void *mem;

	if (!slot)
		return NOTHING;
	off = chance(50) ? 0 : below(slot->pages);
	n = slot->pages - off;
	if (chance(60) || n > ARENA_PAGES / 4)
		n = 1 + below(n < 512 ? n : 512);
	page = below(ARENA_PAGES - n);
	pthread_mutex_lock(&hole);
	mem = mmap(addr_of(page), n * PAGE, prot,
		   MAP_FIXED | (chance(80) ? MAP_SHARED : MAP_SHARED_VALIDATE) |
		   flags[below(ARRAY_SIZE(flags))], slot->fd, off * PAGE);
	err = errno;
	/* What was there before is gone, or not. */
	if (mem == MAP_FAILED)
		reserve(page, n, 0);
	pthread_mutex_unlock(&hole);
	if (mem == MAP_FAILED) {
		if (heaps[slot->heap].visible && slot->mode == O_RDWR && err != ENOMEM)
			violation("%s: mapping %lu of %u pages: %s", heaps[slot->heap].name, n,
				  slot->pages, strerror(err));
		return REFUSED;
	}
	if (!heaps[slot->heap].visible || slot->mode == O_WRONLY ||
	    (slot->mode == O_RDONLY && (prot & PROT_WRITE)))
		violation("%s: mapped with protection %d, file mode %d", heaps[slot->heap].name,
			  prot, slot->mode);
	place = (struct place) {
		.id = slot->id, .page = off, .prot = prot, .mode = slot->mode,
	};
	note_map(page, n, place);
	return WORKED;
}

/* Anywhere, as most programs do; then what is behind the end must not be there. */
static int op_map_anywhere(void)
{
	const struct slot *slot = find_slot(true);
	struct place place;
	char *mem;

	if (!slot || !heaps[slot->heap].visible || slot->mode == O_WRONLY)
		return NOTHING;
	mem = map_anywhere(slot->pages * PAGE, PROT_READ, MAP_SHARED, slot->fd, 0);
	if (mem == MAP_FAILED)
		return REFUSED;
	place = (struct place) { .id = slot->id, .page = below(slot->pages) };
	check_page(mem + place.page * PAGE, &place);
	munmap(mem, slot->pages * PAGE);
	return WORKED;
}

static int op_map_wrong(void)
{
	const struct slot *slot = find_slot(true);
	uint64_t len, off = 0;
	int flags = MAP_SHARED;
	void *mem;

	if (!slot)
		return NOTHING;
	len = slot->pages * PAGE;
	switch (below(5)) {
	case 0:
		len += PAGE * (1 + below(100));
		break;
	case 1:
		off = PAGE * (1 + below(slot->pages + 100));
		break;
	case 2:
		off = (any() & (uint64_t)INT64_MAX & ~(PAGE - 1)) | 1ULL << 62;
		break;
	case 3:
		flags = MAP_PRIVATE;
		break;
	case 4:
		flags = MAP_SHARED_VALIDATE | MAP_SYNC;
		break;
	}
	mem = map_anywhere(len, PROT_READ, flags, slot->fd, off);
	if (mem == MAP_FAILED)
		return REFUSED;
	violation("%s: mapped with flags 0x%x, 0x%llx bytes at 0x%llx of %u pages",
		  heaps[slot->heap].name, flags, (unsigned long long)len,
		  (unsigned long long)off, slot->pages);
	munmap(mem, len);
	return WORKED;
}

static int op_unmap(void)
{
	unsigned long n = 1 + below(chance(80) ? 16 : 1024);
	unsigned long page = below(ARENA_PAGES - n);
	int ret;

	if (!strcmp(broken, "lost") && me->model[page].id && me->model[page].prot) {
		munmap(addr_of(page), PAGE);
		return WORKED;
	}
	if (chance(30)) {
		reserve(page, n, 0);
		return WORKED;
	}
	pthread_mutex_lock(&hole);
	ret = munmap(addr_of(page), n * PAGE);
	if (!ret)
		reserve(page, n, MAP_FIXED_NOREPLACE);
	pthread_mutex_unlock(&hole);
	return ret ? REFUSED : WORKED;
}

static int op_protect(void)
{
	unsigned long page, i, n = find_run(&page, 64);
	int prot = any_prot();

	if (!n)
		return NOTHING;
	if (mprotect(addr_of(page), n * PAGE, prot)) {
		if (errno == ENOMEM)
			reserve(page, n, 0);
		else if (me->model[page].mode == O_RDWR)
			violation("protection %d: %s", prot, strerror(errno));
		return REFUSED;
	}
	if (me->model[page].mode == O_RDONLY && (prot & PROT_WRITE))
		violation("a read-only buffer was made writable");
	for (i = 0; i < n; i++)
		me->model[page + i].prot = prot;
	return WORKED;
}

static int op_move(void)
{
	unsigned long from, to, i, n = find_run(&from, 64);
	struct place moved[64];
	void *mem;

	if (!n)
		return NOTHING;
	do {
		to = below(ARENA_PAGES - n);
	} while (to < from + n && from < to + n);

	pthread_mutex_lock(&hole);
	mem = mremap(addr_of(from), n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     addr_of(to));
	if (mem == MAP_FAILED) {
		reserve(from, n, 0);
		reserve(to, n, 0);
	} else {
		memcpy(moved, me->model + from, n * sizeof(*moved));
		reserve(from, n, MAP_FIXED_NOREPLACE);
		for (i = 0; i < n; i++)
			me->model[to + i] = moved[i];
		me->recent[below(RECENT)] = to;
	}
	pthread_mutex_unlock(&hole);
	return mem == MAP_FAILED ? REFUSED : WORKED;
}

static int op_shrink(void)
{
	unsigned long page, to, n = find_run(&page, 64);
	void *mem;

	if (n < 2)
		return NOTHING;
	to = 1 + below(n - 1);
	pthread_mutex_lock(&hole);
	mem = mremap(addr_of(page), n * PAGE, to * PAGE, 0);
	if (mem == MAP_FAILED)
		reserve(page, n, 0);
	else
		reserve(page + to, n - to, MAP_FIXED_NOREPLACE);
	pthread_mutex_unlock(&hole);
	return mem == MAP_FAILED ? REFUSED : WORKED;
}

/* Beyond what was mapped, twice, or with nothing left where it was */
static int op_grow(void)
{
	unsigned long page, n = find_run(&page, 64);
	size_t from = n * PAGE, to = (n + 1 + below(64)) * PAGE;
	int flags = MREMAP_MAYMOVE;
	void *mem;

	if (!n)
		return NOTHING;
	switch (below(3)) {
	case 0:
		from = 0;
		to = n * PAGE;
		break;
	case 1:
		to = from;
		flags |= MREMAP_DONTUNMAP;
		break;
	}
	pthread_mutex_lock(&hole);
	mem = mremap(addr_of(page), from, to, flags);
	pthread_mutex_unlock(&hole);
	if (mem == MAP_FAILED)
		return REFUSED;
	violation("a mapping of %lu pages was made 0x%zx bytes (from 0x%zx, flags %d)", n, to,
		  from, flags);
	return WORKED;
}

static int op_advise(void)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
		MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK,
		MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		24 /* DONTNEED_LOCKED */, 25 /* COLLAPSE */, 102 /* GUARD_INSTALL */,
		103 /* GUARD_REMOVE */, 100 /* HWPOISON */, 101 /* SOFT_OFFLINE */,
	};
	unsigned long page, i, n = find_run(&page, 64);
	int advice = advices[below(ARRAY_SIZE(advices))];

	if (!n)
		return NOTHING;
	if (madvise(addr_of(page), n * PAGE, advice)) {
		if (advice == MADV_DONTFORK)
			reserve(page, n, 0);
		return REFUSED;
	}
	for (i = 0; i < n; i++) {
		if (advice == MADV_DONTFORK)
			me->model[page + i].nofork = true;
		if (advice == MADV_DOFORK)
			me->model[page + i].nofork = false;
	}
	return WORKED;
}

static int op_lock(void)
{
	unsigned long page, n = find_run(&page, 64);
	unsigned char in[64];
	int ret = 0;

	if (!n)
		return NOTHING;
	switch (below(5)) {
	case 0:
		ret = mlock(addr_of(page), n * PAGE);
		break;
	case 1:
		ret = munlock(addr_of(page), n * PAGE);
		break;
	case 2:
		ret = mlock2(addr_of(page), n * PAGE, MLOCK_ONFAULT);
		break;
	case 3:
		ret = msync(addr_of(page), n * PAGE, chance(50) ? MS_SYNC : MS_ASYNC);
		break;
	case 4:
		ret = mincore(addr_of(page), n * PAGE, in);
		break;
	}
	return ret ? REFUSED : WORKED;
}

/* --- using mappings --------------------------------------------------------------------------- */

static int op_read(void)
{
	unsigned long page, i, n = find_run(&page, 16);

	for (i = 0; i < n; i++)
		if (me->model[page + i].prot && !check_page(addr_of(page + i),
							    me->model + page + i))
			return REFUSED;
	return n ? WORKED : NOTHING;
}

static int op_write(void)
{
	unsigned long page, i, n = find_run(&page, 16);
	bool done = false;

	for (i = 0; i < n; i++) {
		if (!(me->model[page + i].prot & PROT_WRITE))
			continue;
		write_page(addr_of(page + i), me->model + page + i);
		done = true;
		if (!strcmp(broken, "word") && chance(1))
			*(uint64_t *)addr_of(page + i) = 0xbad0bad0bad0bad0;
	}
	return done ? WORKED : NOTHING;
}

static int op_forbidden(void)
{
	unsigned long page;
	struct place *place;
	uint64_t word;

	if (!find_run(&page, 1))
		return NOTHING;
	place = me->model + page;
	if (place->prot & PROT_WRITE)
		return NOTHING;
	if (try_words(place->prot ? TOUCH : LOAD, place->prot ? addr_of(page) : (char *)&word,
		      addr_of(page), 1))
		violation("access of kind %d to a mapping with protection %d", !!place->prot,
			  place->prot);
	return REFUSED;
}

/* Through the kernel: into a pipe and back to the same place, so that nothing changes */
static int op_pipe(void)
{
	unsigned long page, n = find_run(&page, 4);
	char rest[4 * PAGE];
	ssize_t out, in;

	if (!n)
		return NOTHING;
	out = write(me->pipe[1], addr_of(page), n * PAGE);
	if (out < 0)
		return REFUSED;
	in = read(me->pipe[0], addr_of(page), out);
	while (read(me->pipe[0], rest, sizeof(rest)) > 0)
		;
	return in == (ssize_t)(n * PAGE) ? WORKED : REFUSED;
}

/* What takes hold of pages has none to hold: none of this may work. */
static int op_pin(void)
{
	unsigned long page;
	struct iovec iov;

	if (!find_run(&page, 1) || !me->model[page].prot)
		return NOTHING;
	iov = (struct iovec) { .iov_base = addr_of(page), .iov_len = PAGE };
	if (vmsplice(me->pipe[1], &iov, 1, SPLICE_F_NONBLOCK) >= 0) {
		char rest[PAGE];

		while (read(me->pipe[0], rest, sizeof(rest)) > 0)
			;
		violation("pages of a buffer can be pinned");
		return WORKED;
	}
	syscall(SYS_futex, addr_of(page), FUTEX_WAKE, 1, NULL, NULL, 0);
	return REFUSED;
}

/* Another task's view: /proc/PID/mem, process_vm_readv(), ptrace() */
static int op_peek(void)
{
	unsigned long page;
	struct iovec local, remote;
	char buf[PAGE], path[64];
	int fd, status, ret = REFUSED;
	pid_t pid;

	if (!find_run(&page, 1))
		return NOTHING;
	local = (struct iovec) { .iov_base = buf, .iov_len = PAGE };
	remote = (struct iovec) { .iov_base = addr_of(page), .iov_len = PAGE };
	if (process_vm_readv(getppid(), &local, 1, &remote, 1, 0) > 0)
		ret = WORKED;
	snprintf(path, sizeof(path), "/proc/%d/mem", chance(50) ? getpid() : getppid());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		if (pread(fd, buf, PAGE, (off_t)(uintptr_t)addr_of(page)) > 0)
			ret = WORKED;
		close(fd);
	}
	if (!chance(10))
		return ret;

	pid = fork();
	if (pid < 0)
		return ret;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (!ptrace(PTRACE_ATTACH, pid, NULL, NULL)) {
		if (waitpid(pid, &status, __WALL) == pid) {
			errno = 0;
			ptrace(PTRACE_PEEKDATA, pid, addr_of(page), NULL);
			ptrace(PTRACE_POKEDATA, pid, addr_of(page), NULL);
		}
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, __WALL);
	return ret;
}

/* --- buffers as files ------------------------------------------------------------------------- */

static int op_sync(void)
{
	const struct slot *slot = find_slot(true);
	struct dma_buf_sync sync = { .flags = below(8) };
	int ret;

	if (!slot)
		return NOTHING;
	if (chance(5))
		sync.flags = any();
	do {
		ret = ioctl(slot->fd, DMA_BUF_IOCTL_SYNC, &sync);
	} while (ret && errno == EINTR);
	if (ret)
		return REFUSED;
	if ((sync.flags & ~(uint64_t)DMA_BUF_SYNC_VALID_FLAGS_MASK) ||
	    !(sync.flags & DMA_BUF_SYNC_RW) || !heaps[slot->heap].visible)
		violation("%s: sync with flags 0x%llx", heaps[slot->heap].name,
			  (unsigned long long)sync.flags);
	return WORKED;
}

static int op_name(void)
{
	static const char * const names[] = {
		"", "frame", "%s%n%p", "exactly-31-characters-long-name",
		"this one is longer than a name may be", NULL,
	};
	const struct slot *slot = find_slot(true);
	const void *name = names[below(ARRAY_SIZE(names))];

	if (!slot)
		return NOTHING;
	if (chance(10))
		name = addr_of(below(ARENA_PAGES));
	return ioctl(slot->fd, chance(50) ? DMA_BUF_SET_NAME_A : DMA_BUF_SET_NAME_B, name) ?
		REFUSED : WORKED;
}

static int op_fence(void)
{
	const struct slot *slot = find_slot(true), *other = find_slot(true);
	struct dma_buf_export_sync_file out = { .flags = chance(90) ? below(4) : any() };
	struct dma_buf_import_sync_file in;
	struct pollfd wait;
	int ret;

	if (!slot)
		return NOTHING;
	if (ioctl(slot->fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out))
		return REFUSED;
	wait = (struct pollfd) { .fd = out.fd, .events = POLLIN };
	poll(&wait, 1, 0);
	in = (struct dma_buf_import_sync_file) {
		.flags = chance(90) ? 1 + below(3) : any(),
		.fd = chance(90) ? out.fd : (int)below(64),
	};
	ret = ioctl(other->fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in);
	close(out.fd);
	return ret ? REFUSED : WORKED;
}

static int op_size(void)
{
	const struct slot *slot = find_slot(true);
	off_t end = (off_t)(slot ? slot->pages : 0) * (off_t)PAGE;
	struct stat st;

	if (!slot)
		return NOTHING;
	if (lseek(slot->fd, 0, SEEK_END) != end || lseek(slot->fd, 0, SEEK_SET) != 0 ||
	    fstat(slot->fd, &st) || st.st_size != end)
		violation("%s: a buffer of %u pages ends at %lld or is %lld long",
			  heaps[slot->heap].name, slot->pages,
			  (long long)lseek(slot->fd, 0, SEEK_END), (long long)st.st_size);
	return WORKED;
}

/* What a file of another kind would do */
static int op_not_for_buffers(void)
{
	const struct slot *slot = find_slot(true);
	char buf[64] = "";

	if (!slot)
		return NOTHING;
	if (read(slot->fd, buf, sizeof(buf)) >= 0 || write(slot->fd, buf, sizeof(buf)) >= 0 ||
	    pread(slot->fd, buf, 8, 0) >= 0 || pwrite(slot->fd, buf, 8, 4096) >= 0)
		violation("%s: a buffer can be read or written", heaps[slot->heap].name);
	if (!ftruncate(slot->fd, PAGE) || !fallocate(slot->fd, 0, 0, 2 * PAGE) ||
	    lseek(slot->fd, 1 + below(PAGE), chance(50) ? SEEK_SET : SEEK_END) >= 0)
		violation("%s: a buffer can be resized or has a position",
			  heaps[slot->heap].name);
	ioctl(slot->fd, any(), addr_of(below(ARENA_PAGES)));
	fsync(slot->fd);
	fcntl(slot->fd, F_SETFL, (int)below(O_DIRECT));
	fcntl(slot->fd, F_ADD_SEALS, (int)below(16));
	return REFUSED;
}

static int op_poll(void)
{
	const struct slot *slot = find_slot(true);
	struct pollfd wait;

	if (!slot)
		return NOTHING;
	wait = (struct pollfd) { .fd = slot->fd, .events = below(8) };
	return poll(&wait, 1, 0) < 0 ? REFUSED : WORKED;
}

static int op_dup(void)
{
	const struct slot *slot = find_slot(true);
	struct slot copy;

	if (!slot)
		return NOTHING;
	copy = *slot;
	copy.fd = chance(50) ? dup(slot->fd) : fcntl(slot->fd, F_DUPFD_CLOEXEC, 3);
	if (copy.fd < 0)
		return REFUSED;
	*free_slot() = copy;
	return WORKED;
}

/* A read-only descriptor must not become a writable one, nor a path a descriptor. */
static int op_reopen(void)
{
	const struct slot *slot = find_slot(true);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW };
	char path[64];
	int fd;

	if (!slot)
		return NOTHING;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", slot->fd);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		if (!ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
			violation("a path does what a descriptor does");
		close(fd);
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return REFUSED;
	violation("%s: a buffer was opened again", heaps[slot->heap].name);
	close(fd);
	return WORKED;
}

static int op_close(void)
{
	struct slot *slot = find_slot(true);

	if (!slot)
		return NOTHING;
	drop(slot);
	return WORKED;
}

/* --- passing on ------------------------------------------------------------------------------- */

#define PASS	3

static int send_fds(int socket, const int *fds, unsigned int n, const void *data, size_t len)
{
	char control[CMSG_SPACE(PASS * sizeof(int))] = "";
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int op_send(void)
{
	struct slot about[PASS];
	unsigned int i, n = 1 + below(PASS);
	int fds[PASS];

	for (i = 0; i < n; i++) {
		const struct slot *slot = find_slot(true);

		if (!slot)
			return NOTHING;
		about[i] = *slot;
		fds[i] = slot->fd;
	}
	return send_fds(sockets[below(SOCKETS)][0], fds, n, about, n * sizeof(*about)) ?
		REFUSED : WORKED;
}

static int op_receive(void)
{
	char control[CMSG_SPACE(PASS * sizeof(int))];
	struct slot about[PASS];
	struct iovec iov = { .iov_base = about, .iov_len = sizeof(about) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	unsigned int i, n;
	int fds[PASS];
	ssize_t len;

	len = recvmsg(sockets[below(SOCKETS)][1], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	c = CMSG_FIRSTHDR(&msg);
	if (len <= 0 || !c || c->cmsg_type != SCM_RIGHTS)
		return REFUSED;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	for (i = 0; i < n; i++) {
		about[i].fd = fds[i];
		if (i < len / sizeof(*about))
			*free_slot() = about[i];
		else
			close(fds[i]);
	}
	return WORKED;
}

/* Sockets that hold a buffer and each other, and nobody else holds */
static int op_cycle(void)
{
	const struct slot *slot = find_slot(true);
	int pair[2], ret;

	if (!slot || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		return NOTHING;
	ret = send_fds(pair[0], (int []) { slot->fd, pair[0], pair[1] }, 3, "", 1);
	close(pair[0]);
	close(pair[1]);
	return ret ? REFUSED : WORKED;
}

static void run_ops(unsigned int n, bool child);

static int op_fork(void)
{
	unsigned long page;
	uint64_t random = any();
	pid_t pid;

	if (__atomic_load_n(&shared->forks, __ATOMIC_RELAXED) > 2000)
		return NOTHING;
	pid = fork();
	if (pid < 0)
		return REFUSED;
	if (pid) {
		__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
		return WORKED;
	}

	/* Another thread may have held it. */
	pthread_mutex_init(&hole, NULL);
	me->random = random;
	/* What is in the pipe is the parent's. */
	close(me->pipe[0]);
	close(me->pipe[1]);
	if (pipe2(me->pipe, O_NONBLOCK | O_CLOEXEC))
		_exit(1);
	for (page = 0; page < ARENA_PAGES; page++)
		if (me->model[page].nofork)
			reserve(page, 1, 0);
	run_ops(5 + below(60), true);
	_exit(0);
}

/* --- importing -------------------------------------------------------------------------------- */

static struct import *find_import(void)
{
	struct import *import = &me->imports[below(IMPORTS)];

	if (import->fd < 0) {
		import->fd = open(consumers[below(nr_consumers)].path, O_RDWR | O_CLOEXEC);
		import->mapped = false;
	}
	return import->fd < 0 ? NULL : import;
}

static int op_import(void)
{
	const struct slot *slot = find_slot(true);
	struct rmem_consumer_map map = { 0 };
	struct import *import = find_import();

	if (!import || !slot)
		return NOTHING;
	map.fd = chance(98) ? slot->fd : (int)below(1000);
	if (ioctl(import->fd, RMEM_CONSUMER_MAP, &map))
		return REFUSED;
	import->mapped = true;
	return WORKED;
}

static int op_unimport(void)
{
	struct import *import = find_import();

	if (!import || !import->mapped)
		return NOTHING;
	import->mapped = false;
	return ioctl(import->fd, RMEM_CONSUMER_UNMAP) ? REFUSED : WORKED;
}

/* The device only reads what others use, too. */
static int op_device_reads(void)
{
	struct rmem_consumer_dma dma = { .seed = 1 };
	struct import *import = find_import();

	if (!import || !import->mapped)
		return NOTHING;
	return ioctl(import->fd, RMEM_CONSUMER_DMA, &dma) ? REFUSED : WORKED;
}

static int op_device_allocs(void)
{
	struct rmem_consumer_alloc alloc = { .len = 1 + below(chance(80) ? 64 * KIB : 512 * KIB) };
	struct import *import = find_import();

	if (!import)
		return NOTHING;
	return ioctl(import->fd, RMEM_CONSUMER_ALLOC, &alloc) ? REFUSED : WORKED;
}

static int op_device_frees(void)
{
	struct import *import = find_import();

	if (!import)
		return NOTHING;
	if (chance(50))
		return ioctl(import->fd, RMEM_CONSUMER_FREE) ? REFUSED : WORKED;
	close(import->fd);
	import->fd = -1;
	return WORKED;
}

static uint8_t device_byte(uint32_t seed, size_t i)
{
	return seed + 7 * i + (i >> 12);
}

/* A buffer that nobody else has: what the device writes is there, and the other way round. */
static int op_transfer(void)
{
	const struct heap *heap = &heaps[below(nr_heaps)];
	const struct consumer *consumer = &consumers[below(nr_consumers)];
	size_t i, len = PAGE * (1 + below(chance(80) ? 8 : 160));
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct rmem_consumer_dma dma = { .seed = any(), .write = 1 };
	struct rmem_consumer_map map = { 0 };
	int fd, device, ret = REFUSED;
	uint8_t *mem = MAP_FAILED;
	bool keep = chance(50);

	fd = alloc_from(heap, len, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return REFUSED;
	device = open(consumer->path, O_RDWR | O_CLOEXEC);
	map.fd = fd;
	if (device < 0 || ioctl(device, RMEM_CONSUMER_MAP, &map))
		goto out;
	if (map.len != len)
		violation("%s: %s mapped %llu of %zu bytes", heap->name, consumer->path,
			  (unsigned long long)map.len, len);
	if (ioctl(device, RMEM_CONSUMER_DMA, &dma))
		violation("%s: DMA of %s: %s", heap->name, consumer->path, strerror(errno));
	ret = WORKED;
	if (heap->visible)
		mem = map_anywhere(len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		goto out;
	if (!keep && ioctl(device, RMEM_CONSUMER_UNMAP))
		violation("a buffer cannot be unmapped");
	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) && errno == EINTR)
		;
	for (i = 0; i < len && mem[i] == device_byte(dma.seed, i); i++)
		;
	if (i < len)
		violation("%s: %s wrote 0x%02x at %zu of %zu, there is 0x%02x", heap->name,
			  consumer->path, device_byte(dma.seed, i), i, len, mem[i]);
	dma.seed++;
	dma.write = 0;
	for (i = 0; i < len; i++)
		mem[i] = device_byte(dma.seed, i);
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) && errno == EINTR)
		;
	if (!keep && ioctl(device, RMEM_CONSUMER_MAP, &map))
		goto out;
	if (!ioctl(device, RMEM_CONSUMER_DMA, &dma) && dma.bad)
		violation("%s: %s sees %llu wrong bytes of %zu", heap->name, consumer->path,
			  (unsigned long long)dma.bad, len);
out:
	if (chance(50) && device >= 0) {
		close(device);
		device = -1;
	}
	if (mem != MAP_FAILED)
		munmap(mem, len);
	close(fd);
	if (device >= 0)
		close(device);
	return ret;
}

static int op_timer(void)
{
	struct itimerval when = { .it_value.tv_usec = 1 + below(20000) };

	return setitimer(ITIMER_REAL, &when, NULL) ? REFUSED : WORKED;
}

/* --- threads ---------------------------------------------------------------------------------- */

static const struct op {
	const char *name;
	int (*run)(void);
	unsigned int weight;
	bool works;	/* some must work */
	bool refused;	/* some must be refused */
} ops[] = {
	{ "allocate", op_alloc, 60, true, true },
	{ "allocate, wrongly", op_alloc_wrong, 10, false, true },
	{ "open, read, write, map a heap", op_heap_file, 4, true, false },
	{ "map", op_map, 80, true, true },
	{ "map anywhere", op_map_anywhere, 15, true, false },
	{ "map, wrongly", op_map_wrong, 15, false, true },
	{ "unmap", op_unmap, 20, true, false },
	{ "mprotect", op_protect, 30, true, true },
	{ "mremap: move", op_move, 20, true, false },
	{ "mremap: shrink", op_shrink, 8, true, false },
	{ "mremap: grow, twice, keep", op_grow, 8, false, true },
	{ "madvise", op_advise, 25, true, true },
	{ "mlock, msync, mincore", op_lock, 15, true, true },
	{ "read", op_read, 100, true, false },
	{ "write", op_write, 100, true, false },
	{ "forbidden access", op_forbidden, 20, false, true },
	{ "through a pipe", op_pipe, 20, true, true },
	{ "vmsplice, futex", op_pin, 8, false, true },
	{ "/proc/PID/mem, ptrace", op_peek, 6, false, true },
	{ "sync", op_sync, 60, true, true },
	{ "set name", op_name, 10, true, true },
	{ "sync files", op_fence, 15, true, true },
	{ "seek, stat", op_size, 6, true, false },
	{ "read, write, resize, others", op_not_for_buffers, 6, false, true },
	{ "poll", op_poll, 6, true, false },
	{ "dup", op_dup, 10, true, false },
	{ "open again", op_reopen, 4, false, true },
	{ "close", op_close, 55, true, false },
	{ "send", op_send, 15, true, false },
	{ "receive", op_receive, 18, true, true },
	{ "cycle of sockets", op_cycle, 2, true, false },
	{ "fork", op_fork, 3, true, false },
	{ "import", op_import, 30, true, true },
	{ "import: device reads", op_device_reads, 8, true, false },
	{ "import: give back", op_unimport, 20, true, false },
	{ "import: both write", op_transfer, 12, true, true },
	{ "device allocates", op_device_allocs, 12, true, true },
	{ "device frees, closes", op_device_frees, 12, true, false },
	{ "timer", op_timer, 3, true, false },
};

static void run_ops(unsigned int n, bool child)
{
	unsigned int all = 0, i, at;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		all += ops[i].weight;
	while (n-- && now_ms() < round_end) {
		struct count *count;

		at = below(all);
		for (i = 0; at >= ops[i].weight; i++)
			at -= ops[i].weight;
		if (child && ops[i].run == op_fork && chance(80))
			continue;
		if (!strcmp(broken, "idle") && ops[i].run == op_import)
			continue;
		count = &shared->counts[i];
		switch (ops[i].run()) {
		case WORKED:
			__atomic_fetch_add(&count->worked, 1, __ATOMIC_RELAXED);
			break;
		case REFUSED:
			__atomic_fetch_add(&count->refused, 1, __ATOMIC_RELAXED);
			break;
		}
	}
}

static void *thread_main(void *data)
{
	uint64_t random = *(uint64_t *)data;
	unsigned int i;

	me = mmap(NULL, sizeof(*me), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (me == MAP_FAILED)
		exit(1);
	me->random = random;
	for (i = 0; i < SLOTS; i++)
		me->slots[i].fd = -1;
	for (i = 0; i < IMPORTS; i++)
		me->imports[i].fd = -1;
	me->model = mmap(NULL, ARENA_PAGES * sizeof(*me->model), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	me->arena = mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (me->model == MAP_FAILED || me->arena == MAP_FAILED ||
	    pipe2(me->pipe, O_NONBLOCK | O_CLOEXEC))
		exit(1);
	/* What threads need is where it is before any hole is. */
	pthread_barrier_wait(&ready);
	run_ops(-1u, false);
	return NULL;
}

static void work(uint64_t random, bool limited)
{
	struct sigaction faults = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction alarms = { .sa_handler = on_alarm };
	uint64_t seeds[THREADS];
	pthread_t threads[THREADS];
	unsigned int i;

	if (limited)
		write_text(GROUP "/cgroup.procs", "0");
	write_text("/proc/self/oom_score_adj", "500");
	signal(SIGCHLD, SIG_IGN);
	sigaction(SIGSEGV, &faults, NULL);
	sigaction(SIGBUS, &faults, NULL);
	sigaction(SIGALRM, &alarms, NULL);
	pthread_barrier_init(&ready, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		seeds[i] = mix(random + i);
	for (i = 1; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread_main, &seeds[i]);
	thread_main(&seeds[0]);
	exit(0);
}

/* --- the others ------------------------------------------------------------------------------- */

static uint64_t memory_free(void)
{
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[100];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * KIB;
}

/*
 * So much that there is reclaim, and that CMA areas have to be emptied for an allocation;
 * now and then of pages that are in use for I/O and cannot be moved away.
 */
static void eat(void)
{
	static struct { char *mem; size_t len; } blocks[96];
	int pipes[2];

	write_text("/proc/self/oom_score_adj", "1000");
	if (pipe2(pipes, O_NONBLOCK))
		return;
	while (now_ms() < round_end) {
		unsigned int i = below(ARRAY_SIZE(blocks));
		char rest[PAGE];

		if (blocks[i].mem) {
			munmap(blocks[i].mem, blocks[i].len);
			blocks[i].mem = NULL;
		} else if (memory_free() > 40 * MIB) {
			int fd = chance(30) ? memfd_create("food", 0) : -1;
			size_t len = MIB * (1 + below(8));
			struct iovec iov;

			if (fd >= 0 && ftruncate(fd, len))
				len = 0;
			blocks[i].len = len;
			blocks[i].mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
					     fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
					     fd, 0);
			if (fd >= 0)
				close(fd);
			if (blocks[i].mem == MAP_FAILED) {
				blocks[i].mem = NULL;
				continue;
			}
			memset(blocks[i].mem, 1 + below(255), len);
			iov = (struct iovec) { .iov_base = blocks[i].mem, .iov_len = 8 * PAGE };
			if (chance(20))
				vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK);
		} else {
			usleep(below(20000));
			while (chance(50) && read(pipes[0], rest, sizeof(rest)) > 0)
				;
		}
	}
}

static void bind_and_unbind(void)
{
	char link[200];

	while (now_ms() < round_end) {
		const char *driver = drivers[below(nr_drivers)];

		snprintf(link, sizeof(link), DRIVER "/%s", driver);
		write_text(access(link, F_OK) ? DRIVER "/bind" : DRIVER "/unbind", driver);
		usleep(below(60000));
	}
}

static void read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char text[8 * KIB];
	unsigned int n = 16;

	if (fd < 0)
		return;
	while (n-- && read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void read_folder(const char *path)
{
	DIR *dir = NULL;
	const char *name;
	char file[700];

	while ((name = next_name(&dir, path, ""))) {
		snprintf(file, sizeof(file), "%s/%s", path, name);
		read_file(file);
	}
}

static void read_all(void)
{
	static const char * const of_process[] = { "maps", "smaps", "smaps_rollup", "pagemap",
						   "status", "wchan" };
	char path[400];

	while (now_ms() < round_end) {
		unsigned int pid = 2 + below(400);

		snprintf(path, sizeof(path), CLASS "/%s", heaps[below(nr_heaps)].name);
		read_folder(path);
		read_folder("/sys/kernel/debug/rmem_heap");
		if (chance(20))
			read_file("/sys/kernel/debug/dma_buf/bufinfo");
		if (chance(2))
			read_file("/sys/kernel/debug/dma-api/dump");
		/* A process that there is, from this number on */
		while (pid < 32768 && (snprintf(path, sizeof(path), "/proc/%u", pid),
				       access(path, F_OK)))
			pid++;
		snprintf(path, sizeof(path), "/proc/%u/%s", pid,
			 of_process[below(ARRAY_SIZE(of_process))]);
		read_file(path);
		snprintf(path, sizeof(path), "/proc/%u/fdinfo", pid);
		read_folder(path);
		usleep(below(10000));
	}
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Bytes of a heap that wait to be cleared; only carveouts have the file */
static uint64_t dirty(const struct heap *heap)
{
	uint64_t bytes = attribute(heap->name, "dirty");

	/* The memory of a heap whose driver is gone stays as it is. */
	if (bytes == ~0ULL || attribute_is(heap->name, "reason", "its driver is gone"))
		return 0;
	return bytes;
}

static bool set_drivers(bool bound)
{
	bool ok = true;
	unsigned int i;
	char link[200];

	for (i = 0; i < nr_drivers; i++) {
		snprintf(link, sizeof(link), DRIVER "/%s", drivers[i]);
		if (!access(link, F_OK) == bound)
			continue;
		if (!write_text(bound ? DRIVER "/bind" : DRIVER "/unbind", drivers[i])) {
			printf("# %s of %s: %s\n", bound ? "bind" : "unbind", drivers[i],
			       strerror(errno));
			ok = false;
		}
	}
	return ok;
}

static bool is_idle(const struct heap *heap)
{
	return !attribute(heap->name, "used") && !attribute(heap->name, "buffers") &&
	       !dirty(heap) && (!heap->available ||
				attribute(heap->name, "available") == heap->available);
}

/* Files are closed, and memory is cleared, a while after the last user is gone. */
static bool wait_idle(const struct heap *heap)
{
	unsigned int tries = 200;

	while (!is_idle(heap) && tries--)
		usleep(100000);
	if (is_idle(heap))
		return true;
	printf("# %s: used %llu, buffers %llu, dirty %llu, available %llu of %llu\n", heap->name,
	       (unsigned long long)attribute(heap->name, "used"),
	       (unsigned long long)attribute(heap->name, "buffers"),
	       (unsigned long long)dirty(heap),
	       (unsigned long long)attribute(heap->name, "available"),
	       (unsigned long long)heap->available);
	return false;
}

/* Pages of a CMA area can be in use elsewhere for a moment. */
static bool fits(const struct heap *heap, uint64_t len, unsigned int tries)
{
	int fd;

	while ((fd = alloc_from(heap, len, O_RDWR | O_CLOEXEC)) < 0 && tries--)
		usleep(100000);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void measure(struct heap *heap)
{
	uint64_t step = heap->size / 64 > PAGE ? heap->size / 64 : PAGE;

	for (heap->largest = heap->size; heap->largest; heap->largest -= step)
		if (fits(heap, heap->largest, heap->cma ? 5 : 0))
			break;
}

static bool find_heaps(void)
{
	DIR *dir = NULL, *dev = NULL, *bound = NULL;
	struct heap *heap;
	const char *name;

	while ((name = next_name(&dir, CLASS, "")) && nr_heaps < ARRAY_SIZE(heaps)) {
		heap = &heaps[nr_heaps];
		if (!attribute_text(name, "cpu_access"))
			continue;
		snprintf(heap->name, sizeof(heap->name), "%.255s", name);
		heap->visible = !attribute_is(name, "cpu_access", "none");
		heap->cma = attribute_is(name, "mode", "cma");
		heap->size = attribute(name, "size");
		nr_heaps++;
	}
	while ((name = next_name(&dev, "/dev", "rmem-consumer-")) &&
	       nr_consumers < ARRAY_SIZE(consumers))
		snprintf(consumers[nr_consumers++].path, sizeof(consumers->path), "/dev/%.255s",
			 name);
	while ((name = next_name(&bound, DRIVER, "sample-")) && nr_drivers < ARRAY_SIZE(drivers))
		snprintf(drivers[nr_drivers++], sizeof(*drivers), "%.60s", name);
	printf("# %u heaps, %u consumers, %u drivers\n", nr_heaps, nr_consumers, nr_drivers);
	return nr_heaps && nr_consumers && nr_drivers;
}

enum role { WORKER, EATER, BINDER, READER };
#define OTHERS	3

static pid_t start(enum role role, unsigned int nr)
{
	uint64_t random = any();
	pid_t pid = fork();

	if (pid)
		return pid;
	me->random = random;
	switch (role) {
	case WORKER:
		work(random, !nr);
		break;
	case EATER:
		eat();
		break;
	case BINDER:
		bind_and_unbind();
		break;
	case READER:
		read_all();
		break;
	}
	_exit(0);
}

static void show_stuck(void)
{
	char path[300], line[200];
	DIR *dir = NULL;
	const char *pid;
	FILE *f;

	while ((pid = next_name(&dir, "/proc", ""))) {
		if (atoi(pid) < 2)
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/stack", pid);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			printf("# %s: %s", pid, line);
		if (f)
			fclose(f);
	}
}

/* Everybody but us */
static bool end_all(void)
{
	uint64_t until = now_ms() + 60000;
	pid_t pid;

	do {
		kill(-1, SIGKILL);
		while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
			;
		if (pid < 0)
			return true;
		usleep(20000);
	} while (now_ms() < until);
	show_stuck();
	return false;
}

static unsigned long operations(void)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		sum += shared->counts[i].worked + shared->counts[i].refused;
	return sum;
}

static void do_round(unsigned int nr, unsigned int seconds)
{
	unsigned long before = operations();
	unsigned int i, killed = 0;
	pid_t pids[WORKERS + OTHERS];
	bool ok = true;

	shared->violations = 0;
	shared->forks = 0;
	round_end = now_ms() + 1000 * seconds;
	for (i = 0; i < SOCKETS; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets[i]))
			violation("no sockets");
	for (i = 0; i < WORKERS; i++)
		pids[i] = start(WORKER, i);
	for (i = 0; i < OTHERS; i++)
		pids[WORKERS + i] = start(EATER + i, 0);

	while (now_ms() < round_end) {
		pid_t gone;

		usleep(20000 + below(300000));
		i = below(WORKERS + OTHERS);
		if (chance(70)) {
			kill(pids[i], SIGKILL);
			killed++;
		} else {
			kill(pids[i], SIGSTOP);
			usleep(below(200000));
			kill(pids[i], SIGCONT);
		}
		while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
			for (i = 0; i < WORKERS + OTHERS && now_ms() < round_end; i++)
				if (pids[i] == gone)
					pids[i] = start(i < WORKERS ? WORKER : EATER + i - WORKERS,
							i);
	}
	ok = end_all();
	for (i = 0; i < SOCKETS; i++) {
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	if (!strcmp(broken, "leak"))
		alloc_from(&heaps[below(nr_heaps)], PAGE, O_RDWR);

	ok &= !shared->violations;
	ok &= set_drivers(false);
	for (i = 0; i < nr_heaps; i++)
		ok &= wait_idle(&heaps[i]);
	ok &= set_drivers(true);
	for (i = 0; i < nr_heaps; i++) {
		if (fits(&heaps[i], heaps[i].largest, heaps[i].cma ? 50 : 10))
			continue;
		printf("# %s: no buffer of %llu bytes any more\n", heaps[i].name,
		       (unsigned long long)heaps[i].largest);
		ok = false;
	}
	result(ok, "round %u: %lu operations, %u forks, %u killed; all is back", nr,
	       operations() - before, shared->forks, killed);
}

static void judge_ops(void)
{
	unsigned int i;
	bool ok = true;

	printf("# %-30s %10s %10s\n", "operation", "worked", "refused");
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct count *count = &shared->counts[i];
		bool good = (!ops[i].works || count->worked) &&
			    (!ops[i].refused || count->refused);

		printf("# %-30s %10lu %10lu%s\n", ops[i].name, count->worked, count->refused,
		       good ? "" : "  <- never");
		ok &= good;
	}
	result(ok, "operations of every kind worked, and were refused where they should be");
}

/* One of the workers gets less than it would like of some heaps. */
static void limit(void)
{
	char text[300];
	unsigned int i, n = 0;

	if (!write_text("/sys/fs/cgroup/cgroup.subtree_control", "+dmem") || mkdir(GROUP, 0755))
		return;
	for (i = 0; i < nr_heaps; i++) {
		snprintf(text, sizeof(text), "rmem/%.255s 262144", heaps[i].name);
		n += write_text(GROUP "/dmem.max", text);
	}
	printf("# %u heaps are limited for one of the processes\n", n);
}

static unsigned long parameter(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoul(value, NULL, 0) : otherwise;
}

int main(void)
{
	struct rlimit files = { 4096, 4096 };
	unsigned long seed, seconds, each;
	unsigned int i, nr = 0;
	uint64_t end;
	bool ok;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	need_own_machine();
	setrlimit(RLIMIT_NOFILE, &files);

	seed = parameter("seed", 1);
	seconds = parameter("seconds", 60);
	each = parameter("round", 30);
	if (getenv("break"))
		broken = getenv("break");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	me = calloc(1, sizeof(*me));
	if (shared == MAP_FAILED || !me)
		return 1;
	shared->next_id = 1;
	me->random = mix(seed);
	printf("# seed=%lu seconds=%lu, %ld processors\n", seed, seconds,
	       sysconf(_SC_NPROCESSORS_ONLN));
	ok = find_heaps();
	set_drivers(false);
	for (i = 0; i < nr_heaps; i++) {
		wait_idle(&heaps[i]);
		heaps[i].available = attribute(heaps[i].name, "available");
	}
	set_drivers(true);
	for (i = 0; i < nr_heaps; i++) {
		measure(&heaps[i]);
		ok &= heaps[i].largest != 0;
		printf("# %s: %llu bytes, %llu free, %llu in one buffer, %s\n", heaps[i].name,
		       (unsigned long long)heaps[i].size,
		       (unsigned long long)heaps[i].available,
		       (unsigned long long)heaps[i].largest,
		       heaps[i].visible ? "visible" : "not visible");
	}
	result(ok, "there are heaps, consumers and drivers");
	limit();

	for (end = now_ms() + 1000 * seconds; now_ms() < end; )
		do_round(++nr, each);
	judge_ops();
	check_leaks();
	ret = finish();
	printf("rmem-heap-fuzz: %s\n", ret ? "failed" : "done");
	return ret;
}
