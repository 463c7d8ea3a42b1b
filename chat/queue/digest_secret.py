"""The secret that digests are made with where payloads are sealed; without it a digest would tell who can guess a payload.

A digest stays when the payload is wiped, so that a client id that comes again is known to be the same action. The secret
is made once for a file and kept in it, sealed. Where its key is lost a new one is made: what was stored before that is
then taken for another action if it comes again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from chat.queue.sealing import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Collection

    from chat.queue.sealing import Seal
    from chat.queue.tables import Tables

_SECRET_BYTES = 32
_CONTEXT = b"secret of digests"

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


async def digest_secret(tables: Tables, seal: Seal) -> bytes:
    """Return the secret of the file, made if there is none; empty where payloads are not sealed.

    Raises:
        CannotSeal: There is no key to seal a new one with.
        StorageError: It can't be read or stored.
    """
    if seal.key_id is None:
        return b""
    while True:
        ((key_id, sealed),) = await tables.read("digest_secret")
        if sealed is not None:
            try:
                return seal.open(key_id, sealed, _CONTEXT)
            except CannotOpen as error:
                _log.warning("chat.digest_secret_replaced", reason=str(error))
        secret = os.urandom(_SECRET_BYTES)
        await tables.write("keep_digest_secret", (sealed, *seal.seal(secret, _CONTEXT)))


async def reseal_digest_secret(tables: Tables, seal: Seal, older: Collection[str]) -> None:
    """Bring the secret under the present key if it is sealed with one of those that are `older`.

    Raises:
        SealError: It can't be opened, or sealed, now.
        StorageError: It can't be read or stored.
    """
    ((key_id, sealed),) = await tables.read("digest_secret")
    if sealed is not None and key_id in older:
        secret = seal.open(key_id, sealed, _CONTEXT)
        await tables.write("keep_digest_secret", (sealed, *seal.seal(secret, _CONTEXT)))
