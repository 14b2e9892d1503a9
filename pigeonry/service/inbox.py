"""Bodies on their way to the disk: whatever waits is committed together, and each sender hears of its own.

A commit costs the same for one body as for fifty. An acknowledgement follows its commit, never leads it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from feedback.own import OWN
from pigeonry.errors import OutsideFailure
from pigeonry.store import raw_events
from pigeonry.store.session import Database

_MOST_BODIES = 500  # in one transaction
_MOST_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    source: str
    body: bytes
    headers: Mapping[str, object]
    at: datetime
    done: Future[None] = field(default_factory=Future)


class Inbox:
    """One writer of raw bodies. Its callers bound how much waits; it only says how much does."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: deque[_Waiting] = deque()
        self._turn = threading.Condition()
        self._closed = False
        self.stored = threading.Event()  # set after each commit; whoever drains clears it
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def put(
        self, source: str, body: bytes, *, at: datetime, headers: Mapping[str, object] | None = None
    ) -> Future[None]:
        """Done once the body is on the disk. The future raises OutsideFailure when it could not be
        stored: then the sender has to come again."""
        item = _Waiting(source, body, headers or {}, at)
        item.done.set_running_or_notify_cancel()  # who gives up waiting does not stop the commit
        with self._turn:
            if self._closed:
                raise OutsideFailure("the inbox is closed", where="inbox", transient=True)
            self._queue.append(item)
            self._turn.notify()
        return item.done

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """Commit what waits, then end."""
        with self._turn:
            self._closed = True
            self._turn.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._turn:
                while not self._queue and not self._closed:
                    self._turn.wait()
                batch = self._take()
            if not batch:
                return
            try:
                self._write(batch)
            except Exception as error:  # whatever it is: each is told, and none is told yes
                for item in batch:
                    item.done.set_exception(error)
            else:
                for item in batch:
                    item.done.set_result(None)
                self.stored.set()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < _MOST_BODIES and size < _MOST_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1].body)
        return batch

    def _write(self, batch: list[_Waiting]) -> None:
        own = [item for item in batch if item.source == OWN]
        with self._db.write() as session:
            for item in batch:
                if item.source != OWN:
                    raw_events.add(
                        session,
                        source=item.source,
                        body=item.body,
                        headers=item.headers,
                        at=item.at,
                    )
            if own:  # a line each: one row for all of them is understood in one go
                body = b"\n".join(item.body for item in own)
                raw_events.add(session, source=OWN, body=body, headers={}, at=own[-1].at)
