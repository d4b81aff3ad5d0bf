"""Files that no row points at are removed, and no other."""

from store import claims, jobs
from store.artifacts import Artifacts
from store.claims import Claim
from store.database import Database
from store.previews import Picture
from store.sweeping import sweep
from tests.store import scenes


def attempt(held: Claim) -> str:
    return f"jobs/{held.job.id}/attempt-{held.token}"


def write(artifacts: Artifacts, *paths: str) -> None:
    for path in paths:
        artifacts.put(path, b"x")


def left(artifacts: Artifacts) -> set[str]:
    return set(artifacts.files("jobs"))


def test_what_a_killed_attempt_left_is_swept_and_what_rows_point_at_stays(
    database: Database, artifacts: Artifacts
) -> None:
    killed = scenes.run(database)
    here = attempt(killed)
    pointed_at = {f"{here}/checkpoints/10/{name}" for name in ("state.safetensors", "card.json")}
    orphans = {f"{here}/checkpoints/20/state.safetensors", f"{here}/previews/20.png"}
    write(artifacts, *pointed_at, *orphans, f"{here}/previews/10.png")
    with database.write() as connection:
        claims.checkpoint(connection, killed, 10, f"{here}/checkpoints/10", scenes.FILES, scenes.CARD)
        claims.preview(connection, killed, 10, Picture(f"{here}/previews/10.png", "0" * 64, 8, 8, None))
    everything = left(artifacts)
    assert sweep(database, artifacts) == [], "the attempt holds its job: its rows may be on their way"
    assert left(artifacts) == everything
    scenes.expire(database, killed.job)
    with database.write() as connection:
        claims.reap(connection)
    again = scenes.claim(database)
    assert again is not None
    write(artifacts, f"{attempt(again)}/checkpoints/30/state.safetensors")
    assert set(sweep(database, artifacts)) == orphans
    assert left(artifacts) == everything - orphans | {f"{attempt(again)}/checkpoints/30/state.safetensors"}


def test_the_files_of_jobs_that_are_gone_are_swept(database: Database, artifacts: Artifacts) -> None:
    held = scenes.run(database)
    write(artifacts, f"{attempt(held)}/checkpoints/10/card.json", "jobs/nobody/attempt-1/checkpoints/1/card.json")
    with database.write() as connection:
        claims.checkpoint(connection, held, 10, f"{attempt(held)}/checkpoints/10", scenes.FILES, scenes.CARD)
        claims.succeed(connection, held)
    assert sweep(database, artifacts) == ["jobs/nobody/attempt-1/checkpoints/1/card.json"]
    with database.write() as connection:
        jobs.delete(connection, held.job.id)
    assert sweep(database, artifacts) == [f"{attempt(held)}/checkpoints/10/card.json"]
    assert left(artifacts) == set()


def test_a_pruned_checkpoint_whose_files_were_left_is_swept(database: Database, artifacts: Artifacts) -> None:
    held = scenes.run(database, keep_checkpoints=1)
    for step in (10, 20):
        folder = f"{attempt(held)}/checkpoints/{step}"
        write(artifacts, f"{folder}/card.json")
        with database.write() as connection:
            claims.checkpoint(connection, held, step, folder, scenes.FILES, scenes.CARD)
    with database.write() as connection:
        claims.succeed(connection, held)
    assert sweep(database, artifacts) == [f"{attempt(held)}/checkpoints/10/card.json"]


def test_what_is_no_job_s_is_left_alone(database: Database, artifacts: Artifacts) -> None:
    held = scenes.run(database)
    strangers = {f"jobs/{held.job.id}/notes.txt", "classifiers/judge.safetensors"}
    write(artifacts, *strangers)
    with database.write() as connection:
        claims.release(connection, held, "drained")
    assert sweep(database, artifacts) == []
    assert left(artifacts) | set(artifacts.files("classifiers")) == strangers
