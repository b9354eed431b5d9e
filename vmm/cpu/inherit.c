/* SPDX-License-Identifier: MIT */
/*
 * State that a domain inherits from the native kernel and that could harm the VMM: attach sets
 * it, detach gives the kernel's back. docs/vmm.md lists all such state, and why the rest is safe.
 */
#include "vmm/cpu/cpu.h"

enum { LAPIC_TPR = 0x80 / 4, LAPIC_LINT0 = 0x350 / 4 };
#define LVT_MASKED 0x10000
#define TPR_EXCEPTIONS 0x10 /* no interrupt has the vector of an exception (SDM vol. 3, 11.8.3) */
#define CR4_KEPT 0xFDC      /* TSD to UMIP; not VME, PVI, PAE, CET */
#define MSR_EFER 0xC0000080
#define EFER_SCE 1u
#define CPUID_SYSCALL (1u << 11)

/* PCI: class and subclass are the upper half of a word. All bits are 1 where no device is. */
enum { PCI_ADDRESS = 0xCF8, PCI_DATA = 0xCFC, PCI_COMMAND = 4, PCI_CLASS = 8 };
enum { CLASS_BRIDGE = 6, CLASS_PCI_BRIDGE = 0x604, CLASS_NONE = 0xFFFF };
#define PCI_MASTER 4u
#define DEVICES_MAX 256 /* functions of a bus */

static bool has_syscall;
static uint32_t devices[DEVICES_MAX]; /* on bus 0, by which all others write to memory */
static unsigned nr_devices;

static uint32_t pci_read(uint32_t address)
{
	uint32_t value;
	__asm__ volatile("outl %0, %w1" : : "a"(address), "d"(PCI_ADDRESS));
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(PCI_DATA));
	return value;
}

void inherit_warm_up(void)
{
	uint32_t eax = 0x80000000, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if ((has_syscall = eax > 0x80000000)) {
		eax = 0x80000001;
		__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
		has_syscall = edx & CPUID_SYSCALL;
	}
	for (uint32_t at = 0x80000000; at < 0x80010000 && nr_devices < DEVICES_MAX; at += 0x100) {
		uint32_t class = pci_read(at + PCI_CLASS) >> 16;
		bool is_bridge = class >> 8 == CLASS_BRIDGE && class != CLASS_PCI_BRIDGE;
		if (!is_bridge && class != CLASS_NONE)
			devices[nr_devices++] = at + PCI_COMMAND;
	}
}

/* Let SYSCALL work, or not. Result: whether it did before. */
static bool set_syscall(bool on)
{
	uint32_t efer, high;
	__asm__ volatile("rdmsr" : "=a"(efer), "=d"(high) : "c"(MSR_EFER));
	__asm__ volatile("wrmsr" : : "c"(MSR_EFER), "a"((efer & ~EFER_SCE) | on), "d"(high));
	return efer & EFER_SCE;
}

void cpu_take(struct cpu *c)
{
	__asm__ volatile("movl %%cr0, %0; movl %%cr4, %1"
			 : "=r"(c->native.cr0), "=r"(c->native.cr4));
	__asm__ volatile("movl %0, %%cr0; movl %1, %%cr4"
			 : : "r"((c->native.cr0 | CR0_WP) & ~CR0_EM),
			     "r"(c->native.cr4 & CR4_KEPT));
	if (has_syscall)
		c->native.syscall = set_syscall(false);
	c->native.tpr = LAPIC[LAPIC_TPR];
	LAPIC[LAPIC_TPR] = TPR_EXCEPTIONS;
	if (LAPIC[LAPIC_TPR] != TPR_EXCEPTIONS) { /* ring 1 could map it, and start other CPUs */
		vmm_printk("\nvmm: the kernel broke a rule: the local APIC was moved\n");
		end_run(VMM_STOPPED_STATUS);
	}
	LAPIC[LAPIC_LINT0] = LVT_MASKED;
}

void cpu_give_back(struct cpu *c)
{
	uint32_t cr0; /* of it TS is the kernel's in both modes */
	__asm__ volatile("movl %%cr0, %0; andl %1, %0; orl %2, %0; movl %0, %%cr0"
			 : "=&r"(cr0) : "i"(CR0_TS), "r"(c->native.cr0 & ~CR0_TS));
	__asm__ volatile("movl %0, %%cr4" : : "r"(c->native.cr4));
	if (c->native.syscall)
		set_syscall(true);
	LAPIC[LAPIC_TPR] = c->native.tpr;
}

void devices_quiet(void)
{
	for (unsigned i = 0; i < nr_devices; i++) {
		uint32_t command = pci_read(devices[i]);
		if (command & PCI_MASTER)
			__asm__ volatile("outw %w0, %w1" /* to what pci_read() read */
					 : : "a"(command & ~PCI_MASTER), "d"(PCI_DATA));
	}
}
