// SPDX-License-Identifier: GPL-2.0
/*
 * First program of harness/in-uml.sh: the files are those of the machine that User-Mode Linux
 * runs on, all else is this kernel's. Runs the script that run=FILE names, says how it ended,
 * and powers off.
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
	const char *run = getenv("run");
	char path[64];
	unsigned int i;
	int status;
	pid_t pid;

	mkdir(HOST, 0755);
	for (i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		snprintf(path, sizeof(path), HOST "%s", mounts[i].at);
		if (mount(mounts[i].type, path, mounts[i].type, 0, mounts[i].options))
			end(path);
	}
	if (chroot(HOST) || chdir("/"))
		end(HOST);

	pid = fork();
	if (!pid) {
		execl("/bin/bash", "bash", run, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		end("bash");
	printf("host-init: exit status %d\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	end(NULL);
}
