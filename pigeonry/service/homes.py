"""Makes a home folder and opens its database."""

from __future__ import annotations

from pigeonry.config import Home
from pigeonry.errors import OutsideFailure, Refused
from pigeonry.store import migrate
from pigeonry.store.session import Database, shown

DEMO_MARKER = "DEMO"  # a home that `pigeonry demo` made, and may therefore empty


def simulated(home: Home) -> str:
    """What has to stand beside numbers about recipients in this home: "" where they are people."""
    if (home.path / DEMO_MARKER).exists():
        return "Whatever recipients did here is SIMULATED: this home was made by `pigeonry demo`."
    return ""


def init(home: Home) -> Database:
    """Make what is missing and bring the schema up to date; running it again changes nothing."""
    shared = (home.path, home.outbox, home.models, home.reports)
    for folder, mode in (*((one, 0o777) for one in shared), (home.path / "secrets", 0o700)):
        try:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise OutsideFailure(
                f"cannot make the folder: {error.strerror}",
                where=str(folder),
                fix="choose another home with --home, or make this one writable",
            ) from error
    database = Database(home.database_url)
    migrate.upgrade(database)
    return database


def open_database(home: Home) -> Database:
    """Open the home's database; an empty or missing one is made at once.

    Raises Refused for a schema that is older or newer than this version: migrating is a decision.
    """
    database = Database(home.database_url)
    if not home.path.exists() or migrate.current(database) is None:
        database.dispose()
        return init(home)
    migrate.refuse_newer(database)
    if migrate.current(database) != migrate.head():
        raise Refused(
            f"the database has schema {migrate.current(database)}, this version needs {migrate.head()}",
            where=shown(database.url),
            fix="make a backup, then run `pigeonry init` to migrate it",
        )
    return database


def shown_url(home: Home) -> str:
    """The database's URL as it may be shown: without its password."""
    return shown(home.database_url)
