"""What we say of ourselves."""

from datetime import timedelta

import pytest

from exporter.core.state import Cursor
from exporter.maia.answers import Rejection
from exporter.maia.errors import Cause
from exporter.metrics.formats import Format
from exporter.metrics.self_metrics import POLL_FAILURE_CAUSES, PollStanding, SelfMetrics

from .reading import samples, value
from .states import FINANCE, NOON, SALES

SECOND = timedelta(seconds=1)


@pytest.fixture
def ours():
    return SelfMetrics(version="1.2.3", revision="abc", started_at=NOON, poll_interval=timedelta(seconds=30))


def said(ours, form=Format.TEXT):
    return samples(ours.registry.rendered(form, 0.0).plain.decode(), form)


CLOSED = [
    (
        "maia_exporter_poll_failures_total",
        "cause",
        {"auth", "forbidden", "rate_limited", "timeout", "network", "server", "decode", "store"},
    ),
    ("maia_exporter_api_throttled_seconds_total", "cause", {"budget", "retry_after"}),
    ("maia_exporter_unrecognised_values_total", "field", {"status", "trigger"}),
    ("maia_exporter_pruned_pipelines_total", "reason", {"deleted", "idle", "filtered"}),
    (
        "maia_notifications_suppressed_total",
        "reason",
        {"baseline", "silenced", "unchanged", "no_route", "expired"},
    ),
]


@pytest.mark.parametrize(("name", "label", "values"), CLOSED)
def test_every_value_of_a_closed_label_starts_at_0(ours, name, label, values):
    found = {dict(series.labels)[label]: number for series, number in said(ours).items() if series.name == name}
    assert found == dict.fromkeys(values, 0)


def test_the_causes_are_those_of_the_client_and_the_store():
    assert set(POLL_FAILURE_CAUSES) == {*Cause, "store"}


def test_at_the_start_there_is_no_moment_yet_but_that_of_the_config(ours):
    found = said(ours)
    moments = {s.name for s in found if s.name.startswith("maia_") and s.name.endswith("_timestamp_seconds")}
    assert moments == {"maia_exporter_config_last_reload_success_timestamp_seconds"}
    assert value(found, "maia_exporter_config_last_reload_success_timestamp_seconds") == NOON.timestamp()
    assert value(found, "maia_exporter_config_last_reload_successful") == 1
    assert value(found, "maia_exporter_poll_interval_seconds") == 30
    assert value(found, "maia_exporter_is_leader") == 1
    assert value(found, "maia_up") == 0
    assert value(found, "maia_exporter_clock_skew_seconds") is None
    assert value(found, "maia_exporter_build_info", version="1.2.3", revision="abc") == 1


def test_a_good_poll_is_up_and_dated(ours):
    ours.poll_succeeded(NOON, seconds=1.5)
    found = said(ours)
    assert value(found, "maia_up") == 1
    assert value(found, "maia_exporter_polls_total") == 1
    assert value(found, "maia_exporter_last_poll_timestamp_seconds") == NOON.timestamp()
    assert value(found, "maia_exporter_last_successful_poll_timestamp_seconds") == NOON.timestamp()
    assert value(found, "maia_exporter_poll_duration_seconds") == 1.5
    assert ours.polls == PollStanding(up=True, last_poll_at=NOON, last_successful_poll_at=NOON)


def test_a_failed_poll_is_down_and_leaves_the_date_of_the_good_one(ours):
    ours.poll_succeeded(NOON, seconds=1.0)
    ours.poll_failed("timeout", NOON + 30 * SECOND, seconds=10.0)
    found = said(ours)
    assert value(found, "maia_up") == 0
    assert value(found, "maia_exporter_polls_total") == 2
    assert value(found, "maia_exporter_poll_failures_total", cause="timeout") == 1
    assert value(found, "maia_exporter_poll_failures_total", cause="auth") == 0
    assert value(found, "maia_exporter_last_poll_timestamp_seconds") == (NOON + 30 * SECOND).timestamp()
    assert value(found, "maia_exporter_last_successful_poll_timestamp_seconds") == NOON.timestamp()
    assert ours.polls.last_failure == "timeout"
    ours.poll_succeeded(NOON + 60 * SECOND, seconds=1.0)
    assert ours.polls.last_failure is None


def test_a_poll_that_was_refused_a_part_is_fresh_but_not_up(ours):
    ours.poll_succeeded(NOON, seconds=1.0, complete=False)
    assert value(said(ours), "maia_up") == 0
    assert value(said(ours), "maia_exporter_last_successful_poll_timestamp_seconds") == NOON.timestamp()
    assert not ours.polls.up


def test_a_project_whose_reads_were_refused_is_down_under_its_readable_name(ours):
    names = {FINANCE: "Ops", SALES: "Ops"}
    ours.projects_answered({FINANCE: True, SALES: False}, names=names)
    assert value(said(ours), "maia_project_up", project_name="Ops (5e1f0000)") == 1
    assert value(said(ours), "maia_project_up", project_name="Ops (77aa0000)") == 0
    ours.projects_answered({FINANCE: True}, names={FINANCE: "Ops"})
    projects = {series.labels: number for series, number in said(ours).items() if series.name == "maia_project_up"}
    assert projects == {frozenset({("project_name", "Ops")}): 1}


def test_what_the_record_keeps_goes_on_after_a_restart(ours):
    ours.read_record(
        Cursor(
            polled_at=NOON,
            possibly_missed=3,
            possibly_missed_at=NOON - SECOND,
            baseline_failures=9,
            pruned=(("deleted", 1), ("filtered", 2), ("idle", 4)),
        )
    )
    found = said(ours)
    assert value(found, "maia_exporter_possibly_missed_runs_total") == 3
    assert value(found, "maia_exporter_last_possibly_missed_timestamp_seconds") == (NOON - SECOND).timestamp()
    assert value(found, "maia_notifications_suppressed_total", reason="baseline") == 9
    assert value(found, "maia_exporter_pruned_pipelines_total", reason="idle") == 4
    assert value(found, "maia_exporter_last_successful_poll_timestamp_seconds") == NOON.timestamp()
    assert value(found, "maia_up") == 0


def test_what_the_outbox_suppressed_and_what_the_record_did_do_not_overwrite_each_other(ours):
    def suppressed(reason):
        return value(said(ours), "maia_notifications_suppressed_total", reason=reason)

    ours.notifications_suppressed({"silenced": 4})
    ours.read_record(Cursor(baseline_failures=9))
    assert (suppressed("baseline"), suppressed("silenced"), suppressed("expired")) == (9, 4, 0)
    ours.notifications_suppressed({"silenced": 5})
    assert (suppressed("baseline"), suppressed("silenced"), suppressed("expired")) == (9, 5, 0)


def test_the_date_of_our_own_good_poll_is_not_overwritten_by_the_record(ours):
    ours.poll_succeeded(NOON, seconds=1.0)
    ours.read_record(Cursor(polled_at=NOON - 5 * SECOND))
    assert value(said(ours), "maia_exporter_last_successful_poll_timestamp_seconds") == NOON.timestamp()


def test_requests_are_counted_by_endpoint_and_code_and_timed_by_endpoint(ours):
    ours.request_finished("/v1/projects/{projectId}/environments", "200", 0.3)
    ours.request_finished("/v1/projects/{projectId}/environments", "timeout", 30.0)
    found = said(ours)
    endpoint = {"endpoint": "/v1/projects/{projectId}/environments"}
    assert value(found, "maia_exporter_api_requests_total", code="200", **endpoint) == 1
    assert value(found, "maia_exporter_api_requests_total", code="timeout", **endpoint) == 1
    assert value(found, "maia_exporter_api_request_duration_seconds_count", **endpoint) == 2
    assert value(found, "maia_exporter_api_request_duration_seconds_sum", **endpoint) == 30.3
    assert value(found, "maia_exporter_api_request_duration_seconds_bucket", le="0.5", **endpoint) == 1


def test_what_else_the_client_tells_is_shown(ours):
    ours.throttled("budget", 1.5)
    ours.throttled("retry_after", 2.0)
    ours.rejected(Rejection("$.results[3].status", "expected str", "run-1"))
    ours.unrecognised("status", "PAUSED")
    ours.token_renewed(NOON + 1800 * SECOND)
    ours.clock_skew(-2.5)
    found = said(ours)
    assert value(found, "maia_exporter_api_throttled_seconds_total", cause="budget") == 1.5
    assert value(found, "maia_exporter_api_throttled_seconds_total", cause="retry_after") == 2
    assert value(found, "maia_exporter_rejected_records_total") == 1
    assert value(found, "maia_exporter_unrecognised_values_total", field="status") == 1
    assert value(found, "maia_exporter_token_expiry_timestamp_seconds") == (NOON + 1800 * SECOND).timestamp()
    assert value(found, "maia_exporter_clock_skew_seconds") == -2.5
    assert "run-1" not in str(found)
    assert "PAUSED" not in str(found)


def test_the_store_and_the_config_are_shown(ours):
    ours.store_committed(NOON)
    ours.store_failed()
    ours.config_refused()
    found = said(ours)
    assert value(found, "maia_exporter_store_last_commit_timestamp_seconds") == NOON.timestamp()
    assert value(found, "maia_exporter_store_failures_total") == 1
    assert value(found, "maia_exporter_config_last_reload_successful") == 0
    assert value(found, "maia_exporter_config_last_reload_success_timestamp_seconds") == NOON.timestamp()
    ours.config_loaded(NOON + SECOND, poll_interval=timedelta(seconds=60))
    found = said(ours)
    assert value(found, "maia_exporter_config_last_reload_successful") == 1
    assert value(found, "maia_exporter_poll_interval_seconds") == 60


SAYINGS = [
    lambda ours: ours.poll_succeeded(NOON, seconds=1.0),
    lambda ours: ours.poll_failed("auth", NOON, seconds=1.0),
    lambda ours: ours.projects_answered({}, names={}),
    lambda ours: ours.read_record(Cursor()),
    lambda ours: ours.notifications_suppressed({}),
    lambda ours: ours.store_committed(NOON),
    lambda ours: ours.store_failed(),
    lambda ours: ours.config_loaded(NOON, poll_interval=SECOND),
    lambda ours: ours.config_refused(),
    lambda ours: ours.leads(),
    lambda ours: ours.follows(),
    lambda ours: ours.request_finished("/x", "200", 0.1),
    lambda ours: ours.throttled("budget", 0.1),
    lambda ours: ours.rejected(Rejection("$", "no")),
    lambda ours: ours.unrecognised("status", "x"),
    lambda ours: ours.token_renewed(NOON),
    lambda ours: ours.clock_skew(0.0),
]


@pytest.mark.parametrize("say", SAYINGS)
def test_what_is_said_is_shown_by_the_next_scrape(ours, say):
    before = ours.registry.rendered(Format.TEXT, 0.0)
    assert ours.registry.rendered(Format.TEXT, 0.0) is before
    say(ours)
    assert ours.registry.rendered(Format.TEXT, 0.0) is not before


def test_every_public_method_is_among_the_sayings(ours):
    methods = {name for name in dir(ours) if not name.startswith("_") and callable(getattr(ours, name))}
    said_here = {name for name in methods if any(name in say.__code__.co_names for say in SAYINGS)}
    assert methods - said_here == {"facts_rendered"}, "covered where publishing is"


def test_the_process_shows_its_memory_and_no_instrument_its_creation(ours):
    names = {series.name for series in said(ours)}
    assert "process_resident_memory_bytes" in names
    assert not [name for name in names if name.endswith("_created")]
