#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: coverage.sh [report]    which lines and branches of kernel/dma/rmem_heap*.c are run by
# the tests on User-Mode Linux; `report`: from what earlier runs have counted
#
# The report is build/coverage/html/index.html. Each function that is not run whole is
# listed, with the reason that harness/coverage.reasons has for it; one without a reason is
# an error, and so is less than 95 percent of lines or 90 of branches.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"
logs=$build/coverage

objects=$build/um-coverage/kernel/dma
cd "$root"
"$root/harness/deps.sh" gcc lcov libjson-perl python3

mkdir -p "$logs"
if [ "${1:-}" != report ]; then
	say "the kernel"
	harness/tree.sh
	harness/kernel.sh um coverage
	export KERNEL=um-coverage
	find "$build/um-coverage" -name '*.gcda' -delete
	K='' BOOTS='' /usr/bin/python3 -m pytest -c harness/pytest.ini harness --all -k "kunit[debug or run[um] or test_boot or mappings[um] or tool[um] or \
		script[hostile] or fuzz[60] or failing_paths or failing_first" || failed=1
	unset KERNEL
fi

say "the report"
[ -e "$objects/rmem_heap.gcda" ] || die "nothing has been counted: the kernel did not end by itself"
rc="--rc lcov_branch_coverage=1 --rc genhtml_branch_coverage=1"
lcov $rc -q -c -d "$objects" -b "$build/um-coverage" -o "$logs/all.info" >"$logs/lcov.log" 2>&1 ||
	die "lcov failed; see ${logs#"$root/"}/lcov.log"
lcov $rc -q -e "$logs/all.info" '*/kernel/dma/rmem_heap*' -o "$logs/ours.info" >>"$logs/lcov.log" 2>&1
genhtml $rc -q -o "$logs/html" -p "$build/tree" "$logs/ours.info" >>"$logs/lcov.log" 2>&1 ||
	die "genhtml failed; see ${logs#"$root/"}/lcov.log"
rc=0
harness/coverage.py "$logs/ours.info" harness/coverage.reasons | tee "$logs/report.tap" || rc=1
say "the pages are in ${logs#"$root/"}/html/index.html"
[ -z "${failed:-}" ] || rc=1
exit $rc
