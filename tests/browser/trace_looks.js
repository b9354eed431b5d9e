/* SPDX-License-Identifier: MIT */
/*
 * Looks at a page of `make trace`, for trace.js: contrast, widths, keyboard, headings, print; and
 * at a recording beside a reference.
 */
"use strict";
const assert = require("assert");
const { trace, states, starts, shown } = require("./trace_model");

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

/* What stands out of a window of this width, or is cut off in its own box. */
async function tooWide(page, width) {
	await page.setViewportSize({ width, height: 800 });
	return page.evaluate(() => {
		const wide = e => e.getBoundingClientRect().right > innerWidth + 1;
		const cut = e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 &&
			getComputedStyle(e).overflowX !== "visible";
		return [...document.querySelectorAll("body *:not(svg *)")]
			.filter(e => (wide(e) && !e.closest(".scrolls")) ||
				(cut(e) && !e.matches(".scrolls")))
			.map(e => `${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`)
			.concat(document.documentElement.scrollWidth > innerWidth ?
				"the page" : []);
	});
}

async function widths(page) {
	for (let width = 360; width <= 1920; width += 120)
		assert.deepEqual(await tooWide(page, width), [], `${width} px: cut off`);
	await page.setViewportSize({ width: 1440, height: 900 });
}

/* The source shows whole lines, and whole comments. */
async function source(page) {
	const texts = await page.evaluate(trace => window.viewer.steps.map(({ eip }) => {
		const { file, line } = trace.places[eip], lines = trace.sources[file];
		return excerptOf(lines, line).map(n => lines[n]).join("\n");
	}), trace);
	for (const text of texts) {
		const begins = text.split("/*"), ends = text.split("*/");
		assert.equal(begins.length, ends.length, `a comment is cut off:\n${text}`);
		assert.ok(begins[0].length <= ends[0].length, `a comment has no begin:\n${text}`);
	}
}

/* --- with the keyboard, and with a screen reader --- */

/* Each stop of the Tab key has a visible frame, and a name. */
async function tabs(page) {
	await page.evaluate(() => { scrollTo(0, 0); document.activeElement.blur(); });
	const names = new Set();
	for (let i = 0; i < 60; i++) {
		await page.keyboard.press("Tab");
		const stop = await page.evaluate(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			return e === document.body ? null : {
				name: e.getAttribute("aria-label") || e.labels?.[0]?.textContent ||
					e.textContent.trim(),
				framed: style.outlineStyle !== "none" &&
					parseFloat(style.outlineWidth) >= 2,
			};
		});
		if (!stop)
			break;
		assert.ok(stop.name && stop.framed, JSON.stringify(stop));
		names.add(stop.name);
	}
	for (const name of ["Play (Space)", "Step forward (Right)", "step", "link to this step"])
		assert.ok(names.has(name), `Tab does not reach ${name}: ${[...names]}`);
}

/* The headings are those of an outline; what changes is told; each picture has a name. */
async function structure(page) {
	const levels = await page.evaluate(() =>
		[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(
			h => Number(h.tagName[1])));
	levels.forEach((level, i) => assert.ok(level <= (levels[i - 1] || 0) + 1,
		`headings: ${levels}`));
	assert.equal(levels.filter(level => level === 1).length, 1);
	assert.equal(await page.getByRole("main").count(), 1);
	assert.equal(await page.locator("[role=status], [aria-live=polite]").count(), 2);
	const unnamed = await page.evaluate(() => [...document.querySelectorAll(
		"button, input, select, svg[role], canvas, body section")].filter(e =>
			!e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length)
		.length);
	assert.equal(unnamed, 0, "controls, pictures or sections without a name");
}

/* Printed, the step is there, in light colours, and nothing that only a screen can use. */
async function print(page) {
	const frames = () => page.evaluate("document.querySelector('canvas').toDataURL()");
	const theme = page.getByRole("button", { name: "Dark or light" }), light = await frames();
	await theme.click();
	assert.notEqual(await frames(), light, "the frames do not follow the theme");
	await page.emulateMedia({ media: "print" });
	await page.waitForFunction( /* the frames are printed in light colours */
		was => document.querySelector("canvas").toDataURL() === was, light);
	for (const selector of [".controls button", ".player", "input", ".theme"])
		assert.ok(!await page.locator(selector).first().isVisible(),
			`printed: ${selector}`);
	for (const selector of [".status", ".does", ".rings", ".table-gdt"])
		assert.ok(await page.locator(selector).isVisible(), `not printed: ${selector}`);
	assert.deepEqual(await tooWide(page, 718), [], "on paper: cut off"); /* A4, 1 cm of edge */
	await page.emulateMedia({ media: "screen" });
	await theme.click();
	await page.setViewportSize({ width: 1440, height: 900 });
}

async function look(page, pictures) {
	const background = () => page.evaluate(() =>
		getComputedStyle(document.body).backgroundColor);
	await source(page);
	await page.locator(".phases button", { hasText: "translate" }).first().click();
	for (const theme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme: theme });
		for (const phase of ["before", "account", "install", "commit"]) {
			await page.locator(".phases button", { hasText: phase }).last().click();
			const [contrast, element] = await leastContrast(page);
			assert.ok(contrast >= 4.5,
				`${theme}, ${phase}: ${contrast.toFixed(1)} of ${element}`);
		}
		await page.screenshot({ path: `${pictures}-${theme}.png`, fullPage: true });
	}
	const dark = await background();
	await page.getByRole("button", { name: "Dark or light" }).click();
	assert.notEqual(await background(), dark, "the button does not change the theme");
	await structure(page);
	await tabs(page);
	await widths(page);
	await print(page);
}

/* --- with a reference: what differs is marked, nothing else is --- */

async function compare(page) {
	const at = starts[7];
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

module.exports = { look, compare };
