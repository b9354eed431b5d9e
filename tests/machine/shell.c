/* SPDX-License-Identifier: MIT */
/* The shell on the console: what a line means, and its keys. A row is a line and what it prints. */
#include "tests.h"

#define ONLY_NAMES "only $NAME or ${NAME} can stand here\n"
#define NOT_UTF8 "sh: a letter is not UTF-8; nothing of the line is run\n"
#define TEN(x) x x x x x x x x x x
#define LONG TEN("0123456789") TEN("0123456789") TEN("01234") /* a name of 250 bytes */
static const struct { const char *line, *prints; } rows[] = {
	/* each command is expanded when it runs */
	{ "X=6; echo $X", "6\n" },
	{ "false; echo $?", "1\n" },
	{ "false || echo $?; echo $?", "1\n0\n" },
	{ "sh -c 'false & wait $!; echo $?'", "1\n" },
	{ "sh -c 'false & sleep 1; true | true; wait $!; echo $?'", "1\n" },
	{ "sh -c 'cat & wait $!; echo $?'", "0\n" },
	{ "sh -c 'cat && sleep 1 && echo late && false & echo early; wait $!; echo $?'",
	  "early\nlate\n1\n" },
	{ "X='a b'; echo \"$X\" ${X}c '$X' \\$X", "a b a bc $X $X\n" },
	{ "X='touch f1 f2'; $X; ls f1 f2", "f1\nf2\n" },
	{ "E=; echo $E \"$E\" end # no more", " end\n" },
	/* redirections */
	{ "ls missing > f 2>&1; cat f", "ls: missing: no such file or directory\n" },
	{ "ls missing 2>&1 | grep -c missing", "1\n" },
	{ "sh -c 'echo one >&2' 2> f; sh -c 'echo two 1>&2' 2>> f; cat f", "one\ntwo\n" },
	{ "> f; wc f", "      0       0       0 f\n" },
	{ "X=f; echo more >> $X; cat < $X", "more\n" },
	{ "echo x > $E", "sh: $E: not one file\n" },
	{ "echo a |", "sh: a command is missing\n" },
	{ "echo a > ; echo b", "sh: a file name is missing\n" },
	{ "echo 'a", "sh: a quote is not closed\n" },
	/* what is not there is named, and never taken for something else */
	{ "cat << x", "sh: << is not there; `help` tells what is\n" },
	{ "echo a >&1", "sh: >& is not there; `help` tells what is\n" },
	{ "echo a 3>&1", "sh: 3> is not there; `help` tells what is\n" },
	{ "echo a &> f", "sh: &> is not there; `help` tells what is\n" },
	{ "echo a 3> f", "sh: 3> is not there; `help` tells what is\n" },
	{ "echo a |& cat", "sh: |& is not there; `help` tells what is\n" },
	{ "echo a 1> f; echo b 1>> f; cat 0< f", "a\nb\n" },
	{ "head -n 1 /bin/ls > f; sh f; echo $?",
	  "sh: a line is too long: it may have 1023 bytes\n1\n" },
	{ "echo ${A; echo $?", "sh: ${A: " ONLY_NAMES "1\n" },
	{ "echo ${}; echo ${A:-b}; echo $(ls)", "sh: ${}: " ONLY_NAMES "sh: ${A:-b}: "
	  ONLY_NAMES "sh: $(ls): " ONLY_NAMES },
	{ "A=././././././././; B=$A$A$A$A$A$A$A$A; C=$A$A$A$A$A$A$A./././d; mkdir d; > 0123456789; "
	  "mv 0123456789 $B$B$B$B$B$B$B$C; ls d; rmdir d; rm 0123456789",
	  "mv: 0123456789: name too long\n" },
	{ "echo `ls`; echo \"a`b\"; echo \\` '`'", "sh: `ls`: " ONLY_NAMES "sh: \"a`b\": "
	  ONLY_NAMES "` `\n" },
	{ "echo $#; echo $@; echo a$*", "sh: $#: " ONLY_NAMES "sh: $@: " ONLY_NAMES
	  "sh: a$*: " ONLY_NAMES },
	{ "echo $1; echo ${10}; echo \"$0\"", "sh: $1: " ONLY_NAMES "sh: ${10}: " ONLY_NAMES
	  "sh: \"$0\": " ONLY_NAMES },
	{ "1X=5; a-b=c; _x1=y=z; echo $_x1 $_" LONG " end", "sh: 1X=5: command not found\n"
	  "sh: a-b=c: command not found\ny=z end\n" },
	{ "echo a$", "a$\n" },
	{ "''; echo $?", "sh: : command not found\n127\n" },
	/* Latin-1; a letter that is cut off; the rest of one */
	{ "echo a\xE4" "b c", NOT_UTF8 },
	{ "echo \xC3", NOT_UTF8 },
	{ "echo a\xA4", NOT_UTF8 },
	/* longer than need be: a slash, twice; a surrogate; beyond the last letter */
	{ "echo \xC0\xAF", NOT_UTF8 },
	{ "echo \xE0\x80\xAF", NOT_UTF8 },
	{ "echo \xED\xA0\x80", NOT_UTF8 },
	{ "echo \xF4\x90\x80\x80", NOT_UTF8 },
	{ "echo \xF8\x90\x80\x80", NOT_UTF8 },
	{ "echo \xC2\x80\xE0\xA0\x80\xEF\xBF\xBD\xF0\x90\x80\x80\xF4\x8F\xBF\xBF | wc",
	  "      1       1      17 \n" },
	/* head and tail */
	{ "echo 1 > n; echo 2 >> n; echo 3 >> n; head -n 2 n", "1\n2\n" },
	{ "head -1 n; head -n1 n", "1\n1\n" },
	{ "tail -n 1 n; cat n | tail -2", "3\n2\n3\n" },
	{ "tail -n 9 n", "1\n2\n3\n" },
	{ "tail -n 0 n; head -n 0 n; tail f f; echo $?", "usage: tail [-n LINES] [FILE]\n2\n" },
	/* names of files */
	{ "touch aa ab ba '*q' 'x y z'; mkdir dir; touch dir/aa; echo a*", "aa ab\n" },
	{ "echo ?a d*/a? */", "aa ba dir/aa bin/ boot/ dev/ dir/ etc/ lost+found/ proc/ tmp/\n" },
	{ "echo '*'a \"a*\" a\\* \\*q *q", "*a a* a* *q *q\n" },
	{ "echo no*match", "no*match\n" },
	{ "echo /b*/cat //et*/m?td", "/bin/cat //etc/motd\n" },
	{ "X='a*'; echo $X \"$X\"", "aa ab a*\n" },
	{ "ls x*", "x y z\n" },
	{ "mkdir g; touch g/" TEN(TEN("a")) " g/aXb 'g/a?b' 'g/**'; "
	  "echo g/" TEN("*a*a") "*b g/a\\?* g/*X* g/\\*?; rm -r g",
	  "g/" TEN("*a*a") "*b g/a?b g/aXb g/**\n" },
	{ "echo x > a?", "sh: a?: not one file\n" },
	{ "echo /bin/* /bin/* /bin/* /bin/*", "sh: /bin/*: more than there is room for\n" },
	/* options: those that are not there make no file; -- ends them */
	{ "mkdir -p a/b", "usage: mkdir DIR...\n" },
	{ "ls -d; touch -c nothing; cp -r etc e; cat -n n; echo $?",
	  "usage: ls [-a] [-l] [PATH...]\nusage: touch FILE...\nusage: cp FROM... TO\n"
	  "usage: cat [FILE...]\n2\n" },
	{ "mv -f a b; ln -s a b; rmdir -p a", "usage: mv FROM... TO\nusage: ln FILE NEW-NAME\n"
	  "usage: rmdir DIR...\n" },
	{ "touch -- -p; ls -- -p; rm -- -p; ls -- -p", "-p\nls: -p: no such file or directory\n" },
	{ "wc -l n; cat n | wc -l; wc -lw n", "3 n\n3\nusage: wc [-l] [FILE...]\n" },
	{ "sh -c 'sleep 9 & kill -9 $!; wait $!; echo $?'", "137\n" },
	{ "kill -9 99999", "kill: 99999: no such process\n" },
	{ "grep -c -- -v n; head -n 1 -- n; head -- n; tail -1 -- n", "0\n1\n1\n2\n3\n3\n" },
	/* deep paths, and long ones */
	{ TEN("mkdir l; cd l; ") TEN("mkdir l; cd l; ") "cd /", "" },
	{ "cd " TEN("l/l/") "; " TEN("mkdir l; cd l; ") TEN("mkdir l; cd l; ") "cd /", "" },
	{ "rm -r l; ls l", "ls: l: no such file or directory\n" },
	{ "mkdir " LONG "; mkdir " LONG "/" LONG, "" },
	{ "mkdir " LONG "/" LONG "/" LONG, "" },
	{ "mkdir " LONG "/" LONG "/" LONG "/" LONG, "" },
	{ "cd 0*/0*/0*/0*; mkdir 012345678901234567; cd 012345678901234567; > f; pwd | wc; cd /",
	  "      1       1    1024 \n" },
	{ "rm -r 0* 2>&1 | grep -c 'name too long'; cd 0*; rm -r *; cd ..; rmdir 0*; ls 0*",
	  "1\nls: 0*: no such file or directory\n" },
	{ "rm -rf / tmp/../ . tmp/.. // '' 2>&1 | grep -c neither; ls /bin/rm", "5\n/bin/rm\n" },
	{ "mkdir /d; rm -r /d//; ls /d", "ls: /d: no such file or directory\n" },
	/* words that this shell does not have, or does not want */
	{ "cd /bin /tmp; pwd; cp n n; while true",
	  "sh: cd: one directory, not 2\n/\ncp: n and n are the same file\n"
	  "sh: while: not in this shell; `help` tells what is\n" },
	{ "sh < /dev/null; echo $?", "0\n" },
	/* numbers that are too large, and words that are none */
	{ "sh -c 'exit 256'; sh -c 'exit x'; sh -c 'exit 1 2'; echo $?; sh -c 'exit 255'; echo $?",
	  "sh: exit: one status, from 0 to 255\nsh: exit: one status, from 0 to 255\n"
	  "sh: exit: one status, from 0 to 255\n2\n255\n" },
	{ "kill 4294967297 4294967295; echo $?", "kill: 4294967297: invalid argument\n"
	  "kill: 4294967295: invalid argument\n1\n" },
	{ "wait 4294967297; wait 0; wait x; sleep 4294968", "sh: 4294967297: invalid argument\n"
	  "sh: 0: invalid argument\n"
	  "sh: x: invalid argument\nusage: sleep SECONDS[.FRACTION]\n" },
	{ "sh -c 'sleep 9 & kill -$!; wait $!; echo $?'", "137\n" },
	{ "work abc; work -5; fuzz x 1; fuzz 1 x; stress 5x; stress 1r x; switcher 1 x; echo $?",
	  "usage: work [AMOUNT]\nusage: work [AMOUNT]\nusage: fuzz COUNT SEED [FIRST]\n"
	  "usage: fuzz COUNT SEED [FIRST]\nusage: stress SECONDS|ROUNDSr [SEED]\n"
	  "usage: stress SECONDS|ROUNDSr [SEED]\nusage: switcher PAIRS [MILLISECONDS "
	  "[COMMAND...]]\n\nWith a command: it runs meanwhile, and the switching lasts at least "
	  "until it ends; its status is ours.\n2\n" },
	{ "ticks 1 2 x; bench nosuch; echo $?", "usage: ticks FROM TO STEP\n\nSwitch to virtual "
	  "and to native mode with a tick FROM, FROM + STEP .. TO\ninstructions after the write.\n"
	  "usage: bench [ROW... | growth | switch KIND N]\n2\n" },
	/* keys that do nothing: private marks, F1 of Linux's console; Esc before a letter */
	{ "echo a\033[?25hb\033[[Ac\033[ qd\033\303\244", "abcd\303\244\n" },
	/* a terminal's answers: its colour, its name */
	{ "echo a\033]11;rgb:1/2/3\ab\033]11;rgb:1/2/3\033\\c\033P>|xterm\033\\d", "abcd\n" },
	{ "echo a\033]0;the line ends it", "a\n" },
	/* Tab */
	{ "ec\t/etc/mo\t|cat", "/etc/motd\n" },
	{ "cd di\t; ls *; cd ..", "aa\n" },
	{ "ls x\t", "x y z\n" },
	{ "ls \"x\t", "x y z\n" },
	{ "echo \\*\t", "*q\n" },
	{ "echo zz\tz", "zzz\n" },
	{ "touch \"it's\" 'k$b' 'v`c' 'q\"r'", "" },
	{ "ls 'it\t", "it's\n" },
	{ "ls \"k\t; ls \"v\t; ls \"q\t; ls v\t", "k$b\nv`c\nq\"r\nv`c\n" },
	{ "true && hea\t-n 1 n", "1\n" },
};

static void shell_lines(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t from = m->log_bytes, n = strlen(rows[i].prints);
		command(m, rows[i].line, 10);
		const char *printed = strchr(m->log + from, '\n') + 1;
		CHECK(strncmp(printed, rows[i].prints, n) == 0 &&
		      strncmp(printed + n, "cinnabar:", 9) == 0,
		      "%s\nprints\n%s\nnot\n%s", rows[i].line, printed, rows[i].prints);
	}
	machine_send(m, "echo a\t");
	machine_expect(m, "aa  ab\ncinnabar:/$ echo a", 10); /* candidates, and the line */
	command(m, "b", 10);
	command(m, "touch u\xC3\xA4 u\xC3\xB6", 10);
	machine_send(m, "echo u\t"); /* nothing is inserted: they differ in their first letter */
	machine_expect(m, "u\xC3\xA4  u\xC3\xB6\ncinnabar:/$ echo u", 10);
	command(m, "", 10);
	end_at_prompt(m);
}

/* No place for another process: a pipeline ends, and nothing of it is left. */
static void processes_out(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	/* 509 have a place beside init and sh. */
	for (int i = 0; i < 16; i++)
		command(m, TEN("sleep 1000 & ") TEN("sleep 1000 & ") TEN("sleep 1000 & "), 20);
	command(m, TEN("sleep 1000 & ") TEN("sleep 1000 & ") "sleep 1000 & sleep 1000 &", 20);
	size_t from = m->log_bytes;
	command(m, "echo a | cat | cat | cat | cat | cat | cat | cat | cat | cat; pwd", 20);
	CHECK(strstr(m->log + from, "sh: fork: no more processes\n"), "nobody says what is short");
	CHECK(strstr(m->log + from, "\n/\n"), "the shell does not go on");
	from = m->log_bytes;
	command(m, "echo b | cat | cat", 20);
	CHECK(strstr(m->log + from, "\nb\n"), "what had started has not ended");
	from = m->log_bytes;
	command(m, TEN("sleep 1000 & "), 20);
	command(m, "wait; pwd", 20); /* no Ctrl-C could end it */
	CHECK(strstr(m->log + from, "\nsh: wait: no more processes\n/\n"), "the shell waits");
	end_at_prompt(m);
}

const struct test shell_tests[] = {
	{ .name = "shell-lines", .run = shell_lines, .seconds = 120 },
	{ .name = "shell-processes", .run = processes_out, .seconds = 120,
	  .machine = { .mem = 128 } },
	{ 0 },
};
