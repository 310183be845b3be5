#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: bench.sh [doc]    measure, beside mainline's heaps and in the same boots; with ONLY=um
# in the environment on User-Mode Linux alone
#
# Prints each target with what was measured. Results are in build/bench: results.csv,
# targets.md, plots as *.svg. `doc` copies them into Documentation, and five rows into README.md.
#
# User-Mode Linux gives times, which are noisy: medians of interleaved rounds. In the kernel,
# carveouts and their peers are measured in the time that the host gave to the processor. arm64 in
# QEMU counts instructions instead, in steps of 16: its clock is their number.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

doc=${1:-}
arm64=aarch64-linux-gnu-
[ "${ONLY:-}" != um ] || arm64=
dir=$build/bench
bench=$build/tree/tools/testing/selftests/rmem-heap
heaps=carveout:bank@5c000000,cma:video@50000000,cma_heap:default_cma_region
heaps+=,coherent:vram@54000000,restricted:guest@58000000,system:system
# Threads on fewer: a run of these takes its time.
threads=carveout:bank@5c000000,cma:video@50000000,cma_heap:default_cma_region
threads+=,coherent:vram@54000000
several=bank1:bank@5c000000,bank2:bank@60000000,bank3:bank@64000000
kunit="kunit.enable=1 kunit.autorun=1"
export_arg=rmem_heap.export=carveout@15000000:linux,bank@1a000000
cpus=$(nproc)
cpus=$((cpus > 4 ? 4 : cpus))

cd "$root"
"$root/harness/deps.sh" gcc libc6-dev make device-tree-compiler python3 gnuplot-nox \
	${arm64:+gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm}
mkdir -p "$dir"
rm -f "$dir"/*.log
make -s kernel TARGET=um
make -s kernel TARGET=um VARIANT=preempt
[ -n "$arm64" ] && make -s kernel TARGET=arm64

say "the programs and device trees"
for cross in "" $arm64; do
	out=$dir/${cross:-um}
	mkdir -p "$out"
	make -s -C "$bench" OUTPUT="$out" CROSS_COMPILE="$cross" "$out/rmem-heap-bench"
	CROSS_COMPILE=$cross harness/vm.py initrd "$out.cpio" test="$out/rmem-heap-bench"
done
dtc -q -I dts -O dtb -o "$dir/bench.dtb" harness/dts/bench.dts
dtc -q -I dts -O dtb -o "$dir/bench-carveout.dtb" harness/dts/bench-carveout.dts
harness/dts-gen/many.sh 126 | sed '/export;/d' | dtc -q -I dts -O dtb -o "$dir/many.dtb"
dtc -q -I dts -O dtb -o "$dir/test.dtb" lib/kunit-tests/rmem_heap_test.dts

# boot NAME COMMAND...: what it prints goes to NAME.log; it must get to its end
boot() {
	local name=$1
	shift
	say "$name"
	"$@" >"$dir/$name.log" 2>&1 </dev/null || true
	grep -qE '^(bench: done|# bench: done)|^reboot: System halted' "$dir/$name.log" &&
		! grep -qE '^bench: failed' "$dir/$name.log" &&
		"$root/harness/vm.py" reports "$dir/$name.log" || {
		tail -n 20 "$dir/$name.log"
		die "$name failed; the console is in build/bench/$name.log"
	}
}
um() { # APPEND
	env MEM=2G DTB="$dir/bench.dtb" INITRD="$dir/um.cpio" APPEND="$1" TIMEOUT=600 \
		"$root/harness/vm.py" boot um
}
arm64() { # APPEND [QEMU-OPTION...]
	local append=$1
	shift
	env MEM=2G DTSI="$root/harness/dts/bench-regions.dtsi" TIMEOUT=600 \
		INITRD="$dir/aarch64-linux-gnu-.cpio" APPEND="loglevel=7 $append" \
		"$root/harness/vm.py" boot arm64 "$@"
}
um_kunit() { # SUITE: the numbers that the tests print
	env MEM=1G DTB="$dir/test.dtb" TIMEOUT=300 \
		APPEND="$kunit kunit_shutdown=halt kunit.filter_glob=$1 $export_arg" \
		"$root/harness/vm.py" boot um
}
um_carveout() { # FILTER [KERNEL]: the suites that compare carveouts, on one processor
	taskset -c 0 env KERNEL="${2:-}" MEM=2G DTB="$dir/bench-carveout.dtb" TIMEOUT=600 \
		APPEND="$kunit kunit_shutdown=halt kunit.filter_glob=$1" "$root/harness/vm.py" boot um
}
um_regions() { # boots with 126 regions, none of them exported; a console is slow to print
	local i names
	names=$(grep -ohP '^\w+_initcall\(\K\w+' kernel/dma/rmem*.c | paste -sd ,)
	for ((i = 0; i < 9; i++)); do
		taskset -c 0 env KERNEL=um-preempt MEM=1G DTB="$dir/many.dtb" TIMEOUT=60 \
			INITRD="$dir/um.cpio" APPEND="loglevel=6 runs= rmem_bench_initcalls=$names" \
			"$root/harness/vm.py" boot um
	done
}
count="-icount shift=0,sleep=off"

# One processor of the host: else it is the host's scheduler that is measured.
boot um taskset -c 0 env MEM=2G DTB="$dir/bench.dtb" INITRD="$dir/um.cpio" TIMEOUT=600 \
	APPEND="$kunit kunit.filter_glob=rmem_bench heaps=$heaps runs=alloc,sustained,map rounds=100" \
	"$root/harness/vm.py" boot um
boot um-carveout um_carveout rmem_bench_carveout
boot um-peers um_carveout rmem_bench_peers
boot um-preempt um_carveout rmem_bench_carveout.rmem_bench_preemption um-preempt
boot um-regions um_regions
boot um-map um "heaps=$heaps runs=map rounds=60"
boot um-threads um "ncpus=$cpus heaps=$threads runs=threads"
boot um-several um "ncpus=$cpus heaps=$several runs=threads"
boot um-import um_kunit rmem_heap_import
if [ -n "$arm64" ]; then
	boot arm64 arm64 "$kunit kunit.filter_glob=rmem_bench heaps=$heaps runs=alloc,sustained,map,map-small rounds=20" \
		$count
	boot arm64-metadata arm64 "sysctl.vm.mem_profiling=1 heaps=$heaps runs=metadata" $count
	SMP=$cpus boot arm64-threads arm64 "heaps=$threads runs=threads"
	SMP=$cpus boot arm64-several arm64 "heaps=$several runs=threads"
fi

say "the targets"
python3 harness/bench/report.py "$dir"
for plot in alloc map ${arm64:+map-instructions threads}; do
	gnuplot -e "dir='$dir'; gp='harness/bench'" "harness/bench/$plot.gp"
done
say "results are in build/bench: results.csv, targets.md and plots"

if [ "$doc" = doc ]; then
	python3 harness/bench/report.py "$dir" doc "$root"
	say "README.md and Documentation/driver-api/rmem-heap-bench are up to date"
fi
