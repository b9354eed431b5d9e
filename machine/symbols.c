/* SPDX-License-Identifier: MIT */
/*
 * Symbols and contents of the ELF files of kernel, VMM and attack programs. So verdicts use no
 * address that the guest prints.
 */
#include "machine.h"
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

static Elf *vmm(void)
{
	static Elf *elf;
	return elf ? elf : (elf = open_elf(vmm_file));
}

static Elf *attacks(void)
{
	static Elf *elf;
	char path[300];
	snprintf(path, sizeof(path), "%s/attacks", build_dir);
	return elf ? elf : (elf = open_elf(path));
}

/* Find the symbols of a name. Result: their number; *result: the last of them. */
static unsigned find(Elf *elf, const char *name, GElf_Sym *result)
{
	unsigned found = 0;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
		GElf_Shdr header;
		gelf_getshdr(s, &header);
		if (header.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *data = elf_getdata(s, NULL);
		for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
			GElf_Sym symbol;
			gelf_getsym(data, (int)i, &symbol);
			const char *its_name = elf_strptr(elf, header.sh_link, symbol.st_name);
			if (symbol.st_shndx == SHN_UNDEF || strcmp(its_name, name) != 0)
				continue;
			*result = symbol;
			found++;
		}
	}
	return found;
}

/*
 * The only symbol of a name. If a student's file defines the name a second time, neither can be
 * trusted. where: the ELF file, for the reason.
 */
static GElf_Sym only(Elf *elf, const char *where, const char *name)
{
	GElf_Sym s;
	unsigned n = find(elf, name, &s);
	if (n != 1)
		give_up(FAILED, n ? "%s has more than one symbol %s: rename yours" :
			"%s has no symbol %s", where, name);
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
	shell(text, sizeof(text), 10, "addr2line -i -f -e %s %#x", file, address);
	FILE *f = open_memstream(&places, &size);
	if (*text == '?' || !strchr(text, '\n'))
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

char *symbol_offset(uint32_t address)
{
	Elf *elf = address >= VMM_BASE ? vmm() : kernel();
	char *result = NULL;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
		GElf_Shdr header;
		gelf_getshdr(s, &header);
		if (header.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *data = elf_getdata(s, NULL);
		for (size_t i = 0; i < header.sh_size / header.sh_entsize && !result; i++) {
			GElf_Sym f;
			gelf_getsym(data, (int)i, &f);
			if (GELF_ST_TYPE(f.st_info) != STT_FUNC || address < f.st_value ||
			    address >= f.st_value + f.st_size)
				continue;
			if (asprintf(&result, "%s+%#x", elf_strptr(elf, header.sh_link, f.st_name),
				     address - (uint32_t)f.st_value) < 0)
				give_up(BROKEN, "no memory");
		}
	}
	return result;
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

uint32_t symbol_file_end(void)
{
	size_t n = 0;
	uint32_t end = 0;
	elf_getphdrnum(kernel(), &n);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;
		gelf_getphdr(kernel(), (int)i, &p);
		if (p.p_type == PT_LOAD && p.p_paddr + p.p_memsz > end)
			end = (uint32_t)(p.p_paddr + p.p_memsz);
	}
	return end;
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
