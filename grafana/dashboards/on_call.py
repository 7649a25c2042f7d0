"""The dashboard for whoever was woken: what is broken, since when, and what runs too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frame import Row, framed, of_many
from queries import ACCOUNT, SELECTED, counted_each, latest, total
from style import (
    CELL,
    GREEN,
    NEUTRAL,
    OUTCOMES,
    PURPLE,
    RED,
    SERIES,
    YELLOW,
    Ask,
    Column,
    bad_above,
    graph,
    meanings,
    rows,
    stat_panel,
    timeline,
    to_dashboard,
    to_pipeline,
    value,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

LAST_BAD = latest("maia_pipeline_last_run_status", SELECTED, status="FAILED|FORBIDDEN")
BROKEN = f"({LAST_BAD} == 1)"
WITHIN = latest("maia_pipeline_success_within_seconds", SELECTED)
SINCE_SUCCESS = f"(time() - {latest('maia_pipeline_last_success_timestamp_seconds', SELECTED)})"
STARTED = f"min without (instance, pod) (maia_pipeline_oldest_active_run_start_timestamp_seconds{{{SELECTED}}})"
RUNS = f"(sum without (status) ({latest('maia_pipeline_active_runs', SELECTED)}) > 0)"
RUNNING_FOR = f"(time() - {STARTED} and {RUNS})"
LIMIT = latest("maia_pipeline_run_time_limit_seconds", SELECTED)
OVER_LIMIT = latest("maia_pipeline_active_runs_over_limit", SELECTED)
CANCELLING_SINCE = (
    f"min without (instance, pod) (maia_pipeline_oldest_cancelling_since_timestamp_seconds{{{SELECTED}}})"
)
CANCELLING = f"({latest('maia_pipeline_active_runs', SELECTED, status='CANCELLING')} > 0)"
LAST_END = latest("maia_pipeline_last_run_end_timestamp_seconds", SELECTED)
LAST_GOOD = latest("maia_exporter_last_successful_poll_timestamp_seconds", ACCOUNT)

NAMES = [
    Column("account", "Account"),
    Column("project_name", "Project"),
    Column("environment_name", "Environment"),
    Column("pipeline_name", "Pipeline"),
    Column("job", "", hidden=True),
]


def on_call() -> Dashboard:
    """The dashboard."""
    return framed(
        uid="maia-on-call",
        title="Maia / On call",
        description="What is broken, since when, and what runs too long.",
        since="now-6h",
        refresh="30s",
        variables=of_many(),
        rows=(
            Row("Now", _now()),
            Row("Broken", (_broken(), _history())),
            Row("Running", (_running(), _cancelling())),
            Row("Late", (_overdue(), _failures())),
        ),
    )


def _now():
    legend = "{{account}}"
    return (
        stat_panel(
            "Broken pipelines",
            "Pipelines whose last run was FAILED or FORBIDDEN. The table below names them.",
            Ask(total(f"max without (status) ({LAST_BAD})"), legend),
            unit="short",
            thresholds=bad_above(1),
        ),
        stat_panel(
            "Past their limit",
            "Unfinished runs that are past the first threshold of their own limit.",
            Ask(total(OVER_LIMIT), legend),
            unit="short",
            thresholds=bad_above(1),
        ),
        stat_panel(
            "Overdue pipelines",
            "Pipelines whose last SUCCESS is longer ago than their [[expectations]] success_within allows.",
            Ask(total(f"{SINCE_SUCCESS} > bool {WITHIN}"), legend),
            unit="short",
            thresholds=bad_above(1),
            no_value="none expected",
        ),
        stat_panel(
            "Running",
            "Unfinished runs, whatever their state.",
            Ask(total(latest("maia_pipeline_active_runs", SELECTED)), legend),
            unit="short",
            thresholds=NEUTRAL,
        ),
        stat_panel(
            "Messages that wait",
            "Messages that are not delivered yet. Above 0 for minutes: somebody does not know what they should.",
            Ask(total(latest("maia_notification_queue_length", ACCOUNT)), legend),
            unit="short",
            thresholds=bad_above(1, 10),
            no_value="no targets",
            links=to_dashboard("Targets", "maia-exporter"),
        ),
        stat_panel(
            "Age of all this",
            "Time since the last good poll. When that is long, everything here shows the past.",
            Ask(
                f"max by (account) (time() - {LAST_GOOD})",
                legend,
            ),
            unit="s",
            thresholds=bad_above(120, 300),
            links=to_dashboard("Exporter", "maia-exporter"),
        ),
    )


def _broken():
    return rows(
        "What is broken, and since when",
        "Pipelines whose last run that finished was FAILED or FORBIDDEN. "
        "A pipeline without a last success has never succeeded as far as the record goes. Click a row for its history.",
        Ask(BROKEN),
        Ask(f"{latest('maia_pipeline_consecutive_failures', SELECTED)} and ignoring (status) {BROKEN}"),
        Ask(f"(time() - {LAST_END}) and ignoring (status) {BROKEN}"),
        Ask(f"{SINCE_SUCCESS} and ignoring (status) {BROKEN}"),
        columns=[
            *NAMES,
            Column("status", "Last run"),
            Column("Value #A", "", hidden=True),
            Column("Value #B", "Failures in a row", "short", ((None, YELLOW), (2, RED))),
            Column("Value #C", "Ended ago", "s"),
            Column("Value #D", "Last success ago", "s"),
        ],
        unit="short",
        thresholds=NEUTRAL,
        data_links=to_pipeline(CELL),
        no_value="nothing is broken",
        sort="Failures in a row",
    )


def _history():
    failed = f"({latest('maia_pipeline_last_run_status', SELECTED, status='FAILED')} == 1)"
    forbidden = f"({latest('maia_pipeline_last_run_status', SELECTED, status='FORBIDDEN')} == 1)"
    legend = "{{account}} {{project_name}} / {{environment_name}} / {{pipeline_name}}"
    return timeline(
        "Broken from when to when",
        "A line a pipeline, drawn while its last run was FAILED or FORBIDDEN. The left edge is when it broke.",
        Ask(failed, legend),
        Ask(f"{forbidden} * 2", legend),
        mappings=meanings(value(1, "FAILED", OUTCOMES["FAILED"]), value(2, "FORBIDDEN", OUTCOMES["FORBIDDEN"])),
        thresholds=((None, RED), (2, PURPLE)),
        data_links=to_pipeline(SERIES),
        no_value="nothing was broken",
    )


def _running():
    return rows(
        "What runs, the longest first",
        "Pipelines with unfinished runs: for how long the oldest goes, and how much of the pipeline's limit that is. "
        "From 100 % on the limit's mode decides what happens.",
        Ask(RUNNING_FOR),
        Ask(f"{RUNNING_FOR} / {LIMIT}"),
        Ask(f"{LIMIT} and {RUNNING_FOR}"),
        Ask(RUNS),
        Ask(f"{OVER_LIMIT} and {RUNNING_FOR}"),
        columns=[
            *NAMES,
            Column("Value #A", "Running for", "s"),
            Column("Value #B", "Of its limit", "percentunit", ((None, GREEN), (0.8, YELLOW), (1, RED)), bar=True),
            Column("Value #C", "Limit", "s"),
            Column("Value #D", "Runs", "short"),
            Column("Value #E", "Past their limit", "short", bad_above(1)),
        ],
        unit="short",
        thresholds=NEUTRAL,
        max_value=1,
        data_links=to_pipeline(CELL),
        no_value="nothing runs",
        sort="Running for",
    )


def _cancelling():
    return graph(
        "Cancelled and still there",
        "For how long a pipeline's oldest run has been CANCELLING. After a quarter of an hour: cancel it by force.",
        Ask(
            f"time() - {CANCELLING_SINCE} and ignoring (status) {CANCELLING}",
            "{{account}} {{project_name}} / {{environment_name}} / {{pipeline_name}}",
        ),
        unit="s",
        thresholds=bad_above(300, 900),
        line_at_thresholds=True,
        data_links=to_pipeline(SERIES),
        no_value="nothing is CANCELLING",
        w=24,
        h=6,
    )


def _overdue():
    return rows(
        "What should have succeeded, the latest first",
        "Pipelines with an expectation: time since the last SUCCESS (if any) against it. Above 100 % is overdue.",
        Ask(f"{SINCE_SUCCESS} / {WITHIN}"),
        Ask(f"{SINCE_SUCCESS} and {WITHIN}"),
        Ask(WITHIN),
        columns=[
            *NAMES,
            Column("Value #A", "Of its time", "percentunit", ((None, GREEN), (0.8, YELLOW), (1, RED)), bar=True),
            Column("Value #B", "Last success ago", "s"),
            Column("Value #C", "Expected within", "s"),
        ],
        unit="short",
        thresholds=NEUTRAL,
        max_value=1,
        data_links=to_pipeline(CELL),
        no_value="nothing is expected",
        sort="Of its time",
        w=15,
    )


def _failures():
    return graph(
        "Failures",
        "Runs that ended as FAILED or FORBIDDEN, each once, in the bar in which a poll saw its end.",
        Ask(
            total(
                counted_each("maia_pipeline_runs_finished_total", SELECTED, status="FAILED|FORBIDDEN"), "project_name"
            ),
            "{{account}} {{project_name}}",
        ),
        unit="short",
        thresholds=bad_above(1),
        bars=True,
        interval="5m",
        decimals=0,
        links=to_dashboard("Fleet", "maia-fleet"),
        w=9,
    )
