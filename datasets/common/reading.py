"""Files that others wrote, read with care: capped before they are unpacked, refused in words.

Whatever goes wrong inside a reader ends in one `DataError` that names the file, what was expected,
what was found and what mends it.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Published files unpack to at most a tenth of these; a bomb to far more.
MOST = 2 << 30  # bytes of one unpacked file
FREE = 64 << 20  # bytes below which the ratio does not matter
RATIO = 200  # unpacked / packed
MEMBERS = 10_000  # arrays in one archive


class DataError(ValueError):
    """A file that is not what the dataset's card says."""


@contextlib.contextmanager
def reading(path: Path, expected: str, remedy: str = "fetch the file again") -> Iterator[None]:
    """Turn any failure inside into one DataError about `path`.

    Left alone are errors that say so already: a DataError, a missing file, a missing package.
    """
    try:
        yield
    except (DataError, FileNotFoundError, ImportError):
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise DataError(
            f"{path} cannot be read: expected {expected}; found {found[:300]}. "
            f"Mend it with: {remedy}"
        ) from error


def arrays(
    path: Path,
    *needed: str,
    numeric: bool = True,
    alone: bool = False,
    most: int = MOST,
    remedy: str = "fetch the file again",
) -> dict[str, NDArray[Any]]:
    """All arrays of a `.npz` file after checking how large they become.

    `needed` must be there; with `numeric` each of them must hold real numbers (or booleans) that
    are finite. With `alone` no others are unpacked. Raises DataError for a damaged, hostile or
    incomplete file.
    """
    listed = ", ".join(needed) or "arrays"
    with (
        reading(path, f"an .npz archive of {listed}", remedy),
        zipfile.ZipFile(regular(path)) as archive,
    ):
        _check_sizes(archive.infolist(), path.stat().st_size, most)
        members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
        chosen = [name for name in members if name in needed or not alone]
        found = {name: _array(archive, members[name]) for name in chosen}
    missing = [name for name in needed if name not in found]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}; found {list(members)}")
    for name in needed if numeric else ():
        check_numbers(found[name], f"{path}: {name}")
    return found


def names(path: Path) -> list[str]:
    """Names of the arrays of a `.npz` file, none of which is unpacked."""
    with reading(path, "an .npz archive"), zipfile.ZipFile(regular(path)) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def regular(path: Path) -> Path:
    """The path itself; DataError where it is a pipe, a device or a folder, which would hang."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path} is no regular file; put the file itself there")
    return path


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, most: int) -> None:
    """Refuse an archive by the sizes in its directory, which unpacking cannot exceed."""
    total = sum(member.file_size for member in members)
    if len(members) > MEMBERS or len({m.filename for m in members}) < len(members):
        raise ValueError(f"{len(members)} members, or two of one name")
    if total > min(most, max(FREE, RATIO * packed)):
        raise ValueError(f"{packed} bytes that unpack to {total}: more than such data can be")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array whose header promises exactly the bytes that are there."""
    with archive.open(member) as stream:
        shape, dtype, start = header(stream)
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - start:
            raise ValueError(
                f"{member.filename}: {shape} of {dtype} needs {size} bytes, "
                f"{member.file_size - start} are there"
            )
    with archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and length of the header of an `.npy` stream; plain types alone are admitted."""
    version = np.lib.format.read_magic(stream)
    known = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in known:
        raise ValueError(f"version {version} of the .npy format")
    shape, _, dtype = known[version](stream)
    if dtype.kind not in "biufcSU":
        raise ValueError(f"an array of {dtype}; numbers and text alone are admitted")
    return shape, dtype, stream.tell()


def check_numbers(values: NDArray[Any], what: str) -> None:
    """Raise DataError unless `values` are real and finite."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold real numbers; found {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"{what} holds NaN or infinity ({int((~np.isfinite(values)).sum())} times)"
        )


def check_range(values: NDArray[Any], low: float, high: float, what: str, why: str) -> None:
    """Raise DataError unless all `values` lie in [low, high]; `why` says what that range is."""
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        raise DataError(
            f"{what} must lie in [{low:g}, {high:g}] ({why}); found {values[wrong][0]:g} "
            f"({int(wrong.sum())} of {len(values)})"
        )


def content(path: Path, most: int = MOST) -> bytes:
    """Bytes of a file, unpacked where its name ends in `.gz`; at most `most` of them."""
    allowed = min(most, max(FREE, RATIO * regular(path).stat().st_size))
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        found: bytes = stream.read(allowed + 1)
    if len(found) > allowed:
        raise ValueError(f"more than {allowed} bytes after unpacking")
    return found


def check_disjoint(parts: dict[str, list[bytes]], what: str, where: str) -> None:
    """Raise DataError where two splits of the files `where` hold the same data.

    `parts` has for each split the digests of its units. Single equal units may be chance; from
    1 % of the smaller split on they are a copy.
    """
    names = list(parts)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            shared = len(set(parts[first]) & set(parts[second]))
            smaller = min(len(parts[first]), len(parts[second]))
            if shared and shared >= 0.01 * smaller:
                raise DataError(
                    f"{where}: {shared} {what} of {second} are also in {first}, as if a file was "
                    "copied; train, validation and test need data of their own"
                )
