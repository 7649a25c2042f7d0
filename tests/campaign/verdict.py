"""Holds what happened against what was promised: the simulator and the targets are the witnesses.

Must not ask the service what it believes, except for the counters that are on trial.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from .account import CANCEL_AFTER, FORCE_AFTER, UNFINISHED, covered, expected, instant
from .addressees import Copy, Mail, Slack
from .messages import events_in, marked
from .stage import Stage
from .store import EVENTS, OPEN

LOOK_SECONDS = 12.0
"""How long before a request the run was last looked at: the 10 s that are allowed, and time for both to travel."""

LATEST_SECONDS = 30.0
"""How late a run can surface in the account: so far apart, nothing can make it unclear which of two came first."""

OUT_SECONDS = 100.0
"""A gap of this length cannot pass unseen, whatever is done to the service."""

SLACK = 0.05
"""Seconds by which two stamps of one clock may differ by rounding."""


@dataclass
class Verdict:
    """What a campaign came to. Lists hold one sentence for each broken promise."""

    name: str
    events: int = 0
    runs: int = 0
    failing: int = 0
    kills: int = 0
    scrapes: int = 0
    messages: int = 0
    extra: int = 0
    cancels: int = 0
    lost: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)  # told, and never happened, or before our time
    excess: list[str] = field(default_factory=list)  # more copies than anything excuses
    unmarked: list[str] = field(default_factory=list)
    wrong_cancels: list[str] = field(default_factory=list)
    wrong_counters: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    failed_scrapes: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        """Every broken promise."""
        return [
            *(f"lost: {each}" for each in self.lost),
            *(f"false: {each}" for each in self.false),
            *(f"too many copies: {each}" for each in self.excess),
            *(f"unmarked copy: {each}" for each in self.unmarked),
            *(f"wrong cancel: {each}" for each in self.wrong_cancels),
            *(f"wrong counter: {each}" for each in self.wrong_counters),
            *(f"secret: {each}" for each in self.secrets),
            *(f"scrape: {each}" for each in self.failed_scrapes),
            *self.other,
        ]


def judge(stage: Stage, name: str) -> Verdict:
    """All of it, once everything has come to rest."""
    verdict = Verdict(name)
    runs = stage.account.runs()
    ours = {run_id: run for run_id, run in runs.items() if run_id not in stage.account.history}
    verdict.runs = len(ours)
    verdict.failing = sum(run["status"] in ("FAILED", "FORBIDDEN") for run in ours.values())
    verdict.kills = stage.count["kills"]
    patches = [entry for entry in stage.simulator.log_of_requests() if entry["method"] == "PATCH"]
    looks = _looks(stage.simulator.log_of_requests())
    verdict.cancels = len(patches)
    verdict.wrong_cancels += _wrong_cancels(patches, looks, runs, stage.rules)
    recorded = {str(event_id) for (event_id,) in stage.store.rows(EVENTS)}
    verdict.events = len(recorded)
    heard = {entry["run_id"] for entry in patches if entry.get("applied")}
    for target, addressee in stage.targets.items():
        copies = [(copy, events_in(copy.body)) for copy in addressee.copies]
        verdict.messages += len(copies)
        told = set().union(*(events for _, events in copies)) if copies else set()
        must = _must_be_told(ours, heard) | _must_recover(ours, declined=_declined(addressee))
        verdict.lost += [f"{event} never reached {target}" for event in sorted(must - told)]
        verdict.lost += [f"{gap} never reached {target}" for gap in _gaps(ours) if not _is_told(gap, told)]
        verdict.lost += [f"{event} never reached {target}" for event in _ends_of_outages(told) - told]
        verdict.false += [f"{event} at {target}: {why}" for event, why in _false(told, ours, recorded)]
        _repeats(verdict, target, copies, stage.excused)
        verdict.other += [f"{target}: says nothing of any event: {copy.title}" for copy, events in copies if not events]
    verdict.lost += [f"{event} still waits for {target}" for event, target in stage.store.rows(OPEN)]
    verdict.wrong_counters += _wrong_counters(stage, ours)
    verdict.secrets += sorted(stage.leaks)
    for replica in stage.replicas:
        verdict.scrapes += replica.scraper.scrapes
        verdict.failed_scrapes += replica.scraper.failed
        verdict.wrong_counters += replica.scraper.fell
    verdict.other += stage.trouble
    verdict.count = dict(stage.count)
    return verdict


# Promise 1, 3 and 6: told once to each, and nothing else


def _must_be_told(runs: dict[str, dict[str, Any]], heard: set[str]) -> set[str]:
    told = {f"{run_id}:{run['status']}" for run_id, run in runs.items() if run["status"] in ("FAILED", "FORBIDDEN")}
    for run_id in heard:
        told.add(f"{run_id}:OVER_LIMIT")
        if runs[run_id]["status"] == "CANCELLED":
            told.add(f"{run_id}:CANCEL:cancelled")
    return told


def _steady(runs: dict[str, dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """The finished runs of each pipeline of which success is expected, in the order of their ends."""
    pipelines = defaultdict(list)
    for run in runs.values():
        if expected(run):
            pipelines[run["pipelineName"]].append(run)
    for finished in pipelines.values():
        yield sorted(finished, key=lambda run: instant(run["finishedAt"]))


def _declined(addressee: Slack | Mail) -> set[str]:
    return set().union(*map(events_in, addressee.declined))


def _must_recover(runs: dict[str, dict[str, Any]], *, declined: set[str]) -> set[str]:
    """The first success after a failure, where nothing else can have come first, and the failure was not declined."""
    told = set()
    for finished in _steady(runs):
        failures: list[dict[str, Any]] = []
        for run, later in pairwise([*finished, None]):
            if run["status"] != "SUCCESS":
                failures.append(run)
                continue
            if later and instant(later["finishedAt"]) - instant(run["finishedAt"]) <= LATEST_SECONDS:
                failures = []  # the later one may be seen first, and is told then
                continue
            ids = {f"{failure['pipelineExecutionId']}:FAILED" for failure in failures}
            long_ago = failures and instant(run["finishedAt"]) - instant(failures[0]["finishedAt"]) > LATEST_SECONDS
            if long_ago and not ids & declined:
                told.add(f"{run['pipelineExecutionId']}:RECOVERED")
            failures = []
    return told


def _gaps(runs: dict[str, dict[str, Any]]) -> Iterable[tuple[str, float]]:
    """Pipeline and last success before each gap that must have been told as OVERDUE."""
    for finished in _steady(runs):
        good = [instant(run["finishedAt"]) for run in finished if run["status"] == "SUCCESS"]
        for before, after in pairwise(good):
            if after - before > OUT_SECONDS:
                yield finished[0]["pipelineName"], before


def _is_told(gap: tuple[str, float], told: set[str]) -> bool:
    pipeline, since = gap
    return any(
        f"{pipeline}:OVERDUE:" in event and int(since) == int(instant(event.partition(":OVERDUE:")[2]))
        for event in told
    )


def _ends_of_outages(told: set[str]) -> set[str]:
    """An outage gives two events, down and up again."""
    return {event.replace(":polls_fail:", ":polls_work:") for event in told if ":polls_fail:" in event} | {
        event.replace(":polls_work:", ":polls_fail:") for event in told if ":polls_work:" in event
    }


def _false(told: set[str], runs: dict[str, dict[str, Any]], recorded: set[str]) -> Iterable[tuple[str, str]]:
    for event in sorted(told):
        run_id, _, what = event.partition(":")
        run = runs.get(run_id)
        kind = what.partition(":")[0]
        if event not in recorded:
            yield event, "it was sent before it was written down"
        if run_id == "exporter" or what.startswith("EXPORTER"):
            continue
        if kind == "OVERDUE":
            if not expected({"pipelineName": run_id}):
                yield event, "nothing is expected of it"
            continue
        if run is None:
            yield event, "a run from before our time, or none at all"
        elif kind in ("FAILED", "FORBIDDEN", "SKIPPED", "CANCELLED") and run["status"] != kind:
            yield event, f"it is {run['status']}"
        elif what == "CANCEL:cancelled" and run["status"] != "CANCELLED":
            yield event, f"called cancelled, and it is {run['status']}"
        elif kind == "RECOVERED" and run["status"] != "SUCCESS":
            yield event, f"it is {run['status']}"
        elif kind in ("OVER_LIMIT", "CANCEL") and "load-" in run["pipelineName"]:
            yield event, "no limit is about it"


def _repeats(
    verdict: Verdict, target: str, copies: list[tuple[Copy, set[str]]], excused: Counter[tuple[str, str]]
) -> None:
    """A second copy is excused by a copy before it that was not confirmed, and by a death while one was sent."""
    seen: Counter[str] = Counter()
    unmarked: Counter[str] = Counter()
    doubtful: Counter[str] = Counter()
    for copy, events in copies:
        again = {event for event in events if seen[event]}
        if again:
            verdict.extra += 1
        if not marked(copy.title):
            # One of them is the first: who slept in the middle of sending it may send it last.
            verdict.unmarked += [f"{event} at {target}" for event in sorted(events) if unmarked[event]]
            unmarked.update(events)
        verdict.excess += [
            f"{event} at {target}: copy {seen[event] + 1}"
            for event in sorted(again)
            if seen[event] > doubtful[event] + excused[event, target]
        ]
        seen.update(events)
        if not copy.confirmed:
            doubtful.update(events)


# Promise 4: no wrong cancel


def _looks(log: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """When each run was read by its id: from the question to the end of the answer."""
    looks = defaultdict(list)
    for entry in log:
        if entry["method"] == "GET" and entry["status"] == 200 and "/pipeline-executions/" in entry["path"]:
            asked_at = instant(entry["at"])
            looks[entry["path"].rpartition("/")[2]].append((asked_at, asked_at + (entry["seconds"] or 0)))
    return looks


def _wrong_cancels(
    patches: list[dict[str, Any]],
    looks: dict[str, list[tuple[float, float]]],
    runs: dict[str, dict[str, Any]],
    rules: list[tuple[float, frozenset[str]]],
) -> Iterable[str]:
    asked_politely: dict[str, float] = {}
    times: Counter[tuple[str, bool]] = Counter()
    for entry in patches:
        at, run_id = instant(entry["at"]), entry["path"].rpartition("/")[2]
        run = runs.get(run_id)
        if run is None:
            yield f"{run_id}: there is no such run"
            continue
        force = bool(entry.get("force", False))
        said = f"{run_id} ({run['pipelineName']}, {'force' if force else 'polite'}) at {entry['at']}"
        if not covered(run):
            yield f"{said}: no limit in mode cancel covers it"
        if not any("cancel" in modes for modes in _in_force(rules, at)):
            yield f"{said}: its limit only observes"
        if at - instant(run["startedAt"]) < CANCEL_AFTER - SLACK:
            yield f"{said}: it was {at - instant(run['startedAt']):.1f} s old"
        if "applied" in entry and force and at - asked_politely.get(run_id, at) < FORCE_AFTER - SLACK:
            yield f"{said}: forced {at - asked_politely.get(run_id, at):.1f} s after the polite request"
        yield from _ended_before(entry, at, run, looks.get(run_id, []), said)
        asked_politely.setdefault(run_id, at)
        times[run_id, force] += 1
        if times[run_id, force] > 2:
            yield f"{said}: asked for the {times[run_id, force]}th time"


def _ended_before(
    entry: dict[str, Any], at: float, run: dict[str, Any], looks: list[tuple[float, float]], said: str
) -> Iterable[str]:
    """A request without a fresh look, or to a run that the look showed ended. What ends in between cannot be known."""
    fresh = [look for look in looks if at - LOOK_SECONDS <= look[0] <= at]
    if not fresh:
        yield f"{said}: nobody had looked at it just before"
    elif entry.get("true_status", "RUNNING") not in UNFINISHED and run["endedAt"]:
        ended_at = instant(run["endedAt"])
        if all(asked_at > ended_at for asked_at, _ in fresh):
            yield f"{said}: it was {entry['true_status']}, and the look at it could show that"


def _in_force(rules: list[tuple[float, frozenset[str]]], at: float) -> list[frozenset[str]]:
    """What could be in force at an instant."""
    before = [modes for since, modes in rules if since <= at]
    return before[-1:]


# The counters

_SAMPLE = re.compile(r"^maia_pipeline_(runs_started|runs_finished|run_seconds)_total\{(.*)\} (\S+)$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def _wrong_counters(stage: Stage, runs: dict[str, dict[str, Any]]) -> Iterable[str]:
    """What the page counts, held against what happened since the first start."""
    true: dict[tuple[str, ...], float] = defaultdict(float)
    for run in runs.values():
        where = (run["environmentName"], run["pipelineName"])
        true["runs_started", *where, run["trigger"]] += 1
        true["runs_finished", *where, run["status"]] += 1
        if run["startedAt"] and run["finishedAt"]:
            true["run_seconds", *where, run["status"]] += instant(run["finishedAt"]) - instant(run["startedAt"])
    shown: dict[tuple[str, ...], float] = {}
    page = _leaders_page(stage)
    for name, labels, value in _SAMPLE.findall(page):
        label = dict(_LABEL.findall(labels))
        key = (name, label["environment_name"], label["pipeline_name"], label.get("status") or label["trigger"])
        shown[key] = float(value)
    for key in sorted(true.keys() | shown.keys()):
        if abs(true.get(key, 0) - shown.get(key, 0)) > 0.01:
            yield f"{' '.join(key)}: shown {shown.get(key, 0):g}, true {true.get(key, 0):g}"
    missed = re.search(r"^maia_exporter_possibly_missed_runs_total (\S+)$", page, re.M)
    if missed and float(missed[1]):
        yield f"it says that {missed[1]} times runs may have been missed"


def _leaders_page(stage: Stage) -> str:
    for replica in stage.replicas:
        with httpx.Client(trust_env=False, timeout=10) as client:
            text = client.get(f"{replica.url}/metrics").text
        if "maia_pipeline_runs_finished_total" in text:
            return text
    return ""
