from __future__ import annotations

from scoring.guardrails import COMPLAINT_LIMIT, guardrails


def test_an_arm_shown_to_be_above_a_limit_is_stopped() -> None:
    [unsubscribes, complaints] = guardrails("A", sends=1000, unsubscribed=5, complained=20)
    assert complaints.stopped
    assert not unsubscribes.stopped
    assert "STOPPED" in complaints.sentence


def test_a_few_complaints_among_few_mails_are_watched_and_stop_nothing() -> None:
    [_, complaints] = guardrails("A", sends=100, unsubscribed=0, complained=1)
    assert complaints.rate.estimate > COMPLAINT_LIMIT
    assert complaints.watch
    assert not complaints.stopped


def test_an_arm_that_sent_nothing_keeps_every_limit() -> None:
    for rail in guardrails("A", sends=0, unsubscribed=0, complained=0):
        assert not rail.stopped
        assert not rail.watch
        assert rail.sentence.endswith("kept")
