"""The bounds of the chat."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChatLimits:
    """How much there may be of each thing; whoever passes one is told which."""

    max_content_bytes: int = 32_768
    """Of one message, as UTF-8."""
    max_emoji_per_message: int = 50
    max_pins_per_room: int = 250
    max_edits_per_message: int = 500
    """Versions that are kept of it."""
    max_mentions_per_message: int = 50
    max_rooms_per_space: int = 1_000
    max_groups_per_space: int = 200
    max_invites_per_space: int = 500
    """That still let somebody in."""
    max_invite_uses: int = 10_000
    max_invite_age_s: float = 365 * 86_400.0
    max_members_per_space: int = 100_000
    max_spaces_per_user: int = 1_000
    max_settings_bytes: int = 65_536
    """Of a space's settings or a profile, as JSON."""
    max_avatar_bytes: int = 524_288
    max_page_count: int = 500
    max_ranked_hits: int = 10_000
    """Of the matches of a search, so many of the newest are compared for the best."""
    max_query_characters: int = 1_000
    """Of a search."""
    max_waiting_sends: int = 10_000
    """That wait for an earlier send of their device, over all devices."""
    out_of_turn_patience_s: float = 2.0
    """How long each of them waits."""
    max_order_age_s: float = 86_400.0
    """How long the order of a device's sends is remembered after its last one."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name} is {value}; more than 0 is allowed")

    def page_count(self, asked: int) -> int:
        """Return how many there are on a page for which `asked` were wished."""
        return max(1, min(asked, self.max_page_count))
