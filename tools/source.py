# SPDX-License-Identifier: MIT
"""The project's files, their comments and their tokens: what tools/size and tools/check-* share."""
import os
import re
import subprocess

# A lexer for C; assembly is close enough to be cut into the same kinds. Order matters: the first
# alternative that fits is the token.
LEXER = re.compile(r"""
    (?P<comment>/\*.*?\*/ | //[^\n]*)
  | (?P<token>
        "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+'            # strings, characters
      | (?<=include\ )<[^>\n]+>                              # the name of a system header
      | \.?\d(?:[eEpP][+-]|[\w.])*                           # numbers
      | [A-Za-z_]\w*                                         # identifiers
      | \.\.\. | <<= | >>= | -> | \+\+ | -- | << | >> | [<>=!]= | && | \|\| | [-+*/%&|^]= | \#\#
      | [^\s\\]                                              # any other punctuation
    )""", re.S | re.X)


def files(root="."):
    """Paths of the files that tools/files lists; without it, as in a test, of all but build/."""
    lister = os.path.join(root, "tools/files")
    if os.path.exists(lister):
        found = subprocess.run([lister], capture_output=True, text=True, check=True)
        found = found.stdout.splitlines()
    else:
        found = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, names in os.walk(root) for name in names]
    return sorted(path for path in found if not path.startswith(("build/", ".git/"))
                  and os.path.isfile(os.path.join(root, path)))


def text(path, root="."):
    """A file's text, or '' of what is no text."""
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def is_c(path):
    """Whether this is C, or what the C preprocessor reads: assembly, linker scripts, tables."""
    return path.endswith((".c", ".h", ".S", ".ld", ".def"))


def tokens(source):
    """The tokens of C or assembly: comments and blanks are none."""
    return [found.group() for found in LEXER.finditer(source) if found.group("token")]


def comments(path, source):
    """(offset, text) of each comment. Of a Markdown file all is comment."""
    if path.endswith(".md"):
        return [(0, source)]
    if is_c(path) or path.endswith((".js", ".css")):
        return [(found.start(), found.group()) for found in LEXER.finditer(source)
                if found.group("comment")]
    pattern = r'"""(?:.*?)"""|(?:(?<=\s)|^)#[^\n]*'
    return [(found.start(), found.group()) for found in re.finditer(pattern, source, re.M | re.S)]


def without_comments(path, source):
    """The text with each comment replaced by a blank."""
    for start, comment in reversed(comments(path, source)):
        source = source[:start] + " " + source[start + len(comment):]
    return source
