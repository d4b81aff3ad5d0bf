from contextlib import suppress

from store import audit
from store.audit import OPERATOR, Author
from store.database import Database


def test_changes_are_told_newest_first_page_by_page(database: Database) -> None:
    for number in range(5):
        with database.write() as connection:
            audit.append(connection, Author("a-key", f"request-{number}"), "cancel job", f"job-{number}")
    seen: list[audit.Entry] = []
    more = True
    while more:
        with database.read() as connection:
            found, more = audit.page(connection, seen[-1].seq if seen else None, 2)
        seen += found
    assert [entry.target for entry in seen] == [f"job-{number}" for number in reversed(range(5))]
    assert (seen[0].key_id, seen[0].request_id, seen[0].action) == ("a-key", "request-4", "cancel job")


def test_what_did_not_happen_is_not_told(database: Database) -> None:
    with suppress(RuntimeError), database.write() as connection:
        audit.append(connection, OPERATOR, "create key", "a-key")
        raise RuntimeError
    with database.read() as connection:
        assert audit.page(connection, None, 1) == ([], False)
