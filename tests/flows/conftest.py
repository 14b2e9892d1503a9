"""One Prefect server of the tests' own for all flows: it takes far longer to start than a flow to run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_standing: list[ExitStack] = []  # from the first test of this folder to its last


@pytest.fixture(autouse=True)
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    if _standing:
        return
    server = ExitStack()
    _standing.append(server)
    folder = tmp_path_factory.mktemp("prefect")
    before = dict(os.environ)
    os.environ["PREFECT_HOME"] = str(folder)
    import flows

    flows.settle(folder)
    from prefect.testing.utilities import prefect_test_harness

    server.callback(lambda: (os.environ.clear(), os.environ.update(before)))
    server.enter_context(prefect_test_harness(server_startup_timeout=180))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """A session fixture would leave the server at work, and its settings set, for all tests after these."""
    if nextitem is None or HERE not in nextitem.path.parents:
        while _standing:
            _standing.pop().close()


@pytest.fixture
def quiet_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words stand in for vectors, the copy library writes."""
    monkeypatch.setenv("PIGEONRY_EMBEDDING__BACKEND", "hashing")
    monkeypatch.setenv("PIGEONRY_LLM__LOCAL", "false")


@pytest.fixture
def leads_file(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    rows = [
        f"person{n}@example.com,Ana,{('designer', 'accountant', 'teacher')[n % 3]},Romania"
        for n in range(60)
    ]
    path.write_text("Email,First Name,Job,Country\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path
