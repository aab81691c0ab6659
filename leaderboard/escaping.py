"""Text of records in LaTeX, Markdown, CSV, pictures and on terminals: shown, never obeyed."""

from __future__ import annotations

import re
import unicodedata

LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# What BibTeX entries need: accents, letters that ASCII lacks, escaped signs.
MACRO = re.compile(r"\\([a-zA-Z]+|.)", re.DOTALL)
HARMLESS = {
    *"\"'`^~=.&%$#_{} -,;:!",
    *("c", "v", "H", "u", "r", "k", "d", "b", "t", "o", "O", "l", "L", "i", "j", "aa", "AA"),
    *("ss", "ae", "AE", "oe", "OE", "textit", "textbf", "emph", "url", "mathrm", "sqrt"),
}


def visible(text: str) -> str:
    r"""Text in one line without control characters, which terminals obey.

    >>> visible("a\x1b[2Jb\nc")
    'a [2Jb c'
    """
    return "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)


def latex(text: str) -> str:
    r"""Text for LaTeX.

    >>> latex("a_b & 5 %"), latex("\\input{x}^~")
    ('a\\_b \\& 5 \\%', '\\textbackslash{}input\\{x\\}\\textasciicircum{}\\textasciitilde{}')
    """
    return "".join(LATEX.get(sign, sign) for sign in visible(text))


def markdown(text: str) -> str:
    r"""Text for a cell of a Markdown table: no HTML, no links, no further columns.

    >>> markdown("a|b <script> [x](javascript:0)")
    'a\\|b &lt;script> [x]\\(javascript:0)'
    """
    return visible(text).replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(")


def cell(text: str) -> str:
    """Text for a cell of a CSV file, which spreadsheets must not take for a formula.

    >>> cell("=1+1"), cell("ridge")
    ("'=1+1", 'ridge')
    """
    return f"'{visible(text)}" if text.startswith(FORMULA) else visible(text)


def picture(text: str) -> str:
    r"""Text for matplotlib, which takes what stands between dollars for a formula.

    >>> picture("a=$x$")
    'a=\\$x\\$'
    """
    return visible(text).replace("$", r"\$")


def check_bibtex(entry: str) -> str:
    """The entry itself; ValueError where it holds a command beyond accents and signs."""
    wrong = [name for name in MACRO.findall(entry) if name not in HARMLESS]
    if wrong:
        raise ValueError(f"a BibTeX entry holds the command \\{wrong[0]}: {visible(entry)[:60]!r}")
    return entry
