/* SPDX-License-Identifier: MIT */
/*
 * A guest: opened by domain 0, which gives the frames; born after the checks; and dead, until all
 * frames have gone back. Its state lies in frames that domain 0 gave for this, mapped among the
 * VMM's addresses: a VMM without guests has no memory for them.
 *
 *   UNBORN -> PAUSED <-> RUNS -> DYING -> DEAD
 *        the checks failed: DEAD
 */
#include "vmm/domain/domain.h"
#include "vmm/event/port.h"
#include "vmm/guest.h"
#include "vmm/mem/give.h"

/* Each guest has 8 pages of the VMM's addresses: its state, then its shared page. */
#define GUEST_PAGES 8u
#define GUESTS_PAGE (VMM_BLOCK_MAX / PAGE_SIZE - MAX_DOMAINS * GUEST_PAGES)
#define SHARED_AT (GUEST_PAGES - 1)
_Static_assert(DOMAIN_FRAMES_MAX <= SHARED_AT, "the state fits below the shared page");
#define WEIGHT_MOST 0xFFFFu
#define WARP_LONGEST_US 1000000u

static unsigned next_cpu; /* where the next vCPU lives */

static pte_t *vmm_tables(void)
{
	return (pte_t *)(VMM_BASE + machine.block_bytes - VMM_TABLES * PAGE_SIZE);
}

static uint32_t page_of(uint32_t number) { return GUESTS_PAGE + number * GUEST_PAGES; }

/* Show a frame at a page of the VMM's addresses. It was not in use. */
static void show(uint32_t page, mfn_t mfn)
{
	vmm_tables()[page] = mfn << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D;
}

struct domain *guest_of(uint32_t number)
{
	return number && number < MAX_DOMAINS ? domains[number + 1] : NULL;
}

/* --- birth --- */

static void open_vcpu(struct domain *d, unsigned i)
{
	struct vcpu *v = &d->vcpus[i];
	v->domain = d;
	v->index = (uint8_t)i;
	v->cpu = (uint8_t)(next_cpu++ % machine.nr_cpus);
	v->run = RUN_OFFLINE;
	v->last_table = NO_TABLE;
	v->fresh_limit = NO_LIMIT;
	v->fpu_traps = true;
	v->fs = v->gs = SEL_KDATA;
	fpu_clean(v);
	cpu_of(v->cpu)->nr_guests++;
	cpu_kick(cpu_of(v->cpu));
}

int guest_open(struct cpu *c, const struct domain_op *op)
{
	uint32_t number = 1, n = DOMAIN_FRAMES(op->vcpus);
	if (op->vcpus - 1 >= GUEST_MAX_VCPUS || op->weight > WEIGHT_MOST)
		return -EINVAL;
	while (number < MAX_DOMAINS && guest_of(number))
		number++;
	if (number == MAX_DOMAINS || machine.block_bytes > GUESTS_PAGE * PAGE_SIZE)
		return -ENOSPC;
	int error = frames_give(c, VMM_OWNER, op->frames, n);
	if (error)
		return error;
	for (unsigned i = 0; i < n; i++)
		show(page_of(number) + i, op->frames[i]);
	struct guest *g = (struct guest *)(VMM_BASE + page_of(number) * PAGE_SIZE);
	struct domain *d = &g->domain;
	memset(g, 0, n * PAGE_SIZE);
	memcpy(g->state, op->frames, n * sizeof(mfn_t));
	d->guest = g;
	d->id = (uint8_t)(number + 1);
	d->state = DOMAIN_UNBORN;
	d->nr_vcpus = (uint8_t)op->vcpus;
	d->ports = g->ports;
	d->nr_ports = GUEST_PORTS;
	domains[d->id] = d;
	nr_guests++;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		open_vcpu(d, i);
	guest_weight(d, op->weight, 0);
	return (int)number;
}

/* Let the first vCPU begin at eip in ring 1, or another one that the guest starts. */
static void prepare(struct vcpu *v, uint32_t eip, uint32_t esp, uint32_t eax, uint32_t esi)
{
	v->regs = (struct regs){
		.es = SEL_KDATA, .ds = SEL_KDATA, .eax = eax, .esi = esi, .eip = eip,
		.cs = SEL_KCODE | 1, .eflags = EFLAGS_IF | EFLAGS_FIXED, .esp = esp,
		.ss = SEL_KDATA | 1,
	};
	v->directory = v->domain->directory;
	v->shared->vif = v->shared->pending = 0;
	v->posted = 0;
	v->esp1 = esp;
	frames[v->directory].use++;
}

/* Handlers other than domain 0's need an IDT of their own. */
static int take_handlers(struct domain *d, uint32_t from)
{
	memcpy(d->handlers, domain0.handlers, sizeof(d->handlers));
	d->idt = domain0.idt;
	if (!from)
		return 0;
	if (copy_from_kernel(d->handlers, from, sizeof(d->handlers)))
		return -EFAULT;
	d->idt = d->guest->idt;
	memset(d->idt, 0, sizeof(d->guest->idt));
	copy_idt(d->idt, d->handlers);
	return 0;
}

int guest_birth(struct cpu *c, struct domain *d, const struct domain_op *op)
{
	if (d->state != DOMAIN_UNBORN)
		return -EBUSY;
	if (d->guest->birth_slot == 0) {
		int error = take_handlers(d, op->handlers);
		if (error)
			return error;
		d->directory = op->directory;
		d->shared = op->shared;
	}
	int error = frames_birth(c, d, &d->guest->reason);
	if (error == -EPERM) {
		d->state = DOMAIN_DEAD;
		frames_end_loans(d);
	}
	if (error)
		return error;
	struct vmm_shared *shared =
		(struct vmm_shared *)(VMM_BASE + (page_of(d->id - 1u) + SHARED_AT) * PAGE_SIZE);
	show(page_of(d->id - 1u) + SHARED_AT, d->shared);
	d->rest = (struct shared_rest *)((char *)shared + SHARED_REST);
	d->born = time_now();
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		d->vcpus[i].shared = &shared[i];
		d->vcpus[i].time = &d->rest->time[i];
		time_record(&d->vcpus[i], d->born);
	}
	prepare(&d->vcpus[0], op->eip, 0, 0, op->esi);
	d->vcpus[0].run = RUN_READY;
	d->served = true;
	d->state = DOMAIN_PAUSED;
	return 0;
}

/* --- life --- */

int guest_run(struct domain *d, bool on)
{
	if (d->state != DOMAIN_PAUSED && d->state != DOMAIN_RUNS)
		return -EBUSY;
	d->state = on ? DOMAIN_RUNS : DOMAIN_PAUSED;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (on)
			vcpu_wake(&d->vcpus[i]);
		else
			vcpu_pause(&d->vcpus[i]);
	return 0;
}

int guest_weight(struct domain *d, uint32_t weight, uint32_t warp_us)
{
	weight = weight ? weight : WEIGHT_USUAL;
	if (weight > WEIGHT_MOST || warp_us > WARP_LONGEST_US)
		return -EINVAL;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		d->vcpus[i].turn.weight = weight;
		d->vcpus[i].turn.weight_factor = (WEIGHT_USUAL << WEIGHT_SHIFT) / weight;
		d->vcpus[i].turn.warp_ns = warp_us * 1000;
	}
	return 0;
}

int guest_start_vcpu(struct domain *d, uint32_t index, const struct regs *r)
{
	uint32_t esp = r->edx;
	if (index == 0 || index >= d->nr_vcpus ||
	    (esp && (esp & 3 || !kernel_range(esp - 128, 128))))
		return -EINVAL;
	struct vcpu *v = &d->vcpus[index];
	if (v->run != RUN_OFFLINE || v->directory)
		return -EBUSY; /* it runs, or ran once */
	prepare(v, r->ecx, esp, r->esi, 0);
	v->run = RUN_BLOCKED;
	vcpu_wake(v);
	return 0;
}

void guest_info(const struct domain *d, struct domain_info *info)
{
	const struct guest *g = d->guest;
	*info = (struct domain_info){
		.state = d->state, .frames = g->owned, .vcpus = d->nr_vcpus, .status = g->status,
		.weight = d->vcpus[0].turn.weight,
	};
	snprintf(info->reason, sizeof(info->reason), "%s", g->reason ? g->reason : "");
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];
		info->ran += v->ran;
		info->stolen += v->stolen;
		info->switches += v->switches;
		/* A dead guest's shared page may be another's by now. */
		bool has = v->shared && d->state < DOMAIN_DEAD;
		for (unsigned e = 0; has && e <= EXIT_EXCEPTION; e++)
			info->exits += v->shared->exits[e];
	}
}

/* --- death --- */

/* Whether a vCPU's state has left its processor, which otherwise is told to let go of it. */
static bool has_left(const struct vcpu *v)
{
	struct cpu *c = cpu_of(v->cpu);
	/* In this order: it is chosen first, and current later. */
	if (__atomic_load_n(&c->chosen, __ATOMIC_ACQUIRE) != v &&
	    __atomic_load_n(&c->current, __ATOMIC_ACQUIRE) != v &&
	    __atomic_load_n(&c->fpu_owner, __ATOMIC_ACQUIRE) != v)
		return true;
	c->lets_go = true;
	cpu_kick(c);
	__asm__ volatile("pause"); /* this is asked again and again */
	return false;
}

int guest_kill(struct cpu *c, struct domain *d)
{
	if (d->state == DOMAIN_UNBORN) {
		d->state = DOMAIN_DEAD;
	} else if (d->state != DOMAIN_DEAD) {
		domain_end(c, d, 0, "it was killed");
		for (unsigned i = 0; i < d->nr_vcpus; i++)
			if (!has_left(&d->vcpus[i]))
				return -EAGAIN;
		d->state = DOMAIN_DEAD;
	}
	for (unsigned i = 1; i < d->nr_ports; i++)
		port_close(d, i);
	frames_end_loans(d);
	return 0;
}

int guest_close(struct cpu *c, struct domain *d, const struct domain_op *op)
{
	struct guest *g = d->guest;
	unsigned n = DOMAIN_FRAMES(d->nr_vcpus);
	uint32_t page = page_of(d->id - 1u);
	mfn_t state[DOMAIN_FRAMES_MAX];
	struct cpu *cpus[GUEST_MAX_VCPUS];
	uint64_t ran[GUEST_MAX_VCPUS];
	unsigned id = d->id, nr_vcpus = d->nr_vcpus;
	if (d->state != DOMAIN_DEAD || g->owned)
		return -EBUSY;
	for (unsigned i = 1; i < d->nr_ports; i++)
		port_close(d, i);
	memcpy(state, g->state, sizeof(state));
	for (unsigned i = 0; i < nr_vcpus; i++) {
		cpus[i] = cpu_of(d->vcpus[i].cpu);
		ran[i] = d->vcpus[i].ran;
	}
	int error = frames_take(c, VMM_OWNER, state, op->pfns, n);
	if (error)
		return error; /* else *d and *g are filled with 0 now */
	for (unsigned i = 0; i < nr_vcpus; i++) {
		cpus[i]->nr_guests--;
		cpus[i]->ended += ran[i];
		cpu_kick(cpus[i]);
	}
	domains[id] = NULL;
	nr_guests--;
	memset(vmm_tables() + page, 0, GUEST_PAGES * sizeof(pte_t));
	flush_everywhere(c);
	return 0;
}
