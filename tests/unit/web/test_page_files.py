"""The files of the pages: which there are, and with what they are sent."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from dataserver.answers import Answer
from dataserver.exchange import Exchange
from dataserver.refusals import RouteNotFound
from dataserver.routes import web
from dataserver.web_files import HTML, SCRIPT, web_files

MOST_BYTES = 150_000
FIRST = ("chat.", "icon.", "service_worker.", "page/", "outbox/", "net/")
"""What the page begins with; `later/` comes when it is asked for, or the page has nothing else to do."""
_INLINE = re.compile(rb"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", re.IGNORECASE)
_AS_HTML = re.compile(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
_ELSEWHERE = re.compile(rb"(?:src|href)=\"(?:https?:)?//|from 'https?:|import\('https?:|@import")


@pytest.fixture(scope="session")
def anyio_backend() -> Any:
    return "asyncio", {"use_uvloop": True}


def _exchange(headers: dict[bytes, bytes] | None = None, **path: str) -> Exchange:
    nothing = cast("Any", None)
    return Exchange(nothing, nothing, scope={}, headers=headers or {}, principal=None, path=path, raw_path={})


def test_every_word_that_the_page_says_is_in_its_catalogue_and_none_is_there_for_nothing() -> None:
    files = {
        path: file.body.decode() for path, file in web_files().items() if path.startswith((*FIRST, "later/"))
    }
    catalogues = {path: files.pop(path) for path in ("page/texts.js", "later/words.js")}
    first, later = (set(_WORD.findall(text)) for text in catalogues.values())
    assert not first & later
    said = {path: set(_SAID.findall(text)) for path, text in files.items()}
    for path, words in said.items():
        assert words <= (first | later if path.startswith("later/") else first), (path, words - first - later)
    starts = tuple(start for text in files.values() for start in _SAID_BY_START.findall(text))
    quoted = {word for text in files.values() for word in _QUOTED.findall(text)}
    assert {each for each in first | later if each not in quoted and not each.startswith(starts)} == set()


_WORD = re.compile(r"(?:^|[\s,{])'?([a-z_]+(?:\.[\w-]+)?)'?: ['\"]")
_SAID = re.compile(r"\btext\('([\w.-]+)'")
_SAID_BY_START = re.compile(r"\btext\(`([\w.]+)\$")
_QUOTED = re.compile(r"'([a-z_]+(?:\.[\w-]+)?)'")


async def test_a_file_is_sent_once_and_then_only_if_it_changed() -> None:
    first = await web.get_file_of_folder(_exchange(folder="outbox", file="rules.js"))
    assert isinstance(first, Answer)
    headers = dict(first.headers)
    assert (first.status, first.content_type) == (200, SCRIPT)
    for known in (headers[b"etag"], b'"old", W/' + headers[b"etag"]):
        again = await web.get_file_of_folder(
            _exchange({b"if-none-match": known}, folder="outbox", file="rules.js")
        )
        assert isinstance(again, Answer)
        assert (again.status, again.body, dict(again.headers)) == (304, b"", headers)
    other = await web.get_file(_exchange({b"if-none-match": b'"old"'}, file="chat.css"))
    assert isinstance(other, Answer)
    assert other.status == 200


async def test_the_page_and_its_worker_have_addresses_of_their_own() -> None:
    page = await web.get_chat_page(_exchange())
    worker = await web.get_service_worker(_exchange())
    assert isinstance(page, Answer)
    assert isinstance(worker, Answer)
    assert (page.content_type, worker.content_type) == (HTML, SCRIPT)


@pytest.mark.parametrize("path", ["__init__.py", "../app.py", "page", "", "chat.html/"])
async def test_nothing_else_is_sent(path: str) -> None:
    with pytest.raises(RouteNotFound):
        await web.get_file(_exchange(file=path))


def test_no_file_has_anything_inline_or_takes_a_text_for_html_or_comes_from_elsewhere() -> None:
    for path, file in web_files().items():
        if path == "docs.html":  # has a policy of its own, with the hash of its script
            continue
        if path.endswith(".html"):
            assert not _INLINE.search(file.body), path
        assert not _AS_HTML.search(file.body), path
        assert not _ELSEWHERE.search(file.body), path


def test_what_the_chat_page_begins_with_weighs_little() -> None:
    sizes = {path: len(file.body) for path, file in web_files().items() if path.startswith(FIRST)}
    assert sum(sizes.values()) <= MOST_BYTES, sizes
