/* SPDX-License-Identifier: MIT */
/* I/O ports: a kernel with RIGHT_DEVICES may use those of the devices that it drives. */
#include "vmm/call/call.h"
#include "vmm/cpu/cpu.h"

/*
 * Ports of the kernel's drivers. out: the bytes that the driver outputs there; "" is any, NULL
 * none. The disk takes no command that starts DMA.
 */
static const struct { uint16_t first, last; const char *out; } granted[] = {
	{ 0x60, 0x60, NULL }, { 0x64, 0x64, NULL }, /* keyboard: outputs could reset the PC */
	/* first ATA channel: read, write, flush, identify; no interrupts */
	{ 0x1F0, 0x1F6, "" }, { 0x1F7, 0x1F7, "\x20\x30\xE7\xEC" }, { 0x3F6, 0x3F6, "\2" },
	{ 0x300, 0x31F, "" }, /* NE2000: what it calls DMA stays in the card's own memory */
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

/* Whether the kernel's word at this address can be written. The lock keeps it so. */
static bool can_store(uint32_t at)
{
	uint32_t word;
	return !copy_from_kernel(&word, at, 4) && !copy_to_kernel(at, &word, 4);
}

/*
 * Move 16-bit words between a port and the kernel's buffer, which lies in two pages at most: all
 * or none. Result: 0, -EINVAL, -EFAULT. (lock)
 */
static int port_block(uint32_t port, uint32_t buffer, uint32_t words, bool in)
{
	uint16_t data[256];
	uint32_t bytes = words * 2;
	VMM_ASSERT_LOCKED();
	if (words - 1 >= ARRAY_SIZE(data) || words % 2 || buffer & 3 ||
	    !kernel_range(buffer, bytes))
		return -EINVAL;
	if (in ? !can_store(buffer) || !can_store(buffer + bytes - 4) :
		 copy_from_kernel(data, buffer, bytes))
		return -EFAULT;
	for (uint32_t i = 0; i < words; i++)
		if (in)
			__asm__ volatile("inw %w1, %0" : "=a"(data[i]) : "d"(port));
		else
			__asm__ volatile("outw %0, %w1" : : "a"(data[i]), "d"(port));
	return in ? copy_to_kernel(buffer, data, bytes) : 0;
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
	if (block) {
		vmm_lock(c);
		int error = port_block(port, value, r->esi, in);
		vmm_unlock();
		return error;
	}
	if (in) {
		__asm__ volatile("xorl %%eax, %%eax; inb %w1, %%al" : "=&a"(value) : "d"(port));
		return (int)value;
	}
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port));
	return 0;
}
