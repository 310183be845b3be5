// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-gpu imports buffers of every kind of heap and the host shows them. Prints TAP. What is on
 * the screen is looked at from outside by harness/demo/importers-screen.py, which is told on the
 * console and answers on the first virtio serial port.
 *
 * From the environment: heaps=NAME:..., and blob=0 where QEMU has no blob resources, without
 * which the driver imports nothing. break=screen draws something else than what is said,
 * break=blob takes the machine for one of the other kind.
 */
#define _GNU_SOURCE
#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>

#include "rmem-heap-importers.h"
#include "rmem_heap_consumer.h"

static int gpu, port;
static unsigned int crtc, connector;
static struct drm_mode_modeinfo mode;
static bool spoilt;

/* The picture is what the test consumers write, too: see rmem_heap_consumer.h */
static uint8_t picture(unsigned int seed, size_t pos)
{
	return seed + 7 * pos + (pos >> 12);
}

static bool draw_cpu(int fd, size_t len, unsigned int seed)
{
	uint8_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	size_t pos;

	if (mem == MAP_FAILED)
		return false;
	if (sync_cpu(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		fail("sync");
	for (pos = 0; pos < len; pos++)
		mem[pos] = picture(seed, pos);
	if (sync_cpu(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE))
		fail("sync");
	munmap(mem, len);
	return true;
}

/* Where no CPU gets to, a device draws. */
static void draw(int fd, size_t len, unsigned int seed)
{
	struct rmem_consumer_dma dma = { .seed = seed, .write = 1 };
	struct rmem_consumer_map map = { .fd = fd };
	int dev;

	if (draw_cpu(fd, len, seed))
		return;
	dev = open("/dev/rmem-consumer-consumer-none", O_RDWR | O_CLOEXEC);
	if (dev < 0 || ioctl(dev, RMEM_CONSUMER_MAP, &map) ||
	    ioctl(dev, RMEM_CONSUMER_DMA, &dma))
		fail("the consumer draws");
	close(dev);
}

static void find_screen(void)
{
	struct drm_mode_card_res res = { };
	struct drm_mode_get_connector conn = { };
	struct drm_mode_modeinfo modes[64];

	gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (gpu < 0)
		fail("/dev/dri/card0");
	res.count_crtcs = 1;
	res.count_connectors = 1;
	res.crtc_id_ptr = (uintptr_t)&crtc;
	res.connector_id_ptr = (uintptr_t)&connector;
	if (ioctl(gpu, DRM_IOCTL_MODE_GETRESOURCES, &res))
		fail("resources");

	/* Asking for no modes at first is what makes it look for some. */
	conn.connector_id = connector;
	if (ioctl(gpu, DRM_IOCTL_MODE_GETCONNECTOR, &conn))
		fail("connector");
	conn.count_modes = conn.count_modes < 64 ? conn.count_modes : 64;
	conn.modes_ptr = (uintptr_t)modes;
	conn.count_props = 0;
	conn.count_encoders = 0;
	if (ioctl(gpu, DRM_IOCTL_MODE_GETCONNECTOR, &conn) || !conn.count_modes)
		fail("modes");
	/* The first is the preferred one: what QEMU was told. */
	mode = modes[0];
}

/* What the host says to what it sees: true if it is the picture */
static bool seen(const char *name, unsigned int seed)
{
	unsigned int tries;
	char answer = 0;

	printf("screen: %s %u %u %u\n", name, mode.hdisplay, mode.vdisplay, seed);
	/* As long as nobody is at the other end there is nothing to wait for: ask again. */
	for (tries = 0; tries < 2000; tries++) {
		if (read(port, &answer, 1) == 1)
			return answer == 'y';
		usleep(50000);
	}
	errno = ETIMEDOUT;
	fail("nobody looks at the screen");
	return false;
}

static unsigned int framebuffer(unsigned int handle, unsigned int pitch)
{
	struct drm_mode_fb_cmd2 fb = {
		.width = mode.hdisplay,
		.height = mode.vdisplay,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { handle },
		.pitches = { pitch },
	};

	if (ioctl(gpu, DRM_IOCTL_MODE_ADDFB2, &fb))
		fail("framebuffer");
	return fb.fb_id;
}

static void show(unsigned int fb)
{
	struct drm_mode_crtc set = {
		.crtc_id = crtc,
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.fb_id = fb,
		.mode_valid = 1,
		.mode = mode,
	};

	if (ioctl(gpu, DRM_IOCTL_MODE_SETCRTC, &set))
		fail("crtc");
}

static void flush(unsigned int fb)
{
	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = fb };

	if (ioctl(gpu, DRM_IOCTL_MODE_DIRTYFB, &dirty))
		fail("dirty");
}

static void close_handle(unsigned int handle)
{
	struct drm_gem_close arg = { .handle = handle };

	if (ioctl(gpu, DRM_IOCTL_GEM_CLOSE, &arg))
		fail("close");
}

/* virtio-gpu's own buffer: that what is seen is what was drawn, before any import */
static void own_buffer(unsigned int seed)
{
	struct drm_mode_create_dumb dumb = {
		.width = mode.hdisplay,
		.height = mode.vdisplay,
		.bpp = 32,
	};
	struct drm_mode_map_dumb map = { };
	unsigned int fb;
	uint8_t *mem;
	size_t pos;

	if (ioctl(gpu, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		fail("its own buffer");
	map.handle = dumb.handle;
	if (ioctl(gpu, DRM_IOCTL_MODE_MAP_DUMB, &map))
		fail("its own buffer");
	mem = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu, map.offset);
	if (mem == MAP_FAILED)
		fail("its own buffer");
	for (pos = 0; pos < dumb.size; pos++)
		mem[pos] = picture(seed, pos);
	fb = framebuffer(dumb.handle, dumb.pitch);
	show(fb);
	result(seen("virtio-gpu", spoilt ? seed + 1 : seed),
	       "virtio-gpu: its own buffer is on the screen");
	ioctl(gpu, DRM_IOCTL_MODE_RMFB, &fb);
	munmap(mem, dumb.size);
	close_handle(dumb.handle);
}

static void import(const char *name, unsigned int seed, bool blob)
{
	size_t len = (mode.hdisplay * mode.vdisplay * 4 + 4095) & ~4095UL;
	struct drm_prime_handle prime = { };
	uint64_t before = attribute(name, "used");
	unsigned int fb;
	int ret, fd;

	fd = source_alloc(name, len);
	draw(fd, len, seed);
	prime.fd = fd;
	ret = ioctl(gpu, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) ? errno : 0;
	if (!blob) {
		result(ret == ENODEV, "virtio-gpu without blobs: %s is refused (%s)", name,
		       strerror(ret));
	} else if (ret) {
		result(false, "virtio-gpu: imports %s (%s)", name, strerror(ret));
	} else {
		fb = framebuffer(prime.handle, mode.hdisplay * 4);
		show(fb);
		result(seen(name, spoilt ? seed + 1 : seed), "virtio-gpu: %s is on the screen",
		       name);
		/* It is the memory itself that is shown. */
		draw(fd, len, seed + 50);
		flush(fb);
		result(seen(name, seed + 50), "virtio-gpu: %s, drawn to again", name);
		ioctl(gpu, DRM_IOCTL_MODE_RMFB, &fb);
		close_handle(prime.handle);
	}
	close(fd);
	if (strcmp(name, "udmabuf"))
		result(attribute(name, "used") == before, "virtio-gpu: %s has its memory back",
		       name);
}

/* Its first number is that of the virtio device. It comes when the host tells of it. */
static void open_port(void)
{
	unsigned int tries;
	char path[32];

	for (tries = 0; tries < 100; tries++) {
		snprintf(path, sizeof(path), "/dev/vport%up1", tries % 4);
		port = open(path, O_RDWR | O_CLOEXEC);
		if (port >= 0)
			return;
		usleep(50000);
	}
	fail("virtio serial port");
}

int main(void)
{
	const char *want = getenv("blob"), *spoil = getenv("break");
	bool blob = (!want || strcmp(want, "0")) != (spoil && !strcmp(spoil, "blob"));
	unsigned int seed = 10;
	char *heaps, *name;

	spoilt = spoil && !strcmp(spoil, "screen");
	setvbuf(stdout, NULL, _IOLBF, 0);
	need("/dev/dri/card0");
	open_port();

	find_screen();
	own_buffer(3);
	heaps = strdup(getenv("heaps") ?: "");
	for (name = strtok(heaps, ":"); name; name = strtok(NULL, ":"), seed += 7)
		import(name, seed, blob);
	import("udmabuf", seed, blob);

	return finish();
}
