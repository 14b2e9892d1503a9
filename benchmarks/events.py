"""Whether every acknowledged event survives a web process that is killed again and again, and how fast
events come in meanwhile.

`python -m benchmarks.events --deliveries 1000000 [--events 400000] [--kills 100] [--seed 1]`

Starts the real web process and posts to it as SendGrid does: signed batches of events, shuffled, 2.5 copies
of each, 1 % of the elements corrupt, 1 % of the posts unsigned or forged, each signed post repeated until it
is answered with 2xx. The process is killed at random moments. In the end the database is compared with an
oracle that knows the distinct events and nothing of our code.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.events_world import Corpus, compare, corpus, fill
from pigeonry.config import load_home
from pigeonry.service.homes import init

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
START_SECONDS = 60.0


class Signer:
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> str:
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def headers(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


@dataclass
class Server:
    """The web process, started again each time that it is killed."""

    home: Path
    port: int
    peak: int = 0  # bytes
    starts: int = 0
    down: float = 0.0  # seconds between a kill and the next answer
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pigeonry", "--home", str(self.home), "serve", "--only", "web"],
            env={**os.environ, "PIGEONRY_WEB__PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
        )
        self.starts += 1
        while self.health() is None:
            if self.process.poll() is not None:
                raise RuntimeError(f"the web process ended with {self.process.returncode}")
            if time.monotonic() - began > START_SECONDS:
                raise RuntimeError("the web process does not answer")
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.watch()
        began = time.monotonic()
        self.process.kill()
        self.process.wait()
        self.start()
        self.down += time.monotonic() - began

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def watch(self) -> None:
        """Remember the most memory that it had."""
        if self.process is not None:
            with contextlib.suppress(psutil.Error):
                self.peak = max(self.peak, psutil.Process(self.process.pid).memory_info().rss)

    def health(self) -> dict[str, Any] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/health")
            found = json.loads(connection.getresponse().read())
            assert isinstance(found, dict)
            return found
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@dataclass
class Driver:
    """Posts as the provider does: keeps at it until each signed body is taken."""

    port: int
    signer: Signer
    forger: Signer
    posts: list[tuple[int, bytes, str]]  # events in it, body, "" or how it is forged
    lanes: int
    seconds: list[float] = field(default_factory=list)  # of each acknowledgement
    acked: int = 0
    retries: int = 0
    forged_taken: int = 0
    forged_refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Iterator[int]:
        """Yields the number of posts that are done, as it grows."""
        waiting: queue.SimpleQueue[tuple[int, bytes, str]] = queue.SimpleQueue()
        for post in self.posts:
            waiting.put(post)
        done = [0]
        threads = [
            threading.Thread(target=self._lane, args=(waiting, done), daemon=True)
            for _ in range(self.lanes)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            yield done[0]
            time.sleep(0.05)
        yield done[0]

    def _lane(self, waiting: queue.SimpleQueue[tuple[int, bytes, str]], done: list[int]) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            try:
                number, body, forged = waiting.get_nowait()
            except queue.Empty:
                return
            while True:
                headers = self._headers(body, forged)
                began = time.monotonic()
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                    connection.request("POST", "/hooks/sendgrid", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    status = answer.status
                except (OSError, http.client.HTTPException):
                    if connection is not None:
                        connection.close()
                    connection = None
                    status = 0
                took = time.monotonic() - began
                with self._lock:
                    if forged and status:
                        self.forged_taken += status < 300
                        self.forged_refused += status == 401
                        done[0] += 1
                        break
                    if 200 <= status < 300:
                        self.seconds.append(took)
                        self.acked += number
                        done[0] += 1
                        break
                    self.retries += 1
                time.sleep(0.05)

    def _headers(self, body: bytes, forged: str) -> dict[str, str]:
        kind = {"Content-Type": "application/json"}
        if forged == "unsigned":
            return kind
        signer = self.forger if forged == "other key" else self.signer
        signed = signer.headers(body[:-1] if forged == "changed" else body)
        return {**kind, **signed}


def posts_of(events: Corpus, deliveries: int, lot: random.Random) -> list[tuple[int, bytes, str]]:
    """All copies of all events in shuffled batches, with corrupt elements and forged posts among them."""
    copies = list(range(len(events.bodies)))
    copies += lot.choices(range(len(events.bodies)), k=deliveries - len(copies))
    lot.shuffle(copies)
    posts: list[tuple[int, bytes, str]] = []
    start = 0
    while start < len(copies):
        part = copies[start : start + lot.randint(20, 400)]
        start += len(part)
        elements = [events.bodies[index] for index in part]
        for _ in range(sum(lot.random() < 0.01 for _ in part)):
            elements.insert(lot.randrange(len(elements) + 1), lot.choice(events.corrupt))
        posts.append((len(part), b"[" + b",".join(elements) + b"]", ""))
    for number in range(max(1, len(posts) // 100)):
        forged = lot.choice(("unsigned", "other key", "changed"))
        posts.append((0, b"[" + events.evil(number) + b"]", forged))
    lot.shuffle(posts)
    return posts


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def measure(
    folder: Path, *, deliveries: int, events: int, kills: int, seed: int, lanes: int
) -> dict[str, Any]:
    lot = random.Random(seed)
    signer = Signer()
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "sendgrid_webhook_keys").write_text(signer.public)
    home = load_home(folder)
    database = init(home)
    made = corpus(events, lot)
    fill(database, home, made)
    posts = posts_of(made, deliveries, lot)
    print(f"{len(posts):,} posts of {deliveries:,} deliveries of {events:,} events, seed {seed}")
    at = sorted(lot.sample(range(1, len(posts)), min(kills, len(posts) - 1)))
    server = Server(folder, free_port())
    server.start()
    driver = Driver(server.port, signer, Signer(), posts, lanes)
    killed = 0
    began = said = time.monotonic()
    for done in driver.run():
        server.watch()
        while killed < len(at) and done >= at[killed]:
            time.sleep(lot.random() * 0.1)
            server.kill()
            killed += 1
        if time.monotonic() - said > 15:
            said = time.monotonic()
            print(f"  {done:,} of {len(posts):,} posts, {killed} kills", flush=True)
    seconds = time.monotonic() - began
    while (health := server.health()) is not None and health["undrained"]:
        server.watch()
        time.sleep(0.2)
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
