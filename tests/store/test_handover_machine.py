"""Any order of planning, claiming, crashing, reaping and suppressing: never twice, never lost.

The provider is a set of keys with a counter; the machine knows what really happened, the database only
what it was told.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pigeonry.domain import HandOver, MessageState, Outcome
from pigeonry.store import fence, handovers, reaping
from pigeonry.store.fence import Gate, Verdict
from pigeonry.store.handovers import Claim, Recorded
from pigeonry.store.session import Database
from tests.delivery.world import START, World

LEADS, LEASE, QUARANTINE, LONGEST = 4, 60.0, 120.0, 10.0
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


class Machine(RuleBasedStateMachine):
    template: Path
    can_look = True  # does the channel give evidence?

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.folder / "x.db")
        self.database = Database(f"sqlite:///{self.folder / 'x.db'}")
        self.world = World(self.database, leads=LEADS)
        self.clock = 0.0
        self.claims: dict[str, list[Claim]] = {"a": [], "b": []}
        self.flying: dict[str, list[tuple[Claim, float]]] = {"a": [], "b": []}
        self.taken: Counter[str] = Counter()
        self.suppressed: dict[int, Counter[str]] = {}

    def teardown(self) -> None:
        self._finish()
        self.database.dispose()
        shutil.rmtree(self.folder)

    @rule()
    def plan(self) -> None:
        self.world.plan()

    @rule(owner=OWNERS, limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        with self.database.write() as session:
            self.claims[owner] += handovers.claim(
                session,
                campaign_id=self.world.campaign_id,
                owner=owner,
                now=START + timedelta(seconds=self.clock),
                lease_seconds=LEASE,
                limit=limit,
            )

    @rule(owner=OWNERS)
    def pass_fence(self, owner: str) -> None:
        if not self.claims[owner]:
            return
        claimed = self.claims[owner].pop(0)
        with self.database.write() as session:
            verdict = fence.fence(
                session,
                claimed,
                owner=owner,
                now=START + timedelta(seconds=self.clock),
                gate=GATE,
            )
        if verdict is Verdict.GO:
            assert claimed.lead_id not in self.suppressed
            self.flying[owner].append((claimed, self.clock))

    @rule(owner=OWNERS, fate=st.sampled_from(sorted(FATES)))
    def land(self, owner: str, fate: str) -> None:
        if not self.flying[owner]:
            return
        claimed, began = self.flying[owner].pop(0)
        if self.clock - began > LEASE + QUARANTINE:
            return  # the rule that the quarantine rests on: nobody is paused for longer
        really, outcome, state = FATES[fate]
        self._hand_to_provider(claimed, really)
        result = Recorded(claimed, HandOver(outcome), state, fate, None, START, START)
        with self.database.write() as session:
            handovers.record(session, [result], owner=owner)

    @rule(owner=OWNERS, taken=st.booleans())
    def crash(self, owner: str, taken: bool) -> None:
        """Its hand-overs may or may not have reached the provider; nobody will say."""
        for claimed, began in self.flying[owner]:
            if self.clock - began <= LEASE + QUARANTINE:
                self._hand_to_provider(claimed, taken)
        self.flying[owner], self.claims[owner] = [], []
        self._reap(dead=(owner,))

    @rule(seconds=st.sampled_from([1.0, 20.0, 70.0, 130.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds

    @rule()
    def reap(self) -> None:
        self._reap()

    @precondition(lambda self: len(self.suppressed) < 2)
    @rule(which=st.integers(0, LEADS - 1))
    def suppress(self, which: int) -> None:
        lead_id = self.world.lead_ids[which]
        if lead_id not in self.suppressed:
            self.world.suppress(lead_id)
            self.suppressed[lead_id] = Counter()

    @rule()
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
    def nobody_gets_a_mail_twice(self) -> None:
        assert not [key for key, times in self.taken.items() if times > 1]

    @invariant()
    def no_message_is_lost(self) -> None:
        rows = self.world.messages()
        assert len(rows) in (0, LEADS)
        by_key = {row.send_key: row for row in rows}
        for key, times in self.taken.items():
            if times:
                assert by_key[key].state not in ("planned", "claimed", "failed", "cancelled")
        for row in rows:
            if row.state == "accepted":
                assert self.taken[row.send_key] == 1

    def _hand_to_provider(self, claimed: Claim, really: bool) -> None:
        if really:
            self.taken[claimed.send_key] += 1

    def _reap(self, dead: tuple[str, ...] = ()) -> None:
        with self.database.write() as session:
            reaping.reap(
                session,
                now=START + timedelta(seconds=self.clock),
                quarantine_seconds=QUARANTINE,
                dead=dead,
            )

    def _finish(self) -> None:
        """Everybody stops; a last sender takes what is left. Then each message has an end."""
        for owner in ("a", "b"):
            self.crash(owner, taken=False)
        for _ in range(6):
            self.settle()
            self.claim("a", 3)
            while self.claims["a"]:
                self.pass_fence("a")
            while self.flying["a"]:
                self.land("a", "taken")
        self.nobody_gets_a_mail_twice()
        ends = Counter(row.state for row in self.world.messages())
        assert set(ends) <= {"accepted", "failed", "cancelled", "parked"}
        if self.can_look:
            assert ends["parked"] == 0


@pytest.mark.parametrize("can_look", [True, False])
def test_no_order_of_steps_sends_twice_or_loses_a_message(
    _sqlite_template: Path,  # noqa: PT019
    can_look: bool,
) -> None:
    machine = type("Machine", (Machine,), {"template": _sqlite_template, "can_look": can_look})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
