/* SPDX-License-Identifier: MIT */
/*
 * The address space, the same in every page directory and in both modes (docs/vmm.md). For C,
 * assembly and linker scripts of kernel, VMM, programs, and of the programs that look from
 * outside.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define USER_BASE 0x00001000 /* the first page is never mapped: NULL faults */
#define USER_END KERNEL_BASE

/* The kernel: a direct map of pseudo-physical memory, with pfn n at KERNEL_BASE + n * PAGE_SIZE;
   then mappings of machine frames (VGA, APICs, firmware tables). */
#define KERNEL_BASE 0xC0000000
#define KERNEL_MAP_BASE 0xF8000000
#define KERNEL_MAP_END VMM_BASE
#define MAX_PFNS ((KERNEL_MAP_BASE - KERNEL_BASE) >> 12)

#define VMM_BASE 0xFC000000 /* 64 MiB that belong to the VMM */

/* Entries of a page directory: the first of the kernel's part, and the first of the VMM's. */
#define KERNEL_SLOT (KERNEL_BASE >> 22)
#define VMM_SLOT (VMM_BASE >> 22)

#define KERNEL_LOAD 0x00100000 /* machine address of the kernel's image, which has pfn == mfn */
#define TRAMPOLINE 0x8000      /* machine address where other processors start; reserved */

#endif
