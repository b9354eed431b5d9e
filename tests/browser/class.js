/* SPDX-License-Identifier: MIT */
/*
 * Opens a class's page in headless Chromium, scripts forbidden: class.js PAGE. Each radio button
 * orders the rows as it says, and cells stay below their column's head. Exit status 0: so it is.
 */
"use strict";
const assert = require("assert");
const { run } = require("./browser");

/* What a reader sees: the rows from top to bottom, each as its cells from left to right. */
async function rows(page) {
	const cells = [];
	for (const cell of await page.locator("#class tbody :is(th, td)").all()) {
		const box = await cell.boundingBox();
		cells.push({ y: Math.round(box.y), x: box.x, text: await cell.innerText() });
	}
	const lines = new Map();
	for (const cell of cells)
		lines.set(cell.y, [...(lines.get(cell.y) || []), cell]);
	return [...lines.entries()].sort((a, b) => a[0] - b[0])
		.map(([, line]) => line.sort((a, b) => a.x - b.x).map(cell => cell.text));
}

run(async open => {
	const page = await open(process.argv[2], { javaScriptEnabled: false });
	const byName = await rows(page);
	const columns = await page.locator("#class thead th").count();
	assert.ok(byName.length >= 4, `only ${byName.length} rows`);
	for (const row of byName)
		assert.equal(row.length, columns, `cells of ${row[0]}`);
	await page.locator("#by-score").check();
	const byScore = await rows(page);
	const scores = byScore.map(row => isNaN(row[1]) ? -1 : Number(row[1]));
	assert.deepEqual(scores, [...scores].sort((a, b) => a - b), "by points");
	assert.notDeepEqual(byScore, byName);
	await page.locator("#by-outcome").check();
	const graded = (await rows(page)).map(row => !isNaN(row[1]));
	assert.deepEqual(graded, [...graded].sort(), "without a grade first");
	assert.deepEqual([...byScore].sort(), [...byName].sort(), "rows have changed");
});
