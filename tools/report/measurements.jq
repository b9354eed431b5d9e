# SPDX-License-Identifier: MIT
# docs/measurements.md from report.json.
include "rows";

def line: "| " + (map(tostring) | join(" | ")) + " |";
def table($head; rows):
	($head | line), "|---|" + ("---:|" * ($head[1:] | length)), (rows | line), "";
def growth_table($by; $name):
	table([$name, "attach", "detach"]; growth($by)[] | [.[$by], .attach.total, .detach.total]);

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
make bench           # the first table: build/bench.json
make bench-switch    # the tables of the switch: build/bench-switch.json
```

`docs/data/measurements.json` holds the figures below.
`docs/data/references.json` holds those of other systems, with their sources.

## Kernel operations

* `static`: the kernel with the native operations bound at compile time (`VO=static`).
* `native`, `virtual`: the ordinary kernel in its two modes.
* `VO`: native / static, the price of the VO.
* `VMM`: virtual / native, the price of the VMM.
* `Xen`: the price of Xen 4.17 to Linux: Linux as its dom0 / the same Linux without Xen.
* `Linux`: Linux 6.1 for i386, without Xen.
",
table(["row", "static", "native", "virtual", "VO", "VMM", "Xen", "Linux", "native / Linux"];
	operations[] | .other.linux_i386 as $linux |
	[.row, .static, .native, .virtual, (.price | fixed(3)), (.ratio, .xen | fixed(2)),
		$linux // "-", (.native | over($linux) | fixed(2))]),
"## The switch

With \($switch.cpus) CPU, \($switch.mib) MiB of memory and \($switch.processes) processes:
",
table(["phase", "attach", "detach"];
	("total", phases[]) | [., $switch.attach[.], $switch.detach[.]]),
"The next three tables change one of these values at a time.
Several CPUs take turns under QEMU's instruction counter, so the figure is the sum over all CPUs,
with the instructions that they spend waiting.
",
growth_table("mib"; "MiB"), growth_table("processes"; "processes"), growth_table("cpus"; "CPUs"),
"Mercury (\($mercury.source)) reports about \($mercury.ms) ms at \($mercury.ghz) GHz,
which is \($mercury | .ms * .ghz * 1e6 | round) cycles.

## Start-up

From power on to the shell prompt with \(.boot.mib) MiB: \(.boot.instructions) instructions.
The test `boot-instructions` fails above 100 million.
The clock's calibration takes 2 million of them: 2 ms."
