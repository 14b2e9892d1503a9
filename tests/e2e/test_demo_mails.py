"""What the demo's mails say, read from the files alone. Shares no code with `generation`: a brief is
read as TOML and a mail as a mail program reads it."""

from __future__ import annotations

import email
import email.policy
import html
import random
import re
import tomllib
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BRIEFS = [
    ROOT / "examples" / "briefs" / name for name in ("first-campaign.toml", "second-campaign.toml")
]
MONTHS = [
    "ianuarie",
    "februarie",
    "martie",
    "aprilie",
    "mai",
    "iunie",
    "iulie",
    "august",
    "septembrie",
    "octombrie",
    "noiembrie",
    "decembrie",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
NUMBER = re.compile(r"\d[\d.,:/]*\d|\d")
URL = re.compile(r"(?:https?://|mailto:)\S+|\S+@\S+")


def mails(folder: Path) -> list[EmailMessage]:
    paths = sorted(folder.rglob("*.eml"))
    chosen = random.Random(11).sample(paths, min(200, len(paths)))
    found = []
    for path in chosen:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


def words(message: EmailMessage) -> dict[str, str]:
    """The subject, the text part, and the visible text of the HTML part."""
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert rich is not None
    markup = re.sub(r"(?is)<(style|script|head)\b.*?</\1>", " ", rich.get_content())
    return {
        "subject": str(message["Subject"]),
        "text": plain.get_content(),
        "html": html.unescape(re.sub(r"<[^>]+>", " ", markup)),
        "markup": rich.get_content(),
    }


def values(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in values(value)]
    if isinstance(node, list):
        return [text for value in node for text in values(value)]
    return [str(node)]


def canonical(number: str) -> str:
    """1.299,50 and 1,299.50 and 1299.50 are one number; 89 and 89,00 too."""
    parts = re.split(r"[.,]", number.strip(".,:/"))
    if len(parts) > 1 and len(parts[-1]) == 2:
        whole, cents = "".join(parts[:-1]), parts[-1]
    elif len(parts) == 2 and len(parts[-1]) == 1:
        whole, cents = parts[0], parts[1] + "0"
    else:
        whole, cents = "".join(parts), "00"
    return f"{whole.lstrip('0') or '0'}.{cents}"


def allowed(brief: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for value in values(brief):
        for number in NUMBER.findall(value):
            found.add(canonical(number))
            found.update(canonical(part) for part in re.split(r"[-/:.]", number) if part)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            day = date.fromisoformat(value)
            found |= {canonical(str(day.day)), canonical(str(day.year))}
    return found


def months(brief: dict[str, Any]) -> set[str]:
    found = set()
    for value in values(brief):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            place = date.fromisoformat(value).month - 1
            found |= {MONTHS[place].lower(), MONTHS[place + 12].lower()}
        found |= {month.lower() for month in MONTHS if month.lower() in value.lower()}
    return found


@pytest.fixture(scope="module")
def read(demo: Any) -> list[EmailMessage]:
    found = mails(demo.home / "outbox")
    assert len(found) == 200
    return found


@pytest.fixture(scope="module")
def briefs() -> list[dict[str, Any]]:
    return [tomllib.loads(path.read_text(encoding="utf-8")) for path in BRIEFS]


def brief_of(message: EmailMessage, briefs: list[dict[str, Any]]) -> dict[str, Any]:
    """The brief whose landing page the mail links to."""
    markup = words(message)["markup"]
    found = [brief for brief in briefs if html.escape(brief["link"]) in markup]
    assert len(found) == 1
    return found[0]


def test_no_mail_has_an_unfilled_slot(read: list[EmailMessage]) -> None:
    for message in read:
        for place, text in words(message).items():
            assert "{{" not in text, place
            assert "}}" not in text, place
            assert not re.search(r"\bNone\b|\bnan\b|\bundefined\b", text), place
            if place != "markup":  # CSS has braces of its own
                assert not re.search(r"[{}]|\[\[|\]\]", text), (place, text)
                assert not re.search(r"%\(|\$\{", text), place


def test_no_mail_says_a_number_price_or_date_that_its_brief_does_not(
    read: list[EmailMessage], briefs: list[dict[str, Any]]
) -> None:
    for message in read:
        brief = brief_of(message, briefs)
        numbers, named = allowed(brief), months(brief)
        greeted = str(message["To"])
        for place in ("subject", "text", "html"):
            text = URL.sub(" ", words(message)[place])
            for number in NUMBER.findall(text):
                if number in greeted:
                    continue
                assert canonical(number) in numbers, (place, number, text[:400])
            for month in MONTHS:
                if month.lower() in ("mai", "may", "march"):
                    continue  # everyday words as well
                if re.search(rf"\b{month}\b", text, re.IGNORECASE):
                    assert month.lower() in named, (place, month)


def test_every_mail_can_be_left_and_says_who_wrote(read: list[EmailMessage]) -> None:
    for message in read:
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.search(r"<https?://[^>]+>", str(message["List-Unsubscribe"]))
        assert message["Message-ID"]
        text = words(message)["text"]
        assert "S.R.L." in text or "SRL" in text
        assert "dezabon" in text.lower() or "unsubscribe" in text.lower()


def test_links_lead_only_where_the_brief_or_the_footer_says(
    read: list[EmailMessage], briefs: list[dict[str, Any]]
) -> None:
    for message in read:
        brief = brief_of(message, briefs)
        unsubscribe = re.findall(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"]))
        for link in re.findall(r'href="([^"]+)"', words(message)["markup"]):
            plain = html.unescape(link)
            assert plain.startswith((brief["link"], "mailto:")) or plain in unsubscribe, plain


def test_romanian_mails_use_comma_below_letters(read: list[EmailMessage]) -> None:
    romanian = [m for m in read if 'lang="ro"' in words(m)["markup"]]
    assert len(romanian) > 60
    for message in romanian:
        text = words(message)["text"]
        assert not re.search(r"[şţŞŢ]", text)
        assert re.search(r"[ăâîșț]", text)
