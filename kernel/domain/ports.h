/* SPDX-License-Identifier: MIT */
/*
 * Ports: this domain's ends of channels to other domains. A port that its peer has sent to is
 * pending; it interrupts unless it is masked. Ports exist in virtual mode only, and no mode switch
 * happens while they do.
 */
#ifndef DOMAIN_PORTS_H
#define DOMAIN_PORTS_H

#include "proc/lock.h"

/*
 * port_bind - let handler(data) run, with interrupts off, after the peer has sent: once for all
 * that it sent before the handler's first instruction. A new port may be pending at once.
 * port_unbind - mask and close the port; its handler does not run any more, and never will.
 * Context: process.
 */
void port_bind(unsigned port, void (*handler)(void *data), void *data);
void port_unbind(unsigned port);
/* Tasks that wait for a port. port_wake - a handler that wakes them; data: a port_sleepers. */
struct port_sleepers { struct spinlock lock; struct wait_queue queue; };
void port_wake(void *sleepers);
/* Notify the peer. Context: any. */
void port_notify(unsigned port);
/* Let the port's handler run soon, as if the peer had sent. Context: any. */
void port_again(unsigned port);
/* VEC_PORT: run the handlers of all ports that are pending and not masked. Interrupts off. */
void ports_handle(void);

#endif
