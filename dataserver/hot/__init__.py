"""The busiest requests without routing and request objects: plain ASGI, the same answers as the routes give."""

from __future__ import annotations
