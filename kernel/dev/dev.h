/* SPDX-License-Identifier: MIT */
/* Devices: block devices, consoles, the machine's topology. Drivers reach ports through the VO only. */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include "mm/frame.h"
#include "proc/lock.h"

#define SECTOR 512

struct blockdev {
	const char *name;
	uint32_t sectors;
	/* Move n sectors; buf is a kernel address. Process context, may sleep. 0, -EIO, -EINVAL beyond the end. */
	int (*read)(struct blockdev *d, uint32_t sector, uint32_t n, void *buf);
	int (*write)(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf);
	int (*flush)(struct blockdev *d); /* make writes durable; NULL if they are */
};

/* A RAM disk over a boot module at machine address [machine, machine + bytes): its frames keep their place in the
   machine but may have any pfns, so it works frame by frame. Context: boot. */
struct blockdev *ramdisk_init(uint32_t machine, uint32_t bytes);
/* The first ATA disk on the primary channel (ports 0x1F0, PIO, LBA28, polled), or NULL if there is none. Context: process. */
struct blockdev *ata_init(void);

/* COM1, 115200 8N1; output polled with a bound, input by interrupt 4 into tty_input. */
void serial_init(void);       /* early: output works */
void serial_putc(char c);
void serial_interrupt(void);
/* VGA text, 80 x 25, machine address 0xB8000: newline, carriage return, backspace, tab, scrolling, cursor. */
void vga_init(void);
void vga_putc(char c);
/* PS/2 keyboard, scan code set 1, US layout: shift, control, caps lock; arrows as ESC [ A..D. Interrupt 1. */
void keyboard_init(void);
void keyboard_interrupt(void);

/* Both consoles. Any context; used by printk and by tty. */
void console_putc(char c);

/* The terminal over both consoles: line editing (backspace, Ctrl-U, Ctrl-W), Ctrl-D end of input, Ctrl-C kills the
   foreground group; raw mode gives each key at once. */
void tty_init(void); /* unmasks lines 1 and 4 */
void tty_input(char c);  /* from interrupt handlers */
int tty_read(void *buf, uint32_t bytes, bool user);        /* bytes, 0 at Ctrl-D, -EINTR, -EFAULT */
int tty_write(const void *buf, uint32_t bytes, bool user); /* bytes, -EFAULT */
int tty_set_foreground(int pgid);
int tty_set_raw(bool raw);
int kmsg_show(char *buf, size_t size); /* /proc/kmsg: the kernel log's last part */

/* boot/topology.c: what the firmware's ACPI tables (MADT), else its MP table, say of the interrupt controllers and
   processors; else the PC's usual values. Context: boot, memory maps work. */
struct topology {
	unsigned nr_cpus;
	uint8_t apic_id[8];   /* [0] is the boot processor's */
	uint32_t lapic, ioapic; /* machine addresses */
	struct { uint8_t pin; bool low, level; } isa[16]; /* IOAPIC pin and trigger of each ISA line */
};
extern struct topology topology;
void topology_find(void);
/* The parts that read tables whose sums are right, for host tests. */
void topology_parse_madt(const uint8_t *madt);
void topology_parse_mp(const uint8_t *mp);

/* trap/irq.c: handlers of ISA lines. Called with interrupts off. */
void irq_install(unsigned line, void (*handler)(void)); /* and unmask it */
int irq_show(char *buf, size_t size);                   /* /proc/interrupts */

#endif
