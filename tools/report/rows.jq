# SPDX-License-Identifier: MIT
# The figures of report.json as rows, with the ratios between them: for the page, the
# plots and docs/measurements.md.

def phases: ["request", "gather", "quiesce", "account", "protect", "install", "translate",
	"commit", "resume"];

def over($b): if . == null or $b == null or $b == 0 then null else . / $b end;

# One object for each row of the benchmark.
def operations:
	. as $all | .native | keys_unsorted |
	map(. as $row | $all.references.rows[$row] as $other | {
		row: $row,
		inline: $all.inline[$row],
		lto: $all.lto[$row],
		static: $all.static[$row],
		native: $all.native[$row],
		virtual: $all.virtual[$row],
		price: ($all.lto[$row] | over($all.inline[$row])),
		bound: ($all.native[$row] | over($all.static[$row])),
		ratio: ($all.virtual[$row] | over($all.native[$row])),
		xen: ($other.xen_pv | over($other.linux_amd64)),
		linux: ($other | .linux_i386_ext2 // .linux_i386_same_work // .linux_i386),
		unequal: $all.references.unequal[$row],
		other: ($all.references.columns | with_entries(.value = $other[.key]))
	});

# The switch with which the others are compared, and those that differ from it in one
# value alone.
def usual: {mib: 512, processes: 32, cpus: 1, pages: 0, tables: 0, ran: 0, preempted: 0};
def one_switch: first(.switches[] | select(contains(usual)));
def growth($by): [.switches[] | select(contains(usual | del(.[$by])))] | unique_by(.[$by]);
def axes: {mib: "MiB of memory", processes: "processes", cpus: "CPUs",
	pages: "resident pages of the loaded process", tables: "page tables of the loaded process",
	ran: "processes that ran while the VMM was there",
	preempted: "tasks that are interrupted inside the kernel"};
def first_and_last($by; $way): growth($by) | [first, last] | map(.[$way].total);

# Operations over resident pages: [row, pages, native, virtual, Linux] for each figure.
def grown: .references.growth as $linux | .growth as $g |
	[$g.native | keys_unsorted[] as $row | range($linux.pages | length) as $i |
	select($g.native[$row][$i]) |
	[$row, $linux.pages[$i], $g.native[$row][$i], $g.virtual[$row][$i],
		($linux[$row] // [])[$i]]];

# Domains: the figures with their goals; rows of `bench` and applications in all places; what an
# exit costs a VMM that stores late, and one that stores at once.
def figures: .domains.figures[] | . + {
	missed: (.goal > 0 and (if .least then .value < .goal else .value > .goal end)),
	wanted: (if .goal > 0 then (if .least then "at least " else "at most " end) +
		(.goal | tostring) else "-" end)};
def places($table): .domains[$table] as $t | $t.native | keys_unsorted[] as $row |
	[$row, ($t.native, $t.virtual, $t.guest, $t.disk | .[$row])];
def exit_classes: ["fxsave", "cr", "cr3", "flushes", "tables", "segments", "dr", "msr", "locked",
	"apic"];
def exits: .domains.exits | to_entries[] | .key as $row | .value | ("delayed", "eager") as $way |
	[$row, $way, (.[$way] | .instructions, .bytes, .[exit_classes[]])];

# 5090 -> "5,090"; no figure -> "-".
def thousands: if . == null then "-" else
	tostring | [match(".{1,3}(?=(.{3})*$)"; "g").string] | join(",") end;
# 1.5 | fixed(3) -> "1.500"
def fixed($digits): if . == null then "-" elif . < 0 then "-" + (-. | fixed($digits)) else
	(. * pow(10; $digits) | round | tostring) as $n |
	("0" * ([$digits + 1 - ($n | length), 0] | max) // "") + $n |
	.[:-$digits] + "." + .[-$digits:] end;
