"""Writes example leads: seeded, invented, under reserved domains, with the faults that real lists have.

`python -m pigeonry.demo.leads --rows 2000 --seed 7 examples/leads.csv`
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from audience.folding import fold
from pigeonry.demo.people import CITIES, DOMAINS, FIRST, LAST, PERSONAS, SOURCES
from pigeonry.domain import Language

ROMANIAN = 0.6
_FIRST_DAY = date(2024, 1, 8)
_JOBS = {
    job: name
    for name, persona in PERSONAS.items()
    for jobs in persona.jobs.values()
    for job in jobs
}
_EMAIL = ("Adresă de email", "Email")
_JOB = ("Ocupație", "Job Title")

_PLAIN_HEADER = (
    "Adresă de email", "Prenume", "Nume", "Telefon", "Limba preferată", "Țara", "Oraș", "Firma", "Ocupație",
    "Domeniu", "Interese", "Sursa contactului", "Consimțământ", "Data consimțământului", "Dezabonat",
)  # fmt: skip
_HUBSPOT_HEADER = (
    "Record ID", "First Name", "Last Name", "Email", "Phone Number", "Company Name", "Country/Region", "City",
    "Preferred language", "Job Title", "Industry", "Interests", "Original Source",
    "Legal basis for processing contact's data", "Unsubscribed from all email",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """One invented person as a list would hold it, before a style gives the columns their names."""

    number: int
    email: str
    first: str
    last: str
    phone: str
    language: Language
    country: str
    city: str
    company: str
    job: str
    industry: str
    interests: str
    source: str
    agreed: date | None
    refused: bool
    customer: bool
    opted_out: bool


def persona_of(row: Mapping[str, str]) -> tuple[str, str] | None:
    """(address, persona) of a row of the example files, by the person's job; None where it has none."""
    email = next((row[name] for name in _EMAIL if row.get(name)), "")
    job = next((row[name] for name in _JOB if row.get(name)), "")
    persona = _JOBS.get(job.strip())
    return (email.strip().lower(), persona) if email and persona else None


def examples(rows: int, seed: int) -> Iterator[Example]:
    """People, the same for the same seed. Addresses are distinct."""
    lot = random.Random(seed)  # noqa: S311 - not cryptography
    names = list(PERSONAS)
    weights = [PERSONAS[name].weight for name in names]
    for number in range(1, rows + 1):
        language = Language.RO if lot.random() < ROMANIAN else Language.EN
        persona = PERSONAS[lot.choices(names, weights)[0]]
        first, last = lot.choice(FIRST[language]), lot.choice(LAST[language])
        city, country = lot.choice(CITIES[language])
        local = f"{fold(first)}.{fold(last)}".replace(" ", "") + str(number)
        interests = lot.sample(persona.interests[language], lot.randint(2, 3))
        roll = lot.random()
        yield Example(
            number=number,
            email=f"{local}@{lot.choice(DOMAINS)}",
            first=first,
            last=last,
            phone=_phone(lot, language),
            language=language,
            country=country,
            city=city,
            company=f"{last} SRL" if language is Language.RO else f"{last} Ltd",
            job=lot.choice(persona.jobs[language]),
            industry=lot.choice(persona.industries[language]),
            interests=", ".join(interests),
            source=lot.choice(SOURCES[language]),
            agreed=None if roll < 0.05 else _FIRST_DAY + timedelta(days=lot.randrange(600)),
            refused=0.05 <= roll < 0.07,
            customer=roll > 0.9,
            opted_out=lot.random() < 0.03,
        )


def write(path: Path, *, rows: int, seed: int, style: str = "plain") -> int:
    """Write a file of `rows` rows below the header; about one in a hundred is broken on purpose."""
    lot = random.Random(f"{seed}:noise")  # noqa: S311 - not cryptography
    plain = style == "plain"
    header = _PLAIN_HEADER if plain else _HUBSPOT_HEADER
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        earlier: list[list[str]] = []
        for person in examples(rows, seed):
            row = _plain(person) if plain else _hubspot(person)
            row = _worn(row, header, lot)
            writer.writerow(_broken(row, earlier, header, lot))
            earlier.append(row)
    return rows


def _plain(person: Example) -> list[str]:
    basis = (
        "client existent: comandă; cumpărat=abonament; similare=alte abonamente; dezabonare=oferită"
        if person.customer
        else "expres: formular pe site"
    )
    agreed = "nu" if person.refused else basis if person.agreed else ""
    day = person.agreed.strftime("%d.%m.%Y") if person.agreed and not person.refused else ""
    return [
        person.email, person.first, person.last, person.phone,
        "română" if person.language is Language.RO else "engleză", person.country, person.city,
        person.company, person.job, person.industry, person.interests, person.source, agreed, day,
        "da" if person.opted_out else "nu",
    ]  # fmt: skip


def _hubspot(person: Example) -> list[str]:
    basis = (
        "Legitimate interest – existing customer"
        if person.customer
        else "Freely given consent from contact"
    )
    return [
        str(40_000_000 + person.number * 37), person.first, person.last, person.email, person.phone,
        person.company, person.country, person.city, person.language.value, person.job, person.industry,
        person.interests, person.source,
        "Refused" if person.refused else basis if person.agreed else "Not applicable",
        "true" if person.opted_out else "false",
    ]  # fmt: skip


def _worn(row: list[str], header: tuple[str, ...], lot: random.Random) -> list[str]:
    """Missing and untidy cells, as people leave them. Address, job and consent keep their meaning."""
    row = list(row)
    for name, chance in (
        ("Telefon", 0.35), ("Phone Number", 0.35), ("Firma", 0.55), ("Company Name", 0.55),
        ("Oraș", 0.06), ("City", 0.06), ("Domeniu", 0.1), ("Industry", 0.1), ("Prenume", 0.03),
        ("First Name", 0.03), ("Limba preferată", 0.15), ("Preferred language", 0.15), ("Țara", 0.08),
        ("Sursa contactului", 0.1),
    ):  # fmt: skip
        if name in header and lot.random() < chance:
            row[header.index(name)] = lot.choice(("", "", "-", "N/A", "Select"))
    at = header.index(next(name for name in _EMAIL if name in header))
    if lot.random() < 0.04:
        row[at] = row[at].title() if lot.random() < 0.5 else f" {row[at]} "
    return row


def _broken(
    row: list[str], earlier: list[list[str]], header: tuple[str, ...], lot: random.Random
) -> list[str]:
    """One row in a hundred is no good, and a few people stand in the list twice."""
    at = header.index(next(name for name in _EMAIL if name in header))
    roll = lot.random()
    email = row[at].strip()
    if roll < 0.006:
        faults = (email.split("@")[0] + "@", "", f"{email}; birou@example.com")
        return [*row[:at], faults[int(roll / 0.002)], *row[at + 1 :]]
    if roll < 0.008:
        return row[:-3]
    if roll < 0.016 and earlier:
        return lot.choice(earlier)
    return row


def _phone(lot: random.Random, language: Language) -> str:
    """Numbers that nobody has: Ofcom's range for fiction, and a Romanian block in its image."""
    digits = f"{lot.randrange(1000):03d}"
    return f"+40 700 000 {digits}" if language is Language.RO else f"+44 7700 900{digits}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pigeonry.demo.leads", description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--style", choices=("plain", "hubspot"), default="plain")
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    write(given.out, rows=given.rows, seed=given.seed, style=given.style)


if __name__ == "__main__":
    main()
