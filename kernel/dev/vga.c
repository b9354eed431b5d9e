/* SPDX-License-Identifier: MIT */
/*
 * The VGA's text screen, 80 x 25. Its memory is slow to read, so a copy in RAM is scrolled,
 * and then written to the screen.
 */
#include "dev/console.h"
#include "mm/frame.h"
#include "vo/vo.h"

enum { COLUMNS = 80, ROWS = 25, CELLS = COLUMNS * ROWS, BUFFER = 0xB8000 };
enum { CRTC = 0x3D4, CURSOR_HIGH = 14, CURSOR_LOW = 15 };
#define BLANK 0x0720 /* a space, light grey on black */

static volatile uint16_t *screen;
static uint16_t copy[CELLS];
static unsigned at; /* the cursor's cell */

static void set(unsigned cell, uint16_t value) { screen[cell] = copy[cell] = value; }

static void move_cursor(void)
{
	VO(io, out8)(CRTC, CURSOR_HIGH);
	VO(io, out8)(CRTC + 1, (uint8_t)(at >> 8));
	VO(io, out8)(CRTC, CURSOR_LOW);
	VO(io, out8)(CRTC + 1, (uint8_t)at);
}

static void scroll(void)
{
	memmove(copy, copy + COLUMNS, (CELLS - COLUMNS) * sizeof(*copy));
	for (unsigned i = CELLS - COLUMNS; i < CELLS; i++)
		copy[i] = BLANK;
	memcpy((void *)screen, copy, sizeof(copy));
	at -= COLUMNS;
}

static void put(char c)
{
	if (c == '\n')
		at += COLUMNS - at % COLUMNS;
	else if (c == '\r')
		at -= at % COLUMNS;
	else if (c == '\b')
		at -= at > 0;
	else if (c == '\t')
		at = (at + 8) & ~7u;
	else if ((uint8_t)c >= 0xC0)
		set(at++, (BLANK & 0xFF00) | '?'); /* UTF-8: a letter that is not there */
	else if ((uint8_t)c >= ' ' && (uint8_t)c < 0x80)
		set(at++, (uint16_t)(BLANK & 0xFF00) | (uint8_t)c);
	if (at >= CELLS)
		scroll();
	move_cursor();
}

static void vga_write(struct console *c, const char *text, uint32_t bytes)
{
	(void)c;
	for (uint32_t i = 0; i < bytes && console_may_write(); i++)
		put(text[i]);
}

void vga_init(void)
{
	static struct console console = { .name = "screen", .write = vga_write };
	screen = map_machine(BUFFER, sizeof(copy), PTE_W | PTE_PCD);
	for (unsigned i = 0; i < CELLS; i++)
		set(i, BLANK);
	move_cursor();
	console_add(&console);
}
