// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap: look at reserved memory and its dma-buf heaps, and use them.
 *
 * What there is comes from /sys/class/rmem_heap; on a kernel without it, from
 * /dev/dma_heap alone. Which devices refer to a region is in the device tree.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define CLASS	"/sys/class/rmem_heap"
#define HEAPS	"/dev/dma_heap"
#define TREE	"/proc/device-tree"
#define PICTURE	"/sys/kernel/debug/rmem_heap/map"
#define UNKNOWN	UINT64_MAX

#define HELP	{ "help", no_argument, NULL, 'h' }

/* What fails at run time, and a wrong command line */
#define die(...)	(fflush(stdout), errx(1, __VA_ARGS__))
#define misuse(...)	(fflush(stdout), errx(2, __VA_ARGS__))

static bool json;
static bool color;
static long page_size;

static void *xalloc(void *old, size_t size)
{
	void *mem = realloc(old, size);

	if (!mem)
		die("out of memory");
	return mem;
}

static char *xstrdup(const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(xalloc(NULL, len), text, len);
}

/* A name from a device tree may have anything in it. */
static const char *plain(const char *text)
{
	static char bufs[4][512];
	static unsigned int next;
	char *buf = bufs[next++ % 4];
	size_t i;

	for (i = 0; text[i] && i < sizeof(bufs[0]) - 1; i++)
		buf[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	buf[i] = '\0';
	return buf;
}

/* Lists of names */

struct names {
	char **name;
	unsigned int n;
};

static void names_add(struct names *names, const char *name)
{
	unsigned int i;

	for (i = 0; i < names->n; i++)
		if (!strcmp(names->name[i], name))
			return;
	names->name = xalloc(names->name, (names->n + 1) * sizeof(*names->name));
	names->name[names->n++] = xstrdup(name);
}

static int names_cmp(const void *a, const void *b)
{
	return strcmp(*(char **)a, *(char **)b);
}

static struct names names_in(const char *folder)
{
	struct names names = { };
	struct dirent *entry;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			names_add(&names, entry->d_name);
	if (dir)
		closedir(dir);
	if (names.n)
		qsort(names.name, names.n, sizeof(*names.name), names_cmp);
	return names;
}

static void names_free(struct names *names)
{
	while (names->n)
		free(names->name[--names->n]);
	free(names->name);
	names->name = NULL;
}

/* Sizes, for people */

static const char *human(uint64_t size)
{
	static char bufs[8][32];
	static unsigned int next;
	char *buf = bufs[next++ % 8];
	const char *units = "BKMGT";
	double val = size;

	if (size == UNKNOWN)
		return "?";
	while (val >= 1024 && units[1]) {
		val /= 1024;
		units++;
	}
	if (*units == 'B')
		snprintf(buf, 32, "%.0f B", val);
	else if (val == (uint64_t)val || val >= 100)
		snprintf(buf, 32, "%.0f %ciB", val, *units);
	else
		snprintf(buf, 32, "%.1f %ciB", val, *units);
	return buf;
}

static uint64_t parse_size(const char *text)
{
	char *end;
	double val = strtod(text, &end);
	const char *units = "bkmgt", *unit;

	if (end == text || !(val > 0))
		misuse("%s is no size; say for example 4096, 64K or 1.5M", text);
	if (*end) {
		unit = strchr(units, tolower(*end));
		if (!unit || (end[1] && strcasecmp(end + 1, "ib") && strcasecmp(end + 1, "b")))
			misuse("%s is no size; say for example 4096, 64K or 1.5M", text);
		for (; unit > units; unit--)
			val *= 1024;
	}
	if (!(val >= 1 && val <= (double)(1ULL << 62)))
		misuse("%s is no size that anything has", text);
	return val;
}

static unsigned long parse_number(const char *what, const char *text)
{
	char *end;
	unsigned long val = strtoul(text, &end, 0);

	if (end == text || *end || strchr(text, '-') || val > 1000000)
		misuse("%s: %s is no number from 0 to 1000000", what, text);
	return val;
}

/* The next option, or -1. --help and a wrong option end the program with the usage. */
static int next_option(int argc, char **argv, const char *letters, const struct option *options,
		       const char *usage)
{
	int c = getopt_long(argc, argv, letters, options, NULL);

	if (c == '?')
		misuse("%s", usage);
	if (c == 'h') {
		printf("%s\n", usage);
		exit(0);
	}
	return c;
}

/* The path of a heap stands for its name. */
static const char *name_of(const char *arg)
{
	return strncmp(arg, HEAPS "/", strlen(HEAPS "/")) ? arg : arg + strlen(HEAPS "/");
}

/* A command whose one argument is a name */
static const char *only_name(int argc, char **argv, const char *usage)
{
	static const struct option options[] = { HELP, { } };

	while (next_option(argc, argv, "h", options, usage) != -1)
		;
	if (argc - optind != 1)
		misuse("%s", usage);
	return name_of(argv[optind]);
}

/* Regions and heaps */

struct region {
	char *name;
	char *mode;
	char *exported_by;
	char *reason;
	char *allocator;
	char *cpu_access;
	uint64_t size, base, used, peak, buffers, available, largest_free, dirty, lost,
		 alignment, max_buffer;
	bool in_class;
	bool heap;
	struct names consumers;
	struct names referrers;
};

static char *read_text(const char *folder, const char *file)
{
	char path[PATH_MAX], buf[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n < 0)
		return NULL;
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return xstrdup(buf);
}

static uint64_t read_number(const char *folder, const char *file)
{
	char *text = read_text(folder, file);
	uint64_t val = text && *text ? strtoull(text, NULL, 0) : UNKNOWN;

	free(text);
	return val;
}

static uint32_t read_cell(const uint8_t *cell)
{
	return (uint32_t)cell[0] << 24 | cell[1] << 16 | cell[2] << 8 | cell[3];
}

static size_t read_cells(const char *folder, const char *file, uint8_t *cells, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, cells, size);
	close(fd);
	return n < 0 ? 0 : n / 4;
}

/* Nodes below folder whose memory-region has the phandle */
static void find_referrers(const char *folder, uint32_t phandle, struct names *found)
{
	struct names entries = names_in(folder);
	char path[PATH_MAX];
	uint8_t cells[256];
	struct stat st;
	unsigned int i;
	size_t n;

	n = read_cells(folder, "memory-region", cells, sizeof(cells));
	while (n--)
		if (read_cell(cells + 4 * n) == phandle)
			names_add(found, *folder ? folder + strlen(TREE) : "/");
	for (i = 0; i < entries.n; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, entries.name[i]) >=
		    sizeof(path))
			continue;
		if (!lstat(path, &st) && S_ISDIR(st.st_mode))
			find_referrers(path, phandle, found);
	}
	names_free(&entries);
}

static void read_region(struct region *r, const char *name)
{
	char folder[PATH_MAX], of_node[PATH_MAX + 16], heap[PATH_MAX];
	struct names entries;
	uint8_t phandle[4];
	unsigned int i;
	char *active;

	snprintf(folder, sizeof(folder), CLASS "/%s", name);
	snprintf(heap, sizeof(heap), HEAPS "/%s", name);
	*r = (struct region) {
		.name = xstrdup(name),
		.heap = !access(heap, F_OK),
		.in_class = !access(folder, F_OK),
	};

	r->mode = read_text(folder, "mode");
	r->exported_by = read_text(folder, "exported_by");
	r->reason = read_text(folder, "reason");
	r->allocator = read_text(folder, "allocator");
	r->cpu_access = read_text(folder, "cpu_access");
	r->size = read_number(folder, "size");
	r->base = read_number(folder, "base");
	r->used = read_number(folder, "used");
	r->peak = read_number(folder, "peak");
	r->buffers = read_number(folder, "buffers");
	r->available = read_number(folder, "available");
	r->largest_free = read_number(folder, "largest_free");
	r->dirty = read_number(folder, "dirty");
	r->lost = read_number(folder, "lost");
	r->alignment = read_number(folder, "alignment");
	r->max_buffer = read_number(folder, "max_buffer");

	entries = names_in(folder);
	for (i = 0; i < entries.n; i++) {
		if (strncmp(entries.name[i], "consumer:", 9))
			continue;
		active = strchr(entries.name[i] + 9, ':');
		names_add(&r->consumers, active ? active + 1 : entries.name[i] + 9);
	}
	names_free(&entries);

	snprintf(of_node, sizeof(of_node), "%s/of_node", folder);
	if (read_cells(of_node, "phandle", phandle, 4) == 1)
		find_referrers(TREE, read_cell(phandle), &r->referrers);
}

struct regions {
	struct region *region;
	unsigned int n;
};

static struct regions read_regions(void)
{
	struct names all = names_in(CLASS), heaps = names_in(HEAPS);
	struct regions regions = { };
	unsigned int i;

	for (i = 0; i < heaps.n; i++)
		names_add(&all, heaps.name[i]);
	regions.region = xalloc(NULL, (all.n + 1) * sizeof(*regions.region));
	for (i = 0; i < all.n; i++)
		read_region(&regions.region[regions.n++], all.name[i]);
	names_free(&all);
	names_free(&heaps);
	return regions;
}

/* Why values are not known, or why there is no region */
static const char *no_regions(void)
{
	if (access("/sys/class", F_OK))
		return "/sys is not mounted";
	return access(CLASS, F_OK) ? "this kernel has no CONFIG_RMEM_HEAP" :
				     "the device tree has no reserved-memory regions";
}

static struct region find_region(const char *name)
{
	struct regions all = read_regions();
	size_t len = 1, pos;
	unsigned int i;
	char *list;

	for (i = 0; i < all.n; i++)
		if (!strcmp(all.region[i].name, name))
			return all.region[i];

	for (i = 0; i < all.n; i++)
		len += strlen(all.region[i].name) + 1;
	list = xalloc(NULL, len);
	*list = '\0';
	for (i = 0, pos = 0; i < all.n; i++)
		pos += snprintf(list + pos, len - pos, " %s", all.region[i].name);
	if (!all.n)
		die("there is no region or heap %s: %s", name, no_regions());
	die("there is no region or heap %s; there are:%s", name, list);
}

static int open_heap(const char *name)
{
	struct region r = find_region(name);
	char path[PATH_MAX];
	int fd;

	if (!r.heap)
		die("%s has no heap: %s", name, r.reason && strcmp(r.reason, "-") ? r.reason :
		    "there is no " HEAPS " node for it");
	snprintf(path, sizeof(path), HEAPS "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		die("%s: permission denied; as root add a udev rule such as\n"
		    "  SUBSYSTEM==\"dma_heap\", KERNEL==\"%s\", GROUP=\"video\", MODE=\"0660\"",
		    path, name);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static int try_alloc(int heap, uint64_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

/* The power of two that is not less than size, which is not more than 2^62 */
static uint64_t round_up(uint64_t size)
{
	uint64_t power = page_size;

	while (power < size)
		power *= 2;
	return power;
}

static int alloc_buffer(int heap, const char *name, uint64_t size)
{
	int fd = try_alloc(heap, size);
	uint64_t whole = size;
	struct region r;

	if (fd >= 0)
		return fd;
	if (errno == ENODEV)
		die("%s: the driver that exported it is gone; bind it again", name);
	if (errno != ENOMEM)
		die("%s: allocating %s: %s", name, human(size), strerror(errno));
	r = find_region(name);
	if (r.mode && !strcmp(r.mode, "coherent"))
		whole = round_up(size);
	/* What is asked for fits, but not what the pool makes of it. */
	if (size <= r.available && whole > r.available)
		die("%s: no %s: the pool rounds it up to %s, available %s; a buffer is at most %s",
		    name, human(size), human(whole), human(r.available),
		    human(round_up(r.available / 2 + 1)));
	die("%s: no %s%s%s: in use %s of %s, available %s; or a control group's limit", name,
	    human(size), whole > size ? ", rounded up to " : "", whole > size ? human(whole) : "",
	    human(r.used), human(r.size), human(r.available));
}

static void cpu_access(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int ret;

	do {
		ret = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	} while (ret && (errno == EINTR || errno == EAGAIN));
	if (ret)
		die("preparing access by the CPU: %s", strerror(errno));
}

static uint8_t *map_buffer(int fd, const char *name, uint64_t size)
{
	uint8_t *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct region r;

	if (mem != MAP_FAILED)
		return mem;
	r = find_region(name);
	if (r.cpu_access && !strcmp(r.cpu_access, "none"))
		die("%s: the CPU must not access this memory, devices only", name);
	die("%s: mapping the buffer: %s", name, strerror(errno));
}

/* JSON */

static bool json_comma;

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void json_key(const char *key)
{
	if (json_comma)
		putchar(',');
	json_comma = true;
	json_string(key);
	putchar(':');
}

static void json_text(const char *key, const char *text)
{
	json_key(key);
	if (text && strcmp(text, "-"))
		json_string(text);
	else
		printf("null");
}

static void json_number(const char *key, uint64_t val)
{
	json_key(key);
	if (val == UNKNOWN)
		printf("null");
	else
		printf("%llu", (unsigned long long)val);
}

static void json_names(const char *key, const struct names *names)
{
	unsigned int i;

	json_key(key);
	putchar('[');
	for (i = 0; i < names->n; i++) {
		if (i)
			putchar(',');
		json_string(names->name[i]);
	}
	putchar(']');
}

static void json_region(const struct region *r)
{
	char heap[PATH_MAX];

	putchar('{');
	json_comma = false;
	json_text("name", r->name);
	json_text("mode", r->mode);
	json_text("allocator", r->allocator);
	json_number("size", r->size);
	json_number("base", r->base);
	json_number("used", r->used);
	json_number("peak", r->peak);
	json_number("buffers", r->buffers);
	json_number("available", r->available);
	json_number("largest_free", r->largest_free);
	json_number("dirty", r->dirty);
	json_number("lost", r->lost);
	json_number("alignment", r->alignment);
	json_number("max_buffer", r->max_buffer);
	json_text("cpu_access", r->cpu_access);
	json_text("exported_by", r->exported_by);
	json_text("reason", r->reason);
	json_names("devices", &r->consumers);
	json_names("referrers", &r->referrers);
	snprintf(heap, sizeof(heap), HEAPS "/%s", r->name);
	json_text("heap", r->heap ? heap : NULL);
	putchar('}');
}

/* ls */

enum { REGION, MODE, SIZE, USED, LARGEST, BUFFERS, DEVICES, HEAP, NR_COLUMNS };

static const char *const titles[NR_COLUMNS] = {
	"REGION", "MODE", "SIZE", "USED", "LARGEST", "BUFFERS", "DEVICES", "HEAP"
};

/* Columns that a narrow terminal does without, in this order */
static const int spare[] = { LARGEST, BUFFERS, DEVICES, USED, SIZE, MODE };

static unsigned int terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;

	if (!isatty(STDOUT_FILENO))
		return UINT_MAX;
	if (columns && atoi(columns) > 0)
		return atoi(columns);
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col ? UINT_MAX : ws.ws_col;
}

/* One string of all names; with parentheses, if they only refer to the region */
static char *join(const struct names *names, bool parentheses)
{
	char *text = xstrdup(names->n ? "" : "-");
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < names->n; i++) {
		text = xalloc(text, len + strlen(names->name[i]) + 4);
		len += sprintf(text + len, parentheses ? "%s(%s)" : "%s%s", i ? "," : "",
			       plain(names->name[i]));
	}
	return text;
}

static void fill_cells(const struct region *r, char *cells[NR_COLUMNS])
{
	bool counted = r->heap || !r->in_class;
	char text[PATH_MAX] = "?";

	cells[REGION] = xstrdup(plain(r->name));
	cells[MODE] = xstrdup(r->mode ?: "?");
	cells[SIZE] = xstrdup(human(r->size));
	cells[USED] = xstrdup(counted ? human(r->used) : "-");
	cells[LARGEST] = xstrdup(r->largest_free == UNKNOWN ? "-" : human(r->largest_free));
	if (r->buffers != UNKNOWN)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)r->buffers);
	cells[BUFFERS] = xstrdup(counted ? text : "-");
	cells[DEVICES] = r->consumers.n ? join(&r->consumers, false) : join(&r->referrers, true);
	if (r->heap)
		snprintf(text, sizeof(text), HEAPS "/%s", plain(r->name));
	else
		snprintf(text, sizeof(text), "- (%s)", plain(r->reason ?: "no heap"));
	cells[HEAP] = xstrdup(text);
}

static unsigned int sum_of_widths(const unsigned int *width)
{
	unsigned int c, sum = 0;

	for (c = 0; c < NR_COLUMNS; c++)
		sum += width[c] ? width[c] + 2 : 0;
	return sum - 2;
}

/* Lets columns go, and takes from the others, until the table is not wider than max. */
static bool narrow(unsigned int *width, unsigned int max)
{
	const unsigned int least = 16, most = 20;
	unsigned int i;

	max = max < least ? least : max;
	if (sum_of_widths(width) <= max)
		return false;
	width[HEAP] = 0;
	if (width[REGION] > max / 2)
		width[REGION] = max / 2;
	if (width[DEVICES] > most)
		width[DEVICES] = most;
	for (i = 0; i < sizeof(spare) / sizeof(*spare); i++)
		if (sum_of_widths(width) + 2 + least > max)
			width[spare[i]] = 0;
	width[HEAP] = max - 2 - sum_of_widths(width);
	return true;
}

static const char *mode_color(const char *mode)
{
	if (!color)
		return "";
	if (!mode || !strcmp(mode, "owned") || !strcmp(mode, "disabled"))
		return "\033[2m";
	return !strcmp(mode, "refused") ? "\033[31m" : "\033[32m";
}

static void print_row(char *const cells[NR_COLUMNS], const unsigned int *width,
		      const char *mode_is)
{
	unsigned int c;

	for (c = 0; c < NR_COLUMNS; c++) {
		int pad = width[c];

		if (!pad)
			continue;
		/* A cell that is cut ends with two dots. */
		if (strlen(cells[c]) > width[c])
			memcpy(cells[c] + width[c] - 2, "..", 3);
		if (c < SIZE || c > BUFFERS)
			pad = c == HEAP ? 0 : -pad;
		printf("%s%s%*s%s", c ? "  " : "", c == MODE ? mode_is : "", pad, cells[c],
		       c == MODE && *mode_is ? "\033[0m" : "");
	}
	putchar('\n');
}

static void print_regions(const struct regions *all)
{
	char *(*cells)[NR_COLUMNS] = xalloc(NULL, (all->n + 1) * sizeof(*cells));
	unsigned int width[NR_COLUMNS] = { }, i, c;
	bool cut;

	for (i = 0; i <= all->n; i++) {
		for (c = 0; c < NR_COLUMNS && !i; c++)
			cells[0][c] = xstrdup(titles[c]);
		if (i)
			fill_cells(&all->region[i - 1], cells[i]);
		for (c = 0; c < NR_COLUMNS; c++)
			if (strlen(cells[i][c]) > width[c])
				width[c] = strlen(cells[i][c]);
	}
	cut = narrow(width, terminal_width());
	for (i = 0; i <= all->n; i++) {
		/* The name says which. */
		if (cut && i && all->region[i - 1].heap)
			memcpy(cells[i][HEAP], "yes", sizeof("yes"));
		print_row(cells[i], width, i ? mode_color(all->region[i - 1].mode) : "");
		for (c = 0; c < NR_COLUMNS; c++)
			free(cells[i][c]);
	}
	free(cells);
	for (i = 0; i < all->n; i++)
		if (all->region[i].in_class)
			return;
	printf("? is not known: %s\n", no_regions());
}

/* One JSON document, with this between its regions */
static void list(const char *between)
{
	struct regions all = read_regions();
	unsigned int i;

	if (!json) {
		if (!all.n)
			die("there is no heap in " HEAPS ": %s", no_regions());
		print_regions(&all);
		return;
	}
	putchar('[');
	for (i = 0; i < all.n; i++) {
		printf("%s", i ? between : "");
		json_region(&all.region[i]);
	}
	printf("]\n");
}

static int cmd_ls(int argc, char **argv)
{
	static const struct option options[] = { HELP, { } };

	while (next_option(argc, argv, "h", options, "usage: rmem-heap ls") != -1)
		;
	if (optind != argc)
		misuse("ls takes no argument; see: rmem-heap info %s", argv[optind]);
	list(",\n ");
	return 0;
}

/* info */

static void print_names(const char *what, const struct names *names)
{
	unsigned int i;

	printf("%-14s", what);
	for (i = 0; i < names->n; i++)
		printf("%s%s", i ? ", " : "", plain(names->name[i]));
	printf("%s\n", names->n ? "" : "-");
}

static const char *mode_text(const struct region *r)
{
	if (r->mode)
		return r->mode;
	return access(CLASS, F_OK) ? "? (this kernel has no CONFIG_RMEM_HEAP)" :
				     "? (no region of the device tree has this name)";
}

static int cmd_info(int argc, char **argv)
{
	struct region r = find_region(only_name(argc, argv, "usage: rmem-heap info NAME"));

	if (json) {
		json_region(&r);
		putchar('\n');
		return 0;
	}
	printf("%-14s%s\n", "region", r.name);
	printf("%-14s%s\n", "mode", mode_text(&r));
	printf("%-14s%s\n", "size", human(r.size));
	if (r.base != UNKNOWN)
		printf("%-14s0x%llx\n", "base", (unsigned long long)r.base);
	if (r.heap)
		printf("%-14s" HEAPS "/%s\n", "heap", r.name);
	else
		printf("%-14s-\n", "heap");
	if (r.exported_by)
		printf("%-14s%s\n", "exported by", r.exported_by);
	if (r.reason && strcmp(r.reason, "-"))
		printf("%-14s%s\n", "reason", r.reason);
	if (r.used != UNKNOWN) {
		printf("%-14s%s in %llu buffers, at most %s\n", "used", human(r.used),
		       (unsigned long long)r.buffers, human(r.peak));
		printf("%-14s%s\n", "available", human(r.available));
	}
	if (r.largest_free != UNKNOWN)
		printf("%-14s%s, %s to be cleared, %s lost\n", "largest free",
		       human(r.largest_free), human(r.dirty), human(r.lost));
	if (r.cpu_access) {
		printf("%-14s%s\n", "allocator", r.allocator ?: "?");
		printf("%-14s%s\n", "CPU access", r.cpu_access);
		printf("%-14s%s\n", "alignment", human(r.alignment));
		printf("%-14s%s\n", "max buffer", human(r.max_buffer));
	}
	print_names("devices", &r.consumers);
	print_names("referred by", &r.referrers);
	return 0;
}

/* map */

struct piece {
	uint64_t off, len;
	char state[16];
};

static struct piece *read_pieces(const char *name, unsigned int *n)
{
	struct piece *pieces = NULL, p;
	unsigned long long off, len;
	char line[512], who[300];
	FILE *f = fopen(PICTURE, "r");

	if (!f && errno == EACCES)
		die(PICTURE ": permission denied; only root sees where buffers are");
	if (!f)
		die(PICTURE ": %s; mount debugfs: mount -t debugfs none /sys/kernel/debug",
		    strerror(errno));
	*n = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%299s %llu %llu %15s", who, &off, &len, p.state) != 4 ||
		    strcmp(who, name))
			continue;
		p.off = off;
		p.len = len;
		pieces = xalloc(pieces, (*n + 1) * sizeof(*pieces));
		pieces[(*n)++] = p;
	}
	fclose(f);
	return pieces;
}

static int cmd_map(int argc, char **argv)
{
	const unsigned int columns = 64, rows = 8;
	uint64_t cell, from, to;
	struct region r = find_region(only_name(argc, argv, "usage: rmem-heap map NAME"));
	struct piece *pieces;
	unsigned int i, k, n;

	if (!r.mode || strcmp(r.mode, "carveout") || !r.heap)
		die("%s: only carveouts with a heap have a map; this one is %s", r.name,
		    mode_text(&r));
	pieces = read_pieces(r.name, &n);

	if (json) {
		printf("{\"name\":");
		json_string(r.name);
		printf(",\"size\":%llu,\"pieces\":[", (unsigned long long)r.size);
		for (i = 0; i < n; i++)
			printf("%s{\"offset\":%llu,\"length\":%llu,\"state\":\"%s\"}",
			       i ? "," : "", (unsigned long long)pieces[i].off,
			       (unsigned long long)pieces[i].len, pieces[i].state);
		printf("]}\n");
		return 0;
	}

	cell = (r.size + columns * rows - 1) / (columns * rows);
	cell = (cell + page_size - 1) / page_size * page_size;
	printf("%s, %s, a character is %s: # used, ~ dirty, . free, + some used\n", r.name,
	       human(r.size), human(cell));
	for (from = 0, k = 0; from < r.size; from = to, k++) {
		uint64_t used = 0, dirty = 0;

		to = from + cell < r.size ? from + cell : r.size;
		for (i = 0; i < n; i++) {
			uint64_t a = pieces[i].off > from ? pieces[i].off : from;
			uint64_t b = pieces[i].off + pieces[i].len;

			b = b < to ? b : to;
			if (a >= b)
				continue;
			if (!strcmp(pieces[i].state, "used"))
				used += b - a;
			else if (!strcmp(pieces[i].state, "dirty"))
				dirty += b - a;
		}
		if (k % columns == 0)
			printf("%10s  ", human(from));
		putchar(used == to - from ? '#' : used ? '+' : dirty ? '~' : '.');
		if (k % columns == columns - 1 || to == r.size)
			putchar('\n');
	}
	return 0;
}

/* alloc */

static uint32_t word_at(uint32_t seed, uint64_t pos)
{
	return (seed + 1) * 2654435761u ^ (uint32_t)(pos / 4) * 40503u;
}

static void fill(uint8_t *mem, uint64_t size, uint32_t seed)
{
	uint64_t pos;

	for (pos = 0; pos + 4 <= size; pos += 4)
		*(uint32_t *)(mem + pos) = word_at(seed, pos);
}

/* The first place that is wrong, or size */
static uint64_t check(const uint8_t *mem, uint64_t size, uint32_t seed)
{
	uint64_t pos;

	for (pos = 0; pos + 4 <= size; pos += 4)
		if (*(const uint32_t *)(mem + pos) != word_at(seed, pos))
			return pos;
	return size;
}

static uint64_t check_clear(const uint8_t *mem, uint64_t size)
{
	uint64_t pos;

	for (pos = 0; pos + 8 <= size; pos += 8)
		if (*(const uint64_t *)(mem + pos))
			return pos;
	return size;
}

static int run_command(int fd, uint64_t size, char **argv)
{
	char text[32];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		fcntl(fd, F_SETFD, 0);
		snprintf(text, sizeof(text), "%d", fd);
		setenv("RMEM_HEAP_FD", text, 1);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
		setenv("RMEM_HEAP_SIZE", text, 1);
		execvp(argv[0], argv);
		fprintf(stderr, "rmem-heap: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int cmd_alloc(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fill", required_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'c' },
		{ "clear", no_argument, NULL, 'z' },
		{ "hold", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		HELP, { }
	};
	bool do_fill = false, do_check = false, do_clear = false;
	unsigned long seed = 0, hold = 0;
	const char *usage = "usage: rmem-heap alloc [--clear] [--fill=N] [--check]\n"
			    "                       [--hold=SECONDS] NAME SIZE [COMMAND...]";
	uint8_t *mem = NULL;
	const char *name;
	int c, fd, rc = 0;
	uint64_t size, bad;

	while ((c = next_option(argc, argv, "+f:czt:jh", options, usage)) != -1) {
		switch (c) {
		case 'f':
			do_fill = true;
			seed = parse_number("--fill", optarg);
			break;
		case 'c':
			do_check = true;
			break;
		case 'z':
			do_clear = true;
			break;
		case 't':
			hold = parse_number("--hold", optarg);
			break;
		case 'j':
			json = true;
			break;
		}
	}
	if (argc - optind < 2)
		misuse("%s", usage);
	if (do_check && !do_fill)
		misuse("--check needs --fill: what should be there?");
	name = name_of(argv[optind++]);
	size = parse_size(argv[optind++]);

	fd = alloc_buffer(open_heap(name), name, size);
	size = lseek(fd, 0, SEEK_END);
	if (do_fill || do_clear) {
		mem = map_buffer(fd, name, size);
		cpu_access(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
		bad = do_clear ? check_clear(mem, size) : size;
		if (bad != size)
			die("%s: the buffer is not clear at offset %llu", name,
			    (unsigned long long)bad);
		if (do_fill)
			fill(mem, size, seed);
		cpu_access(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	}
	if (!json && optind == argc)
		printf("%s: %s%s%s\n", name, human(size), do_clear ? ", clear" : "",
		       do_fill ? ", filled" : "");
	fflush(stdout);
	if (optind < argc)
		rc = run_command(fd, size, argv + optind);
	if (hold)
		sleep(hold);
	if (do_check) {
		cpu_access(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		bad = check(mem, size, seed);
		cpu_access(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		if (bad != size)
			die("%s: the pattern is gone at offset %llu", name,
			    (unsigned long long)bad);
	}
	if (json) {
		printf("{\"heap\":");
		json_string(name);
		printf(",\"size\":%llu,\"status\":%d}\n", (unsigned long long)size, rc);
	}
	return rc;
}

/* bench */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int cmp_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t median(uint64_t *vals, unsigned int n)
{
	qsort(vals, n, sizeof(*vals), cmp_u64);
	return vals[n / 2];
}

static void bench_json(uint64_t size, uint64_t alloc, uint64_t map, uint64_t release)
{
	putchar('{');
	json_comma = false;
	json_number("size", size);
	json_number("alloc_ns", alloc);
	json_number("map_ns", map);
	json_number("free_ns", release);
	putchar('}');
}

static void bench_print(uint64_t size, uint64_t alloc, uint64_t map, uint64_t release)
{
	char text[32] = "-";

	if (map != UNKNOWN)
		snprintf(text, sizeof(text), "%.1f", map / 1e3);
	printf("%10s  %12.1f  %16s  %12.1f\n", human(size), alloc / 1e3, text, release / 1e3);
}

static int cmd_bench(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'n' },
		HELP, { }
	};
	static const uint64_t sizes[] = { 4096, 65536, 1048576, 8388608 };
	const char *usage = "usage: rmem-heap bench [-n ROUNDS] NAME [SIZE]";
	unsigned long rounds = 30, r, i;
	uint64_t *alloc, *map, *release, only = 0, t0;
	bool mappable = true;
	const char *name;
	int c, fd, heap, n = 0;
	uint8_t *mem;
	size_t pos;

	while ((c = next_option(argc, argv, "n:h", options, usage)) != -1)
		rounds = parse_number("--rounds", optarg);
	if (argc - optind < 1 || argc - optind > 2 || !rounds)
		misuse("%s", usage);
	name = name_of(argv[optind]);
	if (argc - optind == 2)
		only = parse_size(argv[optind + 1]);
	heap = open_heap(name);
	alloc = xalloc(NULL, rounds * sizeof(*alloc));
	map = xalloc(NULL, rounds * sizeof(*map));
	release = xalloc(NULL, rounds * sizeof(*release));

	if (!json)
		printf("%10s  %12s  %16s  %12s   microseconds, median of %lu\n", "SIZE", "ALLOCATE",
		       "MAP AND TOUCH", "FREE", rounds);
	for (i = 0; i < (only ? 1 : sizeof(sizes) / sizeof(*sizes)); i++) {
		uint64_t size = only ?: sizes[i];

		for (r = 0; r < rounds; r++) {
			t0 = now();
			fd = try_alloc(heap, size);
			/* A region may be too small for the largest sizes. */
			if (fd < 0 && !only && errno == ENOMEM)
				break;
			if (fd < 0)
				fd = alloc_buffer(heap, name, size);
			alloc[r] = now() - t0;
			t0 = now();
			mem = mappable ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					      0) : MAP_FAILED;
			mappable = mem != MAP_FAILED;
			for (pos = 0; mappable && pos < size; pos += page_size)
				mem[pos] = 1;
			map[r] = now() - t0;
			if (mappable)
				munmap(mem, size);
			t0 = now();
			close(fd);
			release[r] = now() - t0;
		}
		if (r < rounds)
			continue;
		if (json)
			printf(n ? ",\n " : "[");
		n++;
		if (json)
			bench_json(size, median(alloc, rounds),
				   mappable ? median(map, rounds) : UNKNOWN,
				   median(release, rounds));
		else
			bench_print(size, median(alloc, rounds),
				    mappable ? median(map, rounds) : UNKNOWN,
				    median(release, rounds));
	}
	if (!n)
		die("%s: no memory left for any buffer", name);
	if (json)
		printf("]\n");
	return 0;
}

/* stress */

struct stress {
	pthread_t thread;
	const char *name;
	unsigned int seed;
	int heap;
	bool mapped;
	uint64_t allocated, refused, corrupt;
};

static bool stress_over;

static void *stress_thread(void *data)
{
	struct stress *s = data;
	unsigned int rnd = s->seed;

	while (!__atomic_load_n(&stress_over, __ATOMIC_RELAXED)) {
		uint64_t size = (uint64_t)(1 + rand_r(&rnd) % 256) * page_size;
		int fd = try_alloc(s->heap, size);
		uint8_t *mem;

		if (fd < 0) {
			if (errno != ENOMEM)
				die("%s: allocating: %s", s->name, strerror(errno));
			s->refused++;
			continue;
		}
		s->allocated++;
		mem = s->mapped ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) :
				  MAP_FAILED;
		if (mem == MAP_FAILED && s->mapped)
			die("%s: mapping: %s", s->name, strerror(errno));
		if (mem != MAP_FAILED) {
			cpu_access(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
			s->corrupt += check_clear(mem, size) != size;
			fill(mem, size, rnd);
			sched_yield();
			s->corrupt += check(mem, size, rnd) != size;
			cpu_access(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
			munmap(mem, size);
		}
		close(fd);
	}
	return NULL;
}

static int cmd_stress(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		HELP, { }
	};
	const char *usage = "usage: rmem-heap stress [-t THREADS] [-s SECONDS] NAME";
	unsigned long threads = 4, seconds = 5, i;
	uint64_t allocated = 0, refused = 0, corrupt = 0;
	struct stress *all;
	struct region r;
	int c;

	while ((c = next_option(argc, argv, "t:s:h", options, usage)) != -1) {
		if (c == 't')
			threads = parse_number("--threads", optarg);
		else
			seconds = parse_number("--seconds", optarg);
	}
	if (argc - optind != 1 || !threads || threads > 1024)
		misuse("%s", usage);
	r = find_region(name_of(argv[optind]));
	all = calloc(threads, sizeof(*all));
	if (!all)
		die("out of memory");
	for (i = 0; i < threads; i++) {
		all[i].name = r.name;
		all[i].seed = i + 1;
		all[i].heap = open_heap(r.name);
		all[i].mapped = !r.cpu_access || strcmp(r.cpu_access, "none");
		if (pthread_create(&all[i].thread, NULL, stress_thread, &all[i]))
			die("cannot start %lu threads", threads);
	}
	sleep(seconds);
	__atomic_store_n(&stress_over, true, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++) {
		pthread_join(all[i].thread, NULL);
		allocated += all[i].allocated;
		refused += all[i].refused;
		corrupt += all[i].corrupt;
	}
	if (json)
		printf("{\"allocated\":%llu,\"refused\":%llu,\"corrupt\":%llu}\n",
		       (unsigned long long)allocated, (unsigned long long)refused,
		       (unsigned long long)corrupt);
	else
		printf("%s: %llu buffers, %llu times none left, %llu wrong\n", r.name,
		       (unsigned long long)allocated, (unsigned long long)refused,
		       (unsigned long long)corrupt);
	return corrupt || !allocated;
}

/* watch */

static int cmd_watch(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'n' },
		{ "count", required_argument, NULL, 'c' },
		HELP, { }
	};
	const char *usage = "usage: rmem-heap watch [-n SECONDS] [-c TIMES]";
	unsigned long interval = 2, count = 0, i;
	int c;

	while ((c = next_option(argc, argv, "n:c:h", options, usage)) != -1) {
		if (c == 'n')
			interval = parse_number("--interval", optarg);
		else
			count = parse_number("--count", optarg);
	}
	if (optind != argc)
		misuse("%s", usage);
	for (i = 0; !count || i < count; i++) {
		if (i)
			sleep(interval);
		if (!json && isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		list(",");
		fflush(stdout);
	}
	return 0;
}

static int cmd_check(int argc, char **argv)
{
	return check_main(argc, argv, json);
}

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "ls", cmd_ls, "regions, their heaps and devices" },
	{ "info", cmd_info, "NAME: all there is to know about one" },
	{ "map", cmd_map, "NAME: what of a carveout is in use" },
	{ "alloc", cmd_alloc, "NAME SIZE [COMMAND]: hold a buffer, for a command or a time" },
	{ "bench", cmd_bench, "NAME [SIZE]: what buffers cost" },
	{ "stress", cmd_stress, "NAME: many at once, and see that all is right" },
	{ "watch", cmd_watch, "ls, again and again" },
	{ "check", cmd_check, "FILE.dtb...: what a kernel will make of device trees" },
};

static void print_help(FILE *out)
{
	unsigned int i;

	fprintf(out, "usage: rmem-heap [--json] [--color=auto|always|never] COMMAND ...\n\n");
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nrmem-heap(1) has the details.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "color", required_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int i;
	int c;

	page_size = sysconf(_SC_PAGESIZE);
	color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	while ((c = getopt_long(argc, argv, "+jh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'C':
			if (!strcmp(optarg, "always"))
				color = true;
			else if (!strcmp(optarg, "never"))
				color = false;
			else if (strcmp(optarg, "auto"))
				misuse("--color is auto, always or never");
			break;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return 2;
		}
	}
	if (optind == argc) {
		print_help(stderr);
		return 2;
	}
	argc -= optind;
	argv += optind;
	optind = 0;
	/* Wherever it is said; alloc finds it itself, before what may be another program's. */
	for (i = 1; i < (unsigned int)argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[0], "alloc"))
			break;
		if (strcmp(argv[i], "--json"))
			continue;
		json = true;
		memmove(argv + i, argv + i + 1, (argc - i) * sizeof(*argv));
		argc--;
		i--;
	}
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	fprintf(stderr, "rmem-heap: there is no command %s\n", argv[0]);
	print_help(stderr);
	return 2;
}
