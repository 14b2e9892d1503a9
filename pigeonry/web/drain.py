"""Understands what the inbox stored, in a thread beside the doors, so that the web app alone is enough.

Any number of drains may run at once, here and in the flow: each event counts once.
"""

from __future__ import annotations

import logging
import threading

from pigeonry.errors import PigeonryError
from pigeonry.service.events import drain_events
from pigeonry.web.site import Site

_START_SECONDS = 1.0  # who waited for a restart goes first
_IDLE_SECONDS = 30.0  # other programs store bodies too
_GATHER_SECONDS = 0.5  # many small posts are understood together
_TROUBLE_SECONDS = 5.0

log = logging.getLogger("pigeonry.web")


class Drain:
    """Runs until `close`; what it has not reached then is still stored."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask it to end. It is not waited for: a batch that is cut off is understood the next time."""
        self._stop.set()
        self._site.inbox.stored.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        site, stored = self._site, self._site.inbox.stored
        self._stop.wait(_START_SECONDS)
        while not self._stop.is_set():
            stored.clear()
            try:
                report = drain_events(site.db, site.home, now=site.clock())
                site.count("events", report.applied)
                for alert in report.alerts:
                    log.warning("%s", alert)
            except PigeonryError as error:
                site.count("drain_failures")
                log.warning("stored events wait: %s", error)
                self._stop.wait(_TROUBLE_SECONDS)
            except Exception:
                site.count("drain_failures")
                log.exception("stored events wait: a body that cannot be understood")
                self._stop.wait(_IDLE_SECONDS)
            stored.wait(_IDLE_SECONDS)
            self._stop.wait(_GATHER_SECONDS)
