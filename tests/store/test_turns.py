import multiprocessing
import threading
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

from store.database import Database
from store.turns import Turns

PATIENT, IMPATIENT = 60.0, 0.2


def drawn(path: Path) -> int:
    return int.from_bytes(path.read_bytes())


def line_up(path: Path, writers: Sequence[threading.Thread]) -> None:
    """Start writers of a file whose turn is taken, each once the one before it waits."""
    for writer in writers:
        others = drawn(path)
        writer.start()
        while drawn(path) == others:
            time.sleep(0.001)


def test_writers_go_in_the_order_they_came(tmp_path: Path) -> None:
    turns, order = Turns(tmp_path / "turn", PATIENT), []

    def write(number: int) -> None:
        with turns.take():
            order.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    with turns.take():
        line_up(tmp_path / "turn", writers)
        assert order == []
    for writer in writers:
        writer.join()
    assert order == list(range(8))


def test_who_has_just_had_a_turn_lets_those_go_first_who_wait(tmp_path: Path) -> None:
    turns, order = Turns(tmp_path / "turn", PATIENT), []

    def write() -> None:
        with turns.take():
            order.append("other")

    for _ in range(20):
        other = threading.Thread(target=write)
        with turns.take():
            line_up(tmp_path / "turn", [other])
        with turns.take():
            order.append("same")
        other.join()
    assert order == ["other", "same"] * 20


def hold(path: Path, held: Event) -> None:
    with Turns(path, PATIENT).take():
        held.set()
        time.sleep(PATIENT)


def test_a_writer_that_is_killed_leaves_its_turn_to_the_next(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    writer = spawn.Process(target=hold, args=(tmp_path / "turn", held))
    writer.start()
    assert held.wait(PATIENT)
    threading.Timer(0.2, writer.kill).start()
    begun = time.monotonic()
    with Turns(tmp_path / "turn", PATIENT).take():
        assert 0.1 < time.monotonic() - begun < PATIENT / 2
    writer.join()


def test_who_has_waited_in_vain_goes_on_and_stands_in_nobody_s_way_later(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "turn", IMPATIENT)
    with turns.take():
        begun = time.monotonic()
        with turns.take():
            assert time.monotonic() - begun >= IMPATIENT
    begun = time.monotonic()
    with Turns(tmp_path / "turn", PATIENT).take():
        assert time.monotonic() - begun < PATIENT / 2


def test_whose_number_is_taken_goes_on_without_a_turn(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "turn", PATIENT)
    with turns.take():
        (tmp_path / "turn").write_bytes(bytes(8))  # whoever comes next draws the same
        begun = time.monotonic()
        with turns.take():
            assert time.monotonic() - begun < PATIENT / 2


def test_writers_of_a_sqlite_file_take_turns(tmp_path: Path) -> None:
    database, order = Database(f"sqlite:///{tmp_path / 'ganymede.db'}"), []

    def write(number: int) -> None:
        with database.write():
            order.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with database.write():
        line_up(tmp_path / "ganymede.db-turn", writers)
        assert order == []
    for writer in writers:
        writer.join()
    assert order == [0, 1, 2, 3]
    database.close()
