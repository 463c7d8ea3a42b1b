"""A worker loads only what its requests need: the readers of pictures and the codecs cost memory and time to start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "PIL",
    "pypdf",
    "tinytag",
    "charset_normalizer",
    "pure_magic_rs",
    "brotli",
    "zlib_ng",
    "backports.zstd",
    "anyio",
]


@pytest.mark.parametrize("service", ["files", "compression"])
def test_a_service_that_was_asked_for_nothing_yet_has_loaded_no_parser_and_no_codec(service: str) -> None:
    script = f"import json, sys, workers.services.{service}.service; print(json.dumps(list(sys.modules)))"
    said = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50
    )
    assert set(HEAVY) & set(json.loads(said.stdout)) == set()
