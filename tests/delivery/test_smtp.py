"""What each thing that an SMTP server may do proves, against a real server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pigeonry.config import SmtpSettings
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.smtp import AFTER_DOT_SECONDS, SmtpSender
from pigeonry.domain import Outcome
from tests.delivery.sinks import SmtpSink, free_port, outgoing, smtp_sink


@contextmanager
def sender(sink: SmtpSink, timeout: float = 5, after_dot: float = 5) -> Iterator[SmtpSender]:
    found = SmtpSender(
        SmtpSettings(host="127.0.0.1", port=sink.port, security="none", timeout_seconds=timeout),
        after_dot_seconds=after_dot,
    )
    try:
        yield found
    finally:
        found.close()


def test_a_taken_mail_arrives_byte_for_byte_with_the_servers_own_number() -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        result = smtp.hand_over(outgoing())
    assert result.outcome is Outcome.ACCEPTED
    assert result.provider_id == "Q1"
    assert sink.bodies == [to_bytes(outgoing())]  # dots at the start of lines too


def test_one_connection_carries_many_mails() -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        for number in range(5):
            assert smtp.hand_over(outgoing(number)).outcome is Outcome.ACCEPTED
    assert sink.connections == 1
    assert len(set(sink.keys)) == 5


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("450 4.2.1 busy", Outcome.RETRY),
        ("550 5.1.1 no such user", Outcome.REFUSED),
        ("data:451 4.3.0 later", Outcome.RETRY),
        ("data:554 5.7.1 spam", Outcome.REFUSED),
    ],
)
def test_a_refusal_is_definite_and_the_connection_stays_usable(said: str, outcome: Outcome) -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        sink.script = {"bad@example.com": said}
        refused = smtp.hand_over(outgoing(1, "bad@example.com"))
        good = smtp.hand_over(outgoing(2))
    assert refused.outcome is outcome
    assert said.partition(":")[2] in refused.reason or said in refused.reason
    assert not refused.channel_down
    assert good.outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{2:032x}"]
    assert sink.connections == 1


def test_a_refused_sender_address_is_the_channels_trouble_not_the_leads() -> None:
    with smtp_sink(any="mail:550 5.7.1 sender not allowed") as sink, sender(sink) as smtp:
        result = smtp.hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_a_line_cut_after_the_final_dot_is_unknown() -> None:
    with smtp_sink(any="drop") as sink, sender(sink) as smtp:
        result = smtp.hand_over(outgoing())
    assert result.outcome is Outcome.UNKNOWN
    assert len(sink.keys) == 1  # it was taken indeed
    assert smtp.evidence(outgoing().send_key) is None


def test_a_line_cut_before_the_body_is_definitely_not_accepted() -> None:
    with smtp_sink(any="cut") as sink, sender(sink) as smtp:
        result = smtp.hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert sink.keys == []


def test_a_server_that_is_not_there_is_the_channels_trouble() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=free_port(), security="none", timeout_seconds=1)
    result = SmtpSender(settings).hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_a_server_without_starttls_gets_no_mail_when_the_settings_want_it() -> None:
    with smtp_sink() as sink:
        settings = SmtpSettings(host="127.0.0.1", port=sink.port, security="starttls")
        result = SmtpSender(settings).hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert "STARTTLS" in result.reason
    assert sink.keys == []


def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        smtp.hand_over(outgoing(1))
        line = smtp._idle[0]
        assert line.smtp.sock is not None
        line.smtp.sock.shutdown(socket.SHUT_RDWR)
        assert smtp.hand_over(outgoing(2)).outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{1:032x}", f"{2:032x}"]


@pytest.mark.parametrize("silent_after", [b"", b"MAIL", b"RCPT", b"DATA"])
def test_a_server_that_falls_silent_before_the_dot_is_definite(silent_after: bytes) -> None:
    with _silent_server(silent_after) as port:
        settings = SmtpSettings(host="127.0.0.1", port=port, security="none", timeout_seconds=0.3)
        result = SmtpSender(settings).hand_over(outgoing())
    assert result.outcome is Outcome.RETRY


def test_a_server_that_falls_silent_after_the_dot_is_unknown() -> None:
    with _silent_server(b".") as port:
        settings = SmtpSettings(host="127.0.0.1", port=port, security="none", timeout_seconds=2)
        result = SmtpSender(settings, after_dot_seconds=0.3).hand_over(outgoing())
    assert result.outcome is Outcome.UNKNOWN


def test_the_longest_hand_over_covers_ten_minutes_after_the_dot() -> None:
    settings = SmtpSettings(timeout_seconds=60)
    assert SmtpSender(settings).max_seconds >= AFTER_DOT_SECONDS + 60 == 660


@contextmanager
def _silent_server(silent_after: bytes) -> Iterator[int]:
    """Speaks SMTP until a command starts with `silent_after`, then says nothing more ("" = at once)."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as line:
            if silent_after:
                line.write(b"220 hello\r\n")
                line.flush()
                data = False
                for raw in line:
                    if not data and silent_after != b"." and raw.upper().startswith(silent_after):
                        break
                    if data:
                        if raw == b".\r\n":
                            break
                        continue
                    data = raw.upper().startswith(b"DATA")
                    line.write(b"354 go\r\n" if data else b"250 ok\r\n")
                    line.flush()
            over.wait(10)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()
        thread.join(5)
