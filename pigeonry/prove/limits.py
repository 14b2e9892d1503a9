"""Time limits scaled down, so that a proof takes minutes: what stays is their order, which start-up enforces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. lease > longest hand-over, quarantine > longest hand-over + how late an event may come."""

    timeout: float = 1.5
    after_dot: float = 3.0
    lease: float = 15.0
    quarantine: float = 14.0
    event_delay: float = 3.0
    backoff: float = 1.0
    file_lease: float = 40.0  # a disk may take 30 s
    lanes: int = 0
    batch: int = 50

    def toml(self, *, channel: str, url: str, port: int) -> str:
        longest = self.file_lease if channel == "file" else 0.0
        host = f"http://127.0.0.1:{port}" if channel == "sendgrid" else ""
        return f"""\
[database]
url = "{url}"
[sending]
channel = "{channel}"
lease_seconds = {max(self.lease, longest)}
quarantine_seconds = {max(self.quarantine, longest)}
event_delay_seconds = {self.event_delay}
backoff_seconds = {self.backoff}
lanes = {self.lanes}
batch = {self.batch}
max_attempts = 20
[smtp]
port = {port or 25}
security = "none"
timeout_seconds = {self.timeout}
after_dot_seconds = {self.after_dot}
[sendgrid]
host = "{host}"
timeout_seconds = {self.timeout}
"""

    def shown(self) -> str:
        return (
            f"each wait {self.timeout:g} s, after the dot {self.after_dot:g} s, lease {self.lease:g} s, "
            f"quarantine {self.quarantine:g} s, backoff {self.backoff:g} s, events at most {self.event_delay:g} s late"
        )
