"""The rules: sound, tested by promtool, about what exists, and with words for whoever is woken by them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from e2e.processes import need

from .queries import GRAFANA, RULES, labels_of_metrics, rules, wrong

README = (Path(__file__).parents[2] / "README.md").read_text()
CASES = GRAFANA / "prometheus" / "rules.test.yml"
ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}

WANTED = {
    "PipelineFailed",
    "PipelineForbidden",
    "PipelineNotSucceededRecently",
    "PipelineRunningTooLong",
    "PipelineStuckCancelling",
    "FailureRatioHigh",
    "ExporterDown",
    "NoLeader",
    "ExporterDataStale",
    "ExporterAuthFailing",
    "NotificationsFailing",
    "NotificationsStuck",
    "MayHaveMissedRuns",
    "CancelBreakerOpen",
    "LimitMatchesNothing",
    "ClockSkew",
}


def anchors():
    """The README's headings, as links name them."""
    return {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in README.splitlines()}


@pytest.mark.prometheus
def test_promtool_takes_the_rules_and_sees_every_case_of_each_alert():
    promtool = need("promtool")
    for command, file in (("check", RULES), ("test", CASES)):
        done = subprocess.run([promtool, command, "rules", file], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_every_alert_once():
    assert sorted(rule["alert"] for rule in ALERTS) == sorted(WANTED)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_is_promql_about_metrics_and_labels_that_exist(rule):
    known = labels_of_metrics()
    facts = known["maia_pipeline_runs_finished_total"] | known["maia_pipeline_last_run_status"]
    known |= dict.fromkeys(RECORDED, facts)

    assert wrong(rule["expr"], known) == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_happened_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "action", "runbook_url", "page"}
    assert all(note.strip() for note in notes.values())
    assert notes["page"].startswith("http://localhost:9986/")
    file, _, anchor = notes["runbook_url"].partition("#")
    assert (file, anchor) == ("README.md", rule["alert"].lower())
    assert anchor in anchors()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_case_in_which_it_does_not_fire_then_fires_then_resolves(rule):
    assert any(lifetime(case, rule["alert"]) for case in yaml.safe_load(CASES.read_text())["tests"])


def lifetime(case, alert):
    """Whether a case sees the alert absent, then there, then absent."""
    silent, firing = set(), set()
    for check in (*case.get("alert_rule_test", ()), *case.get("promql_expr_test", ())):
        asked = check.get("alertname") or check["expr"]
        expected = check.get("exp_alerts") or check.get("exp_samples")
        minute = int(check["eval_time"].removesuffix("m"))
        if not expected and (alert in asked or ("ALERTS" in asked and "alertname=" not in asked)):
            silent.add(minute)
        elif expected and (alert in asked or f'alertname="{alert}"' in str(expected)):
            firing.add(minute)
    return bool(firing) and min(silent, default=0) < min(firing) and max(silent, default=0) > max(firing)


@pytest.mark.parametrize(
    "query", ["maia_upp", 'maia_up{env="x"}', "sum by (pipeline) (maia_up)", "maia_up + on (x) up"]
)
def test_a_query_about_what_does_not_exist_would_be_noticed(query):
    assert wrong(query, labels_of_metrics())
