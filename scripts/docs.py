"""Writes the docs that are made from the program, and says which ones no longer agree with it.

python -m scripts.docs           write docs/reference/cli.md and pigeonry.toml.example
python -m scripts.docs --check   change nothing; fail when one differs, or a command in a page, a make
                                 target or an entrypoint of prefect.yaml does not exist
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pigeonry.cli import cli
from pigeonry.config import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "AGENTS.md")
WIDTH = 92


def cli_reference() -> str:
    """Every command's own --help, in the order in which the program lists them."""
    parts = [
        "# Commands\n",
        "Made by `make docs` from the program's own `--help`; `make check` compares them.\n",
    ]
    parts += [
        f"## {path}\n\n```text\n{help_text(command, path)}\n```\n" for path, command in commands()
    ]
    return "\n".join(parts)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, depth first."""
    return _below(cli, "pigeonry")


def _below(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, f"{path} lists {name} and does not have it"
            yield from _below(found, f"{path} {name}")


def help_text(command: click.Command, path: str) -> str:
    # As in a real call, where a command inherits the names of --help from the first one.
    settings = {**cli.context_settings, **command.context_settings}
    context = click.Context(command, info_name=path, terminal_width=WIDTH, **settings)
    return command.get_help(context).rstrip()


def settings_example() -> str:
    """Every setting with its default, its meaning as a comment."""
    lines = [
        "# Every setting with its default. Copy what you change into pigeonry.toml in your home folder.",
        "# Each can be overridden by the environment: PIGEONRY_SENDING__CHANNEL=smtp; lists with commas.",
        "# Secrets never stand here: `pigeonry doctor` names the variables that hold them.",
    ]
    for section, field in Settings.model_fields.items():
        table = _item_model(field)
        if table is not None:
            lines += ["", f"# {field.description}:", *_named_table(f"{section}.NAME", table)]
            continue
        lines += ["", f"[{section}]"]
        tables = []
        for key, setting in _model(field).model_fields.items():
            many = _item_model(setting)
            if many is None:
                lines.append(f"{_line(key, setting.default):<34} # {_meaning(setting)}")
            else:
                tables += [
                    "",
                    f"# {setting.description}; one such table each:",
                    f"# [[{section}.{key}]]",
                    *(
                        f"# {_sample(name, item):<32} # {item.description}"
                        for name, item in many.model_fields.items()
                    ),
                ]
        lines += tables
    return "\n".join(lines) + "\n"


def _named_table(name: str, table: type[BaseModel]) -> list[str]:
    """A table that stands as often as somebody likes, each time under another name."""
    lines, tables = [f"# [{name}]"], []
    for key, setting in table.model_fields.items():
        many = _item_model(setting)
        if many is None:
            lines.append(f"# {_sample(key, setting):<32} # {_meaning(setting)}")
        else:
            tables += ["#", f"# {setting.description}; one such table each:"]
            tables += _named_table(f"[{name}.{key}]", many)
    return [*lines, *tables]


def _meaning(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return f"{field.description} ({' | '.join(get_args(field.annotation))})"
    return field.description or ""


def _model(field: FieldInfo) -> type[BaseModel]:
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, BaseModel)
    return field.annotation


def _item_model(field: FieldInfo) -> type[BaseModel] | None:
    for part in get_args(field.annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _line(key: str, value: Any) -> str:
    return f"{key} = {_toml(value)}"


def _sample(key: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    return f"{key} = ..." if field.is_required() else _line(key, default)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{}"
    return str(value)


GENERATED = {"docs/reference/cli.md": cli_reference, "pigeonry.toml.example": settings_example}


def stale() -> list[str]:
    """The generated files that differ from what the program says now."""
    found = []
    for name, make in GENERATED.items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != make():
            found.append(f"{name} is stale: run `make docs` and commit it")
    return found


def pages() -> list[Path]:
    return [ROOT / name for name in PAGES] + sorted((ROOT / "docs").rglob("*.md"))


def unknown_commands() -> list[str]:
    """Commands and options that a page shows and the program does not have."""
    known = dict(commands())
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    found = []
    for page in pages():
        where = page.relative_to(ROOT)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for target in re.findall(r"(?:^|`| )make ([a-z]+)\b(?=`|$|  |\s+#)", line):
                if target not in targets:
                    found.append(f"{where}:{number}: no target `make {target}`")
            for shown in re.findall(r"(?:^|`|\$ | {4}|bin/)(pigeonry [a-z][^`#|&]*)", line):
                problem = _unknown(shown.split(), known)
                if problem:
                    found.append(f"{where}:{number}: {problem}")
            for module in re.findall(r"python -m ((?:benchmarks|scripts)\.[a-z_.]+)", line):
                if not (ROOT / (module.replace(".", "/") + ".py")).exists():
                    found.append(f"{where}:{number}: no module {module}")
    return found


def _unknown(words: list[str], known: dict[str, click.Command]) -> str:
    path = words[0]
    rest = words[1:]
    while rest and f"{path} {rest[0]}" in known:
        path = f"{path} {rest.pop(0)}"
    command = known[path]
    if isinstance(command, click.Group) and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        return f"no command `{path} {rest[0]}`"
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    for word in rest:
        option = word.split("=")[0].strip("[],.;:…)(")
        if option.startswith("--") and option not in options:
            return f"`{path}` has no option {option}"
    return ""


def broken_links() -> list[str]:
    """Links between pages that lead nowhere."""
    found = []
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                found.append(f"{page.relative_to(ROOT)}: no file {target}")
    return found


def broken_entrypoints() -> list[str]:
    """Deployments whose flow cannot be imported or does not take the parameters that are given."""
    found = []
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        module, _, name = deployment["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name, None)
        if flow is None:
            found.append(f"prefect.yaml: {deployment['name']}: no flow {deployment['entrypoint']}")
            continue
        unknown = set(deployment["parameters"]) - set(flow.parameters.properties)
        if unknown:
            found.append(f"prefect.yaml: {deployment['name']}: no parameter {sorted(unknown)}")
        brief = deployment["parameters"].get("brief")
        if brief and not (ROOT / brief).exists():
            found.append(f"prefect.yaml: {deployment['name']}: no file {brief}")
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        problems = [*stale(), *unknown_commands(), *broken_links(), *broken_entrypoints()]
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0
    for name, make in GENERATED.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
