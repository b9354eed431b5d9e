/* SPDX-License-Identifier: MIT */
/*
 * What the numbers of a recording mean: a state (viewer.js has its format) becomes tables of words. Each table has an id, a
 * title, the column of the page where it stands, heads, rows(state) = [[key, cell, ...], ...], and `same`: the columns that
 * must equal the reference's. The others are addresses and counts, which differ between any two builds.
 */
"use strict";

const KERNEL = 0xC0000000, VMM = 0xFC000000, PAGE = 4096;
const PAGE_WRITABLE = 2, PAGE_USER = 4, CR0_WP = 0x10000;
const FRAME_STEP = 8; /* a frame's number: type + 8 * count */

const hex = (n, digits) => n.toString(16).padStart(digits || 8, "0");
const where = address => address >= VMM ? "VMM" : address >= KERNEL ? "kernel" : "program";
const bits = (value, names) => Object.keys(names).filter(n => Math.floor(value / 2 ** names[n]) % 2).join(" ") || "-";

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
	return { 9: "TSS", 11: "TSS, busy", 2: "LDT", 12: "call gate", 5: "task gate" }[d.type] || "type " + d.type;
}

function gate([low, high]) {
	const type = { 14: "interrupt", 15: "trap", 5: "task" }[high >>> 8 & 31] || "type " + (high >>> 8 & 31);
	return { type, dpl: high >>> 13 & 3, selector: low >>> 16, offset: ((low & 0xFFFF) + (high & 0xFFFF0000)) >>> 0 };
}

/* Neighbouring vectors whose gates are alike make one row. */
function gateRows(idt) {
	const groups = [];
	for (const vector of Object.keys(idt).map(Number).sort((a, b) => a - b)) {
		const g = gate(idt[vector]), last = groups[groups.length - 1];
		const target = g.type === "task" ? "own task" : where(g.offset) + (g.selector & 3 ? ", ring " + (g.selector & 3) : ", ring 0");
		const alike = [g.type, g.dpl, hex(g.selector, 4), target];
		if (last && last.end + 1 === vector && last.alike.join() === alike.join())
			last.end = vector;
		else
			groups.push({ first: vector, end: vector, alike, offset: g.offset });
	}
	return groups.map(g => [hex(g.first, 2) + (g.end > g.first ? "\u2013" + hex(g.end, 2) : ""), ...g.alike, hex(g.offset)]);
}

/* --- the address space: what each ring may do (3.x of the SDM's segments and pages together) --- */

/* The highest address that a ring's own code, and any data segment that it can load, reaches; -1: none. */
function reach(state, ring) {
	const all = Object.values(state.gdt).map(descriptor).filter(d => d.present);
	const end = list => list.reduce((most, d) => Math.max(most, d.base + d.limit), -1);
	return { code: end(all.filter(d => d.code && d.dpl === ring)), data: end(all.filter(d => d.data && d.dpl >= ring)) };
}

function rights(state, ring, address, flags) {
	const to = reach(state, ring), page = ring < 3 || flags & PAGE_USER;
	if (to.code < 0 || !page)
		return "-";
	const write = flags & PAGE_WRITABLE || (ring < 3 && !(state.regs.cr0 & CR0_WP));
	return (address <= to.data ? "r" + (write ? "w" : "") : "") + (address <= to.code ? "x" : "") || "-";
}

/* Runs of the same kind and rights make one row; the highest addresses first. */
function spaceRows(state, names) {
	const groups = new Map();
	for (const [page, pages, flags, kind] of state.map) {
		const key = names.kinds[kind] + (flags & PAGE_WRITABLE ? ", writable" : ", read-only");
		const g = groups.get(key) || { first: page, pages: 0, runs: 0, flags };
		g.pages += pages;
		g.runs++;
		g.last = page + pages;
		groups.set(key, g);
	}
	return [...groups].sort((a, b) => b[1].first - a[1].first).map(([key, g]) => [key, ...[0, 1, 3].map(
		ring => rights(state, ring, g.first * PAGE, g.flags)), g.pages,
	hex(g.first * PAGE) + (g.runs === 1 ? "\u2013" + hex(g.last * PAGE - 1) : ", " + g.runs + " parts")]);
}

/* --- the tables --- */

const EVENTS = { timer: 16, resched: 17, halt: 18, switch: 19 }; /* bits; below: ISA lines */
const EFLAGS = { IF: 9, TF: 8, DF: 10, NT: 14 };
const CR0 = { PE: 0, MP: 1, TS: 3, NE: 5, WP: 16, AM: 18, PG: 31 }, CR4 = { PSE: 4, PGE: 7, OSFXSR: 9, OSXMMEXCPT: 10 };

function registerRows({ regs }) {
	const meaning = {
		eip: where(regs.eip), esp: where(regs.esp), cr0: bits(regs.cr0, CR0), cr4: bits(regs.cr4, CR4),
		eflags: bits(regs.eflags, EFLAGS) + ", IOPL " + (regs.eflags >>> 12 & 3),
	};
	return ["eip", "esp", "eflags", "cr0", "cr2", "cr3", "cr4", "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"].map(
		name => [name.toUpperCase(), hex(regs[name]), meaning[name] || ""]);
}

function segmentRows(state) {
	return Object.keys(state.segments).map(name => {
		const value = state.segments[name], entry = state.gdt[value >>> 3];
		const d = entry && value >= 4 ? descriptor(entry) : null;
		return [name.toUpperCase(), hex(value, 4), d ? descriptorType(d) + ", DPL " + d.dpl : "null"];
	});
}

function tssRows({ tss }) {
	return [
		["base", hex(tss.base), where(tss.base)],
		["ring 0 stack", hex(tss.ss0, 4) + ":" + hex(tss.esp0), where(tss.esp0)],
		["ring 1 stack", tss.ss1 ? hex(tss.ss1, 4) + ":" + hex(tss.esp1) : "-", tss.ss1 ? where(tss.esp1) : "none"],
		["I/O bitmap", hex(tss.iomap, 4), tss.iomap > 103 ? "none: no port" : "yes"],
		["back link", hex(tss.link, 4), tss.link ? "a task" : "none"],
	];
}

function eventRows({ regs, events }) {
	const names = Object.assign({}, EVENTS);
	for (let line = 0; line < 16; line++)
		names["line " + line] = line;
	return [
		["real IF", regs.eflags & 0x200 ? "1" : "0", "EFLAGS"],
		["virtual IF", events.vif & 0x200 ? "1" : "0", "shared page"],
		["pending events", bits(events.pending, names), "shared page"],
		["fault address", hex(events.address), "shared page"],
	];
}

const TABLES = [
	{
		id: "cpu", column: 2, title: "The CPU", head: ["", "", ""], same: [1],
		rows: s => [["ring", String(s.ring), ""], ["EIP in", where(s.regs.eip), ""], ["GDT in", where(s.gdtr[0]), hex(s.gdtr[0])],
			["IDT in", where(s.idtr[0]), hex(s.idtr[0])], ["VO", s.vo, "in use"]],
	},
	{ id: "segments", column: 2, title: "Segment registers", head: ["", "selector", "descriptor"], same: [1, 2], rows: segmentRows },
	{
		id: "space", column: 1, title: "Address space", head: ["what", "ring 0", "ring 1", "ring 3", "pages", "addresses"], same: [1, 2, 3],
		note: () => "what segments and pages allow; QEMU's TCG does not enforce segment limits", rows: spaceRows,
	},
	{
		id: "gdt", column: 1, title: "GDT", head: ["selector", "type", "DPL", "base", "limit"], same: [1, 2, 4],
		note: s => hex(s.gdtr[0]) + ", limit " + hex(s.gdtr[1], 4) + ", in the " + where(s.gdtr[0]),
		rows: s => Object.keys(s.gdt).map(i => {
			const d = descriptor(s.gdt[i]);
			return [hex(i * 8, 4), descriptorType(d), d.dpl, hex(d.base), hex(d.limit)];
		}),
	},
	{
		id: "idt", column: 1, title: "IDT", head: ["vectors", "gate", "DPL", "selector", "leads to", "first offset"], same: [1, 2, 3, 4],
		note: s => hex(s.idtr[0]) + ", limit " + hex(s.idtr[1], 4) + ", in the " + where(s.idtr[0]), rows: s => gateRows(s.idt),
	},
	{ id: "tss", column: 2, title: "TSS", head: ["", "value", ""], same: [2], rows: tssRows },
	{ id: "events", column: 2, title: "Interrupts and events", head: ["", "", "kept in"], same: [1], rows: eventRows },
	{
		id: "saved", column: 2, title: "Saved kernel frames", head: ["", "CS", "back to ring", "EIP", "IF", "at"], same: [1, 2],
		note: () => "of interrupted kernel code, the latest first: what translate fixes up",
		rows: s => s.saved.map(([at, eip, cs, eflags], i) => [i + 1, hex(cs & 0xFFFF, 4), cs & 3, hex(eip), eflags & 0x200 ? 1 : 0, hex(at)]),
	},
	{
		id: "exits", column: 0, title: "Exits to the VMM", head: ["reason", "count"], same: [],
		rows: s => Object.keys(s.events.exits).map(name => [name, s.events.exits[name]]),
	},
	{ id: "regs", column: 2, title: "Registers", head: ["", "", ""], same: [], rows: registerRows },
];

/* How many frames there are of each type. */
function frameCounts(state, names) {
	const counts = names.frame_types.map(() => 0);
	for (const row of Object.values(state.frames))
		for (const value of row)
			counts[value % FRAME_STEP]++;
	return counts;
}
