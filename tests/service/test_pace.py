"""Nobody gets more in any stretch of time than a limit allows, whoever counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pigeonry.config import LimitSettings, SendingSettings
from pigeonry.service.pace import Pace
from pigeonry.store.session import Database

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def pace(*limits: LimitSettings, start: int = 0) -> Pace:
    sending = SendingSettings(limits=limits, warmup_start=start, warmup_growth=2.0)
    return Pace(sending, channel="smtp", sender_domain="scoala.example")


def admitted(database: Database, of: Pace, domains: list[str], at: float) -> list[bool]:
    with database.write() as session:
        answers = of.admit(session, domains, START + timedelta(seconds=at))
    return [answer is None for answer in answers]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(gaps=st.lists(st.floats(0.0, 4.0), min_size=5, max_size=40), run=st.integers(0, 10**9))
def test_no_stretch_of_the_window_holds_more_than_the_limit(
    database: Database, gaps: list[float], run: int
) -> None:
    limit = LimitSettings(scope="recipient", match=f"{run}.example", count=3, seconds=10.0)
    two, at, left = (pace(limit), pace(limit)), 0.0, []
    for number, gap in enumerate(gaps):  # two senders by turns
        at += gap
        if admitted(database, two[number % 2], [f"{run}.example"], at)[0]:
            left.append(at)
    assert all(sum(t <= x < t + 10.0 for x in left) <= 3 for t in left)


def test_a_limit_of_one_domain_holds_back_no_other(any_database: Database) -> None:
    found = pace(LimitSettings(scope="recipient", match="gmail.com", count=1, seconds=60))
    domains = ["gmail.com", "gmail.com", "yahoo.com"]
    assert admitted(any_database, found, domains, 0) == [True, False, True]


def test_who_has_to_wait_may_leave_when_it_was_told(any_database: Database) -> None:
    found = pace(LimitSettings(scope="channel", match="*", count=2, seconds=60))
    with any_database.write() as session:
        wait = found.admit(session, ["a.example"] * 3, START)[2]
    assert wait is not None
    assert wait.everybody
    assert timedelta(seconds=60) <= wait.until - START <= timedelta(seconds=63.1)
    later = (wait.until - START).total_seconds()
    assert admitted(any_database, found, ["a.example"], later) == [True]


def test_a_new_sender_domain_warms_up_day_by_day(any_database: Database) -> None:
    found, day = pace(start=2), 86_400.0
    assert admitted(any_database, found, ["a.example"] * 3, 0) == [True, True, False]
    assert admitted(any_database, found, ["a.example"] * 5, day) == [True] * 4 + [False]
    assert admitted(any_database, found, ["a.example"] * 9, 2 * day) == [True] * 8 + [False]
