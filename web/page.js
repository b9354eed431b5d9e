/* SPDX-License-Identifier: MIT */
/*
 * The page of `make web`: the machine with its terminal, buttons and links; the panels beside it;
 * the lessons. startPage(main) starts it; window.page is for the tests.
 */
"use strict";

/*
 * What is shown of a running machine costs at most this share of its time. What has been saved up
 * is spent: all above a reserve. The reserve is for switches, which are shown at once. The machine
 * waits then for as long as a screen takes to show it.
 */
const SHARE = 0.08, RESERVE_MS = 200, REFRESH_MS = 100, SHOW_MS = 35;
const COMMANDS = [["attach", "echo virtual > /proc/mode"], ["detach", "echo native > /proc/mode"],
	["ps", "ps"], ["work 5", "work 5"], ["/proc/switch", "cat /proc/switch"], ["help", "help"]];
const CHARACTER = 7.9, ROWS = 18; /* of the terminal: width in CSS pixels, lines */

/* A sentence for what a reader can do about a failure. */
const ADVICE = {
	memory: "This browser gives the page too little memory (about 200 MB are needed): close " +
		"other pages, and load this one again.",
	old: "This browser is too old for this page: it lacks %. Any current Firefox, Chromium " +
		"or Safari will do.",
	state: "The saved state of the machine is broken: the machine boots instead, which takes " +
		"some seconds. Download the page again.",
	emulator: "The emulator has met something that it cannot emulate (a return to a bad code " +
		"segment, for example), and has stopped. Boot again, below the terminal.",
	part: "A part of this page is broken (%): download it again.",
	lesson: "The address asks for lesson %, which is unknown: the lessons are 1 to " +
		LESSONS.length + ".",
	asks: "The address asks for “%”, which is unknown: known are lesson, cmdline and run.",
};

function missingFeature() {
	if (typeof WebAssembly !== "object")
		return "WebAssembly";
	return typeof DecompressionStream === "undefined" ? "DecompressionStream" : "";
}

/* A packed part of the page, or null if it has none of this name. */
async function unpack(name) {
	const element = document.getElementById("part-" + name);
	if (!element)
		return null;
	try {
		const bytes = Uint8Array.from(atob(element.textContent), c => c.charCodeAt(0));
		const unzip = new DecompressionStream("gzip");
		return await new Response(new Blob([bytes]).stream().pipeThrough(unzip))
			.arrayBuffer();
	} catch (error) {
		if (error instanceof RangeError)
			throw error;
		throw new Error(ADVICE.part.replace("%", name), { cause: error });
	}
}

async function unpackAll(names) {
	const parts = {};
	for (const name of names)
		parts[name] = await unpack(name);
	return parts;
}

/* What the page's address asks for: lesson, cmdline, run. */
const asked = () => Object.fromEntries(new URLSearchParams(
	location.protocol === "about:" ? "" : location.hash.slice(1).replace(/\+/g, "%2B")));

/* A sentence about what the page's address asks for in vain. */
function askedInVain({ lesson = 1, cmdline, run, ...others }) {
	const [other] = Object.keys(others);
	if (other !== undefined)
		return ADVICE.asks.replace("%", () => other);
	return LESSONS[lesson - 1] ? "" : ADVICE.lesson.replace("%", () => lesson);
}

class Page {
	constructor(main) {
		this.main = main;
		this.find = selector => main.querySelector(selector);
		this.find(".tables").insertAdjacentHTML("beforebegin", SPACE_PART);
		this.find(".tables").insertAdjacentHTML("afterend", CODE_PART);
		this.solved = new Map(); /* lesson -> what is told of it */
		this.booting = false;
		this.spare = RESERVE_MS;
		this.spent = this.drawing = 0;
		this.counted = performance.now();
	}

	fail(text) {
		this.find(".loading").hidden = true;
		this.find(".failure").hidden = false;
		this.find(".failure").textContent = text;
	}

	async start() {
		const missing = missingFeature();
		if (missing)
			return this.fail(ADVICE.old.replace("%", missing));
		this.parts = await unpackAll(["wasm", "bios", "vga", "kernel", "vmm", "root"]);
		this.facts = JSON.parse(new TextDecoder().decode(await unpack("facts")));
		layout = this.facts.layout;
		this.makeTerminal();
		this.makeButtons();
		const { cmdline = "", run, lesson = 1 } = asked(), vain = askedInVain(asked());
		await this.boot(cmdline);
		this.panels = new Panels(this.main, this.session.trace);
		this.showLesson(LESSONS[lesson - 1] ? lesson - 1 : 0);
		if (vain)
			this.fail(vain);
		this.find(".loading").hidden = true;
		addEventListener("hashchange", () => location.reload());
		setInterval(() => this.refresh(), REFRESH_MS);
		this.draw();
		if (run)
			this.whenPrompt(() => this.command(run));
	}

	/* --- the machine --- */

	async boot(cmdline) {
		this.booting = true;
		if (this.machine) {
			await this.machine.stop();
			await this.machine.emulator.destroy();
		}
		this.find(".failure").hidden = true;
		let state = cmdline ? null : await this.savedState();
		this.terminal.reset();
		this.text = "";
		this.cmdline = cmdline;
		this.before = this.last = null;
		this.faults = 0;
		this.refused = this.off = this.waits = false;
		try {
			await this.makeMachine(cmdline, state);
		} catch (error) {
			if (!state || error instanceof RangeError)
				throw error;
			this.fail(ADVICE.state);
			await this.makeMachine(cmdline, state = null);
		}
		const { machine } = this;
		this.session = new Session(machine, this.facts, () => this.draw());
		const atStop = machine.check;
		machine.check = () => (atStop(), this.lookForSwitch());
		if (this.panels)
			this.panels.trace = this.session.trace;
		if (this.lesson !== undefined)
			this.countFaults();
		if (state)
			[...this.facts.prompt].forEach(c => this.print(c.charCodeAt(0)));
		machine.run();
		this.booting = false;
		this.spare = RESERVE_MS;
		this.drawing = 0;
		this.draw();
	}

	makeMachine(cmdline, state) {
		const machine = this.machine = new Machine(V86, this.parts);
		machine.output = byte => this.print(byte);
		machine.failed = () => this.fail(ADVICE.emulator);
		machine.ended = () => {
			this.off = true;
			this.find(".again").open = true;
			setTimeout(() => this.draw());
		};
		return machine.start({ cmdline, state, container: this.find(".screen") });
	}

	async savedState() {
		try {
			return await unpack("state");
		} catch (error) {
			this.fail(ADVICE.state);
			return null;
		}
	}

	print(byte) {
		this.terminal.write(Uint8Array.of(byte));
		this.text = (this.text + String.fromCharCode(byte)).slice(-200);
	}

	whenPrompt(action) {
		if (this.text.endsWith("$ "))
			return action();
		setTimeout(() => this.whenPrompt(action), 50);
	}

	command(line) {
		this.type(line + "\n");
	}

	/* A stopped machine reads it later. */
	type(text) {
		if (!this.session)
			return;
		this.machine.send(text);
		this.waits = this.session.stopped;
		this.find(".status").textContent = this.status();
	}

	/* --- controls --- */

	makeTerminal() {
		const place = this.find(".terminal");
		const columns = () => Math.max(36, Math.min(100,
			Math.floor((place.clientWidth - 20) / CHARACTER)));
		this.terminal = new Terminal({
			cols: columns(), rows: ROWS, fontSize: 13, convertEol: true,
			screenReaderMode: true,
			fontFamily: "\"DejaVu Sans Mono\", monospace", scrollback: 2000,
			theme: { background: "#14171a", foreground: "#e9e6e0" },
		});
		this.terminal.open(place);
		this.terminal.onData(text => this.type(text));
		addEventListener("resize", () => this.terminal.resize(columns(), ROWS));
	}

	button(text, action) {
		const b = make("button", { type: "button" }, text);
		b.addEventListener("click", action);
		return b;
	}

	makeButtons() {
		const { find, main } = this, actions = {
			stop: () => this.session.stopNow(),
			arm: () => this.session.stopAtSwitch(!this.session.armed),
			go: () => (this.waits = false, this.session.letGo()),
			back: () => this.session.back(),
			forward: () => this.forward(),
		};
		find(".commands").append(...COMMANDS.map(
			([name, line]) => this.button(name, () => this.command(line))));
		find(".lessons").append(...LESSONS.map(
			(lesson, i) => this.button(String(i + 1), () => this.showLesson(i))));
		LESSONS.forEach((lesson, i) => find(".lessons").children[i].setAttribute(
			"aria-label", "Lesson " + (i + 1) + ": " + lesson.title));
		main.querySelectorAll("[data-do]").forEach(b => b.addEventListener("click", () => {
			if (b.dataset.do !== "forward")
				this.player.stop();
			actions[b.dataset.do]();
			this.draw();
		}));
		this.player = makePlayer(() => this.forward(), false);
		find(".player").append(...this.player.elements);
		find(".boot").addEventListener("submit", event => {
			event.preventDefault();
			this.boot(find(".boot input").value);
		});
		const dark = matchMedia("(prefers-color-scheme: dark)");
		for (const look of [dark, matchMedia("print")])
			look.addEventListener("change", () => this.draw());
		find(".theme").addEventListener("click", () => {
			const { dataset } = document.documentElement;
			const theme = dataset.theme || (dark.matches ? "dark" : "light");
			dataset.theme = theme === "dark" ? "light" : "dark";
			this.draw();
		});
		find(".words dl").append(...WORDS.flatMap(
			([word, text]) => [make("dt", {}, word), make("dd", {}, text)]));
		find(".snippet").textContent = "<iframe src=\"" + location.href.split("#")[0] +
			"#lesson=4\" width=\"100%\" height=\"900\" title=\"Cinnabar\"></iframe>";
		main.classList.toggle("embedded", window !== window.parent);
	}

	forward() {
		return this.session.forward(this.find(".unit").value);
	}

	/* --- drawing --- */

	/* How many switches the kernel has recorded. */
	switches() {
		return this.machine.readWord(this.facts.kernel.nr_switches);
	}

	refresh() {
		const now = performance.now();
		const more = this.spare + (now - this.counted) * SHARE;
		this.spare = Math.min(RESERVE_MS + this.drawing, more);
		this.counted = now;
		if (this.spare >= RESERVE_MS + this.drawing)
			this.drawRunning();
	}

	drawRunning(held = 0) {
		if (document.hidden || this.session.stopped || this.booting || !this.panels)
			return;
		const begin = performance.now();
		this.draw();
		this.machine.hold(held);
		this.drawing = performance.now() - begin;
		this.spare -= this.drawing + held;
		this.spent += this.drawing + held;
	}

	/* After each slice of the machine's work: a mode may last for some of them only. */
	lookForSwitch() {
		const [gdt] = this.machine.table("gdtr"), virtual = gdt >= this.facts.layout.vmm;
		if (virtual === this.virtual)
			return;
		this.virtual = virtual;
		if (this.spare > 0)
			this.drawRunning(SHOW_MS);
	}

	draw() {
		if (!this.panels || this.booting)
			return;
		const { session, find, main } = this, { stopped } = session;
		if (stopped) {
			this.last = session.shown().state;
			this.panels.drawStopped(session.shown(), this.switches());
		} else {
			const state = readState(this.machine, this.facts);
			if (this.last && this.last.mode !== state.mode)
				this.before = this.last;
			this.last = state;
			session.addPlace(state.regs.eip);
			this.panels.drawRunning(state, this.before, this.switches(), this.off);
		}
		find("[data-do=stop]").disabled = stopped || this.off;
		find("[data-do=arm]").disabled = this.off;
		main.querySelectorAll(".commands button, .task + .controls button").forEach(
			b => (b.disabled = this.off && !b.dataset.boot));
		find("[data-do=go]").disabled = !stopped;
		find("[data-do=back]").disabled = !stopped || session.at <= 0;
		find("[data-do=forward]").disabled = find(".play").disabled = !session.more();
		find("[data-do=arm]").setAttribute("aria-pressed", String(!!session.armed));
		find(".status").textContent = this.status();
		this.checkLesson();
	}

	status() {
		const { session } = this;
		if (!session.stopped && this.off)
			return "The machine has ended its run. Boot again, below the terminal.";
		if (!session.stopped)
			return (this.text ? "runs" : "boots") +
				(session.armed ? ", and will stop at the next switch" : "") +
				(session.seeking ? ", and will stop when a program runs" : "");
		const at = session.at + 1, last = session.steps.length;
		return "stopped, step " + at + " of " + last + " seen. " + (at === last ?
			session.note : "A look back: the machine stands at step " + last + ".") +
			(this.waits ? " What was typed is read when it goes on." : "");
	}

	/* --- lessons --- */

	showLesson(n) {
		const { find } = this, lesson = LESSONS[n], place = find(".lesson .text");
		this.lesson = n;
		[...find(".lessons").children].forEach((b, i) => i === n ?
			b.setAttribute("aria-current", "step") : b.removeAttribute("aria-current"));
		find(".lesson h2").textContent = "Lesson " + (n + 1) + ": " + lesson.title;
		place.innerHTML = lesson.text.map(text => "<p>" + text + "</p>").join("");
		find(".task").textContent = "Task: " + lesson.task;
		const buttons = lesson.commands.map(
			([name, line]) => this.button(name, () => this.command(line)));
		if (lesson.cmdline)
			buttons.unshift(this.button("boot with " + lesson.cmdline,
				() => this.boot(lesson.cmdline)));
		buttons.forEach((b, i) => (b.dataset.boot = lesson.cmdline && i === 0 ? "1" : ""));
		if (lesson.stopInProgram)
			buttons.push(this.button("stop in ring 3",
				() => this.session.stopInProgram()));
		if (lesson.breakIn)
			buttons.push(this.button("try to break in", () => this.breakIn()));
		find(".task + .controls").replaceChildren(...buttons);
		this.countFaults();
		find(".lesson .done").textContent = "";
		this.checkLesson();
	}

	/* Only the first lesson asks for them, of this machine or of one that was booted again. */
	countFaults() {
		this.session.countFaults(this.lesson === 0, () => this.faults++);
	}

	breakIn() {
		this.session.letGo();
		this.session.breakIn(refused => (this.refused = refused));
	}

	/* What lessons ask of the machine (lessons.js). */
	seen() {
		const { machine, facts, session } = this;
		const record = facts.kernel.record + facts.offsets.SWITCH_RECORD_ERROR;
		const error = machine.readWord(record) | 0, p2m = readP2m(machine, facts);
		const pfn = session.directory() - facts.layout.kernel >>> 12;
		return {
			state: this.last, stopped: session.stopped, refused: this.refused,
			faults: this.faults, shuffled: p2m.filter((mfn, i) => mfn !== i).length,
			shell: pfn in p2m ? { pfn, mfn: p2m[pfn] } : null,
			failed: error < 0 && error !== EBUSY && !session.switching,
		};
	}

	checkLesson() {
		const lesson = LESSONS[this.lesson];
		if (!this.last || !lesson)
			return;
		const seen = this.solved.has(lesson) ? null : this.seen();
		if (seen && !lesson.done(seen))
			return;
		if (seen)
			this.solved.set(lesson, "Done. " + lesson.after(seen));
		this.find(".lessons").children[this.lesson].classList.add("solved");
		const text = this.solved.get(lesson);
		if (this.find(".lesson .done").textContent !== text)
			this.find(".lesson .done").textContent = text;
	}
}

async function startPage(main) {
	const page = window.page = new Page(main);
	/* v86 takes its memory in a step of its own. */
	addEventListener("unhandledrejection", () => page.ready || page.fail(ADVICE.memory));
	try {
		await page.start();
		page.ready = true;
	} catch (error) {
		page.fail(error instanceof RangeError ? ADVICE.memory : error.message);
		page.ready = false;
	}
}
