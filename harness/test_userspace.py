# SPDX-License-Identifier: GPL-2.0
"""Programs on heaps, and the tool: on machines, and without one"""
import os
import re
import shutil
import subprocess

import pytest

import run
import vm
from conftest import LOGS

EXPORT = run.EXPORT
TOOL = vm.ROOT + "/tools/dma/rmem-heap"


def booted(cases, name, kernel, program, **settings):
    """Boots a program, whose KTAP, whose end and whose kernel are cases"""
    files = {"test": program, **settings.pop("files", {})}
    cross = settings.pop("cross", "")
    boot = vm.Machine(kernel, initrd=vm.initrd(f"{LOGS}/{name}.cpio", files, cross),
                      **settings).boot(f"{LOGS}/{name}.log")
    assert cases.ktap(boot), f"no result in {boot.log}"
    cases("the program came to its end", boot.status == 0 and boot.exit_status() == 0, boot.log)
    cases.no_report(boot)


@pytest.mark.parametrize("name", ["um", "um-debug"])
def test_selftest(name, kernel, cases):
    """The kernel's own selftest, on every heap whose memory the CPU sees"""
    subprocess.run([vm.HARNESS + "/check/selftest.sh"], check=True)
    dtb = vm.compile_tree(vm.HARNESS + "/dts/run.dts", LOGS + "/selftest.dtb")
    booted(cases, "selftest-" + name, kernel(name), vm.BUILD + "/selftest/dmabuf-heap", mem="1G",
           dtb=dtb, append=EXPORT + ":!dsp@24000000")


def test_kselftest(kernel, cases):
    """Our own selftests, as the kernel's make runs them, on a machine with the files of this one"""
    command = ["make", "-s", "-C", vm.TREE + "/tools/testing/selftests", "TARGETS=rmem-heap",
               f"O={vm.folder('test/kselftest')}"]
    subprocess.run(command, check=True)
    dtb = vm.compile_tree(vm.HARNESS + "/dts/run.dts", LOGS + "/kselftest.dtb")
    boot = vm.host_machine([*command, "run_tests"], kernel=kernel("um"), dtb=dtb, append=EXPORT,
                           mem="1G").boot(LOGS + "/kselftest.log")
    cases.ktap(boot)
    cases("make run_tests", boot.exit_status() == 0, boot.log)
    cases.no_report(boot)


@pytest.mark.parametrize("name, machine", [
    pytest.param("um", {"kernel": "um", "dtb": "bench.dts"}, id="um"),
    pytest.param("arm64", {"kernel": "arm64", "dtsi": vm.HARNESS + "/dts/bench-regions.dtsi",
                           "cross": vm.CROSS["arm64"]}, id="arm64", marks=pytest.mark.slow)])
def test_mappings(name, machine, kernel, cases):
    """User mappings with whatever entries the architecture has"""
    cross, machine = machine.get("cross", ""), dict(machine)
    kernel(machine["kernel"])
    if cross:
        vm.deps("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross")
    else:
        machine["dtb"] = vm.compile_tree(vm.HARNESS + "/dts/bench.dts", LOGS + "/bench.dtb")
    program = run.selftest("rmem-heap-map", vm.folder("test/map-" + name), cross)
    # The heaps with a plus give buffers that are aligned for large entries.
    heaps = "+bank@5c000000,video@50000000,+vram@54000000,guest@58000000"
    booted(cases, "mappings-" + name, machine.pop("kernel"), program, mem="2G", timeout=120,
           append=f"heaps={heaps} large={'1' if cross else ''}", **machine)


@pytest.mark.parametrize("name", ["um", pytest.param("um-plain", marks=pytest.mark.slow)])
def test_tool(name, kernel, cases):
    """Each command and each error; then what a boot shows it. "plain" is without our code."""
    plain = name == "um-plain"
    append = "plain=1 heap=default_cma_region" if plain else EXPORT
    dtb = vm.compile_tree(f"{vm.HARNESS}/dts/{'other' if plain else 'tool'}.dts", f"{LOGS}/{name}.dtb",
                          "-i", vm.HARNESS + "/dts")
    booted(cases, "tool-" + name, kernel(name), run.selftest("rmem-heap-tool", LOGS),
           files={"rmem-heap": run.tool(LOGS)}, mem="1G", dtb=dtb,
           append=append + " dma_heap.mem_accounting=1")


def test_tool_install():
    """What is installed, where"""
    run.tool(LOGS)
    to = LOGS + "/installed"
    shutil.rmtree(to, ignore_errors=True)
    vm.make("-C", TOOL, "install", OUTPUT=LOGS, DESTDIR=to)
    assert os.access(to + "/usr/bin/rmem-heap", os.X_OK)
    assert os.path.isfile(to + "/usr/share/man/man1/rmem-heap.1")
    subprocess.run(["bash", "-n", to + "/usr/share/bash-completion/completions/rmem-heap"], check=True)


def test_tool_options():
    """The completion of each command offers the options that the source has, and the man page has
    them all. Those of the command x are in cmd_x() or in x_options()."""
    options = set()
    for name in os.listdir(TOOL):
        if not name.endswith(".c"):
            continue
        with open(f"{TOOL}/{name}") as f:
            for command, other, body in re.findall(
                    r"^(?:static )?int (?:cmd_([a-z]+)|([a-z]+)_options)\((.*?)^}", f.read(), re.M | re.S):
                options |= set(found(command or other, body))
    assert ("alloc", "--hold=") in options
    with open(TOOL + "/rmem-heap.1") as f:
        page = f.read()
    for command in {c for c, _ in options}:
        words = complete(f'COMP_WORDS=(rmem-heap {command} --) COMP_CWORD=2; _rmem_heap;'
                         'printf "%s\\n" "${COMPREPLY[@]}"')
        assert set(words) == {o for c, o in options if c == command}, command
    for _, option in options:
        assert option.rstrip("=").replace("-", "\\-") in page, option
    # Names and paths that begin with what was typed
    assert complete('cur=fu; _rmem_heap_names /dev/null /dev/full; cur=/dev/fu;'
                    '_rmem_heap_names /dev/null /dev/full; printf "%s\\n" "${COMPREPLY[@]}"') == \
        ["full", "/dev/full"]


def found(command, body):
    yield command, "--json"
    yield command, "--help"
    for name, takes in re.findall(r'^\t\t\{ "([a-z-]+)", ([a-z]+)_argument', body, re.M):
        yield command, f"--{name}{'=' if takes == 'required' else ''}"


def complete(script):
    return subprocess.run(["bash", "-c", f". {TOOL}/rmem-heap.bash; {script}"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()
