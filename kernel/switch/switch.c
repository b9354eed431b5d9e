/* SPDX-License-Identifier: MIT */
/*
 * The mode switch. A writer of /proc/mode raises VEC_SWITCH on every CPU; in its handler, interrupts off, the writer's CPU
 * leads through the phases below and the others follow: they do a phase's part for their own CPU when told to. Attach and detach
 * run the same phases in the same order, each in its own direction. What a phase does in one direction its opposite
 * undoes: that is the roll-back of a switch that fails before `commit`.
 *
 * Between install and commit the CPUs are in the new ring while `vo` is still the old mode's: nothing here uses the VO then.
 */
#include "switch/switch.h"
#include "boot/boot.h"
#include "mm/vm.h"
#include "switch/record.h"
#include "vo/virtual.h"

#define ANSWER_NS 1000000000ull /* a CPU that does not come within so long does not answer */
#define RETRIES 200           /* at ticks */

static struct mutex mutex; /* one switch at a time */

static struct {
	bool attach;
	unsigned leader;
	volatile bool wanted;       /* the vector means this switch */
	volatile uint32_t arrived, busy, done; /* CPUs, as bits */
	volatile uint32_t order;    /* counts what the followers are told */
	uint32_t first_order;       /* as it was at the request */
	void (*volatile step)(bool attach); /* NULL: leave */
	volatile bool step_attach;
	volatile int result;        /* 1: not yet */
} rendezvous;
static struct vmm_loaded loaded; /* page directories, as the CPUs report them when they come */
static struct switch_record record;

static uint32_t bit(unsigned cpu) { return 1u << cpu; }

static uint32_t others(void) { return (bit(nr_cpus) - 1) & ~bit(this_cpu()); }

/*
 * Wait until the bits of all other CPUs are set in a word that they write. Result: 0; -ETIMEDOUT when ANSWER_NS have passed on the
 * clock (native_time_now, which reads no state of either mode) and one is still missing. This CPU's own bit does not matter.
 */
static int await(volatile uint32_t *bits)
{
	/* LAB 3 TODO 3 BEGIN */
	for (uint64_t end = 0; (*bits & others()) != others();) {
		uint64_t t = native_time_now();
		end = end ? end : t + ANSWER_NS;
		if (t > end)
			return -ETIMEDOUT;
		__asm__ volatile("pause");
	}
	return 0;
	/* LAB 3 TODO 3 END */
}

/*
 * Do a step on all CPUs: tell the others (step, its direction, and last of all that there is a new order), do it here, and return when
 * all have done theirs (`done`). step NULL: the others leave follow(). No time-out: they are in the handler, interrupts off.
 */
static void everywhere(void (*step)(bool attach), bool attach)
{
	/* LAB 3 TODO 5 BEGIN */
	rendezvous.done = 0;
	rendezvous.step = step;
	rendezvous.step_attach = attach;
	__atomic_fetch_add(&rendezvous.order, 1, __ATOMIC_RELEASE);
	if (step)
		step(attach);
	while ((rendezvous.done & others()) != others())
		__asm__ volatile("pause");
	/* LAB 3 TODO 5 END */
}

/* --- the phases, in order; result: 0 or a negative errno value --- */

/* Raise the dedicated vector on all CPUs; this one takes it here, with interrupts on. */
int request(bool attach)
{
	uint32_t flags = VO(irq, save)(); /* so that the vector comes behind the last line of this, not within the VO */
	rendezvous.attach = attach;
	rendezvous.leader = this_cpu();
	rendezvous.arrived = rendezvous.busy = rendezvous.done = 0;
	rendezvous.result = 1;
	rendezvous.first_order = rendezvous.order;
	record_begin(&record);
	__atomic_store_n(&rendezvous.wanted, true, __ATOMIC_RELEASE);
	if (nr_cpus > 1)
		VO(irq, send)(IPI_OTHERS, VEC_SWITCH);
	VO(irq, send)(this_cpu(), VEC_SWITCH);
	VO(irq, restore)(flags);
	while (rendezvous.result > 0)
		__asm__ volatile("pause");
	return rendezvous.result;
}

/* All CPUs are in the handler. */
int gather(bool attach)
{
	(void)attach;
	return await(&rendezvous.arrived);
}

/* No CPU was within the VO, or holds it: `busy` is empty. Result: 0; -EBUSY, then the writer tries again at the next tick. */
int quiesce(bool attach)
{
	(void)attach;
	/* LAB 3 TODO 4 BEGIN */
	return rendezvous.busy ? -EBUSY : 0;
	/* LAB 3 TODO 4 END */
}

/* Types and counts of what the CPUs' page directories reach. Detach keeps them until it is certain. */
int account(bool attach)
{
	if (!attach)
		return 0;
	loaded.n = nr_cpus;
	vmm_call(VMM_FORGET, this_cpu(), 0);
	int pinned = vmm_call(VMM_ACCOUNT, this_cpu(), (uint32_t)&loaded);
	record.pinned = pinned > 0 ? (uint32_t)pinned : 0;
	return pinned < 0 ? pinned : 0;
}

/* Frames of page tables become read-only, or writable again. */
int protect(bool attach)
{
	uint32_t op = attach ? VMM_PROTECT : VMM_UNPROTECT;
	return native_vo.cpu.ring() == 0 ? vmm_call(op, this_cpu(), 0) : hypercall(HC_DETACH, op, 0, 0, 0);
}

/* This CPU's tables, and with them its ring. */
static void install_here(bool attach)
{
	uint32_t stack = (uint32_t)current() + TASK_STACK_BYTES;
	if (attach) {
		vmm_call(VMM_INSTALL, this_cpu(), stack);
	} else {
		native_vo.cpu.switch_context(stack, 0);
		hypercall(HC_DETACH, VMM_INSTALL, 0, 0, 0);
	}
}

int install(bool attach)
{
	everywhere(install_here, attach);
	return 0;
}

/*
 * The code selector in each frame of interrupted kernel code of a task (trap_frames, linked by `outer`, 0 at the end): its RPL is
 * the ring to return to, that is rendezvous.step_attach. Nothing else in the frames changes (SDM vol. 3, 6.12.1).
 */
static void translate_trap_frames(struct task *t)
{
	/* LAB 3 TODO 7 BEGIN quiet */
	for (struct trap_frame *f = t->trap_frames; f; f = (struct trap_frame *)f->outer)
		f->cs = SEL_KCODE | rendezvous.step_attach;
	/* LAB 3 TODO 7 END */
}

static void translate_here(bool attach)
{
	(void)attach;
	translate_trap_frames(current());
}

int translate(bool attach)
{
	everywhere(translate_here, attach);
	sched_each_preempted(translate_trap_frames);
	return 0;
}

/* Exchange the VO, all of it. At detach the VMM then forgets its types. From here on there is no way back. Result: 0. */
int commit(bool attach)
{
	/* LAB 3 TODO 8 BEGIN */
	vo = attach ? virtual_vo : native_vo;
	if (!attach)
		vmm_call(VMM_FORGET, this_cpu(), 0);
	return 0;
	/* LAB 3 TODO 8 END */
}

/* Let all CPUs go on. */
int resume(bool attach)
{
	rendezvous.wanted = false;
	everywhere(NULL, attach);
	return 0;
}

const struct phase phases[NR_PHASES] = {
	{ "request", request }, { "gather", gather }, { "quiesce", quiesce }, { "account", account }, { "protect", protect },
	{ "install", install }, { "translate", translate }, { "commit", commit }, { "resume", resume },
};

/* --- the handler --- */

/*
 * Take back the phases from `failed` down to account: each by its opposite, last first. The opposite of install, protect and translate is
 * the same phase in the other direction; that of account at attach is VMM_FORGET, at detach nothing. The failed one is among them:
 * it may have done a part, or all.
 */
static void undo(unsigned failed)
{
	/* LAB 3 TODO 11 BEGIN */
	for (unsigned p = failed + 1; p-- > PHASE_ACCOUNT;)
		if (p == PHASE_ACCOUNT && rendezvous.attach)
			vmm_call(VMM_FORGET, this_cpu(), 0);
		else if (p != PHASE_ACCOUNT)
			phases[p].run(!rendezvous.attach);
	/* LAB 3 TODO 11 END */
}

/*
 * The leader. Exercise 2: run the phases behind request in the order of the table, up to and with commit, until one fails; the time of
 * each is recorded when it ends. A phase before commit for which a failure is rehearsed (record.fail) has failed with -EIO when it went
 * well. Afterwards `error` is the failure or 0, and p the phase behind the last that was run.
 * Exercise 12: a CPU has not come. Those that came must leave the handler, nobody waits for anybody, and one that comes later must find
 * that nothing is wanted of it.
 */
static void lead(void)
{
	int error = 0;
	unsigned p = PHASE_GATHER;
	record_phase(&record, PHASE_REQUEST);
	/* LAB 3 TODO 2 BEGIN */
	for (; p < PHASE_RESUME && !error; p++) {
		error = phases[p].run(rendezvous.attach);
		if (!error && record.fail == p && p < PHASE_COMMIT)
			error = -EIO;
		record_phase(&record, p);
	}
	/* LAB 3 TODO 2 END */
	record.error = error;
	record.failed = p - 1;
	if (error && p > PHASE_ACCOUNT)
		undo(p - 1);
	if (error != -ETIMEDOUT) {
		resume(rendezvous.attach);
	} else {
		/* LAB 3 TODO 12 BEGIN */
		rendezvous.wanted = false;
		rendezvous.step = NULL;
		__atomic_fetch_add(&rendezvous.order, 1, __ATOMIC_RELEASE);
		/* LAB 3 TODO 12 END */
	}
	record_phase(&record, PHASE_RESUME);
	rendezvous.result = error;
}

/*
 * The others: do each step that is ordered, as ordered, and report it (`done`), until the step is NULL, which is reported, too. The first
 * order may have come before this begins: it is the first that differs from rendezvous.first_order.
 */
static void follow(void)
{
	/* LAB 3 TODO 6 BEGIN */
	uint32_t order = rendezvous.first_order;
	for (void (*step)(bool) = install_here; step;) {
		while (rendezvous.order == order)
			__asm__ volatile("pause");
		order = rendezvous.order;
		step = rendezvous.step;
		if (step)
			step(rendezvous.step_attach);
		__atomic_fetch_or(&rendezvous.done, bit(this_cpu()), __ATOMIC_RELEASE);
	}
	/* LAB 3 TODO 6 END */
}

/* On each CPU. Exercise 1: if this one was interrupted within the VO (task_in_vo) or holds it (vo_uses), it is busy: its bit says so. */
void switch_interrupt(void)
{
	unsigned cpu = this_cpu();
	if (!rendezvous.wanted)
		return;
	loaded.directory[cpu] = task_directory(current());
	/* LAB 3 TODO 1 BEGIN */
	if (vo_uses[cpu] || task_in_vo(current()))
		__atomic_fetch_or(&rendezvous.busy, bit(cpu), __ATOMIC_RELAXED);
	/* LAB 3 TODO 1 END */
	__atomic_fetch_or(&rendezvous.arrived, bit(cpu), __ATOMIC_RELEASE);
	if (cpu == rendezvous.leader)
		lead();
	else
		follow();
}

/* --- the writer --- */

int switch_mode(bool to_virtual)
{
	int error = 0;
	if (!vmm_present() || VO_IS_STATIC)
		return -ENODEV;
	mutex_lock(&mutex);
	record = (struct switch_record){ .attach = to_virtual, .cpus = nr_cpus, .fail = record.fail };
	while (VO(cpu, ring)() != (to_virtual ? 1u : 0u)) {
		error = request(to_virtual);
		if (error != -EBUSY || record.retries == RETRIES)
			break;
		record.retries++;
		if (sleep_ms(1)) {
			error = -EINTR;
			break;
		}
	}
	if (record.start)
		record_end(&record);
	record.fail = 0;
	mutex_unlock(&mutex);
	return error;
}

int switch_at_boot(void)
{
	if (nr_cpus > 1 || !vmm_present() || VO_IS_STATIC)
		return switch_mode(true);
	uint32_t flags = VO(irq, save)();
	loaded.directory[0] = task_directory(current());
	rendezvous.step_attach = true;
	int error = account(true);
	if (!error) {
		protect(true);
		install_here(true);
		sched_each_preempted(translate_trap_frames);
		vo = virtual_vo;
	}
	VO(irq, restore)(flags);
	return error;
}

int switch_rehearse(unsigned phase)
{
	mutex_lock(&mutex);
	record.fail = phase;
	mutex_unlock(&mutex);
	return 0;
}
