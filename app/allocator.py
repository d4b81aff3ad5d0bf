"""The C library's allocator, told to keep what is freed.

As it comes, it gives freed memory at the end of its heap back to the kernel, which clears each page before it hands it
out anew: with every small PNG, whose encoder works in some 300 KB, that took twice as long as encoding.
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20  # that may lie free at the heap's end
LARGE_BYTES = 1 << 20  # from which a block has pages of its own, given back when it is freed


def keep_freed_memory() -> None:
    """Keep so much of it from now on; where the C library is not GNU's, all stays as it is."""
    with suppress(AttributeError):  # no such function
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
