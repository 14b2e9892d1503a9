"""Writes the packaged encoder as one int8 ONNX graph: tokens in, unit vectors out.

Built node by node rather than traced, so that it needs neither torch nor an exporter, and so that the
few channels which ruin 8-bit activations can be treated apart (docs/decisions/0007).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audience.weights import Floats, PackedEncoder

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

OPSET = 18
_MICROSOFT = "com.microsoft"
# 7 bits of weight: without VNNI the 8-bit kernel adds two products in 16 bits and would saturate.
_WEIGHT_MAX = 63

# Activation outliers of multilingual-e5-small, measured over 484 Romanian and English sentences. A
# feed-forward channel here reaches 7 to 70 where every other one stays below 6; one scale for the whole
# tensor would leave the others a few steps. It is computed in float32 beside the int8 product.
FEED_FORWARD_OUTLIERS: tuple[tuple[int, ...], ...] = (
    (318,), (1462,), (354,), (408,), (778,), (658,), (1152,), (413,), (), (), (), (),
)  # fmt: skip
# Channels of the input of each feed-forward block with their largest value (others stay below 6). They
# are divided by `min(4, largest / 5)` and their weights multiplied by it (SmoothQuant, arXiv 2211.10438).
HIDDEN_OUTLIERS: tuple[dict[int, float], ...] = (
    {321: 20.0, 60: 11.5, 15: 10.2, 87: 9.9},
    {15: 31.6, 321: 16.5, 87: 6.6, 146: 6.2},
    {15: 31.0, 321: 11.9, 146: 6.1},
    {15: 36.3, 321: 9.9, 146: 6.4},
    {15: 20.2, 321: 7.6, 146: 6.4},
    {35: 26.3, 15: 9.2},
    {35: 43.7, 15: 9.9},
    {35: 31.4, 15: 10.5},
    {35: 33.3, 15: 11.0},
    {35: 25.5, 15: 11.1, 351: 6.8},
    {35: 23.3, 351: 9.2, 15: 8.6},
    {35: 6.5},
)
_SMOOTH_MOST = 4.0


class _Graph:
    """Nodes and constants in the order they were added; names are numbers."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self, kind: str, inputs: list[str], *, outputs: int = 1, domain: str = "", **given: Any
    ) -> list[str]:
        from onnx import helper

        names = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **given))
        return names

    def one(self, kind: str, *inputs: str, domain: str = "", **given: Any) -> str:
        return self.add(kind, list(inputs), domain=domain, **given)[0]


def write_onnx(encoder: PackedEncoder, path: Path) -> None:
    """Write the graph. Inputs `input_ids`, `attention_mask`: int64 (texts, tokens); output
    `sentence_embedding`: float32 (texts, hidden), rows of unit length (mean over unmasked tokens)."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    x = _embed(graph, encoder)
    mask = graph.one("Cast", "attention_mask", to=TensorProto.INT32)
    for layer in range(encoder.shape.layers):
        x = _attention(graph, encoder, layer, x, mask)
        x = _feed_forward(graph, encoder, layer, x)
    _pool(graph, x)
    int64 = TensorProto.INT64
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "multilingual-e5-small",
            [
                helper.make_tensor_value_info("input_ids", int64, ["texts", "tokens"]),
                helper.make_tensor_value_info("attention_mask", int64, ["texts", "tokens"]),
            ],
            [
                helper.make_tensor_value_info(
                    "sentence_embedding", TensorProto.FLOAT, ["texts", encoder.shape.hidden]
                )
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)],
        ir_version=10,
        producer_name="pigeonry",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _embed(graph: _Graph, encoder: PackedEncoder) -> str:
    """Word rows stay 4-bit, exactly as they came; positions and the one token type are added."""
    values, scales = encoder.blocks("emb.word")
    packed = (values[..., 0::2] | (values[..., 1::2] << 4)).astype(np.uint8)
    words = graph.one(
        "GatherBlockQuantized",
        graph.constant(packed.reshape(len(packed), -1)),
        "input_ids",
        graph.constant(scales.astype(np.float32)),
        domain=_MICROSOFT,
        bits=4,
        block_size=values.shape[-1],
        gather_axis=0,
        quantize_axis=1,
    )
    zero = graph.constant(np.array([0], np.int64))
    length = graph.one("Shape", "input_ids", start=1, end=2)
    places = graph.one(
        "Slice",
        graph.constant(encoder.rows("emb.pos") + encoder.rows("emb.type", 0, 1)),
        zero,
        length,
        zero,
    )
    return _normalise(graph, encoder, "emb.ln", graph.one("Add", words, places))


def _attention(graph: _Graph, encoder: PackedEncoder, layer: int, x: str, mask: str) -> str:
    name = f"l{layer}."
    joined = np.vstack([encoder.rows(f"{name}{part}.w") for part in "qkv"])
    bias = np.concatenate([encoder.vector(f"{name}{part}.b") for part in "qkv"])
    q, k, v = graph.add(
        "Split", [_int8_product(graph, x, joined)], outputs=3, axis=-1, num_outputs=3
    )
    context = graph.one(
        "MultiHeadAttention",
        q,
        k,
        v,
        graph.constant(bias),
        mask,
        domain=_MICROSOFT,
        num_heads=encoder.shape.heads,
    )
    out = _int8_product(graph, context, encoder.rows(f"{name}ao.w"))
    out = graph.one("Add", out, graph.constant(encoder.vector(f"{name}ao.b")))
    return _normalise(graph, encoder, f"{name}aln", graph.one("Add", out, x))


def _feed_forward(graph: _Graph, encoder: PackedEncoder, layer: int, x: str) -> str:
    name = f"l{layer}."
    into, bias = encoder.rows(f"{name}fi.w"), encoder.vector(f"{name}fi.b")
    out = encoder.rows(f"{name}fo.w")
    rest = x
    apart = list(FEED_FORWARD_OUTLIERS[layer])
    if apart:
        exact = graph.one("MatMul", x, graph.constant(into[apart].T))
        exact = graph.one("BiasGelu", exact, graph.constant(bias[apart]), domain=_MICROSOFT)
        exact = graph.one("MatMul", exact, graph.constant(out[:, apart].T))
        rest = graph.one("Add", x, exact)
        into[apart], bias[apart], out[:, apart] = 0.0, 0.0, 0.0
    smooth = np.ones(encoder.shape.hidden, np.float32)
    for channel, largest in HIDDEN_OUTLIERS[layer].items():
        smooth[channel] = min(_SMOOTH_MOST, largest / 5.0)
    calm = graph.one("Mul", x, graph.constant(1.0 / smooth))
    middle = _int8_product(graph, calm, into * smooth)
    middle = graph.one("BiasGelu", middle, graph.constant(bias), domain=_MICROSOFT)
    product = _int8_product(graph, middle, out)
    product = graph.one("Add", product, graph.constant(encoder.vector(f"{name}fo.b")))
    return _normalise(graph, encoder, f"{name}oln", graph.one("Add", product, rest))


def _int8_product(graph: _Graph, x: str, weights: Floats) -> str:
    """x @ weights.T; activations quantised on the fly, weights with one scale an output channel."""
    scale = np.maximum(np.abs(weights).max(axis=1) / _WEIGHT_MAX, 1e-12).astype(np.float32)
    whole = np.clip(np.rint(weights / scale[:, None]), -_WEIGHT_MAX, _WEIGHT_MAX)
    quantised, x_scale, x_zero = graph.add("DynamicQuantizeLinear", [x], outputs=3)
    return graph.one(
        "MatMulIntegerToFloat",
        quantised,
        graph.constant(whole.astype(np.int8).T),
        x_scale,
        graph.constant(scale),
        x_zero,
        domain=_MICROSOFT,
    )


def _normalise(graph: _Graph, encoder: PackedEncoder, name: str, x: str) -> str:
    return graph.one(
        "LayerNormalization",
        x,
        graph.constant(encoder.vector(f"{name}.w")),
        graph.constant(encoder.vector(f"{name}.b")),
        axis=-1,
        epsilon=encoder.epsilon,
    )


def _pool(graph: _Graph, x: str) -> None:
    """The mean over tokens points where their sum points, so the sum is normalised."""
    from onnx import TensorProto

    one = graph.constant(np.array([1], np.int64))
    weights = graph.one("Unsqueeze", graph.one("Cast", "attention_mask", to=TensorProto.FLOAT), one)
    total = graph.one("Squeeze", graph.one("MatMul", weights, x), one)
    graph.one("LpNormalization", total, axis=-1, p=2)
    graph.nodes[-1].output[0] = "sentence_embedding"
