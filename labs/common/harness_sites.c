/* SPDX-License-Identifier: MIT */
/*
 * Where functions are called from. Code that is judged can read its return address, so a call of a
 * check returns to a place to which the kernel's or the VMM's own calls return: after an
 * instruction that calls the function. All of them are found in the text, and have their turns.
 */
#include "harness.h"
#include <elf.h>

enum { MOST_SITES = 128, MOST_JUMPS = 3, MOST_WORDS = 64 };

/* A segment of an ELF file, as it is loaded. */
struct image { uint32_t first, bytes; const uint8_t *data; };
/* Of kernel or VMM: its code, with constants after it. */
static struct image texts[2];

struct sites { uint32_t at[MOST_SITES]; unsigned n, first, used; };

static struct image read_text(const char *path)
{
	Elf32_Ehdr header;
	FILE *f = fopen(path, "re");
	if (!f || fread(&header, sizeof(header), 1, f) != 1)
		give_up(BROKEN, "%s is not an ELF file", path);
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf32_Phdr p;
		long at = (long)(header.e_phoff + i * sizeof(p));
		if (fseek(f, at, SEEK_SET) || fread(&p, sizeof(p), 1, f) != 1 ||
		    !(p.p_flags & PF_X))
			continue;
		uint8_t *data = malloc(p.p_filesz);
		if (fseek(f, (long)p.p_offset, SEEK_SET) || fread(data, p.p_filesz, 1, f) != 1)
			break;
		fclose(f);
		return (struct image){ p.p_vaddr, p.p_filesz, data };
	}
	give_up(BROKEN, "%s has no segment of code", path);
}

static const struct image *text_of(uint32_t address)
{
	bool vmm = address >= VMM_BASE;
	if (!texts[vmm].data)
		texts[vmm] = read_text(vmm ? vmm_file : kernel_file);
	return &texts[vmm];
}

/* The word at an address of the text. Result: whether there is one. */
static bool text_word(const struct image *text, uint32_t address, uint32_t *word)
{
	if (address < text->first || address - text->first + 4 > text->bytes)
		return false;
	memcpy(word, text->data + (address - text->first), 4);
	return true;
}

/* --- instructions --- */

/* Whether a pointer that code loads from here can be this function: a constant, or in the VO. */
static bool leads_to(const struct image *text, uint32_t slot, uint32_t function)
{
	uint32_t word = 0, in_vo = slot - symbol("vo");
	if (text->first < VMM_BASE && in_vo < VO_BYTES)
		return (text_word(text, symbol("virtual_vo") + in_vo, &word) && word == function) ||
		       (text_word(text, symbol("native_vo") + in_vo, &word) && word == function);
	return text_word(text, slot, &word) && word == function;
}

/* CALL through memory without a base register: of a word, or in a table (SDM vol. 2, 2.1). */
static unsigned call_by_pointer(const struct image *text, const uint8_t *code, uint32_t function)
{
	enum { CALL_MEMORY = 0xFF, ABSOLUTE = 0x15, WITH_INDEX = 0x14, NO_BASE = 5 };
	uint32_t slot;
	if (code[0] != CALL_MEMORY)
		return 0;
	if (code[1] == ABSOLUTE) {
		memcpy(&slot, code + 2, 4);
		return leads_to(text, slot, function) ? 6 : 0;
	}
	if (code[1] != WITH_INDEX || (code[2] & 7) != NO_BASE)
		return 0;
	memcpy(&slot, code + 3, 4);
	for (unsigned i = 0; i < MOST_WORDS; i++)
		if (leads_to(text, slot + (i << (code[2] >> 6)), function))
			return 7;
	return 0;
}

/* Length of an instruction that calls the function; 0: it is none. */
static unsigned call_here(const struct image *text, uint32_t offset, uint32_t function)
{
	enum { CALL = 0xE8 };
	const uint8_t *code = text->data + offset;
	uint32_t distance;
	memcpy(&distance, code + 1, 4);
	if (code[0] == CALL && text->first + offset + 5 + distance == function)
		return 5;
	return call_by_pointer(text, code, function);
}

/* Whether an instruction jumps there: the compiler's last act instead of CALL and RET. */
static bool jumps(const struct image *text, uint32_t offset, uint32_t function)
{
	enum { JMP = 0xE9, TWO_BYTES = 0x0F, JCC = 0x80 };
	const uint8_t *code = text->data + offset;
	unsigned opcode = code[0] == TWO_BYTES && (code[1] & 0xF0) == JCC ? 2 : code[0] == JMP;
	uint32_t distance;
	memcpy(&distance, code + opcode, 4);
	return opcode && text->first + offset + opcode + 4 + distance == function;
}

/* --- sites --- */

uint32_t function_of(uint32_t address)
{
	char *name = symbol_offset(address), *plus = name ? strrchr(name, '+') : NULL;
	uint32_t begin = plus ? address - (uint32_t)strtoul(plus + 1, NULL, 16) : 0;
	free(name);
	return begin;
}

/* Where calls of a function return to; if a function jumps to it, also where that one's do. */
static void find_sites(struct sites *s, uint32_t function, unsigned jumps_left)
{
	const struct image *text = text_of(function);
	for (uint32_t i = 0; i + 8 <= text->bytes && s->n < MOST_SITES; i++) {
		unsigned length = call_here(text, i, function);
		if (length)
			s->at[s->n++] = text->first + i + length;
		else if (jumps_left && jumps(text, i, function))
			find_sites(s, function_of(text->first + i), jumps_left - 1);
	}
}

/* Each site has its turn; each round begins with another one. */
static uint32_t next_site(struct sites *s)
{
	if (s->used == s->n)
		s->used = 0;
	if (s->used == 0)
		s->first = random_below(s->n);
	return s->at[(s->first + s->used++) % s->n];
}

/* Some CALL of a function that begins in the same text: it leads to the address that it has. */
static uint32_t any_site(uint32_t function)
{
	const struct image *text = text_of(function);
	for (;;) {
		uint32_t i = random_below(text->bytes - 8), distance;
		memcpy(&distance, text->data + i + 1, 4);
		uint32_t to = text->first + i + 5 + distance;
		if (text->data[i] == 0xE8 && to - text->first < text->bytes &&
		    function_of(to) == to)
			return text->first + i + 5;
	}
}

uint32_t call_site(uint32_t function)
{
	enum { KEPT = 32 };
	static struct { uint32_t function; struct sites sites; } kept[KEPT];
	unsigned k = 0;
	while (k < KEPT && kept[k].function && kept[k].function != function)
		k++;
	if (k == KEPT)
		k = random_below(KEPT);
	if (kept[k].function != function) {
		kept[k].function = function, kept[k].sites = (struct sites){ 0 };
		find_sites(&kept[k].sites, function, MOST_JUMPS);
	}
	return kept[k].sites.n ? next_site(&kept[k].sites) : any_site(function);
}
