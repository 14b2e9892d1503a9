"""Groups of leads alike in what they are and how they behave, and the protocol of an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Text to vectors. `name` changes whenever the vectors would (model, revision, quantisation)."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), dim), rows of unit length, in the given order."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """What is embedded of one lead: its text (no name, address or phone in it) and its content hash."""

    lead_id: int
    text: str
    content_hash: str
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """Engagement of many leads, columns aligned by position; every array has shape (n,).

    Counts are of human events only. `days_since_click` is NaN where nobody ever clicked.
    """

    lead_ids: NDArray[np.int64]
    sent: NDArray[np.float64]
    opened: NDArray[np.float64]
    clicked: NDArray[np.float64]
    unsubscribed: NDArray[np.float64]
    days_since_click: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A named group. `description` and `terms` hold no personal data: they go into prompts."""

    id: int
    name: str
    description: str
    size: int
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SegmentModel:
    """Everything that is needed to assign a lead without a refit.

    `centroids` has shape (k, d) in the joined feature space; `segment_ids` gives row i its stable id.
    """

    version: str
    embedder: str
    segment_ids: tuple[int, ...]
    centroids: Vectors
