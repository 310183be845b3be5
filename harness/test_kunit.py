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
    "arm": ("arm", "0x40000000", ALL, EXPORT, 1),
    "arm-high": ("arm", "0x40000000 0x80000000", ALL, EXPORT, 1),
    "arm-lpae": ("arm-lpae", "0x40000000", ALL, EXPORT, 1),
    "arm-lpae-high": ("arm-lpae", "0x40000000 0x100000000", ALL, EXPORT, 1),
}
MEMORY = {"0x80000000": "3G", "0x100000000": "5G"}


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
    kernel, where, all_suites, append, smp = {**BOOTS, **SLOW}[name]
    log, one = f"{LOGS}/kunit-{name}.log", len(suites) == 1
    settings = {"smp": smp, "mem": "1G", "check_tree": False}
    if kernel == "um-debug":
        program = run.selftest("rmem-heap-kunit", LOGS)
        names = ",".join("rmem_" + s if s in FAILING else "rmem_heap_" + s for s in suites)
        return vm.Machine(kernel, initrd=vm.initrd(LOGS + "/kunit.cpio", {"test": program}),
                          dtb=tree(where), timeout=timeout,
                          append=f"kunit.enable=1 kunit.autorun=0 suites={names} {append}",
                          **settings).boot(log)
    glob = "rmem_heap_" + (suites[0] if one else "regions*" if all_suites == REGIONS else "*")
    append += f" kunit.enable=1 kunit_shutdown=poweroff kunit.filter_glob={glob}"
    if where.startswith("0x"):
        settings["mem"] = MEMORY.get(where.split()[-1], "1G")
        settings["dtsi"] = virt_tree(f"{LOGS}/{name}.dtsi", where.split())
    else:
        settings["dtb"] = tree(where)
    return vm.Machine(kernel, append=append, timeout=timeout, **settings).boot(log)


booted = {}


@pytest.mark.parametrize("name, suite", [
    pytest.param(name, suite, id=f"{name}-{suite}", marks=[pytest.mark.slow] * (name in SLOW))
    for name, what in {**BOOTS, **SLOW}.items() for suite in what[2]])
def test_kunit(name, suite, kernel, cases, request):
    vm.deps("gcc", "libc6-dev", "device-tree-compiler", "python3")
    kernel({**BOOTS, **SLOW}[name][0])
    wanted = [i.callspec.params["suite"] for i in request.session.items
              if i.originalname == "test_kunit" and i.callspec.params["name"] == name]
    # One boot for all, or one for each of a few
    if len(wanted) < len({**BOOTS, **SLOW}[name][2]):
        wanted = [suite]
    if name not in booted or suite not in booted[name][0]:
        machine = boot(name, wanted)
        booted[name] = wanted, machine.cases(), machine
        cases.no_report(machine, f"{name}: no report")
        cases(f"{name}: powered off", machine.status == 0, machine.log)
        if "driver" in wanted and name == "um":
            cases("a driver is told that the region of an overlay comes too late", re.search(
                r"rmem-heap-test: .*/cma@10000000 came too late", machine.text), machine.log)
        suites = {("rmem_" if s in FAILING else "rmem_heap_") + s for s in wanted}
        for case, outcome, _ in booted[name][1]:
            if outcome == "failed" and case.split("/")[0] not in suites:
                cases(f"{name}: {case}", False, machine.log)
        if name.startswith("debug"):
            looked = re.findall(r"^kunit-init: looked for leaks of ", machine.text, re.M)
            cases(f"{name}: leaks were looked for after every suite", len(looked) == len(wanted) or
                  "KERNEL" in os.environ, machine.log)
    full = "rmem_" + suite if suite in FAILING else "rmem_heap_" + suite
    mine = [c for c in booted[name][1] if c[0].split("/")[0] == full]
    for case, outcome, reason in mine:
        cases(case, outcome != "failed", booted[name][2].log, reason or "?" * (outcome == "skipped"))
    assert mine, f"{full} has not run"
