"""Texts for people about how actions ended: what a program shows for a moment, as in a toast.

Only an action type that declares a text has one: messages never (they are shown in place), configuration only when it
could not be saved. Nothing is said while an action will still be tried, was taken back, or was dropped because what it
is about is gone. The declared texts are the defaults of a catalogue, which a program replaces, as with a translation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chat.queue.action_type import ActionType
    from chat.queue.events import Event

Outcome = Literal["success", "failure"]

ERROR = "{error}"
"""In a text, what stands for the error."""
_OUTCOMES: dict[str, Outcome] = {"done": "success", "failed": "failure"}


class Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="notice"):
    """A text to show."""

    text: str
    outcome: Outcome
    client_id: str
    type: str
    account: str
    at_ms: int
    seq: int
    """The number of the event that it comes from."""

    @property
    def name(self) -> str:
        """What it is called where events of several sources meet."""
        return "notice"


class Catalogue:
    """The texts of some action types, by `TYPE.success` and `TYPE.failure`.

    Raises:
        ValueError: There is a text for something that nobody is told of; the message lists what there is.
    """

    def __init__(self, types: Iterable[ActionType], texts: Mapping[str, str] | None = None) -> None:
        self._texts: dict[str, str] = {}
        for kind in types:
            if kind.success_notice is not None:
                self._texts[f"{kind.name}.success"] = kind.success_notice
            if kind.failure_notice is not None:
                self._texts[f"{kind.name}.failure"] = f"{kind.failure_notice}: {ERROR}"
        unknown = sorted(set(texts or ()) - set(self._texts))
        if unknown:
            raise ValueError(f"there is no notice {unknown[0]}; there are {', '.join(sorted(self._texts))}")
        self._texts.update(texts or {})

    def texts(self) -> dict[str, str]:
        """Return all texts by name, in order."""
        return dict(sorted(self._texts.items()))

    def notice(self, event: Event) -> Notice | None:
        """Return what people are to be told about `event`, None if nothing."""
        outcome = _OUTCOMES.get(event.kind)
        if outcome is None or event.type is None or event.client_id is None:
            return None
        text = self._texts.get(f"{event.type}.{outcome}")
        if not text:
            return None
        return Notice(
            text=text.replace(ERROR, event.failure.text if event.failure else ""),
            outcome=outcome,
            client_id=event.client_id,
            type=event.type,
            account=event.account or "",
            at_ms=event.at_ms,
            seq=event.seq,
        )
