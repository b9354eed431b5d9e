/* SPDX-License-Identifier: MIT */
/*
 * Guests are born, live and die. Rule 49: what a hostile builder writes is refused, and the VMM
 * takes no frame that is mapped elsewhere. Rule 50: frames come back filled with 0.
 */
#include "isolation_guests.h"

static const struct guest_plan plain = { .first = 16, .vcpus = 1, .label = "guest_hello" };

/* A guest prints, stops with a status, and leaves all that it had. */
void guest_lives(struct victim *v)
{
	static const char words[16] = "I am a guest.\n";
	struct guest_plan g = plain;
	guest_make(v, &g);
	guest_set_word(v, &g, GUEST_DATA, 4, sizeof(words));
	for (unsigned i = 0; i < sizeof(words); i += 4) {
		uint32_t word;
		memcpy(&word, words + i, 4);
		guest_set_word(v, &g, GUEST_DATA, 8 + i, word);
	}
	REFUSED(v, -EBUSY, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	guest_run(v, &g, true);
	guest_await_end(v, &g, GUEST_END);
	struct domain_op op = { .domain = g.number, .n = 256,
				.address = pool_address(v, DATA_PAGE) + 2048 };
	int n = domain_call(v, DOMAIN_OUTPUT, &op);
	char said[256] = "";
	virtual_read(v->m, v->start.cr3, op.address, said, sizeof(said));
	CHECK(n == sizeof(words) && memcmp(said, words, (size_t)n) == 0,
	      "its output has %d bytes: %s", n, said);
	guest_end(v, &g);
	ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
}

/* --- 49: births --- */

/* Entries that a builder must not write, and the rule that each breaks. offset: in `page`. */
static const struct lie {
	unsigned page, offset;
	enum { VALUE, GUEST, OWNER } kind; /* value: as it is; a guest's page; domain 0's frame */
	uint32_t value, flags;
	const char *rule;
} lies[] = {
	{ GUEST_TABLE, 5 * 4, VALUE, 0, 0, "its direct map has a hole" },
	{ GUEST_TABLE, 5 * 4, GUEST, GUEST_DATA, PTE_W, "mapped twice" },
	{ GUEST_TABLE, 5 * 4, OWNER, 0, 0, "not its own" },
	{ GUEST_TABLE, 900 * 4, OWNER, 0, 0, "not its own" },
	{ GUEST_TABLE, 900 * 4, GUEST, GUEST_TABLE, PTE_W, "mapped twice" },
	{ GUEST_TABLE, 900 * 4, GUEST, GUEST_DIRECTORY, PTE_W, "mapped twice" },
	{ GUEST_TABLE, 900 * 4, VALUE, 0xFEE00000 | PTE_P, 0, "not its own" },
	{ GUEST_TABLE, 900 * 4, VALUE, 0xFFFFF000 | PTE_P, 0, "not its own" },
	{ GUEST_TABLE, 900 * 4, GUEST, GUEST_DATA, PTE_PS, "must not have" },
	{ GUEST_DIRECTORY, 0, GUEST, GUEST_TABLE, PTE_A, "maps user addresses" },
	{ GUEST_DIRECTORY, KERNEL_SLOT * 4, GUEST, GUEST_TABLE, PTE_W, "no page table of its own" },
	{ GUEST_DIRECTORY, KERNEL_SLOT * 4, VALUE, PTE_P | PTE_W | PTE_A | PTE_PS, 0,
	  "no page table of its own" },
	{ GUEST_DIRECTORY, KERNEL_SLOT * 4, OWNER, 0, PTE_W | PTE_A, "no page table of its own" },
	{ GUEST_DIRECTORY, KERNEL_SLOT * 4 + 4, GUEST, GUEST_TABLE, PTE_A,
	  "no page table of its own" },
	{ GUEST_DIRECTORY, KERNEL_SLOT * 4 + 4, GUEST, GUEST_DIRECTORY, PTE_A,
	  "no page table of its own" },
};

static void refused_birth(struct victim *v, const struct guest_plan *g, const char *rule)
{
	int result = guest_bear(v, g);
	struct domain_info info = guest_info(v, g);
	CHECK(result == -EPERM && strstr(info.reason, rule),
	      "birth: %d, \"%s\"; due is -EPERM, \"%s\"", result, info.reason, rule);
	REFUSED(v, -EBUSY, HC_DOMAIN, DOMAIN_BIRTH, domain_op_address(v), 0, 0);
	guest_end(v, g);
}

static void lie(struct victim *v, const struct lie *l)
{
	struct guest_plan g = plain;
	guest_prepare(v, &g);
	guest_set_word(v, &g, l->page, l->offset,
		       l->kind == VALUE ? l->value :
		       entry(l->kind == GUEST ? guest_mfn(&g, l->value) : pool_mfn(v, FREE_PAGE),
			     l->flags));
	refused_birth(v, &g, l->rule);
}

/* Frames named in the arguments of birth, rather than in entries. */
static void lie_in_arguments(struct victim *v)
{
	struct guest_plan g = plain;
	guest_prepare(v, &g);
	g.shared = pool_mfn(v, FREE_PAGE);
	refused_birth(v, &g, "the shared page is not its own");
	g = plain;
	guest_prepare(v, &g);
	g.shared = guest_mfn(&g, GUEST_TABLE);
	refused_birth(v, &g, "the shared page is not its own");
	g = plain;
	guest_prepare(v, &g);
	g.directory = v->directory;
	refused_birth(v, &g, "the directory is not its own");
	g = plain;
	guest_prepare(v, &g);
	g.directory = 0xFFFFFFFF;
	refused_birth(v, &g, "the directory is not its own");
}

/*
 * A program of the giver's still maps a frame of the guest's, or of its state, read-only: that has
 * no count.
 */
static void keep_mapping(struct victim *v, unsigned page)
{
	struct guest_plan g = plain;
	map_user(v, page, PTE_U);
	guest_prepare(v, &g);
	refused_birth(v, &g, "a table of the giver maps a frame of it");
	map_user(v, page, 0);
}

/*
 * A mapping of a given frame cannot be copied: a birth in its midst would not see the copy in a
 * table that it has passed.
 */
static void share_mapping(struct victim *v)
{
	struct guest_plan g = plain;
	uint32_t page = g.first + GUEST_DATA, slot = free_slot(v), table = pool_mfn(v, FREE_PAGE);
	pool_clear(v, FREE_PAGE);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(table, PTE_W | PTE_U), 0);
	map_user(v, page, PTE_U);
	guest_prepare(v, &g);
	int result = guest_bear_part(v, &g);
	CHECK(result == -EAGAIN, "the first part of a birth: %d", result);
	REFUSED(v, -EPERM, HC_SHARE, pte_machine(v, page), 1, table << PAGE_SHIFT, 0);
	map_user(v, page, 0);
	result = guest_bear(v, &g);
	CHECK(result == 0, "DOMAIN_BIRTH: %d (%s)", result, guest_info(v, &g).reason);
	guest_end(v, &g);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, table, 0, 0, 0);
}

/* Frames that cannot be given: mapped writable twice, a table, the VMM's, twice the same. */
static void give_badly(struct victim *v)
{
	struct guest_plan g = plain;
	guest_prepare(v, &g);
	struct domain_op op = { .domain = g.number, .n = 1, .frames = { pool_mfn(v, 40) } };
	map_user(v, 40, PTE_W | PTE_U);
	guest_refuse(v, -EBUSY, DOMAIN_GIVE, &op);
	guest_refuse(v, -EBUSY, DOMAIN_LEND, &op);
	map_user(v, 40, 0);
	op.n = 2, op.frames[1] = op.frames[0];
	guest_refuse(v, -EINVAL, DOMAIN_GIVE, &op);
	op.frames[1] = v->table;
	guest_refuse(v, -EBUSY, DOMAIN_GIVE, &op);
	op.frames[1] = v->directory;
	guest_refuse(v, -EBUSY, DOMAIN_GIVE, &op);
	op.frames[1] = guest_mfn(&g, GUEST_DATA);
	guest_refuse(v, -EPERM, DOMAIN_GIVE, &op);
	op.frames[1] = 0xFFFFFFFF;
	guest_refuse(v, -EPERM, DOMAIN_GIVE, &op);
	op.n = DOMAIN_OP_FRAMES + 1;
	guest_refuse(v, -EINVAL, DOMAIN_GIVE, &op);
	op.n = 1, op.frames[0] = guest_mfn(&g, GUEST_DATA), op.pfns[0] = v->pfn + 40;
	guest_refuse(v, -EBUSY, DOMAIN_TAKE, &op);
	guest_refuse(v, -EBUSY, DOMAIN_RUN, &op);
	guest_refuse(v, -EBUSY, DOMAIN_CLOSE, &op);
	op.domain = 0;
	guest_refuse(v, -EINVAL, DOMAIN_KILL, &op);
	op.domain = MAX_DOMAINS;
	guest_refuse(v, -EINVAL, DOMAIN_KILL, &op);
	guest_end(v, &g);
}

/* Frames that cannot be taken: twice in a call, twice at all, to a page that is not free. */
static void take_badly(struct victim *v)
{
	struct guest_plan g = plain;
	guest_prepare(v, &g);
	struct domain_op op = { .domain = g.number, .n = 2 };
	guest_refuse(v, 0, DOMAIN_KILL, &op);
	op.frames[0] = op.frames[1] = guest_mfn(&g, GUEST_DATA);
	op.pfns[0] = v->pfn + g.first + GUEST_DATA, op.pfns[1] = op.pfns[0] + 1;
	guest_refuse(v, -EINVAL, DOMAIN_TAKE, &op);
	op.frames[1] = guest_mfn(&g, GUEST_DATA + 1), op.pfns[1] = op.pfns[0];
	guest_refuse(v, -EINVAL, DOMAIN_TAKE, &op);
	op.pfns[1] = v->pfn + g.first + GUEST_MEMORY + DOMAIN_FRAMES(1);
	guest_refuse(v, -EINVAL, DOMAIN_TAKE, &op); /* that page has a frame */
	op.pfns[1] = kernel_word(v->m, "nr_pfns");
	guest_refuse(v, -EINVAL, DOMAIN_TAKE, &op);
	guest_refuse(v, -EBUSY, DOMAIN_CLOSE, &op);
	op.n = 1;
	guest_refuse(v, 0, DOMAIN_TAKE, &op);
	guest_refuse(v, -EPERM, DOMAIN_TAKE, &op);
	check_frame_table(v->m);
	for (unsigned page = 0; page < GUEST_MEMORY; page++) {
		op.frames[0] = guest_mfn(&g, page), op.pfns[0] = v->pfn + g.first + page;
		guest_refuse(v, page == GUEST_DATA ? -EPERM : 0, DOMAIN_TAKE, &op);
	}
	for (unsigned i = 0; i < DOMAIN_FRAMES(1); i++)
		op.pfns[i] = v->pfn + g.first + GUEST_MEMORY + i;
	guest_refuse(v, 0, DOMAIN_CLOSE, &op);
	guest_refuse(v, -EINVAL, DOMAIN_CLOSE, &op);
}

void guest_births(struct victim *v)
{
	for (unsigned i = 0; i < COUNT(lies); i++)
		lie(v, &lies[i]);
	lie_in_arguments(v);
	keep_mapping(v, plain.first + GUEST_DATA);
	keep_mapping(v, plain.first + GUEST_MEMORY);
	share_mapping(v);
	give_badly(v);
	take_badly(v);
}

/* --- further vCPUs, and what a dead guest leaves --- */

/* A vCPU starts once, on a stack that lies in kernel space. */
void guest_vcpus(struct victim *v)
{
	struct guest_plan g = plain;
	const uint32_t at = KERNEL_BASE + attack_symbol("attack_guest_halts");
	const struct call calls[] = {
		{ HC_VCPU_START, 1, at, 2, 0, -EINVAL },
		{ HC_VCPU_START, 1, at, KERNEL_BASE + 124, 0, -EINVAL },
		{ HC_VCPU_START, 1, at, VMM_BASE + 4, 0, -EINVAL },
		{ HC_VCPU_START, 1, at, 0x8000, 0, -EINVAL },
		{ HC_VCPU_START, 2, at, 0, 0, -EINVAL },
		{ HC_VCPU_START, 1, at, VMM_BASE, 0, 0 },
		{ HC_VCPU_START, 1, at, 0, 0, -EBUSY },
		{ HC_YIELD, 0, 0, 0, 0, 0 },
		{ HC_VCPU_START, 1, at, 0, 0, -EBUSY },
	};
	g.vcpus = 2, g.label = "guest_calls";
	guest_make(v, &g);
	guest_asks(v, &g, calls, COUNT(calls));
	guest_answers(v, &g, calls, COUNT(calls));
	guest_end(v, &g);
}

/* Its shared page is domain 0's again: what is there now are not its exits. */
void guest_remains(struct victim *v)
{
	enum { ONE = 1, OTHERS = GUEST_MEMORY - ONE };
	struct guest_plan g = plain;
	uint32_t ones[PAGE_SIZE / 4];
	memset(ones, 0x11, sizeof(ones));
	g.label = "guest_sleeps";
	guest_make(v, &g);
	guest_run(v, &g, true);
	while (guest_word(v, &g, GUEST_DATA, 0) == 0)
		guest_turn(v, &g);
	guests_turn(v); /* it has counted, and now it sleeps */
	struct domain_op op = { .domain = g.number, .n = ONE };
	CHECK(guest_info(v, &g).exits > 0, "it had no exits");
	while (domain_call(v, DOMAIN_KILL, &op) == -EAGAIN)
		;
	op.frames[0] = guest_mfn(&g, GUEST_SHARED);
	op.pfns[0] = v->pfn + g.first + GUEST_SHARED;
	guest_refuse(v, 0, DOMAIN_TAKE, &op);
	pool_write(v, g.first + GUEST_SHARED, 0, ones, sizeof(ones));
	uint32_t exits = guest_info(v, &g).exits, n = 0;
	CHECK(exits == 0, "a dead guest had %u exits: read in domain 0's memory", exits);
	pool_clear(v, g.first + GUEST_SHARED);
	for (unsigned page = 0; page < GUEST_MEMORY; page++)
		if (page != GUEST_SHARED) {
			op.frames[n] = guest_mfn(&g, page);
			op.pfns[n++] = v->pfn + g.first + page;
		}
	op.n = OTHERS;
	guest_refuse(v, 0, DOMAIN_TAKE, &op);
	for (unsigned i = 0; i < DOMAIN_FRAMES(1); i++)
		op.pfns[i] = v->pfn + g.first + GUEST_MEMORY + i;
	guest_refuse(v, 0, DOMAIN_CLOSE, &op);
}

/* --- what a newborn must not do --- */

/*
 * A vCPU that has updated no table yet has none that was updated last: its updates in the frame
 * behind all memory are refused, and no frame's count changes.
 */
void guest_last_frame(struct victim *v)
{
	struct guest_plan g = plain;
	g.label = "guest_last_frame";
	guest_make(v, &g);
	uint32_t n = kernel_word(v->m, "nr_mfns");
	struct frame_state *before = frame_table_read(v->m, v->start.cr3, n);
	guest_run(v, &g, true);
	guest_await_end(v, &g, GUEST_END);
	struct frame_state *after = frame_table_read(v->m, v->start.cr3, n);
	uint32_t refused = guest_word(v, &g, GUEST_DATA, 0);
	CHECK(refused == 1024, "%u of 1024 updates beyond all memory were refused", refused);
	for (uint32_t i = 0; i < n; i++)
		CHECK(before[i].owner == g.number + 1 || before[i].count == after[i].count,
		      "frame %#x had count %u, and has %u", i, before[i].count, after[i].count);
	free(before), free(after);
	guest_end(v, &g);
}

/*
 * A guest that never leaves virtual-8086 mode by itself (QEMU's TCG; elsewhere its IRET is
 * refused) loses the processor all the same, and can be killed.
 */
void guest_vm86(struct victim *v)
{
	enum { CODE = GUEST_FREE + 1, DIRECTORY, SPIN = 0xFEEB }; /* pages; jmp to itself */
	struct guest_plan g = plain;
	uint32_t words[1024];
	g.label = "guest_vm86", g.handler = "guest_handler";
	guest_make(v, &g);
	physical_read(v->m, guest_mfn(&g, GUEST_DIRECTORY) << PAGE_SHIFT, words, sizeof(words));
	words[0] = entry(guest_mfn(&g, GUEST_FREE), PTE_U);
	physical_write(v->m, guest_mfn(&g, DIRECTORY) << PAGE_SHIFT, words, sizeof(words));
	guest_set_word(v, &g, GUEST_FREE, 4, entry(guest_mfn(&g, CODE), PTE_U));
	guest_set_word(v, &g, CODE, 0, SPIN);
	guest_set_word(v, &g, GUEST_DATA, 4, guest_mfn(&g, DIRECTORY));
	guest_set_word(v, &g, GUEST_DATA, 16,
		       KERNEL_BASE + attack_symbol("attack_guest_vm86_again"));
	guest_run(v, &g, true);
	for (unsigned i = 0; i < 5; i++)
		guest_turn(v, &g);
	struct domain_info info = guest_info(v, &g);
	CHECK(info.state == DOMAIN_RUNS, "it is in state %u, and ended with %u: %s", info.state,
	      info.status, info.reason);
	guest_end(v, &g);
}
