/* SPDX-License-Identifier: MIT */
/*
 * COM1 (16550A). Output is polled, so that it works in every context, a panic included.
 * Input comes by interrupt.
 */
#include "dev/dev.h"

enum { COM1 = 0x3F8, DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCRATCH = 7 };
enum { LSR_READY = 1, LSR_EMPTY = 0x20, LCR_DLAB = 0x80, LCR_8N1 = 3 };
#define POLLS 100000 /* then the character is sent anyway */

static bool present;

static uint8_t in(unsigned reg) { return VO(io, in8)((uint16_t)(COM1 + reg)); }
static void out(unsigned reg, uint8_t value) { VO(io, out8)((uint16_t)(COM1 + reg), value); }

void serial_init(void)
{
	out(SCRATCH, 0xA5);
	present = in(SCRATCH) == 0xA5;
	if (!present)
		return;
	out(IER, 0);
	out(LCR, LCR_DLAB);
	out(0, 1); /* divisor 1: 115200 baud */
	out(1, 0);
	out(LCR, LCR_8N1);
	out(FCR, 0x07); /* FIFOs on and empty, interrupt at the first character */
	out(MCR, 0x0B); /* DTR, RTS; OUT2 connects the interrupt line on a PC */
	out(IER, 1);    /* interrupt when a character has come */
}

void serial_putc(char c)
{
	if (!present)
		return;
	for (int i = 0; !(in(LSR) & LSR_EMPTY) && i < POLLS; i++)
		;
	out(DATA, (uint8_t)c);
}

void serial_interrupt(void)
{
	while (present && in(LSR) & LSR_READY && tty_has_room())
		tty_input((char)in(DATA));
}

void serial_listen(bool on) { out(IER, on); }
