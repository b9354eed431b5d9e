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
enum { PCI_ADDRESS = 0xCF8, PCI_DATA = 0xCFC, PCI_COMMAND = 4, PCI_CLASS = 8, PCI_HEADER = 12 };
enum { PCI_BUSES = 0x18, CLASS_HOST_BRIDGE = 0x600, CLASS_NONE = 0xFFFF };
#define PCI_MASTER 4u
#define IS_BRIDGE 0x7F0000 /* the type of the header is not 0 */
#define PCI_FUNCTIONS 0x700
#define DEVICES_MAX 512

static bool has_syscall;
static struct { uint32_t at, buses; } devices[DEVICES_MAX]; /* buses: of a bridge */
static unsigned nr_devices;

static uint32_t pci_read(uint32_t address)
{
	uint32_t value;
	__asm__ volatile("outl %0, %w1" : : "a"(address), "d"(PCI_ADDRESS));
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(PCI_DATA));
	return value;
}

/* Store where pci_read() read. */
static void pci_write(uint32_t value)
{
	__asm__ volatile("outl %0, %w1" : : "a"(value), "d"(PCI_DATA));
}

const char *inherit_warm_up(void)
{
	uint32_t edx;
	has_syscall = cpuid(0x80000000, &edx) > 0x80000000 &&
		      (cpuid(0x80000001, &edx), edx & CPUID_SYSCALL);
	for (uint32_t at = 0x80000000; at < 0x81000000; at += 0x100) { /* 256 buses */
		uint32_t class = pci_read(at + PCI_CLASS) >> 16;
		if (class == CLASS_NONE && !(at & PCI_FUNCTIONS))
			at += PCI_FUNCTIONS; /* a device has a function 0 */
		if (class == CLASS_NONE || class - CLASS_HOST_BRIDGE < 4) /* or to ISA, EISA, MCA */
			continue;
		if (nr_devices == DEVICES_MAX)
			return "the machine has too many PCI devices";
		devices[nr_devices].buses =
			pci_read(at + PCI_HEADER) & IS_BRIDGE ? pci_read(at + PCI_BUSES) : 0;
		devices[nr_devices++].at = at;
	}
	return NULL;
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

/* A bridge comes before what is behind it, whose bus may have got another number since boot. */
void devices_quiet(void)
{
	for (unsigned i = 0; i < nr_devices; i++) {
		if (devices[i].buses) {
			pci_read(devices[i].at + PCI_BUSES);
			pci_write(devices[i].buses);
		}
		uint32_t command = pci_read(devices[i].at + PCI_COMMAND);
		if (command & PCI_MASTER) /* status: a 0 changes no bit */
			pci_write(command & 0xFFFF & ~PCI_MASTER);
	}
}
