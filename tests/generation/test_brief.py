"""A brief is read whole or refused whole, with every problem named by key and line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from generation.brief import BriefError, parse_brief, read_brief
from generation.links import link_fault
from pigeonry.domain import Language, Purpose
from pigeonry.domain.formats import date_text, price_text
from pigeonry.errors import BadInput

EXAMPLES = sorted(Path("examples/briefs").glob("*.toml"))
SMALL = """
name = "Small"
purpose = "news"
languages = ["en"]
link = "https://shop.example/news"
[sender]
name = "Shop"
email = "hello@shop.example"
company = "Shop SRL"
address = "Main street 1"
[wording.en]
product = "Tealight"
benefits = ["a warmer evening"]
"""


def problems(text: str) -> dict[str, str]:
    with pytest.raises(BriefError) as caught:
        parse_brief(text, where="small.toml")
    return {problem.path: str(problem) for problem in caught.value.problems}


def without(line_start: str) -> str:
    return "\n".join(line for line in SMALL.splitlines() if not line.startswith(line_start))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_brief_is_complete(path: Path) -> None:
    brief = read_brief(path)
    assert set(brief.languages) == {Language.RO, Language.EN}
    assert brief.sender.company_id
    assert brief.source == path.read_text(encoding="utf-8")


def test_a_small_brief_takes_the_defaults() -> None:
    brief = parse_brief(SMALL, where="small.toml")
    assert brief.purpose is Purpose.NEWS
    assert brief.limits.subject_max == 60
    assert brief.experiment.holdout == 0.1
    assert brief.price is None


def test_a_missing_product_is_named() -> None:
    assert "missing" in problems(without("product ="))["wording.en.product"]


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_key() -> None:
    found = problems(SMALL.replace("benefits =", "benifits ="))
    assert found["wording.en.benifits"] == (
        "wording.en.benifits (line 13): unknown key (did you mean 'benefits'?)"
    )


def test_a_key_in_the_wrong_table_is_told_where_it_belongs() -> None:
    assert "[product]" in problems(SMALL + "price = 3\n")["wording.en.price"]


def test_every_problem_is_named_at_once() -> None:
    broken = without("product =").replace("https://shop", "ftp://shop").replace('"news"', '"newz"')
    assert set(problems(broken)) == {"wording.en.product", "link", "purpose"}


@pytest.mark.parametrize(
    ("purpose", "missing"),
    [
        ("offer", {"wording.en.offer"}),
        ("last-call", {"wording.en.offer", "dates.ends"}),
        ("event", {"wording.en.place", "dates.event_date"}),
    ],
)
def test_a_purpose_needs_its_facts(purpose: str, missing: set[str]) -> None:
    assert set(problems(SMALL.replace('"news"', f'"{purpose}"'))) == missing


def test_dates_in_the_wrong_order_name_both() -> None:
    found = problems(SMALL + "[dates]\nstarts = 2026-12-10\nends = 2026-12-01\n")
    assert "2026-12-01" in found["dates.ends"]
    assert "2026-12-10" in found["dates.ends"]


def test_a_brief_that_says_what_it_bans_is_refused() -> None:
    assert "warmer" in problems(SMALL + '[limits]\nbanned = ["warmer"]\n')["limits.banned"]


def test_a_required_word_that_no_text_could_contain_is_refused() -> None:
    assert "limits.required" in problems(SMALL + '[limits]\nrequired = ["ANPC"]\n')


def test_a_share_in_percent_is_told_the_fraction() -> None:
    found = problems(SMALL + "[experiment]\ntest_share = 20\n")
    assert "0.2" in found["experiment.test_share"]


def test_a_brief_may_hold_no_slots_and_no_markup() -> None:
    assert "wording.en.product" in problems(SMALL.replace("Tealight", "{{ lead.email }}"))
    assert "wording.en.product" in problems(SMALL.replace("Tealight", "<b>Tealight</b>"))


def test_a_text_that_is_no_toml_names_the_line() -> None:
    with pytest.raises(BadInput, match="line 2"):
        parse_brief('name = "x"\npurpose = \n', where="broken.toml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "brief.toml"
    path.write_bytes('name = "ș"'.encode("utf-16"))
    with pytest.raises(BadInput, match="UTF-8"):
        read_brief(path)


def test_cedilla_letters_of_a_brief_become_comma_below() -> None:
    assert (
        parse_brief(SMALL.replace("Tealight", "Lumânărişti"), where="x")
        .wording[Language.EN]
        .product
        == "Lumânăriști"
    )


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://user:secret@shop.example/",
        "https://192.0.2.7/x",
        "https://[2001:db8::1]/x",
        "http://shop.ro/x",
        "//shop.ro/x",
        "https://",
        "https://shop",
        "data:text/html,x",
    ],
)
def test_a_dangerous_link_is_refused(url: str) -> None:
    assert link_fault(url)


@pytest.mark.parametrize(
    "url", ["https://shop.ro/x?a=1", "http://127.0.0.1:8080/x", "http://shop.example/x"]
)
def test_an_honest_link_passes(url: str) -> None:
    assert link_fault(url) == ""


def test_prices_and_dates_are_written_as_each_language_does() -> None:
    price = Decimal("1299.50")
    assert price_text(price, "RON", Language.RO) == "1.299,50 lei"
    assert price_text(price, "RON", Language.EN) == "1,299.50 lei"
    assert price_text(Decimal(690), "RON", Language.RO) == "690 de lei"
    assert price_text(Decimal(115), "RON", Language.RO) == "115 lei"
    assert date_text(date(2026, 12, 15), Language.RO) == "15 decembrie 2026"
    assert date_text(date(2026, 12, 15), Language.EN) == "15 December 2026"
