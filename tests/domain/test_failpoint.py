"""Places to kill are named, and a name that does not exist is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pigeonry.domain import failpoint
from pigeonry.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "text", ["nowhere=kill", "fence.after_commit=explode", "fence.after_commit"]
)
def test_a_place_or_an_action_that_does_not_exist_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(ConfigError, match="places: claim"):
        failpoint.parse(text)


def test_a_place_says_what_happens_there_and_when() -> None:
    found = failpoint.parse("fence.after_commit=kill@3, smtp.before_dot=freeze:2")
    assert (found["fence.after_commit"].kind, found["fence.after_commit"].at) == ("kill", 3)
    assert (found["smtp.before_dot"].kind, found["smtp.before_dot"].seconds) == ("freeze", 2.0)


def test_every_named_place_stands_in_the_code_once_and_no_other_does() -> None:
    used = [
        name
        for path in (ROOT / "pigeonry").rglob("*.py")
        for name in re.findall(r'failpoint\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    ]
    assert sorted(used) == sorted(failpoint.POINTS)
