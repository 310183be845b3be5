# SPDX-License-Identifier: GPL-2.0
"""Whether the regions of a device tree lie in the memory of User-Mode Linux"""
import os
import struct
import sys

MIB = 1 << 20
LEAST = 512 * MIB       # when MEM is computed
STEP = 128 * MIB
FREE = 256 * MIB        # left to the kernel and its programs
MOST = 64 << 30         # a region above is more likely a mistake
KERNEL = 16 * MIB       # without this much the kernel does not start
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9


class Wrong(Exception):
    """What cannot be booted, and why"""


def die(why):
    raise Wrong(why)


class Node:
    def __init__(self, path):
        self.path, self.props, self.at = path, {}, {}

    def cells(self, name):
        return struct.unpack(">I", self.props[name][:4])[0] if len(self.props.get(name, b"")) >= 4 else 1

    def available(self):
        return self.props.get("status", b"okay\0") in (b"okay\0", b"ok\0")

    def ranges(self, name, root):
        """(base, size) as the kernel reads them: with the cells of the root"""
        na, ns, value = root.cells("#address-cells"), root.cells("#size-cells"), self.props.get(name, b"")
        step = 4 * (na + ns)
        for i in range(0, len(value) - step + 1 if step else 0, step):
            yield (int.from_bytes(value[i:i + 4 * na], "big"),
                   int.from_bytes(value[i + 4 * na:i + step], "big"))


def parse(blob, name):
    """The nodes of the blob, parents first"""
    if blob[:4] != b"\xd0\x0d\xfe\xed":
        die(f"DTB={name} is not a flattened device tree; compile it: dtc -O dtb -o x.dtb x.dts")
    total = int.from_bytes(blob[4:8], "big")
    if len(blob) < 40 or len(blob) < total:
        die(f"DTB={name} is cut: it has {len(blob)} of {max(total, 40)} bytes")
    at, strings = struct.unpack(">2I", blob[8:16])
    nodes, path, here = [], [], []
    try:
        while True:
            tag, start = struct.unpack_from(">I", blob, at)[0], at
            at += 4
            if tag == BEGIN_NODE:
                end = blob.index(0, at)
                path.append(blob[at:end].decode(errors="replace"))
                nodes.append(Node("/".join(path) or "/"))
                here = nodes[-1:] + here
                at = end + 4 & ~3
            elif tag == END_NODE:
                path.pop()
                here = here[1:]
            elif tag == PROP:
                size, key = struct.unpack_from(">2I", blob, at)
                key = blob[strings + key:blob.index(0, strings + key)].decode(errors="replace")
                if at + 8 + size > len(blob):
                    raise ValueError
                here[0].props[key] = blob[at + 8:at + 8 + size]
                at = at + 8 + size + 3 & ~3
                here[0].at[key] = start, at
            elif tag == END and not path and nodes:
                return nodes
            elif tag != NOP:
                raise ValueError
    except (IndexError, ValueError, struct.error):
        die(f"DTB={name} is damaged at byte {at} of {len(blob)}")


def hold(regions, initrd):
    """The least sensible memory that has all regions, and leaves some"""
    need = max([sum(size for _, _, size in regions) + 2 * initrd + FREE, LEAST] +
               [base + size for _, base, size in regions if base is not None])
    return (need + STEP - 1) // STEP * STEP


def check(tree, mem, initrd):
    """(MEM, the blob to boot instead of the tree or None). Memory is from 0 to MEM; when it is
    empty, MEM is as large as the regions need. A memory node that ends above MEM would give the
    kernel memory that does not exist: the other blob is without such nodes."""
    with open(tree, "rb") as f:
        blob = bytearray(f.read())
    initrd = os.path.getsize(initrd) if initrd else 0
    nodes = parse(bytes(blob), tree)
    root, regions = nodes[0], []
    for node in nodes:
        if node.path.startswith("/reserved-memory/") and node.path.count("/") == 2 and node.available():
            regions += [(node.path, *r) for r in node.ranges("reg", root)]
            if "reg" not in node.props and "size" in node.props:
                regions.append((node.path, None, int.from_bytes(node.props["size"], "big")))
    if not mem:
        mem = hold(regions, initrd)
        if mem > MOST:
            mem = MOST
    for path, base, size in sorted(regions, key=lambda r: r[0]):
        if (base or 0) + size > mem:
            where = f"ends at {base + size:#x}" if base is not None else f"has {size:#x} bytes"
            die(f"region {path} {where}, MEM is {mem >> 20}M ({mem:#x}); "
                "User-Mode Linux has memory from 0 to MEM")
    taken = sum(size for _, _, size in regions)
    if mem < KERNEL + initrd + taken:
        die(f"MEM is {mem >> 20}M, which is too small: the regions take {taken / MIB:.0f} MiB, "
            f"INITRD {initrd / MIB:.0f} MiB and the kernel {KERNEL >> 20} MiB")

    removed = False
    for node in nodes:
        if node.path.count("/") != 1 or node.props.get("device_type") != b"memory\0" or \
           not node.available():
            continue
        name = "linux,usable-memory" if "linux,usable-memory" in node.props else "reg"
        end = max((base + size for base, size in node.ranges(name, root)), default=0)
        if end > mem:
            print(f"boot: {node.path} ends at {end:#x}, MEM is {mem >> 20}M ({mem:#x}): booting without "
                  "it; User-Mode Linux has memory from 0 to MEM", file=sys.stderr)
            # Without its type the node is none that the kernel reads.
            start, stop = node.at["device_type"]
            blob[start:stop] = struct.pack(">I", NOP) * ((stop - start) // 4)
            removed = True
    return mem, blob if removed else None
