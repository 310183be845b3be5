/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs of this folder share */
#ifndef _RMEM_HEAP_TESTS_H
#define _RMEM_HEAP_TESTS_H

#include <dirent.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>

#include "../kselftest.h"

#define CLASS		"/sys/class/rmem_heap"
#define HEAPS		"/dev/dma_heap"
#define KIB		1024UL
#define MIB		(1024 * KIB)

/* Prints the result of a test case. */
#define result(ok, fmt, ...)	ksft_test_result(ok, "- " fmt "\n", ##__VA_ARGS__)

/* Prints how many results there were, and returns the exit status. */
static inline int finish(void)
{
	ksft_set_plan(ksft_test_num());
	return ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS;
}

static inline __noreturn void skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(KSFT_SKIP);
}

/* Who starts a program says so if nothing else runs on the machine. */
static inline bool own_machine(void)
{
	return getenv("OWN_MACHINE");
}

static inline void need_own_machine(void)
{
	if (!own_machine())
		skip_all("it is for a machine of its own, OWN_MACHINE");
}

/* On a machine of its own a program fails if there is no such file. */
static inline void need(const char *path)
{
	char why[512];

	snprintf(why, sizeof(why), "there is no %s", path);
	if (!own_machine() && access(path, F_OK))
		skip_all(why);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* The text of a file without its last line end, until the next call; NULL if it cannot be read */
static inline char *read_text(const char *path)
{
	static char text[64 * KIB];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	if (fd >= 0)
		close(fd);
	text[len - (len && text[len - 1] == '\n')] = '\0';
	return n < 0 ? NULL : text;
}

static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* read_text() of a file that a region has in sysfs */
static inline char *attribute_text(const char *region, const char *file)
{
	char path[512];

	snprintf(path, sizeof(path), CLASS "/%s/%s", region, file);
	return read_text(path);
}

static inline bool attribute_is(const char *region, const char *file, const char *text)
{
	const char *is = attribute_text(region, file);

	return is && !strcmp(is, text);
}

/* The number in the file; ~0 if there is none */
static inline uint64_t attribute(const char *region, const char *file)
{
	char *text = attribute_text(region, file), *end = text;
	uint64_t value = text ? strtoull(text, &end, 0) : 0;

	return end != text ? value : ~0ULL;
}

/* The next name in a folder that begins with @prefix. *dir is NULL before the first one. */
static inline const char *next_name(DIR **dir, const char *folder, const char *prefix)
{
	struct dirent *entry;

	if (!*dir)
		*dir = opendir(folder);
	while (*dir && (entry = readdir(*dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			return entry->d_name;
	if (*dir)
		closedir(*dir);
	*dir = NULL;
	return NULL;
}

/* A file descriptor, or a negative errno; so do the next ones. */
static inline int heap_open(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), HEAPS "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int heap_alloc_from(int heap, uint64_t len)
{
	struct dma_heap_allocation_data data = { .len = len, .fd_flags = O_RDWR | O_CLOEXEC };

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno : (int)data.fd;
}

static inline int heap_alloc(const char *name, uint64_t len)
{
	int heap = heap_open(name), fd;

	if (heap < 0)
		return heap;
	fd = heap_alloc_from(heap, len);
	close(heap);
	return fd;
}

/* 0, or a negative errno */
static inline int sync_cpu(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

#endif
