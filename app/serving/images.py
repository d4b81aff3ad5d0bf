"""Images as bytes: pictures, grids, archives and arrays, the same bytes for the same pixels."""

import io
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

PNG_LEVEL = 4  # of zlib; 6, the usual one, takes up to twice as long for some per cent less

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time an archive can hold


def near_square(count: int) -> tuple[int, int]:
    """Return the rows and columns of a grid for `count` images that is about as high as wide, or wider."""
    columns = math.isqrt(count - 1) + 1
    return -(-count // columns), columns


def tile(images: Pixels, rows: int, columns: int) -> Pixels:
    """Lay images (N, H, W, C) out row by row as one (rows·H, columns·W, C); places left over are black."""
    count, height, width, channels = images.shape
    places = np.zeros((rows * columns, height, width, channels), np.uint8)
    places[:count] = images
    grid = places.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def enlarge(picture: Pixels, scale: int) -> Pixels:
    """Make each pixel a square of `scale` by `scale`."""
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def png(picture: Pixels) -> bytes:
    """Encode a picture (H, W, C) of one or three channels as PNG."""
    return _encode(picture, "PNG", compress_level=PNG_LEVEL)


def webp(picture: Pixels) -> bytes:
    """Encode a picture (H, W, C) of one or three channels as lossless WebP."""
    return _encode(picture, "WEBP", lossless=True, quality=75, method=4)


def animation(frames: Sequence[Pixels], milliseconds: int) -> bytes:
    """Encode pictures (H, W, C) of one size as a lossless animated WebP that begins anew at its end."""
    target = io.BytesIO()
    first, *others = (_image(frame) for frame in frames)
    # A slower method takes some ten times as long, for a quarter less.
    first.save(
        target,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=milliseconds,
        lossless=True,
        quality=0,
        method=0,
    )
    return target.getvalue()


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Pack files into a zip that depends on their names and contents alone."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name, content in files:
            packed.writestr(entry(name), content)
    return target.getvalue()


def entry(name: str) -> zipfile.ZipInfo:
    """Describe a file of an archive, whenever and wherever it is packed alike."""
    described = zipfile.ZipInfo(name, EPOCH)
    described.create_system, described.external_attr = 3, 0o644 << 16
    described.compress_type = zipfile.ZIP_DEFLATED
    return described


def arrays(named: Mapping[str, NDArray[Any]]) -> bytes:  # Any: each array has its own type
    """Pack arrays into an npz that `numpy.load` reads, and that holds no pickle."""
    return archive((f"{name}.npy", array(each)) for name, each in named.items())


def array(values: NDArray[Any]) -> bytes:  # Any: of any type
    """Write an array as npy."""
    target = io.BytesIO()
    np.lib.format.write_array(target, np.ascontiguousarray(values), allow_pickle=False)
    return target.getvalue()


def _encode(picture: Pixels, kind: str, **options: bool | int) -> bytes:
    target = io.BytesIO()
    _image(picture).save(target, kind, **options)
    return target.getvalue()


def _image(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
