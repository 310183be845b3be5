// SPDX-License-Identifier: GPL-2.0
/*
 * The time that some initcalls take, which the parameter rmem_bench_initcalls=NAME,... names.
 * initcall_debug cannot tell: until fs_initcall the kernel's clock has steps of a jiffy. The
 * result is a line as in rmem_heap_bench.c, and BYTES is the number of initcalls.
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <trace/events/initcall.h>

#include "rmem_heap_bench.h"

static char rmem_boot_names[256] __initdata;
static struct {
	unsigned int n;
	u64 since;
	u64 sum;
} rmem_boot;

static int __init rmem_boot_param(char *names)
{
	/* A name is found with the commas around it. */
	snprintf(rmem_boot_names, sizeof(rmem_boot_names), ",%s,", names);
	return 0;
}
early_param("rmem_bench_initcalls", rmem_boot_param);

static void __init rmem_boot_start(void *data, initcall_t fn)
{
	rmem_boot.since = rmem_bench_ns();
}

static void __init rmem_boot_finish(void *data, initcall_t fn, int ret)
{
	u64 ns = rmem_bench_ns() - rmem_boot.since;
	char name[64];

	snprintf(name, sizeof(name), ",%ps,", fn);
	if (!strstr(rmem_boot_names, name))
		return;
	rmem_boot.n++;
	rmem_boot.sum += ns;
}

/* Before the first initcall of any other kind */
static int __init rmem_boot_begin(void)
{
	if (!*rmem_boot_names)
		return 0;
	return register_trace_initcall_start(rmem_boot_start, NULL) ?:
	       register_trace_initcall_finish(rmem_boot_finish, NULL);
}
console_initcall(rmem_boot_begin);

static int __init rmem_boot_end(void)
{
	if (!*rmem_boot_names)
		return 0;
	unregister_trace_initcall_finish(rmem_boot_finish, NULL);
	unregister_trace_initcall_start(rmem_boot_start, NULL);
	tracepoint_synchronize_unregister();
	pr_notice("bench,initcalls,boot,%u,1,%llu,%llu,%llu,ns\n", rmem_boot.n, rmem_boot.sum,
		  rmem_boot.sum, rmem_boot.sum);
	return 0;
}
late_initcall_sync(rmem_boot_end);
