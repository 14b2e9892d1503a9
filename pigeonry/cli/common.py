"""What every command shares: --home and --json before or after the subcommand, output, progress."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from pigeonry.errors import PigeonryError

if TYPE_CHECKING:
    from pigeonry.config import Home
    from pigeonry.store.session import Database

P = ParamSpec("P")
R = TypeVar("R")


class Output:
    """Where results go. With --json standard output ends with one JSON line; the rest is for people.
    Progress and logs go to standard error."""

    def __init__(self) -> None:
        self.json = False
        self.home_path: Path | None = None
        self._last = 0.0
        self._open_line = False

    def home(self) -> Home:
        from pigeonry.config import load_home

        return load_home(self.home_path)

    def open(self) -> tuple[Home, Database]:
        """The home and its database; an empty home is made at once."""
        from pigeonry.service.homes import open_database

        home = self.home()
        return home, open_database(home)

    def say(self, text: str = "") -> None:
        """A line for people: standard output, or standard error under --json."""
        self._close_line()
        click.echo(text, err=self.json)

    def result(self, data: Mapping[str, Any]) -> None:
        """The JSON line, only under --json."""
        self._close_line()
        if self.json:
            click.echo(json.dumps(data, default=plain, ensure_ascii=False))

    def progress(self, label: str, done: int, total: int | None = None) -> None:
        """One line that is rewritten on a terminal; elsewhere a line at most every 10 seconds."""
        now = time.monotonic()
        finished = total is not None and done >= total
        terminal = sys.stderr.isatty()
        if not finished and now - self._last < (0.1 if terminal else 10):
            return
        self._last = now
        text = f"{label}: {done:,}" + (f" of {total:,}" if total else "")
        if terminal:
            if total:
                filled = int(24 * min(1.0, done / total))
                text = f"[{'#' * filled}{'.' * (24 - filled)}] {text}"
            click.echo(f"\r\x1b[2K{text}", err=True, nl=finished)
            self._open_line = not finished
        else:
            click.echo(text, err=True)

    def fail(self, error: PigeonryError) -> None:
        self._close_line()
        click.echo(f"pigeonry: {error}", err=True)
        self.result(
            {"error": error.code, "what": error.what, "where": error.where, "fix": error.fix}
        )

    def fail_outside(self, error: OSError) -> None:
        self._close_line()
        where = f"{error.filename}: " if error.filename else ""
        click.echo(
            f"pigeonry: {where}{error.strerror or error}\n"
            "  -> mend that and run the same command again: finished work is kept",
            err=True,
        )
        self.result({"error": "outside", "what": str(error), "where": str(error.filename or "")})

    def _close_line(self) -> None:
        if self._open_line:
            click.echo(err=True)
            self._open_line = False


def plain(value: Any) -> Any:
    """What JSON cannot say by itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _set_home(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Output).home_path = value


def _set_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Output).json = True


def common_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --home and --json; they are kept on the context's Output and not passed on."""
    for option in (
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set_json,
            help="End standard output with one JSON line.",
        ),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            expose_value=False,
            is_eager=True,
            callback=_set_home,
            help="Home folder (PIGEONRY_HOME, default ./.pigeonry).",
        ),
    ):
        function = option(function)
    return function


def command_body(function: Callable[..., R]) -> Callable[..., R]:
    """--home and --json on a command, and its Output as first argument."""

    @common_options
    @click.pass_context
    @functools.wraps(function)
    def run(context: click.Context, /, *args: Any, **kwargs: Any) -> R:
        return function(context.ensure_object(Output), *args, **kwargs)

    return run
