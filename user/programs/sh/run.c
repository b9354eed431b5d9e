/* SPDX-License-Identifier: MIT */
/*
 * Running a line.
 *
 *	line:      list { (";" | "&") list }
 *	list:      pipeline { ("&&" | "||") pipeline }
 *	pipeline:  command { "|" command }
 *	command:   { word | ("<" | ">" | ">>" | "2>" | "2>>") word | "2>&1" | ">&2" }
 */
#include "sh.h"

bool interactive;
int last_status, last_background;

struct redirect { enum token token; const char *path; };
struct command {
	struct fields words;
	int nr_redirects;
	struct redirect redirects[WORDS_MAX / 2];
};

/* --- one command --- */

/* Whether a file name follows. */
static bool is_redirection(enum token t) { return t >= LESS && t <= APPEND_ERRORS; }
static bool in_command(enum token t) { return t == WORD || (t >= LESS && t <= OUTPUT_TO_2); }

/* Expand the word after a redirection, to one field. Result: the field, or NULL after a message. */
static const char *file_name(const struct word *w, struct fields *f)
{
	int n = f->n;
	if (!word_expand(w, f))
		return NULL;
	if (f->n != n + 1) {
		dprintf(2, "sh: %.*s: not one file\n", (int)w->length, w->text);
		return NULL;
	}
	return f->argv[f->n = n];
}

/* Expand a command's words; *at is then after it. Result: false after a message. */
static bool parse_command(const struct word **at, struct command *c)
{
	bool ok = true;
	c->words.n = c->nr_redirects = 0;
	c->words.at = c->words.text;
	for (; in_command((*at)->token); ++*at) {
		const struct word *w = *at;
		if (w->token == WORD) {
			ok = ok && word_expand(w, &c->words);
			continue;
		}
		struct redirect *r = &c->redirects[c->nr_redirects++];
		*r = (struct redirect){ w->token, NULL };
		if (is_redirection(w->token)) {
			++*at;
			ok = ok && (r->path = file_name(*at, &c->words));
		}
	}
	c->words.argv[c->words.n] = NULL;
	return ok;
}

static int open_flags(enum token t)
{
	if (t == LESS)
		return O_RDONLY;
	return O_WRONLY | O_CREAT | (t == APPEND || t == APPEND_ERRORS ? O_APPEND : O_TRUNC);
}

/* Open the files of a command's redirections. Result: 0, or 1 after a message. */
static int redirect(const struct command *c)
{
	for (int i = 0; i < c->nr_redirects; i++) {
		const struct redirect *r = &c->redirects[i];
		int to = r->token == LESS ? 0 : r->token == GREATER || r->token == APPEND ? 1 : 2;
		if (!is_redirection(r->token)) {
			dup2(r->token == ERRORS_TO_1 ? 1 : 2, r->token == ERRORS_TO_1 ? 2 : 1);
			continue;
		}
		int fd = open(r->path, open_flags(r->token), 0644);
		if (fd < 0) {
			complain(r->path, fd);
			return 1;
		}
		if (fd != to) {
			dup2(fd, to);
			close(fd);
		}
	}
	return 0;
}

static void execute(struct command *c) __attribute__((noreturn));
static void execute(struct command *c)
{
	int status = redirect(c), argc = c->words.n;
	char **argv = c->words.argv;
	if (status || !argc || builtin(argc, argv, &status))
		exit(status);
	char path[PATH_MAX + 1]; /* what is cut is too long for exec() */
	snprintf(path, sizeof(path), "%s%s", strchr(argv[0], '/') ? "" : "/bin/", argv[0]);
	int error = *argv[0] ? exec(path, argv) : -ENOENT;
	if (error == -ENOEXEC) { /* a script */
		int fd = open(path, O_RDONLY);
		interactive = false;
		exit(fd < 0 ? 126 : run_file(fd, false));
	}
	static const char *const absent[] = { "for", "if", "while", "until", "case", "function" };
	const char *why = error == -ENOENT ? "command not found" : strerror(error);
	for (uint32_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (error == -ENOENT && strcmp(argv[0], absent[i]) == 0)
			why = "not in this shell; `help` tells what is";
	dprintf(2, "sh: %s: %s\n", argv[0], why);
	exit(error == -ENOENT ? 127 : 126);
}

static int status_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return WIFKILLED(status) ? KILLED : 128 + WFAULT(status);
}

/*
 * Run a built-in command in the shell itself, and then restore its descriptors.
 * Result: whether it was one.
 */
static bool run_here(struct command *c, int *status)
{
	int saved[3];
	static const char *const names[] = {
		"cd", "exit", "history", "help", "wait", "pwd", "true", "false",
	};
	const char *name = c->words.n ? c->words.argv[0] : "=";
	bool known = strchr(name, '='); /* also no command at all: only its files are made */
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		known |= strcmp(names[i], name) == 0;
	if (!known)
		return false;
	flush();
	for (int i = 0; i < 3 && c->nr_redirects; i++)
		saved[i] = dup(i);
	*status = redirect(c);
	bool done = *status || !c->words.n || builtin(c->words.n, c->words.argv, status);
	flush();
	for (int i = 0; i < 3 && c->nr_redirects; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	return done;
}

/* --- a pipeline --- */

int ended(int pid, int status)
{
	static struct { int pid, status; } table[32];
	static uint32_t next;
	for (uint32_t i = 0; status < 0 && i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].pid == pid) {
			table[i].pid = 0;
			return table[i].status;
		}
	if (status >= 0) {
		table[next].pid = pid;
		table[next].status = status;
		next = (next + 1) % (sizeof(table) / sizeof(table[0]));
	}
	return -1;
}

static const struct word *pipeline_end(const struct word *w)
{
	while (in_command(w->token) || w->token == PIPE)
		w++;
	return w;
}

/* What is in the background must not take the keys that are meant for others. */
static int background_input(void) { return open("/dev/null", O_RDONLY); }

static int in_background(int pid)
{
	last_background = pid;
	if (interactive)
		printf("[%d]\n", pid);
	return last_status = 0;
}

/* Result: the status of the last command, which is also last_status. */
static int run_pipeline(const struct word **at, bool background)
{
	static struct command c;
	int group = 0, in = background ? background_input() : -1;
	int last = 0, count = 0, status = 0, fds[2];
	bool failed = false;
	for (bool more = true; more; count++) {
		bool ok = parse_command(at, &c);
		more = (*at)->token == PIPE;
		if (!ok) { /* it still takes its place in the pipeline */
			c.words = (struct fields){ .n = 1, .argv = { "false" } };
			c.nr_redirects = 0;
		}
		if (!more && !count && !background && run_here(&c, &status))
			return last_status = status;
		int error = more ? pipe(fds) : 0, pid = error ? error : fork();
		if (pid == 0) {
			if (interactive || background) {
				setpgid(0, group);
				if (interactive && !background)
					tty_foreground(group ? group : getpid());
			}
			if (in >= 0)
				dup2(in, 0), close(in);
			if (more)
				dup2(fds[1], 1), close(fds[0]), close(fds[1]);
			execute(&c);
		}
		if (in >= 0)
			close(in);
		if (more && !error)
			close(fds[1]), in = fds[0];
		if (pid < 0) { /* the rest is skipped; what has started finds its pipe closed */
			complain(error ? "pipe" : "fork", pid);
			if (more && !error)
				close(in);
			*at = pipeline_end(*at);
			failed = true;
			break;
		}
		last = pid;
		group = group ? group : pid;
		if (interactive || background)
			setpgid(pid, group);
		if (more)
			++*at;
	}
	if (background)
		return failed ? last_status = 1 : in_background(last);
	if (interactive)
		tty_foreground(group);
	for (int s, pid; count && (pid = waitpid(-1, &s, 0)) > 0;) {
		bool ours = pid >= group && pid <= last; /* others ran in the background */
		status = pid == last ? status_of(s) : status;
		count -= ours;
		if (!ours)
			ended(pid, s);
	}
	if (interactive)
		tty_foreground(0);
	return last_status = failed ? 1 : status;
}

/* --- lists --- */

static bool joins(enum token t) { return t == AND || t == OR; }

/* What is wrong with a line, or NULL. It is asked first: nothing of a wrong line runs. */
static const char *syntax_error(const struct word *w)
{
	for (bool command = false, joined = false;; w++) {
		if (is_redirection(w->token) && (++w)->token != WORD)
			return "a file name is missing";
		if (in_command(w->token)) {
			command = true;
			continue;
		}
		bool joining = w->token == PIPE || joins(w->token);
		if (!command && (joining || joined))
			return "a command is missing";
		if (w->token == END)
			return NULL;
		command = false;
		joined = joining;
	}
}

/* Whether a command was killed, most likely by Ctrl-C: then the rest of the line does not run. */
static bool stopped(int status) { return interactive && status == KILLED; }

static int run_joined(const struct word **at)
{
	int status = run_pipeline(at, false);
	while (joins((*at)->token)) {
		bool go_on = ((*at)->token == AND) == (status == 0) && !stopped(status);
		++*at;
		if (go_on)
			status = run_pipeline(at, false);
		else
			*at = pipeline_end(*at);
	}
	return status;
}

/* A list of several pipelines that ends in "&" is run by another shell. */
static int run_list(const struct word **at)
{
	const struct word *end = pipeline_end(*at);
	bool several = joins(end->token);
	while (joins(end->token))
		end = pipeline_end(end + 1);
	if (end->token != BACKGROUND)
		return run_joined(at);
	if (!several)
		return run_pipeline(at, true);
	int pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		interactive = false;
		int in = background_input();
		dup2(in, 0);
		close(in);
		exit(run_joined(at));
	}
	*at = end;
	if (pid < 0) {
		complain("fork", pid);
		return last_status = 1;
	}
	setpgid(pid, pid);
	return in_background(pid);
}

int run_line(const char *line)
{
	struct word words[WORDS_MAX];
	int n = words_cut(line, words);
	if (n < 0)
		return last_status = 2;
	const char *wrong = syntax_error(words);
	if (wrong) {
		dprintf(2, "sh: %s\n", wrong);
		return last_status = 2;
	}
	for (const struct word *at = words; at->token != END;) {
		if (at->token == SEMICOLON || at->token == BACKGROUND) {
			at++;
			continue;
		}
		if (stopped(run_list(&at)))
			break;
	}
	for (int pid; (pid = waitpid(-1, &n, WNOHANG)) > 0;)
		ended(pid, n);
	return last_status;
}

int run_file(int fd, bool prompting)
{
	static struct reader reader;
	static char line[LINE_MAX];
	int got;
	reader = (struct reader){ .fd = fd };
	for (;;) {
		got = prompting ? edit_line(line, sizeof(line)) :
				  read_line(&reader, line, sizeof(line));
		if (got <= 0)
			break;
		run_line(line);
	}
	if (got == -ERANGE)
		dprintf(2, "sh: a line is too long: it may have %d bytes\n", LINE_MAX - 1);
	else if (got < 0)
		complain("input", got);
	return got < 0 ? 1 : last_status;
}

int main(int argc, char **argv)
{
	if (help_wanted(argc, argv))
		usage("[-c COMMANDS | FILE]", true);
	if (argc == 3 && strcmp(argv[1], "-c") == 0)
		return run_line(argv[2]);
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		usage("[-c COMMANDS | FILE]", false);
	struct stat st, console;
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : 0;
	if (fd < 0) {
		complain(argv[1], fd);
		return 127;
	}
	interactive = fstat(fd, &st) == 0 && stat("/dev/console", &console) == 0 &&
		      st.st_dev == console.st_dev && st.st_ino == console.st_ino;
	if (interactive)
		tty_foreground(0); /* Ctrl-C is for what the shell runs */
	return run_file(fd, interactive);
}
