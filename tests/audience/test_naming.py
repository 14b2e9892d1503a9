"""Names are made of what sets a segment apart, are unique, and never of what one lead alone has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audience.naming import GENERAL, name_segments


def test_a_name_says_what_sets_a_segment_apart() -> None:
    terms = [["Job: designer", "city: Cluj"]] * 40 + [["Job: teacher", "city: Cluj"]] * 60
    designers, teachers = name_segments(terms, [0] * 40 + [1] * 60, 2)
    assert designers.name.startswith("Designer")
    assert teachers.name.startswith("Teacher")
    assert "Cluj" not in designers.name.split(" · ")[0]
    assert "Job: designer (100%, of all 40%)" in designers.description


def test_a_value_that_hardly_anybody_shares_is_never_shown() -> None:
    terms = [["Job: designer", f"Remark: secret {n}"] for n in range(200)]
    (only,) = name_segments(terms, [0] * 200, 1)
    assert "secret" not in only.name + only.description + " ".join(only.terms)


def test_what_somebody_is_names_before_how_they_came() -> None:
    terms = [["Lead Source: Google", "Job: nurse"]] * 50 + [["Lead Source: Fair"]] * 50
    nurses, _ = name_segments(terms, [0] * 50 + [1] * 50, 2)
    assert nurses.name.startswith("Nurse")


def test_segments_without_terms_are_called_general_and_still_differ() -> None:
    names = [found.name for found in name_segments([[]] * 4, [0, 0, 1, 1], 2)]
    assert names == [GENERAL, f"{GENERAL} 2"]


_TERMS = st.lists(st.sampled_from(["Job: a", "Job: b", "city: x", "Interests: y", "Guide"]))


@given(st.lists(st.tuples(_TERMS, st.integers(0, 3)), min_size=1, max_size=60))
def test_names_are_unique_and_never_empty(leads: list[tuple[list[str], int]]) -> None:
    found = name_segments([terms for terms, _ in leads], [label for _, label in leads], 4)
    names = [naming.name for naming in found]
    assert all(names)
    assert len(set(names)) == 4
