"""How payloads are sealed while they wait on the disk; by default they are not.

Sealed are payloads. What the queue works with can be read from its file and its log: client ids, types and versions,
lanes (and so accounts and rooms), what an action is about (of a reaction its emoji too), states, times, how often it was
tried, what servers said of failures, and their answers, with what these repeat; of a payload its size, to the byte. A
payload is wiped when its action is done or taken back; one that was not sealed can be read in the log until that begins
anew, which is when the queue closes at the latest. Who wants none of this has the whole file encrypted (`QueueSettings.key`).

A local queue belongs to its user, so it is plain unless a seal is given. `context` names the row (client id, type and
lane), so a sealed payload that was moved to another row does not open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workers import DecryptError, KeysError

if TYPE_CHECKING:
    from workers import Keyring


class SealError(Exception):
    """The root of what a seal raises, and nothing else."""


class CannotSeal(SealError):
    """There is no key to seal with now; nothing was stored."""


class CannotOpen(SealError):
    """A payload does not open: its key is not there, or somebody has changed it."""


class Seal(Protocol):
    """Seals payloads with its present key, and opens them with any key it knows."""

    @property
    def key_id(self) -> str | None:
        """The present key; payloads sealed with another one are sealed anew when there is time."""

    def seal(self, body: bytes, context: bytes) -> tuple[str | None, bytes]:
        """Return the id of the key that was used, and the sealed body; a key's id is part of what is authenticated.

        Raises:
            CannotSeal: There is no key to seal with.
        """

    def open(self, key_id: str | None, sealed: bytes, context: bytes) -> bytes:
        """Return the body.

        Raises:
            CannotOpen: The key is not there, or body or context are others.
        """


class KeyringSeal:
    """Seals payloads with a keyring; its keys may be rotated while the queue runs.

    A key may be retired once no unfinished action is sealed with it: one that does not open waits for its key.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @property
    def key_id(self) -> str:
        """See `Seal`."""
        return self._keyring.key_id

    def seal(self, body: bytes, context: bytes) -> tuple[str, bytes]:
        """See `Seal`."""
        try:
            return self._keyring.seal(body, context)
        except KeysError as error:
            raise CannotSeal("the keyring seals nothing now") from error

    def open(self, key_id: str | None, sealed: bytes, context: bytes) -> bytes:
        """See `Seal`."""
        try:
            return self._keyring.open(key_id, sealed, context)
        except (DecryptError, KeysError) as error:
            raise CannotOpen(f"the payload does not open with the key {key_id}") from error


class NoSeal:
    """Leaves payloads as they are."""

    key_id: str | None = None

    def seal(self, body: bytes, context: bytes) -> tuple[str | None, bytes]:  # noqa: ARG002 - see `Seal`
        """See `Seal`."""
        return None, body

    def open(self, key_id: str | None, sealed: bytes, context: bytes) -> bytes:  # noqa: ARG002 - see `Seal`
        """See `Seal`."""
        if key_id is not None:
            raise CannotOpen(
                f"the payload is sealed with the key {key_id}, and the queue was opened without keys"
            )
        return sealed
