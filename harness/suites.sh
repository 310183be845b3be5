# SPDX-License-Identifier: GPL-2.0
# The suites on User-Mode Linux, and how they are counted: source it after lib.sh. With KERNEL
# in the environment they run on build/$KERNEL instead of the kernel they are for.

logs=${logs:-$build/test}
tree=$build/tree
suites=rmem_heap_regions,rmem_heap_classify,rmem_heap_policy,rmem_heap_lookup
suites+=,rmem_heap_alloc,rmem_heap_consistency,rmem_heap_import,rmem_heap_cpu
suites+=,rmem_heap_carveout,rmem_heap_export,rmem_heap_segments,rmem_heap_pages
suites+=,rmem_heap_regions_sysfs,rmem_heap_driver,rmem_heap_swiotlb,rmem_heap_full
suites+=,rmem_heap_cache
suites+=,rmem_failing_alloc,rmem_failing_map,rmem_failing_pages,rmem_failing_export
passed=0 failed=0 skipped=0
mkdir -p "$logs"

# Skips that are expected, with the reason. Any other is a failure.
known_skips() {
	local leaks='^$'

	# The selftest's import through vgem: there is no DRM in this kernel, and vgem 7.3
	# does not map what it imports anyway. Our own consumers import instead.
	#
	# The case of two drivers at the same time runs in a boot with two processors.
	#
	# 32-bit ARM without large addresses has no swiotlb, so no restricted pools.
	#
	# Only the debug kernel has kmemleak, and coverage is of another one.
	[ "${KERNEL:-}" != um-coverage ] || leaks='no kmemleak in this kernel'
	grep -vE 'Could not open vgem|no restricted pools without swiotlb|two drivers need two' |
		grep -vE "$leaks"
}

# count LOG: adds up the TAP lines of a log; those of subtests count, their sums do not
count() {
	local ok bad skip odd
	# A line with subtests before it repeats them: KUnit indents by four.
	awk '
	{ match($0, /^ */); depth = RLENGTH }
	/^ *(not )?ok [0-9]+/ {
		if (depth < deepest) { deepest = depth; if ($0 !~ /SKIP/) next }
		deepest = depth
		print
	}
	/^ *(# Subtest|KTAP version)/ { deepest = depth }
	' "$1" >"$1.tap"
	skip=$(grep -cE '^ *ok .*# *SKIP' "$1.tap" || true)
	ok=$(($(grep -cE '^ *ok ' "$1.tap" || true) - skip))
	bad=$(grep -cE '^ *not ok ' "$1.tap" || true)
	odd=$(grep -E '^ *ok .*# *SKIP' "$1.tap" | known_skips | grep -c . || true)
	passed=$((passed + ok)) failed=$((failed + bad + odd)) skipped=$((skipped + skip - odd))
	grep -E '^ *not ok ' "$1.tap" | head -n 20 || true
	[ "$odd" = 0 ] || { echo "skipped for no known reason:"; grep -E '# *SKIP' "$1.tap" | known_skips; }
	say "  $ok passed, $((bad + odd)) failed, $((skip - odd)) skipped"
}

# What is tested, and with what: results of other files or of another kernel do not count.
contents() {
	(
		cd "$root"
		find . \( -name .git -o -path ./build \) -prune -o -type f -printf '%m %p\0' | sort -z
		find . \( -name .git -o -path ./build \) -prune -o -type f -print0 |
			sort -z | xargs -0 sha1sum
		cat "$build/tree.state/base" 2>/dev/null
		gcc --version
	) | sha1sum | cut -d ' ' -f 1
}

# With `resume` set to a folder, a case that has passed is not run again.
before() { # NAME: true if it has passed, and is counted
	local p s
	slug=$(tr -c 'a-zA-Z0-9\n' - <<<"$1")
	started=$SECONDS
	say "$1"
	[ -n "${resume:-}" ] && [ -e "$resume/$slug" ] || return
	read -r p _ s <"$resume/$slug"
	passed=$((passed + p)) skipped=$((skipped + s))
	say "  $p passed, 0 failed, $s skipped (earlier; rm -r ${resume#"$root/"} to run all again)"
}
after() { # PASSED FAILED SKIPPED before the case
	took=$((SECONDS - started))
	[ "$took" -lt 30 ] || say "  $took s"
	[ -n "${resume:-}" ] && [ "$failed" = "$2" ] && [ "$(contents)" = "${resume##*/}" ] || return 0
	mkdir -p "$resume"
	echo "$((passed - $1)) 0 $((skipped - $3))" >"$resume/$slug"
}

# A case with no TAP of its own: its command's exit status
one() { # NAME COMMAND...
	local name=$1 log sums="$passed $failed $skipped"
	shift
	before "$name" && return
	log=$logs/$slug.log
	if "$@" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $name (${log#"$root/"}):"
		tail -n 25 "$log"
	fi
	after $sums
}

# Kernels are always built: nothing is done twice, and others are in the same folder.
kernel() { # MAKE-ARGUMENT...
	local resume=
	one "make kernel $*" make -s kernel "$@"
}

# A suite that prints TAP; one that prints none, or fails without saying where, failed
suite() { # NAME COMMAND...
	local name=$1 log rc=0 sums="$passed $failed $skipped"
	local before=$((passed + failed + skipped)) bad=$failed
	shift
	before "$name" && return
	log=$logs/$slug.log
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	count "$log"
	if [ $((passed + failed + skipped)) = "$before" ] ||
	   { [ $rc != 0 ] && [ "$bad" = "$failed" ]; }; then
		failed=$((failed + 1))
		echo "not ok - $name ended with status $rc (${log#"$root/"}):"
		tail -n 25 "$log"
	fi
	after $sums
}

dtb() { dtc -q -I dts -O dtb -o "$logs/$2.dtb" "$1"; }

# Lines of our own in the log of the suite that runs: what is true of it as a whole
verdict() { # NAME COMMAND...
	if "${@:2}"; then
		echo "ok 1 - $1"
	else
		echo "not ok 1 - $1"
	fi
}

# kunit.py says success of a console whatever is on it, and if it ends too early.
whole() { # LOG: as many suites as were announced
	tr -d '\r' <"$1" | awk '
	/^1\.\.[0-9]+$/ { planned = substr($0, 4) }
	/^(not )?ok [0-9]+ rmem_/ { ended++ }
	END { exit !(planned && ended == planned) }'
}
kunit_verdicts() {
	verdict "no report" "$root/harness/reports.sh" "$log"
	verdict "every suite came to its end" whole "$log"
}

# kunit NAME VARIANT DTB FILTER [PARAMETER...]
kunit() { suite "$1" kunit_checked "${@:2}"; }
kunit_checked() {
	kunit_boot "$@"
	kunit_verdicts
}
kunit_boot() {
	local variant=$1 dtb=$2 filter=$3 arg
	shift 3
	local args=()
	for arg; do args+=(--kernel_args "$arg"); done
	# An interrupted kunit.py stops its kernel.
	setpriv --pdeathsig INT "$tree/tools/testing/kunit/kunit.py" exec \
		--build_dir="$build/${KERNEL:-um${variant:+-$variant}}" \
		--raw_output=all --timeout="${KUNIT_TIMEOUT:-600}" ${dtb:+--kernel_args "dtb=$dtb"} "${args[@]}" "$filter"
}

# On the debug kernel the suites are run from userspace: failures can be injected there,
# and leaks looked for.
kunit_debug() { suite "$1" kunit_inside "${@:2}"; } # NAME DTB SUITES [PARAMETER...]
kunit_inside() {
	MEM=1G DTB=$1 CHECK_TREE=0 INITRD=$logs/kunit.cpio TIMEOUT=900 \
		APPEND="kunit.enable=1 kunit.autorun=0 suites=$2 ${*:3}" "$root/harness/boot.sh" debug
	# Bringing up a second processor is itself reported in 7.3.4, before anything has run.
	sed '/^smp: Bringing up secondary/,/^smp: Brought up/d' "$log" >"$log.console"
	verdict "no report, no leak" "$root/harness/reports.sh" "$log.console"
	[ -n "${KERNEL:-}" ] ||
		verdict "leaks were looked for after every suite" leaks_sought "$2"
}
leaks_sought() { # SUITES
	[ "$(grep -c '^kunit-init: looked for leaks of ' "$log")" = "$(tr , '\n' <<<"$1" | wc -l)" ]
}

kunit_qemu() { suite "$1" kunit_qemu_checked "${@:2}"; } # NAME KERNEL [high]
kunit_qemu_checked() {
	harness/kunit-qemu.sh "$@"
	kunit_verdicts
}

# As an integrator does: the suites in a kernel that kunit.py configures and builds
kunit_run() {
	setpriv --pdeathsig INT "$tree/tools/testing/kunit/kunit.py" run --build_dir="$build/kunit" \
		--kunitconfig=lib/kunit-tests --raw_output=all --jobs="$(nproc)" \
		--kernel_args "dtb=$logs/test.dtb" --kernel_args "$export_arg" 'rmem_heap_*'
	kunit_verdicts
}

# The kernel's own selftest on every CPU-visible heap
selftest() { # VARIANT
	local console=$logs/selftest${1:+-$1}.console
	MEM=1G DTB=$build/run/run.dtb INITRD=$logs/selftest.cpio TIMEOUT=600 \
		APPEND="rmem_heap.export=fpga@1c000000" \
		"$root/harness/boot.sh" $1 2>&1 | tee "$console"
	grep -q '^selftest: exit 0' "$console" && "$root/harness/reports.sh" "$console"
}

# The tool, each command and each error; then what a boot shows it. `plain`: on a kernel
# without our code
tool() { # [debug|plain]
	local log=$logs/tool${1:+-$1}.console append="rmem_heap.export=fpga@1c000000"
	[ "${1:-}" != plain ] || append="plain=1 heap=default_cma_region"
	make -s -C "$tree/tools/dma/rmem-heap" OUTPUT="$logs" CFLAGS="-O2 -Wall -Wextra -Werror -static"
	gcc -static -O2 -Wall -Wextra -Werror -o "$logs/tool-init" "$root/harness/check/tool-init.c"
	dtc -q -i "$root/harness/dts" -I dts -O dtb -o "$logs/tool.dtb" \
		"$root/harness/dts/$([ "${1:-}" = plain ] && echo other || echo tool).dts"
	"$root/harness/check/initrd.sh" "$logs/tool.cpio" init="$logs/tool-init" \
		rmem-heap="$logs/rmem-heap"
	MEM=1G DTB="$logs/tool.dtb" INITRD="$logs/tool.cpio" TIMEOUT=300 \
		APPEND="$append dma_heap.mem_accounting=1" "$root/harness/boot.sh" ${1:-} 2>&1 | tee "$log"
	grep -q '^1\.\.[1-9]' "$log" && "$root/harness/reports.sh" "$log"
}

# What is installed, where
tool_install() {
	local to=$logs/installed
	rm -rf "$to"
	make -s -C "$tree/tools/dma/rmem-heap" OUTPUT="$logs" DESTDIR="$to" install
	[ -x "$to/usr/bin/rmem-heap" ] && [ -f "$to/usr/share/man/man1/rmem-heap.1" ] &&
		bash -n "$to/usr/share/bash-completion/completions/rmem-heap"
}

# The completion of each command offers the options that the source has, and the man page has
# them all. Those of the command x are in cmd_x() or in x_options().
tool_options() {
	local dir=$root/tools/dma/rmem-heap cmd option
	awk '
	/^(static )?int (cmd_[a-z]+|[a-z]+_options)\(/ {
		sub(/(_options)?\(.*/, ""); sub(/.*int (cmd_)?/, ""); cmd = $0
		print cmd " --json\n" cmd " --help"
	}
	/^}/ { cmd = "" }
	cmd && /^\t\t{ "[a-z-]+", [a-z]+_argument/ {
		print cmd " --" substr($2, 2, length($2) - 3) ($3 ~ /required/ ? "=" : "")
	}' "$dir"/*.c | sort -u >"$logs/options"
	grep -q '^alloc --hold=$' "$logs/options" || return 1
	cut -d ' ' -f 1 "$logs/options" | uniq | while read -r cmd; do
		# shellcheck disable=SC2016 # for the shell inside
		bash -c '. "$1"; COMP_WORDS=(rmem-heap "$2" --) COMP_CWORD=2; _rmem_heap
			printf "$2 %s\n" "${COMPREPLY[@]}"' bash "$dir/rmem-heap.bash" "$cmd"
	done | sort | diff "$logs/options" - || return 1
	while read -r _ option; do
		option=${option%=}
		grep -qF -e "${option//-/\\-}" "$dir/rmem-heap.1" ||
			{ echo "$option is not in the man page"; return 1; }
	done <"$logs/options"
	# Names and paths that begin with what was typed
	# shellcheck disable=SC2016
	bash -c '. "$1"; cur=fu; _rmem_heap_names /dev/null /dev/full
		cur=/dev/fu; _rmem_heap_names /dev/null /dev/full
		[ "${COMPREPLY[*]}" = "full /dev/full" ]' bash "$dir/rmem-heap.bash"
}

# What the tool says of device trees; no kernel takes part
check_tool() {
	mkdir -p "$logs/check"
	make -s -C "$root/tools/dma/rmem-heap" OUTPUT="$logs/check" \
		CFLAGS="-O2 -Wall -Wextra -Werror"
	harness/check-tool.py "$logs/check/rmem-heap"
}

# User mappings with whatever entries the architecture has. The heaps with a plus give
# buffers that are aligned for large ones.
mappings() { # um|arm64
	local heaps=+bank@5c000000,video@50000000,+vram@54000000,guest@58000000
	local out=$logs/map-$1 cross= log=$logs/mappings-$1.console boot=("$root/harness/boot.sh") large=
	if [ "$1" = arm64 ]; then
		"$root/harness/deps.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
		cross=aarch64-linux-gnu- large=1 boot=("$root/harness/qemu.sh" "$1")
	fi
	mkdir -p "$out"
	make -s -C "$root/tools/testing/selftests/rmem-heap" OUTPUT="$out" CROSS_COMPILE="$cross" \
		"$out/rmem-heap-map"
	"$root/harness/check/initrd.sh" "$out.cpio" init="$out/rmem-heap-map"
	dtc -q -I dts -O dtb -o "$logs/bench.dtb" "$root/harness/dts/bench.dts"
	APPEND="heaps=$heaps large=$large" MEM=2G DTB="$logs/bench.dtb" INITRD="$out.cpio" \
		DTSI="$root/harness/dts/bench-regions.dtsi" TIMEOUT=120 "${boot[@]}" 2>&1 |
		tee "$log"
	grep -q '^1\.\.[1-9]' "$log" && "$root/harness/reports.sh" "$log"
}

# What the suites need: device trees, initial file systems
prepare() {
	local n

	cd "$root"
	"$root/harness/deps.sh" gcc libc6-dev libfdt-dev make device-tree-compiler python3
	dtb lib/kunit-tests/rmem_heap_test.dts test
	dtb lib/kunit-tests/rmem_heap_hostile.dts hostile
	sed -i -f lib/kunit-tests/rmem_heap_hostile.sed "$logs/hostile.dtb"
	for n in 64 140; do
		harness/dts-gen/many.sh $n >"$logs/many$n.dts"
		dtb "$logs/many$n.dts" many$n
	done

	gcc -static -O2 -Wall -Wextra -Werror -o "$logs/kunit-init" harness/check/kunit-init.c
	harness/check/initrd.sh "$logs/kunit.cpio" init="$logs/kunit-init"
	harness/check/selftest.sh
	harness/check/initrd.sh "$logs/selftest.cpio" init=build/selftest/init \
		selftest=build/selftest/dmabuf-heap
}
