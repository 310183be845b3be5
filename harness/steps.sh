#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: steps.sh    the first steps of a new user, and what can go wrong with them. Prints TAP.
#
# A copy of the repository stands for a fresh clone; its build/ is empty, and its deps.sh does
# nothing. KERNEL=steps is build/um/linux under a name that no other process has.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$build/steps
n=0 bad=0
lock_folder "$dir"
"$root/harness/deps.sh" gcc libc6-dev libfdt-dev make device-tree-compiler git python3 util-linux
ln -sf ../um/linux "$dir/linux"
export KERNEL=steps
tmp=$(mktemp -d /tmp/steps.XXXXXX)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$tmp"
clone=$tmp/clone log=$dir/log
mkdir "$clone"
(cd "$root" && git -c safe.directory='*' ls-files -co --exclude-standard -z |
	while IFS= read -rd '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
	xargs -0 cp -d --preserve=mode --parents -t "$clone")
printf '#!/bin/sh\n' >"$clone/harness/deps.sh"

failed() {
	sed 's/^/# /' "$log" | tail -n 20
	return 1
}
# fails NAME REGEX COMMAND...: it fails at once, and one line says why
fails() {
	local name=$1 regex=$2 rc=0
	shift 2
	! "$@" >"$log" 2>&1 </dev/null || rc=1
	[ "$(grep -cE "$regex" "$log")" = 1 ] || rc=1
	[ $rc = 0 ] || failed || true
	result $rc "$name: $regex"
}
# holds NAME COMMAND...
holds() {
	local rc=0
	"${@:2}" >"$log" 2>&1 </dev/null || rc=1
	[ $rc = 0 ] || failed || true
	result $rc "$1"
}
no() { ! "$@"; }

# --- no network, a folder that is read-only, a kernel that is not pristine ------------------

# Nothing listens there.
cat >"$tmp/apt.conf" <<-END
	Acquire::http::Proxy "http://127.0.0.1:9";
	Acquire::https::Proxy "http://127.0.0.1:9";
END
offline() { APT_CONFIG=$tmp/apt.conf "$@"; }
apt() { offline "$root/harness/apt.sh" "$tmp/apt" sid names '^linux'; }
export -f offline apt
export root tmp

if command -v apt-get >/dev/null; then
	fails "no network" 'apt.sh: .*see that there is a network and that apt knows the proxy, or use KDIR=' \
		bash -c apt
	holds "no network: the package lists are not up to date" no test -e "$tmp/apt/updated"
	touch "$tmp/apt/updated"
	fails "no package lists, but a stamp" 'apt.sh: .*see that there is a network' bash -c apt
	if [ "$(id -u)" = 0 ]; then
		fails "no network for packages" 'deps: .*see that there is a network and that apt knows the proxy' \
			bash -c 'offline "$root/harness/deps.sh" there-is-no-such-package'
	fi
fi

as_user=()
[ "$(id -u)" != 0 ] || as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod a-w "$clone"
fails "a read-only clone" 'tree: .*/build cannot be written, and all is made there' \
	"${as_user[@]}" "$clone/harness/tree.sh"
chmod u+w "$clone"

# Of a kernel only the files that the patches change
mkdir -p "$tmp/linux/kernel/dma" "$tmp/linux/include/linux"
(cd "$build/tree" && { echo Makefile; echo Kconfig
	sed -n 's,^--- a/\([^\t]*\).*,\1,p' "$root"/patches/*.patch; } | sort -u |
	xargs cp -d --parents -t "$tmp/linux")
fails "KDIR has our patches" 'tree: patches/00.* is in linux already; take a kernel without' \
	env KDIR="$tmp/linux" "$clone/harness/tree.sh"
cp "$root/include/linux/rmem_heap.h" "$tmp/linux/include/linux"
fails "KDIR has our files" 'tree: KDIR=.* has rmem_heap already; take a kernel without' \
	env KDIR="$tmp/linux" "$clone/harness/tree.sh"
fails "KDIR is no kernel" 'tree: KDIR=.* is not a kernel source tree' \
	env KDIR="$tmp/apt" "$clone/harness/tree.sh"
holds "nothing was copied from any of them" no test -e "$clone/build/tree"

# --- the tool -------------------------------------------------------------------------------

holds "the tool builds in the clone" \
	make -s -C "$clone/tools/dma/rmem-heap" CFLAGS="-O2 -Wall -Wextra -Werror"
holds "the tool that the clone builds runs" "$clone/tools/dma/rmem-heap/rmem-heap" --help
dma() {
	make -s -C "$build/tree/tools" O="$tmp" DESTDIR="$tmp/installed" "$@" >"$tmp/out" 2>&1 &&
		no grep . "$tmp/out"
}
mkdir "$tmp/dma"
holds "make -C tools dma_install, without a warning" dma dma_install
holds "... installs the tool" test -x "$tmp/installed/usr/bin/rmem-heap"
holds "make -C tools dma_clean" dma dma_clean
holds "... removes the tool" no test -e "$tmp/dma/rmem-heap"

# --- device trees of boards -----------------------------------------------------------------

cat >"$tmp/pause.c" <<'END'
#include <unistd.h>
#include <stdio.h>
int main(void)
{
	printf("init: here\n");
	fflush(stdout);
	if (!access("/off", F_OK))
		return 0;
	for (;;)
		pause();
}
END
gcc -static -o "$tmp/pause" "$tmp/pause.c"
"$root/harness/vm.py" initrd "$dir/pause.cpio" test="$tmp/pause"
"$root/harness/vm.py" initrd "$dir/off.cpio" test="$tmp/pause" off="$tmp/pause.c"

# tree NAME NODES [RESERVED-NODES]: a device tree in $tmp/NAME.dtb
tree() {
	dtc -q -I dts -O dtb -o "$tmp/$1.dtb" - <<-END
		/dts-v1/;
		/ {
			#address-cells = <2>;
			#size-cells = <2>;
			compatible = "some,board";
			$2
			reserved-memory {
				#address-cells = <2>;
				#size-cells = <2>;
				ranges;
				${3:-}
			};
		};
	END
}
boot() { # MEM NAME [INITRD]
	env MEM="$1" DTB="$tmp/$2.dtb" INITRD="${3:-$dir/off.cpio}" TIMEOUT=40 make -s -C "$root" boot
}
boots() {
	boot "$@" >"$tmp/console" 2>&1 && grep -q '^init: here' "$tmp/console" || {
		cat "$tmp/console"
		return 1
	}
}

board='cma@88000000 { compatible = "shared-dma-pool"; reusable; reg = <0 0x88000000 0 0x1000000>; };'
tree board 'memory@80000000 { device_type = "memory"; reg = <0 0x80000000 0 0x80000000>; };' "$board"
tree above '' "$board"
tree cross '' 'x@1f000000 { reg = <0 0x1f000000 0 0x2000000>; };'
tree full '' 'x@800000 { reg = <0 0x800000 0 0x1d800000>; };'
tree far '' 'x@8800000000 { reg = <0x88 0 0 0x1000>; };'
tree off '' 'x@88000000 { reg = <0 0x88000000 0 0x1000000>; status = "disabled"; };'
tree inside 'memory@0 { device_type = "memory"; reg = <0 0 0 0x10000000>; };'
head -c 200 "$tmp/board.dtb" >"$tmp/cut.dtb"
head -c 20 "$tmp/board.dtb" >"$tmp/short.dtb"
# The second token of the structure block becomes one that there is not.
cp "$tmp/board.dtb" "$tmp/damaged.dtb"
printf '\7' | dd of="$tmp/damaged.dtb" bs=1 conv=notrunc status=none \
	seek=$(($(od -An -tu1 -j 11 -N 1 "$tmp/board.dtb") + 11))

fails "region above MEM" \
	'^boot: region /reserved-memory/cma@88000000 ends at 0x89000000, MEM is 512M ' boot 512M above
fails "region across MEM" \
	'^boot: region /reserved-memory/x@1f000000 ends at 0x21000000, MEM is 512M ' boot 512M cross
fails "region above all" '^boot: region /reserved-memory/x@8800000000 ends at ' boot "" far
fails "MEM that the regions fill" '^boot: MEM is 480M, which is too small: the regions take 472 MiB' \
	boot 480M full
fails "MEM smaller than a kernel" '^boot: MEM is 8M, which is too small' boot 8M inside
fails "a cut device tree" "^boot: DTB=.*cut.dtb is cut: it has 200 of $(stat -c %s "$tmp/board.dtb") bytes" \
	boot 512M cut
fails "a device tree without its header" '^boot: DTB=.*short.dtb is cut' boot 512M short
fails "a damaged device tree" '^boot: DTB=.*damaged.dtb is damaged at byte' boot 512M damaged
fails "a source as a device tree" '^boot: DTB=.* is not a flattened device tree' \
	env DTB="$root/harness/dts/run.dts" INITRD="$dir/off.cpio" make -s -C "$root" boot
holds "a board's tree boots without MEM" boots "" board
holds "... with memory for its regions" grep -q '^boot: MEM is 2304M, for the regions' "$tmp/console"
holds "... without its memory node, as a line says" \
	grep -q '^boot: /memory@80000000 ends at 0x100000000, MEM is 2304M .*: booting without it' "$tmp/console"
holds "... with its CMA area" grep -q '^rmem_heap: cma@88000000: cma, base 0x88000000, 16384 KiB, exported' "$tmp/console"
holds "a region that is disabled needs no memory" boots 512M off
holds "a memory node inside MEM boots" boots 512M inside
holds "... without a word" no grep -q '^boot: ' "$tmp/console"

# --- nothing that we start survives us ------------------------------------------------------

processes() { grep -al "^$1" /proc/[0-9]*/cmdline 2>/dev/null || true; } # COMMAND
running() { [ -n "$(processes "$1")" ]; } # COMMAND
within() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}
find_folder() { # COMMAND
	# shellcheck disable=SC2046 # names without blanks
	folder=$(cat $(processes "$1") </dev/null 2>/dev/null | tr '\0' '\n' |
		sed -n 's/^uml_dir=//p' | tail -n 1)
	[ -n "$folder" ]
}
# dies SIGNAL WHOM MARK COMMAND...: it starts a process with MARK in its command line; that is
# gone when the command (WHOM is pid) or its group (group) got the signal
dies() {
	local signal=$1 whom=$2 mark=$3 rc=0 pid job folder=
	shift 3
	# A script's children in the background ignore SIGINT otherwise, those of nohup SIGHUP.
	env --default-signal=HUP,INT,TERM setsid "$@" >"$log" 2>&1 </dev/null &
	job=$! pid=$job
	within 60 running "$mark" || rc=1
	[ "$mark" != "$dir/linux" ] || within 10 find_folder "$mark" || rc=1
	[ "$whom" = pid ] && kill -"$signal" "$pid" || kill -"$signal" -- -"$pid"
	within 10 no running "$mark" || rc=1
	# vm.py cannot remove its folder when it is killed.
	[ $signal = KILL ] || within 5 no test -e "$folder" || rc=1
	[ $rc = 0 ] || failed || true
	result $rc "$signal to the ${whom/pid/process} of ${*/#*\//}: nothing is left"
	for pid in $(processes "$mark"); do
		pid=${pid#/proc/}
		kill -KILL "${pid%/cmdline}" 2>/dev/null || true
	done
	wait "$job" 2>/dev/null || true
	rm -rf "$folder"
}
export DTB='' INITRD=$dir/pause.cpio TIMEOUT=120
cd "$root"
for signal in TERM INT; do
	dies $signal group "$dir/linux" make -s boot
done
dies TERM pid "$dir/linux" make -s boot
for signal in TERM INT HUP KILL; do
	dies $signal pid "$dir/linux" harness/vm.py boot um
done
for signal in TERM KILL; do
	dies $signal pid "$dir/linux" harness/run.py
done

# A machine that takes its time
cat >"$tmp/qemu-system-aarch64" <<-'END'
	#!/bin/bash
	exec -a "$0" sleep 60
END
chmod +x "$tmp/qemu-system-aarch64"
mkdir -p "$clone/build/arm64/arch/arm64/boot"
: >"$clone/build/arm64/arch/arm64/boot/Image"
PATH=$tmp:$PATH
for signal in TERM INT; do
	dies $signal pid "$tmp/qemu-system-aarch64" "$clone/harness/vm.py" boot arm64
done

echo "1..$n"
exit $((bad != 0))
