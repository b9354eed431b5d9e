/* SPDX-License-Identifier: MIT */
/*
 * What a report says: the cause of a failure first, and right, whatever the submission prints; what
 * is the consequence of something else, after it.
 */
#include "grading.h"

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

static void causes(const struct test *t)
{
	(void)t;
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
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

/* A second symbol with a name of the kernel's is refused: checks could look at the wrong one. */
static void symbol_twice(const struct test *t)
{
	const char *dir = reference("clash");
	(void)t;
	shell_must(10, "echo '__attribute__((used)) static void kmain(void) { }'"
		       " >>%s/kernel/mm/p2m.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a name that is there already");
	check_said("more than one symbol kmain");
}

const struct test grader_report_tests[] = {
	{ .name = "grader-causes", .run = causes, .seconds = 300 },
	{ .name = "grader-symbol-twice", .run = symbol_twice, .seconds = 60 },
	{ 0 },
};
