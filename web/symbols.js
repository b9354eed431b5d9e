/* SPDX-License-Identifier: MIT */
/*
 * What the page knows of kernel and VMM, taken from their ELF files: symbols, the layouts of
 * structures, and for each instruction its text and its line of the sources.
 *   readFacts(build) gives
 *     kernel, vmm   symbol -> address
 *     offsets       build/kernel/offsets.h, name -> number
 *     layout, ...   the names of a recording (`trace names`)
 *     code          { files, functions, kernel, vmm }: the last two are lists of instructions,
 *                   [address, text, index of the file, line, index of the function, index of the
 *                   function into which the compiler put it]
 *     sources       file -> its text
 */
"use strict";
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const run = (program, args, input) => execFileSync(program, args,
	{ input, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "inherit"] });

function symbolsOf(elf) {
	const symbols = {};
	for (const line of run("nm", [elf]).split("\n")) {
		const [address, , name] = line.split(" ");
		if (name)
			symbols[name] = parseInt(address, 16);
	}
	return symbols;
}

function offsetsOf(header) {
	const defines = [...fs.readFileSync(header, "utf8").matchAll(/^#define (\w+) (\w+)$/gm)];
	return Object.fromEntries(defines.map(([, name, value]) => [name, Number(value)]));
}

/* A list in which each text stands once. */
class Names {
	constructor() {
		this.list = [];
		this.indexes = new Map();
	}

	index(text) {
		if (!this.indexes.has(text))
			this.indexes.set(text, this.list.push(text) - 1);
		return this.indexes.get(text);
	}
}

/* Instructions as [address, text]: objdump prints "c0111740:	push   %ebp". */
function instructionsOf(elf) {
	const lines = run("objdump", ["-d", "--no-show-raw-insn", elf]).matchAll(
		/^ *([0-9a-f]+):\t([^\n#]*)/gm);
	return [...lines].map(([, address, text]) => [parseInt(address, 16), text.trim()]);
}

/*
 * Add the places. addr2line answers with the address, then with pairs of lines: a function, and
 * its file and line. The innermost function comes first, the one that the others were inlined
 * into comes last.
 */
function addPlaces(elf, code, files, functions) {
	const root = process.cwd() + path.sep;
	const answer = run("addr2line", ["-e", elf, "-a", "-f", "-i"],
		code.map(([address]) => "0x" + address.toString(16)).join("\n"));
	answer.split(/^0x/m).slice(1).forEach((part, i) => {
		const [, ...pairs] = part.trim().split("\n");
		const [file, line] = pairs[1].replace(/ \(.*/, "").split(":");
		const known = file.startsWith(root) ? file.slice(root.length) : "";
		code[i].push(files.index(known), parseInt(line, 10) || 0, functions.index(pairs[0]),
			functions.index(pairs[pairs.length - 2]));
	});
	return code;
}

function readFacts(build) {
	const elf = { kernel: path.join(build, "cinnabar"), vmm: path.join(build, "vmm") };
	const files = new Names(), functions = new Names(), sources = {};
	const codeOf = file => addPlaces(file, instructionsOf(file), files, functions);
	const code = { kernel: codeOf(elf.kernel), vmm: codeOf(elf.vmm) };
	for (const file of files.list)
		if (file && fs.existsSync(file))
			sources[file] = fs.readFileSync(file, "utf8");
	return {
		...JSON.parse(run(path.join(build, "trace"), ["names"])),
		kernel: symbolsOf(elf.kernel), vmm: symbolsOf(elf.vmm),
		offsets: offsetsOf(path.join(build, "kernel", "offsets.h")),
		code: { files: files.list, functions: functions.list, ...code }, sources,
	};
}

module.exports = { readFacts, instructionsOf };
