"""A campaign's run as a job: the same stages as `pigeonry campaign run`, in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pigeonry.service.campaigns import END, run_campaign
from pigeonry.service.job_work import Ended, Work

_LOOK = 0.2  # seconds until a stop that was asked for reaches the sender
_SENDING = "sending"  # label of the sender's progress


def run(work: Work) -> Mapping[str, Any]:
    """Run stages as far as they go. Asked to stop, a sender ends after the hand-overs under way, so that each
    one's outcome is written down; whatever else is being done is dropped and done again by the next run."""
    asked = work.job.payload
    stop = threading.Event()

    def say(label: str, done: int, total: int | None = None) -> None:
        try:
            work.progress(label, done, total)
        except Ended:
            stop.set()
            if label != _SENDING:
                raise

    with _listening(work, stop):
        result = run_campaign(
            work.db,
            work.home,
            int(asked["campaign_id"]),
            until=str(asked.get("until", "")),
            clock=work.now,
            progress=say,
            send=bool(asked.get("send")),
            stop=stop,
        )
    if result.next != END:
        work.check()
    return {"stage": result.next, "state": result.state}


@contextmanager
def _listening(work: Work, stop: threading.Event) -> Iterator[None]:
    """A sender that waits for the morning calls nobody, so somebody beside it has to listen."""
    over = threading.Event()

    def listen() -> None:
        while not over.wait(_LOOK):
            try:
                work.check()
            except Ended:
                stop.set()
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
