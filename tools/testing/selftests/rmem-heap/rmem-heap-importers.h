/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs share that have drivers import buffers */
#ifndef _RMEM_HEAP_IMPORTERS_H
#define _RMEM_HEAP_IMPORTERS_H

#include <linux/udmabuf.h>
#include <sys/mman.h>

#include "rmem-heap.h"

static inline __noreturn __printf(1, 2) void fail(const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list args;

	printf("not ok %u - cannot go on: ", ksft_test_num() + 1);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(": %s\n", why);
	exit(KSFT_FAIL);
}

/*
 * At most 2 MiB of memory that userspace has already. A large page makes it contiguous, without
 * which it is of no use to a device that cannot scatter.
 */
static inline int udmabuf_alloc(size_t len)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = len };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd = memfd_create("importers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *at = MAP_FAILED;
	int fd = -1;

	if (dev >= 0 && memfd >= 0 && !ftruncate(memfd, 2 * MIB))
		at = mmap(NULL, 4 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at != MAP_FAILED) {
		void *large = (void *)(((uintptr_t)at + 2 * MIB - 1) & ~(2 * MIB - 1));

		large = mmap(large, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     memfd, 0);
		madvise(large, 2 * MIB, MADV_HUGEPAGE);
		memset(large, 0, 2 * MIB);
		munmap(at, 4 * MIB);
		fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK);
		create.memfd = memfd;
		fd = ioctl(dev, UDMABUF_CREATE, &create);
	}
	if (fd < 0)
		fd = -errno;
	close(dev);
	close(memfd);
	return fd;
}

/* Of a heap, or of no heap: a file descriptor. A failure ends the program. */
static inline int source_alloc(const char *name, size_t len)
{
	int fd = strcmp(name, "udmabuf") ? heap_alloc(name, len) : udmabuf_alloc(len);

	if (fd < 0) {
		errno = -fd;
		fail("a buffer of %lu KiB from %s", len / KIB, name);
	}
	return fd;
}

#endif
