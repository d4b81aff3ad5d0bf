"""What the demo says of its figures, and the picture it glues together."""

import io
from pathlib import Path

from PIL import Image

from ganymede.demo import Verdict, stack_rows
from ganymede.show import duration


def test_a_missed_mark_fails_where_it_is_held() -> None:
    assert not Verdict(is_met=False, mark="at least 98.5%", is_held=True).passes
    assert "MISSED" in str(Verdict(is_met=False, mark="at least 98.5%", is_held=True))


def test_a_figure_that_is_not_held_to_a_mark_is_printed_alone() -> None:
    assert Verdict(is_met=False, mark="at least 98.5%", is_held=False).passes
    assert str(Verdict(is_met=False, mark="at least 98.5%", is_held=False)) == ""


def test_rows_are_stacked_in_their_order(tmp_path: Path) -> None:
    rows = [png(shade) for shade in (0, 128, 255)]
    stack_rows(rows, tmp_path / "new" / "grid.png")
    with Image.open(tmp_path / "new" / "grid.png") as grid:
        assert grid.size == (4, 6)
        assert [grid.getpixel((0, y)) for y in range(6)] == [0, 0, 128, 128, 255, 255]


def test_times_are_written_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 45, 185, 7800)] == ["0 s", "45 s", "3 min 05 s", "2 h 10 min"]


def png(shade: int) -> bytes:
    row = io.BytesIO()
    Image.new("L", (4, 2), shade).save(row, "PNG")
    return row.getvalue()
