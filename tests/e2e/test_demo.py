"""The demo as a newcomer meets it: it ends, says what is simulated, and the second campaign differs."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

PREFECT = re.compile(r"\d\d:\d\d:\d\d\.\d+ \| \w+ +\| prefect\.")


def rows(demo: Any, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(demo.home / "pigeonry.db") as connection:
        return connection.execute(statement).fetchall()


def test_each_planned_message_is_exactly_one_file(demo: Any) -> None:
    keys = [key for (key,) in rows(demo, "SELECT send_key FROM message WHERE state = 'accepted'")]
    files = [path.stem for path in (demo.home / "outbox").rglob("*.eml")]
    assert len(keys) > 2000
    assert sorted(keys) == sorted(files)
    assert rows(demo, "SELECT count(*) FROM message WHERE state != 'accepted'") == [(0,)]


def test_nobody_held_out_or_opted_out_got_mail(demo: Any) -> None:
    assert rows(
        demo,
        "SELECT count(*) FROM message m JOIN assignment a "
        "ON a.lead_id = m.lead_id AND a.campaign_id = m.campaign_id WHERE a.arm = 'holdout'",
    ) == [(0,)]
    assert rows(
        demo,
        "SELECT count(*) FROM message m WHERE m.planned_at > (SELECT min(s.at) FROM suppression s "
        "WHERE s.address_hash = m.address_hash)",
    ) == [(0,)]
    assert rows(
        demo,
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM consent c "
        "WHERE c.lead_id = m.lead_id AND c.state = 'granted')",
    ) == [(0,)]


def test_a_lead_gets_at_most_one_mail_of_a_campaign(demo: Any) -> None:
    assert (
        rows(
            demo,
            "SELECT lead_id, campaign_id, count(*) FROM message GROUP BY 1, 2 HAVING count(*) > 1",
        )
        == []
    )


def test_every_assignment_has_a_propensity(demo: Any) -> None:
    ((count, low, high),) = rows(
        demo, "SELECT count(*), min(propensity), max(propensity) FROM assignment"
    )
    assert count > 2000
    assert 0 < low <= high <= 1


def test_every_line_about_recipients_calls_them_simulated(demo: Any) -> None:
    lines = [
        line
        for line in demo.printed.splitlines()
        if re.search(r"\bclicks?\b|\bopens?\b|\breplies\b|\bevents\b", line)
        and not line.startswith("{")
        and not PREFECT.match(line)  # its own log speaks of its own events
    ]
    assert lines
    for line in lines:
        assert "simulated" in line.lower(), line


def test_the_second_campaign_starts_from_what_the_first_taught(demo: Any) -> None:
    first, second = demo.result["campaigns"]
    assert len({round(arm["probability"], 9) for arm in first["arms"]}) == 1  # nothing was known
    # What was believed when each was planned, whichever way chance went afterwards; that the better prompt
    # gains is tested where the truth is known, in tests/service/learning.
    (((one,),), ((two,),)) = (
        rows(demo, f"SELECT plan FROM experiment WHERE campaign_id = {found['campaign']}")
        for found in (first, second)
    )
    before, after = json.loads(one), json.loads(two)
    assert (before["beliefs"], after["choice"]["prior_sends"] > 1000) == ([], True)
    effects, weights = after["choice"]["effects"], after["choice"]["weights"]
    leader = max(effects, key=effects.__getitem__)
    assert weights[leader] == max(weights.values()) > 1 / 3  # the uniform lot of three prompts
    for number in before["rest"]["shares"]:
        effect, share = before["rest"]["effects"][number], before["rest"]["shares"][number]
        assert max(share, key=share.__getitem__) == max(effect, key=effect.__getitem__)
    ((posteriors, prompts),) = rows(
        demo,
        "SELECT (SELECT count(*) FROM posterior), "
        f"(SELECT count(DISTINCT prompt) FROM variant WHERE campaign_id = {second['campaign']})",
    )
    assert posteriors > 0
    assert prompts == 2


def test_the_report_is_one_page_that_asks_for_nothing_from_outside(demo: Any) -> None:
    page = (demo.home / "reports" / "demo.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert len(page) < 6_000_000
    assert not re.search(r"<script\b", page)
    assert not re.search(r"<(img|link)\b[^>]*(src|href)=\"https?:", page)


def test_the_ledger_explains_each_proposal_that_was_refused(demo: Any) -> None:
    refused = rows(
        demo, "SELECT count(*), sum(reason = '') FROM llm_call WHERE outcome = 'refused'"
    )
    assert refused[0][0] == 0 or refused[0][1] == 0
    ((calls, seconds),) = rows(
        demo,
        "SELECT count(*), sum(seconds) FROM llm_call "
        "WHERE tier = 'local' AND cache = 'miss' AND outcome != 'skipped'",
    )
    assert calls <= 2 * demo.calls
    assert (seconds or 0) <= 2 * demo.seconds
