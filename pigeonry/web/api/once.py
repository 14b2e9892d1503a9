"""A creation that is sent again with the same Idempotency-Key happens once and is answered alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Response
from pydantic import BaseModel

from pigeonry.service import api_tokens
from pigeonry.web.api.routes import Call

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key again, within a day: nothing is made twice",
    ),
]


def once(
    call: Call,
    key: str | None,
    what: str,
    body: BaseModel,
    answer: Response,
    make: Callable[[], tuple[int, str]],
) -> str:
    """Run `make`, which returns a status and the id of what it made, unless that was done under this key
    before. Returns the id, and sets the answer's status."""
    if key is None:
        status, made = make()
        answer.status_code = status
        return made
    request = f"{what}\n{body.model_dump_json()}".encode()
    known = api_tokens.begin_once(call.db, call.who, key, request, now=call.now)
    if known is not None:
        answer.status_code = known.status
        answer.headers["Idempotent-Replayed"] = "true"
        return known.made
    status, made = 0, ""
    try:
        status, made = make()
    finally:
        api_tokens.ended(call.db, call.who, key, status=status, made=made, now=call.now)
    answer.status_code = status
    return made
