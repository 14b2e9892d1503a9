"""Whatever happens to consents, mail goes to nobody whom a plain reading of the history would not mail.

The oracle keeps a list of what was said for each address, and knows nothing of tables, merging or fences.
"""

from __future__ import annotations

import csv
import email
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from pigeonry.config import load_home
from pigeonry.delivery.links import load_links
from pigeonry.delivery.opt_in import load_opt_in_links
from pigeonry.domain import PlannedMessage, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service import subscriptions
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.service.people import erase_person
from pigeonry.service.sending import send_campaign
from pigeonry.store import consent_texts, consents, leads
from pigeonry.store.models import Job, Lead
from pigeonry.store.session import Database
from tests.delivery.world import World

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PEOPLE = ("ana@exemplu.ro", "ion@exemplu.ro")
CONSENT_DAYS = 40
OWN_STOPS = {"unsubscribe", "do-not-mail"}


@dataclass
class Told:
    """What was said about one address, and by whom. A list cannot take back what a person said."""

    known: bool = False
    erased: bool = False
    ever_spoke: bool = False
    agreed_until: datetime | None = None  # None: does not agree
    stops: set[str] = field(default_factory=set)

    def list_says(self, now: datetime, *, yes: bool, no: bool, barred: bool) -> None:
        if self.erased:
            return
        self.known = True
        if barred and not self.stops:
            self.stops.add("do-not-mail")
        if no:
            self.ever_spoke, self.agreed_until = True, None
        elif yes and not self.stops and not self.ever_spoke:
            self.ever_spoke, self.agreed_until = True, now + timedelta(days=CONSENT_DAYS)

    def leaves(self) -> None:
        if self.known:
            self.ever_spoke, self.agreed_until = True, None
            self.stops.discard("bounce")  # somebody reads that mailbox after all
            self.stops.add("unsubscribe")

    def confirms(self, now: datetime) -> None:
        if self.stops <= OWN_STOPS:
            self.stops.clear()
            self.ever_spoke, self.agreed_until = True, now + timedelta(days=CONSENT_DAYS)

    def may_be_mailed(self, now: datetime) -> bool:
        return (
            self.known
            and not self.stops
            and self.agreed_until is not None
            and now < self.agreed_until
        )


people = st.sampled_from(PEOPLE)
words = st.sampled_from(["da"] * 6 + ["nu", "nu", "", "poate", "31.02.2026"])
seldom = st.sampled_from([False] * 7 + [True])
often = st.sampled_from([True] * 4 + [False])


class Consents(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="consents-"))
        path = self.folder / "home"
        path.mkdir()
        shutil.copyfile(self.template, path / "pigeonry.db")
        (path / "pigeonry.toml").write_text(f"[privacy]\nconsent_days = {CONSENT_DAYS}\n")
        self.home = load_home(path, env={})
        self.db = Database(self.home.database_url)
        self.now = START
        self.told: defaultdict[str, Told] = defaultdict(Told)
        self.world = World(self.db, leads=0)
        self.asked: dict[str, tuple[str, datetime]] = {}
        self.sends = 0
        with self.db.write() as session:
            consent_texts.add(session, language="ro", text="Da.", at=START)
        self.a_list_or_a_crm_comes([(who, "da", False) for who in PEOPLE], True, "")

    def teardown(self) -> None:
        self.db.dispose()
        shutil.rmtree(self.folder)

    def tick(self) -> None:
        self.now += timedelta(minutes=1)

    def lead_id(self, who: str) -> int | None:
        with self.db.read() as session:
            lead = leads.by_email(session, who)
        return lead.id if lead else None

    @rule(
        rows=st.lists(st.tuples(people, words, seldom), min_size=1, max_size=3),
        claimed=often,
        number=st.sampled_from(["", "crm-1"]),
    )
    def a_list_or_a_crm_comes(
        self, rows: list[tuple[str, str, bool]], claimed: bool, number: str
    ) -> None:
        """Several rows of one address are one person: a no anywhere counts, and so does a bar. An
        outside number that moves to another address carries no consent along."""
        self.tick()
        path = self.folder / "list.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["email", "consent", "do not mail", "external id"])
            writer.writerows([who, said, "da" if bar else "", number] for who, said, bar in rows)
        claim = parse_claim("express:list") if claimed else None
        import_leads(
            self.db, self.home, path, mapping={}, consent=claim, dry_run=False, now=self.now
        )
        for who in {who for who, _, _ in rows}:
            said = [word for name, word, _ in rows if name == who]
            self.told[who].list_says(
                self.now,
                yes=claimed and all(word == "da" for word in said),
                no="nu" in said,
                barred=any(bar for name, _, bar in rows if name == who),
            )

    @rule(who=people)
    def a_person_leaves(self, who: str) -> None:
        self.tick()
        if lead_id := self.lead_id(who):
            token = load_links(self.home).unsubscribe_token(lead_id, 1)
            assert subscriptions.unsubscribe(
                self.db, self.home, token, how="one-click", now=self.now
            )
        self.told[who].leaves()

    @rule(
        who=people, reason=st.sampled_from([SuppressionReason.BOUNCE, SuppressionReason.COMPLAINT])
    )
    def a_provider_reports(self, who: str, reason: SuppressionReason) -> None:
        self.tick()
        digest = address_hash(who, self.home.secret("suppression.key"))
        with self.db.write() as session:
            consents.suppress(session, digest, reason=reason, source="provider", at=self.now)
        # An unsubscribe after a bounce says that the mailbox is there: of the two it counts.
        weaker = reason is SuppressionReason.BOUNCE and "unsubscribe" in self.told[who].stops
        self.told[who].stops |= set() if weaker else {reason.value}

    @rule(who=people, at_once=often)
    def somebody_types_an_address_into_a_form(self, who: str, at_once: bool) -> None:
        self.now += timedelta(days=1)
        subscriptions.request_opt_in(
            self.db, self.home, email=who, language="ro", text_version="", source="form", ip="",
            now=self.now,
        )  # fmt: skip
        if not self.told[who].stops <= OWN_STOPS:
            return  # nobody is asked
        self.told[who].known = True
        with self.db.read() as session:
            row = session.scalars(
                select(Job).where(Job.kind == "opt-in-mail").order_by(Job.id.desc())
            ).first()
            assert row is not None
        token = load_opt_in_links(self.home).token(row.id, row.payload["send_key"])
        self.asked[who] = token, self.now
        if at_once:
            self.a_person_confirms(who)

    @rule(who=people)
    def a_person_confirms(self, who: str) -> None:
        """Some time after the request; meanwhile anything may have happened."""
        if who not in self.asked:
            return
        self.tick()
        told, (token, asked_at) = self.told[who], self.asked.pop(who)
        wanted = (
            told.known
            and told.stops <= OWN_STOPS
            and self.now - asked_at <= timedelta(days=subscriptions.OPT_IN_DAYS)
        )
        got = subscriptions.confirm_opt_in(
            self.db, self.home, token, ip="", user_agent="", now=self.now
        )
        assert got == wanted
        if wanted:
            told.confirms(self.now)

    @precondition(lambda self: self.now > START + timedelta(days=30))  # or few get so far
    @rule(who=people)
    def a_person_is_erased(self, who: str) -> None:
        self.tick()
        erase_person(self.db, self.home, who, now=self.now)
        self.told[who] = Told(erased=True, stops={"erasure"})

    @rule(days=st.integers(1, CONSENT_DAYS))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @precondition(lambda self: any(told.known for told in self.told.values()))
    @rule()
    def everybody_is_planned_and_sent_to(self) -> None:
        """Also those who should never have been planned: the fence is the last gate."""
        self.tick()
        self.sends += 1
        before = set(self.home.outbox.rglob("*.eml"))
        with self.db.read() as session:
            rows = session.execute(select(Lead.id, Lead.address_hash)).all()
        self.world.plan(
            [
                PlannedMessage(
                    campaign_id=self.world.campaign_id, lead_id=lead_id, wave=1, address_hash=digest,
                    variant_id=self.world.variant_id, channel="file", occurrence=str(self.sends),
                )
                for lead_id, digest in rows
            ]
        )  # fmt: skip
        send_campaign(
            self.db, self.home, self.world.campaign_id, now=lambda: self.now, patience=0.0
        )
        sent = set(self.home.outbox.rglob("*.eml")) - before
        reached = {email.message_from_bytes(path.read_bytes())["To"] for path in sent}
        reached = {text.rpartition("<")[2].rstrip(">") for text in reached}
        assert reached == self.allowed()

    def allowed(self) -> set[str]:
        return {who for who, told in self.told.items() if told.may_be_mailed(self.now)}

    @invariant()
    def the_audience_is_who_agrees_and_was_never_stopped(self) -> None:
        with self.db.read() as session:
            found = {lead.email for lead in leads.mailable(session, now=self.now)}
        assert found == self.allowed()


def test_mail_goes_only_where_the_history_allows_it(_sqlite_template: Path) -> None:  # noqa: PT019
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Machine", (Consents,), {"template": _sqlite_template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            phases=(
                Phase.generate,
            ),  # shrinking a history takes minutes; a failure prints all of it
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("reason", ["erasure", "complaint", "bounce", "manual"])
def test_the_oracle_lets_nobody_confirm_over_what_is_not_theirs_to_lift(reason: str) -> None:
    told = Told(known=True, stops={reason})
    told.confirms(START)
    assert not told.may_be_mailed(START)
