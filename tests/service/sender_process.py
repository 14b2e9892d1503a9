"""A sender in a process of its own, to be killed: `python sender_process.py HOME CAMPAIGN`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from pigeonry.config import load_home
from pigeonry.service.homes import open_database
from pigeonry.service.sending import send_campaign

if __name__ == "__main__":
    home = load_home(Path(sys.argv[1]))
    print("ready", flush=True)
    report = send_campaign(
        open_database(home), home, int(sys.argv[2]), now=lambda: datetime.now(UTC), patience=30.0
    )
    print(report, flush=True)
