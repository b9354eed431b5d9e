# SPDX-License-Identifier: MIT
"""Running to a point that matters: a phase of the switch, or the next change of ring."""
import re

import gdb

from . import cpu, machine, stop, tables
from .machine import Command

SOURCE = "kernel/switch/switch.c"
# Hardware breakpoints, of which QEMU has any number. After a stop GDB also looks for a
# software breakpoint one byte before EIP: it would take a stop at a handler for a stop at
# the IRET before it.
HERE = {"type": gdb.BP_HARDWARE_BREAKPOINT, "internal": True}


def places(name):
    """Addresses where a phase begins: its function's, and those where the compiler
    inlined it, which GDB may know only by the line. A part that the compiler split off
    (NAME.part) is no beginning."""
    entries = [line for line in gdb.decode_line("%s:%s" % (SOURCE, name))[1]
               if ".part" not in machine.symbol_at(line.pc)]
    copies = gdb.decode_line("%s:%d" % (SOURCE, entries[0].line))[1]
    return [entries[0].pc] + [line.pc for line in copies
                              if not machine.symbol_at(line.pc).startswith(name)]


class PhaseBreak(gdb.Breakpoint):
    """Stops a switch in this direction, or in both if it is None."""

    def __init__(self, address, direction):
        super().__init__("*%#x" % address)
        self.direction = direction

    def stop(self):
        now = "attach" if machine.switch("rendezvous")["attach"] else "detach"
        return self.direction in (None, now)


class Phase(Command):
    """Break at a phase of the switch: cb phase NAME [attach | detach]

The phases are functions of kernel/switch/switch.c, in this order: request, gather,
quiesce, account, protect, install, translate, commit, resume. Without a direction both
directions stop. A roll-back stops, too. `info breakpoints` lists the breakpoint, `delete
N` removes it."""

    def complete(self, text, word):
        before = text[:len(text) - len(word)].split()
        choice = ["attach", "detach"] if before else cpu.phase_names()
        return [name for name in choice if name.startswith(word)]

    def run(self, words):
        direction = words[1] if len(words) == 2 else None
        if (not 1 <= len(words) <= 2 or words[0] not in cpu.phase_names()
                or direction not in (None, "attach", "detach")):
            raise gdb.GdbError("cb phase takes one of: %s; then, if only one direction matters, "
                               "attach or detach; not '%s'"
                               % (" ".join(cpu.phase_names()), " ".join(words)))
        for address in places(words[0]):
            PhaseBreak(address, direction)


def go(command):
    """Run until something stops the machine; this is no stop for the user yet (stop.quiet)."""
    stop.quiet = True
    try:
        gdb.execute(command, to_string=True)
    except gdb.error:
        if machine.attached():
            raise
    finally:
        stop.quiet = False
    if not machine.attached():
        raise gdb.GdbError("the machine has ended before that came")


def show():
    """Print what GDB itself prints at a stop."""
    stop.on_stop(None)
    gdb.execute("frame")


class StepPhase(Command):
    """Run to the next phase of the switch, or to its end: cb step-phase

A roll-back runs phases, too: the last one first, in the other direction. If no switch is
under way, the command waits for one: a program must write to /proc/mode. Ctrl-C ends the
wait."""

    def run(self, words):
        self.no_words(words)
        machine.connection()
        points = [gdb.Breakpoint("*%#x" % address, **HERE)
                  for name in cpu.phase_names() for address in places(name)]
        points.append(gdb.Breakpoint("kernel/switch/record.c:record_end", **HERE))
        for point in points:
            point.silent = True
        try:
            go("continue")
            if points[-1].hit_count:
                record = machine.switch("record")
                direction = "attach" if record["attach"] else "detach"
                print("the switch is done: %s, error %d" % (direction, record["error"]))
        finally:
            for point in points:
                point.delete()
        show()


class Crossing(gdb.Breakpoint):
    """A place where this CPU's ring may change: the handler of a gate or, with `leave`,
    an IRET. Stops if the ring has changed or, at an IRET, is about to change."""

    def __init__(self, address, here, leave):
        super().__init__("*%#x" % address, **HERE)
        self.silent, self.leave = True, leave
        self.index, self.ring = here.index, here.cpl

    def stop(self):
        if cpu.index() != self.index:
            return False
        now = int(gdb.parse_and_eval("$cs")) & 3
        if not self.leave:
            return now != self.ring
        target = machine.word(int(gdb.parse_and_eval("(unsigned)$esp")) + 4)  # CS of the IRET
        return now != self.ring or target & 3 != now


def handlers(here):
    """Addresses to which the gates of this CPU lead; a task gate has none."""
    gates = tables.descriptors(*here.idt)
    return {gate.offset for gate in gates if gate.present and gate.type != tables.TASK_GATE}


def irets():
    """Addresses of each byte 0xCF, the opcode of IRET, in the text of kernel and VMM. A
    breakpoint on such a byte inside another instruction is never hit."""
    found = []
    sections = gdb.execute("info files", to_string=True)
    for start, end in re.findall(r"(0x\w+) - (0x\w+) is \.text", sections):
        first = int(start, 0)
        if first >= machine.KERNEL_BASE:
            code = machine.read(first, int(end, 0) - first)
            found += [first + i for i, byte in enumerate(code) if byte == 0xCF]
    return found


class NextRing(Command):
    """Run until this CPU is in another ring: cb next-ring

The ring can change at few places: at the handlers that the IDT names, and at each IRET.
The command runs from one to the next, so it is fast, however much code lies between."""

    def run(self, words):
        self.no_words(words)
        here = cpu.this()
        if not here.paging or not tables.is_ours(here.idt[0]):
            raise gdb.GdbError("cb next-ring: the kernel has no interrupt table yet; "
                               "say 'hbreak boot_go_on' and 'continue' first")
        points = []
        try:
            leave = irets() if here.cpl < 3 else []
            points = [Crossing(address, here, False) for address in handlers(here)]
            points += [Crossing(address, here, True) for address in leave]
            if here.eip in leave:  # no breakpoint stops the CPU where it already stands
                points.append(Crossing(machine.word(here.esp), here, False))
            while cpu.this().cpl == here.cpl:
                go("continue")
                if not any(point.hit_count for point in points):
                    break  # another breakpoint, or Ctrl-C
                now = cpu.this()
                if now.cpl == here.cpl:  # before an IRET: its target is on the stack
                    points.append(Crossing(machine.word(now.esp), here, False))
                for point in points:
                    point.hit_count = 0
        finally:
            for point in points:
                point.delete()
        print("ring %d -> ring %d" % (here.cpl, cpu.this().cpl))
        show()


Phase(), StepPhase(), NextRing()
