/* SPDX-License-Identifier: MIT */
/*
 * What the sources say of code addresses. addr2line and objdump are asked once a recording, for
 * all addresses together.
 */
#include "viewer.h"
#include "vmm_abi.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXT = 7, LINE_BYTES = 4096 }; /* CONTEXT: lines of source above and below each place */

static FILE *open_or_give_up(const char *path, const char *how)
{
	FILE *f = fopen(path, how);
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	return f;
}

/* The place of an address, made when it is first asked for. */
static json_t *place(json_t *places, uint32_t address)
{
	char key[24];
	snprintf(key, sizeof(key), "%u", address);
	json_t *p = json_object_get(places, key);
	if (!p)
		json_object_set_new(places, key, p = json_object());
	return p;
}

/*
 * Add file and line from addr2line's "DIRECTORY/kernel/switch/switch.c:70 (discriminator 3)". The
 * path is kept from the project's root on.
 */
static void add_line(json_t *place, char *text)
{
	char *colon = strrchr(text, ':');
	if (!colon || *text == '?' || json_object_get(place, "file"))
		return;
	*colon = '\0';
	json_object_set_new(place, "file", json_string(symbol_below_here(text)));
	json_object_set_new(place, "line", json_integer(atoi(colon + 1)));
}

/*
 * addr2line answers with the address, then with pairs of lines: a function, and its file and line.
 * The innermost function comes first, the one that the others were inlined into comes last.
 */
static void read_lines(json_t *places, const char *path)
{
	char function[LINE_BYTES], line[LINE_BYTES];
	json_t *p = NULL;
	FILE *f = open_or_give_up(path, "r");
	while (fgets(function, sizeof(function), f)) {
		function[strcspn(function, "\n")] = '\0';
		if (strncmp(function, "0x", 2) == 0) {
			p = place(places, (uint32_t)strtoul(function, NULL, 16));
			continue;
		}
		if (!p || !fgets(line, sizeof(line), f))
			break;
		if (!json_object_get(p, "function"))
			json_object_set_new(p, "function", json_string(function));
		json_object_set_new(p, "within", json_string(function)); /* the last pair remains */
		add_line(p, line);
	}
	fclose(f);
}

/* objdump prints "c0111740:	push   %ebp". */
static void read_instructions(json_t *places, const char *path)
{
	char line[LINE_BYTES], key[24];
	FILE *f = open_or_give_up(path, "r");
	while (fgets(line, sizeof(line), f)) {
		char *end;
		uint32_t address = (uint32_t)strtoul(line, &end, 16);
		if (end == line || end[0] != ':' || end[1] != '\t')
			continue;
		snprintf(key, sizeof(key), "%u", address);
		json_t *p = json_object_get(places, key);
		end[strcspn(end, "\n#")] = '\0';
		if (p)
			json_object_set_new(p, "code", json_string(end + 2));
	}
	fclose(f);
}

/* Add what is known of n addresses of one ELF file. */
static void ask(json_t *places, const char *elf, const uint32_t *addresses, size_t n)
{
	const char *in = work_path("addresses"), *out = work_path("places");
	FILE *f = open_or_give_up(in, "w");
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%#x\n", addresses[i]);
	fclose(f);
	shell_must(60, "addr2line -e '%s' -a -f -i <'%s' >'%s'", elf, in, out);
	read_lines(places, out);
	shell_must(60, "objdump -d --no-show-raw-insn '%s' >'%s'", elf, out);
	read_instructions(places, out);
}

static bool begins_comment(const char *line)
{
	return strncmp(line + strspn(line, " \t"), "/*", 2) == 0;
}

static bool in_comment(const char *line)
{
	return begins_comment(line) || line[strspn(line, " \t")] == '*';
}

/* Add line n of a text (an array of lines), with all lines of the comment that it touches. */
static void add_line_of(json_t *lines, json_t *text, size_t n)
{
	#define LINE(i) json_string_value(json_array_get(text, (i) - 1))
	size_t first = n, last = n, end = json_array_size(text);
	char key[24];
	while (first > 1 && in_comment(LINE(first)) && !begins_comment(LINE(first)))
		first--;
	while (last < end && in_comment(LINE(last + 1)) && !begins_comment(LINE(last + 1)))
		last++;
	for (size_t i = first; i <= last; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		json_object_set(lines, key, json_array_get(text, i - 1));
	}
	#undef LINE
}

/*
 * Some lines of a source file. wanted: an object whose keys are line numbers. The path comes from
 * the ELF file, which may be a student's: only files below this directory are read.
 */
static json_t *excerpt(const char *path, json_t *wanted)
{
	char line[LINE_BYTES];
	const char *number;
	json_t *lines = json_object(), *text = json_array(), *value;
	bool here = *path != '/' && !strstr(path, "..");
	FILE *f = here ? fopen(path, "r") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		json_t *string = json_string(line);
		json_array_append_new(text, string ? string : json_string("(no UTF-8)"));
	}
	json_object_foreach(wanted, number, value) {
		int n = atoi(number);
		if (n > 0 && (size_t)n <= json_array_size(text))
			add_line_of(lines, text, (size_t)n);
	}
	json_decref(text);
	if (f)
		fclose(f);
	return lines;
}

/* The lines around all places, by file. */
static json_t *excerpts(json_t *places)
{
	json_t *wanted = json_object(), *sources = json_object(), *p, *lines;
	const char *key;
	char number[16];
	json_object_foreach(places, key, p) {
		const char *file = json_string_value(json_object_get(p, "file"));
		int line = (int)json_integer_value(json_object_get(p, "line"));
		if (!file)
			continue;
		if (!json_object_get(wanted, file))
			json_object_set_new(wanted, file, json_object());
		for (int i = line - CONTEXT; i <= line + CONTEXT; i++) {
			snprintf(number, sizeof(number), "%d", i);
			json_object_set_new(json_object_get(wanted, file), number, json_true());
		}
	}
	json_object_foreach(wanted, key, lines)
		json_object_set_new(sources, key, excerpt(key, lines));
	json_decref(wanted);
	return sources;
}

void sources_add(json_t *recording, const uint32_t *addresses, size_t n)
{
	size_t kernel = 0; /* addresses below the VMM */
	json_t *places = json_object();
	while (kernel < n && addresses[kernel] < VMM_BASE)
		kernel++;
	ask(places, kernel_file, addresses, kernel);
	ask(places, vmm_file, addresses + kernel, n - kernel);
	json_object_set_new(recording, "places", places);
	json_object_set_new(recording, "sources", excerpts(places));
}
