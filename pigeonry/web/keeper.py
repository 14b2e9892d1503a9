"""Beside the pages: starts jobs that wait and jobs whose process died, and deletes uploads that are too old;
lets campaigns go on that waited for the morning."""

from __future__ import annotations

import logging
import threading
import time

from pigeonry.errors import PigeonryError
from pigeonry.service import jobs, studio_start, uploads
from pigeonry.web.site import Site

_LOOK_SECONDS = 5.0
_SWEEP_SECONDS = 3600.0
_TROUBLE_SECONDS = 30.0

log = logging.getLogger("pigeonry.web")


class Keeper:
    """Runs until `close`. Any number may run at once, here and on other hosts."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Jobs go on: they are processes of their own."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        site, swept = self._site, float("-inf")
        wait = _LOOK_SECONDS
        while not self._stop.wait(wait):
            wait = _LOOK_SECONDS
            try:
                jobs.keep_up(site.db, site.home, now=site.clock())
                studio_start.go_on_due(site.db, site.home, now=site.clock())
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    uploads.sweep(site.db, site.home, now=site.clock())
            except PigeonryError as error:
                log.warning("jobs wait: %s", error)
                wait = _TROUBLE_SECONDS
            except Exception:
                log.exception("jobs wait")
                wait = _TROUBLE_SECONDS
