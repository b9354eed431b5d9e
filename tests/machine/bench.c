/* SPDX-License-Identifier: MIT */
/*
 * --bench: the program `bench` counts instructions in both modes (QEMU's -icount). Its rows become
 * JSON, and tables beside the references.
 */
#include "bench.h"
#include <errno.h>

#define REFERENCES "docs/data/references.json"
#define HEAVY_ROWS "null_call fork_exit_wait context_switch_2p context_switch_2p_fpu " \
	"pipe_round_trip page_fault mprotect_pair protection_fault"
enum { SECONDS = 590 };

json_t *bench_parse(const char *log, const char *mark)
{
	json_t *rows = json_object();
	char name[64];
	long long value;
	log = strstr(log, mark);
	CHECK(log, "the output has no line \"%s\"", mark);
	for (const char *line = strchr(log, '\n'); line && strncmp(line, "\nmode ", 6) != 0;
	     line = strchr(line + 1, '\n'))
		if (sscanf(line, "\nbench %63s %lld", name, &value) == 2)
			json_object_set_new(rows, name, json_integer(value));
	return rows;
}

static double reference(json_t *references, const char *row, const char *column)
{
	return json_number_value(
		json_object_get(json_object_get(json_object_get(references, "rows"), row), column));
}

/* 0 stands for a value that does not exist. */
static void print_or_dash(int width, int digits, double value)
{
	if (value > 0)
		printf("%*.*f", width, digits, value);
	else
		printf("%*s", width, "-");
}

/* Linux doing the same work: files on ext2, or else the same program, or else with libc. */
static double fair_reference(json_t *references, const char *row)
{
	static const char *const columns[] = { "linux_i386_ext2", "linux_i386_same_work",
					       "linux_i386" };
	for (unsigned i = 0; i < 3; i++) {
		double value = reference(references, row, columns[i]);
		if (value > 0)
			return value;
	}
	return 0;
}

static void print_table(json_t *native, json_t *virtual, json_t *whole, json_t *inlined,
			json_t *references)
{
	const char *row;
	json_t *value;
	printf("\n%-22s %9s %9s %9s %9s %7s %7s %7s %10s %8s  %s\n", "instructions", "inline",
	       "lto", "native", "virtual", "VO", "ratio", "Xen's", "Linux", "/ Linux",
	       "what is unequal to Linux");
	json_object_foreach(native, row, value) {
		double mine = json_number_value(value),
		       above = json_number_value(json_object_get(virtual, row));
		double linux_same = fair_reference(references, row),
		       amd64 = reference(references, row, "linux_amd64");
		double least = json_number_value(json_object_get(inlined, row)),
		       table = json_number_value(json_object_get(whole, row));
		printf("%-22s %9.0f %9.0f %9.0f %9.0f %7.3f %7.2f ", row, least, table,
		       mine, above, table / least, above / mine);
		print_or_dash(7, 2, amd64 > 0 ? reference(references, row, "xen_pv") / amd64 : 0);
		putchar(' ');
		print_or_dash(10, 0, linux_same);
		putchar(' ');
		print_or_dash(8, 3, linux_same > 0 ? mine / linux_same : 0);
		printf("  %s\n", json_string_value(json_object_get(
					  json_object_get(references, "unequal"), row)));
	}
	puts("inline, lto: kernels optimised as a whole, VO=inline and VO=lto; VO: lto / inline; "
	     "ratio: virtual / native;\nXen's: the same of xen_pv / linux_amd64; "
	     "Linux: the same work where it was measured; / Linux: native / Linux");
}

/* --- growth over resident pages --- */

/* The lines "growth ROW PAGES VALUE" after a mark: for each row an array in the order of pages. */
static json_t *parse_growth(const char *log, const char *mark, json_t *references)
{
	json_t *rows = json_object();
	json_t *sizes = json_object_get(json_object_get(references, "growth"), "pages");
	char name[64];
	unsigned pages;
	long long value;
	log = strstr(log, mark);
	for (const char *line = strchr(log, '\n'); line && strncmp(line, "\nmode ", 6) != 0;
	     line = strchr(line + 1, '\n')) {
		if (sscanf(line, "\ngrowth %63s %u %lld", name, &pages, &value) != 3)
			continue;
		json_t *row = json_object_get(rows, name);
		if (!row) {
			json_object_set_new(rows, name, json_array());
			row = json_object_get(rows, name);
			if (pages > 0) /* a row that needs pages */
				json_array_append_new(row, json_null());
		}
		size_t at = json_array_size(row);
		CHECK(json_integer_value(json_array_get(sizes, at)) == pages,
		      "growth %s: %u pages at place %zu, unlike %s", name, pages, at, REFERENCES);
		json_array_append_new(row, json_integer(value));
	}
	CHECK(json_object_size(rows) > 0, "bench growth printed no row after \"%s\"", mark);
	return rows;
}

static void print_numbers(const char *what, json_t *numbers)
{
	size_t i;
	json_t *value;
	printf("%-26s", what);
	json_array_foreach(numbers, i, value) {
		putchar(' ');
		print_or_dash(9, 0, json_number_value(value));
	}
	putchar('\n');
}

static void print_ratio(const char *what, json_t *above, json_t *below)
{
	size_t i;
	json_t *value;
	printf("%-26s", what);
	json_array_foreach(above, i, value) {
		double whole = json_number_value(json_array_get(below, i));
		putchar(' ');
		print_or_dash(9, 3, whole > 0 ? json_number_value(value) / whole : 0);
	}
	putchar('\n');
}

static void print_growth(json_t *native, json_t *virtual, json_t *references)
{
	const char *row;
	json_t *numbers, *others = json_object_get(references, "growth");
	putchar('\n');
	print_numbers("resident pages", json_object_get(others, "pages"));
	json_object_foreach(native, row, numbers) {
		json_t *linux_same = json_object_get(others, row);
		char what[80];
		snprintf(what, sizeof(what), "%s native", row);
		print_numbers(what, numbers);
		print_numbers("    virtual", json_object_get(virtual, row));
		print_ratio("    virtual / native", json_object_get(virtual, row), numbers);
		if (linux_same)
			print_ratio("    native / Linux", numbers, linux_same);
	}
}

/* The same rows in all columns; the references name no other row, and each has its word. */
static void check_complete(json_t *native, json_t *column, json_t *references)
{
	const char *row;
	json_t *unused;
	json_object_foreach(json_object_get(references, "rows"), row, unused)
		CHECK(json_object_get(native, row), "bench printed no row %s", row);
	json_object_foreach(native, row, unused) {
		CHECK(json_object_get(column, row), "bench printed row %s only natively", row);
		if (!json_object_get(json_object_get(references, "unequal"), row))
			give_up(BROKEN, "%s does not say what is unequal in row %s", REFERENCES,
				row);
	}
}

static json_t *load_references(void)
{
	json_error_t error;
	json_t *references = json_load_file(REFERENCES, 0, &error);
	if (!references)
		give_up(BROKEN, "%s: %s", REFERENCES, error.text);
	return references;
}

/*
 * The rows of a kernel that was built in another way, in native mode. Its file system is not
 * checked: whole-program optimisation leaves no symbols to find it by.
 */
static json_t *bench_built(const struct test *t, const char *how)
{
	static char path[300];
	const char *usual = kernel_file;
	struct machine_options o = t->machine;
	snprintf(path, sizeof(path), "%s/%s/cinnabar", build_dir, how);
	kernel_file = path;
	o.cmdline = "run=\"echo mode native && bench\"";
	struct machine *m = machine_start(&o);
	int status = machine_wait(m, SECONDS);
	CHECK(status == EXIT_OK, "with %s the machine ended with status %d", path, status);
	kernel_file = usual;
	return bench_parse(m->log, "mode native");
}

void bench(const struct test *t)
{
	json_t *references = load_references();
	struct machine *m = run_command(&t->machine,
					"echo mode native && bench && bench growth && "
					"echo virtual > /proc/mode && "
					"echo mode virtual && bench && bench growth",
					EXIT_OK, SECONDS);
	json_t *native = bench_parse(m->log, "mode native"),
	       *virtual = bench_parse(m->log, "mode virtual");
	json_t *grown_native = parse_growth(m->log, "mode native", references),
	       *grown_virtual = parse_growth(m->log, "mode virtual", references);
	json_t *fixed = bench_built(t, "static"), *inlined = bench_built(t, "inline"),
	       *whole = bench_built(t, "lto");
	print_table(native, virtual, whole, inlined, references);
	print_growth(grown_native, grown_virtual, references);
	json_t *heavy_native = bench_heavy(false, HEAVY_ROWS),
	       *heavy_virtual = bench_heavy(true, HEAVY_ROWS);
	bench_heavy_print(heavy_native, heavy_virtual);
	fflush(stdout);
	char path[300];
	snprintf(path, sizeof(path), "%s/bench.json", build_dir);
	json_t *result = json_pack(
		"{s:s,s:O,s:O,s:O,s:O,s:O,s:{s:o,s:o},s:{s:o,s:o},s:O}", "unit", "instructions",
		"inline", inlined, "lto", whole, "static", fixed,
		"native", native, "virtual", virtual,
		"growth", "native", grown_native, "virtual", grown_virtual,
		"heavy", "native", heavy_native, "virtual", heavy_virtual,
		"references", references);
	if (json_dump_file(result, path, JSON_INDENT(2)) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	check_complete(native, inlined, references);
	check_complete(native, whole, references);
	check_complete(native, fixed, references);
	check_complete(native, virtual, references);
}

/* A short slice in both modes, for make test: a few rows, and what is read from their lines. */
static void bench_slice(const struct test *t)
{
	static const char *const rows[] = { "null_call", "pipe_256k_read_512", "file_fault",
					    "file_create_0k" };
	struct machine *m = run_command(&t->machine, t->text, EXIT_OK, 20);
	for (unsigned virtual = 0; virtual < 2; virtual++) {
		const char *mark = virtual ? "mode virtual" : "mode native";
		json_t *found = bench_parse(m->log, mark);
		CHECK(json_object_size(found) == 4, "%zu rows instead of 4 after \"%s\"",
		      json_object_size(found), mark);
		for (unsigned i = 0; i < 4; i++)
			CHECK(json_integer_value(json_object_get(found, rows[i])) > 0,
			      "after \"%s\" row %s is missing or 0", mark, rows[i]);
	}
	check_complete(bench_parse(m->log, "mode native"), bench_parse(m->log, "mode virtual"),
		       json_pack("{s:O}", "unequal",
				 json_object_get(load_references(), "unequal")));
}

/*
 * A system call is one INT and one IRET in both modes, and nothing else that is heavy. A context
 * switch loads CR3 once; in virtual mode one hypercall does it, so there are one INT and one IRET
 * more.
 */
static void heavy_slice(const struct test *t)
{
	json_t *modes[2] = { bench_heavy(false, t->text), bench_heavy(true, t->text) };
	static const struct { const char *row, *class; double expected[2]; } cells[] = {
		{ "null_call", "int", { 1, 1 } }, { "null_call", "iret", { 1, 1 } },
		{ "null_call", "cr3", { 0, 0 } }, { "null_call", "locked", { 0, 0 } },
		{ "context_switch_2p", "cr3", { 1, 1 } },
		{ "context_switch_2p", "int", { 0, 1 } },
		{ "context_switch_2p", "iret", { 0, 1 } },
	};
	for (unsigned i = 0; i < 2 * sizeof(cells) / sizeof(*cells); i++) {
		json_t *row = json_object_get(modes[i % 2], cells[i / 2].row);
		double is = json_number_value(json_object_get(row, cells[i / 2].class)),
		       expected = cells[i / 2].expected[i % 2];
		CHECK(row && is > expected - 0.1 && is < expected + 0.1,
		      "%s, %s: %.2f instructions of class %s, not %.0f", cells[i / 2].row,
		      i % 2 ? "virtual" : "native", is, cells[i / 2].class, expected);
	}
}

#define SLICE "bench null_call pipe_256k_read_512 file_fault file_create_0k"
const struct test bench_tests[] = {
	{ .name = "bench-slice", .run = bench_slice, .seconds = 60,
	  .text = "echo mode native && " SLICE " && echo virtual > /proc/mode && "
		  "echo mode virtual && " SLICE },
	{ .name = "bench-heavy", .run = heavy_slice, .seconds = 60,
	  .text = "null_call context_switch_2p" },
	{ 0 },
};
