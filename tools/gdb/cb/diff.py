# SPDX-License-Identifier: MIT
"""`cb diff`: what changed between the last two stops. At each stop the state of its CPU is
kept: registers, descriptor tables and page tables.
"""
import gdb

from . import cpu, machine, paging, tables
from .machine import Command

HARDWARE = machine.X86["PTE_A"] | machine.X86["PTE_D"]  # bits that the CPU itself sets


class State:
    """What a CPU had at a stop."""

    def __init__(self, here):
        self.index, self.registers = here.index, here.registers
        self.descriptors = tables.Tables(here)
        directory = machine.words(machine.read_physical(here.cr3 & ~0xFFF, 4096))
        self.directory = list(directory)
        self.tables = {slot: machine.read_physical(pde & ~0xFFF, 4096)
                       for slot, pde in enumerate(directory)
                       if pde & paging.P and not pde & paging.PS}

    def pages(self, slot):
        """For each page of a directory slot: (access of ring 3, of the inner rings, mfn),
        or None if it is not mapped."""
        pde = self.directory[slot]
        if slot not in self.tables:
            return [None] * 1024
        return [paging.access(pde, pte) + (pte >> 12,) if pte & paging.P else None
                for pte in machine.words(self.tables[slot])]


_old = _new = None


def keep(here):
    """Keep the state of this CPU, if its kernel is up."""
    global _old, _new
    _old, _new = _new, State(here) if here.paging and here.idt[1] else None


def page_changes(old, new):
    """Runs of pages whose access changed alike: [first page, number of pages, (access
    before, access after), first page before, first page after]. A page that got another
    frame has changed, too."""
    runs = []
    for slot in range(1024):
        same_pde = old.directory[slot] | HARDWARE == new.directory[slot] | HARDWARE
        if same_pde and old.tables.get(slot) == new.tables.get(slot):
            continue
        for i, (before, after) in enumerate(zip(old.pages(slot), new.pages(slot))):
            if before == after:
                continue
            page, kinds = slot << 10 | i, [entry and entry[:2] for entry in (before, after)]
            if runs and runs[-1][0] + runs[-1][1] == page and runs[-1][2] == kinds:
                runs[-1][1] += 1
            else:
                runs.append([page, 1, kinds, before, after])
    return runs


def line_changes(heading, before, after):
    """A line for each group of descriptors that changed alike: the first, and how many
    more."""
    alike = {}
    for key in list(before) + [key for key in after if key not in before]:
        if before.get(key) != after.get(key):
            alike.setdefault((before.get(key, "absent"), after.get(key, "absent")), []).append(key)
    return [heading % keys[0] + more(len(keys)) + ": %s\n      => %s" % (old, new)
            for (old, new), keys in alike.items()]


def more(count):
    return " and %d more" % (count - 1) if count > 1 else ""


def page_text(entry, single):
    """A page in words; with its frame if it is a single one."""
    if entry is None:
        return "not mapped"
    return "ring 3 %s, inner %s" % entry[:2] + (", mfn %#x" % entry[2] if single else "")


class Diff(Command):
    """What changed between the last two stops: cb diff

Registers, segment registers, GDT, IDT, TSS, and who may access which pages. Both stops
must be of the same CPU."""

    def run(self, words):
        self.no_words(words)
        old, new = _old, _new
        if old is None or new is None:
            raise gdb.GdbError("cb diff compares the last two stops of a running kernel; "
                               "there is only one yet: continue or step")
        if old.index != new.index:
            raise gdb.GdbError("cb diff: the last two stops are of CPUs %d and %d"
                               % (old.index, new.index))
        changes = ["%-4s %08x -> %08x" % (name, old.registers[name], value)
                   for name, value in new.registers.items() if old.registers[name] != value]
        before, after = old.descriptors, new.descriptors
        changes += line_changes("GDT %#04x", before.gdt_lines(), after.gdt_lines())
        changes += line_changes("IDT %#04x", before.idt_lines(), after.idt_lines())
        changes += line_changes("TSS %s", before.tss_lines(), after.tss_lines())
        for page, count, _, *pages in page_changes(old, new):
            before, after = (page_text(entry, count == 1) for entry in pages)
            changes.append("page %#010x%s: %s -> %s" % (page << 12, more(count), before, after))
        print("\n".join(changes) if changes else "nothing changed")


Diff()
