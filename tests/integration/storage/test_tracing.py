"""Spans around reads and writes, as OpenTelemetry's own SDK gets them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from typing_extensions import override

import storage
from storage import SqlError, StorageSettings, StorageUnavailable
from storage.tracing import traced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Kept(SpanExporter):
    """Keeps what is exported."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture(scope="session")  # a process has one provider for good
def kept() -> Kept:
    exporter, provider = Kept(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


async def test_each_read_and_write_has_a_span_inside_its_caller_s_without_the_values(
    tmp_path: Path, kept: Kept
) -> None:
    settings = StorageSettings(kind="thread", tracing=True)
    async with storage.open(tmp_path / "shop.db", settings) as db:
        await db.execute("CREATE TABLE item(name TEXT) STRICT")
        kept.spans.clear()
        with trace.get_tracer("test").start_as_current_span("caller") as caller:
            await db.execute("INSERT INTO item VALUES (?)", ["a secret"])
            assert await db.query("SELECT name FROM item") == [("a secret",)]
            with pytest.raises(SqlError):
                await db.query("SELECT nothing FROM item")
    *spans, _ = kept.spans
    assert [(span.name, (span.attributes or {})["db.query.text"]) for span in spans] == [
        ("writers execute", "INSERT INTO item VALUES (?)"),
        ("readers rows", "SELECT name FROM item"),
        ("readers rows", "SELECT nothing FROM item"),
    ]
    for span in spans:
        assert span.parent is not None
        assert span.parent.span_id == caller.get_span_context().span_id
        assert (span.attributes or {})["db.namespace"] == "shop"
    assert [(span.attributes or {}).get("error.type") for span in spans] == [None, None, "SqlError"]
    assert "a secret" not in "".join(span.to_json() for span in spans)


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(StorageUnavailable, match="extra `otel`"):
        traced(object())  # type: ignore[arg-type]  # it is not looked at
