#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: initrd.sh OUT [IMG=HOST...]    write an initial file system (newc cpio) to OUT
#
# It holds the check program as /init, the folders it mounts on, a console, and each file
# HOST as IMG. `init=HOST` takes HOST as /init instead. CROSS_COMPILE builds the check
# program for another architecture.
. "$(dirname "$0")/../lib.sh"

[ $# -ge 1 ] || die "usage: initrd.sh OUT [IMG=HOST...]"
out=$1
shift
dir=$build/check
bin=$dir${CROSS_COMPILE:+/${CROSS_COMPILE%-}}
gen=$dir/gen_init_cpio
source=$build/tree/usr/gen_init_cpio.c

[ -e "$source" ] || die "there is no build/tree; run: make tree"
"$root/harness/deps.sh" gcc make
mkdir -p "$bin" "$(dirname "$out")"

if [ ! -x "$gen" ] || [ "$source" -nt "$gen" ]; then
	gcc -O2 -o "$gen.new" "$source"
	mv "$gen.new" "$gen"
fi

files=() inputs=("$gen") dirs=(dev proc sys tmp)
init=
for arg in "$@"; do
	img=${arg%%=*} host=${arg#*=}
	img=${img#/}
	[[ $arg == ?*=?* ]] || die "'$arg' is not path-in-image=path-on-host"
	[[ $arg != *[[:space:]]* ]] || die "'$arg' has blanks in it"
	[ -f "$host" ] || die "$host does not exist"
	[ "$img" != init ] || init=$host
	mode=644
	[ ! -x "$host" ] || mode=755
	files+=("file /$img $(realpath "$host") $mode 0 0")
	inputs+=("$host")
	while [[ $img == */* ]]; do
		img=${img%/*}
		dirs+=("$img")
	done
done
if [ -z "$init" ]; then
	make -s -C "$root/tools/testing/selftests/rmem-heap" OUTPUT="$bin" ||
		die "cannot build the check program"
	files+=("file /init $bin/rmem-heap-check 755 0 0")
	inputs+=("$bin/rmem-heap-check")
fi

{
	printf '%s\n' "${dirs[@]}" | sort -u | sed 's,.*,dir /& 755 0 0,'
	echo "nod /dev/console 600 0 0 c 5 1"
	printf '%s\n' "${files[@]}"
} >"$out.list.new"

stale=
[ -e "$out" ] && cmp -s "$out.list.new" "$out.list" || stale=1
for f in "${inputs[@]}"; do
	[ ! "$f" -nt "$out" ] || stale=1
done
if [ -z "$stale" ]; then
	rm -f "$out.list.new"
	exit
fi
"$gen" -t 0 "$out.list.new" >"$out.new" || die "gen_init_cpio failed"
mv "$out.new" "$out"
mv "$out.list.new" "$out.list"
say "wrote ${out#"$root/"}"
