#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: demo-framebuffer.sh    pictures in buffers of reserved-memory heaps, on a screen
#
# Boots build/arm-vexpress in QEMU's vexpress-a9, whose pl111 display controller the kernel
# has a driver for, twice:
#   - a bank of memory without error correction is a CMA area and a carveout, and the
#     board's video memory is a heap as well: the driver imports a buffer of each, and
#     scans it out
#   - the driver allocates from the video memory itself, as the heap does: one pool
# Each picture is taken from QEMU, compared with what was drawn, and left as PNG in
# build/demo-framebuffer. Prints TAP.
. "$(dirname "$0")/lib.sh"

dir=$build/demo-framebuffer
demo=$root/harness/demo
cross=arm-linux-gnueabihf-
n=0 bad=0

"$root/harness/deps.sh" gcc-${cross%-} libc6-dev-armhf-cross python3 qemu-system-arm \
	device-tree-compiler gcc
[ -e "$build/arm-vexpress/arch/arm/boot/zImage" ] ||
	die "there is no kernel for it; run: make kernel TARGET=arm VARIANT=vexpress"
lock_folder "$dir"
rm -f "$dir"/*.png "$dir"/*.log
if [ ! "$dir/framebuffer" -nt "$demo/framebuffer.c" ]; then
	${cross}gcc -static -O2 -Wall -Wextra -Werror -o "$dir/framebuffer" "$demo/framebuffer.c"
fi
CROSS_COMPILE=$cross "$root/harness/vm.py" initrd "$dir/demo.cpio" test="$dir/framebuffer" font.txt="$demo/font.txt"

# boot NAME DTSI...
boot() {
	local name=$1 rc=0
	shift
	cat "${@/#/$root/harness/dts/}" >"$dir/$name.dtsi"
	say "$name: booting the board with $*"
	INITRD=$dir/demo.cpio DTSI=$dir/$name.dtsi TIMEOUT=${TIMEOUT:-300} \
		APPEND="demo=$name rmem_heap.export=vram@4c000000" \
		python3 "$demo/framebuffer.py" "$name" "$dir" "$n" \
		"$root/harness/vm.py" boot arm-vexpress | tee "$dir/$name.tap" || rc=1
	n=$((n + $(grep -cE '^(not )?ok ' "$dir/$name.tap" || true))) bad=$((bad + rc))

	n=$((n + 1))
	if "$root/harness/vm.py" reports "$dir/$name.log"; then
		echo "ok $n - $name: no report"
	else
		bad=$((bad + 1))
		echo "not ok $n - $name: no report (${dir#"$root/"}/$name.log)"
	fi
}

boot scanout vexpress-framebuffer.dtsi
boot pool vexpress-framebuffer.dtsi vexpress-vram.dtsi
echo "1..$n"
say "the pictures are in ${dir#"$root/"}: $(cd "$dir" && echo *.png)"
exit $((bad != 0))
