"""The description is one that tools can read, and says what the routes do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chat.domain.texts import MAX_NAME_CHARACTERS, NO_CONTROLS
from dataserver.errors import ANSWERS
from dataserver.openapi import description
from dataserver.routes import ROUTES
from dataserver.wire import json_bytes
from storage.databases import _NAME


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_bytes(description(ROUTES)))
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def values(node: Any, key: str) -> Iterator[Any]:
    """Yield what stands under `key`, anywhere in `node`."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == key:
                yield inner
            yield from values(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from values(inner, key)


def test_it_is_openapi_with_all_that_must_be_there(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"].keys() >= {"title", "version"}
    assert document.keys() <= {"openapi", "info", "paths", "components"}
    for path, method, operation in operations(document):
        assert path.startswith("/")
        assert method in {"get", "put", "post", "patch", "delete"}
        assert operation["responses"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(values(document, "$ref"))
    assert references
    for reference in references:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def test_every_name_in_a_path_is_a_required_parameter_of_it(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        declared = [
            each["name"] for each in operation["parameters"] if each["in"] == "path" and each["required"]
        ]
        assert declared == re.findall(r"\{(\w+)\}", path)


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_every_parameter_and_content_has_a_schema(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for parameter in operation["parameters"]:
            assert parameter["schema"]["type"] in {"string", "integer", "object"}
            assert parameter["description"]
        for answer in operation["responses"].values():
            assert answer["description"]
            assert all("schema" in content for content in answer.get("content", {}).values())


def test_every_answer_that_is_no_success_has_the_error_body(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if not status.startswith(("2", "3")):
                assert answer["content"]["application/json"]["schema"] == {
                    "$ref": "#/components/schemas/ErrorBody"
                }


def test_what_has_no_body_has_no_content(document: dict[str, Any]) -> None:
    statuses = {
        status: "content" in answer
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
    }
    assert {status for status, has_content in statuses.items() if not has_content} == {"304"}


def test_the_rules_of_names_are_those_that_the_server_goes_by(document: dict[str, Any]) -> None:
    (path,) = [
        each["schema"]
        for each in document["paths"]["/v1/databases/{db}"]["get"]["parameters"]
        if each["in"] == "path"
    ]
    assert path["pattern"] == f"^{_NAME.pattern}$"
    assert document["components"]["schemas"]["CreateSpaceRequest"]["properties"]["name"] == {
        "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS, "pattern": NO_CONTROLS,
    }  # fmt: skip


def test_what_needs_a_role_asks_for_a_token(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        assert (operation["security"] == []) == (operation["x-role"] == "none")
        proves_itself = path in {"/v1/auth/login", "/v1/auth/refresh"}  # by what the body says
        assert ("401" in operation["responses"]) == (operation["x-role"] != "none" or proves_itself)


def test_the_refusals_of_routes_are_in_the_table() -> None:
    for route in ROUTES:
        assert set(route.refuses) <= ANSWERS.keys()
