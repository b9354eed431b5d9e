/* SPDX-License-Identifier: MIT */
/*
 * Ports over the VMM's hypercalls. Pending and masked are two bits for each port in the shared
 * page, which the VMM changes, too: every change here is one atomic operation.
 */
#include "domain/ports.h"
#include "domain_abi.h"
#include "proc/task.h"
#include "vo/virtual.h"

extern struct vmm_shared vmm_shared[]; /* vo/virtual.c; it fills a page */

/* Guards the handlers, and is held while one runs: it comes before their modules' own locks. */
static struct spinlock lock;
static struct { void (*run)(void *data); void *data; } handlers[CONTROL_PORTS];
static unsigned words; /* of ports: after these no port has a handler */

static struct shared_rest *shared(void)
{
	return (struct shared_rest *)((char *)vmm_shared + SHARED_REST);
}

void port_notify(unsigned port) { hypercall(HC_PORT_SEND, port, 0, 0, 0); }

void port_again(unsigned port)
{
	__atomic_fetch_or(&shared()->port_pending[port / 32], 1u << port % 32, __ATOMIC_SEQ_CST);
	preempt_disable(); /* this CPU stays the one */
	VO(irq, send)(this_cpu(), VEC_PORT);
	preempt_enable();
}

static void set(unsigned port, void (*run)(void *), void *data)
{
	uint32_t flags = spin_lock_irq(&lock);
	handlers[port].run = run;
	handlers[port].data = data;
	words = MAX(words, port / 32 + 1);
	spin_unlock_irq(&lock, flags);
}

void port_bind(unsigned port, void (*run)(void *), void *data)
{
	set(port, run, data);
	hypercall(HC_PORT_UNMASK, port, 0, 0, 0);
}

void port_unbind(unsigned port)
{
	__atomic_fetch_or(&shared()->port_masked[port / 32], 1u << port % 32, __ATOMIC_SEQ_CST);
	set(port, NULL, NULL);
	hypercall(HC_PORT_CLOSE, port, 0, 0, 0);
}

void port_wake(void *sleepers)
{
	struct port_sleepers *s = sleepers;
	uint32_t flags = spin_lock_irq(&s->lock);
	wake_all(&s->queue);
	spin_unlock_irq(&s->lock, flags);
}

/*
 * A port's bit is cleared before its handler runs: what is sent from then on makes the bit, and an
 * event, anew.
 */
void ports_handle(void)
{
	struct shared_rest *s = shared();
	uint32_t flags = spin_lock_irq(&lock);
	for (unsigned w = 0; w < words; w++) {
		uint32_t ready = s->port_pending[w] & ~s->port_masked[w];
		if (ready)
			ready &= __atomic_fetch_and(&s->port_pending[w], ~ready, __ATOMIC_SEQ_CST);
		for (; ready; ready &= ready - 1) {
			unsigned port = w * 32 + (unsigned)__builtin_ctz(ready);
			if (handlers[port].run)
				handlers[port].run(handlers[port].data);
		}
	}
	spin_unlock_irq(&lock, flags);
}
