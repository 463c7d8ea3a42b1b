"""How events leave the process: structlog to stderr, JSON when nobody watches, with nothing secret in it.

Redaction looks at the name of a field and at the shape of its text: a token that slips into a message under an
innocent name is cut out as well. Texts are cut at a length, so that one event cannot fill a disk.
Libraries that use `logging` (the ASGI server) go through the same processors.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from dataserver.server_settings import LogSettings

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"token|secret|password|passphrase|authorization|cookie|credential|api_?key", re.IGNORECASE
)
_INNOCENT_NAMES = frozenset({"token_id", "token_name", "token_count", "tokens_count"})
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}")
_TOKEN_SHAPE = re.compile(r"\bds[turi]_[A-Za-z0-9_-]{8,}")
"""Tokens of the server, of sessions (for requests, and to refresh them), and secrets of invites."""
_MAX_TEXT_CHARACTERS = 4_000
_PLAIN_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Without the variables of each frame: the headers of a request, with its token, are among them."""


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Send all events of this process to `stream` (stderr), as `settings` say; calling it again replaces it."""
    out = stream if stream is not None else sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redacted,
    ]
    renderer: list[structlog.typing.Processor] = (
        [_PLAIN_TRACEBACKS, _clean_traceback, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=_write_traceback)]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))  # the libraries' debug lines are not ours to show


def redacted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return `event` without secrets, its texts cut at a length."""
    for name, value in event.items():
        if name == "exc_info":
            continue
        if _SECRET_NAME.search(name) and name not in _INNOCENT_NAMES:
            event[name] = REDACTED
        else:
            event[name] = _cleaned(value)
    return event


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        text = _without_tokens(value)
        if len(text) > _MAX_TEXT_CHARACTERS:
            return f"{text[:_MAX_TEXT_CHARACTERS]}... ({len(text)} characters)"
        return text
    if isinstance(value, dict):
        return {
            key: REDACTED if isinstance(key, str) and _SECRET_NAME.search(key) else _cleaned(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value


def _without_tokens(text: str) -> str:
    return _TOKEN_SHAPE.sub(REDACTED, _BEARER.sub(rf"\1{REDACTED}", text))


def _clean_traceback(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "exception" in event:
        event["exception"] = _cleaned(event["exception"])
    return event


def _write_traceback(out: TextIO, error: structlog.typing.ExcInfo) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, error)
    out.write(_without_tokens(written.getvalue()))
