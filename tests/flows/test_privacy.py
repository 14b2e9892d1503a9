"""The daily flow, and an erasure in the records of a Prefect server that is running."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.traces import ERASED, Traces
from pigeonry.service import prefect_records
from pigeonry.store.session import Database

EMAIL = "canar@exemplu.ro"


def test_the_flow_counts_what_went(home: Home, database: Database) -> None:
    from flows.privacy import privacy

    counts = privacy(home=str(home.path))
    assert counts["events"] == counts["mail files"] == 0


def test_an_erasure_strikes_the_records_of_a_running_server(
    tmp_path: Path, home: Home, database: Database
) -> None:
    """The columns that are searched are those of Prefect's own schema."""
    from flows.intake import intake
    from flows.privacy import privacy

    path = tmp_path / f"{EMAIL}.csv"
    path.write_text("email\nion@exemplu.ro\n", encoding="utf-8")
    intake(path=str(path), home=str(home.path))

    file = database_of_the_server()
    (home.path / "prefect").mkdir()
    (home.path / "prefect" / "prefect.db").symlink_to(file)
    with sqlite3.connect(file) as connection:
        tables = dict(connection.execute("SELECT name, 1 FROM sqlite_master WHERE type = 'table'"))
        for table, columns in prefect_records._TEXTS.items():
            assert table in tables
            known = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
            assert set(columns) <= known, table
    connection.close()
    assert shown(file)

    struck = 0
    for _ in range(20):  # the server writes some of its records a moment later
        found, trouble = prefect_records.erase_records(home, Traces((EMAIL,)))
        struck += found
        if not trouble and not shown(file):
            break
        time.sleep(0.5)

    assert struck > 0
    assert trouble == ""
    assert shown(file) == []
    with sqlite3.connect(file) as connection:
        parameters = [row[0] for row in connection.execute("SELECT parameters FROM flow_run")]
    connection.close()
    assert any(ERASED in text for text in parameters)
    privacy(home=str(home.path))  # the server goes on


def database_of_the_server() -> Path:
    from prefect.settings import get_current_settings

    url = get_current_settings().server.database.connection_url
    assert url is not None
    return Path(url.get_secret_value().partition("///")[2])


def shown(file: Path) -> list[str]:
    return [
        path.name
        for path in file.parent.glob(f"{file.name}*")
        if EMAIL.encode() in path.read_bytes().lower()
    ]
