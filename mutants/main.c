/* SPDX-License-Identifier: MIT */
/* The command line of tools/mutate: which mutants are wanted, and trials, several at a time. */
#include "trial.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MAX_JOBS = 16, MAX_WANTED = 64, SEED = 1 };

static const char usage_text[] =
	"usage: tools/mutate LAB [OPTION]...\n"
	"       tools/mutate FILE|FOLDER... [OPTION]...\n"
	"\n"
	"Makes mutants: copies that differ from the source by one token or one statement. Those\n"
	"of a lab lie between the markers of its exercises, and are built and graded until a\n"
	"check fails. Those of files in kernel/, vmm/ and lib/ lie in any function, and the\n"
	"project's tests run until one fails. What no check or test sees is a survivor.\n"
	"\n"
	"  --list         name the mutants, and try none\n"
	"  --exercise K   only those of this exercise (may be repeated)\n"
	"  --only ID      only this one, even if it was tried before (may be repeated)\n"
	"  --jobs N       so many at a time (1)\n"
	"  --seed N       grade with this seed, or draw by it (1)\n"
	"  --count N      draw so many of the files' mutants (all)\n"
	"  --limit N      leave a mutant undecided that no test has failed after N seconds of a\n"
	"                 processor (none)\n"
	"  --again        forget what earlier runs found\n"
	"\n"
	"A run that was interrupted goes on where it was. All results: build/mutants/LAB.json,\n"
	"or build/mutants/project.json. A survivor is either a mistake that no check sees: write\n"
	"the check or the test. Or it behaves as the unchanged code does: write 'ID: REASON'\n"
	"into labs/LAB/equal, or mutants/equal.\n"
	"Exit status: 0 if none survives, 1 if some do, 2 if something could not be tried.\n";

static struct campaign c;
static const char *only[MAX_WANTED];
static unsigned exercises[MAX_WANTED], nr_only, nr_exercises, drawn;
static char **paths; /* files and folders; NULL at the end */
static bool list_only, again;

static void __attribute__((noreturn)) usage_error(const char *what, const char *word)
{
	fprintf(stderr, "mutate: %s%s\n%s", what, word, usage_text);
	exit(ENVIRONMENT);
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (!*text || *end || n < 1 || n > max)
		usage_error("no number from 1 on that can be used here: ", text);
	return (unsigned)n;
}

static void read_options(int argc, char **argv)
{
	enum { LIST, EXERCISE, ONLY, JOBS, SEED_OPTION, COUNT, LIMIT, AGAIN, HELP };
	static const struct option options[] = {
		{ "list", 0, 0, LIST }, { "exercise", 1, 0, EXERCISE }, { "only", 1, 0, ONLY },
		{ "jobs", 1, 0, JOBS }, { "seed", 1, 0, SEED_OPTION }, { "count", 1, 0, COUNT },
		{ "limit", 1, 0, LIMIT }, { "again", 0, 0, AGAIN }, { "help", 0, 0, HELP }, { 0 },
	};
	c.jobs = 1, c.seed = SEED;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) >= 0;)
		switch (o) {
		case LIST: list_only = true; break;
		case EXERCISE:
			exercises[nr_exercises++ % MAX_WANTED] = number(optarg, MAX_CHECKS);
			break;
		case ONLY: only[nr_only++ % MAX_WANTED] = optarg; break;
		case JOBS: c.jobs = number(optarg, MAX_JOBS); break;
		case SEED_OPTION: c.seed = number(optarg, INT32_MAX); break;
		case COUNT: drawn = number(optarg, MAX_MUTANTS); break;
		case LIMIT: c.limit = number(optarg, 1000000); break;
		case AGAIN: again = true; break;
		case HELP: fputs(usage_text, stdout); exit(0);
		default: usage_error("not understood: ", argv[optind - 1]);
		}
	if (optind == argc)
		usage_error("which lab, or which files?", "");
	c.lab = lab_find(argv[optind]);
	c.name = c.lab ? c.lab->name : "project";
	paths = argv + optind;
	if (c.lab && optind + 1 < argc)
		usage_error("one lab at a time, not also ", argv[optind + 1]);
	if (c.lab ? drawn || c.limit : nr_exercises)
		usage_error(c.lab ? "--count and --limit are for files" :
			    "--exercise is for a lab", "");
}

/* --- the mutants --- */

static char *read_file(const char *path)
{
	char *text = calloc(1, FILE_LIMIT + 1);
	FILE *f = fopen(path, "r");
	if (!f || fread(text, 1, FILE_LIMIT, f) == 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	fclose(f);
	return text;
}

/* Of the kinds that come last many mutants are equal, and those take a whole grading. */
static unsigned rank(const struct mutant *m)
{
	static const char *const last[] = { "constant", "moved" };
	unsigned k = 2;
	while (k > 0 && strcmp(m->kind, last[k - 1]) != 0)
		k--;
	return k;
}

/* All, in an order that depends on the seed: the first ones are wanted. */
static void draw_trials(struct mutant *m)
{
	uint64_t random = c.seed;
	for (unsigned i = 0; i < c.n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
		unsigned k = (unsigned)((random >> 33) % (i + 1));
		c.trials[i].m = c.trials[k].m;
		c.trials[k].m = &m[i];
	}
}

static void order_trials(struct mutant *m)
{
	unsigned n = 0;
	c.trials = calloc(c.n, sizeof(c.trials[0]));
	if (!c.lab) {
		draw_trials(m);
		return;
	}
	for (unsigned k = 0; k <= 2; k++)
		for (unsigned i = 0; i < c.n; i++)
			if (rank(&m[i]) == k)
				c.trials[n++].m = &m[i];
}

static char names[20000]; /* of the files, a line each */

static void find_solution(void)
{
	if (access("labs", F_OK) < 0 ||
	    shell(names, sizeof(names), 10, "! ls labs/*/manifest 2>/dev/null && "
		  "grep -rlE 'LAB %d TODO [0-9]+ BEGIN' kernel vmm include | LC_ALL=C sort",
		  atoi(c.name)) != 0)
		give_up(FAILED, "no file here holds the solution of %s", c.name);
}

static void find_files(void)
{
	for (char **path = paths; *path; path++) {
		size_t n = strlen(names);
		bool known = strncmp(*path, "kernel", 6) == 0 || strncmp(*path, "vmm", 3) == 0 ||
			     strncmp(*path, "lib", 3) == 0;
		if (!known || strchr(*path, '\'') || access(*path, R_OK) < 0)
			usage_error("no lab, and nothing in kernel/, vmm/ or lib/: ", *path);
		shell(names + n, sizeof(names) - n, 10,
		      "find '%s' -name '*.[chS]' | LC_ALL=C sort", *path);
	}
}

static void find_mutants(void)
{
	static struct mutant m[MAX_MUTANTS];
	unsigned n = 0;
	if (c.lab)
		find_solution();
	else
		find_files();
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n"), n++) {
		if (n + 1 == MAX_SOURCES)
			give_up(BROKEN, "too many files");
		c.files[n] = name;
		c.sources[n] = read_file(name);
		if (c.lab)
			mutants_of_file(name, c.sources[n], (unsigned)atoi(c.name), m, &c.n);
		else
			mutants_of_functions(name, c.sources[n], m, &c.n);
	}
	if (c.n == 0)
		give_up(FAILED, "%s has no mutants%s", *paths,
			c.lab ? ": are the markers right?" : "");
	order_trials(m);
}

static bool is_wanted(const struct trial *t)
{
	bool found = nr_only == 0 && nr_exercises == 0 &&
		     (drawn == 0 || t < c.trials + drawn);
	for (unsigned i = 0; i < nr_exercises; i++)
		found |= t->m->exercise == exercises[i];
	for (unsigned i = 0; i < nr_only; i++)
		found |= strcmp(t->m->id, only[i]) == 0;
	return found;
}

static bool is_due(const struct trial *t)
{
	return t->wanted && t->fate == UNKNOWN;
}

/* Result: how many are due. */
static unsigned choose(void)
{
	unsigned n = 0;
	for (struct trial *t = c.trials; t < c.trials + c.n; t++) {
		t->wanted = is_wanted(t);
		if (t->wanted && nr_only > 0)
			t->fate = UNKNOWN, t->by = t->reason = NULL;
		n += is_due(t);
	}
	return n;
}

static int print_list(void)
{
	for (const struct trial *t = c.trials; t < c.trials + c.n; t++)
		if (t->wanted)
			printf("%-28s %-10s %s:%u%s%s\n%s", t->m->id, t->m->kind, t->m->file,
			       t->m->line, t->fate ? "  " : "", t->fate ? fate_words[t->fate] : "",
			       mutant_diff(t->m));
	return 0;
}

/* --- trials --- */

static void print_trial(const struct trial *t, unsigned done, unsigned all)
{
	printf("[%*u/%u] %s%s%s: %s, %s, %s:%u (CPU %.1f s)\n", all > 999 ? 4 : 3, done, all,
	       fate_words[t->fate], t->by ? " by " : "", t->by ? t->by : "", t->m->id, t->m->kind,
	       t->m->file, t->m->line, t->seconds);
	if (nr_only > 0)
		printf("%s%s%s", mutant_diff(t->m), t->reason ? t->reason : "",
		       t->reason ? "\n" : "");
	fflush(stdout);
}

/* The slot whose process has ended. */
static unsigned wait_for_slot(pid_t *pids, int *status)
{
	for (;;) {
		pid_t pid = waitpid(-1, status, 0);
		for (unsigned slot = 0; slot < c.jobs; slot++)
			if (pids[slot] == pid)
				return slot;
		if (pid < 0 && errno != EINTR)
			give_up(BROKEN, "waitpid: %s", strerror(errno));
	}
}

static void try_all(unsigned all)
{
	struct trial *running[MAX_JOBS] = { NULL }, *next = c.trials;
	pid_t pids[MAX_JOBS] = { 0 };
	for (unsigned done = 0; done < all;) {
		unsigned slot = 0;
		while (slot < c.jobs && running[slot])
			slot++;
		while (next < c.trials + c.n && !is_due(next))
			next++;
		if (slot < c.jobs && next < c.trials + c.n) {
			pids[slot] = trial_start(&c, next, slot);
			running[slot] = next++;
			continue;
		}
		int status;
		slot = wait_for_slot(pids, &status);
		trial_take(running[slot], slot, WIFEXITED(status) ? WEXITSTATUS(status) : KILLED);
		print_trial(running[slot], ++done, all);
		record_write(&c);
		running[slot] = NULL, pids[slot] = 0;
	}
}

/* One run at a time has the trees and the record. */
static void lock(void)
{
	char path[300];
	mkdir("build/mutants", 0777);
	snprintf(path, sizeof(path), "build/mutants/%s.lock", c.name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		give_up(BROKEN, "%s: %s; another run of tools/mutate has it: wait for it", path,
			strerror(errno));
}

static void end(enum outcome outcome, const char *why)
{
	(void)outcome;
	fprintf(stderr, "mutate: %s\n", why);
	exit(ENVIRONMENT);
}

int main(int argc, char **argv)
{
	judge_outside = end;
	read_options(argc, argv);
	lab_enter_root();
	find_mutants();
	if (shell(c.program, sizeof(c.program), 20, "sha256sum </proc/%d/exe", (int)getpid()) != 0)
		give_up(BROKEN, "no checksum of this program: %s", c.program);
	if (!list_only)
		lock();
	if (!again)
		record_load(&c);
	unsigned wrong = record_equal(&c), all = choose();
	if (all < nr_only)
		give_up(FAILED, "%u of the mutants after --only do not exist; --list names all",
			nr_only - all);
	if (nr_only > 0 || !c.lab)
		c.costs = json_object(); /* a quick look: in the lab's order */
	if (list_only)
		return wrong > 0 ? ENVIRONMENT : print_list();
	if (all > 0) {
		trial_prepare(&c);
		try_all(all);
	}
	record_print(&c);
	if (wrong > 0 || record_count(&c, UNJUDGED) > 0)
		return ENVIRONMENT;
	return record_count(&c, SURVIVOR) > 0;
}
