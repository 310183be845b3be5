#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: hostile.sh [fixed | all | BLOCK... | FIRST-LAST...]    boot trees that nobody would write
#
# Trees are drawn by hypothesis, valid, odd or broken, in blocks of 100, and booted. The machine
# must not crash, hang or complain; each region must be what `rmem-heap check` predicts; every heap
# must work, and every refusal have a reason. `fixed` (the default) is block 1 and the trees in
# hostile/kept, which have failed once; `all` is 20 blocks, and goes on where it was interrupted.
#
# A block ends with its first failure, which is made as small as it can be, in
# build/hostile/failed; SHRINK=0 leaves that out. Prints TAP.
. "$(dirname "$0")/lib.sh"

dir=$build/hostile
src=$root/harness/hostile
[ $# -gt 0 ] || set -- fixed
for arg; do
	[[ $arg =~ ^(fixed|all|[0-9]+|[0-9]+-[0-9]+)$ ]] ||
		die "usage: hostile.sh [fixed | all | BLOCK... | FIRST-LAST...]"
done
kernel=$build/${KERNEL:-um}
[ -x "$kernel/linux" ] || die "there is no ${kernel#"$root/"}/linux; run: make kernel TARGET=um"

"$root/harness/deps.sh" gcc libc6-dev libfdt-dev make device-tree-compiler \
	python3 python3-hypothesis python3-libfdt
lock_folder "$dir"
gcc -static -O2 -Wall -Wextra -Werror -o "$dir/init.new" "$src/init.c"
cmp -s "$dir/init.new" "$dir/init" || mv "$dir/init.new" "$dir/init"
rm -f "$dir/init.new"
make -s -C "$root/tools/dma/rmem-heap" OUTPUT="$dir"
"$root/harness/check/initrd.sh" "$dir/init.cpio" init="$dir/init" >/dev/null
# Debian's Python, which has the two modules
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -u "$src/hostile.py" "$root" "$dir" "$@"
