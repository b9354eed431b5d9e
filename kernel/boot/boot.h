/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, copied before its memory is used for other things, and the steps of start-up. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "mm/p2m.h"

#define MAX_RANGES 64
#define MAX_MODULES 4

struct boot_module {
	uint32_t machine, bytes; /* where it lies */
	char text[64];           /* its string */
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

/* Copy what Multiboot passed (magic in EAX, machine address in EBX); panics with the cause if it is unusable. */
void boot_parse(uint32_t magic, uint32_t info);

/*
 * The value of a word NAME=VALUE of the command line, in buf; quotes ("...") group words. Result: whether it was there.
 */
bool boot_option(const char *name, char *buf, size_t size);
/* Complain about words NAME=VALUE whose name means nothing here. */
void boot_check_options(void);

/* The module whose string contains word, or NULL. */
const struct boot_module *boot_module(const char *word);

/* Memory: p2m, the kernel's directory, frames (mm/init.c). Ends the use of the boot directory on this CPU. */
void mm_init(void);

/* Copy the trampoline to its place. Context: boot directory in use. */
void smp_place_trampoline(void);
/* Start the other processors; they idle until there is work (boot/smp.c). */
void smp_start(void);
void smp_cpu_main(void) __attribute__((noreturn));

#endif
