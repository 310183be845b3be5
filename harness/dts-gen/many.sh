#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: many.sh N    print a device tree with N regions of 64 KiB, all to be exported
#
# There can be 112 heaps of regions; regions that come after them must be refused with a reason.
# From the 129th on they are of all kinds but CMA, whose areas are larger. The last one is a
# driver's to export.
set -eu

cat <<END
// SPDX-License-Identifier: GPL-2.0
/dts-v1/;

/ {
	#address-cells = <2>;
	#size-cells = <2>;
	compatible = "linux,um";

	reserved-memory {
		#address-cells = <2>;
		#size-cells = <2>;
		ranges;
END
i=0
while [ "$i" -lt "$1" ]; do
	kind='' expect='"carveout", "its node"'
	[ "$i" -lt 112 ] || expect='"refused", "-", "there are 112 heaps"'
	if [ "$i" -ge 128 ]; then
		case $((i % 3)) in
		0) kind='compatible = "shared-dma-pool"; no-map;' ;;
		1) kind='compatible = "restricted-dma-pool";' ;;
		esac
	fi
	printf '\n\t\tbank@%x {\n\t\t\treg = <0 0x%x 0 0x10000>;\n\t\t\texport;\n' \
		$((0x10000000 + i * 0x10000)) $((0x10000000 + i * 0x10000))
	printf '\t\t\t%s\n\t\t\ttest,expect = %s;\n\t\t};\n' "$kind" "$expect"
	i=$((i + 1))
done
if [ "$i" -ge 128 ]; then
	cat <<'END'

		driven: driven@12000000 {
			reg = <0 0x12000000 0 0x10000>;
			test,expect = "owned", "-", "/scaler refers to it";
		};
	};

	scaler {
		compatible = "linux,rmem-heap-sample";
		memory-region = <&driven>;
END
fi
printf '\t};\n};\n'
