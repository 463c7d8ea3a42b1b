"""The crypto service: what the bridge's workers do, as plain functions, and the service around them."""

from __future__ import annotations
