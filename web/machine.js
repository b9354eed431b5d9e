/* SPDX-License-Identifier: MIT */
/*
 * A PC that runs Cinnabar, in the emulator v86: in a page, or under Node. What it shows is read
 * from the emulator's memory and registers; nothing here depends on what the guest prints.
 *
 *   const m = new Machine(V86, parts);
 *   parts: wasm, bios, vga, kernel, vmm, root (ArrayBuffers; see web/build.js)
 *   m.output = byte => ...;          a byte of the serial line
 *   await m.start({ cmdline: "" });  boot, or
 *   await m.start({ state });        go on from a saved state; megabytes: of memory, if not 16
 *   m.run(); await m.stop(); m.send("ps\n");
 *
 * m.ended(status) is called when the kernel ends the run: 15 after a panic, 16 + n by shutdown(n).
 * m.loaded is called when the kernel's image is in memory, before it runs.
 * m.check is called after each slice of the emulator's work, about a thousand times a second;
 * m.mend when the emulator has met something that it does not emulate: result, whether the machine
 * can go on; if not, m.failed(error) is called.
 */
"use strict";

const MEGABYTES = 16, HOLD_STEP_MS = 5;
const LOAD_PORT = 0xF4;        /* v86's option ROM reads it when the kernel is to be loaded */
const MULTIBOOT_INFO = 0x7C00; /* where v86 puts the Multiboot information */
const MODULE_LIST = 0x7000, MODULE_TEXTS = 0x7100; /* our part of it */
const MEMORY_MAP = 0x7200;
const HAS_MODULES = 8, INFO_MODULES = 20, INFO_MAP = 44;
const LOW_MEMORY_END = 0x9FC00, HIGH_MEMORY = 0x100000;
const BIOS_BYTES = 0x20000; /* the end of memory, where SeaBIOS has put the ACPI tables */
const PAGE_BYTES = 4096, PTE_P = 1, PTE_PS = 0x80, LARGE_PAGE = 0x400000;
const CR0_PG = 0x80000000, KERNEL_BASE = 0xC0000000;
const REGISTERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"]; /* v86's order */
const PROGRAM_HEADERS = 28, HEADERS = 44, HEADER_BYTES = 32; /* of an ELF file */
const TO = 12, BYTES = 20;                                   /* of a program header */
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs", "tr", "ldtr"];

/* Where a kernel ends in memory. */
function endInMemory(kernel) {
	const elf = new DataView(kernel), word = at => elf.getUint32(at, true);
	let end = 0;
	for (let i = 0; i < elf.getUint16(HEADERS, true); i++) {
		const header = word(PROGRAM_HEADERS) + i * HEADER_BYTES;
		end = Math.max(end, word(header + TO) + word(header + BYTES));
	}
	return end;
}

class Machine {
	constructor(V86, parts) {
		this.V86 = V86;
		this.parts = parts;
		this.output = () => {};
		this.check = () => {};
		this.mend = () => false;
		this.ended = () => {};
		this.loaded = () => {};
		this.failed = error => {
			throw error;
		};
		this.halted = false;
		this.heldUntil = 0;
	}

	/* container: the element of the VGA screen, if there is one. */
	async start({ cmdline = "", state, container, megabytes = MEGABYTES }) {
		this.memoryBytes = megabytes << 20;
		const options = {
			memory_size: this.memoryBytes, acpi: true, autostart: false,
			bios: { buffer: this.parts.bios }, vga_bios: { buffer: this.parts.vga },
			multiboot: { buffer: this.parts.kernel }, cmdline,
			disable_keyboard: true, disable_mouse: true, disable_speaker: true,
			screen_container: container,
		};
		await new Promise((done, failed) => {
			const never = new Promise(() => {}); /* v86 would not catch an error */
			options.wasm_fn = imports => WebAssembly.instantiate(this.parts.wasm,
				imports).then(({ instance }) => instance.exports,
				error => (failed(error), never));
			this.emulator = new this.V86(options);
			this.emulator.add_listener("emulator-loaded", done);
		});
		this.cpu = this.emulator.v86.cpu;
		if (state)
			await this.emulator.restore_state(state);
		this.addModules();
		this.emulator.add_listener("serial0-output-byte", byte => this.output(byte));
		this.work = this.cpu.main_loop;
		this.cpu.main_loop = () => {
			if (this.halted)
				return 0;
			if (performance.now() < this.heldUntil)
				return HOLD_STEP_MS;
			try {
				const wait = this.slice();
				this.check();
				return wait;
			} catch (error) {
				this.stop();
				this.failed(error);
				return 0;
			}
		};
	}

	/*
	 * v86 loads the kernel, but only one module, and its memory map gives away what the BIOS
	 * uses. So modules and map are put there after the kernel. And what is written to this port
	 * must not end the emulator, as v86 would have it.
	 */
	addModules() {
		const port = this.cpu.io.ports[LOAD_PORT], load = port.read32;
		port.write8 = port.write16 = () => {};
		port.write32 = status => this.ended(status);
		port.read32 = () => {
			const result = load.call(this.cpu);
			this.putModules([["vmm", this.parts.vmm], ["rootfs", this.parts.root]]);
			this.putMap([[0, LOW_MEMORY_END],
				[HIGH_MEMORY, this.memoryBytes - BIOS_BYTES]]);
			this.loaded();
			return result;
		};
	}

	putModules(list) {
		const page = bytes => bytes + PAGE_BYTES - 1 & -PAGE_BYTES;
		let at = page(endInMemory(this.parts.kernel)), text = MODULE_TEXTS;
		list.forEach(([name, image], i) => {
			this.write(at, new Uint8Array(image));
			this.write(text, new TextEncoder().encode(name + "\0"));
			this.writeWords(MODULE_LIST + 16 * i,
				[at, at + image.byteLength, text, 0]);
			at += page(image.byteLength);
			text += 16;
		});
		this.writeWords(MULTIBOOT_INFO, [this.word(MULTIBOOT_INFO) | HAS_MODULES]);
		this.writeWords(MULTIBOOT_INFO + INFO_MODULES, [list.length, MODULE_LIST]);
	}

	/* Entries of 24 bytes: size of the rest, 64-bit begin and length, type 1 (memory). */
	putMap(list) {
		list.forEach(([from, to], i) =>
			this.writeWords(MEMORY_MAP + 24 * i, [20, from, 0, to - from, 0, 1]));
		this.writeWords(MULTIBOOT_INFO + INFO_MAP, [24 * list.length, MEMORY_MAP]);
	}

	run() {
		this.halted = false;
		this.emulator.run();
	}

	/* Let the running machine wait for so many milliseconds, after this slice. */
	hold(ms) {
		this.heldUntil = performance.now() + ms;
	}

	/* Stop after the slice that is being done: no instruction is executed after that. */
	stop() {
		this.halted = true;
		return this.emulator.stop();
	}

	/* Work for a millisecond. Result: for how many the CPU waits. */
	slice() {
		try {
			return this.work();
		} catch (error) {
			if (!this.mend())
				throw error;
			return 0;
		}
	}

	/* The keyboard of the serial line: a text, or its bytes. */
	send(text) {
		this.emulator.serial_send_bytes(0, typeof text === "string" ?
			new TextEncoder().encode(text) : text);
	}

	save() {
		return this.emulator.save_state();
	}

	/* --- the CPU --- */

	eip() {
		return (this.cpu.instruction_pointer[0] - this.cpu.segment_offsets[1]) >>> 0;
	}

	/* Registers and segments by their names, as in a state of a recording. */
	registers() {
		const { cpu } = this, regs = {};
		REGISTERS.forEach((name, i) => (regs[name] = cpu.reg32[i] >>> 0));
		for (const i of [0, 2, 3, 4])
			regs["cr" + i] = cpu.cr[i] >>> 0;
		return Object.assign(regs, { eip: this.eip(), eflags: cpu.get_eflags() >>> 0 });
	}

	segments() {
		const selectors = {};
		SEGMENTS.forEach((name, i) => (selectors[name] = this.cpu.sreg[i]));
		return selectors;
	}

	ring() {
		return this.cpu.cpl[0];
	}

	/* The register of a descriptor table: [base, limit]. */
	table(name) {
		return [this.cpu[name + "_offset"][0] >>> 0, this.cpu[name + "_size"][0] >>> 0];
	}

	/* Base of the TSS. */
	tss() {
		return this.cpu.segment_offsets[6] >>> 0;
	}

	/* --- memory, by machine address --- */

	/* v86's own arrays are slow to read: each access goes through a Proxy. */
	memory() {
		const { buffer } = this.cpu.wasm_memory;
		if (this.array8?.buffer !== buffer) {
			const begin = this.cpu.mem8.byteOffset;
			this.array8 = new Uint8Array(buffer, begin, this.memoryBytes);
			this.array32 = new Uint32Array(buffer, begin, this.memoryBytes / 4);
		}
		return this;
	}

	word(address) {
		return this.memory().array32[address >>> 2];
	}

	words(address, n) {
		return this.memory().array32.subarray(address >>> 2, (address >>> 2) + n);
	}

	bytes(address, n) {
		return this.memory().array8.subarray(address, address + n);
	}

	/* What was translated of these bytes is dropped. */
	write(address, bytes) {
		this.cpu.write_blob(bytes, address);
	}

	writeWords(address, words) {
		this.write(address, new Uint8Array(Uint32Array.from(words).buffer));
	}

	/* --- memory, by virtual address --- */

	/*
	 * The machine address that the loaded page tables give, or -1. Before there are any, that
	 * of the kernel's image.
	 */
	machineAddress(address) {
		if (!(this.cpu.cr[0] & CR0_PG))
			return address >= KERNEL_BASE && address - KERNEL_BASE < this.memoryBytes ?
				address - KERNEL_BASE : -1;
		return this.walk(this.cpu.cr[3] & -PAGE_BYTES, address);
	}

	walk(directory, address) {
		const pde = this.word(directory + (address >>> 22) * 4);
		if (!(pde & PTE_P))
			return -1;
		if (pde & PTE_PS) /* while it boots */
			return (pde & -LARGE_PAGE) + (address & LARGE_PAGE - 1);
		const pte = this.word((pde & -PAGE_BYTES) + (address >>> 12 & 1023) * 4);
		return pte & PTE_P ? (pte & -PAGE_BYTES) + (address & PAGE_BYTES - 1) : -1;
	}

	/* A copy of n bytes; what is not mapped is 0. */
	read(address, n) {
		const copy = new Uint8Array(n);
		for (let done = 0; done < n;) {
			const part = Math.min(n - done, PAGE_BYTES - (address + done) % PAGE_BYTES);
			const from = this.machineAddress((address + done) >>> 0);
			if (from >= 0 && from + part <= this.memoryBytes)
				copy.set(this.bytes(from, part), done);
			done += part;
		}
		return copy;
	}

	readWords(address, n) {
		return new Uint32Array(this.read(address, 4 * n).buffer);
	}

	readWord(address) {
		return this.readWords(address, 1)[0];
	}
}

if (typeof module !== "undefined")
	module.exports = { Machine };
