#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tree.sh    leave the assembled kernel source in build/tree
#
# build/tree is a copy of a pristine kernel with this repository's files laid over it and
# patches/*.patch applied. Files that this repository adds to are worked out in build/stage
# from their pristine copies; only what came out different is copied to build/tree, so that
# a build after it compiles no more than it must.
#
# KDIR=/path/to/linux takes that kernel (it is only read) instead of Debian's linux-source.
# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

series=7.3
suites="trixie-backports sid"

tree=$build/tree stage=$build/stage state=$build/tree.state
KDIR=${KDIR:-}

mkdir -p "$build" 2>/dev/null && [ -w "$build" ] ||
	die "$build cannot be written, and all is made there; copy the repository to another folder"
"$root/harness/deps.sh" xz-utils git

# While others build from the tree it cannot be touched, and need not be if it was made
# from what there is.
inputs() {
	(cd "$root" && echo "$KDIR" && find . \( -name .git -o -path ./build -o -path ./harness \
		-o -path ./.ci \) -prune -o -type f -print0 | sort -z | xargs -0 sha1sum) | sha1sum
}
made_from=$(inputs)
exec 9>"$build/.lock"
if ! flock -n 9 && [ "$(cat "$state/inputs" 2>/dev/null)" = "$made_from" ]; then
	say "up to date"
	exit
fi
lock
rm -f "$state/inputs"

# --- the pristine source: sets base (its folder) and base_id -------------------------

newest() { sort -V | tail -n 1; }

fetch_source() {
	local deb have pkg new
	base=$build/src/linux-$series
	if [ ! -d "$base" ]; then
		have=$(ls -d "$build"/src/linux-[0-9]*.* 2>/dev/null | newest || true)
		[ -z "$have" ] || base=$have
	fi
	if [ ! -d "$base" ]; then
		deb=$(ls "$build"/cache/linux-source-"$series"_*.deb 2>/dev/null | newest || true)
		if [ -z "$deb" ]; then
			apt() { "$root/harness/apt.sh" "$build/apt" "$suites" "$@"; }
			pkg=$(apt names "^linux-source-${series/./\\.}\$")
			if [ -z "$pkg" ]; then
				pkg=$(apt names '^linux-source-[0-9]+\.[0-9]+$' | newest)
				[ -n "$pkg" ] || die "no linux-source package in: $suites; use KDIR=/path/to/linux"
			fi
			apt download "$pkg" "$build/cache"
			deb=$(ls "$build/cache/${pkg}"_*.deb | newest)
		fi
		pkg=${deb##*/} pkg=${pkg%%_*}
		base=$build/src/${pkg/-source/}
		say "unpacking ${deb##*/} (1.8 GB)"
		new=$build/src/unpacking
		rm -rf "$new"
		mkdir -p "$new"
		dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$pkg.tar.xz" | xz -d -T0 |
			tar -x -C "$new" --strip-components=1 --checkpoint=20000 \
				--checkpoint-action=echo='tree: %u0 KiB unpacked' ||
			die "cannot unpack; remove ${deb#"$root/"} and try again"
		mv "$new" "$base"
	fi
	base_id="Debian ${base##*/}"
	[ "$base" = "$build/src/linux-$series" ] ||
		say "linux-source-$series is no longer to be had, using ${base##*/}"
}

if [ -n "$KDIR" ]; then
	for f in Makefile Kconfig kernel/dma; do
		[ -e "$KDIR/$f" ] || die "KDIR=$KDIR is not a kernel source tree: it has no $f"
	done
	[ ! -e "$KDIR/include/linux/rmem_heap.h" ] ||
		die "KDIR=$KDIR has rmem_heap already; take a kernel without our files"
	base=$(cd "$KDIR" && pwd -P)
	[[ $base/ != "$tree"/* ]] || die "KDIR must not be build/tree, which is made from it"
	base_id="KDIR $base"
else
	fetch_source
fi

# --- build/stage: our files, merged and patched ---------------------------------------
# The stage is made first: a kernel that our files and patches do not fit is not copied.

ours() {
	if [ -e "$root/.git" ] && command -v git >/dev/null; then
		git -C "$root" -c safe.directory='*' ls-files -co --exclude-standard
	else
		(cd "$root" && find . -name .git -prune -o -path ./build -prune -o -type f -printf '%P\n')
	fi | grep -vE '^(Makefile|README\.md|COPYING|\.gitignore|(\.ci|harness|patches|build)/.*)$' |
		sort -u | (cd "$root" && while read -r f; do [ ! -e "$f" ] || echo "$f"; done)
}

# Our MAINTAINERS entries at their alphabetical place in the pristine list.
merge_maintainers() { # PRISTINE OURS
	awk '
	FNR == NR { # ours: blocks between blank lines, the first line is the title
		if (/^[ \t]*$/ || /^#/) { open = 0; next }
		if (!open++) title[++n] = toupper($0)
		text[n] = text[n] $0 "\n"
		next
	}
	{ line[FNR] = $0 }
	/^[A-Z]:\t/ && line[FNR - 2] == "" { # the line before is a title
		at[++titles] = FNR - 1
		theirs[titles] = toupper(line[FNR - 1])
	}
	END {
		# The list is not quite sorted: each entry goes where the fewest titles
		# are on the wrong side of it, and at the end before "THE REST".
		for (i = 1; i <= n; i++) {
			wrong = least = 0
			place[i] = at[1]
			for (t = 1; t < titles; t++) {
				wrong += theirs[t] < title[i] ? -1 : 1
				if (wrong <= least) {
					least = wrong
					place[i] = at[t + 1]
				}
			}
		}
		for (l = 1; l <= FNR; l++) {
			for (;;) {
				first = 0
				for (i = 1; i <= n; i++)
					if (place[i] == l && (!first || title[i] < title[first]))
						first = i
				if (!first)
					break
				printf "%s\n", text[first]
				place[first] = 0
			}
			print line[l]
		}
	}' "$2" "$1"
}

rm -rf "$stage"
mkdir -p "$stage" "$state"
ours >"$state/ours"
: >"$state/new-files"
while IFS= read -r f; do
	if [ ! -e "$base/$f" ]; then
		echo "$f" >>"$state/new-files"
		continue
	fi
	mkdir -p "$stage/$(dirname "$f")"
	case $f in
	MAINTAINERS)
		merge_maintainers "$base/$f" "$root/$f" >"$stage/$f"
		;;
	Kconfig*|*/Kconfig*|*/Makefile|Kbuild|*/Kbuild|*/.gitignore)
		cp --preserve=mode "$base/$f" "$stage/$f"
		{
			[ -z "$(tail -c 1 "$base/$f")" ] || echo
			echo
			sed '1{/^# SPDX-License-Identifier:/d}' "$root/$f"
		} >>"$stage/$f"
		;;
	*)
		die "$f exists in ${base##*/}; changes to existing files belong in patches/"
		;;
	esac
done <"$state/ours"
(cd "$root" && xargs -r -d '\n' cp -d --preserve=mode --parents -t "$stage") <"$state/new-files"

patch_tree() { # GIT-APPLY-ARGUMENTS
	(cd "$stage" && GIT_CEILING_DIRECTORIES=$build git -c core.autocrlf=false apply -p1 \
		--whitespace=nowarn "$@")
}

cp "$state/ours" "$state/wanted"
for patch in "$root"/patches/*.patch; do
	[ -e "$patch" ] || continue
	name=${patch##*/}
	# A patch that only adds is listed as well: git apply says what is wrong with it.
	touched=$(sed -n 's,^\(---\|+++\) [ab]/\([^\t]*\).*,\2,p' "$patch" | sort -u)
	[ -n "$touched" ] || die "patches/$name changes no file"
	echo "$touched" >>"$state/wanted"
	for f in $touched; do
		[ ! -e "$stage/$f" ] && [ -e "$base/$f" ] || continue
		mkdir -p "$stage/$(dirname "$f")"
		cp -d --preserve=mode "$base/$f" "$stage/$f"
	done
	patch_tree "$patch" 2>"$state/apply.log" || {
		! patch_tree -R --check "$patch" 2>/dev/null ||
			die "patches/$name is in ${base##*/} already; take a kernel without our patches"
		sed -n 's/^error: /  /p' "$state/apply.log" >&2
		die "patches/$name does not apply to ${base##*/} (with the patches before it)"
	}
done
sort -u -o "$state/wanted" "$state/wanted"

# --- build/tree: a copy of the pristine source ------------------------------------------

# The files of the pristine source, without anything that a build left in it. A source
# package's .gitignore cannot be trusted (Debian's ignores everything), a checkout's can.
base_files() {
	(
		cd "$base"
		if [ -e .git ]; then
			export GIT_OPTIONAL_LOCKS=0
			list() { git -c safe.directory='*' -c core.quotePath=false ls-files "$@" | sort -u; }
			comm -23 <(list -co --exclude-standard) <(list -d)
		else
			find . \( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name '.*.cmd' \) -prune \
				-o \( -type f -o -type l \) -printf '%P\n'
		fi
	) | sort -u | comm -23 - "$state/outputs"
}

# What is left in a copied tree when the outputs of a build in it are gone: make knows.
remove_outputs() { # TREE
	local arch
	[ ! -e "$base/.git" ] && { [ -e "$1/.config" ] || [ -e "$1/include/config" ]; } || return 0
	arch=$(sed -n '3s,^# Linux/\([a-z0-9_]*\) .*,\1,p' "$1/.config" 2>/dev/null || true)
	say "removing what a build has left${arch:+ (ARCH=$arch)}"
	make -s -C "$1" ${arch:+ARCH="$arch"} mrproper >/dev/null 2>&1 ||
		die "make mrproper fails in a copy of $base; is the source complete?"
	(cd "$1" && find . \( -type f -o -type l \) -printf '%P\n') | sort >"$state/clean"
	comm -23 "$state/files" "$state/clean" >"$state/outputs"
	comm -12 "$state/files" "$state/clean" >"$state/files.new"
	mv "$state/files.new" "$state/files"
}

# Copies the listed files (stdin) of the pristine source to $1, with the time of copying:
# whatever was built from the file that was there before is out of date.
copy_base() {
	(cd "$base" && xargs -r -d '\n' cp -d --preserve=mode --reflink=auto --parents -t "$1")
}

mkdir -p "$state"
: >>"$state/outputs"
if [ "$base_id" != "$(cat "$state/base" 2>/dev/null)" ] || [ ! -d "$tree" ]; then
	say "copying ${base_id/"$build"/build} to build/tree (1.8 GB)"
	rm -rf "$state/base" "$state/manifest" "$tree" "$tree.new"
	mkdir -p "$tree.new"
	touch "$state/synced"
	: >"$state/outputs"
	base_files >"$state/files"
	grep -qx Makefile "$state/files" || die "cannot list the files of $base"
	copy_base "$tree.new" <"$state/files"
	[ -z "$KDIR" ] || remove_outputs "$tree.new"
	mv "$tree.new" "$tree"
	echo "$base_id" >"$state/base"
elif [ -n "$KDIR" ]; then
	# What changed in the user's tree since it was copied.
	touch "$state/synced.new"
	base_files >"$state/files.new"
	(cd "$base" && find . -name .git -prune -o \( -type f -o -type l \) \
		\( -newer "$state/synced" -o -cnewer "$state/synced" \) -printf '%P\n') |
		sort >"$state/newer"
	{
		comm -13 "$state/files" "$state/files.new"
		comm -12 "$state/files.new" "$state/newer"
	} | sort -u >"$state/changed"
	comm -23 "$state/files" "$state/files.new" >"$state/gone"
	if [ -s "$state/changed" ] || [ -s "$state/gone" ]; then
		say "KDIR changed: $(wc -l <"$state/changed") files new or changed, $(wc -l <"$state/gone") gone"
		(cd "$tree" && xargs -r -d '\n' rm -f) <"$state/gone"
		copy_base "$tree" <"$state/changed"
	fi
	mv "$state/files.new" "$state/files"
	mv "$state/synced.new" "$state/synced"
fi

# --- build/tree: whatever differs ------------------------------------------------------

put() { # FROM FILE
	mkdir -p "$tree/$(dirname "$2")"
	rm -f "$tree/$2"
	cp -d --preserve=mode "$1/$2" "$tree/$2"
	updated=$((updated + 1))
}

updated=0
touch "$state/manifest"
# Until the end the manifest is what was ours or becomes ours: safe to interrupt.
comm -23 "$state/manifest" "$state/wanted" >"$state/former"
sort -u "$state/manifest" "$state/wanted" -o "$state/manifest"
while IFS= read -r f; do
	if [ -e "$base/$f" ]; then
		cmp -s "$base/$f" "$tree/$f" || put "$base" "$f"
	elif [ -e "$tree/$f" ]; then
		rm -f "$tree/$f"
		rmdir -p --ignore-fail-on-non-empty "$tree/$(dirname "$f")" 2>/dev/null || true
		updated=$((updated + 1))
	fi
done <"$state/former"
while IFS= read -r f; do
	if [ -e "$stage/$f" ]; then
		cmp -s "$stage/$f" "$tree/$f" && [ "$(stat -c %a "$stage/$f")" = "$(stat -c %a "$tree/$f")" ] ||
			put "$stage" "$f"
	elif [ -e "$tree/$f" ]; then
		rm -f "$tree/$f"
		updated=$((updated + 1))
	fi
done <"$state/wanted"
mv "$state/wanted" "$state/manifest"
echo "$made_from" >"$state/inputs"

case $updated in
0) say "up to date" ;;
1) say "1 file updated" ;;
*) say "$updated files updated" ;;
esac
