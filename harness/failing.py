#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: failing.py DIR [POINTS]    allocations that fail while the kernel boots. Prints TAP.

Called by failing.sh: DIR has fail.cpio, fuzz.dtb and the folder boot, for the consoles. For
each initcall that makes heaps or uses them, allocations in it, about POINTS (30 if left out;
all, if it is 0), fail in a boot of their own each, by failslab= and fail_page_alloc= on the
command line. Then the kernel must boot, the region that was concerned must say that it failed
or work all the same, and all others must work.
"""
import bisect
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INITS = {"rmem_consumer_driver_init", "sample_driver_init"}
CALLS = {"heap_scan_regions", "heap_add_devices", "heap_register_all", "carveout_setup"} | INITS
# Allocations of every kind are counted, and can fail.
PARAMETERS = ("failslab.ignore_gfp_wait=N fail_page_alloc.ignore_gfp_wait=N "
              "fail_page_alloc.ignore_gfp_highmem=N fail_page_alloc.min_order=0 "
              "rmem_heap.export=carveout@15000000 boot=1 kmemleak=off initcall_debug loglevel=8")
# DMA debugging ends at its first failure, which says nothing about the heaps.
NOT_OURS = "add_dma_entry"
# What the driver core says; drivers themselves say nothing of a lack of memory.
DRIVER_FAILED = re.compile(r"with driver rmem-heap-sample (returned -?12 |failed with error -12)")
# What these allocate is for more than one region.
SHARED = {"rmem_heap_find_users", "rmem_heap_validate", "carveout_setup"}
MOST = 1 << 16      # more allocations than a boot has until then


def functions(files):
    """The functions of the kernel or of object files, by their addresses"""
    out = subprocess.run(f"nm -n {files}", shell=True, cwd=f"{HERE}/../build/um-debug",
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return [(int(at, 16), name) for at, name in re.findall(r"^(\w+) [tT] (\S+)$", out, re.M)]


KERNEL = functions("linux")
OURS = {name for _, name in functions("kernel/dma/rmem_heap*.o samples/rmem-heap/*_sample.o "
                                      "lib/kunit-tests/rmem_heap_consumer.o")}


def named(match):
    """The kernel itself has no names for what is in .init.text."""
    return match[1] + KERNEL[bisect.bisect(KERNEL, (int(match[2], 16) + 1,)) - 1][1]


class Boot:
    """A boot in which allocation `number` fails (none, if it is 0), and what its console says"""

    def __init__(self, folder, what, number):
        env = dict(os.environ, MEM="512M", TIMEOUT="20", DTB=f"{folder}/fuzz.dtb",
                   INITRD=f"{folder}/fail.cpio",
                   APPEND=f"{PARAMETERS} {what}={number or 1},100,0,{min(number, 1)}")
        out = subprocess.run([f"{HERE}/boot.sh", "debug"], env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
        # The kernel announces that kmemleak=off was obeyed, which reports.sh takes for a report.
        out = out.decode(errors="replace").replace("\r", "").replace(
            "kmemleak: Kernel memory leak detector disabled\n", "")
        self.text = re.sub(r"(calling +|>\] (?:\? )?)0x([0-9a-f]{8})\b", named, out)
        self.path = f"{folder}/boot/{what}-{number}"
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(self.text)
        self.heaps = dict(re.findall(r"^heap: (\S+) (.*)$", self.text, re.M))
        self.done = bool(re.search(r"^heaps: done", self.text, re.M))
        before, fault, rest = self.text.partition("FAULT_INJECTION: forcing a failure")
        self.calls = re.findall(r"^(?:<\d>)?calling +([^\s+]+)", before, re.M)
        # Where in the order of the initcalls; none has begun: 0
        self.at = len(self.calls) if fault else None
        trace = re.search(r"(^.*\[<[0-9a-f]+>\].*\n)+", rest, re.M)
        self.stack = re.findall(r">\] (?:\? )?([^\s+]+)", trace[0]) if trace else []
        self.ours = [name for name in self.stack if name in OURS]
        # A driver that could not even be registered: that is before all that is ours.
        if set(self.ours) <= INITS or NOT_OURS in self.stack:
            self.ours = []

    def problems(self, expected):
        """What is wrong with a boot that should have the heaps `expected`"""
        if not self.done:
            yield "it does not come up"
        driver_failed = DRIVER_FAILED.search(self.text)
        for name, state in self.heaps.items():
            # That there is no memory for a device's node is ignored by device_add().
            if state == "No such file or directory" and "devtmpfs_create_node" in self.stack:
                continue
            # A heap is there, but not in use, if its driver failed after making it.
            if state != "works" and not (state == "No such device" and driver_failed):
                yield f"{name}: {state}"
        missing = [name for name in expected if name not in self.heaps]
        if len(missing) > 1 and self.ours[0] not in SHARED:
            yield f"no heaps {' '.join(missing)}"
        for name in missing:
            if not driver_failed and not re.search(
                    rf"{re.escape(name)}.*(error -12|no memory|does not show)", self.text):
                yield f"{name} is not there, and nobody says why"
        reports = subprocess.run([f"{HERE}/reports.sh", self.path], stdout=subprocess.PIPE,
                                 check=False, text=True)
        if reports.returncode:
            yield reports.stdout.splitlines()[0]


class Boots(dict):
    """The boots with a failure of one kind, by its number"""

    def __init__(self, folder, what):
        super().__init__()
        self.folder, self.what = folder, what

    def __missing__(self, number):
        return self.setdefault(number, Boot(self.folder, self.what, number))

    def late(self, number, at):
        """Whether that failure comes in that initcall or in a later one"""
        # One that is not announced (__GFP_NOWARN) looks like one that is too late: the next tells.
        for n in range(number, number + 4):
            if self[n].at is not None or not self[n].done:
                break
        return self[n].at is None or self[n].at >= at

    def first_in(self, at):
        """The smallest number whose failure is that late"""
        return bisect.bisect_left(range(MOST), True, key=lambda number: self.late(number, at))


def result(name, problems):
    """A line of TAP, which failing.sh numbers"""
    for problem in problems[:20]:
        print(f"# {problem}")
    print(f"{'not ok' if problems else 'ok'} 0 - boot: {name}", flush=True)


def sweep(boots, points):
    """Lets allocations of all calls fail; returns how many of them were ours"""
    clean, total = boots[0], 0
    missing = CALLS - set(clean.calls)
    result(f"{boots.what}: {len(clean.heaps)} heaps work if nothing fails",
           [*clean.problems([]), *(f"{call}() is not called" for call in sorted(missing))])
    for at, call in enumerate(clean.calls if not missing else [], 1):
        if call not in CALLS:
            continue
        start, end = boots.first_in(at), boots.first_in(at + 1)
        print(f"# {boots.what}: {call} has {end - start}, from {start} on", flush=True)
        numbers = range(start, end, max(1, (end - start) // points) if points else 1)
        ours = [boots[number] for number in numbers if boots[number].ours]
        hit = collections.Counter(boot.ours[0] for boot in ours)
        where = ", ".join(f"{name} {n}" for name, n in sorted(hit.items()))
        lost = sum(len(boot.heaps) < len(clean.heaps) for boot in ours)
        if numbers:
            result(f"{boots.what} in {call}: {len(ours)} points of ours ({where}), {lost} boots "
                   f"with a heap less, {len(numbers) - len(ours)} failures elsewhere",
                   [f"{boot.path}: {problem}: {' < '.join(boot.ours)}"
                    for boot in ours for problem in boot.problems(clean.heaps)])
        total += len(ours)
    return total


def main(folder, points="30"):
    folder = os.path.abspath(folder)
    total = sum(sweep(Boots(folder, what), int(points)) for what in ("failslab", "fail_page_alloc"))
    result(f"{total} failures in functions of ours", [] if total >= 50 else ["fewer than 50"])


if __name__ == "__main__":
    main(*sys.argv[1:])
