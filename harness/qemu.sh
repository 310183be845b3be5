#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: qemu.sh arm64 [QEMU-OPTION...]    boot build/arm64 on QEMU's "virt" machine with, from
# the environment:
#   INITRD=y.cpio    initial file system; its /init is run
#   DTSI=x.dtsi      nodes that the machine's own device tree gets in addition
#   APPEND="..."     more kernel parameters
#   MEM=2G SMP=1     memory, which begins at 1 GiB, and processors
#   TIMEOUT=600      seconds until the machine is stopped
# The console is stdout. Exit status as for boot.sh.
. "$(dirname "$0")/lib.sh"

case ${1:-} in
arm64)
	qemu=qemu-system-aarch64 image=$build/arm64/arch/arm64/boot/Image
	machine=(-machine virt -cpu cortex-a76) console=ttyAMA0
	;;
*)
	die "the argument can only be: arm64"
	;;
esac
target=$1
shift
INITRD=${INITRD:-} DTSI=${DTSI:-} APPEND=${APPEND:-} MEM=${MEM:-2G} SMP=${SMP:-1}
TIMEOUT=${TIMEOUT:-600}

"$root/harness/deps.sh" qemu-system-arm device-tree-compiler
[ -e "$image" ] || die "there is no ${image#"$root/"}; run: make kernel TARGET=$target"
for var in INITRD DTSI; do
	file=${!var}
	[ -z "$file" ] || [ -r "$file" ] || die "$var=$file cannot be read"
done

dir=$(mktemp -d /tmp/qemu.XXXXXX)
trap 'rm -rf "$dir"' EXIT
machine+=(-m "$MEM" -smp "$SMP" -nodefaults -nographic -no-reboot -serial stdio)
args=(-kernel "$image" -append "console=$console panic=-1 quiet $APPEND")
[ -z "$INITRD" ] || args+=(-initrd "$INITRD")

if [ -n "$DTSI" ]; then
	"$qemu" "${machine[@]}" -machine dumpdtb="$dir/machine.dtb" >"$dir/log" 2>&1 ||
		die "$qemu cannot write its device tree: $(tail -n 1 "$dir/log")"
	{
		dtc -q -I dtb -O dts "$dir/machine.dtb"
		cat "$DTSI"
	} >"$dir/all.dts"
	dtc -q -I dts -O dtb -o "$dir/all.dtb" "$dir/all.dts" || die "$DTSI cannot be merged"
	args+=(-dtb "$dir/all.dtb")
fi

rc=0
timeout -k 5 "$TIMEOUT" "$qemu" "${machine[@]}" "${args[@]}" "$@" </dev/null || rc=$?
case $rc in
0) ;;
124|137) echo "qemu: stopped after $TIMEOUT seconds (TIMEOUT)" >&2; rc=124 ;;
*) echo "qemu: the machine ended with status $rc" >&2 ;;
esac
exit "$rc"
