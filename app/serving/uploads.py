"""Images that come in: looked at by their headers first, decoded once they are known to be small and wanted."""

import base64
import binascii
import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.inputs import shown
from app.refusals import ImageTooLarge, InputRefused, JsonMalformed, MediaTypeRefused

MOST_IMAGES = 64
MOST_BYTES = 2_000_000  # of one image
MOST_PIXELS = 1_000_000  # of one image; far below where Pillow begins to think of bombs

JSON = "application/json"
READERS: Mapping[str, type[ImageFile]] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/webp": WebPImageFile,
}
SIGNATURES: Mapping[bytes, str] = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
# What Pillow raises for files that are not what they seem, depending on where it notices; warnings only where the
# interpreter was told to make errors of them.
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, LookupError, ArithmeticError, EOFError, struct.error, zlib.error),
    UserWarning,
)


@dataclass(frozen=True)
class Upload:
    """One image whose header was read and found harmless; `pointer` says where it came in."""

    picture: ImageFile
    pointer: str


def read(body: bytes, content_type: str | None) -> list[Upload]:
    """Read the headers of the images in a body: one image as it is, or JSON with a list of them in base64.

    Raises MediaTypeRefused, JsonMalformed, ImageTooLarge, InputRefused.
    """
    kind = _kind(content_type)
    if kind == JSON:
        return [_open(content, pointer) for content, pointer in _listed(body)]
    if kind not in READERS:
        allowed = ", ".join([*READERS, JSON])
        raise MediaTypeRefused(f"found Content-Type {shown(content_type)}; allowed: {allowed}")
    if body and sniff(body) != kind:
        raise InputRefused("", f"The body is declared as {kind}, and is none.")
    return [_open(body, "")]


def decode(uploads: Sequence[Upload], size: int, channels: int) -> NDArray[np.uint8]:
    """Decode images to (N, H, W, C); raise InputRefused for one of another size, or that cannot be decoded.

    Color becomes grey where the model is, what is transparent becomes black, 16 bits become 8.
    """
    for upload in uploads:
        width, height = upload.picture.size
        if (width, height) != (size, size):
            found = f"The image has {width} by {height} pixels and the model looks at {size} by {size}"
            raise InputRefused(upload.pointer, f"{found}; resize it before sending.")
    return np.stack([_pixels(upload, "L" if channels == 1 else "RGB") for upload in uploads])


def sniff(content: bytes) -> str | None:
    """Return the media type that the first bytes are of; None where it is none of those allowed."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in SIGNATURES.items() if content.startswith(signature)), None)


def _kind(content_type: str | None) -> str | None:
    """Return the media type without its parameters, in lower case."""
    if content_type is None:
        return None
    return content_type.partition(";")[0].strip().lower()


def _listed(body: bytes) -> list[tuple[bytes, str]]:
    """Return the images of a JSON body, and where each stood."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise JsonMalformed("the body cannot be read as JSON") from error
    if not isinstance(document, dict) or set(document) != {"images"}:
        found = sorted(document) if isinstance(document, dict) else document
        raise InputRefused("", f'Send {{"images": ["<base64>", …]}} and nothing else; found {shown(found)}.')
    listed = document["images"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_IMAGES:
        found = f"{len(listed)} of them" if isinstance(listed, list) else shown(listed)
        raise InputRefused("/images", f"Should be a list of 1 to {MOST_IMAGES} images in base64; found {found}.")
    return [(_content(text, f"/images/{place}"), f"/images/{place}") for place, text in enumerate(listed)]


def _content(text: object, pointer: str) -> bytes:
    if not isinstance(text, str):
        raise InputRefused(pointer, f"Should be an image's bytes in base64; found {shown(text)}.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputRefused(pointer, f"Should be an image's bytes in base64: {error}.") from error


def _open(content: bytes, pointer: str) -> Upload:
    """Read an image's header, by the reader of its format alone; none of its pixels."""
    if len(content) > MOST_BYTES:
        raise ImageTooLarge(f"an image may have at most {MOST_BYTES:,} bytes; found {len(content):,}")
    kind = sniff(content)
    if kind is None:
        found = "no bytes" if not content else f"something else, beginning with {content[:8].hex(' ')}"
        raise InputRefused(pointer, f"Should be a PNG, JPEG or WebP image; found {found}.")
    if kind == "image/webp":  # its reader makes room for the pixels at once
        _check_pixels(*_webp_size(content, pointer), pointer)
    try:
        picture = READERS[kind](io.BytesIO(content))
    except UNREADABLE as error:
        raise _unreadable(error, pointer) from error
    _check_pixels(*picture.size, pointer)
    if getattr(picture, "is_animated", False):
        raise InputRefused(pointer, "The image is animated; send one frame.")
    return Upload(picture, pointer)


def _webp_size(content: bytes, pointer: str) -> tuple[int, int]:
    """Read a WebP's width and height (RFC 9649)."""
    chunk, fields = content[12:16], content[20:30]
    if len(fields) == 10 and chunk == b"VP8X":
        return int.from_bytes(fields[4:7], "little") + 1, int.from_bytes(fields[7:10], "little") + 1
    if len(fields) == 10 and chunk == b"VP8L":
        packed = int.from_bytes(fields[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if len(fields) == 10 and chunk == b"VP8 ":
        width, height = struct.unpack("<HH", fields[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise InputRefused(pointer, "The image cannot be read as WebP.")


def _check_pixels(width: int, height: int, pointer: str) -> None:
    if width * height > MOST_PIXELS:
        found = f"{width} by {height}"
        raise InputRefused(pointer, f"An image may have at most {MOST_PIXELS:,} pixels; found {found}.")


def _pixels(upload: Upload, mode: str) -> NDArray[np.uint8]:
    """Decode one image to (H, W, C)."""
    try:
        upload.picture.load()
        pixels = np.asarray(_opaque(upload.picture).convert(mode))
    except UNREADABLE as error:
        raise _unreadable(error, upload.pointer) from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _opaque(picture: Image.Image) -> Image.Image:
    """Lay what is transparent over black, and bring 16 bits down to 8, which Pillow would clip."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture.convert("RGBA"))


def _unreadable(error: Exception, pointer: str) -> InputRefused:
    return InputRefused(pointer, f"The image cannot be decoded: {shown(str(error))}.")
