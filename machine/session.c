/* SPDX-License-Identifier: MIT */
/*
 * The steps with which most tests begin and end: boot to the prompt, type a command, end with a
 * clean file system.
 */
#include "judge.h"

/*
 * A boot executes some 10 million instructions: a tenth of a second. So a boot that hangs is soon
 * told, and where. Loaders, emulators and hosts may take much longer.
 */
enum { BOOT_SECONDS = 10, OTHER_BOOT_SECONDS = 60 };

static double boot_seconds(const struct machine *m)
{
	const struct machine_options *o = &m->o;
	bool other = o->bochs || o->v86 || o->iso || o->iso_file || o->free_running;
	return other ? OTHER_BOOT_SECONDS : BOOT_SECONDS;
}

struct machine *start_to_prompt(const struct machine_options *o)
{
	struct machine *m = machine_start(o);
	machine_expect(m, PROMPT, boot_seconds(m));
	return m;
}

void command(struct machine *m, const char *text, double seconds)
{
	machine_send(m, text);
	machine_send(m, "\n");
	machine_expect(m, "\n", 10); /* the echo */
	machine_expect(m, PROMPT, seconds);
}

void end_at_prompt(struct machine *m)
{
	command(m, "sync", 60);
	machine_stop(m);
	CHECK(kernel_word(m, "nr_cpus") == m->o.cpus, "%u of %u CPUs are up",
	      kernel_word(m, "nr_cpus"), m->o.cpus);
	root_check(m);
	machine_quit(m);
}

void end_native(struct machine *m)
{
	command(m, "echo native >/proc/mode; sleep 1", 60);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	end_at_prompt(m);
}

const char *guest_failures(const struct machine *m)
{
	static char text[2000];
	size_t n = 0;
	text[0] = '\0';
	for (const char *line = m->log; line && *line && n < sizeof(text) - 1;
	     line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, GUEST_FAILURE, strlen(GUEST_FAILURE)) == 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s\n",
					      (int)strcspn(line, "\r\n"), line);
	}
	return text;
}

struct machine *run_command(const struct machine_options *options, const char *text, int want,
			    double seconds)
{
	struct machine_options o = *options;
	char words[900];
	snprintf(words, sizeof(words), "%s%srun=\"%s\"", o.cmdline ? o.cmdline : "",
		 o.cmdline ? " " : "", text);
	o.cmdline = words;
	struct machine *m = machine_start(&o);
	CHECK(machine_sees(m, "Cinnabar: ", boot_seconds(m)) || !m->late,
	      "the boot takes too long");
	int status = machine_wait(m, seconds);
	CHECK(status == want,
	      "%sthe machine ended with status %d instead of %d (%d: success, %d: panic)",
	      guest_failures(m), status, want, EXIT_OK, EXIT_PANIC);
	if (want == EXIT_OK)
		root_check(m);
	machine_quit(m);
	return m;
}
