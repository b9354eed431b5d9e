/* SPDX-License-Identifier: MIT */
/*
 * Opens a grader's report in headless Chromium: report.js PAGE PICTURE STATUS [DIFFERENCE]. The
 * recording in it must show the step with this STATUS first. If DIFFERENCE is given, that step must
 * name it among the differences to the reference, and no earlier step may have a difference. Writes
 * PICTURE. Exit status 0: all is as it must be.
 */
"use strict";
const assert = require("assert");
const path = require("path");
const { chromium } = require("playwright-core");

const [, , file, picture, status, difference] = process.argv;

async function check(page) {
	const frame = page.frameLocator("#recording iframe");
	const differences = () => frame.locator(".differences li").allTextContents();
	assert.equal(await frame.getByRole("status").textContent(), status);
	const first = await differences();
	if (difference)
		assert.ok(first.includes(difference), `not named: ${difference}; but: ${first}`);
	else
		assert.deepEqual(first, []);
	await page.locator("#recording").scrollIntoViewIfNeeded();
	await page.screenshot({ path: picture });
	const back = frame.getByRole("button", { name: /^Step back/ });
	while (await frame.getByRole("slider").inputValue() !== "0") {
		await back.click();
		const at = await frame.getByRole("status").textContent();
		assert.deepEqual(await differences(), [], `a difference before the first: ${at}`);
	}
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
			if (![url, "about:srcdoc"].includes(from) && !from.startsWith("data:"))
				bad.push("request: " + from);
		});
		await page.goto(url);
		await check(page);
		assert.deepEqual(bad, []);
	} finally {
		await browser.close();
	}
}

main().catch(error => {
	console.error(error.message);
	process.exit(1);
});
