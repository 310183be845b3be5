#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: importers.sh [PART...]    real importers on buffers of every kind of heap, in QEMU's
# "virt" machine. Prints TAP. PART is one of
#   devices    the test consumers, vivid with both of its allocators, and QEMU's edu
#   bounce     edu behind a restricted pool; vivid and regions beyond 4 GiB
#   iommu      edu behind an SMMU
#   iommu-pool the same, with a restricted pool that the driver of edu assigns to the device
#   gpu        virtio-gpu, and its screen. QEMU needs the /dev/udmabuf of the machine that
#              it runs on; where there is none, it runs on User-Mode Linux, which has one
#   no-blobs   virtio-gpu without what it needs to import: its own buffer on the screen, and
#              imports that are refused
# and is all of them by default. `importers.sh machine PART` is just that machine, once there
# is what it boots. From the environment:
#   BREAK=WHAT     have the guest spoil a check, see harness/demo/importers*.c
#
# What the machines say is in build/importers/PART.log, what was on the screen beside it.
. "$(dirname "$0")/lib.sh"

dir=$build/importers
n=0 bad=0
parts="devices bounce iommu iommu-pool gpu no-blobs"
regions=video@50000000:vram@54000000:guest@58000000:bank@5c000000:dsp@60000000
vivid="vivid.n_devs=2 vivid.allocators=1,0 vivid.node_types=0x101,0x101"
vivid+=" vivid.num_inputs=2,2 vivid.input_types=8,8 vivid.num_outputs=1,1 vivid.output_types=0,0"
edu=(-device "edu,dma_mask=0xffffffffff")
# Where guest memory is a memfd, QEMU can make a udmabuf of a blob.
blobs=(-object "memory-backend-memfd,id=ram,size=1G,share=on" -machine memory-backend=ram)

machine() { # DTSI PROGRAM MEM APPEND COMMAND...
	local dtsi=$1 program=$2 mem=$3 append=$4
	shift 4
	MEM=$mem DTSI=$dir/$dtsi INITRD=$dir/$program.cpio TIMEOUT=${TIMEOUT:-400} \
		APPEND="rmem_heap.export=bank@5c000000:dsp@60000000 $append break=${BREAK:-}" "$@"
}

screen() { # PART BLOB [QEMU-OPTION...]
	local part=$1 blob=$2
	shift 2
	machine devices.dtsi importers-gpu 1G "heaps=$regions blob=$blob" \
		python3 "$root/harness/demo/importers-screen.py" "$dir/$part" \
		"$root/harness/vm.py" boot arm64 "$@"
}

run_part() {
	case $1 in
	devices)
		machine devices.dtsi importers 3G "$vivid heaps=$regions parts=consumer:vivid:edu" \
			"$root/harness/vm.py" boot arm64 "${edu[@]}"
		;;
	bounce)
		machine bounce.dtsi importers 4G \
			"$vivid heaps=$regions:bank@118000000:dsp@11c000000 parts=beyond:bounce pool=guest@58000000" \
			"$root/harness/vm.py" boot arm64 "${edu[@]}"
		;;
	iommu)
		machine devices.dtsi importers 3G "heaps=$regions parts=iommu" \
			"$root/harness/vm.py" boot arm64 "${edu[@]}" -machine iommu=smmuv3
		;;
	iommu-pool)
		machine pool.dtsi importers 3G \
			"heaps=$regions parts=iommu pool=guest@58000000 rmem_heap_edu.assign=1" \
			"$root/harness/vm.py" boot arm64 "${edu[@]}" -machine iommu=smmuv3
		;;
	gpu)
		screen gpu 1 "${blobs[@]}" -device virtio-gpu-pci,blob=true,xres=640,yres=480
		;;
	no-blobs)
		screen no-blobs 0 -device virtio-gpu-pci,xres=640,yres=480
		;;
	*)
		die "PART is one of: $parts"
		;;
	esac
}

case ${1:-} in
machine) run_part "${2:-}"; exit ;;
esac

[ $# -gt 0 ] || set -- $parts
for part; do
	case " $parts " in
	*" $part "*) ;;
	*) die "PART is one of: $parts" ;;
	esac
done

program() { # NAME
	aarch64-linux-gnu-gcc -static -O2 -Wall -Wextra -Werror -I "$root/lib/kunit-tests" \
		-o "$dir/$1" "$root/harness/demo/$1.c"
	CROSS_COMPILE=aarch64-linux-gnu- "$root/harness/vm.py" initrd "$dir/$1.cpio" test="$dir/$1" >/dev/null
}

# A machine's tests as they come, with numbers of ours
boot() { # PART COMMAND...
	local part=$1 log=$dir/$1.log line rc=1 plan ran
	shift
	say "booting: $part"
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		"ok "*) result 0 "$part: ${line#ok * - }" ;;
		"not ok "*) result 1 "$part: ${line#not ok * - }" ;;
		"# "*) echo "$line" ;;
		"exit status "*) rc=${line##* } ;;
		esac
	done < <("$@" 2>&1 | tee "$log"; echo "exit status ${PIPESTATUS[0]}")

	plan=$(tr -d '\r' <"$log" | sed -n 's/^1\.\.\([1-9][0-9]*\)$/\1/p')
	ran=$(grep -cE '^(not )?ok [0-9]' "$log" || true)
	[ "$rc" = 0 ] && [ "$plan" = "$ran" ] && rc=0 || rc=1
	result $rc "$part: powered off after all of its tests, ${plan:-not known how many}"
	rc=0
	"$root/harness/vm.py" reports "$log" >"$log.reports" || rc=1
	result $rc "$part: no report"
	sed 's/^/# /' "$log.reports"
}

"$root/harness/deps.sh" qemu-system-arm device-tree-compiler gcc gcc-aarch64-linux-gnu \
	libc6-dev-arm64-cross make python3
[ -e "$build/arm64/arch/arm64/boot/Image" ] ||
	die "there is no kernel for it; run: make kernel TARGET=arm64"
lock_folder "$dir"
program importers
program importers-gpu
cp "$root/harness/dts/importers.dtsi" "$dir/devices.dtsi"
cat "$root/harness/dts/importers.dtsi" "$root/harness/dts/importers-bounce.dtsi" \
	>"$dir/bounce.dtsi"
{
	cat "$dir/devices.dtsi"
	echo '&{/pcie@10000000} { memory-region = <&guest>; };'
} >"$dir/pool.dtsi"

for part; do
	if [ "$part" = gpu ] && [ ! -w /dev/udmabuf ]; then
		boot gpu "$root/harness/vm.py" host "$root/harness/importers.sh" machine gpu
	else
		boot "$part" run_part "$part"
	fi
done

echo "1..$n"
[ "$bad" = 0 ] && [ "$n" -gt 0 ]
