"""The shapes of text that may come in, and words for them."""

from collections.abc import Mapping

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
SLUG = r"^[a-z0-9][a-z0-9_-]{0,63}$"
FILE_NAME = r"^[A-Za-z0-9_.-]{1,100}$"
TEXT = r"^[^\x00]+$"
KEY = r"^[\x21-\x7e]{1,255}$"
GRID = r"^[1-9][0-9]{0,2}x[1-9][0-9]{0,2}$"

WORDS: Mapping[str, str] = {
    UUID: "a lower-case UUID such as 0b9c1c9e-3b1f-4a52-9d7a-5f3f1d2c6a10",
    SLUG: "lower-case letters, digits, - and _, 64 at most",
    FILE_NAME: "a file name of letters, digits, -, _ and .",
    TEXT: "text without NUL",
    KEY: "1 to 255 visible ASCII characters",
    GRID: "rows x columns, such as 4x4",
}
