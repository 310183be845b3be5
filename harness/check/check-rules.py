# SPDX-License-Identifier: GPL-2.0
"""The rules of `rmem-heap check`: for each a tree in which it fires, and one in which it does not.

(rule, level, options, children of /reserved-memory, other children of the root) that fire, then
the children that do not. Both trees have cells of 2 and 2, and RAM from 0x40000000 on, 1 GiB.
A tree may have other findings, too.
"""
CMA = 'compatible = "shared-dma-pool"; reusable;'
POOL = 'compatible = "shared-dma-pool"; no-map;'
RESTRICTED = 'compatible = "restricted-dma-pool";'


def at(name, base, size, props=""):
    return "%s: %s@%x { reg = <0 0x%x 0 0x%x>; %s };" % (
        name.replace("-", "_").replace(",", "_"), name, base, base, size, props)


def user(label, props="", name="dev", prop="memory-region"):
    return '%s { compatible = "me,dev"; %s = <&%s>; %s };' % (name, prop, label, props)


M = 1 << 20
BASE = 0x50000000
RULES = [
    ("cma-misaligned", "error", "", at("cam", BASE + M, 8 * M, CMA), "",
     at("cam", BASE, 8 * M, CMA), ""),
    ("cma-misaligned", "error", "", at("cam", BASE, 3 * M, CMA), "",
     at("cam", BASE + 2 * M, 2 * M, CMA), ""),
    ("cma-misaligned", "error", "", "cam { %s size = <0 0x100000>; };" % CMA, "",
     "cam { %s size = <0 0x200000>; };" % CMA, ""),
    ("cma-misaligned", "error", "--pageblock 4M", at("cam", BASE, 2 * M, CMA), "",
     at("cam", BASE, 4 * M, CMA), ""),
    ("cma-pageblock", "warning", "--page-size 64K", at("cam", BASE, 8 * M, CMA), "",
     at("cam", 0x60000000, 512 * M, CMA), ""),
    ("reusable-without-pool", "error", "", at("a", BASE, M, "reusable;"), "",
     at("a", BASE, M, 'reusable; compatible = "me,own";'), ""),
    ("reusable-without-pool", "error", "", at("a", BASE, 2 * M, CMA + "no-map;"), "",
     at("a", BASE, 2 * M, CMA), ""),
    ("coherent-without-no-map", "error", "", at("a", BASE, M, 'compatible = "shared-dma-pool";'),
     "", at("a", BASE, M, POOL), ""),
    ("coherent-without-no-map", "error", "", at("a", BASE, M, 'compatible = "shared-dma-pool";'),
     "", at("a", 0x10000000, M, 'compatible = "shared-dma-pool";'), ""),
    ("coherent-without-no-map", "error", "", "a { size = <0 0x100000>; "
     'compatible = "shared-dma-pool"; };', "", "a { size = <0 0x100000>; %s };" % POOL, ""),
    ("linux-cma-carveout", "error", "", "linux,cma { size = <0 0x800000>; };", "",
     "linux,cma { size = <0 0x800000>; %s };" % CMA, ""),
    ("overlap", "error", "", at("a", BASE, 2 * M) + at("b", BASE + M, 2 * M), "",
     at("a", BASE, M) + at("b", BASE + M, 2 * M), ""),
    ("overlap", "error", "", at("a", BASE, 8 * M) + at("b", BASE + M, M) +
     at("c", BASE + 4 * M, M), "",
     at("a", BASE, 8 * M, 'status = "disabled";') + at("b", BASE + M, M) +
     at("c", BASE + 4 * M, M), ""),
    ("unknown-property", "error", "", at("a", BASE, M, "no_map;"), "", at("a", BASE, M, "no-map;"),
     ""),
    ("unknown-property", "error", "", at("a", BASE, M, "colour = <1>;"), "",
     at("a", BASE, M, 'vendor,colour = <1>; bootph-all; label = "a";'), ""),
    ("unknown-property", "error", "", at("a", BASE, M, "linux,cma_default;"), "",
     at("a", BASE, M, 'compatible = "me,own"; colour = <1>;'), ""),
    ("below-a-bus", "error", "", "", "bus { reserved-memory { a { }; }; };", "",
     "bus { reserved { a { }; }; };"),
    ("second-reserved-memory", "warning", "", "", "reserved-memory@1 { };", "", "memory-map { };"),
    ("reg-cells", "error", "", "a { reg = <0x50000000 0x100000 0>; };", "",
     "a { reg = <0 0x50000000 0 0x100000>; };", ""),
    ("size-cells", "error", "", "a { size = <0x100000>; };", "", "a { size = <0 0x100000>; };", ""),
    ("alignment-cells", "error", "", "a { size = <0 0x100000>; alignment = <0x1000>; };", "",
     "a { size = <0 0x100000>; alignment = <0 0x1000>; };", ""),
    ("alloc-ranges-cells", "warning", "", "a { size = <0 0x100000>; alloc-ranges = <0 1 2>; };", "",
     "a { size = <0 0x100000>; alloc-ranges = <0 0x40000000 0 0x10000000>; };", ""),
    ("ignored-beside-reg", "warning", "", at("a", BASE, M, "alignment = <0 0x1000>;"), "",
     "a { size = <0 0x100000>; alignment = <0 0x1000>; };", ""),
    ("ignored-beside-reg", "note", "", at("a", BASE, M, "size = <0 0x100000>;"), "",
     at("a", BASE, M), ""),
    ("placeholder", "note", "", "a { };", "", at("a", BASE, M), ""),
    ("placeholder", "note", "", at("a", BASE, 0), "", at("a", BASE, 0, 'status = "disabled";'), ""),
    ("two-kinds-of-pool", "warning", "",
     at("a", BASE, M, 'compatible = "shared-dma-pool", "restricted-dma-pool"; no-map;'), "",
     at("a", BASE, M, RESTRICTED), ""),
    ("restricted-properties", "warning", "", at("a", BASE, M, RESTRICTED + "no-map;"), "",
     at("a", BASE, M, RESTRICTED), ""),
    ("cma-default-ignored", "warning", "", at("a", BASE, 2 * M, POOL + "linux,cma-default;"), "",
     at("a", BASE, 2 * M, CMA + "linux,cma-default;"), ""),
    ("global-pool", "note", "", at("a", BASE, M, POOL + "linux,dma-default;"), "",
     at("a", BASE, M, POOL), ""),
    ("pool-by-address", "note", "", at("a", BASE, M, POOL) + at("b", BASE + M, M, POOL),
     'r { compatible = "ti,am62-r5f"; memory-region = <&a>, <&b>; };', at("a", BASE, M, POOL),
     'r { compatible = "ti,am62-r5f"; memory-region = <&a>; };'),
    ("pool-by-address", "warning", "", at("a", BASE, M, POOL),
     'r { compatible = "fsl,qman"; memory-region = <&a>; };', at("a", BASE, M, POOL), user("a")),
    ("pool-by-address", "note", "", at("a", BASE, M, CMA) + at("b", BASE + M, M, POOL),
     'm4 { compatible = "st,stm32mp1-m4"; memory-region = <&a>, <&b>; };',
     at("a", BASE, M, CMA) + at("vdev0buffer", BASE + M, M, POOL),
     'm4 { compatible = "st,stm32mp1-m4"; memory-region = <&a>, <&vdev0buffer>; };'),
    ("pool-by-address", "note", "", at("a", BASE, M, POOL), "zap-shader { memory-region = <&a>; };",
     at("a", BASE, M, POOL), 'zap-shader { status = "disabled"; memory-region = <&a>; };'),
    ("pool-without-user", "note", "", at("a", BASE, M, POOL), "", at("a", BASE, M, POOL),
     user("a")),
    ("cma-of-another-vm", "warning", "", at("cam", BASE, 2 * M, CMA),
     user("cam", "qcom,vmids = <22 37>;"), at("cam", BASE, 2 * M, CMA),
     user("cam", "qcom,vmids = <3 22>;")),
    ("cma-of-another-vm", "warning", "", at("cam", BASE, 2 * M, CMA),
     user("cam", "qcom,vmids = <22>;"), at("cam", BASE, 2 * M, CMA), user("cam", "qcom,vmids;")),
    ("other-property", "note", "", at("a", BASE, M), user("a", prop="boot-region"),
     at("a", BASE, M), user("a")),
    ("shared-pool", "note", "", at("a", BASE, M, POOL), user("a") + user("a", name="dev2"),
     at("a", BASE, M, POOL), user("a") + user("a", 'status = "disabled";', name="dev2")),
    ("shared-pool", "note", "", at("a", BASE, 2 * M, CMA), user("a") + user("a", name="dev2"),
     at("a", BASE, 2 * M), user("a") + user("a", name="dev2")),
    ("consumers-disabled", "note", "", at("a", BASE, M), user("a", 'status = "disabled";'),
     at("a", BASE, M), user("a")),
    ("consumers-disabled", "note", "", at("a", BASE, M),
     'bus { status = "disabled"; %s };' % user("a"), at("a", BASE, M),
     user("a", 'status = "disabled";') + user("a", name="dev2")),
    ("device-reg", "note", "", at("a", BASE, M), "fb@50000000 { compatible = \"me,fb\"; reg = <0 0x50000000 0 0x1000>; };",
     at("a", BASE, M), "fb@50000000 { compatible = \"me,fb\"; reg = <0 0x50000000 0 0x1000>; memory-region = <&a>; };"),
    ("device-reg", "warning", "", at("a", BASE, M, POOL),
     "bus { #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0x50000000 0x10000>;"
     "fb@1000 { compatible = \"me,fb\"; reg = <0x1000 0x1000>; }; };", at("a", BASE, M, POOL),
     "bus { #address-cells = <1>; #size-cells = <1>; fb@1000 { compatible = \"me,fb\"; reg = <0x50000000 0x1000>; }; };"),
    ("device-reg", "note", "", at("a", BASE, M), "fb@4ffff000 { compatible = \"me,fb\";"
     "reg = <0 0x4ffff000 0 0x1001>; };", at("a", BASE, M), "fb@4ffff000 {"
     "compatible = \"me,fb\"; reg = <0 0x4ffff000 0 0x1000>, <0 0x4ffff000 0 0x200000>; };"),
    ("unreachable", "warning", "", at("a", BASE, M, POOL),
     "bus { #address-cells = <2>; #size-cells = <2>; ranges; dma-ranges = <0 0 0 0 0 0x40000000>;"
     "%s };" % user("a"), at("a", BASE, M, POOL),
     "bus { #address-cells = <2>; #size-cells = <2>; ranges; dma-ranges = <0 0 0 0 0 0x80000000>;"
     "%s };" % user("a")),
    ("dynamic-without-alignment", "warning", "", "a { size = <0 0x100000>; };", "",
     "a { size = <0 0x100000>; alignment = <0 0x1000>; };", ""),
    ("dynamic-without-alignment", "warning", "--page-size 64K",
     "a { size = <0 0x100000>; alignment = <0 0x1000>; };", "",
     "a { size = <0 0x100000>; alignment = <0 0x10000>; };", ""),
    ("dynamic-without-alignment", "warning", "", "a { size = <0 0x100000>; };", "",
     "a { size = <0 0x800000>; %s };" % CMA, ""),
    ("not-whole-pages", "warning", "", at("a", BASE, 0x1080), "", at("a", BASE, 0x1000), ""),
    ("not-whole-pages", "note", "", at("a", BASE, 0x80, 'compatible = "me,own";'), "",
     at("a", BASE, 0x1000, 'compatible = "me,own";'), ""),
    ("not-whole-pages", "warning", "--page-size 16K", at("a", BASE + 0x1000, 0x4000), "",
     at("a", BASE + 0x4000, 0x4000), ""),
    ("not-a-power-of-two", "note", "", at("a", BASE, 3 * M, POOL), "", at("a", BASE, 4 * M, POOL),
     ""),
    ("small-pool", "note", "", at("a", BASE, 0x1f000, POOL), "", at("a", BASE, 0x20000, POOL), ""),
    ("no-room", "warning", "", "a { size = <0 0x10000000>; alignment = <0 0x1000>;"
     "alloc-ranges = <0 0x78000000 0 0x20000000>; };", "", "a { size = <0 0x8000000>;"
     "alignment = <0 0x1000>; alloc-ranges = <0 0x78000000 0 0x20000000>; };", ""),
    ("beyond-the-end", "warning", "",
     "a@fffffffffffff000 { reg = <0xffffffff 0xfffff000 0 0x2000>; };", "",
     "a@fffffffffffff000 { reg = <0xffffffff 0xffffd000 0 0x2000>; };", ""),
    ("above-4-gib", "note", "", "a@100000000 { reg = <1 0 0 0x1000>; };", "",
     "a@fffff000 { reg = <0 0xfffff000 0 0x1000>; };", ""),
    ("outside-ram", "note", "", at("a", 0x80000000, M), "", at("a", 0x7ff00000, M), ""),
    ("outside-ram", "note", "", at("a", 0x7ff00000, M, "") + at("b", 0x10000000, M), "",
     at("a", 0x7ff00000, M), ""),
    ("partly-ram", "warning", "", at("a", 0x7ff00000, 2 * M), "", at("a", 0x7fe00000, 2 * M), ""),
    ("partly-ram", "warning", "--mem 0x40000000+0x10080000", at("a", BASE, M), "",
     at("a", BASE, 0x80000), ""),
    ("memreserve", "warning", "rsv 0x50000000 0x1000", at("a", BASE, M), "", at("a", BASE + M, M),
     ""),
    ("memreserve", "note", "rsv 0x50000000 0x200000", at("a", BASE, M), "",
     at("a", BASE, 2 * M), ""),
    ("memreserve-dynamic", "note", "rsv 0x50000000 0x1000", "a { size = <0 0x100000>; };", "",
     at("a", BASE + M, M), ""),
    ("other-kernel", "note", "", at("a", BASE, M),
     "chosen { linux,usable-memory-range = <0 0x60000000 0 0x1000000>; };", at("a", BASE, M),
     "chosen { linux,usable-memory-range = <0 0x50000000 0 0x1000000>; };"),
    ("capture-kernel", "note", "", at("a", BASE, M),
     "chosen { linux,elfcorehdr = <0 0 0 0x1000>; };", at("a", BASE, M), "chosen { };"),
    ("capture-kernel", "note", "--cmdline elfcorehdr=0x1000", at("a", BASE, M), "",
     at("a", BASE, M, 'compatible = "me,own";'), ""),
    ("unit-address-without-reg", "warning", "", "a@50000000 { size = <0 0x100000>; };", "",
     "a { size = <0 0x100000>; };", ""),
    ("unit-address", "warning", "", "a@1000 { reg = <0 0x50000000 0 0x1000>; };", "",
     "a@50000000 { reg = <0 0x50000000 0 0x1000>; };", ""),
    ("unit-address", "warning", "", "a@1,1000 { reg = <0 0x1000 0 0x1000>; };", "",
     "a@1,1000 { reg = <1 0x1000 0 0x1000>; };", ""),
    ("generic-name", "note", "", at("memory", BASE, M, POOL), "", at("memory", BASE, M), ""),
    ("heap-name", "warning", "", at("system", BASE, M, POOL).replace("system@50000000", "system"),
     "", at("system", BASE, M, POOL), ""),
    ("carveout-without-no-map", "note", "", at("a", BASE, M), "", at("a", BASE, M, "no-map;"), ""),
    ("carveout-without-no-map", "note", "", at("a", BASE, M), "", at("a", BASE, M, "export;"), ""),
    ("carveouts-without-owner", "note", "", at("a", BASE, M, "no-map;"), "",
     at("a", BASE, M, "no-map;"), user("a")),
    ("cma-replaced", "note", "--cmdline cma=0", "cam { size = <0 0x800000>; linux,cma-default;"
     "%s };" % CMA, "", "cam { size = <0 0x800000>; %s };" % CMA, ""),
    ("cma-areas", "note", "--cma-areas 1", at("cam", BASE, 2 * M, CMA) +
     at("cam2", BASE + 2 * M, 2 * M, CMA), "", at("cam", BASE, 2 * M, CMA), ""),
    ("too-many-dynamic", "warning", "", "".join("a%d { size = <0 0x1000>; };" % i
                                                for i in range(65)), "",
     "".join("a%d { size = <0 0x1000>; };" % i for i in range(64)), ""),
    ("too-many-heaps", "warning", "", "".join(at("a%d" % i, BASE + i * 0x1000, 0x1000, "export;")
                                              for i in range(113)), "",
     "".join(at("a%d" % i, BASE + i * 0x1000, 0x1000, "export;") for i in range(112)), ""),
]
