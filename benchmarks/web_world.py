"""The home of `benchmarks.web`: leads, campaigns, mails and events of an installation that has run for a year.

Written with the standard library straight into the migrated database, because two million events would take
hours through the front door. Shares, rates and sizes are invented and seeded.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from generation.prompts import load_prompts
from pigeonry.config import load_home
from pigeonry.domain.address import address_hash
from pigeonry.service.homes import init
from pigeonry.service.results_kept import keep_late_results

SEGMENTS = 8
ARMS = ("A", "B")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_WORDS = ("retail", "school", "software", "freelance", "students", "recruiting", "shops", "parents")
_BULK = ("message", "event", "assignment", "lead", "consent")  # their indexes are made afterwards
_PART = 20_000


@dataclass(frozen=True)
class Size:
    leads: int
    campaigns: int
    events: int

    @property
    def mails(self) -> int:
        """Two events for each mail."""
        return self.events // 2

    @property
    def name(self) -> str:
        return f"{self.leads}-{self.campaigns}-{self.events}"


def build(folder: Path, size: Size, seed: int) -> None:
    """Fill a new home below `folder`, and keep every campaign's results as the nightly learning does."""
    folder.mkdir(parents=True)
    (folder / "pigeonry.toml").write_text('[sending]\nchannel = "sendgrid"\n', encoding="utf-8")
    home = load_home(folder, env={})
    database = init(home)
    key = home.secret("suppression.key")
    (folder / "secrets" / "sendgrid_key").write_text("SG.never-used", encoding="ascii")
    path = folder / "pigeonry.db"
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN (SELECT value FROM json_each(?))",
            [json.dumps(_BULK)],
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        _World(connection, size, random.Random(seed), key).fill()
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
    keep_late_results(database, home, now=datetime.now(UTC))
    database.dispose()
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _World:
    def __init__(
        self, connection: sqlite3.Connection, size: Size, lot: random.Random, key: bytes
    ) -> None:
        self.connection = connection
        self.size = size
        self.lot = lot
        self.key = key
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.segments = [lot.randrange(1, SEGMENTS + 1) for _ in range(size.leads + 1)]
        self.hashes = [address_hash(self.email(lead), key) for lead in range(size.leads + 1)]
        self.prompts = load_prompts()[: len(ARMS)]

    @staticmethod
    def email(lead: int) -> str:
        return f"lead{lead}@example.com"

    def fill(self) -> None:
        self.people()
        self.briefs()
        self.mails()
        self.beliefs()

    def people(self) -> None:
        long_ago = _text(self.now - timedelta(days=400))
        self.rows("segment", [self.segment(number) for number in range(1, SEGMENTS + 1)])
        names = ("Ana", "Ion", "Maria", "Andrei", "Ștefan", "Ioana", "Mihai", "Elena")
        self.rows(
            "lead",
            (
                {
                    "id": lead, "email": self.email(lead), "first_name": names[lead % 8],
                    "last_name": f"Pop{lead % 977}", "company": f"Firma {lead % 5000}",
                    "phone": "", "language": ("ro", "en", "")[lead % 3], "country": "RO",
                    "city": ("Cluj-Napoca", "București", "Iași", "Brașov")[lead % 4],
                    "timezone": "", "external_id": f"crm-{lead}",
                    "attributes": json.dumps({"industry": _WORDS[self.segments[lead] - 1]}),
                    "address_hash": self.hashes[lead], "content_hash": f"{lead % 4001:064x}",
                    "segment_id": self.segments[lead], "created_at": long_ago,
                    "updated_at": long_ago,
                }
                for lead in self.leads()
            ),
        )  # fmt: skip
        self.rows(
            "consent",
            (
                {
                    "lead_id": lead, "purpose": "marketing", "basis": "consent",
                    "state": "withdrawn" if lead % 20 == 0 else "granted", "source": "form",
                    "proof": "", "at": long_ago,
                }
                for lead in self.leads() if lead % 10 != 7
            ),
        )  # fmt: skip
        self.rows(
            "suppression",
            (
                {"address_hash": self.hashes[lead], "reason": "unsubscribe", "source": "link",
                 "at": long_ago}
                for lead in self.leads() if lead % 50 == 3
            ),
        )  # fmt: skip
        self.rows(
            "segment_member",
            (
                {"lead_id": lead, "segment_id": self.segments[lead], "model_version": "1",
                 "similarity": 0.9, "at": long_ago}
                for lead in self.leads()
            ),
        )  # fmt: skip

    def leads(self) -> range:
        return range(1, self.size.leads + 1)

    def segment(self, number: int) -> dict[str, Any]:
        word = _WORDS[number - 1]
        return {
            "id": number, "name": word.title(), "description": f"industry: {word} (80%, of all 12%).",
            "terms": json.dumps([word]), "size": self.segments.count(number), "embedder": "hashing",
            "model_version": "1", "centroid": bytes(4 * 16),
            "created_at": _text(self.now - timedelta(days=390)),
        }  # fmt: skip

    def briefs(self) -> None:
        """Campaigns over a year; the last few run, wait for approval or ripen."""
        source = (Path(__file__).parents[1] / "examples/briefs/first-campaign.toml").read_text()
        at = _text(self.now - timedelta(days=380))
        self.rows(
            "prompt_version",
            [{"version": p.version, "name": p.name, "source": p.source, "created_at": at}
             for p in self.prompts],
        )  # fmt: skip
        self.rows(
            "brief_version",
            [{"id": 1, "content_hash": "0" * 64, "name": "Zilio", "source": source,
              "created_at": at}],
        )  # fmt: skip
        self.rows("campaign", [self.campaign(n) for n in range(1, self.size.campaigns + 1)])
        shares = {str(n): {arm: 1 / len(ARMS) for arm in ARMS} for n in range(1, SEGMENTS + 1)}
        plan = {"test": {"holdout": 0.1, "shares": shares}, "rest": {"shares": shares}}
        arms = {
            arm: {"prompt": p.name, "version": p.version, "probability": 0.5}
            for arm, p in zip(ARMS, self.prompts, strict=True)
        }
        self.rows(
            "experiment",
            [
                {"campaign_id": n, "arms": json.dumps(arms), "plan": json.dumps(plan),
                 "created_at": at}
                for n in range(1, self.size.campaigns + 1)
            ],
        )  # fmt: skip
        self.rows("variant", self.variants())
        self.rows("llm_call", self.calls())

    def began(self, campaign: int) -> datetime:
        return self.now - timedelta(days=370) * (1 - campaign / (self.size.campaigns + 1))

    def campaign(self, number: int) -> dict[str, Any]:
        place = self.size.campaigns - number  # 0: the newest
        stage, state = {0: ("send_rest", "running"), 1: ("approve", "waiting"),
                        2: ("ripen", "waiting"), 3: ("approve", "waiting")}.get(
            place, ("done", "done"))  # fmt: skip
        began = self.began(number)
        return {
            "id": number, "name": f"Zilio {number}", "brief_version_id": 1, "occurrence": "",
            "stage": stage, "state": state, "seed": number, "channel": "sendgrid",
            "notes": json.dumps({"score": {"cold_start": True}}), "approved_by": "",
            "created_at": _text(began),
            "wait_until": _text(self.now + timedelta(hours=5)) if stage == "ripen" else None,
            "finished_at": _text(began + timedelta(days=2)) if stage == "done" else None,
        }  # fmt: skip

    def variants(self) -> Iterator[dict[str, Any]]:
        for campaign in range(1, self.size.campaigns + 1):
            for segment in range(1, SEGMENTS + 1):
                for arm, prompt in zip(ARMS, self.prompts, strict=True):
                    yield {
                        "id": self.variant_id(campaign, segment, arm), "campaign_id": campaign,
                        "segment_id": segment, "language": "ro", "arm": arm,
                        "prompt": prompt.name, "prompt_version": prompt.version,
                        "template": "ro/offer", "tier": "library", "model": "", "cache": "none",
                        "subject": f"Zilio îți ușurează săptămâna {campaign}", "preheader": "Un plan",
                        "hook": "Bună,", "body": json.dumps(["Un plan limpede.", "Te așteptăm."]),
                        "cta": "Vezi oferta", "cost_micros": 0, "currency": "EUR",
                        "predicted_click": 0.03, "created_at": _text(self.began(campaign)),
                    }  # fmt: skip

    @staticmethod
    def variant_id(campaign: int, segment: int, arm: str) -> int:
        return ((campaign - 1) * SEGMENTS + segment - 1) * len(ARMS) + ARMS.index(arm) + 1

    def calls(self) -> Iterator[dict[str, Any]]:
        for campaign in range(1, self.size.campaigns + 1):
            for segment in range(1, SEGMENTS + 1):
                for arm, prompt in zip(ARMS, self.prompts, strict=True):
                    for tier, outcome in (("local", "refused"), ("small", "accepted")):
                        yield {
                            "campaign_id": campaign, "segment_id": segment, "language": "ro",
                            "variant_id": self.variant_id(campaign, segment, arm), "tier": tier,
                            "model": tier, "prompt": prompt.name, "task": "subject",
                            "outcome": outcome, "cache": "none", "tokens_in": 400,
                            "tokens_out": 40, "cost_micros": 60 if tier == "small" else 0,
                            "currency": "EUR", "seconds": 0.4,
                            "reason": "" if outcome == "accepted" else "too long",
                            "proposal": "", "at": _text(self.began(campaign)),
                        }  # fmt: skip

    def mails(self) -> None:
        """The first campaign goes to as many as there are, the others share the rest evenly."""
        left = self.size.mails
        first = min(self.size.leads, left // 4)
        each = (left - first) // max(1, self.size.campaigns - 1)
        waiting = min(1000, each)
        number = 0
        for campaign in range(1, self.size.campaigns + 1):
            many = first if campaign == 1 else each
            start = self.lot.randrange(self.size.leads)
            leads = [(start + step) % self.size.leads + 1 for step in range(many)]
            self.rows("assignment", self.lots(campaign, leads))
            made: list[dict[str, Any]] = []
            events: list[dict[str, Any]] = []
            for place, lead in enumerate(leads):
                number += 1
                left_already = campaign < self.size.campaigns - 3 or (
                    campaign != self.size.campaigns - 1 and place >= waiting
                )
                made.append(self.mail(number, campaign, lead, left_already))
                if left_already:
                    events += self.story(number, campaign)
            self.rows("message", made)
            self.rows("event", events)

    def arm(self, lead: int, campaign: int) -> str:
        return ARMS[(lead * 2654435761 + campaign) >> 3 & 1]

    def lots(self, campaign: int, leads: Sequence[int]) -> Iterator[dict[str, Any]]:
        at = _text(self.began(campaign))
        for lead in leads:
            yield {
                "campaign_id": campaign, "lead_id": lead, "segment_id": self.segments[lead],
                "arm": self.arm(lead, campaign), "propensity": 0.45,
                "wave": 1 if lead % 3 else 2, "seed": campaign, "at": at,
            }  # fmt: skip

    def mail(self, number: int, campaign: int, lead: int, left: bool) -> dict[str, Any]:
        at = _text(self.began(campaign) + timedelta(seconds=number % 7200))
        fate = number % 1000
        state = "planned" if not left else "failed" if fate == 7 else "accepted"
        if campaign == self.size.campaigns and left and fate in (11, 12):
            state = ("parked", "unknown")[fate - 11]
        return {
            "id": number, "campaign_id": campaign, "lead_id": lead,
            "variant_id": self.variant_id(campaign, self.segments[lead], self.arm(lead, campaign)),
            "step": 1, "occurrence": "", "wave": 1 if lead % 3 else 2,
            "send_key": f"{self.lot.getrandbits(128):032x}", "address_hash": self.hashes[lead],
            "channel": "sendgrid", "state": state, "reason": "", "attempts": int(left),
            "owner": "", "epoch": 1, "provider_id": f"m{number}" if left else "",
            "status": "delivered" if left else "", "planned_at": at,
            "handover_at": at if left else None, "accepted_at": at if state == "accepted" else None,
        }  # fmt: skip

    def story(self, mail: int, campaign: int) -> Iterator[dict[str, Any]]:
        """Two events on the average: delivered, and an open or two, a click or worse for some."""
        sent = self.began(campaign) + timedelta(seconds=mail % 7200)
        fate = self.lot.random()
        kinds = [("bounce", 0.0)] if fate < 0.01 else [("delivered", 1.0)]
        if fate > 0.2:
            kinds.append(("open", 0.02 if fate < 0.45 else 0.9))
        if fate > 0.97:
            kinds += [("open", 0.9)] * 6 + [("click", 0.95)]
        if 0.5 < fate < 0.502:
            kinds.append(("unsubscribe", 1.0))
        if 0.6 < fate < 0.6004:
            kinds.append(("complaint", 1.0))
        for place, (kind, human) in enumerate(kinds):
            yield {
                "source": "sendgrid", "event_id": f"{mail}-{place}", "message_id": mail,
                "kind": kind, "at": _text(sent + timedelta(minutes=7 * place + 1)), "human": human,
                "url": "https://zilio.example/" if kind == "click" else "",
                "user_agent": BROWSER if kind in ("open", "click") else "", "ip": "203.0.113.7",
                "reason": "", "why": "", "value_micros": 0, "currency": "", "address_hash": "",
            }  # fmt: skip

    def beliefs(self) -> None:
        at = _text(self.now - timedelta(hours=3))
        sends = self.size.mails

        def belief(prompt: str, version: str, segment: int, share: float) -> dict[str, Any]:
            many = int(sends * share)
            clicks = int(many * 0.03)
            return {
                "prompt": prompt, "prompt_version": version, "segment_id": segment, "sends": many,
                "clicks": clicks, "alpha": clicks + 1.0, "beta": many - clicks + 30.0,
                "updated_at": at,
            }  # fmt: skip

        rows = [belief("", "", 0, 1.0)]
        for n in range(1, SEGMENTS + 1):
            rows.append(belief("", "", n, 1 / SEGMENTS))
        for p in self.prompts:
            rows.append(belief(p.name, p.version, 0, 1 / len(ARMS)))
            for n in range(1, SEGMENTS + 1):
                rows.append(belief(p.name, p.version, n, 1 / SEGMENTS / len(ARMS)))
        self.rows("posterior", rows)
        lot = self.lot
        points = [
            [round(lot.gauss(n % 3, 0.3), 4), round(lot.gauss(n // 3, 0.3), 4), n]
            for n in (lot.randint(1, SEGMENTS) for _ in range(1500))
        ]
        traits = {
            str(n): [{"column": "industry", "value": word, "inside": 0.8, "overall": 0.12}]
            for n, word in enumerate(_WORDS, 1)
        }
        for name, facts in (("segment-map", {"points": points}), ("segment-traits", traits)):
            self.rows(
                "summary",
                [{"name": name, "made_from": "{}", "facts": json.dumps(facts), "at": at}],
            )

    def rows(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """Insert; columns that a row does not name keep the database's default or null."""
        found = iter(rows)
        while part := list(islice(found, _PART)):
            columns = list(part[0])
            names = ", ".join(f'"{name}"' for name in columns)
            places = ", ".join("?" * len(columns))
            self.connection.executemany(
                f'INSERT INTO "{table}" ({names}) VALUES ({places})',
                [tuple(row[name] for name in columns) for row in part],
            )


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
