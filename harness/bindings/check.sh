#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Checks the binding, the change to dt-schema and device trees against both. Prints
# TAP; exit status 1 if a check failed.
#
# Example trees are in valid/ and invalid/. In a tree, a line
#	/* expect: REGEX */
# announces a message of dtc or dt-validate: there must be one that matches, and, but
# for invalid/, where errors have others in their wake, no message that none announces.
# A line
#	/* needs: PATH */
# skips the tree if the kernel's bindings (KDIR, see setup.sh) have no such file.
set -eu

if [ -n "${KDIR:-}" ]; then
	KDIR=$(cd "$KDIR" && pwd)
	export KDIR
fi
cd "$(dirname "$0")/../.."
here=harness/bindings
dt=build/dtschema
jobs=$(nproc)

full=
for f in harness/dts/*.dts; do
	[ ! -e "$f" ] || full=full
done
$here/setup.sh $full
kdir=$(cat $dt/kdir)
PATH=$PWD/$dt/bin:$PATH

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

count=0 failed=0
# report STATUS NAME [FILE]: one TAP line; FILE explains a failure.
report() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2"
		[ -z "${3:-}" ] || sed 's/^/# /' "$3"
	fi
}
# quiet NAME COMMAND...: succeeds, and says nothing.
quiet() {
	name=$1; shift
	if "$@" >"$tmp/out" 2>&1 && [ ! -s "$tmp/out" ]; then
		report 0 "$name"
	else
		report 1 "$name" "$tmp/out"
	fi
}

# compile DTS DTB
compile() {
	if grep -q '^#include' "$1"; then
		"${CC:-cc}" -E -nostdinc -undef -D__DTS__ -x assembler-with-cpp \
			-I "$(dirname "$1")" ${kdir:+-I "$kdir/include"} -o "$2.dts" "$1" || return
		set -- "$2.dts" "$2" "$(dirname "$1")"
	fi
	dtc -I dts -O dtb -i "${3:-$(dirname "$1")}" -o "$2" "$1"
}

# messages DTS SCHEMA OUT: what dtc and dt-validate say, one message a line (they indent
# continuation lines) and without file names.
messages() {
	st=0
	{ compile "$1" "$3.dtb" && dt-validate -s "$dt/schema-$2.json" "$3.dtb"; } \
		>"$3.raw" 2>&1 || st=1
	sed "s|^$3.dtb: ||; s|^$1:||" "$3.raw" |
	awk '/^[ \t]/ && n { sub(/^[ \t]+/, ""); line = line " | " $0; next }
	     n++ { print line } { line = $0 } END { if (n) print line }' >"$3.msg"
	return $st
}

# judge DTS SCHEMA OUT: OUT.why lists what was not as announced.
judge() {
	messages "$1" "$2" "$3" || echo "dtc or dt-validate failed:" >>"$3.why"
	sed -n 's|^[[:space:]]*/\* expect: \(.*\) \*/[[:space:]]*$|\1|p' "$1" >"$3.expect"
	[ "$kind" = invalid ] || while read -r line; do
		printf '%s\n' "$line" | grep -qE -f "$3.expect" ||
			echo "unexpected: $line" >>"$3.why"
	done <"$3.msg"
	while read -r regex; do
		grep -qE -e "$regex" "$3.msg" ||
			{ echo "missing: $regex; instead:"; cat "$3.msg"; } >>"$3.why"
	done <"$3.expect"
}

# judge_all KIND SCHEMA DTS...: in parallel, reported in order.
judge_all() {
	kind=$1 schema=$2; shift 2
	n=0
	for f; do
		[ -e "$f" ] || continue
		n=$((n + 1))
		mkdir -p "$tmp/$kind"
		judge "$f" "$schema" "$tmp/$kind/$(basename "$f" .dts)" &
		[ $((n % jobs)) -ne 0 ] || wait
	done
	wait
	for f; do
		[ -e "$f" ] || continue
		out=$tmp/$kind/$(basename "$f" .dts)
		name="$kind: $(basename "$f" .dts)"
		needs=$(sed -n 's|^/\* needs: \(.*\) \*/$|\1|p' "$f")
		if [ -n "$needs" ] && [ ! -e "$kdir/Documentation/devicetree/bindings/$needs" ]; then
			report 0 "$name # SKIP no $needs"
			continue
		fi
		if [ "$kind" = invalid ] && ! head -n 1 "$f" | grep -q '^/\* expect: .* \*/$'; then
			echo "the first line does not say what to expect" >>"$out.why"
		fi
		if [ "$kind" = valid ] && [ -s "$out.expect" ]; then
			echo "a valid tree expects messages" >>"$out.why"
		fi
		if [ -s "$out.why" ]; then
			report 1 "$name" "$out.why"
		else
			report 0 "$name"
		fi
	done
}

# example YAML: its example compiles and is valid.
example() {
	dt-extract-example "$1" >"$tmp/example.dts" &&
	dtc -q -I dts -O dtb -o "$tmp/example.dtb" "$tmp/example.dts" &&
	dt-validate -s $dt/schema-core.json "$tmp/example.dtb"
}

ours=$(find Documentation/devicetree/bindings -name '*.yaml')
patched=$(sed -n 's|^+++ b/||p' $here/dt-schema-export.patch)

# The binding
for f in $ours; do
	base=$(basename "$f" .yaml)
	quiet "binding: $base" dt-doc-validate "$f"
	quiet "binding: $base, example" example "$f"
	if [ -n "$kdir" ] && command -v yamllint >/dev/null; then
		quiet "binding: $base, yamllint" \
			yamllint -f parsable -c "$kdir/Documentation/devicetree/bindings/.yamllint" "$f"
	fi
	if [ -n "$kdir" ] && [ -e "$kdir/scripts/dtc/dt-check-style" ]; then
		quiet "binding: $base, style" \
			python3 "$kdir/scripts/dtc/dt-check-style" --mode=strict "$f"
	fi
done

# The change to dt-schema
for f in $patched; do
	base=$(basename "$f" .yaml)
	quiet "dt-schema: $base" dt-doc-validate "$dt/patched/$f"
	quiet "dt-schema: $base, example" example "$dt/patched/$f"
done
quiet "schemas are processed without complaint" cat $dt/schema-core.log

# Trees
judge_all valid core $here/valid/*.dts
judge_all invalid core $here/invalid/*.dts

# The change is what makes the difference: without it "export" on a pool is an error.
for base in cma coherent restricted; do
	DTSCHEMA=pristine
	export DTSCHEMA
	messages $here/valid/$base.dts pristine "$tmp/$base" || :
	unset DTSCHEMA
	st=0
	grep -q "'export' was unexpected" "$tmp/$base.msg" || st=1
	report $st "without the change: $base is refused" "$tmp/$base.msg"
done

judge_all dts full harness/dts/*.dts

echo "1..$count"
[ "$failed" = 0 ] || { echo "# $failed of $count failed"; exit 1; }
