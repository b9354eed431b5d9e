/* SPDX-License-Identifier: MIT */
/*
 * For the HTML report: a recording of how a submission's machine changes its mode, made in the
 * sandbox as `make trace` does it, beside the recording of the reference that came with the student
 * tree. It shows where the two part. No points hang on it.
 */
#include "grader.h"
#include "viewer.h"
#include "x86.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { SECONDS = 20, AROUND_SECONDS = 40, REFERENCE_SECONDS = 600, END_SECONDS = 2 };
enum { CPU_SECONDS = 60, MEGABYTES = 16384, FILE_MEGABYTES = 256 };
enum { INSTALL = 5 }; /* the phase */
enum { LAB_OF_QUESTION = 2 }; /* question 2.1: which exceptions may lead straight to the kernel */

/* Which switches each lab's machine can do, and up to where. */
static const struct switches of_labs[] = {
	{ .at_boot = true, .attach = true, .until = INSTALL, .seconds = SECONDS },
	{ .at_boot = true, .attach = true, .until = NR_PHASES, .seconds = SECONDS },
	{ .attach = true, .detach = true, .until = NR_PHASES, .seconds = SECONDS },
};

static unsigned lab_number;

static const struct switches *switches_of(const char *lab)
{
	unsigned labs = sizeof(of_labs) / sizeof(of_labs[0]);
	lab_number = (unsigned)atoi(lab);
	return lab_number >= 1 && lab_number <= labs ? &of_labs[lab_number - 1] : NULL;
}

/* --- inside: the machine --- */

static struct machine *machine;
static struct recording *trace;

/* Up to the lab that asks for them no recording shows the gates of exceptions but #PF's. */
static json_t *end_recording(void)
{
	json_t *j = recording_end(trace), *step;
	size_t i;
	char vector[4];
	json_array_foreach(json_object_get(j, "steps"), i, step)
		for (unsigned v = 0; v < VEC_EXCEPTIONS && lab_number <= LAB_OF_QUESTION; v++) {
			snprintf(vector, sizeof(vector), "%u", v);
			if (v != VEC_PF)
				json_object_del(json_object_get(step, "idt"), vector);
		}
	return j;
}

/*
 * The machine came no further: the recording ends here and says why. GDB's stub is gone a moment
 * before the emulator is.
 */
static void end_early(enum outcome outcome, const char *why)
{
	static bool ending;
	if (ending || outcome == BROKEN || !trace) {
		fprintf(stderr, "grader: %s\n", why);
		_exit(ENVIRONMENT);
	}
	ending = true;
	bool silent = strstr(why, "no answer"), ended = machine_ended(machine);
	double limit = clock_seconds() + END_SECONDS;
	for (; silent && !ended && clock_seconds() < limit; ended = machine_ended(machine))
		usleep(10000);
	json_t *j = end_recording();
	const char *end = ended	 ? "the machine ends, by a triple fault or by itself"
			  : silent ? "the CPU halts for good"
				   : why;
	json_object_set_new(j, "end", report_text(end));
	_exit(json_dumpfd(j, RESULTS_FD, JSON_COMPACT) < 0 ? ENVIRONMENT : GRADED);
}

static json_t *record(const struct switches *s, const char *title)
{
	machine = switches_start(s);
	trace = recording_begin(machine, title);
	switches_record(machine, trace, s);
	machine_quit(machine);
	return end_recording();
}

int recording_inner(int argc, char **argv)
{
	const struct switches *s = argc == 2 ? switches_of(argv[0]) : NULL;
	if (!s || fcntl(RESULTS_FD, F_SETFD, FD_CLOEXEC) < 0)
		give_up(FAILED, "`record` is for the grader itself");
	work_dir = argv[1];
	if (mkdir(work_dir, 0700) < 0)
		give_up(BROKEN, "%s: %s", work_dir, strerror(errno));
	judge_outside = end_early;
	json_t *j = record(s, "This submission's machine");
	return json_dumpfd(j, RESULTS_FD, JSON_COMPACT) < 0 ? ENVIRONMENT : GRADED;
}

/* States only: no source, no instruction, no command. */
int recording_reference(const char *lab)
{
	const struct switches *s = switches_of(lab);
	if (!s)
		give_up(FAILED, "the machine of lab '%s' does not switch", lab);
	struct switches patient = *s;
	patient.seconds = REFERENCE_SECONDS;
	work_dir = judge_make_dir();
	json_t *j = record(&patient, "The reference's machine");
	judge_remove_dir(work_dir);
	json_object_del(j, "places"), json_object_del(j, "sources"), json_object_del(j, "machine");
	bool failed = json_dumpf(j, stdout, JSON_COMPACT) < 0 || fflush(stdout) != 0;
	return failed ? ENVIRONMENT : GRADED;
}

/* --- outside --- */

static bool wanted(const struct grading *g)
{
	bool failed = false;
	for (unsigned i = 0; i < g->n; i++) {
		failed |= g->results[i].outcome == FAILED;
		if (g->results[i].outcome == BROKEN)
			return false;
	}
	return failed && g->o->html && !g->not_built && switches_of(g->o->lab->name);
}

void recording_make(struct grading *g, struct sandbox s, const char *base, const char *dir)
{
	char file[300], reference[300], work[300];
	if (!wanted(g))
		return;
	printf("recording how this machine changes its mode, for %s: at most %d s\n",
	       text_line(g->o->html, strlen(g->o->html)), SECONDS + AROUND_SECONDS);
	fflush(stdout);
	snprintf(file, sizeof(file), "%s/recording.json", dir);
	snprintf(work, sizeof(work), "%s/recording", dir);
	snprintf(reference, sizeof(reference), "%s/labs/%s/reference.trace.json", base,
		 g->o->lab->name);
	int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	s.cpu_seconds = CPU_SECONDS;
	s.megabytes = MEGABYTES, s.file_megabytes = FILE_MEGABYTES;
	s.output = log;
	if (fd >= 0 && dup2(fd, RESULTS_FD) >= 0) { /* the copy stays open there */
		char *argv[] = { (char *)sandbox_self(&s), "record", (char *)g->o->lab->name,
				 s.none ? work : "/tmp/recording", NULL };
		pid_t pid = sandbox_start(&s, argv);
			close(RESULTS_FD);
		if (wait_for(pid, SECONDS + AROUND_SECONDS) == GRADED)
			g->recording = json_load_file(file, 0, NULL);
	}
	close(fd), close(log);
	g->reference = json_load_file(reference, 0, NULL);
}
