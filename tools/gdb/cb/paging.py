# SPDX-License-Identifier: MIT
"""Page tables and the VMM's frame table. Page tables are read as the hardware reads them,
from physical memory; m2p and the frame table tell what their frames are.
"""
import gdb

from . import cpu, domains, machine
from .machine import Command

P, W, U, PS = (machine.X86["PTE_" + bit] for bit in ("P", "W", "U", "PS"))
BITS = "P W U PWT PCD A D PS G".split()
PAGE_SHIFT = machine.X86["PAGE_SHIFT"]
FRAMES = machine.defines("vmm/mem/frames.h")  # how the frame table packs its numbers
NO_FRAME = machine.defines("kernel/mm/p2m.h")["NO_FRAME"]


def entry_text(entry):
    return " ".join(bit if entry & 1 << i else "-" * len(bit) for i, bit in enumerate(BITS))


def access(pde, pte):
    """Who may do what by the page tables, with CR0.WP = 1: (ring 3, inner rings). The
    i386 has no bit that forbids execution."""
    both = pde & pte
    inner = "rwx" if both & W else "r-x"
    return (inner if both & U else "---"), inner


def page_table(cr3, slot):
    """The directory's entry of this slot, and the words of the table that it names, or
    None."""
    pde = machine.words(machine.read_physical((cr3 & ~0xFFF) + 4 * slot, 4))[0]
    if not pde & P or pde & PS:
        return pde, None
    return pde, machine.words(machine.read_physical(pde & ~0xFFF, 4096))


def walk(cr3, address):
    """(pde, pte, machine address or None). A 4 MiB page has no pte: its pde stands for it."""
    pde, table = page_table(cr3, address >> 22)
    pte = pde if pde & PS else table[address >> 12 & 1023] if table else 0
    if not pde & pte & P:
        return pde, pte, None
    offset = 0x3FFFFF if pde & PS else 0xFFF
    return pde, pte, pte & ~offset & 0xFFFFFFFF | address & offset


# --- frames ---

class Frame:
    """What an entry of the VMM's frame table says. A type of an older attachment is void:
    the frame is writable then, mapped as often as the shared tables map it."""

    def __init__(self, mfn, entry, table):
        self.mfn, self.owner = mfn, entry.owner
        self.pfn = entry.home >> PAGE_SHIFT if entry.owner == table.domain else None
        if entry.generation in (table.generation, FRAMES["FOR_EVER"]):
            self.type = table.types[entry.use >> FRAMES["TYPE_SHIFT"]]
            self.count = entry.use & FRAMES["COUNT_MASK"]
        else:
            self.type = "writable"
            self.count = entry.home >> FRAMES["BASE_SHIFT"] & FRAMES["BASE_MASK"]

    def __str__(self):
        if self.pfn is None:
            return "not the kernel's"
        return "%s, count %d" % (self.type, self.count)


class FrameTable:
    """The VMM's frame table, with the view of a domain."""

    def __init__(self, number=0):
        variable = machine.vmm("frames")
        domain = domains.by_number(number)
        self.at, self.size = int(variable), int(machine.vmm("machine")["nr_mfns"])
        if not self.at:
            raise gdb.GdbError("the VMM has not warmed up yet, so there is no frame table; "
                               "say 'cb where'")
        self.layout = machine.Layout(variable.type.target())
        self.domain, self.generation = int(domain["id"]), int(domain["generation"])
        self.types = {field.enumval: field.name.lower()
                      for field in gdb.lookup_type("enum frame_type").fields()}

    def read(self, mfn, count):
        """Frames from mfn on."""
        bytes_each = self.layout.bytes
        data = machine.read(self.at + bytes_each * mfn, bytes_each * count)
        return [Frame(mfn + i, self.layout.decode(data, i), self) for i in range(count)]


def describe(mfn):
    """'mfn 0x123, pfn 0x456, table, count 1', as far as it can be known."""
    text = "mfn %#x" % mfn
    m2p = machine.kernel("m2p")
    if int(m2p):
        pfn = int(m2p[mfn]) if mfn < int(machine.kernel("nr_mfns")) else NO_FRAME
        text += ", pfn %#x" % pfn if pfn != NO_FRAME else ", no pfn"
    try:
        table = FrameTable()
        text += ", %s" % (table.read(mfn, 1)[0] if mfn < table.size else "no memory")
    except (gdb.MemoryError, gdb.GdbError):
        pass  # before the VMM is up
    return text


def show_entry(name, entry):
    text = entry_text(entry) + "  " + describe(entry >> 12) if entry & P else "not present"
    print("%s %08x  %s" % (name, entry, text))


class Pt(Command):
    """Walk the page tables of this CPU: cb pt ADDRESS

ADDRESS is any expression: a function, array or structure stands for its address, a
pointer for its value. The command prints both entries with their frames (mfn, pfn, type
in the VMM's frame table) and what each ring may do. A frame of type table, directory or
shared must be writable nowhere."""

    def __init__(self):
        super().__init__(gdb.COMPLETE_EXPRESSION)

    def run(self, words):
        if not words:
            raise gdb.GdbError("cb pt takes an address, as in 'cb pt &vo' or 'cb pt 0xc0100000'")
        here = cpu.this()
        if not here.paging:
            raise gdb.GdbError("cb pt: paging is off; addresses are physical until boot_entry "
                               "has turned it on")
        address = machine.evaluate(" ".join(words))
        pde, pte, target = walk(here.cr3, address)
        print("%#010x: directory slot %#x, table slot %#x, offset %#x" % (
            address, address >> 22, address >> 12 & 1023, address & 0xFFF))
        print("CR3 %08x  %s" % (here.cr3, describe(here.cr3 >> 12)))
        show_entry("PDE", pde)
        if pde & P and not pde & PS:
            show_entry("PTE", pte)
        if target is None:
            return print("nobody may access it: page fault")
        program, inner = access(pde, pte)
        print("machine address %#x; ring 3 %s, rings 0 to 2 %s" % (target, program, inner))
        if here.virtual and address >= machine.VMM_BASE:
            print("the segments of ring 1 and ring 3 end below it: only the VMM may access it")


class Frames(Command):
    """The VMM's frame table: how many frames have each type, and all tables: cb frames [DOMAIN]

DOMAIN is the number of a guest, as `cb domains` shows it; without it the frames are
domain 0's, the kernel's that the VMM slides beneath. A type is valid during one
attachment: in native mode only the kernel's own (shared) tables have one. The count of a
writable frame is the number of its writable mappings, that of a table the number of
directory entries that refer to it, that of a directory the number of CPUs that have it
loaded."""

    def run(self, words):
        number = machine.evaluate(words[0]) if words else 0
        self.no_words(words[1:])
        table = FrameTable(number)
        owned = [frame for frame in table.read(0, table.size) if frame.pfn is not None]
        owner = "domain %d's" % number if number else "the kernel's"
        print("%d machine frames, %d %s; attachment %d" % (table.size, len(owned), owner,
                                                           table.generation))
        for name in table.types.values():
            print("%-10s %6d" % (name, sum(frame.type == name for frame in owned)))
        for frame in owned:
            if frame.type not in ("writable", "shared"):
                print("mfn %#x, pfn %#x: %s" % (frame.mfn, frame.pfn, frame))


Pt(), Frames()
