/* SPDX-License-Identifier: MIT */
/* What the checks of several labs know of the kernel, and the random numbers of a run. */
#include "harness.h"

bool vo_is(struct guest *g, const char *name)
{
	uint8_t used[256], wanted[256];
	uint32_t bytes = symbol_bytes(name);
	CHECK(bytes > 0 && bytes <= sizeof(used), "%s has %u bytes", name, bytes);
	physical_read(g->m, symbol("vo") - KERNEL_BASE, used, bytes);
	physical_read(g->m, symbol(name) - KERNEL_BASE, wanted, bytes);
	return memcmp(used, wanted, bytes) == 0;
}

void want_virtual(struct guest *g)
{
	check_whole(g->m);
	CHECK(vo_is(g, "virtual_vo"), "in virtual mode the table in use is not virtual_vo");
}

void want_native(struct guest *g)
{
	check_native(g->m);
	CHECK(vo_is(g, "native_vo"), "in native mode the table in use is not native_vo");
}

const char *error_text(int error)
{
	static char text[2][40];
	static unsigned n;
	const char *name = error < 0 ? strerrorname_np(-error) : NULL;
	char *at = text[n++ % 2];
	snprintf(at, sizeof(text[0]), name ? "%d (-%s)" : "%d", error, name);
	return at;
}

uint32_t random_word(void)
{
	static uint32_t state;
	if (!state)
		state = judge_seed * 2654435761u | 1;
	state ^= state << 13, state ^= state >> 17, state ^= state << 5;
	return state;
}

uint32_t random_below(uint32_t n)
{
	return random_word() % n;
}
