/* SPDX-License-Identifier: MIT */
/*
 * Code that would choose "error, no grade" instead of 0 points, or would take a slot of the queue
 * for minutes. Builds and machines that do not end, sleep, flood or are too large are graded. All
 * of them are one class, which a second run does not try again.
 */
#include "grading.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ASM(text) "__asm__(\"" text "\");"
#define OUT(size, value, port) \
	"__asm__ volatile(\"out" size " %0, %1\" : : \"a\"(" value ")," \
	" \"Nd\"((unsigned short)" port "));"
#define HALT "for (;;) __asm__ volatile(\"hlt\");"

/* `first`: the first statement of exercise 1's function; `after`: behind all of its file. */
static const struct { const char *name, *after, *first; bool points; } cases[] = {
	/* builds */
	{ "dead-compiler", .after = ASM(".print \\\"gcc: fatal error: Killed signal terminated "
					"program cc1\\\"\\n.err") },
	{ "input", .after = "#inc\\\nlude \"/dev/stdin\"", .points = true },
	{ "waits", .after = "#include \"/dev/ptmx\"" },
	{ "endless", .after = "#include \"/dev/zero\"" },
	{ "random", .after = "#include \"/dev/urandom\"" },
	{ "output", .after = "#include \"/proc/self/fd/1\"" },
	{ "zeros", .after = ASM(".incbin \\\"/dev/zero\\\"") },
	{ "repeats", .after = ASM(".rept 2000000000\\n.long 1,2,3,4\\n.endr") },
	{ "space", .after = ASM(".data\\n.space 3000000000\\n.text") },
	{ "macro", .after = ASM(".macro m\\nm\\nm\\n.endm\\nm") },
	{ "warnings", .after = "#if __INCLUDE_LEVEL__ < 14\n#include __FILE__\n#include __FILE__\n"
			       "#endif\n#pragma message \"more and more and more and more\"" },
	{ "constant", .after = "const char large[30u << 20] = { 1 };" },
	{ "twice", .after = "void kmain(void); void kmain(void) { }" },
	{ "section", .after = "__attribute__((section(\".data..x\"), used)) static char a = 1;"
			      "__attribute__((constructor, used)) static void c(void) { }",
	  .points = true },
	/* machines */
	{ "bss", .after = "char large[512u << 20]; char *a_large = large;" },
	{ "masked", .first = OUT("b", "(unsigned char)255", "0x21")
			     "__asm__ volatile(\"sti\");" HALT },
	{ "stopped", .first = "__asm__ volatile(\"cli\");" HALT },
	{ "suspended", .first = OUT("w", "(unsigned short)0x2400", "0x604")
				OUT("w", "(unsigned short)0x2400", "0xb004") HALT },
	{ "off", .first = OUT("w", "(unsigned short)0x2000", "0x604")
			  OUT("w", "(unsigned short)0x2000", "0xb004") HALT },
	{ "reset", .first = OUT("b", "(unsigned char)6", "0xcf9") HALT },
	{ "flood", .first = "for (;;)" OUT("b", "(unsigned char)120", "0x3f8") },
	{ "lines", .first = "__asm__ volatile(\"# 1 \\\"/dev/zero\\\"\"); for (;;);" },
};

/* A submission of the class. */
static void make_case(unsigned i)
{
	char name[64];
	snprintf(name, sizeof(name), "class/%s", cases[i].name);
	const char *dir = with_code(name, cases[i].first ? cases[i].first : "");
	FILE *f = fopen(work_path("after"), "w");
	if (!f || fprintf(f, "%s\n", cases[i].after ? cases[i].after : "") < 0 || fclose(f) != 0)
		give_up(BROKEN, "the submission cannot be written");
	shell_must(10, "cat %s >>%s/kernel/mm/p2m.c", work_path("after"), dir);
}

static void check_case(unsigned i)
{
	char *path;
	if (asprintf(&path, "%s/%s.json", work_path("out"), cases[i].name) < 0)
		give_up(BROKEN, "no memory");
	json_t *j = json_load_file(path, 0, NULL), *score = json_object_get(j, "score");
	CHECK(score, "%s has no grade:\n%s", cases[i].name, json_dumps(j, JSON_INDENT(1)));
	CHECK((json_integer_value(score) > 0) == cases[i].points, "%s gets %lld points:\n%s",
	      cases[i].name, json_integer_value(score), json_dumps(j, JSON_INDENT(1)));
	json_decref(j);
}

/* number: how many cases go by for one that is tried. */
static void outcomes(const struct test *t)
{
	need_sandbox();
	build_handout();
	for (unsigned i = 0; i < COUNT(cases); i += t->number)
		make_case(i);
	for (unsigned run = 0; run < 2; run++) {
		check_status(shell(said, sizeof(said), t->seconds, "build/grader class --lab " LAB
				   " --only %s --out %s %s", one_check(), work_path("out"),
				   work_path("class")), GRADED, "the class");
		for (unsigned i = 0; i < COUNT(cases); i += t->number)
			check_case(i);
		shell_must(10, run == 0 ? "cd %s && sha256sum *.log *.json >../sums" :
			   "cd %s && sha256sum -c --quiet ../sums", work_path("out"));
	}
}

const struct test grader_outcome_tests[] = {
	{ .name = "grader-outcomes", .run = outcomes, .seconds = 600, .number = 6 },
	{ 0 },
};
const struct test grader_outcome_soak_tests[] = {
	{ .name = "soak-grader-outcomes", .run = outcomes, .seconds = 1200, .number = 1 },
	{ 0 },
};
