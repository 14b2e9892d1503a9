"""Puts a few leads into the segments that there are, at once: no fit, and nobody else moves.

The next refresh looks at everybody again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from audience.embed import HashingEmbedder, load_embedder
from audience.language_axis import language_axis, without_language
from audience.profile import profile
from audience.segment import assign, features
from pigeonry.config import Home
from pigeonry.domain.segment import Embedder, Profile, SegmentModel, Vectors
from pigeonry.errors import NotFound
from pigeonry.service.models import place_cached_models
from pigeonry.store import leads as lead_store
from pigeonry.store import segments as store
from pigeonry.store.session import Database


def place_leads(
    db: Database, home: Home, lead_ids: Sequence[int], *, now: datetime
) -> dict[int, int]:
    """The segment of each of these leads that has one now. A lead of whom nothing is known comes to the
    general segment. Before the first fit, or when another model embeds than the one that fitted, nobody
    is placed: that is a refresh's work."""
    with db.read() as session:
        model = store.model(session)
        general = store.general(session)
        found = [profile(lead) for lead in lead_store.by_ids(session, lead_ids)]
    if model is None or not found:
        return {}
    told = [one for one in found if one.text]
    members = [
        store.Membership(one.lead_id, general, 0.0)
        for one in found
        if not one.text and general is not None
    ]
    if told:
        embedder = _embedder(home)
        if embedder.name == model.embedder:
            members += _nearest(db, embedder, model, told, now)
    with db.write() as session:
        store.set_content_hashes(session, {one.lead_id: one.content_hash for one in found})
        store.assign(session, members, version=model.version, at=now)
    return {member.lead_id: member.segment_id for member in members}


def _nearest(
    db: Database, embedder: Embedder, model: SegmentModel, told: Sequence[Profile], now: datetime
) -> list[store.Membership]:
    texts = {one.content_hash: one.text for one in told}
    with db.read() as session:
        known = store.vectors(session, list(texts), embedder.name)
        behaviour = store.behaviour(session, [one.lead_id for one in told], now=now)
    fresh = sorted(texts.keys() - known.keys())
    if fresh:
        rows: Vectors = embedder.encode([texts[digest] for digest in fresh])
        with db.write() as session:
            store.add_vectors(session, fresh, rows, embedder.name)
        known.update(zip(fresh, rows, strict=True))
    vectors = np.array([known[one.content_hash] for one in told], np.float32)
    points = features(without_language(vectors, language_axis(embedder)), behaviour)
    ids, similarity = assign(points, model)
    return [
        store.Membership(one.lead_id, int(segment), float(near))
        for one, segment, near in zip(told, ids, similarity, strict=True)
    ]


def _embedder(home: Home) -> Embedder:
    """As a refresh chooses it: hashed n-grams where the packaged model was never fetched."""
    settings = home.settings.embedding
    try:
        return load_embedder(settings, home.models)
    except NotFound:
        if settings.model:
            raise
    if place_cached_models(home):
        return load_embedder(settings, home.models)
    return HashingEmbedder()
