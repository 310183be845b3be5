// SPDX-License-Identifier: GPL-2.0
/*
 * Runs KUnit suites from userspace, where failures can be injected and leaks looked for:
 *
 *	kunit.enable=1 kunit.autorun=0 suites=NAME[,NAME...]
 *
 * Their results go to the console. So does what a suite leaks: memory, which kmemleak finds,
 * and mappings that vmap() made, which are in /proc/vmallocinfo.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		printf("not ok 0 - kunit-init: %s: %s\n", file, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/*
 * Every slab cache may fail but the one of radix trees. The tree in which DMA debugging has
 * the mapped cache lines is of these nodes, and DMA debugging ends at its first failure.
 */
static void inject_by_cache(void)
{
	DIR *caches = opendir("/sys/kernel/slab");
	struct dirent *cache;
	char file[512];

	while (caches && (cache = readdir(caches))) {
		if (cache->d_name[0] == '.' || !strcmp(cache->d_name, "radix_tree_node"))
			continue;
		snprintf(file, sizeof(file), "/sys/kernel/slab/%s/failslab", cache->d_name);
		set(file, "1");
	}
	if (caches)
		closedir(caches);
	set("/sys/kernel/debug/failslab/cache-filter", "Y");
}

static void inject(const char *what)
{
	static const char * const settings[][2] = {
		{ "ignore-gfp-wait", "N" },
		/* A stack dump for each failure is of no use here. */
		{ "verbose", "0" },
	};
	char file[128];
	unsigned int i;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		snprintf(file, sizeof(file), "/sys/kernel/debug/%s/%s", what, settings[i][0]);
		set(file, settings[i][1]);
	}
}

/* Nothing that a suite has made may be left when it is over. */
static void look_for_leaks(const char *suite)
{
	char line[512];
	FILE *f;

	f = fopen("/proc/vmallocinfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " rmem_") && strstr(line, " vmap"))
			printf("not ok 0 - %s has left a mapping: %s", suite, line);
	if (f)
		fclose(f);
	else
		printf("not ok 0 - kunit-init: /proc/vmallocinfo: %s\n", strerror(errno));

	/* kmemleak takes objects for live ones for their first five seconds. */
	sleep(6);
	set("/sys/kernel/debug/kmemleak", "scan");
	set("/sys/kernel/debug/kmemleak", "scan");
	f = fopen("/sys/kernel/debug/kmemleak", "r");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stdout);
	if (f)
		fclose(f);
	/* Each leak is reported once. */
	set("/sys/kernel/debug/kmemleak", "clear");
	printf("kunit-init: looked for leaks of %s\n", suite);
}

int main(void)
{
	const char *suites = getenv("suites");
	char *list = strdup(suites ? suites : ""), *name;
	char file[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!access("/sys/kernel/debug/failslab", F_OK)) {
		inject("failslab");
		inject_by_cache();
		inject("fail_page_alloc");
		set("/sys/kernel/debug/fail_page_alloc/min-order", "0");
		set("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	}

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		snprintf(file, sizeof(file), "/sys/kernel/debug/kunit/%s/run", name);
		set(file, "1");
		if (!access("/sys/kernel/debug/kmemleak", F_OK))
			look_for_leaks(name);
	}

	return 0;
}
