/* SPDX-License-Identifier: MIT */
/*
 * Opens a page of `make trace` in headless Chromium: trace.js PAGE PICTURES. It moves by keys,
 * buttons and slider, and at each step compares what the page shows with the recording, which it
 * reads from the file without the page's code. Writes PICTURES-light.png and PICTURES-dark.png.
 * Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const fs = require("fs");
const path = require("path");
const { chromium } = require("playwright-core");

const [, , file, pictures] = process.argv;
const hex = (n, digits = 8) => n.toString(16).padStart(digits, "0");

/* --- the recording, read without the page's code --- */

function readStates(trace) {
	const apply = (to, patch) => {
		for (const [key, value] of Object.entries(patch))
			if (value === null)
				delete to[key];
			else if (typeof value === "object" && !Array.isArray(value) && to[key])
				apply(to[key], value);
			else
				to[key] = structuredClone(value);
		return to;
	};
	const last = {};
	return trace.steps.map(patch => structuredClone(apply(last, patch)));
}

const html = fs.readFileSync(file, "utf8");
const data = html.match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1];
const trace = JSON.parse(data);
const states = readStates(trace);
/* The steps at which a phase starts. */
const starts = states.map((s, i) => i).filter(i => i === 0 ||
	states[i].phase !== states[i - 1].phase || states[i].direction !== states[i - 1].direction);

/* --- what the page shows --- */

async function shown(page) {
	return page.evaluate(() => {
		const cells = {}, now = {};
		for (const e of document.querySelectorAll("[data-cell]"))
			cells[e.dataset.cell] = {
				text: e.firstChild ? e.firstChild.textContent : "",
				changed: e.classList.contains("changed"),
			};
		for (const e of document.querySelectorAll("[data-now]"))
			now[e.dataset.now] = e.textContent;
		return {
			cells,
			now,
			status: document.querySelector("[role=status]").textContent,
			slider: Number(document.querySelector("input").value),
			line: document.querySelector("li[aria-current]")?.value,
			differs: document.querySelectorAll("td.differs").length,
		};
	});
}

/* How many frames of each type a state has. */
const countFrames = s => trace.frame_types.map((_, type) =>
	Object.values(s.frames).flat().filter(v => v % 8 === type).length);

/* A cell has the text wanted. It is marked if and only if the step before had another. */
function checkCell(seen, cell, wanted, before) {
	assert.ok(seen.cells[cell], `no cell ${cell}`);
	assert.equal(seen.cells[cell].text, wanted, `cell ${cell}`);
	assert.equal(seen.cells[cell].changed, before !== null && before !== wanted,
		`mark of cell ${cell}: ${before} -> ${wanted}`);
}

function checkProcessor(seen, s, before) {
	for (const [name, value] of Object.entries(s.regs))
		checkCell(seen, `regs/${name.toUpperCase()}/1`, hex(value),
			before && hex(before.regs[name]));
	for (const [name, value] of Object.entries(s.segments))
		checkCell(seen, `segments/${name.toUpperCase()}/1`, hex(value, 4),
			before && hex(before.segments[name], 4));
	const dpl = (state, i) => state.gdt[i] ? String(state.gdt[i][1] >>> 13 & 3) : "";
	for (const i of Object.keys(s.gdt))
		checkCell(seen, `gdt/${hex(i * 8, 4)}/2`, dpl(s, i), before && dpl(before, i));
	const rows = Object.keys(seen.cells).filter(c => /^gdt\/.*\/2$/.test(c));
	assert.equal(rows.length, Object.keys(s.gdt).length, "rows of the GDT");
	checkCell(seen, "tss/base/1", hex(s.tss.base), before && hex(before.tss.base));
}

/* In virtual mode only ring 0 reaches the VMM's memory, and programs never do. */
function checkSpace(seen, s) {
	const vmm = "space/VMM, writable/", text = "space/kernel text, read-only/";
	assert.equal(seen.cells[vmm + 3].text, "-");
	assert.equal(seen.cells[vmm + 2].text, "-");
	assert.equal(seen.cells[vmm + 1].text, "rwx");
	assert.equal(seen.cells[text + 2].text, s.mode === "virtual" ? "rx" : "-",
		"ring 1 on the kernel's text");
}

async function checkStep(page, at) {
	const seen = await shown(page), s = states[at], before = at ? states[at - 1] : null;
	assert.equal(seen.slider, at);
	const place = `${s.direction}, ${trace.phases[s.phase]}`;
	assert.match(seen.status, new RegExp(`^step ${at + 1} of ${states.length}: ${place}`));
	assert.equal(seen.now.phase, trace.phases[s.phase]);
	assert.equal(seen.now.direction, s.direction);
	assert.equal(seen.now.ring, String(s.ring));
	assert.equal(seen.now.mode, s.mode);
	assert.equal(seen.now["VO in use"], s.vo);
	checkProcessor(seen, s, before);
	const vif = state => state.events.vif & 0x200 ? "1" : "0";
	checkCell(seen, "events/virtual IF/1", vif(s), before && vif(before));
	for (const [name, n] of Object.entries(s.events.exits))
		checkCell(seen, `exits/${name}/1`, String(n),
			before && String(before.events.exits[name]));
	s.saved.forEach(([, , cs], i) =>
		assert.equal(seen.cells[`saved/${i + 1}/1`].text, hex(cs & 0xFFFF, 4)));
	const earlier = before && countFrames(before);
	countFrames(s).forEach((n, type) =>
		checkCell(seen, `frames/${type}`, String(n), before && String(earlier[type])));
	assert.equal(seen.line, trace.places[s.regs.eip].line, "the marked source line");
	checkSpace(seen, s);
}

/* --- moving --- */

async function move(page) {
	let at = 0;
	const last = states.length - 1;
	const press = async (key, to) => {
		await page.keyboard.press(key);
		at = to;
		await checkStep(page, at);
	};
	await checkStep(page, 0);
	await press("ArrowLeft", 0);
	for (let i = 1; i <= 4; i++)
		await press("ArrowRight", i);
	await press("ArrowLeft", 3);
	await press("End", last);
	await press("ArrowRight", last);
	await press("ArrowLeft", last - 1);
	await press("Home", 0);
	for (const i of starts.slice(1))
		await press("PageDown", i);
	await press("PageDown", last);
	for (const i of starts.slice().reverse())
		if (i < at)
			await press("PageUp", i);
	const slider = page.getByRole("slider", { name: "step" });
	for (const to of [1, Math.floor(last / 2), last - 1]) {
		await slider.fill(String(to));
		await checkStep(page, to);
	}
	await slider.focus();
	/* one step, not two: the page's keys replace the slider's own */
	await press("ArrowLeft", last - 2);
	await page.getByRole("button", { name: /^First step/ }).click();
	await checkStep(page, 0);
	await page.getByRole("button", { name: /^Step forward/ }).click();
	await checkStep(page, 1);
	await page.locator(".phases button").nth(5).click();
	await checkStep(page, starts[5]);
}

/* --- looks --- */

/* The least contrast of a text to its background (WCAG 2.1, 1.4.3 wants 4.5), and where. */
async function leastContrast(page) {
	return page.evaluate(() => {
		const parse = colour => colour.match(/[\d.]+/g).map(Number);
		const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
		const luminance = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
			.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		const background = e => {
			for (; e; e = e.parentElement) {
				const colour = parse(getComputedStyle(e).backgroundColor);
				if (colour.length === 3 || colour[3] === 1)
					return colour;
			}
			return [255, 255, 255];
		};
		let least = [99];
		for (const e of document.querySelectorAll("body *:not(script):not(svg *)")) {
			const texts = [...e.childNodes].filter(n =>
				n.nodeType === 3 && n.textContent.trim());
			if (e.closest(".gone") || texts.length === 0)
				continue;
			const own = luminance(parse(getComputedStyle(e).color));
			const other = luminance(background(e));
			const [dark, light] = own < other ? [own, other] : [other, own];
			const contrast = (light + 0.05) / (dark + 0.05);
			const name = `${e.tagName} ${e.className} "${e.textContent.slice(0, 40)}"`;
			if (contrast < least[0])
				least = [contrast, name];
		}
		return least;
	});
}

async function look(page) {
	const background = () => page.evaluate(() =>
		getComputedStyle(document.body).backgroundColor);
	await page.locator(".phases button", { hasText: "translate" }).first().click();
	for (const theme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme: theme });
		const [contrast, element] = await leastContrast(page);
		assert.ok(contrast >= 4.5,
			`${theme}: contrast ${contrast.toFixed(1)} of ${element}`);
		await page.screenshot({ path: `${pictures}-${theme}.png`, fullPage: true });
	}
	const dark = await background();
	await page.getByRole("button", { name: "Dark or light" }).click();
	assert.notEqual(await background(), dark, "the button does not change the theme");
	const unnamed = await page.evaluate(() =>
		[...document.querySelectorAll("button, input, svg[role], canvas")].filter(e =>
			!e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length)
			.length);
	assert.equal(unnamed, 0, "buttons, inputs or pictures without a name");
	for (const width of [700, 1000]) {
		await page.setViewportSize({ width, height: 800 });
		const fits = await page.evaluate(() =>
			document.documentElement.scrollWidth <= innerWidth);
		assert.ok(fits, `wider than a window of ${width}`);
	}
}

/* --- with a reference: what differs is marked, nothing else is --- */

async function compare(page) {
	const at = starts[6];
	const change = async how => {
		await page.evaluate(([trace, at, how]) => {
			const other = structuredClone(trace);
			if (how) {
				/* the code segment kept DPL 0; another build has other addresses */
				const patch = other.steps.find(s =>
					s.gdt && s.gdt[1] && (s.gdt[1][1] >>> 13 & 3) === 1);
				patch.gdt[1][1] = (patch.gdt[1][1] & ~0x6000) >>> 0;
				for (const s of other.steps) {
					if (s.gdtr)
						s.gdtr[0] += 64;
					if (s.tss && s.tss.base)
						s.tss.base += 64;
					if (s.regs)
						s.regs.eax = 64;
				}
			}
			const place = document.getElementById("trace");
			window.viewer = showTrace(place, trace, other);
			window.viewer.go(at);
		}, [trace, at, how]);
		return shown(page);
	};
	const button = page.getByRole("button", { name: "first difference" });
	assert.equal((await change(false)).differs, 0, "a recording differs from itself");
	assert.ok(!await button.isVisible(), "a difference to itself is offered");
	await change(true);
	const kernel = states.findIndex(s => s.stop && (s.gdt[1][1] >>> 13 & 3) === 1);
	await button.click();
	assert.equal((await shown(page)).slider, kernel, "the first difference");
	await page.evaluate(at => window.viewer.go(at), at);
	const marked = await page.evaluate(() => [...document.querySelectorAll("td.differs")].map(
		e => e.dataset.cell + ": " + e.lastChild.textContent));
	assert.ok(marked.includes("gdt/0008/2: reference: 0"),
		`the changed DPL is not marked: ${marked}`);
	assert.ok(marked.includes("segments/CS/2: reference: code, DPL 0"),
		`CS is not marked: ${marked}`);
	assert.ok(!marked.some(cell => /^(idt|tss|cpu|regs)\//.test(cell)),
		`too much is marked: ${marked}`);
}

async function main() {
	const browser = await chromium.launch({
		executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
		args: ["--no-sandbox"],
	});
	try {
		const bad = [];
		const page = await browser.newPage({
			viewport: { width: 1440, height: 900 },
			offline: true,
		});
		const url = "file://" + path.resolve(file);
		page.on("console", message => bad.push("console: " + message.text()));
		page.on("pageerror", error => bad.push("error: " + error.message));
		page.on("request", request => {
			const from = request.url();
			if (from !== url && !from.startsWith("data:"))
				bad.push("request: " + from);
		});
		await page.goto(url);
		await move(page);
		await look(page);
		await compare(page);
		assert.deepEqual(bad, []);
	} finally {
		await browser.close();
	}
}

main().catch(error => {
	console.error(error.message);
	const places = error.stack.split("\n").filter(line => line.includes(__filename));
	console.error(places.join("\n"));
	process.exit(1);
});
