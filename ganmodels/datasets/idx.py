"""The IDX format that MNIST comes in: a magic number, the sizes, then the bytes."""

import numpy as np
import torch
from torch import Tensor

UNSIGNED_BYTES = 8


def parse(content: bytes) -> Tensor:
    """Read an array of unsigned bytes. Raises ValueError that says what was found and what was expected."""
    if len(content) < 4:
        raise ValueError(f"{len(content)} bytes, expected an IDX header of at least 4")
    zero, kind, dimensions = int.from_bytes(content[:2], "big"), content[2], content[3]
    if zero != 0 or kind != UNSIGNED_BYTES:
        raise ValueError(f"IDX header {content[:4].hex()}, expected 000008 and the number of dimensions")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{len(content)} bytes, expected an IDX header of {start}")
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = int(np.prod(sizes, dtype=object)) if sizes else 1
    if len(content) - start != expected:
        raise ValueError(f"{len(content) - start} bytes of data, expected {expected} for {sizes}")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(sizes).copy())
