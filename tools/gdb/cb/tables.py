# SPDX-License-Identifier: MIT
"""Decodes descriptor tables: those that a CPU has loaded, or those that the VMM has for
it (SDM vol. 3, 3.4.5, 6.11, 8.2).
"""
import re
from types import SimpleNamespace

import gdb

from . import cpu, machine
from .machine import Command

SELECTORS = dict(machine.defines("vmm/vmm.h", "SEL_"))
SELECTORS.update(machine.defines("include/x86.h", "SEL_"))
VECTORS = {number: name for name, number in machine.defines("include/x86.h", "VEC_").items()}
VECTORS[machine.defines("include/abi.h")["SYSCALL_VECTOR"]] = "system call"
VECTORS[machine.defines("include/vmm_abi.h")["HYPERCALL_VECTOR"]] = "hypercall"
# Types of system descriptors and gates (SDM vol. 3, table 3-2).
SYSTEM = {1: "TSS 16 available", 2: "LDT", 3: "TSS 16 busy", 4: "call gate 16", 5: "task gate",
          6: "interrupt gate 16", 7: "trap gate 16", 9: "TSS available", 11: "TSS busy",
          12: "call gate", 14: "interrupt gate", 15: "trap gate"}
TASK_GATE = 5


class Descriptor:
    """A segment descriptor or a gate: a gate has a selector and an offset, others base
    and limit."""

    def __init__(self, low, high):
        self.present, self.dpl = bool(high & 0x8000), high >> 13 & 3
        self.type = high >> 8 & 0x1F  # with the bit S: 0 for system descriptors and gates
        self.base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
        self.limit = low & 0xFFFF | high & 0xF0000
        if high & 0x800000:
            self.limit = self.limit << 12 | 0xFFF
        self.selector, self.offset = low >> 16, low & 0xFFFF | high & 0xFFFF0000

    def kind(self):
        """The type in words."""
        if not self.type & 0x10:
            return SYSTEM.get(self.type, "reserved")
        if self.type & 8:
            words = ["code"] + ["conforming"] * bool(self.type & 4)
            words.append("read" if self.type & 2 else "execute only")
        else:
            words = ["data"] + ["expand-down"] * bool(self.type & 4)
            words.append("write" if self.type & 2 else "read only")
        return ", ".join(words + ["not accessed"] * (not self.type & 1))


def descriptors(base, limit):
    """The entries of a descriptor table."""
    data = machine.words(machine.read(base, (limit + 1) & ~7))
    return [Descriptor(low, high) for low, high in zip(data[::2], data[1::2])]


def target(address):
    """The symbol to which a gate leads. The stub of a vector has none; it jumps to code
    that has."""
    code = gdb.selected_inferior().architecture().disassemble(address, count=3)
    jumps = [re.search(r"jmp.*<(\S+)>", line["asm"]) for line in code]
    name = next((jump.group(1) for jump in jumps if jump), machine.symbol_at(address))
    return name + (" (VMM)" if address >= machine.VMM_BASE else "")


def of_vmm(here):
    """The VMM's tables for this CPU, loaded or not, with the attributes that a Cpu has
    for loaded ones."""
    def place(table):
        return int(table.address), table.type.sizeof - 1

    own = machine.vmm("vmm_cpus")[here.index]["cpu"]
    return SimpleNamespace(gdt=place(own["gdt"]), idt=place(machine.vmm("vmm_idt")),
                           tr=(SELECTORS["TSS"],) + place(own["tss"]))


def is_ours(base):
    """Whether a table is the kernel's or the VMM's. An early kernel still has others: low in
    memory, or in the ROM, which is not mapped."""
    if base < machine.KERNEL_BASE:
        return False
    try:
        return bool(machine.read(base, 8))
    except gdb.MemoryError:
        return False


class Tables:
    """A copy of GDT, IDT and TSS of a CPU. A table that is not ours has no entries: what it
    leads to may not be mapped."""

    def __init__(self, here):
        self.gdt, self.idt, self.tr = here.gdt, here.idt, here.tr
        self.segments, self.gates = (descriptors(*table) if is_ours(table[0]) else []
                                     for table in (here.gdt, here.idt))
        tss = gdb.lookup_type("struct tss")
        self.tss = (gdb.Value(machine.read(here.tr[1], tss.sizeof), tss)  # a copy, for cb diff
                    if is_ours(here.tr[1]) else None)

    def gdt_lines(self):
        """{selector: text} of the segments that are present."""
        names = {value & ~7: name for name, value in SELECTORS.items()}
        return {8 * i: "%-8s DPL %d  %08x-%08x  %s" % (
                    names.get(8 * i, ""), d.dpl, d.base, (d.base + d.limit) & 0xFFFFFFFF, d.kind())
                for i, d in enumerate(self.segments) if d.present}

    def gate(self, d):
        """Ring and symbol to which a gate leads."""
        if d.type == TASK_GATE:
            return "task %#x" % d.selector
        known = d.selector >> 3 < len(self.segments)
        ring = self.segments[d.selector >> 3].dpl if known else "?"
        return "ring %s  %s" % (ring, target(d.offset))

    def idt_lines(self):
        """{vector: text} of the gates that are present."""
        return {vector: "DPL %d  %-14s -> %s" % (d.dpl, d.kind(), self.gate(d))
                for vector, d in enumerate(self.gates) if d.present}

    def tss_lines(self):
        """{what: text}"""
        limit = self.tr[2]
        lines = {"TR": "%#x: %#010x, limit %#x" % self.tr}
        if self.tss is None:
            return lines
        for ring in range(3):
            esp, ss = int(self.tss["esp%d" % ring]), int(self.tss["ss%d" % ring])
            known = ss or esp
            lines["ring %d stack" % ring] = "%#06x:%#010x" % (ss, esp) if known else "none"
        iomap = int(self.tss["iomap"])
        lines["I/O bitmap"] = "%#x: %s" % (iomap, "within the limit" if iomap <= limit else
                                           "beyond the limit, so no port without IOPL")
        return lines


def show(what, base, limit, loaded, lines):
    """Print a table: whose it is, whether this CPU uses it, and its lines."""
    owner = ("the VMM's" if base >= machine.VMM_BASE else
             "the kernel's" if is_ours(base) else "not the kernel's")
    print("%s at %#010x, limit %#x: %s%s" % (what, base, limit, owner,
                                             "" if loaded else ", not loaded on this CPU"))
    for line in lines or (["no entry is present"] if is_ours(base) else []):
        print(line)


class TableCommand(Command):
    """A command that takes `vmm` for the VMM's table instead of the loaded one."""

    def complete(self, text, word):
        return ["vmm"] if "vmm".startswith(word) else []

    def chosen(self, words):
        if words not in ([], ["vmm"]):
            raise gdb.GdbError("%s takes nothing, for the loaded table, or vmm, for the VMM's; "
                               "not '%s'" % (self.name, " ".join(words)))
        return of_vmm(cpu.this()) if words else cpu.this()


class Gdt(TableCommand):
    """The segment descriptors of this CPU: cb gdt [vmm]

Without `vmm`: those of the loaded GDT. With `vmm`: those of the GDT that the VMM has for
this CPU, loaded or not.

A segment register can be loaded with a data segment whose DPL is at least CPL: ring 1
cannot load a segment with DPL 0."""

    def run(self, words):
        here = self.chosen(words)
        show("GDT", *here.gdt, here.gdt == cpu.this().gdt,
             ["%#04x  %s" % line for line in Tables(here).gdt_lines().items()])


class Idt(TableCommand):
    """The gates of this CPU and the ring each leads to: cb idt [vmm]

Without `vmm`: those of the loaded IDT. With `vmm`: those of the VMM's IDT, loaded or not.

INT n may use a gate whose DPL is at least CPL; interrupts and exceptions ignore the DPL.
In virtual mode only trap gates lead to ring 1."""

    def run(self, words):
        here = self.chosen(words)
        show("IDT", *here.idt, here.idt == cpu.this().idt,
             ["%#04x  %-12s %s" % (vector, VECTORS.get(vector, ""), text)
              for vector, text in Tables(here).idt_lines().items()])


class Tss(TableCommand):
    """The task state of this CPU: the stack for each entry into an inner ring: cb tss [vmm]

Without `vmm`: the loaded TSS. With `vmm`: the TSS that the VMM has for this CPU, loaded
or not."""

    def run(self, words):
        here = self.chosen(words)
        show("TSS", *here.tr[1:], here.tr[1] == cpu.this().tr[1],
             ["%-13s %s" % line for line in Tables(here).tss_lines().items()])


Gdt(), Idt(), Tss()
