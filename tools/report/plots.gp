# SPDX-License-Identifier: MIT
# The report's plots: one SVG for each table in the folder `out`. The colours can be seen
# on white and on black; black becomes the colour of the page's text.
set datafile separator "\t"
set datafile missing "-"
set style fill solid 1 noborder
set border 3
set tics nomirror out
set grid x lt 0 lw 1
colours = "#3b7dd8 #d9822b #3d9a6a #a469b8 #c2402c #7f8c99 #b59a1e #1f9aa8 #d76a9c"
colour(i) = word(colours, i)
file(name) = sprintf("%s/%s.tsv", out, name)
terminal = "set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,13'; "
svg(name, w, h) = sprintf(terminal . "set output '%s/%s.svg'", w, h, out, name)

# Bars: the rows stand below each other; a row has n bars, and low(i, n) is the edge of
# bar i.
low(i, n) = -0.4 + 0.8 * (i - 1) / n
eval(svg("ratios", 940, 760))
stats file("ratios") using 2 nooutput
set yrange [STATS_records - 0.4:-0.6]
set xrange [0:*]
set xlabel "VO: table / inlined operations; VMM: virtual / native; Xen: with / without Xen"
set key top outside center horizontal
names = "VO VMM Xen"
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb "black" dt 2
plot file("ratios") using (1):0:ytic(1) with dots lc rgb "black" notitle, \
	for [i=1:3] file("ratios") using \
	1 + i:($0 + low(i + 0.5, 3)):(0):1 + i:($0 + low(i, 3)):($0 + low(i + 1, 3)) \
	with boxxyerror lc rgb colour(i) title word(names, i)
unset arrow 1

eval(svg("counts", 940, 660))
set logscale x
set xrange [30:*]
set xlabel "instructions (each step is ten times the last)"
set format x "%.0s%c"
set grid y lt 0 lw 1
names = "VO=static native virtual xv6 'Linux i386, same work' 'Linux amd64 on Xen'"
points = "6 7 5 8 12 10"
inks = "6 1 2 4 5 3"
plot for [i=1:6] file("counts") using 1 + i:0:ytic(1) \
	with points pt 0 + word(points, i) ps i == 1 ? 1.8 : 1.1 lw 1.5 \
	lc rgb colour(0 + word(inks, i)) title word(names, i)
unset logscale
set format
unset grid
set grid x lt 0 lw 1

# Each row of the table is a box: phase, direction, begin, end. The phases of attach come
# first, then those of detach.
eval(svg("phases", 940, 260))
set xrange [0:*]
set yrange [1.6:-0.6]
set ytics ("attach" 0, "detach" 1)
set xlabel "instructions"
names = system(sprintf("cut -f1 '%s'", file("phases")))
n = words(names) / 2
plot for [i=1:n] file("phases") every n::i - 1 using (0):2:3:4:($2 - 0.35):($2 + 0.35) \
	with boxxyerror lc rgb colour(i) title word(names, i)

set ytics autofreq
set yrange [0:*]
set xrange [0:*]
set grid y lt 0 lw 1
set ylabel "instructions"
attach = "using 1:2 with linespoints pt 7 lc rgb colour(1) title 'attach'"
detach = "using 1:3 with linespoints pt 5 lc rgb colour(2) title 'detach'"
curves(name) = sprintf("plot file('%s') ", name) . attach . ", '' " . detach
grows(name, label) = svg(name, 360, 270) . sprintf("; set xlabel '%s'; ", label) . curves(name)
eval(grows("mib", "MiB of memory"))
eval(grows("processes", "processes"))
eval(grows("ran", "processes that ran in virtual mode"))
eval(grows("preempted", "interrupted tasks"))
set logscale xy
set yrange [1000:*]
set xrange [1:*]
eval(grows("pages", "resident pages of the process"))
eval(grows("tables", "page tables of the process"))
unset logscale
set xrange [0:*]
set yrange [0:*]
set xtics 1
eval(grows("cpus", "CPUs"))

# An operation over the process's resident pages (plus 1, for the logarithmic scale).
set xtics autofreq
set logscale xy
set xrange [1:5000]
set yrange [*:*]
systems = "native virtual Linux"
operation(name) = svg(name, 360, 270) . sprintf("; set xlabel 'resident pages + 1'; ") . \
	sprintf("set title '%s'; plot for [i=1:3] file('%s') using 1:1 + i ", name, name) . \
	"with linespoints pt 7 lc rgb colour(word('1 2 3', i) + 0) title word(systems, i)"
do for [name in "fork_call fork_exit_wait rewrite_page context_switch_2p"] {
	eval(operation(name))
}
