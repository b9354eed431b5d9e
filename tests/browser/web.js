/* SPDX-License-Identifier: MIT */
/*
 * Opens the page of `make web` in headless Chromium: web.js PAGE PICTURES [short | empty]. The
 * machine must come to its prompt, switch, stop at the nine phases and go on; the lessons must know
 * when they are done; the page must fit a phone, and say a sentence where it cannot work. What a
 * panel shows is compared with the emulator's own registers. empty: the kernel is a handout's, and
 * must stop at its first exercise. Writes PICTURES-*.png. Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const fs = require("fs");
const http = require("http");
const { gzipSync } = require("zlib");
const { run, patience } = require("./browser");

const [, , file, pictures, part] = process.argv;
const PHASES = ["request", "gather", "quiesce", "account", "protect", "install", "translate",
	"commit", "resume"];
const figures = { bytes: fs.statSync(file).size };

const until = (page, what, argument) =>
	page.waitForFunction(what, argument, { timeout: patience() });
const ready = page => until(page, "page.ready !== undefined");
const prompt = page => until(page, "page.text.endsWith('$ ')");
const click = (page, name) => page.getByRole("button", { name, exact: true }).first().click();
const cell = (page, name) => page.locator(`[data-cell="${name}"]`).textContent();
const badge = (page, name) => page.locator(`[data-now="${name}"]`).textContent();
const machine = (page, expression) => page.evaluate(`page.machine.${expression}`);
const hex = n => n.toString(16).padStart(8, "0");

async function opened(open, options = {}) {
	const begin = Date.now(), page = await open(file, { offline: false, ...options });
	await ready(page);
	assert.equal(await page.evaluate("page.ready"), true,
		await page.locator(".failure").textContent());
	await prompt(page);
	figures.prompt_ms = Math.min(figures.prompt_ms || Infinity, Date.now() - begin);
	return page;
}

async function runs(page, line) {
	await page.evaluate("page.text = ''");
	await page.evaluate(text => window.page.command(text), line);
	await prompt(page);
}

/* --- the machine and its panels --- */

async function switches(page) {
	assert.equal(await badge(page, "mode"), "native");
	await runs(page, "echo virtual > /proc/mode");
	await until(page, "page.last.mode === 'virtual'");
	const [base] = await machine(page, "table('gdtr')");
	assert.ok(base >= 0xFC000000, "the GDT is not the VMM's");
	assert.equal(await cell(page, "cpu/GDT in/2"), hex(base));
	assert.equal(await badge(page, "VO in use"), "virtual");
	assert.equal(await cell(page, "gdt/0008/2"), "1", "DPL of the kernel's code");
	assert.equal(await cell(page, "space/VMM, writable/3"), "-", "ring 1 reaches the VMM");
	assert.match(await page.locator(".table-tasks").textContent(), /init/);
	await runs(page, "echo native > /proc/mode");
	await until(page, "page.last.mode === 'native'");
	await until(page, `document.querySelector('[data-now="switches so far"]').textContent ===
		"2"`);
}

/* A mode that lasts for milliseconds is shown, too. */
async function brief(page) {
	await until(page, "page.spare > 150");
	await page.evaluate(`{
		const modes = window.modes = [], badges = document.querySelector(".badges");
		new MutationObserver(() => {
			const mode = badges.querySelector('[data-now="mode"]').textContent;
			if (modes[modes.length - 1] !== mode)
				modes.push(mode);
		}).observe(badges, { childList: true });
	}`);
	await runs(page, "echo virtual > /proc/mode; echo native > /proc/mode");
	await until(page, "modes[modes.length - 1] === 'native'");
	assert.deepEqual(await page.evaluate("modes.slice(-2)"), ["virtual", "native"]);
}

/* What it costs to show the running machine. */
async function cost(page, begin) {
	const spent = await page.evaluate("page.spent");
	figures.drawing_percent = Math.round(1000 * spent / (Date.now() - begin)) / 10;
	assert.ok(figures.drawing_percent < 10, `drawing takes ${figures.drawing_percent} %`);
}

/* Stop at the next switch, and step through it by phases. direction: of the switch. */
async function steps(page, direction, line) {
	await page.locator("[data-do=arm]").click();
	await page.evaluate("page.text = ''");
	await page.evaluate(text => window.page.command(text), line);
	await until(page, "page.session.stopped");
	assert.match(await page.locator(".status").textContent(), /begins: “forward” goes/);
	const shown = [];
	for (const phase of PHASES) {
		await page.locator("[data-do=forward]").click();
		assert.equal(await badge(page, "phase"), phase);
		assert.equal(await badge(page, "ring"), String(await machine(page, "ring()")));
		const title = await page.locator(".story h2").textContent();
		assert.match(title, new RegExp(`${direction}, phase . of 9: ${phase}`, "i"));
		shown.push(await page.locator(".tables").textContent());
		assert.match(await page.locator(".source .note").textContent(), /^kernel\/|^vmm\//);
	}
	assert.ok(await page.locator("[data-do=forward]").isDisabled(), "forward after the end");
	for (const [i, phase] of [...PHASES.entries()].reverse()) {
		assert.equal(await badge(page, "phase"), phase, "going back");
		assert.equal(await page.locator(".tables").textContent(), shown[i], "going back");
		await page.locator("[data-do=back]").click();
	}
	assert.match(await page.locator(".status").textContent(),
		/^stopped, step 1 of 10 seen. A look back: the machine stands at step 10/);
	for (let i = 0; i < PHASES.length; i++)
		await page.locator("[data-do=forward]").click();
	assert.match(await page.locator(".status").textContent(),
		new RegExp(`The ${direction} is done. Let go`));
	await page.screenshot({ path: `${pictures}-${direction}.png`, fullPage: true });
	await click(page, "Let go");
	await prompt(page);
}

async function instructions(page) {
	await page.locator("[data-do=arm]").click();
	await page.evaluate("page.command('echo virtual > /proc/mode')");
	await until(page, "page.session.stopped");
	await page.locator(".unit").selectOption("instruction");
	for (let i = 0; i < 40; i++) {
		const at = await machine(page, "eip()");
		await page.locator("[data-do=forward]").click();
		assert.ok((await page.locator(".instruction").textContent()).startsWith(hex(at)));
	}
	await page.locator(".unit").selectOption("function");
	await page.locator("[data-do=forward]").click();
	assert.match(await page.locator(".function").textContent(), /\(\)/);
	await page.locator(".unit").selectOption("phase");
	await click(page, "Let go");
	await until(page, "page.last.mode === 'virtual'");
	await runs(page, "echo native > /proc/mode");
}

/* --- lessons --- */

const lesson = n => `.lessons button:nth-child(${n})`;
const solved = async (page, n) => (await page.locator(lesson(n)).getAttribute("class") || "")
	.includes("solved");

async function solves(page, n, act) {
	await page.locator(lesson(n)).click();
	await page.waitForTimeout(600);
	assert.equal(await solved(page, n), false, `lesson ${n} is done before it began`);
	await act();
	await until(page, `document.querySelector(${JSON.stringify(lesson(n))}).className ===
		"solved"`);
	assert.match(await page.locator(".lesson .done").textContent(), /^Done/);
}

async function lessons(page) {
	await solves(page, 1, () => click(page, "run intruder"));
	await prompt(page);
	await solves(page, 2, async () => {
		await click(page, "run work");
		await click(page, "stop in ring 3");
	});
	await click(page, "Let go");
	await page.evaluate("page.machine.send('\\x03')");
	await prompt(page);
	/* In native mode nobody stops the kernel. */
	await page.locator(lesson(5)).click();
	await click(page, "try to break in");
	await until(page, "/^Done: /.test(page.session.note)");
	await click(page, "Let go");
	await solves(page, 4, () => click(page, "attach"));
	await solves(page, 5, () => click(page, "try to break in"));
	assert.match(await page.locator(".instruction").textContent(), /movl .* by this page/);
	await click(page, "Let go");
	await until(page, "/stop_kernel/.test(page.session.note)");
	await click(page, "Let go");
	await until(page, "/broke a rule|called from/.test(page.text)");
	await until(page, "/has ended/.test(document.querySelector('.story h2').textContent)");
	assert.ok(await page.locator(".boot button").isVisible(), "nothing boots it again");
	for (const name of ["Stop now", "Stop at the next switch", "attach", "try to break in"])
		assert.ok(await page.getByRole("button", { name, exact: true }).first()
			.isDisabled(), name + " of a machine that has ended");
	/* Drawing took long, as on a busy host: a new machine is shown all the same. */
	await page.evaluate("page.spare = -1e6");
	await solves(page, 3, () => click(page, "boot with p2m=shuffle:7"));
	await prompt(page);
	const [, pfn, mfn] = (await page.locator(".lesson .done").textContent()).match(
		/pfn ([0-9a-f]+), the machine mfn ([0-9a-f]+)\./);
	assert.notEqual(pfn, mfn);
	assert.equal(await machine(page, `machineAddress(0xc0000000 + 0x${pfn}000)`),
		parseInt(mfn, 16) * 4096);
	await solves(page, 6, () => rollBack(page));
	assert.equal(await badge(page, "mode"), "native");
	for (let n = 1; n <= 6; n++)
		assert.ok(await solved(page, n), "lesson " + n);
}

/* The switch fails in its seventh phase: after that come undo, and these phases once more. */
async function rollBack(page) {
	const titles = [];
	await click(page, "let translate fail");
	await prompt(page);
	await page.locator("[data-do=arm]").click();
	await click(page, "attach");
	await until(page, "page.session.stopped");
	while (await page.locator("[data-do=forward]").isEnabled()) {
		await page.locator("[data-do=forward]").click();
		titles.push(await page.locator(".story h2").textContent() + " " +
			await page.locator(".function").textContent());
	}
	const undone = ["undo", "translate", "install", "protect"].map(
		name => "Roll-back of the attach This step: " + name);
	assert.deepEqual(titles.slice(6).map(title => title.replace(/\(\).*/, "")), [
		"Attach, phase 7 of 9: translate This step: translate", ...undone,
		"Attach, phase 9 of 9: resume This step: resume"]);
	assert.equal(await badge(page, "ring"), "0");
	await click(page, "Let go");
}

/* --- places, links, looks --- */

const failure = page => page.locator(".failure").textContent();

/* What the address asks for in vain is named; the page follows an address that changes. */
async function links(open) {
	const page = await opened(open, { hash: "#lesson=99&run=echo%20%C3%A4%E2%82%AC" });
	assert.match(await failure(page), /asks for lesson 99, which is unknown/);
	await until(page, `[...document.querySelectorAll(".xterm-rows > div")].some(
		line => line.textContent.trim() === "ä€")`);
	await Promise.all([page.waitForEvent("load"),
		page.evaluate("location.hash = '#lesson=5&colour=1'")]);
	await ready(page);
	assert.match(await failure(page), /asks for “colour”, which is unknown/);
	assert.match(await page.locator(".lesson h2").textContent(), /^Lesson 5/);
	await page.setViewportSize({ width: 400, height: 800 });
	await until(page, `document.querySelector(".xterm-screen").clientWidth <=
		document.querySelector(".terminal").clientWidth`);
	await page.emulateMedia({ forcedColors: "active" });
	assert.notEqual(await page.locator(".key.frame-2").evaluate(
		key => getComputedStyle(key).backgroundColor), "rgb(255, 255, 255)");
	await page.close();
}

async function phone(open) {
	const page = await opened(open, { viewport: { width: 360, height: 700 },
		colorScheme: "dark", hash: "#lesson=4&run=ps" });
	await until(page, "/ps/.test(page.text) && page.text.endsWith('$ ')");
	assert.match(await page.locator(".lesson h2").textContent(), /^Lesson 4/);
	const wide = await page.evaluate("document.documentElement.scrollWidth");
	assert.ok(wide <= 360, `the page is ${wide} pixels wide on a phone`);
	await page.screenshot({ path: `${pictures}-phone.png` });
	await page.close();
}

/* The page says a sentence about what it lacks. before: a script that takes it away. */
async function lacking(open, before, sentence) {
	const page = await open(file, { before: p => p.addInitScript(before) });
	await ready(page);
	assert.match(await failure(page), sentence);
	await page.close();
}

/* A copy of the page that is made by change(text). */
async function openChanged(open, change) {
	const other = file.replace(/\.html$/, ".changed.html");
	fs.writeFileSync(other, change(fs.readFileSync(file, "utf8")));
	const page = await open(other);
	fs.unlinkSync(other);
	return page;
}

/* A copy of the page in which a part is broken. */
async function openBroken(open, part) {
	const page = await openChanged(open, text => text.replace(
		new RegExp(`(id="part-${part}">.{2000})....`), "$1AAAA"));
	await ready(page);
	return page;
}

/* A state that v86 does not take; half of the page. */
async function unfit(open) {
	const state = gzipSync(Buffer.alloc(4096, 1)).toString("base64");
	const page = await openChanged(open, text => text.replace(
		/(id="part-state">)[^<]*/, "$1" + state));
	await ready(page);
	assert.match(await failure(page), /saved state .* is broken/);
	await prompt(page);
	await page.close();
	const half = await openChanged(open, text => text.slice(0, text.length / 2));
	assert.match(await half.locator(".loading").textContent(), /not\s+whole/);
	assert.ok(await half.locator(".loading").isVisible());
	await half.close();
}

async function broken(open) {
	await lacking(open, "delete window.WebAssembly", /it lacks WebAssembly/);
	await lacking(open, "delete window.DecompressionStream", /it lacks DecompressionStream/);
	await lacking(open, "WebAssembly.instantiate = async () => { throw new RangeError(); }",
		/too little memory/);
	const kernel = await openBroken(open, "kernel");
	assert.match(await kernel.locator(".failure").textContent(), /broken \(kernel\)/);
	await kernel.close();
	const state = await openBroken(open, "state");
	assert.match(await state.locator(".failure").textContent(), /saved state .* is broken/);
	await prompt(state);
	assert.ok(await state.locator(".loading").isHidden());
	await state.close();
	await unfit(open);
}

/* A machine without handlers at its next interrupt: v86 gives up, and the page boots again. */
async function givesUp(open) {
	const page = await opened(open, { says: /panicked at|handler/ });
	await machine(page, "cpu.idtr_size[0] = 0");
	await until(page, "!document.querySelector('.failure').hidden");
	assert.match(await page.locator(".failure").textContent(), /cannot emulate/);
	await page.locator("summary", { hasText: "Boot again" }).click();
	await page.locator(".boot button").click();
	await prompt(page);
	assert.ok(await page.locator(".failure").isHidden());
	await runs(page, "echo virtual > /proc/mode");
	await until(page, "page.last.mode === 'virtual'");
	await page.evaluate("page.command('shutdown')");
	await until(page, "/ended its run/.test(document.querySelector('.status').textContent)");
	await page.close();
}

/* A machine that boots anew stops at its panic; booted again, it counts for the first lesson. */
async function panics(open) {
	const page = await opened(open);
	const boots = async cmdline => {
		await page.locator(".boot input").fill(cmdline);
		await page.locator(".boot button").click();
	};
	await page.locator("summary", { hasText: "Boot again" }).click();
	await boots("root=nowhere");
	await until(page, "page.session.stopped");
	assert.match(await page.locator(".status").textContent(),
		/panic\(\) is called, with “boot: root=… is not known; use root=ram/);
	await click(page, "Let go");
	await until(page, "/use root=ram/.test(page.text)");
	await boots("p2m=shuffle:x"); /* before there are page tables */
	await until(page, "page.session.stopped");
	assert.match(await page.locator(".status").textContent(), /boot: p2m=… is not known/);
	await boots("mode=virtual");
	await until(page, "page.text.endsWith('$ ') && page.last.mode === 'virtual'");
	await boots("p2m=shuffle:3");
	await until(page, "page.text.endsWith('$ ')");
	await click(page, "run intruder");
	await until(page, "page.faults > 0");
	await page.close();
}

async function overHttp(open) {
	const server = http.createServer((request, answer) => answer.end(fs.readFileSync(file)));
	await new Promise(done => server.listen(0, "127.0.0.1", done));
	const address = `http://127.0.0.1:${server.address().port}/`;
	const page = await open(file, { offline: false, address });
	await ready(page);
	await prompt(page);
	await page.reload();
	await ready(page);
	await prompt(page);
	await runs(page, "echo virtual > /proc/mode");
	await page.close();
	server.close();
}

/* A student's kernel with an empty exercise: it boots in view, and the machine stops there. */
async function emptyExercise(open) {
	const page = await open(file, { offline: false });
	await ready(page);
	await until(page, `/panic\\(\\) is called, with “lab 1, exercise 1 is empty”/.test(
		document.querySelector('.status').textContent)`);
	await click(page, "Let go");
	await until(page, "/ended its run/.test(document.querySelector('.status').textContent)");
	const lines = await page.evaluate(`{
		const { active } = page.terminal.buffer;
		[...Array(active.length).keys()].map(i => active.getLine(i).translateToString());
	}`);
	assert.match(lines.join(""), /exercise 1 is empty/);
	await page.close();
}

run(async open => {
	if (part === "empty")
		return emptyExercise(open);
	const short = part === "short", begin = Date.now(), page = await opened(open);
	await switches(page);
	figures.switched_ms = Date.now() - begin;
	await steps(page, "attach", "echo virtual > /proc/mode");
	if (!short) {
		await steps(page, "detach", "echo native > /proc/mode");
		await instructions(page);
		await brief(page);
		await lessons(page);
		await cost(page, begin);
		await phone(open);
		await links(open);
		await broken(open);
		await givesUp(open);
		await panics(open);
		await overHttp(open);
	}
	await page.close();
	console.log(JSON.stringify(figures));
});
