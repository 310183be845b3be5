#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: check-tool.py TOOL    test `rmem-heap check` on device trees; prints TAP

Trees of harness/cases say what is expected in comment lines of their own:
    check: OPTIONS -> STATUS                what follows is true with these options
    region: NAME MODE STATUS HEAPS [TEXT]   HEAPS of default, export, all, name, or none; TEXT is
                                            in the reason; a STATUS with ? depends on the boot
    finding: LEVEL RULE NAME                the node's last name; all findings are listed
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(root, "harness", "check"))
RULES = __import__("check-rules").RULES
TREE = """/dts-v1/;
%s
/ { #address-cells = <2>; #size-cells = <2>; compatible = "me,board"; cpus { };
memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x40000000>; };
reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges; %s };
%s };
"""

tool = sys.argv[1]
work = tempfile.TemporaryDirectory()
count = failed = 0


def ok(name, problem):
    global count, failed
    count += 1
    failed += bool(problem)
    print("%sok %d - %s" % ("not " if problem else "", count, name))
    for line in str(problem).split("\n") if problem else []:
        print("# " + line)


def dtb(text, *options):
    path = os.path.join(work.name, "tree.dtb")
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", path, *options],
                   input=text.encode(), check=True)
    return path


def run(*args, blob=b""):
    return subprocess.run([tool, "check", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=blob, check=False)


def check(path, *options):
    end = run("--json", *options, path)
    return json.loads(end.stdout)[0], end.returncode


def rule(rule_name, level, options, fires, rest, silent, silent_rest):
    options, reserve = options.split(" "), ""
    if options[0] == "rsv":
        reserve, options = "/memreserve/ %s %s;" % tuple(options[1:]), []
    options = [o for o in options if o]
    for body, others, wanted in (fires, rest, True), (silent, silent_rest, False):
        for symbols in [], ["-@"]:
            found, status = check(dtb(TREE % (reserve, body, others), *symbols), *options)
            hits = [f for f in found["findings"] if f["rule"] == rule_name]
            errors = any(f["level"] == "error" for f in found["findings"])
            if wanted and [f["level"] for f in hits[:1]] != [level]:
                return "does not fire, or at another level: %s" % found["findings"]
            if not wanted and hits and level in [f["level"] for f in hits]:
                return "fires: %s" % hits
            if status != errors:
                return "exit status %d" % status
            if any(not f["text"] or not f["change"] or not f["node"].startswith("/")
                   for f in hits):
                return "incomplete: %s" % hits
    return None


def heaps(region):
    return ",".join(h for h in ("default", "export", "all", "name") if region["heap"][h]) or "none"


def case(path):
    """Yields (options, problem) for each `check:` of a tree"""
    with open(path, encoding="utf-8") as tree:
        text = tree.read()
    blob = dtb(text)
    parts = re.split(r"^ \* check: *", text, flags=re.M)[1:]
    if not parts:
        yield "", "the tree does not say what is expected"
    for part in parts:
        head, lines = part.split("\n", 1)
        options, status = re.fullmatch(r"(.*?) *-> (\d)", head).groups()
        found, real = check(blob, *options.split())
        problems = [] if real == int(status) else ["exit status %d" % real]
        regions = {r["name"]: r for r in found["regions"]}
        wanted = []
        for line in lines.split("*/")[0].split("\n"):
            kind, _, words = line.strip(" *").partition(": ")
            words = words.split(" ", 4)
            if kind == "region":
                r = regions.get(words[0])
                said = r and [r["mode"], r["status"] + "?" * r["depends"], heaps(r)]
                if said != words[1:4] or (words[4:] and words[4] not in (r["reason"] or "")):
                    problems.append("%s: %s %s" % (line.strip(), said, r and r["reason"]))
            elif kind == "finding":
                wanted.append(" ".join(words))
        real = ["%s %s %s" % (f["level"], f["rule"], f["node"].split("/")[-1] or "/")
                for f in found["findings"]]
        problems += ["not found: " + f for f in sorted(set(wanted) - set(real))]
        problems += ["also found: " + f for f in sorted(set(real) - set(wanted))]
        yield options, "\n".join(problems)


def usage():
    good = dtb(TREE % ("", "", ""))
    bad = os.path.join(work.name, "bad.dtb")
    with open(bad, "wb") as out:
        out.write(b"no tree at all, but long enough for the header of one")
    for args, status in (
            ([], 2), (["--no-such-option", good], 2), (["--mem", "x", good], 2),
            (["--mem", "1G,", good], 2), (["--mem", "1G+", good], 2), (["--mem", "0", good], 2),
            (["--page-size", "3000", good], 2), (["--page-size", "1K", good], 2),
            (["--pageblock", "3M", good], 2), (["--cma-areas", "0", good], 2), ([bad], 2),
            (["/no/such/file"], 2), ([good, bad], 2), ([good], 0), ([good, good], 0),
            (["--overlay", bad, good], 2), (["--overlay", "/no/such/file", good], 2)):
        end = run(*args)
        said = end.stderr if status else end.stdout
        yield "rmem-heap check %s" % " ".join(os.path.basename(a) for a in args), \
            end.returncode != status and "exit status %d" % end.returncode or \
            not said and "not a word" or status == 2 and b"rmem-heap" not in said
    for args in ["--help"], ["--json", "--help"], ["-h"]:
        end = run(*args)
        yield "rmem-heap check %s" % " ".join(args), \
            end.returncode or not end.stdout.startswith(b"usage: rmem-heap check ") or end.stderr
    with open(good, "rb") as blob:
        content = blob.read()
    yield "the message says why a file is no tree", b"0xd00dfeed" not in run(bad).stderr
    yield "the worst of several files counts", run(bad, good).returncode != 2
    yield "a tree on stdin", run("-", blob=content).returncode
    for size in 0, 8, 39, 40, len(content) // 2, len(content) - 1:
        yield "a tree cut off after %d bytes" % size, run("-", blob=content[:size]).returncode != 2
    end = run("--json", bad, good)
    both = json.loads(end.stdout)
    yield "JSON has every file", [d["file"] for d in both] != [bad, good] or "error" not in both[0]


def predictions():
    """What no finding shows"""
    pools = "".join("a%d: %s@%x { %s reg = <0 0x%x 0 0x100000>; };" % (
        i, name, 0x50000000 + (i << 20), 'compatible = "shared-dma-pool"; no-map;',
        0x50000000 + (i << 20)) for i, name in enumerate("abc"))
    users = "".join('d%d { compatible = "me,d"; memory-region = <&a%d>; };' % (i, i)
                    for i in range(3))
    path = dtb(TREE % ("", pools, users))
    for line, wanted in (
            ("rmem_heap.export=*", "abc"), ("rmem_heap.export=*:!b@50100000", "ac"),
            ("quiet rmem-heap.export=b@50100000 x", "b"), ("-- rmem_heap.export=*", ""),
            ('rmem_heap.export="b@50100000:!b@50100000" rmem_heap.export=c@50200000', "c"),
            ("rmem_heap.export=!a@50000000 rmem_heap.export=a@50000000", "")):
        found, _ = check(path, "--cmdline", line)
        yield "heaps with " + line, "".join(
            r["name"][0] for r in found["regions"] if r["heap"]["cmdline"]) != wanted
    found, _ = check(path)
    yield "no word of a command line that is not there", "cmdline" in found["regions"][0]["heap"]
    args = TREE % ("", pools, users + 'chosen { bootargs = "rmem_heap.export=b@50100000"; };')
    found, _ = check(dtb(args))
    yield "bootargs of the tree count", [r["heap"]["cmdline"] for r in found["regions"]] != \
        [False, True, False]
    for size, largest in (0x300000, 0x200000), (0x200000, 0x200000):
        text = TREE % ("", "a@50000000 { compatible = \"shared-dma-pool\"; no-map;"
                       "reg = <0 0x50000000 0 0x%x>; };" % size, "")
        found, _ = check(dtb(text))
        yield "largest buffer of a pool of %x" % size, found["regions"][0]["largest"] != largest
    carveout = "a@%x { no-map; reg = <0 0x%x 0 0x1000>; };"
    for base, memory, depends in ((0x50000000, "", False), (0x90000000, "", True),
                                  (0x50000000, "reg = <0 0 0 0>;", True)):
        text = TREE % ("", carveout % (base, base),
                       'memory@90000000 { device_type = "memory"; reg = <0 0x90000000 0 0>; };')
        text = text.replace("reg = <0 0x40000000 0 0x40000000>;", memory) if memory else text
        found, _ = check(dtb(text))
        yield "a boot loader says where RAM is: %x %s" % (base, memory), \
            found["regions"][0]["depends"] != depends
    for size, depends in ("0x3fff000", False), ("0x4000000", True):
        body = "a { size = <0 %s>; alignment = <0 0x1000>; alloc-ranges = <0 0x60000000 0 " \
            "0x8000000>; };" % size
        found, _ = check(dtb(TREE % ("", body, "")))
        yield "room for a region of %s" % size, found["regions"][0]["depends"] != depends
    body = "a { size = <0 0x800000>; alloc-ranges = <0 0x60000000 0 0x4%s00000>; " \
        'compatible = "shared-dma-pool"; reusable; };'
    for more, depends in ("a", False), ("9", True):
        found, _ = check(dtb(TREE % ("", body % more, "")))
        yield "room for a CMA area and its alignment, 4%s00000" % more, \
            found["regions"][0]["depends"] != depends
    body = "a@50000000 { reg = <0 0x50000000 0 0x800000>; status = \"disabled\"; };" \
        "b@50100000 { reg = <0 0x50100000 0 0x100000>; };" \
        "c@51000000 { reg = <0 0x51000000 0 0x800000>; };" \
        "d@51100000 { reg = <0 0x51100000 0 0x100000>; };" \
        "e@51400000 { reg = <0 0x51400000 0 0x100000>; };"
    found, _ = check(dtb(TREE % ("", body, "")))
    yield "a disabled region overlaps nothing; regions overlap that are not neighbours", \
        [r["status"] for r in found["regions"]] != ["disabled", "available"] + ["refused"] * 3 \
        or found["regions"][1]["depends"]
    user = 'd { compatible = "me,d"; memory-region = <&p>; };'
    body = "".join("a%d { reg = <0 0x%x 0 0x1000>; export; };" % (i, 0x50000000 + (i << 12))
                   for i in range(112))
    body += 'cam { compatible = "shared-dma-pool"; reusable; reg = <0 0x51000000 0 0x200000>; };'
    body += 'p: pool { compatible = "shared-dma-pool"; no-map; reg = <0 0x52000000 0 0x1000>; };'
    found, _ = check(dtb(TREE % ("", body, user)), "--cmdline", "rmem_heap.export=*")
    yield "a CMA area takes the place of the last of 112 other regions", \
        [list(r["heap"].values()) for r in found["regions"][110:]] != \
        [[False, False, True, True, True], [False] * 5, [True, True, True, False, True],
         [False] * 5]
    for name, owned in (("vendor,mem", True), ("my_mem", True), ("mem", True), ("tx-shmem", True),
                        ("vendor,mem-base", True), ("mem2", True), ("tx-ram0-x", True),
                        ("vendor,fw-x", True), ("firmware-name", True), ("smem-area", True),
                        ("vendor,smem", False), ("tx-pool", False), ("2mem", False),
                        ("region-size", False), ("memory-region-names", False),
                        ("num1-buffers", False), ("mem-type2-x", False)):
        found, _ = check(dtb(TREE % ("", at_50, "d { %s = <1 0x99>; };" % name)))
        yield "a property called " + name, (found["regions"][0]["status"] == "owned") != owned
    pool = at_50.replace("{", '{ no-map; compatible = "shared-dma-pool";')
    for user, sign in (('compatible = "x"; memory-region = <0x99>;', False),
                       ('compatible = "x"; tx-mem = <0x99>;', True),
                       ('compatible = "x"; memory-region = <0x99>; tx-mem = <0x99>;', True),
                       ('compatible = "x"; memory-region = <1 0x99>;', True),
                       ('memory-region = <0x99>;', True),
                       ('status = "disabled"; compatible = "x"; memory-region = <1 0x99>;', True)):
        found, _ = check(dtb(TREE % ("", pool, "d { %s };" % user)))
        yield "`*` leaves a pool out: %s %s" % (user, sign), \
            found["regions"][0]["heap"]["all"] == sign
    user = '%s { compatible = "me,fb"; reg = <0 0x50000000 0 0x10>; };'
    for name, says in ("fb", b"out: the memory of /fb lies in"), ("__fb", b"out: no node refers"):
        yield "`*` leaves a pool out, and the text says why: " + name, \
            says not in run(dtb(TREE % ("", pool, user % name))).stdout
    fb = "bus { #address-cells = <1>; %s ranges = <0x0 0 0x50000000 0x1000>; fb { %s reg = <0 %s" \
        "0x10>; }; };"
    for cells, compatible, reg, owned in (
            ("#size-cells = <1>;", 'compatible = "me,fb";', "", True),
            ("#size-cells = <1>;", "", "", False), ("", 'compatible = "me,fb";', "0 ", False)):
        text = (fb % (cells, compatible, reg)).replace(
            "0x50000000 0x1000", "0x50000000 0 0x1000" if not cells else "0x50000000 0x1000")
        found, _ = check(dtb(TREE % ("", at_50, text)))
        yield "reg of a device: %s%s" % (cells, compatible), \
            (found["regions"][0]["status"] == "owned") != owned
    fb = "%s { #address-cells = <2>; #size-cells = <1>; ranges = <%s 0 0 0x50000000 0x1000>;" \
        ' fb { compatible = "me,fb"; reg = <%s>; }; };'
    for bus, ranges, reg, owned in (
            ("bus", "0", "0 0x2000 1 0 0 1", True), ("isa", "1", "1 0 1", False),
            ("isa", "0", "1 0 1 0 0 1", True), ("bus", "1", "1 0 1", True)):
        found, _ = check(dtb(TREE % ("", at_50, fb % (bus, ranges, reg))))
        yield "reg of a device on %s: %s" % (bus, reg), \
            (found["regions"][0]["status"] == "owned") != owned
    second = "reserved-memory@1 { #address-cells = <2>; #size-cells = <2>; ranges;" \
        'fb { compatible = "me,fb"; reg = <0 0x50000000 0 1>; }; };'
    found, _ = check(dtb(TREE % ("", at_50, "__x { mem = <0x99>; }; " + second)))
    yield "what is no device owns nothing", found["regions"][0]["status"] != "available"
    cma = 'compatible = "shared-dma-pool"; reusable;'
    for base, wanted in (
            (0x7fc00000, [["refused", False], ["available", True], ["available", False]]),
            (0x90000000, [["refused", False], ["available", True], ["available", False]]),
            (0x7f800000, [["refused", False], ["refused", False], ["available", False]])):
        body = "cam@%x { %s reg = <0 0x%x 0 0x800000>; };" % (base, cma, base)
        body += "b@%x { no-map; reg = <0 0x%x 0 0x1000>; };" % (base, base)
        body += "c@50000000 { no-map; reg = <0 0x50000000 0 0x1000>; };"
        found, _ = check(dtb(TREE % ("", body, "")))
        yield "a CMA area at %x, and a region in it" % base, \
            [[r["status"], r["depends"]] for r in found["regions"]] != wanted
    for first, second, wanted in (
            ("b", "cam", [["available", True], ["refused", False]]),
            ("cam", "b", [["refused", False], ["refused", False]]),
            ("around", "cam", [["refused", False], ["refused", False]]),
            ("b", "lies beside", [["available", False], ["available", False]])):
        body = {"b": "b@50100000 { no-map; reg = <0 0x50100000 0 0x1000>; };",
                "cam": "cam@50000000 { %s reg = <0 0x50000000 0 0x800000>; };" % cma,
                "around": "b@4f000000 { no-map; reg = <0 0x4f000000 0 0x2000000>; };",
                "lies beside": "cam@50800000 { %s reg = <0 0x50800000 0 0x800000>; };" % cma}
        found, _ = check(dtb(TREE % ("", body[first] + body[second], "")))
        yield "memory that is not mapped, and a CMA area: %s, %s" % (first, second), \
            [[r["status"], r["depends"]] for r in found["regions"]] != wanted
    body = "cam@7fc00000 { %s reg = <0 0x7fc00000 0 0x800000>; };" % cma
    for more in "", 'memory@90000000 { device_type = "memory"; reg = <0 0x90000000 0 0>; };':
        found, _ = check(dtb(TREE % ("", body, more)))
        yield "a CMA area that is half RAM: " + more, \
            found["regions"][0]["status"] != ("available" if more else "refused") or \
            not more and not found["regions"][0]["reason"].startswith("only 4 MiB of 8 MiB are RAM")
    body += "b@7fd00000 { reg = <0 0x7fd00000 0 0x2000>; };"
    body += "c@7fd01000 { reg = <0 0x7fd01000 0 0x2000>; };"
    found, _ = check(dtb(TREE % ("", body, "")))
    yield "regions overlap in what was a CMA area", \
        [r["status"] for r in found["regions"]] != ["refused"] * 3
    for owner in 'compatible = "shared-dma-pool", "me,own";', cma + "iommu-addresses;":
        area = "cam@50000000 { reusable; linux,cma-default; %s reg = <0 0x50000000 0 0x800000>; };"
        found, _ = check(dtb(TREE % ("", area % owner.replace("reusable;", ""), "")),
                         "--cmdline", "x")
        yield "a CMA area that has an owner: " + owner, \
            [found["regions"][0]["status"], *found["regions"][0]["heap"].values()] != \
            ["owned", False, False, True, False, False]
    for props, status in (("reg = <0 0x50000000 0>; size = <0 0x1000>;", "available"),
                          ("reg = <0 0x50000000 0>;", "refused"),
                          ("size = <0 0x1000>; alloc-ranges;", "refused"),
                          ("size = <0 0x1000>; alloc-ranges = <1>;", "available")):
        for memory in "", "reg = <0 0 0 0>;":
            text = TREE % ("", "a { alignment = <0 0x1000>; %s };" % props, "")
            text = text.replace("reg = <0 0x40000000 0 0x40000000>;", memory) if memory else text
            found, _ = check(dtb(text))
            yield "cells of a region: %s %s" % (props, memory), \
                found["regions"][0]["status"] != status
    for usable, status in (("0 0x60000000 0 0x1000000", "refused"), ("0 0x60000000 1", "available"),
                           ("0 0x50000000 0 0x800", "refused"),
                           ("0 0x60000000 0 0x1000 0 0x50000000 0 0x1000", "available")):
        for memory in "", "reg = <0 0 0 0>;":
            text = TREE % ("", at_50, "chosen { linux,usable-memory-range = <%s>; };" % usable)
            text = text.replace("reg = <0 0x40000000 0 0x40000000>;", memory) if memory else text
            found, _ = check(dtb(text))
            yield "usable memory: %s %s" % (usable, memory), \
                found["regions"][0]["status"] != status and not (memory and status == "refused")
    for usable in "", "0 0 0 0":
        found, _ = check(dtb(TREE % ("", at_50, "chosen { linux,usable-memory-range = <%s>; };" %
                                     usable)))
        yield "usable memory without a size: " + usable, found["regions"][0]["status"] != "available"
    chosen = "chosen { linux,usable-memory-range = <%s>; };"
    cap = "0 0x40000000 0 0x1000000 0 0x50000000 0 0x1000000"
    for usable, memory, status in (
            ("0 0x50000000 0 0x1000000", "", ["available", False]),
            ("0 0x50000000 0 0x1000000", "no-reg;", ["available", True]),
            (cap, "", ["available", False]), (cap + " 0 0x51000000 0 0x1000000", "",
                                              ["available", False]),
            ("0 0x40000000 0 0x1000000 " * 2 + "0 0x50000000 0 0x1000000", "", ["refused", False]),
            ("0 0 0 0 0 0x50000000 0 0x400000", "", ["available", False])):
        text = TREE % ("", "cam@50000000 { %s reg = <0 0x50000000 0 0x800000>; };" % cma,
                       chosen % usable)
        text = text.replace("reg = <0 0x40000000 0 0x40000000>;", memory) if memory else text
        found, _ = check(dtb(text))
        yield "usable memory and a CMA area: %s %s" % (usable, memory), \
            [found["regions"][0][k] for k in ("status", "depends")] != status
    text = "/dts-v1/; / { memory { device_type = \"memory\"; reg = <0x40000000 0x40000000>; };" \
        "reserved-memory { #address-cells = <%d>; #size-cells = <1>; ranges;" \
        "a@50000000 { reg = <%s0x50000000 0x1000>; }; }; cpus { }; };"
    for na, ns, status in (1, 1, "available"), (3, 2, "available"), (4, 4, "available"), \
            (5, 1, "refused"), (1, 0, "refused"):
        cells = "#address-cells = <%d>; #size-cells = <%d>;" % (na, ns)
        tree = "/dts-v1/; / { %s reserved-memory { %s ranges; a { reg = <%s0x1000>; }; }; };" % (
            cells, cells, "0 " * (na - 1) + "0x50000000 " + "0 " * (ns - 1) if ns else "")
        found, _ = check(dtb(tree))
        yield "a root with cells %d and %d" % (na, ns), \
            [found["regions"][0][k] for k in ("status", "base")] != \
            [status, 0x50000000] and status == "available" or \
            found["regions"][0]["status"] != status
    for na, zero, status in (1, "", "available"), (2, "0 ", "refused"):
        found, _ = check(dtb(text % (na, zero)))
        yield "a root without cells, and %d in reserved-memory" % na, \
            found["regions"][0]["status"] != status


def overlays():
    base = dtb(TREE % ("", "", ""), "-@")
    path = os.path.join(work.name, "base.dtb")
    os.rename(base, path)
    over = dtb("/dts-v1/; /plugin/; / { fragment@0 { target-path = \"/reserved-memory\";"
               "__overlay__ { late: late@50000000 { reg = <0 0x50000000 0 0x1000>; }; }; };"
               "fragment@1 { target-path = \"/\"; __overlay__ { dev { memory-region = <&late>;"
               "}; }; }; };", "-@")
    found, _ = check(path, "--overlay", over)
    yield "an overlay adds a region and its owner", [
        (r["name"], r["owner"] and r["owner"]["node"]) for r in found["regions"]] != \
        [("late@50000000", "/dev")]
    yield "a tree without symbols takes no overlay that needs them", \
        run("--overlay", dtb("/dts-v1/; /plugin/; &nothing { a; };", "-@"), path).returncode != 2


def fixups():
    """A number that equals the phandle of a region"""
    text = TREE % ("", at_50, 'd { compatible = "me,d"; phandle = <0x77>; tx-mem = <0x99>; };')
    plain, _ = check(dtb(text))
    exact, _ = check(dtb(text + "/ { e { x = <0x77>; }; __local_fixups__ { e { x = <0>; }; }; };"))
    yield "the prediction is the kernel's, who goes by names", \
        [d["regions"][0]["owner"]["node"] for d in (plain, exact)] != ["/d", "/d"]
    yield "findings follow true references only", \
        [any(f["rule"] == "other-property" for f in d["findings"]) for d in (plain, exact)] != \
        [True, False]


at_50 = "a@50000000 { reg = <0 0x50000000 0 0x1000>; phandle = <0x99>; };"


def text_output():
    deep = "with-a-long-name { " * 6 + 'd { compatible = "me,d"; memory-region = <&long>; };' + \
        " };" * 6
    words = "long: long-name@40000000 { reg = <0 0x40000000 0 0x1000>; };" + \
        "".join("long-%d@%x { reg = <0 0x%x 0 0x1000>; };" % (i, at, at)
                for i, at in enumerate(range(0x50000000, 0x50008000, 0x1000)))
    end = run("--cmdline", "rmem_heap.export=long-1@50001000", dtb(TREE % (
        "", words + "odd { reg = <0 0>; no_map; };", deep)))
    lines = end.stdout.decode().split("\n")
    long = [line for line in lines[1:] if len(line) > 80]
    # A path that is longer has a line of its own.
    yield "text fits 80 columns", [line for line in long if " " in line.strip()]
    yield "long paths are not cut", not long
    for wanted in (r"^error: /reserved-memory/odd \[reg-cells\]$", r"^ +change: +\S",
                   r"^ +with this command line: a heap$", r"^ +verdict +refused: its reg must be",
                   r"^long-0@50000000: carve-out, 4 KiB at 0x50000000$"):
        yield "text has " + wanted, not any(re.search(wanted, line) for line in lines)


def whole_trees():
    """Rules that need more than the children of a node"""
    for fault in "#address-cells = <1>; ranges", "#size-cells = <1>; ranges", "no-ranges":
        head, tail = TREE.split("#address-cells = <2>; #size-cells = <2>; ranges; ")
        cells = "".join(c for c in ("#address-cells = <2>;", "#size-cells = <2>;")
                        if c[:6] != fault[:6])
        text = (head + cells + fault + ";" + tail) % ("", at_50, "")
        found, status = check(dtb(text))
        yield "rule reserved-memory-cells: " + fault, \
            status != 1 or "reserved-memory-cells" not in [f["rule"] for f in found["findings"]] or \
            found["regions"][0]["status"] != "refused"
    for owner in "", "d { memory-region = <0x99>; };":
        path = dtb(TREE % ("", at_50 + "b@60000000 { compatible = \"me,own\";"
                           "reg = <0 0x60000000 0 0x1000>; };", owner))
        with open(path, "r+b") as tree:
            blob = tree.read().replace(b"b@60000000", b"a@50000000")
            tree.seek(0)
            tree.write(blob)
        found, _ = check(path)
        yield "rule two-of-one-name " + owner, \
            "two-of-one-name" not in [f["rule"] for f in found["findings"]] or \
            {r["status"] for r in found["regions"]} != {"refused"}
    many = "".join("r%d { reg = <0 0x%x 0 0x1000>; };" % (i, 0x40000000 + i * 0x1000)
                   for i in range(5000))
    devices = "".join("d%d { compatible = \"me,d\"; reg = <1 0x%x 0 0x1000>; };" % (i, i * 0x1000) for i in range(5000))
    for body, wanted in (many, True), (at_50, False):
        found, _ = check(dtb(TREE % ("", body, devices)))
        yield "rule too-large: %s" % wanted, \
            ("too-large" in [f["rule"] for f in found["findings"]]) != wanted


def speed():
    nodes = "".join('n%d: n%d@%x { compatible = "me,n"; reg = <0 0x%x 0 0x100>; clocks = <&n0>; '
                    'memory-region = <&r%d>; };' % (i, i, i * 0x1000, i * 0x1000, i % 60)
                    for i in range(3000))
    regions = "".join("r%d: r%d@%x { reg = <0 0x%x 0 0x100000>; };" % (
        i, i, 0x40000000 + (i << 20), 0x40000000 + (i << 20)) for i in range(60))
    path = dtb(TREE % ("", regions, nodes), "-@")
    start = time.monotonic()
    status = run(path).returncode
    took = time.monotonic() - start
    yield "a tree of %d KiB is checked in less than 0.1 s" % (os.path.getsize(path) // 1024), \
        status and "exit status %d" % status or took > .1 and "%.3f s" % took


seen = {}
for entry in RULES:
    seen[entry[0]] = seen.get(entry[0], 0) + 1
    ok("rule %s%s" % (entry[0], ", again" * (seen[entry[0]] > 1)), rule(*entry))
with open(os.path.join(root, "tools/dma/rmem-heap/check-find.c"), encoding="utf-8") as source:
    known = set(re.findall(r'found\(t,[^"]*?, "([a-z0-9-]+)"', source.read()))
ok("every rule is tested", ", ".join(sorted(
    known ^ {"reserved-memory-cells", "two-of-one-name", "too-large", *seen})))
for tree in sorted(glob.glob(os.path.join(root, "harness/cases/*.dts"))):
    for opts, problem in case(tree):
        ok("%s %s" % (os.path.basename(tree), opts), problem)
for tests in usage, predictions, overlays, fixups, text_output, whole_trees, speed:
    for name, problem in tests():
        ok(name, problem)
print("1..%d" % count)
sys.exit(failed > 0)
