/* SPDX-License-Identifier: MIT */
/*
 * Opens a page of `make trace` in headless Chromium: trace.js PAGE PICTURES. It moves by keys,
 * buttons, slider, links and play, and at each step compares what the page shows with the recording
 * (trace_model.js); then it looks at the page (trace_looks.js). Writes PICTURES-light.png and
 * PICTURES-dark.png. Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const { run } = require("./browser");
const { look, compare } = require("./trace_looks");
const { trace, states, causes, phases, starts, checkStep, shown, tablesWritable } =
	require("./trace_model");

const [, , file, pictures] = process.argv;
const last = states.length - 1;

/* --- moving --- */

async function move(page) {
	let at = 0;
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

/* --- each effect stands at its cause --- */

const saved = s => s.saved.map(([, , cs]) => cs).join();

/* What changes, in which phase, and in which group the page lists the change. */
const EFFECTS = [
	{ of: s => JSON.stringify(s.frames), in: { attach: "account", detach: "commit" },
		group: "memory" },
	/* attach leaves the program's directory; the kernel's own tables are read-only always */
	{ of: tablesWritable, in: { attach: "install" }, group: "memory" },
	{ of: s => s.gdtr[0], in: { attach: "install", detach: "install" },
		group: "descriptor tables" },
	{ of: s => s.saved.length === 1 && saved(s), in: { attach: "translate",
		detach: "translate" }, group: "memory", not: ["request", "resume"] },
	{ of: s => s.vo, in: { attach: "commit", detach: "commit" }, group: "CPU" },
];

async function effects(page) {
	const seen = new Set();
	for (const [n, effect] of EFFECTS.entries())
		for (const i of states.keys()) {
			if (!causes[i] || effect.of(states[i]) === effect.of(causes[i]) ||
				(effect.not || []).includes(phases[i]))
				continue;
			const wanted = effect.in[states[i].direction];
			assert.equal(phases[i], wanted,
				`step ${i + 1}: effect ${n} in ${phases[i]}`);
			await page.evaluate(at => window.viewer.go(at), i);
			const { heading, groups } = await checkStep(page, i);
			assert.ok(heading.endsWith(": " + wanted), heading);
			assert.ok(groups.includes(effect.group), `step ${i + 1}: ${groups}`);
			seen.add(n + states[i].direction);
		}
	const wanted = direction => EFFECTS.filter(effect => effect.in[direction]).length;
	const directions = [...new Set(states.map(s => s.direction))];
	assert.equal(seen.size, directions.reduce((sum, direction) => sum + wanted(direction), 0),
		"effects: " + [...seen]);
}

/* --- the story: a text for each phase, another one for each --- */

async function story(page) {
	const told = new Set();
	for (const i of starts) {
		await page.evaluate(at => window.viewer.go(at), i);
		const text = await page.locator(".story .does, .story .why, .story .without")
			.allInnerTexts();
		assert.ok(text[0].length > 30 && text[1].length > 30, `${phases[i]}: ${text}`);
		assert.ok(phases[i] === "before" || text[2].length > 30, `${phases[i]}: ${text}`);
		told.add(text.join());
	}
	/* request, gather, quiesce and resume are told alike in both directions */
	assert.equal(told.size, starts.length > 10 ? starts.length - 4 : starts.length);
}

/* --- links and play --- */

async function links(open) {
	const at = Math.floor(last / 2);
	const page = await open(file, { hash: "#step=" + (at + 1) });
	await checkStep(page, at);
	assert.equal(await page.locator(".link").getAttribute("href"), "#step=" + (at + 1));
	await page.keyboard.press("ArrowRight");
	await page.waitForURL(url => url.hash === "#step=" + (at + 2));
	await page.evaluate(() => location.hash = "#step=3");
	await page.waitForFunction(() => document.querySelector("input").value === "2");
	await page.evaluate(() => location.hash = "#step=99999");
	await page.waitForFunction(n => document.querySelector("input").value === n, String(last));
	await page.close();
}

async function play(open) {
	const page = await open(file, { reducedMotion: "reduce", clock: true });
	const at = () => page.getByRole("slider").inputValue().then(Number);
	const step = Number(await page.getByLabel("Speed").inputValue());
	await page.keyboard.press("Space");
	assert.equal(await at(), 1, "play does not begin at once");
	await page.clock.runFor(2 * step + 10);
	assert.equal(await at(), 3, "play goes on");
	await page.getByRole("button", { name: /^Pause/ }).click();
	await page.clock.runFor(2 * step);
	assert.equal(await at(), 3, "play goes on after a pause");
	await page.getByLabel("Speed").focus();
	await page.keyboard.press("ArrowRight");
	assert.equal(await at(), 3, "a key for the speed moves the step");
	const faster = Number(await page.getByLabel("Speed").inputValue());
	assert.ok(faster < step, `faster: ${faster}`);
	await page.getByRole("button", { name: /^Play/ }).click();
	await page.clock.runFor(faster + 10);
	assert.equal(await at(), 5);
	await page.keyboard.press("ArrowLeft");
	await page.clock.runFor(2 * faster);
	assert.equal(await at(), 4, "play goes on after a key");
	await page.evaluate(n => window.viewer.go(n), last - 1);
	await page.getByRole("button", { name: /^Play/ }).click();
	await page.clock.runFor(3 * faster);
	assert.equal(await at(), last);
	assert.ok(await page.getByRole("button", { name: /^Play/ }).isVisible(), "it ends");
	await page.close();
}

/* The kernel's box moves in the figure, unless the reader wants no motion. */
async function motion(page) {
	const ring = s => s.gdt[1][1] >>> 13 & 3;
	const moves = states.findIndex((s, i) => causes[i] && ring(s) !== ring(causes[i]));
	for (const [reducedMotion, wanted] of [["reduce", 0], ["no-preference", 1]]) {
		await page.emulateMedia({ reducedMotion });
		const animations = await page.evaluate(at => {
			window.viewer.go(at - 1);
			document.getAnimations().forEach(a => a.cancel());
			window.viewer.go(at);
			return document.getAnimations().filter(
				a => a.effect.getKeyframes().some(f => f.transform)).length;
		}, moves);
		assert.equal(animations, wanted, `animations with ${reducedMotion}`);
	}
}

run(async open => {
	const page = await open(file);
	await move(page);
	await effects(page);
	if (states.length > 100) /* the page's looks are those of the short recording */
		return;
	await story(page);
	await motion(page);
	await links(open);
	await play(open);
	await look(page, pictures);
	await compare(page);
});
