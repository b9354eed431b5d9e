/* SPDX-License-Identifier: MIT */
/*
 * User address spaces: a page directory and a sorted list of areas. A page gets its frame
 * at the first access: zeros, or a file's content. After fork, frames are shared until
 * one side writes. One task uses an address space, so changes need no lock, and no other
 * CPU has to be told of them.
 *
 * Context of all functions here, unless said otherwise: the process that uses the address
 * space, or any process if no CPU has it loaded; no spin lock held.
 */
#ifndef MM_VM_H
#define MM_VM_H

#include "mm/frame.h"

struct vnode;
struct mm;

/* The kernel's own directory. All others have its upper part; kernel tasks run on it. */
extern pte_t *kernel_directory;

/* An address space without areas. Result: NULL if memory is out. */
struct mm *mm_create(void);
/*
 * A copy of the current process's address space, copy on write. Result: NULL if memory is
 * out.
 */
struct mm *mm_fork(struct mm *from);
/* Free an address space that no CPU has loaded. */
void mm_destroy(struct mm *mm);
/* The entries of its directory, of the kernel's own for NULL. Context: any. */
pte_t *mm_entries(const struct mm *mm);
/*
 * The mfn of its directory, of the kernel's own for NULL, for VO(mmu, load_directory). Context:
 * any, with the VO held until the load.
 */
mfn_t mm_directory(const struct mm *mm);
/* How many frames its page tables hold. Context: any, while the address space lives. */
uint32_t mm_pages(const struct mm *mm);

/*
 * mm_map - add a private mapping. address: page aligned, or 0 to have a free range
 * chosen; bytes: above 0, rounded up to pages; prot: PROT_; vn: the file (mm_map takes a
 * reference), or NULL for zeros; offset: in the file, page aligned; file_bytes: how many
 * bytes come from the file, zeros follow.
 * Result: the address, or -EINVAL, -ENOMEM, -EEXIST (the range is not free). An address
 * above 0x7FFFFFFF is a negative int32_t, too: an error is a value from -EUCLEAN to -1.
 */
int32_t mm_map(struct mm *mm, uint32_t address, uint32_t bytes, int prot, struct vnode *vn,
	       uint32_t offset, uint32_t file_bytes);
/*
 * mm_unmap, mm_protect - remove the mappings of a range, or change its access. address:
 * page aligned; bytes: above 0, rounded up to pages. mm_unmap: parts of the range may be
 * free.
 * Result: 0, -EINVAL, -ENOMEM; mm_protect: -ENOMEM, too, if a part of the range is free.
 */
int mm_unmap(struct mm *mm, uint32_t address, uint32_t bytes);
int mm_protect(struct mm *mm, uint32_t address, uint32_t bytes, int prot);
/*
 * mm_fault - resolve a page fault. error: the CPU's error code (SDM vol. 3, 4.7).
 * Result: 0, -EFAULT (this access is not allowed), -ENOMEM, or an error of the file, for
 * example -EIO. May sleep.
 */
int mm_fault(struct mm *mm, uint32_t address, uint32_t error);

/*
 * mm_touch - the byte at a user address, at its place in the direct map, with its page
 * made writable first. For an address space that no CPU has loaded. Result: NULL if that
 * fails.
 */
void *mm_touch(struct mm *mm, uint32_t address);

/*
 * copy_from_user, copy_to_user, copy_string_from_user - copies between the kernel and the
 * current process; every user pointer goes through them. They may fault pages in, and
 * sleep.
 * Result: 0, or -EFAULT with any part copied. copy_string_from_user, size: of the buffer
 * `to`; result: the length without NUL, -EFAULT, -ENAMETOOLONG.
 */
int copy_from_user(void *to, const void *user_from, size_t bytes);
int copy_to_user(void *user_to, const void *from, size_t bytes);
int copy_string_from_user(char *to, const char *user_from, size_t size);

#endif
