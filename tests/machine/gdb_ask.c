/* SPDX-License-Identifier: MIT */
/* Run GDB with a script of commands on a machine, and look at what it says: see gdb_ask.h. */
#include "gdb_ask.h"
#include <stdarg.h>

char gdb_text[200000];
char *gdb_part = gdb_text;

void ask(const char *commands)
{
	char socket[16];
	unsigned n = 0;
	for (const struct machine *other = machines->next; other; other = other->next)
		n++;
	snprintf(socket, sizeof(socket), "%u.gdb", n);
	FILE *f = fopen(work_path("script"), "w");
	fprintf(f, "%s\ndisconnect\n", commands);
	fclose(f);
	int status = shell(gdb_text, sizeof(gdb_text), 60,
			   GDB " -ex 'target remote %s' -x %s 2>&1", work_path(socket),
			   work_path("script"));
	CHECK(status == 0,
	      "GDB ended with status %d at one of these commands:\n%s\nand said:\n%.3000s", status,
	      commands, gdb_text);
	gdb_part = gdb_text;
}

/* Before each command GDB echoes its name as "== NAME". */
void ask_all(const char *const *commands)
{
	char *script;
	size_t size;
	FILE *f = open_memstream(&script, &size);
	for (; *commands; commands++)
		fprintf(f, "echo \\n== %s\\n\n%s\n", *commands, *commands);
	fclose(f);
	ask(script);
	free(script);
}

const char *answer(const char *command)
{
	static char copy[sizeof(gdb_text)];
	char label[100];
	snprintf(label, sizeof(label), "== %s\n", command);
	const char *at = strstr(gdb_text, label);
	CHECK(at, "GDB did not come to %s:\n%.3000s", command, gdb_text);
	snprintf(copy, sizeof(copy), "%s", at + strlen(label) - 1);
	char *end = strstr(copy, "\n== ");
	if (end)
		end[1] = '\0';
	return gdb_part = copy;
}

void want(const char *fmt, ...)
{
	char wanted[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(wanted, sizeof(wanted), fmt, ap);
	va_end(ap);
	CHECK(strstr(gdb_part, wanted), "GDB did not say \"%s\", but\n%.3000s", wanted, gdb_part);
}
