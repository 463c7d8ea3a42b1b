"""Each layer's root is its whole public face."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

ROOTS = ["workers", "storage", "chat"]


@pytest.mark.parametrize("root", ROOTS)
def test_every_public_name_can_be_had_and_is_the_roots_own(root: str) -> None:
    module = importlib.import_module(root)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("root", ROOTS)
def test_a_name_that_is_not_there_is_refused_as_anywhere(root: str) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        importlib.import_module(root).nonsense  # noqa: B018 - the access is the test


@pytest.mark.parametrize("root", ROOTS)
def test_importing_a_root_loads_nothing_heavy(root: str) -> None:
    script = f"import {root}, sys; print(sorted({{'anyio', 'asyncio', 'apsw', 'structlog', 'msgspec'}} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert said.stdout.strip() == "[]"
