/* SPDX-License-Identifier: MIT */
/* Ports, each paired with one of another domain's. All with the lock. */
#ifndef VMM_PORT_H
#define VMM_PORT_H

#include "vmm/event/event.h"

/* Results: a port of d's, paired with port n of the other one; -EINVAL, -EBUSY, -ENOSPC. */
int port_pair(struct domain *d, struct domain *other, uint32_t n);
/* Tell the peer of a port of d's: its port is pending. Result: 0, -EINVAL. */
int port_send(struct domain *d, uint32_t n);
/* Make a port of d's pending. */
void port_raise(struct domain *d, uint32_t n);
/* Let a port interrupt again, at once if it is pending. Result: 0, -EINVAL. */
int port_unmask(struct domain *d, uint32_t n);
/* Close a port; its peer gets a last event. Result: 0, -EINVAL. */
int port_close(struct domain *d, uint32_t n);

#endif
