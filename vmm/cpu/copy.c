/* SPDX-License-Identifier: MIT */
/*
 * Copies between the VMM's memory and the kernel's. The kernel's side may not be mapped, or may be
 * read-only: then the copy faults in copy_words() (copy_words.S), and copy_fault() ends it there.
 */
#include "vmm/cpu/cpu.h"

extern char copy_words_start[], copy_words_end[];
uint32_t copy_words(void *to, const void *from, uint32_t words); /* result: words left undone */

int copy_from_kernel(void *to, uint32_t from, uint32_t bytes)
{
	if (!kernel_range(from, bytes) || copy_words(to, (const void *)from, bytes / 4))
		return -EFAULT;
	return 0;
}

int copy_to_kernel(uint32_t to, const void *from, uint32_t bytes)
{
	if (!kernel_range(to, bytes) || copy_words((void *)to, from, bytes / 4))
		return -EFAULT;
	return 0;
}

bool copy_fault(struct regs *r)
{
	if (r->eip < (uint32_t)copy_words_start || r->eip >= (uint32_t)copy_words_end)
		return false;
	r->eip = (uint32_t)copy_words_end;
	return true;
}
