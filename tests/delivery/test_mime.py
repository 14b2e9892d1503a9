"""The bytes of a mail, read back with the standard parser."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeonry.delivery.headers import UnsafeHeader, address_header, text_header
from pigeonry.delivery.mime import to_bytes
from pigeonry.domain import OutgoingMessage

MAIL = OutgoingMessage(
    send_key="0f" * 16,
    to_email="ana@example.com",
    to_name="Ana Șerban",
    from_email="salut@scoala.example",
    from_name="Școala de Seară",
    reply_to="raspuns@scoala.example",
    subject="Cursul de desen te așteaptă: lecții scurte, pe îndelete, în ritmul tău de seară",
    text="Bună, Ana,\n\n.\nPână la 15 decembrie 2026 = acum\n" + "lung " * 100 + "\n",
    html="<p>Bună, Ana</p>\n.\n<a href='https://example.com/?a=1&amp;b=2'>x</a>" + "y" * 3000,
    unsubscribe_url="https://mail.example.com/u/abc",
    headers={
        "Date": "Tue, 24 Nov 2026 10:00:00 +0000",
        "Message-ID": f"<{'0f' * 16}@scoala.example>",
        "List-Unsubscribe": "<https://mail.example.com/u/" + "a" * 44 + ">, <mailto:s@s.example>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "X-Pigeonry-Key": "0f" * 16,
    },
)


def parse(data: bytes) -> EmailMessage:
    found = message_from_bytes(data, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_the_standard_parser_reads_back_exactly_what_was_written() -> None:
    found = parse(to_bytes(MAIL))
    assert not found.defects
    assert found["Subject"] == MAIL.subject
    assert found["To"].addresses[0].addr_spec == MAIL.to_email
    assert found["To"].addresses[0].display_name == MAIL.to_name
    assert found["From"].addresses[0].display_name == MAIL.from_name
    assert found["Reply-To"] == MAIL.reply_to
    assert found["Message-ID"] == MAIL.headers["Message-ID"]
    assert found["List-Unsubscribe"] == MAIL.headers["List-Unsubscribe"]
    assert found["Date"].datetime == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    text, html = found.get_body(("plain",)), found.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == MAIL.text
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == MAIL.html
    for part in (found, text, html):
        assert not part.defects
        assert all(not header.defects for header in part.values() if hasattr(header, "defects"))


def test_every_line_is_ascii_ends_in_crlf_and_is_short() -> None:
    data = to_bytes(MAIL)
    assert data.isascii()
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert max(map(len, data.split(b"\r\n"))) <= 100  # a link may not be folded


@pytest.mark.parametrize(
    "bad", ["a\r\nBcc: x@y.ro", "a\nb", "a\rb", "a\x00b", "a\x85b", "a\u2028b"]
)
@pytest.mark.parametrize("field", ["subject", "from_name", "to_name", "to_email", "reply_to"])
def test_a_control_character_in_any_header_stops_the_mail(field: str, bad: str) -> None:
    with pytest.raises(UnsafeHeader):
        to_bytes(dataclasses.replace(MAIL, **{field: bad}))


@pytest.mark.parametrize("bad", ["x\r\nBcc: a@b.ro", "x\ny", "ș"])
def test_a_control_character_in_a_header_of_the_message_stops_it_too(bad: str) -> None:
    with pytest.raises(UnsafeHeader):
        to_bytes(dataclasses.replace(MAIL, headers={"X-Note": bad}))


@pytest.mark.parametrize("name", ["Bcc", "to", "SUBJECT"])
def test_a_message_cannot_bring_a_second_recipient_or_subject(name: str) -> None:
    with pytest.raises(ValueError):
        to_bytes(dataclasses.replace(MAIL, headers={name: "x"}))


TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1, max_size=200
)


@settings(max_examples=200)
@given(TEXT)
def test_any_printable_subject_survives_the_round_trip(subject: str) -> None:
    found = parse((text_header("Subject", subject) + "\r\n\r\n").encode("ascii"))
    # White space at the edges of a header and runs of it inside are not kept by any mail program.
    assert "".join(str(found["Subject"]).split()) == "".join(subject.split())
    assert len(found.keys()) == 1


@settings(max_examples=200)
@given(TEXT)
def test_any_printable_name_stays_a_name_and_never_becomes_an_address(name: str) -> None:
    raw = address_header("From", name.strip(), "salut@scoala.example") + "\r\n\r\n"
    found = parse(raw.encode("ascii"))
    assert found.keys() == ["From"]
    assert [a.addr_spec for a in found["From"].addresses] == ["salut@scoala.example"]
    assert "".join(found["From"].addresses[0].display_name.split()) == "".join(name.split())


@pytest.mark.parametrize("subject", ["=?utf-8?q?Free?=", "a" * 900, "ș" * 400, "🎨 Desen", " x "])
def test_odd_subjects_are_folded_and_encoded(subject: str) -> None:
    header = text_header("Subject", subject)
    assert max(map(len, header.split("\r\n"))) <= 998
    assert str(parse((header + "\r\n\r\n").encode())["Subject"]).strip() == subject.strip()
