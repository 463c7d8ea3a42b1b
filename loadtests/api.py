"""The server's HTTP interface as the load test needs it before and beside the load: plain, synchronous, with limits."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

_TIMEOUT_S = 30.0
_OK = range(200, 300)


class ApiFailed(Exception):
    """The server did not answer, or not with a success; `status` is 0 when it did not answer."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One server and a token for it; each call is a connection of its own."""

    def __init__(self, base_url: str, token: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._address = urlsplit(base_url)
        self._token = token
        self._timeout_s = timeout_s

    def get(self, path: str) -> Any:
        """Return the decoded answer."""
        return msgspec.json.decode(self.ask("GET", path))

    def query(self, database: str, sql: str, params: list[Any] | None = None) -> list[list[Any]]:
        """Return the rows of a read, as lists."""
        body = {"sql": sql, "params": params or [], "shape": "arrays"}
        answer = msgspec.json.decode(self.ask("POST", f"/v1/databases/{quote(database)}/query", body))
        rows: list[list[Any]] = answer["rows"]
        return rows

    def execute(self, database: str, sql: str) -> None:
        """Run one statement that writes."""
        self.ask("POST", f"/v1/databases/{quote(database)}/execute", {"sql": sql})

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """Return the answer's bytes.

        Raises:
            ApiFailed: There was no answer in time, or no success.
        """
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(
            self._address.hostname or "127.0.0.1", self._address.port or 80, timeout=self._timeout_s
        )
        try:
            connection.request(
                method, path, body=None if body is None else msgspec.json.encode(body), headers=headers
            )
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, HTTPException) as error:
            raise ApiFailed(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status not in _OK:
            text = data[:500].decode(errors="replace")
            raise ApiFailed(f"{method} {path}: {answer.status} {text}", status=answer.status)
        return data
