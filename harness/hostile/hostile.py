#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: hostile.py [fixed | all | BLOCK... | FIRST-LAST...]    boot trees that nobody would write

Trees are drawn by hypothesis, valid, odd or broken, in blocks of 100, and booted. The machine must not
crash, hang or complain; each region must be what `rmem-heap check` predicts; every heap must work, and
every refusal have a reason. `fixed` (the default) is block 1 and the trees in hostile/kept, which have
failed once; `all` is 20 blocks, and goes on where it was interrupted.

The first failure ends its block: hypothesis shrinks that tree for as long as it fails in the same way,
into build/hostile/failed; SHRINK=0 leaves that out. Prints TAP.
"""
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import time

import verdict
from verdict import vm

vm.deps("python3-hypothesis")
from hypothesis import Phase, Verbosity, find, reject, settings     # noqa: E402
from hypothesis.errors import NoSuchExample                         # noqa: E402

import trees                                                        # noqa: E402

DIR = vm.folder("hostile")
HERE = vm.HARNESS + "/hostile"
INITRD, TOOL = DIR + "/regions.cpio", DIR + "/rmem-heap"
DTB, LOG = DIR + "/now.dtb", DIR + "/now.log"
MEM = "512M"
SHRINK_BOOTS = 400

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


def trace(text, line):
    """The functions on the stack of a report"""
    part = text[text.index(line):]
    part = part[:part.find("---[ end trace")][:6000]
    return " " + " ".join(STACK.findall(part))


def try_tree(blob, cmdline):
    """(what is wrong, the tree, remarks); the console is in LOG"""
    with open(DTB, "wb") as f:
        f.write(blob)
    try:
        said, = verdict.predict(TOOL, "--cmdline", cmdline, "--mem", MEM, DTB)
    except RuntimeError as error:
        return [("checker", str(error))], verdict.Tree(blob, {"regions": []}, cmdline), []
    tree = verdict.Tree(blob, said, cmdline)
    fatal = [what for what, when in FATAL if when(tree)]
    said, console = verdict.boot(INITRD, DTB, cmdline, LOG, 5 if fatal else 20, MEM)
    rc, text = said.status, said.text
    bad, remarks, ended = [], [], False
    # What is a report, vm.py says; here it is which one it is.
    first = []
    for line in [r.split("\n")[0] for r in said.reports()] + re.findall(r".*RIP: .*", text):
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
    done = "\nH done" in text
    if fatal and not ours and (
            rc and not done and not re.search(r"^(<\d>)?rmem_heap", text, re.M) or
            # The blob was overwritten, too, before the kernel made nodes of it.
            re.search("^OF: fdt: .*: CRC check failed", text, re.M)):
        return [], tree, remarks + fatal
    if rc or not done:
        bad.append(("timeout" if rc == 124 else "crash", "the machine ended with status %d%s" %
                    (rc, "" if done else ", and the program in it did not get to its end")))
    else:
        bad += verdict.compare(tree, console)
    return bad, tree, remarks


class Run:
    def __init__(self):
        self.n = self.failed = self.regions = self.heaps = self.excused = self.depends = 0
        self.start = self.last = time.time()

    def line(self, good, text):
        self.n += 1
        self.failed += not good
        print("%s %d - %s" % ("ok" if good else "not ok", self.n, text))
        if time.time() - self.last > 10:
            self.last = time.time()
            print("# %d lines, %d failed, %d s" % (self.n, self.failed, self.last - self.start))

    def one(self, name, blob, cmdline):
        """What is wrong"""
        bad, tree, remarks = try_tree(blob, cmdline)
        with open(LOG, "rb") as f:
            heaps = max(f.read().count(b"\nH heap ") - 1, 0)
        self.regions += len(tree.regions)
        self.heaps += heaps
        self.depends += sum(r.depends for r in tree.regions)
        self.excused += bool(remarks)
        self.line(not bad, "%s: %d region%s, %d heap%s%s" % (
            name, len(tree.regions), "s"[len(tree.regions) == 1:], heaps, "s"[heaps == 1:],
            " (tolerated: %s)" % ", ".join(sorted(set(remarks))) if remarks else ""))
        for b in bad:
            print("# %s: %s" % b)
        return bad

    def block(self, number):
        """Whether 100 trees passed"""
        drawn, tried, kind, boots, smallest = set(), {}, None, 0, 0

        def fails(example):
            nonlocal kind, boots, smallest
            tree, size = example[1:], len(example[1]) + len(example[2])
            if kind is None:
                # hypothesis also tries variants of each tree, which keep its number. Other trees
                # show more.
                if example[0] in drawn or tree in drawn:
                    reject()
                drawn.update((example[0], tree))
                bad = self.one("block %d, %d" % (number, len(drawn) // 2), *tree)
                if bad:
                    kind, tried[tree], smallest = bad[0][0], True, size
            elif tree not in tried and boots < SHRINK_BOOTS and size <= smallest:
                boots += 1
                tried[tree] = any(k == kind for k, _ in try_tree(*tree)[0])
                smallest = size if tried[tree] else smallest
            return tried.get(tree, False)

        try:
            shrinks = os.environ.get("SHRINK", "1") != "0" and self.failed < 10
            _, *small = find(trees.trees(), fails, random=random.Random(number), settings=settings(
                max_examples=100, database=None, deadline=None, verbosity=Verbosity.quiet,
                phases=[Phase.generate] + [Phase.shrink] * shrinks))
        except NoSuchExample:
            return True
        print("# shrunk with %d boots to %s" % (boots, save("block-%d" % number, *small)))
        return False


def save(name, blob, cmdline):
    """Boots a tree that fails once more, and keeps what shows it in build/hostile/failed"""
    to = DIR + "/failed/" + name
    for b in try_tree(blob, cmdline)[0]:
        print("# still: %s: %s" % b)
    for path, ext in (LOG, ".log"), (DTB, ".dtb"):
        shutil.copy(path, to + ext)
    with open(to + ".cmdline", "w") as f:
        f.write(cmdline + "\n")
    subprocess.call(["dtc", "-q", "-f", "-I", "dtb", "-O", "dts", "-o", to + ".dts", DTB])
    return os.path.relpath(to, vm.ROOT) + ".dtb (.dts, .cmdline, .log)"


def kept_trees():
    """NAME.dts or NAME.dtb, with NAME.cmdline"""
    for path in sorted(glob.glob(HERE + "/kept/*.dt[sb]")):
        base, ext = os.path.splitext(path)
        if ext == ".dts":
            blob = subprocess.check_output(["dtc", "-q", "-f", "-O", "dtb", path])
        else:
            with open(path, "rb") as f:
                blob = f.read()
        line = ""
        if os.path.exists(base + ".cmdline"):
            with open(base + ".cmdline") as f:
                line = f.read().strip()
        yield os.path.basename(base), blob, line


def main(*args):
    what = args or ("fixed",)
    if not all(re.fullmatch(r"fixed|all|\d+(-\d+)?", w) for w in what):
        print(__doc__, file=sys.stderr)
        return 2
    vm.deps("gcc", "libc6-dev", "libfdt-dev", "make", "device-tree-compiler")
    blocks = {"fixed": ["1"], "all": ["1-20"]}.get(what[0], what)
    blocks = [n for first, _, last in (w.partition("-") for w in blocks)
              for n in range(int(first), int(last or first) + 1)]
    # What a block that has passed depends on
    files = verdict.prepare(DIR)[0] + sorted(glob.glob(HERE + "/*.py"))
    record = "%s/passed.%s" % (DIR, verdict.content(files)[:16])
    os.makedirs(DIR + "/failed", exist_ok=True)
    with open(record, "a+") as f:
        f.seek(0)
        passed = f.read().split() if what == ("all",) else []
    run = Run()
    if what[0] in ("fixed", "all"):
        for name, blob, cmdline in kept_trees():
            if run.one("kept " + name, blob, cmdline):
                save(name, blob, cmdline)
    for number in blocks:
        if str(number) in passed:
            run.line(True, "block %d has passed before, with this kernel" % number)
        elif run.block(number):
            with open(record, "a") as f:
                f.write("%d\n" % number)
    # An excuse for everything would be a test of nothing.
    run.line(run.excused <= max(3, (run.n + 5) // 5),
             "few trees make others report: %d" % run.excused)
    run.line(run.depends <= run.regions // 10 + 10,
             "few predictions depend on more than the tree: %d of %d" % (run.depends, run.regions))
    print("1..%d" % run.n)
    print("# %d trees with %d regions and %d heaps, %d failed, %.2f s a tree" %
          (run.n - 2, run.regions, run.heaps, run.failed,
           (time.time() - run.start) / max(run.n, 1)))
    return run.failed != 0


vm.call(main, sys.argv[1:])
