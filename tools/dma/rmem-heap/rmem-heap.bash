# SPDX-License-Identifier: GPL-2.0
# Completion for rmem-heap(1)
_rmem_heap()
{
	local cur=${COMP_WORDS[COMP_CWORD]} cmd= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) cmd=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $cmd in
	"")
		mapfile -t COMPREPLY < <(compgen -W \
			"--json --color=auto --color=always --color=never --help
			ls info map alloc bench stress watch" -- "$cur")
		;;
	info|map)
		mapfile -t COMPREPLY < <(compgen -W \
			"$(ls /sys/class/rmem_heap /dev/dma_heap 2>/dev/null | grep -v ':$')" -- "$cur")
		;;
	alloc|bench|stress)
		local options
		case $cmd in
		alloc) options="--clear --fill= --check --hold=" ;;
		bench) options="--rounds=" ;;
		stress) options="--threads= --seconds=" ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W \
			"$options $(ls /dev/dma_heap 2>/dev/null)" -- "$cur")
		;;
	watch)
		mapfile -t COMPREPLY < <(compgen -W "--interval= --count=" -- "$cur")
		;;
	esac
}
# Names of heaps have an at sign, and may have a colon nowhere.
COMP_WORDBREAKS=${COMP_WORDBREAKS//@}
complete -F _rmem_heap rmem-heap
