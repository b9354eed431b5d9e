/* SPDX-License-Identifier: MIT */
/*
 * A Machine that can be stopped, stepped and let go, and the steps that were seen. A step is what
 * recording.js makes of a recording: what ran between two moments, with the states before and
 * after. So the page can go back over the steps; the machine itself does not go back.
 *
 *   const s = new Session(machine, facts, changed);   changed(): something is to be drawn anew
 *   s.stopAtSwitch(); ... s.forward("phase"); s.back(); ... s.letGo();
 *
 * s.stopped, s.steps, s.at (index of the step that is shown), s.note (a sentence, or ""), s.outcome
 * (of the last switch: undefined, or its result), s.trace (names, places and sources, for the
 * functions of the trace page).
 */
"use strict";

const GO_ON = true; /* what an action gives that does not stop the machine */
const NO_PHASE = -1, EBUSY = -16, MOVL = [0xC7, 0x05]; /* movl $value, address */
const MOVL_BYTES = 10, TEXT_MAX = 200;

/* address -> { text, next, place }: all instructions of kernel and VMM. */
function codeOf({ code }) {
	const map = new Map();
	for (const list of [code.kernel, code.vmm])
		list.forEach(([address, text, file, line, inner, outer], i) => map.set(address, {
			text, next: (list[i + 1] || [])[0], place: {
				file: code.files[file], line, function: code.functions[inner],
				within: code.functions[outer], code: text,
			},
		}));
	return map;
}

/* The lines of a file as a recording has them: line number -> text. */
const linesOf = text => Object.fromEntries(text.split("\n").map((line, i) => [i + 1, line]));

class Session {
	constructor(machine, facts, changed) {
		this.machine = machine;
		this.facts = facts;
		this.changed = changed;
		this.code = codeOf(facts);
		this.stepper = new Stepper(machine, this.code, at => this.arrived(at));
		this.waiting = new Map(); /* address -> what to do there */
		this.trace = Object.assign({ places: {}, sources: {} }, facts, { sources: {} });
		this.reset();
		const named = (names, table) => names.filter(name => table[name]).map(
			name => table[name]);
		const functions = Object.keys(FUNCTIONS);
		this.phases = named([...facts.phases, "undo"], facts.kernel);
		this.functions = [...named(functions, facts.kernel),
			...named(functions, facts.vmm)];
		this.ends = [...named(["panic"], facts.kernel),
			...named(["stop_kernel", "vmm_panic"], facts.vmm)];
		this.watch(this.ends, at => this.stopHere(this.endAt(at)));
		/* A slice of work ends at each switch, so that the page sees it. */
		this.watch(named(["resume"], facts.kernel), () => GO_ON);
	}

	reset() {
		Object.assign(this, { stopped: false, steps: [], at: -1, note: "", back_: 0,
			task: 0, direction: "", phase: NO_PHASE, stop: "", undoing: false,
			way: "" });
	}

	/* A sentence about the machine's end: panic() says why, in its first argument. */
	endAt(address) {
		const name = this.nameAt(address), why = name !== "panic" ? "" :
			this.textAt(this.machine.readWord(this.machine.registers().esp + 4));
		return "The machine has come to its end: " + name + "() is called" +
			(why ? ", with “" + why + "”" : "") + ". Let go, and it reports that.";
	}

	/* The text that ends with a zero byte, for printf: what it takes from elsewhere is …. */
	textAt(address) {
		const bytes = this.machine.read(address, TEXT_MAX), end = bytes.indexOf(0);
		return new TextDecoder().decode(bytes.subarray(0, end < 0 ? TEXT_MAX : end))
			.replace(/%[-.0-9*hlz]*[a-z]/g, "…");
	}

	nameAt(address) {
		const entry = this.code.get(address);
		return entry ? entry.place.within : "a program";
	}

	/* --- running: what happens at which address --- */

	watch(addresses, action) {
		addresses.forEach(address => this.waiting.set(address, action));
		if (!this.stopped)
			this.plantAll();
	}

	unwatch(addresses) {
		addresses.forEach(address => this.waiting.delete(address));
		if (!this.stopped)
			this.plantAll();
	}

	arrived(address) {
		if (this.stopped)
			return;
		this.stepper.clear();
		this.stopped = true;
		if (this.waiting.get(address)(address) === GO_ON) {
			this.stopped = false;
			return this.plantAll();
		}
		this.halt();
		this.changed();
	}

	/* The machine goes on from here; a jump to itself (2 bytes) must not stand here. */
	plantAll() {
		const taken = at => this.waiting.has(at) || this.waiting.has(at - 1);
		this.stepper.clear();
		while (taken(this.machine.eip()) && this.stepper.step())
			;
		this.stepper.stopAt([...this.waiting.keys()]);
	}

	/* Call action at each fault of a program, or no longer; the machine does not stop there. */
	countFaults(wanted, action) {
		const { user_fault: place } = this.facts.kernel;
		if (wanted)
			this.watch([place], () => (action(), GO_ON));
		else
			this.unwatch([place]);
	}

	halt() {
		this.machine.stop();
		this.stepper.clear();
		this.stopped = true;
	}

	/* --- stopping --- */

	stopNow() {
		if (this.stopped)
			return;
		this.halt();
		this.stopHere("");
		this.changed();
	}

	/* Stop the machine when it is back in a program that the timer has interrupted. */
	stopInProgram() {
		const { trap_handle: place } = this.facts.kernel;
		this.seeking = true;
		this.watch([place], () => {
			const field = name => this.machine.readWord(
				frame + this.facts.offsets["TRAP_FRAME_" + name]);
			const frame = this.machine.readWord(this.machine.registers().esp + 4);
			if ((field("CS") & 3) !== 3)
				return GO_ON;
			this.seeking = false;
			this.unwatch([place]);
			this.stepper.runTo([field("EIP")]);
			this.stopHere("");
		});
	}

	/* The machine is stopped: the steps begin here. */
	stopHere(note) {
		this.steps = [];
		this.note = note;
		this.outcome = undefined;
		this.addStep(null);
	}

	stopAtSwitch(wanted = true) {
		const { request } = this.facts.kernel;
		this.armed = wanted;
		if (wanted)
			this.watch([request], () => this.beginSwitch());
		else
			this.unwatch([request]);
	}

	/* At request(attach): its return address and its argument are on the stack. */
	beginSwitch() {
		const { esp } = this.machine.registers(), { offsets } = this.facts;
		const [back, attach] = this.machine.readWords(esp, 2);
		this.armed = false;
		this.waiting.delete(this.facts.kernel.request);
		this.back_ = back;
		this.direction = attach & 1 ? "attach" : "detach";
		this.switching = this.direction;
		this.task = (esp & -offsets.TASK_STACK_BYTES) >>> 0;
		this.way = "request";
		this.look();
		this.stopHere("The " + this.direction +
			" begins: “forward” goes through it.");
	}

	/* --- steps --- */

	/* Which phase or function begins at EIP, and whether it is part of a roll-back. */
	look() {
		const at = this.machine.eip(), phase = this.facts.phases.findIndex(
			name => this.facts.kernel[name] === at);
		this.stop = [...this.functions, ...this.phases].includes(at) ? this.nameAt(at) : "";
		this.undoing = this.undoing || at === this.facts.kernel.undo;
		if (phase < 0 || !this.switching)
			return;
		const attach = this.machine.readWord(this.machine.registers().esp + 4) & 1;
		this.phase = phase;
		this.undoing = (attach ? "attach" : "detach") !== this.direction;
	}

	/* Add a step that ends now. last: what began it ({ state, direction, ... }), or null. */
	addStep(last) {
		const state = readState(this.machine, this.facts, this.task);
		const eip = last ? last.eip : state.regs.eip;
		state.instructions = this.machine.cpu.instruction_counter[0] >>> 0;
		this.steps.push({
			state, before: last && last.state, eip, way: this.way,
			direction: last ? last.direction : this.direction,
			phase: last ? last.phase : NO_PHASE, stop: last ? last.stop : "",
			undoing: last && last.undoing, code: last && last.code,
		});
		this.at = this.steps.length - 1;
		this.addPlace(eip);
	}

	/* The source panel can show this address. */
	addPlace(eip) {
		const { place } = this.code.get(eip) || {}, { places, sources } = this.trace;
		if (!place)
			return;
		places[eip] = place;
		if (!sources[place.file] && this.facts.sources[place.file])
			sources[place.file] = linesOf(this.facts.sources[place.file]);
	}

	shown() {
		return this.steps[this.at];
	}

	/* Whether there is a step after the one that is shown. */
	more() {
		return this.stopped &&
			(this.at < this.steps.length - 1 || this.outcome === undefined);
	}

	back() {
		if (this.at <= 0)
			return false;
		this.at--;
		this.changed();
		return true;
	}

	/* unit: "phase", "function" or "instruction". Result: whether there was a step. */
	forward(unit) {
		if (this.at < this.steps.length - 1) {
			this.at++;
			this.changed();
			return true;
		}
		if (!this.more())
			return false;
		const { state } = this.steps[this.at], { direction, phase, stop, undoing } = this;
		const last = { state, direction, phase, stop, undoing, eip: state.regs.eip };
		if (!this.move(unit)) {
			this.note = this.stuck();
			this.changed();
			return false;
		}
		this.note = "";
		this.addStep(last);
		this.end();
		this.changed();
		return true;
	}

	move(unit) {
		if (unit === "instruction" || !this.switching)
			return this.stepper.step() && (this.look(), true);
		const places = unit === "phase" ? this.phases : [...this.phases, ...this.functions];
		const done = this.stepper.runTo([...places, ...this.ends, this.back_]);
		this.look();
		return done;
	}

	stuck() {
		if (this.code.has(this.machine.eip()))
			return "The CPU waits for an interrupt (HLT), and none comes while the " +
				"machine is stopped. Let go.";
		return "The CPU runs a program, whose instructions this page does not know. Let " +
			"go, or stop at the next switch.";
	}

	/* request() has returned: with 0, or with why it failed. */
	end() {
		const at = this.machine.eip();
		if (this.ends.includes(at))
			this.note = this.endAt(at);
		if (!this.switching || at !== this.back_)
			return;
		const result = this.machine.registers().eax | 0, { switching } = this;
		this.outcome = result;
		this.switching = "";
		this.note = result === 0 ? "The " + switching +
				" is done. Let go, and the machine runs on." :
			result === EBUSY ? "A CPU was inside the VO: the kernel lets go, and " +
				"tries again at the next tick." :
			"The " + switching + " has failed with error " + result + ", and all " +
				"that it did was undone.";
	}

	letGo() {
		if (!this.stopped)
			return;
		const { armed } = this;
		if (this.seeking)
			this.waiting.delete(this.facts.kernel.trap_handle);
		this.seeking = false;
		this.switching = "";
		this.reset();
		this.armed = armed;
		this.plantAll();
		this.machine.run();
		this.changed();
	}

	/* --- lesson 5: the kernel stores into the page directory of the shell --- */

	/*
	 * At the next interrupt of kernel or program, let the kernel's handler begin with
	 * "movl $value, entry of the page directory" (the value that stands there). Then stop.
	 * done(refused): whether the CPU did not do it, but entered a handler.
	 */
	breakIn(done) {
		const { trap_handle: place } = this.facts.kernel;
		this.watch([place], () => {
			this.unwatch([place]);
			this.stopHere("");
			const entry = this.directory() ||
				this.machine.readWord(this.facts.kernel.kernel_directory);
			const value = this.machine.readWord(entry);
			const refused = this.store(place, value, entry);
			const { state } = this.shown();
			this.addStep({ state, direction: "", phase: NO_PHASE, stop: "",
				eip: place, code: "movl $0x" + hex(value) + ",0x" + hex(entry) +
					"  (put here by this page)" });
			this.note = refused ? "Refused: the page is read-only. The CPU is at the " +
				"entry for page faults, in the " + where(this.machine.eip()) + "." :
				"Done: the kernel has written into a page directory. Nobody " +
				"stopped it.";
			done(refused);
		});
	}

	/*
	 * Where the kernel sees the shell's page directory, or 0. The shell was loaded at the
	 * attach: a program that was not is checked, and its tables become read-only, when it is
	 * loaded next.
	 */
	directory() {
		const { machine, facts: { kernel, offsets } } = this;
		const field = (at, name) => machine.readWord(at + offsets[name]);
		const mms = [...machine.readWords(kernel.tasks, offsets.MAX_TASKS)]
			.filter(task => task && field(task, "TASK_PID") > 1)
			.map(task => field(task, "TASK_MM")).filter(mm => mm);
		return mms.length ? field(mms[0], "MM_DIRECTORY") : 0;
	}

	store(place, value, entry) {
		const { machine } = this;
		const at = machine.machineAddress(place);
		const code = machine.bytes(at, MOVL_BYTES).slice();
		machine.write(at, Uint8Array.from(MOVL));
		machine.writeWords(at + MOVL.length, [entry, value]);
		this.stepper.runTo([place + MOVL_BYTES, ...this.stepper.handlers()]);
		machine.write(at, code);
		const refused = machine.eip() !== place + MOVL_BYTES;
		if (!refused)
			machine.cpu.instruction_pointer[0] -= MOVL_BYTES;
		return refused;
	}
}

if (typeof module !== "undefined")
	module.exports = { Session, codeOf };
