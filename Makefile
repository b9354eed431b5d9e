# SPDX-License-Identifier: MIT
# Builds everything out of tree into build/. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
# Messages, the order of names, and what a tool or `cd` does, are the same everywhere.
export LC_ALL := C
unexport CDPATH POSIXLY_CORRECT

# A source tree that cannot be written: O=DIR copies it there, and the rest happens there.
ifneq ($(O),)
GOALS := $(or $(MAKECMDGOALS),all)
.PHONY: $(GOALS) copy
$(GOALS): copy ; @:
copy:
	@[ -e '$(O)/.copy' ] || [ -z "$$(ls -A '$(O)' 2>/dev/null)" ] || \
		{ echo "make: O='$(O)' is neither empty nor made by O=" >&2; exit 1; }
	@mkdir -p '$(O)' && touch '$(O)/.copy' && tools/files | tar -cT - | tar -xC '$(O)'
	@comm -13 <(tools/files) <('$(O)/tools/files' | grep -vx .copy) | \
		(cd '$(O)' && xargs -rd '\n' rm)
	@$(MAKE) --no-print-directory -C '$(O)' O= $(GOALS)
else
$(if $(filter-out help doctor,$(or $(MAKECMDGOALS),all)),$(if $(shell \
	[ -w $(or $(wildcard build),.) ] || echo no),$(error this tree cannot be written here: \
	give O=DIR, a folder that gets a copy)))
# Compilers and tools need room there: a MiB at least.
$(if $(MAKELEVEL:0=)$(filter help doctor clean,$(MAKECMDGOALS)),,$(if $(shell \
	exec 2>/dev/null; t=$${TMPDIR:-/tmp}; [ -d "$$t" ] && [ -w "$$t" ] && \
	[ $$(df --output=avail -k "$$t" | tail -n 1) -ge 1024 ] || echo no),$(error no file of a \
	MiB can be written in TMPDIR=$(or $(TMPDIR),/tmp): set TMPDIR to a folder with room)))
$(if $(filter clean,$(MAKECMDGOALS)),.NOTPARALLEL:) # make clean all: one after the other

# --- options: make TARGET NAME=value ---
V ?= 0
DEBUG ?= 0
OPT ?= -O2
VO ?= table
EXIT ?= delayed
SCHED ?= bvt
SMP ?=
MEM ?=
CMDLINE ?=
DISK ?=
NET ?=
VMM ?=
ACCEL ?=
LAB ?= $(patsubst labs/%/manifest,%,$(wildcard labs/*/manifest))
OUT ?=
SUBMISSION ?= .
SEED ?= 2026
ONLY ?=
IMAGE ?=
BASE ?=
MUTATE ?=
FILES ?=
N ?=
DIFF ?=
TEST ?=
GUI ?=
WERROR ?= 0
export SMP MEM CMDLINE DISK NET VMM ACCEL GUI
said = $(filter command,$(origin $(1)))
# A word that is given here and means nothing is refused.
known = $(if $(call said,$(1)),$(if $(filter-out $(2),$($(1)))$(word 2,$($(1))),\
	$(error $(1)='$($(1))' is not known: it can be $(2))))
$(call known,VO,table static inline lto)$(call known,EXIT,delayed eager)
$(call known,SCHED,bvt robin)$(call known,OF,domains request)
$(call known,STEPS,phases instructions)$(call known,DIRECTION,attach detach both)
$(call known,DEBUG,0 1)$(call known,WERROR,0 1)$(call known,V,0 1)

B := build
$(if $(filter command,$(origin B)),$(if $(filter-out $(B)/%,$(or $(MAKECMDGOALS),all)),$(error \
	B is the Makefile's own: O=DIR makes a copy of this tree there, and builds in it)))
# Objects for options that were given here have a folder of their own.
given = $(if $(filter-out file undefined,$(origin $(1))),-$(notdir $(firstword $($(1):-%=%))))
KIND := $(if $(filter 1,$(DEBUG)),debug,$(if $(filter static inline lto,$(VO)),$(VO),kernel))
K := $(B)/$(KIND)$(call given,OPT)$(call given,CC32)$(call given,EXIT)$(call given,SCHED)
Q := $(if $(filter 1,$(V)),,@)
SILENT := $(filter 1,$(V))$(findstring s,$(firstword -$(MAKEFLAGS)))
# Take a new file in a target's place, unless both are the same; then run $(2). The new file's name
# has the shell's number: two makes may be at work.
replace = if cmp -s $(1) $@; then rm $(1)$(if $(2),; $(2)); else mv $(1) $@; fi
say = $(if $(SILENT),,@printf '  %-6s %s\n' $(1) $(2);)

# --- compilers: a cross compiler if there is one, else the host's with -m32, without a library ---
there = $(shell command -v $(1) 2>/dev/null)
CROSS := $(firstword $(foreach p,i686-elf- i686-linux-gnu-,$(if $(call there,$(p)gcc),$(p))))
CC32 ?= $(if $(CROSS),$(CROSS)gcc,gcc -m32)
LD32 ?= $(CROSS)ld -m elf_i386
NM32 ?= $(CROSS)nm
OBJDUMP32 ?= $(CROSS)objdump
AR32 ?= $(CROSS)ar
HOSTCC ?= gcc
CLANG := $(findstring clang,$(CC32))

# Not empty in a lab's student tree, where empty exercises leave names unused.
HANDOUT := $(wildcard labs/*/manifest)
ERROR := $(if $(filter 1,$(WERROR)),-Werror)
WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes $(ERROR) \
	$(if $(CLANG),-Wno-unknown-attributes -Wno-unknown-pragmas) \
	$(if $(HANDOUT),-Wno-unused -Wno-unused-parameter)
# GCC writes the line table itself, so that no .loc in inline assembly can choose a line.
LINES := $(if $(CLANG),,-gno-as-loc-support)
# With a pipe no message of the assembler names a file whose name is another each time.
FREESTANDING := -m32 -pipe -std=gnu11 -ffreestanding -g $(LINES) -fno-pic -fno-pie \
	-fcf-protection=none -fno-stack-protector -fno-common -fno-asynchronous-unwind-tables \
	-mno-sse -mno-mmx -march=pentium \
	$(if $(CLANG),-mstack-alignment=4,-mpreferred-stack-boundary=2) -MMD -MP \
	-include include/compiler.h
KFLAGS := $(OPT) $(FREESTANDING) $(WARN) -Wframe-larger-than=1024 -mno-80387 \
	-fno-omit-frame-pointer -fmacro-prefix-map=kernel/= \
	-Iinclude -Ikernel -I. -I$(K) \
	$(if $(filter 1,$(DEBUG)),-DDEBUG) $(if $(filter eager,$(EXIT)),-DEXIT_EAGER) \
	$(if $(filter robin,$(SCHED)),-DSCHED_ROBIN) \
	$(if $(filter static inline,$(VO)),-DVO_STATIC) \
	$(if $(filter inline lto,$(VO)),-flto=1)
UFLAGS := -O2 $(FREESTANDING) $(WARN) -fomit-frame-pointer -ffunction-sections -fdata-sections \
	-Iinclude -Iuser/lib -I.
HFLAGS := -std=gnu11 -g -O1 -Wall -Wextra $(ERROR) -MMD -MP \
	-Imachine -Igrader -Iviewer -Ilabs/common -Iinclude -I. -I$(K)

LIB := $(sort $(wildcard lib/*.c))
VSRC := $(sort $(wildcard vmm/*/*.c vmm/*/*.S)) $(LIB)
VOBJ := $(VSRC:%=$(K)/vmm/%.o)
VFLAGS = $(filter-out -fno-omit-frame-pointer -flto%,$(KFLAGS)) -fomit-frame-pointer -mregparm=3 \
	-mtune=generic
KSRC := $(sort $(shell find kernel lib -name '*.c' -o -name '*.S'))
KOBJ := $(KSRC:%=$(K)/%.o)
# Optimised as a whole, all objects become one.
KLINKED := $(if $(filter inline lto,$(VO)),$(K)/linked.o,$(KOBJ))
ULIB := $(patsubst %,$(B)/user/%.o,$(sort $(wildcard user/lib/*.c user/lib/*.S)) $(LIB))
# A program is a file, or a folder of files.
PROGRAM_FOLDERS := $(patsubst %/,%,$(dir $(wildcard user/programs/*/*.c)))
PROGRAMS := $(sort $(notdir $(basename $(wildcard user/programs/*.c labs/*/programs/*.c)) \
	$(PROGRAM_FOLDERS)))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
LIBRARY := $(patsubst %,$(B)/host/%.o,$(wildcard machine/*.c) machine/bochs_rom.S)
GRADER := $(patsubst %,$(B)/host/%.o,$(wildcard grader/*.c labs/common/*.c labs/*/checks*.c))
MACHINE := $(patsubst %,$(B)/host/%.o,$(wildcard tests/machine/*.c) \
	grader/sandbox.c grader/causes.c grader/text.c grader/names.c)
TRACE := $(patsubst %,$(B)/host/%.o,$(wildcard viewer/*.c viewer/*.S))
MUTATOR := $(patsubst %,$(B)/host/%.o,$(wildcard mutants/*.c))
RECORDER := $(filter-out $(B)/host/viewer/main.c.o,$(TRACE))

# What a lab's tree cannot do.
PLATFORMS := gradescope classroom50 prairielearn autolab image
WHOLE := demo demo-domains test soak bench bench-switch bench-domains report handout mutate \
	try $(PLATFORMS)

.PHONY: all help whole $(WHOLE) grade setup trace web run run-bochs iso doctor size check gdb \
	debug debug-bochs replay log clean kernel unit FORCE report docs
all: $(B)/cinnabar $(B)/vmm $(B)/rootfs.ext2 $(PROGRAMS:%=$(B)/symbols/%)

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST)) \
		$(if $(HANDOUT),| awk -v whole=' $(WHOLE) ' '/^  ?[^ ]|^$$/ { \
			hidden = NF && index(whole, " " $$1 " ") } !hidden')

$(WHOLE): | whole
whole:
	@$(if $(HANDOUT),echo "make: that needs the whole project; try 'make help'" >&2; exit 1,:)

#: Cinnabar - make TARGET [NAME=value ...]
#:
#:   demo       install what is missing, build, boot in QEMU, change the mode while programs run
#:   demo-domains  guests beside domain 0: one works, one is a fork bomb, one keeps its disk busy
#:   test       install what is missing, build, run all tests (unit, QEMU, Bochs)
#:   soak       the long campaigns: fuzzing, crash sweeps
#:   bench      count instructions of kernel operations; table and build/bench.json
#:   bench-domains  what domains cost, and cost each other; table and build/bench-domains.json;
#:              ONLY=births|notifications|shares|wake|blocked|many|victims|rows|applications|cpus|
#:              exits, into a file of its own
#:   bench-switch  what a mode switch costs, by phases, and how that grows
#:   trace      record a mode switch from outside into one page, build/trace.html, to step through;
#:              STEPS=phases|instructions DIRECTION=attach|detach|both OUT=file; or
#:              OF=domains: a switch between domains; OF=request: a read of a guest's disk
#:   web        the machine in one page for a browser, with lessons: build/web/index.html
#:   report     the benchmarks as one page with plots, beside other systems: build/report/index.html
#:   run        interactive shell on this terminal (Ctrl-A X ends QEMU); GUI=1 for the VGA window
#:   iso        build/cinnabar.iso: GRUB, kernel and root file system; also boots a PC
#:   run-bochs  this ISO in Bochs, on this terminal
#:   gdb        QEMU stopped at its first instruction, with GDB attached (docs/debugging.md)
#:   debug      TEST=CHECK: the same for a lab's check, stopped at its exercise
#:   debug-bochs  Bochs in its own debugger, with symbols
#:   replay     record a run with a switch, and go through it in GDB forwards and backwards
#:   log        each trap of a run with a switch, decoded; into build/traps.log
#:   handout    LAB=NAME [OUT=DIR or OUT=NAME.tar.gz]: a lab's student tree, its exercises empty
#:   grade      LAB=NAME [SUBMISSION=PATH] [SEED=n] [ONLY="CHECK..."]: grade this tree, or a folder,
#:              tar or zip
#:   mutate     LAB=NAME: one-token changes of the solution that keep full marks; or
#:              FILES="vmm kernel/trap ..." [N=n] [SEED=n]: that no test sees;
#:              MUTATE="--exercise N": further options (MUTATE=--help lists them)
#:   try        LAB=NAME DIFF=FILE: grade the solution with a patch: a wrong or a right submission
#:   gradescope classroom50 prairielearn autolab  LAB=NAME [IMAGE=NAME] [SEED=n]: for this platform
#:   image      LAB=NAME [IMAGE=NAME] [BASE=NAME]: a container image with a lab's grader
#:   docs       the handbook, as a site: build/docs/index.html
#:   doctor     which tools are there, which are missing, and the fix
#:   size       size of kernel and VMM in tokens against their budgets, and in lines
#:   check      static checks: sensitive instructions, rooms, names, style, sizes
#:   setup      install all that is missing
#:   clean      remove build/
#:
#:   OPT=-O0 how GCC optimises kernel and VMM; CC32="clang -m32" compiles them with Clang
#:   VO=static native operations bound at compile time (no mode switch), to see what the VO costs;
#:             VO=lto the kernel optimised as a whole; VO=inline both, so that they are inlined
#:   EXIT=eager the VMM stores and loads all state at each exit, to see what that costs
#:   SCHED=robin its scheduler takes turns
#:   V=1 show commands    DEBUG=1 debug kernel (VO call counts, assertions)
#:   WERROR=1 warnings are errors    SMP=n processors, 1-8    MEM=n MiB of memory
#:   CMDLINE="p2m=shuffle:7" kernel options (docs/running.md)
#:   DISK=file ext2 image on an ATA disk as root     ACCEL=kvm use KVM
#:   NET=1     a network card (docs/network.md); NET=folder: whose files `tftp` gets
#:   VMM=none  boot without the VMM: the mode stays native
#:   O=DIR     copy the sources to DIR first and do all there, where paths begin, too

# What runs make itself, but is no part of this make, must not look for this one's job server.
ALONE := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL

# --- set-up comes first; the rest is made by a second make that sees the tools ---
setup:
	@tools/setup test

demo demo-domains:
	@tools/setup demo
	@$(MAKE) --no-print-directory all $(B)/tests/run
	@$(B)/tests/run --$@

test soak bench bench-switch:
	@$(if $(call said,TEST),echo "make: $@ runs all tests; after 'make $(B)/tests/run'" \
		"'$(B)/tests/run $(TEST)' runs this one" >&2; exit 1)
	@tools/setup test
	@$(MAKE) --no-print-directory all iso unit $(B)/tests/run $(B)/grader $(B)/trace $(B)/mutate
	@$(MAKE) --no-print-directory DEBUG=1 kernel
	@$(MAKE) --no-print-directory VO=static kernel
	@$(MAKE) --no-print-directory EXIT=eager kernel
	@$(if $(filter soak,$@),$(MAKE) --no-print-directory SCHED=robin kernel)
	@$(if $(filter bench,$@),$(MAKE) --no-print-directory VO=inline kernel)
	@$(if $(filter bench,$@),$(MAKE) --no-print-directory VO=lto kernel)
	@$(ALONE) $(B)/tests/run --unit $(B)/unit $(if $(filter test,$@),,--$@)

bench-domains:
	@tools/setup test
	@$(MAKE) --no-print-directory all iso $(B)/tests/run
	@$(MAKE) --no-print-directory EXIT=eager kernel
	@$(ALONE) $(B)/tests/run --$@

trace:
	@tools/setup debug
	@$(MAKE) --no-print-directory all $(B)/trace
	@$(ALONE) $(B)/trace $(foreach o,OUT STEPS DIRECTION OF,$(if $($(o)),$(o)=$($(o))))
web:
	@tools/setup web
	@$(MAKE) --no-print-directory $(B)/web/index.html
report:
	@tools/setup report
	@$(MAKE) --no-print-directory all iso $(B)/tests/run
	@$(MAKE) --no-print-directory VO=static kernel
	@$(MAKE) --no-print-directory VO=inline kernel
	@$(MAKE) --no-print-directory VO=lto kernel
	@$(MAKE) --no-print-directory EXIT=eager kernel
	@mkdir -p $(B)/report
	@$(ALONE) CC32="$(CC32)" tools/report/measure $(B)/report/measured.json
	@tools/report/make $(B)/report/measured.json $(B)/report
	@echo "report: $(B)/report/index.html and report.json"

run: all
	@tools/run

run-bochs: iso
	@tools/bochs

gdb debug: all $(if $(TEST),$(B)/grader)
	@$(if $(TEST),$(B)/grader debug '$(TEST)' $(if $(LAB),--lab '$(LAB)') --seed '$(SEED)', \
		$(if $(call said,LAB),echo "make: which check of $(LAB)? make $@ TEST=CHECK;" \
		"'make all $(B)/grader && $(B)/grader list' names them" >&2; exit 1,tools/debug))

debug-bochs: iso
	@DEBUGGER=1 tools/bochs

replay: all
	@tools/replay

log: all
	@tools/log

iso: $(B)/cinnabar.iso

# One at a time writes build/handout; the grader takes the same lock.
LOCKED := mkdir -p $(B) && flock $(B)/.lock

handout:
	@$(LOCKED) tools/handout '$(LAB)' '$(OUT)'

ALL_FILES := $(if $(HANDOUT),,$(shell tools/files))
$(B)/files: FORCE
	@mkdir -p $(B); printf '%s\n' $(ALL_FILES) >$@.$$$$; $(call replace,$@.$$$$)

# In an instructor's tree: written anew when any file of the project is newer, or came or went. What
# was built in it stays, and times are kept. A new tree begins with what is built here: files with
# exercises are newer, and so compiled. Its make has no environment, as in the grader's sandbox:
# else it builds with other flags, and each submission builds all again.
BUILT := sources kernel user bin symbols boot rootfs.list rootfs.ext2
$(B)/handout/%/build/.made: $(if $(HANDOUT),,$(B)/files $(ALL_FILES)) | all
	@rm -rf $(B)/handout/$*.build
	@mv $(@D) $(B)/handout/$*.build 2>/dev/null || { mkdir -p $(B)/handout/$*.build && \
		cp -a $(BUILT:%=$(B)/%) $(B)/handout/$*.build; }
	@tools/handout $* >/dev/null && mv $(B)/handout/$*.build $(@D) && env -i PATH="$$PATH" \
		TMPDIR="$${TMPDIR:-/tmp}" LC_ALL=C make -s -C $(B)/handout/$* all && touch $@

QUOTE := '
GRADE = $(B)/grader grade --lab '$(LAB)' --seed '$(SEED)' \
	--submission '$(subst $(QUOTE),$(QUOTE)\$(QUOTE)$(QUOTE),$(SUBMISSION))' \
	$(if $(ONLY),--only '$(ONLY)') --json $(B)/grade.json --html $(B)/grade.html \
	--junit $(B)/grade.xml

NEEDS_LAB = $(if $(wildcard labs/$(LAB)/checks.c $(HANDOUT)),:, \
	{ echo "make: which lab? make $@ LAB=NAME; NAME is one of: $(LABS)" >&2; exit 1; })

# In a student's tree a source that is gone is named before the linker misses what is in it.
NEEDS_SOURCES = sed -nE 's,^[^ ]* +((include|kernel|lib|user|vmm)/[^\r]*).*,\1,p' $(HANDOUT) | \
	while read -r file; do [ -e "$$file" ] || { \
		echo "make: $$file is missing: take it from the handout again" >&2; exit 1; }; done

grade $(PLATFORMS):
	@$(NEEDS_LAB)
	@$(if $(HANDOUT),$(NEEDS_SOURCES),:)
	@tools/setup grade
	@$(LOCKED) $(MAKE) --no-print-directory all $(B)/grader \
		$(if $(HANDOUT),,$(B)/handout/$(LAB)/build/.made)
	@$(ALONE) $(if $(filter grade,$@),$(GRADE) && echo 'more: $(B)/grade.html', \
		IMAGE='$(IMAGE)' BASE='$(BASE)' SEED='$(SEED)' tools/platform $@ '$(LAB)')

try:
	@$(NEEDS_LAB)
	@tools/setup grade
	@$(MAKE) --no-print-directory all $(B)/grader
	@$(ALONE) tools/try '$(LAB)' '$(DIFF)' '$(SEED)'

mutate:
	@$(if $(FILES),:,$(NEEDS_LAB))
	@tools/setup $(if $(FILES),test,grade)
	@$(ALONE) tools/mutate $(if $(FILES),$(FILES) --seed '$(SEED)' $(N:%=--count '%'), \
		'$(LAB)') $(MUTATE)

docs:
	@tools/setup docs
	@sphinx-build -q -W --keep-going -n -E -c docs -d $(B)/doctrees -b html . $(B)/docs
	@echo 'docs: open build/docs/index.html'

doctor:
	@tools/doctor

size:
	@tools/size

check: all $(if $(HANDOUT),,$(B)/grader $(B)/trace)
	@KERNEL=$(K) OBJDUMP=$(OBJDUMP32) NM=$(NM32) CC32="$(CC32)" LD32="$(LD32)" tools/check

clean:
	rm -rf $(B)

# --- kernel: linked twice; the second image holds the first one's symbols, for back traces ---
kernel: $(K)/cinnabar $(K)/vmm.elf

$(K)/cinnabar: $(KLINKED) $(K)/kernel/kernel.ld tools/ksyms $(B)/sources
	$(call say,LD,$@)
	$(Q)tools/ksyms </dev/null >$(K)/ksyms0.S && $(CC32) -m32 -c $(K)/ksyms0.S -o $(K)/ksyms0.o
	$(Q)$(LD32) -z noexecstack -T $(K)/kernel/kernel.ld -o $(K)/pass1 $(KLINKED) \
		$(K)/ksyms0.o
	$(Q)$(NM32) -n $(K)/pass1 | tools/ksyms >$(K)/ksyms.S
	$(Q)$(CC32) -m32 -c $(K)/ksyms.S -o $(K)/ksyms.o
	$(Q)$(LD32) -z noexecstack -T $(K)/kernel/kernel.ld -Map=$(K)/cinnabar.map -o $@ \
		$(KLINKED) $(K)/ksyms.o

$(K)/linked.o: $(KOBJ)
	$(call say,LTO,$@)
	$(Q)$(CC32) $(KFLAGS) -r -nostdlib -flinker-output=nolto-rel -o $@ $(KOBJ)

# Compared by contents: after DEBUG=1 the debug kernel and VMM lie here, and are the newer files.
$(B)/cinnabar: $(K)/cinnabar FORCE
	$(Q)cmp -s $< $@ || cp $< $@

$(B)/vmm: $(K)/vmm.elf FORCE
	$(Q)cmp -s $< $@ || cp $< $@

# Compared by contents: what is linked lacks a file as soon as its source is gone.
$(B)/sources: FORCE
	@mkdir -p $(@D); echo '$(KSRC) $(VSRC) $(wildcard user/lib/* user/programs/*/*)' >$@.$$$$; \
		$(call replace,$@.$$$$)

# --- layouts, for assembly and for the programs on the host ---
$(K)/offsets.h: include/offsets.c tools/offsets $(K)/flags
	$(call say,GEN,$@)
	$(Q)$(CC32) $(filter-out -Werror -flto%,$(KFLAGS)) $(if $(CLANG),-fno-integrated-as) \
		-MT $@ -MF $@.d -S $< -o $(K)/offsets.s
	$(Q)tools/offsets <$(K)/offsets.s >$@.$$$$ && $(call replace,$@.$$$$,touch $@)

$(KOBJ) $(VOBJ) $(sort $(LIBRARY) $(GRADER) $(MACHINE) $(TRACE) $(MUTATOR)): | $(K)/offsets.h

# The address space stands in include/layout.h only: linker scripts take it from there.
$(K)/%.ld: %.ld include/layout.h $(K)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(CC32) -E -P -undef -x assembler-with-cpp -D__ASSEMBLER__ -Iinclude $< -o $@

# --- the VMM ---
$(K)/vmm.elf: $(VOBJ) $(K)/vmm/vmm.ld $(B)/sources
	$(call say,LD,$@)
	$(Q)$(LD32) -z noexecstack -T $(K)/vmm/vmm.ld -Map=$(K)/vmm.map -o $@ $(VOBJ)

$(K)/vmm/%.c.o: %.c $(K)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(VFLAGS) -c $< -o $@

$(K)/vmm/%.S.o: %.S $(K)/flags
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(VFLAGS) -c $< -o $@

# The VO's operations are short, and many call nothing.
$(K)/kernel/vo/%.c.o: KFLAGS += -momit-leaf-frame-pointer

$(K)/%.c.o: %.c $(K)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(KFLAGS) -c $< -o $@

$(K)/%.S.o: %.S $(K)/flags
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(KFLAGS) -c $< -o $@

# A compiler that does not do what is wanted is refused once, instead of in each file.
TRY_COMPILER = echo 'char is_32_bit[sizeof(long) == 4 ? 1 : -1];' | $(CC32) \
	$(filter-out -MMD -MP,$(KFLAGS)) -x c -S -o $$new.s - 2>/dev/null && [ -s $$new.s ] && \
	rm $$new.s || \
	{ echo "make: CC32='$(CC32)' does not compile for i386 with $(OPT) and this project's" \
		"options; leave CC32 out (GCC), or give CC32='clang -m32'" >&2; exit 1; }

# Changed flags rebuild everything, but for those of warnings: they change no object. Student trees
# have others, and a part of the tests builds with a clean environment, without WERROR.
$(K)/flags: FORCE
	@type -P $(firstword $(CC32)) >/dev/null || \
		{ echo "make: $(firstword $(CC32)) is missing; run 'make setup' for GCC, or" \
			"install what CC32 names" >&2; exit 1; }
	@mkdir -p $(@D); new=$(B)/flags.$$$$; \
		echo '$(CC32) $(filter-out -W%,$(KFLAGS) $(UFLAGS) $(VFLAGS))' >$$new; \
		cmp -s $$new $@ && rm $$new || { $(TRY_COMPILER) && mv $$new $@; }

# --- programs and the root file system ---
$(B)/user/%.c.o: %.c $(K)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(UFLAGS) -c $< -o $@

$(B)/user/%.S.o: %.S $(K)/flags
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && $(CC32) $(UFLAGS) -c $< -o $@

$(B)/user/lib.a: $(ULIB) $(B)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR32) rcs $@ $(ULIB)

define program
$(B)/symbols/$(1): $(patsubst %,$(B)/user/%.o,$(wildcard user/programs/$(1).c \
		labs/*/programs/$(1).c user/programs/$(1)/*.c user/programs/$(1)/*.S)) \
		$(B)/user/lib.a user/user.ld $(B)/sources
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(LD32) -z noexecstack --gc-sections -T user/user.ld -o $$@ $$(filter %.o,$$^) \
		$(B)/user/lib.a
$(B)/bin/$(1): $(B)/symbols/$(1)
	$$(Q)mkdir -p $$(@D) && $(CROSS)strip -s -o $$@ $$<
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Compared by contents: a file may come, go, or change, and have an old date.
$(B)/rootfs.list: FORCE
	@mkdir -p $(@D); { echo '$(PROGRAMS) / $(GUEST_PROGRAMS)' "$$ROOT_MIB $$ROOT_BLOCK"; \
		cksum tools/mkroot; \
		find user/root -type f -exec cksum {} + | sort; } >$@.$$$$; $(call replace,$@.$$$$)

# What guests are made of: the kernel without its symbols, and a small root file system.
GUEST_PROGRAMS := $(filter init sh ls cat cp echo ps free kill sleep uptime true work stress \
	shutdown ping nc tftp, $(PROGRAMS))
$(B)/boot/cinnabar: $(B)/cinnabar
	$(Q)mkdir -p $(@D) && $(CROSS)strip -s -o $@ $<

$(B)/boot/guest.ext2: $(GUEST_PROGRAMS:%=$(B)/bin/%) $(B)/rootfs.list
	$(call say,MKFS,$@)
	$(Q)mkdir -p $(@D) && ROOT_KIB=256 ROOT_BLOCK=1024 tools/mkroot $@ \
		$(GUEST_PROGRAMS:%=$(B)/bin/%)

$(B)/rootfs.ext2: $(PROGRAMS:%=$(B)/bin/%) $(B)/rootfs.list $(B)/boot/cinnabar \
		$(B)/boot/guest.ext2
	$(call say,MKFS,$@)
	$(Q)ROOT_BOOT='$(B)/boot/cinnabar $(B)/boot/guest.ext2' tools/mkroot $@ \
		$(PROGRAMS:%=$(B)/bin/%)

$(B)/cinnabar.iso: $(B)/cinnabar $(B)/vmm $(B)/rootfs.ext2 tools/iso FORCE
	$(call say,ISO,$@)
	$(Q)tools/iso $@ "$$CMDLINE"

# --- tests on the host ---
unit: $(UNIT)

# No header of the host programs: a unit test takes the kernel's.
SANITIZED := $(filter-out -I%,$(HFLAGS)) -fsanitize=address,undefined -fno-sanitize-recover=all

$(B)/unit/%: tests/unit/%.c
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(SANITIZED) -Itests/unit -Iinclude -Ikernel -I. $< -o $@ -lcmocka

$(B)/unit/test_simple: SANITIZED += -Imachine -Ilabs/common -I$(K)
$(B)/unit/test_simple: | $(K)/offsets.h

$(sort $(filter %.c.o,$(MACHINE) $(LIBRARY) $(GRADER) $(MUTATOR) $(TRACE))): $(B)/host/%.c.o: %.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HFLAGS) -c $< -o $@

# The loader of Bochs's machines: an option ROM, which the programs on the host contain.
$(B)/bochs-loader: machine/bochs_loader.S
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC32) -c $< -o $@.o
	$(Q)$(LD32) -Ttext 0 -e 0 --oformat binary -o $@ $@.o

$(B)/host/machine/bochs_rom.S.o: machine/bochs_rom.S $(B)/bochs-loader
	$(call say,HOSTAS,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) -c $< -o $@

# The attacks of the isolation tests: code that runs at any address, linked at 0.
$(B)/attacks: $(sort $(wildcard tests/isolation/*.S)) $(K)/offsets.h
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC32) $(KFLAGS) -MF $@.d -c $< -o $@.o
	$(Q)$(LD32) -z noexecstack -Ttext 0 -e 0 -o $@ $@.o

$(B)/tests/run: $(MACHINE) $(LIBRARY) $(B)/attacks
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) -o $@ $(MACHINE) $(LIBRARY) -ljansson -lelf -lutil

# --- the grader, with the checks of the labs that are here: all, or a student's own ---
LABS := $(patsubst labs/%/checks.c,%,$(sort $(wildcard labs/*/checks.c)))

$(B)/host/labs.c: FORCE # compared by contents: a lab may have gone
	$(Q)mkdir -p $(@D) && { echo '#include "grader.h"'; \
		for l in $(LABS); do \
			echo "extern const struct test lab_$${l%%-*}_checks[];"; done; \
		echo 'const struct lab all_labs[] = {'; \
		for l in $(LABS); do echo "{ \"$$l\", lab_$${l%%-*}_checks },"; done; \
		echo '{ 0 } };'; } >$@.$$$$; $(call replace,$@.$$$$)

$(B)/host/labs.c.o: $(B)/host/labs.c
	$(Q)$(HOSTCC) $(HFLAGS) -c $< -o $@

$(B)/grader: $(GRADER) $(LIBRARY) $(B)/host/labs.c.o $(RECORDER)
	$(call say,LD,$@)
	$(Q)$(HOSTCC) -o $@ $(GRADER) $(LIBRARY) $(B)/host/labs.c.o $(RECORDER) \
		-ljansson -lelf -larchive -lutil
	@chmod a+rx $@ # the sandbox's user runs it, whatever the umask
	@tools/check-points $@ >$@.points || cat $@.points >&2

# The grader's checks in another program, which tries mutants of the solutions.
$(B)/mutate: $(MUTATOR) $(filter-out %/grader/main.c.o,$(GRADER)) $(LIBRARY) $(B)/host/labs.c.o \
		$(RECORDER)
	$(call say,LD,$@)
	$(Q)$(HOSTCC) -o $@ $^ -ljansson -lelf -larchive -lutil

# What a student's report shows beside the student's own machine: states of the reference's machine,
# no sources (tools/handout takes it). A grader that is there already is not built anew: it may be
# the one that asks, and must not change while it runs.
FOR_REFERENCE := $(if $(wildcard $(B)/grader),,$(B)/grader)
$(B)/reference/%.json: $(FOR_REFERENCE) $(B)/cinnabar $(B)/vmm $(B)/rootfs.ext2
	$(call say,RECORD,$@)
	$(Q)mkdir -p $(@D) && d=$$(mktemp -d) && trap 'rm -rf "$$d"' EXIT && \
		TMPDIR=$$d $(B)/grader reference $* >"$$d/json" && \
		mv "$$d/json" $@.$$$$ && mv $@.$$$$ $@

# --- the recorder and its viewer ---
PAGE := $(wildcard viewer/*.html viewer/*.css viewer/*.js)
$(B)/host/viewer/viewer.S.o: viewer/viewer.S $(PAGE)
	$(call say,HOSTAS,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) -c $< -o $@

$(B)/trace: $(TRACE) $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(HOSTCC) -o $@ $(TRACE) $(LIBRARY) -ljansson -lelf -lutil

# Where there is no network, each test that wants a package should soon know.
NPM_CI := npm ci --no-audit --no-fund --loglevel=error --fetch-retries=1 \
	--fetch-retry-mintimeout=2000
# What drives the browser in a test (tests/machine/trace.c). The lock file has checksums.
NPM := $(B)/browser/node_modules/.package-lock.json
$(NPM): tests/browser/package.json tests/browser/package-lock.json
	$(call say,NPM,$(@D))
	$(Q)mkdir -p $(B)/browser && cp $^ $(B)/browser/
	$(Q)cd $(B)/browser && $(NPM_CI) && \
		touch $(@:$(B)/browser/%=%)

# --- the machine in a page ---
WEB := $(B)/web/node_modules/.package-lock.json
$(WEB): web/package.json web/package-lock.json
	$(call say,NPM,$(@D))
	$(Q)mkdir -p $(B)/web && cp $^ $(B)/web/
	$(Q)cd $(B)/web && { $(NPM_CI) || { echo "web: npm gave no v86 and xterm.js; without a \
	network the page cannot be made here" >&2; false; }; } && touch $(@:$(B)/web/%=%)

$(B)/web/index.html: $(B)/cinnabar $(B)/vmm $(B)/rootfs.ext2 $(B)/trace $(WEB) $(PAGE) \
		$(wildcard web/*)
	$(call say,WEB,$@)
	$(Q)node web/build.js $(B)

compile_commands.json: FORCE
	@tools/compile-commands '$(CC32) $(KFLAGS)' '$(CC32) $(UFLAGS)' >$@

FORCE:
.DEFAULT: # with -B also each source
	@[ -e '$@' ] || \
		{ echo "make: nothing makes '$@'; 'make help' lists the targets" >&2; exit 1; }
# Not those of other trees in it: students', copies.
-include $(shell find $(B) -mindepth 1 -name '*build' -prune -o -name '*.d' -print 2>/dev/null)
endif
