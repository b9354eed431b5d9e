# SPDX-License-Identifier: MIT
# docs/measurements.md from report.json.
include "rows";

def line: "| " + (map(tostring) | join(" | ")) + " |";
def table($head; rows):
	($head | line), "|---|" + ("---:|" * ($head[1:] | length)), (rows | line), "";
def growth_table($by): "\(axes[$by]):", "",
	table([$by, "attach", "left for later", "detach", "the detach's writer"];
		growth($by)[] | [.[$by], .attach.total, .later, .detach.total, .leave]);
def axes_where(condition): [axes | keys_unsorted[] as $by | select($by | condition) | axes[$by]] |
	if length == 0 then "nothing of this" else join(",\n") end;
def flat($all; $way): . as $by | ($all | first_and_last($by; $way)) | .[1] <= .[0] * 1.02;

. as $all | one_switch as $switch | .references.switch.mercury as $mercury |
"<!-- SPDX-License-Identifier: MIT -->
# Measurements

<!-- Written by tools/report/record from docs/data; do not edit. -->

All figures are numbers of instructions.
How they were counted:
\(.method).
A run can be repeated exactly.
Instructions are not cycles: these figures leave out what caches, TLB misses and changes of ring
cost on a real processor.

<!-- no test: minutes of counting; the test `report` checks what these commands write -->
```sh
make report          # the whole report with plots: build/report/index.html and report.json
make bench           # the first tables: build/bench.json
make bench-switch    # the tables of the switch: build/bench-switch.json
make bench-domains   # those of domains: build/bench-domains.json
```

`docs/data/measurements.json` holds the figures below.
`docs/data/references.json` holds those of other systems, with their sources.

## Kernel operations

* `native`, `virtual`: the kernel in its two modes.
* `VMM`: virtual / native, the price of the VMM.
* `Xen`: the price of Xen 4.17 to Linux: Linux as its dom0 / the same Linux without Xen.
* `Linux`: Linux 6.1 for i386, without Xen. Where it was measured this is the same work: a program
  without libc and of the same size, equal reads and ranges, files on ext2 on a RAM disk.
",
table(["row", "native", "virtual", "VMM", "Xen", "Linux", "native / Linux"];
	operations[] | .linux as $linux |
	[.row, .native, .virtual, (.ratio, .xen | fixed(2)), $linux // "-",
		(.native | over($linux) | fixed(2))]),
"What is unequal between Cinnabar and Linux in a row:
",
(operations[] | "* `\(.row)`: \(.unequal)."), "",
"## The price of the VO

The VO is a table of functions, and an indirect call cannot be inlined.
So the table is compared with native operations that are: both kernels are optimised as a whole by
GCC (`-flto`), and differ only in `VO()`.
An instruction count does not tell an indirect call from a direct one, which is cheaper on a real
processor.

* `inline`: `make VO=inline`, native operations inlined where GCC wants it; `lto`: `make VO=lto`,
  the table. `price`: lto / inline.
* `static`: `make VO=static`, not optimised as a whole: direct calls. `indirect`: native / static.
",
table(["row", "inline", "lto", "price", "static", "native", "indirect"];
	operations[] | [.row, .inline, .lto, (.price | fixed(3)), .static, .native,
		(.bound | fixed(3))]),
"## Heavy instructions

For one operation, counted by QEMU's log of executed blocks (`tests/machine/bench_heavy.c`).
A real processor takes tens to hundreds of cycles for each of them.
A class that does not occur has no column: IN and OUT, loads of GDTR, IDTR, TR and LDTR.

* `int`: software interrupts: system calls and hypercalls; `iret`: returns from them and from
  exceptions and interrupts.
* `cr3`: loads of CR3; `cr`: all else that reads or writes a control register; `invlpg`.
* `cli-sti`: CLI, STI, HLT, POPF.
* `selector`: loads of segment registers; `locked`: LOCK and XCHG; `fxsave`: and FXRSTOR.
",
(.heavy | [(.native | first(.[]) | keys_unsorted[]) as $class |
	select(any(.native[], .virtual[]; .[$class] >= 0.05)) | $class] as $classes |
	table(["row", "mode"] + $classes; .native as $native | .virtual as $virtual |
		($native | keys_unsorted[]) as $row | ("native", "virtual") as $mode |
		(if $mode == "native" then $native else $virtual end)[$row] as $counts |
		[$row, $mode] + [$classes[] as $class | [$counts[$class], 0] | max | fixed(1)])),
"## Growth with resident pages

The process has written to so many private pages; `rewrite_page` is the cost of one page that it
writes to again after a child that shared it has ended.
Linux does the same work.
",
table(["row", "pages", "native", "virtual", "VMM", "Linux", "native / Linux"];
	grown[] | . as [$row, $pages, $native, $virtual, $linux] |
	[$row, $pages, $native, $virtual, ($virtual | over($native) | fixed(2)), $linux // "-",
		($native | over($linux) | fixed(2))]),
"## The switch

With \($switch.cpus) CPU, \($switch.mib) MiB of memory, \($switch.processes) processes, and a small
process loaded:
",
table(["phase", "attach", "detach"];
	("total", phases[]) | [., $switch.attach[.], $switch.detach[.]]),
"The next tables change one of these values at a time.

Attach does not grow with:
\(axes_where(flat($all; "attach"))).
It does grow with:
\(axes_where(flat($all; "attach") | not)).

Detach does not grow with:
\(axes_where(flat($all; "detach"))).
It does grow with:
\(axes_where(flat($all; "detach") | not)).

`left for later`: what the process pays after an attach, when it first writes to each of its pages
again, above what it pays the second time.
The VMM checks one page table at a time, with interrupts off: for a full table that is about
\($all | first(growth("pages")[] | select(.pages == 1024)).later) instructions.

`the detach's writer`: its whole call, with interrupts on: also the entry of the file system, and
giving up tables that no CPU uses (`HC_TRIM`), which the switch's phases do not contain.

Interrupts are off on all CPUs during a switch, so each figure is also a bound of that time.
Several CPUs take turns under QEMU's instruction counter, so the figure is the sum over all CPUs,
with the instructions that they spend waiting.

Counted from outside for each CPU alone, from the handler of `VEC_SWITCH` to its IRET, with what
the CPU executes while it waits (`tests/machine/bench_window.c`), the longest time with interrupts
off is:
",
table(["cpus", "resident pages", "attach", "detach"];
	.windows[] | [.cpus, .pages, .attach, .detach]),
(axes | keys_unsorted[] as $by | $all | growth_table($by)),
(.switches[] | select(.cpus == 8 and .pages > 0) |
	"With \(.cpus) CPUs and \(.pages) resident pages: attach \(.attach.total), " +
	"detach \(.detach.total).", ""),
"Mercury (\($mercury.source)) reports about \($mercury.ms) ms at \($mercury.ghz) GHz,
which is \($mercury | .ms * .ghz * 1e6 | round) cycles.",
"", "## Domains

`make bench-domains` prints these figures, and writes `build/bench-domains.json`.
[Domains](domains.md) tells the reasons where a goal is missed.
",
table(["what", "figure", "unit", "goal"];
	figures | [.what, (.value | fixed(3)), .unit,
		.wanted + (if .missed then ", missed" else "" end)]),
"What must be known to compare:
",
(figures | select(.unequal != "") | "* \(.what): \(.unequal)."), "",
"`guest`: its root lies in its memory; `disk`: it has a disk, through the ring.
",
table(["row", "native", "virtual", "guest", "disk", "guest / native", "disk / native"];
	places("rows") | . + [(.[3], .[4]) as $n | $n / .[1] | fixed(2)]),
"Applications: native and virtual with a RAM disk; the last place has a file of it as its disk.
`udp`: one of 1,000 blocks of a file, 512 bytes each, from a TFTP server outside: a datagram and
its answer. QEMU plays the server, and answers within the instruction that sends.
",
table(["what", "native", "virtual", "guest", "disk", "native / virtual", "native / disk"];
	places("applications") | . as [$row, $native] |
	[$row, (.[1:][] | . // "-"), ((.[2], .[4]) as $n | $native | over($n) | fixed(2))]),
"## Delayed storing

One exit that returns to the same vCPU, and one switch between domains: by the VMM, and by one that
stores and loads all state at each exit (`EXIT=eager`).
`bytes`: moved by string instructions and FPU images; `cr`: control registers; `flushes`: of the
whole TLB; `tables`: GDTR, IDTR, LDTR, TR; `dr`: debug registers. Writes to the local APIC, one at
most, have no column.
",
table(["what", "", "instr.", "bytes"] + exit_classes[:-1]; exits | .[:-1]),
"## Start-up

From power on to the shell prompt with \(.boot.mib) MiB: \(.boot.instructions) instructions.
The test `boot-instructions` fails above 100 million.
The clock's calibration takes 2 million of them: 2 ms."
