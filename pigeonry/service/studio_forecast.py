"""Before launch: whom a brief reaches, what its texts may cost, what its test can show, how long it takes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from feedback.learn import DEFAULT_RATE
from pigeonry.config import Home, SendingSettings, TierSettings
from pigeonry.domain import Brief
from pigeonry.store import campaigns, ledger, posteriors, rates, segments
from pigeonry.store.reach import Reach, reach
from pigeonry.store.session import Database
from scoring.power import Power, even_weight, lopsided_weight, people_needed, smallest_lift

WANTED = 0.2  # a lift that is worth finding; how many people would show it is said beside
_PROMPT_TOKENS = 1100  # brief, segment and rules of one request; high on purpose
_ASSUMED_SPEED = 30.0  # hand-overs a second before anything was ever sent here
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Audience:
    """People by what becomes of them. `held_out` and `test` are expected numbers: lots decide.
    `cells` counts the texts that are wanted of each arm; `guessed` while there are no segments yet."""

    reach: Reach
    held_out: int
    test: int
    rest: int
    cells: int
    guessed: bool

    @property
    def mailed(self) -> int:
        return self.test + self.rest


@dataclass(frozen=True, slots=True)
class Cost:
    """Millionths of `currency`. `why`: "free" (no hosted model may be asked), "cap" (the budget is the
    limit) or "price" (list prices are). `from_ledger`: the expectation is from what texts did cost."""

    upper: int
    expected: int
    currency: str
    texts: int
    tiers: tuple[str, ...]
    why: str
    from_ledger: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What can be shown: after the test wave and at the end. `assumed`: the click rate is, nothing was
    measured yet. `needed`: people in even shares who would show a lift of WANTED."""

    arms: int
    rate: float
    assumed: bool
    wave: Power
    end: Power
    needed: int


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds; `speed` in hand-overs a second. `because`: measured, assumed, limit, warmup, quiet."""

    test: float
    wait: float
    rest: float
    speed: float
    because: tuple[str, ...]

    @property
    def total(self) -> float:
        return self.test + self.wait + self.rest


@dataclass(frozen=True, slots=True)
class Forecast:
    audience: Audience
    cost: Cost
    test: Comparison | None  # None: one arm is no test
    duration: Duration


def forecast(
    db: Database, home: Home, brief: Brief, *, now: datetime, env: Mapping[str, str] = os.environ
) -> Forecast:
    """Everything above for a brief. Counts the whole audience: about a second for each million leads."""
    from generation.prompts import load_prompts

    with db.read() as session:
        found = reach(session, countries=brief.countries, topic=brief.topic, now=now)
        known = len(segments.every(session))
        beliefs = posteriors.every(session)
        domain = brief.sender.email.rpartition("@")[2].lower()
        started = rates.first_slot(session, f"warmup:{domain}")
        notes = [row.notes for row in campaigns.every(session) if row.state == "done"][:5]
    arms = min(brief.experiment.variants, len(load_prompts()))
    audience = _audience(found, brief, known, home.settings.segments.k_max)
    overall = next((b for b in beliefs if not b.prompt and b.segment_id == 0), None)
    rate = overall.mean if overall else DEFAULT_RATE
    today = math.floor(now.timestamp() / _DAY)
    return Forecast(
        audience=audience,
        cost=_cost(db, home, brief, audience, arms, env),
        test=_test(audience, arms, rate, home.settings.learning.uniform_share, overall is None),
        duration=_duration(
            home.settings.sending,
            audience,
            brief.experiment.wait_hours,
            _measured(notes),
            domain=domain,
            warm=0 if started is None else max(0, today - started),
        ),
    )


def _audience(found: Reach, brief: Brief, known: int, k_max: int) -> Audience:
    """A language that the brief does not have falls back to its first; whoever is in no segment yet gets
    into one before texts are written."""
    held_out = round(found.mailable * brief.experiment.holdout)
    mailed = found.mailable - held_out
    test = round(mailed * brief.experiment.test_share)
    spoken = {
        (segment, language if language in brief.languages else brief.languages[0])
        for segment, language in found.cells
    }
    cells = {cell for cell in spoken if cell[0] is not None}
    languages = {language for _, language in spoken}
    guessed = not known
    count = len(cells) if known else min(k_max * len(languages), found.mailable)
    return Audience(found, held_out, test, mailed - test, max(count, len(languages)), guessed)


def _cost(
    db: Database,
    home: Home,
    brief: Brief,
    audience: Audience,
    arms: int,
    env: Mapping[str, str],
) -> Cost:
    """Upper bound: every usable hosted tier is asked once for each text and answers as long as it may, up
    to the brief's cap, which the budget never passes."""
    llm = home.settings.llm
    usable = [
        tier
        for tier in llm.tiers
        if (not tier.key_env or env.get(tier.key_env))
        and (not tier.region or tier.region in llm.allowed_regions)
        and any(language.value in tier.languages for language in brief.languages)
        and (tier.price_in or tier.price_out)
    ]
    texts = audience.cells * arms
    names = tuple(tier.name for tier in usable)
    if not usable or not brief.budget_micros:
        return Cost(0, 0, brief.budget_currency, texts, names, "free", False)
    prices = [_price(tier) for tier in usable]
    each = texts * sum(prices)
    upper = min(brief.budget_micros, each)
    with db.read() as session:
        tried, took = ledger.cost_of_texts(session, names)
    expected = round(took / tried * texts) if tried else texts * prices[0]
    return Cost(
        upper=upper,
        expected=min(upper, expected),
        currency=brief.budget_currency,
        texts=texts,
        tiers=names,
        why="cap" if brief.budget_micros <= each else "price",
        from_ledger=bool(tried),
    )


def _price(tier: TierSettings) -> int:
    """One request at most: prices are for a million tokens, so tokens x price are millionths."""
    return math.ceil(_PROMPT_TOKENS * tier.price_in + tier.max_tokens * tier.price_out)


def _test(
    audience: Audience, arms: int, rate: float, uniform_share: float, assumed: bool
) -> Comparison | None:
    if arms < 2:
        return None
    wave = even_weight(audience.test, arms)
    whole = wave + lopsided_weight(audience.rest, arms, uniform_share=uniform_share)
    return Comparison(
        arms=arms,
        rate=rate,
        assumed=assumed,
        wave=smallest_lift(audience.test, wave, arms=arms, rate=rate),
        end=smallest_lift(audience.mailed, whole, arms=arms, rate=rate),
        needed=people_needed(WANTED, arms=arms, rate=rate),
    )


def _measured(notes: Sequence[Mapping[str, dict[str, float]]]) -> float:
    """Hand-overs a second of the newest campaigns that were sent, 0.0 when none was."""
    stages = [note[name] for note in notes for name in ("send_test", "send_rest") if name in note]
    seconds = sum(float(stage.get("seconds", 0)) for stage in stages)
    sent = sum(float(stage.get("sent", 0)) for stage in stages)
    return sent / seconds if seconds >= 1 else 0.0


def _duration(
    sending: SendingSettings,
    audience: Audience,
    wait_hours: float,
    measured: float,
    *,
    domain: str,
    warm: int,
) -> Duration:
    speed, because = (measured, ["measured"]) if measured else (_ASSUMED_SPEED, ["assumed"])
    names = {"channel": sending.channel, "sender": domain}
    caps = [sending.per_second] if sending.per_second else []
    caps += [
        limit.count / limit.seconds
        for limit in sending.limits
        if limit.match in ("*", names.get(limit.scope)) and limit.scope in names
    ]
    if caps and min(caps) < speed:
        speed, because = min(caps), ["limit"]
    open_seconds = _open_seconds(sending)
    if open_seconds < _DAY:
        because.append("quiet")
    waits = wait_hours * 3600
    test, day, used = _spent(audience.test, speed, sending, open_seconds, warm, 0)
    later = math.floor((test + waits) / _DAY)
    rest, _, _ = _spent(
        audience.rest, speed, sending, open_seconds, warm + later, used if later == day else 0
    )
    if (
        sending.warmup_start
        and audience.mailed > sending.warmup_start * sending.warmup_growth**warm
    ):
        because.append("warmup")
    return Duration(test, waits, rest, speed, tuple(because))


def _spent(
    mails: int,
    speed: float,
    sending: SendingSettings,
    open_seconds: float,
    warm: int,
    used: int,
) -> tuple[float, int, int]:
    """Seconds that so many mails take, whole days of them, and how many fell on the last day."""
    if not sending.warmup_start:
        busy = mails / speed
        days = math.floor(busy / open_seconds)
        return days * _DAY + busy - days * open_seconds, days, mails
    day = 0
    while True:
        allowed = min(
            sending.warmup_start * sending.warmup_growth ** (warm + day) - used,
            speed * open_seconds,
        )
        if mails <= allowed:
            return day * _DAY + mails / speed, day, mails + used
        mails -= max(0, math.floor(allowed))
        used, day = 0, day + 1


def _open_seconds(sending: SendingSettings) -> float:
    """How much of a day is not quiet."""
    if not sending.quiet_from or not sending.quiet_to:
        return _DAY
    begin, end = (time.fromisoformat(text) for text in (sending.quiet_from, sending.quiet_to))
    quiet = (end.hour - begin.hour) * 3600 + (end.minute - begin.minute) * 60
    return max(60.0, _DAY - quiet % _DAY)
