# SPDX-License-Identifier: MIT
# Completes the theme furo in the finished site. Debian builds furo without its authors' bundler,
# and the site is read from files, not from a server. So this is done here:
#   * one script instead of modules, which browsers load from servers only;
#   * that script also bears a page without headings, where no heading is the last one;
#   * normalize.css, which the style sheet would fetch from an absolute address;
#   * the dark colours for a system that asks for them.
import pathlib
import re

IMPORT_SCRIPT = 'import Gumshoe from "./gumshoe-patched.js";'
IMPORT_STYLE = "@import url(/javascript/normalize.css/normalize.css);"
LAST = "if (useLastItem(last, settings))"
NORMALIZE = pathlib.Path("/usr/share/javascript/normalize.css/normalize.css")
DARK = '@media screen and (prefers-color-scheme: dark) { body[data-theme="auto"] %s }\n'


def finished(app, error):
    static = pathlib.Path(app.outdir) / "_static"
    script, style = static / "scripts/furo.js", static / "styles/furo.css"
    if error or IMPORT_SCRIPT not in script.read_text():
        return
    gumshoe = (static / "scripts/gumshoe-patched.js").read_text()
    assert LAST in gumshoe, "theme.py: furo's gumshoe-patched.js has changed"
    gumshoe = gumshoe.replace(LAST, LAST.replace("(use", "(last && use"))
    script.write_text(gumshoe + script.read_text().replace(IMPORT_SCRIPT, ""))
    text = style.read_text().replace(IMPORT_STYLE, NORMALIZE.read_text())
    dark = re.search(r'body\[data-theme="dark"\] (\{[^}]*\})', text).group(1)
    style.write_text(text + DARK % dark)


def setup(app):
    app.connect("build-finished", finished)
    return {"parallel_read_safe": True}
