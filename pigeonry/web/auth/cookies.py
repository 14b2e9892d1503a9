"""The three cookies: the sign-in, the chosen language, and what the next page has to say once."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pigeonry.config import Home
from pigeonry.domain import Language
from pigeonry.web.auth.hosts import secure
from pigeonry.web.words import sentences

_YEAR = 31_536_000


def _name(home: Home, name: str) -> str:
    """Behind https no other host can set or read it."""
    return f"__Host-{name}" if secure(home) else name


def token(request: Request, home: Home) -> str:
    return request.cookies.get(_name(home, "pigeonry"), "")


def keep_token(answer: Response, home: Home, value: str) -> None:
    _set(answer, home, "pigeonry", value, None)


def drop_token(answer: Response, home: Home) -> None:
    _set(answer, home, "pigeonry", "", 0)


def language(request: Request, home: Home) -> Language | None:
    chosen = request.cookies.get(_name(home, "language"), "")
    return Language(chosen) if chosen in set(Language) else None


def keep_language(answer: Response, home: Home, chosen: Language) -> None:
    _set(answer, home, "language", chosen.value, _YEAR)


def said(request: Request, home: Home) -> tuple[str, dict[str, str | int], bool] | None:
    """The sentence that the page before wanted said: its key, its values, whether it is bad news. Only
    sentences of ours: whoever forges the cookie shows a marketer nothing new."""
    raw = request.cookies.get(_name(home, "said"), "")
    if not raw:
        return None
    try:
        key, values, bad = json.loads(base64.urlsafe_b64decode(raw[:2000]))
        if key not in sentences() or not isinstance(values, dict):
            return None
        plain = {str(k): v for k, v in values.items() if isinstance(v, str | int)}
        return str(key), plain, bool(bad)
    except (ValueError, TypeError):
        return None


def say_next(
    answer: Response, home: Home, key: str, values: Mapping[str, str | int], *, bad: bool
) -> None:
    whole = json.dumps([key, dict(values), bad]).encode()
    _set(answer, home, "said", base64.urlsafe_b64encode(whole).decode(), 60)


def drop_said(answer: Response, home: Home) -> None:
    _set(answer, home, "said", "", 0)


def _set(answer: Response, home: Home, name: str, value: str, age: int | None) -> None:
    answer.set_cookie(
        _name(home, name),
        value,
        max_age=age,
        path="/",
        secure=secure(home),
        httponly=True,
        samesite="lax",
    )
