# SPDX-License-Identifier: GPL-2.0
"""Flattened device trees, as nodes and properties; names are bytes, and so are values."""
import os
import struct

import libfdt


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
    tree, off, depth, path = libfdt.FdtRo(blob), 0, 0, {-1: None}
    while depth >= 0:
        path[depth] = node = Node(os.fsencode(tree.get_name(off)), path[depth - 1])
        at = tree.first_property_offset(off, libfdt.QUIET_NOTFOUND)
        while at >= 0:
            prop = tree.get_property_by_offset(at)
            node.props.setdefault(os.fsencode(prop.name), bytes(prop))
            at = tree.next_property_offset(at, libfdt.QUIET_NOTFOUND)
        off, depth = tree.next_node(off, depth)
    # tree.get_mem_rsv() gives no tuple when an address is 0.
    return path[0], [struct.unpack_from(">2Q", blob, tree.off_mem_rsvmap() + 16 * i)
                     for i in range(tree.num_mem_rsv())]


def frame(root):
    """The node whose children are regions: the core takes a unit address for none."""
    return next((n for n in root.nodes if n.name.split(b"@")[0] == b"reserved-memory"), None)


def number(cells):
    return int.from_bytes(cells, "big")
