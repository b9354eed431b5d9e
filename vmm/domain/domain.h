/* SPDX-License-Identifier: MIT */
/* The domain that the VMM slides beneath, and what the VMM prepares for it at boot. */
#ifndef VMM_DOMAIN_H
#define VMM_DOMAIN_H

#include "vmm/vmm.h"

/*
 * domain_warm_up - build and account all that attach needs: windows, frame table, descriptor
 * tables, gates. Result: 0; -EPERM if the kernel's tables break a rule, which is
 * printed. Context: the native kernel's boot, ring 0, interrupts off, one CPU.
 */
int domain_warm_up(const struct vmm_boot *boot);

#endif
