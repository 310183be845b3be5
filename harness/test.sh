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
if [ "$all" = all ]; then
	# What has passed with these very files need not pass again.
	resume=$logs/passed/$(contents)
	[ ! -e "$resume" ] || say "going on where an earlier run ended"
fi

say "the kernel"
make -s kernel TARGET=um
prepare

suite "style: checkpatch, sparse, W=1, kernel-doc" harness/style.sh
suite "binding" harness/bindings/check.sh
kunit "KUnit" "" "$logs/test.dtb" 'rmem_heap_*' "$export_arg"
kunit "KUnit, hostile tree" "" "$logs/hostile.dtb" 'rmem_heap_regions'
for n in 64 140; do
	kunit "KUnit, $n regions" "" "$logs/many$n.dtb" 'rmem_heap_regions'
done
suite "make run" harness/run-tap.sh
suite "boots of odd kinds" harness/boots.sh
suite "selftest" selftest ""
suite "user mappings" mappings um
suite "the tool" tool
one "the tool is installed" tool_install

say "the debug kernel"
make -s kernel TARGET=um DEBUG=1
kunit_debug "KUnit, debug kernel" "$logs/test.dtb" "$suites" "$export_arg"
kunit_debug "KUnit, debug kernel, hostile tree" "$logs/hostile.dtb" rmem_heap_regions
kunit_smp "KUnit, debug kernel, two processors" "$logs/test.dtb" \
	rmem_heap_alloc,rmem_heap_consistency,rmem_heap_import,rmem_heap_carveout,rmem_heap_export \
	"$export_arg"
suite "make run, debug kernel" harness/run-tap.sh debug
suite "selftest, debug kernel" selftest debug

if [ "$all" = all ]; then
	suite "kunit.py run, with its own configuration" kunit_run
	say "the kernel with cma_heap as a module"
	harness/kernel.sh um modules
	suite "boots with cma_heap as a module" harness/boots.sh modules
	say "the kernel without our code"
	harness/kernel.sh um plain
	suite "the tool without our code" tool plain
	say "the arm64 kernel"
	make -s kernel TARGET=arm64
	suite "user mappings, arm64" mappings arm64
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
