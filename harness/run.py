#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: run.py [KERNEL]    boot harness/dts/run.dts and use every region for real

Prints a table of the regions. Exit status 0 only if every check held and the kernel had nothing to
report.
"""
import re
import sys

import vm

# A carve-out that a device refers to is exported on the administrator's word only.
EXPORT = "rmem_heap.export=fpga@1c000000"


def selftest(name, out, cross=""):
    """A program of tools/testing/selftests/rmem-heap"""
    vm.make("-C", vm.TREE + "/tools/testing/selftests/rmem-heap", f"{out}/{name}", OUTPUT=out,
            CROSS_COMPILE=cross, USERCFLAGS="-Werror")
    return f"{out}/{name}"


def tool(out):
    """The tool, as a program that needs no library"""
    vm.make("-C", vm.ROOT + "/tools/dma/rmem-heap", OUTPUT=out,
            CFLAGS="-O2 -Wall -Wextra -Werror -static")
    return out + "/rmem-heap"


def run(kernel, say):
    """Boots it, and says the lines that a user wants to see. Returns the boot."""
    vm.deps("gcc", "libc6-dev", "libfdt-dev", "make", "device-tree-compiler")
    folder = vm.folder("run" + kernel.removeprefix("um"))
    files = {"test": selftest("rmem-heap-check", folder), "rmem-heap": tool(folder)}
    say(f"run: booting build/{kernel}/linux with harness/dts/run.dts, {EXPORT}")
    table = False

    def line(text):
        nonlocal table
        table |= text.startswith("REGION")
        if table or text.startswith("rmem_heap: "):
            say(text)
        table &= not text.startswith("rmem-heap-check:")

    return vm.Machine(kernel, initrd=vm.initrd(folder + "/run.cpio", files), append=EXPORT, mem="1G",
                      dtb=vm.compile_tree(vm.HARNESS + "/dts/run.dts", folder + "/run.dtb"),
                      timeout=300).boot(folder + "/console.log", line)


def main(kernel="um"):
    boot = run(kernel, lambda text: print(text, flush=True))
    bad = "\n".join(boot.reports())
    if boot.status:
        bad += f"\nthe boot failed, status {boot.status}"
    if not re.search(r"^rmem-heap-check: [1-9]\d* passed, 0 failed", boot.text, re.M):
        bad += "\na check failed"
    if bad:
        sys.exit(f"{bad}\nrun: the console is in {boot.log}".strip())
    print("run: every check held")


if __name__ == "__main__":
    vm.call(main, sys.argv[1:])
