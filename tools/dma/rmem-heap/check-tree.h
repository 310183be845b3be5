/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rmem-heap check: a device tree in arrays, its regions, and the findings.
 *
 * A blob is walked once into arrays of nodes and properties: finding a parent, a path or a
 * phandle in libfdt walks the whole blob each time.
 */
#ifndef RMEM_HEAP_CHECK_TREE_H
#define RMEM_HEAP_CHECK_TREE_H

#include <libfdt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define K		1024ULL
#define M		(K * K)
#define G		(K * M)

#define MAX_BLOB	(16 * M)	/* arm64 takes 2 MiB. */
#define MAX_DEPTH	64		/* FDT_MAX_DEPTH */
#define MAX_DYNAMIC	64		/* MAX_RESERVED_REGIONS */
#define MAX_HEAPS	112		/* dma-heap has minors for 128, the last 16 are others'. */
#define MAX_CELLS	4		/* OF_MAX_ADDR_CELLS */
#define MAX_USABLE	2		/* MAX_USABLE_RANGES */
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
	bool cells;			/* It, and all above it, say the cells of their children. */
	bool disabled;			/* The node, or one above it */
	bool meta;			/* Below __symbols__, __fixups__ or __local_fixups__ */
	bool inside;			/* Below a /reserved-memory, or the node itself */
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
	bool twin;			/* Another node has its name. */
	bool entry;			/* The core has an entry for it. */
	bool depends;			/* What else is in memory decides whether it has one. */
	bool doubt;			/* What else is in memory decides about its geometry. */
	bool heap_default, heap_all, heap_name, heap_export, heap_cmdline;
	uint64_t base, size, align;	/* The base is that of fixed regions. */
	enum mode mode;
	enum status status;
	const char *reason;
	const char *problem;		/* Geometry that forbids any heap */
	const char *sign;		/* Why `*` leaves a pool out */
	struct owner owner;
	struct refs refs, regs;
	unsigned int nr_refs, nr_enabled;
};

enum level { ERROR, WARNING, NOTE };

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

/* The options */
extern struct options {
	const char *cmdline;
	uint64_t page_size, pageblock;
	unsigned long cma_areas;
	struct ranges mem;
	const char **overlays;
	unsigned int nr_overlays;
} opt;

/* check-tree.c: the blob, its command line and its memory */
void out_of_memory(void);
void *grab(struct tree *t, size_t nr, size_t size);
char *text(struct tree *t, const char *fmt, ...);
uint32_t cell(const unsigned char *data);
uint64_t number(const unsigned char *data, unsigned int cells);
const char *human(struct tree *t, uint64_t size);
const char *hex(struct tree *t, uint64_t value);
uint64_t common(uint64_t base, uint64_t size, const struct range *r);
uint64_t covered(const struct ranges *ranges, uint64_t base, uint64_t size);
void normalize(struct ranges *r);
const struct prop *find_prop(const struct tree *t, int node, const char *name);
bool has(const struct tree *t, int node, const char *name);
bool prop_is(const struct prop *prop, const char *value);
bool read_u32(const struct tree *t, int node, const char *name, uint32_t *val);
bool name_is(const char *name, const char *base);
int find_child(const struct tree *t, int parent, const char *name);
const char *path(struct tree *t, int node);
const char *load_nodes(struct tree *t);
bool spend(struct tree *t, unsigned int steps);
bool is_disabled(const struct tree *t, int node);
const char *load(struct tree *t);
bool parse_size(const char **pos, uint64_t *size);
bool parse_ranges(const char *arg, struct ranges *ranges);
char match_export(const struct tree *t, const char *region);
bool valid_reg(const struct tree *t, const struct prop *reg);
void find_ram(struct tree *t);
void find_reserved(struct tree *t);

/* check-predict.c: the verdicts */
bool is_pool(const struct region *r);
bool takes_cma(const struct region *r);
bool bad_name(const char *name);
bool in_ram(const struct tree *t, const struct region *r);
bool overlap(const struct region *a, const struct region *b);
void predict(struct tree *t);
bool largest(const struct region *r, uint64_t *size);

/* check-find.c: the findings */
void find_findings(struct tree *t);

#endif
