/* SPDX-License-Identifier: MIT */
/*
 * ELF headers. Every number is checked against the file's size and the address space
 * before it is used.
 */
#include "proc/elf.h"
#include "layout.h"

#define ELF_MAGIC 0x464C457F
enum { ELFCLASS32 = 1, ELFDATA2LSB = 1, ET_EXEC = 2, EM_386 = 3 };
enum { PT_LOAD = 1, PF_X = 1, PF_W = 2, PF_R = 4 };

struct elf_header {
	uint32_t magic;
	uint8_t class, data, ident[10];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_program_header {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

/* Whether [at, at + bytes) lies within [0, end). */
static bool within(uint32_t at, uint32_t bytes, uint32_t end)
{
	return at <= end && bytes <= end - at;
}

static int prot_of(const struct elf_program_header *p)
{
	return (p->flags & PF_R ? PROT_READ : 0) | (p->flags & PF_W ? PROT_WRITE : 0) |
	       (p->flags & PF_X ? PROT_EXEC : 0);
}

/*
 * Check a segment, widen it to whole pages, and add it to the image. Result: 0, -ENOEXEC.
 */
static int add_segment(const struct elf_program_header *p, uint32_t file_bytes, uint32_t limit,
		       struct elf_image *out)
{
	uint32_t shift = p->vaddr & ~PAGE_MASK;
	if (p->memsz == 0)
		return 0;
	if (out->n == ELF_MAX_SEGMENTS || p->filesz > p->memsz)
		return -ENOEXEC;
	if ((p->offset & ~PAGE_MASK) != shift || !within(p->offset, p->filesz, file_bytes))
		return -ENOEXEC;
	if (p->vaddr < USER_BASE || !within(p->vaddr, p->memsz, limit))
		return -ENOEXEC;
	struct elf_segment s = {
		.start = p->vaddr - shift,
		.bytes = ROUND_UP(shift + p->memsz, PAGE_SIZE),
		.offset = p->offset - shift,
		.file_bytes = p->filesz ? shift + p->filesz : 0,
		.prot = prot_of(p),
	};
	if (!within(s.start, s.bytes, limit))
		return -ENOEXEC;
	for (unsigned i = 0; i < out->n; i++) {
		const struct elf_segment *o = &out->segments[i];
		if (s.start < o->start + o->bytes && o->start < s.start + s.bytes)
			return -ENOEXEC;
	}
	out->segments[out->n++] = s;
	return 0;
}

/* Whether the entry lies in a segment that can be executed. */
static bool entry_ok(const struct elf_image *image)
{
	for (unsigned i = 0; i < image->n; i++) {
		const struct elf_segment *s = &image->segments[i];
		if ((s->prot & PROT_EXEC) && image->entry >= s->start &&
		    image->entry - s->start < s->bytes)
			return true;
	}
	return false;
}

int elf_parse(const void *header, uint32_t header_bytes, uint32_t file_bytes, uint32_t limit,
	      struct elf_image *out)
{
	const struct elf_header *h = header;
	const struct elf_program_header *p;
	header_bytes = MIN(header_bytes, file_bytes);
	if (header_bytes < sizeof(*h) || h->magic != ELF_MAGIC || h->class != ELFCLASS32 ||
	    h->data != ELFDATA2LSB || h->type != ET_EXEC || h->machine != EM_386)
		return -ENOEXEC;
	if (h->phentsize != sizeof(*p) || h->phoff % 4 ||
	    !within(h->phoff, h->phnum * (uint32_t)sizeof(*p), header_bytes))
		return -ENOEXEC;
	out->entry = h->entry;
	out->n = 0;
	p = (const void *)((const char *)header + h->phoff);
	for (unsigned i = 0; i < h->phnum; i++)
		if (p[i].type == PT_LOAD && add_segment(&p[i], file_bytes, limit, out))
			return -ENOEXEC;
	return entry_ok(out) ? 0 : -ENOEXEC;
}
