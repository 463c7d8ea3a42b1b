"""What a setting may be: each kind reads a flag, an environment text or a TOML value, or refuses it in words.

A kind never guesses: `"yes"` is no number, `1.5` is no count, and what it refuses it answers with what it allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TRUE = frozenset({"1", "true", "on", "yes"})
_FALSE = frozenset({"0", "false", "off", "no"})


class Refused(ValueError):
    """A value that its setting does not allow; the text names what it does allow."""


class Kind(Protocol):
    """How one setting reads what it was given."""

    @property
    def allowed(self) -> str:
        """What may be given, in words for an error message and the README's table."""

    def read(self, given: object) -> object:
        """Return `given` as the setting's own type.

        Raises:
            Refused: It is not allowed; the caller names the setting and where the value came from.
        """


def expanded(given: str | Path) -> Path:
    """Return a path with `~` and `~name` at its beginning put in full.

    Raises:
        Refused: Nobody of that name has a home here.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError as error:  # what pathlib raises, and nothing more special
        raise Refused("a path; nobody of the name after ~ has a home here") from error


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words."""
        return " | ".join(self.words)

    def read(self, given: object) -> str:
        """Return the word itself."""
        if given in self.words:
            return str(given)
        raise Refused(f"one of {', '.join(self.words)}")


@dataclass(frozen=True)
class Whole:
    """A whole number between two bounds, both allowed."""

    least: int
    most: int

    @property
    def allowed(self) -> str:
        """The bounds."""
        return f"{self.least} to {self.most}"

    def read(self, given: object) -> int:
        """Return the number; a text of digits counts, a float or a boolean does not."""
        wanted = f"a whole number from {self.least} to {self.most}"
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise Refused(wanted)
        try:
            number = int(given)
        except ValueError as error:
            raise Refused(wanted) from error
        if not self.least <= number <= self.most:
            raise Refused(wanted)
        return number


@dataclass(frozen=True)
class Seconds:
    """A duration above zero, in seconds."""

    most: float

    @property
    def allowed(self) -> str:
        """The bounds."""
        return f"above 0, to {self.most:g} s"

    def read(self, given: object) -> float:
        """Return the seconds; a text of a number counts."""
        wanted = f"seconds above 0 and at most {self.most:g}"
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise Refused(wanted)
        try:
            seconds = float(given)
        except ValueError as error:
            raise Refused(wanted) from error
        if not math.isfinite(seconds) or not 0 < seconds <= self.most:
            raise Refused(wanted)
        return seconds


@dataclass(frozen=True)
class Switch:
    """On or off."""

    @property
    def allowed(self) -> str:
        """The words."""
        return "1 | 0"

    def read(self, given: object) -> bool:
        """Return whether it is on."""
        if isinstance(given, bool):
            return given
        word = str(given).lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Refused("1 or 0 (true, false, on, off, yes, no)")


@dataclass(frozen=True)
class Text:
    """A text that is not empty."""

    what: str

    @property
    def allowed(self) -> str:
        """What the text is."""
        return self.what

    def read(self, given: object) -> str:
        """Return the text."""
        if not isinstance(given, str) or not given.strip():
            raise Refused(self.what)
        return given


@dataclass(frozen=True)
class Folder:
    """A folder's path; `~` is the home folder, a relative one starts at the working folder."""

    @property
    def allowed(self) -> str:
        """What it is."""
        return "a folder's path"

    def read(self, given: object) -> Path:
        """Return the path, made absolute."""
        if not isinstance(given, str | Path) or not str(given).strip():
            raise Refused("a folder's path")
        return expanded(given).absolute()


@dataclass(frozen=True)
class Shares:
    """How much each of some names has: `shop=4,logs=0.5`, or a table of TOML."""

    @property
    def allowed(self) -> str:
        """How it looks."""
        return "NAME=NUMBER,..."

    def read(self, given: object) -> dict[str, float]:
        """Return the numbers by name."""
        wanted = "names with a number above 0 each, such as shop=4,logs=0.5"
        if isinstance(given, str):
            given = dict(part.strip().partition("=")[::2] for part in given.split(",") if part.strip())
        if not isinstance(given, dict):
            raise Refused(wanted)
        try:
            shares = {str(name).strip(): float(share) for name, share in given.items()}
        except (TypeError, ValueError) as error:
            raise Refused(wanted) from error
        if not all(name and 0 < share < math.inf for name, share in shares.items()):
            raise Refused(wanted)
        return shares
