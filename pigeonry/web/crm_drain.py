"""Sees to it that news of CRMs is understood: by a run of the `intake` flow, which also finds segments and
starts campaigns, or here, when no Prefect server answers or its run comes to nothing.

Both may happen: each piece of news counts once. What follows from it (segment, rules) waits in the database
for the next run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass

from pigeonry.errors import OutsideFailure, PigeonryError
from pigeonry.service.crm import drain_crm
from pigeonry.store import crm, raw_events
from pigeonry.web.prefect_api import run_state, start_run
from pigeonry.web.site import Site

DEPLOYMENT = "intake/crm"
_GATHER_SECONDS = 0.2  # what comes together is one run
_LOOK_SECONDS = 0.5
_IDLE_SECONDS = 30.0
_TROUBLE_SECONDS = 60.0
_PATIENCE = 60.0  # for a run: a worker may be gone

log = logging.getLogger("pigeonry.web")


@dataclass(frozen=True, slots=True)
class _Run:
    id: str
    newest: int  # the newest body that it was started for
    since: float


class CrmSteps:
    """What is due, one look at a time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._run: _Run | None = None

    def step(self) -> float:
        """Do what is due; returns in how many seconds to look again, if nothing comes before."""
        site, run = self._site, self._run
        with site.db.read() as session:
            oldest = raw_events.undrained(session, skip=0, most=1, most_bytes=1, crm=True)
            newest = raw_events.newest(session, crm=True)
            waits = crm.any_waiting(session)
        if not oldest:
            return self._follow(waits)
        if run is not None:
            state = self._state(run)
            if state in ("SCHEDULED", "PENDING"):
                return _LOOK_SECONDS  # it will see all that is there when it starts
            if state == "RUNNING" and newest <= run.newest:
                return _LOOK_SECONDS
            if state != "RUNNING" and oldest[0] <= run.newest:
                return self._drain()
        try:
            self._start(newest, f"crm-{newest}")
        except OutsideFailure:
            return self._drain()
        return _LOOK_SECONDS

    def _follow(self, waits: bool) -> float:
        """Nothing is left to understand; segments and rules may still wait, for a run alone."""
        run = self._run
        if run is not None and self._state(run) in ("SCHEDULED", "PENDING", "RUNNING"):
            return _LOOK_SECONDS
        self._run = None
        if not waits:
            return _IDLE_SECONDS
        minute = int(self._site.clock().timestamp() // _TROUBLE_SECONDS)
        # Without Prefect they wait, for it or for `pigeonry crm drain`.
        with contextlib.suppress(OutsideFailure):
            self._start(1, f"crm-follow-{minute}")
        return _TROUBLE_SECONDS

    def _start(self, newest: int, key: str) -> None:
        site = self._site
        parameters: dict[str, str | int] = {"home": str(site.home.path), "crm": newest}
        run_id = start_run(site.home.settings.prefect, DEPLOYMENT, parameters, key=key)
        self._run = _Run(run_id, newest, time.monotonic())
        site.count("crm_runs")

    def _state(self, run: _Run) -> str:
        """Empty when the run took too long or cannot be seen."""
        if time.monotonic() - run.since > _PATIENCE:
            return ""
        try:
            return run_state(self._site.home.settings.prefect, run.id)
        except OutsideFailure:
            return ""

    def _drain(self) -> float:
        self._run = None
        report = drain_crm(self._site.db, self._site.home, now=self._site.clock())
        self._site.count("crm_changes", report.applied)
        return _TROUBLE_SECONDS if report.waiting else _IDLE_SECONDS


class CrmDrain:
    """Takes the steps in a thread, until `close`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._steps = CrmSteps(site)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="crm", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._site.crm_came.set()
        self._thread.join(1.0)

    def _loop(self) -> None:
        came = self._site.crm_came
        while not self._stop.is_set():
            came.clear()
            try:
                wait = self._steps.step()
            except PigeonryError as error:
                log.warning("news of CRMs waits: %s", error)
                wait = _TROUBLE_SECONDS
            except Exception:
                log.exception("news of CRMs waits")
                wait = _TROUBLE_SECONDS
            came.wait(wait)
            self._stop.wait(_GATHER_SECONDS)
