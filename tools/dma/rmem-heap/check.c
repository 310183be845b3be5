// SPDX-License-Identifier: GPL-2.0
/*
 * rmem-heap check: the command, its options, files and output.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "check-tree.h"

static const char * const mode_names[] = { "cma", "coherent", "restricted", "carveout" };
static const char * const status_names[] = { "available", "owned", "disabled", "refused" };
static const char * const allocators[] = {
	"cma_alloc()", "dma_alloc_coherent()", "dma_alloc_pages()", "rmem_heap_alloc()",
};

static const char * const level_names[] = { "error", "warning", "note" };

struct options opt;

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
			     !r->depends ? "" : t->ram_known ?
			     " (depends on what else boot puts in memory)" :
			     " (depends on where RAM is, see --mem)"));
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
	int i, list = find_subnode(t, 0, "__fixups__");
	int top = find_subnode(t, 0, "__local_fixups__");
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

static int wrong_usage(const char *option, const char *arg, const char *words)
{
	if (option)
		fprintf(stderr, "rmem-heap: %s %s: it is %s\n", option, arg, words);
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
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *arg;
	uint64_t val;
	int c;

	opt.page_size = 4 * K;
	opt.overlays = calloc(argc, sizeof(*opt.overlays));
	if (!opt.overlays)
		out_of_memory();
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		arg = optarg;
		switch (c) {
		case 'c':
			opt.cmdline = optarg;
			break;
		case 'p':
			if (!parse_power(arg, 4 * K, &opt.page_size))
				return wrong_usage("--page-size", arg,
						   "a power of two from 4K on");
			break;
		case 'b':
			if (!parse_power(arg, 4 * K, &opt.pageblock))
				return wrong_usage("--pageblock", arg,
						   "a power of two from 4K on");
			break;
		case 'a':
			if (!parse_size(&arg, &val) || *arg || !val || val > 1024)
				return wrong_usage("--cma-areas", optarg,
						   "a number from 1 to 1024");
			opt.cma_areas = val;
			break;
		case 'm':
			if (!parse_ranges(arg, &opt.mem))
				return wrong_usage("--mem", arg,
						   "a size, or BASE+SIZE[,BASE+SIZE]");
			break;
		case 'o':
			opt.overlays[opt.nr_overlays++] = optarg;
			break;
		case 'j':
			*json = true;
			break;
		case 'h':
			printf("%s\n", CHECK_USAGE);
			exit(0);
		default:
			return wrong_usage(NULL, NULL, NULL);
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
		return wrong_usage(NULL, NULL, NULL);
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
