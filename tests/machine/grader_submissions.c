/* SPDX-License-Identifier: MIT */
/*
 * What a submission can be: every form in which students hand in is graded, and what is hostile or
 * damaged is refused as a whole; only the lab's files arrive.
 */
#include "grading.h"

/* The reference gets points in each of these forms. */
static void forms(const struct test *t)
{
	static const char *const commands[] = {
		"tar -C %s -cf %s .",
		"tar -C %s/.. -czf %s reference",
		"tar -C %s -cJf %s .",
		"tar -C %s/.. --zstd -cf %s reference",
		"cd %s && zip -qr %s.zip . && mv %s.zip %s",
		"cd %s/.. && zip -qr %s.zip reference && mv %s.zip %s",
		"cd %s/.. && cp -r reference M\u00fcller && python3 -m zipfile -c %s M\u00fcller",
	};
	const char *dir = solved_p2m("reference"), *file = work_path("submission");
	(void)t;
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a directory");
	CHECK(score() > 0, "the reference in a directory gets no points:\n%s", said);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *command;
		if (asprintf(&command, commands[i], dir, file, file, file) < 0)
			give_up(BROKEN, "no memory");
		shell_must(20, "%s", command);
		check_status(run_grade("--submission %s --only %s", file, one_check()), GRADED,
			     command);
		CHECK(score() > 0, "%s: no points:\n%s", command, said);
	}
}

#define P2M "kernel/mm/p2m.c"
/* Commands that make a bad submission, and words of the message that refuses it. */
static const struct { const char *command, *message; } bad_archives[] = {
	{ "cp -r good bad && tar -P -cf %s good $PWD/good/" P2M, "more than once" },
	{ "mkdir -p d && cd d && tar -P -cf %s ../good/" P2M, "outside of itself" },
	{ "cp -r good link && ln -sf /etc/passwd link/" P2M " && tar -cf %s link", "link" },
	{ "cp -r good hard && ln -f hard/kernel/mm/vm.c hard/" P2M
	  " && tar --sort=name -cf %s hard", "link" },
	{ "cp -r good fifo && rm fifo/" P2M " && mkfifo fifo/" P2M " && tar -cf %s fifo",
	  "device" },
	{ "cp -r good bomb && truncate -s 300M bomb/zeros && tar --zstd -cf %s bomb",
	  "unpacks to more than" },
	{ "cp -r good big && head -c 400000 /dev/zero >>big/" P2M " && tar -cf %s big",
	  "more than 256 KiB" },
	{ "cp -r good twice && tar -cf %s good twice", "more than once" },
	{ "tar -czf - good | head -c 3000 >%s", "damaged" },
	{ "tar -cf - good | head -c 30000 >%s", "damaged" },
	{ "zip -qr z.zip good && head -c 9000 z.zip >%s", "damaged" },
	{ "head -c 5000 /dev/urandom >%s", "tar" },
	{ ": >%s", "" },
	{ "tar -cf - good | gzip | gzip >%s", "at most once is taken" },
	{ "cd good && zip -q ../in.zip " P2M " && cd .. && gzip <in.zip >%s",
	  "at most once is taken" },
	{ "cd good && zip -q ../in.zip " P2M " && cd .. && tar -cf t.tar in.zip && "
	  "zip -q t.zip t.tar && mv t.zip %s", "It holds: t.tar, t.tar/in.zip." },
	{ "cp in.zip in2.zip && tar -cf %s in.zip in2.zip", "more than once, as in.zip/kernel/mm" },
	{ "mkdir -p zeros && truncate -s 300M zeros/0 && tar --zstd -cf zeros.tar.zst zeros && "
	  "tar -cf %s in.zip zeros.tar.zst", "unpacks to more than" },
	{ "printf '7z\\274\\257\\047\\034......................' >%s", "it is a 7-Zip archive" },
	{ "printf 'Rar!\\032\\007\\001.....................' >%s", "it is a RAR archive" },
	{ "printf '# v2 git bundle\n0123456789' >%s", "it is a Git bundle" },
	{ "printf '\n<!DOCTYPE HTML>\n<html>' >%s", "it is a web page" },
	{ "diff -u /dev/null good/" P2M " >%s || true", "it is a patch" },
	{ "cp good/" P2M " %s", "it is a single file" },
	{ "printf '%%%%PDF-1.4\n%%%%0123456789' >%s", "it is a PDF file" },
	{ "printf '070701000000000000000000' >%s", "it is a cpio archive" },
	{ "tar -cf - good | xz --format=lzma >%s", "it is compressed by lzma" },
	{ "mkdir -p repo/.git && echo x >repo/.git/config && tar -cf %s repo", "a Git repository" },
	{ "for i in $(seq 9); do : | gzip; done | gzip | gzip | gzip >%s", "" },
	/* 12 KB that are 100 MB of gzip that are nothing */
	{ "gzip </dev/null >n && for i in $(seq 12); do cat n n n n >m; mv m n; [ $(stat -c %%s n) "
	  "-lt 90000000 ] || break; done; gzip -1 <n | gzip >%s", "" },
	{ "cd good && zip -q -P secret ../locked.zip " P2M " && mv ../locked.zip %s", "password" },
	{ "mkdir -p two/kernel/mm two/Kernel/MM && cp good/" P2M " two/kernel/mm && "
	  "cp good/" P2M " two/Kernel/MM && rm -f %s && cp -r two %s", "more than once" },
	{ "mkdir same && cp good/" P2M " same/ && cp good/" P2M " 'same/p2m (1).c' && rm -rf %s && "
	  "cp -r same %s", "more than once" },
	{ "mkdir marks && cp good/" P2M " 'marks/p2m - Copy.c' && cp good/" P2M
	  " marks/lee_1_2_p2m.c && rm -rf %s && cp -r marks %s",
	  "more than once, as lee_1_2_p2m.c" },
	{ "mkdir other && echo x >other/notes.txt && echo y >other/p2m.txt && rm -rf %s && "
	  "cp -r other %s", "It holds: notes.txt, p2m.txt" },
	{ "mkdir wrong && mkdir wrong/vmm && cp good/" P2M " wrong/vmm/ && rm -rf %s && "
	  "cp -r wrong %s", "It holds: vmm/p2m.c" },
	{ "mkdir -p deep/$(printf 'd/%%.0s' $(seq 70)) && rm -rf %s && cp -r deep %s",
	  "folders lie in one another more than 64 deep" },
	{ "cp -r good linked && ln -sf /etc/passwd linked/" P2M
	  " && rm -rf %s && ln -s linked %s", "link" },
	{ "mkdir moved && mv linked/kernel moved/ && ln -sfn moved/kernel linked/kernel"
	  " && rm -f %s && ln -s linked %s", "link" },
};

/* Each is refused as a whole, with a message, and has no score. */
static void archives(const struct test *t)
{
	const char *file = work_path("submission");
	(void)t;
	build_handout();
	solved_p2m("good");
	for (unsigned i = 0; i < sizeof(bad_archives) / sizeof(bad_archives[0]); i++) {
		char *command;
		if (asprintf(&command, bad_archives[i].command, file, file) < 0)
			give_up(BROKEN, "no memory");
		shell_must(30, "cd %s && { %s; }", work_dir, command);
		check_status(run_grade("--in-class --submission %s --only %s", file, one_check()),
			     REFUSED, command);
		check_said("refused: ");
		check_said(bad_archives[i].message);
		CHECK(score() == -1, "%s: it has a score", command);
	}
}

/* Files that are not the lab's do not arrive: these would break the build, or give points. */
static void whitelist(const struct test *t)
{
	const char *dir = solved_p2m("more");
	(void)t;
	shell_must(10, "cd %s && mkdir -p kernel/boot labs/" LAB " grader tools && "
		       "echo '#error arrived' >kernel/boot/main.c && "
		       "printf 'all:\\n\\tfalse\\n' >Makefile && echo exit 1 >tools/ksyms && "
		       "echo '#error' >labs/" LAB "/checks.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "more files than wanted");
	CHECK(score() > 0, "a file arrived that is not the lab's:\n%s", said);
	shell_must(10, "rm %s/" P2M, dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a file is missing");
	check_said(P2M " is not in the submission");
	check_said("empty exercise");
}

/* A header of the student's own: a note says that it was not taken, and why the build misses it. */
static void own_header(const struct test *t)
{
	const char *dir = solved_p2m("header");
	(void)t;
	need_sandbox();
	shell_must(10, "cd %s && echo 'int mine;' >kernel/mm/mine.h && echo x >notes.h && "
		       "sed -i '1i #include \"mm/mine.h\"' " P2M, dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED, "a header");
	CHECK(score() == 0, "a header that is not taken: %d points", score());
	check_said("note: not taken: kernel/mm/mine.h. Only the files that");
	check_said("only the files that the lab's list names are taken, and no header of your own");
	check_said("mine.h: No such file");
}

/* Names in an archive reach the terminal and the report as text. */
static void names(const struct test *t)
{
	static const char *const bad[] = { "\033", "\007", "\302\233", "\342\200\256", "\377" };
	(void)t;
	shell_must(10, "cd %s && mkdir names && cd names && for n in '\033]0;x\007' '\302\2332J' "
		       "'\342\200\256cba' '\377x'; do echo x >\"$(printf \"$n\").txt\"; done && "
		       "tar -cf ../names.tar *", work_dir);
	check_status(run_grade("--submission %s --only %s", work_path("names.tar"), one_check()),
		     REFUSED, "names that steer a terminal");
	check_said("It holds: ");
	char *text = json_dumps(report(), JSON_ENSURE_ASCII);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!strstr(said, bad[i]), "the grader prints what steers a terminal: %s", text);
	CHECK(!strstr(text, "\\u001") && !strstr(text, "\\u009") && !strstr(text, "\\u202"),
	      "the report holds what steers a terminal: %s", text);
}

/* Only the checks that are asked for count; the page names the exercise of each. */
static void some_checks(const struct test *t)
{
	const char *dir = reference("some"), *page = work_path("some.html");
	(void)t;
	check_status(run_grade("--submission %s --only 'walk, identity' --html %s", dir, page),
		     GRADED, "two checks");
	CHECK(json_array_size(json_object_get(report(), "tests")) == 2 && score() == 9 &&
	      score() == max_score(), "walk and identity give %d of %d points:\n%s", score(),
	      max_score(), said);
	check_said("9 of 9 points");
	shell_must(10, "grep '<td>identity .*<td class=\"number\">1<' %s && "
		       "grep '<td>walk .*<td class=\"number\">3<' %s", page, page);
	check_status(run_grade("--submission %s --only 'identity wlak'", dir), REFUSED,
		     "a name that is none");
	check_said("has no check wlak;");
	check_status(run_grade("--submission %s --only ', '", dir), REFUSED, "no name");
}

const struct test grader_submission_tests[] = {
	{ .name = "grader-forms", .run = forms, .seconds = 120 },
	{ .name = "grader-archives", .run = archives, .seconds = 300 },
	{ .name = "grader-whitelist", .run = whitelist, .seconds = 60 },
	{ .name = "grader-own-header", .run = own_header, .seconds = 60 },
	{ .name = "grader-names", .run = names, .seconds = 60 },
	{ .name = "grader-some-checks", .run = some_checks, .seconds = 120 },
	{ 0 },
};
