"""Panels of the exporter's dashboard about what it tracks, its record and its config."""

from __future__ import annotations

from frame import Row
from queries import ACCOUNT, counted_each, latest, led, series, total
from style import (
    GREEN,
    NEUTRAL,
    RED,
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
    value,
)

LEGEND = "{{account}}"
EACH = "{{account}} {{instance}}"


def upkeep() -> Row:
    """What is tracked, what was odd, the record, the config, the builds."""
    return Row(
        "What is tracked, and the store",
        (
            _tracked(),
            _oddities(),
            _store(),
            _store_failures(),
            _missed(),
            _last_missed(),
            _config(),
            _projects(),
            _builds(),
        ),
    )


def _tracked():
    return graph(
        "What is tracked",
        "Pipelines that are tracked, and unfinished runs that are followed.",
        Ask(led("maia_exporter_tracked_pipelines", ACCOUNT), "{{account}} pipelines"),
        Ask(led("maia_exporter_tracked_runs", ACCOUNT), "{{account}} runs"),
        unit="short",
        links=to_dashboard("Fleet", "maia-fleet"),
    )


def _oddities():
    each = "[$__rate_interval]"
    return graph(
        "Oddities",
        "Records that could not be read, values this version does not know, and pipelines that left, in each interval.",
        Ask(f"increase({series('maia_exporter_rejected_records_total', ACCOUNT)}{each})", f"{EACH} rejected"),
        Ask(
            f"increase({series('maia_exporter_unrecognised_values_total', ACCOUNT)}{each})",
            f"{EACH} unknown {{{{field}}}}",
        ),
        Ask(
            total(counted_each("maia_exporter_pruned_pipelines_total", ACCOUNT), "reason"),
            "{{account}} left: {{reason}}",
        ),
        unit="short",
        thresholds=bad_above(1),
        interval="5m",
    )


def _projects():
    return timeline(
        "Projects we may read",
        "refused: discovery, or a read of one of the project's runs, was refused at the last attempt.",
        Ask(latest("maia_project_up", ACCOUNT), "{{account}} {{project_name}}"),
        mappings=meanings(value(0, "refused", RED), value(1, "read", GREEN)),
        thresholds=((None, RED), (1, GREEN)),
        h=6,
    )


def _store():
    return graph(
        "Record last written",
        "Seconds since the record was last written: with every good poll.",
        Ask(f"time() - {series('maia_exporter_store_last_commit_timestamp_seconds', ACCOUNT)}", EACH),
        unit="s",
        thresholds=bad_above(120, 300),
    )


def _store_failures():
    return graph(
        "Failed writes",
        "Attempts to write the record that failed, in each interval. Nothing is sent or cancelled meanwhile.",
        Ask(f"increase({series('maia_exporter_store_failures_total', ACCOUNT)}[$__rate_interval])", EACH),
        unit="short",
        thresholds=bad_above(1),
        interval="5m",
    )


def _missed():
    return stat_panel(
        "Runs may have been missed",
        "Times the exporter could not read back as far as it had to: an outage longer than lookback.",
        Ask(latest("maia_exporter_possibly_missed_runs_total", ACCOUNT), LEGEND),
        unit="short",
        thresholds=bad_above(1),
        w=6,
    )


def _last_missed():
    return stat_panel(
        "Last of these",
        "How long ago runs may last have been missed.",
        Ask(f"time() - {latest('maia_exporter_last_possibly_missed_timestamp_seconds', ACCOUNT)}", LEGEND),
        unit="s",
        thresholds=((None, YELLOW), (6 * 3600, GREEN)),
        no_value="never",
        w=6,
    )


def _config():
    return stat_panel(
        "Config in effect for",
        "Time since the config that is in effect was read.",
        Ask(f"time() - {series('maia_exporter_config_last_reload_success_timestamp_seconds', ACCOUNT)}", EACH),
        unit="s",
        thresholds=NEUTRAL,
        w=12,
    )


def _builds():
    return rows(
        "What runs",
        "Version of each exporter, whether it leads, and whether its config was good when it was last read.",
        # Their names would keep the rows apart; + 0 takes them away.
        Ask(f"{series('maia_exporter_build_info', ACCOUNT)} + 0"),
        Ask(f"{series('maia_exporter_is_leader', ACCOUNT)} + 0"),
        Ask(f"{series('maia_exporter_config_last_reload_successful', ACCOUNT)} + 0"),
        columns=[
            Column("account", "Account"),
            Column("instance", "Instance"),
            Column("pod", "Pod"),
            Column("version", "Version"),
            Column("revision", "Revision"),
            Column("python_version", "Python"),
            Column("Value #A", "", hidden=True),
            Column("Value #B", "Leads", "bool_yes_no"),
            Column("Value #C", "Config good", "bool_yes_no", ((None, RED), (1, GREEN))),
            Column("job", "", hidden=True),
        ],
        unit="short",
        thresholds=NEUTRAL,
        h=6,
    )
