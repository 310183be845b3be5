#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: style.sh    what the kernel asks of new code: checkpatch --strict, sparse, W=1,
# kernel-doc and Sphinx, without a word from any of them, nor from shellcheck and flake8 about what is
# here; and how large the code may be, and which of its files may use which. Prints TAP.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

"$root/harness/deps.sh" perl python3 python3-sphinx mandoc shellcheck python3-flake8
tree=$build/tree
log=$build/test/style.out
n=0 bad=0
mkdir -p "$build/test"

# check NAME COMMAND...: it succeeds and says nothing
check() {
	local name=$1
	shift
	n=$((n + 1))
	if "$@" >"$log" 2>&1 </dev/null && [ ! -s "$log" ]; then
		echo "ok $n - $name"
	else
		bad=$((bad + 1))
		echo "not ok $n - $name"
		sed 's/^/# /' "$log" | head -n 40
	fi
}

# Run in the kernel's tree, which is what it expects. In a repository it takes a patch for
# a source file, unless that comes on stdin.
checkpatch() { (cd "$tree" && perl scripts/checkpatch.pl --strict --no-summary -q "$@"); }
checkpatch_patch() { checkpatch --no-signoff - <"$1"; }

cd "$root"
mapfile -t sources < <(git ls-files -co --exclude-standard '*.c' '*.h' |
	grep -E '^(kernel|include|lib|tools|drivers|samples)/')

# No maintainer's name is made up for commits that are not sent yet, and the patches add
# no files.
for f in "${sources[@]}"; do
	check "checkpatch $f" checkpatch -f "$root/$f"
done
for f in patches/*.patch; do
	check "checkpatch $f" checkpatch_patch "$f"
done

# The compiler's warnings of W=1 and sparse's on our objects, built again for that.
objects=()
for f in "${sources[@]}"; do
	case $f in
	kernel/*.c|lib/*.c) objects+=("${f%.c}.o") ;;
	esac
done
make_quiet() {
	local out=$build/style
	mkdir -p "$out"
	if ! cmp -s "$build/um/.config" "$out/config.in"; then
		cp "$build/um/.config" "$out/.config"
		make -s -C "$tree" O="$out" ARCH=um olddefconfig prepare >/dev/null || return 1
		cp "$build/um/.config" "$out/config.in"
	fi
	# C=2 checks what need not be built; W=1 changes the command line, which builds.
	(cd "$out" && rm -f "${objects[@]}")
	make -C "$tree" O="$out" ARCH=um -j"$(nproc)" "$@" "${objects[@]}" >"$out/log" 2>&1 || true
	grep -E 'warning|error' "$out/log" | grep -E "$(IFS='|'; echo "${sources[*]}")" || true
	# Objects that were not built have failed for another reason.
	(cd "$out" && ls "${objects[@]}" >/dev/null)
}
check "W=1" make_quiet W=1

# The kernel wants a sparse that knows __typeof_unqual__: Debian has one in sid, which runs
# with the C library that came with dt-schema from there.
get_sparse() {
	[ -x "$build/sparse/sparse" ] && return
	rm -rf "$build/sparse"
	mkdir -p "$build/sparse"
	harness/bindings/setup.sh
	harness/apt.sh "$build/apt-sid" sid download sparse "$build/sparse"
	dpkg-deb -x "$build"/sparse/sparse_*.deb "$build/sparse/root"
	cat >"$build/sparse/sparse.new" <<-'END'
		#!/bin/sh
		dir=$(dirname "$(dirname "$(readlink -f "$0")")")
		set -- "$dir/sparse/root/usr/bin/sparse" "$@"
		for ld in "$dir"/dtschema/root/usr/lib/*-linux-*/ld-linux*.so.*; do
			exec "$ld" --library-path "${ld%/*}" "$@"
		done
	END
	chmod +x "$build/sparse/sparse.new"
	mv "$build/sparse/sparse.new" "$build/sparse/sparse"
}
sparse() {
	make_quiet C=2 CHECK="$build/sparse/sparse" || return 1
	# make goes on without a checker that it does not like.
	local o
	for o in "${objects[@]}"; do
		grep -qx "  CHECK   ${o%.o}.c" "$build/style/log" || echo "sparse has not seen ${o%.o}.c"
	done
}
get_sparse >"$build/test/sparse.log" 2>&1 || cat "$build/test/sparse.log" >&2
check "sparse" sparse

# A file of kernel/dma uses functions and variables of the files here, and of no others: the
# files stay in layers. A call through a struct of pointers leaves no symbol in the caller.
arrows() {
	nm -A "$build"/style/kernel/dma/rmem_heap*.o | awk '
	BEGIN {
		allow("heap", "policy memory region owner sysfs buf pool carveout")
		allow("policy", "region")
		allow("sysfs", "buf pool region")
		allow("buf", "import map pool")
		allow("carveout", "pool")
		allow("memory", "region")
		allow("owner", "region")
		allow("import", "pool")
		allow("map", "pool")
	}
	function allow(from, files,   i, n, to) {
		n = split(files, to, " ")
		for (i = 1; i <= n; i++)
			allowed[from, to[i]]
	}
	{ file = $1; sub(/.*rmem_(heap_)?/, "", file); sub(/\.o:.*/, "", file) }
	$(NF - 1) == "U" { uses[file, $NF] }
	$(NF - 1) ~ /^[A-TV-Z]$/ { home[$NF] = file }
	END {
		for (use in uses) {
			split(use, part, SUBSEP)
			to = home[part[2]]
			if (to != "" && !((part[1], to) in allowed))
				print part[1] " uses " part[2] " of " to
		}
	}' | sort
}
check "kernel/dma: a file uses only the files that it may use" arrows

# The code has to stay small enough to be read in one sitting.
sum_of_lines() {
	cat kernel/dma/rmem*.[ch] | awk 'END { if (NR > 4270) print NR " lines" }'
}
lines_of_files() {
	awk 'FNR == 601 { print FILENAME " has more than 600 lines" }' kernel/dma/rmem*.[ch]
}
lines_of_functions() {
	awk '
	/^[a-z].*\(/ { name = $0 }
	/^{/ { start = FNR }
	/^}/ && start {
		if (FNR - start > 69)
			print FILENAME ": " (FNR - start + 1) " lines: " name
		start = 0
	}' kernel/dma/rmem*.[ch]
}
check "kernel/dma: at most 4270 lines" sum_of_lines
check "kernel/dma: at most 600 lines in a file" lines_of_files
check "kernel/dma: at most 70 lines in a function" lines_of_functions

# Everything public is documented, and what is documented is so completely.
for f in include/linux/rmem_heap.h kernel/dma/rmem_heap*.[ch]; do
	check "kernel-doc $f" "$tree/scripts/kernel-doc" -none -Wall -Werror "$f"
done
undocumented() {
	local f name
	for f in kernel/dma/*.c; do
		sed -n 's/^EXPORT_SYMBOL[_A-Z]*(\([a-z_]*\).*/\1/p' "$f" | while read -r name; do
			grep -q "^ \* $name() - " "$f" || echo "$f: $name"
		done
	done
}
check "kernel-doc for every exported function" undocumented

# Every file in sysfs is described, in words that the kernel's own reader understands.
abi=Documentation/ABI/testing/sysfs-class-rmem-heap
abi_valid() {
	(cd "$tree" && python3 tools/docs/get_abi.py --dir Documentation/ABI validate 2>&1) |
		grep -i rmem || true
}
abi_complete() {
	local name
	sed -n 's/^static DEVICE_ATTR_[A-Z_]*(\([a-z_]*\));/\1/p' kernel/dma/rmem_heap_sysfs.c |
		while read -r name; do
			grep -q "^What:.*/rmem_heap/<name>/$name\$" $abi || echo "$abi: no $name"
		done
}
check "get_abi.py" abi_valid
check "every sysfs file is documented" abi_complete

for f in $(git ls-files -co --exclude-standard 'tools/*.1'); do
	check "mandoc -T lint $f" mandoc -T lint "$f"
done

# The documents, rendered by the kernel's own configuration. Warnings that name none of our
# files are about the rest of the kernel, most of which is not there.
documents=$build/documents
render() {
	local source=$documents/Documentation f
	rm -rf "$documents"
	mkdir -p "$source/admin-guide"
	for f in $(git ls-files -co --exclude-standard Documentation/driver-api Documentation/userspace-api); do
		install -D -m 644 "$f" "$documents/$f"
	done
	install -D -m 644 "$abi" "$documents/ABI/testing/${abi##*/}"
	{
		printf 'ABI\n===\n\n'
		"$tree/tools/docs/get_abi.py" --dir "$documents/ABI" rest
	} >"$source/abi.rst"
	{
		printf 'Documents\n=========\n\n.. toctree::\n\n'
		(cd "$source" && find . -name '*.rst' ! -name index.rst -printf '   %P\n' | sort)
	} | sed 's/\.rst$//' >"$source/index.rst"
	cp "$tree/MAINTAINERS" "$documents"
	srctree=$tree PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -b html -c "$tree/Documentation" \
		-D kerneldoc_srctree="$tree" "$source" "$documents/html" >"$documents/log" 2>&1 ||
		tail -n 20 "$documents/log"
	grep -iE 'rmem|documents/|error' "$documents/log" || true
}
# A heading without a blank line before it is text, and no warning says so.
headings() {
	local f
	for f in $(git ls-files -co --exclude-standard 'Documentation/*.rst'); do
		python3 - "$f" "$documents/html/${f#Documentation/}" <<-'END'
			import html, re, sys
			lines = open(sys.argv[1]).read().split("\n")
			page = open(sys.argv[2][:-3] + "html").read()
			have = {html.unescape(re.sub("<[^>]*>", "", h)) for h in
			        re.findall(r"<h[1-6]>([^\n]*?)<a class=.headerlink", page)}
			for title, line in zip(lines, lines[1:]):
			    if title and re.fullmatch(r"=+|-+|~+", line) and len(line) == len(title) and \
			       title.replace("``", "") not in have:
			        print(f"{sys.argv[1]}: '{title}' is no heading")
		END
	done
}
# The page for drivers has every exported function, whatever file it is in.
rendered() {
	local name
	for name in $(cat kernel/dma/*.c | sed -n 's/^EXPORT_SYMBOL[_A-Z]*(\([a-z_]*\).*/\1/p'); do
		grep -q "id=\"c\.$name\"" "$documents/html/driver-api/rmem-heap.html" ||
			echo "driver-api/rmem-heap.html: no $name"
	done
}
# What is plotted: the median and both percentiles, and entries of 2 MiB where there are any.
plotted() {
	mkdir -p "$documents/bench"
	cp Documentation/driver-api/rmem-heap-bench/results.csv "$documents/bench"
	python3 harness/bench/report.py "$documents/bench" plots
	awk 'FNR > 1 && ($1 < 2097152 || !($3 <= $2 && $2 <= $4)) { print FILENAME ": " $0 }
		END { if (NR < 2) print "there is no data" }' "$documents/bench/map-large.dat"
}
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
mapfile -t programs < <(git ls-files -co --exclude-standard '*.py')
check "shellcheck" shellcheck -x -S warning "${scripts[@]}"
check "flake8" /usr/bin/python3 -m flake8 --max-line-length 128 --extend-ignore E122,E127,E128,E731 "${programs[@]}"
check "Sphinx has no warning for our documents" render
check "every heading is one" headings
check "every exported function is in the rendered page" rendered
check "the plots show what there is" plotted

echo "1..$n"
exit $((bad != 0))
