"""The dashboard of the exporter itself: how old its data are, polls, API budget, targets, limits, store.

Counters of a process begin at 0 with it and are no other replica's: each instance is a line of its own here. What the
record keeps (messages, limits) is merged as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deliveries import limits, targets
from frame import Row, account, framed
from queries import ACCOUNT, latest, led, series
from style import (
    GREEN,
    NEUTRAL,
    RED,
    YELLOW,
    Ask,
    bad_above,
    graph,
    link,
    meanings,
    stat_panel,
    timeline,
    to_dashboard,
    value,
)
from upkeep import upkeep

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

LEGEND = "{{account}}"
EACH = "{{account}} {{instance}}"
LAST_GOOD = latest("maia_exporter_last_successful_poll_timestamp_seconds", ACCOUNT)
PAGE = [link("Status page", "${status_page:raw}/", elsewhere=True)]


def exporter() -> Dashboard:
    """The dashboard."""
    return framed(
        uid="maia-exporter",
        title="Maia / Exporter",
        description="The exporter itself: age of data, polls, API budget, targets, limits, store.",
        since="now-6h",
        refresh="30s",
        variables=[account()],
        rows=(
            Row("Now", _now()),
            Row("Polls", (_age(), _leader(), _durations(), _polls())),
            Row("API", (_requests(), _latency(), _throttled(), _token())),
            targets(),
            limits(),
            upkeep(),
        ),
    )


def _now():
    return (
        stat_panel(
            "Age of data",
            "Seconds since the last good poll. Above five intervals ExporterDataStale fires.",
            Ask(f"time() - {LAST_GOOD}", LEGEND),
            unit="s",
            thresholds=bad_above(120, 300),
            links=to_dashboard("On call", "maia-on-call"),
            no_value="never polled",
        ),
        stat_panel(
            "Last poll",
            "Whether the last poll read everything in scope.",
            Ask(latest("maia_up", ACCOUNT), LEGEND),
            unit="short",
            thresholds=((None, RED), (1, GREEN)),
            mappings=meanings(value(0, "failed", RED), value(1, "good", GREEN)),
            no_value="no leader",
        ),
        stat_panel(
            "Leaders",
            "Processes that poll, send and cancel: one for each account, also with replicas.",
            Ask(f"sum without (instance, pod) ({series('maia_exporter_is_leader', ACCOUNT)})", LEGEND),
            unit="short",
            thresholds=((None, RED), (1, GREEN), (2, RED)),
        ),
        stat_panel(
            "Pipelines",
            "Pipelines that are tracked, shown or not.",
            Ask(led("maia_exporter_tracked_pipelines", ACCOUNT), LEGEND),
            unit="short",
            thresholds=NEUTRAL,
        ),
        stat_panel(
            "Left out",
            "Tracked pipelines without metrics, because of [metrics] max_pipelines; alerts and limits see them.",
            Ask(led("maia_exporter_pipelines_over_cap", ACCOUNT), LEGEND),
            unit="short",
            thresholds=bad_above(1),
        ),
        stat_panel(
            "Clock",
            "Seconds by which the API's clock is ahead of ours. From 60 s on no limit cancels anything.",
            Ask(led("maia_exporter_clock_skew_seconds", ACCOUNT), LEGEND),
            unit="s",
            thresholds=((None, RED), (-60, YELLOW), (-30, GREEN), (30, YELLOW), (60, RED)),
        ),
    )


def _age():
    return graph(
        "Age of data",
        "A saw that climbs to one poll interval is healthy; a slope is an outage.",
        Ask(f"time() - {LAST_GOOD}", LEGEND),
        Ask(f"5 * {latest('maia_exporter_poll_interval_seconds', ACCOUNT)}", "{{account}} stale from here"),
        unit="s",
        thresholds=bad_above(120, 300),
        colours={"stale": RED},
    )


def _leader():
    return timeline(
        "Who leads",
        "Each replica: leader, or standing by. A gap is a process that was not there.",
        Ask(series("maia_exporter_is_leader", ACCOUNT), EACH),
        mappings=meanings(value(0, "stands by", "gray"), value(1, "leads", GREEN)),
        thresholds=((None, "gray"), (1, GREEN)),
        w=12,
    )


def _durations():
    return graph(
        "How long a poll takes",
        "Seconds that the last poll took, and the interval it has to fit in.",
        Ask(series("maia_exporter_poll_duration_seconds", ACCOUNT), EACH),
        Ask(latest("maia_exporter_poll_interval_seconds", ACCOUNT), "{{account}} interval"),
        unit="s",
        colours={"interval": RED},
    )


def _polls():
    return graph(
        "Polls",
        "Polls a minute, and those that failed, by cause.",
        Ask(f"60 * rate({series('maia_exporter_polls_total', ACCOUNT)}[$__rate_interval])", f"{EACH} polls"),
        Ask(
            f"60 * rate({series('maia_exporter_poll_failures_total', ACCOUNT)}[$__rate_interval]) > 0",
            f"{EACH} failed: {{{{cause}}}}",
        ),
        unit="short",
        thresholds=NEUTRAL,
        colours={"failed": RED},
        links=PAGE,
    )


def _requests():
    rate = f"60 * rate({series('maia_exporter_api_requests_total', ACCOUNT)}[$__rate_interval])"
    return graph(
        "Requests a minute",
        "Our use of the account's API budget ([maia] requests_per_minute), by HTTP status or cause of failure.",
        Ask(f"sum without (endpoint) ({rate})", f"{EACH} {{{{code}}}}"),
        unit="reqpm",
        thresholds=bad_above(60, 120),
        bars=True,
    )


def _latency():
    buckets = f"rate({series('maia_exporter_api_request_duration_seconds_bucket', ACCOUNT)}[$__rate_interval])"
    return graph(
        "Latency of the API",
        "Nine of ten requests were answered within this, by endpoint.",
        Ask(f"histogram_quantile(0.9, {buckets})", f"{EACH} {{{{endpoint}}}}"),
        unit="s",
        thresholds=bad_above(2, 10),
    )


def _throttled():
    return graph(
        "Waiting for budget",
        "Share of the time spent waiting before requests: for our own budget, or because the API asked for it.",
        Ask(
            f"rate({series('maia_exporter_api_throttled_seconds_total', ACCOUNT)}[$__rate_interval])",
            f"{EACH} {{{{cause}}}}",
        ),
        unit="percentunit",
        thresholds=bad_above(0.2, 0.5),
        line_at_thresholds=True,
    )


def _token():
    return graph(
        "Token lives for",
        "Until the API token ends; it is renewed well before. Below 0 we could not sign in again.",
        Ask(f"{series('maia_exporter_token_expiry_timestamp_seconds', ACCOUNT)} - time()", EACH),
        unit="s",
        thresholds=((None, RED), (0, YELLOW), (60, GREEN)),
    )
