# SPDX-License-Identifier: MIT
"""What happens at each stop: GDB gets the symbols of the program that runs, a line with
mode and ring is printed, and the state is kept for `cb diff`.
"""
import os

import gdb

from . import cpu, diff, machine

SYMBOLS = os.path.join(machine.BUILD, "symbols")
quiet = False  # set while a command steps: only its last stop counts
_program = None


def follow(name):
    """Load the symbols of this program instead of the last one's: all programs are linked
    at the same addresses. Result: whether they are new, so that GDB has printed the stop
    without them."""
    global _program
    path = os.path.join(SYMBOLS, name) if name else None
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


def program_of(here):
    """Name of the program that runs, or None."""
    task = here.task()
    return task["name"].string() if task is not None and int(task["mm"]) else None


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
        new = may_follow(event) and follow(program_of(here))
        place = ", in " + machine.symbol_at(here.eip) if new and here.cpl == 3 else ""
        print("[%s%s]" % (cpu.summary(here), place))
        diff.keep(here)
    except (gdb.error, gdb.GdbError) as error:
        print("[cb: %s]" % error)
    except KeyboardInterrupt:
        pass  # the user wants the prompt, or GDB is about to end


class MainBreak(gdb.Breakpoint):
    """Stops in main() of one program: others may have code at the same address."""

    def __init__(self, address, program):
        super().__init__("*%#x" % address, type=gdb.BP_HARDWARE_BREAKPOINT)
        self.program = program

    def stop(self):
        return program_of(cpu.this()) == self.program


class Main(machine.Command):
    """Break at main() of a program, before or while it runs: cb main PROGRAM

`break main` would take the main() of the program that runs now, and stop every other
program at that address. `info breakpoints` lists the breakpoint, `delete N` removes it."""

    def complete(self, text, word):
        return [name for name in sorted(os.listdir(SYMBOLS)) if name.startswith(word)]

    def run(self, words):
        if len(words) != 1 or not os.path.exists(os.path.join(SYMBOLS, words[0])):
            raise gdb.GdbError("cb main takes the name of a program in %s, not '%s'"
                               % (SYMBOLS, " ".join(words)))
        old = _program and os.path.basename(_program)
        follow(words[0])
        try:
            main = gdb.lookup_objfile(_program).lookup_global_symbol("main").value()
            MainBreak(int(main.address), words[0])  # prints the place in that program's source
        finally:
            follow(old)


def on_breakpoint(point):
    """GDB calls this for each new breakpoint. One that is pending would pass unseen in a program
    that no stop has met."""
    if point.pending:
        print("[%s is in neither kernel nor VMM. A program's symbols come at the first stop in it; "
              "`cb main PROGRAM` stops there]" % point.location)


Main()
gdb.events.stop.connect(on_stop)
gdb.events.breakpoint_created.connect(on_breakpoint)
