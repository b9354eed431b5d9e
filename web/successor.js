/* SPDX-License-Identifier: MIT */
/*
 * Where the CPU goes after the instruction at EIP, if that does not fault: from the text that
 * objdump gave it, and from registers and memory.
 */
"use strict";

const FLAG = { c: 0, p: 2, z: 6, s: 7, o: 11 };

/* The conditions of a jump (SDM vol. 2, Jcc), by the letters after the j. */
function holds(condition, eflags) {
	const f = name => eflags >>> FLAG[name] & 1;
	const tests = {
		o: () => f("o"), b: () => f("c"), e: () => f("z"), be: () => f("c") | f("z"),
		s: () => f("s"), p: () => f("p"), l: () => f("s") ^ f("o"),
		le: () => f("z") | (f("s") ^ f("o")),
	};
	const opposite = { no: "o", ae: "b", ne: "e", a: "be", ns: "s", np: "p", ge: "l", g: "le" };
	return opposite[condition] ? !tests[opposite[condition]]() : !!tests[condition]();
}

/* The value of an operand of call and jmp: "*%eax", "*0xc012d338", "*-0x8(%eax,%ebx,4)". */
function indirect(machine, operand) {
	const regs = machine.registers();
	const register = name => name ? regs[name.slice(1)] : 0;
	if (operand.startsWith("%"))
		return register(operand);
	const [, sign, offset, base, index, scale] = operand.match(
		/^(-?)(0x[0-9a-f]+)?(?:\((%\w+)?,?(%\w+)?,?(\d)?\))?$/);
	const address = (sign ? -1 : 1) * Number(offset || 0) + register(base) +
		register(index) * Number(scale || 1);
	return machine.readWord(address >>> 0);
}

function gateOf(machine, vector) {
	const [low, high] = machine.readWords(machine.table("idtr")[0] + 8 * vector, 2);
	return ((low & 0xFFFF) + (high & 0xFFFF0000)) >>> 0;
}

/*
 * The address, or null where this cannot tell. code: address -> { text, next }, an instruction and
 * the address of the one that stands after it. After STI comes another instruction before
 * interrupts are let in (SDM vol. 2, STI): both are one step.
 */
function successorOf(machine, code, at) {
	if (!code.has(at))
		return null;
	const { text, next } = code.get(at);
	const [, name, operand] = text.match(/^(?:(?:repz?|repnz|lock|notrack) )*(\S+) *(.*)$/);
	const target = () => operand[0] === "*" ? indirect(machine, operand.slice(1)) :
		parseInt(operand, 16);
	if (name === "call" || name === "jmp")
		return target();
	if (name === "jecxz")
		return machine.registers().ecx ? next : target();
	if (name[0] === "j")
		return holds(name.slice(1), machine.registers().eflags) ? target() : next;
	if (name === "ret" || name === "iret")
		return machine.readWord(machine.registers().esp);
	if (name === "int")
		return gateOf(machine, Number(operand.slice(1)));
	if (name === "ljmp")
		return parseInt(operand.split(",$")[1], 16);
	if (name === "sti")
		return successorOf(machine, code, next);
	if (["lcall", "lret", "hlt", "ud2", "(bad)"].includes(name))
		return null;
	return next;
}

if (typeof module !== "undefined")
	module.exports = { successorOf };
