#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: selftest.sh    build the kernel's own dma-buf heaps selftest, unmodified, for a boot
#
# Leaves build/selftest/dmabuf-heap.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/../lib.sh"

tree=$build/tree
dir=$build/selftest
cc=${CROSS_COMPILE:-}gcc
dir+=${CROSS_COMPILE:+/${CROSS_COMPILE%-}}
test=$tree/tools/testing/selftests/dmabuf-heaps/dmabuf-heap.c
headers=(drm/drm.h drm/drm_mode.h linux/bits.h linux/dma-buf.h linux/dma-heap.h)

[ -e "$test" ] || die "there is no ${test#"$root/"}; run: make tree"
"$root/harness/deps.sh" gcc make perl
mkdir -p "$dir/scripts"

sources=("$test" "$tree/tools/testing/selftests/kselftest.h")
for h in "${headers[@]}"; do
	sources+=("$tree/include/uapi/$h")
done
newer() { # OUT FILE...
	local out=$1 f
	shift
	for f; do
		[ "$f" -nt "$out" ] && return
	done
	return 1
}

if newer "$dir/dmabuf-heap" "${sources[@]}"; then
	# The headers as `make headers` would install them, but only those it needs.
	gcc -O2 -w -o "$dir/scripts/unifdef" "$tree/scripts/unifdef.c"
	for h in "${headers[@]}"; do
		mkdir -p "$dir/include/$(dirname "$h")"
		(cd "$dir" &&
		 sh "$tree/scripts/headers_install.sh" "$tree/include/uapi/$h" "include/$h") ||
			die "cannot prepare $h"
	done
	"$cc" -static -O2 -isystem "$dir/include" -I "$tree/tools/testing/selftests" \
		-o "$dir/dmabuf-heap.new" "$test" || die "cannot build ${test#"$root/"}"
	mv "$dir/dmabuf-heap.new" "$dir/dmabuf-heap"
	say "built ${dir#"$root/"}/dmabuf-heap"
fi
