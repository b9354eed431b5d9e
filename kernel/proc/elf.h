/* SPDX-License-Identifier: MIT */
/* Reading an ELF header that may lie (System V ABI, i386; TIS ELF 1.2). Pure logic, host-tested. */
#ifndef PROC_ELF_H
#define PROC_ELF_H

#include "log/log.h"

#define ELF_MAX_SEGMENTS 8

struct elf_segment { /* page-aligned part of the image: [start, start + bytes), the first file_bytes of it from the file */
	uint32_t start, bytes, offset, file_bytes;
	int prot;
};

struct elf_image {
	uint32_t entry;
	unsigned n;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/*
 * elf_parse - check the first header_bytes of a file of file_bytes and list what to load.
 * limit: first address behind what a program may use. Nothing outside the header is read; segments do not overlap.
 * Result: 0, or -ENOEXEC.
 */
int elf_parse(const void *header, uint32_t header_bytes, uint32_t file_bytes, uint32_t limit, struct elf_image *out);

#endif
