/* SPDX-License-Identifier: MIT */
/*
 * What a submission's code can be. The grader and its sandbox against code that reads the host's
 * files, breaks the compiler, or forges the output of a machine that passes: only what the machine
 * shows from outside gives points. And of an honest mistake the report names the cause first.
 */
#include "grading.h"
#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Append text to a file below work_dir, or write it anew. */
static void write_code(const char *name, const char *mode, const char *text)
{
	FILE *f = fopen(work_path(name), mode);
	if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) != 0)
		give_up(BROKEN, "%s: %s", name, strerror(errno));
}

/* --- files of the host --- */

/*
 * Text that looks as if it named a file is no reason to refuse: these are graded as they are. What
 * does name one finds nothing: the sandbox has no file that is not in the tree or the system's.
 */
static void outside_files(const struct test *t)
{
	static const struct { const char *line; bool builds; } cases[] = {
		{ "#include \"mm/../mm/p2m.h\"\n#define NAME \"mm/p2m.h\"\n#include NAME\n"
		  "/*\n#include \"/usr/include/stdio.h\"\n.include \"x\"\n*/\n"
		  "struct n { int included; }; int f(struct n n); int f(struct n n) "
		  "{ return n.included; } const char *s = \".incbin\";", true },
		{ "#include \"/etc/passwd\"", false },
		{ "%:include </etc/shadow>", false },
		{ "#include \"../../../build.log\"", false },
		{ "#if __has_include(\"/tree/Makefile\")\n#endif", false },
		{ "#define HAS(a) __has_##a\n#if HAS(include)(\"../../docs/index.md\")\n#endif",
		  false },
		{ "__asm__(\".incbin \\\"/etc/passwd\\\"\");", false },
		{ "__asm__(\".inc\" \"lude \\\"/opt/secret\\\"\");", false },
		{ "__asm__(\".incbin \\\"/tree/build.log\\\"\");", false },
		{ "#error gcc: fatal error: Killed signal terminated program cc1", false },
	};
	(void)t;
	need_sandbox();
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *dir = solved_p2m("include");
		write_code("include/kernel/mm/p2m.c", "a", cases[i].line);
		check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
			     cases[i].line);
		CHECK((score() > 0) == cases[i].builds, "%s: %d points:\n%s", cases[i].line,
		      score(), said);
		if (cases[i].builds)
			continue;
		check_said("does not build");
		const char *output = json_string_value(json_object_get(report(), "output"));
		CHECK(output && strncmp(output, "the submission does not build", 29) == 0,
		      "the report does not begin with why nothing ran: %s", output);
	}
}

/* --- code that breaks the compiler --- */

/*
 * Each ends the build by the limits of time and memory: 0 points. number: how many go by for one
 * that is tried.
 */
static void bombs(const struct test *t)
{
#define TEN(x) x " " x " " x " " x " " x " " x " " x " " x " " x " " x
	static const struct { const char *mode, *code; } codes[] = {
		{ "a", "__asm__(\".rept 2000000000\\n.long 1,2,3,4\\n.endr\");" },
		{ "a", "char bomb[3000000000u] = { 1 };" },
		/* a string of 40 million characters */
		{ "a", "#define A \"0123456789\" \"0123456789\" \"0123456789\" \"0123456789\"\n"
		       "#define B " TEN("A") "\n#define C " TEN("B") "\n"
		       "#define D " TEN("C") "\n#define E " TEN("D") "\n"
		       "#define F " TEN("E") "\n#define G " TEN("F") "\n"
		       "const char *bomb = G G G G;" },
		/* a file that includes itself twice, 150 levels deep */
		{ "w", "#ifndef DEEP\n#define DEEP 1\n#endif\n#if __INCLUDE_LEVEL__ < 150\n"
		       "#include \"mm/p2m.c\"\n#include \"mm/p2m.c\"\n#endif" },
	};
#undef TEN
	for (unsigned i = 0; i < COUNT(codes); i += t->number) {
		const char *dir = solved_p2m("bomb"), *code = codes[i].code;
		write_code("bomb/kernel/mm/p2m.c", codes[i].mode, code);
		check_status(run_grade("--submission %s", dir), GRADED, code);
		CHECK(score() == 0, "%s: %d points", code, score());
		check_said("does not build");
	}
}

/* --- code that pretends --- */

/*
 * A machine that prints what a passing one prints, and then ends with its exit status, or with one
 * as if QEMU had been killed, or hangs. number: 1 for all checks that boot with this
 * code, Bochs's among them, where all three hang and only the clock ends them.
 */
static void forged(const struct test *t)
{
#define SAY "printk(\"Cinnabar: 65536 KiB, 1 CPU, ring 0\\n" \
	    "all tests passed\\nscore: 100\\n$ $ $ \");"
#define END(status) \
	"__asm__ volatile(\"outl %0, %1\" : : \"a\"(" #status "), \"Nd\"((unsigned short)0xF4));" \
	" for (;;) ;"
	static const char *const codes[] = {
		SAY END(0x10),
		SAY END(0x44),
		SAY "__asm__ volatile(\"cli; hlt\"); for (;;) ;",
	};
#undef SAY
#undef END
	const char *check = t->number ? "'identity holes tlb'" : one_check();
	for (unsigned i = 0; i < COUNT(codes); i++) {
		const char *dir = with_code("forged", codes[i]);
		check_status(run_grade("--submission %s --only %s", dir, check), GRADED, codes[i]);
		CHECK(score() == 0 && !strstr(said, "does not build"),
		      "a forged run gets %d points:\n%s", score(), said);
	}
}

/* --- code that asks the machine whether it is judged --- */

/*
 * These are not run, but for code that stands on a stack, and the report says what is wrong. What
 * is alike is right.
 */
static void telling(const struct test *t)
{
	static const struct { const char *code, *found; } cases[] = {
		{ "__asm__ volatile(\"rdtsc\" : : : \"eax\", \"edx\");", "'rdtsc'" },
		{ "__asm__ volatile(\".byte 0xe4, 0x71\" : : : \"eax\");",
		  "'in     $0x71,%al'" },
		{ "__asm__ volatile(\"rep insl\");", "insl" },
		{ "volatile unsigned char code[] = { 0x0F, 0x31, 0xC3 }; "
		  "__asm__ volatile(\"call *%0\" : : \"r\"(code) : \"eax\", \"edx\");",
		  "code outside of all functions was executed" },
		{ "__asm__ volatile(\"movw %%cs, %%ax\" : : : \"eax\");", "'mov    %cs,%" },
		{ "__asm__ volatile(\"pushl %%esi; movl %%esp, %%eax; popl %%esi\" : : : "
		  "\"eax\"); __asm__ volatile(\"movl %%ds:(%%esp), %%eax\" : : : \"eax\");", NULL },
		{ "__asm__ volatile(\"pushl %ds; popl %ds\");", "'push   %ds'" },
		/* a line "NAME():" of objdump, with an l and an O where a data symbol has them */
		{ "__attribute__((noinline)) void function_lists_Objects(void) "
		  "{ __asm__ volatile(\"\"); } function_lists_Objects();", NULL },
		{ "__asm__ volatile(\".rept 900000; nop; .endr\");", "is too large" },
		{ "native_time_now();", "the clock" },
		{ "VO(time, now)();", "the clock" },
		{ "static uint64_t (*volatile now)(void) = native_time_now; (void)now;",
		  "is used in data" },
		{ "static const volatile char code[] __attribute__((section(\".text.x\"))) = "
		  "\"\\x0f\\x31\\xc3\"; (void)*code;", "data in a section '.text.x'" },
		{ "__asm__ volatile(\".byte 0x2e, 0xf3, 0x6c\" : : : \"edi\", \"memory\");",
		  "'cs rep insb (%" },
		{ "__asm__ volatile(\".type code, @object; code: rdtsc\" : : : \"eax\", \"edx\");",
		  "data in a section '.text'" },
		{ "__asm__ volatile(\"jmp 1f; .byte 0xb8; code: nop; nop; nop; nop; 1:\");",
		  "'.byte 0xb8'" },
		{ "__asm__ volatile(\"1: movl $0x90c3310f, %%eax; pushl $2f; pushl $1b + 1; ret; "
		  "2:\" : : : \"eax\", \"edx\", \"memory\");",
		  "code within an instruction was executed" },
		{ "__asm__ volatile(\"1: movl $0x90c3310f, %%eax; call 1b + 1\" : : : \"eax\", "
		  "\"edx\", \"memory\");", "code within an instruction was executed" },
	};
	for (unsigned i = t->number; i < COUNT(cases); i += 1 + 2 * t->number) {
		const char *dir = with_code("telling", cases[i].code);
		check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
			     cases[i].code);
		CHECK((score() == 0) == (cases[i].found != NULL), "%s: %d points:\n%s",
		      cases[i].code, score(), said);
		if (cases[i].found)
			check_said(cases[i].found);
	}
}

/* A header is looked at in each file that includes it, from another folder, too. */
static void telling_header(const struct test *t)
{
	(void)t;
	const char *dir = solved_p2m("telling");
	shell_must(10, "mkdir -p %s/vmm/mem && { cat vmm/mem/references.h; echo '#ifdef "
		   "VMM_DOMAINS_H'; echo '__attribute__((used)) static void ask(void) { "
		   "__asm__ volatile(\"rdtsc\" : : : \"eax\", \"edx\"); }'; echo '#endif'; } "
		   "> %s/vmm/mem/references.h", dir, dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED, "a header");
	CHECK(score() == 0, "%d points:\n%s", score(), said);
	check_said("vmm/mem/references.h:");
	check_said("'rdtsc'");
}

const struct test grader_tests[] = {
	{ .name = "grader-telling", .run = telling, .seconds = 200, .number = 1 },
	{ .name = "grader-telling-header", .run = telling_header, .seconds = 100 },
	{ .name = "grader-outside-files", .run = outside_files, .seconds = 120 },
	{ .name = "grader-bombs", .run = bombs, .seconds = 200, .number = 2 },
	{ .name = "grader-forged", .run = forged, .seconds = 400 },
	{ 0 },
};
const struct test grader_soak_tests[] = {
	{ .name = "soak-grader-telling", .run = telling, .seconds = 400 },
	{ .name = "grader-forged-whole", .run = forged, .seconds = 1500, .number = 1 },
	{ .name = "grader-bombs-all", .run = bombs, .seconds = 400, .number = 1 },
	{ 0 },
};
