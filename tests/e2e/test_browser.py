"""A marketer's way through the console, in a real browser: sign-in, list, brief, texts, sending, results.

Pictures of every page, at the width of a desk and of a phone, go to PIGEONRY_SHOTS or the test's folder.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from pigeonry.web.hooks.sendgrid import KEYS
from tests.e2e import browser as driven
from tests.e2e.browser import Looker, Served
from tests.web.conftest import FIREFOX, Signer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(driven.CHROMIUM is None, reason="no Chromium: the pages were not looked at"),
]

ROOT = Path(__file__).resolve().parents[2]
NAME, EMAIL, PASSWORD = "Ana Pop", "ana@prisma.example", "corect cal baterie agrafa"
LEADS = 2000
ENV = {
    "PIGEONRY_EMBEDDING__BACKEND": "hashing",  # words stand in for vectors
    "PIGEONRY_LLM__LOCAL": "false",  # the copy library writes
    "PIGEONRY_SENDING__CONFIRM_ABOVE": "10",
}


@dataclass(frozen=True)
class Console:
    served: Served
    browser: Browser
    shots: Path
    signer: Signer


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    shots = Path(os.environ.get("PIGEONRY_SHOTS") or folder / "shots")
    shots.mkdir(parents=True, exist_ok=True)
    signer = Signer()
    secrets = folder / "home" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / KEYS).write_text(signer.public)
    with driven.serving(folder / "home", ENV) as served, driven.open_browser() as browser:
        yield Console(served, browser, shots, signer)


def leads() -> bytes:
    """The example list, with a column that nobody knows and a row that cannot be read."""
    rows = list(csv.reader((ROOT / "examples" / "leads.csv").read_text("utf-8-sig").splitlines()))
    found = io.StringIO()
    out = csv.writer(found)
    out.writerow([*rows[0], "Zodia"])
    out.writerow(["nimeni", "Ion"])
    for n, row in enumerate(rows[1 : LEADS + 1]):
        out.writerow([*row, ("Leu", "Rac", "Taur")[n % 3]])
    return found.getvalue().encode()


def press(page: Page, form: str) -> None:
    """The button of a form, and the page that comes then."""
    with page.expect_navigation():
        page.locator(f"form{form} button:not([type=button])").first.click()


def when_done(at: Looker) -> None:
    """From a job's page to where it leads once it is done; the page says so by itself."""
    on = at.page.locator("main a.button:not(.second)").first
    on.wait_for()
    with at.page.expect_navigation():
        on.click()


def sign_up(at: Looker, setup: str) -> None:
    at.page.goto(setup)
    at.look("setup")
    for field, text in {
        "name": NAME,
        "email": EMAIL,
        "password": PASSWORD,
        "again": PASSWORD,
    }.items():
        at.page.fill(f"#{field}", text)
    press(at.page, "[action^='/setup/']")
    press(at.page, "[action='/sign-out']")


def sign_in(at: Looker) -> None:
    at.visit("/sign-in")
    at.look("sign-in")
    at.page.fill("#email", EMAIL)
    at.page.fill("#password", PASSWORD)
    press(at.page, "[action='/sign-in']")


def bring_leads(at: Looker) -> None:
    page = at.page
    at.visit("/upload")
    page.set_input_files(
        "#file", {"name": "leaduri.csv", "mimeType": "text/csv", "buffer": leads()}
    )
    press(page, "[action^='/upload?']")
    at.look("upload-columns")
    assert page.get_by_role("rowheader", name="Zodia").count() == 1
    press(page, "[action$='/columns']")
    at.look("job")
    when_done(at)
    at.look("upload-check")
    page.locator("details summary").first.click()
    assert page.get_by_role("rowheader", name="2", exact=True).count() == 1
    press(page, "[action$='/import']")
    when_done(at)
    assert page.locator("a[href$='/errors.csv']").count() == 1


def write_brief(at: Looker, name: str, countries: str) -> None:
    page = at.page
    at.visit("/studio/briefs/import")
    brief = ROOT / "examples" / "briefs" / "course-provider.toml"
    page.fill("#source", brief.read_text(encoding="utf-8"))
    press(page, "[action='/studio/briefs/import']")
    page.fill("#name", name)
    page.fill("[name='audience.countries']", countries)
    page.fill("[name='product.price']", "fifty")
    press(page, "#brief")
    at.look("brief-wrong")
    assert page.locator("[aria-invalid=true]").count() == 1
    page.fill("[name='product.price']", "690")
    press(page, "#brief")
    page.locator("aside dl, aside table").first.wait_for()  # the forecast came
    press(page, "[action$='/campaign']")


def choose_texts(at: Looker) -> None:
    """Texts are written; one is edited in vain, then well; all are approved."""
    page = at.page
    read = page.locator(".run-waits a[href^='/studio/campaigns/']")
    read.wait_for()  # the page says so by itself
    at.look("run-waits")
    read.click()
    page.locator("h2").first.wait_for()
    at.look("texts")
    assert page.locator("iframe[sandbox]").count() == 2
    page.locator("a[href^='/studio/texts/']").first.click()
    subject = page.input_value("#subject")
    page.fill("#subject", subject + " 99 lei")
    press(page, "#edit")
    at.look("edit-refused")
    assert page.locator(".said.bad li").count() >= 1
    better = subject[:-1] if subject.endswith("?") else f"{subject}?"
    page.fill("#subject", better)
    press(page, "#edit")
    assert page.get_by_text(better, exact=True).count()
    press(page, "[action$='/approve']")


def start(at: Looker) -> None:
    page = at.page
    people = page.input_value("input[name=shown]")
    page.fill("#people", "7")
    press(page, "[action$='/start']")
    at.look("start-refused")
    page.fill("#people", people)
    press(page, "[action$='/start']")
    at.look("running")
    page.locator("[action$='/cancel']").wait_for(state="detached")  # the page says so by itself


def answer(console: Console, campaign: int) -> dict[str, int]:
    """SendGrid's events, signed: everything delivered, every third of arm A and every ninth of B clicks."""
    with sqlite3.connect(console.served.home / "pigeonry.db") as connection:
        sent = connection.execute(
            "SELECT m.send_key, a.arm, l.email, m.id FROM message m JOIN lead l ON l.id = m.lead_id "
            "JOIN assignment a ON a.lead_id = m.lead_id AND a.campaign_id = m.campaign_id "
            "WHERE m.campaign_id = ? AND m.state = 'accepted'",
            (campaign,),
        ).fetchall()
    now, events, clicks = int(time.time()), [], Counter[str]()
    for key, arm, email, number in sent:
        about = {"email": email, "send_key": key, "sg_message_id": f"{number}.recv"}
        events.append(
            {**about, "event": "delivered", "timestamp": now - 60, "sg_event_id": f"d{number}"}
        )
        if number % (3 if arm == "A" else 9) == 0:
            clicks[arm] += 1
            events.append(
                {
                    **about,
                    "event": "click",
                    "timestamp": now,
                    "sg_event_id": f"c{number}",
                    "url": "https://prisma.example/winter-course",
                    "useragent": FIREFOX,
                }
            )
    for first in range(0, len(events), 1000):
        body = json.dumps(events[first : first + 1000]).encode()
        posted = httpx.post(
            f"{console.served.base}/hooks/sendgrid",
            content=body,
            headers=console.signer.headers(body, str(now)),
            timeout=60,
            trust_env=False,
        )
        assert posted.status_code < 300, posted.text
    return clicks


def learn(at: Looker, console: Console, campaign: int) -> None:
    clicks = answer(console, campaign)
    deadline = time.monotonic() + 120
    while True:
        at.visit(f"/results/{campaign}")
        count = at.page.locator("form[action$='/count'] button")
        if count.count():
            press(at.page, "[action$='/count']")
            at.page.locator(".badge.good").wait_for()
            at.visit(f"/results/{campaign}")
        found = [
            row.inner_text()
            for row in at.page.locator("figure[data-chart=bars] tbody").first.locator("tr").all()
        ]
        if len(found) == 2 and all(
            str(clicks[arm]) in row for arm, row in zip("AB", found, strict=True)
        ):
            return
        assert time.monotonic() < deadline, (clicks, found)
        time.sleep(1)


def journey(at: Looker, console: Console, campaign: int, name: str, countries: str = "") -> None:
    bring_leads(at)
    write_brief(at, name, countries)
    choose_texts(at)
    start(at)
    learn(at, console, campaign)


def test_a_marketer_gets_from_the_first_sign_in_to_what_was_learned(console: Console) -> None:
    served, wrong = console.served, []
    with driven.window(console.browser, served.base, console.shots, language="ro-RO") as at:
        sign_up(at, served.setup)
        sign_in(at)
        journey(at, console, 1, "Curs de iarnă")
        at.walk()
        wrong += at.wrong
    assert LEADS / 2 < sum(1 for _ in (served.home / "outbox").rglob("*.eml")) < LEADS
    with driven.window(
        console.browser, served.base, console.shots, language="en-GB", scheme="dark"
    ) as at:
        sign_in(at)
        assert at.page.locator("html[lang=en]").count() == 1
        journey(at, console, 2, "Course for Ireland", "IE")
        at.walk()
        wrong += at.wrong
        assert {"/leads/n", "/segments/n", "/results/n", "/run/n", "/settings"} <= set(at.seen)
    assert not wrong, "\n".join(dict.fromkeys(wrong))
