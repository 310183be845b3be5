#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: test.py [all] [PYTEST-ARGUMENT...]    run the tests; "all" adds those that take long

K="..." in the environment chooses some: the name of one, or an expression as pytest's -k takes it,
K="carveout and not debug". A list of what there is: test.py --collect-only -q. Logs and junit.xml
are in build/test. The last line is the verdict: N passed, N failed, N skipped. "all", run again,
goes on with what has not passed yet, as long as no file of the repository changed.
"""
import fcntl
import os
import subprocess
import sys

import vm


def main(*args):
    args = [*args]
    logs = vm.folder("test")
    vm.deps("python3-pytest", "make", "gcc", "libc6-dev", "libfdt-dev", "device-tree-compiler")
    lock = open(logs + "/.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("test: waiting for another run to finish (build/test/.lock)", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    if args[:1] == ["all"]:
        args[0] = "--all"
    # A make that calls us must not make ours silent, or build another kernel than we ask for.
    env = {k: v for k, v in os.environ.items()
           if k not in "MAKEFLAGS MFLAGS MAKELEVEL TARGET VARIANT DEBUG LLVM".split()}
    return subprocess.run([sys.executable, "-m", "pytest", "-c", vm.HARNESS + "/pytest.ini", vm.HARNESS,
                           f"--junitxml={logs}/junit.xml", *args], preexec_fn=vm.die_with_us,
                          env={**env, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}).returncode


if __name__ == "__main__":
    vm.call(main, sys.argv[1:])
