"""An erasure by the command that an operator uses: afterwards no byte of the person is left, and none comes back."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pigeonry.prove import canaries, website
from pigeonry.prove.delivered import asking
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.known_person import Known, answer, command, make_known, send
from pigeonry.prove.limits import Limits
from pigeonry.prove.website import mails
from pigeonry.prove.world import World, database_url, make_home, make_world, plan_more

_MORE = 3  # mails planned after a restore


def erasure_is_real(setting: Setting) -> list[Outcome]:
    """Fifty values in every place that can hold one: erase, report late, import again, put a backup back."""
    found: list[Outcome] = []
    for database in setting.databases:
        with known_home(setting, database) as it:
            found += _erase(it, database)
            found.append(_put_back(it, database))
    return found


@dataclass
class KnownHome:
    """A home in which the person stands everywhere."""

    world: World
    folder: Path
    known: Known

    @contextmanager
    def site(self) -> Iterator[website.Website]:
        with website.running(self.world.home, self.folder / "web.log") as found:
            yield found

    def shown(self) -> tuple[list[str], list[str]]:
        """Files and tables that show the person."""
        files = canaries.in_files(self.world.home.path, *sorted(self.folder.glob("*.log")))
        with asking(self.world.database.url) as ask:
            return files, canaries.in_tables(ask, self.world.database.url)


@contextmanager
def known_home(setting: Setting, database: str) -> Iterator[KnownHome]:
    others = max(10, min(200, setting.messages // 5))
    with (
        tempfile.TemporaryDirectory(prefix="prove-") as name,
        database_url(database, Path(name)) as url,
    ):
        folder = Path(name)
        home = make_home(
            folder / "home", channel="file", url=url, port=0, limits=Limits(),
            more=website.settings(website.free_port()),
        )  # fmt: skip
        world = make_world(home, people=others)
        try:
            with website.running(home, folder / "web.log") as site:
                known = make_known(world, site, folder)
            yield KnownHome(world, folder, known)
        finally:
            world.database.dispose()


def _erase(it: KnownHome, database: str) -> Iterator[Outcome]:
    world, known = it.world, it.known
    before = it.shown()
    backup(world, it.folder)
    with it.site() as site:
        code, report = command(world, "leads", "erase", canaries.EMAIL.upper(), folder=it.folder)
        yield _outcome(
            f"{database}: erased by the command",
            it.shown(),
            code == 0 and not known.unplaced and len(before[1]) > len(canaries.linked()) // 2,
            {
                "values": len(canaries.CANARIES),
                "files that showed them": len(before[0]),
                "tables that showed them": len(before[1]),
                "places without a value": ", ".join(known.unplaced) or "none",
                "seconds": report["seconds"],
            },
        )
        answer(known, site, "bounce", "spamreport", turn=2)
        yield _outcome(f"{database}: reports, clicks and replies that come later", it.shown())
    again = known.list_file.rename(it.folder / "list.csv")  # its name named the person, too
    code, report = command(
        world,
        "leads",
        "import",
        str(again),
        "--consent",
        "express:form",
        folder=it.folder,
    )
    yield _outcome(
        f"{database}: the same list again",
        it.shown(),
        (report["created"], report["rejected"]) == (0, 2),
        {"created": report["created"], "rejected": report["rejected"]},
    )


def _put_back(it: KnownHome, database: str) -> Outcome:
    """The backup from before the erasure: a hold, and the person is gone again before a mail leaves."""
    world = it.world
    plan_more(world, _MORE)
    sent = send(world, it.folder)  # the database goes on after the backup
    restore(world, it.folder)
    back = it.shown()[1]
    plan_more(world, _MORE)
    mailed = len(mails(world.home.outbox))
    held = send(world, it.folder)
    on_hold = len(mails(world.home.outbox)) - mailed
    command(world, "hold", "confirm", "--send-planned", folder=it.folder)
    shown = it.shown()
    last = send(world, it.folder)
    to_person = sum(mail.to == canaries.EMAIL for mail in mails(world.home.outbox))
    return _outcome(
        f"{database}: a backup from before it, put back",
        shown,
        bool(back)
        and (sent, held, last) == (0, 3, 0)
        and not (on_hold or to_person)
        and it.shown() == ([], []),
        {
            "tables that showed them again": len(back),
            "exit code before confirmation": held,
            "mails before confirmation": on_hold,
            "mails to the person": to_person,
        },
    )


def _outcome(
    trial: str,
    shown: tuple[list[str], list[str]],
    held: bool = True,
    numbers: dict[str, object] | None = None,
) -> Outcome:
    files, tables = shown
    return Outcome(
        trial,
        held and not files and not tables,
        {
            **(numbers or {}),
            "files with a hit": ", ".join(files) or 0,
            "tables with a hit": ", ".join(tables) or 0,
        },
    )


def backup(world: World, folder: Path) -> None:
    """A copy of the database beside the home."""
    world.database.dispose()
    if world.database.dialect == "sqlite":
        with (
            closing(sqlite3.connect(world.home.path / "pigeonry.db")) as live,
            closing(sqlite3.connect(folder / "backup.db")) as copy,
        ):
            live.backup(copy)
        return
    _administer(world, 'CREATE DATABASE "kept" TEMPLATE "postgres"')


def restore(world: World, folder: Path) -> None:
    """Put that copy back in the database's place."""
    world.database.dispose()
    if world.database.dialect == "sqlite":
        for rest in world.home.path.glob("pigeonry.db*"):
            rest.unlink()
        (folder / "backup.db").rename(world.home.path / "pigeonry.db")
        return
    _administer(
        world, 'DROP DATABASE "postgres" WITH (FORCE)', 'ALTER DATABASE "kept" RENAME TO "postgres"'
    )


def _administer(world: World, *statements: str) -> None:
    """From the database that is always there: one cannot copy or drop the one that one is in."""
    import psycopg

    url = world.database.url.replace("+psycopg", "").replace("/postgres?", "/template1?")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'"
        )
        for statement in statements:
            server.execute(statement.encode())
