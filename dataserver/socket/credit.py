"""How many commands of a connection are worked on, and who has to wait for whom. Pure.

Messages that are sent one after the other are worked on together: they reach the writer's queue in the order in which
they came, and share its commits. Every other change may name what came before it (a message by its client id), so it
begins when all before it are done, and those behind it wait for it.
"""

from __future__ import annotations


class Credit:
    """What a connection has under way."""

    __slots__ = ("_is_alone", "_most", "in_flight_count")

    def __init__(self, most: int) -> None:
        self._most = most
        self._is_alone = False
        self.in_flight_count = 0

    def may_begin(self, *, alone: bool) -> bool:
        """Tell whether the next command may begin now; if not, it is asked again when one has ended."""
        if alone:
            return self.in_flight_count == 0
        return not self._is_alone and self.in_flight_count < self._most

    def begin(self, *, alone: bool) -> None:
        """Take note that a command begins."""
        self.in_flight_count += 1
        self._is_alone = alone

    def end(self) -> None:
        """Take note that a command has ended, however it did."""
        self.in_flight_count -= 1
        self._is_alone = False
