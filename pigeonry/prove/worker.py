"""One sender as an operator would run it, in a process of its own, to be killed: `HOME CAMPAIGN [SHIFT]`.

SHIFT moves its clock by so many seconds, as a machine with a wrong clock would.

Exit codes as everywhere: 0 when nothing waits any more, 1 when something does, 4 when the channel is down.
SIGTERM ends it after the hand-overs under way.
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pigeonry.config import load_home
from pigeonry.errors import PigeonryError
from pigeonry.prove.mishaps import keep_small
from pigeonry.service.homes import open_database
from pigeonry.service.sending import send_campaign

PATIENCE = 30.0  # seconds that it waits for what another sender may still give back


def main() -> int:
    home, campaign_id = load_home(Path(sys.argv[1])), int(sys.argv[2])
    shift = timedelta(seconds=float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    keep_small()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        report = send_campaign(
            open_database(home),
            home,
            campaign_id,
            now=lambda: datetime.now(UTC) + shift,
            stop=stop,
            patience=PATIENCE,
        )
    except PigeonryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:  # as the command line does: the disk is full, say
        sys.stderr.write(f"{error}\n  -> mend that and run the same command again\n")
        return 4
    return 0 if stop.is_set() or not report.waiting else 1


if __name__ == "__main__":
    sys.exit(main())
