"""The direction in which an embedder tells Romanian from English, so that it can be taken out.

Sentence vectors of a multilingual model still lie partly by language; a segment should be people alike
in what they are, whichever of the two they write.
"""

from __future__ import annotations

import numpy as np

from pigeonry.domain.segment import Embedder, Vectors

# The same profiles twice. Short and plain, as profiles are.
_PAIRS = (
    ("inginer software; tehnologie", "software engineer; technology"),
    ("profesoară; educație", "teacher; education"),
    ("medic; sănătate", "doctor; health care"),
    ("contabil; finanțe", "accountant; finance"),
    ("proprietar de magazin; comerț", "shop owner; retail"),
    ("student; burse, primul job", "student; scholarships, first job"),
    ("fotograf; portofoliu, tarife", "photographer; portfolio, fees"),
    ("bucătar; rețete rapide", "cook; quick recipes"),
    ("avocat; contracte", "lawyer; contracts"),
    ("agricultor; utilaje", "farmer; machinery"),
    ("pensionar; călătorii, grădinărit", "retired; travel, gardening"),
    ("șofer; transport", "driver; transport"),
    ("sport, alergare; Londra", "sport, running; London"),
    ("muzică, concerte; Paris", "music, concerts; Paris"),
    ("copii, școală, teme", "children, school, homework"),
    ("investiții, economii", "investments, savings"),
)  # fmt: skip


def language_axis(embedder: Embedder) -> Vectors:
    """Unit vector of shape (dim,) from English to Romanian, by the mean difference of translations."""
    texts = [text for pair in _PAIRS for text in pair]
    vectors = embedder.encode(texts)
    axis = (vectors[0::2] - vectors[1::2]).mean(axis=0)
    length = float(np.linalg.norm(axis))
    return np.asarray(axis / length if length else np.zeros_like(axis), np.float32)


def without_language(vectors: Vectors, axis: Vectors) -> Vectors:
    """Vectors of shape (n, dim) with the part along the axis taken off; rows keep no unit length."""
    return np.asarray(vectors - np.outer(vectors @ axis, axis), np.float32)
