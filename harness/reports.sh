#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: reports.sh CONSOLE...    print what the kernel complained about on a console
#
# Exit status 1 if there is anything: warnings, bugs, sanitizers, lockdep, DMA debugging,
# leaks, duplicate names in sysfs, a CMA area that is full; or DMA debugging, kmemleak or
# lockdep having stopped, as nothing is checked from there on. Injected failures announce
# themselves and are none.
set -eu

for console; do
	[ -s "$console" ] || { echo "$console: there is no console"; exit 1; }
done

# grep refuses to read the file that it writes to, and a console may be where our output goes.
rc=0
found=$(grep -nE -A 12 \
	-e 'WARNING:|BUG:|BUG at|KASAN|UBSAN|Oops|Kernel panic|general protection' \
	-e 'INFO: (possible|task|rcu)|possible (circular|recursive)|suspicious RCU' \
	-e 'DMA-API: .*(overlap|device driver|leak)|unreferenced object' \
	-e 'dma-debug disabled|debugging out of memory|memleak disabled|leak detector disabled' \
	-e 'turning off the locking|cma: .*alloc failed, req-size' \
	-e 'kmemleak: [1-9][0-9]* new|cannot create duplicate filename|sleeping function' \
	"$@") || rc=$?
[ -z "$found" ] || echo "$found"
[ $rc = 1 ]
