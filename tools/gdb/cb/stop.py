# SPDX-License-Identifier: MIT
"""What happens at each stop: GDB gets the symbols of the program that runs, a line with
mode and ring is printed, and the state is kept for `cb diff`.
"""
import os

import gdb

from . import cpu, diff, machine

quiet = False  # set while a command steps: only its last stop counts
_program = None


def follow(name):
    """Load the symbols of this program instead of the last one's: all programs are linked
    at the same addresses. Result: whether they are new, so that GDB has printed the stop
    without them."""
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
    """Whether symbols may change after this stop. New symbols move a breakpoint's places.
    If the stop was at a breakpoint with several places, GDB 13 would then complain at
    each command; the symbols wait for the next stop."""
    return not any(len(getattr(point, "locations", ())) > 1
                   for point in getattr(event, "breakpoints", ()))


def on_stop(event):
    """GDB calls this after each stop; a step of another command does not count as one."""
    if quiet:
        return
    try:
        here = cpu.this()
        task = here.task()
        program = task["name"].string() if task is not None and int(task["mm"]) else None
        new = may_follow(event) and follow(program)
        place = ", in " + machine.symbol_at(here.eip) if new and here.cpl == 3 else ""
        print("[%s%s]" % (cpu.summary(here), place))
        diff.keep(here)
    except (gdb.error, gdb.GdbError) as error:
        print("[cb: %s]" % error)


gdb.events.stop.connect(on_stop)
