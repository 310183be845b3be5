#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: demo-restricted.sh [mmio] [pci] [controls]    a disk whose DMA goes through a restricted
# pool that is a heap as well, in QEMU: over MMIO and over PCI. Prints TAP.
#
# The disk must work beside heap buffers; with the pool exhausted by them it may wait or
# fail, but nothing may be corrupted; and it must recover. Three witnesses: the program in
# the machine compares all data, a checker in the kernel looks at all DMA addresses, and
# QEMU is asked for what the disk has seen. Afterwards the file system in the image is
# checked from here. The controls show that each witness objects where it must.
. "$(dirname "$0")/lib.sh"

dir=$build/demo-restricted
heap=disk@50000000 pool=0x50000000 pool_end=0x51000000
files=(data data2 beside direct synced churn0 churn1)	# as in demo/restricted.c
step=12345 len=$((4 << 20))
parts=${*:-mmio pci controls}
cross=aarch64-linux-gnu-
n=0 bad=0

cd "$root"
"$root/harness/deps.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm \
	device-tree-compiler e2fsprogs python3
[ -e "$build/arm64/arch/arm64/boot/Image" ] ||
	die "there is no kernel for it; run: make kernel TARGET=arm64"
lock_folder "$dir"
witness=
tmp=$(mktemp -d /tmp/demo.XXXXXX)	# a socket's path must be short
trap '[ -z "$witness" ] || kill "$witness" 2>/dev/null; rm -rf "$tmp"' EXIT

# check NAME COMMAND...: it succeeds
check() {
	local name=$1 rc=0
	shift
	"$@" >"$dir/check.log" 2>&1 </dev/null || rc=1
	result $rc "$name"
	[ $rc = 0 ] || sed 's/^/# /' "$dir/check.log" | head -n 20
}

# What file number $1 must hold
part() { tail -c +$(($1 * step + 1)) "$dir/reference" | head -c "$len" || true; }

# image FILE: a disk with the first two files
image() {
	local i
	rm -rf "$dir/root" "$1"
	mkdir "$dir/root"
	for i in 0 1; do
		part $i >"$dir/root/${files[i]}"
	done
	mke2fs -q -t ext4 -d "$dir/root" "$1" 64M >"$dir/mke2fs.log" 2>&1 || {
		cat "$dir/mke2fs.log" >&2
		die "cannot make a file system"
	}
}

# boot NAME TREE DEVICE ENVIRONMENT...: with the disk in NAME.img. The program's cases are
# ours, as they come; sets console and seen.
boot() {
	local name=$1 tree=$2 device=$3 line
	shift 3
	console=$dir/$name.log
	seen=
	{
		cat "$root/harness/dts/restricted.dtsi"
		echo "$tree"
	} >"$dir/$name.dtsi"
	python3 "$root/harness/demo/restricted-qmp.py" "$tmp/qmp" disk "$pool" "$pool_end" \
		>"$dir/$name.witness" 2>&1 </dev/null &
	witness=$!
	say "$name: booting"
	while IFS= read -r line; do
		echo "$line"
		case $line in
		"ok - "*|"not ok - "*)
			rc=0
			[[ $line == ok* ]] || rc=1
			result $rc "$name: ${line#*ok - }" >&3
			line=${line#*ok - }
			seen+="${line% (*}"$'\n'
			;;
		"demo: "*) say "$name: ${line#demo: }" >&3 ;;
		esac
	done 3>&1 >"$console" < <(
		MEM=1G SMP=2 TIMEOUT=300 DTSI=$dir/$name.dtsi INITRD=$dir/demo.cpio \
		APPEND="rmem_heap_dma_check.on=1 $*" "$root/harness/vm.py" boot arm64 \
			-drive "if=none,id=hd,format=raw,file=$dir/$name.img" \
			-device "$device,id=disk,drive=hd,iommu_platform=on,indirect_desc=off" \
			-global virtio-mmio.force-legacy=false \
			-qmp "unix:$tmp/qmp,server=on,wait=off" 2>&1 </dev/null | tr -d '\r'
	)
	kill "$witness" 2>/dev/null || true
	wait "$witness" || true
	witness=
}

# The names of the cases, which must all be there
cases=(
	"the disk's pool is the region of the heap"
	"reads are right and go through the pool"
	"reads are right beside heap buffers"
	"writes are right beside heap buffers"
	"I/O is right while the pool is exhausted and freed, over and over"
	"exhausted: I/O waits or fails"
	"exhausted: heap buffers keep what is in them"
	"freed: what waited completes and is right"
	"freed: the disk works and every file is right"
	"nothing of the pool is lost"
	"every DMA address is in the pool"
)

witnessed() { # NAME REGEX
	cat "$dir/$1.witness"
	grep -qE "^witness: [1-9][0-9]* samples, [1-9][0-9]* addresses .*, $2 outside$" \
		"$dir/$1.witness"
}

# Unmounted, that is without a journal to replay, and without a fault
clean() { # IMAGE
	local head

	e2fsck -fn "$1" && head=$(dumpe2fs -h "$1") && ! grep -w needs_recovery <<<"$head"
}

files_right() { # IMAGE
	local i rc=0
	for i in "${!files[@]}"; do
		rm -f "$dir/dumped"
		debugfs -R "dump /${files[i]} $dir/dumped" "$1"
		cmp <(part "$i") "$dir/dumped" || rc=1
	done
	return $rc
}

demo() { # NAME TREE DEVICE
	local name=$1 case
	image "$dir/$name.img"
	boot "$name" "$2" "$3" "heap=$heap"
	for case in "${cases[@]}"; do
		grep -qxF "$case" <<<"$seen" || result 1 "$name: $case (never came to it)"
	done
	check "$name: the program came to its end" grep -qx 'demo: done' "$console"
	check "$name: QEMU saw no address outside the pool ($(tail -n 1 "$dir/$name.witness"))" \
		witnessed "$name" 0
	check "$name: no report" "$root/harness/vm.py" reports "$console"
	check "$name: the file system is clean" clean "$dir/$name.img"
	check "$name: the files in the image are right" files_right "$dir/$name.img"
}

looked() { # REGEX
	grep '^look:' "$console"
	grep -qE "^look: $1$" "$console"
}

say "the program, the device trees and the disks"
head -c $((len + ${#files[@]} * step + 5 * 4096)) /dev/urandom >"$dir/reference"
"${cross}gcc" -static -O2 -Wall -Wextra -Werror -o "$dir/restricted" \
	"$root/harness/demo/restricted.c"
CROSS_COMPILE=$cross "$root/harness/vm.py" initrd "$dir/demo.cpio" test="$dir/restricted" data="$dir/reference"

mmio='&{/virtio_mmio@a003e00} { memory-region = <&disk_pool>; };'
pci='&{/pcie@10000000} { memory-region = <&disk_pool>; };'
[[ " $parts " != *" mmio "* ]] || demo mmio "$mmio" virtio-blk-device
[[ " $parts " != *" pci "* ]] || demo pci "$pci" virtio-blk-pci,disable-legacy=on

# Something is wrong: a byte on the disk, a pool that is compared with in the wrong place,
# a disk without a pool.
controls() {
	image "$dir/wrong-byte.img"
	part 0 >"$dir/part"
	python3 -c '
import sys
with open(sys.argv[1], "rb") as f, open(sys.argv[2], "r+b") as image:
    image.seek(image.read().index(f.read()[-64:]))
    image.write(b"a wrong byte")' "$dir/part" "$dir/wrong-byte.img"
	boot wrong-byte "$mmio" virtio-blk-device look=1
	check "control: wrong bytes on the disk are seen" \
		looked "data=wrong mappings=[1-9][0-9]* outside=0"
	image "$dir/shifted.img"
	boot shifted "$mmio" virtio-blk-device look=1 rmem_heap_dma_check.shift=0x1000000
	check "control: with a pool elsewhere the checker sees addresses outside" \
		looked "data=right mappings=[1-9][0-9]* outside=[1-9][0-9]*"
	image "$dir/no-pool.img"
	boot no-pool "" virtio-blk-device look=1
	check "control: without a pool the checker sees addresses outside" \
		looked "data=right mappings=[1-9][0-9]* outside=[1-9][0-9]*"
	check "control: without a pool QEMU sees addresses outside" witnessed no-pool "[1-9][0-9]*"
}
[[ " $parts " != *" controls "* ]] || controls

[ $n -gt 0 ] || die "the arguments can only be: mmio, pci, controls"
rm -f "$dir"/*.img
echo "1..$n"
exit $((bad != 0))
