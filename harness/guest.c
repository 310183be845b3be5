// SPDX-License-Identifier: GPL-2.0
/*
 * The first program of every machine that the tests boot. It mounts what Linux programs expect,
 * loads the modules in /modules, runs /test with the arguments and the environment that the
 * kernel's parameters give, says how that ended, has kmemleak look for leaks, and powers off. Where
 * there is no /test it prints what is in /dev/dma_heap.
 *
 * With run=FILE the files are those of the machine that User-Mode Linux runs on, but for /tmp,
 * and a shell runs that file. The folder again=PATH is the machine's even where it lies in /tmp.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST	"/host"

/* A kernel may lack any of them; `host` are those without which its programs do not run. */
static const struct {
	const char *type, *at, *options;
	int host;
} mounts[] = {
	{ "devtmpfs", "/dev", NULL, 1 },
	{ "proc", "/proc", NULL, 1 },
	{ "sysfs", "/sys", NULL, 1 },
	{ "tmpfs", "/tmp", NULL, 1 },
	{ "tmpfs", "/dev/shm", NULL, 1 },
	{ "devpts", "/dev/pts", "ptmxmode=0666", 0 },
	{ "debugfs", "/sys/kernel/debug", NULL, 0 },
	{ "cgroup2", "/sys/fs/cgroup", NULL, 0 },
};

/* What udev would make */
static const char * const links[][2] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

static void end(const char *what)
{
	if (what)
		printf("guest: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	exit(1);
}

static void mount_all(const char *below)
{
	char path[4096];
	unsigned int i;

	for (i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		snprintf(path, sizeof(path), "%s%s", below, mounts[i].at);
		mkdir(path, 0755);
		if (mount(mounts[i].type, path, mounts[i].type, 0, mounts[i].options) &&
		    errno != EBUSY && *below && mounts[i].host)
			end(path);
	}
}

static void use_files_of_host(const char *again)
{
	char path[4096], *slash;
	unsigned int i;

	mkdir(HOST, 0755);
	if (mount("hostfs", HOST, "hostfs", 0, "/"))
		end("hostfs");
	mount_all(HOST);
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
}

static void use_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static void load_modules(void)
{
	DIR *dir = opendir("/modules");
	struct dirent *entry;
	int fd;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (syscall(SYS_finit_module, fd, "", 0))
			printf("guest: %s: %s\n", entry->d_name, strerror(errno));
		close(fd);
	}
}

static void list_heaps(void)
{
	DIR *dir = opendir("/dev/dma_heap");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			printf("heap: %s\n", entry->d_name);
	printf("heaps: done\n");
}

/* Has the kernel say on the console what is leaked, if it has kmemleak */
static void look_for_leaks(void)
{
	int fd = open("/sys/kernel/debug/kmemleak", O_WRONLY);

	if (fd < 0 || write(fd, "scan", 4) != 4)
		return;
	/* Objects are taken for live ones for their first five seconds. */
	sleep(6);
	if (write(fd, "scan", 4) != 4 || write(fd, "scan", 4) != 4)
		printf("guest: BUG: kmemleak does not scan\n");
	close(fd);
}

int main(int argc, char **argv)
{
	const char *run = getenv("run");
	int status;
	pid_t pid;

	(void)argc;
	if (run) {
		use_files_of_host(getenv("again") ?: "");
	} else {
		mount_all("");
		/* Who looks is to be told that a file is root's, not that there is none. */
		chmod("/sys/kernel/debug", 0755);
		use_console();
		load_modules();
	}
	if (!run && access("/test", F_OK)) {
		list_heaps();
		end(NULL);
	}

	printf("KTAP version 1\n");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* Orphans are the program's, as if it were the first one. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		setenv("OWN_MACHINE", "1", 1);
		if (run)
			execl("/bin/bash", "bash", run, (char *)NULL);
		else
			execv("/test", argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		end("fork");
	/* The program may have left a line without its end. */
	printf("\nguest: exit status %d\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	fflush(stdout);
	look_for_leaks();
	end(NULL);
}
