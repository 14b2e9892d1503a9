"""The simulated recipients: seeded, order-free, and apart from everything that scores or learns."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from pigeonry.demo.simulator import Mail, answers


def mails(count: int, subject: str = "What would you change first?") -> list[Mail]:
    return [
        Mail(
            key=f"{number:032x}",
            to=f"r{number}@example.com",
            subject=subject,
            links=("https://brand.example/x",),
            unsubscribe="https://brand.example/u/t",
            arrived=datetime(2026, 3, 1, 9, tzinfo=UTC),
        )
        for number in range(count)
    ]


def test_the_same_seed_gives_the_same_answers_in_any_order() -> None:
    forward = {e["sg_event_id"] for e in answers(mails(300), {}, seed=1)}
    backward = {e["sg_event_id"] for e in answers(reversed(mails(300)), {}, seed=1)}
    assert forward == backward
    assert forward != {e["sg_event_id"] for e in answers(mails(300), {}, seed=2)}


def test_events_carry_the_send_key_and_follow_the_mail() -> None:
    for event in answers(mails(200), {}, seed=1):
        assert len(event["send_key"]) == 32
        assert event["timestamp"] >= datetime(2026, 3, 1, 9, tzinfo=UTC).timestamp()


def test_people_of_different_kinds_like_different_subjects() -> None:
    def clicks(persona: str, subject: str) -> int:
        people = {f"r{n}@example.com": persona for n in range(3000)}
        found = answers(mails(3000, subject), people, seed=3)
        return sum(e["event"] == "click" and "Scanner" not in e["useragent"] for e in found)

    asks, names = "What would you change first?", "20% off until 15 March"
    assert clicks("freelancer", asks) > 1.3 * clicks("freelancer", names)
    assert clicks("it", names) > 1.3 * clicks("it", asks)


def test_the_simulator_loads_nothing_that_scores_or_learns() -> None:
    code = (
        "import sys, pigeonry.demo.simulator\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('scoring', 'feedback', 'generation', 'audience') or m.startswith('pigeonry.service')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
