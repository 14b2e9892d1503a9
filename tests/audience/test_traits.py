"""What a group has in common is counted, and nothing that few people share is told."""

from __future__ import annotations

from audience.traits import traits


def test_shares_are_those_of_the_group_and_of_all_most_telling_first() -> None:
    terms = (
        [["job: teacher", "city: Iași"]] * 8 + [["job: baker", "city: Iași"]] * 8 + [["vip"]] * 4
    )
    found = traits(terms, [1] * 8 + [2] * 12)
    first = found[1][0]
    assert (first.column, first.value, first.inside, first.overall) == ("job", "teacher", 1.0, 0.4)
    assert [trait.value for trait in found[1]] == ["teacher", "Iași"]
    assert found[2][0].value == "baker"


def test_what_fewer_than_five_people_share_is_not_told() -> None:
    found = traits(
        [["job: baker", "role: founder of the only mill"]] + [["job: baker"]] * 9, [7] * 10
    )
    assert [trait.value for trait in found[7]] == ["baker"]


def test_leads_without_a_group_count_among_all() -> None:
    found = traits([["job: baker"]] * 10, [1] * 5 + [None] * 5)
    assert (found[1][0].inside, found[1][0].overall) == (1.0, 1.0)
    assert set(found) == {1}
