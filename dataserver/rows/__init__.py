"""Rows of a table over HTTP, without SQL from the client: filters, order, keyset pages, keys. Pure: text in, SQL out."""

from __future__ import annotations
