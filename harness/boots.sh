#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: boots.sh [modules]    boots with trees and parameters out of the ordinary. Prints
# TAP. `modules`: those with cma_heap as a module, in the kernel for that.
. "$(dirname "$0")/lib.sh"

variant=${1:-}
dir=$build/boots${variant:+-$variant}
. "$root/harness/boots-lib.sh"
trees=$root/harness/dts

if [ "$variant" = modules ]; then
	boot "cma_heap is a module" 512M "$trees/other.dts" "$dir/list.cpio" ""
	heaps "cma_heap is a module" system default_cma_region linux,cma audio@a0c3000 \
		vm@b012000 scratch@c001000
	boot "cma_heap is a module, held back" 512M "$trees/other.dts" "$dir/list.cpio" \
		"rmem_heap.export=!linux,cma"
	heaps "cma_heap is a module, held back" system audio@a0c3000 vm@b012000 scratch@c001000
	echo "1..$n"
	exit $((bad != 0))
fi

# A tree that this project's table was not written for, used for real
boot "another tree" 512M "$trees/other.dts" "$dir/check.cpio" ""
says "another tree" '^rmem-heap-check: [1-9][0-9]* passed, 0 failed'
boot "another tree, heaps" 512M "$trees/other.dts" "$dir/list.cpio" ""
heaps "another tree, heaps" system default_cma_region linux,cma audio@a0c3000 vm@b012000 \
	scratch@c001000

# Nothing reserved, nothing said
boot "no tree" 256M "" "$dir/list.cpio" ""
heaps "no tree" system
says_nothing "no tree" rmem_heap
cat >"$dir/bare.dts" <<-'END'
	/dts-v1/;
	/ { #address-cells = <2>; #size-cells = <2>; compatible = "linux,um"; };
END
boot "no regions" 256M "$dir/bare.dts" "$dir/list.cpio" ""
heaps "no regions" system
says_nothing "no regions" 'rmem_heap: '
boot "no regions, a name" 256M "$dir/bare.dts" "$dir/list.cpio" "rmem_heap.export=x@1"
says "no regions, a name" '^rmem_heap: export=x@1: there is no such reserved-memory region'

# What the administrator says
run=$trees/run.dts
boot "default" 1G "$run" "$dir/list.cpio" ""
heaps "default" system video@10000000 camera vram@14000000 guest@18000000 \
	ecc-off@20000000 dsp@24000000
says "default" '^rmem_heap: fpga@1c000000: owned, base 0x1c000000, 65536 KiB, not exported: /accel refers to it by memory-region; rmem_heap.export=fpga@1c000000 exports it all the same'
boot "exact names" 1G "$run" "$dir/list.cpio" \
	"rmem_heap.export=fpga@1c000000:modem@2c000000 rmem_heap.export=ramoops@29000000"
heaps "exact names" system video@10000000 camera vram@14000000 guest@18000000 \
	ecc-off@20000000 dsp@24000000 fpga@1c000000 modem@2c000000 ramoops@29000000
says "exact names" '^rmem_heap: ramoops@29000000: exporting it although it belongs to the driver of ramoops'
boot "all pools" 1G "$run" "$dir/list.cpio" "rmem_heap.export=*"
heaps "all pools" system video@10000000 camera vram@14000000 guest@18000000 \
	ecc-off@20000000 dsp@24000000 bounce@28000000
boot "held back" 1G "$run" "$dir/list.cpio" \
	"rmem_heap.export=!video@10000000:*:!guest@18000000:!dsp@24000000"
heaps "held back" system camera vram@14000000 ecc-off@20000000 bounce@28000000
says_nothing "held back" 'there is no such reserved-memory region|known is'
boot "held back by its alias" 512M "$trees/other.dts" "$dir/list.cpio" \
	"rmem_heap.export=!linux,cma"
heaps "held back by its alias" system audio@a0c3000 vm@b012000 scratch@c001000
boot "unknown names" 1G "$run" "$dir/list.cpio" "rmem_heap.export=video:modem@2c000000:,x"
says "unknown names" '^rmem_heap: export=video: there is no such reserved-memory region'
says "unknown names" '^rmem_heap: export=,x: there is no such reserved-memory region'
says "unknown names" '^rmem_heap: export=: known is video@10000000'
boot "what cannot be exported" 1G "$run" "$dir/list.cpio" \
	"rmem_heap.export=odd@2a100000:spare@2b000000"
says "what cannot be exported" '^rmem_heap: odd@2a100000: cannot export it: base and size of a CMA area must be multiples of 4096 KiB'
says "what cannot be exported" '^rmem_heap: spare@2b000000: cannot export it: its status'

# Wrong regions get no heap from anybody, and good ones among them do. The names that
# rmem_heap_hostile.sed makes wrong are still right here.
CHECK_TREE=0 boot "hostile tree" 1G "$root/lib/kunit-tests/rmem_heap_hostile.dts" "$dir/list.cpio" ""
heaps "hostile tree" system good@1b000000 reserved-twice@1f800000 entries@16000000 \
	twin-a@19800000 ba+snk@18800000 u@18400000 \
	a-very-long-name,that-no-cma-area-can-keep,since-64-characters-are-not-enough@1a000000

says "hostile tree" '^rmem_heap: disabled@18000000: cannot export it: its status'
says "hostile tree" '^rmem_heap: .*/nested@1ac00000: cannot export it: only the children of /reserved-memory are regions'

# All lists count.
boot "many lists" 1G "$run" "$dir/list.cpio" \
	"rmem_heap.export=!dsp@24000000 $(printf 'rmem_heap.export=x %.0s' {1..15}) \
	 rmem_heap.export=fpga@1c000000"
heaps "many lists" system video@10000000 camera vram@14000000 guest@18000000 \
	ecc-off@20000000 fpga@1c000000

# What the core made of a node that is two pools is the default area: it gets no heap under
# any name.
cat >"$dir/two-pools.dts" <<-'END'
	/dts-v1/;
	/ {
		#address-cells = <2>; #size-cells = <2>; compatible = "linux,um";
		reserved-memory {
			#address-cells = <2>; #size-cells = <2>; ranges;
			two-pools@10000000 {
				compatible = "shared-dma-pool", "restricted-dma-pool";
				reusable;
				linux,cma-default;
				reg = <0 0x10000000 0 0x1000000>;
			};
		};
	};
END
boot "a default area of two kinds" 512M "$dir/two-pools.dts" "$dir/list.cpio" ""
heaps "a default area of two kinds" system
says "a default area of two kinds" '^rmem_heap: two-pools@10000000: refused, .*two kinds of pool'

# A pool of more than kmalloc has slots for
cat >"$dir/large-pool.dts" <<-'END'
	/dts-v1/;
	/ {
		#address-cells = <2>; #size-cells = <2>; compatible = "linux,um";
		reserved-memory {
			#address-cells = <2>; #size-cells = <2>; ranges;
			large@10000000 {
				compatible = "restricted-dma-pool";
				export;
				reg = <0 0x10000000 0 0x20000000>;
			};
		};
	};
END
boot "a restricted pool of 512 MiB" 1G "$dir/large-pool.dts" "$dir/list.cpio" ""
heaps "a restricted pool of 512 MiB" system large@10000000

# A blob that no compiler makes: the root, which has no parent, is called reserved-memory, too.
CHECK_TREE=0 boot "a root called reserved-memory" 512M "$trees/root-name.dtb" "$dir/list.cpio" ""
heaps "a root called reserved-memory" system bank@10000000

# Nodes with the names of other heaps hide none of them.
cat >"$dir/names.dts" <<-'END'
	/dts-v1/;
	/ {
		#address-cells = <2>; #size-cells = <2>; compatible = "linux,um";
		reserved-memory {
			#address-cells = <2>; #size-cells = <2>; ranges;
			reserved {
				export;
				reg = <0 0x10000000 0 0x400000>;
			};
			system {
				export;
				reg = <0 0x11000000 0 0x400000>;
			};
			default_cma_region {
				export;
				reg = <0 0x12000000 0 0x400000>;
			};
			area@13000000 {
				compatible = "shared-dma-pool";
				reusable;
				linux,cma-default;
				reg = <0 0x13000000 0 0x400000>;
			};
		};
	};
END
boot "names of other heaps" 512M "$dir/names.dts" "$dir/list.cpio" ""
heaps "names of other heaps" system default_cma_region area@13000000
for name in reserved system default_cma_region; do
	says "names of other heaps" \
		"^rmem_heap: $name: cannot export it: the name belongs to another heap"
done

echo "1..$n"
exit $((bad != 0))
