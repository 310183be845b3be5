#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: report.py DIR          from the consoles in DIR: results.csv, plot data, targets
          report.py DIR plots       the plot data alone, from results.csv in DIR
          report.py DIR doc ROOT    copy those into Documentation below ROOT, and the five rows
                                    that README.md has into it

A result is a line "bench,RUN,LABEL,BYTES,THREADS,MEDIAN,P10,P90,UNIT" of a console. Where a
console has several of a kind, from several boots, the median of them is the result. Rows are
left out whose consoles are not there.
"""
import csv
import math
import os
import re
import shutil
import statistics
import sys

KIB, MIB = 1024, 1024 * 1024
MACHINES = ["um", "um-carveout", "um-peers", "um-preempt", "um-regions", "um-map",
            "um-threads", "um-several", "arm64", "arm64-metadata", "arm64-threads",
            "arm64-several"]
OURS = ["carveout", "cma", "coherent", "restricted"]


class Results:
    """Medians by machine, run, label, bytes and threads"""

    def __init__(self, folder):
        self.rows, found = [], {}
        for machine in filter(lambda m: os.path.exists(f"{folder}/{m}.log"), MACHINES):
            for line in open(f"{folder}/{machine}.log", errors="replace"):
                part = line.rstrip("\r\n").split(",")
                if part[0] != "bench" or len(part) != 9:
                    continue
                run, label, unit = part[1], part[2], part[8]
                size, threads, median, p10, p90 = (int(float(p)) for p in part[3:8])
                if machine.startswith("arm64") and unit == "ns" and "threads" not in machine:
                    unit = "instructions"
                self.rows.append([machine, run, label, size, threads, median, p10, p90, unit])
                found.setdefault((machine, run, label, size, threads), []).append(median)
        self.values = {key: statistics.median(medians) for key, medians in found.items()}
        self.copied = self.read(folder, "um-import", r"copied,([\w-]+),(\d+),(\d+),(\d+)")
        text = open(f"{folder}/um-import.log", errors="replace").read()
        self.syncs = [len(re.findall(rf"^ *{ok} \d+ .* by /?.*$|^ *{ok} \d+ rmem_test_(?:no_)?sync", text, re.M))
                      for ok in ("ok", "not ok")]

    @staticmethod
    def read(folder, name, regex):
        text = open(f"{folder}/{name}.log", errors="replace").read()
        return {m[0]: [int(n) for n in m[1:]] for m in re.findall(regex, text)}

    def get(self, machine, run, label, size, threads=1):
        return self.values.get((machine, run, label, size, threads), math.nan)

    def ratio(self, machine, run, a, b, size, size_b=None):
        return (self.get(machine, run, a, size) /
                max(self.get(machine, run, b, size_b or size), 1))


class Targets:
    """The table: what, where, measured, wanted, verdict; and the rows of it that README has"""

    def __init__(self):
        self.rows, self.readme, self.missed = [], [], 0

    def add(self, what, where, measured, wanted, met, why="", readme=False):
        if "nan" in measured:
            return
        verdict = "" if met is None else "met" if met else "missed"
        self.missed += met is False
        if met is False and why:
            verdict += f": {why}"
        self.rows.append([what, where, measured, wanted, verdict])
        if readme:
            self.readme.append(self.rows[-1])

    def most(self, what, where, values, limit, unit="", digits=2, **kwargs):
        """A row of values none of which may be above the limit"""
        self.add(what, where, ", ".join(f"{v:.{digits}f}" for v in values) + unit,
                 f"<= {limit}{unit}", max(values) <= limit, **kwargs)


def human(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def judge_carveout(r, t, um):
    """The allocator of carveouts beside its peers, from the suites in the kernel"""
    def get(run, label, size, machine="um-carveout"):
        return r.get(machine, run, label, size)

    v = get("holds", "carveout", 3133440)
    t.add("carveout of 44 MiB: 1080p NV12 frames (3,133,440 bytes) that fit", um, f"{v:.0f}",
          ">= 14, as arithmetic says", v >= 14, readme=True)
    v = get("holds", "carveout", 20 * KIB)
    t.add("carveout of 44 MiB: buffers of 20 KiB that fit", um, f"{v:.0f}", ">= 2252", v >= 2252)
    vals = [get("tasks-failed", "carveout", size) for size in (8 * MIB, 16 * MIB)]
    t.add("carveout of 44 MiB: 5 tasks that hold 8 MiB, 2 tasks that hold 16 MiB, for 0 to 5 ms: "
          "failed of 1,000 and 600 allocations", um, ", ".join(f"{v:.0f}" for v in vals), "0, 0",
          not any(vals))

    kinds = ("log-uniform", "uniform", "powers")
    for way, what in (("busy", "without a pause"), ("settled", "each step with all memory clear")):
        vals = [r.ratio("um-carveout", f"random-{way}-50-{kind}", "carveout", "first-fit", 512 * MIB)
                for kind in kinds]
        t.add("carveout of 512 MiB: 20,000 random steps of 4 KiB to 4 MiB, 50 % in use, " + what +
              ": largest free block against plain first fit; log-uniform, uniform, powers of two",
              um, ", ".join(f"{v:.2f}" for v in vals), ">= 0.9 each", min(vals) >= 0.9)
    for way, what in (("busy", "without a pause"), ("settled", "each step with all memory clear")):
        ours, plain = ([get(f"random-{way}-80-{kind}-failed", label, 512 * MIB) for kind in kinds]
                       for label in ("carveout", "first-fit"))
        t.add(f"the same with 80 % in use, {what}: failed allocations (of plain first fit)", um,
              ", ".join(f"{a:.0f} ({b:.0f})" for a, b in zip(ours, plain)),
              "0 where first fit has 0", all(b or not a for a, b in zip(ours, plain)))

    t.most("carveout: allocating and freeing without a pause, all clearing counted, against "
           "cma_heap; 64 KiB, 1 MiB, 8 MiB", um,
           [r.ratio("um-peers", "no-pause", "carveout", "cma_heap", size)
            for size in (64 * KIB, MIB, 8 * MIB)], 1.1, readme=True)
    t.most("carveout: allocating after a pause, 8 MiB against 4 KiB", um,
           [r.ratio("um-peers", "pause", "carveout", "carveout", 8 * MIB, 4 * KIB)], 2, readme=True)
    holes = "carveout of 256 MiB with every second page in use: "
    t.most(holes + "4 KiB, against gen_pool first fit", um,
           [r.ratio("um-peers", "holes", "carveout", "gen_pool", 4 * KIB)], 1.5)
    t.most(holes + "1 MiB, which fails, against gen_pool first fit", um,
           [r.ratio("um-peers", "holes", "carveout", "gen_pool", MIB)], 2)
    t.most("carveout: 256 MiB of 4 KiB buffers, half freed, then 8 KiB at once", um,
           [get("half-freed", "carveout", 8 * KIB) / 1e6], 0.5, " ms")
    v = [get("preempt-off", "carveout", size, "um-preempt") / 1e6 for size in (4096 * MIB, 256 * MIB)]
    t.most("carveout with every second page in use: longest time with preemption off; 4 GiB "
           "without memory, 256 MiB with memory", um + ", preemption traced", v, 0.1, " ms", 3,
           readme=True)
    v = [get("longest-call", "carveout", size) / 1e6 for size in (4096 * MIB, 256 * MIB)]
    t.add("the same: longest allocation", um, ", ".join(f"{ms:.2f}" for ms in v) + " ms", "", None)
    t.most("boot with 126 regions, nothing exported: time in the initcalls of kernel/dma/rmem*", um +
           ", preemption traced",
           [statistics.median([v for k, v in r.values.items() if k[:2] == ("um-regions", "initcalls")]
                              or [math.nan]) / 1e6], 1, " ms")
    for size in (4 * KIB, MIB):
        vals = [r.ratio("um-peers", f"sync-{n}", "carveout", "cma_heap", size) for n in (1, 4)]
        what = f"carveout: CPU access to {human(size)} that 1 and 4 devices have mapped, against cma_heap"
        if size == 4 * KIB:
            t.most(what, um, vals, 1.08)
        else:
            t.add(what, um, ", ".join(f"{v:.2f}" for v in vals), "", None)
    t.most("carveout: freeing 4 KiB, against gen_pool first fit without clearing", um,
           [r.ratio("um-peers", "free-call", "carveout", "gen_pool", 4 * KIB)], 1.05)
    v = r.ratio("um-peers", "free-all", "carveout", "gen_pool", 4 * KIB)
    t.add("the same with the clearing by the worker", um, f"{v:.2f}", "", None)


def judge(r):
    t = Targets()
    um, arm = "User-Mode Linux", "arm64"
    machines = (("um", um), ("arm64", arm))

    judge_carveout(r, t, um)
    for m, where in machines:
        v = r.ratio(m, "alloc", "carveout", "carveout", 8 * MIB, 4 * KIB)
        t.add("carveout: allocating 8 MiB against 4 KiB", where, f"{v:.2f}", "<= 2", v <= 2)
    for m, where in machines:
        v = r.ratio(m, "alloc", "carveout", "cma_heap", 8 * MIB)
        t.add("carveout: allocating 8 MiB against cma_heap", where, f"{v:.3f}", "<= 0.1", v <= 0.1)
    for m, where in machines:
        v = r.ratio(m, "sustained", "carveout", "cma_heap", 8 * MIB)
        t.add("carveout: 8 MiB allocated and freed without a pause, against cma_heap", where,
              f"{v:.2f}", "", None)

    for m, where in machines:
        v = max(r.get(m, "map-faults", heap, 8 * MIB) for heap in OURS)
        t.add("faults in a write to every page of a fresh mapping, all four modes", where,
              f"{v:.0f}", "0", v == 0, readme=m == "um")
    for heap in OURS:
        v = r.ratio("um-map", "map", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: mapping and touching 8 MiB, cheaper than cma_heap", um, f"{v:.0f} times",
              ">= 30", v >= 30)
    for heap in OURS:
        v = r.ratio("um", "map", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: the same with User-Mode Linux pinned to one host CPU (its page faults are cheaper there)", um,
              f"{v:.0f} times", "", None)
    for heap in OURS:
        v = r.ratio("arm64", "map-small", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: the same with small entries", arm, f"{v:.0f} times", ">= 5", v >= 5)
    for heap in OURS:
        v = r.ratio("arm64", "map", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: the same with 2 MiB entries where memory and address allow", arm,
              f"{v:.0f} times", "", None)

    sizes = (4 * KIB, 64 * KIB, MIB, 8 * MIB)
    for m, where in reversed(machines):
        for run in ("alloc", "free"):
            vals = [r.ratio(m, run, "cma", "cma_heap", s) for s in sizes]
            t.add(f"cma: {run} of 4 KiB, 64 KiB, 1 MiB, 8 MiB against cma_heap", where,
                  ", ".join(f"{v:.3f}" for v in vals), "<= 1.05" if m == "arm64" else "",
                  max(vals) <= 1.05 if m == "arm64" else None)

    sizes = (4 * KIB, 64 * KIB, MIB, 4 * MIB)
    for label, what, why in (
            ("memory", "coherent: what a heap adds to the allocator",
             "setting up a buffer costs about as much as clearing a page"),
            ("buffer", "coherent: with the dma-buf, its inode and file",
             "these cost every exporter the same, some 10,000 instructions")):
        for m, where in reversed(machines):
            vals = [r.ratio(m, "coherent", label, "bare", s) for s in sizes]
            judged = m == "arm64"
            bad = [human(s) for s, v in zip(sizes, vals) if v > 1.05]
            t.add(f"{what}, against bare dma_alloc_coherent(), 4 KiB, 64 KiB, 1 MiB, 4 MiB",
                  where, ", ".join(f"{v:.3f}" for v in vals), "<= 1.05" if judged else "",
                  not bad if judged else None, f"{', '.join(bad)}; {why}")

    for heap in ("carveout", "cma", "coherent", "restricted", "cma_heap"):
        vals = [r.get("arm64-metadata", "metadata", heap, s) for s in (256 * KIB, MIB, 8 * MIB)]
        contiguous = heap in ("carveout", "cma", "coherent")
        t.add(f"{heap}: bytes the exporter keeps for 256 KiB, 1 MiB, 8 MiB", arm,
              ", ".join(f"{v:.0f}" for v in vals), "constant" if contiguous else "",
              vals[0] == vals[2] if contiguous else None)

    for dev, what in (("restricted-coherent", "importer on the same pool"),
                      ("bouncing", "generic path")):
        c = r.copied[dev]
        t.add(f"restricted, {what}: bytes copied by map, sync, unmap of 1 MiB", um,
              ", ".join(map(str, c)), "0" if dev != "bouncing" else "",
              not any(c) if dev != "bouncing" else None)
    t.add("CPU synchronisation: cases that count cache maintenance, passed and failed", um,
          f"{r.syncs[0]}, {r.syncs[1]}", "none failed", r.syncs[0] > 0 and r.syncs[1] == 0)

    for m, where in machines:
        for label, machine, what in (("carveout", f"{m}-threads", "one heap"),
                                     ("several", f"{m}-several", "three heaps")):
            vals = [r.get(machine, "threads", label, 64 * KIB, n) for n in (1, 2, 4, 8)]
            v = min(vals[1:]) / vals[0]
            t.add(f"carveout, {what}: buffers a second of 1, 2, 4, 8 threads", where,
                  ", ".join(f"{v:.0f}" for v in vals), "with more threads at least 90 % of the single thread's rate", v >= 0.9,
                  "see Documentation/driver-api/rmem-heap.rst")
    return t


def markdown(rows):
    lines = ["| what | where | measured | wanted | |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


RST = """.. SPDX-License-Identifier: GPL-2.0

=======================================
Reserved-memory heaps: the measurements
=======================================

All rows are from one run; :doc:`../rmem-heap` says how they are measured. "Against" a peer means
the figure of our heap divided by the figure of the peer. For times and instructions less is better,
for free blocks more. A row without a wanted value is there for comparison.

.. list-table::
   :header-rows: 1

"""


def rst(rows):
    text = RST
    for row in [["what", "where", "measured", "wanted", "verdict"]] + rows:
        text += "".join(f"   {'  ' if i else '* '}- {cell}".rstrip() + "\n"
                        for i, cell in enumerate(row))
    return text


def write_results(r, folder):
    with open(f"{folder}/results.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["machine", "run", "heap", "bytes", "threads", "median", "p10", "p90", "unit"])
        out.writerows(r.rows)


def write_data(folder):
    """What the plots need, from results.csv: for each heap median, p10 and p90"""
    with open(f"{folder}/results.csv", newline="") as f:
        values = {(r["machine"], r["run"], r["heap"], int(r["bytes"]), int(r["threads"])):
                  (r["median"], r["p10"], r["p90"]) for r in csv.DictReader(f)}

    def table(name, machine, run, labels, by_threads=False, least=0):
        keys = sorted({k[4] if by_threads else k[3] for k in values if k[:2] == (machine, run)})
        with open(f"{folder}/{name}.dat", "w") as f:
            print("x", *(f"{label} p10 p90" for label in labels), file=f)
            for k in keys:
                if k >= least:
                    print(k, *(part for label in labels for part in
                               values.get((machine, run, label, 64 * KIB, k) if by_threads
                                          else (machine, run, label, k, 1), "???")), file=f)

    heaps = OURS + ["cma_heap", "system"]
    table("alloc", "um", "alloc", heaps)
    table("map", "um-map", "map", heaps)
    table("map-instructions", "arm64", "map-small", heaps)
    # A smaller buffer has no entry of 2 MiB.
    table("map-large", "arm64", "map", ["carveout"], least=2 * MIB)
    table("threads", "arm64-threads", "threads", ["carveout", "cma", "coherent", "cma_heap"], True)


def main():
    folder = sys.argv[1]
    if sys.argv[2:] == ["plots"]:
        write_data(folder)
        return
    r = Results(folder)
    t = judge(r)
    if len(sys.argv) == 2:
        write_results(r, folder)
        write_data(folder)
        with open(f"{folder}/targets.md", "w") as f:
            f.write(markdown(t.rows))
        width = [max(len(row[i]) for row in t.rows) for i in range(5)]
        for row in t.rows:
            print("  ".join(cell.ljust(min(w, 90)) for cell, w in zip(row, width)).rstrip())
        print(f"{sum(row[4] == 'met' for row in t.rows)} targets met, {t.missed} missed")
        return
    root = sys.argv[3]
    target = f"{root}/Documentation/driver-api/rmem-heap-bench"
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".svg") or name == "results.csv":
            shutil.copyfile(f"{folder}/{name}", f"{target}/{name}")
    with open(f"{target}/results.rst", "w") as f:
        f.write(rst(t.rows))
    text = open(f"{root}/README.md").read()
    text = re.sub(r"(<!-- bench -->\n).*(<!-- /bench -->)",
                  lambda m: m[1] + markdown(t.readme) + m[2], text, flags=re.S)
    open(f"{root}/README.md", "w").write(text)


main()
