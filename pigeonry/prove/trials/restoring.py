"""A copied home, a database put back, a clock that jumped: nothing is sent until an operator confirms."""

from __future__ import annotations

import shutil
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pigeonry.config import load_home
from pigeonry.prove import mischief
from pigeonry.prove.cell import Scene, scene
from pigeonry.prove.crew import Crew
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.world import World, plan_more
from pigeonry.service import holding
from pigeonry.service.homes import open_database

_PEOPLE = 40
_DAYS = 3 * 86_400.0
_BACK = -2 * 3600.0


def restored_or_cloned(setting: Setting) -> list[Outcome]:
    """Each trial: start a sender, see that the far end gets 0 mails, confirm, see that the rest arrives once."""
    found = []
    for name, trouble in (
        ("home copied", _copy_home),
        ("database copied into a new home", _copy_database),
        ("database put back to an earlier backup", _put_back),
        ("clock 3 days ahead", lambda it: (it.world, _DAYS)),
        ("clock 2 hours back", lambda it: (it.world, _BACK)),
    ):
        with scene(
            channel="smtp", database="sqlite", seed=setting.seed, people=_PEOPLE, limits=Limits(),
            shares=mischief.NONE,
        ) as it:  # fmt: skip
            _send_all(it.world, it.folder)
            plan_more(it.world, _PEOPLE)  # the second half of the campaign
            world, shift = trouble(it)
            before = it.seen()
            crew = Crew(world, 1, it.folder / "workers.log")
            code = crew.start(shift=shift).wait(60)
            sent_on_hold = it.seen() - before
            holding.confirm(
                world.database, world.home, by="prove", now=datetime.now(UTC), planned="send"
            )
            _send_all(world, it.folder)
            numbers = replace(it, world=world).count()
            if world is not it.world:
                world.database.dispose()
        found.append(
            Outcome(
                name,
                code == 3
                and sent_on_hold == 0
                and numbers.clean
                and numbers.accepted == 2 * _PEOPLE,
                {
                    "sent before confirmation": sent_on_hold,
                    "exit code": code,
                    "accepted after it": numbers.accepted - _PEOPLE,
                    "duplicates": numbers.duplicates,
                    "lost": numbers.lost,
                },
            )
        )
    return found


def _send_all(world: World, folder: Path) -> None:
    code = Crew(world, 1, folder / "workers.log").start().wait(120)
    if code:
        raise AssertionError(f"a sender ended with {code}: see {folder / 'workers.log'}")


def _copy_home(it: Scene) -> tuple[World, float]:
    return _elsewhere(it, it.folder / "copy", it.world.home.path), 0.0


def _copy_database(it: Scene) -> tuple[World, float]:
    target = it.folder / "new"
    target.mkdir()
    for name in ("pigeonry.toml", "secrets"):
        source = it.world.home.path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target / name)
    _backup(it.world.home.path / "pigeonry.db", target / "pigeonry.db")
    return _elsewhere(it, target, None), 0.0


def _put_back(it: Scene) -> tuple[World, float]:
    """A backup from now; then more is sent; then the backup is put back."""
    path = it.world.home.path / "pigeonry.db"
    _backup(path, it.folder / "backup.db")
    held_back = it.seen()
    crew = Crew(it.world, 1, it.folder / "workers.log")
    worker = crew.start()
    while it.seen() == held_back and worker.poll() is None:
        time.sleep(0.01)
    worker.wait(60)
    it.world.database.dispose()
    for rest in path.parent.glob("pigeonry.db*"):
        rest.unlink()
    shutil.copy(it.folder / "backup.db", path)
    return it.world, 0.0


def _elsewhere(it: Scene, target: Path, source: Path | None) -> World:
    if source is not None:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("pigeonry.db*"))
        _backup(source / "pigeonry.db", target / "pigeonry.db")
    home = load_home(target, env={})
    return World(home, open_database(home), it.world.campaign_id)


def _backup(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as live, sqlite3.connect(target) as copy:
        live.backup(copy)
