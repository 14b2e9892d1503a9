"""Fails when the models and the migrations differ: builds a fresh SQLite database and asks alembic."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pigeonry.store import migrate
from pigeonry.store.session import Database


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'fresh.db'}")
        migrate.upgrade(db)
        migrate.check(db)
        db.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
