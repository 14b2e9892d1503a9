"""Beside the pages: tells other programs what happened, in a thread of its own, because they may be slow."""

from __future__ import annotations

import logging
import threading
import time

from pigeonry.errors import PigeonryError
from pigeonry.service import notices
from pigeonry.web.site import Site

_DELIVER_SECONDS = 5.0
_LOOK_SECONDS = 30.0
_SWEEP_SECONDS = 3600.0

log = logging.getLogger("pigeonry.web")


class Notifier:
    """Runs until `close`. Any number may run at once, here and on other hosts."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is under way may be told twice: receivers know repeats by their id."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        site = self._site
        looked = swept = float("-inf")
        while not self._stop.wait(_DELIVER_SECONDS):
            try:
                if time.monotonic() - looked > _LOOK_SECONDS:
                    looked = time.monotonic()
                    notices.look(site.db, now=site.clock())
                site.count("notices_taken", notices.deliver(site.db, site.home, now=site.clock()))
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    notices.forget_old(site.db, now=site.clock())
            except PigeonryError as error:
                log.warning("notices wait: %s", error)
            except Exception:
                log.exception("notices wait")
