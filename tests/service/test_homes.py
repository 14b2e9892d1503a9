"""A home is made once, opened often, and never migrated behind an operator's back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from pigeonry.config import load_home
from pigeonry.errors import OutsideFailure, Refused
from pigeonry.service.doctor import diagnose
from pigeonry.service.homes import init, open_database
from pigeonry.store import migrate


def test_opening_an_empty_home_makes_it(tmp_path: Path) -> None:
    home = load_home(tmp_path / "new", env={})
    database = open_database(home)
    assert migrate.current(database) == migrate.head()
    assert home.outbox.is_dir()
    database.dispose()


def test_an_older_database_waits_for_a_decision(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={})
    database = init(home)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.dispose()
    if migrate.head() == "0001":
        open_database(home).dispose()  # the first schema is the newest: nothing to decide yet
    else:
        with pytest.raises(Refused, match="pigeonry init"):
            open_database(home)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailure, match="choose another home"):
        init(load_home(tmp_path / "file" / "home", env={}))


def test_doctor_names_each_gap_with_the_next_step(tmp_path: Path) -> None:
    env = {"PIGEONRY_SENDING__CHANNEL": "sendgrid"}
    checks = {check.name: check for check in diagnose(load_home(tmp_path / "none", env=env), env)}
    assert not checks["home"].ok
    assert checks["home"].fix == "pigeonry init"
    assert checks["embedding model"].fix == "pigeonry models fetch"
    assert "PIGEONRY_SENDGRID_KEY" in checks["channel"].fix


def test_doctor_is_content_with_a_home_that_has_its_database(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={})
    init(home).dispose()
    checks = {check.name: check for check in diagnose(home, {})}
    assert checks["database"].ok
    assert checks["home"].ok
