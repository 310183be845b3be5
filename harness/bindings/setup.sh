#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A private dt-schema, as new as the kernel's bindings need it, with our change to its
# schemas: everything is kept in build/dtschema, nothing is installed. Needs apt and
# the network once, no root. Interrupt and repeat it at will; when all is there it
# does nothing. To get a newer dt-schema, remove build/dtschema.
#
# usage: setup.sh [full]
#   KDIR=/path/to/linux   the kernel whose bindings are used (default: build/src/linux-*)
#
# build/dtschema/bin/              dt-validate, dt-doc-validate, dtc, ... to run from anywhere;
#                                  DTSCHEMA=pristine runs them without our change
# build/dtschema/schema-core.json  processed schemas: dt-schema's, the kernel's for
#                                  reserved memory, ours
# build/dtschema/schema-pristine.json  the same without our change
# build/dtschema/schema-full.json  with "full": all of the kernel's
set -eu

[ -z "${KDIR:-}" ] || KDIR=$(cd "$KDIR" && pwd)
cd "$(dirname "$0")/../.."
here=harness/bindings
dir=build/dtschema
suite=sid		# older dt-schema cannot process the newest kernels' bindings
minver=2024.4

say() { echo "bindings: $*" >&2; }
die() { say "$*"; exit 1; }

for tool in apt-get dpkg-deb flock patch sha256sum; do
	command -v $tool >/dev/null ||
		die "needs $tool: this gets Debian's dt-schema package; elsewhere, use a Debian container"
done
mkdir -p $dir
exec 9>$dir/lock
flock -n 9 || { say "waiting for another setup.sh"; flock 9; }

# 1. The packages and all they depend on, down to the C library, so that the machine's
#    own Python and libraries do not matter.
if [ "$(cat $dir/root/.suite 2>/dev/null)" != $suite ]; then
	apt=$PWD/$dir/apt
	rm -rf $dir/root $dir/root.new
	harness/apt.sh "$apt" $suite names '^dt-schema$' | grep -q . ||
		die "no dt-schema package in $suite"
	cat >"$apt/apt.conf" <<-EOF
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$apt";
		Dir::State::Lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Debug::NoLocking "true";
		APT::Sandbox::User "$(id -un)";
		Acquire::Retries "3";
	EOF
	say "downloading dt-schema and what it depends on (some 20 MB)"
	APT_CONFIG=$apt/apt.conf apt-get -qq -y --no-install-recommends --download-only \
		install dt-schema device-tree-compiler >"$apt/log" 2>&1 ||
		{ cat "$apt/log" >&2; die "cannot download dt-schema from $suite"; }

	# An interrupted run may have left packages that have been superseded since.
	APT_CONFIG=$apt/apt.conf apt-get -qq autoclean >&2

	say "unpacking it"
	mkdir $dir/root.new
	for deb in "$apt"/cache/archives/*.deb; do
		dpkg-deb -x "$deb" $dir/root.new || die "cannot unpack $deb"
	done
	(cd $dir/root.new && rm -rf etc var usr/share usr/sbin usr/lib/*/gconv)
	echo $suite >$dir/root.new/.suite
	mv $dir/root.new $dir/root
	rm -rf "$apt"
fi
[ ! -d $dir/apt ] || rm -rf $dir/apt

# 2. Our change, on a copy of dt-schema's Python package.
patch=$here/dt-schema-export.patch
sum=$(sha256sum <$patch)
if [ "$(cat $dir/patched/.sum 2>/dev/null)" != "$sum" ]; then
	say "applying $patch"
	rm -rf $dir/patched $dir/patched.new
	mkdir $dir/patched.new
	cp -R $dir/root/usr/lib/python3/dist-packages/dtschema $dir/patched.new/
	patch -s -f -F0 -p1 -d $dir/patched.new <$patch >&2 ||
		die "$patch does not apply to this dt-schema"
	echo "$sum" >$dir/patched.new/.sum
	mv $dir/patched.new $dir/patched
fi

# 3. Commands. Each is one script under another name, which starts the unpacked
#    program with the unpacked loader and libraries.
mkdir -p $dir/bin
cat >$dir/run.new <<'EOF'
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
set -eu
tool=${0##*/}
dir=$(dirname "$(dirname "$(readlink -f "$0")")")
for ld in "$dir"/root/usr/lib/*/ld-linux*.so.* "$dir"/root/usr/lib/ld-linux*.so.*; do
	[ -e "$ld" ] && break
done
libs=
for lib in "$dir"/root/usr/lib/*-linux-*; do
	libs=$libs${libs:+:}$lib
done
case $tool in
dtc)
	exec "$ld" --library-path "$libs" "$dir/root/usr/bin/dtc" "$@"
	;;
python3)
	;;
*)
	set -- "$dir/root/usr/bin/$tool" "$@"
	;;
esac
path=$dir/root/usr/lib/python3/dist-packages
[ "${DTSCHEMA:-}" = pristine ] || path=$dir/patched:$path
PYTHONHOME=$dir/root/usr PYTHONPATH=$path PYTHONNOUSERSITE=1 PYTHONUTF8=1 \
	exec "$ld" --library-path "$libs" "$dir/root/usr/bin/python3" "$@"
EOF
chmod +x $dir/run.new
cmp -s $dir/run.new $dir/bin/run || mv $dir/run.new $dir/bin/run
rm -f $dir/run.new
for tool in dtc python3 $(cd $dir/root/usr/bin && echo dt-*); do
	[ -L $dir/bin/$tool ] || ln -sf run $dir/bin/$tool
done

version=$(cat $dir/root/.version 2>/dev/null) || {
	version=$($dir/bin/dt-validate --version) ||
		die "the unpacked dt-schema does not run here; remove $dir and try again"
	printf '%s\n' $minver "$version" | sort -VC ||
		die "dt-schema $version is older than $minver"
	say "dt-schema $version is ready"
	echo "$version" >$dir/root/.version
}

# 4. The processed schemas, again only if anything that goes into them has changed.
process() {	# process NAME: the schemas listed on standard input
	name=$1
	cat >$dir/list.$name
	key=$({ echo "$version $name"; cat $dir/bin/run $dir/list.$name
		[ $name = pristine ] || echo "$sum"
		tr '\n' '\0' <$dir/list.$name | xargs -0r cat; } | sha256sum | cut -c1-16)
	out=schema-$name-$key.json
	if [ ! -e $dir/$out ]; then
		say "processing the schemas ($name; $(wc -l <$dir/list.$name) besides dt-schema's)"
		rm -f $dir/schema-$name-*
		[ $name != pristine ] || export DTSCHEMA=pristine
		$dir/bin/dt-mk-schema -j @$dir/list.$name >$dir/schema.new 2>$dir/schema-$name.log ||
			{ cat $dir/schema-$name.log >&2; die "cannot process the schemas"; }
		unset DTSCHEMA
		cat $dir/schema-$name.log >&2
		mv $dir/schema.new $dir/$out
	fi
	ln -sfn $out $dir/schema-$name.json
}
unset DTSCHEMA

bindings=Documentation/devicetree/bindings
ours() { find $bindings -name '*.yaml' | LC_ALL=C sort; }
# The kernel's, without those that we have here (KDIR may already be our tree).
kernel() {
	[ -n "$kdir" ] || return 0
	(cd "$kdir/$bindings" && find "$@" -name '*.yaml' ! -name 'processed-schema*') | LC_ALL=C sort |
	while read -r file; do
		file=${file#./}
		[ -e "$bindings/$file" ] || echo "$kdir/$bindings/$file"
	done
}
kdir=${KDIR:-$(ls -d build/src/linux-*/ 2>/dev/null | sort -V | tail -n 1)}
kdir=${kdir%/}
[ -z "$kdir" ] || [ -d "$kdir/$bindings" ] || die "$kdir has no $bindings"
echo "$kdir" >$dir/kdir

{ ours; kernel reserved-memory; } | process core
{ ours; kernel reserved-memory; } | process pristine
case "${1:-}" in
'') ;;
full) { ours; kernel .; } | process full ;;
*) die "usage: setup.sh [full]" ;;
esac
