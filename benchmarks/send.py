"""How fast a campaign goes out with every safeguard on, beside a plain client that keeps no record.

`python -m benchmarks.send --messages 20000 [--channel smtp]... [--database postgres]... [--workers 4]...
[--delay-ms 50]`

Senders are processes of their own, as `pigeonry prove` starts them; the far end is a sink that answers after
`--delay-ms`, and mails are counted and timed there. The plain client has as many connections at once: a
pool of threads over smtplib or SendGrid's own client, or files written without waiting for the disk.
"""

from __future__ import annotations

import argparse
import json
import smtplib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psutil

from generation.brief import parse_brief
from pigeonry.config import SendgridSettings
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import CompiledMail, Recipient, compile_mail
from pigeonry.delivery.sendgrid import request_body
from pigeonry.domain import Language
from pigeonry.domain.message import OutgoingMessage
from pigeonry.prove import mischief, sinks
from pigeonry.prove.cell import CHANNELS, DATABASES, Scene, scene
from pigeonry.prove.crew import Crew
from pigeonry.prove.limits import Limits
from pigeonry.prove.world import BRIEF, COPY
from pigeonry.service.sending import LANES

# As an installation has them: nothing times out here.
LIMITS = Limits(timeout=30.0, after_dot=60.0, lease=900.0, quarantine=1800.0, event_delay=900.0)


def measure(channel: str, database: str, workers: int, given: argparse.Namespace) -> dict[str, Any]:
    """One campaign by so many senders, and the plain client with as many connections."""
    with scene(
        channel=channel, database=database, seed=1, people=given.messages, limits=LIMITS,
        shares=mischief.NONE, delay_ms=given.delay_ms,
    ) as it:  # fmt: skip
        crew = it.crew(workers)
        peak, processor = _work(crew, it)
        count, times = it.count(), sorted(arrival.at for arrival in it.arrivals())
    assert count.clean, count
    assert count.accepted == given.messages, count
    connections = LANES[channel] * workers
    return {
        "channel": channel,
        "database": database,
        "workers": workers,
        "delay_ms": given.delay_ms,
        "messages": given.messages,
        "per_second": (len(times) - 1) / (times[-1] - times[0]),
        "cpu_ms_per_message": 1000 * processor / given.messages,
        "peak_mb": peak,
        "plain_per_second": plain(
            channel, min(given.messages, given.plain), connections, given.delay_ms
        ),
    }


def _work(crew: Crew, it: Scene) -> tuple[float, float]:
    """Let the crew send everything; peak memory of one sender in MB, processor seconds of all."""
    workers = [crew.start() for _ in range(crew.size)]
    watched = {worker.pid: psutil.Process(worker.pid) for worker in workers}
    peak, spent = 0.0, dict.fromkeys(watched, 0.0)
    while any(worker.poll() is None for worker in workers):
        for pid, process in watched.items():
            try:
                peak = max(peak, process.memory_info().rss / 2**20)
                used = process.cpu_times()
                spent[pid] = used.user + used.system
            except psutil.Error:
                continue  # it has finished
        time.sleep(0.05)
    crew.end()
    # 1: when it ended, another sender still had mails under way.
    if codes := [worker.returncode for worker in workers if worker.returncode not in (0, 1)]:
        raise SystemExit(f"senders ended with {codes}: {crew.log.read_text()[-500:]}")
    return peak, sum(spent.values())


def plain(channel: str, number: int, connections: int, delay_ms: float) -> float:
    """Mails per second of the client that everybody writes first."""
    compiled = compile_mail(COPY, parse_brief(BRIEF, where="benchmark"), Language.RO, campaign_id=1)
    links = Links("http://127.0.0.1:8080", {1: b"1" * 32})
    script = mischief.Mischief(delay_ms=delay_ms)
    with tempfile.TemporaryDirectory() as name, _target(channel, Path(name), script) as target:
        lot = [range(first, number, connections) for first in range(connections)]
        ready = threading.Barrier(connections + 1)

        def one(numbers: Sequence[int]) -> None:
            hand_over = _client(channel, target)
            ready.wait()
            for n in numbers:
                hand_over(_mail(compiled, links, n))

        with ThreadPoolExecutor(connections) as pool:
            done = [pool.submit(one, numbers) for numbers in lot]
            ready.wait()
            began = time.perf_counter()
            for future in done:
                future.result()
            return number / (time.perf_counter() - began)


def _mail(compiled: CompiledMail, links: Links, number: int) -> OutgoingMessage:
    recipient = Recipient(number + 1, f"lead{number}@example.com", "Ioana", "Pop")
    return compiled.render(recipient, links, send_key=f"{number:032x}", at=datetime.now(UTC))


@contextmanager
def _target(channel: str, folder: Path, script: mischief.Mischief) -> Iterator[str]:
    if channel == "file":
        yield str(folder)
        return
    with sinks.running(channel, folder / "sink.log", script) as port:
        yield str(port)


def _client(channel: str, target: str) -> Callable[[OutgoingMessage], object]:
    """A plain client with a connection of its own."""
    if channel == "file":
        return lambda mail: (Path(target) / f"{mail.send_key}.eml").write_bytes(
            _standard(mail).as_bytes()
        )
    if channel == "smtp":
        line = smtplib.SMTP("127.0.0.1", int(target), local_hostname="bench.example")
        return lambda mail: line.send_message(_standard(mail))
    from sendgrid import SendGridAPIClient

    client: Any = SendGridAPIClient("SG.loopback", host=f"http://127.0.0.1:{target}")
    settings = SendgridSettings()
    return lambda mail: client.client.mail.send.post(request_body=request_body(mail, settings))


def _standard(mail: OutgoingMessage) -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"] = f"{mail.from_name} <{mail.from_email}>", mail.to_email
    built["Subject"] = mail.subject
    for name, value in mail.headers.items():
        built[name] = value
    built.set_content(mail.text)
    built.add_alternative(mail.html, subtype="html")
    return built


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--channel", choices=CHANNELS, action="append", help="default: all")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--workers", type=int, action="append", help="senders; default: 1 and 4")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="before the sink answers")
    parser.add_argument("--plain", type=int, default=2000, help="mails of the plain client")
    given = parser.parse_args(arguments)
    found = []
    for database in given.database or DATABASES:
        for channel in given.channel or CHANNELS:
            for workers in given.workers or (1, 4):
                one = measure(channel, database, workers, given)
                found.append({key: _rounded(value) for key, value in one.items()})
                print(
                    f"{channel} on {database}, {workers} senders: {one['per_second']:,.0f} mails/s, "
                    f"{one['cpu_ms_per_message']:.1f} ms of processor each, peak "
                    f"{one['peak_mb']:,.0f} MB; plain client {one['plain_per_second']:,.0f} mails/s"
                )
    print(json.dumps({"benchmark": "send", "cells": found}))


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
