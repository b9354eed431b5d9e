# SPDX-License-Identifier: MIT
"""How the commands reach the machine: the CPUs by QEMU's monitor, physical memory by
QEMU's GDB stub, variables by the symbols of kernel and VMM. Layouts of structures come
from the debug information and constants from the project's headers: no number is repeated
here.
"""
import os
import re
from types import SimpleNamespace

import gdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))


def load_symbols():
    """Load the symbols of kernel and VMM. Both stay loaded: their addresses do not overlap."""
    for name, command in ("cinnabar", "file"), ("vmm", "add-symbol-file"):
        path = os.path.join(BUILD, name)
        if not os.path.exists(path):
            raise gdb.GdbError("%s is missing; run 'make' first" % path)
        if name == "vmm" or not gdb.current_progspace().filename:
            gdb.execute('%s "%s"' % (command, path), to_string=True)


def defines(path, prefix=""):
    """The numbers that a source file defines with this prefix: {name without it: value}."""
    with open(os.path.join(ROOT, path)) as source:
        found = re.findall(r"^#define (%s\w*)\s+(0x[0-9A-Fa-f]+|\d+)u?\b" % prefix, source.read(),
                           re.M)
    return {name[len(prefix):]: int(value, 0) for name, value in found}


X86 = defines("include/x86.h")
LAYOUT = defines("include/layout.h")
KERNEL_BASE, VMM_BASE = LAYOUT["KERNEL_BASE"], LAYOUT["VMM_BASE"]


class Command(gdb.Command):
    """A subcommand of `cb`. A class derived from this gives the name by its own name, the
    help by its documentation, and the work by run(words)."""

    def __init__(self, complete=None):
        name = re.sub(r"(?<=[a-z])([A-Z])", r"-\1", type(self).__name__).lower()
        self.name = "cb " + name
        if complete is None:
            super().__init__(self.name, gdb.COMMAND_DATA)
        else:
            super().__init__(self.name, gdb.COMMAND_DATA, complete)

    def invoke(self, argument, from_tty):
        try:
            self.run(gdb.string_to_argv(argument))
        except gdb.MemoryError as error:
            raise gdb.GdbError("%s: %s; is the kernel up? ('cb where')" % (self.name, error))
        except gdb.error as error:
            raise gdb.GdbError("%s: %s" % (self.name, error))

    def no_words(self, words):
        if words:
            raise gdb.GdbError("%s takes no argument, but got '%s'; see 'help %s'"
                               % (self.name, " ".join(words), self.name))


def evaluate(text):
    """An expression's value as an address; a function, array or structure stands for its
    address."""
    value = gdb.parse_and_eval(text)
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY,
                                            gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        value = value.address
    return int(value) & 0xFFFFFFFF


# --- variables ---

def _variable(objfile, name):
    connection()  # without a machine GDB would show what the file has: zeros
    symbol = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
    if symbol is None:
        raise gdb.GdbError("%s has no variable '%s': it and these commands are of different sources"
                           % (objfile.filename, name))
    return symbol.value()


def kernel(name):
    """A variable of the kernel, also if a program's symbols have one of this name."""
    return _variable(gdb.lookup_objfile(os.path.join(BUILD, "cinnabar")), name)


def vmm(name):
    """A variable of the VMM."""
    return _variable(gdb.lookup_objfile(os.path.join(BUILD, "vmm")), name)


def at(address, type_name):
    """The structure at an address."""
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()


def vmm_type(name):
    """A structure of the VMM, also if the kernel's or a program's symbols have one of this
    name: GDB completes a pointer's type with any of them."""
    objfile = gdb.lookup_objfile(os.path.join(BUILD, "vmm"))
    return objfile.lookup_static_symbol(name, gdb.SYMBOL_STRUCT_DOMAIN).type


def switch(name):
    """A variable of kernel/switch/switch.c, whose short names others have, too."""
    return gdb.parse_and_eval("'kernel/switch/switch.c'::%s" % name)


def label(name):
    """The address of a symbol without a type: one of the linker script or of assembly."""
    return int(gdb.parse_and_eval("(unsigned)&" + name))


def symbol_at(address):
    """The place of an address, as in 'account+12'; '' if it is in no symbol."""
    text = gdb.execute("info symbol %#x" % address, to_string=True)
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", text)
    if not found:
        return ""
    return found.group(1) + ("+" + found.group(2) if found.group(2) else "")


def line_at(address):
    """The source line of an address, as in 'kernel/boot/main.c:76', or ''."""
    place = gdb.find_pc_line(address)
    return "%s:%d" % (place.symtab.filename, place.line) if place.symtab else ""


# --- memory ---

class Layout:
    """Where the debug information says that the numbers of a structure are."""

    def __init__(self, kind):
        self.bytes = kind.sizeof
        self.fields = {field.name: (field.bitpos, field.bitsize or 8 * field.type.sizeof)
                       for field in kind.fields()}

    def decode(self, data, index):
        """The structure number `index` of an array."""
        whole = int.from_bytes(data[self.bytes * index:self.bytes * (index + 1)], "little")
        return SimpleNamespace(**{name: whole >> at & (1 << bits) - 1
                                  for name, (at, bits) in self.fields.items()})


def attached():
    """The stub of the machine that is attached, or None."""
    found = gdb.selected_inferior().connection
    remote = found is not None and found.type == "remote" and gdb.selected_thread() is not None
    return found if remote else None


def connection():
    """As attached(), but an error if there is none."""
    found = attached()
    if not found:
        raise gdb.GdbError("no machine is attached; start one with 'make gdb', "
                           "or say 'target remote ADDRESS'")
    return found


def monitor(command):
    """The answer of QEMU's monitor, without its carriage returns: beside GDB's source
    window they would wipe out the lines."""
    connection()
    return gdb.execute("monitor " + command, to_string=True).replace("\r", "")


def read(address, size):
    """Bytes at a virtual address."""
    connection()
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def words(data):
    """Bytes as 32-bit numbers."""
    return memoryview(data).cast("I")


def word(address):
    return words(read(address, 4))[0]


def read_physical(address, size):
    """Bytes at a physical address, which QEMU's stub takes in a mode of its own."""
    stub = connection()
    if stub.send_packet("Qqemu.PhyMemMode:1") != b"OK":
        raise gdb.GdbError("this GDB stub does not show physical memory: QEMU 4.1 or later does")
    try:
        return read(address, size)
    finally:
        stub.send_packet("Qqemu.PhyMemMode:0")
