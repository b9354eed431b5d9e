/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader passed, copied before the loader's memory is used for other things;
 * and the steps of start-up.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "mm/p2m.h"

#define MAX_RANGES 128
#define MAX_MODULES 4

struct boot_module {
	uint32_t machine, bytes; /* first machine address, size */
	char text[64];           /* the end of its string in the loader's configuration */
};

struct memory_range { /* one E820 entry, clipped to 4 GiB */
	uint64_t base, bytes;
	uint32_t type; /* 1: usable */
};

struct boot_info {
	char cmdline[512];
	unsigned nr_modules, nr_ranges;
	struct boot_module modules[MAX_MODULES];
	struct memory_range ranges[MAX_RANGES];
};
extern struct boot_info boot_info;

/*
 * Fill boot_info from what a Multiboot loader passed: magic in EAX, info's machine address
 * in EBX. Panics if the kernel cannot use it. Context: boot directory in use.
 */
void boot_parse(uint32_t magic, uint32_t info);

/*
 * Copy the value of the option NAME=VALUE of the command line to buf, cut to fit `size`
 * bytes. A value in quotes ("...") may contain spaces. Result: whether the option is there;
 * if not, buf is unchanged. Context: boot, one CPU at a time.
 */
bool boot_option(const char *name, char *buf, size_t size);
/* Print the options that the kernel does not know, and the modules. Context: boot. */
void boot_check_options(void);

/*
 * The first module of this name, or NULL. A module's name is the last word of its string, or its
 * file's name if that is all; what follows a dot does not count: "dir/rootfs.ext2" is `rootfs`, and
 * so is "dir/vmm rootfs".
 */
const struct boot_module *boot_module(const char *word);

/*
 * Make p2m, the kernel's directory and the frame allocator (mm/init.c); this CPU leaves the
 * boot directory.
 */
void mm_init(void);
/* mm_init_guest - the same in a guest, whose builder has made all but the frame allocator. */
struct domain_start;
void mm_init_guest(const struct domain_start *s);

/* Copy the trampoline to its machine address (smp.c). Context: boot directory in use. */
void smp_place_trampoline(void);
/*
 * Start the other processors; they idle until there is work (smp.c). Context: boot,
 * interrupts on.
 */
void smp_start(void);
/*
 * The first C function of another processor: trampoline.S calls it with interrupts off, on
 * the stack of this processor's idle task.
 */
void smp_cpu_main(void) __attribute__((noreturn));
/*
 * The rest of start-up, when memory, consoles and interrupts are there: the other processors and
 * the first program (main.c). Context: boot, interrupts off.
 */
void boot_go_on(void) __attribute__((noreturn));

#endif
