"""What the copy cost, and what the same mails would have cost without each saving: a waterfall.

The last step is the ledger's own sum. The steps before it are priced from counts: texts, leads, and
characters by four as tokens, at dated list prices. Nothing is called to find out.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from datetime import datetime

from pigeonry.domain import Brief, Variant
from pigeonry.service.report_data import CostFacts, CostStepFacts, PriceFacts
from pigeonry.store import campaigns, leads, ledger, messages
from pigeonry.store import variants as variant_store
from pigeonry.store.ledger import TierSum
from pigeonry.store.session import Database

LARGE, SMALL = "gpt-4.1", "gpt-4.1-nano"
CHARACTERS_A_TOKEN = 4  # English; Romanian has fewer, so its true price is higher than this
LEAD_TOKENS = 150  # what a prompt about one lead adds: reference value of the price comparison
CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class CampaignCost:
    campaign: int
    name: str
    mails: int
    texts: int
    calls: int
    cache_hits: int
    cost_micros: int
    currency: str


@dataclass(frozen=True, slots=True)
class CostReport(CostFacts):
    """The waterfall (millionths of `currency`, from the dearest way to what was spent), the prices it
    is made of, and what each tier and campaign did."""

    tiers: tuple[TierSum, ...] = ()
    campaigns: tuple[CampaignCost, ...] = ()


@dataclass(frozen=True, slots=True)
class _Counts:
    """Sizes of one campaign: tokens are estimates from characters."""

    mails: int
    texts: int
    hits: int
    prompt: int
    mail: int
    lines: int


def cost_report(db: Database, campaign_id: int | None = None, *, now: datetime) -> CostReport:
    """The waterfall of one campaign, or of all together; before a campaign
    has messages it counts who may be mailed at `now`. Raises NotFound for an unknown one."""
    prices = {price.model: price for price in read_prices()}
    with db.read() as session:
        rows = (
            [campaigns.get(session, campaign_id)]
            if campaign_id is not None
            else campaigns.every(session)
        )
        sums, counts = [], []
        for row in rows:
            spent = ledger.spent(session, row.id)
            texts = variant_store.of_campaign(session, row.id)
            brief = _brief(campaigns.brief_source(session, row.id), row.id)
            mails = sum(messages.counts(session, row.id).values())
            mails = mails or leads.count_mailable(
                session, countries=brief.countries, topic=brief.topic, now=now
            )
            counts.append(_counts(mails, texts, spent.cache_hits, brief))
            sums.append(
                CampaignCost(row.id, row.name, mails, len(texts), spent.calls, spent.cache_hits,
                             spent.cost_micros, spent.currency)
            )  # fmt: skip
        tiers = tuple(ledger.by_tier(session, campaign_id))
    total = sum(campaign.cost_micros for campaign in sums)
    return CostReport(
        currency=CURRENCY,
        steps=_steps(counts, prices, total, sum(campaign.calls for campaign in sums)),
        prices=tuple(prices.values()),
        note=(
            "The last step is what the ledger says; the others are priced from counts at list prices, "
            f"with {CHARACTERS_A_TOKEN} characters as one token. Prices are in US dollars and taken "
            "as euros one to one."
        ),
        tiers=tiers,
        campaigns=tuple(sums),
    )


def read_prices() -> tuple[PriceFacts, ...]:
    """The vendored list prices, per million tokens, each with its source and date."""
    path = importlib.resources.files("pigeonry.templates") / "prices" / "models.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        PriceFacts(
            model=row["model"],
            price_in=float(row["price_in"]),
            price_out=float(row["price_out"]),
            currency=data["currency"],
            source=row["source"],
            dated=data["dated"],
        )
        for row in data["models"]
    )


def _brief(source: str, campaign_id: int) -> Brief:
    from generation.brief import parse_brief

    return parse_brief(source, where=f"campaign {campaign_id}")


def _counts(mails: int, texts: list[Variant], hits: int, brief: Brief) -> _Counts:
    from generation.cascade import Cell, variables
    from generation.prompts import load_prompts, render
    from pigeonry.domain.segment import Segment

    prompt = load_prompts()[0]
    cell = Cell(brief, brief.languages[0], Segment(0, "", "x" * 80, 0), prompt)
    asked = render(prompt, variables(cell), small=False)
    whole = [
        sum(map(len, (t.copy.subject, t.copy.preheader, t.copy.hook, *t.copy.body))) for t in texts
    ]
    lines = [len(t.copy.subject) + len(t.copy.preheader) for t in texts]
    return _Counts(
        mails=mails,
        texts=len(texts),
        hits=hits,
        prompt=(len(asked.system) + len(asked.user)) // CHARACTERS_A_TOKEN,
        mail=_mean(whole) // CHARACTERS_A_TOKEN,
        lines=_mean(lines) // CHARACTERS_A_TOKEN + 12,  # the JSON around them
    )


def _mean(values: list[int]) -> int:
    return sum(values) // len(values) if values else 0


def _steps(
    counts: list[_Counts], prices: dict[str, PriceFacts], spent: int, calls: int
) -> tuple[CostStepFacts, ...]:
    def price(model: str, calls_: int, tokens_in: int, tokens_out: int) -> float:
        return calls_ * (tokens_in * prices[model].price_in + tokens_out * prices[model].price_out)

    def total(model: str, many: str, out: str, extra: int = 0) -> int:
        return round(
            sum(price(model, getattr(c, many), c.prompt + extra, getattr(c, out)) for c in counts)
        )

    mails = sum(c.mails for c in counts)
    texts = sum(c.texts for c in counts)
    return (
        CostStepFacts(
            "One large call a lead",
            f"{mails:,} calls of {LARGE}, each writing a whole mail (priced from counts)",
            total(LARGE, "mails", "mail", LEAD_TOKENS),
        ),
        CostStepFacts(
            "One small call a lead",
            f"the same {mails:,} calls of {SMALL} (priced from counts)",
            total(SMALL, "mails", "mail", LEAD_TOKENS),
        ),
        CostStepFacts(
            "One small call a text",
            f"{texts:,} texts for segments, languages and arms instead of {mails:,} mails "
            "(priced from counts)",
            total(SMALL, "texts", "mail"),
        ),
        CostStepFacts(
            "Only the subject and preview line",
            "the copy library writes the rest of each mail (priced from counts)",
            total(SMALL, "texts", "lines"),
        ),
        CostStepFacts(
            "What was spent",
            f"{calls:,} calls by the ledger; the local model and the copy library cost nothing",
            spent,
        ),
    )
