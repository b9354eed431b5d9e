# SPDX-License-Identifier: MIT
"""Running to the next point that matters: a phase of the switch, or the next change of ring."""
import re

import gdb

from . import cpu, machine, stop
from .machine import Command

SOURCE = "kernel/switch/switch.c"
# Of the hardware's kind, which QEMU has without limit: behind a software breakpoint GDB looks one byte back, and would take a stop at a
# handler for one at the IRET before it.
HERE = {"type": gdb.BP_HARDWARE_BREAKPOINT, "internal": True}


def places(name):
    """Where a phase begins: its function, and where the compiler has put its first line into another one; GDB does not always know these
    by the function's name. Not a part of it that was split off."""
    entries = [line for line in gdb.decode_line("%s:%s" % (SOURCE, name))[1] if ".part" not in machine.symbol_at(line.pc)]
    copies = gdb.decode_line("%s:%d" % (SOURCE, entries[0].line))[1]
    return [entries[0].pc] + [line.pc for line in copies if not machine.symbol_at(line.pc).startswith(name)]


class PhaseBreak(gdb.Breakpoint):
    def __init__(self, address, direction):
        super().__init__("*%#x" % address)
        self.direction = direction

    def stop(self):
        return self.direction in (None, "attach" if machine.switch("rendezvous")["attach"] else "detach")


class Phase(Command):
    """Break at a phase of the switch: cb phase NAME [attach | detach]

The phases are functions of kernel/switch/switch.c, in this order: request, gather, quiesce, account, protect, install, translate,
commit, resume. Without a direction both stop, and a roll-back, too. `info breakpoints` lists it, `delete N` removes it."""

    def complete(self, text, word):
        choice = ["attach", "detach"] if len(text[:len(text) - len(word)].split()) else cpu.phase_names()
        return [name for name in choice if name.startswith(word)]

    def run(self, words):
        direction = words[1] if len(words) == 2 else None
        if not 1 <= len(words) <= 2 or words[0] not in cpu.phase_names() or direction not in (None, "attach", "detach"):
            raise gdb.GdbError("cb phase takes one of: %s; and attach or detach, if one likes; not '%s'"
                               % (" ".join(cpu.phase_names()), " ".join(words)))
        for address in places(words[0]):
            PhaseBreak(address, direction)


def go(command):
    """Run on until something stops the machine, and count only that as a stop."""
    stop.quiet = True
    try:
        gdb.execute(command, to_string=True)
    finally:
        stop.quiet = False
    machine.connection()  # gone, if the machine has ended


def show():
    """What GDB itself prints at a stop."""
    stop.on_stop(None)
    gdb.execute("frame")


class StepPhase(Command):
    """Run to the next phase of the switch, or to its end: cb step-phase

A roll-back runs phases, too: last first, in the other direction. If no switch is under way this waits for one; let somebody write
to /proc/mode, or press Ctrl-C."""

    def run(self, words):
        self.no_words(words)
        machine.connection()
        points = [gdb.Breakpoint("*%#x" % address, **HERE) for name in cpu.phase_names() for address in places(name)]
        points.append(gdb.Breakpoint("kernel/switch/record.c:record_end", **HERE))
        for point in points:
            point.silent = True
        try:
            go("continue")
            if points[-1].hit_count:
                record = machine.switch("record")
                print("the switch is done: %s, error %d" % ("attach" if record["attach"] else "detach", record["error"]))
        finally:
            for point in points:
                point.delete()
        show()


class Crossing(gdb.Breakpoint):
    """At a place where this CPU's ring may change: the handler of a gate, or an IRET."""

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
        return now != self.ring or machine.word(int(gdb.parse_and_eval("(unsigned)$esp")) + 4) & 3 != now


def handlers(here):
    """Where the gates of this CPU lead."""
    gates = machine.words(machine.read(here.idt[0], here.idt[1] + 1))
    return {low & 0xFFFF | high & 0xFFFF0000 for low, high in zip(gates[::2], gates[1::2]) if high & 0x8000 and high >> 8 & 0x1F != 5}


def irets():
    """Each byte 0xCF in the text of kernel and VMM: those that are no instruction are never run, so they cost nothing."""
    found = []
    for start, end in re.findall(r"(0x\w+) - (0x\w+) is \.text", gdb.execute("info files", to_string=True)):
        first = int(start, 0)
        if first >= machine.KERNEL_BASE:
            found += [first + i for i, byte in enumerate(machine.read(first, int(end, 0) - first)) if byte == 0xCF]
    return found


class NextRing(Command):
    """Run until this CPU is in another ring: cb next-ring

The places where a ring can change are few: the handlers that the IDT names, and IRET. So this is fast, whatever lies between."""

    def run(self, words):
        self.no_words(words)
        here = cpu.this()
        if not here.paging or not here.idt[1]:
            raise gdb.GdbError("cb next-ring: the kernel has no interrupt table yet; say 'break kmain' and 'continue' first")
        points = []
        try:
            leave = irets() if here.cpl < 3 else []
            points = [Crossing(a, here, False) for a in handlers(here)] + [Crossing(a, here, True) for a in leave]
            if here.eip in leave:  # GDB does not stop where it stands
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
