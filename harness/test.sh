#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: test.sh [all]    run the tests; `all` adds those that take long
#
# Every suite prints TAP lines, "ok N - name" and "not ok N - name"; what they say is
# counted. The last line is the verdict: N passed, N failed, N skipped. Logs are in
# build/test. `all`, run again, goes on with what has not passed yet, as long as no file of
# the repository changed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suites.sh"

all=${1:-}
[ -z "$all" ] || [ "$all" = all ] || die "the argument can only be: all"
cd "$root"
# What narrows a test by hand
unset CHECK_TREE ONLY FILTER KERNEL BREAK SHRINK POINTS SHAPES TABLE TIMEOUT UML_MEM \
	UML_DTB UML_KERNEL UML_APPEND FRAGMENT OBJECTS
lock_folder "$logs"
if [ "$all" = all ]; then
	# What has passed with these very files need not pass again.
	resume=$logs/passed/$(contents)
	[ ! -e "$resume" ] || say "going on where an earlier run ended"
fi

say "the kernel"
make -s kernel TARGET=um
prepare

suite "style: checkpatch, sparse, W=1, kernel-doc" harness/style.sh
suite "first steps" harness/steps.sh
suite "binding" harness/bindings/check.sh
kunit "KUnit" "" "$logs/test.dtb" 'rmem_heap_*' "$export_arg" "$accounting_arg"
one "a driver is told that the region of an overlay comes too late" \
	grep -q "rmem-heap-test: .*/cma@10000000 came too late" "$logs/KUnit.log"
kunit "KUnit, two processors" "" "$logs/test.dtb" rmem_heap_driver "$export_arg" \
	ncpus=2 seccomp=on
kunit "KUnit, hostile tree" "" "$logs/hostile.dtb" 'rmem_heap_regions*'
for n in 64 140; do
	kunit "KUnit, $n regions" "" "$logs/many$n.dtb" 'rmem_heap_regions*' "$accounting_arg"
done
suite "make run" harness/run-tap.sh
suite "boots of odd kinds" harness/boots.sh
suite "trees of public reports" harness/cases.sh
suite "selftest" selftest ""
suite "user mappings" mappings um
suite "the tool" tool
one "the tool is installed" tool_install
one "the tool's options are completed and documented" tool_options
suite "rmem-heap check" check_tool
suite "rmem-heap check, 2000 mutated trees" harness/check-fuzz.py 2000
suite "generated device trees" harness/hostile.sh fixed

say "the debug kernel"
make -s kernel TARGET=um DEBUG=1
kunit_debug "KUnit, debug kernel" "$logs/test.dtb" "$suites" "$export_arg" "$accounting_arg"
kunit_debug "KUnit, debug kernel, hostile tree" "$logs/hostile.dtb" \
	rmem_heap_regions,rmem_heap_regions_sysfs
kunit_debug "KUnit, debug kernel, 140 regions" "$logs/many140.dtb" \
	rmem_heap_regions,rmem_heap_regions_sysfs "$accounting_arg"
kunit_debug "KUnit, debug kernel, two processors" "$logs/test.dtb" \
	rmem_heap_alloc,rmem_heap_consistency,rmem_heap_import,rmem_heap_carveout,rmem_heap_export,rmem_heap_segments,rmem_heap_pages \
	"ncpus=2 $export_arg"
suite "make run, debug kernel" harness/run-tap.sh debug
suite "selftest, debug kernel" selftest debug

suite "hostile users, for a minute" harness/fuzz.sh 60 1

# All that is not User-Mode Linux's normal or debug kernel, or takes long
if [ "$all" = all ]; then
	suite "failing memory" harness/failing.sh
	suite "rmem-heap check, 100000 mutated trees" harness/check-fuzz.py 100000 2
	suite "generated device trees, 2000" harness/hostile.sh all
	suite "hostile users, for ten minutes" harness/fuzz.sh 600
	suite "kunit.py run, with its own configuration" kunit_run
	kernel VARIANT=modules
	suite "boots with cma_heap as a module" harness/boots.sh modules
	kernel VARIANT=plain
	suite "the tool without our code" tool plain
	suite "regions of all boards" harness/boards.sh
	suite "make clients" setpriv --pdeathsig TERM make clients
	suite "make coverage" setpriv --pdeathsig TERM make coverage
	suite "mistakes that KUnit must notice" harness/mutants.sh few

	for target in um arm64; do
		kernel TARGET=$target LLVM=1
	done
	kunit "KUnit, built with clang" clang "$logs/test.dtb" 'rmem_heap_*' "$export_arg"
	for target in riscv64 x86_64; do
		kernel TARGET=$target
	done
	suite "small configurations" harness/configs.sh

	kernel TARGET=arm64
	kunit_qemu "KUnit, arm64" arm64
	suite "user mappings, arm64" mappings arm64
	suite "make demo-restricted" setpriv --pdeathsig TERM make demo-restricted
	suite "make importers" setpriv --pdeathsig TERM make importers
	kernel TARGET=arm64 VARIANT=fail
	suite "failing functions, arm64" harness/failing.sh functions
	kernel TARGET=arm64 VARIANT=64k
	kunit_qemu "KUnit, arm64 with pages of 64 KiB" arm64-64k
	kernel TARGET=arm
	kunit_qemu "KUnit, arm" arm
	kunit_qemu "KUnit, arm, high memory" arm high
	kernel TARGET=arm VARIANT=lpae
	kunit_qemu "KUnit, arm with LPAE" arm-lpae
	kunit_qemu "KUnit, arm with LPAE, above 4 GiB" arm-lpae high
	suite "make demo-framebuffer" setpriv --pdeathsig TERM make demo-framebuffer
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
