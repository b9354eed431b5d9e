/* SPDX-License-Identifier: MIT */
/* Inside of the native VO: what vo.h does not declare. */
#ifndef VO_NATIVE_H
#define VO_NATIVE_H

#include "vo/vo.h"

/*
 * native_double_fault - report a double fault and panic. Called by entry.S on the double
 * fault's stack.
 */
void native_double_fault(void);
/* Rate of the local APIC's timer in Hz; 0 until native_time_start_tick() ran first. Any context. */
uint32_t native_lapic_hz(void);
/* ns = ticks of the time-stamp counter * this / 2^24. Like native_lapic_hz(). */
uint32_t native_ns_multiplier(void);
/* Set the clock of both modes: time-stamp counter at time 0, and ns_multiplier. Context: boot. */
void native_time_set(uint64_t tsc, uint32_t multiplier);
/* Low word of an ISA line's IOAPIC entry, not masked (82093AA, 3.2.4). Any context. */
uint32_t native_irq_entry(unsigned line);

#endif
