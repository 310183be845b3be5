// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap check: what the kernel will make of each region.
 *
 * The verdicts follow from the devicetree specification, from what of_reserved_mem and its
 * allocators accept, and from Documentation/driver-api/rmem-heap.rst. No code is shared with
 * the kernel, so that the two can be compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check-tree.h"

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

bool is_pool(const struct region *r)
{
	return r->mode != CARVEOUT;
}

/* The core sets a CMA area up. */
bool takes_cma(const struct region *r)
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

/* Is a word of a name, without the digits at its end, in a list that a NULL ends? */
static bool has_word(const char *name, const char * const *list)
{
	while (true) {
		size_t len = strcspn(name, "-,_"), letters = len, i;

		while (letters && name[letters - 1] >= '0' && name[letters - 1] <= '9')
			letters--;
		for (i = 0; list[i]; i++)
			if (strlen(list[i]) == letters && !strncmp(name, list[i], letters))
				return true;
		if (!name[len])
			return false;
		name += len + 1;
	}
}

/* Names of properties that the kernel takes for references to regions, by their words */
static bool names_regions(const char *name)
{
	static const char * const words[] = {
		"region", "regions", "memory", "mem", "shmem", "shm", "ram", "sram", "vram",
		"carveout", "buffer", "buffers", "buf", "heap", "area", "firmware", "fw", NULL
	};
	static const char * const numbers[] = {
		"num", "size", "sizes", "count", "width", "names", "cells", "offset", "offsets",
		"len", "length", "max", "min", "type", NULL
	};

	return has_word(name, words) && !has_word(name, numbers);
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

	for (i = 0; i < (int)t->nr_nodes; i++) {
		mirror[i] = -1;
		last[i] = -1;
		real[i] = -1;
	}
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
			real[i] = node;
			last[parent] = node;
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
	/* No compiler gives one phandle to two nodes. */
	for (i = 1; i < t->nr_by_phandle; i++)
		if (t->nodes[t->by_phandle[i - 1]->node].phandle ==
		    t->nodes[t->by_phandle[i]->node].phandle) {
			t->by_phandle[i - 1]->doubt = true;
			t->by_phandle[i]->doubt = true;
		}

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
		/* The kernel looks at devices whose buses all say their cells. */
		if (!reg || !up->cells || !has(t, i, "compatible") ||
		    prop_is(find_prop(t, i, "device_type"), "memory"))
			continue;
		step = 4 * (up->na + up->ns);
		for (at = 0, k = 0; at + step <= reg->len && spend(t, 1); at += step, k++) {
			uint64_t base = number(reg->data + at, up->na);
			uint64_t size = number(reg->data + at + 4 * up->na, up->ns);
			unsigned int j;

			/* Ports of an ISA bus are no memory. */
			if (name_is(up->name, "isa") && cell(reg->data + at) & 1)
				continue;
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

	if (!t->na || t->na > MAX_CELLS || !t->ns || t->ns > MAX_CELLS)
		t->frame_fault = text(t,
				      "#address-cells and #size-cells of the root must be 1 to %u",
				      MAX_CELLS);
	else if (!read_u32(t, t->frame, "#address-cells", &na) || na != t->na ||
		 !read_u32(t, t->frame, "#size-cells", &ns) || ns != t->ns)
		t->frame_fault = text(t,
				      "%s needs the root's #address-cells and #size-cells, %u and %u",
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
	/* The base is not known for an alignment that is no power of two. */
	if (align & (align - 1))
		r->depends = true;
}

static void check_dynamic(struct tree *t, struct region *r, unsigned int index)
{
	const struct prop *size = find_prop(t, r->node, "size");
	const struct prop *align = find_prop(t, r->node, "alignment");
	const struct prop *ranges = find_prop(t, r->node, "alloc-ranges");

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
	else if (ranges && !ranges->len)
		refuse(r, "its alloc-ranges is empty");
}

static const char *part_in_ram(struct tree *t, const struct region *r)
{
	uint64_t inside = covered(&t->ram, r->base, r->size);

	return inside ? text(t, "only %s of %s are RAM", human(t, inside), human(t, r->size)) :
			"it lies outside RAM";
}

/* Is a part of a region not mapped, for one that came before it? Memory ends there. */
static bool is_split(struct tree *t, const struct region *r)
{
	struct range range = { r->base, r->size };
	const struct region *before;

	for (before = t->regions; before < r && spend(t, 1); before++) {
		uint64_t part = !before->fixed || !before->no_map || before->status != AVAILABLE ?
				0 : common(before->base, before->size, &range);

		if (part && part != r->size)
			return true;
	}
	return false;
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
	/* memblock finds a place for a size of 0 in any range. */
	else if (!r->size && (r->fixed || takes_cma(r)))
		refuse(r, "its size is 0");
	else if (takes_cma(r) && (r->base | r->size) & (t->pageblock - 1))
		refuse(r, text(t, "base and size of a CMA area must be multiples of %s",
			       human(t, t->pageblock)));
	else if (takes_cma(r) && r->fixed && t->ram_known && !t->ram_partial &&
		 covered(&t->ram, r->base, r->size) != r->size)
		refuse(r, part_in_ram(t, r));
	else if (takes_cma(r) && r->fixed && is_split(t, r))
		refuse(r, "a no-map region lies in it");
	/* The allocators of shared pools are asked first. */
	else if (r->restricted && !(r->shared && (takes_cma(r) || !r->reusable)) &&
		 (r->reusable || r->no_map || has(t, r->node, "linux,cma-default") ||
		  has(t, r->node, "linux,dma-default")))
		refuse(r, text(t, "a restricted pool cannot have %s",
			       r->reusable ? "reusable" : r->no_map ? "no-map" :
			       has(t, r->node, "linux,cma-default") ? "linux,cma-default" :
			       "linux,dma-default"));
}

/* What a dynamic region may take from the others */
static uint64_t most_taken(const struct tree *t, const struct region *r)
{
	return r->size + r->align + (takes_cma(r) ? t->pageblock : 0);
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
			wanted += most_taken(t, r);
	}
	find_taken(t);
	for (i = 0; i < t->nr_regions; i++)
		if (t->regions[i].dynamic && t->regions[i].status == AVAILABLE)
			check_room(t, &t->regions[i],
				   wanted - most_taken(t, &t->regions[i]));

	/* Dynamic regions are initialized first. The default area may be one of the areas. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < t->nr_regions; i++) {
			struct region *r = &t->regions[i];

			if (!takes_cma(r) || r->status != AVAILABLE || r->dynamic == pass)
				continue;
			areas++;
			if (opt.cma_areas && areas > opt.cma_areas)
				refuse(r, text(t,
					       "the kernel has room for %lu CMA areas (CONFIG_CMA_AREAS)",
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
		/* The kernel does not read names: this owner is a guess. */
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

bool bad_name(const char *name)
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

bool in_ram(const struct tree *t, const struct region *r)
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

	if (t->capped && !covered(&t->usable, r->base, r->size))
		problem(r, "it lies outside linux,usable-memory-range");
	else if (!t->ram_known || (t->ram_partial && inside != r->size))
		r->doubt = true;
	else if (inside && inside != r->size)
		problem(r, part_in_ram(t, r));
	else if (!inside && (r->mode == CMA || r->mode == RESTRICTED))
		problem(r, "it lies outside RAM");
	/* Not every machine maps what is no RAM; User-Mode Linux maps none of it. */
	else if (!inside && (r->mode == COHERENT ? t->um : !r->no_map))
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
	if (!r->size)
		problem(r, "its size is 0");
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
	/* The core aligns such a region to a cache line, so its base may be no page boundary. */
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

bool overlap(const struct region *a, const struct region *b)
{
	struct range r = { a->base, a->size };

	return common(b->base, b->size, &r);
}

/* The core takes a status that is no string for "okay" when it reserves memory. */
static bool is_reserved(const struct tree *t, const struct region *r)
{
	const struct prop *status = find_prop(t, r->node, "status");

	return r->status != DISABLED || (status && !memchr(status->data, 0, status->len));
}

static uint64_t last_byte(const struct region *r)
{
	uint64_t last = r->base + (r->size - 1);

	return last < r->base ? UINT64_MAX : last;
}

static void check_overlaps(struct tree *t)
{
	struct region *furthest = NULL, *gone = NULL, *other;
	bool astray = false;
	unsigned int i;

	for (i = 0; i < t->nr_by_base; i++) {
		struct region *r = t->by_base[i];
		uint64_t inside = covered(&t->ram, r->base, r->size);

		if (!is_reserved(t, r))
			continue;
		astray |= inside && inside != r->size;
		/* The memory of one that was refused has gone back. */
		other = r->entry ? gone : furthest;
		if (other && overlap(other, r)) {
			r->doubt = true;
			other->doubt = true;
		}
		if (r->entry && furthest && overlap(furthest, r)) {
			problem(r, text(t, "it overlaps %s", furthest->name));
			problem(furthest, text(t, "it overlaps %s", r->name));
		}
		if (r->entry && (!furthest || last_byte(r) > last_byte(furthest)))
			furthest = r;
		if (!r->entry && (!gone || last_byte(r) > last_byte(gone)))
			gone = r;
	}
	/* What is only partly RAM may not be reserved: the kernel places others in it. */
	for (i = 0; i < t->nr_regions && astray; i++)
		t->regions[i].doubt |= t->regions[i].dynamic;
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
			names[i - 1]->twin = true;
			names[i]->twin = true;
		}
}

/* Who gets a heap */

/* Why `*` leaves a pool out: drivers get the first region of memory-region from the core. */
static const char *find_sign(struct tree *t, const struct region *r)
{
	const struct ref *ref;
	int disabled;

	if (!r->nr_refs)
		return r->regs.first ? text(t, "the memory of %s lies in it",
					    path(t, r->regs.first->node)) :
		       "no node refers to it";
	for (disabled = 0; disabled < 2; disabled++) {
		for (ref = r->refs.first; ref; ref = ref->next) {
			if (!ref->known || t->nodes[ref->node].disabled != disabled)
				continue;
			if (ref->index || strcmp(ref->prop, "memory-region"))
				return text(t, "%s refers to it at index %u of %s",
					    path(t, ref->node), ref->index, ref->prop);
			if (!has(t, ref->node, "compatible"))
				return text(t, "%s refers to it and has no compatible",
					    path(t, ref->node));
		}
	}
	if (r->regs.first)
		return text(t, "the memory of %s lies in it", path(t, r->regs.first->node));
	return NULL;
}

static void find_heaps(struct tree *t)
{
	unsigned int i, pass, normal = 0, all = 0, cmdline = 0;

	/* CMA areas come first. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < t->nr_regions; i++) {
			struct region *r = &t->regions[i];
			bool available = r->status == AVAILABLE, cma = r->mode == CMA;
			char match = match_export(t, r->name);

			if (cma == pass || (!available && (r->status != OWNED || r->problem)))
				continue;
			if (available && (r->mode == COHERENT || r->mode == RESTRICTED))
				r->sign = find_sign(t, r);
			r->heap_name = normal < MAX_HEAPS;
			r->heap_default = available && cma && r->heap_name;
			r->heap_export = available && r->export && r->heap_name;
			r->heap_all = available && is_pool(r) && !r->sign && all < MAX_HEAPS;
			r->heap_cmdline = match != '!' && cmdline < MAX_HEAPS &&
					  (match == 'n' || (available && (r->export || cma)) ||
					   (match == '*' && available && is_pool(r) && !r->sign));
			normal += r->heap_default || r->heap_export;
			all += r->heap_all || (r->heap_export && all < MAX_HEAPS);
			cmdline += r->heap_cmdline;
		}
}

void predict(struct tree *t)
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
	if (t->frame_fault) {
		/* What has more cells is no number. */
		t->na = t->na > MAX_CELLS ? MAX_CELLS : t->na;
		t->ns = t->ns > MAX_CELLS ? MAX_CELLS : t->ns;
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

		/* Whose entry it is, and so who owns it, is not known. */
		if (r->twin && r->status == OWNED)
			r->status = AVAILABLE;
		if (r->twin)
			refuse(r, "two nodes have this name");
		if (r->problem)
			refuse(r, r->problem);
		r->depends |= r->doubt && (r->status == AVAILABLE ||
					   (r->status == OWNED && t->ram_known));
	}
	find_heaps(t);
}

bool largest(const struct region *r, uint64_t *size)
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
