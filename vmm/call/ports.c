/* SPDX-License-Identifier: MIT */
/* I/O ports: a kernel with RIGHT_DEVICES may use those of the devices that it drives. */
#include "vmm/call/call.h"
#include "vmm/cpu/cpu.h"

/*
 * Ports of the kernel's drivers. out: the bytes that the driver outputs there; "" is any, NULL
 * none. The disk takes no command that starts DMA.
 */
static const struct { uint16_t first, last; const char *out; } granted[] = {
	{ 0x300, 0x31F, "" }, /* NE2000: what it calls DMA stays in the card's own memory */
	{ 0x60, 0x60, NULL }, { 0x64, 0x64, NULL }, /* keyboard: outputs could reset the PC */
	/* first ATA channel: read, write, flush, identify; no interrupts */
	{ 0x1F0, 0x1F6, "" }, { 0x1F7, 0x1F7, "\x20\x30\xE7\xEC" }, { 0x3F6, 0x3F6, "\2" },
	{ 0x3D4, 0x3D4, "\xE\xF" }, { 0x3D5, 0x3D5, "" }, /* VGA: the cursor's registers */
	{ 0x3F8, 0x3FF, "" },                             /* COM1 */
};
#define DISK_DATA 0x1F0 /* these two take and give blocks, too */
#define NET_DATA 0x310
#define INPUT 0x100u

/* Whether the domain may output a byte to this port, or input one (value: INPUT). */
static bool port_granted(const struct cpu *c, uint32_t port, uint32_t value)
{
	if (!(c->current->domain->rights & RIGHT_DEVICES))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(granted); i++) {
		const char *out = granted[i].out;
		if (port >= granted[i].first && port <= granted[i].last)
			return value == INPUT ||
			       (out && (!*out || (value && strchr(out, (int)value))));
	}
	return false;
}

/* Move 16-bit words between a port and the kernel's buffer. Result: 0, -EINVAL, -EFAULT. */
static int port_block(uint32_t port, uint32_t buffer, uint32_t words, bool in)
{
	if (words - 1 >= 256 || words % 2 || buffer & 3 || !kernel_range(buffer, words * 2))
		return -EINVAL;
	return (in ? in_words : out_words)((void *)buffer, port, words) ? -EFAULT : 0;
}

int hc_io(struct cpu *c, struct regs *r)
{
	uint32_t port = r->ebx, value = r->ecx, kind = r->edx;
	bool in = kind == VMM_IO_IN8 || kind == VMM_IO_IN_BLOCK, block = kind >= VMM_IO_IN_BLOCK;
	if (kind > VMM_IO_OUT_BLOCK)
		return -EINVAL;
	if (!port_granted(c, port, in || block ? INPUT : value & 0xFF) ||
	    (block && port != DISK_DATA && port != NET_DATA))
		return -EPERM;
	if (block)
		return port_block(port, value, r->esi, in);
	if (in) {
		__asm__ volatile("xorl %%eax, %%eax; inb %w1, %%al" : "=&a"(value) : "d"(port));
		return (int)value;
	}
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port));
	return 0;
}
