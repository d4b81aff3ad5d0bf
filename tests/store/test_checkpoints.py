from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, update

from store import checkpoints, claims, previews, tables
from store.claims import Claim
from store.clock import now
from store.database import Database
from store.errors import CheckpointNotFound, CheckpointPruned, PreviewNotFound
from store.previews import Picture
from tests.store import scenes
from tests.store.scenes import CARD, FILES


def trained(database: Database, *steps: int, judged: tuple[float | None, ...] = ()) -> Claim:
    held = scenes.run(database)
    with database.write() as connection:
        for i, step in enumerate(steps):
            card = {**CARD, "metrics": {"fd_classifier": judged[i]} if i < len(judged) else {}}
            claims.checkpoint(connection, held, step, f"folder-{step}", FILES, card)
    return held


def prune(connection: Connection, number: int, step: int) -> None:
    here = (tables.checkpoints.c.job_number == number, tables.checkpoints.c.step == step)
    connection.execute(update(tables.checkpoints).where(*here).values(pruned_at=now()))


Loss = Callable[[Connection, int, int], None]
LOSSES: dict[str, Loss] = {"damaged": checkpoints.mark_damaged, "pruned": prune}
every_loss = pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES.keys())


def test_a_checkpoint_says_where_its_files_are_and_what_they_hold(database: Database) -> None:
    held = trained(database, 5)
    with database.read() as connection:
        found = checkpoints.latest(connection, held.job.number)
    assert (found.step, found.files, found.card) == (5, FILES, CARD)
    assert found.path("state.safetensors") == "folder-5/state.safetensors"
    assert scenes.told(database, held.job)[-1] == ("checkpoint", {"step": 5, "bytes": 3})


def test_a_job_without_a_checkpoint_says_so(database: Database) -> None:
    held = trained(database)
    trained(database, 5)
    with database.read() as connection:
        with pytest.raises(CheckpointNotFound, match="yet"):
            checkpoints.latest(connection, held.job.number)
        with pytest.raises(CheckpointNotFound, match="step 5"):
            checkpoints.at(connection, held.job.number, 5)
        assert checkpoints.page(connection, held.job.number, None, 10) == ([], False)


@every_loss
def test_a_lost_checkpoint_leaves_the_one_before_it_to_serve(database: Database, lose: Loss) -> None:
    held = trained(database, 5, 10, 15)
    number = held.job.number
    with database.write() as connection:
        lose(connection, number, 15)
    with database.read() as connection:
        assert checkpoints.latest(connection, number).step == 10
        assert [found.step for found in checkpoints.whole(connection, number)] == [10, 5]
        assert [found.step for found in checkpoints.page(connection, number, None, 10)[0]] == [10, 5]
        newest, _ = checkpoints.milestones(connection, [number])[number]
        assert newest is not None
        assert newest.step == 10


def test_a_pruned_checkpoint_is_gone_and_a_damaged_one_never_was(database: Database) -> None:
    number = trained(database, 5, 10, 15).job.number
    with database.write() as connection:
        prune(connection, number, 5)
        checkpoints.mark_damaged(connection, number, 10)
    with database.read() as connection:
        with pytest.raises(CheckpointPruned, match="step 5"):
            checkpoints.at(connection, number, 5)
        with pytest.raises(CheckpointNotFound, match="step 10"):
            checkpoints.at(connection, number, 10)
        assert checkpoints.at(connection, number, 15).step == 15


def test_a_damaged_checkpoint_is_told_and_replaced_by_a_new_one_of_its_step(database: Database) -> None:
    held = trained(database, 5)
    with database.write() as connection:
        found = checkpoints.latest(connection, held.job.number)
        claims.damaged(connection, held, held.job.id, found.step, "state.safetensors has another digest")
    told = ("checkpoint_damaged", {"step": 5, "reason": "state.safetensors has another digest"})
    assert scenes.told(database, held.job)[-1] == told
    with database.write() as connection:
        claims.checkpoint(connection, held, 5, "folder-again", FILES, CARD)
    with database.read() as connection:
        assert checkpoints.at(connection, held.job.number, 5).folder == "folder-again"


def kept(database: Database, held: Claim) -> list[int]:
    with database.read() as connection:
        return [found.step for found in checkpoints.whole(connection, held.job.number)]


def test_the_newest_checkpoints_are_kept_and_the_best(database: Database) -> None:
    held = scenes.run(database, keep_checkpoints=2)
    spent: list[str] = []
    for step, figure in ((10, 3.0), (20, 1.0), (30, None), (40, 2.0), (50, None)):
        card = {**CARD, "metrics": {} if figure is None else {"fd_classifier": figure}}
        with database.write() as connection:
            spent += claims.checkpoint(connection, held, step, f"folder-{step}", FILES, card)
    assert kept(database, held) == [50, 40, 20]
    assert spent == ["folder-10", "folder-30"]
    with database.read() as connection:
        for step in (10, 30):
            with pytest.raises(CheckpointPruned):
                checkpoints.at(connection, held.job.number, step)


def test_what_another_job_is_to_begin_with_is_kept_until_it_has(database: Database) -> None:
    held = scenes.run(database, keep_checkpoints=1)
    with database.write() as connection:
        claims.checkpoint(connection, held, 10, "folder-10", FILES, CARD)
    heir = scenes.submit(database, init_from={"job": held.job.id, "step": 10})
    for step in (20, 30):
        with database.write() as connection:
            claims.checkpoint(connection, held, step, f"folder-{step}", FILES, CARD)
    assert kept(database, held) == [30, 10]
    begun = scenes.claim(database, "worker-2")
    assert begun is not None
    assert begun.job.id == heir.id
    with database.write() as connection:
        claims.checkpoint(connection, begun, 1, "heirs-1", FILES, CARD)
        claims.checkpoint(connection, held, 40, "folder-40", FILES, CARD)
    assert kept(database, held) == [40]


def test_a_damaged_checkpoint_takes_nobody_s_place(database: Database) -> None:
    held = scenes.run(database, keep_checkpoints=2)
    for step in (10, 20):
        with database.write() as connection:
            claims.checkpoint(connection, held, step, f"folder-{step}", FILES, CARD)
    with database.write() as connection:
        checkpoints.mark_damaged(connection, held.job.number, 20)
        assert claims.checkpoint(connection, held, 30, "folder-30", FILES, CARD) == []
    assert kept(database, held) == [30, 10]


def test_pages_of_checkpoints_go_down_though_new_ones_arrive(database: Database) -> None:
    held = trained(database, *range(1, 8))
    seen: list[int] = []
    more = True
    while more:
        with database.write() as connection:
            found, more = checkpoints.page(connection, held.job.number, seen[-1] if seen else None, 3)
            claims.checkpoint(connection, held, 100 + len(seen), "folder", FILES, CARD)
        seen += [checkpoint.step for checkpoint in found]
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_milestones_are_the_newest_and_the_one_of_lowest_distance(database: Database) -> None:
    judged = trained(database, 5, 10, 15, judged=(9.0, 2.0, 4.0)).job.number
    unjudged = trained(database, 5, 10, judged=(None,)).job.number
    bare = trained(database).job.number
    with database.read() as connection:
        found = checkpoints.milestones(connection, [judged, unjudged, bare])
        assert checkpoints.milestones(connection, []) == {}
    steps = {number: tuple(one and one.step for one in pair) for number, pair in found.items()}
    assert steps == {judged: (15, 10), unjudged: (10, None), bare: (None, None)}


def test_a_preview_is_found_by_its_step_and_a_later_attempt_s_replaces_it(database: Database) -> None:
    held = scenes.run(database)
    number = held.job.number
    with database.write() as connection:
        for path in ("first", "second"):
            claims.preview(connection, held, 5, Picture(path, "0" * 64, 80, 40, None))
    with database.read() as connection:
        found = previews.at(connection, number, 5)
        assert (found.path, found.width, found.height) == ("second", 80, 40)
        assert abs(found.created_at - held.job.created_at) < timedelta(minutes=5)
        with pytest.raises(PreviewNotFound, match="step 6"):
            previews.at(connection, number, 6)
    assert scenes.told(database, held.job)[-1] == ("preview", {"step": 5})


def test_pages_of_previews_go_down(database: Database) -> None:
    held = scenes.run(database)
    with database.write() as connection:
        for step in range(1, 6):
            claims.preview(connection, held, step, Picture(f"path-{step}", "0" * 64, 80, 80, None))
    with database.read() as connection:
        first, more = previews.page(connection, held.job.number, None, 3)
        assert ([preview.step for preview in first], more) == ([5, 4, 3], True)
        rest, more = previews.page(connection, held.job.number, 3, 3)
        assert ([preview.step for preview in rest], more) == ([2, 1], False)
