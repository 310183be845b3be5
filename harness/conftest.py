# SPDX-License-Identifier: GPL-2.0
"""How pytest runs our suites. An item is one boot, or a suite of one; each case that it has is
counted by its own name: of a KTAP line, or of what a test says of itself.

The last line is the verdict: N passed, N failed, N skipped. A skip that is not in SKIPS is a
failure. With --all, what takes long is run, too; what has passed with the same files is not run
again then.
"""
import hashlib
import json
import os
import subprocess
import sys
import time

import pytest

import vm

# Another kernel that is tested at the same time, build/mutants/um for one, has logs of its own.
LOGS = os.path.join(vm.BUILD, os.environ.get("KERNEL", ""), "test")
CASE = "::case::"       # between the name of an item and that of one of its cases

# Skips that are expected, with the reason. Any other is a failure.
SKIPS = {
    # The selftest's import through vgem: there is no DRM in this kernel, and vgem 7.3 does not
    # map what it imports anyway. Our own consumers import instead.
    "Could not open vgem",
    # This case runs in a boot with two processors.
    "two drivers need two",
    # 32-bit ARM without large addresses has no swiotlb, so no restricted pools.
    "no restricted pools without swiotlb",
    # Sizes that are made for pages of 4 KiB, on a kernel with pages of 64 KiB
    "pages of 4 KiB",
    # Only the debug kernel has kmemleak, and coverage is of another one.
    "no kmemleak in this kernel" if os.environ.get("KERNEL") == "um-coverage" else None,
} - {None}


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run what takes long, too")


def contents(*paths):
    """What is tested, and with what: results of other files or of another kernel do not count"""
    files = rf"find {' '.join(paths) or '.'} \( -name .git -o -path ./build -o -name __pycache__ \) -prune -o -type f"
    out = subprocess.run(
        rf"set -e; {files} -printf '%m %p\n' | sort; {files} -print0 | sort -z | xargs -0 sha1sum;"
        "cat build/tree.state/base; gcc --version", shell=True, cwd=vm.ROOT, stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha1(out).hexdigest()


class Reporter:
    """A line for each item, one for each case that fails, and the verdict"""

    def __init__(self, passed):
        self.items, self.passed = {}, passed

    def say(self, text):
        print(text, file=sys.__stdout__, flush=True)

    def pytest_runtest_logstart(self, nodeid):
        self.items[nodeid] = {"passed": 0, "failed": 0, "skipped": 0, "at": time.time()}

    def pytest_runtest_logreport(self, report):
        nodeid, _, case = report.nodeid.partition(CASE)
        item = self.items[nodeid]
        # A skip of pytest's is none that is known.
        if report.skipped and not case:
            report.outcome = "failed"
        # An item is a case of its own only where it has no others, or fails.
        if report.passed and (report.when != "call" or not case and
                              item["passed"] + item["failed"] + item["skipped"]):
            return
        item[report.outcome] += 1
        if report.failed:
            self.say(f"not ok - {short(nodeid)}{': ' * bool(case)}{case}")
            self.say("\n".join("# " + t for t in report.longreprtext.splitlines()[-30:]))

    def pytest_runtest_logfinish(self, nodeid):
        item = self.items[nodeid]
        took = time.time() - item.pop("at")
        self.say("%6.1f s %6d passed, %d failed, %d skipped  %s" % (took, *item.values(), short(nodeid)))
        if self.passed and not item["failed"] and self.passed.endswith(contents()):
            with open(self.passed, "a") as f:
                f.write(json.dumps([nodeid, item]) + "\n")

    def pytest_collectreport(self, report):
        if report.failed:
            self.items[report.nodeid] = {"passed": 0, "failed": 1, "skipped": 0}
            self.say(report.longreprtext)

    def pytest_collection_modifyitems(self, config, items):
        """What has passed before is counted, and not run again"""
        if not self.passed or not os.path.exists(self.passed):
            return
        with open(self.passed) as f:
            before = dict(map(json.loads, f))
        self.say(f"{len(before)} items have passed before; rm -r {os.path.relpath(self.passed)} to run "
                 "them again")
        self.items.update(before)
        items[:] = [i for i in items if i.nodeid not in before]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        bad = [nodeid for nodeid, item in self.items.items() if item["failed"]]
        for nodeid in bad:
            self.say(f"again: make test K='{short(nodeid)}'")
        # For --lf: pytest takes our cases for items
        if hasattr(session.config, "cache"):
            session.config.cache.set("cache/lastfailed", dict.fromkeys(bad, True))
        if not self.items:
            self.say("K matches no test. make test-all runs the slow tests, too; a whole name as K runs that test")
        sums = {k: sum(i[k] for i in self.items.values()) for k in ("passed", "failed", "skipped")}
        self.say("{passed} passed, {failed} failed, {skipped} skipped".format(**sums))
        # What pytest says of itself stays: 5 is that it has run nothing, as all has passed before.
        if session.exitstatus in (0, 5):
            good = sums["passed"] and not sums["failed"]
            session.exitstatus = 0 if good else session.exitstatus or 1


def short(nodeid):
    """test_kunit.py::test_kunit[um-carveout] as -k takes it"""
    return nodeid.split("::")[-1].removeprefix("test_")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only with --all")
    option = config.option
    if not option.collectonly and not option.help:
        # What is chosen by hand is run whether it has passed or not.
        chosen = option.keyword or option.lf or config.args != [vm.HARNESS] or os.environ.get("K") or os.environ.get("BOOTS")
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(Reporter(
            f"{vm.folder('test/passed')}/{contents()}" if option.all and not chosen else None))
    os.makedirs(LOGS, exist_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """K is the name of an item, or an expression as -k takes it. Slow ones are run with --all, or when
    they are named."""
    named = [i for i in items if short(i.nodeid) == os.environ.get("K")]
    if named:
        items[:] = named
    else:
        config.option.keyword = config.option.keyword or os.environ.get("K", "")
    if not config.option.all and not named:
        gone = [i for i in items if i.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=gone)
        items[:] = [i for i in items if i not in gone]


class Cases:
    """The cases of an item"""

    def __init__(self, item):
        self.item, self.failed = item, 0

    def __call__(self, name, ok, why="", skipped=""):
        outcome = "passed" if ok else "failed"
        if ok and skipped:
            known = any(reason in skipped for reason in SKIPS)
            outcome, why = ("skipped" if known else "failed"), "skipped for no known reason: " + skipped
        self.failed += outcome == "failed"
        longrepr = {"passed": None, "failed": why or "failed", "skipped": ("", 0, skipped)}[outcome]
        self.item.ihook.pytest_runtest_logreport(report=pytest.TestReport(
            nodeid=f"{self.item.nodeid}{CASE}{name}", location=self.item.location, keywords={},
            outcome=outcome, longrepr=longrepr, when="call"))
        return ok

    def ktap(self, boot, above="", label=""):
        """Those that a machine, or a program, has printed; of those of one suite the names begin with
        `above`. What is counted begins with `label`."""
        found = [c for c in boot.cases() if c[0].startswith(above)]
        for name, outcome, reason in found:
            self(label + name, outcome != "failed", boot.log, reason or "?" * (outcome == "skipped"))
        return found

    def no_report(self, boot, name="no report"):
        bad = boot.reports()
        self(name, not bad, f"{boot.log}\n" + "\n".join(bad))


@pytest.fixture
def cases(request):
    return Cases(request.node)


@pytest.fixture(scope="session")
def kernel():
    """kernel("um-debug") is that kernel, built"""
    built = {}

    def build(name):
        target, _, variant = name.partition("-")
        if name not in built and not os.environ.get("KERNEL"):
            built[name] = subprocess.run([vm.HARNESS + "/kernel.sh", target, *variant.split()],
                                         check=False, preexec_fn=vm.end_with_us).returncode
        assert not built.get(name), f"the kernel {name} cannot be built"
        return name
    return build
