/* SPDX-License-Identifier: MIT */
/*
 * Reading an ELF header that may lie (System V ABI, i386; TIS ELF 1.2). Pure logic,
 * tested on the host.
 */
#ifndef PROC_ELF_H
#define PROC_ELF_H

#include "log/log.h"

#define ELF_MAX_SEGMENTS 8

/*
 * Whole pages of the image, [start, start + bytes). The first file_bytes of them come
 * from the file, from offset on; zeros follow.
 */
struct elf_segment {
	uint32_t start, bytes, offset, file_bytes;
	int prot; /* PROT_ */
};

struct elf_image {
	uint32_t entry;
	unsigned n;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/*
 * elf_parse - check the first header_bytes of a file of file_bytes, and list what is to
 * be loaded. limit: the first address that a program may not use. Only the header is
 * read. The segments in *out do not overlap.
 * Result: 0, or -ENOEXEC. Context: any.
 */
int elf_parse(const void *header, uint32_t header_bytes, uint32_t file_bytes, uint32_t limit,
	      struct elf_image *out);

#endif
