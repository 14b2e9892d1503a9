"""Two channels never take the same mail, whatever each of them answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeonry.config import load_home
from pigeonry.delivery.base import close, make_sender
from pigeonry.delivery.failover import FailoverSender
from pigeonry.domain import HandOver, Outcome, OutgoingMessage
from pigeonry.errors import ConfigError
from tests.delivery.sinks import outgoing, smtp_sink


@dataclass
class Scripted:
    """A channel that answers as it is told; a mail that it may have taken counts as taken."""

    name: str
    answer: HandOver
    known: bool | None = None
    max_seconds: float = 10.0
    seen: list[str] = field(default_factory=list)
    closed: bool = False

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        self.seen.append(message.send_key)
        return self.answer

    def evidence(self, send_key: str) -> bool | None:
        return self.known

    def close(self) -> None:
        self.closed = True

    @property
    def may_have_it(self) -> bool:
        return bool(self.seen) and self.answer.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)


ANSWERS = st.builds(
    HandOver,
    outcome=st.sampled_from(Outcome),
    channel_down=st.booleans(),
    retry_after=st.none() | st.floats(0, 100),
    reason=st.text(max_size=5),
)


@given(ANSWERS, ANSWERS)
def test_never_two_that_may_have_it_and_never_one_that_is_not_named(
    first: HandOver, second: HandOver
) -> None:
    one, two = Scripted("smtp", first), Scripted("sendgrid", second)
    result = FailoverSender(one, two).hand_over(outgoing())
    having = [channel.name for channel in (one, two) if channel.may_have_it]
    assert len(having) <= 1
    assert (result.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)) == bool(having)
    if having:
        assert result.channel == having[0]
    assert len(one.seen) == 1
    assert len(two.seen) <= 1


@given(ANSWERS)
def test_the_second_is_asked_only_for_trouble_of_the_first_itself(first: HandOver) -> None:
    two = Scripted("sendgrid", HandOver(Outcome.ACCEPTED))
    result = FailoverSender(Scripted("smtp", first), two).hand_over(outgoing())
    definite = first.outcome in (Outcome.RETRY, Outcome.REFUSED)
    assert bool(two.seen) == (definite and first.channel_down)
    assert result.channel == ("sendgrid" if two.seen else "smtp")


def test_a_refused_address_is_not_tried_elsewhere() -> None:
    two = Scripted("sendgrid", HandOver(Outcome.ACCEPTED))
    refusal = HandOver(Outcome.REFUSED, reason="550 5.1.1 no such user")
    result = FailoverSender(Scripted("smtp", refusal), two).hand_over(outgoing())
    assert (result.outcome, two.seen) == (Outcome.REFUSED, [])


def test_a_first_in_trouble_rests_until_it_may_be_better_or_the_second_is_down() -> None:
    now = [100.0]
    down = HandOver(Outcome.RETRY, channel_down=True, retry_after=60)
    one, two = Scripted("smtp", down), Scripted("file", HandOver(Outcome.ACCEPTED))
    pair = FailoverSender(one, two, clock=lambda: now[0])
    for number in range(3):
        assert pair.hand_over(outgoing(number)).channel == "file"
    assert len(one.seen) == 1
    now[0] += 61
    pair.hand_over(outgoing(4))
    assert len(one.seen) == 2
    two.answer = HandOver(Outcome.RETRY, channel_down=True)
    pair.hand_over(outgoing(5))
    pair.hand_over(outgoing(6))
    assert len(one.seen) == 3


def test_when_both_are_down_the_sooner_one_decides_how_long_to_wait() -> None:
    def down(seconds: float | None) -> HandOver:
        return HandOver(Outcome.RETRY, reason="x", channel_down=True, retry_after=seconds)

    both = FailoverSender(Scripted("a", down(60)), Scripted("b", down(5)))
    assert both.hand_over(outgoing()).retry_after == 5
    one = FailoverSender(Scripted("a", down(None)), Scripted("b", down(5)))
    assert one.hand_over(outgoing()).retry_after is None
    assert one.hand_over(outgoing()).channel_down


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [(True, False, True), (True, None, True), (None, True, True), (False, False, False),
     (False, None, None), (None, False, None), (None, None, None)],
)  # fmt: skip
def test_evidence_needs_one_that_has_it_or_both_that_have_not(
    first: bool | None, second: bool | None, together: bool | None
) -> None:
    nothing = HandOver(Outcome.UNKNOWN)
    pair = FailoverSender(Scripted("a", nothing, first), Scripted("b", nothing, second))
    assert pair.evidence("k") is together


def test_a_relay_that_is_down_is_stood_in_for_by_the_outbox(tmp_path: Path) -> None:
    env = {
        "PIGEONRY_SENDING__CHANNEL": "smtp", "PIGEONRY_SENDING__FALLBACK": "file",
        "PIGEONRY_SMTP__SECURITY": "none",
    }  # fmt: skip
    with smtp_sink(any="mail:554 5.7.1 your network is blocked") as sink:
        home = load_home(tmp_path, env={**env, "PIGEONRY_SMTP__PORT": str(sink.port)})
        sender = make_sender(home)
        result = sender.hand_over(outgoing())
        close(sender)
        sender = make_sender(home)  # one that has not met the trouble
        sink.script = {}
        again = sender.hand_over(outgoing(2))
        close(sender)
    assert sender.name == "smtp>file"
    assert sender.max_seconds == 3 * 60 + 600 + 30
    assert (result.outcome, result.channel) == (Outcome.ACCEPTED, "file")
    assert (again.outcome, again.channel) == (Outcome.ACCEPTED, "smtp")
    assert sink.keys == [outgoing(2).send_key]
    assert sender.evidence(outgoing().send_key) is True
    assert sender.evidence(outgoing(2).send_key) is None  # files say no, SMTP cannot know


def test_a_channel_is_no_fallback_of_its_own(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={"PIGEONRY_SENDING__FALLBACK": "file"})
    with pytest.raises(ConfigError, match=r"sending\.fallback"):
        make_sender(home)


def test_both_are_closed() -> None:
    one, two = Scripted("a", HandOver(Outcome.RETRY)), Scripted("b", HandOver(Outcome.RETRY))
    close(FailoverSender(one, two))
    assert one.closed
    assert two.closed
