"""Keeps segments up to date: embeds what changed, fits when it is due, puts every lead somewhere.

Streams: the vectors of all leads never stand in memory, only those of one batch and of a sample.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audience.embed import HashingEmbedder, load_embedder
from audience.language_axis import language_axis, without_language
from audience.naming import GENERAL, name_segments
from audience.profile import profile
from audience.segment import assign, features, fit, map_2d, match, match_by_members
from audience.traits import traits
from pigeonry.config import Home
from pigeonry.domain import Lead
from pigeonry.domain.progress import Progress, silent
from pigeonry.domain.segment import Embedder, Profile, Segment, SegmentModel, Vectors
from pigeonry.errors import NotFound
from pigeonry.service.models import place_cached_models
from pigeonry.store import leads as lead_store
from pigeonry.store import segments as store
from pigeonry.store import summaries
from pigeonry.store.session import Database, Session

_BATCH = 2000  # leads that are embedded or assigned in one step
_PART = 500  # texts between two signs of progress
_NEW_SHARE = 0.2  # of all leads: with more than that new, the old fit no longer speaks for them
_MAPPED = 1500  # leads on the map
_SEED = 20_231  # any number: the same leads give the same segments
_GENERAL_WORDS = "Leads of whom nothing is known yet but their address."


@dataclass(frozen=True, slots=True)
class SegmentsReport:
    """`assigned` counts leads that had no segment before, `moved` those that changed theirs, `embedded`
    the profiles that went through the model, `reused` the leads that needed no model. `note` says what
    a person should know, e.g. that the model has not been fetched."""

    segments: tuple[Segment, ...]
    moved: int
    assigned: int
    embedded: int
    reused: int
    model: str
    embedder: str
    refit: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMap:
    """Leads on two principal axes; arrays of shape (n,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    segment_ids: NDArray[np.int64]


@dataclass(frozen=True)
class _Space:
    """An embedder and the direction of language in its space, worked out once when it is needed."""

    embedder: Embedder

    @cached_property
    def axis(self) -> Vectors:
        return language_axis(self.embedder)

    def points(self, session: Session, found: Sequence[Profile], now: datetime) -> Vectors:
        """Features of profiles that are embedded already: shape (n, dim + 4)."""
        known = store.vectors(session, [one.content_hash for one in found], self.embedder.name)
        vectors = np.array([known[one.content_hash] for one in found], np.float32)
        behaviour = store.behaviour(session, [one.lead_id for one in found], now=now)
        return features(
            without_language(vectors.reshape(-1, self.embedder.dim), self.axis), behaviour
        )


@dataclass
class _Seen:
    """What the first pass over all leads found. `sample` is a uniform sample of those with a profile."""

    leads: int = 0
    profiles: int = 0
    embedded: int = 0
    sample: list[Profile] = field(default_factory=list)


def refresh_segments(
    db: Database,
    home: Home,
    *,
    now: datetime,
    progress: Progress = silent,
    refit: bool | None = None,
) -> SegmentsReport:
    """Embed new and changed profiles, fit if it is due (or `refit`), and give every lead a segment.

    A fit is due without a model, with another embedder than the model's, and when more than a fifth of
    the leads has never been assigned. Safe to run again: an unchanged audience changes nothing.
    """
    embedder, note = _embedder(home)
    space = _Space(embedder)
    seen = _embed_changed(db, home, embedder, progress)
    with db.read() as session:
        model = store.model(session)
        unassigned = store.unassigned(session)
    due = bool(seen.profiles) and (
        model is None
        or model.embedder != embedder.name
        or (refit if refit is not None else unassigned > _NEW_SHARE * seen.leads)
    )
    if due:
        progress("segments: fit", 0)
        _fit(db, home, space, seen, model, now)
    moved, assigned = _assign_all(db, space, seen.leads, now, progress)
    with db.write() as session:
        store.count_members(session)
        store.forget_vectors(session, embedder.name)
    _keep_for_pages(db, space, seen.sample, now)
    with db.read() as session:
        model = store.model(session)
        segments = store.every(session)
    return SegmentsReport(
        segments=segments,
        moved=moved,
        assigned=assigned,
        embedded=seen.embedded,
        reused=seen.profiles - seen.embedded,
        model=model.version if model else "",
        embedder=embedder.name,
        refit=due,
        note=note,
    )


def list_segments(db: Database) -> tuple[Segment, ...]:
    """The segments in use, largest first."""
    with db.read() as session:
        return store.every(session)


def show_segment(db: Database, segment_id: int) -> tuple[Segment, datetime | None]:
    """A segment, and when it retired if it did. Raises NotFound."""
    with db.read() as session:
        return store.get(session, segment_id), store.retired_at(session, segment_id)


def segment_map(db: Database, home: Home, *, sample: int = _MAPPED, seed: int = 0) -> SegmentMap:
    """Where a sample of leads lies, for a plot; empty before the first refresh."""
    embedder, _ = _embedder(home)
    return _map(db, _Space(embedder), sample, seed)


def _map(db: Database, space: _Space, sample: int, seed: int) -> SegmentMap:
    with db.read() as session:
        model = store.model(session)
        chosen = store.sample_of_leads(session, limit=sample, seed=seed)
        known = (
            store.vectors(session, [digest for digest, _ in chosen], model.embedder)
            if model
            else {}
        )
    placed = [(known[digest], segment) for digest, segment in chosen if digest in known]
    if model is None or not placed:
        return SegmentMap(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    vectors = np.array([vector for vector, _ in placed], np.float32)
    if space.embedder.name == model.embedder:
        vectors = without_language(vectors, space.axis)
    flat = map_2d(vectors)
    return SegmentMap(flat[:, 0], flat[:, 1], np.array([s for _, s in placed], np.int64))


def _keep_for_pages(db: Database, space: _Space, sample: Sequence[Profile], now: datetime) -> None:
    """The map, and what the leads of each segment have in common: pages load no model and no vectors."""
    found = _map(db, space, _MAPPED, _SEED)
    with db.read() as session:
        current = store.current_segments(session, [one.lead_id for one in sample])
    common = traits([one.terms for one in sample], [current.get(one.lead_id) for one in sample])
    points = zip(found.x.tolist(), found.y.tolist(), found.segment_ids.tolist(), strict=True)
    with db.write() as session:
        summaries.put(
            session,
            summaries.SEGMENT_MAP,
            {"points": [[round(x, 4), round(y, 4), segment] for x, y, segment in points]},
            at=now,
        )
        summaries.put(
            session,
            summaries.SEGMENT_TRAITS,
            {str(segment): [asdict(one) for one in own] for segment, own in common.items()},
            at=now,
        )


def _embedder(home: Home) -> tuple[Embedder, str]:
    """The configured embedder; hashed n-grams, with a note, where the packaged one was never fetched."""
    settings = home.settings.embedding
    try:
        return load_embedder(settings, home.models), ""
    except NotFound as error:
        if settings.model:
            raise
        if place_cached_models(home):
            return load_embedder(settings, home.models), ""
        return HashingEmbedder(), (
            f"{error.what}: leads were grouped by spelling instead of meaning; "
            "run `pigeonry models fetch`, then `pigeonry segments refresh`"
        )


def _embed_changed(db: Database, home: Home, embedder: Embedder, progress: Progress) -> _Seen:
    """Bring content hashes and vectors up to date, batch by batch, and draw the sample of a fit."""
    seen = _Seen()
    rng = random.Random(_SEED)  # noqa: S311
    limit = home.settings.segments.sample
    with db.read() as session:
        total = lead_store.count(session)
    for batch in _batches(db):
        profiles = [profile(lead) for lead in batch]
        texts = {one.content_hash: one.text for one in profiles if one.text}
        with db.read() as session:
            stored = store.content_hashes(session, [one.lead_id for one in profiles])
            known = store.known_contents(session, texts, embedder.name)
        changed = {
            one.lead_id: one.content_hash
            for one in profiles
            if stored.get(one.lead_id) != one.content_hash
        }
        fresh = sorted(texts.keys() - known)
        vectors = _encode(
            embedder, [texts[digest] for digest in fresh], seen.leads, total, progress
        )
        if changed or fresh:
            with db.write() as session:
                store.set_content_hashes(session, changed)
                store.add_vectors(session, fresh, vectors, embedder.name)
        seen.embedded += len(fresh)
        seen.leads += len(batch)
        for one in profiles:
            if not one.text:
                continue
            seen.profiles += 1
            if len(seen.sample) < limit:
                seen.sample.append(one)
            elif (place := rng.randrange(seen.profiles)) < limit:
                seen.sample[place] = one
        progress("segments: profiles", seen.leads, max(total, seen.leads))
    return seen


def _encode(
    embedder: Embedder, texts: list[str], done: int, total: int, progress: Progress
) -> Vectors:
    """Encode a batch in parts, so that the progress moves."""
    parts = [np.zeros((0, embedder.dim), np.float32)]
    for start in range(0, len(texts), _PART):
        progress("segments: profiles", done + start, max(total, done + start))
        parts.append(embedder.encode(texts[start : start + _PART]))
    return np.vstack(parts)


def _fit(
    db: Database, home: Home, space: _Space, seen: _Seen, old: SegmentModel | None, now: datetime
) -> None:
    """Fit on the sample, find out which cluster keeps which id, name them, store them."""
    settings = home.settings.segments
    sample = seen.sample
    with db.read() as session:
        points = space.points(session, sample, now)
        before = store.current_segments(session, [one.lead_id for one in sample])
        general = store.general(session)
    comparable = (
        old is not None
        and old.embedder == space.embedder.name
        and old.centroids.shape[1] == points.shape[1]
    )
    warm = old.centroids if old is not None and comparable else None
    found = fit(points, settings, seed=_SEED, warm=warm)
    if old is not None and comparable:
        kept = match(found.centroids, old.centroids, old.segment_ids, settings.match_floor)
    else:
        previous = [before.get(one.lead_id) for one in sample]
        kept = match_by_members(
            found.labels,
            len(found.centroids),
            [None if segment == general else segment for segment in previous],
        )
    names = name_segments(
        [one.terms for one in sample], found.labels.tolist(), len(found.centroids)
    )
    new = [
        store.NewSegment(segment, naming.name, naming.description, naming.terms, centroid)
        for segment, naming, centroid in zip(kept, names, found.centroids, strict=True)
    ]
    if seen.leads > seen.profiles:
        new.append(_general_segment(general))
    with db.write() as session:
        store.replace_model(
            session, new, version=_version(now), embedder=space.embedder.name, at=now
        )


def _assign_all(
    db: Database, space: _Space, total: int, now: datetime, progress: Progress
) -> tuple[int, int]:
    """Give every lead the segment that is nearest now. Returns (moved, assigned for the first time)."""
    moved = assigned = done = 0
    with db.read() as session:
        model = store.model(session)
        general = store.general(session)
    version = model.version if model else _version(now)
    for batch in _batches(db):
        found = [profile(lead) for lead in batch]
        told = [one for one in found if one.text] if model else []
        unknown = len(told) < len(found)
        if unknown and general is None:
            with db.write() as session:
                general = store.add_segment(
                    session,
                    _general_segment(None),
                    version=version,
                    embedder=space.embedder.name,
                    at=now,
                )
        with db.read() as session:
            before = store.memberships(session, [one.lead_id for one in found])
            told, points = _with_points(session, space, told, now)
        placed = {one.lead_id: (general, 0.0) for one in found}
        if model and told:
            ids, similarity = assign(points, model)
            placed.update(
                (one.lead_id, (int(segment), float(near)))
                for one, segment, near in zip(told, ids, similarity, strict=True)
            )
        changed = [
            store.Membership(lead_id, segment, near)
            for lead_id, (segment, near) in placed.items()
            if segment is not None and before.get(lead_id) != (segment, version)
        ]
        if changed:
            with db.write() as session:
                store.assign(session, changed, version=version, at=now)
        for member in changed:
            if member.lead_id not in before:
                assigned += 1
            elif before[member.lead_id][0] != member.segment_id:
                moved += 1
        done += len(batch)
        progress("segments: leads", done, max(total, done))
    return moved, assigned


def _with_points(
    session: Session, space: _Space, found: list[Profile], now: datetime
) -> tuple[list[Profile], Vectors]:
    """Those of the profiles that have a vector, and their features. A lead that was changed since the
    first pass has none yet: it waits in the general segment for the next refresh."""
    known = store.known_contents(session, [one.content_hash for one in found], space.embedder.name)
    ready = [one for one in found if one.content_hash in known]
    return ready, space.points(session, ready, now) if ready else np.zeros((0, 0), np.float32)


def _batches(db: Database) -> Iterator[list[Lead]]:
    after = 0
    while True:
        with db.read() as session:
            batch = lead_store.iterate(session, after_id=after, limit=_BATCH)
        if not batch:
            return
        yield batch
        after = batch[-1].id


def _general_segment(segment_id: int | None) -> store.NewSegment:
    return store.NewSegment(segment_id, GENERAL, _GENERAL_WORDS, (), np.zeros(0, np.float32))


def _version(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%S")
