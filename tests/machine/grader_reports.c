/* SPDX-License-Identifier: MIT */
/*
 * What a report says: the cause of a failure first, and right, whatever the submission prints; what
 * is the consequence of something else, after it.
 */
#include "grading.h"
#include "diagnosis.h"

/* --- the cause of one check --- */

/*
 * A submission: the reference's files, one of them changed by a program for sed. The report must
 * say the first three texts, the first of them as its cause, and must not name the last one.
 */
struct mistake {
	const char *lab, *check, *file, *sed;
	const char *cause, *says, *place, *not_said;
};

#define LAB_1 "01-paging", "identity", "kernel/mm/p2m.c"
#define IN_1 "/LAB 1 TODO 1 BEGIN/a "
#define ONLY_1 "/LAB 1 TODO 1 BEGIN/,/LAB 1 TODO 1 END/{/TODO/!d};" IN_1
#define EMPTY(k) "panic(\"lab 1, exercise " #k " is empty: see labs/01-paging/handout.md\");"
/* For sed in single quotes: each backslash of the C code twice. */
#define NO_IDT "__asm__ volatile(\"lidt %0; ud2\" : : " \
	       "\"m\"(*(const char (*)[6])\"\\\\0\\\\0\\\\0\\\\0\\\\0\"));"

static const struct mistake mistakes[] = {
	{ LAB_1, IN_1 NO_IDT, "triple fault, which began with #UD invalid opcode",
	  "then: #DF double fault", "at: assign_identity (kernel/mm/p2m.c:", ": ?" },
	{ LAB_1, IN_1 "__asm__ volatile(\"cli; hlt\");",
	  "no boot: the machine hangs: every CPU is halted with interrupts off", "cpu 0, ring 0",
	  "in exercise 1", "Recorded" },
	{ LAB_1, IN_1 "for (;;) __asm__ volatile(\"\");", "no boot: the machine hangs",
	  "cpu 0, ring 0", "in exercise 1", "halted" },
	/* an empty exercise is one whose hole is empty, not one that somebody names */
	{ LAB_1, ONLY_1 EMPTY(1), "empty exercise: lab 1, exercise 1", "empty exercises: 1",
	  "at: assign_identity (kernel/mm/p2m.c:", "outside" },
	{ LAB_1, IN_1 EMPTY(1), "unfinished exercise: lab 1, exercise 1: the handout's panic()",
	  "in exercise 1", "at: assign_identity (kernel/mm/p2m.c:", "empty exercises" },
	{ LAB_1, IN_1 EMPTY(3), "a panic of the submission's own", "in exercise 1",
	  "at: assign_identity (kernel/mm/p2m.c:", "empty exercise:" },
	{ LAB_1, IN_1 "/* lab 1, exercise 3 is empty */ panic(\"mine\");", "kernel panic: mine",
	  "in exercise 1", "at: assign_identity (kernel/mm/p2m.c:", "empty exercises" },
	{ LAB_1, IN_1 "printk(\"\\\\nkernel panic: lab 1, exercise 3 is empty: see\\\\n"
		 "eip %08x \\\\n\", assign_identity); for (;;) __asm__ volatile(\"\");",
	  "no boot: the machine hangs", "cpu 0, ring 0", "in exercise 1", "empty exercise" },
	/* who prints too much is told that, and where */
	{ "01-paging", "program", "kernel/mm/vm.c",
	  "/LAB 1 TODO 3 BEGIN/a for (int i = 0; i < 90000; i++) printk(\"walk %d\\\\n\", i);",
	  "KiB were printed and the instruction budget went there", "in exercise 3",
	  "called from: table_of (kernel/mm/vm.c:", "hangs" },
	/* a fault in the kernel, and one in the VMM after it has given the IDT back */
	{ "01-paging", "program", "kernel/mm/vm.c",
	  "/LAB 1 TODO 5 BEGIN/a *(volatile int *)0xF0000000u = 1;",
	  "fault in the kernel at drop_pages+0x", "a write to address 0xf0000000",
	  "at: drop_pages (kernel/mm/vm.c:", "?+0" },
	{ "03-switch", "sweep", "vmm/cpu/cpu.c",
	  "s/\\*tss &= ~TSS_BUSY;/(void)tss;/", "fault in the VMM at cpu_restore+0x",
	  "#GP general protection, error code 0x28 (selector 0x28, of the GDT)",
	  "at: cpu_restore (vmm/cpu/cpu.c:", "empty" },
};

/* Grade one check of a submission. Result: what the report says of it, cause first. */
static const json_t *grade_one(const struct mistake *w)
{
	const char *dir = work_path("mistake");
	shell_must(10, "rm -rf %s && mkdir %s && "
		       "cp --parents $(grep -rl 'LAB %d TODO' kernel vmm) %s && "
		       "sed -i '%s' %s/%s && ! cmp -s %s %s/%s",
		   dir, dir, atoi(w->lab), dir, w->sed, dir, w->file, w->file, dir, w->file);
	int status = shell(said, sizeof(said), SECONDS, "build/grader grade --lab %s "
			   "--submission %s --only %s --json %s", w->lab, dir, w->check,
			   work_path("r.json"));
	check_status(status, GRADED, w->sed);
	return json_array_get(json_object_get(report(), "tests"), 0);
}

/* number: how many go by for one that is graded. */
static void causes(const struct test *t)
{
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i += t->number) {
		const struct mistake *w = &mistakes[i];
		const json_t *extra = json_object_get(grade_one(w), "extra_data");
		const char *cause = json_string_value(json_object_get(extra, "cause"));
		CHECK(score() == 0, "%s: %d points", w->sed, score());
		CHECK(strstr(cause, w->cause), "%s: the cause is not \"%s\" but: %s", w->sed,
		      w->cause, cause);
		check_said(w->says);
		check_said(w->place);
		CHECK(!strstr(said, w->not_said), "%s: the grader says \"%s\":\n%s", w->sed,
		      w->not_said, said);
	}
}

/* A static function may have the name of one of the kernel's: checks look at the kernel's. */
static void symbol_twice(const struct test *t)
{
	const char *dir = solved_p2m("clash");
	(void)t;
	shell_must(10, "echo '__attribute__((used)) static void kmain(void) { }'"
		       " >>%s/kernel/mm/p2m.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a name that is there already");
	CHECK(score() > 0 && score() == max_score(), "a second kmain costs points:\n%s", said);
}

/* No submission chooses the file and the line that its own faults are said to have. */
static void own_lines(const struct test *t)
{
	static const char *const words[] = { "", ".file 1 \\\\\"x.c\\\\\"; " };
	(void)t;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *dir = solved_p2m("lines");
		shell_must(10, "sed -i '/LAB 1 TODO 1 BEGIN/a __asm__(\"%s.loc 1 1; ud2\");'"
			   " %s/kernel/mm/p2m.c", words[i], dir);
		check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
			     "a line of its own");
		check_said(i == 0 ? "unassigned file number 1" : "duplicate .debug_line sections");
		CHECK(score() == 0, "a fault in a line of its own gets %d points", score());
	}
}

/* --- messages of a machine that has ended --- */

/* What the kernel prints last; %08x is an address of given code. */
#define PANIC(text) "\nkernel panic: " text "\ncpu 0, ring 0, task 1 (init)\neip %08x esp c0\n"
#define INIT "\ninit (1): general protection (vector 13, error 0x18) at 0x8048123, " \
	     "address 0, esp 0\n"

static const struct { const char *log, *cause; unsigned panicking; } messages[] = {
	{ PANIC("out of memory"), "kernel panic: out of memory\nat: ", 1 },
	{ PANIC("out of memory"), "", 0 },
	{ "", "", 1 },
	{ PANIC("printed before") PANIC("real"), "kernel panic: real\nat: ", 1 },
	{ INIT PANIC("init ended with status 0x4d"),
	  "init, the first program, is ended by its fault: #GP general protection, error code "
	  "0x18 (selector 0x18, of the GDT), at its address 0x8048123\nat: ", 1 },
	{ INIT PANIC("init ended with status 0x100"),
	  "kernel panic: init ended with status 0x100\nat: ", 1 },
};

/* Only a message that the machine's state agrees with counts, and of several the last one. */
static void last_words(const struct test *t)
{
	struct machine m = { .ram_bytes = 64 << 20, .exit_status = EXIT_PANIC };
	(void)t;
	m.ram = calloc(1, m.ram_bytes);
	for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		uint32_t eip = symbol("task_exit") + 8;
		char *text;
		size_t size;
		memcpy(m.ram + symbol("panicking") - KERNEL_BASE, &messages[i].panicking, 4);
		if (asprintf(&m.log, messages[i].log, eip, eip) < 0)
			give_up(BROKEN, "no memory");
		FILE *f = open_memstream(&text, &size);
		bool found = print_last_words(f, &m);
		fclose(f);
		CHECK(found == (*messages[i].cause != '\0') && strncmp(text, messages[i].cause,
		      strlen(messages[i].cause)) == 0, "message %u: expected \"%s\", got \"%s\"", i,
		      messages[i].cause, text);
		free(text), free(m.log);
	}
	free(m.ram);
}

/* --- which failure explains which --- */

#define AT(k) "\nat: f (kernel/mm/vm.c:7), in exercise " #k \
	      "\nby hand: at: g (x.c:1), in exercise 9"
#define AT_GIVEN(k) "\nat: memcpy (lib/string.c:16), given code\n" \
		    "called from: f (kernel/mm/vm.c:7), in exercise " #k

/* A check of an exercise, in the table's order; what it says; what must be found. */
static const struct {
	unsigned exercise;
	const char *reason; /* NULL: it passed */
	unsigned mend;
	const char *where;
	int because;
	unsigned needs;
} failures[] = {
	{ 2, "empty exercise: lab 1, exercise 3" AT(3), 3, "kernel/mm/vm.c:7", 2, 0 },
	{ 1, NULL, 0, NULL, -1, 0 },
	{ 3, "empty exercise: lab 1, exercise 3" AT(3), 3, "kernel/mm/vm.c:7", -1, 0 },
	{ 3, "empty exercise: lab 1, exercise 3" AT(3), 3, "kernel/mm/vm.c:7", 2, 0 },
	{ 4, "entry 0x67, expected 0x1067", 4, "", -1, 0 },
	{ 5, "cannot be judged until exercise 4 is right (check tables)", 4, "", 4, 0 },
	{ 6, "fault in the kernel" AT_GIVEN(7), 7, "kernel/mm/vm.c:7", 7, 0 },
	{ 7, "fault in the kernel" AT_GIVEN(7), 7, "kernel/mm/vm.c:7", -1, 0 },
	/* nothing ties these to others: not the same words without a place, nor another place */
	{ 8, "entry 0x67, expected 0x1067", 8, "", -1, 0 },
	{ 9, "fault in the VMM" AT(7), 7, "kernel/mm/vm.c:7", -1, 0 },
	/* exercise 10 passed: then this check is the first to say so */
	{ 11, "cannot be judged until exercise 10 is right", 10, "", -1, 0 },
	{ 12, "exercise 13 leaves an entry", 13, "", -1, 0 },
	/* checks of several exercises: the place decides between two that are wrong */
	{ 12, "TSS not loaded", 12, "", 4, EXERCISES(4, 7) },
	{ 12, "fault in the VMM" AT(5), 5, "kernel/mm/vm.c:7", 4, EXERCISES(1, 9) },
	{ 12, "entry 0x77" AT(8), 8, "kernel/mm/vm.c:7", 8, EXERCISES(3, 9) },
	/* ... and an exercise whose own check passed is not the one */
	{ 12, "cannot be judged until exercise 1 is right", 1, "", 2, EXERCISES(1, 12) },
	{ 14, "fault in the VMM" AT(14), 14, "kernel/mm/vm.c:7", 4, EXERCISES(4, 14) },
	{ 12, "entry 0x88", 12, "", -1, EXERCISES(14, 20) },
	/* a check that needs fewer exercises explains one that needs more, unless its place is no
	   exercise of them */
	{ 27, "a failure in any phase", 27, "", 19, EXERCISES(21, 27) },
	{ 26, "a thousand switches", 26, "", -1, EXERCISES(21, 26) },
	{ 24, "both ways", 24, "", -1, EXERCISES(21, 26) },
	{ 27, "fault in the VMM" AT(27), 27, "kernel/mm/vm.c:7", -1, EXERCISES(21, 27) },
	/* the machine printed it: there is no such exercise */
	{ 4, "exercise 4294967295 is wrong", 4, "", -1, 0 },
};
enum { FAILURES = sizeof(failures) / sizeof(failures[0]) };

static void explains(const struct test *t)
{
	static struct result results[FAILURES];
	struct cause causes[MAX_CHECKS];
	unsigned order[MAX_CHECKS], n;
	(void)t;
	for (unsigned i = 0; i < FAILURES; i++)
		results[i] = (struct result){ .test.exercise = failures[i].exercise,
					      .test.needs = failures[i].needs,
					      .outcome = failures[i].reason ? FAILED : PASSED,
					      .reason = (char *)failures[i].reason };
	causes_find(results, FAILURES, causes);
	for (unsigned i = 0; i < FAILURES; i++) {
		int because = causes[i].because ? (int)(causes[i].because - results) : -1;
		CHECK(because == failures[i].because, "failure %u is explained by %d, not by %d", i,
		      because, failures[i].because);
		CHECK(causes[i].exercise == failures[i].mend, "failure %u: exercise %u, not %u", i,
		      causes[i].exercise, failures[i].mend);
		CHECK(!failures[i].reason || strcmp(causes[i].where, failures[i].where) == 0,
		      "failure %u: at %s, not at %s", i, causes[i].where, failures[i].where);
	}
	n = causes_order(results, FAILURES, causes, order);
	for (unsigned i = 1; i < n; i++)
		CHECK(causes[order[i - 1]].exercise <= causes[order[i]].exercise,
		      "to mend: failure %u stands before failure %u, of an earlier exercise",
		      order[i - 1], order[i]);
	CHECK(n == 12, "%u of 12 failures are to be mended", n);
}

/* A report is not put in the place of what is no file: root could take /dev/null away. */
static void report_to_device(const struct test *t)
{
	shell_must(10, "cd %s && mkdir none && ln -s /dev/null nothing", work_path("."));
	shell(NULL, 0, t->seconds, "build/grader grade --lab 01-paging --submission %s --json %s "
	      "--html %s >%s 2>&1", work_path("none"), work_path("nothing"), work_path("nothing"),
	      work_path("log"));
	shell_must(10, "cd %s && test -L nothing && test ! -e nothing.new", work_path("."));
}

const struct test grader_report_tests[] = {
	{ .name = "grader-report-to-device", .run = report_to_device, .seconds = 100 },
	{ .name = "grader-last-words", .run = last_words, .seconds = 60 },
	{ .name = "grader-explains", .run = explains, .seconds = 10 },
	{ .name = "grader-causes", .run = causes, .seconds = 600, .number = 5 },
	{ .name = "grader-own-lines", .run = own_lines, .seconds = 100 },
	{ .name = "grader-symbol-twice", .run = symbol_twice, .seconds = 60 },
	{ 0 },
};
const struct test grader_report_soak_tests[] = {
	{ .name = "soak-grader-causes", .run = causes, .seconds = 1200, .number = 1 },
	{ 0 },
};
