"""Groups of leads: features, fit, ids that outlive a refit, and assignment without one.

Pure: vectors and behaviour in, labels out; the seed is passed in. Knows no database and no names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeonry.config import SegmentSettings
from pigeonry.domain.segment import Behaviour, SegmentModel, Vectors

Labels = NDArray[np.int64]

BEHAVIOUR_COLUMNS = 4
# Squared distances between unrelated e5 texts are about 0.34; somebody who clicks everything is then
# as far from somebody who clicks nothing as two quite different profiles are from each other.
_BEHAVIOUR_WEIGHT = 0.4
_PRIOR_SENT = 4.0  # mails before a rate is believed by half
_RECENT_DAYS = 60.0
_SCORED = 1500  # leads of a silhouette: it grows with their square
_TRIED = 6000  # leads of the fits that only choose k
_AXES = 48  # of those fits: beyond these axes there is next to no spread, and they cost eightfold
_RUNS = 5  # k-means ends in the nearest dip; the tightest of a few runs is kept
_FEWEST = 4  # leads for each segment, at least, of those that are tried
_DISSOLVED = 0.01  # a cluster of a smaller share is no audience
_KEEPS_K = 1.1  # another number of segments has to be this much better than the present one
_SAME_MEMBERS = (
    0.5  # overlap (Jaccard) above which a cluster keeps an id though the embedder changed
)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Clusters without ids. `centroids` has shape (k, d), `labels` (n,); `tried` says for each k what
    its silhouette and its stability (adjusted Rand index between halves) were."""

    centroids: Vectors
    labels: Labels
    tried: Mapping[int, tuple[float, float]]


def features(vectors: Vectors, behaviour: Behaviour | None) -> Vectors:
    """Vectors with four scaled columns of behaviour beside them: shape (n, dim + 4).

    The scaling is fixed, so that a lead can be assigned years after the fit. Nobody who was never
    written to differs from another by behaviour.
    """
    beside = np.zeros((len(vectors), BEHAVIOUR_COLUMNS), np.float32)
    if behaviour is not None and len(vectors):
        trust = behaviour.sent + _PRIOR_SENT
        recent = np.exp(-np.nan_to_num(behaviour.days_since_click, nan=np.inf) / _RECENT_DAYS)
        beside[:, 0] = behaviour.opened / trust
        beside[:, 1] = behaviour.clicked / trust
        beside[:, 2] = recent
        beside[:, 3] = behaviour.unsubscribed > 0
    return np.hstack([vectors, _BEHAVIOUR_WEIGHT * beside]).astype(np.float32)


def fit(
    points: Vectors, settings: SegmentSettings, *, seed: int, warm: Vectors | None = None
) -> Fit:
    """Cluster points of shape (n, d), n >= 1. `warm` are the centroids of the last fit, if any: their
    number is kept unless another is clearly better, and the search begins at them.

    One thread: on a busy machine the threads of these small fits mostly wait for each other.
    """
    import sklearn.cluster
    import sklearn.metrics  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return _fit(points, settings, seed, warm)


def _fit(points: Vectors, settings: SegmentSettings, seed: int, warm: Vectors | None) -> Fit:
    distinct = len(np.unique(points[:_SCORED].round(4), axis=0)) if len(points) else 0
    most = max(1, min(settings.k_max, distinct, len(points) // _FEWEST))
    least = min(settings.k_min, most)
    tried = _try(points, range(least, most + 1), seed)
    k = _best(tried, None if warm is None else len(warm))
    start = warm if warm is not None and len(warm) == k else None
    centroids = _dissolve(_cluster(points, k, seed, start), points, least)
    return Fit(centroids, nearest(points, centroids)[0], tried)


def nearest(points: Vectors, centroids: Vectors) -> tuple[Labels, NDArray[np.float32]]:
    """For each point the row of its centroid, and its cosine to it; shapes (n,)."""
    closeness = points @ centroids.T - 0.5 * (centroids**2).sum(axis=1)
    labels = closeness.argmax(axis=1).astype(np.int64)
    chosen = centroids[labels]
    lengths = np.linalg.norm(points, axis=1) * np.linalg.norm(chosen, axis=1)
    return labels, (points * chosen).sum(axis=1) / np.maximum(lengths, 1e-12)


def assign(points: Vectors, model: SegmentModel) -> tuple[Labels, NDArray[np.float32]]:
    """Stable segment ids and cosines of points of shape (n, d), without a refit."""
    rows, similarity = nearest(points, model.centroids)
    return np.asarray(model.segment_ids, np.int64)[rows], similarity


def match(
    centroids: Vectors, old: Vectors, old_ids: Sequence[int], floor: float
) -> tuple[int | None, ...]:
    """For each new centroid the id it keeps, or None for a new one.

    Pairs by the best total cosine (Hungarian method) after the mean of the old centroids is taken off
    both: sentence vectors all point roughly one way, so that raw cosines could not tell segments apart.
    """
    if len(old) == 0 or old.shape[1] != centroids.shape[1]:
        return (None,) * len(centroids)
    if len(old) == 1 and len(centroids) == 1:
        return (old_ids[0],)
    from scipy.optimize import linear_sum_assignment

    middle = old.mean(axis=0)
    cosine = _directions(centroids - middle) @ _directions(old - middle).T
    kept: list[int | None] = [None] * len(centroids)
    for new, before in zip(*linear_sum_assignment(-cosine), strict=True):
        if cosine[new, before] >= floor:
            kept[new] = old_ids[before]
    return tuple(kept)


def match_by_members(
    labels: Labels, k: int, before: Sequence[int | None]
) -> tuple[int | None, ...]:
    """The same for another embedder, whose centroids cannot be compared: by who is in a cluster.

    `before` holds the old segment id of each lead. An id is kept by the cluster that shares at least
    half of the united members with it.
    """
    old_ids = sorted({segment for segment in before if segment is not None})
    previous = np.array([-1 if segment is None else segment for segment in before], np.int64)
    kept: list[int | None] = [None] * k
    for segment in old_ids:
        was = previous == segment
        for cluster in range(k):
            now = labels == cluster
            united = int((was | now).sum())
            if united and int((was & now).sum()) / united > _SAME_MEMBERS:
                kept[cluster] = segment
    return tuple(kept)


def map_2d(points: Vectors) -> NDArray[np.float64]:
    """Two principal axes of points of shape (n, d): shape (n, 2)."""
    if len(points) < 2:
        return np.zeros((len(points), 2))
    flat = _principal(points, 2)
    # An axis has no sign of its own: the largest coordinate points right, so that maps stay alike.
    signs = np.where(flat[np.abs(flat).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    return np.asarray(flat * signs, np.float64)


def _principal(points: Vectors, dimensions: int) -> NDArray[np.float64]:
    """Points of shape (n, d) on their first principal axes: shape (n, dimensions)."""
    centred = points.astype(np.float64) - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred.T @ centred)
    return np.asarray(centred @ axes[:dimensions].T, np.float64)


def _try(points: Vectors, candidates: range, seed: int) -> dict[int, tuple[float, float]]:
    """Silhouette on a sample, and how alike two fits on different halves label that sample."""
    if len(candidates) == 1 or len(points) < 2 * _FEWEST:
        return {candidates.start: (0.0, 0.0)}
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    rng = np.random.default_rng(seed)
    few = _principal(points[rng.permutation(len(points))[:_TRIED]], _AXES).astype(np.float32)
    halves, scored = (few[::2], few[1::2]), few[:_SCORED]
    found: dict[int, tuple[float, float]] = {}
    for k in candidates:
        if k == 1:
            found[k] = (0.0, 1.0)
            continue
        first, second = (
            nearest(scored, _cluster(half, min(k, len(half)), seed + _RUNS * side))[0]
            for side, half in enumerate(halves)
        )
        spread = len(np.unique(first))
        silhouette = float(silhouette_score(scored, first)) if 1 < spread < len(scored) else 0.0
        found[k] = (silhouette, float(adjusted_rand_score(first, second)))
    return found


def _best(tried: Mapping[int, tuple[float, float]], present: int | None) -> int:
    """The k with the largest silhouette x stability; the present one unless that is clearly worse."""
    worth = {k: silhouette * max(stable, 0.0) for k, (silhouette, stable) in tried.items()}
    best = max(worth, key=lambda k: (worth[k], -k))
    if present in worth and worth[best] <= _KEEPS_K * max(worth[present], 0.0):
        return present
    return best


def _cluster(points: Vectors, k: int, seed: int, start: Vectors | None = None) -> Vectors:
    """Centroids of shape (k, d): the tightest of several runs, or one that begins at `start`."""
    import warnings

    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than k
        runs = [
            MiniBatchKMeans(
                n_clusters=k,
                init="k-means++" if start is None else start,
                n_init=1,
                batch_size=1024,
                max_iter=50,
                random_state=seed + run,
            ).fit(points)
            for run in range(_RUNS if start is None else 1)
        ]
    return np.asarray(min(runs, key=lambda run: run.inertia_).cluster_centers_, np.float32)


def _dissolve(centroids: Vectors, points: Vectors, least: int) -> Vectors:
    """Centroids without those that hardly anybody is near, but never fewer than `least`."""
    labels, _ = nearest(points, centroids)
    shares = np.bincount(labels, minlength=len(centroids)) / max(1, len(points))
    order = np.argsort(-shares, kind="stable")
    kept = [row for place, row in enumerate(order) if place < least or shares[row] >= _DISSOLVED]
    return centroids[sorted(row for row in kept if shares[row] > 0)]


def _directions(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
