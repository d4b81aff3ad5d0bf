"""Rows poured from one database into another of any kind: each value as it is stored, a few hundred rows at a time."""

from typing import Any

from sqlalchemy import JSON, Column, Connection, Table, Text, cast, column, func, insert, select, table, text

from store.tables import metadata

AT_ONCE = 500  # rows; an attempt's may hold 64,000 characters of log

# What a table has numbered up to, though the rows may be gone; and how it is told to go on from there.
NUMBERED = {
    "sqlite": text("SELECT seq FROM sqlite_sequence WHERE name = :table"),
    "postgresql": text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, :column) AS regclass))"),
}
GO_ON = {
    "sqlite": [
        text("DELETE FROM sqlite_sequence WHERE name = :table"),
        text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)"),
    ],
    "postgresql": [text("SELECT setval(pg_get_serial_sequence(:table, :column), :number)")],
}


def pour(source: Connection, target: Connection) -> None:
    """Copy every row of every table, and let numbers go on after the last that the source has given.

    Both databases must be at this version's revision, and the target's tables empty.
    """
    for each in metadata.sorted_tables:
        _copy(each, source, target)
        if each.autoincrement_column is not None:
            _go_on(each.autoincrement_column, source, target)


def filled(connection: Connection) -> list[str]:
    """Return the names of the tables that have a row."""
    return [each.name for each in metadata.sorted_tables if connection.execute(select(each).limit(1)).first()]


def _copy(each: Table, source: Connection, target: Connection) -> None:
    """Copy without a look at what is meant: JSON stays the text that it is, and SQL's NULL does not become JSON's."""
    untyped = table(each.name, *(column(known.name) for known in each.columns))
    stored = [
        cast(plain, Text).label(plain.name) if isinstance(known.type, JSON) else plain
        for plain, known in zip(untyped.columns, each.columns, strict=True)
    ]
    found = source.execute(select(*stored), execution_options={"yield_per": AT_ONCE})
    for rows in found.mappings().partitions():
        target.execute(insert(untyped), [dict(row) for row in rows])


def _go_on(numbered: Column[Any], source: Connection, target: Connection) -> None:
    """Let the target give no number that the source has given, be it to a row that was deleted since."""
    place = {"table": numbered.table.name, "column": numbered.name}
    given = source.scalar(NUMBERED[source.dialect.name], place), source.scalar(select(func.max(numbered)))
    if number := max(filter(None, given), default=0):
        for statement in GO_ON[target.dialect.name]:
            target.execute(statement, place | {"number": number})
