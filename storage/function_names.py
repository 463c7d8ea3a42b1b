"""How a function is named, so that the worker that is to run it finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which a worker finds `function`: `module:function`.

    Raises:
        ValueError: It has none: it belongs to the main program, to another function, or is a lambda.
    """
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<no name>")
    if module == "__main__" or "<" in name:
        raise ValueError(
            f"{module}.{name} can't be found by a worker; a function at the top of an importable module can"
        )
    return f"{module}:{name}"
