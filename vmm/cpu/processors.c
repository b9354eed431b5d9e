/* SPDX-License-Identifier: MIT */
/* All processors, each with its stack; all domains; what the VMM knows of the machine. */
#include "vmm/cpu/cpu.h"

union cpu_stack vmm_cpus[VMM_MAX_CPUS] __attribute__((aligned(CPU_BYTES)));
_Static_assert(sizeof(struct cpu) <= CPU_BYTES - 4096, "leaves 4 KiB of stack");

struct vmm_machine machine;
struct domain domain0, *domains[MAX_DOMAINS + 1];
unsigned nr_guests;
