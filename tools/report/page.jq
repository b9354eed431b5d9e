# SPDX-License-Identifier: MIT
# The report as one page of HTML that is also XML. Input: report.json. The named arguments
# are the style sheet and the texts of the SVG files.
include "rows";

def cell: "<td>\(tostring | @html)</td>";
def row: "<tr><th scope=\"row\">\(.[0] | tostring | @html)</th>\(.[1:] | map(cell) | add)</tr>\n";
def table($id; $caption; $head; rows):
	"<div class=\"scroll\"><table id=\"\($id)\"><caption>\($caption | @html)</caption>\n" +
	"<thead><tr>" + ($head | map("<th scope=\"col\">\(@html)</th>") | add) +
	"</tr></thead>\n<tbody>\([rows | row] | add)</tbody></table></div>\n";
def plot($name; $what):
	"<figure role=\"img\" aria-label=\"\($what | @html)\">\($ARGS.named[$name])</figure>\n";
def term($name; $text): "<dt>\($name)</dt><dd>\($text | @html)</dd>";
def about($unit; $method; $limits):
	"<dl>" + term("Unit"; $unit) + term("Method"; $method) + term("Cannot show"; $limits) +
	"</dl>\n";
def section($title; text):
	"<section><h2>\($title | @html)</h2>\n\([text] | add)</section>\n";
def beside(parts): "<div class=\"beside\">\n\([parts] | add)</div>\n";
def para: "<p>\(@html)</p>\n";

def cycles:
	"Instructions are not cycles. QEMU's TCG has no caches, no TLB misses that cost, and no "
	+ "price for a change of ring, all of which a PC has; so times on a PC do not follow from "
	+ "these figures.";
def growth_rows($by): growth($by)[] | [.[$by], (.attach.total, .detach.total | thousands)];

. as $all | .references as $other | one_switch as $switch |
($other.switch.mercury | .ms * .ghz * 1e6 | round) as $mercury |
"<!DOCTYPE html>
<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>
<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>
<title>Cinnabar: measurements</title><style>\($style)</style></head><body>
<h1>Cinnabar: measurements</h1>",
("All figures are \(.unit): \(.method). A run can be repeated exactly. \(cycles)" | para),

section("What the virtual object and the VMM cost";
	plot("ratios"; "Bars for each row: native and virtual mode, and Linux on Xen, as ratios"),
	about("Ratio of instructions. Native and virtual: to the kernel with the native operations "
		+ "bound at compile time (VO=static), the line at 1. Linux on Xen: Linux as PV "
		+ "dom0 of Xen to the same Linux amd64 without Xen.";
		"The program bench (user/programs/bench) under each kernel and mode on one CPU, "
		+ "the median of five measurements. Mercury's figure, made again with "
		+ "instructions.";
		cycles),
	plot("counts"; "Points for each row: VO=static, native, virtual, xv6, Linux, Linux on Xen, "
		+ "on a logarithmic scale"),
	about("Instructions for one operation.";
		"The same runs. xv6, Linux and Xen: \($other.method); "
		+ "\($other.notes | join("; ")).";
		"Which system is better: Linux does far more in each operation. "
		+ "Nor cycles, as above."),
	table("operations"; "Instructions for one operation";
		["row", "static", "native", "virtual", "native / static", "virtual / native",
			"Xen / Linux", "native / Linux i386"] + ($other.columns | keys_unsorted);
		operations[] | .other.linux_i386 as $linux |
		[.row, (.static, .native, .virtual | thousands),
			(.price | fixed(3)), (.ratio | fixed(2)), (.xen | fixed(2)),
			(.native | over($linux) | fixed(2))] + (.other | map(thousands)))),

section("The switch by phases";
	plot("phases"; "Stacked bars: attach and detach by phases"),
	about("Instructions.";
		"The cheapest of eight switches in each direction from /proc/switch, "
		+ "\($switch.mib) MiB, \($switch.processes) processes, \($switch.cpus) CPU.";
		cycles),
	table("phases"; "Instructions by phases"; ["", "total"] + phases;
		("attach", "detach") | [., ($switch[.] | .total, .[phases[]] | thousands)]),
	("Mercury: about \($other.switch.mercury.ms) ms on a \($other.switch.mercury.machine), "
		+ "which is \($mercury | thousands) cycles (\($other.switch.mercury.source)). "
		+ "A real Linux was switched there; the units differ, so there is no ratio."
		| para)),

section("How the switch grows";
	beside(
		plot("mib"; "The switch over memory"),
		plot("processes"; "The switch over processes"),
		plot("cpus"; "The switch over CPUs")),
	about("Instructions, of all CPUs together.";
		"As above, with \($switch.mib) MiB, \($switch.processes) processes and "
		+ "\($switch.cpus) CPU, but for the value that varies. Several CPUs take turns "
		+ "under -icount.";
		"The time that several CPUs need when they work at once: their work and their "
		+ "waiting is added up here. \(cycles)"),
	beside(
		table("mib"; "Memory"; ["MiB", "attach", "detach"]; growth_rows("mib")),
		table("processes"; "Processes"; ["processes", "attach", "detach"];
			growth_rows("processes")),
		table("cpus"; "CPUs"; ["CPUs", "attach", "detach"]; growth_rows("cpus")))),

section("Start-up";
	("From power on to the shell prompt with \(.boot.mib) MiB: "
		+ "\(.boot.instructions | thousands) instructions." | para),
	about("Instructions."; "QEMU's own counter, at the prompt.";
		"The time of a PC's firmware and boot loader: the kernel is loaded by QEMU.")),

section("Where the other figures come from";
	("Data: docs/data/references.json. xv6, Linux and Xen were measured for Cinnabar: "
		+ "\($other.method)." | para),
	table("references"; "Systems"; ["column", "system"];
		$other.columns | to_entries[] | [.key, .value])),

"<section><details><summary>All figures as JSON</summary>
<pre id=\"data\">\($all | tojson | @html)</pre></details></section>
</body></html>"
