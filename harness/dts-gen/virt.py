#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: virt.py OFFSET [HIGH] < rmem_heap_test.dts > regions.dtsi

The test regions for another machine than User-Mode Linux: what is to be appended to its own
device tree. Every address grows by OFFSET. With HIGH, regions grow by that instead, but for
restricted pools: swiotlb takes no memory that the kernel does not map. Names stay."""

import re
import sys


def blocks(text):
    """Splits at nodes that have no nodes in them: (text, is it such a node)"""
    pos = 0
    for m in re.finditer(r'^\s*[\w:,. @-]+\{[^{}]*\};\n', text, re.M):
        yield text[pos:m.start()], False
        yield m.group(), True
        pos = m.end()
    yield text[pos:], False


def main():
    offset = int(sys.argv[1], 0)
    high = int(sys.argv[2], 0) if len(sys.argv) > 2 else offset
    text = sys.stdin.read()
    # What the machine says of itself stays.
    text = re.sub(r'^/dts-v1/;\n', '', text, flags=re.M)
    text = re.sub(r'^\t(compatible = "linux,um"|model = .*|#(address|size)-cells = .*);\n', '',
                  text, flags=re.M)

    for part, leaf in blocks(text):
        add = offset if 'restricted-dma-pool' in part else high

        def move(m):
            addr = (int(m.group(2), 16) << 32) + int(m.group(3), 16) + add
            return f'{m.group(1)}<{addr >> 32:#x} {addr & 0xffffffff:#x} '

        if leaf:
            part = re.sub(r'((?:reg|alloc-ranges) = )<(\w+) (\w+) ', move, part)
            # What lies above 4 GiB is out of reach of the sample's device else.
            if high >> 32 and 'rmem-heap-sample' in part:
                part = part.replace('};', '\tlinux,dma-bits = <40>;\n\t};')
        sys.stdout.write(part)


main()
