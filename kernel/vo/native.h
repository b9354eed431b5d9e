/* SPDX-License-Identifier: MIT */
/* Inside of the native VO, what vo.h does not declare. */
#ifndef VO_NATIVE_H
#define VO_NATIVE_H

#include "vo/vo.h"

void native_double_fault(void); /* entry.S */
uint32_t native_lapic_hz(void);                 /* rate of the local APIC's timer, once calibrated */
uint32_t native_irq_entry(unsigned line);       /* low word of an ISA line's IOAPIC entry, not masked */

#endif
