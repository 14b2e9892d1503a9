"""Weights come out of the packed file as they went in, and wrong files are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from audience.weights import PackedEncoder, bert_names
from pigeonry.errors import BadInput


def packed(path: Path, blocks: np.ndarray, scales: np.ndarray, vector: np.ndarray) -> Path:  # type: ignore[type-arg]
    """A file of one word matrix and one vector; three pieces; one replaced character."""
    pieces = [b"<s>", b"<pad>", b"</s>"]
    head = b"E5S1" + struct.pack("<i7if6iQ", 1, 32, 1, 1, 64, len(blocks), 4, 1, 1e-12,
                                 32, len(pieces), 0, 2, 1, 1, sum(map(len, pieces)))  # fmt: skip
    offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4").tobytes()
    body = offsets + np.zeros(len(pieces), "<f4").tobytes() + b"".join(pieces)
    body += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x200B, 1, 0x20)
    words = b"".join(
        struct.pack("<e", scale) + bytes(int(low) | int(high) << 4 for low, high in zip(row[:16], row[16:], strict=True))
        for row, scale in zip(blocks, scales, strict=True)
    )  # fmt: skip
    names = (b"emb.word", b"emb.ln.w")
    start = len(head) + len(body) + 4 + sum(2 + len(name) + 21 for name in names)
    directory = struct.pack("<i", 2)
    for name, kind, count, offset, size in (
        (names[0], 1, blocks.size, start, len(words)),
        (names[1], 0, vector.size, start + len(words), vector.nbytes),
    ):
        directory += struct.pack("<H", len(name)) + name
        directory += struct.pack("<BIQQ", kind, count, offset, size)
    path.write_bytes(head + body + directory + words + vector.astype("<f4").tobytes())
    return path


def test_four_bit_rows_and_vectors_are_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 16, (5, 32))
    scales = np.array([0.5, 1.0, 0.25, 2.0, 0.125])
    vector = rng.normal(size=32).astype(np.float32)
    encoder = PackedEncoder(packed(tmp_path / "w.bin", blocks, scales, vector))
    assert np.array_equal(encoder.rows("emb.word"), (blocks - 8) * scales[:, None])
    assert np.array_equal(encoder.rows("emb.word", 2, 4), ((blocks - 8) * scales[:, None])[2:4])
    assert np.array_equal(encoder.vector("emb.ln.w"), vector)
    assert encoder.dimensions("emb.word") == (5, 32)
    assert encoder.tokens.pieces == ("<s>", "<pad>", "</s>")
    assert encoder.tokens.replaced == {"\u200b": " "}


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BadInput, match="not the weights file"):
        PackedEncoder(path)


def test_every_tensor_has_a_name_of_its_own_in_bert() -> None:
    names = bert_names(12)
    assert len(names) == 5 + 12 * 16 == len(set(names.values()))
