/* SPDX-License-Identifier: MIT */
/*
 * `make trace`: the recordings in its pages are compared with machines of our own in both modes,
 * and with each other; and a real browser (tests/browser/trace.js) must show what they hold.
 */
#include "tests.h"
#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>

enum { NR_PHASES = 9, PAGE_BYTES_MAX = 5000000 };
/* The recording's number for a frame (type + 8 * count), and those for a run of the map. */
enum { SHARED_COUNTED_ONCE = 6 + 8 * 1, PAGE_TABLES = 3, WRITABLE = 2 };
static const char *const phases[NR_PHASES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit",
	"resume",
};

/* --- a page's recording --- */

static const char *make_page(const char *name, const char *options)
{
	const char *page = work_path(name);
	char text[8000];
	int status = shell(text, sizeof(text), 200, "%s/trace OUT=%s %s 2>&1", build_dir, page,
			   options);
	CHECK(status == 0, "trace %s ended with status %d:\n%s", options, status, text);
	return page;
}

static json_t *read_page(const char *page)
{
	static const char begin[] = "<script type=\"application/json\" id=\"data\">";
	struct stat s;
	FILE *f = fopen(page, "r");
	if (!f || fstat(fileno(f), &s) < 0)
		give_up(BROKEN, "%s: %s", page, strerror(errno));
	CHECK(s.st_size < PAGE_BYTES_MAX, "the page has %ld bytes", (long)s.st_size);
	char *text = calloc(1, (size_t)s.st_size + 1);
	if (fread(text, 1, (size_t)s.st_size, f) != (size_t)s.st_size)
		give_up(BROKEN, "%s: %s", page, strerror(errno));
	fclose(f);
	char *data = strstr(text, begin), *end = data ? strstr(data, "</script>") : NULL;
	CHECK(end, "the page holds no recording");
	data += sizeof(begin) - 1;
	json_error_t error;
	json_t *trace = json_loadb(data, (size_t)(end - data), 0, &error);
	CHECK(trace, "the recording is no JSON: %s", error.text);
	free(text);
	return trace;
}

/* A JSON merge patch (RFC 7396) of an object. The result shares the parts that do not change. */
static json_t *merge(json_t *target, json_t *patch)
{
	json_t *result = json_copy(target), *value;
	const char *key;
	json_object_foreach(patch, key, value) {
		if (json_is_null(value))
			json_object_del(result, key);
		else if (json_is_object(value) && json_is_object(json_object_get(target, key)))
			json_object_set_new(result, key,
					    merge(json_object_get(target, key), value));
		else
			json_object_set(result, key, value);
	}
	return result;
}

static json_t *states_of(json_t *trace)
{
	json_t *states = json_array(), *steps = json_object_get(trace, "steps"),
	       *state = json_object(), *patch;
	size_t i;
	json_array_foreach(steps, i, patch)
		json_array_append_new(states, state = merge(state, patch));
	CHECK(i > 0, "the recording is empty");
	return states;
}

static const char *text_of(json_t *state, const char *key)
{
	return json_string_value(json_object_get(state, key));
}

static uint32_t number_of(json_t *state, const char *group, const char *key)
{
	json_t *value = json_object_get(group ? json_object_get(state, group) : state, key);
	CHECK(json_is_integer(value), "a state has no number %s", key);
	return (uint32_t)json_integer_value(value);
}

static bool is_direction(json_t *state, const char *direction)
{
	return strcmp(text_of(state, "direction"), direction) == 0;
}

/* The first or the last state of one direction. */
static json_t *state_at(json_t *states, const char *direction, bool last)
{
	json_t *found = NULL, *state;
	size_t i;
	json_array_foreach(states, i, state)
		if (is_direction(state, direction) && (last || !found))
			found = state;
	CHECK(found, "nothing is recorded of %s", direction);
	return found;
}

/* --- a recording against machines --- */

/* One direction has all phases, each once, in order. */
static void check_phases(json_t *states, const char *direction)
{
	unsigned next = 0;
	json_t *state;
	size_t i;
	json_array_foreach(states, i, state) {
		uint32_t phase = number_of(state, NULL, "phase");
		if (!is_direction(state, direction) || (next > 0 && phase == next - 1))
			continue;
		CHECK(phase == next, "%s: phase %s comes where %s is due", direction,
		      phases[phase % NR_PHASES], next < NR_PHASES ? phases[next] : "the end");
		next++;
	}
	CHECK(next == NR_PHASES, "%s ends before %s", direction, phases[next]);
}

static void check_table(struct machine *m, uint32_t cr3, json_t *state, const char *name,
			const char *pointer, const struct segment *table)
{
	json_t *at = json_object_get(state, pointer), *entries = json_object_get(state, name);
	CHECK((uint32_t)json_integer_value(json_array_get(at, 0)) == table->base &&
	      (uint32_t)json_integer_value(json_array_get(at, 1)) == table->limit,
	      "the recorded %s lies not at %#x with limit %#x", name, table->base, table->limit);
	for (unsigned i = 0; i < (table->limit + 1) / 8; i++) {
		uint32_t words[2];
		char key[16];
		virtual_read(m, cr3, table->base + 8 * i, words, 8);
		snprintf(key, sizeof(key), "%u", i);
		json_t *entry = json_object_get(entries, key);
		uint32_t low = (uint32_t)json_integer_value(json_array_get(entry, 0));
		uint32_t high = (uint32_t)json_integer_value(json_array_get(entry, 1));
		CHECK(low == words[0] && high == words[1],
		      "%s entry %u was recorded as %08x %08x, in a machine it is %08x %08x", name,
		      i, high, low, words[1], words[0]);
	}
}

/* A recorded state against a machine of the same kind that is in this mode now. */
static void check_mode_of(struct machine *m, json_t *state, bool is_virtual)
{
	struct cpu_state cpus[CPUS_MAX];
	const char *mode = is_virtual ? "virtual" : "native";
	machine_stop(m);
	machine_state(m, cpus);
	CHECK(number_of(state, NULL, "ring") == is_virtual, "%s mode is recorded with ring %u",
	      mode, number_of(state, NULL, "ring"));
	CHECK(strcmp(text_of(state, "mode"), mode) == 0 && strcmp(text_of(state, "vo"), mode) == 0,
	      "%s mode is recorded as %s, with the %s VO", mode, text_of(state, "mode"),
	      text_of(state, "vo"));
	CHECK((cpus[0].gdt.base >= VMM_BASE) == is_virtual, "our machine is not in %s mode", mode);
	check_table(m, cpus[0].cr3, state, "gdt", "gdtr", &cpus[0].gdt);
	check_table(m, cpus[0].cr3, state, "idt", "idtr", &cpus[0].idt);
	CHECK(number_of(state, "regs", "cr0") == cpus[0].cr0 &&
	      number_of(state, "regs", "cr4") == cpus[0].cr4 &&
	      number_of(state, "tss", "base") == cpus[0].tr.base &&
	      number_of(state, "segments", "tr") == cpus[0].tr.selector,
	      "%s mode: CR0, CR4 or the TSS are not those of a machine", mode);
	machine_continue(m);
}

/* Whether V3 holds in a state: no page table or directory is mapped writable. */
static bool tables_read_only(json_t *state)
{
	json_t *run;
	size_t i;
	json_array_foreach(json_object_get(state, "map"), i, run)
		if (json_integer_value(json_array_get(run, 3)) == PAGE_TABLES &&
		    json_integer_value(json_array_get(run, 2)) & WRITABLE)
			return false;
	return true;
}

static void check_memory(json_t *states)
{
	json_t *native = state_at(states, "attach", false),
	       *attached = state_at(states, "attach", true), *state;
	uint32_t frame = number_of(attached, "regs", "cr3") >> 12;
	char row[16];
	size_t i;
	CHECK(!tables_read_only(native), "no page table is recorded as writable before attach");
	json_array_foreach(states, i, state)
		CHECK(number_of(state, NULL, "ring") != 1 || tables_read_only(state) ||
		      is_direction(state, "detach"),
		      "ring 1 is recorded with a writable page table (V3)");
	snprintf(row, sizeof(row), "%u", frame / 64);
	json_t *value = json_array_get(json_object_get(json_object_get(attached, "frames"), row),
				       frame % 64);
	CHECK(json_integer_value(value) == SHARED_COUNTED_ONCE,
	      "the loaded directory, frame %#x, is recorded with %lld (type + 8 * count)", frame,
	      (long long)json_integer_value(value));
}

static void by_phases(const struct test *t)
{
	json_t *states = states_of(read_page(make_page("trace.html", "STEPS=phases")));
	json_t *first = state_at(states, "attach", false),
	       *attached = state_at(states, "attach", true);
	json_t *last = state_at(states, "detach", true);
	check_phases(states, "attach");
	check_phases(states, "detach");
	struct machine *m = start_to_prompt(&t->machine);
	check_mode_of(m, first, false);
	command(m, "echo virtual > /proc/mode", 20);
	check_mode_of(m, attached, true);
	command(m, "echo native > /proc/mode", 20);
	check_mode_of(m, last, false);
	check_memory(states);
	end_at_prompt(m);
}

/* --- instructions --- */

/* At the start of each phase both recordings must have the same state. */
static void check_same_at_phases(json_t *fine, json_t *coarse)
{
	json_t *a, *b;
	size_t i, k;
	for (unsigned phase = 0; phase < NR_PHASES; phase++) {
		json_t *first[2] = { NULL, NULL };
		json_array_foreach(fine, i, a)
			if (!first[0] && number_of(a, NULL, "phase") == phase)
				first[0] = a;
		json_array_foreach(coarse, k, b)
			if (!first[1] && number_of(b, NULL, "phase") == phase)
				first[1] = b;
		CHECK(json_equal(first[0], first[1]),
		      "at the start of %s the two recordings differ", phases[phase]);
	}
}

static void by_instructions(const struct test *t)
{
	(void)t;
	json_t *trace = read_page(make_page("fine.html", "STEPS=instructions DIRECTION=attach")),
	       *states = states_of(trace), *state;
	json_t *coarse = states_of(read_page(make_page("coarse.html", "DIRECTION=attach")));
	uint32_t before = 0, single = 0, last = 0;
	size_t i;
	check_phases(states, "attach");
	json_array_foreach(states, i, state) {
		uint32_t count = number_of(state, NULL, "instructions"),
			 eip = number_of(state, "regs", "eip");
		char key[16];
		snprintf(key, sizeof(key), "%u", eip);
		json_t *place = json_object_get(json_object_get(trace, "places"), key);
		CHECK(text_of(place, "file") && text_of(place, "code"),
		      "step %zu: nothing is said of the code at %#x", i, eip);
		CHECK(count >= before, "step %zu is before the one before it", i);
		CHECK(eip != last, "step %zu is another turn of one string instruction at %#x", i,
		      eip);
		single += count - before == 1;
		before = count, last = eip;
	}
	CHECK(i > 1000 && single > i * 95 / 100 && before < 10000,
	      "%zu steps, of which only %u are one instruction each; %u instructions", i, single,
	      before);
	check_same_at_phases(states, coarse);
}

/* --- the browser --- */

void need_browser(void)
{
	char text[8000];
	if (shell(text, sizeof(text), 120,
		  "flock %s/npm.lock " ALONE "make -s %s/browser/node_modules/.package-lock.json "
		  "2>&1", build_dir, build_dir) != 0)
		give_up(SKIPPED,
			"npm's registry is not to be had here, and with it what drives the browser "
			"(tests/browser/package.json):\n%s",
			text);
}

static void in_browser(const struct test *t)
{
	char text[8000];
	need_browser();
	const char *page = make_page("page.html", t->text);
	int status = shell(
		text, sizeof(text), 240,
		"NODE_PATH=%s/browser/node_modules node tests/browser/trace.js %s %s/%s 2>&1",
		build_dir, page, build_dir, t->name);
	CHECK(status == 0, "tests/browser/trace.js ended with status %d:\n%s", status, text);
}

/* text: what is recorded. */
static void domains_in_browser(const struct test *t)
{
	char text[8000];
	need_browser();
	const char *page = make_page("page.html", t->text);
	int status = shell(text, sizeof(text), 240, "NODE_PATH=%s/browser/node_modules "
			   "node tests/browser/trace_domains.js %s %s/%s 2>&1", build_dir, page,
			   build_dir, t->name);
	CHECK(status == 0, "tests/browser/trace_domains.js ended with status %d:\n%s", status,
	      text);
}

const struct test trace_tests[] = {
	{ .name = "trace-phases", .run = by_phases, .seconds = 120, .machine = { .mem = 32 } },
	{ .name = "trace-instructions", .run = by_instructions, .seconds = 240 },
	{ .name = "trace-browser", .run = in_browser, .seconds = 400, .text = "STEPS=phases" },
	{ .name = "trace-domains", .run = domains_in_browser, .seconds = 400,
	  .text = "OF=domains" },
	{ .name = "trace-request", .run = domains_in_browser, .seconds = 400,
	  .text = "OF=request" },
	{ 0 },
};

/* trace-browser shows the page, and trace-instructions reads what is recorded. */
const struct test trace_soak_tests[] = {
	{ .name = "trace-browser-instructions", .run = in_browser, .seconds = 400,
	  .text = "STEPS=instructions DIRECTION=attach" },
	{ 0 },
};
