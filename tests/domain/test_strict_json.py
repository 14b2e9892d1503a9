"""The fast reader says exactly what the strict one says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pigeonry.domain import strict_json
from pigeonry.domain.strict_json import Element, elements

KEYS = st.sampled_from(["a", "b", "event", 'q"', ":", '":', "\\", "é", ""])
NUMBERS = st.sampled_from(
    "0 -0 -0.0 1e3 1E+400 1e-400 0.1 1.7976931348623157 123456789.123456789123456789 NaN Infinity "
    f"-Infinity {'9' * 18} {'9' * 19} -{'9' * 25} {'9' * 500}".split()
)


def _object(pairs: list[tuple[str, str]], gap: str) -> str:
    return "{" + ",".join(f"{json.dumps(key)}{gap}:{value}" for key, value in pairs) + "}"


VALUES = st.recursive(
    NUMBERS
    | st.sampled_from(['"x"', '"\\":"', '"a\\u0000b"', '"\\ud800"', "true", "null", '"1e999"'])
    | st.text().map(json.dumps)
    | st.text().map(lambda text: json.dumps(text, ensure_ascii=False)),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.builds(
            _object, st.lists(st.tuples(KEYS, inner), max_size=4), st.sampled_from(["", " "])
        )
    ),
    max_leaves=12,
)
BODIES = st.lists(
    st.builds(_object, st.lists(st.tuples(KEYS, VALUES), max_size=4), st.sampled_from(["", "\n"]))
    | VALUES,
    max_size=4,
).map(lambda items: "[" + ",".join(items) + "]")


def strictly(monkeypatch: pytest.MonkeyPatch, body: bytes) -> list[Element]:
    with monkeypatch.context() as patch:
        patch.setattr(strict_json, "_quick", lambda _: None)
        return elements(body)


def spelled(found: list[Element]) -> str:
    """With types and signs, which == does not tell apart."""
    return repr(found)


@given(BODIES)
@example('[{"a":1,"a":2}]')
@example('[{"a":{"b":1,"b":1}}]')
@example('[{"a":"x\\":","a":1}]')
@example('[{"a" :1,"a":2,"b":"\\":"}]')
@example('[{"a":"\\":","b":1,"b":2}]')
@example('[{"a":' + "[" * 40 + "]" * 40 + "}]")
@example('[{"a":-0,"b":12345678901234567890}]')
def test_both_readers_agree_on_every_body(body: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        raw = body.encode("utf-8", "surrogatepass")
        assert spelled(elements(raw)) == spelled(strictly(patch, raw))


def test_a_line_ends_where_json_lets_it_end() -> None:
    lines = ['{"a":"x\u2028y"}', '{"a":"x\x85y"}']
    assert [element.flaw for element in elements("\n".join(lines).encode())] == ["", ""]


def test_the_fast_reader_is_used_for_what_providers_send() -> None:
    event = {"event": "click", "timestamp": 1_772_452_800, "url": "https://a.ro/?q=1", "n": [{}]}
    body: list[dict[str, Any]] = [event, {**event, "category": ["a", "b"]}]
    assert strict_json._quick(json.dumps(body).encode()) is not None
    assert strict_json._quick(json.dumps(body, separators=(",", ":")).encode()) is not None
