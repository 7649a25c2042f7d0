"""The list of metrics: complete, and in good style."""

import shutil
import subprocess
from datetime import timedelta

import pytest

from exporter.core.limits.rules import Coverage, LimitRule
from exporter.core.limits.runs import Limits
from exporter.maia.answers import Rejection
from exporter.metrics import catalogue
from exporter.metrics.catalogue import FACTS, METRICS, PIPELINE, Kind
from exporter.metrics.exposition import Exposition
from exporter.metrics.families import FAMILIES
from exporter.metrics.limits import LimitMetrics, pipeline_limits
from exporter.metrics.notifications import NotificationMetrics
from exporter.metrics.self_metrics import SelfMetrics
from exporter.metrics.snapshot import Snapshot
from exporter.store.outbox_views import Standing, TargetStanding

from .reading import parse_text
from .states import BOUNDS, FINANCE, NOON, small_state


@pytest.fixture(scope="module")
def page():
    """A page on which every family has a sample."""
    ours = SelfMetrics(version="1", started_at=NOON, poll_interval=timedelta(seconds=30))
    ours.poll_succeeded(NOON, seconds=1.0)
    ours.projects_answered({FINANCE: True}, names={})
    ours.request_finished("/v1/projects", "200", 0.1)
    ours.rejected(Rejection("$", "no"))
    ours.unrecognised("status", "x")
    ours.token_renewed(NOON)
    ours.clock_skew(0.5)
    ours.store_committed(NOON)
    NotificationMetrics(ours).show(
        Standing(targets={"slack": TargetStanding(oldest_waiting_at=NOON, last_success_at=NOON)})
    )
    pages = Exposition(ours, monotonic=lambda: 0.0)
    state = small_state()
    limits, coverage = Limits(matched_at={"all": NOON}), Coverage((LimitRule(name="all", warn_after=NOON - NOON),))
    LimitMetrics(ours.registry).show(limits, coverage, state.pipelines)
    shown = pipeline_limits(limits, coverage, state)
    expected = dict.fromkeys(state.pipelines, 3600.0)
    pages.publish(Snapshot(state=state, bucket_bounds=BOUNDS, limits=shown, success_within=expected))
    return pages.page("", "").body.decode()


def test_the_page_has_every_metric_of_the_list_with_its_type_help_and_labels_and_no_other(page):
    found = {}
    for family in parse_text(page):
        if not family.name.startswith("process_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {tuple(label for label in sample.labels if label != "le") for sample in family.samples}
            assert labels, f"{name} has no sample"
            found[name] = (family.type, family.documentation, {frozenset(one) for one in labels})
    listed = {m.name: (str(m.kind), m.help, {frozenset(m.labels)}) for m in METRICS}
    assert found == listed


def test_every_name_is_listed_once():
    constants = {id(m) for m in vars(catalogue).values() if isinstance(m, catalogue.Metric)}
    assert constants == {id(m) for m in METRICS}
    assert len({m.name for m in METRICS}) == len(METRICS)


def test_every_fact_about_maia_has_one_family():
    assert [family.metric for family in FAMILIES] == list(FACTS)


UNITS = ("second", "unix time", "number of", "1 ", "0 ", "wall time")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_helps_are_in_good_style(metric):
    assert metric.name.startswith("maia_")
    assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
    assert "\\" not in metric.help
    assert metric.help.lower().startswith(UNITS), "says which unit or moment"
    assert ("unix time" in metric.help.lower()) is metric.name.endswith("_timestamp_seconds")
    assert ("as of the last poll" in metric.help) is (metric in FACTS)
    assert (metric.labels[:3] == PIPELINE) is (metric in FACTS)


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say(page):
    promtool = shutil.which("promtool")
    assert promtool, "install Debian's prometheus package"
    done = subprocess.run([promtool, "check", "metrics"], input=page, text=True, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
