/* SPDX-License-Identifier: MIT */
/*
 * Mutants of a small source: which there are, that each differs from the source in the hole only,
 * keeps the number of lines, and has a name of its own, which stays when other lines change.
 */
#include "mutants/mutants.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mutants/tokens.c"
#include "mutants/statements.c"
#include "mutants/rules.c"
#include "mutants/list.c"

static struct mutant m[MAX_MUTANTS];
static unsigned nr_mutants;

static char *source;

static void release(void)
{
	while (nr_mutants > 0)
		free(m[--nr_mutants].text);
	free(source);
	source = NULL;
}

/* The mutants of a hole with this text, which is line 3 of its file. */
static void make(const char *file, const char *text)
{
	release();
	assert_true(asprintf(&source, "if (before < 1)\n/* LAB 7 TODO 4 BEGIN */\n%s"
			     "/* LAB 7 TODO 4 END */\nafter++;\n/* LAB 6 TODO 1 BEGIN */\nx = 1;\n"
			     "/* LAB 6 TODO 1 END */\n", text) > 0);
	mutants_of_file(file, source, 7, m, &nr_mutants);
}

static bool is_kind(const struct mutant *x, const char *kind)
{
	return strcmp(x->kind, kind) == 0;
}

/* How many mutants of this kind have these lines between the markers. */
static unsigned count(const char *kind, const char *lines)
{
	unsigned n = 0;
	for (unsigned i = 0; i < nr_mutants; i++) {
		char *text = mutant_source(&m[i]), *wanted;
		assert_true(asprintf(&wanted, "BEGIN */\n%s/* LAB 7 TODO 4 END */\nafter",
				     lines) > 0);
		n += is_kind(&m[i], kind) && strstr(text, wanted);
		free(text), free(wanted);
	}
	return n;
}

static unsigned of_kind(const char *kind)
{
	unsigned n = 0;
	for (unsigned i = 0; i < nr_mutants; i++)
		n += is_kind(&m[i], kind);
	return n;
}

#define HAS(kind, lines) assert_int_equal(count(kind, lines), 1)

static void operators_turn(void **state)
{
	(void)state;
	make("a.c", "x = a < b;\n");
	HAS("strict", "x = a <= b;\n");
	HAS("turned", "x = a > b;\n");
	make("a.c", "x = !a && ~b | -c & d;\n");
	HAS("negation", "x = a && ~b | -c & d;\n");
	HAS("negation", "x = !a && b | -c & d;\n");
	HAS("negation", "x = !a && ~b | c & d;\n");
	HAS("operator", "x = !a || ~b | -c & d;\n");
	HAS("operator", "x = !a && ~b & -c & d;\n");
	HAS("operator", "x = !a && ~b | -c | d;\n");
	assert_int_equal(of_kind("operator"), 3);
	make("a.c", "x = f(&a, *b);\n"); /* no operand before them */
	assert_int_equal(of_kind("operator"), 0);
	make("a.c", "x += y << 3;\n");
	HAS("operator", "x -= y << 3;\n");
	HAS("operator", "x += y >> 3;\n");
}

static void constants_change(void **state)
{
	(void)state;
	make("a.c", "x = 22u;\n");
	HAS("constant", "x = 23u;\n");
	HAS("constant", "x = 21u;\n");
	HAS("constant", "x = 0u;\n");
	HAS("constant", "x = 1u;\n");
	make("a.c", "x = 1;\n");
	assert_int_equal(of_kind("constant"), 2); /* 2 and 0 */
	make("a.c", "x = y.EIP + PTE_W + NULL + f(MAX(y));\n");
	HAS("constant", "x = y.EIP + 0 + NULL + f(MAX(y));\n");
	HAS("constant", "x = y.EIP + 1 + NULL + f(MAX(y));\n");
	HAS("constant", "x = y.EIP + (PTE_W + 1) + NULL + f(MAX(y));\n");
	assert_int_equal(of_kind("constant"), 3);
}

static void arguments_and_atomics(void **state)
{
	(void)state;
	make("a.c", "f(a, g(b, c), d);\n");
	HAS("argument", "f(g(b, c), g(b, c), d);\n");
	HAS("argument", "f(a, a, d);\n");
	HAS("argument", "f(a, d, d);\n");
	HAS("argument", "f(a, g(b, c), g(b, c));\n");
	HAS("argument", "f(a, g(b, b), d);\n");
	HAS("argument", "f(a, g(c, c), d);\n");
	assert_int_equal(of_kind("argument"), 6);
	make("a.c", "__atomic_fetch_or(&busy, bit(cpu), ORDER);\n");
	HAS("not atomic", "*(&busy) |= bit(cpu);\n");
	make("a.c", "if (ready)\n\tgo();\n");
	HAS("turned", "if (!(ready))\n\tgo();\n");
}

static void statements_go(void **state)
{
	(void)state;
	make("a.c", "a();\nfor (;;) {\n\tb(1,\n\t  2);\n\tc();\n}\nif (d)\n\te();\nelse\n\tf();\n");
	HAS("dropped", ";\nfor (;;) {\n\tb(1,\n\t  2);\n\tc();\n}\nif (d)\n\te();\nelse\n\tf();\n");
	HAS("dropped", "a();\n;\n\n\n\n\nif (d)\n\te();\nelse\n\tf();\n");
	HAS("dropped", "a();\nfor (;;) {\n\t;\n\n\tc();\n}\nif (d)\n\te();\nelse\n\tf();\n");
	HAS("dropped", "a();\nfor (;;) {\n\tb(1,\n\t  2);\n\tc();\n}\nif (d)\n\te();\nelse\n"
			"\t;\n");
	HAS("dropped", "a();\nfor (;;) {\n\tb(1,\n\t  2);\n\tc();\n}\n;\n\n\n\n");
	HAS("moved", "a();\nfor (;;) {\n\tc();\n\tb(1,\n\t  2);\n}\nif (d)\n\te();\nelse\n"
		      "\tf();\n");
	HAS("moved", "for (;;) {\n\tb(1,\n\t  2);\n\tc();\n}\na();\nif (d)\n\te();\nelse\n"
		      "\tf();\n");
	assert_int_equal(of_kind("moved"), 3);
	make("a.c", "if (a)\n\treturn;\n"); /* without its statement the whole `if` is gone */
	assert_int_equal(of_kind("dropped"), 1);
	make("a.c", "__asm__ volatile(\"lgdt %0; lidt %1\" : : \"m\"(x), \"m\"(y));\n");
	HAS("dropped", "__asm__ volatile(\"; lidt %1\" : : \"m\"(x), \"m\"(y));\n");
	HAS("moved", "__asm__ volatile(\"lidt %1; lgdt %0\" : : \"m\"(x), \"m\"(y));\n");
}

static void assembly_lines(void **state)
{
	(void)state;
	make("a.S", "\tmovl %esp, %ecx /* the stack */\n\tpushl $FLAGS\n\tje 1f\n");
	HAS("dropped", "\t /* the stack */\n\tpushl $FLAGS\n\tje 1f\n");
	HAS("moved", "\tmovl %esp, %ecx /* the stack */\n\tje 1f\n\tpushl $FLAGS\n");
	HAS("register", "\tmovl %eax, %ecx /* the stack */\n\tpushl $FLAGS\n\tje 1f\n");
	HAS("register", "\tmovl %esp, %edx /* the stack */\n\tpushl $FLAGS\n\tje 1f\n");
	HAS("constant", "\tmovl %esp, %ecx /* the stack */\n\tpushl $0\n\tje 1f\n");
	HAS("turned", "\tmovl %esp, %ecx /* the stack */\n\tpushl $FLAGS\n\tjne 1f\n");
}

static unsigned lines_of(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void each_is_small_and_named(void **state)
{
	char *first = NULL;
	(void)state;
	make("dir/a.c", "a = b + 1;\nc(a, 2);\na = b + 1;\n");
	for (unsigned i = 0; i < nr_mutants; i++) {
		char *text = mutant_source(&m[i]);
		assert_string_not_equal(text, m[i].source);
		assert_int_equal(lines_of(text), lines_of(m[i].source));
		assert_true(m[i].at >= strlen("if (before < 1)\n/* LAB 7 TODO 4 BEGIN */\n"));
		assert_true(m[i].line >= 3 && m[i].line <= 5);
		assert_int_equal(strncmp(m[i].id, "a-4-", 4), 0);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(m[i].id, m[k].id);
		if (is_kind(&m[i], "argument") && !first)
			first = strdup(m[i].id);
		free(text);
	}
	assert_non_null(first);
	make("dir/a.c", "new = 1;\n\t\tc(a, 2);\n"); /* moved, and with another neighbour */
	unsigned same = 0;
	for (unsigned i = 0; i < nr_mutants; i++)
		same += strcmp(m[i].id, first) == 0;
	assert_int_equal(same, 1);
	free(first);
}

/* Those of a whole file: in each function, and in nothing else. */
static void functions_of_a_file(void **state)
{
	static const char *const inside[] = {
		"\treturn a + 1;\n", "\tif (b)\n", "\t\tf(2);\n",
	};
	unsigned in[3] = { 0 };
	(void)state;
	release();
	source = strdup("enum { ONE = 1 };\nstatic const int t[] = { 7, 8 };\nint f(int a)\n{\n"
			"\treturn a + 1;\n}\n\nstruct s { int x; } s = { 9 };\nvoid g(int b)\n"
			"{\n\tif (b)\n\t\tf(2);\n}\n");
	mutants_of_functions("dir/a.c", source, m, &nr_mutants);
	for (unsigned i = 0; i < nr_mutants; i++) {
		assert_int_equal(strncmp(m[i].id, "dir/a-0-", 8), 0);
		assert_int_equal(m[i].exercise, 0);
		for (unsigned k = 0; k < 3; k++) {
			const char *at = strstr(source, inside[k]);
			size_t from = (size_t)(at - source), to = from + strlen(inside[k]);
			in[k] += from <= m[i].at && m[i].at < to;
		}
	}
	assert_true(in[0] && in[1] && in[2]);
	assert_int_equal(in[0] + in[1] + in[2], nr_mutants);
	release();
	source = strdup("/*\n * Two lines\n */\n\tcli\n");
	mutants_of_functions("b.S", source, m, &nr_mutants);
	assert_int_equal(nr_mutants, 1);
	assert_string_equal(m[0].kind, "dropped");
}

static void texts_that_end_early(void **state)
{
	static const char *const odd[] = {
		"", "}\n", "if (\n", "f(a, b\n", "for (;;)\n", "x = \"no end;\n", "/* no end\n",
		"else\n", "do x(); while (1)\n", "__asm__(\n", ");\n",
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		make("a.c", odd[i]), make("a.S", odd[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(operators_turn), cmocka_unit_test(constants_change),
		cmocka_unit_test(arguments_and_atomics), cmocka_unit_test(statements_go),
		cmocka_unit_test(assembly_lines), cmocka_unit_test(each_is_small_and_named),
		cmocka_unit_test(functions_of_a_file), cmocka_unit_test(texts_that_end_early),
	};
	int failed = cmocka_run_group_tests_name("mutants", tests, NULL, NULL);
	release();
	return failed;
}
