/* SPDX-License-Identifier: MIT */
/*
 * Opens a grader's report in headless Chromium: report.js PAGE PICTURE STATUS [DIFFERENCE]. The
 * recording in it must show the step with this STATUS first. If DIFFERENCE is given, that step must
 * name it among the differences to the reference, and no earlier step may have a difference. Writes
 * PICTURE. Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const { run } = require("./browser");

const [, , file, picture, status, difference] = process.argv;

async function check(page) {
	const frame = page.frameLocator("#recording iframe");
	const differences = () => frame.locator(".differences li").allTextContents();
	assert.equal(await frame.getByRole("status").textContent(), status);
	for (const part of [".does", ".rings"])
		assert.ok(await frame.locator(part).isVisible(), `no ${part}`);
	assert.ok(!await frame.locator(".link").isVisible(), "a link that leads nowhere");
	const first = await differences();
	if (difference)
		assert.ok(first.includes(difference), `not named: ${difference}; but: ${first}`);
	else
		assert.deepEqual(first, []);
	const commit = frame.locator(".phases button", { hasText: "commit" });
	if (await commit.count()) {
		await commit.click();
		const vo = () => frame.locator("[data-now='VO in use']").textContent();
		assert.equal(await vo(), "virtual", "after commit");
		await frame.getByRole("button", { name: /^Step back/ }).click();
		assert.equal(await vo(), "native", "before commit");
		await frame.getByRole("button", { name: "first difference" }).click();
	} else {
		assert.ok(!difference, "commit is not shown");
	}
	await page.locator("#recording").scrollIntoViewIfNeeded();
	await page.screenshot({ path: picture });
	const back = frame.getByRole("button", { name: /^Step back/ });
	while (await frame.getByRole("slider").inputValue() !== "0") {
		await back.click();
		const at = await frame.getByRole("status").textContent();
		assert.deepEqual(await differences(), [], `a difference before the first: ${at}`);
	}
}

run(async open => check(await open(file)));
