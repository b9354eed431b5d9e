# SPDX-License-Identifier: MIT
# "Try it here": links from the handbook to the page of `make web`. In a page
#
#     <!-- try: #lesson=4 stop the machine in the middle of a switch -->
#
# becomes such a link if build/web/index.html is there when the handbook is built. Else, and in the
# sources, it is a comment that nobody sees.
import pathlib
import re
import shutil

MARK = re.compile(r"<!-- try: (#[\w=:&-]+) (.+?) -->", re.S)
LINK = r'<p class="try"><a href="%s_static/machine.html\1">Try it here: \2</a></p>'


def page(app):
    return pathlib.Path(app.srcdir) / "build/web/index.html"


def read(app, name, source):
    if page(app).exists():
        source[0] = MARK.sub(LINK % ("../" * name.count("/")), source[0])


def finished(app, error):
    if not error and page(app).exists():
        shutil.copy(page(app), pathlib.Path(app.outdir) / "_static/machine.html")


def setup(app):
    app.connect("source-read", read)
    app.connect("build-finished", finished)
    return {"parallel_read_safe": True}
