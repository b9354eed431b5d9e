# SPDX-License-Identifier: MIT
"""The CPUs as QEMU's monitor shows them, with registers that GDB's stub leaves out: CPL,
GDTR, IDTR, TR. Mode, current task and phase of a switch follow from them; `cb where`
prints these.
"""
import re

import gdb

from . import machine
from .machine import Command

NAMES = "EAX EBX ECX EDX ESI EDI EBP ESP EIP EFL CPL CR0 CR2 CR3 CR4".split()
SEGMENTS = "ES CS SS DS FS GS LDT TR".split()
TASK = machine.defines("kernel/proc/task.h", "TASK_")
STACK_BYTES = machine.X86["PAGE_SIZE"] << TASK["STACK_ORDER"]


class Cpu:
    """One CPU: its registers, as attributes and in `registers`, from the monitor's text."""

    def __init__(self, index, text):
        self.index = index
        self.registers = {}
        for name in NAMES:
            found = re.search(r"\b%s=([0-9a-fA-F]+)" % name, text)
            self.registers[name] = int(found.group(1), 16)
            setattr(self, name.lower(), self.registers[name])
        for name in SEGMENTS:  # "CS =0008 00000000 ffffffff 00cf9a00"
            found = re.search("^%-3s=" % name + " ".join(["([0-9a-f]+)"] * 4), text, re.M)
            selector, base, limit, _ = (int(part, 16) for part in found.groups())
            self.registers[name] = selector
            setattr(self, name.lower(), (selector, base, limit))
        for name in ("GDT", "IDT"):
            found = re.search(r"^%s= +([0-9a-f]+) ([0-9a-f]+)" % name, text, re.M)
            base, limit = (int(part, 16) for part in found.groups())
            self.registers[name + "R"] = base
            setattr(self, name.lower(), (base, limit))
        self.halted = "HLT=1" in text

    @property
    def paging(self):
        return bool(self.cr0 & machine.X86["CR0_PG"])

    @property
    def virtual(self):
        """Whether this CPU has the VMM's tables loaded."""
        return self.paging and self.idt[0] >= machine.VMM_BASE

    def task(self):
        """The current task, or None. A task stands at the low end of its kernel stack: in
        the kernel that is where ESP points, else where the TSS says that the kernel is
        entered."""
        if not self.paging:
            return None
        esp = self.esp
        try:
            if not machine.KERNEL_BASE <= esp < machine.LAYOUT["KERNEL_MAP_BASE"]:
                tss = machine.at(self.tr[1], "struct tss")
                esp = int(tss["esp1" if self.virtual else "esp0"]) - 1
            task = machine.at(esp & ~(STACK_BYTES - 1), "struct task")
            return task if int(task["guard"]) == TASK["GUARD"] else None
        except gdb.MemoryError:
            return None


def all_cpus():
    parts = re.split(r"^CPU#(\d+)\s*$", machine.monitor("info registers -a"), flags=re.M)[1:]
    if not parts:
        raise gdb.GdbError("the machine's monitor shows no registers: is this QEMU?")
    return [Cpu(int(number), part) for number, part in zip(parts[::2], parts[1::2])]


def index():
    """Index of the CPU that GDB looks at: to GDB, QEMU's CPUs are threads."""
    machine.connection()
    return gdb.selected_thread().ptid[1] - 1


def this():
    return all_cpus()[index()]


# --- the switch ---

def phase_names():
    numbers = gdb.lookup_type("enum phase_number").fields()[:-1]
    return [field.name[len("PHASE_"):].lower() for field in numbers]


def phase_here():
    """Name of the phase whose function this frame is, or None. The compiler may have
    inlined the function; GDB then still knows its name."""
    try:
        function = gdb.newest_frame().function()
    except gdb.error:
        return None
    if not function or not function.symtab.filename.endswith("kernel/switch/switch.c"):
        return None
    return function.name if function.name in phase_names() else None


def phase():
    """Where a switch is, as in 'account (attach)', or None. The function tells it or,
    inside another function, the record: the phase that failed in this try; or the first one
    that has not ended yet."""
    rendezvous, record = machine.switch("rendezvous"), machine.switch("record")
    names, start = phase_names(), int(record["start"]) & 0xFFFFFFFF

    def ended(i):  # a time from before this try is of another one
        end = int(record["ends"][i])
        return end != 0 and not (end - start) & 0x80000000

    failed = int(record["failed"]) if int(record["error"]) else None
    if failed is not None and not ended(failed):
        failed = None
    name = phase_here()
    if not name:
        if int(rendezvous["result"]) <= 0:
            return None
        if failed is not None:
            name = names[failed]
        else:
            name = next((names[i] for i in range(len(names)) if not ended(i)), names[-1])
    if failed is not None:
        name += ", rolling back"
    return "%s (%s)" % (name, "attach" if record["attach"] else "detach")


def mode(cpu):
    """A CPU's mode in words. Between install and commit of a switch, CPU and VO have
    different modes."""
    if not cpu.paging:
        return "boot"
    table = machine.kernel("vo")["cpu"]["ring"]
    name = "virtual" if cpu.virtual else "native"
    if not int(table):
        return name + " (no VO yet)"
    vo = "virtual" if table == machine.kernel("virtual_vo")["cpu"]["ring"] else "native"
    return name if vo == name else "%s (VO still %s)" % (name, vo)


def summary(cpu):
    """The line that each stop prints: mode, ring, CPU, task, phase."""
    text = "%s mode, ring %d" % (mode(cpu), cpu.cpl)
    if cpu.virtual and cpu.cpl == 0:
        text += " (VMM)"
    text += ", CPU %d" % cpu.index
    if cpu.paging:
        task, at = cpu.task(), phase()
        if task is not None:
            name = "pid %d %s" % (task["pid"], task["name"].string())
            text += ", idle" if task["idle"] else ", " + name
        if at:
            text += ", phase " + at
    return text


class Where(Command):
    """Mode, ring, CPU, phase and process, of every CPU: cb where

The mode is virtual if the CPU has loaded the VMM's IDT. The phase is that of a switch
that is under way. The process is the one whose kernel stack is in use; in a program and
in the VMM it is the one whose kernel stack the TSS names. `*` marks the CPU that GDB
shows."""

    def run(self, words):
        self.no_words(words)
        for cpu in all_cpus():
            place = machine.symbol_at(cpu.eip)
            line = machine.line_at(cpu.eip)
            mark = "*" if cpu.index == index() else " "
            print("%s %s%s" % (mark, summary(cpu), ", halted" if cpu.halted else ""))
            print("    at %#010x %s%s" % (cpu.eip, place, " (%s)" % line if line else ""))


Where()
