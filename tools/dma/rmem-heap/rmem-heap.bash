# SPDX-License-Identifier: GPL-2.0
# Completion for rmem-heap(1)

# Names that begin with what has been typed, or paths of heaps. Not through compgen -W, which would expand them:
# they come from a device tree.
_rmem_heap_names()
{
	local path name
	for path in "$@"; do
		name=${path##*/}
		[[ -e $path && $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
		[[ -e $path && $cur == /dev/* && $path == "$cur"* ]] &&
			COMPREPLY+=("$(printf %q "$path")")
	done
}

_rmem_heap()
{
	local cur=${COMP_WORDS[COMP_CWORD]} cmd= words= i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) cmd=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $cmd in
	"") words="--json --color=auto --color=always --color=never --help
		ls info map alloc bench stress watch check" ;;
	ls|info|map) words="--json --help" ;;
	alloc) words="--json --help --clear --fill= --check --hold=" ;;
	bench) words="--json --help --rounds=" ;;
	stress) words="--json --help --threads= --seconds=" ;;
	watch) words="--json --help --interval= --count=" ;;
	check) words="--json --help --cmdline= --page-size= --pageblock= --cma-areas= --mem= --overlay=" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case $cmd in
	info|map) _rmem_heap_names /sys/class/rmem_heap/* /dev/dma_heap/* ;;
	alloc|bench|stress) _rmem_heap_names /dev/dma_heap/* ;;
	check) [[ $cur == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	esac
}
# Names of heaps have an at sign.
COMP_WORDBREAKS=${COMP_WORDBREAKS//@}
complete -F _rmem_heap rmem-heap
