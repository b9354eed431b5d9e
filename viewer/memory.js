/* SPDX-License-Identifier: MIT */
/* What is drawn anew for each state: the address space, the machine frames, the source. */
"use strict";

const FRAME_ROW = 64;                      /* frames in a row of a state */
const FRAME_COLUMNS = 128, FRAME_SIZE = 6; /* of the picture; FRAME_SIZE in CSS pixels */

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

/* A row before the step. A machine that still boots has no frame table. */
function framesBefore(state, before, row) {
	return before && before.frames[row] || state.frames[row];
}

/*
 * Draw a square for each machine frame: its colour is that of its type in the legend; it is framed
 * if it changed.
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
		const values = state.frames[row], old = framesBefore(state, before, row);
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
}

/* Of how many frames the type or the count changed. */
function changedFrames(state, before) {
	return Object.keys(state.frames).reduce((sum, row) => {
		const old = framesBefore(state, before, row);
		return sum + state.frames[row].filter((value, i) => value !== old[i]).length;
	}, 0);
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

const CONTEXT = 7; /* lines above and below */

/*
 * The numbers of the lines to show around a line: CONTEXT on each side, and all of a comment that
 * begins or ends outside of these.
 */
function excerptOf(lines, line) {
	let first = line - CONTEXT, last = line + CONTEXT;
	const inComment = n => /^\s*(\/\*|\*)/.test(lines[n] || "");
	const begins = n => /^\s*\/\*/.test(lines[n] || "");
	while (inComment(first) && !begins(first) && lines[first - 1] !== undefined)
		first--;
	while (inComment(last + 1) && !begins(last + 1))
		last++;
	return Object.keys(lines).map(Number).filter(n => n >= first && n <= last);
}

/* The lines around the place where a step began; sources.c has put whole comments there. */
function drawSource(panel, trace, step) {
	const place = trace.places[step.eip], list = panel.querySelector("ol");
	const note = panel.querySelector(".note"), code = panel.querySelector(".instruction");
	list.textContent = "";
	note.textContent = where(step.eip) === "program" ? "a program, whose source is not here" :
		!place || !place.file ? "no source" :
		place.file + ":" + place.line + " in " + place.function +
		(place.within === place.function ? "" : ", within " + place.within);
	code.textContent = hex(step.eip) + "  " + (step.code || place && place.code || "");
	const lines = place && trace.sources[place.file] || {};
	for (const n of excerptOf(lines, place ? place.line : 0)) {
		const current = n === place.line ? { "aria-current": "step" } : {};
		list.append(make("li", Object.assign({ value: n }, current), lines[n] || " "));
	}
}
