"""Load from threads: acts that are done again and again while something else is looked at."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 30.0


@contextmanager
def repeated(*acts: Callable[[], object]) -> Iterator[None]:
    """Have each of `acts` done again and again in a thread while this is entered; an error of one fails the test."""
    is_over = threading.Event()
    errors: list[Exception] = []

    def run(act: Callable[[], object]) -> None:
        while not is_over.is_set():
            try:
                act()
            except (httpx2.HTTPError, AssertionError) as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        is_over.set()
        for each in threads:
            each.join(LIMIT_S)
    assert not errors, errors
