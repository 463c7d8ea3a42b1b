"""A secret handed to a worker process: in a memfd that both sides see, overwritten once for both.

The worker maps the page that the parent wrote; there is no copy in a message, a pipe or a Python object on the way.
When the task is over the parent writes zeros over it, which the worker's map shows too. What is left is what OpenSSL
made of the key, which it cleanses when the worker drops the cipher at the end of the task.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from workers.body import Body, memory_file, sealed

if TYPE_CHECKING:
    from typing import Self

    from workers.keys.secrets import Secret


class HandedSecret:
    """A copy of a secret in a file without a name, which leaving the block overwrites; `body` goes along as a buffer.

    Raises:
        OSError: No memory or descriptor is to be had.
    """

    def __init__(self, secret: Secret) -> None:
        file = memory_file()
        try:
            os.pwritev(file, [secret.buffer], 0)
            sealed(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        self._length = len(secret)
        self.body = Body.from_file(os.dup(file), self._length)

    def wipe(self) -> None:
        """Overwrite it for everyone who has it, and let it go; calling again does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                os.pwritev(file, [bytes(self._length)], 0)
            finally:
                os.close(file)
        self.body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()
