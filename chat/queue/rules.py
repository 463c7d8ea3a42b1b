"""The rules of each action type under the settings of one queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.queue.states import Rules

if TYPE_CHECKING:
    from chat.queue.action_type import ActionType
    from chat.queue.settings import QueueSettings


class RulesOf:
    """The rules of each type under the settings of one queue."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, int | None], tuple[ActionType, Rules]] = {}

    def of(self, kind: ActionType, max_attempts: int | None) -> Rules:
        """Return the rules of `kind`, with what one action says for itself."""
        known = self._known.get((kind.name, max_attempts))
        if known is not None and known[0] is kind:
            return known[1]
        rules = Rules(
            retries=kind.retries(
                max_attempts=max_attempts,
                max_delay_s=self._settings.max_delay_s,
                max_retry_after_s=self._settings.max_retry_after_s,
            ),
            stuck=kind.stuck,
            blocks_on_conflict=kind.blocks_on_conflict,
            permanent=kind.permanent,
            on_target_gone=kind.on_target_gone,
            on_uncertain=kind.on_uncertain,
        )
        self._known[kind.name, max_attempts] = (kind, rules)
        return rules
