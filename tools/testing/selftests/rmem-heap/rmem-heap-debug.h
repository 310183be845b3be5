/* SPDX-License-Identifier: GPL-2.0 */
/* Fault injection and kmemleak */
#ifndef _RMEM_HEAP_DEBUG_H
#define _RMEM_HEAP_DEBUG_H

#include "rmem-heap.h"

#define DEBUGFS		"/sys/kernel/debug"
#define KMEMLEAK	DEBUGFS "/kmemleak"

/*
 * Lets all allocations fail that a task asks to fail, but those from the slab cache of radix trees.
 * DMA debugging has the mapped cache lines in such a tree, and ends at its first failure.
 */
static inline bool allow_failures(void)
{
	static const char * const settings[][2] = {
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/failslab/cache-filter", "Y" },
		/* No stack dump for each failure */
		{ DEBUGFS "/failslab/verbose", "0" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "/fail_page_alloc/min-order", "0" },
		{ DEBUGFS "/fail_page_alloc/verbose", "0" },
	};
	unsigned int i, caches = 0;
	DIR *dir = NULL;
	const char *name;
	char path[512];
	bool ok = true;

	for (; (name = next_name(&dir, "/sys/kernel/slab", "")); caches++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", name);
		ok &= !strcmp(name, "radix_tree_node") || write_text(path, "1");
	}
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		ok &= write_text(settings[i][0], settings[i][1]);
	return ok && caches;
}

/* Prints what kmemleak finds, each line behind @prefix; true if that is nothing. */
static inline bool no_leaks(const char *prefix)
{
	char line[512];
	bool ok;
	FILE *f;

	/* kmemleak takes objects for live ones for their first five seconds. */
	sleep(6);
	ok = write_text(KMEMLEAK, "scan") && write_text(KMEMLEAK, "scan");
	f = fopen(KMEMLEAK, "re");
	ok &= !!f;
	while (f && fgets(line, sizeof(line), f)) {
		printf("%s%s", prefix, line);
		ok = false;
	}
	if (f)
		fclose(f);
	return ok;
}

static inline void check_leaks(void)
{
	if (access(KMEMLEAK, F_OK))
		result(true, "no leak # SKIP no kmemleak in this kernel");
	else
		result(no_leaks("# "), "no leak");
}

#endif
