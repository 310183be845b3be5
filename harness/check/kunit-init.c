// SPDX-License-Identifier: GPL-2.0
/*
 * The first program of a boot that runs KUnit suites from userspace, where failures can be
 * injected and leaks looked for:
 *
 *	kunit.enable=1 kunit.autorun=0 suites=NAME[,NAME...]
 *
 * Their results go to the console; so does what kmemleak found at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static void set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		printf("kunit-init: %s: %s\n", file, strerror(errno));
	if (fd >= 0)
		close(fd);
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

int main(void)
{
	const char *suites = getenv("suites");
	char *list = strdup(suites ? suites : ""), *name;
	char file[256], line[512];
	FILE *leaks;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	if (!access("/sys/kernel/debug/failslab", F_OK)) {
		inject("failslab");
		inject("fail_page_alloc");
		set("/sys/kernel/debug/fail_page_alloc/min-order", "0");
		set("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	}

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		snprintf(file, sizeof(file), "/sys/kernel/debug/kunit/%s/run", name);
		set(file, "1");
	}

	if (!access("/sys/kernel/debug/kmemleak", F_OK)) {
		/* It takes objects for live ones for their first five seconds. */
		sleep(6);
		set("/sys/kernel/debug/kmemleak", "scan");
		sleep(1);
		set("/sys/kernel/debug/kmemleak", "scan");
		leaks = fopen("/sys/kernel/debug/kmemleak", "r");
		while (leaks && fgets(line, sizeof(line), leaks))
			fputs(line, stdout);
		printf("kunit-init: looked for leaks\n");
	}

	printf("kunit-init: done\n");
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
