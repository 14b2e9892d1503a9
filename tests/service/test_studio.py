"""The studio: briefs that say what is wrong, forecasts, texts that people may change only as checks allow,
runs that anybody may watch, and never a mail that nobody approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from generation import brief_form
from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.domain.lead import SuppressionReason
from pigeonry.domain.message import MessageState
from pigeonry.domain.variant import PERSON
from pigeonry.errors import BadInput, Refused, WrongUse
from pigeonry.service import (
    campaigns,
    job_work,
    jobs,
    learning,
    stages,
    studio_briefs,
    studio_forecast,
    studio_run,
    studio_start,
    studio_variants,
    uncertain,
)
from pigeonry.service.outcomes import summarise
from pigeonry.service.studio_run import Because
from pigeonry.store import consents, engagement, posteriors
from pigeonry.store.acts import Action
from pigeonry.store.models import Message
from pigeonry.store.session import Database
from tests.service.studio import BRIEF, NOW, add_leads, fake_prefect, small_home, written

OFFLINE = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Jobs are asked for, but done here: a process of its own would see another clock."""
    begun: list[int] = []

    def start(_home: Home, job_id: int) -> int:
        begun.append(job_id)
        return 0

    monkeypatch.setattr(jobs, "start", start)
    return begun


def test_a_draft_says_by_field_what_is_wrong_and_becomes_one_campaign(
    home: Home, database: Database
) -> None:
    form = brief_form.to_form(BRIEF, where="brief")
    broken = form | {
        "name": "Iarna {x}",
        "product.price": "mult",
        "experiment.holdout": "80",
        "dates.ends": "2020-01-01",
        "wording.ro.offer": "",
        "topic": "cursuri",
    }
    draft = studio_briefs.save(database, home, broken, by="ana", now=NOW)
    wrong = {problem.path: problem.code for problem in draft.problems}
    assert wrong["name"] == "markup"
    assert wrong["product.price"] == "price"
    assert wrong["experiment.holdout"] == "fraction"
    assert wrong["dates.ends"] == "before_start"
    assert draft.form["product.price"] == "mult"  # nothing typed is lost
    with pytest.raises(BadInput):
        studio_briefs.make_campaign(database, home, draft.id, now=NOW)

    good = studio_briefs.save(
        database, home, form | {"product.price": "1299,5"}, by="ana", now=NOW,
        draft_id=draft.id, version=draft.version,
    )  # fmt: skip
    assert good.ready
    assert "price = 1299.5" in good.source
    with pytest.raises(Refused, match="ana has saved"):
        studio_briefs.save(
            database, home, form, by="bob", now=NOW, draft_id=draft.id, version=draft.version
        )
    topic = studio_briefs.check(home, form | {"topic": "cursuri"})
    assert [(p.path, p.code) for p in topic] == [("topic", "topic")]

    number = studio_briefs.make_campaign(database, home, draft.id, now=NOW)
    assert studio_briefs.make_campaign(database, home, draft.id, now=NOW) == number
    changed = studio_briefs.save(
        database, home, form, by="ana", now=NOW, draft_id=draft.id, version=good.version
    )
    with pytest.raises(Refused, match="older text"):
        studio_briefs.make_campaign(database, home, draft.id, now=NOW)
    campaigns.cancel(database, number)
    again = studio_briefs.make_campaign(database, home, draft.id, now=NOW)
    assert again != number
    assert changed.campaign is not None

    copied = studio_briefs.copy(database, home, draft.id, by="bob", now=NOW)
    assert copied.name == f"{form['name']} (2)"
    taken = studio_briefs.take_in(database, home, BRIEF, by="bob", now=NOW)
    assert taken.source == BRIEF  # kept word for word
    with pytest.raises(BadInput, match="TOML"):
        studio_briefs.take_in(database, home, "name = ", by="bob", now=NOW)
    with pytest.raises(Refused, match="under way"):  # of the same name, with another text
        studio_briefs.make_campaign(database, home, taken.id, now=NOW)
    studio_briefs.remove(database, copied.id)
    assert [row.id for row in studio_briefs.every(database)] == [taken.id, draft.id]


def test_every_form_text_survives_toml(home: Home) -> None:
    texts = [
        '"quoted" \\ back',
        "tab\tand\x7f",
        "[table]",
        "# no comment",
        "ș ț ă",
        "'''",
        "a\\u0041",
    ]
    for text in texts:
        toml = brief_form.to_toml({"name": text, "limits.banned": f"{text}\n{text}"})
        back = brief_form.to_form(toml, where="brief")
        clean = " ".join(text.split())
        assert back == {"name": clean, "limits.banned": f"{clean}\n{clean}"}


def test_the_forecast_counts_everybody_once_and_never_passes_the_cap(
    home: Home, database: Database, tmp_path: Path
) -> None:
    tier = (
        '[[llm.tiers]]\nname = "big"\nmodel = "x/y"\nkey_env = "KEY"\nregion = "eu"\n'
        "price_in = 2.0\nprice_out = 8.0\n"
    )
    rich = small_home(
        home, f"{tier}[sending]\nwarmup_start = 10\nquiet_from = '20:00'\nquiet_to = '08:00'\n"
    )
    add_leads(database, rich, tmp_path)
    with database.write() as session:
        digest = address_hash("p1@example.com", rich.secret("suppression.key"))
        row = consents.SuppressionRow(digest, SuppressionReason.UNSUBSCRIBE, "test", NOW)
        consents.suppress_many(session, [row])
        consents.withdraw(session, 3, source="test", proof="", at=NOW)
    brief = studio_briefs.brief_of(rich, BRIEF)
    found = studio_forecast.forecast(database, rich, brief, now=NOW, env={})
    reach = found.audience.reach
    assert (reach.total, reach.suppressed, reach.no_consent, reach.mailable) == (60, 1, 1, 58)
    assert found.audience.held_out + found.audience.mailed == 58
    assert found.cost.why == "free"
    assert (found.cost.upper, found.cost.expected) == (0, 0)
    assert found.test is not None
    assert found.test.assumed
    assert found.test.needed > 58
    assert found.test.end.lift == 1.0  # so few people show nothing
    assert found.duration.total > timedelta(days=1).total_seconds()  # 10 mails on the first day
    assert set(found.duration.because) == {"assumed", "quiet", "warmup"}

    paid = studio_forecast.forecast(
        database, rich, replace(brief, budget_micros=5_000), now=NOW, env={"KEY": "k"}
    )
    assert paid.cost.upper == 5_000
    assert paid.cost.expected <= paid.cost.upper
    assert paid.cost.why == "cap"
    elsewhere = studio_forecast.forecast(
        database, rich, replace(brief, countries=("DE",)), now=NOW, env={}
    )
    assert (elsewhere.audience.reach.elsewhere, elsewhere.audience.mailed) == (60, 0)


def test_texts_are_edited_only_as_checks_allow_and_nothing_leaves_unapproved(
    home: Home, any_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = any_database
    small = small_home(home)
    add_leads(database, small, tmp_path, 30)
    number = written(database, small)
    shown = studio_variants.studio(database, number)
    cell = shown.cells[0]
    card = cell.cards[0]
    assert shown.open
    assert {c.variant.arm for c in cell.cards} == {"A", "B"}
    assert "claims" in card.passed
    light, _ = studio_variants.preview(database, small, card.variant.id, dark=False, at=NOW)
    dark, _ = studio_variants.preview(database, small, card.variant.id, dark=True, at=NOW)
    assert "Ana" in light
    assert "prefers-color-scheme" not in light + dark
    assert light != dark

    # Refused: an invented number. The words come back, nothing is stored.
    lie = studio_variants.edit(
        database, card.variant.id, {"subject": "Prisma Business cu 70% reducere"},
        stamp=card.stamp, by="ana", now=NOW,
    )  # fmt: skip
    assert not lie.stored
    assert lie.wanted.subject.endswith("70% reducere")
    assert any(v.check.startswith("claim") and v.field == "subject" for v in lie.violations)
    empty = studio_variants.check_edit(database, card.variant.id, {"body": " \n\n "})
    assert {"empty"} <= {violation.check for violation in empty}
    markup = studio_variants.check_edit(
        database, card.variant.id, {"hook": "<b>Prisma</b> {{ x }}"}
    )
    assert "placeholder" in {violation.check for violation in markup}
    assert studio_variants.studio(database, number).seen == shown.seen
    with pytest.raises(WrongUse):
        studio_variants.edit(
            database, card.variant.id, {"tier": "x"}, stamp=card.stamp, by="ana", now=NOW
        )

    edited = studio_variants.edit(
        database, card.variant.id, {"preheader": "Prisma Business, pentru serile tale de curs"},
        stamp=card.stamp, by="ana", now=NOW,
    )  # fmt: skip
    assert edited.stored, edited.violations
    assert edited.variant.tier == PERSON
    with pytest.raises(Refused, match="since you opened"):
        studio_variants.edit(
            database, card.variant.id, {"cta": "Vezi"}, stamp=card.stamp, by="bob", now=NOW
        )
    now_shown = studio_variants.studio(database, number)
    act = now_shown.acts[0]
    assert (act.action, act.by, act.variant_id) == (Action.EDITED, "ana", card.variant.id)
    assert act.detail["before"]["preheader"] == card.variant.copy.preheader

    # An approval names what was seen; a run in between finds nobody's yes.
    with pytest.raises(Refused, match="has changed since"):
        campaigns.approve(database, number, by="bob", now=NOW, seen=shown.seen)
    with pytest.raises(Refused, match="approved"):
        studio_start.send(database, small, number, by="bob", now=NOW, env=OFFLINE)
    result = campaigns.run_campaign(database, small, number, clock=lambda: NOW, send=True)
    assert (result.next, result.state) == ("approve", "waiting")
    campaigns.approve(database, number, by="bob", now=NOW, seen=now_shown.seen)
    campaigns.approve(database, number, by="eva", now=NOW)  # twice is harmless
    with pytest.raises(Refused, match="bob has approved"):
        studio_variants.edit(
            database, card.variant.id, {"cta": "Vezi"}, stamp=card.stamp, by="ana", now=NOW
        )
    with pytest.raises(WrongUse, match="reason"):
        studio_variants.send_back(database, number, reason=" ", by="eva", now=NOW)
    studio_variants.send_back(database, number, reason="mai cald", by="eva", now=NOW)
    back = studio_variants.studio(database, number)
    assert back.open
    assert back.sent_back is not None
    assert back.sent_back.reason == "mai cald"
    assert campaigns.run_campaign(database, small, number, send=True).next == "approve"

    # Even a yes that is taken back while the approval is being noted stops everything.
    campaigns.approve(database, number, by="bob", now=NOW, seen=back.seen)
    heard = stages.WORK["approve"]

    def taken_back(run: stages.Run) -> Any:
        note = heard(run)
        studio_variants.send_back(database, number, reason="stop", by="eva", now=NOW)
        return note

    with monkeypatch.context() as patched:
        patched.setitem(stages.WORK, "approve", taken_back)
        stopped = campaigns.run_campaign(database, small, number, clock=lambda: NOW, send=True)
    assert (stopped.next, campaigns.view(database, number).planned) == ("approve", 0)

    campaigns.approve(database, number, by="bob", now=NOW, seen=back.seen)
    assert (
        campaigns.run_campaign(database, small, number, clock=lambda: NOW, send=True).next
        == campaigns.END
    )
    with pytest.raises(Refused):
        studio_variants.send_back(database, number, reason="prea târziu", by="eva", now=NOW)

    # What the edited text earns is its arm's within the campaign, and no prompt's in what is learned.
    with database.read() as session:
        sent = engagement.sent(session, campaign_id=number)
    mine = [m for m in sent if (m.segment_id, m.language, m.arm)
            == (cell.segment.id, cell.language.value, card.variant.arm)]  # fmt: skip
    assert mine
    assert {(m.prompt, m.prompt_version) for m in mine} == {(PERSON, "")}
    assert PERSON not in {m.prompt for m in sent if m not in mine}
    within = summarise(database, number, mature_hours=24, now=NOW)
    assert PERSON not in {cell.prompt for cell in within.cells}
    learning.learn(database, small, now=NOW + timedelta(days=3))
    with database.read() as session:
        credited = {b.prompt: b.sends for b in posteriors.every(session) if not b.segment_id}
    assert credited[PERSON] == len(mine)
    assert credited[card.variant.prompt] == sum(m.prompt == card.variant.prompt for m in sent)


def test_a_run_is_watched_by_all_with_one_look_and_stopped_by_anybody(
    home: Home, database: Database, tmp_path: Path, no_process: list[int]
) -> None:
    small = small_home(home)
    add_leads(database, small, tmp_path)
    draft = studio_briefs.take_in(database, small, BRIEF, by="ana", now=NOW)
    number = studio_briefs.make_campaign(database, small, draft.id, now=NOW)
    watch = studio_run.Watch(database, small, clock=lambda: NOW)
    assert [wait.because for wait in watch.snapshot(number).waits] == [Because.START]

    # Without Prefect a job runs the same stages; two clicks are one job.
    started = studio_start.write(database, small, number, by="ana", now=NOW, env=OFFLINE)
    assert started.how == "job"
    assert studio_start.write(database, small, number, by="ana", now=NOW, env=OFFLINE) == started
    assert no_process == [int(started.run)]
    job = job_work.run(database, small, int(started.run), now=lambda: NOW)
    assert job.state == "done"
    assert job.result["stage"] == "approve"
    before = watch.looks
    for _ in range(20):
        watch.snapshot(number)
    assert watch.looks <= before + 1
    watch.stale(number)
    assert [wait.because for wait in watch.snapshot(number).waits] == [Because.APPROVAL]
    campaigns.approve(database, number, by="ana", now=NOW)
    people = studio_start.people(database, number, now=NOW)
    assert people == 60
    studio_start.confirm(small, "", shown=people, now_there=people)  # below the setting
    many = small_home(home, "[sending]\nconfirm_above = 10\n")
    with pytest.raises(Refused, match="60"):
        studio_start.confirm(many, "6", shown=people, now_there=people)
    with pytest.raises(Refused, match="meanwhile"):
        studio_start.confirm(many, "60", shown=people, now_there=90)
    studio_start.confirm(many, " 60 ", shown=people, now_there=people)

    # A pause stands: whoever runs finds it, and resuming has to be said before a start.
    assert studio_run.change(database, number, "pause") == "paused"
    assert [wait.because for wait in studio_run.look(database, small, number, now=NOW).waits] == [
        Because.PAUSED
    ]
    with pytest.raises(Refused, match="paused"):
        studio_start.send(database, small, number, by="ana", now=NOW, env=OFFLINE)
    studio_run.change(database, number, "resume")

    # In quiet hours everything waits, says why, and a later look starts it again.
    night = small_home(home, "[sending]\nquiet_from = '08:00'\nquiet_to = '20:00'\n")
    sending = studio_start.send(database, night, number, by="ana", now=NOW, env=OFFLINE)
    job_work.run(database, night, int(sending.run), now=lambda: NOW)
    snapshot = studio_run.look(database, night, number, now=NOW)
    quiet = next(wait for wait in snapshot.waits if wait.because is Because.QUIET)
    assert quiet.messages == snapshot.waiting > 0
    assert quiet.until is not None
    assert quiet.until > NOW
    assert studio_start.go_on_due(database, night, now=NOW + timedelta(minutes=5)) == []
    later = NOW + timedelta(hours=11)
    assert studio_start.go_on_due(database, night, now=later) == [number]
    assert studio_start.go_on_due(database, night, now=later) == []
    job_work.run(database, night, jobs.listed(database, limit=1)[0].id, now=lambda: later)
    done = studio_run.look(database, night, number, now=later)
    assert done.over
    assert done.sent + done.held_out == 60
    assert done.final == done.planned
    assert done.to_json()["counts"]["accepted"] == done.sent

    # What nobody can know is a person's to say.
    with database.write() as session:
        session.execute(update(Message).where(Message.id == 1).values(state="parked"))
    assert studio_run.look(database, night, number, now=later).uncertain == 1
    [parked] = studio_run.uncertain(database, number)
    assert parked.state is MessageState.PARKED
    assert uncertain.resolve(database, parked.id, False, now=later)  # the campaign was done
    campaigns.run_campaign(database, night, number, clock=lambda: later, send=True)
    after = studio_run.look(database, night, number, now=later)
    assert (after.state, after.sent, after.waiting) == ("done", done.sent, 0)


def test_prefect_starts_the_campaign_where_a_worker_stands_ready(
    home: Home, database: Database, no_process: list[int]
) -> None:
    draft = studio_briefs.take_in(database, home, BRIEF, by="ana", now=NOW)
    number = studio_briefs.make_campaign(database, home, draft.id, now=NOW)
    with fake_prefect() as prefect:
        env = {"PREFECT_API_URL": prefect.url}
        started = studio_start.write(database, home, number, by="ana", now=NOW, env=env)
        assert (started.how, started.run) == ("prefect", "run-1")
        [(path, body)] = prefect.asked
        assert path == "/api/deployments/d-1/create_flow_run"
        assert body["parameters"] == {
            "campaign_id": number, "home": str(home.path), "send": False, "until": "score",
        }  # fmt: skip
        campaigns.view(database, number)
        prefect.ready = False
        assert studio_start.write(database, home, number, by="ana", now=NOW, env=env).how == "job"
    assert len(no_process) == 1
    acts = studio_variants.studio(database, number).acts
    assert [act.detail["how"] for act in acts] == ["job", "prefect"]
    campaigns.cancel(database, number)
    with pytest.raises(Refused, match="cancelled"):
        studio_start.write(database, home, number, by="ana", now=NOW, env=OFFLINE)
