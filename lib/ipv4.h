/* SPDX-License-Identifier: MIT */
/* IPv4 addresses as people write them, for kernel and programs. */
#ifndef LIB_IPV4_H
#define LIB_IPV4_H

#include "lib/lib.h"

/* Read four numbers up to 255, with dots between them. Result: whether the text is that. */
static inline bool ipv4_parse(const char *s, uint32_t *address)
{
	*address = 0;
	for (unsigned i = 0; i < 4; i++) {
		const char *end;
		uint32_t byte = strtou(s, &end);
		if (end == s || end > s + 3 || byte > 0xFF || *end != (i < 3 ? '.' : '\0'))
			return false;
		*address = *address << 8 | byte;
		s = end + 1;
	}
	return true;
}

#endif
