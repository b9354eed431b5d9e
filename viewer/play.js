/* SPDX-License-Identifier: MIT */
/*
 * Playing: step after step by itself, until the end or until the reader does anything else.
 * makePlayer() gives the elements and { playing(), stop() }.
 *   forward()  go one step on; result: whether there was one
 *   many       whether there are so many steps that each is shown for a short time only
 */
"use strict";

const SPEEDS = [["slow", 8000], ["normal", 4000], ["fast", 1500]]; /* ms for each step */
const SHORT = 10; /* part of this time for each of many */

function makePlayer(forward, many) {
	let timer = 0;
	const button = make("button", { type: "button", class: "play" });
	const speed = make("select", { "aria-label": "Speed" }, ...SPEEDS.map(
		([name, ms]) => make("option", { value: many ? ms / SHORT : ms }, name)));
	speed.selectedIndex = 1;
	function show() {
		button.textContent = timer ? "pause" : "play";
		button.setAttribute("aria-label", (timer ? "Pause" : "Play") + " (Space)");
	}
	function stop() {
		clearInterval(timer);
		timer = 0;
		show();
	}
	function start() {
		timer = setInterval(() => forward() || stop(), Number(speed.value));
		show();
	}
	function toggle() {
		if (timer)
			return stop();
		if (forward())
			start();
	}
	button.addEventListener("click", toggle);
	speed.addEventListener("change", () => {
		if (timer) {
			stop();
			start();
		}
	});
	show();
	return { elements: [button, speed], toggle, stop, playing: () => timer !== 0 };
}
