/* SPDX-License-Identifier: MIT */
/*
 * Shows a recording of a machine, one step at a time: showTrace(element, trace, reference) fills the element and returns
 * { states, go(n) }. With a reference (another recording, or null), what differs from its step of the same place is marked,
 * and the first such step is shown first; of a recording that ended before its time and differs nowhere, the last one.
 *
 * A recording ("format": 1) is an object:
 *   title, machine (how it was started), memory (MiB)
 *   phases       names of the switch's phases
 *   kinds        names of kinds of pages, for `map`
 *   frame_types  names of types of machine frames, for `frames`
 *   end          why it ended before its time, if it did
 *   steps        states of the machine, each as a JSON merge patch (RFC 7396) against the one before; the first against {}
 *   places       code address -> { file, line, function, within (the function that the compiler put it into), code }
 *   sources      file -> line number -> text; only lines near a place
 *
 * A state, all numbers unsigned 32-bit integers:
 *   direction    "attach" or "detach"
 *   phase        index; stop: the function that begins here, if the recording stopped for that
 *   instructions executed since the first step of this direction
 *   ring         CPL;  mode: "native" or "virtual", by where the GDT lies;  vo: "native", "virtual", or "exchanging"
 *   regs         eax ... ebp, esp, eip, eflags, cr0, cr2, cr3, cr4;  segments: selectors of cs ... gs, tr, ldtr
 *   gdtr, idtr   [base, limit];  gdt, idt: index -> [low word, high word], entries that are 0 left out
 *   tss          base, ss0, esp0, ss1, esp1, link, iomap
 *   events       of the shared page: vif, pending, address, exits (reason -> count)
 *   saved        frames of interrupted kernel code: [address, eip, cs, eflags], the latest first
 *   map          mapped pages in runs that are alike: [first page, pages, flags (2 writable, 4 user), kind]
 *   frames       row -> 64 numbers, one a machine frame: type + 8 * count
 */
"use strict";

function mergePatch(target, patch) {
	if (patch === null || typeof patch !== "object" || Array.isArray(patch))
		return patch;
	const result = Object.assign({}, target);
	for (const key of Object.keys(patch)) {
		if (patch[key] === null)
			delete result[key];
		else
			result[key] = mergePatch(result[key], patch[key]);
	}
	return result;
}

function statesOf(trace) {
	let state = {};
	return trace.steps.map(patch => (state = mergePatch(state, patch)));
}

/* The reference's step for each of ours that is a stop: the same stop there, or else the first step of that phase. */
function align(states, reference) {
	const first = new Map();
	for (const r of reference)
		for (const key of [r.direction + r.phase, r.direction + r.phase + r.stop])
			if (!first.has(key))
				first.set(key, r);
	return states.map(s => s.stop && (first.get(s.direction + s.phase + s.stop) || first.get(s.direction + s.phase)) || null);
}

/* Steps that begin a phase. */
function phaseStarts(states) {
	return states.map((s, i) => i).filter(i => i === 0 || states[i].phase !== states[i - 1].phase ||
		states[i].direction !== states[i - 1].direction);
}

/* --- the viewer --- */

const SKELETON = `
<header><h1></h1><button type="button" class="theme">Dark or light</button></header>
<section class="timeline" aria-label="Timeline">
	<div class="phases"></div>
	<div class="strips"><div class="labels" aria-hidden="true"><span>phase</span><span>ring</span><span>GDT, IDT, TSS</span><span>VO</span></div>
		<svg viewBox="0 0 1000 72" preserveAspectRatio="none" role="img" aria-label="Phase, ring, descriptor tables and VO over time"></svg></div>
	<div class="strips"><label>step</label><input type="range" min="0" step="1" value="0"></div>
	<div class="controls">
		<button type="button" data-go="home" aria-label="First step (Home)">|\u2039 first</button>
		<button type="button" data-go="pageup" aria-label="Phase before (Page Up)">\u00ab phase</button>
		<button type="button" data-go="left" aria-label="Step back (Left)">\u2039 back</button>
		<button type="button" data-go="right" aria-label="Step forward (Right)">forward \u203a</button>
		<button type="button" data-go="pagedown" aria-label="Next phase (Page Down)">phase \u00bb</button>
		<button type="button" data-go="end" aria-label="Last step (End)">last \u203a|</button>
		<button type="button" data-go="difference" hidden>first difference</button>
		<p class="status" role="status"></p>
	</div>
	<p class="hint">Keys: <kbd>\u2190</kbd> <kbd>\u2192</kbd> step, <kbd>Page Up</kbd> <kbd>Page Down</kbd> phase, <kbd>Home</kbd> <kbd>End</kbd>.
		<span class="changed">Marked</span>: changed since the step before.
		<span class="with-reference" hidden><span class="differs">Outlined</span>: not as in the reference.</span></p>
</section>
<section class="now" aria-label="This step"><dl></dl><div>
	<div class="differences" hidden><h2>Not as in the reference</h2><ul></ul></div>
	<div class="changes"><h2>Changes</h2><ul></ul></div></div></section>
<section class="panel wide"><h2>Address space</h2>
	<svg class="space" viewBox="0 0 1000 90" role="img" aria-label="What is mapped where, and where the CPU's tables lie"></svg><div class="kinds"></div></section>
<main>
	<div><section class="panel source"><h2>Source</h2><p class="note"></p><ol></ol><pre class="instruction"></pre></section>
		<section class="panel frames"><h2>Machine frames</h2><p class="note"></p><canvas role="img" aria-label="Type of each machine frame"></canvas>
			<ul class="legend"></ul><p class="under" aria-hidden="true">\u00a0</p></section></div>
	<div></div>
	<div></div>
</main>`;

function showTrace(element, trace, reference) {
	const states = statesOf(trace), starts = phaseStarts(states), find = selector => element.querySelector(selector);
	const aligned = reference ? align(states, statesOf(reference)) : states.map(() => null);
	let at = 0;
	element.classList.add("trace");
	element.innerHTML = SKELETON;
	find("h1").textContent = trace.title;
	const slider = find("input"), strips = find(".strips svg"), main = find("main"), canvas = find("canvas");
	slider.max = states.length - 1;
	slider.id = element.id + "-slider";
	find(".strips label").htmlFor = slider.id;
	const panels = TABLES.map(table => {
		const panel = make("section", { class: "panel table-" + table.id }, make("h2", {}, table.title), make("p", { class: "note" }),
			make("table", {}, make("thead", {}, make("tr", {}, ...table.head.map(h => make("th", { scope: "col" }, h)))), make("tbody")));
		main.children[table.column].append(panel);
		return panel;
	});
	const chips = starts.map(i => {
		const s = states[i], chip = make("button", { type: "button", class: "phase phase-" + s.phase }, trace.phases[s.phase]);
		if (i === 0 || s.direction !== states[i - 1].direction)
			find(".phases").append(make("div", {}, make("span", { class: "direction" }, s.direction)));
		chip.addEventListener("click", () => go(i));
		find(".phases").lastChild.append(chip);
		return chip;
	});
	trace.kinds.forEach((name, i) => find(".kinds").append(make("span", { class: "key kind-" + i }), name));
	find(".kinds").append(make("span", { class: "key read-only" }), "read-only; EIP, ESP: the CPU; GDT, IDT, TSS: its tables");
	drawTimeline(strips, states, starts);
	const cursor = make("rect", { y: -2, height: 76, class: "cursor" });
	strips.append(cursor);

	const badge = (name, value, kind) => make("div", {}, make("dt", {}, name), make("dd", { "data-now": name, class: kind || "" }, String(value)));
	/* Of the marked cells, in words. */
	function drawDifferences() {
		const items = [...element.querySelectorAll("td.differs")].map(td => {
			const text = e => e ? e.textContent : "", table = td.closest("table"), reference = td.querySelector(".reference");
			return [text(td.closest("section").querySelector("h2")), text(td.parentNode.cells[0]), reference && text(table.tHead.rows[0].cells[td.cellIndex])]
				.filter(word => word).join(" ") + ": " + (reference ? (text(td.firstChild) || "nothing") + ", " : "") + text(td.lastChild);
		});
		find(".differences ul").replaceChildren(...shorten(items));
		find(".differences").hidden = items.length === 0;
	}

	const shorten = (items, most = 14) => items.slice(0, most).concat(items.length > most ? "and " + (items.length - most) + " more" : [])
		.map(item => make("li", {}, item));
	function drawNow(s, changes) {
		find("dl").replaceChildren(
			badge("direction", s.direction), badge("phase", trace.phases[s.phase]), badge("ring", s.ring, "ring-" + s.ring),
			badge("running", where(s.regs.eip)), badge("mode", s.mode, "mode-" + s.mode), badge("VO in use", s.vo, "mode-" + s.vo),
			badge("instructions", s.instructions.toLocaleString("en")));
		const items = shorten(changes);
		find(".changes ul").replaceChildren(...(items.length ? items : [make("li", { class: "quiet" }, at ? "none" : "this is the first step")]));
	}

	function drawLegend(s) {
		const counts = frameCounts(s, trace), old = at ? frameCounts(states[at - 1], trace) : counts;
		find(".legend").replaceChildren(...trace.frame_types.map((name, i) => make("li", {}, make("span", { class: "key frame-" + i }), name + " ",
			make("b", { "data-cell": "frames/" + i, class: counts[i] !== old[i] ? "changed" : "" }, String(counts[i])))));
		return counts.map((n, i) => [n - old[i], trace.frame_types[i]]).filter(([d]) => d).map(
			([d, name]) => "Frames: " + (d > 0 ? "+" : "\u2212") + Math.abs(d) + " " + name);
	}

	function go(n) {
		at = Math.max(0, Math.min(states.length - 1, n));
		const s = states[at], before = at ? states[at - 1] : null;
		let changes = TABLES.map((table, i) => drawTable(table, panels[i], s, before, aligned[at], trace)).flat();
		changes = drawLegend(s).concat(changes.filter(c => !c.startsWith("Registers E")), changes.filter(c => c.startsWith("Registers E")));
		const framesChanged = drawFrames(canvas, s, before, trace);
		find(".frames .note").textContent = Object.keys(s.frames).length * 64 + " frames of 4 KiB, row by row" +
			(framesChanged ? "; framed: " + framesChanged + " changed" : "");
		drawSource(find(".source"), trace, s);
		drawSpace(find(".space"), s, trace);
		drawNow(s, changes);
		drawDifferences();
		slider.value = at;
		slider.setAttribute("aria-valuetext", "step " + (at + 1) + ", " + s.direction + ", " + trace.phases[s.phase] + ", ring " + s.ring);
		const width = Math.max(3, 1000 / states.length);
		cursor.setAttribute("width", width);
		cursor.setAttribute("x", (at + 0.5) / states.length * 1000 - width / 2);
		const phase = starts.filter(i => i <= at).length - 1;
		chips.forEach((chip, i) => i === phase ? chip.setAttribute("aria-current", "step") : chip.removeAttribute("aria-current"));
		find(".status").textContent = "step " + (at + 1) + " of " + states.length + ": " + s.direction + ", " + trace.phases[s.phase] +
			(s.stop ? ", at " + s.stop + "()" : "") + (trace.end && at === states.length - 1 ? "; the recording ends here: " + trace.end : "");
	}

	const differing = states.findIndex((s, i) => aligned[i] && differs(s, aligned[i], trace));
	const difference = differing < 0 && reference && trace.end ? states.length - 1 : differing;
	find("[data-go=difference]").hidden = difference < 0;
	find(".with-reference").hidden = !reference;
	const moves = {
		home: () => 0, end: () => states.length - 1, left: () => at - 1, right: () => at + 1,
		pageup: () => starts.filter(i => i < at).pop() || 0, pagedown: () => starts.find(i => i > at) || states.length - 1,
		difference: () => difference,
	};
	document.addEventListener("keydown", event => {
		const move = moves[event.key.toLowerCase().replace("arrow", "")];
		if (!move || event.ctrlKey || event.altKey || event.metaKey || (event.target !== document.body && !element.contains(event.target)))
			return;
		event.preventDefault();
		go(move());
	});
	element.querySelectorAll("[data-go]").forEach(b => b.addEventListener("click", () => go(moves[b.dataset.go]())));
	slider.addEventListener("input", () => go(Number(slider.value)));
	strips.addEventListener("click", event => {
		const box = strips.getBoundingClientRect();
		go(Math.floor((event.clientX - box.left) / box.width * states.length));
	});
	canvas.addEventListener("mousemove", event => {
		const box = canvas.getBoundingClientRect(), columns = 128;
		const cell = box.width / columns, mfn = Math.floor((event.clientY - box.top) / cell) * columns + Math.floor((event.clientX - box.left) / cell);
		const row = states[at].frames[Math.floor(mfn / 64)], value = row ? row[mfn % 64] : undefined;
		find(".under").textContent = value === undefined ? "" : "frame " + hex(mfn, 4) + ": " + trace.frame_types[value % FRAME_STEP] +
			", count " + Math.floor(value / FRAME_STEP);
	});
	find(".theme").addEventListener("click", () => {
		const data = document.documentElement.dataset, system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
		data.theme = (data.theme || system) === "dark" ? "light" : "dark";
		go(at); /* the frames are painted with the theme's colours */
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => go(at));
	go(Math.max(difference, 0));
	return { states, go };
}
