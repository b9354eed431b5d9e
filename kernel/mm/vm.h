/* SPDX-License-Identifier: MIT */
/*
 * User address spaces: a page directory and a sorted list of areas. Pages come on first touch: zeroed, or
 * from a file; after fork they are shared until written. One task uses an address space, so no other CPU needs telling.
 */
#ifndef MM_VM_H
#define MM_VM_H

#include "mm/frame.h"

struct vnode;
struct mm;

/* Kernel's own directory: the model for the upper part of all others, and what kernel tasks run on. */
extern pte_t *kernel_directory;

struct mm *mm_create(void);              /* NULL if memory is out */
struct mm *mm_fork(struct mm *from);     /* copy-on-write copy of the caller's own; NULL if memory is out */
void mm_destroy(struct mm *mm);          /* not loaded on any CPU any more */
mfn_t mm_directory(const struct mm *mm); /* for VO(mmu, load_directory) */
uint32_t mm_pages(const struct mm *mm);  /* user pages present */

/*
 * mm_map - a private mapping. address: page aligned, or 0 to have one chosen; bytes > 0 (rounded up); prot: PROT_;
 * vn: file (a reference is taken) or NULL for zeroed memory; offset: page aligned, in the file; file_bytes: what comes
 * from the file, zeros after it. An occupied fixed address is an error. Result: the address or -EINVAL, -ENOMEM, -EEXIST
 * (as negative int32_t in a uint32_t: addresses are below USER_END).
 */
int32_t mm_map(struct mm *mm, uint32_t address, uint32_t bytes, int prot, struct vnode *vn, uint32_t offset, uint32_t file_bytes);
int mm_unmap(struct mm *mm, uint32_t address, uint32_t bytes);             /* 0, -EINVAL, -ENOMEM */
int mm_protect(struct mm *mm, uint32_t address, uint32_t bytes, int prot); /* 0, -EINVAL, -ENOMEM (a hole) */
/* Make a page fault good. error: the CPU's code. Result: 0, -EFAULT (a real fault), -ENOMEM, -EIO. Process context. */
int mm_fault(struct mm *mm, uint32_t address, uint32_t error);

/* The page at address, faulted in for writing: its place in the direct map, or NULL. For an address space not in use. */
void *mm_touch(struct mm *mm, uint32_t address);

/*
 * Copies between kernel and the current process; every user pointer goes through these. They may fault pages in, and sleep.
 * Result: 0, or -EFAULT with any part copied. copy_string_from_user: length without NUL, -EFAULT, -ENAMETOOLONG.
 */
int copy_from_user(void *to, const void *user_from, size_t bytes);
int copy_to_user(void *user_to, const void *from, size_t bytes);
int copy_string_from_user(char *to, const char *user_from, size_t size);

#endif
