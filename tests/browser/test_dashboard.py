"""The operations page: it tells in which state the server is, is used by keyboard, runs nothing that was stored."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.stage import Stage
from tests.support.command_line import RunningServer, serving
from tests.support.reading_elsewhere import reading_elsewhere
from tests.support.repeating import repeated

LIMIT_MS = 30_000
SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) SELECT count(*) FROM n"
KILLS_COUNT = 60
XSS = (
    "<img src=x onerror=window.broken=1>",
    "<script>window.broken=1</script>",
    "'\"><svg/onload=window.broken=1>",
)


def pictures() -> Path:
    return Path(os.environ.get("SCREENSHOTS", ".screenshots"))


@contextmanager
def staged(browser: Browser, data_dir: Path, environment: dict[str, str]) -> Iterator[Stage]:
    """A server of a test's own, and its pages."""
    with serving(data_dir, environment=environment) as server:
        made = Stage(browser, server)
        made.complaints_allowed("503 (")  # what the page asks of a server that is as bad as it is made here
        made.complaints_allowed("500 (")
        try:
            yield made
        finally:
            made.close()
        made.check()


def opened(stage: Stage, **options: object) -> Page:
    """Return the page with the board open."""
    page = stage.context(**options).new_page()
    enter(page, stage)
    return page


def enter(page: Page, stage: Stage) -> None:
    page.goto("/admin")
    page.get_by_label("Admin token").fill(stage.server.first_token)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#board")).to_be_visible()


def client_of(server: RunningServer) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, headers=server.headers, timeout=30)


def check(page: Page, state: str, part: str, word: str, *hints: str) -> None:
    """Check that the page tells `state`, that `part` alone cries, and what is to be done about it; take the picture."""
    expect(page.locator("#verdict .state")).to_contain_text(state, timeout=LIMIT_MS)
    if part:
        expect(page.locator("#parts .bad .name")).to_have_text([part])
        expect(page.locator(f"#parts [data-part='{part}'] strong")).to_contain_text(word)
        for hint in hints:
            expect(page.locator("#verdict")).to_contain_text(hint)
    else:
        expect(page.locator("#parts .bad")).to_have_count(0)
    page.screenshot(path=pictures() / f"admin-{state.replace(' ', '-')}.png")


def test_a_healthy_server_is_told_so(browser: Browser, tmp_path: Path) -> None:
    with staged(browser, tmp_path / "data", {}) as stage, client_of(stage.server) as client:
        client.put("/v1/databases/shop").raise_for_status()
        page = stage.context().new_page()
        refused: list[str] = []
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        enter(page, stage)
        with repeated(lambda: client.get("/v1/databases/shop").raise_for_status()):
            check(page, "healthy", "", "")
        assert not refused
        assert page.title().startswith("✓ healthy")


def test_a_saturated_pool_is_told_with_what_to_do(browser: Browser, tmp_path: Path) -> None:
    few = {"SQLITE_WORKER_COUNT": "1", "SQLITE_MAX_QUEUE_SIZE": "3"}
    with staged(browser, tmp_path / "data", few) as stage, client_of(stage.server) as client:
        client.put("/v1/databases/shop").raise_for_status()
        page = opened(stage)
        ask = {"sql": SLOW}
        with repeated(*[lambda: client.post("/v1/databases/shop/query", json=ask)] * 8):
            check(page, "saturated", "Readers", "refusing", "reads, were refused", "slow queries")
            expect(page.locator("#slow code").first).to_contain_text("RECURSIVE", timeout=LIMIT_MS)


def test_a_log_that_can_not_be_cut_is_told_with_its_database(browser: Browser, tmp_path: Path) -> None:
    small = {"DATASERVER_MAX_WAL_BYTES": str(1024 * 1024)}
    with staged(browser, tmp_path / "data", small) as stage, client_of(stage.server) as client:
        client.put("/v1/databases/shop").raise_for_status()
        path = "/v1/databases/shop/execute"
        client.post(path, json={"sql": "CREATE TABLE item(a TEXT)"}).raise_for_status()
        page = opened(stage)
        add = {"sql": "INSERT INTO item VALUES (hex(randomblob(20000)))"}
        with (
            reading_elsewhere(tmp_path / "data/data/shop.db"),
            repeated(lambda: client.post(path, json=add)),
        ):
            check(page, "stuck log", "Log", "stuck", "another program", "End that read")
            expect(page.locator("#verdict .says")).to_contain_text("log of shop", timeout=LIMIT_MS)
        expect(page.locator("#verdict .state")).not_to_contain_text("stuck", timeout=LIMIT_MS)


def test_workers_that_die_again_and_again_are_told(browser: Browser, tmp_path: Path) -> None:
    with staged(browser, tmp_path / "data", {}) as stage, client_of(stage.server) as client:
        client.put("/v1/databases/shop").raise_for_status()
        page = opened(stage)
        state = page.locator("#verdict .state")
        for _ in range(KILLS_COUNT):
            for child in children_of(stage.server.process.pid):
                with suppress(ProcessLookupError):  # it has ended by itself since
                    os.kill(child, signal.SIGKILL)
            page.wait_for_timeout(300)
            if "crashing" in state.inner_text():
                break
        check(page, "crashing", "Workers", "", "worker_died", "turn them off")


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_the_page_is_used_by_keyboard_alone(stage: Stage) -> None:
    page = stage.context().new_page()
    page.goto("/admin")
    expect(page.get_by_label("Admin token")).to_be_focused()
    page.keyboard.type(stage.server.first_token)
    page.keyboard.press("Enter")
    expect(page.locator("#board")).to_be_visible()
    until_focused(page, "Turn the workers off")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.keyboard.press("Enter")
    expect(page.locator("#facts")).to_contain_text("process workers")
    until_focused(page, "Back up global")
    page.keyboard.press("Enter")
    expect(page.locator("#databases [role=status]")).to_contain_text("global-", timeout=LIMIT_MS)
    page.get_by_label("Statement").focus()
    page.keyboard.type("SELECT 6 * 7 AS answer")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#console td")).to_have_text(["42"])


def until_focused(page: Page, name: str) -> None:
    """Press Tab until a button of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        if page.evaluate(f"{focused}.ariaLabel || {focused}.textContent") == name:
            return
    raise AssertionError(f"no Tab leads to {name!r}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_finding_and_fits_a_narrow_screen(stage: Stage, scheme: str) -> None:
    stage.user("zoe")
    asked = stage.context(color_scheme=scheme).new_page()
    asked.goto("/admin")
    without_findings(asked)
    page = opened(stage, color_scheme=scheme)
    page.get_by_label("Statement").fill("SELECT 1 AS one, NULL AS empty")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Tables of global").click()
    expect(page.locator("#console td").first).to_have_text("1")
    expect(page.locator("#users tbody tr").first).to_be_visible()
    without_findings(page)
    for level in ("good", "warning", "bad"):
        page.evaluate(f"document.getElementById('verdict').className = '{level}'")
        page.evaluate(f"document.querySelector('#parts li').className = '{level}'")
        without_findings(page)
    page.set_viewport_size({"width": 380, "height": 800})
    without_findings(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=pictures() / f"admin-narrow-{scheme}.png", full_page=True)


def without_findings(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], [(node["html"][:150], node["failureSummary"][-200:]) for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert not serious, serious


def test_nothing_that_was_stored_is_run(stage: Stage) -> None:
    with client_of(stage.server) as client:
        client.put("/v1/databases/hostile").raise_for_status()
        for text in XSS:
            name = f'"{text.replace(chr(34), chr(34) * 2)}"'
            client.post(
                "/v1/databases/hostile/execute", json={"sql": f"CREATE TABLE {name} ({name} TEXT)"}
            ).raise_for_status()
            client.post("/v1/tokens", json={"role": "read", "name": text}).raise_for_status()
            stage.user("hostile", display_name=text)
    page = opened(stage)
    page.get_by_role("button", name="Tables of hostile").click()
    expect(page.locator("#databases")).to_contain_text(XSS[0])
    page.get_by_label("Database", exact=True).select_option("hostile")
    for text in XSS:
        for sql in (
            f"SELECT '{text.replace(chr(39), chr(39) * 2)}' AS \"{text.replace(chr(34), chr(34) * 2)}\"",
            text,
        ):
            page.get_by_label("Statement").fill(sql)
            for button in ("Run", "Plan"):
                page.get_by_role("button", name=button, exact=True).click()
                page.wait_for_timeout(100)
    expect(page.locator("#tokens")).to_contain_text(XSS[1])
    expect(page.locator("#users")).to_contain_text(XSS[-1])
    assert page.evaluate("window.broken") is None
    assert page.locator("#board script, #board img, #board svg[onload]").count() == 0
    stage.complaints_allowed("400 (")
    stage.complaints_allowed("403 (")


def test_the_workers_go_off_and_on_by_a_button_that_asks_first(browser: Browser, tmp_path: Path) -> None:
    with staged(browser, tmp_path / "data", {}) as stage, client_of(stage.server) as client:
        client.put("/v1/databases/shop").raise_for_status()
        page = opened(stage)
        page.on("dialog", lambda dialog: dialog.accept())
        answers: list[int] = []
        ask = {"sql": "SELECT 1"}
        with repeated(
            *[lambda: answers.append(client.post("/v1/databases/shop/query", json=ask).status_code)] * 2
        ):
            for label, said in (
                ("Turn the workers off", "workers are off"),
                ("Turn the workers on", "process workers"),
            ):
                page.get_by_role("button", name=label).click()
                expect(page.locator("#facts")).to_contain_text(said, timeout=LIMIT_MS)
                if said == "workers are off":
                    expect(page.locator("#verdict .state")).to_contain_text(
                        "without workers", timeout=LIMIT_MS
                    )
                    page.screenshot(path=pictures() / "admin-without-workers.png", full_page=True)
        assert set(answers) == {200}


def test_users_are_found_disabled_and_let_in_again(stage: Stage) -> None:
    ben, page = stage.user("ben"), opened(stage)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Whose name has").fill(ben.name)
    page.keyboard.press("Enter")
    rows = page.locator("#users tbody tr")
    expect(rows).to_have_count(1, timeout=LIMIT_MS)
    expect(rows.locator("td").first).to_have_text(ben.name)
    page.get_by_role("button", name=f"Disable {ben.name}").click()
    expect(rows).to_contain_text("no, since")
    assert ben.client.get("/v1/spaces").status_code == 401
    page.get_by_role("button", name=f"Enable {ben.name}").click()
    expect(rows).to_contain_text("yes")


def test_the_console_shows_and_saves_whole_numbers_as_they_are(stage: Stage) -> None:
    page = opened(stage)
    page.get_by_label("Statement").fill(
        "SELECT 9223372036854775807 AS most, -9223372036854775808 AS least, 1.5 AS half, 12 AS few"
    )
    page.get_by_role("button", name="Run").click()
    numbers = ["9223372036854775807", "-9223372036854775808", "1.5", "12"]
    expect(page.locator("#console td")).to_have_text(numbers)
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert Path(saved.value.path()).read_text().splitlines()[1] == ",".join(numbers)
