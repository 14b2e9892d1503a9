"""Brings a database to the schema of this version, and refuses one that is newer. The only way to a schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from pigeonry.errors import Refused
from pigeonry.store.session import Database

_FOLDER = Path(__file__).parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    found = Config()
    found.set_main_option("script_location", str(_FOLDER))
    found.attributes["connection"] = connection
    return found


def head() -> str:
    revision = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert revision is not None
    return revision


def current(database: Database) -> str | None:
    """The schema's revision, None for an empty database."""
    with database.engine.execution_options(pigeonry_read=True).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database) -> None:
    """Migrate to this version's schema; does nothing when it is there already.

    Raises Refused for a database that a newer version wrote.
    """
    refuse_newer(database)
    with database.engine.begin() as connection:
        command.upgrade(config(connection), "head")


def refuse_newer(database: Database) -> None:
    revision = current(database)
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if revision is not None and revision not in known:
        raise Refused(
            f"the database has schema {revision}, which this version does not know",
            where=database.engine.url.render_as_string(hide_password=True),
            fix="it was written by a newer Pigeonry: upgrade this program; nothing was changed",
        )


def check(database: Database) -> None:
    """Raise where the models and the migrations differ (alembic's own check)."""
    with database.engine.connect() as connection:
        command.check(config(connection))
