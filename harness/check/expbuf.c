// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded, for programs that import what a video device exports and know nothing of heaps:
 * VIDIOC_EXPBUF gives them a buffer of the heap /dev/dma_heap/$HEAP, of the size that the one
 * of the video device has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*ioctl_fn)(int fd, unsigned long request, void *arg);

static int from_heap(ioctl_fn real, int video, struct v4l2_exportbuffer *exp)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { };
	struct v4l2_buffer buf = { .type = exp->type, .index = exp->index };
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR | O_CLOEXEC };
	char path[512];
	int heap, ret;

	if (V4L2_TYPE_IS_MULTIPLANAR(exp->type)) {
		buf.m.planes = planes;
		buf.length = VIDEO_MAX_PLANES;
	}
	if (real(video, VIDIOC_QUERYBUF, &buf))
		return -1;
	data.len = buf.m.planes == planes ? planes[exp->plane].length : buf.length;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", getenv("HEAP") ?: "");
	heap = open(path, O_RDONLY | O_CLOEXEC);
	if (heap < 0)
		return -1;
	ret = real(heap, DMA_HEAP_IOCTL_ALLOC, &data);
	close(heap);
	if (ret)
		return -1;
	exp->fd = data.fd;
	fprintf(stderr, "expbuf: a buffer of %s\n", path);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	ioctl_fn real = (ioctl_fn)dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return request == VIDIOC_EXPBUF ? from_heap(real, fd, arg) : real(fd, request, arg);
}
