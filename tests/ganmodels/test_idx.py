import pytest
import torch

from ganmodels.datasets import idx


def header(*sizes: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


def test_an_array_comes_back_in_its_shape() -> None:
    found = idx.parse(header(2, 1, 3) + bytes(range(6)))
    assert torch.equal(found, torch.arange(6, dtype=torch.uint8).reshape(2, 1, 3))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "0 bytes, expected an IDX header"),
        (b"\x1f\x8b\x08\x00", "IDX header 1f8b0800, expected 000008"),
        (header(3, kind=13) + bytes(12), "IDX header 00000d01, expected 000008"),
        (header(2, 2)[:7], "7 bytes, expected an IDX header of 12"),
        (header(2, 2) + bytes(3), r"3 bytes of data, expected 4 for \[2, 2\]"),
        (header(2, 2) + bytes(5), r"5 bytes of data, expected 4 for \[2, 2\]"),
        (header(2**31, 2**31, 2**31) + bytes(8), "8 bytes of data, expected"),
    ],
)
def test_a_damaged_file_says_what_was_found_and_expected(content: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        idx.parse(content)
