# SPDX-License-Identifier: GPL-2.0
"""What `rmem-heap check --json` predicts for a tree, and whether a boot of it agrees."""
import hashlib
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import vm       # noqa: E402

vm.deps("python3-libfdt")
import fdt      # noqa: E402
import run      # noqa: E402

PAGE = 4096
MAX_HEAPS = 112
RAM = 512 << 20         # what hostile.py boots with
LOW = 32 << 20          # Below this, and in the last 64 MiB, boot puts things of its own.
HIGH = RAM - (64 << 20)
OTHER_HEAPS = {b"system", b"reserved", b"default_cma_region", b"system_cc_shared"}


def predict(tool, *args):
    """The checker's JSON: one object per file. Bytes of names come as characters of Latin-1."""
    out = subprocess.run([tool, "check", "--json", *args], stdout=subprocess.PIPE)
    if out.returncode not in (0, 1):
        raise RuntimeError("rmem-heap check %s: exit status %d" %
                           (" ".join(args), out.returncode))
    return json.loads(out.stdout.decode("latin-1"))


def prepare(folder):
    """What a comparison depends on: the kernel, the checker, the program in the machine; and an
    initial file system with that program"""
    files = [vm.Machine("um").image("linux"), run.tool(folder), run.selftest("rmem-heap-regions", folder)]
    here = os.path.dirname(os.path.abspath(__file__))
    return files + [here + "/verdict.py", here + "/fdt.py"], \
        vm.initrd(folder + "/regions.cpio", {"test": files[2]})


def boot(initrd, dtb, cmdline, log, limit, mem, kernel="um"):
    """The boot, and its console as bytes"""
    said = vm.Machine(kernel, initrd, dtb, append=cmdline, mem=mem, timeout=limit, check_tree=False).boot(log)
    with open(log, "rb") as f:
        return said, f.read()


def content(files):
    """A hash of what is in these files"""
    h = hashlib.sha1()
    for name in files:
        with open(name, "rb") as f:
            h.update(hashlib.sha1(f.read()).digest())
    return h.hexdigest()


class Region:
    """What the node says, and what the checker says of it"""

    def __init__(self, node, cells, said):
        p = node.props
        self.node, self.name, self.said = node, node.name, said
        self.disabled = node.disabled
        self.reusable, self.no_map = b"reusable" in p, b"no-map" in p
        self.export = b"export" in p
        # At early boot the core does not tell capitals from others.
        self.pools = [s for s in node.strings(b"compatible") if s.lower() == b"shared-dma-pool"]
        na, ns = cells
        step = 4 * (na + ns)
        reg, align = p.get(b"reg", b""), p.get(b"alignment", b"")
        self.base = self.size = None
        if reg and len(reg) % step == 0:
            self.base, self.size = fdt.number(reg[:4 * na]), fdt.number(reg[4 * na:step])
        self.align = fdt.number(align) if len(align) == 4 * na else 1
        if self.align & (self.align - 1):
            self.align = 1
        ranges = p.get(b"alloc-ranges", b"")
        self.ranges = [(fdt.number(ranges[i:i + 4 * na]), fdt.number(ranges[i + 4 * na:i + step]))
                       for i in range(0, len(ranges), step)] if len(ranges) % step == 0 else []
        # What is no list of strings, early boot reads in another way than drivers do; and what a
        # phandle of two nodes refers to is chance.
        self.odd = not p.get(b"compatible", b"\0").endswith(b"\0") or \
            sum(n.props.get(b"phandle") == p.get(b"phandle", b"") for n in node.parent.nodes) > 1
        self.depends = said["depends"] or self.odd
        self.kind = said["mode"] if said["status"] == "available" else said["status"]

    @property
    def fixed(self):
        return self.base is not None and self.size and not self.disabled

    @property
    def end(self):
        return self.base + self.size

    def allowed(self, words, full):
        """The kinds that the region may be shown as, each with or without a heap"""
        mode, got = self.said["mode"], self.said["heap"]["cmdline"]
        named, held = self.name in words, b"!" + self.name in words
        kinds = {(self.kind, got)}
        # There can be no more heaps.
        if self.kind == mode and not got and not held and \
                (mode == "cma" or named or self.export):
            kinds = {("refused", False)}
        elif self.kind == mode and not got and full and b"*" in words:
            kinds.add(("refused", False))
        if self.kind == "owned" and named and not held:
            kinds.add((mode, True) if got else ("refused", False))
        if self.depends:
            kinds |= {(self.kind, False), ("refused", False), (mode, False)}
            kinds |= {("owned", False)} if self.odd else set()
            if not held and (mode == "cma" or named or self.export or b"*" in words):
                kinds |= {(mode, True)}
        return kinds


class Tree:
    def __init__(self, blob, said, cmdline):
        self.root, self.reservations = fdt.parse(blob)
        self.words = {w.encode() for p in cmdline.split() if p.startswith("rmem_heap.export=")
                      for w in p.split("=", 1)[1].split(":") if w}
        self.frame = fdt.frame(self.root)
        nodes = self.frame.nodes if self.frame else []
        cells = [self.root.cell(b"#address-cells", 1), self.root.cell(b"#size-cells", 1)]
        names = [r["name"].encode("latin-1") for r in said["regions"]]
        self.agrees = names == [n.name for n in nodes]
        self.regions = [Region(n, cells, s) for n, s in zip(nodes, said["regions"])] \
            if self.agrees else []
        self.full = sum(r.said["heap"]["cmdline"] for r in self.regions) == MAX_HEAPS

    # What the machine cannot have: faults of others, and of User-Mode Linux

    def area_over_boot(self):
        """A pool where boot has put the kernel, the initial file system or this tree"""
        return any(r.fixed and (r.base < LOW or r.end > HIGH) and r.base < RAM and
                   (r.reusable or r.no_map and
                    b"restricted-dma-pool" in r.node.strings(b"compatible"))
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
        return any(b"" in r.node.strings(b"compatible") for r in self.regions)

    def outside_ram(self):
        return any(r.fixed and r.end > RAM for r in self.regions)

    # Heaps that mainline makes

    def is_mainlines(self, r):
        return bool(r.pools) and r.reusable and r.depends and b"!" + r.name not in self.words

    def default_area(self):
        """May, and must there be, default_cma_region?"""
        areas = [r for r in self.regions if b"linux,cma-default" in r.node.props and r.reusable and
                 (not r.disabled or r.depends)]
        held = b"!default_cma_region" in self.words or \
            any(b"!" + r.name in self.words for r in areas)
        may = any(b"!" + r.name not in self.words for r in areas)
        # The alias of an area with an owner stays.
        must = len(areas) == 1 and areas[0].said["mode"] == "cma" and \
            areas[0].said["heap"]["name"] and not areas[0].depends and not held
        return may, must


def unescape(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text)


def show(name):
    return repr(name)[1:]


def read_console(console):
    """What rmem-heap-regions has printed: files of sysfs by region, heaps, use of heaps"""
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
    return sysfs, heaps, used


def messages(console, name):
    """The boot lines of the regions of a name: kind, base, size, exported by, reason"""
    return re.findall(rb"rmem_heap: " + re.escape(name) + rb": (\w+),(?: base (0x[0-9a-f]+)"
                      rb"(?: \(not its unit address\))?, (\d+ (?:KiB|bytes)),)? "
                      rb"(?:exported \(([^\r\n]*)\)|not exported: ([^\r\n]*))", console)


def in_bytes(size):
    number, _, unit = size.partition(b" ")
    return int(number) << (10 if unit == b"KiB" else 0)


def compare(tree, console):
    """What is wrong with what the machine said: (class, text) each"""
    bad, extents, silent = [], [], 0
    sysfs, heaps, used = read_console(console)
    names = {r.name for r in tree.regions}
    if not tree.agrees:
        bad.append(("checker", "its regions are not those of the tree"))
    for r in tree.regions:
        if re.search(rb"[\n/]", r.name):
            # Such names cannot be told apart in the messages, or are cut there.
            if r.name in heaps:
                bad.append(("heap", "heap with a blank in its name: " + show(r.name)))
            continue
        same = [o for o in tree.regions if o.name == r.name]
        # Names that are no file names, and the second node of one name, are in messages only.
        in_sysfs = 0 < len(r.name) < 256 and r.name not in (b".", b"..") and r is same[0]
        attrs = sysfs.get(r.name, {}) if in_sysfs else {}
        said = messages(console, r.name)
        allowed = r.allowed(tree.words, tree.full)
        if not said and ("carveout", False) in allowed and len(same) == 1:
            # One line for all of them
            silent += 1
            said = [(b"carveout", b"", b"", b"", attrs.get("reason", b""))]
        if len(said) != len(same):
            bad.append(("message", "%s: %d messages about it, not %d" %
                        (show(r.name), len(said), len(same))))
            continue
        mode, base, size, by, reason = said[same.index(r)]
        kind, heap = mode.decode(), bool(by)
        if (kind, heap) not in allowed:
            bad.append(("kind", "%s: %s%s (%s), but predicted: %s (%s)" % (
                show(r.name), kind, " with a heap" if heap else "",
                reason.decode(errors="replace"),
                ", ".join(sorted(k + (" with a heap" if h else "") for k, h in allowed)),
                r.said["reason"])))
        if heap and (r.name not in heaps or len(same) > 1):
            bad.append(("heap", "%s: exported, but there is no heap" % show(r.name)))
        if not heap and r.name in heaps and not tree.is_mainlines(r) and \
           r.name not in OTHER_HEAPS:
            bad.append(("heap", "%s: not exported, but there is a heap" % show(r.name)))
        if not heap and reason in (b"", b"-"):
            bad.append(("reason", "%s: no reason" % show(r.name)))
        want_by = {b"default"} if r.said["mode"] == "cma" else set()
        want_by |= {b"its node"} if r.export else set()
        if r.name in tree.words or b"*" in tree.words:
            want_by.add(b"rmem_heap.export")
        if heap and by not in want_by:
            bad.append(("by", "%s: exported by %s" % (show(r.name), show(by))))
        asked = r.name in tree.words or r.export and kind != "disabled"
        if asked and not heap and b"!" + r.name not in tree.words and \
           re.fullmatch(rb"[!-~]+", r.name) and len(same) == 1 and \
           b"rmem_heap: " + r.name + b": cannot export it: " not in console:
            bad.append(("message", "%s: asked for, and not told why not" % show(r.name)))
        warning = re.search(rb"rmem_heap: " + re.escape(r.name) +
                            rb": exporting it although ([^\r\n]*)", console)
        if heap and r.kind == "owned" and not r.depends and not warning:
            bad.append(("message", "%s: no warning about its owner" % show(r.name)))
        if warning and attrs.get("cpu_access") == b"none" and \
           re.search(rb"(?<!not )cleared", warning[1]):
            bad.append(("message", "%s: memory that no CPU maps is said to be cleared" %
                        show(r.name)))

        told = [mode, by or b"-", reason or b"-"]
        shown = [attrs.get(f) for f in ("mode", "exported_by", "reason")]
        if size:
            told += [int(base, 0), in_bytes(size)]
            shown += [int(attrs.get(f, b"-1"), 0) for f in ("base", "size")]
        if in_sysfs and shown != told:
            bad.append(("sysfs", "%s: sysfs and the messages differ: %s %s" %
                        (show(r.name), attrs, told)))
        size = int(attrs.get("size", b"0"))
        if heap:
            base = int(attrs.get("base", b"-1"), 0)
            if base < 0:
                bad.append(("sysfs", "%s: has no base in sysfs" % show(r.name)))
                continue
            extents.append((base, base + size, r))
            if r.said["base"] not in (None, base) or r.said["size"] != size:
                bad.append(("place", "%s: at 0x%x, %d, but predicted: %s, %s" %
                            (show(r.name), base, size, r.said["base"], r.said["size"])))
            if r.base is None and (base % (r.align or 1) or base % PAGE):
                bad.append(("place", "%s: 0x%x is not aligned" % (show(r.name), base)))
            if r.base is None and r.ranges and not any(
                    b <= base and base + size <= b + s for b, s in r.ranges):
                bad.append(("place", "%s: 0x%x is not in alloc-ranges" % (show(r.name), base)))
            use = used.get(r.name, "")
            if not use.startswith("ok "):
                bad.append(("use", "%s: %s" % (show(r.name), use or "not used")))
            elif int(use[3:]) > size:
                bad.append(("use", "%s: %s bytes from %d" % (show(r.name), use[3:], size)))
    told = re.search(rb"rmem_heap: (\d+) carve-outs? ha(?:s|ve) no owner", console)
    if silent != int(told[1] if told else 0):
        bad.append(("message", "%d carve-outs have no line, but the one for all says %s" %
                    (silent, told and told[1])))
    for name in sysfs:
        if name not in names and not any(b"/" in n for n in names):
            bad.append(("sysfs", "%s: no such region" % show(name)))

    # No two heaps, and no heap and another region that the kernel has, share memory.
    extents.sort(key=lambda e: e[:2])
    for a, b in zip(extents, extents[1:]):
        if a[1] > b[0]:
            bad.append(("overlap", "%s and %s share memory" % (show(a[2].name), show(b[2].name))))
    for base, end, r in extents:
        for o in tree.regions:
            if o is not r and o.fixed and o.said["status"] in ("available", "owned") and \
               o.base < end and base < o.end:
                bad.append(("overlap", "%s shares memory with %s" % (show(r.name), show(o.name))))

    # The list of heaps
    for name in set(heaps):
        if heaps.count(name) > 1:
            bad.append(("heap", "%s twice" % show(name)))
    if b"system" not in heaps:
        bad.append(("heap", "there is no system heap"))
    may, must = tree.default_area()
    default = b"default_cma_region" in heaps
    if default and not may or must and not default:
        bad.append(("heap", "default_cma_region is %sthere" % ("" if default else "not ")))
    for name in set(heaps) - names - {b"system", b"default_cma_region"}:
        # cma_heap's own names end after 63 characters. A name with a slash, which no compiler
        # makes, is cut for everybody but them.
        if not any(tree.is_mainlines(r) and r.name[:63] == name or
                   r.said["mode"] == "cma" and b"/" in r.name and
                   r.name[:63].replace(b"/", b"!") == name for r in tree.regions):
            bad.append(("heap", "%s: a heap of no region" % show(name)))
    for name, use in used.items():
        if use.startswith("FAIL") and name not in names:
            bad.append(("use", "%s: %s" % (show(name), use)))

    # Requests for names that no region has
    for word in tree.words:
        unknown = b"rmem_heap: export=" + word + b": there is no such reserved-memory region"
        if word not in names | {b"*"} and word[:1] != b"!" and unknown not in console:
            bad.append(("message", "export=%s: no message about it" % show(word)))
    return bad
