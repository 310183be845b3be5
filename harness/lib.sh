# SPDX-License-Identifier: GPL-2.0
# Shared by the bash scripts of this directory: source it, do not run it.
set -euo pipefail
umask 022
export LC_ALL=C
# A make that calls us must not make ours silent, or build another kernel than we ask for.
unset MAKEFLAGS MFLAGS MAKELEVEL TARGET VARIANT DEBUG LLVM
# Where e2fsprogs is, for instance
PATH=$PATH:/usr/sbin:/sbin

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
self=${0##*/}

# What the test regions need besides their tree, lib/kunit-tests/rmem_heap_test.dts
export_arg='rmem_heap.export=carveout@15000000:linux,bank@1a000000 rmem_heap.export=!held@1b000000:!own@1e400000'
# Control groups are to limit the heaps.
accounting_arg=dma_heap.mem_accounting=1

# A script that another one has started ends with it, and so does a command after $tied. bash
# ends at once from a signal that has no trap, and leaves its children behind.
tied="setpriv --pdeathsig KILL"
if [ "${tied_to:-$$}" != $$ ]; then
	tied_to=$$ exec setpriv --pdeathsig TERM bash "$0" "$@"
fi
export tied_to=$$

say() { echo "${self%.sh}: $*"; }
die() { echo "${self%.sh}: $*" >&2; exit 1; }

# Only one at a time may change build/tree, while nobody builds it (`lock shared`); and only
# one at a time may build in a folder (`lock_folder`).
lock() {
	mkdir -p "$build"
	exec 9>"$build/.lock"
	flock -n ${1:+-s} 9 && return
	say "waiting for another run to finish (build/.lock)"
	flock ${1:+-s} 9
}
lock_folder() {
	mkdir -p "$1"
	# What the caller has locked is ours.
	case ":${locked_folders:-}:" in *":$1:"*) return ;; esac
	export locked_folders=${locked_folders:-}:$1
	exec 8>"$1/.lock"
	flock -n 8 && return
	say "waiting for another run to finish (${1#"$root/"}/.lock)"
	flock 8
}

# machine SECONDS COMMAND...: run a machine, for no longer than that (0: for ever), and return
# its status, or 124. A script that does so calls machine_gone at its exit. bash waits in no
# other way that a signal ends at once.
machine() {
	local timer= late= rc=0
	trap 'late=1' ALRM
	$tied "${@:2}" <&0 &
	machine_pid=$!
	if [ "$1" != 0 ]; then
		$tied sh -c "$tied"' sleep "$1"; kill -ALRM "$2"' sh "$1" $$ </dev/null >/dev/null 2>&1 &
		timer=$!
	fi
	wait "$machine_pid" 2>/dev/null || rc=$?
	if [ -n "$late" ]; then
		rc=124
		kill -TERM "$machine_pid" 2>/dev/null
		for _ in {1..50}; do
			kill -0 "$machine_pid" 2>/dev/null || break
			sleep 0.1
		done 2>/dev/null
		kill -KILL "$machine_pid" 2>/dev/null
		wait "$machine_pid" 2>/dev/null
	elif [ -n "$timer" ]; then
		kill -KILL "$timer" 2>/dev/null
		wait "$timer" 2>/dev/null
	fi
	machine_pid=
	return $rc
}
machine_gone() {
	# A second signal would end the script before it has tidied up.
	trap '' INT TERM HUP
	[ -n "${machine_pid:-}" ] || return 0
	kill -KILL "$machine_pid" 2>/dev/null || true
	wait "$machine_pid" 2>/dev/null || true
	machine_pid=
}

# result STATUS NAME: a TAP line; counts in n and bad
result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		bad=$((bad + 1))
		echo "not ok $n - $2"
	fi
}

# run_make LOG MAKE-ARGUMENTS...: make, with its output in LOG and progress on stdout:
# a counter on a terminal, else a line every ten seconds. Warnings are shown at once.
run_make() {
	local log=$1 n=0 next=$((SECONDS + 10)) line rc=0
	shift
	{ make "$@" 8>&- 9>&- 2>&1 || echo "exit status $?"; } | tee "$log" | {
		while IFS= read -r line; do
			case $line in
			"exit status "*) rc=1 ;;
			"  "[A-Z]*) n=$((n + 1)) ;;
			*warning:*|*" error:"*|*WARNING:*) [ -t 1 ] && printf '\r'; echo "$line" ;;
			esac
			if [ -t 1 ]; then
				printf '\r%s: %5d steps, %d s ' "${self%.sh}" "$n" "$SECONDS"
			elif [ "$SECONDS" -ge "$next" ]; then
				next=$((SECONDS + 10))
				say "$n steps done, $SECONDS s"
			fi
		done
		[ ! -t 1 ] || printf '\r'
		exit $rc
	} && return
	# The first errors: what follows is mostly make saying that it stops.
	grep -vE '^  [A-Z]|^make.*(Entering|Leaving|unfinished|Makefile[^ ]*: .*Error)' "$log" |
		grep -E -A 4 'rror:|undefined|\*\*\*' | head -n 20 >&2 || true
	die "make failed; the whole output is in ${log#"$root/"}"
}
