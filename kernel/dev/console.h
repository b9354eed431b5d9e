/* SPDX-License-Identifier: MIT */
/*
 * Consoles behind one interface, and the terminal over all that are in use. Native ones are the
 * serial line (serial.c) and screen and keyboard (vga.c, keyboard.c); a guest has the front end
 * split/console_front.c. They come and go while the kernel runs, and nothing rests on which ones
 * serve. What a console hears it gives to tty_input().
 */
#ifndef DEV_CONSOLE_H
#define DEV_CONSOLE_H

#include "log/log.h"

struct console {
	const char *name;
	/*
	 * Show text, in which a newline ends a line. Write only while console_may_write().
	 * Context: any, interrupts off, console_lock held; or panicking, without the lock.
	 */
	void (*write)(struct console *c, const char *text, uint32_t bytes);
	/*
	 * tty_has_room() said no, and now there is room: let an interrupt come that passes on
	 * what waits. NULL if nothing ever waits. Context: interrupts off, the terminal's lock
	 * held: do not call tty_input() here.
	 */
	void (*resume)(struct console *c);
	struct console *next; /* the terminal's (tty.c) */
};

/* --- tty.c: the terminal --- */
/*
 * console_add - show all further texts on c, too.
 * console_remove - c is not called any more after return; its driver stops its input itself.
 * Context: any.
 */
void console_add(struct console *c);
void console_remove(struct console *c);
/*
 * console_write - show `bytes` characters on all consoles, not mixed with other texts. Takes
 * console_lock unless a panic is under way. Context: any.
 */
void console_write(const char *text, uint32_t bytes);
/* A panic on another CPU ends a text, so that it does not mix with the panic's. For write(). */
bool console_may_write(void);

/*
 * tty_input - a character came from a console. The line is edited (backspace, Ctrl-U,
 * Ctrl-W) and echoed; Ctrl-D is the end of input; Ctrl-C kills the foreground group. In
 * raw mode each character can be read at once. Context: interrupt handlers.
 */
void tty_input(char c);
/*
 * Whether a character has a place. If not, each console's resume() is called when a reader has
 * made room. Context: interrupt handler of a console whose device can wait.
 */
bool tty_has_room(void);
/*
 * tty_read - wait for input, and give at most a line of it, or 128 bytes.
 * tty_write - show text.
 * user: whether buf is a user address; else it is a kernel address. Result: bytes done, 0 at
 * Ctrl-D (tty_read); -EINTR (tty_read), -EFAULT. Context: process, may sleep.
 */
int tty_read(void *buf, uint32_t bytes, bool user);
int tty_write(const void *buf, uint32_t bytes, bool user);
/* System call tty_foreground: 0, -EINVAL. pgid 0: no group. Context: process. */
int tty_set_foreground(int pgid);
/* System call tty_raw: 0. Context: process. */
int tty_set_raw(bool raw);

/* --- serial.c: COM1, 115200 baud, 8N1; output polled with a bound, input by interrupt 4 --- */
/* Make output work, and add the console. Context: boot, the first device. */
void serial_init(void);
/* Let input interrupt. Context: boot, after VO(irq, init), interrupts off. */
void serial_listen(void);

/* --- vga.c: text screen, 80 x 25, at machine address 0xB8000 --- */
/*
 * Map and clear the screen, and add the console. It obeys newline, carriage return, backspace and
 * tab, and scrolls. Context: boot, map_machine() works.
 */
void vga_init(void);

/* --- keyboard.c: PS/2, scan code set 1, US layout; shift, control, caps lock; ESC sequences --- */
/*
 * Throw away what was typed to the firmware, and let interrupt 1 pass the keys' characters to
 * tty_input(). Context: boot, after VO(irq, init), interrupts off.
 */
void keyboard_init(void);

#endif
