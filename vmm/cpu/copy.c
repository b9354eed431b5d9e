/* SPDX-License-Identifier: MIT */
/*
 * Copies between the VMM's memory and the kernel's. It can happen that the kernel's side is not
 * mapped, or is read-only: then the CPU faults in copy_words() (copy_words.S), and copy_fault()
 * ends the copy there.
 */
#include "vmm/cpu/cpu.h"

extern char copy_words_start[], copy_words_end[];

bool copy_fault(struct regs *r)
{
	if (r->eip < (uint32_t)copy_words_start || r->eip >= (uint32_t)copy_words_end)
		return false;
	r->eip = (uint32_t)copy_words_end;
	return true;
}
