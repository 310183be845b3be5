#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: kunit-qemu.sh KERNEL [high]    the KUnit suites under kunit.py on QEMU's "virt" machine
#
# KERNEL is arm64, arm64-64k, arm or arm-lpae, as harness/kernel.sh builds them. With `high`
# the regions lie where a 32-bit kernel does not map memory for good: above 4 GiB for
# arm-lpae. Prints TAP.
. "$(dirname "$0")/lib.sh"

kernel=${1:-} high=${2:-}
dir=$build/kunit-$kernel${high:+-$high}
offset=0x40000000 mem=1G
case $kernel-$high in
arm64-|arm64-64k-) arch=arm64 qemu=qemu-system-aarch64 prefix=aarch64-linux-gnu- ;;
arm-|arm-high|arm-lpae-|arm-lpae-high) arch=arm qemu=qemu-system-arm prefix=arm-linux-gnueabihf- ;;
*) die "usage: kunit-qemu.sh arm64|arm64-64k|arm|arm-lpae [high]; high is for 32 bits" ;;
esac
case $kernel-$high in
arm-high) high=0x80000000 mem=3G ;;
arm-lpae-high) high=0x100000000 mem=5G ;;
esac

"$root/harness/deps.sh" qemu-system-arm device-tree-compiler python3
[ -d "$build/$kernel" ] || die "there is no build/$kernel; run: harness/kernel.sh ${kernel/-/ }"
lock_folder "$dir"
machine=(-machine virt -m "$mem")
[ "$arch" = arm ] || machine+=(-cpu max)
"$qemu" "${machine[@]}" -nodefaults -display none -machine dumpdtb="$dir/machine.dtb" >"$dir/dump.log" 2>&1 ||
	die "$qemu cannot write its device tree: $(tail -n 1 "$dir/dump.log")"
{
	dtc -q -I dtb -O dts "$dir/machine.dtb"
	"$root/harness/dts-gen/virt.py" $offset $high <"$root/lib/kunit-tests/rmem_heap_test.dts"
} >"$dir/test.dts"
dtc -q -I dts -O dtb -o "$dir/test.dtb" "$dir/test.dts"

setpriv --pdeathsig INT "$build/tree/tools/testing/kunit/kunit.py" exec --build_dir="$build/$kernel" --arch="$arch" \
	--cross_compile="$prefix" --qemu_args="-m $mem -nic none -dtb $dir/test.dtb" \
	--raw_output=all --timeout="${TIMEOUT:-900}" --kernel_args "$export_arg" \
	"${FILTER:-rmem_heap_*}"
