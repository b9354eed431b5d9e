/* SPDX-License-Identifier: MIT */
/*
 * The state of a Machine, as viewer/recording.js describes it, read from its memory by the symbols
 * of kernel and VMM. So the parts of the trace page can show it.
 *   facts   from web/symbols.js: kernel, vmm (symbol -> address), offsets, and the names that a
 *           recording has
 */
"use strict";

const ENTRY_PRESENT = 1, ENTRY_WRITABLE = 2, ENTRY_USER = 4, FRAME_MASK = 0xFFFFF000;
const ENTRIES = 1024, ROW = 64, TYPE_STEP = 8, SAVED_MAX = 16, NAME_BYTES = 24;
/* Indexes in facts.kinds and facts.frame_types (viewer/space.c). */
const KIND = { PROGRAM: 0, TEXT: 1, DATA: 2, TABLES: 3, DIRECT: 4, DEVICES: 5, VMM: 6, WINDOWS: 7 };
const TYPE = { FOREIGN: 0, OWN: 1, UNTOUCHED: 2, COUNTED: 3, TABLE: 4, DIRECTORY: 5, SHARED: 6 };
const TASK_STATES = ["free", "ready", "running", "sleeping", "zombie"];

/* --- descriptor tables --- */

function readTable(machine, [base, limit]) {
	const entries = {}, words = machine.readWords(base, (Math.min(limit, 2047) + 1) >>> 2);
	for (let i = 0; i + 1 < words.length; i += 2)
		if (words[i] || words[i + 1])
			entries[i / 2] = [words[i], words[i + 1]];
	return entries;
}

/* SDM vol. 3, 7.2.1. */
function readTss(machine) {
	const base = machine.tss(), t = machine.readWords(base, 26);
	return {
		base, link: t[0] & 0xFFFF, esp0: t[1], ss0: t[2] & 0xFFFF, esp1: t[3],
		ss1: t[4] & 0xFFFF, iomap: t[25] >>> 16,
	};
}

/* --- kernel and VMM --- */

function readVo(machine, { kernel, offsets }) {
	const table = name => machine.readWords(kernel[name], offsets.VO_BYTES / 4).join();
	const vo = table("vo");
	return vo === table("native_vo") ? "native" :
		vo === table("virtual_vo") ? "virtual" : "exchanging";
}

function readEvents(machine, { kernel, offsets, exits }) {
	const at = name => kernel.vmm_shared + offsets["VMM_SHARED_" + name];
	const counts = machine.readWords(at("EXITS"), exits.length);
	return {
		vif: machine.readWord(at("VIF")), pending: machine.readWord(at("PENDING")),
		address: machine.readWord(at("ADDRESS")),
		exits: Object.fromEntries(exits.map((name, i) => [name, counts[i]])),
	};
}

/* Trap frames of the interrupted kernel code of a task (0: of none), which translate changes. */
function readTrapFrames(machine, { offsets }, task) {
	const frames = [];
	const field = (at, name) => machine.readWord(at + offsets["TRAP_FRAME_" + name]);
	let at = task ? machine.readWord(task + offsets.TASK_TRAP_FRAMES) : 0;
	for (; at && frames.length < SAVED_MAX; at = field(at, "OUTER"))
		frames.push([at, field(at, "EIP"), field(at, "CS"), field(at, "EFLAGS")]);
	return frames;
}

/* The tasks: [pid, ppid, state, name, whether it is a program]. */
function readTasks(machine, { kernel, offsets }) {
	const field = (task, name) => machine.readWord(task + offsets["TASK_" + name]);
	const name = task => new TextDecoder().decode(
		machine.read(task + offsets.TASK_NAME, NAME_BYTES)).replace(/\0.*$/s, "");
	return [...machine.readWords(kernel.tasks, offsets.MAX_TASKS)].filter(task => task).map(
		task => [field(task, "PID"), field(task, "PPID"),
			TASK_STATES[field(task, "STATE")] || "?", name(task),
			field(task, "MM") !== 0]);
}

/* --- memory --- */

/* What the VMM knows of the machine; null before it is warm. */
function readVmmMachine(machine, { vmm, offsets }) {
	const field = name => machine.readWord(vmm.machine + offsets["VMM_MACHINE_" + name]);
	const known = {
		nr_mfns: field("NR_MFNS"), block: field("BLOCK"), bytes: field("BLOCK_BYTES"),
	};
	return known.nr_mfns ? known : null;
}

/* Of which kind a mapped page is. tables: the frames of the loaded directory's page tables. */
function kindOf(facts, vmmBytes, tables, address, mfn) {
	const { kernel, layout: at } = facts;
	if (address < at.kernel)
		return KIND.PROGRAM;
	if (address >= at.vmm)
		return address - at.vmm < vmmBytes ? KIND.VMM : KIND.WINDOWS;
	if (address >= at.devices)
		return KIND.DEVICES;
	if (tables.has(mfn))
		return KIND.TABLES;
	if (address < kernel.image_start || address >= kernel.image_end)
		return KIND.DIRECT;
	return address < kernel.readonly_end ? KIND.TEXT : KIND.DATA;
}

/* The mapped pages, in runs that are alike. */
function readMap(machine, facts, vmmBytes) {
	const directory = machine.cpu.cr[3] & FRAME_MASK, runs = [];
	const pdes = [...machine.words(directory, ENTRIES)];
	const tables = new Set([directory, ...pdes.filter(pde => pde & ENTRY_PRESENT)].map(
		entry => entry >>> 12));
	pdes.forEach((pde, slot) => {
		const table = pde & ENTRY_PRESENT ? machine.words(pde & FRAME_MASK, ENTRIES) : [];
		table.forEach((pte, i) => {
			if (!(pte & ENTRY_PRESENT))
				return;
			const page = slot * ENTRIES + i, last = runs[runs.length - 1];
			const flags = pde & pte & (ENTRY_WRITABLE | ENTRY_USER);
			const kind = kindOf(facts, vmmBytes, tables, page * 4096, pte >>> 12);
			if (last && last[0] + last[1] === page && last[2] === flags &&
				last[3] === kind)
				last[1]++;
			else
				runs.push([page, 1, flags, kind]);
		});
	});
	return runs;
}

/* Type and count of each machine frame as one number (viewer/space.c). */
function readFrames(machine, { vmm, offsets }, known) {
	const rows = {}, words = offsets.FRAME_ENTRY_BYTES / 4;
	const generation = machine.readWord(vmm.domain0 + offsets.DOMAIN_GENERATION);
	const table = machine.readWords(machine.readWord(vmm.frames), known.nr_mfns * words);
	const types = { [offsets.WRITABLE]: TYPE.COUNTED, [offsets.TABLE]: TYPE.TABLE,
		[offsets.DIRECTORY]: TYPE.DIRECTORY, [offsets.SHARED]: TYPE.SHARED };
	const field = (mfn, name) => table[mfn * words + (offsets["FRAME_ENTRY_" + name] >> 2)];
	const valueOf = mfn => {
		if (mfn - (known.block >>> 12) >>> 0 < known.bytes >>> 12)
			return TYPE.OWN;
		const use = field(mfn, "USE"), since = field(mfn, "GENERATION");
		if (since === generation || since === offsets.FOR_EVER)
			return types[use >>> offsets.TYPE_SHIFT & 3] +
				TYPE_STEP * (use & offsets.COUNT_MASK);
		const mappings = field(mfn, "HOME") >>> offsets.BASE_SHIFT & offsets.BASE_MASK;
		return field(mfn, "OWNER") & 0xFF ? TYPE.UNTOUCHED + TYPE_STEP * mappings :
			TYPE.FOREIGN;
	};
	for (let first = 0; first < known.nr_mfns; first += ROW)
		rows[first / ROW] = [...Array(ROW).keys()].map(i => valueOf(first + i));
	return rows;
}

/* pfn -> mfn. */
function readP2m(machine, { kernel }) {
	return machine.readWords(machine.readWord(kernel.p2m), machine.readWord(kernel.nr_pfns));
}

/* task: address of the task whose trap frames are wanted, or 0. */
function readState(machine, facts, task = 0) {
	const gdtr = machine.table("gdtr"), idtr = machine.table("idtr");
	const known = readVmmMachine(machine, facts);
	return {
		ring: machine.ring(), mode: gdtr[0] >= facts.layout.vmm ? "virtual" : "native",
		vo: readVo(machine, facts), regs: machine.registers(), segments: machine.segments(),
		gdtr, gdt: readTable(machine, gdtr), idtr, idt: readTable(machine, idtr),
		tss: readTss(machine), events: readEvents(machine, facts),
		saved: readTrapFrames(machine, facts, task), tasks: readTasks(machine, facts),
		map: readMap(machine, facts, known ? known.bytes : 0),
		frames: known ? readFrames(machine, facts, known) : {},
	};
}

if (typeof module !== "undefined")
	module.exports = { readState, readTasks, readP2m };
