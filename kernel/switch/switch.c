/* SPDX-License-Identifier: MIT */
/*
 * The mode switch. A writer of /proc/mode raises VEC_SWITCH on every CPU. In its handler,
 * interrupts off, the writer's CPU leads through the phases below; the other CPUs follow: each
 * does a phase's part for itself when it is told to. Attach and detach run the same phases in
 * the same order, each in its own direction. What a phase does in one direction the same phase
 * undoes in the other: that is the roll-back of a switch that fails before `commit`.
 *
 * Between install and commit the CPUs are in the new ring while `vo` is still the old mode's:
 * no code here uses the VO then.
 */
#include "switch/switch.h"
#include "boot/boot.h"
#include "mm/vm.h"
#include "switch/rendezvous.h"
#include "vo/virtual.h"

#define ANSWER_NS 1000000000ull /* a CPU that has not arrived by then does not answer */
#define RETRIES 200             /* one at each tick */

static struct mutex mutex; /* one switch at a time; guards `record` and the request */

static struct rendezvous rendezvous;
static struct vmm_loaded loaded; /* what each CPU will load, stored when it arrives */
static struct switch_record record;
static bool at_boot; /* switch_at_boot: there is no other CPU to meet */

static uint32_t bit(unsigned cpu) { return 1u << cpu; }

static uint32_t others(void) { return (bit(nr_cpus) - 1) & ~bit(this_cpu()); }

/*
 * Wait until all other CPUs have set their bits.
 *
 * Exercise 3.3 (labs/03-switch/handout.md, 3.3): given a word in which each CPU sets its own
 * bit, and native_time_now(), a clock that does not use the VO. Result: 0 when the bits of all
 * other CPUs are set; -ETIMEDOUT when ANSWER_NS have passed on the clock and one is still
 * missing. This CPU's own bit must not matter.
 */
int await(volatile uint32_t *bits)
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
 * Do a step on all CPUs.
 *
 * Exercise 3.5 (labs/03-switch/handout.md, 3.5): given a step and its direction, and all other
 * CPUs in follow(), or on their way to it. Result: every CPU, this one included, has done the
 * step once when this returns; after a NULL step every follower has left its loop. No CPU must
 * ever do another step, or do it in another direction, than this one orders.
 */
void everywhere(void (*step)(bool attach), bool attach)
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

static void on_all_cpus(void (*step)(bool attach), bool attach)
{
	at_boot ? step(attach) : everywhere(step, attach);
}

/* --- the phases, in order; result: 0 or a negative errno value --- */

/*
 * Raise VEC_SWITCH on all CPUs; this CPU takes it here. Interrupts stay off until the IPIs are
 * sent, so that VEC_SWITCH arrives after irq.restore and not inside the VO.
 */
int request(bool attach)
{
	uint32_t flags = VO(irq, save)();
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

/* Wait until all CPUs are in the handler. */
int gather(bool attach)
{
	(void)attach;
	return await(&rendezvous.arrived);
}

/*
 * Go on only if no CPU was interrupted inside the VO or holds it.
 *
 * Exercise 3.4 (labs/03-switch/handout.md, 3.4): given `busy`, in which each busy CPU has set
 * its bit. Result: 0 if no CPU is busy, else -EBUSY. The writer then tries again at the next
 * tick; this function must not wait.
 */
int quiesce(bool attach)
{
	(void)attach;
	/* LAB 3 TODO 4 BEGIN */
	return rendezvous.busy ? -EBUSY : 0;
	/* LAB 3 TODO 4 END */
}

/*
 * Let the VMM give types and counts to what the CPUs' page directories reach. At attach all CPUs
 * go over to the kernel's own directory, which the VMM knows since warm-up. So this costs the same
 * whatever the tasks have mapped; each loads its own at its next access (mm/fault.c).
 * Detach keeps types and counts until commit, so that a roll-back still has them.
 */
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

/*
 * Page-table frames become read-only, or writable again. The ring decides how to ask, not the
 * direction: a roll-back goes through here, too.
 */
int protect(bool attach)
{
	uint32_t op = attach ? VMM_PROTECT : VMM_UNPROTECT;
	if (native_vo.cpu.ring() == 0)
		return vmm_call(op, this_cpu(), 0);
	return hypercall(HC_DETACH, op, 0, 0, 0);
}

/*
 * Exchange this CPU's descriptor tables, and with them the ring of the kernel. At an attach
 * (but not when a detach is rolled back) load what account gave to the VMM. At detach the
 * kernel's TSS gets the stack of this task first, for it was not kept up to date in virtual mode:
 * a store, which ring 1 may do, too.
 */
static void install_here(bool attach)
{
	uint32_t stack = (uint32_t)current() + TASK_STACK_BYTES;
	if (attach) {
		if (rendezvous.attach)
			native_vo.mmu.load_directory(mm_directory(NULL));
		vmm_call(VMM_INSTALL, this_cpu(), stack);
	} else {
		native_vo.cpu.switch_context(stack, NULL);
		hypercall(HC_DETACH, VMM_INSTALL, 0, 0, 0);
	}
}

int install(bool attach)
{
	on_all_cpus(install_here, attach);
	return 0;
}

/*
 * Give the trap frames of a task's interrupted kernel code the code selector of the ring to
 * which they will return (SDM vol. 3, 6.12.1).
 *
 * Exercise 3.7 (labs/03-switch/handout.md, 4.1): given a task and its list of trap_frames.
 * Result: each frame can return to the ring of the new mode. Nothing else in the frames must
 * change.
 */
void translate_trap_frames(struct task *t, bool attach)
{
	/* LAB 3 TODO 7 BEGIN quiet */
	for (struct trap_frame *f = t->trap_frames; f; f = (struct trap_frame *)f->outer)
		f->cs = SEL_KCODE | attach;
	/* LAB 3 TODO 7 END */
}

static void translate_here(bool attach)
{
	translate_trap_frames(current(), attach);
}

/*
 * Translate the saved state of the tasks that run, each on its CPU, and of those that were
 * preempted.
 */
int translate(bool attach)
{
	on_all_cpus(translate_here, attach);
	sched_each_preempted(translate_trap_frames, attach);
	return 0;
}

/*
 * Exchange the VO. From here on there is no way back.
 *
 * Exercise 3.8 (labs/03-switch/handout.md, 4.2): given the kernel in the new ring, `vo` of the
 * old mode. Result: 0; `vo` is the new mode's, wholly; after a detach the VMM has no types any
 * more.
 */
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
	{ "request", request },     { "gather", gather },   { "quiesce", quiesce },
	{ "account", account },     { "protect", protect }, { "install", install },
	{ "translate", translate }, { "commit", commit },   { "resume", resume },
};

/* --- the handler --- */

/*
 * Roll back a switch that failed before commit.
 *
 * Exercise 3.11 (labs/03-switch/handout.md, 6.1): given the phase that failed, from account to
 * translate; it may have done a part of its work, or all. Result: what the phases from account
 * to that one did in this switch is undone.
 */
void undo(unsigned failed)
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
 * Give up a switch for which a CPU has not arrived.
 *
 * Exercise 3.12 (labs/03-switch/handout.md, 6.2): given some followers in follow(), and a CPU
 * that has not arrived. Result: the followers leave; a CPU that arrives later finds that nothing
 * is wanted of it. This function must not wait for any CPU.
 */
void dismiss(void)
{
	/* LAB 3 TODO 12 BEGIN */
	rendezvous.wanted = false;
	rendezvous.step = NULL;
	__atomic_fetch_add(&rendezvous.order, 1, __ATOMIC_RELEASE);
	/* LAB 3 TODO 12 END */
}

/*
 * The leader's way through a switch. On exit record.error is 0 or the failure, and
 * record.failed the last phase that ran.
 *
 * Exercise 3.2 (labs/03-switch/handout.md, 3.2): given p, the first phase after request.
 * Result: the phases ran in order, until commit or until one failed, and the end of each was
 * recorded (record_phase). A phase before commit that went well, and whose failure is rehearsed
 * (record.fail), has failed with -EIO. `error` is 0 or the failure; p is one more than the last
 * phase that ran.
 */
void lead(void)
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
	if (error == -ETIMEDOUT)
		dismiss();
	else
		resume(rendezvous.attach);
	record_phase(&record, PHASE_RESUME);
	rendezvous.result = error;
}

/*
 * A follower's part in a switch.
 *
 * Exercise 3.6 (labs/03-switch/handout.md, 3.6): given the leader in everywhere(), which may
 * have given its first order before this function begins. Result: each ordered step was done
 * once, in its direction, and reported in `done`, until a NULL step, which is reported, too.
 */
void follow(void)
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

/*
 * VEC_SWITCH arrived on this CPU: report in, then lead or follow.
 *
 * Exercise 3.1 (labs/03-switch/handout.md, 3.1): given the interrupted task and this CPU's use
 * count. Result: before `arrived` says that this CPU came, its bit in `busy` is set if the task
 * was interrupted inside the VO or the CPU holds the VO. Bits that other CPUs set at this moment
 * must not be lost.
 */
void switch_interrupt(void)
{
	unsigned cpu = this_cpu();
	if (!rendezvous.wanted)
		return;
	loaded.directory[cpu] = mm_directory(NULL);
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

/*
 * Before a detach: the VMM gives up all tables that no CPU uses, this task's own, too. So few are
 * left for `protect`, which runs with interrupts off. Here they are on.
 */
static void let_tables_go(void)
{
	vo_hold();
	mfn_t directory = mm_directory(NULL);
	VO(mmu, load_directory)(directory);
	vo_release();
	while (hypercall(HC_TRIM, 0, 0, 0, 0) == -EAGAIN)
		;
}

int switch_mode(bool to_virtual)
{
	int error = 0;
	if (!vmm_present() || VO_IS_STATIC)
		return -ENODEV;
	mutex_lock(&mutex);
	record = (struct switch_record){ .attach = to_virtual, .cpus = nr_cpus,
					 .fail = record.fail };
	while (VO(cpu, ring)() != (to_virtual ? 1u : 0u)) {
		if (!to_virtual)
			let_tables_go();
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

/*
 * The phases from account to translate; commit is one line here, since no other CPU or task can
 * see it. There is no roll-back: only account can fail, and then the boot ends.
 */
int switch_at_boot(void)
{
	int error = 0;
	if (nr_cpus > 1 || !vmm_present() || VO_IS_STATIC)
		return switch_mode(true);
	uint32_t flags = VO(irq, save)();
	at_boot = true;
	loaded.directory[0] = mm_directory(NULL);
	for (unsigned p = PHASE_ACCOUNT; p < PHASE_COMMIT && !error; p++)
		error = phases[p].run(true);
	if (!error)
		vo = virtual_vo;
	at_boot = false;
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
