#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: failing.py DIR [POINTS]    allocations that fail while the kernel boots. Prints TAP.

Called by failing.sh: DIR has fail.cpio and fuzz.dtb, and gets everything else. For each
initcall that makes heaps or uses them, allocations in it, about POINTS (30 if left out; all,
if it is 0), fail in a boot of their own each. Then the kernel must boot, the region that was concerned
must say that it failed or work all the same, and all others must work.

The parameters for it, failslab= and fail_page_alloc=, are no help: on 7.3.4 they crash the
kernel (setup_fault_attr() ends in kmalloc() before there is any memory), and only
allocations that may not wait would fail until debugfs says otherwise. So this is done with
a copy of the kernel in which these settings begin with other values: allocation number N,
of any kind, fails, once.
"""
import bisect
import glob
import os
import re
import shutil
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
KERNEL = os.path.join(ROOT, "build/um-debug/linux")
OBJECTS = [os.path.join(ROOT, "build/um-debug", name) for name in
           ("kernel/dma/rmem_heap*.o", "lib/kunit-tests/rmem_heap_consumer.o",
            "samples/rmem-heap/rmem_heap_sample.o")]
CALLS = ["heap_scan_regions", "heap_add_devices", "heap_register_all", "carveout_debugfs",
         "rmem_consumer_driver_init", "sample_driver_init"]
INITS = {"rmem_consumer_driver_init", "sample_driver_init"}
# DMA debugging ends at its first failure, which says nothing about the heaps.
NOT_OURS = "add_dma_entry"
FAULT = "FAULT_INJECTION: forcing a failure"
# What the driver core says; drivers themselves say nothing of a lack of memory.
DRIVER_FAILED = re.compile(r"with driver rmem-heap-sample (returned -?12 |failed with error -12)")
MOST = 1 << 16      # more allocations than a boot has until then


def functions_of(objects):
    """The names of the functions that the objects define."""
    files = [name for pattern in objects for name in glob.glob(pattern)]
    out = subprocess.run(["nm", "--defined-only", *files], stdout=subprocess.PIPE, check=True,
                         text=True).stdout
    return set(re.findall(r" [tT] (\S+)$", out, re.M))


class Kernel:
    """A copy of the debug kernel whose settings can be changed."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        self.path = os.path.join(self.root, "build/um-debug/linux")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        # boot.sh looks for the kernel beside itself.
        link = os.path.join(self.root, "harness")
        if not os.path.islink(link):
            os.symlink(HERE, link)
        shutil.copy(KERNEL, self.path)
        with open(self.path, "rb") as f:
            self.read(f.read())

    def read(self, data):
        (shoff,) = struct.unpack_from("<Q", data, 0x28)
        size, number = struct.unpack_from("<HH", data, 0x3a)
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * size)
                    for i in range(number)]
        found, functions = {}, {}
        for s in sections:
            if s[1] != 2:       # SHT_SYMTAB
                continue
            strings = sections[s[6]][4]
            for at in range(s[4], s[4] + s[5], 24):
                name, info, _, shndx, value, size = struct.unpack_from("<IBBHQQ", data, at)
                name = data[strings + name:data.index(0, strings + name)].decode()
                if info & 15 == 2:
                    functions[value] = name
                if name in ("failslab", "fail_page_alloc") and size:
                    section = sections[shndx]
                    found[name] = (section[4] + value - section[3], size)
        self.ours = functions_of(OBJECTS)
        self.addresses = sorted(functions)
        self.functions = functions
        # struct fault_attr: unsigned long probability = 0, interval = 1; atomic_t
        # times = 1, space = 0; unsigned long verbose = 2; ... After it
        # failslab: bool ignore_gfp_reclaim = true, cache_filter = false
        # fail_page_alloc: bool ignore_gfp_highmem = true, ignore_gfp_reclaim = true;
        #	u32 min_order = 1
        after = {"failslab": b"\1\0\0\0\0\0\0\0", "fail_page_alloc": b"\1\1\0\0\1\0\0\0"}
        offsets = None
        for name, value in after.items():
            start, size = found[name]
            if struct.unpack_from("<QQiiQ", data, start) != (0, 1, 1, 0, 2):
                sys.exit(f"failing: {name} does not begin as it did")
            here = {i for i in range(40, size, 8)
                    if data[start + i:start + i + 8] == value}
            offsets = here if offsets is None else offsets & here
        if len(offsets) != 1:
            sys.exit("failing: failslab and fail_page_alloc do not look as they did")
        offset = offsets.pop()
        self.places = {name: (found[name][0], found[name][0] + offset) for name in after}

    def fail(self, what, number):
        with open(self.path, "r+b") as f:
            for name, (start, settings) in self.places.items():
                fails = name == what and number
                f.seek(start)
                f.write(struct.pack("<QQ", 100 if fails else 0, number if fails else 1))
                f.seek(settings)
                f.write(bytes(8))

    def name(self, address):
        i = bisect.bisect_right(self.addresses, address) - 1
        return self.functions[self.addresses[i]] if i >= 0 else "?"


class Boot:
    """What a boot's console says."""

    def __init__(self, text, kernel, path):
        self.text = text
        self.path = path
        self.heaps = dict(re.findall(r"^heap: (\S+) (.*)$", text, re.M))
        self.done = bool(re.search(r"^heaps: done", text, re.M))
        self.calls = [kernel.name(int(name, 16)) if name.startswith("0x") else
                      name.split("+")[0]
                      for name in re.findall(r"^(?:<\d>)?calling +(\S+) ", text, re.M)]
        before, fault, rest = text.partition(FAULT)
        # Where in the order of the initcalls; none has begun: 0
        self.at = len(re.findall(r"^(?:<\d>)?calling +\S+ ", before, re.M)) if fault else None
        self.call = self.calls[self.at - 1] if self.at else None
        self.stack = []
        for line in rest.splitlines():
            match = re.search(r"\[<([0-9a-f]+)>\] \?? ?(\S+)", line)
            if match:
                name = match[2].split("+")[0]
                if name.startswith("0x"):
                    name = kernel.name(int(match[1], 16))
                self.stack.append(name)
            elif self.stack:
                break
        self.ours = [name for name in self.stack if name in kernel.ours]
        # A driver that could not even be registered: that is before all that is ours.
        if set(self.ours) <= INITS or NOT_OURS in self.stack:
            self.ours = []


class Sweep:
    def __init__(self, folder, points):
        self.folder = folder
        self.points = points
        self.kernel = Kernel(folder)
        self.logs = os.path.join(folder, "boot")
        shutil.rmtree(self.logs, ignore_errors=True)
        os.makedirs(self.logs)
        self.boots = {}
        self.tests = 0

    def boot(self, what, number):
        if (what, number) in self.boots:
            return self.boots[what, number]
        self.kernel.fail(what, number)
        append = "rmem_heap.export=carveout@15000000 boot=1 kmemleak=off initcall_debug loglevel=8"
        env = dict(os.environ, MEM="512M", TIMEOUT="20", APPEND=append,
                   DTB=os.path.join(self.folder, "fuzz.dtb"),
                   INITRD=os.path.join(self.folder, "fail.cpio"))
        out = subprocess.run([os.path.join(self.kernel.root, "harness/boot.sh"), "debug"],
                             env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False).stdout
        # The kernel announces that kmemleak=off was obeyed, which reports.sh takes for a report.
        text = out.decode(errors="replace").replace("\r", "").replace(
            "kmemleak: Kernel memory leak detector disabled\n", "")
        path = os.path.join(self.logs, f"{what}-{number}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self.boots[what, number] = Boot(text, self.kernel, path)
        return self.boots[what, number]

    def result(self, ok, name):
        self.tests += 1
        print(f"{'' if ok else 'not '}ok {self.tests} - {name}", flush=True)

    def first_in(self, what, at, low):
        """The smallest number whose failure comes in that initcall or a later one."""
        known = [(n, b.at) for (w, n), b in self.boots.items() if w == what and n]
        low = max([low] + [n + 1 for n, k in known if k is not None and k < at])
        high = min([MOST] + [n for n, k in known if k is not None and k >= at])
        while low < high:
            middle = (low + high) // 2
            boot = self.boot(what, middle)
            # One that is not announced (__GFP_NOWARN) looks like one that is too late:
            # the next one tells.
            for more in range(1, 4):
                if boot.at is not None or not boot.done:
                    break
                boot = self.boot(what, middle + more)
            if boot.at is None or boot.at >= at:
                high = middle
            else:
                low = middle + 1
        return low

    def problems(self, boot):
        """What is wrong with a boot in which an allocation of ours failed."""
        if not boot.done:
            yield "it does not come up"
        for name, state in boot.heaps.items():
            # That there is no memory for a device's node is ignored by device_add().
            if state == "No such file or directory" and "devtmpfs_create_node" in boot.stack:
                continue
            # A heap is there, but not in use, if its driver failed after making it.
            if state == "No such device" and DRIVER_FAILED.search(boot.text):
                continue
            if state != "works":
                yield f"{name}: {state}"
        missing = [name for name in self.clean if name not in boot.heaps]
        # All regions are checked in one table.
        if len(missing) > 1 and "no memory to check the regions" not in boot.text:
            yield f"no heaps {' '.join(missing)}"
        for name in missing:
            if not DRIVER_FAILED.search(boot.text) and not re.search(
                    rf"{re.escape(name)}.*(error -12|no memory|does not show)", boot.text):
                yield f"{name} is not there, and nobody says why"
        reports = subprocess.run([os.path.join(HERE, "reports.sh"), boot.path],
                                 stdout=subprocess.PIPE, check=False)
        if reports.returncode:
            yield reports.stdout.decode(errors="replace").splitlines()[0]

    def window(self, what, call, start, end):
        hit = {}
        step = max(1, (end - start) // self.points) if self.points else 1
        points = others = lost = 0
        bad = []
        for number in range(start, end, step):
            boot = self.boot(what, number)
            if not boot.ours:
                others += 1
                continue
            points += 1
            for name in boot.ours[:1]:
                hit[name] = hit.get(name, 0) + 1
            lost += len(boot.heaps) < len(self.clean)
            for problem in self.problems(boot):
                bad.append(f"{what} {number}: {problem}: {' < '.join(boot.ours)}")
            if points % 10 == 0:
                print(f"# {call}: {number - start} of {end - start}", flush=True)
        for line in bad[:20]:
            print(f"# {line}")
        where = ", ".join(f"{name} {n}" for name, n in sorted(hit.items()))
        self.result(not bad, f"boot: {what} in {call}: {points} points of ours ({where}), "
                    f"{lost} boots with a heap less, {others} failures elsewhere")
        return points

    def run(self):
        clean = self.boot("failslab", 0)
        self.clean = clean.heaps
        self.result(clean.done and clean.heaps and
                    set(clean.heaps.values()) == {"works"} and not list(self.problems(clean)),
                    f"boot: {len(clean.heaps)} heaps work if nothing fails")
        missing = [call for call in CALLS if call not in clean.calls]
        self.result(not missing, f"boot: all is called {' '.join(missing)}".rstrip())
        if missing:
            return
        points = 0
        for what in ("failslab", "fail_page_alloc"):
            low = 1
            for call in sorted(CALLS, key=clean.calls.index):
                at = clean.calls.index(call) + 1
                low = self.first_in(what, at, low)
                end = self.first_in(what, at + 1, low)
                print(f"# {what}: {call} has {end - low}, from {low} on", flush=True)
                if low < end:
                    points += self.window(what, call, low, end)
                low = end
        self.result(points >= 50, f"boot: {points} failures in functions of ours")


if __name__ == "__main__":
    Sweep(os.path.abspath(sys.argv[1]), int((sys.argv + ["30"])[2])).run()
