"""Many notices in one message, for a target that must not get that many messages: every run id is in it.

Grouped by pipeline, the worst first. Must not decide what is folded: `exporter.store.leases` does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from exporter.core.inert import inert, shortened_middle
from exporter.core.messages import BODY_LIMIT, REPEAT, TITLE_LIMIT, Message, quoted_link, title_of, zone_name
from exporter.core.notice import EventKind
from exporter.core.run_notice import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from exporter.core.notice import Notice

WORST_FIRST = (
    EventKind.FAILED,
    EventKind.FORBIDDEN,
    EventKind.OVERDUE,
    EventKind.VANISHED,
    EventKind.EXPORTER,
    EventKind.OVER_LIMIT,
    EventKind.CANCEL,
    EventKind.RECOVERED,
    EventKind.CANCELLED,
    EventKind.SKIPPED,
)
"""How bad what an event says is."""

_REPEAT_LINE = f"{REPEAT}: all of this may have reached you before, with the same ids"
_EXAMPLE_SHOWN = 160
_ID_SHOWN = 200
_SUBJECT_SHOWN = 120


def fitting(notices: Sequence[Notice], *, link: str, zone: tzinfo, body_limit: int = BODY_LIMIT) -> int:
    """How many of the notices, from the first on, fit into one digest (at least 1: that one goes by itself)."""
    fits, too_many = 1, len(notices) + 1
    while too_many - fits > 1:
        half = (fits + too_many) // 2
        body = digest(notices[:half], link=link, zone=zone, possible_repeat=True, body_limit=0).body
        fits, too_many = (half, too_many) if len(body) <= body_limit else (fits, half)
    return fits


def digest(
    notices: Sequence[Notice],
    *,
    link: str,
    zone: tzinfo,
    possible_repeat: bool = False,
    title_limit: int = TITLE_LIMIT,
    body_limit: int = BODY_LIMIT,
) -> Message:
    """One message about all `notices`, as many as are `fitting`; `link` leads to our page, "" for none.

    The body grows beyond `body_limit` rather than leave out a run.
    """
    groups = _groups(notices)
    head = [_summary(notices)]
    if possible_repeat:
        head.insert(0, _REPEAT_LINE)
    if late := sum(notice.late for notice in notices):
        head.append(f"late: {late:,} of them, found more than 10 minutes after the run ended")
    head.append(f"times: {zone_name(groups[0][-1].occurred_at, zone)}")
    if link:
        head.append(f"more: {quoted_link(link)}")
    blocks = [head, *(_block(group, zone) for group in groups)]
    room = body_limit - len(_joined(blocks))
    for block, group in zip(blocks[1:], groups, strict=True):
        example = _example(group)
        if example and len(example) < room:
            block.append(example)
            room -= len(example) + 1
    return Message(_title(groups, len(notices), title_limit, possible_repeat=possible_repeat), _joined(blocks))


def _groups(notices: Iterable[Notice]) -> list[list[Notice]]:
    """The notices by what they are about, the worst group first; in a group in the order of time."""
    found: dict[object, list[Notice]] = {}
    for notice in notices:
        found.setdefault(notice.pipeline or notice.event_id, []).append(notice)
    for group in found.values():
        group.sort(key=lambda notice: notice.occurred_at)
    return sorted(found.values(), key=_badness)


def _badness(group: Sequence[Notice]) -> tuple[bool, int, int, str]:
    """Sorts what still stands before what has recovered, then the worst and the most first."""
    worst = min(map(_rank, group))
    most = sum(_rank(notice) == worst for notice in group)
    return group[-1].event is EventKind.RECOVERED, worst, -most, group[0].subject


def _rank(notice: Notice) -> int:
    return WORST_FIRST.index(notice.event)


def _title(groups: Sequence[Sequence[Notice]], total: int, limit: int, *, possible_repeat: bool) -> str:
    worst = min(groups[0], key=_rank)
    title = f"{worst.event.value}: {inert(worst.subject, _SUBJECT_SHOWN)}"
    if len(groups) > 1:
        title += f" and {len(groups) - 1:,} more"
    return title_of(f"{title}, {total:,} alerts", limit, possible_repeat=possible_repeat)


def _summary(notices: Sequence[Notice]) -> str:
    counts = Counter(notice.event for notice in notices)
    return f"{len(notices):,} alerts in one message: {_counted(counts)}"


def _counted(counts: Counter[EventKind]) -> str:
    return ", ".join(f"{counts[event]:,} {event.value}" for event in WORST_FIRST if counts[event])


def _block(group: Sequence[Notice], zone: tzinfo) -> list[str]:
    """What it is about, how it stands, and the ids: of runs by what happened to them, else of the event."""
    newest = group[-1]
    counts = Counter(notice.event for notice in group)
    last = f", last {newest.event.value}" if len(counts) > 1 else ", last" if len(group) > 1 else ","
    time = f"{newest.occurred_at.astimezone(zone):%m-%d %H:%M}"
    lines = [f"{inert(newest.subject, _SUBJECT_SHOWN)}: {_counted(counts)}{last} {time}"]
    happened: dict[str, list[str]] = {}
    for notice in group:
        what = _what(notice)
        if what:
            happened.setdefault(notice.run_id, []).append(what)
        else:
            lines.append(f"event id: {_short_id(notice.event_id)}")
    runs: dict[str, list[str]] = {}
    for run_id, whats in happened.items():
        runs.setdefault(" + ".join(whats), []).append(_short_id(run_id))
    for label, run_ids in runs.items():
        if [label] == list(counts):
            lines += run_ids
        else:
            lines += [f"{label}:", *run_ids] if len(run_ids) > 1 else [f"{label}: {run_ids[0]}"]
    return lines


def _short_id(text: str) -> str:
    return shortened_middle(inert(text, _ID_SHOWN * 2), _ID_SHOWN)


def _what(notice: Notice) -> str:
    """What happened to a run, as in its event id: `FAILED`, `CANCEL:requested`; "" where the id is not the run's."""
    run, _, what = notice.event_id.partition(f"{notice.run_id}:")
    return what if notice.run_id and not run else ""


def _example(group: Sequence[Notice]) -> str:
    """What the newest run of a group that says anything says."""
    messages = (fact.value for notice in reversed(group) for fact in notice.facts if fact.label == MESSAGE)
    message = next(messages, "")
    return f"for example: {inert(message, _EXAMPLE_SHOWN)}" if message else ""


def _joined(blocks: Iterable[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks)
