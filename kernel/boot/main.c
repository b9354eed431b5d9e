/* SPDX-License-Identifier: MIT */
/*
 * Start-up in order: VO, serial line, memory, screen, processor, interrupts, the other
 * processors, and the first program.
 */
#include "boot/boot.h"
#include "dev/block.h"
#include "dev/console.h"
#include "dev/dev.h"
#include "domain/guest.h"
#include "fs/bcache.h"
#include "fs/file.h"
#include "mm/vm.h"
#include "net/net.h"
#include "proc/task.h"
#include "split/split.h"
#include "switch/switch.h"
#include "trap/trap.h"

#define FLUSH_MS 5000

void kmain(uint32_t magic, uint32_t info) __attribute__((noreturn));
void task_enter_user(void) __attribute__((noreturn));

/* Place and size of the RAM disk: tests read its file system from the machine's memory. */
uint32_t rootfs_machine, rootfs_bytes;

static struct blockdev *root_device(void)
{
	char wanted[16] = "";
	const struct boot_module *m = boot_module("rootfs");
	if (guest_start)
		return guest_root();
	boot_option("root", wanted, sizeof(wanted));
	if (wanted[0] && strcmp(wanted, "ram") != 0 && strcmp(wanted, "ata") != 0)
		panic("boot: root=%s is not known; use root=ram or root=ata", wanted);
	if (m && strcmp(wanted, "ata") != 0) {
		rootfs_machine = m->machine;
		rootfs_bytes = m->bytes;
		return ramdisk_init(m->machine, m->bytes, true);
	}
	struct blockdev *disk = strcmp(wanted, "ram") == 0 ? NULL : ata_init();
	if (!disk)
		panic("boot: no root file system: give a boot module `rootfs` (an ext2 image), "
		      "or an ATA disk (DISK=file)");
	return disk;
}

/* The kernel task that writes changed blocks to the disk from time to time. */
static void flush_main(void)
{
	for (;;) {
		sleep_ms(FLUSH_MS);
		bcache_flush();
	}
}

/* The first process begins as a kernel task: it mounts the root, and becomes /bin/init. */
static void init_main(void)
{
	char mode[16];
	static char args[sizeof("/bin/init") + sizeof(boot_info.cmdline)] = "/bin/init";
	struct blockdev *root = root_device();
	struct task *t = current(), *flush = task_create("flush", flush_main);
	int error = vfs_init(root);
	if (error)
		panic("boot: cannot mount the root file system on %s (error %d); "
		      "the lines before this one tell why", root->name, error);
	vmm_warm_up();
	error = files_init_console();
	if (error || !flush)
		panic("boot: cannot open /dev/console (error %d)", error);
	bool run = boot_option("run", args + sizeof("/bin/init"), sizeof(boot_info.cmdline));
	size_t bytes = sizeof("/bin/init") + (run ? strlen(args + sizeof("/bin/init")) + 1 : 0);
	error = task_exec(args, run ? 2 : 1, args, bytes);
	if (error)
		panic("boot: cannot run /bin/init (error %d)", error);
	t->pgid = t->pid;
	if (boot_option("mode", mode, sizeof(mode)) && strcmp(mode, "native") != 0) {
		error = strcmp(mode, "virtual") == 0 ? switch_at_boot() : -EINVAL;
		if (error)
			panic("boot: mode=%s failed (error %d); it can be native or, "
			      "with the boot module `vmm`, virtual", mode, error);
	}
	sched_ready(flush);
	net_start();
	task_enter_user();
}

void boot_go_on(void)
{
	char test[16];
	VO(time, start_tick)(TICK_HZ);
	VO(irq, enable)();
	smp_start();
	printk("Cinnabar: %u KiB, %u CPU%s, ring %u\n", nr_pfns * (PAGE_SIZE / 1024), nr_cpus,
	       nr_cpus > 1 ? "s" : "", VO(cpu, ring)());
	boot_check_options();
	if (boot_option("panic", test, sizeof(test)))
		panic("asked for by panic=%s on the command line", test);
	struct task *init = task_create("init", init_main);
	ASSERT(init && init->pid == 1);
	sched_ready(init);
	sched_idle();
}

void kmain(uint32_t magic, uint32_t info)
{
	vo = native_vo;
	sched_init_cpu(0);
	log_console = console_write;
	serial_init();
	boot_parse(magic, info);
	smp_place_trampoline();
	mm_init();
	vga_init();
	VO(cpu, init)(0);
	topology_find();
	topology_check();
	VO(irq, init)(0);
	fpu_init();
	keyboard_init();
	serial_listen();
	net_init(bridge_init(ne2k_init()));
	boot_go_on();
}
