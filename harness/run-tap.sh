#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: run-tap.sh [debug]    run.sh, with a TAP line for each region and for the verdict
. "$(dirname "$0")/lib.sh"

rc=0
"$root/harness/run.sh" ${1:-} | tee "$build/test/run-tap.out" || rc=$?
# A row: region, mode, allocator, size, heap, and then what came of it.
awk -v rc="$rc" '
/^REGION / { table = 1; next }
table && /^$/ { table = 0 }
table && / ok \([0-9]+ checks\)/ { print "ok " ++n " - " $1; next }
table && / not exported:/ { print "ok " ++n " - " $1 " is not exported"; next }
table && / FAIL / { print "not ok " ++n " - " $1; next }
/^rmem-heap-check:/ { table = 0 }
END {
	print (rc ? "not ok " : "ok ") ++n " - make run"
	# The kinds that the table must show
	print (n >= 12 ? "ok " : "not ok ") ++n " - every kind of region is in the table"
}' "$build/test/run-tap.out"
exit "$rc"
