"""Every metric: its name, type, labels and HELP. Tests hold the documentation against `METRICS`.

Must not know where a value comes from: `families` renders the facts about Maia, `self_metrics` those about us.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A metric's type, as the exposition spells it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. A counter's name ends in `_total`; the label `le` of a histogram goes without saying."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


PIPELINE = ("project_name", "environment_name", "pipeline_name")
"""The labels that tell one pipeline from another."""


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, labels, text)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, labels, text)


# About Maia: as of the last poll.

ACTIVE_RUNS = _gauge(
    "maia_pipeline_active_runs", "Number of unfinished runs, as of the last poll.", *PIPELINE, "status"
)
OLDEST_ACTIVE_RUN_START = _gauge(
    "maia_pipeline_oldest_active_run_start_timestamp_seconds",
    "Unix time at which the oldest unfinished run started, as of the last poll; absent when there is none.",
    *PIPELINE,
)
OLDEST_CANCELLING_SINCE = _gauge(
    "maia_pipeline_oldest_cancelling_since_timestamp_seconds",
    "Unix time since which the oldest CANCELLING run was seen so, as of the last poll; absent when there is none.",
    *PIPELINE,
)
LAST_RUN_STATUS = _gauge(
    "maia_pipeline_last_run_status",
    "1 for the status of the run that finished last, else 0, as of the last poll; all 0 before the first.",
    *PIPELINE,
    "status",
)
LAST_RUN_START = _gauge(
    "maia_pipeline_last_run_start_timestamp_seconds",
    "Unix time at which the run that finished last started, as of the last poll; absent when it has no start.",
    *PIPELINE,
)
LAST_RUN_END = _gauge(
    "maia_pipeline_last_run_end_timestamp_seconds",
    "Unix time at which the run that finished last ended, as of the last poll; absent when it has no end.",
    *PIPELINE,
)
LAST_RUN_DURATION = _gauge(
    "maia_pipeline_last_run_duration_seconds",
    "Wall time in seconds of the run that finished last, as of the last poll; absent when it lacks a time.",
    *PIPELINE,
)
LAST_SUCCESS = _gauge(
    "maia_pipeline_last_success_timestamp_seconds",
    "Unix time at which the last successful run ended, as of the last poll; absent before the first.",
    *PIPELINE,
)
CONSECUTIVE_FAILURES = _gauge(
    "maia_pipeline_consecutive_failures",
    "Number of FAILED and FORBIDDEN runs since the last SUCCESS, as of the last poll.",
    *PIPELINE,
)
PIPELINE_INFO = _gauge(
    "maia_pipeline_info",
    "1 for every pipeline that is shown, with its project's id and its type, as of the last poll.",
    *PIPELINE,
    "project_id",
    "pipeline_type",
)
RUNS_STARTED = _counter(
    "maia_pipeline_runs_started_total",
    "Number of runs first seen, by what started them, as of the last poll.",
    *PIPELINE,
    "trigger",
)
RUNS_FINISHED = _counter(
    "maia_pipeline_runs_finished_total",
    "Number of runs seen to finish, each once, by how they ended, as of the last poll.",
    *PIPELINE,
    "status",
)
RUN_SECONDS = _counter(
    "maia_pipeline_run_seconds_total",
    "Wall time in seconds of the runs seen to finish, by how they ended, as of the last poll.",
    *PIPELINE,
    "status",
)
RUN_DURATION = Metric(
    "maia_pipeline_run_duration_seconds",
    Kind.HISTOGRAM,
    PIPELINE,
    "Wall time in seconds of the runs seen to succeed, as of the last poll.",
)
RUN_TIME_LIMIT = _gauge(
    "maia_pipeline_run_time_limit_seconds",
    "Seconds of run time after which the pipeline's first limit cancels, else warns, as of the last poll; "
    "absent without a limit.",
    *PIPELINE,
)
SUCCESS_WITHIN = _gauge(
    "maia_pipeline_success_within_seconds",
    "Seconds within which the pipeline is expected to succeed again, as of the last poll; absent when nothing is.",
    *PIPELINE,
)
ACTIVE_RUNS_OVER_LIMIT = _gauge(
    "maia_pipeline_active_runs_over_limit",
    "Number of unfinished runs that are past the first threshold of their own limit, as of the last poll.",
    *PIPELINE,
)
RUNS_OVER_LIMIT = _counter(
    "maia_pipeline_runs_over_limit_total",
    "Number of runs that have passed the first threshold of their limit, each once, as of the last poll.",
    *PIPELINE,
)
CANCEL_REQUESTS = _counter(
    "maia_pipeline_cancel_requests_total",
    "Number of requests to stop a run because of a limit, or with mode observe those that would have been made, "
    "as of the last poll; absent without a limit.",
    *PIPELINE,
    "mode",
)
CANCEL_OUTCOMES = _counter(
    "maia_pipeline_cancel_outcomes_total",
    "Number of runs that a limit asked to stop, by what became of them, as of the last poll; absent without a limit.",
    *PIPELINE,
    "outcome",
)

# About us.

UP = _gauge("maia_up", "1 when the last poll read everything in scope, else 0.")
PROJECT_UP = _gauge(
    "maia_project_up",
    "0 when discovery or a read of one of the project's runs was refused at the last attempt, else 1.",
    "project_name",
)
LAST_POLL = _gauge("maia_exporter_last_poll_timestamp_seconds", "Unix time at which the last poll ended, good or bad.")
LAST_SUCCESSFUL_POLL = _gauge(
    "maia_exporter_last_successful_poll_timestamp_seconds",
    "Unix time of the last good poll, also one before a restart; absent before the first.",
)
POLL_DURATION = _gauge("maia_exporter_poll_duration_seconds", "Seconds that the last poll took, good or bad.")
POLL_INTERVAL = _gauge(
    "maia_exporter_poll_interval_seconds", "Seconds from the start of one poll to the next, as configured."
)
POLLS = _counter("maia_exporter_polls_total", "Number of polls that have ended, good or bad.")
POLL_FAILURES = _counter("maia_exporter_poll_failures_total", "Number of polls that failed, by cause.", "cause")
POSSIBLY_MISSED = _counter(
    "maia_exporter_possibly_missed_runs_total",
    "Number of times that runs may have been missed, for example by an outage longer than the lookback.",
)
LAST_POSSIBLY_MISSED = _gauge(
    "maia_exporter_last_possibly_missed_timestamp_seconds",
    "Unix time at which runs may last have been missed; absent when never.",
)
API_REQUESTS = _counter(
    "maia_exporter_api_requests_total",
    "Number of requests to the Maia API, by endpoint and by HTTP status or cause of failure.",
    "endpoint",
    "code",
)
API_REQUEST_DURATION = Metric(
    "maia_exporter_api_request_duration_seconds",
    Kind.HISTOGRAM,
    ("endpoint",),
    "Seconds that requests to the Maia API took.",
)
API_THROTTLED = _counter(
    "maia_exporter_api_throttled_seconds_total",
    "Seconds waited before requests to the Maia API, for our own budget or because the server asked for it.",
    "cause",
)
TOKEN_EXPIRY = _gauge(
    "maia_exporter_token_expiry_timestamp_seconds", "Unix time at which the API token ends; absent before the first."
)
CLOCK_SKEW = _gauge(
    "maia_exporter_clock_skew_seconds",
    "Seconds by which the API's clock was ahead of ours at its last answer; absent before the first.",
)
TRACKED_PIPELINES = _gauge("maia_exporter_tracked_pipelines", "Number of pipelines that are tracked, shown or not.")
TRACKED_RUNS = _gauge("maia_exporter_tracked_runs", "Number of unfinished runs that are followed.")
OVER_CAP = _gauge(
    "maia_exporter_pipelines_over_cap", "Number of tracked pipelines that are left out because of max_pipelines."
)
PRUNED = _counter("maia_exporter_pruned_pipelines_total", "Number of pipelines that have left, by reason.", "reason")
REJECTED = _counter(
    "maia_exporter_rejected_records_total", "Number of records of the API that could not be read and were skipped."
)
UNRECOGNISED = _counter(
    "maia_exporter_unrecognised_values_total",
    "Number of values of the API that this version does not know, by field.",
    "field",
)
STORE_FAILURES = _counter("maia_exporter_store_failures_total", "Number of failed attempts to write the record.")
STORE_LAST_COMMIT = _gauge(
    "maia_exporter_store_last_commit_timestamp_seconds",
    "Unix time at which the record was last written by this process; absent before the first.",
)
RELOAD_SUCCESSFUL = _gauge(
    "maia_exporter_config_last_reload_successful", "1 when the config was good at its last reading, else 0."
)
RELOAD_SUCCESS_TIME = _gauge(
    "maia_exporter_config_last_reload_success_timestamp_seconds",
    "Unix time at which the config that is in effect was read.",
)
IS_LEADER = _gauge("maia_exporter_is_leader", "1 when this process polls, sends and cancels, 0 when it stands by.")
BUILD_INFO = _gauge(
    "maia_exporter_build_info", "1 for the version of this program that runs.", "version", "revision", "python_version"
)
SUPPRESSED = _counter(
    "maia_notifications_suppressed_total",
    "Number of notifications that were not sent, by reason; baseline counts failed runs that ended before we watched.",
    "reason",
)
CANCEL_BREAKER_OPEN = _gauge(
    "maia_cancel_breaker_open", "1 when limits ask no run to stop any more until `limits resume`, else 0."
)
LIMIT_MATCHED_PIPELINES = _gauge(
    "maia_limit_matched_pipelines", "Number of tracked pipelines whose runs the limit can be about.", "limit"
)
LIMIT_LAST_MATCH = _gauge(
    "maia_limit_last_match_timestamp_seconds",
    "Unix time at which the limit last had a run to watch; absent before the first.",
    "limit",
)
NOTIFICATIONS = _counter(
    "maia_notifications_total", "Number of events that were sent, by target and event.", "target", "event"
)
NOTIFICATION_FAILURES = _counter(
    "maia_notification_failures_total",
    "Number of attempts to send that failed, by target and reason.",
    "target",
    "reason",
)
NOTIFICATION_QUEUE = _gauge(
    "maia_notification_queue_length", "Number of events that wait to be sent, or are being sent.", "target"
)
NOTIFICATION_OLDEST_PENDING = _gauge(
    "maia_notification_oldest_pending_timestamp_seconds",
    "Unix time at which the event that waits longest was found; absent when none waits.",
    "target",
)
NOTIFICATION_LAST_SUCCESS = _gauge(
    "maia_notification_last_success_timestamp_seconds",
    "Unix time at which something was last sent; absent before the first.",
    "target",
)
NOTIFICATION_SUSPENDED = _gauge(
    "maia_notification_target_suspended",
    "1 while the target refuses everything, so that its events wait and it is tried now and then, else 0.",
    "target",
)
NOTIFICATION_DEAD_LETTERS = _gauge(
    "maia_notification_dead_letters",
    "Number of events that the target has refused for good; see the command alerts retry.",
    "target",
)

FACTS = (
    ACTIVE_RUNS,
    OLDEST_ACTIVE_RUN_START,
    OLDEST_CANCELLING_SINCE,
    LAST_RUN_STATUS,
    LAST_RUN_START,
    LAST_RUN_END,
    LAST_RUN_DURATION,
    LAST_SUCCESS,
    CONSECUTIVE_FAILURES,
    PIPELINE_INFO,
    RUNS_STARTED,
    RUNS_FINISHED,
    RUN_SECONDS,
    RUN_DURATION,
    RUN_TIME_LIMIT,
    SUCCESS_WITHIN,
    ACTIVE_RUNS_OVER_LIMIT,
    RUNS_OVER_LIMIT,
    CANCEL_REQUESTS,
    CANCEL_OUTCOMES,
)
"""About Maia: a follower shows none of them."""

LEADER_ONLY = (
    UP,
    PROJECT_UP,
    SUPPRESSED,
    NOTIFICATIONS,
    NOTIFICATION_FAILURES,
    NOTIFICATION_QUEUE,
    NOTIFICATION_OLDEST_PENDING,
    NOTIFICATION_LAST_SUCCESS,
    NOTIFICATION_SUSPENDED,
    NOTIFICATION_DEAD_LETTERS,
    CANCEL_BREAKER_OPEN,
    LIMIT_MATCHED_PIPELINES,
    LIMIT_LAST_MATCH,
)
"""About what the leader does: a follower shows none of them."""

ABOUT_THE_PROCESS = (
    LAST_POLL,
    LAST_SUCCESSFUL_POLL,
    POLL_DURATION,
    POLL_INTERVAL,
    POLLS,
    POLL_FAILURES,
    POSSIBLY_MISSED,
    LAST_POSSIBLY_MISSED,
    API_REQUESTS,
    API_REQUEST_DURATION,
    API_THROTTLED,
    TOKEN_EXPIRY,
    CLOCK_SKEW,
    TRACKED_PIPELINES,
    TRACKED_RUNS,
    OVER_CAP,
    PRUNED,
    REJECTED,
    UNRECOGNISED,
    STORE_FAILURES,
    STORE_LAST_COMMIT,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS_TIME,
    IS_LEADER,
    BUILD_INFO,
)
"""About this process: `maia_exporter_*`, shown by a follower too."""

METRICS = (*FACTS, *LEADER_ONLY, *ABOUT_THE_PROCESS)
"""All of them. What arrives with a later feature is added here first."""
