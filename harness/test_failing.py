# SPDX-License-Identifier: GPL-2.0
"""Allocations that fail while the kernel boots

For each initcall that makes heaps or uses them, allocations in it, about POINTS (of the environment;
30 if left out, all if it is 0), fail in a boot of their own each, by failslab= on the command line.
Then the kernel must boot, the region that was concerned must say that it failed or work all the same,
and all others must work.
"""
import bisect
import collections
import os
import re
import subprocess

import pytest

import vm
from test_machines import program, tree

INITS = {"rmem_consumer_driver_init", "sample_driver_init"}
CALLS = {"heap_scan_regions", "heap_add_devices", "heap_register_all", "carveout_setup"} | INITS
# Allocations that can sleep are counted, too, and can fail.
PARAMETERS = ("failslab.ignore_gfp_wait=N rmem_heap.export=carveout@15000000 boot=1 kmemleak=off initcall_debug loglevel=8")
# DMA debugging ends at its first failure, which says nothing about the heaps.
NOT_OURS = "add_dma_entry"
# What the driver core says; drivers themselves say nothing of a lack of memory.
DRIVER_FAILED = re.compile(r"with driver rmem-heap-sample (returned -?12 |failed with error -12)")
# What these allocate is for more than one region.
SHARED = {"rmem_heap_find_users", "rmem_heap_validate", "carveout_setup"}
MOST = 1 << 16      # more allocations than a boot has until then


def functions(files):
    """The functions of the kernel or of object files, by their addresses"""
    out = subprocess.run(f"nm -n {files}", shell=True, cwd=vm.BUILD + "/um-debug",
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return [(int(at, 16), name) for at, name in re.findall(r"^(\w+) [tT] (\S+)$", out, re.M)]


class Symbols:
    def __init__(self):
        self.kernel = functions("linux")
        self.ours = {name for _, name in functions(
            "kernel/dma/rmem_heap*.o samples/rmem-heap/*_sample.o lib/kunit-tests/rmem_heap_consumer.o")}

    def named(self, match):
        """The kernel itself has no names for what is in .init.text."""
        return match[1] + self.kernel[bisect.bisect(self.kernel, (int(match[2], 16) + 1,)) - 1][1]


class Boot:
    """A boot in which allocation `number` fails (none, if it is 0), and what its console says"""

    def __init__(self, symbols, machine, number):
        machine.append = f"{PARAMETERS} failslab={number or 1},100,0,{min(number, 1)}"
        self.boot = machine.boot(f"{vm.folder('test/failing')}/{number}")
        # The kernel announces that kmemleak=off was obeyed, which is no report.
        self.boot.text = self.boot.text.replace("kmemleak: Kernel memory leak detector disabled\n", "")
        self.text = re.sub(r"(calling +|>\] (?:\? )?)0x([0-9a-f]{8})\b", symbols.named, self.boot.text)
        self.heaps = dict(re.findall(r"^heap: (\S+) (.*)$", self.text, re.M))
        self.done = bool(re.search(r"^heaps: done", self.text, re.M))
        before, fault, rest = self.text.partition("FAULT_INJECTION: forcing a failure")
        self.calls = re.findall(r"^(?:<\d>)?calling +([^\s+]+)", before, re.M)
        # Where in the order of the initcalls; none has begun: 0
        self.at = len(self.calls) if fault else None
        trace = re.search(r"(^.*\[<[0-9a-f]+>\].*\n)+", rest, re.M)
        self.stack = re.findall(r">\] (?:\? )?([^\s+]+)", trace[0]) if trace else []
        self.ours = [name for name in self.stack if name in symbols.ours]
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
        yield from self.boot.reports()[:1]


class Boots(dict):
    """The boots by the number of the allocation that fails"""

    def __init__(self):
        super().__init__()
        self.symbols = Symbols()
        self.machine = vm.Machine("um-debug", initrd=program("fail"), dtb=tree("fuzz"), mem="512M", timeout=20)

    def __missing__(self, number):
        return self.setdefault(number, Boot(self.symbols, self.machine, number))

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


@pytest.mark.slow
def test_failing_boot(kernel, cases):
    kernel("um-debug")
    points, boots, total = int(os.environ.get("POINTS", 30)), Boots(), 0
    clean = boots[0]
    missing = CALLS - set(clean.calls)
    problems = [*clean.problems([]), *(f"{call}() is not called" for call in sorted(missing))]
    if not cases(f"{len(clean.heaps)} heaps work if nothing fails", not problems, "\n".join(problems)):
        return
    for at, call in enumerate(clean.calls, 1):
        if call not in CALLS:
            continue
        start, end = boots.first_in(at), boots.first_in(at + 1)
        numbers = range(start, end, max(1, (end - start) // points) if points else 1)
        ours = [boots[number] for number in numbers if boots[number].ours]
        hit = collections.Counter(boot.ours[0] for boot in ours)
        where = ", ".join(f"{name} {n}" for name, n in sorted(hit.items()))
        lost = sum(len(boot.heaps) < len(clean.heaps) for boot in ours)
        problems = [f"{boot.boot.log}: {problem}: {' < '.join(boot.ours)}"
                    for boot in ours for problem in boot.problems(clean.heaps)]
        cases(f"{call}: {end - start} allocations, {len(ours)} points of ours ({where}), {lost} boots with a "
              f"heap less, {len(numbers) - len(ours)} failures elsewhere", not problems, "\n".join(problems[:20]))
        total += len(ours)
    cases(f"{total} failures in functions of ours, of at least 50", total >= 50)
