# SPDX-License-Identifier: GPL-2.0
# Boots with a device tree each, and what they must say and have. Sourced after lib.sh, with
# variant and dir set. Which heaps there are is seen by a program of its own; what the kernel
# says is read off the console. With BOOTS in the environment, only boots whose name matches.
n=0 bad=0
mkdir -p "$dir"

result() { # STATUS NAME CONSOLE
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		bad=$((bad + 1))
		echo "not ok $n - $2 (${3#"$root/"})"
		grep -E '^(rmem_heap|heap|rmem-heap-check): ' "$3" | sed 's/^/# /' || true
	fi
}

other_boot() { [[ $1 != ${BOOTS:-*} ]]; } # NAME

# boot NAME MEM TREE INITRD PARAMETERS: sets console. TREE is a source, a blob that no compiler
# makes (.dtb), or empty.
boot() {
	local name=$1 mem=$2 dts=$3 initrd=$4 dtb=
	other_boot "$1" && return
	console=$dir/$name.log
	if [[ $dts == *.dtb ]]; then
		dtb=$dts
	elif [ -n "$dts" ]; then
		dtb=$dir/$name.dtb
		dtc -q -f -I dts -O dtb -o "$dtb" "$dts"
	fi
	MEM=$mem DTB=$dtb INITRD=$initrd APPEND=$5 TIMEOUT=180 \
		"$root/harness/boot.sh" $variant >"$console" 2>&1 </dev/null || true
	rc=0
	"$root/harness/reports.sh" "$console" >>"$console.reports" || rc=1
	result $rc "$name: no report" "$console"
}

says() { # NAME REGEX
	other_boot "$1" && return
	rc=0
	grep -qE "$2" "$console" || rc=1
	result $rc "$1: says $2" "$console"
}

says_nothing() { # NAME REGEX
	other_boot "$1" && return
	rc=0
	! grep -qE "$2" "$console" || rc=1
	result $rc "$1: does not say $2" "$console"
}

# The heaps that there must be, and no other
heaps() { # NAME HEAP...
	local name=$1 have
	other_boot "$1" && return
	shift
	have=$(sed -n 's/^heap: //p' "$console" | tr -d '\r' | sort | xargs)
	rc=0
	[ "$have" = "$(printf '%s\n' "$@" | sort | xargs)" ] &&
		grep -q '^heaps: done' "$console" || rc=1
	result $rc "$name: heaps are: $*" "$console"
}

"$root/harness/deps.sh" gcc libc6-dev device-tree-compiler
gcc -static -O2 -Wall -Wextra -Werror -o "$dir/list" "$root/harness/check/list-init.c"
"$root/harness/check/initrd.sh" "$dir/list.cpio" init="$dir/list" \
	${variant:+cma_heap.ko="$build/um-modules/drivers/dma-buf/heaps/cma_heap.ko"} >/dev/null
"$root/harness/check/initrd.sh" "$dir/check.cpio" >/dev/null
