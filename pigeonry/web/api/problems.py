"""What the API says when something does not work: RFC 9457, the same shape for every error."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from pigeonry.errors import NotFound, OutsideFailure, PigeonryError, Refused

KIND = "application/problem+json"


class Problem(BaseModel):
    """An error. `code` is one of a few words that a program may rely on."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = ""
    where: str = Field("", description="the field, header or id that it is about")
    fix: str = Field("", description="what to do next")


def answer(
    status: int,
    detail: str,
    *,
    code: str = "",
    where: str = "",
    fix: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    said = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        where=where,
        fix=fix,
    )
    return JSONResponse(said.model_dump(), status, dict(headers or {}), KIND)


def of(error: PigeonryError) -> Response:
    """An error of a service."""
    retry = {"Retry-After": "30"} if isinstance(error, OutsideFailure) else {}
    return answer(
        status_of(error),
        error.what,
        code=error.code,
        where=error.where,
        fix=error.fix,
        headers=retry,
    )


def status_of(error: PigeonryError) -> int:
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Refused):
        return 409
    return 503 if isinstance(error, OutsideFailure) else 422


def of_request(error: RequestValidationError) -> Response:
    """A body, a path or a parameter of another shape. What was sent is not sent back."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answer(422, str(first["msg"])[:300], code="shape", where=where)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: these errors, and those that every route may answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {KIND: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({400, 401, 403, 404, 422, 429, 503, *statuses})
    }
