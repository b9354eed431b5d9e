# SPDX-License-Identifier: MIT
"""The kernel's own state: the VO in use, pending events, tasks and their stacks."""
import gdb

from . import cpu, machine
from .machine import Command


def operations(table):
    """{'cpu.init': address, ...} of a struct vo."""
    return {"%s.%s" % (group.name, op.name): int(table[group.name][op.name])
            for group in table.type.fields() for op in group.type.fields()}


class Vo(Command):
    """The virtual object in use, with the function of each operation: cb vo

Then, for each CPU, the use count, which must be zero for a switch, and whether the CPU is
inside the VO's text."""

    def run(self, words):
        self.no_words(words)
        used = operations(machine.kernel("vo"))
        if not any(used.values()):
            kind = "none yet"
        else:
            kind = next((kind for kind in ("native", "virtual")
                         if used == operations(machine.kernel(kind + "_vo"))), "MIXED")
        print("VO in use: %s" % kind)
        for name, address in used.items():
            print("  %-20s %s" % (name, machine.symbol_at(address)))
        start, end = machine.label("vo_text_start"), machine.label("vo_text_end")
        for here in cpu.all_cpus():
            inside = ", within the VO" if start <= here.eip < end else ""
            print("CPU %d: use count %d%s" % (here.index, machine.kernel("vo_uses")[here.index],
                                              inside))


class Events(Command):
    """Virtual IF, pending events and exits of each CPU, from its shared page: cb events

In native mode the shared page is not in use; interrupts are then the hardware's ('cb
monitor info lapic', 'cb monitor info pic')."""

    def run(self, words):
        self.no_words(words)
        numbers = machine.defines("include/vmm_abi.h", "EVENT_")
        names = {number: name for name, number in numbers.items()}
        exits = [field.name[len("EXIT_"):].lower()
                 for field in gdb.lookup_type("enum vmm_exit").fields()[:-1]]
        for here in cpu.all_cpus():
            page = machine.kernel("vmm_shared")[here.index]
            pending = [names.get(i, "line %d" % i) for i in range(32)
                       if int(page["pending"]) >> i & 1]
            text = "native: interrupts are the hardware's"
            if here.virtual:
                text = "virtual IF %d, pending: %s" % (bool(int(page["vif"])),
                                                       " ".join(pending) or "none")
            print("CPU %d: %s" % (here.index, text))
            print("  exits: " + ", ".join("%s %d" % (name, page["exits"][i])
                                          for i, name in enumerate(exits)))


class Monitor(Command):
    """Print the answer of QEMU's monitor: cb monitor COMMAND

For example 'cb monitor info lapic'. GDB's own 'monitor' prints nothing that can be seen
beside the source window."""

    def run(self, words):
        if not words:
            raise gdb.GdbError("cb monitor takes a command of QEMU's monitor, as in "
                               "'cb monitor info lapic'; 'cb monitor help' lists them")
        print(machine.monitor(" ".join(words)).rstrip())


# --- tasks ---

def tasks():
    table = machine.kernel("tasks")
    return [table[i].dereference() for i in range(table.type.range()[1] + 1) if int(table[i])]


def state(task):
    return str(task["state"]).replace("TASK_", "").lower()


def call_addresses(ebp, task):
    """[(return address, None)] along the kernel's frame pointers, innermost first. After
    the trap entry's address follows the interrupted code's: (address, trap frame)."""
    base = int(task.address)
    while base < ebp < base + cpu.STACK_BYTES:
        outer, back = machine.words(machine.read(ebp, 8))
        yield back, None
        if machine.symbol_at(back).startswith(("trap_entry", "trap_exit")):
            frame = machine.at(machine.word(ebp + 8), "struct trap_frame")  # trap_handle's argument
            yield int(frame["eip"]), frame
        if outer <= ebp:
            break
        ebp = outer


def stack(task):
    """[(address, trap frame or None)] of a task, innermost first. They start at the
    registers if the task runs, else at the registers that context_switch saved."""
    for here in cpu.all_cpus():
        running = here.task() if state(task) == "running" else None
        if running is not None and running.address == task.address:
            inner = [] if here.cpl == 3 else list(call_addresses(here.ebp, task))
            return [(here.eip, None)] + inner
    # context_switch left EDI, ESI, EBX and EBP at ESP; its return address comes next.
    _, _, _, ebp, back = machine.words(machine.read(int(task["kernel_esp"]), 20))
    return [(back, None)] + list(call_addresses(ebp, task))


# Functions through which every task waits: who called them is of interest.
SCHEDULER = "switch_away", "wait", "schedule", "sched_"


class Ps(Command):
    """All tasks and where they wait: cb ps

"kernel frames": the CS that each trap frame of interrupted kernel code has saved, which
`translate` changes. "at": where the task waits, or runs."""

    def run(self, words):
        self.no_words(words)
        if not tasks():
            return print("there is no task yet")
        print("  pid  ppid cpu state    name          kernel frames  at")
        for task in tasks():
            frames, at = [], int(task["trap_frames"])
            while at:
                frame = machine.at(at, "struct trap_frame")
                frames.append("%#x" % int(frame["cs"]))
                at = int(frame["outer"])
            names = [machine.symbol_at(address) for address, _ in stack(task)]
            place = next((name for name in names if not name.startswith(SCHEDULER)), names[0])
            print("%5d %5d %3d %-8s %-13s %-14s %s" % (
                task["pid"], task["ppid"], task["cpu"], state(task), task["name"].string(),
                " ".join(frames) or "-", place))


class Bt(Command):
    """The kernel's stack of a task, and where its program is: cb bt PID

The frame pointers are followed, through traps, too. GDB's own 'bt' shows the stack of the
CPU that GDB looks at, that of a program included."""

    def complete(self, text, word):
        pids = sorted(int(task["pid"]) for task in tasks())
        return [str(pid) for pid in pids if str(pid).startswith(word)]

    def run(self, words):
        found = [task for task in tasks() if words == [str(int(task["pid"]))]]
        if not found:
            raise gdb.GdbError("cb bt takes the pid of a task, not '%s'; 'cb ps' lists them"
                               % " ".join(words))
        task = found[0]
        print("%d %s, %s on CPU %d" % (task["pid"], task["name"].string(), state(task),
                                       task["cpu"]))
        for number, (address, frame) in enumerate(stack(task)):
            trap = ""
            if frame is not None:
                trap = "  <- vector %#x, ring %d" % (frame["vector"], int(frame["cs"]) & 3)
            print("#%-2d %08x %s  %s%s" % (number, address, machine.symbol_at(address),
                                          machine.line_at(address), trap))
        if int(task["mm"]):  # a program's trap frame is at the top of the kernel stack
            top = int(task.address) + cpu.STACK_BYTES - gdb.lookup_type("struct trap_frame").sizeof
            user = machine.at(top, "struct trap_frame")
            print("program entered the kernel at %08x, stack %08x" % (user["eip"], user["esp"]))


Vo(), Events(), Monitor(), Ps(), Bt()
