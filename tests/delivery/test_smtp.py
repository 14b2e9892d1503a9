"""What each thing that an SMTP server may do proves, against a real server on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dkim
import pytest

from pigeonry.config import SmtpSettings, load_home
from pigeonry.delivery import wire
from pigeonry.delivery.dkim import make_key
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.smtp import SmtpSender
from pigeonry.domain import HandOver, Outcome
from pigeonry.errors import ConfigError
from tests.delivery.servers import Certificate, make_certificate, secure_sink, talking, wait_until
from tests.delivery.sinks import SmtpSink, free_port, outgoing, smtp_sink

# aiosmtpd does not count TLS from the first byte as TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def sender(sink: SmtpSink, timeout: float = 5, after_dot: float = 5) -> Iterator[SmtpSender]:
    found = SmtpSender(
        SmtpSettings(
            host="127.0.0.1",
            port=sink.port,
            security="none",
            timeout_seconds=timeout,
            after_dot_seconds=after_dot,
        )
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
        ("550 5.7.133 only for members of the group", Outcome.REFUSED),
        ("data:451 4.3.0 later", Outcome.RETRY),
        ("data:554 5.6.0 cannot be read", Outcome.REFUSED),
    ],
)
@pytest.mark.parametrize("piped", [False, True])
def test_a_refusal_is_definite_and_the_connection_stays_usable(
    said: str, outcome: Outcome, piped: bool
) -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        sink.pipelining = piped
        sink.script = {"bad@example.com": said}
        refused = smtp.hand_over(outgoing(1, "bad@example.com"))
        good = smtp.hand_over(outgoing(2))
    assert refused.outcome is outcome
    assert said.partition(":")[2] in refused.reason or said in refused.reason
    assert not refused.channel_down
    assert good.outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{2:032x}"]
    assert sink.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        "mail:550 5.1.8 sender not allowed",
        "mail:530 authenticate first",
        "mail:421 4.7.0 too many",
        "550 5.7.515 access denied, sending domain does not meet the required level",
        "554 5.7.1 relay access denied",
        "421 4.7.28 rate limit",
        "data:550 5.7.26 unauthenticated mail is prohibited",
        "data:554 5.7.1 blocked",
        "data:421 4.3.2 closing",
    ],
)
@pytest.mark.parametrize("piped", [False, True])
def test_what_is_wrong_with_us_fails_nobodys_message(said: str, piped: bool) -> None:
    with smtp_sink(any=said) as sink, sender(sink) as smtp:
        sink.pipelining = piped
        result = smtp.hand_over(outgoing())
        sink.script = {}
        good = smtp.hand_over(outgoing(2))
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert good.outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{2:032x}"]


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


def test_a_connection_that_the_server_closed_meanwhile_costs_nothing() -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        smtp.hand_over(outgoing(1))
        sink.hang_up()
        wait_until(lambda: not wire.is_quiet(smtp._idle[0].sock))
        assert smtp.hand_over(outgoing(2)).outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{1:032x}", f"{2:032x}"]


def test_a_connection_that_breaks_as_it_is_taken_up_again_is_replaced() -> None:
    with smtp_sink() as sink, sender(sink) as smtp:
        smtp.hand_over(outgoing(1))
        line = smtp._idle[0]
        assert line.sock is not None
        line.sock.shutdown(socket.SHUT_WR)
        assert smtp.hand_over(outgoing(2)).outcome is Outcome.ACCEPTED
    assert sink.keys == [f"{1:032x}", f"{2:032x}"]


def test_each_lane_has_a_connection_and_no_mail_gets_lost_between_them() -> None:
    with smtp_sink() as sink, sender(sink) as smtp, ThreadPoolExecutor(4) as lanes:
        sink.script = {f"lead{n}@example.com": "550 5.1.1 gone" for n in range(0, 120, 7)}
        mails = [outgoing(n, f"lead{n}@example.com") for n in range(120)]
        results = list(lanes.map(smtp.hand_over, mails))
    taken = [m.send_key for m, r in zip(mails, results, strict=True) if r.provider_id]
    assert sorted(sink.keys) == sorted(taken)
    assert len(taken) == 120 - len(sink.script)
    assert sink.connections <= 8  # four lanes, each replaced at most once after a hundred mails


def test_a_server_that_offers_pipelining_is_asked_in_one_write() -> None:
    script = [
        b"220 x\r\n",
        b"250-x\r\n250 PIPELINING\r\n",
        b"250 a\r\n250 b\r\n354 c\r\n",
        b"250 ok\r\n",
    ]
    with talking(script) as server:
        result = one(server.port)
    assert result.outcome is Outcome.ACCEPTED
    assert server.heard[1].count(b"\r\n") == 3  # MAIL, RCPT and DATA came together


def test_a_server_that_would_take_a_mail_for_nobody_gets_none() -> None:
    script = [b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n", b"250 a\r\n550 5.1.1 b\r\n354 c\r\n"]
    with talking(script) as server:
        result = one(server.port)
    assert result.outcome is Outcome.REFUSED
    assert not result.channel_down
    assert not any(b"Subject" in heard for heard in server.heard)


# What the server says at greeting, EHLO, MAIL, RCPT, DATA and after the dot.
TALK = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n"]


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("end", ["silence", "cut", "reset", "drip", "gibberish"])
def test_what_ends_a_talk_is_definite_before_the_dot_and_unknown_after_it(
    place: int, end: str
) -> None:
    last = {"gibberish": b"\x00\xff??\r\n", "drip": b"250-" + b"x" * 400}.get(end, b"")
    with talking([*TALK[:place], last], end=end) as server:
        began = time.monotonic()
        found = SmtpSender(settings(server.port, timeout=0.4, after_dot=0.5))
        result = found.hand_over(outgoing())
        took = time.monotonic() - began
    assert took < found.max_seconds + 0.5
    if place == 5:
        assert result.outcome is Outcome.UNKNOWN
    else:
        assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


REPLY = b"250 2.0.0 queued as X1\r\n"


@pytest.mark.parametrize("length", range(len(REPLY)))
@pytest.mark.parametrize("end", ["cut", "reset"])
def test_a_reply_to_the_dot_that_breaks_off_counts_once_its_code_is_there(
    length: int, end: str
) -> None:
    with talking([*TALK[:5], REPLY[:length]], end=end) as server:
        result = one(server.port)
    expected = {Outcome.ACCEPTED} if length >= 3 else {Outcome.UNKNOWN}
    if end == "reset":
        expected.add(Outcome.UNKNOWN)  # a reset may overtake what was sent before it
    assert result.outcome in expected


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "said", [b"421 4.3.2 closing\r\n", b"454 4.7.0 later\r\n", b"554 5.7.1 not you\r\n"]
)
def test_a_refusal_in_each_phase_is_definite(place: int, said: bytes) -> None:
    with talking([*TALK[:place], said], end="cut") as server:
        result = one(server.port)
    assert result.outcome is Outcome.RETRY
    # A temporary refusal from the recipient on is the mail's own; anything else is about us.
    assert result.channel_down == (place < 2 or not said.startswith(b"454"))
    assert not any(b"Subject" in heard for heard in server.heard)


def test_the_longest_hand_over_covers_ten_minutes_after_the_dot() -> None:
    assert SmtpSender(SmtpSettings(timeout_seconds=60)).max_seconds >= 600 + 60


def test_a_server_whose_certificate_nobody_trusts_gets_no_mail(certificate: Certificate) -> None:
    with smtp_sink() as plain_sink, secure_sink(certificate, "tls") as sink:
        found = SmtpSender(settings(sink.port, security="tls"))
        result = found.hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert "certificate" in result.reason
    assert sink.keys == plain_sink.keys == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_over_tls_with_a_login(certificate: Certificate, security: Any, password: str) -> None:
    with secure_sink(certificate, security) as sink:
        found = SmtpSender(
            settings(sink.port, security=security, ca_file=certificate.path, username="ana"),
            password,
        )
        results = [found.hand_over(outgoing(number)) for number in range(3)]
        found.close()
    if password == "right":
        assert [result.outcome for result in results] == [Outcome.ACCEPTED] * 3
        assert len(sink.keys) == 3
        assert sink.logins == [("ana", True)]  # one connection, one login
    else:
        assert {(result.outcome, result.channel_down) for result in results} == {
            (Outcome.RETRY, True)
        }
        assert "535" in results[0].reason
        assert sink.keys == []


@pytest.mark.parametrize(
    ("security", "script"),
    [
        ("tls", [b""]),
        ("starttls", [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"]),
        ("starttls", [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 no\r\n"]),
    ],
)
@pytest.mark.parametrize("end", ["silence", "cut"])
def test_a_handshake_that_does_not_come_about_is_definite_and_in_time(
    security: Any, script: list[bytes], end: str
) -> None:
    with talking(script, end=end) as server:
        began = time.monotonic()
        found = SmtpSender(settings(server.port, timeout=0.4, security=security))
        result = found.hand_over(outgoing())
        took = time.monotonic() - began
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert took < 3 * 0.4 + 0.5


def test_a_file_without_certificates_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"smtp\.ca_file"):
        SmtpSender(settings(1, security="tls", ca_file=str(tmp_path / "none.pem")))


def test_a_mail_is_signed_as_it_leaves(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={"PIGEONRY_SMTP__DKIM_DOMAIN": "scoala.example"})
    signer = make_key(home)
    with smtp_sink() as sink:
        SmtpSender(settings(sink.port), signer=signer).hand_over(outgoing())
    assert dkim.verify(sink.bodies[0], dnsfunc=lambda *_args, **_kw: signer.record.encode())


def one(port: int) -> HandOver:
    return SmtpSender(settings(port)).hand_over(outgoing())


def settings(
    port: int, *, timeout: float = 5, after_dot: float = 5, security: Any = "none", **more: Any
) -> SmtpSettings:
    return SmtpSettings(
        host="127.0.0.1",
        port=port,
        security=security,
        timeout_seconds=timeout,
        after_dot_seconds=after_dot,
        **more,
    )
