"""What chat/sync makes of settings, for the page to make the same: `python -m tests.vectors.settings` writes it anew.

Documents as bytes, keys from seeds, what is sealed under a given session, what two devices' changes become, and those of
two people to a space.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.sync import sealing
from chat.sync.derivation import settings_key
from chat.sync.document import Bookmark, SettingsDocument, read, written
from chat.sync.merge import changes, merged
from chat.sync.space_merge import SpaceSettings, rest_of
from tests.vectors.queue_rules import lines
from workers import Secret, SigningKey, keyring_of, row_context
from workers.keys.sealer import Sealer

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = Path(__file__).parent / "settings.json"
_SEEDS: Final = (bytes(range(32)), b"\xff" * 32)
_SESSION: Final = bytes(range(100, 124))
_CASES: Final = 60
_FOLDERS: Final = [
    {"id": "f1", "name": 'Wörk "1"', "spaces": ["7", "8"]},
    {"id": "f2", "name": "🚀", "spaces": []},
]
_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    12,
    "dark",
    "lïght",
    ["1", "2"],
    {"b": 1, "a": [None, {"é": "\n\t\x1f\u2028"}]},
)


def vectors() -> dict[str, list[Any]]:
    """Return all cases by what they are about."""
    return {
        "documents": [{"document": _plain(each), "written": written(each).decode()} for each in _documents()],
        "keys": [_key(seed) for seed in _SEEDS],
        "contexts": list(_contexts()),
        "sealed": list(_sealed()),
        "changes": list(_changes()),
        "merges": list(_merges()),
        "space_merges": list(_space_merges()),
    }


def _documents() -> Iterator[SettingsDocument]:
    yield SettingsDocument()
    yield SettingsDocument().with_changes(
        {"folders": _FOLDERS, "sidebar": ["f2", "f1", "9"]}, 1_700_000_000_000
    )
    names = (
        "preferences.\U0001f600",
        "preferences.\uff5e",
        "preferences.z",
        "preferences.é",
        "preferences.Z",
    )
    yield SettingsDocument().with_changes(dict.fromkeys(names, _VALUES[-1]), 5)
    bookmark = msgspec.to_builtins(Bookmark(room="3", note="</script>"))
    yield SettingsDocument().with_changes(
        {"bookmarks.12": bookmark, "bookmarks.13": None, "later": {"x": -1}}, 7
    )


def _plain(document: SettingsDocument) -> Any:
    return msgspec.to_builtins(document)


def _key(seed: bytes) -> dict[str, Any]:
    with Secret(seed) as secret:
        key = SigningKey("ed25519", secret)
    with settings_key(key) as settings:
        keyring = keyring_of(settings)
    return {"seed": seed.hex(), "public_key": key.public.hex(), "key_id": keyring.key_id}


def _contexts() -> Iterator[dict[str, Any]]:
    for parts in ((), ("a", "b"), ("ab",), ("a", 12), ("a", "12"), ("é", 0, "")):
        yield {"parts": list(parts), "bytes": row_context(*parts).hex()}


def _sealed() -> Iterator[dict[str, Any]]:
    for version, (seed, document) in enumerate(((_SEEDS[0], each) for each in _documents()), 1):
        with Secret(seed) as secret:
            key = SigningKey("ed25519", secret)
        with settings_key(key) as settings:
            sealer = Sealer(draw=lambda count: _SESSION[:count])
            key_id = keyring_of(settings).key_id
            sealer.use({key_id: Secret(settings.buffer)}, key_id)
        account = str(4_000 + version)
        _, ciphertext = sealer.seal(written(document), row_context(sealing._SEALED, account))
        signature = key.sign(sealing.signed_bytes(account, version, ciphertext))
        yield {
            "seed": seed.hex(),
            "account": account,
            "session": _SESSION.hex(),
            "document": _plain(document),
            "sealed": msgspec.to_builtins(
                sealing.SealedSettings(
                    version=version,
                    ciphertext=sealing.as_text(ciphertext),
                    algorithm="ed25519",
                    public_key=sealing.as_text(key.public),
                    signature=sealing.as_text(signature),
                )
            ),
        }


def _changes() -> Iterator[dict[str, Any]]:
    chance = random.Random(7)  # noqa: S311 - cases, not keys
    for _ in range(_CASES):
        before = _changed(chance, SettingsDocument())
        said = {f"preferences.{chance.choice('abc')}": chance.choice(_VALUES) for _ in range(2)}
        at_ms = chance.randrange(20)
        after = before.with_changes(said, at_ms)
        yield {
            "before": _plain(before),
            "said": said,
            "at_ms": at_ms,
            "after": _plain(after),
            "changes": changes(before, after),
        }


def _merges() -> Iterator[dict[str, Any]]:
    chance = random.Random(8)  # noqa: S311 - cases, not keys
    for _ in range(_CASES):
        base = _changed(chance, SettingsDocument())
        mine, theirs = _changed(chance, base), _changed(chance, base)
        document, conflicts = merged(base, mine, theirs)
        yield {
            "base": _plain(base),
            "mine": _plain(mine),
            "theirs": _plain(theirs),
            "document": _plain(document),
            "conflicts": msgspec.to_builtins(list(conflicts)),
        }


def _space_merges() -> Iterator[dict[str, Any]]:
    chance = random.Random(9)  # noqa: S311 - cases, not keys
    for _ in range(_CASES):
        base, fields, there = (
            {name: chance.choice(_VALUES) for name in "abc" if chance.random() < 0.8} for _ in range(3)
        )
        theirs = SpaceSettings(version=2, settings={**base, **there}, updated_at_ms=chance.randrange(3))
        rest = rest_of(fields, base, theirs, at_ms=1)
        yield {
            "fields": fields,
            "base": base,
            "theirs": msgspec.to_builtins(theirs),
            "at_ms": 1,
            "rest": {"fields": rest.fields, "conflicts": msgspec.to_builtins(list(rest.conflicts))},
        }


def _changed(chance: random.Random, document: SettingsDocument) -> SettingsDocument:
    for _ in range(chance.randrange(4)):
        said = {f"preferences.{chance.choice('abc')}": chance.choice(_VALUES)}
        document = document.with_changes(said, chance.randrange(20))
    return read(written(document))


def text() -> str:
    """Return the file's text: one case a line."""
    return lines(vectors())


if __name__ == "__main__":
    FILE.write_text(text())
