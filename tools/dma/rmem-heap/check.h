/* SPDX-License-Identifier: GPL-2.0 */
/* What rmem-heap.c and check.c share */
#ifndef RMEM_HEAP_CHECK_H
#define RMEM_HEAP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define CHECK_USAGE \
	"usage: rmem-heap check [--cmdline TEXT] [--page-size N] [--pageblock N]\n" \
	"                       [--cma-areas N] [--mem RANGES] [--json]\n" \
	"                       [--overlay FILE.dtbo]... FILE.dtb..."

/* The command: 0, 1 if there is an error in a tree, 2 if a file is no tree or the usage is wrong */
int check_main(int argc, char **argv, bool json);

/* For tests: the options of the command alone, up to optind; then the command on a blob */
int check_options(int argc, char **argv, bool *json);
int check_blob(const char *file, const void *blob, size_t size, bool json);

#endif
