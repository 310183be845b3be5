#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: configs.sh [NAME...]    compile our files, and those that patches/ change, for kernels
# without what they can do without, or with what other tests' kernels lack. Prints TAP.
#
# A configuration is that of harness/kernel.sh for a target, with the options below; kernel.sh
# sees in .config that -NAME is off and that NAME is on, as is RMEM_HEAP. No warning of W=1 is
# allowed in these files. Nothing is linked or booted.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

n=0 bad=0
wanted=" $* "
dir=$build/configs
folders=(kernel/dma drivers/dma-buf drivers/of lib/kunit-tests samples/rmem-heap)
lock_folder "$dir"
cd "$root"
files=$(git ls-files -co --exclude-standard kernel include lib samples | grep '\.[ch]$')
files+=$'\n'$(sed -n 's,^+++ b/\(.*\.[ch]\)$,\1,p' patches/*.patch)

compile() { # TARGET
	local out=$build/$1-small f
	# An object that is there already would say nothing.
	for f in "${folders[@]}"; do
		[ ! -d "$out/$f" ] || find "$out/$f" -name '*.o' -delete
	done
	FRAGMENT=$dir/fragment OBJECTS="${folders[*]/%//}" harness/kernel.sh "$1" small || return 1
	# shellcheck disable=SC2046 # names without blanks
	(cd "$out" && ls $(git -C "$root" ls-files 'kernel/dma/*.c' | sed 's/c$/o/') >/dev/null) ||
		return 1
	! grep -E 'warning|error' "$out/build.log" | grep -F "$files"
}

config() { # NAME TARGET OPTION...
	local name=$1 target=$2 option rc=0
	shift 2
	case $wanted in "  "|*" $name "*) ;; *) return 0 ;; esac
	for option; do
		case $option in
		-*) echo "# CONFIG_${option#-} is not set" ;;
		*=*) echo "CONFIG_$option" ;;
		*) echo "CONFIG_$option=y" ;;
		esac
	done >"$dir/fragment"
	compile "$target" >"$dir/$name.log" 2>&1 </dev/null || rc=1
	result $rc "$name: $target, $*"
	[ $rc = 0 ] || sed 's/^/# /' "$dir/$name.log"
}

cma=(-CMA -DMA_CMA -CMA_SIZE_MBYTES -DMABUF_HEAPS_CMA)
tests=(-RMEM_HEAP_KUNIT_TEST -RMEM_HEAP_KUNIT_BENCH)
kunit=("${tests[@]}" -KUNIT -KUNIT_AUTORUN_ENABLED)

config no-cma um "${cma[@]}" -CMA_DEBUGFS -CMA_SYSFS -RMEM_HEAP_KUNIT_TEST
config no-dma-cma um -DMA_CMA -CMA_SIZE_MBYTES -DMABUF_HEAPS_CMA -RMEM_HEAP_KUNIT_TEST
config no-restricted um -DMA_RESTRICTED_POOL
config no-debugfs um -DEBUG_FS -KUNIT_DEBUGFS -CMA_DEBUGFS
config no-sysfs um -SYSFS -CMA_SYSFS -RMEM_HEAP_KUNIT_TEST
config no-dmem um -CGROUPS -MEMCG -CGROUP_DMEM -CGROUP_FREEZER
config modules um MODULES SAMPLE_RMEM_HEAP=m DMABUF_HEAPS_CMA=m "${tests[@]}"
config bare um "${cma[@]}" "${tests[@]}" -CMA_DEBUGFS -CMA_SYSFS -DMA_RESTRICTED_POOL -DEBUG_FS \
	-KUNIT_DEBUGFS -SYSFS -CGROUPS -MEMCG -CGROUP_DMEM -CGROUP_FREEZER -NET -UNIX -PROC_FS \
	-PROC_PAGE_MONITOR \
	-SYSCTL -BLK_DEV_INITRD -RD_GZIP -OF_OVERLAY -SAMPLES -SAMPLE_RMEM_HEAP -SMP NR_CPUS=1
config no-swiotlb arm -SWIOTLB -DMA_RESTRICTED_POOL
config no-kunit arm "${kunit[@]}" "${cma[@]}" -SWIOTLB -SMP -NR_CPUS \
	-HIGHMEM -DEBUG_FS -PM
config hibernation arm64 "${kunit[@]}" -MODULES PM BLOCK SWAP SUSPEND HIBERNATION MEMORY_FAILURE
config dynamic x86_64 "${kunit[@]}" SWIOTLB_DYNAMIC X86_MCE MEMORY_FAILURE -DEBUG_FS -SYSFS

echo "1..$n"
[ "$bad" = 0 ] && [ "$n" -gt 0 ]
