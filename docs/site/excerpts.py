# SPDX-License-Identifier: MIT
# Excerpts of the sources for the handbook. They are taken when the handbook is built, so they are
# always those of the sources. In a page
#
#     ```{source} kernel/switch/switch.c lead undo
#     ```
#
# shows these functions, types, tables or assembly labels. Each has its file and line as caption,
# and the comment above it. A name that the file does not define is an error.
import pathlib
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.directives.code import container_wrapper

MARKER = re.compile(r"\bLAB \d+ TODO \d+ (BEGIN|END)\b")
ATTRIBUTE = r"(?:__attribute__\(\(\w+\)\) )?"


def definition(lines, name):
    """Index of the first line of name's definition; None if there is none."""
    word = re.escape(name)
    patterns = [
        rf"[a-z][\w\s*]*{ATTRIBUTE}\b{word}\(.*(?<!;)$",  # function; not a declaration
        rf"(?:[\w\s]+ )?{word}(?:\[\w*\])? = \{{$",    # table
        rf"(?:typedef )?(?:struct|enum|union) {word} \{{",  # type
        rf"{word}:",                                   # assembly label
        rf"\s*\.macro {word}\b",
        rf"#define {word}\b",
    ]
    for pattern in patterns:
        for i, line in enumerate(lines):
            if re.match(pattern, line):
                return i
    return None


def comment_above(lines, i, assembly):
    """The line where the comment directly above line i begins; i if there is none."""
    while assembly and re.match(r"\s*\.(globl|section|text|align)\b", lines[i - 1]):
        i -= 1
    if i and lines[i - 1].rstrip().endswith("*/"):
        i -= 1
        while not lines[i].lstrip().startswith("/*"):
            i -= 1
    return i


def end_of(lines, i, assembly):
    """The line after the last one of the definition that begins at line i."""
    if assembly:  # up to an empty line, unless a local label follows it
        while i < len(lines) - 1 and (lines[i].strip() or re.match(r"\d:", lines[i + 1])):
            i += 1
        return i
    if lines[i].startswith("#define"):
        while lines[i].endswith("\\"):
            i += 1
        return i + 1
    if lines[i].rstrip().endswith(("}", ";")):
        return i + 1
    while not lines[i].startswith("}"):
        i += 1
    return i + 1


class Source(Directive):
    required_arguments = 1
    optional_arguments = 100
    has_content = False

    def run(self):
        env = self.state.document.settings.env
        path = pathlib.Path(env.srcdir) / self.arguments[0]
        env.note_dependency(str(path))
        try:
            lines = path.read_text().split("\n")
        except OSError as e:
            raise self.error(f"{self.arguments[0]}: {e.strerror}")
        names = self.arguments[1:]
        return [self.excerpt(lines, path.suffix, name) for name in names]

    def excerpt(self, lines, suffix, name):
        file, assembly = self.arguments[0], suffix == ".S"
        at = definition(lines, name)
        if at is None:
            raise self.error(f"{file} has no {name}")
        first, end = comment_above(lines, at, assembly), end_of(lines, at, assembly)
        text = "\n".join(line for line in lines[first:end] if not MARKER.search(line))
        language = "gas" if assembly else "c"
        block = nodes.literal_block(text, text, language=language, force=True)
        return container_wrapper(self, block, f"{file}:{at + 1}  {name}")


def setup(app):
    app.add_directive("source", Source)
    return {"parallel_read_safe": True}
