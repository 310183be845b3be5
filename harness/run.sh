#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: run.sh [debug]    boot harness/dts/run.dts and use every region for real
#
# Prints a table of the regions. Exit status 0 only if every check held and the kernel
# had nothing to report.
. "$(dirname "$0")/lib.sh"

variant=${1:-}
dir=$build/run${variant:+-$variant}
console=$dir/console.log
# A carve-out that a device refers to is exported on the administrator's word only.
append="rmem_heap.export=fpga@1c000000"

"$root/harness/deps.sh" gcc libc6-dev libfdt-dev make device-tree-compiler
mkdir -p "$dir"
dtc -q -I dts -O dtb -o "$dir/run.dtb" "$root/harness/dts/run.dts"
make -s -C "$build/tree/tools/dma/rmem-heap" OUTPUT="$dir" CFLAGS="-O2 -Wall -static"
"$root/harness/check/initrd.sh" "$dir/run.cpio" rmem-heap="$dir/rmem-heap"

say "booting build/um${variant:+-$variant}/linux with harness/dts/run.dts, $append"
MEM=1G DTB=$dir/run.dtb INITRD=$dir/run.cpio APPEND="$append" TIMEOUT=${TIMEOUT:-300} \
	"$root/harness/boot.sh" $variant </dev/null 2>&1 | tee "$console" |
	sed -un -e '/^rmem_heap: /p' -e '/^REGION/,/^rmem-heap-check:/p' ||
	die "the boot failed; the console is in ${console#"$root/"}"

"$root/harness/reports.sh" "$console" ||
	die "the kernel reported something, see above; the console is in ${console#"$root/"}"
grep -q '^rmem-heap-check: [1-9][0-9]* passed, 0 failed' "$console" ||
	die "a check failed; the console is in ${console#"$root/"}"
say "every check held"
