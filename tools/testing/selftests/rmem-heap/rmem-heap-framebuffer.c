// SPDX-License-Identifier: GPL-2.0
/*
 * The program of make demo-framebuffer: draws into buffers of reserved-memory heaps and has the
 * pl111 driver scan them out. demo= in the environment, from the kernel's command line, says what
 * to do:
 *
 *	scanout		buffers of each heap, imported by a driver that has no region
 *	pool		the driver's own buffers and the heap's, from one pool
 *
 * It prints "pass: NAME" or "fail: NAME | WHY" for each case, and at the end how many there
 * were. "shot: NAME" tells the script outside that a picture is on the screen; a line on the
 * second serial port says that it has looked.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <poll.h>
#include <sys/mman.h>
#include <termios.h>

#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>

#include "rmem-heap.h"

/*
 * With four bytes a pixel the controller's bus allows for no more: max-memory-bandwidth in
 * its node.
 */
#define WIDTH	640
#define HEIGHT	480
#define LENGTH	(WIDTH * HEIGHT * 4)
#define VRAM	"vram@4c000000"
#define PAGE	4096u
#define MANY	2048

static unsigned int cases, failed;
static uint8_t font[128][7];
static int card = -1;
static uint32_t crtc, connector;
static struct drm_mode_modeinfo mode;

__printf(3, 4)
static bool report(bool ok, const char *name, const char *why, ...)
{
	va_list args;

	cases++;
	failed += !ok;
	printf("%s: %s", ok ? "pass" : "fail", name);
	if (!ok) {
		printf(" | ");
		va_start(args, why);
		vprintf(why, args);
		va_end(args);
	}
	printf("\n");
	fflush(stdout);
	return ok;
}

static __noreturn void the_end(void)
{
	printf("end: %u cases, %u failed\n", cases, failed);
	fflush(stdout);
	tcdrain(1);
	exit(failed != 0);
}

/* What no case is about; nothing makes sense after it. */
static __noreturn void stop(const char *what)
{
	report(false, what, "%s", strerror(errno));
	the_end();
}

/* A number that sysfs has of a heap */
static unsigned long long number(const char *heap, const char *file)
{
	uint64_t value = attribute(heap, file);

	if (value == ~0ULL)
		stop(file);
	return value;
}

/*
 * The pictures
 */
static void read_font(void)
{
	FILE *file = fopen("/font.txt", "r");
	unsigned int row[7];
	char line[80], c;
	int i;

	if (!file)
		stop("/font.txt");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%c %x %x %x %x %x %x %x", &c, &row[0], &row[1], &row[2],
			   &row[3], &row[4], &row[5], &row[6]) != 8)
			continue;
		for (i = 0; i < 7; i++)
			font[c & 127][i] = row[i];
	}
	fclose(file);
}

static void draw_text(uint32_t *pixels, int left, int top, int scale, const char *text)
{
	int wide = (6 * strlen(text) + 1) * scale, high = 9 * scale;
	int x, y, column, row;
	const uint8_t *glyph;

	for (y = 0; y < high; y++)
		for (x = 0; x < wide; x++) {
			column = x / scale - 1;
			row = y / scale - 1;
			glyph = font[column < 0 ? ' ' : text[column / 6] & 127];
			column %= 6;
			pixels[(top + y) * WIDTH + left + x] =
				column >= 0 && column < 5 && row >= 0 && row < 7 &&
				(glyph[row] >> (4 - column) & 1) ? 0xffffff : 0;
		}
}

/*
 * Bars, a slope, a weave, and which buffer it is. Every line and column differs from its
 * neighbours, and every picture from the others, so that neither a wrong stride nor the
 * contents of another buffer pass.
 */
static void draw(uint32_t *pixels, const char *title, const char *subtitle)
{
	uint32_t hash = 2166136261u, r, g, b;
	const char *p;
	int x, y, bar;

	for (p = title; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	for (p = subtitle; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;

	for (y = 0; y < HEIGHT; y++)
		for (x = 0; x < WIDTH; x++) {
			if (y < 160) {
				bar = (x / 80 + hash) & 7;
				r = bar & 1 ? 255 - y / 2 : 0;
				g = bar & 2 ? 255 - y / 2 : 0;
				b = bar & 4 ? 255 - y / 2 : 0;
			} else if (y < 320) {
				r = x * 255 / (WIDTH - 1);
				g = (y - 160) * 255 / 159;
				b = hash >> 8 & 255;
			} else {
				r = (x ^ y) & 255;
				g = (x + y + (hash >> 16)) & 255;
				b = (x - y + (hash >> 24)) & 255;
			}
			pixels[y * WIDTH + x] = r << 16 | g << 8 | b;
		}
	draw_text(pixels, 32, 48, 5, title);
	draw_text(pixels, 32, 192, 2, subtitle);
}

/* The script outside takes what is on the screen. */
static void take_shot(const char *name)
{
	static int port = -1;
	struct termios settings;
	char c = 0;

	if (port < 0) {
		port = open("/dev/ttyAMA1", O_RDWR | O_NOCTTY);
		if (port < 0 || tcgetattr(port, &settings))
			stop("the second serial port");
		cfmakeraw(&settings);
		tcsetattr(port, TCSANOW, &settings);
	}
	printf("shot: %s\n", name);
	fflush(stdout);
	while (c != '\n')
		if (read(port, &c, 1) != 1)
			stop("the second serial port");
}

/*
 * The display
 */
static void open_display(void)
{
	struct drm_mode_modeinfo modes[64];
	struct drm_mode_get_connector conn = { };
	struct drm_mode_card_res res = { };
	unsigned int i;

	for (i = 0; i < 100 && card < 0; i++) {
		card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
		if (card < 0)
			poll(NULL, 0, 100);
	}
	if (card < 0)
		stop("/dev/dri/card0");

	res.crtc_id_ptr = (uintptr_t)&crtc;
	res.connector_id_ptr = (uintptr_t)&connector;
	res.count_crtcs = 1;
	res.count_connectors = 1;
	if (ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &res))
		stop("DRM_IOCTL_MODE_GETRESOURCES");

	/* Asking for no modes makes the driver look for them. */
	conn.connector_id = connector;
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &conn))
		stop("DRM_IOCTL_MODE_GETCONNECTOR");
	memset(&conn, 0, sizeof(conn));
	conn.connector_id = connector;
	conn.modes_ptr = (uintptr_t)modes;
	conn.count_modes = 64;
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &conn))
		stop("DRM_IOCTL_MODE_GETCONNECTOR");
	for (i = 0; i < conn.count_modes && i < 64 && !mode.clock; i++)
		if (modes[i].hdisplay == WIDTH && modes[i].vdisplay == HEIGHT)
			mode = modes[i];
	if (!report(conn.connection == 1 && mode.clock, "a screen of 640x480",
		    "connection %u, %u modes", conn.connection, conn.count_modes))
		the_end();
}

static int add_framebuffer(uint32_t handle, uint32_t *fb)
{
	struct drm_mode_fb_cmd2 cmd = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { handle },
		.pitches = { WIDTH * 4 },
	};
	int ret = ioctl(card, DRM_IOCTL_MODE_ADDFB2, &cmd);

	*fb = cmd.fb_id;
	return ret;
}

/* 0 switches the screen off. */
static int show(uint32_t fb)
{
	struct drm_mode_crtc cmd = {
		.crtc_id = crtc,
		.fb_id = fb,
	};

	if (fb) {
		cmd.set_connectors_ptr = (uintptr_t)&connector;
		cmd.count_connectors = 1;
		cmd.mode = mode;
		cmd.mode_valid = 1;
	}
	return ioctl(card, DRM_IOCTL_MODE_SETCRTC, &cmd);
}

/* From where the controller reads */
static uint32_t scanout_address(void)
{
	FILE *file = fopen("/sys/kernel/debug/dri/0/regs", "r");
	unsigned int value, found = 0;
	char line[128];

	if (!file)
		stop("/sys/kernel/debug/dri/0/regs");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "CLCD_UBAS (%*x): %x", &value) == 1)
			found = value;
	fclose(file);
	return found;
}

static void check_address(const char *name, const char *heap)
{
	uint64_t base = number(heap, "base"), size = number(heap, "size");
	uint32_t at = scanout_address();
	char what[128];

	snprintf(what, sizeof(what), "%s: the controller reads from the region", name);
	report(at >= base && at + LENGTH <= base + size, what, "reads at %#x, region at %#llx",
	       at, (unsigned long long)base);
}

/*
 * Buffers: the heap's have a file descriptor, the driver's a handle
 */
struct buffer {
	uint32_t len;
	uint32_t handle;
	uint32_t *map;
	int fd;
};

static int heap_buffer(const char *heap, uint32_t len, struct buffer *buffer)
{
	int fd = heap_alloc(heap, len);

	if (fd < 0)
		return fd;
	*buffer = (struct buffer){ .len = len, .fd = fd };
	buffer->map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (buffer->map == MAP_FAILED)
		stop("mmap of a heap's buffer");
	return 0;
}

static int driver_alloc(uint32_t width, uint32_t height, struct buffer *buffer)
{
	struct drm_mode_create_dumb create = {
		.width = width,
		.height = height,
		.bpp = 32,
	};
	struct drm_mode_map_dumb map = { };

	if (ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create))
		return -errno;
	*buffer = (struct buffer){ .len = create.size, .handle = create.handle, .fd = -1 };
	map.handle = create.handle;
	if (ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map))
		stop("DRM_IOCTL_MODE_MAP_DUMB");
	buffer->map = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, card,
			   map.offset);
	if (buffer->map == MAP_FAILED)
		stop("mmap of the driver's buffer");
	return 0;
}

/* Any number of pages */
static int driver_alloc_len(uint32_t len, struct buffer *buffer)
{
	return driver_alloc(PAGE / 4, len / PAGE, buffer);
}

static void buffer_free(struct buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = { .handle = buffer->handle };

	munmap(buffer->map, buffer->len);
	if (buffer->handle && ioctl(card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy))
		stop("DRM_IOCTL_MODE_DESTROY_DUMB");
	if (buffer->fd >= 0)
		close(buffer->fd);
	buffer->map = NULL;
}

static void cpu_access(int fd, uint64_t flags)
{
	if (sync_cpu(fd, DMA_BUF_SYNC_WRITE | flags))
		stop("DMA_BUF_IOCTL_SYNC");
}

static void draw_in_heap(struct buffer *buffer, const char *title, const char *subtitle)
{
	cpu_access(buffer->fd, DMA_BUF_SYNC_START);
	draw(buffer->map, title, subtitle);
	cpu_access(buffer->fd, DMA_BUF_SYNC_END);
	printf("drawn: %s, %s\n", title, subtitle);
}

/*
 * A buffer of each heap, on the screen
 */
static void scanout(void)
{
	static const struct {
		const char *heap, *mode, *subtitle;
	} heaps[] = {
		{ "ecc-off@70000000", "cma", "cma area, heap buffer, imported by pl111" },
		{ "ecc-off@74000000", "carveout", "carveout, heap buffer, imported by pl111" },
		{ VRAM, "coherent", "coherent pool, heap buffer, imported by pl111" },
	};
	struct { struct buffer buffer; uint32_t fb; } shown[3];
	struct drm_prime_handle prime;
	struct drm_gem_close gem;
	char name[128];
	struct buffer *buffer;
	uint32_t fb;
	unsigned int i;
	int ret;

	for (i = 0; i < 3; i++) {
		const char *heap = heaps[i].heap;

		buffer = &shown[i].buffer;
		snprintf(name, sizeof(name), "%s is %s", heap, heaps[i].mode);
		report(attribute_is(heap, "mode", heaps[i].mode), name, "it is %s",
		       attribute_text(heap, "mode"));

		ret = heap_buffer(heap, LENGTH, buffer);
		snprintf(name, sizeof(name), "%s: a buffer of the heap", heap);
		if (!report(!ret && number(heap, "used") >= LENGTH, name, "%s, used %llu",
			    strerror(-ret), number(heap, "used")))
			the_end();

		prime = (struct drm_prime_handle){ .fd = buffer->fd };
		ret = ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);
		snprintf(name, sizeof(name), "%s: pl111 imports it", heap);
		if (!report(!ret, name, "%s", strerror(errno)))
			the_end();
		/* Kept apart from .handle, which is for buffers of the driver's own */
		ret = add_framebuffer(prime.handle, &fb);
		shown[i].fb = fb;
		gem = (struct drm_gem_close){ .handle = prime.handle };
		if (ioctl(card, DRM_IOCTL_GEM_CLOSE, &gem))
			stop("DRM_IOCTL_GEM_CLOSE");

		draw_in_heap(buffer, heap, heaps[i].subtitle);
		ret = ret ?: show(fb);
		snprintf(name, sizeof(name), "%s: on the screen", heap);
		if (!report(!ret, name, "%s", strerror(errno)))
			the_end();
		check_address(heap, heap);
		take_shot(heaps[i].mode);
	}

	/* Back to the second one, which is drawn into while it is scanned out. */
	if (show(shown[1].fb))
		stop("DRM_IOCTL_MODE_SETCRTC");
	take_shot("carveout-again");
	draw_in_heap(&shown[1].buffer, heaps[1].heap, "carveout, drawn while it was shown");
	take_shot("carveout-live");

	/* The file and its mapping are gone, the controller still has the buffer. */
	buffer_free(&shown[1].buffer);
	report(number(heaps[1].heap, "buffers") == 1,
	       "a closed buffer lives as long as it is shown", "it is gone");
	take_shot("carveout-closed");

	if (show(0))
		stop("DRM_IOCTL_MODE_SETCRTC");
	for (i = 0; i < 3; i++) {
		if (shown[i].buffer.map)
			buffer_free(&shown[i].buffer);
		if (ioctl(card, DRM_IOCTL_MODE_RMFB, &shown[i].fb))
			stop("DRM_IOCTL_MODE_RMFB");
		snprintf(name, sizeof(name), "%s: has everything back", heaps[i].heap);
		report(!number(heaps[i].heap, "used") && !number(heaps[i].heap, "buffers"),
		       name, "used %llu", number(heaps[i].heap, "used"));
	}
}

/*
 * One pool
 */
static uint32_t tag(unsigned int number, uint32_t word)
{
	return (number + 1) * 2654435761u ^ word * 2246822519u;
}

static void mark(const struct buffer *buffer, unsigned int number)
{
	uint32_t word;

	for (word = 0; word < buffer->len / 4; word++)
		buffer->map[word] = tag(number, word);
}

/* Words of the buffers that are not what mark() has left */
static uint32_t wrong_words(const struct buffer *buffers, unsigned int count)
{
	uint32_t word, wrong = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		for (word = 0; buffers[i].map && word < buffers[i].len / 4; word++)
			wrong += buffers[i].map[word] != tag(i, word);
	return wrong;
}

/* Coherent pools round up to a power of two. */
static uint32_t rounded(uint32_t len)
{
	uint32_t size = PAGE;

	while (size < len)
		size *= 2;
	return size;
}

static void numbers(const char *name, uint64_t available, uint64_t used)
{
	uint64_t have_available = number(VRAM, "available"), have_used = number(VRAM, "used");

	report(have_available == available && have_used == used, name,
	       "available %llu, not %llu, used %llu, not %llu", (unsigned long long)have_available,
	       (unsigned long long)available, (unsigned long long)have_used,
	       (unsigned long long)used);
}

/* Nothing is left, not a page: neither for the one nor for the other. */
static void full(const char *name)
{
	struct buffer buffer;
	int heap = heap_buffer(VRAM, PAGE, &buffer), driver = driver_alloc_len(PAGE, &buffer);

	report(heap == -ENOMEM && driver == -ENOMEM, name, "heap: %s, driver: %s",
	       strerror(-heap), strerror(-driver));
}

static void one_pool(void)
{
	static struct buffer buffers[MANY];
	const uint32_t whole = number(VRAM, "size"), each = rounded(LENGTH);
	struct drm_prime_handle prime;
	uint32_t fb, wrong, word, heap_bytes, driver_bytes, len, random = 1;
	struct buffer screen;
	unsigned int i, count, fails;
	int ret;

	report(attribute_is(VRAM, "mode", "coherent"), VRAM " is coherent", "it is %s",
	       attribute_text(VRAM, "mode"));
	report(attribute_is(VRAM, "exported_by", "rmem_heap.export"),
	       VRAM " is exported by the administrator", "by %s",
	       attribute_text(VRAM, "exported_by"));
	numbers("the pool is empty", whole, 0);

	/* The driver thinks that what it can show is only what it has allocated. */
	if (heap_buffer(VRAM, LENGTH, &buffers[0]))
		stop("a buffer of the heap");
	numbers("a heap buffer comes out of the pool", whole - each, each);
	prime = (struct drm_prime_handle){ .fd = buffers[0].fd };
	ret = ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) ? -errno : 0;
	report(ret == -EINVAL, "pl111 with a memory-region refuses every import", "%s",
	       strerror(-ret));
	buffer_free(&buffers[0]);
	numbers("a refused import leaves nothing behind", whole, 0);

	/* The driver's buffer on the screen, the heap's in the rest of the pool */
	if (driver_alloc(WIDTH, HEIGHT, &screen))
		stop("DRM_IOCTL_MODE_CREATE_DUMB");
	numbers("a buffer of the driver lowers available, not used", whole - each, 0);
	draw(screen.map, VRAM, "coherent pool, buffer of the driver");
	printf("drawn: %s, buffer of the driver\n", VRAM);
	ret = add_framebuffer(screen.handle, &fb) ?: show(fb);
	if (!report(!ret, "the driver's buffer: on the screen", "%s", strerror(errno)))
		the_end();
	check_address("the driver's buffer", VRAM);
	take_shot("driver");

	for (count = 0; !(ret = heap_buffer(VRAM, LENGTH, &buffers[count])); count++)
		mark(&buffers[count], count);
	report(count == whole / each - 1 && ret == -ENOMEM, "the heap gets the rest, then ENOMEM",
	       "%u buffers, then %s", count, strerror(-ret));
	numbers("nothing is available", 0, whole - each);
	full("the heap has it all: ENOMEM for the heap and for the driver");
	take_shot("driver-full");
	wrong = wrong_words(buffers, count);
	report(!wrong, "the heap's buffers are intact", "%u words", wrong);

	buffer_free(&buffers[1]);
	ret = driver_alloc(WIDTH, HEIGHT, &buffers[1]);
	if (report(!ret, "what the heap frees the driver gets", "%s", strerror(-ret)))
		mark(&buffers[1], 1);
	numbers("and it is counted as the driver's", 0, whole - 2 * each);
	full("and no page more");
	wrong = wrong_words(buffers, count);
	report(!wrong, "heap and driver hold different memory", "%u words", wrong);
	take_shot("driver-between");
	for (i = 0; i < count; i++)
		buffer_free(&buffers[i]);
	numbers("only the screen is left", whole - each, 0);
	if (show(0) || ioctl(card, DRM_IOCTL_MODE_RMFB, &fb))
		stop("DRM_IOCTL_MODE_RMFB");
	buffer_free(&screen);
	numbers("the pool is empty again", whole, 0);

	/* The other way round */
	for (count = 0; !(ret = driver_alloc_len(1 << 20, &buffers[count])); count++)
		mark(&buffers[count], count);
	report(count == whole >> 20 && ret == -ENOMEM, "the driver fills the pool, then ENOMEM",
	       "%u buffers, then %s", count, strerror(-ret));
	numbers("it is all the driver's", 0, 0);
	full("the driver has it all: ENOMEM for the heap and for the driver");
	buffer_free(&buffers[3]);
	ret = heap_buffer(VRAM, 1 << 20, &buffers[3]);
	if (report(!ret, "what the driver frees the heap gets", "%s", strerror(-ret))) {
		for (word = wrong = 0; word < buffers[3].len / 4; word++)
			wrong += buffers[3].map[word] != 0;
		report(!wrong, "and it is cleared", "%u words", wrong);
		mark(&buffers[3], 3);
	}
	numbers("and it is counted as the heap's", 0, 1 << 20);
	full("and not a page more");
	wrong = wrong_words(buffers, count);
	report(!wrong, "driver and heap hold different memory", "%u words", wrong);
	for (i = 0; i < count; i++)
		buffer_free(&buffers[i]);
	numbers("the pool is empty once more", whole, 0);

	/* Both in turn, all sizes, until there is no page left */
	for (count = fails = heap_bytes = driver_bytes = 0; count < MANY && fails < 2;) {
		random = random * 1103515245u + 12345;
		len = ((random >> 16) % 96 + 1) * PAGE;
		do {
			ret = count & 1 ? heap_buffer(VRAM, len, &buffers[count]) :
					  driver_alloc_len(len, &buffers[count]);
			if (!ret || len == PAGE)
				break;
			len = len / 2 / PAGE * PAGE;
		} while (1);
		if (ret) {
			fails = ret == -ENOMEM ? 2 : 3;
			break;
		}
		*(count & 1 ? &heap_bytes : &driver_bytes) += rounded(len);
		mark(&buffers[count], count);
		count++;
	}
	report(fails == 2 && count > 20 && heap_bytes + driver_bytes == whole,
	       "buffers of all sizes in turn fill the pool", "%u, %u and %u bytes: %s", count,
	       heap_bytes, driver_bytes, strerror(-ret));
	numbers("each one's bytes are counted right", 0, heap_bytes);
	full("the pool is full for both");
	wrong = wrong_words(buffers, count);
	report(!wrong, "no two of them overlap", "%u words", wrong);
	for (i = 0; i < count; i++)
		buffer_free(&buffers[i]);
	numbers("nothing is lost", whole, 0);
	report(!number(VRAM, "buffers"), "no buffer is left", "%llu are",
	       number(VRAM, "buffers"));
}

int main(void)
{
	const char *what = getenv("demo") ?: "";

	need("/dev/dri/card0");
	need(HEAPS "/" VRAM);
	read_font();
	open_display();
	if (!strcmp(what, "scanout"))
		scanout();
	else if (!strcmp(what, "pool"))
		one_pool();
	else
		report(false, "demo=", "is '%s'", what);
	the_end();
}
