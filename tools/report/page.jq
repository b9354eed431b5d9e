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
def growth_plot($by): plot($by; "The switch over \(axes[$by])");
def growth_page($by): table($by; axes[$by]; [$by, "attach", "detach"]; growth_rows($by));

. as $all | .references as $other | one_switch as $switch |
($other.switch.mercury | .ms * .ghz * 1e6 | round) as $mercury |
"<!DOCTYPE html>
<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>
<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>
<title>Cinnabar: measurements</title><style>\($style)</style></head><body>
<h1>Cinnabar: measurements</h1>",
("All figures are \(.unit): \(.method). A run can be repeated exactly. \(cycles)" | para),

section("What the virtual object and the VMM cost";
	plot("ratios"; "Bars for each row: the price of VO, VMM, and Xen, as ratios"),
	about("Ratio of instructions. VO: the table of functions to inlined native operations, in "
		+ "kernels that are optimised as a whole (VO=lto, VO=inline). VMM: virtual to "
		+ "native mode. Xen: Linux as its PV dom0 to the same Linux without Xen.";
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
		["row", "inline", "lto", "static", "native", "virtual", "lto / inline",
			"virtual / native", "Xen / Linux", "native / Linux"] +
			($other.columns | keys_unsorted);
		operations[] | .linux as $linux |
		[.row, (.inline, .lto, .static, .native, .virtual | thousands),
			(.price | fixed(3)), (.ratio | fixed(2)), (.xen | fixed(2)),
			(.native | over($linux) | fixed(2))] + (.other | map(thousands))),
	table("unequal"; "What is unequal between Cinnabar and Linux"; ["row", "unequal"];
		operations[] | [.row, .unequal])),

section("How operations grow with a process's resident pages";
	beside(("fork_call", "fork_exit_wait", "rewrite_page", "context_switch_2p") |
		. as $row | plot($row; "\($row) over resident pages")),
	about("Instructions; rewrite_page: for one page."; "bench growth, and the same loops on "
		+ "Linux (linux_i386_same_work)."; cycles),
	table("grown"; "Over resident pages";
		["row", "pages", "native", "virtual", "virtual / native", "Linux"];
		$all | grown[] | [.[0], (.[1:4][] | thousands), (.[3] / .[2] | fixed(2)),
			(.[4] | thousands)])),


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
	beside(axes | keys_unsorted[] as $by | $all | growth_plot($by)),
	about("Instructions, of all CPUs together.";
		"As above, with \($switch.mib) MiB, \($switch.processes) processes and "
		+ "\($switch.cpus) CPU, a small process loaded, but for the value that varies. "
		+ "Several CPUs take turns under -icount.";
		"The time that several CPUs need when they work at once: their work and their "
		+ "waiting is added up here. \(cycles)"),
	beside(axes | keys_unsorted[] as $by | $all | growth_page($by))),

section("Domains";
	about("As the column says; instructions are nanoseconds of the machine's time.";
		"make bench-domains: the VMM's counters, the rings, and programs' variables, read "
		+ "from outside; programs that measure themselves by the time-stamp counter.";
		cycles),
	table("figures"; "What domains cost, and cost each other";
		["what", "figure", "unit", "goal", "", "what is unequal"];
		figures | [.what, (.value | fixed(3)), .unit, .wanted,
			(if .missed then "missed" else "" end), .unequal]),
	table("guests"; "Rows of bench: native, virtual, in a guest, in a guest with a disk";
		["row", "native", "virtual", "guest", "disk", "guest / native", "disk / native"];
		places("rows") | [.[0], (.[1:][] | thousands), (.[3] / .[1] | fixed(2)),
			(.[4] / .[1] | fixed(2))]),
	table("applications"; "Applications; native and virtual on a RAM disk, the last one on a "
		+ "file of it";
		["what", "native", "virtual", "guest", "disk", "native / virtual",
			"native / guest", "native / disk"];
		places("applications") | . as [$row, $native] |
		[$row, (.[1:][] | thousands), (.[2:][] as $n | $native | over($n) | fixed(2))]),
	table("exits"; "One exit, one switch: a VMM that stores late, and one that stores at once";
		["what", "way", "instructions", "bytes moved"] + exit_classes; exits)),

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
