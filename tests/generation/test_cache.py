"""One key for one request, whatever the order of its fields; another for any change."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from generation.cache import Cached, claim_or_wait, request_key

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8)
REQUESTS = st.dictionaries(st.text(min_size=1, max_size=6), SCALARS | st.lists(SCALARS, max_size=3), max_size=6)  # fmt: skip


@given(REQUESTS)
def test_the_order_of_fields_does_not_matter(request: dict[str, Any]) -> None:
    assert request_key(request) == request_key(dict(reversed(request.items())))


@given(REQUESTS, st.text(min_size=1, max_size=6), SCALARS)
def test_every_field_that_changes_changes_the_key(
    request: dict[str, Any], name: str, value: Any
) -> None:
    changed = {**request, name: value}
    same = name in request and type(request[name]) is type(value) and request[name] == value
    assert (request_key(changed) == request_key(request)) == same


def test_a_waiter_gets_the_answer_that_another_asked_for() -> None:
    answer = Cached("m", {"subject": "x"}, 1, 1, 1)
    states: list[Cached | bool] = [False, False, answer]

    class Slow:
        def claim(self, key: str, *, seconds: float) -> Cached | bool:
            return states.pop(0)

        def keep(self, key: str, answer: Cached) -> None: ...

        def release(self, key: str) -> None: ...

    found = claim_or_wait(Slow(), "k", lease_seconds=5, wait_seconds=5, sleep=lambda s: None)
    assert found == answer
