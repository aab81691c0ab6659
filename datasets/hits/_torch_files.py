"""Arrays out of files that torch and PyG wrote, without running their pickles.

A file of torch is a zip archive: the bytes of each tensor, and a pickle that says which tensor
goes where. Here every name that the pickle asks for is answered with an empty class of ours, or
refused; tensors become NumPy arrays of the bytes beside it.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.reading import DataError

MOST = 1 << 31  # bytes of one file's arrays
STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BoolStorage": "?"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2"},
    **{"CharStorage": "i1", "ByteStorage": "u1"},
}


class Part:
    """The place of an object whose class is not known here: its attributes alone."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


class _Storage:
    """A name of torch's for the type of the numbers in a storage."""

    def __init__(self, kind: str) -> None:
        self.kind = np.dtype(kind)


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """A class of ours for a name that is known to stand in such files."""
        if module == "torch" and name in STORAGES:
            return _Storage(STORAGES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module.split(".")[0] == "torch_geometric":
            return Part
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """The numbers of a storage: (`storage`, type, key, device, count)."""
        kind, key = pid[1].kind, str(pid[2])
        if not key.isdigit():
            raise pickle.UnpicklingError(f"storage '{key[:40]}' is no number")
        return np.frombuffer(self.archive.read(f"{self.folder}/data/{key}"), kind)


def _tensor(
    numbers: NDArray[Any],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: Any,
) -> NDArray[Any]:
    """A tensor's numbers, copied: nothing outside of its storage is ever seen."""
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if n)
    if min((offset, *shape, *strides)) < 0 or (0 not in shape and last >= len(numbers)):
        raise pickle.UnpicklingError(f"a tensor {shape} reaches beyond its {len(numbers)} numbers")
    places = offset + sum(
        (np.arange(n) * s).reshape(-1, *[1] * (len(shape) - 1 - k))
        for k, (n, s) in enumerate(zip(shape, strides, strict=True))
    )
    return np.asarray(numbers[places])


def attributes(path: Path) -> dict[str, Any]:
    """Names and arrays (or plain values) of the `Data` object in a file that PyG wrote.

    Raises DataError for anything else in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST:
                raise ValueError(f"it unpacks to more than {MOST} bytes")
            (name,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
            found = _Reader(archive, name.removesuffix("/data.pkl")).load()
        mapping = found.__dict__["_store"].__dict__["_mapping"]
        return {key: value for key, value in mapping.items() if isinstance(key, str)}
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise DataError(
            f"{path} is refused: expected a Data object of PyG with tensors alone; found "
            f"{str(error)[:300] or type(error).__name__}. Mend it with: write the file again"
        ) from error
