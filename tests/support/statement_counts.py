"""Which statements the chat runs, at the server and in a client's own store alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chat.domain.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note each statement that the chat runs, but those of its feed, which follows by itself."""
    ran: list[str] = []

    def noted(statement: str) -> None:
        if not statement.startswith("feed"):
            ran.append(statement)

    with monkeypatch.context() as patch:
        for name in ("one", "all", "text", "write"):
            former = getattr(Tables, name)

            async def note(self: Tables, statement: str, *params: Any, _former: Any = former) -> Any:
                noted(statement)
                return await _former(self, statement, *params)

            patch.setattr(Tables, name, note)
        all_former = Tables.write_all

        async def note_all(self: Tables, steps: Any) -> Any:
            for step in steps:
                noted(step[0])
            return await all_former(self, steps)

        patch.setattr(Tables, "write_all", note_all)
        yield ran
