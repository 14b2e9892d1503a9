"""The layout in a real browser: nothing sticks out on a small phone, and a thumb can hit the button."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from generation.brief import parse_brief
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Copy, Language
from tests.delivery.world import BRIEF

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: the layout was not looked at"),
]

LONG = Copy(
    subject="Kundenzufriedenheitsuntersuchung",
    preheader="",
    hook="Întrebuințareainstituționalizatăadescoperirilorneașteptate",
    body=("https://example.com/" + "a" * 120, "Un paragraf obișnuit, cu diacritice."),
    cta="Vezi toate detaliile cursului",
)
SCRIPT = """
<script>onload = () => {
  const doc = document.querySelector('iframe').contentDocument;
  const box = selector => doc.querySelector(selector).getBoundingClientRect();
  document.title = JSON.stringify({
    wide: doc.documentElement.scrollWidth, button: box('.button-link').height,
    card: [box('.card').left, box('.card').right],
    size: parseFloat(doc.defaultView.getComputedStyle(doc.querySelector('.text')).fontSize),
    preheader: box('.preheader').height
  });
}</script>
"""


@pytest.mark.parametrize("width", [320, 600, 1000])
def test_nothing_sticks_out_and_the_button_can_be_hit(tmp_path: Path, width: int) -> None:
    brief = parse_brief(BRIEF, where="test")
    wording = replace(
        brief.wording[Language.RO], conditions="c" * 60, place="Str. Foarte Lungă " * 5
    )
    brief = replace(brief, wording={Language.RO: wording})
    mail = compile_mail(LONG, brief, Language.RO, campaign_id=1).render(
        Recipient(1, "a@example.com", "Ana"),
        Links("https://m.example", {1: b"k" * 32}),
        send_key="a" * 32,
        at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    page = tmp_path / "page.html"
    frame = (
        f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(mail.html)}">'
    )
    page.write_text(f"<!doctype html><title>x</title>{SCRIPT}{frame}</iframe>", encoding="utf-8")
    assert BROWSER is not None
    shown = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    title = re.search(r"<title>(\{.*?\})</title>", shown)
    assert title, shown[:500]
    seen = json.loads(html.unescape(title[1]))
    assert seen["wide"] <= width
    assert seen["button"] >= 44  # the smallest target that a thumb hits
    assert seen["size"] >= 16
    assert seen["preheader"] == 0
    assert 0 < seen["card"][0] < seen["card"][1] < width
    assert seen["card"][1] - seen["card"][0] <= 600
