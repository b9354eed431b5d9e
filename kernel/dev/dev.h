/* SPDX-License-Identifier: MIT */
/*
 * Devices: block devices, the consoles and the terminal over them, the machine's
 * topology, interrupt lines. Drivers reach ports through the VO only.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include "mm/frame.h"
#include "proc/lock.h"

#define SECTOR 512

struct blockdev {
	const char *name;
	uint32_t sectors;
	/*
	 * Move n sectors between the device and buf, a kernel address. Result: 0, -EIO;
	 * -EINVAL if the range ends after the last sector. Context: process, may sleep.
	 */
	int (*read)(struct blockdev *d, uint32_t sector, uint32_t n, void *buf);
	int (*write)(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf);
	/* Make all writes so far durable: 0, -EIO. NULL if each write is durable at once. */
	int (*flush)(struct blockdev *d);
};

/*
 * ramdisk_init - a RAM disk over the boot module at machine address [machine, machine +
 * bytes). The module's frames are neighbours in the machine but may have any pfns, so the
 * disk is read and written frame by frame. Result: the disk. Context: boot.
 */
struct blockdev *ramdisk_init(uint32_t machine, uint32_t bytes);
/*
 * ata_init - the first ATA disk of the primary channel (ports 0x1F0-0x1F7, PIO, LBA28,
 * polled). Result: the disk, or NULL if there is none. Context: process, once.
 */
struct blockdev *ata_init(void);

/* --- serial.c: COM1, 115200 baud, 8N1; output polled with a bound, input by interrupt 4 --- */
/* Make output work, and let input interrupt. Context: boot, the first device. */
void serial_init(void);
/*
 * Send a character; what comes in meanwhile is kept for serial_interrupt(). Context: console_lock
 * held, or panicking.
 */
void serial_putc(char c);
/*
 * Pass what came in to tty_input(), as long as there is room; keep the rest, and if that is much,
 * let the sender wait, if it obeys RTS. Interrupts off.
 */
void serial_interrupt(void);
/* There is room again: interrupt at once, to pass on what waits. Context: any. */
void serial_resume(void);

/* --- vga.c: text screen, 80 x 25, at machine address 0xB8000 --- */
/*
 * Map and clear the screen. Until then vga_putc() does nothing. Context: boot, map_machine()
 * works.
 */
void vga_init(void);
/*
 * Show a character and move the cursor. Newline, carriage return, backspace and tab are
 * obeyed; the screen scrolls. Context: console_lock held, or panicking.
 */
void vga_putc(char c);

/* --- keyboard.c: PS/2, scan code set 1, US layout; shift, control, caps lock; ESC sequences --- */
/* Throw away what was typed to the firmware. Context: boot. */
void keyboard_init(void);
/* Interrupt 1: pass the keys' characters to tty_input(). Interrupts off. */
void keyboard_interrupt(void);

/* --- tty.c: the terminal over serial line, screen and keyboard --- */
/*
 * console_write - show `bytes` characters on the serial line and on the screen, not mixed
 * with other texts. Takes console_lock unless a panic is under way. Context: any.
 */
void console_write(const char *text, uint32_t bytes);

/* Install the handlers of lines 1 (keyboard) and 4 (COM1). Context: boot, interrupts off. */
void tty_init(void);
/*
 * tty_input - a character came from a device. The line is edited (backspace, Ctrl-U,
 * Ctrl-W) and echoed; Ctrl-D is the end of input; Ctrl-C kills the foreground group. In
 * raw mode each character can be read at once. Context: interrupt handlers.
 */
void tty_input(char c);
/*
 * Whether a character of the serial line has a place. If not, serial_resume() is called when a
 * reader has made room. Context: interrupt handler of the serial line.
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
/* System call tty_foreground: 0, -EINVAL. Context: process. */
int tty_set_foreground(int pgid);
/* System call tty_raw: 0. Context: process. */
int tty_set_raw(bool raw);

/* --- boot/topology.c --- */
struct topology {
	unsigned nr_cpus;       /* found, at most 8 */
	uint8_t apic_id[8];     /* [0] is the boot processor's */
	uint32_t lapic, ioapic; /* machine addresses */
	struct {
		uint8_t pin;     /* of the IOAPIC */
		bool low, level; /* active low; level triggered */
	} isa[16]; /* by ISA line */
	uint16_t off_port, off_value; /* what turns the machine off by ACPI; port 0: nothing */
};
extern struct topology topology;
/*
 * topology_find - fill `topology` from the firmware's ACPI tables (MADT), else from its
 * MP table, else with the PC's usual values. Context: boot, map_machine() works.
 */
void topology_find(void);
/* Panic if the machine lacks what the kernel needs. Context: boot, after topology_find(). */
void topology_check(void);
/* Fill `topology` from one table, whose sum is right. Host tests call these, too. */
void topology_parse_madt(const uint8_t *madt);
void topology_parse_mp(const uint8_t *mp);

/* --- trap/irq.c --- */
/*
 * Let handler run, with interrupts off, at each interrupt of an ISA line; unmask the
 * line. Context: boot.
 */
void irq_install(unsigned line, void (*handler)(void));
/*
 * /proc/interrupts: a line for each vector that came: number, count of each CPU, name. As
 * snprintf().
 */
int irq_show(char *buf, size_t size);

#endif
