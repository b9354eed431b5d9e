/* SPDX-License-Identifier: MIT */
/*
 * Simple instructions, which the harness executes by itself: MOV, LEA, PUSH, POP, LEAVE, near
 * jumps, calls and returns, of 32 bits. They change general registers, EIP and a word of memory,
 * and no flag. A single step of QEMU's takes a fifth of a millisecond, and QEMU forgets all code
 * that it has translated. What is not plainly such an instruction is left to QEMU: another prefix,
 * a byte, a page without the right to it, what is no memory. (SDM vol. 2, 2.1 and appendix A.)
 */
#include "emulators.h"
#include "harness.h"

/* An instruction that is executed. What it changes is kept until it is known to be simple. */
struct instruction {
	struct guest *g;
	struct cpu_state c;
	uint8_t code[16];
	unsigned at;             /* the next byte of the code */
	bool simple, stores;
	uint32_t where, value;   /* what it stores: the machine address */
};

static uint32_t *general(struct cpu_state *c, unsigned r)
{
	uint32_t *const all[] = { &c->eax, &c->ecx, &c->edx, &c->ebx,
				  &c->esp, &c->ebp, &c->esi, &c->edi };
	return all[r & 7];
}

/* The next bytes of the code, as a signed number. */
static uint32_t byte(struct instruction *i)
{
	return (uint32_t)(int8_t)i->code[i->at++];
}

static uint32_t word(struct instruction *i)
{
	uint32_t value;
	memcpy(&value, i->code + i->at, 4);
	i->at += 4;
	return value;
}

/* Flags that conditions are made of (SDM vol. 1, 3.4.3.1). */
enum { PF = 0x4, ZF = 0x40, SF = 0x80, OF = 0x800 };

/* --- memory --- */

enum { HOLE = 0xA0000, HOLE_END = 0x100000 }; /* of the first MiB: no memory */

/* The machine address of a word, which must be memory and in one page. */
static uint32_t find(struct instruction *i, uint32_t address, bool write)
{
	struct walk w = page_walk(i->g->m, i->c.cr3, address);
	bool memory = w.present && w.machine <= i->g->m->ram_bytes - 4 &&
		      (w.machine < HOLE || w.machine >= HOLE_END);
	bool in_segment = !(i->c.cs.selector & 3) || address < VMM_BASE;
	i->simple &= memory && in_segment && address % PAGE_SIZE <= PAGE_SIZE - 4 &&
		     (w.writable || !write);
	return w.machine;
}

static uint32_t load(struct instruction *i, uint32_t address)
{
	uint32_t where = find(i, address, false);
	return i->simple ? physical_word(i->g->m, where) : 0;
}

static void store(struct instruction *i, uint32_t address, uint32_t value)
{
	i->where = find(i, address, true);
	i->value = value;
	i->stores = true;
}

static void push(struct instruction *i, uint32_t value)
{
	store(i, i->c.esp - 4, value);
	i->c.esp -= 4;
}

static uint32_t pop(struct instruction *i)
{
	i->c.esp += 4;
	return load(i, i->c.esp - 4);
}

/* --- operands --- */

struct operand { bool memory; unsigned r, rm; uint32_t address; };

static uint32_t scaled(struct instruction *i, unsigned mod)
{
	uint8_t sib = i->code[i->at++];
	unsigned index = sib >> 3 & 7, base = sib & 7;
	uint32_t address = index == 4 ? 0 : *general(&i->c, index) << (sib >> 6);
	return address + (base == 5 && mod == 0 ? word(i) : *general(&i->c, base));
}

/* Read ModR/M and what follows it. r: the register, or the opcode's extension. */
static struct operand operand(struct instruction *i)
{
	uint8_t modrm = i->code[i->at++];
	unsigned mod = modrm >> 6;
	struct operand o = { mod != 3, modrm >> 3 & 7, modrm & 7, 0 };
	if (mod == 3)
		return o;
	if (o.rm == 4)
		o.address = scaled(i, mod);
	else
		o.address = o.rm == 5 && mod == 0 ? word(i) : *general(&i->c, o.rm);
	o.address += mod == 1 ? byte(i) : mod == 2 ? word(i) : 0;
	return o;
}

static uint32_t value_of(struct instruction *i, struct operand o)
{
	return o.memory ? load(i, o.address) : *general(&i->c, o.rm);
}

static void put(struct instruction *i, struct operand o, uint32_t value)
{
	if (o.memory)
		store(i, o.address, value);
	else
		*general(&i->c, o.rm) = value;
}

/* --- instructions --- */

/* Whether a condition holds: the low four bits of Jcc's opcode. */
static bool holds(uint32_t flags, unsigned condition)
{
	bool sign = !(flags & SF) != !(flags & OF), zero = flags & ZF;
	const bool is[] = { flags & OF, flags & EFLAGS_CF, zero, flags & EFLAGS_CF || zero,
			    flags & SF, flags & PF, sign, sign || zero };
	return is[condition >> 1] != (condition & 1);
}

/* How far to jump: from the end of the instruction, whose last bytes this reads. */
static uint32_t distance(struct instruction *i, bool near, bool jumps)
{
	uint32_t bytes = near ? word(i) : byte(i);
	return jumps ? bytes : 0;
}

static void move(struct instruction *i, uint8_t code)
{
	struct operand o = operand(i);
	if (code == 0x89)
		put(i, o, *general(&i->c, o.r));
	else if (code == 0x8B)
		*general(&i->c, o.r) = value_of(i, o);
	else if (code == 0x8D && o.memory)
		*general(&i->c, o.r) = o.address;
	else if (code == 0xC7 && o.r == 0)
		put(i, o, word(i));
	else
		i->simple = false;
}

static void move_or_stack(struct instruction *i, uint8_t code)
{
	struct cpu_state *c = &i->c;
	if (code >= 0x50 && code <= 0x57)
		push(i, *general(c, code));
	else if (code >= 0x58 && code <= 0x5F && code != 0x5C)
		*general(c, code) = pop(i);
	else if (code == 0x68 || code == 0x6A)
		push(i, code == 0x68 ? word(i) : byte(i));
	else if (code == 0xA1)
		c->eax = load(i, word(i));
	else if (code == 0xA3)
		store(i, word(i), c->eax);
	else if (code >= 0xB8 && code <= 0xBF)
		*general(c, code) = word(i);
	else if (code == 0xC9)
		c->esp = c->ebp, c->ebp = pop(i);
	else if (code != 0x90)
		move(i, code);
}

static void execute(struct instruction *i)
{
	uint8_t code = i->code[i->at++], next = i->code[i->at];
	uint32_t jump = 0;
	if (code == 0xC3) {
		i->c.eip = pop(i);
		return;
	}
	if (code == 0xE8) {
		jump = word(i);
		push(i, i->c.eip + i->at);
	} else if (code == 0xE9 || code == 0xEB) {
		jump = distance(i, code == 0xE9, true);
	} else if (code >= 0x70 && code <= 0x7F) {
		jump = distance(i, false, holds(i->c.eflags, code & 15));
	} else if (code == 0x0F && next >= 0x80 && next <= 0x8F) {
		i->at++;
		jump = distance(i, true, holds(i->c.eflags, next & 15));
	} else if (code == 0xF3 && next == 0x90) { /* PAUSE */
		i->at++;
	} else {
		move_or_stack(i, code);
	}
	i->c.eip += i->at + jump;
}

/*
 * Whether the CPU is in a function of the kernel's, or the VMM's in ring 0. Code at other places is
 * for QEMU, which writes it to its log (machine/outside.c).
 */
static bool in_text(const struct cpu_state *c)
{
	static uint32_t end, vmm_end;
	bool vmm = c->eip >= VMM_BASE;
	if (!end)
		end = symbol("text_end"), vmm_end = vmm_symbol("vmm_text_end");
	return c->eip >= KERNEL_BASE && c->eip < (vmm ? vmm_end : end) &&
	       (c->cs.selector & 3) <= !vmm && !within_instruction(c->eip);
}

bool execute_here(struct guest *g, struct cpu_state *c)
{
	struct instruction i = { .g = g, .c = *c, .simple = true };
	if (!in_text(c) || c->eip % PAGE_SIZE > PAGE_SIZE - sizeof(i.code))
		return false;
	virtual_read(g->m, c->cr3, c->eip, i.code, sizeof(i.code));
	execute(&i);
	if (!i.simple)
		return false;
	if (i.stores)
		physical_write(g->m, i.where, &i.value, 4);
	*c = i.c;
	return true;
}
