"""How long people wait for pages of an installation that has run for a year, and what else the web process owes.

`python -m benchmarks.web --folder FOLDER [--leads 100000] [--campaigns 500] [--events 2000000]
[--requests 40] [--visitors 1] [--rate 50] [--seconds 20] [--seed 1]`

Makes a home of that size on SQLite (once: it stays in FOLDER, and each run works on a copy), starts the real web
process, signs in through the first-run link, and opens each page `--requests` times without a pause. Then signed
webhooks come in at `--rate` a second, while somebody opens a page every half second. Measures too: memory at its highest, and the time from the start of the
process to the first page of somebody who is signed in.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.web_world import SEGMENTS, Size, build
from pigeonry.config import Home, load_home
from pigeonry.prove.provider import Signer
from pigeonry.prove.trials.webhooks import expect_signed
from pigeonry.prove.web_process import WebProcess
from pigeonry.prove.website import free_port
from pigeonry.service import operators
from pigeonry.service.homes import init, open_database

PASSWORD = "o parola lunga de masurat"
LIMITS = {"page_p95_ms": 300.0, "ack_p95_ms": 300.0, "peak_mb": 250.0, "first_page_seconds": 3.0}
PAUSE = 0.5  # seconds between two pages of somebody who reads
OnePath = Callable[[random.Random], str]


def pages(size: Size) -> dict[str, OnePath]:
    """Name of each page -> a path of it, another one each time where there are many."""
    return {
        "dashboard": lambda _lot: "/",
        "leads": lambda _lot: "/leads",
        "lead search": lambda lot: f"/leads?q=lead{lot.randint(1, size.leads)}@example.com",
        "lead search by name": lambda lot: f"/leads?q=pop{lot.randint(0, 976)}",
        "campaigns": lambda _lot: "/studio",
        "runs": lambda _lot: "/run",
        "run": lambda _lot: f"/run/{size.campaigns}",
        "results list": lambda _lot: "/results",
        "results": lambda lot: f"/results/{lot.randint(1, size.campaigns)}",
        "results, largest": lambda _lot: "/results/1",
        "segments": lambda _lot: "/segments",
        "segment": lambda lot: f"/segments/{lot.randint(1, SEGMENTS)}",
        "prompts": lambda _lot: "/prompts",
    }


@dataclass
class Times:
    """Seconds of answers with 200, and how many answers were none."""

    took: list[float] = field(default_factory=list)
    failed: int = 0

    def ms(self, share: float) -> float:
        ranked = sorted(self.took)
        return (
            round(1000 * ranked[min(len(ranked) - 1, int(len(ranked) * share))], 1) if ranked else 0
        )

    def to_json(self) -> dict[str, float]:
        return {"p50_ms": self.ms(0.5), "p95_ms": self.ms(0.95), "n": len(self.took), "failed": self.failed}  # fmt: skip


def home_of(folder: Path, size: Size, seed: int) -> Path:
    """The home of that size, made when it is not there yet; one of an older schema is migrated."""
    made = folder / f"home-{size.name}-{seed}"
    if not (made / "READY").exists():
        shutil.rmtree(made, ignore_errors=True)
        began = time.monotonic()
        print(f"makes {size.leads:,} leads, {size.campaigns:,} campaigns, {size.events:,} events")
        build(made, size, seed)
        (made / "READY").touch()
        print(f"  {time.monotonic() - began:.0f} s")
    init(load_home(made, env={})).dispose()
    return made


@contextmanager
def copied(made: Path) -> Iterator[Path]:
    """A copy that may be written to, gone at the end."""
    copy = made.with_name(f"{made.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(made, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def measure(
    folder: Path,
    size: Size,
    *,
    requests: int,
    visitors: int,
    rate: float,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    home = load_home(folder, env={})
    signer = expect_signed(home)
    server = WebProcess(folder, free_port(), folder / "web.log")
    try:
        server.start()
        with signed_in(server.port, first_link(home)) as first:
            cookies = dict(first.cookies)
            server.stop()
            began = time.monotonic()
            server.start()
            with httpx.Client(base_url=base(server.port), cookies=cookies, timeout=120) as client:
                answer = client.get("/")
                first_page = time.monotonic() - began
                assert answer.status_code == 200, answer.status_code
                quiet = browse(client, size, requests, visitors, seed)
                acks, busy = under_webhooks(
                    client, server.port, signer, folder, size, requests, rate, seconds, seed
                )
        peak = peak_mb(server)
    finally:
        server.end()
    worst = max((times.ms(0.95) for times in quiet.values()), default=0.0)
    found: dict[str, Any] = {
        "leads": size.leads,
        "campaigns": size.campaigns,
        "events": size.events,
        "seed": seed,
        "pages": {name: times.to_json() for name, times in quiet.items()},
        "pages_under_webhooks": {name: times.to_json() for name, times in busy.items()},
        "page_p95_ms": worst,
        "page_p95_under_webhooks_ms": max((t.ms(0.95) for t in busy.values()), default=0.0),
        "webhooks_per_second": rate,
        "acks": len(acks.took),
        "ack_p50_ms": acks.ms(0.5),
        "ack_p95_ms": acks.ms(0.95),
        "acks_failed": acks.failed,
        "peak_mb": peak,
        "first_page_seconds": round(first_page, 2),
        "failed": sum(t.failed for t in (*quiet.values(), *busy.values())),
    }
    return found | {"missed": [name for name, limit in LIMITS.items() if found[name] > limit]}


def first_link(home: Home) -> str:
    """A newer one than the process has printed, which counts no more."""
    database = open_database(home)
    link = operators.first_link(database, home, now=datetime.now(UTC))
    database.dispose()
    return link


def base(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def signed_in(port: int, link: str) -> Iterator[httpx.Client]:
    """Somebody who followed the first-run link and chose a password."""
    with httpx.Client(base_url=base(port), timeout=120) as client:
        answer = client.post(
            f"/setup/{link}",
            data={
                "name": "Ana",
                "email": "ana@example.com",
                "password": PASSWORD,
                "again": PASSWORD,
            },
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status_code == 303, (answer.status_code, answer.text[:400])
        yield client


def browse(
    client: httpx.Client, size: Size, requests: int, visitors: int, seed: int
) -> dict[str, Times]:
    """Each page `requests` times, the pages in turn; `visitors` at once."""
    found = {name: Times() for name in pages(size)}
    lock = threading.Lock()

    def look(lane: int) -> None:
        lot = random.Random(seed * 1000 + lane)
        for _ in range(requests // visitors):
            for name, path in pages(size).items():
                one(client, path(lot), found[name], lock)

    with ThreadPoolExecutor(visitors) as lanes:
        list(lanes.map(look, range(visitors)))
    return found


def one(client: httpx.Client, path: str, times: Times, lock: threading.Lock) -> None:
    began = time.monotonic()
    status = client.get(path).status_code
    took = time.monotonic() - began
    with lock:
        if status == 200:
            times.took.append(took)
        else:
            times.failed += 1


def under_webhooks(
    client: httpx.Client,
    port: int,
    signer: Signer,
    folder: Path,
    size: Size,
    requests: int,
    rate: float,
    seconds: float,
    seed: int,
) -> tuple[Times, dict[str, Times]]:
    """Acknowledgements of webhooks that come at an even pace, and the pages meanwhile."""
    bodies = deliveries(folder, int(rate * seconds), seed)
    acks = Times()
    lock = threading.Lock()
    over = threading.Event()
    began = time.monotonic()
    with httpx.Client(base_url=base(port), timeout=60) as provider:

        def deliver(place: int) -> None:
            time.sleep(max(0.0, began + place / rate - time.monotonic()))
            headers = {"Content-Type": "application/json", **signer.headers(bodies[place])}
            at = time.monotonic()
            status = provider.post("/hooks/sendgrid", content=bodies[place], headers=headers)
            took = time.monotonic() - at
            with lock:
                if status.is_success:
                    acks.took.append(took)
                else:
                    acks.failed += 1

        def visit() -> dict[str, Times]:
            found = {name: Times() for name in pages(size)}
            lot = random.Random(seed)
            for _ in range(requests):
                for name, path in pages(size).items():
                    if over.wait(PAUSE):
                        return found
                    one(client, path(lot), found[name], lock)
            return found

        with ThreadPoolExecutor(17) as lanes:
            visiting = lanes.submit(visit)
            list(lanes.map(deliver, range(len(bodies))))
            over.set()
            return acks, visiting.result()


def deliveries(folder: Path, number: int, seed: int) -> list[bytes]:
    """Bodies as the provider sends them: a few new events of mails that are there."""
    lot = random.Random(seed)
    with sqlite3.connect(folder / "pigeonry.db") as connection:
        keys = [
            key
            for (key,) in connection.execute(
                "SELECT send_key FROM message WHERE state = 'accepted' ORDER BY id DESC LIMIT 5000"
            )
        ]
    at = int(time.time())
    return [
        json.dumps(
            [
                {
                    "event": lot.choice(["delivered", "open", "click"]),
                    "email": "somebody@example.com",
                    "timestamp": at,
                    "sg_event_id": f"bench-{place}-{item}",
                    "send_key": lot.choice(keys),
                    "useragent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                    "url": "https://zilio.example/",
                }
                for item in range(3)
            ]
        ).encode()
        for place in range(number)
    ]


def peak_mb(server: WebProcess) -> float:
    """The most memory that the web process ever had, as the kernel counted it."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.web", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where homes are kept")
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--campaigns", type=int, default=500)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--requests", type=int, default=40, help="of each page")
    parser.add_argument("--visitors", type=int, default=1, help="at once")
    parser.add_argument("--rate", type=float, default=50.0, help="webhooks a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of webhooks")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    size = Size(given.leads, given.campaigns, given.events)
    with copied(home_of(given.folder.absolute(), size, given.seed)) as home:
        result = measure(
            home,
            size,
            requests=given.requests,
            visitors=given.visitors,
            rate=given.rate,
            seconds=given.seconds,
            seed=given.seed,
        )
    for name, times in result["pages"].items():
        busy = result["pages_under_webhooks"][name]
        print(f"{name:<22} p50 {times['p50_ms']:>8} ms  p95 {times['p95_ms']:>8} ms   "
              f"under webhooks p95 {busy['p95_ms']:>8} ms  failed {times['failed'] + busy['failed']}")  # fmt: skip
    for name in ("ack_p50_ms", "ack_p95_ms", "peak_mb", "first_page_seconds", "missed"):
        print(f"{name:<22} {result[name]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
