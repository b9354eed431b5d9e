/* SPDX-License-Identifier: MIT */
/* Inside of the native VO: the operations that native_irq.c adds to the table in native.c. */
#ifndef VO_NATIVE_H
#define VO_NATIVE_H

#include "vo/vo.h"

uint32_t native_irq_save(void);
void native_irq_restore(uint32_t flags); /* entry.S */
void native_irq_enable(void);
void native_irq_init(unsigned cpu);
void native_irq_mask(unsigned line, bool masked);
void native_irq_end(unsigned vector);
void native_irq_send(unsigned cpu, unsigned vector);
void native_double_fault(void); /* entry.S */
int native_cpu_start(unsigned apic_id, uint32_t trampoline);
void native_time_start_tick(unsigned hz);
uint32_t native_lapic_hz(void);                 /* rate of the local APIC's timer, once calibrated */
uint32_t native_irq_entry(unsigned line);       /* low word of an ISA line's IOAPIC entry, not masked */
uint64_t native_time_now(void);
uint8_t native_io_in8(uint16_t port);
void native_io_out8(uint16_t port, uint8_t value);

#endif
