"""What can go wrong with shared state.

WorkersError
├── SharedClosed         this object, or the one it was made from, was closed
├── SharedRefused        the buffer is none of a shared object of this kind, or a bound is reached
└── OwnerLost            the process that holds the state is gone, or does not answer
"""

from __future__ import annotations

from workers.errors import WorkersError


class SharedClosed(WorkersError):
    """The shared object was closed; nothing can be read or changed through it any more."""


class SharedRefused(WorkersError):
    """A buffer that belongs to no such shared object, or a bound that is reached; nothing was changed."""


class OwnerLost(WorkersError):
    """The process that holds the state is gone or silent; what was asked may or may not have been done."""
