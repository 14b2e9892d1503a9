"""Nothing that a spreadsheet would run leaves, phones stay phones, and what leaves comes back whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.formula import neutralise, restore


@pytest.mark.parametrize(
    "cell",
    ["=cmd|' /C calc'!A0", "+SUM(A1)", "-HYPERLINK(1)", "@SUM(1)", "\t=1+A1", "\r=A1", "  =1+A1",
     "＝A1", "＋A1", "\n=A1", "|x", "%0A=A1"],
)  # fmt: skip
def test_a_cell_that_could_run_is_made_harmless(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["+40 722 000 000", "+40(722)000-000", "-12,5", "-", "Ana", "a=b", "0040"]
)
def test_phones_and_numbers_stay_as_they_are(cell: str) -> None:
    assert neutralise(cell) == cell


@given(st.text(max_size=20))
def test_what_was_made_harmless_comes_back_whole(cell: str) -> None:
    if not cell.startswith("'"):
        assert restore(neutralise(cell)) == cell
