/* SPDX-License-Identifier: MIT */
/*
 * The lessons. Each has
 *   title, text     text: paragraphs of HTML
 *   task            what to do, one sentence
 *   commands        buttons: [label, line for the shell]
 *   cmdline         boot with this command line first, if it is not so yet
 *   stopInProgram   whether there is a button for Session.stopInProgram()
 *   breakIn         whether there is a button for Session.breakIn()
 *   done(seen)      whether the machine shows that the task is done
 *   after           what to notice then
 * seen: { state, stopped, refused (of the last attempt to break in), faults (of programs),
 *         shuffled (frames whose pfn and mfn differ), outcome (of the last switch), attached }
 */
"use strict";

const ATTACH = ["attach", "echo virtual > /proc/mode"];
const DETACH = ["detach", "echo native > /proc/mode"];

const LESSONS = [
	{
		title: "Rings: what a program may not do",
		text: ["A PC's CPU is always in one of four <b>rings</b>. Code in ring 0 " +
			"may do everything. Programs run in ring 3: an instruction that " +
			"would touch the machine itself <i>faults</i> there, and the CPU " +
			"enters the kernel instead.",
		"The program <code>intruder</code> tries some hundred such things: " +
			"it raises interrupts, uses ports, turns interrupts off, loads the " +
			"kernel's segments."],
		task: "Run intruder, and see that each attempt ends in a fault.",
		commands: [["run intruder", "intruder"]],
		done: seen => seen.faults > 0,
		after: "Each attempt became exception 13 (general protection) or 14 (page " +
			"fault). The CPU refused it, not the kernel: no line of C checks " +
			"these instructions.",
	},
	{
		title: "Where the tables are",
		text: ["How does the CPU know what a ring may do, and where to go at a " +
			"fault? It reads <b>tables</b> in memory. The GDT lists segments " +
			"with the ring each is for (DPL). The IDT has an entry point for " +
			"each fault and interrupt. The TSS names the stack on which the " +
			"kernel begins.",
		"The tables lie in the kernel's memory, above c0000000. Below, in " +
			"<i>Address space</i>, the column “ring 3” says what a program may " +
			"do with each part."],
		task: "Start work, then stop the machine while the CPU is in ring 3.",
		commands: [["run work", "work 200"]],
		stopInProgram: true,
		done: seen => seen.stopped && seen.state.ring === 3,
		after: "The CPU runs a program now, and its GDT is the kernel's: look at " +
			"“GDT in” and at the rights of ring 3 on “kernel data”: none. Press" +
			" “Let go”.",
	},
	{
		title: "Numbers of frames: pfn and mfn",
		text: ["Memory comes in frames of 4 KiB. A kernel that is to have a VMM " +
			"beneath it some day must not think that frame 5 of <i>its</i> " +
			"memory is frame 5 of the <i>machine</i>. So Cinnabar numbers its " +
			"own frames (<b>pfn</b>), and keeps a table p2m that gives the " +
			"machine's number (<b>mfn</b>) of each.",
		"Usually both are equal, and a mistake would not show. The boot " +
			"option <code>p2m=shuffle:7</code> deals the machine's frames out " +
			"at random."],
		task: "Boot the machine again with p2m=shuffle:7.",
		commands: [["look", "cat /proc/memmap"]],
		cmdline: "p2m=shuffle:7",
		done: seen => seen.shuffled > 1000,
		after: "Most frames have another number now, and everything works: page " +
			"tables hold mfns, the kernel thinks in pfns.",
	},
	{
		title: "The first switch",
		text: ["Now the trick that this system is made for. The kernel runs in " +
			"ring 0, on the bare machine. A <b>VMM</b> lies in memory and " +
			"sleeps. One write to /proc/mode, and the VMM slides <i>beneath the" +
			" running kernel</i>: the kernel falls to ring 1, its tables are " +
			"replaced, its programs notice nothing.",
		"Press “Stop at the next switch” first, then attach. The machine " +
			"stops at the first of nine <b>phases</b>. Press “forward” for " +
			"each."],
		task: "Attach the VMM.",
		commands: [ATTACH, DETACH],
		done: seen => seen.state.mode === "virtual" && seen.state.vo === "virtual",
		after: "The GDT lies at fc......, in the VMM's memory, and the kernel's " +
			"code segment has DPL 1. Go back over the steps, and find the phase" +
			" that changed each.",
	},
	{
		title: "A page table becomes read-only",
		text: ["Who can write a page table can reach any memory, the VMM's too. So" +
			" an attach makes the page tables of programs read-only (phase " +
			"<i>protect</i>); the kernel's own have been so since boot. From " +
			"then on the kernel asks the VMM to change them.",
		"What if the kernel did not ask? The button makes the kernel store " +
			"into the shell's page directory, at its next interrupt. Try it in " +
			"native mode, press “Let go”, then attach and try again."],
		task: "Attach, then let the kernel try to break in.",
		commands: [ATTACH],
		breakIn: true,
		done: seen => seen.refused,
		after: "The store faulted: the CPU stands at the VMM's entry for page " +
			"faults, in ring 0. Press “Let go” twice: the VMM stops the kernel," +
			" and says why. “Boot again” gives a new machine.",
	},
	{
		title: "A switch that fails",
		text: ["A switch changes a machine that is in use. If a phase fails, all " +
			"phases before it are undone, in opposite order, and the machine " +
			"goes on in its old mode. Only after <i>commit</i> there is no way " +
			"back.",
		"<code>echo fail protect &gt; /proc/switch</code> makes the phase " +
			"protect of the next switch fail. Stop at it, and step by function " +
			"to see the roll-back."],
		task: "Let an attach fail, in any phase.",
		commands: [["let protect fail", "echo fail protect > /proc/switch"], ATTACH,
			["what happened?", "cat /proc/switch"]],
		done: seen => seen.failed,
		after: "The command got an error, the ring is 0 as before, and the page " +
			"tables are writable again. The next attach works.",
	},
];
