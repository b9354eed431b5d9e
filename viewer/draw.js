/* SPDX-License-Identifier: MIT */
/*
 * The parts of the page, each drawn anew for a step: tables with their changes marked, the
 * timeline, the address space, the machine frames, the source.
 */
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const FRAME_ROW = 64;                     /* frames in a row of a state */
const FRAME_COLUMNS = 128, FRAME_SIZE = 6; /* of the picture; FRAME_SIZE in CSS pixels */

/* An element of HTML or SVG with attributes and children. */
function make(name, attributes, ...children) {
	const svg = ["rect", "line", "text", "title"].includes(name);
	const e = svg ? document.createElementNS(SVG, name) : document.createElement(name);
	for (const key of Object.keys(attributes || {}))
		e.setAttribute(key, attributes[key]);
	e.append(...children);
	return e;
}

/* The first items of a list, as elements, and how many more there are. */
function shorten(items, most = 14) {
	const more = items.length > most ? "and " + (items.length - most) + " more" : [];
	return items.slice(0, most).concat(more).map(item => make("li", {}, item));
}

/* A marked cell in words: title, row and column; what it is, and what the reference has. */
function describeDifference(td) {
	const text = e => e ? e.textContent : "", reference = td.querySelector(".reference");
	const head = reference && td.closest("table").tHead.rows[0].cells[td.cellIndex];
	const place = [td.closest("section").querySelector("h2"), td.parentNode.cells[0], head];
	const ours = reference ? (text(td.firstChild) || "nothing") + ", " : "";
	return place.map(text).filter(word => word).join(" ") + ": " + ours + text(td.lastChild);
}

function badge(name, value, kind) {
	return make("div", {}, make("dt", {}, name),
		make("dd", { "data-now": name, class: kind || "" }, String(value)));
}

/* --- tables, with what changed since the step before, and what differs from the reference --- */

/* The panel of a table, still empty. */
function makePanel(table) {
	const heads = table.head.map(h => make("th", { scope: "col" }, h));
	return make("section", { class: "panel table-" + table.id }, make("h2", {}, table.title),
		make("p", { class: "note" }), make("table", {},
			make("thead", {}, make("tr", {}, ...heads)), make("tbody")));
}

/* The rows of a table by their keys, all as words. */
function tableModel(table, state, names) {
	const rows = state ? table.rows(state, names) : [];
	return new Map(rows.map(row => [String(row[0]), row.map(String)]));
}

/* Whether a state differs from the reference's in what must be the same in any two builds. */
function differs(state, wanted, names) {
	const same = (table, row, old) => old && table.same.every(k => row[k] === old[k]);
	return TABLES.filter(table => table.same.length).some(table => {
		const rows = tableModel(table, state, names);
		const old = tableModel(table, wanted, names);
		return rows.size !== old.size ||
			[...rows].some(([key, row]) => !same(table, row, old.get(key)));
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

function drawRow(table, row, before, wanted) {
	const cells = row.slice(1).map((_, i) => drawCell(table, row, i + 1, before, wanted));
	return make("tr", {}, make("th", { scope: "row" }, row[0]), ...cells);
}

/* A row that this step does not have. */
function drawMissing(key, attributes, cell, text) {
	return make("tr", attributes, make("th", { scope: "row" }, key),
		make("td", Object.assign({ colspan: 9 }, cell), text));
}

/* Draw a table. before: the step before, or null. Result: the changes since then, in words. */
function drawTable(table, panel, state, before, reference, names) {
	const rows = tableModel(table, state, names), old = tableModel(table, before, names);
	const wanted = tableModel(table, reference, names), none = table.head.map(() => "");
	const body = panel.querySelector("tbody"), changes = [];
	panel.querySelector(".note").textContent = table.note ? table.note(state) : "";
	body.textContent = "";
	for (const [key, row] of rows) {
		const was = before ? old.get(key) || none : null;
		body.append(drawRow(table, row, was, reference ? wanted.get(key) || none : null));
		const k = was ? row.findIndex((cell, i) => i > 0 && cell !== was[i]) : -1;
		if (k > 0)
			changes.push([table.title, key, table.head[k]].join(" ").trim() + ": " +
				(was[k] || "nothing") + " \u2192 " + row[k]);
	}
	for (const key of old.keys())
		if (!rows.has(key)) {
			body.append(drawMissing(key, { class: "gone" }, {}, "gone"));
			changes.push(table.title + " " + key + ": gone");
		}
	for (const key of wanted.keys())
		if (!rows.has(key) && !old.has(key))
			body.append(drawMissing(key, {}, { class: "differs" },
				"only in the reference"));
	panel.classList.toggle("has-changes", changes.length > 0);
	return changes;
}

/* --- the timeline --- */

/* A strip of the timeline: a rectangle for each run of states of one value. */
function drawStrip(svg, states, row, value, kind) {
	const n = states.length;
	const same = (a, b) => value(a) === value(b) && a.direction === b.direction;
	for (let i = 0, end; i < n; i = end) {
		for (end = i; end < n && same(states[end], states[i]);)
			end++;
		svg.append(make("rect", {
			x: i / n * 1000, y: row * 18, width: (end - i) / n * 1000, height: 15,
			class: kind + value(states[i]),
		}));
	}
}

/* Four strips over time: phase, ring, descriptor tables, VO; and a line where detach begins. */
function drawTimeline(svg, states, starts) {
	drawStrip(svg, states, 0, s => s.phase, "phase phase-");
	drawStrip(svg, states, 1, s => s.ring, "ring-");
	drawStrip(svg, states, 2, s => s.mode, "mode-");
	drawStrip(svg, states, 3, s => s.vo, "mode-");
	const turns = starts.filter(i => i > 0 && states[i].direction !== states[i - 1].direction);
	for (const x of turns.map(i => i / states.length * 1000))
		svg.append(make("line", { x1: x, x2: x, y1: 0, y2: 72, class: "direction" }));
}

/* --- the address space --- */

/*
 * The 4 GiB from left to right. Each region has its share of the width, which only its mapped runs
 * fill; large runs are drawn shorter than they are.
 */
function regions() {
	return [
		{ name: "programs", x: 0, width: 170, from: 0, to: layout.kernel },
		{
			name: "kernel: direct map", x: 180, width: 450,
			from: layout.kernel, to: layout.devices,
		},
		{ name: "devices", x: 640, width: 90, from: layout.devices, to: layout.vmm },
		{ name: "VMM", x: 740, width: 260, from: layout.vmm, to: 2 ** 32 },
	];
}

function drawRun(svg, run, x, width, names) {
	const [page, pages, flags, kind] = run;
	const text = names.kinds[kind] + " " + hex(page * PAGE) + ", " + pages + " pages";
	svg.append(make("rect", {
		x, y: 14, width, height: 26,
		class: "kind-" + kind + (flags & PAGE_WRITABLE ? "" : " read-only"),
	}, make("title", {}, text)));
}

/* Draw a region. Result: [name, x] of the marks ([name, address]) that lie in it. */
function drawRegion(svg, region, state, marks, names) {
	const size = run => Math.sqrt(run[1]) + 3, places = [];
	const runs = state.map.filter(
		run => run[0] * PAGE >= region.from && run[0] * PAGE < region.to);
	const scale = region.width / runs.reduce((sum, run) => sum + size(run), 0);
	svg.append(make("text", { x: region.x + 1, y: 9 }, region.name), make("rect", {
		x: region.x, y: 14, width: region.width, height: 26, class: "unmapped",
	}));
	let x = region.x;
	for (const run of runs) {
		const width = size(run) * scale;
		drawRun(svg, run, x, width, names);
		for (const [name, address] of marks) {
			const part = (address / PAGE - run[0]) / run[1];
			if (part >= 0 && part < 1)
				places.push([name, x + width * part]);
		}
		x += width;
	}
	return places;
}

function drawSpace(svg, state, names) {
	const marks = [
		["EIP", state.regs.eip], ["ESP", state.regs.esp], ["GDT", state.gdtr[0]],
		["IDT", state.idtr[0]], ["TSS", state.tss.base],
	];
	svg.textContent = "";
	const places = regions().flatMap(region => drawRegion(svg, region, state, marks, names));
	let last = -99, level = 0;
	for (const [name, x] of places.sort((a, b) => a[1] - b[1])) {
		/* Labels that would touch stand below each other. */
		level = x - last < 26 ? level + 1 : 0;
		last = x;
		const y = 50 + 12 * level;
		svg.append(make("line", { x1: x, x2: x, y1: 12, y2: y, class: "mark" }),
			make("text", { x: Math.min(x + 2.5, 978), y: y + 1, class: "mark" }, name));
	}
}

/* --- machine frames --- */

/* Memory is paler: most where nothing counts it, less where one mapping does. */
function frameAlpha(value) {
	const type = value % FRAME_STEP, count = Math.floor(value / FRAME_STEP);
	if (count >= 2 || type < 2 || type > 3)
		return 1;
	return count === 1 ? 0.75 : 0.4;
}

/*
 * Draw a square for each machine frame: its colour is that of its type in the legend; it is framed
 * if it changed. Result: how many changed.
 */
function drawFrames(canvas, state, before, names) {
	const rows = Object.keys(state.frames).length, ratio = 2, changed = [];
	const ink = canvas.getContext("2d"), legend = canvas.parentNode;
	const colours = names.frame_types.map((_, i) => getComputedStyle(
		legend.querySelector(".key.frame-" + i)).backgroundColor);
	canvas.width = FRAME_COLUMNS * FRAME_SIZE * ratio;
	canvas.height = Math.ceil(rows * FRAME_ROW / FRAME_COLUMNS) * FRAME_SIZE * ratio;
	ink.scale(ratio, ratio);
	for (let row = 0; row < rows; row++) {
		const values = state.frames[row], old = before ? before.frames[row] : values;
		values.forEach((value, i) => {
			const mfn = row * FRAME_ROW + i, x = mfn % FRAME_COLUMNS * FRAME_SIZE;
			const y = Math.floor(mfn / FRAME_COLUMNS) * FRAME_SIZE;
			ink.globalAlpha = frameAlpha(value);
			ink.fillStyle = colours[value % FRAME_STEP];
			ink.fillRect(x, y, FRAME_SIZE - 1, FRAME_SIZE - 1);
			if (value !== old[i])
				changed.push([x, y]);
		});
	}
	ink.globalAlpha = 1;
	ink.strokeStyle = getComputedStyle(canvas).color;
	ink.lineWidth = 1.5;
	changed.forEach(([x, y]) => ink.strokeRect(x - 1, y - 1, FRAME_SIZE + 1, FRAME_SIZE + 1));
	return changed.length;
}

/* What stands below a point of the picture, in words. */
function frameUnder(canvas, event, state, names) {
	const box = canvas.getBoundingClientRect(), size = box.width / FRAME_COLUMNS;
	const column = Math.floor((event.clientX - box.left) / size);
	const mfn = Math.floor((event.clientY - box.top) / size) * FRAME_COLUMNS + column;
	const row = state.frames[Math.floor(mfn / FRAME_ROW)];
	const value = row ? row[mfn % FRAME_ROW] : undefined;
	return value === undefined ? "" : "frame " + hex(mfn, 4) + ": " +
		names.frame_types[value % FRAME_STEP] + ", count " + Math.floor(value / FRAME_STEP);
}

/* --- the source --- */

function drawSource(panel, trace, state) {
	const place = trace.places[state.regs.eip], list = panel.querySelector("ol");
	const note = panel.querySelector(".note"), code = panel.querySelector(".instruction");
	list.textContent = "";
	note.textContent = !place || !place.file ? "no source" :
		place.file + ":" + place.line + " in " + place.function +
		(place.within === place.function ? "" : ", within " + place.within);
	code.textContent = hex(state.regs.eip) + "  " + (place && place.code || "");
	const lines = place && trace.sources[place.file] || {};
	for (const n of Object.keys(lines).map(Number).filter(n => Math.abs(n - place.line) <= 7)) {
		const current = n === place.line ? { "aria-current": "step" } : {};
		list.append(make("li", Object.assign({ value: n }, current), lines[n] || " "));
	}
}
