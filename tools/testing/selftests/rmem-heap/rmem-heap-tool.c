// SPDX-License-Identifier: GPL-2.0
/*
 * Tries rmem-heap, the tool: each command with its exit status and what it must and must not
 * print. Prints TAP. Runs /rmem-heap on a machine of its own.
 *
 * On a kernel without our code: plain=1, and the name of a heap of mainline's in heap=.
 */
#define _GNU_SOURCE
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rmem-heap.h"

static char output[65536];
/* Of the terminal that commands run on, if it has columns */
static struct winsize terminal;

static bool open_terminal(int fds[2])
{
	fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fds[0] < 0 || grantpt(fds[0]) || unlockpt(fds[0]))
		return false;
	fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY);
	return fds[1] >= 0 && !ioctl(fds[1], TIOCSWINSZ, &terminal);
}

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
	*output = '\0';
	if (terminal.ws_col ? !open_terminal(fds) : pipe(fds))
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

static void check(bool ok, const char *name)
{
	char *line, *rest;

	result(ok, "%s", name);
	if (ok)
		return;
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
	for (word = name; *word; word++)
		if (*word < ' ')
			*word = '?';
	if (!ok)
		printf("# exit status %d\n", rc);
	check(ok, name);
}

/* On a terminal, and no line is longer than it has columns */
static void expect_on(unsigned short columns, const char *line, const char *want)
{
	char name[1200], *at, *end;
	bool ok = true;

	terminal.ws_col = columns;
	expect(line, 0, want);
	terminal.ws_col = 0;
	for (at = output; (end = strstr(at, "\r\n")); at = end + 2)
		ok = ok && end - at <= columns;
	snprintf(name, sizeof(name), "%s: %u columns", line, columns);
	check(ok && at != output, name);
}

static bool write_to(const char *file, const char *text)
{
	bool ok = write_text(file, text);

	if (!ok)
		snprintf(output, sizeof(output), "%s: %s", file, strerror(errno));
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
	check(write_to("/sys/fs/cgroup/cgroup.subtree_control", "+dmem") &&
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
	snprintf(want, sizeof(want),
		 "%s|?|/dev/dma_heap/%s|? is not known: this kernel has no CONFIG_RMEM_HEAP",
		 heap, heap);
	expect("/rmem-heap ls", 0, want);
	snprintf(line, sizeof(line), "/rmem-heap info %s", heap);
	expect(line, 0, "mode|? (this kernel has no CONFIG_RMEM_HEAP)");
	expect("/rmem-heap --json ls", 0, "\"mode\":null|\"used\":null");
	snprintf(line, sizeof(line), "/rmem-heap alloc --clear --fill=3 --check %s 1M", heap);
	expect(line, 0, "1 MiB, clear, filled");
	snprintf(line, sizeof(line), "/rmem-heap bench -n 3 %s 64K", heap);
	expect(line, 0, "64 KiB");
	snprintf(line, sizeof(line), "/rmem-heap stress -s 1 %s", heap);
	expect(line, 0, "0 wrong");
	snprintf(line, sizeof(line), "/rmem-heap map %s", heap);
	expect(line, 1, "this one is ? (this kernel has no CONFIG_RMEM_HEAP)");
}

static void check_tool(void)
{
	pid_t pid;

	expect("/rmem-heap", 2, "usage:|ls|info|map|alloc|bench|stress|watch");
	expect("/rmem-heap --help", 0, "usage:");
	expect("/rmem-heap --nonsense", 2, "usage:");
	expect("/rmem-heap nonsense", 2, "there is no command nonsense|usage:");
	expect("/rmem-heap ls --nonsense", 2, "usage: rmem-heap ls");
	expect("/rmem-heap info --nonsense", 2, "usage: rmem-heap info");
	expect("/rmem-heap info camera more", 2, "usage: rmem-heap info");
	expect("/rmem-heap map --nonsense", 2, "usage: rmem-heap map");
	expect("/rmem-heap map camera more", 2, "usage: rmem-heap map");
	expect("/rmem-heap alloc --nonsense camera 4K", 2, "usage: rmem-heap alloc");
	expect("/rmem-heap alloc --fill", 2, "usage: rmem-heap alloc");
	expect("/rmem-heap alloc --fill=-1 camera 4K", 2, "--fill: -1 is no number");
	expect("/rmem-heap alloc camera 5000P", 2, "no size");
	expect("/rmem-heap alloc camera 5000000T", 2, "no size that anything has");
	expect("/rmem-heap bench", 2, "usage: rmem-heap bench");
	expect("/rmem-heap bench --nonsense camera", 2, "usage: rmem-heap bench");
	expect("/rmem-heap bench camera 4K more", 2, "usage: rmem-heap bench");
	expect("/rmem-heap bench camera 0K", 2, "no size");
	expect("/rmem-heap stress", 2, "usage: rmem-heap stress");
	expect("/rmem-heap stress --nonsense camera", 2, "usage: rmem-heap stress");
	expect("/rmem-heap stress camera more", 2, "usage: rmem-heap stress");
	expect("/rmem-heap stress -t 1025 camera", 2, "usage: rmem-heap stress");
	expect("/rmem-heap stress -s x camera", 2, "--seconds: x is no number");
	expect("/rmem-heap watch --nonsense", 2, "usage: rmem-heap watch");
	expect("/rmem-heap watch -c", 2, "usage: rmem-heap watch");
	expect("/rmem-heap watch more", 2, "usage: rmem-heap watch");
	expect("/rmem-heap alloc --help", 0, "usage: rmem-heap alloc|!unrecognized");
	expect("/rmem-heap info --help", 0, "usage: rmem-heap info|!unrecognized");

	/* ls and info */
	expect("/rmem-heap ls", 0,
	       "REGION|MODE|SIZE|DEVICES|HEAP|bounce@28000000|restricted|16 MiB|no request for a heap|camera|cma|ecc-off@20000000|carveout|64 MiB|/dev/dma_heap/ecc-off@20000000");
	expect("/rmem-heap ls", 0, "dsp@24000000|carveout|odd@2a100000|refused|system|?");
	expect("/rmem-heap ls", 0, "video@10000000|display|/dev/dma_heap/video@10000000");
	expect("/rmem-heap ls", 0, "vram@14000000|coherent|lcd");
	expect("/rmem-heap ls", 0, "fpga@1c000000|(/accel)|!\033");
	expect("/rmem-heap --color=always ls", 0, "\033[32m");
	expect("/rmem-heap --color=sometimes ls", 2, "auto, always or never");
	expect("/rmem-heap ls more", 2, "rmem-heap info more");
	expect("/rmem-heap --json ls", 0,
	       "[{\"name\":|\"bounce@28000000\"|\"size\":16777216|\"devices\":[\"net\"]|\"heap\":null|]");
	expect("/rmem-heap info vram@14000000", 0,
	       "mode|coherent|size|64 MiB|base|0x14000000|exported by|its node|available|CPU access|write-combined|max buffer|64 MiB|devices|lcd|referred by|/lcd");
	expect("~/rmem-heap info vram@14000000", 0, "mode|coherent|!0x14000000");
	expect("/rmem-heap info dsp@24000000", 0, "CPU access|none");
	expect("/rmem-heap info ecc-off@20000000", 0,
	       "largest free  64 MiB, |to be cleared, 0 B lost|allocator|rmem_heap_carveout");
	expect("/rmem-heap info modem@2c000000", 0,
	       "heap|-|reason|it has no owner in the device tree");
	expect("/rmem-heap info --json camera", 0,
	       "\"mode\":\"cma\"|\"allocator\":\"cma_alloc\"|\"available\":67108864|\"dirty\":null");
	expect("/rmem-heap info nosuch", 1, "there is no region or heap nosuch; there are:|camera");
	expect("/rmem-heap info", 2, "usage:");

	/* A terminal that is narrow */
	expect_on(200, "/rmem-heap --color=never ls", "LARGEST|/dev/dma_heap/video@10000000");
	expect_on(80, "/rmem-heap --color=never ls",
		  "REGION|MODE|SIZE|USED|DEVICES|HEAP|bounce@28000000|restricted|16 MiB|- (no re|..|video@10000000|cma|64 MiB|0 B|display|yes|!LARGEST");
	expect_on(40, "/rmem-heap --color=never ls",
		  "REGION|HEAP|bounce@28000000|video@10000000|yes");
	expect_on(24, "/rmem-heap --color=never ls", "REGION|HEAP|bounce@280..|video@1000..|yes");
	setenv("COLUMNS", "60", 1);
	expect_on(60, "/rmem-heap --color=never ls", "REGION|HEAP");
	terminal.ws_col = 200;
	expect("/rmem-heap --color=never ls", 0, "video@10000000|yes|!/dev");
	terminal.ws_col = 0;
	expect("/rmem-heap ls", 0, "LARGEST|/dev/dma_heap/video@10000000");
	unsetenv("COLUMNS");

	/* A heap's path is as good as its name. */
	expect("/rmem-heap info /dev/dma_heap/camera", 0, "region        camera|cma");
	expect("/rmem-heap map /dev/dma_heap/ecc-off@20000000", 0, "ecc-off@20000000, 64 MiB");
	expect("/rmem-heap --json alloc /dev/dma_heap/camera 4K", 0, "{\"heap\":\"camera\"");
	expect("/rmem-heap bench -n 1 /dev/dma_heap/camera 4K", 0, "4 KiB");
	expect("/rmem-heap stress -s 1 /dev/dma_heap/camera", 0, "camera: |0 wrong");
	expect("/rmem-heap info /dev/dma_heap/nosuch", 1, "no region or heap nosuch;");

	/* A coherent pool whose size is no power of two: what it rounds up does not fit. */
	expect("/rmem-heap alloc sound@2e000000 8M", 0, "8 MiB");
	expect("/rmem-heap alloc sound@2e000000 9M", 1,
	       "no 9 MiB: the pool rounds it up to 16 MiB, available 12 MiB; a buffer is at most 8 MiB");
	expect("/rmem-heap alloc sound@2e000000 13M", 1,
	       "no 13 MiB, rounded up to 16 MiB: in use 0 B of 12 MiB");
	pid = hold("sound@2e000000", "4M");
	/* The pool aligns it, too. */
	expect("/rmem-heap alloc sound@2e000000 5M", 1,
	       "no 5 MiB, rounded up to 8 MiB: in use 4 MiB of 12 MiB, available 8 MiB");
	expect("/rmem-heap alloc sound@2e000000 8M", 1,
	       "no 8 MiB: in use 4 MiB of 12 MiB|!rounded");
	drop(pid);
	pid = hold("sound@2e000000", "8M");
	expect("/rmem-heap alloc sound@2e000000 3M", 0, "3 MiB");
	drop(pid);
	pid = hold("vram@14000000", "16M");
	expect("/rmem-heap alloc vram@14000000 33M", 1,
	       "no 33 MiB: the pool rounds it up to 64 MiB, available 48 MiB; a buffer is at most 32 MiB");
	drop(pid);

	/* alloc */
	expect("/rmem-heap alloc video@10000000 1.5M", 0, "1.5 MiB");
	expect("/rmem-heap alloc --clear --fill=7 --check guest@18000000 1M", 0,
	       "1 MiB, clear, filled");
	expect("/rmem-heap alloc --fill=7 --check fpga@1c000000 8M /rmem-heap info fpga@1c000000",
	       0, "8 MiB in 1 buffers");
	expect("/rmem-heap alloc camera 64K /rmem-heap info nosuch", 1, "there is no region");
	expect("/rmem-heap alloc camera 64K /nosuch", 127, "/nosuch: No such file");
	expect("/rmem-heap --json alloc camera 5000", 0, "\"size\":8192,\"status\":0");
	expect("/rmem-heap alloc --hold 0 --json camera 5000", 0, "\"size\":8192,\"status\":0");
	expect("/rmem-heap alloc camera 0", 2, "no size");
	expect("/rmem-heap alloc camera 5X", 2, "5X is no size");
	expect("/rmem-heap alloc camera -5", 2, "");
	expect("/rmem-heap alloc --check camera 5K", 2, "--check needs --fill");
	expect("/rmem-heap alloc --hold=x camera 5K", 2, "--hold: x is no number");
	expect("/rmem-heap alloc camera", 2, "usage:");
	expect("/rmem-heap alloc camera 1G", 1, "no 1 GiB: in use 0 B of 64 MiB, available 64 MiB");
	expect("/rmem-heap alloc modem@2c000000 4K", 1,
	       "has no heap: it has no owner in the device tree");
	expect("/rmem-heap alloc --fill=1 dsp@24000000 4K", 1, "the CPU must not access");
	expect("/rmem-heap alloc dsp@24000000 4K", 0, "4 KiB");
	expect("~/rmem-heap alloc camera 4K", 1,
	       "permission denied|SUBSYSTEM==\"dma_heap\", KERNEL==\"camera\"");
	expect("/rmem-heap alloc nosuch 4K", 1, "there is no region or heap nosuch");

	/* map, and what is in use */
	pid = hold("ecc-off@20000000", "32M");
	expect("/rmem-heap map ecc-off@20000000", 0,
	       "64 MiB|a character is 128 KiB|0 B  ####|....");
	expect("/rmem-heap map --json ecc-off@20000000", 0,
	       "\"pieces\":[{\"offset\":0,\"length\":33554432,\"state\":\"used\"}]");
	expect("/rmem-heap ls", 0, "ecc-off@20000000|32 MiB|32 MiB|1");
	drop(pid);
	expect("/rmem-heap map ecc-off@20000000", 0, "a character|!##");
	expect("/rmem-heap map camera", 1, "only carveouts|cma");
	expect("~/rmem-heap map ecc-off@20000000", 1, "only root");
	expect("/rmem-heap map", 2, "usage:");

	/* bench, stress, watch */
	expect("/rmem-heap bench -n 3 camera", 0, "SIZE|ALLOCATE|4 KiB|64 KiB|1 MiB|8 MiB");
	expect("/rmem-heap bench -n 3 dsp@24000000 64K", 0, "64 KiB|-");
	expect("/rmem-heap bench --json -n 3 vram@14000000 64K", 0,
	       "[{\"size\":65536,\"alloc_ns\":");
	expect("/rmem-heap bench -n 0 camera", 2, "usage:");
	expect("/rmem-heap bench -n 2305843009213693953 camera", 2, "no number");
	expect("/rmem-heap --json bench camera 1G", 1, "no 1 GiB|![");
	expect("/rmem-heap alloc camera nan", 2, "no size");
	expect("/rmem-heap alloc camera 4K /rmem-heap info camera --json", 0,
	       "{\"name\":\"camera\"");
	expect("/rmem-heap bench camera 1G", 1, "no 1 GiB");
	expect("/rmem-heap stress -s 1 -t 3 fpga@1c000000", 0, "fpga@1c000000: |buffers|0 wrong");
	expect("/rmem-heap stress -s 1 guest@18000000", 0, "0 wrong");
	expect("/rmem-heap stress --json -s 1 dsp@24000000", 0, "\"corrupt\":0");
	expect("/rmem-heap stress -t 0 camera", 2, "usage:");
	expect("/rmem-heap watch -c 2 -n 0", 0, "REGION|camera|REGION|camera|!\033");
	expect_on(80, "/rmem-heap --color=never watch -c 1 -n 0", "\033[H\033[2J|REGION|camera");
	expect("/rmem-heap --json watch -c 2 -n 0", 0, "[{\"name\":|}]\n[{\"name\":|}]\n|!,\n");
	expect_on(10000, "/rmem-heap --json watch -c 2 -n 0",
		  "[{\"name\":|}]\r\n[{\"name\":|}]\r\n|!\033");
	expect("/rmem-heap watch -n x", 2, "no number");

	/* A device that comes and goes: its links do, too */
	expect("/rmem-heap info scratch@2d000000", 0,
	       "exported by|driver of scratcher|devices|scratcher|referred by|/scratcher");
	check(write_to("/sys/bus/platform/drivers/rmem-heap-sample/unbind", "scratcher"),
	      "the sample driver is unbound");
	expect("/rmem-heap info scratch@2d000000", 0,
	       "its driver is gone|devices       -|referred by|/scratcher");
	expect("/rmem-heap ls", 0, "scratch@2d000000|(/scratcher)");
	expect("/rmem-heap alloc scratch@2d000000 4K", 1, "the driver that exported it is gone");
	check(write_to("/sys/bus/platform/drivers/rmem-heap-sample/bind", "scratcher"),
	      "and bound again");
	expect("/rmem-heap info scratch@2d000000", 0, "devices       scratcher|!gone");
	expect("/rmem-heap alloc scratch@2d000000 4K", 0, "4 KiB");

	check_limit("guest@18000000", "a limit of half a restricted pool");
	check_limit("vram@14000000", "a limit of half a coherent pool");
	check_limit("ecc-off@20000000", "a limit of half a carveout");

	/* The class and no region, no heap either, no class, and no /sys */
	mount("ramfs", "/sys/class/rmem_heap", "ramfs", 0, NULL);
	expect("/rmem-heap ls", 0,
	       "system|?|\n? is not known: the device tree has no reserved-memory regions");
	expect("/rmem-heap info system", 0,
	       "mode          ? (no region of the device tree has this name)");
	mount("ramfs", "/dev/dma_heap", "ramfs", 0, NULL);
	expect("/rmem-heap ls", 1,
	       "no heap in /dev/dma_heap: the device tree has no reserved-memory regions");
	expect("/rmem-heap --json ls", 0, "[]");
	expect("/rmem-heap info camera", 1, "no region or heap camera: the device tree has no");
	mount("ramfs", "/sys/class", "ramfs", 0, NULL);
	expect("/rmem-heap ls", 1, "no heap in /dev/dma_heap: this kernel has no CONFIG_RMEM_HEAP");
	mount("ramfs", "/sys", "ramfs", 0, NULL);
	expect("/rmem-heap ls", 1, "no heap in /dev/dma_heap: /sys is not mounted");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	need_own_machine();

	if (getenv("plain"))
		check_plain(getenv("heap"));
	else
		check_tool();
	return finish();
}
