/* SPDX-License-Identifier: MIT */
/* A recording grows step by step; a step is a JSON merge patch (RFC 7396) against the one before. */
#include "trace.h"
#include <stdlib.h>
#include <string.h>

#define STACK_MASK (~8191u) /* TASK_MASK of kernel/trap/entry.S: a task is at the low end of its stack */

const char *const trace_phases[NR_PHASES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit", "resume",
};

struct trace {
	struct machine *m;
	json_t *json, *steps, *last;
	struct caches caches;
	uint32_t task;
	uint64_t start; /* instructions before the first step of this direction */
	uint32_t *places;
	size_t nr_places;
};

static json_t *names(const char *const *list, size_t n)
{
	json_t *array = json_array();
	for (size_t i = 0; i < n && list[i]; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

struct trace *trace_begin(struct machine *m, const char *title)
{
	struct trace *t = calloc(1, sizeof(*t));
	t->m = m;
	t->steps = json_array();
	t->last = json_object();
	t->json = json_pack("{s:i,s:s,s:s,s:i,s:o,s:o,s:o,s:o}", "format", 1, "title", title, "machine", m->by_hand,
			    "memory", m->o.mem, "phases", names(trace_phases, NR_PHASES), "kinds", names(space_kinds, SIZE_MAX),
			    "frame_types", names(frame_types, SIZE_MAX), "steps", t->steps);
	return t;
}

json_t *cached(struct cached *c, const uint32_t *words, size_t n, json_t *(*make)(const uint32_t *words, size_t n))
{
	if (!c->json || c->n != n || memcmp(c->words, words, n * sizeof(*words)) != 0) {
		json_decref(c->json);
		c->json = make(words, n);
		c->words = realloc(c->words, (n + 1) * sizeof(*words));
		memcpy(c->words, words, n * sizeof(*words));
		c->n = n;
	}
	return json_incref(c->json);
}

/* What makes `to` of `from`. */
static json_t *merge_patch(json_t *from, json_t *to)
{
	json_t *patch = json_object(), *value;
	const char *key;
	json_object_foreach(to, key, value) {
		json_t *old = json_object_get(from, key);
		if (json_is_object(value) && json_is_object(old) && value != old) {
			json_t *part = merge_patch(old, value);
			if (json_object_size(part) > 0)
				json_object_set(patch, key, part);
			json_decref(part);
		} else if (!old || !json_equal(old, value)) {
			json_object_set(patch, key, value);
		}
	}
	json_object_foreach(from, key, value)
		if (!json_object_get(to, key))
			json_object_set_new(patch, key, json_null());
	return patch;
}

uint32_t trace_step(struct trace *t, const char *direction, unsigned phase, const char *stop)
{
	struct cpu_state cpus[CPUS_MAX];
	uint64_t count = qmp_instructions(t->m);
	machine_state(t->m, cpus);
	const char *before = json_string_value(json_object_get(t->last, "direction"));
	if (!before || strcmp(before, direction) != 0) {
		t->task = cpus[0].esp & STACK_MASK;
		t->start = count;
	}
	json_t *state = state_read(t->m, &t->caches, &cpus[0], t->task);
	json_object_set_new(state, "direction", json_string(direction));
	json_object_set_new(state, "phase", json_integer(phase));
	json_object_set_new(state, "instructions", json_integer((json_int_t)(count - t->start)));
	if (stop)
		json_object_set_new(state, "stop", json_string(stop));
	json_array_append_new(t->steps, merge_patch(t->last, state));
	json_decref(t->last);
	t->last = state;
	t->places = realloc(t->places, (t->nr_places + 1) * sizeof(*t->places));
	t->places[t->nr_places++] = cpus[0].eip;
	return cpus[0].eip;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

json_t *trace_end(struct trace *t)
{
	size_t n = 0;
	qsort(t->places, t->nr_places, sizeof(*t->places), by_value);
	for (size_t i = 0; i < t->nr_places; i++)
		if (n == 0 || t->places[n - 1] != t->places[i])
			t->places[n++] = t->places[i];
	sources_add(t->json, t->places, n);
	json_t *json = t->json;
	struct cached *all[] = { &t->caches.gdt, &t->caches.idt, &t->caches.map, &t->caches.frames };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_decref(all[i]->json), free(all[i]->words);
	json_decref(t->last);
	free(t->places), free(t);
	return json;
}
