"""The interface as OpenAPI 3.1, made from the routes and from the structs that check what comes in.

Nothing is written twice: the shape of a body is the type that decodes it, the statuses are those of the error table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec

from dataserver.answers import JSON
from dataserver.errors import ErrorBody, answering
from dataserver.refusals import Forbidden, NotAcceptable, Unauthenticated
from dataserver.route import Route

_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_SAYS: Final = {
    "db": "The database's name.",
    "table": "The name of a table or view.",
    "key": "The values of the table's key, percent-encoded and parted by commas.",
    "id": "The id of what the address names.",
    "message": "A message's id, or the client id that the user sent it with.",
    "emoji": "What the reaction is, percent-encoded.",
    "client_id": "The client id of a change.",
    "user": "The id of a user.",
    "group": "The id of a group of rooms.",
    "invite": "The id of a link, which is no secret.",
    "secret": "The secret of a link.",
    "file": "A file's name.",
    "folder": "A folder's name.",
}


def description(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema_of = {_name(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dataserver",
            "version": _version(),
            "description": "SQLite over HTTP. Every answer that is no success has the body `ErrorBody`.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _version() -> str:
    try:
        return version("dataserver")
    except PackageNotFoundError:
        return "0"  # run from a checkout that is not installed


def _types(routes: Iterable[Route]) -> list[Any]:
    found = {_name(ErrorBody): ErrorBody}
    for route in routes:
        for kind in (route.reads, route.answers):
            if kind is not None:
                found[_name(kind)] = kind
    return list(found.values())


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{kind!r}"


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.says,
        "operationId": route.handle.__name__,
        "tags": [route.path.split("/")[-1] if route.path.count("/") == 1 else _tag(route.path)],
        "parameters": [
            *(
                {
                    "name": name,
                    "in": "path",
                    "required": True,
                    "description": _SAYS[name],
                    "schema": {"type": "string"},
                }
                for name in _PARAMETER.findall(route.path)
            ),
            *(
                {
                    "name": parameter.name,
                    "in": "query",
                    "description": parameter.says,
                    "schema": {"type": parameter.type},
                }
                for parameter in route.parameters
            ),
            *([_FILTERS] if route.open_ended else ()),
        ],
        "responses": _responses(route, schema_of),
        "security": [] if route.role is None else [{"bearer": []}],
        "x-role": route.role or "none",
    }
    if route.reads is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON.decode(): {"schema": schema_of[_name(route.reads)]}},
        }
    elif route.reads_media:
        operation["requestBody"] = {
            "required": True,
            "content": {media.decode(): {"schema": {"type": "string"}} for media in route.reads_media},
        }
    return operation


_FILTERS: Final = {
    "name": "filters",
    "in": "query",
    "description": "COLUMN=value or COLUMN__OPERATOR=value, as many as 32.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
}


def _tag(path: str) -> str:
    names = [part for part in path.split("/") if part and not part.startswith("{")]
    return names[-1]


def _responses(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    schema = {} if route.answers is None else schema_of[_name(route.answers)]
    responses: dict[str, Any] = {
        str(route.status): {
            "description": "It is done." if route.method != "GET" else "Here it is.",
            "content": {media.decode(): {"schema": schema} for media in route.media},
        }
    }
    codes: dict[int, list[str]] = {}
    always = (NotAcceptable,) if route.role is None else (Unauthenticated, Forbidden, NotAcceptable)
    for refusal in (*always, *route.refuses):
        how = answering(refusal)
        if how.code not in codes.setdefault(how.status, []):
            codes[how.status].append(how.code)
    for status, names in sorted(codes.items()):
        responses[str(status)] = {
            "description": ", ".join(names),
            "content": {JSON.decode(): {"schema": schema_of[_name(ErrorBody)]}},
        }
    responses["default"] = {
        "description": "Any other error.",
        "content": {JSON.decode(): {"schema": schema_of[_name(ErrorBody)]}},
    }
    return responses
