/* SPDX-License-Identifier: MIT */
/*
 * The VMM's one lock, and flushes of all TLBs. A CPU that wants the TLBs of other CPUs flushed
 * holds the lock and waits for these CPUs. So a CPU that waits for the lock must serve such
 * requests meanwhile: its interrupts are off, and the IPI cannot reach it.
 */
#include "vmm/cpu/cpu.h"

volatile uint32_t vmm_lock_word;
static volatile bool frozen; /* CPUs that serve a flush stay there */

void flush_local(void) /* SDM vol. 3, 4.10.4.1: a change of CR4.PGE drops global entries, too */
{
	uint32_t cr4;
	__asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_PGE)
		__asm__ volatile("movl %0, %%cr4; movl %1, %%cr4"
				 : : "r"(cr4 & ~(uint32_t)CR4_PGE), "r"(cr4) : "memory");
	else
		__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=&r"(cr4) : : "memory");
}

void flush_serve(struct cpu *c)
{
	do
		if (c->hazard & HAZARD_FLUSH) {
			flush_local();
			hazard_clear(c, HAZARD_FLUSH);
		}
	while (frozen);
}

void vmm_lock_wait(struct cpu *c)
{
	do
		while (vmm_lock_word) {
			flush_serve(c);
			__asm__ volatile("pause");
		}
	while (__atomic_exchange_n(&vmm_lock_word, 1, __ATOMIC_ACQUIRE));
}

/* Whether another CPU may hold entries of virtual mode in its TLB. */
static bool has_entries(const struct cpu *c, const struct cpu *other)
{
	return other != c && other->attached && !other->halted;
}

static void ask_for_flush(struct cpu *c)
{
	VMM_ASSERT_LOCKED();
	flush_local();
	c->current->shared->exits[EXIT_FLUSHED]++;
	for (unsigned i = 0; i < machine.nr_cpus; i++)
		if (has_entries(c, cpu_of(i))) {
			hazard_raise(cpu_of(i), HAZARD_FLUSH);
			apic_send(i, VEC_FLUSH);
		}
}

static bool all_flushed(const struct cpu *c)
{
	for (unsigned i = 0; i < machine.nr_cpus; i++)
		if (has_entries(c, cpu_of(i)) && cpu_of(i)->hazard & HAZARD_FLUSH)
			return false;
	return true;
}

void flush_everywhere(struct cpu *c)
{
	ask_for_flush(c);
	while (!all_flushed(c))
		__asm__ volatile("pause");
}

bool flush_is_answered(struct cpu *c)
{
	enum { LOOKS = 1 << 22 };
	unsigned looks = 0;
	ask_for_flush(c);
	while (!all_flushed(c) && ++looks < LOOKS)
		__asm__ volatile("pause");
	return looks < LOOKS;
}

void freeze_others(struct cpu *c, bool freeze)
{
	VMM_ASSERT_LOCKED();
	frozen = freeze;
	if (freeze)
		flush_everywhere(c);
}
