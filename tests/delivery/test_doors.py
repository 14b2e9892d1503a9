"""Mail has no other way out than the senders, and those are asked only behind a fence."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("audience", "feedback", "flows", "generation", "pigeonry", "scoring")
DOORS = {
    "smtplib": {"pigeonry/delivery/smtp.py"},
    "sendgrid": {"pigeonry/delivery/sendgrid.py"},
    "python_http_client": {"pigeonry/delivery/sendgrid.py"},
    "pigeonry.delivery.exchange": {"pigeonry/delivery/sendgrid.py"},
    "pigeonry.delivery.wire": {"pigeonry/delivery/smtp.py", "pigeonry/delivery/exchange.py"},
}
# Whoever may call `hand_over`: each records its intent, durably, before it does.
BEHIND_A_FENCE = {
    "pigeonry/service/dispatch.py",
    "pigeonry/service/opt_in_mails.py",
    "pigeonry/delivery/failover.py",
}


@cache
def trees() -> dict[str, ast.Module]:
    paths = (path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 2)}


@pytest.mark.parametrize("module", DOORS)
def test_only_the_senders_open_connections_to_providers(module: str) -> None:
    assert {path for path, tree in trees().items() if module in imported(tree)} == DOORS[module]


def test_only_what_stands_behind_a_fence_hands_over() -> None:
    calling = {
        path
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "hand_over"
    }
    assert calling <= BEHIND_A_FENCE
