"""A marketer writes a brief, sees what it reaches, reads and edits the mails, approves, and starts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from generation import brief_form
from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service import campaigns, job_work, jobs
from pigeonry.store.session import Database
from tests.service.studio import BRIEF, add_leads, small_home
from tests.web.console import NOW, Visitor, console, said

_FORM = brief_form.to_form(BRIEF, where="brief")


@pytest.fixture
def visitor(
    home: Home, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    monkeypatch.setattr(jobs, "start", lambda *_: 0)  # done here: it would see another clock
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    small = small_home(home, "[sending]\nconfirm_above = 10\n[privacy]\ntopics = ['cursuri']\n")
    add_leads(database, small, tmp_path, 30)
    with console(small, database) as found:
        found.client.timeout = 60
        yield found


def form(**changes: str) -> dict[str, str | list[str]]:
    """The example's fields as a browser posts them."""
    fields: dict[str, str | list[str]] = dict(_FORM)
    fields |= {name.replace("__", "."): text for name, text in changes.items()}
    fields["languages"] = str(fields["languages"]).split("\n")
    return fields


def work(visitor: Visitor) -> None:
    """Do the newest job in this process."""
    newest = jobs.listed(visitor.database, limit=1)[0]
    job_work.run(visitor.database, visitor.home, newest.id, now=lambda: visitor.moment[0])


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def test_from_a_broken_brief_to_sending_by_hand(visitor: Visitor) -> None:
    assert "No brief yet" in said(visitor.get("/studio"))
    new = visitor.get("/studio/briefs/new")
    assert 'value="10"' in new.text  # a holdout is kept unless somebody says no

    # A draft may be wrong; the page says where, in the visitor's language, and keeps what was typed.
    made = visitor.post("/studio/briefs", form(product__price="mult", experiment__holdout="80"))
    assert made.status_code == 303
    path = made.headers["location"]
    page = visitor.get(path)
    assert 'value="mult"' in page.text
    assert "a positive amount" in said(page)
    assert "a number from 0 to 50" in said(page)
    assert 'aria-invalid="true"' in page.text
    romanian = visitor.get(path, headers={"Accept-Language": "ro"})
    assert "o sumă pozitivă" in said(romanian)
    assert visitor.get(f"{path}/forecast").status_code == 200
    assert visitor.post(f"{path}/campaign").status_code == 409

    checked = visitor.post(
        "/studio/briefs/check", form(name="<b>x</b>"), headers={"HX-Request": "true"}
    )
    assert 'id="name-wrong"' in checked.text
    assert "&lt;" in checked.text
    assert "<b>x" not in checked.text

    version = hidden(page.text, "version")
    saved = visitor.post(path, {**form(product__price="1299,50"), "version": version})
    assert saved.status_code == 303
    stale = visitor.post(path, {**form(name="Altul"), "version": version})
    assert stale.status_code == 409
    assert 'value="Altul"' in stale.text  # what was typed is still there
    assert "The brief is complete" in said(visitor.get(path))
    forecast = visitor.get(f"{path}/forecast", headers={"HX-Request": "true"})
    assert "30 people" in said(forecast)
    assert "it costs nothing" in said(forecast)
    exported = visitor.get(f"{path}/export")
    assert "price = 1299.50" in exported.text
    assert visitor.post(f"{path}/copy").status_code == 303
    imported = visitor.post("/studio/briefs/import", {"source": BRIEF.replace("Winter", "Other")})
    assert imported.status_code == 303
    assert visitor.post("/studio/briefs/import", {"source": "= ="}).status_code == 400

    # The campaign: texts by a job, then the mails side by side.
    started = visitor.post(f"{path}/campaign")
    assert started.headers["location"] == "/run/1"
    work(visitor)
    studio = visitor.get("/studio/campaigns/1")
    assert "frame-src 'self'" in studio.headers["content-security-policy"]
    frames = re.findall(r'<iframe sandbox[^>]*src="(/studio/texts/\d+/mail[^"]*)"', studio.text)
    assert len(frames) == 2
    light, dark = (
        visitor.get(f"{frames[0].partition('?')[0]}?scheme={s}") for s in ("light", "dark")
    )
    assert light.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "Ana" in light.text
    assert light.text != dark.text

    before = visitor.get("/studio/campaigns/1/preflight", headers={"HX-Request": "true"})
    assert "One-click unsubscribe must change" in said(before)  # links lead to this machine only

    # An edit that a check refuses says which and why, and keeps the words.
    texts = frames[0].split("/mail")[0]
    edit = visitor.get(texts)
    stamp = hidden(edit.text, "stamp")
    lie = {"stamp": stamp, "subject": "Prisma Business: 70% reducere <script>"}
    refused = visitor.post(texts, lie)
    assert refused.status_code == 400
    assert "Claims" in said(refused)
    assert "70% reducere &lt;script&gt;" in refused.text
    assert "Afirmații" in said(visitor.post(texts, lie, headers={"Accept-Language": "ro"}))
    checked = visitor.post(f"{texts}/check", lie, headers={"HX-Request": "true"})
    assert "70%" in checked.text
    preheader = "Prisma Business, pentru serile tale de curs"
    done = visitor.post(texts, {"stamp": stamp, "preheader": preheader})
    assert done.status_code == 303, said(done)
    shown = visitor.get("/studio/campaigns/1")
    assert preheader in html.unescape(shown.text)
    assert "a person" in said(shown)

    # Approve what was read, not what changed since; then only with the number of people.
    old = visitor.post("/studio/campaigns/1/approve", {"seen": hidden(studio.text, "seen")})
    assert old.status_code == 409
    assert visitor.post("/studio/campaigns/1/start").status_code == 409  # nobody approved
    editor = visitor.as_role(Role.EDITOR)
    assert editor.post("/studio/campaigns/1/approve").status_code == 403
    assert editor.post("/studio/campaigns/1/send-back", {"reason": ""}).status_code == 400
    back = editor.post("/studio/campaigns/1/send-back", {"reason": "mai cald"})
    assert back.status_code == 303
    assert "mai cald" in said(visitor.get("/studio/campaigns/1"))
    seen = hidden(visitor.get("/studio/campaigns/1").text, "seen")
    assert visitor.post("/studio/campaigns/1/approve", {"seen": seen}).status_code == 303
    assert editor.post(texts, {"stamp": stamp, "cta": "Vezi"}).status_code == 409
    ready = visitor.get("/studio/campaigns/1")
    assert "Type the number of people, 30" in said(ready)
    shown_people = hidden(ready.text, "shown")
    wrong = visitor.post("/studio/campaigns/1/start", {"shown": shown_people, "people": "3"})
    assert wrong.status_code == 409
    assert campaigns.view(visitor.database, 1).planned == 0
    later = {"shown": "30", "people": "30", "at": f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M}"}
    assert "Prefect" in said(visitor.post("/studio/campaigns/1/start", later))
    go = visitor.post("/studio/campaigns/1/start", {"shown": "30", "people": "30"})
    assert go.headers["location"] == "/run/1"
    work(visitor)
    view = campaigns.view(visitor.database, 1)
    assert view.state == "done"
    assert view.sent + view.held_out == 30
    assert "Winter course" in said(visitor.get("/studio"))
    assert visitor.post("/studio/campaigns/1/copy").status_code == 303
    over = visitor.post("/studio/campaigns/1/write")
    assert over.status_code == 409
    assert "The campaign is done" in said(over)
    for path in ("/studio/briefs/99", "/studio/campaigns/99", "/studio/texts/99", "/studio/x"):
        assert visitor.get(path).status_code in (404, 422), path
