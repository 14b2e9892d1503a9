"""Whether every acknowledged event survives a web process that is killed again and again, and how fast
events come in meanwhile.

`python -m benchmarks.events --deliveries 1000000 [--events 400000] [--kills 100] [--seed 1]`

The trial of `pigeonry.prove.trials.webhooks`, at full size and with a clock: the real web process, and posts as
SendGrid sends them: signed batches of events, shuffled, 2.5 copies of each, 1 % of the elements corrupt, 1 % of
the posts unsigned or forged, each signed post repeated until it is answered with 2xx. In the end the database
is compared with an oracle that knows the distinct events and nothing of our code.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pigeonry.config import load_home
from pigeonry.prove.delivered import compare, fill
from pigeonry.prove.deliveries import corpus, posts_of
from pigeonry.prove.provider import Driver, Signer
from pigeonry.prove.trials.webhooks import deliver, expect_signed
from pigeonry.prove.web_process import WebProcess
from pigeonry.prove.website import free_port
from pigeonry.service.homes import init


@dataclass
class Watched(WebProcess):
    """With the most memory that it had, in bytes."""

    peak: int = 0

    def kill(self) -> None:
        self.watch()
        super().kill()

    def watch(self) -> None:
        if self.process is not None:
            with contextlib.suppress(psutil.Error):
                self.peak = max(self.peak, psutil.Process(self.process.pid).memory_info().rss)


def measure(
    folder: Path, *, deliveries: int, events: int, kills: int, seed: int, lanes: int
) -> dict[str, Any]:
    lot = random.Random(seed)
    home = load_home(folder)
    signer = expect_signed(home)
    database = init(home)
    made = corpus(events, lot)
    fill(database, home, made)
    posts = posts_of(made, deliveries, lot)
    print(f"{len(posts):,} posts of {deliveries:,} deliveries of {events:,} events, seed {seed}")
    server = Watched(folder, free_port(), folder.with_suffix(".log"))
    server.start()
    driver = Driver(server.port, signer, Signer(), posts, lanes)
    began = said = time.monotonic()

    def watch(done: int, killed: int) -> None:
        nonlocal said
        server.watch()
        if time.monotonic() - said > 15:
            said = time.monotonic()
            print(f"  {done:,} of {len(posts):,} posts, {killed} kills", flush=True)

    killed = deliver(server, driver, kills, lot, watch)
    seconds = time.monotonic() - began
    server.drained()
    drained = time.monotonic() - began - seconds
    server.watch()
    code = server.stop()
    found = compare(database, made)
    database.dispose()
    took = sorted(driver.seconds)
    return {
        "deliveries": deliveries,
        "events": events,
        "kills": killed,
        "seed": seed,
        "posts": len(posts),
        "acked": driver.acked,
        "retries": driver.retries,
        "forged_refused": driver.forged_refused,
        "forged_taken": driver.forged_taken,
        "seconds": round(seconds, 1),
        "down_seconds": round(server.down, 1),
        "drain_seconds": round(drained, 1),
        "events_per_second": round(driver.acked / seconds, 1),
        "events_per_second_up": round(driver.acked / max(seconds - server.down, 0.001), 1),
        "ack_p50_ms": round(took[len(took) // 2] * 1000, 1),
        "ack_p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))] * 1000, 1),
        "peak_rss_mb": round(server.peak / 1e6, 1),
        "exit_code": code,
        **found,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.events", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=0, help="distinct; 0: deliveries / 2.5")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=8, help="posts at once")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="events-") as folder:
        result = measure(
            Path(folder) / "home",
            deliveries=given.deliveries,
            events=given.events or int(given.deliveries / 2.5),
            kills=given.kills,
            seed=given.seed,
            lanes=given.lanes,
        )
    for name, value in result.items():
        print(f"{name.replace(chr(95), chr(32)):<22}{value!s:>14}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
