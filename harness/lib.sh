# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
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

# A script that another one has started ends with it: bash ends at once from a signal that has no
# trap, and leaves its children behind.
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
