#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: kernel.sh um [debug|modules|plain]    build build/tree into build/um, build/um-debug,
#        kernel.sh arm64                       ...; or for QEMU into build/arm64
#
# debug has all that finds bugs, modules has cma_heap as one, plain is without our code.
#
# The configuration is allnoconfig plus the fragments in harness/configs; every option a
# fragment asks for is checked to have survived.
. "$(dirname "$0")/lib.sh"

target=${1:-} variant=${2:-}
tree=$build/tree
configs=$root/harness/configs

case $target in
um)
	arch=um make_args=() image=linux packages=
	;;
arm64)
	arch=arm64 image=arch/arm64/boot/Image packages=gcc-aarch64-linux-gnu
	make_args=(CROSS_COMPILE=aarch64-linux-gnu-)
	;;
*)
	die "TARGET must be um or arm64"
	;;
esac
case $target-$variant in
*-) out=$build/$target ;;
um-debug|um-modules|um-plain) out=$build/$target-$variant ;;
*) die "the second argument can only be debug, modules or plain, after um" ;;
esac

[ -e "$tree/Makefile" ] || die "there is no build/tree; run: make tree"
"$root/harness/deps.sh" gcc make flex bison bc cpio xz-utils python3 perl \
	libelf-dev libssl-dev util-linux $packages
lock
mkdir -p "$out"
name=${out#"$root/"}

fragments=("$configs/$target.config")
[ "$variant" = plain ] || [ ! -e "$tree/kernel/dma/rmem_heap.c" ] || fragments+=("$configs/rmem_heap.config")
# The tests are for User-Mode Linux.
[ "$target" != um ] || [ "$variant" = plain ] || [ ! -e "$tree/lib/kunit-tests/.kunitconfig" ] || fragments+=("$tree/lib/kunit-tests/.kunitconfig")
[ ! -e "$configs/$variant.config" ] || fragments+=("$configs/$variant.config")

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

before=$(stat -c %Y.%s "$out/$image" 2>/dev/null || true)
say "building $name/$image"
targets=("${image##*/}")
[ "$variant" != modules ] || targets+=(modules)
run_make "$out/build.log" "${mk[@]}" -j"$(nproc)" "${targets[@]}"
if [ "$before" = "$(stat -c %Y.%s "$out/$image")" ]; then
	say "$name/$image is up to date"
else
	say "$name/$image is built ($SECONDS s)"
fi
