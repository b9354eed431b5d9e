/* SPDX-License-Identifier: MIT */
/* Start and end of a program, printing, errors. */
#include "user.h"

int main(int argc, char **argv);
void start_main(int argc, char **argv) __attribute__((noreturn));
void sys_exit(int code) __attribute__((noreturn));
int sys_on_fault(void (*handler)(struct fault_context *), void (*restorer)(void));
void fault_restorer(void);

enum { TEXT_MAX = 2 * PATH_MAX }; /* a path, and what is said of it */

const char *program_name = "?";
static char out[512];
static uint32_t out_used;

void start_main(int argc, char **argv)
{
	if (argc)
		program_name = last_part(argv[0]);
	exit(main(argc, argv));
}

void exit(int code)
{
	int error = flush();
	sys_exit(error && !code ? 1 : code);
}

int on_fault(void (*handler)(struct fault_context *))
{
	return sys_on_fault(handler, fault_restorer);
}

int write_all(int fd, const void *buf, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		int n = write(fd, (const char *)buf + done, bytes - done);
		if (n < 0)
			return n;
		done += (uint32_t)n;
	}
	return 0;
}

int flush(void)
{
	int error = out_used ? write_all(1, out, out_used) : 0;
	out_used = 0;
	if (error)
		complain("standard output", error);
	return error;
}

int print(const char *text, uint32_t bytes)
{
	int error = 0;
	for (uint32_t i = 0; i < bytes && !error; i++) {
		out[out_used++] = text[i];
		if (out_used == sizeof(out) || (text[i] == '\n' && i + 1 == bytes))
			error = flush();
	}
	return error;
}

int printf(const char *format, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return print(text, strlen(text));
}

int dprintf(int fd, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	n = n < (int)sizeof(text) ? n : (int)sizeof(text) - 1;
	int error = write_all(fd, text, (uint32_t)n);
	return error ? error : n;
}

void complain(const char *what, int error)
{
	dprintf(2, "%s: %s: %s\n", program_name, what, strerror(error));
}

void usage(const char *text, bool wanted)
{
	dprintf(wanted ? 1 : 2, "usage: %s %s\n", program_name, text);
	exit(wanted ? 0 : 2);
}

bool help_wanted(int argc, char **argv) { return argc > 1 && strcmp(argv[1], "--help") == 0; }

int no_options(int argc, char **argv, int least, const char *how)
{
	bool option = argc > 1 && argv[1][0] == '-' && argv[1][1];
	int first = option && strcmp(argv[1], "--") == 0 ? 2 : 1;
	if ((option && first == 1) || argc - first < least)
		usage(how, help_wanted(argc, argv));
	return first;
}

uint32_t number_of(const char *text, const char *how)
{
	const char *end;
	uint32_t n = strtou(text, &end);
	if (*end || end == text)
		usage(how, false);
	return n;
}

uint32_t lines_option(int argc, char **argv, const char *how, int *next)
{
	uint32_t lines = 10;
	*next = 1;
	if (help_wanted(argc, argv))
		usage(how, true);
	if (argc > 1 && argv[1][0] == '-' && strcmp(argv[1], "--") != 0) {
		const char *text = argv[1] + 1;
		if (*text == 'n' && *++text == '\0')
			text = argc > 2 ? argv[++*next] : "";
		++*next;
		lines = number_of(text, how);
	}
	*next += *next < argc && strcmp(argv[*next], "--") == 0;
	return lines;
}

const char *last_part(const char *path)
{
	const char *name = path;
	for (const char *s = path; *s; s++)
		if (*s == '/' && s[1] && s[1] != '/')
			name = s + 1;
	return name;
}

int for_each_from(int argc, char **argv, int (*act)(const char *from, const char *to))
{
	struct stat st;
	int status = 0, i = no_options(argc, argv, 2, "FROM... TO");
	const char *to = argv[argc - 1];
	bool into = stat(to, &st) == 0 && (st.st_mode & S_IFMT) == S_IFDIR;
	if (argc - i > 2 && !into) {
		complain(to, ENOTDIR);
		return 1;
	}
	for (; i < argc - 1; i++) {
		char path[PATH_MAX + 1]; /* what is cut is still too long for the kernel */
		snprintf(path, sizeof(path), into ? "%s/%s" : "%s", to, last_part(argv[i]));
		status |= act(argv[i], path);
	}
	return status;
}

const char *strerror(int error)
{
	static const struct { int error; const char *text; } texts[] = {
		{ EPERM, "operation not permitted" }, { ENOENT, "no such file or directory" },
		{ ESRCH, "no such process" }, { EINTR, "interrupted" },
		{ EIO, "input/output error" }, { E2BIG, "arguments too long" },
		{ ENOEXEC, "not a program" }, { EBADF, "bad file descriptor" },
		{ ECHILD, "no child process" }, { EAGAIN, "no more processes" },
		{ ENOMEM, "out of memory" }, { EACCES, "permission denied" },
		{ EFAULT, "bad address" }, { EBUSY, "in use" }, { EEXIST, "exists already" },
		{ EXDEV, "on another file system" }, { ENODEV, "no such device" },
		{ ENOTDIR, "not a directory" }, { EISDIR, "is a directory" },
		{ EINVAL, "invalid argument" }, { ENFILE, "too many open files" },
		{ EMFILE, "too many open files" }, { ENOTTY, "not a terminal" },
		{ EFBIG, "file too large" }, { ENOSPC, "no space left on the disk" },
		{ ESPIPE, "cannot seek" }, { EROFS, "read-only file system" },
		{ EMLINK, "too many links" }, { EPIPE, "nobody reads the pipe" },
		{ ERANGE, "result too large" }, { ENAMETOOLONG, "name too long" },
		{ ENOSYS, "no such system call" }, { ENOTEMPTY, "directory not empty" },
		{ ELOOP, "symbolic links are not followed" }, { ETIMEDOUT, "timed out" },
		{ EUCLEAN, "file system damaged" }, { EMSGSIZE, "too long for one packet" },
		{ EADDRINUSE, "port in use" }, { EHOSTUNREACH, "that machine does not answer" },
		{ ENETUNREACH, "not in this network" },
	};
	for (uint32_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].error == error || texts[i].error == -error)
			return texts[i].text;
	return "unknown error";
}

char *strstr(const char *s, const char *part)
{
	size_t n = strlen(part);
	for (; *s || !n; s++)
		if (strncmp(s, part, n) == 0)
			return (char *)s;
	return NULL;
}

uint64_t now_ns(void)
{
	uint64_t ns = 0;
	clock(&ns);
	return ns;
}

uint64_t div_u64(uint64_t n, uint32_t by)
{
	uint32_t high = (uint32_t)(n >> 32), rest = high % by, low;
	__asm__("divl %4" : "=a"(low), "=d"(rest) : "a"((uint32_t)n), "d"(rest), "rm"(by));
	return (uint64_t)(high / by) << 32 | low;
}
