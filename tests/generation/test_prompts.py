"""A prompt file keeps its contract or is refused; data never becomes template."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from generation import prompts
from generation.prompts import PromptError, load_prompts, parse_prompt, render

SOURCE = (prompts.folder() / "subject" / "direct.j2").read_text(encoding="utf-8")
VALUES = {name: f"<{name}>" for name in prompts.VARIABLES}


def test_the_packaged_prompts_keep_the_contract() -> None:
    assert prompts.check_prompts() == ()
    assert [p.name for p in load_prompts()] == [
        "subject/benefit",
        "subject/direct",
        "subject/question",
    ]
    assert {p.angle for p in load_prompts()} == {"benefit", "direct", "question"}


def test_the_version_is_the_hash_of_the_text() -> None:
    assert (
        parse_prompt(SOURCE, where="x").version == hashlib.sha256(SOURCE.encode()).hexdigest()[:16]
    )
    assert parse_prompt(SOURCE + "\n", where="x").version != parse_prompt(SOURCE, where="x").version


@pytest.mark.parametrize(
    ("change", "into", "message"),
    [
        ('angle = "direct"', 'angel = "direct"', "did you mean 'angle'"),
        ('angle = "direct"', 'angle = "straight"', "angle"),
        ('"product",', '"product", "email",', "email"),
        ("Product: {{ product }}", "Product: {{ prodct }}", "prodct"),
        ("Product: {{ product }}", "Product:", "nothing uses"),
        ("You write short", "You write for {{ segment }}", "Action only"),
        ("## Limits", "## Rules", "sections"),
        ("{{ product }}", "{{ product", "section Action"),
        ("{product}: {span}", "{product}: {spam}", "small.subject"),
        ('task = "subject"', "task = ", "TOML"),
        ('languages = ["ro", "en"]', 'languages = ["de"]', "languages"),
    ],
)
def test_a_broken_contract_is_named(change: str, into: str, message: str) -> None:
    assert change in SOURCE
    with pytest.raises(PromptError, match=re.escape(message)):
        parse_prompt(SOURCE.replace(change, into, 1), where="subject/direct.j2")


def test_check_reports_every_broken_file(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("nothing", encoding="utf-8")
    (tmp_path / "b.j2").write_text(SOURCE, encoding="utf-8")
    assert {(v.check, v.field) for v in prompts.check_prompts(tmp_path)} == {
        ("contract", "a.j2"),
        ("name", "b.j2"),
    }


def test_a_missing_variable_raises_before_anything_is_asked() -> None:
    values = {name: text for name, text in VALUES.items() if name != "segment"}
    with pytest.raises(PromptError, match="segment"):
        render(parse_prompt(SOURCE, where="x"), values, small=False)


def test_what_stands_before_the_variables_is_the_same_for_every_call() -> None:
    prompt = parse_prompt(SOURCE, where="x")
    one = render(prompt, VALUES, small=False)
    other = render(prompt, dict.fromkeys(VALUES, "other"), small=False)
    assert one.system == other.system
    assert one.user != other.user


def test_template_marks_in_data_stay_text() -> None:
    prompt = parse_prompt(SOURCE, where="x")
    hostile = "{{ 7 * 7 }}{% raw %}{{ ''.__class__ }}"
    assert hostile in render(prompt, {**VALUES, "product": hostile}, small=False).user


def test_a_small_writer_gets_neither_rules_nor_examples_to_repeat() -> None:
    messages = render(parse_prompt(SOURCE, where="x"), VALUES, small=True)
    assert "##" not in messages.system
    assert "Tealight" not in messages.system + messages.user


def test_the_answer_of_an_instructed_writer_is_cut_only_beyond_the_limit() -> None:
    made = prompts.schema(parse_prompt(SOURCE, where="x"), {"subject": 60, "preheader": 100})
    assert made["properties"]["subject"]["maxLength"] == 61
    assert made["additionalProperties"] is False


def test_a_small_writer_is_held_to_the_brief_s_words() -> None:
    prompt = parse_prompt(SOURCE, where="x")
    assert prompt.small is not None
    slots = {"product": ["A+B (Zilio)"], "span": ["a weekly planner"], "benefit": ["calm days"]}
    made = prompts.small_schema(prompt.small, {**slots, "reader": ["cooks"]})
    pattern = re.compile(made["properties"]["subject"]["pattern"])
    assert pattern.match("A+B (Zilio): a weekly planner")
    assert pattern.match("A+B (Zilio): a weekly planner for cooks")
    assert not pattern.match("A+B (Zilio): a miracle planner")
    assert not pattern.match("A+B (Zilio): a weekly planner for 3 weeks")
    alone = re.compile(
        prompts.small_schema(prompt.small, slots)["properties"]["subject"]["pattern"]
    )
    assert not alone.match("A+B (Zilio): a weekly planner for cooks")
    with pytest.raises(PromptError, match="span"):
        prompts.small_schema(prompt.small, {"product": ["x"]})
