"""The page follows the rules of the Python queue and of the settings: both are held to the files of `tests/vectors`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.vectors import queue_rules, settings

_HERE = Path(__file__).parent
_LIMIT_S = 40


def test_the_vectors_are_what_the_python_rules_say() -> None:
    told = (
        "the rules changed: run `python -m tests.vectors.queue_rules`, and change dataserver/web/outbox alike"
    )
    assert queue_rules.FILE.read_text() == queue_rules.text(), told


def test_the_vectors_are_what_chat_sync_makes_of_settings() -> None:
    told = "settings changed: run `python -m tests.vectors.settings`, and change dataserver/web/later alike"
    assert settings.FILE.read_text() == settings.text(), told


@pytest.mark.parametrize("script", sorted(each.name for each in _HERE.glob("*.test.mjs")))
def test_the_page_follows_the_same_rules(script: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no `node` here to run the page's modules; Node 20 or later is needed")
    done = subprocess.run(  # noqa: S603 - our own files
        [node, "--test", str(_HERE / script)], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
