"""The dashboard of one pipeline: how its runs end, how long they take, when it last succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frame import Row, framed, of_one
from queries import ONE, counted, counted_each, latest, ratio, total
from style import (
    GREEN,
    NEUTRAL,
    OUTCOMES,
    RED,
    YELLOW,
    Ask,
    Column,
    bad_above,
    bad_below,
    graph,
    link,
    meanings,
    rows,
    stat_panel,
    timeline,
    to_dashboard,
    value,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

FINISHED = "maia_pipeline_runs_finished_total"
TRIED = "SUCCESS|FAILED|FORBIDDEN"
CODES = {status: number for number, status in enumerate(OUTCOMES, 1)}
PAGE = [
    link(
        "Status page",
        "${status_page:raw}/?project=${project:percentencode}&environment=${environment:percentencode}&q=${pipeline:percentencode}",
        elsewhere=True,
    )
]
LEGEND = "{{account}}"


def pipeline() -> Dashboard:
    """The dashboard."""
    return framed(
        uid="maia-pipeline",
        title="Maia / Pipeline",
        description="One pipeline: outcomes, durations against its limit, last success.",
        since="now-24h",
        refresh="1m",
        variables=of_one(),
        rows=(
            Row("Now", _now()),
            Row("Outcomes", (_states(), _outcomes(), _since_success())),
            Row("Durations", (_durations(), _quantiles(), _means(), _running())),
            Row("Starts and limits", (_starts(), _over_limit(), _cancels(), _about())),
        ),
    )


def _status() -> str:
    """The last run's status as a number. While two replicas show two, it is one of them, never their sum."""
    each = (f"{latest('maia_pipeline_last_run_status', ONE, status=status)} * {code}" for status, code in CODES.items())
    return f"max without (status) ({' or '.join(each)})"


MEANINGS = meanings(
    *(value(code, status, OUTCOMES[status]) for status, code in CODES.items()), value(0, "never ran", "gray")
)
BY_CODE = ((None, "gray"), *((float(code), OUTCOMES[status]) for status, code in CODES.items()))


def _now():
    last_success = latest("maia_pipeline_last_success_timestamp_seconds", ONE)
    return (
        stat_panel(
            "Last run",
            "How the run that finished last ended. Its message and its link are on the status page.",
            Ask(_status(), LEGEND),
            unit="short",
            thresholds=BY_CODE,
            mappings=MEANINGS,
            links=PAGE,
        ),
        stat_panel(
            "Failures in a row",
            "FAILED and FORBIDDEN runs since the last SUCCESS; CANCELLED and SKIPPED ones do not count.",
            Ask(latest("maia_pipeline_consecutive_failures", ONE), LEGEND),
            unit="short",
            thresholds=bad_above(1, 2),
            links=to_dashboard("On call", "maia-on-call"),
        ),
        stat_panel(
            "Last success ago",
            "Time since the last SUCCESS ended. It survives restarts and the record's retention.",
            Ask(f"time() - {last_success}", LEGEND),
            unit="s",
            thresholds=NEUTRAL,
            no_value="never",
        ),
        stat_panel(
            "Of its expectation",
            "That time against its [[expectations]] success_within. Above 100 % it is overdue.",
            Ask(f"(time() - {last_success}) / {latest('maia_pipeline_success_within_seconds', ONE)}", LEGEND),
            unit="percentunit",
            thresholds=bad_above(0.8, 1),
            no_value="none",
        ),
        stat_panel(
            "Success rate",
            "SUCCESS among the runs that ended as SUCCESS, FAILED or FORBIDDEN in the time chosen above.",
            Ask(
                ratio(total(counted(FINISHED, ONE, status="SUCCESS")), total(counted(FINISHED, ONE, status=TRIED))),
                LEGEND,
            ),
            unit="percentunit",
            thresholds=bad_below(0.8, 0.95),
            no_value="no runs",
            links=to_dashboard("Fleet", "maia-fleet"),
        ),
        stat_panel(
            "Running",
            "How many of its runs are unfinished.",
            Ask(f"sum without (status) ({latest('maia_pipeline_active_runs', ONE)})", LEGEND),
            unit="short",
            thresholds=NEUTRAL,
        ),
    )


def _states():
    return timeline(
        "Last run over time",
        "How the run that had finished last at each moment ended.",
        Ask(_status(), "{{account}} last run"),
        mappings=MEANINGS,
        thresholds=BY_CODE,
        links=PAGE,
        h=4,
    )


def _outcomes():
    return graph(
        "Runs by how they ended",
        "Each run once, in the bar in which a poll saw its end.",
        Ask(total(counted_each(FINISHED, ONE), "status"), "{{account}} {{status}}"),
        unit="short",
        colours=OUTCOMES,
        bars=True,
        interval="5m",
        decimals=0,
        links=PAGE,
    )


def _since_success():
    return graph(
        "Time since the last success",
        "It falls to 0 with each SUCCESS. Where it meets the dashed line, the pipeline is overdue.",
        Ask(f"time() - {latest('maia_pipeline_last_success_timestamp_seconds', ONE)}", "{{account}} since success"),
        Ask(latest("maia_pipeline_success_within_seconds", ONE), "{{account}} expected within"),
        unit="s",
        colours={"expected": RED},
    )


def _durations():
    return graph(
        "Duration of each run",
        "Wall time of the run that finished last, as polls saw it, and the pipeline's limit. "
        "Runs that end within one scrape show as one; the mean beside counts all.",
        Ask(latest("maia_pipeline_last_run_duration_seconds", ONE), "{{account}} duration"),
        Ask(latest("maia_pipeline_run_time_limit_seconds", ONE), "{{account}} limit"),
        unit="s",
        colours={"limit": RED},
    )


def _quantiles():
    buckets = counted("maia_pipeline_run_duration_seconds_bucket", ONE)
    return graph(
        "Quantiles of successful runs",
        "Half, nine tenths and 99 of 100 successful runs of the time chosen above took no longer than this. "
        "Needs [metrics] duration_buckets.",
        *(Ask(f"histogram_quantile({q}, {buckets})", f"{{{{account}}}} {name}") for q, name in QUANTILES),
        Ask(latest("maia_pipeline_run_time_limit_seconds", ONE), "{{account}} limit"),
        unit="s",
        colours={"limit": RED},
        no_value="the histogram is off",
    )


QUANTILES = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))


def _means():
    seconds = total(counted_each("maia_pipeline_run_seconds_total", ONE), "status")
    ended = total(counted_each(FINISHED, ONE), "status")
    return graph(
        "Mean duration by how runs ended",
        "Wall time of the runs that ended in an interval, over their number. Failures that come sooner or later than "
        "successes say where to look.",
        Ask(ratio(seconds, ended), "{{account}} {{status}}"),
        unit="s",
        colours=OUTCOMES,
        points=True,
        interval="5m",
    )


def _running():
    start = f"min without (instance, pod) (maia_pipeline_oldest_active_run_start_timestamp_seconds{{{ONE}}})"
    runs = f"sum without (status) ({latest('maia_pipeline_active_runs', ONE)}) > 0"
    return graph(
        "How long the oldest run goes",
        "From the start of the oldest unfinished run; a line without end is a run that hangs.",
        Ask(f"time() - {start} and {runs}", "{{account}} oldest run"),
        Ask(latest("maia_pipeline_run_time_limit_seconds", ONE), "{{account}} limit"),
        unit="s",
        colours={"limit": RED},
        no_value="nothing ran",
    )


def _starts():
    return graph(
        "Starts by what started them",
        "Each run once, in the bar in which a poll first saw it.",
        Ask(total(counted_each("maia_pipeline_runs_started_total", ONE), "trigger"), "{{account}} {{trigger}}"),
        unit="short",
        bars=True,
        interval="5m",
        decimals=0,
    )


def _over_limit():
    return graph(
        "Runs past their limit",
        "Now, and how many have passed its first threshold in each interval.",
        Ask(latest("maia_pipeline_active_runs_over_limit", ONE), "{{account}} now"),
        Ask(total(counted_each("maia_pipeline_runs_over_limit_total", ONE)), "{{account}} passed it"),
        unit="short",
        thresholds=bad_above(1),
        interval="5m",
        decimals=0,
    )


def _cancels():
    return graph(
        "Asked to stop, and what became of it",
        "Requests because of a limit (observe: would have been made) and how the runs ended.",
        Ask(total(counted_each("maia_pipeline_cancel_requests_total", ONE), "mode"), "{{account}} asked: {{mode}}"),
        Ask(
            total(counted_each("maia_pipeline_cancel_outcomes_total", ONE), "outcome"),
            "{{account}} became: {{outcome}}",
        ),
        unit="short",
        thresholds=((None, GREEN), (1, YELLOW)),
        bars=True,
        interval="5m",
        decimals=0,
        no_value="no limit",
        w=24,
        h=6,
    )


def _about():
    return rows(
        "About it",
        "Its project's id and its type, as Maia has them.",
        Ask(latest("maia_pipeline_info", ONE)),
        columns=[
            Column("account", "Account"),
            Column("project_name", "Project"),
            Column("project_id", "Project id"),
            Column("environment_name", "Environment"),
            Column("pipeline_name", "Pipeline"),
            Column("pipeline_type", "Type"),
            Column("job", "", hidden=True),
            Column("Value", "", hidden=True),
        ],
        unit="short",
        thresholds=NEUTRAL,
        links=PAGE,
        w=24,
        h=4,
    )
