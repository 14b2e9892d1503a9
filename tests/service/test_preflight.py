"""A sender that is all right, and what breaks when one thing about it is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from generation.brief import parse_brief
from pigeonry.config import Home, load_home
from pigeonry.delivery.dkim import make_key
from pigeonry.delivery.domain_records import NotLookedUp
from pigeonry.delivery.findings import Finding
from pigeonry.delivery.fitness import UnfitMail
from pigeonry.domain.brief import SenderIdentity
from pigeonry.service import preflight as service
from tests.delivery.world import START

BRIEF = """
name = "Autumn course"
purpose = "offer"
languages = ["ro", "en"]
link = "https://www.scoala.example/curs"
[sender]
name = "Ana Șerban"
email = "salut@scoala.example"
company = "Școala de Seară SRL"
address = "Str. Lungă 5, 500035 Brașov"
company_id = "RO14399840"
register = "J08/123/2019"
[product]
price = 690
currency = "RON"
[wording.ro]
product = "Cursul de desen"
benefits = ["lecții scurte", "un mentor atent"]
offer = "20% reducere la prima lună"
[wording.en]
product = "The drawing course"
benefits = ["short lessons", "a mentor who listens"]
offer = "20% off the first month"
[dates]
ends = 2026-12-15
"""
SETTINGS = {
    "PIGEONRY_SENDING__CHANNEL": "smtp",
    "PIGEONRY_SMTP__HOST": "relay.example",
    "PIGEONRY_SMTP__DKIM_DOMAIN": "scoala.example",
    "PIGEONRY_LINKS__BASE_URL": "https://m.scoala.example",
}
Zone = dict[str, list[str]]
PROVIDERS = {"gmail", "yahoo", "microsoft"}


@pytest.fixture(scope="module")
def key_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    make_key(load_home(path, env=SETTINGS))
    return path


def good_zone(home: Home) -> Zone:
    signer = make_key(home)
    return {
        "scoala.example": ["v=spf1 include:relay.example ~all", "google-site-verification=x"],
        "relay.example": ["v=spf1 ip4:192.0.2.1 -all"],
        "_dmarc.scoala.example": ["v=DMARC1; p=none; rua=mailto:dmarc@scoala.example"],
        signer.record_name: [signer.record],
    }


def look(
    path: Path,
    *,
    brief: str = BRIEF,
    zone: Callable[[Zone], Any] = lambda _zone: None,
    **env: str,
) -> dict[str, Finding]:
    home = load_home(path, env={**SETTINGS, **env})
    records = good_zone(load_home(path, env=SETTINGS))
    zone(records)
    findings = service.preflight(
        home,
        parse_brief(brief, where="brief"),
        look_up=lambda name: records.get(name, ()),
        now=START,
    )
    names = [finding.name for finding in findings]
    assert len(names) == len(set(names))
    return {finding.name: finding for finding in findings}


def flawed(findings: Mapping[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if not finding.ok} - PROVIDERS


def test_a_sender_that_is_all_right_has_nothing_to_mend(key_home: Path) -> None:
    found = look(key_home)
    assert flawed(found) == set()
    assert all(found[name].ok for name in PROVIDERS)
    assert not any(finding.stops or finding.fix for finding in found.values())


def replaced(old: str, new: str) -> dict[str, str]:
    assert old in BRIEF
    return {"brief": BRIEF.replace(old, new)}


def put(name: str, *records: str) -> dict[str, Callable[[Zone], Any]]:
    return {"zone": lambda zone: zone.update({name: list(records)})}


DMARC, SELECTOR = "_dmarc.scoala.example", "pigeonry._domainkey.scoala.example"
BROKEN: list[tuple[dict[str, Any], set[str], Sequence[str]]] = [
    # what is changed, the findings that stop, those that warn
    (put("scoala.example"), {"spf"}, []),
    (put("scoala.example", "v=spf1 ~all", "v=spf1 -all"), {"spf"}, []),
    (put("scoala.example", "v=spf1 +all"), {"spf"}, []),
    (put("scoala.example", "v=spf1 all"), {"spf"}, []),
    (put("scoala.example", "v=spf1 a"), {"spf"}, []),
    (put("scoala.example", "v=spf10 ~all"), {"spf"}, []),
    (put("scoala.example", "v=spf1 " + "a mx " * 6 + "-all"), {"spf"}, []),
    (put("relay.example", "v=spf1 " + "include:relay.example a " * 5 + "-all"), {"spf"}, []),
    (put(DMARC), {"dmarc"}, []),
    (put(DMARC, "v=DMARC1; p=none", "v=DMARC1; p=none"), {"dmarc"}, []),
    (put(DMARC, "v=DMARC1"), {"dmarc"}, []),
    (put(DMARC, "v=DMARC1; p=maybe"), {"dmarc"}, []),
    (put(SELECTOR), {"dkim"}, []),
    (put(SELECTOR, "v=DKIM1; k=rsa; p="), {"dkim"}, []),
    (put(SELECTOR, "v=DKIM1; k=rsa; p=MIIBIjANBgkq"), {"dkim"}, []),
    ({"PIGEONRY_SMTP__DKIM_SELECTOR": "other"}, {"dkim"}, []),
    ({"PIGEONRY_SMTP__DKIM_DOMAIN": ""}, set(), ["dkim"]),
    ({"PIGEONRY_SMTP__SECURITY": "none"}, set(), ["transport"]),
    ({"PIGEONRY_LINKS__BASE_URL": "http://m.scoala.example"}, {"one-click", "links"}, []),
    (
        {"PIGEONRY_LINKS__BASE_URL": "https://192.0.2.7"},
        {"one-click", "links"},
        ["link-domain"],
    ),
    ({"PIGEONRY_LINKS__BASE_URL": "https://m.elsewhere.example"}, set(), ["link-domain"]),
    ({"PIGEONRY_TRACKING__BASE_URL": "http://go.scoala.example"}, {"tracking"}, []),
    (replaced("https://www.scoala.example/curs", "http://scoala.example"), {"links"}, []),
    (replaced("https://www.scoala.example/curs", "https://bit.ly/x"), {"links"}, ["link-domain"]),
    (replaced("RO14399840", "RO14399841"), {"company-id"}, []),
    (replaced('company_id = "RO14399840"', ""), {"company-id"}, []),
    (replaced("J08/123/2019", "J99/123/2019"), {"register"}, []),
    (replaced('register = "J08/123/2019"', ""), {"register"}, []),
    (
        replaced("salut@scoala.example", "scoala@gmail.com"),
        {"from-domain", "spf", "dmarc", "alignment"},
        ["link-domain"],
    ),
    (replaced("salut@scoala.example", "a@other.example"), {"alignment", "spf", "dmarc"}, ["link-domain"]),
    (replaced("salut@scoala.example", "a@news.scoala.example"), {"spf"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("change", "stops", "warns"), BROKEN)
def test_one_thing_that_is_wrong_is_found_and_nothing_else(
    key_home: Path, change: dict[str, Any], stops: set[str], warns: Sequence[str]
) -> None:
    found = look(key_home, **change)
    assert flawed(found) == stops | set(warns)
    assert {name for name, finding in found.items() if finding.stops} == stops
    assert all(found[name].fix for name in stops | set(warns))
    touched = (stops | set(warns)) & {
        rule for rules in service.PROVIDERS.values() for rule in rules
    }
    assert all(found[name].ok for name in PROVIDERS) == (not touched)


def test_dmarc_that_wants_equal_domains_gets_them(key_home: Path) -> None:
    strict = put(DMARC, "v=DMARC1; p=reject; adkim=s")
    assert "alignment" not in flawed(look(key_home, **strict))
    below = replaced("salut@scoala.example", "salut@news.scoala.example")
    assert "alignment" in flawed(look(key_home, **strict, **below))


def test_without_name_servers_nothing_is_claimed(key_home: Path) -> None:
    def gone(_name: str) -> Sequence[str]:
        raise NotLookedUp("no network")

    home = load_home(key_home, env=SETTINGS)
    findings = service.preflight(home, parse_brief(BRIEF, where="brief"), look_up=gone, now=START)
    unknown = {finding.name: finding for finding in findings if not finding.known}
    assert set(unknown) == {"spf", "dkim", "dmarc", *PROVIDERS}
    assert unknown["spf"].detail == "could not look up: no network"
    assert not any(finding.stops for finding in findings)


def test_without_dns_the_record_to_publish_is_shown(key_home: Path) -> None:
    home = load_home(key_home, env=SETTINGS)
    findings = service.preflight(home, parse_brief(BRIEF, where="brief"), look_up=None, now=START)
    found = {finding.name: finding for finding in findings}
    assert found["dkim"].detail.startswith(f"{SELECTOR} TXT v=DKIM1; k=rsa; p=")
    assert "spf" not in found


def test_sendgrid_signs_at_the_senders_own_domain(key_home: Path) -> None:
    env = {"PIGEONRY_SENDING__CHANNEL": "sendgrid"}
    assert flawed(look(key_home, **env)) == {"dkim", "alignment"}
    there = put("s1._domainkey.scoala.example", "k=rsa; p=MIIB")
    assert flawed(look(key_home, **env, **there)) == set()
    both = {"PIGEONRY_SENDING__FALLBACK": "sendgrid"}
    assert flawed(look(key_home, **both)) == {"dkim-sendgrid"}


def test_files_reach_nobody_so_the_domain_only_warns(key_home: Path) -> None:
    found = look(key_home, PIGEONRY_SENDING__CHANNEL="file", **put("scoala.example"))
    assert flawed(found) == {"spf"}
    assert not found["spf"].stops


def test_every_mail_of_the_library_is_looked_at(key_home: Path) -> None:
    home = load_home(key_home, env=SETTINGS)
    mails = service.sample_mails(home, parse_brief(BRIEF, where="brief"), now=START)
    assert {label.partition("/")[0] for label in mails} == {"ro", "en"}
    assert len(mails) >= 6


def test_a_mail_that_cannot_leave_at_all_is_an_error(key_home: Path) -> None:
    with pytest.raises(UnfitMail):
        look(key_home, **replaced("Ana Șerban", "None"))


SENDER = SenderIdentity("Ana", "a@scoala.example", "Firma SRL", "Str. Lungă 5", "RO14399840", "J08/1/2020")  # fmt: skip
HTML = (
    '<body><p>Bună, vino la curs</p><a href="https://scoala.example/x">Vezi</a>'
    "<p>Firma SRL RO14399840 J08/1/2020 Str. Lungă 5</p>"
    '<a href="https://m.scoala.example/u/t">Dezabonare</a></body>'
)
TEXT = (
    "Bună, vino la curs\nVezi: https://scoala.example/x\nFirma SRL RO14399840\nJ08/1/2020 Str. Lungă 5\n"
    "Dezabonare: https://m.scoala.example/u/t\n"
)
HEADERS = {
    "List-Unsubscribe": "<https://m.scoala.example/u/t>, <mailto:a@scoala.example>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"headers": {}}, {"one-click"}),
        ({"headers": {**HEADERS, "List-Unsubscribe": "<mailto:a@scoala.example>"}}, {"one-click"}),
        ({"headers": {**HEADERS, "List-Unsubscribe": "<https://localhost/u>"}}, {"one-click"}),
        ({"headers": {**HEADERS, "List-Unsubscribe-Post": "x"}}, {"one-click"}),
        ({"html": HTML.replace(">Dezabonare<", "> <")}, {"way-out"}),
        ({"text": TEXT.replace("https://m.scoala.example/u/t", "aici")}, {"way-out", "parity"}),
        ({"text": TEXT.replace("Vezi: https://scoala.example/x", "Vezi")}, {"parity"}),
        ({"text": TEXT.replace("vino la curs", "altceva cu totul")}, {"parity"}),
        ({"html": HTML.replace("Str. Lungă 5", "")}, {"postal-address", "parity"}),
        ({"text": TEXT.replace("RO14399840", "")}, {"company-id"}),
        ({"html": HTML + "<img src='https://scoala.example/a.png' alt='x'>"}, {"images"}),
        ({"html": HTML + "<img src='https://scoala.example/a.png' width=1>"}, set()),
        ({"html": HTML + "<style>" + "x" * 102_000 + "</style>"}, {"size"}),
        ({"subject": "RE: comanda ta"}, {"subject"}),
        ({"subject": "REDUCERI MARI"}, {"subject"}),
        ({"subject": "x" * 61}, {"subject"}),
    ],
)
def test_each_rule_about_a_mail(change: dict[str, Any], expected: set[str]) -> None:
    from pigeonry.delivery.mail_check import look_at
    from tests.delivery.sinks import outgoing

    mail = outgoing(
        from_email="a@scoala.example", subject="Vino la curs", html=HTML, text=TEXT,
        unsubscribe_url="https://m.scoala.example/u/t", headers=HEADERS,
    )  # fmt: skip
    findings = look_at(dataclasses.replace(mail, **change), SENDER, romanian=True)
    assert {finding.name for finding in findings if not finding.ok} == expected


@pytest.mark.parametrize("cui", ["RO14399840", "14186770", "RO 1590082", "361757", "ro14399840"])
def test_a_fiscal_code_with_the_right_last_digit(cui: str) -> None:
    from pigeonry.delivery.company import cui_problem

    assert cui_problem(cui) == ""
    digits = cui[:-1] + str((int(cui[-1]) + 1) % 10)
    assert "last digit" in cui_problem(digits)


def test_the_command_ends_with_one_only_where_something_must_be_mended(
    key_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from click.testing import CliRunner

    from pigeonry.cli import cli
    from pigeonry.cli.common import Output

    for name, value in {**SETTINGS, "PIGEONRY_HOME": str(key_home)}.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "brief.toml"
    path.write_text(BRIEF, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(
            cli, [*arguments, "--json"], obj=Output(), standalone_mode=False, catch_exceptions=False
        )
        return done.return_value or 0, json.loads(done.stdout.strip().splitlines()[-1])

    code, said = run("preflight", str(path), "--no-dns")
    assert (code, said["failed"]) == (0, [])
    assert set(said["checks"][0]) == {"name", "ok", "severity", "detail", "fix", "known"}
    path.write_text(BRIEF.replace("RO14399840", "RO1"), encoding="utf-8")
    code, said = run("preflight", str(path), "--no-dns")
    assert (code, said["failed"]) == (1, ["company-id"])
    _, key = run("dkim-key")
    assert key["name"] == SELECTOR
    assert key["value"].startswith("v=DKIM1; k=rsa; p=")
