"""Facts of a picture from its header, by Pillow: the library that knows the most formats and is mended the quickest.

No pixel is decoded, so the size of the picture costs nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, cast

from PIL import ExifTags, Image, UnidentifiedImageError

from workers.services.files.errors import FileUnreadable
from workers.services.files.types import ImageFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType

_MAX_TEXT = 200


def facts(file: Looked, path: str, kind: FileType, task: Task) -> ImageFacts | None:  # noqa: ARG001 - the shape of a reader
    """Return the facts of a picture; None for a format that Pillow does not know.

    Raises:
        FileUnreadable: It is damaged, or has more than 179 million pixels (or 89, where warnings are errors).
    """
    try:
        with Image.open(cast("BinaryIO", file)) as image:
            exif = image.getexif()
            return ImageFacts(
                format=image.format or "",
                width=image.width,
                height=image.height,
                mode=image.mode,
                frames_count=getattr(image, "n_frames", 1),
                orientation=_number(exif.get(ExifTags.Base.Orientation)),
                taken_at=_text(
                    exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
                    or exif.get(ExifTags.Base.DateTime)
                ),
                camera=_text(exif.get(ExifTags.Base.Model)),
                has_location=bool(exif.get_ifd(ExifTags.IFD.GPSInfo)),
            )
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *_DAMAGE) as error:
        raise FileUnreadable(f"{path!r} is a damaged picture, or too large a one", path=path) from error


_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, RuntimeError, UserWarning,
    struct.error,
)  # fmt: skip
"""What Pillow's readers raise on damaged files, or warn of; found by 11,000 mutations of real files."""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= 8 else None  # noqa: PLR2004 - EXIF's eight orientations


def _text(value: object) -> str | None:
    return value.strip("\0 ")[:_MAX_TEXT] or None if isinstance(value, str) else None
