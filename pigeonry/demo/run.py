"""The main job on example leads: two campaigns, and what the first one taught the second.

The flows, the store, the copy, the mails and the learning are the real ones. The recipients and the
calendar are not: people are simulated, and the clock starts twelve days back so that waiting for
replies takes no time. Every line that depends on them says so.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pigeonry.config import Home
from pigeonry.demo.simulator import LABEL, answers, mailbox
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import NotFound, Refused
from pigeonry.service.homes import DEMO_MARKER

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEED = 7

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Numbers of the campaigns by their id, in order, and where the report is."""

    campaigns: tuple[int, ...]
    report: Path
    outbox: Path
    mails: int
    events: int


def run_demo(
    home: Home, *, say: Say, progress: Progress = silent, examples: Path = EXAMPLES
) -> DemoResult:
    """Run the loop twice and write the report. Starts from an empty home each time.

    Raises Refused for a home that has data and was not made by the demo.
    """
    import flows

    flows.settle(home.path)  # before the first import of a flow: Prefect's files stay in this home

    from flows.campaign import campaign
    from flows.intake import intake
    from pigeonry.service.homes import open_database
    from pigeonry.service.reports import write_report

    leads = examples / "leads.csv"
    if not leads.exists():
        raise NotFound(
            "the example leads are not here",
            where=str(leads),
            fix="run this from a checkout, or name the folder with --examples",
        )
    _empty(home)
    _settle(home, say)
    path = str(home.path)
    replies = _Replies(home, leads, say)
    start = datetime.now(UTC) - timedelta(days=12)

    taken = intake(path=str(leads), home=path, as_of=start.isoformat())
    say(
        f"leads      {taken['rows']:,} rows: {taken['created']:,} created, "
        f"{taken['rejected']:,} rejected, {taken['suppressed']:,} must not be written to"
    )
    numbers: list[int] = []
    for brief, day in (("first-campaign.toml", 0), ("second-campaign.toml", 7)):
        source = str(examples / "briefs" / brief)
        begin = start + timedelta(days=day)
        state = campaign(
            brief=source,
            home=path,
            send=True,
            approve=True,
            until="send_test",
            as_of=begin.isoformat(),
        )
        number = int(state["campaign"])
        numbers.append(number)
        say(f"campaign {number} {state['name']}: test wave sent, {state['sent']:,} mails")
        replies.take(begin + timedelta(days=3), number)
        rest = begin + timedelta(days=3)
        state = campaign(
            campaign_id=number, home=path, send=True, approve=True, as_of=rest.isoformat()
        )
        say(f"campaign {number} {state['name']}: the rest sent, {state['sent']:,} mails in all")
        replies.take(min(rest + timedelta(days=3), datetime.now(UTC)), number)
    report = home.reports / "demo.html"
    db = open_database(home)
    try:
        write_report(
            db,
            home,
            numbers,
            report,
            now=datetime.now(UTC),
            simulated=f"{LABEL}: opens, clicks and everything computed from them are invented by a "
            "program; the dates are set back by twelve days.",
        )
    finally:
        db.dispose()
    return DemoResult(tuple(numbers), report, home.outbox, len(replies.seen), replies.events)


def _settle(home: Home, say: Say) -> None:
    """Settings of the demo, as environment: the flows read the home themselves. Unless it says otherwise,
    both campaigns together may take 24 calls and 60 seconds of the local model."""
    os.environ.setdefault("PIGEONRY_LLM__LOCAL_CALLS", "12")
    os.environ.setdefault("PIGEONRY_LLM__LOCAL_SECONDS", "30")
    if not (home.models / "e5-small").exists():
        say("models     not fetched: words stand in for meaning, and the copy library writes")
        os.environ["PIGEONRY_EMBEDDING__BACKEND"] = "hashing"


class _Replies:
    """Lets the simulated recipients read what is new in the outbox, and takes in what comes back."""

    def __init__(self, home: Home, leads: Path, say: Say) -> None:
        self.home = home
        self.say = say
        self.seen: set[str] = set()
        self.events = 0
        self._personas = personas(leads)

    def take(self, until: datetime, number: int) -> None:
        from flows.drain_events import drain_events
        from flows.learn import learn
        from pigeonry.service.events import store_raw
        from pigeonry.service.homes import open_database

        mails = list(mailbox(self.home.outbox, seen=self.seen))
        found = [
            event
            for event in answers(mails, self._personas, seed=SEED)
            if event["timestamp"] <= until.timestamp()
        ]
        self.events += len(found)
        body = json.dumps(found).encode()
        folder = self.home.path / "simulated"
        folder.mkdir(exist_ok=True)
        (folder / f"campaign-{number}-{until:%Y%m%dT%H%M%S}.json").write_bytes(body)
        db = open_database(self.home)
        try:
            store_raw(db, body, source="sendgrid", now=until)
        finally:
            db.dispose()
        drained = drain_events(home=str(self.home.path), as_of=until.isoformat())
        learned = learn(home=str(self.home.path), as_of=until.isoformat())
        clicks = sum(event["event"] == "click" for event in found)
        self.say(
            f"  {LABEL}: {len(mails):,} mails read, {len(found):,} events, {clicks:,} clicks; "
            f"{drained['applied']:,} applied, {learned['updated']:,} beliefs updated"
        )


def personas(leads: Path) -> dict[str, str]:
    """Who is what kind of reader, by address, from the column that the example leads carry for it."""
    from pigeonry.demo.leads import persona_of

    with leads.open(encoding="utf-8-sig", newline="") as file:
        found = {}
        for row in csv.DictReader(file):
            persona = persona_of(row)
            if persona is not None:
                found[persona[0]] = persona[1]
    return found


def _empty(home: Home) -> None:
    """Start from nothing, but keep the models. Only ever a home of our own."""
    marker = home.path / DEMO_MARKER
    if home.path.exists() and (home.path / "pigeonry.db").exists() and not marker.exists():
        raise Refused(
            "this home has data of its own and was not made by the demo",
            where=str(home.path),
            fix="give the demo a folder of its own: --home ./.pigeonry-demo",
        )
    if home.settings.database.url:
        raise Refused(
            "the demo empties its database, so it uses only the one in its own home",
            where="database.url",
            fix="run it with a home that has no pigeonry.toml",
        )
    home.path.mkdir(parents=True, exist_ok=True)
    for name in ("outbox", "simulated"):
        shutil.rmtree(home.path / name, ignore_errors=True)
    for path in home.path.glob("pigeonry.db*"):
        path.unlink()
    marker.write_text("This home was made by `pigeonry demo`, which empties it at each run.\n")
