/* SPDX-License-Identifier: MIT */
/*
 * Guests, made and ended by the program `dom`: their life, their disks, and the memory that comes
 * back. Their disks are files of domain 0's root; the host's tools look into them afterwards.
 */
#include "domain_abi.h"
#include "offsets.h"
#include "rollback.h"

#define TOOLS "PATH=$PATH:/usr/sbin:/sbin; "

/* --- a root with images for guests --- */

/* The text for QEMU's -initrd: VMM, and a root of 16 MiB with /boot/disk.ext2 of disk_mib MiB. */
static const char *big_root(unsigned disk_mib)
{
	static char text[700];
	const char *disk = work_path("disk.ext2"), *root = work_path("root.ext2");
	shell_must(60, "ROOT_MIB=%u tools/mkroot %s $(ls %s/bin/* | grep -v usertests) && "
		   "ROOT_MIB=16 ROOT_BOOT='%s/boot/cinnabar %s/boot/guest.ext2 %s' "
		   "tools/mkroot %s %s/bin/*", disk_mib, disk, build_dir, build_dir, build_dir,
		   disk, root, build_dir);
	snprintf(text, sizeof(text), "%s vmm,%s rootfs", vmm_file, root);
	return text;
}

/* A file of the root, which the machine's end saved, becomes work_path(name). It is an image. */
static const char *take_image(const char *path, const char *name)
{
	const char *got = work_path(name);
	shell_must(30, TOOLS "debugfs -R 'dump %s %s' %s && test -s %s", path, got,
		   work_path("ramdisk.ext2"), got);
	return got;
}

/* Type at domain 0's prompt; what it prints must have each text. */
static void expect_all(struct machine *m, const char *words, double seconds,
		       const char *const *texts)
{
	size_t from = m->seen;
	command(m, words, seconds);
	for (; *texts; texts++)
		CHECK(strstr(m->log + from, *texts), "`%s` did not say \"%s\"", words, *texts);
}
#define SAYS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* Open a guest's console, which shows its prompt; or leave it. */
static void enter_console(struct machine *m, const char *name)
{
	char text[80];
	snprintf(text, sizeof(text), "dom console %s\n", name);
	machine_send(m, text);
	machine_expect(m, "leaves it", 20);
	machine_expect(m, PROMPT, 60);
}

static void leave_console(struct machine *m)
{
	machine_send(m, "\035");
	machine_expect(m, PROMPT, 20);
}

/* Frames that are neither domain 0's nor the VMM's. */
static unsigned guest_frames(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	unsigned n = 0, frames = m->o.mem ? m->o.mem * 256 : 64 * 256;
	machine_stop(m);
	machine_state(m, c);
	struct frame_state *f = frame_table_read(m, c[0].cr3, frames);
	for (unsigned i = 0; i < frames; i++)
		n += f[i].owner > 1 && f[i].owner < 0xFF;
	free(f);
	machine_continue(m);
	return n;
}

/* Ports of domain 0 that are in use. */
static unsigned used_ports(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t domain, ports, n, used = 0;
	machine_stop(m);
	machine_state(m, c);
	virtual_read(m, c[0].cr3, vmm_symbol("domains") + 4, &domain, 4);
	virtual_read(m, c[0].cr3, domain + DOMAIN_PORTS, &ports, 4);
	virtual_read(m, c[0].cr3, domain + DOMAIN_NR_PORTS, &n, 4);
	uint8_t *table = malloc(n * PORT_BYTES);
	virtual_read(m, c[0].cr3, ports, table, n * PORT_BYTES);
	for (uint32_t i = 0; i < n; i++)
		used += table[i * PORT_BYTES + PORT_USED];
	free(table);
	machine_continue(m);
	return used;
}

/* --- tests --- */

/* number: 1 with the scheduler's other policy. */
static void life(const struct test *t)
{
	if (t->number)
		use_robin_build();
	struct machine *m = start_to_prompt(&t->machine);
	expect_all(m, "dom create a", 20, SAYS("guests need virtual mode"));
	command(m, "echo virtual >/proc/mode", 20);
	expect_all(m, "dom create A; dom create a mem=no; dom create a disk=/no; dom kill a", 20,
		   SAYS("`A` is none", "mem=no needs a number", "disk /no cannot be used",
			"there is no guest a"));
	expect_all(m, "dom create a mem=1M; dom create a disk=/bin/ls", 20,
		   SAYS("cannot be built", "try another mem=", "must be an ext2 image"));
	expect_all(m, "dom create a weight=70000; dom create A disk=/etc; dom frob a", 20,
		   SAYS("the weight of a must be", "`A` is none", "frob is no command"));
	CHECK(guest_frames(m) == 0 && used_ports(m) == 0,
	      "a guest that could not be made has frames, or ports");
	command(m, "dom create a; dom create b cmdline=panic=x", 60);
	command(m, "dom create c 'cmdline=run=true lost'", 60);
	expect_all(m, "dom create a; sleep 2; dom list", 60,
		   SAYS("there is a guest a", "a               runs", "panicked", "status 0"));
	enter_console(m, "a");
	expect_all(m, "cat /proc/mode", 20, SAYS("full, guest"));
	leave_console(m);
	unsigned frames = guest_frames(m);
	CHECK(used_ports(m), "a guest has no port");
	CHECK(frames >= 2048 && frames < 2100, "a guest of 8 MiB has %u frames", frames);
	expect_all(m, "dom pause a; dom list; dom weight a 5x", 20,
		   SAYS("a               paused", "the weight of a must be"));
	machine_send(m, "dom console a\n");
	machine_expect(m, "`dom resume a` lets it answer", 20);
	machine_expect(m, "full, guest", 20); /* what it said before */
	machine_expect(m, PROMPT, 20);
	leave_console(m);
	command(m, "dom resume a", 20);
	expect_all(m, "echo native >/proc/mode; cat /proc/mode", 20, SAYS("virtual"));
	expect_all(m, "dom kill a; dom list", 20, SAYS("a               ended", "killed"));
	CHECK(guest_frames(m) == 0, "a guest that was killed still has frames");
	expect_all(m, "dom console b </dev/null", 20,
		   SAYS("b has ended", "kernel panic: asked for by panic=x"));
	expect_all(m, "dom console c </dev/null", 20, SAYS("unknown option `lost` ignored"));
	command(m, "dom kill a; dom kill b; dom kill c; sleep 1", 20);
	CHECK(used_ports(m) == 0, "%u ports of guests that are gone are open", used_ports(m));
	end_native(m);
}

/* The VMM refuses a birth, whose directory the debugger has changed: all is given back. */
static void refused(const struct test *t)
{
	static const uint32_t none = 0xFFFFFFFF;
	struct machine *m = start_to_prompt(&t->machine);
	struct cpu_state c[CPUS_MAX];
	command(m, "echo virtual >/proc/mode", 20);
	machine_stop(m);
	gdb_connect(m);
	debug_break(m, vmm_symbol("guest_birth"), true);
	machine_send(m, "dom create a\n");
	CHECK(debug_run(m, 20), "no guest is born");
	machine_state(m, c);
	uint32_t at = c[0].ecx + offsetof(struct domain_op, directory); /* its third argument */
	physical_write(m, page_walk(m, c[0].cr3, at).machine, &none, sizeof(none));
	debug_break(m, vmm_symbol("guest_birth"), false);
	machine_continue(m);
	machine_expect(m, "the VMM refuses it", 20);
	machine_expect(m, PROMPT, 20);
	CHECK(guest_frames(m) == 0, "a guest that was refused has frames");
	CHECK(used_ports(m) == 0, "%u ports of a guest that was refused are open", used_ports(m));
	end_native(m);
}

/* Two guests write to their disks, and read them back; the host reads them, too. */
static void disks(const struct test *t)
{
	struct machine_options o = t->machine;
	o.modules = big_root(3);
	struct machine *m = start_to_prompt(&o);
	command(m, "echo virtual >/proc/mode; cp /boot/disk.ext2 /tmp/a; cp /tmp/a /tmp/b", 60);
	command(m, "dom create c disk=/tmp/a", 60);
	expect_all(m, "dom create a disk=/tmp/a:ro", 20, SAYS("is another guest's"));
	command(m, "dom kill c; dom kill c", 60);
	command(m, "dom create a disk=/tmp/a 'cmdline=run=\"work 20; cp /bin/sh /tmp/x\"'", 60);
	command(m, "dom create b vcpus=2 disk=/tmp/b "
		   "'cmdline=run=\"work 20; cp /bin/ls /tmp/x\"'", 60);
	for (const char *const *name = SAYS("a", "b"); *name; name++)
		CHECK(strstr(last_words(m, *name), "work files:"), "%s wrote no files", *name);
	command(m, "dom kill a; dom kill b; sync", 20);
	CHECK(guest_frames(m) == 0, "guests that have ended still have frames");
	end_at_prompt(m);
	const char *a = take_image("/tmp/a", "a.ext2"), *b = take_image("/tmp/b", "b.ext2");
	root_check_file(a);
	root_check_file(b);
	shell_must(30, TOOLS "debugfs -R 'dump /tmp/x %s.x' %s && cmp %s.x %s/bin/sh && "
		   "debugfs -R 'dump /tmp/x %s.x' %s && cmp %s.x %s/bin/ls", a, a, a, build_dir,
		   b, b, b, build_dir);
}

/* One image is the root of two guests, which cannot change it. */
static void read_only(const struct test *t)
{
	struct machine_options o = t->machine;
	o.modules = big_root(1);
	struct machine *m = start_to_prompt(&o);
	command(m, "echo virtual >/proc/mode; cp /boot/disk.ext2 /tmp/a", 60);
	command(m, "dom create b disk=/tmp/a:ro; dom create a disk=/tmp/a:ro 'cmdline=run=\""
		   "echo x >/f; mkdir /d; rm /bin/ls; rmdir /tmp; mv /bin/ls /x; ln /bin/ls /y; "
		   "echo x >>/etc/motd; cat /etc/motd; ls /bin; sync; shutdown\"'", 60);
	expect_all(m, "dom create c disk=/tmp/a", 20, SAYS("is another guest's"));
	expect_all(m, "sleep 5; dom list", 60, SAYS("a               ended", "status 0"));
	size_t from = m->seen;
	expect_all(m, "dom console a </dev/null", 20, SAYS("Cinnabar.", "shutdown"));
	unsigned refused = 0;
	for (const char *at = m->log + from; (at = strstr(at, "read-only file system")); at++)
		refused++;
	CHECK(refused == 7, "%u of 7 changes were refused", refused);
	enter_console(m, "b");
	expect_all(m, "ls /f /d /x /y; ls /bin/ls", 20, SAYS("/f", "/bin/ls"));
	leave_console(m);
	command(m, "dom kill b; sync", 20);
	end_at_prompt(m);
	const char *a = take_image("/tmp/a", "a.ext2");
	root_check_file(a);
	shell_must(10, "cmp %s %s", a, work_path("disk.ext2"));
}

/* --- make demo-domains --- */

/* Make a guest that works, wait for its end, and show its results. Result: their text. */
static char *work_in_guest(struct machine *m, const char *when)
{
	command(m, "dom create worker disk=/tmp/work 'cmdline=run=\"work 60\"'", 60);
	const char *begin = strstr(last_words(m, "worker"), "work files:");
	CHECK(begin, "the worker wrote no files");
	char *line = strndup(begin, strcspn(begin, "\r\n"));
	printf("    %s: %s\n", when, line);
	fflush(stdout);
	command(m, "dom kill worker", 20);
	return line;
}

/* Who owns the machine's frames, as the VMM's frame table says. */
static void print_owners(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	unsigned n[256] = { 0 };
	machine_stop(m);
	machine_state(m, c);
	struct frame_state *f = frame_table_read(m, c[0].cr3, m->o.mem * 256);
	for (unsigned i = 0; i < m->o.mem * 256; i++)
		n[f[i].owner]++;
	free(f);
	machine_continue(m);
	printf("    frames, seen from outside:");
	for (unsigned i = 1; i < 0xFF; i++)
		if (n[i])
			printf(" domain %u: %u", i - 1, n[i]);
	puts("");
	fflush(stdout);
}

void demo_domains(const struct test *t)
{
	struct machine_options o = t->machine;
	o.modules = big_root(3);
	puts("demo: a guest works, alone at first:");
	struct machine *m = start_to_prompt(&o);
	command(m, "echo virtual >/proc/mode; cp /boot/disk.ext2 /tmp/work", 60);
	command(m, "cp /boot/disk.ext2 /tmp/hog", 60);
	char *alone = work_in_guest(m, "alone");
	puts("demo: now beside a fork bomb, and beside one that keeps its disk busy:");
	command(m, "dom create hog disk=/tmp/hog 'cmdline=run=\"stress 10000\"'", 60);
	command(m, "dom create bomb", 60);
	enter_console(m, "bomb");
	machine_send(m, "echo 'sh /tmp/b & sh /tmp/b' >/tmp/b; sh /tmp/b\n");
	machine_expect(m, "out of memory", 60);
	leave_console(m);
	char *beside = work_in_guest(m, "beside the two");
	size_t from = m->seen;
	command(m, "dom list", 60);
	const char *list = strstr(m->log + from, "NAME ");
	CHECK(list, "dom list shows nothing");
	printf("%.*s", (int)strcspn(list, "$") - (int)strlen("cinnabar:/"), list);
	print_owners(m);
	puts("\ndemo: both are killed, and the VMM slides out:");
	command(m, "dom kill hog; dom kill bomb; dom kill hog; dom kill bomb; dom list", 60);
	print_owners(m);
	end_native(m);
	CHECK(strcmp(alone, beside) == 0, "the worker's result is another one beside the two");
	root_check_file(take_image("/tmp/work", "work.ext2"));
	puts("demo: native again; the worker's results are the same; domain 0's file system and\n"
	     "      the worker's disk are clean (e2fsck). docs/domains.md tells more.");
}

const struct test dom_tests[] = {
	{ .name = "dom-life", .run = life, .seconds = 200 },
	{ .name = "dom-life-4cpus", .run = life, .seconds = 200,
	  .machine = { .cpus = 4, .p2m = "shuffle:5" } },
	{ .name = "dom-life-bochs", .run = life, .seconds = 300,
	  .machine = { .bochs = true, .guests = true } },
	{ .name = "dom-refused", .run = refused, .seconds = 60 },
	{ .name = "dom-read-only", .run = read_only, .seconds = 200 },
	{ .name = "dom-disks", .run = disks, .seconds = 300 },
	{ .name = "dom-disks-4cpus", .run = disks, .seconds = 300, .machine = { .cpus = 4 } },
	{ .name = "dom-disks-parallel", .run = disks, .seconds = 300,
	  .machine = { .cpus = 2, .free_running = true } },
	{ 0 }
};

const struct test dom_soak_tests[] = {
	{ .name = "soak-dom-robin", .run = life, .seconds = 300, .number = 1 },
	{ .name = "soak-dom-robin-4cpus", .run = life, .seconds = 300, .number = 1,
	  .machine = { .cpus = 4, .p2m = "shuffle:5" } },
	{ 0 }
};
