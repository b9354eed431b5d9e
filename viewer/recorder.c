/* SPDX-License-Identifier: MIT */
/*
 * A recording grows step by step: the first step is a whole state, each other one a JSON merge
 * patch (RFC 7396) against the state before.
 */
#include "viewer.h"
#include "offsets.h"
#include "vmm_abi.h"
#include <stdlib.h>
#include <string.h>

static const char *const phases[] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit",
	"resume", NULL,
};
_Static_assert(sizeof(phases) / sizeof(phases[0]) == NR_PHASES + 1, "a name for each phase");

struct recording {
	struct machine *m;
	json_t *json, *steps, *last; /* last: the state of the last step */
	struct caches caches;
	uint32_t task;
	bool domains;       /* a story about them */
	uint32_t back_pages; /* 0: no ring is shown */
	uint64_t start; /* instructions before the first step of this direction */
	uint32_t *places;
	size_t nr_places;
};

static json_t *names(const char *const *list)
{
	json_t *array = json_array();
	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

/* Where each part of the address space begins. */
static json_t *layout(void)
{
	return json_pack("{s:I,s:I,s:I}", "kernel", (json_int_t)KERNEL_BASE, "devices",
			 (json_int_t)KERNEL_MAP_BASE, "vmm", (json_int_t)VMM_BASE);
}

/* Events above the ISA lines, by their bit in the shared page. */
static json_t *event_bits(void)
{
	return json_pack("{s:i,s:i,s:i,s:i}", "timer", EVENT_TIMER, "resched", EVENT_RESCHED,
			 "halt", EVENT_HALT, "switch", EVENT_SWITCH);
}

json_t *recording_names(void)
{
	static const char *const exits[NR_EXITS + 1] = VMM_EXIT_NAMES;
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "layout", layout(),
			 "event_bits", event_bits(), "phases", names(phases),
			 "kinds", names(space_kinds), "frame_types", names(frame_types),
			 "exits", names(exits));
}

struct recording *recording_begin(struct machine *m, const char *title)
{
	struct recording *r = calloc(1, sizeof(*r));
	json_t *all = recording_names();
	r->m = m;
	r->steps = json_array();
	r->last = json_object();
	r->json = json_pack("{s:i,s:s,s:s,s:i}", "format", 1, "title", title,
			    "machine", m->by_hand, "memory", m->o.mem);
	json_object_update(r->json, all);
	json_object_set(r->json, "steps", r->steps);
	json_decref(all);
	return r;
}

json_t *cached(struct cached *c, const uint32_t *words, size_t n,
	       json_t *(*make)(const uint32_t *words, size_t n))
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

/* The patch that turns `from` into `to`. */
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

static void add_step(struct recording *r, json_t *state, uint32_t eip)
{
	json_array_append_new(r->steps, merge_patch(r->last, state));
	json_decref(r->last);
	r->last = state;
	r->places = realloc(r->places, (r->nr_places + 1) * sizeof(*r->places));
	r->places[r->nr_places++] = eip;
}

void recording_of_domains(struct recording *r, const char *story, const char *const *phase_names,
			  uint32_t back_pages)
{
	r->domains = true;
	r->back_pages = back_pages;
	json_object_set_new(r->json, "story", json_string(story));
	json_object_set_new(r->json, "phases", names(phase_names));
}

uint32_t recording_step(struct recording *r, const char *direction, unsigned phase,
			const char *stop)
{
	struct cpu_state cpus[CPUS_MAX];
	uint64_t count = qmp_instructions(r->m);
	machine_state(r->m, cpus);
	const char *before = json_string_value(json_object_get(r->last, "direction"));
	if (!before || strcmp(before, direction) != 0) {
		/* A task lies at the low end of its kernel stack. */
		r->task = r->domains ? 0 : cpus[0].esp & ~(TASK_STACK_BYTES - 1u);
		r->start = count;
	}
	json_t *state = state_read(r->m, &r->caches, &cpus[0], r->task);
	json_object_set_new(state, "direction", json_string(direction));
	json_object_set_new(state, "phase", json_integer(phase));
	json_object_set_new(state, "instructions", json_integer((json_int_t)(count - r->start)));
	if (r->domains) {
		json_object_set_new(state, "domain",
				    json_integer(domain_now(r->m, cpus[0].cr3)));
		json_object_del(state, "saved"); /* of a task that a mode switch is about */
	}
	if (r->back_pages)
		json_object_set_new(state, "channel",
				    ring_read(r->m, cpus[0].cr3, r->back_pages));
	if (stop)
		json_object_set_new(state, "stop", json_string(stop));
	add_step(r, state, cpus[0].eip);
	return cpus[0].eip;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Sort the places and keep each once. Result: how many remain. */
static size_t distinct_places(struct recording *r)
{
	size_t n = 0;
	qsort(r->places, r->nr_places, sizeof(*r->places), by_value);
	for (size_t i = 0; i < r->nr_places; i++)
		if (n == 0 || r->places[n - 1] != r->places[i])
			r->places[n++] = r->places[i];
	return n;
}

/* Free all but the JSON. */
static json_t *finish(struct recording *r)
{
	json_t *json = r->json;
	struct caches *c = &r->caches;
	struct cached *all[] = { &c->gdt, &c->idt, &c->map, &c->frames };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_decref(all[i]->json), free(all[i]->words);
	json_decref(r->last);
	free(r->places), free(r);
	return json;
}

json_t *recording_end(struct recording *r)
{
	sources_add(r->json, r->places, distinct_places(r));
	return finish(r);
}

void recording_drop(struct recording *r) { json_decref(finish(r)); }
