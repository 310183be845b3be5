#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: deps.sh PACKAGE...    see that these Debian packages are installed
# As root they are installed, else the command to do so is printed.
set -eu

# Another system: the user knows what its packages are called.
command -v dpkg-query >/dev/null || exit 0

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
	sed -n 's/^installed //p' | tr -d ',')
missing=
for pkg; do
	case " $(echo $installed) " in
	*" $pkg "*) ;;
	*) missing="$missing $pkg" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: packages are missing; run: sudo apt-get install$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Another apt that is running is waited for.
quiet="-qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=-1"
install() { apt-get $quiet install -y --no-install-recommends $missing >/dev/null; }
echo "deps: installing$missing"
install 2>/dev/null && exit 0
# The package lists are absent or old.
echo "deps: reading the package lists"
until said=$(apt-get $quiet -o APT::Update::Error-Mode=any update 2>&1 >/dev/null); do
	case $said in
	*"Could not get lock"*)
		sleep 2
		;;
	*)
		echo "$said" >&2
		echo "deps: cannot read the package lists:" \
			"see that there is a network and that apt knows the proxy, or install$missing" >&2
		exit 1
		;;
	esac
done
install || { echo "deps: cannot install$missing" >&2; exit 1; }
