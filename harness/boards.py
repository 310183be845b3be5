#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: boards.py ROOT DIR   (called by boards.sh)

Compiles the boards, runs the checker over them, and compares the number of boards per rule
with boards.table. Then boots the distinct sets of regions, and compares prediction and boot.
"""
import collections
import concurrent.futures
import fnmatch
import hashlib
import os
import re
import subprocess
import sys
import threading
import time

ROOT, DIR = sys.argv[1:3]
sys.path.insert(0, ROOT + "/harness/hostile")
import fdt      # noqa: E402
import verdict  # noqa: E402

TREE, UM = ROOT + "/build/tree", ROOT + "/build/um"
DTC, PREFIXES = UM + "/scripts/dtc/dtc", TREE + "/scripts/dtc/include-prefixes"
TOOL, INITRD = DIR + "/rmem-heap", DIR + "/init.cpio"
TABLE, BY_ADDRESS = ROOT + "/harness/boards.table", ROOT + "/harness/boards.by-address"
JOBS = int(os.environ.get("JOBS") or os.cpu_count())
SLOWEST = 0.1           # seconds that the checker may take for a board
KIB, MIB = 1 << 10, 1 << 20
POOL = b"shared-dma-pool"
hashes = {}


def run(*args):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def line(self, ok, text, details=()):
        self.n += 1
        self.bad += not ok
        print("%s %d - %s" % ("ok" if ok else "not ok", self.n, text))
        for detail in details:
            print("# " + detail)


# The boards

def content(files):
    """A hash of these files, or None when one is gone"""
    h = hashlib.sha1()
    for name in files:
        if name not in hashes:
            try:
                hashes[name] = verdict.content([name])
            except OSError:
                return None
        h.update(hashes[name].encode())
    return h.hexdigest()


def compile_board(dts):
    """The blob of a board, its phandles in __local_fixups__; made again when a source changes"""
    out = "%s/dtb/%s" % (DIR, dts.replace("/boot/dts", "", 1)[:-4])
    if os.path.exists(out + ".key"):
        with open(out + ".key") as f:
            key, *files = f.read().split("\n")
        if content(files) == key and os.path.exists(out + ".dtb"):
            return out + ".dtb"
    os.makedirs(os.path.dirname(out), exist_ok=True)
    src = TREE + "/arch/" + dts
    run("gcc", "-E", "-nostdinc", "-I", PREFIXES, "-undef", "-D__DTS__", "-x",
        "assembler-with-cpp", "-MMD", "-MF", out + ".d", "-MT", "x", "-o", out + ".i", src)
    run(DTC, "-qq", "-@", "-L", "-i", os.path.dirname(src), "-i", PREFIXES, "-d", out + ".d2",
        "-O", "dtb", "-o", out + ".dtb", out + ".i")
    files = [TREE + "/scripts/dtc/version_gen.h"]
    for name in (".d", ".d2"):
        with open(out + name) as f:
            files += f.read().replace("\\\n", " ").split(":", 1)[1].split()
        os.unlink(out + name)
    files.remove(out + ".i")
    os.unlink(out + ".i")
    with open(out + ".key", "w") as f:
        f.write("\n".join([content(files)] + files))
    return out + ".dtb"


def compile_boards():
    sources = []
    for arch in sorted(os.listdir(TREE + "/arch")):
        for folder, _, names in os.walk("%s/arch/%s/boot/dts" % (TREE, arch)):
            sources += [os.path.relpath(folder + "/" + n, TREE + "/arch")
                        for n in names if n.endswith(".dts")]
    blobs, last = [], time.time()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for blob in pool.map(compile_board, sorted(sources)):
            blobs.append(blob)
            if time.time() - last > 10:
                last = time.time()
                print("# %d of %d boards are compiled" % (len(blobs), len(sources)), flush=True)
    return blobs


def check_boards(blobs):
    """What the checker says of each board"""
    parts = [blobs[i:i + 200] for i in range(0, len(blobs), 200)]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return [said for part in pool.map(lambda p: verdict.predict(TOOL, *p), parts)
                for said in part]


def board_name(blob):
    return os.path.relpath(blob, DIR + "/dtb")


# Numbers of boards and regions

class Board:
    """The nodes of /reserved-memory, and what refers to them, known from __local_fixups__"""

    def __init__(self, blob):
        self.name = board_name(blob)
        with open(blob, "rb") as f:
            self.root, self.reservations = fdt.parse(f.read())
        self.frame = fdt.frame(self.root)
        self.regions = self.frame.nodes if self.frame else []
        self.cells = [self.root.cell(b"#address-cells", 2), self.root.cell(b"#size-cells", 1)]
        self.indices = {n.cell(b"phandle", 0): i for i, n in enumerate(self.regions)}
        self.indices.pop(0, None)
        self.devices = [n for top in self.root.nodes if not top.name.startswith(b"__") and
                        top is not self.frame for n in top.walk()]
        fixups = next((n for n in self.root.nodes if n.name == b"__local_fixups__"), None)
        phandles = {n.path[len(b"/__local_fixups__"):]: n for n in fixups.walk()} if fixups else {}
        # Node, property, index in it, region
        self.refs = []
        for node in self.devices:
            where = phandles.get(node.path)
            for prop in where.props if where else ():
                cells = node.cells(prop)
                for at in where.cells(prop):
                    if at % 4 == 0 and cells[at // 4] in self.indices:
                        self.refs.append((node, prop, at // 4, self.indices[cells[at // 4]]))

    def place(self, region):
        """(base, size), or None"""
        na, ns = self.cells
        reg = region.props.get(b"reg", b"")
        if not reg or len(reg) % (4 * (na + ns)):
            return None
        return fdt.number(reg[:4 * na]), fdt.number(reg[4 * na:4 * (na + ns)])


def use_by_address(rules, board, index):
    """Whether a pool must be no heap, by what its drivers do with its address"""
    region = board.regions[index]
    refs = [r for r in board.refs if r[3] == index]
    name = region.name.decode().split("@")[0]
    if not refs:
        words = [("nobody", board.name.split("/")[1], name)]
    else:
        words = [("zap-shader" if n.name == b"zap-shader" else
                  (n.strings(b"compatible") or [b"-"])[0].decode(), str(at), name)
                 for n, _, at, _ in refs]
    for word in words:
        for *rule, use in rules:
            if all(fnmatch.fnmatchcase(w, r) for w, r in zip(word, rule)):
                return use == "address"
    return False


def count_pools(sums, rules, board, said):
    """Adds up the enabled coherent pools, [all, held back from `*`] each: others, by address"""
    for i, r in enumerate(board.regions):
        if POOL in r.strings(b"compatible") and b"reusable" not in r.props and not r.disabled:
            count = sums[use_by_address(rules, board, i)]
            count[0] += 1
            count[1] += not said["regions"][i]["heap"]["all"]


def numbers(said, pools):
    """Rows of the table"""
    rows = {"boards": len(said),
            "boards with regions": sum(bool(s["regions"]) for s in said.values()),
            "boards with errors": sum(any(f["level"] == "error" for f in s["findings"])
                                      for s in said.values())}
    regions = [r for s in said.values() for r in s["regions"]]
    rows["regions"] = len(regions)
    for r in regions:
        key = "regions " + (r["mode"] if r["status"] == "available" else r["status"])
        rows[key] = rows.get(key, 0) + 1
    rows["pools by address"], rows["pools by address held back"] = pools[1]
    rows["other pools"], rows["other pools held back"] = pools[0]
    rules = collections.Counter()
    for s in said.values():
        rules.update({f["rule"] for f in s["findings"]})
    rows.update(sorted(rules.items()))
    return rows


def compare_table(tap, rows):
    if os.environ.get("TABLE") == "update":
        with open(TABLE, "w") as f:
            f.write("# Regions and boards that `make boards` counts; boards per rule.\n"
                    "# TABLE=update harness/boards.sh writes this file.\n")
            f.writelines("%5d %s\n" % (n, key) for key, n in rows.items())
    with open(TABLE) as f:
        table = {key.strip(): int(n) for n, key in
                 (line.split(" ", 1) for line in (x.strip() for x in f) if line[0] != "#")}
    for key in list(table) + [k for k in rows if k not in table]:
        tap.line(rows.get(key) == table.get(key), "%s: %s" % (key, rows.get(key, 0)) + (
            "" if rows.get(key) == table.get(key) else ", the table says %s" % table.get(key, 0)))


# Shapes: the regions of a board, carried over to User-Mode Linux

def to_cpu(node, addr):
    """A reg's address as the CPU has it, or None"""
    bus = node.parent
    while bus.parent:
        na, ns = bus.cell(b"#address-cells", 2), bus.cell(b"#size-cells", 1)
        pa, ranges = bus.parent.cell(b"#address-cells", 2), bus.props.get(b"ranges")
        if ranges is None:
            return None
        step = 4 * (na + pa + ns)
        for at in range(0, len(ranges) - step + 1, step):
            child = fdt.number(ranges[at:at + 4 * na])
            if child <= addr < child + fdt.number(ranges[at + 4 * (na + pa):at + step]):
                addr += fdt.number(ranges[at + 4 * na:at + 4 * (na + pa)]) - child
                break
        else:
            if ranges:
                return None
        bus = bus.parent
    return addr


def entries(node):
    """(base, end) of each entry of a device's reg, as the CPU has it"""
    na, ns = node.parent.cell(b"#address-cells", 2), node.parent.cell(b"#size-cells", 1)
    reg, step = node.props.get(b"reg", b""), 4 * (na + ns)
    if node.props.get(b"device_type") == b"memory\0" or not 1 <= na <= 2 or not 1 <= ns <= 2:
        return
    for at in range(0, len(reg) - step + 1, step):
        base, size = fdt.number(reg[at:at + 4 * na]), fdt.number(reg[at + 4 * na:at + step])
        base = to_cpu(node, base) if size else None
        if base is not None:
            yield base, base + size


def pools(region):
    return {POOL, b"restricted-dma-pool"} & set(region.strings(b"compatible"))


def is_cma(region):
    return POOL in region.strings(b"compatible") and b"reusable" in region.props


class Places:
    """Where the ends of regions go: in the same order, aligned alike, but close together"""

    def __init__(self, first):
        self.first, self.points, self.large = first, set(), set()
        self.map, self.last = {}, first

    def add(self, base, end, large=False):
        self.points |= {base, end}
        self.large |= {base, end} if large else set()

    def settle(self):
        before = None
        for point in sorted(self.points):
            at = self.last + (min(point - before, 64 * KIB) if before is not None else 0)
            if point % (4 * KIB):
                at += (point - at) % (4 * KIB)
            elif point in self.large and point % (2 * MIB) == 0:
                at += -at % (4 * MIB)       # of a pageblock on arm64 and on User-Mode Linux
            else:
                at += -at % (4 * KIB)
                at += 4 * KIB if point in self.large and at % (4 * MIB) == 0 else 0
            self.map[point] = self.last = at
            before = point

    def cells(self, base, end):
        return cells(self.map[base], self.map[end] - self.map[base])


def cells(*values):
    return "<%s>" % " ".join("%#x %#x" % (v >> 32, v & 0xffffffff) for v in values)


def scaled(size, large):
    if large:
        return 4 * MIB if size and size % (2 * MIB) == 0 else min(size, 4 * MIB + 64 * KIB)
    return size % (4 * KIB) + min(size // (4 * KIB), 16) * 4 * KIB


def raw(name, value):
    return "%s = [%s];" % (name.decode(), value.hex(" ")) if value else name.decode() + ";"


class Shape:
    """A tree with the regions of a board"""

    def __init__(self, board):
        self.boards = []
        na, ns = board.cells
        ram = [(fdt.number(n.props[b"reg"][i:i + 4 * na]),
                fdt.number(n.props[b"reg"][i + 4 * na:i + 4 * (na + ns)]))
               for n in board.root.nodes if n.props.get(b"device_type") == b"memory\0"
               for i in range(0, len(n.props.get(b"reg", b"")), 4 * (na + ns))]
        known = ram and all(size for _, size in ram)
        inside, outside = Places(64 * MIB), Places(0)
        where = {}
        for i, r in enumerate(board.regions):
            place = board.place(r)
            if not place:
                continue
            base, end = place[0], sum(place)
            # User-Mode Linux can map nothing but RAM: only what is not mapped goes elsewhere.
            out = known and place[1] and b"no-map" in r.props and \
                not pools(r) and not any(b < end and base < b + s for b, s in ram)
            where[i] = (outside if out else inside), base, end
            where[i][0].add(base, end, is_cma(r))
        # Devices: what they refer to, and what of their reg lies in a region
        devices = {}
        for node, prop, _, _ in board.refs:
            devices.setdefault(node, (set(), []))[0].add(prop)
        for node in board.devices if where else ():
            for start, stop in entries(node):
                hit = next((p for p, b, e in where.values()
                            if b <= start < e or b < stop <= e), None)
                if hit:
                    hit.add(start, stop)
                    devices.setdefault(node, (set(), []))[1].append((hit, start, stop))
        reservations = []
        for base, size in board.reservations:
            hit = next((p for p, b, e in where.values() if b < base + size and base < e), None)
            if hit:
                hit.add(base, base + size)
                reservations.append((hit, base, base + size))
        inside.settle()
        self.mem = max(512, -(-(inside.last // MIB + 128) // 128) * 128)
        outside.last = (self.mem + 64) * MIB
        outside.settle()

        self.nodes, kinds = [], []
        for i, r in enumerate(board.regions):
            name, sep, unit = r.name.decode().partition("@")
            lines, true_unit = [], None
            if i in where:
                places, base, end = where[i]
                true_unit = unit == "%x" % base
                lines.append("reg = %s;" % places.cells(base, end))
                if true_unit:
                    unit = "%x" % places.map[base]
            for prop, value in r.props.items():
                if prop in (b"size", b"alignment"):
                    right = len(value) == 4 * (ns if prop == b"size" else na)
                    number = scaled(fdt.number(value), is_cma(r)) if prop == b"size" else \
                        min(fdt.number(value), 4 * MIB)
                    lines.append("%s = %s;" % (prop.decode(),
                                               cells(number) if right else "<%#x>" % number))
                elif prop == b"alloc-ranges":
                    lines.append("alloc-ranges = %s;" % cells(0, self.mem * MIB))
                elif prop not in (b"reg", b"phandle"):
                    lines.append(raw(prop, value))
            self.nodes.append((name + sep + unit, sorted(lines)))
            kinds.append((true_unit, sorted(lines)))
        self.rest = []
        for node, (props, regs) in devices.items():
            lines = ["reg = %s;" % ", ".join(p.cells(b, e) for p, b, e in regs)] if regs else []
            if node.dead:
                lines.append('status = "disabled";')
            for prop in (b"compatible", b"memory-region-names", b"qcom,vmids"):
                if prop in node.props:
                    lines.append(raw(prop, node.props[prop]))
            for prop in sorted(props):
                at = [i for n, p, i, _ in board.refs if (n, p) == (node, prop)]
                lines.append("%s = <%s>;" % (prop.decode(), " ".join(
                    "&r%d" % board.indices[c] if i in at else "0xdead0000"
                    for i, c in enumerate(node.cells(prop)))))
            self.rest.append(lines)
        self.reserved = ["/memreserve/ %#x %#x;" % (p.map[b], p.map[e] - p.map[b])
                         for p, b, e in reservations]
        self.key = repr((kinds, sorted(self.rest), self.reserved, self.mem))
        self.names = [name for name, _ in self.nodes]

    def dts(self, export):
        regions = "".join("\tr%d: %s {\n%s%s\t};\n" % (
            i, name, "".join("\t\t%s\n" % s for s in lines), "\t\texport;\n" if export else "")
            for i, (name, lines) in enumerate(self.nodes))
        devices = "".join("device-%d {\n%s};\n" % (i, "".join("\t%s\n" % s for s in lines))
                          for i, lines in enumerate(self.rest))
        wide = "#address-cells = <2>;\n#size-cells = <2>;\n"
        return "/dts-v1/;\n%s\n/ {\n%sreserved-memory {\n%sranges;\n%s};\n%s};\n" % (
            "\n".join(self.reserved), wide, wide, regions, devices)

    def policies(self, number):
        """(name, `export` in the nodes, command line) each"""
        names = []
        for name in self.names:
            if len(":".join(names + ["!" + name])) < 3000:
                names.append(name)
        yield "none", False, ""
        yield "*", False, "rmem_heap.export=*"
        yield "names", False, "rmem_heap.export=" + ":".join(names)
        if number % 2:
            yield "export", True, ""
        else:
            yield "!names", False, "rmem_heap.export=*:!" + ":!".join(names)


def read_boards(blobs, said):
    """The shapes, those of most boards first, and the sums of pools"""
    with open(BY_ADDRESS) as f:
        rules = [line.split()[:4] for line in f if line.strip() and line[0] != "#"]
    shapes, pools = {}, ([0, 0], [0, 0])
    for blob in blobs:
        name = board_name(blob)
        if said[name]["regions"]:
            board = Board(blob)
            count_pools(pools, rules, board, said[name])
            shape = Shape(board)
            shapes.setdefault(shape.key, shape).boards.append(name)
    return sorted(shapes.values(), key=lambda s: -len(s.boards)), pools


# Boots

def complaints(log):
    """The first lines of reports, without what differs from boot to boot"""
    out = subprocess.run([ROOT + "/harness/reports.sh", log], stdout=subprocess.PIPE).stdout
    lines = re.findall(r"^\d+:(.*)", out.decode(errors="replace").replace("\r", ""), re.M)
    return {re.sub(r"0x[0-9a-f]+|\bPID: \d+|/0x\w+|, CPU#.*", "", line) for line in lines}


class Boots:
    def __init__(self, tap):
        self.tap, self.lock = tap, threading.Lock()
        self.key = verdict.content([verdict.kernel(ROOT), TOOL, DIR + "/rmem-heap-regions",
                                    ROOT + "/harness/hostile/verdict.py",
                                    ROOT + "/harness/hostile/fdt.py"])
        self.boots = self.regions = self.heaps = self.depends = self.again = 0
        try:
            with open(DIR + "/passed") as f:
                self.passed = set(f.read().split())
        except OSError:
            self.passed = set()

    def boot(self, base, shape, policy, export, cmdline):
        """(what is wrong, heaps)"""
        dts, dtb, log = base + ".dts", base + ".dtb", base + ".log"
        with open(dts, "w") as f:
            f.write(shape.dts(export))
        run("dtc", "-q", "-O", "dtb", "-o", dtb, dts)
        with open(dtb, "rb") as f:
            blob = f.read()
        key = hashlib.sha1(b"%s %s " % (self.key.encode(), cmdline.encode()) + blob).hexdigest()
        mem = "%dM" % shape.mem
        said, = verdict.predict(TOOL, "--cmdline", cmdline, "--mem", mem, dtb)
        tree = verdict.Tree(blob, said, cmdline)
        with self.lock:
            self.boots += 1
            self.regions += len(tree.regions)
            self.depends += sum(r.depends for r in tree.regions)
            if key in self.passed:
                self.again += 1
                return [], 0
        rc, console = verdict.boot(ROOT, INITRD, dtb, cmdline, log, 60, mem)
        bad = []
        if rc or b"\nH done" not in console:
            bad.append(("crash", "the machine ended with status %d" % rc))
        else:
            bad += verdict.compare(tree, console)
        new = complaints(log)
        if new:
            verdict.boot(ROOT, INITRD, dtb, "", base + ".plain.log", 60, mem, KERNEL="um-plain")
            new -= complaints(base + ".plain.log")
        bad += [("report", line) for line in new]
        heaps = len(re.findall(rb"^H use \S+ ok", console, re.M))
        with self.lock:
            self.heaps += heaps
            if not bad:
                with open(DIR + "/passed", "a") as f:
                    f.write(key + "\n")
        return bad, heaps

    def shape(self, number, shape):
        details, heaps = [], []
        for policy, *how in shape.policies(number):
            base = "%s/shapes/%d-%s" % (DIR, number, re.sub(r"\W", "x", policy))
            bad, n = self.boot(base, shape, policy, *how)
            heaps.append(n)
            details += ["%s: %s: %s" % (policy, kind, text) for kind, text in bad[:20]]
            if not bad:
                for ext in (".dts", ".dtb", ".log", ".plain.log"):
                    if os.path.exists(base + ext):
                        os.unlink(base + ext)
        text = "shape %d (%s and %d more): %d regions, heaps %s" % (
            number, shape.boards[0], len(shape.boards) - 1, len(shape.nodes),
            " ".join(map(str, heaps)))
        return not details, text, details


def boot_shapes(tap, shapes):
    boots, start, last = Boots(tap), time.time(), time.time()
    os.makedirs(DIR + "/shapes", exist_ok=True)
    only = os.environ.get("ONLY")
    chosen = [(i, s) for i, s in enumerate(shapes[:int(os.environ.get("SHAPES") or len(shapes))])
              if not only or any(fnmatch.fnmatch(b, only) for b in s.boards) or only == str(i)]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for done, result in enumerate(pool.map(lambda c: boots.shape(*c), chosen)):
            tap.line(*result)
            if time.time() - last > 10:
                last = time.time()
                print("# %d of %d shapes, %d failed, %d s" %
                      (done + 1, len(chosen), tap.bad, last - start))
            sys.stdout.flush()
    tap.line(boots.depends <= boots.regions // 50 + 10,
             "few predictions depend on more than the tree: %d of %d" %
             (boots.depends, boots.regions))
    print("# %d shapes, %d boots, %d of them passed before, %d regions, %d heaps, %d s" %
          (len(chosen), boots.boots, boots.again, boots.regions, boots.heaps,
           time.time() - start))


def main():
    tap = Tap()
    blobs = compile_boards()
    said = {board_name(s["file"]): s for s in check_boards(blobs)}
    shapes, pools = read_boards(blobs, said)
    rows = numbers(said, pools)
    compare_table(tap, rows)
    tap.line(rows["pools by address held back"] >= 532 and rows["other pools held back"] <= 122,
             "`*` leaves out what is used by address, and little else")
    print("# %d of %d boards have errors" % (rows["boards with errors"], len(said)))
    largest = max(blobs, key=os.path.getsize)
    took = []
    for _ in range(5):
        start = time.time()
        verdict.predict(TOOL, largest)
        took.append(time.time() - start)
    tap.line(min(took) < SLOWEST, "the checker takes %.3f s for the largest board, %s (%d KiB)" %
             (min(took), board_name(largest), os.path.getsize(largest) // KIB))
    sys.stdout.flush()
    boot_shapes(tap, shapes)
    print("1..%d" % tap.n)
    return tap.bad != 0


sys.exit(main())
