/* SPDX-License-Identifier: MIT */
/* How a run ends when it must: the kernel broke a rule, or the VMM failed. Both print a report on COM1 and leave a status. */
#include "vmm.h"

#define COM1 0x3F8
#define LINE_STATUS 5
#define CAN_SEND 0x20
#define TRIES 100000

static void put(char ch)
{
	uint8_t status = 0;
	for (unsigned i = 0; i < TRIES && !(status & CAN_SEND); i++)
		__asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((uint16_t)(COM1 + LINE_STATUS)));
	__asm__ volatile("outb %0, %1" : : "a"(ch), "Nd"((uint16_t)COM1));
}

void vmm_printk(const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (const char *s = text; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
}

void end_run(unsigned status)
{
	__asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xF4)); /* QEMU's isa-debug-exit */
	for (const char *s = "Shutdown"; *s; s++)
		__asm__ volatile("outb %0, %1" : : "a"(*s), "d"((uint16_t)0x8900)); /* Bochs */
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void print_registers(const struct regs *r)
{
	bool outer = r->cs & 3;
	vmm_printk("eax %08x ebx %08x ecx %08x edx %08x\nesi %08x edi %08x ebp %08x esp %08x\n", r->eax, r->ebx, r->ecx, r->edx,
		   r->esi, r->edi, r->ebp, outer ? r->esp : (uint32_t)&r->esp);
	vmm_printk("eip %08x cs %04x eflags %08x vector %u error %#x\n", r->eip, r->cs, r->eflags, r->vector, r->error);
}

void stop_kernel(struct regs *r, const char *rule, uint32_t detail)
{
	struct cpu *c = this_cpu();
	vmm_printk("\nvmm: the kernel broke a rule: %s (%#x)\ncpu %u, ring %u\n", rule, detail, c->index, r->cs & 3);
	print_registers(r);
	uint32_t frame[2], ebp = r->ebp;
	for (unsigned i = 0; i < 16 && copy_from_kernel(frame, ebp, sizeof(frame)) == 0 && frame[0] > ebp; i++) {
		vmm_printk("  called from %08x\n", frame[1]);
		ebp = frame[0];
	}
	end_run(VMM_STOPPED_STATUS);
}

void vmm_fault(struct regs *r, const char *what)
{
	uint32_t cr2;
	__asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
	vmm_printk("\nvmm: failed: %s, vector %u, error %#x, address %#x\n", what, r->vector, r->error, cr2);
	print_registers(r);
	end_run(VMM_FAULT_STATUS);
}
