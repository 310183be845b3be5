#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: qemu.sh KERNEL [QEMU-OPTION...]    boot build/KERNEL: arm64, arm64-64k, arm64-clang,
# arm64-fail, arm or arm-lpae on QEMU's "virt" machine, arm-vexpress on its "vexpress-a9",
# with, from the environment:
#   INITRD=y.cpio    initial file system; its /init is run
#   DTSI=x.dtsi      nodes that the machine's own device tree gets in addition
#   APPEND="..."     more kernel parameters
#   MEM=2G SMP=1     memory, which begins at 1 GiB ("virt") or 1.5 GiB, and processors
#   TIMEOUT=600      seconds until the machine is stopped
# The console is stdout. Exit status as for boot.sh.
. "$(dirname "$0")/lib.sh"

kernel=${1:-}
case $kernel in
arm64|arm64-64k|arm64-clang|arm64-fail)
	qemu=qemu-system-aarch64 image=arch/arm64/boot/Image machine=(-machine virt -cpu cortex-a76)
	;;
arm|arm-lpae)
	qemu=qemu-system-arm image=arch/arm/boot/zImage machine=(-machine virt -cpu cortex-a15)
	;;
arm-vexpress)
	qemu=qemu-system-arm image=arch/arm/boot/zImage machine=(-machine vexpress-a9)
	MEM=${MEM:-1G}
	;;
*)
	die "the argument can only be: arm64, arm64-64k, arm64-clang, arm64-fail, arm, arm-lpae" \
		"or arm-vexpress"
	;;
esac
image=$build/$kernel/$image
shift
INITRD=${INITRD:-} DTSI=${DTSI:-} APPEND=${APPEND:-} MEM=${MEM:-2G} SMP=${SMP:-1}
TIMEOUT=${TIMEOUT:-600}

"$root/harness/deps.sh" qemu-system-arm device-tree-compiler gcc
[ -e "$image" ] || die "there is no ${image#"$root/"}; run: make kernel TARGET=${kernel%%-*}$(
	[[ $kernel != *-* ]] || echo " VARIANT=${kernel#*-}")"
for var in INITRD DTSI; do
	file=${!var}
	[ -z "$file" ] || [ -r "$file" ] || die "$var=$file cannot be read"
done

dir=$(mktemp -d /tmp/qemu.XXXXXX)
trap 'machine_gone; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
machine+=(-m "$MEM" -smp "$SMP" -nodefaults -nographic -no-reboot -serial stdio)
args=(-kernel "$image" -append "console=ttyAMA0 panic=-1 loglevel=5 $APPEND")
[ -z "$INITRD" ] || args+=(-initrd "$INITRD")

# The device tree of the machine, as source
machine_dts() {
	local dts=$build/tree/arch/arm/boot/dts/arm

	if [ "$kernel" = arm-vexpress ]; then
		gcc -E -nostdinc -undef -D__DTS__ -x assembler-with-cpp -P -I "$dts" \
			-I "$build/tree/include" "$dts/vexpress-v2p-ca9.dts"
		return
	fi
	"$qemu" "${machine[@]}" "$@" -machine dumpdtb="$dir/machine.dtb" >"$dir/log" 2>&1 ||
		die "$qemu cannot write its device tree: $(tail -n 1 "$dir/log")"
	dtc -q -I dtb -O dts "$dir/machine.dtb"
}

if [ -n "$DTSI" ] || [ "$kernel" = arm-vexpress ]; then
	{
		machine_dts "$@"
		[ -z "$DTSI" ] || cat "$DTSI"
	} >"$dir/all.dts"
	dtc -q -I dts -O dtb -o "$dir/all.dtb" "$dir/all.dts" ||
		die "${DTSI:-the device tree} cannot be merged"
	args+=(-dtb "$dir/all.dtb")
fi

# A board with sound would look for a card.
export QEMU_AUDIO_DRV=none
rc=0
machine "$TIMEOUT" "$qemu" "${machine[@]}" "${args[@]}" "$@" </dev/null || rc=$?
case $rc in
0) ;;
124) echo "qemu: stopped after $TIMEOUT seconds (TIMEOUT)" >&2 ;;
*) echo "qemu: the machine ended with status $rc" >&2 ;;
esac
exit "$rc"
