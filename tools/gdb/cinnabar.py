# SPDX-License-Identifier: MIT
"""Cinnabar in GDB: `gdb -x tools/gdb/cinnabar.py` loads the symbols of kernel and VMM and
defines the commands `cb ...` (`help cb`). Each stop prints a line with mode and ring, and
loads the symbols of the program that runs. docs/debugging.md is the guide.
"""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cb import machine  # noqa: E402


class Cinnabar(gdb.Command):
    """Look at a Cinnabar machine: its mode, rings, switches, descriptor and page tables, tasks.

Each command tells more by `help cb NAME`; docs/debugging.md has recipes."""

    def __init__(self):
        super().__init__("cb", gdb.COMMAND_USER, prefix=True)


Cinnabar()
for setting in ("architecture i386", "confirm off", "pagination off", "print pretty on", "height 0",
                "remotetimeout 20", "breakpoint pending on", "disassemble-next-line auto",
                "history save off"):
    gdb.execute("set " + setting, to_string=True)
machine.load_symbols()
from cb import cpu, diff, domains, kernel, paging, phases, stop, tables  # noqa: E402,F401

gdb.execute("tui new-layout cinnabar src 2 status 0 cmd 1", to_string=True)
