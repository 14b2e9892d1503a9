"""The arithmetic of the last gate: quiet hours where the lead lives, frequency, pace, and backing off.

Pure: the clock is passed in, and nothing here sends or stores.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pigeonry.errors import ConfigError

FREQUENCY_DAYS = 7
_LONGEST_BACKOFF = 3600.0
_SYSTEM_ZONES = Path("/usr/share/zoneinfo/zone.tab")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No hand-over from `start` until `end`, local time; over midnight when end is before start."""

    start: time
    end: time

    def holds(self, local: time) -> bool:
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


def quiet_hours(start: str, end: str) -> QuietHours | None:
    """From settings; None when none are set. Raises ConfigError for half a pair or no time of day."""
    if not start and not end:
        return None
    try:
        hours = QuietHours(time.fromisoformat(start), time.fromisoformat(end))
    except ValueError as error:
        raise ConfigError(
            f"{start!r} to {end!r} are no times of day",
            where="sending.quiet_from, sending.quiet_to",
            fix="write both like 21:00 and 08:00, or leave both empty",
        ) from error
    return None if hours.start == hours.end else hours


def zones(timezone: str, country: str, default_country: str) -> tuple[ZoneInfo, ...]:
    """Where a lead may be: the stated zone, else every zone of the country, else of the default one."""
    if timezone:
        zone = _zone(timezone)
        if zone is not None:
            return (zone,)
    table = _countries()
    names = table.get(country.upper()) or table.get(default_country.upper()) or ("UTC",)
    return tuple(zone for zone in map(_zone, names) if zone is not None) or (ZoneInfo("UTC"),)


def quiet_until(
    now: datetime, hours: QuietHours | None, where: Sequence[ZoneInfo]
) -> datetime | None:
    """When a message may leave, in UTC; None: now. In a country of many zones all have to be awake."""
    if hours is None:
        return None
    at = now
    for _ in range(2 * len(where) + 2):
        asleep = [zone for zone in where if hours.holds(at.astimezone(zone).time())]
        if not asleep:
            return None if at == now else at.astimezone(UTC)
        at = max(_end_of_quiet(at, hours, zone) for zone in asleep)
    # Quiet somewhere at every hour: nobody could ever be written to, so the strictest zone decides.
    return at.astimezone(UTC)


def window_start(now: datetime) -> datetime:
    """Hand-overs since then count against the frequency cap."""
    return now - timedelta(days=FREQUENCY_DAYS)


def backoff(attempts: int, retry_after: float | None = None, *, first: float) -> float:
    """Seconds until the next try after `attempts` definite temporary refusals; never before the
    provider's own Retry-After. Greylisting servers want minutes, and doubling gets there."""
    own = min(first * 2.0 ** max(0, attempts - 1), _LONGEST_BACKOFF)
    return max(own, retry_after or 0.0)


class Pacer:
    """At most `per_second` hand-overs, evenly spaced; 0: as fast as it goes. Clock in seconds."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second if per_second > 0 else 0.0
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait before the next hand-over, from a monotonic clock."""
        return max(0.0, self._next - now) if self._gap else 0.0

    def take(self, now: float) -> None:
        """One hand-over begins. Time that was not used is not saved up for a burst."""
        self._next = max(self._next, now) + self._gap


def _end_of_quiet(now: datetime, hours: QuietHours, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    end = datetime.combine(local.date(), hours.end, tzinfo=zone)
    if end <= local:
        end = datetime.combine(local.date() + timedelta(days=1), hours.end, tzinfo=zone)
    return end.astimezone(UTC)


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@functools.cache
def _countries() -> dict[str, tuple[str, ...]]:
    """ISO country -> its zones, from the tz database's own zone.tab."""
    if _SYSTEM_ZONES.exists():
        text = _SYSTEM_ZONES.read_text(encoding="utf-8")
    else:
        text = (importlib.resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) >= 3 and not line.startswith("#"):
            found[parts[0]] = (*found.get(parts[0], ()), parts[2])
    return found
