import math

from hypothesis import given
from hypothesis import strategies as st

from store import claims, jobs, metrics
from store.database import Database
from store.metrics import Point
from tests.store import scenes


def test_points_come_back_in_order_of_step(database: Database) -> None:
    held = scenes.run(database)
    with database.write() as connection:
        claims.report(connection, held, 10, [(5, {"d_loss": 0.5, "g_loss": 2.0}), (10, {"d_loss": 0.25})], 12.5)
        claims.report(connection, held, 20, [(15, {"d_loss": 0.125})])
    with database.read() as connection:
        number = held.job.number
        assert metrics.names(connection, number, "", 2) == (["d_loss", "g_loss"], False)
        curve = metrics.series(connection, number, "d_loss")
        assert curve == [Point(5, 0.5), Point(10, 0.25), Point(15, 0.125)]
        assert metrics.series(connection, number, "d_loss", from_step=10) == curve[1:]
        assert metrics.series(connection, number, "no such") == []
    job = scenes.read(database, held.job)
    assert (job.metrics, job.step, job.images_per_second) == ({"d_loss": 0.125, "g_loss": 2.0}, 20, 12.5)


def test_pages_of_names_show_each_once_in_order(database: Database) -> None:
    held, other = scenes.run(database), scenes.run(database, "worker-2")
    names = ["a", "b", "c", "d", "e"]
    with database.write() as connection:
        claims.report(connection, other, 1, [(1, {"0": 0.0, "bb": 0.0, "z": 0.0})])
        claims.report(connection, held, 2, [(step, dict.fromkeys(reversed(names), 0.5)) for step in (1, 2)])
    with database.read() as connection:
        number = held.job.number
        for limit in range(1, 7):
            assert metrics.names(connection, number, "", limit) == (names[:limit], limit < 5)
            assert metrics.names(connection, number, "bb", limit) == (names[2:][:limit], limit < 3)
        assert metrics.names(connection, number, "e", 5) == metrics.names(connection, 99, "", 5) == ([], False)


def test_what_is_not_finite_is_written_as_nothing(database: Database) -> None:
    held = scenes.run(database)
    with database.write() as connection:
        claims.report(connection, held, 1, [(1, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e300})])
    assert scenes.read(database, held.job).metrics == {"a": None, "b": None, "c": None, "d": 1e300}
    with database.read() as connection:
        found = {name: metrics.series(connection, held.job.number, name) for name in "abcd"}
    assert found == {"a": [Point(1, None)], "b": [Point(1, None)], "c": [Point(1, None)], "d": [Point(1, 1e300)]}


def test_only_points_above_a_step_are_forgotten_and_of_one_job(database: Database) -> None:
    held, other = scenes.run(database), scenes.run(database, "worker-2")
    with database.write() as connection:
        for one in (held, other):
            claims.report(connection, one, 3, [(step, {"d_loss": float(step)}) for step in (1, 2, 3)])
        metrics.forget_after(connection, held.job.number, 2)
    with database.read() as connection:
        steps = [[p.step for p in metrics.series(connection, x.job.number, "d_loss")] for x in (held, other)]
    assert steps == [[1, 2], [1, 2, 3]]


def test_an_attempt_that_was_lost_at_the_very_end_may_tell_its_last_figures_again(database: Database) -> None:
    held = scenes.run(database)
    ends = [(3, {"cpu_seconds": 60.0}), (3, {"test_accuracy": 0.9})]
    with database.write() as connection:
        claims.report(connection, held, 3, [(step, {"d_loss": float(step), "testy": 1.0}) for step in (1, 2, 3)])
        for _ in range(2):
            claims.report(connection, held, 3, ends)
            claims.begin(connection, held, 3)
        found = jobs.get(connection, held.job.id).metrics
        curve = [point.step for point in metrics.series(connection, held.job.number, "d_loss")]
    assert (found, curve) == ({"d_loss": 3.0, "testy": 1.0}, [1, 2, 3])


def test_a_job_that_goes_back_has_the_figures_of_where_it_is(database: Database) -> None:
    held, other = scenes.run(database), scenes.run(database, "worker-2")
    with database.write() as connection:
        for one in (held, other):
            claims.report(connection, one, 2, [(1, {"d_loss": 1.0, "accuracy": 0.5}), (2, {"d_loss": 2.0})])
            claims.report(connection, one, 3, [(3, {"d_loss": 3.0, "accuracy": 0.9, "late": 1.0})])
        claims.roll_back(connection, held, 2, {"step": 2})
        found = [jobs.get(connection, one.job.id).metrics for one in (held, other)]
    assert found == [{"d_loss": 2.0, "accuracy": 0.5}, {"d_loss": 3.0, "accuracy": 0.9, "late": 1.0}]


values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
curves = st.lists(values, max_size=300).map(lambda found: [Point(7 * i, value) for i, value in enumerate(found)])


@given(curves, st.integers(1, 60))
def test_a_thinned_curve_is_short_and_made_of_its_own_points_in_order(curve: list[Point], most: int) -> None:
    thinned = metrics.thin(curve, most)
    assert len(thinned) <= most
    kept = iter(curve)
    assert all(point in kept for point in thinned)
    assert bool(thinned) == bool(curve)


@given(curves, st.integers(4, 60))
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(curve: list[Point], most: int) -> None:
    thinned = metrics.thin(curve, most)
    assert thinned[:1] + thinned[-1:] == curve[:1] + curve[-1:]
    finite, kept = ([p.value for p in points if p.value is not None] for points in (curve, thinned))
    assert (min(kept, default=None), max(kept, default=None)) == (min(finite, default=None), max(finite, default=None))


@given(curves)
def test_a_curve_that_is_short_enough_is_left_alone(curve: list[Point]) -> None:
    assert metrics.thin(curve, max(1, len(curve))) == curve


def test_a_spike_between_two_points_is_seen() -> None:
    curve = [Point(step, 1.0) for step in range(1000)]
    curve[617] = Point(617, 99.0)
    curve[204] = Point(204, -99.0)
    thinned = metrics.thin(curve, 50)
    assert {Point(617, 99.0), Point(204, -99.0)} < set(thinned)
    assert len(thinned) <= 50
