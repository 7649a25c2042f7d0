"""What the page and its data say."""

import re

import httpx
import pytest

from exporter.core.limits.runs import LimitedRun, Stage
from exporter.core.model import Trigger

from .accounts import NOON, Account, key, lively, pipeline


def status(account, query=""):
    with account.served() as service:
        return httpx.get(f"{service.url}/api/v1/status{query}").json()


def words(account, query=""):
    with account.served() as service:
        return " ".join(re.sub(r"<[^>]*>", " ", httpx.get(f"{service.url}/{query}").text).split())


def by_name(rows):
    return {row["pipeline_name"].rpartition("/")[2].partition(".")[0]: row for row in rows}


def test_a_run_is_shown_against_its_limit_the_one_that_is_over_it_first():
    over, other = status(lively())["unfinished_runs"]
    assert over.items() >= {
        "run_id": "slow-now", "age_seconds": 5400.0, "over_limit": True, "trigger": "SCHEDULE",
        "limit_stage": "warned", "typical_duration_seconds": 7200.0,
        "limit": {"name": "nightly", "mode": "cancel", "seconds": 7200.0, "warn_after_seconds": 3600.0},
        "url": "https://maia.example/run/slow-now?tab=1",
    }.items()  # fmt: skip
    assert (other["run_id"], other["over_limit"], other["limit_stage"]) == ("load-now", False, None)
    page = words(lively())
    assert "1 h 30 min of 2 h" in page
    assert "past its first threshold" in page


def test_bad_endings_are_told_with_reason_message_and_link_those_of_broken_pipelines_first():
    endings = status(lively())["bad_endings"]
    assert [(one["pipeline_name"], one["status"], one["broken"]) for one in endings] == [
        ("models/train.orch.yaml", "FORBIDDEN", True),
        ("finance/load.orch.yaml", "FAILED", True),
        ("finance/slow.orch.yaml", "CANCELLED", False),
        ("finance/load.orch.yaml", "FAILED", False),
        ("crm/sync.orch.yaml", "FAILED", False),
    ]
    assert endings[1].items() >= {
        "message": "no such table", "user": "ada@example.com", "failures_in_a_row": 2,
        "reason": "failed, 2 times in a row",
        "url": "https://maia.example/run/finance%2Fload.orch.yaml%2329?tab=1",
    }.items()  # fmt: skip
    assert "allow list" in endings[0]["reason"]
    assert endings[2]["reason"] == "cancelled, by no limit of ours"


def test_a_run_that_a_limit_has_cancelled_is_called_so():
    account = lively()
    account.limited["finance/slow.orch.yaml#1"] = LimitedRun(
        run_id="finance/slow.orch.yaml#1", pipeline=key("finance/slow.orch.yaml"), trigger=Trigger.API,
        started_at=NOON, limit="nightly", stage=Stage.CANCELLED, over_at=NOON, closed_at=NOON,
    )  # fmt: skip
    assert status(account)["bad_endings"][2]["reason"] == "cancelled by limit “nightly”"


def test_a_row_says_how_a_pipeline_has_been_doing():
    rows = by_name(status(lively())["pipeline_rows"])
    assert rows["load"].items() >= {
        "health": "broken", "last_status": "FAILED", "failures_in_a_row": 2, "active_runs": 1, "limit_seconds": 7200.0,
        "recent_statuses": ["SUCCESS"] * 28 + ["FAILED"] * 2, "success_rate": 28 / 30,
        "last_duration_seconds": 60.0, "typical_duration_seconds": 60.0,
        "last_success_at": "2026-01-31T09:00:00Z", "failing_since": "2026-01-31T10:00:00Z",
    }.items()  # fmt: skip
    assert rows["slow"].items() >= {"health": "over_limit", "over_limit": 1, "success_rate": 1.0}.items()
    assert rows["sync"].items() >= {"health": "overdue", "overdue": True, "success_within_seconds": 1800.0}.items()
    assert rows["new"].items() >= {"health": "new", "last_status": None, "success_rate": None}.items()


def test_what_needs_somebody_comes_first():
    rows = status(lively())["pipeline_rows"]
    assert [row["health"] for row in rows] == ["broken", "broken", "over_limit", "overdue", "new"]


def test_targets_silences_limits_and_what_they_match():
    found = status(lively())
    assert [(one["name"], one["suspended"], one["waiting"], one["reason"]) for one in found["targets"]] == [
        ("mail", True, 7, "404: no such channel"),
        ("data-oncall", False, 2, None),
    ]
    assert found["silences"][0].items() >= {"pipeline": "nightly-*", "author": "grace"}.items()
    assert [(one["name"], one["idle"], one["matched_pipelines"]) for one in found["limits"]] == [
        ("nightly", False, 5),
        ("matches nothing", True, 0),
    ]
    page = words(lively())
    assert "Target mail is suspended" in page
    assert "nothing for 7 days" in page


def test_the_config_in_force_is_shown_with_its_secrets_masked():
    page = words(lively())
    assert "client_secret = &#34;**********&#34;" in page
    assert "[[limits]]" in page


HIDDEN = ["ada@example.com", "no such table", "grace", "maintenance", "no such channel", "client_secret"]


@pytest.mark.parametrize("path", ["/", "/api/v1/status"])
def test_what_is_hidden_is_nowhere_and_the_page_says_how_to_see_it(path):
    with lively(reveal=False).served() as service:
        told = httpx.get(service.url + path).text
        assert not [word for word in HIDDEN if word in told]
        assert "slow" in told
        assert "open_page" in httpx.get(service.url + "/").text
    with lively().served() as service:
        told = httpx.get(service.url + path).text
        assert not [word for word in HIDDEN if word not in told], "the same words are there when they may be"


FILTERS = [
    ("?q=SLOW", ["slow"], "whatever the case"),
    ("?q=finance+load", ["load"], "every word, anywhere in the names"),
    ("?project=Customer+360", ["sync", "train"], ""),
    ("?environment=lab", ["train"], ""),
    ("?status=attention", ["load", "slow", "sync", "train"], ""),
    ("?status=broken", ["load", "train"], ""),
    ("?status=FORBIDDEN", ["train"], ""),
    ("?status=CANCELLED", ["slow"], ""),
    ("?status=running", ["load", "slow"], ""),
    ("?status=over_limit", ["slow"], ""),
    ("?status=overdue", ["sync"], ""),
    ("?status=never", ["new"], ""),
    ("?status=broken&project=Finance&environment=prod&q=load", ["load"], "all at once"),
    ("?q=nothing+is+called+so", [], ""),
    ("?status=no-such-word&x=1", ["load", "new", "slow", "sync", "train"], "from a later version"),
]


@pytest.mark.parametrize(("query", "names", "reason"), FILTERS)
def test_a_filter_is_kept_in_the_url(query, names, reason):
    account = lively()
    found = status(account, query)
    assert sorted(by_name(found["pipeline_rows"])) == names, reason
    assert {by_name([run]).popitem()[0] for run in found["unfinished_runs"]} == {"slow", "load"} & set(names)
    assert set(by_name(found["bad_endings"])) <= set(names)
    assert found["pipelines"]["tracked"] == 5, "the summary is of all"
    page = words(account, query)
    assert [name for name in ("load", "new", "slow", "sync", "train") if f"/ {name} .orch.yaml" in page] == names


def test_a_record_that_cannot_be_read_is_said_and_all_else_is_shown():
    account = lively()
    account.trouble = "the disk is gone"
    found = status(account)
    assert (found["trouble"], found["bad_endings"][0]["message"]) == ("the disk is gone", None)
    assert "The record cannot be read : the disk is gone" in words(account)


def test_many_broken_pipelines_are_told_latest_first_and_counted():
    broken = [pipeline(key(f"p{number:03}"), "FAILED", now=NOON) for number in range(40)]
    found = status(Account(*broken))
    assert len(found["bad_endings"]) == 25
    assert found["pipelines"]["broken"] == 40
    assert "25 of 40 broken pipelines" in words(Account(*broken))


def test_an_account_without_anything_says_what_to_do():
    page = words(Account())
    assert "There are no pipelines yet" in page
    assert "nobody is told anything" in page
    assert "runs may take as long as they like" in page


def test_a_follower_shows_its_role_only():
    with lively().served() as service:
        service.ours.follows()
        told = httpx.get(service.url + "/").text
        found = httpx.get(service.url + "/api/v1/status").json()
    assert "standing by" in told
    assert "finance" not in told
    assert (found["leading"], found["pipeline_rows"], found["targets"]) == (False, [], [])
