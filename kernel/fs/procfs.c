/* SPDX-License-Identifier: MIT */
/*
 * /proc: the kernel's state as text. The files of a module are shown by the module's own
 * functions.
 */
#include "boot/boot.h"
#include "dev/dev.h"
#include "domain/control.h"
#include "domain/guest.h"
#include "fs/file.h"
#include "fs/pseudofs.h"
#include "net/net.h"
#include "proc/task.h"
#include "switch/switch.h"

static int mode_show(char *buf, size_t size)
{
	if (guest_start)
		return snprintf(buf, size, "full, guest %u\n", guest_start->domain);
	return snprintf(buf, size, VO(cpu, ring)() ? "virtual\n" : "native\n");
}

static int uptime_show(char *buf, size_t size)
{
	uint64_t hundredths = VO(time, now)();
	div64(&hundredths, 10000000);
	uint32_t rest = div64(&hundredths, 100);
	return snprintf(buf, size, "%u.%02u\n", (uint32_t)hundredths, rest);
}

static int files_show(char *buf, size_t size)
{
	return snprintf(buf, size, "open %u\n", files_open());
}

static int cmdline_show(char *buf, size_t size)
{
	return snprintf(buf, size, "%s\n", boot_info.cmdline);
}

static int cpuinfo_show(char *buf, size_t size)
{
	uint32_t eax = 0, ebx, ecx, edx, vendor[4] = { 0 };
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(vendor[0]), "=c"(vendor[2]), "=d"(vendor[1]));
	eax = 1;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return snprintf(buf, size,
			"cpus %u\nvendor %s\nfamily %u model %u stepping %u\nfeatures %08x %08x\n",
			nr_cpus, (const char *)vendor, eax >> 8 & 15, eax >> 4 & 15, eax & 15, edx,
			ecx);
}

const struct pseudofs_entry procfs_entries[] = {
	{ .name = "cmdline", .show = cmdline_show },
	{ .name = "cpuinfo", .show = cpuinfo_show },
	{ .name = "domains", .show = domains_show, .write = domains_write },
	{ .name = "files", .show = files_show },
	{ .name = "interrupts", .show = irq_show },
	{ .name = "kmsg", .show = kmsg_show },
	{ .name = "meminfo", .show = meminfo_show },
	{ .name = "memmap", .show = memmap_show },
	{ .name = "mode", .show = mode_show, .write = mode_write },
	{ .name = "net", .show = net_show },
	{ .name = "switch", .show = switch_show, .write = switch_write },
	{ .name = "tasks", .show = task_list_show },
	{ .name = "uptime", .show = uptime_show },
	{ .name = "vmm", .show = vmm_show },
	{ .name = "vo", .show = vo_show },
	{ 0 },
};
_Static_assert(ARRAY_SIZE(procfs_entries) <= PSEUDOFS_FILES_MAX + 1, "a directory has room");
