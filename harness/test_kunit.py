# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites, in all the machines and with all the device trees that they are for"""
import os
import re
import subprocess

import pytest

import run
import vm
from conftest import LOGS

# What the test regions need besides their tree, lib/kunit-tests/rmem_heap_test.dts
EXPORT = "rmem_heap.export=carveout@15000000:linux,bank@1a000000 " \
    "rmem_heap.export=!held@1b000000:!own@1e400000"
# Control groups are to limit the heaps.
ACCOUNTING = "dma_heap.mem_accounting=1"

# Suites by the tree that they are for: what the regions are is tested with all of them.
REGIONS = ["regions", "regions_sysfs"]
ALL = REGIONS + [
    "classify", "policy", "lookup", "alloc", "consistency", "import", "cpu", "carveout", "export",
    "segments", "pages", "driver", "swiotlb", "full", "cache"]
NO_SWIOTLB = [suite for suite in ALL if suite not in ("swiotlb", "cache")]
FAILING = ["failing_alloc", "failing_map", "failing_pages", "failing_export"]
CHURN = ["alloc", "consistency", "import", "carveout", "export", "segments", "pages"]

# A boot by its name: kernel, tree, its suites, parameters, processors. In the debug kernel they
# are run from userspace: failures can be injected there, and leaks looked for. Where regions are
# offset, or moved to where a 32-bit kernel does not map memory for good, is behind the tree.
BOOTS = {
    "um": ("um", "test", ALL, f"{EXPORT} {ACCOUNTING}", 1),
    "two-processors": ("um", "test", ["driver"], f"{EXPORT} seccomp=on", 2),
    "hostile": ("um", "hostile", REGIONS, "", 1),
    "many64": ("um", "many64", REGIONS, ACCOUNTING, 1),
    "many140": ("um", "many140", REGIONS, ACCOUNTING, 1),
    "debug": ("um-debug", "test", ALL + FAILING, f"{EXPORT} {ACCOUNTING}", 1),
    "debug-hostile": ("um-debug", "hostile", REGIONS, "", 1),
    "debug-many140": ("um-debug", "many140", REGIONS, ACCOUNTING, 1),
    "debug-two-processors": ("um-debug", "test", CHURN, EXPORT, 2),
}
SLOW = {
    "clang": ("um-clang", "test", ALL, EXPORT, 1),
    "arm64": ("arm64", "0x40000000", ALL, EXPORT, 1),
    "arm64-64k": ("arm64-64k", "0x40000000", ALL, EXPORT, 1),
    "arm": ("arm", "0x40000000", NO_SWIOTLB, EXPORT, 1),
    "arm-high": ("arm", "0x40000000 0x80000000", NO_SWIOTLB, EXPORT, 1),
    "arm-lpae": ("arm-lpae", "0x40000000", ALL, EXPORT, 1),
    "arm-lpae-high": ("arm-lpae", "0x40000000 0x100000000", ALL, EXPORT, 1),
}
EVERY = {**BOOTS, **SLOW}
MEMORY = {"0x80000000": "3G", "0x100000000": "5G"}


def full(suite):
    """The whole name of a suite"""
    return ("rmem_" if suite in FAILING else "rmem_heap_") + suite


def tree(name):
    """The blob of a device tree of the tests"""
    out, source = f"{LOGS}/{name}.dtb", f"{vm.ROOT}/lib/kunit-tests/rmem_heap_{name}.dts"
    if name.startswith("many"):
        source = f"{LOGS}/{name}.dts"
        with open(source, "w") as f:
            subprocess.run([vm.HARNESS + "/dts-gen/many.sh", name[4:]], stdout=f, check=True)
    vm.compile_tree(source, out)
    if name == "hostile":
        # Names that no compiler takes
        subprocess.run(["sed", "-i", "-f", f"{vm.ROOT}/lib/kunit-tests/rmem_heap_hostile.sed", out],
                       check=True)
    return out


def virt_tree(name, moved):
    """The nodes of the test tree, where QEMU's machine has memory"""
    with open(f"{vm.ROOT}/lib/kunit-tests/rmem_heap_test.dts") as f, open(name, "w") as out:
        subprocess.run([vm.HARNESS + "/dts-gen/virt.py", *moved], stdin=f, stdout=out, check=True)
    return name


def boot(name, suites, timeout=900):
    """The boot of that name with some of its suites, or with all that have cases for it"""
    kernel, where, all_suites, append, smp = EVERY[name]
    log = f"{LOGS}/kunit-{name}{'-' + suites[0] if len(suites) == 1 else ''}.log"
    settings = {"smp": smp, "mem": "1G", "check_tree": False}
    if kernel == "um-debug":
        program = run.selftest("rmem-heap-kunit", LOGS)
        return vm.Machine(kernel, initrd=vm.initrd(LOGS + "/kunit.cpio", {"test": program}),
                          dtb=tree(where), timeout=timeout, append="kunit.enable=1 kunit.autorun=0 "
                          f"suites={','.join(map(full, suites))} {append}", **settings).boot(log)
    glob = full(suites[0]) if len(suites) == 1 else "rmem_heap_regions*" if all_suites == REGIONS else "rmem_heap_*"
    append += f" kunit.enable=1 kunit_shutdown=poweroff kunit.filter_glob={glob}"
    if where.startswith("0x"):
        # KUnit prints no warnings.
        append += " loglevel=7"
        settings["mem"] = MEMORY.get(where.split()[-1], "1G")
        settings["dtsi"] = virt_tree(f"{LOGS}/{name}.dtsi", where.split())
    else:
        settings["dtb"] = tree(where)
    return vm.Machine(kernel, append=append, timeout=timeout, **settings).boot(log)


def judge(cases, name, machine, suites):
    """What is true of a boot as a whole"""
    cases.no_report(machine)
    cases("powered off", machine.status == 0, machine.log)
    if "driver" in suites and name == "um":
        cases("a driver is told that the region of an overlay comes too late", re.search(
            r"rmem-heap-test: .*/cma@10000000 came too late", machine.text), machine.log)
    for case, outcome, _ in machine.cases():
        if case.split("/")[0] not in map(full, suites):
            cases(f"{case} belongs to no suite that test_kunit.py names", False, machine.log)
    if name.startswith("debug"):
        looked = re.findall(r"^kunit: looked for leaks of ", machine.text, re.M)
        cases("leaks were looked for after every suite", len(looked) == len(suites) or "KERNEL" in os.environ,
              machine.log)


booted = {}


@pytest.mark.parametrize("name, suite", [
    pytest.param(name, suite, id=f"{name}-{suite}", marks=[pytest.mark.slow] * (name in SLOW))
    for name, what in EVERY.items() for suite in ["boot", *what[2]]])
def test_kunit(name, suite, kernel, cases):
    """"boot" runs all suites in one boot, and says what is true of it. A suite that is chosen without it
    has a boot of its own."""
    vm.deps("gcc", "libc6-dev", "device-tree-compiler", "python3")
    kernel(EVERY[name][0])
    if suite == "boot":
        booted[name] = boot(name, EVERY[name][2])
        judge(cases, name, booted[name], EVERY[name][2])
        return
    if name in booted:
        machine = booted[name]
    else:
        machine = boot(name, [suite])
        judge(cases, name, machine, [suite])
    assert cases.ktap(machine, above=full(suite) + "/"), f"{full(suite)} has not run: {machine.log}"
