// SPDX-License-Identifier: GPL-2.0
/*
 * Writes device trees with reserved memory that nobody in their right mind would write:
 *
 *	gen SEED OUT.dtb	a tree, and rmem_heap.export= for it in OUT.cmdline
 *	gen count IN.dtb	the number of things that `drop` can leave out
 *	gen drop N IN.dtb OUT.dtb	IN without the Nth of them, which is named on stdout
 *
 * A seed always gives the same tree. Trees are for User-Mode Linux with mem=512M: RAM from 0
 * on, the kernel at its start, the initial file system and the tree itself at its end.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB		1024ULL
#define MIB		(1024 * KIB)
#define RAM		(512 * MIB)
/* Between these, there is nothing but what the tree puts there. */
#define MIDDLE		(64 * MIB)
#define MIDDLE_END	(RAM - 80 * MIB)
#define BLOB		(256 * 1024)
#define MAX_REGIONS	160
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum style { CLEAN, ODD, CORRUPT };

enum mode { CMA, COHERENT, RESTRICTED, CARVEOUT, OTHER };

static uint64_t state;
static char blob[BLOB], edited[BLOB];
static void *fdt = blob;
static int root_ac, root_sc, ac, sc;

static struct region {
	char name[300];
	uint64_t base, size;
	bool is_static;
} regions[MAX_REGIONS];
static int nregions;
static uint64_t cursor;

static uint64_t rnd64(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static int rnd(int n)
{
	return rnd64() % n;
}

static bool percent(int p)
{
	return rnd(100) < p;
}

#define PICK(array) ((array)[rnd(ARRAY_SIZE(array))])

static void die(const char *what, const char *why)
{
	fprintf(stderr, "gen: %s: %s\n", what, why);
	exit(1);
}

static void check(int ret, const char *what)
{
	if (ret < 0)
		die(what, fdt_strerror(ret));
}

static void prop(const char *name, const void *val, int len)
{
	check(fdt_property(fdt, name, val, len), name);
}

static void prop_bool(const char *name)
{
	prop(name, "", 0);
}

static void prop_str(const char *name, const char *val)
{
	prop(name, val, strlen(val) + 1);
}

static void prop_u32(const char *name, uint32_t val)
{
	val = cpu_to_fdt32(val);
	prop(name, &val, 4);
}

static uint32_t *cells(uint32_t *p, int n, uint64_t val)
{
	for (int i = n - 1; i >= 0; i--) {
		p[i] = cpu_to_fdt32(val);
		val >>= 32;
	}
	return p + n;
}

static void prop_cells(const char *name, int n, uint64_t val)
{
	uint32_t buf[4];

	prop(name, buf, (cells(buf, n, val) - buf) * 4);
}

/* Address and size, and so many bytes more */
static void prop_range(const char *name, uint64_t base, uint64_t size, int more)
{
	uint32_t buf[16] = {};
	int len = (cells(cells(buf, ac, base), sc, size) - buf) * 4 + more;

	prop(name, buf, len < 0 ? 0 : len);
}

static uint64_t some_size(enum mode mode)
{
	static const uint64_t small[] = {
		4 * KIB, 16 * KIB, 64 * KIB, 100 * KIB, 256 * KIB, MIB, MIB, 2 * MIB, 3 * MIB,
		4 * MIB, 8 * MIB,
	};

	if (mode == CMA)
		return (1 + rnd(percent(10) ? 8 : 3)) * 4 * MIB;
	if (mode == RESTRICTED && percent(80))
		return (1 + rnd(8)) * 512 * KIB;
	return PICK(small);
}

/* A free place in the middle. With many regions they have to stand close. */
static uint64_t place(enum mode mode, uint64_t size, bool many)
{
	uint64_t step = mode == CMA ? 4 * MIB : percent(30) ? 4 * KIB : 64 * KIB, base;

	if (!many && percent(50))
		step = 4 * MIB;
	base = (cursor + step - 1) / step * step;
	if (base + size > MIDDLE_END)
		return 0;
	cursor = base + size;
	return base;
}

static const char *const compatibles[] = {
	"ramoops", "phram", "qcom,smem", "linaro,optee-tz", "vendor,firmware", "framebuffer",
	"google,open-dice", "shared-dma-pool-x", "Shared-DMA-Pool", "restricted-dma-pools",
	"shared-dma", "nvmem-rmem", "qcom,rmtfs-mem",
};

static void put_compatible(enum mode mode, int defect)
{
	static const char *const pool[] = {
		[CMA] = "shared-dma-pool", [COHERENT] = "shared-dma-pool",
		[RESTRICTED] = "restricted-dma-pool",
	};
	char buf[4096];
	int len = 0, n;

	if (defect < 0) {
		if (mode < CARVEOUT)
			prop_str("compatible", pool[mode]);
		else if (mode == OTHER)
			prop_str("compatible", PICK(compatibles));
		return;
	}
#define ADD(s) (len += snprintf(buf + len, sizeof(buf) - len, "%s", s) + 1)
	switch (defect) {
	case 0:			/* two pools */
		if (percent(50))
			ADD("restricted-dma-pool");
		ADD("shared-dma-pool");
		if (len < 20)
			ADD("restricted-dma-pool");
		break;
	case 1:			/* a pool and something else */
		if (percent(50))
			ADD(PICK(compatibles));
		ADD(mode < CARVEOUT ? pool[mode] : "shared-dma-pool");
		if (percent(70))
			ADD(PICK(compatibles));
		break;
	case 2:			/* no end */
		ADD(mode < CARVEOUT ? pool[mode] : "vendor,x");
		len--;
		break;
	case 3:			/* nothing; an empty string is the end of mainline */
		if (percent(10))
			ADD("");
		break;
	case 4:			/* too many */
		n = 1 + rnd(150);
		while (n--)
			len += snprintf(buf + len, sizeof(buf) - len, "vendor,x%d", n) + 1;
		if (percent(50))
			ADD(mode < CARVEOUT ? pool[mode] : "shared-dma-pool");
		break;
	case 5:			/* the same twice */
		ADD(mode < CARVEOUT ? pool[mode] : "shared-dma-pool");
		ADD(mode < CARVEOUT ? pool[mode] : "shared-dma-pool");
		break;
	default:
		ADD(PICK(compatibles));
	}
	prop("compatible", buf, len);
}

static void put_status(bool odd)
{
	static const char *const fine[] = { "okay", "okay", "ok", "disabled" };
	static const char *const bad[] = { "disabled", "reserved", "fail", "fail-x", "", "OKAY",
					   "okay ", "o", "okayish" };

	if (!odd)
		prop_str("status", PICK(fine));
	else if (percent(10))
		prop("status", "okay", 4);
	else if (percent(10))
		prop_bool("status");
	else
		prop_str("status", PICK(bad));
}

static void odd_name(char *name, size_t len, const char *base, uint64_t addr)
{
	static const char *const odd[] = {
		"%s", "x%n@1", "100%", "a b", "tab\there", "new\nline", "", "@1000", "system",
		"reserved", "default_cma_region", "protected,x", "protected,", "system_cc_shared",
		".", "..", "a/b", "a:b", "!a", "a!b", "*", "uml\xc3\xa4ut", "\x01", "\x7f@2",
		"linux,cma", "linux,cma@5000", "a,b,c@1,2", "system@4000", "uevent", "null", "-", "@",
		"x@", "x@@1", "a=b", "#1", "'q'", "back\\slash", "...", "reserved-memory", "\xff\xfe",
	};

	if (percent(15) && nregions) {
		memcpy(name, regions[rnd(nregions)].name, len);
	} else if (percent(15)) {
		static const int lengths[] = { 31, 32, 63, 64, 65, 100, 127, 128, 200, 230, 254,
					       255, 256, 280 };
		int n = PICK(lengths);

		memset(name, 'n', n);
		name[n] = '\0';
	} else if (percent(20)) {
		snprintf(name, len, "%s@%llx", base,
			 (unsigned long long)addr + (percent(50) ? 0x1000 : 0xffffffff00ULL));
	} else if (percent(15)) {
		snprintf(name, len, "%s", base);
	} else {
		snprintf(name, len, "%s", PICK(odd));
	}
}

static void put_dynamic(struct region *r, enum mode mode, bool odd, bool *with_ranges)
{
	static const uint64_t aligns[] = { 4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB };
	static const uint64_t odd_aligns[] = { 0, 1, 3, 100, 0x1001, 48 * MIB, RAM, 1ULL << 31 };
	static const uint64_t odd_sizes[] = { 0, 1, 0x800, 0x1800, 3 * MIB, RAM, RAM - 1, 2 * RAM };
	uint64_t size = odd && percent(30) ? PICK(odd_sizes) : r->size;

	if (odd && percent(10))
		prop_cells("size", sc + 1, size);
	else if (odd && percent(8))
		prop("size", "\0\0\1", 3);
	else
		prop_cells("size", sc, size);
	if (odd && percent(30)) {
		int n = percent(20) ? sc + 1 : sc;

		prop_cells("alignment", n, PICK(odd_aligns));
	} else if (mode == CMA || percent(80)) {
		prop_cells("alignment", sc, mode == CMA ? 4 * MIB : PICK(aligns));
	}
	*with_ranges = percent(35);
	if (*with_ranges) {
		uint64_t base = MIDDLE + rnd(64) * 4 * MIB, len = (1 + rnd(16)) * 4 * MIB;

		if (odd && percent(50)) {
			static const uint64_t bases[] = { 0, RAM, RAM - 64 * KIB, 1ULL << 31,
							  0x1000 };
			base = PICK(bases);
			len = percent(30) ? 0 : percent(20) ? ~0ULL : len;
		}
		prop_range("alloc-ranges", base, len, odd && percent(20) ? 4 : 0);
	}
	r->is_static = false;
}

/* A static place that is wrong in some way */
static void put_odd_reg(struct region *r, enum mode mode)
{
	uint64_t base = r->base, size = r->size;
	uint32_t buf[48];
	int what = rnd(21), more = 0, n;
	bool unsafe = (what >= 11 && what <= 15) || what == 17;
	struct region *o = nregions ? &regions[rnd(nregions)] : r;

	/*
	 * Pools that mainline gives back to the page allocator, with all that boot has put there,
	 * or that are not memory: that machine shows nothing, so few are enough.
	 */
	if (unsafe && mode != CARVEOUT && mode != OTHER && !percent(mode == CMA ? 4 : 30))
		what = rnd(11);
	switch (what) {
	case 0:
		base += 0x800;
		break;
	case 1:
		base += MIB;
		break;
	case 2:
		size = 0;
		break;
	case 3:
		size += 0x800;
		break;
	case 4:
		size = 3 * MIB;
		break;
	case 5:			/* several entries, the others anywhere */
		n = 2 + rnd(3);
		more = 0;
		for (int i = 0; i < n; i++) {
			uint32_t *p = buf + i * (ac + sc);

			cells(cells(p, ac, i ? MIDDLE + rnd(400) * MIB : base), sc, size);
			more += (ac + sc) * 4;
		}
		prop("reg", buf, more);
		r->size = size;
		return;
	case 6:
		return;
	case 7:
		more = -4;
		break;
	case 8:
		more = 4;
		break;
	case 9:
		prop_bool("reg");
		return;
	case 10:
		more = percent(50) ? -1 : 1;
		break;
	case 11:		/* beyond memory; CMA there is the end of mainline */
		base = RAM + rnd(64) * 4 * MIB;
		break;
	case 12:
		base = RAM - size / 2;
		break;
	case 13:
		base = 0;
		break;
	case 14:
		base = rnd(24) * 512 * KIB;
		break;
	case 15:
		base = RAM - (1 + rnd(16)) * 4 * MIB;
		break;
	case 16:
		base = ~0ULL - MIB + 1;
		size = 2 * MIB;
		break;
	case 17:
		size = percent(50) ? 1ULL << 40 : ~0ULL - base + 1;
		break;
	case 18:		/* over another one */
		base = o->base;
		size = o->size;
		break;
	case 19:
		base = o->base + o->size / 2 / 4096 * 4096;
		break;
	default:		/* in a large one; or right behind */
		base = percent(50) ? o->base + o->size : o->base;
		size = percent(50) ? size : 64 * KIB;
	}
	r->base = base;
	r->size = size;
	prop_range("reg", base, size, more);
}

static void put_region(enum style style, bool many, bool may_export)
{
	static const char *const bases[] = {
		"video", "vram", "guest", "frames", "dsp", "linux,cma", "ramoops", "buffer", "a",
		"ecc-off", "default-pool", "memory", "mcu_r5fss0_core0-dma-memory", "Upper-Case",
		"x.y_z+0",
	};
	struct region *r = &regions[nregions];
	bool odd = style != CLEAN && percent(many ? 5 : 40), ranges = false;
	enum mode mode = rnd(100) < 22 ? CMA : rnd(4) + 1;
	const char *base = PICK(bases);
	bool dynamic = !many && percent(18);
	int wrong = odd ? rnd(7) : -1;

	if (mode == OTHER && percent(50))
		mode = CARVEOUT;
	if (many && mode == CMA)
		mode = CARVEOUT;
	r->size = many ? 64 * KIB : some_size(mode);
	r->base = place(mode, r->size, many);
	if (!r->base)
		return;
	r->is_static = true;
	if (many)
		dynamic = false;

	if (wrong == 0)
		odd_name(r->name, sizeof(r->name), base, r->base);
	else if (dynamic)
		snprintf(r->name, sizeof(r->name), "%s-%d", base, nregions);
	else
		snprintf(r->name, sizeof(r->name), "%s@%llx", base, (unsigned long long)r->base);

	check(fdt_begin_node(fdt, r->name), "node");
	put_compatible(mode, wrong == 1 ? rnd(7) : -1);

	/* Flags */
	if (wrong == 2) {
		if (percent(60))
			prop_bool("reusable");
		if (percent(60))
			prop_bool("no-map");
		if (percent(30))
			prop_bool("linux,cma-default");
		if (percent(30))
			prop_bool("linux,dma-default");
		if (percent(20))
			prop_u32("reusable", 0);
	} else {
		if (mode == CMA)
			prop_bool("reusable");
		else if ((mode == COHERENT && percent(85)) || (mode >= CARVEOUT && percent(30)))
			prop_bool("no-map");
		if (mode == CMA && percent(15))
			prop_bool("linux,cma-default");
		if (mode == COHERENT && percent(10))
			prop_bool("linux,dma-default");
	}

	/* Place */
	if (dynamic) {
		put_dynamic(r, mode, wrong == 3 || wrong == 4, &ranges);
		if (wrong == 4 && percent(20))
			prop_range("reg", r->base, r->size, 0);
	} else if (wrong == 3 || wrong == 4) {
		put_odd_reg(r, mode);
	} else {
		prop_range("reg", r->base, r->size, 0);
		if (odd && percent(5))
			prop_cells("size", sc, r->size);
	}

	if (may_export && percent(60)) {
		if (odd && percent(10))
			prop_u32("export", rnd(2));
		else if (odd && percent(5))
			prop_str("export", "no");
		else
			prop_bool("export");
	}
	if (wrong == 5 || percent(5))
		put_status(wrong == 5);
	if (wrong == 6) {
		if (percent(40)) {
			uint32_t buf[8];

			buf[0] = cpu_to_fdt32(1 + rnd(8));
			cells(cells(buf + 1, 2, r->base), 2, r->size);
			prop("iommu-addresses", buf, percent(70) ? 20 : rnd(24));
		}
		if (percent(30))
			prop_bool("linux,something");
		if (percent(30))
			prop_str("label", "%s%n");
	}
	if (percent(98))
		prop_u32("phandle", odd && percent(5) ? 1 + rnd(20) : nregions + 1);

	/* Grandchildren: no regions */
	if (odd && percent(12)) {
		check(fdt_begin_node(fdt, percent(30) && nregions ?
				     regions[rnd(nregions)].name : "nested@7000000"), "node");
		if (percent(50))
			prop_str("compatible", "shared-dma-pool");
		if (percent(50))
			prop_bool("export");
		prop_range("reg", 0x7000000, MIB, 0);
		check(fdt_end_node(fdt), "node");
	}
	check(fdt_end_node(fdt), "node");
	nregions++;
}

static void put_reserved_memory(enum style style)
{
	bool many = percent(3), may_export = percent(85);
	int count = many ? 60 + rnd(85) : 1 + rnd(percent(50) ? 6 : 20);

	if (style != CLEAN && percent(1))
		return;
	check(fdt_begin_node(fdt, "reserved-memory"), "node");
	ac = root_ac;
	sc = root_sc;
	if (style != CLEAN && percent(3)) {
		ac = 1 + rnd(2);
		sc = 1 + rnd(2);
	}
	if (style == CLEAN || percent(99))
		prop_u32("#address-cells", style != CLEAN && percent(1) ? rnd(9) : ac);
	if (style == CLEAN || percent(99))
		prop_u32("#size-cells", style != CLEAN && percent(1) ? rnd(9) : sc);
	if (style == CLEAN || percent(98))
		prop_bool("ranges");
	cursor = MIDDLE;
	while (count--)
		put_region(style, many, may_export);
	check(fdt_end_node(fdt), "node");
}

static void put_consumers(enum style style)
{
	static const uint32_t wrong[] = { 0, 0xffffffff, 0x7777, 900, 900 };
	static const char *const others[] = {
		"memory-region-1", "tx-mem", "mem2", "vendor,fw-x", "firmware-name", "2mem",
		"smem", "region-size", "mem-names", "x_shm,y", "area", "buffer-type3",
	};
	int n = percent(60) ? rnd(4) : 0;
	char name[32];

	for (int i = 0; i < n; i++) {
		uint32_t buf[16];
		int count = percent(80) ? 1 : 1 + rnd(4);

		snprintf(name, sizeof(name), "user%d", i);
		check(fdt_begin_node(fdt, name), "node");
		/*
		 * A driver takes the pool; no hurry to do so with a wrong one: mainline crashes
		 * on restricted pools outside of memory.
		 */
		prop_str("compatible", style == CLEAN && percent(70) ? "linux,rmem-heap-consumer" :
			 "vendor,user");
		for (int j = 0; j < count; j++) {
			uint32_t ph = 1 + rnd(nregions ? nregions : 1);

			if (style != CLEAN && percent(15))
				ph = PICK(wrong);
			buf[j] = cpu_to_fdt32(ph);
		}
		prop(style != CLEAN && percent(25) ? PICK(others) : "memory-region", buf,
		     4 * count - (style != CLEAN && percent(8) ? 2 : 0));
		if (percent(20))
			prop_str("memory-region-names", "main");
		if (percent(10))
			prop_str("status", "disabled");
		check(fdt_end_node(fdt), "node");
	}
	if (percent(20)) {
		check(fdt_begin_node(fdt, "no-region"), "node");
		prop_u32("phandle", 900);
		if (style != CLEAN && percent(50))
			prop_bool("export");
		/* Looks like the place, and is not */
		check(fdt_begin_node(fdt, nregions ? regions[rnd(nregions)].name : "r"), "node");
		if (percent(50))
			prop_range("reg", MIDDLE, MIB, 0);
		check(fdt_end_node(fdt), "node");
		check(fdt_end_node(fdt), "node");
	}
}

/* Bytes of properties and names; what holds the tree together stays. */
static void corrupt(void)
{
	int n = 1 + rnd(4), tries = 1000;

	while (n && tries--) {
		int off = 0, depth = 0, p, len = 0, steps = rnd(60);
		const struct fdt_property *q;

		while (steps-- && off >= 0 && depth >= 0)
			off = fdt_next_node(fdt, off, &depth);
		/* The cells of the root decide whether anything is read at all. */
		if (off <= 0 || depth < 0)
			continue;
		if (percent(10)) {
			char *name = (char *)fdt_get_name(fdt, off, &len);

			if (len && fdt_path_offset(fdt, "/reserved-memory") != off) {
				name[rnd(len)] = 1 + rnd(255);
				n--;
			}
			continue;
		}
		fdt_for_each_property_offset(p, fdt, off) {
			q = fdt_get_property_by_offset(fdt, p, &len);
			if (!q || !len || !percent(40))
				continue;
			((char *)q->data)[rnd(len)] = percent(50) ? rnd(256) : 1 << rnd(8);
			n--;
			break;
		}
	}
	if (percent(10) && fdt_size_dt_strings(fdt)) {
		char *s = (char *)fdt + fdt_off_dt_strings(fdt) +
			rnd(fdt_size_dt_strings(fdt));

		if (*s)
			*s = 'a' + rnd(26);
	}
}

static void put_cmdline(const char *file)
{
	static const char *const garbage[] = {
		"video", ",", ",,,", "!", "!!x", "!*", "%s%n%p", "=", "x=y", "../x", "@", "0x1000",
		"system", "!system", "default_cma_region", "!default_cma_region", "**", "*@*",
		"reserved-memory", "/reserved-memory", "nested@7000000", "user0", "!nothing@1",
	};
	FILE *f = fopen(file, "w");
	int n = percent(55) ? 1 + rnd(3) : 0;
	size_t len = 0;

	if (!f)
		die(file, strerror(errno));
	if (percent(1))
		n = 14 + rnd(6);
	while (n-- && len < 2500) {
		int tokens = percent(10) ? rnd(20) : 1 + rnd(4);

		len += fprintf(f, "rmem_heap.export=");
		for (int i = 0; i < tokens && len < 2500; i++) {
			const char *t = PICK(garbage);
			bool safe = true;

			if (nregions && percent(75))
				t = regions[rnd(nregions)].name;
			else if (percent(35))
				t = "*";
			for (const char *c = t; *c; c++)
				safe &= *c > ' ' && *c < 127 && *c != '"' && *c != '\'';
			if (!safe)
				continue;
			if (percent(5))
				len += fprintf(f, ":");
			len += fprintf(f, "%s%s%s", i ? ":" : "", percent(20) ? "!" : "", t);
		}
		fprintf(f, n ? " " : "");
	}
	fprintf(f, "\n");
	if (fclose(f))
		die(file, strerror(errno));
}

static void write_blob(const char *file, const void *data)
{
	FILE *f = fopen(file, "w");

	if (!f || fwrite(data, fdt_totalsize(data), 1, f) != 1 || fclose(f))
		die(file, strerror(errno));
}

static void read_blob(const char *file)
{
	FILE *f = fopen(file, "r");

	if (!f)
		die(file, strerror(errno));
	if (!fread(blob, 1, BLOB, f) || fdt_check_header(blob) || fdt_totalsize(blob) > BLOB)
		die(file, "not a flattened device tree");
	fclose(f);
	check(fdt_open_into(blob, edited, BLOB), file);
	fdt = edited;
}

static void generate(uint64_t seed, const char *out)
{
	enum style style;
	char file[4096];

	state = seed * 0x2545f4914f6cdd1dULL + 1;
	rnd64();
	style = percent(25) ? CLEAN : percent(85) ? ODD : CORRUPT;
	root_ac = percent(85) ? 2 : 1;
	root_sc = percent(90) ? root_ac : 1;

	check(fdt_create(fdt, BLOB), "blob");
	if (percent(15)) {
		/* In the middle, too: perhaps in a region */
		uint64_t size = percent(50) ? 4 * KIB : MIB;

		check(fdt_add_reservemap_entry(fdt, MIDDLE + rnd(90) * 4 * MIB, size),
		      "reservation");
		if (style != CLEAN && percent(30))
			check(fdt_add_reservemap_entry(fdt, 2 * RAM, 1), "reservation");
	}
	check(fdt_finish_reservemap(fdt), "reservations");
	check(fdt_begin_node(fdt, ""), "root");
	prop_u32("#address-cells", root_ac);
	prop_u32("#size-cells", root_sc);
	prop_str("compatible", "linux,um");
	put_reserved_memory(style);
	put_consumers(style);
	check(fdt_end_node(fdt), "root");
	check(fdt_finish(fdt), "blob");
	if (style == CORRUPT)
		corrupt();

	write_blob(out, fdt);
	snprintf(file, sizeof(file), "%s.cmdline", out);
	put_cmdline(file);
}

/* What can go: reservations, nodes but for the frame, and properties. Large things first. */
static int drop(int n, bool list)
{
	int count = 0, off, p, depth, frame = fdt_path_offset(fdt, "/reserved-memory");
	const char *name;

	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++, count++)
		if (!list && count == n) {
			printf("reservation %d\n", i);
			check(fdt_del_mem_rsv(fdt, i), "drop");
			return 0;
		}
	depth = 0;
	for (off = fdt_next_node(fdt, 0, &depth); off > 0 && depth > 0;
	     off = fdt_next_node(fdt, off, &depth)) {
		if (off == frame)
			continue;
		if (!list && count == n) {
			printf("node %s\n", fdt_get_name(fdt, off, NULL));
			check(fdt_del_node(fdt, off), "drop");
			return 0;
		}
		count++;
	}
	depth = 0;
	for (off = fdt_next_node(fdt, 0, &depth); off > 0 && depth > 0;
	     off = fdt_next_node(fdt, off, &depth)) {
		if (off == frame)
			continue;
		fdt_for_each_property_offset(p, fdt, off) {
			if (!list && count == n) {
				fdt_getprop_by_offset(fdt, p, &name, NULL);
				printf("property %s of %s\n", name,
				       fdt_get_name(fdt, off, NULL));
				check(fdt_delprop(fdt, off, name), "drop");
				return 0;
			}
			count++;
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "count")) {
		read_blob(argv[2]);
		printf("%d\n", drop(0, true));
	} else if (argc == 5 && !strcmp(argv[1], "drop")) {
		read_blob(argv[3]);
		if (drop(atoi(argv[2]), false))
			die(argv[2], "there is no such thing");
		check(fdt_pack(fdt), "pack");
		write_blob(argv[4], fdt);
	} else if (argc == 3) {
		generate(strtoull(argv[1], NULL, 0), argv[2]);
	} else {
		fprintf(stderr, "usage: gen SEED OUT | gen count IN | gen drop N IN OUT\n");
		return 2;
	}
	return 0;
}
