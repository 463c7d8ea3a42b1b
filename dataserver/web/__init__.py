"""Pages for browsers: plain files without a build step."""

from __future__ import annotations
