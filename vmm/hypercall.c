/* SPDX-License-Identifier: MIT */
/* Hypercalls: each checks its arguments, then does one thing. vmm_abi.h has their contracts. */
#include "vmm.h"

uint32_t copy_words(void *to, const void *from, uint32_t words); /* entry.S; result: words left undone */

/* --- the kernel's memory --- */

static bool kernel_range(uint32_t address, uint32_t bytes)
{
	return address >= KERNEL_BASE && address < VMM_BASE && bytes <= VMM_BASE - address;
}

int copy_from_kernel(void *to, uint32_t from, uint32_t bytes)
{
	return kernel_range(from, bytes) && !copy_words(to, (const void *)from, bytes / 4) ? 0 : -EFAULT;
}

int copy_to_kernel(uint32_t to, const void *from, uint32_t bytes)
{
	return kernel_range(to, bytes) && !copy_words((void *)to, from, bytes / 4) ? 0 : -EFAULT;
}

/* --- memory --- */

static void flush(uint32_t address)
{
	uint32_t cr3;
	if (address == VMM_FLUSH_ALL)
		__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(cr3) : : "memory");
	else if (address)
		__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static int hc_update(struct cpu *c, struct regs *r)
{
	uint32_t n = r->ecx;
	if (n - 1 >= VMM_UPDATE_MAX)
		return -EINVAL;
	if (n == 1)
		c->update[0] = r->edx;
	else if (copy_from_kernel(c->update, r->edx, n * 4))
		return -EFAULT;
	vmm_lock(c);
	int error = frames_update(c, r->ebx, c->update, n);
	vmm_unlock();
	if (!error)
		flush(r->esi);
	return error;
}

static int hc_load(struct cpu *c, struct regs *r)
{
	uint32_t stack = r->ecx;
	if (stack && (stack & 3 || !kernel_range(stack - 128, 128)))
		return -EINVAL;
	if (r->ebx) {
		vmm_lock(c);
		int error = frames_load(c, r->ebx);
		vmm_unlock();
		if (error)
			return error;
	}
	if (stack)
		c->tss.esp1 = stack;
	return 0;
}

static int hc_release(struct cpu *c, struct regs *r)
{
	vmm_lock(c);
	int error = frames_release(c, r->ebx);
	vmm_unlock();
	return error;
}

static int hc_flush(struct cpu *c, struct regs *r)
{
	(void)c;
	flush(r->ebx);
	return 0;
}

static int hc_recount(struct cpu *c, struct regs *r)
{
	(void)r;
	vmm_lock(c);
	int differences = (int)frames_recount(c);
	vmm_unlock();
	return differences;
}

/* --- processor --- */

static int hc_events(struct cpu *c, struct regs *r)
{
	deliver(c, r);
	return 0;
}

static int hc_idle(struct cpu *c, struct regs *r)
{
	c->shared->vif = EFLAGS_IF;
	while (!(c->shared->pending & ((1u << NR_EVENTS) - 1)))
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	deliver(c, r);
	return 0;
}

static int hc_fpu_trap(struct cpu *c, struct regs *r)
{
	uint32_t cr0;
	(void)c;
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %0, %%cr0" : : "r"(r->ebx ? cr0 | CR0_TS : cr0 & ~(uint32_t)CR0_TS));
	return 0;
}

static int hc_shutdown(struct cpu *c, struct regs *r)
{
	(void)c;
	if (r->ebx > 0x7F || r->ebx == VMM_FAULT_STATUS || r->ebx == VMM_STOPPED_STATUS)
		return -EINVAL;
	end_run(r->ebx);
}

static int hc_halt(struct cpu *c, struct regs *r)
{
	(void)r;
	c->halted = true;
	for (;;)
		__asm__ volatile("cli; hlt");
	return 0;
}

/* --- interrupts --- */

static int locked(struct cpu *c, int (*fn)(unsigned, unsigned), unsigned a, unsigned b)
{
	vmm_lock(c);
	int result = fn(a, b);
	vmm_unlock();
	return result;
}

static int mask(unsigned line, unsigned masked) { return irq_mask(line, masked); }
static int end(unsigned line, unsigned unused) { return (void)unused, irq_end(line); }
static int hc_mask(struct cpu *c, struct regs *r) { return locked(c, mask, r->ebx, r->ecx != 0); }
static int hc_end(struct cpu *c, struct regs *r) { return locked(c, end, r->ebx, 0); }
static int hc_send(struct cpu *c, struct regs *r) { return (void)c, irq_send(r->ebx, r->ecx); }
static int hc_tick(struct cpu *c, struct regs *r) { return (void)c, irq_tick(r->ebx); }

/* --- ports: those of the devices that the kernel drives --- */

static bool port_granted(uint32_t port, uint32_t bytes, bool in)
{
	static const struct { uint16_t first, last; bool out; } granted[] = {
		{ 0x60, 0x60, false }, { 0x64, 0x64, false },     /* keyboard: its controller's outputs gate A20, and reset */
		{ 0x1F0, 0x1F7, true }, { 0x3F6, 0x3F6, true }, /* first ATA channel */
		{ 0x3C0, 0x3DF, true },                         /* VGA */
		{ 0x3F8, 0x3FF, true },                         /* COM1 */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(granted); i++)
		if (port >= granted[i].first && port <= granted[i].last + 1u - bytes)
			return in || granted[i].out;
	return false;
}

static int port_block(struct cpu *c, uint16_t port, uint32_t buffer, uint32_t words, bool in)
{
	uint16_t data[2 * VMM_UPDATE_MAX];
	_Static_assert(sizeof(data) == sizeof(c->update), "a chunk");
	if (words > 256 || words % 2 || buffer & 3 || !kernel_range(buffer, words * 2))
		return -EINVAL;
	for (uint32_t some; words; words -= some, buffer += some * 2) {
		some = MIN(words, (uint32_t)ARRAY_SIZE(data));
		for (uint32_t i = 0; in && i < some; i++)
			__asm__ volatile("inw %1, %0" : "=a"(data[i]) : "d"(port));
		if (in ? copy_to_kernel(buffer, data, some * 2) : copy_from_kernel(data, buffer, some * 2))
			return -EFAULT;
		for (uint32_t i = 0; !in && i < some; i++)
			__asm__ volatile("outw %0, %1" : : "a"(data[i]), "d"(port));
	}
	return 0;
}

static int hc_io(struct cpu *c, struct regs *r)
{
	uint32_t port = r->ebx, value = r->ecx, kind = r->edx;
	if (kind > VMM_IO_OUT_BLOCK)
		return -EINVAL;
	if (!port_granted(port, kind < VMM_IO_IN_BLOCK ? 1 : 2, kind == VMM_IO_IN8 || kind == VMM_IO_IN_BLOCK))
		return -EPERM;
	if (kind == VMM_IO_IN8) {
		__asm__ volatile("xorl %%eax, %%eax; inb %w1, %%al" : "=&a"(value) : "d"(port));
		return (int)value;
	}
	if (kind != VMM_IO_OUT8)
		return port_block(c, (uint16_t)port, value, r->esi, kind == VMM_IO_IN_BLOCK);
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port));
	return 0;
}

/* --- detach --- */

static int hc_detach(struct cpu *c, struct regs *r)
{
	switch (r->ebx) {
	case VMM_PROTECT:
	case VMM_UNPROTECT:
		vmm_lock(c);
		frames_protect(c, r->ebx == VMM_PROTECT);
		vmm_unlock();
		return 0;
	case VMM_INSTALL: irq_reinject(c); cpu_restore(c, r);
	default: return -EINVAL;
	}
}

static int (*const hypercalls[NR_HYPERCALLS])(struct cpu *c, struct regs *r) = {
	[HC_UPDATE] = hc_update, [HC_LOAD] = hc_load, [HC_RELEASE] = hc_release, [HC_FLUSH] = hc_flush, [HC_EVENTS] = hc_events,
	[HC_IDLE] = hc_idle, [HC_FPU_TRAP] = hc_fpu_trap, [HC_SHUTDOWN] = hc_shutdown, [HC_HALT] = hc_halt, [HC_MASK] = hc_mask,
	[HC_END] = hc_end, [HC_SEND] = hc_send, [HC_TICK] = hc_tick, [HC_IO] = hc_io, [HC_DETACH] = hc_detach,
	[HC_RECOUNT] = hc_recount,
};

void hypercall_handle(struct regs *r)
{
	struct cpu *c = this_cpu();
	uint32_t number = r->eax;
	c->shared->exits[EXIT_HYPERCALL]++;
	r->eax = number < NR_HYPERCALLS ? (uint32_t)hypercalls[number](c, r) : (uint32_t)-ENOSYS;
#ifdef DEBUG
	if (number <= HC_RELEASE && hc_recount(c, r))
		vmm_fault(r, "the frame table is wrong (V7)");
#endif
}
