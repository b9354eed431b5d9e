/* SPDX-License-Identifier: MIT */
/*
 * Opens a page of `make trace OF=...` in headless Chromium: trace_domains.js PAGE PICTURES. Goes
 * through all steps by the Right key, and compares what the page shows with the recording in it.
 * Writes PICTURES-light.png and PICTURES-dark.png. Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const { run } = require("./browser");
const { trace, states, phases } = require("./trace_model");

const [, , file, pictures] = process.argv;
const name = n => n ? "guest " + n : "domain 0";

/* In these phases the domain changes, and nowhere else. */
const CHANGES = {
	"domain switch": [["exchange", "memory", 1, 0]],
	"block request": [["switch", "switch", 1, 0], ["back", "back", 0, 1]],
};

/* What must be true of a recording, whatever shows it. */
function checkRecording() {
	const order = phases.filter((p, i) => i > 0 && p !== phases[i - 1]);
	assert.deepEqual(order, trace.phases, "phases in order");
	const changes = [];
	states.forEach((s, i) => i && s.domain !== states[i - 1].domain &&
		changes.push([phases[i], states[i - 1].domain, s.domain]));
	const wanted = CHANGES[trace.story];
	assert.equal(changes.length, wanted.length, JSON.stringify(changes));
	wanted.forEach(([first, last, from, to], i) => {
		assert.ok([first, last].includes(changes[i][0]), JSON.stringify(changes));
		assert.deepEqual(changes[i].slice(1), [from, to]);
	});
	const [first, end] = [states[0], states[states.length - 1]];
	if (!first.channel)
		return assert.notEqual(first.regs.cr3, end.regs.cr3, "CR3");
	const asked = end.channel.ways[0] - first.channel.ways[0];
	assert.ok(asked >= 1, "nothing was asked");
	assert.equal(end.channel.ways[2] - first.channel.ways[2], asked, "answers");
}

async function checkStep(page, n) {
	const step = states[n], text = selector => page.locator(selector).first().textContent();
	const now = what => text(`[data-now="${what}"]`);
	const status = await text("[role=status]");
	assert.ok(status.startsWith(`step ${n + 1} of ${states.length}:`), status);
	assert.equal(await now("domain"), name(step.domain), `step ${n + 1}`);
	assert.equal(await now("ring"), String(step.ring), `step ${n + 1}`);
	assert.equal(await now("phase"), phases[n], `step ${n + 1}`);
	assert.equal(await text('[data-cell="cpu/domain/1"]'), name(step.domain));
	assert.equal(await text(".box-kernel b"), "kernel of " + name(step.domain));
	if (step.channel) {
		assert.equal(await text('[data-cell="channel/requests/1"]'),
			String(step.channel.ways[0]), `step ${n + 1}`);
		assert.equal(await text('[data-cell="channel/answers/1"]'),
			String(step.channel.ways[2]), `step ${n + 1}`);
	}
	return (await page.locator(".story .does, .story .why").allInnerTexts()).join();
}

run(async open => {
	checkRecording();
	const page = await open(file, { colorScheme: "light" });
	const told = new Map();
	for (let n = 0; n < states.length; n++) {
		if (n)
			await page.keyboard.press("ArrowRight");
		const text = await checkStep(page, n);
		assert.ok(text.length > 80, `${phases[n]}: ${text}`);
		told.set(phases[n], text);
	}
	assert.equal(new Set(told.values()).size, trace.phases.length + 1, "a text for each phase");
	assert.equal(await page.locator(".of-switches").count(), 0, "what only mode switches have");
	const middle = Math.floor(states.length / 2);
	await page.evaluate(n => window.viewer.go(n), middle);
	await page.screenshot({ path: pictures + "-light.png", fullPage: true });
	await page.emulateMedia({ colorScheme: "dark" });
	await page.screenshot({ path: pictures + "-dark.png", fullPage: true });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
	assert.ok(!wide, "the page is wider than its window");
});
