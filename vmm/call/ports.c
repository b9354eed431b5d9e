/* SPDX-License-Identifier: MIT */
/* I/O ports: a kernel with RIGHT_DEVICES may use those of the devices that it drives. */
#include "vmm/call/call.h"
#include "vmm/cpu/cpu.h"

static const struct port_range { uint16_t first, last; bool out; } granted[] = {
	{ 0x60, 0x60, false }, { 0x64, 0x64, false },   /* keyboard: outputs could reset the PC */
	{ 0x1F0, 0x1F7, true }, { 0x3F6, 0x3F6, true }, /* first ATA channel */
	{ 0x3C0, 0x3DF, true },                         /* VGA */
	{ 0x3F8, 0x3FF, true },                         /* COM1 */
};

/* Whether the domain may access `bytes` ports from this one on. in: for input, else for output. */
static bool port_granted(const struct cpu *c, uint32_t port, uint32_t bytes, bool in)
{
	for (unsigned i = 0; i < ARRAY_SIZE(granted); i++)
		if (port >= granted[i].first && port <= granted[i].last + 1u - bytes)
			return (in || granted[i].out) && c->current->domain->rights & RIGHT_DEVICES;
	return false;
}

/* Move 16-bit words between a data port and the kernel's buffer. Result: 0, -EINVAL, -EFAULT. */
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
		int error = in ? copy_to_kernel(buffer, data, some * 2) :
				 copy_from_kernel(data, buffer, some * 2);
		if (error)
			return error;
		for (uint32_t i = 0; !in && i < some; i++)
			__asm__ volatile("outw %0, %1" : : "a"(data[i]), "d"(port));
	}
	return 0;
}

int hc_io(struct cpu *c, struct regs *r)
{
	uint32_t port = r->ebx, value = r->ecx, kind = r->edx;
	bool in = kind == VMM_IO_IN8 || kind == VMM_IO_IN_BLOCK;
	if (kind > VMM_IO_OUT_BLOCK)
		return -EINVAL;
	if (!port_granted(c, port, kind < VMM_IO_IN_BLOCK ? 1 : 2, in))
		return -EPERM;
	if (kind == VMM_IO_IN8) {
		__asm__ volatile("xorl %%eax, %%eax; inb %w1, %%al" : "=&a"(value) : "d"(port));
		return (int)value;
	}
	if (kind != VMM_IO_OUT8)
		return port_block(c, (uint16_t)port, value, r->esi, in);
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port));
	return 0;
}
