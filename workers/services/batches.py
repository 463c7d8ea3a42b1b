"""Bytes that go to a service: flat, and many small ones cut into requests, so that joining them never holds up the loop.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.utils import Buffer

    from workers.buffers import Bytes

T = TypeVar("T")

GROUP_BYTES: Final = 256 * 1024
"""Inputs of one request together; copying so much takes some 0.05 ms. A larger one goes alone, and is not copied."""
GROUP_COUNT: Final = 512


def flat(data: Bytes) -> Bytes:
    """Return `data` so that its length is that of its bytes: a view of other items becomes one of their bytes.

    Raises:
        TypeError: It is a view with gaps.
    """
    if isinstance(data, memoryview) and (data.format != "B" or data.ndim != 1):
        return data.cast("B")
    return data


def lengths_of(items: Sequence[Bytes]) -> tuple[int, ...]:
    """Return how long each item is, all of them being `flat`."""
    return tuple(map(len, items))


def picked(items: Sequence[T], group: range) -> Sequence[T]:
    """Return those of `items` that one request takes."""
    return items[group.start : group.stop]


def grouped(items: Sequence[Buffer]) -> Iterator[range]:
    """Yield the indexes of each request's items, which are `flat`, in order."""
    start = held = 0
    for index, item in enumerate(items):
        if index > start and (held + len(item) > GROUP_BYTES or index - start >= GROUP_COUNT):
            yield range(start, index)
            start, held = index, 0
        held += len(item)
    if items:
        yield range(start, len(items))


def joined(items: Sequence[Buffer]) -> Buffer:
    """Return the items one after the other."""
    return items[0] if len(items) == 1 else b"".join(items)


def parted(whole: Buffer, lengths: Sequence[int]) -> Iterator[memoryview]:
    """Yield the items of `whole`, which are so long.

    Raises:
        ValueError: `whole` is longer or shorter than they are.
    """
    view = memoryview(whole)
    if sum(lengths) != view.nbytes or (lengths and min(lengths) < 0):
        raise ValueError(f"{view.nbytes} bytes for items of {sum(lengths)}")
    start = 0
    for length in lengths:
        yield view[start : start + length]
        start += length
