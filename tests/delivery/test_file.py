"""Mails as files: whole or not there at all, and always able to say which."""

from __future__ import annotations

import os
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from pigeonry.delivery.file import FileSender
from pigeonry.domain import Outcome
from tests.delivery.sinks import outgoing


def test_a_mail_is_one_file_named_after_its_key(tmp_path: Path) -> None:
    sender = FileSender(tmp_path)
    assert sender.hand_over(outgoing(1)).outcome is Outcome.ACCEPTED
    files = list(tmp_path.rglob("*.eml"))
    assert files == [tmp_path / "campaign-7" / f"{1:032x}.eml"]
    found = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert found["X-Pigeonry-Key"] == f"{1:032x}"
    assert sender.evidence(f"{1:032x}") is True


def test_a_key_that_was_never_written_certainly_was_not(tmp_path: Path) -> None:
    assert FileSender(tmp_path / "none").evidence("a" * 32) is False
    sender = FileSender(tmp_path)
    sender.hand_over(outgoing(1))
    assert sender.evidence("b" * 32) is False


def test_what_an_interrupted_write_left_is_no_mail_and_is_removed(tmp_path: Path) -> None:
    sender = FileSender(tmp_path)
    sender.hand_over(outgoing(1))
    rest = tmp_path / "campaign-7" / ".unfinished" / f"{2:032x}-abcd"
    rest.write_bytes(b"half")
    assert sender.evidence(f"{2:032x}") is False
    assert not rest.exists()
    assert sender.evidence(f"{1:032x}") is True


def test_a_file_that_a_power_cut_left_empty_is_no_mail(tmp_path: Path) -> None:
    sender = FileSender(tmp_path)
    sender.hand_over(outgoing(1))
    path = tmp_path / "campaign-7" / f"{1:032x}.eml"
    path.write_bytes(path.read_bytes()[:100])
    assert sender.evidence(f"{1:032x}") is False
    assert not path.exists()


def test_a_second_hand_over_of_a_key_is_the_same_file(tmp_path: Path) -> None:
    sender = FileSender(tmp_path)
    for _ in range(2):
        assert sender.hand_over(outgoing(1)).outcome is Outcome.ACCEPTED
    assert len(list(tmp_path.rglob("*.eml"))) == 1


def test_trouble_with_the_disk_is_the_channels_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    sender = FileSender(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    result = sender.hand_over(outgoing(1))
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert "No space left" in result.reason
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert sender.hand_over(outgoing(1)).outcome is Outcome.ACCEPTED
