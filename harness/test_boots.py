# SPDX-License-Identifier: GPL-2.0
"""Boots with device trees and parameters out of the ordinary, and what each must say and have.
BOOTS=PATTERN in the environment leaves only those whose name matches, as a shell would match it."""
import fnmatch
import os
import re
from dataclasses import dataclass

import pytest

import run
import vm
from conftest import LOGS


@dataclass
class Boot:
    """A boot. What the console must say, or not, are regular expressions, one or a list."""
    name: str
    tree: str = ""          # a source, or its path, or that of a blob which no compiler makes
    append: str = ""        # kernel parameters
    changes: tuple = ()     # of the source: regular expressions and what replaces them
    mem: str = "1G"
    check_tree: bool = True
    check: bool = False     # rmem-heap-check is run; else the heaps are listed
    modules: bool = False   # cma_heap is a module
    heaps: str = None       # the heaps that there must be, and no other
    says: list = ()
    silent: list = ()


def case(name, tree, *changes, append="", **what):
    """A boot with a tree of harness/cases, which people really wrote, or a variation of it"""
    return Boot(name, f"{vm.HARNESS}/cases/{tree}.dts", append, changes, **what)


def refused(name, why):
    return f"^rmem_heap: {name}: refused, not exported: {why}"


OTHER = vm.HARNESS + "/dts/other.dts"   # the table of regions was not written for it
OTHER_HEAPS = "audio@a0c3000 vm@b012000 scratch@c001000"
RUN = vm.HARNESS + "/dts/run.dts"
RUN_HEAPS = "system video@10000000 camera vram@14000000 guest@18000000 ecc-off@20000000"
NODES = '/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; compatible = "linux,um"; %s };'
REGIONS = NODES % "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges; %s };"

BOOTS = [
    Boot("cma_heap is a module", OTHER, mem="512M", modules=True,
         heaps=f"system default_cma_region linux,cma {OTHER_HEAPS}"),
    Boot("cma_heap is a module, held back", OTHER, "rmem_heap.export=!linux,cma", mem="512M", modules=True,
         heaps=f"system {OTHER_HEAPS}"),
    Boot("another tree", OTHER, mem="512M", check=True,
         says="^rmem-heap-check: [1-9][0-9]* passed, 0 failed"),
    Boot("another tree, heaps", OTHER, mem="512M",
         heaps=f"system default_cma_region linux,cma {OTHER_HEAPS}"),
    # Nothing reserved, nothing said
    Boot("no tree", mem="256M", heaps="system", silent="rmem_heap"),
    Boot("no regions", NODES % "", mem="256M", heaps="system", silent="rmem_heap: "),
    Boot("no regions, a name", NODES % "", "rmem_heap.export=x@1", mem="256M",
         says="^rmem_heap: export=x@1: there is no such reserved-memory region"),
    # What the administrator says
    Boot("default", RUN, heaps=f"{RUN_HEAPS} dsp@24000000",
         says="^rmem_heap: fpga@1c000000: owned, base 0x1c000000, 65536 KiB, not exported: /accel refers to "
              "it by memory-region; rmem_heap.export=fpga@1c000000 exports it all the same"),
    Boot("exact names", RUN,
         "rmem_heap.export=fpga@1c000000:modem@2c000000 rmem_heap.export=ramoops@29000000",
         heaps=f"{RUN_HEAPS} dsp@24000000 fpga@1c000000 modem@2c000000 ramoops@29000000",
         says="^rmem_heap: ramoops@29000000: exporting it although it belongs to the driver of ramoops"),
    Boot("all pools", RUN, "rmem_heap.export=*", heaps=f"{RUN_HEAPS} dsp@24000000 bounce@28000000"),
    Boot("held back", RUN, "rmem_heap.export=!video@10000000:*:!guest@18000000:!dsp@24000000",
         heaps="system camera vram@14000000 ecc-off@20000000 bounce@28000000",
         silent="there is no such reserved-memory region|known is"),
    Boot("held back by its alias", OTHER, "rmem_heap.export=!linux,cma", mem="512M",
         heaps=f"system {OTHER_HEAPS}"),
    Boot("unknown names", RUN, "rmem_heap.export=video:modem@2c000000:,x",
         says=["^rmem_heap: export=video: there is no such reserved-memory region",
               "^rmem_heap: export=,x: there is no such reserved-memory region",
               "^rmem_heap: export=: known is video@10000000"]),
    Boot("what cannot be exported", RUN, "rmem_heap.export=odd@2a100000:spare@2b000000", says=[
        "^rmem_heap: odd@2a100000: cannot export it: base and size of a CMA area must be multiples of 4096 "
        "KiB", "^rmem_heap: spare@2b000000: cannot export it: its status"]),
    # All lists count.
    Boot("many lists", RUN, "rmem_heap.export=!dsp@24000000 " + "rmem_heap.export=x " * 15 +
         "rmem_heap.export=fpga@1c000000", heaps=f"{RUN_HEAPS} fpga@1c000000"),
    # A refused region gets no heap, neither from rmem_heap nor from cma_heap; the valid regions of the
    # same tree get theirs. rmem_heap_hostile.sed has not yet made some of the names invalid here.
    Boot("hostile tree", vm.ROOT + "/lib/kunit-tests/rmem_heap_hostile.dts", check_tree=False,
         heaps="system good@1b000000 reserved-twice@1f800000 entries@16000000 twin-a@19800000 "
               "ba+snk@18800000 u@18400000 "
               "a-very-long-name,that-no-cma-area-can-keep,since-64-characters-are-not-enough@1a000000",
         says=["^rmem_heap: disabled@18000000: cannot export it: its status",
               "^rmem_heap: .*/nested@1ac00000: cannot export it: only the children of /reserved-memory "
               "are regions"]),
    # What the core made of a node that is two pools is the default area: it gets no heap under any name.
    Boot("a default area of two kinds", REGIONS % """two-pools@10000000 {
         compatible = "shared-dma-pool", "restricted-dma-pool"; reusable; linux,cma-default;
         reg = <0 0x10000000 0 0x1000000>; };""", mem="512M", heaps="system",
         says="^rmem_heap: two-pools@10000000: refused, .*two kinds of pool"),
    # A pool of more than kmalloc has slots for
    Boot("a restricted pool of 512 MiB", REGIONS % """large@10000000 {
         compatible = "restricted-dma-pool"; export; reg = <0 0x10000000 0 0x20000000>; };""",
         heaps="system large@10000000"),
    # The root, which has no parent, is called reserved-memory, too.
    Boot("a root called reserved-memory", vm.HARNESS + "/dts/root-name.dtb", mem="512M", check_tree=False,
         heaps="system bank@10000000"),
    # Nodes with the names of other heaps hide none of them.
    Boot("names of other heaps", REGIONS % """
         reserved { export; reg = <0 0x10000000 0 0x400000>; };
         system { export; reg = <0 0x11000000 0 0x400000>; };
         default_cma_region { export; reg = <0 0x12000000 0 0x400000>; };
         area@13000000 { compatible = "shared-dma-pool"; reusable; linux,cma-default;
         reg = <0 0x13000000 0 0x400000>; };""", mem="512M", heaps="system default_cma_region area@13000000",
         says=[f"^rmem_heap: {name}: cannot export it: the name belongs to another heap"
               for name in ("reserved", "system", "default_cma_region")]),
]

# Variations that several boots have
SIZE = "size = <0x4000000>", "size = <0 0x4000000>"
NO_DEFAULT = ".*linux,cma-default;.*\n", ""
AREA = "modem@20000000 {", r'\g<0> compatible = "shared-dma-pool", "vendor,modem"; reusable;'
# Both name the area; the driver that is enabled gives it away.
GIVEN = [("modem@20000000 {", r'\g<0> compatible = "shared-dma-pool"; reusable;'),
         ('compatible = "vendor,modem"; status = "disabled";', 'compatible = "x"; qcom,vmids = <22 37>;')]
# A device that copies everything through a pool of its own: the CPU cannot read vram
COPIES = [("vram@30000000 {", 'guest@38000000 { compatible = "restricted-dma-pool"; '
           r"reg = <0 0x38000000 0 0x400000>; };\n\t\t\g<0>"),
          ("linux,dma-bits = <29>; memory-region = <&{.reserved-memory.vram@30000000}>",
           "memory-region = <&{/reserved-memory/guest@38000000}>")]

CASES = [
    case("capture kernel", "capture-kernel", heaps="system low@10000000",
         says=[f"^rmem_heap: {name}: refused, .* not exported: it lies outside of linux,usable-memory-range"
               for name in ("frames@28000000", "pool@2c000000", "guest@2e000000")],
         silent="the kernel does not look for regions here"),
    # The page allocator must not get what lies outside: the core refuses the area
    case("capture kernel, an area", "capture-kernel", ("frames@28000000 {.*", "frames@1fc00000 { "
         'compatible = "shared-dma-pool"; reusable; reg = <0 0x1fc00000 0 0x800000>; };'),
         append="rmem_heap.export=*", heaps="system low@10000000",
         says=refused("frames@1fc00000", "only 4096 of 8192 KiB are RAM")),
    # The core does not read a range of five cells, and one of size 0 has no effect
    *[case(f"usable range of {what}", "capture-kernel", ("<0 0 0 0x20000000>", cells),
           heaps="system frames@28000000 pool@2c000000 guest@2e000000 low@10000000")
      for what, cells in (("five cells", "<0 0 0 0x20000000 0>"), ("size 0", "<0 0 0 0>"))],
    case("capture kernel of two ranges", "capture-kernel", ("<0 0 0 0x20000000>",
         r"\g<0>, <0 0x28000000 0 0x4000000>"), heaps="system low@10000000 frames@28000000"),
    # Memory that is no RAM, behind what this kernel was given
    case("capture kernel, a bank", "capture-kernel", ("frames@28000000 {.*", "bank@80000000 { no-map; "
         "reg = <0 0x80000000 0 0x1000000>; export; };"), check_tree=False,
         says="^rmem_heap: bank@80000000: refused, .* it lies outside of linux,usable-memory-range"),
    case("memreserve, dynamic", "memreserve-under-dynamic-region",
         heaps="system default_cma_region linux,cma scratch vram",
         silent="^rmem_heap: .* base 0x3[bc][0-9a-f]{6}, 32768"),
    *[case(f"memreserve {base}-{size}", "memreserve-under-dynamic-region",
           ("0x3c000000 0x1000000", f"{base} {size}"),
           ("scratch {.*", "bank@3d000000 { reg = <0 0x3d000000 0 0x1000000>; export; };"),
           says=[f"^rmem_heap: bank@3d000000: refused, .*: the reservation block of the tree has {base}, "]
           * (base != "0x3c000000")) for base, size in (
        ("0x3c000000", "0x1000000"), ("0x3d800000", "0x1000000"), ("0x3cff0000", "0x20000"))],
    case("memreserve, the same", "memreserve-same-as-region", append="rmem_heap.export=secure@20000000",
         heaps="system buffers@24000000 secure@20000000"),
    case("memreserve, more", "memreserve-same-as-region", ("0x20000000 0x400000", "0x1f000000 0x2000000"),
         append="rmem_heap.export=secure@20000000", heaps="system buffers@24000000 secure@20000000"),
    *[c for tree in ("nomap-pool", "mapped") for c in (
        case(f"{tree} half in RAM", f"{tree}-half-in-ram", heaps="system",
             says="^rmem_heap: .*-half@2f000000: refused, .*: only 16384 of 32768 KiB are RAM"),
        case(f"{tree}, a page too long", f"{tree}-half-in-ram", ("0 0x2000000>", "0 0x1001000>"),
             says="^rmem_heap: .*: refused, .*: only 16384 of 16388 KiB are RAM"),
        case(f"{tree}, to the last page", f"{tree}-half-in-ram", ("0x30000000>", "0x31000000>"),
             says=r"^rmem_heap: .*-half@2f000000: (carveout|coherent), .* exported \(its node\)"))],
    case("no-map carveout half in RAM", "mapped-half-in-ram", ("carve-half@2f000000 {", r"\g<0> no-map;"),
         says=": refused, .*: only 16384 of 32768 KiB are RAM"),
    case("restricted pool of 512 MiB", "restricted-pool-too-large",
         heaps="system guest@10000000 small@38000000"),
    # Neither of the two first nodes is one of the 64.
    case("128 heaps", "too-many-heaps", ("dyn0 {", r'off { status = "disabled"; size = <0 0x10000>; };\n\t\t'
         r"both@2f000000 { reg = <0 0x2f000000 0 0x10000>; size = <0 0x10000>; };\n\t\t\g<0>"), says=[
        refused("dyn64", "the kernel takes 64 regions without reg, and there are 64 before it"),
        "^rmem_heap: carve48@[0-9a-f]*: refused, .*: there are 112 heaps of regions", "^heap: system"]),
    case("128 heaps and areas", "too-many-heaps", ("carve69@24500000 {", "area@24800000 { "
         'compatible = "shared-dma-pool"; reusable; linux,cma-default; '
         r"reg = <0 0x24800000 0 0x400000>; };\n\g<0>"), says="^heap: default_cma_region"),
    case("more areas than CONFIG_CMA_AREAS", "too-many-cma-areas",
         says=refused("cam9@19000000", r"the kernel has room for 8 CMA areas \(CONFIG_CMA_AREAS\)")),
    case("more areas than CONFIG_CMA_AREAS, all dynamic", "too-many-cma-areas",
         ("reg = <0 0x1[0-9a]000000 0 0x800000>", "size = <0 0x800000>"), check_tree=False,
         says=refused("dyn-cma", r"the kernel has room for 8 CMA areas \(CONFIG_CMA_AREAS\)")),
    case("unit address of reserved-memory", "reserved-memory-with-unit-address",
         heaps="system unit@23000000 bank@24000000 vram@26000000",
         says="^rmem_heap: bad@28000000: refused, .*: it overlaps bad2@28800000"),
    case("reserved-memory below a bus", "reserved-memory-below-a-bus", heaps="system",
         says="^rmem_heap: /fabric@0/reserved-memory: the kernel does not look for regions here"),
    # Nodes that dtc makes
    case("reserved-memory below __local_fixups__", "reserved-memory-below-a-bus",
         (r"};\n\Z", r"__local_fixups__ { reserved-memory { }; }; };\n"),
         silent="^rmem_heap: /__local_fixups__"),
    case("size of one cell", "dynamic-size-one-cell",
         says=refused("linux,cma", "its size must be 2 cells, it has 1")),
    case("size 0", "dynamic-size-one-cell", ("size = <0x4000000>", "size = <0 0>"),
         says=refused("linux,cma", "its size is 0")),
    case("alignment of one cell", "dynamic-size-one-cell", SIZE,
         ("size = <0 0x4000000>", r"\g<0>; alignment = <0x400000>"),
         says=refused("linux,cma", "its alignment must be 2 cells, it has 1")),
    case("alloc-ranges that are full", "dynamic-size-one-cell", SIZE,
         ("<0 0 0 0x30000000>", "<0 0 0 0x2000000>"), says=refused(
             "linux,cma", "no 65536 KiB of RAM were free in its alloc-ranges, 0x0 to 0x1ffffff")),
    case("alloc-ranges without a range", "dynamic-size-one-cell", SIZE,
         ("alloc-ranges = [^;]*", "alloc-ranges"), says=refused("linux,cma", "its alloc-ranges is empty")),
    # The first area fails for want of memory, though there are 8 later
    case("no memory for the first area", "too-many-cma-areas", ("cam1@11.*", ""), ("cam0@10000000 {.*",
         r'big { compatible = "shared-dma-pool"; reusable; size = <0 0x80000000>; };\n\g<0>'),
         check_tree=False, says=refused("big", "no 2097152 KiB of RAM were free in one piece")),
    # Pools are no areas
    case("no memory behind pools", "too-many-cma-areas", ("reusable; reg = <0 0x1[0-9]000000 0 0x800000>",
         "no-map; size = <0 0x800000>; alignment = <0 0x1000>"), ("<0 0x1000000>", "<0 0x80000000>"),
         check_tree=False, says=refused("dyn-cma", "no 2097152 KiB of RAM were free in one piece")),
    case("two alloc-ranges that are full", "dynamic-size-one-cell", SIZE,
         ("<0 0 0 0x30000000>", "<0 0 0 0x2000000>, <0 0x2000000 0 0x1000000>"),
         says="were free in its alloc-ranges, the first is 0x0 to 0x1ffffff"),
    case("size of half a page block", "dynamic-size-one-cell", ("size = <0x4000000>", "size = <0 0x200000>"),
         says=refused("linux,cma", "base and size of a CMA area must be multiples of 4096 KiB")),
    case("cma= beside the default area", "default-area-beside-cma", append="cma=64M",
         heaps="system default_cma_region reserved", says=refused(
             "linux,cma", "cma= on the command line replaces it; the heap is default_cma_region")),
    case("cma=0 beside the default area", "default-area-beside-cma", append="cma=0", heaps="system",
         says=refused("linux,cma", "cma=0 on the command line replaces it: there is no default area")),
    case("cma without a value", "default-area-beside-cma", append="cma",
         heaps="system default_cma_region linux,cma"),
    case("cma= beside another area", "default-area-beside-cma", NO_DEFAULT, append="cma=64M",
         heaps="system default_cma_region reserved linux,cma"),
    case("cma= beside another area of half a page block", "default-area-beside-cma", NO_DEFAULT,
         ("size = <0 0x4000000>", "size = <0 0x200000>"), append="cma=64M",
         says=refused("linux,cma", "base and size of a CMA area must be multiples of")),
    case("cma= beside a default area with reg", "default-area-beside-cma",
         ("size = <0 0x4000000>", "reg = <0 0x10000000 0 0x4000000>"), append="cma=64M",
         says=refused("linux,cma", "cma= on the command line")),
    case("reg of other cells", "reg-of-five-cells", heaps="system good@28000000", says=[
        regex for name, cells in (("two@20000000", 2), ("three@21000000", 3), ("five@22000000", 5),
                                  ("six@23000000", 6))
        for regex in (refused(name, f"its reg must be 4 cells, it has {cells}"),
                      f"reg of node '{name}' must have 4 cells, or a multiple")]),
    # The core does not read a reg of three cells, and places the region
    case("reg of other cells, and size", "reg-of-five-cells",
         ("three@21000000 {", r"\g<0> size = <0 0x1000000>; alignment = <0 0x1000>;"),
         says=r"^rmem_heap: three@21000000: carveout, base 0x[0-9a-f]+ \(not its unit address\), 16384 KiB, "
              r"exported \(its node\)"),
    # The end of RAM, where User-Mode Linux puts the device tree
    case("over the device tree", "memreserve-same-as-region",
         ("buffers@24000000 {.*", "buffers@3fc00000 { reg = <0 0x3fc00000 0 0x400000>; export; };"),
         says="^rmem_heap: buffers@3fc00000: refused, .*: the device tree lies in it"),
    case("regions without alignment", "dynamic-without-alignment", says=[
        *[f"^rmem_heap: {name}: refused, base 0x[0-9a-f]+, 16384 KiB, not exported: the kernel has put it at "
          "0x[0-9a-f]+: give it an alignment of 4096 or more"
          for name in ("carve-dyn", "coh-dyn", "restr-dyn", "nomap-dyn")],
        "^rmem_heap: tiny: refused, base 0x[0-9a-f]+, 832 bytes, not exported: its base and size must be "
        "multiples of the page size, 4096",
        r"^rmem_heap: video@10000000: carveout, base 0x20000000 \(not its unit address\), 16384 KiB, "
        "exported"]),
    case("unit address without reg", "unit-address-without-reg", says=[
        r"^rmem_heap: rtos@20000000: coherent, base 0x[0-9a-f]+ \(not its unit address\), 10240 KiB, "
        "exported",
        refused("linux,cma", "no 524288 KiB of RAM were free in its alloc-ranges, 0x0 to 0x1fffffff")]),
    case("firmware in the second pool", "firmware-pool-at-index-1", append="rmem_heap.export=*",
         heaps="system default_cma_region linux,cma core0-dma@1c800000 video@20000000", says=[
             r'^rmem_heap: core0-memory@1c900000: coherent, .* not exported: "\*" leaves it out: /rproc0 '
             "refers to it at index 1 of memory-region; rmem_heap.export=core0-memory@1c900000 exports it",
             "^rmem_heap: 1 carve-outs have no owner in the device tree"],
         silent="^rmem_heap: secure-ram@1e000000: .* not exported"),
    case("firmware in the second pool, by name", "firmware-pool-at-index-1",
         append="rmem_heap.export=*:core0-memory@1c900000:secure-ram@1e000000", heaps="system "
         "default_cma_region linux,cma core0-dma@1c800000 core0-memory@1c900000 video@20000000 "
         "secure-ram@1e000000",
         says="^rmem_heap: core0-memory@1c900000: exporting it although /rproc0 refers to it at index 1 of "
              "memory-region: each buffer is cleared; make sure"),
    *[case(f"a pool {what}", "firmware-pool-at-index-1", change, append="rmem_heap.export=*",
           says=rf'^rmem_heap: video@20000000: coherent, .* not exported: "\*" leaves it out: {why}; '
                "rmem_heap.export=video@20000000 exports it") for what, why, change in (
        ("without a device", "no node refers to it", ("^.codec {.*", "codec { };")),
        ("of a node without compatible", "/codec, which has no compatible, refers to it",
         ("^.codec { compatible = [^;]*;", "codec {")),
        ("with a framebuffer in it", "the reg of /screen@20000000 lies in it",
         ("^.codec", 'screen@20000000 { compatible = "x"; reg = <0 0x20000000 0 0x1000>; }; codec')),
        ("at index 1 of another property", "/codec refers to it at index 1 of dsp-mem",
         ("^.codec {(.*)memory-region = <", r"codec {\1 dsp-mem = <&core0_dma>, <")))],
    case("an owned pool", "firmware-pool-at-index-1",
         ('video@20000000 { compatible = "shared-dma-pool"', r'\g<0>, "vendor,x"'),
         append="rmem_heap.export=*", heaps="system default_cma_region linux,cma core0-dma@1c800000"),
    # A program that fills buffers of all heaps through all devices
    case("importer of 29 bits", "importer-of-29-bits", append="-- -v", check=True,
         says=[f"^rmem-heap-consumer (blitter|scaler): cannot import a buffer of {name}: it is at {base} to "
               f"{end}, the device reaches DMA addresses up to 0x1fffffff" for name, base, end in (
             ("high@28000000", "0x28000000", "0x2800ffff"), ("vram@30000000", "0x30000000", "0x300fffff"),
             ("bank@34000000", "0x34000000", "0x3400ffff"))],
         silent="cannot import a buffer of (low|across)@"),
    case("importer with a pool", "importer-of-29-bits", *COPIES, append="-- -v", check=True,
         says="^rmem-heap-consumer scaler: cannot import a buffer of vram@30000000: .*, and the CPU cannot "
              "copy it to the device's restricted pool"),
    # It does not reach the pool
    case("importer and a pool beyond", "importer-of-29-bits", *COPIES,
         ("scaler {", r"\g<0> linux,dma-bits = <29>;"), append="-- -v -r bank@34000000", check=True,
         says="^rmem-heap-consumer scaler: cannot import a buffer of bank@34000000: .*, and the device does "
              "not reach its restricted pool"),
    case("owners of other kinds", "owners-of-other-kinds", heaps="system", says=[
        r"^rmem_heap: modem@20000000: owned, .* not exported: /remoteproc \(disabled\) refers to it by "
        "memory-region; rmem_heap.export=modem@20000000 exports it all the same",
        "^rmem_heap: decoder-boot@24000000: owned, .*: /vpu refers to it by boot-region",
        "^rmem_heap: decoder-rpc@24400000: owned, .*: /vpu refers to it by rpc-region",
        "^rmem_heap: sym@28000000: owned, .*: /carrier/sub refers to it by memory-regions"]),
    case("owners, by name", "owners-of-other-kinds", append="rmem_heap.export=modem@20000000:"
         "decoder-boot@24000000", heaps="system modem@20000000 decoder-boot@24000000", says=[
        "^rmem_heap: modem@20000000: exporting it although .*: its memory is cleared; make sure",
        "^rmem_heap: decoder-boot@24000000: exporting it although .*: its memory is not cleared; make sure"]),
    case("owner of half a page", "owners-of-other-kinds",
         ("reg = <0 0x24400000 0 0x100000>", "reg = <0 0x24400000 0 0x80>"),
         append="rmem_heap.export=decoder-rpc@24400000",
         says="^rmem_heap: decoder-rpc@24400000: owned, base 0x24400000, 128 bytes, not exported: /vpu "
              "refers to it by rpc-region; it cannot be exported: its base and size must be multiples"),
    case("an area that has an owner", "owners-of-other-kinds", AREA, heaps="system",
         says="^rmem_heap: modem@20000000: owned, .*: it belongs to the driver of vendor,modem"),
    case("an owned area among all", "owners-of-other-kinds", AREA, append="rmem_heap.export=*",
         heaps="system"),
    case("an area that has an owner, by name", "owners-of-other-kinds", AREA,
         append="rmem_heap.export=modem@20000000", heaps="system modem@20000000",
         says="^rmem_heap: modem@20000000: exporting it although it belongs to the driver of vendor,modem: "
              "each buffer is cleared; make sure", silent="the kernel may fault"),
    case("an area of another machine", "owners-of-other-kinds", *GIVEN, heaps="system modem@20000000",
         says="^rmem_heap: modem@20000000: /remoteproc gives its memory to other virtual machines"),
    case("an area of another machine, held back", "owners-of-other-kinds", *GIVEN,
         append="rmem_heap.export=!modem@20000000", heaps="system", silent="the kernel may fault"),
]


def blob(tree, changes, name):
    """The device tree blob of a source with changes, of which each must change something"""
    if not tree or tree.endswith(".dtb"):
        return tree
    if not tree.startswith("/dts-v1/"):
        with open(tree) as f:
            tree = f.read()
    for regex, replacement in changes:
        tree, count = re.subn(regex, replacement, tree, flags=re.M)
        assert count, f"{regex} is not in the device tree"
    with open(name + ".dts", "w") as f:
        f.write(tree)
    return vm.compile_tree(name + ".dts", name + ".dtb", "-f")


def boot(what, kernel, cases):
    name = f"{LOGS}/boots-{cases.item.callspec.id}"
    variant, files = kernel("um-modules" if what.modules else "um"), {}
    if what.modules:
        files["modules/cma_heap.ko"] = f"{vm.BUILD}/{variant}/drivers/dma-buf/heaps/cma_heap.ko"
    if what.check:
        files["test"] = run.selftest("rmem-heap-check", LOGS)
    initrd = vm.initrd(f"{LOGS}/boots.cpio", files)
    said = vm.Machine(variant, initrd, blob(what.tree, what.changes, name), append=what.append, mem=what.mem,
                      timeout=180, check_tree=what.check_tree).boot(name + ".log")
    why = "\n".join([*filter(re.compile("rmem|heap: ").match, said.text.splitlines()), said.log])
    cases.no_report(said, f"{what.name}: no report")
    for word, regexes, wanted in ("says", what.says, True), ("does not say", what.silent, False):
        for regex in [regexes] if isinstance(regexes, str) else regexes:
            cases(f"{what.name}: {word} {regex}", bool(re.search(regex, said.text, re.M)) == wanted, why)
    if what.heaps is not None:
        have = sorted(re.findall("^heap: (.*)", said.text, re.M))
        cases(f"{what.name}: heaps are: {what.heaps}", have == sorted(what.heaps.split()) and
              "\nheaps: done\n" in said.text, why)
    assert said.status == 0, f"{said.log}: the machine ended with status {said.status}"


def each(boots):
    """The parameters of a test. In their ids -k takes no blanks and commas."""
    return pytest.mark.parametrize("what", [
        pytest.param(b, id=re.sub(r"[^\w.+-]+", "-", b.name), marks=[pytest.mark.slow] * b.modules)
        for b in boots if fnmatch.fnmatchcase(b.name, os.environ.get("BOOTS") or "*")])


@each(BOOTS)
def test_boot(what, kernel, cases):
    boot(what, kernel, cases)


@each(CASES)
def test_case(what, kernel, cases):
    boot(what, kernel, cases)
