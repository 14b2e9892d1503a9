"""When a task is tried again, and what clock it has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pigeonry.errors import BadInput, OutsideFailure, PigeonryError, WrongUse


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (OutsideFailure("the relay is busy", transient=True), 4),
        (OutsideFailure("the key was refused", transient=False), 1),
        (BadInput("no such column"), 1),
    ],
    ids=["transient", "permanent", "wrong input"],
)
def test_only_what_may_pass_is_tried_again(error: PigeonryError, calls: int) -> None:
    from prefect import flow

    from flows.tasks import service_task

    seen = []

    @service_task("fails")
    def fails() -> None:
        seen.append(1)
        raise error

    @flow
    def run() -> None:
        fails.with_options(retry_delay_seconds=0)()

    with pytest.raises(type(error)):
        run()
    assert len(seen) == calls


def test_a_clock_that_is_set_goes_on_from_there() -> None:
    from flows.tasks import clock

    start = datetime(2026, 1, 31, 9, tzinfo=UTC)
    read = clock(start.isoformat())

    assert start <= read() < start + timedelta(seconds=5)


def test_a_clock_that_is_not_set_tells_the_time() -> None:
    from flows.tasks import clock

    assert abs(clock("")() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_time_that_is_none_is_refused() -> None:
    from flows.tasks import clock

    with pytest.raises(WrongUse, match="as_of"):
        clock("yesterday")
