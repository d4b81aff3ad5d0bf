"""Time as the database tells it: leases compare clocks of one machine only, whoever asks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """A UTC time, kept as whole milliseconds since 1970 so that both databases compare and add it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware time into milliseconds."""
        return None if value is None else round(value.timestamp() * 1000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Turn milliseconds into an aware time."""
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


class _Now(FunctionElement[datetime]):
    type = Instant()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _now_sqlite(element: _Now, compiler: Any, **_: Any) -> str:  # Any: SQLAlchemy's compilers are untyped
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(_Now, "postgresql")
def _now_postgresql(element: _Now, compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def now() -> ColumnElement[datetime]:
    """Return the database's present time as an SQL expression."""
    return _Now()


def later(delay: timedelta) -> ColumnElement[datetime]:
    """Return the database's time `delay` from now as an SQL expression."""
    return after(literal(milliseconds(delay), BigInteger))


def after(delay: ColumnElement[int]) -> ColumnElement[datetime]:
    """Return the database's time so many milliseconds from now as an SQL expression."""
    return now().op("+", return_type=Instant())(delay)


def milliseconds(delay: timedelta) -> int:
    """Return a delay in the database's unit of time."""
    return round(delay.total_seconds() * 1000)
