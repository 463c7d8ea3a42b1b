"""The files of the pages, as they are sent: read once, each with its type and a tag that changes with its bytes.

All of them have one policy: scripts and styles only from files of this server, nothing inline, no frames around it, and
no text ever taken for HTML (`require-trusted-types-for`). A browser keeps a file and asks by its tag whether it is still
the same, so that a page that opens has all parts of one version; what the chat page fetches later it fetches seconds
after that.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

HTML: Final = b"text/html; charset=utf-8"
SCRIPT: Final = b"text/javascript; charset=utf-8"
STYLE: Final = b"text/css; charset=utf-8"
PICTURE: Final = b"image/svg+xml"

_TYPES: Final = {
    "html": HTML,
    "js": SCRIPT,
    "css": STYLE,
    "svg": PICTURE,
}
_TAG_CHARACTERS: Final = 22
_DEEPEST: Final = 1
"""Folders below the first."""

HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
            b"worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            b"require-trusted-types-for 'script'; trusted-types own-scripts"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-cache"),
)


class WebFile(NamedTuple):
    """A file as it is sent."""

    body: bytes
    content_type: bytes
    tag: bytes
    """For `ETag` and `If-None-Match`."""


def web_files() -> dict[str, WebFile]:
    """Read the files, and return them by their paths below the folder."""
    found: dict[str, WebFile] = {}
    _collect(files("dataserver.web"), "", found)
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, WebFile]) -> None:
    for each in folder.iterdir():
        content_type = _TYPES.get(each.name.rpartition(".")[2])
        if each.is_dir():
            if prefix.count("/") < _DEEPEST:
                _collect(each, f"{prefix}{each.name}/", found)
        elif content_type is not None:
            body = each.read_bytes()
            tag = urlsafe_b64encode(sha256(body).digest())[:_TAG_CHARACTERS]
            found[prefix + each.name] = WebFile(body, content_type, b'"%b"' % tag)
