// SPDX-License-Identifier: GPL-2.0
/*
 * Real drivers import buffers of every kind of heap, and the data has to be right. Prints TAP.
 * harness/test_machines.py has the machine.
 *
 * From the environment: heaps=NAME:..., the heaps that there must be, and parts=PART:...
 *	vivid		capture from and output to both allocators of vivid
 *	beyond		vivid cannot reach the regions above 4 GiB
 *	edu		QEMU's edu, a PCI device that reaches all memory
 *	iommu		the same behind an IOMMU. A pool that the device is assigned to, pool=NAME,
 *			bounces nothing there
 *	bounce		edu behind that pool
 *	consumer	the test consumers, one for each kind of region
 * break=WHAT spoils the test itself: frame, pattern, copy, tail, order, route or report.
 */
#define _GNU_SOURCE
#include <linux/videodev2.h>
#include <poll.h>

#include "rmem-heap-importers.h"
#include "rmem_heap_consumer.h"
#include "rmem_heap_edu.h"

#define LEN		MIB
#define UNTOUCHED	0xa5
#define FRAMES		3

/* The memory that buffers come from. */
struct source {
	const char *name;
	uint64_t base, size;	/* of the region, 0 if it has none */
	bool cpu;		/* buffers can be mapped by programs */
	bool pages;		/* they can be bounced: memory with struct pages */
	bool chains;		/* they are pieces of up to 256 KiB */
};

static struct source sources[16];
static unsigned int nr_sources, nr_heaps;
static const char *spoil = "";

static bool spoilt(const char *what)
{
	return !strcmp(spoil, what);
}

/* Buffers */

static int alloc(const struct source *src, size_t len)
{
	return source_alloc(src->name, len);
}

static void sync_or_fail(int fd, uint64_t flags)
{
	if (sync_cpu(fd, flags))
		fail("sync");
}

static uint8_t *map_cpu(int fd, size_t len)
{
	uint8_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		fail("mmap");
	return mem;
}

/* Differs from page to page, and from seed to seed */
static uint8_t pattern(unsigned int seed, size_t pos)
{
	return seed * 31 + 7 * pos + (pos >> 12);
}

/* An access by the CPU, with all that has to be around it */
static void fill(int fd, size_t len, unsigned int seed, bool flat)
{
	uint8_t *mem = map_cpu(fd, len);
	size_t i;

	sync_or_fail(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < len; i++)
		mem[i] = flat ? seed : pattern(seed, i);
	sync_or_fail(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	munmap(mem, len);
}

static void take(int fd, size_t len, uint8_t *copy)
{
	uint8_t *mem = map_cpu(fd, len);

	sync_or_fail(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	memcpy(copy, mem, len);
	sync_or_fail(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	munmap(mem, len);
}

/* vivid */

#define CID_TEST_PATTERN	(0x00f00000 | 0xf000)
#define CID_OSD_TEXT_MODE	(CID_TEST_PATTERN + 1)
#define OSD_NONE		2
#define COLOUR_BARS		0
#define WEBCAM			0
#define SVIDEO			1

/*
 * struct camera - a video device
 * @what: of which allocator, for the names of tests
 * @contig: the allocator is vb2-dma-contig, else vb2-vmalloc
 * @type: of its buffers
 */
struct camera {
	int fd;
	const char *what;
	bool contig;
	unsigned int type;
	unsigned int size;
};

static struct camera camera_open(unsigned int instance, bool contig, bool output)
{
	unsigned int cap = output ? V4L2_CAP_VIDEO_OUTPUT : V4L2_CAP_VIDEO_CAPTURE;
	struct camera cam = {
		.what = contig ? "vivid (dma-contig)" : "vivid (vmalloc)",
		.contig = contig,
		.type = output ? V4L2_BUF_TYPE_VIDEO_OUTPUT : V4L2_BUF_TYPE_VIDEO_CAPTURE,
	};
	struct v4l2_capability info;
	char path[32], bus[32];
	int i;

	snprintf(bus, sizeof(bus), "platform:vivid-%03u", instance);
	for (i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		cam.fd = open(path, O_RDWR | O_CLOEXEC);
		if (cam.fd < 0)
			continue;
		if (!ioctl(cam.fd, VIDIOC_QUERYCAP, &info) &&
		    !strcmp((char *)info.bus_info, bus) && (info.device_caps & cap))
			return cam;
		close(cam.fd);
	}
	errno = ENODEV;
	fail("%s of %s", output ? "output" : "capture", bus);
	return cam;
}

static void camera_format(struct camera *cam, unsigned int width, unsigned int height)
{
	struct v4l2_format format = { .type = cam->type };

	format.fmt.pix.width = width;
	format.fmt.pix.height = height;
	format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
	format.fmt.pix.field = V4L2_FIELD_ANY;
	if (ioctl(cam->fd, VIDIOC_S_FMT, &format))
		fail("%s: format", cam->what);
	if (format.fmt.pix.width != width || format.fmt.pix.height != height ||
	    format.fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV)
		fail("%s: it wants %ux%u", cam->what, format.fmt.pix.width,
		     format.fmt.pix.height);
	cam->size = format.fmt.pix.sizeimage;
}

static void camera_control(const struct camera *cam, unsigned int id, int value)
{
	struct v4l2_control control = { .id = id, .value = value };

	if (ioctl(cam->fd, VIDIOC_S_CTRL, &control))
		fail("%s: control %x", cam->what, id);
}

/*
 * Sets a choice that stays: vivid may put it back to the default. A work item that setting
 * it starts masks the outputs in use, and may run before it sees that this one is ours.
 */
static void camera_choose(const struct camera *cam, unsigned int id, int value)
{
	struct v4l2_control control = { .id = id };
	int tries;

	for (tries = 0; tries < 10; tries++) {
		camera_control(cam, id, value);
		usleep(300000);
		if (!ioctl(cam->fd, VIDIOC_G_CTRL, &control) && control.value == value)
			return;
		printf("# vivid has put control %x back to %d\n", id, control.value);
	}
	errno = EAGAIN;
	fail("%s: control %x", cam->what, id);
}

/* The control and the choice are known by what they are called. */
static void camera_connect(const struct camera *cam, const char *output)
{
	struct v4l2_queryctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	struct v4l2_querymenu menu;

	for (; !ioctl(cam->fd, VIDIOC_QUERYCTRL, &query);
	     query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
		if (strncmp((char *)query.name, "S-Video", 7) ||
		    !strstr((char *)query.name, "Is Connected To"))
			continue;
		menu = (struct v4l2_querymenu) { .id = query.id };
		for (; (int)menu.index <= query.maximum; menu.index++) {
			if (ioctl(cam->fd, VIDIOC_QUERYMENU, &menu) ||
			    strcmp((char *)menu.name, output))
				continue;
			camera_choose(cam, query.id, menu.index);
			return;
		}
	}
	errno = ENOENT;
	fail("%s: %s", cam->what, output);
}

static void camera_buffers(const struct camera *cam, unsigned int memory, unsigned int n)
{
	struct v4l2_requestbuffers req = { .count = n, .type = cam->type, .memory = memory };

	/* There may be more than are wanted; those stay unused. */
	if (ioctl(cam->fd, VIDIOC_REQBUFS, &req) || req.count < n)
		fail("%s: %u buffers", cam->what, n);
}

/* With a dma-buf, this is where the driver attaches and maps it, or uses vmap. */
static int camera_queue(const struct camera *cam, unsigned int memory, unsigned int i, int fd)
{
	struct v4l2_buffer buf = { .index = i, .type = cam->type, .memory = memory };

	if (memory == V4L2_MEMORY_DMABUF)
		buf.m.fd = fd;
	if (cam->type == V4L2_BUF_TYPE_VIDEO_OUTPUT) {
		buf.bytesused = cam->size;
		buf.field = V4L2_FIELD_INTERLACED;
	}
	return ioctl(cam->fd, VIDIOC_QBUF, &buf) ? -errno : 0;
}

/* The number of the buffer that is done, and no other than a good one */
static int camera_done(const struct camera *cam, unsigned int memory)
{
	struct v4l2_buffer buf = { .type = cam->type, .memory = memory };
	struct pollfd pfd = { .fd = cam->fd, .events = POLLIN | POLLOUT };

	if (poll(&pfd, 1, 10000) != 1) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (ioctl(cam->fd, VIDIOC_DQBUF, &buf))
		return -1;
	if (buf.flags & V4L2_BUF_FLAG_ERROR) {
		errno = EIO;
		return -1;
	}
	return buf.index;
}

static void camera_stream(const struct camera *cam, bool on)
{
	int type = cam->type;

	if (ioctl(cam->fd, on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type))
		fail("%s: stream %s", cam->what, on ? "on" : "off");
}

/* A frame in vivid's own memory: what all others are compared with */
static void camera_reference(const struct camera *cam, uint8_t *frame)
{
	struct v4l2_buffer buf = {
		.type = cam->type,
		.memory = V4L2_MEMORY_MMAP,
	};
	void *mem;

	camera_buffers(cam, V4L2_MEMORY_MMAP, 1);
	if (ioctl(cam->fd, VIDIOC_QUERYBUF, &buf))
		fail("%s: its own buffer", cam->what);
	mem = mmap(NULL, buf.length, PROT_READ, MAP_SHARED, cam->fd, buf.m.offset);
	if (mem == MAP_FAILED || camera_queue(cam, V4L2_MEMORY_MMAP, 0, -1))
		fail("%s: its own buffer", cam->what);
	camera_stream(cam, true);
	if (camera_done(cam, V4L2_MEMORY_MMAP))
		fail("%s: a frame", cam->what);
	memcpy(frame, mem, cam->size);
	camera_stream(cam, false);
	munmap(mem, buf.length);
	camera_buffers(cam, V4L2_MEMORY_MMAP, 0);
}

/* How many levels of luminance the first line has */
static unsigned int levels(const uint8_t *line, unsigned int width)
{
	bool seen[256] = { };
	unsigned int i, n = 0;

	for (i = 0; i < width; i++) {
		n += !seen[line[2 * i]];
		seen[line[2 * i]] = true;
	}
	return n;
}

/*
 * Frames into buffers, each of which may be of another source: true if every one is what
 * the reference is, and nothing is written behind them. *err is what queueing has met.
 */
static bool capture(const struct camera *cam, const int *fds, unsigned int n, size_t len,
		    const uint8_t *reference, int *err)
{
	uint8_t *copy = malloc(len);
	bool right = true, done[8] = { };
	unsigned int i;
	size_t pos;
	int ret;

	for (i = 0; i < n; i++)
		fill(fds[i], len, UNTOUCHED, true);

	camera_buffers(cam, V4L2_MEMORY_DMABUF, n);
	*err = 0;
	for (i = 0; i < n && !*err; i++)
		*err = camera_queue(cam, V4L2_MEMORY_DMABUF, i, fds[i]);
	if (!*err) {
		camera_stream(cam, true);
		for (i = 0; i < n; i++) {
			ret = camera_done(cam, V4L2_MEMORY_DMABUF);
			if (ret < 0) {
				*err = -errno;
				break;
			}
			done[ret] = true;
		}
		camera_stream(cam, false);
	}
	camera_buffers(cam, V4L2_MEMORY_DMABUF, 0);

	for (i = 0; i < n && !*err; i++) {
		take(fds[i], len, copy);
		if (spoilt("frame") && i == n - 1)
			copy[cam->size / 2] ^= 1;
		if (spoilt("tail") && i == n - 1)
			copy[cam->size] ^= 1;
		right &= done[i] && !memcmp(copy, reference, cam->size);
		for (pos = cam->size; pos < len; pos++)
			right &= copy[pos] == UNTOUCHED;
	}
	free(copy);
	return right && !*err;
}

/* Imported and let go, without a frame: 0, or what refuses it */
static int import(const struct camera *cam, int fd)
{
	struct v4l2_buffer buf = { .type = cam->type, .memory = V4L2_MEMORY_DMABUF };
	int ret;

	camera_buffers(cam, V4L2_MEMORY_DMABUF, 1);
	ret = camera_queue(cam, V4L2_MEMORY_DMABUF, 0, fd);
	if (!ret && (ioctl(cam->fd, VIDIOC_QUERYBUF, &buf) ||
		     !(buf.flags & V4L2_BUF_FLAG_QUEUED)))
		fail("%s: the buffer was not queued", cam->what);
	camera_buffers(cam, V4L2_MEMORY_DMABUF, 0);
	return ret;
}

/*
 * A picture from one buffer, through vivid's cable, to another: vivid reads the one and
 * writes the other. The first frames may have been made before the picture was there.
 */
static bool loop(const struct camera *out, const struct camera *in, const struct source *from,
		 const struct source *to, unsigned int seed)
{
	size_t len = (out->size + 4095) & ~4095UL;
	int src[2], dst[FRAMES], i, ret, tries;
	uint8_t *picture = malloc(len), *copy = malloc(len);
	bool right = false;

	for (i = 0; i < 2; i++) {
		src[i] = alloc(from, len);
		fill(src[i], len, seed, false);
	}
	take(src[0], len, picture);
	if (spoilt("pattern"))
		picture[out->size / 3] ^= 1;
	camera_buffers(out, V4L2_MEMORY_DMABUF, 2);
	camera_buffers(in, V4L2_MEMORY_DMABUF, FRAMES);
	for (i = 0; i < 2; i++) {
		ret = camera_queue(out, V4L2_MEMORY_DMABUF, i, src[i]);
		if (ret) {
			errno = -ret;
			fail("%s: output from %s", out->what, from->name);
		}
	}
	for (i = 0; i < FRAMES; i++) {
		dst[i] = alloc(to, len);
		fill(dst[i], len, UNTOUCHED, true);
		ret = camera_queue(in, V4L2_MEMORY_DMABUF, i, dst[i]);
		if (ret) {
			errno = -ret;
			fail("%s: capture into %s", in->what, to->name);
		}
	}
	camera_stream(out, true);
	camera_stream(in, true);
	for (tries = 0; tries < 20 && !right; tries++) {
		i = camera_done(in, V4L2_MEMORY_DMABUF);
		if (i < 0)
			break;
		take(dst[i], len, copy);
		right = !memcmp(copy, picture, out->size);
		camera_queue(in, V4L2_MEMORY_DMABUF, i, dst[i]);
	}
	if (!right) {
		size_t pos, n = 0;

		for (pos = 0; pos < out->size; pos++)
			n += copy[pos] != picture[pos];
		printf("# %zu of %u bytes wrong in frame %d (%s)\n", n, out->size, tries,
		       i < 0 ? strerror(errno) : "the last one");
	}
	camera_stream(in, false);
	camera_stream(out, false);
	camera_buffers(in, V4L2_MEMORY_DMABUF, 0);
	camera_buffers(out, V4L2_MEMORY_DMABUF, 0);
	for (i = 0; i < FRAMES; i++)
		close(dst[i]);
	for (i = 0; i < 2; i++)
		close(src[i]);
	free(picture);
	free(copy);
	return right;
}

static const struct source *source(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_sources; i++)
		if (!strncmp(sources[i].name, name, strlen(name)))
			return &sources[i];
	errno = ENOENT;
	fail("%s", name);
	return NULL;
}

/* The next source after one that programs can map, and that is in one piece if need be */
static const struct source *next_with_cpu(unsigned int i, bool contig)
{
	do
		i = (i + 1) % nr_sources;
	while (!sources[i].cpu || (contig && sources[i].chains));
	return &sources[i];
}

/* Both of vivid's instances are one device each, with a camera and a cable as its inputs. */
static void vivid_input(const struct camera *in, int input)
{
	if (ioctl(in->fd, VIDIOC_S_INPUT, &input))
		fail("%s: input %d", in->what, input);
}

/*
 * A buffer of two chunks that do not touch, from a restricted pool: its chunks are of
 * 256 KiB, so every second one is taken.
 */
static int alloc_chain(const struct source *src, int *held, unsigned int *nr, unsigned int max)
{
	unsigned int i, n;
	int fd;

	for (n = 0; n < max; n++) {
		held[n] = heap_alloc(src->name, 256 * KIB);
		if (held[n] < 0)
			break;
	}
	for (i = 1; i < n; i += 2) {
		close(held[i]);
		held[i] = -1;
	}
	*nr = n;
	fd = heap_alloc(src->name, 512 * KIB);
	if (fd < 0) {
		errno = -fd;
		fail("a chain from %s", src->name);
	}
	return fd;
}

static void vivid_chain(struct camera *cam, const struct source *src, uint8_t *reference)
{
	unsigned int nr, i;
	int held[256], fd, err;
	bool right;

	camera_format(cam, 640, 360);
	camera_reference(cam, reference);
	fd = alloc_chain(src, held, &nr, 256);
	right = capture(cam, &fd, 1, 512 * KIB, reference, &err);
	if (cam->contig)
		result(err == -EFAULT, "%s: a chain of %s is refused as not contiguous (%s)",
		       cam->what, src->name, strerror(-err));
	else
		result(right, "%s: captures into a chain of %s", cam->what, src->name);
	close(fd);
	for (i = 0; i < nr; i++)
		if (held[i] >= 0)
			close(held[i]);

	/* Nothing of the refused import is left. */
	camera_format(cam, 320, 180);
	camera_reference(cam, reference);
	fd = alloc(src, 128 * KIB);
	right = capture(cam, &fd, 1, 128 * KIB, reference, &err);
	result(right, "%s: captures into one chunk of %s after it", cam->what, src->name);
	close(fd);
}

static void vivid_instance(unsigned int instance, bool contig)
{
	struct camera in = camera_open(instance, contig, false);
	struct camera out = camera_open(instance, contig, true);
	uint8_t *reference, *last;
	unsigned int i, j, n, width;
	int fds[8], err;
	size_t len;
	char name[32];

	/*
	 * Not a multiple of pages. More than a chunk of a restricted pool where a device can
	 * do with chains, else less than one.
	 */
	vivid_input(&in, WEBCAM);
	width = contig ? 320 : 640;
	len = contig ? 128 * KIB : 512 * KIB;
	camera_format(&in, width, width * 9 / 16);
	camera_control(&in, CID_OSD_TEXT_MODE, OSD_NONE);
	reference = malloc(MIB);
	last = calloc(1, MIB);

	camera_control(&in, CID_TEST_PATTERN, COLOUR_BARS);
	camera_reference(&in, reference);
	result(levels(reference, width) == 8, "%s: its own frame has eight bars", in.what);

	for (i = 0; i < nr_sources; i++) {
		const struct source *src = &sources[i];

		if (!src->cpu) {
			/*
			 * Queued and no more: vivid has the CPU write the frame, and does
			 * not look whether it can.
			 */
			fds[0] = alloc(src, len);
			err = import(&in, fds[0]);
			result(err == (contig ? 0 : -EFAULT), "%s: %s %s (%s)", in.what,
			       contig ? "imports" : "cannot vmap", src->name, strerror(-err));
			close(fds[0]);
			continue;
		}

		/* Each with a picture that the last one had not */
		camera_control(&in, CID_TEST_PATTERN, i % 4);
		camera_reference(&in, reference);
		if (!memcmp(reference, last, in.size))
			fail("%s: two patterns are the same", in.what);
		memcpy(last, reference, in.size);

		for (j = 0; j < FRAMES; j++)
			fds[j] = alloc(src, len);
		result(capture(&in, fds, FRAMES, len, reference, &err),
		       "%s: captures into %s (%s)", in.what, src->name, strerror(-err));
		for (j = 0; j < FRAMES; j++)
			close(fds[j]);
	}

	/* All of them in one go */
	for (i = 0, n = 0; i < nr_sources; i++)
		if (sources[i].cpu)
			fds[n++] = alloc(&sources[i], len);
	result(capture(&in, fds, n, len, reference, &err),
	       "%s: captures into buffers of %u heaps and udmabuf in turn (%s)", in.what, n - 1,
	       strerror(-err));
	while (n)
		close(fds[--n]);

	vivid_chain(&in, source("guest@"), reference);

	vivid_input(&in, SVIDEO);
	snprintf(name, sizeof(name), "Output S-Video %03u-0", instance);
	camera_connect(&in, name);
	camera_format(&in, 720, 576);
	camera_format(&out, 720, 576);
	for (i = 0; i < nr_sources; i++) {
		const struct source *to = next_with_cpu(i, contig);

		/* The pictures are too large for one chunk. */
		if (sources[i].cpu && !(contig && sources[i].chains))
			result(loop(&out, &in, &sources[i], to, i + 1),
			       "%s: puts out from %s, what %s gets", in.what, sources[i].name,
			       to->name);
	}
	close(in.fd);
	close(out.fd);
	free(reference);
	free(last);
}

static void vivid_part(void)
{
	vivid_instance(0, true);
	vivid_instance(1, false);
}

/* vivid's DMA has 32 bits, and there is nothing to bounce through. */
static void beyond_part(void)
{
	struct camera in = camera_open(0, true, false);
	unsigned int i;
	int fd, err;

	vivid_input(&in, WEBCAM);
	camera_format(&in, 320, 180);
	for (i = 0; i < nr_heaps; i++) {
		bool far = sources[i].base >> 32;

		if (spoilt("order"))
			far = !far;
		fd = alloc(&sources[i], 128 * KIB);
		err = import(&in, fd);
		result(err == (far ? -EBUSY : 0), "%s: %s, %s 4 GiB: %s", in.what,
		       sources[i].name, far ? "above" : "below", strerror(-err));
		close(fd);
	}
	close(in.fd);
}

/* edu */

struct edu {
	int fd;
	struct rmem_edu_map map;
};

static int edu_map(struct edu *edu, int dmabuf)
{
	edu->fd = open("/dev/rmem-edu", O_RDWR | O_CLOEXEC);
	if (edu->fd < 0)
		fail("/dev/rmem-edu");
	edu->map = (struct rmem_edu_map) { .fd = dmabuf };
	if (!ioctl(edu->fd, RMEM_EDU_MAP, &edu->map))
		return 0;
	close(edu->fd);
	return -errno;
}

static void edu_copy(struct edu *edu, size_t offset, unsigned int len, bool to_buffer)
{
	struct rmem_edu_copy copy = { .offset = offset, .len = len, .to_buffer = to_buffer };

	if (ioctl(edu->fd, RMEM_EDU_COPY, &copy))
		fail("edu: %u bytes %s %zx", len, to_buffer ? "to" : "from", offset);
}

static bool edu_inside(const struct edu *edu, const struct source *src)
{
	return edu->map.len == LEN && edu->map.lowest >= src->base &&
	       edu->map.highest < src->base + src->size;
}

static bool edu_outside(const struct edu *edu, const struct source *src)
{
	return edu->map.len == LEN && (edu->map.highest < src->base ||
				       edu->map.lowest >= src->base + src->size);
}

/* The start, the end, and where the chunks of a restricted pool meet */
static const struct piece {
	size_t from, to;
	unsigned int len;
} pieces[] = {
	{ 0, LEN - RMEM_EDU_MEMORY, RMEM_EDU_MEMORY },
	{ 256 * KIB - 1000, 4, 1999 },
	{ LEN - RMEM_EDU_MEMORY, 512 * KIB - 24, RMEM_EDU_MEMORY },
};

/* Bytes of @copy that are not what they should be after the pieces were copied */
static size_t wrong(const uint8_t *copy, unsigned int seed)
{
	size_t pos, n = 0;
	unsigned int i;

	for (pos = 0; pos < LEN; pos++) {
		uint8_t want = UNTOUCHED;

		for (i = 0; i < ARRAY_SIZE(pieces); i++)
			if (pos >= pieces[i].to && pos - pieces[i].to < pieces[i].len)
				want = pattern(seed, pos - pieces[i].to + pieces[i].from);
		n += copy[pos] != want;
	}
	return n;
}

/*
 * From one buffer to another, both mapped all the time, by the device alone. What a CPU
 * wrote before is seen by the device, and what the device writes by the CPU.
 */
static size_t edu_between(const struct source *from, const struct source *to, unsigned int seed)
{
	int a = alloc(from, LEN), b = alloc(to, LEN);
	uint8_t *copy = malloc(LEN);
	struct edu src, dst;
	unsigned int i;
	size_t n;

	if (edu_map(&src, a) || edu_map(&dst, b))
		fail("edu: %s and %s", from->name, to->name);
	/* Whoever bounces needs the calls of sync_cpu() to notice this. */
	fill(a, LEN, seed, false);
	fill(b, LEN, UNTOUCHED, true);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		edu_copy(&src, pieces[i].from, pieces[i].len, false);
		edu_copy(&dst, pieces[i].to, pieces[i].len, true);
	}
	if (spoilt("copy"))
		edu_copy(&dst, 300 * KIB, 1, true);
	take(b, LEN, copy);
	n = wrong(copy, seed);
	close(src.fd);
	close(dst.fd);
	/* Unmapping gives the buffer what was bounced, and takes nothing away. */
	take(b, LEN, copy);
	n += wrong(copy, seed);
	free(copy);
	close(a);
	close(b);
	return n;
}

/* Into memory that no CPU sees and out of it again */
static size_t edu_through(const struct source *dark, const struct source *lit)
{
	int a = alloc(lit, LEN), b = alloc(dark, LEN), c = alloc(lit, LEN);
	uint8_t *copy = malloc(LEN);
	struct edu src, mid, dst;
	unsigned int i;
	size_t n;

	fill(a, LEN, 77, false);
	fill(c, LEN, UNTOUCHED, true);
	if (edu_map(&src, a) || edu_map(&mid, b) || edu_map(&dst, c))
		fail("edu: %s", dark->name);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		edu_copy(&src, pieces[i].from, pieces[i].len, false);
		edu_copy(&mid, pieces[i].from, pieces[i].len, true);
	}
	/* The device's own memory has forgotten all of it by now. */
	edu_copy(&src, 700 * KIB, RMEM_EDU_MEMORY, false);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		if (!spoilt("copy"))
			edu_copy(&mid, pieces[i].from, pieces[i].len, false);
		edu_copy(&dst, pieces[i].to, pieces[i].len, true);
	}
	take(c, LEN, copy);
	n = wrong(copy, 77);
	close(src.fd);
	close(mid.fd);
	close(dst.fd);
	free(copy);
	close(a);
	close(b);
	close(c);
	return n;
}

/* Programs get nowhere near it. */
static void dark_part(const struct source *src)
{
	int fd = alloc(src, LEN);
	bool mapped = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;
	int err = sync_cpu(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);

	result(!mapped && err == -EOPNOTSUPP, "%s: no access by the CPU (%s)", src->name,
	       strerror(-err));
	close(fd);
}

/* Slots of the pool that are in use */
static long slots(const struct source *pool)
{
	char path[512];
	char *text;

	snprintf(path, sizeof(path), "/sys/kernel/debug/swiotlb/%s/io_tlb_used", pool->name);
	text = read_text(path);
	if (!text) {
		/* Where a pool comes that was set up before that folder was. */
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/io_tlb_used", pool->name);
		text = read_text(path);
	}
	if (!text)
		fail("%s", path);
	return atol(text);
}

/* Behind an IOMMU the addresses are its own, and nothing bounces. */
static void edu_part(bool translated, const struct source *pool)
{
	unsigned int i;
	struct edu edu;
	long before, released;
	bool right;
	size_t n;
	int fd;

	for (i = 0; i < nr_heaps; i++) {
		const struct source *src = &sources[i], *to = next_with_cpu(i, false);

		fd = alloc(src, LEN);
		before = pool ? slots(pool) : 0;
		if (edu_map(&edu, fd))
			fail("edu: %s", src->name);
		if (pool)
			result(slots(pool) == before, "edu: %s takes no slot of %s", src->name,
			       pool->name);
		right = translated ? edu_outside(&edu, src) : edu_inside(&edu, src);
		result(right != spoilt("route"), "edu: %s: %u entries, at %#llx to %#llx",
		       src->name, edu.map.nents, (unsigned long long)edu.map.lowest,
		       (unsigned long long)edu.map.highest);
		close(edu.fd);
		/* The buffer is still there, and so are its slots. */
		released = pool ? before - slots(pool) : 0;
		if (pool)
			result(!released, "edu: unmapping %s releases %ld slots of %s", src->name,
			       released, pool->name);
		close(fd);

		if (!src->cpu) {
			dark_part(src);
			n = edu_through(src, to);
			result(!n, "edu: from %s to %s and back: %zu bytes wrong", to->name,
			       src->name, n);
			continue;
		}
		n = edu_between(src, src, i);
		result(!n, "edu: within %s: %zu bytes wrong", src->name, n);
		n = edu_between(src, to, i + 100);
		result(!n, "edu: from %s to %s: %zu bytes wrong", src->name, to->name, n);
	}
	n = edu_between(source("udmabuf"), source("video@"), 200);
	result(!n, "edu: from udmabuf to video: %zu bytes wrong", n);
}

/*
 * All that edu does goes through the pool. A buffer that is in there already must not be
 * copied: the device has the memory's own address, no slot is taken, and CPU and device
 * see what the other writes at once. With any other buffer all of this is different.
 */
static void bounce_part(const struct source *pool)
{
	uint8_t *mem;
	unsigned int i;
	struct edu edu;
	bool at_once;
	long before, taken;
	int fd, err;
	size_t n;

	/* udmabuf's sync calls do not care for importers, so that it could not be right. */
	for (i = 0; i < nr_heaps; i++) {
		const struct source *src = &sources[i];
		bool own = src == pool;

		if (spoilt("route"))
			own = !own;
		fd = alloc(src, LEN);
		before = slots(pool);
		err = edu_map(&edu, fd);
		if (!src->pages) {
			result(err == -EBUSY, "edu behind %s: %s is refused (%s)", pool->name,
			       src->name, strerror(-err));
			close(fd);
			continue;
		}
		if (err)
			fail("edu behind %s: %s", pool->name, src->name);

		taken = slots(pool) - before;
		result(edu_inside(&edu, pool), "edu behind %s: %s: DMA at %#llx to %#llx",
		       pool->name, src->name, (unsigned long long)edu.map.lowest,
		       (unsigned long long)edu.map.highest);
		/* Slots are of 2 KiB. */
		result(taken == (own ? 0 : (long)(LEN / (2 * KIB))),
		       "edu behind %s: %s takes %ld slots", pool->name, src->name, taken);

		/* No sync on purpose, the device being coherent */
		mem = map_cpu(fd, LEN);
		memset(mem, UNTOUCHED, LEN);
		memset(mem + 4096, 0x3c, 1000);
		edu_copy(&edu, 4096, 1000, false);
		edu_copy(&edu, 8192, 1000, true);
		at_once = mem[8192] == 0x3c && mem[8192 + 999] == 0x3c;
		result(at_once == own, "edu behind %s: %s is %sseen as it is", pool->name,
		       src->name, own ? "" : "not ");
		munmap(mem, LEN);
		close(edu.fd);
		close(fd);
		result(slots(pool) == before - (own ? (long)(LEN / (2 * KIB)) : 0),
		       "edu behind %s: %s leaves no slot behind", pool->name, src->name);

		n = edu_between(src, pool, i);
		result(!n, "edu behind %s: from %s: %zu bytes wrong", pool->name, src->name, n);
		n = edu_between(pool, src, i + 100);
		result(!n, "edu behind %s: to %s: %zu bytes wrong", pool->name, src->name, n);
	}
}

/* The test consumers */

static void consumer_import(int dev, const char *who, const struct rmem_consumer_info *info,
			    const struct source *src)
{
	const struct source *own = info->region[0] ? source(info->region) : NULL;
	struct rmem_consumer_dma dma = { .seed = 5, .write = 1 };
	struct rmem_consumer_map map = { };
	bool bounces = own && !strncmp(own->name, "guest@", 6);
	bool right, inside;
	uint8_t *copy;
	size_t pos;
	int fd;

	fd = alloc(src, LEN);
	map.fd = fd;
	if (bounces && (!src->pages || !src->size)) {
		/* udmabuf does not split its large page into what can be bounced. */
		int err = src->size ? EBUSY : EIO;

		right = ioctl(dev, RMEM_CONSUMER_MAP, &map) && errno == err;
		result(right, "%s: %s is refused (%s)", who, src->name,
		       right ? strerror(err) : "it is not, or otherwise");
		close(fd);
		return;
	}

	if (ioctl(dev, RMEM_CONSUMER_MAP, &map) || ioctl(dev, RMEM_CONSUMER_DMA, &dma))
		fail("%s: %s", who, src->name);
	inside = src == own || bounces;
	if (spoilt("route"))
		inside = !inside;
	right = map.len == LEN && map.inside == (inside ? LEN : 0);
	ioctl(dev, RMEM_CONSUMER_UNMAP);

	/* What the CPU sees, where it can; and what a device sees that maps it again */
	if (src->cpu) {
		copy = malloc(LEN);
		take(fd, LEN, copy);
		if (spoilt("copy"))
			copy[LEN - 1] ^= 1;
		for (pos = 0; pos < LEN; pos++)
			right &= copy[pos] == (uint8_t)(dma.seed + 7 * pos + (pos >> 12));
		free(copy);
	}
	dma.write = 0;
	if (ioctl(dev, RMEM_CONSUMER_MAP, &map) || ioctl(dev, RMEM_CONSUMER_DMA, &dma))
		fail("%s: %s, again", who, src->name);
	right &= !dma.bad;
	dma.seed++;
	ioctl(dev, RMEM_CONSUMER_DMA, &dma);
	right &= dma.bad == LEN;
	ioctl(dev, RMEM_CONSUMER_UNMAP);
	result(right, "%s: imports %s, %u entries, %s", who, src->name, map.nents,
	       src == own ? "its own" : bounces ? "bounced" : "not its own");
	close(fd);
}

static void consumer_part(void)
{
	struct rmem_consumer_info info;
	struct dirent **names;
	char path[512];
	int i, n, dev;
	unsigned int j;

	n = scandir("/dev", &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (strncmp(names[i]->d_name, "rmem-consumer-", 14))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", names[i]->d_name);
		dev = open(path, O_RDWR | O_CLOEXEC);
		if (dev < 0 || ioctl(dev, RMEM_CONSUMER_INFO, &info))
			fail("%s", path);
		for (j = 0; j < nr_sources; j++)
			consumer_import(dev, names[i]->d_name + 5, &info, &sources[j]);
		close(dev);
	}
}

/* What there is */

/* A source's properties are those of sysfs, which the names in the tree agree with. */
static void add_heap(const char *name)
{
	static const struct {
		const char *prefix, *mode, *cpu;
	} kinds[] = {
		{ "video@", "cma", "cached" },
		{ "vram@", "coherent", "write-combined" },
		{ "guest@", "restricted", "cached" },
		{ "bank@", "carveout", "cached" },
		{ "dsp@", "carveout", "none" },
	};
	char *mode = strdup(attribute_text(name, "mode") ?: "");
	char *cpu = strdup(attribute_text(name, "cpu_access") ?: "");
	char *base = strdup(attribute_text(name, "base") ?: "");
	struct source *src = &sources[nr_sources++];
	unsigned int i;
	bool known = false;

	src->name = name;
	src->base = strtoull(base, NULL, 0);
	src->size = attribute(name, "size");
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		known |= !strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) &&
			 !strcmp(mode, kinds[i].mode) && !strcmp(cpu, kinds[i].cpu);
	src->cpu = strcmp(cpu, "none");
	src->pages = !strcmp(cpu, "cached");
	src->chains = !strcmp(mode, "restricted");
	result(known && src->base == strtoull(strchr(name, '@') + 1, NULL, 16),
	       "%s: %s, %s, at %s", name, mode, cpu, base);
}

static bool has_part(const char *part)
{
	const char *parts = getenv("parts"), *at = parts ? strstr(parts, part) : NULL;

	return at && (at[strlen(part)] == 0 || at[strlen(part)] == ':');
}

int main(void)
{
	const char *shmem = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char *heaps, *name;

	setvbuf(stdout, NULL, _IOLBF, 0);
	need(has_part("vivid") || has_part("beyond") ? "/dev/video0" : "/dev/rmem-edu");
	if (getenv("break"))
		spoil = getenv("break");
	heaps = strdup(getenv("heaps") ?: "");
	for (name = strtok(heaps, ":"); name; name = strtok(NULL, ":"))
		add_heap(name);
	nr_heaps = nr_sources;
	sources[nr_sources++] = (struct source) {
		.name = "udmabuf", .cpu = true, .pages = true,
	};
	if (!write_text(shmem, "advise"))
		fail("%s", shmem);

	if (spoilt("report"))
		write_text("/dev/kmsg", "<4>WARNING: not a real one\n");
	if (has_part("consumer"))
		consumer_part();
	if (has_part("vivid"))
		vivid_part();
	if (has_part("beyond"))
		beyond_part();
	if (has_part("edu"))
		edu_part(false, NULL);
	if (has_part("iommu"))
		edu_part(true, getenv("pool") ? source(getenv("pool")) : NULL);
	if (has_part("bounce"))
		bounce_part(source(getenv("pool") ?: ""));

	return finish();
}
