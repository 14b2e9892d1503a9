"""The report page: complete, offline, honest about simulation, and safe with hostile text."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeonry.domain.experiment import Interval
from pigeonry.service import report_words
from pigeonry.service.report_data import (
    ArmFacts,
    AttemptFacts,
    BeliefFacts,
    CampaignFacts,
    CellFacts,
    CheckFacts,
    ContrastFacts,
    CostFacts,
    CostStepFacts,
    GuardrailFacts,
    HoldoutFacts,
    MailFacts,
    MapFacts,
    PriceFacts,
    ReportData,
    SegmentFacts,
    WaveFacts,
)
from pigeonry.service.reports import MAIL_BYTES, render

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SEGMENTS = (
    (1, "Freelancers in Cluj", "Self-employed, design and copy, read late in the evening", 612),
    (2, "Parents", "Parents of school children, small towns", 540),
    (3, "Shop owners", "Small shops, retail and food", 433),
    (4, "IT teams", "Developers and administrators in companies", 415),
)
PROMPTS = (("A", "subject/benefit"), ("B", "subject/question"))
LINK = "https://kurs.example/inscriere"


def _mail_html(subject: str) -> str:
    return (
        "<!doctype html><html><head><style>body{margin:0;background:#f0f0f0;font-family:sans-serif}"
        "@media (prefers-color-scheme: dark){body{background:#222;color:#eee}}</style></head><body>"
        f'<table width="100%"><tr><td style="padding:24px"><h1>{subject}</h1><p>Bună, Ana!</p>'
        f'<p>Un curs de seară, pas cu pas.</p><a href="{LINK}">Vezi programul</a></td></tr></table>'
    )


def _interval(rate: float, half: float) -> Interval:
    return Interval(rate, max(0.0, rate - half), rate + half)


def _arms(sends: int, clicks: tuple[int, int]) -> tuple[ArmFacts, ...]:
    return tuple(
        ArmFacts(
            arm=letter,
            prompt=prompt,
            version="0123456789abcdef",
            probability=0.5 if letter == "A" else 0.37,
            sends=sends,
            opens=clicks[place] * 4,
            machine_opens=sends // 4,
            clicks=clicks[place],
            unsubscribes=3,
            complaints=1,
            open_rate=_interval(clicks[place] * 4 / sends, 0.05),
            click_rate=_interval(clicks[place] / sends, 0.02),
            p_best=0.0312 if clicks[place] < max(clicks) else 0.9688,
        )
        for place, (letter, prompt) in enumerate(PROMPTS)
    )


def _mails() -> tuple[MailFacts, ...]:
    return tuple(
        MailFacts(
            arm=letter,
            language=language,
            segment_id=segment,
            segment=name,
            sender="Scoala de Seara",
            subject=f"{'Ce ai vrea să înveți?' if letter == 'B' else 'Mai mult timp'} {segment}",
            preheader="O propunere de la Școala de Seară",
            hook="Când ai învățat ultima oară ceva din plăcere?",
            body=("Un curs de seară.", "Te așteptăm."),
            cta="Vezi programul",
            html=_mail_html(f"Curs {segment}{letter}"),
            prompt=prompt,
            prompt_version="0123456789abcdef",
            tier="copy library" if language == "ro" else "local",
            model="" if language == "ro" else "smollm2-135m-instruct-q4_1",
            template=f"{language}/course/question",
            cache="none" if language == "ro" else "miss",
            tokens_in=0 if language == "ro" else 412,
            tokens_out=0 if language == "ro" else 14,
            cost_micros=0,
            currency="EUR",
            predicted_click=0.021,
            cold_start=True,
            attempts=(
                AttemptFacts(
                    "local", "smollm2-135m-instruct-q4_1", "subject", "refused",
                    "the number 50 is not in the brief", "Save 50% today", "miss",
                    412, 14, 0, "EUR", 1.7,
                ),
            ),
            checks=(
                CheckFacts("claim:number", "subject", False, "50 is not in the brief"),
                CheckFacts("length", "", True, ""),
                CheckFacts("claims", "", True, ""),
            ),
        )
        for segment, name, _, _ in SEGMENTS[:3]
        for language in ("ro", "en")
        for letter, prompt in PROMPTS
    )  # fmt: skip


def _campaign(number: int, clicks: tuple[int, int], **changes: object) -> CampaignFacts:
    arms = _arms(900, clicks)
    campaign = CampaignFacts(
        id=number,
        name="evening-course",
        occurrence="" if number == 1 else "second",
        stage="done",
        state="done",
        channel="file",
        seed=1234567,
        created_at=NOW,
        held_out=200,
        sent=1793,
        failed=0,
        cancelled=7,
        parked=0,
        waiting=0,
        cost_micros=0,
        currency="EUR",
        calls=24,
        cache_hits=2,
        model_seconds=41.3,
        local_model="smollm2-135m-instruct-q4_1",
        writing_note="The local model wrote English subjects; the library wrote the rest.",
        refused={"claim:number": 9, "length": 4, "a check of tomorrow": 2},
        refused_proposals=13,
        proposals=24,
        score_note="cold start",
        arms=arms,
        contrasts=(ContrastFacts("B", "A", Interval(0.024, -0.011, 0.052), False),),
        cells=tuple(
            CellFacts(name, arm.arm, arm.prompt, 220 + segment, 12 + segment + 5 * place,
                      _interval(0.05 + 0.01 * segment * place, 0.03), 0.5)
            for segment, name, _, _ in SEGMENTS
            for place, arm in enumerate(arms)
        ),
        waves=(WaveFacts(1, {"A": 180, "B": 180}), WaveFacts(2, {"A": 290, "B": 1150})),
        guardrails=(
            GuardrailFacts("A", "unsubscribes", "kept", _interval(0.0031, 0.001), 0.02),
            GuardrailFacts("B", "unsubscribes", "watch", _interval(0.021, 0.01), 0.02),
            GuardrailFacts("B", "complaints", "stopped", _interval(0.009, 0.001), 0.003),
        ),
        holdout=HoldoutFacts(200, 0.1, None, ""),
        leader="B",
        ripe=0.8123,
        mails=_mails(),
        beliefs=tuple(
            BeliefFacts(
                prompt, "0123456789abcdef", segment, _interval(0.03 + (number - 1) * step, 0.015),
                450 * number, 21 * number,
            )
            for prompt, step in (("subject/benefit", -0.004), ("subject/question", 0.017))
            for segment in ("", "Parents", "Shop owners")
            if number > 1 or prompt == "subject/question"
        ),
        weights={"subject/benefit": 0.12, "subject/question": 0.83, "subject/direct": 0.05},
        prior_sends=900 * (number - 1),
    )  # fmt: skip
    return dataclasses.replace(campaign, **changes)  # type: ignore[arg-type]


def _sample(**changes: object) -> ReportData:
    lot = np.random.default_rng(7)
    centres = np.array([[0, 0], [4, 1], [1, 4], [5, 5]])
    which = lot.integers(0, 4, 1200)
    points = centres[which] + lot.normal(0, 0.9, (1200, 2))
    data = ReportData(
        made_at=NOW,
        version="0.1.0",
        versions={"Python": "3.11.2", "SQLAlchemy": "2.0.58"},
        segments=tuple(SegmentFacts(*facts, sends=450, clicks=29) for facts in SEGMENTS),
        map=MapFacts(points[:, 0], points[:, 1], which + 1),
        campaigns=(_campaign(1, (41, 63)), _campaign(2, (43, 77))),
        costs=CostFacts(
            "EUR",
            (
                CostStepFacts("One big call per lead", "2,000 calls of the big model", 4_310_000),
                CostStepFacts("One call per segment, language and arm", "48 calls", 96_000),
                CostStepFacts("A smaller model", "the same calls", 5_200),
                CostStepFacts("Spent", "the local model and the library", 0),
            ),
            (PriceFacts("big-model", 2.5, 10.0, "EUR", "price list of the vendor", "2026-11-01"),),
        ),
        simulated="Recipients were simulated; their tastes are invented.",
    )  # fmt: skip
    return dataclasses.replace(data, **changes)  # type: ignore[arg-type]


def _lean(*campaigns: CampaignFacts, **changes: object) -> ReportData:
    """Without what is slow to draw, for tests that look at words."""
    light = tuple(dataclasses.replace(c, cells=(), waves=(), beliefs=()) for c in campaigns)
    return _sample(campaigns=light, map=None, costs=None, **changes)


class _Page(HTMLParser):
    """What a reader of the page gets: text, addresses, ids, mails, and who labels what."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.mails: list[dict[str, str]] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.bare: list[str] = []  # text outside of every "earned" element
        self.earned: list[str] = []
        self._depth = 0
        self._hidden = 0
        self.feed(page)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        for name in ("href", "src", "action", "data", "poster", "srcset"):
            if name in found:
                self.links.append((tag, name, found[name]))
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "iframe":
            self.mails.append(found)
        if tag == "style":
            self._hidden += 1
        if "earned" in found.get("class", "").split():
            assert self._depth == 0, "one label inside another"
            self._depth = 1
            self.earned.append("")
        elif self._depth and tag not in ("br", "wbr"):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._hidden -= 1
        if self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.texts.append(data)
        if self._depth:
            self.earned[-1] += data
        else:
            self.bare.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render(_sample())


@pytest.fixture(scope="module")
def read(page: str) -> _Page:
    return _Page(page)


def test_the_page_prints_no_slot_and_no_missing_value(page: str, read: _Page) -> None:
    assert "{{" not in page
    assert "{%" not in page
    assert not re.search(r"\b(None|nan|NaN|inf|undefined)\b", page)


def test_a_missing_value_is_an_error_and_never_printed() -> None:
    broken = dataclasses.replace(_campaign(1, (3, 4)), arms=_arms(10, (3, 4)))
    arm = dataclasses.replace(broken.arms[0], prompt=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        render(_lean(dataclasses.replace(broken, arms=(arm,))))


def test_the_page_fetches_nothing_and_runs_nothing(page: str, read: _Page) -> None:
    assert read.links, "the page has links of its own"
    assert all(value.startswith("#") for _, _, value in read.links)
    assert not {"script", "link", "img", "object", "embed", "base"} & set(read.tags)
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'", page)
    outside = set(re.findall(r"(?:https?:)?//[^\s\"'<>&)]+", page))
    assert outside == {LINK}, "only the brief's own link, inside the mails"


def test_every_mail_is_shown_in_a_frame_that_may_do_nothing(read: _Page) -> None:
    assert len(read.mails) == len(_mails()) * 2
    for mail in read.mails:
        assert mail["sandbox"] == ""
        assert mail["srcdoc"].startswith("<!doctype html>")
        assert mail["title"]


def test_arms_of_one_segment_and_language_stand_side_by_side(page: str) -> None:
    groups = re.findall(r'<div class="arms">(.*?)</details>\s*(?=<details class="group"|<h3>|</section>)',
                        page, re.DOTALL)  # fmt: skip
    assert len(groups) == 3 * 2 * 2
    assert all(len(re.findall(r'<article class="mail">', group)) == 2 for group in groups)


def test_every_id_is_unique(read: _Page) -> None:
    assert len(read.ids) == len(set(read.ids))


def test_every_drawing_says_what_it_shows(page: str) -> None:
    drawings = re.findall(r"<svg[^>]*role=\"img\"[^>]*>(.{0,80})", page)
    assert len(drawings) == len(re.findall("<svg", page)) > 10
    assert all(start.startswith("<title ") for start in drawings)
    assert page.count("<desc ") == len(drawings)


def test_a_drawing_takes_its_colours_from_the_page(page: str) -> None:
    drawing = page[page.index("<svg") : page.index("</svg>")]
    assert "var(--c0)" in drawing
    assert "#0000" not in drawing
    assert "DejaVu" not in drawing


def test_each_number_earned_from_simulated_recipients_is_labelled(read: _Page) -> None:
    assert len(read.earned) > 50
    assert all(text.split()[-1] == "simulated" for text in read.earned)


def test_no_earned_number_stands_without_its_label() -> None:
    """Numbers that occur nowhere else are given to recipients and looked for outside of labels."""
    arms = tuple(
        dataclasses.replace(
            arm,
            opens=7411, machine_opens=7412, clicks=7413, unsubscribes=7414, complaints=7415,
            click_rate=Interval(0.7416, 0.7417, 0.7418), p_best=0.7419,
        )
        for arm in _arms(900, (41, 63))
    )  # fmt: skip
    rate = Interval(0.7423, 0.7424, 0.7425)
    campaign = dataclasses.replace(
        _campaign(1, (41, 63)),
        arms=arms,
        cells=(CellFacts("Parents", "A", "subject/benefit", 100, 7422, rate, 0.7426),),
        holdout=HoldoutFacts(200, 0.1, Interval(0.7427, 0.7428, 0.7429), "lift is 0.7430"),
        guardrails=(GuardrailFacts("A", "complaints", "kept", Interval(0.7431, 0.7, 0.8), 0.9),),
        verdict="B leads by 0.7432",
        contrasts=(ContrastFacts("B", "A", Interval(0.7443, 0.7444, 0.7445), True),) * 2,
        winner="B",
    )
    belief = BeliefFacts("subject/benefit", "0123456789abcdef", "",
                         Interval(0.7433, 0.7434, 0.7435), 0, 0)  # fmt: skip
    later = dataclasses.replace(belief, rate=Interval(0.7436, 0.7437, 0.7438), sends=9, clicks=7439)
    second = _campaign(2, (43, 77), beliefs=(later,), weights={})
    mails = tuple(
        dataclasses.replace(mail, predicted_click=0.7440, cold_start=False) for mail in _mails()
    )
    data = _sample(
        campaigns=(dataclasses.replace(campaign, mails=mails, beliefs=(belief,)), second),
        segments=(SegmentFacts(1, "Parents", "parents", 500, sends=10000, clicks=7421),),
    )
    found = _Page(render(data))
    earned = re.compile(r"7,?4[1-4]\d|74\.[1-4]")
    assert earned.search(" ".join(found.earned))
    leaks = [text for text in found.bare if earned.search(text)]
    # Descriptions of drawings carry the word themselves.
    assert all("simulated" in text for text in leaks), leaks
    for number in (7411, 7412, 7413, 7414, 7415, 7422, 7439):
        assert any(f"{number:,}" in text for text in found.earned), number


def test_a_drawing_of_simulated_rates_says_so_on_its_axis(page: str) -> None:
    for name in ("arms-1", "cells-1", "beliefs-2"):
        start = page.index(f'aria-labelledby="{name}-w-title')
        assert "(simulated)" in re.sub(r"<title.*?</desc>", "", page[start : page.index("</svg>", start)],
                                       flags=re.DOTALL)  # fmt: skip


def test_real_recipients_are_never_called_simulated() -> None:
    assert (
        "imulated"
        not in _Page(
            render(_lean(_campaign(1, (41, 63)), _campaign(2, (43, 77)), simulated=""))
        ).text
    )


def test_simulation_is_announced_before_anything_else(read: _Page) -> None:
    body = read.text[read.text.index("Campaign report") + len("Campaign report: evening-course") :]
    assert (
        body.split("Campaign report")[0].strip().startswith("Simulated. Recipients were simulated")
    )


_HOSTILE = '</title><script>alert(1)</script>" onload="x\' $a$ & <!-- {{ 7*7 }} ${x}'


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    mail = dataclasses.replace(
        _mails()[0],
        subject=_HOSTILE, preheader=_HOSTILE, sender=_HOSTILE, prompt=_HOSTILE, template=_HOSTILE,
        segment=_HOSTILE, html=f'"></iframe><script>alert(2)</script>{_HOSTILE}',
        attempts=(dataclasses.replace(_mails()[0].attempts[0], reason=_HOSTILE, proposal=_HOSTILE),),
    )  # fmt: skip
    arms = tuple(dataclasses.replace(arm, prompt=_HOSTILE) for arm in _arms(90, (3, 4)))
    cells = (CellFacts(_HOSTILE, "A", _HOSTILE, 10, 1, Interval(0.1, 0.01, 0.3), 0.5),)
    data = _sample(
        campaigns=(_campaign(1, (3, 4), name=_HOSTILE, mails=(mail,), arms=arms, cells=cells,
                             refused={_HOSTILE: 3}),),
        segments=(SegmentFacts(1, _HOSTILE, _HOSTILE, 12),),
    )  # fmt: skip
    found = _Page(render(data))
    assert not {"script", "img", "base"} & set(found.tags)
    assert found.text.count("alert(1)") >= 8
    assert "alert(2)" not in found.text
    assert found.mails[0]["srcdoc"].startswith('"></iframe><script>alert(2)')
    assert found.mails[0].keys() == {"sandbox", "loading", "title", "srcdoc"}
    assert "49" not in found.text.replace("0.49", "").split()


@settings(max_examples=6, deadline=None)
@given(name=st.text(min_size=1, max_size=40), size=st.integers(0, 10**7))
def test_any_name_of_a_segment_gives_a_whole_page(name: str, size: int) -> None:
    data = _sample(segments=(SegmentFacts(1, name, name, size),), campaigns=(), costs=None)
    found = _Page(render(data))
    assert found.tags.count("svg") == 2
    assert f"{size:,}" in found.text
    assert found.ids[-1] == "made"


def test_nothing_known_yet_is_said_in_words() -> None:
    bare = _campaign(
        1, (0, 0), arms=(), contrasts=(), cells=(), waves=(), guardrails=(), holdout=None, mails=(), sent=0,
        held_out=0, refused={}, refused_proposals=0, proposals=0, calls=0, cache_hits=0, local_model="", writing_note="",
    )  # fmt: skip
    text = _Page(render(_sample(campaigns=(bare,), costs=None, map=None, segments=()))).text
    for sentence in (
        "Nothing was sent, so there is nothing to compare.",
        "There are no segments yet",
        "No mail is written yet.",
        "No cost is known yet",
        "No arms were chosen yet.",
        "Nothing is known by segment yet.",
        "No lots were drawn yet.",
        "no lift may be claimed",
        "No guardrail was looked at yet",
        "a second one is needed before anything can change",
        "No model was asked to write",
    ):
        assert sentence in text


def test_a_page_about_no_campaign_says_how_to_run_one() -> None:
    text = _Page(render(_sample(campaigns=(), costs=None, map=None, segments=()))).text
    assert "pigeonry campaign run BRIEF.toml" in text


def test_mail_that_was_sent_before_anything_came_back_has_no_rates() -> None:
    arms = tuple(
        dataclasses.replace(arm, opens=0, machine_opens=0, clicks=0, unsubscribes=0, complaints=0,
                            open_rate=None, click_rate=None, p_best=None)
        for arm in _arms(900, (41, 63))
    )  # fmt: skip
    campaign = _campaign(1, (1, 1), arms=arms, cells=(), guardrails=())
    text = _Page(render(_lean(campaign))).text
    assert "no click by a person has come back yet" in text
    assert "No rates to draw yet: nothing has come back." in text
    assert "not known yet" in text


def test_a_winner_is_named_only_when_it_is_shown() -> None:
    open_race = _Page(render(_lean(_campaign(1, (41, 63))))).text
    assert "A winner is not shown: arm B" in open_race
    won = _Page(render(_lean(_campaign(1, (41, 63), winner="B")))).text
    assert "The winner is shown: arm B (subject/question)" in won


def test_a_cold_start_is_called_one(read: _Page) -> None:
    assert read.text.count("cold start : assumed") == len(_mails())  # of the first campaign
    assert read.text.count("simulated cold start : what this prompt earned") == len(_mails())


def test_the_page_says_what_the_second_campaign_did_differently() -> None:
    second = _campaign(2, (43, 77))
    arms = (
        dataclasses.replace(second.arms[0], prompt="subject/direct", probability=0.61),
        dataclasses.replace(second.arms[1], probability=0.83),
    )
    text = _Page(
        render(_sample(campaigns=(_campaign(1, (41, 63)), _campaign(2, (43, 77), arms=arms))))
    ).text
    assert "subject/question was chosen again" in text
    assert "subject/direct is new: it was picked with probability 61.0" in text
    assert "subject/benefit was not chosen again; its weight in the lot was 12.0" in text
    assert "When evening-course (second) drew, 900 earlier mails had been learned from" in text
    assert re.search(r"Of subject/question 3\.0\s% simulated clicks were believed before", text)
    assert re.search(r"450 mails the belief rose to 4\.7\s% simulated", text)
    assert "Nothing was known of subject/benefit before" in text


def test_many_mails_are_shown_as_words_so_that_the_page_stays_small() -> None:
    heavy = dataclasses.replace(_mails()[0], html="<p>x</p>" * 40_000, hook="A hook of its own")
    mails = tuple(
        dataclasses.replace(heavy, segment_id=number, segment=f"Segment {number}")
        for number in range(12)
    )
    page = render(_lean(_campaign(1, (3, 4), mails=mails)))
    assert len(page.encode()) < 3_000_000
    found = _Page(page)
    assert 0 < len(found.mails) < 12
    assert sum(len(mail["srcdoc"]) for mail in found.mails) < MAIL_BYTES
    assert found.text.count("A hook of its own") == 12 - len(found.mails)
    assert "Shown as words only, to keep this page small." in found.text


def test_the_same_data_give_the_same_page(page: str) -> None:
    assert render(_sample()) == page


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0 EUR"),
        (1, "0.000001 EUR"),
        (123, "0.00012 EUR"),
        (5_200, "0.0052 EUR"),
        (96_000, "0.096 EUR"),
        (250_000, "0.25 EUR"),
        (4_310_000, "4.31 EUR"),
        (1_234_567_891, "1,234.57 EUR"),
    ],
)
def test_money_shows_the_digits_that_count(micros: int, text: str) -> None:
    assert report_words.money(micros, "EUR").replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_chance_that_is_only_tiny_is_never_called_zero() -> None:
    assert report_words.chance(0.0002).startswith("below 0.1")
    assert report_words.chance(0.9999).startswith("above 99.9")


def test_differences_carry_their_sign() -> None:
    assert report_words.points(0.013) == "+1.3\N{NO-BREAK SPACE}points"
    assert report_words.points(-0.002) == "\N{MINUS SIGN}0.20\N{NO-BREAK SPACE}points"
    assert report_words.points(0.0) == "0.0\N{NO-BREAK SPACE}points"


def test_campaigns_paid_in_two_currencies_are_not_added_up() -> None:
    pair = (
        _campaign(1, (1, 2), cost_micros=5, currency="EUR"),
        _campaign(2, (1, 2), cost_micros=5, currency="USD"),
    )
    assert report_words.headline(pair, None).currency == ""


def test_each_mail_says_who_else_was_asked_and_why_not_taken(read: _Page) -> None:
    said = "local (subject) refused: the number 50 is not in the brief Save 50% today"
    assert read.text.count(said) == len(read.mails)


def test_a_mail_with_nothing_to_tell_says_that_its_first_writer_was_taken() -> None:
    mail = dataclasses.replace(
        _mails()[0], attempts=(dataclasses.replace(_mails()[0].attempts[0], outcome="accepted", reason=""),)
    )  # fmt: skip
    text = _Page(render(_lean(_campaign(1, (3, 4), mails=(mail,))))).text
    assert "The first writer that was asked was taken." in text


def test_each_mail_names_the_checks_that_it_passed(read: _Page) -> None:
    assert read.text.count("2 passed (length, claims)") == len(read.mails)


def test_a_campaign_that_is_not_done_says_what_comes_next() -> None:
    waiting = _campaign(1, (41, 63), state="paused", stage="send_rest")
    text = _Page(render(_lean(waiting))).text
    assert "The campaign is paused; its next step is “send rest”." in text
