/* SPDX-License-Identifier: MIT */
/*
 * --bench: the program `bench` counts instructions in both modes (QEMU's -icount). Its rows become
 * JSON, and a table beside the references.
 */
#include "tests.h"
#include <errno.h>
#include <jansson.h>

#define REFERENCES "docs/data/references.json"
enum { SECONDS = 590 };

/* The lines "bench ROW VALUE" after this mark, up to the next one. */
static json_t *parse_rows(const char *log, const char *mark)
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

static void print_table(json_t *native, json_t *virtual, json_t *fixed, json_t *references)
{
	const char *row, *column;
	json_t *value, *unused, *columns = json_object_get(references, "columns");
	printf("\n%-20s %10s %10s %10s %8s %8s %8s %8s", "instructions", "static", "native",
	       "virtual", "VO", "ratio", "Xen's", "/ linux");
	json_object_foreach(columns, column, unused)
		printf(" %12s", column);
	putchar('\n');
	json_object_foreach(native, row, value) {
		double mine = json_number_value(value),
		       above = json_number_value(json_object_get(virtual, row));
		double linux_i386 = reference(references, row, "linux_i386"),
		       amd64 = reference(references, row, "linux_amd64");
		double bound = json_number_value(json_object_get(fixed, row));
		printf("%-20s %10.0f %10.0f %10.0f %8.3f %8.2f ", row, bound, mine, above,
		       mine / bound, above / mine);
		print_or_dash(8, 2, amd64 > 0 ? reference(references, row, "xen_pv") / amd64 : 0);
		putchar(' ');
		print_or_dash(8, 2, linux_i386 > 0 ? mine / linux_i386 : 0);
		json_object_foreach(columns, column, unused) {
			putchar(' ');
			print_or_dash(12, 0, reference(references, row, column));
		}
		putchar('\n');
	}
	puts("static: VO=static; VO: native / static; native, virtual: Cinnabar; "
	     "ratio: virtual / native; Xen's: the same of xen_pv /\n"
	     "linux_amd64; / linux: native / linux_i386");
}

static void check_complete(json_t *rows, json_t *references)
{
	const char *row;
	json_t *unused;
	json_object_foreach(json_object_get(references, "rows"), row, unused)
		CHECK(json_object_get(rows, row), "bench printed no row %s", row);
}

/* The rows of the kernel whose VO is bound at compile time, in native mode. */
static json_t *bench_static(const struct test *t)
{
	static char path[300];
	const char *usual = kernel_file;
	snprintf(path, sizeof(path), "%s/static/cinnabar", build_dir);
	kernel_file = path;
	struct machine *m = run_command(&t->machine, "echo mode native && bench", EXIT_OK, SECONDS);
	kernel_file = usual;
	return parse_rows(m->log, "mode native");
}

void bench(const struct test *t)
{
	json_error_t error;
	json_t *references = json_load_file(REFERENCES, 0, &error);
	if (!references)
		give_up(BROKEN, "%s: %s", REFERENCES, error.text);
	struct machine *m = run_command(&t->machine,
					"echo mode native && bench && echo virtual > /proc/mode && "
					"echo mode virtual && bench", EXIT_OK, SECONDS);
	json_t *native = parse_rows(m->log, "mode native"),
	       *virtual = parse_rows(m->log, "mode virtual");
	json_t *fixed = bench_static(t);
	print_table(native, virtual, fixed, references);
	fflush(stdout);
	char path[300];
	snprintf(path, sizeof(path), "%s/bench.json", build_dir);
	json_t *result = json_pack("{s:s,s:O,s:O,s:O,s:O}", "unit", "instructions", "static", fixed,
				   "native", native, "virtual", virtual, "references", references);
	if (json_dump_file(result, path, JSON_INDENT(2)) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	check_complete(native, references);
	check_complete(virtual, references);
}
