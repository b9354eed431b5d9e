# SPDX-License-Identifier: MIT
"""The descriptor tables that a CPU has loaded, or that the VMM has for it, decoded (SDM vol. 3, 3.4.5, 6.11, 8.2)."""
import re
from types import SimpleNamespace

import gdb

from . import cpu, machine
from .machine import Command

SELECTORS = dict(machine.defines("vmm/vmm.h", "SEL_"), **machine.defines("include/x86.h", "SEL_"))
VECTORS = {number: name for name, number in machine.defines("include/x86.h", "VEC_").items()}
VECTORS[machine.defines("include/abi.h")["SYSCALL_VECTOR"]] = "system call"
VECTORS[machine.defines("include/vmm_abi.h")["HYPERCALL_VECTOR"]] = "hypercall"
SYSTEM = {1: "TSS 16 available", 2: "LDT", 3: "TSS 16 busy", 4: "call gate 16", 5: "task gate", 6: "interrupt gate 16", 7: "trap gate 16",
          9: "TSS available", 11: "TSS busy", 12: "call gate", 14: "interrupt gate", 15: "trap gate"}


class Descriptor:
    def __init__(self, low, high):
        self.present, self.dpl, self.type = bool(high & 0x8000), high >> 13 & 3, high >> 8 & 0x1F
        self.base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
        self.limit = low & 0xFFFF | high & 0xF0000
        if high & 0x800000:
            self.limit = self.limit << 12 | 0xFFF
        self.selector, self.offset = low >> 16, low & 0xFFFF | high & 0xFFFF0000  # of a gate

    def kind(self):
        if not self.type & 0x10:
            return SYSTEM.get(self.type, "reserved")
        text = ("code, conforming" if self.type & 4 else "code") if self.type & 8 else ("data, expand-down" if self.type & 4 else "data")
        may = ("read" if self.type & 8 else "write") if self.type & 2 else ("execute only" if self.type & 8 else "read only")
        return "%s, %s%s" % (text, may, "" if self.type & 1 else ", not accessed")


def descriptors(base, limit):
    data = machine.words(machine.read(base, (limit + 1) & ~7))
    return [Descriptor(low, high) for low, high in zip(data[::2], data[1::2])]


def target(address):
    """Where a gate leads; the stub of a vector has no name, but jumps to what has one."""
    code = gdb.selected_inferior().architecture().disassemble(address, count=3)
    jumps = [re.search(r"jmp.*<(\S+)>", line["asm"]) for line in code]
    name = next((jump.group(1) for jump in jumps if jump), machine.symbol_at(address))
    return name + (" (VMM)" if address >= machine.VMM_BASE else "")


def of_vmm(here):
    """The VMM's tables for this CPU, loaded or not, in the form in which a Cpu has those that are."""
    own, places = machine.vmm("vmm_cpus")[here.index]["cpu"], {}
    for name, table in ("gdt", own["gdt"]), ("idt", machine.vmm("vmm_idt")), ("tss", own["tss"]):
        places[name] = int(table.address), table.type.sizeof - 1
    return SimpleNamespace(gdt=places["gdt"], idt=places["idt"], tr=(SELECTORS["TSS"],) + places["tss"])


class Tables:
    """GDT, IDT and TSS of a CPU, as they are now; put into words when that is wanted."""

    def __init__(self, here):
        self.gdt, self.idt, self.tr = here.gdt, here.idt, here.tr
        self.segments, self.gates = descriptors(*here.gdt), descriptors(*here.idt)
        self.tss = machine.words(machine.read(here.tr[1], 104))

    def gdt_lines(self):
        """{selector: text}"""
        names = {value & ~7: name for name, value in SELECTORS.items()}
        return {8 * i: "%-8s DPL %d  %08x-%08x  %s" % (names.get(8 * i, ""), d.dpl, d.base, (d.base + d.limit) & 0xFFFFFFFF, d.kind())
                for i, d in enumerate(self.segments) if d.present}

    def gate(self, d):
        if d.type == 5:
            return "task %#x" % d.selector
        segment = self.segments[d.selector >> 3] if d.selector >> 3 < len(self.segments) else None
        return "ring %s  %s" % (segment.dpl if segment else "?", target(d.offset))

    def idt_lines(self):
        """{vector: text}"""
        return {vector: "DPL %d  %-14s -> %s" % (d.dpl, d.kind(), self.gate(d)) for vector, d in enumerate(self.gates) if d.present}

    def tss_lines(self):
        """{what: text}"""
        selector, base, limit = self.tr
        lines = {"TR": "%#x: %#010x, limit %#x" % self.tr}
        for ring in range(3):
            esp, ss = self.tss[1 + 2 * ring], self.tss[2 + 2 * ring] & 0xFFFF
            lines["ring %d stack" % ring] = "%#06x:%#010x" % (ss, esp) if esp else "none"
        iomap = self.tss[25] >> 16
        lines["I/O bitmap"] = "%#x: %s" % (iomap, "behind the limit, so no port without IOPL" if iomap > limit else "within the limit")
        return lines


def heading(what, base, limit):
    print("%s at %#010x, limit %#x: %s" % (what, base, limit, "the VMM's" if base >= machine.VMM_BASE else "the kernel's"))


class TableCommand(Command):
    def complete(self, text, word):
        return ["vmm"] if "vmm".startswith(word) else []

    def chosen(self, words):
        if words not in ([], ["vmm"]):
            raise gdb.GdbError("%s takes nothing, for the loaded table, or vmm, for the VMM's; not '%s'" % (self.name, " ".join(words)))
        return of_vmm(cpu.this()) if words else cpu.this()


class Gdt(TableCommand):
    """The segment descriptors of this CPU: cb gdt [vmm]

Those that are loaded; with vmm those that the VMM has for this CPU, loaded or not.

A segment register can be loaded with a data segment whose DPL is at least CPL: what has DPL 0 is out of reach for ring 1."""

    def run(self, words):
        here = self.chosen(words)
        heading("GDT", *here.gdt)
        for selector, text in Tables(here).gdt_lines().items():
            print("%#04x  %s" % (selector, text))


class Idt(TableCommand):
    """The gates of this CPU and the ring each leads to: cb idt [vmm]

Those that are loaded; with vmm the VMM's, loaded or not.

The DPL of a gate says who may enter it by INT n; interrupts and exceptions ignore it. In virtual mode only trap gates lead to ring 1."""

    def run(self, words):
        here = self.chosen(words)
        heading("IDT", *here.idt)
        for vector, text in Tables(here).idt_lines().items():
            print("%#04x  %-12s %s" % (vector, VECTORS.get(vector, ""), text))


class Tss(TableCommand):
    """The task state of this CPU: the stack for each entry into an inner ring: cb tss [vmm]

The one that is loaded; with vmm the one that the VMM has for this CPU, loaded or not."""

    def run(self, words):
        here = self.chosen(words)
        heading("TSS", *here.tr[1:])
        for what, text in Tables(here).tss_lines().items():
            print("%-13s %s" % (what, text))


Gdt(), Idt(), Tss()
