"""Signatures checked by dkimpy, which shares no line with what makes them."""

from __future__ import annotations

import dataclasses
import stat

import dkim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pigeonry.config import Home, load_home
from pigeonry.delivery.dkim import Signer, key_file, load_signer, make_key
from pigeonry.delivery.mime import to_bytes
from pigeonry.errors import ConfigError
from tests.delivery.test_mime import MAIL

SETTINGS = {"PIGEONRY_SMTP__DKIM_DOMAIN": "scoala.example"}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_key(load_home(tmp_path_factory.mktemp("home"), env=SETTINGS))


def verifies(signed: bytes, signer: Signer) -> bool:
    def published(name: bytes, timeout: int = 5) -> bytes:
        assert name.rstrip(b".").decode() == signer.record_name
        return signer.record.encode()

    return bool(dkim.verify(signed, dnsfunc=published))


def test_a_signed_mail_verifies_and_is_otherwise_the_same(signer: Signer) -> None:
    signed = signer.signed(to_bytes(MAIL))
    assert verifies(signed, signer)
    assert signed.endswith(to_bytes(MAIL))
    assert max(map(len, signed.partition(b"\r\nFrom:")[0].split(b"\r\n"))) < 200


@pytest.mark.parametrize(
    "name",
    ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
     "Reply-To", "MIME-Version", "Content-Type"],
)  # fmt: skip
def test_a_changed_header_breaks_the_signature(signer: Signer, name: str) -> None:
    signed = signer.signed(to_bytes(MAIL))
    mark = f"\r\n{name}: ".encode()
    assert mark in signed
    assert not verifies(signed.replace(mark, mark + b"x"), signer)


@pytest.mark.parametrize("name", ["From", "Subject", "To", "Reply-To"])
def test_a_second_header_of_that_name_breaks_the_signature(signer: Signer, name: str) -> None:
    signed = signer.signed(to_bytes(MAIL))
    assert not verifies(f"{name}: other@evil.example\r\n".encode() + signed, signer)


def test_a_reply_address_added_to_a_mail_without_one_breaks_the_signature(signer: Signer) -> None:
    signed = signer.signed(to_bytes(dataclasses.replace(MAIL, reply_to="")))
    assert verifies(signed, signer)
    assert not verifies(b"Reply-To: other@evil.example\r\n" + signed, signer)


def test_a_changed_body_breaks_the_signature(signer: Signer) -> None:
    signed = signer.signed(to_bytes(MAIL))
    assert not verifies(signed.replace(b"Ana", b"Eva"), signer)
    assert not verifies(signed + b"more\r\n", signer)


def test_white_space_that_relays_change_does_not_break_it(signer: Signer) -> None:
    signed = signer.signed(to_bytes(MAIL))
    refolded = signed.replace(b"\r\nSubject: ", b"\r\nSubject:\r\n\t ") + b"\r\n\r\n"
    assert verifies(refolded, signer)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject=st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1, max_size=120
    ),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)
def test_any_text_can_be_signed(signer: Signer, subject: str, text: str) -> None:
    mail = dataclasses.replace(MAIL, subject=subject, text=text, html=text)
    assert verifies(signer.signed(to_bytes(mail)), signer)


def test_a_key_is_made_once_and_only_its_owner_can_read_it(home: Home) -> None:
    home = load_home(home.path, env=SETTINGS)
    with pytest.raises(ConfigError, match="dkim-key"):
        load_signer(home)
    first, second = make_key(home), make_key(home)
    assert first.record == second.record
    assert first.record.startswith("v=DKIM1; k=rsa; p=")
    assert stat.S_IMODE(key_file(home).stat().st_mode) == 0o600
    assert [path.name for path in key_file(home).parent.iterdir()] == ["dkim_pigeonry.pem"]


def test_without_a_domain_nothing_is_signed(home: Home) -> None:
    assert load_signer(home) is None
    with pytest.raises(ConfigError, match=r"smtp\.dkim_domain"):
        make_key(home)


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_file_that_is_no_key_is_named(home: Home, text: str) -> None:
    home = load_home(home.path, env=SETTINGS)
    key_file(home).parent.mkdir(exist_ok=True)
    key_file(home).write_text(text)
    with pytest.raises(ConfigError, match="private key"):
        load_signer(home)


def test_a_selector_never_leads_to_a_file_elsewhere(home: Home) -> None:
    env = {**SETTINGS, "PIGEONRY_SMTP__DKIM_SELECTOR": "../links"}
    with pytest.raises(ConfigError, match="DNS name"):
        make_key(load_home(home.path, env=env))
