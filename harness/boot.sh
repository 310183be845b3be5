#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: boot.sh [debug|modules|plain]    boot build/um/linux (build/um-debug/linux, ...) with, from
# the environment:
#   KERNEL=um-x      build/um-x/linux instead
#   INITRD=y.cpio    initial file system; its /init is run
#   DTB=x.dtb        flattened device tree, may be left out
#   APPEND="..."     more kernel parameters
#   MEM=512M         size of the machine's memory; addresses run from 0 to this. When left out:
#                    512M, or as much as the regions of the device tree need
#   CHECK_TREE=0     boot the device tree whatever is in it
#   TIMEOUT=600      seconds until the machine is stopped, 0 for never
# The console is stdout (and stdin, when that is a terminal). Exit status: 0 when the
# machine powered itself off, 124 when the time was up, else something went wrong.
. "$(dirname "$0")/lib.sh"

case ${1:-} in
"") linux=$build/um/linux what="make kernel TARGET=um" ;;
debug) linux=$build/um-debug/linux what="make kernel TARGET=um DEBUG=1" ;;
modules|plain) linux=$build/um-$1/linux what="harness/kernel.sh um $1" ;;
*) die "the argument can only be: debug, modules or plain" ;;
esac
[ -z "${KERNEL:-}" ] || linux=$build/$KERNEL/linux what="harness/kernel.sh ${KERNEL/-/ }"
INITRD=${INITRD:-} DTB=${DTB:-} APPEND=${APPEND:-} MEM=${MEM:-}
interactive=
[ ! -t 0 ] || interactive=1
TIMEOUT=${TIMEOUT:-${interactive:+0}}
TIMEOUT=${TIMEOUT:-600}

[ -x "$linux" ] || die "there is no ${linux#"$root/"}; run: $what"
for var in INITRD DTB; do
	file=${!var}
	[ -z "$file" ] || [ -f "$file" ] || die "$var=$file does not exist"
	[ -z "$file" ] || [ -r "$file" ] || die "$var=$file cannot be read"
done
if [ -z "$INITRD" ]; then
	case " $APPEND" in
	*" root="*|*" kunit."*) ;;
	*) die "say what to run: INITRD=file.cpio with an /init in it (or root= or kunit.* in APPEND)" ;;
	esac
fi
[[ $TIMEOUT =~ ^[0-9]+$ ]] || die "TIMEOUT=$TIMEOUT is not a number of seconds"
size_of() { numfmt --from=iec "${1^^}" 2>/dev/null || die "MEM=$1 is not a size such as 512M or 1G"; }
bytes=$(size_of "${MEM:-512M}")

# Its control files (umid) go into a folder with a short name: one is a socket.
dir=$(mktemp -d /tmp/uml.XXXXXX)
cleanup() {
	machine_gone
	[ -z "$interactive" ] || stty sane
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -n "$DTB" ] && [ "${CHECK_TREE:-1}" != 0 ]; then
	bytes=$(python3 "$root/harness/memory.py" "$DTB" "$dir/tree.dtb" "${MEM:+$bytes}" "$INITRD")
	[ ! -e "$dir/tree.dtb" ] || DTB=$dir/tree.dtb
	[ -n "$MEM" ] || [ "$bytes" = $((512 << 20)) ] ||
		echo "boot: MEM is $((bytes >> 20))M, for the regions of the device tree" >&2
fi
MEM=${MEM:-$((bytes >> 20))M}

# UML keeps the machine's memory in an unlinked file that it maps executable.
memdir=/dev/shm
if [ ! -w "$memdir" ] || grep -q " $memdir [^ ]* [^ ]*noexec" /proc/mounts ||
   [ "$(df --output=avail -B1 "$memdir" | tail -n 1)" -lt "$bytes" ]; then
	memdir=$build
fi

# No input is not the end of input, which would hang the console up.
console=null,fd:1
[ -z "$interactive" ] || console=fd:0,fd:1
args=(mem="$MEM" uml_dir="$dir/" umid=um con0="$console" con=null console=tty0
	seccomp=auto panic=-1)
[ -z "$DTB" ] || args+=(dtb="$(realpath "$DTB")")
[ -z "$INITRD" ] || args+=(initrd="$(realpath "$INITRD")" rdinit=/init)
read -ra append <<<"$APPEND"

ulimit -c 0
rc=0
TMPDIR=$memdir machine "$TIMEOUT" "$linux" "${args[@]}" "${append[@]}" || rc=$?
case $rc in
0) ;;
124) echo >&2; echo "boot: stopped after $TIMEOUT seconds (TIMEOUT)" >&2 ;;
134) echo >&2; echo "boot: the kernel panicked" >&2 ;;
*) echo >&2; echo "boot: the machine ended with status $rc" >&2 ;;
esac
exit "$rc"
