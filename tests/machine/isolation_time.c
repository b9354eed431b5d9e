/* SPDX-License-Identifier: MIT */
/*
 * Guests and time. Rule 52: an interrupt that comes while a guest runs is domain 0's. Rule 53: a
 * guest's slice ends. Rule 56: a timer does not outlive its guest. D5: idle time is nobody's.
 */
#include "isolation_guests.h"
#include "offsets.h"

enum { FIRST = 16, ROOM = 16, SECONDS = 20 };
enum { ACPI_LINE = 9, PM1_STATUS = 0x600, PM1_ENABLE = 0x602, PM1_CONTROL = 0x604,
       POWER_BUTTON = 0x100 };

static struct guest_plan plan(unsigned i, const char *label)
{
	return (struct guest_plan){ .first = FIRST + i * ROOM, .vcpus = 1, .label = label };
}

/* How long a vCPU has run; domain: its id in the VMM, 1 is domain 0. */
static uint64_t ran(const struct victim *v, uint32_t domain, unsigned index)
{
	uint32_t at;
	uint64_t ns;
	virtual_read(v->m, v->start.cr3, vmm_symbol("domains") + domain * 4, &at, 4);
	at += DOMAIN_VCPUS + index * VCPU_BYTES + VCPU_RAN;
	virtual_read(v->m, v->start.cr3, at, &ns, sizeof(ns));
	return ns;
}

/* --- 52: lines --- */

static void set_button(struct machine *m, unsigned enable)
{
	const unsigned values[][2] = { { PM1_STATUS, POWER_BUTTON }, { PM1_ENABLE, enable },
				       { PM1_CONTROL, enable != 0 } };
	for (unsigned i = 0; i < COUNT(values); i++) {
		char text[40];
		snprintf(text, sizeof(text), "o /h %#x %#x", values[i][0], values[i][1]);
		free(qmp_human(m, text));
	}
}

static void run_to(struct victim *v, uint32_t address)
{
	struct cpu_state c[CPUS_MAX];
	CHECK(debug_run(v->m, SECONDS), "the machine does not come to %#x", address);
	machine_state(v->m, c);
	CHECK(c[0].eip == address, "stopped at %#x, not %#x", c[0].eip, address);
}

/* The power button is pressed while a guest runs; its line is domain 0's. */
void guest_lines(struct victim *v)
{
	struct guest_plan g = plan(0, "guest_spins");
	uint32_t loop = KERNEL_BASE + attack_symbol("attack_guest_spinning");
	g.handler = "guest_handler";
	guest_make(v, &g);
	guest_set_word(v, &g, GUEST_DATA, 4, 1); /* it takes events */
	guest_run(v, &g, true);
	set_button(v->m, POWER_BUTTON);
	ALLOWED(v, HC_MASK, ACPI_LINE, 0, 0, 0);
	debug_break(v->m, loop, true);
	debug_set_register(v->m, GDB_EAX, HC_YIELD);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, place(v, "hypercall", false));
	run_to(v, loop);
	debug_break(v->m, loop, false);
	free(qmp(v->m, "system_powerdown", NULL));
	run_to(v, symbol("trap_handle"));
	uint32_t own = shared_word(v, SHARED_PENDING);
	uint32_t theirs = guest_word(v, &g, GUEST_SHARED, SHARED_PENDING);
	CHECK(own >> ACPI_LINE & 1, "domain 0 has the events %#x, the guest %#x", own, theirs);
	struct domain_info info = guest_info(v, &g);
	CHECK(theirs == 0 && info.state == DOMAIN_RUNS,
	      "domain 0's interrupt reached a guest, whose events are %#x and state is %u", theirs,
	      info.state);
	set_shared_word(v, SHARED_PENDING, own & ~(1u << ACPI_LINE));
	set_button(v->m, 0);
	ALLOWED(v, HC_MASK, ACPI_LINE, 1, 0, 0);
	guest_end(v, &g);
}

/* --- 53: slices --- */

enum { TICK_HZ = 100, SLOW_HZ = 2, YIELDS = 10, MOST_NS = 100000000 };

/*
 * Two guests spin with virtual IF 0, and domain 0's ticks come so seldom that nothing but the end
 * of a slice makes room for the others. A slice is 5 ms and what its guest is behind the others.
 * (The clock of these tests counts instructions, but jumps to the next timer at each stop.)
 */
void guest_slices(struct victim *v)
{
	struct guest_plan g[2] = { plan(0, "guest_spins"), plan(1, "guest_spins") };
	for (unsigned i = 0; i < 2; i++)
		guest_make(v, &g[i]);
	for (unsigned i = 0; i < 2; i++)
		guest_run(v, &g[i], true);
	ALLOWED(v, HC_TICK, SLOW_HZ, 0, 0, 0);
	uint64_t a = 0, b = 0, before = ran(v, g[0].number + 1, 0) + ran(v, g[1].number + 1, 0);
	for (unsigned i = 0; i < YIELDS; i++) {
		guests_turn(v);
		a = ran(v, g[0].number + 1, 0), b = ran(v, g[1].number + 1, 0);
		CHECK(a + b - before <= MOST_NS, "guests ran for %llu ns before domain 0 did",
		      (unsigned long long)(a + b - before));
		before = a + b;
	}
	ALLOWED(v, HC_TICK, TICK_HZ, 0, 0, 0);
	CHECK(a > b / 2 && b > a / 2, "one guest ran for %llu ns, the other for %llu",
	      (unsigned long long)a, (unsigned long long)b);
	for (unsigned i = 0; i < 2; i++)
		guest_end(v, &g[i]);
}

/* --- 56: timers; D5: idle time --- */

/* A guest's timer wakes it; one that is still to come goes with its guest. */
void guest_timers(struct victim *v)
{
	struct guest_plan g = plan(0, "guest_sleeps"), other = plan(1, "guest_sleeps");
	guest_make(v, &other);
	guest_run(v, &other, true);
	guest_make(v, &g);
	guest_set_word(v, &g, GUEST_DATA, 12, 1); /* after 4 seconds */
	guest_run(v, &g, true);
	for (unsigned i = 0; i < 2; i++)
		guests_wait(v);
	uint32_t first, timers = vmm_symbol("vmm_cpus") + v->cpu * CPU_BYTES + CPU_TIMERS;
	virtual_read(v->m, v->start.cr3, timers, &first, 4);
	CHECK(first, "no timer is set: this proves nothing");
	struct domain_op op = { .domain = g.number };
	domain_call(v, DOMAIN_KILL, &op);
	check_domains(v->m);
	guest_end(v, &g);
	check_domains(v->m);
	guests_wait(v);
	guest_end(v, &other);
}

/*
 * 57: a guest that has an event does not block: one that it sent itself. (One that comes while it
 * blocks: isolation-57-posted.)
 */
void guest_wakes(struct victim *v)
{
	struct guest_plan g = plan(0, "guest_calls");
	const struct call calls[] = { { HC_SEND, 0, VEC_RESCHED, 0, 0, 0 },
				      { HC_IDLE, 0, 0, 0, 0, 0 } };
	g.handler = "guest_returns";
	guest_make(v, &g);
	guest_asks(v, &g, calls, COUNT(calls));
	guest_end(v, &g);
}

struct times { uint64_t hosted, idled, ran; };

static struct times times(const struct victim *v, const struct guest_plan *g)
{
	struct times t = { .ran = ran(v, 1, v->cpu) + ran(v, g->number + 1, 0) };
	uint32_t cpu = vmm_symbol("vmm_cpus") + v->cpu * CPU_BYTES;
	uint64_t began;
	virtual_read(v->m, v->start.cr3, cpu + CPU_BEGAN, &began, 8);
	virtual_read(v->m, v->start.cr3, cpu + CPU_SINCE, &t.hosted, 8);
	t.hosted -= began;
	virtual_read(v->m, v->start.cr3, cpu + CPU_IDLED, &t.idled, 8);
	return t;
}

/* Nobody can run between domain 0's ticks: that time is idle, and no vCPU's. */
void guest_idle(struct victim *v)
{
	struct guest_plan g = plan(0, "guest_sleeps");
	guest_make(v, &g);
	guest_run(v, &g, true);
	guests_wait(v);
	struct times a = times(v, &g);
	for (unsigned i = 0; i < 5; i++)
		guests_wait(v);
	struct times b = times(v, &g);
	uint64_t hosted = b.hosted - a.hosted;
	uint64_t idled = b.idled - a.idled, ran = b.ran - a.ran;
	CHECK(idled, "CPU %u was never idle: this proves nothing", v->cpu);
	CHECK(hosted == idled + ran, "%llu ns passed: %llu idle, and the vCPUs ran for %llu (D5)",
	      (unsigned long long)hosted, (unsigned long long)idled, (unsigned long long)ran);
	guest_end(v, &g);
}
