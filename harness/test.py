#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: test.py [all] [PYTEST-ARGUMENT...]    run the tests; "all" adds those that take long

K="..." in the environment chooses some: the name of one, or an expression as pytest's -k takes it,
K="carveout and not debug". A list of what there is: test.py --collect-only -q. Logs and junit.xml
are in build/test. The last line is the verdict: N passed, N failed, N skipped. "all", run again,
goes on with what has not passed yet, as long as no file of the repository changed.
"""
import os
import subprocess
import sys

import vm


def main(*args):
    args = [*args]
    logs = vm.folder("test")
    vm.deps("python3-pytest", "make", "gcc", "libc6-dev", "libfdt-dev", "device-tree-compiler")
    vm.lock("test/.lock")
    if args[:1] == ["all"]:
        args[0] = "--all"
    return subprocess.run([sys.executable, "-m", "pytest", "-c", vm.HARNESS + "/pytest.ini", vm.HARNESS,
                           f"--junitxml={logs}/junit.xml", *args], preexec_fn=vm.die_with_us,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}).returncode


if __name__ == "__main__":
    vm.call(main, sys.argv[1:])
