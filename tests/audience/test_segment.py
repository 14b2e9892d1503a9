"""Clusters are found, keep their ids, take new leads without a refit, and work for three leads too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience.segment import assign, features, fit, map_2d, match, match_by_members, nearest
from pigeonry.config import SegmentSettings
from pigeonry.domain.segment import Behaviour, SegmentModel, Vectors

SETTINGS = SegmentSettings()


def blobs(groups: int, each: int, seed: int = 0, spread: float = 0.05) -> Vectors:
    """Groups of unit vectors around orthogonal axes, one after the other."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(16, dtype=np.float32)[:groups], each, axis=0)
    points = centres + rng.normal(0, spread, (groups * each, 16)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def behaviour(sent: list[float], clicked: list[float]) -> Behaviour:
    zeros = np.zeros(len(sent))
    return Behaviour(
        np.arange(len(sent)), np.array(sent), zeros, np.array(clicked), zeros, zeros * np.nan
    )


@pytest.mark.parametrize("groups", [3, 5, 7])
def test_it_finds_as_many_segments_as_there_are_groups(groups: int) -> None:
    found = fit(blobs(groups, 80), SETTINGS, seed=1)
    assert len(found.centroids) == groups
    assert all(len(set(found.labels[g * 80 : (g + 1) * 80])) == 1 for g in range(groups))


def test_the_same_seed_gives_the_same_fit() -> None:
    points = blobs(4, 60, spread=0.3)
    first, second = (fit(points, SETTINGS, seed=3) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)


@given(st.integers(1, 12), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_any_small_audience_is_segmented(leads: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(leads, 8)).astype(np.float32)
    found = fit(points, SETTINGS, seed=seed)
    assert found.labels.shape == (leads,)
    assert set(found.labels) <= set(range(len(found.centroids)))


def test_leads_that_are_all_alike_are_one_segment() -> None:
    assert len(fit(np.ones((50, 8), np.float32), SETTINGS, seed=1).centroids) == 1


def test_a_warm_refit_on_nearly_the_same_leads_keeps_every_id() -> None:
    points = blobs(5, 80, spread=0.2)
    first = fit(points, SETTINGS, seed=1)
    again = fit(points[20:], SETTINGS, seed=9, warm=first.centroids)
    kept = match(again.centroids, first.centroids, (11, 12, 13, 14, 15), 0.8)
    assert sorted(segment or 0 for segment in kept) == [11, 12, 13, 14, 15]


def test_ids_follow_their_cluster_in_whatever_order_the_clusters_come() -> None:
    old = blobs(4, 1)
    assert match(old[[2, 0, 3, 1]], old, (1, 2, 3, 4), 0.8) == (3, 1, 4, 2)


def test_a_cluster_that_is_nowhere_near_an_old_one_gets_a_new_id() -> None:
    old, new = blobs(4, 1), blobs(5, 1)[[0, 1, 2, 4]]
    assert match(new, old, (1, 2, 3, 4), 0.8) == (1, 2, 3, None)


def test_sentence_vectors_that_all_point_one_way_are_still_told_apart() -> None:
    common = np.full(16, 3.0, np.float32)
    old, new = blobs(4, 1) + common, blobs(5, 1)[[0, 1, 2, 4]] + common
    assert match(new, old, (1, 2, 3, 4), 0.8)[3] is None


def test_after_a_change_of_embedder_an_id_stays_with_its_members() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] * 10)
    before = [7] * 9 + [8] + [8] * 10 + [None] * 10
    assert match_by_members(labels, 3, before) == (7, 8, None)


def test_a_new_lead_is_assigned_to_the_nearest_segment_without_a_refit() -> None:
    model = SegmentModel("v", "e", (40, 41, 42), blobs(3, 1))
    ids, similarity = assign(blobs(3, 2, seed=5), model)
    assert ids.tolist() == [40, 40, 41, 41, 42, 42]
    assert (similarity > 0.9).all()


def test_behaviour_moves_nobody_who_was_never_written_to() -> None:
    vectors = blobs(2, 2)
    assert np.array_equal(features(vectors, behaviour([0] * 4, [0] * 4)), features(vectors, None))


def test_those_who_click_are_set_apart_from_those_who_do_not() -> None:
    vectors = np.repeat(blobs(1, 1), 40, axis=0)
    points = features(vectors, behaviour([10] * 40, [8] * 20 + [0] * 20))
    labels = fit(points, SegmentSettings(k_min=2), seed=1).labels
    assert set(labels[:20]).isdisjoint(labels[20:])


def test_nearest_agrees_with_plain_distances() -> None:
    points, centroids = blobs(4, 10, spread=0.4), blobs(4, 1, seed=2)
    distances = ((points[:, None] - centroids[None]) ** 2).sum(axis=2)
    assert np.array_equal(nearest(points, centroids)[0], distances.argmin(axis=1))


def test_a_map_has_two_coordinates_for_each_lead_and_keeps_groups_apart() -> None:
    flat = map_2d(blobs(3, 30))
    assert flat.shape == (90, 2)
    centres = [flat[g * 30 : (g + 1) * 30].mean(axis=0) for g in range(3)]
    assert min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 0.5
    assert map_2d(np.ones((1, 8), np.float32)).shape == (1, 2)
