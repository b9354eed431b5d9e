/* SPDX-License-Identifier: MIT */
/*
 * What the numbers of a recording mean: a state (its format is described in recording.js) becomes
 * tables of words. A table has
 *   id, title, head       head: the headings of its columns
 *   group                 of which kind its changes are: one of GROUPS
 *   column                the column of the page where it stands
 *   rows(state, names)    [[key, cell, ...], ...]; names: the recording
 *   same                  the columns that must equal the reference's; the others hold addresses
 *                         and counts, which differ between any two builds
 *   note(state)           a line below the title, if there is one
 *   regroups              whether a row stands for neighbours that are alike
 */
"use strict";

const PAGE = 4096;
const PAGE_WRITABLE = 2, PAGE_USER = 4; /* flags of a run of pages */
const FRAME_STEP = 8; /* a frame's number is type + FRAME_STEP * count */
let layout; /* of the recording that is shown: where kernel, devices and VMM begin */

const hex = (n, digits) => n.toString(16).padStart(digits || 8, "0");

function where(address) {
	if (address >= layout.vmm)
		return "VMM";
	return address >= layout.kernel ? "kernel" : "program";
}

/* The names of the bits that are set. names: name -> bit number. */
function bits(value, names) {
	const set = Object.keys(names).filter(n => Math.floor(value / 2 ** names[n]) % 2);
	return set.join(" ") || "-";
}

/* --- descriptors (SDM vol. 3, 3.4.5 and 6.11) --- */

function descriptor([low, high]) {
	const type = high >>> 8 & 31, granular = high >>> 23 & 1;
	const limit = (low & 0xFFFF) + (high & 0xF0000);
	return {
		type, dpl: high >>> 13 & 3, present: high >>> 15 & 1,
		base: ((low >>> 16) + ((high & 0xFF) << 16) + (high & 0xFF000000)) >>> 0,
		limit: granular ? limit * PAGE + PAGE - 1 : limit,
		code: (type & 0x18) === 0x18, data: (type & 0x18) === 0x10,
	};
}

function descriptorType(d) {
	if (!d.present)
		return "not present";
	if (d.code)
		return "code" + (d.type & 4 ? ", conforming" : "");
	if (d.data)
		return "data" + (d.type & 2 ? "" : ", read-only");
	const names = { 9: "TSS", 11: "TSS, busy", 2: "LDT", 12: "call gate", 5: "task gate" };
	return names[d.type] || "type " + d.type;
}

function gate([low, high]) {
	const number = high >>> 8 & 31;
	return {
		type: { 14: "interrupt", 15: "trap", 5: "task" }[number] || "type " + number,
		dpl: high >>> 13 & 3, selector: low >>> 16,
		offset: ((low & 0xFFFF) + (high & 0xFFFF0000)) >>> 0,
	};
}

const gateTarget = g => g.type === "task" ? "own task" :
	where(g.offset) + ", ring " + (g.selector & 3);

/* Neighbouring vectors whose gates are alike make one row. */
function gateRows(idt) {
	const groups = [];
	for (const vector of Object.keys(idt).map(Number).sort((a, b) => a - b)) {
		const g = gate(idt[vector]), last = groups[groups.length - 1];
		const alike = [g.type, g.dpl, hex(g.selector, 4), gateTarget(g)];
		if (last && last.end + 1 === vector && last.alike.join() === alike.join())
			last.end = vector;
		else
			groups.push({ first: vector, end: vector, alike, offset: g.offset });
	}
	const vectors = g => hex(g.first, 2) + (g.end > g.first ? "\u2013" + hex(g.end, 2) : "");
	return groups.map(g => [vectors(g), ...g.alike, hex(g.offset)]);
}

/* --- the address space: what each ring may do, by segments and pages (SDM vol. 3, 3, 4.6) --- */

/*
 * The highest address that a ring's own code reaches, and that it reaches by any data segment that
 * it can load; -1: it has no such segment.
 */
function reach(state, ring) {
	const all = Object.values(state.gdt).map(descriptor).filter(d => d.present);
	const end = list => list.reduce((most, d) => Math.max(most, d.base + d.limit), -1);
	return {
		code: end(all.filter(d => d.code && d.dpl === ring)),
		data: end(all.filter(d => d.data && d.dpl >= ring)),
	};
}

function rights(state, ring, address, flags) {
	const to = reach(state, ring), page = ring < 3 || flags & PAGE_USER;
	if (to.code < 0 || !page)
		return "-";
	const wp = Math.floor(state.regs.cr0 / 2 ** CR0.WP) % 2;
	const write = flags & PAGE_WRITABLE || (ring < 3 && !wp);
	const data = address <= to.data ? "r" + (write ? "w" : "") : "";
	return data + (address <= to.code ? "x" : "") || "-";
}

/* Runs of one kind with the same rights make one row; the highest addresses come first. */
function spaceRows(state, names) {
	const groups = new Map();
	for (const [page, pages, flags, kind] of state.map) {
		const access = flags & PAGE_WRITABLE ? "writable" : "read-only";
		const key = names.kinds[kind] + ", " + access;
		const g = groups.get(key) || { first: page, pages: 0, runs: 0, flags };
		g.pages += pages;
		g.runs++;
		g.last = page + pages;
		groups.set(key, g);
	}
	const addresses = g => hex(g.first * PAGE) +
		(g.runs === 1 ? "\u2013" + hex(g.last * PAGE - 1) : ", " + g.runs + " parts");
	const ofRings = g => [0, 1, 3].map(ring => rights(state, ring, g.first * PAGE, g.flags));
	return [...groups].sort((a, b) => b[1].first - a[1].first).map(
		([key, g]) => [key, ...ofRings(g), g.pages, addresses(g)]);
}

/* --- the tables --- */

/* Bit numbers. */
const EFLAGS = { IF: 9, TF: 8, DF: 10, NT: 14 };
const CR0 = { PE: 0, MP: 1, TS: 3, NE: 5, WP: 16, AM: 18, PG: 31 };
const CR4 = { PSE: 4, PGE: 7, OSFXSR: 9, OSXMMEXCPT: 10 };
const interruptFlag = eflags => eflags >>> EFLAGS.IF & 1;

const CONTROL = ["cr0", "cr2", "cr3", "cr4"];
const GENERAL = ["eip", "esp", "eflags", "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"];

function registerRows({ regs }, names) {
	const meaning = {
		eip: where(regs.eip), esp: where(regs.esp), cr0: bits(regs.cr0, CR0),
		cr2: "the last fault's address", cr3: "the page directory",
		cr4: bits(regs.cr4, CR4),
		eflags: bits(regs.eflags, EFLAGS) + ", IOPL " + (regs.eflags >>> 12 & 3),
	};
	return names.map(name => [name.toUpperCase(), hex(regs[name]), meaning[name] || ""]);
}

function segmentRows(state) {
	return Object.keys(state.segments).map(name => {
		const value = state.segments[name], entry = state.gdt[value >>> 3];
		const d = entry && value >= 4 ? descriptor(entry) : null;
		const words = d ? descriptorType(d) + ", DPL " + d.dpl : "null";
		return [name.toUpperCase(), hex(value, 4), words];
	});
}

/* A domain in words. */
const domainName = n => n ? "guest " + n : "domain 0";

function cpuRows(s) {
	const domain = s.domain === undefined ? [] : [["domain", domainName(s.domain), ""]];
	return [
		...domain,
		["ring", String(s.ring), ""], ["runs in", where(s.regs.eip), ""],
		["GDT in", where(s.gdtr[0]), hex(s.gdtr[0])],
		["IDT in", where(s.idtr[0]), hex(s.idtr[0])], ["VO in use", s.vo, "in memory"],
	];
}

function gdtRows(s) {
	return Object.keys(s.gdt).map(i => {
		const d = descriptor(s.gdt[i]);
		return [hex(i * 8, 4), descriptorType(d), d.dpl, hex(d.base), hex(d.limit)];
	});
}

const tableNote = ([base, limit]) => hex(base) + ", limit " + hex(limit, 4) + ", in the " +
	where(base);

function tssRows({ tss }) {
	const ring1 = tss.ss1 ? hex(tss.ss1, 4) + ":" + hex(tss.esp1) : "-";
	return [
		["base", hex(tss.base), where(tss.base)],
		["ring 0 stack", hex(tss.ss0, 4) + ":" + hex(tss.esp0), where(tss.esp0)],
		["ring 1 stack", ring1, tss.ss1 ? where(tss.esp1) : "none"],
		["I/O bitmap", hex(tss.iomap, 4), tss.iomap > 103 ? "none: no port" : "yes"],
		["back link", hex(tss.link, 4), tss.link ? "a task" : "none"],
	];
}

function eventRows({ regs, events }, { event_bits }) {
	const names = Object.assign({}, event_bits);
	for (let line = 0; line < 16; line++)
		names["line " + line] = line;
	return [
		["real IF", String(interruptFlag(regs.eflags)), "EFLAGS"],
		["virtual IF", String(interruptFlag(events.vif)), "shared page"],
		["pending events", bits(events.pending, names), "shared page"],
		["fault address", hex(events.address), "shared page"],
	];
}

/* The ring of the guest's disk: include/ring.h, and the message of kernel/split/split.h. */
function channelRows({ channel }) {
	const [asked, backWakes, answered, frontWakes] = channel.ways;
	const [op, sector, sectors, status] = channel.slot;
	return [
		["requests", String(asked), "the front end has put"],
		["wake the back end", "at " + backWakes, "the back end wants that"],
		["answers", String(answered), "the back end has put"],
		["wake the front end", "at " + frontWakes, "the front end wants that"],
		["first slot", ["read", "write", "flush"][op] || op,
			sectors + " sectors from " + sector + " on, status " + (status | 0)],
	];
}

function savedRows(s) {
	return s.saved.map(([at, eip, cs, eflags], i) => [
		i + 1, hex(cs & 0xFFFF, 4), cs & 3, hex(eip), interruptFlag(eflags), hex(at),
	]);
}

/* The kinds of changes, in the order in which a page shows them. */
const GROUPS = ["CPU", "descriptor tables", "memory", "interrupts and events", "registers"];

const TABLES = [
	{
		id: "cpu", column: 0, title: "The CPU", group: "CPU",
		head: ["", "", ""], same: [1], rows: cpuRows,
	},
	{
		id: "segments", column: 0, title: "Segment registers", group: "CPU",
		head: ["", "selector", "descriptor"], same: [1, 2], rows: segmentRows,
	},
	{
		id: "control", column: 0, title: "Control registers", group: "CPU",
		head: ["", "", ""], same: [], rows: s => registerRows(s, CONTROL),
	},
	{
		id: "gdt", column: 1, title: "GDT", group: "descriptor tables",
		head: ["selector", "type", "DPL", "base", "limit"], same: [1, 2, 4],
		note: s => tableNote(s.gdtr), rows: gdtRows,
	},
	{
		id: "idt", column: 1, title: "IDT", group: "descriptor tables", regroups: true,
		head: ["vectors", "gate", "DPL", "selector", "leads to", "first offset"],
		same: [1, 2, 3, 4], note: s => tableNote(s.idtr), rows: s => gateRows(s.idt),
	},
	{
		id: "tss", column: 0, title: "TSS", group: "descriptor tables",
		head: ["", "value", ""], same: [2], rows: tssRows,
	},
	{
		id: "space", column: 1, title: "Address space", group: "memory",
		head: ["what", "ring 0", "ring 1", "ring 3", "pages", "addresses"], same: [1, 2, 3],
		note: () => "what segments and pages allow; " +
			"QEMU's TCG does not enforce segment limits",
		rows: spaceRows,
	},
	{
		id: "events", column: 2, title: "Interrupts and events",
		group: "interrupts and events",
		head: ["", "", "kept in"], same: [1], rows: eventRows,
	},
	{
		id: "channel", column: 2, title: "The ring of the disk", group: "memory",
		needs: "channel", head: ["", "", ""], same: [], rows: channelRows,
	},
	{
		id: "saved", column: 2, needs: "saved", title: "Saved trap frames", group: "memory",
		head: ["", "CS", "back to ring", "EIP", "IF", "at"], same: [1, 2],
		note: () => "of interrupted kernel code, the latest first: what translate changes",
		rows: savedRows,
	},
	{
		id: "exits", column: 2, title: "Exits to the VMM", group: "interrupts and events",
		head: ["reason", "count"], same: [], rows: s => Object.entries(s.events.exits),
	},
	{
		id: "regs", column: 2, title: "Registers", group: "registers",
		head: ["", "", ""], same: [], rows: s => registerRows(s, GENERAL),
	},
];

/* How many frames there are of each type. */
function frameCounts(state, names) {
	const counts = names.frame_types.map(() => 0);
	for (const row of Object.values(state.frames))
		for (const value of row)
			counts[value % FRAME_STEP]++;
	return counts;
}
