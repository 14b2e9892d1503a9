"""Any order of planning, claiming, crashing, reaping and suppressing: never twice, never lost.

The provider is a set of keys with a counter; the machine knows what really happened, the database only
what it was told.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select

from pigeonry.domain import HandOver, MessageState, Outcome
from pigeonry.store import fence, handovers, reaping
from pigeonry.store.fence import Gate, Verdict
from pigeonry.store.handovers import Claim, Recorded
from pigeonry.store.models import Message
from pigeonry.store.session import Database
from tests.delivery.world import START, World

LEADS, LEASE, QUARANTINE, LONGEST = 2, 60.0, 120.0, 10.0
OWNERS = st.sampled_from(["a", "b"])
GATE = Gate(max_seconds=LONGEST, cap=0, cap_days=7, channel="file")
# What the provider really does, and what its sender learns of it.
FATES = {
    "taken": (True, Outcome.ACCEPTED, MessageState.ACCEPTED),
    "taken, silent": (True, Outcome.UNKNOWN, MessageState.UNKNOWN),
    "lost, silent": (False, Outcome.UNKNOWN, MessageState.UNKNOWN),
    "later": (False, Outcome.RETRY, MessageState.PLANNED),
    "refused": (False, Outcome.REFUSED, MessageState.FAILED),
}

FATE_NAMES = ["taken", "taken", *sorted(FATES)]


def _open(path: Path) -> Database:
    """Without waiting for the disk: nobody pulls the plug here."""
    database = Database(f"sqlite:///{path}")
    event.listen(database.engine, "connect", lambda line, _: line.execute("PRAGMA synchronous=OFF"))
    return database


class Machine(RuleBasedStateMachine):
    world: World  # as it was when the template was written
    template: Path
    can_look = True  # does the channel give evidence?

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.folder / "x.db")
        self.database = _open(self.folder / "x.db")
        self.world = copy.copy(type(self).world)
        self.world.database = self.database
        self.clock = 0.0
        self.claims: dict[str, list[Claim]] = {"a": [], "b": []}
        self.flying: dict[str, list[tuple[Claim, float]]] = {"a": [], "b": []}
        self.taken: Counter[str] = Counter()
        self.suppressed: dict[int, Counter[str]] = {}

    def teardown(self) -> None:
        self._finish()
        self.database.dispose()
        shutil.rmtree(self.folder)

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        with self.database.write() as session:
            self.claims[owner] += handovers.claim(
                session,
                campaign_id=self.world.campaign_id,
                owner=owner,
                now=START + timedelta(seconds=self.clock),
                lease_seconds=LEASE,
                limit=2,
            )

    @rule(owner=OWNERS)
    def claim_and_begin(self, owner: str) -> None:
        self.claim(owner)
        self.begin(owner)

    def begin(self, owner: str) -> None:
        """Everything that the owner ever claimed goes to the fence, also what it slept over."""
        waiting, self.claims[owner] = self.claims[owner], []
        with self.database.write() as session:
            verdicts = fence.fence(
                session,
                waiting,
                owner=owner,
                now=START + timedelta(seconds=self.clock),
                gate=GATE,
            )
        for claimed, verdict in zip(waiting, verdicts, strict=True):
            if verdict is Verdict.GO:
                assert claimed.lead_id not in self.suppressed
                self.flying[owner].append((claimed, self.clock))

    @rule(owner=OWNERS, fate=st.sampled_from(FATE_NAMES))
    def land(self, owner: str, fate: str) -> None:
        if not self.flying[owner]:
            return
        claimed, began = self.flying[owner].pop(0)
        if self.clock - began >= LEASE + QUARANTINE:
            return  # what the quarantine rests on: nobody is paused for longer than that
        really, outcome, state = FATES[fate]
        self.taken[claimed.send_key] += really
        result = Recorded(claimed, HandOver(outcome), state, fate, None, START, START)
        with self.database.write() as session:
            handovers.record(session, [result], owner=owner)

    @rule(owner=OWNERS, taken=st.booleans())
    def crash(self, owner: str, taken: bool) -> None:
        """Its hand-overs may or may not have reached the provider; nobody will say."""
        for claimed, began in self.flying[owner]:
            if self.clock - began < LEASE + QUARANTINE:
                self.taken[claimed.send_key] += taken
        self.flying[owner], self.claims[owner] = [], []
        self._reap(dead=(owner,))

    @rule(seconds=st.sampled_from([20.0, LEASE + 1, QUARANTINE + 1]))
    def wait_reap_and_settle(self, seconds: float) -> None:
        self.clock += seconds
        self._reap()
        self.settle()

    @precondition(lambda self: not self.suppressed)
    @rule(which=st.integers(0, LEADS - 1))
    def suppress(self, which: int) -> None:
        lead_id = self.world.lead_ids[which]
        if lead_id not in self.suppressed:
            self.world.suppress(lead_id)
            self.suppressed[lead_id] = Counter()

    def settle(self) -> None:
        with self.database.read() as session:
            found = reaping.unsettled(session)
        with self.database.write() as session:
            for message in found:
                there = self.taken[message.send_key] > 0 if self.can_look else None
                state = {
                    True: MessageState.ACCEPTED,
                    False: MessageState.PLANNED,
                    None: MessageState.PARKED,
                }[there]
                reaping.settle(
                    session,
                    message,
                    state=state,
                    reason="",
                    now=START + timedelta(seconds=self.clock),
                )

    @invariant()
    def nobody_gets_a_mail_twice_and_none_is_lost(self) -> None:
        assert not [key for key, times in self.taken.items() if times > 1]
        with self.database.read() as session:
            states = dict(session.execute(select(Message.send_key, Message.state)).tuples().all())
        assert len(states) == LEADS
        for key, state in states.items():
            if self.taken[key]:
                assert state not in ("planned", "claimed", "failed", "cancelled")
            else:
                assert state != "accepted"

    def _reap(self, dead: tuple[str, ...] = ()) -> None:
        with self.database.write() as session:
            reaping.reap(
                session,
                now=START + timedelta(seconds=self.clock),
                quarantine_seconds=QUARANTINE,
                dead=dead,
                testimony=lambda owner, key, epoch: None,
            )

    def _finish(self) -> None:
        """Everybody stops; a last sender takes what is left. Then each message has an end."""
        for owner in ("a", "b"):
            self.crash(owner, taken=False)
        for _ in range(4):
            self.settle()
            self.claim_and_begin("a")
            while self.flying["a"]:
                self.land("a", "taken")
        self.nobody_gets_a_mail_twice_and_none_is_lost()
        ends = Counter(row.state for row in self.world.messages())
        assert set(ends) <= {"accepted", "failed", "cancelled", "parked"}
        if self.can_look:
            assert ends["parked"] == 0


@pytest.mark.parametrize("can_look", [True, False])
def test_no_order_of_steps_sends_twice_or_loses_a_message(
    _sqlite_template: Path,  # noqa: PT019
    tmp_path: Path,
    can_look: bool,
) -> None:
    run_state_machine_as_test(
        _machine(_sqlite_template, tmp_path, can_look),
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            # Shrinking takes minutes on a database; the failing steps are printed as they were.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def _machine(template: Path, tmp_path: Path, can_look: bool) -> type[Machine]:
    shutil.copyfile(template, tmp_path / "planned.db")
    database = Database(f"sqlite:///{tmp_path / 'planned.db'}")
    world = World(database, leads=LEADS)
    world.plan()
    database.dispose()
    fixed = {"template": tmp_path / "planned.db", "world": world, "can_look": can_look}
    return type("Machine", (Machine,), fixed)


def test_a_sender_that_is_paused_beyond_its_lease_is_not_sent_again_behind_its_back(
    _sqlite_template: Path,  # noqa: PT019
    tmp_path: Path,
) -> None:
    state = _machine(_sqlite_template, tmp_path, True)()
    state.claim_and_begin("a")
    state.wait_reap_and_settle(LEASE + 1)
    state.claim_and_begin("b")  # gets nothing: the hand-overs are in quarantine
    for owner in ("a", "a", "b", "b"):
        state.land(owner, "taken")
    state.nobody_gets_a_mail_twice_and_none_is_lost()
    assert sum(state.taken.values()) == LEADS
    state.teardown()
