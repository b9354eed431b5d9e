/* SPDX-License-Identifier: MIT */
/*
 * v86 as a third emulator, without a page: witness.js BUILD ["COMMAND"]. It boots this tree's
 * kernel, attaches and detaches while the command runs, and probes what v86 enforces: for each
 * rule of docs/isolation.md that one CPU can show, ring 1 executes one piece of code, and the
 * probe looks which vector it raises. Prints a line for each. Exit status 0: the machine did all
 * that it must, and v86 enforces what docs/isolation.md says. (The tests whose names end with -v86
 * judge the machine by more: there web/server.js shows it to machine/.)
 */
"use strict";
const path = require("path");
const { Machine } = require("./machine");
const { readFacts } = require("./symbols");
const { partsOf } = require("./parts");
const { Stepper } = require("./stepper");
const { codeOf } = require("./session");

const DIVIDE = 0, DEBUG = 1, RANGE = 5, UNDEFINED = 6; /* vectors */
const STACK = 12, PROTECTION = 13, PAGE = 14;
const ALLOWED = -1, LOST = -2;
const VMM = [0, 0, 0, 0xFC], PROMPT_MS = 60000, PIT_CHANNEL_2 = 0x42;

/*
 * [rule, code, vector that is due, what v86 raises if it is another]. The code runs in ring 1, in
 * virtual mode; where it is allowed it comes to its end, or jumps to the VMM's first byte.
 */
const RULES = [
	["privileged instruction (CLI)", [0xFA], PROTECTION],
	["privileged instruction (MOV to CR3)", [0x0F, 0x22, 0xD8], PROTECTION],
	["privileged instruction (LGDT)", [0x0F, 0x01, 0x10], PROTECTION],
	["privileged instruction (INVD)", [0x0F, 0x08], PROTECTION, UNDEFINED],
	["port without a right (OUT)", [0xE6, 0x80], PROTECTION],
	["gate with a lower DPL (INT 20h)", [0xCD, 0x20], PROTECTION],
	["selector of ring 0 in DS", [0xB8, 0x40, 0, 0, 0, 0x8E, 0xD8], PROTECTION],
	["selector of an LDT, and LDTR is null", [0xB8, 4, 0, 0, 0, 0x8E, 0xD8], PROTECTION, PAGE],
	["IRET to a null selector", [0x6A, 2, 0x6A, 0, 0x6A, 0, 0xCF], PROTECTION],
	["IRET to ring 0", [0x6A, 2, 0x6A, 0x38, 0x6A, 0, 0xCF], PROTECTION],
	["write to a read-only page (CR0.WP)", "directory", PAGE],
	["data segment limit", [0xA1, ...VMM], PROTECTION, ALLOWED],
	["stack segment limit", [0x36, 0xA1, ...VMM], STACK, ALLOWED],
	["CS limit, near jump", "jump", PROTECTION, ALLOWED],
	["CS limit, far jump", [0xEA, ...VMM, 0x09, 0], PROTECTION, ALLOWED],
	["write to a code segment", "code", PROTECTION, ALLOWED],
	["use of a null selector",
		[0x31, 0xC0, 0x8E, 0xC0, 0x26, 0xA1, 0, 0, 0, 0xC0], PROTECTION],
	["ICEBP", [0xF1], DEBUG, ALLOWED],
	["single step by EFLAGS.TF", [0x9C, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D, 0x90], DEBUG,
		ALLOWED],
	["BOUND", [0x6A, 0, 0x6A, 0, 0xB8, 5, 0, 0, 0, 0x62, 0x04, 0x24], RANGE, ALLOWED],
	["divide error", [0x31, 0xC9, 0xF7, 0xF1], DIVIDE],
];

const bytesOf = word => [...new Uint8Array(Uint32Array.of(word).buffer)];

class Witness {
	constructor(build, machine) {
		this.facts = readFacts(build);
		this.machine = machine;
		this.text = "";
		this.differences = 0;
		machine.output = byte => (this.text += String.fromCharCode(byte));
	}

	async until(what, name) {
		for (const end = Date.now() + PROMPT_MS; !what();) {
			if (Date.now() > end)
				throw new Error(`${name} does not come; the machine printed:\n` +
					this.text.slice(-2000));
			await new Promise(done => setTimeout(done, 10));
		}
	}

	prompt() {
		return this.until(() => this.text.endsWith("$ "), "the prompt");
	}

	async command(line) {
		this.text = "";
		this.machine.send(line + "\n");
		await this.prompt();
		return this.text;
	}

	mode() {
		const [gdt] = this.machine.table("gdtr");
		return gdt >= this.facts.layout.vmm ? "virtual" : "native";
	}

	/* While the kernel looks at the clocks, the host does nothing else for a while. */
	stopHost(milliseconds) {
		const port = this.machine.cpu.io.ports[PIT_CHANNEL_2], read = port.read8;
		let reads = 0;
		port.read8 = () => {
			if (++reads === 2)
				hostStopped = milliseconds;
			return read.call(this.machine.cpu.devices.pit);
		};
	}

	/* Programs work while the mode changes; their results are known to them. */
	async runs() {
		this.machine.run();
		await this.prompt();
		const text = await this.command(
			`switcher 5 1 ${process.argv[3] || "work 5"} && echo all well`);
		if (!/\nall well/.test(text))
			throw new Error("switcher and work fail:\n" + text);
		for (const [word, gdt] of [["virtual", "virtual"], ["native", "native"]]) {
			await this.command(`echo ${word} > /proc/mode`);
			if (this.mode() !== gdt)
				throw new Error(`after a switch to ${word} the GDT is not so`);
		}
		console.log("boot, attach, detach, programs during ten switches: as in QEMU");
	}

	/* Stop where ring 1 begins to handle its next event. */
	async stopInRing1() {
		await this.command("echo virtual > /proc/mode");
		this.place = this.facts.kernel.trap_handle;
		let there = false;
		this.stepper = new Stepper(this.machine, codeOf(this.facts), () => {
			this.machine.stop();
			there = true;
		});
		this.stepper.stopAt([this.place]);
		await this.until(() => there, "an interrupt");
		this.stepper.clear();
	}

	codeOf(rule) {
		const { machine, facts } = this, [, code] = rule;
		const m2p = machine.readWord(facts.kernel.m2p);
		const pfn = machine.readWord(m2p + 4 * (machine.cpu.cr[3] >>> 12));
		if (code === "directory")
			return [0xA3, ...bytesOf(facts.layout.kernel + pfn * 4096)];
		if (code === "code")
			return [0x2E, 0xA3, ...bytesOf(facts.kernel.vo)];
		if (code === "jump")
			return [0xE9, ...bytesOf(facts.layout.vmm - this.place - 5)];
		return code;
	}

	/* Result: the vector that this code raises; ALLOWED; LOST: the machine went elsewhere. */
	probe(rule) {
		const { machine, place } = this, code = this.codeOf(rule);
		machine.write(machine.machineAddress(place), Uint8Array.from(code));
		this.stepper.runTo([place + code.length, this.facts.layout.vmm,
			...this.stepper.handlers()]);
		const at = machine.eip(), words = machine.readWords(machine.table("idtr")[0], 512);
		for (let i = 0; i < 256; i++) {
			const [low, high] = words.subarray(2 * i);
			if (((low & 0xFFFF) + (high & 0xFFFF0000)) >>> 0 === at)
				return i;
		}
		return [place + code.length, this.facts.layout.vmm].includes(at) ? ALLOWED : LOST;
	}

	async probes() {
		await this.stopInRing1();
		const state = await this.machine.save();
		for (const rule of RULES) {
			await this.machine.emulator.restore_state(state);
			const [name, , due, other = due] = rule, vector = this.probe(rule);
			console.log(`${name}: due ${due}, ` + (vector === ALLOWED ? "not checked" :
				vector === LOST ? "lost" : `raised ${vector}`));
			if (vector !== other)
				this.differences++;
		}
		if (this.differences)
			throw new Error(`${this.differences} rules are not as docs/isolation.md ` +
				"has them: mend RULES and its table");
	}
}

let hostStopped = 0; /* for so many milliseconds, as v86 sees it */

async function main() {
	const now = performance.now.bind(performance);
	performance.now = () => now() + hostStopped;
	const build = process.argv[2] || "build";
	const packages = path.join(build, "web", "node_modules");
	const { V86 } = await import(path.resolve(packages, "v86/build/libv86.mjs"));
	const machine = new Machine(V86, partsOf(build, packages));
	const witness = new Witness(build, machine);
	await machine.start({});
	witness.stopHost(6000);
	await witness.runs();
	await witness.probes();
	process.exit(0);
}

main().catch(error => {
	console.error("witness: " + error.message);
	process.exit(1);
});
