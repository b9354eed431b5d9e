/* SPDX-License-Identifier: MIT */
/*
 * stale: a program that touches what it has unmapped. Each child fills pages, unmaps them, and uses
 * one of them again at once. If the kernel forgot to flush the TLB, that works, although the frame
 * may belong to somebody else by then.
 */
#include "user.h"

#define PAGE 4096u
#define TABLE_BYTES 0x400000u

/* pages: how many are mapped; of these, from `first` on, `unmapped` pages are unmapped. */
static const struct { uint32_t at, pages, first, unmapped, touched; bool write; } children[] = {
	{ 0x50000000, 1, 0, 1, 0, true },        /* one page */
	{ 0x50000000, 64, 0, 64, 63, false },    /* as many entries as one call changes */
	{ 0x50000000, 130, 0, 130, 0, true },    /* the first part of several */
	{ 0x50000000, 130, 0, 130, 129, false }, /* the last one */
	{ 0x50000000, 9, 3, 3, 4, true },        /* out of the middle */
	/* Over the end of a page table. */
	{ 0x50000000 + TABLE_BYTES - 2 * PAGE, 4, 0, 4, 1, true },
	{ 0x50000000 + TABLE_BYTES - 2 * PAGE, 4, 0, 4, 2, true },
};

static void child(unsigned k)
{
	volatile char *at = mmap((void *)children[k].at, children[k].pages * PAGE,
				 PROT_READ | PROT_WRITE, -1, 0);
	if (is_error((const void *)at))
		exit(2);
	for (uint32_t i = 0; i < children[k].pages; i++)
		at[i * PAGE] = (char)i;
	volatile char *again = at + children[k].touched * PAGE;
	if (munmap((void *)(at + children[k].first * PAGE), children[k].unmapped * PAGE))
		exit(3);
	if (children[k].write)
		*again = 1;
	else
		(void)*again;
	exit(1); /* still here */
}

int main(void)
{
	unsigned alive = 0, n = sizeof(children) / sizeof(*children);
	for (unsigned k = 0; k < n; k++) {
		int status, pid = fork();
		if (pid == 0)
			child(k);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 2;
		alive += status != WSTATUS_FAULT(14);
	}
	printf("stale: %u of %u children used pages that they had unmapped\n", alive, n);
	return alive != 0;
}
