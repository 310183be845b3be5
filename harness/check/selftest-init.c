// SPDX-License-Identifier: GPL-2.0
/*
 * /init for a boot that runs the kernel's own dma-buf heaps selftest, /selftest, and powers off.
 *
 * The selftest walks all heaps and maps their buffers, so heaps of device-only memory are hidden
 * from it. Prints "selftest: exit N", or "selftest: signal N".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLASS		"/sys/class/rmem_heap"

static void mount_on(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, NULL) && errno != EBUSY)
		printf("selftest: mount %s on %s: %s\n", type, dir, strerror(errno));
}

static void hide_device_only(void)
{
	char path[600], cpu[32];
	struct dirent *entry;
	DIR *dir;
	FILE *f;

	dir = opendir(CLASS);
	if (!dir)
		printf("selftest: no %s, all heaps are tested\n", CLASS);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), CLASS "/%s/cpu_access", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		snprintf(path, sizeof(path), "/dev/dma_heap/%s", entry->d_name);
		if (fgets(cpu, sizeof(cpu), f) && !strcmp(cpu, "none\n") && !unlink(path))
			printf("selftest: %s is device-only: left out\n", entry->d_name);
		fclose(f);
	}
	if (dir)
		closedir(dir);
}

/* Has the kernel say on the console what is leaked, if it has kmemleak */
static void look_for_leaks(void)
{
	int i, fd = open("/sys/kernel/debug/kmemleak", O_WRONLY);

	if (fd < 0)
		return;
	/* Objects are taken for live ones for their first five seconds. */
	sleep(6);
	for (i = 0; i < 2; i++)
		if (write(fd, "scan", 4) != 4)
			printf("selftest: BUG: kmemleak does not scan\n");
	close(fd);
}

int main(void)
{
	int status = 0, fd;
	pid_t pid;

	mount_on("devtmpfs", "/dev");
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
	}
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("tmpfs", "/tmp");
	hide_device_only();
	fflush(stdout);

	pid = fork();
	if (!pid) {
		/* Buffers that the selftest leaks end with it; hangs end too. */
		alarm(300);
		execl("/selftest", "/selftest", (char *)NULL);
		printf("selftest: exec: %s\n", strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("selftest: fork: %s\nselftest: exit 127\n", strerror(errno));
	else if (WIFSIGNALED(status))
		printf("selftest: signal %d\n", WTERMSIG(status));
	else
		printf("selftest: exit %d\n", WEXITSTATUS(status));
	look_for_leaks();
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
