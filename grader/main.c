/* SPDX-License-Identifier: MIT */
/* The grader's command line. */
#include "grader.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sys/stat.h>

enum { DEFAULT_SEED = 2026, MAX_JOBS = 256 };

static const char usage_text[] =
	"usage: grader grade --lab LAB --submission PATH [--json FILE] [--junit FILE]\n"
	"                    [--html FILE] [--seed N] [--jobs N] [--only CHECKS] [--no-sandbox]\n"
	"       grader class --lab LAB DIR [--out DIR] [--seed N] [--jobs N] [--only CHECKS]\n"
	"                    [--again] [--no-sandbox]\n"
	"       grader list [--lab LAB]\n"
	"       grader debug CHECK [--lab LAB] [--seed N] [-- GDB ARGUMENTS]\n"
	"       grader reference LAB\n"
	"       grader help\n"
	"PATH: a directory, tar (.gz .bz2 .xz .zst) or zip with the lab's files, in their\n"
	"folders, in further folders, or in none.\n"
	"CHECKS: names of checks, with blanks or commas between.\n"
	"DIR: a directory of such submissions. Reports of `class` go to --out, default\n"
	"build/class/LAB.\n"
	"GRADER_NO_SANDBOX in the environment means --no-sandbox: for containers that hold one\n"
	"submission, and your own code.\n"
	"Exit status: 0 graded, 1 wrong use or no submission, 2 this environment is at fault and\n"
	"there is no grade.\n";

static void usage_error(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void usage_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "grader: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n%s", usage_text);
	va_end(ap);
	exit(USAGE);
}

static unsigned number(const char *option, const char *text, unsigned long max)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > max)
		usage_error("%s is a number from 0 to %lu, not '%s'", option, max, text);
	return (unsigned)n;
}

/* Paths are relative to the caller's directory; the program then works in the project's root. */
static const char *absolute(const char *path)
{
	static char here[PATH_MAX];
	char *text;
	if (!*path)
		usage_error("an option's path is empty");
	if (!*here && !getcwd(here, sizeof(here)))
		give_up(BROKEN, "no working directory: %s", strerror(errno));
	if (asprintf(&text, "%s%s%s", *path == '/' ? "" : here, *path == '/' ? "" : "/", path) < 0)
		give_up(BROKEN, "no memory");
	return text;
}

/* What is to be written at the end, a file or a device: tell now if it cannot be. */
static const char *report_path(const char *path)
{
	const char *full = absolute(path);
	char *folder = strndup(full, (size_t)(strrchr(full, '/') - full) + 1);
	struct stat s;
	bool there = stat(full, &s) == 0;
	if (there && S_ISDIR(s.st_mode))
		usage_error("%s is a directory", path);
	if (!folder || access(there && !S_ISREG(s.st_mode) ? full : folder, W_OK) < 0)
		usage_error("%s cannot be written: %s", path, strerror(errno));
	free(folder);
	return full;
}

static const struct lab *want_lab(const char *name)
{
	const struct lab *l = lab_find(name);
	if (l)
		return l;
	fprintf(stderr, "grader: there is no lab '%s'; there are:", name);
	for (l = all_labs; l->name; l++)
		fprintf(stderr, " %s", l->name);
	fprintf(stderr, "\n");
	exit(USAGE);
}

enum { LAB, SUBMISSION, JSON, JUNIT, HTML, SEED, JOBS, ONLY, OUT, NO_SANDBOX, AGAIN, IN_CLASS };
static const struct option options[] = {
	{ "lab", required_argument, NULL, LAB },
	{ "submission", required_argument, NULL, SUBMISSION },
	{ "json", required_argument, NULL, JSON },
	{ "junit", required_argument, NULL, JUNIT },
	{ "html", required_argument, NULL, HTML },
	{ "seed", required_argument, NULL, SEED },
	{ "jobs", required_argument, NULL, JOBS },
	{ "only", required_argument, NULL, ONLY },
	{ "out", required_argument, NULL, OUT },
	{ "no-sandbox", no_argument, NULL, NO_SANDBOX },
	{ "again", no_argument, NULL, AGAIN },
	{ "in-class", no_argument, NULL, IN_CLASS }, /* by `class` only */
	{ 0 },
};

static void parse(int argc, char **argv, struct options *o)
{
	*o = (struct options){ .seed = DEFAULT_SEED, .no_sandbox = getenv("GRADER_NO_SANDBOX") };
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) >= 0;)
		switch (c) {
		case LAB: o->lab = want_lab(optarg); break;
		case SUBMISSION: o->submission = absolute(optarg); break;
		case JSON: o->json = report_path(optarg); break;
		case JUNIT: o->junit = report_path(optarg); break;
		case HTML: o->html = report_path(optarg); break;
		case SEED: o->seed = number("--seed", optarg, UINT_MAX); break;
		case JOBS: o->jobs = number("--jobs", optarg, MAX_JOBS); break;
		case ONLY: o->only = optarg; break;
		case OUT: o->out = absolute(optarg); break;
		case NO_SANDBOX: o->no_sandbox = true; break;
		case AGAIN: o->again = true; break;
		case IN_CLASS: o->in_class = true; break;
		case ':': usage_error("%s needs a value", argv[optind - 1]);
		default: usage_error("unknown option %s", argv[optind - 1]);
		}
}

static int list(const struct lab *only)
{
	for (const struct lab *l = all_labs; l->name; l++) {
		unsigned points = 0;
		if (only && only != l)
			continue;
		for (const struct test *t = l->checks; t->name; t++)
			points += t->points;
		printf("%s: %u points\n", l->name, points);
		for (const struct test *t = l->checks; t->name; t++)
			printf("  %2u  exercise %-2u  %-24s %s\n", t->points, t->exercise, t->name,
			       t->title ? t->title : "");
	}
	return GRADED;
}

static void one_argument(int argc, char **argv, const char *what)
{
	if (optind + 1 != argc)
		usage_error(optind < argc ? "too many arguments after %s" : "%s is missing",
			    optind < argc ? argv[optind] : what);
}

static void end(enum outcome outcome, const char *why)
{
	fprintf(stderr, "grader: %s\n", text_lines(why));
	exit(outcome == BROKEN ? ENVIRONMENT : USAGE);
}

int main(int argc, char **argv)
{
	struct options o;
	char why[300];
	umask(022);
	const char *command = argc > 1 ? argv[1] : "";
	judge_outside = end; /* until `grade` has reports to write */
	if (strcmp(command, "judge") == 0)
		return inner(argc - 2, argv + 2);
	if (strcmp(command, "guard") == 0)
		return guard(argc - 2, argv + 2);
	if (strcmp(command, "unpack") == 0 && argc == 3)
		return archive_inner(argv[2]);
	if (strcmp(command, "sandbox") == 0) /* whether one can be had: for scripts */
		return sandbox_works(why, sizeof(why)) ? GRADED : ENVIRONMENT;
	if (strcmp(command, "record") == 0)
		return recording_inner(argc - 2, argv + 2);
	if (strcmp(command, "help") == 0 || strcmp(argv[argc - 1], "--help") == 0 ||
	    strcmp(command, "-h") == 0)
		return fputs(usage_text, stdout) < 0;
	if (!*command)
		usage_error("which command?");
	parse(argc - 1, argv + 1, &o);
	argc--, argv++;
	if (strcmp(command, "list") == 0 || strcmp(command, "grade") == 0) {
		if (optind < argc)
			usage_error("'%s' is no option", argv[optind]);
		if (*command == 'l')
			return list(o.lab);
		if (!o.lab || !o.submission)
			usage_error("grade needs --lab and --submission");
		lab_enter_root();
		return grade(&o);
	}
	if (strcmp(command, "class") == 0) {
		one_argument(argc, argv, "the directory of submissions");
		if (!o.lab)
			usage_error("class needs --lab");
		o.submission = absolute(argv[optind]);
		lab_enter_root();
		return class_grade(&o);
	}
	if (strcmp(command, "debug") == 0) {
		if (optind >= argc)
			usage_error("debug needs the check's name");
		o.only = argv[optind], o.more = argv + optind + 1;
		lab_enter_root();
		return debug_check(&o);
	}
	if (strcmp(command, "reference") == 0) {
		one_argument(argc, argv, "the lab");
		lab_enter_root();
		return recording_reference(argv[optind]);
	}
	usage_error("unknown command '%s'", command);
}
