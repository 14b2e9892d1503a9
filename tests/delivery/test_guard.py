"""Quiet hours, pace and backing off, as arithmetic."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeonry.delivery.guard import (
    Pacer,
    QuietHours,
    backoff,
    quiet_hours,
    quiet_until,
    zones,
)
from pigeonry.errors import ConfigError

BUCHAREST = (ZoneInfo("Europe/Bucharest"),)
NIGHT = QuietHours(time(21), time(8))


def utc(hour: int, minute: int = 0, day: int = 24, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_in_the_night_a_message_waits_until_the_local_morning() -> None:
    assert quiet_until(utc(20), NIGHT, BUCHAREST) == utc(6, day=25)  # 22:00 there, until 08:00


def test_by_day_it_leaves_at_once() -> None:
    assert quiet_until(utc(10), NIGHT, BUCHAREST) is None


def test_quiet_hours_follow_summer_time() -> None:
    # 25 October 2026, 04:00 summer time becomes 03:00: the morning comes an hour later in UTC.
    assert quiet_until(utc(20, day=24, month=10), NIGHT, BUCHAREST) == utc(6, day=25, month=10)
    assert quiet_until(utc(20, day=23, month=10), NIGHT, BUCHAREST) == utc(5, day=24, month=10)


def test_in_a_country_of_many_zones_all_of_them_have_to_be_awake() -> None:
    where = (ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles"))
    # 13:00 UTC is 08:00 in New York but 05:00 in Los Angeles, where the morning starts at 16:00 UTC.
    assert quiet_until(utc(13), NIGHT, where) == utc(16)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_when_the_wait_is_over_it_is_day_there(at: datetime) -> None:
    until = quiet_until(at, NIGHT, BUCHAREST)
    moment = until or at
    assert not NIGHT.holds(moment.astimezone(BUCHAREST[0]).time())
    assert moment - at <= timedelta(hours=13)


def test_a_lead_without_a_zone_lives_in_its_country_and_else_in_the_default_one() -> None:
    assert zones("Europe/London", "RO", "RO") == (ZoneInfo("Europe/London"),)
    assert zones("Mars/Base", "RO", "RO") == BUCHAREST
    assert zones("", "MD", "RO") == (ZoneInfo("Europe/Chisinau"),)
    assert zones("", "nowhere", "RO") == BUCHAREST
    assert len(zones("", "US", "RO")) > 10


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/localtime", "\x00", "Europe/", "x" * 400]
)
def test_a_hostile_zone_name_falls_back_to_the_country(name: str) -> None:
    assert zones(name, "RO", "RO") == BUCHAREST


def test_half_a_pair_of_quiet_hours_is_refused_and_none_at_all_is_none() -> None:
    assert quiet_hours("", "") is None
    assert quiet_hours("21:00", "08:00") == NIGHT
    with pytest.raises(ConfigError, match=r"quiet_from"):
        quiet_hours("21:00", "")
    with pytest.raises(ConfigError, match=r"no times of day"):
        quiet_hours("nine", "08:00")


def test_backing_off_doubles_has_a_limit_and_never_undercuts_the_provider() -> None:
    assert [backoff(n, first=30.0) for n in (1, 2, 3)] == [30.0, 60.0, 120.0]
    assert backoff(20, first=30.0) == 3600.0
    assert backoff(1, retry_after=500.0, first=30.0) == 500.0


@given(st.lists(st.floats(0, 5), min_size=2, max_size=40), st.sampled_from([0.5, 3.0, 10.0]))
def test_no_second_holds_more_hand_overs_than_the_cap(gaps: list[float], per_second: float) -> None:
    pacer, now, taken = Pacer(per_second), 0.0, []
    for gap in gaps:
        now += gap
        now += pacer.wait(now)
        pacer.take(now)
        taken.append(now)
    for first, second in itertools.pairwise(taken):
        assert second - first >= 1 / per_second - 1e-9
