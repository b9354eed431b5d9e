/* SPDX-License-Identifier: MIT */
/*
 * Start-up of a guest: as kmain(), but there is no machine. Memory is as the builder left it, and
 * consoles and disks are front ends.
 */
#include "domain/guest.h"
#include "boot/boot.h"
#include "dev/block.h"
#include "dev/console.h"
#include "dev/dev.h"
#include "proc/task.h"
#include "split/console_front.h"
#include "split/split.h"
#include "vo/virtual.h"

extern struct vmm_shared vmm_shared[]; /* vo/virtual.c */

const struct domain_start *guest_start;

/* The VMM's record says how old the guest was at some moment; it does not change during this. */
static void clock_init(void)
{
	const struct shared_rest *rest = (const struct shared_rest *)&vmm_shared[VMM_MAX_CPUS];
	uint64_t age = rest->time[0].ns << 12;
	div64(&age, rest->time[0].multiplier);
	native_time_set(rest->time[0].tsc - (age << 12), rest->time[0].multiplier);
}

struct blockdev *guest_root(void)
{
	const struct domain_start *s = guest_start;
	if (s->root_bytes)
		return ramdisk_init(s->root << PAGE_SHIFT, s->root_bytes, false);
	if (!s->disk.port)
		panic("boot: this guest has no root file system: no disk, none in memory");
	return block_front_init(s);
}

void guest_main(const struct domain_start *s)
{
	vo = virtual_vo;
	sched_init_cpu(0);
	guest_start = s;
	tickless = true;
	log_console = console_write;
	console_front_init();
	strlcpy(boot_info.cmdline, s->cmdline, sizeof(boot_info.cmdline));
	mm_init_guest(s);
	clock_init();
	topology.nr_cpus = s->nr_vcpus;
	for (unsigned i = 0; i < s->nr_vcpus; i++)
		topology.apic_id[i] = (uint8_t)i;
	fpu_init();
	console_front_listen();
	net.address = s->ip;
	net_init(net_front_init(s));
	boot_go_on();
}
