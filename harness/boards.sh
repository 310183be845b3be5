#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: boards.sh    check the device trees of all boards, and boot what regions they have
#
# All boards of build/tree are compiled, and `rmem-heap check` says what it finds. The number of
# boards per rule must be that of harness/boards.table; TABLE=update writes the table.
#
# Each distinct set of regions is carried over to User-Mode Linux: sizes are scaled, addresses
# moved, what refers to the regions becomes a bare node. Each is booted under four policies: none,
# rmem_heap.export=*, the names of all regions, and either `export` in all nodes or `!` before
# all names. Each region must be what the checker predicts, and no report appear that a kernel
# without our code does not make of the same tree. What has passed need not pass again.
#
#	SHAPES=20		the sets that most boards have
#	ONLY='arm64/ti/*'	sets of these boards, or the set of this number
#	JOBS=1			so many boots at a time; else as many as there are processors
#
# What fails stays in build/boards/shapes. Prints TAP.
. "$(dirname "$0")/lib.sh"

dir=$build/boards
src=$root/harness/hostile
for kernel in "$build/${KERNEL:-um}" "$build/um-plain"; do
	[ -x "$kernel/linux" ] || die "there is no ${kernel#"$root/"}/linux; run: make boards"
done
"$root/harness/deps.sh" gcc libc6-dev libfdt-dev device-tree-compiler python3 python3-libfdt
lock_folder "$dir"
gcc -static -O2 -Wall -Wextra -Werror -o "$dir/init.new" "$src/init.c"
cmp -s "$dir/init.new" "$dir/init" || mv "$dir/init.new" "$dir/init"
rm -f "$dir/init.new"
make -s -C "$root/tools/dma/rmem-heap" OUTPUT="$dir"
"$root/harness/check/initrd.sh" "$dir/init.cpio" init="$dir/init" >/dev/null
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -u "$root/harness/boards.py" "$root" "$dir"
