#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: hostile.py ROOT DIR fixed|all|SEED...|FIRST-LAST   (called by hostile.sh)

Boots a tree for each seed, and the kept ones, and compares what the machine says with what
`rmem-heap check` predicts. What fails is made smaller for as long as it fails in the same way.
"""
import os
import re
import shutil
import subprocess
import sys
import time

import verdict

ROOT, DIR = sys.argv[1:3]
HERE = os.path.dirname(os.path.abspath(__file__))
GEN, INITRD, TOOL = DIR + "/gen", DIR + "/init.cpio", DIR + "/rmem-heap"
LIMIT = 20
MEM = "512M"
SHRINK_BOOTS = 250

CELLS = r"WARNING: \S*drivers/of/(base\.c:\d+ at of_bus_n_(addr|size)_cells|" \
    r"fdt\.c:\d+ at early_init_dt_scan_root)"

# Reports of code that is not ours, for trees that are wrong in a certain way: a name, what the
# report starts with, when it is to be expected, and whether the machine may end with it.
TOLERATED = [
    # User-Mode Linux has no memory but RAM: memremap() has nothing to map, and says so.
    ("memory outside of RAM on User-Mode Linux", r"WARNING: \S*lib/logic_iomem\.c:\d+ at ioremap",
     verdict.Tree.outside_ram, False),
    # The end of __reservedmem_of_table is aligned more than its entries, so that the loop sees
    # an entry of zeros, whose name an empty string matches; it has no operations.
    ("empty string in compatible", r"RIP: .*:(fdt_(validate|fixup)|__reserved_mem_init)_",
     verdict.Tree.empty_compatible, True),
    # CMA areas are in sysfs under their names, and so are nodes.
    ("two areas of one name", r"sysfs: cannot create duplicate filename '/kernel/mm/cma/",
     verdict.Tree.areas_of_one_name, False),
    ("node without a name", r"WARNING: \S*lib/kobject\.c:\d+ at kobject_add_internal",
     verdict.Tree.nameless, False),
    # Devices are made of some kinds of regions, and their addresses looked up. Our own code
    # has no business there.
    ("no #address-cells or #size-cells", CELLS, verdict.Tree.no_cells, False),
]
# Trees that end the machine before our code is reached, in any way: mostly the console is not up
# yet, and nothing is seen. It must not be us.
FATAL = [
    # What cannot become a pool is given back to the page allocator, and what can is given to it
    # as a CMA area, with all that boot has put there.
    ("pool over what boot has put there", verdict.Tree.area_over_boot),
    # Its children go to where it is not.
    ("node without a name", verdict.Tree.nameless),
]
STACK = re.compile(r"(?:\] \? |RIP: \w+:)(\w[\w.]*)\+0x(?!0/)")
# Every way into our code is through a function of one of these prefixes.
OURS = re.compile(r"\b(rmem|heap|carveout)_")


def run(*args, **kw):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, **kw).stdout.decode()


def trace(text, line):
    """The functions on the stack of a report"""
    part = text[text.index(line):]
    part = part[:part.find("---[ end trace")][:6000]
    return " " + " ".join(STACK.findall(part))


def try_tree(dtb, cmdline, log):
    """(what is wrong, the tree, remarks)"""
    said, = verdict.predict(TOOL, "--cmdline", cmdline, "--mem", MEM, dtb)
    with open(dtb, "rb") as f:
        tree = verdict.Tree(f.read(), said, cmdline)
    limit = 5 if any(when(tree) for _, when in FATAL) else LIMIT
    rc, console = verdict.boot(ROOT, INITRD, dtb, cmdline, log, limit, MEM)
    text = console.decode(errors="replace").replace("\r", "")
    bad, remarks, ended = [], [], False
    # What is a report, harness/reports.sh says; here it is which one it is.
    out = subprocess.run([ROOT + "/harness/reports.sh", log], stdout=subprocess.PIPE).stdout
    first = []
    for line in re.findall(r"^\d+:(.*)", out.decode(errors="replace").replace("\r", ""), re.M) + \
            re.findall(r".*RIP: .*", text):
        for name, what, when, end in TOLERATED:
            if re.search(what, line) and when(tree) and \
               not (what == CELLS and OURS.search(trace(text, line))):
                remarks.append(name)
                ended |= end
                break
        else:
            if "RIP: " not in line:
                first.append(line)
    ours = OURS.search(" ".join(STACK.findall(text)))
    if ended and not ours:
        # The report of the end that is to be expected
        first = [line for line in first if not re.search("Kernel panic|BUG|Oops", line)]
    if first:
        where = re.search(r"WARNING: (\S+?):|$", first[0])[1] or \
            re.search(r"RIP: \w+:(\w+)|$", text)[1] or first[0]
        bad.append(("report " + where, first[0]))
    if ended and rc not in (0, 124):
        return bad, tree, remarks
    if rc and "\nH done" not in text and not ours and \
       not re.search(r"^(<\d>)?rmem_heap", text, re.M):
        fatal = [what for what, when in FATAL if when(tree)]
        if fatal:
            return [], tree, remarks + fatal
    if rc == 124:
        bad.append(("timeout", "not done after %d seconds" % limit))
    elif rc:
        bad.append(("crash", "the machine ended with status %d" % rc))
    elif "\nH done" not in text:
        bad.append(("crash", "the program in it did not get to its end"))
    else:
        bad += verdict.compare(tree, console)
    return bad, tree, remarks


def shrink(dtb, cmdline, kind, base):
    """Leave out what can be, while a failure of this kind remains"""
    boots, log, small = 0, base + ".log", base + ".dtb"
    shutil.copy(dtb, small)

    def still(tree, line):
        nonlocal boots
        boots += 1
        return any(k == kind for k, _ in try_tree(tree, line, base + ".try.log")[0])

    changed = True
    while changed and boots < SHRINK_BOOTS:
        changed = False
        words = cmdline.split()
        for i in range(len(words)):
            # A parameter, or else one of the names in it
            prefix, _, names = words[i].partition("=")
            names = names.split(":")
            options = [words[:i] + words[i + 1:]]
            if len(names) > 1:
                options += [words[:i] + [prefix + "=" + ":".join(names[:j] + names[j + 1:])] +
                            words[i + 1:] for j in range(len(names))]
            option = next((o for o in options if boots < SHRINK_BOOTS and
                           still(small, " ".join(o))), None)
            if option is not None:
                cmdline, changed = " ".join(option), True
                break
        n = 0
        while n < int(run(GEN, "count", small)) and boots < SHRINK_BOOTS:
            run(GEN, "drop", str(n), small, base + ".try.dtb")
            if still(base + ".try.dtb", cmdline):
                os.replace(base + ".try.dtb", small)
                changed = True
            else:
                n += 1
    bad = try_tree(small, cmdline, log)[0]
    with open(base + ".cmdline", "w") as f:
        f.write(cmdline + "\n")
    with open(base + ".txt", "w") as f:
        f.write("".join("%s: %s\n" % b for b in bad))
    with open(base + ".dts", "w") as f:
        subprocess.call(["dtc", "-q", "-f", "-I", "dtb", "-O", "dts", small], stdout=f)
    for name in (".try.dtb", ".try.log"):
        if os.path.exists(base + name):
            os.remove(base + name)
    return bad, boots


def kept_trees():
    """NAME.dts or NAME.dtb, with NAME.cmdline"""
    folder = HERE + "/kept"
    for name in sorted(os.listdir(folder)):
        base, ext = os.path.splitext(name)
        if ext not in (".dts", ".dtb"):
            continue
        dtb = DIR + "/kept-" + base + ".dtb"
        if ext == ".dts":
            subprocess.check_call(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", dtb,
                                   folder + "/" + name])
        else:
            shutil.copy(folder + "/" + name, dtb)
        line = ""
        if os.path.exists(folder + "/" + base + ".cmdline"):
            with open(folder + "/" + base + ".cmdline") as f:
                line = f.read().strip()
        yield base, dtb, line


def key():
    """What a seed that has passed depends on"""
    files = [verdict.kernel(ROOT), GEN, TOOL, DIR + "/rmem-heap-regions", HERE + "/hostile.py",
             HERE + "/verdict.py", HERE + "/fdt.py"]
    return verdict.content(files)[:16]


def main():
    what = sys.argv[3:]
    kept, resume = True, False
    if what == ["fixed"]:
        seeds = range(1, 101)
    elif what == ["all"]:
        seeds, resume = range(1, 2001), True
    else:
        kept, seeds = False, []
        for w in what:
            first, _, last = w.partition("-")
            seeds += range(int(first), int(last or first) + 1)
    passed_file = "%s/passed.%s" % (DIR, key())
    passed = set()
    if resume and os.path.exists(passed_file):
        with open(passed_file) as f:
            passed = {int(line) for line in f}
    os.makedirs(DIR + "/failed", exist_ok=True)
    start = last = time.time()
    n = failed = skipped = nregions = nheaps = 0
    excused = depends = 0

    def one(name, base, dtb, cmdline):
        nonlocal n, failed, nregions, nheaps, excused, depends
        n += 1
        log = DIR + "/now.log"
        bad, tree, remarks = try_tree(dtb, cmdline, log)
        with open(log, "rb") as f:
            console = f.read()
        heaps = console.count(b"\nH heap ") - 1 if b"\nH heap " in console else 0
        nregions += len(tree.regions)
        nheaps += heaps
        depends += sum(r.depends for r in tree.regions)
        excused += bool(remarks)
        text = "%s: %d region%s, %d heap%s" % (
            name, len(tree.regions), "s"[len(tree.regions) == 1:], heaps, "s"[heaps == 1:])
        if remarks:
            text += " (tolerated: %s)" % ", ".join(sorted(set(remarks)))
        print("%s %d - %s" % ("not ok" if bad else "ok", n, text))
        if not bad:
            return True
        failed += 1
        for k, t in bad:
            print("# %s: %s" % (k, t))
        to = DIR + "/failed/" + base
        shutil.copy(log, to + ".whole.log")
        shutil.copy(dtb, to + ".whole.dtb")
        with open(to + ".whole.cmdline", "w") as f:
            f.write(cmdline + "\n")
        if os.environ.get("SHRINK", "1") != "0" and failed <= 10:
            small, boots = shrink(dtb, cmdline, bad[0][0], to)
            print("# shrunk with %d boots to %s.dtb (.dts, .cmdline, .log)" %
                  (boots, os.path.relpath(to, ROOT)))
            for k, t in small:
                print("# still: %s: %s" % (k, t))
        return False

    if kept:
        for base, dtb, cmdline in kept_trees():
            one("kept " + base, base, dtb, cmdline)
    dtb = DIR + "/now.dtb"
    with open(passed_file, "a") as record:
        for seed in seeds:
            if seed in passed:
                skipped += 1
                continue
            run(GEN, str(seed), dtb)
            with open(dtb + ".cmdline") as f:
                cmdline = f.read().strip()
            if one("seed %d" % seed, "seed-%d" % seed, dtb, cmdline) and resume:
                record.write("%d\n" % seed)
                record.flush()
            if time.time() - last > 10:
                last = time.time()
                print("# %d trees, %d failed, %d s" % (n, failed, last - start))
            sys.stdout.flush()
    if skipped:
        n += 1
        print("ok %d - %d seeds have passed before, with this kernel" % (n, skipped))
    # An excuse for everything would be a test of nothing.
    n += 1
    few = excused <= max(3, (n + 4) // 5)
    failed += not few
    print("%s %d - few trees make others report: %d" % ("ok" if few else "not ok", n, excused))
    n += 1
    few = depends <= nregions // 10 + 10
    failed += not few
    print("%s %d - few predictions depend on more than the tree: %d of %d" %
          ("ok" if few else "not ok", n, depends, nregions))
    print("1..%d" % n)
    print("# %d trees with %d regions and %d heaps, %d failed, %.2f s a tree" %
          (n, nregions, nheaps, failed, (time.time() - start) / max(n, 1)))
    return failed != 0


sys.exit(main())
