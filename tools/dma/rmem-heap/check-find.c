// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap check: what to change in a device tree.
 *
 * The rules are those that fire on boards of the kernel source.
 */
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check-tree.h"

/* Findings */

static void found(struct tree *t, enum level how, const char *rule, int node,
		  const char *words, const char *change)
{
	struct finding *f = grab(t, 1, sizeof(*f));

	*f = (struct finding){ NULL, how, rule, path(t, node), words, change };
	*t->last_finding = f;
	t->last_finding = &f->next;
	t->nr_findings[how]++;
}

/*
 * How drivers use the regions that their nodes refer to, as read in the drivers: through the
 * DMA API, or by address, where buffers of an allocator would overwrite the driver's data.
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

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static void find_frames(struct tree *t)
{
	unsigned int i;

	for (i = 1; i < t->nr_nodes; i++) {
		const struct node *n = &t->nodes[i];

		if (n->meta || (n->inside && n->parent) || (int)i == t->frame ||
		    !name_is(n->name, "reserved-memory"))
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
		      text(t,
			   "write #address-cells = <%u>; #size-cells = <%u>; ranges; as the root has it",
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
		      text(t,
			   "its reg must be %u cells (%u for the address, %u for the size), it has %u%s; %s",
			   t->na + t->ns, t->na, t->ns, reg->len / 4,
			   reg->len % 4 ? " and a part" : "",
			   r->dynamic ? "the kernel goes by its size" :
			   "the kernel ignores the node"),
		      "write base and size with the cells of the root");
	if (r->dynamic && size->len != 4 * t->ns)
		found(t, ERROR, "size-cells", r->node,
		      text(t, "its size must be %u cells, it has %u%s: the kernel ignores the node",
			   t->ns, size->len / 4, size->len % 4 ? " and a part" : ""),
		      "write the size with the #size-cells of the root");
	if (r->dynamic && align && align->len != 4 * t->na)
		found(t, ERROR, "alignment-cells", r->node,
		      text(t,
			   "its alignment must be %u cells, it has %u%s: the kernel ignores the node",
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
		      "reusable is for CMA areas: without compatible = \"shared-dma-pool\" no allocator lends the memory to the system",
		      "add compatible = \"shared-dma-pool\", or remove reusable");
	else if (r->reusable && r->no_map)
		found(t, ERROR, "reusable-without-pool", r->node,
		      "memory cannot be both reusable and no-map: no allocator takes the node",
		      "remove one of the two");
	if (takes_cma(r)) {
		bad = (r->fixed ? r->base | r->size : r->size) & (block - 1);
		if (bad)
			found(t, ERROR, "cma-misaligned", r->node,
			      text(t,
				   "%s of a CMA area must be %s of %s; %s%s%s: the kernel refuses it",
				   r->fixed ? "base and size" : "the size",
				   r->fixed ? "multiples" : "a multiple", human(t, block),
				   r->fixed ? hex(t, r->base) : "", r->fixed ? ", " : "",
				   human(t, r->size)),
			      text(t, "%smake its size %s",
				   r->fixed && r->base & (block - 1) ?
				   text(t, "move it to a multiple of %s, and ", human(t, block)) :
				   "", human(t, round_up(r->size, block))));
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
		      "nothing, if the board needs a global pool");
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
	return vmids && vmids->len >= 4;
}

static bool refers(const struct region *r, int node)
{
	const struct ref *ref;

	for (ref = r->refs.first; ref; ref = ref->next)
		if (ref->node == node && ref->exact)
			return true;
	return false;
}

/* The nodes that refer to a region */
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
			      text(t,
				   "%s does not reach it: it is at %s, outside the dma-ranges above the device",
				   path(t, ref->node), hex(t, r->base)),
			      "move the region into the dma-ranges of the device's bus");
		}
	}
	if (pool && raw && r->status != OWNED)
		found(t, r->heap_all ? WARNING : NOTE, "pool-by-address", r->node,
		      text(t,
			   "%s %s it by address (%s, index %u): a heap's buffers would overwrite its data%s",
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
	if (is_pool(r) && devices > 1)
		found(t, NOTE, "shared-pool", r->node,
		      text(t, "%u devices allocate from this pool, %s first", devices,
			   path(t, first->node)),
		      "give each a pool of its own if they must not starve each other");
	if (nr && !enabled)
		found(t, NOTE, "consumers-disabled", r->node,
		      text(t,
			   "all nodes that refer to it are disabled, %s first: %s%s kept for nothing",
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
		      text(t,
			   "its largest buffer is %s of %s: the pool gives powers of two of pages",
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
	if (r->twin)
		found(t, WARNING, "two-of-one-name", r->node,
		      "two nodes have this name: the kernel cannot tell them apart, and neither gets a heap",
		      "rename one of the two");
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
		      text(t,
			   "the kernel places %u of the regions, and may read the reservation block (%s+%s) after that: a region over it gets no heap",
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
		      text(t,
			   "%u carve-out%s, %s together, ha%s no owner in the tree: firmware may own %s",
			   unowned, unowned > 1 ? "s" : "", human(t, size),
			   unowned > 1 ? "ve" : "s", unowned > 1 ? "them" : "it"),
		      "nothing; export only memory that you know to be free");
	if (!t->work)
		found(t, WARNING, "too-large", 0,
		      "the tree has so many nodes that not all references were followed",
		      "check a smaller tree");
}

void find_findings(struct tree *t)
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
	if (t->frame >= 0)
		find_limits(t);
}
