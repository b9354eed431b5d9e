# SPDX-License-Identifier: MIT
"""How the commands reach the machine: its CPUs by QEMU's monitor, physical memory by its stub, variables by the symbols of kernel
and VMM. Constants come from the project's own headers, so that nothing here repeats a number."""
import os
import re

import gdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))


def load_symbols():
    """Of the kernel and, at its own addresses, of the VMM: they never overlap, so both are there all the time."""
    for name, command in ("cinnabar", "file"), ("vmm", "add-symbol-file"):
        path = os.path.join(BUILD, name)
        if not os.path.exists(path):
            raise gdb.GdbError("%s is missing; run 'make' first" % path)
        if name == "vmm" or not gdb.current_progspace().filename:
            gdb.execute('%s "%s"' % (command, path), to_string=True)


def defines(path, prefix=""):
    """The numbers that a source file defines with this prefix: {name without it: value}."""
    with open(os.path.join(ROOT, path)) as source:
        found = re.findall(r"^#define (%s\w*)\s+(0x[0-9A-Fa-f]+|\d+)u?\b" % prefix, source.read(), re.M)
    return {name[len(prefix):]: int(value, 0) for name, value in found}


X86 = defines("include/x86.h")
LAYOUT = defines("include/layout.h")
USER_END, KERNEL_BASE, VMM_BASE = LAYOUT["USER_END"], LAYOUT["KERNEL_BASE"], LAYOUT["VMM_BASE"]


class Command(gdb.Command):
    """A subcommand of `cb`: its name is the class's, its help the class's documentation, its work in run(words)."""

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
            raise gdb.GdbError("%s takes no argument, but got '%s'; see 'help %s'" % (self.name, " ".join(words), self.name))


def evaluate(text):
    """An expression's value as an address."""
    value = gdb.parse_and_eval(text)
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        value = value.address
    return int(value) & 0xFFFFFFFF


# --- variables ---

def _variable(objfile, name):
    symbol = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
    if symbol is None:
        raise gdb.GdbError("%s has no variable '%s': the sources have changed, or it is of another build" % (objfile.filename, name))
    return symbol.value()


def kernel(name):
    """A variable of the kernel, whatever program's symbols are loaded."""
    return _variable(gdb.lookup_objfile(os.path.join(BUILD, "cinnabar")), name)


def vmm(name):
    return _variable(gdb.lookup_objfile(os.path.join(BUILD, "vmm")), name)


def switch(name):
    """A variable of kernel/switch/switch.c, where names are short."""
    return gdb.parse_and_eval("'kernel/switch/switch.c'::%s" % name)


def label(name):
    """The address of a symbol without a type: of the linker script, or of assembly."""
    return int(gdb.parse_and_eval("(unsigned)&" + name))


def symbol_at(address):
    """'account+12', or '' where there is no code of ours."""
    text = gdb.execute("info symbol %#x" % address, to_string=True)
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", text)
    return found.group(1) + ("+" + found.group(2) if found.group(2) else "") if found else ""


def line_at(address):
    place = gdb.find_pc_line(address)
    return "%s:%d" % (place.symtab.filename, place.line) if place.symtab else ""


# --- memory ---

def connection():
    found = gdb.selected_inferior().connection
    if found is None or found.type != "remote" or gdb.selected_thread() is None:
        raise gdb.GdbError("no machine is attached; start one with 'make gdb', or say 'target remote ADDRESS'")
    return found


def monitor(command):
    """What QEMU's monitor answers, in lines as they end here: a carriage return would wipe them out beneath GDB's source window."""
    connection()
    return gdb.execute("monitor " + command, to_string=True).replace("\r", "")


def read(address, size):
    connection()
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def words(data):
    return memoryview(data).cast("I")


def word(address):
    return words(read(address, 4))[0]


def read_physical(address, size):
    stub = connection()
    if stub.send_packet("Qqemu.PhyMemMode:1") != b"OK":
        raise gdb.GdbError("this GDB stub does not show physical memory: QEMU 4.1 or later does")
    try:
        return read(address, size)
    finally:
        stub.send_packet("Qqemu.PhyMemMode:0")
