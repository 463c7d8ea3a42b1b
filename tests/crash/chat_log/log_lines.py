"""What is sent: a real log where it is beside this checkout, a made-up one with awkward texts where it is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "chat_slack_ja.jsonl.gz"
_TEXTS = (
    "hello",
    "  two  blanks ",
    "日本語\n二行目",
    "\ufeffmark",
    "tab\tand \x03colour",
    "<b>&amp;</b>",
    "x" * 4_000,
)


class Line(NamedTuple):
    """One message of the log."""

    id: int
    room: str
    text: str


def lines(count: int) -> list[tuple[str, Line]]:
    """Return the first lines that say something, each with the author it has in the log."""
    if not REAL.exists():
        return [
            (f"author {number % 17}", Line(number, f"#room-{number % 5}", f"{number} {_TEXTS[number % 7]}"))
            for number in range(count)
        ]
    found: list[tuple[str, Line]] = []
    with gzip.open(REAL, "rt", encoding="utf-8", newline="\n") as log:
        for text in log:
            said = json.loads(text)
            if said["text"]:
                found.append((said["author"], Line(said["id"], said["room"], said["text"])))
            if len(found) == count:
                break
    return found


def shares(said: list[tuple[str, Line]], client_count: int) -> list[list[Line]]:
    """Deal the lines to clients, those of one author to one client, in their order."""
    dealt: list[list[Line]] = [[] for _ in range(client_count)]
    for author, line in said:
        dealt[crc32(author.encode()) % client_count].append(line)
    return dealt
