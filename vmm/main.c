/* SPDX-License-Identifier: MIT */
/* The kernel's calls while it is native: warm-up at boot, and the steps of attach. It still has the machine, and is trusted. */
#include "vmm.h"

#define LAPIC_PAGE 0x1FFF
#define IOAPIC_PAGE 0x1FFE
#define SHARED_PAGE 0x1FFD
#define WINDOWS 0x2000000u /* offset of the first CPU's windows */

int enter(uint32_t op, uint32_t cpu, uint32_t argument);

struct vmm_boot boot;

static void warm_up(const struct vmm_boot *from)
{
	boot = *from;
	pte_t *tables = (pte_t *)(VMM_BASE + boot.block_bytes - VMM_TABLES * PAGE_SIZE);
	const pte_t device = PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_PCD;
	tables[LAPIC_PAGE] = boot.lapic | device;
	tables[IOAPIC_PAGE] = boot.ioapic | device;
	tables[SHARED_PAGE] = boot.shared | PTE_P | PTE_W | PTE_A | PTE_D | PTE_G;
	for (unsigned i = 0; i < boot.nr_cpus; i++) {
		struct cpu *c = cpu_of(i);
		c->windows = tables + (WINDOWS >> PAGE_SHIFT) + i * 1024;
		c->window_base = (char *)(VMM_BASE + WINDOWS) + i * 1024 * PAGE_SIZE;
		c->shared = (struct vmm_shared *)(VMM_BASE + SHARED_PAGE * PAGE_SIZE) + i;
	}
	frames_warm_up(cpu_of(0));
	cpus_warm_up();
	traps_warm_up();
}

int enter(uint32_t op, uint32_t cpu, uint32_t argument)
{
	struct cpu *c = cpu_of(cpu);
	switch (op) {
	case VMM_WARM_UP: warm_up((const struct vmm_boot *)argument); return 0;
	case VMM_ACCOUNT: return frames_account(c, (const struct vmm_loaded *)argument);
	case VMM_FORGET: frames_forget(); return 0;
	case VMM_PROTECT: frames_protect(c, true); return 0;
	case VMM_UNPROTECT: frames_protect(c, false); return 0;
	case VMM_INSTALL: cpu_install(c, argument); return 0;
	default: return -ENOSYS;
	}
}
