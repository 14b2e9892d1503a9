"""The one door to language models: litellm behind typed requests, answers and errors.

Owns time-outs, the retry (one owner: the SDK's are off) and our own price. Knows no prompt, brief or
campaign. litellm is imported at the first call: it takes seconds and 170 MB.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from pigeonry.errors import OutsideFailure

ATTEMPTS = 2
LONGEST_ANSWER = 20_000  # characters; a subject line that is longer is an accident
_TRANSIENT = {
    "Timeout", "APITimeoutError", "RateLimitError", "APIConnectionError", "InternalServerError",
    "ServiceUnavailableError", "BadGatewayError",
}  # fmt: skip


class ModelError(OutsideFailure):
    """A model gave no answer. `transient` says whether the same call may succeed later; `calls` how
    often it was asked; `maybe_charged` that a provider may have worked all the same."""

    code = "model"

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        transient: bool = False,
        calls: int = 1,
        maybe_charged: bool = False,
    ) -> None:
        self.calls = calls
        self.maybe_charged = maybe_charged
        super().__init__(
            what,
            where=where,
            fix="the copy library writes instead; see the ledger",
            transient=transient,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a tier's model answers. Prices are per million tokens in `currency`; `api_key` is a
    secret and never shown."""

    model: str
    api_base: str = ""
    api_key: str = field(default="", repr=False)
    price_in: float = 0.0
    price_out: float = 0.0
    currency: str = "EUR"
    timeout_seconds: float = 30.0
    max_tokens: int = 120


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that shapes an answer."""

    system: str
    user: str
    schema: Mapping[str, Any]
    temperature: float = 0.7
    seed: int = 0
    presence_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `cost_micros` is computed from the tokens and our own price."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_micros: int
    seconds: float
    finish_reason: str
    calls: int = 1


def cost_micros(endpoint: Endpoint, tokens_in: int, tokens_out: int) -> int:
    """Millionths of the endpoint's currency, rounded up: a price per million is micros per token."""
    return math.ceil(tokens_in * endpoint.price_in + tokens_out * endpoint.price_out)


def most_micros(endpoint: Endpoint, request: Request) -> int:
    """The most that one call may cost: a token has at least one byte of UTF-8."""
    longest = len((request.system + request.user).encode()) + len(str(request.schema)) + 64
    return cost_micros(endpoint, longest, endpoint.max_tokens)


def complete(
    endpoint: Endpoint,
    request: Request,
    *,
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> Answer:
    """Ask once, and once more after a transient error (full jitter, at most 2 s).

    The time-out holds for each whole attempt, also when a server sends a byte now and then. Raises
    ModelError; never returns a refusal as an answer.
    """
    _litellm()  # its import takes seconds and is nobody's time-out
    for attempt in range(1, attempts + 1):
        started = time.monotonic()
        try:
            response = _within(endpoint.timeout_seconds, lambda: _call(endpoint, request))
            return _answer(response, endpoint, time.monotonic() - started, attempt)
        except ModelError as error:
            error.calls = attempt
            if not error.transient or attempt == attempts:
                raise
            sleep(chance() * min(2.0, 0.25 * 2**attempt))
    raise AssertionError("unreachable")


@lru_cache(maxsize=1)
def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm as module

    litellm: Any = module
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.num_retries = 0
    litellm.drop_params = False
    return litellm


def _call(endpoint: Endpoint, request: Request) -> Any:
    litellm = _litellm()
    host = urlsplit(endpoint.api_base).hostname or ""
    if host in ("127.0.0.1", "localhost", "::1"):
        _without_proxy(host)
    extra = {"presence_penalty": request.presence_penalty} if request.presence_penalty else {}
    try:
        return litellm.completion(
            model=endpoint.model,
            messages=[
                *([{"role": "system", "content": request.system}] if request.system else []),
                {"role": "user", "content": request.user},
            ],
            api_base=endpoint.api_base or None,
            api_key=endpoint.api_key or "none",
            temperature=request.temperature,
            seed=request.seed,
            max_tokens=endpoint.max_tokens,
            timeout=endpoint.timeout_seconds,
            max_retries=0,
            num_retries=0,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "copy", "strict": True, "schema": dict(request.schema)},
            },
            **extra,
        )
    except Exception as error:  # litellm maps every provider's errors to classes of its own
        name = type(error).__name__
        status = getattr(error, "status_code", None)
        transient = name in _TRANSIENT or (
            isinstance(status, int) and (status == 429 or status >= 500)
        )
        said = str(status) if isinstance(status, int) else name
        raise ModelError(
            f"the model's endpoint answered {said} ({name})",
            where=endpoint.model,
            transient=transient,
            maybe_charged="Timeout" in name,
        ) from error


def _answer(response: Any, endpoint: Endpoint, seconds: float, calls: int) -> Answer:
    try:
        choice = response.choices[0]
        text = choice.message.content or ""
        usage = response.usage
        tokens_in, tokens_out = int(usage.prompt_tokens), int(usage.completion_tokens)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ModelError("the model's answer has no text", where=endpoint.model) from error
    if len(text) > LONGEST_ANSWER:
        raise ModelError(f"the answer has {len(text)} characters", where=endpoint.model)
    return Answer(
        text=text,
        model=str(getattr(response, "model", "") or endpoint.model),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_micros=cost_micros(endpoint, tokens_in, tokens_out),
        seconds=seconds,
        finish_reason=str(choice.finish_reason or ""),
        calls=calls,
    )


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Run in a thread and wait no longer than that: the client's own time-out starts anew with every
    byte that arrives."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:  # handed to the waiting thread, which raises it
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name="model-call")
    thread.start()
    thread.join(seconds + 0.5)
    if failure:
        raise failure[0]
    if not result:
        raise ModelError(f"no answer within {seconds:g} s", transient=True, maybe_charged=True)
    return result[0]


def _without_proxy(host: str) -> None:
    """Loopback never goes through a proxy that the environment names."""
    listed = [part for part in os.environ.get("NO_PROXY", "").split(",") if part]
    if host not in listed:
        os.environ["NO_PROXY"] = ",".join([*listed, host])
