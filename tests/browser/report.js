/* SPDX-License-Identifier: MIT */
/*
 * Opens a grader's report in headless Chromium: report.js PAGE PICTURE STATUS [DIFFERENCE]. The recording in it must show, at first,
 * the step whose status is STATUS, and, if DIFFERENCE is given, name that one among what is not as in the reference, which
 * no step before may have. Writes PICTURE. Exit status 0: all is as it must be.
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
	for (const back = frame.getByRole("button", { name: /^Step back/ }); await frame.getByRole("slider").inputValue() !== "0";) {
		await back.click();
		assert.deepEqual(await differences(), [], `a difference before the first: ${await frame.getByRole("status").textContent()}`);
	}
}

async function main() {
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
	try {
		const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, offline: true }), bad = [];
		const url = "file://" + path.resolve(file);
		page.on("console", message => bad.push("console: " + message.text()));
		page.on("pageerror", error => bad.push("error: " + error.message));
		page.on("request", request => [url, "about:srcdoc"].includes(request.url()) || request.url().startsWith("data:") || bad.push("request: " + request.url()));
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
