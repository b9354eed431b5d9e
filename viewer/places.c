/* SPDX-License-Identifier: MIT */
/* The functions at which a recording stops, and how the machine is stepped. */
#include "judge.h"
#include "viewer.h"

enum { MAX_PLACES = 64, SSTEP_ENABLE = 1, SSTEP_NOTIMER = 4 };

static struct place places[MAX_PLACES];
static unsigned nr_places;

void place_add(uint32_t address, const char *name, int phase)
{
	if (nr_places < MAX_PLACES)
		places[nr_places++] = (struct place){ address, name, phase };
}

/* GDB finds also the functions that the compiler has inlined: they may begin at several places. */
void places_add(const char *elf, const struct stop *stops)
{
	char command[1000] = "", text[16000];
	size_t at = 0;
	for (const struct stop *s = stops; s->name; s++)
		at += (size_t)snprintf(command + at, sizeof(command) - at, " -ex 'break %s'",
				       s->name);
	if (shell(text, sizeof(text), 60, "gdb -nx -batch%s -ex 'info breakpoints' %s 2>&1",
		  command, elf) != 0)
		give_up(BROKEN, "gdb does not find the phases in %s:\n%s", elf, text);
	for (const char *line = text; (line = strstr(line, "0x")) != NULL; line += 2) {
		char name[100];
		uint32_t address;
		if (sscanf(line, "%x in %99s at", &address, name) != 2)
			continue;
		for (const struct stop *s = stops; s->name; s++)
			if (strcmp(name, s->name) == 0)
				place_add(address, s->name, s->phase);
	}
}

const struct place *place_at(uint32_t address)
{
	for (const struct place *p = places; p < places + nr_places; p++)
		if (p->address == address)
			return p;
	return NULL;
}

/*
 * At each stop QEMU's virtual clock jumps to the next timer: every step would cause a tick. The
 * first stop does cause one.
 */
void steps_without_timers(struct machine *m)
{
	gdb_command(m, 10, "Qqemu.sstep=%d", SSTEP_ENABLE | SSTEP_NOTIMER);
}
