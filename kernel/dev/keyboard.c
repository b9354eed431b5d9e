/* SPDX-License-Identifier: MIT */
/*
 * PS/2 keyboard: scan codes of set 1, to which the controller translates, become characters
 * and escape sequences. The tables are indexed by scan code, US layout.
 */
#include "dev/console.h"
#include "dev/dev.h"
#include "vo/vo.h"

enum { DATA = 0x60, STATUS = 0x64, STATUS_FULL = 1, STATUS_BUSY = 2 };
/* A command to the controller, and its argument: interrupts, translation, no mouse, test passed. */
enum { SET_MODE = 0x60, MODE = 0x65 };
enum { EXTENDED = 0xE0, RELEASE = 0x80 };
enum { LEFT_SHIFT = 0x2A, RIGHT_SHIFT = 0x36, CONTROL = 0x1D, CAPS_LOCK = 0x3A };

static const char plain[0x40] =
	"\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[0x40] =
	"\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static const struct { uint8_t code; char sequence[5]; } extended[] = {
	{ 0x48, "\033[A" }, { 0x50, "\033[B" }, { 0x4D, "\033[C" }, { 0x4B, "\033[D" },
	{ 0x47, "\033[H" }, { 0x4F, "\033[F" }, { 0x53, "\033[3~" }, { 0x1C, "\n" }, { 0x35, "/" },
};
/* Only the interrupt handler uses these. Its line interrupts one CPU, so they need no lock. */
static bool shift, control, caps; /* held, held, switched on */
static bool prefix;               /* the last byte was EXTENDED */

static void key(uint8_t code)
{
	if (code >= sizeof(plain))
		return;
	char c = (shift ? shifted : plain)[code];
	bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
	if (control && letter)
		c &= 0x1F;
	else if (caps && letter)
		c ^= 0x20;
	if (c)
		tty_input(c);
}

static void extended_key(uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_SIZE(extended); i++)
		if (extended[i].code == code)
			for (const char *s = extended[i].sequence; *s; s++)
				tty_input(*s);
}

static void scan_code(uint8_t code)
{
	bool down = !(code & RELEASE), was_extended = prefix;
	prefix = code == EXTENDED;
	if (prefix)
		return;
	code &= (uint8_t)~RELEASE;
	if (code == CONTROL)
		control = down;
	else if (!was_extended && (code == LEFT_SHIFT || code == RIGHT_SHIFT))
		shift = down;
	else if (down && code == CAPS_LOCK)
		caps = !caps;
	else if (down && was_extended)
		extended_key(code);
	else if (down)
		key(code);
}

static void interrupt(void)
{
	for (int i = 0; i < 16 && VO(io, in8)(STATUS) & STATUS_FULL; i++)
		scan_code(VO(io, in8)(DATA));
}

static void send(uint16_t port, uint8_t byte)
{
	for (int i = 0; i < 1000 && VO(io, in8)(STATUS) & STATUS_BUSY; i++)
		;
	VO(io, out8)(port, byte);
}

void keyboard_init(void)
{
	send(STATUS, SET_MODE); /* not every firmware has */
	send(DATA, MODE);
	for (int i = 0; i < 16 && VO(io, in8)(STATUS) & STATUS_FULL; i++)
		VO(io, in8)(DATA); /* what was typed to the firmware */
	irq_install(1, interrupt);
}
