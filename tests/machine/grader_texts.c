/* SPDX-License-Identifier: MIT */
/*
 * Names and texts as students' computers make them, without a grading: which file is meant, and
 * what the compiler and the reader get.
 */
#include "grading.h"

static const struct { const char *found, *ours; enum likeness like; } likenesses[] = {
	{ "vm.c", "vm.c", LIKE }, { "VM.C", "vm.c", LIKE }, { "vm (1).c", "vm.c", LIKE },
	{ "vm(12).c", "vm.c", LIKE }, { "vm-1.c", "vm.c", LIKE }, { "Copy of vm.c", "vm.c", LIKE },
	{ "vm - Copy.c", "vm.c", LIKE }, { "vm - Copy (2).c", "vm.c", LIKE },
	{ "vm copy.c", "vm.c", LIKE }, { "vm copy 2.c", "vm.c", LIKE },
	{ "vm.c.txt", "vm.c", LIKE }, { "answers.md.TXT", "answers.md", LIKE },
	{ "warm_up-2.c", "warm_up.c", LIKE },
	{ "leeann_4711_98765_vm.c", "vm.c", SENT }, { "leeann_4711_98765_vm-1.c", "vm.c", SENT },
	{ "leeann_LATE_1_2_warm_up.c", "warm_up.c", SENT },
	{ "Lab 1_ann_attempt_2026-11-28-20-15-00_vm.c", "vm.c", SENT },
	{ "Ann Lee_4711_assignsubmission_file_vm.c", "vm.c", SENT },
	{ "123-45 - Ann Lee - Nov 28, 2026 806 PM - vm.c", "vm.c", SENT },
	{ "123-45 - Ann Lee - vm - Copy.c", "vm.c", SENT },
	{ "Ann - vm.c", "vm.c", UNLIKE }, { "1 - my-vm.c", "vm.c", UNLIKE },
	{ "vm.c:Zone.Identifier", "vm.c", UNLIKE }, { "vm (Ann's copy).c", "vm.c", UNLIKE },
	{ "vm.c.orig", "vm.c", UNLIKE }, { "#vm.c#", "vm.c", UNLIKE },
	{ "", "vm.c", UNLIKE }, { "vm", "vm.c", UNLIKE }, { "vm.h", "vm.c", UNLIKE },
	{ "vm.txt", "vm.c", UNLIKE }, { "vm2.c", "vm.c", UNLIKE }, { "vm-.c", "vm.c", UNLIKE },
	{ "vm 1.c", "vm.c", UNLIKE }, { "vm-old.c", "vm.c", UNLIKE }, { "vm.c~", "vm.c", UNLIKE },
	{ "old_vm.c", "vm.c", UNLIKE }, { "my_file2_vm.c", "vm.c", UNLIKE },
	{ "notes of vm.c", "vm.c", UNLIKE }, { "up.c", "warm_up.c", UNLIKE },
	{ "_vm.c", "vm.c", UNLIKE }, { "._vm.c", "vm.c", UNLIKE },
};

static void file_names(const struct test *t)
{
	(void)t;
	for (unsigned i = 0; i < sizeof(likenesses) / sizeof(likenesses[0]); i++) {
		enum likeness like = name_likeness(likenesses[i].found, likenesses[i].ours);
		CHECK(like == likenesses[i].like, "'%s' as %s: %d, expected %d",
		      likenesses[i].found, likenesses[i].ours, like, likenesses[i].like);
	}
}

/* A text as it is handed in, and as the compiler gets it. */
static void sources(const struct test *t)
{
	static const struct { const char *text; size_t bytes; const char *want; } all[] = {
#define SOURCE(given, want) { given, sizeof(given) - 1, want }
		SOURCE("a\r\nb\rc", "a\nb\nc"), SOURCE("\xef\xbb\xbf" "a\n\x1a", "a\n"),
		SOURCE("a\n\x1a\0\0", "a\n"), SOURCE("int a\0b;\n\0", "int ab;\n"),
		SOURCE("\xff\xfe" "a\0\n\0", "a\n"), SOURCE("\x1a", ""),
		/* half a character at the end; one that is none; no mark; old Macs; a file that was
		   converted twice */
		SOURCE("\xff\xfe" "a\0\n\0\n", "a\n"), SOURCE("\xfe\xff\0a\0\n\0", "a\n"),
		SOURCE("\xff\xfe" "a\0\x00\xdc\n\0", "a?\n"), SOURCE("a\0\xfc\0", "a\xc3\xbc"),
		SOURCE("\0a\0\xfc", "a\xc3\xbc"), SOURCE("\xff\xfe", ""), SOURCE("\xff", "\xff"),
		SOURCE("\xef\xbb\xbf\xef\xbb\xbf" "a", "a"), SOURCE("\xef\xbb", "\xef\xbb"),
		SOURCE("", ""), SOURCE("a\r\rb\r", "a\n\nb\n"), SOURCE("a\r\r\n\r\r\nb", "a\n\nb"),
		SOURCE("/* \xfc */\n", "/* \xfc */\n"),
		SOURCE("\xff\xfe\0\0a\0\0\0", "a"), SOURCE("\0\0\xfe\xff\0\0\0a\0", "a"),
		SOURCE("a\n#line 1 \"b.c\"\nc", "a\n             \nc"),
		SOURCE(" # 12\n#define line 1\n#liner 1\n#line(1)",
		       "     \n#define line 1\n#liner 1\n        "),
		SOURCE("#li\\\nne 1\n#\\ \n line \\\n7\nc", "    \n    \n   \n       \n \nc"),
		SOURCE("%:line N\n/* a */ # /**/ 3\n/*\n*/ #line 2\nc",
		       "        \n                \n/*\n*/        \nc"),
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char *copy = malloc(all[i].bytes + 2);
		size_t n;
		memcpy(copy, all[i].text, all[i].bytes + 1);
		copy = text_decode(copy, all[i].bytes, &n);
		text_unnumber(copy);
		CHECK(n == strlen(all[i].want) && strcmp(copy, all[i].want) == 0,
		      "source %u becomes '%s' (%zu bytes), expected '%s'", i, copy, n, all[i].want);
		free(copy);
	}
}

/* Answers in whatever encoding are read as they were written. */
static void answers(const struct test *t)
{
	static const struct { const char *given, *want; } all[] = {
		{ "plain", "plain" }, { "f\xc3\xbcr", "f\xc3\xbcr" },
		{ "f\xfcr \x80", "f\xc3\xbcr \xe2\x82\xac" },
		{ "f\xc3\xbcr f\xfcr", "f\xc3\xbcr f\xfcr" }, { "", "" },
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char *text = text_answers(strdup(all[i].given));
		CHECK(strcmp(text, all[i].want) == 0, "answer %u becomes '%s', expected '%s'", i,
		      text, all[i].want);
		free(text);
	}
}

const struct test grader_text_tests[] = {
	{ .name = "grader-file-names", .run = file_names, .seconds = 10 },
	{ .name = "grader-sources", .run = sources, .seconds = 10 },
	{ .name = "grader-answers-encoded", .run = answers, .seconds = 10 },
	{ 0 },
};
