/* SPDX-License-Identifier: MIT */
/*
 * Starting QEMU. It starts halted; serial line, QMP and memory are connected before the first
 * instruction, so that nothing is missed. The machine's memory is a file that this process maps,
 * too: reading it costs nothing, stops nothing, and works after the machine's end.
 */
#include "emulators.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The network card. What passes is kept in the file `frames`, as tcpdump would write it. */
static void net_arguments(const struct machine *m, struct arguments *a)
{
	const struct machine_options *o = &m->o;
	arg(a, "-netdev");
	if (o->net_files)
		arg(a, "user,id=net,restrict=on,tftp=%s", o->net_files);
	else
		arg(a, "socket,id=net,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", o->net_port ^ 1,
		    o->net_port);
	arg(a, "-device");
	arg(a, "ne2k_isa,netdev=net,mac=52:54:00:00:%02x:%02x", o->net_port >> 8,
	    o->net_port & 0xFF);
	arg(a, "-object"), arg(a, "filter-dump,id=dump,netdev=net,file=%s", work_path("frames"));
}

/*
 * The arguments that also start this machine by hand. The machine has the devices of `make run`:
 * none but those that are named here. So there is no screen: the screen's firmware takes long.
 * QEMU's small firmware, qboot, starts a kernel in a tenth of SeaBIOS's instructions; it boots
 * no disk.
 */
static void qemu_arguments(struct machine *m, struct arguments *a)
{
	const struct machine_options *o = &m->o;
	arg(a, "qemu-system-i386"), arg(a, "-nodefaults"), arg(a, "-m"), arg(a, "%u", o->mem);
	arg(a, "-smp"), arg(a, "cpus=%u,cores=1,threads=1,sockets=%u", o->cpus, o->cpus);
	if (!o->free_running) {
		arg(a, "-icount");
		arg(a, machine_debugged || o->stands_still ? "shift=0" : "shift=0,sleep=off");
		arg(a, "-rtc"), arg(a, "clock=vm");
	}
	if (o->iso || o->iso_file) {
		arg(a, "-cdrom"), arg(a, "%s", o->iso_file ? o->iso_file : machine_make_iso(m));
	} else {
		arg(a, "-bios"), arg(a, "qboot.rom");
		arg(a, "-kernel"), arg(a, "%s", kernel_file);
		arg(a, "-append"), arg(a, "%s", machine_cmdline(m));
		if (!o->modules)
			arg(a, "-initrd"), arg(a, "%s vmm,%s/rootfs.ext2 rootfs", vmm_file,
					       build_dir);
		else if (*o->modules)
			arg(a, "-initrd"), arg(a, "%s", o->modules);
	}
	if (o->disk)
		arg(a, "-drive"), arg(a, "file=%s,format=raw,if=ide,index=0,media=disk", o->disk);
	if (o->net_files || o->net_port)
		net_arguments(m, a);
	arg(a, "-display"), arg(a, "none"), arg(a, "-no-reboot");
	if (!o->board)
		arg(a, "-device"), arg(a, "isa-debug-exit,iobase=0xf4,iosize=4");
}

/* The arguments as one command line for a shell, and one more. Result: to be freed. */
static char *join(const struct arguments *a, const char *last)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	for (unsigned i = 0; i < a->n; i++)
		fprintf(f, strpbrk(a->v[i], " \"$;&") || !*a->v[i] ? "'%s' " : "%s ", a->v[i]);
	fputs(last, f);
	fclose(f);
	return text;
}

/* --- the serial line: two named pipes --- */

/*
 * Make both pipes and open the one that QEMU writes. A pipe keeps 64 KiB that nobody has read
 * yet. A socket keeps only some 300 bytes if they come one by one; QEMU drops the rest.
 */
static void make_serial(struct machine *m, const char *path)
{
	char name[4096];
	for (unsigned in = 0; in < 2; in++) {
		snprintf(name, sizeof(name), "%s.%s", path, in ? "in" : "out");
		if (mkfifo(name, 0600) < 0)
			give_up(BROKEN, "%s: %s", name, strerror(errno));
		if (!in)
			m->serial = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
}

static void give_up_ended(const struct machine *m) __attribute__((noreturn));
static void give_up_ended(const struct machine *m)
{
	char text[600] = "";
	shell(text, sizeof(text), 5, "tail -c 500 %s", work_path("qemu.err"));
	give_up(BROKEN, "QEMU ended at once with status %d: %s", m->exit_status, text);
}

/* Open the pipe that QEMU reads. That fails until QEMU has opened its own end. */
static void open_serial_in(struct machine *m, const char *path)
{
	char name[4096];
	snprintf(name, sizeof(name), "%s.in", path);
	for (double start = clock_seconds();; process_pause(m->pid, -1, 1)) {
		m->serial_in = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (m->serial_in >= 0)
			return;
		if (machine_ended(m))
			give_up_ended(m);
		if (time_is_over(start, 20))
			give_up(BROKEN, "QEMU does not open %s", name);
	}
}

/* --- memory --- */

/* Result: the descriptor of a file without a name or a disk, which QEMU inherits. */
static int map_memory(struct machine *m)
{
	m->ram_bytes = (size_t)m->o.mem << 20;
	size_t all = m->ram_bytes + (m->o.v86 ? v86_flags(m) : 0);
	int ram = memfd_create("machine", 0);
	if (ram < 0 || ftruncate(ram, (off_t)all) < 0)
		give_up(BROKEN, "memory file: %s", strerror(errno));
	m->ram = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	if (m->ram == MAP_FAILED)
		give_up(BROKEN, "memory file: %s", strerror(errno));
	return ram;
}

/* The arguments that connect the machine to this process. */
static void connection_arguments(struct machine *m, int ram, struct arguments *a)
{
	arg(a, "-S"), arg(a, "-machine");
	arg(a, "%s,memory-backend=ram", m->o.board ? m->o.board : "pc");
	arg(a, "-object");
	arg(a, "memory-backend-file,id=ram,size=%uM,mem-path=/proc/self/fd/%d,share=on", m->o.mem,
	    ram);
	arg(a, "-serial"), arg(a, "pipe:%s", machine_path(m, "serial"));
	arg(a, "-qmp"), arg(a, "unix:%s,server=on,wait=off", machine_path(m, "qmp"));
	arg(a, "-gdb"), arg(a, "unix:%s,server=on,wait=off", machine_path(m, "gdb"));
	/* QEMU tells of a triple fault in its log of resets only. */
	arg(a, "-d"), arg(a, machine_traced ? "int,cpu_reset" : machine_strict ?
			  "cpu_reset,in_asm" : "cpu_reset");
	arg(a, "-D"), arg(a, "%s", machine_traced ? work_path("traps") : machine_path(m, "resets"));
	if (machine_strict)
		outside_arguments(a);
}

void qemu_start(struct machine *m)
{
	struct arguments a = { .n = 0 };
	int ram = map_memory(m);
	make_serial(m, machine_path(m, "serial"));
	if (m->o.v86) {
		v86_arguments(m, ram, &a);
	} else {
		qemu_arguments(m, &a);
		m->by_hand = join(&a, "-serial mon:stdio");
		connection_arguments(m, ram, &a);
	}
	int err = open(work_path("qemu.err"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	m->pid = process_start(a.v, -1, err, err);
	close(err), close(ram);
	for (unsigned i = 0; i < a.n; i++)
		free(a.v[i]);
	open_serial_in(m, machine_path(m, "serial"));
	qmp_connect(m, machine_path(m, "qmp"));
	m->gdb.fd = -1;
	if (!m->o.paused && !machine_debugged)
		machine_continue(m);
}
