"""What people are told of limits: OVER_LIMIT, the stages of CANCEL, the breaker. Facts only; rendered when sent.

Must not decide what happens, nor call anything cancelled that the API has not reported so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.durations import format_duration
from exporter.core.limits.rules import Mode
from exporter.core.limits.runs import Answer, LimitedRun, Stage
from exporter.core.model import Run, Status
from exporter.core.notice import EventKind, Fact, Notice
from exporter.core.run_notice import instant_text, project_label, run_notice
from exporter.core.state import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from exporter.core.limits.rules import LimitRule


class Teller:
    """Words the notices of one step."""

    def __init__(self, names: Mapping[str, str], *, server_now: datetime, detected_at: datetime) -> None:
        self._names = names
        self._server_now = server_now
        self._detected_at = detected_at

    def over_limit(self, limited: LimitedRun, rule: LimitRule, run: Run) -> Notice:
        """A run is past its first threshold."""
        age = self._server_now - limited.started_at
        both = (("warns", rule.warn_after), ("cancels", rule.cancel_after))
        limits = ", ".join(f"{word} after {format_duration(after)}" for word, after in both if after is not None)
        return self._notice(
            EventKind.OVER_LIMIT,
            run,
            Fact(label="running for", value=format_duration(age)),
            Fact(label="limit", value=f"{_quoted(rule.name)}: {limits}"),
            Fact(label="next", value=_next(rule, age)),
        )

    def stage(self, limited: LimitedRun, run: Run | None, *, detail: str = "") -> Notice:
        """A run has come to a stage. `run` as read last, None when it was not read; `detail`: the API's words."""
        run = run or _unread(limited)
        facts = [Fact(label="cancel", value=self._said(limited, run))]
        if detail:
            facts.append(Fact(label="answer", value=detail))
        return self._notice(EventKind.CANCEL, run, *facts, stage=limited.stage)

    def would_cancel(self, limited: LimitedRun, rule: LimitRule, run: Run) -> Notice:
        """Mode observe: the run would have been asked to stop now."""
        ran, limit = format_duration(self._ran(limited, run)), format_duration(rule.shown_after)
        said = f"would have been asked to stop by limit {_quoted(rule.name)} after {ran}; limit {limit}; mode observe"
        return self._notice(EventKind.CANCEL, run, Fact(label="cancel", value=said), stage=Stage.WOULD_CANCEL)

    def breaker_opened(self, limited: LimitedRun, run: Run, *, max_per_hour: int) -> Notice:
        """No run is asked any more; `run` is the one that would have been next."""
        runs = "1 run was" if max_per_hour == 1 else f"{max_per_hour:,} runs were"
        said = (
            f"{runs} asked to stop within an hour, and limit {_quoted(limited.limit)} would ask this "
            "one next; none is asked any more until somebody has looked and runs: maia-exporter limits resume"
        )
        notice = self._notice(EventKind.CANCEL, run, Fact(label="breaker", value=said))
        event_id = f"exporter:CANCEL:breaker:{instant_text(self._server_now)}"
        return replace(notice, event_id=event_id, subject="the breaker is open, no run is asked to stop any more")

    def _said(self, limited: LimitedRun, run: Run) -> str:
        request, stage = limited.last_sent or limited.polite, limited.stage
        by = f"by limit {_quoted(limited.limit)}"
        after = f"after {format_duration(self._ran(limited, run))}"
        if request is not None and request.rule.cancel_after is not None:
            after += f"; limit {format_duration(request.rule.cancel_after)}"
        unclear = request is not None and request.answer is Answer.SENT
        doubt = "; the API has not confirmed that it heard us" if unclear else ""
        waited = ""
        if request is not None and request.sent_at is not None:
            waited = f" {format_duration(self._server_now - request.sent_at)} after the last request"
        return {
            Stage.REQUESTED: f"asked to stop {by} {after}{doubt}",
            Stage.FORCED: f"told to stop by force {by} {after}{doubt}",
            Stage.CANCELLED: f"cancelled {by} {after}",
            Stage.ENDED_BY_ITSELF: f"ended by itself as {run.status_text} {after}; it was to be cancelled {by}",
            Stage.REFUSED: f"not cancelled {by} {after}: the API refuses; it is left alone",
            Stage.STUCK: f"has not ended{waited}, {by}; it is left alone: look at it in Maia",
        }[stage]

    def _ran(self, limited: LimitedRun, run: Run) -> timedelta:
        return (run.finished_at or self._server_now) - limited.started_at

    def _notice(self, event: EventKind, run: Run, *facts: Fact, stage: Stage | None = None) -> Notice:
        return run_notice(
            event,
            RunRecord(run=run, first_seen_at=self._server_now),
            project=project_label(self._names, run.pipeline.project_id),
            detected_at=self._detected_at,
            occurred_at=run.finished_at or self._server_now,
            stage="" if stage is None else stage.value,
            facts=facts,
        )


def _unread(limited: LimitedRun) -> Run:
    """What is known of a run that could not be read."""
    return Run(
        run_id=limited.run_id,
        pipeline=limited.pipeline,
        status=Status.UNKNOWN,
        status_text="not known: it could not be read",
        trigger=limited.trigger,
        started_at=limited.started_at,
    )


def _next(rule: LimitRule, age: timedelta) -> str:
    """What happens if the run goes on."""
    if rule.mode is Mode.WARN or rule.cancel_after is None:
        return "nothing: this limit only warns"
    left = rule.cancel_after - age
    when = f"in {format_duration(left)}" if left.total_seconds() >= 1 else "now"
    if rule.mode is Mode.OBSERVE:
        return f"nothing: this limit only observes; in mode cancel it would be asked to stop {when}"
    return f"it is asked to stop {when} unless it ends; to spare it, raise cancel_after or change the limit's mode"


def _quoted(name: str) -> str:
    return f'"{name}"'
