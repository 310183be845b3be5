// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap check: what the kernel will make of the reserved memory of a device tree.
 *
 * The verdicts follow from the devicetree specification, from what of_reserved_mem and its
 * allocators accept, and from Documentation/driver-api/rmem-heap.rst. No code is shared with
 * the kernel, so that the two can be compared.
 *
 * A blob is walked once into arrays of nodes and properties: finding a parent, a path or a
 * phandle in libfdt walks the whole blob each time.
 */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"

#define K		1024ULL
#define M		(K * K)
#define G		(K * M)

#define MAX_BLOB	(16 * M)	/* arm64 takes 2 MiB. */
#define MAX_DEPTH	64		/* FDT_MAX_DEPTH */
#define MAX_DYNAMIC	64		/* MAX_RESERVED_REGIONS */
#define MAX_HEAPS	112		/* dma-heap has minors for 128, the last 16 are others'. */
#define MAX_NAME	255
#define MAX_LINE	4096		/* COMMAND_LINE_SIZE, at most */

/* Limits for hostile trees, far from what any board has */
#define MAX_PATH	1024		/* Bytes of a node's name */
#define MAX_PROPS	1024		/* Properties of a node, but for __symbols__ and the like */
#define MAX_RANGES	1024		/* Of RAM, and entries of the reservation block */
#define MAX_REFS	4096		/* References to a region that are looked at in detail */
#define MAX_WORK	20000000U	/* Steps for what would be quadratic */
#define WIDTH		80

/* The memory of User-Mode Linux that the kernel has for itself, at most */
#define UM_IMAGE	(4 * M)
#define UM_LOW		(32 * M)
#define UM_HIGH		(64 * M)

struct prop {
	const char *name;
	const unsigned char *data;
	unsigned int len;
};

struct node {
	const char *name;
	int parent, next, child;
	unsigned int prop, nr_props;	/* Of its own, in the array of the tree */
	uint32_t phandle;
	uint32_t na, ns;		/* Cells of the addresses and sizes of its children */
	bool disabled;			/* The node, or one above it */
	bool meta;			/* Below __symbols__, __fixups__ or __local_fixups__ */
	bool inside;			/* Below /reserved-memory, or the node itself */
};

struct range {
	uint64_t base, size;
};

struct ranges {
	struct range *at;
	unsigned int nr;
};

enum mode { CMA, COHERENT, RESTRICTED, CARVEOUT };
enum status { AVAILABLE, OWNED, DISABLED, REFUSED };

static const char * const mode_names[] = { "cma", "coherent", "restricted", "carveout" };
static const char * const status_names[] = { "available", "owned", "disabled", "refused" };
static const char * const allocators[] = {
	"cma_alloc()", "dma_alloc_coherent()", "dma_alloc_pages()", "rmem_heap_alloc()",
};

/* A property that has the phandle of a region, or a device's reg that begins or ends in it */
struct ref {
	struct ref *next;
	int node;
	const char *prop;
	unsigned int index;
	bool known;	/* The kernel takes it for a reference, by the name of the property. */
	bool exact;	/* It is a reference: the blob says so, or does not say. */
};

struct refs {
	struct ref *first, **end;
};

struct owner {
	const char *by, *prop, *text;
	int node;
	unsigned int index;
	bool disabled;
};

struct region {
	const char *name;
	int node;
	bool shared, restricted, reusable, no_map, export;
	bool fixed, dynamic;
	bool entry;			/* The core has an entry for it. */
	bool depends;			/* What else is in memory decides whether it has one. */
	bool doubt;			/* What else is in memory decides about its geometry. */
	bool heap_default, heap_all, heap_name, heap_export, heap_cmdline;
	uint64_t base, size, align;	/* The base is that of fixed regions. */
	enum mode mode;
	enum status status;
	const char *reason;
	const char *problem;		/* Geometry that forbids a heap, whoever asks for it */
	const char *sign;		/* Why `*` leaves a pool out */
	struct owner owner;
	struct refs refs, regs;
	unsigned int nr_refs, nr_enabled;
};

enum level { ERROR, WARNING, NOTE };
static const char * const level_names[] = { "error", "warning", "note" };

struct finding {
	struct finding *next;
	enum level level;
	const char *rule, *node, *text, *change;
};

struct block {
	struct block *next;
	max_align_t mem[];
};

struct tree {
	const char *file;
	const void *blob;
	struct block *blocks;
	struct node *nodes;
	struct prop *props;
	unsigned int nr_nodes, nr_props;
	unsigned int work;

	int frame, chosen;		/* /reserved-memory and /chosen, or -1 */
	const char *frame_fault;
	struct region *regions, **by_base, **by_phandle;
	unsigned int nr_regions, nr_by_base, nr_by_phandle;
	uint32_t na, ns;		/* Cells of the root */
	bool um;			/* It is for User-Mode Linux. */
	bool exact;			/* It says which numbers are phandles. */

	struct ranges ram, usable, reserved;
	bool ram_known, ram_partial;	/* Partial: a boot loader adds to it. */
	bool capture, capped;
	uint64_t pageblock;

	const char *cmdline;
	bool cma_given;
	struct ranges taken;

	struct finding *findings, **last_finding;
	unsigned int nr_findings[3];
};

static struct {
	const char *cmdline;
	uint64_t page_size, pageblock;
	unsigned long cma_areas;
	struct ranges mem;
	const char **overlays;
	unsigned int nr_overlays;
} opt;

/* Memory that lives as long as a tree */

static void out_of_memory(void)
{
	fflush(stdout);
	fprintf(stderr, "rmem-heap: out of memory\n");
	exit(2);
}

static void *grab(struct tree *t, size_t nr, size_t size)
{
	struct block *block;

	if (size && nr > (SIZE_MAX - sizeof(*block)) / size)
		out_of_memory();
	block = calloc(1, sizeof(*block) + nr * size);
	if (!block)
		out_of_memory();
	block->next = t->blocks;
	t->blocks = block;
	return block->mem;
}

static __attribute__((format(printf, 2, 3)))
char *text(struct tree *t, const char *fmt, ...)
{
	va_list args;
	char *buf;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	buf = grab(t, len + 1, 1);
	va_start(args, fmt);
	vsnprintf(buf, len + 1, fmt, args);
	va_end(args);
	return buf;
}

/* Numbers and sizes */

static uint32_t cell(const unsigned char *data)
{
	return (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
}

/* As the kernel reads numbers of more than two cells: the last two count. */
static uint64_t number(const unsigned char *data, unsigned int cells)
{
	uint64_t val = 0;

	while (cells--) {
		val = val << 32 | cell(data);
		data += 4;
	}
	return val;
}

static const char *human(struct tree *t, uint64_t size)
{
	if (size % G == 0 && size)
		return text(t, "%llu GiB", (unsigned long long)(size / G));
	if (size % M == 0 && size)
		return text(t, "%llu MiB", (unsigned long long)(size / M));
	if (size % K == 0 && size)
		return text(t, "%llu KiB", (unsigned long long)(size / K));
	return text(t, "%llu bytes", (unsigned long long)size);
}

/* The part that two ranges share; a range may end at 2^64, or wrap */
static uint64_t common(uint64_t base, uint64_t size, const struct range *r)
{
	uint64_t last, r_last, from;

	if (!size || !r->size)
		return 0;
	last = base + (size - 1) < base ? UINT64_MAX : base + (size - 1);
	r_last = r->base + (r->size - 1) < r->base ? UINT64_MAX : r->base + (r->size - 1);
	from = base > r->base ? base : r->base;
	if (r_last < last)
		last = r_last;
	return from > last ? 0 : last - from + 1;
}

static uint64_t covered(const struct ranges *ranges, uint64_t base, uint64_t size)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < ranges->nr; i++)
		sum += common(base, size, &ranges->at[i]);
	return sum;
}

static int range_cmp(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* Sorts ranges, and joins those that touch. */
static void normalize(struct ranges *r)
{
	unsigned int i, n = 0;

	for (i = 0; i < r->nr; i++) {
		if (!r->at[i].size)
			continue;
		/* Nothing that ends beyond 2^64 */
		if (r->at[i].base + (r->at[i].size - 1) < r->at[i].base)
			r->at[i].size = UINT64_MAX - r->at[i].base;
		r->at[n++] = r->at[i];
	}
	r->nr = n;
	if (!n)
		return;
	qsort(r->at, n, sizeof(*r->at), range_cmp);
	for (i = 1, n = 1; i < r->nr; i++) {
		struct range *last = &r->at[n - 1];
		uint64_t end = last->base + last->size, next = r->at[i].base + r->at[i].size;

		if (r->at[i].base > end)
			r->at[n++] = r->at[i];
		else if (next > end)
			last->size = next - last->base;
	}
	r->nr = n;
}

/* The blob, walked once */

static const struct prop *find_prop(const struct tree *t, int node, const char *name)
{
	const struct node *n = &t->nodes[node];
	unsigned int i;

	for (i = n->prop; i < n->prop + n->nr_props; i++)
		if (!strcmp(t->props[i].name, name))
			return &t->props[i];
	return NULL;
}

static bool has(const struct tree *t, int node, const char *name)
{
	return find_prop(t, node, name);
}

static bool prop_is(const struct prop *prop, const char *value)
{
	size_t len = strlen(value) + 1;

	return prop && prop->len >= len && !memcmp(prop->data, value, len);
}

static bool read_u32(const struct tree *t, int node, const char *name, uint32_t *val)
{
	const struct prop *prop = find_prop(t, node, name);

	if (!prop || prop->len < 4)
		return false;
	*val = cell(prop->data);
	return true;
}

static bool name_is(const char *name, const char *base)
{
	size_t len = strlen(base);

	return !strncmp(name, base, len) && (!name[len] || name[len] == '@');
}

/* The first child of that name, with or without a unit address, as libfdt finds it */
static int find_child(const struct tree *t, int parent, const char *name)
{
	int i;

	for (i = t->nodes[parent].child; i >= 0; i = t->nodes[i].next)
		if (name_is(t->nodes[i].name, name))
			return i;
	return -1;
}

static const char *path(struct tree *t, int node)
{
	int stack[MAX_DEPTH + 1], depth = 0;
	size_t len = 1;
	char *buf, *pos;

	if (node <= 0)
		return "/";
	for (; node > 0; node = t->nodes[node].parent) {
		stack[depth++] = node;
		len += strlen(t->nodes[node].name) + 1;
	}
	pos = buf = grab(t, len, 1);
	while (depth--) {
		*pos++ = '/';
		pos = stpcpy(pos, t->nodes[stack[depth]].name);
	}
	return buf;
}

static const char *load_nodes(struct tree *t)
{
	int offset, next, tag, depth = 0, parent = -1, last[MAX_DEPTH + 1];
	unsigned int nodes = 0, props = 0;

	for (offset = 0; (tag = fdt_next_tag(t->blob, offset, &next)) != FDT_END; offset = next) {
		if (next < 0)
			return fdt_strerror(next);
		nodes += tag == FDT_BEGIN_NODE;
		props += tag == FDT_PROP;
	}
	if (next < 0)
		return fdt_strerror(next);
	if (!nodes)
		return "it has no root node";
	t->nodes = grab(t, nodes, sizeof(*t->nodes));
	t->props = grab(t, props + 1, sizeof(*t->props));

	for (offset = 0; (tag = fdt_next_tag(t->blob, offset, &next)) != FDT_END; offset = next) {
		struct node *node;
		struct prop *prop;
		int len = 0;

		switch (tag) {
		case FDT_BEGIN_NODE:
			if (depth >= MAX_DEPTH)
				return "its nodes are nested more deeply than the kernel takes";
			if (!depth && t->nr_nodes)
				return "it has two root nodes";
			node = &t->nodes[t->nr_nodes];
			node->name = fdt_get_name(t->blob, offset, &len);
			if (!node->name)
				return fdt_strerror(len);
			if (len > MAX_PATH)
				return "the name of a node is too long";
			node->parent = parent;
			node->next = node->child = -1;
			node->prop = t->nr_props;
			if (parent >= 0 && last[depth] < 0)
				t->nodes[parent].child = t->nr_nodes;
			else if (parent >= 0)
				t->nodes[last[depth]].next = t->nr_nodes;
			last[depth++] = parent = t->nr_nodes++;
			last[depth] = -1;
			break;
		case FDT_END_NODE:
			if (!depth)
				return "a node ends that has not begun";
			parent = t->nodes[parent].parent;
			depth--;
			break;
		case FDT_PROP:
			if (parent < 0)
				return "a property is in no node";
			prop = &t->props[t->nr_props];
			prop->data = fdt_getprop_by_offset(t->blob, offset, &prop->name, &len);
			if (!prop->data || !prop->name || len < 0)
				return fdt_strerror(len);
			prop->len = len;
			if ((unsigned int)parent != t->nr_nodes - 1)
				return "a property comes after a child of its node";
			t->nr_props++;
			node = &t->nodes[parent];
			if (++node->nr_props > MAX_PROPS && strncmp(node->name, "__", 2))
				return "a node has too many properties";
			break;
		}
	}
	if (depth || !t->nr_nodes)
		return "its nodes do not end";
	return NULL;
}

/* Accounts for steps; false when there have been too many */
static bool spend(struct tree *t, unsigned int steps)
{
	t->work = t->work > steps ? t->work - steps : 0;
	return t->work;
}

static bool is_disabled(const struct tree *t, int node)
{
	const struct prop *status = find_prop(t, node, "status");

	return status && !prop_is(status, "okay") && !prop_is(status, "ok");
}

/* What a node has from its own properties and from the node above it */
static void annotate(struct tree *t)
{
	unsigned int i;

	for (i = 0; i < t->nr_nodes; i++) {
		struct node *node = &t->nodes[i];
		const struct node *up = node->parent < 0 ? NULL : &t->nodes[node->parent];
		size_t len = strlen(node->name);

		node->na = up ? up->na : 1;
		node->ns = up ? up->ns : 1;
		read_u32(t, i, "#address-cells", &node->na);
		read_u32(t, i, "#size-cells", &node->ns);
		if (!read_u32(t, i, "phandle", &node->phandle))
			read_u32(t, i, "linux,phandle", &node->phandle);
		node->disabled = (up && up->disabled) || is_disabled(t, i);
		node->meta = up && (up->meta ||
				    (!node->parent && len > 4 &&
				     !strncmp(node->name, "__", 2) &&
				     !strcmp(node->name + len - 2, "__")));
		node->inside = (up && up->inside) || (int)i == t->frame;
	}
}

static const char *load(struct tree *t)
{
	const char *problem = load_nodes(t);
	int cpus;

	if (problem)
		return problem;
	t->frame = find_child(t, 0, "reserved-memory");
	t->chosen = find_child(t, 0, "chosen");
	annotate(t);
	t->na = t->nodes[0].na;
	t->ns = t->nodes[0].ns;
	t->work = MAX_WORK;
	cpus = find_child(t, 0, "cpus");
	t->um = prop_is(find_prop(t, 0, "compatible"), "linux,um") ||
		(cpus < 0 && !has(t, 0, "compatible"));
	/* A number that is not in the list of an overlay may be a phandle all the same. */
	t->exact = !opt.nr_overlays && find_child(t, 0, "__local_fixups__") >= 0;
	return NULL;
}

/* The command line */

/* A size as memparse() reads it */
static bool parse_size(const char **pos, uint64_t *size)
{
	static const char units[] = "kmgtpe";
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)**pos))
		return false;
	errno = 0;
	*size = strtoull(*pos, &end, 0);
	if (errno || end == *pos)
		return false;
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unit - units + 1);

		if (*size > UINT64_MAX >> shift)
			return false;
		*size <<= shift;
		end++;
	}
	*pos = end;
	return true;
}

static bool parse_ranges(const char *arg, struct ranges *ranges)
{
	struct range *at = calloc(strlen(arg) + 1, sizeof(*at));
	uint64_t first, size;
	unsigned int n = 0;

	if (!at)
		out_of_memory();
	free(ranges->at);
	ranges->at = at;
	do {
		if (!parse_size(&arg, &first))
			return false;
		if (*arg == '+') {
			arg++;
			if (!parse_size(&arg, &size))
				return false;
			at[n++] = (struct range){ first, size };
		} else {
			at[n++] = (struct range){ 0, first };
		}
		if (*arg != ',')
			break;
		arg++;
	} while (true);
	ranges->nr = n;
	normalize(ranges);
	return !*arg && ranges->nr;
}

/* Cuts the next parameter off a command line; false at its end, which may be "--" */
static bool next_param(char **line, char **name, char **value)
{
	char *pos = *line, *out;
	bool quoted = false;

	while (isspace((unsigned char)*pos))
		pos++;
	*name = out = pos;
	*value = NULL;
	for (; *pos && (quoted || !isspace((unsigned char)*pos)); pos++) {
		if (*pos == '"') {
			quoted = !quoted;
		} else if (*pos == '=' && !*value) {
			*out++ = '\0';
			*value = out;
		} else {
			*out++ = *pos;
		}
	}
	*line = *pos ? pos + 1 : pos;
	*out = '\0';
	return *name != out && strcmp(*name, "--");
}

/* The kernel takes '-' for '_' in the name of a parameter. */
static bool param_is(const char *name, const char *param)
{
	for (; *name || *param; name++, param++)
		if (*name != *param && !(*name == '-' && *param == '_'))
			return false;
	return true;
}

/* What rmem_heap.export= says of a name: '!' is stronger than the name, and that than '*'. */
static char match_export(const struct tree *t, const char *region)
{
	char buf[MAX_LINE], *line = buf, *name, *value, match = 0;

	if (!t->cmdline)
		return 0;
	snprintf(buf, sizeof(buf), "%s", t->cmdline);
	while (next_param(&line, &name, &value)) {
		char *word;

		if (!value || !param_is(name, "rmem_heap.export"))
			continue;
		for (word = strtok(value, ":"); word; word = strtok(NULL, ":")) {
			if (*word == '!' && !strcmp(word + 1, region))
				match = '!';
			else if (match != '!' && !strcmp(word, region))
				match = 'n';
			else if (!match && !strcmp(word, "*"))
				match = '*';
		}
	}
	return match;
}

/* RAM */

static void read_reg(struct tree *t, const struct prop *reg, struct ranges *ranges)
{
	unsigned int step = 4 * (t->na + t->ns), i;

	if (!reg || !step || reg->len % step)
		return;
	for (i = 0; i < reg->len; i += step)
		ranges->at[ranges->nr++] = (struct range){
			number(reg->data + i, t->na),
			number(reg->data + i + 4 * t->na, t->ns),
		};
}

static bool valid_reg(const struct tree *t, const struct prop *reg)
{
	uint64_t step = 4 * ((uint64_t)t->na + t->ns);

	return reg && step && reg->len % step == 0;
}

/* The kernel keeps no more than @size bytes of memory. */
static void limit_ram(struct tree *t, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < t->ram.nr; i++) {
		if (t->ram.at[i].size > size)
			t->ram.at[i].size = size;
		size -= t->ram.at[i].size;
	}
	normalize(&t->ram);
}

static void read_cmdline(struct tree *t)
{
	char buf[MAX_LINE], *line = buf, *name, *value;
	const char *pos;
	uint64_t size;

	if (!t->cmdline)
		return;
	snprintf(buf, sizeof(buf), "%s", t->cmdline);
	while (next_param(&line, &name, &value)) {
		if (!value)
			continue;
		pos = value;
		if (!strcmp(name, "cma")) {
			t->cma_given = true;
		} else if (!strcmp(name, "elfcorehdr")) {
			t->capture |= !t->um;
		} else if (!strcmp(name, "mem") && !opt.mem.nr && parse_size(&pos, &size)) {
			if (t->um) {
				t->ram.at[0] = (struct range){ 0, size };
				t->ram.nr = !!size;
				t->ram_known = size;
				t->ram_partial = false;
			} else if (t->ram_known) {
				limit_ram(t, size);
			}
		}
	}
}

/* linux,usable-memory-range: the first range is what is kept of RAM, others are added. */
static void cap_ram(struct tree *t)
{
	const struct range *cap = &t->usable.at[0];
	unsigned int i;

	if (t->ram_known) {
		for (i = 0; i < t->ram.nr; i++) {
			struct range *r = &t->ram.at[i];
			uint64_t size = common(cap->base, cap->size, r);

			if (r->base < cap->base)
				r->base = cap->base;
			r->size = size;
		}
		for (i = 1; i < t->usable.nr; i++)
			t->ram.at[t->ram.nr++] = t->usable.at[i];
		normalize(&t->ram);
		t->ram_known = t->ram.nr;
	}
	normalize(&t->usable);
}

static void find_ram(struct tree *t)
{
	int node, chosen = t->chosen;
	const struct prop *prop;
	unsigned int i, room = opt.mem.nr + 1;

	for (node = t->nodes[0].child; node >= 0; node = t->nodes[node].next) {
		prop = find_prop(t, node, "reg");
		room += prop ? prop->len / 4 : 0;
		prop = find_prop(t, node, "linux,usable-memory");
		room += prop ? prop->len / 4 : 0;
		prop = find_prop(t, node, "linux,usable-memory-range");
		room += prop ? prop->len / 4 : 0;
	}
	t->ram.at = grab(t, room, sizeof(*t->ram.at));

	if (opt.mem.nr) {
		memcpy(t->ram.at, opt.mem.at, opt.mem.nr * sizeof(*opt.mem.at));
		t->ram.nr = opt.mem.nr;
	}
	for (node = t->nodes[0].child; node >= 0 && !opt.mem.nr; node = t->nodes[node].next) {
		if (!prop_is(find_prop(t, node, "device_type"), "memory") || is_disabled(t, node))
			continue;
		prop = find_prop(t, node, "linux,usable-memory");
		if (!valid_reg(t, prop))
			prop = find_prop(t, node, "reg");
		read_reg(t, prop, &t->ram);
	}
	for (i = 0; i < t->ram.nr; i++)
		t->ram_partial |= !t->ram.at[i].size;
	normalize(&t->ram);
	if (t->ram.nr > MAX_RANGES) {
		t->ram.nr = MAX_RANGES;
		t->work = 0;
	}
	t->ram_known = t->ram.nr;

	if (chosen >= 0) {
		prop = find_prop(t, chosen, "bootargs");
		if (!t->cmdline && !t->um && prop && memchr(prop->data, 0, prop->len))
			t->cmdline = (const char *)prop->data;
		t->capture = has(t, chosen, "linux,elfcorehdr") && !t->um;
		prop = find_prop(t, chosen, "linux,usable-memory-range");
		if (valid_reg(t, prop)) {
			t->usable.at = grab(t, prop->len / 4 + 1, sizeof(*t->usable.at));
			read_reg(t, prop, &t->usable);
			t->capped = t->usable.nr;
		}
	}
	read_cmdline(t);
	if (t->capped)
		cap_ram(t);
}

static void find_reserved(struct tree *t)
{
	int i, nr = fdt_num_mem_rsv(t->blob);

	if (nr <= 0)
		return;
	if (nr > MAX_RANGES) {
		nr = MAX_RANGES;
		t->work = 0;
	}
	t->reserved.at = grab(t, nr, sizeof(*t->reserved.at));
	for (i = 0; i < nr; i++) {
		struct range *r = &t->reserved.at[t->reserved.nr];

		if (!fdt_get_mem_rsv(t->blob, i, &r->base, &r->size) && r->size)
			t->reserved.nr++;
	}
}

/* Regions: what the node says */

static bool is_compatible(const struct prop *prop, const char *name)
{
	size_t pos, len;

	/* Capitals count only where drivers are looked for. */
	for (pos = 0; prop && pos < prop->len; pos += len + 1) {
		len = strnlen((const char *)prop->data + pos, prop->len - pos);
		if (len == strlen(name) &&
		    !strncasecmp((const char *)prop->data + pos, name, len))
			return true;
	}
	return false;
}

/* The first compatible that is no pool's, or NULL */
static const char *other_compatible(const struct prop *prop, unsigned int *index)
{
	const char *pos, *end;

	if (!prop || !prop->len || prop->data[prop->len - 1])
		return NULL;
	*index = 0;
	end = (const char *)prop->data + prop->len;
	for (pos = (const char *)prop->data; pos < end; pos += strlen(pos) + 1, ++*index)
		if (strcmp(pos, "shared-dma-pool") && strcmp(pos, "restricted-dma-pool"))
			return pos;
	return NULL;
}

static void read_region(struct tree *t, struct region *r)
{
	const struct prop *compatible = find_prop(t, r->node, "compatible");
	const struct prop *reg = find_prop(t, r->node, "reg");
	const struct prop *size = find_prop(t, r->node, "size");
	const struct prop *align = find_prop(t, r->node, "alignment");

	r->name = t->nodes[r->node].name;
	r->refs.end = &r->refs.first;
	r->regs.end = &r->regs.first;
	r->owner.node = -1;
	r->shared = is_compatible(compatible, "shared-dma-pool");
	r->restricted = is_compatible(compatible, "restricted-dma-pool");
	r->reusable = has(t, r->node, "reusable");
	r->no_map = has(t, r->node, "no-map");
	r->export = has(t, r->node, "export");
	if (!r->shared && !r->restricted)
		r->mode = CARVEOUT;
	else if (r->restricted && !(r->shared && r->reusable))
		r->mode = RESTRICTED;
	else
		r->mode = r->reusable ? CMA : COHERENT;

	r->fixed = valid_reg(t, reg) && reg->len;
	if (r->fixed) {
		r->base = number(reg->data, t->na);
		r->size = number(reg->data + 4 * t->na, t->ns);
	} else if (size) {
		r->dynamic = true;
		if (size->len == 4 * (uint64_t)t->ns)
			r->size = number(size->data, t->ns);
		if (align && align->len == 4 * (uint64_t)t->na)
			r->align = number(align->data, t->na);
	}
	/* An odd compatible or status is read in different ways at boot and later. */
	r->depends = compatible && compatible->len &&
		     (compatible->data[compatible->len - 1] ||
		      is_compatible(compatible, ""));
}

static bool is_pool(const struct region *r)
{
	return r->mode != CARVEOUT;
}

/* The core sets a CMA area up. */
static bool takes_cma(const struct region *r)
{
	return r->shared && r->reusable && !r->no_map;
}

/* Who refers to a region */

static int by_phandle_cmp(const void *a, const void *b, void *arg)
{
	const struct region *x = *(struct region * const *)a, *y = *(struct region * const *)b;
	const struct tree *t = arg;
	uint32_t p = t->nodes[x->node].phandle, q = t->nodes[y->node].phandle;

	if (p != q)
		return p < q ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static struct region *find_phandle(const struct tree *t, uint32_t phandle)
{
	unsigned int low = 0, high = t->nr_by_phandle;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (t->nodes[t->by_phandle[mid]->node].phandle < phandle)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == t->nr_by_phandle || t->nodes[t->by_phandle[low]->node].phandle != phandle)
		return NULL;
	return t->by_phandle[low];
}

static struct ref *add_ref(struct tree *t, struct refs *refs, int node, const char *prop,
			   unsigned int index)
{
	struct ref *ref = grab(t, 1, sizeof(*ref));

	ref->node = node;
	ref->prop = prop;
	ref->index = index;
	*refs->end = ref;
	refs->end = &ref->next;
	return ref;
}

/* Names of properties that the kernel takes for references to regions */
static bool names_regions(const char *name)
{
	static const char * const ends[] = {
		"region", "regions", "memory", "mem", "ram", "shm", "carveout", "buffer",
		"buffers", "buf", "pool", "heap",
	};
	size_t len = strlen(name), end, i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		end = strlen(ends[i]);
		if (len >= end && !strcmp(name + len - end, ends[i]))
			return true;
	}
	return false;
}

/* Which cells of a property are phandles, by the mirror of its node in __local_fixups__ */
static bool is_fixup(struct tree *t, int mirror, const char *name, unsigned int index)
{
	const struct prop *list = mirror < 0 ? NULL : find_prop(t, mirror, name);
	unsigned int i;

	if (list)
		spend(t, list->len / 4);
	for (i = 0; list && i + 4 <= list->len; i += 4)
		if (cell(list->data + i) == 4 * index)
			return true;
	return false;
}

static void scan_props(struct tree *t, int node, int mirror)
{
	const struct node *n = &t->nodes[node];
	unsigned int i, k;

	for (i = n->prop; i < n->prop + n->nr_props; i++) {
		const struct prop *prop = &t->props[i];
		bool known = names_regions(prop->name);

		if (!known && (mirror < 0 || !has(t, mirror, prop->name)))
			continue;
		for (k = 0; 4 * k + 4 <= prop->len; k++) {
			struct region *r = find_phandle(t, cell(prop->data + 4 * k));
			struct ref *ref;
			bool exact;

			/* A reference is memory, too. */
			if (!r || !spend(t, 20))
				continue;
			exact = !t->exact || is_fixup(t, mirror, prop->name, k);
			if (!known && !exact)
				continue;
			ref = add_ref(t, &r->refs, node, prop->name, k);
			ref->known = known;
			ref->exact = exact;
			if (known) {
				r->nr_refs++;
				r->nr_enabled += !n->disabled;
			}
		}
	}
}

/* Sets for each node its mirror below __local_fixups__, where children have the same order. */
static void find_mirrors(struct tree *t, int *mirror)
{
	int *real = grab(t, t->nr_nodes, sizeof(*real));
	int *last = grab(t, t->nr_nodes, sizeof(*last));
	int i, from, node, top = find_child(t, 0, "__local_fixups__");

	for (i = 0; i < (int)t->nr_nodes; i++)
		mirror[i] = last[i] = real[i] = -1;
	if (!t->exact)
		return;
	real[top] = 0;
	mirror[0] = top;
	for (i = top + 1; i < (int)t->nr_nodes && t->nodes[i].parent >= top; i++) {
		int parent = real[t->nodes[i].parent];

		if (parent < 0)
			continue;
		from = last[parent] < 0 ? t->nodes[parent].child : t->nodes[last[parent]].next;
		for (node = from; node >= 0 && spend(t, 1); node = t->nodes[node].next) {
			if (strcmp(t->nodes[node].name, t->nodes[i].name))
				continue;
			real[i] = last[parent] = node;
			mirror[node] = i;
			break;
		}
	}
}

static void find_refs(struct tree *t)
{
	int *mirror = grab(t, t->nr_nodes, sizeof(*mirror));
	unsigned int i;

	t->by_phandle = grab(t, t->nr_regions + 1, sizeof(*t->by_phandle));
	for (i = 0; i < t->nr_regions; i++)
		if (t->nodes[t->regions[i].node].phandle)
			t->by_phandle[t->nr_by_phandle++] = &t->regions[i];
	if (!t->nr_by_phandle)
		return;
	qsort_r(t->by_phandle, t->nr_by_phandle, sizeof(*t->by_phandle), by_phandle_cmp, t);

	find_mirrors(t, mirror);
	for (i = 0; i < t->nr_nodes; i++)
		if (!t->nodes[i].meta)
			scan_props(t, i, mirror[i]);
}

/* An address on the bus below @bus, as the CPU has it */
static bool to_cpu(struct tree *t, int bus, uint64_t *addr)
{
	for (; t->nodes[bus].parent >= 0; bus = t->nodes[bus].parent) {
		const struct node *n = &t->nodes[bus], *up = &t->nodes[n->parent];
		const struct prop *ranges = find_prop(t, bus, "ranges");
		unsigned int step, i;

		if (!ranges || !spend(t, 1 + n->nr_props / 16))
			return false;
		if (!ranges->len)
			continue;
		if (!n->na || n->na > 2 || !n->ns || n->ns > 2 || !up->na || up->na > 2 || !up->ns)
			return false;
		step = 4 * (n->na + up->na + n->ns);
		for (i = 0; i + step <= ranges->len; i += step) {
			const unsigned char *entry = ranges->data + i;
			uint64_t base = number(entry, n->na);

			if (!spend(t, 1))
				return false;
			if (*addr < base ||
			    *addr - base >= number(entry + 4 * (n->na + up->na), n->ns))
				continue;
			*addr = number(entry + 4 * n->na, up->na) + (*addr - base);
			break;
		}
		if (i + step > ranges->len)
			return false;
	}
	return true;
}

static bool lies_in(const struct region *r, uint64_t addr)
{
	return addr >= r->base && addr - r->base < r->size;
}

/* Devices whose reg begins or ends in a region */
static void find_regs(struct tree *t)
{
	unsigned int i, k, at;

	for (i = 1; i < t->nr_nodes; i++) {
		const struct node *n = &t->nodes[i], *up = &t->nodes[n->parent];
		const struct prop *reg;
		unsigned int step;

		if (n->inside || n->meta || !up->na || up->na > 2 || !up->ns || up->ns > 2)
			continue;
		reg = find_prop(t, i, "reg");
		if (!reg || prop_is(find_prop(t, i, "device_type"), "memory"))
			continue;
		step = 4 * (up->na + up->ns);
		for (at = 0, k = 0; at + step <= reg->len && spend(t, 1); at += step, k++) {
			uint64_t base = number(reg->data + at, up->na);
			uint64_t size = number(reg->data + at + 4 * up->na, up->ns);
			unsigned int j;

			if (!size || !to_cpu(t, n->parent, &base))
				continue;
			for (j = 0; j < t->nr_by_base && spend(t, 1); j++) {
				struct region *r = t->by_base[j];

				if (lies_in(r, base) || lies_in(r, base + size - 1))
					add_ref(t, &r->regs, i, "reg", k);
			}
		}
	}
}

/* What the core makes of the node */

static void refuse(struct region *r, const char *reason)
{
	if (r->status != AVAILABLE)
		return;
	r->status = REFUSED;
	r->reason = reason;
}

static void check_frame(struct tree *t)
{
	uint32_t na, ns;

	if (t->na < 1 || t->na > 2 || t->ns < 1 || t->ns > 2)
		t->frame_fault = "#address-cells and #size-cells of the root must be 1 or 2";
	else if (!read_u32(t, t->frame, "#address-cells", &na) || na != t->na ||
		 !read_u32(t, t->frame, "#size-cells", &ns) || ns != t->ns)
		t->frame_fault = text(t, "%s needs the root's #address-cells and #size-cells, %u and %u",
				      path(t, t->frame), t->na, t->ns);
	else if (!has(t, t->frame, "ranges"))
		t->frame_fault = text(t, "%s needs the property ranges", path(t, t->frame));
}

/* Memory where a dynamic region can lie for sure */
static void find_taken(struct tree *t)
{
	unsigned int i, n = 0;

	t->taken.at = grab(t, t->nr_regions + t->reserved.nr + 2, sizeof(*t->taken.at));
	for (i = 0; i < t->nr_regions; i++)
		if (t->regions[i].fixed && t->regions[i].status != DISABLED)
			t->taken.at[n++] = (struct range){ t->regions[i].base,
							   t->regions[i].size };
	for (i = 0; i < t->reserved.nr; i++)
		t->taken.at[n++] = t->reserved.at[i];
	if (t->um && t->ram.nr) {
		struct range *last = &t->ram.at[t->ram.nr - 1];

		t->taken.at[n++] = (struct range){ 0, UM_LOW };
		if (last->size > UM_HIGH)
			t->taken.at[n++] = (struct range){ last->base + last->size - UM_HIGH,
							   UM_HIGH };
	}
	t->taken.nr = n;
	normalize(&t->taken);
}

/* The largest free piece of [base, base + size), which is in RAM */
static uint64_t largest_gap(struct tree *t, uint64_t base, uint64_t size)
{
	uint64_t end = base + size, best = 0;
	unsigned int i;

	for (i = 0; i < t->taken.nr && base < end && spend(t, 1); i++) {
		const struct range *r = &t->taken.at[i];

		if (r->base + r->size <= base)
			continue;
		if (r->base >= end)
			break;
		if (r->base > base && r->base - base > best)
			best = r->base - base;
		base = r->base + r->size;
	}
	if (base < end && end - base > best)
		best = end - base;
	return best;
}

/* Whether a dynamic region fits, whatever else is there: refused, or depends, or neither */
static void check_room(struct tree *t, struct region *r, uint64_t others)
{
	const struct prop *prop = find_prop(t, r->node, "alloc-ranges");
	uint64_t best = 0, most = 0, align = r->align;
	unsigned int step = 4 * (t->na + t->ns), at = 0, i;

	if (prop && !valid_reg(t, prop))
		prop = NULL;
	if (!t->ram_known || t->ram_partial) {
		r->depends = true;
		return;
	}
	if (takes_cma(r) && align < t->pageblock)
		align = t->pageblock;
	do {
		struct range in = { 0, UINT64_MAX };

		if (prop && at < prop->len)
			in = (struct range){ number(prop->data + at, t->na),
					     number(prop->data + at + 4 * t->na, t->ns) };
		else if (prop)
			break;
		if (in.base + in.size < in.base || (prop && !in.base && !in.size))
			r->depends = true;
		for (i = 0; i < t->ram.nr && spend(t, 1); i++) {
			uint64_t both = common(in.base, in.size, &t->ram.at[i]);
			uint64_t from = in.base > t->ram.at[i].base ? in.base : t->ram.at[i].base;
			uint64_t gap = both ? largest_gap(t, from, both) : 0;

			if (both > most)
				most = both;
			if (gap > best)
				best = gap;
		}
		at += step;
	} while (prop && spend(t, 1));

	if (most < r->size && !r->depends)
		refuse(r, text(t, "there is no room for %s in %s", human(t, r->size),
			       prop ? "its alloc-ranges" : "RAM"));
	else if (best < r->size || best - r->size < align ||
		 best - r->size - align < others + (t->um ? 0 : UM_HIGH))
		r->depends = true;
	/* The core works with any alignment, and with what a mask makes of it. */
	if (align & (align - 1))
		r->depends = true;
}

static void check_dynamic(struct tree *t, struct region *r, unsigned int index)
{
	const struct prop *size = find_prop(t, r->node, "size");
	const struct prop *align = find_prop(t, r->node, "alignment");

	if (index >= MAX_DYNAMIC)
		refuse(r, text(t, "the kernel places %u dynamic regions, it is number %u",
			       MAX_DYNAMIC, index + 1));
	else if (size->len != 4 * t->ns)
		refuse(r, text(t, "its size must be %u cells, it has %u%s", t->ns, size->len / 4,
			       size->len % 4 ? " and a part" : ""));
	else if (align && align->len != 4 * t->na)
		refuse(r, text(t, "its alignment must be %u cells, it has %u%s", t->na,
			       align->len / 4, align->len % 4 ? " and a part" : ""));
	else if (takes_cma(r) && t->cma_given && has(t, r->node, "linux,cma-default"))
		refuse(r, "cma= on the command line replaces it");
	else if (!r->size)
		refuse(r, "its size is 0");
}

static void check_entry(struct tree *t, struct region *r)
{
	const struct prop *reg = find_prop(t, r->node, "reg");

	if (!r->fixed && !r->dynamic) {
		if (reg && reg->len)
			refuse(r, text(t, "its reg must be a multiple of %u cells, it has %u%s",
				       t->na + t->ns, reg->len / 4,
				       reg->len % 4 ? " and a part" : ""));
		else
			refuse(r, "it has neither reg nor size");
		return;
	}
	if (r->fixed && takes_cma(r) && t->cma_given && has(t, r->node, "linux,cma-default"))
		refuse(r, "cma= on the command line replaces it");
	else if (!r->size)
		refuse(r, "its size is 0");
	else if (takes_cma(r) && (r->base | r->size) & (t->pageblock - 1))
		refuse(r, text(t, "base and size of a CMA area must be multiples of %s",
			       human(t, t->pageblock)));
	/* The allocators of shared pools are asked first. */
	else if (r->restricted && !(r->shared && (takes_cma(r) || !r->reusable)) &&
		 (r->reusable || r->no_map || has(t, r->node, "linux,cma-default") ||
		  has(t, r->node, "linux,dma-default")))
		refuse(r, text(t, "a restricted pool cannot have %s",
			       r->reusable ? "reusable" : r->no_map ? "no-map" :
			       has(t, r->node, "linux,cma-default") ? "linux,cma-default" :
			       "linux,dma-default"));
}

static void check_entries(struct tree *t)
{
	unsigned int i, dynamic = 0, areas = 0, pass;
	uint64_t wanted = 0;

	for (i = 0; i < t->nr_regions; i++) {
		struct region *r = &t->regions[i];

		if (is_disabled(t, r->node)) {
			r->status = DISABLED;
			r->reason = "its status is not \"okay\"";
			continue;
		}
		if (t->frame_fault) {
			refuse(r, t->frame_fault);
			continue;
		}
		if (r->dynamic)
			check_dynamic(t, r, dynamic++);
		check_entry(t, r);
		if (r->dynamic && r->status == AVAILABLE)
			wanted += r->size + r->align + (takes_cma(r) ? t->pageblock : 0);
	}
	find_taken(t);
	for (i = 0; i < t->nr_regions; i++)
		if (t->regions[i].dynamic && t->regions[i].status == AVAILABLE)
			check_room(t, &t->regions[i],
				   wanted - t->regions[i].size - t->regions[i].align);

	/* Dynamic regions are initialized first. The default area may be one of the areas. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < t->nr_regions; i++) {
			struct region *r = &t->regions[i];

			if (!takes_cma(r) || r->status != AVAILABLE || r->dynamic == pass)
				continue;
			areas++;
			if (opt.cma_areas && areas > opt.cma_areas)
				refuse(r, text(t, "the kernel has room for %lu CMA areas (CONFIG_CMA_AREAS)",
					       opt.cma_areas));
			else if (areas >= (opt.cma_areas ? opt.cma_areas : 8))
				r->depends = true;
		}
	for (i = 0; i < t->nr_regions; i++)
		t->regions[i].entry = t->regions[i].status == AVAILABLE;
}

/* Owners */

static void set_owner(struct region *r, const char *by, const char *words)
{
	r->owner.by = by;
	r->owner.text = words;
	if (r->status == AVAILABLE) {
		r->status = OWNED;
		r->reason = words;
	}
}

/* The word of a name that says that memory is firmware's, or NULL */
static const char *firmware_word(struct tree *t, const char *name)
{
	static const char * const words[] = {
		"adsp", "aop", "apss", "atf", "bl31", "bl32", "boot", "cdsp", "cmd", "cpucp",
		"firmware", "fw", "gpu", "hyp", "hypervisor", "ipa", "m4", "modem", "mpss",
		"msg", "op", "optee", "pil", "q6", "rmtfs", "rpm", "rproc", "sbl", "scp",
		"secdata", "secmon", "secure", "slpi", "smem", "spss", "tee", "tfa", "tf",
		"trustzone", "tz", "uefi", "venus", "wcnss", "wlan", "wpss", "xbl",
	};
	char *copy = text(t, "%s", name), *word, *rest;
	size_t i;

	for (word = strtok_r(copy, "-_,.@ ", &rest); word; word = strtok_r(NULL, "-_,.@ ", &rest))
		for (i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (!strcmp(word, words[i]))
				return words[i];
	return NULL;
}

static void find_owner(struct tree *t, struct region *r)
{
	const struct prop *compatible = find_prop(t, r->node, "compatible");
	const char *other = other_compatible(compatible, &r->owner.index), *what;
	const struct ref *ref = NULL;
	int disabled;

	if (other) {
		r->owner.prop = "compatible";
		set_owner(r, "compatible", text(t, "it belongs to the driver of %s", other));
		return;
	}
	r->owner.index = 0;
	if (has(t, r->node, "iommu-addresses")) {
		r->owner.prop = "iommu-addresses";
		set_owner(r, "iommu-addresses", "it has iommu-addresses");
		return;
	}
	if (is_pool(r))
		return;
	for (disabled = 0; disabled < 2 && !ref; disabled++) {
		what = "phandle";
		for (ref = r->refs.first; ref; ref = ref->next)
			if (ref->known && t->nodes[ref->node].disabled == disabled)
				break;
		if (ref)
			break;
		what = "reg";
		for (ref = r->regs.first; ref; ref = ref->next)
			if (t->nodes[ref->node].disabled == disabled)
				break;
		if (ref)
			break;
	}
	if (!ref) {
		/* No more than a guess: the kernel does not go by names. */
		what = firmware_word(t, r->name);
		if (what) {
			r->owner.by = "name";
			r->owner.text = text(t, "by its name (%s) firmware owns it", what);
		}
		return;
	}
	r->owner.node = ref->node;
	r->owner.prop = ref->prop;
	r->owner.index = ref->index;
	r->owner.disabled = disabled;
	set_owner(r, what,
		  text(t, *what == 'p' ? "%s%s refers to it (%s, index %u)" :
		       "the memory of %s%s lies in it (%s, index %u)", path(t, ref->node),
		       disabled ? ", which is disabled," : "", ref->prop, ref->index));
}

/* Geometry, memory and names */

static bool bad_name(const char *name)
{
	static const char * const taken[] = { "system", "reserved", "default_cma_region" };
	const char *c;
	size_t i;

	if (!*name || *name == '@' || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strlen(name) > MAX_NAME)
		return true;
	for (c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("%!:/", *c))
			return true;
	for (i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		if (!strcmp(name, taken[i]))
			return true;
	return !strncmp(name, "system_", 7) || !strncmp(name, "protected,", 10);
}

static bool in_ram(const struct tree *t, const struct region *r)
{
	return !t->ram_known || covered(&t->ram, r->base, r->size);
}

static void problem(struct region *r, const char *reason)
{
	if (!r->problem)
		r->problem = reason;
}

static void check_place(struct tree *t, struct region *r)
{
	uint64_t inside = covered(&t->ram, r->base, r->size), part;
	int chosen = t->chosen;
	unsigned int i;

	if ((!t->ram_known && !t->capped) || (t->ram_partial && inside != r->size))
		r->doubt = true;
	else if (inside && inside != r->size)
		problem(r, text(t, "only %s of %s are RAM", human(t, inside), human(t, r->size)));
	else if (t->capped && covered(&t->usable, r->base, r->size) != r->size)
		problem(r, "it lies outside linux,usable-memory-range");
	else if (!inside && (r->mode == CMA || r->mode == RESTRICTED))
		problem(r, "it lies outside RAM");
	else if (!inside && r->mode == CARVEOUT && !r->no_map)
		r->doubt = true;
	for (i = 0; i < t->reserved.nr; i++) {
		const struct range *e = &t->reserved.at[i];

		part = common(r->base, r->size, e);
		if (part && part != r->size)
			problem(r, text(t, "the reservation block has 0x%llx+0x%llx, a part of it",
					(unsigned long long)e->base,
					(unsigned long long)e->size));
	}
	if (r->mode == COHERENT && !r->no_map && !t->um && in_ram(t, r))
		problem(r, "a coherent pool in RAM needs no-map");
	if (t->um && t->ram_known && inside) {
		const struct range *last = &t->ram.at[t->ram.nr - 1];

		if (r->base < UM_IMAGE)
			problem(r, "the kernel lies in it");
		else if (r->base < UM_LOW ||
			 r->base + r->size > last->base + last->size - UM_HIGH)
			r->doubt = true;
	}
	if (chosen >= 0) {
		const struct prop *from = find_prop(t, chosen, "linux,initrd-start");
		const struct prop *to = find_prop(t, chosen, "linux,initrd-end");

		if (from && to && from->len && to->len && from->len <= 8 && to->len <= 8) {
			struct range initrd = { number(from->data, from->len / 4), 0 };

			initrd.size = number(to->data, to->len / 4) - initrd.base;
			if (initrd.size < UINT64_MAX / 2 && common(r->base, r->size, &initrd))
				problem(r, "the initrd lies in it");
		}
	}
}

static void check_geometry(struct tree *t, struct region *r)
{
	const struct prop *compatible = find_prop(t, r->node, "compatible");

	if (compatible && compatible->len && compatible->data[compatible->len - 1])
		problem(r, "its compatible is not a list of strings");
	if (r->shared && r->restricted)
		problem(r, "it says to be two kinds of pool");
	if (r->reusable && !r->shared)
		problem(r, "reusable memory must be a shared-dma-pool");
	if (r->reusable && r->no_map)
		problem(r, "it cannot be both reusable and no-map");
	if ((r->fixed ? r->base | r->size : r->size) & (opt.page_size - 1))
		problem(r, text(t, "its %s must be a multiple of the page size, %llu",
				r->fixed ? "base and size" : "size",
				(unsigned long long)opt.page_size));
	if (r->fixed && r->base + r->size < r->base)
		problem(r, "its end is beyond the address space");
	/* Where it comes to lie is chance: the core aligns to a cache line. */
	if (r->dynamic && !takes_cma(r) && r->align < opt.page_size)
		r->doubt = true;
	/* The reservation block may be read after dynamic regions are placed. */
	if (r->dynamic && t->reserved.nr)
		r->doubt = true;
	if (t->capture)
		problem(r, "this kernel is to save the memory of one that crashed");
	if (r->mode == COHERENT && has(t, r->node, "linux,dma-default") && !t->um)
		r->doubt = true;
	if (r->dynamic && r->mode == COHERENT && !r->no_map && !t->um)
		problem(r, "a coherent pool in RAM needs no-map");
	if (bad_name(r->name))
		problem(r, "its name cannot be the name of a heap");
	if (r->fixed)
		check_place(t, r);
}

static int by_base_cmp(const void *a, const void *b)
{
	const struct region *x = *(struct region * const *)a, *y = *(struct region * const *)b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static int by_name_cmp(const void *a, const void *b)
{
	const struct region *x = *(struct region * const *)a, *y = *(struct region * const *)b;

	return strcmp(x->name, y->name);
}

/* Fixed regions that are there, by base */
static void sort_regions(struct tree *t)
{
	unsigned int i;

	t->by_base = grab(t, t->nr_regions + 1, sizeof(*t->by_base));
	for (i = 0; i < t->nr_regions; i++)
		if (t->regions[i].fixed && t->regions[i].size)
			t->by_base[t->nr_by_base++] = &t->regions[i];
	qsort(t->by_base, t->nr_by_base, sizeof(*t->by_base), by_base_cmp);
}

static bool overlap(const struct region *a, const struct region *b)
{
	struct range r = { a->base, a->size };

	return common(b->base, b->size, &r);
}

static void check_overlaps(struct tree *t)
{
	struct region *furthest = NULL;
	unsigned int i;

	for (i = 0; i < t->nr_by_base; i++) {
		struct region *r = t->by_base[i];

		if (r->status == DISABLED)
			continue;
		if (furthest && overlap(furthest, r)) {
			/* The memory of one that was refused has gone back. */
			if (!furthest->entry || !r->entry)
				r->doubt = furthest->doubt = true;
			if (furthest->entry)
				problem(r, text(t, "it overlaps %s", furthest->name));
			if (r->entry)
				problem(furthest, text(t, "it overlaps %s", r->name));
		}
		if (!furthest || r->base + r->size > furthest->base + furthest->size)
			furthest = r;
	}
}

static void check_names(struct tree *t)
{
	struct region **names = grab(t, t->nr_regions + 1, sizeof(*names));
	unsigned int i;

	for (i = 0; i < t->nr_regions; i++)
		names[i] = &t->regions[i];
	qsort(names, t->nr_regions, sizeof(*names), by_name_cmp);
	for (i = 1; i < t->nr_regions; i++)
		if (!strcmp(names[i - 1]->name, names[i]->name)) {
			problem(names[i - 1], "two nodes have this name");
			problem(names[i], "two nodes have this name");
		}
}

/* Who gets a heap */

static const char *find_sign(struct tree *t, const struct region *r)
{
	const struct ref *ref;

	if (!r->nr_refs)
		return "no node refers to it";
	for (ref = r->refs.first; ref; ref = ref->next) {
		if (ref->known && ref->index)
			return text(t, "%s refers to it at index %u of %s", path(t, ref->node),
				    ref->index, ref->prop);
		if (ref->known && !has(t, ref->node, "compatible"))
			return text(t, "%s refers to it and has no compatible",
				    path(t, ref->node));
	}
	if (r->regs.first)
		return text(t, "the memory of %s lies in it", path(t, r->regs.first->node));
	return NULL;
}

static void find_heaps(struct tree *t)
{
	unsigned int i, normal = 0, all = 0, cmdline = 0;

	for (i = 0; i < t->nr_regions; i++) {
		struct region *r = &t->regions[i];
		bool available = r->status == AVAILABLE;
		char match = match_export(t, r->name);

		if (!available && (r->status != OWNED || r->problem))
			continue;
		r->heap_name = normal < MAX_HEAPS;
		if (available && (r->mode == COHERENT || r->mode == RESTRICTED))
			r->sign = find_sign(t, r);
		r->heap_default = available && r->mode == CMA && normal < MAX_HEAPS;
		r->heap_export = available && r->export && normal < MAX_HEAPS;
		r->heap_all = available && r->mode != CARVEOUT && !r->sign && all < MAX_HEAPS;
		r->heap_cmdline = match != '!' && cmdline < MAX_HEAPS &&
				  (match == 'n' || (available && r->export) ||
				   (available && r->mode == CMA) ||
				   (match == '*' && available && r->mode != CARVEOUT && !r->sign));
		normal += r->heap_default || r->heap_export;
		all += r->heap_all || r->heap_export;
		cmdline += r->heap_cmdline;
	}
}

static void predict(struct tree *t)
{
	unsigned int i, n = 0;
	int node;

	t->last_finding = &t->findings;
	t->cmdline = opt.cmdline;
	t->pageblock = opt.pageblock;
	if (!t->pageblock)
		t->pageblock = opt.page_size == 4 * K ? (t->um ? 4 * M : 2 * M) :
			       opt.page_size == 16 * K ? 32 * M :
			       opt.page_size == 64 * K ? 512 * M : opt.page_size * 1024;
	find_ram(t);
	find_reserved(t);
	if (t->frame < 0)
		return;
	for (node = t->nodes[t->frame].child; node >= 0; node = t->nodes[node].next)
		n++;
	t->regions = grab(t, n + 1, sizeof(*t->regions));
	for (node = t->nodes[t->frame].child; node >= 0; node = t->nodes[node].next)
		t->regions[t->nr_regions++].node = node;
	check_frame(t);
	if (t->frame_fault && (t->na > 2 || t->ns > 2)) {
		/* Numbers of more cells are nothing that can be compared. */
		t->na = t->na > 2 ? 2 : t->na;
		t->ns = t->ns > 2 ? 2 : t->ns;
	}
	for (i = 0; i < n; i++)
		read_region(t, &t->regions[i]);
	sort_regions(t);
	check_entries(t);
	find_refs(t);
	find_regs(t);
	for (i = 0; i < n; i++)
		find_owner(t, &t->regions[i]);
	for (i = 0; i < n; i++)
		check_geometry(t, &t->regions[i]);
	check_names(t);
	check_overlaps(t);
	for (i = 0; i < n; i++) {
		struct region *r = &t->regions[i];

		if (r->problem)
			refuse(r, r->problem);
		r->depends |= r->doubt && (r->status == AVAILABLE ||
					   (r->status == OWNED && t->ram_known));
	}
	find_heaps(t);
}

static bool largest(const struct region *r, uint64_t *size)
{
	*size = r->size;
	if (!r->size || r->status == REFUSED || r->status == DISABLED || r->problem)
		return false;
	/* The pool gives powers of two of pages, counted from its base. */
	if (r->mode == COHERENT)
		while (*size & (*size - 1))
			*size &= *size - 1;
	return true;
}

/* Findings */

static void found(struct tree *t, enum level level, const char *rule, int node,
		  const char *words, const char *change)
{
	struct finding *f = grab(t, 1, sizeof(*f));

	*f = (struct finding){ NULL, level, rule, path(t, node), words, change };
	*t->last_finding = f;
	t->last_finding = &f->next;
	t->nr_findings[level]++;
}

/*
 * How drivers use the regions that their nodes refer to, as read in the drivers: through the
 * DMA API, or by address, where an allocator's buffers would overwrite what is there.
 */
static const struct use {
	const char *compatible, *region;	/* Patterns of fnmatch(3) */
	unsigned int from, to;			/* Indices */
	bool dma;
} uses[] = {
	{ "ti,omap*-dsp", "*", 0, 0, true },
	{ "ti,omap*-ipu", "*", 0, 0, true },
	{ "ti,dra7-*", "*", 0, 0, true },
	{ "ti,da850-dsp", "*", 0, 0, true },
	{ "ti,k2*-dsp", "*", 0, 0, true },
	{ "ti,*-r5f", "*", 0, 0, true },
	{ "ti,*-r5f", "*", 1, -1U, false },
	{ "ti,*-dsp", "*", 0, 0, true },
	{ "ti,*-dsp", "*", 1, -1U, false },
	{ "ti,*-m4fss", "*", 0, 0, true },
	{ "ti,*-m4fss", "*", 1, -1U, false },
	{ "st,stm32mp1-m4", "vdev0buffer*", 0, -1U, true },
	{ "st,stm32mp1-m4", "*", 0, -1U, false },
	{ "st,st231-rproc", "vdev0buffer*", 0, -1U, true },
	{ "st,st231-rproc", "*", 0, -1U, false },
	{ "xlnx,*-r5f*", "vdev0buffer*", 0, -1U, true },
	{ "xlnx,*-r5f*", "*", 0, -1U, false },
	{ "fsl,imx*-cm[47]", "*vdev*buffer*", 0, -1U, true },
	{ "fsl,imx*-cm[47]", "*", 0, -1U, false },
	{ "fsl,imx*-cm33", "*vdev*buffer*", 0, -1U, true },
	{ "fsl,imx*-cm33", "*", 0, -1U, false },
	{ "fsl,imx*-hifi4", "*vdev*buffer*", 0, -1U, true },
	{ "fsl,imx*-hifi4", "*", 0, -1U, false },
	{ "renesas,rcar-cr7", "*", 0, -1U, false },
	{ "mediatek,mt*-dsp", "*", 0, 0, true },
	{ "mediatek,mt*-dsp", "*", 1, 1, false },
	{ "mediatek,*-scp", "*", 0, 0, true },
	{ "mediatek,scp-core", "*", 0, 0, true },
	{ "mediatek,*-vpu", "*", 0, 0, true },
	{ "mediatek,*-afe*", "*", 0, 0, true },
	{ "mediatek,*-audio", "*", 0, 0, true },
	{ "mediatek,*-sound", "*", 0, 0, true },
	{ "fsl,bman", "*", 0, -1U, false },
	{ "fsl,qman", "*", 0, -1U, false },
	{ "intel,*-svc", "*", 0, -1U, false },
	{ "qcom,*-pas", "*", 0, -1U, false },
	{ "qcom,*-pil", "*", 0, -1U, false },
	{ "qcom,*-mss*", "*", 0, -1U, false },
	{ "qcom,*-venus", "*", 0, -1U, false },
	{ "qcom,*-iris", "*", 0, -1U, false },
	{ "qcom,*-ipa", "*", 0, -1U, false },
	{ "qcom,scm*", "*", 0, 0, true },
	{ "qcom,fastrpc", "*", 0, 0, true },
	{ "samsung,mfc*", "*", 0, 1, true },
	{ "tesla,fsd-mfc", "*", 0, 1, true },
	{ "simple-framebuffer", "*", 0, 0, false },
	{ "nvidia,*-bpmp", "*", 0, 0, false },
	{ "nxp,imx8q-vpu-*", "*", 0, 1, false },
	{ "aspeed,*-lpc-ctrl", "*", 0, 0, false },
	{ "aspeed,*-p2a-ctrl", "*", 0, 0, false },
};

static const struct use *find_use(const struct tree *t, const struct region *r,
				  const struct ref *ref)
{
	const struct prop *prop = find_prop(t, ref->node, "compatible");
	const char *pos, *end;
	size_t i;

	if (!prop || !prop->len || prop->data[prop->len - 1])
		return NULL;
	end = (const char *)prop->data + prop->len;
	for (pos = (const char *)prop->data; pos < end; pos += strlen(pos) + 1)
		for (i = 0; i < sizeof(uses) / sizeof(*uses); i++)
			if (ref->index >= uses[i].from && ref->index <= uses[i].to &&
			    strlen(pos) < 128 && strlen(r->name) < 128 &&
			    !fnmatch(uses[i].compatible, pos, 0) &&
			    !fnmatch(uses[i].region, r->name, 0))
				return &uses[i];
	return NULL;
}

static const char *hex(struct tree *t, uint64_t value)
{
	return text(t, "0x%llx", (unsigned long long)value);
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static void find_frames(struct tree *t)
{
	unsigned int i;

	for (i = 1; i < t->nr_nodes; i++) {
		const struct node *n = &t->nodes[i];

		if (n->meta || n->inside || !name_is(n->name, "reserved-memory"))
			continue;
		if (!n->parent)
			found(t, WARNING, "second-reserved-memory", i,
			      "the kernel takes the regions of the first node of this name only",
			      text(t, "move its children to %s", path(t, t->frame)));
		else if (strcmp(t->nodes[n->parent].name, "__overlay__"))
			found(t, ERROR, "below-a-bus", i,
			      "the kernel looks for reserved-memory in the root only, and ignores these regions",
			      "move the node to the root");
	}
	if (t->frame_fault)
		found(t, ERROR, "reserved-memory-cells", t->frame, t->frame_fault,
		      text(t, "write #address-cells = <%u>; #size-cells = <%u>; ranges; as the root has it",
			   t->nodes[0].na, t->nodes[0].ns));
}

/* Cells and placeholders */
static void find_cells(struct tree *t, const struct region *r)
{
	const struct prop *reg = find_prop(t, r->node, "reg");
	const struct prop *size = find_prop(t, r->node, "size");
	const struct prop *align = find_prop(t, r->node, "alignment");
	const struct prop *ranges = find_prop(t, r->node, "alloc-ranges");

	if (reg && reg->len && !r->fixed)
		found(t, ERROR, "reg-cells", r->node,
		      text(t, "its reg must be %u cells (%u for the address, %u for the size), it has %u%s; %s",
			   t->na + t->ns, t->na, t->ns, reg->len / 4,
			   reg->len % 4 ? " and a part" : "",
			   r->dynamic ? "the kernel goes by its size" : "the kernel ignores the node"),
		      "write base and size with the cells of the root");
	if (r->dynamic && size->len != 4 * t->ns)
		found(t, ERROR, "size-cells", r->node,
		      text(t, "its size must be %u cells, it has %u%s: the kernel ignores the node",
			   t->ns, size->len / 4, size->len % 4 ? " and a part" : ""),
		      "write the size with the #size-cells of the root");
	if (r->dynamic && align && align->len != 4 * t->na)
		found(t, ERROR, "alignment-cells", r->node,
		      text(t, "its alignment must be %u cells, it has %u%s: the kernel ignores the node",
			   t->na, align->len / 4, align->len % 4 ? " and a part" : ""),
		      "write the alignment with the #address-cells of the root");
	if (r->dynamic && ranges && (!valid_reg(t, ranges) || !ranges->len))
		found(t, WARNING, "alloc-ranges-cells", r->node,
		      text(t, "its alloc-ranges must be a multiple of %u cells: the kernel %s",
			   t->na + t->ns,
			   ranges->len ? "ignores them" : "finds no memory in none"),
		      "write base and size of each range with the cells of the root");
	if (r->fixed && (align || ranges))
		found(t, WARNING, "ignored-beside-reg", r->node,
		      text(t, "%s count%s only for regions without reg: it is at %s",
			   align && ranges ? "alignment and alloc-ranges" :
			   align ? "alignment" : "alloc-ranges",
			   align && !ranges ? "s" : "", hex(t, r->base)),
		      "remove what the kernel ignores, or remove reg and give a size");
	else if (r->fixed && size)
		found(t, NOTE, "ignored-beside-reg", r->node,
		      "size counts only for regions without reg", "remove it");
	if ((r->fixed || (r->dynamic && size->len == 4 * t->ns)) ? !r->size :
	    (!reg || !reg->len) && !r->dynamic)
		found(t, NOTE, "placeholder", r->node,
		      r->fixed || r->dynamic ? "its size is 0: the kernel ignores the node" :
		      "it has neither reg nor size: the kernel ignores the node",
		      "nothing, if a boot loader fills it in");
}

/* The node contradicts itself */
static void find_contradictions(struct tree *t, const struct region *r)
{
	uint64_t block = t->um || opt.pageblock ? t->pageblock : 2 * M, bad;

	bool driver = r->owner.by && !strcmp(r->owner.by, "compatible");

	if (r->reusable && !r->shared && !driver)
		found(t, ERROR, "reusable-without-pool", r->node,
		      "reusable is for CMA areas: without compatible = \"shared-dma-pool\" nobody gives the memory back to the system",
		      "add compatible = \"shared-dma-pool\", or remove reusable");
	else if (r->reusable && r->no_map)
		found(t, ERROR, "reusable-without-pool", r->node,
		      "memory cannot be both reusable and no-map: no allocator takes the node",
		      "remove one of the two");
	if (takes_cma(r)) {
		bad = (r->fixed ? r->base | r->size : r->size) & (block - 1);
		if (bad)
			found(t, ERROR, "cma-misaligned", r->node,
			      text(t, "%s of a CMA area must be %s of %s; %s%s%s: the kernel refuses it",
				   r->fixed ? "base and size" : "the size",
				   r->fixed ? "multiples" : "a multiple", human(t, block),
				   r->fixed ? hex(t, r->base) : "", r->fixed ? ", " : "",
				   human(t, r->size)),
			      text(t, "%s%smake its size %s",
				   r->fixed && r->base & (block - 1) ? "move it to a multiple of " : "",
				   r->fixed && r->base & (block - 1) ?
				   text(t, "%s, and ", human(t, block)) : "",
				   human(t, round_up(r->size, block))));
		else if ((r->fixed ? r->base | r->size : r->size) & (t->pageblock - 1))
			found(t, WARNING, "cma-pageblock", r->node,
			      text(t, "kernels with page blocks of %s refuse this CMA area",
				   human(t, t->pageblock)),
			      text(t, "align base and size to %s for such kernels",
				   human(t, t->pageblock)));
	}
	if (r->mode == COHERENT && !r->reusable && !r->no_map && !t->um &&
	    (!r->fixed || in_ram(t, r)))
		found(t, ERROR, "coherent-without-no-map", r->node,
		      "a coherent pool in RAM needs no-map: the kernel maps it uncached, and cannot while it is in the linear map, too",
		      "add no-map, or reusable for a CMA area");
	if (r->mode == CARVEOUT && !r->no_map && !driver && !r->export &&
	    (r->fixed || r->dynamic))
		found(t, NOTE, "carveout-without-no-map", r->node,
		      "the kernel maps this carve-out: the CPU may read ahead into it",
		      "add no-map if firmware or a device owns the memory");
	if (r->mode == CARVEOUT && name_is(r->name, "linux,cma"))
		found(t, ERROR, "linux-cma-carveout", r->node,
		      "it is called linux,cma but is no CMA area: its memory is lost to the system",
		      "add compatible = \"shared-dma-pool\" and reusable");
	if (r->shared && r->restricted)
		found(t, WARNING, "two-kinds-of-pool", r->node,
		      "it says to be two kinds of pool: which one it is depends on the kernel",
		      "leave one of the two compatibles");
	if (r->status == REFUSED && r->reason && strstr(r->reason, "restricted pool cannot"))
		found(t, WARNING, "restricted-properties", r->node, r->reason,
		      "remove that property");
	if (r->mode != CMA && has(t, r->node, "linux,cma-default") && !r->restricted)
		found(t, WARNING, "cma-default-ignored", r->node,
		      "linux,cma-default counts only for CMA areas",
		      "add compatible = \"shared-dma-pool\" and reusable, or remove it");
	if (r->mode == COHERENT && has(t, r->node, "linux,dma-default"))
		found(t, NOTE, "global-pool", r->node,
		      "linux,dma-default: with CONFIG_DMA_GLOBAL_POOL it is the pool of all devices without coherent memory, and gets no heap",
		      "nothing, if that is what is wanted");
}

/* Distance of Levenshtein, of short words */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[33], n = strlen(b), i, k, diag, up;

	if (n > 32 || strlen(a) > 32)
		return -1U;
	for (k = 0; k <= n; k++)
		row[k] = k;
	for (i = 0; a[i]; i++) {
		diag = row[0];
		row[0] = i + 1;
		for (k = 1; k <= n; k++) {
			up = row[k];
			row[k] = diag + (a[i] != b[k - 1]);
			if (up + 1 < row[k])
				row[k] = up + 1;
			if (row[k - 1] + 1 < row[k])
				row[k] = row[k - 1] + 1;
			diag = up;
		}
	}
	return row[n];
}

static void find_unknown(struct tree *t, const struct region *r)
{
	static const char * const known[] = {
		"compatible", "reg", "size", "alignment", "alloc-ranges", "no-map",
		"no-map-fixup", "reusable", "linux,cma-default", "linux,dma-default",
		"iommu-addresses", "phandle", "linux,phandle", "status", "export", "label",
		"name", "ranges", "#address-cells", "#size-cells",
	};
	const struct node *n = &t->nodes[r->node];
	unsigned int i, best, d, nr = 0;
	size_t k, nearest;

	if (r->owner.by && !strcmp(r->owner.by, "compatible"))
		return;		/* It may have properties of its own. */
	for (i = n->prop; i < n->prop + n->nr_props && nr < 8 && spend(t, 1000); i++) {
		const char *name = t->props[i].name;

		for (k = nearest = 0, best = -1U; k < sizeof(known) / sizeof(*known); k++) {
			d = distance(name, known[k]);
			if (d < best) {
				best = d;
				nearest = k;
			}
		}
		if (!best || !strncmp(name, "bootph-", 7) ||
		    (strchr(name, ',') && strncmp(name, "linux,", 6) && best > 2))
			continue;
		nr++;
		found(t, ERROR, "unknown-property", r->node,
		      text(t, "the property %s is not known for regions: it has no effect", name),
		      best <= 3 ? text(t, "is it %s?", known[nearest]) :
		      "remove it, or give the node the compatible of its driver");
	}
}

static void find_overlaps(struct tree *t)
{
	const struct region *furthest = NULL;
	unsigned int i;

	for (i = 0; i < t->nr_by_base; i++) {
		const struct region *r = t->by_base[i];

		if (r->status == DISABLED)
			continue;
		if (furthest && overlap(furthest, r)) {
			struct range other = { furthest->base, furthest->size };
			uint64_t both = common(r->base, r->size, &other);

			found(t, ERROR, "overlap", r->node,
			      text(t, "it shares %s from %s on with %s", human(t, both),
				   hex(t, r->base), path(t, furthest->node)),
			      "move one of the two, or make it smaller");
		}
		if (!furthest || r->base + r->size > furthest->base + furthest->size)
			furthest = r;
	}
}

/* Whether a device reaches memory, by the first dma-ranges above it */
static bool reaches(struct tree *t, int node, const struct region *r)
{
	int bus = t->nodes[node].parent;
	const struct prop *ranges = NULL;
	unsigned int step, i;

	for (; bus > 0; bus = t->nodes[bus].parent) {
		const struct node *n = &t->nodes[bus], *up = &t->nodes[n->parent];

		ranges = find_prop(t, bus, "dma-ranges");
		if (!ranges || !ranges->len)
			continue;
		if (!n->na || n->na > 3 || !up->na || up->na > 2 || !n->ns || n->ns > 2)
			return true;
		step = 4 * (n->na + up->na + n->ns);
		for (i = 0; i + step <= ranges->len; i += step) {
			const unsigned char *entry = ranges->data + i;
			struct range window = { number(entry + 4 * n->na, up->na),
						number(entry + 4 * (n->na + up->na), n->ns) };

			if (common(r->base, r->size, &window) == r->size || !spend(t, 1))
				return true;
		}
		return false;
	}
	return true;
}

static bool other_vm(const struct tree *t, int node)
{
	const struct prop *vmids = find_prop(t, node, "qcom,vmids");
	unsigned int i;

	for (i = 0; vmids && i + 4 <= vmids->len; i += 4)
		if (cell(vmids->data + i) == 3)		/* QCOM_SCM_VMID_HLOS */
			return false;
	return vmids;
}

static bool refers(const struct region *r, int node)
{
	const struct ref *ref;

	for (ref = r->refs.first; ref; ref = ref->next)
		if (ref->node == node && ref->exact)
			return true;
	return false;
}

/* Whose it is */
static void find_users(struct tree *t, struct region *r)
{
	bool pool = r->mode == COHERENT || r->mode == RESTRICTED;
	bool driver = r->owner.by && !strcmp(r->owner.by, "compatible");
	const struct ref *ref, *region_ref = NULL, *other = NULL, *raw = NULL, *first = NULL;
	unsigned int nr = 0, enabled = 0, devices = 0;
	bool far = false, vm = false;
	int last = -1, seen = -1;

	for (ref = r->refs.first; ref && nr < MAX_REFS; ref = ref->next) {
		const struct node *n = &t->nodes[ref->node];
		const struct use *use;

		if (!ref->exact || !spend(t, 100))
			continue;
		use = find_use(t, r, ref);
		nr++;
		enabled += !n->disabled;
		if (!strncmp(ref->prop, "memory-region", 13))
			region_ref = ref;
		else if (!other)
			other = ref;
		vm |= ref->node != seen && other_vm(t, ref->node);
		seen = ref->node;
		if (n->disabled)
			continue;
		if (!first)
			first = ref;
		devices += ref->node != last;
		last = ref->node;
		if (!raw && (use ? !use->dma :
			     ref->index || !has(t, ref->node, "compatible")))
			raw = ref;
		if (!far && r->fixed && r->size && !reaches(t, ref->node, r) &&
		    is_pool(r)) {
			far = true;
			found(t, WARNING, "unreachable", r->node,
			      text(t, "%s does not reach it: it is at %s, outside the dma-ranges above the device",
				   path(t, ref->node), hex(t, r->base)),
			      "move the region into the dma-ranges of the device's bus");
		}
	}
	if (pool && raw && r->status != OWNED)
		found(t, r->heap_all ? WARNING : NOTE, "pool-by-address", r->node,
		      text(t, "%s %s it by address (%s, index %u): a heap's buffers would overwrite what is there%s",
			   path(t, raw->node), find_use(t, r, raw) ? "uses" : "seems to use",
			   raw->prop, raw->index,
			   r->heap_all ? ", and rmem_heap.export=* makes one" : ""),
		      r->heap_all ? text(t, "use rmem_heap.export=*:!%s", r->name) :
		      "do not export it by its name");
	if (pool && !nr && r->status != OWNED && !r->export)
		found(t, NOTE, "pool-without-user", r->node,
		      "no node refers to this pool: firmware may use it",
		      "give it a device, or export it by its name");
	if (vm && r->mode == CMA)
		found(t, WARNING, "cma-of-another-vm", r->node,
		      "a device that refers to it gives its memory to another VM (qcom,vmids without HLOS): the CPU faults on it then",
		      text(t, "use rmem_heap.export=!%s", r->name));
	if (other && !region_ref && !driver)
		found(t, NOTE, "other-property", r->node,
		      text(t, "%s refers to it with %s, not memory-region", path(t, other->node),
			   other->prop), "nothing, if the driver of that node knows the property");
	if (pool && devices > 1)
		found(t, NOTE, "shared-pool", r->node,
		      text(t, "%u devices allocate from this pool, %s first", devices,
			   path(t, first->node)),
		      "give each a pool of its own if they must not starve each other");
	if (nr && !enabled)
		found(t, NOTE, "consumers-disabled", r->node,
		      text(t, "all nodes that refer to it are disabled, %s first: %s%s kept for nothing",
			   path(t, r->refs.first->node), human(t, r->size),
			   r->mode == CMA ? " (movable pages only)" : ""),
		      text(t, "set status = \"disabled\" for the region, too%s",
			   r->mode == CARVEOUT ? ", or export it by its name" : ""));
	for (ref = r->regs.first; ref; ref = ref->next) {
		if (spend(t, r->nr_refs + 1) && refers(r, ref->node))
			continue;
		found(t, is_pool(r) ? WARNING : NOTE, "device-reg", r->node,
		      text(t, "the memory of %s lies in it (reg, index %u)", path(t, ref->node),
			   ref->index),
		      is_pool(r) ? "a device's memory needs a region of its own" :
		      text(t, "add memory-region to %s", path(t, ref->node)));
		break;
	}
}

/* Where it lies */
static void find_geometry(struct tree *t, const struct region *r)
{
	uint64_t bits = r->fixed ? r->base | r->size : r->size, inside, part;
	enum level level = r->status == OWNED ? NOTE : WARNING;
	const struct prop *prop = find_prop(t, r->node, "alignment");
	unsigned int i;

	if (!r->size)
		return;
	if (r->dynamic && !takes_cma(r) && r->align < opt.page_size &&
	    (!prop || prop->len == 4 * t->na))
		found(t, level, "dynamic-without-alignment", r->node,
		      "without alignment the kernel may put it anywhere in a page, and then it can have no heap",
		      text(t, "give it an alignment of %llu or more",
			   (unsigned long long)opt.page_size));
	if (bits & (opt.page_size - 1) && !takes_cma(r))
		found(t, level, "not-whole-pages", r->node,
		      text(t, "%s not whole pages of %s: %s%s%s",
			   r->fixed ? "base and size are" : "its size is",
			   human(t, opt.page_size), r->fixed ? hex(t, r->base) : "",
			   r->fixed ? ", " : "", human(t, r->size)),
		      level == NOTE ? "nothing, if no heap is wanted" :
		      text(t, "make it whole pages of %s", human(t, opt.page_size)));
	if (r->mode == COHERENT && r->size & (r->size - 1) && r->status == AVAILABLE) {
		uint64_t most = r->size;

		while (most & (most - 1))
			most &= most - 1;
		found(t, NOTE, "not-a-power-of-two", r->node,
		      text(t, "its largest buffer is %s of %s: the pool gives powers of two of pages",
			   human(t, most), human(t, r->size)),
		      "use a power of two if large buffers are wanted");
	}
	if (is_pool(r) && r->size < 128 * K && r->status == AVAILABLE)
		found(t, NOTE, "small-pool", r->node,
		      text(t, "a pool of %s is small for a heap", human(t, r->size)),
		      "nothing, if only its device uses it");
	if (r->dynamic && r->status == REFUSED && !r->entry && r->reason &&
	    strstr(r->reason, "no room"))
		found(t, WARNING, "no-room", r->node, r->reason,
		      "make it smaller, or its alloc-ranges larger");
	if (!r->fixed)
		return;
	if (r->base + r->size < r->base)
		found(t, WARNING, "beyond-the-end", r->node,
		      "its end is beyond the address space", "correct base and size");
	if (r->base + r->size > 4 * G)
		found(t, NOTE, "above-4-gib", r->node,
		      text(t, "it is at %s: devices of 32 address bits do not reach it",
			   hex(t, r->base)),
		      "move it below 4 GiB if such a device imports its buffers");
	inside = covered(&t->ram, r->base, r->size);
	if (t->capped && !covered(&t->usable, r->base, r->size))
		found(t, NOTE, "other-kernel", r->node,
		      "it lies outside linux,usable-memory-range: its memory is another kernel's",
		      "nothing: it gets no heap here");
	else if (t->ram_known && !inside)
		found(t, NOTE, "outside-ram", r->node,
		      text(t, "it is at %s, outside the memory that the tree or --mem names",
			   hex(t, r->base)),
		      r->mode == CMA || r->mode == RESTRICTED ? "move it into RAM" :
		      "nothing, if it is memory of a device, or a boot loader adds RAM");
	else if (t->ram_known && inside != r->size)
		found(t, t->ram_partial ? NOTE : WARNING, "partly-ram", r->node,
		      text(t, "only %s of %s are RAM", human(t, inside), human(t, r->size)),
		      "move it, or make it smaller");
	for (i = 0; i < t->reserved.nr; i++) {
		const struct range *e = &t->reserved.at[i];

		part = common(r->base, r->size, e);
		if (part && (part != r->size || e->size != r->size))
			found(t, part == r->size ? NOTE : WARNING, "memreserve", r->node,
			      text(t, "the reservation block (/memreserve/) has %s of it: %s+%s",
				   part == r->size ? "all" : human(t, part), hex(t, e->base),
				   hex(t, e->size)),
			      part == r->size ? "remove the entry: the region is enough" :
			      "move one of the two, or let the entry cover the region");
	}
}

static void find_names(struct tree *t, const struct region *r)
{
	const char *at = strchr(r->name, '@'), *pos;
	uint64_t unit = 0;

	if (at && !r->fixed && r->dynamic)
		found(t, WARNING, "unit-address-without-reg", r->node,
		      text(t, "its name says %s, but without reg the kernel puts it anywhere",
			   at + 1),
		      "add reg, or remove the unit address from the name");
	if (at && r->fixed) {
		for (pos = at + 1; isxdigit((unsigned char)*pos); pos++)
			unit = unit << 4 | (isdigit((unsigned char)*pos) ? *pos - '0' :
					    tolower((unsigned char)*pos) - 'a' + 10);
		if (*pos == ',')	/* high,low */
			unit = unit << 32 | strtoull(pos + 1, NULL, 16);
		if (unit != r->base)
			found(t, WARNING, "unit-address", r->node,
			      text(t, "its name says %s, its memory is at %s", at + 1,
				   hex(t, r->base)),
			      text(t, "call it %.*s@%llx", (int)(at - r->name), r->name,
				   (unsigned long long)r->base));
	}
	if (bad_name(r->name) && r->status != DISABLED)
		found(t, WARNING, "heap-name", r->node,
		      "its name cannot be the name of a heap",
		      "use letters, digits, '-' and ',' and no name of mainline's heaps");
}

static bool is_generic(const char *name)
{
	static const char * const generic[] = {
		"memory", "region", "buffer", "pool", "mem", "reserved", "carveout", "heap",
	};
	size_t i;

	for (i = 0; i < sizeof(generic) / sizeof(*generic); i++)
		if (name_is(name, generic[i]))
			return true;
	return false;
}

static void find_limits(struct tree *t)
{
	unsigned int i, areas = 0, dynamic = 0, heaps = 0, unowned = 0, generic = 0;
	const struct region *unnamed = NULL;
	uint64_t size = 0;

	for (i = 0; i < t->nr_regions; i++) {
		const struct region *r = &t->regions[i];

		if (is_pool(r) && r->status != DISABLED && is_generic(r->name)) {
			generic++;
			if (!unnamed)
				unnamed = r;
		}
		areas += takes_cma(r) && r->status != DISABLED;
		dynamic += r->dynamic && r->status != DISABLED;
		heaps += r->status == AVAILABLE && (r->export || r->mode == CMA);
		if (r->status == AVAILABLE && r->mode == CARVEOUT && !r->export &&
		    !r->heap_cmdline) {
			unowned++;
			size += r->size;
		}
		if (takes_cma(r) && r->status == REFUSED && r->reason &&
		    !strncmp(r->reason, "cma=", 4))
			found(t, NOTE, "cma-replaced", r->node,
			      "cma= on the command line replaces it; the heap is default_cma_region",
			      "remove cma= to get this area");
		if (t->capture && r->status == REFUSED)
			found(t, NOTE, "capture-kernel", r->node,
			      "a kernel that saves the memory of one that crashed touches no region",
			      "nothing");
	}
	if (areas > (opt.cma_areas ? opt.cma_areas : 8))
		found(t, NOTE, "cma-areas", t->frame,
		      text(t, "it has %u CMA areas: the kernel has room for CONFIG_CMA_AREAS, %s",
			   areas, opt.cma_areas ? text(t, "%lu", opt.cma_areas) :
			   "8 or, with NUMA, 20 by default"),
		      text(t, "set CONFIG_CMA_AREAS to %u or more", areas + 1));
	if (dynamic && t->reserved.nr)
		found(t, NOTE, "memreserve-dynamic", t->frame,
		      text(t, "the kernel places %u of the regions, and may read the reservation block (%s+%s) after that: a region over it gets no heap",
			   dynamic, hex(t, t->reserved.at[0].base),
			   hex(t, t->reserved.at[0].size)),
		      "make the entry a region with reg and no-map");
	if (dynamic > MAX_DYNAMIC)
		found(t, WARNING, "too-many-dynamic", t->frame,
		      text(t, "it has %u regions without reg: the kernel places %u", dynamic,
			   MAX_DYNAMIC), "give some of them a reg");
	if (heaps > MAX_HEAPS)
		found(t, WARNING, "too-many-heaps", t->frame,
		      text(t, "%u regions ask for a heap: there can be %u", heaps, MAX_HEAPS),
		      "remove export from some of them");
	if (generic)
		found(t, NOTE, "generic-name", unnamed->node,
		      text(t, "%s%s is a name that does not say what a heap of it is for",
			   unnamed->name,
			   generic == 1 ? "" : text(t, " (and %u more)", generic - 1)),
		      "name the nodes after their use, such as video-frames");
	if (unowned)
		found(t, NOTE, "carveouts-without-owner", t->frame,
		      text(t, "%u carve-out%s, %s together, ha%s no owner in the tree: firmware may own %s",
			   unowned, unowned > 1 ? "s" : "", human(t, size),
			   unowned > 1 ? "ve" : "s", unowned > 1 ? "them" : "it"),
		      "nothing; export only memory that you know to be free");
	if (!t->work)
		found(t, WARNING, "too-large", 0,
		      "the tree has so many nodes that not all references were followed",
		      "check a smaller tree");
}

static void find_twins(struct tree *t)
{
	struct region **names = grab(t, t->nr_regions + 1, sizeof(*names));
	unsigned int i;

	for (i = 0; i < t->nr_regions; i++)
		names[i] = &t->regions[i];
	qsort(names, t->nr_regions, sizeof(*names), by_name_cmp);
	for (i = 1; i < t->nr_regions; i++)
		if (!strcmp(names[i - 1]->name, names[i]->name))
			found(t, WARNING, "two-of-one-name", names[i]->node,
			      "two nodes have this name: the kernel cannot tell them apart, and neither gets a heap",
			      "rename one of the two");
}

static void find_findings(struct tree *t)
{
	unsigned int i;

	find_frames(t);
	for (i = 0; i < t->nr_regions; i++) {
		struct region *r = &t->regions[i];

		find_names(t, r);
		if (r->status == DISABLED)
			continue;
		if (!t->frame_fault)
			find_cells(t, r);
		find_contradictions(t, r);
		find_unknown(t, r);
		find_users(t, r);
		find_geometry(t, r);
	}
	find_overlaps(t);
	find_twins(t);
	if (t->frame >= 0)
		find_limits(t);
}

/* JSON */

static void json_string(const char *value)
{
	if (!value) {
		printf("null");
		return;
	}
	putchar('"');
	for (; *value; value++) {
		unsigned char c = *value;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void json_key(const char *key, const char *value)
{
	printf("\"%s\": ", key);
	json_string(value);
}

static void json_number(const char *key, bool known, uint64_t value)
{
	if (known)
		printf("\"%s\": %llu", key, (unsigned long long)value);
	else
		printf("\"%s\": null", key);
}

static const char *yes(bool value)
{
	return value ? "true" : "false";
}

static void json_owner(struct tree *t, const struct region *r)
{
	const struct owner *o = &r->owner;

	printf("\"owner\": ");
	if (!o->by) {
		printf("null");
		return;
	}
	putchar('{');
	json_key("by", o->by);
	printf(", ");
	json_key("node", o->node < 0 ? NULL : path(t, o->node));
	printf(", ");
	json_key("property", o->prop);
	printf(", \"index\": %u, \"disabled\": %s, ", o->index, yes(o->disabled));
	json_key("text", o->text);
	putchar('}');
}

static void json_region(struct tree *t, const struct region *r)
{
	uint64_t most;
	bool known = largest(r, &most);

	printf("  {");
	json_key("node", path(t, r->node));
	printf(", ");
	json_key("name", r->name);
	printf(",\n   ");
	json_key("mode", mode_names[r->mode]);
	printf(", ");
	json_key("status", status_names[r->status]);
	printf(", \"depends\": %s, ", yes(r->depends));
	json_key("reason", r->reason);
	printf(",\n   ");
	json_number("base", r->fixed, r->base);
	printf(", ");
	json_number("size", r->fixed || r->dynamic, r->size);
	printf(", ");
	json_key("allocator", allocators[r->mode]);
	printf(", ");
	json_number("largest", known, most);
	printf(",\n   ");
	json_owner(t, r);
	printf(",\n   \"heap\": {\"default\": %s, \"all\": %s, \"name\": %s, \"export\": %s",
	       yes(r->heap_default), yes(r->heap_all), yes(r->heap_name), yes(r->heap_export));
	if (t->cmdline)
		printf(", \"cmdline\": %s", yes(r->heap_cmdline));
	printf("}}");
}

static void print_json(struct tree *t)
{
	const struct finding *f;
	unsigned int i;

	printf("{");
	json_key("file", t->file);
	printf(", \"regions\": [");
	for (i = 0; i < t->nr_regions; i++) {
		printf("%s\n", i ? "," : "");
		json_region(t, &t->regions[i]);
	}
	printf("],\n \"findings\": [");
	for (f = t->findings; f; f = f->next) {
		printf("%s\n  {", f == t->findings ? "" : ",");
		json_key("rule", f->rule);
		printf(", ");
		json_key("level", level_names[f->level]);
		printf(", ");
		json_key("node", f->node);
		printf(",\n   ");
		json_key("text", f->text);
		printf(",\n   ");
		json_key("change", f->change);
		printf("}");
	}
	printf("]}");
}

/* Text */

/* Prints words from column @at on, in lines that begin at column @indent. */
static void wrap(const char *words, int at, int indent)
{
	while (*words) {
		int len = strcspn(words, " ");

		if (at + len > WIDTH && at > indent) {
			printf("\n%*s", indent, "");
			at = indent;
		}
		at += len;
		for (; len; len--, words++)
			putchar(*words > ' ' && *words <= '~' ? *words : '?');
		if (*words == ' ') {
			words++;
			if (*words && at + 1 + (int)strcspn(words, " ") <= WIDTH) {
				putchar(' ');
				at++;
			} else if (*words) {
				printf("\n%*s", indent, "");
				at = indent;
			}
		}
	}
	putchar('\n');
}

static void line(const char *label, const char *words)
{
	int at = printf("    %-10s ", label);

	wrap(words, at, 15);
}

static void print_region(struct tree *t, const struct region *r)
{
	static const char * const kinds[] = { "CMA area", "coherent pool", "restricted pool",
					      "carve-out" };
	const struct ref *ref;
	unsigned int nr = 0;
	uint64_t most;

	wrap(text(t, "%s: %s%s%s", r->name, kinds[r->mode],
		  r->fixed || r->dynamic ? text(t, ", %s", human(t, r->size)) : "",
		  r->fixed ? text(t, " at %s", hex(t, r->base)) :
		  r->dynamic ? ", placed at boot" : ""), 0, 4);
	line("verdict", text(t, "%s%s%s%s", status_names[r->status], r->reason ? ": " : "",
			     r->reason ? r->reason : "",
			     r->depends ? " (depends on the rest of the boot)" : ""));
	if (largest(r, &most))
		line("buffers", text(t, "from %s, %s at most", allocators[r->mode],
				     human(t, most)));
	if (r->owner.by && r->status != OWNED)
		line("owner", r->owner.text);
	for (ref = r->refs.first; ref; ref = ref->next) {
		if (!ref->exact || (r->owner.node == ref->node && r->owner.index == ref->index))
			continue;
		if (nr++ < 8)
			line("used by", text(t, "%s (%s, index %u)%s", path(t, ref->node),
					     ref->prop, ref->index,
					     t->nodes[ref->node].disabled ? ", disabled" : ""));
	}
	if (nr > 8)
		line("", text(t, "and %u more", nr - 8));
	if (r->status == REFUSED || r->status == DISABLED)
		return;
	line("heap", r->heap_default ? "by default" :
	     r->heap_export ? "yes: its node has export" :
	     r->heap_all ? "with rmem_heap.export=*, or its name there" :
	     r->heap_name ? text(t, "only with rmem_heap.export=%s", r->name) : "none");
	if (r->sign && !r->heap_export)
		line("", text(t, "* leaves it out: %s", r->sign));
	if (t->cmdline)
		line("", text(t, "with this command line: %s",
			      r->heap_cmdline ? "a heap" : "no heap"));
}

static void print_text(struct tree *t)
{
	const struct finding *f;
	unsigned int i;
	int level;

	wrap(text(t, "%s: %u region%s, %u error%s, %u warning%s, %u note%s", t->file,
		  t->nr_regions, t->nr_regions == 1 ? "" : "s",
		  t->nr_findings[ERROR], t->nr_findings[ERROR] == 1 ? "" : "s",
		  t->nr_findings[WARNING], t->nr_findings[WARNING] == 1 ? "" : "s",
		  t->nr_findings[NOTE], t->nr_findings[NOTE] == 1 ? "" : "s"), 0, 4);
	for (i = 0; i < t->nr_regions; i++) {
		putchar('\n');
		print_region(t, &t->regions[i]);
	}
	for (level = ERROR; level <= NOTE; level++)
		for (f = t->findings; f; f = f->next) {
			if ((int)f->level != level)
				continue;
			putchar('\n');
			wrap(text(t, "%s: %s [%s]", level_names[level], f->node, f->rule), 0, 4);
			printf("    ");
			wrap(f->text, 4, 4);
			line("change:", f->change);
		}
}

/* Files */

static void *read_file(const char *file, size_t *size)
{
	FILE *in = strcmp(file, "-") ? fopen(file, "rb") : stdin;
	size_t room = 64 * K, used = 0;
	unsigned char *buf = NULL;

	if (!in) {
		fprintf(stderr, "rmem-heap: %s: %s\n", file, strerror(errno));
		return NULL;
	}
	do {
		room *= 2;
		buf = realloc(buf, room);
		if (!buf)
			out_of_memory();
		used += fread(buf + used, 1, room - used, in);
	} while (used == room && used <= MAX_BLOB);
	if (ferror(in)) {
		fprintf(stderr, "rmem-heap: %s: %s\n", file, strerror(errno));
		free(buf);
		buf = NULL;
	}
	if (in != stdin)
		fclose(in);
	*size = used;
	return buf;
}

static const char *check_tree(const void *blob, size_t size)
{
	int ret;

	if (size > MAX_BLOB)
		return "it is larger than 16 MiB";
	if (size < sizeof(struct fdt_header))
		return "it is shorter than the header of a device tree";
	if (fdt_magic(blob) != FDT_MAGIC)
		return "it does not begin with 0xd00dfeed";
	/* fdt_check_full() crashes on some. No compiler has written them since 2005. */
	if (fdt_version(blob) < 16)
		return "its format is older than version 16";
	ret = fdt_check_full(blob, size);
	return ret ? fdt_strerror(ret) : NULL;
}

static int not_a_tree(const char *file, const char *why, bool json)
{
	if (json) {
		printf("{");
		json_key("file", file);
		printf(", ");
		json_key("error", why);
		printf(", \"regions\": [], \"findings\": []}");
	}
	fflush(stdout);
	fprintf(stderr, "rmem-heap: %s: this is no device tree: %s\n", file, why);
	return 2;
}

static void forget(struct tree *t)
{
	struct block *block;

	while (t->blocks) {
		block = t->blocks;
		t->blocks = block->next;
		free(block);
	}
}

/* The child that fdt_subnode_offset() finds */
static int find_subnode(struct tree *t, int parent, const char *name)
{
	int i;

	for (i = t->nodes[parent].child; i >= 0 && spend(t, 1); i = t->nodes[i].next)
		if (!strcmp(t->nodes[i].name, name) ||
		    (!strchr(name, '@') && name_is(t->nodes[i].name, name)))
			return i;
	return -1;
}

/* fdt_overlay_apply() writes wherever the lists of fixups say. */
static bool fixups_are_inside(struct tree *t)
{
	int i, list = find_subnode(t, 0, "__fixups__"), top = find_subnode(t, 0, "__local_fixups__");
	int *real = grab(t, t->nr_nodes, sizeof(*real));
	const struct node *n;
	unsigned int k, at;

	for (i = top; i >= 0 && i < (int)t->nr_nodes && (i == top || t->nodes[i].parent >= top);
	     i++) {
		n = &t->nodes[i];
		real[i] = i == top ? 0 : real[n->parent] < 0 ? -1 :
			  find_subnode(t, real[n->parent], n->name);
		for (k = n->prop; real[i] >= 0 && k < n->prop + n->nr_props; k++) {
			const struct prop *prop = find_prop(t, real[i], t->props[k].name);

			for (at = 0; prop && at + 4 <= t->props[k].len; at += 4)
				if ((uint64_t)cell(t->props[k].data + at) + 4 > prop->len)
					return false;
		}
	}
	n = list < 0 ? NULL : &t->nodes[list];
	for (k = n ? n->prop : 0; n && k < n->prop + n->nr_props; k++) {
		const char *pos = (const char *)t->props[k].data, *end = pos + t->props[k].len;

		for (; pos < end; pos++)
			if (*pos == ':' && end[-1] == '\0' && strtoul(pos + 1, NULL, 10) > MAX_BLOB)
				return false;
	}
	return t->work;
}

static const char *check_overlay(const void *blob, size_t size)
{
	struct tree t = { .blob = blob, .work = MAX_WORK };
	const char *problem = check_tree(blob, size);

	if (!problem)
		problem = load_nodes(&t);
	if (!problem && !fixups_are_inside(&t))
		problem = "its lists of fixups are wrong";
	forget(&t);
	return problem;
}

/* Why an overlay cannot be applied, or NULL; @blob grows for it, and is freed at the end. */
static const char *apply_overlay(void **blob, const char *file)
{
	const char *problem;
	size_t size, room;
	void *overlay, *merged;
	int ret;

	overlay = read_file(file, &size);
	if (!overlay)
		return "it cannot be read";
	problem = check_overlay(overlay, size);
	if (!problem) {
		room = fdt_totalsize(*blob) + 2 * (size_t)fdt_totalsize(overlay) + 4 * K;
		merged = malloc(room);
		if (!merged)
			out_of_memory();
		ret = fdt_open_into(*blob, merged, room);
		if (!ret)
			ret = fdt_overlay_apply(merged, overlay);
		problem = ret ? fdt_strerror(ret) : NULL;
		free(*blob);
		*blob = merged;
	}
	free(overlay);
	return problem;
}

static int check_copy(const char *file, void **blob, size_t size, bool json)
{
	struct tree t = { .file = file };
	const char *problem;
	unsigned int i;
	int ret = 0;

	problem = check_tree(*blob, size);
	if (problem)
		return not_a_tree(file, problem, json);
	for (i = 0; i < opt.nr_overlays; i++) {
		problem = apply_overlay(blob, opt.overlays[i]);
		if (!problem && fdt_check_full(*blob, fdt_totalsize(*blob)))
			problem = "what it makes of the tree is none";
		if (problem)
			return not_a_tree(opt.overlays[i], problem, json);
	}
	t.blob = *blob;
	problem = load(&t);
	if (problem) {
		ret = not_a_tree(file, problem, json);
	} else {
		predict(&t);
		find_findings(&t);
		if (json)
			print_json(&t);
		else
			print_text(&t);
		ret = t.nr_findings[ERROR] > 0;
	}
	forget(&t);
	return ret;
}

int check_blob(const char *file, const void *blob, size_t size, bool json)
{
	void *copy = malloc(size ? size : 1);
	int ret;

	if (!copy)
		out_of_memory();
	memcpy(copy, blob, size);
	ret = check_copy(file, &copy, size, json);
	free(copy);
	return ret;
}

static int wrong_usage(const char *fmt, const char *arg)
{
	if (fmt) {
		fprintf(stderr, "rmem-heap: ");
		fprintf(stderr, fmt, arg);
		fputc('\n', stderr);
	}
	fprintf(stderr, "%s\n", CHECK_USAGE);
	return 2;
}

static bool parse_power(const char *arg, uint64_t least, uint64_t *val)
{
	return parse_size(&arg, val) && !*arg && *val >= least && *val <= 1ULL << 40 &&
	       !(*val & (*val - 1));
}

int check_options(int argc, char **argv, bool *json)
{
	static const struct option options[] = {
		{ "cmdline", required_argument, NULL, 'c' },
		{ "page-size", required_argument, NULL, 'p' },
		{ "pageblock", required_argument, NULL, 'b' },
		{ "cma-areas", required_argument, NULL, 'a' },
		{ "mem", required_argument, NULL, 'm' },
		{ "overlay", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ }
	};
	const char *arg;
	uint64_t val;
	int c;

	opt.page_size = 4 * K;
	opt.overlays = calloc(argc, sizeof(*opt.overlays));
	if (!opt.overlays)
		out_of_memory();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		arg = optarg;
		switch (c) {
		case 'c':
			opt.cmdline = optarg;
			break;
		case 'p':
			if (!parse_power(arg, 4 * K, &opt.page_size))
				return wrong_usage("--page-size %s: it is a power of two from 4K on",
						   arg);
			break;
		case 'b':
			if (!parse_power(arg, 4 * K, &opt.pageblock))
				return wrong_usage("--pageblock %s: it is a power of two from 4K on",
						   arg);
			break;
		case 'a':
			if (!parse_size(&arg, &val) || *arg || !val || val > 1024)
				return wrong_usage("--cma-areas %s: it is a number from 1 to 1024",
						   optarg);
			opt.cma_areas = val;
			break;
		case 'm':
			if (!parse_ranges(arg, &opt.mem))
				return wrong_usage("--mem %s: it is a size, or BASE+SIZE[,BASE+SIZE]",
						   arg);
			break;
		case 'o':
			opt.overlays[opt.nr_overlays++] = optarg;
			break;
		case 'j':
			*json = true;
			break;
		default:
			return wrong_usage(NULL, NULL);
		}
	}
	return 0;
}

int check_main(int argc, char **argv, bool json)
{
	int i, one, ret = check_options(argc, argv, &json);

	if (ret)
		return ret;
	if (optind == argc)
		return wrong_usage(NULL, NULL);
	if (json)
		printf("[");
	for (i = optind; i < argc; i++) {
		size_t size;
		void *blob = read_file(argv[i], &size);

		if (i > optind)
			printf(json ? ",\n" : "\n");
		if (blob)
			one = check_copy(argv[i], &blob, size, json);
		else
			one = not_a_tree(argv[i], "it cannot be read", json);
		free(blob);
		if (one > ret)
			ret = one;
	}
	if (json)
		printf("]\n");
	free(opt.overlays);
	free(opt.mem.at);
	return ret;
}
