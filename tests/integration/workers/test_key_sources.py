"""Where key-encryption keys come from, with real files; and the file of a keyring."""

from __future__ import annotations

import base64
import os
import stat
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import keyring.backends.fail
import pytest

from tests.support.keys import CHEAP, FixedSource
from workers.keys import os_keyring
from workers.keys.errors import KeyringBusy, KeyringDamaged, KeySourceRefused
from workers.keys.keyring import create_keyring, open_keyring
from workers.keys.keyring_file import KeyringFile
from workers.keys.os_keyring import OsKeyringSource
from workers.keys.secrets import Secret
from workers.keys.sources import EnvironmentKeySource, FileKeySource, Hardening, PassphraseKeySource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = bytes(range(32))


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    source = FileKeySource.create(tmp_path / "kek")
    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o600
    first = source.key(CHEAP)
    assert first == FileKeySource(tmp_path / "kek").key(CHEAP)
    assert first != Secret(bytes(32))
    with pytest.raises(KeySourceRefused, match="exists"):
        FileKeySource.create(tmp_path / "kek")
    assert FileKeySource(tmp_path / "kek").key(CHEAP) == first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o610])
def test_a_key_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    source = FileKeySource.create(tmp_path / "kek")
    (tmp_path / "kek").chmod(mode)
    with pytest.raises(KeySourceRefused, match=f"{mode:04o}"):
        source.key(CHEAP)


def test_a_read_only_key_file_will_do(tmp_path: Path) -> None:
    source = FileKeySource.create(tmp_path / "kek")
    (tmp_path / "kek").chmod(0o400)
    assert len(source.key(CHEAP)) == 32


@pytest.mark.parametrize(
    "content",
    [
        KEY,
        KEY.hex().encode(),
        KEY.hex().encode() + b"\n",
        base64.b64encode(KEY) + b"\n",
        base64.urlsafe_b64encode(KEY),
    ],
    ids=["raw", "hex", "hex line", "base64 line", "urlsafe"],
)
def test_a_key_file_holds_the_key_raw_or_as_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kek").write_bytes(content)
    (tmp_path / "kek").chmod(0o600)
    assert FileKeySource(tmp_path / "kek").key(CHEAP) == Secret(KEY)


@pytest.mark.parametrize("content", [b"", KEY[:31], KEY * 2 + b"\xff", b"x" * 5_000], ids=len)
def test_a_key_file_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kek").write_bytes(content)
    (tmp_path / "kek").chmod(0o600)
    with pytest.raises(KeySourceRefused, match="no key of 32 bytes"):
        FileKeySource(tmp_path / "kek").key(CHEAP)


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    FileKeySource.create(tmp_path / "kek")
    (tmp_path / "link").symlink_to(tmp_path / "kek")
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", mode=0o600)
    for name in ("link", "folder", "pipe", "missing"):
        with pytest.raises(KeySourceRefused):
            FileKeySource(tmp_path / name).key(CHEAP)
    with pytest.raises(KeySourceRefused):
        FileKeySource.create(tmp_path / "nowhere" / "kek")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    FileKeySource.create(tmp_path / "kek")
    os.chown(tmp_path / "kek", 12_345, 12_345)
    with pytest.raises(KeySourceRefused, match="another user"):
        FileKeySource(tmp_path / "kek").key(CHEAP)


@pytest.mark.parametrize(
    "write", [bytes.hex, lambda key: base64.b64encode(key).decode()], ids=["hex", "base64"]
)
def test_a_variable_is_taken_out_of_the_environment(write: Callable[[bytes], str]) -> None:
    environ = {"KEK": write(KEY) + "\n", "PATH": "/bin"}
    source = EnvironmentKeySource("KEK", environ)
    assert environ == {"PATH": "/bin"}
    with source.key(CHEAP) as key:
        assert key == Secret(KEY)
    assert source.key(CHEAP) == Secret(KEY)
    assert KEY.hex() not in repr(source) + repr(vars(source))


@pytest.mark.parametrize("text", ["", "short", "zz" * 32, "é" * 64, base64.b64encode(KEY[:31]).decode()])
def test_a_variable_that_holds_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeySourceRefused, match="KEK holds no key") as caught:
        EnvironmentKeySource("KEK", {"KEK": text})
    assert not text or text not in str(caught.value)
    with pytest.raises(KeySourceRefused, match="no variable"):
        EnvironmentKeySource("KEK", {})


def test_a_passphrase_opens_the_keyring_it_made_and_another_does_not(tmp_path: Path) -> None:
    source = PassphraseKeySource("correct horse")
    ring = create_keyring(tmp_path / "keys", source, hardening=CHEAP)
    sealed = ring.seal(b"body")[1]
    assert (
        open_keyring(tmp_path / "keys", PassphraseKeySource(b"correct horse")).open(None, sealed) == b"body"
    )
    with pytest.raises(KeyringDamaged, match="passphrase"):
        open_keyring(tmp_path / "keys", PassphraseKeySource("wrong"))
    with pytest.raises(KeySourceRefused, match="empty"):
        open_keyring(tmp_path / "keys", PassphraseKeySource(""))
    assert "horse" not in repr(source) + repr(vars(source))


def test_the_same_passphrase_gives_another_key_with_another_salt_or_cost() -> None:
    source = PassphraseKeySource("correct horse")
    keys = [
        bytes(source.key(hardening).buffer)
        for hardening in (
            CHEAP,
            Hardening(salt=b"1" * 16, memory_kib=64, passes=1, lanes=1),
            Hardening(salt=bytes(16), memory_kib=64, passes=2, lanes=1),
            Hardening(salt=bytes(16), memory_kib=128, passes=1, lanes=1),
        )
    ]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    "numbers",
    [
        {"salt": b"short"},
        {"memory_kib": 7},
        {"memory_kib": 1 << 23},
        {"passes": 0},
        {"passes": 65},
        {"lanes": 0},
        {"lanes": 65},
    ],
    ids=str,
)
def test_costs_that_would_stop_a_process_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="hardening takes"):
        Hardening(**{"salt": bytes(16), "lanes": 1, **numbers})  # type: ignore[arg-type]  # one of them is no int


class DictStore:
    """The system's keyring, or one that fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.failure = failure

    def get_password(self, service: str, username: str, /) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str, /) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries[service, username] = password


def test_the_systems_keyring_keeps_a_key() -> None:
    store = DictStore()
    source = OsKeyringSource.create("dataserver", "me", store)
    assert source.key(CHEAP) == OsKeyringSource("dataserver", "me", store).key(CHEAP)
    with pytest.raises(KeySourceRefused, match="already"):
        OsKeyringSource.create("dataserver", "me", store)
    with pytest.raises(KeySourceRefused, match="no key of"):
        OsKeyringSource("dataserver", "other", store).key(CHEAP)
    store.entries["dataserver", "me"] = "nonsense"
    with pytest.raises(KeySourceRefused, match="no key of 32 bytes"):
        source.key(CHEAP)


def test_a_system_without_a_keyring_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: the library is not there, and it is there and finds no keyring (as on most servers)."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeySourceRefused, match="extra"):
        OsKeyringSource("dataserver", "me")

    class NoKeyringError(Exception):
        pass

    errors = ModuleType("keyring.errors")
    errors.KeyringError = NoKeyringError  # type: ignore[attr-defined]  # as the library has it
    library = ModuleType("keyring")
    failing = DictStore(NoKeyringError("no backend"))
    library.get_password = failing.get_password  # type: ignore[attr-defined]  # as the library has it
    library.set_password = failing.set_password  # type: ignore[attr-defined]  # as the library has it
    monkeypatch.setitem(sys.modules, "keyring", library)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    with pytest.raises(KeySourceRefused, match="NoKeyringError"):
        OsKeyringSource("dataserver", "me").key(CHEAP)
    store = DictStore()
    source = OsKeyringSource("dataserver", "me", store)
    monkeypatch.setattr(os_keyring.OsKeyringSource, "_text", lambda _: None)
    store.failure = NoKeyringError("locked")
    with pytest.raises(KeySourceRefused, match="took no key"):
        source.create("dataserver", "me", store)


def test_the_library_itself_says_so_too() -> None:
    """Its own backend for systems without a keyring stands for one of those."""
    source = OsKeyringSource("dataserver", "me", keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]  # as the library has it
    with pytest.raises(KeySourceRefused, match="NoKeyringError"):
        source.key(CHEAP)


def test_a_keyrings_file_is_its_owners_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = create_keyring(path, FixedSource(), name="test", hardening=CHEAP)
    key_id, sealed = ring.seal(b"body", b"row")
    (tmp_path / "keys.json.new").write_bytes(b"left by a crash")
    before = path.read_bytes()
    with path.open("rb") as reading:
        ring.promote(ring.add())
        assert reading.read() == before  # whoever read it meanwhile has the old one, whole
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = open_keyring(path, FixedSource())
    assert again.open(key_id, sealed, b"row") == b"body"
    assert again.states() == ring.states()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


def test_two_do_not_change_one_file_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = create_keyring(path, FixedSource(), hardening=CHEAP)
    with KeyringFile(path).changing(), pytest.raises(KeyringBusy):
        ring.add()
    ring.add()


def test_a_file_that_is_too_long_to_be_a_keyring_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(KeyringDamaged, match="at most"):
        open_keyring(path, FixedSource())
