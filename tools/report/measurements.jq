# SPDX-License-Identifier: MIT
# docs/measurements.md from report.json.
include "rows";

def table($head; rows): "| " + ($head | join(" | ")) + " |", "|---|" + ("---:|" * ($head[1:] | length)), (rows | map(tostring) | "| " + join(" | ") + " |"), "";
def growth_table($by; $name): table([$name, "attach", "detach"]; growth($by)[] | [.[$by], .attach.total, .detach.total]);

. as $all | one_switch as $switch | .references.switch.mercury as $mercury |
"<!-- SPDX-License-Identifier: MIT -->
# Measurements

<!-- Written by tools/report/record from docs/data; do not edit. -->

All figures are instructions: \(.method).
A run can be repeated exactly. Instructions are not cycles: what caches, TLB misses and the mode change of a real processor cost is not in them.

<!-- no test: minutes of counting; the test report checks what they write -->
```sh
make report          # all of this with plots: build/report/index.html, build/report/report.json
make bench           # the first table: build/bench.json
make bench-switch    # the tables of the switch: build/bench-switch.json
```

The figures below are recorded in `docs/data/measurements.json`; those of other systems are in `docs/data/references.json` with their source.

## Kernel operations

`static` is the kernel with the native operations bound at compile time (`VO=static`), `native` and `virtual` are the same kernel in its two modes.
`Xen / Linux` is the ratio that a Linux guest of Xen 4.17 has to the same Linux natively.
",
table(["row", "static", "native", "virtual", "native / static", "virtual / native", "Xen / Linux", "Linux 6.1 i386", "native / Linux"];
	operations[] | [.row, .static, .native, .virtual, (.price | fixed(3)), (.ratio, .xen | fixed(2)), .other.linux_i386 // "-",
		(.other.linux_i386 as $linux | .native | over($linux) | fixed(2))]),
"## The switch

On \($switch.cpus) CPU with \($switch.mib) MiB and \($switch.processes) processes:
",
table(["", "total"] + phases; ("attach", "detach") | . as $d | [., ($switch[$d] | .total, .[phases[]])]),
"and what changes with one of these (several CPUs take turns; their instructions, waiting included, count together):
",
growth_table("mib"; "MiB"), growth_table("processes"; "processes"), growth_table("cpus"; "CPUs"),
"Mercury (\($mercury.source)) reports about \($mercury.ms) ms at \($mercury.ghz) GHz, which is \($mercury | .ms * .ghz * 1e6 | round) cycles.

## Start-up

Power on to the shell prompt at \(.boot.mib) MiB: \(.boot.instructions) instructions (`build/tests/run boot-instructions` fails above 100 million), of which
16 million are the eight 2 ms that measure the clock."
