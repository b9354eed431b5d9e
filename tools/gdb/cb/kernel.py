# SPDX-License-Identifier: MIT
"""What the kernel keeps: the VO in use, pending events, tasks and their stacks."""
import gdb

from . import cpu, machine
from .machine import Command


def operations(table):
    """'cpu.init': address, of a struct vo."""
    return {"%s.%s" % (group.name, op.name): int(table[group.name][op.name]) for group in table.type.fields() for op in group.type.fields()}


class Vo(Command):
    """The virtual object in use: each operation and the function behind it: cb vo

With the use count of every CPU, which must be zero for a switch, and whether a CPU is within the VO's text."""

    def run(self, words):
        self.no_words(words)
        used, native, virtual = (operations(machine.kernel(name)) for name in ("vo", "native_vo", "virtual_vo"))
        kinds = {"native" if used == native else "virtual" if used == virtual else "none yet" if not any(used.values()) else "MIXED"}
        print("VO in use: %s" % kinds.pop())
        for name, address in used.items():
            print("  %-20s %s" % (name, machine.symbol_at(address)))
        start, end = machine.label("vo_text_start"), machine.label("vo_text_end")
        for here in cpu.all_cpus():
            print("CPU %d: use count %d%s" % (here.index, machine.kernel("vo_uses")[here.index],
                                              ", within the VO" if start <= here.eip < end else ""))


class Events(Command):
    """Virtual IF, pending events and exits of each CPU, from the pages that kernel and VMM share: cb events

In native mode nothing uses them; interrupts are then the hardware's ('cb monitor info lapic', 'cb monitor info pic')."""

    def run(self, words):
        self.no_words(words)
        names = {number: name for name, number in machine.defines("include/vmm_abi.h", "EVENT_").items()}
        exits = [field.name[5:].lower() for field in gdb.lookup_type("enum vmm_exit").fields()][:-1]
        for here in cpu.all_cpus():
            page = machine.kernel("vmm_shared")[here.index]
            pending = [names.get(i, "line %d" % i) for i in range(32) if int(page["pending"]) >> i & 1]
            print("CPU %d: %s" % (here.index, "virtual IF %d, pending: %s" % (bool(int(page["vif"])), " ".join(pending) or "none")
                                  if here.virtual else "native: interrupts are the hardware's"))
            print("  exits: " + ", ".join("%s %d" % (name, page["exits"][i]) for i, name in enumerate(exits)))


class Monitor(Command):
    """What QEMU's monitor answers: cb monitor COMMAND

For example 'cb monitor info lapic'. GDB's own 'monitor' shows nothing beneath the source window."""

    def run(self, words):
        print(machine.monitor(" ".join(words)).rstrip())


# --- tasks ---

def tasks():
    table = machine.kernel("tasks")
    return [table[i].dereference() for i in range(table.type.range()[1] + 1) if int(table[i])]


def state(task):
    return str(task["state"]).replace("TASK_", "").lower()


def call_addresses(ebp, task):
    """Return addresses along the kernel's frame pointers. Behind trap_handle comes what it interrupted: (address, trap frame)."""
    base = int(task.address)
    while base < ebp < base + cpu.STACK_BYTES:
        outer, back = machine.words(machine.read(ebp, 8))
        yield back, None
        if machine.symbol_at(back).startswith(("trap_entry", "trap_exit")):
            frame = gdb.Value(machine.word(ebp + 8)).cast(gdb.lookup_type("struct trap_frame").pointer())
            yield int(frame["eip"]), frame
        if outer <= ebp:
            break
        ebp = outer


def stack(task):
    """[(address, trap frame or None)] of a task, innermost first: by the registers if it runs, else by what context_switch kept."""
    for here in cpu.all_cpus():
        running = here.task() if state(task) == "running" else None
        if running is not None and running.address == task.address:
            return [(here.eip, None)] + (list(call_addresses(here.ebp, task)) if here.cpl != 3 else [])
    saved = machine.words(machine.read(int(task["kernel_esp"]), 20))  # edi esi ebx ebp, return address
    return [(saved[4], None)] + list(call_addresses(saved[3], task))


class Ps(Command):
    """All tasks and where they wait: cb ps"""

    def run(self, words):
        self.no_words(words)
        print("  pid  ppid cpu state    name          kernel frames  at")
        for task in tasks():
            frames, at = [], int(task["trap_frames"])
            while at:
                frame = gdb.Value(at).cast(gdb.lookup_type("struct trap_frame").pointer())
                frames.append("%#x" % int(frame["cs"]))
                at = int(frame["outer"])
            names = [machine.symbol_at(address) for address, _ in stack(task)]
            place = next((n for n in names if not n.startswith(("switch_away", "wait", "schedule", "sched_"))), names[0])
            print("%5d %5d %3d %-8s %-13s %-14s %s" % (task["pid"], task["ppid"], task["cpu"], state(task), task["name"].string(),
                                                      " ".join(frames) or "-", place))


class Bt(Command):
    """The kernel's stack of a task, and where its program is: cb bt PID

It follows the frame pointers and passes through traps. GDB's own 'bt' shows the CPU that it looks at, programs included."""

    def complete(self, text, word):
        return [str(pid) for pid in sorted(int(task["pid"]) for task in tasks()) if str(pid).startswith(word)]

    def run(self, words):
        found = [task for task in tasks() if words == [str(int(task["pid"]))]]
        if not found:
            raise gdb.GdbError("cb bt takes the pid of a task, not '%s'; 'cb ps' lists them" % " ".join(words))
        task = found[0]
        print("%d %s, %s on CPU %d" % (task["pid"], task["name"].string(), state(task), task["cpu"]))
        for number, (address, frame) in enumerate(stack(task)):
            trap = "  <- vector %#x, ring %d" % (frame["vector"], int(frame["cs"]) & 3) if frame is not None else ""
            print("#%-2d %08x %s  %s%s" % (number, address, machine.symbol_at(address), machine.line_at(address), trap))
        if int(task["mm"]):
            top = gdb.lookup_type("struct trap_frame")
            user = gdb.Value(int(task.address) + cpu.STACK_BYTES - top.sizeof).cast(top.pointer())
            print("program entered the kernel at %08x, stack %08x" % (user["eip"], user["esp"]))


Vo(), Events(), Monitor(), Ps(), Bt()
