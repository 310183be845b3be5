// SPDX-License-Identifier: GPL-2.0
/*
 * First program of harness/in-uml.sh: the files are those of the machine that User-Mode Linux
 * runs on, all else is this kernel's. Runs the script that run=FILE names, says how it ended,
 * and powers off. The folder again=PATH is the machine's even where it lies in what is not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST	"/host"

static const struct {
	const char *type, *at, *options;
} mounts[] = {
	{ "hostfs", "", "/" },
	{ "devtmpfs", "/dev", NULL },
	{ "proc", "/proc", NULL },
	{ "sysfs", "/sys", NULL },
	{ "tmpfs", "/tmp", NULL },
	{ "tmpfs", "/dev/shm", NULL },
};

/* What udev would make. */
static const char * const links[][2] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

static void end(const char *what)
{
	if (what)
		printf("host-init: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	exit(1);
}

int main(void)
{
	const char *run = getenv("run") ?: "", *again = getenv("again") ?: "";
	char path[4096], *slash;
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		snprintf(path, sizeof(path), HOST "%s", mounts[i].at);
		mkdir(path, 0755);
		if (mount(mounts[i].type, path, mounts[i].type, 0, mounts[i].options))
			end(path);
	}
	if (chroot(HOST) || chdir("/"))
		end(HOST);
	for (i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlink(links[i][0], links[i][1]))
			end(links[i][1]);

	snprintf(path, sizeof(path), "%s/", again);
	for (slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	if (mount("hostfs", path, "hostfs", 0, again))
		end(again);

	pid = fork();
	if (!pid) {
		execl("/bin/bash", "bash", run, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		end("bash");
	/* The command may have left a line without its end. */
	printf("\nhost-init: exit status %d\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	end(NULL);
}
