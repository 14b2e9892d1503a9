"""What arrived is counted from the far end's log, and a loss cannot hide behind our own tables."""

from __future__ import annotations

from pathlib import Path

from pigeonry.prove.counting import Arrival, arrivals, count

A, B, C = "a" * 32, "b" * 32, "c" * 32


def seen(*keys: str) -> list[Arrival]:
    return [Arrival(1.0, key, 0.5) for key in keys]


def test_a_mail_that_arrived_twice_is_a_duplicate() -> None:
    assert count(seen(A, A, B), {A: "accepted", B: "accepted"}).duplicates == 1


def test_accepted_by_our_tables_and_never_seen_is_lost() -> None:
    found = count(seen(A), {A: "accepted", B: "accepted"})
    assert found.lost == 1
    assert not found.clean


def test_what_still_says_planned_or_handing_over_and_never_arrived_is_lost() -> None:
    assert count([], {A: "planned", B: "handing_over", C: "claimed"}).lost == 3


def test_what_is_shown_as_failed_cancelled_parked_or_unknown_is_not_lost() -> None:
    states = {A: "failed", B: "cancelled", C: "parked", "d" * 32: "unknown"}
    assert count([], states).clean


def test_a_mail_of_no_message_of_ours_is_foreign() -> None:
    assert count(seen(C), {A: "failed"}).foreign == 1


def test_a_line_that_was_cut_was_never_answered(tmp_path: Path) -> None:
    log = tmp_path / "sink.log"
    log.write_text(f"2525\n1.5 {A} 1.25\n2.5 {B} 2.")
    assert arrivals(log) == [Arrival(1.5, A, 1.25)]
