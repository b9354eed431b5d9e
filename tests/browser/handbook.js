/* SPDX-License-Identifier: MIT */
/*
 * Opens all pages of the handbook in headless Chromium: handbook.js FOLDER. On none may a script
 * fail or something be missing, in windows of 360 to 2560 px nothing is cut off at the right, no
 * word of a heading is broken, and each picture has a name, and its words can be read. Exit status
 * 0: all is as it must be.
 */
"use strict";
const fs = require("fs");
const path = require("path");
const { run, complain } = require("./browser");

const root = path.resolve(process.argv[2]);
const files = fs.readdirSync(root, { recursive: true }).map(String)
	.filter(file => file.endsWith(".html") && !file.startsWith("_static"))
	.filter(file => file !== "index.html").sort(); /* it leads to docs/index.html at once */

/* From 1720 on only the margins grow. */
const WIDTHS = [];
for (let width = 360; width <= 2560; width += width < 1720 ? 40 : 120)
	WIDTHS.push(width);

/*
 * In an empty page: the widths at which a file does not fit, and why. The file is in a frame
 * whose width changes: that is one layout for each width, and no turn of the window.
 */
async function misfits([url, widths, readable]) {
	const frame = document.createElement("iframe");
	frame.style.cssText = `border: 0; height: 900px; width: ${widths[0]}px`;
	document.body.replaceChildren(frame);
	await new Promise(done => {
		frame.onload = done;
		frame.src = url;
	});
	/* The page's scripts begin with its first picture. */
	await new Promise(done =>
		frame.contentWindow.requestAnimationFrame(() => setTimeout(done)));
	const page = frame.contentDocument, bad = [];
	const parts = [page.documentElement, ...page.querySelectorAll(".content")];
	for (const width of widths) {
		frame.style.width = width + "px";
		if (parts.every(e => e.scrollWidth <= e.clientWidth + 1))
			continue;
		/* Code and tables may be wider than the page: they scroll by themselves. */
		const edge = page.documentElement.clientWidth;
		const wide = [...page.querySelectorAll("body *")].find(
			e => e.getBoundingClientRect().right > edge + 1 &&
				!e.children.length && !e.closest("pre, .table-wrapper"));
		bad.push(`${width} px: ${wide ? wide.textContent.slice(0, 40) : "?"}`);
	}
	const unnamed = [...page.querySelectorAll("article img, article object, article svg")]
		.filter(e => !(e.getAttribute("alt") || e.getAttribute("aria-label")));
	frame.style.width = widths[0] + "px";
	const broken = [...page.querySelectorAll("h1, h2, h3")].filter(e => {
		const range = page.createRange();
		const words = page.createTreeWalker(e, NodeFilter.SHOW_TEXT);
		while (words.nextNode())
			for (const at of words.currentNode.data.matchAll(/\p{L}+/gu)) {
				range.setStart(words.currentNode, at.index);
				range.setEnd(words.currentNode, at.index + at[0].length);
				if (range.getClientRects().length > 1)
					return true;
			}
		return false;
	});
	if (broken.length)
		bad.push(`a word is broken in “${broken[0].textContent}”`);
	const small = [...page.querySelectorAll("article img")].filter(
		e => e.getBoundingClientRect().width < e.naturalWidth * readable);
	if (small.length)
		bad.push(`${small.length} figures too small to read`);
	if (unnamed.length)
		bad.push(`${unnamed.length} pictures without a name`);
	return bad;
}

run(async open => {
	const frame = await open(path.join(root, "_static/code.css"), {}, root);
	for (const file of files) {
		frame.subject = file;
		const bad = await frame.evaluate(misfits,
			["file://" + path.join(root, file), WIDTHS, 0.8]);
		if (bad.length)
			complain(`${file}: ${bad.length} times: ${bad[0]} ... ${bad.pop()}`);
	}
}, ["--allow-file-access-from-files"]);
