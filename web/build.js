/* SPDX-License-Identifier: MIT */
/*
 * Writes the page of `make web`: build.js BUILD, the folder of the build. BUILD/web/node_modules
 * has the packages. The page BUILD/web/index.html is one file with everything in it, packed: the
 * emulator, BIOS, kernel, VMM and root file system, what is known of their code, and the state of
 * a machine that has booted to its prompt.
 */
"use strict";
const fs = require("fs");
const path = require("path");
const { gzipSync } = require("zlib");
const { Machine } = require("./machine");
const { partsOf } = require("./parts");
const { readFacts } = require("./symbols");

const BYTES_MAX = 8e6, BOOT_MS = 60000;
const SCRIPTS = ["viewer/recording.js", "viewer/decode.js", "viewer/story.js", "viewer/draw.js",
	"viewer/figure.js", "viewer/memory.js", "viewer/play.js", "viewer/skeleton.js",
	"viewer/viewer.js",
	"web/machine.js", "web/state.js", "web/successor.js", "web/stepper.js", "web/session.js",
	"web/lessons.js", "web/panels.js", "web/page.js"];

/* The state of a machine at its prompt. A student's kernel may not come there: then null. */
async function boot(packages, parts) {
	const { V86 } = await import(path.resolve(packages, "v86/build/libv86.mjs"));
	const machine = new Machine(V86, parts);
	let text = "", ended = false;
	machine.output = byte => (text += String.fromCharCode(byte));
	machine.ended = () => (ended = true);
	await machine.start({});
	machine.run();
	const end = Date.now() + BOOT_MS;
	while (!text.endsWith("$ ") && !ended && Date.now() < end)
		await new Promise(done => setTimeout(done, 20));
	await machine.stop();
	if (!text.endsWith("$ "))
		console.error("web: this kernel does not come to its prompt; the page boots it " +
			"in view of the reader. It printed:\n" + text);
	return text.endsWith("$ ") ? { text, state: await machine.save() } : null;
}

const packed = data => gzipSync(Buffer.from(data), { level: 9 }).toString("base64");

/* Text of a script element, which "</script" would end. */
const script = text => text.replace(/<\/script/g, "<\\/script");

/* How the scripts are loaded under Node is no part of the page. */
const forPage = file => fs.readFileSync(file, "utf8").replace(
	/^if \(typeof (module|require).*\n\t.*\n/gm, "").replace(/^"use strict";$/m, "");

async function main() {
	const build = process.argv[2] || "build", out = path.join(build, "web");
	const packages = path.join(out, "node_modules");
	const parts = partsOf(build, packages), booted = await boot(packages, parts);
	const facts = Object.assign(readFacts(build), { prompt: booted ? booted.text : "" });
	const text = file => fs.readFileSync(path.join(packages, file), "utf8");
	const data = Object.entries({ ...parts, facts: JSON.stringify(facts),
		...(booted ? { state: booted.state } : {}) }).map(([name, value]) =>
		`<script type="application/octet-stream" id="part-${name}">` +
		`${packed(value)}</script>`);
	const marks = {
		STYLE: ["viewer/viewer.css", "web/web.css"].map(
			file => fs.readFileSync(file, "utf8")).join("\n") +
			text("@xterm/xterm/css/xterm.css"),
		PACKAGES: script(text("v86/build/libv86.js") + "\n" +
			text("@xterm/xterm/lib/xterm.js")),
		DATA: data.join("\n"),
		LICENCES: ["v86", "@xterm/xterm"].map(name => name + "\n\n" +
			text(name + "/LICENSE").replace(/</g, "&lt;")).join("\n\n"),
		PAGE: script('"use strict";\n' + SCRIPTS.map(forPage).join("\n")),
	};
	const page = fs.readFileSync("web/page.html", "utf8").replace(
		/@@(\w+)@@/g, (_, name) => marks[name]);
	if (page.length > BYTES_MAX)
		throw new Error(`the page has ${page.length} bytes, more than ${BYTES_MAX}`);
	fs.writeFileSync(path.join(out, "index.html"), page);
	console.log(`web: ${path.join(out, "index.html")}, ${page.length} bytes`);
	process.exit(0);
}

main().catch(error => {
	console.error("web: " + error.message);
	process.exit(1);
});
