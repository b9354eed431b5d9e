# SPDX-License-Identifier: MIT
# Debian builds the theme furo without the bundler of its authors. What that leaves undone is done here, in the finished site, which is
# read from files: one script instead of modules (browsers load these from servers only), normalize.css beside it, and the dark colours for
# a system that asks for them.
import pathlib
import re

IMPORT_SCRIPT = 'import Gumshoe from "./gumshoe-patched.js";'
IMPORT_STYLE = "@import url(/javascript/normalize.css/normalize.css);"


def finished(app, error):
    static = pathlib.Path(app.outdir) / "_static"
    script, style = static / "scripts/furo.js", static / "styles/furo.css"
    if error or IMPORT_SCRIPT not in script.read_text():
        return
    script.write_text((static / "scripts/gumshoe-patched.js").read_text() + script.read_text().replace(IMPORT_SCRIPT, ""))
    text = style.read_text().replace(IMPORT_STYLE, pathlib.Path("/usr/share/javascript/normalize.css/normalize.css").read_text())
    dark = re.search(r'body\[data-theme="dark"\] (\{[^}]*\})', text).group(1)
    style.write_text(text + '@media screen and (prefers-color-scheme: dark) { body[data-theme="auto"] %s }\n' % dark)


def setup(app):
    app.connect("build-finished", finished)
    return {"parallel_read_safe": True}
