/* SPDX-License-Identifier: MIT */
/* The viewer's parts, each drawn anew for a step: tables with marked changes, the timeline, address space, frames, source. */
"use strict";

/* An element of HTML or SVG with attributes and children. */
function make(name, attributes, ...children) {
	const svg = ["rect", "line", "text", "title"].includes(name);
	const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
	for (const key of Object.keys(attributes || {}))
		e.setAttribute(key, attributes[key]);
	e.append(...children);
	return e;
}

/* --- tables: cells that changed since the step before, and those that differ from the reference --- */

function tableModel(table, state, names) {
	return state ? new Map(table.rows(state, names).map(row => [String(row[0]), row.map(String)])) : new Map();
}

/* Whether a state is not what the reference's is, in what must be the same for any two builds. */
function differs(state, wanted, names) {
	const same = (table, row, old) => old && table.same.every(k => row[k] === old[k]);
	return TABLES.some(table => {
		const rows = tableModel(table, state, names), old = tableModel(table, wanted, names);
		return table.same.length && (rows.size !== old.size || [...rows].some(([key, row]) => !same(table, row, old.get(key))));
	});
}

function drawCell(table, row, k, before, wanted) {
	const cell = make("td", { "data-cell": table.id + "/" + row[0] + "/" + k }, row[k]);
	if (before && before[k] !== row[k]) {
		cell.className = "changed";
		cell.title = "was " + before[k];
	}
	if (wanted && table.same.includes(k) && wanted[k] !== row[k]) {
		cell.classList.add("differs");
		cell.append(make("span", { class: "reference" }, "reference: " + wanted[k]));
	}
	if (/^(r?w?x?|-)$/.test(row[k]) && table.id === "space")
		cell.dataset.rights = row[k];
	return cell;
}

/* Result: the changes, as words. */
function drawTable(table, panel, now, before, reference, names) {
	const rows = tableModel(table, now, names), old = tableModel(table, before, names), wanted = tableModel(table, reference, names);
	const body = panel.querySelector("tbody"), changes = [], none = table.head.map(() => "");
	const note = panel.querySelector(".note");
	note.textContent = table.note ? table.note(now) : "";
	body.textContent = "";
	for (const [key, row] of rows) {
		const was = before ? old.get(key) || none : null;
		body.append(make("tr", {}, make("th", { scope: "row" }, key), ...row.slice(1).map((_, i) => drawCell(table, row, i + 1, was,
			reference ? wanted.get(key) || none : null))));
		const k = was ? row.findIndex((cell, i) => i > 0 && cell !== was[i]) : -1;
		if (k > 0)
			changes.push([table.title, key, table.head[k]].join(" ").trim() + ": " + (was[k] || "nothing") + " \u2192 " + row[k]);
	}
	for (const key of old.keys())
		if (!rows.has(key)) {
			body.append(make("tr", { class: "gone" }, make("th", { scope: "row" }, key), make("td", { colspan: 9 }, "gone")));
			changes.push(table.title + " " + key + ": gone");
		}
	for (const key of wanted.keys())
		if (!rows.has(key) && !old.has(key))
			body.append(make("tr", {}, make("th", { scope: "row" }, key), make("td", { colspan: 9, class: "differs" }, "only in the reference")));
	panel.classList.toggle("has-changes", changes.length > 0);
	return changes;
}

/* --- pictures --- */

/* Four strips over time: phase, ring, descriptor tables, VO. */
function drawTimeline(svg, states, starts) {
	const n = states.length, strip = (row, value, kind) => {
		for (let i = 0; i < n;) {
			let end = i;
			while (end < n && value(states[end]) === value(states[i]) && states[end].direction === states[i].direction)
				end++;
			svg.append(make("rect", { x: i / n * 1000, y: row * 18, width: (end - i) / n * 1000, height: 15, class: kind + value(states[i]) }));
			i = end;
		}
	};
	strip(0, s => s.phase, "phase phase-");
	strip(1, s => s.ring, "ring-");
	strip(2, s => s.mode, "mode-");
	strip(3, s => s.vo, "mode-");
	for (const i of starts.filter(i => i > 0 && states[i].direction !== states[i - 1].direction))
		svg.append(make("line", { x1: i / n * 1000, x2: i / n * 1000, y1: 0, y2: 72, class: "direction" }));
}

/* The 4 GiB from left to right; each region has its share, in it only what is mapped, and large runs are shortened. */
const REGIONS = [
	{ name: "programs", from: 0, to: KERNEL, x: 0, width: 170 },
	{ name: "kernel: direct map", from: KERNEL, to: 0xF8000000, x: 180, width: 450 },
	{ name: "devices", from: 0xF8000000, to: VMM, x: 640, width: 90 },
	{ name: "VMM", from: VMM, to: 2 ** 32, x: 740, width: 260 },
];

function drawSpace(svg, state, names) {
	const marks = [["EIP", state.regs.eip], ["ESP", state.regs.esp], ["GDT", state.gdtr[0]], ["IDT", state.idtr[0]], ["TSS", state.tss.base]];
	svg.textContent = "";
	const place = new Map(), size = run => Math.sqrt(run[1]) + 3;
	for (const region of REGIONS) {
		const runs = state.map.filter(run => run[0] * PAGE >= region.from && run[0] * PAGE < region.to);
		const scale = region.width / runs.reduce((sum, run) => sum + size(run), 0);
		svg.append(make("text", { x: region.x + 1, y: 9 }, region.name),
			make("rect", { x: region.x, y: 14, width: region.width, height: 26, class: "unmapped" }));
		let x = region.x;
		for (const run of runs) {
			const wide = size(run) * scale;
			svg.append(make("rect", { x, y: 14, width: wide, height: 26, class: "kind-" + run[3] + (run[2] & PAGE_WRITABLE ? "" : " read-only") },
				make("title", {}, names.kinds[run[3]] + " " + hex(run[0] * PAGE) + ", " + run[1] + " pages")));
			for (const [name, address] of marks)
				if (Math.floor(address / PAGE) >= run[0] && Math.floor(address / PAGE) < run[0] + run[1])
					place.set(name, x + wide * (address / PAGE - run[0]) / run[1]);
			x += wide;
		}
	}
	let last = -99, level = 0;
	for (const [name, x] of [...place].sort((a, b) => a[1] - b[1])) { /* labels that would touch go below each other */
		level = x - last < 26 ? level + 1 : 0;
		last = x;
		svg.append(make("line", { x1: x, x2: x, y1: 12, y2: 50 + 12 * level, class: "mark" }),
			make("text", { x: Math.min(x + 2.5, 978), y: 51 + 12 * level, class: "mark" }, name));
	}
}

/* A square for each machine frame: its colour the type; strong if it is counted more than once; framed if it changed. */
function drawFrames(canvas, state, before, names) {
	const rows = Object.keys(state.frames).length, columns = 128, cell = 6;
	const ink = canvas.getContext("2d"); /* the legend's keys have the colours */
	const colours = names.frame_types.map((_, i) => getComputedStyle(canvas.parentNode.querySelector(".key.frame-" + i)).backgroundColor);
	const ratio = 2, changed = [];
	canvas.width = columns * cell * ratio;
	canvas.height = Math.ceil(rows * 64 / columns) * cell * ratio;
	ink.scale(ratio, ratio);
	for (let row = 0; row < rows; row++) {
		const values = state.frames[row], old = before ? before.frames[row] : values;
		values.forEach((value, i) => {
			const mfn = row * 64 + i, x = mfn % columns * cell, y = Math.floor(mfn / columns) * cell;
			ink.globalAlpha = value >= 2 * FRAME_STEP || value % FRAME_STEP > 3 || value % FRAME_STEP < 2 ? 1 : value >= FRAME_STEP ? 0.75 : 0.4;
			ink.fillStyle = colours[value % FRAME_STEP];
			ink.fillRect(x, y, cell - 1, cell - 1);
			if (value !== old[i])
				changed.push([x, y]);
		});
	}
	ink.globalAlpha = 1;
	ink.strokeStyle = getComputedStyle(canvas).color;
	ink.lineWidth = 1.5;
	changed.forEach(([x, y]) => ink.strokeRect(x - 1, y - 1, cell + 1, cell + 1));
	return changed.length;
}

function drawSource(panel, trace, state) {
	const place = trace.places[state.regs.eip], list = panel.querySelector("ol");
	list.textContent = "";
	panel.querySelector(".note").textContent = place && place.file ? place.file + ":" + place.line + " in " + place.function +
		(place.within === place.function ? "" : ", within " + place.within) : "no source";
	panel.querySelector(".instruction").textContent = hex(state.regs.eip) + "  " + (place && place.code || "");
	const lines = place && trace.sources[place.file] || {};
	for (const n of Object.keys(lines).map(Number).filter(n => Math.abs(n - place.line) <= 7))
		list.append(make("li", Object.assign({ value: n }, n === place.line ? { "aria-current": "step" } : {}), lines[n] || " "));
}
