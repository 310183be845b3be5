# SPDX-License-Identifier: GPL-2.0
"""make run: the table that a new user sees"""
import re

import pytest

import run

# Region, kind, and whether it has a heap that passed its checks
REGIONS = """
video@10000000 cma yes
vram@14000000 coherent yes
guest@18000000 restricted yes
fpga@1c000000 carveout yes
ecc-off@20000000 carveout yes
dsp@24000000 carveout yes
camera cma yes
bounce@28000000 restricted no
ramoops@29000000 owned no
odd@2a100000 refused no
spare@2b000000 disabled no
modem@2c000000 carveout no
"""


@pytest.mark.parametrize("name", ["um", "um-debug"])
def test_run(name, kernel, cases):
    said = []
    boot = run.run(kernel(name), said.append)
    table = "\n".join(said)
    for region, kind, heap in map(str.split, REGIONS.split("\n")[1:-1]):
        ends = r"ok \([1-9]\d* checks\)" if heap == "yes" else r"not exported:"
        cases(f"{region}, {kind}, heap: {heap}",
              re.search(rf"^{region} +{kind} .* {ends}", table, re.M), boot.log)
    cases("mainline's system heap with devices that bounce", re.search(
        r"^system: mainline's heap passed ([1-9]\d*) of \1 checks", table, re.M), boot.log)
    cases.no_report(boot)
    cases("make run", boot.status == 0 and boot.exit_status() == 0 and re.search(
        r"^rmem-heap-check: [1-9]\d* passed, 0 failed", table, re.M), boot.log)
