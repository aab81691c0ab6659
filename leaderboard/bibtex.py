"""BibTeX of the works that numbers rest on; imports nothing heavy, so that `cite` is quick."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from physbench.leaderboard.escaping import check_bibtex

ENTRY = re.compile(r"@(\w+)\s*\{\s*([A-Za-z0-9_:.+/-]+)\s*,")
SUITE = """@misc{{physbench,
  title = {{Physbench: reproducible benchmarks of machine learning in physics}},
  author = {{{{The Physbench authors}}}},
  year = {{2026}},
  version = {{{version}}},
  note = {{{note}}}
}}"""


def key(entry: str) -> str:
    """The citation key of a BibTeX entry; raises ValueError for anything else.

    >>> key("@article{Noether:1918, title = {Invariante Variationsprobleme}}")
    'Noether:1918'
    """
    match = ENTRY.match(entry.strip())
    if match is None:
        raise ValueError(f"not a BibTeX entry: {entry[:60]!r}")
    return match[2]


def address(entry: str) -> str:
    """Where the work of a BibTeX entry can be read: its DOI, its preprint or its url, or nothing.

    >>> address("@article{a, eprint = {2103.16701}, archiveprefix = {arXiv}}")
    'https://arxiv.org/abs/2103.16701'
    """
    found: dict[str, str] = dict(
        re.findall(r"\b(doi|eprint|url)\s*=\s*[{\"]([^}\"\s]+)[}\"]", entry.lower())
    )
    for name, place in (("doi", "https://doi.org/"), ("eprint", "https://arxiv.org/abs/")):
        if re.fullmatch(r"[\w./()<>;:-]+", found.get(name, "")):
            return place + found[name]
    url = found.get("url", "")
    return url if re.fullmatch(r"https://[\w./-]+", url) else ""


def unique(entries: Iterable[str]) -> list[str]:
    """Entries in order, each work once: same key, or same DOI or eprint under another key.

    Raises ValueError for an entry whose key or commands could do more than name a work.
    """
    seen: set[str] = set()
    kept = []
    for entry in (check_bibtex(e.strip()) for e in entries if e.strip().startswith("@")):
        names = {key(entry).lower(), *_identifiers(entry)}
        if not names & seen:
            kept.append(entry)
        seen |= names
    return kept


def _identifiers(entry: str) -> set[str]:
    found = re.findall(r"\b(doi|eprint)\s*=\s*[{\"]([^}\"]+)[}\"]", entry, flags=re.IGNORECASE)
    return {f"{kind.lower()}:{value.strip().lower()}" for kind, value in found}


def suite(version: str, ids: Sequence[str] = ()) -> str:
    """The entry of this suite; the ids of records in its note."""
    note = f"records {', '.join(one[:12] for one in ids)}" if ids else "benchmark suite"
    return SUITE.format(version=version, note=note)


def bibtex(entries: Iterable[str]) -> str:
    """A `.bib` file of the works, each once."""
    return "\n\n".join(unique(entries)) + "\n"
