"""Panels of the exporter's dashboard about what it sends and what it cancels. The record keeps their counters."""

from __future__ import annotations

from frame import Row
from queries import ACCOUNT, counted_each, latest, series, total
from style import GREEN, NEUTRAL, RED, Ask, Column, bad_above, graph, meanings, rows, timeline, value

LEGEND = "{{account}}"


def targets() -> Row:
    """What is told to whom."""
    return Row("Targets", (_targets(), _sent(), _failed(), _suppressed()))


def limits() -> Row:
    """What limits are about, and whether they may cancel."""
    return Row("Limits", (_limits(), _breaker()))


def _targets():
    oldest = f"min without (instance, pod) ({series('maia_notification_oldest_pending_timestamp_seconds', ACCOUNT)})"
    return rows(
        "Targets",
        "What each target waits for, has refused, and when something last arrived.",
        Ask(latest("maia_notification_queue_length", ACCOUNT)),
        Ask(f"time() - {oldest}"),
        Ask(f"time() - {latest('maia_notification_last_success_timestamp_seconds', ACCOUNT)}"),
        Ask(latest("maia_notification_target_suspended", ACCOUNT)),
        Ask(latest("maia_notification_dead_letters", ACCOUNT)),
        columns=[
            Column("account", "Account"),
            Column("target", "Target"),
            Column("job", "", hidden=True),
            Column("Value #A", "Waiting", "short", bad_above(1, 10)),
            Column("Value #B", "Oldest waits for", "s", bad_above(300, 900)),
            Column("Value #C", "Last sent ago", "s"),
            Column("Value #D", "Suspended", "bool_yes_no", bad_above(1)),
            Column("Value #E", "Dead letters", "short", bad_above(1)),
        ],
        unit="short",
        thresholds=NEUTRAL,
        no_value="no targets",
        h=6,
    )


def _sent():
    return graph(
        "Messages sent",
        "Events that were sent, by target.",
        Ask(total(counted_each("maia_notifications_total", ACCOUNT), "target"), "{{account}} {{target}}"),
        unit="short",
        bars=True,
        interval="5m",
        decimals=0,
        no_value="no targets",
        w=8,
    )


def _failed():
    return graph(
        "Attempts that failed",
        "Attempts to send that failed, by target and reason. target_broken and poison want a person.",
        Ask(
            total(counted_each("maia_notification_failures_total", ACCOUNT), "target", "reason") + " > 0",
            "{{account}} {{target}}: {{reason}}",
        ),
        unit="short",
        thresholds=bad_above(1),
        bars=True,
        interval="5m",
        decimals=0,
        no_value="none failed",
        w=8,
    )


def _suppressed():
    return graph(
        "Messages not sent",
        "By reason; unchanged: of notify = change; baseline: failures from before the first start.",
        Ask(total(counted_each("maia_notifications_suppressed_total", ACCOUNT), "reason"), "{{account}} {{reason}}"),
        unit="short",
        thresholds=NEUTRAL,
        colours={"expired": RED},
        bars=True,
        interval="5m",
        decimals=0,
        w=8,
    )


def _limits():
    return rows(
        "Limits",
        "How many pipelines each limit is about (0: it protects nothing), and when it last had a run to watch.",
        Ask(latest("maia_limit_matched_pipelines", ACCOUNT)),
        Ask(f"time() - {latest('maia_limit_last_match_timestamp_seconds', ACCOUNT)}"),
        columns=[
            Column("account", "Account"),
            Column("limit", "Limit"),
            Column("job", "", hidden=True),
            Column("Value #A", "Pipelines", "short", ((None, RED), (1, GREEN))),
            Column("Value #B", "Last watched a run", "s"),
        ],
        unit="short",
        thresholds=NEUTRAL,
        no_value="no limits",
        w=12,
        h=6,
    )


def _breaker():
    return timeline(
        "Breaker of cancels",
        "Open: more than [cancel] max_per_hour were to be cancelled; nothing is until `maia-exporter limits resume`.",
        Ask(latest("maia_cancel_breaker_open", ACCOUNT), LEGEND),
        mappings=meanings(value(0, "closed", GREEN), value(1, "open", RED)),
        thresholds=((None, GREEN), (1, RED)),
        w=12,
        h=6,
    )
