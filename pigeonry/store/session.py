"""Opens the database. Whoever opens a session commits it; nobody below does."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    PendingRollbackError,
)
from sqlalchemy.orm import Session, sessionmaker

from pigeonry.errors import ConfigError, OutsideFailure

__all__ = ["Database", "Session", "shown"]

_BUSY_MS = 30_000  # how long a SQLite writer waits for another
_AWAY = (OperationalError, InterfaceError, PendingRollbackError)
_CONNECTION_WENT = "8s2b"  # SQLAlchemy's code for what is asked after a connection was cut


class Database:
    """An engine and its two kinds of transaction.

    `read` gives a consistent view and is rolled back. `write` takes SQLite's one write lock at once
    (BEGIN IMMEDIATE: a deferred one fails with a busy snapshot that no time-out cures) and commits.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = _engine(url)
        except Exception as error:  # SQLAlchemy raises many kinds for a malformed URL
            # Its own words may quote the URL, password and all; a driver's name is safe to say.
            why = f": {error}" if isinstance(error, NoSuchModuleError | ImportError) else ""
            raise ConfigError(
                f"cannot use the database URL{why}",
                where="database.url",
                fix="write sqlite:////path/to/file.db or postgresql+psycopg://user@host/name",
            ) from None
        self.dialect = self.engine.dialect.name
        self._turn: AbstractContextManager[None] = nullcontext()
        self._writes = sessionmaker(self.engine, expire_on_commit=False)
        self._reads = sessionmaker(
            self.engine.execution_options(pigeonry_read=True), expire_on_commit=False
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        session = self._reads()
        try:
            yield session
        except _AWAY as error:
            raise _outside(error) from error
        finally:
            _close(session)

    @contextmanager
    def write(self) -> Iterator[Session]:
        try:
            with self._turn, self._writes.begin() as session:
                yield session
        except _AWAY as error:
            raise _outside(error) from error

    def queue_writers(self) -> None:
        """From now on this process's writers go in the order in which they came.

        SQLite by itself lets each ask again after a pause that grows, so one that writes all the time
        keeps others waiting for seconds. Postgres needs no queue. A thread may not write within a write.
        """
        if self.dialect == "sqlite":
            self._turn = _InTurn()

    def dispose(self) -> None:
        self.engine.dispose()


class _InTurn(AbstractContextManager[None]):
    """A lock that is handed to whoever has waited longest."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._held = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            called = threading.Event()
            self._waiting.append(called)
        called.wait()

    def __exit__(self, *_error: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._held = False


def _close(session: Session) -> None:
    """End a read. A connection that was cut meanwhile takes nothing back that was read."""
    try:
        session.close()
    except DBAPIError:
        session.invalidate()


def _outside(error: DBAPIError | PendingRollbackError) -> OutsideFailure:
    if isinstance(error, PendingRollbackError):
        if error.code != _CONNECTION_WENT:
            raise error  # a mistake of ours: an error was caught inside the transaction
        cause = "the connection was cut"
    else:
        cause = str(error.orig)
    if "disk is full" in cause or "No space left" in cause:
        fix = "make room on the disk and run the same command again: finished work is kept"
    elif "locked" in cause:
        fix = "another program holds the database; try again when it has finished"
    elif "no such table" in cause or "no such column" in cause:
        fix = "run `pigeonry init` to bring the database up to date"
    else:
        fix = "check that the database runs and that its folder can be written"
    return OutsideFailure(
        f"the database refused: {cause}", where="database", fix=fix, transient=True
    )


def _engine(url: str) -> Engine:
    """Parameters never stand in an error's text: they hold addresses, and logs keep texts."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # an intent is on disk before the first byte of a mail leaves
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_MS}",
            "secure_delete=ON",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        read = connection.get_execution_options().get("pigeonry_read", False)
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    return engine


def shown(url: str) -> str:
    """A database URL as it may be printed: without its password."""
    return make_url(url).render_as_string(hide_password=True)
