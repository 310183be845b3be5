// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap check: a blob in arrays, the command line, RAM.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check-tree.h"

/* Memory that lives as long as a tree */

void out_of_memory(void)
{
	fflush(stdout);
	fprintf(stderr, "rmem-heap: out of memory\n");
	exit(2);
}

void *grab(struct tree *t, size_t nr, size_t size)
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

uint32_t cell(const unsigned char *data)
{
	return (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
}

/* As the kernel reads numbers of more than two cells: the last two count. */
uint64_t number(const unsigned char *data, unsigned int cells)
{
	uint64_t val = 0;

	while (cells--) {
		val = val << 32 | cell(data);
		data += 4;
	}
	return val;
}

const char *human(struct tree *t, uint64_t size)
{
	if (size % G == 0 && size)
		return text(t, "%llu GiB", (unsigned long long)(size / G));
	if (size % M == 0 && size)
		return text(t, "%llu MiB", (unsigned long long)(size / M));
	if (size % K == 0 && size)
		return text(t, "%llu KiB", (unsigned long long)(size / K));
	return text(t, "%llu bytes", (unsigned long long)size);
}

const char *hex(struct tree *t, uint64_t value)
{
	return text(t, "0x%llx", (unsigned long long)value);
}

/* The part that two ranges share; a range may end at 2^64, or wrap */
uint64_t common(uint64_t base, uint64_t size, const struct range *r)
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

uint64_t covered(const struct ranges *ranges, uint64_t base, uint64_t size)
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
void normalize(struct ranges *r)
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

const struct prop *find_prop(const struct tree *t, int node, const char *name)
{
	const struct node *n = &t->nodes[node];
	unsigned int i;

	for (i = n->prop; i < n->prop + n->nr_props; i++)
		if (!strcmp(t->props[i].name, name))
			return &t->props[i];
	return NULL;
}

bool has(const struct tree *t, int node, const char *name)
{
	return find_prop(t, node, name);
}

bool prop_is(const struct prop *prop, const char *value)
{
	size_t len = strlen(value) + 1;

	return prop && prop->len >= len && !memcmp(prop->data, value, len);
}

bool read_u32(const struct tree *t, int node, const char *name, uint32_t *val)
{
	const struct prop *prop = find_prop(t, node, name);

	if (!prop || prop->len < 4)
		return false;
	*val = cell(prop->data);
	return true;
}

bool name_is(const char *name, const char *base)
{
	size_t len = strlen(base);

	return !strncmp(name, base, len) && (!name[len] || name[len] == '@');
}

/* The first child of that name, with or without a unit address, as libfdt finds it */
int find_child(const struct tree *t, int parent, const char *name)
{
	int i;

	for (i = t->nodes[parent].child; i >= 0; i = t->nodes[i].next)
		if (name_is(t->nodes[i].name, name))
			return i;
	return -1;
}

const char *path(struct tree *t, int node)
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
	buf = grab(t, len, 1);
	pos = buf;
	while (depth--) {
		*pos++ = '/';
		pos = stpcpy(pos, t->nodes[stack[depth]].name);
	}
	return buf;
}

const char *load_nodes(struct tree *t)
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
			node->next = -1;
			node->child = -1;
			node->prop = t->nr_props;
			if (parent >= 0 && last[depth] < 0)
				t->nodes[parent].child = t->nr_nodes;
			else if (parent >= 0)
				t->nodes[last[depth]].next = t->nr_nodes;
			parent = t->nr_nodes++;
			last[depth++] = parent;
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
bool spend(struct tree *t, unsigned int steps)
{
	t->work = t->work > steps ? t->work - steps : 0;
	return t->work;
}

bool is_disabled(const struct tree *t, int node)
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

		node->na = up ? up->na : 1;
		node->ns = up ? up->ns : 1;
		node->cells = read_u32(t, i, "#address-cells", &node->na);
		node->cells &= read_u32(t, i, "#size-cells", &node->ns);
		node->cells &= !up || up->cells;
		if (!read_u32(t, i, "phandle", &node->phandle))
			read_u32(t, i, "linux,phandle", &node->phandle);
		node->disabled = (up && up->disabled) || is_disabled(t, i);
		node->meta = up && (up->meta ||
				    (!node->parent && !strncmp(node->name, "__", 2)));
		node->inside = up && (up->inside ||
				      (!node->parent && name_is(node->name, "reserved-memory")));
	}
}

const char *load(struct tree *t)
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
bool parse_size(const char **pos, uint64_t *size)
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

bool parse_ranges(const char *arg, struct ranges *ranges)
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
char match_export(const struct tree *t, const char *region)
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

bool valid_reg(const struct tree *t, const struct prop *reg)
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

/* linux,usable-memory-range: RAM is cut to the first range, the others are added. */
static void cap_ram(struct tree *t)
{
	const struct range *cap = &t->usable.at[0];
	unsigned int i;

	if (t->ram_known) {
		/* The kernel does not cut RAM to nothing. */
		for (i = 0; i < t->ram.nr && cap->size; i++) {
			struct range *r = &t->ram.at[i];
			uint64_t size = common(cap->base, cap->size, r);

			if (r->base < cap->base)
				r->base = cap->base;
			r->size = size;
		}
		for (i = 1; i < t->usable.nr && i < MAX_USABLE; i++)
			t->ram.at[t->ram.nr++] = t->usable.at[i];
		normalize(&t->ram);
		t->ram_known = t->ram.nr;
	}
	normalize(&t->usable);
}

void find_ram(struct tree *t)
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
		}
	}
	/* The kernel ignores ranges that have no size. */
	for (i = 0; i < t->usable.nr; i++)
		t->capped |= t->usable.at[i].size;
	read_cmdline(t);
	if (t->capped)
		cap_ram(t);
}

void find_reserved(struct tree *t)
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
