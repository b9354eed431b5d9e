/* SPDX-License-Identifier: MIT */
/* The address space, the same in every page directory and every mode (docs/vmm.md). For C and assembly. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define USER_BASE 0x00001000      /* the first page is never mapped: NULL faults */
#define USER_END 0xC0000000
#define KERNEL_BASE 0xC0000000    /* direct map of pseudo-physical memory: pfn n is at KERNEL_BASE + n * PAGE_SIZE */
#define KERNEL_MAP_BASE 0xF8000000 /* kernel mappings of machine frames: VGA, APICs, firmware tables */
#define KERNEL_MAP_END 0xFC000000
#define VMM_BASE 0xFC000000       /* 64 MiB that belong to the VMM */
#define MAX_PFNS ((KERNEL_MAP_BASE - KERNEL_BASE) >> 12)
#define KERNEL_LOAD 0x00100000    /* machine address of the image, which has pfn == mfn */
#define TRAMPOLINE 0x8000         /* machine address where other processors start; its frame is reserved */

#endif
