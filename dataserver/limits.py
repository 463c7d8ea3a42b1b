"""What one request may ask for: bytes, rows, seconds and conditions, each with a number."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLimits:
    """The bounds of the HTTP side; a request past one is refused in words, never cut short.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    """The largest request body; more is answered 413 while it still arrives."""
    max_import_bytes: int = 1024 * 1024 * 1024
    """The largest import; one that is to be stored whole or not at all is laid aside on the disk before."""
    max_imports_count: int = 8
    """Imports at one time; the next is told to come again. Each holds up to 16 MiB."""
    body_timeout_s: float = 30.0
    """How long a request body, or the next piece of an import, may take to arrive; then 408."""
    max_timeout_s: float = 300.0
    """The latest deadline a request may name, a later one is cut to this; one that names none gets storage's own."""
    default_page_count: int = 50
    """Rows of a page that names no `limit`."""
    max_page_count: int = 1_000
    """The most rows a page may have."""
    max_page_bytes: int = 4 * 1024 * 1024
    """The largest page: its end is looked for on the event loop, at about 1 ms a megabyte."""
    max_statement_count: int = 10_000
    """Statements of one `execute` request."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{field.name} is {value!r}; a finite number above 0 is allowed")
        if self.default_page_count > self.max_page_count:
            raise ValueError(
                f"default_page_count is {self.default_page_count}; at most max_page_count ({self.max_page_count})"
            )
