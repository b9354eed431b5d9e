/* SPDX-License-Identifier: MIT */
/* The files that a Machine is made of: from the build, from npm, from Debian's package seabios. */
"use strict";
const fs = require("fs");
const path = require("path");

const SEABIOS = "/usr/share/seabios";
const PROGRAM_HEADERS = 28, ENTRY_BYTES = 32, LOAD = 1; /* of an ELF file */

const read = file => {
	const data = fs.readFileSync(file);
	return data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
};

/* What is loaded of an ELF file stands before its symbols and debug information. */
function loaded(file) {
	const elf = read(file), view = new DataView(elf);
	let end = 0;
	for (let i = 0; i < view.getUint16(44, true); i++) {
		const at = view.getUint32(PROGRAM_HEADERS, true) + i * ENTRY_BYTES;
		if (view.getUint32(at, true) === LOAD)
			end = Math.max(end, view.getUint32(at + 4, true) +
				view.getUint32(at + 16, true));
	}
	return elf.slice(0, end);
}

function partsOf(build, packages, kernel = path.join(build, "cinnabar"),
	vmm = path.join(build, "vmm")) {
	return {
		wasm: read(path.join(packages, "v86/build/v86.wasm")),
		bios: read(path.join(SEABIOS, "bios.bin")),
		vga: read(path.join(SEABIOS, "vgabios-stdvga.bin")),
		kernel: read(kernel), vmm: loaded(vmm),
		root: read(path.join(build, "rootfs.ext2")),
	};
}

module.exports = { partsOf };
