"""Readers of files that others wrote: capped, refused in words, nothing in them is run."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from physbench.datasets.common import reading, restricted_pickle, store
from physbench.datasets.common.arrays import plain, whole
from physbench.datasets.common.reading import DataError
from physbench.datasets.jets import _jet_tables as jet_tables


def npy(shape: tuple[int, ...], descr: Any = "<f8", content: bytes = b"") -> bytes:
    """An `.npy` file whose header says what it likes."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + content


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_arrays_come_back_and_missing_ones_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2)))
    found = reading.arrays(tmp_path / "a.npz", "x", "y")
    assert found["x"].tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"a\.npz has no z; found \['x', 'y'\]"):
        reading.arrays(tmp_path / "a.npz", "x", "z")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy((10**12,)), "needs 8000000000000 bytes, 0 are there"),
        (npy((3,), content=b"\0" * 16), "needs 24 bytes, 16 are there"),
        (npy((3,), content=b"\0" * 32), "needs 24 bytes, 32 are there"),
        (npy((1,), "|O", b"\0" * 8), "numbers and text alone"),
        (npy((1,), [("a", "<f8")], b"\0" * 8), "numbers and text alone"),
        (npy((2,), "<M8[s]", b"\0" * 16), "numbers and text alone"),
        (b"no header", "cannot be read: expected an .npz archive of x"),
        (npy((2,), content=np.array([1, np.nan]).tobytes()), "holds NaN or infinity"),
        (npy((2,), "<c16", b"\0" * 32), "must hold real numbers"),
        (npy((2,), "<U1", b"a\0\0\0" * 2), "must hold real numbers"),
    ],
)
def test_arrays_whose_header_lies_are_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "a.npz", x=content)
    with pytest.raises(DataError, match=message):
        reading.arrays(path, "x")


def test_a_small_archive_that_unpacks_to_much_is_refused_before(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.npz", x=npy((10_000_000,), content=bytes(80_000_000)))
    assert path.stat().st_size < 200_000
    with pytest.raises(DataError, match=r"unpack to 80000128: more than such data can be"):
        reading.arrays(path, "x")
    packed = tmp_path / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(bytes(80_000_000)))
    with pytest.raises(ValueError, match="after unpacking"):
        reading.content(packed)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for call in (reading.arrays, reading.content, store.digest):
        with pytest.raises(DataError, match=r"pipe\.npz is no regular file"):
            call(tmp_path / "pipe.npz")
    with pytest.raises(FileNotFoundError):
        reading.arrays(tmp_path / "nowhere.npz")


def test_any_failure_names_file_expectation_finding_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, reading.reading(tmp_path / "f", "a table", "make it"):
        raise KeyError("column")
    for part in (str(tmp_path / "f"), "expected a table", "KeyError: 'column'", "with: make it"):
        assert part in str(caught.value)
    for kind in (MemoryError, RecursionError, UnicodeDecodeError):
        arguments = ("utf-8", b"", 0, 1, "no") if kind is UnicodeDecodeError else ()
        with pytest.raises(DataError), reading.reading(tmp_path / "f", "a table"):
            raise kind(*arguments)
    with pytest.raises(ModuleNotFoundError), reading.reading(tmp_path / "f", "a table"):
        raise ModuleNotFoundError("h5py")


def test_splits_that_share_data_are_refused() -> None:
    def units(*numbers: int) -> list[bytes]:
        return [bytes([n]) for n in numbers]

    reading.check_disjoint(
        {"train": units(*range(200)), "test": units(*range(200, 256))}, "jets", "f"
    )
    with pytest.raises(DataError, match="2 jets of test are also in train"):
        reading.check_disjoint(
            {"train": units(*range(200)), "test": units(198, 199, 201)}, "jets", "f"
        )


# --- pins -------------------------------------------------------------------------------------


def test_the_first_use_of_a_file_pins_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "data" / "events.bin"
    path.parent.mkdir()
    path.write_bytes(b"first")
    with store.pinned(path.parent, [path]) as found:
        assert list(found) == ["events.bin"]
    assert list(path.parent.iterdir()) == [path]  # nothing is written beside the data
    path.write_bytes(b"other")
    with pytest.raises(DataError, match=r"events\.bin has changed: expected sha256") as caught:
        store.unchanged(path.parent, [path])
    assert str(store.pins(path.parent)) in str(caught.value)
    store.pins(path.parent).unlink()
    with store.pinned(path.parent, [path]):
        pass


def test_a_file_that_could_not_be_read_is_not_pinned(tmp_path: Path) -> None:
    path = tmp_path / "events.bin"
    path.write_bytes(b"half a fi")
    with pytest.raises(ValueError, match="damaged"), store.pinned(tmp_path, [path]):
        raise ValueError("damaged")
    path.write_bytes(b"half a file, fetched again")
    with store.pinned(tmp_path, [path]):
        pass


# --- pickles ----------------------------------------------------------------------------------


def state(shape: bytes, kind: bytes = b"f8", raw: bytes = b"\0" * 8) -> bytes:
    """A pickled array: shape as opcodes, type and raw content as one likes."""
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU" + bytes([len(kind)]) + kind + b"\x89\x88\x87R"
    dtype += b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    return start + b"(K\x01" + shape + dtype + b"\x89C" + bytes([len(raw)]) + raw + b"tb."


def nested(levels: int) -> bytes:
    """Tuples of the same tuple twice: small on disk, 2 to the power of `levels` when walked."""
    return b"\x80\x02)" + b"q\0" + b"h\0h\0\x86q\0" * levels + b"."


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (state(b"K\x01\x85", b"O8"), "Python objects"),
        (state(b"K\x02\x85"), "has 8 bytes"),
        (state(b"J\xff\xff\xff\xff\x85"), "array of Python objects"),
        (state(b"K\x01\x85", b"V8"), "are not admitted"),
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R.",
            "an array without content",
        ),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "places of memory"),
        (pickle.dumps(RECURSIVE), "hold themselves"),
        (pickle.dumps({(1, 2): 3}), "keys must be text or numbers"),
        (pickle.dumps({1, 2}), "refused"),
        (pickle.dumps(np.zeros(2, [("a", "f8"), ("b", "i4")])), "not admitted|structured"),
        (pickle.dumps(np.array(["a"])), "not admitted"),
        (pickle.dumps(1j), "refused to import"),
        (pickle.dumps(b"x")[:-3], "refused"),
        (b"", "refused"),
        (b"\x80\x02}(U\x01au.", "refused"),
        (b"\x80\x02C\x01a}b.", "state of something that is no array"),
    ],
)
def test_pickles_that_are_no_plain_arrays_are_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.pickle"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        restricted_pickle.read(path)


def test_shared_tuples_are_walked_once(tmp_path: Path) -> None:
    path = tmp_path / "f.pickle"
    path.write_bytes(nested(25))
    found = restricted_pickle.read(path)
    for _ in range(25):
        (found, other) = found
        assert found is other
    path.write_bytes(nested(60))
    with pytest.raises(DataError, match="too deep"):
        restricted_pickle.read(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol_and_order_come_back(protocol: int, tmp_path: Path) -> None:
    big = np.arange(6, dtype=">i4").reshape(2, 3)
    value = {"a": np.asfortranarray(big), "b": [np.float64(1.5), "text", None, True], "c": big[0]}
    path = tmp_path / "f.pickle"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    found = restricted_pickle.read(path)
    np.testing.assert_array_equal(found["a"], big)
    np.testing.assert_array_equal(found["c"], big[0])
    assert found["b"] == [1.5, "text", None, True]


# --- HDF5 -------------------------------------------------------------------------------------


def table(path: Path, rows: int = 4, **options: Any) -> None:
    kind = [("index", "<i8"), ("values_block_0", "<f4", (4,)), ("values_block_1", "<i8", (1,))]
    with h5py.File(path, "w") as file:
        made = file.create_dataset("table/table", (rows,), np.dtype(kind), **options)
        names = [f"{axis}_0" for axis in ("E", "PX", "PY", "PZ")]
        for block, columns in (("0", names), ("1", ["is_signal_new"])):
            made.attrs[f"values_block_{block}_kind"] = np.void(pickle.dumps(columns, protocol=0))


def external(path: Path) -> None:
    other = path.with_name("other.h5")
    table(other)
    with h5py.File(path, "w") as file:
        file["table"] = h5py.ExternalLink(other.name, "/table")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: table(p, 10**12, chunks=(1000,)), "at most 20000000 rows"),
        (lambda p: table(p, 10**8, chunks=(10**8,)), "rows"),
        (lambda p: table(p, external=[("raw.bin", 0, 4 * 32)]), "lies in other files"),
        (external, "lies in another file"),
        (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "cannot be read"),
        (lambda p: p.write_bytes(b""), "cannot be read"),
    ],
)
def test_tables_that_are_too_large_or_elsewhere_are_refused(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "jets.h5"
    write(path)
    with pytest.raises(DataError, match=message):
        jet_tables.read_table(path)


# --- arrays at the door -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1 + 0j], "complex128"),
        (["1"], "<U1"),
        ([None], "object"),
        ([[1], [1, 2]], "cannot become an array"),
        (np.ma.masked_equal([1, 2], 2), "must not be masked"),
        ([True], "bool"),
    ],
)
def test_values_that_a_cast_would_change_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain(values, "scores")


def test_whole_numbers_stay_what_they_are() -> None:
    assert whole(np.array([2**63 - 1], np.uint64), "ids").tolist() == [2**63 - 1]
    assert whole(np.array([2**53 - 1.0]), "ids").tolist() == [2**53 - 1]
    for wrong in (np.array([2**63], np.uint64), np.array([2.0**53]), [0.5]):
        with pytest.raises(ValueError, match="ids"):
            whole(wrong, "ids")
    with pytest.raises(FloatingPointError, match="NaN"):
        whole([np.inf], "ids")


def test_headers_are_read_to_the_byte() -> None:
    stream = io.BytesIO(npy((2, 3), "<i2", struct.pack("<6h", *range(6))))
    shape, kind, start = reading.header(stream)
    assert (shape, kind, start % 64) == ((2, 3), np.dtype("<i2"), 0)
