/* SPDX-License-Identifier: MIT */
/*
 * How a run ends when it must: the kernel broke a rule, or the VMM failed. Both ends print a
 * report on COM1 and leave a status for the emulator.
 */
#include "vmm/cpu/cpu.h"

#define COM1 0x3F8
#define LINE_STATUS 5
#define CAN_SEND 0x20
#define TRIES 100000 /* then send anyway: the run must end even if the UART is never ready */
#define CALLERS_MAX 16

static void send_char(char ch)
{
	uint8_t status = 0;
	for (unsigned i = 0; i < TRIES && !(status & CAN_SEND); i++)
		__asm__ volatile("inb %w1, %0" : "=a"(status) : "Nd"(COM1 + LINE_STATUS));
	__asm__ volatile("outb %0, %1" : : "a"(ch), "Nd"((uint16_t)COM1));
}

void vmm_printk(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (const char *s = line; *s; s++) {
		if (*s == '\n')
			send_char('\r');
		send_char(*s);
	}
}

void end_run(unsigned status)
{
	/* QEMU's isa-debug-exit; then Bochs; then ACPI. */
	__asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xF4));
	for (const char *s = "Shutdown"; *s; s++)
		__asm__ volatile("outb %0, %1" : : "a"(*s), "d"((uint16_t)0x8900));
	if (machine.off_port && !VMM_FAILED(status))
		__asm__ volatile("outw %0, %1" : : "a"(machine.off_value), "Nd"(machine.off_port));
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void print_registers(const struct regs *r)
{
	bool outer = r->cs & 3;
	vmm_printk("eax %08x ebx %08x ecx %08x edx %08x\n", r->eax, r->ebx, r->ecx, r->edx);
	vmm_printk("esi %08x edi %08x ebp %08x esp %08x\n", r->esi, r->edi, r->ebp,
		   outer ? r->esp : (uint32_t)&r->esp);
	vmm_printk("eip %08x cs %04x eflags %08x vector %u error %#x\n", r->eip, r->cs, r->eflags,
		   r->vector, r->error);
}

void report_kernel(const struct regs *r, const char *rule, uint32_t detail)
{
	struct cpu *c = cpu_here();
	vmm_printk("\nvmm: the kernel broke a rule: %s (%#x)\n", rule, detail);
	if (c->current->domain != &domain0)
		vmm_printk("domain %u, vCPU %u, ", c->current->domain->id - 1, c->current->index);
	vmm_printk("cpu %u, ring %u\n", c->index, r->cs & 3);
	print_registers(r);
	uint32_t frame[2];
	for (uint32_t ebp = r->ebp, i = 0; i < CALLERS_MAX; ebp = frame[0], i++) {
		if (copy_from_kernel(frame, ebp, sizeof(frame)) || frame[0] <= ebp)
			break;
		vmm_printk("  called from %08x\n", frame[1]);
	}
}

void vmm_fault(struct regs *r, const char *what)
{
	uint32_t cr2;
	__asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
	vmm_printk("\nvmm: failed: %s, vector %u, error %#x, address %#x\n", what, r->vector,
		   r->error, cr2);
	print_registers(r);
	end_run(VMM_FAULT_STATUS);
}

void __attribute__((regparm(0))) vmm_panic(const char *what)
{
	uint32_t caller = (uint32_t)__builtin_return_address(0) - 1;
	vmm_printk("\nvmm: failed: %s\neip %08x\n", what, caller);
	end_run(VMM_FAULT_STATUS);
}
