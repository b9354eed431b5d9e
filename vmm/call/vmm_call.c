/* SPDX-License-Identifier: MIT */
/*
 * VMM calls: what the kernel asks in ring 0, while it is native: warm-up at boot, the steps of
 * attach, and what takes them back. The native kernel still has the whole machine, so the VMM
 * trusts it. No lock: at boot one CPU runs; at a switch all others wait in the rendezvous, and
 * VMM_INSTALL concerns this CPU only.
 */
#include "vmm/call/call.h"
#include "vmm/domain/domain.h"
#include "vmm/mem/frames.h"

int vmm_call_handle(uint32_t op, uint32_t cpu, uint32_t argument)
{
	struct cpu *c = cpu_of(cpu);
	switch (op) {
	case VMM_WARM_UP: return domain_warm_up((const struct vmm_boot *)argument);
	case VMM_ACCOUNT: return frames_account(c, (const struct vmm_loaded *)argument);
	case VMM_FORGET: frames_forget(&domain0); return 0;
	case VMM_PROTECT: frames_protect(c, true); return 0;
	case VMM_UNPROTECT: frames_protect(c, false); return 0;
	case VMM_INSTALL:
		cpu_take(c);
		if (!domain0.served) /* a detach is taken back, or nothing was accounted */
			c->current->directory = read_cr3() >> PAGE_SHIFT;
		cpu_install(c, argument);
		return 0;
	default: return -ENOSYS;
	}
}
