"""`/` and `/web/...`: the chat page's files. Nobody has to be logged in for them, and they hold nobody's data."""

from __future__ import annotations

from typing import Final

from dataserver.answers import Answer, AnyAnswer
from dataserver.chat_parameters import IF_NONE_MATCH
from dataserver.exchange import Exchange
from dataserver.refusals import RouteNotFound
from dataserver.route import Route
from dataserver.web_files import HEADERS, HTML, PICTURE, SCRIPT, STYLE, web_files

CHAT_PAGE: Final = "chat.html"
SERVICE_WORKER: Final = "service_worker.js"

_FILES: Final = web_files()  # read before there is an event loop


async def get_chat_page(exchange: Exchange) -> AnyAnswer:
    """Answer the chat page."""
    return file_answer(exchange, CHAT_PAGE)


async def get_service_worker(exchange: Exchange) -> AnyAnswer:
    """Answer the script that opens the page offline; its address says what it may act for: everything."""
    return file_answer(exchange, SERVICE_WORKER)


async def get_file(exchange: Exchange) -> AnyAnswer:
    """Answer a file."""
    return file_answer(exchange, exchange.path["file"])


async def get_file_of_folder(exchange: Exchange) -> AnyAnswer:
    """Answer a file of a folder."""
    return file_answer(exchange, f"{exchange.path['folder']}/{exchange.path['file']}")


def file_answer(exchange: Exchange, path: str) -> AnyAnswer:
    """Return the answer with a file, or that it is still the one that the browser has.

    Raises:
        RouteNotFound: There is no such file.
    """
    found = _FILES.get(path)
    if found is None:
        raise RouteNotFound(f"there is no file {path!r}")
    headers = ((b"etag", found.tag), *HEADERS)
    asked = exchange.headers.get(b"if-none-match", b"")
    if found.tag in (each.strip().removeprefix(b"W/") for each in asked.split(b",")):
        return Answer(b"", status=304, content_type=found.content_type, headers=headers)
    return Answer(found.body, content_type=found.content_type, headers=headers)


_ANY: Final = (SCRIPT, STYLE, PICTURE, HTML)

ROUTES = (
    Route(
        method="GET",
        path="/",
        role=None,
        handle=get_chat_page,
        says="Show the chat page.",
        media=(HTML,),
        also=(304,),
        parameters=(IF_NONE_MATCH,),
    ),
    Route(
        method="GET",
        path="/service_worker.js",
        role=None,
        handle=get_service_worker,
        says="Read the script that lets the pages open without a connection.",
        media=(SCRIPT,),
        also=(304,),
        parameters=(IF_NONE_MATCH,),
    ),
    Route(
        method="GET",
        path="/web/{file}",
        role=None,
        handle=get_file,
        says="Read a file of the pages.",
        media=_ANY,
        also=(304,),
        parameters=(IF_NONE_MATCH,),
        refuses=(RouteNotFound,),
    ),
    Route(
        method="GET",
        path="/web/{folder}/{file}",
        role=None,
        handle=get_file_of_folder,
        says="Read a file of a folder of the pages.",
        media=_ANY,
        also=(304,),
        parameters=(IF_NONE_MATCH,),
        refuses=(RouteNotFound,),
    ),
)
