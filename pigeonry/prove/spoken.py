"""Lets a history happen: each word by the service that would hear it, at its time."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.delivery.opt_in import load_opt_in_links
from pigeonry.domain import Language
from pigeonry.prove.histories import PAUSE, Said, Word
from pigeonry.service import events, people, subscriptions
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.store import consent_texts, leads, opt_ins
from pigeonry.store.session import Database

TOPIC = "cursuri"
_EVIDENCE = "existing-customer:comanda 17; bought=curs de desen; on=2025-03-01; similar=alte cursuri; opt-out=da"
_DOUBTS = ("poate", "31.02.2026", "2031-01-01", "legitimate interest", "b2b", "?")
# What stands in the consent column, a row each. In a file for which nobody stated a basis:
_WITHOUT_CLAIM = {
    Word.CUSTOMER: (_EVIDENCE,),
    Word.NO_PROOF: ("da",),
    Word.NO_EVIDENCE: ("existing-customer:comanda 17",),
}
# In a file whose people are said to have agreed expressly:
_WITH_CLAIM = {
    Word.AGREES: ("da",), Word.SILENT: ("",), Word.TWICE: ("da", "yes"), Word.DIVIDED: ("da", ""),
    Word.CONTRADICTS: ("nu", "da"), Word.REFUSES: ("nu",), Word.BARRED: ("da",), Word.DOUBTFUL: ("?",),
}  # fmt: skip


class Listeners:
    """The services of one home."""

    def __init__(self, db: Database, home: Home, lot: random.Random, folder: Path) -> None:
        self.db, self.home, self._lot, self._folder = db, home, lot, folder
        self._asked = 0  # the newest request to come in that was seen

    def hear(self, histories: Mapping[str, Sequence[Said]]) -> None:
        """All that was said, moment by moment, in random order within each."""
        said = [(at, who, word) for who, words in histories.items() for at, word in words]
        with self.db.write() as session:
            consent_texts.add(
                session, language=Language.RO, text="Da, vreau.", at=min(at for at, _, _ in said)
            )
        for at in sorted({moment for moment, _, _ in said}):
            words = [(who, word) for moment, who, word in said if moment == at]
            self._lot.shuffle(words)
            for claim, cells in (("", _WITHOUT_CLAIM), ("express:lista", _WITH_CLAIM)):
                rows = [(who, word, cell) for who, word in words for cell in cells.get(word, ())]
                if rows:
                    self._list(rows, claim, at)
            for who, word in words:
                if word not in _WITHOUT_CLAIM and word not in _WITH_CLAIM:
                    self._person(who, word, at)

    def _list(self, rows: Sequence[tuple[str, Word, str]], claim: str, at: datetime) -> None:
        """One file. The rows of an address may stand far apart, in any case of letters."""
        rows = self._lot.sample(rows, len(rows))
        path = self._folder / "list.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["email", "consent", "do not mail", "external id"])
            for who, word, cell in rows:
                number = who.partition("@")[0].removesuffix(".nou")
                typed = who.upper() if self._lot.random() < 0.2 else who
                doubt = self._lot.choice(_DOUBTS) if word is Word.DOUBTFUL else cell
                writer.writerow([typed, doubt, "da" if word is Word.BARRED else "", number])
        import_leads(
            self.db, self.home, path, mapping={}, consent=parse_claim(claim) if claim else None,
            dry_run=False, now=at,
        )  # fmt: skip

    def _person(self, who: str, word: Word, at: datetime) -> None:
        match word:
            case Word.COMPLAINS | Word.BOUNCES:
                self._provider(who, word, at)
            case Word.ERASED:
                people.erase_person(self.db, self.home, who, now=at)
            case Word.ASKS | Word.CONFIRMS:
                self._comes(who, at, confirms=word is Word.CONFIRMS)
            case Word.LEAVES:
                self.leave(who, at)
            case _:
                self._prefers(who, word, at)

    def leave(self, who: str, at: datetime) -> None:
        """By the link in a mail. Whoever was erased has none."""
        if token := self._token(who):
            done = subscriptions.unsubscribe(self.db, self.home, token, how="one-click", now=at)
            assert done

    def _prefers(self, who: str, word: Word, at: datetime) -> None:
        pause = {Word.PAUSES: PAUSE.days, Word.RESUMES: 0}.get(word)
        topic = {Word.DECLINES: {TOPIC: False}, Word.WANTS: {TOPIC: True}}.get(word)
        if token := self._token(who):
            subscriptions.set_preferences(
                self.db, self.home, token, paused_days=pause, weekly_cap=None, topics=topic,
                language=None, now=at,
            )  # fmt: skip

    def _comes(self, who: str, at: datetime, *, confirms: bool) -> None:
        subscriptions.request_opt_in(
            self.db, self.home, email=who, language="ro", text_version="", source="formular", ip="",
            now=at,
        )  # fmt: skip
        with self.db.read() as session:
            new = opt_ins.queued(session, after_id=self._asked)
        for request in new:  # none, where the address is stopped for good
            self._asked = request.id
            if confirms:
                token = load_opt_in_links(self.home).token(request.id, request.send_key)
                subscriptions.confirm_opt_in(
                    self.db, self.home, token, ip="", user_agent="", now=at
                )

    def _provider(self, who: str, word: Word, at: datetime) -> None:
        event = {
            "event": "spamreport" if word is Word.COMPLAINS else "bounce",
            "type": "bounce",
            "timestamp": int(at.timestamp()),
            "sg_event_id": f"{word.name}-{who}-{at:%Y%m%d}",
            "email": who,
        }
        events.ingest_events(
            self.db, self.home, json.dumps([event]).encode(), source="sendgrid", now=at
        )

    def _token(self, who: str) -> str:
        with self.db.read() as session:
            lead = leads.by_email(session, who)
        return load_links(self.home).unsubscribe_token(lead.id, 1) if lead else ""
