"""What a person sees first: what needs somebody now, what runs, what comes, who can be reached, what was learned.

Every query reads an index or a few rows. What takes longer is counted again only when something changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pigeonry.config import Home
from pigeonry.domain.event import EventKind
from pigeonry.domain.job import JobState
from pigeonry.domain.message import MessageState
from pigeonry.service import holding, results_kept
from pigeonry.service.jobs import KINDS
from pigeonry.service.learned import Learned, last_learned
from pigeonry.service.looks import LOOKS, Answer, Problem, brief_problems, home_problems
from pigeonry.store import campaigns, glance, jobs, messages
from pigeonry.store.campaigns import CampaignRow
from pigeonry.store.glance import LeadCounts
from pigeonry.store.session import Database, Session
from scoring.guardrails import BOUNCE_LIMIT, COMPLAINT_LIMIT

_OPEN = 20  # campaigns that are shown
_DONE = 5
_HARM_DAYS = 7
_FEW = 100  # mails below which a rate says nothing
_JOBS = 50
_JOB_NEWS = timedelta(days=7)
_TRIES = 4  # temporary refusals in a row after which a channel counts as down, as the sender has it
_OLD = timedelta(hours=24)  # trouble of yesterday is no news
_COUNT_AGAIN = 600  # seconds; consents end by themselves
_PATIENCE = 0.2  # seconds that the page waits for a count
_WAITING = (MessageState.PLANNED, MessageState.CLAIMED, MessageState.HANDING_OVER)


class Need(StrEnum):
    """What waits for somebody, the most pressing first."""

    HOLD = "hold"
    CHANNEL = "channel"
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    PARKED = "parked"
    UNKNOWN = "unknown"
    APPROVAL = "approval"
    PREFLIGHT = "preflight"
    JOB = "job"
    PAUSED = "paused"
    SETUP = "setup"


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing to do. `count` is of what the need counts (of JOB: its number); `detail` is said by a provider or a job,
    `problems` by checks;
    `rate` and `limit` are fractions. `over`: the limit is passed, not only near."""

    need: Need
    count: int = 1
    campaign: int | None = None
    name: str = ""
    detail: str = ""
    fix: str = ""
    problems: tuple[Problem, ...] = ()
    rate: float = 0.0
    limit: float = 0.0
    over: bool = False


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign that is not done. `wait_until`: when it goes on by itself."""

    id: int
    title: str
    stage: str
    state: str
    sent: int
    planned: int
    waiting: int
    wait_until: datetime | None


@dataclass(frozen=True, slots=True)
class DoneCampaign:
    id: int
    title: str
    sent: int
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`leads` is None before they were ever counted; `counted` is False while they are counted anew.
    `looked` is False while checks of settings and briefs are still under way."""

    needs: tuple[Attention, ...]
    running: tuple[OpenCampaign, ...]
    planned: tuple[OpenCampaign, ...]
    done: tuple[DoneCampaign, ...]
    leads: LeadCounts | None
    counted: bool
    learned: Learned | None
    looked: bool


def dashboard(db: Database, home: Home, *, now: datetime, patience: float = _PATIENCE) -> Dashboard:
    """`patience`: seconds to wait for a count behind the page, and ten times as long as for each check."""
    with db.read() as session:
        rows = [campaigns.get(session, n) for n in glance.open_campaigns(session, limit=_OPEN)]
        titles = {row.id: _title(row) for row in rows}
        sources = {row.id: campaigns.brief_source(session, row.id) for row in rows if _asks(row)}
        needs = [
            *_harm(session, home, now),
            *_channel(session, now),
            *_uncertain(session),
            *_failed_jobs(session, now),
        ]
        opened = [_open(session, row) for row in rows]
        done = _done(session)
        counts = _lead_counts(db, session, now, patience)
        learned = last_learned(session)
    held = holding.look(db, home, now=now)
    if held is not None:
        needs.append(Attention(Need.HOLD, detail=held.reason))
    for row in rows:
        if _asks(row):
            needs.append(Attention(Need.APPROVAL, campaign=row.id, name=titles[row.id]))
        elif row.state == "paused":
            needs.append(Attention(Need.PAUSED, campaign=row.id, name=titles[row.id]))
    looked = True
    for number, source in sources.items():
        problems = brief_problems(home, number, source, now=now, patience=patience / 10)
        looked = looked and problems.fresh
        if problems.value:
            needs.append(
                Attention(
                    Need.PREFLIGHT, len(problems.value), campaign=number, name=titles[number],
                    problems=problems.value,
                )
            )  # fmt: skip
    amiss = home_problems(home, now=now, patience=patience / 10)
    if amiss.value:
        needs.append(Attention(Need.SETUP, len(amiss.value), problems=amiss.value))
    LOOKS.ask("results", None, results_kept.warm, patience=0)
    order = list(Need)
    return Dashboard(
        needs=tuple(sorted(needs, key=lambda need: order.index(need.need))),
        running=tuple(one for one in opened if _runs(one)),
        planned=tuple(one for one in opened if not _runs(one)),
        done=done,
        leads=counts.value,
        counted=counts.fresh,
        learned=learned,
        looked=looked and amiss.fresh,
    )


def _title(row: CampaignRow) -> str:
    return f"{row.name} ({row.occurrence})" if row.occurrence else row.name


def _asks(row: CampaignRow) -> bool:
    """Whether its texts wait for a person's yes."""
    return row.stage == "approve" and row.approved_at is None and row.state != "paused"


def _runs(campaign: OpenCampaign) -> bool:
    """Whether it works now; one that waits for a person or for replies goes on later."""
    return campaign.state == "running" or (
        campaign.state == "waiting" and campaign.stage.startswith("send") and campaign.waiting > 0
    )


def _open(session: Session, row: CampaignRow) -> OpenCampaign:
    counts = messages.counts(session, row.id)
    return OpenCampaign(
        id=row.id,
        title=_title(row),
        stage=row.stage,
        state=row.state,
        sent=counts[MessageState.ACCEPTED],
        planned=sum(counts.values()),
        waiting=sum(counts[state] for state in _WAITING),
        wait_until=row.wait_until if row.state == "waiting" else None,
    )


def _done(session: Session) -> tuple[DoneCampaign, ...]:
    numbers = glance.finished_campaigns(session, limit=_DONE)
    sent = messages.accepted(session, numbers)
    rows = [campaigns.get(session, number) for number in numbers]
    return tuple(
        DoneCampaign(row.id, _title(row), sent.get(row.id, 0), row.finished_at) for row in rows
    )


def _harm(session: Session, home: Home, now: datetime) -> Iterator[Attention]:
    """Complaints and bounces of the last days against what providers put up with."""
    since = now - timedelta(days=_HARM_DAYS)
    happened = glance.rare_events(session, since=since)
    complaints, bounces = happened.get(EventKind.COMPLAINT, 0), happened.get(EventKind.BOUNCE, 0)
    if not complaints and not bounces:
        return
    sending = home.settings.sending
    channels = {sending.channel, sending.fallback} - {""}
    sent = glance.handed_over(session, channels=channels, since=since)
    if sent < _FEW:
        return
    for need, count, limit in (
        (Need.COMPLAINTS, complaints, COMPLAINT_LIMIT),
        (Need.BOUNCES, bounces, BOUNCE_LIMIT),
    ):
        rate = count / sent
        if rate >= limit / 3:
            yield Attention(need, count, rate=rate, limit=limit, over=rate >= limit)


def _channel(session: Session, now: datetime) -> Iterator[Attention]:
    """The newest hand-overs all came back with a temporary refusal."""
    tries = glance.last_tries(session, limit=_TRIES)
    down = len(tries) == _TRIES and all(one.outcome == "retry" for one in tries)
    if down and now - tries[0].at < _OLD:
        yield Attention(Need.CHANNEL, detail=tries[0].reason)


def _uncertain(session: Session) -> Iterator[Attention]:
    found = glance.uncertain(session)
    for need, state in (
        (Need.PARKED, MessageState.PARKED),
        (Need.UNKNOWN, MessageState.UNKNOWN),
    ):
        if found.get(state):
            yield Attention(need, found[state])


def _failed_jobs(session: Session, now: datetime) -> Iterator[Attention]:
    """Those that nobody has done again since."""
    seen: set[tuple[str, str]] = set()
    for job in jobs.newest(session, KINDS, limit=_JOBS):
        again = (job.kind, job.subject) in seen
        seen.add((job.kind, job.subject))
        ended = job.finished_at or job.created_at
        if job.state is JobState.FAILED and not again and now - ended < _JOB_NEWS:
            error = job.result.get("error", {})
            yield Attention(
                Need.JOB, job.id, name=job.kind, detail=str(error.get("what", "")),
                fix=str(error.get("fix", "")),
            )  # fmt: skip


def _lead_counts(
    db: Database, session: Session, now: datetime, patience: float
) -> Answer[LeadCounts]:
    """Counted again behind the page when leads, consents or suppressions have changed."""

    def look() -> LeadCounts:
        with db.read() as own:
            return glance.lead_counts(own, now=now)

    mark = (*glance.lead_mark(session), int(now.timestamp() // _COUNT_AGAIN))
    return LOOKS.ask(f"leads {db.url}", mark, look, patience=patience)
