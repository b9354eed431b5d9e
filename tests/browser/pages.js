/* SPDX-License-Identifier: MIT */
/*
 * Opens a page of the grader's in headless Chromium at three widths, light and dark: pages.js PAGE
 * PICTURES. Nothing may be cut off or need scrolling to the side, no script may run but the
 * recording's, nothing may be loaded, every link within the page must lead somewhere, and text must
 * stand out from its background (WCAG 2, 1.4.3: 4.5 to 1). Writes PICTURES-WIDTH-SCHEME.png. Exit
 * status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const { run } = require("./browser");

const [, , file, pictures] = process.argv;

/* In the page: what is wider than the window, and what leads nowhere. */
function look() {
	const wide = [...document.querySelectorAll("body *")]
		.filter(e => e.getBoundingClientRect().right > innerWidth + 1 &&
			!e.closest(".scrolls"))
		.map(e => e.tagName + " " + e.textContent.slice(0, 60));
	const lost = [...document.querySelectorAll("a[href^='#']")]
		.filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1))))
		.map(a => a.getAttribute("href"));
	return { wide, lost, width: document.documentElement.scrollWidth };
}

/* In the page: texts whose contrast to their background is below 4.5. */
function pale() {
	const numbers = color => color.match(/[\d.]+/g).map(Number);
	const linear = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
	const luminance = ([r, g, b]) =>
		0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;
	function background(e) {
		for (; e; e = e.parentElement) {
			const c = numbers(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0)
				return c;
		}
		return dark ? [18, 18, 18] : [255, 255, 255];
	}
	return [...document.querySelectorAll("body *")]
		.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
		.filter(e => {
			const a = luminance(numbers(getComputedStyle(e).color));
			const b = luminance(background(e));
			return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
		})
		.map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));
}

async function check(open, width, colorScheme) {
	const page = await open(file, { viewport: { width, height: 900 }, colorScheme });
	const seen = await page.evaluate(look);
	const at = `${width} px, ${colorScheme}`;
	await page.screenshot({ path: `${pictures}-${width}-${colorScheme}.png`, fullPage: true });
	assert.ok(seen.width <= width, `${at}: the page is ${seen.width} px wide: ${seen.wide}`);
	assert.deepEqual(seen.wide, [], `${at}: cut off`);
	assert.deepEqual(seen.lost, [], `${at}: these links lead nowhere`);
	assert.deepEqual(await page.evaluate(pale), [], `${at}: too pale`);
	await page.close();
}

run(async open => {
	for (const width of [360, 768, 1280])
		for (const scheme of ["light", "dark"])
			await check(open, width, scheme);
});
