/* SPDX-License-Identifier: MIT */
/*
 * A recording of a machine, and the steps that a page makes of it.
 *
 * A recording ("format": 1) is an object:
 *   title, machine (how it was started), memory (MiB)
 *   layout       addresses where parts of the address space begin: kernel, devices, vmm
 *   event_bits   bit numbers in events.pending: timer, resched, halt, switch; below: ISA lines
 *   phases       names of the switch's phases, or of the story's
 *   story        if it is about domains: "domain switch" or "block request"
 *   kinds        names of kinds of pages, for `map`
 *   frame_types  names of types of machine frames, for `frames`
 *   exits        names of the VMM's counts, in the order of events.exits
 *   end          why it ended before its time, if it did
 *   steps        moments: states of the machine, each as a JSON merge patch (RFC 7396) against
 *                the state before; the first against {}
 *   places       code address -> { file, line, function, within (the function into which the
 *                compiler put it), code }
 *   sources      file -> line number -> text; only lines near a place
 *
 * A state, all numbers unsigned 32-bit integers:
 *   direction    "attach" or "detach", or the story
 *   phase        index, of what comes next;  stop: the function that begins here, if the recording
 *                stopped for it
 *   instructions executed since the first step of this direction
 *   ring         CPL
 *   mode         "native" or "virtual", by where the GDT lies
 *   vo           "native", "virtual", or "exchanging"
 *   domain       in a story: who has the CPU, 0 or a guest's number
 *   channel      in the story of a request: ways (requests produced, the one at which the back end
 *                is to be woken, the same of answers), slot (the first message, four words)
 *   regs         eax ... ebp, esp, eip, eflags, cr0, cr2, cr3, cr4
 *   segments     selectors of cs ... gs, tr, ldtr
 *   gdtr, idtr   [base, limit]
 *   gdt, idt     index -> [low word, high word]; entries that are 0 are left out
 *   tss          base, ss0, esp0, ss1, esp1, link, iomap
 *   events       of the shared page: vif, pending, address, exits (reason -> count)
 *   saved        trap frames of interrupted kernel code: [address, eip, cs, eflags], the latest
 *                first
 *   map          mapped pages in runs that are alike: [first page, pages, flags (2 writable,
 *                4 user), kind]
 *   frames       row -> 64 numbers, one for each machine frame: type + 8 * count
 */
"use strict";

function mergePatch(target, patch) {
	if (patch === null || typeof patch !== "object" || Array.isArray(patch))
		return patch;
	const result = Object.assign({}, target);
	for (const key of Object.keys(patch)) {
		if (patch[key] === null)
			delete result[key];
		else
			result[key] = mergePatch(result[key], patch[key]);
	}
	return result;
}

/* The state of the machine at each moment. */
function statesOf(trace) {
	let state = {};
	return trace.steps.map(patch => (state = mergePatch(state, patch)));
}

/*
 * The steps. A step is what ran between two moments, with the state that it left behind: so each
 * effect stands at its cause. The first step of a direction is the state before it; a recording
 * that ended before its time has one step more, for what did not come to its end.
 *   state, before  after and before what ran; before is null at the first step of a direction
 *   direction      "attach" or "detach"
 *   phase          index, or -1 before the first
 *   stop           the function that began, if the recording stopped for it
 *   eip            where it began
 *   way            the function with which this direction began
 *   end            why it did not come to its end
 */
function stepsOf(trace) {
	let way;
	const moments = statesOf(trace);
	const steps = moments.map((state, i) => {
		const last = moments[i - 1], { direction } = state;
		if (last && last.direction === direction)
			return { state, before: last, direction, phase: last.phase, way,
				stop: last.stop, eip: last.regs.eip };
		way = state.stop;
		return { state, before: null, direction, phase: -1, way, eip: state.regs.eip };
	});
	const state = moments[moments.length - 1], { direction, phase, stop } = state;
	if (trace.end)
		steps.push({ state, before: state, direction, phase, stop, way,
			eip: state.regs.eip, end: trace.end });
	return steps;
}

/* The function that ran in a step. */
const functionOf = (step, trace) => step.stop || (trace.places[step.eip] || {}).function || "?";

/*
 * The reference's state for each step that ended at a stop: at this stop of this phase there, or
 * else at the begin of this phase. null for a step that has none.
 */
function align(steps, reference) {
	const first = new Map();
	for (const r of statesOf(reference))
		for (const key of [r.direction + r.phase, r.direction + r.phase + r.stop])
			if (!first.has(key))
				first.set(key, r);
	return steps.map(({ state, end }) => {
		const phase = state.direction + state.phase;
		return !end && state.stop && (first.get(phase + state.stop) || first.get(phase)) ||
			null;
	});
}

/* The steps that begin a phase, or a direction. */
function phaseStarts(steps) {
	const begins = (s, last) => !last || s.phase !== last.phase ||
		s.direction !== last.direction;
	return steps.map((s, i) => i).filter(i => begins(steps[i], steps[i - 1]));
}
