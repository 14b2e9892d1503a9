"""Mail goes to those who agreed, and to nobody else, whatever was said before and whatever is said meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pigeonry.config import load_home
from pigeonry.domain import HOLDOUT, PlannedMessage
from pigeonry.errors import OutsideFailure
from pigeonry.prove import mischief, website
from pigeonry.prove.cell import Scene, scene
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.histories import DAYS, Said, Word, invented, may_be_mailed
from pigeonry.prove.limits import Limits
from pigeonry.prove.spoken import TOPIC, Listeners
from pigeonry.prove.world import BRIEF, World, make_campaign
from pigeonry.service.campaigns import END, create_campaign, run_campaign
from pigeonry.service.dispatch import FENCE_SECONDS
from pigeonry.store import assignments, leads, messages
from pigeonry.store.session import Database

_ROUNDS = 8
_MORE = f"""
[privacy]
topics = ["{TOPIC}"]
consent_days = {DAYS.days}
[embedding]
backend = "hashing"
[llm]
local = false
"""
# The whole campaign writes files, whose addressees can be read: a home's channel is a setting.
_TO_FILES = {
    "PIGEONRY_SENDING__CHANNEL": "file",
    "PIGEONRY_SENDING__LEASE_SECONDS": "60",
    "PIGEONRY_SENDING__QUARANTINE_SECONDS": "60",
}
_HOLDOUT = 0.1
_BRIEF = BRIEF.replace(
    'name = "Proof"', f'name = "Consent"\ntopic = "{TOPIC}"'
) + f"[experiment]\nholdout = {_HOLDOUT}\ntest_share = 0.3\n"  # fmt: skip
_SHARE = 0.05  # of all people leave during the run, and as many consents end
_ENDS_WITHIN = 12.0  # seconds after the start
_DELAY_MS = 20.0

Histories = dict[str, list[Said]]


def no_consent_no_mail(setting: Setting) -> list[Outcome]:
    """Twice as many people as the setting has messages, with histories of half a year. First a whole campaign,
    then a plan that names everybody by mistake, so that the last gate stands alone."""
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    now = datetime.now(UTC)
    rounds = [now - timedelta(days=25) * number for number in range(_ROUNDS, 0, -1)]
    histories = invented(lot, setting.messages * 2, rounds)
    with scene(
        channel="smtp", database=setting.databases[0], seed=setting.seed, people=0, limits=Limits(),
        shares=mischief.NONE, delay_ms=_DELAY_MS, more=_MORE,
    ) as it:  # fmt: skip
        listeners = Listeners(it.world.database, it.world.home, lot, it.folder)
        listeners.hear(histories)
        whole = _whole_campaign(it, histories)
        alone = _last_gate(it, listeners, histories, lot, setting.workers)
    return [whole, alone]


def _whole_campaign(it: Scene, histories: Histories) -> Outcome:
    home, database = load_home(it.world.home.path, env=_TO_FILES), it.world.database
    number = create_campaign(
        database, home, _BRIEF, where="proof", occurrence="", now=datetime.now(UTC)
    )
    result = run_campaign(database, home, number, approve_as="prove", send=True)
    now = datetime.now(UTC)
    allowed = {who for who, said in histories.items() if may_be_mailed(said, now)}
    sent = [mail.to for mail in website.mails(home.outbox)]
    wrong, missing = set(sent) - allowed, allowed - set(sent)
    held_out = _held_out(database, number, missing)
    # Holding everybody out is no way out: the share is what lots give, within 5 standard deviations.
    share = len(held_out) / max(1, len(allowed))
    fair = abs(share - _HOLDOUT) < 5 * (_HOLDOUT / max(1, len(allowed))) ** 0.5
    return Outcome(
        "a whole campaign, from its audience to its end",
        result.next == END
        and not wrong
        and missing == held_out
        and fair
        and len(sent) == len(set(sent))
        and 0 < len(allowed) < len(histories),
        {
            "addresses": len(histories),
            "words": sum(len(said) for said in histories.values()),
            "allowed": len(allowed),
            "mailed": len(set(sent)),
            "mailed without consent": len(wrong),
            "held out": len(held_out),
            "missing beside them": len(missing - held_out),
            "twice": len(sent) - len(set(sent)),
        },
    )


def _held_out(database: Database, campaign_id: int, who: set[str]) -> set[str]:
    """Those of them who drew no mail."""
    with database.read() as session:
        known = leads.by_emails(session, sorted(who))
        ids = {lead_id: email for email, (lead_id, _) in known.items()}
        lots = assignments.of_leads(session, campaign_id, sorted(ids))
    return {ids[lot.lead_id] for lot in lots if lot.arm == HOLDOUT}


def _last_gate(
    it: Scene, listeners: Listeners, histories: Histories, lot: random.Random, workers: int
) -> Outcome:
    campaign_id, variant_id = make_campaign(
        it.world.database, channel="smtp", at=datetime.now(UTC), occurrence="everybody", topic=TOPIC
    )
    world = World(it.world.home, it.world.database, campaign_id)
    start = datetime.now(UTC)
    ending = _ending(listeners, max(5, int(len(histories) * _SHARE)), start)
    everybody = {**histories, **ending}
    keys = _plan_all(world, variant_id, everybody)
    willing = [who for who, said in histories.items() if who in keys and may_be_mailed(said, start)]
    leaving = _Leaving(it, lot.sample(willing, int(len(willing) * _SHARE)), lot)
    thread = threading.Thread(target=leaving.run, daemon=True)
    thread.start()
    _work(Scene(world, it.log, it.folder), workers)
    leaving.ended.set()
    thread.join(60)
    end = datetime.now(UTC)
    for who, at in leaving.left.items():
        everybody[who] = [*everybody[who], Said(at, Word.LEAVES)]
    began = {arrival.key: arrival.began for arrival in it.arrivals()}
    wrong, late, missing, mailed = 0, 0, 0, 0
    for who, said in everybody.items():
        moment = began.get(keys.get(who, ""))
        if moment is None:
            missing += may_be_mailed(said, end)
            continue
        mailed += 1
        at = datetime.fromtimestamp(moment, UTC)
        allowed = [may_be_mailed(said, at - timedelta(seconds=s)) for s in (0.0, FENCE_SECONDS)]
        late += allowed == [False, True]
        wrong += not any(allowed)
    counted = Scene(world, it.log, it.folder).count()
    spared = sum(keys[who] not in began for who in leaving.left)
    spared_ends = sum(keys[who] not in began for who in ending)
    return Outcome(
        "everybody planned by mistake, and stops and ends on the way",
        not (wrong or missing or leaving.failed or counted.duplicates or counted.foreign)
        and mailed > 0
        and spared + spared_ends > 0,
        {
            "planned": len(keys),
            "mailed": mailed,
            "mailed without consent": wrong,
            "allowed and not mailed": missing,
            "left meanwhile": f"{len(leaving.left)} ({spared} spared)",
            "ended meanwhile": f"{len(ending)} ({spared_ends} spared)",
            "fenced before and out within 2 s": late,
            "duplicates": counted.duplicates,
        },
    )


def _ending(listeners: Listeners, number: int, start: datetime) -> Histories:
    """People whose consent is over some seconds after the start."""
    groups = 6
    found: Histories = {}
    for group in range(groups):
        at = start - DAYS + timedelta(seconds=_ENDS_WITHIN * (group + 1) / groups)
        found |= {
            f"e{n}@example.net": [Said(at, Word.AGREES)] for n in range(group, number, groups)
        }
    listeners.hear(found)
    return found


def _plan_all(world: World, variant_id: int, everybody: Mapping[str, object]) -> dict[str, str]:
    """Send keys by address."""
    with world.database.write() as session:
        known = leads.by_emails(session, list(everybody))
        messages.plan(
            session,
            [
                PlannedMessage(
                    world.campaign_id, lead_id, variant_id, 1, fields.address_hash, "smtp"
                )
                for lead_id, fields in known.values()
            ],
            datetime.now(UTC),
        )
    with world.database.read() as session:
        found = messages.keys_by_email(session, world.campaign_id)
    return {who: key for who, (key, _) in found.items()}


def _work(it: Scene, workers: int) -> None:
    """Until each sender has ended by itself: whoever asked for a pause waits on."""
    crew = it.crew(workers)
    try:
        for worker in [crew.start() for _ in range(workers)]:
            if worker.wait(600) not in (0, 1):
                raise OutsideFailure(
                    "a sender was refused", where="prove", fix=crew.log.read_text()[-500:]
                )
    finally:
        crew.end()


class _Leaving:
    """People who leave one after the other while mail goes out; when each departure was committed."""

    def __init__(self, it: Scene, who: list[str], lot: random.Random) -> None:
        self._it, self._who, self._lot = it, who, lot
        self.left: dict[str, datetime] = {}
        self.failed: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        database = Database(self._it.world.database.url)
        heard = Listeners(database, self._it.world.home, self._lot, self._it.folder)
        while not self.ended.is_set() and not self._it.seen():
            time.sleep(0.01)
        for who in self._who:
            if self.ended.is_set():
                break
            try:
                heard.leave(who, datetime.now(UTC))
            except Exception as error:  # counted: a stop that fails is a broken promise
                self.failed.append(f"{type(error).__name__}: {error}")
            else:
                self.left[who] = datetime.now(UTC)
            time.sleep(0.02)
        database.dispose()
