import multiprocessing
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from store.database import Database
from store.turns import Turns

PATIENT, IMPATIENT = 60.0, 0.2


def line_up(writers: list[threading.Thread]) -> None:
    """Start writers of a file whose turn is taken, each once the one before it waits."""
    for number, writer in enumerate(writers, 1):
        writer.start()
        while sum(thread.name == "turn" for thread in threading.enumerate()) < number:
            time.sleep(0.001)
        time.sleep(0.02)  # from the start of its thread to the kernel's queue


def test_writers_go_in_the_order_they_came(tmp_path: Path) -> None:
    turns, order = Turns(tmp_path / "turn", PATIENT), []

    def write(number: int) -> None:
        with turns.take():
            order.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    with turns.take():
        line_up(writers)
        assert order == []
    for writer in writers:
        writer.join()
    assert order == list(range(8))


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
        assert time.monotonic() - begun < PATIENT / 2
    writer.join()


def test_who_has_waited_in_vain_goes_on_and_stands_in_nobody_s_way_later(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "turn", IMPATIENT)
    with turns.take():
        with turns.take():
            pass
        waiting = [thread for thread in threading.enumerate() if thread.name == "turn"]
        assert len(waiting) == 1
    waiting[0].join()
    begun = time.monotonic()
    with Turns(tmp_path / "turn", PATIENT).take():
        assert time.monotonic() - begun < PATIENT / 2


def test_writers_of_a_sqlite_file_take_turns(tmp_path: Path) -> None:
    database, order = Database(f"sqlite:///{tmp_path / 'ganymede.db'}"), []

    def write(number: int) -> None:
        with database.write():
            order.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with database.write():
        line_up(writers)
        assert order == []
    for writer in writers:
        writer.join()
    assert order == [0, 1, 2, 3]
    database.close()
