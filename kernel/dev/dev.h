/* SPDX-License-Identifier: MIT */
/*
 * The machine's topology, and interrupt lines: what native drivers need. Drivers reach ports
 * through the VO only. What they serve: block.h, console.h, net/net.h.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include "mm/frame.h"

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
