/* SPDX-License-Identifier: MIT */
/*
 * A machine in v86 that answers as QEMU does, so that machine/ can look at it from outside:
 *   server.js BUILD KERNEL VMM MEGABYTES RAM PREFIX CMDLINE
 *   RAM      descriptor of the file that shows the machine's memory: a chunk of it when it is asked
 *            for, and at the end all. After the memory comes a byte for each chunk: 1 while the
 *            file shows it as it is.
 *   PREFIX   of the serial line's pipes .serial.in and .serial.out, and of the sockets .qmp, .gdb
 * It speaks those parts of QEMU's machine protocol and of GDB's remote protocol that machine/qmp.c
 * and machine/gdb.c use. Time is the machine's own, as with QEMU's -icount: an instruction takes 10
 * ns, and a halted CPU skips to its next interrupt.
 */
"use strict";
const fs = require("fs");
const net = require("net");
const path = require("path");
const v8 = require("v8");
const { Machine } = require("./machine");
const { partsOf } = require("./parts");
const { Stepper } = require("./stepper");
const { instructionsOf } = require("./symbols");

/* V8's optimizing compiler would take three times as long for v86's code as that code then runs. */
v8.setFlagsFromString("--liftoff-only");

const INSTRUCTIONS_A_MS = 100000, PAGE = 4096;
const CHUNK = 65536; /* as in machine/v86.c */
const WAIT_MS = 0.01; /* at least: what is left of a wait may be too little to count */
const REGISTERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "cs",
	"ss", "ds", "es", "fs", "gs"]; /* GDB's order */
const SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS", "TR", "LDT"]; /* v86's order */
/* Words of v86's local APIC that the kernel sets: divider, initial count, LVT, vectors, IDs. */
const APIC_WORDS = [1, 3, 8, 9, 10, 11, 12, 13, 40, 41, 42], IOAPIC_WORDS = 48;

const [, , build, kernel, vmm, megabytes, ram, prefix, cmdline] = process.argv;
const hex = n => (n >>> 0).toString(16).padStart(8, "0");

/* The machine's clock is also v86's, which asks performance.now(). */
const clock = { instructions: 0, last: 0, skipped: 0, counter: null };
function count() {
	if (clock.counter) {
		const now = clock.counter[0];
		clock.instructions += now - clock.last >>> 0;
		clock.last = now;
	}
	return clock.instructions;
}
const milliseconds = () => clock.skipped + count() / INSTRUCTIONS_A_MS;

class Server {
	constructor(machine) {
		this.machine = machine;
		this.running = false;
		this.said = [];
		this.breakpoints = new Set();
		this.stepper = new Stepper(machine, null, at => this.atBreakpoint(at));
		this.shown = new Map(); /* chunks that RAM shows: number, contents */
		this.now = Buffer.alloc(CHUNK);
		machine.output = byte => this.said.push(byte);
		machine.ended = status => this.end(2 * status + 1 & 0xFF); /* as isa-debug-exit */
		machine.cpu.reboot_internal = () => {
			this.tell(this.qmp, { event: "SHUTDOWN", data: { reason: "guest-reset" } });
			this.end(0);
		};
	}

	async open() {
		const flags = fs.constants.O_RDWR | fs.constants.O_NONBLOCK;
		await this.listen("gdb", socket => this.gdbConnected(socket));
		await this.listen("qmp", socket => this.qmpConnected(socket));
		this.out = fs.openSync(prefix + "serial.out", "w");
		new net.Socket({ fd: fs.openSync(prefix + "serial.in", flags) }).on("data",
			data => this.machine.send(data));
	}

	listen(name, connected) {
		return new Promise(done => net.createServer(connected).listen(prefix + name, done));
	}

	/* --- run and stop --- */

	run() {
		if (this.running)
			return;
		this.takeMemory();
		const here = this.machine.eip();
		if (this.breakpoints.has(here))
			this.step();
		this.stepper.stopAt([...this.breakpoints]);
		this.running = true;
		this.loop();
	}

	loop() {
		if (!this.running)
			return;
		this.slice();
		this.machine.check();
		this.flush();
		setImmediate(() => this.loop());
	}

	slice() {
		const wait = this.machine.slice();
		if (this.machine.cpu.in_hlt[0])
			clock.skipped += Math.max(wait, WAIT_MS);
	}

	stop() {
		this.running = false;
		this.stepper.clear();
	}

	atBreakpoint() {
		if (!this.running)
			return;
		this.stop();
		this.reply("T05thread:01;");
	}

	step() {
		this.stepper.code ||= codeOf();
		if (!this.stepper.step())
			throw new Error("no single step at " + hex(this.machine.eip()));
	}

	flush() {
		if (this.said.length)
			fs.writeSync(this.out, Uint8Array.from(this.said));
		this.said = [];
	}

	end(status) {
		this.flush();
		this.stop();
		for (let i = 0; i < this.machine.memoryBytes / CHUNK; i++)
			this.showMemory(i);
		process.exit(status);
	}

	/* --- memory: a file that shows what is looked at, chunk by chunk --- */

	writeFile(bytes, at) {
		fs.writeSync(Number(ram), bytes, 0, bytes.length, at);
	}

	showMemory(i) {
		const chunk = Buffer.from(this.machine.bytes(i * CHUNK, CHUNK));
		this.writeFile(chunk, i * CHUNK);
		if (!this.running) {
			this.shown.set(i, chunk);
			this.writeFile(Buffer.of(1), this.machine.memoryBytes + i);
		}
		return {};
	}

	/* What was written from outside since showMemory(). The machine goes on. */
	takeMemory() {
		for (const [i, chunk] of this.shown) {
			fs.readSync(Number(ram), this.now, 0, CHUNK, i * CHUNK);
			this.writeFile(Buffer.of(0), this.machine.memoryBytes + i);
			if (this.now.equals(chunk))
				continue;
			for (let at = 0; at < CHUNK; at += PAGE)
				if (this.now.compare(chunk, at, at + PAGE, at, at + PAGE) !== 0)
					this.machine.write(i * CHUNK + at,
						this.now.subarray(at, at + PAGE));
		}
		this.shown.clear();
	}

	/* --- QEMU's machine protocol --- */

	tell(socket, object) {
		if (socket)
			socket.write(JSON.stringify(object) + "\r\n");
	}

	qmpConnected(socket) {
		this.qmp = socket;
		let text = "";
		this.tell(socket, { QMP: {} });
		socket.on("data", data => {
			const lines = (text + data).split("\n");
			text = lines.pop();
			for (const line of lines) {
				const { execute, arguments: of } = JSON.parse(line);
				const result = this.execute(execute, of);
				this.tell(socket, result === undefined ?
					{ error: { desc: "not in v86" } } : { return: result });
			}
		});
	}

	execute(command, of) {
		switch (command) {
		case "qmp_capabilities": return {};
		case "stop": this.running && this.stop(); return {};
		case "cont": this.run(); return {};
		case "show-memory": return this.showMemory(of.chunk);
		case "query-status": return { running: this.running };
		case "query-replay": return { icount: count() };
		case "qom-get": return this.time();
		case "human-monitor-command": return this.human(of["command-line"]);
		}
	}

	time() {
		const now = new Date(milliseconds());
		return { tm_year: now.getUTCFullYear() - 1900, tm_mon: now.getUTCMonth(),
			tm_mday: now.getUTCDate(), tm_hour: now.getUTCHours(),
			tm_min: now.getUTCMinutes(), tm_sec: now.getUTCSeconds() };
	}

	human(command) {
		const { cpu } = this.machine, words = (at, n) => [...new Uint32Array(
			cpu.wasm_memory.buffer, at, n)];
		if (command.startsWith("info registers"))
			return this.registers();
		if (command.startsWith("info lapic")) {
			const all = words(cpu.get_apic_addr(), 46);
			return "LVT0 " + APIC_WORDS.map(i => hex(all[i])).join(" ") +
				" current_count";
		}
		if (command === "info pic")
			return "pin " + words(cpu.get_ioapic_addr(), IOAPIC_WORDS).map(hex)
				.join(" ") + "I";
	}

	registers() {
		const { cpu } = this.machine, r = this.machine.registers();
		const numbers = REGISTERS.slice(0, 9).map(
			name => name.toUpperCase() + "=" + hex(r[name]));
		const segments = SEGMENTS.map((name, i) => [name.padEnd(3) + "=" + hex(cpu.sreg[i]),
			hex(cpu.segment_offsets[i]), hex(cpu.segment_limits[i]),
			hex(cpu.segment_access_bytes[i] << 8)].join(" "));
		const tables = ["gdtr", "idtr"].map(name => name.slice(0, 3).toUpperCase() +
			"= " + this.machine.table(name).map(hex).join(" "));
		const control = [0, 2, 3, 4].map(i => `CR${i}=` + hex(r["cr" + i]));
		return ["CPU#0", ...numbers, "EFL=" + hex(r.eflags) + " CPL=" + cpu.cpl[0] +
			" HLT=" + cpu.in_hlt[0], ...segments, ...tables, ...control, ""].join("\n");
	}

	/* --- GDB's remote protocol --- */

	reply(text) {
		if (!this.gdb)
			return;
		const sum = [...text].reduce((n, c) => n + c.charCodeAt(0) & 0xFF, 0);
		this.gdb.write("$" + text + "#" + sum.toString(16).padStart(2, "0"));
	}

	gdbConnected(socket) {
		this.gdb = socket;
		let text = "";
		socket.on("close", () => (this.gdb = null));
		socket.on("data", data => {
			text += data;
			for (let packet; (packet = text.match(/^[^$]*\$([^#]*)#../s));) {
				text = text.slice(packet[0].length);
				const answer = this.obey(packet[1]);
				if (answer !== undefined)
					this.reply(answer);
			}
		});
	}

	/* Result: the answer; undefined: the machine's next stop is the answer. */
	obey(packet) {
		const [, letter, rest] = packet.match(/^(vCont;.|.)(.*)$/s);
		const numbers = rest.split(/[,=:]/).map(n => parseInt(n, 16));
		switch (letter) {
		case "c": case "vCont;c": return this.run();
		case "s": case "vCont;s":
			this.takeMemory();
			this.step();
			return "T05thread:01;";
		case "p": return this.register(numbers[0]);
		case "g": return REGISTERS.map((_, i) => this.register(i)).join("");
		case "P": return this.setRegister(numbers[0], rest.split("=")[1]);
		case "G":
			rest.match(/.{8}/g).slice(0, 10).forEach((n, i) => this.setRegister(i, n));
			return "OK";
		case "m": return Buffer.from(this.machine.read(...numbers)).toString("hex");
		case "Z": this.breakpoints.add(numbers[1]); return "OK";
		case "z": this.breakpoints.delete(numbers[1]); return "OK";
		case "q": return "l";
		default: return "OK";
		}
	}

	register(i) {
		const all = { ...this.machine.registers(), ...this.machine.segments() };
		const bytes = Buffer.alloc(4);
		bytes.writeUInt32LE(all[REGISTERS[i]] >>> 0);
		return bytes.toString("hex");
	}

	setRegister(i, text) {
		const { cpu } = this.machine, value = Buffer.from(text, "hex").readInt32LE();
		if (i < 8)
			cpu.reg32[i] = value;
		else if (REGISTERS[i] === "eip")
			cpu.instruction_pointer[0] = value + cpu.segment_offsets[1];
		else if (REGISTERS[i] === "eflags")
			[cpu.flags[0], cpu.flags_changed[0]] = [value, 0];
		return "OK";
	}
}

/* The instructions of kernel and VMM, as Stepper wants them. */
function codeOf() {
	const code = new Map();
	for (const elf of [kernel, vmm])
		instructionsOf(elf).forEach(([at, text], i, list) =>
			code.set(at, { text, next: list[i + 1]?.[0] }));
	return code;
}

async function main() {
	performance.now = milliseconds;
	const packages = path.join(build, "web", "node_modules");
	const { V86 } = await import(path.resolve(packages, "v86/build/libv86.mjs"));
	const machine = new Machine(V86, partsOf(build, packages, kernel, vmm));
	await machine.start({ cmdline, megabytes: Number(megabytes) });
	clock.counter = machine.cpu.instruction_counter;
	process.on("uncaughtException", error => fail(machine, error));
	await new Server(machine).open();
}

/* What v86 cannot emulate ends it, as QEMU ends itself then. v86's own words came before. */
function fail(machine, error) {
	console.error(`v86: fatal: ${error.message}, at EIP ${hex(machine.cpu.previous_ip[0])}`);
	process.abort();
}

main();
