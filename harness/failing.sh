#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: failing.sh [paths|first|boot]    failing memory on the debug kernel. Prints TAP.
#
# paths: every allocation of everything that a program can reach fails, one after the other,
# see tools/testing/selftests/rmem-heap/rmem-heap-fail.c. ONLY=TEXT for some of them,
# BREAK=WHAT to see the checks fail. first: those of drivers that make the heap of their
# region, which happens once. boot: those of the boot, see failing.py; POINTS=0 for all.
# Without an argument all of them.
#
# Not here: .vmap, which nothing in this kernel calls for a program. The KUnit suite
# rmem_failing_map does, in test.sh.
. "$(dirname "$0")/lib.sh"

what=${1:-all}
dir=$build/failing
n=0 bad=0
case $what in all|paths|first|boot) ;; *) die "the argument can only be: paths, first or boot" ;; esac
lock_folder "$dir"

"$root/harness/deps.sh" gcc libc6-dev make device-tree-compiler python3
make -s -C "$root/tools/testing/selftests/rmem-heap" OUTPUT="$dir" \
	CFLAGS="-O2 -Wall -Wextra -Werror" "$dir/rmem-heap-fail"
"$root/harness/check/initrd.sh" "$dir/fail.cpio" init="$dir/rmem-heap-fail" >/dev/null

dtc -q -I dts -O dtb -o "$dir/fuzz.dtb" "$root/harness/dts/fuzz.dts"

# Our numbers instead of those of the boot; the rest of the console is in the log
relay() {
	local line
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		"ok "*) result 0 "${line#ok * - }" ;;
		"not ok "*) result 1 "${line#not ok * - }" ;;
		"# "*) echo "$line" ;;
		esac
	done
}

# Boots and lets the TAP through as it comes
boot() { # NAME DTB PARAMETERS
	local log=$dir/$1.log rc

	say "$1: ${log#"$root/"}"
	relay < <(MEM=512M DTB=$2 INITRD=$dir/fail.cpio TIMEOUT=3600 \
		APPEND="$3 ${ONLY:+only=$ONLY} ${BREAK:+break=$BREAK}" \
		"$root/harness/boot.sh" debug 2>&1 </dev/null | tee "$log")
	grep -q '^rmem-heap-fail: done' "$log" && rc=0 || rc=1
	result $rc "$1: got to its end"
	rc=0
	"$root/harness/reports.sh" "$log" || rc=1
	result $rc "$1: no report"
}

# Drivers that make the heap of their region, which each can do once: after the boot, where
# failures can be injected. So they wait for a supplier, `gate`, whose own probe fails at
# boot, as `holder` has all the memory of its region.
first_dts() { # MODE
	local i

	cat <<-END
	/dts-v1/;
	/ {
		#address-cells = <2>;
		#size-cells = <2>;
		compatible = "linux,um";

		reserved-memory {
			#address-cells = <2>;
			#size-cells = <2>;
			ranges;

			gates: gates@10000000 { reg = <0 0x10000000 0 0x10000>; };
	END
	for ((i = 1; i <= firsts; i++)); do
		printf 'r%d: late-%d@%x { reg = <0 0x%x 0 0x40000>; %s };\n' $i $i \
			$((0x11000000 + i * 0x40000)) $((0x11000000 + i * 0x40000)) "$(
			case $1 in
			coherent) echo 'compatible = "shared-dma-pool"; no-map;' ;;
			restricted) echo 'compatible = "restricted-dma-pool";' ;;
			write-combined) echo 'no-map;' ;;
			esac)"
	done
	cat <<-'END'
		};
		holder { compatible = "linux,rmem-heap-sample"; memory-region = <&gates>; };
		gate: gate {
			compatible = "linux,rmem-heap-sample";
			memory-region = <&gates>;
			#clock-cells = <0>;
		};
	END
	for ((i = 1; i <= firsts; i++)); do
		printf 'first-%d { compatible = "linux,rmem-heap-sample"; ' $i
		printf 'memory-region = <&r%d>; clocks = <&gate>; %s };\n' $i \
			"$([ "$1" != write-combined ] || echo 'linux,write-combined;')"
	done
	echo "};"
}
firsts=48

first() {
	local mode from points hidden

	for mode in carveout write-combined coherent restricted; do
		first_dts $mode >"$dir/first-$mode.dts"
		dtc -q -I dts -O dtb -o "$dir/first-$mode.dtb" "$dir/first-$mode.dts"
		# Until there are fewer allocations than that
		points=$firsts
		for ((from = 0; points == firsts && from < 10 * firsts; from += firsts)); do
			boot "$mode-$from" "$dir/first-$mode.dtb" \
				"first=$from dma_heap.mem_accounting=1"
			points=$(sed -n 's/.*export: number [0-9]* on: \([0-9]*\) points.*/\1/p' \
				"$dir/$mode-$from.log")
			hidden=$(sed -n 's/^# \([0-9]*\) of .* without statistics.*/\1/p' \
				"$dir/$mode-$from.log")
			# A driver that binds later may have had more luck.
			[ "${hidden:-1000}" -le "$(grep -c 'sysfs does not show all of it' \
				"$dir/$mode-$from.log")" ] && rc=0 || rc=1
			result $rc "$mode-$from: the kernel says what it does not show"
		done
		[ -n "$points" ] && [ "$points" -lt $firsts ] && rc=0 || rc=1
		result $rc "$mode: tried all of it"
	done
}

# Failures while the kernel boots, where the heaps are made
boots() {
	say "boot: ${dir#"$root/"}/boot"
	relay < <("$root/harness/failing.py" "$dir" "${POINTS:-30}" 2>&1 ||
		echo "not ok 0 - boot: got to its end")
}

[ "$what" != all ] && [ "$what" != paths ] ||
	boot paths "$dir/fuzz.dtb" "rmem_heap.export=carveout@15000000 dma_heap.mem_accounting=1"
[ "$what" != all ] && [ "$what" != first ] || first
[ "$what" != all ] && [ "$what" != boot ] || boots
echo "1..$n"
exit $((bad != 0))
