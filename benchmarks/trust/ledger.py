"""Published claims beside our numbers.

`leaderboard/claims.json` holds the claims: each names the function of `claims` that checks it and
what that rests on, or says why it cannot be compared. `leaderboard/verdicts.json` holds what was
found, with a digest of the claim, of the code and of the names of the records that it rests on: a
verdict whose digest is that of today is printed as it stands, any other is found anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import registry

CHECKERS = ("claims.py", "ledger.py", "seed_claims.py")


@dataclass(frozen=True)
class Claim:
    """A published value, our number and what follows; `rests` is the digest of what decides it."""

    id: str
    method: str
    dataset: str
    quantity: str
    value: float | None
    source: str
    ours: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str
    differs: str = ""
    rests: str = ""


def table(*, anew: bool = False) -> list[Claim]:
    """All claims with a verdict: reproduced, not reproduced, not comparable or not checked.

    `anew`: every number is computed, also where nothing has changed since it was committed.
    """
    known = {} if anew else {claim.id: claim for claim in verdicts()}
    if "benchmarks.trust.claims" in sys.modules:
        sys.modules["benchmarks.trust.claims"].rows.cache_clear()
    return [_current(entry, known.get(entry["id"])) for entry in _read("claims.json")]


def verdicts() -> list[Claim]:
    """The claims with their verdicts as committed: `claims --out` writes them anew."""
    return [Claim(**entry) for entry in _read("verdicts.json")]


def _read(name: str) -> Any:
    return json.loads((registry.records_folder().parent / name).read_text(encoding="utf-8"))


def _current(entry: dict[str, Any], known: Claim | None) -> Claim:
    if known and known.verdict != "not checked" and known.rests == rests(entry):
        return known
    return judged(entry)


def rests(entry: dict[str, Any]) -> str:
    """sha256 of a claim, of the functions that check it and of what these rest on."""
    total = hashlib.sha256(json.dumps(entry, sort_keys=True).encode())
    root = registry.records_folder().parents[1]
    here = [Path(__file__).with_name(name) for name in CHECKERS]
    for place in (*here, *(root / name for name in entry.get("rests", ()))):
        for name, content in _contents(place):
            total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _contents(place: Path) -> Iterator[tuple[str, bytes]]:
    """Sources with their bytes; records by their names, which hold a digest of their content."""
    for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
        yield path.name, path.read_bytes()
    for path in sorted(place.rglob("*.json")):
        yield path.name, b""


def write(claims: list[Claim], path: Path) -> Path:
    """Write the verdicts as JSON, whole or not at all; returns the path."""
    content = json.dumps([asdict(claim) for claim in claims], indent=1, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as new:
        new.write(content)
    Path(new.name).chmod(0o644)
    os.replace(new.name, path)
    return path


HEAD = ("claim", "dataset", "quantity", "published", "ours [95 %]", "verdict", "source", "differs")


def told(claim: Claim) -> dict[str, str]:
    """What a claim says, in words, by the headings of the table."""
    return dict(zip(HEAD, _cells(claim), strict=True))


def judged(entry: dict[str, Any]) -> Claim:
    """A claim checked now."""
    shared = {k: entry[k] for k in ("id", "method", "dataset", "quantity", "value", "source")}
    shared |= {"differs": entry.get("differs", ""), "rests": rests(entry)}
    if entry["check"] is None:
        none: dict[str, Any] = dict.fromkeys(("ours", "low", "high"))
        return Claim(**shared, **none, verdict="not comparable", reason=entry["not_comparable"])
    from benchmarks.trust import claims

    try:
        ours, low, high = claims.check(entry["check"])
    except FileNotFoundError as error:
        none = dict.fromkeys(("ours", "low", "high"))
        reason = str(error).partition("\n")[0]
        return Claim(**shared, **none, verdict="not checked", reason=reason)
    said, reason = verdict(entry, ours, low, high)
    ends = [None if math.isnan(end) else end for end in (low, high)]
    return Claim(**shared, ours=ours, low=ends[0], high=ends[1], verdict=said, reason=reason)


def verdict(entry: dict[str, Any], ours: float, low: float, high: float) -> tuple[str, str]:
    """A number is reproduced or not; a statement (`expects`) is judged by our interval.

    `more` says that our number is above `value`, `near` that it lies within `tolerance` of it.
    The statement is supported where the whole interval agrees, contradicted where none of it does.
    """
    value, tolerance = entry["value"], entry["tolerance"]
    if "expects" not in entry:
        if abs(ours - value) <= tolerance * (1 + 1e-9):
            return "reproduced", ""
        return "not reproduced", f"{ours - value:+.4g} away, {tolerance:g} allowed"
    bounds = {"more": (value, math.inf), "near": (value - tolerance, value + tolerance)}
    least, most = bounds[entry["expects"]]
    if least <= low and high <= most:
        return "supported", ""
    if high < least or low > most:
        return "contradicted", "the whole interval disagrees"
    return "undecided", "the interval holds both"


def markdown(claims: list[Claim]) -> str:
    """The table for reading."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(_cells(claim)) + " |" for claim in claims]
    return "\n".join(lines) + "\n"


def _cells(claim: Claim) -> list[str]:
    published = "–" if claim.value is None else f"{claim.value:g}"
    ours = "–" if claim.ours is None else f"{claim.ours:.5g}"
    if claim.low is not None and claim.high is not None:
        ours += f" [{claim.low:.5g}, {claim.high:.5g}]"
    verdict = f"{claim.verdict}: {claim.reason}" if claim.reason else claim.verdict
    return [
        claim.method,
        claim.dataset,
        claim.quantity,
        published,
        ours,
        verdict,
        claim.source,
        claim.differs,
    ]
