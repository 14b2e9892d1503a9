"""Places where a test may kill, freeze or fail this process: before and after every commit and socket write
of a hand-over. Without `PIGEONRY_FAILPOINTS` they cost one comparison.

`PIGEONRY_FAILPOINTS="fence.after_commit=kill@3,smtp.before_dot=freeze:2"`: what happens the third time that
the first place is reached, and every time that the second one is.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pigeonry.errors import ConfigError

VARIABLE = "PIGEONRY_FAILPOINTS"

# In the order in which one message meets them; `prove` goes through all of them.
POINTS = (
    "claim.before_commit",
    "claim.after_commit",
    "fence.before_commit",
    "fence.after_commit",
    "journal.before_begin",
    "journal.after_begin",
    "file.before_rename",
    "file.after_rename",
    "smtp.before_body",
    "smtp.before_dot",
    "smtp.after_dot",
    "smtp.after_reply",
    "sendgrid.before_request",
    "sendgrid.after_answer",
    "journal.before_end",
    "journal.after_end",
    "record.before_commit",
    "record.after_commit",
    "reap.before_commit",
    "reap.after_commit",
    "settle.before_commit",
    "settle.after_commit",
)


class FailpointError(Exception):
    """Raised by a place that was told to fail; nobody expects it, as nobody expects a bug."""


@dataclass
class _Action:
    kind: str
    seconds: float
    at: int  # 0: every time
    seen: int = 0


def parse(text: str) -> Mapping[str, _Action]:
    """Raises ConfigError for a place or an action that does not exist."""
    found: dict[str, _Action] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, what = item.partition("=")
        what, _, at = what.partition("@")
        kind, _, seconds = what.partition(":")
        try:
            action = _Action(kind, float(seconds or 0), int(at or 0))
        except ValueError:
            action = _Action("", 0.0, 0)
        if name not in POINTS or action.kind not in ("kill", "freeze", "raise"):
            raise ConfigError(
                f"{item!r} is no failpoint",
                where=VARIABLE,
                fix=f"write PLACE=kill, PLACE=raise or PLACE=freeze:SECONDS, with @N for the N-th "
                f"time; places: {', '.join(POINTS)}",
            )
        found[name] = action
    return found


_actions = parse(os.environ.get(VARIABLE, ""))
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Do what this process was told to do here; usually nothing."""
    if not _actions:
        return
    action = _actions.get(name)
    if action is None:
        return
    with _lock:
        action.seen += 1
        if action.at and action.seen != action.at:
            return
    if action.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action.kind == "raise":
        raise FailpointError(name)
    time.sleep(action.seconds)
