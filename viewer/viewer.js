/* SPDX-License-Identifier: MIT */
/*
 * Shows a recording of a machine, one step at a time. showTrace(element, trace, reference) fills
 * the element and returns { states, go(n) }. reference is another recording, or null. With one,
 * each step is compared with the step of the same place there: differences are marked, and the
 * first step with a difference is shown first. If there is none, but the recording ended before its
 * time, its last step is shown first.
 *
 * A recording ("format": 1) is an object:
 *   title, machine (how it was started), memory (MiB)
 *   layout       addresses where parts of the address space begin: kernel, devices, vmm
 *   event_bits   bit numbers in events.pending: timer, resched, halt, switch; below: ISA lines
 *   phases       names of the switch's phases
 *   kinds        names of kinds of pages, for `map`
 *   frame_types  names of types of machine frames, for `frames`
 *   end          why it ended before its time, if it did
 *   steps        states of the machine, each as a JSON merge patch (RFC 7396) against the state
 *                before; the first against {}
 *   places       code address -> { file, line, function, within (the function into which the
 *                compiler put it), code }
 *   sources      file -> line number -> text; only lines near a place
 *
 * A state, all numbers unsigned 32-bit integers:
 *   direction    "attach" or "detach"
 *   phase        index;  stop: the function that begins here, if the recording stopped for it
 *   instructions executed since the first step of this direction
 *   ring         CPL
 *   mode         "native" or "virtual", by where the GDT lies
 *   vo           "native", "virtual", or "exchanging"
 *   regs         eax ... ebp, esp, eip, eflags, cr0, cr2, cr3, cr4
 *   segments     selectors of cs ... gs, tr, ldtr
 *   gdtr, idtr   [base, limit]
 *   gdt, idt     index -> [low word, high word]; entries that are 0 are left out
 *   tss          base, ss0, esp0, ss1, esp1, link, iomap
 *   events       of the shared page: vif, pending, address, exits (reason -> count)
 *   saved        trap frames of interrupted kernel code: [address, eip, cs, eflags], the latest
 *                first
 *   map          mapped pages in runs that are alike: [first page, pages, flags (2 writable,
 *                4 user), kind]
 *   frames       row -> 64 numbers, one for each machine frame: type + 8 * count
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

/*
 * The reference's step for each of our steps that is a stop: the same stop of the same phase, or
 * else the first step of that phase.
 */
function align(states, reference) {
	const first = new Map();
	for (const r of reference)
		for (const key of [r.direction + r.phase, r.direction + r.phase + r.stop])
			if (!first.has(key))
				first.set(key, r);
	return states.map(s => {
		const phase = s.direction + s.phase;
		return s.stop && (first.get(phase + s.stop) || first.get(phase)) || null;
	});
}

/* The steps that begin a phase. */
function phaseStarts(states) {
	const begins = (s, before) => !before || s.phase !== before.phase ||
		s.direction !== before.direction;
	return states.map((s, i) => i).filter(i => begins(states[i], states[i - 1]));
}

/* --- the viewer --- */

const SKELETON = `
<header><h1></h1><button type="button" class="theme">Dark or light</button></header>
<section class="timeline" aria-label="Timeline">
	<div class="phases"></div>
	<div class="strips">
		<div class="labels" aria-hidden="true">
			<span>phase</span><span>ring</span><span>GDT, IDT, TSS</span><span>VO</span>
		</div>
		<svg viewBox="0 0 1000 72" preserveAspectRatio="none" role="img"
			aria-label="Phase, ring, descriptor tables and VO over time"></svg>
	</div>
	<div class="strips">
		<label>step</label><input type="range" min="0" step="1" value="0">
	</div>
	<div class="controls">
		<button type="button" data-go="home"
			aria-label="First step (Home)">|\u2039 first</button>
		<button type="button" data-go="pageup"
			aria-label="Phase before (Page Up)">\u00ab phase</button>
		<button type="button" data-go="left"
			aria-label="Step back (Left)">\u2039 back</button>
		<button type="button" data-go="right"
			aria-label="Step forward (Right)">forward \u203a</button>
		<button type="button" data-go="pagedown"
			aria-label="Next phase (Page Down)">phase \u00bb</button>
		<button type="button" data-go="end"
			aria-label="Last step (End)">last \u203a|</button>
		<button type="button" data-go="difference" hidden>first difference</button>
		<p class="status" role="status"></p>
	</div>
	<p class="hint">
		Keys: <kbd>\u2190</kbd> <kbd>\u2192</kbd> step,
		<kbd>Page Up</kbd> <kbd>Page Down</kbd> phase, <kbd>Home</kbd> <kbd>End</kbd>.
		<span class="changed">Marked</span>: changed since the step before.
		<span class="with-reference" hidden>
			<span class="differs">Outlined</span>: not as in the reference.
		</span>
	</p>
</section>
<section class="now" aria-label="This step">
	<dl></dl>
	<div>
		<div class="differences" hidden><h2>Not as in the reference</h2><ul></ul></div>
		<div class="changes"><h2>Changes</h2><ul></ul></div>
	</div>
</section>
<section class="panel wide">
	<h2>Address space</h2>
	<svg class="space" viewBox="0 0 1000 90" role="img"
		aria-label="What is mapped where, and where the CPU's tables lie"></svg>
	<div class="kinds"></div>
</section>
<main>
	<div>
		<section class="panel source">
			<h2>Source</h2><p class="note"></p><ol></ol><pre class="instruction"></pre>
		</section>
		<section class="panel frames">
			<h2>Machine frames</h2><p class="note"></p>
			<canvas role="img" aria-label="Type of each machine frame"></canvas>
			<ul class="legend"></ul><p class="under" aria-hidden="true">\u00a0</p>
		</section>
	</div>
	<div></div>
	<div></div>
</main>`;

const KEY_HINT = "read-only; EIP, ESP: the CPU; GDT, IDT, TSS: its tables";

function showTrace(element, trace, reference) {
	const states = statesOf(trace), starts = phaseStarts(states);
	const find = selector => element.querySelector(selector);
	const aligned = reference ? align(states, statesOf(reference)) : states.map(() => null);
	const last = states.length - 1;
	let at = 0;
	layout = trace.layout;
	element.classList.add("trace");
	element.innerHTML = SKELETON;
	find("h1").textContent = trace.title;
	const slider = find("input"), strips = find(".strips svg"), canvas = find("canvas");
	slider.max = last;
	slider.id = element.id + "-slider";
	find(".strips label").htmlFor = slider.id;
	const panels = TABLES.map(table => {
		const panel = makePanel(table);
		find("main").children[table.column].append(panel);
		return panel;
	});
	const chips = starts.map(i => {
		const s = states[i], kind = "phase phase-" + s.phase;
		const chip = make("button", { type: "button", class: kind }, trace.phases[s.phase]);
		if (i === 0 || s.direction !== states[i - 1].direction)
			find(".phases").append(make("div", {},
				make("span", { class: "direction" }, s.direction)));
		chip.addEventListener("click", () => go(i));
		find(".phases").lastChild.append(chip);
		return chip;
	});
	trace.kinds.forEach((name, i) => find(".kinds").append(
		make("span", { class: "key kind-" + i }), name));
	find(".kinds").append(make("span", { class: "key read-only" }), KEY_HINT);
	drawTimeline(strips, states, starts);
	const cursor = make("rect", { y: -2, height: 76, class: "cursor" });
	strips.append(cursor);

	function drawDifferences() {
		const items = [...element.querySelectorAll("td.differs")].map(describeDifference);
		find(".differences ul").replaceChildren(...shorten(items));
		find(".differences").hidden = items.length === 0;
	}

	function drawNow(s, changes) {
		const none = make("li", { class: "quiet" }, at ? "none" : "this is the first step");
		find("dl").replaceChildren(
			badge("direction", s.direction), badge("phase", trace.phases[s.phase]),
			badge("ring", s.ring, "ring-" + s.ring),
			badge("running", where(s.regs.eip)),
			badge("mode", s.mode, "mode-" + s.mode),
			badge("VO in use", s.vo, "mode-" + s.vo),
			badge("instructions", s.instructions.toLocaleString("en")));
		find(".changes ul").replaceChildren(
			...(changes.length ? shorten(changes) : [none]));
	}

	/* Result: the changes of the counts, in words. */
	function drawLegend(s) {
		const counts = frameCounts(s, trace);
		const old = at ? frameCounts(states[at - 1], trace) : counts;
		const cell = i => make("b", {
			"data-cell": "frames/" + i, class: counts[i] !== old[i] ? "changed" : "",
		}, String(counts[i]));
		find(".legend").replaceChildren(...trace.frame_types.map((name, i) => make("li", {},
			make("span", { class: "key frame-" + i }), name + " ", cell(i))));
		const signed = d => (d > 0 ? "+" : "\u2212") + Math.abs(d);
		const changes = counts.map((n, i) => [n - old[i], trace.frame_types[i]]);
		return changes.filter(([d]) => d).map(
			([d, name]) => "Frames: " + signed(d) + " " + name);
	}

	/* The slider, the cursor over the timeline, the chip of the phase, and the status line. */
	function drawPosition(s) {
		const width = Math.max(3, 1000 / states.length), phase = trace.phases[s.phase];
		const chip = starts.filter(i => i <= at).length - 1;
		slider.value = at;
		slider.setAttribute("aria-valuetext",
			["step " + (at + 1), s.direction, phase, "ring " + s.ring].join(", "));
		cursor.setAttribute("width", width);
		cursor.setAttribute("x", (at + 0.5) / states.length * 1000 - width / 2);
		chips.forEach((c, i) => i === chip ? c.setAttribute("aria-current", "step") :
			c.removeAttribute("aria-current"));
		find(".status").textContent = "step " + (at + 1) + " of " + states.length + ": " +
			s.direction + ", " + phase + (s.stop ? ", at " + s.stop + "()" : "") +
			(trace.end && at === last ? "; the recording ends here: " + trace.end : "");
	}

	function go(n) {
		at = Math.max(0, Math.min(last, n));
		const s = states[at], before = at ? states[at - 1] : null;
		const changes = TABLES.map((table, i) => drawTable(table, panels[i], s, before,
			aligned[at], trace)).flat();
		const minor = change => change.startsWith("Registers E"); /* they stand last */
		drawNow(s, drawLegend(s).concat(changes.filter(c => !minor(c)),
			changes.filter(minor)));
		const changed = drawFrames(canvas, s, before, trace);
		find(".frames .note").textContent =
			Object.keys(s.frames).length * FRAME_ROW + " frames of 4 KiB, row by row" +
			(changed ? "; framed: " + changed + " changed" : "");
		drawSource(find(".source"), trace, s);
		drawSpace(find(".space"), s, trace);
		drawDifferences();
		drawPosition(s);
	}

	const differing = states.findIndex((s, i) => aligned[i] && differs(s, aligned[i], trace));
	const difference = differing < 0 && reference && trace.end ? last : differing;
	find("[data-go=difference]").hidden = difference < 0;
	find(".with-reference").hidden = !reference;
	const moves = {
		home: () => 0, end: () => last, left: () => at - 1, right: () => at + 1,
		pageup: () => starts.filter(i => i < at).pop() || 0,
		pagedown: () => starts.find(i => i > at) || last,
		difference: () => difference,
	};
	document.addEventListener("keydown", event => {
		const move = moves[event.key.toLowerCase().replace("arrow", "")];
		const ours = event.target === document.body || element.contains(event.target);
		if (!move || !ours || event.ctrlKey || event.altKey || event.metaKey)
			return;
		event.preventDefault();
		go(move());
	});
	element.querySelectorAll("[data-go]").forEach(
		b => b.addEventListener("click", () => go(moves[b.dataset.go]())));
	slider.addEventListener("input", () => go(Number(slider.value)));
	strips.addEventListener("click", event => {
		const box = strips.getBoundingClientRect();
		go(Math.floor((event.clientX - box.left) / box.width * states.length));
	});
	canvas.addEventListener("mousemove", event => {
		find(".under").textContent = frameUnder(canvas, event, states[at], trace);
	});
	/* The frames are painted with the theme's colours: a new theme needs a new picture. */
	const system = matchMedia("(prefers-color-scheme: dark)");
	find(".theme").addEventListener("click", () => {
		const data = document.documentElement.dataset;
		const theme = data.theme || (system.matches ? "dark" : "light");
		data.theme = theme === "dark" ? "light" : "dark";
		go(at);
	});
	system.addEventListener("change", () => go(at));
	go(Math.max(difference, 0));
	return { states, go };
}
