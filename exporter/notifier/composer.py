"""Writes the message of a claim: of one event, or a digest of several, in the room that the target has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.core.delivery import Form, Tone
from exporter.core.digest import WORST_FIRST, digest, fitting
from exporter.core.messages import render
from exporter.core.notice import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from exporter.core.delivery import Room
    from exporter.core.messages import Message
    from exporter.core.notice import Notice
    from exporter.store.leases import Claim

_TONES = {
    EventKind.FAILED: Tone.FAILURE,
    EventKind.FORBIDDEN: Tone.FAILURE,
    EventKind.OVERDUE: Tone.FAILURE,
    EventKind.VANISHED: Tone.FAILURE,
    EventKind.RECOVERED: Tone.SUCCESS,
    EventKind.OVER_LIMIT: Tone.WARNING,
    EventKind.CANCEL: Tone.WARNING,
    EventKind.EXPORTER: Tone.WARNING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """What messages state times in, and where their links lead."""

    zone: tzinfo
    run_url: str  # with {run_id}
    external_url: str = ""

    def fitting(self, notices: Sequence[Notice], *, room: Room) -> int:
        """How many of these events, from the first on, fit into one digest; at least 1."""
        return fitting(notices, link=self.external_url, zone=self.zone, body_limit=room.body)

    def message(self, claimed: Claim, *, now: datetime, room: Room) -> Message:
        """The message as it is sent `now`."""
        first = claimed.items[0]
        if len(claimed.items) > 1:
            return digest(
                [item.notice for item in claimed.items],
                link=self.external_url,
                zone=self.zone,
                possible_repeat=any(item.before.ambiguous for item in claimed.items),
                title_limit=room.title,
                body_limit=room.body,
            )
        return render(
            first.notice,
            link=self._link(first.notice),
            zone=self.zone,
            detail=first.detail,
            possible_repeat=first.before.ambiguous,
            minimal=first.before.form is Form.MINIMAL,
            now=now,
            title_limit=room.title,
            body_limit=room.body,
        )

    def _link(self, notice: Notice) -> str:
        return self.run_url.replace("{run_id}", notice.run_id) if notice.run_id else self.external_url


def tone_of(claimed: Claim) -> Tone:
    """The colour of the worst that a message says."""
    worst = min((item.notice.event for item in claimed.items), key=WORST_FIRST.index)
    return _TONES.get(worst, Tone.INFO)
