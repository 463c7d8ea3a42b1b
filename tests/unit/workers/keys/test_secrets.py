"""Secrets are wiped, and nothing shows them."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import traceback

import msgspec
import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from tests.support.keys import keyring
from workers.keys.secrets import Secret, _Wiping

KEY = b"0123456789abcdef0123456789abcdef"


def test_a_wiped_secret_holds_zeros_and_gives_nothing() -> None:
    secret = Secret(KEY)
    buffer = secret.buffer
    with secret:
        assert buffer == KEY
    assert buffer == bytes(32)
    with pytest.raises(ValueError, match="wiped"):
        _ = secret.buffer


def test_a_secret_is_wiped_when_the_block_it_is_used_in_fails() -> None:
    secret = Secret(KEY)
    with pytest.raises(ZeroDivisionError), secret:
        _ = 1 // 0
    assert secret.is_wiped


def test_bytes_that_nobody_uses_any_more_are_wiped() -> None:
    wiped: list[bytes] = []

    class Seen(_Wiping):
        @override
        def __del__(self) -> None:
            super().__del__()
            wiped.append(bytes(self))

    secret = Secret(KEY)
    secret._data = Seen(KEY)
    del secret
    assert wiped == [bytes(32)]


def test_bytes_in_use_outlive_the_secret_they_are_of() -> None:
    buffer = Secret(KEY).buffer
    assert buffer == KEY


def test_a_secret_that_is_being_read_can_be_wiped() -> None:
    secret = Secret(KEY)
    with memoryview(secret.buffer) as view:
        secret.wipe()
        assert view.tobytes() == bytes(32)


@pytest.mark.parametrize("pattern", ["{0}", "{0!s}", "{0!r}", "{0!a}", "{0!r:>80}"])
def test_no_text_of_a_secret_shows_it(pattern: str) -> None:
    shown = pattern.format(Secret(KEY))
    assert "secret of 32 bytes" in shown
    assert "0123" not in shown


@pytest.mark.parametrize(
    "keep",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.msgpack.encode, msgspec.json.encode],
    ids=["pickle", "copy", "deepcopy", "json", "msgpack", "msgspec.json"],
)
def test_a_secret_is_neither_pickled_nor_copied_nor_encoded(keep: object) -> None:
    assert callable(keep)
    with pytest.raises(TypeError):
        keep(Secret(KEY))


def test_a_secret_is_no_bytes_by_accident() -> None:
    with pytest.raises(TypeError):
        bytes(Secret(KEY))  # type: ignore[call-overload]  # what is tested
    with pytest.raises(TypeError):
        hash(Secret(KEY))


def test_secrets_are_equal_by_their_bytes() -> None:
    assert Secret(KEY) == Secret(bytearray(KEY))
    assert Secret(KEY) != Secret(KEY[::-1])
    assert Secret(KEY) != KEY


def test_random_secrets_differ_and_are_filled_to_the_end() -> None:
    drawn = [bytes(Secret.random(48).buffer) for _ in range(200)]
    assert len(set(drawn)) == 200
    assert len({each[-1] for each in drawn}) > 50


def test_without_a_random_device_the_system_call_gives_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.keys.secrets._RANDOM_DEVICE", "/nowhere/urandom")
    assert Secret.random(32) != Secret(bytes(32))


def test_nothing_that_a_keyring_tells_holds_a_key() -> None:
    """Its keys are looked for, as bytes, hexadecimal and base64, in what it shows when it works and fails."""
    with capture_logs() as logged:
        told, raw = told_by_a_keyring()
    assert [each["event"] for each in logged] == ["keys.key_added", "keys.key_promoted"]
    for text in [*told, repr(logged)]:
        for form in (raw.hex(), repr(raw)[2:-1], base64.b64encode(raw).decode()):
            assert form not in text


def told_by_a_keyring() -> tuple[list[str], bytes]:
    ring = keyring()
    ring.promote(ring.add())
    key = ring._sealer.holds(ring.key_id)
    assert key is not None
    raw = bytes(key.buffer)
    told = [repr(ring), str(ring.states()), repr(ring.ticket()), repr(vars(ring)), repr(vars(ring._sealer))]
    failures: list[Exception] = []
    for fail in (
        lambda: ring.open(None, b"WK\x01" + bytes(80)),
        lambda: ring.open(None, ring.seal(b"body")[1], b"other"),
        lambda: ring.retire(ring.key_id),
        lambda: ring.promote("00"),
        lambda: pickle.dumps(ring),
    ):
        try:
            fail()
        except Exception as error:  # noqa: BLE001 - whatever it raises is looked at
            failures.append(error)
    assert len(failures) == 5
    told += ["".join(traceback.format_exception(error)) for error in failures]
    told += [repr(vars(error)) for error in failures]
    ring.close()
    return told, raw
