/* SPDX-License-Identifier: MIT */
/*
 * Bochs's memory, read where Bochs keeps it: the debugger would print it, with a system call for
 * each word. Bochs allocates the machine's memory in blocks, in the order of their first use. The
 * debugger writes a mark into each for a moment; where the mark is found, the block is. A mark that
 * is found twice, because the guest has such a word, is none: the debugger reads that block.
 */
#include "emulators.h"
#include "x86.h"
#include <stdlib.h>
#include <sys/uio.h>

enum { BLOCK = 128 << 10 }; /* or a multiple of it */
enum { SCREEN_BEGIN = 0xA0000, ROM_END = 0x100000 }; /* of whole blocks that are no memory */
enum { TWICE = 1 }; /* instead of the block's address */

static unsigned nr_blocks(const struct machine *m) { return (m->o.mem << 20) / BLOCK; }

/* Look for marks at the begins of Bochs's pages. blocks[i]: where BOCHS_MARK + i is. */
static void look(const struct machine *m, uintptr_t begin, uintptr_t end, uintptr_t *blocks)
{
	enum { PAGES = 256 };
	uint32_t words[PAGES];
	struct iovec here = { words, sizeof(words) }, there[PAGES];
	for (; begin < end; begin += PAGES * PAGE_SIZE) {
		for (unsigned i = 0; i < PAGES; i++)
			there[i] = (struct iovec){ (void *)(begin + i * PAGE_SIZE), 4 };
		ssize_t got = process_vm_readv(m->pid, &here, 1, there, PAGES, 0);
		for (unsigned i = 0; 4 * i + 3 < (size_t)(got < 0 ? 0 : got); i++) {
			uint32_t block = words[i] - BOCHS_MARK;
			if (block < nr_blocks(m))
				blocks[block] = blocks[block] ? TWICE : begin + i * PAGE_SIZE;
		}
	}
}

/* In the parts of Bochs's memory that are large enough for the machine's. */
static void look_everywhere(const struct machine *m, uintptr_t *blocks)
{
	char path[40], line[300];
	uintptr_t begin, end;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)m->pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%zx-%zx rw", &begin, &end) == 2 &&
		    (end - begin) / BLOCK >= nr_blocks(m))
			look(m, begin, end, blocks);
	if (f)
		fclose(f);
}

static bool is_memory(unsigned block)
{
	return block < SCREEN_BEGIN / BLOCK || block >= ROM_END / BLOCK;
}

static void find_blocks(struct machine *m)
{
	unsigned n = nr_blocks(m);
	uint32_t *words = calloc(n, sizeof(*words));
	m->blocks = calloc(n, sizeof(*m->blocks));
	for (unsigned i = 0; i < n; i++) {
		uint32_t value = BOCHS_MARK + i;
		words[i] = physical_word(m, i * BLOCK);
		if (is_memory(i))
			physical_write(m, i * BLOCK, &value, 4);
	}
	look_everywhere(m, m->blocks);
	for (unsigned i = 0; i < n; i++)
		if (is_memory(i))
			physical_write(m, i * BLOCK, &words[i], 4);
	free(words);
}

bool bochs_memory_read(struct machine *m, uint32_t address, void *buf, size_t bytes)
{
	if (!m->stopped || !m->pid || (!m->blocks && bytes < PAGE_SIZE))
		return false;
	if (!m->blocks)
		find_blocks(m);
	uint32_t last = address + (uint32_t)bytes - 1, block = address / BLOCK;
	if (last / BLOCK != block || block >= nr_blocks(m) || m->blocks[block] <= TWICE)
		return false;
	struct iovec here = { buf, bytes };
	struct iovec there = { (void *)(m->blocks[block] + address % BLOCK), bytes };
	return process_vm_readv(m->pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}
