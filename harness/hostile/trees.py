# SPDX-License-Identifier: GPL-2.0
"""Strategies of hypothesis: device trees with reserved memory that nobody would write.

trees() draws (a number, the blob, the command line). Trees are for User-Mode Linux with mem=512M:
RAM begins at 0 and with the kernel, and ends with the initial file system and the tree itself.
hypothesis shrinks to the first entry of each table; an entry that is there several times is drawn
more often. Regions, consumers and words are drawn, and then left out if their first draw says so:
hypothesis changes that draw without changing what the others mean.
"""
import libfdt
from hypothesis import strategies as st

KIB, MIB = 1 << 10, 1 << 20
RAM = 512 * MIB
# Between these, there is nothing but what the tree puts there.
MIDDLE, MIDDLE_END = 64 * MIB, RAM - 80 * MIB
END = 1 << 64


def cells(count, value):
    return (value % (1 << 32 * count)).to_bytes(4 * count, "big")


CLEAN, ODD, CORRUPT = "clean", "odd", "corrupt"
STYLES = (CLEAN,) * 7 + (ODD,) * 18 + (CORRUPT,) * 3
CARVEOUT, CMA, COHERENT, RESTRICTED, OTHER = "carveout", "cma", "coherent", "restricted", "other"
MODES = (CARVEOUT,) * 29 + (CMA,) * 22 + (COHERENT,) * 20 + (RESTRICTED,) * 19 + (OTHER,) * 10
DEFECTS = ("more", "status", "name", "compatible", "flags", "place", "place")

SMALL = tuple(n * KIB for n in (4, 16, 64, 100, 256, 1024, 1024, 2048, 3072, 4096, 8192))
SIZES = {
    CARVEOUT: SMALL, COHERENT: SMALL, OTHER: SMALL,
    CMA: tuple(n * 4 * MIB for n in (1, 2, 3) * 24 + tuple(range(1, 9))),
    RESTRICTED: tuple(n * 512 * KIB for n in range(1, 9)) * 11 + SMALL * 2,
}
# Regions are at multiples of these. Many regions have to stand close.
STEPS = (4 * MIB,) * 10 + (64 * KIB,) * 7 + (4 * KIB,) * 3

WORDS = (b"a", b"video", b"vram", b"guest", b"frames", b"dsp", b"linux,cma", b"ramoops", b"buffer",
         b"ecc-off", b"default-pool", b"memory", b"mcu_r5fss0_core0-dma-memory", b"Upper-Case",
         b"x.y_z+0")
NAMES = (
    b"%s", b"x%n@1", b"100%", b"a b", b"tab\there", b"new\nline", b"", b"@1000", b"system",
    b"reserved", b"default_cma_region", b"protected,x", b"protected,", b"system_cc_shared",
    b".", b"..", b"a/b", b"a:b", b"!a", b"a!b", b"*", b"uml\xc3\xa4ut", b"\x01", b"\x7f@2",
    b"linux,cma", b"linux,cma@5000", b"a,b,c@1,2", b"system@4000", b"uevent", b"null", b"-", b"@",
    b"x@", b"x@@1", b"a=b", b"#1", b"'q'", b"back\\slash", b"...", b"reserved-memory",
    b"\xff\xfe",
) + tuple(b"n" * n for n in (31, 32, 63, 64, 65, 100, 127, 128, 200, 230, 254, 255, 256, 280))

SHARED, RESTR = b"shared-dma-pool\0", b"restricted-dma-pool\0"
POOLS = {CMA: SHARED, COHERENT: SHARED, RESTRICTED: RESTR}
COMPATIBLES = (
    b"ramoops\0", b"phram\0", b"qcom,smem\0", b"linaro,optee-tz\0", b"vendor,firmware\0",
    b"framebuffer\0", b"google,open-dice\0", b"shared-dma-pool-x\0", b"Shared-DMA-Pool\0",
    b"restricted-dma-pools\0", b"shared-dma\0", b"nvmem-rmem\0", b"qcom,rmtfs-mem\0",
)
FLAGS = {       # name, value, in so many percent of the regions
    CARVEOUT: (("no-map", b"", 30),), OTHER: (("no-map", b"", 30),), RESTRICTED: (),
    CMA: (("reusable", b"", 100), ("linux,cma-default", b"", 15)),
    COHERENT: (("no-map", b"", 85), ("linux,dma-default", b"", 10)),
    ODD: (("reusable", b"", 60), ("no-map", b"", 60), ("linux,cma-default", b"", 30),
          ("linux,dma-default", b"", 30), ("reusable", cells(1, 0), 20)),
}
EXPORTS = (b"",) * 17 + (cells(1, 0), cells(1, 1), b"no\0")
FINE = (b"okay\0", b"okay\0", b"ok\0", b"disabled\0")
STATUSES = (b"disabled\0", b"reserved\0", b"fail\0", b"fail-x\0", b"\0", b"OKAY\0", b"okay \0",
            b"o\0", b"okayish\0", b"okay", b"")
ALIGNS = (4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB)
ODD_ALIGNS = (0, 1, 3, 100, 0x1001, 48 * MIB, RAM, 1 << 31)
ODD_SIZES = (0, 1, 0x800, 0x1800, 3 * MIB, RAM, RAM - 1, 2 * RAM)
ODD_BASES = (0, RAM, RAM - 64 * KIB, 1 << 31, 0x1000)
PHANDLES = (0, 0xffffffff, 0x7777, 900, 900)
REFERENCES = (
    "memory-region-1", "tx-mem", "mem2", "vendor,fw-x", "firmware-name", "2mem", "smem",
    "region-size", "mem-names", "x_shm,y", "area", "buffer-type3",
)
GARBAGE = (
    "video", ",", ",,,", "!", "!!x", "!*", "%s%n%p", "=", "x=y", "../x", "@", "0x1000", "system",
    "!system", "default_cma_region", "!default_cma_region", "**", "*@*", "reserved-memory",
    "/reserved-memory", "nested@7000000", "user0", "!nothing@1",
)
ASKED = (None,) * 105 + ("*",) * 12 + GARBAGE
PREFIXES = ("",) * 15 + ("!",) * 4 + (":",)
BYTES = tuple(range(256)) + tuple(1 << n for n in range(8)) * 32


class Choices:
    def __init__(self, draw):
        self.draw = draw

    def upto(self, n):
        """Less than n"""
        return self.draw(st.integers(0, n - 1))

    def pick(self, table):
        return table[self.upto(len(table))]

    def chance(self, percent):
        return self.upto(128) >= round(128 - 1.28 * percent)

    def some(self, count, strategy):
        """Draws so many items, and returns those that are not left out"""
        return [x for x in [self.draw(strategy) for _ in range(count)] if x is not None]


class Node:
    def __init__(self, name, *props):
        self.name, self.props, self.nodes = name, list(props), []

    def walk(self):
        yield self
        for node in self.nodes:
            yield from node.walk()


class Tree:
    """What the regions of one tree share"""

    def __init__(self, c):
        self.style = c.pick(STYLES)
        self.odd = self.style != CLEAN
        self.many, self.may_export = c.chance(3), not c.chance(15)
        self.ac = self.root_ac = c.pick((2,) * 6 + (1,))
        self.sc = self.root_sc = 1 if c.chance(10) else self.ac
        if self.odd and c.chance(3):
            self.ac, self.sc = 1 + c.upto(2), 1 + c.upto(2)
        self.cursor, self.names, self.places, self.users = MIDDLE, [], [], 0

    def range(self, base, size):
        return cells(self.ac, base) + cells(self.sc, size)

    def name(self, c):
        """The name of a region"""
        n = c.upto(256)
        return self.names and self.names[n % len(self.names)] or b"a"


def compatible(c, mode):
    a, b, pool = c.pick(COMPATIBLES), c.pick(COMPATIBLES), POOLS.get(mode, SHARED)
    many = b"".join(b"vendor,x%d\0" % n for n in range(1 + c.upto(150)))
    cut = POOLS.get(mode, b"vendor,x\0")[:-1]
    # For an empty string, mainline calls an operation that does not exist, and crashes.
    none = b"\0" if c.chance(10) else b""
    return c.pick((a, a, pool * 2, pool * 2, SHARED + RESTR, RESTR + SHARED, pool + a, a + pool + b,
                   cut, cut, none, none, many, many + pool))


def dynamic_place(c, t, mode, size, odd):
    if odd and c.chance(30):
        size = c.pick(ODD_SIZES)
    yield "size", b"\0\0\1" if odd and c.chance(8) else cells(t.sc + (odd and c.chance(10)), size)
    if odd and c.chance(30):
        yield "alignment", cells(t.sc + c.chance(20), c.pick(ODD_ALIGNS))
    elif mode == CMA or c.chance(80):
        yield "alignment", cells(t.sc, 4 * MIB if mode == CMA else c.pick(ALIGNS))
    if c.chance(35):
        base, size = MIDDLE + c.upto(64) * 4 * MIB, (1 + c.upto(16)) * 4 * MIB
        if odd and c.chance(50):
            base, size = c.pick(ODD_BASES), c.pick((size, size, size, size, 0, 0, END - 1))
        yield "alloc-ranges", t.range(base, size) + bytes(4 * (odd and c.chance(20)))


def static_place(c, t, mode, base, size):
    """A reg that is wrong in some way; n, k and another region are for the ways that need them"""
    r, n, k, good = t.range, c.upto(400), c.upto(4), t.range(base, size)
    other, length = t.places[c.upto(256) % len(t.places)]
    behind = other + length
    safe = (
        r(base + 0x800, size), r(base + MIB, size), r(base, 0), r(base, size + 0x800),
        r(base, 3 * MIB), None, b"", good[:-4], good + bytes(4), (good[:-1], good + b"\0")[k % 2],
        good + b"".join(r(MIDDLE + (n + 101 * i) % 400 * MIB, size) for i in range(k or 1)),
        r(END - MIB, 2 * MIB), r(other, length), r(other + length // 8192 * 4096, size),
        (r(behind, size), r(behind, 64 * KIB), r(other, size), r(other, 64 * KIB))[k],
    )
    # These are outside of RAM, or where boot puts things of its own. The kernel gives a pool there
    # back to the page allocator, with all that boot has put there: most such machines show nothing.
    unsafe = (
        r(RAM + n % 64 * 4 * MIB, size), r(RAM - size // 2, size), r(0, size),
        r(n % 24 * 512 * KIB, size), r(RAM - (1 + n % 16) * 4 * MIB, size),
        r(base, (1 << 40, END - base)[k % 2]),
    )
    pool = mode in POOLS and not c.chance(4 if mode == CMA else 30)
    reg = c.pick(safe if pool else safe + unsafe)
    return [] if reg is None else [("reg", reg)]


@st.composite
def regions(draw, t):
    """A node, or None where there is no place for one"""
    c = Choices(draw)
    kept = c.upto(64)
    mode, dynamic = c.pick(MODES), not t.many and c.chance(18)
    if t.many and mode == CMA:
        mode = CARVEOUT
    odd = t.odd and c.chance(5 if t.many else 40)
    wrong = c.pick(DEFECTS) if odd else None
    size = 64 * KIB if t.many else c.pick(SIZES[mode])
    step = 4 * MIB if mode == CMA else c.pick(STEPS[10 * t.many:])
    base = -(-t.cursor // step) * step
    if base + size > MIDDLE_END:
        return None
    t.cursor = base + size
    t.places.append((base, size))
    word, number = c.pick(WORDS), len(t.names) + 1
    node = Node(b"%s-%d" % (word, number) if dynamic else b"%s@%x" % (word, base))
    props = node.props
    if wrong == "name":
        units = [b"%s@%x" % (word, base + n) for n in (0x1000, 0xffffffff00)]
        node.name = c.pick((word, *units, t.name(c), t.name(c)) * 8 + NAMES)
    if wrong == "compatible":
        props.append(("compatible", compatible(c, mode)))
    elif mode == OTHER or mode in POOLS:
        props.append(("compatible", POOLS.get(mode) or c.pick(COMPATIBLES)))
    props += [(flag, value) for flag, value, percent in FLAGS[ODD if wrong == "flags" else mode]
              if c.chance(percent)]
    if dynamic:
        props += dynamic_place(c, t, mode, size, wrong == "place")
    elif wrong == "place":
        props += static_place(c, t, mode, base, size)
    if not dynamic and wrong != "place" or dynamic and wrong == "place" and c.chance(10):
        props.append(("reg", t.range(base, size)))
        if odd and c.chance(5):
            props.append(("size", cells(t.sc, size)))
    if t.may_export and c.chance(60):
        props.append(("export", c.pick(EXPORTS) if odd else b""))
    if wrong == "status" or c.chance(5):
        props.append(("status", c.pick(STATUSES if wrong == "status" else FINE)))
    if wrong == "more":
        if c.chance(40):
            value = cells(1, 1 + c.upto(8)) + cells(2, base) + cells(2, size) + bytes(3)
            props.append(("iommu-addresses", value[:20 if c.chance(70) else c.upto(24)]))
        props += [("linux,something", b"")] * c.chance(30) + [("label", b"%s%n\0")] * c.chance(30)
    if not c.chance(2):
        props.append(("phandle", cells(1, 1 + c.upto(20) if odd and c.chance(5) else number)))
    if odd and c.chance(12):
        # Nodes in a region are no regions.
        node.nodes.append(Node(c.pick([b"nested@7000000"] * 2 + [t.name(c)]),
                               *[("compatible", SHARED)] * c.chance(50),
                               *[("export", b"")] * c.chance(50),
                               ("reg", t.range(0x7000000, MIB))))
    t.names.append(node.name if kept else None)
    return node if kept else None


def reserved_memory(c, t):
    frame = Node(b"reserved-memory")
    for prop, count in ("#address-cells", t.ac), ("#size-cells", t.sc):
        count = c.upto(9) if t.odd and c.chance(1) else count
        frame.props += [(prop, cells(1, count))] * (not (t.odd and c.chance(1)))
    frame.props += [("ranges", b"")] * (not (t.odd and c.chance(2)))
    count = 60 + c.upto(85) if t.many else 1 + c.upto(c.pick((6, 20)))
    frame.nodes = c.some(count, regions(t))
    return frame


@st.composite
def consumers(draw, t):
    c = Choices(draw)
    kept = c.upto(64)
    # The driver of a consumer takes its pool. Only valid trees have such consumers: mainline
    # crashes on restricted pools outside of RAM.
    node = Node(b"user%d" % t.users, ("compatible", b"vendor,user\0" if t.odd or c.chance(30) else
                                      b"linux,rmem-heap-consumer\0"))
    t.users += 1
    count = 1 if c.chance(80) else 1 + c.upto(4)
    value = b"".join(cells(1, c.pick(PHANDLES) if t.odd and c.chance(15) else
                           1 + c.upto(256) % max(len(t.names), 1)) for _ in range(count))
    node.props.append((c.pick(REFERENCES) if t.odd and c.chance(25) else "memory-region",
                       value[:-2] if t.odd and c.chance(8) else value))
    node.props += [("memory-region-names", b"main\0")] * c.chance(20)
    node.props += [("status", b"disabled\0")] * c.chance(10)
    return node if kept else None


def change(c, text, table):
    at = c.upto(len(text))
    return text[:at] + bytes([c.pick(table)]) + text[at + 1:]


def corrupt(c, root):
    """Bytes of values and names. The cells of the root decide whether anything is read at all."""
    nodes = [n for n in root.walk() if n is not root]
    for _ in range((1 + c.upto(4)) * bool(nodes)):
        node = c.pick(nodes)
        full = [i for i, (_, value) in enumerate(node.props) if value]
        if c.chance(10) and node.name and node.name != b"reserved-memory":
            node.name = change(c, node.name, BYTES[1:256])
        elif full:
            i = c.pick(full)
            node.props[i] = node.props[i][0], change(c, node.props[i][1], BYTES)
    if c.chance(10):
        # All nodes share one copy of the name of a property.
        old = c.pick(sorted({name for n in nodes for name, _ in n.props}) or ["reg"])
        new = change(c, old.encode(), b"abcdefghijklmnopqrstuvwxyz").decode()
        for n in root.walk():
            n.props = [(new if name == old else name, value) for name, value in n.props]


@st.composite
def words(draw, t):
    c = Choices(draw)
    kept, prefix, word, name = c.upto(64), c.pick(PREFIXES), c.pick(ASKED), t.name(c)
    if word is None:
        # Other names cannot be on the command line.
        word = name.decode() if all(32 < b < 127 and b not in b"\"'" for b in name) else "*"
    return prefix + word if kept else None


@st.composite
def parameters(draw, t):
    c = Choices(draw)
    kept, count = c.upto(64), c.upto(20) if c.chance(10) else 1 + c.upto(4)
    names = ":".join(c.some(count, words(t)))
    return "rmem_heap.export=" + names if kept else None


def write(root, reservations):
    sw = libfdt.FdtSw(1 << 18)
    for base, size in reservations:
        sw.add_reservemap_entry(base, size)
    sw.finish_reservemap()

    def put(node):
        # pylibfdt takes UTF-8 only, so the bytes of the names are written at the end.
        with sw.add_node("x" * len(node.name)):
            for name, value in node.props:
                sw.property(name, value)
            for child in node.nodes:
                put(child)
    put(root)
    fdt = sw.as_fdt()
    blob, off, depth = fdt.as_bytearray()[:fdt.totalsize()], 0, 0
    for node in root.walk():
        at = fdt.off_dt_struct() + off + 4
        blob[at:at + len(node.name)] = node.name
        off, depth = fdt.next_node(off, depth)
    return bytes(blob)


@st.composite
def trees(draw):
    c, reservations = Choices(draw), []
    number = draw(st.binary(min_size=4, max_size=4))
    t = Tree(c)
    root = Node(b"", ("#address-cells", cells(1, t.root_ac)), ("#size-cells", cells(1, t.root_sc)),
                ("compatible", b"linux,um\0"))
    if not (t.odd and c.chance(1)):
        root.nodes.append(reserved_memory(c, t))
    root.nodes += c.some(c.upto(4) if c.chance(60) else 0, consumers(t))
    if c.chance(20):
        # A node that looks like the place of the regions, and is not
        other = Node(b"no-region", ("phandle", cells(1, 900)))
        other.props += [("export", b"")] * (t.odd and c.chance(50))
        other.nodes.append(Node(t.name(c), *[("reg", t.range(MIDDLE, MIB))] * c.chance(50)))
        root.nodes.append(other)
    if c.chance(15):
        # A reservation may lie in a region.
        reservations.append((MIDDLE + c.upto(90) * 4 * MIB, c.pick((4 * KIB, MIB))))
        reservations += [(2 * RAM, 1)] * (t.odd and c.chance(30))
    if t.style == CORRUPT:
        corrupt(c, root)
    count = c.pick((0,) * 45 + (1, 2, 3) * 18 + (16,))
    return number, write(root, reservations), " ".join(c.some(count, parameters(t)))[:2500]
