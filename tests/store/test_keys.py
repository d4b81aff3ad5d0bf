from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from store import jobs, keys
from store.claims import Claim
from store.database import Database
from store.errors import CursorNotFound, KeyNotFound, TooManyJobs
from store.keys import Allowance, Key, Scope
from tests.store import scenes

NO_ONE = "00000000-0000-4000-8000-000000000000"


def add(database: Database, *scopes: Scope, **more: Any) -> tuple[Key, str]:
    secret = keys.draw()
    with database.write() as connection:
        return keys.add(connection, secret, "mine", scopes or [Scope.READ], **more), secret


def holder(database: Database, secret: str) -> Key | None:
    with database.read() as connection:
        return keys.holder(connection, keys.digest(secret))


def usable(database: Database) -> bool:
    with database.read() as connection:
        return keys.any_usable(connection)


def revoke(database: Database, key_id: str) -> bool:
    with database.write() as connection:
        return keys.revoke(connection, key_id)


def test_no_two_secrets_are_alike_and_each_has_the_shape_that_is_asked_for() -> None:
    drawn = {keys.draw() for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(keys.SECRET.fullmatch(secret) for secret in drawn)


def test_a_key_is_found_by_its_secret_alone(database: Database) -> None:
    key, secret = add(database, Scope.TRAIN, Scope.SAMPLE)
    other, other_secret = add(database)
    assert holder(database, secret) == key
    assert holder(database, other_secret) == other
    assert key.scopes == (Scope.SAMPLE, Scope.TRAIN)
    for wrong in (keys.draw(), "", secret[:-1], secret + "A", secret.swapcase(), key.id, keys.digest(secret)):
        assert holder(database, wrong) is None


def test_no_secret_is_kept(database: Database) -> None:
    _, secret = add(database)
    (row,) = scenes.dump(database)["api_keys"]
    assert keys.digest(secret) in row
    assert secret not in str(row)
    assert secret[keys.SHOWN_CHARACTERS :] not in str(row)


def test_a_revoked_key_opens_nothing_more(database: Database) -> None:
    key, secret = add(database)
    _, kept = add(database)
    assert revoke(database, key.id) is True
    assert revoke(database, key.id) is False
    assert holder(database, secret) is None
    assert holder(database, kept) is not None
    with pytest.raises(KeyNotFound, match=NO_ONE):
        revoke(database, NO_ONE)


def test_a_key_opens_until_it_expires(database: Database) -> None:
    _, good = add(database, good_for=timedelta(minutes=1))
    _, over = add(database, good_for=timedelta(minutes=-1))
    assert holder(database, good) is not None
    assert holder(database, over) is None


def test_somebody_gets_in_while_one_key_is_good(database: Database) -> None:
    with database.read() as connection:
        assert keys.any_ever(connection) is False
    assert usable(database) is False
    add(database, good_for=timedelta(minutes=-1))
    assert usable(database) is False
    key, _ = add(database)
    assert usable(database) is True
    revoke(database, key.id)
    assert usable(database) is False
    with database.read() as connection:
        assert keys.any_ever(connection) is True


@pytest.mark.parametrize(
    ("own", "allowed"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.SAMPLE, {Scope.SAMPLE}),
        (Scope.TRAIN, {Scope.TRAIN, Scope.READ}),
        (Scope.ADMIN, set(Scope)),
    ],
)
def test_a_scope_allows_itself_and_what_it_includes(own: Scope, allowed: set[Scope], database: Database) -> None:
    key, _ = add(database, own)
    assert {scope for scope in Scope if key.allows(scope)} == allowed


def test_keys_come_newest_first_page_by_page(database: Database) -> None:
    ids = [add(database)[0].id for _ in range(5)]
    seen: list[str] = []
    more = True
    while more:
        with database.read() as connection:
            found, more = keys.page(connection, seen[-1] if seen else None, 2)
        seen += [key.id for key in found]
    assert seen == ids[::-1]
    with pytest.raises(CursorNotFound), database.read() as connection:
        keys.page(connection, NO_ONE, 2)


def post(database: Database, key: Key) -> jobs.Job:
    with database.write() as connection:
        return jobs.submit(connection, scenes.spec(), key_id=key.id).job


def test_a_key_has_no_more_unfinished_jobs_than_it_may(database: Database) -> None:
    key, _ = add(database, allowance=Allowance(unfinished_jobs=2))
    other, _ = add(database, allowance=Allowance(unfinished_jobs=1))
    first = post(database, key)
    paused = post(database, key)
    with database.write() as connection:
        jobs.pause(connection, paused.id)
    with pytest.raises(TooManyJobs, match="2 jobs of this key"):
        post(database, key)
    post(database, other)
    scenes.submit(database)
    with database.write() as connection:
        jobs.cancel(connection, first.id)
    post(database, key)


def test_going_on_from_a_job_counts_as_posting_one(database: Database) -> None:
    key, _ = add(database, allowance=Allowance(unfinished_jobs=1))
    old: Claim = scenes.run(database)
    with database.write() as connection:
        jobs.cancel(connection, old.job.id)
    scenes.put(database, old.job, state="cancelled")
    with database.write() as connection:
        jobs.retry(connection, old.job.id, key.id)
    with pytest.raises(TooManyJobs), database.write() as connection:
        jobs.retry(connection, old.job.id, key.id)
    scenes.put(database, old.job, state="succeeded")
    with pytest.raises(TooManyJobs), database.write() as connection:
        jobs.extend(connection, old.job.id, 1_000, key.id)


def test_those_who_post_at_once_share_what_is_left(database: Database) -> None:
    key, _ = add(database, allowance=Allowance(unfinished_jobs=3))

    def try_to_post(_: int) -> bool:
        try:
            post(database, key)
        except TooManyJobs:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_to_post, range(8))) == 3
