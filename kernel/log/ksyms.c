/* SPDX-License-Identifier: MIT */
/* Back traces with names: the second link adds a table of all text symbols, sorted by address (tools/ksyms). */
#include "proc/task.h"

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
	if (low == high || address < ksyms[low].address || low == ksyms_count - 1) { /* the last one marks the end */
		*offset = 0;
		return "?";
	}
	*offset = address - ksyms[low].address;
	return ksyms[low].name;
}

/* Frames lie on the current stack, each above the one before: anything else ends the walk. */
void backtrace(uint32_t ebp)
{
	uint32_t low = (uint32_t)current(), high = low + TASK_STACK_BYTES;
	while (ebp >= low && ebp <= high - 8 && ebp % 4 == 0) {
		const uint32_t *frame = (const uint32_t *)ebp;
		uint32_t offset;
		const char *name = ksym_find(frame[1], &offset);
		printk("  %08x %s+%#x\n", frame[1], name, offset);
		if (frame[0] <= ebp)
			break;
		ebp = frame[0];
	}
}
