/* SPDX-License-Identifier: MIT */
/*
 * A look at the objects of a submission's files, before they run. They must have no instruction
 * that no exercise needs and that would tell code what machine it is on: a clock, an identity, a
 * device, a descriptor table, a selector. Nor must they use the kernel's clock where no exercise
 * does. And an assembler file must not give its lines to another file, because reports name them.
 * Nor must data stand among the code, where the disassembler does not look; code in data is found
 * when it is executed (machine/outside.c). Variables that the handout does not have are noted: no
 * check finds code that is right only for its first thousand calls. The disassembler works in the
 * sandbox, as the compiler does.
 */
#include "grader.h"
#include "offsets.h"
#include <ctype.h>
#include <fcntl.h>

enum { SECONDS = 300, CPU_SECONDS = 10, MOST_MIB = 4 }; /* ours have 200 KB of disassembly */

/* "mov %s": a segment register is read. */
static const char *const telling[] = {
	"rdtsc", "rdtscp", "rdpmc", "rdmsr", "cpuid", "xgetbv", "in", "inb", "inw", "inl", "insb",
	"insw", "insl", "sgdt", "sgdtl", "sgdtw", "sidt", "sidtl", "sidtw", "sldt", "str", "smsw",
	"lar", "lsl", "verr", "verw", "mov %s", "push %s",
	".byte", "(bad)", /* ends behind a symbol: the processor reads on within the next one */
};
/* The kernel's clock, and tables by which it is called, too. */
static const char a_clock[] = "native_time_now";
static const char *const tables[] = { "vo", "native_vo", "virtual_vo" };
/* Files whose given code, or an exercise, has some of these. */
static const struct { const char *file, *words; } given[] = {
	{ "kernel/switch/switch.c", a_clock },
	{ "kernel/vo/virtual.c", a_clock },
	{ "vmm/cpu/cpu.c", "cpuid, rdmsr, sgdtl, sidtl, str" },
	{ "vmm/entry/entry.S", "push %s" },
};

/* The name of the instruction in a line of disassembly, and "%s" if it reads a segment register. */
static void name_of(const char *line, char name[20])
{
	static const char *const prefixes[] = { "rep ", "repz ", "repnz ", "lock ", "data16 ",
						"addr16 ", "cs ", "ds ", "es ", "fs ", "gs ",
						"ss " };
	const char *at = strchr(line, '\t');
	*name = '\0';
	if (!at || line[0] != ' ')
		return;
	at++;
	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]);)
		if (strncmp(at, prefixes[i], strlen(prefixes[i])) == 0)
			at += strlen(prefixes[i]), i = 0;
		else
			i++;
	size_t n = strcspn(at, " \n");
	snprintf(name, 20, "%.*s", (int)n, at);
	at += n + strspn(at + n, " ");
	bool reads = at[0] == '%' && strchr("cdefgs", at[1]) && at[2] == 's' &&
		     strchr(",\n", at[3]);
	if (reads && (strncmp(name, "mov", 3) == 0 || strncmp(name, "push", 4) == 0))
		snprintf(name, 20, "%s %%s", strncmp(name, "mov", 3) == 0 ? "mov" : "push");
}

static bool is_given(const char *file, const char *name)
{
	for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (strcmp(given[i].file, file) == 0 && strstr(given[i].words, name))
			return true;
	return false;
}

static bool is_telling(const char *file, const char *line)
{
	char name[20];
	name_of(line, name);
	for (unsigned i = 0; *name && i < sizeof(telling) / sizeof(telling[0]); i++)
		if (strcmp(name, telling[i]) == 0)
			return !is_given(file, name);
	return false;
}

/* Whether an instruction has this number as its address or its constant. */
static bool has_number(const char *instruction, uint32_t number)
{
	char text[20];
	snprintf(text, sizeof(text), "%#x", number);
	const char *at = strstr(instruction, text);
	return at && !isxdigit(at[strlen(text)]);
}

/* Whether the line is a relocation that leads to the clock. last: the instruction before it. */
static bool is_clock(const char *file, const char *line, const char *last)
{
	char symbol[100];
	const char *at = strstr(line, "R_386_");
	if (!at || sscanf(at, "%*s %99s", symbol) != 1 || is_given(file, a_clock))
		return false;
	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(symbol, tables[i]) == 0)
			return has_number(last, VO_TIME_NOW);
	return strcmp(symbol, a_clock) == 0;
}

/* Whether the linker puts a section of this name among the data. */
static bool is_data(const char *section)
{
	static const char *const data[] = { ".rodata", ".data", ".bss", ".fixups", ".header" };
	for (unsigned i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		if (strncmp(section, data[i], strlen(data[i])) == 0)
			return true;
	return *section == '*'; /* of another file, or a number */
}

/*
 * Whether the linker would put data among the code. line: what `objdump -h` says of a section, and
 * last the line before it, with the section's name; or what `objdump -t` says of a symbol that is
 * an object. Its bytes would not be disassembled.
 */
static bool is_data_in_code(const char *line, const char *last, char name[100])
{
	enum { FIRST_FLAG = 9, KIND = 15, SECTION = 17 }; /* in a line of `objdump -t` */
	if (strlen(line) > SECTION && line[FIRST_FLAG - 1] == ' ' && line[KIND] == 'O' &&
	    strchr(" lgu!", line[FIRST_FLAG]))
		return sscanf(line + SECTION, "%99s", name) == 1 && !is_data(name);
	return strstr(line, "ALLOC") && !strstr(line, "CODE") &&
	       sscanf(last, "%*u %99s", name) == 1 && !is_data(name);
}

/*
 * What must not be in a list of the sections of a file's objects and their disassembly, where the
 * lines "PATH:NUMBER" say what the lines after them come from. After it come all relocations, those
 * of data, too. Result: the first such thing; NULL: there is none.
 */
static char *find_bad(FILE *f, const char *file)
{
	bool assembler = strcmp(file + strlen(file) - 2, ".S") == 0;
	char line[1000], last[1000] = "", section[100], *at, *found = NULL;
	unsigned number = 0, n;
	while (!found && fgets(line, sizeof(line), f)) {
		if (is_telling(file, line) &&
		    asprintf(&found, "%s:%u: the instruction '%s', which no exercise needs and "
			     "which would tell code that it is judged. Nothing is run until it is "
			     "gone.", file, number, strtok(strchr(line, '\t') + 1, "\n")) < 0)
			give_up(BROKEN, "no memory");
		if (!found && is_clock(file, line, last) &&
		    asprintf(&found, "%s:%u: the clock (%s, or VO(time, now)) is used%s, which "
			     "no exercise needs here and which would tell code that it is judged. "
			     "Nothing is run until that is gone.", file, number, a_clock,
			     *last ? "" : " in data") < 0)
			give_up(BROKEN, "no memory");
		if (!found && is_data_in_code(line, last, section) &&
		    asprintf(&found, "%s: it has data in a section '%s', which would stand among "
			     "code. Nothing is run until that is gone.", file, section) < 0)
			give_up(BROKEN, "no memory");
		if (*line == ' ')
			strcpy(last, line);
		else if (strncmp(line, "RELOCATION", 10) == 0)
			*last = '\0', number = 1; /* no line is known */
		if (*line == '/' && (at = strstr(line, file)) &&
		    sscanf(at + strlen(file), ":%u", &n) == 1)
			number = n;
		else if (*line == '/' && assembler &&
			 asprintf(&found, "%s:%u: the code after this line is said to come from "
				  "another file, by a directive like .file or .include. Nothing is "
				  "run until that is gone.", file, number) < 0)
			give_up(BROKEN, "no memory");
	}
	return found;
}

/*
 * Note the variables that the file has and the handout's does not, from the lines of `objdump -t`.
 * Those of a function have a dot in their name.
 */
static void note_variables(struct grading *g, FILE *f, const char *base, const char *file)
{
	char line[1000], name[100], list[1000] = "", *path, *at;
	if (asprintf(&path, "%s/%s", base ? base : ".", file) < 0)
		give_up(BROKEN, "no memory");
	const char *given_text = file_text(path);
	while (given_text && fgets(line, sizeof(line), f) && strlen(list) < 800)
		if ((strstr(line, " O .bss") || strstr(line, " O .data")) &&
		    (at = strchr(line, '\t')) && sscanf(at, "%*x %99s", name) == 1 &&
		    (strchr(name, '.') || !strstr(given_text, name)))
			strcat(strcat(list, " "), name);
	if (*list)
		note(g, "%s has variables that the handout's does not have, and that stay from "
			"call to call, for all tasks and CPUs:%s", file, list);
	free(path);
}

static bool is_header(const char *file)
{
	return strcmp(file + strlen(file) - 2, ".h") == 0;
}

/*
 * The objects that a file becomes part of, as the shell finds them: those of a header in the lists
 * that the compiler wrote.
 */
static char *objects_of(const char *file)
{
	char *text;
	int n = is_header(file) ?
		asprintf(&text, "$(grep -rlF --include='*.d' '%s' build/kernel | sed 's/d$/o/')",
			 file) :
		asprintf(&text, "build/kernel/%s%s.o", strncmp(file, "vmm/", 4) ? "" : "vmm/",
			 file);
	if (n < 0)
		give_up(BROKEN, "no memory");
	return text;
}

/*
 * Write what objdump says of a file's objects. Result: whether it came to its end. If it did not,
 * that is the code's fault, or this host's.
 */
static bool disassemble(struct sandbox s, const char *file, const char *log)
{
	enum { ENDED = 0, UNREADABLE = 2 }; /* bwrap, prlimit and env have other statuses */
	char *argv[] = { "sh", "-c", NULL, NULL }, *objects = objects_of(file);
	if (asprintf(&argv[2], "exec 2>/dev/null; set -- %s; objdump -ht $@ && objdump -dlr "
		     "--no-show-raw-insn $@ && objdump -r $@ || exit 2", objects) < 0)
		give_up(BROKEN, "no memory");
	free(objects);
	s.cpu_seconds = s.all_cpu_seconds = CPU_SECONDS, s.file_megabytes = MOST_MIB;
	s.output = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status = s.output < 0 ? -1 : wait_for(sandbox_start(&s, argv), SECONDS);
	if (status != ENDED && status != UNREADABLE && status != SANDBOX_LIMIT)
		give_up(BROKEN, "objdump was not run for %s (status %d)", file, status);
	close(s.output), free(argv[2]);
	return status == ENDED;
}

static void look(struct grading *g, struct sandbox s, const char *base, const char *file)
{
	const char *log = grade_path("instructions.log");
	bool whole = disassemble(s, file, log);
	FILE *f = fopen(log, "re");
	if (!f)
		give_up(BROKEN, "%s cannot be read", log);
	g->not_built = find_bad(f, file);
	if (!g->not_built && !whole) {
		s.tree = grade_path("pristine");
		if (base)
			lab_copy(base, s.tree);
		if (base && !disassemble(s, file, grade_path("pristine.log")))
			give_up(BROKEN, "code cannot be looked at here, not even the pristine "
				"file %s", file);
		if (asprintf(&g->not_built, "%s: its code is too large to be looked at, or "
			     "objdump cannot read it", file) < 0)
			give_up(BROKEN, "no memory");
	}
	rewind(f);
	if (!is_header(file))
		note_variables(g, f, base, file);
	fclose(f);
}

/* Whether a file of the submission is as it was given. */
static bool is_as_given(const char *tree, const char *base, const char *file)
{
	struct { char *path, *text; } a, b;
	if (asprintf(&a.path, "%s/%s", tree, file) < 0 ||
	    asprintf(&b.path, "%s/%s", base, file) < 0)
		give_up(BROKEN, "no memory");
	a.text = file_text(a.path), b.text = file_text(b.path);
	bool same = a.text && b.text && strcmp(a.text, b.text) == 0;
	free(a.path), free(a.text), free(b.path), free(b.text);
	return same;
}

/* If all headers are as given, a file that is as given has the objects of the handout. */
void build_look(struct grading *g, struct sandbox s, const char *base, const struct lab_tree *tree)
{
	bool all = !base;
	for (unsigned i = 0; i < tree->n; i++)
		all = all || (is_header(tree->files[i]) &&
			      !is_as_given(s.tree, base, tree->files[i]));
	for (unsigned headers = 0; headers < 2; headers++)
		for (unsigned i = 0; i < tree->n && !g->not_built; i++)
			if (strncmp(tree->files[i], "labs/", 5) != 0 &&
			    is_header(tree->files[i]) == headers &&
			    (all || !is_as_given(s.tree, base, tree->files[i])))
				look(g, s, base, tree->files[i]);
}
