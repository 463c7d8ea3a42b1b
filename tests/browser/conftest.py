"""A browser, a server of each module's own, and pages on which somebody is signed in.

Without a browser the tests skip and say so; under `CI` they fail. `CHROMIUM` names another one than the system's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.stage import LIMIT_MS, Stage
from tests.support.command_line import RunningServer, serving

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: `pip install -e .[dev]`"
)

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Let tests wait: the browser's own loop is not the server's."""


@pytest.fixture(scope="session")
def executable() -> str:
    """Where the browser is."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        said = "no browser was found: install Debian's `chromium`, or name one in CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


@pytest.fixture(scope="session")
def browser(executable: str) -> Iterator[Browser]:
    expect.set_options(timeout=LIMIT_MS)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def shared_server(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:  # noqa: ARG001 - none without a browser
    """A server for all tests that do not harm it; each makes its own users and rooms."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def stage(browser: Browser, shared_server: RunningServer) -> Iterator[Stage]:
    """Users and their pages; whatever a page complains of that was not to be expected fails the test."""
    made = Stage(browser, shared_server)
    yield made
    made.close()
    made.check()


@pytest.fixture
def frail_stage(browser: Browser, tmp_path: Path) -> Iterator[Stage]:
    """The same, with a server that may be killed."""
    with serving(tmp_path / "data") as server:
        made = Stage(browser, server)
        yield made
        made.close()
        made.check()
