#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: test.py [all] [PYTEST-ARGUMENT...]    run the tests; "all" adds those that take long

K="..." in the environment chooses some: the name of one, or an expression as pytest's -k takes it,
K="carveout and not debug". A list of what there is: test.py --collect-only -q. Logs and junit.xml
are in build/test. The last line is the verdict: N passed, N failed, N skipped. "all", run again,
goes on with what has not passed yet, as long as no file of the repository changed.
"""
import os
import signal
import subprocess
import sys

import vm


# What narrows a test by hand: it counts only where K or pytest's -k say which
BY_HAND = "BOOTS BREAK FRAGMENT JOBS KERNEL OBJECTS ONLY POINTS SEED SHAPES SHRINK TABLE".split()


def main(*args):
    args = [*args]
    logs = vm.folder("test")
    vm.deps("python3-pytest", "python3-hypothesis", "python3-libfdt", "make", "gcc", "libc6-dev", "libfdt-dev",
            "device-tree-compiler")
    vm.lock("test/.lock")
    # KTAP is read with the kernel's own parser.
    subprocess.run([vm.HARNESS + "/tree.sh"], check=True, preexec_fn=vm.end_with_us)
    if args[:1] == ["all"]:
        args[0] = "--all"
    env = {k: v for k, v in os.environ.items() if os.environ.get("K") or "-k" in args or k not in BY_HAND}
    env.update(PYTHONDONTWRITEBYTECODE="1", LC_ALL="C")
    # In a session of its own: an interrupt of the terminal reaches it once, from here.
    pytest = subprocess.Popen([sys.executable, "-m", "pytest", "-c", vm.HARNESS + "/pytest.ini", vm.HARNESS,
                               f"--junitxml={logs}/junit.xml", *args], env=env, start_new_session=True,
                              preexec_fn=vm.die_with_us)
    try:
        return pytest.wait()
    finally:
        if pytest.poll() is None:
            pytest.send_signal(signal.SIGINT)
            pytest.wait()


if __name__ == "__main__":
    vm.call(main, sys.argv[1:])
