# SPDX-License-Identifier: GPL-2.0
# What can be done with this repository; everything is made below build/.

TARGET ?= um
VARIANT ?=
DEBUG ?=
LLVM ?=
variant := $(or $(VARIANT),$(if $(filter-out 0,$(DEBUG)),debug),$(if $(filter-out 0,$(LLVM)),clang))

export KDIR DTB INITRD APPEND MEM TIMEOUT ONLY SHAPES K

help:
	@echo 'make tree                 assemble the kernel source in build/tree'
	@echo '      KDIR=/path/to/linux   from this kernel instead of the one Debian packages'
	@echo 'make kernel               build the kernel'
	@echo '      TARGET=um             for User-Mode Linux, the default, arm, arm64, riscv64, x86_64'
	@echo '      VARIANT=...           of a kind that harness/kernel.sh lists'
	@echo '      DEBUG=1               with KASAN, lockdep, kmemleak, fault injection'
	@echo '      LLVM=1                with clang (um and arm64)'
	@echo 'make boot                 boot it with files of your own'
	@echo '      INITRD=y.cpio         initial file system'
	@echo '      DTB=x.dtb             device tree, may be left out'
	@echo '      APPEND="..." TIMEOUT=600 DEBUG=1'
	@echo '      MEM=1G                memory from 0 to this; else 512M, or what DTB needs'
	@echo 'make run                  build and boot the demonstration'
	@echo 'make test                 the tests that take minutes'
	@echo '      K="carveout"          those with this in their names, as -k of pytest'
	@echo '      ARGS="-x --lf"        more for pytest: --collect-only -q lists what there is'
	@echo 'make test-all             all the tests'
	@echo 'make bench                measure beside mainline, print each target'
	@echo '      DOC=1                 and update README.md and Documentation'
	@echo 'make coverage             which lines and branches the tests reach, in HTML'
	@echo 'make mutants              which mistakes in the code the tests notice'
	@echo '      ONLY="import-*"       with these names'
	@echo 'make demo-framebuffer     heap buffers on the screen of an emulated board'
	@echo 'make demo-restricted      a disk and a heap on one restricted DMA pool'
	@echo 'make importers            vivid, virtio-gpu, udmabuf and edu on heap buffers'
	@echo 'make clients              stress-ng, gdb, udevd, v4l2-ctl, GStreamer and cam on heaps'
	@echo 'make boards               check the device trees of all boards, boot their regions'
	@echo '      SHAPES=20 ONLY="arm64/ti/*"'
	@echo 'make clean                remove what was built, keep the kernel source'
	@echo 'make distclean            remove build/'

tree:
	@harness/tree.sh

kernel: tree
	@harness/kernel.sh $(TARGET) $(variant)

boot:
	@exec harness/vm.py boot um$(variant:%=-%)

run: TARGET = um
run: kernel
	@exec harness/run.py

test:
	@harness/deps.sh python3-pytest
	@exec harness/test.py $(ARGS)

test-all:
	@harness/deps.sh python3-pytest
	@exec harness/test.py all $(ARGS)

bench:
	@exec harness/bench.sh $(if $(filter-out 0,$(DOC)),doc)

coverage:
	@exec harness/coverage.sh

mutants:
	@harness/deps.sh python3-pytest
	@exec harness/mutants.py

demo-framebuffer demo-restricted importers:
	@harness/deps.sh python3-pytest
	@exec harness/test.py all -k $(subst -,_,$@)

clients: tree
	@harness/kernel.sh um clients
	@exec harness/clients.sh

boards: tree
	@harness/kernel.sh um
	@harness/kernel.sh um plain
	@exec harness/boards.py

clean:
	@for f in build/* build/.[!.]*; do \
		case $$f in build/cache|build/src|build/apt) ;; *) rm -rf "$$f" ;; esac; \
	done

distclean:
	rm -rf build

.PHONY: help tree kernel boot run test test-all bench coverage mutants demo-framebuffer \
	demo-restricted importers clients boards clean distclean
.DEFAULT_GOAL := help
