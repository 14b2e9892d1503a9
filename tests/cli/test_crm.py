"""`pigeonry crm`: an operator sees how CRMs are set up, what a body would say, and what was not taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pigeonry.cli import main
from pigeonry.config import Home, load_home
from pigeonry.service.crm import source_name
from pigeonry.store import raw_events
from pigeonry.store.session import Database
from tests import crm_bodies as bodies
from tests.crm_bodies import AT


def run(home: Home, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home.path), "--json", "crm", *arguments])
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out.splitlines()[-1])


def test_status_test_and_drain(
    home: Home, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.path / "pigeonry.toml").write_text(
        '[embedding]\nbackend = "hashing"\n[crm.shop]\nkind = "generic"\n', encoding="utf-8"
    )
    home = load_home(home.path, env={})
    told = [
        bodies.generic("c1", email="ana@exemplu.ro"),
        bodies.generic("c2", 1, "delete"),
        bodies.generic("c2", 2, email="ion@exemplu.ro"),
        {"x": 1},
    ]
    file = tmp_path / "body.json"
    file.write_bytes(bodies.body(told))

    code, said = run(home, capsys, "test", "shop", str(file))
    assert (code, len(said["changes"]), len(said["flaws"])) == (1, 3, 1)
    assert run(home, capsys, "test", "nobody", str(file))[0] == 2

    with database.write() as session:
        raw_events.add(
            session, source=source_name("shop"), body=file.read_bytes(), headers={}, at=AT
        )
    code, said = run(home, capsys, "status")
    assert (code, said["undrained"]) == (0, 1)
    assert said["sources"][0]["missing"] == ["PIGEONRY_CRM_SHOP_SECRET"]

    code, said = run(home, capsys, "drain")
    assert code == 1  # one element could not be read
    assert (said["created"], said["deleted"], said["refused"]) == (1, 1, 1)
    code, said = run(home, capsys, "status")
    assert (said["undrained"], said["sources"][0]["refused"]) == (0, {"deleted": 1})
    assert run(home, capsys, "drain")[0] == 0
