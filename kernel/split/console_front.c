/* SPDX-License-Identifier: MIT */
/*
 * The console of a guest. Text goes out by hypercall: the VMM keeps the end of it, so that the last
 * words of a dead guest can be read. An event tells that something was typed.
 */
#include "split/console_front.h"
#include "dev/console.h"
#include "vo/virtual.h"

static void front_write(struct console *c, const char *text, uint32_t bytes)
{
	(void)c;
	while (bytes && console_may_write()) {
		int n = hypercall(HC_CONSOLE_OUT, (uint32_t)text, bytes, 0, 0);
		if (n <= 0)
			return;
		text += n;
		bytes -= (uint32_t)n;
	}
}

static struct console console = { .name = "front", .write = front_write };

void console_front_init(void) { console_add(&console); }
