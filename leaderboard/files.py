"""Files that a record names, or that claim to be one: read whole, capped, and only if regular."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def content(path: Path, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises ValueError for anything else (a pipe would hang, a device never ends), and for a link
    unless `follow`; FileNotFoundError where there is nothing.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow and path.is_symlink():
        raise ValueError(f"{path.name} is a link; expected a regular file beside the record")
    with os.fdopen(os.open(path, flags), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        found = stream.read(most + 1)
    if len(found) > most:
        raise ValueError(f"{path.name} has more than {most} bytes")
    return found
