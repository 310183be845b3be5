#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: kernel.sh TARGET [VARIANT]    build build/tree into build/TARGET or build/TARGET-VARIANT
#
#	um	[debug|modules|plain|coverage|clang|preempt|clients]
#	arm64	[64k|clang|fail]	for QEMU's "virt" machine, as the next three
#	arm	[lpae|vexpress]	vexpress is for QEMU's vexpress-a9
#	riscv64
#	x86_64
#
# debug has all that finds bugs, modules has cma_heap as one, plain is without our code,
# coverage counts what was run, fail lets functions fail; 64k is the size of pages; preempt
# traces where preemption is off, for make bench; clients has what Debian's programs need.
#
# The configuration is allnoconfig plus the fragments in harness/configs; every option a
# fragment asks for is checked to have survived.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

target=${1:-} variant=${2:-}
tree=$build/tree
configs=$root/harness/configs

packages='' variants='' prefix='' also=''
case $target in
um) arch=um image=linux variants="debug modules plain coverage clang preempt clients" ;;
arm64)
	# kunit.py boots the compressed one.
	arch=arm64 image=arch/arm64/boot/Image also=Image.gz variants="64k clang fail"
	prefix=aarch64-linux-gnu-
	;;
arm) arch=arm image=arch/arm/boot/zImage variants="lpae vexpress" prefix=arm-linux-gnueabihf- ;;
riscv64) arch=riscv image=arch/riscv/boot/Image prefix=riscv64-linux-gnu- ;;
x86_64) arch=x86_64 image=arch/x86/boot/bzImage ;;
*) die "TARGET must be um, arm, arm64, riscv64 or x86_64" ;;
esac
# harness/configs.sh has only OBJECTS compiled, with the options of the file FRAGMENT, too.
[ -z "${FRAGMENT:-}" ] || variants+=" small"
out=$build/$target${variant:+-$variant}
case " $variants " in
*" ${variant:-${variants%% *}} "*) ;;
*) [ -z "$variant" ] || die "VARIANT of $target can only be: ${variants:-left out}" ;;
esac
[[ $variant != *[!a-z0-9]* ]] || die "VARIANT is one of: $variants"
make_args=()
if [ "$variant" = clang ]; then
	# The oldest that the kernel takes is 17.
	make_args=(LLVM=-19) packages="clang-19 lld-19 llvm-19"
elif [ -n "$prefix" ]; then
	make_args=(CROSS_COMPILE="$prefix") packages=gcc-${prefix%-}
fi

[ -e "$tree/Makefile" ] || die "there is no build/tree; run: make tree"
"$root/harness/deps.sh" gcc make flex bison bc cpio xz-utils python3 perl \
	libelf-dev libssl-dev util-linux $packages
lock shared
mkdir -p "$out"
lock_folder "$out"
name=${out#"$root/"}

fragments=()
add() { [ ! -e "$1" ] || fragments+=("$1"); }
[ "$target" = um ] || add "$configs/qemu.config"
add "$configs/$target.config"
if [ "$variant" != plain ] && [ -e "$tree/kernel/dma/rmem_heap.c" ]; then
	add "$configs/rmem_heap.config"
	case $target in
	um) add "$tree/lib/kunit-tests/.kunitconfig" ;;
	arm|arm64) add "$configs/kunit.config" ;;
	esac
fi
# The devices that the demonstrations are about
[ "$target-$variant" != arm64- ] || { add "$configs/virtio.config"; add "$configs/media.config"; }
[ -z "$variant" ] || add "${FRAGMENT:-$configs/$variant.config}"

mk=(-C "$tree" O="$out" ARCH="$arch" "${make_args[@]}")

# Options asked for which .config does not have, with what it has instead.
lost_options() {
	awk '
	function note(name, value) { if (FILENAME == last) got[name] = value; else want[name] = value }
	/^CONFIG_[A-Za-z0-9_]+=/ {
		name = value = $0
		sub(/=.*/, "", name); sub(/^[^=]*=/, "", value)
		note(name, value == "n" ? "" : value)
	}
	/^# CONFIG_[A-Za-z0-9_]+ is not set/ { note($2, "") }
	END {
		for (name in want)
			if (want[name] != got[name])
				printf "  %s=%s, but it is %s\n", name, want[name] == "" ? "n" : want[name],
					got[name] == "" ? "not set" : got[name]
	}' last="$1" "$2" "$1" | sort
}

# The configuration follows from the fragments and from the Kconfig files.
{ cat "${fragments[@]}"; } >"$out/fragments.config.new"
{
	cat "$build/tree.state/base"
	cat "$out/fragments.config.new"
	(cd "$build/stage" && find . -name 'Kconfig*' -type f | sort | xargs -r cat)
} | sha1sum >"$out/config.id.new"
if [ ! -e "$out/.config" ] || ! cmp -s "$out/config.id.new" "$out/config.id"; then
	say "configuring $name"
	rm -f "$out/config.id"
	mv "$out/fragments.config.new" "$out/fragments.config"
	KCONFIG_ALLCONFIG=$out/fragments.config make "${mk[@]}" allnoconfig >"$out/config.log" 2>&1 || {
		tail -n 15 "$out/config.log" >&2
		die "cannot configure; the whole output is in $name/config.log"
	}
	lost=$(lost_options "$out/.config" "$out/fragments.config")
	[ -z "$lost" ] || { echo "$lost" >&2; die "options that did not survive in $name/.config"; }
	mv "$out/config.id.new" "$out/config.id"
fi
rm -f "$out/fragments.config.new" "$out/config.id.new"

if [ "$variant" = small ]; then
	run_make "$out/build.log" "${mk[@]}" -j"$(nproc)" W=1 $OBJECTS
	exit
fi

before=$(stat -c %Y.%s "$out/$image" 2>/dev/null || true)
say "building $name/$image"
targets=("${image##*/}" ${also:+"$also"})
[ "$variant" != modules ] || targets+=(modules)
run_make "$out/build.log" "${mk[@]}" -j"$(nproc)" "${targets[@]}"
if [ "$before" = "$(stat -c %Y.%s "$out/$image")" ]; then
	say "$name/$image is up to date"
else
	say "$name/$image is built ($SECONDS s)"
fi
