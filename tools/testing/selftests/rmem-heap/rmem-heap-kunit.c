// SPDX-License-Identifier: GPL-2.0
/*
 * Runs KUnit suites from userspace, where failures can be injected and leaks looked for:
 *
 *	kunit.enable=1 kunit.autorun=0 suites=NAME[,NAME...]
 *
 * Their results go to the console. So does what a suite leaks: memory, which kmemleak finds,
 * and mappings that vmap() made, which are in /proc/vmallocinfo.
 */
#include "rmem-heap-debug.h"

static void set(const char *file, const char *value)
{
	if (!write_text(file, value))
		printf("not ok 0 - kunit: %s: %s\n", file, strerror(errno));
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
		printf("not ok 0 - kunit: /proc/vmallocinfo: %s\n", strerror(errno));

	if (!no_leaks(""))
		printf("not ok 0 - %s: kmemleak finds something, or does not work\n", suite);
	/* Each leak is reported once. */
	set(KMEMLEAK, "clear");
	printf("kunit: looked for leaks of %s\n", suite);
}

int main(void)
{
	const char *suites = getenv("suites");
	char *list = strdup(suites ? suites : ""), *name;
	char file[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	need_own_machine();
	if (!access(DEBUGFS "/failslab", F_OK) && !allow_failures())
		printf("not ok 0 - kunit: not all allocations can fail\n");

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		snprintf(file, sizeof(file), DEBUGFS "/kunit/%s/run", name);
		set(file, "1");
		if (!access(KMEMLEAK, F_OK))
			look_for_leaks(name);
	}

	return 0;
}
