"""The docs say what the program does, because a check compares them."""

from __future__ import annotations

import tomllib

import pytest

from pigeonry.config import Settings
from scripts import docs


def test_the_generated_docs_are_what_the_program_says_now() -> None:
    assert docs.stale() == []


def test_every_command_and_target_in_the_pages_exists() -> None:
    assert docs.unknown_commands() == []


def test_every_link_between_the_pages_leads_somewhere() -> None:
    assert docs.broken_links() == []


def test_every_entrypoint_of_prefect_yaml_imports_and_takes_its_parameters() -> None:
    assert docs.broken_entrypoints() == []


def test_the_example_settings_are_the_defaults() -> None:
    example = tomllib.loads((docs.ROOT / "pigeonry.toml.example").read_text(encoding="utf-8"))

    assert Settings.model_validate(example) == Settings()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("    pigeonry leads imprt FILE", "no command `pigeonry leads imprt`"),
        ("Run `pigeonry init --hom x`.", "`pigeonry init` has no option --hom"),
        ("    make tset", "no target `make tset`"),
    ],
)
def test_a_page_that_names_what_does_not_exist_is_found(
    line: str, problem: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Makefile").write_text("test: ## Run.\n")
    (tmp_path / "README.md").write_text(f"{line}\n")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "PAGES", ("README.md",))

    assert docs.unknown_commands() == [f"README.md:1: {problem}"]
