/* SPDX-License-Identifier: MIT */
/*
 * What entry.S calls in C. Each function runs on this CPU's stack in the VMM, interrupts off,
 * without the lock; r points to the registers that entry.S saved there.
 */
#ifndef VMM_CALL_H
#define VMM_CALL_H

#include "vmm/vmm.h"

/* exits.c */

/* exit_handle - an exception or an interrupt arrived: emulate an instruction, or set hazards. */
void exit_handle(struct regs *r);
/*
 * hazard_handle - do what the hazard word asks for, on the way out to ring 1 or 3. A detach
 * does not return from here.
 */
void hazard_handle(struct regs *r);
/* Report a double fault. Runs on the double fault's stack, with vmm_directory loaded. */
void double_fault_handle(void) __attribute__((noreturn));

/* hypercall.c */

/* hypercall_handle - the kernel in ring 1 calls; vmm_abi.h has the contracts. */
void hypercall_handle(struct regs *r);

/* ports.c */

/*
 * hc_io - HC_IO: port input and output for the devices that the kernel drives. Result: the
 * value (VMM_IO_IN8) or 0; -EINVAL, -EPERM; -EFAULT after a part of a block. Not for entry.S.
 */
int hc_io(struct cpu *c, struct regs *r);

/* vmm_call.c */

/*
 * vmm_call_handle - the native kernel calls in ring 0; vmm_abi.h has the operations. Result: 0 or a
 * negative errno value; VMM_ACCOUNT: the number of frames with a type.
 */
int vmm_call_handle(uint32_t op, uint32_t cpu, uint32_t argument);

/* entry.S */

/*
 * ring0_return - return from a hypercall of ring 1 into the kernel's ring 0, interrupts off.
 * The kernel's own tables are loaded.
 */
void ring0_return(const struct regs *r) __attribute__((noreturn));

#endif
