/* SPDX-License-Identifier: MIT */
/* Hypercalls, for the virtual VO and for the kernel's half of the mode switch. */
#ifndef VO_VIRTUAL_H
#define VO_VIRTUAL_H

#include "dev/dev.h"
#include "vmm_abi.h"
#include "vo/native.h"

/*
 * hypercall - call the VMM: number and arguments as vmm_abi.h says. Result: 0 or more, or a
 * negative errno value. Context: ring 1.
 */
static inline int hypercall(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	int result;
	__asm__ volatile("int %1"
			 : "=a"(result)
			 : "i"(HYPERCALL_VECTOR), "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
			 : "memory");
	return result;
}

/*
 * As hypercall(), for a number that takes two arguments or less. Inlined even without optimization:
 * an idle CPU must not be interrupted inside the VO, where a function of its own would lie.
 */
static inline __attribute__((always_inline)) int hypercall2(uint32_t number, uint32_t a, uint32_t b)
{
	int result;
	__asm__ volatile("int %1"
			 : "=a"(result) : "i"(HYPERCALL_VECTOR), "a"(number), "b"(a), "c"(b)
			 : "memory");
	return result;
}

/* Ask for the pending events: HC_EVENTS, as the VO's last instruction (irq.S). Virtual IF is 1. */
void virtual_irq_take_events(void);

#endif
