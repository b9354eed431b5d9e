# SPDX-License-Identifier: MIT
"""What happens at each stop: the symbols become those of the program that runs, a line tells mode and ring, and the state is kept
for `cb diff`."""
import os

import gdb

from . import cpu, diff, machine

quiet = False  # a command is stepping: only its last stop counts
_program = None


def follow(name):
    """Load the symbols of this program; all programs are linked at the same addresses, so there is one at a time. Result: whether they are
    new, and GDB has shown the stop without them."""
    global _program
    path = os.path.join(machine.BUILD, "symbols", name) if name else None
    if path and not os.path.exists(path):
        path = None
    if path == _program:
        return False
    if _program:
        gdb.execute('remove-symbol-file "%s"' % _program, to_string=True)
    if path:
        gdb.execute('add-symbol-file "%s"' % path, to_string=True)
    _program = path
    return True


def may_follow(event):
    """New symbols move a breakpoint's places, and GDB 13 then complains at each command if the stop was at one with several places: so
    behind such a stop they wait for the next one."""
    return not any(len(getattr(point, "locations", ())) > 1 for point in getattr(event, "breakpoints", ()))


def on_stop(event):
    if quiet:
        return
    try:
        here = cpu.this()
        task = here.task()
        new = may_follow(event) and follow(task["name"].string() if task is not None and int(task["mm"]) else None)
        print("[%s%s]" % (cpu.summary(here), ", in " + machine.symbol_at(here.eip) if new and here.cpl == 3 else ""))
        diff.keep(here)
    except (gdb.error, gdb.GdbError) as error:
        print("[cb: %s]" % error)


gdb.events.stop.connect(on_stop)
