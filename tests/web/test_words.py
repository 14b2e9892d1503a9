"""Every sentence is there in both languages, and templates use none that is not."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from pigeonry.domain import Language
from pigeonry.web import words

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates" / "web").glob("*.html"))
PAGES = sorted((ROOT / "pigeonry" / "web").rglob("*.py"))
_IN_TEMPLATE = re.compile(r"""\bt\(\s*["']([^"']+)["']\s*(~?)""")
_IN_PYTHON = re.compile(r"""(?:\.t\(|\.go\([^()]*?,|Nav\("[^"]*",)\s*(f?)"([a-z_]+\.[^"]*)\"""")


def test_every_sentence_is_there_in_both_languages_with_the_same_values() -> None:
    assert words.sentences()
    for key, said in words.sentences().items():
        assert set(said) == set(Language), key
        texts = [said[language] for language in Language]
        assert len({isinstance(text, tuple) for text in texts}) == 1, (
            f"{key}: one counts, one does not"
        )
        names = [_names(text) for text in texts]
        assert names[0] == names[1], f"{key}: {names}"
        if isinstance(texts[0], tuple):
            assert "n" in names[0], f"{key} depends on a number and does not show it"


@pytest.mark.parametrize("path", [*TEMPLATES, *PAGES], ids=lambda path: path.name)
def test_nothing_says_a_sentence_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        found = [(key, bool(joined)) for key, joined in _IN_TEMPLATE.findall(text)]
    else:
        found = [
            (key.partition("{")[0], bool(formatted)) for formatted, key in _IN_PYTHON.findall(text)
        ]
    for key, open_ended in found:
        if open_ended and key.endswith("."):
            assert any(known.startswith(key) for known in words.sentences()), key
        else:
            assert key in words.sentences(), key


def test_templates_have_nothing_inline() -> None:
    """The content security policy would not run it."""
    for path in TEMPLATES:
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe\b", text), (
            path.name
        )
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script, path.name


@pytest.mark.parametrize(
    ("count", "romanian"),
    [
        (0, "S-au încheiat 0 conectări."),
        (1, "S-a încheiat o conectare."),
        (2, "S-au încheiat 2 conectări."),
        (19, "S-au încheiat 19 conectări."),
        (20, "S-au încheiat 20 de conectări."),
        (101, "S-au încheiat 101 conectări."),
        (119, "S-au încheiat 119 conectări."),
        (1120, "S-au încheiat 1.120 de conectări."),
    ],
)
def test_romanian_counts(count: int, romanian: str) -> None:
    assert words.say(Language.RO, "account.ended", n=count) == romanian


def test_numbers_are_written_as_each_language_does() -> None:
    assert words.number(Language.RO, 1234567.5) == "1.234.567,50"
    assert words.number(Language.EN, 1234567) == "1,234,567"
    assert words.percent(Language.RO, 0.1234) == "12,3 %"
    assert words.money(Language.EN, 1_500_000) == "EUR 1.50"


def test_a_value_cannot_reach_into_a_sentence() -> None:
    """Names of people go into sentences: braces in them are only braces."""
    assert words.say(Language.EN, "dashboard.hello", name="{n.__class__}") == "Hello, {n.__class__}"


def _names(said: words.Sentence) -> set[str]:
    texts = said if isinstance(said, tuple) else (said,)
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}
