"""What is made of a frame that is not wholly understood; pure.

One message that is unknown or malformed is refused alone, and its neighbours are taken. Where it can be told which
call it was about, that call fails instead of waiting for its deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from workers.protocol import (
    FAILED,
    Failure,
    Reply,
    call_decoder,
    reply_decoder,
)
from workers.service import Call

if TYPE_CHECKING:
    from collections.abc import Callable

M = TypeVar("M")

MAX_SEQ = 2**63 - 1
_batch_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_any_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()
_one_call_decoder = msgspec.msgpack.Decoder(Call)
_one_reply_decoder = msgspec.msgpack.Decoder(Reply)


def calls_of(payload: memoryview, refuse: Callable[[str], None]) -> tuple[list[Call], list[Failure]]:
    """Return the calls of a frame, and what to answer to those that are not understood."""
    try:
        return call_decoder.decode(payload), []
    except msgspec.MsgspecError as error:
        refuse(str(error))
    failures: list[Failure] = []
    calls: list[Call] = []
    for raw in _raw_messages(payload):
        try:
            calls.append(_one_call_decoder.decode(raw))
        except msgspec.MsgspecError:
            failures += _failure_for(raw, 0, "the call was not understood")
    return calls, failures


def replies_of(payload: memoryview, refuse: Callable[[str], None]) -> list[Reply]:
    """Return the replies of a frame; one that is not understood becomes the failure of its call."""
    try:
        return reply_decoder.decode(payload)
    except msgspec.MsgspecError as error:
        refuse(str(error))
    replies: list[Reply] = []
    for raw in _raw_messages(payload):
        try:
            replies.append(_one_reply_decoder.decode(raw))
        except msgspec.MsgspecError:
            replies += _failure_for(raw, 1, "the worker's answer was not understood")
    return replies


def messages_of(
    payload: memoryview, decoder: msgspec.msgpack.Decoder[list[M]], refuse: Callable[[str], None]
) -> list[M]:
    """Return the messages of a frame that `decoder` understands."""
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        refuse(str(error))
    messages: list[M] = []
    for raw in _raw_messages(payload):
        try:
            messages += decoder.decode(b"\x91" + bytes(raw))  # an array of one
        except msgspec.MsgspecError:
            continue  # it was refused above
    return messages


def _raw_messages(payload: memoryview) -> list[msgspec.Raw]:
    try:
        return _batch_decoder.decode(payload)
    except msgspec.MsgspecError:
        return []  # not even a batch


def _failure_for(raw: msgspec.Raw, seq_index: int, message: str) -> list[Failure]:
    try:
        items = _any_decoder.decode(raw)
    except (msgspec.MsgspecError, TypeError, RecursionError):  # an unhashable key, or nested beyond reason
        return []
    if not isinstance(items, list) or len(items) <= seq_index:
        return []
    seq = items[seq_index]
    if type(seq) is not int or not 0 < seq <= MAX_SEQ:
        return []
    return [Failure(seq, 0, FAILED, message, {})]
