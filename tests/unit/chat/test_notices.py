from __future__ import annotations

from typing import Any

import pytest

from chat import BUILT_IN, Event, Failure, Notice
from chat.queue.notices import Catalogue

DESIGN = {
    "delete-message.failure": "Failed to delete message: {error}",
    "edit-message.failure": "Failed to edit message: {error}",
    "join-space.failure": "Failed to join space: {error}",
    "kick-user.failure": "Failed to remove user: {error}",
    "kick-user.success": "User removed",
    "leave-space.failure": "Failed to leave space: {error}",
    "mute-user.failure": "Failed to mute user: {error}",
    "mute-user.success": "User muted",
    "pin-message.failure": "Failed to pin message: {error}",
    "save-user-config.failure": "Failed to save settings: {error}",
    "sync-space-keys.failure": "Failed to sync keys: {error}",
    "unmute-user.failure": "Failed to unmute user: {error}",
    "unmute-user.success": "User unmuted",
    "unpin-message.failure": "Failed to unpin message: {error}",
    "update-profile.failure": "Failed to save profile: {error}",
    "update-space.failure": "Failed to save space settings: {error}",
    "update-space.success": "Space settings saved",
}


def happened(type_name: str, kind: str, **facts: Any) -> Event:
    return Event(seq=7, kind=kind, at_ms=1, client_id="c", type=type_name, account="ann", **facts)


def test_the_texts_are_those_of_the_design() -> None:
    assert Catalogue(BUILT_IN).texts() == DESIGN


def test_a_notice_says_what_went_wrong_and_of_what_it_tells() -> None:
    failure = Failure("permanent", "permanent", "no {right}", 403)

    assert Catalogue(BUILT_IN).notice(happened("kick-user", "failed", failure=failure)) == Notice(
        text="Failed to remove user: 403: no {right}",
        outcome="failure",
        client_id="c",
        type="kick-user",
        account="ann",
        at_ms=1,
        seq=7,
    )


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("send-message", "done"),
        ("send-message", "failed"),
        ("reaction", "failed"),
        ("save-user-config", "done"),
        *[("kick-user", kind) for kind in ("queued", "calling", "uncertain", "retry_wait", "paused")],
        ("kick-user", "cancelled"),
        ("update-space", "expired"),
        ("of another program", "failed"),
    ],
)
def test_nothing_is_said_of_messages_and_while_an_action_may_still_be_tried(
    type_name: str, kind: str
) -> None:
    assert Catalogue(BUILT_IN).notice(happened(type_name, kind)) is None


def test_an_expired_session_is_no_notice() -> None:
    assert Catalogue(BUILT_IN).notice(Event(seq=1, kind="session.expired", at_ms=1, account="ann")) is None


def test_texts_are_replaced_by_a_translation_and_an_empty_one_says_nothing() -> None:
    texts = {
        "kick-user.success": "Benutzer entfernt",
        "kick-user.failure": "",
        "mute-user.failure": "{error}!",
    }
    catalogue = Catalogue(BUILT_IN, texts)
    failure = Failure("transient", "busy")

    told = catalogue.notice(happened("kick-user", "done"))
    assert told is not None
    assert told.text == "Benutzer entfernt"
    assert catalogue.notice(happened("kick-user", "failed", failure=failure)) is None
    told = catalogue.notice(happened("mute-user", "failed", failure=failure))
    assert told is not None
    assert told.text == "busy!"


@pytest.mark.parametrize("key", ["send-message.failure", "save-user-config.success", "kick-user.done"])
def test_a_text_that_nobody_would_ever_see_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        Catalogue(BUILT_IN, {key: "x"})
