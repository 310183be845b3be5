// SPDX-License-Identifier: GPL-2.0
/*
 * A first program that needs nothing of ours: it loads /cma_heap.ko if that is there, prints
 * the names in /dev/dma_heap, a line "heap: NAME" each, and powers off.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	int module = open("/cma_heap.ko", O_RDONLY);
	struct dirent *entry;
	DIR *dir;

	/* The kernel has mounted it already if it has CONFIG_DEVTMPFS_MOUNT. */
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	if (module >= 0 && syscall(SYS_finit_module, module, "", 0))
		perror("cma_heap.ko");
	dir = opendir("/dev/dma_heap");
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			printf("heap: %s\n", entry->d_name);
	printf("heaps: done\n");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
