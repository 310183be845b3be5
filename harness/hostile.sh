#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: hostile.sh [fixed | all | SEED... | FIRST-LAST...]    boot trees that nobody would write
#
# For each seed a tree is generated, valid, odd or broken, and booted. The machine must not
# crash, hang or complain; each region must be what `rmem-heap check` predicts; every heap must
# work, and every refusal have a reason. `fixed` (the
# default) is seeds 1 to 100 and the trees in hostile/kept, which have failed once; `all` is
# 2,000 seeds, and goes on where it was interrupted.
#
# What fails is made as small as it can be, in build/hostile/failed; SHRINK=0 leaves that out.
# Prints TAP.
. "$(dirname "$0")/lib.sh"

dir=$build/hostile
src=$root/harness/hostile
[ $# -gt 0 ] || set -- fixed
for arg; do
	[[ $arg =~ ^(fixed|all|[0-9]+|[0-9]+-[0-9]+)$ ]] ||
		die "usage: hostile.sh [fixed | all | SEED... | FIRST-LAST...]"
done
kernel=$build/${KERNEL:-um}
[ -x "$kernel/linux" ] || die "there is no ${kernel#"$root/"}/linux; run: make kernel TARGET=um"

"$root/harness/deps.sh" gcc libc6-dev libfdt-dev device-tree-compiler python3
lock_folder "$dir"
gcc -O2 -Wall -Wextra -Werror -o "$dir/gen.new" "$src/gen.c" -lfdt
mv "$dir/gen.new" "$dir/gen"
make -s -C "$build/tree/tools/testing/selftests/rmem-heap" OUTPUT="$dir" \
	USERCFLAGS=-Werror "$dir/rmem-heap-regions"
make -s -C "$root/tools/dma/rmem-heap" OUTPUT="$dir"
"$root/harness/vm.py" initrd "$dir/init.cpio" test="$dir/rmem-heap-regions" >/dev/null
PYTHONDONTWRITEBYTECODE=1 exec python3 -u "$src/hostile.py" "$root" "$dir" "$@"
