"""The page that Prometheus reads: the facts about Maia of the last poll, then those about us.

`publish` belongs to the poller, `page` to the web server; between them lies one reference. Must not wait for anything.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.metrics import gzipping
from exporter.metrics.facts import Body, Facts, FactsRenderer
from exporter.metrics.formats import Format, negotiated, takes_gzip
from exporter.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.metrics.own_registry import OwnText
    from exporter.metrics.self_metrics import SelfMetrics

_NOTHING = Facts()


@dataclass(frozen=True, slots=True)
class Page:
    """An answer to a scrape."""

    content_type: str
    content_encoding: str  # "gzip", or "" for none
    body: bytes


@dataclass(frozen=True, slots=True)
class _Joined:
    page: Page
    facts: Body
    ours: OwnText


class Exposition:
    """Holds what the last poll found, ready to be scraped."""

    def __init__(self, ours: SelfMetrics, *, monotonic: Callable[[], float]) -> None:
        self.ours = ours
        self.snapshot = Snapshot()
        self._monotonic = monotonic
        self._renderer = FactsRenderer()
        self._facts = _NOTHING
        self._joined: dict[tuple[Format, bool], _Joined] = {}

    def publish(self, snapshot: Snapshot) -> Facts:
        """Show this from now on. Takes as long as rendering takes; scrapes go on with the snapshot before."""
        facts = self._renderer.render(snapshot)
        self.ours.read_record(snapshot.state.cursor)
        self.ours.facts_rendered(facts)
        self.snapshot, self._facts = snapshot, facts
        return facts

    @property
    def facts(self) -> Facts:
        """What is shown of Maia; a follower shows nothing."""
        return self._facts if self.ours.registry.leading else _NOTHING

    def page(self, accept: str, accept_encoding: str) -> Page:
        """The page in the format and encoding that the headers of those names ask for ("" for an absent one)."""
        form, zipped = negotiated(accept), takes_gzip(accept_encoding)
        facts = self.facts.bodies[form]
        ours = self.ours.registry.rendered(form, self._monotonic())
        kept = self._joined.get((form, zipped))
        if kept is None or kept.facts is not facts or kept.ours is not ours:
            body = _gzip(facts, ours) if zipped else b"".join((facts.text(), ours.plain))
            kept = _Joined(Page(form.value, "gzip" if zipped else "", body), facts, ours)
            self._joined[form, zipped] = kept
        return kept.page


def _gzip(facts: Body, ours: OwnText) -> bytes:
    end = gzipping.trailer(zlib.crc32(ours.plain, facts.crc), facts.size + len(ours.plain))
    return b"".join((gzipping.HEADER, facts.deflated, ours.deflated, end))
