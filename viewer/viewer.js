/* SPDX-License-Identifier: MIT */
/*
 * Shows a recording of a machine, one step at a time. showTrace(element, trace, reference) fills
 * the element and returns { steps, go(n) }. reference is another recording, or null. With one,
 * each step is compared with the step of the same place there: differences are marked, and the
 * first step with a difference is shown first. If there is none, but the recording ended before its
 * time, its last step is shown first. A page's address may name a step: #step=7.
 *
 * The parts take states as plain data (recording.js), so another page can use them alone, after it
 * has set `layout`: storyOf(), makeFigure() and drawFigure(), makePanel() and drawTable(),
 * drawChanges(), drawSpace(), drawFrames().
 */
"use strict";

const MANY_STEPS = 300, LINK_MS = 300;

/* The phase of a step, in words. */
const phaseName = (step, trace) => step.phase < 0 ? "before" :
	step.undoing ? "roll-back" : trace.phases[step.phase];

/* Where a step stands, in words. */
function placeOf(step, trace) {
	if (step.phase < 0)
		return step.direction + ", before the first phase";
	return step.direction + ", " + phaseName(step, trace) + ", in " +
		functionOf(step, trace) + "()" +
		(step.end ? "; the recording ends here: " + step.end : "");
}

/* The buttons of the phases, in a row for each direction. Result: a button for each of starts. */
function makeChips(rows, steps, starts, trace, go) {
	return starts.map(i => {
		const s = steps[i], chip = make("button", { type: "button" }, phaseName(s, trace));
		if (i === 0 || s.direction !== steps[i - 1].direction)
			rows.append(make("div", { role: "group", "aria-label": s.direction },
				make("span", { class: "direction" }, s.direction)));
		chip.addEventListener("click", () => go(i));
		rows.lastChild.append(chip);
		return chip;
	});
}

function drawStory(find, step, trace) {
	const story = storyOf(step, trace.phases), name = functionOf(step, trace);
	const put = (selector, title, text) => find(selector).replaceChildren(
		...(text ? [make("b", {}, title), " " + text] : []));
	const direction = step.direction.replace(/^./, c => c.toUpperCase());
	find(".story h2").textContent = step.phase < 0 ? "Before the " + step.direction :
		step.undoing ? "Roll-back of the " + step.direction :
		direction + ", phase " + (step.phase + 1) + " of " + trace.phases.length + ": " +
		phaseName(step, trace);
	if (find(".does").textContent !== story.does)
		find(".does").textContent = story.does;
	put(".why", "Why?", story.why);
	put(".without", "Without it?", story.without);
	put(".function", step.phase < 0 ? "" : "This step:", step.phase < 0 ? "" : name + "()" +
		(FUNCTIONS[name] ? ", " + FUNCTIONS[name] + "." : "."));
}

/*
 * How many frames there are of each type. changed: of how many the type or the count changed.
 * Result: the changes.
 */
function drawLegend(list, step, trace, changed) {
	const counts = frameCounts(step.state, trace);
	const old = step.before ? frameCounts(step.before, trace) : counts;
	const cell = i => make("b", {
		"data-cell": "frames/" + i, class: counts[i] !== old[i] ? "changed" : "",
	}, String(counts[i]));
	list.replaceChildren(...trace.frame_types.map((name, i) => make("li", {},
		make("span", { class: "key frame-" + i }), name + " ", cell(i))));
	const texts = trace.frame_types.flatMap((name, i) => counts[i] === old[i] ? [] :
		"Frames of type \u201c" + name + "\u201d: " + old[i] + " \u2192 " + counts[i]);
	if (changed && !texts.length)
		texts.push("Machine frames: " + changed + " with another count");
	return texts.map(text => ({ group: "memory", text }));
}

function drawBadges(list, step, trace) {
	const s = step.state;
	list.replaceChildren(
		badge("direction", step.direction), badge("phase", phaseName(step, trace)),
		...(s.domain === undefined ? [] : [badge("domain", domainName(s.domain))]),
		badge("ring", s.ring, "ring-" + s.ring), badge("running", where(s.regs.eip)),
		badge("mode", s.mode, "mode-" + s.mode), badge("VO in use", s.vo, "mode-" + s.vo),
		badge("instructions so far", s.instructions.toLocaleString("en")));
}

/* The number of the step that the page's address names, or -1. */
function stepInAddress(steps) {
	const found = location.hash.match(/^#step=(\d+)$/);
	return found ? Math.max(1, Math.min(steps.length, Number(found[1]))) - 1 : -1;
}

function showTrace(element, trace, reference) {
	const steps = stepsOf(trace), starts = phaseStarts(steps), last = steps.length - 1;
	const find = selector => element.querySelector(selector);
	const aligned = reference ? align(steps, reference) : steps.map(() => null);
	/* A page inside of another has no address of its own. */
	const addressed = location.protocol !== "about:";
	let at = 0, linking = 0;
	layout = trace.layout;
	element.classList.add("trace");
	element.innerHTML = SKELETON;
	find("h1").textContent = trace.title;
	if (trace.story) {
		find(".intro p").textContent = ABOUT[trace.story] + FROM_OUTSIDE;
		element.querySelectorAll(".of-switches").forEach(e => e.remove());
	} else {
		element.querySelectorAll(".of-domains").forEach(e => e.remove());
	}
	const tables = TABLES.filter(table => !table.needs || table.needs in steps[0].state);
	find(".words dl").append(...WORDS.flatMap(
		([word, text]) => [make("dt", {}, word), make("dd", {}, text)]));
	const slider = find("input"), strips = find(".more svg"), canvas = find("canvas");
	slider.max = last;
	slider.id = element.id + "-slider";
	find(".strips label").htmlFor = slider.id;
	const figure = makeFigure();
	find(".picture h2").after(figure);
	const panels = tables.map(table => {
		const panel = makePanel(table);
		find(".tables").children[table.column].append(panel);
		return panel;
	});
	const chips = makeChips(find(".phases"), steps, starts, trace, visit);
	const player = makePlayer(() => at < last && (go(at + 1), true), steps.length > MANY_STEPS);
	find(".player").append(...player.elements);
	trace.kinds.forEach((name, i) => find(".kinds").append(
		make("span", { class: "key kind-" + i }), name));
	find(".kinds").append(make("span", { class: "key read-only" }), KEY_HINT);
	drawTimeline(strips, steps, starts);
	const cursor = make("rect", { y: -2, height: 76, class: "cursor" });
	strips.append(cursor);

	function drawDifferences() {
		const items = [...element.querySelectorAll("td.differs")].map(describeDifference);
		find(".differences ul").replaceChildren(...shorten(items));
		find(".differences").hidden = items.length === 0;
	}

	/* The slider, the cursor over the timeline, the phase's button, status line and link. */
	function drawPosition(step) {
		const width = Math.max(3, 1000 / steps.length), place = placeOf(step, trace);
		const chip = starts.filter(i => i <= at).length - 1;
		slider.value = at;
		slider.setAttribute("aria-valuetext",
			"step " + (at + 1) + ", " + place + ", ring " + step.state.ring);
		cursor.setAttribute("width", width);
		cursor.setAttribute("x", (at + 0.5) / steps.length * 1000 - width / 2);
		chips.forEach((c, i) => i === chip ? c.setAttribute("aria-current", "step") :
			c.removeAttribute("aria-current"));
		find(".status").textContent =
			"step " + (at + 1) + " of " + steps.length + ": " + place;
		find(".link").hidden = !addressed;
		find(".link").href = "#step=" + (at + 1);
	}

	function go(n) {
		at = Math.max(0, Math.min(last, n));
		const step = steps[at], { state, before } = step;
		const changes = tables.flatMap((table, i) => drawTable(table, panels[i], state,
			before, aligned[at], trace));
		const changed = changedFrames(state, before);
		drawStory(find, step, trace);
		drawChanges(find(".changes div"),
			drawLegend(find(".legend"), step, trace, changed).concat(changes),
			before ? "nothing that is shown here" : "the state before the first phase");
		drawBadges(find(".badges"), step, trace);
		drawFigure(figure, state, before);
		drawFrames(canvas, state, before, trace);
		find(".frames .note").textContent =
			Object.keys(state.frames).length * FRAME_ROW +
			" frames of 4 KiB, row by row" +
			(changed ? "; framed: " + changed + " changed" : "");
		drawSource(find(".source"), trace, step);
		drawSpace(find(".space"), state, trace);
		drawDifferences();
		drawPosition(step);
	}

	/* Go to a step because the reader wants it; soon the page's address names it, too. */
	function visit(n) {
		player.stop();
		go(n);
		clearTimeout(linking);
		if (addressed)
			linking = setTimeout(
				() => history.replaceState(null, "", find(".link").href), LINK_MS);
	}

	const differing = steps.findIndex(
		(s, i) => aligned[i] && differs(s.state, aligned[i], trace));
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
		const key = event.key.toLowerCase().replace("arrow", ""), move = moves[key];
		const ours = event.target === document.body || element.contains(event.target);
		const busy = event.target.closest("select, .scrolls") ||
			(key === " " && event.target.closest("button, summary, a"));
		if (!ours || busy || event.ctrlKey || event.altKey || event.metaKey)
			return;
		if (move || key === " ")
			event.preventDefault();
		if (move)
			visit(move());
		else if (key === " ")
			player.toggle();
	});
	element.querySelectorAll("[data-go]").forEach(
		b => b.addEventListener("click", () => visit(moves[b.dataset.go]())));
	slider.addEventListener("input", () => visit(Number(slider.value)));
	strips.addEventListener("click", event => {
		const box = strips.getBoundingClientRect();
		visit(Math.floor((event.clientX - box.left) / box.width * steps.length));
	});
	canvas.addEventListener("mousemove", event => {
		find(".under").textContent = frameUnder(canvas, event, steps[at].state, trace);
	});
	addEventListener("hashchange", () => {
		if (stepInAddress(steps) >= 0)
			visit(stepInAddress(steps));
	});
	/* The frames are painted in the theme's colours: anew for another one, and for paper. */
	const system = matchMedia("(prefers-color-scheme: dark)");
	find(".theme").addEventListener("click", () => {
		const data = document.documentElement.dataset;
		const theme = data.theme || (system.matches ? "dark" : "light");
		data.theme = theme === "dark" ? "light" : "dark";
		go(at);
	});
	for (const look of [system, matchMedia("print")])
		look.addEventListener("change", () => go(at));
	go(Math.max(difference, stepInAddress(steps), 0));
	return { steps, go };
}
