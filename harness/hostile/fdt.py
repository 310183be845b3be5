# SPDX-License-Identifier: GPL-2.0
"""Flattened device trees, as nodes and properties; names are bytes, and so are values."""
import struct


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.props, self.nodes = {}, []
        if parent:
            parent.nodes.append(self)

    def walk(self):
        yield self
        for node in self.nodes:
            yield from node.walk()

    @property
    def path(self):
        return self.parent.path + b"/" + self.name if self.parent else b""

    def cells(self, name):
        """The whole cells of a property"""
        value = self.props.get(name, b"")
        return struct.unpack(">%dI" % (len(value) // 4), value[:len(value) & ~3])

    def cell(self, name, default):
        return (self.cells(name) or (default,))[0]

    def strings(self, name):
        return self.props.get(name, b"").split(b"\0")[:-1]

    @property
    def disabled(self):
        return self.props.get(b"status") not in (None, b"okay\0", b"ok\0")

    @property
    def dead(self):
        """Disabled, or below a node that is"""
        return self.disabled or bool(self.parent and self.parent.dead)


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
    pos, node, root, names = structs, None, None, {}
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
            if off not in names:
                names[off] = blob[strings + off:blob.index(b"\0", strings + off)]
            node.props.setdefault(names[off], blob[pos:pos + size])
            pos = (pos + size + 3) & ~3
        elif token == 9:
            return root, reservations


def frame(root):
    """The node whose children are regions: the core takes a unit address for none."""
    return next((n for n in root.nodes if n.name.split(b"@")[0] == b"reserved-memory"), None)


def number(cells):
    return int.from_bytes(cells, "big")
