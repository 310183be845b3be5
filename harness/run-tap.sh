#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: run-tap.sh [debug]    run.sh, with a TAP line for each region that its table must show
. "$(dirname "$0")/lib.sh"

out=$build/test/run-tap.out
rc=0
mkdir -p "$build/test"
"$root/harness/run.sh" ${1:-} | tee "$out" || rc=$?

# Region, kind, and whether it has a heap that passed its checks
n=0 bad=0
while read -r region kind heap; do
	n=$((n + 1))
	if awk -v region="$region" -v kind="$kind" -v heap="$heap" '
		/^REGION / { table = 1 }
		table && $1 == region && $2 == kind {
			if (heap == "yes" ? / ok \([1-9][0-9]* checks\)/ : / not exported:/) found = 1
		}
		END { exit !found }' "$out"
	then
		echo "ok $n - $region, $kind, heap: $heap"
	else
		bad=$((bad + 1))
		echo "not ok $n - $region, $kind, heap: $heap"
	fi
done <<'END'
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
END
n=$((n + 1))
if grep -qE "^system: mainline's heap passed ([1-9][0-9]*) of \1 checks" "$out"; then
	echo "ok $n - mainline's system heap with devices that bounce"
else
	bad=$((bad + 1))
	echo "not ok $n - mainline's system heap with devices that bounce"
fi
n=$((n + 1))
if [ "$rc" = 0 ]; then
	echo "ok $n - make run"
else
	bad=$((bad + 1))
	echo "not ok $n - make run, status $rc"
fi
exit $((bad != 0))
