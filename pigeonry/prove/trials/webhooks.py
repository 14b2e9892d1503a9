"""The real web process, killed again and again while a provider delivers events: what it acknowledged is there."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pigeonry.config import Home
from pigeonry.prove.delivered import compare, fill
from pigeonry.prove.deliveries import corpus, posts_of
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.provider import Driver, Signer
from pigeonry.prove.web_process import WebProcess
from pigeonry.prove.website import free_port
from pigeonry.prove.world import database_url, make_home
from pigeonry.service.homes import init

_EVENTS_EACH = 8  # distinct events for each message of the setting
_COPIES = 2.5
_LANES = 6


def no_event_is_lost(setting: Setting) -> list[Outcome]:
    """Shuffled, repeated, corrupt and forged deliveries, each repeated until it is acknowledged."""
    return [_one(setting, database) for database in setting.databases]


def _one(setting: Setting, database: str) -> Outcome:
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    events = max(50, setting.messages * _EVENTS_EACH)
    deliveries = int(events * _COPIES)
    with (
        tempfile.TemporaryDirectory(prefix="prove-") as name,
        database_url(database, Path(name)) as url,
    ):
        home = make_home(Path(name) / "home", channel="sendgrid", url=url, port=9, limits=Limits())
        signer = expect_signed(home)
        store = init(home)
        made = corpus(events, lot)
        fill(store, home, made)
        posts = posts_of(made, deliveries, lot)
        server = WebProcess(home.path, free_port(), Path(name) / "web.log")
        server.start()
        try:
            driver = Driver(server.port, signer, Signer(), posts, _LANES)
            killed = deliver(server, driver, setting.kills, lot)
            server.drained()
            code = server.stop()
        finally:
            server.end()
        found = compare(store, made)
        store.dispose()
    return Outcome(
        f"{database}, seed {setting.seed}",
        not found["lost"]
        and not found["wrong"]
        and not driver.forged_taken
        and driver.acked == deliveries
        and driver.forged_refused > 0
        and killed > 0
        and code == 0,
        {
            "events": events,
            "deliveries acknowledged": driver.acked,
            "posts": len(posts),
            "kills": killed,
            "repeated posts": driver.retries,
            "forged posts refused": driver.forged_refused,
            "forged posts taken": driver.forged_taken,
            "lost": found["lost"],
            "wrong": found["wrong"],
            **found["wrong_by"],
        },
    )


def expect_signed(home: Home) -> Signer:
    """A new key, whose signatures the home accepts from now on."""
    signer = Signer()
    (home.path / "secrets").mkdir(mode=0o700, exist_ok=True)
    (home.path / "secrets" / "sendgrid_webhook_keys").write_text(signer.public)
    return signer


def deliver(
    server: WebProcess,
    driver: Driver,
    kills: int,
    lot: random.Random,
    watch: Callable[[int, int], None] = lambda done, killed: None,
) -> int:
    """Deliver everything, with kills spread over it by its progress; returns how many there were. `watch` hears
    of posts and kills done."""
    at = sorted(lot.sample(range(1, len(driver.posts)), min(kills, len(driver.posts) - 1)))
    killed = 0
    for done in driver.run():
        watch(done, killed)
        while killed < len(at) and done >= at[killed]:
            time.sleep(lot.random() * 0.1)
            server.kill()
            killed += 1
    return killed
