# SPDX-License-Identifier: MIT
"""The CPUs as QEMU's monitor shows them, with what GDB's stub leaves out: CPL, GDTR, IDTR, TR. And what follows from that: mode,
current task, phase of a switch. `cb where` says it."""
import re

import gdb

from . import machine
from .machine import Command

NAMES = "EAX EBX ECX EDX ESI EDI EBP ESP EIP EFL CPL CR0 CR2 CR3 CR4".split()
SEGMENTS = "ES CS SS DS FS GS LDT TR".split()
TASK = machine.defines("kernel/proc/task.h", "TASK_")
STACK_BYTES = machine.X86["PAGE_SIZE"] << TASK["STACK_ORDER"]


class Cpu:
    def __init__(self, index, text):
        self.index = index
        self.registers = {}
        for name in NAMES:
            found = re.search(r"\b%s=([0-9a-fA-F]+)" % name, text)
            self.registers[name] = int(found.group(1), 16)
            setattr(self, name.lower(), self.registers[name])
        for name in SEGMENTS:  # "CS =0008 00000000 ffffffff 00cf9a00"
            found = re.search(r"^%-3s=([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)" % name, text, re.M)
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
        """Whether the VMM's tables are loaded here."""
        return self.paging and self.idt[0] >= machine.VMM_BASE

    def task(self):
        """The current task, or None: by the stack pointer in the kernel, else by the stack that the TSS names for it."""
        if not self.paging:
            return None
        inside = machine.KERNEL_BASE <= self.esp < machine.LAYOUT["KERNEL_MAP_BASE"]
        esp = self.esp if inside else machine.word(self.tr[1] + (12 if self.virtual else 4)) - 1
        try:
            task = gdb.Value(esp & ~(STACK_BYTES - 1)).cast(gdb.lookup_type("struct task").pointer()).dereference()
            return task if int(task["guard"]) == TASK["GUARD"] else None
        except gdb.MemoryError:
            return None


def all_cpus():
    parts = re.split(r"^CPU#(\d+)\s*$", machine.monitor("info registers -a"), flags=re.M)[1:]
    if not parts:
        raise gdb.GdbError("the machine's monitor shows no registers: is this QEMU?")
    return [Cpu(int(index), part) for index, part in zip(parts[::2], parts[1::2])]


def index():
    """Of the CPU that GDB looks at: QEMU's threads are its CPUs."""
    machine.connection()
    return gdb.selected_thread().ptid[1] - 1


def this():
    return all_cpus()[index()]


# --- the switch ---

def phase_names():
    numbers = gdb.lookup_type("enum phase_number").fields()[:-1]
    return [field.name[len("PHASE_"):].lower() for field in numbers]


def phase_here():
    """Name of the phase whose function this frame is, or None."""
    try:
        function = gdb.newest_frame().function()  # of the caller that a phase was put into, GDB still says the phase's name
    except gdb.error:
        return None
    known = function and function.symtab.filename.endswith("kernel/switch/switch.c") and function.name in phase_names()
    return function.name if known else None


def phase():
    """Where a switch is: 'account (attach)', or None. By the function, else by the first phase that has no time yet."""
    now, record = machine.switch("rendezvous"), machine.switch("record")
    name = phase_here()
    if not name:
        if int(now["result"]) <= 0:
            return None
        ticks = [int(record["ticks"][i]) for i in range(len(phase_names()))]
        name = phase_names()[ticks.index(0) if 0 in ticks else -1]
    if int(record["error"]):
        name += ", rolling back"
    return "%s (%s)" % (name, "attach" if record["attach"] else "detach")


def mode(cpu):
    """In words. While a switch is between install and commit the CPU is ahead of the VO."""
    if not cpu.paging:
        return "boot"
    table = machine.kernel("vo")["cpu"]["ring"]
    name = "virtual" if cpu.virtual else "native"
    if not int(table):
        return name + " (no VO yet)"
    vo = "virtual" if table == machine.kernel("virtual_vo")["cpu"]["ring"] else "native"
    return name if vo == name else "%s (VO still %s)" % (name, vo)


def summary(cpu):
    text = "%s mode, ring %d" % (mode(cpu), cpu.cpl)
    if cpu.virtual and cpu.cpl == 0:
        text += " (VMM)"
    text += ", CPU %d" % cpu.index
    if cpu.paging:
        task, at = cpu.task(), phase()
        if task is not None:
            text += ", idle" if task["idle"] else ", pid %d %s" % (task["pid"], task["name"].string())
        if at:
            text += ", phase " + at
    return text


class Where(Command):
    """Mode, ring, CPU, phase and process, of every CPU: cb where

The mode is what the CPU has loaded: virtual if its IDT is the VMM's. The phase is that of a switch that is under way. The process is
the one whose kernel stack is in use or, in a program and in the VMM, the one that the TSS names. `*` marks the CPU that GDB shows."""

    def run(self, words):
        self.no_words(words)
        for cpu in all_cpus():
            place = machine.symbol_at(cpu.eip)
            line = machine.line_at(cpu.eip)
            print("%s %s%s" % ("*" if cpu.index == index() else " ", summary(cpu), ", halted" if cpu.halted else ""))
            print("    at %#010x %s%s" % (cpu.eip, place, " (" + line + ")" if line else ""))


Where()
