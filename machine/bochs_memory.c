/* SPDX-License-Identifier: MIT */
/*
 * Bochs's memory, read where Bochs keeps it: the debugger would print it, with a system call for
 * each word. Bochs allocates the machine's memory in blocks, in the order of their first use. When
 * a block is first read, the debugger writes a mark into it for a moment; where the mark is found,
 * the block is. A mark that is found twice, because the guest has such a word, is none: the
 * debugger reads that block.
 */
#include "emulators.h"
#include "x86.h"
#include <stdlib.h>
#include <sys/uio.h>

enum { BLOCK = 128 << 10 }; /* or a multiple of it */
enum { SCREEN_BEGIN = 0xA0000, ROM_END = 0x100000 }; /* of whole blocks that are no memory */
enum { TWICE = 1 }; /* instead of the block's address */

static unsigned nr_blocks(const struct machine *m) { return (m->o.mem << 20) / BLOCK; }

/* Look for a mark at each step from `begin` on. *found: where it is, or TWICE. */
static void look(const struct machine *m, uintptr_t begin, uintptr_t end, size_t step,
		 uint32_t mark, uintptr_t *found)
{
	enum { AT_ONCE = 256 };
	uint32_t words[AT_ONCE];
	struct iovec here = { words, sizeof(words) }, there[AT_ONCE];
	for (unsigned n = 0; begin < end; begin += n * step) {
		for (n = 0; n < AT_ONCE && begin + n * step < end; n++)
			there[n] = (struct iovec){ (void *)(begin + n * step), 4 };
		ssize_t got = process_vm_readv(m->pid, &here, 1, there, n, 0);
		for (unsigned i = 0; 4 * i + 3 < (size_t)(got < 0 ? 0 : got); i++)
			if (words[i] == mark)
				*found = *found ? TWICE : begin + i * step;
	}
}

/*
 * In the parts of Bochs's memory that are large enough for the machine's. known: where a block is;
 * from there to each other one it is a number of whole blocks. 0: none is known.
 */
static uintptr_t look_everywhere(const struct machine *m, uintptr_t known, uint32_t mark)
{
	char path[40], line[300];
	uintptr_t begin, end, found = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)m->pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%zx-%zx rw", &begin, &end) == 2 &&
		    (end - begin) / BLOCK >= nr_blocks(m))
			look(m, known ? begin + (known - begin) % BLOCK : begin, end,
			     known ? BLOCK : PAGE_SIZE, mark, &found);
	if (f)
		fclose(f);
	return found;
}

static bool is_memory(unsigned block)
{
	return block < SCREEN_BEGIN / BLOCK || block >= ROM_END / BLOCK;
}

static void find_block(struct machine *m, unsigned block)
{
	uint32_t mark = BOCHS_MARK + block;
	uintptr_t known = 0;
	for (unsigned i = 0; i < nr_blocks(m) && !known; i++)
		known = m->blocks[i] > TWICE ? m->blocks[i] : 0;
	m->blocks[block] = TWICE;
	if (!is_memory(block))
		return;
	uint32_t word = physical_word(m, block * BLOCK);
	physical_write(m, block * BLOCK, &mark, 4);
	uintptr_t found = look_everywhere(m, known, mark);
	physical_write(m, block * BLOCK, &word, 4);
	m->blocks[block] = found ? found : TWICE;
}

/* Where in Bochs the address is; 0 if that is not known. */
static uintptr_t place_of(struct machine *m, uint32_t address)
{
	uint32_t block = address / BLOCK;
	if (block >= nr_blocks(m))
		return 0;
	if (!m->blocks[block])
		find_block(m, block);
	return m->blocks[block] > TWICE ? m->blocks[block] + address % BLOCK : 0;
}

bool bochs_memory_read(struct machine *m, uint32_t address, void *buf, size_t bytes)
{
	if (!m->stopped || !m->pid || (!m->blocks && bytes < PAGE_SIZE))
		return false;
	if (!m->blocks)
		m->blocks = calloc(nr_blocks(m), sizeof(*m->blocks));
	for (size_t at = 0, part; at < bytes; at += part) {
		size_t rest = BLOCK - (address + at) % BLOCK;
		part = rest < bytes - at ? rest : bytes - at;
		uintptr_t place = place_of(m, address + (uint32_t)at);
		struct iovec here = { (char *)buf + at, part }, there = { (void *)place, part };
		if (!place || process_vm_readv(m->pid, &here, 1, &there, 1, 0) != (ssize_t)part)
			return false;
	}
	return true;
}
