// SPDX-License-Identifier: GPL-2.0
/*
 * User mappings of buffers, with small and with large entries, through all that can happen
 * to them. Prints TAP.
 *
 * From the environment: heaps=NAME,..., otherwise all whose memory the CPU sees and that have room
 * for two buffers; and large=1 where the architecture maps aligned memory with entries of 2 MiB.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "rmem-heap.h"

#define LARGE	(2 * MIB)
#define LEN	(8 * MIB)

static unsigned long page;
static const char *heap;

static void check(bool ok, const char *what)
{
	result(ok, "%s: %s", heap, what);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static uint32_t *map(int fd, size_t off, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, off);
}

/* The first word of each page tells which page it is */
static void fill(uint32_t *mem, size_t off, size_t len, uint32_t seed)
{
	size_t pos;

	for (pos = 0; pos < len; pos += page)
		mem[pos / 4] = seed + (off + pos) / page;
}

static bool filled(const uint32_t *mem, size_t off, size_t len, uint32_t seed)
{
	size_t pos;

	for (pos = 0; pos < len; pos += page)
		if (mem[pos / 4] != seed + (off + pos) / page)
			return false;
	return true;
}

static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

static int write_signal(uint32_t *mem)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		__atomic_store_n(mem, 1, __ATOMIC_SEQ_CST);
	return sig;
}

/* The kernel takes no references to the pages, but copies */
static void check_pages(void *mem)
{
	struct iovec iov = { .iov_base = mem, .iov_len = page };
	int fds[2];

	if (pipe(fds)) {
		check(false, "a pipe");
		return;
	}
	check(vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK) < 0 && errno == EFAULT,
	      "vmsplice() fails with EFAULT");
	check(write(fds[1], mem, page) == (ssize_t)page && read(fds[0], mem, page) == (ssize_t)page,
	      "write() and read() copy");
	close(fds[0]);
	close(fds[1]);
}

static void check_heap(bool large)
{
	/* Where a large entry is used, the core drops all of it when a part goes. */
	uint32_t *mem, *other, *moved;
	int fd = heap_alloc(heap, LEN), status;
	size_t off;
	long before;
	pid_t pid;

	if (fd < 0) {
		check(false, "allocating 8 MiB");
		return;
	}

	/* Once to no purpose, as our own stack is copied on write after a fork. */
	mem = map(fd, 0, LEN, PROT_READ | PROT_WRITE);
	if (mem == MAP_FAILED) {
		check(false, "mapping 8 MiB");
		return;
	}
	fill(mem, 0, LEN, 1);
	munmap(mem, LEN);

	before = faults();
	mem = map(fd, 0, LEN, PROT_READ | PROT_WRITE);
	fill(mem, 0, LEN, 1);
	check(faults() == before, "a write to every page takes no fault");
	if (large)
		check(!((uintptr_t)mem & (LARGE - 1)), "the address is aligned for large entries");

	check_pages(mem);

	/* A second mapping, of other parts and with small entries */
	for (off = page; off < LEN; off += LARGE + 5 * page) {
		size_t len = LEN - off < LARGE ? LEN - off : LARGE;

		other = map(fd, off, len, PROT_READ);
		if (other == MAP_FAILED || !filled(other, off, len, 1))
			break;
		munmap(other, len);
	}
	check(off >= LEN, "mappings at other offsets show the same memory");
	other = map(fd, LARGE, LARGE, PROT_READ);
	check(other != MAP_FAILED && filled(other, LARGE, LARGE, 1), "and so does one at 2 MiB");
	check(write_signal(other) == SIGSEGV, "which cannot be written to if it is read-only");
	munmap(other, LARGE);

	/* A page out of the middle of the second large entry */
	before = faults();
	munmap((char *)mem + LARGE + 3 * page, page);
	check(filled(mem, 0, LARGE + 3 * page, 1) &&
	      filled(mem + (LARGE + 4 * page) / 4, LARGE + 4 * page, LEN - LARGE - 4 * page, 1),
	      "what is left after a page was unmapped is still there");
	check(large ? faults() > before : faults() == before,
	      large ? "and has come back by faults: its entry was a large one" :
		      "and needed no fault");
	check(write_signal(mem + (LARGE + 3 * page) / 4) == SIGSEGV, "the page is gone");
	fill(mem, 0, LARGE, 7);
	fill(mem + (LARGE + 4 * page) / 4, LARGE + 4 * page, LARGE - 4 * page, 7);
	other = map(fd, 0, LEN, PROT_READ | PROT_WRITE);
	check(filled(other, 0, LARGE, 7) &&
	      filled(other + LARGE / 4, LARGE, 3 * page, 1) &&
	      filled(other + (LARGE + 4 * page) / 4, LARGE + 4 * page, LARGE - 4 * page, 7),
	      "writes to it reach the buffer");

	/* Protection of a part of a large entry, and of a whole one */
	mprotect((char *)other + 5 * page, page, PROT_READ);
	check(write_signal(other + 5 * page / 4) == SIGSEGV &&
	      !write_signal(other + 4 * page / 4) && !write_signal(other + 6 * page / 4),
	      "one page can be made read-only");
	mprotect((char *)other + 2 * LARGE, LARGE, PROT_READ);
	check(write_signal(other + 2 * LARGE / 4) == SIGSEGV &&
	      other[2 * LARGE / 4] == 1 + 2 * LARGE / page, "and 2 MiB");
	mprotect(other, LEN, PROT_READ | PROT_WRITE);
	fill(other, 0, LEN, 9);
	check(filled(other, 0, LEN, 9), "and writable again");

	moved = mremap(other, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (char *)mmap(NULL, LEN + LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0) + page);
	check(moved != MAP_FAILED && filled(moved, 0, LEN, 9), "it can be moved");
	check(mremap(moved, LEN, 2 * LEN, MREMAP_MAYMOVE) == MAP_FAILED, "but not grow");

	/* A child shares it */
	pid = fork();
	if (!pid) {
		bool ok = filled(moved, 0, LEN, 9) && filled(mem, 0, LARGE + 3 * page, 9);

		fill(moved, 0, LEN, 11);
		_exit(!ok);
	}
	waitpid(pid, &status, 0);
	check(pid > 0 && status == 0 && filled(moved, 0, LEN, 11), "a child shares it");

	/* The buffer lives as long as a mapping of it */
	close(fd);
	check(filled(moved, 0, LEN, 11), "it outlives its file descriptor");
	munmap(moved, LEN);
	munmap(mem, LEN);
	fd = heap_alloc(heap, LEN);
	mem = map(fd, 0, LEN, PROT_READ | PROT_WRITE);
	for (off = 0; mem != MAP_FAILED && off < LEN / 4; off++)
		if (mem[off])
			break;
	check(off == LEN / 4, "the next one is clear");
	munmap(mem, LEN);
	close(fd);
}

static const char *all_heaps(void)
{
	static char list[4096];
	DIR *dir = NULL;
	const char *name;
	uint64_t room;
	size_t n = 0;

	while ((name = next_name(&dir, CLASS, "")) && n + 300 < sizeof(list)) {
		room = attribute(name, "available");
		if (room >= 2 * LEN && room != ~0ULL && !attribute_is(name, "cpu_access", "none"))
			n += snprintf(list + n, sizeof(list) - n, "%s,", name);
	}
	if (!n)
		skip_all("no heap has room for two buffers of 8 MiB");
	return list;
}

int main(void)
{
	struct sigaction act = { .sa_handler = on_fault };
	const char *large = getenv("large");
	char *list = strdup(getenv("heaps") ?: all_heaps()), *word;

	setvbuf(stdout, NULL, _IOLBF, 0);
	page = sysconf(_SC_PAGESIZE);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);

	for (word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		/* +NAME: its buffers are aligned for large entries */
		heap = word + (*word == '+');
		check_heap(*word == '+' && large && *large == '1');
	}
	return finish() || !ksft_test_num();
}
