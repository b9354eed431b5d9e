/* SPDX-License-Identifier: MIT */
/*
 * Code within the instructions of a student's files: the bytes of a constant, for example, to which
 * a call leads. The look at the objects (grader/instructions.c) sees each instruction from its
 * first byte on. Where these begin and end in the images is read once. QEMU then logs each block
 * that begins behind an instruction's first byte (outside.c).
 */
#include "emulators.h"
#include "judge.h"
#include "layout.h"
#include <stdlib.h>
#include <string.h>

/*
 * Ranges of -dfilter. Each costs a nanosecond for each block that QEMU translates. An argument has
 * at most 128 KiB: if there are more ranges, instructions share them, and some blocks of honest
 * code are logged, too.
 */
enum { MOST = 5000 };

struct range { uint32_t begin, end; };
struct ranges { struct range *all; unsigned n; };
static struct ranges code;   /* the student's in one image */
static struct ranges within; /* instructions but for their first bytes, in ascending order */

static void add(struct ranges *r, uint32_t begin, uint32_t end)
{
	if (r->n % 256 == 0)
		r->all = realloc(r->all, (r->n + 256) * sizeof(*r->all));
	if (!r->all)
		give_up(BROKEN, "no memory");
	r->all[r->n++] = (struct range){ begin, end };
}

static bool is_in(const struct ranges *r, uint32_t address)
{
	for (unsigned i = 0; i < r->n; i++)
		if (address - r->all[i].begin < r->all[i].end - r->all[i].begin)
			return true;
	return false;
}

bool within_instruction(uint32_t address)
{
	return is_in(&within, address);
}

/* Whether an object was made from a header, by the list that the compiler wrote. */
static bool includes(const char *object, const char *header)
{
	char path[300];
	snprintf(path, sizeof(path), "%.*s.d", (int)strlen(object) - 2, object);
	char *list = file_text(path);
	bool does = list && strstr(list, header);
	free(list);
	return does;
}

/* Whether a student's file became part of an object. */
static bool is_students(const char *object)
{
	bool is = false;
	char *text = strdup(judge_files), *rest = text, *file;
	while (!is && (file = strsep(&rest, "\n"))) {
		size_t n = strlen(file);
		bool header = n > 2 && strcmp(file + n - 2, ".h") == 0;
		is = header ? includes(object, file) : n > 0 && strstr(object, file);
	}
	free(text);
	return is;
}

/* Read where the student's code is from the linker's map of an image. */
static void read_map(const char *name)
{
	char path[300], line[1000], object[300];
	snprintf(path, sizeof(path), "%s/kernel/%s.map", build_dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		give_up(BROKEN, "%s is not there; run make first", path);
	code.n = 0;
	while (fgets(line, sizeof(line), f)) {
		uint32_t address, bytes, begin = 0, n = 0;
		/* A section may have any name, which stands before the address. */
		for (const char *at = line; (at = strstr(at, "0x")); at += 2)
			if (sscanf(at, "0x%x 0x%x %299s", &address, &bytes, object) == 3)
				begin = address, n = bytes;
		if (n > 0 && begin >= KERNEL_BASE && is_students(object))
			add(&code, begin, begin + n);
	}
	fclose(f);
}

/* Read what is within the student's instructions from a list of those of an image. */
static void read_instructions(FILE *f)
{
	char line[300], *after;
	for (uint32_t address, last = 0; fgets(line, sizeof(line), f);) {
		address = (uint32_t)strtoul(line, &after, 16);
		if (after == line || *after != ':')
			continue;
		if (last && address - last > 1)
			add(&within, last + 1, address);
		last = is_in(&code, address) ? address : 0;
	}
}

static void read_image(const char *name, const char *file)
{
	enum { LONGEST = 16 }; /* after the last one another instruction is listed */
	uint32_t first = 0xFFFFFFFF, end = 0;
	char command[400];
	read_map(name);
	for (unsigned i = 0; i < code.n; i++) {
		first = code.all[i].begin < first ? code.all[i].begin : first;
		end = code.all[i].end > end ? code.all[i].end : end;
	}
	snprintf(command, sizeof(command), "objdump -dz --no-show-raw-insn --start-address=%#x "
		 "--stop-address=%#x '%s'", first, end + LONGEST, file);
	FILE *f = code.n ? popen(command, "re") : NULL;
	if (f)
		read_instructions(f);
	if (code.n && (!f || pclose(f) != 0))
		give_up(BROKEN, "objdump was not run for %s", file);
}

void within_read(void)
{
	read_image("cinnabar", kernel_file);
	read_image("vmm", vmm_file);
}

void within_filter(FILE *f)
{
	unsigned each = within.n / MOST + 1;
	for (unsigned i = 0; i < within.n; i += each)
		fprintf(f, ",%#x..%#x", within.all[i].begin,
			within.all[i + each < within.n ? i + each - 1 : within.n - 1].end - 1);
}
