"""The dashboard of weeks: success rates, run time, failures by project, the worst ten, what limits did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frame import Row, framed, of_many
from queries import PIPELINE, SELECTED, counted, counted_each, latest, ratio, total
from style import (
    CELL,
    GREEN,
    NEUTRAL,
    OUTCOMES,
    RED,
    SERIES,
    YELLOW,
    Ask,
    Column,
    bad_above,
    bad_below,
    bars_panel,
    graph,
    link,
    rows,
    stat_panel,
    to_dashboard,
    to_pipeline,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

FINISHED = "maia_pipeline_runs_finished_total"
SECONDS = "maia_pipeline_run_seconds_total"
BAD = "FAILED|FORBIDDEN"
TRIED = "SUCCESS|FAILED|FORBIDDEN"
LEGEND = "{{account}}"
BY_PROJECT = "{{account}} {{project_name}}"
BY_PIPELINE = "{{account}} {{project_name}} / {{environment_name}} / {{pipeline_name}}"
BAR = "1h"


def fleet() -> Dashboard:
    """The dashboard."""
    return framed(
        uid="maia-fleet",
        title="Maia / Fleet",
        description="Weeks of all pipelines: success rate, run time, failures by project, the worst ten, cancels.",
        since="now-14d",
        refresh="15m",
        variables=of_many(),
        rows=(
            Row("In the time chosen", _sums()),
            Row("Success", (_success_rate(), _outcomes(), _failures())),
            Row("The worst", (_worst(), _longest(), _oldest())),
            Row("Run time", (_run_time(), _run_time_by_pipeline())),
            Row("Limits", (_over_limit(), _requests(), _became())),
        ),
    )


def _sums():
    return (
        stat_panel(
            "Success rate",
            "SUCCESS among the runs that ended as SUCCESS, FAILED or FORBIDDEN.",
            Ask(
                ratio(
                    total(counted(FINISHED, SELECTED, status="SUCCESS")),
                    total(counted(FINISHED, SELECTED, status=TRIED)),
                ),
                LEGEND,
            ),
            unit="percentunit",
            thresholds=bad_below(0.8, 0.95),
            no_value="no runs",
        ),
        stat_panel(
            "Runs that ended",
            "All of them, however they ended.",
            Ask(total(counted(FINISHED, SELECTED)), LEGEND),
            unit="short",
            thresholds=NEUTRAL,
            decimals=0,
        ),
        stat_panel(
            "Failures",
            "Runs that ended as FAILED or FORBIDDEN.",
            Ask(total(counted(FINISHED, SELECTED, status=BAD)), LEGEND),
            unit="short",
            thresholds=bad_above(1),
            decimals=0,
            links=to_dashboard("On call", "maia-on-call"),
        ),
        stat_panel(
            "Run time",
            "Wall time of the runs that ended, added up.",
            Ask(total(counted(SECONDS, SELECTED)), LEGEND),
            unit="s",
            thresholds=NEUTRAL,
        ),
        stat_panel(
            "Run time lost",
            "The share of it that went into runs that failed, were forbidden or cancelled.",
            Ask(
                ratio(
                    total(counted(SECONDS, SELECTED, status="FAILED|FORBIDDEN|CANCELLED")),
                    total(counted(SECONDS, SELECTED)),
                ),
                LEGEND,
            ),
            unit="percentunit",
            thresholds=bad_above(0.05, 0.2),
            no_value="no runs",
        ),
        stat_panel(
            "Cancelled by limits",
            "Runs that a limit asked to stop and that Maia reports as cancelled.",
            Ask(total(counted("maia_pipeline_cancel_outcomes_total", SELECTED, outcome="cancelled")), LEGEND),
            unit="short",
            thresholds=bad_above(1, 10),
            decimals=0,
            no_value="no limits",
        ),
    )


def _success_rate():
    good = total(counted_each(FINISHED, SELECTED, status="SUCCESS"), "project_name")
    tried = total(counted_each(FINISHED, SELECTED, status=TRIED), "project_name")
    return graph(
        "Success rate by project",
        "SUCCESS among the runs that ended as SUCCESS, FAILED or FORBIDDEN in each interval; no point where none did.",
        Ask(ratio(good, tried), BY_PROJECT),
        unit="percentunit",
        thresholds=bad_below(0.8, 0.95),
        line_at_thresholds=True,
        interval=BAR,
        points=True,
        max_value=1,
    )


def _outcomes():
    return graph(
        "Runs by how they ended",
        "Each run once, in the bar in which a poll saw its end.",
        Ask(total(counted_each(FINISHED, SELECTED), "status"), "{{account}} {{status}}"),
        unit="short",
        colours=OUTCOMES,
        bars=True,
        interval=BAR,
        decimals=0,
    )


def _failures():
    return graph(
        "Failures by project",
        "Runs that ended as FAILED or FORBIDDEN, in the bar in which a poll saw their end.",
        Ask(total(counted_each(FINISHED, SELECTED, status=BAD), "project_name"), BY_PROJECT),
        unit="short",
        thresholds=bad_above(1),
        bars=True,
        interval=BAR,
        decimals=0,
        links=to_dashboard("On call", "maia-on-call"),
        w=24,
    )


def _worst():
    bad = f"sum without (status) ({counted(FINISHED, SELECTED, status=BAD)})"
    tried = f"sum without (status) ({counted(FINISHED, SELECTED, status=TRIED)})"
    ten = f"topk by (account) (10, {bad} > 0)"
    return rows(
        "The worst ten",
        "The pipelines with the most failures, of each account. Mend these first.",
        Ask(ten),
        Ask(f"{ratio(bad, tried)} and {ten}"),
        Ask(f"sum without (status) ({counted(SECONDS, SELECTED, status=BAD)}) and {ten}"),
        columns=[
            Column("account", "Account"),
            Column("project_name", "Project"),
            Column("environment_name", "Environment"),
            Column("pipeline_name", "Pipeline"),
            Column("job", "", hidden=True),
            Column("Value #A", "Failures", "short", ((None, YELLOW), (5, RED))),
            Column("Value #B", "Of its runs", "percentunit", ((None, GREEN), (0.05, YELLOW), (0.2, RED)), bar=True),
            Column("Value #C", "Time lost", "s"),
        ],
        unit="short",
        thresholds=NEUTRAL,
        max_value=1,
        data_links=to_pipeline(CELL),
        no_value="no failures",
        sort="Failures",
    )


def _longest():
    mean = ratio(
        f"sum without (status) ({counted(SECONDS, SELECTED, status='SUCCESS')})",
        f"sum without (status) ({counted(FINISHED, SELECTED, status='SUCCESS')})",
    )
    return bars_panel(
        "The ten that take longest",
        "Mean wall time of successful runs.",
        Ask(f"topk by (account) (10, {mean})", BY_PIPELINE),
        unit="s",
        thresholds=NEUTRAL,
        data_links=to_pipeline(SERIES),
        no_value="no successes",
    )


def _oldest():
    return bars_panel(
        "The ten longest without a success",
        "Time since the last SUCCESS. A pipeline that nobody needs any more stands here too.",
        Ask(
            f"topk by (account) (10, time() - {latest('maia_pipeline_last_success_timestamp_seconds', SELECTED)})",
            BY_PIPELINE,
        ),
        unit="s",
        thresholds=((None, GREEN), (86400, YELLOW), (7 * 86400, RED)),
        data_links=to_pipeline(SERIES),
        no_value="no successes",
    )


def _run_time():
    return graph(
        "Run time by project",
        "Wall time of the runs that ended in each interval, however they ended.",
        Ask(total(counted_each(SECONDS, SELECTED), "project_name"), BY_PROJECT),
        unit="s",
        bars=True,
        interval=BAR,
    )


def _run_time_by_pipeline():
    return bars_panel(
        "The ten with the most run time",
        "Wall time of all their runs, added up: where a faster pipeline saves most.",
        Ask(f"topk by (account) (10, {total(counted(SECONDS, SELECTED), *PIPELINE.split(', ')[1:])})", BY_PIPELINE),
        unit="s",
        thresholds=NEUTRAL,
        data_links=to_pipeline(SERIES),
        no_value="no runs",
    )


def _over_limit():
    return graph(
        "Runs past their limit",
        "Runs that passed the first threshold of their limit in each interval, each once.",
        Ask(total(counted_each("maia_pipeline_runs_over_limit_total", SELECTED), "project_name"), BY_PROJECT),
        unit="short",
        thresholds=bad_above(1),
        bars=True,
        interval=BAR,
        decimals=0,
        w=8,
    )


def _requests():
    return graph(
        "Asked to stop",
        "Requests because of a limit. observe: it would have been asked; force: the second, harder one.",
        Ask(total(counted_each("maia_pipeline_cancel_requests_total", SELECTED), "mode"), "{{account}} {{mode}}"),
        unit="short",
        thresholds=bad_above(1, 5),
        bars=True,
        interval=BAR,
        decimals=0,
        no_value="no limits",
        w=8,
    )


def _became():
    return graph(
        "What became of it",
        "How the runs that were asked ended. refused and stuck want a look: a limit that cannot do its work.",
        Ask(total(counted_each("maia_pipeline_cancel_outcomes_total", SELECTED), "outcome"), "{{account}} {{outcome}}"),
        unit="short",
        thresholds=bad_above(1, 5),
        colours={"refused": RED, "stuck": RED},
        bars=True,
        interval=BAR,
        decimals=0,
        no_value="no limits",
        links=[link("Status page", "${status_page:raw}/", elsewhere=True)],
        w=8,
    )
