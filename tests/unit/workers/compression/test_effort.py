"""What runs on the loop is short whatever the codec, the level and the sender of the bytes."""

from __future__ import annotations

from typing import get_args

import pytest

from workers.bridges.compression_effort import (
    ENDLESS,
    LOOP_BYTES,
    LOOP_OUTPUT_BYTES,
    compressing,
    decompressing,
)
from workers.services.compression import codecs
from workers.services.compression.codecs import CodecName
from workers.services.compression.limits import OutputLimits

CODECS: list[str] = sorted(get_args(CodecName))


@pytest.mark.parametrize("codec", CODECS)
def test_a_higher_level_is_no_less_effort_and_the_default_is_that_of_the_codec(codec: str) -> None:
    module = codecs._codec(codec, None)
    efforts = [compressing(codec, level, 100_000) for level in module.LEVELS]
    assert efforts == sorted(efforts)
    assert efforts[0] >= 100_000
    assert compressing(codec, None, 1000) == compressing(codec, module.DEFAULT_LEVEL, 1000)


def test_a_slow_level_leaves_the_loop_where_a_quick_one_stays() -> None:
    assert compressing("zstd", 3, 10_000) < LOOP_BYTES
    assert compressing("zstd", 19, 10_000) > LOOP_BYTES
    assert compressing("brotli", 11, 100) > LOOP_BYTES
    assert compressing("rar", 5, 100) == 100  # refused at once


def test_what_a_thread_could_not_stop_in_time_is_endless() -> None:
    for codec, level in (("zstd", 19), ("brotli", 11)):
        assert compressing(codec, level, 1000) < ENDLESS
        assert compressing(codec, level, 256 * 1024) == ENDLESS
    for codec, level in (("zstd", 12), ("brotli", 7), ("gzip", 9)):
        assert compressing(codec, level, 10**9) < ENDLESS


def test_decompressing_counts_as_what_may_come_out() -> None:
    assert decompressing(OutputLimits(), 10) > LOOP_OUTPUT_BYTES
    assert decompressing(OutputLimits(max_output_bytes=1000), 10) == 1000
    assert decompressing(OutputLimits(max_ratio=10, free_bytes=0), 100) == 1000
    assert decompressing(OutputLimits(max_ratio=10, free_bytes=5000), 100) == 5000
    assert decompressing(OutputLimits(max_output_bytes=10), 1000) == 1000
