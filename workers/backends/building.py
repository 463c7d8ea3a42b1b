"""From a service's name to a service; the same in every kind of worker."""

from __future__ import annotations

import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workers.errors import PortableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.service import BatchService, Service


class NotBuilt(Exception):
    """A service could not be built: the text is for any caller, the log has the rest."""


def built_service(
    name: str, options: dict[str, Any], log: Callable[[str, str, dict[str, Any]], None]
) -> Service | BatchService:
    """Import `module:Class` and return an instance of it made with `options`.

    Raises:
        NotBuilt: It raised something. What it said is in `log`, with the traceback; of an error that services do not raise
            on purpose nothing crosses but its type, as with calls.
    """
    try:
        service: Service | BatchService = found_service(name)(options)
    except Exception as error:  # noqa: BLE001 - the border: a service may raise anything while it is built
        log(
            "error",
            "workers.service_not_built",
            {"service": name, "traceback": "".join(traceback.format_exception(error))},
        )
        failure = type(error).__name__
        if isinstance(error, PortableError):
            failure = f"{failure}: {error}"
    else:
        return service
    raise NotBuilt(f"{failure}; the log has more")


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
