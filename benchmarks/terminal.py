"""A terminal that knows ASCII alone gets plain characters instead of an error."""

from __future__ import annotations

import codecs
import contextlib
import io
import sys
import unicodedata

PLAIN = {
    **{"–": "-", "—": "-", "−": "-", "±": "+-", "×": "x", "…": "...", "→": "->", "·": "*"},
    **{"≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "σ": "sigma", "µ": "u", "μ": "u", "τ": "tau"},
    **{"η": "eta", "φ": "phi", "α": "alpha", "Δ": "Delta", "√": "sqrt", "∞": "inf", "°": " deg"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss", "æ": "ae", "ø": "o", "█": "#"},
    **{"━": "-", "─": "-", "│": "|", "✓": "ok", "✗": "x", "•": "*"},
}


def plain(text: str) -> str:
    """Text in ASCII: known signs by name, letters without their accents, `?` for the rest.

    >>> plain("Krämer – 5 ± 1 µm ≥ 漢")
    'Kramer - 5 +- 1 um >= ?'
    """
    return "".join(_plain(sign) for sign in text)


def _plain(sign: str) -> str:
    if sign.isascii() or sign in PLAIN:
        return PLAIN.get(sign, sign)
    bare = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return bare or "?"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return plain(error.object[error.start : error.end]), error.end


def prepare() -> None:
    """Let standard output and errors replace what their encoding lacks, lone surrogates too."""
    codecs.register_error("physbench_plain", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):  # closed, or detached
                stream.reconfigure(errors="physbench_plain")
