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
 *   after(seen)     what to notice then
 * seen: { state, stopped, refused (of the last attempt to break in), faults (of programs),
 *         shuffled (frames whose pfn and mfn differ), shell (pfn and mfn of its page directory,
 *         or null), failed (whether the last switch has) }
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
		"The program <code>intruder</code> tries hundreds of such things: " +
			"it raises interrupts, uses ports, turns interrupts off, loads the " +
			"kernel's segments."],
		task: "Run intruder, and see that each attempt ends in a fault.",
		commands: [["run intruder", "intruder"]],
		done: ({ faults, state }) => faults > 0 && !state.tasks.some(
			([, , , name]) => name === "intruder"),
		after: ({ faults }) => faults + " faults. Each attempt became exception 13 " +
			"(general protection) or 14 (page fault). The CPU refused it, not " +
			"the kernel: no line of C checks these instructions.",
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
		after: () => "The CPU runs a program now, and its GDT is the kernel's: look at " +
			"“GDT in” and at the rights of ring 3 on “kernel data”: none. " +
			"Press “Let go”.",
	},
	{
		title: "Numbers of frames: pfn and mfn",
		text: ["Memory comes in frames of 4 KiB. A kernel that is to have a VMM " +
			"beneath it some day must not think that frame 5 of <i>its</i> " +
			"memory is frame 5 of the <i>machine</i>: a VMM gives it whichever " +
			"frames are free. So Cinnabar numbers its own frames (<b>pfn</b>), " +
			"and keeps a table p2m that gives the machine's number (<b>mfn</b>)" +
			" of each.",
		"Usually both are equal, and a mistake would not show. The boot " +
			"option <code>p2m=shuffle:7</code> deals the machine's frames out " +
			"at random."],
		task: "Boot the machine again with p2m=shuffle:7.",
		commands: [["look", "cat /proc/memmap"]],
		cmdline: "p2m=shuffle:7",
		done: seen => seen.shuffled > 1000 && seen.shell,
		after: ({ shell }) => "Most frames have two numbers now. An example is the frame" +
			" of the shell's page directory: the kernel calls it pfn " +
			hex(shell.pfn, 4) + ", the machine mfn " + hex(shell.mfn, 4) + ". Page " +
			"tables and CR3 hold mfns, since the CPU reads them; the kernel " +
			"counts in pfns. All works as before.",
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
			"each. “back” only shows earlier steps again: the machine stays " +
			"where it is, and “Let go” lets it go on from there."],
		task: "Attach the VMM.",
		commands: [ATTACH, DETACH],
		done: seen => seen.state.mode === "virtual" && seen.state.vo === "virtual",
		after: () => "The GDT lies above fc000000, in the VMM's memory, and the " +
			"kernel's code segment has DPL 1. Go back over the steps, and find " +
			"the phase that changed each. An interrupt enters the VMM now: it " +
			"notes an event, which enters the kernel once the virtual IF is 1.",
	},
	{
		title: "A page table becomes read-only",
		text: ["Whoever can write a page table can reach any memory, the VMM's too. So" +
			" in virtual mode a program's page tables become read-only at their" +
			" next use; the kernel's own have been so since boot. The kernel " +
			"asks the VMM to change them.",
		"What if the kernel did not ask? The button makes the kernel store " +
			"into the shell's page directory, at its next interrupt. First try it " +
			"in native mode (detach if need be), and press “Let go”. Then attach" +
			" and try again."],
		task: "Attach, then let the kernel try to break in.",
		commands: [DETACH, ATTACH],
		breakIn: true,
		done: seen => seen.refused,
		after: () => "The store faulted: the CPU stands at the VMM's entry for page " +
			"faults, in ring 0. Press “Let go” twice: the VMM stops the kernel," +
			" and says why. “Boot again” gives a new machine.",
	},
	{
		title: "A switch that fails",
		text: ["A switch changes a machine that is in use. If a phase fails, all " +
			"phases before it are undone, in opposite order, and the machine " +
			"goes on in its old mode. Only after <i>commit</i> there is no way " +
			"back.",
		"<code>echo fail translate &gt; /proc/switch</code> makes the phase " +
			"translate of the next switch fail: the kernel is in ring 1 by then." +
			" Stop at that switch, and go through it: after translate comes the" +
			" roll-back."],
		task: "Let an attach fail, in any phase.",
		commands: [["let translate fail", "echo fail translate > /proc/switch"], ATTACH,
			["what happened?", "cat /proc/switch"]],
		done: seen => seen.failed,
		after: () => "The command got an error. The kernel is back in ring 0, with its " +
			"own GDT, IDT and TSS, and the pages of the interrupt controllers " +
			"are there again. The next attach works.",
	},
];
