/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses, for back traces. The kernel is linked twice: tools/ksyms makes a
 * table of all text symbols from the first link, sorted by address, and the second link
 * includes it.
 */
#include "log/log.h"

extern const uint32_t ksyms_count;
extern const struct ksym { uint32_t address; const char *name; } ksyms[];

const char *ksym_find(uint32_t address, uint32_t *offset)
{
	uint32_t low = 0, high = ksyms_count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (ksyms[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	bool is_end = low == ksyms_count - 1; /* the last entry marks the end of the text */
	if (low == high || address < ksyms[low].address || is_end) {
		*offset = 0;
		return "?";
	}
	*offset = address - ksyms[low].address;
	return ksyms[low].name;
}
