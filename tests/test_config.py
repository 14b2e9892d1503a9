"""Settings: defaults, overrides, and errors that name the key."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pigeonry.config import Home, Settings, load_home
from pigeonry.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    (folder / "pigeonry.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_home_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={})
    assert home.settings.sending.channel == "file"
    assert home.database_url == f"sqlite:///{tmp_path / 'pigeonry.db'}"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, "[sending]\nbatch = 7\n")
    assert load_home(tmp_path, env={}).settings.sending.batch == 7
    env = {"PIGEONRY_SENDING__BATCH": "9", "PIGEONRY_LLM__ALLOWED_REGIONS": "eu, ro"}
    settings = load_home(tmp_path, env=env).settings
    assert settings.sending.batch == 9
    assert settings.llm.allowed_regions == ("eu", "ro")


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    write(tmp_path, "[sending]\nbach = 7\n")
    with pytest.raises(
        ConfigError, match=r"unknown key 'sending\.bach' \(did you mean 'batch'\?\)"
    ):
        load_home(tmp_path, env={})


def test_an_unknown_key_of_a_tier_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    write(tmp_path, '[[llm.tiers]]\nname = "a"\nmodel = "b"\nprice_inn = 1\n')
    with pytest.raises(ConfigError, match=r"did you mean 'price_in'"):
        load_home(tmp_path, env={})


def test_an_unknown_section_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'sending'"):
        load_home(tmp_path, env={"PIGEONRY_SENDNG__BATCH": "1"})


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    write(tmp_path, '[sending]\nbatch = 0\nchannel = "pigeon"\n[nonsense]\n')
    with pytest.raises(ConfigError) as caught:
        load_home(tmp_path, env={})
    for part in ("sending.batch", "sending.channel", "nonsense"):
        assert part in str(caught.value)


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "[sending\n")
    with pytest.raises(ConfigError, match="line 1"):
        load_home(tmp_path, env={})


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = load_home(tmp_path, env={})
    first = home.secret("links.key")
    assert len(first) == 32
    assert home.secret("links.key") == first
    assert home.secret("other.key") != first
    assert stat.S_IMODE((tmp_path / "secrets" / "links.key").stat().st_mode) == 0o600


def test_a_secret_that_many_ask_for_at_once_is_one_and_whole(tmp_path: Path) -> None:
    home = Home(tmp_path, Settings())
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda _, name=f"key{number}": home.secret(name), range(8)))
        assert [len(secret) for secret in found] == [32]
    assert not [path for path in (tmp_path / "secrets").iterdir() if path.name.startswith(".")]
