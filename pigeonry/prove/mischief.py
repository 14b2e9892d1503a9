"""How often and in what way a provider of ours misbehaves. Drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Mischief:
    """Shares of all mails, as fractions; the rest is answered at once (after `delay_ms`)."""

    seed: int = 1
    delay_ms: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    slow_seconds: float = 0.5  # of a late answer
    hole_seconds: float = 6.0  # of a black hole: longer than the sender's own limit

    def __post_init__(self) -> None:
        self._lot = random.Random(self.seed)  # noqa: S311 - a repeatable lot, not a secret

    def draw(self) -> str:
        """What happens to this mail: "" or the name of a mischief."""
        point = self._lot.random()
        for name, share in self.shares.items():
            point -= share
            if point < 0:
                return name
        return ""

    def number(self, top: int) -> int:
        return self._lot.randrange(top)


NONE: dict[str, float] = {}

# Each of these is a row of the outcome table. The comment says what can be known from the sender's side.
SMTP = {
    "refuse": 0.001,  # 550 to RCPT: definitely not accepted, for good
    "later": 0.003,  # 451 to the final dot: definitely not accepted, may be tried again
    "reset_body": 0.002,  # reset within the body; a small mail is written whole before the reset is seen
    "late": 0.003,  # accepted, and the answer comes late
    "drop": 0.002,  # accepted, and the connection dies before the answer: nobody can know
    "half": 0.001,  # accepted, and half an answer comes: nobody can know
    "hole": 0.0005,  # not accepted, and no answer ever comes: nobody can know
}
SENDGRID = {
    "refuse": 0.001,  # 400: definitely not accepted, for good
    "busy": 0.0005,  # 429 with Retry-After: definitely not accepted
    "error_before": 0.002,  # 500, not accepted: nobody can know
    "error_after": 0.002,  # 500, accepted: nobody can know until its event comes
    "reset_request": 0.002,  # reset after N bytes of the request, not accepted
    "late": 0.003,  # accepted, 202 comes late
    "drop": 0.003,  # accepted, and the connection dies before the answer
    "half": 0.002,  # accepted, and half an answer comes
    "hole": 0.0005,  # not accepted, and no answer ever comes
}
