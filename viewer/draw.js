/* SPDX-License-Identifier: MIT */
/*
 * Tables with their changes marked, the lists of changes, and the timeline.
 */
"use strict";

const SVG = "http://www.w3.org/2000/svg";

/* An element of HTML or SVG with attributes and children. */
function make(name, attributes, ...children) {
	const svg = ["rect", "line", "text", "title"].includes(name);
	const e = svg ? document.createElementNS(SVG, name) : document.createElement(name);
	for (const key of Object.keys(attributes || {}))
		e.setAttribute(key, attributes[key]);
	e.append(...children);
	return e;
}

/* The first items of a list, as elements, and how many more there are. */
function shorten(items, most = 14) {
	const more = items.length > most ? "and " + (items.length - most) + " more" : [];
	return items.slice(0, most).concat(more).map(item => make("li", {}, item));
}

/* A marked cell in words: title, row and column; what it is, and what the reference has. */
function describeDifference(td) {
	const text = e => e ? e.textContent : "", reference = td.querySelector(".reference");
	const head = reference && td.closest("table").tHead.rows[0].cells[td.cellIndex];
	const place = [td.closest("section").querySelector("h2"), td.parentNode.cells[0], head];
	const ours = reference ? (text(td.firstChild) || "nothing") + ", " : "";
	return place.map(text).filter(word => word).join(" ") + ": " + ours + text(td.lastChild);
}

/* Changes ({ group, text }) by their groups; registers are folded. none: what to say of none. */
function drawChanges(place, changes, none) {
	const groups = GROUPS.map(name => [name, changes.filter(c => c.group === name)]);
	const list = items => make("ul", {}, ...shorten(items.map(c => c.text)));
	place.replaceChildren(...groups.filter(([, items]) => items.length).map(
		([name, items]) => name === "registers" ?
			make("details", { "data-group": name },
				make("summary", {}, items.length + " registers"), list(items)) :
			make("div", { "data-group": name }, make("h4", {}, name), list(items))));
	if (!changes.length)
		place.append(make("p", { class: "quiet" }, none));
}

function badge(name, value, kind) {
	return make("div", {}, make("dt", {}, name),
		make("dd", { "data-now": name, class: kind || "" }, String(value)));
}

/* --- tables, with what changed since the step before, and what differs from the reference --- */

/* The panel of a table, still empty. */
function makePanel(table) {
	const heads = table.head.map(h => make("th", { scope: "col" }, h));
	return make("section", { class: "panel table-" + table.id }, make("h2", {}, table.title),
		make("p", { class: "note" }), make("div", { class: "scrolls" }, make("table", {},
			make("thead", {}, make("tr", {}, ...heads)), make("tbody"))));
}

/* The rows of a table by their keys, all as words. */
function tableModel(table, state, names) {
	const rows = state ? table.rows(state, names) : [];
	return new Map(rows.map(row => [String(row[0]), row.map(String)]));
}

/* Whether a state differs from the reference's in what must be the same in any two builds. */
function differs(state, wanted, names) {
	const same = (table, row, old) => old && table.same.every(k => row[k] === old[k]);
	return TABLES.filter(table => table.same.length).some(table => {
		const rows = tableModel(table, state, names);
		const old = tableModel(table, wanted, names);
		return rows.size !== old.size ||
			[...rows].some(([key, row]) => !same(table, row, old.get(key)));
	});
}

function drawCell(table, row, k, before, wanted) {
	const cell = make("td", { "data-cell": table.id + "/" + row[0] + "/" + k }, row[k]);
	if (before && before[k] !== row[k]) {
		cell.className = "changed";
		cell.title = "was " + before[k];
	}
	if (wanted && table.same.includes(k) && wanted[k] !== row[k]) {
		cell.classList.add("differs");
		cell.append(make("span", { class: "reference" }, "reference: " + wanted[k]));
	}
	if (/^(r?w?x?|-)$/.test(row[k]) && table.id === "space")
		cell.dataset.rights = row[k];
	return cell;
}

function drawRow(table, row, before, wanted) {
	const cells = row.slice(1).map((_, i) => drawCell(table, row, i + 1, before, wanted));
	return make("tr", {}, make("th", { scope: "row" }, row[0]), ...cells);
}

/* A row that this step does not have. */
function drawMissing(key, attributes, cell, text) {
	return make("tr", attributes, make("th", { scope: "row" }, key),
		make("td", Object.assign({ colspan: 9 }, cell), text));
}

/*
 * Draw a table. before: the state before, or null. Result: the changes since then, each as its
 * group and in words.
 */
function drawTable(table, panel, state, before, reference, names) {
	const rows = tableModel(table, state, names), old = tableModel(table, before, names);
	const wanted = tableModel(table, reference, names), none = table.head.map(() => "");
	const body = panel.querySelector("tbody"), changes = [];
	const changed = text => changes.push({ group: table.group, text });
	const name = table.id === "cpu" ? "" : table.title;
	panel.querySelector(".note").textContent = table.note ? table.note(state) : "";
	body.textContent = "";
	for (const [key, row] of rows) {
		const was = before ? old.get(key) || none : null, begins = was === none;
		body.append(drawRow(table, row, was, reference ? wanted.get(key) || none : null));
		const cells = row.map((cell, k) => !was || k === 0 || cell === was[k] ? "" :
			(table.head[k] + " " + (begins ? cell : (was[k] || "nothing") +
				" \u2192 " + (cell || "nothing"))).trim()).filter(text => text);
		if (cells.length)
			changed([name, key].join(" ").trim() + ": " + (!begins ? "" :
				table.regroups ? "now " : "new, ") + cells.join(", "));
	}
	for (const key of old.keys())
		if (!rows.has(key)) {
			const gone = table.regroups ? "now in other rows" : "gone";
			body.append(drawMissing(key, { class: "gone" }, {}, gone));
			changed((name + " " + key).trim() + ": " + gone);
		}
	for (const key of wanted.keys())
		if (!rows.has(key) && !old.has(key))
			body.append(drawMissing(key, {}, { class: "differs" },
				"only in the reference"));
	panel.classList.toggle("has-changes", changes.length > 0);
	return changes;
}

/* --- the timeline --- */

/* A strip of the timeline: a rectangle for each run of steps of one value. */
function drawStrip(svg, steps, row, value, kind) {
	const n = steps.length;
	const same = (a, b) => value(a) === value(b) && a.direction === b.direction;
	for (let i = 0, end; i < n; i = end) {
		for (end = i; end < n && same(steps[end], steps[i]);)
			end++;
		svg.append(make("rect", {
			x: i / n * 1000, y: row * 18, width: (end - i) / n * 1000, height: 15,
			class: kind + value(steps[i]),
		}));
	}
}

/*
 * Four strips over time: phase, ring, descriptor tables, VO; and a line where detach begins. Of
 * domains: phase, ring, domain.
 */
function drawTimeline(svg, steps, starts) {
	drawStrip(svg, steps, 0, s => s.phase, "phase phase-");
	drawStrip(svg, steps, 1, s => s.state.ring, "ring-");
	if (steps[0].state.domain !== undefined) {
		drawStrip(svg, steps, 2, s => Math.min(s.state.domain, 1), "domain-");
		return;
	}
	drawStrip(svg, steps, 2, s => s.state.mode, "mode-");
	drawStrip(svg, steps, 3, s => s.state.vo, "mode-");
	const turns = starts.filter(i => i > 0 && steps[i].direction !== steps[i - 1].direction);
	for (const x of turns.map(i => i / steps.length * 1000))
		svg.append(make("line", { x1: x, x2: x, y1: 0, y2: 72, class: "direction" }));
}
