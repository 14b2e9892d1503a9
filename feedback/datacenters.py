"""Networks in which machines live, from a file: one CIDR a line, IPv4 and IPv6, comments with #."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pigeonry.errors import ConfigError

_MOST_BAD = 5  # bad lines that an error names


@dataclass(frozen=True)
class Networks:
    """Ranges of addresses, merged and in order, so that a look-up is one bisection in each family.

    `starts` and `ends` by IP version; an end is the first address beyond.
    """

    starts: dict[int, list[int]]
    ends: dict[int, list[int]]

    def __bool__(self) -> bool:
        return bool(self.starts)

    def __contains__(self, ip: str) -> bool:
        version, number = _number(ip)
        starts = self.starts.get(version)
        if not starts:
            return False
        place = bisect_right(starts, number) - 1
        return place >= 0 and number < self.ends[version][place]


NOWHERE = Networks({}, {})


def networks(ranges: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Networks:
    """Ready for look-ups, whatever their order and overlap."""
    by_version: dict[int, list[tuple[int, int]]] = {}
    for found in ranges:
        first = int(found.network_address)
        by_version.setdefault(found.version, []).append((first, first + found.num_addresses))
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for version, pairs in by_version.items():
        pairs.sort()
        low, high = starts.setdefault(version, []), ends.setdefault(version, [])
        for first, beyond in pairs:
            if high and first <= high[-1]:
                high[-1] = max(high[-1], beyond)
            else:
                low.append(first)
                high.append(beyond)
    return Networks(starts, ends)


def read_networks(path: Path) -> Networks:
    """The networks that a file lists. A single address is a network of one.

    Raises ConfigError for a file that cannot be read and for lines that are no network, by number.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise ConfigError(
            f"cannot read the list of networks: {error.strerror}",
            where=f"tracking.datacenters = {path}",
            fix="give the path of a text file with one CIDR a line, or leave the setting empty",
        ) from error
    return _read(path, (stamp.st_mtime_ns, stamp.st_size))


@lru_cache(4)
def _read(path: Path, _stamp: tuple[int, int]) -> Networks:
    ranges, bad = [], []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                ranges.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                bad.append(f"line {number}: {text[:60]!r}")
    if bad:
        more = f" and {len(bad) - _MOST_BAD:,} more" if len(bad) > _MOST_BAD else ""
        raise ConfigError(
            f"no network: {'; '.join(bad[:_MOST_BAD])}{more}",
            where=str(path),
            fix="write one CIDR a line, for example 192.0.2.0/24 or 2001:db8::/32",
        )
    return networks(ranges)


@lru_cache(65536)
def _number(ip: str) -> tuple[int, int]:
    """(version, number) of an address, (0, 0) for what is none. IPv4 inside IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(ip.strip().partition("%")[0])
    except ValueError:
        return 0, 0
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.version, int(address)
