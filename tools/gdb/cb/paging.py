# SPDX-License-Identifier: MIT
"""Page tables and frame table. Tables are read as the hardware does, from physical memory; p2m, m2p and the frame table tell what the
frames are."""
import gdb

from . import cpu, machine
from .machine import Command

P, W, U, PS = (machine.X86["PTE_" + bit] for bit in ("P", "W", "U", "PS"))
BITS = "P W U PWT PCD A D PS G".split()
FRAMES = machine.defines("vmm/frames.c")


def entry_text(entry):
    return " ".join(bit if entry & 1 << i else "-" * len(bit) for i, bit in enumerate(BITS))


def access(pde, pte):
    """Who may do what by the page tables, CR0.WP being 1: (ring 3, inner rings). i386 has no execute permission."""
    both = pde & pte
    inner = "rwx" if both & W else "r-x"
    return (inner if both & U else "---"), inner


def page_table(cr3, slot):
    """The directory's entry, and the table that it leads to, or None."""
    pde = machine.words(machine.read_physical((cr3 & ~0xFFF) + 4 * slot, 4))[0]
    return pde, machine.words(machine.read_physical(pde & ~0xFFF, 4096)) if pde & P and not pde & PS else None


def walk(cr3, address):
    """(pde, pte, machine address or None); of a 4 MiB page the pte is its pde."""
    pde, table = page_table(cr3, address >> 22)
    pte = pde if pde & PS else table[address >> 12 & 1023] if table else 0
    if not pde & pte & P:
        return pde, pte, None
    return pde, pte, pte & 0xFFC00000 | address & 0x3FFFFF if pde & PS else pte & ~0xFFF | address & 0xFFF


# --- frames ---

class Frame:
    """An entry of the VMM's frame table. Types of an older attachment are void."""

    def __init__(self, mfn, home, generation, use, table):
        self.mfn, self.pfn = mfn, home >> 12 if home & FRAMES["OWNED"] else None
        current = generation in (table.generation, FRAMES["FOR_EVER"])
        self.type = table.types[use >> 28] if current else "writable"
        self.count = use & FRAMES["COUNT_MASK"] if current else home >> FRAMES["BASE_SHIFT"] & FRAMES["BASE_MASK"]

    def __str__(self):
        return "%s, count %d" % (self.type, self.count) if self.pfn is not None else "not the kernel's"


class FrameTable:
    def __init__(self):
        enum = gdb.lookup_type("enum type")
        self.types = {field.enumval: field.name.lower() for field in enum.fields()}
        self.generation = int(machine.vmm("generation"))
        self.at, self.size = int(machine.vmm("frames")), int(machine.vmm("boot")["nr_mfns"])
        if not self.at:
            raise gdb.GdbError("the VMM has not warmed up yet, so there is no frame table; say 'cb where'")

    def frame(self, mfn):
        if mfn >= self.size:
            return None
        home, generation, use, _ = machine.words(machine.read(self.at + 16 * mfn, 16))
        return Frame(mfn, home, generation, use, self)

    def all(self):
        data = machine.words(machine.read(self.at, 16 * self.size))
        return [Frame(mfn, *data[4 * mfn:4 * mfn + 3], self) for mfn in range(self.size)]


def describe(mfn):
    """'mfn 0x123, pfn 0x456, table, count 1', as far as it can be known."""
    text = "mfn %#x" % mfn
    m2p = machine.kernel("m2p")
    if int(m2p):
        pfn = int(m2p[mfn]) if mfn < int(machine.kernel("nr_mfns")) else 0xFFFFFFFF
        text += ", pfn %#x" % pfn if pfn != 0xFFFFFFFF else ", no pfn"
    try:
        frame = FrameTable().frame(mfn)
        text += ", %s" % frame if frame else ", no memory"
    except (gdb.MemoryError, gdb.GdbError):
        pass  # before the VMM is up
    return text


class Pt(Command):
    """Walk the page tables of this CPU: cb pt ADDRESS

ADDRESS is any expression; a function, array or structure stands for where it is, a pointer for where it points. Shown are both
entries with their frames (mfn, pfn, type in the VMM's frame table) and what each ring may do. A frame of type table, directory or shared must be writable nowhere."""

    def __init__(self):
        super().__init__(gdb.COMPLETE_EXPRESSION)

    def run(self, words):
        if not words:
            raise gdb.GdbError("cb pt takes an address, as in 'cb pt &vo' or 'cb pt 0xc0100000'")
        here = cpu.this()
        if not here.paging:
            raise gdb.GdbError("cb pt: paging is off; addresses are physical until boot_entry has turned it on")
        address = machine.evaluate(" ".join(words))
        pde, pte, target = walk(here.cr3, address)
        print("%#010x: directory slot %#x, table slot %#x, offset %#x" % (address, address >> 22, address >> 12 & 1023, address & 0xFFF))
        print("CR3 %08x  %s" % (here.cr3, describe(here.cr3 >> 12)))
        print("PDE %08x  %s" % (pde, entry_text(pde) + "  " + describe(pde >> 12) if pde & P else "not present"))
        if pde & P and not pde & PS:
            print("PTE %08x  %s" % (pte, entry_text(pte) + "  " + describe(pte >> 12) if pte & P else "not present"))
        if target is None:
            return print("nobody may access it: page fault")
        program, inner = access(pde, pte)
        print("machine address %#x; ring 3 %s, rings 0 to 2 %s" % (target, program, inner))
        if here.virtual and address >= machine.VMM_BASE:
            print("the limits of ring 1's and ring 3's segments end below it: only the VMM may access it")


class Frames(Command):
    """The VMM's frame table: types and how many frames have them, and each page table and directory: cb frames

Types belong to one attachment: in native mode only the kernel's own (shared) tables have one. The count of a writable frame is that of its
writable mappings, of a table that of directory entries, of a directory that of CPUs."""

    def run(self, words):
        self.no_words(words)
        table = FrameTable()
        frames = table.all()
        owned = [frame for frame in frames if frame.pfn is not None]
        print("%d machine frames, %d the kernel's; attachment %d" % (len(frames), len(owned), table.generation))
        for name in table.types.values():
            print("%-10s %6d" % (name, sum(frame.type == name for frame in owned)))
        for frame in owned:
            if frame.type not in ("writable", "shared"):
                print("mfn %#x, pfn %#x: %s" % (frame.mfn, frame.pfn, frame))


Pt(), Frames()
