#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: mutants.sh [few]    whether the KUnit suites notice mistakes in the code; `few`: those
# that harness/mutants/few lists
#
# Each harness/mutants/*.patch makes one mistake. Its first line says which, and the second is
# one of
#	Fails: CASE...	    KUnit cases that must fail; boot: the kernel must not get to its
#			    end; report: it must complain; tool, boots, cases, run: these
#			    suites of test.sh must fail; boots:PATTERN, cases:PATTERN: of
#			    their boots, those whose name matches (? for a blank)
#	Fails: debug	    only the debug kernel shows it: not run here
#	Survives: REASON    User-Mode Linux cannot show it: not run here
# The mistake is built into a copy of build/um, from a copy of the source file: build/tree and
# build/um stay as they are. What has been judged is not run again, as long as the code and the
# tests are the same; the results are in build/mutants. From the environment:
#   ONLY=pattern    mutants whose name matches, import-* for instance
# Prints TAP, and at the end how many were caught.
. "$(dirname "$0")/lib.sh"
logs=$build/mutants/log
. "$(dirname "$0")/suites.sh"

dir=$build/mutants
out=$dir/um
few=${1:-}
[ -z "$few" ] || [ "$few" = few ] || die "the argument can only be: few"
n=0 bad=0 caught=0 survived=0 left_out=0
# The slowest of the suites needs a tenth of it.
export KUNIT_TIMEOUT=60 KERNEL=mutants/um

cd "$root"
"$root/harness/deps.sh" gcc make patch
lock_folder "$dir"
mkdir -p "$dir/results"
make -s kernel TARGET=um >&2
prepare >&2
lock shared

# --- A kernel of one's own -----------------------------------------------------------------

# Most of the time of a build goes into finding out that there is nothing to do: what kbuild does
# to compile a file and to link the kernel is recorded once, and done again for each mutant.
copy_kernel() {
	[ "$out/link" -nt "$build/um/linux" ] && return
	say "copying build/um" >&2
	rm -rf "$out"
	cp -a "$build/um" "$out"
	rm "$out/kernel/dma/rmem_heap.o"
	make -C "$tree" O="$out" ARCH=um V=1 linux >"$out/record" 2>&1 8>&- 9>&- ||
		die "make failed; the whole output is in ${out#"$root/"}/record"
	sed -n 's/^+ \(.*\) -o vmlinux.unstripped /\1 -o linux.new /p' "$out/record" >"$out/link.new"
	[ -s "$out/link.new" ] || die "${out#"$root/"}/record does not say how a kernel is linked"
	mv "$out/link.new" "$out/link"
}

with_mistake() { # MUTANT
	local f command
	rm -rf "$dir/source"
	for f in $(sed -n 's,^+++ b/\([^\t]*\).*,\1,p' "$1"); do
		[[ $f == *.c && -e $tree/$f ]] || { echo "there is no source file $f"; return 1; }
		install -D "$tree/$f" "$dir/source/$f"
		touched+=("${f%.c}.o")
	done
	patch -d "$dir/source" -p1 -F1 -s --no-backup-if-mismatch -r - <"$1" || return 1
	for f in "${touched[@]}"; do
		command=$(sed -n '1s/^savedcmd_[^ ]* := //p' "$out/$(dirname "$f")/.$(basename "$f").cmd")
		(cd "$out" && eval "${command/"$tree/${f%.o}.c"/"$dir/source/${f%.o}.c"}") || return 1
	done
}
build_kernel() {
	(cd "$out" && eval "$(cat link)" && mv linux.new linux)
}
without_mistake() {
	local f
	for f in "${touched[@]}"; do
		cp -p "$build/um/$f" "$out/$f"
	done
	touched=()
}
touched=()
trap 'trap "" INT TERM HUP; without_mistake' EXIT

# --- What a kernel does --------------------------------------------------------------------

# What fails in a log: cases, `boot` if the kernel did not get to its end, `report`
failures() { # LOG
	sed -n 's/^    not ok [0-9]* -* *\([a-z0-9_]*\).*/\1/p' "$1"
	whole "$1" || echo boot
	"$root/harness/reports.sh" "$1" >/dev/null || echo report
}

# The suites until something fails: they share no state
suites_fail() { # LOG
	local suite found
	for suite in test hostile many140; do
		log=$1.$suite
		case $suite in
		test) set -- "$1" 'rmem_heap_*' "$export_arg" "$accounting_arg" ;;
		hostile) set -- "$1" 'rmem_heap_regions*' ;;
		many140) set -- "$1" 'rmem_heap_regions*' "$accounting_arg" ;;
		esac
		kunit_boot "" "$logs/$suite.dtb" "${@:2}" >"$log" 2>&1 </dev/null 8>&- 9>&- || true
		found=$(failures "$log" | sort -u | tr '\n' ' ')
		[ -z "$found" ] || { echo "$found"; return; }
	done
}

# Those of the slower suites that are expected to fail
slow_suites_fail() { # LOG EXPECTED...
	local suite boots
	for suite in "${@:2}"; do
		boots=*
		[[ $suite != *:* ]] || boots=${suite#*:}
		case $suite in
		tool) tool ;;
		boots* | cases*) BOOTS=$boots "harness/${suite%%:*}.sh" ;;
		run) harness/run-tap.sh ;;
		*) continue ;;
		esac >"$1.$suite" 2>&1 </dev/null 8>&- 9>&- && ! grep -q '^ *not ok ' "$1.$suite" ||
			echo "$suite"
	done
}

# What decides about a result, but for the mutant itself
sources() {
	find kernel include lib patches -type f -print0 |
		sort -z | xargs -0 sha1sum
	cat "$build/tree.state/base"
	gcc --version
}
sources=$(sources | sha1sum | cut -d ' ' -f 1)

# judge NAME [MUTANT EXPECTED...]: sets found to what fails
judge() {
	local key at= result=$dir/results/$1 log=$logs/$1
	key=$sources$(sed 1,2d "${2:-/dev/null}" | sha1sum)
	[ ! -e "$result" ] || { read -r at && read -r found; } <"$result" || at=
	[ "$at" != "$key" ] || return 0
	{ [ $# = 1 ] || with_mistake "$2"; } >"$log.build" 2>&1 && build_kernel >>"$log.build" 2>&1 || {
		found="does not apply or build: ${log#"$root/"}.build"
		return 0
	}
	found=$(suites_fail "$log")
	[ -n "$found" ] || found=$(slow_suites_fail "$log" "${@:3}" | tr '\n' ' ')
	# What survives may be expected to fail in other suites next time.
	[ $# -gt 1 ] && [ -z "$found" ] || printf '%s\n%s\n' "$key" "$found" >"$result"
}

# --- The mutants ---------------------------------------------------------------------------

names() {
	if [ -n "$few" ]; then
		cat harness/mutants/few
	else
		(cd harness/mutants && ls ./*.patch | sed 's,^\./,,; s/\.patch$//')
	fi
}

mutant() { # NAME
	local file=harness/mutants/$1.patch expected reason missing= case
	expected=$(sed -n '2s/^Fails: //p' "$file")
	reason=$(sed -n '2s/^Survives: //p' "$file")
	[ "$expected" != debug ] || reason="only the debug kernel shows it"
	[ -n "$expected$reason" ] || { result 1 "$1: its second line says nothing"; return; }
	if [ -n "$reason" ]; then
		left_out=$((left_out + 1))
		result 0 "$1 # SKIP $reason"
		return
	fi

	judge "$1" "$file" $expected
	without_mistake
	case $found in
	"")
		survived=$((survived + 1))
		result 1 "$1: survived"
		return ;;
	does*)
		result 1 "$1: $found"
		return ;;
	esac
	caught=$((caught + 1))
	for case in $expected; do
		[[ " $found " == *" $case "* || " $found " == *" boot "* ]] || missing+=" $case"
	done
	[ -z "$missing" ] || { result 1 "$1: not by$missing, by: $found"; return; }
	result 0 "$1: $found"
}

copy_kernel
judge unchanged
[ -z "$found" ] || die "the tests fail without any mistake: $found"
for name in $(names); do
	[[ $name == ${ONLY:-*} ]] || continue
	mutant "$name"
done
[ "$n" -gt 0 ] || die "there is no such mutant"
echo "1..$n"
echo "# $caught caught, $survived survived, $left_out not visible here"
exit $((bad != 0))
