"""A campaign over two channels: each message leaves once, by the channel that its row names."""

from __future__ import annotations

from collections import Counter

from pigeonry.config import Home, load_home
from pigeonry.delivery.base import make_sender, parts
from pigeonry.service.reconcile import reconcile
from pigeonry.service.sending import send_campaign
from pigeonry.store.session import Database
from tests.delivery.sinks import outgoing, smtp_sink
from tests.delivery.world import START, World

ENV = {
    "PIGEONRY_SENDING__CHANNEL": "smtp",
    "PIGEONRY_SENDING__FALLBACK": "file",
    "PIGEONRY_SMTP__SECURITY": "none",
}


def test_the_second_takes_what_the_first_cannot_and_nothing_else(
    any_database: Database, home: Home
) -> None:
    world = World(any_database, leads=8)
    world.plan()
    with smtp_sink() as sink:
        sink.script = {
            "lead2@example.com": "550 5.1.1 no such user",
            "lead3@example.com": "drop",  # taken in silence
            "lead5@example.com": "421 4.7.0 come back later",  # from here on the relay rests
        }
        env = {**ENV, "PIGEONRY_SMTP__PORT": str(sink.port)}
        report = send_campaign(
            any_database,
            load_home(home.path, env=env),
            world.campaign_id,
            now=lambda: START,
            patience=0.0,
            lanes=1,
        )
    rows = world.messages()
    files = {path.stem for path in home.outbox.rglob("*.eml")}
    assert [(row.state, row.channel) for row in rows] == [
        ("accepted", "smtp"),
        ("failed", "smtp"),
        ("unknown", "smtp"),
        ("accepted", "smtp"),
        *[("accepted", "file")] * 4,
    ]
    assert (report.sent, report.failed, report.unknown) == (6, 1, 1)
    assert files == {row.send_key for row in rows if row.channel == "file"}
    taken = Counter([*sink.keys, *files])
    assert set(taken.values()) == {1}
    assert set(taken) == {row.send_key for row in rows if row.state != "failed"}


def test_the_channel_that_a_row_names_is_asked_for_evidence(
    any_database: Database, home: Home
) -> None:
    """The second wrote the mail, and nobody heard of it: its outbox knows."""
    world = World(any_database, leads=2)
    world.plan()
    sender = make_sender(load_home(home.path, env=ENV))
    second = parts(sender)[2]
    second.hand_over(outgoing(send_key=world.keys()[0]))
    for position in (1, 2):
        world.set_state(position, "unknown", channel="file", handover_at=START)
    reconcile(any_database, home, sender, now=START)
    assert world.states() == ["accepted", "planned"]
