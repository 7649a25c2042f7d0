"""Turns a notice into what people read: a title, and a body of one fact a line, in plain text.

Everything that comes from the API is made inert here; Apprise is told that it is text, and escapes it for Slack.
Run id, event id and link are never cut away. Must not decide anything, nor know of Apprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from exporter.core.durations import format_duration
from exporter.core.inert import inert, plain_ascii, shortened, shortened_middle
from exporter.core.notice import EventKind, Fact
from exporter.core.routing import ENDINGS
from exporter.core.run_notice import LATE_AFTER, MESSAGE, MESSAGE_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from exporter.core.notice import Notice

TITLE_LIMIT = 150
BODY_LIMIT = 2_900
"""Characters of a message, by what Slack takes: longer ones are refused as a whole."""

MESSAGE_SHOWN = 1_000
"""Characters of a run's message, and of the words of the step that failed."""

REPEAT = "(possible repeat)"
_REPEAT_LINE = f"{REPEAT}: it may have reached you before, with the same event id"
_REFUSED_LINE = "in short, because the full message was refused"

_FACT_SHOWN = 300
_ID_SHOWN = 300
_LONGEST_LINK = 1_000
_SHORTEST_LINE = 40

_OF_THE_API = {"project", "environment", "pipeline", "status", "trigger", "user", MESSAGE, "answer", "error"}
"""Labels of facts that are not our words: an instant in them is shown as it came."""

_BEFORE_THE_STEP = {
    "project",
    "environment",
    "pipeline",
    "status",
    "trigger",
    "user",
    "start",
    "end",
    "first seen",
    "duration",
}
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_IN_A_LINK = "%:/?#[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Message:
    """What a target gets: plain text, a title of one line."""

    title: str
    body: str


def render(
    notice: Notice,
    *,
    link: str,
    zone: tzinfo,
    detail: str = "",
    possible_repeat: bool = False,
    minimal: bool = False,
    now: datetime | None = None,
    title_limit: int = TITLE_LIMIT,
    body_limit: int = BODY_LIMIT,
) -> Message:
    """The message of one notice.

    `link` leads to the run ("" for none), `detail` names the step that failed and what it said, `now` is when it is
    sent (None: when it was detected), `minimal` is for a target that has refused the full message.
    """
    title = f"{notice.event.value}: {inert(notice.subject, TITLE_LIMIT)}"
    first = [_REPEAT_LINE] if possible_repeat else []
    last = _ids_and_link(notice, link)
    if minimal:
        title, body = plain_ascii(title), plain_ascii_lines(_fitted([*first, _REFUSED_LINE], last, body_limit))
    else:
        body = _fitted([*first, *_lines(notice, detail, zone, now or notice.detected_at)], last, body_limit)
    return Message(title_of(title, title_limit, possible_repeat=possible_repeat), body)


def title_of(text: str, limit: int, *, possible_repeat: bool) -> str:
    """A title within the limit that still says that it may be a repeat."""
    mark = f" {REPEAT}" if possible_repeat else ""
    return shortened(text, max(1, limit - len(mark))) + mark


def local_time(instant: datetime, zone: tzinfo) -> str:
    """An instant in a time zone, with the zone's name: `2026-01-31 03:14:09 CET (Europe/Berlin)`."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone_name(instant, zone)}"


def zone_name(instant: datetime, zone: tzinfo) -> str:
    """What a zone is called at an instant: `CET (Europe/Berlin)`, `UTC`."""
    short = instant.astimezone(zone).tzname() or ""
    name = str(getattr(zone, "key", short))
    return short if name == short else f"{short} ({name})"


def how_late(notice: Notice, told_at: datetime) -> str:
    """Since when it could have been told, in words; "" when it is told in time."""
    ended = notice.late or notice.event in (*ENDINGS, EventKind.RECOVERED)
    delay = told_at - (notice.occurred_at if ended else notice.detected_at)
    if delay <= LATE_AFTER:
        return ""
    return f"told {format_duration(delay)} after " + ("the run ended" if ended else "it was found")


def _lines(notice: Notice, detail: str, zone: tzinfo, told_at: datetime) -> list[str]:
    """The facts, with what is only known when it is sent among them."""
    facts = list(notice.facts)
    place = next((at for at, fact in enumerate(facts) if fact.label not in _BEFORE_THE_STEP), len(facts))
    if detail:
        facts.insert(place, Fact(label="failed step", value=detail))
    if late := how_late(notice, told_at):
        facts.insert(place, Fact(label="late", value=late))
    return [_line(fact, zone) for fact in facts]


def _line(fact: Fact, zone: tzinfo) -> str:
    label, value = fact.label, fact.value
    if label in (MESSAGE, "failed step"):
        text = inert(value, MESSAGE_SHOWN * 2)
        if len(text) > MESSAGE_SHOWN or len(value) >= MESSAGE_KEPT:
            label, text = f"{label} (cut at {MESSAGE_SHOWN:,} characters)", shortened(text, MESSAGE_SHOWN)
        return f"{label}: {text}"
    text = inert(value, _FACT_SHOWN)
    if label not in _OF_THE_API:
        text = _INSTANT.sub(lambda match: local_time(datetime.fromisoformat(match[0]), zone), text)
    return f"{label}: {text}"


def _ids_and_link(notice: Notice, link: str) -> list[str]:
    found = (
        ("link", quoted_link(link)),
        ("run id", shortened_middle(inert(notice.run_id, _ID_SHOWN * 2), _ID_SHOWN)),
        ("event id", shortened_middle(inert(notice.event_id, _ID_SHOWN * 2), _ID_SHOWN)),
    )
    return [f"{label}: {value}" for label, value in found if value]


def quoted_link(link: str) -> str:
    """A link of ours in which nothing can end it before its end; "" for one that no run of Maia can have."""
    link = quote(link, safe=_IN_A_LINK)
    return link if len(link) <= _LONGEST_LINK else ""


def _fitted(lines: Sequence[str], last: Sequence[str], limit: int) -> str:
    """All lines: of the first ones the longest are shortened as far as needed, of the last ones none."""
    kept = list(lines)
    while (excess := len("\n".join([*kept, *last])) - limit) > 0 and kept:
        longest = max(range(len(kept)), key=lambda at: len(kept[at]))
        if len(kept[longest]) > _SHORTEST_LINE:
            kept[longest] = shortened(kept[longest], max(_SHORTEST_LINE, len(kept[longest]) - excess))
        else:
            kept.pop()
    ids = list(last)
    while len("\n".join([*kept, *ids])) > limit and len(ids) > 1:
        ids.pop(0)  # a service for very short messages: the event id says the most
    return "\n".join([*kept, *ids])[:limit]


def plain_ascii_lines(text: str) -> str:
    """`plain_ascii` of each line."""
    return "\n".join(plain_ascii(line) for line in text.split("\n"))
