"""The catalogue's cases about settings, databases, clocks and the mail itself, as one table; the last test prints
n of n. What is about consent stands in test_bad_consent_input.py, about the web in tests/web/test_bad_input.py."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from generation.brief import parse_brief
from generation.checks import check_copy
from pigeonry.config import Home, load_home
from pigeonry.delivery import base
from pigeonry.delivery.file import FileSender
from pigeonry.delivery.fitness import UnfitMail
from pigeonry.delivery.headers import UnsafeHeader
from pigeonry.delivery.links import Links
from pigeonry.delivery.mail_check import look_at
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Brief, Copy, Language, OutgoingMessage
from pigeonry.errors import BadInput, ConfigError, OutsideFailure, PigeonryError, Refused
from pigeonry.service import holding
from pigeonry.service.homes import open_database
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.service.sending import require_lease
from pigeonry.store import leads, migrate
from pigeonry.store.session import Database
from tests.delivery.world import BRIEF, START, World

SECRET = "hunter2-SG.never-print-me"
COPY = Copy(
    subject="Cursul de desen te așteaptă",
    preheader="Lecții scurte, în ritmul tău",
    hook="Desenul se învață pe îndelete",
    body=("Cu Cursul de desen ai la îndemână lecții scurte.", "Începi când vrei."),
    cta="Vezi cursul",
)
LINKS = Links("https://mail.example.com", {1: b"k" * 32})
Case = Callable[[Database, Home], None]


def said(error: type[PigeonryError], *words: str) -> pytest.RaisesExc[PigeonryError]:
    """It is refused, with these words and a next step, and no secret is printed."""

    def right(caught: PigeonryError) -> bool:
        shown = str(caught)
        return all(word in shown for word in words) and bool(caught.fix) and SECRET not in shown

    return pytest.raises(error, check=right)


def settings(toml: str, env: dict[str, str], *words: str) -> Case:
    def check(_db: Database, home: Home) -> None:
        (home.path / "pigeonry.toml").write_text(toml, encoding="utf-8")
        with said(ConfigError, *words):
            load_home(home.path, env=env)

    return check


def missing_secret(_db: Database, home: Home) -> None:
    for channel, name in (
        ("sendgrid", "PIGEONRY_SENDGRID_KEY"),
        ("smtp", "PIGEONRY_SMTP_PASSWORD"),
    ):
        env = {"PIGEONRY_SENDING__CHANNEL": channel, "PIGEONRY_SMTP__USERNAME": "me"}
        with said(ConfigError, name):
            base.make_sender(load_home(home.path, env=env), {})


def no_default_secret(_db: Database, home: Home) -> None:
    """Every key is drawn at its first use, and the example of settings holds none."""
    other = load_home(home.path / "other", env={})
    names = ("links-1.key", "suppression.key", "opt-in-1.key")
    keys = {one.secret(name) for one in (home, other) for name in names}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
    example = Path(__file__).resolve().parents[2] / "pigeonry.toml.example"
    shown = re.findall(
        r"^#? *(\w*(?:password|secret|key)\w*) *=", example.read_text(), re.MULTILINE
    )
    assert set(shown) <= {"key_env"}  # the name of a variable


def readable_secret(_db: Database, home: Home) -> None:
    home.secret("links-1.key")
    folder = home.path / "secrets"
    key = folder / "sendgrid_key"
    key.write_text(SECRET)
    for folder_mode, file_mode, refused in (
        (0o755, 0o644, True), (0o755, 0o640, True), (0o750, 0o640, True), (0o711, 0o604, True),
        (0o755, 0o600, False), (0o700, 0o644, False),
    ):  # fmt: skip
        folder.chmod(folder_mode)
        key.chmod(file_mode)
        if refused:
            with said(ConfigError, "secrets/sendgrid_key can be read by others", "chmod"):
                load_home(home.path, env={})
        else:
            load_home(home.path, env={})


def everything_at_once(_db: Database, home: Home) -> None:
    home.secret("links-1.key").hex()
    (home.path / "secrets").chmod(0o755)
    (home.path / "secrets" / "links-1.key").chmod(0o644)
    (home.path / "pigeonry.toml").write_text(
        f'[sending]\nbach = 7\nchannel = "{SECRET}"\nlease_seconds = -1\n'
        f'[links]\nbase_url = "{SECRET}"\n[nonsense]\n',
        encoding="utf-8",
    )
    env = {"PIGEONRY_SENDNG__BATCH": SECRET, "PIGEONRY_SMTP__PORT": SECRET}
    with said(
        ConfigError, "'batch'", "sending.channel", "sending.lease_seconds", "links.base_url", "nonsense",
        "PIGEONRY_SENDNG__BATCH", "did you mean 'sending'", "smtp.port", "secrets/links-1.key",
    ):  # fmt: skip
        load_home(home.path, env=env)


def bad_database_url(_db: Database, _home: Home) -> None:
    for url in (
        f"postgresql+psycopg://me:{SECRET}@host:{SECRET}/x", f"{SECRET}", f"nosuch://me:{SECRET}@h/x",
    ):  # fmt: skip
        with said(ConfigError, "database URL"):
            Database(url)


def short_lease(_db: Database, home: Home) -> None:
    for env, words in (
        ({"PIGEONRY_SENDING__LEASE_SECONDS": "20"}, "lease of 20 s is too short"),
        ({"PIGEONRY_SENDING__QUARANTINE_SECONDS": "60"}, "quarantine of 60 s is too short"),
    ):
        with said(ConfigError, words, "at least"):
            require_lease(load_home(home.path, env=env).settings, FileSender(home.outbox))


def schema(version: str, *words: str) -> Case:
    def check(db: Database, home: Home) -> None:
        with db.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
        with said(Refused, *words):
            open_database(home)
        assert migrate.current(db) == version  # nothing was changed

    return check


def read_only(_db: Database, home: Home) -> None:
    url = f"sqlite:///file:{home.path / 'pigeonry.db'}?mode=ro&uri=true"
    (home.path / "pigeonry.toml").write_text(f'[database]\nurl = "{url}"\n')
    readonly = load_home(home.path, env={})
    with said(OutsideFailure, "readonly", "can be written"):
        holding.enter(open_database(readonly), readonly, now=START)


def always_synchronous(db: Database, home: Home) -> None:
    """Whatever the file or an earlier program said: it is a property of each connection, and ours sets it."""
    open_database(home).dispose()
    for _ in range(2):
        with db.write() as session:
            assert session.scalar(text("PRAGMA synchronous")) == 2
        db.dispose()


def on_hold(trouble: Callable[[Database, Home], tuple[Home, datetime]]) -> Case:
    def check(db: Database, home: Home) -> None:
        holding.enter(db, home, now=START)
        there, now = trouble(db, home)
        with said(holding.OnHold, "on hold", "hold confirm"):
            holding.enter(Database(there.database_url), there, now=now)

    return check


def two_instances(_db: Database, home: Home) -> tuple[Home, datetime]:
    """A second home on the same database: a copy, or a host that joins unasked."""
    other = home.path.parent / "other"
    other.mkdir()
    (other / "pigeonry.toml").write_text(f'[database]\nurl = "{home.database_url}"\n')
    return load_home(other, env={}), START + timedelta(minutes=1)


def copied_home(db: Database, home: Home) -> tuple[Home, datetime]:
    db.dispose()
    shutil.copytree(home.path, home.path.parent / "copy")
    return load_home(home.path.parent / "copy", env={}), START + timedelta(minutes=1)


def restored(db: Database, home: Home) -> tuple[Home, datetime]:
    path = home.path / "pigeonry.db"
    with sqlite3.connect(path) as live, sqlite3.connect(home.path / "backup.db") as backup:
        live.backup(backup)
    backup.close()
    live.close()
    holding.enter(db, home, now=START + timedelta(minutes=1))
    db.dispose()
    for rest in home.path.glob("pigeonry.db*"):
        rest.unlink()
    shutil.move(home.path / "backup.db", path)
    return home, START + timedelta(minutes=2)


def clock_back(_db: Database, home: Home) -> tuple[Home, datetime]:
    return home, START - timedelta(hours=2)


def due_hours_ago(db: Database, home: Home) -> tuple[Home, datetime]:
    World(db, leads=2).plan()
    env = {"PIGEONRY_SENDING__LATE_HOURS": "3"}
    return load_home(home.path, env=env), START + timedelta(hours=4)


def brief(changes: dict[str, str], *words: str) -> Case:
    """A brief's own words, changed: it is refused before anything is written from it."""

    def check(_db: Database, _home: Home) -> None:
        source = BRIEF
        for before, after in changes.items():
            assert before in source
            source = source.replace(before, after)
        with said(BadInput, *words):
            parse_brief(source, where="test")

    return check


def parsed() -> Brief:
    return parse_brief(BRIEF, where="test")


def mail(subject: str = COPY.subject, recipient: Recipient | None = None) -> OutgoingMessage:
    copy = dataclasses.replace(COPY, subject=subject)
    done = compile_mail(copy, parsed(), Language.RO, campaign_id=3)
    who = recipient or Recipient(7, "ana@example.com", "Ana", "Pop")
    return done.render(who, LINKS, send_key="ab" * 16, at=START)


def unfit(error: type[PigeonryError], change: dict[str, object], *words: str) -> Case:
    def check(_db: Database, _home: Home) -> None:
        copy = dataclasses.replace(COPY, **change)  # type: ignore[arg-type]
        with said(error, *words):
            compile_mail(copy, parsed(), Language.RO, campaign_id=3)

    return check


def broken_layout(take: Callable[[OutgoingMessage], OutgoingMessage], rule: str) -> Case:
    """What a changed layout would make: the preflight of each campaign looks at finished mails."""

    def check(_db: Database, _home: Home) -> None:
        findings = {one.name: one for one in look_at(mail(), parsed().sender, romanian=True)}
        assert findings[rule].ok
        found = {one.name: one for one in look_at(take(mail()), parsed().sender, romanian=True)}
        assert not found[rule].ok
        assert found[rule].severity == "must"
        assert found[rule].fix

    return check


def without(pattern: str) -> Callable[[OutgoingMessage], OutgoingMessage]:
    def take(one: OutgoingMessage) -> OutgoingMessage:
        html, plain = (re.sub(pattern, "", part) for part in (one.html, one.text))
        return dataclasses.replace(one, html=html, text=plain)

    return take


def no_header(one: OutgoingMessage) -> OutgoingMessage:
    kept = {name: value for name, value in one.headers.items() if not name.startswith("List-")}
    return dataclasses.replace(one, headers=kept)


def subject_lines(one: OutgoingMessage) -> list[bytes]:
    head = to_bytes(one).split(b"\r\n\r\n")[0]
    assert head.isascii()
    found = re.search(rb"^Subject:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", head, re.MULTILINE)
    assert found
    return found[0].split(b"\r\n")


def emoji_subject(_db: Database, _home: Home) -> None:
    lines = subject_lines(
        mail("Desen 🎨 și culoare, din nou, pentru toți cei care vor să învețe seara")
    )
    assert lines[0].startswith(b"Subject: =?utf-8?")
    assert max(map(len, lines)) <= 78


def long_subject(_db: Database, _home: Home) -> None:
    """The checks refuse it; a person who insists gets a header that is folded."""
    copy = dataclasses.replace(COPY, subject="desen " * 166)
    assert any(one.field == "subject" for one in check_copy(copy, parsed(), Language.RO))
    lines = subject_lines(mail(copy.subject))
    assert len(lines) > 10
    assert max(map(len, lines)) <= 78


def breaks_in_a_list(db: Database, home: Home) -> None:
    """Cleaned where they come in, and refused once more where a header is built."""
    path = home.path / "list.csv"
    path.write_text(
        'email,first name,last name\nana@exemplu.ro,"Ana\r\nBcc: x@evil.example","Pop\tIon"\n'
        '"ion@exemplu.ro\r\nBcc: y@evil.example",Ion,Pop\n',
        encoding="utf-8", newline="",
    )  # fmt: skip
    report = import_leads(
        db, home, path, mapping={}, consent=parse_claim("express:list"), dry_run=False,
        now=datetime.now(UTC),
    )  # fmt: skip
    assert (report.created, report.rejected) == (1, 1)
    with db.read() as session:
        ana = leads.by_email(session, "ana@exemplu.ro")
    assert ana is not None
    assert not re.search(r"[\r\n\t]", ana.first_name + ana.last_name)
    evil = Recipient(7, "ana@example.com", "Ana\r\nBcc: x@evil.example", "Pop\nTo: y@evil.example")
    head = to_bytes(mail(recipient=evil)).split(b"\r\n\r\n")[0]
    assert not re.search(rb"^(Bcc|To: y)", head, re.MULTILINE)
    with pytest.raises(UnsafeHeader):
        mail(recipient=Recipient(7, "ana@example.com\r\nBcc: x@evil.example", "Ana", "Pop"))


CASES: dict[str, Case] = {
    "70 missing secret": missing_secret,
    "70 default secret": no_default_secret,
    "70 key file that others can read": readable_secret,
    "70 unknown key": settings("[sending]\nbach = 7\n", {}, "sending.bach", "did you mean 'batch'"),
    "70 unknown section": settings("[sendng]\nbatch = 7\n", {}, "sendng", "did you mean 'sending'"),
    "70 unknown section in the environment": settings(
        "", {"PIGEONRY_SENDNG__BATCH": SECRET}, "PIGEONRY_SENDNG__BATCH", "did you mean 'sending'"
    ),
    "70 no TOML": settings(f"[smtp]\nusername = {SECRET}\n", {}, "not a TOML file", "line 2"),
    "70 a value where a table belongs": settings(
        "sending = 5\n", {"PIGEONRY_SENDING__BATCH": "7"}, "sending"
    ),
    "70 wrong type": settings("", {"PIGEONRY_SMTP__PORT": SECRET}, "smtp.port"),
    **{
        f"70 bad URL {key} {number}": settings(
            "", {f"PIGEONRY_{key.replace('.', '__').upper()}": url}, key, "web address"
        )
        for key in ("links.base_url", "tracking.base_url", "sendgrid.host")
        for number, url in enumerate(
            (
                "javascript:alert(1)",
                "mail.example.com",
                "https://",
                f"https://me:{SECRET}@host",
                f"https://host:{SECRET}",
                "https://host/?to=x",
                "https://[half",
                "https://two words",
            )
        )
    },
    "70 bad database URL": bad_database_url,
    "70 lease and quarantine shorter than a hand-over": short_lease,
    "70 all problems at once": everything_at_once,
    "71 schema newer": schema("9999", "9999", "newer", "nothing was changed"),
    "71 schema older": schema("0001", "0001", "pigeonry init"),
    "71 read-only": read_only,
    "71 synchronous off": always_synchronous,
    "72 two instances": on_hold(two_instances),
    "72 copied home": on_hold(copied_home),
    "72 restored snapshot": on_hold(restored),
    "72 clock two hours back": on_hold(clock_back),
    "72 due four hours ago": on_hold(due_hours_ago),
    "53 brief without a company": brief(
        {'company = "Școala de Seară SRL"\n': ""}, "sender.company"
    ),
    "53 brief without an address": brief(
        {'address = "Str. Lungă 5, 500035 Brașov"\n': ""}, "sender.address"
    ),
    "53 layout without a way out": broken_layout(
        without(r"https://mail\.example\.com/u/\w+"), "way-out"
    ),
    "53 mail without one click": broken_layout(no_header, "one-click"),
    "53 layout with a foreign identity": broken_layout(
        without("Școala de Seară SRL"), "postal-address"
    ),
    **{
        f"54 {name}": brief({"https://example.com/curs?ref=a&b=1": link}, "link")
        for name, link in {
            "javascript": "javascript:alert(1)",
            "data": "data:text/html,hello",
            "credentials": "https://me:pass@example.com/",
            "IP host": "https://192.0.2.7/curs",
            "IPv6 host": "https://[2001:db8::7]/curs",
            "http": "http://example.com/curs",
            "no host": "https:///curs",
            "a line break": "https://example.com/\\r\\nX: y",
        }.items()
    },
    "55 empty": unfit(UnfitMail, {"subject": "  "}, "subject", "empty"),
    "55 CRLF": unfit(UnsafeHeader, {"subject": "Curs\r\nBcc: x@evil.example"}, "Subject"),
    "55 emoji": emoji_subject,
    "55 1,000 characters": long_subject,
    "20 line breaks in a list": breaks_in_a_list,
    **{
        f"58 {slot}": unfit(UnfitMail, {part: value}, part.replace("body", "body[1]"))
        for slot, part, value in (
            ("unknown placeholder", "subject", "Bună, {{ contact.cnp }}"),
            ("single braces", "hook", "Bună, {first_name}"),
            ("a statement", "body", ("{% for x in y %}", "Începi când vrei.")),
            ("another mailer's tag", "cta", "*|FNAME|*"),
            ("nothing", "preheader", "Bună, None"),
        )
    },
}
WANTED = {"20", "53", "54", "55", "58", "70", "71", "72"}
HELD: list[str] = []


@pytest.mark.parametrize("name", CASES)
def test_bad_input_about_sending_is_refused_or_made_harmless(
    name: str, database: Database, home: Home
) -> None:
    CASES[name](database, home)
    HELD.append(name)


def test_the_table_covers_its_cases(capsys: pytest.CaptureFixture[str]) -> None:
    found = {name.split()[0] for name in CASES}
    with capsys.disabled():
        print(f"\nbad input about sending: {len(HELD)} of {len(CASES)} rows hold")
    assert found == WANTED
