#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A private apt state: looks packages up and downloads them from Debian suites that
# the machine itself does not follow, without touching its configuration. Where the
# mirror is, only the machine's own apt configuration knows.
#
# usage: apt.sh STATE-DIR SUITES mirror                  the mirror's address
#        apt.sh STATE-DIR SUITES names REGEX             package names, one a line
#        apt.sh STATE-DIR SUITES download PACKAGE DIR    PACKAGE's .deb into DIR
set -eu

state=$1 suites=$2 verb=$3
shift 3

die() { echo "apt.sh: $*" >&2; exit 1; }
command -v apt-get >/dev/null || die "this machine has no apt; use KDIR=/path/to/linux"

# Origin is known only once the machine has package lists; the archive's keyring or
# the path of its address tells it apart from third parties' before that.
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(SITE)' 'Created-By: Packages' |
	awk -F'|' '$1 == "Debian" && $2 !~ /Security/ { print $3; exit }')
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' |
	awk '/\/debian\/?$/ { print; exit }')
[ -n "$mirror" ] || die "no Debian mirror in this machine's apt configuration; use KDIR=/path/to/linux"
mirror=${mirror%/}

if [ "$verb" = mirror ]; then
	echo "$mirror"
	exit
fi

mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in $suites; do
	echo "deb [signed-by=$keyring] $mirror $suite main"
done >"$state/sources.list.new"

apt_opts="-o Dir::Etc::SourceList=$state/sources.list -o Dir::Etc::SourceParts=/dev/null
	-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
	-o Dir::State=$state -o Dir::State::Lists=$state/lists -o Dir::State::status=$state/status
	-o Dir::Cache=$state/cache -o Debug::NoLocking=true
	-o APT::Sandbox::User=$(id -un) -o Acquire::Languages=none -o Acquire::Retries=3
	-o APT::Update::Error-Mode=any"

# Without Error-Mode, apt-get update succeeds when it has read nothing.
have_lists() { ls "$state"/lists/*_Packages* >/dev/null 2>&1; }

# Lists are fetched again only for other suites or after a day.
if ! cmp -s "$state/sources.list.new" "$state/sources.list" ||
   [ -z "$(find "$state/updated" -mmin -1440 2>/dev/null)" ] || ! have_lists; then
	rm -f "$state/updated"
	mv "$state/sources.list.new" "$state/sources.list"
	echo "apt.sh: reading the package lists of: $suites" >&2
	apt-get $apt_opts -qq update >&2 && have_lists ||
		die "cannot read the package lists of $suites from the Debian mirror:" \
			"see that there is a network and that apt knows the proxy, or use KDIR=/path/to/linux"
	touch "$state/updated"
fi

case $verb in
names)
	apt-cache $apt_opts pkgnames | grep -E "$1" || true
	;;
download)
	pkg=$1 dir=$2
	mkdir -p "$dir"
	ver=$(apt-cache $apt_opts policy "$pkg" | awk '/Candidate:/ { print $2 }')
	[ -n "$ver" ] && [ "$ver" != "(none)" ] || die "$pkg is in none of: $suites"
	echo "apt.sh: downloading $pkg $ver" >&2
	(cd "$dir" && apt-get $apt_opts download "$pkg=$ver" >&2) || die "cannot download $pkg $ver"
	;;
*)
	die "unknown verb '$verb'"
	;;
esac
