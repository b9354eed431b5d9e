/* SPDX-License-Identifier: MIT */
/*
 * Memory from outside. Physical memory is read in the file that QEMU shares, or in Bochs, or
 * by its debugger; virtual addresses by our own walk over the page tables.
 */
#include "emulators.h"
#include "x86.h"
#include <stdlib.h>
#include <string.h>

/* Bochs prints "0x00100000 <bogus+ 0>:	0x12345678	0x..." */
static void bochs_words(struct machine *m, uint32_t address, uint32_t *words, size_t n)
{
	char *text = bochs_command(m, "xp /%zuwx 0x%x", n, address), *at = text;
	for (size_t i = 0; i < n; i++) {
		char *tab = strstr(at, "\t0x");
		if (!tab)
			give_up(BROKEN, "Bochs shows no memory at %#x",
				(unsigned)(address + 4 * i));
		words[i] = (uint32_t)strtoul(tab + 1, &at, 16);
	}
	free(text);
}

static void bochs_write(struct machine *m, uint32_t address, const uint32_t *words, size_t n)
{
	enum { AT_ONCE = 64 };
	for (size_t i = 0; i < n;) {
		char text[AT_ONCE * sizeof("setpmem 0x12345678 4 0x12345678\n")];
		size_t used = 0, end = n - i < AT_ONCE ? n : i + AT_ONCE;
		for (; i < end; i++)
			used += (size_t)sprintf(text + used, "%ssetpmem 0x%zx 4 0x%x",
						used ? "\n" : "", address + 4 * i, words[i]);
		free(bochs_command(m, "%s", text));
	}
}

void physical_read(struct machine *m, uint32_t address, void *buf, size_t bytes)
{
	if (!m->o.bochs) {
		if (address > m->ram_bytes || bytes > m->ram_bytes - address)
			give_up(FAILED, "machine address %#x is not memory", address);
		if (m->o.v86)
			v86_show(m, address, bytes);
		memcpy(buf, m->ram + address, bytes);
		return;
	}
	if (bytes > 0 && bochs_memory_read(m, address, buf, bytes))
		return;
	uint32_t words[1024];
	while (bytes > 0) {
		size_t offset = address & 3;
		size_t part = bytes < sizeof(words) - 4 ? bytes : sizeof(words) - 4;
		bochs_words(m, address & ~3u, words, (offset + part + 3) / 4);
		memcpy(buf, (char *)words + offset, part);
		address += (uint32_t)part, buf = (char *)buf + part, bytes -= part;
	}
}

uint32_t physical_word(struct machine *m, uint32_t address)
{
	uint32_t word;
	physical_read(m, address, &word, 4);
	return word;
}

void physical_write(struct machine *m, uint32_t address, const void *buf, size_t bytes)
{
	const uint32_t *words = buf;
	if (!m->o.bochs) {
		if (address > m->ram_bytes || bytes > m->ram_bytes - address)
			give_up(FAILED, "machine address %#x is not memory", address);
		if (m->o.v86)
			v86_show(m, address, bytes);
		memcpy(m->ram + address, buf, bytes);
		return;
	}
	bochs_write(m, address, words, bytes / 4);
}

uint32_t kernel_word(struct machine *m, const char *name)
{
	return physical_word(m, symbol(name) - KERNEL_BASE);
}

struct walk page_walk(struct machine *m, uint32_t cr3, uint32_t address)
{
	uint32_t index = address >> PAGE_SHIFT & 1023;
	struct walk w = { .pde = physical_word(m, (cr3 & PAGE_MASK) + (address >> 22) * 4) };
	if (!(w.pde & PTE_P))
		return w;
	if (w.pde & PTE_PS) {
		w.pte = w.pde;
		w.machine = (w.pde & 0xFFC00000) | (address & 0x3FFFFF);
	} else {
		w.pte = physical_word(m, (w.pde & PAGE_MASK) + index * 4);
		w.machine = (w.pte & PAGE_MASK) | (address & ~PAGE_MASK);
	}
	w.present = w.pte & PTE_P;
	w.user = w.pde & w.pte & PTE_U;
	w.writable = w.pde & w.pte & PTE_W;
	return w;
}

void virtual_read(struct machine *m, uint32_t cr3, uint32_t address, void *buf, size_t bytes)
{
	while (bytes > 0) {
		size_t rest = PAGE_SIZE - address % PAGE_SIZE, part = rest < bytes ? rest : bytes;
		struct walk w = page_walk(m, cr3, address);
		if (!w.present)
			give_up(FAILED, "nothing is mapped at %#x (CR3 %#x)", address, cr3);
		physical_read(m, w.machine, buf, part);
		address += (uint32_t)part, buf = (char *)buf + part, bytes -= part;
	}
}
