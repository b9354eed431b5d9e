/* SPDX-License-Identifier: MIT */
/*
 * Starting a machine and talking over its serial line. QEMU starts halted; serial line, QMP and memory are connected
 * before the first instruction, so that nothing is missed. Memory is a file that we map too: reading it costs nothing,
 * stops nothing, and works after the machine's end.
 */
#include "machine.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct machine *machines;
unsigned machine_budget;
double machine_patience = 1;
bool machine_debugged, machine_traced;

const char *machine_cmdline(const struct machine *m)
{
	static char text[1024];
	snprintf(text, sizeof(text), "p2m=%s%s%s", m->o.p2m ? m->o.p2m : "identity", m->o.cmdline ? " " : "",
		 m->o.cmdline ? m->o.cmdline : "");
	return text;
}

/* Most of the root image is free space, and an emulated CD drive is slow. */
enum { ISO_ROOT_MIB = 4 };

const char *machine_make_iso(const struct machine *m)
{
	const char *path = work_path("boot.iso"), *tree = work_path("iso");
	shell_must(10, "mkdir -p %s/boot/grub && cp %s %s/boot/cinnabar && cp %s %s/boot/vmm", tree, kernel_file, tree, vmm_file, tree);
	bool root = !m->o.modules;
	if (root)
		shell_must(20, "cp %s/rootfs.ext2 %s/boot/ && PATH=$PATH:/sbin:/usr/sbin resize2fs -f %s/boot/rootfs.ext2 %dM", build_dir, tree,
			   tree, ISO_ROOT_MIB);
	FILE *f = fopen(work_path("iso/boot/grub/grub.cfg"), "w");
	if (!f)
		give_up(BROKEN, "grub.cfg: %s", strerror(errno));
	fprintf(f, "set timeout=0\nmenuentry cinnabar {\n\tmultiboot /boot/cinnabar %s\n%s}\n", machine_cmdline(m), /* quotes as ours */
		root ? "\tmodule /boot/vmm vmm\n\tmodule --nounzip /boot/rootfs.ext2 rootfs\n" : "");
	fclose(f);
	shell_must(60, "grub-mkrescue -o %s %s", path, tree);
	return path;
}

/* What stays the same when somebody starts this machine by hand. */
static void qemu_arguments(struct machine *m, struct arguments *a)
{
	const struct machine_options *o = &m->o;
	arg(a, "qemu-system-i386"), arg(a, "-m"), arg(a, "%u", o->mem);
	arg(a, "-smp"), arg(a, "cpus=%u,cores=1,threads=1,sockets=%u", o->cpus, o->cpus);
	if (o->counted || (o->cpus == 1 && !o->free_running))
		arg(a, "-icount"), arg(a, machine_debugged ? "shift=0" : "shift=0,sleep=off"), arg(a, "-rtc"), arg(a, "clock=vm");
	if (o->iso || o->iso_file) {
		arg(a, "-cdrom"), arg(a, "%s", o->iso_file ? o->iso_file : machine_make_iso(m));
	} else {
		arg(a, "-kernel"), arg(a, "%s", kernel_file);
		arg(a, "-append"), arg(a, "%s", machine_cmdline(m));
		if (!o->modules)
			arg(a, "-initrd"), arg(a, "%s vmm,%s/rootfs.ext2 rootfs", vmm_file, build_dir);
		else if (*o->modules)
			arg(a, "-initrd"), arg(a, "%s", o->modules);
	}
	if (o->disk)
		arg(a, "-drive"), arg(a, "file=%s,format=raw,if=ide,index=0,media=disk", o->disk);
	arg(a, "-display"), arg(a, "none"), arg(a, "-no-reboot"), arg(a, "-net"), arg(a, "none");
	arg(a, "-device"), arg(a, "isa-debug-exit,iobase=0xf4,iosize=4");
}

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

/* Two pipes: a pipe keeps 64 KiB that nobody has read yet, a socket some 300 bytes if they come one by one, and then drops some. */
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

/* QEMU has opened its end. */
static void open_serial_in(struct machine *m, const char *path)
{
	char name[4096];
	snprintf(name, sizeof(name), "%s.in", path);
	for (double end = machine_limit(20); (m->serial_in = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0; usleep(2000)) {
		if (machine_ended(m)) {
			char text[600] = "";
			shell(text, sizeof(text), 5, "tail -c 500 %s", work_path("qemu.err"));
			give_up(BROKEN, "QEMU ended at once with status %d: %s", m->exit_status, text);
		}
		if (now() > end)
			give_up(BROKEN, "QEMU does not open %s", name);
	}
}

/* Names of sockets and pipes tell the machines of one test apart. */
static const char *own_path(const struct machine *m, const char *name)
{
	unsigned n = 0;
	char text[64];
	for (const struct machine *other = m->next; other; other = other->next)
		n++;
	snprintf(text, sizeof(text), "%u.%s", n, name);
	return work_path(text);
}

static void qemu_start(struct machine *m)
{
	struct arguments a = { .n = 0 };
	qemu_arguments(m, &a);
	m->by_hand = join(&a, "-serial mon:stdio");
	m->ram_bytes = (size_t)m->o.mem << 20;
	int ram = open(own_path(m, "ram"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (ram < 0 || ftruncate(ram, (off_t)m->ram_bytes) < 0 ||
	    (m->ram = mmap(NULL, m->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0)) == MAP_FAILED)
		give_up(BROKEN, "memory file: %s", strerror(errno));
	close(ram);
	arg(&a, "-S"), arg(&a, "-machine"), arg(&a, "pc,memory-backend=ram");
	arg(&a, "-object"), arg(&a, "memory-backend-file,id=ram,size=%uM,mem-path=%s,share=on", m->o.mem, own_path(m, "ram"));
	make_serial(m, own_path(m, "serial"));
	arg(&a, "-serial"), arg(&a, "pipe:%s", own_path(m, "serial"));
	arg(&a, "-qmp"), arg(&a, "unix:%s,server=on,wait=off", own_path(m, "qmp"));
	arg(&a, "-gdb"), arg(&a, "unix:%s,server=on,wait=off", own_path(m, "gdb"));
	if (machine_traced)
		arg(&a, "-d"), arg(&a, "int,cpu_reset"), arg(&a, "-D"), arg(&a, "%s", work_path("traps"));
	int err = open(work_path("qemu.err"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	m->pid = process_start(a.v, -1, err, err);
	close(err);
	for (unsigned i = 0; i < a.n; i++)
		free(a.v[i]);
	open_serial_in(m, own_path(m, "serial"));
	qmp_connect(m, own_path(m, "qmp"));
	m->gdb = -1;
	if (!m->o.paused && !machine_debugged)
		machine_continue(m);
}

struct machine *machine_start(const struct machine_options *o)
{
	struct machine *m = calloc(1, sizeof(*m));
	m->o = *o;
	m->o.cpus = o->cpus ? o->cpus : 1;
	m->o.mem = o->mem ? o->mem : 64;
	m->log = calloc(1, 1);
	m->exit_status = -1;
	m->next = machines;
	machines = m;
	if (o->bochs)
		bochs_start(m);
	else
		qemu_start(m);
	return m;
}

void machine_pump(struct machine *m)
{
	char buf[4096];
	ssize_t got;
	struct pollfd p = { .fd = m->serial, .events = POLLIN };
	while (m->serial >= 0 && poll(&p, 1, 0) > 0 && (got = read(m->serial, buf, sizeof(buf))) > 0) {
		char *log = realloc(m->log, m->log_bytes + (size_t)got + 1);
		if (!log)
			give_up(BROKEN, "no memory for the serial log");
		m->log = log;
		for (ssize_t i = 0; i < got; i++) /* lines end as on the host; NUL would end the log */
			if (buf[i] != '\r' && buf[i] != '\0')
				m->log[m->log_bytes++] = buf[i];
		m->log[m->log_bytes] = '\0';
	}
}

bool machine_ended(struct machine *m)
{
	if (m->pid) {
		m->exit_status = process_wait(m->pid, 0);
		if (m->exit_status >= 0)
			m->pid = 0;
		if (m->exit_status >= KILLED)
			give_up(BROKEN, "%s was ended by signal %d (%s)", m->o.bochs ? "Bochs" : "QEMU", m->exit_status - KILLED,
				strsignal(m->exit_status - KILLED));
	}
	return !m->pid;
}

double machine_limit(double seconds)
{
	return now() + seconds * machine_patience;
}

/* A machine that is halted with interrupts off executes nothing any more. */
static bool dead(struct machine *m)
{
	enum { SECONDS = 1, IF = 1 << 9 };
	if (now() - m->moved < SECONDS)
		return false;
	char *text = qmp_if_there(m, "human-monitor-command", "{\"command-line\":\"info registers\"}");
	const char *flags = text ? strstr(text, "EFL=") : NULL;
	bool halted = flags && strstr(text, "HLT=1") && !(strtoul(flags + 4, NULL, 16) & IF);
	free(text);
	return halted;
}

bool machine_late(struct machine *m, double limit)
{
	unsigned budget = m->o.budget ? m->o.budget : machine_budget;
	if (machine_debugged)
		return false;
	if (budget == 0 || m->o.cpus > 1 || m->o.bochs || m->o.free_running)
		return m->late = now() > limit;
	if (machine_ended(m) || now() - m->asked < 0.1) /* seldom enough to cost nothing */
		return false;
	uint64_t before = m->instructions;
	m->asked = now();
	if (qmp_instructions(m) != before)
		m->moved = m->asked;
	if (!m->pid)
		return false;
	m->late = m->instructions > budget * 1000000ull || dead(m);
	if (m->asked > limit && m->instructions > budget * 900000ull) /* nearly: slow instructions, not a slow host */
		m->late = true;
	if (!m->late && m->asked > limit)
		give_up(BROKEN, "this host is too slow: %llu of %u million instructions when the time was over",
			(unsigned long long)m->instructions / 1000000, budget);
	return m->late;
}

bool machine_sees(struct machine *m, const char *text, double seconds)
{
	for (double limit = machine_limit(seconds);;) {
		bool over = machine_ended(m) || (m->o.bochs && bochs_stopped(m)) || machine_late(m, limit);
		machine_pump(m);
		const char *at = strstr(m->log + m->seen, text);
		if (at) {
			m->seen = (size_t)(at - m->log) + strlen(text);
			m->late = false;
			return true;
		}
		if (over)
			return false;
		struct pollfd p = { .fd = m->serial, .events = POLLIN };
		poll(&p, 1, 20);
	}
}

void machine_expect(struct machine *m, const char *text, double seconds)
{
	if (machine_sees(m, text, seconds))
		return;
	if (!m->pid)
		give_up(FAILED, "the machine ended with status %d before \"%s\" came", m->exit_status, text);
	give_up(FAILED, "\"%s\" did not come on the serial line in time", text);
}

void machine_send(struct machine *m, const char *text)
{
	for (size_t n = strlen(text); n > 0;) {
		ssize_t done = write(m->serial_in, text, n);
		for (double end = now() + 5; done < 0 && !machine_ended(m) && now() < end;) /* was it killed? then this gives up */
			usleep(2000);
		if (done < 0)
			give_up(FAILED, "the machine's serial line is gone");
		text += done, n -= (size_t)done;
		machine_pump(m);
	}
}

int machine_wait(struct machine *m, double seconds)
{
	if (m->o.bochs)
		return bochs_wait(m, seconds);
	for (double limit = machine_limit(seconds); !machine_ended(m); usleep(2000)) {
		machine_pump(m);
		if (machine_late(m, limit))
			give_up(FAILED, "the machine did not end in time");
	}
	machine_pump(m);
	return m->exit_status;
}

void machine_stop(struct machine *m)
{
	if (m->o.bochs) {
		bochs_stop(m);
	} else {
		free(qmp(m, "stop", NULL));
		if (m->gdb >= 0)
			gdb_settle(m);
	}
	machine_pump(m);
}

void machine_continue(struct machine *m)
{
	if (m->o.bochs) {
		m->stopped = false;
		dprintf(m->monitor_in, "c\n");
	} else {
		free(qmp_if_there(m, "cont", NULL)); /* it may come to its end sooner than to its answer */
	}
}

void machine_quit(struct machine *m)
{
	if (m->pid)
		process_kill(m->pid);
	m->pid = 0;
	machine_pump(m);
}

void machine_describe(const struct machine *m, FILE *to)
{
	const char *tail = m->log + m->log_bytes;
	for (int lines = 0; tail > m->log && lines <= 24; tail--)
		lines += tail[-1] == '\n';
	fprintf(to, "by hand: %s\nend of the serial log:\n", m->by_hand);
	for (bool first = true; *tail; tail++) {
		if (first)
			fputs("    | ", to);
		first = *tail == '\n';
		fputc(*tail == '\n' || *tail == '\t' || (*tail >= ' ' && *tail < 127) ? *tail : '?', to);
	}
	fputc('\n', to);
}
