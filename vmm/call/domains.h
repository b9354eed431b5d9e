/* SPDX-License-Identifier: MIT */
/* Hypercalls that only domains need: vmm/call/domains.c. Not for entry.S. */
#ifndef VMM_DOMAINS_H
#define VMM_DOMAINS_H

#include "vmm/call/call.h"

int hc_domain(struct cpu *c, struct regs *r);
int hc_port_send(struct cpu *c, struct regs *r);
int hc_port_unmask(struct cpu *c, struct regs *r);
int hc_port_close(struct cpu *c, struct regs *r);
int hc_console_out(struct cpu *c, struct regs *r);
int hc_console_in(struct cpu *c, struct regs *r);
int hc_timer(struct cpu *c, struct regs *r);
int hc_yield(struct cpu *c, struct regs *r);
int hc_vcpu_start(struct cpu *c, struct regs *r);
/* HC_SHUTDOWN and HC_HALT of a guest. */
int guest_shutdown(struct cpu *c, uint32_t status);
int guest_halt(struct cpu *c);

#endif
