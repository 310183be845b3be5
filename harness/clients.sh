#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: clients.sh    programs as Debian has them, on our heaps and beside them on mainline's, on
# User-Mode Linux with the files of this machine, which it can only read. Prints TAP.
#
#   udevd        gives heaps to a group, by the rules in Documentation
#   stress-ng    does everything it knows of to the device of a heap
#   gdb          reads and writes a buffer that another program has mapped
#   v4l2-ctl, GStreamer   have vivid capture into buffers of a heap
#   cam          of libcamera has vimc do so
#
# The last three import what a video device exports: harness/check/expbuf.c gives them a
# buffer of a heap instead. What they see must be what they see in the device's own memory.
#
# The console is build/clients/console. `clients.sh guest` is what runs in there.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

n=0 bad=0
dir=$build/clients
ours="linux,cma video@10000000 vram@14000000 guest@18000000 ecc-off@20000000"
# A buffer of the system heap has pieces, which not every device takes.
contiguous="default_cma_region $ours"
document=$root/Documentation/userspace-api/rmem-heaps.rst
vivid="vivid.n_devs=2 vivid.allocators=0,1 vivid.node_types=0x101,0x101"
vivid+=" vivid.num_outputs=1,1 vivid.output_types=1,1"
# vimc has the first numbers.
vivid+=" vivid.vid_cap_nr=10,12 vivid.vid_out_nr=11,13"
size=width=320,height=180,pixelformat=YUYV
export HOME=/tmp GST_REGISTRY_FORK=no

# try NAME COMMAND...: a TAP line, with the last of what a failed command said
try() {
	local name=$1 rc=0
	shift
	"$@" >/tmp/said 2>&1 </dev/null || rc=1
	result $rc "$name"
	[ $rc = 0 ] || tail -n 12 /tmp/said | cut -c -160 | sed 's/^/# /'
}

read_only() { ! touch / && ! touch "$root"; }

rules() { sed -n 's/^ *\(SUBSYSTEM=="dma_heap",.*\)/\1/p' "$document"; }
key() { sed -n "s/.*[ ,]$1+\?=\"\([^\"]*\)\".*/\1/p"; }
# The heap has the group, the mode and the links that the rule says; another may say the rest.
owned() { # RULE HEAP
	local group mode link
	group=$(key GROUP <<<"$1") mode=$(key MODE <<<"$1")
	stat -c '%n: %G %04a' "/dev/dma_heap/$2"
	[ -z "$group" ] || [ "$(stat -c %G "/dev/dma_heap/$2")" = "$group" ] || return 1
	[ -z "$mode" ] || [ "$(stat -c %04a "/dev/dma_heap/$2")" = "$mode" ] || return 1
	for link in $(key SYMLINK <<<"$1"); do
		[ "/dev/$link" -ef "/dev/dma_heap/$2" ] || return 1
	done
}
udev() {
	local rule heap
	mkdir -p /run/udev/rules.d
	rules | tee /run/udev/rules.d/99-heaps.rules
	try "udev: the document has rules" grep -q . /run/udev/rules.d/99-heaps.rules
	try "udev: udevd starts" /lib/systemd/systemd-udevd --daemon
	try "udev: heaps are announced" udevadm trigger --action=add --subsystem-match=dma_heap
	try "udev: the queue is empty" udevadm settle --timeout=60
	while read -r rule; do
		for heap in $(sed -n 's/.*KERNEL=="\([^"]*\)".*/\1/p' <<<"$rule" | tr '|' ' '); do
			try "udev: $heap: ${rule#*, }" owned "$rule" "$heap"
		done
	done < <(rules)
	try "udev: a heap without a rule is root's" owned ' GROUP="root", MODE="0600"' ecc-off@20000000
}

stress() { # HEAP
	timeout 60 stress-ng --dev 2 --dev-file "/dev/dma_heap/$1" --timeout 4 --metrics-brief \
		--temp-path /tmp
	# Some of it was done.
	awk '$4 == "dev" && $5 > 0 { found = 1 } END { exit !found }' /tmp/said
}

# gdb at a page in the middle of a buffer that the tool has mapped and filled, and then checks
gdb_at() { # HEAP COMMAND, where $at is the address
	# shellcheck disable=SC2016 # for the shell inside, and for gdb
	"$dir/rmem-heap" alloc --fill=7 --check "$1" 64K sh -c '
		at=0x$(sed -n "/dmabuf/ { s/-.*//p; q }" /proc/$PPID/maps)
		exec timeout 60 gdb --nx --batch -p $PPID -ex "set \$at = $at + 4096" -ex "$0"' "$2"
}
# What --fill=7 has there
word=$(printf '0x%08x' $((8 * 2654435761 % (1 << 32) ^ 1024 * 40503)))
# shellcheck disable=SC2016
gdb_reads() {
	gdb_at "$1" 'x/1xw $at' && tr '\t' ' ' </tmp/said | grep -q "^0x[0-9a-f]*: $word\$"
}
# shellcheck disable=SC2016
gdb_writes() {
	gdb_at "$1" 'set var {int}$at = 1'
	grep -q 'the pattern is gone at offset 4096' /tmp/said
}

# Frames of vivid's into a file: as the client has them in memory that it maps from vivid, and
# as it has them in buffers of a heap
v4l2_frames() { # mmap|HEAP DEVICE EXPORTER FILE
	local from=(--stream-mmap)
	[ "$1" = mmap ] || from=(--stream-dmabuf --export-device="/dev/video$3")
	timeout 60 v4l2-ctl -d "/dev/video$2" "${from[@]}" --stream-count=3 --stream-to="$4"
}
gst_frames() {
	local how=dmabuf-import
	[ "$1" != mmap ] || how=mmap
	# Each line of a dump has its address in brackets.
	timeout 200 gst-launch-1.0 -q v4l2src device="/dev/video$2" num-buffers=3 io-mode="$how" ! \
		video/x-raw,format=YUY2,width=320,height=180,interlace-mode=progressive,framerate=10/1 ! \
		identity dump=true ! \
		v4l2sink device="/dev/video$3" io-mode=dmabuf | sed 's/(0x[0-9a-f]*)//' >"$4"
}
# libcamera has one device export the buffers and import them.
cam_frames() {
	rm -rf /tmp/captured
	mkdir /tmp/captured
	timeout 100 cam --camera=1 --capture=3 --stream=width=640,height=360 --file=/tmp/captured/# &&
		cat /tmp/captured/* >"$4"
}
own_frames() { # v4l2|gst|cam
	"$1_frames" mmap 10 11 "/tmp/$1" && [ "$(wc -c <"/tmp/$1")" -ge $((3 * 320 * 180 * 2)) ]
}
same_frames() { # v4l2|gst|cam HEAP DEVICE EXPORTER
	HEAP=$2 LD_PRELOAD=$dir/expbuf.so "$1_frames" "$2" "$3" "$4" /tmp/frames &&
		grep -q "^expbuf: a buffer of /dev/dma_heap/$2\$" /tmp/said && cmp "/tmp/$1" /tmp/frames
}

# Its buffers are larger than all that the heap has given before.
cam_in_heap() { # HEAP
	local peak=/sys/class/rmem_heap/$1/peak before
	before=$(cat "$peak")
	same_frames cam "$1" - - && [ "$(cat "$peak")" -gt "$before" ]
}

if [ "${1:-}" = guest ]; then
	mount -o remount,bind,ro /
	mount -o remount,bind,ro "$root"
	mount -t tmpfs tmpfs /run
	try "the machine's files cannot be changed" read_only
	udev
	for heap in system $contiguous; do
		try "stress-ng: $heap" stress "$heap"
	done
	for heap in $ours; do
		try "gdb reads a buffer: $heap" gdb_reads "$heap"
		try "gdb writes to a buffer: $heap" gdb_writes "$heap"
	done
	for i in 10 11 12 13; do
		v4l2-ctl -d /dev/video$i --set-fmt-video=$size --set-fmt-video-out=$size
		v4l2-ctl -d /dev/video$i -c osd_text_mode=2,colorspace=1
	done >/dev/null 2>&1 || true
	for client in v4l2 gst; do
		try "$client: vivid's own memory" own_frames $client
		for heap in system $contiguous; do
			try "$client: vivid, by the CPU: $heap" same_frames $client "$heap" 10 11
		done
		for heap in $contiguous; do
			try "$client: vivid, contiguous: $heap" same_frames $client "$heap" 12 11
		done
	done
	for i in /dev/v4l-subdev*; do
		v4l2-ctl -d "$i" -c show_information=2
	done >/dev/null 2>&1 || true
	try "udev: cameras are announced" udevadm trigger --action=add \
		--subsystem-match=media --subsystem-match=video4linux
	try "udev: the queue is empty" udevadm settle --timeout=60
	try "cam: vimc's own memory" own_frames cam
	for heap in $ours; do
		try "cam: vimc, by the CPU: $heap" cam_in_heap "$heap"
	done
	for heap in system default_cma_region; do
		try "cam: vimc, by the CPU: $heap" same_frames cam "$heap" - -
	done
	echo "1..$n"
	exit $((bad != 0))
fi

"$root/harness/deps.sh" gcc libc6-dev libfdt-dev make device-tree-compiler stress-ng gdb udev \
	v4l-utils gstreamer1.0-tools gstreamer1.0-plugins-good libcamera-tools libcamera-ipa
lock_folder "$dir"
# default_cma_region and linux,cma are one area, by mainline's code and by ours.
{
	cat "$root/harness/dts/run.dts"
	echo '/ { reserved-memory { linux,cma { compatible = "shared-dma-pool"; reusable;
		linux,cma-default; size = <0 0x2000000>; }; }; };'
} | dtc -q -I dts -O dtb -o "$dir/run.dtb"
make -s -C "$build/tree/tools/dma/rmem-heap" OUTPUT="$dir" CFLAGS="-O2 -Wall -static"
gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$dir/expbuf.so" "$root/harness/check/expbuf.c"

rc=0
DTB=$dir/run.dtb KERNEL=um-clients TIMEOUT=${TIMEOUT:-1200} APPEND=$vivid \
	"$root/harness/vm.py" host "$root/harness/clients.sh" guest 2>&1 | tee "$dir/console" || rc=$?
n=$(grep -cE '^(not )?ok [0-9]' "$dir/console" || true)
result $rc "the guest came to its end, and every client to its own"
rc=0
"$root/harness/vm.py" reports "$dir/console" || rc=1
result $rc "no report"
[ "$bad" = 0 ]
