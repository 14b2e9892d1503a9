"""Whoever asks gets everything that is stored about them, from every table that the schema links to a person."""

from __future__ import annotations

import json

from pigeonry.prove import canaries
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.known_person import OTHERS, answer, command
from pigeonry.prove.trials.forgetting import known_home


def export_is_complete(setting: Setting) -> list[Outcome]:
    """A walk over the schema: each table with a lead's number, a message's or the hash of an address is there,
    and so is every value; nobody else's is. After an erasure the stop is all that is left."""
    return [_one(setting, database) for database in setting.databases]


def _one(setting: Setting, database: str) -> Outcome:
    with known_home(setting, database) as it:
        with it.site() as site:
            answer(it.known, site, "bounce", turn=2)
        code, everything = command(it.world, "leads", "export", canaries.EMAIL, folder=it.folder)
        page = it.folder / "person.html"
        command(it.world, "leads", "export", canaries.EMAIL, "--html", str(page), folder=it.folder)
        text, shown = json.dumps(everything, ensure_ascii=False), page.read_text(encoding="utf-8")
        command(it.world, "leads", "erase", canaries.EMAIL, folder=it.folder)
        _, rest = command(it.world, "leads", "export", canaries.EMAIL, folder=it.folder)
    tables = canaries.linked()
    missing = sorted(name for name in tables if not everything.get(name))
    unsaid = [name for name, value in canaries.CANARIES.items() if value not in text]
    unshown = [name for name, value in canaries.CANARIES.items() if value not in shown]
    strangers = [email for email in OTHERS if email in text]
    left = sorted(name for name, rows in rest.items() if rows and name != "email")
    return Outcome(
        database,
        code == 0
        and not (missing or unsaid or unshown or strangers or it.known.unplaced)
        and left == ["suppression"],
        {
            "tables": len(tables),
            "tables that are missing": ", ".join(missing) or 0,
            "values": len(canaries.CANARIES),
            "values that are missing": ", ".join(unsaid) or 0,
            "values that are missing on the page": ", ".join(unshown) or 0,
            "values of others": len(strangers),
            "places without a value": ", ".join(it.known.unplaced) or "none",
            "left after an erasure": ", ".join(left),
        },
    )
