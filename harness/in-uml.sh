#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: in-uml.sh COMMAND...    run a command on User-Mode Linux instead of on this machine
#
# For what a machine's kernel may not have: here there is a /dev/udmabuf. The files are this
# machine's, but for a /tmp of its own; there is no network. From the environment:
#   UML_MEM=3G      memory for all of it
#   UML_DTB=x.dtb   device tree, may be left out
#   UML_KERNEL=um-x build/um-x/linux instead of build/um/linux
#   UML_APPEND=...  more kernel parameters
#   TIMEOUT=600     seconds until it is stopped
# and all else is the command's. Its output is stdout, with what the kernel says, and its exit
# status is ours.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: in-uml.sh COMMAND..."
dir=$build/in-uml
"$root/harness/deps.sh" gcc libc6-dev
lock_folder "$dir"
gcc -static -O2 -Wall -Wextra -Werror -o "$dir/host-init" "$root/harness/check/host-init.c"
"$root/harness/check/initrd.sh" "$dir/host.cpio" init="$dir/host-init" >/dev/null

# Kernel parameters cannot have blanks.
script=$dir/command
[[ $script != *[[:space:]]* ]] || die "the path to $script has blanks in it"
trap 'rm -f "$script"' EXIT
(
	# The caller's environment must not reach the machine.
	umask 077
	unset TMPDIR
	{
		export -p
		printf 'cd %q\n' "$PWD"
		printf '%q ' exec "$@"
		echo
	} >"$script"
)

# Our own /tmp may be where the repository is.
append="loglevel=5 run=$script again=$root ${UML_APPEND:-}"
rc= uml=
while IFS= read -r line; do
	case $line in
	"host-init: exit status "*) rc=${line##* } rc=${rc%$'\r'} ;;
	"in-uml: boot ended with "*) uml=${line##* } ;;
	*) printf '%s\n' "$line" ;;
	esac
done < <(MEM=${UML_MEM:-3G} DTB=${UML_DTB:-} INITRD=$dir/host.cpio KERNEL=${UML_KERNEL:-} \
	APPEND=$append "$root/harness/boot.sh" 2>&1 </dev/null &&
	echo "in-uml: boot ended with 0" || echo "in-uml: boot ended with $?")
[ -n "$rc" ] || die "User-Mode Linux ended before the command did"
[ "$uml" = 0 ] || die "User-Mode Linux did not power off: status $uml"
exit "$rc"
