/* SPDX-License-Identifier: MIT */
/*
 * The panels that show a state of the machine, made of the trace page's parts. A step (session.js)
 * is shown with its story and its changes. Of a running machine each refresh is shown; what is
 * marked then differs from the state before the last change of the mode.
 */
"use strict";

const TASKS = {
	id: "tasks", column: 2, title: "Processes", group: "memory",
	head: ["PID", "parent", "state", "name", "kind"], same: [],
	rows: s => s.tasks.map(([pid, parent, state, name, program]) =>
		[pid, parent, state, name, program ? "program" : "kernel task"]),
};
const SPACE_NOTE = "what segments and pages allow; v86 does not enforce segment limits";

/* All but what only a recording of a guest's request has. */
const PANELS = [...TABLES.filter(table => table.id !== "channel").map(table =>
	table.id === "space" ? Object.assign({}, table, { note: () => SPACE_NOTE }) : table),
	TASKS];

class Panels {
	constructor(main, trace) {
		this.find = selector => main.querySelector(selector);
		this.trace = trace;
		this.figure = makeFigure();
		this.find(".picture h2").after(this.figure);
		this.tables = PANELS.map(table => {
			const panel = makePanel(table);
			this.find(".tables").children[table.column].append(panel);
			return panel;
		});
		trace.kinds.forEach((name, i) => this.find(".kinds").append(
			make("span", { class: "key kind-" + i }), name));
		this.find(".kinds").append(make("span", { class: "key read-only" }), KEY_HINT);
		this.find(".legend").append(...trace.frame_types.map((_, i) => make("li", {},
			make("span", { class: "key frame-" + i }))));
		this.find("canvas[aria-label]").addEventListener("mousemove", event => {
			this.find(".under").textContent = this.step ?
				frameUnder(event.target, event, this.step.state, trace) : "";
		});
	}

	/* Draw a step. Result: its changes. */
	drawState(step) {
		const { find, trace } = this, { state, before } = step;
		this.step = step;
		const changes = PANELS.flatMap((table, i) =>
			drawTable(table, this.tables[i], state, before, null, trace));
		const changed = changedFrames(state, before);
		const inFrames = drawLegend(find(".legend"), step, trace, changed);
		drawFigure(this.figure, state, before);
		drawSpace(find(".space"), state, trace);
		drawFrames(find(".frames canvas"), state, before, trace);
		find(".frames .note").textContent = Object.keys(state.frames).length * FRAME_ROW +
			" frames of 4 KiB, row by row" +
			(changed ? "; framed: " + changed + " changed" : "");
		drawSource(find(".source"), trace, step);
		return inFrames.concat(changes);
	}

	drawNow(step, switches, phase) {
		const s = step.state;
		this.find(".badges").replaceChildren(
			badge("mode", s.mode, "mode-" + s.mode),
			badge("ring", s.ring, "ring-" + s.ring),
			badge("VO in use", s.vo, "mode-" + s.vo),
			badge("running", where(s.regs.eip)),
			badge("phase", phase), badge("switches so far", switches));
	}

	/* A step of a stopped machine. */
	drawStopped(step, switches) {
		const { find, trace } = this, telling = step.phase >= 0 || step.way;
		const changes = this.drawState(step);
		this.drawNow(step, switches, telling ? phaseName(step, trace) : "-");
		if (telling)
			drawStory(find, step, trace);
		else
			this.tell("The machine is stopped", "The CPU is in the " +
				where(step.state.regs.eip) + ", in ring " + step.state.ring + ".");
		find(".changes").hidden = false;
		drawChanges(find(".changes div"), changes,
			step.before ? "nothing that is shown here" : "the steps begin here");
	}

	/* A running machine. before: the state that the marks compare with, or null. */
	drawRunning(state, before, switches, ended) {
		const step = { state, before, eip: state.regs.eip };
		this.drawState(step);
		this.drawNow(step, switches, "-");
		const does = state.mode === "virtual" ?
			"The VMM is beneath the kernel: the kernel runs in ring 1, and the CPU " +
			"uses the VMM's tables." :
			"The kernel owns the machine and runs in ring 0. The VMM lies in memory " +
			"and sleeps.";
		if (ended)
			this.tell("The machine has ended its run", "This is its last state.");
		else
			this.tell("The machine runs", does + (before ?
				" Marked is what differs from before the last switch." : ""));
		this.find(".changes").hidden = true;
	}

	tell(title, text) {
		this.find(".story h2").textContent = title;
		if (this.find(".does").textContent !== text)
			this.find(".does").textContent = text;
		for (const other of [".why", ".without", ".function"])
			this.find(other).textContent = "";
	}
}
