/* SPDX-License-Identifier: MIT */
/* Breakpoints and registers, by the debugger of either emulator: QEMU's stub, or Bochs's own. */
#include "emulators.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bochs's number of the breakpoint at an address; 0: there is none. */
static unsigned bochs_breakpoint(struct machine *m, uint32_t address)
{
	char *list = bochs_command(m, "blist");
	unsigned number = 0, n;
	unsigned long long at;
	for (const char *line = list; line; line = strchr(line + 1, '\n'))
		if (sscanf(line, " %u lbreakpoint keep y %llx", &n, &at) == 2 && at == address)
			number = n;
	free(list);
	return number;
}

void debug_break(struct machine *m, uint32_t address, bool set)
{
	unsigned number;
	if (!m->o.bochs)
		gdb_break(m, address, set);
	else if (set)
		free(bochs_command(m, "lb 0x%x", address));
	else if ((number = bochs_breakpoint(m, address)))
		free(bochs_command(m, "d %u", number));
}

void debug_select(struct machine *m, unsigned cpu)
{
	if (m->o.cpus < 2)
		return;
	if (m->o.bochs)
		free(bochs_command(m, "set $cpu = %u", cpu));
	else
		gdb_select(m, cpu);
}

void debug_set_register(struct machine *m, enum gdb_register r, uint32_t value)
{
	static const char *const names[] = {
		"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip",
	};
	if (m->o.bochs)
		free(bochs_command(m, "set %s = 0x%x", names[r], value));
	else
		gdb_set_register(m, r, value);
}

bool debug_run(struct machine *m, double seconds)
{
	return m->o.bochs ? bochs_run(m, seconds) : gdb_run(m, seconds);
}
