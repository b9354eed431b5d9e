/* SPDX-License-Identifier: MIT */
/*
 * Stops a Machine at chosen places, and runs it by single instructions. v86 has neither
 * breakpoints nor single steps. So a jump to itself (EB FE) is put at each place where the CPU
 * is to stop: the CPU stays there, and after each slice of work this looks where it is. One
 * instruction is done by putting such a jump at the place that comes next (successor.js), and at
 * the handler of each vector, in case of a fault.
 *
 * While it steps, timers stand still: else each step would see a tick.
 *
 * v86 gives up at an IRET to a segment that takes no return. mend() raises the exception.
 */
"use strict";

if (typeof require !== "undefined")
	globalThis.successorOf = require("./successor.js").successorOf;

const STAY = Uint8Array.of(0xEB, 0xFE), VECTORS = 256, GATE_PRESENT = 0x8000;
const SLICES_MAX = 3000; /* of one step: some seconds */
const IRET = 0xCF, FAR_JUMP = 0xEA, FAR_JUMP_BYTES = 7, CODE_PAGE = 4096;

class Stepper {
	/*
	 * code: the instructions (successor.js). arrived(address) is called when the running
	 * machine has come to a place of stopAt().
	 */
	constructor(machine, code, arrived) {
		this.machine = machine;
		this.code = code;
		this.planted = new Map(); /* address -> [machine address, its bytes] */
		this.later = []; /* addresses where there is no code yet: the machine boots */
		machine.mend = () => this.mend();
		machine.loaded = () => this.plantLater();
		machine.check = () => {
			const at = machine.eip();
			this.plantLater();
			if (this.planted.has(at))
				arrived(at);
		};
	}

	/* Result: whether there is code at this address. */
	plant(address) {
		const at = this.machine.machineAddress(address);
		if (at < 0 || this.machine.bytes(at, STAY.length).every(byte => byte === 0))
			return false;
		if (this.planted.has(address))
			return true;
		this.planted.set(address, [at, this.machine.bytes(at, STAY.length).slice()]);
		this.machine.write(at, STAY);
		return true;
	}

	/* A machine that boots gets its kernel, and later its VMM. */
	plantLater() {
		if (this.later.length > 0)
			this.later = this.later.filter(address => !this.plant(address));
	}

	/* All code is as it was. */
	clear() {
		this.later = [];
		for (const [at, bytes] of this.planted.values())
			this.machine.write(at, bytes);
		this.planted.clear();
	}

	/* The running machine will stop at these addresses. */
	stopAt(addresses) {
		this.clear();
		this.later = addresses.filter(address => !this.plant(address));
	}

	/* Where faults and interrupts enter, by the loaded IDT. */
	handlers() {
		const [base, limit] = this.machine.table("idtr");
		const n = Math.min(VECTORS, (limit + 1) >>> 3), handlers = new Set();
		const words = this.machine.readWords(base, 2 * n);
		for (let i = 0; i < n; i++) {
			const [low, high] = words.subarray(2 * i);
			if (high & GATE_PRESENT)
				handlers.add(((low & 0xFFFF) + (high & 0xFFFF0000)) >>> 0);
		}
		return handlers;
	}

	/*
	 * Run the stopped machine until it comes to one of these places.
	 * Result: whether it came there in time.
	 */
	runTo(addresses) {
		const { cpu } = this.machine, timers = cpu.run_hardware_timers;
		const here = this.machine.eip(); /* a jump here would stand at what is to be done */
		addresses.filter(address => address !== here).forEach(a => this.plant(a));
		cpu.run_hardware_timers = () => 0;
		let slices = 0;
		do
			this.machine.slice();
		while (!this.planted.has(this.machine.eip()) && ++slices < SLICES_MAX);
		cpu.run_hardware_timers = timers;
		this.clear();
		return slices < SLICES_MAX;
	}

	/*
	 * The emulator has failed. At an IRET to a null selector, to one that is no code segment,
	 * or to an inner ring, the CPU raises #GP or #NP with that selector (SDM vol. 2, IRET). A
	 * far jump to the segment raises the same: it stands in the IRET's place for once.
	 * Result: whether it was an IRET.
	 */
	mend() {
		const { machine } = this, { cpu } = machine;
		const planted = [...this.planted.keys(), ...this.later];
		const address = cpu.previous_ip[0] >>> 0, at = machine.machineAddress(address);
		const room = CODE_PAGE - at % CODE_PAGE >= FAR_JUMP_BYTES;
		if (at < 0 || !room || machine.bytes(at, 1)[0] !== IRET)
			return false;
		const to = machine.readWords(machine.registers().esp, 2);
		this.clear();
		const code = machine.bytes(at, FAR_JUMP_BYTES).slice();
		machine.write(at, Uint8Array.of(FAR_JUMP,
			...new Uint8Array(to.buffer, 0, FAR_JUMP_BYTES - 1)));
		cpu.instruction_pointer[0] = address;
		const raised = this.runTo([...this.handlers()]);
		machine.write(at, code);
		this.stopAt(planted);
		return raised;
	}

	/* One instruction. Result: whether the machine came to its end. */
	step() {
		const next = successorOf(this.machine, this.code, this.machine.eip());
		return next !== null && this.runTo([next, ...this.handlers()]);
	}
}

if (typeof module !== "undefined")
	module.exports = { Stepper };
