# SPDX-License-Identifier: GPL-2.0
"""What may become of each region of a device tree, by the words of the devicetree
specification, of the schemas reserved-memory.yaml and shared-dma-pool.yaml, and of
Documentation/driver-api/rmem-heap.rst. It shares nothing with the kernel's code: no parser,
no order of tests.

What the words leave open, or what depends on what else is in memory, is a set of outcomes.
"""
import re
import struct

MIB = 1 << 20
PAGE = 4096
CMA_ALIGN = 4 * MIB         # User-Mode Linux
CMA_AREAS = 8               # CONFIG_CMA_AREAS of the kernel
RAM = 512 * MIB             # what hostile.py boots with
IMAGE = 4 * MIB             # the kernel is at 0; certainly up to here,
FREE = 32 * MIB             # certainly not from here on,
FREE_END = RAM - 64 * MIB   # and above this, there is what boot has put there.

ASKED = "asked"

POOLS = {b"shared-dma-pool", b"restricted-dma-pool"}
MODES = {"cma", "coherent", "restricted", "carveout"}
OTHER_HEAPS = {b"system", b"reserved", b"default_cma_region", b"system_cc_shared"}


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.props, self.nodes, self.twice = {}, [], set()
        if parent:
            parent.nodes.append(self)

    def walk(self):
        yield self
        for node in self.nodes:
            yield from node.walk()


def parse(blob):
    """(root, reservations) of a flattened device tree"""
    magic, _, structs, strings, rsv = struct.unpack_from(">5I", blob)
    assert magic == 0xd00dfeed
    reservations = []
    while True:
        base, size = struct.unpack_from(">QQ", blob, rsv)
        rsv += 16
        if not base and not size:
            break
        reservations.append((base, size))
    pos, node, root = structs, None, None
    while True:
        token, = struct.unpack_from(">I", blob, pos)
        pos += 4
        if token == 1:
            end = blob.index(b"\0", pos)
            node = Node(blob[pos:end], node)
            root = root or node
            pos = (end + 4) & ~3
        elif token == 2:
            node = node.parent
        elif token == 3:
            size, off = struct.unpack_from(">II", blob, pos)
            pos += 8
            name = blob[strings + off:blob.index(b"\0", strings + off)]
            if name in node.props:
                node.twice.add(name)
            else:
                node.props[name] = blob[pos:pos + size]
            pos = (pos + size + 3) & ~3
        elif token == 9:
            return root, reservations


def number(cells):
    return int.from_bytes(cells, "big")


def export_tokens(cmdline):
    """The administrator's words"""
    params = [p for p in cmdline.split() if p.startswith("rmem_heap.export=")]
    return [t.encode() for p in params for t in p.split("=", 1)[1].split(":") if t]


class Region:
    """What a node says, and doubts about what it says"""

    def __init__(self, node, index, cells):
        self.node, self.index, self.name, self.cells = node, index, node.name, cells
        p = node.props
        self.doubt = bool(node.twice & {
            b"compatible", b"reg", b"size", b"status", b"reusable", b"no-map", b"export"})

        status = p.get(b"status")
        self.disabled = status not in (None, b"okay\0", b"ok\0")
        # Not a string: anybody's guess
        self.status_doubt = self.disabled and (
            status[-1:] != b"\0" or b"\0" in status[:-1])

        compatible = p.get(b"compatible")
        self.no_compatible = compatible is None
        strings = (compatible or b"").split(b"\0")
        self.compatible_doubt = compatible is not None and strings[-1] != b""
        if strings[-1] == b"":
            strings.pop()
        # An empty property, or an empty string, says nothing, or something wrong.
        self.compatible_doubt |= compatible is not None and (not strings or b"" in strings)
        self.pools = [s for s in strings if s in POOLS]
        self.others = [s for s in strings if s not in POOLS]
        self.reusable, self.no_map = b"reusable" in p, b"no-map" in p
        self.export = b"export" in p
        self.iommu = b"iommu-addresses" in p
        self.phandles = {number(p[k]) for k in (b"phandle", b"linux,phandle")
                         if len(p.get(k, b"")) == 4}
        self.referenced = self.maybe_referenced = False

        self.base = self.size = None
        self.dynamic = self.place_doubt = False
        self.align, self.ranges = 1, None
        ac, sc = cells
        reg, size = p.get(b"reg"), p.get(b"size")
        step = 4 * (ac + sc)
        if reg is not None and reg and len(reg) % step == 0:
            self.base = number(reg[:4 * ac])
            self.size = number(reg[4 * ac:step])
        elif reg is not None:
            # A reg that is none. With a size: dynamic, perhaps.
            self.bad_place = True
            self.place_doubt = size is not None
        elif size is not None:
            self.dynamic = True
        self.bad_place = self.base is None and not self.dynamic
        if size is not None and self.base is None:
            if len(size) == 4 * sc:
                self.size = number(size)
            else:
                self.bad_place, self.dynamic = True, False
            align = p.get(b"alignment")
            if align is not None and len(align) == 4 * sc:
                self.align = number(align)
            elif align is not None:
                self.place_doubt = True
            ranges = p.get(b"alloc-ranges")
            if ranges is not None and (not ranges or len(ranges) % step):
                self.place_doubt = True
            elif ranges is not None:
                self.ranges = [(number(ranges[i:i + 4 * ac]), number(ranges[i + 4 * ac:i + step]))
                               for i in range(0, len(ranges), step)]
                self.place_doubt |= any(b + s > 1 << 64 or not s or b == 0 for b, s in self.ranges)

    @property
    def end(self):
        return self.base + self.size

    @property
    def is_static(self):
        return self.base is not None and self.size

    @property
    def mode(self):
        if b"shared-dma-pool" in self.pools:
            return "cma" if self.reusable else "coherent"
        return "restricted" if self.pools else "carveout"

    def overlaps(self, base, end):
        return self.is_static and self.base < end and base < self.end

    def name_fault(self):
        """True, False, or None when the words do not say"""
        n = self.name
        if not n or n.startswith(b"@") or n in (b".", b"..") or n in OTHER_HEAPS or \
           n.startswith(b"protected,") or re.search(rb"[\s%!:/]", n):
            return True
        if len(n) > 127 or re.search(rb"[^!-~]", n):
            return None
        return False


class Oracle:
    def __init__(self, blob, cmdline):
        self.root, self.reservations = parse(blob)
        self.tokens = export_tokens(cmdline)
        self.named = {t for t in self.tokens if t != b"*" and t[:1] != b"!"}
        self.held = {t[1:] for t in self.tokens if t[:1] == b"!"}
        self.all_pools = b"*" in self.tokens
        self.regions, self.frame_fault = [], False
        frames = [n for n in self.root.nodes if n.name == b"reserved-memory"]
        # Two of them: the second is nobody's.
        self.frame = frames[0] if frames else None
        self.frame_doubt = len(frames) > 1 or any(
            n.name.startswith(b"reserved-memory@") for n in self.root.nodes)
        if self.frame:
            self.read_frame()

    def read_frame(self):
        cells = []
        for name in (b"#address-cells", b"#size-cells"):
            mine, root = self.frame.props.get(name), self.root.props.get(name)
            self.frame_fault |= mine is None or mine != root or len(mine) != 4
            cells.append(number(mine) if mine and len(mine) == 4 else 1)
        self.frame_fault |= b"ranges" not in self.frame.props
        if not all(1 <= c <= 2 for c in cells):
            self.frame_fault, cells = True, (1, 1)
        self.regions = [Region(n, i, cells) for i, n in enumerate(self.frame.nodes)]
        holders = {}
        for node in self.root.walk():
            for key in (b"phandle", b"linux,phandle"):
                val = node.props.get(key, b"")
                if len(val) == 4:
                    holders.setdefault(number(val), set()).add(node)
        for node in self.root.walk():
            refs = node.props.get(b"memory-region", b"")
            for i in range(0, len(refs), 4):
                ph = number(refs[i:i + 4])
                sure = len(holders.get(ph, ())) == 1 and len(refs) % 4 == 0 and \
                    ph not in (0, 0xffffffff)
                for r in self.regions:
                    if ph in r.phandles:
                        r.referenced |= sure
                        r.maybe_referenced = True

    # Reasons for a refusal: True, False, None for perhaps, or ASKED: nobody tries what nobody
    # asks for, and then it does not show.

    def faults(self, r):
        yield r.name_fault()
        yield self.frame_fault or None if self.frame_fault or self.frame_doubt else False
        if sum(o.name == r.name for o in self.regions) > 1:
            # "two nodes of one name": a disabled one is not there
            yield sum(o.name == r.name and not o.disabled for o in self.regions) > 1 or None
        pool = r.mode
        if r.reusable and b"shared-dma-pool" not in r.pools:
            yield True
        if r.reusable and r.no_map:
            yield True
        if set(r.pools) == {b"restricted-dma-pool"} and (r.no_map or r.reusable):
            yield True
        # Not in the binding's words, but mainline takes no such restricted pool.
        if r.mode == "restricted" and r.node.props.keys() & {
                b"linux,cma-default", b"linux,dma-default"}:
            yield None
        if len(set(r.pools)) > 1:
            yield ASKED         # "devices get another one": shows when a device gets one
            yield None
        if len(r.pools) > 1 or r.compatible_doubt or r.doubt or r.place_doubt:
            yield None
        if r.bad_place:
            yield True
            return
        if r.size == 0 or r.size % PAGE or (pool == "cma" and r.size % CMA_ALIGN):
            yield True
        if r.dynamic:
            yield from self.dynamic_faults(r)
        else:
            yield from self.static_faults(r)
        if pool == "cma":
            if sum(o.mode == "cma" or o.reusable for o in self.regions if not o.disabled) >= \
               CMA_AREAS:
                yield None
        if len(self.regions) > 64:
            yield None

    def static_faults(self, r):
        pool = r.mode
        if r.base % PAGE or (pool == "cma" and r.base % CMA_ALIGN):
            yield True
        if not r.size:
            return
        if r.end > 1 << 64:
            yield True
            return
        for o in self.regions:
            if o is r or (o.disabled and not o.status_doubt):
                continue
            if o.overlaps(r.base, r.end):
                # One that is refused for what it says itself may have nothing to overlap.
                yield None if o.status_doubt or o.doubt or o.end > 1 << 64 or \
                    self.hopeless(o) else True
        for base, size in self.reservations:
            # Theirs and ours: no harm in a carveout, but who knows
            if r.overlaps(base, base + size):
                yield None
        if r.base < IMAGE:
            yield True
        elif r.base < FREE or (r.base < RAM and r.end > FREE_END):
            yield None
        if r.base >= RAM:
            # The CPU cannot have it on User-Mode Linux; device-only memory does without.
            if pool == "cma":
                yield True
            elif pool != "carveout" or not r.no_map:
                yield None
                yield ASKED
        elif r.end > RAM:
            yield None
        # A dynamic region is put where it fits; what it took is in its own base.

    @staticmethod
    def hopeless(o):
        return (o.reusable and (o.no_map or o.base % CMA_ALIGN or o.size % CMA_ALIGN or
                                b"shared-dma-pool" not in o.pools)) or \
            (o.pools and b"shared-dma-pool" not in o.pools and o.no_map) or \
            o.compatible_doubt or o.place_doubt

    def dynamic_faults(self, r):
        pool = r.mode
        align = max(r.align, CMA_ALIGN if pool == "cma" else 1)
        if align & (align - 1) or not r.align:
            yield None
        # By the binding the alignment has #size-cells cells; mainline wants #address-cells.
        if b"alignment" in r.node.props and r.cells[0] != r.cells[1]:
            yield None
        if align < PAGE:
            yield None          # where it comes to lie is chance
        if r.size > RAM:
            yield True
            return
        want = 0
        taken = [(0, FREE), (FREE_END, RAM)]
        for o in self.regions:
            if o.is_static and not (o.disabled and not o.status_doubt):
                # A place that could not be reserved may be found free.
                if o.base < FREE or o.end > FREE_END or self.hopeless(o) or o.no_map and any(
                        p is not o and p.is_static and p.overlaps(o.base, o.end)
                        for p in self.regions):
                    yield None
                taken.append((o.base, min(o.end, 1 << 64)))
            elif o is not r and o.dynamic and o.size and o.size < RAM:
                want += o.size + max(o.align, CMA_ALIGN)
        taken += [(b, b + s) for b, s in self.reservations]
        best, possible = 0, False
        for base, size in r.ranges if r.ranges else [(0, RAM)]:
            base, end = base, min(base + size, RAM)
            possible |= end - base >= r.size
            pos = base
            for b, e in sorted(taken) + [(end, end)]:
                best = max(best, min(b, end) - pos)
                pos = max(pos, e)
        if not possible and not r.place_doubt:
            yield True
        elif best < r.size + align + want:
            yield None

    def judge(self, r):
        """The kinds that r may be shown as, and those with a heap"""
        faults = list(self.faults(r))
        fault, maybe = True in faults, None in faults
        kinds = set()
        # Whose is it?
        pool_or_reusable = bool(r.pools) or r.reusable
        owner = bool(r.others) or r.iommu or (r.referenced and not r.pools)
        maybe_owner = owner or r.compatible_doubt or r.doubt or len(set(r.pools)) > 1 or \
            (r.maybe_referenced and not r.pools)
        modes = {r.mode}
        if r.compatible_doubt or r.doubt:
            modes |= MODES if r.doubt else {r.mode, "coherent", "cma", "restricted"} \
                if not r.no_compatible else {r.mode}
            if r.compatible_doubt and pool_or_reusable is False:
                modes.add("carveout")
        if not fault and not owner:
            kinds |= modes
        if maybe_owner:
            kinds.add("owned")
        if fault or maybe or (owner and pool_or_reusable):
            kinds.add("refused")
        if r.disabled:
            # A fault may be told instead; nothing else
            kinds = {"disabled"} | (kinds if r.status_doubt else
                                    {"refused"} if fault or maybe else set())

        # Who wants a heap?
        held, named = r.name in self.held, r.name in self.named
        heap = set()
        for kind in kinds & MODES:
            want = not held and (kind == "cma" or r.export or named or
                                 (self.all_pools and kind != "carveout"))
            if want and ASKED in faults:
                heap.add(("refused", False))
            else:
                heap.add((kind, want))
        for kind in kinds - MODES:
            if kind == "owned":
                want = named and not held
                heap.add((kind, False))
                if want:
                    # An order. What its mode is shown as is not said.
                    heap |= {(k, True) for k in MODES | {"owned"}}
                    if ASKED in faults:
                        heap.add(("refused", False))
                    if not set(faults) & {True, None, ASKED} and not (owner and pool_or_reusable):
                        heap.discard((kind, False))
            else:
                heap.add((kind, False))
        return heap

    def mainlines(self, r):
        """May cma_heap have this area, which is not ours?"""
        # At early boot mainline does not tell capitals from others.
        pool = b"shared-dma-pool" in [s.lower() for s in r.pools + r.others]
        return pool and r.reusable and \
            not r.disabled and \
            (bool(r.others) or r.iommu or r.compatible_doubt or r.doubt or
             len(r.pools) > 1) and r.name not in self.held

    def default_area(self):
        """May, and must there be, default_cma_region?"""
        areas = [r for r in self.regions if b"linux,cma-default" in r.node.props and
                 (r.reusable or r.doubt) and not (r.disabled and not r.status_doubt)]
        may = [r for r in areas if r.name not in self.held]
        good = [r for r in areas if not (set(self.faults(r)) & {True, None}) and
                r.mode == "cma" and not r.others and not r.iommu and not r.disabled]
        held = b"default_cma_region" in self.held or any(r.name in self.held for r in areas)
        return bool(may), len(areas) == 1 and bool(good) and not held

    # What the machine itself cannot have: mainline's faults, and User-Mode Linux's

    def cma_outside_ram(self):
        return any(r.is_static and r.reusable and r.end > RAM and not r.disabled
                   for r in self.regions)

    def area_over_boot(self):
        """A pool where boot has put the kernel, the initial file system or this tree"""
        return any(r.is_static and not r.disabled and (r.base < FREE or r.end > FREE_END) and
                   r.base < RAM and (r.reusable or r.no_map and b"restricted-dma-pool" in r.pools)
                   for r in self.regions)

    def areas_of_one_name(self):
        names = [r.name for r in self.regions if r.reusable and not r.disabled]
        return len(set(names)) < len(names)

    def no_cells(self):
        nodes = [self.root] + ([self.frame] if self.frame else [])
        return any(name not in n.props for n in nodes
                   for name in (b"#address-cells", b"#size-cells"))

    def nameless(self):
        return any(n.name.split(b"/")[-1] == b"" and n.parent for n in self.root.walk())

    def empty_compatible(self):
        return any(b"" in r.node.props.get(b"compatible", b"x\0").split(b"\0")[:-1] and
                   (not r.disabled or r.status_doubt) for r in self.regions)

    def outside_ram(self):
        return any(r.is_static and r.end > RAM and not r.disabled for r in self.regions)


def unescape(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text)


def messages(console, name):
    """What the boot messages say of the regions of a name: mode, KiB, exported by, reason"""
    return re.findall(rb"rmem_heap: " + re.escape(name) + rb": (\w+),(?: (\d+) KiB,)? "
                      rb"(?:exported \(([^\r\n]*)\)|not exported: ([^\r\n]*))", console)


def compare(oracle, console):
    """What is wrong with what the machine said: (class, text) each"""
    bad = []
    sysfs, heaps, used = {}, [], {}
    for line in console.split(b"\n"):
        line = line.rstrip(b"\r")
        if line.startswith(b"H sysfs "):
            _, _, name, attr, val = line.split(b" ", 4)
            sysfs.setdefault(unescape(name), {})[attr.decode()] = unescape(val)
        elif line.startswith(b"H heap "):
            heaps.append(unescape(line[7:]))
        elif line.startswith(b"H use "):
            name, val = line[6:].split(b" ", 1)
            used[unescape(name)] = val.decode(errors="replace")

    def show(name):
        return repr(name)[1:]

    extents = []
    names = {r.name for r in oracle.regions}
    for r in oracle.regions:
        if re.search(rb"[\n/]", r.name):
            # Cannot be told apart in the messages, or is cut there.
            if r.name in heaps:
                bad.append(("heap", "heap with a blank in its name: " + show(r.name)))
            continue
        same = [o for o in oracle.regions if o.name == r.name]
        said = messages(console, r.name)
        if len(said) != len(same):
            bad.append(("message", "%s: %d messages about it, not %d" %
                        (show(r.name), len(said), len(same))))
            continue
        mode, kib, by, reason = said[same.index(r)]
        kind, heap = mode.decode(), bool(by)
        allowed = oracle.judge(r)
        if (kind, heap) not in allowed:
            bad.append(("kind", "%s: %s%s (%s), but allowed: %s" % (
                show(r.name), kind, " with a heap" if heap else "",
                reason.decode(errors="replace"),
                ", ".join(sorted(k + (" with a heap" if h else "") for k, h in allowed)))))
        if heap and (r.name not in heaps or len(same) > 1):
            bad.append(("heap", "%s: exported, but there is no heap" % show(r.name)))
        if not heap and r.name in heaps and not oracle.mainlines(r) and \
           r.name not in OTHER_HEAPS:
            bad.append(("heap", "%s: not exported, but there is a heap" % show(r.name)))
        if not heap and reason in (b"", b"-"):
            bad.append(("reason", "%s: no reason" % show(r.name)))
        want_by = {b"default"} if r.mode == "cma" else set()
        want_by |= {b"its node"} if r.export else set()
        if r.name in oracle.named or oracle.all_pools:
            want_by.add(b"rmem_heap.export")
        if heap and by not in want_by and not r.doubt and not r.compatible_doubt:
            bad.append(("by", "%s: exported by %s" % (show(r.name), show(by))))
        asked = r.name in oracle.named or r.export and kind != "disabled"
        if asked and not heap and not (r.name in oracle.held) and \
           re.fullmatch(rb"[!-~]+", r.name) and len(same) == 1 and \
           b"rmem_heap: " + r.name + b": cannot export it: " not in console:
            bad.append(("message", "%s: asked for, and not told why not" % show(r.name)))
        if heap and kind == "owned" and b"exporting it although" not in console:
            bad.append(("message", "%s: no warning about its owner" % show(r.name)))

        # Names that are no file names, and the second node of one name, are in messages only.
        in_sysfs = 0 < len(r.name) < 256 and r.name not in (b".", b"..") and r is same[0]
        attrs = sysfs.get(r.name, {}) if in_sysfs else {}
        size = int(attrs.get("size", b"0"))
        if in_sysfs and (attrs.get("mode"), size // 1024, attrs.get("exported_by"),
                         attrs.get("reason")) != (mode, int(kib or 0), by or b"-",
                                                  reason or b"-"):
            bad.append(("sysfs", "%s: sysfs and the messages differ: %s %s" %
                        (show(r.name), attrs, (mode, kib, by, reason))))
        if heap:
            base = int(attrs.get("base", b"-1"), 0)
            if base < 0:
                bad.append(("sysfs", "%s: has no base in sysfs" % show(r.name)))
                continue
            extents.append((base, base + size, r))
            if r.base is not None and (r.base, r.size) != (base, size) and not r.doubt:
                bad.append(("place", "%s: at 0x%x, %d" % (show(r.name), base, size)))
            if r.base is None and size != r.size and not r.doubt:
                bad.append(("place", "%s: %d bytes, not %d" % (show(r.name), size, r.size)))
            if r.dynamic and not r.place_doubt:
                align = r.align if r.align and not r.align & (r.align - 1) else 1
                if base % align or base % PAGE:
                    bad.append(("place", "%s: 0x%x is not aligned" % (show(r.name), base)))
                if r.ranges and not any(b <= base and base + size <= b + s
                                        for b, s in r.ranges):
                    bad.append(("place", "%s: 0x%x is not in alloc-ranges" %
                                (show(r.name), base)))
            use = used.get(r.name, "")
            if not use.startswith("ok "):
                bad.append(("use", "%s: %s" % (show(r.name), use or "not used")))
            elif int(use[3:]) > size:
                bad.append(("use", "%s: %s bytes from %d" % (show(r.name), use[3:], size)))
    for name in sysfs:
        if name not in names and not any(b"/" in n for n in names):
            bad.append(("sysfs", "%s: no such region" % show(name)))

    # No two heaps, and no heap and another region that the kernel has, share memory.
    extents.sort(key=lambda e: e[:2])
    for a, b in zip(extents, extents[1:]):
        if a[1] > b[0]:
            bad.append(("overlap", "%s and %s share memory" % (show(a[2].name), show(b[2].name))))
    for base, end, r in extents:
        for o in oracle.regions:
            if o is not r and not o.disabled and o.overlaps(base, end) and \
               o.end <= 1 << 64 and not oracle.frame_fault and not oracle.hopeless(o):
                bad.append(("overlap", "%s shares memory with %s" % (show(r.name), show(o.name))))

    # The list of heaps
    for name in set(heaps):
        if heaps.count(name) > 1:
            bad.append(("heap", "%s twice" % show(name)))
    if b"system" not in heaps:
        bad.append(("heap", "there is no system heap"))
    may, must = oracle.default_area()
    default = b"default_cma_region" in heaps
    if default and not may or must and not default:
        bad.append(("heap", "default_cma_region is %sthere" % ("" if default else "not ")))
    for name in set(heaps) - names - {b"system", b"default_cma_region"}:
        # cma_heap's own names end after 63 characters.
        # Where a name has a slash, which no tree of a compiler has, it is cut for everybody
        # but them.
        if not any(oracle.mainlines(r) and r.name[:63] == name or
                   r.mode == "cma" and b"/" in r.name and r.name[:63].replace(b"/", b"!") == name
                   for r in oracle.regions):
            bad.append(("heap", "%s: whose heap is that?" % show(name)))
    for name, use in used.items():
        if use.startswith("FAIL") and name not in names:
            bad.append(("use", "%s: %s" % (show(name), use)))

    # What the administrator asked for in vain
    for t in oracle.tokens:
        name = t[1:] if t[:1] == b"!" else t
        if name in names or t in (b"*",) or name == b"" or t[:1] == b"!":
            continue
        if b"rmem_heap: export=" + t + b": there is no such reserved-memory region" not in console:
            bad.append(("message", "export=%s: not a word about it" % show(t)))
    return bad
