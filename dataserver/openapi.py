"""The interface as OpenAPI 3.1, made from the routes and from the structs that check what comes in.

Nothing is written twice: the shape of a body is the type that decodes it, the statuses are those of the error table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec

from chat import TooOften
from dataserver.answers import JSON
from dataserver.errors import ErrorBody, answering
from dataserver.refusals import (
    BodyTimedOut,
    BodyTooLarge,
    Forbidden,
    InvalidBody,
    InvalidParameter,
    NotAcceptable,
    Unauthenticated,
    UnsupportedMediaType,
)
from dataserver.route import Parameter, Route

_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_SAYS: Final = {
    "db": "The database's name.",
    "database": "The database's name; `chat.db` and `server.db` are the server's own.",
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


_SECONDS: Final = {
    "description": "After how many seconds to come again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_ANY_NAME: Final = {"minLength": 1}
_BOUNDS_OF_PATHS: Final[dict[str, dict[str, Any]]] = {
    "db": {"pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
    "database": {"pattern": r"^([a-z0-9][a-z0-9_-]{0,62}|(chat|server)\.db)$"},
    "emoji": {"minLength": 1, "maxLength": 64},
}
"""Of the parameters of paths whose rule is more than that nothing of another name is there."""
_BOUNDS_OF_NUMBERS: Final = {"least": "minimum", "most": "maximum"}
_BOUNDS_OF_TEXTS: Final = {"least": "minLength", "most": "maxLength"}
_ERROR_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`.", "required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": _SECONDS},
    503: {"Retry-After": _SECONDS},
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
            "version": _VERSION,
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


_VERSION: Final = _version()  # read before there is an event loop


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
                    "schema": {"type": "string", **_BOUNDS_OF_PATHS.get(name, _ANY_NAME)},
                }
                for name in _PARAMETER.findall(route.path)
            ),
            *map(_parameter, route.parameters),
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


def _parameter(parameter: Parameter) -> dict[str, Any]:
    bounds = _BOUNDS_OF_NUMBERS if parameter.type == "integer" else _BOUNDS_OF_TEXTS
    schema = {
        "type": parameter.type,
        **{name: getattr(parameter, bound) for bound, name in bounds.items()},
        "pattern": parameter.pattern,
        "enum": list(parameter.one_of) or None,
    }
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.says,
        "schema": {name: value for name, value in schema.items() if value is not None},
    }


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
    responses: dict[str, Any] = {}
    for status in (route.status, *route.also):
        content = {media.decode(): {"schema": schema} for media in route.media}
        responses[str(status)] = {"description": _SUCCESSES[status], "content": content}
        if status == HTTPStatus.NOT_MODIFIED:
            del responses[str(status)]["content"]
    codes: dict[int, list[str]] = {}
    for refusal in (*_always(route), *route.refuses):
        how = answering(refusal)
        if how.code not in codes.setdefault(how.status, []):
            codes[how.status].append(how.code)
    errors = {JSON.decode(): {"schema": schema_of[_name(ErrorBody)]}}
    for code, names in sorted(codes.items()):
        responses[str(code)] = {"description": ", ".join(names), "content": errors}
        if code in _ERROR_HEADERS:
            responses[str(code)]["headers"] = _ERROR_HEADERS[code]
    responses["default"] = {"description": "Any other error.", "content": errors}
    return responses


_SUCCESSES: Final = {
    200: "Here it is, or it is done.",
    201: "It is made.",
    202: "It waits to be done.",
    304: "It is the one that `If-None-Match` names.",
}


def _always(route: Route) -> Iterator[type[Exception]]:
    """Yield what a route refuses by its form."""
    if route.role is not None:
        yield Unauthenticated
        if route.role != "user":
            yield Forbidden
        elif route.method != "GET":
            yield TooOften
    yield NotAcceptable
    if route.parameters or route.open_ended:
        yield InvalidParameter
    if route.reads is not None:
        yield from (InvalidBody, UnsupportedMediaType)
    if route.reads is not None or route.reads_media:
        yield from (BodyTimedOut, BodyTooLarge)
