/* SPDX-License-Identifier: MIT */
/*
 * The figure of the rings: who runs in which ring, whose tables the CPU uses, and who is entered
 * by what. makeFigure() gives the element; drawFigure() shows a state in it, and marks what is
 * not as in the state before.
 */
"use strict";

const KERNEL_CODE = 1, PROGRAM = 0, PAGE_TABLES = 3; /* index in the GDT; kind of pages */
const PAGE_FAULT = 14, INTERRUPT = 32, SYSTEM_CALL = 128; /* vectors */
const MOVE_MS = 500;

/* The facts that the figure shows. */
function figureFacts(state) {
	const leads = vector => state.idt[vector] ? gateTarget(gate(state.idt[vector])) : "nobody";
	const tables = state.map.filter(run => run[3] === PAGE_TABLES);
	const writable = tables.some(run => run[2] & PAGE_WRITABLE);
	const idle = state.mode === "native" && !state.map.some(run => run[3] === PROGRAM);
	const code = state.gdt[KERNEL_CODE], ring = code ? descriptor(code).dpl : 0;
	return {
		"kernel ring": ring,
		running: where(state.regs.eip),
		GDT: where(state.gdtr[0]), IDT: where(state.idtr[0]), TSS: where(state.tss.base),
		VO: state.vo === "exchanging" ? "being exchanged" : state.vo + "_vo",
		/* Without a program's only the kernel's own are loaded: read-only since boot. */
		"page tables": writable ? "writable" : idle ? "of the kernel only" : "read-only",
		"system call": leads(SYSTEM_CALL), "page fault": leads(PAGE_FAULT),
		interrupt: leads(INTERRUPT),
		"interrupts let in": ring > 0 ? "virtual IF " + interruptFlag(state.events.vif) :
			"IF " + interruptFlag(state.regs.eflags),
	};
}

function makeFigure() {
	const box = (who, ...children) => make("div", { class: "box box-" + who }, ...children);
	const name = text => make("b", {}, text);
	const rows = [["ring 3", 1], ["ring 1", 2], ["ring 0", 3]].map(([text, row]) =>
		make("div", { class: "ring-row", style: "grid-row: " + row }, text));
	return make("figure", { class: "rings" },
		make("div", { class: "ring-grid" }, ...rows,
			box("program", name("programs")),
			box("kernel", name("kernel"), make("ul")),
			box("VMM", name("VMM"), make("ul")),
			box("hardware", name("hardware"))),
		make("ul", { class: "enters" }), make("figcaption"));
}

/* Move an element to another row, visibly if the reader wants motion. */
function moveTo(element, row) {
	const from = element.getBoundingClientRect().top;
	element.style.gridRow = row;
	const way = from - element.getBoundingClientRect().top;
	if (way && !matchMedia("(prefers-reduced-motion: reduce)").matches)
		element.animate([{ transform: `translateY(${way}px)` }, {}],
			{ duration: MOVE_MS, easing: "ease-in-out" });
}

function drawFigure(figure, state, before) {
	const facts = figureFacts(state), old = before ? figureFacts(before) : facts;
	const find = selector => figure.querySelector(selector);
	const item = (key, text) => make("li", {
		"data-fact": key, class: facts[key] !== old[key] ? "changed" : "",
	}, text);
	const tables = owner => ["GDT", "IDT", "TSS"].filter(key => facts[key] === owner)
		.map(key => item(key, key));
	const awake = facts.GDT === "VMM", ring = facts["kernel ring"];
	moveTo(find(".box-kernel"), ring === 0 ? 3 : 2);
	find(".box-kernel").classList.toggle("changed", ring !== old["kernel ring"]);
	find(".box-kernel ul").replaceChildren(...tables("kernel"), item("VO", facts.VO),
		item("page tables", "page tables " + facts["page tables"]),
		item("interrupts let in", facts["interrupts let in"]));
	if (state.domain !== undefined)
		find(".box-kernel b").textContent = "kernel of " + domainName(state.domain);
	find(".box-VMM").classList.toggle("dormant", !awake && facts.running !== "VMM");
	find(".box-VMM").classList.toggle("below", ring > 0);
	find(".box-VMM ul").replaceChildren(...tables("VMM"),
		make("li", { class: "plain" }, awake ? "controls the CPU" :
			facts.running === "VMM" ? "called by the kernel" : "sleeps"));
	for (const who of ["program", "kernel", "VMM"]) {
		const runs = facts.running === who;
		find(".box-" + who).classList.toggle("runs", runs);
	}
	const enters = ["system call", "page fault", "interrupt"];
	find(".enters").replaceChildren(
		make("li", { class: "plain" }, "Where the CPU goes at a"),
		...enters.map(key => item(key, key + ": " + facts[key])));
	find("figcaption").textContent = "The CPU is in the " + facts.running + " now, in ring " +
		state.ring + ". The kernel's place is ring " + ring + ".";
}
