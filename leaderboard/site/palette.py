"""One colour a model, the same in every figure and table, on white and on dark paper."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

# Twelve hues of one lightness, then twelve between them, brighter: in OKLCH, so that all stand
# out alike, each with a contrast of 2.9 or more to white and to the dark paper of the site.
# The brighter ones are dashed, for who does not tell the hues apart.
SOLID = (
    *("#0172cd", "#c0401f", "#05893e", "#904eba", "#8f6b02", "#0a8282"),
    *("#bf395b", "#5863d3", "#687c02", "#ae4090", "#017d9f", "#a65c03"),
)
DASHED = (
    *("#638bf9", "#e16c10", "#05ac7d", "#c568cb", "#a69306", "#01a4b9"),
    *("#e8605b", "#937cf1", "#61a82d", "#df5e97", "#069ce4", "#c38406"),
)
PALETTE = SOLID + DASHED


def assigned(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, no colour twice before all are taken.

    A name has its favourite by its letters and takes the next free one where that is taken, so a
    new name changes the colours of few others.

    >>> first = assigned(["gru", "kan"])
    >>> first == {name: assigned(["carl", "gru", "kan"])[name] for name in first}
    True
    """
    found: dict[str, str] = {}
    used = [0] * len(PALETTE)
    for name in sorted(set(names), key=lambda name: (_number(name), name)):
        place = _number(name) % len(PALETTE)
        while used[place] > min(used):
            place = (place + 1) % len(PALETTE)
        used[place] += 1
        found[name] = PALETTE[place]
    return found


def _number(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def colour(label: str, known: Mapping[str, str]) -> str:
    """The colour of a row's model; one by its letters where it is not among the `known`."""
    name = label.split(" ")[0]
    return known.get(name) or PALETTE[_number(name) % len(PALETTE)]


def styles(labels: Sequence[str], known: Mapping[str, str]) -> list[dict[str, str]]:
    """Colour and line style of each row; a further row of one model is dotted.

    >>> [style["linestyle"] for style in styles(["a", "a width=8"], {"a": SOLID[0]})]
    ['-', ':']
    """
    found, seen = [], set()
    for label in labels:
        own, name = colour(label, known), label.split(" ")[0]
        line = ":" if name in seen else "--" if own in DASHED else "-"
        seen.add(name)
        found.append({"color": own, "linestyle": line})
    return found


def shortened(labels: Sequence[str], most: int = 34) -> list[str]:
    """Labels for the legend of a figure: long ones cut, and numbered where they are alike.

    >>> shortened(["gru epochs=12, width=64", "gru epochs=12, width=8", "kan"], 16)
    ['gru epochs=1… 1', 'gru epochs=1… 2', 'kan']
    """
    cut = [text if len(text) <= most else text[: most - 4] + "…" for text in labels]
    return [
        text if cut.count(text) == 1 else f"{text} {cut[: place + 1].count(text)}"
        for place, text in enumerate(cut)
    ]
