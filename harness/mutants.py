#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: mutants.py [few]    whether the tests notice mistakes in the code; `few`: those that
harness/mutants/few lists

Each harness/mutants/*.patch makes one mistake. Its first line says which, the second is one of
    Fails: TEST...      KUnit cases that must fail; boot: the kernel must not get to its end;
                        report: it must complain; tool, run, boots, cases: these tests must fail;
                        boots:PATTERN, cases:PATTERN: those whose name matches (? for a blank)
    Fails: debug        only the debug kernel shows it: not run here
    Survives: REASON    User-Mode Linux cannot show it: not run here
The mistake is built into a copy of build/um, from a copy of the source file: build/tree and
build/um stay as they are. What has been judged is not run again, as long as the code and the tests
are the same; the results are in build/mutants. From the environment:
    ONLY=pattern    mutants whose name matches, import-* for instance
Prints TAP, and at the end how many were caught.
"""
import fcntl
import fnmatch
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import conftest
import test_kunit
import vm

PATCHES = Path(vm.HARNESS, "mutants")
FOLDER = Path(vm.BUILD, "mutants")
# Below build/; the second is a link to build/um, with which the tests leave its logs alone.
KERNEL, UNCHANGED = "mutants/um", "mutants/unchanged"
UM, OUT = Path(vm.BUILD, "um"), Path(vm.BUILD, KERNEL)
# The tests that a mutant may name, besides KUnit cases, as pytest selects them
SLOW = {"tool": "test_tool[um]", "run": "test_run[um]", "boots": "test_boot[",
        "cases": "test_case["}


def run(what, command, stdin="", cwd=OUT, fine=(0,), **env):
    """What a command of the shell prints, and its exit status"""
    done = subprocess.run(
        command, shell=True, cwd=cwd, input=stdin, text=True, errors="replace", check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **env},
        preexec_fn=vm.die_with_us)
    if done.returncode not in fine:
        raise vm.Failed("\n# ".join([f"{what} (status {done.returncode}):",
                                     *done.stdout.splitlines()[-10:]]))
    return done.stdout, done.returncode


def copy_kernel():
    """Most of the time of a build goes into finding out that there is nothing to do: how kbuild
    compiles a file and links the kernel is recorded once, and done again for each mutant."""
    link = OUT / "link"
    if link.exists() and link.stat().st_mtime > (UM / "linux").stat().st_mtime:
        return
    print("copying build/um", file=sys.stderr, flush=True)
    run("no copy of build/um", f"rm -rf {OUT} && cp -a {UM} {OUT} && ln -sfn {UM} "
        f"{vm.BUILD}/{UNCHANGED} && rm {OUT}/kernel/dma/rmem_heap.o", cwd=vm.ROOT)
    said, _ = run("make failed", f"make -C {vm.TREE} O={OUT} ARCH=um V=1 linux")
    found = re.search(r"^\+ (.*) -o vmlinux\.unstripped (.*)", said, re.M)
    if not found:
        raise vm.Failed("kbuild does not say how it links a kernel")
    link.write_text(f"{found[1]} -o linux.new {found[2]} && mv linux.new linux\n")


def changed(text):
    """The files that a patch changes, without .c"""
    found = set(re.findall(r"^\+\+\+ b/(\S+)\.c(?:\s|$)", text, re.M))
    return [f for f in found if (UM / f"{f}.o").exists()]


def build(text):
    """The kernel with the mistake of a patch"""
    for f in changed("".join(p.read_text() for p in PATCHES.glob("*.patch"))):
        shutil.copy2(UM / f"{f}.o", OUT / f"{f}.o")
    what, source, files = "does not apply or build", FOLDER / "source", changed(text)
    if text:
        run(what, f"rm -rf {source} && mkdir {source} && "
            f"cp --parents {' '.join(f + '.c' for f in files)} {source} && "
            f"patch -d {source} -p1 -F1 -s --no-backup-if-mismatch -r -", text, cwd=vm.TREE)
    for f in files:
        recorded = (OUT / f).with_name(f".{Path(f).name}.o.cmd").read_text()
        command = re.match(r"savedcmd_\S+ := (.*)", recorded)[1]
        run(what, command.replace(f"{vm.TREE}/{f}.c", f"{source}/{f}.c"))
    run(what, (OUT / "link").read_text())


def kunit_failures():
    """Cases, `boot` if the kernel did not get to its end, `report`; the boots share no state"""
    for name in "um", "hostile", "many140":
        boot = test_kunit.boot(name, test_kunit.BOOTS[name][2], timeout=60)
        cases = boot.cases()
        failed = {c[0].split("/")[:2][-1] for c in cases if c[1] == "failed"}
        found = set(filter(str.isidentifier, failed))
        # What was announced and did not come has no name.
        if boot.status or not cases or failed != found:
            found.add("boot")
        if boot.reports():
            found.add("report")
        if found:
            return sorted(found)
    return []


@functools.lru_cache(maxsize=None)
def pytest(test, kernel, fine, _mutant=""):
    """The exit status of a test that takes longer, asked once for each mutant: 1 if it fails"""
    name, _, pattern = test.partition(":")
    return run(
        f"{test} on build/{kernel}", f"{sys.executable} -m pytest -c harness/pytest.ini "
        f"-p no:cacheprovider -x harness -k '{SLOW[name]}'", cwd=vm.ROOT, fine=fine,
        KERNEL=kernel, BOOTS=pattern or "*", K="")[1]


def judge(name, sources, text="", expected=()):
    """What fails with the mistake of a patch"""
    result = FOLDER / "results" / name
    key = hashlib.sha1((sources + text).encode()).hexdigest()
    *found, at = (result.read_text() if result.exists() else "").split() or [""]
    if at == key:
        return found
    build(text)
    found = kunit_failures()
    for test in [] if found else [t for t in expected if t.partition(":")[0] in SLOW]:
        # It has to pass without a mistake.
        pytest(test, UNCHANGED, (0,))
        found += [test] * pytest(test, KERNEL, (0, 1), name)
    # What survives may be expected to fail in other tests next time.
    if bool(found) == bool(text):
        result.write_text(" ".join([*found, key]))
    return found


def mutant(name, sources):
    """Whether it is caught as its second line says, what to say of it, and what it counts as"""
    _, second, text = (PATCHES / f"{name}.patch").read_text().split("\n", 2)
    kind, _, words = second.partition(": ")
    if kind == "Survives" or second == "Fails: debug":
        reason = "only the debug kernel shows it" if kind == "Fails" else words
        return True, f" # SKIP {reason}", "not visible here"
    if kind != "Fails" or not words:
        raise vm.Failed("its second line says nothing")
    found = judge(name, sources, text, words.split())
    if not found:
        return False, ": survived", "survived"
    missing = [] if "boot" in found else [test for test in words.split() if test not in found]
    by = f"not by {' '.join(missing)}, by: " if missing else ""
    return not missing, f": {by}{' '.join(found)}", "caught"


def main(*args):
    if args not in ((), ("few",)):
        raise vm.Failed("the argument can only be: few")
    names = (PATCHES / "few").read_text().split() if args else \
        sorted(p.stem for p in PATCHES.glob("*.patch"))
    names = fnmatch.filter(names, os.environ.get("ONLY") or "*")
    if not names:
        raise vm.Failed("there is no such mutant")
    vm.deps("gcc", "make", "patch", "device-tree-compiler")
    test_kunit.LOGS = vm.folder("mutants/test")
    vm.folder("mutants/results")
    vm.lock("mutants/.lock")
    if subprocess.call("make -s kernel TARGET=um >&2", shell=True, cwd=vm.ROOT):
        raise vm.Failed("make kernel failed")
    # Nobody changes build/tree from here on.
    vm.lock(".lock", fcntl.LOCK_SH)
    copy_kernel()
    os.environ["KERNEL"] = KERNEL
    sources = conftest.contents("kernel", "include", "lib", "patches")
    found = judge("unchanged", sources)
    if found:
        raise vm.Failed(f"the tests fail without any mistake: {' '.join(found)}")
    count, bad = {"caught": 0, "survived": 0, "not visible here": 0, "": 0}, 0
    for n, name in enumerate(names, 1):
        try:
            good, what, kind = mutant(name, sources)
        except vm.Failed as error:
            good, what, kind = False, f": {error}", ""
        count[kind] += 1
        bad += not good
        print(f"{'' if good else 'not '}ok {n} - {name}{what}", flush=True)
    print(f"1..{len(names)}\n# " + ", ".join(f"{n} {kind}" for kind, n in count.items() if kind))
    return bad > 0


if __name__ == "__main__":
    vm.call(main, sys.argv[1:])
