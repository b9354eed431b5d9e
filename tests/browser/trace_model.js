/* SPDX-License-Identifier: MIT */
/*
 * The recording in a page of `make trace`, the program's first argument, read from the file without
 * the page's code; and checkStep(page, n), which compares with it what the page shows at step n. A
 * step is what ran between two moments of the recording; the page shows the second moment, and
 * names the phase of the first.
 */
"use strict";
const assert = require("assert");
const fs = require("fs");

const hex = (n, digits = 8) => n.toString(16).padStart(digits, "0");
const PAGE_TABLES = 3, WRITABLE = 2; /* in a run of the map */

const tablesWritable = s => s.map.some(run => run[3] === PAGE_TABLES && run[2] & WRITABLE);

function readStates(trace) {
	const apply = (to, patch) => {
		for (const [key, value] of Object.entries(patch))
			if (value === null)
				delete to[key];
			else if (typeof value === "object" && !Array.isArray(value) && to[key])
				apply(to[key], value);
			else
				to[key] = structuredClone(value);
		return to;
	};
	const last = {};
	return trace.steps.map(patch => structuredClone(apply(last, patch)));
}

const html = fs.readFileSync(process.argv[2], "utf8");
const data = html.match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1];
const trace = JSON.parse(data), states = readStates(trace);
/* What ran in each step began at this moment; the first of a direction has none. */
const causes = states.map((s, i) =>
	i > 0 && states[i - 1].direction === s.direction ? states[i - 1] : null);
const phases = causes.map(c => c ? trace.phases[c.phase] : "before");
const starts = phases.map((p, i) => i).filter(i => i === 0 || !causes[i] ||
	phases[i] !== phases[i - 1]);

async function shown(page) {
	return page.evaluate(() => {
		const cells = {}, now = {};
		for (const e of document.querySelectorAll("[data-cell]"))
			cells[e.dataset.cell] = {
				text: e.firstChild ? e.firstChild.textContent : "",
				changed: e.classList.contains("changed"),
			};
		for (const e of document.querySelectorAll("[data-now]"))
			now[e.dataset.now] = e.textContent;
		return {
			cells,
			now,
			status: document.querySelector("[role=status]").textContent,
			slider: Number(document.querySelector("input").value),
			line: document.querySelector("li[aria-current]")?.value,
			heading: document.querySelector(".story h2").textContent,
			chip: document.querySelector(".phases [aria-current]").textContent,
			groups: [...document.querySelectorAll(".changes [data-group]")].map(
				e => e.dataset.group),
			facts: Object.fromEntries([...document.querySelectorAll("[data-fact]")].map(
				e => [e.dataset.fact, e.textContent])),
			owner: Object.fromEntries([...document.querySelectorAll(".box [data-fact]")]
				.map(e => [e.dataset.fact, e.closest(".box").className])),
			row: document.querySelector(".box-kernel").style.gridRowStart,
			differs: document.querySelectorAll("td.differs").length,
		};
	});
}

/* How many frames of each type a state has. */
const countFrames = s => trace.frame_types.map((_, type) =>
	Object.values(s.frames).flat().filter(v => v % 8 === type).length);

/* A cell has the text wanted. It is marked if and only if the step before had another. */
function checkCell(seen, cell, wanted, before) {
	assert.ok(seen.cells[cell], `no cell ${cell}`);
	assert.equal(seen.cells[cell].text, wanted, `cell ${cell}`);
	assert.equal(seen.cells[cell].changed, before !== null && before !== wanted,
		`mark of cell ${cell}: ${before} -> ${wanted}`);
}

function checkProcessor(seen, s, before) {
	for (const [name, value] of Object.entries(s.regs))
		checkCell(seen, `${/^cr/.test(name) ? "control" : "regs"}/${name.toUpperCase()}/1`,
			hex(value), before && hex(before.regs[name]));
	for (const [name, value] of Object.entries(s.segments))
		checkCell(seen, `segments/${name.toUpperCase()}/1`, hex(value, 4),
			before && hex(before.segments[name], 4));
	const dpl = (state, i) => state.gdt[i] ? String(state.gdt[i][1] >>> 13 & 3) : "";
	for (const i of Object.keys(s.gdt))
		checkCell(seen, `gdt/${hex(i * 8, 4)}/2`, dpl(s, i), before && dpl(before, i));
	const rows = Object.keys(seen.cells).filter(c => /^gdt\/.*\/2$/.test(c));
	assert.equal(rows.length, Object.keys(s.gdt).length, "rows of the GDT");
	checkCell(seen, "tss/base/1", hex(s.tss.base), before && hex(before.tss.base));
}

/* In virtual mode only ring 0 reaches the VMM's memory, and programs never do. */
function checkSpace(seen, s) {
	const vmm = "space/VMM, writable/", text = "space/kernel text, read-only/";
	assert.equal(seen.cells[vmm + 3].text, "-");
	assert.equal(seen.cells[vmm + 2].text, "-");
	assert.equal(seen.cells[vmm + 1].text, "rwx");
	assert.equal(seen.cells[text + 2].text, s.mode === "virtual" ? "rx" : "-",
		"ring 1 on the kernel's text");
}

/* The figure shows in which ring the kernel's place is, and whose tables the CPU uses. */
function checkFigure(seen, s) {
	const dpl = s.gdt[1][1] >>> 13 & 3;
	assert.equal(seen.row, dpl === 0 ? "3" : "2", "the kernel's row in the figure");
	for (const [name, address] of [["GDT", s.gdtr[0]], ["IDT", s.idtr[0]], ["TSS", s.tss.base]])
		assert.match(seen.owner[name],
			address >= trace.layout.vmm ? /box-VMM/ : /box-kernel/, name);
	assert.equal(seen.facts.VO, s.vo === "exchanging" ? "being exchanged" : s.vo + "_vo");
	assert.equal(seen.facts["page tables"],
		"page tables " + (tablesWritable(s) ? "writable" :
			s.mode === "native" && !s.map.some(([, , , kind]) => kind === 0) ?
			"of the kernel only" : "read-only"));
	const leads = s.idt[14][1] >= trace.layout.vmm ? "VMM, ring 0" : "kernel, ring 0";
	assert.ok(seen.facts["page fault"].endsWith(leads), seen.facts["page fault"]);
}

async function checkStep(page, at) {
	const seen = await shown(page), s = states[at], before = causes[at];
	assert.equal(seen.slider, at);
	const place = `${s.direction}, ${phases[at]}`;
	assert.match(seen.status, new RegExp(`^step ${at + 1} of ${states.length}: ${place}`));
	assert.equal(seen.now.phase, phases[at]);
	assert.equal(seen.chip, phases[at]);
	assert.ok(seen.heading.toLowerCase().includes(phases[at]), seen.heading);
	assert.equal(seen.now.direction, s.direction);
	assert.equal(seen.now.ring, String(s.ring));
	assert.equal(seen.now.mode, s.mode);
	assert.equal(seen.now["VO in use"], s.vo);
	checkProcessor(seen, s, before);
	const vif = state => state.events.vif & 0x200 ? "1" : "0";
	checkCell(seen, "events/virtual IF/1", vif(s), before && vif(before));
	for (const [name, n] of Object.entries(s.events.exits))
		checkCell(seen, `exits/${name}/1`, String(n),
			before && String(before.events.exits[name]));
	s.saved.forEach(([, , cs], i) =>
		assert.equal(seen.cells[`saved/${i + 1}/1`].text, hex(cs & 0xFFFF, 4)));
	const earlier = before && countFrames(before);
	countFrames(s).forEach((n, type) =>
		checkCell(seen, `frames/${type}`, String(n), before && String(earlier[type])));
	const began = (before || s).regs.eip;
	assert.equal(seen.line, trace.places[began].line, "the marked source line");
	checkSpace(seen, s);
	checkFigure(seen, s);
	return seen;
}

module.exports = { trace, states, causes, phases, starts, checkStep, shown, tablesWritable };
