/* SPDX-License-Identifier: MIT */
/*
 * Symbols and contents of the ELF files of kernel, VMM and attack programs. So verdicts use no
 * address that the guest prints.
 */
#include "judge.h"
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Elf *open_elf(const char *file)
{
	Elf *elf = NULL;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && elf_version(EV_CURRENT) != EV_NONE)
		elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		give_up(BROKEN, "%s: not there, or no ELF file; run make first", file);
	return elf;
}

static Elf *kernel(void)
{
	static Elf *elf;
	static const char *file; /* a test may boot another kernel later */
	if (file != kernel_file)
		elf = open_elf(file = kernel_file);
	return elf;
}

/* A test may run several builds of the VMM, one after the other. */
static Elf *vmm(void)
{
	static Elf *elf;
	static const char *file; /* as above */
	if (file != vmm_file)
		elf = open_elf(file = vmm_file);
	return elf;
}

static Elf *attacks(void)
{
	static Elf *elf;
	char path[300];
	snprintf(path, sizeof(path), "%s/attacks", build_dir);
	return elf ? elf : (elf = open_elf(path));
}

/* Whether a source's name stands in judge_files, which has a path in each line. */
static bool of_student(const char *source)
{
	const char *at = judge_files;
	size_t n = strlen(source);
	while (n && at && (at = strstr(at, source))) {
		if ((at == judge_files || at[-1] == '/' || at[-1] == '\n') &&
		    (at[n] == '\n' || at[n] == '\0'))
			return true;
		at += n;
	}
	return false;
}

/* A walk over the symbols of an ELF file. It begins with { elf }. */
struct walk_symbols { Elf *elf; Elf_Scn *section; GElf_Shdr header; Elf_Data *data; size_t next; };

/* Result: the name of the next symbol; NULL after the last. */
static const char *next_symbol(struct walk_symbols *w, GElf_Sym *symbol)
{
	while (!w->data || w->next >= w->header.sh_size / w->header.sh_entsize) {
		w->section = elf_nextscn(w->elf, w->section);
		if (!w->section)
			return NULL;
		gelf_getshdr(w->section, &w->header);
		bool table = w->header.sh_type == SHT_SYMTAB;
		w->data = table ? elf_getdata(w->section, NULL) : NULL;
		w->next = 0;
	}
	gelf_getsym(w->data, (int)w->next++, symbol);
	return elf_strptr(w->elf, w->header.sh_link, symbol->st_name);
}

/*
 * Find the symbols of a name. A static one of a student's file counts only if there is no other: a
 * right solution may have a helper named like a given function. Result: their number; *result: the
 * last of them.
 */
static unsigned find(Elf *elf, const char *name, GElf_Sym *result)
{
	unsigned found = 0, helpers = 0;
	struct walk_symbols w = { .elf = elf };
	const char *its_name, *source = ""; /* static symbols stand after their file's */
	GElf_Sym symbol, helper;
	while ((its_name = next_symbol(&w, &symbol))) {
		if (GELF_ST_TYPE(symbol.st_info) == STT_FILE)
			source = its_name;
		if (symbol.st_shndx == SHN_UNDEF || strcmp(its_name, name) != 0)
			continue;
		if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL && of_student(source))
			helper = symbol, helpers++;
		else
			*result = symbol, found++;
	}
	if (!found && helpers)
		*result = helper;
	return found ? found : helpers;
}

/*
 * The only symbol of a name. If a student's file defines the name a second time, neither can be
 * trusted. where: the ELF file, for the reason.
 */
static GElf_Sym only(Elf *elf, const char *where, const char *name)
{
	enum { KEPT = 64 }; /* checks ask for the same few names all the time */
	static struct { Elf *elf; char name[48]; GElf_Sym s; } kept[KEPT];
	static unsigned next;
	GElf_Sym s;
	for (unsigned i = 0; i < KEPT; i++)
		if (kept[i].elf == elf && strcmp(kept[i].name, name) == 0)
			return kept[i].s;
	unsigned n = find(elf, name, &s);
	if (n != 1)
		give_up(FAILED, n ? "%s has more than one symbol %s: rename yours" :
			"%s has no symbol %s", where, name);
	if (strlen(name) < sizeof(kept[0].name)) {
		kept[next].elf = elf, kept[next].s = s;
		strcpy(kept[next].name, name);
		next = (next + 1) % KEPT;
	}
	return s;
}

bool symbol_exists(const char *name)
{
	GElf_Sym s;
	return find(kernel(), name, &s);
}

uint32_t symbol(const char *name)
{
	return (uint32_t)only(kernel(), "the kernel", name).st_value;
}

uint32_t symbol_bytes(const char *name)
{
	return (uint32_t)only(kernel(), "the kernel", name).st_size;
}

uint32_t kernel_member(const char *type, const char *name)
{
	char text[400];
	unsigned at;
	if (shell(text, sizeof(text), 60, "gdb -nx -batch -ex 'print (int)&((struct %s *)0)->%s' "
		  "%s 2>&1", type, name, kernel_file) || sscanf(text, "$1 = %u", &at) != 1)
		give_up(BROKEN, "the kernel's debug data has no %s.%s: %s", type, name, text);
	return at;
}

bool vmm_symbol_exists(const char *name)
{
	GElf_Sym s;
	return find(vmm(), name, &s);
}

uint32_t vmm_symbol(const char *name)
{
	return (uint32_t)only(vmm(), "the VMM", name).st_value;
}

const char *symbol_below_here(const char *line)
{
	for (const char *slash = line; (slash = strchr(slash, '/')); slash++) {
		char *file = strndup(slash + 1, strcspn(slash + 1, ":"));
		bool here = access(file, F_OK) == 0;
		free(file);
		if (here)
			return slash + 1;
	}
	return line;
}

char *symbol_where(uint32_t address)
{
	char text[2000] = "", *places;
	size_t size;
	const char *file = address >= VMM_BASE ? vmm_file : kernel_file;
	shell(text, sizeof(text), 10, "addr2line -i -f -e '%s' %#x", file, address);
	FILE *f = open_memstream(&places, &size);
	if (address - judge_planted.begin < judge_planted.end - judge_planted.begin)
		fprintf(f, "%#x, which is code that the check has planted", address);
	else if (*text == '?' || !strchr(text, '\n'))
		fprintf(f, "%#x, which is code of neither kernel nor VMM (a jump to nowhere, or "
			"what a check has planted)", address);
	else
		for (char *rest = text, *name, *line; (name = strsep(&rest, "\n")) && rest;) {
			line = strsep(&rest, "\n");
			line[strcspn(line, " ")] = '\0'; /* without "(discriminator n)" */
			fprintf(f, "%s%s (%s)", ftell(f) > 0 ? "\n" : "", name,
				symbol_below_here(line));
		}
	fclose(f);
	return places;
}

/* Whether a symbol names code of the section that holds an address, at or before it. */
static bool names_code(Elf *elf, const GElf_Sym *symbol, uint32_t address)
{
	Elf_Scn *section = elf_getscn(elf, symbol->st_shndx);
	GElf_Shdr header;
	unsigned type = GELF_ST_TYPE(symbol->st_info);
	return (type == STT_FUNC || type == STT_NOTYPE) && symbol->st_value <= address && section &&
	       gelf_getshdr(section, &header) && header.sh_flags & SHF_EXECINSTR &&
	       address >= header.sh_addr && address < header.sh_addr + header.sh_size;
}

/* Functions in C have a type and a size; in assembler only a label. */
char *symbol_offset(uint32_t address)
{
	struct walk_symbols w = { .elf = address >= VMM_BASE ? vmm() : kernel() };
	const char *name = NULL, *its_name;
	uint32_t value = 0;
	char *result;
	GElf_Sym f;
	while ((its_name = next_symbol(&w, &f)))
		if (names_code(w.elf, &f, address) && f.st_value >= value)
			value = (uint32_t)f.st_value, name = its_name;
	if (name && asprintf(&result, "%s+%#x", name, address - value) < 0)
		give_up(BROKEN, "no memory");
	return name ? result : NULL;
}

uint32_t attack_symbol(const char *name)
{
	GElf_Sym s;
	if (!find(attacks(), name, &s))
		give_up(BROKEN, "there is no attack %s", name);
	return (uint32_t)s.st_value;
}

/* The word that an ELF file loads at an address. Result: whether it loads one there. */
static bool file_word(Elf *elf, uint32_t address, uint32_t *word)
{
	size_t n = 0;
	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;
		gelf_getphdr(elf, (int)i, &p);
		if (address < p.p_vaddr || address + 4 > p.p_vaddr + p.p_filesz)
			continue;
		const char *file = elf_rawfile(elf, NULL);
		memcpy(word, file + p.p_offset + (address - p.p_vaddr), 4);
		return true;
	}
	return false;
}

/* The next program header from *i on that is loaded. */
static bool next_loaded(size_t *i, GElf_Phdr *p)
{
	size_t n = 0;
	elf_getphdrnum(kernel(), &n);
	while (*i < n)
		if (gelf_getphdr(kernel(), (int)(*i)++, p) && p->p_type == PT_LOAD)
			return true;
	return false;
}

uint8_t *symbol_file_image(uint32_t *begin, uint32_t *end, uint32_t *entry)
{
	GElf_Ehdr header;
	GElf_Phdr p;
	const char *file = elf_rawfile(kernel(), NULL);
	gelf_getehdr(kernel(), &header);
	*begin = 0xFFFFFFFF, *end = 0, *entry = (uint32_t)header.e_entry;
	for (size_t i = 0; next_loaded(&i, &p);) {
		uint32_t after = (uint32_t)(p.p_paddr + p.p_memsz);
		*begin = p.p_paddr < *begin ? (uint32_t)p.p_paddr : *begin;
		*end = after > *end ? after : *end;
		if (header.e_entry >= p.p_vaddr && header.e_entry < p.p_vaddr + p.p_memsz)
			*entry = (uint32_t)(header.e_entry - p.p_vaddr + p.p_paddr);
	}
	uint8_t *image = *end > *begin ? calloc(1, *end - *begin) : NULL;
	for (size_t i = 0; image && next_loaded(&i, &p);)
		memcpy(image + (p.p_paddr - *begin), file + p.p_offset, p.p_filesz);
	if (!image)
		give_up(FAILED, "the kernel's file has nothing to load");
	return image;
}

uint32_t attack_word(uint32_t address)
{
	uint32_t word;
	if (!file_word(attacks(), address, &word))
		give_up(BROKEN, "the attacks' file holds nothing at %#x", address);
	return word;
}

uint32_t symbol_file_word(uint32_t address)
{
	uint32_t word;
	if (!file_word(kernel(), address, &word))
		give_up(FAILED, "the kernel's file holds nothing at %#x", address);
	return word;
}
