"""Every query of every panel and rule against a real Prometheus with two hours of two simulated accounts in it."""

from collections import Counter
from datetime import timedelta

import pytest

from .boards import filled, panel, panels, variables
from .life import BAD, CHANGE, END, STEP, T0
from .queries import rules

pytestmark = [pytest.mark.e2e, pytest.mark.prometheus]

P = ("account", "project_name", "environment_name", "pipeline_name")

NEVER = {
    ("exporter: Last of these", 0): "no run was missed",
}
PIPELINES = ("finance/invoices-import.orch.yaml", "finance/revalue-portfolio.orch.yaml")
"""Between them they have everything that a pipeline can have."""


def over_the_two_hours(prometheus, query, **chosen):
    return prometheus.api.between(filled(query, **chosen), T0, END, step=300)


def test_every_query_of_every_panel_has_data_where_something_happened(prometheus):
    empty = set()
    for each in panels():
        choices = [{"project": "Finance", "environment": "prod", "pipeline": name} for name in PIPELINES]
        for number, query in enumerate(each.queries):
            found = [
                over_the_two_hours(prometheus, query, **chosen)
                for chosen in (choices if each.board == "pipeline" else [{}])
            ]
            if not any(found):
                empty.add((str(each), number))

    assert empty == set(NEVER)


FIRING = {
    "PipelineFailed": "ab",
    "PipelineForbidden": "ab",
    "PipelineNotSucceededRecently": "ab",
    "PipelineRunningTooLong": "ab",
    "PipelineStuckCancelling": "a",
    "FailureRatioHigh": "ab",
    "ExporterDown": "b",
    "ExporterDataStale": "ab",
    "ExporterAuthFailing": "b",
    "NotificationsFailing": "ab",
    "NotificationsStuck": "ab",
    "CancelBreakerOpen": "a",
    "LimitMatchesNothing": "ab",
    "NoLeader": "",
    "MayHaveMissedRuns": "",
    "ClockSkew": "",
}
"""Which accounts each alert is about, at some time of what `life` tells. Both have a leader at every scrape, or
none for less than two minutes."""


def test_every_rule_finds_what_happened_in_each_account_and_nothing_else(prometheus):
    found = {}
    for rule in rules():
        rows = prometheus.api.between(rule["expr"], T0, END, step=STEP)
        if "record" in rule:
            assert {labels["account"] for labels, _ in rows} == {"a", "b"}, rule["record"]
        else:
            held = timedelta(minutes=int(rule["for"].removesuffix("m"))) if rule.get("for", "").endswith("m") else 0
            points = held / timedelta(seconds=STEP) if held else 0
            if rule["alert"] == "ExporterDown":
                points = 0  # it was away for two scrapes, on purpose too short
            found[rule["alert"]] = "".join(sorted({labels["account"] for labels, at in rows if len(at) > points}))

    assert found == FIRING


def by(rows, *names):
    """A panel's rows by these labels; no two may have the same."""
    found = {tuple(labels.get(name) for name in names): value for labels, value in rows}
    assert len(found) == len(rows)
    return found


def test_what_is_broken_now_is_what_the_simulator_says_for_each_account(prometheus):
    rows = prometheus.api.at(filled(panel("on-call", "Broken pipelines").queries[0]), END)
    assert by(rows, "account") == {(name,): truth.broken for name, truth in prometheus.truth.items()}

    table = prometheus.api.at(filled(panel("on-call", "What is broken, and since when").queries[0]), END)
    assert Counter(labels["account"] for labels, _ in table) == {
        name: truth.broken for name, truth in prometheus.truth.items() if truth.broken
    }


def test_what_runs_now_is_what_the_simulator_says_for_each_account(prometheus):
    rows = prometheus.api.at(filled(panel("on-call", "Running").queries[0]), END)
    assert by(rows, "account") == {(name,): truth.running for name, truth in prometheus.truth.items()}

    table = panel("on-call", "What runs, the longest first").queries
    longest, number = (prometheus.api.at(filled(table[index]), END) for index in (0, 3))
    assert by(longest, *P).keys() == by(number, *P).keys()
    assert sum(value for _, value in number) == sum(truth.running for truth in prometheus.truth.values())


def test_runs_are_counted_once_though_the_leader_changed_and_the_exporter_was_away(prometheus):
    for title, wanted in (("Runs that ended", lambda _: True), ("Failures", lambda status: status in BAD)):
        rows = prometheus.api.at(filled(panel("fleet", title).queries[0]), END)
        assert by(rows, "account") == {
            (name,): sum(number for (_, status), number in truth.finished.items() if wanted(status))
            for name, truth in prometheus.truth.items()
        }


def test_the_bars_of_a_graph_add_up_to_what_was_counted(prometheus):
    rows = over_the_two_hours(prometheus, panel("fleet", "Failures by project").queries[0])
    bars = {key: sum(values.values()) for key, values in by(rows, "account", "project_name").items()}

    expected = Counter()
    for name, truth in prometheus.truth.items():
        for (project, status), number in truth.finished.items():
            expected[name, project] += number if status in BAD else 0
    assert bars == expected


def test_what_is_tracked_is_what_the_leader_tracks_not_what_an_earlier_one_did(prometheus):
    tracked = prometheus.api.between(filled(panel("exporter", "What is tracked").queries[1]), T0, END, step=STEP)
    running = prometheus.api.between(filled(panel("on-call", "Running").queries[0]), T0, END, step=STEP)

    takeover = (T0 + timedelta(minutes=CHANGE + 1)).timestamp()
    wanted = by(running, "account")
    for (account,), values in by(tracked, "account").items():
        # Back-filled series have no end: the first leader's are seen for five minutes more.
        alone = {at: value for at, value in values.items() if not takeover <= at <= takeover + 300}
        assert alone == {at: wanted[account,][at] for at in alone}


def test_a_status_over_time_is_never_one_that_no_run_had_though_two_replicas_show_two(prometheus):
    timeline = panel("pipeline", "Last run over time")
    (words,) = timeline.json["fieldConfig"]["defaults"]["mappings"]
    for name in PIPELINES:
        chosen = {"project": "Finance", "environment": "prod", "pipeline": name}
        for labels, values in prometheus.api.between(filled(timeline.queries[0], **chosen), T0, END, step=STEP):
            shown = {words["options"][f"{code:.0f}"]["text"] for code in values.values()}
            assert shown <= prometheus.truth[labels["account"]].statuses["Finance", "prod", name]


def test_one_account_is_chosen_alone(prometheus):
    for each in panels("fleet"):
        for query in each.queries:
            rows = over_the_two_hours(prometheus, query, account="b")
            assert {labels["account"] for labels, _ in rows} <= {"b"}, str(each)


def test_there_is_one_leader_an_account_but_for_the_scrape_in_which_both_led(prometheus):
    rows = prometheus.api.between(filled(panel("exporter", "Leaders").queries[0]), T0, END, step=STEP)
    leaders = {labels["account"]: Counter(values.values()) for labels, values in rows}

    assert leaders["a"][2] == 1
    assert leaders["a"][1] == END.timestamp() // STEP - T0.timestamp() // STEP
    assert set(leaders["b"]) == {1}


def test_the_variables_offer_what_there_is(prometheus):
    offered = {}
    for name, variable in variables("on-call").items():
        if variable["type"] == "query":
            selector, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            rows = prometheus.api.at(f"count by ({label}) ({filled(selector)})", END)
            offered[name] = {labels[label] for labels, _ in rows}

    assert offered["account"] == {"a", "b"}
    assert offered["project"] == {"Finance", "Customer 360", "Data Science"}
    assert offered["environment"] == {"prod", "test", "lab"}
    assert set(PIPELINES) < offered["pipeline"]
