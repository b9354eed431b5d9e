/* SPDX-License-Identifier: MIT */
/*
 * Running a line.
 *
 *	line:      list { (";" | "&") list }
 *	list:      pipeline { ("&&" | "||") pipeline }
 *	pipeline:  command { "|" command }
 *	command:   { word | "<" word | ">" word | ">>" word | "2>" word }
 */
#include "sh.h"

enum { KILLED = 137 };

bool interactive;
int last_status, last_background;

struct redirect { enum token token; const char *path; };
struct command {
	int argc;
	char *argv[WORDS_MAX];
	int nr_redirects;
	struct redirect redirects[WORDS_MAX / 2];
};

/* --- one command --- */

static bool is_redirection(enum token t)
{
	return t == LESS || t == GREATER || t == APPEND || t == ERRORS;
}

static void parse_command(struct word **at, struct command *c)
{
	c->argc = c->nr_redirects = 0;
	for (;; ++*at) {
		struct word *w = *at;
		if (w->token == WORD) {
			c->argv[c->argc++] = w->text;
		} else if (is_redirection(w->token)) {
			c->redirects[c->nr_redirects++] = (struct redirect){ w->token, w[1].text };
			++*at;
		} else {
			break;
		}
	}
	c->argv[c->argc] = NULL;
}

static int open_flags(enum token t)
{
	if (t == LESS)
		return O_RDONLY;
	return O_WRONLY | O_CREAT | (t == APPEND ? O_APPEND : O_TRUNC);
}

/* Open the files of a command's redirections. Result: 0, or 1 after a message. */
static int redirect(const struct command *c)
{
	for (int i = 0; i < c->nr_redirects; i++) {
		const struct redirect *r = &c->redirects[i];
		int to = r->token == LESS ? 0 : r->token == ERRORS ? 2 : 1;
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
	int status = redirect(c);
	if (status || !c->argc || builtin(c->argc, c->argv, &status))
		exit(status);
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s%s", strchr(c->argv[0], '/') ? "" : "/bin/", c->argv[0]);
	int error = exec(path, c->argv);
	if (error == -ENOEXEC) { /* a script */
		int fd = open(path, O_RDONLY);
		interactive = false;
		exit(fd < 0 ? 126 : run_file(fd, false));
	}
	dprintf(2, "sh: %s: %s\n", c->argv[0],
		error == -ENOENT ? "command not found" : strerror(error));
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
	bool known = c->argc && strchr(c->argv[0], '=');
	for (uint32_t i = 0; c->argc && i < sizeof(names) / sizeof(names[0]); i++)
		known |= strcmp(names[i], c->argv[0]) == 0;
	if (!known)
		return false;
	flush();
	for (int i = 0; i < 3 && c->nr_redirects; i++)
		saved[i] = dup(i);
	*status = redirect(c);
	bool done = *status || builtin(c->argc, c->argv, status);
	flush();
	for (int i = 0; i < 3 && c->nr_redirects; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	return done;
}

/* --- a pipeline --- */

static int run_pipeline(struct word **at, bool background)
{
	static struct command c;
	int group = 0, in = -1, last = 0, count = 0, status = 0, fds[2];
	for (bool more = true; more; count++) {
		parse_command(at, &c);
		more = (*at)->token == PIPE;
		if (!more && !count && !background && run_here(&c, &status))
			return status;
		if (more && (status = pipe(fds)) < 0) {
			complain("pipe", status);
			return 1;
		}
		int pid = fork();
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
		if (more)
			close(fds[1]), in = fds[0];
		if (pid < 0) {
			complain("fork", pid);
			if (more)
				close(fds[0]);
			return 1;
		}
		last = pid;
		group = group ? group : pid;
		if (interactive || background)
			setpgid(pid, group);
		if (more)
			++*at;
	}
	if (background) {
		last_background = last;
		if (interactive)
			printf("[%d]\n", last);
		return 0;
	}
	if (interactive)
		tty_foreground(group);
	for (int s, pid; count && (pid = waitpid(-1, &s, 0)) > 0;) {
		status = pid == last ? status_of(s) : status;
		count -= pid >= group && pid <= last; /* others ran in the background */
	}
	if (interactive)
		tty_foreground(getpid());
	return status;
}

/* --- lists --- */

/* What is wrong with a line, or NULL. It is asked first: nothing of a wrong line runs. */
static const char *syntax_error(const struct word *w)
{
	for (bool command = false, joined = false;; w++) {
		if (is_redirection(w->token) && (++w)->token != WORD)
			return "a file name is missing";
		if (w->token == WORD) {
			command = true;
			continue;
		}
		bool joins = w->token == PIPE || w->token == AND || w->token == OR;
		if (!command && (joins || joined))
			return "a command is missing";
		if (w->token == END)
			return NULL;
		command = false;
		joined = joins;
	}
}

/* Whether a command was killed, most likely by Ctrl-C: then the rest of the line does not run. */
static bool stopped(int status) { return interactive && status == KILLED; }

/* Whether the pipeline that starts here ends in "&". */
static bool in_background(const struct word *w)
{
	while (w->token == WORD || (w->token >= PIPE && w->token <= ERRORS))
		w++;
	return w->token == BACKGROUND;
}

static int run_list(struct word **at)
{
	int status = run_pipeline(at, in_background(*at));
	while ((*at)->token == AND || (*at)->token == OR) {
		bool go_on = ((*at)->token == AND) == (status == 0) && !stopped(status);
		++*at;
		if (go_on)
			status = run_pipeline(at, in_background(*at));
		else
			while ((*at)->token <= ERRORS)
				++*at;
	}
	return status;
}

int run_line(const char *line)
{
	struct word words[WORDS_MAX];
	char text[LINE_MAX * 2];
	int n = words_cut(line, words, text, sizeof(text));
	if (n < 0)
		return last_status = 2;
	const char *wrong = syntax_error(words);
	if (wrong) {
		dprintf(2, "sh: %s\n", wrong);
		return last_status = 2;
	}
	for (struct word *at = words; at->token != END;) {
		if (at->token == SEMICOLON || at->token == BACKGROUND) {
			at++;
			continue;
		}
		last_status = run_list(&at);
		if (stopped(last_status))
			break;
	}
	while (waitpid(-1, &n, WNOHANG) > 0)
		; /* background processes that have ended */
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
	if (got < 0)
		complain("input", got);
	return last_status;
}

int main(int argc, char **argv)
{
	if (help_wanted(argc, argv))
		usage("[-c COMMANDS | FILE]", true);
	if (argc == 3 && strcmp(argv[1], "-c") == 0)
		return run_line(argv[2]);
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		usage("[-c COMMANDS | FILE]", false);
	struct stat st;
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : 0;
	if (fd < 0) {
		complain(argv[1], fd);
		return 127;
	}
	interactive = fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == S_IFCHR;
	return run_file(fd, interactive);
}
