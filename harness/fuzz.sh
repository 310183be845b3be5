#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: fuzz.sh [SECONDS [SEED]]    hostile users on the debug kernel. Prints TAP.
#
# SECONDS, 600 if left out, are those of the fuzzing itself, in boots of five minutes at
# most, each with a seed of its own: with one processor and no limits, then with two
# processors and control groups. SEED, the time if left out, is printed; what happens
# depends on the scheduling, too. BREAK in the environment is the fuzzer's break=, see
# tools/testing/selftests/rmem-heap/rmem-heap-fuzz.c.
. "$(dirname "$0")/lib.sh"

seconds=${1:-600}
seed=${2:-$(date +%s)}
dir=$build/fuzz
n=0 bad=0
[[ $seconds =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] || die "SECONDS and SEED are numbers"
lock_folder "$dir"

"$root/harness/deps.sh" gcc libc6-dev make device-tree-compiler
make -s -C "$build/tree/tools/testing/selftests/rmem-heap" OUTPUT="$dir" \
	USERCFLAGS=-Werror "$dir/rmem-heap-fuzz"
"$root/harness/vm.py" initrd "$dir/fuzz.cpio" test="$dir/rmem-heap-fuzz" >/dev/null
dtc -q -I dts -O dtb -o "$dir/fuzz.dtb" "$root/harness/dts/fuzz.dts"

# Our numbers instead of those of the boot; the rest of the console is in the log
relay() { # LABEL
	local line
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		"ok "*) result 0 "$1: ${line#ok * - }" ;;
		"not ok "*) result 1 "$1: ${line#not ok * - }" ;;
		"# "*) echo "$line" ;;
		esac
	done
}

# Lets the TAP through as it comes; sets n and bad
boot() { # SECONDS SEED LABEL PARAMETERS
	local log=$dir/$2.log
	say "$3: seed $2, $1 seconds, ${log#"$root/"}"
	relay "$3" < <(MEM=512M DTB=$dir/fuzz.dtb INITRD=$dir/fuzz.cpio TIMEOUT=$(($1 * 3 + 300)) \
		APPEND="rmem_heap.export=carveout@15000000 seconds=$1 seed=$2 ${BREAK:+break=$BREAK} $4" \
		"$root/harness/vm.py" boot um-debug 2>&1 </dev/null | tee "$log")
	grep -q '^rmem-heap-fuzz: done' "$log" && rc=0 || rc=1
	result $rc "$3: seed $2 got to its end"
	rc=0
	"$root/harness/vm.py" reports "$log" || rc=1
	result $rc "$3: seed $2, no report"
}

left=$seconds
while [ "$left" -gt 0 ]; do
	# Both kinds also in a short run
	now=$(((left + 1) / 2))
	[ "$left" = "$seconds" ] || now=$left
	[ "$now" -le 300 ] || now=300
	if [ $(((seconds - left) / now % 2)) = 0 ]; then
		boot "$now" "$seed" "one processor" ""
	else
		boot "$now" "$seed" "two processors" "ncpus=2 dma_heap.mem_accounting=1"
	fi
	left=$((left - now)) seed=$((seed + 1))
done
echo "1..$n"
exit $((bad != 0))
