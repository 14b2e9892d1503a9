"""A small world on either database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pigeonry.config import Home
from pigeonry.store.session import Database
from tests.service.learning.world import World


@pytest.fixture
def world(any_database: Database, home: Home) -> Callable[[int], World]:
    return lambda leads: World(any_database, home, leads=leads)


@pytest.fixture
def small(database: Database, home: Home) -> Callable[[int], World]:
    """On SQLite only, where the database does not matter."""
    return lambda leads: World(database, home, leads=leads)
