#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: failing.sh [paths|first|boot|functions]    failing memory. Prints TAP.
#
# paths: every allocation of everything that a program can reach fails, one after the other,
# see tools/testing/selftests/rmem-heap/rmem-heap-fail.c. ONLY=TEXT for some of them,
# BREAK=WHAT to see the checks fail. first: those of drivers that make the heap of their
# region, which happens once. boot: those of the boot, see failing.py; POINTS=0 for all.
# Without an argument these three, on the debug kernel.
#
# functions: what heaps call fails, one function after the other, in all of the paths, see
# lib/kunit-tests/rmem_heap_fail.c. That takes kprobes, so it is on arm64, in QEMU, with the
# kernel of make kernel TARGET=arm64 VARIANT=fail.
. "$(dirname "$0")/lib.sh"

what=${1:-all}
dir=$build/failing
n=0 bad=0
case $what in
all|paths|first|boot|functions) ;;
*) die "the argument can only be: paths, first, boot or functions" ;;
esac
lock_folder "$dir"

"$root/harness/deps.sh" gcc libc6-dev make device-tree-compiler python3
program() { # OUT [CROSS_COMPILE=PREFIX]
	mkdir -p "$1"
	make -s -C "$build/tree/tools/testing/selftests/rmem-heap" OUTPUT="$1" \
		USERCFLAGS=-Werror "${@:2}" "$1/rmem-heap-fail"
	env "${@:2}" "$root/harness/vm.py" initrd "$1/fail.cpio" test="$1/rmem-heap-fail" >/dev/null
}

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

# The core says once, and once only, when a .vmap fails: that is expected, and nothing else.
vmap_warned() { # LOG: leaves LOG.rest
	tr -d '\r' <"$1" | awk -v rest="$1.rest" '
	/WARNING: .*at dma_buf_vmap\+/ { own = 1; n++ }
	!own { print >rest }
	/---\[ end trace/ { own = 0 }
	END { exit n != 1 || own }'
}

# Boots and lets the TAP through as it comes
boot() { # NAME PARAMETERS COMMAND...
	local name=$1 log=$dir/$1.log rc

	say "$name: ${log#"$root/"}"
	relay < <(TIMEOUT=3600 \
		APPEND="$2 ${ONLY:+only=$ONLY} ${BREAK:+break=$BREAK}" \
		"${@:3}" 2>&1 </dev/null | tee "$log")
	grep -q '^rmem-heap-fail: done' "$log" && rc=0 || rc=1
	result $rc "$name: got to its end"
	if grep -q '^ok .*vmap by a driver: [1-9]' "$log"; then
		rc=0
		vmap_warned "$log" || rc=1
		result $rc "$name: the core's WARN for a .vmap that fails, once"
		log=$log.rest
	fi
	rc=0
	"$root/harness/vm.py" reports "$log" || rc=1
	result $rc "$name: no report"
}
boot_debug() { # NAME DTB PARAMETERS
	INITRD=$dir/fail.cpio MEM=512M DTB=$2 boot "$1" "$3" "$root/harness/vm.py" boot um-debug
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
			boot_debug "$mode-$from" "$dir/first-$mode.dtb" \
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
	rm -rf "$dir/boot"
	mkdir "$dir/boot"
	relay < <("$root/harness/failing.py" "$dir" "${POINTS:-30}" 2>&1 ||
		echo "not ok 0 - boot: got to its end")
}

# The same regions and devices, where the "virt" machine has memory
functions() {
	"$root/harness/deps.sh" qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	[ -e "$build/arm64-fail/arch/arm64/boot/Image" ] ||
		die "there is no kernel for it; run: make kernel TARGET=arm64 VARIANT=fail"
	program "$dir/arm64" CROSS_COMPILE=aarch64-linux-gnu-
	"$root/harness/dts-gen/virt.py" 0x40000000 <"$root/harness/dts/fuzz.dts" >"$dir/fuzz.dtsi"
	INITRD=$dir/arm64/fail.cpio MEM=1G DTSI=$dir/fuzz.dtsi boot functions \
		"functions=1 rmem_heap.export=carveout@15000000 dma_heap.mem_accounting=1" \
		"$root/harness/vm.py" boot arm64-fail
}

if [ "$what" = functions ]; then
	functions
else
	program "$dir"
	dtc -q -I dts -O dtb -o "$dir/fuzz.dtb" "$root/harness/dts/fuzz.dts"
fi
[ "$what" != all ] && [ "$what" != paths ] ||
	boot_debug paths "$dir/fuzz.dtb" "rmem_heap.export=carveout@15000000 dma_heap.mem_accounting=1"
[ "$what" != all ] && [ "$what" != first ] || first
[ "$what" != all ] && [ "$what" != boot ] || boots
echo "1..$n"
exit $((bad != 0))
