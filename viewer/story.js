/* SPDX-License-Identifier: MIT */
/*
 * The story of a switch, for somebody who has not read the code. Plain data and storyOf():
 *   STORY      direction -> phase -> what it does, why, and what would break without it
 *   FUNCTIONS  function -> what it does
 *   WORDS      [word, what it means]
 */
"use strict";

const BOTH = {
	request: {
		does: "The kernel raises the interrupt VEC_SWITCH on every CPU, its own included.",
		why: "An interrupt stops a CPU wherever it is, and leaves a trap frame through " +
			"which the CPU goes on later.",
		without: "Other CPUs would go on running kernel code while the tables below that " +
			"code change.",
	},
	gather: {
		does: "The CPU that leads waits until every CPU has come to the handler, " +
			"interrupts off.",
		why: "A machine can be changed as a whole only while nobody else changes it.",
		without: "A CPU still at work would use tables that are half exchanged.",
	},
	quiesce: {
		does: "The kernel makes sure that no CPU was interrupted inside the VO, the set " +
			"of its sensitive operations.",
		why: "An operation that began in one ring must not end in the other.",
		without: "Code like \u201cread the flags, turn interrupts off\u201d would do one " +
			"half in each mode, and the interrupts would stay on.",
	},
	resume: {
		does: "All CPUs return from the handler, and the program that wrote to " +
			"/proc/mode goes on.",
		why: "For the programs the whole switch was one interrupt.",
		without: "The CPUs would stay in the handler for ever.",
	},
};

const STORY = {
	attach: {
		before: {
			does: "The kernel runs in ring 0 and owns the machine; the VMM lies in " +
				"memory, ready, and sleeps.",
			why: "A program has just written \u201cvirtual\u201d to /proc/mode: the " +
				"kernel is to get a VMM beneath it, without a restart.",
		},
		request: BOTH.request, gather: BOTH.gather, quiesce: BOTH.quiesce,
		account: {
			does: "The VMM checks each entry of the page tables that the CPUs use, " +
				"and notes what each frame is and how often it is used. It has " +
				"checked the kernel's own tables at boot; a program's come at " +
				"their next use.",
			why: "The VMM must know which frames are page tables: whoever can write " +
				"one can reach any memory.",
			without: "The kernel could keep a page that shows the VMM's memory, and " +
				"use it after the switch.",
		},
		protect: {
			does: "The interrupt controllers' pages disappear. The kernel's own page " +
				"tables are read-only already; a program's become so at their " +
				"next use.",
			why: "From now on the kernel may read its page tables, but must ask the " +
				"VMM to change them.",
			without: "One store into a page table would give the kernel any frame of " +
				"the machine, the VMM's frames included.",
		},
		install: {
			does: "Each CPU loads the VMM's GDT, IDT and TSS, and leaves the VMM " +
				"into ring 1. It uses the kernel's own page directory (CR3) now: " +
				"a program is mapped again at its next use.",
			why: "These tables decide which ring code runs in, and who is entered by " +
				"a fault or an interrupt.",
			without: "The kernel would stay in ring 0, where every instruction is " +
				"allowed: no VMM could stop it.",
		},
		translate: {
			does: "In each saved trap frame of interrupted kernel code, CS becomes " +
				"0x09 (ring 1) instead of 0x08 (ring 0).",
			why: "Tasks that were interrupted in ring 0 must return to ring 1.",
			without: "The first return through an old frame would be a general " +
				"protection fault: code in ring 1 cannot return to ring 0.",
		},
		commit: {
			does: "The VO is exchanged: virtual_vo takes the place of native_vo.",
			why: "Where the kernel executed a sensitive instruction itself, it now " +
				"asks the VMM. Until here everything could be undone.",
			without: "The kernel would use instructions that fault in ring 1, or " +
				"that silently do something else there.",
		},
		resume: BOTH.resume,
	},
	detach: {
		before: {
			does: "The kernel runs in ring 1; page faults, interrupts and hypercalls " +
				"enter the VMM in ring 0.",
			why: "A program has just written \u201cnative\u201d to /proc/mode: the " +
				"VMM is to go away again.",
		},
		request: BOTH.request, gather: BOTH.gather, quiesce: BOTH.quiesce,
		account: {
			does: "Nothing: the VMM keeps what it noted of the frames.",
			why: "If a later phase fails, the way back to virtual mode needs the " +
				"notes.",
			without: "(Nothing would break: this phase has work at attach only.)",
		},
		protect: {
			does: "The kernel asks by a hypercall, and the page tables of the " +
				"programs become writable again.",
			why: "In native mode the kernel changes its page tables itself.",
			without: "The kernel's next store into a page table would be a page fault.",
		},
		install: {
			does: "Each CPU asks by a hypercall; the VMM loads the kernel's own GDT, " +
				"IDT and TSS, and leaves into ring 0.",
			why: "Code in ring 1 cannot get to ring 0 by itself: only the VMM can " +
				"give that ring back.",
			without: "The kernel would stay in ring 1, and each interrupt would " +
				"still enter the VMM.",
		},
		translate: {
			does: "In each saved trap frame of interrupted kernel code, CS becomes " +
				"0x08 (ring 0) instead of 0x09 (ring 1).",
			why: "Tasks that were interrupted in ring 1 must return to ring 0.",
			without: "The first return through an old frame would be a general " +
				"protection fault: the kernel's own GDT has no code segment of " +
				"ring 1.",
		},
		commit: {
			does: "The VO is exchanged: native_vo takes the place of virtual_vo. " +
				"Then the VMM forgets its notes, and sleeps.",
			why: "The kernel executes sensitive instructions itself again. Until " +
				"here everything could be undone.",
			without: "The kernel would go on asking a VMM that no longer answers.",
		},
		resume: BOTH.resume,
	},
};

/* Stories about domains (domains.c): a story has phases of its own. */
STORY["domain switch"] = {
	before: {
		does: "A guest computes. Domain 0 sleeps, and its next tick is due now.",
		why: "A CPU is one; the domains take turns on it. The timer belongs to the VMM.",
	},
	interrupt: {
		does: "The timer interrupts the guest. The CPU enters the VMM on the VMM's own " +
			"stack, and the entry saves the general registers, DS and ES there.",
		why: "These are all that the VMM itself overwrites. Everything else of the guest " +
			"stays in the CPU for now.",
		without: "The guest could not go on later as if nothing had been.",
	},
	note: {
		does: "The VMM acknowledges the interrupt, and notes in one word, the hazard, " +
			"that on the way out another vCPU may be due.",
		why: "Nothing is switched in the middle of a handler: only the way out, where " +
			"nothing else is half done, changes who runs.",
		without: "A handler would end for another domain than it began for.",
	},
	choose: {
		does: "The way out charges the guest for its nanoseconds, looks which timers are " +
			"due, and picks the vCPU with the least virtual time.",
		why: "Domain 0's tick is due, so it can run again; and it may borrow time, " +
			"so it goes first: devices wait for it.",
		without: "A guest in an endless loop would keep the CPU for ever.",
	},
	exchange: {
		does: "The guest's registers are copied from the VMM's stack to its vCPU, and " +
			"domain 0's to the stack; then FS, GS, CR2 and the kernel's stack.",
		why: "Each class of state has an owner, and is stored only when another needs " +
			"its place. The FPU's registers stay: domain 0 does not use them now.",
		without: "One domain would see, or lose, the registers of the other.",
	},
	memory: {
		does: "CR3 is loaded with domain 0's page directory, and the whole TLB is " +
			"flushed, with its global entries.",
		why: "Both kernels live at the same addresses, in entries that a load of CR3 " +
			"alone would leave in the TLB.",
		without: "Domain 0's kernel would run on the memory of the guest.",
	},
	deliver: {
		does: "The tick is an event for domain 0: the VMM builds a frame on its kernel's " +
			"stack, as the hardware would, and leaves into its handler in ring 1.",
		why: "For domain 0's kernel this was one interrupt.",
		without: "Domain 0 would go on sleeping.",
	},
};
STORY["block request"] = {
	before: {
		does: "The kernel of a guest wants a block of its disk. The disk is a file of " +
			"domain 0. Both see some pages: the ring.",
		why: "A guest has no devices. Its front end asks, and domain 0's back end does.",
	},
	ask: {
		does: "The front end writes a request into a slot of the ring: read, from this " +
			"sector on, so many. One store to “produced” shows it.",
		why: "Memory that both see needs no call to the VMM.",
		without: "Each request would have to be copied by the VMM.",
	},
	notify: {
		does: "The back end sleeps, and wants to be woken at this request. So the front " +
			"end sends to its port: a hypercall, the only one.",
		why: "The VMM sets a bit in domain 0's shared page, and wakes its vCPU.",
		without: "Domain 0 would have to look at all rings again and again.",
	},
	switch: {
		does: "On the way out of the hypercall the VMM changes to domain 0, and hands it " +
			"an event: a port is pending.",
		why: "Domain 0 may borrow time, so it runs at once.",
		without: "The request would wait until the guest's slice is over.",
	},
	wake: {
		does: "Domain 0's kernel clears the port's bit, then runs its handler, which " +
			"wakes the task “rings”.",
		why: "The bit is cleared first: what is sent from now on sets it again.",
		without: "A notification between look and clear would be lost.",
	},
	serve: {
		does: "The back end copies the request into memory of its own, checks that copy, " +
			"and reads the file into the slot.",
		why: "The guest can change the ring at any time; it cannot change the copy.",
		without: "A guest could pass the check with one sector, and read another.",
	},
	answer: {
		does: "The answer is the request with its status, in the same slot; one store " +
			"shows it. Nobody is notified: the front end did not wait yet.",
		why: "Each writes first and looks afterwards, so at least one sees the other.",
		without: "A front end that sleeps already would never wake up.",
	},
	back: {
		does: "Domain 0 has no more work. Its idle task calls the VMM, which changes " +
			"back to the guest.",
		why: "A vCPU that waits gives the CPU away at once.",
		without: "The guest would wait until domain 0's slice is over.",
	},
	take: {
		does: "The front end finds the answer without having slept, and copies the block " +
			"from the slot to the cache.",
		why: "Its last look before it sleeps found that all is there.",
		without: "The program would wait for a block that has come.",
	},
};

/* What a page is about, for its first lines; others are about the mode switch. */
const ABOUT = {
	"domain switch": "Cinnabar is a small operating system whose kernel can have a VMM " +
		"beneath it, which hosts other kernels: guests. They share the CPU. This page is " +
		"a recording of how the CPU comes from a guest to domain 0, the kernel that owns " +
		"the machine.",
	"block request": "Cinnabar is a small operating system whose kernel can have a VMM " +
		"beneath it, which hosts other kernels: guests. A guest's disk is a file of " +
		"domain 0, the kernel that owns the machine. This page is a recording of one read.",
};
const FROM_OUTSIDE = " Nothing here was printed by a kernel: registers and memory were read from " +
	"outside. Each step shows what ran, and what it changed.";

/* An attach by the boot option mode=virtual asks and meets nobody. */
const AT_BOOT = {
	does: "The kernel attaches before its first program runs, with interrupts off.",
	why: "The boot option mode=virtual asks for it; one CPU has nobody to gather, so the " +
		"first three phases are left out.",
	without: "An interrupt could come while the tables are half exchanged.",
};

/* A switch that fails before commit runs phases once more, in the other direction. */
const ROLL_BACK = {
	does: "A phase has failed: what it and the phases before it did is undone, the last first.",
	why: "The machine must be in one mode or in the other, never between them.",
	without: "The kernel would go on with parts of both modes.",
};

const FUNCTIONS = {
	request: "sends the interrupt",
	switch_interrupt: "the handler of VEC_SWITCH: this CPU reports in, then leads or follows",
	gather: "waits for the other CPUs, if there are any",
	quiesce: "looks whether a CPU is inside the VO",
	account: "asks the VMM to check and count",
	protect: "asks the VMM for the change",
	install: "lets each CPU do its own part",
	install_here: "this CPU's part of install",
	translate: "lets each CPU do its own part",
	translate_here: "this CPU's part of translate: the frames of the task that runs here",
	sched_each_preempted: "the frames of tasks that were preempted inside the kernel",
	commit: "copies the other table over the VO",
	resume: "lets the other CPUs leave; then the handler returns",
	undo: "undoes the phases, the last first",
	frames_forget: "the VMM drops what it has noted of frames",
	frames_account: "the VMM gives frames their types and counts",
	frames_protect: "the VMM changes the pages that show tables, and those of the interrupt " +
		"controllers",
	cpu_install: "the VMM notes the kernel's tables and loads its own",
	vmm_call_handle: "the VMM does what the kernel, still in ring 0, calls it for",
	irq_reinject: "events that the VMM still held become interrupts again",
	cpu_restore: "the VMM loads the kernel's tables",
	switch_at_boot: "runs the phases from account to translate",
	exit_entry: "the entry into the VMM: it saves registers",
	exit_handle: "what came in?",
	irq_arrived: "an interrupt: it is acknowledged, and becomes an event, or the scheduler's",
	timer_fired: "notes that timers are due",
	hazard_handle: "the way out has something left to do",
	vcpu_schedule: "lets another vCPU run if one is due",
	timers_expire: "wakes the vCPUs whose timers are due",
	hand_over: "another vCPU was chosen: their times are noted",
	exchange: "one vCPU's state leaves the processor, another one's comes",
	exchange_fpu: "the FPU's registers, if they are needed",
	exchange_memory: "CR3, the TLB, and the IDT if it differs",
	event_deliver: "looks whether the kernel lets an event in",
	bounce: "builds the frame of an interrupt on the kernel's stack",
	front_move: "the front end: a transfer becomes requests",
	ring_publish: "shows the other side what was put, and looks whether it wants to be woken",
	ring_ask: "says when to wake this side, and looks again",
	ring_take: "copies the other side's next message",
	port_notify: "the kernel asks the VMM to send to a port",
	hypercall_handle: "the VMM serves a hypercall",
	port_send: "finds the port at the other end, and sets its bit",
	vcpu_post: "an event for a vCPU, which wakes up",
	ports_handle: "runs the handlers of the ports that are pending",
	wake_server: "the handler: the task that serves has work",
	serve_all: "looks at each ring that was notified",
	serve: "the back end: requests of one ring, one after the other",
	ext2_direct: "domain 0's file system reads the file",
	sched_idle: "nothing is left to do here",
	port_wake: "the handler of the front end",
	panic: "the kernel gives up",
	vmm_panic: "the VMM gives up",
};

const WORDS = [
	["VMM", "virtual machine monitor: code that stands between a kernel and its hardware"],
	["ring", "what the CPU allows the code that runs: ring 0 everything, ring 3 (programs) " +
		"the least; the kernel runs in ring 0, or in ring 1 when the VMM is beneath it"],
	["attach, detach", "the VMM slides beneath the running kernel; it goes away again"],
	["GDT", "table of segments; a segment tells which ring its code is for (DPL)"],
	["selector", "names an entry of the GDT"],
	["IDT", "table of entry points, one for each fault and interrupt"],
	["TSS", "names the stack on which an inner ring begins"],
	["EIP, ESP", "where the CPU executes, and the top of its stack"],
	["CR3", "the register that says which page tables the CPU uses"],
	["IF", "the flag in EFLAGS that lets interrupts in; IOPL: which rings may change it"],
	["CS", "the register that selects the code segment; its last two bits are the ring"],
	["sensitive", "an instruction that shows or changes which ring the kernel is in, or that " +
		"only ring 0 may use"],
	["VO", "the kernel's set of sensitive operations: native_vo executes the instructions, " +
		"virtual_vo asks the VMM"],
	["trap frame", "the registers of interrupted code, saved on a stack"],
	["types of frames", "the VMM's notes: page table; directory (the table of page tables); " +
		"shared table (part of every address space); memory (counted: the VMM knows how " +
		"often it is mapped)"],
	["window", "addresses of the VMM through which it looks at any frame"],
	["exit", "an entry into the VMM from the kernel in ring 1 or from a program"],
	["frame", "4 KiB of the machine's memory; a page is 4 KiB of addresses that shows one"],
	["pfn, mfn, p2m", "the kernel's number of a frame, the machine's number of it, and the " +
		"table from one to the other"],
	["direct map", "addresses at which the kernel sees all its memory"],
	["shared page", "a page that kernel and VMM both read and write: events, virtual IF"],
	["VEC_SWITCH", "the interrupt with which a switch begins"],
	["event, virtual IF", "in virtual mode the kernel's own interrupt, and its own flag that " +
		"lets it in"],
	["domain, vCPU", "a kernel with its memory, and a CPU as it sees one; domain 0 owns the " +
		"devices, guests have none"],
	["hypercall", "how the kernel in ring 1 asks the VMM for something"],
];

/* What is told of a step. phases: the names of the phases. */
function storyOf(step, phases) {
	if (step.undoing)
		return ROLL_BACK;
	if (step.phase < 0 && step.way !== "switch_at_boot")
		return STORY[step.direction].before;
	if (step.phase <= 0 && step.way === "switch_at_boot")
		return AT_BOOT;
	return STORY[step.direction][phases[step.phase]];
}
