"""What Prefect keeps of its runs, without an erased person.

Parameters, results and logs hold ids and counts only, so there should be nothing to find. Whatever an
operator typed into a run (a path, a note) is struck out of the text columns of Prefect's own SQLite file;
rows stay, so that Prefect's pages work as before. A Prefect server on another database is out of reach.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.traces import Traces

# The columns of Prefect 3 that hold what people or programs said; states, names and keys are left alone.
_TEXTS = {
    "flow_run": ("name", "parameters", "context", "job_variables", "idempotency_key"),
    "task_run": ("name", "task_inputs", "dynamic_key", "cache_key"),
    "flow_run_state": ("message", "data"),
    "task_run_state": ("message", "data"),
    "flow_run_input": ("value",),
    "log": ("message",),
    "artifact": ("data", "description", "metadata_"),
    "artifact_collection": ("data", "description", "metadata_"),
    "events": ("payload", "resource", "related"),
    "event_resources": ("resource",),
    "deployment": ("parameters", "description", "infra_overrides"),
    "deployment_version": ("parameters", "description"),
    "deployment_schedule": ("parameters",),
    "variable": ("value",),
    "block_document": ("data",),
}
_BUSY_SECONDS = 20.0


def erase_records(home: Home, traces: Traces) -> tuple[int, str]:
    """(texts that were struck, what could not be done or ""). Safe beside a running server: one short
    transaction, as another process of Prefect's own would make."""
    path = home.path / "prefect" / "prefect.db"
    if not path.exists():
        return 0, ""
    try:
        return _erase(path, traces), _clean(path, traces)
    except sqlite3.OperationalError as error:
        return 0, (
            f"Prefect's database could not be searched ({error}): stop `pigeonry serve` and run the same "
            "command again"
        )


def _erase(path: Path, traces: Traces) -> int:
    struck = 0
    with _opened(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.create_function("shows", 1, lambda text: _shows(text, traces))
        for table, columns in _TEXTS.items():
            known = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
            for column in known.intersection(columns):
                rows = connection.execute(
                    f'SELECT rowid, "{column}" FROM "{table}" WHERE shows("{column}")'  # noqa: S608
                ).fetchall()
                connection.executemany(
                    f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?',  # noqa: S608
                    [(_struck(text, traces), rowid) for rowid, text in rows],
                )
                struck += len(rows)
        connection.execute("COMMIT")
    return struck


def _clean(path: Path, traces: Traces) -> str:
    """Prefect does not overwrite what it frees: a file that still shows the person is rewritten."""
    with _opened(path) as connection:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if not busy and _file_shows(path, traces):
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        return (
            "Prefect is reading its database: stop `pigeonry serve` and run the same command again"
        )
    return ""


class _opened:  # noqa: N801 - used like a function
    """A connection that is closed at the end, whatever happens; nothing is committed by itself."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("PRAGMA secure_delete=ON")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _shows(text: Any, traces: Traces) -> bool:
    if isinstance(text, bytes):
        return traces.within_bytes(text)
    return isinstance(text, str) and traces.within(text)


def _struck(text: Any, traces: Traces) -> Any:
    """JSON stays JSON: only the strings in it change."""
    if isinstance(text, bytes):
        return traces.struck(text.decode("utf-8", "replace")).encode()
    try:
        value = json.loads(text)
    except ValueError:
        return traces.struck(text)
    return json.dumps(traces.struck(value))


def _file_shows(path: Path, traces: Traces) -> bool:
    with path.open("rb") as file:
        tail = b""
        while part := file.read(1 << 22):
            if traces.within_bytes(tail + part):
                return True
            tail = part[-4096:]
    return False
