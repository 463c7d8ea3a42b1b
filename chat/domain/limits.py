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
    max_rooms_per_space: int = 1_000
    max_members_per_space: int = 100_000
    max_spaces_per_user: int = 1_000
    max_settings_bytes: int = 65_536
    """Of a space's settings or a profile, as JSON."""
    max_page_count: int = 500
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
