"""A campaign's messages go out once each, and whatever stands in the way is visible afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from sqlalchemy import update

from pigeonry.config import Home, load_home
from pigeonry.delivery.file import FileSender
from pigeonry.delivery.sendgrid import SendGridSender
from pigeonry.delivery.smtp import SmtpSender
from pigeonry.domain import HandOver, Outcome, OutgoingMessage
from pigeonry.domain.message import Sender
from pigeonry.errors import ConfigError, OutsideFailure, Refused
from pigeonry.service import landing
from pigeonry.service.sending import SendReport, parked, resolve, send_campaign
from pigeonry.store.models import Variant
from pigeonry.store.session import Database
from tests.delivery.sinks import SmtpSink, api_sink, smtp_sink
from tests.delivery.world import START, World


class Clock:
    """Stands still until it is told to move on."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


class Scripted:
    """A channel that answers as told and remembers what it saw."""

    name = "scripted"
    max_seconds = 1.0

    def __init__(self, answer: Callable[[OutgoingMessage], HandOver] | None = None) -> None:
        self.answer = answer or (lambda _mail: HandOver(Outcome.ACCEPTED))
        self.mails: list[OutgoingMessage] = []
        self.known: bool | None = None

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        self.mails.append(message)
        return self.answer(message)

    def evidence(self, send_key: str) -> bool | None:
        return self.known


def settings(home: Home, **sending: Any) -> Home:
    values = {f"PIGEONRY_SENDING__{key.upper()}": str(value) for key, value in sending.items()}
    return load_home(home.path, env=values)


def send(world: World, home: Home, sender: Sender | None = None, **options: Any) -> SendReport:
    options = {"now": Clock(), "patience": 0.0, **options}
    return send_campaign(world.database, home, world.campaign_id, sender=sender, **options)


def planned(database: Database, leads: int) -> World:
    world = World(database, leads=leads)
    world.plan()
    return world


def test_every_planned_message_becomes_one_file(any_database: Database, home: Home) -> None:
    world = planned(any_database, 60)
    report = send(world, home)
    assert (report.sent, report.waiting, report.failed) == (60, 0, 0)
    files = list(home.outbox.rglob("*.eml"))
    assert sorted(path.stem for path in files) == sorted(world.keys())
    mail = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert mail["Subject"] == "Cursul de desen te așteaptă"
    assert set(world.states()) == {"accepted"}
    assert len(world.attempts()) == 60


def test_a_second_run_sends_nothing(database: Database, home: Home) -> None:
    world = planned(database, 5)
    send(world, home)
    again = send(world, home)
    assert (again.sent, again.handed_over) == (5, 0)


def test_only_the_wave_that_was_asked_for_goes_out(database: Database, home: Home) -> None:
    world = planned(database, 4)
    world.set_state(1, "planned", wave=2)
    assert send(world, home, wave=1).sent == 3
    assert world.states() == ["planned", "accepted", "accepted", "accepted"]


def test_suppression_and_withdrawal_after_planning_win(any_database: Database, home: Home) -> None:
    world = planned(any_database, 4)
    world.suppress(world.lead_ids[0], "bounce")
    world.consent(world.lead_ids[1], "withdrawn", START)
    report = send(world, home)
    assert (report.sent, report.cancelled) == (2, 2)
    assert [m.reason for m in world.messages()[:2]] == ["suppressed: bounce", "consent withdrawn"]


def test_a_suppression_in_the_middle_of_a_run_is_honoured_from_then_on(
    database: Database, home: Home
) -> None:
    world = planned(database, 20)
    sender = Scripted()

    def answer(_mail: OutgoingMessage) -> HandOver:
        if len(sender.mails) == 5:
            for lead_id in world.lead_ids[10:]:
                world.suppress(lead_id)
        return HandOver(Outcome.ACCEPTED)

    sender.answer = answer
    report = send(world, home, sender, lanes=1)
    assert (report.sent, report.cancelled) == (10, 10)


def test_a_mail_that_alone_brings_the_channel_down_fails_and_the_others_go_out(
    any_database: Database, home: Home
) -> None:
    world = planned(any_database, 6)
    bad = world.keys()[0]

    def answer(mail: OutgoingMessage) -> HandOver:
        if mail.send_key == bad:
            return HandOver(Outcome.RETRY, reason="421 what is that", channel_down=True)
        return HandOver(Outcome.ACCEPTED)

    send(world, settings(home, max_attempts=3), Scripted(answer), patience=10.0)
    assert world.states() == ["failed"] + ["accepted"] * 5
    assert "421 what is that" in world.messages()[0].reason


def test_a_channel_that_takes_nothing_fails_no_message(any_database: Database, home: Home) -> None:
    world = planned(any_database, 2)
    for _ in range(6):
        with pytest.raises(OutsideFailure):
            send(
                world,
                settings(home, max_attempts=3),
                Scripted(lambda _m: HandOver(Outcome.RETRY, reason="down", channel_down=True)),
            )
    assert world.states() == ["planned"] * 2


def test_a_temporary_refusal_is_tried_again_later_and_not_before(
    database: Database, home: Home
) -> None:
    world, clock = planned(database, 1), Clock()
    answers = [HandOver(Outcome.RETRY, reason="450 later"), HandOver(Outcome.ACCEPTED)]
    sender = Scripted(lambda _mail: answers.pop(0))
    assert send(world, home, sender, now=clock).waiting == 1
    row = world.messages()[0]
    assert (row.state, row.not_before, row.attempts) == (
        "planned",
        START + timedelta(seconds=30),
        1,
    )
    assert send(world, home, sender, now=clock).handed_over == 0
    clock.at += timedelta(seconds=31)
    assert send(world, home, sender, now=clock).sent == 1


def test_after_the_last_try_a_message_fails_with_the_servers_reason(
    database: Database, home: Home
) -> None:
    world, clock = planned(database, 1), Clock()
    sender = Scripted(lambda _mail: HandOver(Outcome.RETRY, reason="450 later"))
    for _ in range(3):
        report = send(world, settings(home, max_attempts=3), sender, now=clock)
        clock.at += timedelta(hours=1)
    assert report.failed == 1
    assert world.messages()[0].reason == "gave up after 3 tries: 450 later"
    assert len(world.attempts()) == 3


def test_a_final_refusal_fails_at_once(database: Database, home: Home) -> None:
    world = planned(database, 1)
    report = send(world, home, Scripted(lambda _m: HandOver(Outcome.REFUSED, reason="550 no")))
    assert (report.failed, world.messages()[0].reason) == (1, "550 no")


def test_an_unknown_outcome_is_never_sent_again(database: Database, home: Home) -> None:
    world, clock = planned(database, 1), Clock()
    sender = Scripted(lambda _mail: HandOver(Outcome.UNKNOWN, reason="cut"))
    for _ in range(3):
        report = send(world, home, sender, now=clock)
        clock.at += timedelta(hours=1)
    assert len(sender.mails) == 1
    assert (report.unknown, report.parked) == (0, 1)


@pytest.mark.parametrize(("known", "state"), [(True, "accepted"), (False, "planned")])
def test_evidence_settles_an_unknown_message(
    database: Database, home: Home, known: bool, state: str
) -> None:
    world = planned(database, 1)
    sender = Scripted(lambda _mail: HandOver(Outcome.UNKNOWN, reason="cut"))
    sender.known = known
    sender.answer = lambda _m: HandOver(Outcome.UNKNOWN)
    send(world, home, sender, stop=_set_after(1, sender))
    assert world.states() == [state]


def _set_after(count: int, sender: Scripted) -> threading.Event:
    """A stop that is set once the channel has seen so many mails."""
    stop = threading.Event()
    answer = sender.answer

    def counting(mail: OutgoingMessage) -> HandOver:
        if len(sender.mails) >= count:
            stop.set()
        return answer(mail)

    sender.answer = counting
    return stop


def test_a_stop_finishes_what_is_under_way_and_gives_the_rest_back(
    database: Database, home: Home
) -> None:
    world, sender = planned(database, 50), Scripted()
    report = send(world, home, sender, stop=_set_after(5, sender), lanes=2)
    assert len(sender.mails) <= 7
    assert report.sent == len(sender.mails)
    assert report.waiting == 50 - report.sent
    assert set(world.states()) == {"accepted", "planned"}


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_pause_or_a_cancellation_acts_on_the_next_message(
    database: Database, home: Home, state: str
) -> None:
    world, sender = planned(database, 30), Scripted()

    def answer(_mail: OutgoingMessage) -> HandOver:
        if len(sender.mails) == 3:
            world.set_campaign(state)
        return HandOver(Outcome.ACCEPTED)

    sender.answer = answer
    report = send(world, home, sender, lanes=1)
    assert report.sent == len(sender.mails) == 3
    rest = {"paused": report.waiting, "cancelled": report.cancelled}[state]
    assert rest == 27
    assert "claimed" not in world.states()


def test_in_quiet_hours_a_message_waits_for_the_leads_own_morning(
    database: Database, home: Home
) -> None:
    world, clock = planned(database, 2), Clock()
    world.change_lead(world.lead_ids[0], timezone="America/New_York")  # 05:00 there, 12:00 here
    night = settings(home, quiet_from="21:00", quiet_to="08:00")
    report = send(world, night, Scripted(), now=clock)
    assert (report.sent, report.waiting) == (1, 1)
    assert world.messages()[0].not_before == datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
    clock.at = datetime(2026, 11, 24, 13, 1, tzinfo=UTC)
    assert send(world, night, Scripted(), now=clock).sent == 2


def test_the_pace_is_kept(database: Database, home: Home) -> None:
    world, moments = planned(database, 6), []

    def answer(_mail: OutgoingMessage) -> HandOver:
        moments.append(time.monotonic())
        return HandOver(Outcome.ACCEPTED)

    send(world, settings(home, per_second=10), Scripted(answer), lanes=4)
    assert moments[-1] - moments[0] >= 0.45


def test_a_channel_that_is_down_fails_no_message_and_says_so(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "CHANNEL_TRIES", 2)
    world = planned(database, 10)
    sender = Scripted(lambda _m: HandOver(Outcome.RETRY, reason="535 no login", channel_down=True))
    with pytest.raises(OutsideFailure, match="535 no login"):
        send(world, home, sender, patience=10.0)
    assert set(world.states()) == {"planned"}
    assert {row.attempts for row in world.messages()} == {0}
    assert send(world, home, Scripted()).sent == 10


def test_a_bug_in_a_channel_leaves_its_message_unknown_and_is_raised(
    database: Database, home: Home
) -> None:
    def broken(_mail: OutgoingMessage) -> HandOver:
        raise RuntimeError("boom")

    world = planned(database, 3)
    with pytest.raises(RuntimeError, match="boom"):
        send(world, home, Scripted(broken), lanes=1)
    assert sorted(world.states()) == ["planned", "planned", "unknown"]


def test_a_lease_shorter_than_the_longest_hand_over_is_refused_at_the_start(
    database: Database, home: Home
) -> None:
    world, sender = planned(database, 1), Scripted()
    sender.max_seconds = 1000.0
    with pytest.raises(ConfigError, match="at least 1003"):
        send(world, home, sender)
    assert world.states() == ["planned"]


def test_a_lead_whose_address_may_not_stand_in_a_header_fails_alone(
    database: Database, home: Home
) -> None:
    world = planned(database, 3)
    world.change_lead(world.lead_ids[1], email="a@b.ro\r\nBcc: c@d.ro")
    report = send(world, home)
    assert (report.sent, report.failed) == (2, 1)
    assert "address" in world.messages()[1].reason


def test_a_variant_with_an_unfilled_slot_stops_the_campaign_and_names_it(
    database: Database, home: Home
) -> None:
    world = planned(database, 3)
    with database.write() as session:
        session.execute(update(Variant).values(hook="Hello {product}"))
    with pytest.raises(Exception, match=rf"variant {world.variant_id}") as caught:
        send(world, home)
    assert "{product}" in str(caught.value)
    assert set(world.states()) == {"planned"}


def test_claims_of_a_dead_sender_on_this_machine_are_taken_over_at_once(
    any_database: Database, home: Home
) -> None:
    from pigeonry.service.owners import new_owner

    with new_owner() as owner:
        pass  # its block is over: it is dead
    world = planned(any_database, 3)
    later = START + timedelta(hours=1)
    world.set_state(1, "claimed", owner=owner, lease_until=later)
    world.set_state(
        2, "handing_over", owner=owner, lease_until=later, handover_at=START, channel="file"
    )
    assert send(world, home).sent == 3
    assert len(list(home.outbox.rglob("*.eml"))) == 3


def test_a_hand_over_that_was_finished_before_the_death_is_found_and_not_repeated(
    database: Database, home: Home
) -> None:
    from pigeonry.service.owners import new_owner

    with new_owner() as owner:
        pass
    world = planned(database, 1)
    sent: list[OutgoingMessage] = []

    class Watching(FileSender):
        def hand_over(self, message: OutgoingMessage) -> HandOver:
            sent.append(message)
            return super().hand_over(message)

    send(world, home, Watching(home.outbox))
    world.set_state(1, "handing_over", owner=owner, lease_until=START + timedelta(hours=1))
    report = send(world, home, Watching(home.outbox))
    assert (report.sent, len(sent)) == (1, 1)


def test_two_senders_at_once_share_the_work_and_repeat_nothing(
    any_database: Database, home: Home
) -> None:
    world, senders = planned(any_database, 80), [Scripted(), Scripted()]
    home = settings(home, batch=5)
    threads = [
        threading.Thread(
            target=send, args=(world, home, sender), kwargs={"now": _real, "patience": 20.0}
        )
        for sender in senders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    keys = [mail.send_key for sender in senders for mail in sender.mails]
    assert sorted(keys) == sorted(world.keys())
    assert set(world.states()) == {"accepted"}


def _real() -> datetime:
    return datetime.now(UTC)


def smtp_sender(sink: SmtpSink) -> SmtpSender:
    from pigeonry.config import SmtpSettings

    return SmtpSender(
        SmtpSettings(
            host="127.0.0.1",
            port=sink.port,
            security="none",
            timeout_seconds=5,
            after_dot_seconds=5,
        )
    )


def test_over_smtp_each_refusal_and_each_silence_ends_where_it_belongs(
    any_database: Database, home: Home
) -> None:
    world, clock = planned(any_database, 6), Clock()
    with smtp_sink() as sink:
        sink.script = {
            "lead1@example.com": "550 5.1.1 no such user",
            "lead2@example.com": "450 4.2.1 busy",
            "lead3@example.com": "drop",
            "lead4@example.com": "data:554 5.6.0 cannot be read",
        }
        sender = smtp_sender(sink)
        report = send(world, home, sender, now=clock)
        assert (report.sent, report.failed, report.waiting, report.unknown) == (2, 2, 1, 1)
        clock.at += timedelta(hours=1)
        del sink.script["lead2@example.com"]
        report = send(world, home, sender, now=clock)
        sender.close()
    assert (report.sent, report.failed, report.parked) == (3, 2, 1)
    assert len(sink.keys) == len(set(sink.keys)) == 4  # three sent, one taken in silence
    listed = parked(any_database, home, now=clock.at)
    assert [(row.email, row.state.value) for row in listed] == [("lead3@example.com", "parked")]
    resolve(any_database, listed[0].id, True, now=clock.at)
    assert world.states().count("accepted") == 4
    with pytest.raises(Refused):
        resolve(any_database, listed[0].id, True, now=clock.at)


def test_over_sendgrid_an_error_of_theirs_is_unknown_and_an_event_settles_it(
    database: Database, home: Home
) -> None:
    from pigeonry.config import SendgridSettings
    from pigeonry.store.models import Event

    world, clock = planned(database, 3), Clock()

    def answer(number: int) -> Any:
        return 500 if number == 1 else 202

    with api_sink(answer) as sink:
        sender = SendGridSender(SendgridSettings(host=sink.host, timeout_seconds=5), "k")
        report = send(world, home, sender, now=clock, lanes=1)
        assert (report.sent, report.unknown) == (2, 1)
        silent = next(row for row in world.messages() if row.state == "unknown")
        with database.write() as session:
            session.add(
                Event(
                    source="sendgrid", event_id="e1", message_id=silent.id, kind="processed",
                    at=START, human=1.0, url="", user_agent="", ip="", reason="",
                )
            )  # fmt: skip
        report = send(world, home, sender, now=clock, lanes=1)
    assert (report.sent, report.unknown, len(sink.requests)) == (3, 0, 3)


def test_progress_is_told_up_to_the_end(database: Database, home: Home) -> None:
    world, told = planned(database, 10), []
    send(
        world, home, Scripted(), progress=lambda label, done, total=None: told.append((done, total))
    )
    assert told[-1] == (10, 10)
