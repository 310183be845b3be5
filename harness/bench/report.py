#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: report.py DIR          from the consoles in DIR: results.csv, plot data, targets
          report.py DIR plots       the plot data alone, from results.csv in DIR
          report.py DIR doc ROOT    copy those into Documentation and README.md below ROOT

A result is a line "bench,RUN,LABEL,BYTES,THREADS,MEDIAN,P10,P90,UNIT" of a console.
"""
import csv
import os
import re
import shutil
import sys

KIB, MIB = 1024, 1024 * 1024
MACHINES = ["um", "um-map", "um-threads", "um-several", "arm64", "arm64-metadata", "arm64-threads",
            "arm64-several"]
OURS = ["carveout", "cma", "coherent", "restricted"]


class Results:
    """Medians by machine, run, label, bytes and threads"""

    def __init__(self, folder):
        self.rows, self.values, self.notes = [], {}, {}
        for machine in MACHINES:
            for line in open(f"{folder}/{machine}.log", errors="replace"):
                part = line.rstrip("\r\n").split(",")
                if part[0] != "bench" or len(part) != 9:
                    continue
                run, label, unit = part[1], part[2], part[8]
                size, threads, median, p10, p90 = (int(float(p)) for p in part[3:8])
                if machine.startswith("arm64") and unit == "ns" and "threads" not in machine:
                    unit = "instructions"
                self.rows.append([machine, run, label, size, threads, median, p10, p90, unit])
                self.values[machine, run, label, size, threads] = median
        self.placement = self.read(folder, "um-placement", r"placement,(.+),(\d+),(\d+),(\d+),(\d+)")
        self.copied = self.read(folder, "um-import", r"copied,([\w-]+),(\d+),(\d+),(\d+)")
        text = open(f"{folder}/um-import.log", errors="replace").read()
        self.syncs = [len(re.findall(rf"^ *{ok} \d+ .* by /?.*$|^ *{ok} \d+ rmem_test_(?:no_)?sync", text, re.M))
                      for ok in ("ok", "not ok")]

    @staticmethod
    def read(folder, name, regex):
        text = open(f"{folder}/{name}.log", errors="replace").read()
        return {m[0]: [int(n) for n in m[1:]] for m in re.findall(regex, text)}

    def get(self, machine, run, label, size, threads=1):
        return self.values[machine, run, label, size, threads]

    def ratio(self, machine, run, a, b, size, size_b=None):
        return (self.get(machine, run, a, size) /
                max(self.get(machine, run, b, size_b or size), 1))


class Targets:
    """The table: what, where, measured, wanted, verdict"""

    def __init__(self):
        self.rows, self.missed = [], 0

    def add(self, what, where, measured, wanted, met, why=""):
        verdict = "" if met is None else "met" if met else "missed"
        self.missed += met is False
        if met is False and why:
            verdict += f": {why}"
        self.rows.append([what, where, measured, wanted, verdict])


def human(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def judge(r):
    t = Targets()
    um, arm = "User-Mode Linux", "arm64"
    machines = (("um", um), ("arm64", arm))

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

    ours = r.placement["ours"]
    for other in ("first fit, aligned", "best fit, aligned"):
        v = ours[2] / r.placement[other][2]
        t.add(f"placement: mean largest free block over 10,000 steps, against {other}", um,
              f"{v:.3f}", ">= 1", v >= 1)
    t.add("placement: largest free block after 10,000 steps: " +
          ", ".join(f"{name} {val[0] // KIB} MiB" for name, val in r.placement.items()),
          um, "", "", None)

    for m, where in machines:
        v = max(r.get(m, "map-faults", heap, 8 * MIB) for heap in OURS)
        t.add("faults in a write to every page of a fresh mapping, all four modes", where,
              str(v), "0", v == 0)
    for heap in OURS:
        v = r.ratio("um-map", "map", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: mapping and touching 8 MiB, cheaper than cma_heap", um, f"{v:.0f} times",
              ">= 30", v >= 30)
    for heap in OURS:
        v = r.ratio("um", "map", "cma_heap", heap, 8 * MIB)
        t.add(f"{heap}: the same on one processor of the host, where a fault costs less", um,
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
             "what describes a buffer costs about as much as clearing a page"),
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
              ", ".join(map(str, vals)), "constant" if contiguous else "",
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
                  ", ".join(map(str, vals)), "never under 90 % of the first", v >= 0.9,
                  "see Documentation/driver-api/rmem-heap.rst")
    v = r.get("arm64", "stats", "count", 64 * KIB)
    alloc = r.get("arm64", "alloc", "carveout", 4 * KIB) + r.get("arm64", "free", "carveout", 4 * KIB)
    t.add("statistics: instructions in an allocation and a free, and their share", arm,
          f"{v}, {100 * v / alloc:.1f} %", "<= 1 %", v <= alloc / 100)
    return t


def markdown(t):
    lines = ["| what | where | measured | wanted | |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in t.rows]) + "\n"


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
            f.write(markdown(t))
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
    text = open(f"{root}/README.md").read()
    text = re.sub(r"(<!-- bench -->\n).*(<!-- /bench -->)",
                  lambda m: m[1] + markdown(t) + m[2], text, flags=re.S)
    open(f"{root}/README.md", "w").write(text)


main()
