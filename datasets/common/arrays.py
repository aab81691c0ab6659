"""Arrays at the door: what a model returned becomes plain NumPy, or is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 2**53  # from here on not every whole number is a float of its own


def plain(values: Any, what: str, kinds: str = "fiu") -> NDArray[Any]:
    """`values` as an array of one of the `kinds` (NumPy's letters), by position.

    Series, lists and tensors become arrays; masked arrays, complex numbers, text and Python
    objects raise ValueError naming `what`: a cast would lose their mask, part or meaning.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{what} must not be masked; fill the gaps with .filled(...)")
    try:
        array = np.asarray(values)
    except Exception as error:  # ragged lists, tensors that need .detach(), devices
        raise ValueError(f"{what} cannot become an array: {error}") from error
    if array.dtype.kind not in kinds:
        names = {"f": "real", "i": "whole", "u": "whole", "b": "boolean"}
        wanted = " or ".join(dict.fromkeys(names[kind] for kind in kinds))
        raise ValueError(f"{what} must be {wanted} numbers; got {array.dtype} {array.shape}")
    return array


def whole(values: Any, what: str) -> NDArray[np.int64]:
    """`values` as int64; ValueError where that would change one, FloatingPointError for NaN.

    >>> whole([3.0, -1.0], "labels")
    array([ 3, -1])
    """
    array = plain(values, what)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise FloatingPointError(f"{what} hold NaN or infinity")
        if not np.array_equal(array, np.round(array)):
            raise ValueError(f"{what} must be whole numbers, got {array.dtype} with fractions")
        limit = min(EXACT, 2 ** (np.finfo(array.dtype).nmant + 1))
        if (np.abs(array) >= limit).any():
            raise ValueError(
                f"{what}: {array.dtype} cannot tell whole numbers from {limit} on apart; use int64"
            )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{what}: {array.max()} does not fit into int64; number from 0 on")
    return array.astype(np.int64)


def distinct(values: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """The distinct whole numbers of an array (n,), sorted.

    What `np.unique` gives. Many long columns of mostly distinct numbers come here, for which the
    hash table of NumPy 2.3 and later takes 80 times as long as a sort.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.asarray(ordered[first])


def spans(count: int, step: int) -> list[slice]:
    """`count` units in parts of `step`, at least one of each; one empty part where there are none.

    >>> spans(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(step, 1)
    return [slice(k, min(k + step, count)) for k in range(0, max(count, 1), step)]
