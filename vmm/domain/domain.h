/* SPDX-License-Identifier: MIT */
/* Domains: the one that the VMM slides beneath, and guests, from birth to death. */
#ifndef VMM_DOMAIN_H
#define VMM_DOMAIN_H

#include "vmm/event/event.h"

/* domain.c */

/*
 * domain_warm_up - build and account all that attach needs: windows, frame table, descriptor
 * tables, gates. Result: 0; -EPERM if the kernel's tables break a rule, which is
 * printed. Context: the native kernel's boot, ring 0, interrupts off, one CPU.
 */
int domain_warm_up(const struct vmm_boot *boot);
/* Fill an IDT, which is all zero, with gates for a domain's handlers. */
void copy_idt(uint64_t idt[256], const uint32_t handlers[256]);

/* guest.c: the operations of HC_DOMAIN; domain_abi.h has the contracts. All with the lock */

/* The guest with this number; NULL if there is none. */
struct domain *guest_of(uint32_t number);
int guest_open(struct cpu *c, const struct domain_op *op);
int guest_close(struct cpu *c, struct domain *d, const struct domain_op *op);
int guest_birth(struct cpu *c, struct domain *d, const struct domain_op *op);
int guest_run(struct domain *d, bool on);
int guest_weight(struct domain *d, uint32_t weight, uint32_t warp_us);
int guest_kill(struct cpu *c, struct domain *d);
void guest_info(const struct domain *d, struct domain_info *info);
/* HC_VCPU_START. Result: 0, -EINVAL, -EBUSY. */
int guest_start_vcpu(struct domain *d, uint32_t index, const struct regs *r);

/* console.c: results: bytes moved, or -EFAULT. All with the lock */

int guest_writes(struct domain *d, uint32_t from, uint32_t bytes);
int guest_reads(struct domain *d, uint32_t to, uint32_t bytes);
/* Domain 0's side. position: of the first byte; the next one's is stored there. */
int guest_output(const struct domain *d, uint32_t to, uint32_t bytes, uint32_t *position);
int guest_input(struct domain *d, uint32_t from, uint32_t bytes);

#endif
