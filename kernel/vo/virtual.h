/* SPDX-License-Identifier: MIT */
/* Inside of the virtual VO: hypercalls (include/vmm_abi.h), also for the kernel's half of the switch. */
#ifndef VO_VIRTUAL_H
#define VO_VIRTUAL_H

#include "dev/dev.h"
#include "vmm_abi.h"
#include "vo/native.h"

/* *b goes in and comes out in ECX. Result: 0 or more, or a negative errno value. Ring 1 only. */
static inline int hypercall_result(uint32_t number, uint32_t a, uint32_t *b, uint32_t c, uint32_t d)
{
	int result;
	__asm__ volatile("int %2" : "=a"(result), "+c"(*b) : "i"(HYPERCALL_VECTOR), "a"(number), "b"(a), "d"(c), "S"(d) : "memory");
	return result;
}

static inline int hypercall(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return hypercall_result(number, a, &b, c, d);
}

void virtual_irq_take_events(void); /* HC_EVENTS (entry.S) */

#endif
