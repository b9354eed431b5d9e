/* SPDX-License-Identifier: MIT */
/*
 * Input that no one should trust: damaged file systems, odd modules and command lines, little
 * memory. The kernel may refuse it by a panic that names the cause while it boots; it must not
 * break later, and it must not hang.
 */
#include "tests.h"
#include "vmm_abi.h"
#include <errno.h>

enum { BLOCK = 4096, FLIPS = 40, SECONDS = 60 };

/* Commands that walk over the whole tree, read and write. */
#define WALK \
	"ls -l /; ls -l /bin /etc /tmp; cat /etc/motd; " \
	"mkdir /tmp/d; echo hello > /tmp/d/f; cat /tmp/d/f; " \
	"cp /bin/ls /tmp/d/ls; mv /tmp/d/f /tmp/g; rm /tmp/g /tmp/d/ls; rm /tmp/d; sync"

/* --- file systems --- */

/* The machine may end with any exit status of the shell, or by a panic in boot with a cause. */
static void check_end(struct machine *m, int status)
{
	if (status == EXIT_PANIC)
		CHECK(strstr(m->log, "kernel panic: boot: "),
		      "a damaged file system made the kernel panic");
	else
		CHECK(status >= EXIT_OK && status % 2 == 1, "the machine ended with status %d",
		      status);
}

static void walk_image(const char *path)
{
	struct machine_options o = { .modules = "", .disk = path, .cmdline = "run=\"" WALK "\"" };
	struct machine *m = machine_start(&o);
	check_end(m, machine_wait(m, SECONDS));
	machine_quit(m);
}

/*
 * Change bytes at random where the structure is. With every fourth seed only two bytes of the super
 * block: with more changes there the file system is never mounted.
 */
static void damage(const char *path, unsigned seed)
{
	static const long parts[][2] = { /* first byte, number of bytes */
		{ 1024, 264 },              /* super block */
		{ BLOCK, 32 },              /* group descriptor */
		{ 2 * BLOCK, 2 * BLOCK },   /* bitmaps */
		{ 4 * BLOCK, 4 * BLOCK },   /* first inodes */
		{ 4 * BLOCK, 36 * BLOCK },  /* inodes */
		{ 36 * BLOCK, 8 * BLOCK },  /* first directories */
	};
	bool super_only = seed % 4 == 0;
	FILE *f = fopen(path, "r+");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	srand(seed);
	for (unsigned i = 0; i < (super_only ? 2 : FLIPS); i++) {
		const long *part = parts[(unsigned)rand() % (super_only ? 1 : 6)];
		fseek(f, part[0] + rand() % part[1], SEEK_SET);
		fputc(rand(), f);
	}
	fclose(f);
}

static void damaged(const struct test *t)
{
	for (unsigned seed = t->number; seed < t->number + 6; seed++) {
		char name[32];
		snprintf(name, sizeof(name), "damaged-%u.ext2", seed);
		const char *path = root_copy(name);
		damage(path, seed);
		walk_image(path);
		unlink(work_path(name));
	}
}

static void truncated(const struct test *t)
{
	static const char *const sizes[] = {
		"0", "512", "1500", "5000", "20000", "200000", "3000000",
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *path = root_copy("truncated.ext2");
		shell_must(10, "truncate -s %s %s && truncate -s %%512 %s", sizes[i], path, path);
		if (atoi(sizes[i]) >= 512)
			walk_image(path);
	}
}

/* --- modules, command lines, memory --- */

/* Boot must end with a panic that says t->text. */
static void refused(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	int status = machine_wait(m, SECONDS);
	CHECK(status == EXIT_PANIC,
	      "the machine ended with status %d, not with a panic in boot (%d)", status,
	      EXIT_PANIC);
	const char *cause = strstr(m->log, "kernel panic: boot: ");
	CHECK(cause && strstr(cause, t->text), "the panic does not say \"%s\"", t->text);
}

/*
 * The same with a module of t->number bytes, whose words are machine.modules: of zeros if the
 * test's name says so, otherwise the first bytes of our kernel.
 */
static void refused_module(const struct test *t)
{
	struct test with = *t;
	char modules[600];
	const char *path = work_path("noise");
	shell_must(10, "head -c %u %s > %s", t->number,
		   strstr(t->name, "zero") ? "/dev/zero" : kernel_file, path);
	snprintf(modules, sizeof(modules), "%s %s", path, t->machine.modules);
	with.machine.modules = modules;
	refused(&with);
}

/*
 * tools/run with t->text as environment and arguments must end with status t->number, and say
 * t->machine.cmdline.
 */
static void run_says(const struct test *t)
{
	char text[3000];
	const char *says = t->machine.cmdline;
	int status = shell(text, sizeof(text), SECONDS, "export BUILD=%s; %s </dev/null 2>&1",
			   build_dir, t->text);
	CHECK(status == (int)t->number, "tools/run ended with status %d, not %u:\n%s", status,
	      t->number, text);
	CHECK(strstr(text, says), "nobody said \"%s\":\n%s", says, text);
}

/* --- the loader's memory map: the kernel stops before it reads it, and gets another one --- */

enum { RANGES_AT = 0x60000, RANGES = 8, RANGE_WORDS = 6 };

struct map_case {
	const char *name, *says; /* of the panic; NULL: a prompt */
	uint32_t frames;         /* that the kernel must have then, but for its own reserved ones */
	struct { uint64_t base, bytes; uint32_t type; } ranges[RANGES];
};
#define LOW_MEMORY { 0, 0x9F000, 1 }
#define KIB(n) ((n) * 1024ull)
#define MIB(n) ((n) * 1048576ull)
static const struct map_case map_cases[] = {
	{ "reserved within usable", NULL, 0x9F + 48 * 256 - 2,
	  { LOW_MEMORY, { MIB(1), MIB(48), 1 }, { MIB(40) + 100, KIB(5), 2 } } },
	{ "usable twice, unsorted, empty, beyond 4 GiB, around the end", NULL, 0x9F + 50 * 256,
	  { { MIB(30), MIB(21), 1 }, { MIB(1), MIB(40), 1 }, LOW_MEMORY, { MIB(60), 0, 1 },
	    { MIB(61), 100, 1 }, { MIB(4096), MIB(100), 1 }, { MIB(4096) - 1, ~0ull, 2 } } },
	{ "nothing", "memory", 0, { LOW_MEMORY } },
	{ "kernel not in memory", "no room where the kernel was loaded", 0,
	  { LOW_MEMORY, { MIB(20), MIB(40), 1 } } },
	{ "kernel reserved", "no room where the kernel was loaded", 0,
	  { LOW_MEMORY, { MIB(1), MIB(48), 1 }, { MIB(1), KIB(64), 2 } } },
};

static void put_map(struct machine *m, const struct map_case *c)
{
	uint32_t words[RANGES * RANGE_WORDS], at[2], info;
	for (unsigned i = 0; i < RANGES; i++) {
		uint32_t *w = words + i * RANGE_WORDS;
		*w = (RANGE_WORDS - 1) * 4;
		memcpy(w + 1, &c->ranges[i].base, 8);
		memcpy(w + 3, &c->ranges[i].bytes, 8);
		w[5] = c->ranges[i].type;
	}
	gdb_read(m, gdb_register(m, GDB_ESP) + 8, &info, 4);
	physical_write(m, RANGES_AT, words, sizeof(words));
	at[0] = sizeof(words), at[1] = RANGES_AT;
	physical_write(m, info + 44, at, sizeof(at)); /* mmap_length, mmap_addr */
}

static void memory_maps(const struct test *t)
{
	for (unsigned i = 0; i < sizeof(map_cases) / sizeof(map_cases[0]); i++) {
		const struct map_case *c = &map_cases[i];
		struct machine *m = machine_start(&t->machine);
		gdb_connect(m);
		gdb_break(m, symbol("boot_parse"), true);
		CHECK(gdb_run(m, SECONDS), "boot_parse() was not called");
		gdb_break(m, symbol("boot_parse"), false);
		put_map(m, c);
		gdb_disconnect(m);
		if (c->says) {
			CHECK(machine_wait(m, SECONDS) == EXIT_PANIC, "%s: no panic", c->name);
			CHECK(strstr(m->log, c->says), "%s: the panic does not say \"%s\"",
			      c->name, c->says);
			continue;
		}
		CHECK(machine_sees(m, PROMPT, SECONDS), "%s: no prompt", c->name);
		machine_stop(m);
		uint32_t n = kernel_word(m, "nr_pfns");
		CHECK(n <= c->frames && n + 1000 > c->frames, "%s: %u frames, not %u", c->name, n,
		      c->frames);
		machine_quit(m);
	}
}

/* Whatever the command line says, the machine gets to its prompt. text: what is not printed. */
static void ignored(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	CHECK(!t->text || !strstr(m->log, t->text), "it says `%s`", t->text);
	end_at_prompt(m);
}

static void little_memory(const struct test *t)
{
	struct machine_options o = t->machine;
	o.modules = "";
	o.disk = root_copy("disk.ext2");
	struct machine *m = machine_start(&o);
	if (machine_sees(m, PROMPT, SECONDS)) {
		command(m, "ls -l /bin | wc", SECONDS);
		end_at_prompt(m);
		return;
	}
	CHECK(m->pid == 0, "neither a prompt nor an end within %d s", SECONDS);
	CHECK(m->exit_status == EXIT_PANIC && strstr(m->log, "memory"),
	      "%u MiB: the machine ended with status %d and no clear message", o.mem,
	      m->exit_status);
}

/*
 * All blocks of the image but 16 are taken before boot. The kernel must report an error, and leave
 * a clean file system; after a file is removed, writing works again.
 */
static void disk_full(const struct test *t)
{
	struct machine_options o = t->machine;
	const char *path = root_copy("full.ext2"), *filler = work_path("filler");
	shell_must(30, "PATH=$PATH:/usr/sbin:/sbin; "
		       "n=$(dumpe2fs -h %s 2>/dev/null | sed -n 's/^Free blocks: *//p'); "
		       "head -c $(((n - 16) * 4096)) /dev/zero | tr '\\0' 'x' > %s && "
		       "debugfs -w -R 'write %s /filler' %s", path, filler, filler, path);
	root_check_file(path);
	o.modules = "", o.disk = path;
	struct machine *m = start_to_prompt(&o);
	for (char name = 'a'; name < 'f'; name++) {
		char text[64];
		snprintf(text, sizeof(text), "cp /bin/usertests /tmp/%c", name);
		command(m, text, SECONDS);
	}
	command(m, "mkdir /tmp/dir", SECONDS);
	CHECK(strstr(m->log, "no space left on the disk"), "no error told that the disk is full");
	command(m, "rm /filler; echo room > /tmp/after; cat /tmp/after", SECONDS);
	CHECK(strstr(m->log, "\nroom\n"), "no file can be written after room was made");
	end_at_prompt(m);
}

#define TEN(x) x x x x x x x x x x
#define RUN_TRUE "CMDLINE=run=true tools/run "
#define NO_VMM(file) RUN_TRUE "-initrd \"" file " vmm,$BUILD/rootfs.ext2 rootfs\""
/* The VMM with another second segment, without contents. */
#define CHANGED_VMM(address, size) \
	"f=$(mktemp) && trap 'rm $f' EXIT && cp $BUILD/vmm $f && printf '" address address \
	"\\0\\0\\0\\0" size "' | dd of=$f bs=1 seek=92 conv=notrunc status=none && " NO_VMM("$f")
#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define NOT_VMM "not an image of ABI version " NUMBER(VMM_ABI_VERSION) "; going on without"
#define LONG_NAME TEN("aaaaaaaaaa") /* longer than boot_module.text */
#define LONG_WORD TEN(TEN("aaaaaa")) /* longer than boot_info.cmdline */
#define ROW(n, f, s, words, ...) \
	{ .name = "hostile-" n, .run = f, .seconds = s, .text = words, __VA_ARGS__ }
#define REFUSED(n, why, ...) ROW(n, refused, 90, why, .machine = { __VA_ARGS__ })
#define MODULE(n, why, bytes, words) \
	ROW(n, refused_module, 90, why, .number = bytes, .machine = { .modules = words })
#define RUN(n, args, status, why) \
	ROW(n, run_says, 90, args, .number = status, .machine = { .cmdline = why })
#define IGNORED(n, words) ROW(n, ignored, 90, NULL, .machine = { .cmdline = words })
#define MEMORY(n, size) ROW(n, little_memory, 150, NULL, .machine = { .mem = size })
const struct test hostile_tests[] = {
	{ .name = "hostile-ext2-damage1", .run = damaged, .seconds = 400, .number = 1 },
	{ .name = "hostile-ext2-damage2", .run = damaged, .seconds = 400, .number = 101 },
	{ .name = "hostile-ext2-truncated", .run = truncated, .seconds = 400 },
	REFUSED("no-root", "no root file system", .modules = ""),
	REFUSED("p2m-word", "p2m=garbage is not known", .p2m = "garbage"),
	REFUSED("p2m-no-seed", "is not known", .p2m = "shuffle:"),
	REFUSED("p2m-seed", "a SEED from 0 to 4294967295", .p2m = "shuffle:99999999999"),
	MODULE("module-zeros", "cannot mount", 65536, "rootfs"),
	MODULE("module-noise", "cannot mount", 50000, "rootfs"),
	MODULE("module-one-byte", "cannot mount", 1, "rootfs"),
	MODULE("module-unknown", "no root file system", 5000, "something"),
	IGNORED("cmdline-quotes", "\"\"\" =\"= p2m p2m p2m== root= run \"unbalanced"),
	ROW("cmdline-blanks", ignored, 90, "unknown option", .machine = { .cmdline = "  " }),
	REFUSED("cmdline-long", "the command line is longer than 511 bytes", .cmdline = LONG_WORD),
	REFUSED("root-word", "root=disk is not known", .cmdline = "root=disk"),
	RUN("cmdline-twice", "CMDLINE='run=true run=false' " "tools/run", 0,
	    "`run=false` ignored; the first run= counts"),
	RUN("run-cmdline-long", "CMDLINE=run=true\\ " LONG_WORD " tools/run", 2, "more than 511"),
	RUN("run-memory", "MEM=1000 tools/run", 2, "2 to 896"),
	RUN("run-memory-1", "MEM=1 tools/run", 2, "2 to 896"),
	RUN("vmm-text", NO_VMM("LICENSE"), 0, NOT_VMM),
	/* a page before VMM_BASE; up to VMM_BLOCK_MAX: no room for the tables */
	RUN("vmm-below", CHANGED_VMM("\\0\\360\\377\\373", "\\0\\20\\0\\0"), 0, NOT_VMM),
	RUN("vmm-large", CHANGED_VMM("\\0\\0\\0\\375", "\\0\\0\\377\\0"), 0, "vmm: no room for "),
	RUN("no-apic", "tools/run -cpu qemu32,-apic", EXIT_PANIC, "has not a local APIC"),
	RUN("no-tsc", "tools/run -cpu pentium,-tsc", EXIT_PANIC, "not a time-stamp counter"),
	RUN("cpu-486", "tools/run -cpu 486", EXIT_PANIC,
	    "kernel panic: boot: the processor has not a local APIC"),
	RUN("isapc", "tools/run -machine isapc -cpu qemu32", EXIT_PANIC,
	    "boot: the machine has no I/O APIC"),
	RUN("no-pit", "tools/run -machine pc,pit=off", EXIT_PANIC,
	    "boot: the interval timer (PIT) does not count"),
	RUN("no-acpi", RUN_TRUE "-machine pc,acpi=off", 0, "status 0"),
	RUN("modules", "tools/run -initrd LICENSE,LICENSE,LICENSE,LICENSE,LICENSE", EXIT_PANIC,
	    "5 boot modules are more than 4"),
	RUN("module-path", "d=$(mktemp -d) && trap 'rm -r $d' EXIT && mkdir $d/rootfs && "
	    "cp $BUILD/vmm $d/rootfs/ && " RUN_TRUE
	    "-initrd \"$d/rootfs/vmm vmm,$BUILD/rootfs.ext2 rootfs\"", 0, "status 0"),
	RUN("module-ignored", RUN_TRUE
	    "-initrd \"$BUILD/vmm,$BUILD/rootfs.ext2,LICENSE rootfs\"", 0,
	    "the module `LICENSE rootfs` is ignored"),
	RUN("run-port", "NET=01500 tools/run", 2, "NET=01500 is no folder, and no port"),
	RUN("module-long-name", "d=$(mktemp -d) && trap 'rm -r $d' EXIT && f=$d/" LONG_NAME
	    " && cp $BUILD/rootfs.ext2 $f && " RUN_TRUE "-initrd \"$f rootfs\"", 0, "status 0"),
	RUN("too-much-memory", RUN_TRUE "-m 1000", 0, "896 MiB of memory are used, and 9"),
	RUN("too-many-processors", RUN_TRUE "-smp cpus=9,sockets=9,cores=1,threads=1", 0,
	    "8 of 9 processors are used"),
	ROW("memory-maps", memory_maps, 90, NULL, .machine = { .paused = true, .mem = 128 }),
	MEMORY("memory-8m", 8),
	MEMORY("memory-4m", 4),
	MEMORY("memory-2m", 2),
	{ .name = "disk-full", .run = disk_full, .seconds = 200 },
	{ 0 },
};
