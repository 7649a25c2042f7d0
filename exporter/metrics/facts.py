"""Renders the facts about Maia, once per poll, and renders again only what a poll has changed.

Three layers keep what they made: a pipeline its lines, a slice of pipelines its compressed pieces, all of them the
whole. What is immutable is recognised by identity. Must not look at the clock or at requests.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import is_
from typing import TYPE_CHECKING

from exporter.core.state import RunCounts
from exporter.metrics import gzipping
from exporter.metrics.cap import within_cap
from exporter.metrics.families import FAMILIES
from exporter.metrics.formats import Format, head
from exporter.metrics.labels import pipeline_labels
from exporter.metrics.limits import NO_LIMITS
from exporter.metrics.snapshot import PipelineView, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.core.model import PipelineKey
    from exporter.core.state import RunRecord, State

_SLICE = 50
"""Pipelines that are compressed together: enough text to compress well, little to do again when one of them changes."""

_NO_COUNTS = RunCounts()


@dataclass(frozen=True, slots=True)
class Body:
    """The facts in one format: the text in pieces, and compressed (all but the end of a gzip member)."""

    pieces: tuple[bytes, ...] = ()
    size: int = 0
    crc: int = 0
    deflated: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a scrape shows of Maia, ready to send, and how much of it there is."""

    bodies: Mapping[Format, Body] = field(default_factory=lambda: dict.fromkeys(Format, Body()))
    pipelines: int = 0  # tracked
    shown: int = 0
    active_runs: int = 0

    @property
    def over_cap(self) -> int:
        """Tracked pipelines that are not shown."""
        return self.pipelines - self.shown


_Lines = tuple[str, ...]
"""A pipeline's sample lines, one text a family."""


@dataclass(frozen=True, slots=True)
class _Piece:
    plain: bytes
    deflated: bytes


def _piece(text: str) -> _Piece:
    plain = text.encode()
    return _Piece(plain, gzipping.piece(plain) if plain else b"")


@dataclass(frozen=True, slots=True)
class _Slice:
    """Some pipelines' pieces, one a family, and the lines they were made from."""

    lines: tuple[_Lines, ...]
    pieces: tuple[_Piece, ...]


_HEADS = {form: tuple(_piece(head(family.metric, form)) for family in FAMILIES) for form in Format}


class FactsRenderer:
    """Keeps what it rendered last; belongs to the thread that polls."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._labels: dict[PipelineKey, str] = {}  # in the order of the page
        self._shown: frozenset[PipelineKey] = frozenset()
        self._active: dict[PipelineKey, tuple[RunRecord, ...]] = {}
        self._lines: dict[PipelineKey, _Lines] = {}
        self._slices: list[_Slice] = []
        self._bodies = {form: _body(form, ()) for form in Format}

    def render(self, snapshot: Snapshot) -> Facts:
        """The facts of a snapshot: with the very same bodies as last time when nothing that is shown has changed."""
        before, self._snapshot = self._snapshot, snapshot
        active_before = self._active
        if snapshot.state.unfinished is not before.state.unfinished:
            self._active = _active_runs(snapshot.state)
        if self._relabelled(before, snapshot):
            self._lines = {key: self._rendered(key) for key in self._labels if key in self._shown}
            self._compress()
        elif changed := self._shown & {
            *_changed_pipelines(before.state, snapshot.state),
            *_changed_limits(before, snapshot),
            *_changed_runs(active_before, self._active),
        }:
            for key in changed:
                self._lines[key] = self._rendered(key)
            self._compress()
        return Facts(
            bodies=self._bodies,
            pipelines=len(snapshot.state.pipelines),
            shown=len(self._shown),
            active_runs=sum(map(len, self._active.values())),
        )

    def _relabelled(self, before: Snapshot, after: Snapshot) -> bool:
        """Whether other pipelines are shown than before, or in other words; then all lines are made again."""
        old, new = before.state, after.state
        if (
            list(old.pipelines) == list(new.pipelines)
            and old.project_names == new.project_names
            and before.max_pipelines == after.max_pipelines
            and before.bucket_bounds == after.bucket_bounds
            and before.success_within == after.success_within
        ):
            return False
        self._labels = pipeline_labels(new.pipelines, new.project_names)
        self._shown = within_cap(
            new.pipelines,
            max_pipelines=after.max_pipelines,
            shown_before=self._shown,
            active=self._active.keys(),
        )
        return True

    def _rendered(self, key: PipelineKey) -> _Lines:
        state = self._snapshot.state
        pipeline = state.pipelines[key]
        limits = self._snapshot.limits.get(key, NO_LIMITS)
        view = PipelineView(
            labels=self._labels[key],
            state=pipeline,
            active=self._active.get(key, ()),
            counts=_NO_COUNTS if key in state.introduced else pipeline.counts,
            bucket_bounds=self._snapshot.bucket_bounds,
            limits=replace(limits, counts=NO_LIMITS.counts) if key in state.introduced else limits,
            success_within=self._snapshot.success_within.get(key),
        )
        return tuple([family.lines(view) for family in FAMILIES])

    def _compress(self) -> None:
        self._slices = list(self._sliced())
        self._bodies = {form: _body(form, self._slices) for form in Format}

    def _sliced(self) -> Iterator[_Slice]:
        rest = iter(self._lines.values())
        kept = iter(self._slices)
        while lines := tuple(islice(rest, _SLICE)):
            old = next(kept, None)
            yield old if old is not None and _same(old.lines, lines) else _slice(lines, old)


def _body(form: Format, slices: Sequence[_Slice]) -> Body:
    pieces = [
        piece
        for index, family_head in enumerate(_HEADS[form])
        for piece in (family_head, *(part.pieces[index] for part in slices))
    ]
    crc = size = 0
    for piece in pieces:
        crc = zlib.crc32(piece.plain, crc)
        size += len(piece.plain)
    return Body(tuple([piece.plain for piece in pieces]), size, crc, b"".join([piece.deflated for piece in pieces]))


def _slice(lines: tuple[_Lines, ...], old: _Slice | None) -> _Slice:
    """Compress a slice, family by family; a family that reads as before keeps its piece."""
    pieces = []
    for index, of_family in enumerate(zip(*lines, strict=True)):
        text = "".join(of_family)
        plain = text.encode()
        kept = old.pieces[index] if old is not None else None
        pieces.append(kept if kept is not None and kept.plain == plain else _piece(text))
    return _Slice(lines, tuple(pieces))


def _changed_pipelines(before: State, after: State) -> set[PipelineKey]:
    """What differs between two states of the same pipelines in the same order."""
    changed: set[PipelineKey] = set()
    if after.pipelines is not before.pipelines:
        pairs = zip(after.pipelines.items(), before.pipelines.values(), strict=True)
        changed = {key for (key, new), old in pairs if new is not old}
    return changed | (before.introduced.keys() ^ after.introduced.keys())


def _changed_limits(before: Snapshot, after: Snapshot) -> Iterator[PipelineKey]:
    old, new = before.limits, after.limits
    return (key for key in old.keys() | new.keys() if old.get(key) != new.get(key)) if old is not new else iter(())


def _changed_runs(
    before: dict[PipelineKey, tuple[RunRecord, ...]], after: dict[PipelineKey, tuple[RunRecord, ...]]
) -> Iterator[PipelineKey]:
    if before is after:
        return iter(())
    return (key for key in before.keys() | after.keys() if not _same(before.get(key, ()), after.get(key, ())))


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Whether both hold the very same objects in the same order."""
    return len(some) == len(others) and all(map(is_, some, others))


def _active_runs(state: State) -> dict[PipelineKey, tuple[RunRecord, ...]]:
    """The runs that polls still ask for, by pipeline."""
    active: dict[PipelineKey, list[RunRecord]] = {}
    for record in state.unfinished.values():
        if record.followed:
            active.setdefault(record.run.pipeline, []).append(record)
    return {key: tuple(records) for key, records in active.items()}
