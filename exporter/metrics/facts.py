"""Renders the facts about Maia, once per poll, and renders again only what a poll has changed.

Three layers keep what they made: a pipeline its lines, a slice of pipelines its compressed pieces, all of them the
whole. What is immutable is recognised by identity. Must not look at the clock or at requests.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
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
    from collections.abc import Iterator, Mapping, Sequence, Set

    from exporter.core.model import PipelineKey
    from exporter.core.state import RunRecord, State

_SLICE = 50
"""Pipelines that are compressed together: enough text to compress well, little to do again when one of them changes."""

_NO_COUNTS = RunCounts()


_Lines = tuple[str, ...]
"""A pipeline's sample lines, one text a family."""


@dataclass(frozen=True, slots=True)
class Body:
    """The facts in one format, compressed (all but the end of a gzip member).

    The text itself is not kept: it is twenty times as large, and hardly anybody asks for it.
    """

    size: int = 0  # of the text
    crc: int = 0  # of the text
    pieces: tuple[bytes, ...] = ()
    deflated: bytes = b""  # these, joined

    def text(self) -> bytes:
        """The text, made now."""
        return gzipping.inflated(self.deflated)


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


@dataclass(frozen=True, slots=True)
class _Slice:
    """Some pipelines' lines, and one compressed piece a family."""

    lines: tuple[_Lines, ...]
    deflated: tuple[bytes, ...]


_HEADS = {form: tuple(head(family.metric, form).encode() for family in FAMILIES) for form in Format}
_DEFLATED_HEADS = {form: tuple(map(gzipping.piece, heads)) for form, heads in _HEADS.items()}


class FactsRenderer:
    """Keeps what it rendered last; belongs to the thread that polls."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._labels: dict[PipelineKey, str] = {}  # in the order of the page
        self._shown: frozenset[PipelineKey] = frozenset()
        self._active: dict[PipelineKey, tuple[RunRecord, ...]] = {}
        self._lines: dict[PipelineKey, _Lines] = {}
        self._slices: list[_Slice] = []
        self._bodies = _bodies(())

    def render(self, snapshot: Snapshot) -> Facts:
        """The facts of a snapshot: with the very same bodies as last time when nothing that is shown has changed."""
        before, self._snapshot = self._snapshot, snapshot
        active_before = self._active
        if snapshot.state.unfinished is not before.state.unfinished:
            self._active = _active_runs(snapshot.state)
        if self._relabelled(before, snapshot):
            self._lines = dict.fromkeys((key for key in self._labels if key in self._shown), ())
            self._compress(self._lines.keys())
        elif changed := self._shown & {
            *_changed_pipelines(before.state, snapshot.state),
            *_changed_limits(before, snapshot),
            *_changed_runs(active_before, self._active),
        }:
            self._compress(changed)
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

    def _compress(self, changed: Set[PipelineKey]) -> None:
        """Make the lines of these pipelines and what follows from them; slice by slice, so that the old make room."""
        rest, number = iter(self._lines), 0
        while keys := tuple(islice(rest, _SLICE)):
            for key in keys:
                if key in changed:
                    self._lines[key] = self._rendered(key)
            lines = tuple([self._lines[key] for key in keys])
            old = self._slices[number] if number < len(self._slices) else None
            if old is None or not _same(old.lines, lines):
                self._slices[number : number + 1] = [_slice(lines, old)]
            number += 1
        del self._slices[number:]
        self._bodies = _bodies(self._slices)


def _bodies(slices: Sequence[_Slice]) -> dict[Format, Body]:
    """The slices' pieces under each format's heads. The text is made family by family, to be measured and let go."""
    size, crc = dict.fromkeys(Format, 0), dict.fromkeys(Format, 0)
    for index in range(len(FAMILIES)):
        text = "".join([lines[index] for part in slices for lines in part.lines]).encode()
        for form in Format:
            of_family = _HEADS[form][index]
            crc[form] = zlib.crc32(text, zlib.crc32(of_family, crc[form]))
            size[form] += len(of_family) + len(text)
    return {form: _body(form, slices, size=size[form], crc=crc[form]) for form in Format}


def _body(form: Format, slices: Sequence[_Slice], *, size: int, crc: int) -> Body:
    families = enumerate(_DEFLATED_HEADS[form])
    pieces = [piece for index, of in families for piece in (of, *[part.deflated[index] for part in slices])]
    return Body(size, crc, tuple(pieces), b"".join(pieces))


def _slice(lines: tuple[_Lines, ...], old: _Slice | None) -> _Slice:
    """Compress a slice, family by family; a family that reads as before keeps its piece."""
    before = zip(*old.lines, strict=True) if old is not None else repeat(None)
    pieces = []
    for index, (of_family, as_before) in enumerate(zip(zip(*lines, strict=True), before, strict=False)):
        if old is not None and of_family == as_before:
            pieces.append(old.deflated[index])
        else:
            text = "".join(of_family).encode()
            pieces.append(gzipping.piece(text) if text else b"")
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
