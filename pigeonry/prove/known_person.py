"""The person of `canaries` in a home that runs: imported, mailed, answering, clicking, complained about."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pigeonry.domain import ConsentBasis, ConsentState, PlannedMessage
from pigeonry.errors import OutsideFailure
from pigeonry.prove.canaries import CANARIES, EMAIL, SAID, fill_files, fill_tables
from pigeonry.prove.crew import Crew
from pigeonry.prove.delivered import asking
from pigeonry.prove.provider import Signer
from pigeonry.prove.trials.webhooks import expect_signed
from pigeonry.prove.website import Mail, Website, mails
from pigeonry.prove.world import World
from pigeonry.store import consents, messages
from pigeonry.store.models import Lead, LeadVector

OTHERS = ("ion@exemplu.ro", "maria@exemplu.ro")
_INBOUND = "prove-inbound"


@dataclass(frozen=True, slots=True)
class Known:
    """`unplaced` tables have a place for a person, and nobody has said which."""

    world: World
    list_file: Path
    signer: Signer
    mail: Mail
    key: str
    lead_id: int
    unplaced: tuple[str, ...]


def command(world: World, *words: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run `pigeonry` as an operator does; its exit code and its JSON line."""
    done = subprocess.run(
        [sys.executable, "-m", "pigeonry", "--home", str(world.home.path), *words, "--json"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    found = json.loads(lines[-1]) if lines else {}
    if "error" in found or not found:
        raise OutsideFailure(f"`pigeonry {words[0]} {words[1]}` failed: {done.stderr[-1000:]}")
    return done.returncode, found


def send(world: World, folder: Path) -> int:
    """One sender until nothing waits; its exit code."""
    return Crew(world, 1, folder / "workers.log").start().wait(120)


def make_known(world: World, site: Website, folder: Path) -> Known:
    """Everything by the doors that there are; then a row and a file for each place that has none by itself."""
    signer = expect_signed(world.home)
    (world.home.path / "secrets" / "inbound_token").write_text(_INBOUND)
    path = folder / f"{EMAIL}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CANARIES)
        writer.writerow(CANARIES.values())
        for email in OTHERS:
            writer.writerow([email, "Ion", "Pop", "", "", "Brașov", "", *["comun"] * 43])
        writer.writerow(["ion@", "Ion", "", "", "", "", "", *[f"vezi {EMAIL}"] * 43])
    command(
        world, "leads", "import", str(path), "--consent", "express:form din parc", folder=folder
    )
    with asking(world.database.url) as ask:
        people = ask(
            "SELECT id, email, address_hash FROM lead WHERE email NOT LIKE '%@example.com'"
        )
    [(lead_id, _, digest)] = [row for row in people if row[1] == EMAIL]
    with world.database.write() as session:
        variant = next(iter(messages.variant_ids(session, world.campaign_id)))
        messages.plan(
            session,
            [
                PlannedMessage(world.campaign_id, number, variant, 1, hashed, "file")
                for number, _, hashed in people
            ],
            datetime.now(UTC),
        )
    if send(world, folder):
        raise OutsideFailure("the first mails did not leave", where=str(folder / "workers.log"))
    mail = next(mail for mail in mails(world.home.outbox) if mail.to == EMAIL)
    known = Known(world, path, signer, mail, mail.key, lead_id, ())
    answer(known, site)
    with world.database.write() as session:
        lead = session.get_one(Lead, lead_id)
        lead.content_hash = "c" * 64
        consents.record(
            session, lead_id, state=ConsentState.GRANTED, basis=ConsentBasis.EXPRESS, source="form",
            proof=SAID, at=datetime.now(UTC),
        )  # fmt: skip
        session.add(LeadVector(content_hash="c" * 64, embedder="e", vector=b"\0\0\x80?" * 2))
    with asking(world.database.url) as ask:
        [(message_id,)] = ask(f"SELECT id FROM message WHERE send_key = '{mail.key}'")  # noqa: S608
    unplaced = fill_tables(
        world.database,
        {"lead_id": lead_id, "message_id": message_id, "address_hash": digest},
    )
    fill_files(world.home)
    return Known(world, path, signer, mail, mail.key, lead_id, tuple(unplaced))


def answer(known: Known, site: Website, *words: str, turn: int = 1) -> None:
    """The provider reports, the person clicks and writes, and a report comes broken: taken and understood."""
    said = [
        {"event": word, "email": EMAIL.upper(), "timestamp": int(time.time()), "send_key": known.key,
         "sg_event_id": f"{word}-{turn}", "useragent": "Canar/1.0", "reason": f"550 <{EMAIL}>"}
        for word in ("delivered", "open", *words)
    ]  # fmt: skip
    broken = [{**said[0], "timestamp": "yesterday"}, {"event": "open", "email": EMAIL, "n": turn}]
    for elements in (said, [said[1], *broken], broken):
        body = json.dumps(elements).encode()
        _post(site, "/hooks/sendgrid", body, known.signer.headers(body))
    half = json.dumps(said).encode()[:-9]  # and one that breaks off
    _post(site, "/hooks/sendgrid", half, known.signer.headers(half))
    for path in (*known.mail.clicks[:1], known.mail.picture):
        site.ask("GET", path, headers={"User-Agent": f"Canar {EMAIL}"})
    for number, sender in enumerate((EMAIL, "acasa@altundeva.example")):
        letter = (
            f"From: {sender}\r\nTo: salut@scoala.example\r\nSubject: Re: Cursul de desen\r\n"
            f"In-Reply-To: <{known.key}@scoala.example>\r\nMessage-ID: <{turn}-{number}@x.example>\r\n\r\n"
            f"Sunt {CANARIES['first name']} din {CANARIES['city']}. {turn}\r\n"
        )
        form = (
            '--part\r\nContent-Disposition: form-data; name="email"\r\n\r\n'
            + letter
            + "\r\n--part--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=part"}
        _post(site, f"/hooks/inbound/{_INBOUND}", form.encode(), kind)
    _wait_until_understood(site)


def _post(site: Website, path: str, body: bytes, headers: dict[str, str]) -> None:
    found = site.ask("POST", path, body=body, headers=headers)
    if found.status != 200:
        raise OutsideFailure(f"{path} answered {found.status}", where="prove")


def _wait_until_understood(site: Website) -> None:
    deadline = time.monotonic() + 120
    while json.loads(site.ask("GET", "/health").body)["undrained"]:
        if time.monotonic() > deadline:
            raise OutsideFailure("events wait for longer than 120 s", where="prove")
        time.sleep(0.1)
