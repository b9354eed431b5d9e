/* SPDX-License-Identifier: MIT */
/*
 * A person looks at a check. It runs as in a grading, with the same machine and seed, but the
 * machine starts stopped, nothing has a time limit, and GDB has the terminal. GDB goes on to
 * the function of the exercise, in the direction or call that is judged, and shows what to look at.
 * The check feeds the machine until the check itself would connect as a debugger; from then on the
 * machine is the person's. A check in Bochs becomes Bochs's own debugger at once.
 */
#include "grader.h"
#include <signal.h>

static const struct test *find(const char *name, const struct lab **lab)
{
	for (const struct lab *l = *lab ? *lab : all_labs; l->name; l++) {
		for (const struct test *t = l->checks; t->name; t++)
			if (strcmp(t->name, name) == 0) {
				*lab = l;
				return t;
			}
		if (*lab)
			break;
	}
	return NULL;
}

static const char *function(const struct test *t)
{
	return t->stop_at ? t->stop_at : "kmain";
}

/* What the check is about, where to read, and where the machine will stop. */
static void print_head(const struct test *t, const struct lab *lab)
{
	printf("%s: %s\nlab %d, exercise %u; read: %s\nstops at %s()%s%s\n", t->name, t->title,
	       atoi(lab->name), t->exercise, t->see ? t->see : "the handout", function(t),
	       t->stop_if ? " if " : "", t->stop_if ? t->stop_if : "");
	if (!t->machine.bochs)
		return;
	printf("This check runs in Bochs, which checks what QEMU does not. Its debugger begins "
	       "here:\n    r, sreg, creg     registers; segments and tables; control registers\n"
	       "    info gdt, info idt, info tss, page ADDRESS    what the CPU would use\n"
	       "    s, n, c           one instruction, over a call, go on; lb \"vmm:FUNCTION\"\n");
	if (t->stop_if)
		printf("It has no conditions: go on with c while it is not so that %s\n",
		       t->stop_if);
	if (t->look)
		printf("Look at: %s\n", t->look);
}

/* --- GDB's commands --- */

/* Names as GDB has them, in lines of hexadecimal numbers. */
static void write_registers(FILE *f)
{
	static const char *const lines[] = {
		"eax ebx ecx edx", "esi edi ebp esp", "eip eflags cs ss ds es", "cr0 cr2 cr3 cr4",
	};
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *names = strdup(lines[i]), *list = strdup(""), *longer;
		fprintf(f, "printf \"");
		for (char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
			fprintf(f, "%s %%08x  ", name);
			if (asprintf(&longer, "%s, $%s", list, name) < 0)
				give_up(BROKEN, "no memory");
			free(list);
			list = longer;
		}
		fprintf(f, "\\n\"%s\n", list);
		free(names), free(list);
	}
}

/* Commands with ; between: each is shown, as if it were typed, and done. */
static void write_commands(FILE *f, const char *list)
{
	char *copy = strdup(list);
	for (char *s = strtok(copy, ";"); s; s = strtok(NULL, ";")) {
		s += strspn(s, " ");
		fprintf(f, "echo (gdb) %s\\n\n%s\n", s, s);
	}
	free(copy);
}

/*
 * A command `come-to FUNCTION`, which goes on. QEMU's end is an error to GDB and ends the script:
 * then it shows the end of what the machine said, which nobody has read. (Of an error in a command
 * GDB shows the text alone; of one in a `python` block also Python's own words.)
 */
static void write_come_to(FILE *f, const char *dir)
{
	fprintf(f, "python\nimport os\nclass ComeTo(gdb.Command):\n"
		   "    def __init__(self):\n"
		   "        super().__init__('come-to', gdb.COMMAND_RUNNING)\n"
		   "    def invoke(self, function, tty):\n"
		   "        try:\n            gdb.execute('continue')\n"
		   "        except KeyboardInterrupt:\n            pass\n"
		   "        except gdb.error:\n"
		   "            fd = os.open('%s/0.serial.out', os.O_RDONLY | os.O_NONBLOCK)\n"
		   "            try:\n                said = os.read(fd, 65536).decode('latin1')\n"
		   "            except BlockingIOError:\n                said = ''\n"
		   "            said = said.replace('\\r', '')[-1000:]\n"
		   "            raise gdb.GdbError('The machine ended before it came to '\n"
		   "                               + function + '(). It said:\\n' + said)\n"
		   "ComeTo()\nend\n", dir);
}

/* GDB's own words of a stop that has nothing to do with the exercise are left out. */
static void write_quiet(FILE *f, bool quiet)
{
	fprintf(f, "python\nstop.quiet = %s\ntry:\n"
		   "    gdb.execute('set suppress-cli-notifications %s')\n"
		   "except gdb.error:\n    pass\nend\n", /* an old GDB */
		quiet ? "True" : "False", quiet ? "on" : "off");
}

/* Set a breakpoint, of which GDB says nothing. */
static void write_breakpoint(FILE *f, const char *command, const char *at, const char *condition)
{
	fprintf(f, "python gdb.execute(\"%s %s%s%s\", to_string=True)\n", command, at,
		condition ? " if " : "", condition ? condition : "");
}

/* Stop where the check is judged, each time: registers, then what the row says. */
static void write_stop(FILE *f, const struct test *t)
{
	if (t->first) {
		int n = (int)strcspn(t->first, ";");
		char *at = strndup(t->first, (size_t)n);
		write_breakpoint(f, "thbreak", at, NULL);
		fprintf(f, "come-to %s\n", at);
		fprintf(f, "echo in %s():\\n\n", at);
		write_commands(f, t->first + n);
		free(at);
	}
	write_quiet(f, false);
	write_breakpoint(f, "hbreak", function(t), t->stop_if);
	fprintf(f, "commands\n");
	/* GDB's own line is that of an inline function which the function begins with. */
	fprintf(f, "python f = gdb.selected_frame().function()\n"
		   "python f and print('in', f.name + ',', '%%s:%%d' %% (f.symtab, f.line))\n");
	write_registers(f);
	write_commands(f, t->look ? t->look : "");
	if (t->hint)
		fprintf(f, "echo %s\\n\n", t->hint);
	fprintf(f, "end\n");
	fprintf(f, "come-to %s\n", function(t));
}

static char *gdb_script(const struct test *t, const char *dir, const char *socket)
{
	char *path;
	if (asprintf(&path, "%s/script.gdb", dir) < 0)
		give_up(BROKEN, "no memory");
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s cannot be written", path);
	write_come_to(f, dir);
	write_quiet(f, true);
	fprintf(f, "target remote %s\n", socket);
	write_stop(f, t);
	fclose(f);
	return path;
}

/* --- running --- */

/*
 * Start the check in a session of its own, where no Ctrl-C comes. (Bochs's debugger wants the
 * terminal.) Result: its process id.
 */
static pid_t start_check(const struct test *t, const char *dir)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (!t->machine.bochs)
			setsid();
		machine_debugged = true;
		judge_alone(t, dir);
	}
	return pid;
}

static volatile bool terminal_gone;

static void interrupt(int sig)
{
	interrupted = sig;
	terminal_gone |= sig != SIGINT; /* Ctrl-C is GDB's, once that runs */
}

/* Run GDB to its end, with the user's own arguments. Result: its exit status. */
static int run_gdb(const struct options *o, const char *script)
{
	struct arguments a = { { "gdb", "-q", "-nx", "-x", "tools/gdb/cinnabar.py", "-x",
				 (char *)script }, 7 };
	int status;
	for (char *const *more = o->more; *more; more++)
		arg(&a, "%s", *more);
	pid_t gdb = process_start(a.v, -1, -1, -1);
	while ((status = process_wait(gdb, 0.1)) < 0 && !terminal_gone)
		;
	if (status < 0)
		process_kill(gdb);
	return status;
}

int debug_check(const struct options *o)
{
	const struct lab *lab = o->lab;
	const struct test *t = find(o->only, &lab);
	char *socket;
	int status = ENVIRONMENT;
	bool runs = true;
	if (!t) {
		fprintf(stderr, "grader: there is no check '%s'; 'build/grader list' names them\n",
			o->only);
		return USAGE;
	}
	judge_seed = o->seed;
	char *dir = judge_make_dir();
	if (asprintf(&socket, "%s/0.gdb", dir) < 0)
		give_up(BROKEN, "no memory");
	print_head(t, lab);
	signal(SIGINT, interrupt), signal(SIGTERM, interrupt), signal(SIGHUP, interrupt);
	setenv("STOP_AT", function(t), 1); /* for Bochs */
	pid_t check = start_check(t, dir);
	while (access(socket, F_OK) < 0 && !interrupted && runs)
		runs = process_wait(check, 0.02) < 0;
	if (access(socket, F_OK) == 0 && !interrupted)
		status = run_gdb(o, gdb_script(t, dir, socket));
	if (runs)
		process_kill(check);
	judge_remove_dir(dir);
	return status;
}
