# SPDX-License-Identifier: GPL-2.0
"""Suites that are programs of their own and print KTAP"""
import os
import subprocess

import pytest

import run
import vm
from conftest import LOGS

# Name, kernels that it needs, command below harness/
SCRIPTS = {
    "style": ("um", "style.sh"),
    "steps": ("um", "steps.sh"),
    "binding": ("", "bindings/check.sh"),
    "check": ("", f"check-tool.py {LOGS}/check/rmem-heap"),
    "check-fuzz": ("", "check-fuzz.py 2000"),
    "hostile": ("um", "hostile/hostile.py fixed"),
}
SLOW = {
    "check-fuzz-100000": ("", "check-fuzz.py 100000 2"),
    "hostile-2000": ("um", "hostile/hostile.py all"),
    "boards": ("um um-plain", "boards.py"),
    "clients": ("um-clients", "clients.sh"),
    "coverage": ("um-coverage", "coverage.sh"),
    "mutants": ("um", "mutants.py few"),
    "configs": ("", "configs.sh"),
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in {**SCRIPTS, **SLOW}])
def test_script(name, kernel, cases):
    kernels, command = {**SCRIPTS, **SLOW}[name]
    for k in kernels.split():
        kernel(k)
    if name == "check":
        run.tool(vm.folder("test/check"))
    # What narrows a test by hand
    env = {k: v for k, v in os.environ.items()
           if k not in "CHECK_TREE TIMEOUT K".split()}
    log = f"{LOGS}/{name}.log"
    with open(log, "w") as out:
        status = subprocess.run([vm.HARNESS + "/" + command.split()[0], *command.split()[1:]],
                                cwd=vm.ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, check=False,
                                preexec_fn=vm.end_with_us).returncode
    with open(log, errors="replace") as f:
        said = cases.ktap(vm.Boot(status, "KTAP version 1\n" + f.read(), log))
    assert said and (status == 0 or cases.failed), f"{command} ended with status {status}: {log}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["um-clang", "arm64-clang", "riscv64", "x86_64"])
def test_kernel(name, kernel):
    kernel(name)


@pytest.mark.slow
def test_kunit_run(cases):
    """As an integrator does: the suites in a kernel that kunit.py configures and builds"""
    import test_kunit
    log = LOGS + "/kunit-run.log"
    with open(log, "w") as out:
        status = subprocess.run(
            [vm.TREE + "/tools/testing/kunit/kunit.py", "run", f"--build_dir={vm.BUILD}/kunit",
             "--kunitconfig=lib/kunit-tests", "--raw_output=all", f"--jobs={os.cpu_count()}",
             "--kernel_args", "dtb=" + test_kunit.tree("test"), "--kernel_args", test_kunit.EXPORT,
             "rmem_heap_*"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            check=False, preexec_fn=vm.end_with_us).returncode
    with open(log, errors="replace") as f:
        boot = vm.Boot(status, f.read(), log)
    assert cases.ktap(boot), log
    cases.no_report(boot)
    assert status == 0, log
