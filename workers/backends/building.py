"""From a service's name to a service; the same in every kind of worker."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.service import BatchService, Service


def built_service(name: str, options: dict[str, Any]) -> Service | BatchService:
    """Import `module:Class` and return an instance of it made with `options`.

    Raises:
        Exception: See `found_service`, and whatever the class raises.
    """
    service: Service | BatchService = found_service(name)(options)
    return service


def found_service(name: str) -> Any:
    """Import `module:Class` and return the class.

    Raises:
        ValueError: `name` has no colon.
        ImportError, AttributeError: There is no such module or class.
    """
    module, colon, qualified = name.partition(":")
    if not colon:
        raise ValueError(f"a service is named module:Class, not {name!r}")
    found: Any = import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    return found


def no_file() -> int:
    """Stand in for the descriptors of large replies where bodies stay in memory.

    Raises:
        LookupError: Always.
    """
    raise LookupError("a reply of this kind of worker has no file")
