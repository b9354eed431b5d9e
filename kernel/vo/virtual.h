/* SPDX-License-Identifier: MIT */
/* Inside of the virtual VO: hypercalls (include/vmm_abi.h), also for the kernel's half of the switch. */
#ifndef VO_VIRTUAL_H
#define VO_VIRTUAL_H

#include "dev/dev.h"
#include "vmm_abi.h"
#include "vo/native.h"

/* Result: 0 or more, or a negative errno value. Ring 1 only. */
static inline int hypercall(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	int result;
	__asm__ volatile("int %1" : "=a"(result) : "i"(HYPERCALL_VECTOR), "a"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	return result;
}

void virtual_irq_take_events(void); /* HC_EVENTS (entry.S) */

#endif
