// SPDX-License-Identifier: GPL-2.0
/*
 * The first program of a boot that tries rmem-heap, the tool: each command with its exit
 * status and what it must and must not print. Prints TAP.
 *
 * On a kernel without our code: plain=1, and the name of a heap of mainline's in heap=.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned int tests, bad;
static char output[65536];

/* Runs a line of words, as root or as nobody; its output goes to output[] */
static int run(const char *line, bool nobody)
{
	char copy[1024], *argv[32], *word;
	int fds[2], status, argc = 0;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok(copy, " "); word && argc < 31; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		if (nobody && (setgid(65534) || setuid(65534)))
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], output + len, sizeof(output) - 1 - len)) > 0)
		len += n;
	output[len] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void result(bool ok, const char *name)
{
	char *line, *rest;

	printf("%sok %u - %s\n", ok ? "" : "not ", ++tests, name);
	if (ok)
		return;
	bad++;
	for (line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		printf("# %s\n", line);
}

/* want: what must be printed, in this order, with '|' between; !: what must not be */
static void expect(const char *line, int status, const char *want)
{
	bool nobody = *line == '~', ok;
	char copy[1024], name[1200], *word, *rest, *at = output;
	int rc = run(line + nobody, nobody);

	ok = rc == status;
	snprintf(copy, sizeof(copy), "%s", want);
	for (word = strtok_r(copy, "|", &rest); word && ok; word = strtok_r(NULL, "|", &rest)) {
		if (*word == '!') {
			ok = !strstr(output, word + 1);
			continue;
		}
		at = strstr(at, word);
		ok = at;
		if (ok)
			at += strlen(word);
	}
	snprintf(name, sizeof(name), "%s%s: %d, %s", nobody ? "(nobody) " : "", line + nobody,
		 status, want);
	if (!ok)
		printf("# exit status %d\n", rc);
	result(ok, name);
}

static bool write_to(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (!ok)
		snprintf(output, sizeof(output), "%s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

/* A task that holds a buffer, to look at the tool beside it */
static pid_t hold(const char *heap, const char *size)
{
	pid_t pid = fork();

	if (!pid) {
		close(1);
		execl("/rmem-heap", "rmem-heap", "alloc", "--hold=100", heap, size, NULL);
		_exit(127);
	}
	usleep(300000);
	return pid;
}

static void drop(pid_t pid)
{
	kill(pid, 9);
	waitpid(pid, NULL, 0);
	/* Its buffer has been freed by then, and may still be cleared. */
	usleep(100000);
}

/* A limit of half a region: the second half is refused, and comes back with the task */
static void check_limit(const char *heap, const char *name)
{
	char limit[300], want[300];
	pid_t pid, other;

	/* Of a task without a limit: what is left is less than the limit. */
	other = hold(heap, "48M");
	mkdir("/sys/fs/cgroup/rmem", 0755);
	snprintf(limit, sizeof(limit), "rmem/%s 33554432", heap);
	result(write_to("/sys/fs/cgroup/cgroup.subtree_control", "+dmem") &&
	       write_to("/sys/fs/cgroup/rmem/dmem.max", limit) &&
	       write_to("/sys/fs/cgroup/rmem/cgroup.procs", "0"), name);

	/* What fails for want of memory is not charged. */
	snprintf(want, sizeof(want), "/rmem-heap alloc %s 32M", heap);
	expect(want, 1, "no 32 MiB");
	drop(other);
	expect(want, 0, "32 MiB");

	pid = hold(heap, "32M");
	snprintf(want, sizeof(want), "/rmem-heap alloc %s 4K", heap);
	expect(want, 1, "no 4 KiB|control group");
	drop(pid);
	expect(want, 0, "4 KiB");
	snprintf(want, sizeof(want), "/rmem-heap alloc %s 33M", heap);
	expect(want, 1, "no 33 MiB");
	write_to("/sys/fs/cgroup/cgroup.procs", "0");
	snprintf(want, sizeof(want), "/rmem-heap alloc %s 33M", heap);
	expect(want, 0, "33 MiB");
}

static void check_plain(const char *heap)
{
	char line[300], want[300];

	expect("/rmem-heap ls", 0, "system");
	snprintf(want, sizeof(want), "%s|?|/dev/dma_heap/%s|is what this kernel does not tell", heap,
		 heap);
	expect("/rmem-heap ls", 0, want);
	snprintf(line, sizeof(line), "/rmem-heap info %s", heap);
	expect(line, 0, "mode|this kernel does not tell");
	expect("/rmem-heap --json ls", 0, "\"mode\":null|\"used\":null");
	snprintf(line, sizeof(line), "/rmem-heap alloc --clear --fill=3 --check %s 1M", heap);
	expect(line, 0, "1 MiB, clear, filled");
	snprintf(line, sizeof(line), "/rmem-heap bench -n 3 %s 64K", heap);
	expect(line, 0, "64 KiB");
	snprintf(line, sizeof(line), "/rmem-heap stress -s 1 %s", heap);
	expect(line, 0, "0 wrong");
	snprintf(line, sizeof(line), "/rmem-heap map %s", heap);
	expect(line, 1, "unknown to this kernel");
}

static void check_tool(void)
{
	pid_t pid;

	expect("/rmem-heap", 2, "usage:|ls|info|map|alloc|bench|stress|watch");
	expect("/rmem-heap --help", 0, "usage:");
	expect("/rmem-heap --nonsense", 2, "usage:");
	expect("/rmem-heap nonsense", 2, "there is no command nonsense|usage:");

	/* ls and info */
	expect("/rmem-heap ls", 0,
	       "REGION|MODE|SIZE|DEVICES|HEAP|bounce@28000000|restricted|16 MiB|no request for a heap|"
	       "camera|cma|ecc-off@20000000|carveout|64 MiB|/dev/dma_heap/ecc-off@20000000");
	expect("/rmem-heap ls", 0, "dsp@24000000|carveout|odd@2a100000|refused|system|?");
	expect("/rmem-heap ls", 0, "video@10000000|display|/dev/dma_heap/video@10000000");
	expect("/rmem-heap ls", 0, "vram@14000000|coherent|lcd");
	expect("/rmem-heap ls", 0, "fpga@1c000000|(/accel)|!\033");
	expect("/rmem-heap --color=always ls", 0, "\033[32m");
	expect("/rmem-heap --color=sometimes ls", 1, "auto, always or never");
	expect("/rmem-heap ls more", 1, "rmem-heap info more");
	expect("/rmem-heap --json ls", 0,
	       "[{\"name\":|\"bounce@28000000\"|\"size\":16777216|\"devices\":[\"net\"]|\"heap\":null|]");
	expect("/rmem-heap info vram@14000000", 0,
	       "mode|coherent|size|64 MiB|base|0x14000000|exported by|its node|available|"
	       "CPU access|write-combined|max buffer|64 MiB|devices|lcd|referred by|/lcd");
	expect("~/rmem-heap info vram@14000000", 0, "mode|coherent|!0x14000000");
	expect("/rmem-heap info dsp@24000000", 0, "CPU access|none");
	expect("/rmem-heap info ecc-off@20000000", 0,
	       "largest free  64 MiB, |to be cleared, 0 B lost|allocator|rmem_heap_carveout");
	expect("/rmem-heap info modem@2c000000", 0, "heap|-|reason|it has no owner in the device tree");
	expect("/rmem-heap info --json camera", 0, "\"mode\":\"cma\"|\"allocator\":\"cma_alloc\"|"
	       "\"available\":67108864|\"dirty\":null");
	expect("/rmem-heap info nosuch", 1, "there is no region or heap nosuch; there are:|camera");
	expect("/rmem-heap info", 1, "usage:");

	/* alloc */
	expect("/rmem-heap alloc video@10000000 1.5M", 0, "1.5 MiB");
	expect("/rmem-heap alloc --clear --fill=7 --check guest@18000000 1M", 0,
	       "1 MiB, clear, filled");
	expect("/rmem-heap alloc --fill=7 --check fpga@1c000000 8M /rmem-heap info fpga@1c000000", 0,
	       "8 MiB in 1 buffers");
	expect("/rmem-heap alloc camera 64K /rmem-heap info nosuch", 1, "there is no region");
	expect("/rmem-heap alloc camera 64K /nosuch", 127, "/nosuch: No such file");
	expect("/rmem-heap --json alloc camera 5000", 0, "\"size\":8192,\"status\":0");
	expect("/rmem-heap alloc camera 0", 1, "no size");
	expect("/rmem-heap alloc camera 5X", 1, "5X is no size");
	expect("/rmem-heap alloc camera -5", 1, "");
	expect("/rmem-heap alloc --check camera 5K", 1, "--check needs --fill");
	expect("/rmem-heap alloc --hold=x camera 5K", 1, "--hold: x is no number");
	expect("/rmem-heap alloc camera", 1, "usage:");
	expect("/rmem-heap alloc camera 1G", 1, "no 1 GiB: in use 0 B of 64 MiB, available 64 MiB");
	expect("/rmem-heap alloc modem@2c000000 4K", 1, "has no heap: it has no owner in the device tree");
	expect("/rmem-heap alloc --fill=1 dsp@24000000 4K", 1, "the CPU must not access");
	expect("/rmem-heap alloc dsp@24000000 4K", 0, "4 KiB");
	expect("~/rmem-heap alloc camera 4K", 1,
	       "permission denied|SUBSYSTEM==\"dma_heap\", KERNEL==\"camera\"");
	expect("/rmem-heap alloc nosuch 4K", 1, "there is no region or heap nosuch");

	/* map, and what is in use */
	pid = hold("ecc-off@20000000", "32M");
	expect("/rmem-heap map ecc-off@20000000", 0, "64 MiB|a character is 128 KiB|0 B  ####|....");
	expect("/rmem-heap map --json ecc-off@20000000", 0,
	       "\"pieces\":[{\"offset\":0,\"length\":33554432,\"state\":\"used\"}]");
	expect("/rmem-heap ls", 0, "ecc-off@20000000|32 MiB|32 MiB|1");
	drop(pid);
	expect("/rmem-heap map ecc-off@20000000", 0, "a character|!##");
	expect("/rmem-heap map camera", 1, "only carveouts|cma");
	expect("~/rmem-heap map ecc-off@20000000", 1, "only root");
	expect("/rmem-heap map", 1, "usage:");

	/* bench, stress, watch */
	expect("/rmem-heap bench -n 3 camera", 0, "SIZE|ALLOCATE|4 KiB|64 KiB|1 MiB|8 MiB");
	expect("/rmem-heap bench -n 3 dsp@24000000 64K", 0, "64 KiB|-");
	expect("/rmem-heap bench --json -n 3 vram@14000000 64K", 0, "[{\"size\":65536,\"alloc_ns\":");
	expect("/rmem-heap bench -n 0 camera", 1, "usage:");
	expect("/rmem-heap bench -n 2305843009213693953 camera", 1, "no number");
	expect("/rmem-heap --json bench camera 1G", 1, "no 1 GiB|![");
	expect("/rmem-heap alloc camera nan", 1, "no size");
	expect("/rmem-heap alloc camera 4K /rmem-heap info camera --json", 0, "{\"name\":\"camera\"");
	expect("/rmem-heap bench camera 1G", 1, "no 1 GiB");
	expect("/rmem-heap stress -s 1 -t 3 fpga@1c000000", 0, "fpga@1c000000: |buffers|0 wrong");
	expect("/rmem-heap stress -s 1 guest@18000000", 0, "0 wrong");
	expect("/rmem-heap stress --json -s 1 dsp@24000000", 0, "\"corrupt\":0");
	expect("/rmem-heap stress -t 0 camera", 1, "usage:");
	expect("/rmem-heap watch -c 2 -n 0", 0, "REGION|camera|REGION|camera");
	expect("/rmem-heap watch -n x", 1, "no number");

	/* A device that comes and goes: its links do, too */
	expect("/rmem-heap info scratch@2d000000", 0, "exported by|driver of scratcher|devices|scratcher|"
	       "referred by|/scratcher");
	result(write_to("/sys/bus/platform/drivers/rmem-heap-sample/unbind", "scratcher"),
	       "the sample driver is unbound");
	expect("/rmem-heap info scratch@2d000000", 0, "its driver is gone|devices       -|"
	       "referred by|/scratcher");
	expect("/rmem-heap ls", 0, "scratch@2d000000|(/scratcher)");
	expect("/rmem-heap alloc scratch@2d000000 4K", 1, "the driver that exported it is gone");
	result(write_to("/sys/bus/platform/drivers/rmem-heap-sample/bind", "scratcher"),
	       "and bound again");
	expect("/rmem-heap info scratch@2d000000", 0, "devices       scratcher|!gone");
	expect("/rmem-heap alloc scratch@2d000000 4K", 0, "4 KiB");

	check_limit("guest@18000000", "a limit of half a restricted pool");
	check_limit("vram@14000000", "a limit of half a coherent pool");
	check_limit("ecc-off@20000000", "a limit of half a carveout");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	/* Who may look is to be told that this is root's, not that there is nothing. */
	chmod("/sys/kernel/debug", 0755);

	if (getenv("plain"))
		check_plain(getenv("heap"));
	else
		check_tool();
	printf("1..%u\n", tests);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
