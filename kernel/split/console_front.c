/* SPDX-License-Identifier: MIT */
/*
 * The console of a guest. Text goes out by hypercall: the VMM keeps the end of it, so that the last
 * words of a dead guest can be read. An event tells that something was typed.
 */
#include "split/console_front.h"
#include "dev/console.h"
#include "domain/ports.h"
#include "domain_abi.h"
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

static void front_resume(struct console *c) { (void)c, port_again(CONSOLE_PORT); }

static struct console console = { .name = "front", .write = front_write, .resume = front_resume };

void console_front_init(void) { console_add(&console); }

static void hear(void *data)
{
	uint32_t c; /* the VMM copies whole words */
	(void)data;
	while (tty_has_room() && hypercall(HC_CONSOLE_IN, (uint32_t)&c, 1, 0, 0) > 0)
		tty_input((char)c);
}

void console_front_listen(void) { port_bind(CONSOLE_PORT, hear, NULL); }
