// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what the kernel made of the regions of a hostile device tree, and uses every heap. Each
 * line starts with "H "; bytes that are no printable characters, blanks and backslashes in names
 * are \xNN.
 *
 *	H sysfs NAME FILE TEXT	what /sys/class/rmem_heap says
 *	H heap NAME		a heap
 *	H use NAME ok BYTES	what could be allocated of it
 *	H use NAME FAIL WHY
 *	H done
 */
#include <sys/mman.h>

#include "rmem-heap.h"

#define PAGE		4096UL
#define MAX_HEAPS	200
#define MAX_BUFFERS	48
/* So much of a buffer is looked at; mapping costs time. */
#define LOOK		(256 * KIB)

struct buffer {
	int fd;
	size_t len;
};

static struct heap {
	char name[300];
	int fd;
	bool cpu, ours;
	uint64_t size, max;
	struct buffer buffers[MAX_BUFFERS];
	int count;
	uint64_t total;
} heaps[MAX_HEAPS];
static int nheaps;

static void put(const char *s, bool tabs)
{
	for (; *s; s++)
		if ((*s > ' ' && *s < 127 && *s != '\\') || (tabs && (*s == '\t' || *s == ' ')))
			putchar(*s);
		else
			printf("\\x%02x", (unsigned char)*s);
}

static bool fail(struct heap *heap, const char *fmt, ...)
{
	va_list args;

	printf("H use ");
	put(heap->name, false);
	printf(" FAIL ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	return false;
}

static uint64_t number(const struct heap *heap, const char *file)
{
	uint64_t value = attribute(heap->name, file);

	return value == ~0ULL ? 0 : value;
}

static void show_regions(void)
{
	static const char * const attrs[] = { "mode", "size", "base", "exported_by", "cpu_access",
					      "reason" };
	DIR *dir = NULL;
	const char *name, *val;

	while ((name = next_name(&dir, CLASS, ""))) {
		for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
			val = attribute_text(name, attrs[i]);
			if (!val)
				continue;
			printf("H sysfs ");
			put(name, false);
			printf(" %s ", attrs[i]);
			put(val, true);
			printf("\n");
		}
	}
}

/* Clear, and then full of this */
static bool fill(struct heap *heap, struct buffer *b, uint64_t pattern)
{
	size_t len = b->len < LOOK ? b->len : LOOK, end = b->len - PAGE;
	uint64_t *p, *last;
	bool ok = true;
	int ret;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (!heap->cpu) {
		if (p != MAP_FAILED)
			return fail(heap, "device-only memory was mapped");
		if (errno != EINVAL)
			return fail(heap, "mmap of device-only memory: %s", strerror(errno));
		ret = sync_cpu(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
		if (ret != -EOPNOTSUPP)
			return fail(heap, "CPU access to device-only memory: %d", ret);
		return true;
	}
	if (p == MAP_FAILED)
		return fail(heap, "mmap of %zu: %s", len, strerror(errno));
	last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, end);
	if (last == MAP_FAILED)
		return fail(heap, "mmap at %zu: %s", end, strerror(errno));
	ret = sync_cpu(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (ret)
		return fail(heap, "sync: %s", strerror(-ret));
	for (size_t i = 0; i < len / 8 && ok; i++)
		if (p[i])
			ok = fail(heap, "not clear at %zu: %llx", i * 8, (long long)p[i]);
	for (size_t i = 0; i < PAGE / 8 && ok; i++)
		if (last[i])
			ok = fail(heap, "not clear at %zu", end + i * 8);
	for (size_t i = 0; i < len / 8; i++)
		p[i] = pattern;
	for (size_t i = 0; i < PAGE / 8; i++)
		last[i] = pattern;
	ret = sync_cpu(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	if (ret)
		ok = fail(heap, "end of sync: %s", strerror(-ret));
	munmap(p, len);
	munmap(last, PAGE);
	return ok;
}

/* Still full of it, whatever has been written elsewhere */
static bool verify(struct heap *heap, struct buffer *b, uint64_t pattern)
{
	size_t len = b->len < LOOK ? b->len : LOOK;
	uint64_t *p;

	if (!heap->cpu)
		return true;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, b->fd, 0);
	if (p == MAP_FAILED)
		return fail(heap, "second mmap: %s", strerror(errno));
	if (sync_cpu(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ))
		return fail(heap, "second sync: %s", strerror(errno));
	for (size_t i = 0; i < len / 8; i++)
		if (p[i] != pattern)
			return fail(heap, "somebody else wrote to it, at %zu: %llx", i * 8,
				    (long long)p[i]);
	sync_cpu(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	munmap(p, len);
	return true;
}

static bool use_page(struct heap *heap)
{
	struct buffer b = { .len = PAGE };
	bool ok;

	b.fd = heap_alloc_from(heap->fd, PAGE);
	if (b.fd < 0)
		return fail(heap, "not a page: %s", strerror(-b.fd));
	if (lseek(b.fd, 0, SEEK_END) != PAGE)
		return fail(heap, "a page is not a page long");
	ok = fill(heap, &b, ~0ULL);
	close(b.fd);
	if (!ok)
		return false;
	/* Again, and clear again */
	b.fd = heap_alloc_from(heap->fd, 1);
	if (b.fd < 0)
		return fail(heap, "not a second page: %s", strerror(-b.fd));
	ok = fill(heap, &b, ~0ULL);
	close(b.fd);
	return ok;
}

/* As much as there is, in as few pieces as there can be */
static bool exhaust(struct heap *heap)
{
	size_t len = heap->max ? heap->max : 16 << 20;
	int fd = 0;

	fd = heap_alloc_from(heap->fd, heap->size + PAGE);
	if (heap->size && fd >= 0)
		return fail(heap, "a buffer larger than the region");
	while (heap->count < MAX_BUFFERS && len >= PAGE) {
		struct buffer *b = &heap->buffers[heap->count];

		fd = heap_alloc_from(heap->fd, len);
		if (fd == -ENOMEM) {
			len = len / 2 & ~(PAGE - 1);
			continue;
		}
		if (fd < 0)
			return fail(heap, "alloc of %zu: %s", len, strerror(-fd));
		b->fd = fd;
		b->len = len;
		heap->count++;
		heap->total += len;
	}
	if (!heap->count)
		return fail(heap, "nothing could be allocated");
	if (heap->size && heap->total > heap->size)
		return fail(heap, "%llu bytes out of %llu", (long long)heap->total,
			    (long long)heap->size);
	return true;
}

static uint64_t pattern(struct heap *heap, int i)
{
	return 0x5a00000000000000ULL + ((heap - heaps + 1) << 16) + i + 1;
}

static void use_heaps(void)
{
	static bool bad[MAX_HEAPS];
	struct heap *h;

	for (h = heaps; h < heaps + nheaps; h++) {
		h->fd = heap_open(h->name);
		if (h->fd < 0) {
			bad[h - heaps] = !fail(h, "open: %s", strerror(errno));
			continue;
		}
		h->ours = attribute_text(h->name, "cpu_access");
		h->cpu = !attribute_is(h->name, "cpu_access", "none");
		h->size = h->ours ? number(h, "size") : 0;
		h->max = number(h, "max_buffer");
		bad[h - heaps] = !use_page(h);
	}
	/* All at once, so that memory that two of them have shows. */
	for (h = heaps; h < heaps + nheaps; h++)
		if (!bad[h - heaps] && h->ours)
			bad[h - heaps] = !exhaust(h);
	for (h = heaps; h < heaps + nheaps; h++)
		for (int i = 0; i < h->count && !bad[h - heaps]; i++)
			bad[h - heaps] = !fill(h, &h->buffers[i], pattern(h, i));
	for (h = heaps; h < heaps + nheaps; h++)
		for (int i = 0; i < h->count && !bad[h - heaps]; i++)
			bad[h - heaps] = !verify(h, &h->buffers[i], pattern(h, i));
	for (h = heaps; h < heaps + nheaps; h++) {
		for (int i = 0; i < h->count; i++)
			close(h->buffers[i].fd);
		if (bad[h - heaps])
			continue;
		if (h->ours && number(h, "used")) {
			fail(h, "still used: %s", attribute_text(h->name, "used"));
			continue;
		}
		if (h->ours && number(h, "buffers")) {
			fail(h, "still has buffers");
			continue;
		}
		/* What was there before is there again. */
		if (h->ours) {
			int fd = heap_alloc_from(h->fd, h->buffers[0].len);

			if (fd < 0) {
				fail(h, "not again %zu: %s", h->buffers[0].len, strerror(-fd));
				continue;
			}
			close(fd);
		}
		printf("H use ");
		put(h->name, false);
		printf(" ok %llu\n", (long long)h->total);
	}
}

int main(void)
{
	static char out[1 << 16];
	DIR *dir = NULL;
	const char *name;

	setvbuf(stdout, out, _IOFBF, sizeof(out));
	show_regions();
	fflush(stdout);
	while ((name = next_name(&dir, HEAPS, ""))) {
		printf("H heap ");
		put(name, false);
		printf("\n");
		if (strcmp(name, "system") && nheaps < MAX_HEAPS)
			snprintf(heaps[nheaps++].name, sizeof(heaps[0].name), "%s", name);
	}
	fflush(stdout);
	use_heaps();
	printf("H done\n");
	return 0;
}
