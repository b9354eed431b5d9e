/* SPDX-License-Identifier: MIT */
/*
 * Chromium's headless shell for the tests: run(check) starts it, awaits check(open), and ends the
 * program with status 0, or with the reason and status 1. open(file, options) gives a page that
 * shows a file. options are Playwright's for a page; hash is added to the address, clock replaces
 * the page's clock, address is one that shows the file, before(page) is called before it is opened,
 * says is what the page may write to the console, if it may write anything.
 * page.subject, if set, is named in complaints. Such a page must load nothing else, and no script
 * on it may fail: else run() fails, too. check() may fail in two ways: it throws, or it has called
 * complain(text). patience() is how many milliseconds a page may take for what it does: a minute,
 * and on a busy host as many minutes as processes share a processor.
 */
"use strict";
const os = require("os");
const path = require("path");
const { chromium } = require("playwright-core");

const complaints = [];
const complain = text => complaints.push(text);
const patience = () => 60000 * Math.max(1, os.loadavg()[0] / os.cpus().length);

/* May a page of this folder load this address? */
function allowed(url, folder) {
	return url.startsWith("file://" + folder) || url === "about:srcdoc" ||
		url.startsWith("data:") || url.startsWith("blob:");
}

async function open(browser, file, options = {}, folder = path.resolve(file)) {
	const page = await browser.newPage({
		viewport: { width: 1440, height: 900 }, offline: true, ...options,
	});
	page.setDefaultTimeout(patience());
	const at = text => complain((page.subject || path.basename(file)) + ": " + text);
	page.on("console", message => options.says?.test(message.text()) ||
		at("console: " + message.text()));
	page.on("pageerror", error => at("error: " + error.message));
	page.on("dialog", dialog => {
		at("a script runs: " + dialog.message());
		dialog.dismiss();
	});
	page.on("requestfailed", request => at("not loaded: " + request.url()));
	page.on("request", request => allowed(request.url(), folder) ||
		request.url() === options.address || at("request: " + request.url()));
	if (options.clock)
		await page.clock.install();
	if (options.before)
		await options.before(page);
	await page.goto((options.address || "file://" + path.resolve(file)) + (options.hash || ""));
	return page;
}

async function run(check, args = []) {
	const browser = await chromium.launch({
		executablePath: process.env.CHROMIUM || "/usr/bin/chromium-headless-shell",
		args: ["--no-sandbox", ...args],
	});
	try {
		await check((...of) => open(browser, ...of));
	} catch (error) {
		const here = error.stack.split("\n").filter(line => line.includes(__dirname));
		complain([error.message, ...here].join("\n"));
	}
	await browser.close();
	if (complaints.length) {
		console.error([...new Set(complaints)].slice(0, 30).join("\n"));
		process.exit(1);
	}
}

module.exports = { run, complain, patience };
